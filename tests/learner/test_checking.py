"""Which cells a check runs, what it says, and when it believes an earlier one."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from autograder.learner.backend import open_bench
from autograder.learner.check import UNWRITTEN, Result, check, known, remember, whole_run, with_blame
from autograder.learner.released import open_released
from autograder.learner.state import Kept
from autograder.learner.tasks import Lesson, lesson_of
from autograder.week.locate import all_weeks
from autograder.week.notebooks import Notebooks

from .conftest import RIGHT, SAME, WEEK

ROOT = Path(__file__).parents[2]


def lesson(released: Notebooks, *own: str, **answers: str) -> Lesson:
    """The week with answers, and own cells before the first exercise."""
    notebook = nbformat.from_dict(json.loads(released.learner_text))
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    place = [cell.id for cell in notebook.cells].index("double")
    notebook.cells[place:place] = [new_code_cell(source) for source in own]
    return lesson_of(released, notebook)


def ids(lesson: Lesson, exercise: str) -> list[str]:
    return [cell.id for cell in lesson.tasks[exercise].job.cells]


def results(lesson: Lesson, kept: Kept, *names: str) -> dict[str, Result]:
    bench = open_bench(())
    found = {}
    for result in check(lesson, bench, names or tuple(lesson.tasks)):
        found[result.exercise] = result
        remember(kept, result)
    bench.close()
    return with_blame(lesson, found)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept.of(tmp_path, WEEK)


def test_an_exercise_runs_what_it_builds_on_and_its_own_tests(released: Notebooks) -> None:
    now = lesson(released, **RIGHT)
    assert ids(now, "double") == ["setup", "double", "double-test-1", "double-test-2"]
    assert ids(now, "quadruple") == ["setup", "double", "quadruple", "quadruple-test-1", "quadruple-test-2"]
    assert now.tasks["quadruple"].builds_on == ("double",)


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ("two = 2", "def double(n):\n    return n * two"),
        ("def twice(n):\n    return 2 * n", "def double(n):\n    return twice(n)"),
        ("import math", "def double(n):\n    return math.prod((2, n))"),
        ("%time 1 + 1", RIGHT["double"]),
        ("import math\nmath.e = 3", "import math\ndef double(n):\n    return n * 2 + 0 * math.e"),
        ("seen = []\nseen.append(1)", "def double(n):\n    return n + n * len(seen)"),
        ("from functools import *", RIGHT["double"]),
        ("for two in (1, 2): pass", "def double(n):\n    return n * two"),
    ],
    ids=["value", "function", "import", "magic", "patched", "filled", "star", "loop"],
)
def test_own_cells_that_an_answer_may_need_run(released: Notebooks, kept: Kept, own: str, code: str) -> None:
    now = lesson(released, own, double=code)
    needed = "own-1" in ids(now, "double")
    assert needed or own.startswith("from functools"), "a star that brings nothing that is read may be left out"
    assert results(now, kept, "double")["double"].passed


def test_a_scratch_cell_does_not_run(released: Notebooks, kept: Kept) -> None:
    plain = lesson(released, **RIGHT)
    now = lesson(released, "raise SystemExit", "print(len('abc'))", "x = 1", **RIGHT)
    assert ids(now, "double") == ["setup", "double", "double-test-1", "double-test-2"]
    assert now.tasks["double"].fingerprint == plain.tasks["double"].fingerprint
    assert "own-1" in [cell.id for cell in now.whole.cells], "the grader runs it"


def test_an_answer_that_builds_on_another_unasked_runs_it(released: Notebooks, kept: Kept) -> None:
    now = lesson(released, "half = lambda n: double(n) / 4", quadruple="def quadruple(n):\n    return int(half(8 * n))")
    assert ids(now, "quadruple")[:3] == ["setup", "own-1", "double"]
    assert results(now, kept)["quadruple"].blamed == ("double",)


def test_a_mark_changes_with_what_decides_and_with_nothing_else(released: Notebooks) -> None:
    def marks(*own: str, **answers: str) -> list[str]:
        return [task.fingerprint for task in lesson(released, *own, **answers).tasks.values()]

    start = marks(**RIGHT)
    assert marks(**RIGHT) == start
    assert marks("scratch = 1", **RIGHT) == start
    double, quadruple = marks(**RIGHT | {"double": SAME})
    assert (double != start[0], quadruple != start[1]) == (True, True)
    double, quadruple = marks(**RIGHT | {"quadruple": "def quadruple(n):\n    return n"})
    assert (double == start[0], quadruple != start[1]) == (True, True)


def test_the_profile_decides(released: Notebooks, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lesson(released).tasks["double"].fingerprint
    monkeypatch.setenv("PROFILE", "gpu")
    assert lesson(released).tasks["double"].fingerprint != before


def test_kept_results_are_believed_as_long_as_they_are_true(released: Notebooks, kept: Kept) -> None:
    right = lesson(released, **RIGHT)
    assert known(right, kept) == {}
    first = results(right, kept)
    kept.save()
    again = known(right, Kept.of(kept.path.parents[2], WEEK))
    assert {name: result.points for name, result in again.items()} == {"double": 40, "quadruple": 40}
    assert first["double"].fresh
    assert not again["double"].fresh
    changed = lesson(released, **RIGHT | {"double": SAME})
    assert known(changed, kept) == {}, "both depend on it"
    assert set(known(lesson(released, double=RIGHT["double"]), kept)) == {"double", "quadruple"}
    assert known(lesson(released, double=RIGHT["double"]), kept)["quadruple"].state == UNWRITTEN


@pytest.mark.parametrize("code", ["import os; os._exit(1)", "raise OSError('no data here')", "while True: pass"])
def test_what_may_end_otherwise_next_time_is_not_kept(released: Notebooks, kept: Kept, code: str) -> None:
    found = results(lesson(released, double=f"def double(n):\n    return 2\n{code}"), kept, "double")["double"]
    assert found.state in ("CRASH", "ERROR", "TIMEOUT")
    assert kept.results == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "results": {"double": 3}, "hints": {}}']
)
def test_damaged_memory_is_no_memory(released: Notebooks, kept: Kept, text: str) -> None:
    kept.path.parent.mkdir(parents=True)
    kept.path.write_text(text, encoding="utf-8")
    again = Kept.of(kept.path.parents[2], WEEK)
    assert (again.results, again.hints) == ({}, {})


def test_a_result_of_another_shape_is_not_believed(released: Notebooks, kept: Kept) -> None:
    kept.results["double"] = {"exercise": "double", "fingerprint": "x"}
    assert known(lesson(released, **RIGHT), kept) == {}


def test_only_visible_tests_are_known_and_run(released: Notebooks, kept: Kept) -> None:
    small = "def double(number):\n    return number + number if number < 100 else 0"
    found = results(lesson(released, double=small), kept, "double")["double"]
    assert found.passed
    assert [test.hidden for test in found.tests] == [False, True]
    assert "10**9" not in json.dumps([cell.source for cell in lesson(released).whole.cells])


def test_the_whole_notebook_runs_in_one_process_with_everything_in_it(released: Notebooks) -> None:
    bench = open_bench(())
    found, _ = whole_run(
        lesson(released, "double = None", **RIGHT | {"quadruple": "def quadruple(n):\n    return n"}), bench
    )
    assert found["double"].passed, "the answer comes after the own cell"
    assert found["quadruple"].state == "FAIL"
    bench.close()


@pytest.mark.parametrize("name", all_weeks(ROOT))
def test_each_exercise_of_a_real_week_gets_what_its_tests_read(name: str) -> None:
    """Every name that a test or an answer takes from other cells is made by a cell of its job."""
    from autograder.week.names import defined, loaded
    from autograder.week.source import load_week

    released = open_released(ROOT, name)
    source = load_week(ROOT / "solutions" / name)
    notebook = nbformat.from_dict(json.loads(released.learner_text))
    solutions = {cell.id: cell.source for cell in source.cells}
    for cell in notebook.cells:
        if cell.id in released.week.exercises:
            cell.source = solutions[cell.id]
    now = lesson_of(released, notebook)
    names = set(released.answer_names) | {n for cell in now.whole.cells for n in defined(cell.source)}
    for task in now.tasks.values():
        made: set[str] = set()
        for code in task.job.cells:
            made |= defined(code.source)
        for code in task.job.cells:
            if code.kind != "trusted":
                assert loaded(code.source) & names <= made, f"{task.exercise}: {code.id}"
