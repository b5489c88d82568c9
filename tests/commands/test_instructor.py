"""What an instructor types, from `release` to `export`, and what stands in the way."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from autograder.authoring.sample_class import clear
from autograder.course.folder import Course

from ..tiny_week import WEEK
from .checkout import RIGHT, Released, Workbook, complaint, hand_in, total_in_gradebook

# release and grade


def test_release_builds_the_week_and_fills_the_gradebook(released: Released) -> None:
    assert (released.code, released.err) == (0, "")
    assert released.out == "hand out:  weeks/week01_tiny/\ngradebook: course/gradebook.db\n"
    assert (released.root / "weeks" / WEEK / "tiny.ipynb").is_file()
    from nbgrader.api import Gradebook

    with Gradebook(Course(released.root, released.root / "course").db_url) as gradebook:
        assert gradebook.find_assignment(WEEK).max_score == 100
        hidden = gradebook.find_source_cell("double-test-2", "tiny", WEEK).source
    assert "### BEGIN HIDDEN TESTS" in hidden


def test_grade_prints_a_table_and_writes_a_csv(root: Path, workbook: Workbook) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    hand_in(root / "course", "bob [red]", {"double": RIGHT["double"]}, root)
    hand_in(root / "course", "cleo", RIGHT, root)
    (root / "course" / "submitted" / "cleo" / WEEK / "tiny.ipynb").write_text("{", encoding="utf-8")
    code, out, err = workbook("grade", "1", "--workers", "1")
    assert code == 0, "a broken submission is not a failure of the command"
    assert err == ""
    assert "week01_tiny: 3 submissions" in out
    assert "not graded cleo: the file breaks off" in out
    assert "bob [red]" in out
    with (root / "course" / f"{WEEK}.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["learner"]: row for row in csv.DictReader(file)}
    assert {name: row["total"] for name, row in rows.items()} == {"ann": "80", "bob [red]": "40", "cleo": ""}
    assert total_in_gradebook(root / "course", "ann") == 80
    for path in ("course/week01_tiny.csv", "course/gradebook.db", "course/autograded/LEARNER/week01_tiny/"):
        assert path in out
    for path in ("course/feedback/LEARNER/week01_tiny/index.html", "course/week01_tiny.html"):
        assert path in out
        assert (root / path.replace("LEARNER", "ann")).is_file()


def test_grading_without_a_sandbox_is_said_in_every_report(root: Path, workbook: Workbook) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    code, out, err = workbook("grade", "1", "--unsafe")
    assert code == 0
    assert "run without a sandbox" in err
    assert "graded without a sandbox" in out
    assert "graded without a sandbox" in (root / "course" / f"{WEEK}.csv").read_text(encoding="utf-8")
    page = (root / "course" / "feedback" / "ann" / WEEK / "index.html").read_text(encoding="utf-8")
    assert "without a sandbox" in page


def test_where_no_sandbox_can_be_made_grading_refuses(
    root: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    monkeypatch.setattr("autograder.engine.sandbox.missing", lambda: "bubblewrap is not installed")
    code, _, err = workbook("grade", "1")
    assert code == 1
    assert "no sandbox, so nothing was graded: bubblewrap is not installed" in err
    assert "--unsafe" in err
    assert not (root / "course" / "autograded" / "ann").exists()


def test_doctor_says_what_is_missing_and_how_to_mend_it(
    root: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workbook("doctor")[0] == 0
    monkeypatch.setattr("autograder.engine.sandbox.missing", lambda: "bubblewrap is not installed")
    code, out, _ = workbook("doctor")
    assert code == 0, "nobody needs a sandbox to learn"
    assert "✗ sandbox: bubblewrap is not installed" in out
    assert "workbook grade --unsafe" in out
    assert "you can learn here; to grade other people's work, fix what is marked ✗" in out


def test_the_class_may_lie_elsewhere(
    root: Path, workbook: Workbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, answers in (("spring", RIGHT), ("autumn", {})):
        shutil.copytree(root / "course", tmp_path / name)
        hand_in(tmp_path / name, "ann", answers, root)
    monkeypatch.setenv("WORKBOOK_COURSE", str(tmp_path / "spring"))
    assert workbook("grade", "1").code == 0
    assert total_in_gradebook(tmp_path / "spring", "ann") == 80
    assert workbook("grade", "1", "--course", tmp_path / "autumn").code == 0
    assert total_in_gradebook(tmp_path / "autumn", "ann") == 0
    assert not (root / "course" / "autograded").exists()


def test_an_empty_class_is_said(root: Path, workbook: Workbook) -> None:
    line = complaint(workbook("grade", "1"))
    assert line == (
        "error: no submissions of week01_tiny in course/submitted"
        " -> put each one at course/submitted/LEARNER/week01_tiny/tiny.ipynb"
    )


# what cannot be written


@pytest.mark.parametrize(
    ("in_the_way", "words"),
    [
        ("class", ("release", "1", "--course", "class")),
        ("class", ("grade", "1", "--course", "class")),
        ("class", ("demo", "1", "--course", "class")),
        ("class", ("release", "1", "--course", "class/below")),
        ("build", ("build", "1")),
        ("build", ("release", "1")),
        ("build", ("verify", "1", "--exercise", "double")),
        ("build", ("record", "1")),
        ("weeks", ("build", "1")),
        ("weeks", ("start", "1")),
        ("work", ("start", "1")),
        (f"work/{WEEK}", ("start", "1")),
    ],
)
def test_a_file_in_place_of_a_folder_is_said(
    root: Path, workbook: Workbook, in_the_way: str, words: tuple[str, ...]
) -> None:
    path = root / in_the_way
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way", encoding="utf-8")
    assert in_the_way in complaint(workbook(*words))
    assert path.read_text(encoding="utf-8") == "in the way"


@pytest.mark.parametrize("in_the_way", ["gradebook.db", f"{WEEK}.csv"])
def test_a_folder_in_place_of_a_file_is_said(root: Path, workbook: Workbook, in_the_way: str) -> None:
    path = root / "course" / in_the_way
    path.unlink(missing_ok=True)
    path.mkdir()
    hand_in(root / "course", "ann", RIGHT, root)
    assert f"course/{in_the_way}" in complaint(workbook("grade", "1"))


def test_a_gradebook_that_is_no_database_is_said_and_kept(root: Path, workbook: Workbook) -> None:
    (root / "course" / "gradebook.db").write_text("notes of mine, not a database\n" * 100, encoding="utf-8")
    hand_in(root / "course", "ann", RIGHT, root)
    assert "course/gradebook.db" in complaint(workbook("grade", "1"))
    assert (root / "course" / "gradebook.db").read_text(encoding="utf-8").startswith("notes of mine")


# from collect to export


def test_from_collect_to_export(root: Path, workbook: Workbook, tmp_path: Path) -> None:
    """The instructor's whole way in the words of docs/teaching.md, on a folder of loose notebooks."""
    source = tmp_path / "handed-in"
    source.mkdir()
    hand_in(tmp_path / "elsewhere", "ann", RIGHT, root)
    hand_in(tmp_path / "elsewhere", "bob", {"double": RIGHT["double"]}, root)
    for learner in ("ann", "bob"):
        shutil.copy(tmp_path / "elsewhere" / "submitted" / learner / WEEK / "tiny.ipynb", source / f"{learner}.ipynb")
    (root / "course" / "roster.csv").write_text(
        "id,name,email,learner\n1,Ann Lee,,ann\n2,Cleo,,cleo\n", encoding="utf-8"
    )
    code, out, err = workbook("collect", source, "1")
    assert (code, err) == (0, "")
    assert "nothing from 1 on the roster: cleo (Cleo)" in out
    assert "is not on the roster" in out
    assert "2 learners, 2 attempts kept, 2 of them new" in out
    assert "2 attempts kept, 0 of them new" in workbook("collect", source, "1").out
    assert workbook("grade", "1", "--workers", "1").code == 0
    code, out, _ = workbook("feedback", "1")
    assert (code, out) == (
        0,
        "2 learners: course/feedback/LEARNER/week01_tiny/index.html\ngrades: course/week01_tiny.csv\n",
    )
    code, out, _ = workbook("report", "1")
    assert out == (
        "week01_tiny: 2 graded, 1 without work, 0 written answers to grade\nreport: course/week01_tiny.html\n"
    )
    code, out, _ = workbook("export")
    assert "note 1 without Canvas's number (column ID): bob; a roster.csv with ids helps" in out
    assert "course/export/week01_tiny_canvas.csv: 2 learners" in out
    with (root / "course" / "export" / "week01_tiny_canvas.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["Student"]: row["01 Doubling"] for row in csv.DictReader(file)}
    assert rows == {"    Points Possible": "100", "Ann Lee": "80", "bob": "40"}


@pytest.mark.parametrize("words", [("feedback", "1"), ("report", "1"), ("export", "1")])
def test_what_needs_a_gradebook_says_what_to_do_first(root: Path, workbook: Workbook, words: tuple[str, ...]) -> None:
    shutil.rmtree(root / "course")
    line = complaint(workbook(*words))
    assert line == "error: course/gradebook.db is not there -> grade a week first: workbook grade week01"
    assert not (root / "course").exists()


def test_what_is_not_graded_is_said(root: Path, workbook: Workbook) -> None:
    assert complaint(workbook("feedback", "1")) == (
        "error: course/feedback holds no feedback of week01_tiny -> grade it first: workbook grade week01"
    )
    assert complaint(workbook("report")) == (
        "error: course/gradebook.db holds no graded week -> grade one first: workbook grade week01"
    )
    assert "nobody is graded completely -> " in complaint(workbook("export", "1"))


def test_a_source_that_is_not_there_is_said(root: Path, workbook: Workbook) -> None:
    line = complaint(workbook("collect", "nowhere.zip", "1"))
    assert "nowhere.zip" in line
    assert not (root / "course" / "submitted").exists()


def test_bundle_writes_the_archive(root: Path, workbook: Workbook) -> None:
    code, out, _ = workbook("bundle", "1", "-o", "out/learners.tar.gz")
    assert code == 0
    assert out.startswith("out/learners.tar.gz: week01_tiny; 3 files, ")
    assert (root / "out" / "learners.tar.gz").is_file()
    assert "learners.rar is not a valid archive name" in complaint(workbook("bundle", "1", "-o", "learners.rar"))


# demo


def test_demo_makes_a_class_and_grades_it(root: Path, workbook: Workbook) -> None:
    earlier = Course.at(root, Path("build") / "demo")
    clear(earlier)
    left_over = earlier.submitted / "somebody" / WEEK
    left_over.mkdir(parents=True)
    code, out, _ = workbook("demo")
    assert code == 0
    assert "made a class of 12 from week01_tiny in build/demo/submitted/" in out
    assert "week01_tiny: 12 submissions" in out
    assert "WORKBOOK_COURSE=build/demo" in out
    assert not left_over.exists(), "the class is made anew"
    with (root / "build" / "demo" / f"{WEEK}.csv").open(newline="", encoding="utf-8-sig") as file:
        totals = {row["learner"]: row["total"] for row in csv.DictReader(file)}
    assert totals["reference"] == "80"
    assert totals["untouched-stubs"] == "0"
    assert total_in_gradebook(root / "build" / "demo", "reference") == 80
    assert not (root / "course" / "submitted").exists()


def test_demo_does_not_remove_a_real_class(root: Path, workbook: Workbook) -> None:
    hand_in(root / "course", "ann", RIGHT, root)
    before = (root / "course" / "gradebook.db").read_bytes()
    (root / "course" / "notes.txt").write_text("mine", encoding="utf-8")
    complaint(workbook("demo", "1", "--course", "course"))
    assert (root / "course" / "gradebook.db").read_bytes() == before
    assert (root / "course" / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert (root / "course" / "submitted" / "ann").is_dir()
