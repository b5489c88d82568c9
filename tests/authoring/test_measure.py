"""`workbook record --real-data`: what it runs, what it keeps, and what it refuses to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.authoring import measure as measure_module
from autograder.authoring.measure import Asked, committed, measure, to_run
from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.week.measured import code_digest, data_of, needed, read_measured
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..measured_week import MEASURED_LESSON
from ..repositories import commit, repository, run_git
from ..tiny_week import LESSON, write_tiny_week

NAME = "quadruple-explore-2"
DRAWS = """print("quadrupled:", quadruple(count(data)))
    import matplotlib.pyplot as plt

    plt.figure(figsize=(1, 1))
    plt.plot([0, 1], label="a line")
    plt.title("one [line]")
    plt.show()
"""


def checkout(root: Path, lesson: str) -> Notebooks:
    """A repository with the tiny week, committed; the week, built."""
    folder = write_tiny_week(root, lesson)
    repository(root, {".gitignore": "build/\n"})
    return build_week(load_week(folder))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a data set of three files."""
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "data" / "photos" / f"{number}.jpg").write_bytes(b"")
    return tmp_path / "data"


def test_what_the_cells_show_is_kept_with_commit_command_seed_and_machine(tmp_path: Path, data: Path) -> None:
    """In a real kernel: the cell reads the data, the minutes and the seed that were asked for."""
    lesson = MEASURED_LESSON.replace(
        "from shared import checks\n", "from shared import checks, session\nsession.begin()\n"
    ).replace('print("quadrupled:", quadruple(count(data)))\n', DRAWS)
    built, root = checkout(tmp_path / "checkout", lesson), tmp_path / "checkout"
    written = measure(built, root, Asked(data, 5, 3))
    assert [path.name for path in written] == ["measured-photos.png", "measured.json"]
    (found,) = read_measured(built.week.folder).cells.values()
    assert found.printed == ["3 files, 250 steps, seed 3", "quadrupled: 12"]
    assert found.commit == run_git(root, "rev-parse", "HEAD").strip()
    assert found.command == "workbook record week01 --real-data FOLDER --minutes 5 --seed 3"
    assert (found.minutes, found.seed, found.machine.profile) == (5, 3, "cpu")
    (cell,) = [cell for cell in built.week.cells if data_of(cell)]
    assert found.code == code_digest(needed(built.week.cells, cell))
    (picture,) = found.pictures
    assert picture.file == "measured-photos.png"
    assert "one (line)" in picture.text
    assert (built.week.folder / picture.file).read_bytes().startswith(b"\x89PNG")
    assert str(data) not in (built.week.folder / "measured.json").read_text(encoding="utf-8")


def test_only_what_the_measured_cell_needs_runs_between_two_clocks(tiny_root: Path) -> None:
    (tiny_root / "solutions" / "week01_tiny" / "tiny.py").write_text(MEASURED_LESSON, encoding="utf-8")
    built = build_week(load_week(tiny_root / "solutions" / "week01_tiny"))
    (cell,) = [cell for cell in built.week.cells if data_of(cell)]
    notebook = to_run(built, [cell])
    wanted = ["setup", "double", "quadruple", "given-count", f"{NAME}-before", NAME, f"{NAME}-after"]
    assert [one.id for one in notebook.cells] == wanted
    assert "return number + number" in notebook.cells[1].source, "the reference, not the stub"


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        (Asked(Path("x")), "workbook record week01 --real-data FOLDER"),
        (Asked(Path("x"), 12.0), "workbook record week01 --real-data FOLDER --minutes 12"),
        (Asked(Path("x"), 0.5, 2), "workbook record week01 --real-data FOLDER --minutes 0.5 --seed 2"),
    ],
)
def test_the_command_that_is_kept(asked: Asked, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROFILE", raising=False)
    assert asked.command("week01_tiny") == command
    monkeypatch.setenv("PROFILE", "gpu")
    assert asked.command("week01_tiny") == f"PROFILE=gpu {command}"


def test_the_minutes_of_the_terminal_are_not_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_MINUTES", "99")
    assert "WORKBOOK_MINUTES" not in Asked(Path("x")).environment()
    assert Asked(Path("x"), 12.0).environment()["WORKBOOK_MINUTES"] == "12"


def never(*_: object, **__: object) -> None:
    pytest.fail("nothing may run")


def test_what_cannot_be_measured_is_refused_before_anything_runs(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_module, "run", never)
    plain = checkout(tmp_path / "plain", LESSON)
    with pytest.raises(WorkbookError, match="has no cell to measure"):
        measure(plain, tmp_path / "plain", Asked(data))
    root = tmp_path / "checkout"
    built = checkout(root, MEASURED_LESSON)
    with pytest.raises(WorkbookError, match=r"there is no folder .*elsewhere.photos"):
        measure(built, root, Asked(tmp_path / "elsewhere"))
    bare = write_tiny_week(tmp_path / "bare", MEASURED_LESSON)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(WorkbookError, match="there is no commit to measure"):
        measure(build_week(load_week(bare)), tmp_path / "bare", Asked(data))


@pytest.mark.parametrize("name", ["solutions/week01_tiny/tiny.py", "solutions/week01_tiny/new.png", "shared/new.py"])
def test_changes_that_no_commit_holds_are_refused(tmp_path: Path, name: str) -> None:
    built = checkout(tmp_path, MEASURED_LESSON)
    commit(tmp_path, {"shared/old.py": ""})
    assert committed(tmp_path, built.week) == run_git(tmp_path, "rev-parse", "HEAD").strip()
    path = tmp_path / name
    path.write_text(path.read_text(encoding="utf-8") + "# more\n" if path.is_file() else "", encoding="utf-8")
    with pytest.raises(WorkbookError, match=f"no commit holds the changes of {name}"):
        committed(tmp_path, built.week)


def test_changes_of_other_weeks_do_not_matter(tmp_path: Path) -> None:
    built = checkout(tmp_path, MEASURED_LESSON)
    (tmp_path / "solutions" / "week02_other").mkdir()
    (tmp_path / "solutions" / "week02_other" / "other.py").write_text("", encoding="utf-8")
    assert committed(tmp_path, built.week) == run_git(tmp_path, "rev-parse", "HEAD").strip()


def amended(root: Path) -> None:
    run_git(root, "commit", "-q", "--no-verify", "--amend", "-m", "Another")


def edited(root: Path) -> None:
    path = root / "solutions" / "week01_tiny" / "tiny.py"
    text = path.read_text(encoding="utf-8").replace("budget.scaled(100)", "budget.scaled(900)")
    commit(root, {"solutions/week01_tiny/tiny.py": text})


@pytest.mark.parametrize(
    ("meanwhile", "message"),
    [(amended, "is not an ancestor of what is checked out now"), (edited, "week01_tiny changed while its cells ran")],
)
def test_nothing_is_kept_of_code_that_is_not_there_any_more(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Path], None], message: str
) -> None:
    root = tmp_path / "checkout"
    built = checkout(root, MEASURED_LESSON)
    monkeypatch.setattr(measure_module, "run", lambda *_, **__: meanwhile(root))
    with pytest.raises(WorkbookError, match=message):
        measure(built, root, Asked(data))
    assert read_measured(built.week.folder).cells == {}
