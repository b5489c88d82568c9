"""The warm process outlives its commands and ends alone; what it forks ends with the command that wanted it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autograder.engine.guest.usage import below
from autograder.execution.job import Code, Job, Run, was_cancelled
from autograder.execution.verdicts import Verdict
from autograder.learner.backend import Bench, PlainBench, WarmBench, open_bench
from autograder.learner.fork_client import Lasting, NoWarmProcessError, private_folder
from autograder.learner.start import start_week
from autograder.week.source import Limits

from ..processes import ended, wait_until
from .conftest import WEEK, answer, copy_of

LIMITS = Limits(cell_seconds=60, total_seconds=100, memory_gib=1)


def living_below(pid: int) -> list[int]:
    return [one for one in below(pid)[1:] if not ended(one)]


def job(*sources: str, limits: Limits = LIMITS) -> Job:
    return Job("job", tuple(Code(f"c{n}", source) for n, source in enumerate(sources)), limits)


def verdicts(run: Run) -> list[str]:
    return [done.verdict.value for done in run.cells.values()]


@pytest.fixture
def own_runtime(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sockets of this test alone."""
    folder = runtime / tmp_path.name[-20:]
    monkeypatch.setenv("WORKBOOK_RUNTIME", str(folder))
    return folder / "workbook"


def test_one_process_serves_everyone(own_runtime: Path) -> None:
    many = [Lasting(()) for _ in range(4)]
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda one: one.start(), many))
    assert len({one.pid for one in many}) == 1
    assert [one.started for one in many].count(True) == 1
    for one in many:
        one.hang_up()
    later = Lasting(())
    later.start()
    assert (later.pid, later.started) == (many[0].pid, False)
    os.kill(later.pid, signal.SIGKILL)


def test_other_libraries_and_other_profiles_have_another_process(
    own_runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Lasting(()), Lasting(("csv",))
    first.start()
    second.start()
    monkeypatch.setenv("PROFILE", "gpu")
    third = Lasting(())
    third.start()
    assert len({first.pid, second.pid, third.pid}) == 3
    for one in (first, second, third):
        os.kill(one.pid, signal.SIGKILL)


def test_it_ends_when_nobody_was_connected_for_a_while(own_runtime: Path) -> None:
    warm = Lasting((), idle_seconds=0.1)
    warm.start()
    bench = WarmBench(warm)
    assert verdicts(next(bench.run([job("import time; time.sleep(0.3)")]))) == ["PASS"]
    assert not ended(warm.pid), "while somebody is connected it stays"
    bench.close()
    assert wait_until(lambda: ended(warm.pid))
    assert not list(own_runtime.glob("*.socket"))


def test_one_that_was_killed_is_started_again(own_runtime: Path) -> None:
    first = Lasting(())
    first.start()
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: ended(first.pid))
    assert list(own_runtime.glob("*.socket")), "it could not tidy up"
    second = Lasting(())
    second.start()
    assert second.started
    bench = WarmBench(second)
    assert verdicts(next(bench.run([job("1 + 1")]))) == ["PASS"]
    os.kill(second.pid, signal.SIGKILL)


def test_nobody_else_may_enter_its_folder(own_runtime: Path) -> None:
    assert private_folder().stat().st_mode & 0o777 == 0o700
    own_runtime.chmod(0o755)
    with pytest.raises(NoWarmProcessError, match="can be entered by others"):
        private_folder()
    own_runtime.rmdir()
    own_runtime.symlink_to(own_runtime.parent)
    with pytest.raises(NoWarmProcessError):
        private_folder()


@pytest.mark.parametrize(
    ("libraries", "said"), [(("no_such_module",), "No module named 'no_such_module'"), ((), "too long for a socket")]
)
def test_where_it_cannot_start_a_plain_process_does_the_work(
    own_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libraries: tuple[str, ...], said: str
) -> None:
    if not libraries:
        monkeypatch.setenv("WORKBOOK_RUNTIME", str(tmp_path / ("x" * 100)))
    bench = open_bench(libraries)
    assert isinstance(bench, PlainBench)
    assert said in bench.note
    assert verdicts(next(bench.run([job("1 + 1")]))) == ["PASS"]
    bench.close()


def test_a_system_without_forks_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("autograder.learner.fork_client.socket.AF_UNIX")
    assert "no forks or no local sockets" in open_bench(()).note


def test_both_benches_say_the_same(bench: Bench) -> None:
    short = Limits(cell_seconds=1, total_seconds=100, memory_gib=1)
    runs = list(
        bench.run(
            [
                job("x = 1", "assert x == 2, 'one'", "x += 1"),
                job("x"),
                job("import os", "os._exit(7)", "y = 1", "assert y == 1"),
                job("while True: pass", "z = 1", limits=short),
            ]
        )
    )
    assert [verdicts(run) for run in runs] == [
        ["PASS", "FAIL", "PASS"],
        ["ERROR"],
        ["PASS", "CRASH", "PASS", "PASS"],
        ["TIMEOUT", "PASS"],
    ]
    assert "one" in runs[0].cells["c1"].message
    assert runs[1].cells["c0"].message == "NameError: name 'x' is not defined", "jobs do not see each other"
    assert "exit code 7" in runs[2].cells["c1"].message


def test_what_is_printed_is_no_event(bench: Bench) -> None:
    run = next(bench.run([job("import os; print('{}'); os.write(1, b'{\"end\": true}\\n'); x = 1", "assert x == 1")]))
    assert verdicts(run) == ["PASS", "PASS"]


def test_cancelling_ends_what_runs(bench: Bench, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    endless = job(f"open({str(begun)!r}, 'w').close()\nwhile True: pass")
    found: list[Run] = []
    thread = threading.Thread(target=lambda: found.extend(bench.run([endless, job("1")])))
    thread.start()
    assert wait_until(begun.exists)
    bench.cancel()
    thread.join(30)
    assert not thread.is_alive()
    for run in found:
        assert {done.verdict for done in run.cells.values()} == {Verdict.INFRA}
        assert was_cancelled(run)
    assert len(found) == 2
    assert was_cancelled(next(bench.run([job("1")])))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_a_command_that_ends_takes_its_checks_along(
    bundle: Path, own_runtime: Path, tmp_path: Path, number: signal.Signals
) -> None:
    start_week(bundle, WEEK)
    begun = tmp_path / "begun"
    code = f"def double(number):\n    open({str(begun)!r}, 'w').close()\n    while True: pass"
    answer(copy_of(bundle), double=code)
    before = copy_of(bundle).read_bytes()
    warm = Lasting(())
    warm.start()
    warm.hang_up()
    process = subprocess.Popen(
        [sys.executable, "-m", "autograder.cli", "check", "1"],
        cwd=bundle,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert wait_until(begun.exists)
        assert len(living_below(warm.pid)) == 2, "a keeper and the check"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in err
    if number is signal.SIGINT:
        assert process.returncode == 130
    assert wait_until(lambda: not living_below(warm.pid)), "nothing runs on"
    assert not ended(warm.pid), "but the warm process waits for the next command"
    assert copy_of(bundle).read_bytes() == before
    os.kill(warm.pid, signal.SIGKILL)


def test_nonsense_on_its_socket_does_not_end_it(own_runtime: Path) -> None:
    warm = Lasting(())
    warm.start()
    (path,) = own_runtime.glob("*.socket")
    for nonsense in (b"", b"x", json.dumps({"a": 1}).encode()):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(nonsense)
    bench = WarmBench(warm)
    assert verdicts(next(bench.run([job("1 + 1")]))) == ["PASS"]
    bench.close()
    os.kill(warm.pid, signal.SIGKILL)
