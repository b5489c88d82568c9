"""Tiles as a satellite sees them: six kinds of land use, and what makes them hard. Re-exported by `datasets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import rendering
from .rendering import Floats

if TYPE_CHECKING:
    import torch

LAND_USES = ("crop rows", "orchard", "river", "road grid", "houses", "bare soil")
_BARE = LAND_USES.index("bare soil")
_MOST_CLUTTER = 6
_MOST_HOUSES = 6
_SOILS = ((0.58, 0.47, 0.34), (0.43, 0.45, 0.29))
_PAINTS = {
    "crop rows": (0.40, 0.56, 0.18),
    "orchard": (0.13, 0.29, 0.15),
    "river": (0.21, 0.32, 0.47),
    "road grid": (0.73, 0.72, 0.69),
    "houses": (0.70, 0.27, 0.21),
}


@dataclass(frozen=True, eq=False)
class FieldTiles:
    """Tiles of one land use each, with the pixels that say so.

    Attributes:
        x: (n, 3, s, s) float32 in [0, 1].
        y: (n,) int64, index into `LAND_USES`; every class equally often, give or take one.
        evidence: (n, s, s) bool, the pixels that the rows, trees, river, roads or houses cover at least half and no
            clutter does. Nothing in a tile of bare soil: that class is known by what is not there.
        angle: (n,) float32 in [0, pi), by how much the structure is turned, in radians.
        haze: (n,) float32 in [0, 0.75], the share of each pixel that is haze.
        clutter: (n,) int64 from 0 to 6, how many small blobs lie on the tile, in the colors of the classes.
    """

    x: torch.Tensor
    y: torch.Tensor
    evidence: torch.Tensor
    angle: torch.Tensor
    haze: torch.Tensor
    clutter: torch.Tensor


def field_tiles(n: int, seed: int, size: int = 32) -> FieldTiles:
    """Draw `n` tiles; the same for the same arguments.

    Class, angle, haze, clutter and brightness are drawn independently. Grain is added after the haze, as in a camera,
    so that what haze hides cannot be had back by stretching the contrast.

    Args:
        n: number of tiles, at least 1.
        seed: of all randomness.
        size: height and width in pixels, at least 16; structures keep their size in pixels.

    Returns:
        A `FieldTiles`.

    Raises:
        ValueError: `n` or `size` is not as above.
    """
    import torch

    if n < 1 or size < 16:
        raise ValueError(f"field_tiles needs n >= 1 and size >= 16, got n={n} and size={size}")
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(LAND_USES))
    angle = rng.uniform(0, np.pi, n).astype(np.float32)
    haze = rng.uniform(0, 0.75, n).astype(np.float32)
    clutter = rng.integers(_MOST_CLUTTER + 1, size=n)

    pictures = _soil(n, size, rng)
    cover = np.zeros((n, size, size), dtype=np.float32)
    for index, kind in enumerate(LAND_USES):
        at = np.flatnonzero(y == index)
        if kind in _PAINTS and len(at):
            cover[at] = structure(kind, angle[at], size, rng)
            tint = np.array(_PAINTS[kind]) + rng.normal(0, 0.03, (len(at), 3))
            pictures[at] = rendering.paint(pictures[at], cover[at], tint.astype(np.float32))
    covered = np.zeros((n, size, size), dtype=bool)
    for blob in range(_MOST_CLUTTER):
        spot = _blobs(n, size, rng) * (blob < clutter)[:, None, None]
        tint = np.array([*_PAINTS.values()])[rng.integers(len(_PAINTS), size=n)] + rng.normal(0, 0.03, (n, 3))
        pictures = rendering.paint(pictures, spot, tint.astype(np.float32))
        covered |= spot >= 0.5
    light = rng.uniform(0.8, 1.2, (n, 1, 1, 1)).astype(np.float32)
    veil = haze[:, None, None, None]
    pictures = (1 - veil) * light * pictures + veil * np.float32(0.82)
    pictures += np.float32(0.03) * rng.standard_normal(pictures.shape, dtype=np.float32)
    return FieldTiles(
        x=torch.from_numpy(np.clip(pictures, 0, 1)),
        y=torch.from_numpy(y.astype(np.int64)),
        evidence=torch.from_numpy((cover >= 0.5) & ~covered),
        angle=torch.from_numpy(angle),
        haze=torch.from_numpy(haze),
        clutter=torch.from_numpy(clutter.astype(np.int64)),
    )


def structure(kind: str, angle: Floats, size: int, rng: np.random.Generator) -> Floats:
    """How much of each pixel the rows, trees, river, roads or houses of n tiles cover: (n, size, size) in [0, 1]."""
    n = len(angle)

    def drawn(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    axis = np.arange(size, dtype=np.float32) + np.float32(0.5 - size / 2)
    shift = rng.uniform(-0.12, 0.12, (2, n, 1, 1)).astype(np.float32) * size
    x, y = axis[None, None, :] - shift[0], axis[None, :, None] - shift[1]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    along, across = cos * x + sin * y, cos * y - sin * x
    if kind == "river":
        swing, turns, start = drawn(1.0, 3.0), drawn(0.15, 0.3), drawn(0, 2 * np.pi)
        bed = across - swing * np.sin(turns * along + start)
        slope = swing * turns * np.cos(turns * along + start)
        return rendering.coverage(np.abs(bed) / np.sqrt(1 + slope * slope) - drawn(1.2, 2.8))
    if kind == "houses":
        count, nearest = rng.integers(3, _MOST_HOUSES + 1, size=(n, 1, 1)), np.full((n, size, size), np.inf, np.float32)
        for house in range(_MOST_HOUSES):
            far = size * 0.36
            u, v = (
                np.abs(along - drawn(-far, far)) - drawn(1.7, 3.1),
                np.abs(across - drawn(-far, far)) - drawn(1.7, 3.1),
            )
            nearest = np.minimum(nearest, np.where(house < count, np.maximum(u, v), np.inf)).astype(np.float32)
        return rendering.coverage(nearest)
    field = rendering.coverage(
        np.maximum(np.abs(along) - size * drawn(0.2, 0.6), np.abs(across) - size * drawn(0.2, 0.6)).astype(np.float32)
    )
    if kind == "crop rows":
        return field * rendering.coverage(_from_line(across, period := drawn(4.0, 6.0), drawn(0, 6)) - 0.25 * period)
    if kind == "orchard":
        period = drawn(5.0, 7.0)
        u, v = _from_line(along, period, drawn(0, 7)), _from_line(across, period, drawn(0, 7))
        return field * rendering.coverage(np.sqrt(u * u + v * v) - 0.32 * period)
    if kind == "road grid":
        period = drawn(8.0, 12.0)
        u, v = _from_line(along, period, drawn(0, 12)), _from_line(across, period, drawn(0, 12))
        return field * rendering.coverage(np.minimum(u, v) - drawn(0.6, 1.0))
    raise ValueError(f"unknown structure {kind!r}; known: {', '.join(_PAINTS)}")


def _from_line(place: Floats, period: Floats, start: Floats) -> Floats:
    """Distance in pixels to the nearest of parallel lines, `period` pixels apart."""
    return np.abs((place + start) % period - period / 2)


def _soil(n: int, size: int, rng: np.random.Generator) -> Floats:
    """Ground (n, 3, size, size) between two colors, in patches of a few pixels."""
    low, high = (np.array(color, dtype=np.float32)[:, None, None] for color in _SOILS)
    coarse = rng.uniform(0, 1, (n, 1, size // 4 + 2, size // 4 + 2)).astype(np.float32)
    fine = np.repeat(np.repeat(coarse, 4, axis=2), 4, axis=3)
    smooth = sum(fine[:, :, 2 + dy : 2 + dy + size, 2 + dx : 2 + dx + size] for dy in range(4) for dx in range(4)) / 16
    share = np.clip(rng.uniform(0, 1, (n, 1, 1, 1)) + 0.5 * (smooth - 0.5), 0, 1).astype(np.float32)
    return (low + share * (high - low)).astype(np.float32)


def _blobs(n: int, size: int, rng: np.random.Generator) -> Floats:
    """How much of each pixel one small disk covers, in each of n tiles."""
    center = rng.uniform(0, size, (n, 2)).astype(np.float32)
    radius = rng.uniform(0.8, 1.9, n).astype(np.float32)
    return rendering.coverage(rendering.signed_distance("circle", center, radius, np.zeros(n, np.float32), size))
