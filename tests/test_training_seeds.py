"""Training checks over many seeds: what a graded cell demands of one run, twenty runs must reach with margin."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from autograder.source import Exercise, Given, Setup, load_week

from .chosen import ROOT, long_weeks

SEEDS = range(20)


def names_of(week_name: str, *cells: str) -> dict[str, Any]:
    """The names that the reference solutions of a week define, and the functions of some test or explore cells."""
    names: dict[str, Any] = {}
    for cell in load_week(ROOT / "solutions" / week_name).cells:
        if isinstance(cell.words, Setup | Given | Exercise):
            exec(compile(cell.source, cell.id, "exec"), names)
        elif cell.id in cells:
            tree = ast.parse(cell.source)
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
            exec(compile(tree, cell.id, "exec"), names)
    return names


@pytest.mark.skipif("week01_attention" not in long_weeks(), reason="week 01 is not among the chosen weeks")
def test_week01_reverser_reaches_its_thresholds_from_every_seed() -> None:
    """Graded: error < 0.01, mass > 0.9, error without positions >= 0.85. Here with a margin of 25 percent."""
    import torch

    names = names_of("week01_attention")
    x = torch.randn(256, 10, 64, generator=torch.Generator().manual_seed(1))
    worst = {"error": 0.0, "mass": 1.0, "blind": 9.0, "untrained": 9.0}
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = names["PositionedReverser"](10, 64, 4)
        with torch.no_grad():
            worst["untrained"] = min(worst["untrained"], (model(x)[0] - x.flip(1)).square().mean().item())
        names["train_reverser"](model, steps=400, seed=seed)
        with torch.no_grad():
            output, weights = model(x)
            error = (output - x.flip(1)).square().mean().item()
            mass = names["antidiagonal_mass"](weights).mean(0).min().item()
            model.positions.zero_()
            blind = (model(x)[0] - x.flip(1)).square().mean().item()
        worst["error"], worst["mass"] = max(worst["error"], error), min(worst["mass"], mass)
        worst["blind"] = min(worst["blind"], blind)
    print("worst of", len(SEEDS), "seeds:", {name: round(value, 4) for name, value in worst.items()})
    assert worst["error"] < 0.01 * 0.75
    assert worst["mass"] > 0.9 + 0.25 * 0.1
    assert worst["blind"] > 0.85 + 0.25 * 0.15
    assert worst["untrained"] > 0.8 + 0.25 * 0.2


@pytest.mark.skipif("week03_training" not in long_weeks(), reason="week 03 is not among the chosen weeks")
def test_week03_student_gains_from_its_teacher_from_every_seed() -> None:
    """Graded: the distilled student gains at least 0.08 over thirty labels. Here with a margin of 25 percent."""
    names = names_of("week03_training", "distill-test-3")
    learn, taught = names["learn"], names["taught"]
    data = names["datasets"].digits()

    def right(logits: Any) -> float:
        return float((logits.argmax(-1) == data.y_test).float().mean())

    gains = {}
    for seed in SEEDS:
        thirty, labels, teacher = taught(data, seed)
        plain = right(learn(names["by_labels"], thirty, labels, data.x_test, seed))
        told = teacher(data.x_train)
        gains[seed] = right(learn(names["distillation_loss"], data.x_train, told, data.x_test, seed)) - plain
        print(f"seed {seed}: teacher {right(teacher(data.x_test)):.3f}, thirty labels {plain:.3f}, {gains[seed]:+.3f}")
    print(f"worst of {len(SEEDS)} seeds: {min(gains.values()):+.3f}")
    assert min(gains.values()) > 0.08 * 1.25


@pytest.mark.skipif("week03_training" not in long_weeks(), reason="week 03 is not among the chosen weeks")
def test_week03_warmup_matters_more_than_clipping() -> None:
    """What the lesson says about three seeds of its hot start, in percent of the test images."""
    import math

    cell = next(c.id for c in load_week(ROOT / "solutions" / "week03_training").cells if "def fit(" in c.source)
    names = names_of("week03_training", cell)
    data = names["datasets"].digits()

    def right(warmup: int, limit: float, seed: int) -> int:
        model = names["tiny_vit"](seed)
        batches = names["labeled_batches"](data.x_train, data.y_train)
        names["fit"](model, batches, names["cross_entropy"], 60, base_lr=1e-2, seed=seed, warmup=warmup, max_norm=limit)
        return round(100 * names["accuracy"](model, data.x_test, data.y_test))

    found = {
        (warmup, limit): sorted(right(warmup, limit, seed) for seed in range(3))
        for warmup in (0, 15)
        for limit in (1.0, math.inf)
    }
    print(found)
    cold = found[0, 1.0] + found[0, math.inf]
    assert min(found[15, 1.0]) > max(found[15, math.inf]) + 2
    assert min(found[15, 1.0]) > max(cold) + 2
    assert sum(found[15, math.inf]) / 3 > sum(cold) / 6 + 2
