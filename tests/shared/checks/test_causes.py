"""`shared.checks`: conditions, likely causes, errors that are wanted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from shared import checks

from .cells import failed, fields, halve, read, unwritten, vector

# ---- conditions


def test_that() -> None:
    checks.that(True, "fine")
    causes = {"no": lambda: False, "yes": lambda: True}
    assert fields(lambda: checks.that(False, "it learned", came="MSE 2", expected="below 1", causes=causes)) == (
        "it learned",
        "MSE 2",
        "below 1",
        "",
        "yes",
    )


# ---- causes


def cause(got: float, expected: float, causes: checks.Causes) -> str:
    return failed(lambda: checks.close(vector(got), vector(expected), causes=causes)).cause


def test_a_value_is_the_cause_only_when_it_is_what_came() -> None:
    assert cause(2.0, 1.0, {"doubled": vector(2.00001)}) == "doubled"
    assert cause(2.0, 1.0, {"doubled": vector(2.1)}) == ""
    assert cause(2.0, 1.0, {"another shape": torch.full((1, 1), 2.0)}) == ""
    assert cause(2.0, 1.0, {"a number": 2.0}) == ""
    assert cause(2.0, 1.0, {}) == ""


def test_a_value_close_to_the_expected_one_is_no_cause() -> None:
    # 1.00018 and 1.0 are both within the tolerance of 1.0001
    assert cause(1.00018, 1.0, {"rounded": vector(1.0001)}) == ""


def test_the_tolerance_of_the_check_is_that_of_its_causes() -> None:
    loose = failed(lambda: checks.close(vector(2.05), vector(1.0), atol=0.1, causes={"doubled": vector(2.0)}))
    assert loose.cause == "doubled"
    exact = failed(lambda: checks.equal(vector(2.00001), vector(1.0), causes={"doubled": vector(2.0)}))
    assert exact.cause == ""


def test_a_function_says_whether_it_is_the_cause_or_gives_the_wrong_value() -> None:
    assert cause(2.0, 1.0, {"yes": lambda: True}) == "yes"
    assert cause(2.0, 1.0, {"no": lambda: False}) == ""
    assert cause(2.0, 1.0, {"doubled": lambda: vector(2.0)}) == "doubled"
    assert cause(2.0, 1.0, {"tripled": lambda: vector(3.0)}) == ""


def test_a_probe_that_raises_is_passed_over() -> None:
    assert cause(2.0, 1.0, {"broken": lambda: halve(1), "doubled": vector(2.0)}) == "doubled"
    assert cause(2.0, 1.0, {"broken": lambda: halve(1)}) == ""


def test_the_first_matching_cause_is_named() -> None:
    assert cause(2.0, 1.0, {"tripled": vector(3.0), "doubled": vector(2.0), "also": lambda: True}) == "doubled"


def test_probes_run_only_after_a_failure() -> None:
    ran: list[int] = []
    checks.close(vector(1.0), vector(1.0), causes={"x": lambda: ran.append(1)})
    assert ran == []


def test_causes_of_plain_values() -> None:
    assert failed(lambda: checks.equal(8, 4, causes={"twice": 8})).cause == "twice"
    assert failed(lambda: checks.equal("b", "a", causes={"next": "b"})).cause == "next"
    assert failed(lambda: checks.equal(8, 4, causes={"thrice": 12, "text": "8"})).cause == ""


# ---- raises


def test_the_wanted_error_passes() -> None:
    checks.raises(ValueError, read, "x")
    checks.raises((KeyError, ZeroDivisionError), halve, number=1)


@pytest.mark.parametrize(
    ("kinds", "fn", "args", "expected"),
    [
        (ValueError, abs, (1,), ("a call did not raise", "no error", "ValueError")),
        ((ValueError, KeyError), abs, (1,), ("a call did not raise", "no error", "ValueError or KeyError")),
        (
            ValueError, halve, (1,),
            ("a call raised the wrong error", "ZeroDivisionError: division by zero", "ValueError"),
        ),
    ],
)  # fmt: skip
def test_another_or_no_error_fails(kinds: Any, fn: Any, args: Any, expected: tuple[str, str, str]) -> None:
    assert fields(lambda: checks.raises(kinds, fn, *args, name="a call")) == (*expected, "", "")


@pytest.mark.parametrize("kinds", [ValueError, RuntimeError, Exception])
def test_a_stub_raises_no_wanted_error(kinds: type[Exception]) -> None:
    failure = failed(lambda: checks.raises(kinds, unwritten, name="a call"))
    assert failure.check == "not written yet"
    assert failure.came.startswith("NotImplementedError")


def test_raises_speaks_for_its_step() -> None:
    def check() -> None:
        with checks.step("a wrong width"):
            checks.raises(ValueError, abs, 1)

    assert failed(check).check == "a wrong width: the call did not raise"
