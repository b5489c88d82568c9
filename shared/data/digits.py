"""Two sources of digits at 8 x 8 pixels: real handwriting, and type drawn by us. Re-exported by `datasets`."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

DIGIT_FONTS = tuple(
    f"DejaVu{family}{style}"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slanted}", f"-Bold{slanted}")
)
"""The twelve faces of `rendered_digits`, in the order of `RenderedDigits.font`."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Real handwritten digits, standardized: `x = (pixel - mean) / std` with pixels in [0, 1].

    Attributes:
        x_train: (1347, 1, s, s) float32.
        y_train: (1347,) int64, the digit.
        x_test: (450, 1, s, s) float32.
        y_test: (450,) int64.
        mean: of all training pixels, before.
        std: of all training pixels, before.
    """

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    mean: float
    std: float


def digits(size: int = 8, split_seed: int = 0) -> Digits:
    """The 1,797 handwritten digits of scikit-learn (Alpaydin and Kaynak 1998), 8 x 8 pixels, in 17 shades of gray.

    A quarter of each class is kept for the test. Mean and standard deviation are those of the training pixels.

    Args:
        size: height and width to resize to, bilinear; 8 is as they are.
        split_seed: of the split into training and test images.

    Returns:
        A `Digits`, the same for the same arguments.

    Raises:
        ValueError: `size` is below 8.
        FileNotFoundError: scikit-learn is installed without its data, or not at all.
    """
    import numpy as np
    import torch

    if size < 8:
        raise ValueError(f"digits needs size >= 8, got size={size}")
    with gzip.open(bundled("data/digits.csv.gz"), "rt", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    pixels = torch.from_numpy(table[:, :-1] / 16).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(table[:, -1].astype(np.int64))
    if size != 8:
        pixels = torch.nn.functional.interpolate(pixels, size=(size, size), mode="bilinear")
    mixed = torch.from_numpy(np.random.default_rng(split_seed).permutation(len(labels)))
    by_class = mixed[labels[mixed].sort(stable=True).indices]
    test = torch.zeros(len(labels), dtype=torch.bool)
    test[by_class[::4]] = True
    mean, std = pixels[~test].mean().item(), pixels[~test].std().item()
    standardized = (pixels - mean) / std
    return Digits(standardized[~test], labels[~test], standardized[test], labels[test], mean, std)


def bundled(filename: str) -> Path:
    """Path of a file of scikit-learn's `datasets`, found without importing scikit-learn, which would take seconds.

    Raises:
        FileNotFoundError: scikit-learn is installed without the file, or not at all.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise FileNotFoundError("scikit-learn, which brings this data, is missing: pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / filename
    if not path.is_file():
        raise FileNotFoundError(
            f"a data file of scikit-learn is missing: {path}. "
            "Restore it with: pip install --force-reinstall --no-deps scikit-learn"
        )
    return path


@dataclass(frozen=True, eq=False)
class RenderedDigits:
    """Digits set in type, and how each was drawn.

    Attributes:
        x: (n, 1, 8, 8) float32 in [0, 1], bright on dark.
        y: (n,) int64, the digit.
        font: (n,) int64, index into `DIGIT_FONTS`.
        angle: (n,) float32, rotation in degrees, counterclockwise.
        shear: (n,) float32, sideways shift of the top in heights, to the right.
    """

    x: torch.Tensor
    y: torch.Tensor
    font: torch.Tensor
    angle: torch.Tensor
    shear: torch.Tensor


def rendered_digits(n: int, seed: int) -> RenderedDigits:
    """Draw `n` digits in twelve typefaces, turned and slanted, then shrunk to 8 x 8 pixels as `digits` are.

    The typefaces are the DejaVu fonts that come with matplotlib. Digit, font, angle (-20 to 20 degrees) and
    shear (-0.3 to 0.3) are drawn independently and uniformly.

    Args:
        n: number of pictures, at least 1.
        seed: of all randomness.

    Returns:
        A `RenderedDigits`, the same for the same arguments.

    Raises:
        ValueError: `n` is below 1.
    """
    import numpy as np
    import torch

    if n < 1:
        raise ValueError(f"rendered_digits needs n >= 1, got n={n}")
    rng = np.random.default_rng(seed)
    label, font = rng.integers(10, size=n), rng.integers(len(DIGIT_FONTS), size=n)
    angle, shear = rng.uniform(-20, 20, n), rng.uniform(-0.3, 0.3, n)
    glyphs = _glyphs()
    pictures = np.stack(
        [_drawn(glyphs[f][d], a, s) for f, d, a, s in zip(font, label, np.radians(angle), shear, strict=True)]
    )
    return RenderedDigits(
        x=torch.from_numpy(pictures)[:, None],
        y=torch.from_numpy(label),
        font=torch.from_numpy(font),
        angle=torch.from_numpy(angle.astype(np.float32)),
        shear=torch.from_numpy(shear.astype(np.float32)),
    )


_CANVAS = 96
"""Side of the square in which a glyph of 48 pixels is turned and slanted."""


def _glyphs() -> list[list[NDArray[np.float32]]]:
    """The ten digits of every face, bright on dark, each in the middle of a square canvas."""
    import matplotlib
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = []
    for face in DIGIT_FONTS:
        font = ImageFont.truetype(str(folder / f"{face}.ttf"), 48)
        row = []
        for digit in range(10):
            canvas = Image.new("L", (_CANVAS, _CANVAS))
            ImageDraw.Draw(canvas).text((_CANVAS / 2, _CANVAS / 2), str(digit), fill=255, font=font, anchor="mm")
            row.append(np.asarray(canvas, dtype=np.float32))
        found.append(row)
    return found


def _drawn(glyph: NDArray[np.float32], angle: float, shear: float) -> NDArray[np.float32]:
    """One glyph turned, slanted, cut to its box, and averaged down to 8 x 8 numbers in [0, 1]."""
    import numpy as np
    from PIL import Image

    cos, sin, middle = np.cos(angle), np.sin(angle), _CANVAS / 2
    # where a pixel of the result comes from: turned back, then the slant taken out
    row = np.array([[cos, -sin], [sin, cos]])
    source = np.array([[1.0, shear], [0.0, 1.0]]) @ row
    offset = middle - source @ (middle, middle)
    terms = (*source[0], offset[0], *source[1], offset[1])
    turned = Image.fromarray(glyph).transform(
        (_CANVAS, _CANVAS), Image.Transform.AFFINE, terms, resample=Image.Resampling.BILINEAR
    )
    ink = np.asarray(turned) > 64
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    side = max(right - left, bottom - top)
    left -= (side - (right - left)) // 2
    top -= (side - (bottom - top)) // 2
    small = turned.resize((8, 8), Image.Resampling.BOX, box=(left, top, left + side, top + side))
    return np.clip(np.asarray(small, dtype=np.float32) / 255, 0, 1)
