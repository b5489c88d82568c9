"""What an author of weeks types: what it writes, what it says, how it exits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ..measured_week import KEPT, MEASURED_LESSON
from ..texts import PIXEL
from ..tiny_week import WEEK
from .checkout import Workbook, complaint, edit

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--minutes", "3"), "--minutes and --seed are for measured cells -> say --real-data FOLDER, too"),
        (("--seed", "1"), "--minutes and --seed are for measured cells -> say --real-data FOLDER, too"),
        (
            ("--real-data", ".", "--keep-nothing"),
            "--real-data and --keep-nothing do not go together -> say one of them",
        ),
        (("--real-data", "."), 'week01_tiny has no cell to measure -> write measured="cifar10" into a header'),
    ],
)
def test_what_record_cannot_do_is_said(root: Path, workbook: Workbook, words: tuple[str, ...], said: str) -> None:
    code, _, err = workbook("record", "1", *words)
    assert (code, err.strip()) == (1, f"error: {said}")


def test_build_tells_the_author_that_measured_code_has_changed(root: Path, workbook: Workbook) -> None:
    folder = root / "solutions" / WEEK
    (folder / "tiny.py").write_text(MEASURED_LESSON, encoding="utf-8")
    (folder / "measured.json").write_text(KEPT.model_dump_json(), encoding="utf-8")
    (folder / "measured-photos.png").write_bytes(PIXEL)
    code, out, _ = workbook("build", "1")
    assert code == 0
    assert "code that was measured on photos has changed since: workbook record week01 --real-data FOLDER" in out
