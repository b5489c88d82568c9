"""`datasets.shape_scenes` against its own ground truth and against boxes that torchvision computes."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou, masks_to_boxes

from shared import datasets
from shared.data import scenes, shapes

CROWDED = datasets.shape_scenes(300, max_objects=5, max_iou=0.5, seed=3)


def test_types_shapes_and_ranges() -> None:
    sample = datasets.shape_scenes(40, min_objects=0, seed=1)
    assert (sample.images.shape, sample.images.dtype) == ((40, 3, 64, 64), torch.float32)
    assert 0 <= sample.images.min() <= sample.images.max() <= 1
    counts = {len(target["labels"]) for target in sample.targets}
    assert counts == {0, 1, 2, 3, 4}
    for target in sample.targets:
        m = len(target["labels"])
        found = {name: (tuple(value.shape), value.dtype) for name, value in target.items()}  # type: ignore[attr-defined]
        assert found == {
            "boxes": ((m, 4), torch.float32),
            "labels": ((m,), torch.int64),
            "colors": ((m,), torch.int64),
            "masks": ((m, 64, 64), torch.bool),
            "visibility": ((m,), torch.float32),
        }
    with pytest.raises(FrozenInstanceError):
        sample.images = sample.images  # type: ignore[misc]


def test_all_classes_and_colors_are_drawn_about_equally_often() -> None:
    for name, of in (("labels", datasets.SCENE_CLASSES), ("colors", datasets.COLORS)):
        values = torch.cat([target[name] for target in CROWDED.targets])  # type: ignore[literal-required]
        shares = values.bincount(minlength=len(of)) / len(values)
        assert shares == pytest.approx(torch.full((len(of),), 1 / len(of)).numpy(), abs=0.06)


def test_same_seed_same_scenes_another_seed_others_and_no_global_state() -> None:
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    one = datasets.shape_scenes(20, seed=5)
    torch.rand(3)
    again, other = datasets.shape_scenes(20, seed=5), datasets.shape_scenes(20, seed=6)
    assert torch.equal(one.images, again.images)
    for first, second in zip(one.targets, again.targets, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)  # type: ignore[literal-required]
    assert not torch.equal(one.images, other.images)


def test_boxes_are_those_of_the_whole_object_and_lie_in_the_picture() -> None:
    for target in CROWDED.targets:
        boxes, masks, seen = target["boxes"], target["masks"], target["visibility"]
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= 64).all()
        tight = masks_to_boxes(masks)
        tight[:, 2:] += 1  # torchvision's boxes end on the last pixel, ours behind it
        assert (boxes[:, :2] <= tight[:, :2]).all()
        assert (boxes[:, 2:] >= tight[:, 2:]).all()
        assert torch.equal(boxes[seen == 1], tight[seen == 1])


def test_masks_do_not_overlap_and_the_last_object_is_in_front() -> None:
    hidden = 0
    for target in CROWDED.targets:
        assert target["masks"].sum(0).max() <= 1
        assert target["visibility"][-1] == 1
        assert target["visibility"].min() >= scenes.LEAST_VISIBLE
        hidden += int((target["visibility"] < 1).sum())
    assert hidden > 100, "objects hide each other"


def test_an_object_has_its_color_where_it_is_seen() -> None:
    for picture, target in zip(CROWDED.images[:60], CROWDED.targets[:60], strict=True):
        for mask, color in zip(target["masks"], target["colors"], strict=True):
            middle = picture[:, mask].median(dim=1).values
            away = (torch.tensor(shapes._RGB) - middle).norm(dim=1)
            assert int(away.argmin()) == int(color)


@pytest.mark.parametrize(("most", "size"), [(0.0, 64), (0.1, 32), (0.3, 64)])
def test_boxes_overlap_no_more_than_was_asked(most: float, size: int) -> None:
    sample = datasets.shape_scenes(200, size=size, max_iou=most, seed=7)
    overlaps = [box_iou(target["boxes"], target["boxes"]).triu(1).max().item() for target in sample.targets]
    assert max(overlaps) <= most + 1e-6
    assert max(overlaps) >= most - 0.05, "and it comes near"


def test_sizes_are_those_that_were_asked() -> None:
    sample = datasets.shape_scenes(300, size=100, min_objects=1, max_objects=1, radius=(0.2, 0.3), seed=2)
    circles = [target["boxes"][0] for target in sample.targets if target["labels"][0] == 0]
    sides = torch.stack([box[2:] - box[:2] for box in circles])
    assert sides.min() >= 2 * 0.95 * 20 - 2
    assert sides.max() <= 2 * 0.95 * 30 + 2
    assert sides.min() < 42
    assert sides.max() > 53


def test_an_object_without_a_place_is_left_out_unless_it_must_be_there() -> None:
    options = {"n": 20, "radius": (0.35, 0.4), "max_iou": 0.0, "seed": 0}
    sample = datasets.shape_scenes(min_objects=1, max_objects=6, **options)  # type: ignore[arg-type]
    assert 1 <= max(len(target["labels"]) for target in sample.targets) < 6
    with pytest.raises(ValueError, match="no place"):
        datasets.shape_scenes(min_objects=6, max_objects=6, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"n": 0},
        {"size": 15},
        {"min_objects": -1},
        {"min_objects": 3, "max_objects": 2},
        {"radius": (0.3, 0.2)},
        {"radius": (0.0, 0.2)},
        {"radius": (0.2, 0.6)},
        {"max_iou": -0.1},
        {"max_iou": 1.1},
    ],
)
def test_wrong_arguments_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options)).split("_")[-1])):
        datasets.shape_scenes(**({"n": 2} | options))
