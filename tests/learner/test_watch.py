"""`workbook watch` as a person at a terminal sees it, beside every kind of editor."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.learner.start import start_week

from ..processes import wait_until
from .conftest import RIGHT, SAME, WEEK, answer, copy_of, read, source_of, write
from .terminal import SECONDS, Terminal
from .test_editors import colab, vs_code

KEYS = "c check now . h hint . l list . r reset . q quit"


@pytest.fixture
def terminal(bundle: Path) -> Iterator[Terminal]:
    start_week(bundle, WEEK)
    made = Terminal(bundle, "watch", "1")
    yield made
    made.close()


def test_a_week_from_the_first_stub_to_the_end(bundle: Path, terminal: Terminal) -> None:
    terminal.sees("0 of 2 exercises")
    terminal.sees("Exercise 1. Double . 0/40 points . cell 4")
    terminal.sees("Not written yet")
    terminal.sees(KEYS)
    answer(copy_of(bundle), double=SAME)
    terminal.sees("✗ double of 2")
    terminal.sees("likely cause: this is the number itself")
    terminal.press("h")
    terminal.sees("Hint 1 of 3: the idea")
    terminal.press("h")
    terminal.sees("Hint 2 of 3: pseudocode")
    terminal.press("l")
    terminal.sees("2 quadruple +0/40 points")
    terminal.press("l")
    answer(copy_of(bundle), double=RIGHT["double"])
    terminal.sees("1 of 2 exercises . 40/80 points")
    terminal.sees("Exercise 2. Quadruple")
    terminal.sees("✓ double passes")
    answer(copy_of(bundle), quadruple=RIGHT["quadruple"])
    terminal.sees("All visible tests pass. Next: workbook submit 1")
    terminal.press("q")
    assert terminal.ends() == 0
    kept = json.loads((bundle / "work" / ".workbook" / f"{WEEK}.json").read_text(encoding="utf-8"))
    assert kept["hints"] == {"double": 2}
    assert {name: result["state"] for name, result in kept["results"].items()} == {
        "double": "PASS",
        "quadruple": "PASS",
    }


def test_reset_asks_first_and_keeps_the_former_file(bundle: Path, terminal: Terminal) -> None:
    answer(copy_of(bundle), double=SAME)
    terminal.sees("✗ double of 2")
    terminal.press("r")
    terminal.sees("Put the stub of double back")
    terminal.press("n")
    terminal.sees("nothing was changed")
    assert source_of(copy_of(bundle), "double") == SAME
    terminal.press("r")
    terminal.sees("Put the stub of double back")
    terminal.press("y")
    terminal.sees("the stub of double is back")
    terminal.sees("Not written yet")
    assert "NotImplementedError" in source_of(copy_of(bundle), "double")
    (backup,) = (copy_of(bundle).parent / "backups").iterdir()
    assert source_of(backup, "double") == SAME


def half_written(path: Path, notebook: dict[str, Any]) -> None:
    """An editor that writes in place, and stops in the middle for a while."""
    path.write_text(json.dumps(notebook)[:500], encoding="utf-8")


def test_half_a_file_and_no_file_are_waited_for(bundle: Path, terminal: Terminal) -> None:
    terminal.sees("Not written yet")
    whole = read(copy_of(bundle))
    half_written(copy_of(bundle), whole)
    terminal.sees("the file breaks off")
    copy_of(bundle).unlink()
    terminal.sees("is not there")
    write(copy_of(bundle), whole)
    answer(copy_of(bundle), double=SAME)
    terminal.sees("✗ double of 2")
    terminal.press("q")
    assert terminal.ends() == 0


@pytest.mark.parametrize("editor", [vs_code, colab])
def test_what_other_editors_save_is_checked(
    bundle: Path, terminal: Terminal, editor: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    terminal.sees("Not written yet")
    answer(copy_of(bundle), double=SAME)
    write(copy_of(bundle), editor(read(copy_of(bundle))))
    terminal.sees("✗ double of 2")


def test_saving_again_gives_up_what_runs(bundle: Path, terminal: Terminal, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    terminal.sees("Not written yet")
    answer(copy_of(bundle), double=f"open({str(begun)!r}, 'w').close()\nwhile True: pass\ndef double(n): return 2 * n")
    assert wait_until(begun.exists, SECONDS)
    terminal.sees("checking double")
    answer(copy_of(bundle), double=RIGHT["double"])
    terminal.sees("1 of 2 exercises")


def test_a_small_window_keeps_the_keys_in_sight(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double="def double(number):\n    raise ValueError('a\\n' * 60)")
    small = Terminal(bundle, "watch", "1", rows=12)
    small.sees("ValueError")
    small.sees(KEYS)
    small.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_ctrl_c_and_a_closed_terminal_end_it_and_lose_nothing(
    bundle: Path, terminal: Terminal, number: signal.Signals
) -> None:
    terminal.sees("Not written yet")
    answer(copy_of(bundle), double=RIGHT["double"])
    terminal.sees("1 of 2 exercises")
    before = copy_of(bundle).read_bytes()
    if number is signal.SIGINT:
        terminal.press("\x03")
        assert terminal.ends() == 0
    else:
        terminal.child.ptyproc.fileobj.close()
        assert wait_until(lambda: not terminal.child.isalive(), SECONDS)
    assert copy_of(bundle).read_bytes() == before


def test_without_a_terminal_it_writes_a_log(bundle: Path) -> None:
    start_week(bundle, WEEK)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "autograder.cli", "watch", "1"],
        cwd=bundle,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert "0 of 2 exercises" in process.stdout.readline()
        assert process.stdout.readline() == "· double not written yet\n"
        answer(copy_of(bundle), double=SAME)
        assert "0 of 2 exercises · 20/80" in process.stdout.readline()
        assert process.stdout.readline() == "✗ double \n"
        assert process.stdout.readline() == "✗ double of 2: double(2) not as expected\n"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


LONG = "def double(number):\n    raise ValueError('\\n'.join(f'row {n} of it' for n in range(40)))"


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (20, 60)])
def test_every_key_on_a_small_screen(bundle: Path, rows: int, columns: int) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=LONG)
    terminal = Terminal(bundle, "watch", "1", rows=rows, columns=columns)
    terminal.sees("row 0 of it")
    assert re.search(KEYS, terminal.lines[-1])
    assert "row 39 of it" not in terminal.text
    for down, up in (("\x1b[F", "\x1b[H"), ("\x1bOF", "\x1bOH"), ("  " * 9, "bb" * 9), ("\x1b[6~" * 9, "\x1b[5~" * 9)):
        terminal.press(down)
        terminal.sees("row 39 of it")
        terminal.press(up)
        terminal.sees("row 0 of it")
    for down, up in (("\x1b[B", "\x1b[A"), ("\x1bOB", "\x1bOA"), ("j", "k")):
        terminal.press(down)
        terminal.sees("lines 2–")
        terminal.press(up)
        terminal.sees("lines 1–")
    terminal.press("h")
    terminal.sees("Hint 1 of 3: the idea")
    terminal.press("l")
    terminal.sees("1 double +0/40 points")
    assert "Hint" not in terminal.text
    terminal.press("l")
    terminal.sees("row 0 of it")
    terminal.press("r")
    terminal.sees("Put the stub of double back .* y/n")
    terminal.press("x")
    terminal.sees("nothing was changed")
    terminal.press("c")
    terminal.sees("double was checked again")
    terminal.press("\x1b\x1b[24~ü\t\n?")  # Escape, F12 and letters that say nothing
    terminal.sees_no_more("double was checked again")
    terminal.press("Q")
    assert terminal.ends() == 0
    assert source_of(copy_of(bundle), "double") == LONG


def test_a_changed_file_that_nobody_tells_of_is_seen(bundle: Path) -> None:
    """As on network drives and in shared folders: the watcher of files polls once an hour here."""
    start_week(bundle, WEEK)
    terminal = Terminal(bundle, "watch", "1", WATCHFILES_FORCE_POLLING="true", WATCHFILES_POLL_DELAY_MS="3600000")
    terminal.sees("Not written yet")
    answer(copy_of(bundle), double=SAME)
    terminal.sees("✗ double of 2")
    terminal.close()


def test_a_key_checks_what_looks_unchanged(bundle: Path) -> None:
    """Size and time of the file are those of before, as on a file system whose clock is coarse."""
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double="def double(number):\n    return number + 0")
    terminal = Terminal(bundle, "watch", "1", WATCHFILES_FORCE_POLLING="true", WATCHFILES_POLL_DELAY_MS="3600000")
    terminal.sees("this is the number itself")
    before = copy_of(bundle).stat()
    text = copy_of(bundle).read_text(encoding="utf-8").replace("return number + 0", "return number * 2")
    copy_of(bundle).write_text(text, encoding="utf-8")
    os.utime(copy_of(bundle), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert copy_of(bundle).stat().st_size == before.st_size
    terminal.press("c")
    terminal.sees("1 of 2 exercises")
    terminal.close()


def test_another_size_of_the_window_is_drawn(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=LONG)
    terminal = Terminal(bundle, "watch", "1", rows=24, columns=100)
    terminal.sees("row 0 of it")
    for rows, columns in ((20, 60), (12, 80), (40, 120)):
        terminal.resize(rows, columns)
        terminal.sees(rf"(?m)^─{{{columns}}}$")
        terminal.sees(rf"{KEYS}\Z")
        assert "0 of 2 exercises" in terminal.lines[1]
        assert len(terminal.lines) == rows
    terminal.close()


def test_it_begins_with_the_exercise_that_was_asked_for(bundle: Path) -> None:
    start_week(bundle, WEEK)
    terminal = Terminal(copy_of(bundle).parent, "watch", "quadruple")
    terminal.sees("Exercise 2. Quadruple")
    terminal.close()
