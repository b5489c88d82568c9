"""Week 12 writes detections as COCO does, and reads them back: what programs exchange in place of tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from .training_seeds.names import names_with

Items = list[dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return names_with("week12_detection_transformer", "coco_truth", "coco_results", "from_coco", "by_pycocotools")


@pytest.fixture
def targets() -> Items:
    """Three images: two objects, none, one."""
    corners = [[[1.0, 2.0, 11.0, 22.0], [5.0, 5.0, 9.0, 8.0]], [], [[0.0, 0.0, 32.0, 16.0]]]
    labels = [[2, 0], [], [1]]
    return [
        {"boxes": torch.tensor(b).reshape(-1, 4), "labels": torch.tensor(c, dtype=torch.int64)}
        for b, c in zip(corners, labels, strict=True)
    ]


def test_what_is_written_is_read_back(names: dict[str, Any], targets: Items) -> None:
    """Boxes cross as xywh, labels as categories that count from 1; images without objects keep their place."""
    found = [target | {"scores": torch.linspace(0.9, 0.5, len(target["labels"]))} for target in targets]
    truth, results = names["coco_truth"](targets, 32, ("circle", "square", "triangle")), names["coco_results"](found)
    assert [entry["bbox"] for entry in truth["annotations"]] == [[1, 2, 10, 20], [5, 5, 4, 3], [0, 0, 32, 16]]
    assert [entry["area"] for entry in truth["annotations"]] == [200, 12, 512]
    assert [entry["category_id"] for entry in results] == [3, 1, 2]
    assert [entry["image_id"] for entry in results] == [0, 0, 2]
    read_found, read_targets = names["from_coco"](*json.loads(json.dumps([truth, results])))
    for items, read in ((found, read_found), (targets, read_targets)):
        for item, one in zip(items, read, strict=True):
            assert torch.equal(one["boxes"], item["boxes"])
            assert torch.equal(one["labels"], item["labels"] + 1)
    assert [one["scores"].tolist() for one in read_found] == [item["scores"].tolist() for item in found]


def test_images_may_have_any_numbers_and_crowds_are_left_out(names: dict[str, Any], targets: Items) -> None:
    truth, results = names["coco_truth"](targets, 32, ("a", "b", "c")), names["coco_results"]([])
    for entry in (*truth["images"], *truth["annotations"]):
        key = "id" if "file_name" in entry else "image_id"
        entry[key] = 900 - 7 * entry[key]
    truth["annotations"][1]["iscrowd"] = 1
    found, real = names["from_coco"](truth, results)
    assert [len(one["labels"]) for one in real] == [1, 0, 1]
    assert [len(one["labels"]) for one in found] == [0, 0, 0]


def test_the_files_are_those_that_pycocotools_reads(names: dict[str, Any], targets: Items, tmp_path: Path) -> None:
    found = [target | {"scores": torch.ones(len(target["labels"]))} for target in targets]
    found[2] = found[2] | {"boxes": found[2]["boxes"] / 4}  # the only object of its class is missed
    files = tmp_path / "truth.json", tmp_path / "results.json"
    for file, content in zip(
        files, (names["coco_truth"](targets, 32, ("a", "b", "c")), names["coco_results"](found)), strict=True
    ):
        file.write_text(json.dumps(content), encoding="utf-8")
    assert names["by_pycocotools"](*files)["map_50"] == pytest.approx(2 / 3)
