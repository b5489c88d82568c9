"""Week 11 over many seeds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

from autograder.week.source import load_week

from ..chosen import ROOT, long_weeks
from .names import SEEDS, names_of

pytestmark = pytest.mark.skipif("week11_attention_archaeology" not in long_weeks(), reason="not among the chosen weeks")


def _config(names: dict[str, Any]) -> dict[str, Any]:
    """The settings of the lesson's own run."""
    cells = load_week(ROOT / "solutions" / "week11_attention_archaeology").cells
    tree = ast.parse(next(cell.source for cell in cells if "CONFIG = {" in cell.source))
    (value,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CONFIG"
    )
    return dict(eval(compile(ast.Expression(value), "CONFIG", "eval"), names))


def test_week11_both_models_reach_the_target_and_rollout_lies_on_the_evidence(tmp_path: Path) -> None:
    """The lesson's targets, from every seed: accuracy 0.85, and rollout above the area on 70 % of the tiles.

    With a margin of 25 percent of the way to perfection: 0.8875 and 77.5 %. The recipe was chosen on seeds from 100 on.
    """
    names = names_of("week11_attention_archaeology")
    train, test = (names["datasets"].field_tiles(n, seed) for n, seed in ((1500, 0), (400, 1)))
    config = _config(names | {"TRAIN": train, "TEST": test})
    having = test.evidence.any((1, 2))
    share = names["share_in_patches"](test.evidence, 8)
    said = "ViT {:.3f}, CNN {:.3f}, rollout above the area {:.1%}, beats that of another tile {:.1%}"
    found = []
    for seed in SEEDS:
        models, _ = names["train_pair"](config | {"seed": seed}, train, tmp_path)
        right = {name: names["logits_of"](model, test.x).argmax(1) == test.y for name, model in models.items()}
        maps = names["as_maps"](names["rolled_out"](names["attention_of"](models["vit"], test.x)), (4, 4))
        own, other = ((heat * share).sum((1, 2)) for heat in (maps, maps.roll(1, 0)))
        above = (own > share.mean((1, 2)))[having].double().mean().item()
        row = (
            right["vit"].double().mean().item(),
            right["cnn"].double().mean().item(),
            above,
            (own > other)[having].double().mean().item(),
        )
        found.append(row)
        print(f"seed {seed}: {said.format(*row)}")
    worst = [min(column) for column in zip(*found, strict=True)]
    print(f"worst of {len(SEEDS)} seeds: {said.format(*worst)}")
    assert worst[0] > 0.8875
    assert worst[1] > 0.8875
    assert worst[2] > 0.775


def test_week11_attacks_on_a_linear_model_are_those_of_the_closed_form() -> None:
    """Lead m, difference of weights w: the border is m / |w| away, and FGSM moves each pixel against the sign of w."""
    names = names_of("week11_attention_archaeology")
    draw = torch.Generator().manual_seed(0)
    x = 0.4 + 0.2 * torch.rand(6, 8, generator=draw)
    model = torch.nn.Linear(8, 2)
    with torch.no_grad():
        weight = 4 * torch.randn(2, 8, generator=draw)
        model.weight.copy_(
            weight - weight.mean(1, keepdim=True)
        )  # the border is near: no pixel meets 0 or 1 on the way
        model.bias.zero_()
        logits = model(x)
    y, across = logits.argmax(1), model.weight[0] - model.weight[1]
    border = (logits[:, 0] - logits[:, 1]).abs() / across.norm()
    found = names["carlini_wagner"](model, x, y, c=3.0, steps=400, rate=0.005)
    assert (found >= border - 1e-4).all(), "no error is nearer than the border"
    torch.testing.assert_close(found, border.detach(), rtol=0.1, atol=0.01)
    wrong_way = across.sign().detach() * (1 - 2 * y[:, None])
    torch.testing.assert_close(names["pgd"](model, x, y, 0.03, steps=1, stride=1.0), x - 0.03 * wrong_way)
    assert names["carlini_wagner"](model, x, 1 - y).amax() < 1e-5, "what is wrong already is not a distance away"
