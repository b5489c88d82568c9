"""A number for each head of each layer: as dots over the layers, and as matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .heatmaps import heatmap
from .panels import as_array, even_columns, make_panels
from .style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def dots_by_layer(
    ax: Axes, values: Any, *, ylabel: str, title: str = "", even: float | None = None, label: str = "",
    number: int = 0, first: int = 1,
) -> None:  # fmt: skip
    """A dot for each head, `values` (layers, heads), over its layer, and a line through the means.

    `even` is what attention to all keys alike would give, drawn dashed. Several models on one `ax` take a `label` and
    different numbers, which choose color and place. `first` is the number of the first layer.

    Raises:
        ValueError: `values` does not have 2 dimensions.
    """
    matrix = as_array(values, "dots_by_layer needs values (layers, heads)", 2)
    layers = first + np.arange(len(matrix))
    places, color = layers + 0.1 * number, COLORS[number % len(COLORS)]
    ax.plot(places.repeat(matrix.shape[1]), matrix.ravel(), "o", color=color, alpha=0.45, markersize=4)
    ax.plot(places, matrix.mean(axis=1), color=color, label=label or None)
    if even is not None and np.isfinite(even):
        ax.axhline(even, color="0.3", linestyle="--", linewidth=1.4)
        ax.annotate("even", (1, even), xycoords=("axes fraction", "data"), xytext=(2, 0), textcoords="offset points",
                    va="center", fontsize=9, color="0.3", annotation_clip=False)  # fmt: skip
    ax.set(xlabel="layer", ylabel=ylabel, title=title)
    ax.locator_params(axis="x", integer=True)
    ax.margins(y=0.12)
    ax.grid(alpha=0.3)


def head_matrices(
    values: Mapping[str, Any], *, title: str = "", diverging: tuple[str, ...] = (), columns: int = 3, first: int = 1
) -> Figure:
    """For each entry of `values`, name -> (layers, heads), a matrix with the layers from top to bottom.

    An entry without any number says so in its title. Those named in `diverging` have values of both signs. `first` is
    the number of the first layer and of the first head.

    Raises:
        ValueError: no entries, or one that does not have 2 dimensions.
    """
    matrices = {
        name: as_array(array, f"head_matrices needs (layers, heads) for {name!r}", 2) for name, array in values.items()
    }
    if not matrices:
        raise ValueError("head_matrices needs at least one matrix")
    layers, heads = next(iter(matrices.values())).shape
    side = 3.3 * min(max(layers / heads, 0.6), 1.6)
    figure, axes = make_panels(
        len(matrices), even_columns(len(matrices), most=columns), width=3.9, height=side, suptitle=title or None
    )
    for ax, (name, matrix) in zip(axes, matrices.items(), strict=True):
        known = bool(np.isfinite(matrix).any())
        heatmap(
            ax, matrix, title=name if known else f"{name}: n/a", xlabel="head", ylabel="layer",
            diverging=known and name in diverging, colorbar=known,
        )  # fmt: skip
        ax.set_xticks(range(heads), [str(first + head) for head in range(heads)])
        ax.set_yticks(range(layers), [str(first + layer) for layer in range(layers)])
    return figure
