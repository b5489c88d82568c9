"""Two photographs that scikit-learn brings along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .digits import bundled

if TYPE_CHECKING:
    import torch

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
