"""Week 06 over many seeds: no graded cell trains, but the lesson says how each run ends."""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

import pytest

from autograder.week.source import load_week

from ..chosen import ROOT, long_weeks
from .names import names_of

SEEDS = range(40, 60)
"""Seeds that nobody looked at while the recipes were chosen."""
WEEK = "week06_self_distillation"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def names_of_the_runs() -> dict[str, Any]:
    """The names of the answers, and of the cell that defines networks and training."""
    names = names_of(WEEK)
    cell = next(cell for cell in load_week(ROOT / "solutions" / WEEK).cells if "class Network" in cell.source)
    exec(compile(cell.source, cell.id, "exec"), names)
    return names


def test_week06_runs_end_as_the_lesson_says_from_every_seed() -> None:
    """Every run without a part gets its diagnosis; most full ones, the lesson says 17 of these 20, are healthy."""
    names = names_of_the_runs()
    digits = names["digits"]
    bare = names["Recipe"](steps=45, batch_norm=False, momentum=0.7, center_momentum=0.3)

    def information(seed: int, **options: Any) -> float:
        recipe = names["replace"](bare, **options)
        end = names["last_mean"](names["self_distill"](digits.x_train, recipe, seed).history)
        words[names["diagnose"](end, recipe.outputs), str(options)] += 1
        return float(end["mutual_information"])

    words: Counter[tuple[str, str]] = Counter()
    full = [information(seed) for seed in SEEDS]
    without = [information(seed, centering=False) for seed in SEEDS]
    blunt = [information(seed, t_teacher=1.0) for seed in SEEDS[:5]]
    for name, found in (("full", full), ("no centering", without), ("no sharpening", blunt)):
        print(f"{name}, {len(found)} seeds: mutual information from {min(found):.3f} to {max(found):.3f} nats")
    print(f"full: at least 1.0 nat in {sum(value >= 1.0 for value in full)} of {len(full)} seeds")
    print(f"no centering: at most 0.3 nats in {sum(value <= 0.3 for value in without)} of {len(without)} seeds")
    print(dict(words))
    assert words["one_dimension", "{'centering': False}"] == len(without)
    assert words["uniform", "{'t_teacher': 1.0}"] == len(blunt)
    assert words["healthy", "{}"] >= 15


def test_week06_recipe_with_batch_norm_keeps_a_nat_from_every_seed() -> None:
    """The lesson says that this recipe ends well above 1.0 nat. Here with a margin of 25 percent."""
    names = names_of_the_runs()
    runs = [names["self_distill"](names["digits"].x_train, names["Recipe"](), seed) for seed in SEEDS[:10]]
    found = [names["last_mean"](run.history)["mutual_information"] for run in runs]
    print(f"with batch norm, {len(found)} seeds: mutual information from {min(found):.3f} to {max(found):.3f} nats")
    assert min(found) > 1.25


def test_week06_table_of_gains() -> None:
    """The table of Part 5: gains of kNN-20 over the random network of the same seed, and what the lesson says of it."""
    names = names_of_the_runs()
    cell = next(cell for cell in load_week(ROOT / "solutions" / WEEK).cells if "def judged" in cell.source)
    tree = ast.parse(cell.source)
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    exec(compile(tree, cell.id, "exec"), names)
    recipe = names["Recipe"]
    arms = {
        "mild": recipe(),
        "iBOT": recipe(ibot=True),
        "strong": recipe(scale_global=(0.5, 1.0), noise=0.3),
    }
    gains: dict[str, list[float]] = {}
    for name, arm in arms.items():
        for seed in SEEDS[:5]:
            run = names["self_distill"](names["digits"].x_train, arm, seed)
            before, after = (names["judged"](network, seed)[0] for network in (run.start, run.teacher))
            gains.setdefault(name, []).append(100 * (after - before))
        print(f"{name}: {sum(gains[name]) / 5:+.1f}  " + "  ".join(f"{gain:+.1f}" for gain in gains[name]))
    mean = {name: sum(found) / 5 for name, found in gains.items()}
    assert mean["mild"] > 0.5
    assert mean["strong"] < -1.5
    assert mean["iBOT"] < mean["mild"] + 0.5
