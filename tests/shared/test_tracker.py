"""`shared.tracker`: what was logged is what TensorBoard's own reader finds; W&B by a stand-in of its interface."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from shared import tracker


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBOOK_TRACKER", raising=False)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    config = {"rate": 0.002, "models": {"vit": "small_vit"}}
    with tracker.open("first", tmp_path / "runs", config=config) as track:
        for step in range(3):
            track.log(step, loss=2.0 - step / 2, accuracy=step / 4)
        track(10, {"loss": 0.25})
    assert track.folder == tmp_path / "runs" / "first"
    events = read(track.folder)
    assert sorted(events.Tags()["scalars"]) == ["accuracy", "loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(0, 2.0), (1, 1.5), (2, 1.0), (10, 0.25)]
    assert [event.value for event in events.Scalars("accuracy")] == [0, 0.25, 0.5]
    (shown,) = events.Tensors("config")
    assert b"small_vit" in shown.tensor_proto.string_val[0]


def test_runs_lie_beside_each_other_and_one_can_go_on(tmp_path: Path) -> None:
    for name, step in (("a", 0), ("b", 0), ("a", 1)):
        with tracker.open(name, tmp_path) as track:
            track.log(step, loss=float(step))
    assert {folder.name for folder in tmp_path.iterdir()} == {"a", "b"}
    assert [event.step for event in read(tmp_path / "a").Scalars("loss")] == [0, 1]


def test_the_environment_chooses_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_TRACKER", "none")
    with tracker.open("quiet", tmp_path) as track:
        track.log(0, loss=1.0)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("WORKBOOK_TRACKER", "paper")
    with pytest.raises(ValueError, match="'paper' is none of tensorboard, wandb, none"):
        tracker.open("loud", tmp_path)


def test_wandb_is_used_offline_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    run = SimpleNamespace(
        log=lambda metrics, step: calls.append((step, metrics)), finish=lambda: calls.append("finished")
    )

    def init(**named: Any) -> Any:
        calls.append(named)
        return run

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with tracker.open("third", tmp_path, config={"rate": 1}, to="wandb") as track:
        track.log(4, loss=0.5)
    settings = {"mode": "offline", "name": "third", "dir": str(tmp_path / "third"), "config": {"rate": 1}}
    assert calls == [settings, (4, {"loss": 0.5}), "finished"]


def test_without_wandb_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="pip install wandb, or set WORKBOOK_TRACKER=tensorboard"):
        tracker.open("third", tmp_path, to="wandb")
