"""Exports, read back as the platforms read them."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder.core.csv_files import harmless, write_table
from autograder.core.errors import WorkbookError
from autograder.course.roster import folder_name
from autograder.grading.rewrite import rewrite
from autograder.reporting.lms_export import CANVAS, MOODLE, POSSIBLE, Exported, export
from autograder.reporting.return_feedback import return_feedback
from autograder.submissions.attempts import keep

from ..graded_class import FORMULA, POINTS, TITLE, WAITING, WEEK, GradedClass, give, rows_of

# exports


def exported(graded: GradedClass, unfinished: bool = False) -> tuple[Exported, list[list[str]], list[list[str]]]:
    done = export(graded.course, TITLE, unfinished)
    return done, rows_of(done.files[0]), rows_of(done.files[1])


def test_canvas_takes_the_file(graded: GradedClass) -> None:
    (graded.course.folder / "roster.csv").write_text(
        'id,name,email,learner\n12345,"Lee, Ann",ann@example.org,ann\n', encoding="utf-8"
    )
    done, canvas, _ = exported(graded, unfinished=True)
    assert canvas[0] == [*CANVAS, "01 Doubling"]
    assert canvas[1] == [POSSIBLE, "", "", "", "", "100"]
    points = {row[0]: row[5] for row in canvas[2:]}
    assert points["Lee, Ann"] == "80"
    assert next(row for row in canvas if row[0] == "Lee, Ann")[1:4] == ["12345", "", "ann@example.org"]
    assert set(done.unknown) == set(POINTS) - {"ann"}
    assert len(canvas) == 2 + len(POINTS)


def test_moodle_takes_the_worksheet(graded: GradedClass) -> None:
    folder = graded.course.folder / "attempts" / "ann"
    folder.mkdir(parents=True)
    (folder / "who.json").write_text(
        f'{{"name": "Ann Lee", "canvas": "", "moodle": {{"{WEEK}": "4711"}}}}', encoding="utf-8"
    )
    give(graded.course, "ann", "written-why", 12.5, 'Good, "short",\nand = right.')
    _, _, moodle = exported(graded)
    assert moodle[0] == list(MOODLE)
    row = dict(zip(MOODLE, next(row for row in moodle if row[1] == "Ann Lee"), strict=True))
    assert (row["Identifier"], row["Grade"], row["Maximum Grade"]) == ("Participant 4711", "92.5", "100")
    assert row["Feedback comments"] == 'written-why: Good, "short",\nand = right.'


def test_moodle_takes_a_second_worksheet_and_keeps_what_was_typed_there_since(graded: GradedClass) -> None:
    """Moodle skips a row whose own grade is more than a minute younger than `Last modified (grade)`."""
    at = MOODLE.index("Last modified (grade)")
    first, second = datetime(2026, 11, 2, 9, 30, tzinfo=UTC), datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
    shown = []
    for when in (first, second):
        done = export(graded.course, TITLE, now=when)
        shown.append({row[at] for row in rows_of(done.files[1])[1:]})
    assert shown == [{"2026-11-02 09:30 UTC"}, {"2026-11-03 09:30 UTC"}]


def test_every_week_has_files_of_its_own(graded: GradedClass) -> None:
    """In one file for all weeks an empty cell would make Canvas delete a grade."""
    done = export(graded.course, TITLE | {"week02_other": "02 Other"})
    assert [path.name for path in done.files] == [f"{WEEK}_canvas.csv", f"{WEEK}_moodle.csv"]
    assert all(row[5] for row in rows_of(done.files[0])[1:])


def test_tables_begin_with_a_mark_that_excel_needs(graded: GradedClass) -> None:
    for path in export(graded.course, TITLE).files:
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        assert b"\xef\xbb\xbf" not in path.read_bytes()[3:]


def test_pages_go_back_by_the_names_of_the_download(graded: GradedClass) -> None:
    (graded.course.folder / "roster.csv").write_text("learner,name\nann,Ann_Lee / Roe\n", encoding="utf-8")
    attempts = graded.course.folder / "attempts"
    for learner, canvas, moodle, serial in (
        ("ann", "12345", "4711", 67890),
        ("bob", "", "4712", 0),
        ("cleo", "7", "", 1),
    ):
        (attempts / learner / WEEK).mkdir(parents=True)
        told = {"name": learner.title(), "canvas": canvas, "moodle": {WEEK: moodle} if moodle else {}}
        (attempts / learner / "who.json").write_text(json.dumps(told), encoding="utf-8")
        keep(graded.course, learner, WEEK, b"{}", datetime(2026, 9, 1), serial)
    rewrite(graded.built, graded.course)
    done = export(graded.course, TITLE, unfinished=True)

    def names(end: str) -> list[str]:
        with zipfile.ZipFile(graded.course.folder / "export" / f"{WEEK}{end}.zip") as archive:
            return archive.namelist()

    assert names("_feedback_canvas") == ["ann_12345_67890_index.html", "ann_12345_67890_tiny.html"]
    assert names("_feedback_moodle") == [
        "Ann Lee   Roe_4711_assignsubmission_file_/index.html",
        "Ann Lee   Roe_4711_assignsubmission_file_/tiny.html",
        "Bob_4712_assignsubmission_file_/index.html",
        "Bob_4712_assignsubmission_file_/tiny.html",
    ]
    assert {name.partition("/")[0] for name in names("_feedback")} == {folder_name(learner) for learner in POINTS}
    assert list(done.pages.values()) == [1, 2, len(POINTS)]
    before = {path: path.read_bytes() for path in done.pages}
    assert {path: path.read_bytes() for path in export(graded.course, TITLE, unfinished=True).pages} == before
    shutil.rmtree(attempts)
    assert len(export(graded.course, TITLE, unfinished=True).pages) == 1
    assert not (graded.course.folder / "export" / f"{WEEK}_feedback_canvas.zip").exists()


def read_as_canvas(name: str) -> tuple[str, str]:
    """The person and the file that Canvas finds in a name: the first two parts that are nothing but digits."""
    person, file, *_ = [part for part in name.split("_") if part.isdigit()]
    return person, file


def read_as_moodle(path: str) -> tuple[str, list[str]]:
    """The participant and the plugin that Moodle finds in a path."""
    info = path.split("/")[0].split("_", 4)
    assert len(info) >= 4
    return info[1], info[2:4]


@pytest.mark.parametrize("learner", ["ann_7_8", "Zoë 12 李", "9", "=1+1"])
def test_names_with_numbers_and_underscores_confuse_no_platform(graded: GradedClass, learner: str) -> None:
    page = graded.course.feedback / learner / WEEK / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("page", encoding="utf-8")
    told = {"name": learner, "canvas": "12345", "moodle": {WEEK: "4711"}}
    who = graded.course.folder / "attempts" / learner / "who.json"
    (who.parent / WEEK).mkdir(parents=True)
    who.write_text(json.dumps(told), encoding="utf-8")
    keep(graded.course, learner, WEEK, b"{}", datetime(2026, 9, 1), 67890)
    made = return_feedback(graded.course, WEEK, [learner])
    canvas, moodle, _ = [zipfile.ZipFile(path).namelist()[0] for path in made]
    assert read_as_canvas(canvas) == ("12345", "67890")
    assert read_as_moodle(moodle) == ("4711", ["assignsubmission", "file"])


def test_who_waits_for_a_person_is_left_out_and_named(graded: GradedClass) -> None:
    done, canvas, moodle = exported(graded)
    assert set(done.waiting[WEEK]) == WAITING
    assert {row[0] for row in canvas[2:]} == {"bob", "cleo", "dan", f"'{FORMULA}"}
    assert len(moodle) == 1 + 4
    done, canvas, _ = exported(graded, unfinished=True)
    assert done.waiting == {}
    assert len(canvas) == 2 + len(POINTS)


def test_where_nobody_is_done_nothing_is_written(graded: GradedClass) -> None:
    for learner in set(POINTS) - WAITING:
        from nbgrader.api import Gradebook

        with Gradebook(graded.course.db_url) as gradebook:
            gradebook.remove_student(learner)
    with pytest.raises(WorkbookError, match=r"nobody is graded completely -> .* --unfinished"):
        export(graded.course, TITLE)
    assert not (graded.course.folder / "export").exists()


def test_no_name_is_a_formula(graded: GradedClass) -> None:
    _, canvas, moodle = exported(graded, unfinished=True)
    cells = [cell for row in (*canvas, *moodle) for cell in row]
    assert f"'{FORMULA}" in cells
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    "text",
    ["{}1", "  {}1", "\t{}1", "\r{}1", "\n{}1", "a;{}1", "a; {}1", 'a;"{}1', "a\t{}1", "a\r\n{}1", "a|{}1", '"{}1'],
)
def test_what_looks_like_a_formula_is_text(tmp_path: Path, text: str) -> None:
    """Whichever separator a spreadsheet on this computer expects, it finds no cell that begins as a formula."""
    path = tmp_path / "t.csv"
    for sign in "=+-@＝＋－＠":
        write_table(path, [text.format(sign)], [["5", text.format(sign), 7]])
        assert harmless(text.format(sign)) != text.format(sign)
        for line in path.read_text(encoding="utf-8").splitlines():
            for separator in (",", ";", "\t", "|"):
                for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                    cells = next(csv.reader([line], delimiter=separator, quoting=quoting), [])
                    assert not [cell for cell in cells if cell.strip(' \t"').startswith(sign)]


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@sum", "  =1", "＝1", "－1", "\ttext"])
def test_an_apostrophe_stands_before_it(tmp_path: Path, text: str) -> None:
    assert harmless(text) == f"'{text}"
    write_table(tmp_path / "t.csv", ["a"], [[text]])
    assert rows_of(tmp_path / "t.csv") == [["a"], [f"'{text}"]]


@pytest.mark.parametrize("value", [-1, 2.5, "a-b", "Zoë", "", "a=b", "Lee, Ann", "a; b - c"])
def test_everything_else_stays(value: object) -> None:
    assert harmless(value) == value
