"""A released checkout for tests of the command, and what they do with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autograder.course.folder import Course

from ..tiny_week import WEEK

RIGHT = {
    "double": "def double(number):\n    return number + number",
    "quadruple": "def quadruple(number):\n    return 4 * number",
}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Workbook = Callable[..., Outcome]


@dataclass(frozen=True)
class Released:
    """A checkout after `workbook release 1`, and what the command said (a new gradebook costs nbgrader 4 s)."""

    root: Path
    code: int
    out: str
    err: str


def complaint(outcome: Outcome) -> str:
    """The one line that says what is wrong and what to do next."""
    assert outcome.code == 1, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, outcome.err
    assert outcome.err.splitlines()[-1] == lines[0], "nothing follows it"
    what, _, next_step = lines[0].removeprefix("error: ").partition(" -> ")
    assert what
    assert next_step
    return lines[0]


def hand_in(course: Path, learner: str, answers: dict[str, str], released_root: Path) -> None:
    notebook = json.loads((released_root / "weeks" / WEEK / "tiny.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    folder = course / "submitted" / learner / WEEK
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def total_in_gradebook(course: Path, learner: str) -> float:
    from nbgrader.api import Gradebook

    with Gradebook(Course(course, course).db_url) as gradebook:
        score: float = gradebook.find_submission(WEEK, learner).score
    return score


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
