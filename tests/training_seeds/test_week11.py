"""Week 11 over many seeds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from autograder.source import load_week

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
