"""A notebook that may be somebody else's is named before it runs: a check has no sandbox."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.learner.ownership import doubts, remember_answers
from autograder.learner.state import Kept
from autograder.learner.tasks import open_lesson

from .conftest import RIGHT, WEEK, Workbook, answer, copy_of

MARK = "import pathlib\npathlib.Path('ran').touch()\n"
STRANGE = {name: f"{MARK}{code}" for name, code in RIGHT.items()}


def seen(bundle: Path) -> str:
    return doubts(bundle, open_lesson(bundle, "1"), Kept.of(bundle, WEEK))


def checked(bundle: Path) -> None:
    kept = Kept.of(bundle, WEEK)
    remember_answers(open_lesson(bundle, "1"), kept)
    kept.save()


def test_work_that_grows_here_is_one_s_own(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    assert seen(bundle) == ""
    answer(copy_of(bundle), double=RIGHT["double"])
    assert seen(bundle) == ""
    checked(bundle)
    answer(copy_of(bundle), quadruple=RIGHT["quadruple"])
    assert seen(bundle) == ""
    checked(bundle)
    answer(copy_of(bundle), double=STRANGE["double"])
    assert seen(bundle) == ""


@pytest.mark.parametrize("before", [False, True], ids=["first check", "another was checked before"])
def test_answers_that_were_never_here_are_doubted(bundle: Path, workbook: Workbook, before: bool) -> None:
    workbook("start", "1")
    if before:
        answer(copy_of(bundle), **RIGHT)
        checked(bundle)
    answer(copy_of(bundle), **STRANGE)
    assert seen(bundle) == f"work/{WEEK}/tiny.ipynb holds 2 answers, and none of them has been checked here before"


def test_a_copy_that_is_a_link_out_of_work_is_doubted(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    elsewhere = bundle / "course" / "submitted" / "mallory" / WEEK / "tiny.ipynb"
    elsewhere.parent.mkdir(parents=True)
    shutil.move(copy_of(bundle), elsewhere)
    copy_of(bundle).symlink_to(elsewhere)
    assert seen(bundle) == f"work/{WEEK}/tiny.ipynb leads out of work/, to {elsewhere}"


def test_a_copy_of_another_user_is_doubted(bundle: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch) -> None:
    workbook("start", "1")
    monkeypatch.setattr(os, "getuid", lambda: copy_of(bundle).stat().st_uid + 1)
    assert seen(bundle) == f"work/{WEEK}/tiny.ipynb belongs to another user of this computer"


@pytest.mark.parametrize("command", [("check", "1"), ("submit", "1", "--dry-run")], ids=lambda words: words[0])
def test_it_is_said_before_anything_runs(bundle: Path, workbook: Workbook, command: tuple[str, ...]) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), **STRANGE)
    _, _, err = workbook(*command)
    assert "none of them has been checked here before. This runs it as you are, without a sandbox" in err
    if command[0] == "check":
        assert workbook("check", "1").err == "", "once is enough"


def test_on_a_terminal_it_is_asked_and_no_means_no(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    answer(copy_of(bundle), **STRANGE)
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "autograder.cli", "check", "1"]
    process = subprocess.Popen(command, cwd=bundle, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.close(theirs)
    os.write(mine, b"n\n")
    out, _ = process.communicate(timeout=60)
    os.close(mine)
    assert b"Is it yours?" in out
    assert process.returncode == 1
    assert not list(bundle.rglob("ran"))
