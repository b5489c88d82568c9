"""What all figures are made with: arrays from tensors, rows of panels, color bars, titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def as_array(values: Any, need: str, ndim: int) -> np.ndarray:
    array = to_numpy(values)
    if array.ndim != ndim:
        raise ValueError(f"{need}, got shape {array.shape}")
    return array


def to_numpy(values: Any) -> np.ndarray:
    if isinstance(values, list | tuple):
        return np.array([to_numpy(value) for value in values])
    if hasattr(values, "detach"):  # a torch tensor; NumPy has no bfloat16
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    return np.asarray(values)


def as_picture(image: Any, caller: str) -> np.ndarray:
    """(C, H, W) as (H, W, 3), clipped to [0, 1]."""
    array = as_array(image, f"{caller} needs an image (C, H, W)", 3)
    if array.shape[0] not in (1, 3):
        raise ValueError(f"{caller} needs an image (C, H, W) with 1 or 3 channels, got shape {array.shape}")
    if array.dtype.kind in "iu":
        raise ValueError(f"{caller} needs floats in [0, 1], got {array.dtype}; divide by 255 first")
    rgb = np.broadcast_to(array, (3, *array.shape[1:]))
    return np.clip(rgb.transpose(1, 2, 0).astype(float), 0.0, 1.0)


def add_colorbar(image: AxesImage, ax: Axes, label: str = "") -> None:
    """A colorbar exactly as high as its panel."""
    ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0, 0.05, 1)), label=label)


def titles_for(titles: Sequence[str], count: int) -> Sequence[str]:
    if len(titles) != count:
        raise ValueError(f"got {len(titles)} titles for {count} panels")
    return titles


def even_columns(count: int, most: int) -> int:
    """Columns that fill their rows evenly: 6 panels, at most 4 a row, are two rows of 3."""
    rows = -(-count // most)
    return -(-count // rows)


def make_panels(
    count: int, columns: int, *, width: float, height: float, suptitle: str | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes of `width` x `height` inches, in rows of `columns`.

    It is closed in pyplot at once and stays usable: pyplot would show it again at the end of a cell.
    """
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    size = (columns * width, rows * height)
    figure, grid = plt.subplots(rows, columns, squeeze=False, figsize=size, layout="compressed")
    plt.close(figure)
    figure.get_layout_engine().set(h_pad=0.08)  # inches, around titles
    if suptitle:
        figure.suptitle(suptitle)
    for unused in grid.flat[count:]:
        unused.remove()
    return figure, list(grid.flat[:count])
