"""`workbook new`: the scaffold is a sound week, and nothing that exists is touched."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.authoring.lies import find_lies
from autograder.authoring.mutants import try_mutants
from autograder.authoring.new import new_week
from autograder.authoring.record import execute, keep
from autograder.authoring.verify import verify_week
from autograder.building.build import build_week, expected_outputs, stale, write_source, write_week
from autograder.core.errors import BuildError, WorkbookError
from autograder.week.cells import KINDS, Check, Explore, Test
from autograder.week.notebooks import Notebooks
from autograder.week.source import Week, load_week

ROOT = Path(__file__).resolve().parents[2]
NAME = "week01_corner_finding"
TITLE = 'Corners: "here" & <there>'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without weeks, with the settings and helpers of this one."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "solutions").mkdir()
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copytree(ROOT / "shared", root / "shared")
    return root


@pytest.fixture(scope="module")
def said(root: Path) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "autograder.cli", "new", "corner_finding", "--title", TITLE]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def week(root: Path, said: str) -> Week:
    return load_week(root / "solutions" / NAME)


@pytest.fixture(scope="module")
def built(week: Week) -> Notebooks:
    return build_week(week)


def test_the_command_names_the_files_and_the_next_step(said: str, week: Week) -> None:
    assert {line for line in said.splitlines() if line.endswith(": written")} == {
        f"solutions/{NAME}/{path.name}: written" for path in week.folder.iterdir()
    }
    assert "workbook verify week01; workbook preview week01" in said
    assert "workbook build week01, which refuses notes that are left" in said
    assert f"grep -rn AUTHOR solutions/{NAME}" in said
    assert week.info.title == TITLE
    assert f"# Week 1: {TITLE}\n" in week.cells[0].source


def test_every_word_is_shown(week: Week) -> None:
    script = "".join(path.read_text(encoding="utf-8") for path in (week.script, week.folder / "tests.py"))
    assert [kind.key for kind in KINDS if not week.of_kind(kind)] == []
    for word in ("difficulty=", "minutes=", "uses=", "points=", "forbids=", "compare=true", 'picture="'):
        assert word in script, word
    marks = ("checks.beside(", "checks.raises(", "checks.forbidden(", "checks.fresh_seed(", "causes=", "profile.pick(")
    for mark in marks:
        assert mark in script, mark


def test_every_file_of_an_author_carries_notes(week: Week) -> None:
    written_by_hand = {path.name for path in week.folder.iterdir()} - {"outputs.json"}
    assert {path.name for path in week.folder.iterdir() if "AUTHOR:" in path.read_text(encoding="utf-8")} == (
        written_by_hand
    )


def test_nothing_is_left_of_the_template(week: Week) -> None:
    for path in week.folder.iterdir():
        assert not re.search(r"\{\{|\{%|jinja", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("words", [("check",), ("format", "--check")])
def test_ruff_finds_nothing(root: Path, week: Week, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--no-cache", f"solutions/{NAME}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_are_proven(week: Week) -> None:
    matrix = verify_week(week.folder, workers=2, thorough=True)
    assert matrix.misses == []
    rejecting = {row.exercise for row in matrix.rows if row.hidden_only}
    assert rejecting == set(week.exercises), "one misconception an exercise is for the hidden tests alone"


def test_lies_earn_nothing(week: Week) -> None:
    found = find_lies(week.folder, workers=2)
    assert found.misses == []
    assert found.open == ()


def test_every_mutant_is_killed(week: Week) -> None:
    report = try_mutants(week.folder, workers=2)
    assert report.misses == []
    assert report.all_mutants == len(report.tried) > 20


def test_nothing_is_released_before_the_notes_are_gone(root: Path, built: Notebooks) -> None:
    with pytest.raises(BuildError) as error:
        write_week(built, root)
    noted = {path for path in built.week.folder.iterdir() if "AUTHOR:" in path.read_text(encoding="utf-8")}
    assert [problem.path for problem in error.value.problems] == sorted(noted)
    for problem in error.value.problems:
        assert "AUTHOR:" in problem.path.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert not (root / "weeks").exists()


def test_without_its_notes_the_week_is_released(root: Path, week: Week, tmp_path: Path) -> None:
    folder = shutil.copytree(week.folder, tmp_path / "solutions" / NAME)
    for path in folder.iterdir():
        text = re.sub(r"<!-- AUTHOR:.*?-->", "", path.read_text(encoding="utf-8"))
        path.write_text(text.replace("AUTHOR:", "It is so:"), encoding="utf-8")
    clean = build_week(load_week(folder))
    assert write_week(clean, tmp_path)
    assert stale(clean, tmp_path) == []


def test_no_answer_is_shown(built: Notebooks) -> None:
    """The builder's own leak rules passed; the telling lines are gone in so many words."""
    for text in ("amax(dim=-1, keepdim=True)).exp()", "softmax(scores) @ positions", "5 points:", "looped"):
        assert any(text in cell.source for cell in built.instructor.cells), text
        assert text not in built.learner_text


def test_the_notebook_executes_and_prints_what_is_kept(root: Path, built: Notebooks) -> None:
    write_source(built, root)
    before = expected_outputs(built.week)
    keep(built.week, execute(built, root))
    assert expected_outputs(built.week) == before


def test_an_untouched_copy_has_nothing_to_see_yet(root: Path, week: Week, built: Notebooks) -> None:
    kinds = {cell.id: cell.words for cell in week.cells}
    cells = [
        c for c in built.learner.cells if c.cell_type == "code" and not isinstance(kinds[c.id], Explore | Test | Check)
    ]
    script = "\n\n".join(cell.source for cell in cells)
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("this exercise is not written") == 2


# numbers, and what is refused


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the weeks 1 and 3; learners also have week 4, whose source is elsewhere."""
    for folder in ("solutions/week01_first", "solutions/week03_third", "weeks/week01_first", "weeks/week04_fourth"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'course'\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_number_is_the_next_free_one(course: Path) -> None:
    assert [new_week(course, topic).name for topic in ("a", "b", "c")] == ["week02_a", "week05_b", "week06_c"]


def test_the_command_takes_the_number_as_a_word_of_its_own(course: Path) -> None:
    command = [sys.executable, "-m", "autograder.cli", "new", "12", "some_topic"]
    subprocess.run(command, cwd=course, capture_output=True, text=True, check=True)
    assert load_week(course / "solutions" / "week12_some_topic").number == 12


@pytest.mark.parametrize(
    ("asked", "name"), [("week12_x", "week12_x"), ("week7_x", "week07_x"), ("week00_x", "week00_x")]
)
def test_the_name_may_choose_the_number(course: Path, asked: str, name: str) -> None:
    assert load_week(new_week(course, asked)).name == name


def test_the_title_is_the_topic_or_one_line(course: Path) -> None:
    assert load_week(new_week(course, "video_clips")).info.title == "Video clips"
    assert load_week(new_week(course, "depth", "Depth\n  from\\one eye ")).info.title == "Depth from\\one eye"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("first", "there is a week of this topic, week01_first -> edit it, or choose another topic"),
        ("week09_first", "there is a week of this topic, week01_first -> edit it, or choose another topic"),
        ("fourth", "there is a week of this topic, week04_fourth -> edit it, or choose another topic"),
        ("week03_other", "the number 3 is taken by week03_third -> the next free one is 2"),
        ("week4_other", "the number 4 is taken by week04_fourth -> the next free one is 2"),
        *(
            (
                topic,
                f"{topic!r} is not a topic -> use small letters, digits and underscores,"
                " as in detection_transformer or week12_detection_transformer",
            )
            for topic in (
                "",
                "12",
                "3d",
                "Depth",
                "two words",
                "class",
                "week12_class",
                "../up",
                "tiefe-karte",
                "größe",
            )
        ),
    ],
)
def test_what_is_taken_or_no_topic_is_refused(course: Path, asked: str, said: str) -> None:
    before = sorted(course.rglob("*"))
    with pytest.raises(WorkbookError) as error:
        new_week(course, asked)
    assert str(error.value) == said
    assert sorted(course.rglob("*")) == before


def test_nothing_is_overwritten(course: Path) -> None:
    in_the_way = course / "solutions" / "week02_x"
    in_the_way.write_text("a file where the folder belongs", encoding="utf-8")
    with pytest.raises(FileExistsError):
        new_week(course, "x")
    assert in_the_way.read_text(encoding="utf-8") == "a file where the folder belongs"


def test_a_bundle_without_sources_is_refused(course: Path) -> None:
    shutil.rmtree(course / "solutions")
    with pytest.raises(WorkbookError, match="has no solutions/ -> write weeks in a clone"):
        new_week(course, "x")


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autograder.cli", "new", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    way = f"change into the folder you cloned: cd {shlex.quote(str(Path(__file__).parents[2]))}"
    assert done.stderr == f"error: {tmp_path} is not inside the workbook -> {way}\n"
