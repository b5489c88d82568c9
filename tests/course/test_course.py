"""Finding the checkout, a week and a class; and starting a week without touching anyone's work."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.learner.start import start_week
from autograder.week.locate import all_weeks, find_root, open_week, week_name

WEEKS = ("week01_attention", "week02_vision_transformer", "week10_clip")


def refused(error: pytest.ExceptionInfo[WorkbookError]) -> tuple[str, str]:
    return error.value.message, error.value.next_step


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with three weeks, two of them released."""
    root = tmp_path / "checkout"
    for name in WEEKS:
        (root / "solutions" / name).mkdir(parents=True)
    for name in WEEKS[:2]:
        (root / "weeks" / name).mkdir(parents=True)
        (root / "weeks" / name / f"{name[7:]}.ipynb").write_bytes(b'{"cells": []}\r\n')
        (root / "weeks" / name / "outcome.png").write_bytes(b"\x89PNG\x00")
    (root / "solutions" / "notes").mkdir()
    (root / "solutions" / "week03_file").write_text("no folder", encoding="utf-8")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    return root


# ---- the checkout


@pytest.mark.parametrize("below", [".", "solutions", "solutions/week01_attention", "weeks/week02_vision_transformer"])
def test_the_checkout_is_found_from_anywhere_inside(
    checkout: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_root(checkout / below) == checkout
    monkeypatch.chdir(checkout / below)
    assert find_root() == checkout


@pytest.mark.parametrize("folder", ["solutions", "weeks"])
def test_one_of_the_two_folders_is_enough(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder / "deep").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    assert find_root(tmp_path / folder / "deep") == tmp_path


def test_the_nearest_checkout_wins(checkout: Path) -> None:
    inner = checkout / "work" / "copy"
    (inner / "weeks").mkdir(parents=True)
    (inner / "pyproject.toml").write_text("", encoding="utf-8")
    assert find_root(inner / "weeks") == inner


@pytest.mark.parametrize("made", [(), ("pyproject.toml",), ("weeks/",)])
def test_outside_the_workbook(tmp_path: Path, made: tuple[str, ...]) -> None:
    for name in made:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("", encoding="utf-8")
    with pytest.raises(WorkbookError) as error:
        find_root(tmp_path)
    way = f"change into the folder you cloned: cd {shlex.quote(str(Path(__file__).parents[2]))}"
    assert refused(error) == (f"{tmp_path} is not inside the workbook", way)


# ---- weeks


def test_weeks_are_folders_with_the_name_of_a_week(checkout: Path) -> None:
    assert all_weeks(checkout) == list(WEEKS)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("1", "week01_attention"),
        ("01", "week01_attention"),
        ("week01", "week01_attention"),
        ("week1", "week01_attention"),
        ("Week01", "week01_attention"),
        (" 2 ", "week02_vision_transformer"),
        ("attention", "week01_attention"),
        ("vision_transformer", "week02_vision_transformer"),
        ("week02_vision_transformer", "week02_vision_transformer"),
        ("10", "week10_clip"),
        ("clip", "week10_clip"),
    ],
)
def test_the_ways_to_say_a_week(checkout: Path, asked: str, name: str) -> None:
    assert week_name(checkout, asked) == name


@pytest.mark.parametrize(
    ("asked", "near"),
    [("week01_atention", "week01_attention"), ("vision", "week02_vision_transformer"), ("week10_clap", "week10_clip")],
)
def test_a_typo_gets_a_suggestion(checkout: Path, asked: str, near: str) -> None:
    with pytest.raises(WorkbookError) as error:
        week_name(checkout, asked)
    listed = ", ".join(WEEKS)
    assert refused(error) == (f"there is no week {asked!r}", f"did you mean {near}? weeks here: {listed}")


@pytest.mark.parametrize("asked", ["3", "week03", "100", "", "zzz"])
def test_an_unknown_week_lists_the_known_ones(checkout: Path, asked: str) -> None:
    with pytest.raises(WorkbookError) as error:
        week_name(checkout, asked)
    assert error.value.message == f"there is no week {asked!r}"
    assert error.value.next_step.endswith(f"weeks here: {', '.join(WEEKS)}")


def test_a_learner_without_sources_knows_the_released_weeks(tmp_path: Path) -> None:
    (tmp_path / "weeks" / "week02_x").mkdir(parents=True)
    assert week_name(tmp_path, "2") == "week02_x"
    with pytest.raises(WorkbookError, match="weeks here: week02_x"):
        week_name(tmp_path, "1")


def test_a_checkout_without_weeks(tmp_path: Path) -> None:
    (tmp_path / "solutions").mkdir()
    with pytest.raises(WorkbookError) as error:
        week_name(tmp_path, "1")
    assert refused(error) == ("there is no week '1'", "weeks here: none")


def test_a_week_opens_by_any_of_its_names(tiny_root: Path) -> None:
    assert open_week(tiny_root, "tiny").name == "week01_tiny"
    assert open_week(tiny_root, "1").folder == tiny_root / "solutions" / "week01_tiny"


# ---- a class


def test_where_a_class_is(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBOOK_COURSE", raising=False)
    assert Course.at(checkout).folder == checkout / "course"
    monkeypatch.setenv("WORKBOOK_COURSE", "")
    assert Course.at(checkout).folder == checkout / "course"
    monkeypatch.setenv("WORKBOOK_COURSE", "autumn")
    assert Course.at(checkout).folder == checkout / "autumn"
    monkeypatch.setenv("WORKBOOK_COURSE", str(tmp_path / "elsewhere"))
    assert Course.at(checkout).folder == tmp_path / "elsewhere"
    assert Course.at(checkout, Path("spring")).folder == checkout / "spring", "the option wins"
    assert Course.at(checkout, tmp_path / "spring").folder == tmp_path / "spring"
    assert Course.at(checkout).root == checkout


def test_the_parts_of_a_class(tmp_path: Path) -> None:
    course = Course(tmp_path, tmp_path / "course")
    assert course.submitted == tmp_path / "course" / "submitted"
    assert course.autograded == tmp_path / "course" / "autograded"
    assert course.db_url == f"sqlite:///{tmp_path}/course/gradebook.db"


# ---- starting a week


def test_a_week_is_copied_byte_for_byte(checkout: Path) -> None:
    target = checkout / "work" / "week01_attention"
    assert start_week(checkout, "week01_attention").files == [
        (target / "attention.ipynb", "ready"),
        (target / "outcome.png", "ready"),
    ]
    assert (target / "attention.ipynb").read_bytes() == b'{"cells": []}\r\n'
    assert (target / "outcome.png").read_bytes() == b"\x89PNG\x00"


def test_work_is_never_overwritten_and_missing_files_are_copied(checkout: Path) -> None:
    start_week(checkout, "week01_attention")
    target = checkout / "work" / "week01_attention"
    (target / "attention.ipynb").write_bytes(b"my answers")
    (target / "own.txt").write_bytes(b"my notes")
    (target / "outcome.png").unlink()
    (checkout / "weeks" / "week01_attention" / "attention.ipynb").write_bytes(b"an update")
    assert start_week(checkout, "week01_attention").files == [
        (target / "attention.ipynb", "kept as it is"),
        (target / "outcome.png", "ready"),
    ]
    assert (target / "attention.ipynb").read_bytes() == b"my answers"
    assert (target / "own.txt").read_bytes() == b"my notes"
    assert (target / "outcome.png").read_bytes() == b"\x89PNG\x00"


def test_an_emptied_file_is_work_too(checkout: Path) -> None:
    start_week(checkout, "week01_attention")
    notebook = checkout / "work" / "week01_attention" / "attention.ipynb"
    notebook.write_bytes(b"")
    start_week(checkout, "week01_attention")
    assert notebook.read_bytes() == b""


def test_weeks_do_not_touch_each_other(checkout: Path) -> None:
    start_week(checkout, "week01_attention")
    (checkout / "work" / "week01_attention" / "attention.ipynb").write_bytes(b"my answers")
    start_week(checkout, "week02_vision_transformer")
    assert (checkout / "work" / "week01_attention" / "attention.ipynb").read_bytes() == b"my answers"


def test_the_folders_that_jupyter_leaves_in_a_release_do_not_matter(checkout: Path) -> None:
    left = checkout / "weeks" / "week01_attention" / ".ipynb_checkpoints"
    left.mkdir()
    (left / "attention-checkpoint.ipynb").write_bytes(b"{}")
    copied = (checkout / "work" / "week01_attention" / "attention.ipynb", "ready")
    assert copied in start_week(checkout, "week01_attention").files
    assert (checkout / "work" / "week01_attention" / "outcome.png").is_file()


def test_a_week_that_is_not_released(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    with pytest.raises(WorkbookError) as error:
        start_week(checkout, "week10_clip")
    assert refused(error) == (
        "weeks/week10_clip is not there",
        "this week is not released yet, or run `make weeks`",
    )
    assert not (checkout / "work").exists()


def test_a_blocked_target(checkout: Path) -> None:
    (checkout / "work").write_text("a file", encoding="utf-8")
    with pytest.raises(WorkbookError) as error:
        start_week(checkout, "week01_attention")
    assert error.value.message.startswith(f"{checkout}/work/week01_attention cannot be written: ")
    assert error.value.next_step == "check its rights and the free space"
    assert (checkout / "work").read_text(encoding="utf-8") == "a file"
