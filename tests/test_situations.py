"""Every situation of the table ends as it must; whatever lies in a source, its entries are all accounted for."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from autograder.entries import Fate
from autograder.layouts import PATTERNS, Layout, fits

from .situation_table import GRADESCOPE, SITUATIONS
from .situations import FRIDAY, MONDAY, STARTER, At, Content, Situation, bundle, faults, make, notebook, run, tar


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: f"{one.kind}: {one.name}")
def test_a_situation_ends_as_it_must(situation: Situation, tmp_path: Path) -> None:
    assert faults(situation, *run(situation, tmp_path)) == []


def test_the_table_is_large_and_no_situation_stands_twice() -> None:
    names = [(one.kind, one.name) for one in SITUATIONS]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: f"{one.layout}: {one.shows}")
def test_the_example_of_a_layout_is_read_by_it(pattern: object) -> None:
    (one,) = [one for one in PATTERNS if one is pattern]
    readings = {fit.pattern.layout: fit for fit in fits(one.shows, "attention")}
    found = readings[one.layout]
    assert found.pattern is one
    assert found.group("person")
    assert (found.moment is not None) == bool(one.times)


FOLDERS = (
    "ann",
    "bo",
    "week1",
    "submitted",
    "week01_attention",
    "week02_vision_transformer",
    "Zoë",
    "a.b",
    "deep",
    "v1",
)
FIRST = (
    "leeann_1_2_", "bo_LATE_3_4_", "Ann Lee_5_assignsubmission_file_", "W_ann_attempt_2026-03-02-12-05-01_", "",
    "Bo_6_assignsubmission_file/", "1-2 - Ann - Mar 2, 2026 1205 PM/", "submission_333/", "Lee_Ann_alee_7/",
    "hw-submissions/hw-ann/", "ann+week01_attention+2026-03-02 12:05:01 UTC/",
)  # fmt: skip
FILES = (
    "attention.ipynb", "Attention (2).ipynb", "Copy of attention.ipynb", "ann.ipynb", "x.py", "x.pdf", "attention",
    "attention.ipynb.txt", "attention.zip", "attention.tar.gz", ".DS_Store", "submission_metadata.yml", "timestamp.txt",
    "receipt.json", "index.html",
)  # fmt: skip
HELD: tuple[Content, ...] = (
    None, STARTER, b"", b"{", b"PK\3\4", b"\x1f\x8b", bundle(notebook("b"), "bo"), bundle(notebook("c")),
    tar(notebook("d")), GRADESCOPE, b"\xff\xfe\0",
)  # fmt: skip


def tree(seed: int) -> dict[str, Content | At]:
    """A random source; file names that stand in the way of a folder are left out."""
    dice = random.Random(seed)
    paths: dict[str, Content | At] = {}
    for _ in range(dice.randint(1, 14)):
        folders = "".join(f"{dice.choice(FOLDERS)}/" for _ in range(dice.randint(0, 3)))
        path = f"{folders if dice.random() < 0.6 else ''}{dice.choice(FIRST)}{dice.choice(FILES)}"
        paths[path] = At(dice.choice((MONDAY, FRIDAY)), dice.choice(HELD))
    return {path: one for path, one in paths.items() if not any(other.startswith(f"{path}/") for other in paths)}


@pytest.mark.parametrize("packed", ["", "class.zip", "class.tar.gz"])
@pytest.mark.parametrize("first", range(0, 30, 10))
def test_the_fates_of_random_sources_add_up(tmp_path: Path, packed: str, first: int) -> None:
    """As many fates as files, one each; one file counts for a learner at most; who is named is listed."""
    for seed in range(first, first + 10):
        files = tree(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        situation = Situation("random", str(seed), files, {}, {}, packed=packed)
        done, there = run(situation, folder)
        if isinstance(done, str):
            assert "holds no notebook" in done
            continue
        assert sorted(one.file for one in done.fates) == sorted(files), seed
        assert sum(done.counts.values()) == len(files)
        counting = Counter(who for one in done.fates if one.fate is Fate.WORK for who in one.learner.split(", "))
        assert set(counting.values()) <= {1}, seed
        assert set(counting) == set(there), seed
        named = {who for one in done.fates if one.learner for who in one.learner.split(", ")}
        assert named <= {one.learner for one in done.learners}, seed
        assert all(one.why for one in done.fates if one.fate in (Fate.BESIDE, Fate.UNREADABLE, Fate.REFUSED)), seed


def test_a_platform_s_mark_is_looked_for_where_the_platform_puts_it() -> None:
    """What a learner calls their own file or folder never names another person."""
    for one in PATTERNS:
        if one.layout in (Layout.CANVAS, Layout.GRADESCOPE):
            continue
        for other in PATTERNS:
            path = f"{one.shows.rpartition('/')[0]}/{other.shows}" if "/" in one.shows else f"{one.shows}_{other.shows}"
            own = next(fit for fit in fits(one.shows, "attention") if fit.pattern is one).group("person")
            readings = [fit for fit in fits(path, "attention", frozenset({one.layout})) if fit.pattern is one]
            assert {fit.group("person") for fit in readings} <= {own}, path


def test_the_source_is_left_as_it_was(tmp_path: Path) -> None:
    situation = next(one for one in SITUATIONS if one.kind == "broken")
    source = make(situation, situation.files, tmp_path)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    (tmp_path / "again").mkdir()
    run(situation, tmp_path / "again")
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
