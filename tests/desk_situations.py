"""Situations that instructors meet after collecting: grading again, marking, late work, feedback, report, export.

`python -m tests.desk_situations` makes each of them with real files in a class of its own, and prints what came.
"""

from __future__ import annotations

import copy
import csv
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from autograder.building.build import build_week, write_week
from autograder.core.errors import WorkbookError
from autograder.course.database import open_gradebook
from autograder.course.folder import Course
from autograder.execution.results import Graded
from autograder.gradebook.changes import Change
from autograder.gradebook.scores import Standing, standings
from autograder.grading.grade import Told, grade_week
from autograder.grading.rewrite import Rewritten, rewrite
from autograder.marking.marks import Marks
from autograder.reporting.class_page import class_of
from autograder.reporting.class_stats import ClassFacts
from autograder.reporting.lms_export import Exported, export
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from .gradebook.test_ledger import Counting
from .graded_class import DOUBLE, ESSAY, QUADRUPLE, SAME, give
from .tiny_week import ALTERNATIVES, LESSON, MISCONCEPTIONS, WEEK_TOML

WEEK, WRITTEN = "week01_tiny", "written-why"
RIGHT = {"double": DOUBLE, "quadruple": QUADRUPLE, WRITTEN: ESSAY}
ANSWERS = {"ann": RIGHT, "bob": RIGHT | {"double": SAME}, "cleo": {}, "dan": RIGHT | {WRITTEN: ""}}
"""Who submitted what: cleo nothing but the starter, dan no written answer; erin's file is not a notebook."""


@dataclass(frozen=True)
class Ran:
    """What grading did: outcomes, whose work was run, what was asked about, what was told."""

    outcomes: dict[str, Graded]
    jobs: tuple[str, ...]
    asked: tuple[Change, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Class:
    """A class whose week is graded, in a folder of its own."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "solutions" / WEEK

    @property
    def course(self) -> Course:
        return Course.at(self.root, Path("course"))

    @property
    def built(self) -> Notebooks:
        return build_week(load_week(self.folder))

    def write(self, path: str, text: str) -> None:
        """A file of the class."""
        target = self.course.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def submit(self, learner: str, answers: dict[str, str] | str, stamp: str = "", below: str = "") -> None:
        """Answers by cell, or the text of the file; when it came; a cell of their own below the last question."""
        text = answers if isinstance(answers, str) else json.dumps(self.notebook(answers, below))
        self.write(f"submitted/{learner}/{WEEK}/tiny.ipynb", text)
        if stamp:
            self.write(f"submitted/{learner}/{WEEK}/timestamp.txt", stamp)

    def notebook(self, answers: dict[str, str], below: str) -> Any:
        notebook = copy.deepcopy(self.built.learner)
        for cell in notebook.cells:
            if text := answers.get(cell.id):
                cell.source = text if cell.cell_type == "code" else f"{cell.source}\n\n{text}"
        if below:
            notebook.cells.append({"cell_type": "markdown", "id": "own", "metadata": {}, "source": below})
        return notebook

    def grade(self, *, agree: bool = True, again: bool = False) -> Ran:
        """In this process, without sandboxes: the answers are ours."""
        crew, asked, said = Counting(), list[Change](), list[str]()

        def answer(changes: Sequence[Change]) -> bool:
            asked.extend(changes)
            return agree

        _, outcomes = grade_week(
            self.folder, self.course, crew=crew, unsafe=True, again=again, agree=answer, tell=Told(warn=said.append)
        )
        jobs = tuple(job.name for job in crew.jobs if job.name in {one.student for one in outcomes})
        return Ran({one.student: one for one in outcomes}, jobs, tuple(asked), tuple(said))

    def give(self, learner: str, points: float | None = None, comment: str = "", cell: str = WRITTEN) -> None:
        """What an instructor does in the formgrader."""
        give(self.course, learner, cell, points, comment)

    def marks(self, grader: str = "one") -> Marks:
        return Marks(self.course, WEEK, grader)

    def standing(self, learner: str) -> Standing:
        return standings(self.course, WEEK)[learner]

    def total(self, learner: str) -> float:
        return self.standing(learner).total

    def feedback(self) -> Rewritten:
        return rewrite(self.built, self.course)

    def page(self, learner: str) -> str:
        return (self.course.feedback / learner / WEEK / "index.html").read_text(encoding="utf-8")

    def report(self) -> ClassFacts:
        return class_of(self.built, self.course)

    def export(self, *, unfinished: bool = True) -> Exported:
        return export(self.course, {WEEK: "01 Tiny"}, unfinished)

    def rows(self, done: Exported, which: int) -> list[dict[str, str]]:
        """Canvas's (0) or Moodle's (1) rows."""
        with done.files[which].open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))

    def edit(self, old: str, new: str) -> None:
        """Change the lesson."""
        path = self.folder / "tiny.py"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8")

    def late(self, rules: str, **stamps: datetime) -> None:
        """Rules of the class, and when work came, in nbgrader's gradebook."""
        self.write("course.toml", f'timezone = "UTC"\n{rules}')
        with open_gradebook(self.course) as gradebook:
            for learner, moment in stamps.items():
                gradebook.find_submission(WEEK, learner).timestamp = moment
            gradebook.db.commit()


def make(root: Path) -> Class:
    """Write the week, hand in, grade."""
    found = Class(root)
    found.folder.mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'tiny'\n", encoding="utf-8")
    for name, text in (
        ("tiny.py", LESSON),
        ("week.toml", WEEK_TOML),
        ("misconceptions.py", MISCONCEPTIONS),
        ("alternatives.py", ALTERNATIVES),
    ):
        (found.folder / name).write_text(text, encoding="utf-8")
    write_week(found.built, root)
    for learner, answers in ANSWERS.items():
        found.submit(learner, answers)
    found.submit("erin", "{")
    found.grade()
    return found


def refused(action: Callable[[], object]) -> bool:
    """Whether an action ends with an error that names the next step."""
    try:
        action()
    except WorkbookError as error:
        return bool(error.message and error.next_step)
    return False


@dataclass(frozen=True)
class Situation:
    """What happens at a desk, what must come of it, and what came."""

    kind: str
    name: str
    expected: object
    come: Callable[[Class], object] = field(compare=False)


SITUATIONS: list[Situation] = []


def situation(kind: str, name: str, expected: object) -> Callable[[Callable[[Class], object]], None]:
    """Put a function into the table: it makes the situation in a graded class, and gives what comes of it."""

    def put(come: Callable[[Class], object]) -> None:
        SITUATIONS.append(Situation(kind, name, expected, come))

    return put


def came(one: Situation, base: Path, folder: Path) -> object:
    """What comes of a situation in a copy of the class."""
    shutil.copytree(base, folder / "checkout")
    return one.come(Class(folder / "checkout"))


def main() -> None:
    """Print the table."""

    counts = Counter[bool]()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        base = make(Path(place) / "base").root
        for number, one in enumerate(SITUATIONS):
            folder = Path(place) / str(number)
            folder.mkdir()
            patch.chdir(folder)
            try:
                found = came(one, base, folder)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            ok = found == one.expected
            counts[ok] += 1
            print(f"| {one.kind} | {one.name} | {one.expected} | {found} | {'ok' if ok else 'NOT OK'} |", flush=True)
    print(f"{len(SITUATIONS)} situations: {counts[True]} right, {counts[False]} not")


if __name__ == "__main__":
    from tests import desk_table as desk_table
    from tests.desk_situations import main as as_imported

    as_imported()
