"""The scoreboard: what was found last, on the answers as they are now, and the next step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.learner import check
from autograder.learner.backend import open_bench
from autograder.learner.start import start_week
from autograder.learner.state import Kept
from autograder.learner.status import score
from autograder.learner.submit import hand_in, preflight
from autograder.learner.tasks import open_lesson

from .conftest import RIGHT, SAME, WEEK, answer, copy_of, read, write


def check_all(root: Path) -> None:
    lesson, kept, bench = open_lesson(root, "1"), Kept.of(root, WEEK), open_bench(())
    for result in check.check(lesson, bench, list(lesson.tasks)):
        check.remember(kept, result)
    kept.save()
    bench.close()


def test_from_nothing_to_handed_in(bundle: Path) -> None:
    begun = score(bundle, WEEK)
    assert (begun.started, begun.next_step) == (False, "workbook start 1")
    assert (begun.exercises, begun.possible, begun.questions, begun.minutes, begun.minutes_left) == (2, 80, 1, 30, 30)
    start_week(bundle, WEEK)
    assert score(bundle, WEEK).next_step == "workbook watch 1, and write double"
    answer(copy_of(bundle), double=SAME)
    found = score(bundle, WEEK)
    assert found.unchecked == ("double",)
    assert found.next_step == "workbook check 1: double changed since the last check"
    check_all(bundle)
    found = score(bundle, WEEK)
    assert (found.passed, found.points, found.minutes_left) == (0, 20, 30)
    assert found.next_step == "workbook check 1 double: its test does not pass yet"
    answer(copy_of(bundle), **RIGHT)
    check_all(bundle)
    found = score(bundle, WEEK)
    assert (found.passed, found.points, found.minutes_left) == (2, 80, 20)
    assert found.next_step == "answer the written questions: why"
    notebook = read(copy_of(bundle))
    notebook["cells"][-1]["source"] += "\n\nBecause."
    write(copy_of(bundle), notebook)
    found = score(bundle, WEEK)
    assert (found.answered, found.minutes_left, found.next_step) == (1, 0, "workbook submit 1")
    bench = open_bench(())
    seen = preflight(bundle, open_lesson(bundle, "1"), copy_of(bundle).read_bytes(), bench)
    bench.close()
    done = hand_in(bundle, seen, None)
    assert score(bundle, WEEK).next_step == ""
    later = done.path.stat().st_mtime + 10
    os.utime(copy_of(bundle), (later, later))
    assert score(bundle, WEEK).next_step == "workbook submit 1", "the notebook is newer than what was handed in"


def test_an_answer_that_changed_has_no_points_until_it_is_checked(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), **RIGHT)
    check_all(bundle)
    answer(copy_of(bundle), quadruple="def quadruple(n):\n    return n * 4")
    found = score(bundle, WEEK)
    assert (found.points, found.unchecked) == (40, ("quadruple",))


def test_an_update_comes_first(bundle: Path) -> None:
    start_week(bundle, WEEK)
    release = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = read(release)
    notebook["cells"][0]["source"] += "!"
    write(release, notebook)
    assert score(bundle, WEEK).next_step == "workbook start 1 --again: the course has an update"


def test_looking_changes_nothing(bundle: Path) -> None:
    start_week(bundle, WEEK)
    (bundle / "work" / WEEK / "outcome.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    score(bundle, WEEK)
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before


@pytest.mark.parametrize("text", ["", "{", "[1, 2]"])
def test_a_damaged_copy_is_its_own_next_step(bundle: Path, text: str) -> None:
    start_week(bundle, WEEK)
    copy_of(bundle).write_text(text, encoding="utf-8")
    found = score(bundle, WEEK)
    assert found.started
    assert found.next_step.startswith(f"work/{WEEK}/tiny.ipynb: the file ")
