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
    """Mutual information: at least 1.0 nat for the full run, at most 0.3 without centering or sharpening."""
    names = names_of_the_runs()
    digits, recipe = names["digits"], names["Recipe"]
    found: dict[str, list[float]] = {}
    for name, options, word in (
        ("full", {}, "healthy"),
        ("no centering", {"centering": False}, "one_dimension"),
        ("no sharpening", {"t_teacher": 1.0}, "uniform"),
    ):
        for seed in SEEDS:
            run = names["self_distill"](digits.x_train, recipe(**options), seed)
            end = names["last_mean"](run.history)
            found.setdefault(name, []).append(end["mutual_information"])
            assert names["diagnose"](end, recipe().outputs) == word, f"{name}, seed {seed}"
        numbers = sorted(found[name])
        print(f"{name}, {len(numbers)} seeds: mutual information from {numbers[0]:.3f} to {numbers[-1]:.3f} nats")
    assert min(found["full"]) >= 1.0
    assert max(found["no centering"]) <= 0.3
    assert max(found["no sharpening"]) <= 0.3
