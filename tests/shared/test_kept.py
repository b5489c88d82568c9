"""`shared.kept`: what took long is measured once, and again where its settings are others or its file is broken."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from shared import kept


class Study:
    """Counts how often it is run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> dict[str, Any]:
        self.runs += 1
        maps = torch.arange(6.0).reshape(2, 3).t()  # not contiguous
        return {"accuracy": 0.75, "curve": [1, 2.5, math.nan], "maps": maps, "run": self.runs}


def test_a_second_run_draws_from_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, path = Study(), tmp_path / "new" / "study.json"
    first = kept.results(path, {"steps": 3, "models": ("a", "b")}, study)
    assert "measured in" in capsys.readouterr().out
    second = kept.results(path, {"models": ["a", "b"], "steps": 3}, study)
    assert f"{path}: measured on" in capsys.readouterr().out
    assert study.runs == 1
    for found in (first, second):
        assert list(found) == ["accuracy", "curve", "run", "maps"]
        assert found["accuracy"] == 0.75
        assert found["curve"][:2] == [1, 2.5]
        assert math.isnan(found["curve"][2])
        assert torch.equal(found["maps"], torch.tensor([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]))


def test_other_settings_are_another_study(tmp_path: Path) -> None:
    study, path = Study(), tmp_path / "study.json"
    kept.results(path, {"steps": 3}, study)
    assert kept.results(path, {"steps": 4}, study)["run"] == 2
    assert kept.results(path, {"steps": 4}, study)["run"] == 2


@pytest.mark.parametrize("broken", ["", '{"settings": {"steps": 3}', "[]", "{}"])
def test_a_file_that_broke_off_is_made_again(tmp_path: Path, broken: str) -> None:
    study, path = Study(), tmp_path / "study.json"
    kept.results(path, {"steps": 3}, study)
    path.write_text(broken, encoding="utf-8")
    assert kept.results(path, {"steps": 3}, study)["run"] == 2


def test_tensors_that_are_gone_are_made_again(tmp_path: Path) -> None:
    study, path = Study(), tmp_path / "study.json"
    kept.results(path, {}, study)
    path.with_suffix(".safetensors").unlink()
    assert kept.results(path, {}, study)["run"] == 2


def test_nothing_is_kept_of_a_study_that_failed(tmp_path: Path) -> None:
    def fails() -> dict[str, Any]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        kept.results(tmp_path / "study.json", {}, fails)
    assert list(tmp_path.iterdir()) == []
