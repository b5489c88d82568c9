"""Feedback: what a hidden test keeps to itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nbformat.notebooknode import NotebookNode

from autograder.building.leaks import secrets
from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.feedback.facts import facts
from autograder.feedback.redact import told
from autograder.rendering.templates import render
from autograder.week.cells import Test
from autograder.week.marks import in_hidden_test, regions
from autograder.week.notebooks import Notebooks
from autograder.week.variants import Misconception, load_variants
from shared.checks.kinds import Kind

from ..inprocess import judge
from ..texts import squashed
from .outcomes import Page, answered, failed, graded

# what a hidden test keeps to itself

SOURCE = """\
with checks.step("visible"):
    checks.equal(f(1), 2, "f(1)")
### BEGIN HIDDEN TESTS
with checks.step("hidden"):
    checks.equal(f(3), 6, "f(3)")
    checks.that(f(4) == 8, "f(4)", came=f"{f(4)}, not {8}")
    for a, b in f(5):
        checks.close(
            a,
            b,
            "f(5)",
        )
    same(f(6), 12)
    checks.close(f(7), 14, "f(7)"); checks.that(True, "x")
### END HIDDEN TESTS
"""
READABLE = {"return number + 1", 'checks.equal(f(1), 2, "f(1)")'}


@pytest.mark.parametrize(
    ("line", "kind", "error", "came", "shown"),
    [
        (2, Kind.VALUE, "", "3 (int)", "3 (int)"),
        (2, Kind.UNUSABLE, "KeyError", 'KeyError: 6\nat: checks.equal(f(1), 2, "f(1)")',
         'KeyError: 6\nat: checks.equal(f(1), 2, "f(1)")'),
        # an answer that this one builds on is the reference's: its lines are nobody's to read
        (2, Kind.RAISED, "ValueError", "ValueError: 9\nin g, at: return solution", "ValueError: 9"),
        (5, Kind.VALUE, "", "7 (int)", "7 (int)"),
        (13, Kind.VALUE, "", "9 (int)", "9 (int)"),
        (5, Kind.SHORTCUT, "", "a call of torch.softmax", "a call of torch.softmax"),
        # the words of the test itself
        (6, Kind.WORDS, "", "9, not 8", ""),
        (13, Kind.WORDS, "", "9, not 12", ""),
        (0, Kind.WORDS, "", "9, not 6", ""),
        (5, Kind.OTHER, "", "9, not 6", ""),
        # errors: all of them where the line is the learner's, else the kind alone
        (5, Kind.RAISED, "ValueError", "ValueError: 9\nin f, at: return number + 1",
         "ValueError: 9\nin f, at: return number + 1"),
        (5, Kind.RAISED, "ValueError", "ValueError: not 6\nin g, at: return 6", "ValueError"),
        (5, Kind.RAISED, "ValueError", "ValueError: not 6", "ValueError"),
        (5, Kind.UNWRITTEN, "NotImplementedError", "NotImplementedError: later", "NotImplementedError: later"),
        (5, Kind.UNUSABLE, "AssertionError", 'AssertionError: 6 != 7\nat: checks.equal(f(3), 6, "f(3)")',
         "AssertionError"),
        (5, Kind.UNUSABLE, "KeyError", "KeyError: 6\nin f, at: return number + 1", "KeyError"),
        (5, Kind.COUNT, "ValueError", "ValueError: too many values to unpack (expected 6)\nat: a, b = f(6)",
         "ValueError"),
        (5, Kind.UNUSABLE, "TypeError", "TypeError: cannot unpack None\nat: for a, b in f(5):",
         "TypeError: cannot unpack None"),
        (5, Kind.UNUSABLE, "no kind of error", "no kind of error: 6", ""),
    ],
)  # fmt: skip
def test_of_what_came_only_the_learners_own_is_told(line: int, kind: Kind, error: str, came: str, shown: str) -> None:
    run = failed(line, kind, error, check="hidden: f(3)", came=came)
    said = told(SOURCE, run, READABLE)
    assert said.came == shown
    assert said.check == "hidden: f(3)"
    assert bool(said.expected) == bool(said.where) == (line == 2)
    assert said.hidden == (line != 2)


@pytest.mark.parametrize(
    ("line", "error", "in_answer", "shown"),
    [
        (2, "AssertionError", False, "AssertionError: 6 != 7"),
        (5, "AssertionError", False, "AssertionError"),
        (5, "TypeError", False, "TypeError: 6 != 7"),
        (0, "AssertionError", False, "AssertionError"),
        (0, "ValueError", True, "ValueError: 6 != 7"),
        (5, "no error at all", False, ""),
        (5, "", False, ""),
    ],
)
def test_an_error_outside_of_a_check_tells_its_kind(line: int, error: str, in_answer: bool, shown: str) -> None:
    for verdict in (Verdict.ERROR, Verdict.FAIL):
        run = CellRun(verdict, f"{error}: 6 != 7", line=line, error=error, in_answer=in_answer)
        assert told(SOURCE, run, READABLE).message == shown


def test_without_hidden_tests_an_unknown_line_hides_nothing() -> None:
    run = CellRun(Verdict.ERROR, "ValueError: 6 != 7")
    assert told("f(1)", run, READABLE).message == run.message


def test_what_ends_a_process_is_told() -> None:
    for verdict in (Verdict.TIMEOUT, Verdict.OOM, Verdict.CRASH, Verdict.MISSING):
        for line in (0, 5):
            run = CellRun(verdict, "the cell ran longer than 30 s and was stopped", line=line)
            assert told(SOURCE, run, READABLE).message == run.message


def lines_of(source: str, mark: str) -> set[str]:
    """The telling lines between BEGIN and END marks."""
    lines = {line.strip() for region in regions(source, mark) for line in region.splitlines()}
    return {line for line in lines if len(line) >= 20 and not line.startswith("#")}


def everything_told(built: Notebooks, outcome: Graded, item: Misconception, notebook: NotebookNode) -> str:
    """The text of all pages and of the JSON, free of layout."""
    known = facts(built, outcome, notebook, {item.exercise: [item]})
    shown = [Page(render(name, told=known)).text for name in ("index.html", "notebook.html")]
    return squashed("\n".join([*shown, *strings(json.loads(known.to_json()))]))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [str(value)]


def test_no_misconception_of_week_1_makes_the_pages_tell_tests_or_solutions(attention: Notebooks) -> None:
    week = attention.week
    released = squashed("\n".join(cell.source for cell in attention.learner.cells))
    hidden = {line for cell in week.of_kind(Test) for line in lines_of(cell.source, "HIDDEN TESTS")}
    solved = {line for cell in week.cells if cell.id in week.exercises for line in lines_of(cell.source, "SOLUTION")}
    kept = {line for line in hidden | solved if squashed(line) not in released}
    assert len(kept) > 150
    statements = {text for text in secrets(week) if text not in released}
    sources = {cell.id: cell.source for cell in attention.instructor.cells}
    failures = 0
    for item in load_variants(week).misconceptions:
        # without the training, which takes seconds and fails in a visible check or in one of `checks.that`
        verdicts = judge(attention, {item.exercise: item.source(week)}, item.exercise, {"reverser-test-2"})
        outcome = graded(attention)
        outcome.verdicts |= verdicts
        text = everything_told(attention, outcome, item, answered(attention))
        assert not [line for line in kept if squashed(line) in text]
        assert not [statement for statement in statements if statement in text]
        for test, run in verdicts.items():
            if run.check and in_hidden_test(sources[test], run.line):
                failures += 1
                assert run.check["check"].split(":")[0].replace(" ", "") in text
                for part in ("expected", "where"):
                    same = run.check[part] == run.check["came"]  # such as a shape, when the numbers differ
                    assert same or len(run.check[part]) < 12 or squashed(run.check[part]) not in text
    assert failures > 20


def test_no_line_of_a_hidden_test_of_week_1_tells_anything_when_it_fails(attention: Notebooks) -> None:
    """The worst that could be handed in: at every hidden line, failures that hold its code and what it expects."""
    notebook = answered(attention)
    item = load_variants(attention.week).misconceptions[0]
    released = {line.strip() for cell in attention.learner.cells for line in cell.source.splitlines()}
    count = 0
    for cell in attention.instructor.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            secret = "HIDDEN TESTS" in cell.source and in_hidden_test(cell.source, number)
            if secret and len(line.strip()) >= 20 and line.strip() not in released:
                place = f"KeyError: SECRET\nat: {line.strip()}"
                runs = [
                    failed(number, Kind.UNUSABLE, "KeyError", check="x: a check", came=place, expected="SECRET"),
                    failed(number, Kind.RAISED, "KeyError", check="x: an error", came=place, where="SECRET"),
                    CellRun(Verdict.ERROR, f"ValueError: SECRET, {line}", line=number, error="ValueError"),
                ]
                if "checks.that(" in line:
                    runs.append(failed(number, Kind.WORDS, check="x: a sentence", came=f"SECRET, not {line}"))
                for run in runs:
                    outcome = graded(attention)
                    outcome.verdicts[cell.id] = run
                    known = facts(attention, outcome, notebook, {item.exercise: [item]}).to_json()
                    assert "SECRET" not in known
                    assert json.dumps(line.strip(), ensure_ascii=False)[1:-1] not in known
                    count += 1
    assert count > 300
