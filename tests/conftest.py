"""Fixtures of several test modules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autograder.building.build import build_week
from autograder.week.locate import all_weeks
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from .chosen import ROOT, long_weeks
from .durations import report_durations
from .graded_class import class_once as class_once
from .graded_class import graded as graded
from .tiny_week import WEEK, write_tiny_week

if TYPE_CHECKING:
    import torch


def pytest_configure(config: pytest.Config) -> None:
    report_durations(config, all_weeks(ROOT), long_weeks())


BACKEND = os.environ.get("MPLBACKEND")


@pytest.fixture(autouse=True)
def matplotlibs_backend() -> None:
    """As when the tests began: `import streamlit` sets it, and each kernel started later would draw no figure."""
    if BACKEND is None:
        os.environ.pop("MPLBACKEND", None)


@pytest.fixture
def tiny_root(tmp_path: Path) -> Path:
    """A checkout with one tiny week, `week01_tiny`, as its author wrote it (nothing built yet)."""
    write_tiny_week(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def tiny(tiny_root: Path) -> Notebooks:
    """The tiny week, built."""
    return build_week(load_week(tiny_root / "solutions" / WEEK))


@pytest.fixture(scope="session")
def attention() -> Notebooks:
    """Week 01, built."""
    return build_week(load_week(ROOT / "solutions" / "week01_attention"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Which weeks are proven anew in this run, because the proof beside them is of other content.

    To know it takes seconds: where their tests are not asked for, it is not said.
    """
    from .chosen import unproven_weeks

    if not {Path(argument).name for argument in config.args} & {"tests", "test_weeks.py"}:
        return []
    found = unproven_weeks()
    return [f"no proof of their content, so their variants run: {', '.join(found) or 'no week'}"]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The pretended GPU, with PROFILE=gpu."""
    import matplotlib
    import matplotlib.pyplot as plt

    from .pretended_gpu import pretended_gpu

    matplotlib.use("agg")
    with pretended_gpu(monkeypatch) as device:
        yield device
    plt.close("all")


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 as a folder of images, in the folder of data sets."""
    from .gpu_data import CIFAR10, save_images

    for part, count in (("train", 6), ("test", 4)):
        save_images(tmp_path / "cifar10" / part, CIFAR10, count, 32)
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
