"""A gallery of relevance maps over their images, drawn as one picture. Re-exported by `plotting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .panels import as_array, as_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 64  # pixels an image takes in the sheet
GAP = 6
BLOCK = 14  # more room between blocks of rows


def map_gallery(
    images: Any, maps: Mapping[str, Any], *, title: str = "", boxes: Any = None, columns: int = 10
) -> Figure:
    """A figure of `draw_maps`.

    Raises:
        ValueError: as `draw_maps`.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, len(images))
    lines = (1 + len(maps)) * -(-len(images) // max(columns, 1))
    figure, ax = plt.subplots(figsize=(0.95 * columns + 1.2, 0.97 * lines + 0.4 * bool(title)))
    plt.close(figure)  # pyplot would show it again at the end of a cell
    draw_maps(ax, images, maps, title=title, boxes=boxes, columns=columns)
    return figure


def draw_maps(
    ax: Axes, images: Any, maps: Mapping[str, Any], *, title: str = "", boxes: Any = None, columns: int = 10
) -> None:
    """Images (n, C, H, W), floats in [0, 1], in rows of `columns`; below each row, one row for each kind of map.

    A map (n, gh, gw), not negative, tints its image with one color a patch; each map in its own colors, from 0 to its
    greatest weight, so that maps are compared by where they are bright, not by how much. `boxes` (n, 4), xyxy in
    pixels of the image, are outlined everywhere.

    Raises:
        ValueError: no images, or images, maps or boxes of another shape.
    """
    from matplotlib.patches import Rectangle

    pictures = [as_picture(image, "map_gallery") for image in images]
    if not pictures:
        raise ValueError("map_gallery needs at least one image")
    count, (height, width) = len(pictures), pictures[0].shape[:2]
    need = "map_gallery needs maps (n, gh, gw)"
    rows = {name: as_array(values, need, 3) for name, values in maps.items()}
    for name, values in rows.items():
        if len(values) != count or height % values.shape[1] or width % values.shape[2]:
            raise ValueError(f"maps {name!r} {values.shape} do not fit {count} images of {height} x {width} pixels")
    outlines = None if boxes is None else as_array(boxes, "map_gallery needs boxes (n, 4)", 2)
    if outlines is not None and outlines.shape != (count, 4):
        raise ValueError(f"map_gallery needs boxes ({count}, 4), got {outlines.shape}")

    names = ["image", *rows]
    block = len(names) * (SIDE + GAP) + BLOCK
    sheet = np.ones((-(-count // columns) * block - BLOCK, columns * (SIDE + GAP), 3))
    for index, picture in enumerate(pictures):
        left = index % columns * (SIDE + GAP)
        for line, name in enumerate(names):
            top = index // columns * block + line * (SIDE + GAP)
            shown = picture if line == 0 else tinted(picture, rows[name][index])
            sheet[top : top + SIDE, left : left + SIDE] = resized(shown)
            if outlines is not None:
                x1, y1, x2, y2 = outlines[index] * np.array([SIDE / width, SIDE / height] * 2)
                place = (left + x1 - 0.5, top + y1 - 0.5), x2 - x1, y2 - y1
                ax.add_patch(Rectangle(*place, fill=False, edgecolor="white", linewidth=2.4))
                ax.add_patch(Rectangle(*place, fill=False, edgecolor="#D55E00", linewidth=1.2))
            if index % columns == 0:
                ax.text(-GAP, top + SIDE / 2, name, ha="right", va="center", fontsize=10)
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title)


def tinted(picture: np.ndarray, weights: np.ndarray, top: float | None = None) -> np.ndarray:
    """The picture (H, W, 3), gray and dimmed, under the colors of weights (gh, gw), from 0 to `top`.

    By default the greatest weight has the brightest color.
    """
    import matplotlib as mpl

    share = np.clip(weights / max(float(weights.max()) if top is None else top, np.finfo(float).tiny), 0, 1)
    (height, width), (down, across) = picture.shape[:2], weights.shape
    share = share.repeat(height // down, axis=0).repeat(width // across, axis=1)
    gray = 0.8 * picture.mean(axis=-1, keepdims=True)
    return 0.3 * gray + 0.7 * mpl.colormaps["viridis"](share)[..., :3]


def resized(picture: np.ndarray) -> np.ndarray:
    """The picture in `SIDE` x `SIDE` pixels, each the nearest of the picture."""
    rows, columns = ((np.arange(SIDE) + 0.5) * size / SIDE for size in picture.shape[:2])
    return picture[rows.astype(int)][:, columns.astype(int)]
