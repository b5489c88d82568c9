"""Settings of a process: a test has the course's, a learner's cell its own, and nothing is mixed up."""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from autograder.engine.guest.state import Turns, captured, fresh, install

CHANGES: dict[str, Callable[[Path], object]] = {
    "dtype": lambda folder: torch.set_default_dtype(torch.float64),
    "gradients": lambda folder: torch.set_grad_enabled(False),
    "inference": lambda folder: entered.append(torch.inference_mode()) or entered[-1].__enter__(),  # type: ignore[func-returns-value]
    "device": lambda folder: torch.set_default_device("meta"),
    "torch random": lambda folder: torch.manual_seed(99),
    "deterministic": lambda folder: torch.use_deterministic_algorithms(True, warn_only=True),
    "anomaly": lambda folder: torch.autograd.set_detect_anomaly(True),
    "autocast": lambda folder: torch.autocast("cpu", torch.float16).__enter__(),
    "precision": lambda folder: torch.set_float32_matmul_precision("medium"),
    "threads": lambda folder: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch printing": lambda folder: torch.set_printoptions(precision=1),
    "numpy random": lambda folder: np.random.seed(99),  # noqa: NPY002 - what learners write
    "numpy errors": lambda folder: np.seterr(all="raise"),
    "numpy printing": lambda folder: np.set_printoptions(precision=1),
    "random": lambda folder: random.seed(99),
    "warnings": lambda folder: warnings.simplefilter("error"),
    "folder": os.chdir,
    "environment": lambda folder: (os.environ.pop("HOME", None), os.environ.update(PROFILE="gpu")),
    "recursion": lambda folder: sys.setrecursionlimit(sys.getrecursionlimit() + 100),
    "garbage": lambda folder: gc.disable(),
}
"""Setting -> what a learner does to it."""
entered: list[torch.inference_mode] = []


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = captured()
    yield
    install(before)


def test_every_setting_is_tried() -> None:
    assert set(captured()) == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_a_test_has_the_courses_settings_and_the_learner_finds_theirs_again(name: str, tmp_path: Path) -> None:
    turns = Turns()
    before = captured()
    CHANGES[name](tmp_path)
    mine = captured()
    assert mine[name] != before[name], "the learner changed it"
    with turns.test():
        assert captured() == before
    assert captured() == mine


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_test_sets_stays_nowhere(name: str, tmp_path: Path) -> None:
    turns, before = Turns(), captured()
    for _ in range(2):
        with turns.test():
            assert captured() == before
            CHANGES[name](tmp_path)
        assert captured() == before


def test_what_a_cell_of_the_course_sets_holds_for_both_and_only_that() -> None:
    turns = Turns()
    torch.set_default_dtype(torch.float64)  # the learner, before the set-up cell
    with turns.given():
        assert torch.get_default_dtype() == torch.float32
        torch.manual_seed(5)
        seeded = torch.get_rng_state()
    assert torch.get_default_dtype() == torch.float64, "the learner's own"
    assert torch.equal(torch.get_rng_state(), seeded)
    torch.manual_seed(6)
    with turns.test():
        assert torch.get_default_dtype() == torch.float32
        assert torch.equal(torch.get_rng_state(), seeded)


def test_a_new_process_has_what_is_called_fresh() -> None:
    """Compared with a process that is new: its own values, besides the seeds and the quiet."""
    import json
    import subprocess

    code = (
        "import json, numpy, torch; from autograder.engine.guest.state import captured; found = captured();"
        "print(json.dumps({name: repr(value) for name, value in found.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = json.loads(done.stdout)
    seeded = {"random", "numpy random", "torch random", "warnings"}
    assert {name: repr(value) for name, value in fresh().items() if name not in seeded} == {
        name: new[name] for name in fresh().keys() - seeded
    }
    torch.manual_seed(0)
    assert torch.get_rng_state().numpy().tobytes() == fresh()["torch random"]


def test_a_learner_who_breaks_what_settings_are_read_with_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    monkeypatch.setattr(torch, "get_default_dtype", lambda: 1 / 0)
    torch.set_grad_enabled(False)
    with turns.test():
        assert torch.is_grad_enabled()
    assert not torch.is_grad_enabled()
