"""The warm process runs cells: what they show, how they fail, how they die, and what they cannot touch."""

from __future__ import annotations

import base64
import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from autograder.engine.guest.shell import MAX_OUTPUT, MOST_PRINTED, MOST_SHOWN
from autograder.engine.judge import MAX_DEATHS
from autograder.execution.job import Code, Job
from autograder.execution.pool import Team
from autograder.execution.verdicts import Verdict
from autograder.week.source import Limits

from ..processes import ended, wait_until
from ..texts import PIXEL
from .cells import job_of, pid_in, run, text, verdicts, write_pid

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
