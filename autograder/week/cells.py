"""The kinds of cells of a lesson, and the words in their headers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
"""Lines for IPython, which are no Python."""
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]


def _listed(value: Any) -> Any:
    """`"sdpa, masks"` -> `("sdpa", "masks")`."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Words(BaseModel):
    """The words of a cell header. `key` is the word that names the kind of cell."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    key: ClassVar[str] = ""
    cell_type: ClassVar[Literal["code", "markdown"]] = "code"

    compare: bool = False
    """nbval compares the cell's output with the one kept beside the source."""


class Setup(Words):
    """The imports of the week. Locked; runs in every process."""

    key = "setup"
    setup: Literal[True]


class Given(Words):
    """Code that the learner is given, such as a helper or a toy data set. Locked."""

    key = "given"
    given: Slug
    after: str = ""
    """In `tests.py`, for a function that several tests use: the id of the cell that it stands behind. Learners see it
    folded, as the tests."""


class Readings(Words):
    """What the week names to read. Locked; no author writes it: it is made of week.toml."""

    key = "readings"
    cell_type = "markdown"
    readings: Literal[True]


class About(Words):
    """The heading, the reason and the equation of an exercise. The builder adds the box."""

    key = "about"
    cell_type = "markdown"
    about: Slug


class Exercise(Words):
    """A stub for the learner; the solution stands between BEGIN/END SOLUTION marks."""

    key = "exercise"
    exercise: Slug
    difficulty: int = Field(ge=1, le=5)
    minutes: int = Field(gt=0)
    uses: Names = ()


class Check(Words):
    """Runs the visible tests of an exercise, right below its stub. No author writes it: it comes with the exercise."""

    key = "check"
    check: Slug


class Test(Words):
    """A graded test cell; its hidden part stands between BEGIN/END HIDDEN TESTS marks."""

    __test__: ClassVar[bool] = False  # not a test class of pytest

    key = "test"
    test: Slug
    points: int = Field(ge=0)
    forbids: Names = ()
    after: str = ""
    """In `tests.py`: the id of the cell that it stands behind, where that is not the hints of its exercise."""


class Hints(Words):
    """Three folded hints: idea, pseudocode, nearly code."""

    key = "hints"
    cell_type = "markdown"
    hints: Slug


class Look(Words):
    """Draws something, even from a partial answer. Skipped when grading."""

    key = "look"
    look: Slug


class Explore(Words):
    """A demonstration, a long training, a gallery. Skipped when grading."""

    key = "explore"
    explore: Literal[True]
    picture: Slug | None = None
    """`workbook record` saves the last figure of the cell as this PNG beside the source."""
    measured: Slug | None = None
    """The folder of a real data set, such as `cifar10`: `workbook record --real-data` keeps what the cell shows."""


class Measured(Words):
    """What an explore cell showed on real data. No author writes it: it is made of `measured.json`. Locked."""

    key = "measured"
    cell_type = "markdown"


class Written(Words):
    """A question for the instructor to grade; the rubric stands between solution marks."""

    key = "written"
    cell_type = "markdown"
    written: Slug
    points: int = Field(gt=0)
    minutes: int = Field(gt=0, default=20)


class Text(Words):
    """Plain markdown."""

    cell_type = "markdown"


AUTHORED: tuple[type[Words], ...] = (Setup, Given, About, Exercise, Test, Hints, Look, Explore, Written)
"""What a header in a lesson may say."""


KINDS: tuple[type[Words], ...] = (*AUTHORED, Check, Readings)


@dataclass(frozen=True)
class Cell:
    """One cell of the lesson. `line` counts from 1 and points at its header in the file `path`."""

    id: str
    words: Words
    source: str
    line: int
    path: Path = field(default=Path(), repr=False)

    @property
    def name(self) -> str:
        """The exercise or question that the cell belongs to; empty for text, set-up and explore cells."""
        value = getattr(self.words, self.words.key, "") if self.words.key else ""
        return value if isinstance(value, str) else ""

    @property
    def python(self) -> str:
        """The source without lines for IPython."""
        return MAGIC.sub("", self.source)
