"""What only PROFILE=gpu runs, on small data and on a pretended GPU: real loading code, large studies, their reports."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from shared.datasets import LabeledImages

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
    there[torch.tensor([1])] = torch.full((1,), 5.0, device=gpu)
    assert there.tolist() == [1, 5]
    with pytest.raises(RuntimeError, match="found two: the GPU and cpu"):
        there[torch.tensor([0, 1])] = torch.full((2,), 5.0)
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


def some_images(classes: int, each: int, size: int = 32) -> LabeledImages:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(classes * each, 3, size, size, generator=draw)
    return LabeledImages(x, torch.arange(classes).repeat(each), tuple(f"class_{name}" for name in "abcdefgh"[:classes]))


def without_weights(monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    """timm makes its models with random weights; some of them under other names."""
    import timm

    real = timm.create_model

    def create(name: str, pretrained: bool = False, **named: Any) -> Any:
        return real(other.get(name.partition(".")[0], name), pretrained=False, **named)

    monkeypatch.setattr(timm, "create_model", create)


# week 03


@of_week("week03_training")
def test_week03_trains_on_photographs_and_fine_tunes(
    cifar10: None, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_with("week03_training", "photographs", "food", "small_models")
    both = names["photographs"](0, 40, 20, steps=4, batch=8, width=32, depth=1, mixing=True)
    assert all(0 <= share <= 1 for share in both)
    without_weights(monkeypatch, vit_base_patch16_224="vit_tiny_patch16_224")
    loader = torch.utils.data.DataLoader
    monkeypatch.setattr(  # no other processes
        torch.utils.data,
        "DataLoader",
        lambda data, batch, shuffle=False, drop_last=False, **_: loader(data, batch, shuffle, drop_last=drop_last),
    )
    large = some_images(3, 2, 224)
    pairs = list(zip(large.x, large.y.tolist(), strict=True))
    monkeypatch.setattr(names["datasets"], "food101", lambda **_: pairs)
    assert 0 <= names["food"]("frozen", 1, 2) <= 1
    monkeypatch.setattr(names["datasets"], "cifar100", lambda **_: some_images(3, 2))
    assert len(names["small_models"](1, 2)) == 2


# week 05


@of_week("week05_masked_image_modeling")
def test_week05_pretrains_on_photographs(cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    names = names_with("week05_masked_image_modeling", "photographs")
    shown: list[Any] = []
    names["display"] = shown.append
    setting = names["Setting"](
        img_size=32, patch_size=8, channels=3, dim=16, depth=1, n_heads=2, decoder_dim=16, decoder_depth=1, ratio=0.75,
        steps=2, batch=8, rate=1e-3,
    )  # fmt: skip
    names["photographs"](setting, 40, 40, 20)
    assert "20 test images, 12 of 16 patches hidden" in capsys.readouterr().out
    assert len(shown) == 1


# week 06


@of_week("week06_self_distillation")
def test_week06_distills_on_photographs_and_draws_the_heads_of_a_vit(
    cifar10: None, gpu: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week06_self_distillation", "on_photographs", "pretrained", "show_heads")
    recipe = names["Recipe"](
        size=32, local_size=16, patch=8, width=24, depth=1, outputs=16, steps=2, batch=8, learning_rate=1e-3,
        momentum=0.9, n_local=2, scale_global=(0.6, 1.0), scale_local=(0.3, 0.5), noise=0.2,
    )  # fmt: skip
    before, after, end = names["on_photographs"](recipe, names["datasets"].cifar10, 40, 20, seed=0)
    assert 0 <= before <= 1
    assert 0 <= after <= 1
    assert "mutual_information" in end
    without_weights(monkeypatch)
    names["show_heads"]("small", names["pretrained"]("vit_tiny_patch16_224", 64), 64, 2)
    assert "mean of 2 shapes" in capsys.readouterr().out


# week 07


@of_week("week07_contrastive")
def test_week07_classifies_without_a_shot_and_trains_on_captions(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip  # type: ignore[import-untyped]

    names = names_with("week07_contrastive", "pretrained_clip", "classify", "flickr_pairs", "train_on_captions")
    real = open_clip.create_model_and_transforms
    monkeypatch.setattr(open_clip, "create_model_and_transforms", lambda name, pretrained: real(name))
    clip = names["pretrained_clip"]("ViT-B-32", "none")
    assert 0 <= names["classify"](*clip, some_images(3, 1), ["a photo of a {}.", "a {}."]) <= 1

    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    save_images(tmp_path / "flickr8k", ("Images",), 20, 48)
    lines = [f"Images_{k}.jpg,a {word} picture {k}" for k in range(20) for word in ("first", "second")]
    (tmp_path / "flickr8k" / "captions.txt").write_text("image,caption\n" + "\n".join(lines), encoding="utf-8")
    images, captions = names["flickr_pairs"]()
    assert images.shape == (20, 3, 32, 32)
    assert captions[3] == ["a first picture 3", "a second picture 3"]
    found = names["train_on_captions"](images, captions, steps=2, batch=4, width=16)
    assert set(found) == {"recall at 1", "recall at 5"}


# week 08


@of_week("week08_features_and_probes")
def test_week08_probes_features_of_photographs_and_of_famous_encoders(
    cifar10: None, gpu: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week08_features_and_probes", "photograph_curves", "famous_encoders")
    names["photograph_curves"](60, 20, 60, 2, (2,))
    said = capsys.readouterr().out
    assert re.search(r"random filters +1,024 +[01]\.\d{3}", said)
    without_weights(
        monkeypatch, vit_base_patch14_dinov2="vit_small_patch14_dinov2", vit_base_patch16_224="vit_tiny_patch16_224"
    )
    names["famous_encoders"](some_images(4, 12), some_images(4, 3), (2,), 2, weights=False)
    said = capsys.readouterr().out
    assert "DINOv2 ViT-B/14" in said
    assert "CLIP ViT-B/32" in said
    assert "ViT from scratch, all labels" in said


# week 09


@of_week("week09_interpretability")
def test_week09_reads_attention_on_photographs(
    cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week09_interpretability", "photographs", "styles")
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
    names = names_with("week09_interpretability", "imagenette", "IMAGENET_OF_IMAGENETTE", "famous_vits")
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
    names = names_with("week10_vit_vs_cnn", "photograph_duel", "ATTACKS")
    names["photograph_duel"](40, 20, 2, 4, 64)
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 images to learn from, 2 steps of 64, 20 test images" in said
    assert "kappa" in said


@of_week("week10_vit_vs_cnn")
def test_week10_fine_tunes_attacks_and_draws_large_models(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week10_vit_vs_cnn", "large_duel", "LARGE")
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
    names = names_with("week11_attention_archaeology", "domain_images", "pretrained_pair", "domain_study")
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
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ImportError, match="pip install medmnist"):
        names["domain_images"]("bloodmnist", None, 224)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(FileNotFoundError, match="hf download timm/vit_base_patch16_224"):
        names["pretrained_pair"](("a", "b"))


# week 12


class SayingOneBox(torch.nn.Module):
    """Answers as DETR does: 100 slots, 91 classes and "no object"; slot 0 says class 3 in the middle of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        logits, boxes = (
            torch.zeros(len(x), 100, 92, device=x.device),
            torch.full((len(x), 100, 4), 0.5, device=x.device),
        )
        logits[:, :, 91] = 9.0
        logits[:, 0, 3] = 20.0
        return {"pred_logits": logits * self.scale, "pred_boxes": boxes * self.scale}


def save_coco(folder: Path, images: int) -> None:
    """A folder as COCO's: images with one object of class 3 in the middle, and one that is a crowd."""
    import json

    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    entries, annotations = [], []
    for number in range(images):
        name = f"{number:012d}.jpg"
        Image.new("RGB", (80, 60), (90, 20 * number, 60)).save(folder / "val2017" / name)
        entries.append({"id": 7 + number, "file_name": name, "width": 80, "height": 60})
        for crowd, box in ((0, [20.0, 15.0, 40.0, 30.0]), (1, [0.0, 0.0, 80.0, 60.0])):
            row = {"id": 2 * number + crowd + 1, "image_id": 7 + number, "category_id": 3, "bbox": box}
            annotations.append(row | {"area": box[2] * box[3], "iscrowd": crowd})
    content = {"images": entries, "annotations": annotations, "categories": [{"id": 3, "name": "car"}]}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content), encoding="utf-8")


@of_week("week12_detection_transformer")
def test_week12_measures_detr_on_coco_and_trains_on_the_gpu(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path / "data"))
    names = names_with(
        "week12_detection_transformer",
        "detr_on_coco",
        "long_training",
        "load_detr",
        "kept",
        "HERE",
        "WEIGHTS",
        "LOSS_WEIGHTS",
        "EVERY",
    )
    with pytest.raises(FileNotFoundError, match=r"cocodataset\.org"):
        names["detr_on_coco"](SayingOneBox().to(gpu), 2)
    save_coco(tmp_path / "data" / "coco", 3)
    score = names["detr_on_coco"](SayingOneBox().to(gpu), 2, short=40, long=64)
    assert score["images"] == 2
    assert score["yours"] == pytest.approx(score["pycocotools"], abs=1e-4) == pytest.approx(100, abs=1e-4)

    found = names["kept"]("long_training", lambda: names["long_training"](6, 4, 2, 3, size=32, width=16))
    assert 0 <= found["map"] <= 1
    assert [len(found["curves"][name]) for name in ("loss_ce", "loss_bbox", "loss_giou")] == [2, 2, 2]
    assert (tmp_path / "detections" / "long_training.pt").is_file()
    assert names["kept"]("long_training", lambda: {"map": 2}) == found, "the second run reads what the first one kept"

    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: SayingOneBox())
    assert next(names["load_detr"]().parameters()).device == gpu


@of_week("week12_detection_transformer")
def test_week12_says_what_to_fetch_where_nothing_can_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load", refuse)
    with pytest.raises(FileNotFoundError, match="TORCH_HOME"):
        names_with("week12_detection_transformer", "load_detr")["load_detr"]()
