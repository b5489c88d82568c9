"""Week 13 over many seeds."""

from __future__ import annotations

import pytest
import torch

from ..chosen import long_weeks
from .names import SEEDS, names_with

pytestmark = pytest.mark.skipif("week13_realtime_detection" not in long_weeks(), reason="not among the chosen weeks")
STEPS = (200, 400)
"""The lesson's budget, and twice that."""


def test_week13_one_to_one_needs_no_nms_and_one_to_many_does() -> None:
    """The lesson's table for each seed, at two budgets: AP50 of both heads, with NMS and without."""
    wanted = ("fit", "as_items", "average_precisions", "head_outputs")
    names = names_with("week13_realtime_detection", *wanted)
    scenes = names["datasets"].shape_scenes
    train, test = scenes(1200, size=64, seed=0), scenes(200, size=64, seed=1)
    worst: dict[tuple[str, int], float] = {}
    for steps in STEPS:
        for seed in SEEDS:
            torch.manual_seed(seed)
            model = names["DualHeadDetector"](3)
            names["fit"](model, train, steps, seed)
            score = {}
            for head, at in (("many", 0.6), ("many", None), ("one", 0.6), ("one", None)):
                found = names["as_items"](*names["head_outputs"](model, test.images, head), nms_at=at)
                key = f"one-to-{head}, {'no NMS' if at is None else 'NMS'}"
                score[key] = names["average_precisions"](found, test.targets)["AP50"]
            lead = score["one-to-one, no NMS"] - score["one-to-many, no NMS"]
            print(f"{steps} steps, seed {seed}:", *(f"{name} {x:.3f}" for name, x in score.items()), f"lead {lead:.3f}")
            for name, value in (("one-to-one, no NMS", score["one-to-one, no NMS"]), ("lead", lead)):
                worst[name, steps] = min(worst.get((name, steps), 1.0), value)
    for (name, steps), value in worst.items():
        print(f"worst of {len(SEEDS)} seeds, {steps} steps, {name}: {value:.3f}")
    assert worst["one-to-one, no NMS", 200] > 0.75
    assert worst["lead", 200] > 0.1
