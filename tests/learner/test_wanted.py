"""Which week and which exercise is meant: in a week's folder its exercises are named alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.learner.start import start_week
from autograder.learner.wanted import wanted, wanted_week

from .conftest import RIGHT, SAME, WEEK, answer, copy_of, read, write
from .terminal import Terminal

OTHER = "week02_other"


@pytest.fixture
def two(bundle: Path) -> Path:
    """A second week, with an exercise `double` of its own in place of nothing, and `triple` for `quadruple`."""
    folder = bundle / "weeks" / OTHER
    shutil.copytree(bundle / "weeks" / WEEK, folder)
    (folder / "tiny.ipynb").rename(folder / "other.ipynb")
    text = (folder / "other.ipynb").read_text(encoding="utf-8")
    notebook = json.loads(text.replace("quadruple", "triple"))
    write(folder / "other.ipynb", notebook)
    start_week(bundle, WEEK)
    start_week(bundle, OTHER)
    os.utime(bundle / "work" / OTHER / "other.ipynb", (1, 1))
    return bundle


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("", ""), (WEEK, "")),
        (("1", ""), (WEEK, "")),
        (("2", ""), (OTHER, "")),
        (("other", ""), (OTHER, "")),
        (("2", "triple"), (OTHER, "triple")),
        (("2", "2"), (OTHER, "triple")),
        (("double", ""), (WEEK, "double")),
        (("Quadruple", ""), (WEEK, "quadruple")),
    ],
    ids=lambda words: "+".join(words),
)
def test_outside_of_a_week_the_one_saved_last_is_meant(
    two: Path, words: tuple[str, str], found: tuple[str, str]
) -> None:
    assert wanted(two, *words) == found


@pytest.mark.parametrize("place", ["work", "weeks", "work/backups"])
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("", ""), (OTHER, "")),
        (("1", ""), (WEEK, "")),
        (("double", ""), (OTHER, "double")),
        (("triple", ""), (OTHER, "triple")),
        (("1", "quadruple"), (WEEK, "quadruple")),
    ],
    ids=lambda words: "+".join(words),
)
def test_in_a_week_s_folder_it_is_that_week(
    two: Path, monkeypatch: pytest.MonkeyPatch, place: str, words: tuple[str, str], found: tuple[str, str]
) -> None:
    base, _, below = place.partition("/")
    folder = two / base / OTHER / below
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    assert wanted(two, *words) == found


@pytest.mark.parametrize(
    ("words", "message", "step"),
    [
        (("9", ""), "there is no week '9'", "weeks here: week01_tiny, week02_other"),
        (
            ("doubel", ""),
            f"'doubel' is neither a week nor an exercise of {WEEK}",
            "did you mean double? its exercises: double, quadruple",
        ),
        (
            ("triple", ""),
            f"'triple' is neither a week nor an exercise of {WEEK}",
            "week 2 has it: add the week, 2 triple",
        ),
        (("1", "tripel"), f"{WEEK} has no exercise 'tripel'", "its exercises: double, quadruple"),
        (("1", "3"), f"{WEEK} has no exercise '3'", "its exercises: double, quadruple"),
        (("zzz", ""), "there is no week 'zzz'", "weeks here: week01_tiny, week02_other"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_neither_is_told_the_nearest(two: Path, words: tuple[str, str], message: str, step: str) -> None:
    with pytest.raises(WorkbookError) as error:
        wanted(two, *words)
    assert (error.value.message, error.value.next_step) == (message, step)


def test_before_anything_is_begun_the_first_step_is_named(bundle: Path) -> None:
    with pytest.raises(WorkbookError) as error:
        wanted_week(bundle, "")
    assert error.value.next_step == "workbook start 1"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autograder.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_check_hint_and_submit_in_the_week_s_folder(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=SAME)
    here = copy_of(bundle).parent
    assert "✗  1 double" in run(here, "check", "double").stdout
    assert "Hint 1 of 3: the idea" in run(here, "hint", "double").stdout
    for words in (("hint", "1"), ("hint",)):
        asked = run(here, *words)
        assert (asked.returncode, asked.stdout) == (1, "")
        assert asked.stderr == (
            "error: a hint for which exercise of week 1? -> workbook hint 1 double; its exercises: double, quadruple\n"
        )
    answer(copy_of(bundle), double=RIGHT["double"])
    assert run(here, "check", "double").returncode == 0
    assert "what the grader will see" in run(here, "submit").stdout
    assert (bundle / "work" / "submissions" / f"{WEEK}.zip").is_file()
    elsewhere = run(bundle, "submit")
    assert elsewhere.stderr.startswith("error: submit which week? -> workbook submit 1")
    assert read(copy_of(bundle))["cells"], "the notebook is as it was"


def test_an_error_breaks_between_words_on_a_small_terminal(bundle: Path) -> None:
    start_week(bundle, WEEK)
    terminal = Terminal(bundle, "check", "doubel", columns=60)
    assert terminal.ends() == 1
    assert " ".join(terminal.text.split()) == (
        f"error: 'doubel' is neither a week nor an exercise of {WEEK} -> did you mean double? "
        "its exercises: double, quadruple"
    )
