"""Week 14 over many seeds."""

from __future__ import annotations

import pytest
import torch

from ..chosen import long_weeks
from .names import SEEDS, names_with

WEEK = "week14_promptable_segmentation"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def test_week14_clicks_bring_overlap_for_every_seed() -> None:
    """The lesson's study for each seed: overlap after each click, the best of three, and the memory for videos."""
    names = names_with(WEEK, "STEPS", "video_study", "KINDS")
    scenes = names["datasets"].part_whole_scenes
    train, test = scenes(1200, seed=0), scenes(120, seed=1)
    videos = names["datasets"].mask_videos(20, seed=3)
    first, gained, apart = [], [], []
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = names["SmallSAM"]()
        names["fit"](model, train, names["STEPS"], seed)
        found = names["clicked_study"](model, test)
        iou, best = found["iou"].mean(0), found["three"].amax(1).mean()
        within = (found["iou"][:, :3] >= 0.85).any(1).double().mean()
        by_memory = {
            name: sum(ones) / len(ones) for name, ones in names["video_study"](model, videos, names["KINDS"]).items()
        }
        print(
            f"seed {seed}: IoU {[round(one, 3) for one in iou.tolist()]}, best of 3 {best:.3f}, within 3 {within:.2f}",
            {name: f"{value:.3f}" for name, value in by_memory.items()},
        )
        first.append(iou[0].item())
        gained.append((iou[-1] - iou[0]).item())
        apart.append((best - iou[0]).item())
    print(
        f"worst of {len(SEEDS)} seeds: first click {min(first):.3f}, gained {min(gained):.3f}, apart {min(apart):.3f}"
    )
    assert min(first) >= 0.42
    assert min(gained) >= 0.03
    assert min(apart) >= 0.10
