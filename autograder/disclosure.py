"""What a learner may read about a test that did not pass.

Of a visible check: everything that the notebook itself shows, without the line of a reference that stood in for
another answer. Of a hidden one: what was checked, a likely cause, and what came where that is the learner's own
value. Never a line of a hidden test, what it expected, or where the two differ.

What came is the learner's own when a check of `shared.checks` describes a value it was given, or when an error
arose in code that the learner can read. The words of `checks.that` and of other errors may hold what a hidden test
expects: they are left out, but for the type of the error.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

from .diagnosis import PARTS, split_location
from .rules import in_hidden_test, regions
from .runner import CellRun, Verdict

DESCRIBING = {"tensor", "shape", "dtype", "close", "equal", "finite", "raises", "forbidden"}
"""Checks whose `came` describes the value they were given. That of the checks IN_WORDS was written by the author."""
IN_WORDS = {"that", "fail"}
IN_THE_TEST = "the check could not use what it got"
OF_AN_ERROR = ("the code raised an error", "not written yet", IN_THE_TEST)
"""How the title of a check ends when an error, not a value, made it fail. The last one arose in a line of the test."""
PLAIN_ERRORS = ("TypeError", "AttributeError", "NotImplementedError")
"""Errors whose words name types and attributes, no values."""
ANSWER_CELL = "the answer cell: "
"""How a message begins that is about the learner's own cell."""


@dataclass(frozen=True)
class Told:
    """What may be read. `hidden`: the check that failed stands in a hidden test."""

    hidden: bool = False
    check: str = ""
    came: str = ""
    expected: str = ""
    where: str = ""
    cause: str = ""
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
        return Told(hidden, message=_error(done.message) if hidden else done.message)
    said = {name: str(done.check.get(name, "")) for name in PARTS}
    words, line_of_code = split_location(said["came"])
    known_line = bool(line_of_code) and line_of_code in readable
    if not known_line:  # else it is a line of a hidden test, or of a reference that stood in for another answer
        said["came"] = words
    if hidden:
        of_an_error = said["check"].endswith(OF_AN_ERROR) or bool(line_of_code)
        whole = known_line if of_an_error else _describes(source, done.line)
        if not whole or said["check"].endswith(IN_THE_TEST):
            said["came"] = _error(words) if of_an_error else ""
        said |= {"expected": "", "where": ""}
    return Told(hidden, **said)


def _in_hidden(source: str, done: CellRun) -> bool:
    """Whether a hidden test failed. A failure whose line is not known counts as hidden where there are hidden tests."""
    by_the_test = done.check is not None or done.verdict in (Verdict.FAIL, Verdict.ERROR)
    if not by_the_test or done.message.startswith(ANSWER_CELL):
        return False
    return in_hidden_test(source, done.line) if done.line else bool(regions(source, "HIDDEN TESTS"))


def _error(words: str) -> str:
    """An error of a hidden test, without values."""
    kind = words.partition(":")[0]
    return words if kind in PLAIN_ERRORS else kind if kind.isidentifier() else ""


def _describes(source: str, line: int) -> bool:
    """Whether the check on this line tells a value that it was given, in words of `shared.checks`."""
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "checks"
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    }
    return bool(called & DESCRIBING) and not called & IN_WORDS
