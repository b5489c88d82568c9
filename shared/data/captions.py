"""Images with captions: your own, from a folder or from lines of JSON. Re-exported by `datasets`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .image_folders import SUFFIXES, square

if TYPE_CHECKING:
    import torch

TABLE = "captions.txt"
LINES = "captions.jsonl"


@dataclass(frozen=True, eq=False)
class CaptionedImages:
    """Images, and what is said about each.

    Attributes:
        x: (n, 3, size, size) float32 in [0, 1].
        captions: for each image one caption or more.
        files: where each image came from.
    """

    x: torch.Tensor
    captions: list[list[str]]
    files: list[Path]


def captioned_images(where: Path | str, size: int, *, limit: int | None = None) -> CaptionedImages:
    """Your own pairs of images and captions, each image cut to the square in its middle and resized.

    `where` is one of these:

    - a file of JSON lines, `{"image": "cat.jpg", "caption": "a cat on a chair"}`; the image is found from the folder of
      the file, and `caption` may be a list of texts;
    - a folder that holds such lines as `captions.jsonl`;
    - a folder that holds `captions.txt`, a table with the columns `image` and `caption`, separated by commas; images
      lie beside it or in `Images/`, as in Flickr8k;
    - a folder of images, each with its captions in a text file of the same name: `cat.jpg` and `cat.txt`, one caption a
      line.

    An image that is named more than once has several captions.

    Args:
        where: the file or the folder.
        size: side of the images in pixels.
        limit: the first so many images; all by default.

    Raises:
        FileNotFoundError: there is nothing at `where`, or an image that is named is not there; the message names the
            file and the line.
        ValueError: a line is not what it should be, an image has no caption or cannot be read, `size` or `limit` is
            below 1; the message names the file and, where there is one, the line.
    """
    import torch

    if size < 1 or (limit is not None and limit < 1):
        raise ValueError(f"captioned_images needs size >= 1 and limit >= 1, got size={size} and limit={limit}")
    found: dict[Path, list[str]] = {}
    for path, caption in _pairs(Path(where).expanduser()):
        found.setdefault(path, []).append(caption)
    files = list(found)[:limit]
    if not files:
        raise ValueError(f"{where} holds no pair of an image and a caption")
    x = torch.empty(len(files), 3, size, size)
    for place, path in enumerate(files):
        x[place] = torch.from_numpy(square(path, size)).permute(2, 0, 1).float() / 255
    return CaptionedImages(x, [found[path] for path in files], files)


def _pairs(where: Path) -> Iterator[tuple[Path, str]]:
    if where.is_file():
        return _from_lines(where)
    if not where.is_dir():
        raise FileNotFoundError(
            f'there is neither a file nor a folder at {where}; put lines as {{"image": "cat.jpg", "caption": "a cat"}} '
            f"into {where / LINES}, or texts beside the images: cat.jpg, cat.txt"
        )
    if (where / LINES).is_file():
        return _from_lines(where / LINES)
    if (where / TABLE).is_file():
        return _from_table(where / TABLE)
    return _from_neighbors(where)


def _from_lines(file: Path) -> Iterator[tuple[Path, str]]:
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            pair = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place} is no JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(pair, dict) or not isinstance(pair.get("image"), str):
            raise ValueError(f'{place} needs "image", the name of a file: {line[:80]}')
        captions = pair.get("caption")
        captions = [captions] if isinstance(captions, str) else captions
        if not isinstance(captions, list) or not captions or not all(isinstance(text, str) for text in captions):
            raise ValueError(f'{place} needs "caption", a text or a list of texts: {line[:80]}')
        yield from _named(file.parent / pair["image"], captions, place)


def _from_table(file: Path) -> Iterator[tuple[Path, str]]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = csv.DictReader(opened)
        if not {"image", "caption"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{file}, line 1 must name the columns image,caption; it says {rows.fieldnames}")
        images = file.parent / "Images"
        folder = images if images.is_dir() else file.parent
        for row in rows:
            place = f"{file}, line {rows.line_num}"
            if not row["image"] or row["caption"] is None:
                raise ValueError(f"{place} needs an image and a caption, separated by a comma")
            yield from _named(folder / row["image"], [row["caption"]], place)


def _from_neighbors(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        text = path.with_suffix(".txt")
        if not text.is_file():
            raise ValueError(f"{path} has no caption; write one into {text}")
        lines = [line for line in text.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if not lines:
            raise ValueError(f"{text} is empty; write a caption of {path.name} into it")
        yield from _named(path, lines, str(text))


def _named(path: Path, captions: list[str], place: str) -> Iterator[tuple[Path, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"{place} names an image that is not there: {path}")
    for caption in captions:
        if not caption.strip():
            raise ValueError(f"{place} has an empty caption")
        yield path, caption.strip()
