"""Where an answer stands, whatever a learner did with its cells, and in which order everything runs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import nbformat
import pytest
from nbformat.notebooknode import NotebookNode

from autograder.repair.gathering import joined, without
from autograder.repair.repair import Repaired, repair
from autograder.week.notebooks import Notebooks

from .test_repair import GRADED, at, cell_of, code, released, sources

DOUBLE = "def double(number):\n    return number * 2"
QUADRUPLE = "def quadruple(number):\n    return number * 4"
WRONG = "def double(number):\n    return 7"
Edit = Callable[[NotebookNode], object]


def fixed_after(tiny: Notebooks, edit: Edit) -> Repaired:
    notebook = released(tiny)
    edit(notebook)
    fixed = repair(tiny, nbformat.from_dict(notebook))
    assert not fixed.missing, "whatever is done here, both answers are there or their stubs are"
    return fixed


def ran(fixed: Repaired) -> dict[str, object]:
    """The names that the cells make which grading runs before the tests, run in order; tests are left out."""
    names: dict[str, object] = {}
    for cell_id in fixed.run:
        if cell_id == "quadruple-test-1":
            break
        if "-test-" not in cell_id and cell_id != "setup":
            exec(sources(fixed)[cell_id], names)
    return names


def insert(after: str, source: str) -> Edit:
    return lambda notebook: notebook.cells.insert(at(notebook, after) + 1, code(source, f"new-{len(notebook.cells)}"))


def both(*edits: Edit) -> Edit:
    return lambda notebook: [edit(notebook) for edit in edits]


def put(cell_id: str, source: str) -> Edit:
    return lambda notebook: cell_of(notebook, cell_id).update(source=source)


def drop(cell_id: str) -> Edit:
    return lambda notebook: notebook.cells.pop(at(notebook, cell_id))


TWO = f"{DOUBLE}\n\n{QUADRUPLE}"
PLACED: dict[str, Edit] = {
    "below the stub": insert("double", DOUBLE),
    "above the stub": insert("setup", DOUBLE),
    "below the tests": insert("double-test-2", DOUBLE),
    "at the end": insert("written-why", DOUBLE),
    "below, the stub deleted": both(insert("double", DOUBLE), drop("double")),
    "below, the stub emptied": both(insert("double", DOUBLE), put("double", "")),
    "at the end, the stub a note": both(insert("written-why", DOUBLE), put("double", "# see below")),
    "in the cell that draws": lambda notebook: cell_of(notebook, "double-look-1").update(source=DOUBLE),
    "in a test": lambda n: cell_of(n, "double-test-1").update(source=f"{DOUBLE}\n\nassert double(2) == 4"),
    "a lambda in a new cell": both(insert("double", "double = lambda number: number * 2"), drop("double")),
    "partial in a new cell": insert("double", "import functools\ndouble = functools.partial(lambda a, b: a * b, 2)"),
    "a draft and the answer": both(insert("double", DOUBLE), insert("double", WRONG)),
    "below a failed condition": insert("double", f"if __name__:\n    {DOUBLE.replace(chr(10), chr(10) + '    ')}"),
    "with a magic": insert("double", f"# timed\n{DOUBLE}"),
}


@pytest.mark.parametrize("where", PLACED)
def test_an_answer_counts_wherever_it_stands(tiny: Notebooks, where: str) -> None:
    fixed = fixed_after(tiny, PLACED[where])
    names = ran(fixed)
    assert names["double"](4) == 8  # type: ignore[operator]
    assert [cell for cell in fixed.run if not cell.startswith("own-")] == GRADED


MERGED: dict[str, Edit] = {
    "in the first, the other deleted": both(put("double", TWO), drop("quadruple")),
    "in the first, the other left": put("double", TWO),
    "in the second, the first deleted": both(put("quadruple", TWO), drop("double")),
    "in a new cell on top": both(insert("setup", TWO), drop("double"), drop("quadruple")),
    "in a new cell on top, the stubs left": insert("setup", TWO),
    "in a new cell at the end": both(insert("written-why", TWO), drop("double"), drop("quadruple")),
    "in a new cell at the end, the stubs left": insert("written-why", TWO),
}


@pytest.mark.parametrize("where", MERGED)
def test_two_answers_in_one_cell_both_count(tiny: Notebooks, where: str) -> None:
    names = ran(fixed_after(tiny, MERGED[where]))
    assert names["double"](4) == 8  # type: ignore[operator]
    assert names["quadruple"](4) == 16  # type: ignore[operator]


def test_a_new_cell_runs_where_it_stands_with_what_is_between(tiny: Notebooks) -> None:
    helper = "def decorate(function):\n    return lambda number: 2 * number"
    edit = both(insert("double-look-1", f"@decorate\n{DOUBLE}"), insert("double-look-1", helper))
    fixed = fixed_after(tiny, edit)
    assert fixed.run.index("own-1") < fixed.run.index("double") < fixed.run.index("double-test-1")
    assert "def decorate" in sources(fixed)["own-1"]
    assert fixed.elsewhere == {"double": (at(tiny.learner, "double-look-1") + 2,)}
    assert fixed.numbers["double"] == at(tiny.learner, "double-look-1") + 3


def test_the_copy_that_stands_before_the_tests_counts(tiny: Notebooks) -> None:
    """As where all cells run as they stand; what is tried below the tests costs nothing."""

    def edit(notebook: NotebookNode) -> None:
        put("double", DOUBLE)(notebook)
        notebook.cells.append(copy.deepcopy(cell_of(notebook, "double")) | {"id": "copy", "source": WRONG})

    fixed = fixed_after(tiny, edit)
    assert sources(fixed)["double"] == DOUBLE
    assert sources(fixed)["own-1"] == WRONG, "nothing is lost"


def test_a_draft_that_holds_a_helper_runs_before_the_answer(tiny: Notebooks) -> None:
    def edit(notebook: NotebookNode) -> None:
        put("double", "def double(number):\n    return helper(number)")(notebook)
        draft = {"id": "draft", "source": f"def helper(number):\n    return 2 * number\n\n{WRONG}"}
        notebook.cells.insert(at(notebook, "double"), copy.deepcopy(cell_of(notebook, "double")) | draft)

    assert ran(fixed_after(tiny, edit))["double"](4) == 8  # type: ignore[operator]


@pytest.mark.parametrize("line", ["    number", "    return"])
def test_a_function_split_inside_is_put_together(tiny: Notebooks, line: str) -> None:
    def edit(notebook: NotebookNode) -> None:
        put("double", "def double(number):\n    number = number + number")(notebook)
        half = {"id": "half", "source": "    return number"}
        notebook.cells.insert(at(notebook, "double") + 1, copy.deepcopy(cell_of(notebook, "double")) | half)

    assert ran(fixed_after(tiny, edit))["double"](4) == 8  # type: ignore[operator]


def test_an_edited_set_up_cell_is_restored_and_named(tiny: Notebooks) -> None:
    fixed = fixed_after(tiny, put("setup", "import numpy"))
    assert sources(fixed)["setup"] == cell_of(tiny.instructor, "setup").source
    assert fixed.notes == ["setup was changed in your notebook; grading uses the course's own cells"]


def test_a_stub_keeps_what_is_defined_nowhere_else() -> None:
    stub = "import math\n\n@decorated\ndef one():\n    raise NotImplementedError\n\n\ndef two():\n    return 1"
    assert without(stub, {"one"}) == "import math\n\n\n\ndef two():\n    return 1"
    assert without(stub, {"one", "two"}) == ""
    assert without(stub, {"three"}) == stub


def test_a_magic_for_a_whole_cell_stays_on_top_or_goes() -> None:
    assert joined(["%%time\na = 1", "b = 2"]) == "%%time\na = 1\n\nb = 2"
    assert joined(["a = 1", "%%time\nb = 2"]) == "a = 1\n\nb = 2"
