"""What PROFILE=gpu runs on a learner's own pictures, keeps and exports: small data, a pretended GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from shared import exporting

from .chosen import ROOT
from .gpu_data import (
    IMAGENETTE,
    kept_settings,
    save_images,
    some_images,
    without_processes,
    without_weights,
)
from .training_seeds.names import names_with


def test_week03_takes_a_folder_of_photographs(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_with("week03_training", "photo_sets", "way_on_photographs")
    save_images(tmp_path / "mine", ("ash", "oak"), 6, 48)
    train, test, classes = names["photo_sets"](str(tmp_path / "mine"))
    assert (len(train), len(test), classes) == (10, 2, 2)
    assert train[0][0].shape == test[0][0].shape == (3, 224, 224)
    assert -1 <= train[0][0].min() < train[0][0].max() <= 1
    without_weights(monkeypatch, vit_base_patch16_224="vit_tiny_patch16_224")
    without_processes(monkeypatch)
    found = names["way_on_photographs"]("full", str(tmp_path / "mine"), 1, batch=4, watched=2)
    assert len(found["test accuracy"]) == 2


def test_week03_lets_a_cnn_teach_a_vit_on_photographs(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week03_training", "taught_by_a_cnn", "draw_curves", "compare_ways")
    without_weights(monkeypatch, resnet50="test_resnet")
    monkeypatch.setattr(names["datasets"], "cifar100", lambda **_: some_images(3, 4))
    heard: list[str] = []
    own = names["distillation_loss"]

    def listening(student: Any, teacher: torch.Tensor, labels: torch.Tensor, mode: str, **named: Any) -> Any:
        assert isinstance(student, tuple), "a student with two heads gives a pair while it trains"
        assert not teacher.requires_grad
        heard.append(mode)
        return own(student, teacher, labels, mode, **named)

    names["distillation_loss"] = listening
    found = names["taught_by_a_cnn"]("resnet50.a1_in1k", 64, 1, 2, width=32, depth=1, batch=4)
    assert heard == ["hard"] * 6 + ["soft"] * 6, "two epochs of three steps each"
    assert list(found["runs"]) == ["teacher, resnet50", "student, labels", "student, hard", "student, soft"]
    assert len(found["runs"]["student, soft"]["test accuracy"]) == 3
    assert {name for name in found if name.startswith("weights")} == {
        *("weights teacher", "weights labels", "weights hard", "weights soft"),
    }
    names["draw_curves"](found["runs"], "CIFAR-100")
    names["compare_ways"](found["runs"], "CIFAR-100")
    assert "student, hard" in capsys.readouterr().out


def test_week05_learns_from_imagenette_and_from_a_folder(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week05_masked_image_modeling", "mae_on", "kept")
    shown: list[Any] = []
    names["display"] = shown.append
    monkeypatch.chdir(tmp_path)
    setting = names["Setting"](
        img_size=32, patch_size=8, channels=3, dim=16, depth=1, n_heads=2, decoder_dim=16, decoder_depth=1, ratio=0.75,
        steps=3, batch=8, rate=1e-3,
    )  # fmt: skip
    for part, count in (("train", 3), ("val", 2)):
        save_images(tmp_path / "imagenette2-160" / part, IMAGENETTE, count, 40, "JPEG")
    data = names["datasets"]
    names["mae_on"]("imagenette", "Imagenette", setting, partial(data.imagenette, tmp_path, 32))
    said = capsys.readouterr().out
    assert "Imagenette: 30 images to learn from; loss on 20 others: MAE" in said
    assert re.search(r"random weights: probe [\d.]+%, knn [\d.]+%\n +MAE: probe", said)
    assert len(shown) == 2
    names["mae_on"]("imagenette", "Imagenette", setting, None)
    assert "MAE: probe" in capsys.readouterr().out, "a second run draws without training"
    assert len(shown) == 4
    names["mae_on"]("imagenette", "Imagenette", names["replace"](setting, steps=4), None)
    assert "not measured here" in capsys.readouterr().out

    save_images(tmp_path / "mine", ("all",), 10, 40)
    names["mae_on"]("mine", "mine", setting, partial(data.image_folder, tmp_path / "mine" / "all", 32), images=8)
    said = capsys.readouterr().out
    assert "mine: 8 images to learn from; loss on 2 others" in said
    assert "probe" not in said, "without classes there is nothing to ask"
    found = names["kept"].results("kept/mine.json", kept_settings("mine"), None)
    assert len(found["losses"]) == 3
    assert found["shown"].shape == (6, 3, 32, 32), "two test images: whole, covered, predicted"


def test_week06_learns_from_a_folder(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week06_self_distillation", "learned_from", "show_photographs", "kept")
    shown: list[Any] = []
    names["display"] = shown.append
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "pets", ("cat", "dog"), 10, 40)
    save_images(tmp_path / "plain", ("all",), 10, 40)
    for folder, ibot, classes in ((tmp_path / "pets", True, True), (tmp_path / "plain" / "all", False, False)):
        recipe = names["Recipe"](
            size=32, local_size=16, patch=8, width=24, depth=1, outputs=16, steps=10, batch=8, learning_rate=1e-3,
            momentum=0.9, n_local=2, scale_global=(0.6, 1.0), scale_local=(0.3, 0.5), noise=0.2, ibot=ibot,
        )  # fmt: skip
        train, test = (names["datasets"].image_folder(folder, 32, train=which) for which in (True, False))
        for _ in range(2):
            found = names["kept"].results(
                f"kept/{folder.name}.json", {}, partial(names["learned_from"], train, test, recipe)
            )
        assert len(found["history"]["loss"]) == 10
        assert set(found["knn"]) == ({"random network", "teacher"} if classes else set())
        rows = found["neighbors, teacher"]
        assert rows.shape == (len(test.y), 5, 3, 32, 32), "each that was held back, and four neighbors"
        assert torch.equal(rows[:, 0], test.x)
        names["show_photographs"](found, 16, "run")
        said = capsys.readouterr().out
        assert f"run: {len(train.y)} photographs, 10 steps, mutual information" in said
        assert ("kNN-20" in said) == classes
    assert len(shown) == 4


def test_week07_exports_a_script_that_trains(tmp_path: Path) -> None:
    """Into a folder of its own, and run there by another Python: on colored shapes, and on a learner's own pairs."""
    names = names_with("week07_contrastive", "train_on_captions", "SCRIPT", "SCRIPT_END", "kept", "argparse")
    exporting.write_package(tmp_path, names["SCRIPT"], names, last={"train_clip": names["SCRIPT_END"]})
    save_images(tmp_path / "mine", ("Images",), 12, 40)
    lines = [json.dumps({"image": f"Images/Images_{k}.jpg", "caption": f"picture {k}"}) for k in range(12)]
    (tmp_path / "mine" / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data, made = names["datasets"], names["datasets"].shapes(30, seed=1)
    pairs = data.captioned_images(tmp_path / "mine", 32)
    forms = [list(group) for group in zip(*names["caption_forms"](made.captions), strict=True)]
    for more, images, captions in (
        (["--shapes", "30"], made.x, forms),
        (["--pairs", "mine/captions.jsonl"], pairs.x, pairs.captions),
    ):
        small = ["--steps", "4", "--batch", "8", "--width", "16", "--seed", "3"]
        done = subprocess.run(
            [sys.executable, "train_clip.py", *small, *more],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        history = json.loads((tmp_path / "trained" / "history.json").read_text(encoding="utf-8"))
        here = names["train_on_captions"](images, captions, 4, 8, 16, seed=3)
        assert history["loss"] == pytest.approx(here["loss"], rel=1e-3), "what the notebook's own function finds"
        assert len(history["loss"]) == 4
        assert history["held back"] == max(1, len(images) // 10)
        assert history["settings"]["seed"] == 3
        weights = torch.load(tmp_path / "trained" / "model.pt", weights_only=True)
        assert "logit_scale.log_scale" in weights
