"""Random numbers for test cells: from a seed that stands in the test, or from one that nobody knows beforehand."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def normal(seed: int, dtype: torch.dtype | None = None) -> Callable[..., torch.Tensor]:
    """A source of standard normal tensors: `randn = checks.normal(0); randn(2, 3)` is (2, 3), float32."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def randn(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=dtype)

    return randn


def fresh_seed() -> int:
    """A seed that nobody knows before the test runs, for inputs whose results cannot be written down beforehand.

    Only where a right answer passes for every seed: `randn = checks.normal(checks.fresh_seed())`.
    """
    return secrets.randbits(31)
