"""Boxes over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes

NEAR_THE_TOP = 0.12
"""Share of the height: where a box begins above this, its words stand below it."""


def draw_boxes(
    ax: Axes, image: torch.Tensor, boxes: torch.Tensor, words: Sequence[str] = (), color: str = "white"
) -> None:
    """Draw an image with boxes around things, and words at them.

    Args:
        ax: axes without content; afterwards without ticks, with y running down and units of pixels.
        image: (3, H, W) in [0, 1].
        boxes: (M, 4), xyxy in pixels.
        words: one for each box, or fewer.
        color: of the lines and of the ground of the words.
    """
    from matplotlib.patches import Rectangle

    height, width = image.shape[-2:]
    ax.imshow(image.permute(1, 2, 0).clamp(0, 1), extent=(0, width, height, 0), interpolation="nearest")
    ground = {"facecolor": color, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    padded = [*words, *[""] * len(boxes)]
    for (x1, y1, x2, y2), word in zip(boxes.tolist(), padded, strict=False):
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.8))
        y, side = (y1, "bottom") if y1 > NEAR_THE_TOP * height else (y2, "top")
        if word:
            ax.text(x1, y, word, fontsize=8, color="black", va=side, bbox=ground, clip_on=True)
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
