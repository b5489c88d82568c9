"""Where a query looks: weights over an image, and over a row of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .panels import add_colorbar, as_array, as_picture, make_panels
from .style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def attention_overlay(
    ax: Axes, image: Any, attention_map: Any, *, title: str, query_cell: tuple[int, int] | None = None
) -> AxesImage:
    """The image (3, H, W), floats in [0, 1], dimmed and tinted by one weight for each patch (gh, gw).

    `query_cell` is the (row, column) of the patch that asks; it is outlined. One unit of either axis is one patch.

    Raises:
        ValueError: an argument has the wrong shape, or `query_cell` lies outside the grid.
    """
    picture, weights = (
        as_picture(image, "attention_overlay"),
        as_array(attention_map, "attention_overlay needs a map (gh, gw)", 2),
    )
    shown = _patch_units(picture, weights)
    ax.imshow(0.8 * picture.mean(axis=-1), cmap="gray", vmin=0.0, vmax=1.0, **shown)
    tint = ax.imshow(weights, cmap="viridis", vmin=0.0, alpha=0.6, interpolation="nearest", **shown)
    ax.set_title(title)
    ax.set_axis_off()
    _outline_cell(ax, query_cell, weights.shape)
    return tint


def attention_over_image(
    image: Any, attention_map: Any, *, title: str, query_cell: tuple[int, int] | None = None
) -> Figure:
    """Left: an image (3, H, W), floats in [0, 1], and its patches. Right: `attention_overlay` of it.

    Raises:
        ValueError: an argument has the wrong shape, or `query_cell` lies outside the grid.
    """
    picture, weights = (
        as_picture(image, "attention_over_image"),
        as_array(attention_map, "attention_over_image needs a map (gh, gw)", 2),
    )
    (height, width), (rows, columns) = picture.shape[:2], weights.shape
    panel_height = 4.2 * min(max(height / width, 0.5), 1.5) + 0.6
    figure, axes = make_panels(2, 2, width=4.6, height=panel_height, suptitle=title)
    axes[0].imshow(picture, **_patch_units(picture, weights))
    thin = min(0.7, 8 / max(rows, columns))  # a fine grid must not hide the picture
    axes[0].hlines(range(1, rows), 0, columns, color="white", linewidth=thin, alpha=0.6)
    axes[0].vlines(range(1, columns), 0, rows, color="white", linewidth=thin, alpha=0.6)
    axes[0].set_title(f"{rows} x {columns} patches")
    axes[0].set_axis_off()
    _outline_cell(axes[0], query_cell, weights.shape)
    asked = f"attention of patch {query_cell}" if query_cell else "attention"
    tint = attention_overlay(axes[1], image, attention_map, title=asked, query_cell=query_cell)
    add_colorbar(tint, axes[1], label="attention weight")
    return figure


def token_row(ax: Axes, weights: Any, *, query_index: int, title: str) -> None:
    """Attention of one token over a sequence, `weights` (L,), as bars; the token that asks is marked.

    Raises:
        ValueError: `weights` does not have 1 dimension, or `query_index` is not a position in it.
    """
    values = as_array(weights, "token_row needs weights (L,)", 1)
    if not 0 <= query_index < len(values):
        raise ValueError(f"query_index={query_index} is not a position in a row of {len(values)} weights")
    ax.axvspan(query_index - 0.5, query_index + 0.5, color=COLORS[1], alpha=0.2, linewidth=0)
    ax.bar(np.arange(len(values)), values, color=COLORS[0])
    ax.set(title=title, xlabel="key position", ylabel="attention weight", xlim=(-0.6, len(values) - 0.4))
    ax.locator_params(axis="x", integer=True)
    ax.margins(y=0.25)
    ax.text(query_index, 0.97, "query", transform=ax.get_xaxis_transform(), ha="center", va="top")


def _patch_units(picture: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """How to draw an image (H, W, C) so that one unit of either axis is one patch of the map (gh, gw)."""
    (height, width), (rows, columns) = picture.shape[:2], weights.shape
    return {"extent": (0, columns, rows, 0), "aspect": height / width * columns / rows}


def _outline_cell(ax: Axes, cell: tuple[int, int] | None, grid: tuple[int, ...]) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    if cell is None:
        return
    row, column = cell
    if not (0 <= row < grid[0] and 0 <= column < grid[1]):
        raise ValueError(f"query_cell={cell} lies outside the grid of {grid[0]} x {grid[1]} patches")
    outline = Rectangle((column, row), 1, 1, fill=False, linewidth=2.5, clip_on=False, zorder=3)
    outline.set_path_effects([withStroke(linewidth=6, foreground="white")])
    ax.add_patch(outline)
