"""Real data sets, taken from disk or fetched once. Re-exported by `datasets`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .downloads import fetch

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch.utils.data import Dataset


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images with one class each.

    Attributes:
        x: (n, 3, h, w) float32 in [0, 1].
        y: (n,) int64, index into `classes`.
        classes: the names of the classes.
    """

    x: torch.Tensor
    y: torch.Tensor
    classes: tuple[str, ...]


def data_folder() -> Path:
    """Where downloads are kept: the environment variable `WORKBOOK_DATA`, or `~/.cache/workbook`."""
    return Path(os.environ.get("WORKBOOK_DATA") or Path.home() / ".cache" / "workbook")


def on_disk(name: str) -> bool:
    """Whether `WORKBOOK_DATA` is set and its folder holds this data set as a folder of images, such as `cifar10`."""
    return "WORKBOOK_DATA" in os.environ and (data_folder() / name).is_dir()


def cifar10(root: Path | str | None = None, *, train: bool = True, limit: int | None = None) -> LabeledImages:
    """CIFAR-10 (Krizhevsky 2009): 60,000 photographs of 32 x 32 pixels in 10 classes.

    Taken from the first of these that is there: a folder of images `root/cifar10/{train,test}/CLASS/NNNN.jpg`
    (or .png), torchvision's files in `root`, a download into `root`, which goes on where it broke off and is
    checked by its checksum.

    Args:
        root: the folder of datasets; `data_folder()` by default.
        train: the training images (50,000) or the test images (10,000).
        limit: the first so many images of a fixed shuffle; all by default.

    Returns:
        A `LabeledImages`, the classes in alphabetical order, which is CIFAR's own. All training images take 0.6 GB.

    Raises:
        FileNotFoundError: the images are not there and cannot be downloaded; the message says what to do.
        ValueError: `limit` is below 1.
    """
    from torchvision.datasets import CIFAR10

    return _cifar(CIFAR10, "cifar10", root, train, limit)


def cifar100(root: Path | str | None = None, *, train: bool = True, limit: int | None = None) -> LabeledImages:
    """CIFAR-100 (Krizhevsky 2009): as `cifar10`, in 100 classes; the folder of images is `root/cifar100`."""
    from torchvision.datasets import CIFAR100

    return _cifar(CIFAR100, "cifar100", root, train, limit)


def food101(
    root: Path | str | None = None, *, train: bool = True, transform: Callable[[Any], Any] | None = None
) -> Dataset[Any]:
    """Food-101 (Bossard et al. 2014): 101,000 photographs of 101 dishes, at most 512 pixels wide or high.

    It takes 5 GB, so it is not a tensor but a `Dataset` that opens one photograph at a time: torchvision's files in
    `root`, or a download into `root`, which goes on where it broke off and is checked by its checksum.

    Args:
        root: the folder of datasets; `data_folder()` by default.
        train: the training images (75,750) or the test images (25,250).
        transform: applied to each Pillow image.

    Returns:
        A `Dataset` of (transformed image, class number), for a `DataLoader`.

    Raises:
        FileNotFoundError: the images are not there and cannot be downloaded; the message says what to do.
    """
    from torchvision.datasets import Food101

    root = data_folder() if root is None else Path(root).expanduser()
    split = "train" if train else "test"
    try:
        found: Dataset[Any] = Food101(root, split=split, transform=transform)
        return found
    except RuntimeError:  # not there
        url, md5 = Food101._URL, Food101._MD5
        _archive("Food-101", url, root, md5, f"unpack it there as {root}/food-101/images/CLASS/NNNN.jpg")
        unpacked: Dataset[Any] = Food101(root, split=split, transform=transform, download=True)
        return unpacked


def _cifar(kind: Any, name: str, root: Path | str | None, train: bool, limit: int | None) -> LabeledImages:
    import numpy as np
    import torch

    if limit is not None and limit < 1:
        raise ValueError(f"{name} needs limit >= 1, got limit={limit}")
    root = data_folder() if root is None else Path(root).expanduser()
    folder = root / name / ("train" if train else "test")
    if folder.is_dir():
        return _image_folder(folder, limit)
    try:
        found = kind(root, train=train)
    except RuntimeError:  # not there, or not whole
        images = f"put images at {root}/{name}/train/CLASS/NNNN.jpg and {root}/{name}/test/CLASS/NNNN.jpg"
        _archive(name, kind.url, root, kind.tgz_md5, images)
        found = kind(root, train=train, download=True)
    order = _shuffled(len(found.targets), limit)
    labels = torch.tensor(np.asarray(found.targets)[order])
    return LabeledImages(_as_images(found.data[order]), labels, tuple(found.classes))


def _archive(name: str, url: str, root: Path, md5: str, otherwise: str) -> None:
    """Fetch the publisher's archive into `root`, where torchvision finds it, checks it and unpacks it."""
    file = url.rpartition("/")[2]
    try:
        fetch(url, root / file, md5)
    except OSError as error:
        raise FileNotFoundError(
            f"{name} is not in {root} and could not be downloaded ({error}). On a machine with network, fetch "
            f"{url} and put it into {root}; or {otherwise}. Another folder: set the environment variable WORKBOOK_DATA."
        ) from error


def _image_folder(folder: Path, limit: int | None) -> LabeledImages:
    import numpy as np
    import torch
    from PIL import Image

    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    ]
    if not files:
        raise FileNotFoundError(f"{folder} holds no images; put them at {folder}/CLASS/NNNN.jpg")
    chosen = [files[index] for index in _shuffled(len(files), limit)]
    pixels = []
    for path, _ in chosen:
        with Image.open(path) as file:
            pixels.append(np.asarray(file.convert("RGB")))
    labels = torch.tensor([label for _, label in chosen])
    return LabeledImages(_as_images(np.stack(pixels)), labels, classes)


def _shuffled(count: int, limit: int | None) -> NDArray[np.int64]:
    """A fixed order that mixes the classes, cut to `limit`."""
    import numpy as np

    return np.random.default_rng(0).permutation(count)[:limit]


def _as_images(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(n, h, w, 3) uint8 as (n, 3, h, w) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
