"""Curves over steps, with bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .panels import as_array, make_panels, to_numpy
from .style import DASHES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
    x: Any = None,
    log_x: bool = False,
) -> Figure:
    """One line for each entry of `series`: name -> values (n,), with a legend beside the axes.

    Values (runs, n), for example of several seeds, become the line of their mean in a band from least to greatest.
    `levels` are dashed horizontal lines, name -> height, for a floor or a target. `x` (n,) holds the
    positions that all series share; 0, 1, 2, ... by default.

    Raises:
        ValueError: a series does not have 1 or 2 dimensions, or not the length of `x`.
    """
    figure, (ax,) = make_panels(1, 1, width=8.8, height=4.0)
    for name, values in series.items():
        several = np.ndim(array := to_numpy(values)) == 2
        rows = as_array(array, f"curves needs one dimension, or two, for {name!r}", 2 if several else 1)
        heights = rows.mean(axis=0) if several else rows
        positions = np.arange(len(heights)) if x is None else as_array(x, "curves needs x (n,)", 1)
        if len(positions) != len(heights):
            raise ValueError(f"{name!r} has {len(heights)} values for {len(positions)} positions x")
        (line,) = ax.plot(positions, heights, label=name, marker="o" if len(heights) == 1 else None)
        if several:
            ax.fill_between(
                positions, rows.min(axis=0), rows.max(axis=0), color=line.get_color(), alpha=0.18, linewidth=0
            )
    for index, (name, level) in enumerate((levels or {}).items()):
        dashes = DASHES[index % len(DASHES)]
        ax.axhline(level, color="0.3", linewidth=1.4, linestyle=dashes, label=f"{name} ({level:.3g})")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.set(xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
    ax.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    return figure
