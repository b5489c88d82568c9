"""Solutions, hidden tests and rubrics do not reach a learner, in whatever layout they are pasted."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.building.build import build_week
from autograder.building.leaks import TELLING, leaks
from autograder.core.errors import BuildError
from autograder.week.cells import Cell, Exercise, Written
from autograder.week.cells import Test as Graded
from autograder.week.locate import all_weeks
from autograder.week.marks import regions
from autograder.week.notebooks import Notebooks
from autograder.week.source import Week, load_week

ROOT = Path(__file__).parents[2]
WEEKS = all_weeks(ROOT)
SHOWS_QUADRUPLE = (
    "learner cell 'pasted' shows solution or hidden test code of 'quadruple: return double(double(number))'"
)


def found(week: Week, pasted: str, kind: str = "code") -> list[str]:
    """The messages for a notebook of one cell with this text."""
    make = new_code_cell if kind == "code" else new_markdown_cell
    problems = leaks(week, new_notebook(cells=[make(pasted, id="pasted")]))
    assert all(problem.path == week.script and problem.remedy for problem in problems)
    return [problem.message for problem in problems]


def test_the_tiny_week_is_clean(tiny: Notebooks) -> None:
    assert leaks(tiny.week, tiny.learner) == []


def test_a_leak_names_the_line_of_its_source_and_the_remedy(tiny: Notebooks) -> None:
    notebook = new_notebook(cells=[new_code_cell("return double(double(number))", id="pasted")])
    (problem,) = leaks(tiny.week, notebook)
    lines = tiny.week.script.read_text(encoding="utf-8").splitlines()
    assert lines[problem.line - 1].startswith('# %% exercise="quadruple"')
    assert problem.message == SHOWS_QUADRUPLE
    assert problem.remedy == "say it in other words there, or move it between the marks"


def test_the_builder_refuses_a_leak(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    hint = "# call `double` on its own result\n"
    assert text.count(hint) == 1
    text = text.replace(hint, f"{hint}#\n# ```python\n# return double(double(number))\n# ```\n")
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    with pytest.raises(BuildError, match="learner cell 'quadruple-hints' shows solution"):
        build_week(load_week(folder))


@pytest.mark.parametrize(
    "pasted",
    [
        "return double(double(number))",
        "    return double(double(number))",
        "return double(\n    double( number ),  # twice\n)",
        "def other(number):\n    '''Text.'''\n    if number:\n        return (double(double(number)))",
        "class Other:\n    def forward(self, number):\n        return double(double(number))",
        "%matplotlib inline\ndef other(number):\n    return double(double(number))",
        "%matplotlib inline\ndef other(number):\n    return double(\n        double(number),  # twice\n    )",
        "# return double(double(number))\npass",
    ],
    ids=[
        "as it is",
        "indented",
        "reformatted",
        "in a function",
        "in a class",
        "after a magic",
        "reformatted, magic",
        "comment",
    ],
)
def test_a_solution_in_a_code_cell(tiny: Notebooks, pasted: str) -> None:
    assert found(tiny.week, pasted) == [SHOWS_QUADRUPLE]


@pytest.mark.parametrize(
    "pasted",
    [
        "<details><summary>Hint 3</summary>\n\n```python\nreturn double(double(number))\n```\n</details>",
        "```\nreturn double( double(number) )\n```",
        "```python\nreturn double(\n    double(number),  # twice\n)\n```",
        "```python\nreturn (double(double(number)))\n```",
        "```python\nx = 1\n```\ntext\n```python\nreturn double(double(number))\n```",
        "```py\nreturn double(double(number))\n```",
        "~~~python\nreturn double(double(number))\n~~~",
        "- first\n\n  ```python\n  return double(double(number))\n  ```",
        "```python\nthen do this:\nreturn double(double(number))\n```",
        "In code:\n\n    return double(double(number))\n",
        "Write `return double(double(number))` there.",
        "Write return double(double(number)) there.",
    ],
    ids=[
        "hint",
        "no language",
        "reformatted",
        "in brackets",
        "second",
        "py",
        "tildes",
        "list",
        "with prose",
        "indented",
        "inline",
        "plain",
    ],
)
def test_a_solution_in_text(tiny: Notebooks, pasted: str) -> None:
    assert found(tiny.week, pasted, "markdown") == [SHOWS_QUADRUPLE]


def test_a_hidden_test_in_a_code_cell(tiny: Notebooks) -> None:
    inner = "with checks.step(f'double of {number}'):\n  checks.equal(double(number), number * 2, f'double({number})')"
    for pasted in (inner, f"for number in (-3, 10 ** 9):\n{textwrap.indent(inner, '    ')}"):
        first, *_ = found(tiny.week, pasted)
        assert "learner cell 'pasted' shows solution or hidden test code" in first
        assert "double-test-2: " in first


def test_a_hidden_test_in_text_with_its_own_quotes(tiny: Notebooks) -> None:
    (cell,) = [cell for cell in tiny.week.of_kind(Graded, "double") if "BEGIN HIDDEN" in cell.source]
    (region,) = regions(cell.source, "HIDDEN TESTS")
    assert '"' in region
    assert any("double-test-2: for number in" in message for message in found(tiny.week, region, "markdown"))


@pytest.mark.parametrize(
    "pasted",
    [
        "return number + number",
        "double(double(4))",
        "return double(number)",
        "return quadruple(quadruple(number))",
        "from shared import checks",
        '"""Twice the number (an int)."""',
        'checks.equal(double(0), 0, "double(0)")',
        "this is not valid Python: return",
    ],
)
def test_what_tells_nothing_is_no_leak(tiny: Notebooks, pasted: str) -> None:
    assert found(tiny.week, pasted) == []
    assert found(tiny.week, f"```python\n{pasted}\n```", "markdown") == []


def test_a_solution_whose_region_does_not_parse_alone_is_found(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    old = "    ### BEGIN SOLUTION\n    return double(double(number))\n    ### END SOLUTION\n"
    new = (
        "    if number == 0:\n        return 0\n    ### BEGIN SOLUTION\n    else:\n"
        "        return double(double(number))\n    ### END SOLUTION\n"
    )
    assert text.count(old) == 1
    (folder / "tiny.py").write_text(text.replace(old, new), encoding="utf-8")
    assert found(load_week(folder), "return double(double(number))") == [SHOWS_QUADRUPLE]


@pytest.mark.parametrize("kind", ["markdown", "code"])
def test_a_rubric_line_is_found_anywhere(tiny: Notebooks, kind: str) -> None:
    line = "Because a number and itself are two of them: 20 points."
    assert found(tiny.week, f"# Note. {line} So.", kind) == [f"rubric line shown: {line!r}"]


def test_short_and_other_lines_are_no_rubric(tiny: Notebooks) -> None:
    assert found(tiny.week, "Because a number and itself are three of them: 20 points.", "markdown") == []
    week = tiny.week
    (written,) = week.of_kind(Written)
    rubric = written.source.replace("Because a number and itself are two of them: 20 points.", "A number and itself.")
    short = Week(week.folder, week.info, (Cell(written.id, written.words, rubric, written.line),))
    assert found(short, "A number and itself.", "markdown") == [], "20 characters are not a rubric"


# ---- every week of the course


@cache
def built(name: str) -> Notebooks:
    return build_week(load_week(ROOT / "solutions" / name))


def telling_statements(cell: Cell, mark: str) -> Iterator[ast.stmt]:
    """Statements of a cell that stand between the marks and tell something, from the tree of the whole cell."""
    hidden: set[int] = set()
    inside = False
    for number, line in enumerate(cell.source.splitlines(), 1):
        inside = (inside or f"BEGIN {mark}" in line) and f"END {mark}" not in line
        if inside:
            hidden.add(number)
    for node in ast.walk(ast.parse(cell.source)):
        if (
            isinstance(node, ast.stmt)
            and not isinstance(node, ast.Import | ast.ImportFrom)
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            and hidden.issuperset(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            and len(list(ast.walk(node))) >= TELLING[mark]
        ):
            yield node


def test_there_are_weeks() -> None:
    assert WEEKS


def missed(week: Week, pasted: list[str], kind: str = "code") -> list[str]:
    """Which of these texts are not found, each pasted into a cell of its own."""
    make = new_code_cell if kind == "code" else new_markdown_cell
    cells = [make(text, id=f"pasted-{number}") for number, text in enumerate(pasted)]
    messages = "\n".join(problem.message for problem in leaks(week, new_notebook(cells=cells)))
    return [cell.source for cell in cells if f"{cell.id!r} shows solution or hidden test code" not in messages]


@pytest.mark.parametrize("name", WEEKS)
def test_each_solution_statement_is_found_where_it_is_pasted(name: str) -> None:
    week = built(name).week
    secret = {cell.id: list(map(ast.unparse, telling_statements(cell, "SOLUTION"))) for cell in week.of_kind(Exercise)}
    assert all(secret.values()), secret
    code = [text for texts in secret.values() for text in texts]
    assert missed(week, code) == []
    assert missed(week, [f"def pasted():\n{textwrap.indent(text, '        ')}\n" for text in code]) == []
    assert missed(week, [f"Text.\n\n```python\n{text}\n```\n" for text in code], "markdown") == []


@pytest.mark.parametrize("name", WEEKS)
def test_each_hidden_test_is_found_where_it_is_pasted(name: str) -> None:
    week = built(name).week
    code = [ast.unparse(s) for cell in week.of_kind(Graded) for s in telling_statements(cell, "HIDDEN TESTS")]
    assert code
    assert missed(week, code) == []


@pytest.mark.parametrize("name", WEEKS)
def test_the_released_text_holds_no_solution_no_hidden_test_and_no_rubric(name: str) -> None:
    week, learner = built(name).week, built(name).learner
    text = "\n".join(cell.source for cell in learner.cells)
    squeezed = "".join(text.split())
    for kind, mark in ((Exercise, "SOLUTION"), (Graded, "HIDDEN TESTS"), (Written, "SOLUTION")):
        for cell in week.of_kind(kind):
            for region in regions(cell.source, mark):
                assert region.strip() not in text, f"{cell.id}: {region}"
                assert "".join(region.split()) not in squeezed, f"{cell.id}, in another layout: {region}"
    assert f"BEGIN {'SOLUTION'}" not in text
    assert "HIDDEN TESTS" not in text
    assert leaks(week, learner) == []
