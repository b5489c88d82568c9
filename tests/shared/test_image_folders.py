"""A learner's own folder of photographs, and Imagenette from an archive of our own."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared import datasets
from shared.data.image_folders import HELD_BACK

from .file_server import Server, address


def paint(path: Path, gray: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (gray, gray, gray)).save(path)


def grays(found: datasets.LabeledImages) -> list[int]:
    return [round(255 * value) for value in found.x[:, 0, 0, 0].tolist()]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes of ten images: cats are dark, dogs are light; each has a gray of its own."""
    for name, base in (("cat", 0), ("dog", 100)):
        for number in range(10):
            paint(tmp_path / name / f"{number}.png", base + 5 * number)
    return tmp_path


def test_a_folder_for_each_class(pets: Path) -> None:
    train, test = (datasets.image_folder(pets, 8, train=which) for which in (True, False))
    assert train.classes == test.classes == ("cat", "dog")
    assert (train.x.shape, train.x.dtype, train.y.dtype) == ((16, 3, 8, 8), torch.float32, torch.int64)
    assert test.y.bincount().tolist() == [10 // HELD_BACK, 10 // HELD_BACK]
    assert sorted(grays(train) + grays(test)) == [base + 5 * k for base in (0, 100) for k in range(10)]
    for part in (train, test):
        assert torch.equal(part.y, (torch.tensor(grays(part)) >= 100).long())
    again = datasets.image_folder(pets, 8)
    assert torch.equal(again.x, train.x)


def test_limit_takes_the_first_of_a_mixed_order(pets: Path) -> None:
    few = datasets.image_folder(pets, 8, limit=6)
    assert torch.equal(few.x, datasets.image_folder(pets, 8).x[:6])
    assert few.y.unique().tolist() == [0, 1]


def test_images_without_classes_are_of_one_class(tmp_path: Path) -> None:
    for number in range(5):
        paint(tmp_path / "holiday" / f"{number}.jpg", 20 * number)
    (tmp_path / "holiday" / "notes.txt").write_text("no image", encoding="utf-8")
    train, test = (datasets.image_folder(tmp_path / "holiday", 4, train=which) for which in (True, False))
    assert train.classes == ("holiday",)
    assert (len(train.y), len(test.y)) == (4, 1)


@pytest.mark.parametrize("name", ["test", "val", "valid"])
def test_a_folder_that_is_divided_stays_so(name: str, tmp_path: Path) -> None:
    for part, base in (("train", 0), (name, 100)):
        for number, kind in enumerate(("ash", "oak", "oak")):
            paint(tmp_path / part / kind / f"{number}.png", base + 10 * number)
    train, test = (datasets.image_folder(tmp_path, 4, train=which) for which in (True, False))
    assert sorted(grays(train)) == [0, 10, 20]
    assert sorted(grays(test)) == [100, 110, 120]
    assert train.classes == test.classes == ("ash", "oak")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """Trains and cars: only a pair of parts divides a folder."""
    for kind in ("train", "car"):
        for number in range(2):
            paint(tmp_path / kind / f"{number}.png", 50)
    assert datasets.image_folder(tmp_path, 4).classes == ("car", "train")


def test_the_square_in_the_middle_is_kept_upright(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, 20:40] = 255  # the middle third is white
    pixels[:2, 20:40] = (255, 0, 0)  # and red at its top
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = datasets.image_folder(tmp_path, 20).x
    assert found.shape == (1, 3, 20, 20)
    assert found[0, :, 5:].mean() > 0.99
    assert found[0, :, 0].mean(1).tolist() == pytest.approx([1, 0, 0], abs=0.02)
    turned = Image.fromarray(np.rot90(pixels))  # as a camera saves it that was held upright
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me clockwise by 90 degrees"
    (tmp_path / "turned").mkdir()
    turned.save(tmp_path / "turned" / "a.png", exif=exif)
    assert torch.allclose(datasets.image_folder(tmp_path / "turned", 20).x, found, atol=0.02)


def test_gray_and_transparent_images_get_three_channels(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 51).save(tmp_path / "gray.png")
    Image.new("RGBA", (9, 9), (51, 51, 51, 255)).save(tmp_path / "glass.PNG")
    assert grays(datasets.image_folder(tmp_path, 4)) == [51, 51]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere is no folder.*CLASS/name\.jpg"):
        datasets.image_folder(tmp_path / "nowhere", 8)
    with pytest.raises(FileNotFoundError, match=r"too few images for training.*\.jpeg"):
        datasets.image_folder(tmp_path, 8)
    paint(tmp_path / "one.png", 5)
    with pytest.raises(FileNotFoundError, match="too few images for a test"):
        datasets.image_folder(tmp_path, 8, train=False)
    (tmp_path / "two.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"two\.jpg is no image"):
        datasets.image_folder(tmp_path, 8)
    for size, limit in ((0, None), (8, 0)):
        with pytest.raises(ValueError, match=f"size={size} and limit={limit}"):
            datasets.image_folder(tmp_path, size, limit=limit)


# Imagenette

TENCH, CHURCH = "n01440764", "n03028079"


def archive_of_imagenette(folder: str) -> bytes:
    """As the publisher packs it: two classes, three training images and two for validation, of their own grays."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        for part, count, base in (("train", 3, 0), ("val", 2, 100)):
            for label, name in enumerate((TENCH, CHURCH)):
                for number in range(count):
                    image = io.BytesIO()
                    gray = base + 50 * label + 10 * number
                    Image.new("RGB", (213, 160), (gray, gray, gray)).save(image, "JPEG", quality=95)
                    info = tarfile.TarInfo(f"{folder}/{part}/{name}/{name}_{number}.JPEG")
                    info.size = len(image.getvalue())
                    tar.addfile(info, io.BytesIO(image.getvalue()))
    return memory.getvalue()


def publish(server: Server, monkeypatch: pytest.MonkeyPatch, key: str, folder: str) -> None:
    """The server has the archive; torchvision's list of archives names it, with its checksum."""
    from torchvision.datasets import Imagenette

    server.body = archive_of_imagenette(folder)
    url = address(server).replace("file.bin", f"{folder}.tgz")
    monkeypatch.setitem(Imagenette._ARCHIVES, key, (url, hashlib.md5(server.body).hexdigest()))


@pytest.mark.parametrize(
    ("size", "key", "folder"), [(64, "160px", "imagenette2-160"), (224, "320px", "imagenette2-320")]
)
def test_imagenette_is_fetched_checked_and_unpacked_once(
    size: int,
    key: str,
    folder: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(server, monkeypatch, key, folder)
    server.break_off_after = 200
    with pytest.raises(FileNotFoundError, match="broke off"):
        datasets.imagenette(tmp_path, size)
    train = datasets.imagenette(tmp_path, size)
    assert server.seen == ["", "bytes=200-"]
    assert train.classes == ("tench", "church")
    assert train.x.shape == (6, 3, size, size)
    assert torch.equal(train.y, (torch.tensor(grays(train)) >= 45).long())
    test = datasets.imagenette(tmp_path, size, train=False, limit=3)
    assert min(grays(test)) >= 99
    assert len(test.y) == 3
    assert len(server.seen) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder, f"{folder}.tgz"]


def test_a_broken_unpacking_begins_anew(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, "160px", "imagenette2-160")
    half = tmp_path / "imagenette2-160.unpacking" / "imagenette2-160" / "train" / TENCH
    paint(half / "left_over.png", 255)
    assert 255 not in grays(datasets.imagenette(tmp_path, 32))
    assert not (tmp_path / "imagenette2-160.unpacking").exists()


def test_damage_on_the_way_is_found(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, "160px", "imagenette2-160")
    server.body = server.body[:-1] + b"?"
    with pytest.raises(FileNotFoundError, match=r"another checksum.*imagenette2-160\.tgz.*WORKBOOK_DATA"):
        datasets.imagenette(tmp_path, 64)
    assert list(tmp_path.iterdir()) == []


def test_imagenette_from_the_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "val"):
        paint(tmp_path / "imagenette2-160" / part / CHURCH / "a.JPEG", 30)
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    assert datasets.imagenette(size=16).classes == ("church",)
