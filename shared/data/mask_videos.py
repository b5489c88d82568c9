"""Typed samples, the same on every call: short videos of two shapes whose ways cross, with a mask in each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

OBJECTS = 2
RADIUS = (0.16, 0.22)
"""Half the side of a shape as a share of the side of the picture, least and most."""
START = 0.32
"""How far from the middle of the picture a shape starts, as a share of its side."""


@dataclass(frozen=True, eq=False)
class MaskVideos:
    """Videos of M = 2 moving shapes; the second passes in front of the first.

    Attributes:
        frames: (n, T, 3, S, S) float32 in [0, 1].
        masks: (n, T, M, S, S) bool, the pixels where a shape is seen.
        visible: (n, T, M) bool, whether any pixel of it is.
    """

    frames: torch.Tensor
    masks: torch.Tensor
    visible: torch.Tensor


def mask_videos(n: int, frames: int = 12, size: int = 32, seed: int = 0) -> MaskVideos:
    """Draw `n` videos of two striped shapes on a dark gradient that stands still.

    Each shape goes straight from one side of the picture to the opposite one, so that both meet near the middle, where
    the second hides the first, partly or wholly. In the first frame both are seen whole. Shapes, sizes, colors (of two
    different ones), directions and the time at which each starts to move are drawn at random; textures move along.

    Args:
        n: number of videos, at least 1.
        frames: T, at least 2.
        size: S, height and width in pixels, at least 24.
        seed: of all randomness.

    Returns:
        A `MaskVideos`.

    Raises:
        ValueError: an argument is not as above.
    """
    import numpy as np
    import torch

    from . import rendering
    from .scenes import SCENE_CLASSES
    from .shapes import _RGB
    from .textures import textures

    if n < 1 or frames < 2 or size < 24:
        raise ValueError(
            f"mask_videos needs n >= 1, frames >= 2 and size >= 24, got n={n}, frames={frames} and size={size}"
        )
    rng = np.random.default_rng(seed)
    still = np.float32(0.5) * rendering.noisy_gradient(n, size, rng)
    pictures = np.repeat(still[:, None], frames, axis=1)
    masks = np.zeros((n, frames, OBJECTS, size, size), dtype=bool)
    first, turn = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.55, 1.0, n) * np.pi * rng.choice([-1, 1], n)
    color = rng.integers(len(_RGB), size=n)
    for number in range(OBJECTS):
        hue = (color + number * rng.integers(1, len(_RGB), size=n)) % len(_RGB)
        surface = textures(hue, rng)
        radius = (size * rng.uniform(*RADIUS, n)).astype(np.float32)
        angle = rng.uniform(-0.2, 0.2, n).astype(np.float32)
        kind = rng.integers(len(SCENE_CLASSES), size=n)
        way = _way(first + number * turn, frames, size, rng)
        for t in range(frames):
            cover = rendering.covers(SCENE_CLASSES, kind, way[:, t], radius, angle, size)
            pictures[:, t] = rendering.paint(pictures[:, t], cover, surface.painted(way[:, t], radius, size))
            masks[:, t, :number] &= (cover < 0.5)[:, None]
            masks[:, t, number] = cover >= 0.5
    shown = torch.from_numpy(masks)
    return MaskVideos(frames=torch.from_numpy(pictures), masks=shown, visible=shown.flatten(3).any(-1))


def _way(angle: NDArray[np.float64], frames: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Centers (n, frames, 2) on straight ways through the middle, from the side at `angle` (n,) to the opposite one."""
    import numpy as np

    start = rng.uniform(0.0, 0.15, len(angle))[:, None]
    along = 1 - 2 * np.clip((np.linspace(0, 1, frames) - start) / (1 - start), 0, 1)  # from 1 to -1
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    middle = size * rng.uniform(0.46, 0.54, (len(angle), 1, 2))
    return (middle + size * START * along[..., None] * direction[:, None]).astype(np.float32)
