"""Forged, broken and dangerous files: what a grader that believes the notebook would give, and what ours gives."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_output

from autograder.course.folder import Course
from autograder.execution.executor import here
from autograder.execution.job import Code, Job
from autograder.execution.pool import Team
from autograder.execution.results import Graded
from autograder.execution.verdicts import Verdict
from autograder.grading.grade import grade_week
from autograder.repair.damage import DamagedError
from autograder.repair.repair import read_notebook
from autograder.week.notebooks import Notebooks

from .harness import answered, play
from .lesson import HONEST

WEEK = "week01_tiny"
WRONG = {name: code.split("return")[0] + "return None" for name, code in HONEST.items()}
WRONG["twice"] = "def twice(items):\n    math.fsum(items)"


def cell(notebook: Any, cell_id: str) -> Any:
    return next(one for one in notebook.cells if one.id == cell_id)


def changed(**fields: Any) -> Callable[[Any], None]:
    """The test cells of `double`, with other fields."""

    def change(notebook: Any) -> None:
        for number in (1, 2):
            cell(notebook, f"double-test-{number}").update(copy.deepcopy(fields))

    return change


def more_points(notebook: Any) -> None:
    cell(notebook, "double").source = HONEST["double"]
    for number in (1, 2):
        cell(notebook, f"double-test-{number}").metadata["nbgrader"]["points"] = 1000


def own_test(notebook: Any) -> None:
    made = new_code_cell("1", id="mine")
    made.metadata = copy.deepcopy(cell(notebook, "double-test-1").metadata)
    made.metadata["nbgrader"] |= {"grade_id": "double-test-9", "points": 80, "checksum": "0" * 32}
    notebook.cells.append(made)


def taken_id(notebook: Any) -> None:
    """An own cell that calls itself a test, and the test as a text."""
    own_test(notebook)
    notebook.cells[-1].metadata["nbgrader"]["grade_id"] = "double-test-1"
    for number in (1, 2):
        cell(notebook, f"double-test-{number}").update(cell_type="markdown", id=f"text-{number}", metadata={})


def without_tests(notebook: Any) -> None:
    own_test(notebook)
    notebook.cells = [one for one in notebook.cells if "double-test-1" not in one.id and "double-test-2" not in one.id]


def forged_outputs(notebook: Any) -> None:
    for one in notebook.cells:
        if one.cell_type == "code":
            one.outputs = [new_output("stream", text="✓ all checks passed <script>alert(1)</script>")]
    changed(source="pass")(notebook)


def hundred_tests(notebook: Any) -> None:
    for _ in range(100):
        own_test(notebook)


FORGED: dict[str, tuple[Callable[[Any], None], float, int]] = {
    "emptied-tests": (changed(source="pass"), 30, 0),
    "tests-that-agree": (changed(source="double = lambda n: 2 * n"), 30, 0),
    "points": (more_points, 2000, 30),
    "test-of-ones-own": (own_test, 80, 0),
    "taken-id": (taken_id, 80, 0),
    "removed-tests": (without_tests, 80, 0),
    "outputs": (forged_outputs, 30, 0),
    "hundred-tests": (hundred_tests, 8000, 0),
}
"""Change of a notebook whose answers are wrong -> what it wins from a grader that believes it, and from ours."""
RAW: dict[str, str | bytes] = {
    "broken-json": '{"cells": [',
    "no-notebook": "[1, 2]",
    "no-cells": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    "wrong-types": '{"nbformat": 4, "nbformat_minor": 5, "metadata": 3, "cells": [{"cell_type": "code", "source": 7}]}',
    "cells-of-numbers": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1, null, "x"]}',
    "format-of-the-future": '{"nbformat": 99999999999, "metadata": {}, "cells": []}',
    "deep-json": '{"nbformat": 4, "cells": ' + "[" * 100_000,
    "not-utf8": b"\xff\xfe\x00{",
    "huge-number": '{"nbformat": ' + "9" * 10_000 + "}",
}
"""Files that are not notebooks at all."""


def link(path: Path, course: Course) -> None:
    path.symlink_to(course.submitted / "ann" / WEEK / "tiny.ipynb")


def link_of_folder(path: Path, course: Course) -> None:
    path.parent.rmdir()
    path.parent.symlink_to(course.submitted / "ann" / WEEK)


SPECIAL: dict[str, Callable[[Path, Course], object]] = {
    "link-to-another": link,
    "link-to-folder": link_of_folder,
    "link-to-users": lambda path, course: path.symlink_to("/etc/passwd"),
    "link-to-zero": lambda path, course: path.symlink_to("/dev/zero"),
    "link-to-itself": lambda path, course: path.symlink_to(path),
    "pipe": lambda path, course: os.mkfifo(path),
    "folder": lambda path, course: path.mkdir(),
}
"""What lies there in place of a notebook."""
NAMES = [
    "a'; drop table grade; --",
    "..evil",
    "new\nline",
    "\u202egro.ecila",
    "=cmd|'calc'!A0",
    "%s%n{0}",
    "💥" * 50,
]


@dataclass
class Done:
    course: Course
    outcomes: dict[str, Graded]
    naive: dict[str, float]


def believing(team: Team, notebooks: dict[str, Any]) -> dict[str, float]:
    """Points from a grader that runs what was handed in and adds up the points that stand there."""
    won = {}
    jobs = {}
    for name, notebook in notebooks.items():
        kept = [one for one in notebook.cells if one.cell_type == "code" and "skip-execution" not in str(one.metadata)]
        jobs[name] = Job(name, tuple(Code(f"{number}", one.source) for number, one in enumerate(kept)))
        points = [float(one.metadata.get("nbgrader", {}).get("points", 0)) for one in kept]
        (run,) = team.run([jobs[name]])
        won[name] = sum(p for number, p in enumerate(points) if run.cells[f"{number}"].verdict is Verdict.PASS)
    return won


@pytest.fixture(scope="module")
def done(plain: Notebooks, together: Team, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One class in which everybody hands in something else, graded as `workbook grade` does."""
    root = tmp_path_factory.mktemp("class")
    course = Course(root, root / "course")
    notebooks = {name: answered(plain, WRONG) for name in FORGED}
    for name, (change, *_) in FORGED.items():
        change(notebooks[name])
    naive = believing(together, notebooks | {"as it is": answered(plain, WRONG)})
    honest = answered(plain, HONEST)
    big = copy.deepcopy(honest)
    big.cells += [new_code_cell("#" + "x" * 3_000_000), new_code_cell("[" * 50_000), *[new_code_cell("1")] * 300]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"metadata": {}, "cells": [
        {"cell_type": "code", "language": "python", "metadata": {}, "outputs": [], "input": code}
        for code in HONEST.values()]}]}  # fmt: skip
    files: dict[str, str | bytes] = {name: json.dumps(notebook) for name, notebook in notebooks.items()}
    files |= RAW
    files |= dict.fromkeys(["ann", "zoe", *NAMES], json.dumps(honest)) | {
        "big": json.dumps(big),
        "old": json.dumps(old),
    }
    for name in [*files, *SPECIAL]:
        path = course.submitted / name / WEEK / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        if name in SPECIAL:
            SPECIAL[name](path, course)
        else:
            content = files[name]
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (course.submitted / "zoe" / WEEK / "timestamp.txt").symlink_to("/etc/passwd")
    _, outcomes = grade_week(plain.week.folder, course, crew=here(2))
    return Done(course, {graded.student: graded for graded in outcomes}, naive)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_notebook_wins_from_a_grader_that_believes_it_alone(done: Done, name: str) -> None:
    _, believed, earned = FORGED[name]
    assert done.naive[name] - done.naive["as it is"] == believed
    graded = done.outcomes[name]
    assert (graded.total, graded.damaged) == (earned, "")
    text = (done.course.autograded / name / WEEK / "tiny.ipynb").read_text(encoding="utf-8")
    assert "<script>" not in text


@pytest.mark.parametrize("name", RAW)
def test_a_broken_file_is_reported_in_one_line(done: Done, name: str) -> None:
    graded = done.outcomes[name]
    assert graded.damaged.startswith(("the file", "the notebook"))
    assert "\n" not in graded.damaged
    assert graded.points == {}


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_file_of_ones_own_is_not_read(done: Done, name: str) -> None:
    """Each could be read, or would be waited for, by a grader that opens what lies there."""
    path = done.course.submitted / name / WEEK / "tiny.ipynb"
    assert not path.is_file() or path.resolve() != path.absolute() or path.is_symlink()
    graded = done.outcomes[name]
    assert graded.damaged
    assert graded.points == {}
    assert not (done.course.autograded / name).exists()


def test_a_link_was_as_good_as_the_work_of_another(done: Done) -> None:
    path = done.course.submitted / "link-to-another" / WEEK / "tiny.ipynb"
    assert json.loads(path.read_bytes())["cells"], "plain reading follows it"
    with pytest.raises(DamagedError, match="link"):
        read_notebook(path)


def test_a_timestamp_that_is_a_link_brings_no_file_of_the_host_along(done: Done) -> None:
    stamp = done.course.submitted / "zoe" / WEEK / "timestamp.txt"
    assert "root" in stamp.read_text(), "plain reading follows it"
    assert not (done.course.autograded / "zoe" / WEEK / "timestamp.txt").exists()


@pytest.mark.parametrize("name", ["ann", "zoe", "big", "old", *NAMES])
def test_honest_work_keeps_its_points_whatever_its_size_format_or_name(done: Done, name: str) -> None:
    graded = done.outcomes[name]
    assert (graded.damaged, graded.total) == ("", 80)
    assert (done.course.autograded / name / WEEK / "tiny.ipynb").is_file()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tiny.ipynb")
    with pytest.raises(DamagedError, match="not a regular file"):
        read_notebook(tmp_path / "tiny.ipynb")


POISON = {
    "prints": "print(inspect.getsource(double))\ndef quadruple(number): return None",
    "raises": "def quadruple(number): raise ValueError(inspect.getsource(double))",
    "returns": "def quadruple(number): return inspect.getsource(double)",
    "shows": "class Odd: __repr__ = lambda self: inspect.getsource(double)\ndef quadruple(number): return Odd()",
    "names": "def quadruple(number):\n    name = ''.join(filter(str.isalpha, inspect.getsource(double)))\n"
    "    raise type(name, (Exception,), {})",
}
"""Answers that tell what stands in for an exercise that failed on purpose."""


def test_what_stands_in_for_a_failed_exercise_cannot_be_read(sandbox: Team, plain: Notebooks) -> None:
    """The reference is in the learner's process then; nothing that they say in that run is kept."""
    failed = {"double": "def double(number): return 0"}
    learners = {name: HONEST | failed | {"quadruple": f"import inspect\n{code}"} for name, code in POISON.items()}
    learners["fair"] = HONEST | failed | {"quadruple": "def quadruple(number): return double(double(number))"}
    played = play(sandbox, plain, learners)
    for name in POISON:
        assert played[name].verdicts("quadruple") in ("FAIL FAIL", "FAIL ERROR")
        assert played[name].graded.stand_ins["quadruple-test-1"] == ("double",)
        assert "the reference of double" not in played[name].said
        assert "thereferenceofdouble" not in played[name].said
    assert played["fair"].verdicts("quadruple") == "PASS PASS"
