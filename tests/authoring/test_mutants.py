"""`workbook verify --mutants`: holes are found, reasons hold only while they are true."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from autograder.authoring.causes import Doubt, changed
from autograder.authoring.mutants import FILE, Fate, try_mutants
from autograder.commands.tables import print_mutants
from autograder.core.errors import WorkbookError

HOLE = ("number + number", "number + number + int(number == 7)")
"""An addition to the tiny week's reference that its tests do not look at."""


def tiny(root: Path, old: str = "", new: str = "") -> Path:
    """The tiny week, after one edit of its lesson."""
    folder = root / "solutions" / "week01_tiny"
    lesson = folder / "tiny.py"
    text = lesson.read_text(encoding="utf-8")
    assert not old or text.count(old) == 1, old
    lesson.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return folder


def explain(folder: Path, change: str, exercise: str = "double") -> None:
    reason = "no number that is asked for is seven"
    text = f'[[equivalent]]\nexercise = "{exercise}"\nchange = "{change}"\nreason = "{reason}"\n'
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_sound_week_kills_them_all(tiny_root: Path) -> None:
    report = try_mutants(tiny(tiny_root), workers=2)
    fates = {(one.mutant.change.partition("  =>  ")[2], one.killed_by): one.fate for one in report.tried}
    assert set(fates.values()) == {Fate.KILLED}
    assert ("return number - number", "double-test-1") in fates
    assert report.misses == []
    assert report.all_mutants == len(report.tried) == sum(sum(count.values()) for count in report.counts().values())


def test_what_the_stub_gives_is_left_alone(tiny_root: Path) -> None:
    signature = 'def double(number: int) -> int:\n    """Twice the number (an int)."""\n'
    given = signature.replace("int)", "int = 7)") + "    offset = 3\n"
    folder = tiny(tiny_root, signature, given)
    report = try_mutants(folder, exercise="double", workers=1)
    assert {one.mutant.change.partition("  =>  ")[0] for one in report.tried} == {"return number + number"}


def test_a_hole_is_found_with_its_line(tiny_root: Path) -> None:
    folder = tiny(tiny_root, *HOLE)
    report = try_mutants(folder, exercise="double", workers=2)
    line = (folder / "tiny.py").read_text(encoding="utf-8").splitlines().index(f"    return {HOLE[1]}") + 1
    alive = {(one.mutant.operator, one.line) for one in report.alive}
    assert alive == {("constant", line), ("arithmetic", line), ("dropped call", line)}
    assert len(report.misses) == len(report.alive)
    found = json.loads(report.to_json())
    assert found["exercises"]["double"]["alive"] == len(report.alive)
    assert {row["killed_by"] for row in found["mutants"] if row["fate"] == "alive"} == {""}


def test_a_hole_may_be_explained_and_a_reason_must_hold(tiny_root: Path) -> None:
    folder = tiny(tiny_root, *HOLE)
    alive = try_mutants(folder, exercise="double", workers=2).alive
    for one in alive:
        explain(folder, one.mutant.change)
    report = try_mutants(folder, exercise="double", workers=2)
    assert report.misses == []
    assert report.counts()["double"][Fate.EQUIVALENT] == len(alive)
    explain(folder, f"return {HOLE[1]}  =>  return {HOLE[1].replace('+ number', '- number')}")
    explain(folder, "return 1  =>  return 2")
    problems = try_mutants(folder, exercise="double", workers=2).problems
    assert [problem.message.split(":")[0] for problem in problems] == [
        "not equivalent, double-test-1 rejects it",
        "no such mutant of 'double'",
    ]
    lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    assert [lines[problem.line - 1].partition(" ")[0] for problem in problems] == ["change", "change"]
    assert try_mutants(folder, exercise="quadruple", workers=2).problems == ()


def test_causes_told_of_mutants_are_weighed(tiny_root: Path) -> None:
    """A cause of the misconception that changes the same line is none to doubt; the others are listed."""
    folder = tiny(
        tiny_root,
        'causes={"this is the number itself": 2})',
        'causes={"this is the number itself": lambda: double(2) in (0, 2), "too much": lambda: double(2) > 4})',
    )
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    body = "    offset = 0\n    return number + number + offset\n"
    (folder / "tiny.py").write_text(text.replace("    return number + number\n", body), encoding="utf-8")
    report = try_mutants(folder, exercise="double", workers=2)
    told = {one.mutant.change: (one.cause, one.doubt) for one in report.tried if one.cause}
    assert told["return number + number + offset  =>  return number - number + offset"] == (
        "this is the number itself",
        Doubt.NONE,
    )
    assert told["offset = 0  =>  offset = 1"] == ("too much", Doubt.UNKNOWN)
    assert {one.mutant.change for one in report.doubtful} == {"offset = 0  =>  offset = 1"}
    rows = {row["change"]: row for row in json.loads(report.to_json())["mutants"]}
    assert rows["offset = 0  =>  offset = 1"]["doubt"] == Doubt.UNKNOWN
    console = Console(width=160, record=True, file=io.StringIO())
    print_mutants(report, console)
    shown = console.export_text()
    line = (folder / "tiny.py").read_text(encoding="utf-8").splitlines().index("    offset = 0") + 1
    assert (
        f"too much ({Doubt.UNKNOWN})\n      solutions/week01_tiny/tiny.py:{line}: double, told by double-test-1"
        in shown
    )
    assert report.misses == [f"alive: {one.mutant.change}" for one in report.alive], "a doubt is not a miss"


REFERENCE = """def area(box):
    width = box[2] - box[0]
    height = (
        box[3]
        - box[1]
    )
    return width * height
"""


@pytest.mark.parametrize(
    ("old", "new", "statements"),
    [
        ("box[2]", "box[1]", {2}),
        ("- box[1]", "+ box[1]", {3}),
        ("box[3]\n", "box[1]\n", {3}),
        ("    return", "    width += 1\n    return", {3, 7}),
        ("def area(box)", "def area(box, eps=0)", {1}),
        ("    width = box[2] - box[0]\n", "", {2}),
    ],
)
def test_a_change_is_placed_at_its_statements(old: str, new: str, statements: set[int]) -> None:
    assert REFERENCE.count(old) == 1
    assert changed(REFERENCE, REFERENCE.replace(old, new)) == statements


def test_a_mutant_that_never_ends_is_killed_by_time_and_says_so(
    tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograder.authoring.mutants.LEAST_SECONDS", 0.5)
    loop = "count = 0\n    while count < 2:\n        count += 1\n    return number * count"
    folder = tiny(tiny_root, "return number + number", loop)
    report = try_mutants(folder, exercise="double", workers=2)
    by_time = [one.mutant.change for one in report.tried if one.fate is Fate.TIMED_OUT]
    assert sorted(by_time) == ["count += 1  =>  count -= 1", "count += 1  =>  pass"]
    assert report.counts()["double"][Fate.TIMED_OUT] == 2
    assert not [one for one in report.alive if one.mutant.change in by_time]


def test_a_sample_is_drawn_by_its_seed_and_judges_no_reason_that_it_did_not_meet(tiny_root: Path) -> None:
    folder = tiny(tiny_root, *HOLE)
    killed = f"return {HOLE[1]}  =>  return {HOLE[1].replace('+ number', '- number', 1)}"
    explain(folder, killed)
    whole = try_mutants(folder, workers=2)
    assert len(whole.problems) == 1
    draws = [try_mutants(folder, sample=2, seed=seed, workers=2) for seed in (0, 0, 1, 2, 3, 4, 5)]
    assert [len(draw.tried) for draw in draws] == [2] * 7
    assert draws[0].tried == draws[1].tried
    assert len({draw.tried for draw in draws}) > 1
    for draw in draws:
        met = any(one.mutant.change == killed for one in draw.tried)
        assert bool(draw.problems) is met
    assert {bool(draw.problems) for draw in draws} == {True, False}
    assert draws[0].all_mutants == whole.all_mutants


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[equivalent]\n", "equivalents.toml:1: "),
        ('[[equivalent]]\nexercise = "double"\nchange = "x"\nreason = "too short"\n', "reason"),
        ('[[equivalents]]\nexercise = "double"\n', "equivalents"),
        ('[[equivalent]]\nexercise = "double"\nreason = "long enough to be a reason"\n', "change"),
    ],
)
def test_a_file_that_does_not_hold_is_an_error(tiny_root: Path, text: str, said: str) -> None:
    folder = tiny(tiny_root)
    (folder / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(WorkbookError, match=said):
        try_mutants(folder, workers=1)


def test_a_reference_that_its_tests_reject_is_an_error(tiny_root: Path) -> None:
    folder = tiny(tiny_root, "return number + number", "return number + 3")
    with pytest.raises(WorkbookError, match="rejects the reference"):
        try_mutants(folder, workers=1)


def test_an_unknown_exercise_is_an_error(tiny_root: Path) -> None:
    with pytest.raises(WorkbookError, match="no exercise 'triple'"):
        try_mutants(tiny(tiny_root), exercise="triple", workers=1)
