"""The `workbook` command: what it writes, what it says, how it exits."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from autograder import cli
from autograder.authoring.sample_class import clear
from autograder.commands import common
from autograder.course.folder import Course
from autograder.engine.guest.usage import below

from ..processes import ended, wait_until
from ..tiny_week import WEEK, write_tiny_week

COMMANDS = list(typer.main.get_group(cli.app).commands)
RIGHT = {
    "double": "def double(number):\n    return number + number",
    "quadruple": "def quadruple(number):\n    return 4 * number",
}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Workbook = Callable[..., Outcome]


@dataclass(frozen=True)
class Released:
    """A checkout after `workbook release 1`, and what the command said (a new gradebook costs nbgrader 4 s)."""

    root: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("released")
    folder = write_tiny_week(root)
    (folder / "outputs.json").write_text('{"quadruple-explore-1": "two and two is 4\\n"}\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "autograder.cli", "release", "1"],
        cwd=root,
        env={key: value for key, value in os.environ.items() if key != "WORKBOOK_COURSE"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Released(root, done.returncode, done.stdout, done.stderr)


@pytest.fixture
def root(released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the released checkout, and the current folder."""
    root = tmp_path / "checkout"
    shutil.copytree(released.root, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def workbook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workbook:
    """Run the command in this process, with the exit code that a shell would get."""
    monkeypatch.delenv("WORKBOOK_COURSE", raising=False)
    monkeypatch.setattr(common.console, "width", 200)

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["workbook", *map(str, words)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = leave.code
        said = capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, said.out, said.err)

    return run


def complaint(outcome: Outcome) -> str:
    """The one line that says what is wrong and what to do next."""
    assert outcome.code == 1, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, outcome.err
    assert outcome.err.splitlines()[-1] == lines[0], "nothing follows it"
    what, _, next_step = lines[0].removeprefix("error: ").partition(" -> ")
    assert what
    assert next_step
    return lines[0]


def hand_in(course: Path, learner: str, answers: dict[str, str], released_root: Path) -> None:
    notebook = json.loads((released_root / "weeks" / WEEK / "tiny.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    folder = course / "submitted" / learner / WEEK
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def total_in_gradebook(course: Path, learner: str) -> float:
    from nbgrader.api import Gradebook

    with Gradebook(Course(course, course).db_url) as gradebook:
        score: float = gradebook.find_submission(WEEK, learner).score
    return score


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


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


# build


def test_build_writes_what_differs(root: Path, workbook: Workbook) -> None:
    shutil.rmtree(root / "weeks")
    assert workbook("build") == (0, "weeks/week01_tiny/tiny.ipynb: written, 2 exercises\n", "")
    first = (root / "weeks" / WEEK / "tiny.ipynb").read_bytes()
    assert workbook("build") == (0, "weeks/week01_tiny/tiny.ipynb: unchanged, 2 exercises\n", "")
    assert (root / "weeks" / WEEK / "tiny.ipynb").read_bytes() == first
    assert "number + number" not in first.decode()


def test_build_check_passes_on_what_the_source_builds(root: Path, workbook: Workbook) -> None:
    assert workbook("build", "--check") == (0, "", "")


def test_build_check_names_what_is_stale_and_writes_nothing(root: Path, workbook: Workbook) -> None:
    notebook = root / "weeks" / WEEK / "tiny.ipynb"
    edit(notebook, "# A tiny week", "# A small week")
    edited = notebook.read_bytes()
    line = complaint(workbook("build", "--check"))
    assert line == (
        "error: weeks/week01_tiny/tiny.ipynb is not what solutions/week01_tiny/ builds"
        " -> run `make weeks` and commit the result"
    )
    assert notebook.read_bytes() == edited
    notebook.unlink()
    assert "weeks/week01_tiny/tiny.ipynb is missing" in complaint(workbook("build", "--check"))
    assert not notebook.exists()


def test_build_check_wants_the_compared_outputs(root: Path, workbook: Workbook) -> None:
    (root / "solutions" / WEEK / "outputs.json").unlink()
    line = complaint(workbook("build", "--check"))
    assert "outputs.json of week01_tiny does not hold the compared cells ['quadruple-explore-1']" in line


def test_a_source_that_breaks_a_rule_is_named_with_its_line(root: Path, workbook: Workbook) -> None:
    edit(root / "solutions" / WEEK / "tiny.py", "# %% setup=true", "# %% setup=true colour=3")
    line = complaint(workbook("build"))
    assert line.startswith("error: solutions/week01_tiny/tiny.py:4: setup cell: colour: ")


@pytest.mark.parametrize("command", ["build", "verify"])
@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("wek02_other", "this folder has not the name of a week -> call it weekNN_topic, as in"),
        ("week1_other", "this folder has not the name of a week -> call it weekNN_topic, as in"),
        ("week01_zebra", "week01_tiny has the same number -> give one of them another number"),
    ],
)
def test_a_folder_that_would_be_overlooked_is_told(
    root: Path, workbook: Workbook, command: str, folder: str, said: str
) -> None:
    (root / "solutions" / folder).mkdir()
    for asked in ((), (folder,)):
        line = complaint(workbook(command, *asked))
        assert line.startswith(f"error: solutions/{folder}:1: {said}")


def test_a_mistake_in_one_week_keeps_no_other_from_being_built(root: Path, workbook: Workbook) -> None:
    shutil.copytree(root / "solutions" / WEEK, root / "solutions" / "week02_other")
    (root / "solutions" / "week02_other" / "tiny.py").rename(root / "solutions" / "week02_other" / "other.py")
    script = root / "solutions" / WEEK / "tiny.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("difficulty=1", "difficulty=9"), encoding="utf-8")
    code, out, err = workbook("build")
    assert (code, out) == (1, "weeks/week02_other/other.ipynb: written, 2 exercises\n")
    assert err.startswith(f"error: solutions/{WEEK}/tiny.py:12: exercise cell: difficulty:")


# verify


def test_verify_passes_a_sound_week(root: Path, workbook: Workbook) -> None:
    code, out, err = workbook("verify", "--workers", "2")
    assert (code, err) == (0, "")
    assert "8 variants, 0 misses" in out
    written = json.loads((root / "build" / "verify" / f"{WEEK}.json").read_text(encoding="utf-8"))
    assert written["week"] == WEEK
    assert len(written["rows"]) == 8
    assert "written to build/verify/week01_tiny.json" in out


@pytest.mark.parametrize("words", [("--mutants", "--lies"), ("--lies", "--watch"), ("--watch", "--mutants")])
def test_verify_does_one_thing_at_a_time(workbook: Workbook, words: tuple[str, str]) -> None:
    line = complaint(workbook("verify", *words))
    assert line == "error: --mutants, --lies and --watch do not go together -> say one of them"


def test_verify_exits_with_1_on_a_miss(root: Path, workbook: Workbook) -> None:
    edit(root / "solutions" / WEEK / "misconceptions.py", 'says="this is the double"', 'says="twice"')
    outcome = workbook("verify", "1", "--exercise", "quadruple")
    assert complaint(outcome) == "error: 1 misses in the matrix -> fix what is named above, file by file"
    place = f"solutions/{WEEK}/misconceptions.py:14"
    said = "misconception 'only-double': quadruple-test-1 does not say 'twice' but: this is the double"
    assert f"miss {place}: {said} -> add a cause" in outcome.out
    assert len(json.loads((root / "build" / "verify" / f"{WEEK}.json").read_text(encoding="utf-8"))["rows"]) == 5


def test_verify_of_an_unknown_exercise(root: Path, workbook: Workbook) -> None:
    line = complaint(workbook("verify", "1", "--exercise", "triple"))
    assert line == "error: week01_tiny has no exercise 'triple' -> one of double, quadruple"


# record


def test_record_keeps_what_is_compared(root: Path, workbook: Workbook) -> None:
    kept = root / "solutions" / WEEK / "outputs.json"
    kept.unlink()
    code, out, _ = workbook("record", "1")
    assert code == 0
    assert json.loads(kept.read_text(encoding="utf-8")) == {"quadruple-explore-1": "two and two is 4\n"}
    assert "solutions/week01_tiny/outputs.json: written" in out
    assert "slowest: " in out
    executed = json.loads((root / "build" / "executed" / WEEK / "tiny.ipynb").read_text(encoding="utf-8"))
    assert any(cell.get("outputs") for cell in executed["cells"])


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
    assert code == 0, "a broken submission is no failure of the command"
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


# start


def test_start_copies_once_and_never_overwrites(root: Path, workbook: Workbook) -> None:
    begun = "work/week01_tiny/tiny.ipynb: ready\nwork/week01_tiny/LOG.md: ready\n"
    assert workbook("start", "1") == (0, begun, "")
    mine = root / "work" / WEEK / "tiny.ipynb"
    assert mine.read_bytes() == (root / "weeks" / WEEK / "tiny.ipynb").read_bytes()
    mine.write_text("my answers", encoding="utf-8")
    assert workbook("start", "1") == (0, "work/week01_tiny/tiny.ipynb: kept as it is\n", "")
    assert mine.read_text(encoding="utf-8") == "my answers"


def test_start_copies_every_released_week(root: Path, workbook: Workbook) -> None:
    shutil.copytree(root / "weeks" / WEEK, root / "weeks" / "week02_other")
    assert workbook("start", "--all").code == 0
    assert sorted(path.parent.name for path in (root / "work").rglob("*.ipynb")) == [WEEK, "week02_other"]


def test_start_of_a_week_that_is_not_released(root: Path, workbook: Workbook) -> None:
    shutil.rmtree(root / "weeks" / WEEK)
    assert complaint(workbook("start", "1")).startswith("error: weeks/week01_tiny is not there -> ")
    assert not (root / "work").exists()


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
