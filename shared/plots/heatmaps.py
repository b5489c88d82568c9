"""Matrices as colors: one, or a row of attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .panels import add_colorbar, as_array, even_columns, make_panels, titles_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def heatmap(
    ax: Axes,
    matrix: Any,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    vmin: float | None = None,
    vmax: float | None = None,
    diverging: bool = False,
    annotate: bool = False,
    colorbar: bool = True,
    cmap: str | None = None,
) -> AxesImage:
    """Draw a matrix (rows, columns) on `ax`, row 0 at the top.

    `vmin` and `vmax` are the values of the end colors, by default the least and the greatest entry.
    `diverging` is for values of both signs: red and blue meet at 0, and both ends are equally far from it.
    `annotate` writes each value into its cell. Returns the drawn image, for a colorbar shared by panels.

    Raises:
        ValueError: the matrix does not have 2 dimensions.
    """
    values = as_array(matrix, "heatmap needs a matrix (rows, columns)", 2)
    if diverging:
        limits = [limit for limit in (vmin, vmax) if limit is not None] or values[np.isfinite(values)]
        vmax = float(np.abs(limits).max(initial=0.0)) or 1.0
        vmin = -vmax
    square = max(values.shape) <= 4 * min(values.shape)  # square cells of a longer matrix make a thin panel
    colors = cmap or ("RdBu_r" if diverging else "viridis")
    image = ax.imshow(values, cmap=colors, vmin=vmin, vmax=vmax, interpolation="nearest")
    ax.set_aspect("equal" if square else "auto")
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.locator_params(integer=True, nbins=6)
    if annotate:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, alpha = image.cmap(image.norm(value))  # transparent where it is NaN
            color = "white" if alpha and 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
            ax.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=9, color=color)
    if colorbar:
        add_colorbar(image, ax)
    return image


def attention_heatmaps(
    weights: Any,
    *,
    titles: Sequence[str] | None = None,
    suptitle: str | None = None,
    vmax: float | None = 1.0,
) -> Figure:
    """One panel for each head of `weights` (H, Lq, Lk), all in the same colors, from 0 to `vmax`.

    `vmax=None` means the greatest weight of all heads; the titles are "head 0", "head 1", ... by default.

    Raises:
        ValueError: `weights` does not have 3 dimensions, or `titles` not one entry for each head.
    """
    values = as_array(weights, "attention_heatmaps needs weights (H, Lq, Lk)", 3)
    heads = len(values)
    titles = titles_for(titles or [f"head {head}" for head in range(heads)], heads)
    top = float(values.max()) if vmax is None else vmax
    columns = even_columns(heads, most=4)
    side = min(9.6 / columns, 3.2)
    figure, axes = make_panels(heads, columns, width=side, height=side + 0.5, suptitle=suptitle)
    for head, ax in enumerate(axes):
        xlabel = "key position" if head + columns >= heads else ""
        ylabel = "query position" if head % columns == 0 else ""
        image = heatmap(
            ax,
            values[head],
            title=titles[head],
            xlabel=xlabel,
            ylabel=ylabel,
            vmin=0,
            vmax=top,
            colorbar=False,
        )
    figure.colorbar(image, ax=axes, label="attention weight")
    return figure
