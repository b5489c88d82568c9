"""`shared.datasets`: shapes, ranges and pixels against scikit-learn's own loader."""

from dataclasses import FrozenInstanceError
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from shared import datasets
from shared.data import digits

Name = Literal["flower", "china"]


@pytest.mark.parametrize("name", get_args(Name))
def test_a_photograph_is_scikit_learns_image_as_floats(name: Name) -> None:
    photo = datasets.photograph(name)
    assert photo.image.shape == (3, 427, 640)
    assert photo.image.dtype == torch.float32
    assert photo.image.is_contiguous()
    expected = load_sample_image(f"{name}.jpg").transpose(2, 0, 1) / 255
    np.testing.assert_allclose(photo.image.numpy(), expected, atol=1e-6)
    assert photo.name == name


def test_the_credit_names_license_author_and_source() -> None:
    for name, author in (("flower", "vultilion"), ("china", "danielbuechele")):
        credit = datasets.photograph(name).license  # type: ignore[arg-type]
        assert "CC BY 2.0" in credit
        assert f"by {author}" in credit
        assert f"flickr.com/photos/{author}/" in credit


def test_every_call_returns_equal_but_separate_pixels() -> None:
    first, second = datasets.photograph("china", height=64), datasets.photograph("china", height=64)
    torch.testing.assert_close(first.image, second.image, rtol=0, atol=0)
    first.image.zero_()
    assert second.image.max() > 0


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [
        (224, 224, (3, 224, 224)),
        (32, None, (3, 32, 48)),
        (None, 64, (3, 43, 64)),
        (1, 1, (3, 1, 1)),
        (600, 900, (3, 600, 900)),
    ],
)
def test_resizing_gives_the_size_asked_for(height: int | None, width: int | None, shape: tuple[int, int, int]) -> None:
    image = datasets.photograph("flower", height=height, width=width).image
    assert image.shape == shape
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1


def test_resizing_is_antialiased() -> None:
    """Shrunk by a whole factor, an antialiased image keeps its mean color; a subsampled one does not."""
    full = datasets.photograph("china").image
    small = datasets.photograph("china", height=4, width=6).image
    torch.testing.assert_close(small.mean((1, 2)), full.mean((1, 2)), rtol=0, atol=0.01)
    subsampled = torch.nn.functional.interpolate(full[None], size=(4, 6), mode="bilinear")[0]
    assert (subsampled.mean((1, 2)) - full.mean((1, 2))).abs().max() > 0.01


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown photograph 'cat'; known: china, flower"):
        datasets.photograph("cat")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [{"height": 0}, {"width": -3}, {"height": 10, "width": 0}])
def test_an_empty_size_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 x 1 pixels"):
        datasets.photograph("china", **size)


def test_a_missing_file_names_its_path_and_the_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("sklearn", loader=None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(digits, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError, match=r"flower\.jpg.*pip install") as error:
        datasets.photograph("flower")
    assert str(tmp_path) in str(error.value)


def test_a_missing_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install scikit-learn"):
        datasets.photograph("flower")


def test_a_photograph_is_frozen() -> None:
    photo = datasets.photograph("flower", height=8)
    with pytest.raises(FrozenInstanceError):
        photo.name = "china"  # type: ignore[misc]
