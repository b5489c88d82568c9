"""What the tests of feedback share: outcomes and notebooks of learners, and a page taken apart."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser

from nbformat.notebooknode import NotebookNode

from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.feedback.facts import facts
from autograder.rendering.templates import render
from autograder.week.cells import Test
from autograder.week.notebooks import Notebooks
from autograder.week.variants import Misconception
from shared.checks.kinds import Kind

PASSED = CellRun(Verdict.PASS, seconds=0.01)
IN_DOUBLE, IN_QUADRUPLE = 6, 5
"""The lines of the hidden checks of double-test-2 and of quadruple-test-2."""
SAID = {
    "check": "double of 7: double(7) not as expected",
    "came": "CAME 13",
    "expected": "EXPECTED 14",
    "where": "WHERE 13 instead of 14",
    "cause": "CAUSE one is missing",
}


def failed(line: int = 2, kind: Kind = Kind.VALUE, error: str = "", **parts: str) -> CellRun:
    said = SAID | parts
    message = "\n".join(said.values())
    return CellRun(Verdict.FAIL, message, 0.02, check=said, line=line, kind=kind, error=error)


def graded(built: Notebooks, student: str = "ann", **verdicts: CellRun) -> Graded:
    """The outcome of a learner who passes everything but these tests (`double_1` is double-test-1)."""
    found = {cell.id: PASSED for cell in built.week.of_kind(Test)}
    found |= {key.replace("_", "-test-"): run for key, run in verdicts.items()}
    points: dict[str, int] = {}
    for cell in built.week.of_kind(Test):
        assert isinstance(cell.words, Test)
        earned = cell.words.points if found[cell.id].verdict is Verdict.PASS else 0
        points[cell.name] = points.get(cell.name, 0) + earned
    return Graded(student, found, points)


def answered(built: Notebooks, **answers: str) -> NotebookNode:
    """The repaired notebook: the released tests, and these answers."""
    notebook = copy.deepcopy(built.instructor)
    for cell in notebook.cells:
        if cell.id in built.week.exercises:
            cell.source = answers.get(cell.id, f"def {cell.id}(number):\n    return MY_OWN_ANSWER")
    return notebook


def pages(
    built: Notebooks,
    outcome: Graded,
    notebook: NotebookNode | None = None,
    diagnosis: Mapping[str, Sequence[Misconception]] | None = None,
) -> dict[str, str]:
    """The two pages and the JSON, without writing them."""
    known = facts(built, outcome, notebook, diagnosis or {})
    return {
        "index.html": render("index.html", told=known),
        "tiny.html": render("notebook.html", told=known),
        "feedback.json": known.to_json(),
    }


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.closed: list[str] = []
        self.text = ""
        self.feed(str(text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.closed.append(tag)
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
