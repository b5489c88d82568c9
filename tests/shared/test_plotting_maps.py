"""`plotting.map_gallery`: what is drawn where."""

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from shared import plotting


def sheet_of(figure: object) -> np.ndarray:
    (ax,) = figure.axes  # type: ignore[attr-defined]
    return np.asarray(ax.images[0].get_array())


def test_images_stand_above_their_maps_and_the_brightest_patch_is_the_greatest_weight() -> None:
    images = torch.linspace(0.2, 0.8, 3)[:, None, None, None].expand(3, 1, 8, 8)
    maps = torch.zeros(3, 2, 2)
    maps[0, 0, 1] = maps[1, 1, 0] = maps[2, 1, 1] = 5.0
    sheet = sheet_of(plotting.map_gallery(images, {"mine": maps}, columns=2))
    assert sheet.shape == (2 * 2 * 70 + 14, 2 * 70, 3)
    for index, (row, column) in enumerate(((0, 1), (1, 0), (1, 1))):
        top, left = index // 2 * 154, index % 2 * 70
        assert np.allclose(sheet[top : top + 64, left : left + 64], float(images[index, 0, 0, 0]))
        tinted = sheet[top + 70 : top + 134, left : left + 64].mean(-1).reshape(2, 32, 2, 32).mean((1, 3))
        assert np.unravel_index(tinted.argmax(), (2, 2)) == (row, column)


def test_maps_are_scaled_one_by_one_and_a_map_of_zeros_is_dark() -> None:
    images, maps = torch.zeros(3, 3, 4, 4), torch.ones(3, 2, 2)
    maps[1] *= 1e-6
    maps[2] = 0
    sheet = sheet_of(plotting.map_gallery(images, {"a": maps}))
    first, second, third = (sheet[70:134, left : left + 64] for left in (0, 70, 140))
    assert np.allclose(first, second)
    assert third.mean() < first.mean()


def test_names_and_boxes_are_drawn() -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [4, 4, 8, 8]])
    figure = plotting.map_gallery(torch.rand(2, 1, 8, 8), {"a": torch.rand(2, 2, 2)}, boxes=boxes, title="two")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["image", "a"]
    assert len(ax.patches) == 2 * 2 * 2
    last = ax.patches[-1]
    assert isinstance(last, Rectangle)
    assert last.get_xy() == (70 + 32 - 0.5, 70 + 32 - 0.5)
    assert ax.get_title() == "two"


@pytest.mark.parametrize(
    ("images", "maps", "boxes"),
    [
        (torch.rand(0, 1, 8, 8), torch.rand(0, 2, 2), None),
        (torch.rand(2, 1, 8, 8), torch.rand(3, 2, 2), None),
        (torch.rand(2, 1, 8, 8), torch.rand(2, 4), None),
        (torch.rand(2, 1, 8, 8), torch.rand(2, 3, 2), None),
        (torch.rand(2, 1, 8, 8), torch.rand(2, 2, 2), torch.zeros(2, 3)),
        (torch.rand(2, 2, 8, 8), torch.rand(2, 2, 2), None),
    ],
)
def test_what_does_not_fit_is_refused(images: torch.Tensor, maps: torch.Tensor, boxes: torch.Tensor | None) -> None:
    with pytest.raises(ValueError, match="map"):
        plotting.map_gallery(images, {"a": maps}, boxes=boxes)
