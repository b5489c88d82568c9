"""The demo: `streamlit run archaeology/app.py`."""

from __future__ import annotations

from PIL import Image
from PIL import ImageOps
from collections.abc import Callable
from pathlib import Path
from torch import nn
import matplotlib.pyplot as plt
import numpy as np
import torch

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from archaeology.analysis import as_maps, attention_of
from archaeology.models import Study, load_study


def enlarged(tile: torch.Tensor, heat: torch.Tensor | None = None, times: int = 8) -> np.ndarray:
    """A tile (3, s, s) in [0, 1] as a picture (8 s, 8 s, 3) uint8; with `heat` (gh, gw) gray and tinted, yellow is most."""
    picture = tile.permute(1, 2, 0).numpy()
    if heat is not None:
        side = tile.shape[-1] // heat.shape[-1]
        level = (heat / heat.max().clamp(min=1e-12)).numpy().repeat(side, 0).repeat(side, 1)
        tint = plt.get_cmap("viridis")(level)[..., :3]
        picture = 0.45 * picture.mean(-1, keepdims=True) + 0.55 * tint
    return (255 * picture.clip(0, 1) + 0.5).astype(np.uint8).repeat(times, 0).repeat(times, 1)


def read_tile(file: object, size: int) -> torch.Tensor:
    """An uploaded image as a tile (3, size, size) in [0, 1]: in RGB, cut to a square, resized.

    Raises
    ------
    OSError : when it is no image, or broken (also Pillow's UnidentifiedImageError, which is one).
    Image.DecompressionBombError : when it claims to be absurdly large.
    """
    with Image.open(file) as image:
        square = ImageOps.fit(image.convert("RGB"), (size, size))
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 255


def head_heat(vit: nn.Module, tile: torch.Tensor, layer: int, head: int) -> torch.Tensor:
    """What the class token looks at in one head: tile (1, 3, s, s) to a map (gh, gw)."""
    return as_maps(attention_of(vit, tile)[layer][0, head, 0], vit.patch_embed.grid_size)


def page(load: Callable[[], Study]) -> None:
    """The demo: choose or upload a tile, a layer, a head and an attack; see both models side by side.

    Parameters
    ----------
    load : gives the study; expensive, so that it may run only once.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


page(lambda: load_study(Path(__file__).resolve().parent / "checkpoint"))
