"""Typed samples, the same on every call: what needs no network, and real data sets from disk or a download."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


SHAPES = ("circle", "square", "triangle", "cross", "star", "ring")
COLORS = ("red", "green", "blue", "yellow", "purple", "cyan")
SCALES = ("small", "large")
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")
_RGB = (
    (0.86, 0.16, 0.16),
    (0.15, 0.65, 0.20),
    (0.15, 0.30, 0.85),
    (0.95, 0.85, 0.15),
    (0.60, 0.20, 0.70),
    (0.15, 0.80, 0.85),
)
_RADII = ((0.13, 0.16), (0.22, 0.27))
"""Half the side of the drawn object as a share of the image side, least and most, for small and large."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """Pictures of one colored shape each, with complete ground truth.

    Attributes:
        x: (n, 3, s, s) float32 in [0, 1].
        shape: (n,) int64, index into `SHAPES`.
        color: (n,) int64, index into `COLORS`.
        scale: (n,) int64, index into `SCALES`.
        quadrant: (n,) int64, index into `QUADRANTS`: the quarter of the picture that holds the object's center.
        bbox: (n, 4) float32, xyxy in pixels, the tightest box around the mask; x2 and y2 are exclusive.
        mask: (n, s, s) bool, the pixels that the object covers at least half.
        captions: n sentences such as "a small red circle in the top left".
    """

    x: torch.Tensor
    shape: torch.Tensor
    color: torch.Tensor
    scale: torch.Tensor
    quadrant: torch.Tensor
    bbox: torch.Tensor
    mask: torch.Tensor
    captions: list[str]


def shapes(
    n: int,
    seed: int,
    size: int = 32,
    include: Collection[tuple[str, str]] | None = None,
    exclude: Collection[tuple[str, str]] | None = None,
) -> Shapes:
    """Draw `n` pictures of one shape on a noisy gradient; the same for the same arguments.

    Shape and color, scale, and quadrant are drawn independently and uniformly. The object lies wholly in the picture.

    Args:
        n: number of pictures, at least 1.
        seed: of all randomness.
        size: height and width in pixels, at least 16.
        include: the (shape, color) pairs to draw, as names: `{("circle", "red")}`; all 36 by default.
        exclude: pairs never to draw, for compositions that a model must not see.

    Returns:
        A `Shapes`.

    Raises:
        ValueError: `n`, `size` or a pair is not as above, or no pair is left.
    """
    import numpy as np
    import torch

    from . import rendering

    if n < 1 or size < 16:
        raise ValueError(f"shapes needs n >= 1 and size >= 16, got n={n} and size={size}")
    pairs = np.array(_pairs(include, exclude))
    rng = np.random.default_rng(seed)
    shape, color = pairs[rng.integers(len(pairs), size=n)].T
    scale, quadrant = rng.integers(2, size=n), rng.integers(4, size=n)
    least, most = np.array(_RADII).T
    radius = size * rng.uniform(least[scale], most[scale])
    near, far = 1.15 * radius + 0.5, size * 0.44  # from the edge of the picture; from there, clear of the middle
    center = rng.uniform(near, np.maximum(far, near), (2, n))
    center[0] = np.where(quadrant % 2 == 0, center[0], size - center[0])
    center[1] = np.where(quadrant // 2 == 0, center[1], size - center[1])
    angle = rng.uniform(-0.2, 0.2, n)
    tint = np.clip(np.array(_RGB)[color] * rng.uniform(0.85, 1.1, (n, 1)), 0, 1)

    pictures = rendering.noisy_gradient(n, size, rng)
    cover = np.empty((n, size, size), dtype=np.float32)
    for index, kind in enumerate(SHAPES):
        at = np.flatnonzero(shape == index)
        distance = rendering.signed_distance(
            kind, center.T[at].astype(np.float32), radius[at].astype(np.float32), angle[at].astype(np.float32), size
        )
        cover[at] = rendering.coverage(distance)
    pictures = rendering.paint(pictures, cover, tint.astype(np.float32))
    mask = cover >= 0.5
    return Shapes(
        x=torch.from_numpy(pictures),
        shape=torch.from_numpy(shape.astype(np.int64)),
        color=torch.from_numpy(color.astype(np.int64)),
        scale=torch.from_numpy(scale),
        quadrant=torch.from_numpy(quadrant),
        bbox=torch.from_numpy(rendering.tight_boxes(mask)),
        mask=torch.from_numpy(mask),
        captions=[
            f"a {SCALES[k]} {COLORS[j]} {SHAPES[i]} in the {QUADRANTS[q]}"
            for i, j, k, q in zip(shape, color, scale, quadrant, strict=True)
        ],
    )


def _pairs(
    include: Collection[tuple[str, str]] | None, exclude: Collection[tuple[str, str]] | None
) -> list[tuple[int, int]]:
    """The (shape, color) pairs to draw, as indices in a fixed order."""
    every = [(shape, color) for shape in SHAPES for color in COLORS]
    for pair in (*(include or ()), *(exclude or ())):
        if pair not in every:
            raise ValueError(
                f"{pair!r} is no (shape, color) pair; shapes: {', '.join(SHAPES)}; colors: {', '.join(COLORS)}"
            )
    left = [pair for pair in every if (include is None or pair in include) and pair not in (exclude or ())]
    if not left:
        raise ValueError("include and exclude leave no (shape, color) pair to draw")
    return [(SHAPES.index(shape), COLORS.index(color)) for shape, color in left]
