"""`shared.kept`: files are written whole, with the weights of models, and a machine that only looks reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from shared import kept

SETTINGS = {"steps": 3, "sizes": (2, 3)}


class Training:
    """Counts how often it was run."""

    def __init__(self, **found: Any) -> None:
        self.found, self.runs = found, 0

    def __call__(self) -> dict[str, Any]:
        self.runs += 1
        return self.found


def training() -> Training:
    weights = {
        "weight": torch.arange(6.0).reshape(2, 3).requires_grad_(),
        "bias": torch.tensor([1.0], dtype=torch.half),
    }
    return Training(loss=[2.0, 1.5], pair=(1, 2), model=weights, map=torch.eye(2))


def test_the_second_call_reads_what_the_first_one_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = training()
    first, second = (kept.results(tmp_path / "clip.json", SETTINGS, run) for _ in range(2))
    assert first is not None
    assert second is not None
    assert run.runs == 1
    for found in (first, second):
        assert (found["loss"], found["pair"]) == ([2.0, 1.5], [1, 2])
        assert torch.equal(found["model"]["weight"], torch.arange(6.0).reshape(2, 3))
        assert found["model"]["bias"].dtype == torch.half
        assert not found["model"]["weight"].requires_grad
        assert torch.equal(found["map"], torch.eye(2))
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert told[0].startswith(f"{tmp_path / 'clip.json'}: measured in")
    assert told[1].startswith(f"{tmp_path / 'clip.json'}: measured on 20")
    made = json.loads((tmp_path / "clip.json").read_text(encoding="utf-8"))["made"]
    assert {"date", "seconds", "machine"} <= set(made)


def test_a_machine_that_only_looks_gets_what_is_there(tmp_path: Path) -> None:
    assert kept.results(tmp_path / "clip.json", SETTINGS, None) is None
    assert list(tmp_path.iterdir()) == []
    kept.results(tmp_path / "clip.json", SETTINGS, training())
    looked = kept.results(tmp_path / "clip.json", SETTINGS, None)
    assert looked is not None
    assert looked["loss"] == [2.0, 1.5]
    assert kept.results(tmp_path / "clip.json", SETTINGS | {"steps": 4}, None) is None


def change_settings(folder: Path) -> dict[str, Any]:
    return SETTINGS | {"steps": 4}


def damage_weights(folder: Path) -> dict[str, Any]:
    (folder / "clip.safetensors").write_bytes(b"half of it")
    return SETTINGS


def lose_weights(folder: Path) -> dict[str, Any]:
    (folder / "clip.safetensors").unlink()
    return SETTINGS


def break_json(folder: Path) -> dict[str, Any]:
    (folder / "clip.json").write_text('{"settings": {', encoding="utf-8")
    return SETTINGS


def write_other_json(folder: Path) -> dict[str, Any]:
    (folder / "clip.json").write_text("[]", encoding="utf-8")
    return SETTINGS


@pytest.mark.parametrize("happens", [change_settings, damage_weights, lose_weights, break_json, write_other_json])
def test_what_does_not_fit_is_computed_anew_and_replaced(happens: Any, tmp_path: Path) -> None:
    run = training()
    kept.results(tmp_path / "clip.json", SETTINGS, run)
    settings = happens(tmp_path)
    for _ in range(2):
        found = kept.results(tmp_path / "clip.json", settings, run)
        assert found is not None
        assert torch.equal(found["map"], torch.eye(2))
    assert run.runs == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.json", "clip.safetensors"]


def test_without_tensors_there_is_no_file_of_weights(tmp_path: Path) -> None:
    found = kept.results(tmp_path / "curve.json", {}, Training(loss=[1.0], nothing={}))
    assert found == {"loss": [1.0], "nothing": {}}
    assert [path.name for path in tmp_path.iterdir()] == ["curve.json"]


@pytest.mark.parametrize("found", [{"loss": {1, 2}}, {"loss": [torch.ones(1)]}])
def test_a_result_that_cannot_be_kept_replaces_nothing(found: dict[str, Any], tmp_path: Path) -> None:
    kept.results(tmp_path / "clip.json", SETTINGS, training())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        kept.results(tmp_path / "clip.json", {"steps": 9}, Training(**found))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_training_that_fails_leaves_what_was_kept(tmp_path: Path) -> None:
    kept.results(tmp_path / "clip.json", SETTINGS, training())

    def fails() -> dict[str, Any]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        kept.results(tmp_path / "clip.json", {"steps": 9}, fails)
    assert kept.results(tmp_path / "clip.json", SETTINGS, None) is not None


def test_a_write_that_breaks_off_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.save(tmp_path / "history.json", {"loss": [1.0]})

    def full(self: Path, *args: object, **named: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="no space"):
            kept.save(tmp_path / "history.json", {"loss": [2.0]})
    assert json.loads((tmp_path / "history.json").read_text(encoding="utf-8")) == {"loss": [1.0]}
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]
