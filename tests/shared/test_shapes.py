"""`datasets.shapes` and `shared.data.rendering` against their own ground truth."""

import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from shared import datasets
from shared.data import rendering, shapes

SAMPLE = datasets.shapes(600, seed=0)


def test_types_shapes_and_ranges() -> None:
    assert SAMPLE.x.shape == (600, 3, 32, 32)
    assert SAMPLE.x.dtype == torch.float32
    assert SAMPLE.x.is_contiguous()
    assert SAMPLE.x.min() >= 0
    assert SAMPLE.x.max() <= 1
    names = (datasets.SHAPES, datasets.COLORS, datasets.SCALES, datasets.QUADRANTS)
    for labels, of in zip((SAMPLE.shape, SAMPLE.color, SAMPLE.scale, SAMPLE.quadrant), names, strict=True):
        assert labels.shape == (600,)
        assert labels.dtype == torch.int64
        assert labels.unique().tolist() == list(range(len(of)))
    assert (SAMPLE.bbox.shape, SAMPLE.bbox.dtype) == ((600, 4), torch.float32)
    assert (SAMPLE.mask.shape, SAMPLE.mask.dtype) == ((600, 32, 32), torch.bool)
    with pytest.raises(FrozenInstanceError):
        SAMPLE.x = SAMPLE.x  # type: ignore[misc]


def test_same_seed_same_pictures_and_another_seed_others() -> None:
    one, again, other = (datasets.shapes(20, seed=seed) for seed in (5, 5, 6))
    for name in ("x", "shape", "color", "scale", "quadrant", "bbox", "mask"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert one.captions == again.captions
    assert not torch.equal(one.x, other.x)


def test_the_global_random_state_does_not_matter() -> None:
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    one = datasets.shapes(3, seed=1).x
    torch.rand(5)
    assert torch.equal(datasets.shapes(3, seed=1).x, one)


@pytest.mark.parametrize("size", [16, 32, 48, 96])
def test_the_box_is_the_tightest_around_the_mask(size: int) -> None:
    sample = datasets.shapes(100, seed=size, size=size)
    for mask, box in zip(sample.mask, sample.bbox.int().tolist(), strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert (sample.bbox[:, :2] >= 0).all()
    assert (sample.bbox[:, 2:] <= size).all()


def test_no_object_touches_the_border_so_none_is_cut() -> None:
    border = SAMPLE.mask.clone()
    border[:, 1:-1, 1:-1] = False
    assert not border.any()


def test_the_color_is_inside_the_mask_and_not_outside() -> None:
    rgb = torch.tensor(shapes._RGB)
    unit = rgb / rgb.norm(dim=1, keepdim=True)
    for picture, mask, color in zip(SAMPLE.x, SAMPLE.mask, SAMPLE.color, strict=True):
        inside = picture[:, mask].median(dim=1).values
        assert int((unit @ (inside / inside.norm())).argmax()) == color
        outside = picture[:, ~mask].mean(dim=1)
        assert (outside.max() - outside.min()) < 0.5 * (inside.max() - inside.min())


def test_the_quadrant_holds_the_center_of_the_box() -> None:
    middle = (SAMPLE.bbox[:, :2] + SAMPLE.bbox[:, 2:]) / 2
    column, row = (middle > 16).long().T
    assert torch.equal(2 * row + column, SAMPLE.quadrant)


def test_large_objects_are_larger_than_small_ones() -> None:
    side = (SAMPLE.bbox[:, 2:] - SAMPLE.bbox[:, :2]).max(dim=1).values
    assert side[SAMPLE.scale == 0].max() < side[SAMPLE.scale == 1].min()


def test_the_labels_are_independent() -> None:
    many = datasets.shapes(3600, seed=2)
    cells = many.shape * 6 + many.color
    counts = torch.bincount(cells, minlength=36).double()
    chi_square = ((counts - 100) ** 2 / 100).sum()
    assert chi_square < 67  # 0.1 % of draws lie above, 35 degrees of freedom
    place = torch.bincount(many.scale * 4 + many.quadrant, minlength=8).double()
    assert ((place - 450) ** 2 / 450).sum() < 25


def test_captions_say_what_the_labels_say() -> None:
    for n in range(20):
        shape, color = datasets.SHAPES[SAMPLE.shape[n]], datasets.COLORS[SAMPLE.color[n]]
        scale, quadrant = datasets.SCALES[SAMPLE.scale[n]], datasets.QUADRANTS[SAMPLE.quadrant[n]]
        assert SAMPLE.captions[n] == f"a {scale} {color} {shape} in the {quadrant}"


def test_include_and_exclude_are_honored() -> None:
    def pairs(sample: datasets.Shapes) -> set[tuple[str, str]]:
        labels = zip(sample.shape.tolist(), sample.color.tolist(), strict=True)
        return {(datasets.SHAPES[shape], datasets.COLORS[color]) for shape, color in labels}

    two = {("circle", "red"), ("star", "blue")}
    assert pairs(datasets.shapes(50, seed=0, include=two)) == two
    assert pairs(datasets.shapes(50, seed=0, include=two, exclude={("star", "blue")})) == {("circle", "red")}
    rest = pairs(datasets.shapes(2000, seed=0, exclude=two))
    assert not rest & two
    assert len(rest) == 34


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"size": 8}, "size=8"),
        ({"include": {("circle", "pink")}}, "pink"),
        ({"include": {("circle", "red")}, "exclude": {("circle", "red")}}, "no .* pair"),
        ({"include": set()}, "no .* pair"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.shapes(**({"n": 2, "seed": 0} | options))


def test_three_thousand_pictures_take_little_time() -> None:
    begin = time.process_time()
    datasets.shapes(3000, seed=0)
    assert time.process_time() - begin < 3


def test_a_circle_has_the_area_of_a_circle() -> None:
    radius = np.array([10.0], dtype=np.float32)
    center = np.array([[16.0, 16.0]], dtype=np.float32)
    distance = rendering.signed_distance("circle", center, radius, np.zeros(1, dtype=np.float32), 32)
    assert rendering.coverage(distance).sum() == pytest.approx(np.pi * 9.5**2, rel=0.01)


def test_a_turned_square_keeps_its_area() -> None:
    center = np.array([[16.0, 16.0]], dtype=np.float32).repeat(3, axis=0)
    radius, angle = np.full(3, 10.0, dtype=np.float32), np.array([0.0, 0.3, 0.7], dtype=np.float32)
    area = rendering.coverage(rendering.signed_distance("square", center, radius, angle, 32)).sum(axis=(1, 2))
    assert area == pytest.approx(17.0**2, rel=0.01)


def test_an_unknown_silhouette_is_named() -> None:
    one = np.ones((1, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="blob"):
        rendering.signed_distance("blob", one, one[:, 0], one[:, 0], 16)


def test_an_empty_mask_has_no_box() -> None:
    with pytest.raises(ValueError, match="empty"):
        rendering.tight_boxes(np.zeros((1, 4, 4), dtype=bool))
