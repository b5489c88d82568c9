"""Tiles, and maps over their patches: turned, as pictures for a demo, and read from an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch


def enlarged(tile: torch.Tensor, heat: torch.Tensor | None = None, times: int | None = None) -> np.ndarray:
    """A tile (3, s, s) in [0, 1] as a picture uint8; with `heat` (gh, gw) gray and tinted, yellow is most.

    Small tiles are enlarged: (8 s, 8 s, 3) up to s = 32, and (s, s, 3) from s = 129 on. `times` is another factor.
    """
    import matplotlib as mpl
    import numpy as np

    times = times or max(1, 256 // max(tile.shape[-1], 32))
    picture = tile.permute(1, 2, 0).numpy()
    if heat is not None:
        side = tile.shape[-1] // heat.shape[-1]
        level = (heat / heat.max().clamp(min=1e-12)).numpy().repeat(side, 0).repeat(side, 1)
        tint = mpl.colormaps["viridis"](level)[..., :3]
        picture = 0.45 * picture.mean(-1, keepdims=True) + 0.55 * tint
    return (255 * picture.clip(0, 1) + 0.5).astype(np.uint8).repeat(times, 0).repeat(times, 1)


def read_tile(file: Any, size: int) -> torch.Tensor:
    """An uploaded image as a tile (3, size, size) in [0, 1]: in RGB, cut to a square, resized.

    Raises
    ------
    OSError : when it is no image, or broken (also Pillow's UnidentifiedImageError, which is one).
    Image.DecompressionBombError : when it claims to be absurdly large.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        square = ImageOps.fit(image.convert("RGB"), (size, size))
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 255


def turned(images: torch.Tensor, way: int) -> torch.Tensor:
    """Images mirrored, upended or transposed: one of 8 ways in which a tile stays a tile of its class."""
    images = images.flip(-1) if way & 1 else images
    images = images.flip(-2) if way & 2 else images
    return images.transpose(-1, -2) if way & 4 else images


def as_maps(rows: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Rows of weights (..., N) as maps (..., gh, gw) that sum to 1: what is no patch is left out."""
    patches = rows[..., -grid[0] * grid[1] :]
    return (patches / patches.sum(-1, keepdim=True)).unflatten(-1, grid)


def share_in_patches(mask: torch.Tensor, patch: int) -> torch.Tensor:
    """The share of each patch that a mask (B, s, s) covers: (B, s / patch, s / patch) float."""
    from torch.nn.functional import avg_pool2d

    return avg_pool2d(mask[:, None].float(), patch)[:, 0]
