"""Typed samples, the same on every call: shapes with a part of their own, so that a click can mean two things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

WHOLES = ("circle", "square")
PARTS = ("circle", "square", "triangle")
RADIUS = (0.21, 0.28)
"""Half the side of a whole as a share of the side of the picture, least and most."""
SHARE = 0.6
"""How large a part is, measured in its whole."""
AWAY = 0.12
"""How far the middle of a part lies from that of its whole at most, measured in the whole: a part stays inside."""
TRIES = 60
"""How many places are tried for a whole before it is left out."""


class PartWholeTarget(TypedDict):
    """The K masks of one picture: for each object its whole, then its part.

    masks : (K, S, S) bool; the part lies inside its whole, and the whole has the pixels of its part, too.
    object_id : (K,) int64, 0 for the first object, 1 for the second. level : (K,) int64, 0 for a part, 1 for a whole.
    """

    masks: torch.Tensor
    object_id: torch.Tensor
    level: torch.Tensor


@dataclass(frozen=True, eq=False)
class PartWholeScenes:
    """Pictures of shapes that have a part.

    Attributes:
        images: (n, 3, S, S) float32 in [0, 1].
        targets: n `PartWholeTarget`s.
    """

    images: torch.Tensor
    targets: list[PartWholeTarget]


def part_whole_scenes(n: int, size: int = 32, max_objects: int = 2, seed: int = 0) -> PartWholeScenes:
    """Draw `n` pictures of striped shapes on dark, noisy gradients, each with a part of another color inside.

    A whole is a circle or a square, its part a circle, a square or a triangle of 0.6 times its size; shapes, colors,
    sizes and places are drawn uniformly. Wholes do not overlap; one that finds no place is left out. Each picture
    has one object at least.

    Args:
        n: number of pictures, at least 1.
        size: S, height and width in pixels, at least 32: parts get too small for a mask else.
        max_objects: objects in a picture, at most; at least 1.
        seed: of all randomness.

    Returns:
        A `PartWholeScenes`.

    Raises:
        ValueError: an argument is not as above.
    """
    import numpy as np
    import torch

    from . import rendering

    if n < 1 or size < 32 or max_objects < 1:
        raise ValueError(
            f"part_whole_scenes needs n >= 1, size >= 32 and max_objects >= 1, got n={n}, size={size} and "
            f"max_objects={max_objects}"
        )
    rng = np.random.default_rng(seed)
    count = rng.integers(1, max_objects + 1, n)
    pictures = np.float32(0.5) * rendering.noisy_gradient(n, size, rng)
    taken = np.zeros((n, size, size), dtype=bool)
    masks: list[list[NDArray[np.bool_]]] = [[] for _ in range(n)]
    for slot in range(max_objects):
        waiting = np.flatnonzero(count > slot)
        for _ in range(TRIES):
            if len(waiting) == 0:
                break
            cover, surface = _objects(len(waiting), size, rng)
            fits = ~(taken[waiting] & (cover[:, 0] >= 0.5)).any(axis=(1, 2))
            at = waiting[fits]
            for level in range(2):
                pictures[at] = rendering.paint(pictures[at], cover[fits, level], surface[fits, level])
            taken[at] |= cover[fits, 0] >= 0.5
            for index, pair in zip(at, cover[fits] >= 0.5, strict=True):
                masks[index].extend(pair)
            waiting = waiting[~fits]
    return PartWholeScenes(
        images=torch.from_numpy(pictures),
        targets=[
            PartWholeTarget(
                masks=torch.from_numpy(np.stack(found)),
                object_id=torch.arange(len(found)) // 2,
                level=1 - torch.arange(len(found)) % 2,
            )
            for found in masks
        ],
    )


def _objects(m: int, size: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """m wholes at random places, each with its part: what they cover (m, 2, S, S), and their colors (m, 2, 3, S, S)."""
    import numpy as np

    from . import rendering
    from .shapes import _RGB
    from .textures import textures

    radius = size * rng.uniform(*RADIUS, m)
    center = rng.uniform(radius[:, None], size - radius[:, None], (m, 2))
    turned = rng.uniform(0, 2 * np.pi, m)
    away = (AWAY * radius * np.sqrt(rng.random(m)))[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    color = rng.integers(len(_RGB), size=m)
    other = (color + rng.integers(1, len(_RGB), size=m)) % len(_RGB)
    cover, surface = [], []
    for kinds, where, reach, hue in (
        (WHOLES, center, radius, color),
        (PARTS, center + away, SHARE * radius, other),
    ):
        place, half = where.astype(np.float32), reach.astype(np.float32)
        angle = rng.uniform(-0.1, 0.1, m).astype(np.float32)
        cover.append(rendering.covers(kinds, rng.integers(len(kinds), size=m), place, half, angle, size))
        surface.append(textures(hue, rng).painted(place, half, size))
    return np.stack(cover, axis=1), np.stack(surface, axis=1)
