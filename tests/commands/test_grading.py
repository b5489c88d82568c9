"""`workbook grade` and `collect` more than once: what is known, what changed, what is stopped, what is asked."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.engine.guest.usage import below

from ..processes import ended, wait_until
from ..tiny_week import WEEK
from .checkout import RIGHT, Workbook, complaint, edit, hand_in, total_in_gradebook

# again


def test_what_is_known_is_not_run_again_and_the_log_says_what_happened(root: Path, workbook: Workbook) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    hand_in(root / "course", "Zoë 2", RIGHT | {"double": "def double(number):\n    return 1"}, root)
    first = workbook("grade", "1")
    second = workbook("grade", "1")
    assert (first.code, second.code) == (0, 0)
    assert first.out == second.out
    log = (root / "course" / "logs" / f"{WEEK}.log").read_text(encoding="utf-8").splitlines()
    assert sum("begin  environment=" in line for line in log) == 2
    assert sum("graded 'ann' points=80 PASS=4" in line for line in log) == 2
    assert sum("graded 'Zoë 2' points=40 FAIL=2 PASS=2" in line for line in log) == 2
    assert "end  submissions=2" in log[-1]
    assert "FAIL=2 PASS=6" in log[-1]
    assert all("return" not in line for line in log)
    shutil.rmtree(root / "course" / "feedback" / "ann")
    assert workbook("grade", "1").code == 0
    assert (root / "course" / "feedback" / "ann" / WEEK / "index.html").is_file()


def test_changed_scores_are_written_with_yes_alone(root: Path, workbook: Workbook) -> None:
    hand_in(root / "course", "ann", RIGHT | {"double": "def double(number):\n    return 4"}, root)
    assert workbook("grade", "1").code == 0
    before = total_in_gradebook(root / "course", "ann")
    edit(
        root / "solutions" / WEEK / "tiny.py",
        'checks.equal(double(2), 4, "double(2)"',
        'checks.equal(double(3), 6, "x"',
    )
    code, out, err = workbook("grade", "1")
    assert code == 1
    assert "the score of one learner would change for the same work" in out
    row = next(line for line in out.splitlines() if "ann" in line and "double" in line)
    assert row.replace("│", " ").split() == ["ann", "double", "20", "0"]
    assert (
        f"nothing was written: scores of unchanged work would change, see above -> workbook grade {WEEK} --yes" in err
    )
    assert total_in_gradebook(root / "course", "ann") == before
    assert workbook("grade", "1", "--yes").code == 0
    assert total_in_gradebook(root / "course", "ann") == before - 20


def test_again_writes_other_scores_for_the_same_work_with_yes_alone(root: Path, workbook: Workbook) -> None:
    """As for an answer that draws random numbers: what was recorded is not what comes out now."""
    hand_in(root / "course", "ann", RIGHT, root)
    assert workbook("grade", "1").code == 0
    record = root / "course" / "record" / WEEK / "outcomes" / "ann.json"
    entry = json.loads(record.read_text(encoding="utf-8"))
    entry["points"]["double"] = 20
    entry["verdicts"]["double-test-1"]["verdict"] = "FAIL"
    record.write_text(json.dumps(entry), encoding="utf-8")
    code, out, err = workbook("grade", "1", "--again")
    assert code == 1
    assert "the score of one learner would change for the same work" in out
    assert f"see above -> workbook grade {WEEK} --again --yes" in err
    assert json.loads(record.read_text(encoding="utf-8")) == entry
    assert workbook("grade", "1", "--again", "--yes").code == 0
    assert json.loads(record.read_text(encoding="utf-8"))["points"]["double"] == 40


def test_a_scheduler_that_does_not_answer_is_named(
    root: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograder.execution.dask_executor.CONNECT_SECONDS", 0.5)
    hand_in(root / "course", "ann", RIGHT, root)
    said = complaint(workbook("grade", "1", "--scheduler", "tcp://127.0.0.1:9"))
    assert "no scheduler answers at tcp://127.0.0.1:9" in said
    assert "start one with `dask scheduler`" in said


# Ctrl-C


@pytest.mark.parametrize("to_group", [False, True], ids=["kill", "terminal"])
def test_ctrl_c_while_grading_keeps_what_is_graded_and_leaves_no_process(root: Path, to_group: bool) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    hand_in(root / "course", "bob", RIGHT | {"quadruple": "while True: pass"}, root)
    edit(root / "solutions" / WEEK / "week.toml", "cell_seconds = 2", "cell_seconds = 40")
    edit(root / "solutions" / WEEK / "week.toml", "total_seconds = 20", "total_seconds = 40")
    process = subprocess.Popen(
        [sys.executable, "-m", "autograder.cli", "grade", "1", "--workers", "1"],
        cwd=root,
        env={key: value for key, value in os.environ.items() if key != "WORKBOOK_COURSE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: (root / "course" / "autograded" / "ann").is_dir())
        assert wait_until(lambda: total_or_nothing(root / "course", "ann") == 80)
        assert wait_until(lambda: waiting(process.pid)), "ann is recorded, bob runs"
        pids = below(process.pid)[1:]
        (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=15)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopped: what is done is kept (1 submissions) -> the same command goes on from there" in err
    assert len(pids) >= 6, "two warm processes, two keepers, a judge, a learner's process"
    assert wait_until(lambda: all(ended(pid) for pid in pids), 5)
    assert total_in_gradebook(root / "course", "ann") == 80
    assert not (root / "course" / "autograded" / "bob").exists()


def waiting(pid: int) -> bool:
    """The main thread has nothing to do for a while."""
    status = Path(f"/proc/{pid}/task/{pid}/stat")
    for _ in range(20):
        if status.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "S":
            return False
        time.sleep(0.005)
    return True


def total_or_nothing(course: Path, learner: str) -> float | None:
    from nbgrader.api import MissingEntry
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return total_in_gradebook(course, learner)
    except (MissingEntry, SQLAlchemyError):
        return None


class Person(io.StringIO):
    """Somebody at a terminal who types this."""

    def isatty(self) -> bool:
        return True


def test_what_names_leave_open_is_asked_or_answered_by_an_option_and_never_guessed(
    root: Path, workbook: Workbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "downloads"
    for learner in ("ann", "bob"):
        hand_in(tmp_path / "elsewhere", learner, RIGHT, root)
        (source / "lab" / learner).mkdir(parents=True)
        shutil.copy(tmp_path / "elsewhere" / "submitted" / learner / WEEK / "tiny.ipynb", source / "lab" / learner)

    def there() -> set[str]:
        return {path.name for path in (root / "course" / "submitted").glob("*")}

    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, _ = workbook("collect", source, "1")
    assert (code, there()) == (0, set())
    assert "left open 'lab' may be somebody's folder, or hold those of 2 people" in out
    assert "say --inside or --persons" in out
    assert "2 files in the source: 2 refused" in out
    monkeypatch.setattr(sys, "stdin", Person("0\n"))
    assert "2 refused" in workbook("collect", source, "1").out
    monkeypatch.setattr(sys, "stdin", Person("7\n1\n"))
    code, out, _ = workbook("collect", source, "1")
    assert "1  as with --inside" in out
    assert (code, there()) == (0, {"ann", "bob"})
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, _ = workbook("collect", source, "1", "--persons")
    assert there() == {"ann", "bob", "lab"}
    assert "there is no layout 'blackbord' -> say one of canvas, moodle" in complaint(
        workbook("collect", source, "1", "--layout", "blackbord")
    )
