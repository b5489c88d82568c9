"""What only PROFILE=gpu runs, on small data and on a pretended GPU: real loading code, large studies, their reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from .chosen import long_weeks
from .pretended_gpu import DEVICE, OnGpu, pretended_gpu
from .training_seeds.names import names_with

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENETTE = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)
"""WordNet's numbers of the ten classes: the names of the folders."""


def of_week(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in long_weeks(), reason="not among the chosen weeks")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    matplotlib.use("agg")
    with pretended_gpu(monkeypatch) as device:
        yield device
    plt.close("all")


def save_images(folder: Path, classes: tuple[str, ...], count: int, size: int, suffix: str = "jpg") -> None:
    """`count` colored noise images of each class, each class in a folder of its own; a class has a color of its own."""
    draw = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            noise = draw.integers(0, 80, (size, size, 3)) + np.array([20 * number % 170, 60 * number % 170, 90])
            Image.fromarray(noise.astype(np.uint8)).save(folder / name / f"{name}_{image}.{suffix}")


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, count in (("train", 6), ("test", 4)):
        save_images(tmp_path / "cifar10" / part, CIFAR10, count, 32)
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))


# the pretended GPU itself


def test_what_cuda_would_refuse_is_refused(gpu: torch.device) -> None:
    here, there = torch.ones(2), torch.ones(2, device=gpu)
    assert isinstance(here.to(gpu), OnGpu)
    assert there.device == DEVICE
    assert (there + 1).cpu().tolist() == [2, 2]
    assert (there * torch.tensor(3.0)).tolist() == [3, 3], "a number of the CPU may be anywhere"
    assert there[torch.tensor([0])].tolist() == [1], "indices may lie on the CPU"
    with pytest.raises(RuntimeError, match="found two: the GPU and cpu"):
        here + there
    with pytest.raises(RuntimeError, match="found two: the GPU and cpu"):
        here[torch.zeros(1, dtype=torch.int64, device=gpu)]
    with pytest.raises(RuntimeError, match="expected a generator of the GPU"):
        torch.rand(2, device=gpu, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="expected a generator of the cpu"):
        torch.rand(2, generator=torch.Generator(gpu))
    assert isinstance(torch.rand(2, device=gpu, generator=torch.Generator(gpu).manual_seed(0)), OnGpu)
    with pytest.raises(TypeError, match="to numpy"):
        there.numpy()


def test_training_on_it_changes_what_lies_there_as_on_the_cpu(gpu: torch.device) -> None:
    def trained(device: torch.device | str) -> list[float]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        x, y = torch.arange(12.0).reshape(4, 3).to(device), torch.tensor([0, 1, 1, 0]).to(device)
        losses = []
        for _ in range(3):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert trained(gpu) == trained("cpu")


# week 09


@of_week("week09_interpretability")
def test_week09_reads_attention_on_photographs(
    cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with(
        "week09_interpretability",
        *("styles", "explanations", "randomized", "rank_correlation", "spread", "train_photo_vit", "photographs"),
    )
    figures = names["photographs"](40, 3, 24, 2, 6)
    assert len(figures) == 2
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 training images, 3 steps: test accuracy" in said
    assert re.search(r"relevance +\d\.\d{3} +\d\.\d{3}", said)


@of_week("week09_interpretability")
def test_week09_reads_pretrained_vits_on_imagenette(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders as torchvision's Imagenette unpacks them; a small model without weights."""
    names = names_with(
        "week09_interpretability",
        *("rank_correlation", "spread", "imagenette", "IMAGENET_OF_IMAGENETTE", "pretrained_vit", "famous_vits"),
    )
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    for part in ("train", "val"):
        save_images(tmp_path / "imagenette2-320" / part, IMAGENETTE, 1, 40, "JPEG")
    photos, labels = names["imagenette"](3, 160)
    assert photos.shape == (3, 3, 160, 160)
    assert labels.tolist() == [0, 497, 701], "ImageNet's numbers of the first, the fifth and the last of the ten"
    (gallery,) = names["famous_vits"](("test_vit.r160_in1k",), photos, labels, weights=False)
    assert isinstance(gallery, plt.Figure)
    assert "correlation of layer and distance" in capsys.readouterr().out


# week 10


@of_week("week10_vit_vs_cnn")
def test_week10_compares_both_models_on_photographs(
    cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with(
        "week10_vit_vs_cnn",
        *(
            "share",
            "predicted",
            "wilson",
            "ATTACKS",
            "pgd10",
            "shifted_and_flipped",
            "patch_shuffled",
            "photograph_duel",
        ),
    )
    names["photograph_duel"](40, 20, 2, 4, 64)
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 images to learn from, 2 steps of 64, 20 test images" in said
    assert "kappa" in said


@of_week("week10_vit_vs_cnn")
def test_week10_fine_tunes_attacks_and_draws_large_models(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with(
        "week10_vit_vs_cnn",
        *(
            "share",
            "predicted",
            "as_picture",
            "patch_shuffled",
            "Pretrained",
            "timm_rollout",
            "finetuned",
            "large_duel",
            "LARGE",
        ),
    )
    names["LARGE"].update(ViT="test_vit.r160_in1k", CNN="test_resnet.r160_in1k")
    shown: list[Any] = []
    names["display"] = shown.append
    monkeypatch.setattr(names["profile"], "pick", lambda cpu, gpu: cpu)  # no processes that load data
    pictures = torch.rand(6, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    data = [(picture, number % 3) for number, picture in enumerate(pictures)]
    names["large_duel"](data, data, 3, 2, 2, [0], 2, pretrained=False)
    said = capsys.readouterr().out
    assert said.count("r160_in1k") == 2
    assert "PGD-20 8" in said
    assert len(shown) == 1


# week 11


@of_week("week11_attention_archaeology")
def test_week11_studies_real_images_from_the_folder_to_the_report(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """EuroSAT's folders, two small models without weights: everything that the notebook does with the real ones."""
    names = names_with(
        "week11_attention_archaeology",
        *("domain_images", "pretrained_pair", "fine_tune", "domain_conditions", "forensics", "draw_study"),
        "domain_study",
    )
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    classes = ("Forest", "Highway", "River")
    save_images(tmp_path / "eurosat" / "2750", classes, 10, 64)
    train, test = names["domain_images"]("eurosat", None, 160)
    assert train.classes == classes
    assert train.x.shape == (24, 3, 160, 160)
    assert train.x.dtype == torch.uint8
    assert test.y.bincount().tolist() == [2, 2, 2], "a fifth of each class"
    pair = names["pretrained_pair"](classes, False, ("test_vit.r160_in1k", "test_resnet.r160_in1k"))
    pair.vit.blocks = pair.vit.blocks[:3]
    path = names["domain_study"](train, test, pair, 2, 3, tmp_path / "runs", batch=4, judged=4)
    report = path.read_text(encoding="utf-8")
    layers, heads = len(pair.vit.blocks), pair.vit.blocks[0].attn.num_heads
    assert f"of {layers * heads} heads" in report
    assert {file.name for file in path.parent.glob("*.png")} == {"heads.png", "rows_0.png"}
    assert "vit: one step of FGSM" in report
    assert "cnn: one step of FGSM" in report
    assert "| gray |" in report
    assert "typed by hand: []" in capsys.readouterr().out


@of_week("week11_attention_archaeology")
def test_week11_says_what_to_fetch_where_nothing_can_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    import torchvision.datasets as sets

    names = names_with("week11_attention_archaeology", "domain_images", "pretrained_pair")
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))

    def offline(*args: Any, **named: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(sets, "EuroSAT", offline)
    with pytest.raises(FileNotFoundError, match=rf"EuroSAT is not in {tmp_path}.*no network.*WORKBOOK_DATA"):
        names["domain_images"]("eurosat", None, 224)
    monkeypatch.setitem(__import__("sys").modules, "medmnist", None)
    with pytest.raises(ImportError, match="pip install medmnist"):
        names["domain_images"]("bloodmnist", None, 224)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(FileNotFoundError, match="hf download timm/vit_base_patch16_224"):
        names["pretrained_pair"](("a", "b"))
