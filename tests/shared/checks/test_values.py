"""`shared.checks`: which values pass, and where the others differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
import torch

from shared import checks

from .cells import INF, NAN, Check, failed, fields, vector

# ---- tensors


@pytest.mark.parametrize(
    ("value", "came", "cause"),
    [(None, "None", ""), ([1.0], "[1.0] (list)", ""), (3, "3 (int)", "")],
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
        "weights: wrong shape",
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
        "weights: wrong dtype",
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
        assert failure.check == "weights: wrong shape"
        assert (failure.came, failure.expected) == (str(tuple(got.shape)), str(tuple(expected.shape)))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int64, torch.bool])
def test_close_wants_the_same_dtype(kind: torch.dtype) -> None:
    failure = failed(lambda: checks.close(torch.ones(2, dtype=kind), torch.ones(2)))
    assert failure.check == "the result: wrong dtype"


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


def test_each_walks_through_what_is_expected_beside_what_came() -> None:
    assert checks.each(["a", "b"], (1, 2), iter([3, 4])) == [("a", 1, 3), ("b", 2, 4)]
    assert checks.each([], []) == []
    rows = checks.each(range(2), torch.tensor([[1, 2], [3, 4]]))
    assert [(place, row.tolist()) for place, row in rows] == [(0, [1, 2]), (1, [3, 4])]


@pytest.mark.parametrize(
    ("came", "words"),
    [([], "got:          0"), ([1], "got:          1"), ([1, 2, 3], "more than 2"), (itertools.count(), "more than 2")],
)
def test_each_fails_where_fewer_or_more_came(came: Iterable[int], words: str) -> None:
    failure = failed(lambda: checks.each(["a", "b"], came, name="the gradients"))
    assert failure.check == "the gradients: wrong number of entries"
    assert words in str(failure)


def test_fresh_seeds_differ_and_fit_a_generator() -> None:
    seeds = {checks.fresh_seed() for _ in range(20)}
    assert len(seeds) > 15
    for seed in seeds:
        checks.normal(seed)(1)
