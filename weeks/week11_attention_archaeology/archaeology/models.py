"""The two models, their training, and the checkpoint."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from safetensors.torch import load_file
from safetensors.torch import save_file
from timm.models import VisionTransformer
from torch import nn
import json
import math
import torch
import torch.nn.functional as F


class Normalize(nn.Module):
    """(x - mean) / std for each channel: the first layer of a model that takes pixels in [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels - self.mean) / self.std


def small_vit(seed: int, width: int = 64, depth: int = 4, heads: int = 4, classes: int = 6) -> VisionTransformer:
    """A ViT for 32 x 32 pixels in [0, 1]: 4 x 4 patches of 8 and a class token; its weights depend on `seed`."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=32, patch_size=8, num_classes=classes, embed_dim=width, depth=depth, num_heads=heads, mlp_ratio=2.0,
        weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.1)
    model.patch_embed.proj = nn.Sequential(Normalize([0.5] * 3, [0.2] * 3), model.patch_embed.proj)
    return model.eval()


def small_cnn(seed: int, widths: Sequence[int] = (24, 48, 96, 112), classes: int = 6) -> nn.Sequential:
    """Four convolutions with batch norm for 32 x 32 pixels in [0, 1]; the last map is 4 x 4, like the ViT's patches."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after, kernel, stride in zip((3, *widths), widths, (4, 3, 3, 3), (2, 2, 2, 1)):
        layers += [nn.Conv2d(before, after, kernel, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    parts = OrderedDict(
        normalize=Normalize([0.5] * 3, [0.2] * 3), features=nn.Sequential(*layers), pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(), head=nn.Linear(widths[-1], classes),
    )  # fmt: skip
    return nn.Sequential(parts).to(memory_format=torch.channels_last).eval()  # convolutions are faster that way


def turned(images: torch.Tensor, way: int) -> torch.Tensor:
    """Images mirrored, upended or transposed: one of 8 ways in which a tile stays a tile of its class."""
    images = images.flip(-1) if way & 1 else images
    images = images.flip(-2) if way & 2 else images
    return images.transpose(-1, -2) if way & 4 else images


def fit(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, rate: float, seed: int, batch: int = 64,
    tell: Callable[[int, float], object] = lambda step, loss: None,
) -> nn.Module:  # fmt: skip
    """Train with AdamW, one cycle of the learning rate and turned tiles; the model, in eval mode.

    The batches depend on `seed` alone, so two models that are given the same seed see the same. `tell(step, loss)` is
    called every ten steps.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    draw = torch.Generator().manual_seed(seed)
    model.train()
    for step in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=draw)
        images = turned(x[chosen], int(torch.randint(8, (1,), generator=draw))).to(device)
        loss = F.cross_entropy(model(images), y[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            tell(step, loss.item())
    return model.eval()


def logits_of(model: nn.Module, images: torch.Tensor, batch: int = 200) -> torch.Tensor:
    """Logits (n, classes) of a model in eval mode, without gradients, on the CPU."""
    device = next(model.parameters()).device
    with torch.no_grad():
        return torch.cat([model(part.to(device)).cpu() for part in images.split(batch)])


def interval(hits: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `hits` in `n` (Wilson 1927)."""
    share, z = hits / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


@dataclass(frozen=True, eq=False)
class Study:
    """Two trained models and the images they are studied on.

    Attributes
    ----------
    vit, cnn : modules in eval mode that map pixels (B, 3, s, s) in [0, 1] to logits (B, classes).
    images : (n, 3, s, s) float in [0, 1]. labels : (n,) int64. classes : their names.
    cam_layer : name of the layer of `cnn` whose maps Grad-CAM reads.
    """

    vit: nn.Module
    cnn: nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    cam_layer: str = "features"


def save_study(study: Study, folder: Path, tiles: int = 24) -> None:
    """A checkpoint of a study of `small_vit` and `small_cnn`: weights, some tiles, names of the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in (("vit", study.vit), ("cnn", study.cnn)):
        save_file(
            {key: value.contiguous() for key, value in model.state_dict().items()}, folder / f"{name}.safetensors"
        )
    save_file(
        {"images": study.images[:tiles].contiguous(), "labels": study.labels[:tiles].contiguous()},
        folder / "tiles.safetensors",
    )
    (folder / "study.json").write_text(
        json.dumps({"classes": study.classes, "cam_layer": study.cam_layer}), encoding="utf-8"
    )


def load_study(folder: Path) -> Study:
    """What `save_study` wrote."""
    about, tiles = (
        json.loads((folder / "study.json").read_text(encoding="utf-8")),
        load_file(folder / "tiles.safetensors"),
    )
    models = small_vit(0, classes=len(about["classes"])), small_cnn(0, classes=len(about["classes"]))
    for name, model in zip(("vit", "cnn"), models):
        model.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return Study(*models, tiles["images"], tiles["labels"], tuple(about["classes"]), about["cam_layer"])
