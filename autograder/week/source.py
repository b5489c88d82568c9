"""Read the one source of a week: `solutions/weekNN_topic/{topic.py, tests.py, week.toml}`.

A lesson is a jupytext *percent* script; its test cells may stand in `tests.py` (see `placed`). The header of each cell
carries a few words (`# %% exercise="sdpa" difficulty=2 minutes=40`); this module turns them into typed cells. Words it
does not know, and words of the wrong type, are errors that name file and line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import BuildError, Problem, WorkbookError, short
from .cells import (
    AUTHORED,
    About,
    Cell,
    Check,
    Exercise,
    Given,
    Hints,
    Readings,
    Setup,
    Test,
    Text,
    Words,
    Written,
)
from .headers import header_lines, unreadable
from .measured import with_measured
from .readings import Reading, as_table
from .validation import complaints, read_text, read_toml

JUPYTEXT_OWN = {"lines_to_next_cell", "lines_to_end_of_cell_marker"}
"""Blank lines that jupytext remembers in the metadata; no words of ours."""
TESTS = "tests.py"
PINNED = "pinned.json"
"""In the copy of a week that a class is pinned to (see `course.pins`)."""
WEEK_FOLDER = re.compile(r"^week(?P<number>\d\d)_(?P<topic>[a-z0-9_]+)$")

CHECK_CELL = "# the visible tests on what you have now (%check is not found? run the set-up cell first)\n%check {name}"
"""What stands below each stub."""


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
    reading: tuple[Reading, ...] = ()
    reproduces: str = ""
    """The figure or number of a paper that the lesson shows again: which, what is the same, and what is not."""
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
    def pinned(self) -> bool:
        """Whether this is the copy that a class is pinned to: it was checked when it was made."""
        return (self.folder / PINNED).is_file()

    @property
    def number(self) -> int:
        return int(self.name[4:6])

    @property
    def script(self) -> Path:
        return self.folder / f"{self.topic}.py"

    @property
    def code(self) -> str:
        """All its code cells, as one source in Python; magics are left out."""
        codes = (cell.python for cell in self.cells if cell.words.cell_type == "code")
        return "\n".join(codes)

    def of_kind(self, kind: type[Words], name: str | None = None) -> list[Cell]:
        """The cells of one kind, in order; with `name`, only those of that exercise or question."""
        return [c for c in self.cells if isinstance(c.words, kind) and (name is None or c.name == name)]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.id: place for place, cell in reversed([*enumerate(self.cells)])}

    def before(self, one: Cell, other: Cell) -> bool:
        """Whether a cell stands before another one in the notebook."""
        return self._places[one.id] < self._places[other.id]

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
        cells.append(Cell(cell_id, words, node.source, line, path))
    if problems:
        raise BuildError(problems)
    return tuple(cells)


def placed(lesson: Sequence[Cell], tests: Sequence[Cell]) -> tuple[Cell, ...]:
    """The lesson with each test cell behind the hints of its exercise, or behind the cell that its `after` names.

    What several tests use is a given cell among them, which always says `after`.

    Raises
    ------
    BuildError
        for a cell of another kind among the tests, a test among the cells of the lesson, and a cell without a place.
    """
    problems = [
        Problem(cell.path, cell.line, f"a {cell.words.key or 'text'} cell in {TESTS}", "move it to the lesson")
        for cell in tests
        if not isinstance(cell.words, Test | Given)
    ]
    problems += [
        Problem(cell.path, cell.line, f"a test cell in the lesson, which has a {TESTS}", f"move it to {TESTS}")
        for cell in lesson
        if isinstance(cell.words, Test)
    ]
    behind: dict[str, list[Cell]] = {}
    known = {cell.id for cell in lesson}
    for cell in tests:
        if isinstance(cell.words, Test | Given):
            place = cell.words.after or ("" if isinstance(cell.words, Given) else f"{cell.name}-hints")
            if not place:
                remedy = 'name the cell that it stands behind: after="setup"'
                problems.append(Problem(cell.path, cell.line, f"a given cell in {TESTS} without a place", remedy))
            elif place not in known:
                remedy = 'write hints for its exercise, or name a cell: after="given-x"'
                problems.append(Problem(cell.path, cell.line, f"there is no cell {place!r} to stand behind", remedy))
            behind.setdefault(place, []).append(cell)
    if problems:
        raise BuildError(problems)
    return tuple(one for cell in lesson for one in (cell, *behind.get(cell.id, ())))


def with_checks(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with a check below each exercise, so that its message stands where the learner types."""
    found: list[Cell] = []
    for cell in cells:
        found.append(cell)
        if isinstance(cell.words, Exercise):
            source = CHECK_CELL.format(name=cell.id)
            found.append(Cell(f"{cell.id}-check", Check(check=cell.id), source, cell.line, cell.path))
    return tuple(found)


def with_readings(cells: Sequence[Cell], info: WeekInfo, number: int) -> tuple[Cell, ...]:
    """The cells with what the week names to read, above the set-up cell; unchanged where it names nothing."""
    place = next((place for place, cell in enumerate(cells) if isinstance(cell.words, Setup)), None)
    if place is None or not (info.reading or info.reproduces):
        return tuple(cells)
    source = as_table(info.reading, info.reproduces, number)
    table = Cell("readings", Readings(readings=True), source, cells[place].line, cells[place].path)
    return (*cells[:place], table, *cells[place:])


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
    lesson = parse(read_text(script), script)
    tests = folder / TESTS
    if tests.is_file():
        lesson = placed(lesson, parse(read_text(tests), tests))
    lesson = with_measured(with_checks(lesson), folder)
    return Week(folder, info, with_readings(lesson, info, int(match["number"])))
