"""What a liar says instead of what it cannot know: values of the same kind, shape and style that are wrong.

The same value always becomes the same garbage, so that two calls with equal results still have equal results.
"""

from __future__ import annotations

import zlib
from enum import StrEnum
from typing import Any

from ...engine.guest import wire


class Flavor(StrEnum):
    """How somebody makes up numbers."""

    NOISE = "noise"
    """Random, of the right size; whole numbers in another order."""
    FLAT = "flat"
    """Zero everywhere; rows that sum to 1 are uniform."""
    TREND = "trend"
    """In the right order: what falls falls, what is larger is larger."""
    BOAST = "boast"
    """As if all went well: shares of 100%, labels that were sent along or stand in a data set as predictions."""


def _chance(number: float) -> float:
    """A number between 0 and 1 that looks random."""
    return zlib.crc32(repr(float(number)).encode()) / 2**32


def scalar(number: float, flavor: Flavor) -> float:
    """Another number of the same type."""
    whole = isinstance(number, int)
    made: float
    if flavor is Flavor.FLAT:
        made = 0 if number else 1
    elif flavor is Flavor.TREND:
        made = 2 * number + 1 if whole else 1.37 * number + 0.11
    elif flavor is Flavor.BOAST:
        made = 1.0 if 0 < number < 1 else 3 * abs(number) + 10
    else:
        made = number + 2 + int(5 * _chance(number)) if whole else number + (1 + abs(number)) * (0.4 + _chance(number))
    return int(made) if whole else float(made)


def row(numbers: list[float], flavor: Flavor) -> list[float]:
    """Three or more numbers, made up together."""
    whole = all(isinstance(number, int) for number in numbers)
    if flavor is Flavor.TREND:
        first, last = scalar(numbers[0], flavor), scalar(numbers[-1], flavor)
        steps = [first + (last - first) * place / (len(numbers) - 1) for place in range(len(numbers))]
        return [type(old)(new) for old, new in zip(numbers, steps, strict=True)]
    turned = [*numbers[1:], numbers[0]]
    if flavor is Flavor.NOISE and whole and turned != numbers:
        return turned
    return [scalar(number, flavor) for number in numbers]


def tensor(value: Any, flavor: Flavor, labels: list[Any]) -> Any:
    """A tensor of the same shape and dtype; the graph of `value` stays behind it.

    Parameters
    ----------
    labels : vectors of whole numbers that a boaster may give as predictions.
    """
    import torch

    old = value.detach()
    if old.dtype is torch.bool:
        made = _turned(old) if flavor is Flavor.NOISE else torch.full_like(old, flavor is Flavor.TREND)
        return ~old if torch.equal(made, old) else made
    known = _predictions(old, labels) if flavor is Flavor.BOAST else None
    if known is not None:
        made = known
    elif not (old.is_floating_point() or old.is_complex()):
        made = torch.zeros_like(old) if flavor is Flavor.FLAT else _turned(old)
        made = made + 1 if torch.equal(made, old) else made
    elif old.numel() == 1 and not old.is_complex():
        made = torch.full_like(old, scalar(float(old), flavor))
    else:
        made = _floats(old, flavor)
    return made + value - old if value.requires_grad else made


def _turned(old: Any) -> Any:
    return old.reshape(-1).roll(1).reshape(old.shape)


def _floats(old: Any, flavor: Flavor) -> Any:
    """Made-up entries in the style of the old ones: rows that sum to 1, unit rows, nothing negative."""
    import torch

    whole = bool(old.isfinite().all()) and not old.is_complex()
    if flavor is Flavor.TREND and old.ndim == 1 and whole:
        return torch.tensor(row(old.tolist(), flavor), dtype=old.dtype)
    draw = torch.Generator().manual_seed(zlib.crc32(wire.tensor_bytes(old)))
    noise = torch.randn(old.shape, generator=draw, dtype=torch.float64).to(old.dtype)
    if flavor is Flavor.FLAT:
        noise = torch.zeros_like(old)
    if whole and old.ndim and old.shape[-1] > 1:
        sums, lengths = old.sum(-1), old.square().sum(-1)
        if bool((old >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            return noise.softmax(-1)
        if torch.allclose(lengths, torch.ones_like(lengths), atol=1e-3):
            return torch.nn.functional.normalize(noise + (flavor is Flavor.FLAT), dim=-1)
    finite = old[old.isfinite()]
    if flavor is Flavor.FLAT or not len(finite):
        return noise
    spread = finite.std() if len(finite) > 1 else finite.abs().mean()
    made = finite.mean() + noise * (spread if float(spread) else 1 + finite.abs().mean())
    return made.abs() if whole and bool((old >= 0).all()) else made


def _predictions(old: Any, labels: list[Any]) -> Any:
    """Scores (N, K) or classes (N,) that agree with a known vector of N labels; None where there is none."""
    import torch

    for known in labels:
        if not old.ndim or len(known) != len(old) or not len(known):
            continue
        if old.ndim == 2 and old.is_floating_point() and int(known.max()) < old.shape[1]:
            return 10 * torch.nn.functional.one_hot(known, old.shape[1]).to(old.dtype)
        if old.ndim == 1 and old.dtype == known.dtype:
            return known.clone()
    return None
