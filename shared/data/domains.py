"""Images of a domain for a study: land use from satellites, or medical pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .labeled_images import LabeledImages, data_folder


def domain_images(name: str, limit: int | None, size: int) -> tuple[LabeledImages, LabeledImages]:
    """Training and test images (n, 3, size, size), bytes, of "eurosat", or of a set of MedMNIST such as "bloodmnist".

    EuroSAT comes without a split; a seeded one by class makes a fifth of it the test.

    Args:
        name: of the set. limit: at most so many images of each part; None: all. size: pixels of a side.

    Raises:
        FileNotFoundError: the images are not there and cannot be downloaded; the message says where to put them.
        ImportError: a set of MedMNIST is asked for without the package medmnist.
    """

    parts, classes = _eurosat(limit) if name == "eurosat" else _medmnist(name, limit)
    return _as_bytes(parts[0], classes, size), _as_bytes(parts[1], classes, size)


def _eurosat(limit: int | None) -> tuple[list[list[tuple[Any, int]]], tuple[str, ...]]:
    """Pictures with their labels, for training and for the test; and the names of the classes."""
    import torch
    from torchvision.datasets import EuroSAT

    root = data_folder()
    try:
        found = EuroSAT(root, download=not (root / "eurosat" / "2750").is_dir())
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"EuroSAT is not in {root} and could not be downloaded ({error}). Fetch EuroSAT.zip (RGB) on a machine "
            f"with network, unpack it to {root}/eurosat/2750/CLASS/NAME.jpg, or set WORKBOOK_DATA to its folder."
        ) from error
    labels, draw = torch.tensor(found.targets), torch.Generator().manual_seed(0)
    mixed = torch.randperm(len(labels), generator=draw)
    by_class = mixed[labels[mixed].sort(stable=True).indices]
    test = torch.zeros(len(labels), dtype=torch.bool)
    test[by_class[::5]] = True
    chosen = [mixed[of_part[mixed]][:limit].tolist() for of_part in (~test, test)]
    return [[(found[i][0], int(labels[i])) for i in part] for part in chosen], tuple(found.classes)


def _medmnist(name: str, limit: int | None) -> tuple[list[list[tuple[Any, int]]], tuple[str, ...]]:
    root = data_folder()
    try:
        import medmnist  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError(
            f"DOMAIN={name} needs the package medmnist: pip install medmnist, or use DOMAIN=eurosat"
        ) from error
    about = medmnist.INFO[name]
    kind = getattr(medmnist, about["python_class"])
    try:
        sets = [kind(split=split, download=True, size=64, root=str(root)) for split in ("train", "test")]
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(f"{name} is not in {root} and could not be downloaded ({error}).") from error
    chosen = [[part[i] for i in range(min(limit or len(part), len(part)))] for part in sets]
    parts = [[(image.convert("RGB"), int(label[0])) for image, label in part] for part in chosen]
    return parts, tuple(about["label"].values())


def _as_bytes(pictures: Iterable[tuple[Any, int]], classes: tuple[str, ...], size: int) -> LabeledImages:
    """Resized pictures as one tensor (n, 3, size, size) uint8."""
    import numpy as np
    import torch

    pairs = list(pictures)
    pixels = torch.stack([torch.from_numpy(np.asarray(image.resize((size, size))).copy()) for image, _ in pairs])
    return LabeledImages(pixels.permute(0, 3, 1, 2), torch.tensor([label for _, label in pairs]), classes)
