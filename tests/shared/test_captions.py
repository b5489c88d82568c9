"""`datasets.captioned_images`: a learner's own pairs in each layout, and errors that name the file and the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from shared import datasets


def paint(path: Path, gray: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), (gray, gray, gray)).save(path)


def grays(found: datasets.CaptionedImages) -> list[int]:
    return [round(255 * value) for value in found.x[:, 0, 0, 0].tolist()]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    paint(tmp_path / "cat.png", 50)
    paint(tmp_path / "more" / "dog.png", 150)
    return tmp_path


LINES = [
    '{"image": "more/dog.png", "caption": "a dog"}',
    "",
    '{"image": "cat.png", "caption": ["a cat", "  eine Katze, grün "], "seen": 3}',
    '{"image": "more/dog.png", "caption": "another dog"}',
]
EXPECTED = ([150, 50], [["a dog", "another dog"], ["a cat", "eine Katze, grün"]])


def test_lines_of_json_by_file_or_by_folder(two: Path) -> None:
    (two / "captions.jsonl").write_text("\n".join(LINES), encoding="utf-8")
    for where in (two / "captions.jsonl", two, str(two)):
        found = datasets.captioned_images(where, 8)
        assert (grays(found), found.captions) == EXPECTED
        assert (found.x.shape, found.x.dtype) == ((2, 3, 8, 8), torch.float32)
        assert found.files == [two / "more" / "dog.png", two / "cat.png"]
    assert datasets.captioned_images(two, 8, limit=1).captions == EXPECTED[1][:1]


@pytest.mark.parametrize("folder", ["Images", "."])
def test_a_table_as_in_flickr8k(folder: str, tmp_path: Path) -> None:
    paint(tmp_path / folder / "a.png", 10)
    paint(tmp_path / folder / "b.png", 20)
    table = 'image,caption\na.png,"a boy , who runs ."\nb.png,a girl\na.png,he runs\n'
    (tmp_path / "captions.txt").write_text(table, encoding="utf-8")
    found = datasets.captioned_images(tmp_path, 4)
    assert grays(found) == [10, 20]
    assert found.captions == [["a boy , who runs .", "he runs"], ["a girl"]]


def test_texts_beside_the_images(two: Path) -> None:
    (two / "cat.txt").write_text("a cat\n\na gray cat\n", encoding="utf-8")
    (two / "more" / "dog.txt").write_text("a dog", encoding="utf-8")
    found = datasets.captioned_images(two, 4)
    assert grays(found) == [50, 150]
    assert found.captions == [["a cat", "a gray cat"], ["a dog"]]


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ('{"image": "cat.png" "caption": "a"}', ValueError, r"captions\.jsonl, line 2 is no JSON: .* at column 21"),
        ('["cat.png", "a cat"]', ValueError, r"captions\.jsonl, line 2 needs \"image\""),
        ('{"caption": "a cat"}', ValueError, r"captions\.jsonl, line 2 needs \"image\""),
        ('{"image": 3, "caption": "a cat"}', ValueError, r"captions\.jsonl, line 2 needs \"image\""),
        ('{"image": "cat.png"}', ValueError, r"captions\.jsonl, line 2 needs \"caption\""),
        ('{"image": "cat.png", "caption": []}', ValueError, r"captions\.jsonl, line 2 needs \"caption\""),
        ('{"image": "cat.png", "caption": ["a", 1]}', ValueError, r"captions\.jsonl, line 2 needs \"caption\""),
        ('{"image": "cat.png", "caption": " "}', ValueError, r"captions\.jsonl, line 2 has an empty caption"),
        ('{"image": "owl.png", "caption": "an owl"}', FileNotFoundError, r"captions\.jsonl, line 2 names .*owl\.png"),
    ],
)
def test_a_wrong_line_is_named(line: str, kind: type[Exception], says: str, two: Path) -> None:
    first = json.dumps({"image": "cat.png", "caption": "a cat"})
    (two / "captions.jsonl").write_text(f"{first}\n{line}\n", encoding="utf-8")
    with pytest.raises(kind, match=says):
        datasets.captioned_images(two, 8)


@pytest.mark.parametrize(
    ("table", "kind", "says"),
    [
        ("name,text\ncat.png,a cat\n", ValueError, r"captions\.txt, line 1 must name the columns image,caption"),
        ("image,caption\ncat.png,a cat\ncat.png\n", ValueError, r"captions\.txt, line 3 needs an image and a caption"),
        ("image,caption\nowl.png,an owl\n", FileNotFoundError, r"captions\.txt, line 2 names .*owl\.png"),
        ("", ValueError, r"captions\.txt, line 1 must name"),
    ],
)
def test_a_wrong_row_is_named(table: str, kind: type[Exception], says: str, two: Path) -> None:
    (two / "captions.txt").write_text(table, encoding="utf-8")
    with pytest.raises(kind, match=says):
        datasets.captioned_images(two, 8)


def test_an_image_without_a_text_is_named(two: Path) -> None:
    (two / "cat.txt").write_text("a cat", encoding="utf-8")
    with pytest.raises(ValueError, match=r"dog\.png has no caption; write one into .*dog\.txt"):
        datasets.captioned_images(two, 8)
    (two / "more" / "dog.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"dog\.txt is empty"):
        datasets.captioned_images(two, 8)


def test_nothing_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither a file nor a folder at .*nowhere"):
        datasets.captioned_images(tmp_path / "nowhere", 8)
    with pytest.raises(ValueError, match="holds no pair"):
        datasets.captioned_images(tmp_path, 8)
    (tmp_path / "captions.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no pair"):
        datasets.captioned_images(tmp_path, 8)
    for size, limit in ((0, None), (8, 0)):
        with pytest.raises(ValueError, match=f"size={size} and limit={limit}"):
            datasets.captioned_images(tmp_path, size, limit=limit)


def test_a_broken_image_is_named(two: Path) -> None:
    (two / "cat.txt").write_text("a cat", encoding="utf-8")
    (two / "more" / "dog.txt").write_text("a dog", encoding="utf-8")
    (two / "cat.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cat\.png is no image"):
        datasets.captioned_images(two, 8)
