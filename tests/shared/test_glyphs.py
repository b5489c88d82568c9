"""`datasets.planted_glyphs` against its own ground truth: what decides the class lies in the mask, and nowhere else."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from shared import datasets

SAMPLE = datasets.planted_glyphs(1200, seed=0)


def inside(sample: datasets.PlantedGlyphs) -> torch.Tensor:
    """The pixels of the glyphs (n, 8, 8), cut out by their boxes."""
    boxes = sample.bbox.tolist()
    return torch.stack([x[0, y1:y2, x1:x2] for x, (x1, y1, x2, y2) in zip(sample.x, boxes, strict=True)])


def nearest_mean_accuracy(pixels: torch.Tensor, labels: torch.Tensor) -> float:
    """Test accuracy of the nearest class mean; the first half of the pictures gives the means."""
    half = len(labels) // 2
    rows = pixels.flatten(1)
    means = torch.stack([rows[:half][labels[:half] == label].mean(0) for label in range(4)])
    return (torch.cdist(rows[half:], means).argmin(1) == labels[half:]).double().mean().item()


def test_types_shapes_and_ranges() -> None:
    assert (SAMPLE.x.shape, SAMPLE.x.dtype) == ((1200, 1, 32, 32), torch.float32)
    assert SAMPLE.x.is_contiguous()
    assert SAMPLE.x.min() >= 0
    assert SAMPLE.x.max() <= 1
    assert SAMPLE.y.dtype == SAMPLE.cell.dtype == SAMPLE.bbox.dtype == torch.int64
    assert SAMPLE.y.unique().tolist() == list(range(len(datasets.GLYPHS)))
    assert SAMPLE.cell.unique().tolist() == list(range(16))
    assert SAMPLE.bbox.shape == (1200, 4)
    assert (SAMPLE.mask.shape, SAMPLE.mask.dtype) == ((1200, 32, 32), torch.bool)
    with pytest.raises(FrozenInstanceError):
        SAMPLE.x = SAMPLE.x  # type: ignore[misc]


def test_same_seed_same_pictures_and_another_seed_others() -> None:
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    one, again, other = (datasets.planted_glyphs(20, seed=seed) for seed in (5, 5, 6))
    for name in ("x", "y", "cell", "bbox", "mask"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.x, other.x)


@pytest.mark.parametrize(("size", "grid"), [(32, 8), (16, 8), (48, 16), (60, 10), (8, 8)])
def test_box_mask_and_cell_are_the_same_place(size: int, grid: int) -> None:
    sample = datasets.planted_glyphs(60, seed=size, size=size, grid=grid)
    assert sample.x.shape == (60, 1, size, size)
    margin = (grid - 8) // 2
    for mask, box, cell in zip(sample.mask, sample.bbox.tolist(), sample.cell.tolist(), strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        assert mask.sum() == 64
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box[:2] == [cell % (size // grid) * grid + margin, cell // (size // grid) * grid + margin]


def test_the_glyphs_differ_stay_when_turned_and_have_equal_ink() -> None:
    means = torch.stack([inside(SAMPLE)[SAMPLE.y == label].mean(0) for label in range(4)])
    ink = means > means.flatten(1).mean(1)[:, None, None]
    assert ink.flatten(1).sum(1).tolist() == [28, 28, 28, 28]
    for glyph in ink:
        assert torch.equal(glyph, glyph.rot90(1, (0, 1)))
        assert torch.equal(glyph, glyph.flip(1))
    assert len({tuple(glyph.flatten().tolist()) for glyph in ink}) == 4
    plus = torch.zeros(8, 8, dtype=torch.bool)
    plus[3:5] = plus[:, 3:5] = True
    assert torch.equal(ink[datasets.GLYPHS.index("plus")], plus)
    frame = torch.ones(8, 8, dtype=torch.bool)
    frame[1:7, 1:7] = False
    assert torch.equal(ink[datasets.GLYPHS.index("frame")], frame)


def test_the_pixels_of_the_mask_give_the_class_and_the_others_do_not() -> None:
    shades = SAMPLE.x[:, 0] - SAMPLE.x.mean((1, 2, 3))[:, None, None]
    assert nearest_mean_accuracy(inside(SAMPLE) - inside(SAMPLE).mean((1, 2), keepdim=True), SAMPLE.y) == 1.0
    outside = nearest_mean_accuracy(shades.masked_fill(SAMPLE.mask, 0.0), SAMPLE.y)
    assert abs(outside - 0.25) < 4 * (0.25 * 0.75 / 600) ** 0.5


def test_neither_brightness_nor_contrast_gives_the_cell_away() -> None:
    cells = SAMPLE.x.unfold(2, 8, 8).unfold(3, 8, 8).flatten(1, 3).flatten(2)  # (n, 16, 64)
    for statistic in (cells.mean(-1), -cells.mean(-1), cells.std(-1), -cells.std(-1)):
        found = (statistic.argmax(1) == SAMPLE.cell).double().mean().item()
        assert found < 1 / 16 + 4 * (1 / 16 * 15 / 16 / 1200) ** 0.5


def test_class_and_cell_are_drawn_independently_and_evenly() -> None:
    table = torch.zeros(4, 16)
    table.index_put_((SAMPLE.y, SAMPLE.cell), torch.ones(1200), accumulate=True)
    assert table.min() >= 4  # 18.75 on average
    assert table.max() <= 40


@pytest.mark.parametrize(("n", "size", "grid"), [(0, 32, 8), (5, 32, 7), (5, 30, 8), (5, 4, 8), (5, 0, 8), (-1, 32, 8)])
def test_what_cannot_be_drawn_is_refused(n: int, size: int, grid: int) -> None:
    with pytest.raises(ValueError, match="planted_glyphs needs"):
        datasets.planted_glyphs(n, 0, size=size, grid=grid)
