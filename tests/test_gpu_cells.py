"""What only PROFILE=gpu runs, on small data and on a pretended GPU: real loading code, large studies, their reports."""

from __future__ import annotations

import json
import linecache
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from .chosen import ROOT
from .gpu_data import IMAGENETTE, kept_settings, save_images, some_images, without_processes, without_weights
from .pretended_gpu import DEVICE, OnGpu
from .training_seeds.names import names_with

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


# week 02


def test_week02_compares_patches_on_photographs(
    cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week02_vision_transformer", "compare_patches")
    names["compare_patches"](40, 20, steps=20, width=32, depth=1, seed=0)
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 training images, batches of 64, 20 test images" in said
    rows = [re.split(r"\s{2,}", line) for line in said.splitlines() if line.startswith("p = ")]
    steps = {name: int(count) for name, count, *_ in rows}
    assert steps.pop("p = 4") == steps.pop("p = 8, equal steps") == 20
    cost = {side: names["vit_flops"](32, 32, side, 32, 1, 2.0, 3, 10) for side in (4, 8)}
    assert abs(steps.pop("p = 8, equal FLOPs") * cost[8] - 20 * cost[4]) <= cost[8] / 2
    assert steps == {}, said


def measured_again(*_: Any) -> Any:
    """In the place of what takes long, where a second run should draw from what was kept."""
    raise AssertionError("measured again")


# week 02


def test_week02_reads_digits_with_every_variant(gpu: torch.device) -> None:
    wanted = ("handwriting", "ANOTHER_ORDER", "USUAL", "VARIANTS", "readers", "read_digits")
    names = names_with("week02_vision_transformer", *wanted)
    made = names["readers"](range(1))
    assert [name for name, _, _ in made] == list(names["VARIANTS"])
    for _, seed, model in made:
        assert all(part.device == gpu for part in model.parameters())
        assert 0 <= names["read_digits"](model, seed, names["ANOTHER_ORDER"], steps=1) <= 1


# week 03


def test_week03_trains_on_photographs_and_fine_tunes(
    cifar10: None,
    gpu: torch.device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = names_with("week03_training", "photographs", "three_ways", "small_models", "kept")
    both = names["photographs"](0, 40, 20, steps=4, batch=8, width=32, depth=1, mixing=True)
    assert all(0 <= share <= 1 for share in both)
    without_weights(monkeypatch, vit_base_patch16_224="vit_tiny_patch16_224")
    without_processes(monkeypatch)
    monkeypatch.chdir(tmp_path)
    large = some_images(3, 4, 224)
    pairs = list(zip(large.x, large.y.tolist(), strict=True))
    monkeypatch.setattr(names["datasets"], "food101", lambda **_: pairs)
    one_way = names["way_on_photographs"]
    names["way_on_photographs"] = lambda way, folder, epochs: one_way(way, folder, epochs, batch=4, watched=3)
    names["three_ways"]("food", "", 2, measure=True)
    said = capsys.readouterr().out
    assert re.search(r"frozen +\d+\.\d% +\d+\.\d% +2 ", said)
    assert "full: the attention moved by" in said
    assert plt.get_fignums(), "curves and attention were drawn"
    found = names["kept"].results("kept/food_frozen.json", kept_settings("food_frozen"), None)
    assert len(found["train loss"]) == len(found["seconds"]) == 2
    assert len(found["test accuracy"]) == 3
    assert torch.equal(found["attention"]["before"], found["attention"]["after"]), "frozen attention stays"
    assert found["attention"]["before"].shape == (3, 14, 14)
    full = names["kept"].results("kept/food_full.json", kept_settings("food_full"), None)
    assert not torch.equal(full["attention"]["before"], full["attention"]["after"])
    capsys.readouterr()
    names["three_ways"]("food", "", 2, measure=False)
    assert "full: the attention moved by" in capsys.readouterr().out, "a second run draws without training"
    monkeypatch.setattr(names["datasets"], "cifar100", lambda **_: some_images(3, 2))
    assert len(names["small_models"](1, 2)) == 2


# week 04


def test_week04_trains_two_stages_beside_a_flat_vit(gpu: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    names = names_with("week04_hierarchical", "against_flat")
    shapes = names["datasets"].shapes
    found = names["against_flat"](shapes(12, seed=1), shapes(6, seed=2), steps=2, batch=4)
    assert set(found) == {"two stages", "flat ViT"}
    assert all(0 <= share <= 1 for share in found.values())
    assert capsys.readouterr().out.count("of 6 new pictures") == 2


# week 05


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


def test_week07_classifies_without_a_shot_and_trains_on_captions(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import open_clip  # type: ignore[import-untyped]

    names = names_with(
        "week07_contrastive", "pretrained_clip", "classify", "zero_shot_table", "train_on_captions", "learned_from",
        "kept",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    real = open_clip.create_model_and_transforms
    monkeypatch.setattr(open_clip, "create_model_and_transforms", lambda name, pretrained: real(name))
    clip = names["pretrained_clip"]("ViT-B-32", "openai")
    assert 0 <= names["classify"](*clip, some_images(3, 1), ["a photo of a {}.", "a {}."]) <= 1
    for name in ("cifar10", "cifar100"):
        monkeypatch.setattr(names["datasets"], name, lambda **_: some_images(3, 1))
    monkeypatch.setattr(open_clip, "OPENAI_IMAGENET_TEMPLATES", open_clip.OPENAI_IMAGENET_TEMPLATES[:2])
    shares = names["zero_shot_table"]("ViT-B-32", "openai")
    assert set(shares) == {"CIFAR-10", "CIFAR-100"}
    assert all(len(both) == 2 and all(0 <= share <= 1 for share in both) for both in shares.values())

    save_images(tmp_path / "flickr8k", ("Images",), 20, 48)
    lines = [f"Images_{k}.jpg,a {word} picture {k}" for k in range(20) for word in ("first", "second")]
    (tmp_path / "flickr8k" / "captions.txt").write_text("image,caption\n" + "\n".join(lines), encoding="utf-8")
    pairs = names["datasets"].captioned_images(tmp_path / "flickr8k", 32)
    assert pairs.captions[3] == ["a first picture 3", "a second picture 3"]
    found = names["train_on_captions"](pairs.x, pairs.captions, steps=3, batch=4, width=16)
    assert len(found["loss"]) == len(found["scale"]) == len(found["retrieval"]) == 3
    assert found["held back"] == 2
    assert set(found["retrieval"][-1]) == {"step", "recall at 1", "recall at 5"}
    assert found["retrieval"][-1]["recall at 5"] == 1, "of two captions both are among the first five"
    with pytest.raises(ValueError, match="1 pairs are too few"):
        names["train_on_captions"](pairs.x[:1], pairs.captions[:1], steps=1, batch=1, width=16)

    sizes = {"steps": 3, "batch": 4, "width": 16}
    names["learned_from"]("clip_mine", sizes, lambda: pairs, images=20)
    capsys.readouterr()
    names["learned_from"]("clip_mine", sizes, None, images=20)
    said = capsys.readouterr().out
    assert "clip mine, 3 steps: recall at 1" in said
    names["learned_from"]("clip_mine", sizes, None, images=21)
    assert "not measured here" in capsys.readouterr().out
    assert plt.get_fignums(), "both runs drew"


# week 08


def test_week08_probes_features_of_photographs_and_of_famous_encoders(
    cifar10: None,
    gpu: torch.device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = names_with("week08_features_and_probes", "photograph_curves", "famous_encoders", "FAMOUS")
    names["photograph_curves"](60, 20, 60, 2, (2,))
    said = capsys.readouterr().out
    assert re.search(r"random filters +1,024 +[01]\.\d{3}", said)
    without_weights(
        monkeypatch, vit_base_patch14_dinov2="vit_small_patch14_dinov2", vit_base_patch16_224="vit_tiny_patch16_224"
    )

    def judge(steps: int = 2) -> str:
        folder = tmp_path / "kept"
        names["famous_encoders"](some_images(4, 12), some_images(4, 3), (2,), steps, folder, weights=False)
        axes = [ax for number in plt.get_fignums() for ax in plt.figure(number).axes]
        assert [ax.get_title().partition(":")[0] for ax in axes] == list(names["FAMOUS"])[:2]
        assert all(sum(len(points.get_offsets()) for points in ax.collections) == 12 for ax in axes)
        plt.close("all")
        return capsys.readouterr().out

    said = judge()
    assert "CLIP ViT-B/32, captions" in said
    assert re.search(r"from scratch, all labels: [01]\.\d{3}; loss .*: \d\.\d\d, \d\.\d\d", said)
    names["read_encoder"] = names["scratch_result"] = measured_again
    again = judge()  # a second run draws from what was kept
    assert [line for line in again.splitlines() if "kept" not in line] == [
        line for line in said.splitlines() if "kept" not in line
    ]
    with pytest.raises(AssertionError, match="measured again"):
        judge(steps=3)


# week 09


def test_week09_reads_attention_on_photographs(
    cifar10: None, gpu: torch.device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week09_interpretability", "photographs", "styles")
    figures = names["photographs"](40, 3, 24, 2, 6, 0, tmp_path / "kept")
    assert len(figures) == 2
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 training images, 3 steps: test accuracy" in said
    assert re.search(r"relevance +\d\.\d{3} +\d\.\d{3}", said)
    names["train_on_photos"] = None  # a second run trains nothing, and judges the weights that were kept
    names["photographs"](40, 3, 24, 2, 6, 0, tmp_path / "kept")
    again = capsys.readouterr().out
    assert "delete it to measure again" in again
    assert said.partition("\n")[2] == again.partition("\n")[2]


def test_week09_reads_pretrained_vits_on_imagenette(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders as torchvision's Imagenette unpacks them; a small model without weights."""
    names = names_with("week09_interpretability", "imagenette", "IMAGENET_OF_IMAGENETTE", "famous_vits")
    shown: list[plt.Figure] = []
    names["display"] = shown.append
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    for part in ("train", "val"):
        save_images(tmp_path / "imagenette2-320" / part, IMAGENETTE, 1, 40, "JPEG")
    photos, labels = names["imagenette"](3, 160)
    assert photos.shape == (3, 3, 160, 160)
    assert labels.tolist() == [0, 497, 701], "ImageNet's numbers of the first, the fifth and the last of the ten"

    real, made = names["pretrained_vit"], []

    def with_registers(name: str, weights: bool, size: int) -> Any:
        """The second model has what DINOv2's has: no classifier, and four registers."""
        made.append(name)
        if name == "test_vit.r160_in1k":
            return real(name, weights, size)
        create = {"img_size": size, "patch_size": 16, "embed_dim": 24, "depth": 2, "num_heads": 2}
        return names["timm"].create_model("vit_small_patch14_reg4_dinov2", **create).eval().to(gpu)

    names["pretrained_vit"] = with_registers
    both, folder = ("test_vit.r160_in1k", "vit_small_patch14_reg4_dinov2"), tmp_path / "kept"
    (gallery,) = names["famous_vits"](both, photos, labels, folder, weights=False, shown=2)
    assert isinstance(gallery, plt.Figure)
    said = capsys.readouterr().out
    assert said.count("correlation of layer and distance") == 2
    assert said.count("early layers look local: ") == 2
    assert re.search(r"the atlas, 6 pages: .*test_vit.r160_in1k.pdf", said)
    assert re.search(r"the atlas, 2 pages: .*vit_small_patch14_reg4_dinov2.pdf", said)
    assert said.count("relevance: deletion area") == 1, "only a model with a classifier can be judged"
    assert len(shown) == 3 + 1 + 2 + 1 + 1, (
        "three pages and the matrices of one, two and the matrices of the other; the layers"
    )
    (page, *_) = shown
    assert len(page.axes[0].texts) == 1 + 2, "the name of the layer, and both heads"

    names["famous_vits"](both, photos, labels, folder, weights=False, shown=2)
    again = capsys.readouterr().out
    assert made == list(both), "a second run draws from what was kept"
    assert [line for line in again.splitlines() if "kept" not in line] == [
        line for line in said.splitlines() if "kept" not in line
    ]


# week 10


def test_week10_compares_both_models_on_photographs(
    cifar10: None, gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_with("week10_vit_vs_cnn", "photograph_duel", "ATTACKS")
    names["photograph_duel"](40, 20, 2, 4, 64)
    said = capsys.readouterr().out
    assert "CIFAR-10, 40 images to learn from, 2 steps of 64, 20 test images" in said
    assert "kappa" in said


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Week 10's comparison of large models, on two small ones without weights and without processes that load data."""
    names = names_with("week10_vit_vs_cnn", "large_duel", "validation_split", "LARGE", "STRONG_ATTACKS", "GROUPS")
    names["BOUNDS"] = (0, 2 / 255, 8 / 255)
    names["LARGE"].update(ViT="test_vit.r160_in1k", CNN="test_resnet.r160_in1k")
    monkeypatch.setattr(names["profile"], "pick", lambda cpu, gpu: cpu)
    return names


def labeled_pictures(count: int) -> list[tuple[torch.Tensor, int]]:
    pictures = torch.rand(count, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    return [(picture, number % 3) for number, picture in enumerate(pictures)]


def test_week10_fine_tunes_attacks_and_draws_large_models(
    gpu: torch.device, large: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run trains nothing, and prints and draws the same."""
    shown: list[Any] = []
    large["display"] = shown.append
    pairs = labeled_pictures(12)
    learn, valid = large["validation_split"](pairs, pairs, 4)

    def duel(epochs: int = 2) -> list[str]:
        how = large["FineTuning"](epochs=epochs, patience=1, batch=4)
        large["large_duel"]((learn, valid, pairs), ("a", "b", "c"), how, [0], 2, tmp_path / "kept", pretrained=False)
        return capsys.readouterr().out.splitlines()

    said = duel()
    assert sum("r160_in1k" in line for line in said) == 2
    assert any("PGD-20 8" in line for line in said)
    assert len([line for line in said if re.search(r"seed 0: [12] epochs in \d+\.\d\d h;", line)]) == 2
    assert any(line.startswith("only ViT wrong, most often:") for line in said)
    assert len([line for line in said if "JS divergence of maps" in line]) == 2
    assert len(shown) == 2
    written = json.loads((tmp_path / "kept" / "CNN_0.json").read_text(encoding="utf-8"))
    assert {"rate", "loss", "validation", "right"} == set(written["result"]["curve"][0])
    assert written["settings"]["images"] == [8, 4, 12]
    assert {"answers", "maps attacked", "weights/body.fc.weight"} <= set(written["tensors"])

    large["contestant"] = measured_again
    assert [line for line in duel() if "kept" not in line] == [line for line in said if "kept" not in line]
    assert len(shown) == 4
    with pytest.raises(AssertionError, match="measured again"):
        duel(epochs=3)  # another recipe is another training


def test_week10_trains_large_models_until_patience_ends_at_the_last_rate(
    gpu: torch.device, large: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = labeled_pictures(4)
    losses, states = [3.0, 2.0, 2.5, 1.9, 2.1, 2.2], []

    def judged(model: torch.nn.Module, *_: Any) -> tuple[float, torch.Tensor, torch.Tensor]:
        states.append(next(model.parameters()).detach().clone())
        return losses[len(states) - 1], torch.zeros(4), torch.zeros(4)

    large["judged"] = judged

    def tuned(epochs: int, patience: int) -> tuple[torch.Tensor, dict[str, Any]]:
        states.clear()
        how = large["FineTuning"](epochs, patience, batch=4)
        model, found = large["finetuned"]("CNN", pairs, pairs, 3, how, 0, pretrained=False)
        assert not model.training
        return next(model.parameters()), found

    weight, found = tuned(epochs=9, patience=1)
    assert [row["rate"] for row in found["curve"]] == [1e-4, 1e-4, 1e-4, 1e-5, 1e-5]
    assert [row["validation"] for row in found["curve"]] == losses[:5]
    assert found["converged"]
    assert torch.equal(weight.cpu(), states[3].cpu()), "the best weights, not the last ones"
    assert not torch.equal(states[3].cpu(), states[4].cpu())
    for limit in (2, 4):
        _, found = tuned(limit, patience=1)
        assert len(found["curve"]) == limit
        assert not found["converged"]


def test_week10_holds_validation_images_back() -> None:
    split = names_with("week10_vit_vs_cnn", "validation_split")["validation_split"]
    learn, valid = split([f"augmented {k}" for k in range(10)], [f"plain {k}" for k in range(10)], 3)
    assert len(learn) == 7
    assert all(text.startswith("augmented") for text in learn)
    assert all(text.startswith("plain") for text in valid)
    assert sorted(int(text.split()[1]) for text in [*learn, *valid]) == list(range(10))


# week 11


def test_week11_studies_real_images_from_the_folder_to_the_report(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """EuroSAT's folders, two small models without weights: everything that the notebook does with the real ones."""
    wanted = ("domain_study", "reproduce_domain", "UNITS", "DOMAIN_PACKAGE", "DOMAIN_LAST")
    names = names_with("week11_attention_archaeology", *wanted)
    lesson = (ROOT / "solutions" / "week11_attention_archaeology" / "attention_archaeology.py").read_text(
        encoding="utf-8"
    )
    monkeypatch.setitem(
        linecache.cache, "<week 11>", (len(lesson), None, lesson.splitlines(keepends=True), "<week 11>")
    )
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))
    classes = ("Forest", "Highway", "River")
    save_images(tmp_path / "eurosat" / "2750", classes, 10, 64)
    train, test = names["datasets"].domain_images("eurosat", None, 160)
    assert train.classes == classes
    assert train.x.shape == (24, 3, 160, 160)
    assert train.x.dtype == torch.uint8
    assert test.y.bincount().tolist() == [2, 2, 2], "a fifth of each class"
    both = ("test_vit.r160_in1k", "test_resnet.r160_in1k")

    def study() -> Path:
        return Path(names["domain_study"](train, test, both, 2, 3, tmp_path, batch=4, judged=4, pretrained=False))

    path = study()
    report, project = path.read_text(encoding="utf-8"), tmp_path / "archaeology_eurosat"
    assert path == project / "report" / "report.md"
    made = names["load_study"](project / "checkpoint")
    layers, heads = len(made.vit.blocks), made.vit.blocks[0].attn.num_heads
    assert f"of {layers * heads} heads" in report
    atlas = {f"atlas_of_layer_{layer}.png" for layer in range(layers)}
    assert {file.name for file in path.parent.glob("*.png")} == {"heads.png", "progression_from_0.png"} | atlas
    assert "vit: one step of FGSM" in report
    assert "cnn: one step of FGSM" in report
    assert "| gray |" in report
    assert "| vit | test_vit.r160_in1k | 160 |" in report
    said = capsys.readouterr().out
    assert "typed by hand: []" in said
    assert "attention under attack" in said

    code = (project / "domain.py").read_text(encoding="utf-8")
    assert "def fine_tune(" in code
    assert "reproduce_domain(Path(__file__)" in code

    names["fine_tune"] = names["measured"] = None  # a second run trains nothing and measures nothing
    study()
    assert path.read_text(encoding="utf-8") == report
    assert capsys.readouterr().out.count("delete it to measure again") == 3

    assert made.names == both
    assert made.images.shape[-1] == 160
    assert "python -m archaeology_eurosat.domain" in (project / "README.md").read_text(encoding="utf-8")
    (run,) = (project / "runs").iterdir()
    assert '"vit": "test_vit.r160_in1k"' in (run / "config.json").read_text(encoding="utf-8")
    events = EventAccumulator(str(project / "tracked" / run.name))
    events.Reload()
    assert [event.step for event in events.Scalars("vit_loss")] == [0], "every 50 steps"


def test_week11_says_what_to_fetch_where_nothing_can_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    import torchvision.datasets as sets

    names = names_with("week11_attention_archaeology")
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path))

    def offline(*args: Any, **named: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(sets, "EuroSAT", offline)
    with pytest.raises(FileNotFoundError, match=rf"EuroSAT is not in {tmp_path}.*no network.*WORKBOOK_DATA"):
        names["datasets"].domain_images("eurosat", None, 224)
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ImportError, match="pip install medmnist"):
        names["datasets"].domain_images("bloodmnist", None, 224)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(FileNotFoundError, match="hf download timm/vit_base_patch16_224"):
        names["build"]("vit_base_patch16_224.augreg2_in21k_ft_in1k", 2, 224, weights=True)


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
        "show_long_training",
        "kept",
        "SHOWN",
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

    shown: list[Any] = []
    names["display"] = shown.append
    how = {"scenes": 6, "tests": 4, "steps": 2, "batch": 3, "size": 32, "width": 16}
    for make in (lambda: names["long_training"](**how), None):
        found = names["kept"].results("kept/week12/long_training.json", how, make)
        assert 0 <= found["map"] <= 1
        assert [len(found["curves"][name]) for name in ("loss_ce", "loss_bbox", "loss_giou")] == [2, 2, 2]
        assert found["weights"]["queries"].shape == (16, 2)
        names["show_long_training"](found, 1)
    assert len(shown) == 2, "the second run draws what the first one kept"

    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: SayingOneBox())
    assert next(names["load_detr"]().parameters()).device == gpu


def test_week12_says_what_to_fetch_where_nothing_can_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load", refuse)
    with pytest.raises(FileNotFoundError, match="TORCH_HOME"):
        names_with("week12_detection_transformer", "load_detr")["load_detr"]()


def test_week14_trains_clicks_and_carries_masks_on_the_gpu(
    gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = names_with("week14_promptable_segmentation", "long_training", "video_study", "kept")
    how = {"scenes": 6, "tests": 3, "steps": 2, "batch": 3, "size": 32, "width": 16, "rounds": 2}
    for make in (lambda: names["long_training"](**how), None):
        found = names["kept"].results("kept/week14/long_training.json", how, make)
        assert len(found["losses"]) == 2
        assert len(found["iou"]) == 6
        assert 0 <= found["within 3"] <= 1
        assert found["weights"]["decoder.mask_tokens"].shape == (4, 16)
    model = names["SmallSAM"](16).to(gpu)
    masks, scores = names["answer_clicks"](model, torch.rand(3, 32, 32, device=gpu), [((9.5, 8.5), 1), ((2.5, 3.5), 0)])
    assert (masks.shape, scores.shape) == ((1, 32, 32), (1,))
    videos = names["datasets"].mask_videos(1, frames=3)
    found = names["video_study"](model, videos, {"still": None, "memory": {"n_recent": 1}})
    assert [len(ones) for ones in found.values()] == [2, 2]
