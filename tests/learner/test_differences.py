"""Where the grader may judge otherwise than a check did, the preflight says why; where it would, checks do the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell

from autograder.engine.guest.state import captured
from autograder.learner import kernel_check
from autograder.learner.backend import Bench, open_bench
from autograder.learner.check import check, with_blame
from autograder.learner.submit import Difference, Kind, Preflight, preflight
from autograder.learner.tasks import Lesson, lesson_of
from autograder.week.notebooks import Notebooks

from ..tiny_week import LESSON
from .conftest import RIGHT, SAME, built_from


def lesson(released: Notebooks, own: str = "", after: str = "setup", **answers: str) -> Lesson:
    notebook = nbformat.from_dict(json.loads(released.learner_text))
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    if own:
        place = [cell.id for cell in notebook.cells].index(after) + 1
        notebook.cells.insert(place, new_code_cell(own))
    return lesson_of(released, notebook)


def seen(now: Lesson, bench: Bench) -> Preflight:
    return preflight(Path(), now, b"", bench)


def test_nothing_is_said_where_there_is_no_difference(released: Notebooks, bench: Bench) -> None:
    assert seen(lesson(released, "sum = checks = list = 3", **RIGHT), bench).differences == ()


def test_an_exercise_that_passes_alone_and_not_in_the_whole_notebook_is_named(
    released: Notebooks, bench: Bench
) -> None:
    hidden = "getattr(__builtins__, 'ex' + 'ec')('double = None')"  # what no look at the code finds
    now = lesson(released, hidden, "double", **RIGHT)
    found = seen(now, bench)
    assert not found.results["double"].passed
    assert Difference(Kind.ALONE, ("double",)) in found.differences


def test_what_builds_on_a_failed_exercise_is_named(released: Notebooks, bench: Bench) -> None:
    found = seen(lesson(released, double=SAME, quadruple=RIGHT["quadruple"]), bench)
    assert found.differences == (Difference(Kind.ON_A_FAILED_ONE, ("quadruple",), ("double",)),)


@pytest.mark.parametrize("patch", ["checks.normal = None", "setattr(checks, 'normal', print)", "del checks.normal"])
def test_a_replaced_function_of_a_library_is_named(released: Notebooks, bench: Bench, patch: str) -> None:
    (difference,) = seen(lesson(released, patch, **RIGHT), bench).differences
    assert difference == Difference(Kind.PATCHED, (), ("shared.checks.normal",))


def test_another_default_dtype_is_no_patched_library(tmp_path: Path) -> None:
    built = built_from(tmp_path, LESSON.replace("from shared import checks", "import torch\nfrom shared import checks"))
    now = lesson(built, "torch.set_default_dtype(torch.float64)", **RIGHT)
    bench = open_bench(("torch",))
    assert seen(now, bench).differences == (), "though torch.Storage is another class then"
    bench.close()


def test_another_way_to_show_figures_is_no_difference(tmp_path: Path, bench: Bench) -> None:
    drawing = "import matplotlib.pyplot as plt\nfrom shared import checks"
    built = built_from(tmp_path, LESSON.replace("from shared import checks", drawing))
    assert seen(lesson(built, "%matplotlib inline", **RIGHT), bench).differences == ()


def test_a_module_of_the_learners_own_is_named(released: Notebooks, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "my_helpers.py").write_text("def twice(n):\n    return 2 * n\n", encoding="utf-8")
    own = f"import sys\nsys.path.append({str(tmp_path)!r})\nfrom my_helpers import twice"
    found = seen(lesson(released, own, double="def double(n):\n    return twice(n)"), bench)
    assert found.results["double"].passed, "here the file is there"
    assert found.differences == (Difference(Kind.MODULE, (), ("my_helpers",)),)


def test_a_module_that_a_cell_wrote_is_handed_in_with_it(released: Notebooks, bench: Bench) -> None:
    own = "open('written_here.py', 'w').write('def twice(n):\\n    return 2 * n\\n')\nfrom written_here import twice"
    found = seen(lesson(released, own, double="def double(n):\n    return twice(n)"), bench)
    assert found.results["double"].passed
    assert found.differences == ()


@pytest.mark.parametrize(
    "own",
    [
        "from math import *",
        "exec('two = 2')",
        "globals()['two'] = 2",
        "import asyncio\nasync def number():\n    return 2\ntwo = await number()",
        "%time two = 2",
    ],
)
def test_a_name_that_cannot_be_read_off_the_code_is_there_in_a_check(
    released: Notebooks, bench: Bench, own: str
) -> None:
    code = (
        "def double(n):\n    return n + n + 0 * floor(1.5)" if "math" in own else "def double(n):\n    return n * two"
    )
    now = lesson(released, own, double=code)
    results = with_blame(now, {one.exercise: one for one in check(now, bench, ["double"])})
    assert results["double"].passed, results["double"].message


def test_an_answer_whose_name_is_deleted_below_it_fails_its_check_too(released: Notebooks, bench: Bench) -> None:
    now = lesson(released, "del double", "double", **RIGHT)
    assert [one.passed for one in check(now, bench, ["double"])] == [False]
    assert Kind.ALONE not in {one.kind for one in seen(now, bench).differences}


def test_a_stub_with_other_line_ends_is_still_a_stub(released: Notebooks) -> None:
    stub = next(cell.source for cell in released.learner.cells if cell.id == "double")
    assert not lesson(released, double=stub.replace("\n", "  \r\n")).tasks["double"].written


def test_an_answer_below_its_stub_is_written_and_has_its_number(released: Notebooks) -> None:
    now = lesson(released, RIGHT["double"], "double-look-1")
    place = [cell.id for cell in released.learner.cells].index("double-look-1") + 1
    assert now.tasks["double"].written
    assert now.tasks["double"].number == place + 1
    assert now.whole.uses.keys() == {"double"}, "where it fails, others are judged with the reference in its place"


def test_an_answer_that_may_make_any_name_runs_and_is_blamed_for_nothing(tmp_path: Path) -> None:
    apart = built_from(tmp_path, LESSON.replace(' uses="double"', ""))
    right = "def quadruple(n):\n    return 4 * n"
    starred = lesson(apart, double=f"from math import *\n{SAME}", quadruple=right).tasks["quadruple"]
    assert [cell.id for cell in starred.job.cells] == ["setup", "double", "quadruple", *QUADRUPLE_TESTS]
    assert starred.builds_on == ()
    without = lesson(apart, double=f"import math\n{SAME}", quadruple=right).tasks["quadruple"]
    assert [cell.id for cell in without.job.cells] == ["setup", "quadruple", *QUADRUPLE_TESTS]


QUADRUPLE_TESTS = ("quadruple-test-1", "quadruple-test-2")
SHADOWS = [
    "checks = ['a list']",
    "list = sum = print = isinstance = 3",
    "import warnings\nwarnings.simplefilter('error')",
]


@pytest.mark.parametrize("own", SHADOWS)
def test_names_and_settings_of_the_learners_cost_no_check(released: Notebooks, bench: Bench, own: str) -> None:
    now = lesson(released, own, after="double", **RIGHT)
    assert all(one.passed for one in check(now, bench, ["double", "quadruple"]))


@pytest.fixture
def kernel() -> Iterator[InteractiveShell]:
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    yield shell
    shell.history_manager.end_session()


@pytest.mark.parametrize("own", SHADOWS[:2])
def test_names_of_a_kernel_cost_no_check(released: Notebooks, kernel: InteractiveShell, own: str) -> None:
    for source in (*(cell.source for cell in released.learner.cells if cell.id == "setup"), *RIGHT.values(), own):
        kernel.run_cell(source)
    before = {name: value for name, value in kernel.user_ns.items() if not name.startswith("_")}
    assert kernel_check.run(kernel, released, "double").passed
    assert kernel_check.run(kernel, released, "quadruple").passed
    assert {name: value for name, value in kernel.user_ns.items() if not name.startswith("_")} == before


SEEDING = LESSON.replace("from shared import checks", "import random\nfrom shared import checks\n\nrandom.seed(3)")


def test_a_check_in_a_kernel_changes_none_of_its_settings(kernel: InteractiveShell, tmp_path: Path) -> None:
    """Cells of the course run once more, out of sight: they must not seed the kernel again."""
    built = built_from(tmp_path, SEEDING)
    setup = next(cell.source for cell in built.learner.cells if cell.id == "setup")
    for source in (setup, *RIGHT.values(), "random.random()"):
        kernel.run_cell(source)
    before = captured()
    assert kernel_check.run(kernel, built, "double").passed
    assert captured() == before
