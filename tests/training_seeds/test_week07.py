"""Week 07 over five seeds."""

from __future__ import annotations

import pytest

from autograder.week.source import load_week

from ..chosen import ROOT, long_weeks
from .names import names_of

WEEK = "week07_contrastive"
pytestmark = pytest.mark.skipif(WEEK not in long_weeks(), reason="not among the chosen weeks")


def test_week07_reaches_its_targets_and_says_of_prompts_what_five_seeds_say() -> None:
    """Its targets are 0.55 on seen and 0.20 on held-out combinations; what it says of prompts holds for seen ones."""
    cells = load_week(ROOT / "solutions" / WEEK).cells
    names = names_of(WEEK, *(c.id for c in cells if "def train(" in c.source or "def accuracy(" in c.source))
    datasets = names["datasets"]
    seen = datasets.shapes(3000, seed=1, exclude=names["HELD_OUT"])
    sets = {
        "seen": datasets.shapes(600, seed=2, exclude=names["HELD_OUT"]),
        "held out": datasets.shapes(600, seed=3, include=names["HELD_OUT"]),
    }
    whole = tuple(f"a {size} {{}} in the {place}" for size in datasets.SCALES for place in datasets.QUADRANTS)
    groups = {template: (template,) for template in ("a {}", "a photo of a {}", *whole)} | {"8 whole": whole}
    found = {}
    for vary in (True, False):
        for seed in range(5):
            model, tokenizer, history = names["train"](seen, 120, 96, seed, vary=vary)
            scores = found[vary, seed] = names["by_templates"](model, tokenizer, sets, groups)
            loss = sum(history["loss"][-20:]) / 20
            print(f"{'four lengths' if vary else 'whole captions'}, seed {seed}, loss {loss:.3f}:", end="")
            print(
                *(f" {group} {scores[group][0]:.3f} {scores[group][1]:.3f}" for group in groups if group not in whole)
            )
    worst = [min(found[True, seed]["8 whole"][side] for seed in range(5)) for side in (0, 1)]
    print(f"worst of 5 seeds: seen {worst[0]:.3f}, held out {worst[1]:.3f}")
    assert worst[0] >= 0.55
    assert worst[1] >= 0.20
    for seed in range(5):
        four, one = found[True, seed], found[False, seed]
        assert four["8 whole"][0] > four["8 whole"][1] + 0.05
        assert four["a {}"][0] > one["a {}"][0] + 0.05
        assert four["a {}"][0] > four["a photo of a {}"][0]
    gains: dict[bool, list[float]] = {True: [], False: []}
    for vary, seed in found:
        scores = found[vary, seed]
        gains[vary].append(scores["8 whole"][0] - sum(scores[template][0] for template in whole) / len(whole))
    for vary, of_seeds in gains.items():
        mean = sum(of_seeds) / len(of_seeds)
        print(f"ensemble minus the mean of its members, {vary=}: {mean:+.3f}", [round(gain, 3) for gain in of_seeds])
    assert min(gains[True]) > 0
    assert sum(gains[True]) / 5 > 0.03
    assert 0.01 <= sum(gains[False]) / 5 <= 0.02
