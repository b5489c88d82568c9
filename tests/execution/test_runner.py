"""The warm process runs cells: what they show, how they fail, how they die, and what they cannot touch."""

from __future__ import annotations

import base64
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
from autograder.engine.guest.shell import MAX_OUTPUT, MOST_PRINTED, MOST_SHOWN
from autograder.engine.judge import MAX_DEATHS
from autograder.execution.job import Code, Job, Mode, Run
from autograder.execution.pool import Team
from autograder.execution.verdicts import CellRun, Verdict
from autograder.execution.warm_process import ENVIRONMENT, WarmProcess
from autograder.week.source import Limits

from ..processes import ended, wait_until
from ..texts import PIXEL

WARM_PID = "int(open(f'/proc/{os.getppid()}/stat').read().rsplit(')')[-1].split()[1])"
"""For a cell: the parent of its keeper."""


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Team(2, libraries=()) as team:
        yield team


def job_of(*sources: str, name: str = "job", cell: float = 30, total: float = 60, memory: float = 1) -> Job:
    cells = tuple(Code(f"cell-{number}", source) for number, source in enumerate(sources))
    return Job(name, cells, Limits(cell_seconds=cell, total_seconds=total, memory_gib=memory))


def run(team: Team, *sources: str, cell: float = 30, total: float = 60, memory: float = 1) -> list[CellRun]:
    """What each cell of one job did, in the order of the cells."""
    job = job_of(*sources, cell=cell, total=total, memory=memory)
    (done,) = team.run([job])
    assert set(done.cells) == {code.id for code in job.cells}
    return [done.cells[code.id] for code in job.cells]


def verdicts(cells: list[CellRun]) -> list[str]:
    return [cell.verdict.value for cell in cells]


def text(cell: CellRun) -> str:
    """What the cell printed."""
    return "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")


def pid_in(path: Path) -> int:
    """The process id that a cell writes into a file."""
    assert wait_until(lambda: path.is_file() and path.read_text().endswith("\n")), f"{path.name} was never written"
    return int(path.read_text())


def write_pid(path: Path, pid: str = "os.getpid()") -> str:
    """Code that writes a process id into a file."""
    return f"import os\nwith open({str(path)!r}, 'w') as file: print({pid}, file=file)\n"


# what a cell shows


def test_standard_output_and_standard_error_are_one_stream(team: Team) -> None:
    (cell,) = run(team, "import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert cell.verdict is Verdict.PASS
    assert cell.message == ""
    assert cell.outputs == ({"output_type": "stream", "name": "stdout", "text": "out\nerr\n"},)


def test_the_last_value_is_shown_and_an_earlier_one_is_not(team: Team) -> None:
    (cell,) = run(team, "111\n222 + 1")
    assert "223" in text(cell)
    assert "111" not in text(cell)


def test_a_displayed_object_is_kept_as_text_and_picture_alone(team: Team) -> None:
    """HTML, SVG and JavaScript of a learner's would run in the instructor's browser."""
    kinds = "'text/plain': 'bold', 'text/html': '<b>', 'image/svg+xml': '<svg/>', 'application/javascript': '1'"
    (cell,) = run(team, f"from IPython.display import display\ndisplay({{{kinds}}}, raw=True)")
    assert cell.outputs == ({"output_type": "display_data", "data": {"text/plain": "bold"}, "metadata": {}},)


def test_a_figure_is_shown_and_closed() -> None:
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    with Team(1, libraries=["matplotlib.pyplot"]) as team:
        cell, after = run(team, "%matplotlib inline\n" + draw, "import matplotlib.pyplot as plt\nplt.get_fignums()")
    pictures = [output["data"]["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    assert [base64.b64decode(picture)[:8] for picture in pictures] == [PIXEL[:8]]
    assert "[]" in text(after)


def test_a_picture_given_as_bytes_is_kept_as_base64(team: Team) -> None:
    source = f"class Picture:\n    def _repr_png_(self): return {PIXEL!r}\n\nfrom IPython.display import display\n"
    (cell,) = run(team, source + "display(Picture())")
    (output,) = cell.outputs
    assert base64.b64decode(output["data"]["image/png"]) == PIXEL


def test_a_magic_and_a_top_level_await_run(team: Team) -> None:
    cells = run(team, "%time x = 1", "import asyncio\nawait asyncio.sleep(0)", "assert x == 1")
    assert verdicts(cells) == ["PASS", "PASS", "PASS"]


def test_a_flood_of_printed_text_is_cut(team: Team) -> None:
    (cell,) = run(team, "print('x' * 10 * 20_000)")
    assert cell.verdict is Verdict.PASS
    assert text(cell) == "x" * MAX_OUTPUT + "\n… the rest was cut"


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('x' * 10**7)",
        "print('x' * 10**7)",
        "from IPython.display import display\nfor _ in range(200): display({'text/plain': 'x' * 90_000}, raw=True)",
        "from IPython.display import display\ndisplay({'text/plain': 'x' * 10**7}, raw=True)",
    ],
    ids=["error", "print", "many displays", "large display"],
)
def test_no_flood_reaches_the_grader(team: Team, source: str) -> None:
    (cell,) = run(team, source)
    assert len(json.dumps(cell.outputs)) < 200 * MAX_OUTPUT
    assert len(cell.message) <= MAX_OUTPUT + 100


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("while True: print('x' * 10_000)", f"printed more than {MOST_PRINTED:,} characters"),
        (
            "while True:\n    try: print('x' * 10_000)\n    except Exception: pass",
            f"printed more than {MOST_PRINTED:,} characters",
        ),
        ("!yes", f"printed more than {MOST_PRINTED:,} characters"),
        (
            "from IPython.display import display\nwhile True: display({'text/plain': 'x'}, raw=True)",
            f"showed more than {MOST_SHOWN:,} figures and tables",
        ),
    ],
    ids=["print", "print that catches errors", "command", "display"],
)
def test_an_endless_flood_ends_before_time_and_memory_do(team: Team, source: str, what: str) -> None:
    limits = Limits(cell_seconds=60, total_seconds=60, memory_gib=0.5)
    cells = next(iter(team.run([Job("flood", (Code("a", source), Code("b", "1")), limits)]))).cells
    assert [cell.verdict for cell in cells.values()] == [Verdict.ERROR, Verdict.PASS], "what follows is run"
    assert what in cells["a"].message


def test_printed_text_is_kept_nowhere_else(team: Team) -> None:
    """Pieces of IPython's own record would fill the memory long before the limit of a flood."""
    (cell,) = run(team, "print('x', 'y')\nassert not get_ipython().history_manager.outputs")
    assert cell.verdict is Verdict.PASS, cell.message


def test_text_written_past_the_shell_goes_nowhere(team: Team) -> None:
    (cell,) = run(team, "import os\n_ = [os.write(number, b'x' * 100_000) for number in (1, 2)]")
    assert verdicts([cell]) == ["PASS"]
    assert text(cell) == ""


# how a cell fails


def test_a_failed_check_brings_its_fields_and_its_line(team: Team) -> None:
    source = "from shared import checks\n\nwith checks.step('two'):\n    checks.equal(1, 2, 'it', causes={'half': 1})"
    (cell,) = run(team, source)
    assert cell.verdict is Verdict.FAIL
    assert cell.message.startswith("✗ two: it ")
    assert cell.check is not None
    assert cell.check["check"] == cell.message.splitlines()[0].removeprefix("✗ ")
    assert (cell.check["came"], cell.check["expected"], cell.check["cause"]) == ("1 (int)", "2 (int)", "half")
    assert cell.line == 4
    assert cell.outputs[-1]["ename"] == "CheckFailure"
    assert cell.outputs[-1]["traceback"] == cell.message.splitlines(), "no frames of the checks"


@pytest.mark.parametrize(
    ("source", "verdict", "message", "line"),
    [
        ("x = 1\nassert x == 2, 'not so'", "FAIL", "AssertionError: not so", 2),
        ("raise NotImplementedError('later')", "FAIL", "NotImplementedError: later", 1),
        ("x = 1\n\n1 / 0", "ERROR", "ZeroDivisionError: division by zero", 3),
        ("def f():\n    return nothing\n\nf()", "ERROR", "NameError: name 'nothing' is not defined", 4),
        ("x = 1\nexec('\\n' * 5 + 'nothing')", "ERROR", "NameError: name 'nothing' is not defined", 2),
        ("import sys\nsys.exit(3)", "ERROR", "SystemExit: 3", 2),
        ("raise KeyboardInterrupt('stop')", "ERROR", "KeyboardInterrupt: stop", 1),
        ("import os\nopen('big', 'w').truncate(2**40)", "ERROR", "OSError: [Errno 27] File too large", 2),
    ],
)
def test_errors_have_a_verdict_a_message_and_a_line(
    team: Team, source: str, verdict: str, message: str, line: int
) -> None:
    before, cell, after = run(team, "x = 1", source, "x")
    assert (cell.verdict, cell.message, cell.line) == (verdict, message, line)
    assert cell.check is None
    assert cell.outputs[-1]["output_type"] == "error"
    assert verdicts([before, after]) == ["PASS", "PASS"]


def test_a_cell_with_wrong_syntax_is_an_error(team: Team) -> None:
    cell, after = run(team, "def f(:", "1")
    assert cell.verdict is Verdict.ERROR
    assert cell.message.startswith("SyntaxError: invalid syntax")
    assert after.verdict is Verdict.PASS


def test_an_error_that_cannot_be_printed_costs_only_its_cell(team: Team) -> None:
    broken = "class Odd(Exception):\n    def __str__(self): raise RuntimeError('no words')\n\nraise Odd"
    cells = run(team, "1", broken, "2")
    assert verdicts(cells) == ["PASS", "ERROR", "PASS"]
    assert cells[1].message.startswith("Odd")


def test_input_does_not_wait(team: Team) -> None:
    cell, after = run(team, "input('your name? ')", "import sys\nassert sys.stdin.read() == ''")
    assert (cell.verdict, cell.message) == ("ERROR", "EOFError: EOF when reading a line")
    assert after.verdict is Verdict.PASS


# memory


@pytest.mark.parametrize("source", ["bytearray(2**31)", "x = []\nwhile True: x.append(bytearray(2**22))"])
def test_memory_beyond_the_limit_is_oom(team: Team, source: str) -> None:
    before, cell, after = run(team, "y = 1", source, "assert y == 1", memory=0.1)
    assert cell.verdict is Verdict.OOM
    assert "MemoryError" in cell.message
    assert verdicts([before, after]) == ["PASS", "PASS"]


def test_memory_beyond_the_limit_inside_a_check_is_oom(team: Team) -> None:
    step = "from shared import checks\nwith checks.step('large'):\n    answer()"
    _, cell = run(team, "def answer(): return bytearray(2**31)", step, memory=0.1)
    assert cell.verdict is Verdict.OOM


def test_memory_below_the_limit_is_there(team: Team) -> None:
    (cell,) = run(team, "assert len(bytearray(80 * 2**20)) == 80 * 2**20", memory=0.1)
    assert cell.verdict is Verdict.PASS


# death and replay


def test_an_endless_cell_is_stopped_and_the_others_keep_their_verdicts(team: Team) -> None:
    first, endless, failing, last = run(
        team, "x = 41", "x = 0\nwhile True: pass", "assert x == 0", "assert x == 41", cell=0.3
    )
    assert endless.verdict is Verdict.TIMEOUT
    assert endless.message == "the cell ran longer than 0.3 s and was stopped"
    assert endless.outputs[-1]["ename"] == "CellTimeoutError"
    assert verdicts([first, failing, last]) == ["PASS", "FAIL", "PASS"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os\nos._exit(3)", "exit code 3"),
        ("import os\nos._exit(0)", "exit code 0"),
        ("import os\nos.abort()", "SIGABRT"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_a_cell_that_ends_the_process_is_a_crash_and_the_others_are_replayed(team: Team, source: str, why: str) -> None:
    first, crash, last = run(team, "x = 41", f"x = 0\n{source}", "assert x == 41")
    assert crash.verdict is Verdict.CRASH
    assert crash.message == f"the process ended inside this cell ({why})"
    assert crash.outputs[-1]["ename"] == "DeadProcessError"
    assert verdicts([first, last]) == ["PASS", "PASS"]


def test_after_three_deaths_the_rest_is_not_run(team: Team, tmp_path: Path) -> None:
    leave = "import os\nos._exit(1)"
    job = job_of("1", leave, "2", leave, leave, f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    (done,) = team.run([job])
    assert done.deaths == MAX_DEATHS == 3
    cells = [done.cells[code.id] for code in job.cells]
    assert verdicts(cells) == ["PASS", "CRASH", "PASS", "CRASH", "CRASH", "CRASH"]
    assert cells[-1].message.startswith("not run: stopped in cell 'cell-4': the process ended")
    assert not (tmp_path / "ran").exists()


def test_two_deaths_are_replayed(team: Team) -> None:
    leave = "import os\nos._exit(1)"
    assert verdicts(run(team, leave, leave, "1")) == ["CRASH", "CRASH", "PASS"]


def test_the_whole_notebook_has_a_limit(team: Team, tmp_path: Path) -> None:
    begin = f"with open({str(tmp_path / 'runs')!r}, 'a') as file: file.write('r')"
    cells = run(team, begin, "import time\ntime.sleep(60)", "1", "2", cell=50, total=1)
    assert verdicts(cells) == ["PASS", "TIMEOUT", "TIMEOUT", "TIMEOUT"]
    assert cells[1].message == "the whole notebook ran longer than 1 s"
    assert cells[2].message == "not run: stopped in cell 'cell-1': the whole notebook ran longer than 1 s"
    assert (tmp_path / "runs").read_text() == "r", "it is not replayed"


def test_a_job_says_what_it_used(team: Team) -> None:
    (done,) = team.run([job_of("sum(range(10**6))", "block = bytearray(100 * 2**20)", "block[::4096] = block[::4096]")])
    assert done.cpu_seconds > 0
    assert done.peak_mib > 100
    assert done.deaths == 0
    assert all(cell.seconds > 0 for cell in done.cells.values())


# nothing stays behind


BACKGROUND = {
    "program": "import subprocess\npid = subprocess.Popen(['sleep', '300']).pid\n",
    "program in a session of its own": (
        "import subprocess\npid = subprocess.Popen(['sleep', '300'], start_new_session=True).pid\n"
    ),
    "fork": "import os, time\npid = os.fork()\nif not pid: time.sleep(300)\n",
}


@pytest.mark.parametrize("end", ["ends", "loops", "leaves"])
@pytest.mark.parametrize("how", BACKGROUND)
def test_a_background_process_ends_with_the_job(team: Team, tmp_path: Path, how: str, end: str) -> None:
    last = {"ends": "1", "loops": "while True: pass", "leaves": "os._exit(1)"}[end]
    begin = BACKGROUND[how] + f"if pid:\n    with open({str(tmp_path)!r} + f'/{{pid}}', 'w'): pass"
    run(team, begin, f"import os\n{last}", cell=0.4)
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert pids
    left = [pid for pid in pids if not wait_until(partial(ended, pid), 2)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


@pytest.mark.parametrize(("end", "verdict"), [("1", "PASS"), ("os._exit(1)", "CRASH")])
def test_a_job_does_not_wait_for_a_background_process(team: Team, tmp_path: Path, end: str, verdict: str) -> None:
    late = f"import os, time\nif not os.fork():\n    time.sleep(3)\n    open({str(tmp_path / 'late')!r}, 'w').close()\n"
    (cell,) = run(team, late + "    os._exit(0)\n" + end)
    assert cell.verdict == verdict
    assert not (tmp_path / "late").exists()


def test_a_thread_that_runs_on_ends_with_the_job(team: Team, tmp_path: Path) -> None:
    endless = "import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()"
    (cell,) = run(team, write_pid(tmp_path / "pid") + endless)
    assert cell.verdict is Verdict.PASS
    assert wait_until(lambda: ended(pid_in(tmp_path / "pid")))


def test_each_job_has_a_folder_that_is_removed(team: Team) -> None:
    show = "import os, pathlib\npathlib.Path('left').write_text('x')\nprint(os.getcwd())"
    one, other = (text(run(team, show)[0]).strip() for _ in range(2))
    (looping, _) = run(team, show, "while True: pass", cell=0.3)
    assert len({one, other, text(looping).strip()}) == 3
    assert not any(Path(folder).exists() for folder in (one, other, text(looping).strip()))


def test_a_job_may_remove_its_own_folder(team: Team) -> None:
    assert verdicts(run(team, "import os, shutil\nshutil.rmtree(os.getcwd())", "1")) == ["PASS", "PASS"]


def test_a_module_that_a_cell_wrote_can_be_imported(team: Team) -> None:
    cells = run(
        team, "with open('my_helper.py', 'w') as file: file.write('two = 2')", "import my_helper\nmy_helper.two"
    )
    assert verdicts(cells) == ["PASS", "PASS"]


def test_jobs_do_not_see_each_other(team: Team) -> None:
    spoil = (
        "import builtins, os, sys\nfrom shared import checks\n"
        "secret = builtins.sum = checks.equal = lambda *arguments: 7\n"
        "sys.modules['spoiled'] = sys\nos.environ['SPOILED'] = 'yes'\nassert sum([]) == 7"
    )
    look = (
        "import os, sys\nfrom shared import checks\n"
        "assert sum([]) == 0\nassert 'secret' not in globals()\nassert 'spoiled' not in sys.modules\n"
        "assert 'SPOILED' not in os.environ\nassert checks.equal.__name__ == 'equal'"
    )
    spoiled, looked = team.run([job_of(spoil, name="spoil"), job_of(look, name="look")])
    again = run(team, look)
    assert spoiled.cells["cell-0"].verdict is Verdict.PASS
    assert [looked.cells["cell-0"].message, again[0].message] == ["", ""]


@pytest.mark.parametrize("garbage", ['{"done": "cell-0"}', "5", '{"done": [1]}', "[", "\\xff"])
def test_a_cell_that_writes_to_every_descriptor_touches_no_other_job(team: Team, garbage: str) -> None:
    write = f"import os\nfor number in range(3, 64):\n    try: os.write(number, b'{garbage}\\n')\n"
    write += "    except OSError: pass"
    noisy, quiet = team.run([job_of(write, name="noisy"), job_of("1", name="quiet")])
    assert noisy.name == "noisy"
    assert quiet.cells["cell-0"].verdict is Verdict.PASS


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
