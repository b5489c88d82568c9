"""`datasets.domain_images`: folders and packages as they come, in one shape."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared import datasets


def colored(level: int, size: int = 16) -> Image.Image:
    return Image.fromarray(np.full((size, size, 3), level, dtype=np.uint8))


def test_eurosat_is_split_by_class_the_same_way_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    for number, name in enumerate(("Forest", "River")):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for image in range(10):
            colored(100 * number + image).save(folder / f"{name}_{image}.png")
    train, test = datasets.domain_images("eurosat", None, 8)
    assert train.classes == test.classes == ("Forest", "River")
    assert train.x.shape == (16, 3, 8, 8)
    assert test.x.shape == (4, 3, 8, 8)
    assert train.x.dtype == torch.uint8
    assert test.y.bincount().tolist() == [2, 2]
    levels = [part.x[:, 0, 0, 0].tolist() for part in (train, test)]
    assert sorted(levels[0] + levels[1]) == [*range(10), *range(100, 110)], "each image once"
    assert [level >= 100 for level in levels[0]] == train.y.bool().tolist(), "images keep their labels"
    again, few = datasets.domain_images("eurosat", None, 8)[0], datasets.domain_images("eurosat", 3, 8)
    assert torch.equal(again.x, train.x)
    assert [len(part.x) for part in few] == [3, 3]
    assert torch.equal(few[0].x, train.x[:3])


def test_a_set_of_medmnist_comes_with_its_own_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Blood:
        def __init__(self, **named: Any) -> None:
            asked.append(named)
            self.level = {"train": 0, "test": 100}[named["split"]]

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[Image.Image, np.ndarray]:
            return colored(self.level + index).convert("L"), np.array([index % 2])

    about = {"bloodmnist": {"python_class": "Blood", "label": {"0": "basophil", "1": "eosinophil"}}}
    stand_in = SimpleNamespace(INFO=about, Blood=Blood)
    monkeypatch.setitem(sys.modules, "medmnist", stand_in)  # type: ignore[arg-type, unused-ignore]
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    train, test = datasets.domain_images("bloodmnist", None, 8)
    assert train.classes == ("basophil", "eosinophil")
    assert test.x[:, :, 0, 0].tolist() == [[100 + k] * 3 for k in range(4)]
    assert train.y.tolist() == [0, 1, 0, 1]
    assert [(named["split"], named["size"], named["root"]) for named in asked] == [
        ("train", 64, str(tmp_path)),
        ("test", 64, str(tmp_path)),
    ]
    assert len(datasets.domain_images("bloodmnist", 3, 8)[1].x) == 3
