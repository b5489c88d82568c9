"""Pictures with one planted glyph in clutter: the place that decides the class is known. Re-exported by `datasets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

GLYPHS = ("plus", "saltire", "frame", "diamond")
GLYPH_SIDE = 8
"""Height and width of a glyph in pixels; 28 of its 64 pixels are ink, whatever the class."""


@dataclass(frozen=True, eq=False)
class PlantedGlyphs:
    """Gray pictures, each with one glyph in one cell of a grid.

    Attributes:
        x: (n, 1, s, s) float32 in [0, 1].
        y: (n,) int64, index into `GLYPHS`.
        cell: (n,) int64, the grid cell of the glyph, counted row by row from the top left.
        bbox: (n, 4) int64, xyxy in pixels, the 8 x 8 pixels of the glyph; x2 and y2 are exclusive.
        mask: (n, s, s) bool, the same pixels. No other pixel depends on the class.
    """

    x: torch.Tensor
    y: torch.Tensor
    cell: torch.Tensor
    bbox: torch.Tensor
    mask: torch.Tensor


def planted_glyphs(n: int, seed: int, size: int = 32, grid: int = 8) -> PlantedGlyphs:
    """Draw `n` pictures of clutter with one glyph in the middle of a random grid cell; the same for the same arguments.

    In the clutter each pixel is ink with probability 28 / 64, in the shades of the glyph. So neither brightness nor
    contrast gives the place away, only the arrangement does. All four glyphs stay as they are when they are mirrored or
    turned by 90 degrees. Class and cell are drawn independently and uniformly.

    Args:
        n: number of pictures, at least 1.
        seed: of all randomness.
        size: height and width in pixels, a multiple of `grid`.
        grid: height and width of a grid cell in pixels, at least 8.

    Returns:
        A `PlantedGlyphs`.

    Raises:
        ValueError: `n`, `size` or `grid` is not as above.
    """
    import numpy as np
    import torch

    if n < 1:
        raise ValueError(f"planted_glyphs needs n >= 1, got n={n}")
    if grid < GLYPH_SIDE or size < grid or size % grid:
        raise ValueError(f"planted_glyphs needs grid >= 8 and size a multiple of it, got size={size} and grid={grid}")
    rng = np.random.default_rng(seed)
    per_side = size // grid
    y, cell = rng.integers(len(GLYPHS), size=n), rng.integers(per_side**2, size=n)
    row, column = (index * grid + (grid - GLYPH_SIDE) // 2 for index in (cell // per_side, cell % per_side))

    glyphs = _bitmaps()
    ink = rng.random((n, size, size)) < glyphs.mean()
    mask = np.zeros((n, size, size), dtype=bool)
    for picture, (top, left) in enumerate(zip(row, column, strict=True)):
        place = picture, slice(top, top + GLYPH_SIDE), slice(left, left + GLYPH_SIDE)
        ink[place], mask[place] = glyphs[y[picture]], True

    dark, contrast = rng.uniform(0.2, 0.4, (n, 1, 1)), rng.uniform(0.3, 0.45, (n, 1, 1))
    grain = rng.standard_normal((n, size, size), dtype=np.float32)
    pictures = np.clip(dark + contrast * ink + 0.06 * grain, 0, 1).astype(np.float32)
    return PlantedGlyphs(
        x=torch.from_numpy(pictures[:, None]),
        y=torch.from_numpy(y),
        cell=torch.from_numpy(cell),
        bbox=torch.from_numpy(np.stack([column, row, column + GLYPH_SIDE, row + GLYPH_SIDE], axis=1)),
        mask=torch.from_numpy(mask),
    )


def _bitmaps() -> NDArray[np.bool_]:
    """The glyphs (4, 8, 8), True where there is ink."""
    import numpy as np

    middle = np.arange(GLYPH_SIDE) - 3.5
    x, y = np.abs(middle)[None, :], np.abs(middle)[:, None]  # distances from the axes of symmetry
    plus = np.minimum(x, y) < 1
    saltire = (np.abs(x - y) < 2) & (np.minimum(x, y) > 1)
    frame = np.maximum(x, y) > 3
    diamond = np.isin(x + y, (3, 4))
    return np.stack([plus, saltire, frame, diamond])
