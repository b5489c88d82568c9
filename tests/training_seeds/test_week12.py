"""Week 12 over many seeds: what the lesson says of its two kinds of queries."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from statistics import mean, stdev
from typing import Any

import pytest
import torch

from shared import profiles

from ..chosen import long_weeks
from .names import SEEDS, names_with

WEEK = "week12_detection_transformer"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")
MODES = ("reference", "learned")


def lesson() -> dict[str, Any]:
    """The lesson's functions, and its scenes."""
    wanted = ("fit", "detections", "something_found", "without_classes", "WEIGHTS", "LOSS_WEIGHTS", "EVERY")
    names = names_with(WEEK, *wanted)
    options = {"size": 32, "max_objects": 3, "radius": (0.14, 0.26), "max_iou": 0.1}
    scenes = names["datasets"].shape_scenes
    return names | {"SIZE": 32, "TRAIN": scenes(2000, seed=0, **options), "TEST": scenes(200, seed=1, **options)}


def scores(names: dict[str, Any], model: torch.nn.Module, steps: int, seed: int) -> dict[str, float]:
    """Train a model; its numbers on the test scenes, as in the lesson's table."""
    names["fit"](model, names["TRAIN"], steps, seed)
    images, targets, plain = names["TEST"].images, names["TEST"].targets, names["without_classes"]
    score = names["mean_average_precision"](names["detections"](model, images), targets)
    boxes = names["mean_average_precision"](plain(names["something_found"](model, images)), plain(targets))
    return {"AP50": score["map_50"], "AP": score["map"], "AP50, boxes only": boxes["map_50"]}


@pytest.mark.parametrize("steps", [440, 600])
def test_week12_reference_queries_reach_the_target_and_lead(steps: int) -> None:
    """Equal seed, images, steps and rate, after a shorter training and after the lesson's."""
    names = lesson()
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in SEEDS:
        models = []
        for mode in MODES:
            torch.manual_seed(seed)
            models.append(names["TinyDETR"](3, query_mode=mode))
        both = profiles.side_by_side(partial(scores, names, steps=steps, seed=seed), models)
        for mode, score in zip(MODES, both, strict=True):
            print(
                f"{steps} steps, seed {seed}, {mode:>9}:", *(f"{key} {x:.3f}" for key, x in score.items()), flush=True
            )
            for key, value in score.items():
                found[mode, key].append(value)
    for (mode, key), values in found.items():
        spread = f"{mean(values):.3f} ± {stdev(values):.3f}, from {min(values):.3f} to {max(values):.3f}"
        print(f"{steps} steps, {mode:>9}, {len(values)} seeds: {key} {spread}")
    gaps = [one - other for one, other in zip(found["reference", "AP50"], found["learned", "AP50"], strict=True)]
    print(f"{steps} steps: reference queries lead by {mean(gaps):.3f} in AP50, in {sum(gap > 0 for gap in gaps)} seeds")
    assert mean(gaps) > 0.03
    if steps == 600:
        assert min(found["reference", "AP50"]) > 0.40 + 0.05  # the target, with a margin
        assert sum(gap > 0 for gap in gaps) > 15
