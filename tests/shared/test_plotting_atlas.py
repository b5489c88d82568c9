"""`plotting.attention_atlas`, `dots_by_layer`, `head_matrices`: what is drawn where, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")

import matplotlib.pyplot as plt

from shared import plotting
from shared.plots.maps import BLOCK, GAP, SIDE

STEP = SIDE + GAP


def planted(layers: int = 2, heads: int = 3, images: int = 4) -> list[torch.Tensor]:
    """Maps of 2 x 2 with all weight on one patch, which differs by layer, head and image."""
    found = torch.zeros(layers, heads, images, 4)
    for layer, head, image in np.ndindex(layers, heads, images):
        found[layer, head, image, (layer + head + image) % 4] = 0.5
    return list(found.unflatten(-1, (2, 2)))


def beside(layers: int = 2, heads: int = 3) -> dict[str, torch.Tensor]:
    numbers = torch.arange(float(layers * heads)).reshape(layers, heads)
    return {"nats": 1 + numbers / 100, "px": 10 + numbers}


def canvas(figure: Any) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def test_each_layer_is_a_sheet_with_heads_in_rows_and_images_in_columns() -> None:
    images = torch.linspace(0.2, 0.8, 4)[:, None, None, None].expand(4, 3, 8, 8)
    sheet = canvas(plotting.attention_atlas(images, planted(), beside(), top=0.5))
    assert sheet.shape == (8 * STEP + BLOCK, 4 * STEP, 3)
    for layer, head, image in np.ndindex(2, 3, 4):
        top, left = layer * (4 * STEP + BLOCK), image * STEP
        assert np.allclose(sheet[top : top + SIDE, left : left + SIDE], float(images[image, 0, 0, 0]))
        below = top + (1 + head) * STEP
        by_patch = sheet[below : below + SIDE, left : left + SIDE].mean(-1).reshape(2, 32, 2, 32).mean((1, 3))
        assert by_patch.argmax() == (layer + head + image) % 4


def test_entropy_and_distance_stand_beside_each_head_and_layers_have_names() -> None:
    figure = plotting.attention_atlas(torch.rand(4, 1, 8, 8), planted(), beside(), title="an atlas")
    (ax, colors) = figure.axes
    said = [text.get_text() for text in ax.texts]
    assert said[:3] == ["layer 1", "head 1\n1 nats\n10 px", "head 2\n1.01 nats\n11 px"]
    assert said[4:6] == ["layer 2", "head 1\n1.03 nats\n13 px"]
    assert ax.get_title() == "an atlas"
    assert "attention weight" in colors.get_ylabel()
    named = plotting.attention_atlas(torch.rand(4, 1, 8, 8), planted(), {}, names=["early", "late"], first=0)
    assert [text.get_text() for text in named.axes[0].texts][:2] == ["early", "head 0"]


def test_all_maps_share_their_colors() -> None:
    """A weight twice as large is brighter, also in another head, another image, another layer."""
    maps = [torch.full((1, 2, 1, 1), 0.1), torch.full((1, 2, 1, 1), 0.2)]
    sheet = canvas(plotting.attention_atlas(torch.zeros(2, 1, 4, 4), maps, {}, top=0.2))
    first, second = sheet[STEP + 5, 5], sheet[3 * STEP + BLOCK + 5, 5]
    assert second.sum() > first.sum() + 0.1
    assert np.allclose(second, 0.7 * np.array(mpl.colormaps["viridis"](1.0)[:3]))


def test_the_brightest_weight_is_exceeded_by_one_in_a_hundred() -> None:
    weights = torch.arange(1, 1001).float().reshape(2, 5, 10, 10)
    assert plotting.brightest([weights]) == pytest.approx(990.01)
    assert plotting.brightest([torch.zeros(1, 1, 2, 2)]) == 1.0


def test_boxes_are_outlined_in_images_and_maps() -> None:
    boxes = torch.tensor([[0, 0, 4, 4]] * 3 + [[4, 4, 8, 8]])
    (ax, _) = plotting.attention_atlas(torch.rand(4, 1, 8, 8), planted(), {}, boxes=boxes).axes
    assert len(ax.patches) == 2 * 4 * 8
    assert ax.patches[-1].get_xy() == (3 * STEP + 32 - 0.5, 7 * STEP + BLOCK + 32 - 0.5)  # type: ignore[attr-defined]


def test_the_pages_of_an_atlas_are_one_file(tmp_path: Path) -> None:
    pages = [plotting.attention_atlas(torch.rand(4, 1, 8, 8), [maps], {}) for maps in planted()]
    path = plotting.save_pages(tmp_path / "new" / "atlas.pdf", pages)
    data = path.read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page ") == 2


@pytest.mark.parametrize(
    ("images", "layers", "numbers", "named"),
    [
        (torch.rand(0, 1, 8, 8), planted(images=0), {}, {}),
        (torch.rand(4, 1, 8, 8), [], {}, {}),
        (torch.rand(3, 1, 8, 8), planted(), {}, {}),
        (torch.rand(4, 1, 9, 9), planted(), {}, {}),
        (torch.rand(4, 1, 8, 8), planted(), {"nats": torch.rand(3, 3)}, {}),
        (torch.rand(4, 1, 8, 8), planted(), {}, {"names": ["one"]}),
        (torch.rand(4, 1, 8, 8), planted(), {}, {"boxes": torch.zeros(3, 4)}),
        (torch.rand(4, 1, 8, 8), [torch.rand(3, 4, 4)], {}, {}),
    ],
)
def test_what_does_not_fit_an_atlas_is_refused(
    images: torch.Tensor, layers: list[torch.Tensor], numbers: dict[str, Any], named: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"atlas|maps|nats|names"):
        plotting.attention_atlas(images, layers, numbers, **named)


def test_a_dot_for_each_head_over_its_layer_and_a_line_of_means() -> None:
    values = torch.tensor([[1.0, 3.0], [2.0, 6.0], [4.0, 4.0]])
    ax = plt.figure().add_subplot()
    plotting.dots_by_layer(ax, values, ylabel="px", even=5.0, label="a model", number=2)
    dots, means, even = ax.lines
    assert dots.get_xdata() == pytest.approx([1.2, 1.2, 2.2, 2.2, 3.2, 3.2])
    assert list(dots.get_ydata()) == [1, 3, 2, 6, 4, 4]
    assert list(means.get_ydata()) == [2, 4, 4]
    assert even.get_ydata()[0] == 5.0
    assert [text.get_text() for text in ax.texts] == ["even"]
    with pytest.raises(ValueError, match="dots_by_layer"):
        plotting.dots_by_layer(ax, torch.rand(3), ylabel="px")


def test_matrices_of_heads_say_where_there_is_nothing() -> None:
    values = {
        "distance": torch.rand(3, 2),
        "mass": torch.full((3, 2), torch.nan),
        "effect": torch.tensor([[-1.0, 3.0]] * 3),
    }
    figure = plotting.head_matrices(values, title="heads", diverging=("effect",), first=0)
    axes = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in axes] == ["distance", "mass: n/a", "effect"]
    assert axes[2].images[0].get_clim() == (-3, 3)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="at least one"):
        plotting.head_matrices({})
    with pytest.raises(ValueError, match="effect"):
        plotting.head_matrices({"effect": torch.rand(4)})
