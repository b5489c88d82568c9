"""What is asked before a week is submitted, and what happens where a folder cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from autograder.commands import learner
from autograder.core.files import replace_file
from autograder.learner import state
from autograder.learner.start import start_week

from .conftest import RIGHT, SAME, WEEK, Workbook, answer, copy_of, read, write
from .terminal import Terminal


def submissions(bundle: Path) -> list[str]:
    return sorted(path.name for path in (bundle / "work" / "submissions").glob("*"))


@pytest.mark.parametrize(("key", "made"), [("y", [f"{WEEK}.zip"]), ("n", []), ("", [])], ids=["yes", "no", "enter"])
def test_a_blank_notebook_is_asked_about(bundle: Path, key: str, made: list[str]) -> None:
    start_week(bundle, WEEK)
    terminal = Terminal(bundle, "submit", "1", rows=40)
    terminal.sees(r"Nothing is answered in .*: no exercise and no written\s+question")
    terminal.sees(r"Submit it all the same\? \[y/N\]:")
    terminal.press(f"{key}\n")
    terminal.sees("submitted: " if made else "nothing was submitted")
    assert terminal.ends() == 0
    assert submissions(bundle) == made


def test_where_nobody_answers_a_blank_notebook_is_refused(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    code, out, err = workbook("submit", "1")
    assert (code, out) == (1, "")
    assert err == (
        f"error: nothing is answered in work/{WEEK}/tiny.ipynb"
        " -> answer something, or say --blank to submit it as it is\n"
    )
    assert submissions(bundle) == []
    assert workbook("submit", "1", "--dry-run").code == 0, "looking is free"
    assert workbook("submit", "1", "--blank").code == 0
    assert submissions(bundle) == [f"{WEEK}.zip"]


@pytest.mark.parametrize("which", ["an exercise", "a question"])
def test_one_answer_is_enough(bundle: Path, workbook: Workbook, which: str) -> None:
    workbook("start", "1")
    if which == "an exercise":
        answer(copy_of(bundle), quadruple="def quadruple(n): return 1")
    else:
        notebook = read(copy_of(bundle))
        notebook["cells"][-1]["source"] += "\n\nBecause."
        write(copy_of(bundle), notebook)
    assert workbook("submit", "1").code == 0


def test_what_cannot_be_kept_is_shown_all_the_same(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be written, or a full disk: what was found is true, and only not state."""
    start_week(bundle, WEEK)
    answer(copy_of(bundle), **RIGHT)

    def full(path: Path, content: bytes, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(state, "replace_file", full)
    learner.check("1")
    shown = capsys.readouterr()
    assert "2 of 2 exercises" in shown.out
    assert f"what was found is not kept for later ({WEEK}.json: Read-only file system)" in shown.err
    learner.hint("1", "double")
    shown = capsys.readouterr()
    assert "Hint 1 of 3: the idea" in shown.out
    assert "is not kept" in shown.err
    monkeypatch.setattr(state, "replace_file", replace_file)
    answer(copy_of(bundle), double=SAME)
    with pytest.raises(SystemExit):
        learner.check("1")
    assert "✗  1 double" in capsys.readouterr().out


def test_watch_goes_on_where_nothing_can_be_kept(bundle: Path) -> None:
    start_week(bundle, WEEK)
    (bundle / "work" / ".workbook" / f"{WEEK}.json").mkdir()  # nothing can be written in its place, not even by root
    answer(copy_of(bundle), double=SAME)
    terminal = Terminal(bundle, "watch", "1")
    terminal.sees("this is the number itself")
    terminal.sees("what was found is not kept")
    terminal.press("q")
    assert terminal.ends() == 0
