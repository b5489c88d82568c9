"""`shared.checks`: what is told where the mistake is not a wrong value, each in a cell as a learner would write it."""

from __future__ import annotations

import pytest
import torch

from shared import checks, observe
from shared.checks import NO_GRADIENT, NO_RETURN, CheckFailure
from shared.checks.kinds import Kind

from .cells import cell, failed, unwritten

ANSWERS = cell(
    "<answers of a learner>",
    """
import torch
from torch import nn

def in_half(x):
    return torch.linalg.inv(x.half())

class NoForward(nn.Module):
    pass

def without_forward(x):
    return NoForward()(x)

def own_words(x):
    raise NotImplementedError("only for squares")

def five_gigabytes(x):
    return torch.empty(10**13)

def one_tensor(x):
    return x

def a_pair(x):
    return x, x + 1

def first_row(x):
    return x[0]

def a_row_twice(x):
    return x[0], x[0]

def nothing(x):
    x + 1

def mistyped(x):
    return xx + 1
""",
)
KNOWN = {name: value for name, value in ANSWERS.items() if not name.startswith("__") and name != "checks"}
CALL = "with checks.step('it runs'):\n    "


def told(line: str, **known: object) -> CheckFailure:
    """What a test cell with this line says about the answers above."""
    return failed(lambda: cell(f"<test: {line}>", CALL + line + "\n", **KNOWN | known))


@pytest.mark.parametrize("answer", ["in_half", "without_forward"])
def test_what_a_library_cannot_do_is_not_called_unwritten(answer: str) -> None:
    failure = told(f"{answer}(torch.eye(2))")
    assert failure.kind is Kind.UNSUPPORTED
    assert failure.check == "it runs: the code asks a library for what it cannot do"
    assert "NotImplementedError: " in failure.came
    assert f"\nin {answer}, at: return " in failure.came
    assert failure.next_step.startswith("compute in another dtype")


def test_only_the_stubs_own_error_is_unwritten() -> None:
    assert told("unwritten()", unwritten=unwritten).kind is Kind.UNWRITTEN
    own = told("own_words(1)")
    assert (own.kind, own.check) == (Kind.RAISED, "it runs: the code raised an error")
    assert "only for squares" in own.came


def test_where_an_error_is_expected_both_are_told_apart_too() -> None:
    assert told("checks.raises(ValueError, unwritten)", unwritten=unwritten).kind is Kind.UNWRITTEN
    assert told("checks.raises(RuntimeError, in_half, torch.eye(2))").kind is Kind.UNSUPPORTED
    with pytest.raises(CheckFailure, match="raised the wrong error"):
        checks.raises(ValueError, ANSWERS["own_words"], 1)


def test_a_look_cell_shows_the_librarys_error(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        ANSWERS["in_half"](torch.eye(2))
    assert capsys.readouterr().out.startswith("Nothing to see yet: NotImplementedError: ")


def test_a_stub_is_unwritten_on_another_device_too() -> None:
    with pytest.raises(NotImplementedError):
        observe.devices_away(unwritten, torch.eye(2))


def test_more_memory_than_there_is_says_how_much_was_asked_for() -> None:
    failure = told("five_gigabytes(1)")
    assert (failure.kind, failure.subject) == (Kind.MEMORY, str(4 * 10**13))
    assert failure.check == "it runs: the code needs more memory than there is"
    assert failure.next_step


def test_a_name_that_no_cell_has_defined_yet() -> None:
    failure = told("attention(torch.eye(2))")
    assert (failure.kind, failure.subject) == (Kind.UNDEFINED, "attention")
    assert failure.check == "it runs: `attention` is not defined"
    assert failure.next_step == "run the cell that defines it; where that cell is empty, restore its stub"
    inside = told("mistyped(1)")
    assert (inside.kind, inside.subject) == (Kind.UNDEFINED, "xx")
    assert inside.check == "it runs: the code raised an error"
    assert inside.came.endswith("in mistyped, at: return xx + 1")


TAKE = "first, second = {}(torch.zeros(2, 3)); checks.shape(first, (2, 3), 'first')"


def test_one_tensor_where_a_pair_was_asked_for() -> None:
    failure = told(TAKE.format("one_tensor"))
    assert (failure.came, failure.expected) == ("(3,)", "(2, 3)")
    assert failure.cause == "one tensor of shape (2, 3) was returned where 2 values were asked for"
    last = told("first, second = one_tensor(torch.zeros(2, 3)); checks.close(second, torch.zeros(2, 3), 'second')")
    assert last.cause == failure.cause


@pytest.mark.parametrize(
    "line",
    [
        "checks.shape(one_tensor(torch.zeros(4, 5))[0], (2, 3))",
        "checks.shape(one_tensor(torch.zeros(1))[0], (1,))",
        "checks.shape(one_tensor(torch.zeros(1).squeeze()), (1,))",
        "checks.shape(first_row(torch.zeros(2, 3)), (2, 3))",
        "out = first_row(torch.zeros(2, 3)); checks.shape(out, (2, 3))",
        "first, second = first_row(torch.zeros(2, 3)), 5; checks.shape(first, (2, 3))",
        "first, second = a_row_twice(torch.zeros(2, 3)); checks.shape(first, (2, 3))",
        "first, (second, third) = 5, a_row_twice(torch.zeros(2, 3)); checks.shape(second, (2, 3))",
        "first, second, third = one_tensor(torch.zeros(3, 2)); checks.shape(first, (2, 3))",
    ],
)
def test_a_row_that_nobody_took_apart_is_not_called_one_tensor(line: str) -> None:
    assert told(line).cause == ""


def test_another_number_of_values_than_the_test_takes_apart() -> None:
    for line, error in (
        ("first, second = one_tensor(torch.zeros(3, 2))", "ValueError"),
        ("first, second = nothing(1)", "TypeError"),
        ("first, second, third = a_pair(1)", "ValueError"),
    ):
        failure = told(line)
        wanted = line.count(",", 0, line.index("=")) + 1
        assert (failure.kind, failure.error) == (Kind.COUNT, error)
        assert failure.check == f"it runs: wrong number of values: the test takes {wanted}"
    assert told("one_tensor(1)[5]").kind is Kind.UNUSABLE


def test_a_pair_where_one_tensor_was_asked_for() -> None:
    failure = told("checks.shape(a_pair(torch.zeros(2)), (2,), 'the sum')")
    assert failure.check == "it runs: the sum: not a tensor"
    assert failure.cause == "a tuple of 2 was returned where one tensor was asked for"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("checks.close(nothing(1), torch.ones(1))", NO_RETURN),
        ("out = nothing(1); checks.shape(out, (1,))", NO_RETURN),
        ("x = torch.ones(1, requires_grad=True); one_tensor(x); checks.close(x.grad, torch.ones(1))", NO_GRADIENT),
        ("x = torch.ones(1, requires_grad=True); found = x.grad; checks.shape(found, (1,))", NO_GRADIENT),
        ("x, y = torch.ones(2, 1, requires_grad=True); (g,) = torch.autograd.grad(x * 1, [y], allow_unused=True); "
         "checks.finite(g)", NO_GRADIENT),
        ("checks.tensor(None)", ""),
        ("for one in [None]: checks.tensor(one)", ""),
    ],
)  # fmt: skip
def test_what_nothing_means_is_told_from_where_it_came_from(line: str, cause: str) -> None:
    failure = told(line)
    assert (failure.came, failure.cause) == ("None", cause)
