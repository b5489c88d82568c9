"""The loop as a new user goes through it, in a bundle without solutions, each step a command of its own."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

from .conftest import RIGHT, SAME, WEEK, Workbook, answer, copy_of


def test_start_answer_check_hint_submit(bundle: Path, workbook: Workbook) -> None:
    assert not (bundle / "solutions").exists()
    commands = 0

    # the first graded answer: two commands
    assert f"work/{WEEK}/tiny.ipynb: ready" in workbook("start", "1").out.splitlines()
    commands += 1
    answer(copy_of(bundle), double=SAME)
    code, out, err = workbook("check")
    commands += 1
    assert (code, err) == (1, "")
    assert re.search(r"✗ +1 double +20/40 points +cell 4", out)
    assert "likely cause: this is the number itself" in out
    assert re.search(r"· +2 quadruple +0/40 points +not written yet · cell 11", out)
    assert commands == 2

    # it names the next step, and the next step is there
    assert "next: workbook hint 1 double" in out
    assert "Hint 1 of 3: the idea" in workbook("hint", "1", "double").out
    second = workbook("hint", "1", "double").out
    assert "Hint 2 of 3: pseudocode" in second
    assert "the idea" not in second

    answer(copy_of(bundle), double=RIGHT["double"])
    code, out, _ = workbook("check", "1", "double")
    assert code == 0
    assert re.search(r"✓ +1 double +40/40 points +more is tested when you submit", out)

    answer(copy_of(bundle), quadruple=RIGHT["quadruple"])
    code, out, _ = workbook("check", "1")
    assert code == 0
    assert out.splitlines()[0] == f"work/{WEEK}/tiny.ipynb"
    assert "unchanged" in out.splitlines()[1], "what did not change is not run again"
    assert "2 of 2 exercises · 80/80 points" in out
    assert "next: answer the written questions (why), then workbook submit 1" in out

    out = workbook("status").out
    assert re.search(r"01 +Doubling +█+ +2/2 +80/80 +0/1 +20 of 30", out)
    assert "week 1: answer the written questions: why" in out

    code, out, _ = workbook("submit", "1", "--name", "Ada Lovelace")
    assert code == 0
    assert "not answered: why" in out
    assert f"submitted: work/submissions/{WEEK}.zip" in out
    with zipfile.ZipFile(bundle / "work" / "submissions" / f"{WEEK}.zip") as handed_in:
        assert sorted(handed_in.namelist()) == ["receipt.json", "tiny.ipynb"]
        content = handed_in.read("tiny.ipynb")
        receipt = json.loads(handed_in.read("receipt.json"))
    assert content == copy_of(bundle).read_bytes()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", receipt.pop("created"))
    assert receipt == {
        "format": 1,
        "week": WEEK,
        "notebook": "tiny.ipynb",
        "sha256": hashlib.sha256(content).hexdigest(),
        "version": 1,
        "content": json.loads(content)["metadata"]["workbook"]["content"],
        "learner": "Ada Lovelace",
    }


def test_an_exercise_below_a_failed_one_is_told_where_to_begin(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), double=SAME, quadruple=RIGHT["quadruple"])
    out = workbook("check", "1").out
    assert "It builds on double, which does not pass: begin there." in out
    assert "next: workbook hint 1 double" in out
    out = workbook("check", "1", "quadruple").out
    assert "It builds on double, which does not pass: begin there." in out
    assert "next: workbook check 1 double" in out
    answer(copy_of(bundle), double=RIGHT["double"])
    assert workbook("check", "1").code == 0, "what depends on a changed answer runs again"


def test_what_the_answer_raises_is_named_with_its_line(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), double="def double(number):\n    return number +\n")
    out = workbook("check", "1", "double").out
    assert "the answer cell: SyntaxError: invalid syntax (line 2)" in out
    answer(copy_of(bundle), double=SAME, quadruple="def quadruple(n)\n    return n")
    out = workbook("check", "1", "quadruple").out
    assert "the answer cell: SyntaxError: expected ':' (line 1)" in out
    assert "builds on" not in out, "its own mistake comes first"
    answer(copy_of(bundle), double="import nothing_like_it\n" + RIGHT["double"])
    out = workbook("check", "1", "double").out
    assert "ModuleNotFoundError: No module named 'nothing_like_it' (line 1)" in out


def test_an_endless_loop_is_stopped(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(
        copy_of(bundle), double="def double(number):\n    while True: pass", quadruple="def quadruple(n): return 4 * n"
    )
    out = workbook("check", "1").out
    assert "too slow" in out
    assert "the cell ran longer than 2 s and was stopped" in out
    assert re.search(r"✓ +2 quadruple", out), "the others are checked all the same"


def test_hints_go_on_from_all_and_say_when_there_is_no_more(bundle: Path, workbook: Workbook) -> None:
    out = workbook("hint", "1", "2", "--all").out
    assert [f"Hint {n} of 3" in out for n in (1, 2, 3)] == [True] * 3
    assert "next:" not in out
    again = workbook("hint", "1", "quadruple").out
    assert "Hint 3 of 3: nearly code" in again


def test_errors_name_file_cell_and_next_step(bundle: Path, workbook: Workbook) -> None:
    def complaint(*words: str) -> str:
        code, _, err = workbook(*words)
        assert code == 1
        assert err.count("\n") == 1
        return err.strip()

    assert complaint("check") == "error: no week is begun in work/ -> workbook start 1"
    missing = f"error: work/{WEEK}/tiny.ipynb is not there -> `workbook start 1` makes it"
    for command in ("check", "watch", "submit"):
        assert complaint(command, "1") == missing
    workbook("start", "1")
    assert complaint("check", "1", "doubel") == (
        f"error: {WEEK} has no exercise 'doubel' -> did you mean double? its exercises: double, quadruple"
    )
    assert complaint("hint", "1", "3") == f"error: {WEEK} has no exercise '3' -> its exercises: double, quadruple"
    copy_of(bundle).write_text('{"cells": [\n  {"cell_type": "code",', encoding="utf-8")
    for words in (("check", "1"), ("submit", "1"), ("start", "1", "--again")):
        line = complaint(*words)
        assert line.startswith(f"error: work/{WEEK}/tiny.ipynb: the file breaks off in line 2: ")
        assert line.endswith(" -> save it again, or move it away and run `workbook start 1`")
    assert "the file breaks off" in workbook("status").out, "the scoreboard of the other weeks stays"


def test_a_deleted_answer_cell_is_named_and_put_back(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    notebook = json.loads(copy_of(bundle).read_text(encoding="utf-8"))
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "double"]
    copy_of(bundle).write_text(json.dumps(notebook), encoding="utf-8")
    out = workbook("check", "1", "double").out
    assert "its cell is missing" in out
    assert "`workbook start 1 --again` puts it back" in out
    assert "new: exercise double" in workbook("start", "1", "--again").out
    assert "not written yet" in workbook("check", "1", "double").out


def test_the_second_submission_keeps_the_first(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    submissions = bundle / "work" / "submissions"
    assert workbook("submit", "1", "--dry-run").code == 0
    assert not submissions.exists()
    workbook("submit", "1", "--blank")
    first = (submissions / f"{WEEK}.zip").read_bytes()
    answer(copy_of(bundle), double=RIGHT["double"])
    out = workbook("submit", "1").out
    former = [path for path in submissions.iterdir() if path.name != f"{WEEK}.zip"]
    assert len(former) == 1
    assert re.fullmatch(rf"{WEEK}\.\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d\.zip", former[0].name)
    assert former[0].read_bytes() == first
    assert f"the bundle from before: work/submissions/{former[0].name}" in out
    with zipfile.ZipFile(submissions / f"{WEEK}.zip") as bundle_file:
        assert json.loads(bundle_file.read("receipt.json"))["learner"] is None


def test_without_a_warm_process_everything_works_and_says_why_it_is_slow(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), double=RIGHT["double"], quadruple="def quadruple(number):\n    import os; os._exit(3)")
    code, out, err = workbook("check", "1", WORKBOOK_WARM_SECONDS="0")
    assert code == 1
    assert "no warm process (WORKBOOK_WARM_SECONDS is 0)" in err
    assert re.search(r"✓ +1 double", out)
    assert "the process ended" in out
    assert "exit code 3" in out


LIKE_WINDOWS = """
import os, socket, sys
sys.modules["resource"] = None
del os.fork, socket.AF_UNIX
"""


def test_a_system_without_forks_local_sockets_and_limits_can_learn(
    bundle: Path, workbook: Workbook, tmp_path: Path
) -> None:
    """What Windows lacks is taken away from every process, by a module that Python imports as it starts."""
    folder = tmp_path / "like windows"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LIKE_WINDOWS, encoding="utf-8")
    path = str(folder)
    assert workbook("start", "1", PYTHONPATH=path).code == 0
    answer(copy_of(bundle), double=RIGHT["double"], quadruple="def quadruple(n):\n    while True: pass")
    code, out, err = workbook("check", "1", PYTHONPATH=path)
    assert code == 1
    assert "no warm process (this system has no forks or no local sockets)" in err
    assert re.search(r"✓ +1 double +40/40", out)
    assert "the cell ran longer than 2 s and was stopped" in out
    assert workbook("submit", "1", PYTHONPATH=path).code == 0
