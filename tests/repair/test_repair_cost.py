"""What repairing a submission costs, whatever it holds, and what is refused because of it."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.repair.aligning import MAX_PARSED, MAX_PARSED_IN_ALL
from autograder.repair.damage import DamagedError
from autograder.repair.repair import parse_notebook, repair
from autograder.repair.safe_repair import repairer
from autograder.week.notebooks import Notebooks

from .test_repair import ANSWER, GRADED, at, cell_of, code, damage, handed_in, released, sources, strip


def own(source: str, grade_id: str = "") -> dict[str, Any]:
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


GROWING: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "own cells": lambda n: [own(f"x{number} = {number}") for number in range(n)],
    "own functions": lambda n: [own(f"def f{number}():\n    pass") for number in range(n)],
    "copies of an answer": lambda n: [own(f"{ANSWER} + {number}", "double") for number in range(n)],
    "equal copies": lambda n: [own(ANSWER, "double")] * n,
    "copies of a test": lambda n: [own("pass", "double-test-1")] * n,
    "lines of one cell": lambda n: [own("\n".join(f"return {number}" for number in range(n)))],
    "cells of common lines": lambda n: [own(f"{ANSWER}\n# {number}".replace("double", "other")) for number in range(n)],
}


def steps(function: Callable[[], object]) -> int:
    """Lines of Python that run: a figure that no busy machine changes."""
    count = 0

    def trace(frame: Any, event: str, value: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("kind", GROWING)
def test_twice_as_much_costs_twice_as_much(tiny: Notebooks, kind: str) -> None:
    def cost(n: int) -> int:
        notebook = nbformat.from_dict({"cells": GROWING[kind](n), "metadata": {}})
        return steps(lambda: repair(tiny, notebook))

    least, some, twice = cost(0), cost(300), cost(600)
    assert twice - least < 2.2 * (some - least)


def test_only_so_much_is_parsed_for_names(tiny: Notebooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MiB of calls in one line costs a parser 0.3 GB."""
    parsed: list[str] = []
    parse = ast.parse

    def counted(source: str) -> ast.Module:
        parsed.append(source)
        return parse(source)

    notebook = released(tiny)
    notebook.cells.append(code("f(" + "g(1)," * 200_000 + ")"))
    notebook.cells += [code("x = [" + "1," * 40_000 + f"{number}]") for number in range(30)]
    cell_of(notebook, "double").source = f"{ANSWER}\n# {'long ' * 50_000}"
    notebook.cells.pop(at(notebook, "quadruple"))  # so that it is looked for in every cell
    strip(notebook)
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", counted)
        fixed = repair(tiny, notebook)
    stubs = {cell.source for cell in tiny.learner.cells}
    asked = [source for source in parsed if source not in stubs]
    assert max(map(len, asked)) <= MAX_PARSED
    assert sum(map(len, asked)) <= MAX_PARSED_IN_ALL
    assert len(asked) == len(set(asked))
    assert sources(fixed)["double"].startswith(ANSWER)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([own("1")] * 2_001, "the notebook has 2,001 cells; at most 2,000 are read"),
        ([own("x" * 2_500_001)] * 2, "the cells hold 5,000,002 characters; at most 5,000,000 are read"),
        ([own("1") | {"metadata": json.loads("[" * 70 + "]" * 70)}], "the file is nested deeper than 60 levels"),
    ],
    ids=["cells", "characters", "nesting"],
)
def test_what_no_honest_notebook_holds_is_refused_with_the_figure(
    tmp_path: Path, cells: list[dict[str, Any]], reason: str
) -> None:
    path = tmp_path / "tiny.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}), encoding="utf-8")
    assert damage(path) == reason


def test_pasted_pictures_bring_nothing_else_along(tiny: Notebooks, tmp_path: Path) -> None:
    notebook = released(tiny)
    odd = {"a.png": {"image/png": "aGk=", "text/html": ["<script>"], "x": {"y": [1]}}, "b": 7, "c": {"image/png": "é"}}
    cell_of(notebook, "written-why").attachments = nbformat.from_dict(odd)
    kept = cell_of(repair(tiny, handed_in(tmp_path, notebook)).notebook, "written-why")
    assert kept.attachments == {"a.png": {"image/png": "aGk="}, "c": {}}


def test_a_file_of_a_stranger_is_read_in_a_process_of_its_own_and_gives_the_same(tiny: Notebooks) -> None:
    notebook = released(tiny)
    cell_of(notebook, "double").source = ANSWER
    notebook.cells += [code("extra = '\ud83d\ude00'"), nbformat.v4.new_markdown_cell("mine")]
    content = json.dumps(notebook).encode()
    with repairer(tiny) as strangers:
        assert strangers.repair(content) == repair(tiny, parse_notebook(content))
        with pytest.raises(DamagedError, match="breaks off"):
            strangers.repair(b"{")
        with pytest.raises(DamagedError, match="more than 1,024 MiB of memory"):
            strangers.repair(b'{"nbformat": 4, "cells": [' + b"{}," * 16_000_000 + b"{}]}")
        assert strangers.repair(content).run == [*GRADED, "own-1"]
