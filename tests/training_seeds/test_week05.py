"""Week 05 over many seeds."""

from __future__ import annotations

from typing import Any

import pytest

from autograder.week.source import load_week

from ..chosen import ROOT, long_weeks
from .names import SEEDS, names_of

WEEK = "week05_masked_image_modeling"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def test_week05_pieces_learn_by_heart_from_every_seed() -> None:
    """Graded: the loss falls below 0.2. Here with a margin of 25 percent, on both sides: see the mute encoder."""
    names = names_of(WEEK, "decoder-test-3")
    images = names["datasets"].digits(size=16).x_train[:8]

    whole: Any = names["MAEEncoder"]

    class Mute(whole):
        """An encoder that tells nothing of the image."""

        def forward(self, *args: Any) -> tuple[Any, ...]:
            latent, mask, restore = super().forward(*args)
            return 0 * latent, mask, restore

    last = {
        name: [names["by_heart"](encoder, names["MAEDecoder"], images, seed)["losses"][-1] for seed in SEEDS]
        for name, encoder in (("whole", whole), ("mute", Mute))
    }
    print(f"of {len(SEEDS)} seeds: worst {max(last['whole']):.3f}, best with a mute encoder {min(last['mute']):.3f}")
    assert max(last["whole"]) < 0.2 * 0.75
    assert min(last["mute"]) > 0.2 * 1.25


def test_week05_the_size_of_the_start_is_worth_more_than_pretraining() -> None:
    """What the lesson says about positions of 0.02 and of 0.5, thirty labels: means of three seeds, in percent."""
    cells = load_week(ROOT / "solutions" / WEEK).cells
    names = names_of(WEEK, *(c.id for c in cells if "class Setting" in c.source or "def few_per_class" in c.source))
    data = names["datasets"].digits(size=16)

    def accuracy(encoder: Any, seed: int) -> float:
        few = names["few_per_class"](data.y_train, 3, seed)
        labeled = (data.x_train[few], data.y_train[few], data.x_test, data.y_test)
        accuracies = names["fine_tune"](*names["with_head"](encoder, seed), *labeled, seed)
        return round(100 * accuracies[-1], 1)

    found: dict[tuple[float, str], list[float]] = {}
    for start in (0.02, 0.5):
        setting = names["Setting"](start=start)
        for seed in range(3):
            encoder, _, _ = names["pretrain_mae"](data.x_train, setting, seed)
            found.setdefault((start, "random"), []).append(accuracy(setting.encoder(seed), seed))
            found.setdefault((start, "MAE"), []).append(accuracy(encoder, seed))
    print(found)
    mean = {key: sum(values) / 3 for key, values in found.items()}
    print({key: round(value) for key, value in mean.items()})
    assert max(mean[0.02, "random"], mean[0.02, "MAE"]) < mean[0.5, "random"] - 10
    assert mean[0.5, "MAE"] > mean[0.5, "random"] + 5
    said = {(0.02, "random"): 35, (0.02, "MAE"): 36, (0.5, "random"): 55, (0.5, "MAE"): 66}
    assert all(abs(mean[key] - value) < 3 for key, value in said.items())
