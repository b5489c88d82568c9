"""What is pointed out to the instructor where calls are forbidden: it costs no points, and right answers have none."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.execution.results import Graded
from autograder.execution.suspicious import remarks, suspicious
from autograder.gradebook.grades_csv import write_csv
from autograder.gradebook.ledger import Entry
from autograder.week.cells import Cell, Exercise, Test
from autograder.week.locate import all_weeks
from autograder.week.source import load_week
from autograder.week.variants import load_variants

from ..chosen import ROOT


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import threading\nthreading.Thread(target=f).start()", ("threading",)),
        ("from concurrent.futures import ThreadPoolExecutor", ("concurrent",)),
        ("def f(x):\n    return torch.ops.aten.scaled_dot_product_attention(x, x, x)", ("torch.ops",)),
        ("import torch as t\ndef f(x):\n    return t.jit.trace(g, x)", ("torch.jit",)),
        ("from torch import fx\nfx.symbolic_trace(f)", ("torch.fx",)),
        ("import sys as s\ns.setprofile(None)", ("sys.setprofile",)),
        ("from sys import getprofile\ngetprofile()", ("sys.getprofile",)),
        ("import ctypes, gc", ("ctypes", "gc")),
        ("import inspect\ninspect.currentframe()", ("inspect",)),
        ("getattr(F, 'scaled' + '_dot')(x)", ("getattr of a computed name",)),
        ("import torch.nn.functional as F\nsetattr(F, name, f)", ("setattr of a computed name",)),
        ("observe.calls_among = lambda *a: []", ("shared.observe",)),
        ("import shared.checks.calls\nshared.checks.calls.calls_among = print", ("shared.checks.calls",)),
        ("exec('import os')", ("exec",)),
        ("x = 1\neval('x')\nimport subprocess\nexec('y')", ("eval", "subprocess", "exec")),
    ],
)
def test_what_is_pointed_out(code: str, found: tuple[str, ...]) -> None:
    assert suspicious(code) == found


@pytest.mark.parametrize(
    "code",
    [
        "from shared import checks, observe\nchecks.close(a, b)\nobserve.gradients(f, x)",
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn",
        "getattr(model, 'head', None)",
        "for name in ('query', 'key'):\n    getattr(self, f'{name}_projection')(x)",
        "model.compile = 3\nself.eval()\nmodel.eval()",
        "inspected = gcd = threading_like = 1",
        "%time f(x)",
        "def f(:",
    ],
)
def test_what_is_not(code: str) -> None:
    assert suspicious(code) == ()


@pytest.mark.parametrize("name", all_weeks(ROOT))
def test_no_right_answer_is_pointed_out(name: str) -> None:
    week = load_week(ROOT / "solutions" / name)
    answers = {cell.name: cell.source for cell in week.of_kind(Exercise)}
    assert remarks(week, answers, {}) == []
    for one in load_variants(week).alternatives:
        assert remarks(week, {one.exercise: one.source(week)}, {}) == [], one.name
    assert remarks(week, {name: source for name, source in stubs(name).items() if name in week.exercises}, {}) == []


def stubs(name: str) -> dict[str, str]:
    return {cell.id: cell.source for cell in build_week(load_week(ROOT / "solutions" / name)).learner.cells}


def test_only_exercises_that_forbid_something_are_looked_at_and_own_cells_beside_them() -> None:
    week = load_week(ROOT / "solutions" / all_weeks(ROOT)[0])
    watched = {cell.name for cell in week.of_kind(Test) if isinstance(cell.words, Test) and cell.words.forbids}
    other = next(name for name in week.exercises if name not in watched)
    hides = "import threading"
    (one,) = remarks(week, {"sdpa": hides, other: hides}, {})
    assert one == "cell 'sdpa' uses threading: worth a look, no points lost"
    assert len(remarks(week, {}, {"scratch": hides})) == 1
    weeks = [load_week(ROOT / "solutions" / name) for name in all_weeks(ROOT)]
    without = next(week for week in weeks if not any(forbids(cell) for cell in week.of_kind(Test)))
    assert remarks(without, {}, {"scratch": hides}) == []


def forbids(cell: Cell) -> bool:
    return isinstance(cell.words, Test) and bool(cell.words.forbids)


def test_remarks_reach_the_table_and_the_record_but_no_learner(tmp_path: Path) -> None:
    week = load_week(ROOT / "solutions" / all_weeks(ROOT)[0])
    graded = Graded("ann", notes=["a note"], remarks=["a remark"])
    write_csv(tmp_path / "grades.csv", week, [graded])
    (row,) = csv.DictReader((tmp_path / "grades.csv").open(encoding="utf-8-sig"))
    assert row["notes"] == "a note; a remark"
    kept = Entry.of(graded, "key", "work", "").graded("ann")
    assert (kept.notes, kept.remarks) == (["a note"], ["a remark"])
    older = Entry.model_validate(Entry.of(graded, "key", "work", "").model_dump(exclude={"remarks"}))
    assert older.graded("ann").remarks == [], "a record that was written before there were any"
