"""Week 06 over many seeds: no graded cell trains, but the lesson says how each run ends."""

from __future__ import annotations

from typing import Any

import pytest

from autograder.source import load_week

from ..chosen import ROOT, long_weeks
from .names import SEEDS, names_of

WEEK = "week06_self_distillation"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def names_of_the_runs() -> dict[str, Any]:
    """The names of the answers, and of the cell that defines networks and training."""
    names = names_of(WEEK)
    cell = next(cell for cell in load_week(ROOT / "solutions" / WEEK).cells if "class Network" in cell.source)
    exec(compile(cell.source, cell.id, "exec"), names)
    return names


def test_week06_runs_end_as_the_lesson_says_from_every_seed() -> None:
    """Mutual information: at least 1.0 nat for the full run, less than half of that run's without centering."""
    names = names_of_the_runs()
    digits, recipe = names["digits"], names["Recipe"]

    def information(seed: int, **options: Any) -> float:
        run = names["self_distill"](digits.x_train, recipe(**options), seed)
        return float(names["last_mean"](run.history)["mutual_information"])

    full = [information(seed) for seed in SEEDS]
    without = [information(seed, centering=False) for seed in SEEDS]
    blunt = [information(seed, t_teacher=1.0) for seed in SEEDS[:5]]
    for name, found in (("full", full), ("no centering", without), ("no sharpening", blunt)):
        print(f"{name}, {len(found)} seeds: mutual information from {min(found):.3f} to {max(found):.3f} nats")
    print(f"no centering: at most 0.3 nats in {sum(value <= 0.3 for value in without)} of {len(without)} seeds")
    assert min(full) >= 1.0
    assert max(few / many for few, many in zip(without, full, strict=True)) < 0.5
    assert max(blunt) <= 0.01
