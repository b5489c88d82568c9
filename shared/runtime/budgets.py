"""How large a measurement on real data is: what `workbook record --real-data` asks of the cells that it measures.

A cell is written for some minutes on two CPU cores. Asked for others, it takes more or fewer steps:

    budget = profile.budget(minutes=3)
    train(steps=budget.scaled(600), images=budget.scaled(5000, at_most=50_000), seed=budget.seed)
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What a cell may take.

    Attributes:
        factor: how many times the minutes that it was written for.
        seed: of everything that it draws.
    """

    factor: float
    seed: int

    def scaled(self, count: int, at_most: int | None = None) -> int:
        """Steps or images in proportion to the budget: one or more, and not more than `at_most`."""
        found = max(1, round(count * self.factor))
        return found if at_most is None else min(found, at_most)


def budget(minutes: float) -> Budget:
    """The budget of a cell that was written for so many minutes on two CPU cores.

    The environment variables `WORKBOOK_MINUTES` and `WORKBOOK_SEED` ask for others; the seed is 0 by default.

    Raises:
        ValueError: one of them is no number, or the minutes are not positive.
    """
    asked = float(os.environ.get("WORKBOOK_MINUTES") or minutes)
    if not 0 < asked < float("inf"):
        raise ValueError(f"WORKBOOK_MINUTES={asked} is not a number of minutes; set it to a positive one")
    return Budget(asked / minutes, int(os.environ.get("WORKBOOK_SEED") or 0))
