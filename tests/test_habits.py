"""What learners do to their notebooks is judged alike by every command, or the difference is named before hand-in."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator

import pytest

from autograder.repair.repair import Repaired
from autograder.week.cells import Given, Setup, Test

from .habits.judged import Judges, judges, notebook_of, part_of_the_week
from .habits.kinds import Habit
from .habits.table import HABITS

COMMANDS = ("check", "submit", "grade")


@pytest.fixture(scope="module")
def judge() -> Iterator[Judges]:
    with judges() as made:
        yield made


def test_there_is_a_habit_of_every_name_once() -> None:
    names = [habit.name for habit in HABITS]
    assert len(names) == len(set(names))
    assert len(names) >= 52


@pytest.mark.parametrize("habit", HABITS, ids=[habit.name for habit in HABITS])
def test_a_habit_is_judged_alike_and_fairly(judge: Judges, habit: Habit) -> None:
    compared = COMMANDS if habit.kernel else (*COMMANDS, "kernel")
    ways = judge.judged(habit, {*compared, *(("plain",) if habit.placed else ())})
    assert ways.passed["grade"] == set(habit.passes.split())
    assert ways.differs(compared) <= ways.named, ways.passed
    assert {one.kind for one in ways.seen.differences} == set(habit.named)
    if habit.placed:
        plain = ways.passed["plain"]
        assert plain is not None
        assert plain <= set(habit.passes.split()), "no less than where all cells run as they stand"
    assert_nothing_is_lost(judge, habit, ways.fixed)
    with zipfile.ZipFile(judge.bundle(ways.seen)) as bundle:
        assert bundle.read("attention.ipynb") == ways.seen.content


def assert_nothing_is_lost(judge: Judges, habit: Habit, fixed: Repaired) -> None:
    """Each line that the learner wrote stands in what is graded; cells that are locked come from the course."""
    released = {cell.id: cell.source for cell in judge.built.learner.cells}
    locked = {cell.id for cell in judge.built.week.cells if isinstance(cell.words, Setup | Given | Test)}
    graded = {line for cell in fixed.notebook.cells for line in words(cell.source)}
    known = {line for source in released.values() for line in words(source)}
    for cell in notebook_of(judge.built, habit)["cells"]:
        if cell["cell_type"] != "markdown" and cell.get("id") not in locked:
            lost = set(words("".join(cell["source"]))) - graded - known
            assert not lost, cell["source"]


def words(text: str) -> list[str]:
    """Lines without the blanks around and within them."""
    return [re.sub(r"\s+", "", line) for line in text.splitlines()]


@pytest.mark.nbgrader
@pytest.mark.skipif(os.environ.get("WORKBOOK_WEEKS") != "all", reason="starts a kernel for each habit: make test-all")
def test_no_placed_answer_earns_less_than_nbgrader_itself_gives() -> None:
    """`passes` is what grading gives, by the test above."""
    from .habits.plain import by_nbgrader

    built = part_of_the_week()
    chosen = [habit for habit in HABITS if habit.placed]
    found = by_nbgrader(built, {habit.name: notebook_of(built, habit) for habit in chosen})
    less = {habit.name: (passed - set(habit.passes.split())) for habit in chosen if (passed := found[habit.name])}
    assert not any(less.values()), less
    assert len(less) > len(chosen) / 2, "most of them are graded at all"
