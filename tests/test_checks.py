"""`shared.checks`: what passes, what fails, and every word of what a learner then reads."""

from __future__ import annotations

import linecache
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from shared import checks
from shared.checks import CheckFailure

ROOT = Path(__file__).parents[1]
INF, NAN = float("inf"), float("nan")
Check = Callable[[], object]


def vector(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def failed(check: Check) -> CheckFailure:
    with pytest.raises(CheckFailure) as error:
        check()
    return error.value


def fields(check: Check) -> tuple[str, str, str, str, str]:
    return tuple(failed(check).as_dict().values())  # type: ignore[return-value]


def cell(name: str, source: str, **known: object) -> dict[str, Any]:
    """Run a cell of a notebook, as a kernel does: its lines show in tracebacks."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"checks": checks, **known}
    exec(compile(source, name, "exec"), space)
    return space


LEARNER = cell(
    "<cell of the learner>",
    """
import json

def halve(number):
    return number / 0

def halve_all(numbers):
    return [halve(number) for number in numbers]

def read(text):
    return json.loads(text)

def unwritten(*_):
    raise NotImplementedError

def talkative():
    raise ValueError("first line\\nsecond line\\nthird line")

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute():
    raise Mute

def apply(fn, value):
    return fn(value)
""",
)
halve, read, unwritten = LEARNER["halve"], LEARNER["read"], LEARNER["unwritten"]


# ---- the message


def test_the_layout_of_a_message() -> None:
    failure = CheckFailure("a sum", came="3\nin f, at: x", expected="4", where="at (0,)", cause="no carry")
    assert str(failure) == (
        "✗ a sum\n"
        "  came:         3\n"
        "                in f, at: x\n"
        "  expected:     4\n"
        "  where:        at (0,)\n"
        "  likely cause: no carry"
    )


def test_what_is_empty_is_left_out() -> None:
    assert str(CheckFailure("a sum", expected="4")) == "✗ a sum\n  expected:     4"
    assert str(CheckFailure("a sum")) == "✗ a sum"


def test_a_failure_is_plain_data() -> None:
    failure = CheckFailure("a", came="b", expected="c", where="d", cause="e")
    assert failure.as_dict() == {"check": "a", "came": "b", "expected": "c", "where": "d", "cause": "e"}
    assert isinstance(failure, AssertionError)
    assert len({failure, CheckFailure("a")}) == 2


def test_fail_says_the_step_and_hides_what_came_before() -> None:
    def check() -> None:
        with checks.step("outer"):
            try:
                halve(1)
            except ZeroDivisionError:
                checks.fail("wrong", came="x")

    assert fields(check) == ("outer: wrong", "x", "", "", "")
    assert failed(check).__suppress_context__
    assert fields(lambda: checks.fail("wrong")) == ("wrong", "", "", "", "")


def test_ipython_shows_the_message_alone(tmp_path: Path) -> None:
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from traitlets.config import Config\n"
        "shell = InteractiveShell(config=Config({'HistoryManager': {'enabled': False}}))\n"
        "shell.run_cell('from shared import checks\\n"
        'with checks.step("a sum"):\\n    checks.equal(1 + 1, 3, "one and one")\\n\')\n'
        "shell.run_cell('print(1)')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        # IPython warns where another virtual environment is active than the one that it runs in
        env={k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout + run.stderr == (
        "✗ a sum: one and one not as expected\n  came:         2 (int)\n  expected:     3 (int)\n1\n"
    )


# ---- steps


def test_a_step_prefixes_what_fails_inside_and_is_over_after_it() -> None:
    def check() -> None:
        with checks.step("outer"):
            with checks.step("inner"):
                pass
            checks.that(False, "a condition")

    assert failed(check).check == "outer: a condition"
    assert failed(lambda: checks.that(False, "a condition")).check == "a condition"


def test_the_innermost_step_speaks() -> None:
    def check() -> None:
        with checks.step("outer"), checks.step("inner"):
            checks.that(False, "a condition")

    assert failed(check).check == "inner: a condition"


@pytest.mark.parametrize(
    ("call", "came"),
    [
        (lambda: halve(1), "ZeroDivisionError: division by zero\nin halve, at: return number / 0"),
        (lambda: halve("x"),
         "TypeError: unsupported operand type(s) for /: 'str' and 'int'\nin halve, at: return number / 0"),
        (lambda: LEARNER["halve_all"]([1]), "ZeroDivisionError: division by zero\nin halve, at: return number / 0"),
        (lambda: LEARNER["apply"](lambda n: n / 0, 1),
         "ZeroDivisionError: division by zero\nin apply, at: return fn(value)"),
        (lambda: read("x"),
         "JSONDecodeError: Expecting value: line 1 column 1 (char 0)\nin read, at: return json.loads(text)"),
    ],
    ids=["python", "message", "nested", "calls back", "inside a library"],
)  # fmt: skip
def test_an_error_of_the_learner_names_their_line(call: Check, came: str) -> None:
    def check() -> None:
        with checks.step("a call"):
            call()

    failure = failed(check)
    assert fields(check) == ("a call: the code raised an error", came, "", "", "")
    assert failure.__suppress_context__
    assert failed(lambda: checks.that(False, "x")).check == "x", "the step is over"


@pytest.mark.parametrize(
    ("line", "came"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero\nat: 1 / 0"),
        ("halve()", "TypeError: halve() missing 1 required positional argument: 'number'\nat: halve()"),
        ("assert None", "AssertionError\nat: assert None"),
        ("checks.shape(None, 3)", None),
    ],
)
def test_an_error_of_the_test_cell_does_not_blame_the_learner(line: str, came: str | None) -> None:
    failure = failed(lambda: cell("<a test cell>", f"with checks.step('a call'):\n    {line}\n", halve=halve))
    if came is None:
        assert failure.check == "a call: the result: not a tensor"
    else:
        assert (failure.check, failure.came) == ("a call: the check could not use what it got", came)


def test_a_stub_is_not_written_yet() -> None:
    def check() -> None:
        with checks.step("a call"):
            unwritten()

    assert fields(check) == (
        "a call: not written yet",
        "NotImplementedError\nin unwritten, at: raise NotImplementedError",
        "",
        "",
        "",
    )


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_passes_through_a_step(kind: type[BaseException]) -> None:
    with pytest.raises(kind), checks.step("a call"):
        raise kind
    assert failed(lambda: checks.that(False, "x")).check == "x", "the step is over"


# ---- the end of a test cell


def passed(*titles: str) -> None:
    for title in titles:
        with checks.step(title):
            pass


def test_done_counts_the_steps_of_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    checks.done()
    capsys.readouterr()
    passed("a", "b")
    checks.done()
    passed("c")
    checks.done(hidden=True)
    assert capsys.readouterr().out == (
        "✓ 2 checks passed\n✓ 1 check passed; hidden tests check more after you hand in\n"
    )


def outside_of_a_step() -> None:
    checks.that(False, "a condition")


@pytest.mark.parametrize("inside", [True, False])
def test_a_failed_cell_leaves_no_count_behind(inside: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def cell() -> None:
        passed("a", "b")
        if inside:
            with checks.step("c"):
                outside_of_a_step()
        outside_of_a_step()

    checks.done()
    failed(cell)
    capsys.readouterr()
    passed("d")
    checks.done()
    assert capsys.readouterr().out == "✓ 1 check passed\n"


# ---- tensors


@pytest.mark.parametrize(
    ("value", "came", "cause"),
    [(None, "None", "a function without `return` gives None"), ([1.0], "[1.0] (list)", ""), (3, "3 (int)", "")],
)
def test_what_is_no_tensor(value: object, came: str, cause: str) -> None:
    assert fields(lambda: checks.tensor(value, "weights")) == (
        "weights: not a tensor",
        came,
        "a torch.Tensor",
        "",
        cause,
    )
    others: tuple[Check, ...] = (
        lambda: checks.shape(value, (1,)),
        lambda: checks.dtype(value, torch.float32),
        lambda: checks.close(value, torch.ones(1)),
        lambda: checks.finite(value),
    )
    assert {failed(check).check for check in others} == {"the result: not a tensor"}


def test_a_tensor_passes() -> None:
    value = torch.ones(2)
    assert checks.tensor(value) is value


def test_shape() -> None:
    checks.shape(torch.ones(2, 3), [2, 3])
    checks.shape(torch.ones(()), ())
    assert fields(lambda: checks.shape(torch.ones(2, 3), (3, 2), "weights")) == (
        "weights: another shape",
        "(2, 3)",
        "(3, 2)",
        "",
        "",
    )
    assert failed(lambda: checks.shape(torch.ones(2, 3), (2, 3, 1))).expected == "(2, 3, 1)"
    transposed = {"no": torch.zeros(2, 3), "transposed": torch.ones(2, 3)}
    assert failed(lambda: checks.shape(torch.ones(2, 3), (3, 2), causes=transposed)).cause == "transposed"


def test_dtype() -> None:
    checks.dtype(torch.ones(2), torch.float32)
    assert fields(lambda: checks.dtype(torch.ones(2), torch.float64, "weights")) == (
        "weights: another dtype",
        "torch.float32",
        "torch.float64",
        "",
        "",
    )


def test_finite() -> None:
    checks.finite(vector(1, -3e38))
    checks.finite(torch.tensor([1, 2]))
    causes = {"a row was empty": lambda: True}
    assert fields(lambda: checks.finite(vector(1, NAN, INF), "context", causes=causes)) == (
        "context not finite",
        "2 of 3 entries are nan or inf",
        "",
        "",
        "a row was empty",
    )


# ---- close


def test_close_says_what_came_what_was_expected_and_where_they_differ_most() -> None:
    got = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.5, 9.0]])
    expected = torch.arange(1.0, 7.0).reshape(2, 3)
    assert fields(lambda: checks.close(got, expected, "weights")) == (
        "weights not as expected",
        "[[1.0, 2.0, 3.0], [4.0, 5.5, 9.0]] (shape (2, 3), float32)",
        "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]] (shape (2, 3), float32)",
        "at (1, 2): 9 instead of 6; 2 of 6 entries differ",
        "",
    )


def test_close_of_single_numbers_names_no_position() -> None:
    assert fields(lambda: checks.close(torch.tensor(2.5), torch.tensor(3.0), "loss")) == (
        "loss not as expected",
        "2.5",
        "3",
        "2.5 instead of 3",
        "",
    )


@pytest.mark.parametrize("index", [(0, 0, 0), (1, 2, 3), (0, 2, 1), (1, 0, 3)])
def test_the_position_of_the_largest_gap(index: tuple[int, int, int]) -> None:
    got = torch.zeros(2, 3, 4)
    got[1, 1, 1] = 0.5
    got[index] = -2.0
    failure = failed(lambda: checks.close(got, torch.zeros(2, 3, 4)))
    assert failure.where == f"at {index}: -2 instead of 0; 2 of 24 entries differ"


def test_the_position_is_not_that_of_an_infinity_that_is_right() -> None:
    failure = failed(lambda: checks.close(vector(INF, 1.0), vector(INF, 2.0)))
    assert failure.where == "at (1,): 1 instead of 2; 1 of 2 entries differ"


def test_the_position_is_one_that_is_wrong() -> None:
    failure = failed(lambda: checks.close(vector(1e6 + 50, 1.0), vector(1e6, 0.0)))
    assert failure.where == "at (1,): 1 instead of 0; 1 of 2 entries differ"


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.ones(1), torch.ones(4)),
        (torch.ones(()), torch.ones(1)),
        (torch.ones(4, 1), torch.ones(1, 4)),
        (torch.ones(2, 2), torch.ones(4)),
        (torch.ones(0), torch.ones(1)),
    ],
)
def test_close_never_broadcasts(got: torch.Tensor, expected: torch.Tensor) -> None:
    for failure in (
        failed(lambda: checks.close(got, expected, "weights")),
        failed(lambda: checks.equal(got, expected, "weights")),
    ):
        assert failure.check == "weights: another shape"
        assert (failure.came, failure.expected) == (str(tuple(got.shape)), str(tuple(expected.shape)))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int64, torch.bool])
def test_close_wants_the_same_dtype(kind: torch.dtype) -> None:
    failure = failed(lambda: checks.close(torch.ones(2, dtype=kind), torch.ones(2)))
    assert failure.check == "the result: another dtype"


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ((NAN, 1), (0, 1)),
        ((NAN, 1), (NAN, 1)),
        ((0, 1), (NAN, 1)),
        ((INF, 1), (0, 1)),
        ((-INF, 1), (INF, 1)),
        ((0, 1), (INF, 1)),
        ((0, 1), (-INF, 1)),
        ((NAN, 1), (INF, 1)),
    ],
)
def test_what_is_not_finite_is_close_to_nothing_else(got: tuple[float, ...], expected: tuple[float, ...]) -> None:
    for failure in (
        failed(lambda: checks.close(vector(*got), vector(*expected))),
        failed(lambda: checks.equal(vector(*got), vector(*expected))),
    ):
        assert failure.where.startswith("at (0,): ")
        assert failure.where.endswith("; 1 of 2 entries differ")


@pytest.mark.parametrize("value", [INF, -INF])
def test_the_same_infinity_is_close(value: float) -> None:
    checks.close(vector(value, 1), vector(value, 1))
    checks.equal(vector(value, 1), vector(value, 1))


@pytest.mark.parametrize(
    ("got", "expected", "rtol", "atol", "passes"),
    [
        (1.5, 1.0, 0.0, 0.5, True),
        (math.nextafter(1.5, 2), 1.0, 0.0, 0.5, False),
        (0.5, 1.0, 0.0, 0.5, True),
        (2.5, 2.0, 0.25, 0.0, True),
        (math.nextafter(2.5, 3), 2.0, 0.25, 0.0, False),
        (-2.5, -2.0, 0.25, 0.0, True),
        (2.0, 2.5, 0.2, 0.0, True),
        (3.0, 2.0, 0.25, 0.5, True),
        (3.1, 2.0, 0.25, 0.5, False),
        (0.0, 1e-300, 0.0, 0.0, False),
    ],
)
def test_the_tolerance(got: float, expected: float, rtol: float, atol: float, passes: bool) -> None:
    def check() -> None:
        values = vector(got, dtype=torch.float64), vector(expected, dtype=torch.float64)
        checks.close(*values, rtol=rtol, atol=atol)

    check() if passes else failed(check)


def test_the_default_tolerance_is_tight() -> None:
    checks.close(vector(0.9e-5), vector(0.0))
    checks.close(vector(100.009), vector(100.0))
    failed(lambda: checks.close(vector(1.1e-5), vector(0.0)))
    failed(lambda: checks.close(vector(100.012), vector(100.0)))


def test_large_whole_numbers_are_told_apart() -> None:
    failure = failed(lambda: checks.equal(torch.tensor([12345678, 0]), torch.tensor([12345679, 0])))
    assert failure.where == "at (0,): 12345678 instead of 12345679; 1 of 2 entries differ"


def test_half_precision_is_compared_exactly_enough() -> None:
    got, expected = vector(60000, dtype=torch.float16), vector(-60000, dtype=torch.float16)
    assert failed(lambda: checks.close(got, expected)).where == "at (0,): 60000 instead of -60000"


def test_imaginary_parts_count() -> None:
    checks.close(torch.tensor([1 + 2j]), torch.tensor([1 + 2j]))
    failed(lambda: checks.close(torch.tensor([1 + 2j]), torch.tensor([1 + 5j])))


def test_empty_tensors_are_close() -> None:
    checks.close(torch.ones(0, 3), torch.zeros(0, 3))


def test_tensors_that_require_gradients_are_compared_by_value() -> None:
    checks.close(torch.ones(2, requires_grad=True), torch.ones(2))
    failure = failed(lambda: checks.close(torch.ones(2, requires_grad=True), torch.zeros(2)))
    assert failure.came == "[1.0, 1.0] (shape (2,), float32)"


# ---- equal


def test_equal_tensors_are_equal_in_every_bit_of_value() -> None:
    checks.equal(vector(1, 2), vector(1, 2))
    failed(lambda: checks.equal(vector(1 + 1e-7), vector(1)))
    failed(lambda: checks.equal([1.0, 2.0], vector(1, 2)))
    failed(lambda: checks.equal(torch.tensor([True, False]), torch.tensor([True, True])))


def test_whole_numbers_are_compared_beyond_double_precision() -> None:
    failed(lambda: checks.equal(torch.tensor([2**53]), torch.tensor([2**53 + 1])))


@pytest.mark.parametrize("value", [4, 0.5, "x", True, None, (1, 2), [1, "a"], {"a": 1}])
def test_equal_values_pass(value: object) -> None:
    checks.equal(value, value)


@pytest.mark.parametrize(
    ("got", "expected", "came", "wanted"),
    [
        (4, 5, "4 (int)", "5 (int)"),
        (4.0, 4, "4.0 (float)", "4 (int)"),
        (True, 1, "True (bool)", "1 (int)"),
        ([1], (1,), "[1] (list)", "(1,) (tuple)"),
        (None, 4, "None", "4 (int)"),
        ("a", "b", "'a' (str)", "'b' (str)"),
        (NAN, NAN, "nan (float)", "nan (float)"),
    ],
)
def test_equal_wants_type_and_value(got: object, expected: object, came: str, wanted: str) -> None:
    assert fields(lambda: checks.equal(got, expected, "count")) == ("count not as expected", came, wanted, "", "")


def test_a_tensor_is_not_equal_to_a_number() -> None:
    assert failed(lambda: checks.equal(torch.tensor(4), 4)).came == "4"


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


# ---- near


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.00005, True),
        (1, 1.001, False),
        (0.0, 0.9e-5, True),
        ("a", "a", True),
        ("1", 1, False),
        (None, None, True),
        ((1, 2), (1, 2), True),
        (vector(1, 2), vector(1, 2.0001), True),
        (vector(1, 2), vector(1, 2.1), False),
        (vector(1), vector(1, 1), False),
        (vector(1), 1.0, False),
        (vector(NAN), vector(NAN), True),
        (vector(1), vector(1, dtype=torch.float64), True),
    ],
)
def test_near(a: object, b: object, expected: bool) -> None:
    assert checks.near(a, b) is expected


def test_near_takes_a_tolerance() -> None:
    assert checks.near(1.0, 1.4, atol=0.5)
    assert not checks.near(vector(1.0), vector(1.00005), rtol=0.0, atol=0.0)


# ---- raises


def test_the_wanted_error_passes() -> None:
    checks.raises(ValueError, read, "x")
    checks.raises((KeyError, ZeroDivisionError), halve, number=1)


@pytest.mark.parametrize(
    ("kinds", "fn", "args", "expected"),
    [
        (ValueError, abs, (1,), ("a call was accepted", "no error", "ValueError")),
        ((ValueError, KeyError), abs, (1,), ("a call was accepted", "no error", "ValueError or KeyError")),
        (ValueError, halve, (1,), ("a call raised another error", "ZeroDivisionError: division by zero", "ValueError")),
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

    assert failed(check).check == "a wrong width: the call was accepted"


# ---- beside


class Pair(NamedTuple):
    a: torch.Tensor
    b: int


def test_observations_are_detached_copies() -> None:
    weight = torch.ones(2, requires_grad=True)
    seen = checks.beside(lambda x: {"out": [x * 2, (x, None)], 3: "text"}, weight)
    assert list(seen) == ["out", 3]
    doubled, (same, none) = seen["out"]
    assert (doubled.requires_grad, same.requires_grad, none, seen[3]) == (False, False, None, "text")
    assert doubled.tolist() == [2.0, 2.0]
    same.add_(5)
    assert weight.tolist() == [1.0, 1.0], "a copy, not a view"


@pytest.mark.parametrize("value", [1, 2.5, "x", True, None, (1, [2, {"a": None}])])
def test_plain_values_come_back_as_they_are(value: object) -> None:
    assert checks.beside(lambda: value) == value


def test_objects_and_options_reach_the_function() -> None:
    assert checks.beside(lambda a, b, *, c: [a, b, c], 1, 2, c=3) == [1, 2, 3]


def test_a_named_tuple_comes_back_as_a_tuple() -> None:
    found = checks.beside(lambda: Pair(torch.ones(1), 2))
    assert type(found) is tuple
    assert found[1] == 2


class Sly(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class SlyText(str):
    __slots__ = ()


class SlyTensor(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Sly(1), float),
        (SlyText("x"), str),
        (torch.ones(1).as_subclass(SlyTensor), torch.Tensor),
        (torch.nn.Parameter(torch.ones(1)), torch.Tensor),
    ],
    ids=["float", "str", "tensor", "parameter"],
)
def test_an_observation_is_never_an_object_of_the_learner(value: object, kind: type) -> None:
    try:
        found = checks.beside(lambda: [value])[0]
    except TypeError:
        return
    assert type(found) is kind


@pytest.mark.parametrize("value", [object(), {1, 2}, len, torch.nn.Linear(1, 1), b"x"])
def test_objects_are_refused(value: object) -> None:
    for found in (value, [value], {"a": (value,)}):
        with pytest.raises(TypeError, match=f"must be plain data, not {type(value).__name__}"):
            checks.beside(lambda found=found: found)


def test_a_forbidden_call() -> None:
    def shortcut(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.softmax(x, dim=-1)

    names = ("torch.nn.functional.softmax", "torch.nn.Linear")
    checks.forbidden(names, torch.exp, torch.ones(2))
    failure = failed(lambda: checks.forbidden(names, shortcut, torch.ones(2)))
    assert failure.check == "a library call does the work of this exercise"
    assert failure.came == "a call of torch.nn.functional.softmax"


# ---- look


def test_look_is_silent_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        print("a picture")
    assert capsys.readouterr().out == "a picture\n"


def test_look_says_that_a_stub_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        unwritten()
    assert capsys.readouterr().out == (
        "Nothing to see yet: this exercise is not written. Fill in the stub and run this cell again.\n"
    )


def test_look_says_error_and_line_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        halve(1)
    assert capsys.readouterr().out == (
        "Nothing to see yet: ZeroDivisionError: division by zero\n  in halve, at: return number / 0\n"
    )


@pytest.mark.parametrize("name", ["talkative", "mute"])
def test_look_never_raises_and_stays_with_two_lines(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        LEARNER[name]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Nothing to see yet: ")
    assert lines[1].startswith(f"  in {name}, at: ")


# ---- random numbers and descriptions


def test_normal_is_reproducible_and_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    randn = checks.normal(7)
    first, second = randn(2, 3), randn(2, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == (2, 3)
    assert first.dtype == torch.float32
    assert not torch.equal(first, second)
    assert torch.equal(checks.normal(7)(2, 3), first)
    assert not torch.equal(checks.normal(8)(2, 3), first)
    assert checks.normal(7, torch.float64)(3).dtype == torch.float64
    many = checks.normal(0)(10_000)
    assert abs(many.mean()) < 0.03
    assert abs(many.std() - 1) < 0.03


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (3, "3 (int)"),
        ("x" * 300, "'" + "x" * 199 + "… (str)"),
        (torch.tensor(1 / 3), "0.333333"),
        (torch.tensor([[7]]), "7"),
        (vector(1 / 3, NAN), "[0.3333, nan] (shape (2,), float32)"),
        (torch.tensor([True, False]), "[True, False] (shape (2,), bool)"),
        (torch.arange(4).reshape(2, 2), "[[0, 1], [2, 3]] (shape (2, 2), int64)"),
        (torch.arange(17.0) - 2, "shape (17,), float32, from -2 to 14"),
        (torch.cat([torch.arange(16.0), vector(INF, NAN)]), "shape (18,), float32, from 0 to 15, 2 not finite"),
        (torch.full((17,), NAN), "shape (17,), float32"),
        (torch.arange(17), "shape (17,), int64"),
    ],
)
def test_values_in_a_few_words(value: object, text: str) -> None:
    assert checks.describe(value) == text
