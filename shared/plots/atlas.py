"""An atlas of attention: contact sheets by layer, with the heads in rows and the images in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .maps import BLOCK, GAP, SIDE, resized, tinted
from .panels import as_array, as_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP = SIDE + GAP


def attention_atlas(
    images: Any,
    layers: Sequence[Any],
    beside: Mapping[str, Any],
    *,
    title: str = "",
    names: Sequence[str] | None = None,
    boxes: Any = None,
    top: float | None = None,
    first: int = 1,
) -> Figure:
    """One contact sheet for each layer, below each other: the images, then a row of maps for each head.

    All maps have the same colors, from 0 to `top`, so that heads and layers can be compared. Brighter than `top` there
    is nothing; by default one weight in a hundred is greater.

    Args:
        images: (n, C, H, W), floats in [0, 1].
        layers: for each layer the maps of its heads (heads, n, gh, gw), not negative.
        beside: unit -> (layers, heads), numbers that stand beside each head, such as `{"nats": entropy}`.
        title: above the figure.
        names: of the layers; "layer 1", "layer 2", ... by default.
        boxes: (n, 4), xyxy in pixels of the image, outlined everywhere.
        top: the weight of the brightest color.
        first: the number of the first head, and of the first layer where it has no name.

    Raises:
        ValueError: no images, or maps, numbers, names or boxes of another shape.
    """
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    pictures = [as_picture(image, "attention_atlas") for image in images]
    sheets, numbers = _checked(pictures, layers, beside)
    names = names or [f"layer {first + number}" for number in range(len(sheets))]
    if len(names) != len(sheets):
        raise ValueError(f"got {len(names)} names for {len(sheets)} layers")
    outlines = None if boxes is None else as_array(boxes, "attention_atlas needs boxes (n, 4)", 2)
    if outlines is not None and outlines.shape != (len(pictures), 4):
        raise ValueError(f"attention_atlas needs boxes ({len(pictures)}, 4), got {outlines.shape}")
    top = top or brightest(sheets)

    lines = sum(1 + len(heads) for heads in sheets)
    figure, ax = plt.subplots(figsize=(0.72 * len(pictures) + 2.6, 0.74 * lines + 0.15 * len(sheets) + 0.5))
    plt.close(figure)  # pyplot would show it again at the end of a cell
    rows = []
    for layer, (name, heads) in enumerate(zip(names, sheets, strict=True)):
        maps = [[tinted(*pair, top) for pair in zip(pictures, of_head, strict=True)] for of_head in heads]
        rows += [_strip(cells) for cells in (pictures, *maps)] + [np.ones((BLOCK, len(pictures) * STEP, 3))]
        below = layer * (BLOCK + (1 + len(heads)) * STEP) + SIDE / 2
        ax.text(-GAP, below, name, ha="right", va="center", fontsize=10, fontweight="bold")
        for head in range(len(heads)):
            said = [f"head {first + head}", *(f"{values[layer, head]:.3g} {unit}" for unit, values in numbers.items())]
            place = -GAP, below + (1 + head) * STEP
            ax.text(*place, "\n".join(said), ha="right", va="center", fontsize=7.5, linespacing=1.15)
        for line in range(1 + len(heads)):
            _outline(ax, outlines, pictures, below - SIDE / 2 + line * STEP)
    ax.imshow(np.concatenate(rows[:-1]), interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title)
    figure.colorbar(
        ScalarMappable(Normalize(0, top), "viridis"), ax=ax, extend="max", label="attention weight of a patch",
        fraction=0.03, pad=0.01, aspect=14, anchor=(0, 1), shrink=min(1.0, 3.2 / (0.74 * lines)),
    )  # fmt: skip
    return figure


def brightest(layers: Sequence[Any]) -> float:
    """The weight that one in a hundred of all maps (heads, n, gh, gw) exceeds: a `top` for the pages of one atlas."""
    weights = np.concatenate(
        [as_array(heads, "brightest needs maps (heads, n, gh, gw)", 4).ravel() for heads in layers]
    )
    return float(np.percentile(weights, 99)) or 1.0


def save_pages(path: Path | str, figures: Sequence[Figure]) -> Path:
    """The figures as the pages of one PDF file; gives its path. Its folder is made."""
    from matplotlib.backends.backend_pdf import PdfPages

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with PdfPages(path, metadata={"CreationDate": None}) as pages:
        for figure in figures:
            pages.savefig(figure, dpi=110)
    return path


def _checked(
    pictures: Sequence[np.ndarray], layers: Sequence[Any], beside: Mapping[str, Any]
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Maps and numbers as arrays, which fit the images."""
    if not pictures or not len(layers):
        raise ValueError("attention_atlas needs at least one image and one layer")
    height, width = pictures[0].shape[:2]
    sheets = [as_array(heads, "attention_atlas needs maps (heads, n, gh, gw)", 4) for heads in layers]
    for heads in sheets:
        if heads.shape[1] != len(pictures) or height % heads.shape[2] or width % heads.shape[3]:
            raise ValueError(f"maps {heads.shape} do not fit {len(pictures)} images of {height} x {width} pixels")
    numbers = {
        unit: as_array(values, f"attention_atlas needs (layers, heads) for {unit!r}", 2)
        for unit, values in beside.items()
    }
    for unit, values in numbers.items():
        if values.shape != (len(sheets), len(sheets[0])):
            raise ValueError(f"{unit!r} has shape {values.shape} for {len(sheets)} layers of {len(sheets[0])} heads")
    return sheets, numbers


def _strip(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures beside each other, with a gap to the right of each and below."""
    strip = np.ones((STEP, len(cells) * STEP, 3))
    for column, cell in enumerate(cells):
        strip[:SIDE, column * STEP : column * STEP + SIDE] = resized(cell)
    return strip


def _outline(ax: Axes, boxes: np.ndarray | None, pictures: Sequence[np.ndarray], below: float) -> None:
    """The boxes (n, 4) of a row of pictures whose upper edge is at `below`."""
    from matplotlib.patches import Rectangle

    for column, (box, picture) in enumerate(zip(boxes if boxes is not None else (), pictures, strict=False)):
        height, width = picture.shape[:2]
        x1, y1, x2, y2 = box * np.array([SIDE / width, SIDE / height] * 2)
        place = (column * STEP + x1 - 0.5, below + y1 - 0.5), x2 - x1, y2 - y1
        ax.add_patch(Rectangle(*place, fill=False, edgecolor="white", linewidth=2.2))
        ax.add_patch(Rectangle(*place, fill=False, edgecolor="#D55E00", linewidth=1.1))
