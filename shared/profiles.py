"""Which machine a notebook is sized for: the names that notebooks import."""

from .runtime.budgets import Budget, budget
from .runtime.profiles import (
    SECONDS_WITHOUT_BAR,
    Profile,
    current,
    describe,
    device,
    not_measured,
    pick,
    side_by_side,
    track,
)

__all__ = [
    "SECONDS_WITHOUT_BAR",
    "Budget",
    "Profile",
    "budget",
    "current",
    "describe",
    "device",
    "not_measured",
    "pick",
    "side_by_side",
    "track",
]
