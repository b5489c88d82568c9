"""Week 12 over many seeds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ..chosen import long_weeks
from .names import SEEDS, names_with

pytestmark = pytest.mark.skipif("week12_detection_transformer" not in long_weeks(), reason="not among the chosen weeks")
STEPS = (440, 600, 1200)
"""The target's budget, the lesson's, and twice that."""


def _trained(names: dict[str, Any], mode: str, seed: int, steps: int) -> dict[str, float]:
    torch.manual_seed(seed)
    model = names["TinyDETR"](3, query_mode=mode)
    names["fit"](model, names["TRAIN"], steps, seed)
    found, targets = names["detections"](model, names["TEST"].images), names["TEST"].targets
    boxes = names["something_found"](model, names["TEST"].images)
    plain = names["without_classes"]
    score = names["mean_average_precision"](found, targets)
    only = names["mean_average_precision"](plain(boxes), plain(targets))
    return {"AP50": score["map_50"], "AP": score["map"], "AP50, boxes only": only["map_50"]}


def test_week12_reference_queries_reach_the_target_and_lead() -> None:
    """The lesson's comparison for each seed, at three budgets: AP50, and that of the boxes alone."""
    names = names_with(
        "week12_detection_transformer",
        "fit",
        "detections",
        "something_found",
        "without_classes",
        "WEIGHTS",
        "LOSS_WEIGHTS",
        "EVERY",
    )
    options = {"size": 32, "max_objects": 3, "radius": (0.14, 0.26), "max_iou": 0.1}
    scenes = names["datasets"].shape_scenes
    names |= {"SIZE": 32, "TRAIN": scenes(2000, seed=0, **options), "TEST": scenes(200, seed=1, **options)}
    worst: dict[tuple[str, int], float] = {}
    for steps in STEPS:
        for seed in SEEDS:
            for mode in ("reference", "learned"):
                score = _trained(names, mode, seed, steps)
                worst[mode, steps] = min(worst.get((mode, steps), 1.0), score["AP50"])
                print(f"{steps} steps, seed {seed}, {mode:>9}:", *(f"{name} {x:.3f}" for name, x in score.items()))
    for (mode, steps), value in worst.items():
        print(f"worst of {len(SEEDS)} seeds, {mode}, {steps} steps: AP50 {value:.3f}")
    assert worst["reference", 1200] > 0.4
