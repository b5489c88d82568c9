"""What a learner sees while they wait, and what Ctrl-C leaves behind: no process, and everything that was there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.engine.cell_kinds import ANSWER, OWN, TEST, TRUSTED
from autograder.execution.job import Code, Job
from autograder.learner.backend import PlainBench, open_bench
from autograder.learner.fork_client import private_folder
from autograder.learner.start import start_week
from autograder.learner.state import Kept
from autograder.learner.steps import COUNTDOWN_AFTER, Step, running

from ..processes import ended, wait_until
from .conftest import RIGHT, SAME, WEEK, answer, copy_of, read, write
from .terminal import SECONDS, Terminal

SLOW = """
import pathlib, time
pathlib.Path({begun!r}).touch()
while not pathlib.Path({go!r}).exists():
    time.sleep(0.01)
"""
ENDLESS = "def double(number):\n    while True: pass"


@pytest.fixture
def patient(bundle: Path) -> Path:
    """The week with a limit that nobody waits for; it is begun, and its first answer never ends."""
    path = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = read(path)
    notebook["metadata"]["workbook"]["limits"] |= {"cell_seconds": 500, "total_seconds": 900}
    write(path, notebook)
    start_week(bundle, WEEK)
    return bundle


@pytest.fixture
def slow(bundle: Path, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The week needs a library whose import ends when the file `go` is there; gives the folder of `go` and `begun`."""
    monkeypatch.setenv("WORKBOOK_RUNTIME", str(runtime / tmp_path.name[-20:]))
    folder = tmp_path / "library"
    folder.mkdir()
    text = SLOW.format(begun=str(folder / "begun"), go=str(folder / "go"))
    (folder / "slow_library.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    path = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = read(path)
    notebook["metadata"]["workbook"]["libraries"] = ["slow_library"]
    write(path, notebook)
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=RIGHT["double"])
    yield folder
    (folder / "go").touch()


def test_a_step_in_words() -> None:
    step = Step("double: your cell", since=100.0, until=160.0)
    assert step.words(100.2) == "double: your cell · 0 s"
    assert step.words(100.0 + COUNTDOWN_AFTER - 0.1) == "double: your cell · 2 s"
    assert step.words(103.0) == "double: your cell · 3 s · stopped in 57 s"
    assert step.words(159.5) == "double: your cell · 59 s · stopped in 1 s"
    assert step.words(161.0) == "double: your cell · 61 s · stopped in 0 s"
    assert Step("importing torch", since=100.0).words(112.7) == "importing torch · 12 s"


def test_every_kind_of_cell_has_its_words() -> None:
    cells = [Code("setup", "", TRUSTED), Code("double", "", ANSWER, "double"), Code("own-1", "", OWN)]
    cells += [Code(f"t{number}", "", TEST, "double") for number in (1, 2)]
    job = Job("double", tuple(cells))
    assert [running(job, cell.id, 0.0).what for cell in cells] == [
        "set-up and given code",
        "double: your cell",
        "a cell of your own",
        "double: test 1 of 2",
        "double: test 2 of 2",
    ]


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "plain"])
def test_a_bench_tells_what_it_runs(warm: bool) -> None:
    told: list[Step] = []
    bench = open_bench((), tell=told.append) if warm else PlainBench("", ("csv", "json"), told.append)
    list(bench.run([Job("job", (Code("own-1", "1", OWN), Code("double", "2", ANSWER, "double")))]))
    bench.close()
    words = [step.what for step in told]
    assert words[-2:] == ["a cell of your own", "double: your cell"]
    assert all(step.until is not None and step.until > time.monotonic() for step in told[-2:])
    if not warm:
        assert words[0] == "importing csv, json"


@pytest.mark.parametrize("command", ["check", "watch"])
def test_the_first_check_names_the_library_it_waits_for(bundle: Path, slow: Path, command: str) -> None:
    terminal = Terminal(bundle, command, "1", columns=60, rows=20)
    terminal.sees(r"importing slow_library · \d+ s")
    terminal.sees(r"importing slow_library · [1-9]\d* s")
    (slow / "go").touch()
    terminal.sees("1 of 2 exercises")
    assert "importing" not in terminal.text, "the line leaves nothing behind"
    terminal.close()


def test_who_waits_for_another_command_is_told_so(bundle: Path, slow: Path) -> None:
    first = Terminal(bundle, "check", "1")
    first.sees("importing slow_library")
    second = Terminal(bundle, "check", "1")
    second.sees("waiting for another command that imports the same libraries · 0 s")
    (slow / "go").touch()
    for terminal in (first, second):
        terminal.sees("1 of 2 exercises")
        terminal.close()


@pytest.mark.parametrize("command", ["check", "watch", "submit"])
def test_ctrl_c_during_the_imports_leaves_no_process(bundle: Path, slow: Path, command: str) -> None:
    before = copy_of(bundle).read_bytes()
    terminal = Terminal(bundle, command, "1")
    terminal.sees("importing slow_library")
    assert wait_until((slow / "begun").exists, SECONDS)
    processes = terminal.processes()
    assert len(processes) > 1
    terminal.press("\x03")
    assert terminal.ends() == (0 if command == "watch" else 130)
    (slow / "go").touch()
    for pid in processes:
        assert wait_until(lambda pid=pid: ended(pid), SECONDS)  # type: ignore[misc]
    assert copy_of(bundle).read_bytes() == before
    assert not list(private_folder().glob("*.socket"))


@pytest.mark.parametrize("command", ["check", "watch"])
def test_an_endless_loop_has_a_countdown(patient: Path, command: str) -> None:
    answer(copy_of(patient), double=ENDLESS)
    terminal = Terminal(patient, command, "1", columns=60, rows=20)
    terminal.sees(r"double: test 1 of 2 · \d+ s · stopped in 49\d s")
    terminal.press("\x03")
    terminal.ends()


@pytest.mark.parametrize("command", ["check", "watch", "submit"])
def test_ctrl_c_ends_what_runs_and_loses_nothing(patient: Path, tmp_path: Path, command: str) -> None:
    pids = tmp_path / "pid"
    endless = (
        f"import os\ndef quadruple(number):\n    open({str(pids)!r}, 'w').write(str(os.getpid()))\n    while True: pass"
    )
    answer(copy_of(patient), double=SAME, quadruple=endless)
    before = copy_of(patient).read_bytes()
    terminal = Terminal(patient, command, "1")
    terminal.sees("Is it yours")
    terminal.press("y\n")
    assert wait_until(lambda: pids.exists() and bool(pids.read_text()), SECONDS)
    pid = int(pids.read_text())
    terminal.press("\x03")
    assert terminal.ends() == (0 if command == "watch" else 130)
    assert wait_until(lambda: ended(pid), SECONDS)
    assert copy_of(patient).read_bytes() == before
    if command != "submit":
        assert list(Kept.of(patient, WEEK).results) == ["double"], "what was found before is kept"
    assert not (patient / "work" / "submissions").exists()
    assert not list(patient.rglob("*.part"))


def test_ctrl_c_at_a_question_does_nothing(patient: Path) -> None:
    before = {path: path.read_bytes() for path in patient.rglob("*") if path.is_file()}
    terminal = Terminal(patient, "submit", "1")
    terminal.sees("Submit it all the same")
    terminal.press("\x03")
    assert terminal.ends() in (1, 130)
    assert {path: path.read_bytes() for path in patient.rglob("*") if path.is_file()} == before
