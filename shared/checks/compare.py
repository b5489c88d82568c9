"""Values as checks see them: described in a few words, compared entry by entry, reduced to plain data.

Works on tensors and on plain values alike, and loads no torch where no tensor has come.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def is_tensor(value: Any) -> bool:
    """Whether the value is a tensor of torch."""
    torch = sys.modules.get("torch")  # without torch there are no tensors, and nobody pays for its import
    return torch is not None and isinstance(value, torch.Tensor)


def describe(value: Any) -> str:
    """A value in a few words: small tensors in full, large ones by shape, dtype and range.

    What stands for an object in another process says what that is by `__kind__`.
    """
    if not is_tensor(value):
        text = repr(value)
        kind = value.__kind__() if hasattr(type(value), "__kind__") else type(value).__name__
        return f"{text if len(text) <= 200 else text[:200] + '…'} ({kind})" if value is not None else "None"
    head = f"shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if value.numel() == 1:
        return _number(value)
    if value.numel() <= 16:
        rows = value.detach().double().mul(10**4).round().div(10**4) if value.is_floating_point() else value
        return f"{rows.tolist()} ({head})"
    if value.is_floating_point() and value.isfinite().any():
        finite = value.detach()[value.isfinite()].double()
        bad = value.numel() - finite.numel()
        tail = f", {bad} not finite" if bad else ""
        return f"{head}, from {finite.min():.4g} to {finite.max():.4g}{tail}"
    return head


def near(a: Any, b: Any, *, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two values agree in shape and, within the tolerance, everywhere. For probes of causes."""
    if is_tensor(a) and is_tensor(b):
        import torch

        return a.shape == b.shape and torch.allclose(
            a.detach().double(), b.detach().double(), rtol, atol, equal_nan=True
        )
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= atol + rtol * abs(b)
    return type(a) is type(b) and bool(a == b)


def difference(got: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float) -> str:
    """Where two tensors of one shape and dtype differ most, in words; "" where they agree everywhere.

    Not-a-number never agrees with anything.
    """
    gap, wrong = _gaps(got, expected, rtol, atol)
    if not wrong.any():
        return ""
    flat = int(gap.where(wrong, -1.0).argmax())
    index = tuple(_unravel(flat, tuple(gap.shape)))
    at = f"at {index}: " if index else ""
    share = f"; {int(wrong.sum())} of {wrong.numel()} entries differ" if wrong.numel() > 1 else ""
    return f"{at}{_number(got.flatten()[flat])} instead of {_number(expected.flatten()[flat])}{share}"


def _gaps(got: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The gap at every entry (float64, infinite for what is not finite on one side), and where it is too large."""
    import torch

    same = got == expected  # compared in their own dtype: whole numbers beyond 2**53, equal infinities
    wide = torch.complex128 if expected.is_complex() else torch.float64
    size = expected.to(wide).abs()
    gap = (got.to(wide) - expected.to(wide)).abs().nan_to_num(nan=math.inf, posinf=math.inf).where(~same, 0.0)
    close_enough = (gap <= atol + rtol * size) & size.isfinite() if rtol or atol else same
    return gap, ~(same | close_enough)


def _unravel(flat: int, size: tuple[int, ...]) -> Iterator[int]:
    for position in range(len(size)):
        block = 1
        for length in size[position + 1 :]:
            block *= length
        yield flat // block % size[position]


def _number(value: torch.Tensor) -> str:
    return f"{value.item():.6g}" if value.is_floating_point() else f"{value.item()}"


def plain(value: Any) -> Any:
    """A copy of plain data that carries nothing else: numbers, strings, None, tensors, and containers of them.

    Raises
    ------
    TypeError
        for anything else.
    """
    if is_tensor(value):
        import torch

        return value.detach().as_subclass(torch.Tensor).clone()
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):  # a subclass may carry methods of the learner's
            return kind.__new__(kind, kind.__str__(value)) if kind is str else _exact(kind, value)
    if isinstance(value, tuple | list):
        return type(value)(plain(item) for item in value) if type(value) in (tuple, list) else tuple(map(plain, value))
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    raise TypeError(f"an observation must be plain data, not {type(value).__name__}")


def _exact(kind: type, value: Any) -> Any:
    """The number alone, without what a subclass of int or float may have overridden."""
    return int.__int__(value) if kind is int else float.__float__(value)
