"""Colors with a ramp and stripes, so that a shape cannot be told from its surroundings by one color."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rendering import Floats
from .shapes import _RGB

RAMP, STRIPES = 0.35, 0.25
"""How far brightness goes up and down: from the middle of a shape to its edge, and in its stripes."""


@dataclass(frozen=True, eq=False)
class Textures:
    """The surfaces of n shapes; they move along with their shapes.

    color : (n,) int64, index into `COLORS`. tint : (n, 3). ramp, stripes : (n, 2), the directions in which brightness
    changes, for the stripes times their frequency. phase : (n,).
    """

    color: NDArray[np.int64]
    tint: Floats
    ramp: Floats
    stripes: Floats
    phase: Floats

    def painted(self, center: Floats, radius: Floats, size: int) -> Floats:
        """The colors (n, 3, size, size) of surfaces that are centered at `center` (n, 2) and reach `radius` (n,)."""
        axis = np.arange(size, dtype=np.float32) + np.float32(0.5)
        x = (axis[None, None, :] - center[:, 0, None, None]) / radius[:, None, None]
        y = (axis[None, :, None] - center[:, 1, None, None]) / radius[:, None, None]

        def along(direction: Floats) -> Floats:
            return direction[:, 0, None, None] * x + direction[:, 1, None, None] * y

        light = RAMP * along(self.ramp).clip(-1, 1) + STRIPES * np.sin(along(self.stripes) + self.phase[:, None, None])
        return np.clip(self.tint[:, :, None, None] + light[:, None], 0, 1).astype(np.float32)


def textures(color: NDArray[np.int64], rng: np.random.Generator) -> Textures:
    """Surfaces of these colors; their lights and stripes are drawn at random."""
    n = len(color)

    def directions() -> Floats:
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    return Textures(
        color=color,
        tint=(np.array(_RGB)[color] * rng.uniform(0.85, 1.1, (n, 1))).clip(0, 1).astype(np.float32),
        ramp=directions(),
        stripes=(directions() * rng.uniform(3, 7, (n, 1))).astype(np.float32),
        phase=rng.uniform(0, 2 * np.pi, n).astype(np.float32),
    )
