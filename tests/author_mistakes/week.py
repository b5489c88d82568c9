"""A small sound week, a mistake in it, and what the commands say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from autograder.authoring.lies import find_lies
from autograder.authoring.mutants import load_equivalents, try_mutants
from autograder.authoring.record import execute, keep
from autograder.authoring.verify import load_proofs, verify_week
from autograder.building.build import build_week, write_week
from autograder.core.errors import BuildError, Problem, WorkbookError
from autograder.week.source import load_week

from ..texts import PIXEL
from ..tiny_week import ALTERNATIVES, LESSON, MISCONCEPTIONS, READING, TIME, WEEK_TOML

WEEK = "week12_some_topic"
LESSON_FILE = "some_topic.py"
HEADER = f"# # A tiny week\n#\n# ![A dot.](outcome.png)\n#\n# **Time** {TIME}.\n"
GIVEN = '# %% given="start"\nSTART = 0\n\n'
SOUND: dict[str, bytes] = {
    LESSON_FILE: LESSON.replace("# # A tiny week\n", HEADER)
    .replace('# %% [markdown] about="double"', f'{GIVEN}# %% [markdown] about="double"')
    .encode(),
    "week.toml": f"{WEEK_TOML}{READING}".encode(),
    "misconceptions.py": MISCONCEPTIONS.encode(),
    "alternatives.py": ALTERNATIVES.encode(),
    "outputs.json": b'{\n "quadruple-explore-1": "two and two is 4\\n"\n}\n',
    "outcome.png": PIXEL,
}
"""The files of a small week without mistakes. It needs no torch."""


class Verb(StrEnum):
    """What the author types."""

    BUILD = "build"
    VERIFY = "verify"
    RECORD = "record"
    MUTANTS = "verify --mutants"
    LIES = "verify --lies"


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes
    ----------
    verb : the command that must tell it.
    file : where it is made. edits : old text -> new text, each once in the file; or `whole`, the file's content.
    at : a text in the line where it must be told, in the file `told_in`; "" is the first line.
    says : a piece of the message.
    """

    verb: Verb
    at: str
    says: str
    edits: dict[str, str] = field(default_factory=dict)
    file: str = LESSON_FILE
    whole: bytes | None = None
    told_in: str = ""

    def make(self, folder: Path) -> None:
        """Make the mistake in a sound week."""
        path = folder / self.file
        if self.whole is not None:
            path.write_bytes(self.whole)
        text = path.read_text(encoding="utf-8") if self.edits else ""
        for old, new in self.edits.items():
            assert text.count(old) == 1, (text.count(old), old)
            text = text.replace(old, new)
        if self.edits:
            path.write_text(text, encoding="utf-8")

    def place(self, folder: Path) -> tuple[Path, int]:
        """File and line where it must be told."""
        path = folder / (self.told_in or self.file)
        if not self.at:
            return path, 1
        before, found, after = path.read_text(encoding="utf-8", errors="replace").partition(self.at)
        assert found, self.at
        assert self.at not in after, f"twice: {self.at}"
        return path, before.count("\n") + 1


def sound_week(root: Path) -> Path:
    """Write the small week below `root`; return its folder."""
    folder = root / "solutions" / WEEK
    folder.mkdir(parents=True)
    for name, content in SOUND.items():
        (folder / name).write_bytes(content)
    (root / "pyproject.toml").write_text("[project]\nname = 'course'\n", encoding="utf-8")
    return folder


def problems(verb: Verb, folder: Path) -> list[Problem]:
    """What the command finds. An error without a place has line 0."""
    ways: dict[Verb, Callable[[Path], list[Problem]]] = {
        Verb.BUILD: _build,
        Verb.VERIFY: _verify,
        Verb.RECORD: _record,
        Verb.MUTANTS: _mutants,
        Verb.LIES: lambda folder: find_lies(folder, workers=1).misses,
    }
    try:
        return ways[verb](folder)
    except BuildError as error:
        return error.problems
    except WorkbookError as error:
        return [Problem(folder, 0, error.message, error.next_step)]


def _build(folder: Path) -> list[Problem]:
    write_week(build_week(load_week(folder)), folder.parent.parent)
    return []


def _verify(folder: Path) -> list[Problem]:
    load_proofs(folder)  # what it finds needs no process
    return verify_week(folder, workers=1).misses


def _record(folder: Path) -> list[Problem]:
    built = build_week(load_week(folder))
    keep(built.week, execute(built, folder.parent.parent))
    return []


def _mutants(folder: Path) -> list[Problem]:
    load_equivalents(load_week(folder))
    return list(try_mutants(folder, workers=1).problems)


EXERCISE = '# %% exercise="double" difficulty=1 minutes=5'
TEST_1 = '# %% test="double" points=20\nwith checks.step("double of 2"):'
CHECK_1 = 'checks.equal(double(2), 4, "double(2)", causes={"this is the number itself": 2})'
TEST_2 = '# %% test="double" points=20\nwith checks.step("double of 0"):'
CHECK_2 = 'checks.equal(double(0), 0, "double(0)")'
HIDDEN = """### BEGIN HIDDEN TESTS
for number in (-3, 10**9):
    with checks.step(f"double of {number}"):
        checks.equal(double(number), number * 2, f"double({number})")
### END HIDDEN TESTS
"""
RUBRIC = "# ### BEGIN SOLUTION\n# Because a number and itself are two of them: 20 points.\n# ### END SOLUTION\n"
WRITTEN = '# %% [markdown] written="why" points=20'
SETUP = "from shared import checks\n"
EXPLORE = 'print("two and two is", 2 + 2)'
SAME = 'edits={"number + number": "number"}'
SMALL = 'edits={"number + number": "number + number if number < 100 else 0"}'
MISCONCEPTION = "misconceptions.py"
ALTERNATIVE = "alternatives.py"
TOML = "week.toml"
REASON = b'reason = "no test can see the difference"\n'
B, V, R, M, L = Verb.BUILD, Verb.VERIFY, Verb.RECORD, Verb.MUTANTS, Verb.LIES
