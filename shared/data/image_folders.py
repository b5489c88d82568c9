"""A folder of photographs as one tensor: your own, or a subset of ImageNet. Re-exported by `datasets`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .downloads import fetch
from .labeled_images import LabeledImages, data_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""How the names of images end, in any case."""
HELD_BACK = 5
"""Of a folder that is not divided, one image in so many is a test image."""
PARTS = {True: ("train",), False: ("test", "val", "valid")}
"""Names of folders with the images to learn from, and with those for the test."""


def image_folder(folder: Path | str, size: int, *, train: bool = True, limit: int | None = None) -> LabeledImages:
    """Your own photographs, each cut to the square in its middle and resized to `size` x `size` pixels.

    Three layouts are known:

    - `FOLDER/CLASS/name.jpg`: a folder for each class;
    - `FOLDER/name.jpg`: no classes. Enough to learn without labels; all images are of one class, named like the folder;
    - `FOLDER/train/...` and `FOLDER/test/...` (or `val`), each in one of the two ways above.

    Where the folder is not divided, every fifth image of each class, in a fixed random order, is a test image.

    Args:
        folder: where the images lie; folders in a class's folder are searched, too.
        size: side of the result in pixels.
        train: the images to learn from, or those for the test.
        limit: the first so many images of a fixed shuffle; all by default.

    Returns:
        A `LabeledImages`, the classes in alphabetical order. It is held in memory: 12 * size**2 bytes an image.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no images; the message says which layout is read.
        ValueError: `size` or `limit` is below 1, or a file is no image; the message names the file.
    """
    if size < 1 or (limit is not None and limit < 1):
        raise ValueError(f"image_folder needs size >= 1 and limit >= 1, got size={size} and limit={limit}")
    top = Path(folder).expanduser()
    if not top.is_dir():
        raise FileNotFoundError(f"{top} is no folder; put photographs into it as {top}/CLASS/name.jpg")
    wanted, other = (_part(top, PARTS[which]) for which in (train, not train))
    divided = wanted is not None and other is not None
    by_class = _files_of_classes(wanted if divided and wanted else top)
    classes = tuple(by_class)
    chosen = [
        (path, label)
        for label, name in enumerate(classes)
        for path in (by_class[name] if divided else _share(by_class[name], train))
    ]
    if not chosen:
        raise FileNotFoundError(
            f"{top} holds too few images for {'training' if train else 'a test'}; put them there as CLASS/name.jpg or "
            f"name.jpg (endings: {', '.join(SUFFIXES)}), at least two of each class"
        )
    return _loaded(chosen, classes, size, limit)


def imagenette(
    root: Path | str | None = None, size: int = 160, *, train: bool = True, limit: int | None = None
) -> LabeledImages:
    """Imagenette (Howard 2019): ten classes of ImageNet that are easy to tell apart, in real photographs.

    Taken from `root/imagenette2-160` or, for a `size` above 160, `root/imagenette2-320`. Where that is missing, the
    publisher's archive is fetched into `root` (99 MB, or 342 MB), checked by its checksum and unpacked; a download that
    broke off goes on where it stopped. The images are cut to a square and resized, as by `image_folder`.

    Args:
        root: the folder of datasets; `data_folder()` by default.
        size: side of the images in pixels.
        train: the training images, or the validation images.
        limit: the first so many images of a fixed shuffle; all by default.

    Returns:
        A `LabeledImages`, the classes in the order of WordNet's numbers.

    Raises:
        FileNotFoundError: the images are not there and cannot be downloaded; the message says what to do.
        ValueError: `size` or `limit` is below 1.
    """
    from torchvision.datasets import Imagenette

    root = data_folder() if root is None else Path(root).expanduser()
    url, md5 = Imagenette._ARCHIVES["160px" if size <= 160 else "320px"]
    folder = root / Path(url).stem
    if not folder.is_dir():
        archive = root / Path(url).name
        try:
            fetch(url, archive, md5)
        except OSError as error:
            raise FileNotFoundError(
                f"Imagenette is not in {root} and could not be downloaded ({error}). On a machine with network, fetch "
                f"{url} and put it into {root}. Another folder: set the environment variable WORKBOOK_DATA."
            ) from error
        _unpack(archive, folder)
    found = image_folder(folder, size, train=train, limit=limit)
    return LabeledImages(found.x, found.y, tuple(Imagenette._WNID_TO_CLASS[name][0] for name in found.classes))


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive that holds `folder`; the folder is there whole or not at all."""
    import shutil
    import tarfile

    making = folder.with_name(folder.name + ".unpacking")
    shutil.rmtree(making, ignore_errors=True)  # what an interrupted call left
    careful: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 has it
    with tarfile.open(archive) as tar:
        tar.extractall(making, **careful)
    (making / folder.name).replace(folder)
    shutil.rmtree(making)


def _part(top: Path, names: tuple[str, ...]) -> Path | None:
    return next((top / name for name in names if (top / name).is_dir()), None)


def _files_of_classes(folder: Path) -> dict[str, list[Path]]:
    """The images of each class; those that lie in the folder itself are of one class, if there are no others."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {path.name: _images(path.rglob("*")) for path in inner}
    found = {name: files for name, files in found.items() if files}
    return found or {folder.name: _images(folder.iterdir())}


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _share(files: list[Path], train: bool) -> list[Path]:
    """Four of five images of a fixed shuffle, or the fifth one."""
    mixed = [files[index] for index in _mixed(len(files))]
    return [path for place, path in enumerate(mixed) if (place % HELD_BACK == HELD_BACK - 1) != train]


def _loaded(files: list[tuple[Path, int]], classes: tuple[str, ...], size: int, limit: int | None) -> LabeledImages:
    import torch

    chosen = [files[index] for index in _mixed(len(files))[:limit]]
    x = torch.empty(len(chosen), 3, size, size)
    for place, (path, _) in enumerate(chosen):
        x[place] = torch.from_numpy(square(path, size)).permute(2, 0, 1).float() / 255
    return LabeledImages(x, torch.tensor([label for _, label in chosen]), classes)


def square(path: Path, size: int) -> NDArray[np.uint8]:
    """The square in the middle of an image, upright, resized: (size, size, 3) uint8.

    Raises:
        ValueError: the file is no image that Pillow can read; the message names it.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)).copy()
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read ({error})") from error


def _mixed(count: int) -> NDArray[np.int64]:
    import numpy as np

    return np.random.default_rng(0).permutation(count)
