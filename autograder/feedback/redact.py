"""What a learner may read about a test that did not pass.

Of a visible check: everything that the notebook itself shows, without the line of a reference that stood in for
another answer. Of a hidden one: what was checked, a likely cause, and what it got where that is the learner's own
value. Never a line of a hidden test, what it expected, or where the two differ.

What it got is the learner's own when a check of `shared.checks` describes a value it was given, or when an error
arose in code that the learner can read. The words of `checks.that` and of other errors may hold what a hidden test
expects: they are left out, but for the type of the error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.checks.kinds import Kind

from ..execution.verdicts import CellRun, Verdict
from ..week.marks import in_hidden_test, regions
from .diagnosis import PARTS, split_location

OF_THE_LEARNERS_VALUE = (Kind.VALUE, Kind.SHORTCUT)
"""What it got describes the value that a check was given."""
OF_A_CHECK = (*OF_THE_LEARNERS_VALUE, Kind.WORDS)
"""A value, not an error, made the check fail. The words of WORDS were written by the test's author."""
IN_THE_TEST = (Kind.UNUSABLE, Kind.COUNT)
"""The error arose in a line of the test."""
PLAIN_ERRORS = ("TypeError", "AttributeError", "NotImplementedError")
"""Errors whose words name types and attributes, no values."""


@dataclass(frozen=True)
class Told:
    """What may be read. `hidden`: the check that failed stands in a hidden test."""

    hidden: bool = False
    check: str = ""
    came: str = ""
    expected: str = ""
    where: str = ""
    cause: str = ""
    next_step: str = ""
    message: str = ""


def told(source: str, done: CellRun, readable: Collection[str]) -> Told:
    """What the learner may read about one test cell.

    Parameters
    ----------
    source : the test cell with its hidden tests.
    readable : lines of code that the learner can read, without the spaces around them.
    """
    if done.verdict in (Verdict.PASS, Verdict.INFRA):  # the grader's own failure is told in words of its own
        return Told()
    hidden = _in_hidden(source, done)
    if done.check is None:
        return Told(hidden, message=_error(done.message, done.error) if hidden else done.message)
    said = {name: str(done.check.get(name, "")) for name in (*PARTS, "next_step")}
    words, line_of_code = split_location(said["came"])
    known_line = bool(line_of_code) and line_of_code in readable
    if not known_line:  # else it is a line of a hidden test, or of a reference that stood in for another answer
        said["came"] = words
    if hidden:
        of_an_error = done.kind not in OF_A_CHECK or bool(line_of_code)
        whole = known_line if of_an_error else done.kind in OF_THE_LEARNERS_VALUE
        if not whole or done.kind in IN_THE_TEST:
            said["came"] = _error(words, done.error) if of_an_error else ""
        said |= {"expected": "", "where": ""}
    return Told(hidden, **said)


def _in_hidden(source: str, done: CellRun) -> bool:
    """Whether a hidden test failed. A failure whose line is not known counts as hidden where there are hidden tests."""
    by_the_test = done.check is not None or done.verdict in (Verdict.FAIL, Verdict.ERROR)
    if not by_the_test or done.in_answer:
        return False
    return in_hidden_test(source, done.line) if done.line else bool(regions(source, "HIDDEN TESTS"))


def _error(words: str, error: str) -> str:
    """An error of a hidden test, without values."""
    return words if error in PLAIN_ERRORS else error if error.isidentifier() else ""
