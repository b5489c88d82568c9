"""What a check says where something else is wrong than a value, each made on the spot."""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from autograder.core.errors import WorkbookError
from autograder.learner.backend import PlainBench, open_bench
from autograder.learner.check import check
from autograder.learner.start import start_week
from autograder.learner.steps import COUNTDOWN_AFTER, Step
from autograder.learner.tasks import open_lesson
from autograder.learner.views import results_table

from ..chosen import ROOT
from .conftest import RIGHT, WEEK, Workbook, answer, copy_of, read, write


class Situation(NamedTuple):
    """An answer to `double`, a file beside the notebook, and lines of what is told."""

    code: str
    says: tuple[str, ...]
    beside: str = ""


RUNNING = ".".join(map(str, sys.version_info[:2]))
NEWER, VERSION = ("type Number = int", "3.12") if sys.version_info < (3, 12) else ('greeting = t"{1}"', "3.14")
WRONG = "def double(number):\n    "
SITUATIONS = {
    "an emptied stub": Situation(
        "",
        (
            "✗ double of 2: `double` is not defined",
            "likely cause: the answer cell of double is empty: its stub defines `double`",
            "next step:    put the stub of double back (key r in `workbook watch`) and fill it in",
        ),
    ),
    "another name": Situation(
        "def twice(number):\n    return 2 * number",
        (
            "likely cause: the answer cell of double does not define `double`",
            "next step:    keep the name that the stub of double gives: `double`",
        ),
    ),
    "a file of one's own": Situation(
        "from my_utils import twice as double",
        (
            "✗ `my_utils` is a file of your own; only the notebook is graded",
            "got:          ModuleNotFoundError: No module named 'my_utils' (line 1)",
            "next step:    copy its code into a cell of the notebook, above the answer, and take the import out",
        ),
        beside="my_utils.py",
    ),
    "a library that is not there": Situation(
        "import nothing_like_it\n" + RIGHT["double"],
        ("✗ there is no module `nothing_like_it` where your work is graded", "next step:    if it is a file of your"),
    ),
    "syntax of a newer Python": Situation(
        f"{NEWER}\n{RIGHT['double']}",
        (
            f"✗ line 1 needs Python {VERSION}: a ",
            "got:          SyntaxError: ",
            f"next step:    write it as Python {RUNNING} reads it",
        ),
    ),
    "syntax of no Python": Situation(
        "def double(number):\n    return number +",
        ("the answer cell: SyntaxError: invalid syntax (line 2)",),
    ),
    "five gigabytes": Situation(
        WRONG + "many = bytearray(5 * 10**9)\n    return 2 * number",
        (
            "out of memory",
            "✗ double of 2: the code needs more memory than there is",
            "got:          in double, at: many = bytearray(5 * 10**9)",
            "likely cause: the code needs more memory than this week's limit of 1 GiB",
            "next step:    look for a tensor that is larger than it has to be",
        ),
    ),
    "an endless loop": Situation(
        WRONG + "while True:\n        number += 1",
        (
            "too slow",
            "✗ the cell ran longer than 2 s and was stopped, in line ",
            " of double: ",
            "next step:    look for a loop that does not end",
        ),
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_an_answer_that_is_wrong_in_another_way(name: str, bundle: Path) -> None:
    start_week(bundle, WEEK)
    code, says, beside = SITUATIONS[name]
    answer(copy_of(bundle), double=code)
    if beside:
        (copy_of(bundle).parent / beside).write_text("def twice(number):\n    return 2 * number\n", encoding="utf-8")
    lesson = open_lesson(bundle, "1")
    bench = open_bench(())
    (result,) = check(lesson, bench, ["double"])
    bench.close()
    screen = Console(file=io.StringIO(), width=160)
    screen.print(results_table([result], {"double": 1}))
    out = screen.file.getvalue()  # type: ignore[attr-defined]
    for line in says:
        assert line in out, out
    assert "not written yet" not in out


def conflicted(text: str) -> str:
    """As git leaves a file that it could not merge."""
    lines = text.splitlines(keepends=True)
    ours, theirs = lines[20:22], lines[20:22]
    return "".join([*lines[:20], "<<<<<<< HEAD\n", *ours, "=======\n", *theirs, ">>>>>>> theirs\n", *lines[22:]])


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny.ipynb", content)
    return file.getvalue()


FILES = {
    "empty": ("the file is empty", "save it again"),
    "html": ("the file is a web page (HTML), not a notebook", "download the notebook itself, not its page"),
    "utf-16": ("the file is text in UTF-16; a notebook is in UTF-8", "save it as UTF-8"),
    "zip": ("the file is a zip archive with the ending .ipynb", "unpack it and put the notebook in it there"),
    "script": ("the file is a Python script with the ending .ipynb, not a notebook", "paste the answers into"),
    "conflict": ("git left marks of a conflict in the file (line 21)", "finish the merge: keep one version"),
    "cut": ("the file breaks off in line ", "save it again"),
    "words": ("the file is not valid JSON (line 1: expecting value)", "save it again"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_notebook_is_told_as_what_it_is(name: str, bundle: Path) -> None:
    start_week(bundle, WEEK)
    path = copy_of(bundle)
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "html": b"\n<!DOCTYPE html>\n<html><head><title>Home</title></head></html>\n",
        "utf-16": whole.decode().encode("utf-16"),
        "zip": zipped(whole),
        "script": b"import math\n\n\ndef double(number):\n    return 2 * number\n",
        "conflict": conflicted(whole.decode()).encode(),
        "cut": whole[: len(whole) // 2],
        "words": b"my answers are in the other file",
    }
    path.write_bytes(contents[name])
    reason, step = FILES[name]
    with pytest.raises(WorkbookError) as damaged:
        open_lesson(bundle, "1")
    assert str(damaged.value).startswith(f"work/{WEEK}/tiny.ipynb: {reason}")
    assert damaged.value.next_step.startswith(step)


def test_a_notebook_of_another_week_is_one_sentence(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    other = "week02_vision_transformer"
    copy_of(bundle).write_bytes((ROOT / "weeks" / other / "vision_transformer.ipynb").read_bytes())
    said = f"is the notebook of {other}, not of {WEEK} -> move it to work/{other}/ and run `workbook start 1`"
    for words in (("check", "1"), ("submit", "1")):
        code, _, err = workbook(*words)
        assert code == 1
        assert said in err
        assert len(err.splitlines()) == 1
    assert said in " ".join(workbook("status").out.split())


def test_a_repair_is_told_where_something_was_repaired_only(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), **RIGHT)
    quiet = workbook("submit", "1", "--dry-run").out
    assert "your notebook" not in quiet
    notebook = read(copy_of(bundle))
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in ("written-why", "double-test-2")]
    twice = [cell for cell in notebook["cells"] if cell["id"] == "double-test-1"]
    notebook["cells"] += json.loads(json.dumps(twice))
    write(copy_of(bundle), notebook)
    out = workbook("submit", "1", "--dry-run").out
    assert "not in your notebook: why; without their cells they earn nothing" in out
    assert "double-test-2 was not in your notebook; grading uses the course's own tests" in out
    assert "double-test-1" not in out, "a second copy of a test changes nothing"


def test_who_waits_sees_how_long_it_has_run_and_in_which_line(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=SITUATIONS["an endless loop"].code)
    lesson = open_lesson(bundle, "1")
    for start in (lambda tell: open_bench((), tell), lambda tell: PlainBench(tell=tell)):
        seen: list[Step] = []
        bench = start(seen.append)
        (result,) = check(lesson, bench, ["double"])
        bench.close()
        assert result.state == "TIMEOUT"
        step = next(step for step in seen if step.where)
        assert step.what == "double: test 1 of 2"
        assert re.fullmatch(r"line \d of double: (while True:|number \+= 1)", step.where)
        assert step.until
        late = step.since + COUNTDOWN_AFTER
        assert re.fullmatch(rf"{step.what} · 3 s · stopped in \d s · {re.escape(step.where)}", step.words(late))
