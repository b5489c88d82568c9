"""Galleries of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .panels import as_picture, even_columns, make_panels, titles_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    suptitle: str | None = None,
) -> Figure:
    """Images (N, C, H, W), or a list of (C, H, W) of any sizes, in rows of `columns` (at most 6 by default).

    C is 1 (gray) or 3 (RGB). Values are floats in [0, 1]; what lies outside is clipped.

    Raises:
        ValueError: no images, one of another shape or of integers, or not one title for each.
    """
    pictures = [as_picture(image, "image_grid") for image in images]
    if not pictures:
        raise ValueError("image_grid needs at least one image")
    titles = titles_for(titles or [""] * len(pictures), len(pictures))
    columns = columns or even_columns(len(pictures), most=6)
    width = min(9.0 / columns, 3.2)
    height = width * max(picture.shape[0] / picture.shape[1] for picture in pictures) + 0.3 * any(titles)
    figure, axes = make_panels(len(pictures), columns, width=width, height=height, suptitle=suptitle)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture, vmin=0.0, vmax=1.0, interpolation="nearest")
        ax.set_title(title)
        ax.axis("off")
    return figure
