"""`shared.data.downloads` against a small server; the loaders of real images on tiny folders and archives."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared import datasets
from shared.data import downloads

from .file_server import BODY, Server, address

MD5 = hashlib.md5(BODY).hexdigest()


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    assert downloads.fetch(address(server), path, MD5) == path
    assert path.read_bytes() == BODY
    assert downloads.fetch(address(server), path, MD5) == path
    assert server.seen == [""]
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_or_begins_anew(server: Server, tmp_path: Path, ranges: bool) -> None:
    path = tmp_path / "file.bin"
    server.break_off_after, server.ranges = 1000, ranges
    with pytest.raises(OSError, match="broke off"):
        downloads.fetch(address(server), path, MD5)
    assert not path.exists()
    assert (tmp_path / "file.bin.part").stat().st_size == 1000
    downloads.fetch(address(server), path, MD5)
    assert path.read_bytes() == BODY
    assert server.seen == ["", "bytes=1000-"]


def test_damage_is_found_and_thrown_away(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    server.body = BODY[:-1] + b"?"
    with pytest.raises(OSError, match="another checksum"):
        downloads.fetch(address(server), path, MD5)
    assert list(tmp_path.iterdir()) == []
    server.body = BODY
    assert downloads.fetch(address(server), path, MD5).read_bytes() == BODY


def test_a_whole_part_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY)
    path = downloads.fetch("http://127.0.0.1:1/file.bin", tmp_path / "file.bin", MD5)
    assert path.read_bytes() == BODY


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"half")
    assert downloads.fetch(address(server), path, MD5).read_bytes() == BODY


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("load", "archive", "folder"),
    [
        (datasets.cifar10, r"cifar-10-python\.tar\.gz", "cifar10/train/CLASS"),
        (datasets.cifar100, r"cifar-100-python\.tar\.gz", "cifar100/train/CLASS"),
        (datasets.food101, r"food-101\.tar\.gz", "food-101/images/CLASS"),
    ],
)
def test_without_network_the_error_says_what_to_fetch(load: Any, archive: str, folder: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{archive}.*{folder}.*WORKBOOK_DATA") as error:
        load(tmp_path)
    assert str(tmp_path) in str(error.value)


def archive_of_cifar(per_batch: int, classes: int) -> bytes:
    """An archive as CIFAR's publisher packs it, with `per_batch` images in each file; its label key is by `classes`."""
    base, key = {10: ("cifar-10-batches-py", "labels"), 100: ("cifar-100-python", "fine_labels")}[classes]
    rng = np.random.default_rng(0)
    files = {
        name: pickle.dumps(
            {
                "data": rng.integers(256, size=(per_batch, 3072), dtype=np.uint8),
                key: rng.integers(classes, size=per_batch).tolist(),
            }
        )
        for name in ([f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"])
    }
    names = [f"class {k}" for k in range(classes)]
    files |= {"batches.meta": pickle.dumps({"label_names": names}), "meta": pickle.dumps({"fine_label_names": names})}
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{base}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return memory.getvalue()


@pytest.mark.parametrize(("name", "classes", "count"), [("CIFAR10", 10, 15), ("CIFAR100", 100, 3)])
def test_an_archive_is_fetched_checked_and_unpacked(
    name: str, classes: int, count: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way from a server to tensors, with an archive of our own in the place of the publisher's."""
    import torchvision

    server.body = archive_of_cifar(3, classes)
    kind = getattr(torchvision.datasets, name)
    base = kind.base_folder
    with tarfile.open(fileobj=io.BytesIO(server.body)) as tar:
        sums = {
            Path(member.name).name: hashlib.md5(tar.extractfile(member).read()).hexdigest()  # type: ignore[union-attr]
            for member in tar.getmembers()
        }
    monkeypatch.setattr(kind, "url", address(server).replace("file.bin", kind.filename))
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5(server.body).hexdigest())
    monkeypatch.setattr(kind, "train_list", [[n, sums[n]] for n in sums if n.startswith(("data_batch", "train"))])
    monkeypatch.setattr(kind, "test_list", [[n, sums[n]] for n in sums if n.startswith("test")])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": sums[kind.meta["filename"]]})
    load = getattr(datasets, name.lower())
    found = load(tmp_path)
    assert (tmp_path / base).is_dir()
    assert found.x.shape == (count, 3, 32, 32)
    assert len(found.classes) == classes
    again = load(tmp_path, train=False, limit=2)
    assert again.x.shape == (2, 3, 32, 32)
    assert len(server.seen) == 1


def test_food101_opens_one_photograph_at_a_time(tmp_path: Path) -> None:
    for part, names in (("train", ["pizza/1", "sushi/2"]), ("test", ["pizza/3"])):
        for name in names:
            path = tmp_path / "food-101" / "images" / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (200, 10, 10)).save(path)
        meta = tmp_path / "food-101" / "meta"
        meta.mkdir(exist_ok=True)
        by_class = {name.split("/")[0]: [n for n in names if n.startswith(name.split("/")[0])] for name in names}
        (meta / f"{part}.json").write_text(str(by_class).replace("'", '"'), encoding="utf-8")
    found: Any = datasets.food101(tmp_path, transform=lambda image: torch.tensor(image.size))
    assert len(found) == 2
    assert found[1][0].tolist() == [40, 30]
    assert [found[0][1], found[1][1]] == [0, 1]
    test: Any = datasets.food101(tmp_path, train=False)
    assert len(test) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """CIFAR-10 as a folder of images, with two classes of three images."""
    for part in ("train", "test"):
        for label, name in enumerate(("bird", "truck")):
            (tmp_path / "cifar10" / part / name).mkdir(parents=True)
            for index in range(3):
                gray = 100 * label + 10 * index + (part == "test")
                path = tmp_path / "cifar10" / part / name / f"{index:04d}.jpg"
                Image.new("RGB", (32, 32), (gray, gray, gray)).save(path, quality=95)
    return tmp_path


def test_cifar10_from_a_folder_of_images(folder: Path) -> None:
    found = datasets.cifar10(folder)
    assert found.classes == ("bird", "truck")
    assert (found.x.shape, found.x.dtype) == ((6, 3, 32, 32), torch.float32)
    assert found.y.dtype == torch.int64
    gray = (255 * found.x[:, 0, 0, 0]).round()
    assert sorted(gray.tolist()) == [0, 10, 20, 100, 110, 120]
    assert torch.equal(found.y, (gray >= 100).long())
    assert (255 * datasets.cifar10(folder, train=False).x).round().min() == 1


def test_cifar10_limit_takes_the_same_mixed_few(folder: Path) -> None:
    few = datasets.cifar10(folder, limit=4)
    assert torch.equal(few.x, datasets.cifar10(folder).x[:4])
    assert few.y.unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="limit=0"):
        datasets.cifar10(folder, limit=0)


def test_a_data_set_is_on_disk_where_its_folder_is(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBOOK_DATA", raising=False)
    assert not datasets.on_disk("cifar10")
    monkeypatch.setenv("WORKBOOK_DATA", str(folder))
    assert datasets.on_disk("cifar10")
    assert not datasets.on_disk("cifar100")
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path_factory.mktemp("empty")))
    assert not datasets.on_disk("cifar10")


def test_cifar10_root_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_DATA", str(folder))
    assert len(datasets.cifar10().y) == 6


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar10" / "train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no images"):
        datasets.cifar10(tmp_path)
