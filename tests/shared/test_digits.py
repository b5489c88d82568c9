"""`datasets.digits` against scikit-learn's own loader; `datasets.rendered_digits` against what it says it drew."""

from __future__ import annotations

import time
from dataclasses import FrozenInstanceError
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from shared import datasets
from shared.data import digits as source

REAL = datasets.digits()
TYPE = datasets.rendered_digits(600, seed=0)


def test_shapes_and_types() -> None:
    assert (REAL.x_train.shape, REAL.x_train.dtype) == ((1347, 1, 8, 8), torch.float32)
    assert (REAL.x_test.shape, REAL.x_test.dtype) == ((450, 1, 8, 8), torch.float32)
    assert (REAL.y_train.shape, REAL.y_train.dtype) == ((1347,), torch.int64)
    assert (REAL.y_test.shape, REAL.y_test.dtype) == ((450,), torch.int64)
    with pytest.raises(FrozenInstanceError):
        REAL.mean = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("split_seed", [0, 7])
def test_both_parts_together_are_scikit_learns_digits(split_seed: int) -> None:
    found, theirs = datasets.digits(split_seed=split_seed), load_digits()

    def rows(pixels: np.ndarray, labels: np.ndarray) -> list[tuple[float, ...]]:
        return sorted((*image, label) for image, label in zip(pixels.round().tolist(), labels.tolist(), strict=True))

    x = torch.cat([found.x_train, found.x_test]).flatten(1) * found.std + found.mean
    y = torch.cat([found.y_train, found.y_test])
    assert rows(16 * x.numpy(), y.numpy()) == rows(theirs.data, theirs.target)


def test_a_quarter_of_each_class_is_kept_for_the_test() -> None:
    kept, learned = REAL.y_test.bincount(minlength=10), REAL.y_train.bincount(minlength=10)
    assert ((kept - (kept + learned) / 4).abs() <= 1).all()


def test_training_pixels_are_standardized_and_test_pixels_use_the_same_numbers() -> None:
    assert REAL.x_train.mean().item() == pytest.approx(0, abs=1e-5)
    assert REAL.x_train.std().item() == pytest.approx(1, abs=1e-5)
    assert REAL.x_test.min().item() == pytest.approx(-REAL.mean / REAL.std, abs=1e-5)
    assert REAL.x_test.max().item() == pytest.approx((1 - REAL.mean) / REAL.std, abs=1e-5)


def test_the_split_depends_on_its_seed_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    assert torch.equal(datasets.digits().x_test, REAL.x_test)
    assert not torch.equal(datasets.digits(split_seed=1).x_test, REAL.x_test)


def test_resized_digits_are_the_same_digits() -> None:
    large = datasets.digits(size=16)
    assert large.x_train.shape == (1347, 1, 16, 16)
    assert torch.equal(large.y_test, REAL.y_test)
    shrunk = torch.nn.functional.avg_pool2d(large.x_test, 2)
    assert torch.corrcoef(torch.stack([shrunk.flatten(), REAL.x_test.flatten()]))[0, 1] > 0.95
    with pytest.raises(ValueError, match="size=4"):
        datasets.digits(size=4)


def test_a_missing_file_names_its_path_and_the_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("sklearn", loader=None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(source, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError, match=r"digits\.csv\.gz.*pip install") as error:
        datasets.digits()
    assert str(tmp_path) in str(error.value)


def test_rendered_types_shapes_and_ranges() -> None:
    assert (TYPE.x.shape, TYPE.x.dtype) == ((600, 1, 8, 8), torch.float32)
    assert TYPE.x.min() >= 0
    assert TYPE.x.max() <= 1
    assert TYPE.x.amax((1, 2, 3)).min() > 0.4  # no empty picture
    assert TYPE.y.unique().tolist() == list(range(10))
    assert TYPE.font.unique().tolist() == list(range(len(datasets.DIGIT_FONTS)))
    assert (TYPE.y.dtype, TYPE.font.dtype) == (torch.int64, torch.int64)
    assert TYPE.angle.abs().max() <= 20
    assert TYPE.shear.abs().max() <= 0.3


def test_same_seed_same_type_and_another_seed_other() -> None:
    one, again, other = (datasets.rendered_digits(20, seed=seed) for seed in (5, 5, 6))
    for name in ("x", "y", "font", "angle", "shear"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.x, other.x)
    with pytest.raises(ValueError, match="n=0"):
        datasets.rendered_digits(0, seed=0)


def test_label_and_font_are_independent() -> None:
    many = datasets.rendered_digits(2400, seed=3)
    counts = torch.bincount(many.y * 12 + many.font, minlength=120).double()
    assert ((counts - 20) ** 2 / 20).sum() < 173  # 0.1 % of draws lie above, 119 degrees of freedom


def test_rotation_is_counterclockwise_and_shear_moves_the_top_to_the_right() -> None:
    canvas = np.zeros((source._CANVAS, source._CANVAS), dtype=np.float32)
    canvas[24:72, 44:52] = 255  # an upright bar
    rows = np.arange(8)[:, None] - 3.5
    columns = np.arange(8)[None, :] - 3.5

    def slant(picture: np.ndarray) -> float:
        """Columns to the right for each row up."""
        return float(-(picture * rows * columns).sum() / (picture * rows * rows).sum())

    upright = slant(source._drawn(canvas, 0.0, 0.0))
    assert upright == pytest.approx(0, abs=0.02)
    assert slant(source._drawn(canvas, 0.0, 0.3)) == pytest.approx(0.3, abs=0.05)
    assert slant(source._drawn(canvas, np.radians(20), 0.0)) == pytest.approx(-np.tan(np.radians(20)), abs=0.05)


def test_a_drawn_digit_resembles_the_handwritten_ones_of_its_class() -> None:
    """The nearest mean of handwriting names upright type far better than guessing."""
    means = torch.stack([REAL.x_train[REAL.y_train == digit].mean(0).flatten() for digit in range(10)])
    straight = (TYPE.angle.abs() < 6) & (TYPE.shear.abs() < 0.1)
    pictures = ((TYPE.x[straight] - REAL.mean) / REAL.std).flatten(1)
    hits = (torch.cdist(pictures, means).argmin(1) == TYPE.y[straight]).float().mean().item()
    assert hits > 0.5


def test_two_and_a_half_thousand_digits_take_little_time() -> None:
    begin = time.process_time()
    datasets.rendered_digits(2500, seed=0)
    assert time.process_time() - begin < 4
