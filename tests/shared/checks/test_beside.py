"""`shared.checks`: what is observed beside the learner; random numbers; descriptions."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from shared import checks

from .cells import INF, NAN, failed, vector

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
