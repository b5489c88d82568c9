"""Week 02 over many seeds."""

from __future__ import annotations

import math
import re

import pytest
import torch

from autograder.week.source import load_week

from ..chosen import ROOT, long_weeks
from .names import SEEDS, names_with

WEEK = "week02_vision_transformer"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def test_week02_table_of_four_sentences() -> None:
    """The table in the lesson, and what the lesson says of it: gaps in points to the usual model of the same seed."""
    wanted = ("handwriting", "ROW_BY_ROW", "ANOTHER_ORDER", "USUAL", "VARIANTS", "readers", "trained")
    names = names_with(WEEK, *wanted)
    usual = names["USUAL"]
    accuracies = 100 * torch.tensor([names["trained"](made) for made in names["readers"](SEEDS)])
    found = dict(zip(names["VARIANTS"], accuracies.reshape(-1, len(SEEDS)), strict=True))
    gap, half = {}, {}
    for name, shares in found.items():
        gaps = shares - found[usual]
        gap[name], half[name] = gaps.mean().item(), 2.093 * gaps.std().item() / math.sqrt(len(SEEDS))  # t, 19 degrees
        spread = f"{shares.min():.1f} to {shares.max():.1f}"
        print(f"| {name} | {shares.mean():.1f} | {spread} | {gap[name]:+.1f} ± {half[name]:.1f} |")

    text = "\n".join(cell.source for cell in load_week(ROOT / "solutions" / WEEK).cells)
    for name, shares in found.items():  # other processors round differently, which a training amplifies
        (row,) = re.findall(rf"\| \**{re.escape(name)}\**[^|]*\| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", text)
        assert abs(float(row[0]) - shares.mean().item()) < 2, name
    for name in ("random 0.5, frozen", "mean of the patch tokens", "patches in another order"):
        assert abs(gap[name]) + half[name] < 3, f"{name}: as good as the usual one"
    assert gap["no positions"] + half["no positions"] < -25
    assert gap["random 0.02, learned"] + half["random 0.02, learned"] < -15
    for name in ("sines, learned", "sines, frozen"):
        assert -10 < gap[name] - half[name] < gap[name] + half[name] < 0, f"{name}: a few points less"
    assert gap["1 head"] + half["1 head"] < -5
    assert gap["16 heads"] - half["16 heads"] > 0
