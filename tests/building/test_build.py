"""Building a week: the same bytes every time, nbgrader's metadata, nothing secret, and only changes written."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.notebooknode import NotebookNode
from nbgrader.utils import compute_checksum

from autograder.building.build import build_week, expected_outputs, stale, with_expected_outputs, write_week
from autograder.core.errors import BuildError
from autograder.week.locate import all_weeks
from autograder.week.notebooks import Notebooks, content_of, to_text
from autograder.week.source import load_week

ROOT = Path(__file__).parents[2]
WEEKS = all_weeks(ROOT)
EXPLORE = "quadruple-explore-1"
FINGERPRINTS = """
import hashlib, sys
from pathlib import Path
from autograder.building.build import build_week
from autograder.week.notebooks import to_text
from autograder.week.source import load_week
for folder in sys.argv[1:]:
    built = build_week(load_week(Path(folder)))
    for text in (to_text(built.instructor), built.learner_text):
        print(hashlib.sha256(text.encode()).hexdigest())
"""


@cache
def week(name: str) -> Notebooks:
    """A week of the course, built."""
    return build_week(load_week(ROOT / "solutions" / name))


def cell(notebook: NotebookNode, cell_id: str) -> Any:
    (found,) = [one for one in notebook.cells if one.id == cell_id]
    return found


def rebuilt(root: Path, edits: dict[str, str]) -> Notebooks:
    """The tiny week after some edits of its script."""
    folder = root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    return build_week(load_week(folder))


def test_there_are_weeks() -> None:
    assert WEEKS


# ---- the same bytes


def test_two_builds_are_byte_identical(tiny: Notebooks) -> None:
    again = build_week(load_week(tiny.week.folder))
    assert again.learner_text == tiny.learner_text
    assert to_text(again.instructor) == to_text(tiny.instructor)


def test_a_build_leaves_the_instructor_notebook_as_it_was(tiny: Notebooks) -> None:
    assert "return number + number" in cell(tiny.instructor, "double").source
    assert "checksum" not in json.dumps(tiny.instructor)


def test_another_process_with_another_hash_seed_builds_the_same_bytes(tiny: Notebooks) -> None:
    builds = [tiny, *map(week, WEEKS)]
    texts = [text for built in builds for text in (to_text(built.instructor), built.learner_text)]
    run = subprocess.run(
        [sys.executable, "-c", FINGERPRINTS, *(str(built.week.folder) for built in builds)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4242", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def test_text_is_sorted_readable_and_ends_with_a_newline(tiny: Notebooks) -> None:
    text = tiny.learner_text
    assert text.endswith("}\n")
    assert "●○○○○" in text, "no escapes in what people read in a diff"
    assert json.loads(text) == tiny.learner
    assert list(json.loads(text)) == ["cells", "metadata", "nbformat", "nbformat_minor"]


# ---- what a notebook is


@pytest.mark.parametrize("which", ["tiny", *WEEKS])
def test_notebooks_are_valid_nbformat_4_5(which: str, request: pytest.FixtureRequest) -> None:
    built: Notebooks = request.getfixturevalue("tiny") if which == "tiny" else week(which)
    for notebook in (built.instructor, built.learner, with_expected_outputs(built)):
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        nbformat.validate(notebook)
        assert len({one.id for one in notebook.cells}) == len(notebook.cells)
    assert [one.id for one in built.learner.cells] == [one.id for one in built.week.cells]
    assert not any(one.get("outputs") or one.get("execution_count") for one in built.learner.cells)


def test_a_notebook_names_its_week_and_kernel(tiny: Notebooks) -> None:
    for notebook in (tiny.instructor, tiny.learner):
        assert notebook.metadata["kernelspec"]["name"] == "python3"
        assert notebook.metadata["workbook"] == {
            "week": "week01_tiny",
            "title": "Doubling",
            "version": 1,
            "content": content_of(tiny.learner),
            "hours": 1,
            "libraries": [],
            "limits": {"cell_seconds": 2, "total_seconds": 20, "memory_gib": 1},
            "reading": [],
        }


# ---- what the learner gets


def test_stubs_keep_the_signature_and_raise(tiny: Notebooks) -> None:
    source = cell(tiny.learner, "double").source
    assert source.startswith('def double(number: int) -> int:\n    """Twice the number (an int)."""\n')
    assert "SOLUTION" not in source
    assert "number + number" not in source
    space: dict[str, Any] = {}
    exec(source, space)
    with pytest.raises(NotImplementedError):
        space["double"](2)


def test_hidden_tests_are_gone_and_visible_ones_stay(tiny: Notebooks) -> None:
    assert cell(tiny.learner, "double-test-2").source == (
        "# double, test 2 of 2: 20 points\n"
        'with checks.step("double of 0"):\n    checks.equal(double(0), 0, "double(0)")\n\nchecks.done(hidden=True)'
    )
    assert cell(tiny.learner, "double-test-1").source == cell(tiny.instructor, "double-test-1").source
    assert "HIDDEN" in cell(tiny.instructor, "double-test-2").source


def test_a_test_ends_with_what_passed(tiny: Notebooks) -> None:
    for notebook in (tiny.instructor, tiny.learner):
        assert cell(notebook, "double-test-1").source.endswith("\n\nchecks.done()")
        assert cell(notebook, "double-test-2").source.endswith("\n\nchecks.done(hidden=True)")


def test_hidden_tests_leave_no_gap(tiny_root: Path) -> None:
    built = rebuilt(tiny_root, {"### BEGIN HIDDEN TESTS\nfor": "\n\n### BEGIN HIDDEN TESTS\nfor"})
    source = cell(built.learner, "double-test-2").source
    assert source.endswith('"double(0)")\n\nchecks.done(hidden=True)')


def test_written_answers_are_replaced(tiny: Notebooks) -> None:
    assert cell(tiny.learner, "written-why").source == "**W1.** Why is double twice?\n\nYOUR ANSWER HERE"


@pytest.mark.parametrize("name", WEEKS)
def test_every_stub_of_a_week_raises_and_no_mark_is_left(name: str) -> None:
    learner = week(name).learner
    for exercise in week(name).week.exercises:
        assert "raise NotImplementedError()" in cell(learner, exercise).source
    text = "\n".join(one.source for one in learner.cells)
    for mark in ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN", "END HIDDEN"):
        assert mark not in text


def test_the_box_stands_under_the_heading(tiny: Notebooks) -> None:
    for notebook in (tiny.instructor, tiny.learner):
        assert cell(notebook, "quadruple-about").source == (
            "### Exercise 2. Quadruple\n\n> difficulty ●●○○○ · 5 minutes · 40 points\n\nFour times a number."
        )


def test_forbidden_calls_stand_on_top_of_the_test(tiny_root: Path) -> None:
    header = '# %% test="double" points=20\nwith checks.step("double of 2"):'
    new = header.replace("20\n", '20 forbids="operator.add, math.fsum"\n') + "\n    checks.forbidden(FORBIDDEN, double)"
    built = rebuilt(tiny_root, {header: new})
    for notebook in (built.instructor, built.learner):
        source = cell(notebook, "double-test-1").source
        assert source.startswith(
            "# double, test 1 of 2: 20 points\n"
            "# library calls that would make this exercise empty\n"
            'FORBIDDEN = (\n    "operator.add",\n    "math.fsum",\n)\n\nwith checks.step'
        )
        assert "FORBIDDEN = " not in cell(notebook, "double-test-2").source


# ---- metadata


@pytest.mark.parametrize(
    ("cell_id", "nbgrader"),
    [
        ("setup", {"grade": False, "solution": False, "locked": True}),
        ("double", {"grade": False, "solution": True, "locked": False}),
        ("double-test-2", {"grade": True, "solution": False, "locked": True, "points": 20}),
        ("written-why", {"grade": True, "solution": True, "locked": False, "points": 20}),
    ],
)
def test_nbgrader_knows_its_cells(tiny: Notebooks, cell_id: str, nbgrader: dict[str, Any]) -> None:
    always = {"schema_version": 3, "grade_id": cell_id, "task": False}
    assert cell(tiny.instructor, cell_id).metadata["nbgrader"] == always | nbgrader
    released = cell(tiny.learner, cell_id).metadata["nbgrader"]
    added = {
        "cell_type": cell(tiny.learner, cell_id).cell_type,
        "checksum": compute_checksum(cell(tiny.learner, cell_id)),
    }
    assert released == always | nbgrader | added


@pytest.mark.parametrize(
    "cell_id", ["start-text-1", "double-about", "double-look-1", "double-hints", "quadruple-explore-1"]
)
def test_nbgrader_leaves_the_other_cells_alone(tiny: Notebooks, cell_id: str) -> None:
    metadata = cell(tiny.learner, cell_id).metadata
    assert "nbgrader" not in metadata
    assert metadata.get("editable", True)


def test_only_tests_and_set_up_are_locked_and_no_graded_cell_can_be_deleted(tiny: Notebooks) -> None:
    def flags(cell_id: str) -> tuple[bool, bool]:
        metadata = cell(tiny.learner, cell_id).metadata
        return metadata.get("deletable", True), metadata.get("editable", True)

    assert flags("setup") == flags("double-test-1") == (False, False)
    assert flags("double") == flags("written-why") == (False, True)


def test_given_cells_are_locked(tiny_root: Path) -> None:
    stub = '# %% exercise="quadruple"'
    built = rebuilt(tiny_root, {stub: f'# %% given="toy"\nTOY = 1\n\n{stub}'})
    metadata = cell(built.learner, "given-toy").metadata
    assert metadata["nbgrader"]["locked"]
    assert not metadata["nbgrader"]["grade"]
    assert not metadata["editable"]


@pytest.mark.parametrize("which", ["tiny", "tiny with a blank line before the marks", *WEEKS])
def test_checksums_are_those_of_the_released_text(which: str, tiny_root: Path, request: pytest.FixtureRequest) -> None:
    if which == "tiny":
        built: Notebooks = request.getfixturevalue("tiny")
    elif which in WEEKS:
        built = week(which)
    else:
        built = rebuilt(tiny_root, {"### BEGIN HIDDEN TESTS\nfor": "\n### BEGIN HIDDEN TESTS\nfor"})
    known = [one for one in built.learner.cells if "nbgrader" in one.metadata]
    wrong = [one.id for one in known if one.metadata["nbgrader"]["checksum"] != compute_checksum(one)]
    assert known
    assert wrong == []


def test_our_own_metadata(tiny: Notebooks) -> None:
    def of(cell_id: str) -> Any:
        return cell(tiny.learner, cell_id).metadata["workbook"]

    assert of("start-text-1") == {"kind": "text"}
    assert of("setup") == {"kind": "setup"}
    assert of("double-hints") == {"kind": "hints", "name": "double"}
    exercise = {"kind": "exercise", "name": "quadruple", "difficulty": 2, "minutes": 5, "uses": ["double"]}
    assert of("quadruple") == exercise


def test_tags_say_what_is_skipped_and_what_is_compared(tiny: Notebooks) -> None:
    tags = {one.id: one.metadata["tags"] for one in tiny.instructor.cells if "tags" in one.metadata}
    assert tags == {
        "double-check": ["skip-execution", "nbval-skip"],
        "double-look-1": ["skip-execution"],
        "quadruple-check": ["skip-execution", "nbval-skip"],
        "quadruple-look-1": ["skip-execution"],
        EXPLORE: ["skip-execution", "nbval-check-output"],
    }


def test_a_broken_week_is_not_built(tiny_root: Path) -> None:
    with pytest.raises(BuildError, match="exercise 'double' has 0 look cells") as error:
        rebuilt(tiny_root, {'# %% look="double"\n': "# %% explore=true\n"})
    assert [problem.path.name for problem in error.value.problems] == ["tiny.py"]


# ---- outputs to compare with


def test_expected_outputs_go_into_compared_cells(tiny: Notebooks) -> None:
    assert expected_outputs(tiny.week) == {}
    (tiny.week.folder / "outputs.json").write_text(json.dumps({EXPLORE: "two and two is 4\n"}), encoding="utf-8")
    assert expected_outputs(tiny.week) == {EXPLORE: "two and two is 4\n"}
    (output,) = cell(with_expected_outputs(tiny), EXPLORE).outputs
    assert (output.output_type, output.name, output.text) == ("stream", "stdout", "two and two is 4\n")
    assert cell(tiny.instructor, EXPLORE).outputs == []


# ---- files


def with_files(built: Notebooks) -> Notebooks:
    """The week with a picture and its compared output."""
    (built.week.folder / "outcome.png").write_bytes(b"\x89PNG\r\n\x1a\n picture")
    (built.week.folder / "outputs.json").write_text(json.dumps({EXPLORE: "two and two is 4\n"}), encoding="utf-8")
    return built


def test_a_week_is_written_for_the_learner_and_for_the_instructor(tiny: Notebooks, tiny_root: Path) -> None:
    assert write_week(with_files(tiny), tiny_root) is True
    released, source = tiny_root / "weeks" / "week01_tiny", tiny_root / "build" / "source" / "week01_tiny"
    assert sorted(path.name for path in released.iterdir()) == ["outcome.png", "tiny.ipynb"]
    assert sorted(path.name for path in source.iterdir()) == ["outcome.png", "tiny.ipynb"]
    assert (released / "tiny.ipynb").read_bytes() == tiny.learner_text.encode()
    assert (source / "tiny.ipynb").read_bytes() == to_text(with_expected_outputs(tiny)).encode()
    assert (
        (released / "outcome.png").read_bytes() == (source / "outcome.png").read_bytes() == b"\x89PNG\r\n\x1a\n picture"
    )


def test_only_what_changed_is_written(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(with_files(tiny), tiny_root)
    released = tiny_root / "weeks" / "week01_tiny"
    for path in released.iterdir():
        os.utime(path, ns=(1, 1))
    assert write_week(tiny, tiny_root) is False
    assert {path.stat().st_mtime_ns for path in released.iterdir()} == {1}
    (tiny.week.folder / "outcome.png").write_bytes(b"\x89PNG\r\n\x1a\n another")
    assert write_week(tiny, tiny_root) is True
    assert (released / "outcome.png").read_bytes() == b"\x89PNG\r\n\x1a\n another"
    assert (released / "tiny.ipynb").stat().st_mtime_ns == 1


def test_an_edited_release_is_mended(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(tiny, tiny_root)
    notebook = tiny_root / "weeks" / "week01_tiny" / "tiny.ipynb"
    notebook.write_text("{}", encoding="utf-8")
    assert write_week(tiny, tiny_root) is True
    assert notebook.read_text(encoding="utf-8") == tiny.learner_text


def test_left_over_files_are_removed_from_the_release(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(tiny, tiny_root)
    left_over = tiny_root / "weeks" / "week01_tiny" / "old.png"
    left_over.write_bytes(b"old")
    assert write_week(tiny, tiny_root) is True
    assert not left_over.exists()
    assert write_week(tiny, tiny_root) is False


def test_a_fresh_week_is_not_stale(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(with_files(tiny), tiny_root)
    assert stale(tiny, tiny_root) == []


def test_missing_and_edited_files_are_stale(tiny: Notebooks, tiny_root: Path) -> None:
    with_files(tiny)
    assert stale(tiny, tiny_root) == [
        "weeks/week01_tiny/tiny.ipynb is missing",
        "weeks/week01_tiny/outcome.png is missing",
    ]
    write_week(tiny, tiny_root)
    with (tiny_root / "weeks" / "week01_tiny" / "tiny.ipynb").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert stale(tiny, tiny_root) == ["weeks/week01_tiny/tiny.ipynb is not what solutions/week01_tiny/ builds"]


def test_a_left_over_file_is_stale(tiny: Notebooks, tiny_root: Path) -> None:
    write_week(with_files(tiny), tiny_root)
    (tiny_root / "weeks" / "week01_tiny" / "old.png").write_bytes(b"old")
    (reason,) = stale(tiny, tiny_root)
    assert "weeks/week01_tiny/old.png" in reason


@pytest.mark.parametrize("kept", [None, {}, {EXPLORE: "x", "another": "y"}, {"another": "y"}])
def test_outputs_that_do_not_match_the_compared_cells_are_stale(
    tiny: Notebooks, tiny_root: Path, kept: dict[str, str] | None
) -> None:
    write_week(with_files(tiny), tiny_root)
    outputs = tiny.week.folder / "outputs.json"
    outputs.unlink() if kept is None else outputs.write_text(json.dumps(kept), encoding="utf-8")
    assert stale(tiny, tiny_root) == [
        f"outputs.json of week01_tiny does not hold the compared cells ['{EXPLORE}']: `workbook record`"
    ]


@pytest.mark.parametrize("name", WEEKS)
def test_the_released_weeks_are_what_the_sources_build(name: str) -> None:
    assert stale(week(name), ROOT) == []


def test_compared_cells_carry_their_expected_output_as_if_they_had_run(tiny: Notebooks) -> None:
    """nbval compares only cells that have an execution count and the tag."""
    (compared,) = [cell.id for cell in tiny.week.cells if cell.words.compare]
    (tiny.week.folder / "outputs.json").write_text(f'{{"{compared}": "two and two is 4\\n"}}', encoding="utf-8")
    notebook = with_expected_outputs(tiny)
    (cell,) = [cell for cell in notebook.cells if cell.get("outputs")]
    assert cell.id == compared
    assert cell.execution_count == 1
    assert cell.outputs[0].text == "two and two is 4\n"
    assert "nbval-check-output" in cell.metadata.tags


def test_a_release_says_its_version_and_a_hash_of_its_text(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    first = build_week(load_week(folder))
    said = first.learner.metadata.workbook
    assert (said["version"], len(said["content"])) == (1, 12)
    assert first.instructor.metadata.workbook["content"] == said["content"]
    path = folder / "week.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert build_week(load_week(folder)).learner.metadata.workbook["content"] == said["content"], "no text of a cell"
    path = folder / "tiny.py"
    path.write_text(
        path.read_text(encoding="utf-8").replace("Four times a number.", "A number, four times."), encoding="utf-8"
    )
    assert build_week(load_week(folder)).learner.metadata.workbook["content"] != said["content"]
