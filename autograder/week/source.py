"""Read the one source of a week: `solutions/weekNN_topic/{topic.py, week.toml}`.

A lesson is a jupytext *percent* script. The header of each cell carries a few words
(`# %% exercise="sdpa" difficulty=2 minutes=40`); this module turns them into typed cells.
Words it does not know, and words of the wrong type, are errors that name file and line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..core.errors import BuildError, Problem, WorkbookError, short
from .headers import header_lines, unreadable
from .validation import complaints, read_text, read_toml

JUPYTEXT_OWN = {"lines_to_next_cell", "lines_to_end_of_cell_marker"}
"""Blank lines that jupytext remembers in the metadata; no words of ours."""
WEEK_FOLDER = re.compile(r"^week(?P<number>\d\d)_(?P<topic>[a-z0-9_]+)$")

MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
"""Lines for IPython, which are no Python."""
CHECK_CELL = "# the visible tests on what you have now (%check is not found? run the set-up cell first)\n%check {name}"
"""What stands below each stub."""

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
KINDS: tuple[type[Words], ...] = (*AUTHORED, Check)


@dataclass(frozen=True)
class Cell:
    """One cell of the lesson. `line` counts from 1 and points at the header."""

    id: str
    words: Words
    source: str
    line: int

    @property
    def name(self) -> str:
        """The exercise or question that the cell belongs to; empty for text, set-up and explore cells."""
        value = getattr(self.words, self.words.key, "") if self.words.key else ""
        return value if isinstance(value, str) else ""


class Limits(BaseModel):
    """What one submission may use: seconds of wall time a cell and in all, memory in GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cell_seconds: float = Field(default=60, gt=0)
    total_seconds: float = Field(default=300, gt=0)
    memory_gib: float = Field(default=4, gt=0)


class WeekInfo(BaseModel):
    """`week.toml`: what the week is called, what it asks for, what it may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    summary: str
    hours: int = Field(gt=0, strict=True)
    version: int = Field(default=1, ge=1, strict=True)
    """Rises when points, stubs or tests change for those who have the week already."""
    prerequisites: tuple[int, ...] = ()
    libraries: tuple[str, ...] = ("torch",)
    """Modules that the week imports, such as `timm`: the grader imports them once, before the first submission."""
    limits: Limits = Limits()


@dataclass(frozen=True)
class Week:
    """A week as its author wrote it."""

    folder: Path
    info: WeekInfo
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """`week01_attention`: the folder, and the assignment in nbgrader's gradebook."""
        return self.folder.name

    @property
    def topic(self) -> str:
        """`attention`: the notebook's name, without suffix."""
        return self.name.split("_", 1)[1]

    @property
    def number(self) -> int:
        return int(self.name[4:6])

    @property
    def script(self) -> Path:
        return self.folder / f"{self.topic}.py"

    @property
    def code(self) -> str:
        """All its code cells, as one source in Python; magics are left out."""
        codes = (cell.source for cell in self.cells if cell.words.cell_type == "code")
        return "\n".join(MAGIC.sub("", code) for code in codes)

    def of_kind(self, kind: type[Words], name: str | None = None) -> list[Cell]:
        """The cells of one kind, in order; with `name`, only those of that exercise or question."""
        return [c for c in self.cells if isinstance(c.words, kind) and (name is None or c.name == name)]

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        """The words of each exercise, in the order of the notebook."""
        return {c.name: c.words for c in self.cells if isinstance(c.words, Exercise)}

    def points(self, exercise: str) -> int:
        """The points of all test cells of an exercise."""
        return sum(c.words.points for c in self.of_kind(Test, exercise) if isinstance(c.words, Test))

    def dependents(self, exercise: str) -> set[str]:
        """The exercises that build on this one, directly or through another."""
        found: set[str] = set()
        queue = [exercise]
        while queue:
            current = queue.pop()
            for name, words in self.exercises.items():
                if current in words.uses and name not in found:
                    found.add(name)
                    queue.append(name)
        return found


def _words(metadata: dict[str, Any], cell_type: str, path: Path, line: int) -> Words:
    """Turn the key=value pairs of a cell header into the words of its kind."""
    kinds = [kind for kind in AUTHORED if kind.key in metadata]
    if len(kinds) > 1:
        names = ", ".join(kind.key for kind in kinds)
        raise BuildError([Problem(path, line, f"the cell header says {names}", "keep one of them")])
    if not kinds:
        if cell_type == "markdown" and not metadata:
            return Text()
        known = ", ".join(kind.key for kind in AUTHORED)
        message = "the header of a code cell does not say what the cell is"
        if metadata:
            message = f"unknown words in the cell header: {', '.join(metadata)}"
        raise BuildError([Problem(path, line, message, f"name its kind with one of: {known}")])
    kind = kinds[0]
    if kind.cell_type != cell_type:
        remedy = f'write `# %% [markdown] {kind.key}="..."`' if kind.cell_type == "markdown" else "remove [markdown]"
        raise BuildError([Problem(path, line, f"a {kind.key} cell must be {kind.cell_type}", remedy)])
    try:
        return kind(**metadata)
    except ValidationError as error:
        known = f"the words of a {kind.key} cell are: {', '.join(kind.model_fields)}"
        raise BuildError(
            [
                Problem(
                    path,
                    line,
                    f"{kind.key} cell: {one.message}",
                    f"did you mean {one.meant}? {known}" if one.meant else known,
                )
                for one in complaints(error, tuple(kind.model_fields))
            ]
        ) from None


def parse(text: str, path: Path) -> tuple[Cell, ...]:
    """Read a percent script into cells whose ids depend only on names and positions.

    Raises `BuildError` with all problems of the cell headers.
    """
    lines = header_lines(text)
    if not lines or text[: text.index("# %%")].strip():
        raise BuildError([Problem(path, 1, "text before the first cell", "begin the file with `# %%`")])
    problems = [Problem(path, *found) for found in unreadable(text)]
    told = {problem.line for problem in problems}
    import jupytext  # not at the top: it takes 2 s, which a warm process can use to start

    raw = jupytext.reads(text.lstrip("\n"), fmt="py:percent").cells
    if len(raw) != len(lines):
        message = f"{len(lines)} cell headers but {len(raw)} cells"
        lost = Problem(path, 1, message, "look for `# %%` inside a string and write it differently")
        raise BuildError(problems or [lost])
    cells: list[Cell] = []
    counts: dict[str, int] = {}
    anchor = "start"
    for node, line in zip(raw, lines, strict=True):
        try:
            said = {key: value for key, value in node.metadata.items() if key not in JUPYTEXT_OWN}
            words = _words(said, node.cell_type, path, line)
        except BuildError as error:
            problems += [] if line in told else error.problems
            continue
        name = getattr(words, words.key, "") if words.key else ""
        if isinstance(words, Exercise):
            cell_id = words.exercise
        elif isinstance(words, Written):
            cell_id = f"written-{words.written}"
        elif isinstance(words, Given):
            cell_id = f"given-{words.given}"
        elif isinstance(words, Setup):
            cell_id = "setup"
        else:
            anchor = name if isinstance(name, str) and name else anchor
            stem = f"{anchor}-{words.key or 'text'}"
            counts[stem] = counts.get(stem, 0) + 1
            cell_id = stem if isinstance(words, About | Hints) else f"{stem}-{counts[stem]}"
        cells.append(Cell(cell_id, words, node.source, line))
    if problems:
        raise BuildError(problems)
    return tuple(cells)


def with_checks(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with a check below each exercise, so that its message stands where the learner types."""
    found: list[Cell] = []
    for cell in cells:
        found.append(cell)
        if isinstance(cell.words, Exercise):
            source = CHECK_CELL.format(name=cell.id)
            found.append(Cell(f"{cell.id}-check", Check(check=cell.id), source, cell.line))
    return tuple(found)


def load_info(folder: Path) -> WeekInfo:
    """Read `week.toml`. Raises `WorkbookError` when it is missing, `BuildError` when it is not what it should be."""
    path = folder / "week.toml"
    if not path.is_file():
        raise WorkbookError(f"{short(path)} is missing", f"write it with the keys {', '.join(WeekInfo.model_fields)}")
    return read_toml(path, WeekInfo)


def load_week(folder: Path) -> Week:
    """Read `week.toml` and the percent script of one week.

    Raises `WorkbookError` when a file is missing or `week.toml` is not what it should be.
    """
    match = WEEK_FOLDER.match(folder.name)
    if not match:
        message = f"{short(folder)}: not the name of a week"
        raise WorkbookError(message, "call the folder weekNN_topic, as in week01_attention")
    info = load_info(folder)
    script = folder / f"{match['topic']}.py"
    if not script.is_file():
        raise WorkbookError(f"{short(script)} is missing", "every week has a percent script of its topic's name")
    return Week(folder, info, with_checks(parse(read_text(script), script)))
