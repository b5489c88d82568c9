"""Pictures with two cues to their class, a silhouette and the texture that fills it. Re-exported by `datasets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float32 | np.float64]

CUE_SHAPES = ("circle", "square", "triangle", "cross")
CUE_TEXTURES = ("horizontal", "vertical", "diagonal", "checks")
"""What `Cues.texture` counts: stripes in three directions, and checks."""

CueMode = Literal["match", "conflict", "shape", "texture"]
_PERIOD = 5.0
"""Pixels from stripe to stripe, whatever the size of the picture."""
_LIFT = 0.18
"""How much lighter than its background an object is, on average over its pixels."""


@dataclass(frozen=True, eq=False)
class Cues:
    """Gray pictures whose class can be read from a silhouette, a texture, or both.

    Attributes:
        x: (n, 1, s, s) float32 in [0, 1].
        shape: (n,) int64, index into `CUE_SHAPES`; -1 where there is no silhouette.
        texture: (n,) int64, index into `CUE_TEXTURES`; -1 where there is no texture.
        mask: (n, s, s) bool, the pixels that the object covers at least half; all of them where the texture fills
            the picture.
    """

    x: torch.Tensor
    shape: torch.Tensor
    texture: torch.Tensor
    mask: torch.Tensor


def cue_images(n: int, seed: int, mode: CueMode, size: int = 32, texture_contrast: float = 0.4) -> Cues:
    """Draw `n` pictures for the question which of two cues a model follows; the same for the same arguments.

    The stimuli are a small, exact version of those of Geirhos et al. (ICLR 2019), who put the texture of one class
    on the shape of another. A silhouette is turned by up to 0.2 rad, a texture by up to 0.15 rad, place, size and
    phase are random, and the background is a noisy ramp.

    Args:
        n: number of pictures, at least 1.
        seed: of all randomness.
        mode: `"match"`: silhouette k is filled with texture k, so either cue tells the class. `"conflict"`: filled
            with one of the three other textures. `"shape"`: filled with plain gray. `"texture"`: the texture fills
            the whole picture.
        size: height and width in pixels, at least 16.
        texture_contrast: from the dark to the light stripes of a texture, in pixel values, 0 to 0.6. An object is
            lighter than its background by 0.18 on average, whatever the contrast.

    Returns:
        A `Cues`.

    Raises:
        ValueError: an argument is not as above.
    """
    import numpy as np
    import torch

    from . import rendering

    if n < 1 or size < 16 or not 0 <= texture_contrast <= 0.6 or mode not in get_args(CueMode):
        raise ValueError(
            "cue_images needs n >= 1, size >= 16, 0 <= texture_contrast <= 0.6 and a mode of "
            f"{', '.join(get_args(CueMode))}; got n={n}, size={size}, {texture_contrast=} and mode={mode!r}"
        )
    rng = np.random.default_rng(seed)
    shape, other = rng.integers(len(CUE_SHAPES), size=n), rng.integers(1, len(CUE_TEXTURES), size=n)
    texture = (shape + other) % len(CUE_TEXTURES) if mode == "conflict" else shape
    radius = size * rng.uniform(0.27, 0.36, n)
    edge = 1.15 * radius + 0.5  # a corner that is turned reaches further than the radius
    center = rng.uniform(edge, size - edge, (2, n)).T
    turn = rng.uniform(-0.2, 0.2, n)
    cover = np.empty((n, size, size), dtype=np.float32)
    for index, kind in enumerate(CUE_SHAPES):
        at = np.flatnonzero(shape == index)
        where, reach, angle = (part[at].astype(np.float32) for part in (center, radius, turn))
        cover[at] = rendering.coverage(rendering.signed_distance(kind, where, reach, angle, size))
    if mode == "texture":
        cover[:] = 1

    base = rng.uniform(0.32, 0.42, (n, 1, 1))
    picture = base + 0.1 * _ramps(rng.uniform(0, 2 * np.pi, n), size)
    stripes = _textures(texture, rng.uniform(-0.15, 0.15, n), rng.uniform(0, 2 * np.pi, (n, 2)), size)
    strength = 0.0 if mode == "shape" else texture_contrast / 2
    picture = picture + cover * (base + _LIFT + strength * stripes - picture)
    grain = 0.03 * rng.standard_normal((n, size, size))
    absent = np.full(n, -1)
    return Cues(
        x=torch.from_numpy(np.clip(picture + grain, 0, 1).astype(np.float32))[:, None],
        shape=torch.from_numpy(absent if mode == "texture" else shape),
        texture=torch.from_numpy(absent if mode == "shape" else texture),
        mask=torch.from_numpy(cover >= 0.5),
    )


def _ramps(angle: Floats, size: int) -> Floats:
    """Linear ramps (n, size, size) from -0.5 to 0.5 or a little more, each in its own direction."""
    import numpy as np

    axis = (np.arange(size) + 0.5) / size - 0.5
    ramps: Floats = np.cos(angle)[:, None, None] * axis + np.sin(angle)[:, None, None] * axis[:, None]
    return ramps


def _textures(kind: NDArray[np.int64], turn: Floats, phase: Floats, size: int) -> Floats:
    """Textures (n, size, size) from -1 to 1 with steep but smooth edges, of mean 0 over whole periods.

    `kind` (n,) counts `CUE_TEXTURES`; `turn` (n,) is in radians, `phase` (n, 2) in radians along and across.
    """
    import numpy as np

    tilt = np.array([np.pi / 2, 0.0, np.pi / 4, 0.0])[kind] + turn  # of the direction across the stripes
    axis = (np.arange(size) + 0.5) * (2 * np.pi / _PERIOD)
    cos, sin = np.cos(tilt)[:, None, None], np.sin(tilt)[:, None, None]
    across = np.tanh(2.5 * np.sin(cos * axis + sin * axis[:, None] + phase[:, :1, None]))
    along = np.tanh(2.5 * np.sin(cos * axis[:, None] - sin * axis + phase[:, 1:, None]))
    checks = (kind == CUE_TEXTURES.index("checks"))[:, None, None]
    stripes: Floats = np.where(checks, across * along, across)
    return stripes
