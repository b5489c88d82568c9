"""The `workbook` command: what it says of itself, wrong usage, and where it can be typed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from autograder import cli

from ..tiny_week import WEEK
from .checkout import Workbook, complaint

COMMANDS = list(typer.main.get_group(cli.app).commands)


# words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(workbook: Workbook, command: str) -> None:
    for option in ("--help", "-h"):
        code, out, err = workbook(command, option)
        assert (code, err) == (0, "")
        assert f"Example: workbook {command}" in out


def test_the_commands_are_listed(workbook: Workbook) -> None:
    assert set(COMMANDS) >= {"build", "verify", "record", "preview", "new", "start"}
    assert set(COMMANDS) >= {"release", "bundle", "collect", "grade", "feedback", "report", "export", "demo"}
    listing = workbook("--help").out
    assert all(f" {command} " in listing for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage:"),
        (("sing",), "No such command 'sing'"),
        (("grade",), "Missing argument 'WEEK'"),
        (("start", "1", "2"), "unexpected extra argument"),
        (("grade", "1", "--fast"), "No such option: --fast"),
        (("grade", "1", "--workers", "-1"), "Invalid value for '--workers'"),
        (("verify", "--workers", "two"), "Invalid value for '--workers'"),
        (("start",), "name a week, or say --all"),
        (("start", "1", "--all"), "name a week, or say --all"),
    ],
)
def test_wrong_usage_exits_with_2(root: Path, workbook: Workbook, words: tuple[str, ...], said: str) -> None:
    code, out, err = workbook(*words)
    assert code == 2
    assert said in out + err
    assert "Traceback" not in err


def test_an_unknown_week_suggests_the_nearest(root: Path, workbook: Workbook) -> None:
    for command in ("build", "verify", "record", "grade", "release", "demo", "start"):
        assert complaint(workbook(command, "week01_tinny")) == (
            "error: there is no week 'week01_tinny' -> did you mean week01_tiny? weeks here: week01_tiny"
        )
    assert complaint(workbook("start", "12")) == "error: there is no week '12' -> weeks here: week01_tiny"


@pytest.mark.parametrize("asked", ["1", "01", "week01", "week1", "week01_tiny", "tiny"])
def test_a_week_has_many_names(root: Path, workbook: Workbook, asked: str) -> None:
    code, out, _ = workbook("build", asked)
    assert (code, out) == (0, "weeks/week01_tiny/tiny.ipynb: unchanged, 2 exercises\n")


def test_what_the_user_typed_is_no_markup(root: Path, workbook: Workbook) -> None:
    assert "there is no week '[bold]'" in complaint(workbook("start", "[bold]"))
    assert "there is no week '[/nothing]'" in complaint(workbook("start", "[/nothing]"))


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autograder.cli", "build"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    way = f"change into the folder you cloned: cd {shlex.quote(str(Path(__file__).parents[2]))}"
    assert done.stderr == f"error: {tmp_path} is not inside the workbook -> {way}\n"


def test_a_folder_inside_the_checkout_will_do(root: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "solutions" / WEEK)
    assert workbook("build", "1").code == 0


@pytest.mark.parametrize(
    "words", [("build",), ("verify",), ("record", "1"), ("grade", "1"), ("release", "1"), ("demo",)]
)
def test_what_needs_a_source_says_so_in_a_learner_s_bundle(
    root: Path, workbook: Workbook, words: tuple[str, ...]
) -> None:
    shutil.rmtree(root / "solutions")
    complaint(workbook(*words))


def test_start_needs_no_source(root: Path, workbook: Workbook) -> None:
    shutil.rmtree(root / "solutions")
    assert workbook("start", "1").code == 0
    assert (root / "work" / WEEK / "tiny.ipynb").is_file()
