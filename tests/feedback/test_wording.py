"""Feedback where something else is wrong than a value: what is the case, and the next step."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict

import pytest

from autograder.engine.guest.shell import error_of
from autograder.engine.outcome import outcome_of
from autograder.execution.results import Graded, in_the_answer
from autograder.execution.verdicts import CellRun, Verdict, cell_run
from autograder.feedback.facts import Feedback, TestFacts, facts
from autograder.week.notebooks import Notebooks
from shared.checks.kinds import Kind

from ..inprocess import judge
from .outcomes import answered, graded, pages

RUNNING = ".".join(map(str, sys.version_info[:2]))


def of_answers(built: Notebooks, **answers: str) -> Feedback:
    """The feedback on answers whose cells run, with every test judged in this process."""
    outcome = graded(built)
    outcome.verdicts |= judge(built, answers)
    return facts(built, outcome, answered(built, **answers), {})


def of_a_broken_cell(built: Notebooks, code: str) -> Feedback:
    """The feedback on an answer to `double` whose own cell raises."""
    try:
        exec(compile(code, "<cell>", "exec"), {})
    except Exception as error:
        broken = cell_run(asdict(outcome_of({"error": error_of(error), "seconds": 0.0, "outputs": []})))
    outcome = graded(built)
    outcome.verdicts["double-test-1"] = in_the_answer(CellRun(Verdict.FAIL, "any"), broken)
    return facts(built, outcome, answered(built, double=code), {})


def first(told: Feedback, exercise: int = 0) -> TestFacts:
    found = told.exercises[exercise].first_failure
    assert found is not None
    return found


def test_an_emptied_stub(tiny: Notebooks) -> None:
    test = first(of_answers(tiny, double=""))
    assert (test.kind, test.check) == (Kind.UNDEFINED, "double of 2: `double` is not defined")
    assert test.cause == "the answer cell of double is empty: its stub defines `double`"
    assert test.next_step == "put the stub of double back (key r in `workbook watch`) and fill it in"


def test_another_exercise_that_is_empty(tiny: Notebooks) -> None:
    test = first(of_answers(tiny, double="", quadruple="def quadruple(n):\n    return double(double(n))"), 1)
    assert test.cause == "the cell of double is empty: its stub defines `double`"


@pytest.mark.parametrize(
    ("code", "check", "came", "next_step"),
    [
        (
            "import my_utils",
            "there is no module `my_utils` where your work is graded",
            "ModuleNotFoundError: No module named 'my_utils'",
            "if it is a file of your own, copy its code into a cell of the notebook, above the answer; "
            "if it is a library, do without it: only the course's libraries are there",
        ),
        (
            "first = 1\ntype Number = int" if sys.version_info < (3, 12) else 'first = 1\nhello = t"{1}"',
            f"line 2 needs Python {'3.12: a `type` statement' if sys.version_info < (3, 12) else '3.14: a t-string'}; "
            f"this is Python {RUNNING}",
            "SyntaxError: invalid syntax",
            f"write it as Python {RUNNING} reads it",
        ),
        ("1 / 0", "", "", ""),
    ],
)
def test_an_answer_whose_own_cell_breaks(tiny: Notebooks, code: str, check: str, came: str, next_step: str) -> None:
    test = first(of_a_broken_cell(tiny, code))
    assert test.in_answer
    assert (test.check, test.came, test.next_step) == (check, came, next_step)
    if not check:
        assert test.message == "the answer cell: ZeroDivisionError: division by zero"


ENDINGS: Mapping[str, tuple[CellRun, str]] = {
    "memory": (
        CellRun(Verdict.OOM, "the process needed more than 1 GiB of memory", kind=Kind.MEMORY),
        "the code needs more memory than this week's limit of 1 GiB",
    ),
    "time": (
        CellRun(Verdict.TIMEOUT, "the cell ran longer than 2 s and was stopped", kind=Kind.STOPPED),
        "the cell ran longer than 2 s and was stopped",
    ),
}


@pytest.mark.parametrize("what", ENDINGS)
def test_what_ended_the_process_is_told_with_the_limit_and_a_next_step(tiny: Notebooks, what: str) -> None:
    run, check = ENDINGS[what]
    shown = pages(tiny, graded(tiny, double_1=run), answered(tiny))
    assert check.replace("'", "&#39;") in shown["tiny.html"]
    assert "<dt>next step</dt><dd>look for a " in shown["tiny.html"]


def test_an_allocators_words_are_not_told(tiny: Notebooks) -> None:
    words = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 5368709120 bytes."
    code = f'def double(n):\n    words = "{words}"\n    raise RuntimeError(words)'
    test = first(of_answers(tiny, double=code))
    assert test.verdict == "OOM"
    assert test.cause == "the code needs more memory than this week's limit of 1 GiB, and asked for 5.0 GiB at once"
    assert test.came == "in double, at: raise RuntimeError(words)"


def test_feedback_from_before_kinds_were_kept_is_read(tiny: Notebooks) -> None:
    told = facts(tiny, graded(tiny, double_1=CellRun(Verdict.FAIL, "no")), None, {})
    damaged = facts(tiny, Graded("ann", damaged="the file is not valid JSON"), None, {})
    for known in (told, damaged):
        plain = known.model_dump(mode="json")
        for exercise in plain["exercises"]:
            for test in exercise["tests"]:
                for new in ("kind", "in_answer", "next_step"):
                    del test[new]
        if plain["damage"]:
            del plain["damage"]["kind"]
        assert Feedback.model_validate(plain) == known
