"""Week 08 over several seeds: no graded cell trains; here is what the lesson says about its encoders."""

from __future__ import annotations

from typing import Any

import pytest

from ..chosen import long_weeks
from .names import names_of

pytestmark = pytest.mark.skipif("week08_features_and_probes" not in long_weeks(), reason="not among the chosen weeks")


def test_week08_mae_features_beat_random_ones_and_pixels_beat_both() -> None:
    """From each of three seeds, by 20 neighbors, and by a probe with ten labels a class."""
    import numpy as np
    import torch

    names = names_of("week08_features_and_probes")
    data = names["datasets"].digits(size=16)

    def pooled(model: Any) -> list[Any]:
        read, extract = names["FeatureExtractor"], names["extract_dataset"]
        both = (extract(read(model, ["norm"], "mean"), x, 256)[0]["norm"] for x in (data.x_train, data.x_test))
        return list(both)

    def scores(pair: Any, few: Any, seed: int) -> tuple[float, float]:
        told = names["knn_classify"](pair[0], data.y_train, pair[1], 20)
        probe = names["linear_probe"](pair[0][few], data.y_train[few], (0.01, 0.1, 1.0), seed)
        return (told == data.y_test).double().mean().item(), np.mean(probe.predict(pair[1]) == data.y_test.numpy())

    found: dict[str, list[tuple[float, float]]] = {"random": [], "MAE": [], "pixels": []}
    scratch: dict[int, list[float]] = {100: [], 200: []}
    for seed in range(3):
        few = names["few_per_class"](data.y_train, 10, seed)
        found["random"].append(scores(pooled(names["encoder"](seed).eval()), few, seed))
        found["MAE"].append(
            scores(pooled(names["pretrain_mae"](names["encoder"](seed), data.x_train, 300, seed)), few, seed)
        )
        found["pixels"].append(scores([data.x_train.flatten(1), data.x_test.flatten(1)], few, seed))
        for steps in scratch:
            model = names["train_supervised"](names["encoder"](seed), data.x_train[few], data.y_train[few], steps, seed)
            with torch.no_grad():
                scratch[steps].append((model(data.x_test).argmax(1) == data.y_test).double().mean().item())
    print(found, scratch)
    for random, mae, pixels in zip(found["random"], found["MAE"], found["pixels"], strict=True):
        assert random[0] < mae[0] < pixels[0]
        assert random[1] < mae[1] < pixels[1]
    short, longer = (float(np.mean(scratch[steps])) for steps in (100, 200))
    assert longer > short + 0.02
