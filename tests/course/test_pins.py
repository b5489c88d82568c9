"""A class that is pinned keeps the version of a week that it began with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.course.pins import Pin, newer, open_pinned, pin, read_pins, source_of
from autograder.grading.grade import grade_week
from autograder.week.source import PINNED, load_week

from ..gradebook.test_ledger import Counting
from ..grading.test_grade import RIGHT, answered, hand_in
from ..tiny_week import WEEK


@pytest.fixture
def course(tiny_root: Path) -> Course:
    return Course.at(tiny_root)


def change(root: Path, old: str, new: str, name: str = "tiny.py") -> None:
    path = root / "solutions" / WEEK / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def pinned(course: Course) -> Pin:
    return pin(course, build_week(load_week(course.root / "solutions" / WEEK)))


def test_without_a_pin_it_is_the_checkouts(course: Course) -> None:
    assert read_pins(course) == {}
    assert source_of(course, WEEK) == course.root / "solutions" / WEEK
    assert newer(course, open_pinned(course, "1")) == ""


def test_a_pin_names_version_and_content_and_keeps_the_source(course: Course) -> None:
    found = pinned(course)
    assert found.version == 1
    assert read_pins(course) == {WEEK: found}
    text = (course.folder / "pins.toml").read_text(encoding="utf-8")
    assert text == f'[{WEEK}]\nversion = 1\ncontent = "{found.content}"\n'
    change(course.root, "Four times a number.", "A number, four times.")
    change(course.root, "hours = 1", "hours = 1\nversion = 2", "week.toml")
    kept = open_pinned(course, "week01")
    assert kept.pinned
    assert (kept.name, kept.info.version) == (WEEK, 1)
    assert "Four times a number." in "".join(cell.source for cell in kept.cells)
    said = f"this class is pinned to version 1 of {WEEK}; the checkout has version 2"
    assert newer(course, kept) == f"{said} -> workbook release week01 --pin takes it"
    assert pinned(course).version == 2
    assert newer(course, open_pinned(course, "week01")) == ""


def test_a_class_is_graded_with_the_version_that_it_is_pinned_to(course: Course) -> None:
    """The checkout asks something else by now, and a rule of the builder that the copy breaks does not matter."""
    built = build_week(load_week(course.root / "solutions" / WEEK))
    pin(course, built)
    hand_in(course, "ann", answered(built, RIGHT))
    change(course.root, "quadruple(1), 4,", "quadruple(1), 5,")
    (points,) = (
        graded.points for graded in grade_week(source_of(course, WEEK), course, crew=Counting(), unsafe=True)[1]
    )
    assert points == {"double": 40, "quadruple": 40}
    copy = source_of(course, WEEK) / "week.toml"
    copy.write_text(
        copy.read_text(encoding="utf-8").replace("hours = 1", "hours = 1\nprerequisites = [7]"), encoding="utf-8"
    )
    build_week(open_pinned(course, WEEK))


def test_a_copy_that_is_gone_or_is_another_one_is_told(course: Course) -> None:
    found = pinned(course)
    mark = source_of(course, WEEK) / PINNED
    mark.write_text(json.dumps({"version": 7, "content": found.content}), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(
            WorkbookError, match=r"does not hold version 1 of week01_tiny.* -> put that copy back, or take"
        ):
            source_of(course, WEEK)
        mark.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "text", ["[", "week01_tiny = 3\n", "[week01_tiny]\nversion = 'new'\n", "[week01_tiny]\nx = 1\n"]
)
def test_a_file_that_cannot_be_read_says_what_to_do(course: Course, text: str) -> None:
    course.folder.mkdir(parents=True)
    (course.folder / "pins.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        WorkbookError, match=r"pins.toml does not say .* -> write it again: workbook release WEEK --pin"
    ):
        read_pins(course)
