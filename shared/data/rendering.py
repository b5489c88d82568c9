"""The drawing core of the generated datasets: silhouettes, backgrounds, paint and boxes, in NumPy.

Pictures are arrays (n, 3, s, s) float32 in [0, 1], x to the right and y down. Pixel (row 0, column 0)
covers the square from (0, 0) to (1, 1); its center is (0.5, 0.5). A silhouette is given by signed
distances: negative inside, 0 on the outline, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SILHOUETTES = ("circle", "square", "triangle", "cross", "star", "ring")


def _polygon(kind: str) -> Floats:
    """Corners (v, 2) in a box from -1 to 1, centered on the box."""
    if kind == "square":
        corners = [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    elif kind == "triangle":
        corners = [(0.0, -0.9), (1.0, 0.85), (-1.0, 0.85)]
    elif kind == "cross":
        a, b = 0.95, 0.32
        arm = [(-b, -a), (b, -a), (b, -b)]
        corners = [(x, y) for k in range(4) for x, y in _turned(arm, k)]
    elif kind == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.05, 0.45)
        corners = list(zip(radii * np.cos(angles), radii * np.sin(angles) + 0.05, strict=True))
    else:
        raise ValueError(f"unknown silhouette {kind!r}; known: {', '.join(SILHOUETTES)}")
    return np.array(corners, dtype=np.float32)


def _turned(points: Sequence[tuple[float, float]], quarters: int) -> list[tuple[float, float]]:
    found = list(points)
    for _ in range(quarters):
        found = [(-y, x) for x, y in found]
    return found


def signed_distance(kind: str, center: Floats, radius: Floats, angle: Floats, size: int) -> Floats:
    """Signed distances of all pixel centers to the outlines of n silhouettes of one kind.

    Parameters
    ----------
    kind : one of `SILHOUETTES`.
    center : (n, 2) x and y in pixels. radius : (n,) half the side of the box it is drawn in, in pixels.
    angle : (n,) clockwise rotation in radians. size : height and width of the pictures.

    Returns
    -------
    (n, size, size) float32, in pixels; negative inside.

    Raises
    ------
    ValueError : the kind is unknown.
    """
    axis = np.arange(size, dtype=np.float32) + np.float32(0.5)
    dx = (axis[None, None, :] - center[:, 0, None, None]) / radius[:, None, None]
    dy = (axis[None, :, None] - center[:, 1, None, None]) / radius[:, None, None]
    if kind in ("circle", "ring"):
        reach = np.sqrt(dx * dx + dy * dy)
        distance = reach - np.float32(0.95) if kind == "circle" else np.abs(reach - np.float32(0.75)) - np.float32(0.22)
    else:
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        distance = _polygon_distance(_polygon(kind), cos * dx + sin * dy, cos * dy - sin * dx)
    return (distance * radius[:, None, None]).astype(np.float32)


def _polygon_distance(corners: Floats, x: Floats, y: Floats) -> Floats:
    """Signed distance to a polygon: the nearest edge, and the parity of the edges crossed to the right."""
    nearest = np.full(x.shape, np.inf, dtype=np.float32)
    inside = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2, out=nearest)
        if ay != by:
            inside ^= ((y >= ay) != (y >= by)) & (px < py * (ex / ey))
    distance: Floats = np.sqrt(nearest)
    return np.where(inside, -distance, distance)


def coverage(distance: Floats) -> Floats:
    """How much of each pixel a silhouette covers, 0 to 1: an outline with smooth edges."""
    return np.clip(0.5 - distance, 0, 1)


def covers(
    kinds: Sequence[str], kind: NDArray[np.int64], center: Floats, radius: Floats, angle: Floats, size: int
) -> Floats:
    """How much each of n silhouettes of several kinds covers of each pixel: (n, size, size).

    Parameters
    ----------
    kinds : of `SILHOUETTES`. kind : (n,) index into `kinds`. The others are those of `signed_distance`.
    """
    cover = np.empty((len(kind), size, size), dtype=np.float32)
    for number, name in enumerate(kinds):
        of = np.flatnonzero(kind == number)
        cover[of] = coverage(signed_distance(name, center[of], radius[of], angle[of], size))
    return cover


def noisy_gradient(n: int, size: int, rng: np.random.Generator, *, noise: float = 0.03) -> Floats:
    """Backgrounds (n, 3, size, size): a gray-ish linear ramp of random direction, plus pixel noise."""
    low = rng.uniform(0.25, 0.75, (n, 3, 1, 1)).astype(np.float32)
    gray = low.mean(axis=1, keepdims=True)
    base = gray + 0.25 * (low - gray)  # little color, so that it cannot be taken for an object's
    angle = rng.uniform(0, 2 * np.pi, n).astype(np.float32)
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size - np.float32(0.5)
    ramp = np.cos(angle)[:, None, None] * axis[None, None, :] + np.sin(angle)[:, None, None] * axis[None, :, None]
    grain = rng.standard_normal((n, 3, size, size), dtype=np.float32)
    return np.clip(base + 0.3 * ramp[:, None] + np.float32(noise) * grain, 0, 1).astype(np.float32)


def paint(pictures: Floats, cover: Floats, color: Floats) -> Floats:
    """Pictures (n, 3, s, s) with colors (n, 3) or (n, 3, s, s) laid over them as far as `cover` (n, s, s) reaches."""
    everywhere = color[:, :, None, None] if color.ndim == 2 else color
    return pictures + cover[:, None] * (everywhere - pictures)


def tight_boxes(mask: NDArray[np.bool_]) -> Floats:
    """The smallest boxes xyxy (n, 4) around the true pixels of masks (n, h, w); x2 and y2 are exclusive.

    Raises
    ------
    ValueError : a mask is empty.
    """
    if not mask.any(axis=(1, 2)).all():
        raise ValueError("an empty mask has no box")
    columns: NDArray[np.bool_] = np.any(mask, axis=1)
    rows: NDArray[np.bool_] = np.any(mask, axis=2)
    x1, y1 = columns.argmax(axis=1), rows.argmax(axis=1)
    x2, y2 = mask.shape[2] - columns[:, ::-1].argmax(axis=1), mask.shape[1] - rows[:, ::-1].argmax(axis=1)
    return np.stack([x1, y1, x2, y2], axis=1).astype(np.float32)
