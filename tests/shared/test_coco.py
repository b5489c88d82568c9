"""COCO's JSON: what is written, what COCO's own program reads of it, and what comes back."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
import torch

from shared import datasets

TARGETS = [
    {"boxes": torch.tensor([[1.0, 2.0, 5.0, 4.0], [0.0, 0.0, 2.0, 8.0]]), "labels": torch.tensor([1, 0])},
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    {"boxes": torch.tensor([[3.0, 3.0, 6.0, 7.0]]), "labels": torch.tensor([2])},
]
FOUND = [item | {"scores": torch.linspace(0.9, 0.5, len(item["labels"]))} for item in TARGETS]
CLASSES = ("circle", "square", "triangle")


def test_boxes_become_corner_and_size_and_ids_count_from_one() -> None:
    truth = datasets.coco_truth(TARGETS, (8, 12), CLASSES)
    assert truth["images"][2] == {"id": 2, "width": 12, "height": 8, "file_name": "000002.png"}
    assert truth["categories"] == [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    first = {"id": 1, "image_id": 0, "category_id": 2, "bbox": [1, 2, 4, 2], "area": 8, "iscrowd": 0}
    assert truth["annotations"][0] == first
    assert [entry["image_id"] for entry in truth["annotations"]] == [0, 0, 2]


def test_what_was_written_comes_back() -> None:
    text = json.dumps([datasets.coco_truth(TARGETS, (8, 12), CLASSES), datasets.coco_results(FOUND)])
    found, targets = datasets.from_coco(*json.loads(text))
    for came, wanted in ((found, FOUND), (targets, TARGETS)):
        assert len(came) == len(wanted)
        for one, other in zip(came, wanted, strict=True):
            assert one.keys() == other.keys()
            for name, value in other.items():
                assert one[name].dtype == value.dtype
                torch.testing.assert_close(one[name], value)


def test_cocos_own_program_reads_the_files_and_finds_perfect_detections(tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    file = tmp_path / "truth.json"
    file.write_text(json.dumps(datasets.coco_truth(TARGETS, (8, 12), CLASSES)), encoding="utf-8")
    results = tmp_path / "results.json"
    results.write_text(json.dumps(datasets.coco_results(FOUND)), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(str(file))
        judge = COCOeval(known, known.loadRes(str(results)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judge.stats[0] == pytest.approx(1.0)


def test_ids_with_gaps_are_read_and_crowds_are_left_out() -> None:
    truth = {
        "images": [{"id": 70}, {"id": 9}],
        "categories": [{"id": 3, "name": "a"}, {"id": 90, "name": "b"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 90, "bbox": [1, 1, 2, 3], "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    found, targets = datasets.from_coco(truth)
    assert [len(item["labels"]) for item in targets] == [0, 1]
    assert targets[1]["labels"].tolist() == [1]
    assert targets[1]["boxes"].tolist() == [[1, 1, 3, 4]]
    assert [item["scores"].shape for item in found] == [(0,), (0,)]
    with pytest.raises(KeyError):
        datasets.from_coco(truth, [{"image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1.0}])
