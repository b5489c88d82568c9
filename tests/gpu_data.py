"""Small data and models in the place of real ones, for the cells that only PROFILE=gpu runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared.datasets import LabeledImages

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENETTE = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)
"""WordNet's numbers of the ten classes: the names of the folders."""


def save_images(folder: Path, classes: tuple[str, ...], count: int, size: int, suffix: str = "jpg") -> None:
    """`count` colored noise images of each class, each class in a folder of its own; a class has a color of its own."""
    draw = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            noise = draw.integers(0, 80, (size, size, 3)) + np.array([20 * number % 170, 60 * number % 170, 90])
            Image.fromarray(noise.astype(np.uint8)).save(folder / name / f"{name}_{image}.{suffix}")


def some_images(classes: int, each: int, size: int = 32) -> LabeledImages:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(classes * each, 3, size, size, generator=draw)
    return LabeledImages(x, torch.arange(classes).repeat(each), tuple(f"class_{name}" for name in "abcdefgh"[:classes]))


def without_weights(monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    """timm makes its models with random weights; some of them under other names."""
    import timm

    real = timm.create_model

    def create(name: str, pretrained: bool = False, **named: Any) -> Any:
        return real(other.get(name.partition(".")[0], name), pretrained=False, **named)

    monkeypatch.setattr(timm, "create_model", create)


def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data are loaded in this process."""
    loader = torch.utils.data.DataLoader
    monkeypatch.setattr(
        torch.utils.data,
        "DataLoader",
        lambda data, batch, shuffle=False, drop_last=False, **_: loader(data, batch, shuffle, drop_last=drop_last),
    )


def kept_settings(name: str) -> Any:
    """The settings that a result was kept with."""
    return json.loads(Path("kept", f"{name}.json").read_text(encoding="utf-8"))["settings"]
