"""Files that stall or fill the grader, and folders whose names do harm: graded in one class with honest work."""

from __future__ import annotations

import io
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autograder.commands.tables import print_class
from autograder.course.folder import Course
from autograder.execution.executor import here
from autograder.execution.results import Graded
from autograder.gradebook.grades_csv import write_csv
from autograder.grading.grade import Told, grade_week
from autograder.grading.judge import NOT_GRADED
from autograder.grading.progress import Meter
from autograder.repair import safe_repair
from autograder.repair.reading import MAX_CELLS, MAX_CHARACTERS, MAX_DEPTH
from autograder.repair.repair import Repaired
from autograder.week.notebooks import Notebooks

from .harness import answered
from .lesson import HONEST

WEEK = "week01_tiny"
Cells = list[dict[str, Any]]


def own(source: str, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def with_cells(make: Callable[[], Cells]) -> Callable[[bytes], bytes]:
    """The honest notebook with these cells more."""

    def change(honest: bytes) -> bytes:
        notebook = json.loads(honest)
        notebook["cells"] += make()
        return json.dumps(notebook).encode()

    return change


def deep(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = {"a": found}
    return found


@dataclass(frozen=True)
class Case:
    """A file. `says`: how it is refused; "" where it keeps its points. `mib`: what plain reading takes at least."""

    name: str
    gain: str
    stop: str
    on: str
    change: Callable[[bytes], bytes]
    says: str = ""
    mib: int = 0


REFUSED, KEPT = "not graded", "all points"
BOUND, OWN_PROCESS = "a bound, and its figure told", "files are read in a process with 1 GiB and 10 CPU seconds"
LINEAR = "every step of repair grows with the size alone"
CASES = [
    Case("ten-thousand-cells", "minutes of the grader", BOUND, REFUSED,
         with_cells(lambda: [own(f"x{n} = {n}") for n in range(10_000)]), "cells; at most 2,000 are read"),
    Case("two-thousand-cells", "minutes of the grader", LINEAR, KEPT,
         with_cells(lambda: [own(f"x{n} = {n}") for n in range(1_900)])),
    Case("ten-million-characters", "gigabytes of the grader", BOUND, REFUSED,
         with_cells(lambda: [own("#" * 1_000_000) for _ in range(10)]), "characters; at most 5,000,000 are read"),
    Case("a-line-of-calls", "0.3 GB of the grader for each MiB", "only short cells are parsed", KEPT,
         with_cells(lambda: [own("def double(n): return n\nf = lambda *x: 0\n0 and f(" + "f(1)," * 50_000 + ")")])),
    Case("copies-of-an-answer", "minutes of the grader", LINEAR, KEPT,
         with_cells(lambda: [own(HONEST["double"], nbgrader={"grade_id": "double"})] * 1_900)),
    Case("deep-metadata", "the stack of the grader", BOUND, REFUSED,
         with_cells(lambda: [own("1", deep=deep(MAX_DEPTH))]), "nested deeper than 60 levels"),
    Case("deep-attachments", "the stack of the grader", BOUND, REFUSED,
         with_cells(lambda: [{"cell_type": "markdown", "metadata": {}, "source": "", "attachments": deep(200)}]),
         "nested deeper than 60 levels"),
    Case("millions-of-mappings", "gigabytes of the grader", OWN_PROCESS, REFUSED,
         lambda honest: honest[:-1] + b', "more": [' + b"{}," * 16_000_000 + b"{}]}", "more than 1,024 MiB of memory",
         1_000),
    Case("millions-of-lists", "gigabytes of the grader", OWN_PROCESS, REFUSED,
         lambda honest: honest[:-1] + b', "more": [' + b"[]," * 16_000_000 + b"[]]}", "more than 1,024 MiB of memory",
         900),
    Case("old-format", "minutes of a converter", OWN_PROCESS, REFUSED,
         lambda honest: b'{"nbformat": 3, "metadata": {}, "worksheets": [{"metadata": {}, "cells": [' + b",".join(
             [b'{"cell_type": "code", "language": "python", "metadata": {}, "outputs": [], "input": "1"}'] * 10_000)
         + b"]}]}", "cells; at most 2,000 are read"),
    Case("number-of-thousands-of-digits", "the time of a conversion", "Python's own bound", REFUSED,
         lambda honest: honest[:-1] + b', "more": ' + b"9" * 1_000_000 + b"}",
         "the file is not a notebook (ValueError"),
    Case("pictures-of-everything", "a place for anything in a written answer", "pictures alone are taken", KEPT,
         with_cells(lambda: [own("") | {"cell_type": "markdown", "attachments": {"a": {"b": [1]}, "c": 7}}])),
    Case("halves-of-characters", "the end of whoever writes them", "they become question marks", KEPT,
         lambda honest: honest[:-1] + rb', "more": "\ud800"}'),
]  # fmt: skip
NAMES = {
    "escape": "\x1b]0;owned\x07\x1b[2Jname",
    "bidi": "\u202egpj.exe\u2066",
    "markup": "[bold red]name[link=x]",
    "separator": "name;=cmd()",
    "tab": "name\t=cmd()",
    "line": "name\r\n=cmd()",
    "backslash": "na\\me",
    "end": "name\\",
}
"""Names of folders, all of honest work."""
RAW = {b"Zo\xeb": "Zo\\xeb", b"\xff\xfe": "\\xff\\xfe"}
"""Names that are not text -> how they are shown."""


@dataclass
class Done:
    course: Course
    outcomes: dict[str, Graded]
    shown: str
    log: str
    table: bytes
    order: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def done(plain: Notebooks, tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = tmp_path_factory.mktemp("class")
    course = Course(root, root / "course")
    honest = json.dumps(answered(plain, HONEST)).encode()
    files: dict[str | bytes, bytes] = dict.fromkeys(["ann", "zoe", *NAMES.values()], honest)
    files |= {case.name: case.change(honest) for case in CASES}
    if sys.platform != "darwin":
        files |= dict.fromkeys(RAW, honest)
    for name, content in files.items():
        path = course.submitted / os.fsdecode(name) / WEEK / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    log, table = root / "grade.log", root / "grades.csv"
    console = Console(file=io.StringIO(), force_terminal=True, width=400)
    with Meter("grade", console, log) as meter:
        tell = Told(meter.phase, meter.step, meter.graded)
        week, outcomes = grade_week(plain.week.folder, course, crew=here(2), tell=tell)
    screen = Console(file=io.StringIO(), width=400)
    print_class(week, outcomes, screen)
    write_csv(table, week, outcomes)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    by_name = {graded.student: graded for graded in outcomes}
    return Done(course, by_name, shown, log.read_text(encoding="utf-8"), table.read_bytes(), list(by_name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_costs_nobody_else_anything(done: Done, case: Case) -> None:
    graded = done.outcomes[case.name]
    if case.says:
        assert case.says in graded.damaged
        assert graded.points == {}
        assert NOT_GRADED not in graded.damaged, "this is not a fault of the grader"
    else:
        assert (graded.damaged, graded.total) == ("", 80)


@pytest.mark.parametrize("name", ["ann", "zoe", *NAMES])
def test_honest_work_beside_them_is_graded(done: Done, name: str) -> None:
    graded = done.outcomes[NAMES.get(name, name)]
    assert (graded.damaged, graded.total) == ("", 80)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no names that are not text")
@pytest.mark.parametrize("shown", RAW.values())
def test_a_folder_that_is_no_text_is_told_by_name(done: Done, shown: str) -> None:
    assert done.outcomes[shown].damaged == "the name of the folder is not text in UTF-8; rename the folder"


def test_no_name_reaches_a_terminal_or_a_log_as_anything_but_text(done: Done) -> None:
    for text in (done.shown, done.log):
        assert not set(text) & {chr(code) for code in (*range(32), 0x7F, 0x202E, 0x2066) if chr(code) != "\n"}
    assert NAMES["markup"] in done.shown
    assert all(f"graded {name!r}" in done.log for name in ("ann", "zoe", NAMES["escape"]))


def test_no_name_is_a_formula_whatever_parts_the_cells(done: Done) -> None:
    text = done.table.decode()
    assert "=cmd()" in text
    for separator in (";", "\t", "\r", "\n"):
        assert not [part for part in text.split(separator) if part.lstrip(' "').startswith("=")]


@pytest.mark.parametrize("case", [case for case in CASES if case.mib], ids=lambda case: case.name)
def test_what_plain_reading_of_it_would_have_taken(case: Case) -> None:
    """A hundredth of the file, read in this process."""
    content = (
        case.change(b'{"nbformat": 4, "cells": []}').replace(b"{}," * 15_840_000, b"").replace(b"[]," * 15_840_000, b"")
    )
    tracemalloc.start()
    try:
        kept = json.loads(content)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(kept["more"]) == 160_001
    assert taken * 100 > case.mib * 2**20


def test_the_bounds_are_far_from_honest_work(plain: Notebooks) -> None:
    root = Path(__file__).parents[2] / "weeks"
    for path in root.glob("week*/*.ipynb"):
        cells = json.loads(path.read_bytes())["cells"]
        assert len(cells) * 10 < MAX_CELLS
        assert sum(len("".join(cell["source"])) for cell in cells) * 20 < MAX_CHARACTERS


def test_a_failure_of_the_grader_at_one_submission_is_that_one_s(
    plain: Notebooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nobody has thought of: it is told with its class, and the next run tries that submission again."""
    course = Course(tmp_path, tmp_path / "course")
    honest = json.dumps(answered(plain, HONEST)).encode()
    for name in ("ann", "bob", "zoe"):
        path = course.submitted / name / WEEK / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(honest + b" " * (name == "bob"))
    repair = safe_repair.Repairer.repair

    def failing(self: safe_repair.Repairer, content: bytes) -> Repaired:
        if content.endswith(b" "):
            raise LookupError("nobody thought of it")
        return repair(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(safe_repair.Repairer, "repair", failing)
        _, outcomes = grade_week(plain.week.folder, course, crew=here(1))
    assert [(one.student, one.total, one.error) for one in outcomes] == [
        ("ann", 80, ""),
        ("bob", 0, "LookupError"),
        ("zoe", 80, ""),
    ]
    assert outcomes[1].damaged == f"{NOT_GRADED}: LookupError"
    _, outcomes = grade_week(plain.week.folder, course, crew=here(1))
    assert [one.total for one in outcomes] == [80, 80, 80]
