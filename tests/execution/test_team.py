"""A team runs many jobs: what it starts again, what is its own fault, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.engine.cell_kinds import ANSWER, TEST
from autograder.execution.job import Code, Job, Mode, Run
from autograder.execution.pool import Team
from autograder.execution.verdicts import Verdict
from autograder.execution.warm_process import ENVIRONMENT, WarmProcess
from autograder.week.source import Limits

from ..processes import ended, wait_until
from .cells import WARM_PID, job_of, pid_in, run, text, verdicts, write_pid

# many jobs, and the warm process


def test_results_come_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    finished: list[str] = []
    wait = f"import os\nwhile not os.path.exists({str(tmp_path / 'go')!r}): pass"
    go = f"open({str(tmp_path / 'go')!r}, 'w').close()"

    def note(done: Run) -> None:
        finished.append(done.name)

    with Team(2, libraries=(), on_done=note) as team:
        jobs = [job_of(wait, name="slow"), job_of(go, name="quick"), job_of("1", name="last")]
        results = list(team.run(jobs))
    assert [done.name for done in results] == ["slow", "quick", "last"]
    assert [done.cells["cell-0"].verdict for done in results] == ["PASS"] * 3, "the first two ran side by side"
    assert sorted(finished) == ["last", "quick", "slow"]


def test_a_warm_process_that_was_killed_is_started_again() -> None:
    show = f"import os\nprint({WARM_PID})"
    with Team(1, libraries=()) as team:
        first = int(text(run(team, show)[0]))
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: ended(first))
        second = int(text(run(team, show)[0]))
        assert second != first
        assert int(text(run(team, show)[0])) == second


def test_a_job_whose_warm_process_dies_once_is_run_again(tmp_path: Path) -> None:
    mark = str(tmp_path / "died")
    once = f"import os, signal, time\nif not os.path.exists({mark!r}):\n    open({mark!r}, 'w').close()\n"
    once += f"    os.kill({WARM_PID}, signal.SIGKILL)\n    time.sleep(60)"
    with Team(1, libraries=()) as team:
        assert verdicts(run(team, "1", once, "2")) == ["PASS", "PASS", "PASS"]
    assert (tmp_path / "died").exists()


def test_a_warm_process_that_dies_twice_under_a_job_is_the_grader_s_fault() -> None:
    deadly = f"import os, signal, time\nos.kill({WARM_PID}, signal.SIGKILL)\ntime.sleep(60)"
    with Team(1, libraries=()) as team:
        dead, healthy = team.run([job_of("1", deadly, name="ann"), job_of("1", name="bob")])
    assert verdicts(list(dead.cells.values())) == ["INFRA", "INFRA"]
    assert dead.cells["cell-0"].message == "InfraError: the warm process is gone"
    assert healthy.cells["cell-0"].verdict is Verdict.PASS


def test_a_library_that_is_missing_is_named() -> None:
    warm = WarmProcess("learner", ["no_such_library"])
    with pytest.raises(WorkbookError, match=r"warm process did not start: .*No module named 'no_such_library' -> "):
        warm.start()
    with Team(1, libraries=["no_such_library"]) as team:
        (done,) = team.run([job_of("1", "2")])
    assert verdicts(list(done.cells.values())) == ["INFRA", "INFRA"]
    assert "No module named 'no_such_library'" in done.cells["cell-1"].message


def test_a_library_that_starts_a_thread_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()\n"
    (tmp_path / "thread_starter.py").write_text(thread, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    warm = WarmProcess("learner", ["thread_starter"])
    with pytest.raises(WorkbookError, match="2 threads before its first fork -> take the library"):
        warm.start()


FIRST_TIMES = """
import sys
from autograder.engine.guest import fork_server
from autograder.engine.guest.shell import run_cell, seed_everything
from autograder.execution.warm_process import warm_up_code

shell, greeting = fork_server.warm_up(warm_up_code("learner", ["torch"]))
print(greeting.decode(), end="")
before = set(sys.modules)
seed_everything()
for cell in ("import torch", "torch.ones(2)", "print(torch.rand(2))", "int('x')", "def f(: pass"):
    run_cell(shell, cell)
print(sorted(set(sys.modules) - before))
print(shell.execution_count, sorted(name for name in shell.user_ns if name in ("_", "__", "torch")))
"""


def test_first_cells_first_results_and_first_errors_import_nothing_after_the_warm_up() -> None:
    """What a child imports, every other child imports again."""
    command = [sys.executable, "-c", FIRST_TIMES]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True)
    greeting, imported, left = done.stdout.splitlines()
    assert json.loads(greeting)["threads"] == 1
    assert imported == "[]"
    assert left == "1 ['_', '__', 'torch']"


def test_a_library_that_prints_while_it_is_imported_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talker.py").write_text("print('hello', flush=True)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Team(1, libraries=["talker"]) as team:
        assert verdicts(run(team, "import sys\nassert 'talker' in sys.modules")) == ["PASS"]


# the grader's own faults


def graded(name: str, test: str, answer: str = "def double(x): return 2 * x") -> Job:
    """An answer and a test of it."""
    cells = (Code("answer", answer, ANSWER, "double"), Code("test", test, TEST, "double"))
    return Job(name, cells, Limits(cell_seconds=20, total_seconds=60, memory_gib=1), ("double",))


def inside(warm: WarmProcess) -> int:
    """The process id of a warm process itself: below bubblewrap, where that started it."""
    assert warm._process is not None
    pid = warm._process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text()) if warm._sandboxed else pid


def killing(pid: str | int, mark: Path | None = None) -> str:
    """A test that kills a process and goes on until its own end; with a mark only once."""
    kill = f"os.kill({pid}, signal.SIGKILL)\nwhile True: double(1)\n"
    once = f"if not os.path.exists({str(mark)!r}):\n    open({str(mark)!r}, 'w').close()\n" if mark else "if True:\n"
    return "import os, signal\n" + once + "".join(f"    {line}\n" for line in kill.splitlines())


@pytest.fixture(scope="module", params=[Mode.UNSAFE, Mode.SANDBOX], ids=str)
def judging(request: pytest.FixtureRequest) -> Iterator[Team]:
    with Team(2, libraries=(), mode=request.param) as team:
        team.ready()
        yield team


SOUND = graded("sound", "assert double(2) == 4")


def test_a_job_whose_judge_is_killed_once_is_judged_again(judging: Team, tmp_path: Path) -> None:
    killed, sound = judging.run([graded("killed", killing("os.getpid()", tmp_path / "mark")), SOUND])
    assert (tmp_path / "mark").exists()
    for done in (killed, sound):
        assert verdicts([*done.cells.values()]) == ["PASS", "PASS"]


def test_a_job_whose_judge_is_killed_twice_is_infra_and_other_jobs_are_untouched(judging: Team) -> None:
    killed, sound = judging.run([graded("killed", killing("os.getpid()")), SOUND])
    assert verdicts([*killed.cells.values()]) == ["INFRA", "INFRA"]
    assert killed.cells["test"].message == "InfraError: the judge ended (SIGKILL; EOFError)"
    assert verdicts([*sound.cells.values()]) == ["PASS", "PASS"]


@pytest.mark.parametrize("which", ["judges", "learners"])
def test_a_job_whose_warm_process_is_killed_once_is_judged_again(judging: Team, which: str, tmp_path: Path) -> None:
    warm = {"judges": judging._judges, "learners": judging._learners}[which]
    assert warm is not None
    (first,) = judging.run([SOUND])
    before = inside(warm)
    (done,) = judging.run([graded("killed", killing(before, tmp_path / "mark"))])
    assert (tmp_path / "mark").exists()
    assert [cell.message for cell in done.cells.values()] == ["", ""]
    assert verdicts([*first.cells.values()]) == verdicts([*done.cells.values()]) == ["PASS", "PASS"]
    assert inside(warm) != before


def test_jobs_after_a_killed_warm_process_are_judged(judging: Team) -> None:
    assert judging._learners is not None
    for warm in (judging._judges, judging._learners):
        os.kill(inside(warm), signal.SIGKILL)
        for done in judging.run([SOUND, SOUND, SOUND]):
            assert verdicts([*done.cells.values()]) == ["PASS", "PASS"]


def test_a_warm_process_that_hung_up_and_is_not_gone_yet_is_replaced() -> None:
    warm = WarmProcess("learner", ())
    warm.start()
    first, held = warm._process, warm.control  # held open, so that the process stays
    try:
        warm.control, theirs = socket.socketpair()
        theirs.close()
        warm.start()
        assert first is not None
        assert warm._process is not first
        assert warm._process is not None
        assert warm._process.poll() is None
    finally:
        held.close()
        warm.close()


def test_a_learners_process_that_ends_by_itself_is_no_fault_of_the_grader(judging: Team) -> None:
    (done,) = judging.run([graded("left", "double(1)", "import os\ndef double(x): os._exit(3)")])
    assert verdicts([*done.cells.values()]) == ["PASS", "CRASH"]
    assert done.cells["test"].message == "the process ended inside this cell (exit code 3)"


def start_in_background(team: Team, job: Job) -> threading.Thread:
    """Run a job in another thread; closing the team cuts it off, and then its result does not matter."""

    def consume() -> None:
        with contextlib.suppress(Exception, CancelledError):
            list(team.run([job]))

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    return thread


def test_closing_the_team_ends_everything_below_it(tmp_path: Path) -> None:
    warm, child, background = tmp_path / "warm", tmp_path / "child", tmp_path / "background"
    source = "import os, subprocess\nsleep = subprocess.Popen(['sleep', '300'])\n"
    source += write_pid(warm, WARM_PID) + write_pid(child) + write_pid(background, "sleep.pid")
    with Team(1, libraries=()) as team:
        start_in_background(team, job_of(source + "while True: pass", cell=5))
        pids = {path.name: pid_in(path) for path in (warm, child, background)}
    left = [name for name, pid in pids.items() if not wait_until(partial(ended, pid), 3)]
    for name in left:
        os.kill(pids[name], signal.SIGKILL)
    assert left == []


@pytest.mark.parametrize("mode", list(Mode))
def test_ctrl_c_ends_everything(mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while a job runs leaves the block at once; no process and no folder stays."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    jobs = [job_of("while True: pass", cell=60) for _ in range(3)]
    team = Team(2, libraries=(), mode=mode)
    pids: list[int] = []

    def interrupt() -> None:
        team.ready()
        pids.extend(warm._process.pid for warm in team._warm() if warm._process)
        running = folder.iterdir if mode is not Mode.SANDBOX else lambda: iter([1])
        wait_until(lambda: bool(list(running())))
        os.kill(os.getpid(), signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt), team:  # noqa: PT012 - the interrupt comes from another thread
            threading.Thread(target=interrupt, daemon=True).start()
            list(team.run(jobs))
    finally:
        signal.signal(signal.SIGINT, before)
    assert pids
    assert all(wait_until(partial(ended, pid), 5) for pid in pids)
    team._executor.shutdown()
    assert list(folder.iterdir()) == []


def test_a_job_that_is_cut_off_by_closing_is_not_replayed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    source = f"with open({str(runs)!r}, 'a') as file: file.write('r')\n" + write_pid(tmp_path / "pid")
    with Team(1, libraries=()) as team:
        thread = start_in_background(team, job_of(source + "while True: pass", cell=2))
        pid_in(tmp_path / "pid")
    thread.join(30)
    assert not thread.is_alive()
    assert runs.read_text() == "r"


def test_closing_leaves_no_folder_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        with Team(1, libraries=()) as team:
            assert verdicts(run(team, "1")) == ["PASS"]
        assert wait_until(lambda: not list(Path(folder).iterdir()), 3), list(Path(folder).iterdir())


def test_a_team_may_be_closed_before_it_is_warm() -> None:
    for _ in range(3):
        with Team(1, libraries=()) as team:
            pass
        team._executor.shutdown()
        process = team._judges._process
        running = process is not None and process.poll() is None
        if process:
            process.kill()
            process.communicate()
        assert not running
