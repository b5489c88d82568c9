"""Typed samples, the same on every call: what needs no network, and real data sets from disk or a download."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .cues import CUE_SHAPES, CUE_TEXTURES, Cues, cue_images
from .digits import DIGIT_FONTS, Digits, RenderedDigits, bundled, digits, rendered_digits
from .glyphs import GLYPHS, PlantedGlyphs, planted_glyphs
from .real_images import LabeledImages, cifar10, cifar100, data_folder, food101
from .tiles import LAND_USES, FieldTiles, field_tiles

if TYPE_CHECKING:
    import torch

__all__ = [
    "COLORS",
    "CUE_SHAPES",
    "CUE_TEXTURES",
    "DIGIT_FONTS",
    "GLYPHS",
    "LAND_USES",
    "QUADRANTS",
    "SCALES",
    "SHAPES",
    "Cues",
    "Digits",
    "FieldTiles",
    "LabeledImages",
    "Photograph",
    "PlantedGlyphs",
    "RenderedDigits",
    "Shapes",
    "cifar10",
    "cifar100",
    "cue_images",
    "data_folder",
    "digits",
    "field_tiles",
    "food101",
    "photograph",
    "planted_glyphs",
    "rendered_digits",
    "shapes",
]

_LICENSES = {
    "china": (
        "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/), some rights reserved by danielbuechele, "
        "https://www.flickr.com/photos/danielbuechele/6061409035"
    ),
    "flower": (
        "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/), some rights reserved by vultilion, "
        "https://www.flickr.com/photos/vultilion/6056698931"
    ),
}


@dataclass(frozen=True, eq=False)
class Photograph:
    """One RGB photograph.

    Attributes:
        image: (3, H, W) float32 in [0, 1].
        name: the name it was asked for by.
        license: license, credit and source; to be shown wherever the image is published.
    """

    image: torch.Tensor
    name: str
    license: str


def photograph(name: Literal["flower", "china"], *, height: int | None = None, width: int | None = None) -> Photograph:
    """One of the two photographs that come with scikit-learn, 427 x 640 pixels.

    Both were published on Flickr under Creative Commons Attribution 2.0 and retrieved on 21 August 2011 by
    Robert Layton, says scikit-learn's `datasets/images/README.txt`. `china` is by danielbuechele. For
    `flower` that file repeats this name, but the addresses it gives are the user vultilion's, who is
    credited here.

    Args:
        name: `"flower"` (a red dahlia) or `"china"` (a temple under a blue sky).
        height: pixels to resize to, antialiased and bilinear. With only one of `height` and `width`, the
            other one keeps the aspect ratio.
        width: see `height`.

    Returns:
        A `Photograph`; its image is (3, height, width) float32 in [0, 1], freshly made on every call.

    Raises:
        ValueError: the name is unknown, or a size is below 1.
        FileNotFoundError: scikit-learn is installed without its images, or not at all.
    """
    import numpy as np
    import torch
    from PIL import Image

    if name not in _LICENSES:
        raise ValueError(f"unknown photograph {name!r}; known: {', '.join(sorted(_LICENSES))}")
    with Image.open(bundled(f"images/{name}.jpg")) as file:
        pixels = np.array(file.convert("RGB"))  # (H, W, 3) uint8
    image = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255).contiguous()
    return Photograph(_resized(image, height, width), name, _LICENSES[name])


def _resized(image: torch.Tensor, height: int | None, width: int | None) -> torch.Tensor:
    from torch.nn.functional import interpolate

    _, full_height, full_width = image.shape
    if height is None:
        height = full_height if width is None else max(1, round(full_height * width / full_width))
    if width is None:
        width = max(1, round(full_width * height / full_height))
    if height < 1 or width < 1:
        raise ValueError(f"a photograph needs a size of at least 1 x 1 pixels, got {height} x {width}")
    if (height, width) == (full_height, full_width):
        return image
    resized = interpolate(image[None], size=(height, width), mode="bilinear", antialias=True)[0]
    return resized.clamp(0, 1)


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
