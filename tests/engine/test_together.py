"""One process with all cells judges as two processes do: names, settings and random numbers of the two sides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autograder.engine.cell_kinds import ANSWER, OWN, TEST, TRUSTED
from autograder.execution.job import Code, Job, Mode
from autograder.execution.pool import Team
from autograder.week.source import Limits

SETUP = """
import math, os, pickle, random, sys, warnings
from dataclasses import dataclass

random.seed(3)
FIRST = random.random()
factor = 2

@dataclass
class Pair:
    left: int
    right: int

def scaled(answer: "Answer", number):
    return factor * answer(number)
"""
ANSWERED = "def double(number):\n    return factor * number"


@pytest.fixture(scope="module", params=[Mode.NOTEBOOK, Mode.UNSAFE])
def team(request: pytest.FixtureRequest) -> Iterator[Team]:
    with Team(1, mode=request.param) as made:
        yield made


def verdict(team: Team, test: str, *own: str, after: str = "", answer: str = ANSWERED) -> str:
    """What a test says after own cells and an answer; the name of what was raised for a failure."""
    cells = [Code("setup", SETUP, TRUSTED)]
    cells += [Code(f"own-{number}", source, OWN) for number, source in enumerate(own)]
    cells += [Code("double", answer, ANSWER, "double"), Code("first", test, TEST, "double")]
    cells += [Code("own-after", after, OWN), Code("second", test, TEST, "double")]
    job = Job("job", tuple(cells), Limits(cell_seconds=20, total_seconds=60, memory_gib=2), ("double",))
    run = team.submit(job).result()
    assert run.cells["first"].verdict == run.cells["second"].verdict, run.cells
    return f"{run.cells['first'].verdict} {run.cells['first'].message}".strip()


def test_a_test_has_the_courses_names_and_an_answer_its_own(team: Team) -> None:
    assert verdict(team, "assert factor == 2 and double(3) == 30", "factor = 10") == "PASS"


def test_a_function_of_the_course_has_the_courses_names_and_may_call_an_answer(team: Team) -> None:
    assert verdict(team, "assert scaled(double, 3) == 2 * 30", "factor = 10") == "PASS"


def test_built_in_names_of_a_learners_are_no_tests(team: Team) -> None:
    own = "sum = list = sorted = None\nfrom math import *\npow = None"
    assert verdict(team, "assert sum(sorted(list((2, 1)))) == 3 and pow(double(1), 2) == 4", own) == "PASS"


def test_a_name_that_only_a_learner_makes_is_none_of_a_tests(team: Team) -> None:
    assert verdict(team, "mine", "mine = 1").startswith("ERROR NameError")


def test_an_answers_name_that_an_own_cell_takes_is_taken(team: Team) -> None:
    assert verdict(team, "assert double(2) == 5", after="pass", answer="def double(n):\n    return 5") == "PASS"
    assert verdict(team, "double(1)", answer=f"{ANSWERED}\ndel double").startswith("ERROR NameError")


def test_what_a_test_defines_pickles(team: Team) -> None:
    test = "copy = pickle.loads(pickle.dumps(Pair(1, 2)))\nassert copy == Pair(1, 2) and type(copy) is Pair"
    assert verdict(team, test, "Pair = 3") == "PASS"


def test_random_numbers_are_those_that_the_set_up_left(team: Team) -> None:
    import random

    random.seed(3)
    drawn = [random.random() for _ in range(2)]
    answer = "import random\ndef double(number):\n    return random.random()"
    assert verdict(team, f"assert FIRST == {drawn[0]}", "random.seed(9)") == "PASS"
    assert (
        verdict(team, f"assert double(0) == {drawn[1]}", "random.seed(9)", "random.random()", answer=answer) == "PASS"
    )


@pytest.mark.parametrize(
    ("own", "test"),
    [
        ("sys.setrecursionlimit(400)", "assert sys.getrecursionlimit() > 400"),
        ("os.environ['PROFILE'] = 'gpu'", "assert 'PROFILE' not in os.environ"),
        ("os.chdir('/')", "assert os.getcwd() != '/'"),
        ("warnings.simplefilter('error')", "warnings.warn('a library')"),
    ],
)
def test_settings_are_the_courses_in_tests(team: Team, own: str, test: str) -> None:
    assert verdict(team, f"import sys, os, warnings\n{test}", own) == "PASS"


def test_a_learners_cell_finds_its_own_settings_after_a_test(team: Team) -> None:
    """The answer says whether the cell below the first test found what an own cell had set."""
    cells = (
        Code("setup", SETUP, TRUSTED),
        Code("own", "sys.setrecursionlimit(700)\nrandom.seed(4)", OWN),
        Code("double", "found = [700]\ndef double(number):\n    return found[-1]", ANSWER, "double"),
        Code("first", "assert double(0) == 700\nsys.setrecursionlimit(900)", TEST, "double"),
        Code("below", "found.append((sys.getrecursionlimit(), random.random()))", OWN),
        Code("second", "random.seed(4)\nassert tuple(double(0)) == (700, random.random())", TEST, "double"),
    )
    run = team.submit(Job("job", cells, Limits(cell_seconds=20, total_seconds=60, memory_gib=2), ("double",))).result()
    assert [run.cells[name].verdict.value for name in ("first", "second")] == ["PASS", "PASS"], run.cells["second"]
