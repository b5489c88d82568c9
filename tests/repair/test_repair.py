"""Reading submissions of any kind, and bringing them back into the shape of the release."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.notebooknode import NotebookNode

from autograder.building.build import build_week
from autograder.repair import repair as repair_module
from autograder.repair.damage import DamagedError
from autograder.repair.repair import Repaired, read_notebook, repair
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.source import load_week

GRADED = [
    "setup",
    "double",
    "double-test-1",
    "double-test-2",
    "quadruple",
    "quadruple-test-1",
    "quadruple-test-2",
]
ANSWER = "def double(number):\n    return number * 2"

Change = Callable[[NotebookNode], None]


def released(tiny: Notebooks) -> NotebookNode:
    """A copy of what the learner got, to be changed."""
    return copy.deepcopy(tiny.learner)


def cell_of(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def at(notebook: NotebookNode, cell_id: str) -> int:
    return [cell.id for cell in notebook.cells].index(cell_id)


def code(source: str, cell_id: str = "new", **metadata: Any) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata=metadata)
    cell.id = cell_id
    return cell


def handed_in(tmp_path: Path, notebook: object) -> NotebookNode:
    """The notebook written as JSON and read as a submission."""
    path = tmp_path / "tiny.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return read_notebook(path)


def strip(notebook: NotebookNode) -> None:
    """What Colab and some versions of VS Code leave of a notebook."""
    for cell in notebook.cells:
        cell.metadata = {}
        cell.pop("id", None)
    notebook.nbformat_minor = 4


def sources(fixed: Repaired) -> dict[str, str]:
    return {cell.id: cell.source for cell in fixed.notebook.cells}


# reading


def damage(path: Path) -> str:
    """The reason why a file cannot be read: one line, not empty."""
    with pytest.raises(DamagedError) as caught:
        read_notebook(path)
    reason = str(caught.value)
    assert reason
    assert "\n" not in reason
    return reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"cells": [\n', "the file breaks off in line 2"),
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"[1, 2]", "the file is JSON, but not a notebook"),
        (b"null", "the file is JSON, but not a notebook"),
        (b'{"cells": []}', "the file is JSON, but not a notebook"),
        (b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "the notebook has no cells"),
        (b'{"metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "the file is not a notebook ("),
        (b'{"cells": 7, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "the file is not a notebook ("),
        (b'{"cells": [7], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "the file is not a notebook ("),
        (b'{"nbformat": "four"}', "the file is not a notebook ("),
        (b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}', "the file is not a notebook ("),
        (b'{"nbformat": 4, "text": "\xff\xfe"}', "the file is not a notebook (UnicodeDecodeError: "),
        (b"[" * 100_000, "the file is nested deeper than 60 levels"),
    ],
)
def test_a_damaged_file_has_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "tiny.ipynb"
    path.write_bytes(content)
    assert damage(path).startswith(reason)


def test_a_missing_file_and_a_folder_in_its_place_have_a_reason(tmp_path: Path) -> None:
    assert damage(tmp_path / "tiny.ipynb") == "the file cannot be read (No such file or directory)"
    (tmp_path / "tiny.ipynb").mkdir()
    assert damage(tmp_path / "tiny.ipynb") == "the file cannot be read (Is a directory)"


def test_a_file_beyond_the_limit_is_not_read(tiny: Notebooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(released(tiny)) + " " * 2 * 2**20
    path = tmp_path / "tiny.ipynb"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(repair_module, "MAX_BYTES", len(text))
    assert len(read_notebook(path).cells) == len(tiny.learner.cells)
    monkeypatch.setattr(repair_module, "MAX_BYTES", 2**20)
    assert damage(path) == "the file has 2 MiB; at most 1 are read"


def test_a_byte_order_mark_is_no_damage(tiny: Notebooks, tmp_path: Path) -> None:
    path = tmp_path / "tiny.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + tiny.learner_text.encode())
    assert repair(tiny, read_notebook(path)).notes == []


def test_a_notebook_of_format_3_is_converted(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    old = nbformat.convert(notebook, 3)
    assert old.nbformat == 3
    fixed = repair(tiny, handed_in(tmp_path, old))
    assert sources(fixed)["double"] == ANSWER
    assert fixed.run == GRADED
    assert fixed.missing == set()


def test_a_source_may_be_a_list_of_lines(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER.splitlines(keepends=True)
    assert sources(repair(tiny, handed_in(tmp_path, notebook)))["double"] == ANSWER


def _drop(*keys: str) -> Change:
    """Remove keys from every cell."""

    def change(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            for key in keys:
                cell.pop(key, None)

    return change


def _set(key: str, value: Any) -> Change:
    """Set a key of the notebook's metadata, or the metadata itself; `...` removes it."""

    def change(notebook: NotebookNode) -> None:
        where = notebook if key == "metadata" else notebook.metadata
        if value is ...:
            where.pop(key)
        else:
            where[key] = value

    return change


def _set_in_cells(key: str, value: Any) -> Change:
    def change(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            cell[key] = value

    return change


ODD: dict[str, Change] = {
    "cells without metadata": _drop("metadata"),
    "cells of type and source alone": _drop("metadata", "id", "outputs", "execution_count"),
    "no metadata": _set("metadata", ...),
    "metadata null": _set("metadata", None),
    "metadata a list": _set("metadata", []),
    "no kernel": _set("kernelspec", ...),
    "kernel null": _set("kernelspec", None),
    "kernel a string": _set("kernelspec", "python3"),
    "kernel without language": _set("kernelspec", {"name": "python3"}),
    "language null": _set("kernelspec", {"language": None}),
    "cell metadata null": _set_in_cells("metadata", None),
    "nbgrader metadata a string": _set_in_cells("metadata", {"nbgrader": "double"}),
    "grade id a list": _set_in_cells("metadata", {"nbgrader": {"grade_id": ["double"]}}),
    "cell id a list": _set_in_cells("id", ["double"]),
    "cell id null": _set_in_cells("id", None),
    "outputs a string": _set_in_cells("outputs", "none"),
}


@pytest.mark.parametrize("odd", ODD)
def test_missing_and_odd_metadata_loses_no_answer(tiny: Notebooks, tmp_path: Path, odd: str) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    ODD[odd](notebook)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert sources(fixed)["double"] == ANSWER
    assert fixed.run == GRADED
    assert fixed.missing == set()
    assert fixed.notes == []


@pytest.mark.parametrize(
    "source",
    ["\0", "-" * 200_000 + "1", "(" * 5000, "def \nclass :\ndef (", "x = '\\d'"],
    ids=["null byte", "deep expression", "deep parentheses", "headless", "odd escape"],
)
def test_code_that_cannot_be_parsed_is_kept(tiny: Notebooks, tmp_path: Path, source: str) -> None:
    notebook = released(tiny)
    notebook.cells.append(code(source))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notebook.cells[-1].source == source
    assert fixed.run == [*GRADED, "own-1"]


def test_text_that_is_no_unicode_can_be_repaired_and_written(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER + "  # \ud800"
    notebook.cells.append(code("half = '\ud83d'"))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == [*GRADED, "own-1"]
    assert sources(fixed)["double"].startswith(ANSWER)
    to_text(fixed.notebook).encode()


def _mutate(text: str, rng: random.Random) -> str:
    """One to three random changes of a JSON text."""
    for _ in range(rng.randint(1, 3)):
        begin = rng.randrange(len(text))
        end = min(len(text), begin + rng.choice((1, 1, 5, 40, 400)))
        piece = rng.choice(
            (
                "",
                text[begin:end] * 2,
                '"',
                "{",
                "]",
                ",",
                "null",
                "7",
                "-1e999",
                "[]",
                "{}",
                '"x"',
                "\\ud800",
                "\0",
                "é",
            )
        )
        text = text[:begin] + piece + text[end:]
    return text


def _swap(value: Any, rng: random.Random) -> Any:
    """The value with some parts replaced by something of another type."""
    if rng.random() < 0.02:
        return rng.choice((None, 0, "", [], {}, "x", ["x"], {"x": 1}, True, 1e999))
    if isinstance(value, dict):
        return {key: _swap(item, rng) for key, item in value.items() if rng.random() > 0.02}
    if isinstance(value, list):
        return [_swap(item, rng) for item in value]
    return value


@pytest.mark.parametrize("kind", ["text", "values"])
def test_a_mutated_notebook_is_read_and_repaired_or_has_a_reason(tiny: Notebooks, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tiny.ipynb"
    reasons = []
    for seed in range(200):
        rng = random.Random(seed)
        mutant = _mutate(tiny.learner_text, rng) if kind == "text" else json.dumps(_swap(tiny.learner, rng))
        path.write_text(mutant, encoding="utf-8", errors="surrogatepass")
        try:
            fixed = repair(tiny, read_notebook(path))
        except DamagedError as error:
            reasons.append(str(error))
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
        else:
            nbformat.validate(fixed.notebook)
            assert [cell_id for cell_id in fixed.run if not cell_id.startswith("own-")] == GRADED, f"seed {seed}"
    assert [reason for reason in reasons if not reason or "\n" in reason] == []
    assert 10 < len(reasons) < 180, "the mutations are neither all harmless nor all fatal"


# the untouched release


def test_the_untouched_release_is_left_as_it_is(tiny: Notebooks, tmp_path: Path) -> None:
    fixed = repair(tiny, handed_in(tmp_path, tiny.learner))
    assert fixed.notes == []
    assert fixed.missing == set()
    assert fixed.run == GRADED
    assert [cell.id for cell in fixed.notebook.cells] == [cell.id for cell in tiny.learner.cells]
    for cell in fixed.notebook.cells:
        given = cell_of(tiny.learner, cell.id)
        if cell.id in ("double", "quadruple", "written-why"):
            assert cell.source == given.source, "an answer comes from the learner"
        else:
            assert cell.source == cell_of(tiny.instructor, cell.id).source, "hidden tests are back"
    nbformat.validate(fixed.notebook)


def test_repair_changes_neither_the_release_nor_the_submission(tiny: Notebooks) -> None:
    submitted = released(tiny)
    submitted.cells.append(code("x = 1"))
    before = copy.deepcopy((tiny.instructor, tiny.learner, submitted))
    fixed = repair(tiny, submitted)
    for cell in fixed.notebook.cells:
        cell.source, cell.outputs = "spoiled", []
    assert (tiny.instructor, tiny.learner, submitted) == before


# metadata and ids


def test_stripped_metadata_costs_nothing(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    cell_of(notebook, "quadruple").source = "def quadruple(n):\n    return 4 * n"
    cell_of(notebook, "written-why").source += "\n\nBecause of the sum."
    strip(notebook)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == []
    assert fixed.run == GRADED
    assert sources(fixed)["double"] == ANSWER
    assert sources(fixed)["quadruple"] == "def quadruple(n):\n    return 4 * n"
    assert sources(fixed)["written-why"].endswith("Because of the sum.")
    assert cell_of(fixed.notebook, "double-test-1").metadata.nbgrader["points"] == 20


def test_new_cell_ids_cost_nothing(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    for number, cell in enumerate(notebook.cells):
        cell.id = f"fresh-{number}"
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == []
    assert fixed.run == GRADED
    assert sources(fixed)["double"] == ANSWER


def test_points_come_from_the_course(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader |= {"points": 1000, "grade": True, "locked": False}
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    for cell in fixed.notebook.cells:
        assert cell.metadata == cell_of(tiny.instructor, cell.id).metadata


# answers


@pytest.mark.parametrize(
    "retyped",
    [
        ANSWER,
        "import math\n\n" + ANSWER,
        "def helper(n):\n    return n\n\n\n" + ANSWER,
        "def double(number)\n    return 2 * number",
        "class double:\n    pass",
    ],
)
def test_a_retyped_answer_is_recognized_by_the_name_it_defines(tiny: Notebooks, tmp_path: Path, retyped: str) -> None:
    notebook = released(tiny)
    notebook.cells[at(notebook, "double")] = code(retyped, "another")
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert sources(fixed)["double"] == retyped
    assert fixed.missing == set()
    assert fixed.notes == []
    assert fixed.run == GRADED


def test_a_deleted_answer_is_missing(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.pop(at(notebook, "double"))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.missing == {"double"}
    assert fixed.notes == ["not in your notebook: double; without their cells they earn nothing"]
    assert sources(fixed)["double"] == cell_of(tiny.learner, "double").source, "the stub is put back"
    assert fixed.run == GRADED


def test_a_deleted_written_answer_is_noted(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.pop(at(notebook, "written-why"))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.missing == set()
    assert fixed.notes == ["not in your notebook: why; without their cells they earn nothing"]
    assert sources(fixed)["written-why"] == cell_of(tiny.learner, "written-why").source


@pytest.mark.parametrize("first", [True, False])
def test_of_two_answer_cells_the_one_that_was_worked_on_counts(tiny: Notebooks, tmp_path: Path, first: bool) -> None:
    notebook = released(tiny)
    twin = copy.deepcopy(cell_of(notebook, "double"))
    (cell_of(notebook, "double") if first else twin).source = ANSWER
    twin.id = "twin"
    notebook.cells.insert(at(notebook, "double") + 1, twin)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert sources(fixed)["double"] == ANSWER
    assert fixed.notes == ["the answer of double stands in 2 cells; the last whole one that you worked on counts"]
    assert fixed.run == GRADED


def test_of_two_worked_on_answers_the_last_counts(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    twin = copy.deepcopy(cell_of(notebook, "double"))
    cell_of(notebook, "double").source, twin.source = "def double(number):\n    return 7", ANSWER
    notebook.cells.insert(at(notebook, "double") + 1, twin)
    assert sources(repair(tiny, handed_in(tmp_path, notebook)))["double"] == ANSWER


def test_both_halves_of_a_split_answer_are_kept(tiny: Notebooks, tmp_path: Path) -> None:
    """JupyterLab copies the metadata to both halves when it splits a cell."""
    notebook = released(tiny)
    second = copy.deepcopy(cell_of(notebook, "double"))
    cell_of(notebook, "double").source = "def helper(number):\n    return number * 2"
    second.source, second.id = "def double(number):\n    return helper(number)", "second-half"
    notebook.cells.insert(at(notebook, "double") + 1, second)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    ran = "\n".join(sources(fixed)[cell_id] for cell_id in fixed.run)
    assert "def helper" in ran
    assert ran.index("def helper") < ran.index("return helper(number)") < ran.index("double of 2")


def test_a_picture_pasted_into_a_written_answer_is_kept(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    answer = cell_of(notebook, "written-why")
    answer.source, answer.attachments = "![](attachment:a.png)", {"a.png": {"image/png": "aGVsbG8="}}
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    kept = cell_of(fixed.notebook, "written-why")
    assert kept.source == "![](attachment:a.png)"
    assert kept.get("attachments") == {"a.png": {"image/png": "aGVsbG8="}}


# cells of the course


def test_a_deleted_test_cell_is_put_back(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.pop(at(notebook, "double-test-2"))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == ["double-test-2 was not in your notebook; grading uses the course's own tests"]
    assert fixed.run == GRADED
    assert sources(fixed)["double-test-2"] == cell_of(tiny.instructor, "double-test-2").source


def test_a_changed_test_cell_is_restored(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double-test-1").source = "pass"
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == ["double-test-1 was changed in your notebook; grading uses the course's own tests"]
    assert fixed.run == GRADED
    assert sources(fixed)["double-test-1"] == cell_of(tiny.instructor, "double-test-1").source


def test_spaces_at_line_ends_are_no_change_of_a_test(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    test = cell_of(notebook, "double-test-1")
    test.source = "\n" + test.source.replace("\n", "  \n") + "\n\n"
    assert repair(tiny, handed_in(tmp_path, notebook)).notes == []


def test_a_doubled_test_cell_is_run_once(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.append(copy.deepcopy(cell_of(notebook, "double-test-1")))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == [], "nothing had to be repaired"
    assert fixed.run == GRADED


def test_a_doubled_test_cell_is_run_once_when_the_metadata_is_gone(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.append(copy.deepcopy(cell_of(notebook, "double-test-1")))
    strip(notebook)
    assert repair(tiny, handed_in(tmp_path, notebook)).run == GRADED


def test_a_test_that_stands_there_once_changed_and_once_as_released_was_not_changed(
    tiny: Notebooks, tmp_path: Path
) -> None:
    notebook = released(tiny)
    notebook.cells.append(copy.deepcopy(cell_of(notebook, "double-test-1")))
    notebook.cells[-1].source += "\nprint('passed')"
    assert repair(tiny, handed_in(tmp_path, notebook)).notes == []


def test_cells_in_another_order_are_run_in_the_order_of_the_release(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    notebook.cells.reverse()
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == GRADED
    assert [cell.id for cell in fixed.notebook.cells] == [cell.id for cell in tiny.learner.cells]
    assert sources(fixed)["double"] == ANSWER


def test_a_changed_set_up_cell_comes_from_the_course(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "setup").source = "checks = None"
    assert sources(repair(tiny, handed_in(tmp_path, notebook)))["setup"] == "from shared import checks"


def test_a_grade_id_on_another_cell_forges_no_test(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    forged = code("FORGED = 1", nbgrader={"grade_id": "double-test-1", "grade": True, "points": 999, "solution": False})
    notebook.cells.insert(0, forged)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == GRADED
    assert sources(fixed)["double-test-1"] == cell_of(tiny.instructor, "double-test-1").source
    assert not any("FORGED" in source for source in sources(fixed).values())
    assert sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in fixed.notebook.cells) == 100


def test_an_unknown_grade_id_is_an_extra_cell_without_points(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.cells.append(code("x = 1", nbgrader={"grade_id": "bonus", "grade": True, "points": 999}))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == [*GRADED, "own-1"]
    assert "nbgrader" not in fixed.notebook.cells[-1].metadata


# the learner's own cells


def test_own_cells_stay_in_place_and_code_runs(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    before = code("import math", "double", tags=["skip-execution"])  # an id of the course, on another cell
    before.outputs, before.execution_count = [nbformat.v4.new_output("stream", text="old")], 3
    notebook.cells.insert(0, code("first = 1"))
    notebook.cells.insert(at(notebook, "quadruple"), nbformat.v4.new_markdown_cell("My notes."))
    notebook.cells.insert(at(notebook, "quadruple"), code("helper = 2"))
    notebook.cells.append(code("last = 3"))
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == ["own-1", *GRADED[:4], "own-3", *GRADED[4:], "own-4"]
    order = [cell.id for cell in fixed.notebook.cells]
    assert order[0] == "own-1"
    assert order.index("quadruple-about") + 1 == order.index("own-2")
    assert order.index("own-3") + 1 == order.index("quadruple")
    assert order[-1] == "own-4"
    assert len(set(order)) == len(order)
    assert sources(fixed)["own-2"] == "My notes."
    assert sources(fixed)["own-4"] == "last = 3"
    nbformat.validate(fixed.notebook)


def test_own_cells_bring_no_old_outputs_and_no_metadata(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    own = code("import math", tags=["skip-execution"])
    own.outputs, own.execution_count = [nbformat.v4.new_output("stream", text="old")], 3
    own["prompt_number"] = 3  # no part of the format
    notebook.cells.append(own)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    kept = fixed.notebook.cells[-1]
    assert (kept.source, kept.outputs, kept.execution_count) == ("import math", [], None)
    assert "tags" not in kept.metadata
    nbformat.validate(fixed.notebook)


def test_a_changed_explore_cell_is_not_run(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    cell_of(notebook, "quadruple-explore-1").source += "\nprint('and more')"
    cell_of(notebook, "double-look-1").source += "\n    print(double(5))"
    strip(notebook)
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.run == GRADED
    assert len(fixed.notebook.cells) == len(tiny.learner.cells)


def test_another_kernel_is_noted(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    notebook.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    fixed = repair(tiny, handed_in(tmp_path, notebook))
    assert fixed.notes == ["the notebook asked for a kernel of the language 'r'; Python was used"]
    assert fixed.notebook.metadata.kernelspec["name"] == "python3"


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (1, []),
        (2, ["made from version 2 of the week, a later one than the version 1 that it is graded with"]),
        (None, []),
        ("2", []),
        (True, []),
        (-1, []),
        (10**9, []),
    ],
)
def test_a_notebook_of_another_version_of_the_week_says_so(
    tiny: Notebooks, tmp_path: Path, said: object, note: list[str]
) -> None:
    notebook = copy.deepcopy(tiny.learner)
    notebook.metadata.workbook["version"] = said
    assert repair(tiny, handed_in(tmp_path, notebook)).notes == note
    notebook.metadata.workbook["week"] = "week02_other"
    assert repair(tiny, handed_in(tmp_path, notebook)).notes == [], "of another week it means nothing"


def test_a_notebook_of_an_earlier_version_says_so(tiny_root: Path, tmp_path: Path) -> None:
    before = build_week(load_week(tiny_root / "solutions" / "week01_tiny")).learner
    path = tiny_root / "solutions" / "week01_tiny" / "week.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("hours = 1", "hours = 1\nversion = 3"), encoding="utf-8")
    now = build_week(load_week(path.parent))
    notes = repair(now, handed_in(tmp_path, before)).notes
    assert notes == ["made from version 1 of the week, an earlier one than the version 3 that it is graded with"]
