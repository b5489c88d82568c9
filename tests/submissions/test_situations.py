"""Every situation of the table ends as it must; whatever lies in a source, its entries are all accounted for."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from autograder.course.folder import Course
from autograder.submissions import layouts
from autograder.submissions.collect import collect
from autograder.submissions.entries import Fate
from autograder.submissions.layouts import PATTERNS, Layout, Pattern, fits
from autograder.submissions.wrapping import Question, Reading

from ..situation_table import GRADESCOPE, SITUATIONS
from ..situations import FRIDAY, MONDAY, STARTER, WEEK, At, Content, Situation, bundle, faults, make, notebook, run, tar


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


def test_the_documentation_shows_every_layout_and_a_new_one_is_read_by_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    for one in PATTERNS:
        assert f"`{one.shows}`" in page, one.shows
    code = re.search(r"```python\n(Pattern\(.*?)\n```", page, re.DOTALL)
    assert code
    names = {"Pattern": Pattern, "Layout": Layout}
    example = eval(code[1].replace("Layout.EXAMPLE", "Layout.ILIAS"), names)
    monkeypatch.setattr(layouts, "PATTERNS", (example,))
    situation = Situation("layout", "new", {example.shows: None}, {"alee": example.shows}, {Fate.WORK: 1})
    assert faults(situation, *run(situation, tmp_path)) == []


def test_what_is_asked_is_answered_and_what_nobody_answers_is_refused(tmp_path: Path) -> None:
    for path in ("lab/ann/attention.ipynb", "lab/bo/attention.ipynb"):
        target = tmp_path / "source" / path
        target.parent.mkdir(parents=True)
        target.write_bytes(notebook(path))
    asked: list[str] = []

    def answer(question: Question) -> Reading | None:
        asked.append(question.text)
        return dict(question.choices)["--inside"]

    refused = collect(tmp_path / "source", Course(tmp_path, tmp_path / "one"), WEEK)
    assert [option for option, _ in refused.questions[0].choices] == ["--inside", "--persons"]
    assert refused.counts == {Fate.REFUSED: 2}
    done = collect(tmp_path / "source", Course(tmp_path, tmp_path / "two"), WEEK, ask=answer)
    assert len(asked) == 1
    assert [one.learner for one in done.learners] == ["ann", "bo"]
    assert done.questions == ()


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
