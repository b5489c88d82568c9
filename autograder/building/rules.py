"""What every week must have. Each broken rule is a `Problem` that names file, line and remedy; `lint` runs them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from ..core.errors import Problem
from ..week.cells import About, Cell, Check, Exercise, Explore, Hints, Look, Setup, Test, Written
from ..week.drawn import drawn_titles
from ..week.marks import has_hidden_tests, regions
from ..week.names import codes, reachable
from ..week.source import Week

AUTOGRADED_POINTS = 80
WRITTEN_POINTS = 20
SPLIT_ABOVE = 8
"""An exercise worth more than this has at least two test cells, one of them wholly visible."""

MARKS = {"SOLUTION": Exercise | Written, "HIDDEN TESTS": Test}
LIKE_A_MARK = re.compile(r"^\s*#+\s*(BEGIN|END)\W+(THE\W+)?(SOLUTION|HIDDEN|TEST)", re.IGNORECASE)
MARK = re.compile(rf"^\s*### (BEGIN|END) ({'|'.join(MARKS)})\s*$")

WITHOUT_TEXT = re.compile(r"""!\[\s*\]\([^)]*\)|<img\b(?![^>]*\balt=["'][^"'])[^>]*>""")


class Finding(Protocol):
    """Makes a `Problem`: at the header of a cell, or at `line` (from 1) of its source; without a cell at line 1."""

    def __call__(self, cell: Cell | None, message: str, remedy: str, *, line: int = 0) -> Problem: ...


def check_marks(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.cells:
        lines = cell.source.splitlines()
        unreadable = [n for n, line in enumerate(lines, 1) if LIKE_A_MARK.match(line) and not MARK.match(line)]
        for number in unreadable:
            message = f"{lines[number - 1].strip()!r} is not one of the marks, and would be overlooked"
            known = " or ".join(f"### BEGIN {mark}" for mark in MARKS)
            yield problem(cell, message, f"write {known}, or END in place of BEGIN", line=number)
        for mark, kinds in MARKS.items() if not unreadable else ():
            yield from _check_mark(cell, mark, isinstance(cell.words, kinds), problem)


def _check_mark(cell: Cell, mark: str, belongs: bool, problem: Finding) -> Iterator[Problem]:
    """One pair of marks in one cell, which it belongs into or not."""
    marks = [(n, line) for n, line in enumerate(cell.source.splitlines(), 1) if MARK.match(line) and mark in line]
    try:
        found = regions(cell.source, mark)
    except ValueError as error:
        wanted = ["BEGIN" if place % 2 == 0 else "END" for place in range(len(marks))]
        wrong = [number for (number, line), word in zip(marks, wanted, strict=True) if word not in line]
        remedy = f"balance the ### BEGIN {mark} / ### END {mark} lines"
        yield problem(cell, str(error), remedy, line=wrong[0] if wrong else marks[-1][0])
        return
    if found and not belongs:
        message = f"{mark} marks in a cell of another kind"
        yield problem(cell, message, "move them to a cell of the right kind", line=marks[0][0])
    if mark == "SOLUTION" and belongs and not found:
        where = "rubric" if isinstance(cell.words, Written) else "answer"
        remedy = f"put the {where} between ### BEGIN SOLUTION and ### END SOLUTION"
        yield problem(cell, "no solution region", remedy)


def check_names(week: Week, problem: Finding) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for cell in week.cells:
        if cell.id in seen and not isinstance(cell.words, Check):  # that of a second exercise, which is told already
            yield problem(cell, f"a second cell named {cell.id!r}; the first is at line {seen[cell.id]}", "rename one")
        seen.setdefault(cell.id, cell.line)
        belongs = isinstance(cell.words, About | Hints | Test | Look)
        if belongs and cell.name not in week.exercises:
            known = ", ".join(week.exercises)
            yield problem(cell, f"there is no exercise {cell.name!r}", f"exercises here: {known}")
    if not week.of_kind(Setup):  # two of them have the same id, which is told above
        yield problem(None, "0 set-up cells", "write exactly one `# %% setup=true` cell")


def check_uses(week: Week, problem: Finding) -> Iterator[Problem]:
    cells = {cell.name: cell for cell in week.of_kind(Exercise)}
    graph: dict[str, tuple[str, ...]] = {}
    for name, words in week.exercises.items():
        unknown = [used for used in words.uses if used not in week.exercises]
        if unknown:
            yield problem(cells[name], f"uses unknown exercises: {', '.join(unknown)}", "name exercises of this week")
        graph[name] = tuple(used for used in words.uses if used in week.exercises)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        yield problem(cells[error.args[1][0]], f"the exercises use each other in a circle: {cycle}", "break the circle")
        return
    for name, cell in cells.items():
        reached = reachable(week, cell)
        for test in week.of_kind(Test, name):  # what comes behind the test is told as such
            reached |= {one for one in reachable(week, test) if one not in cells or week.before(cells[one], test)}
        declared = {name, *(used for used in week.exercises if name in week.dependents(used))}
        misspelled = set(week.exercises[name].uses) - set(week.exercises)  # told above; it may be what is missing here
        if missing := sorted((reached & set(week.exercises)) - declared) if not misspelled else []:
            listed = ", ".join(missing)
            yield problem(cell, f"exercise {name!r} builds on {listed} without saying so", f'write uses="{listed}"')


def check_exercises(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.of_kind(Exercise):
        name = cell.name
        tests = week.of_kind(Test, name)
        for kind in (
            About,
            Hints,
            Look,
        ):  # a second text or hints cell has the id of the first, which is told elsewhere
            if not week.of_kind(kind, name):
                header = f'# %% {"[markdown] " if kind.cell_type == "markdown" else ""}{kind.key}="{name}"'
                yield problem(cell, f"exercise {name!r} has 0 {kind.key} cells", f"write one `{header}` cell")
        if not tests:
            yield problem(cell, f"exercise {name!r} has no test", f'write a `# %% test="{name}" points=...` cell')
        elif not any(has_hidden_tests(test) for test in tests):
            yield problem(cell, f"exercise {name!r} has no hidden test", "add a ### BEGIN HIDDEN TESTS region")
        visible = [test for test in tests if not has_hidden_tests(test)]
        whole = len(tests) < 2 or not visible
        if week.points(name) > SPLIT_ABOVE and whole and len(visible) < len(tests):
            message = f"exercise {name!r} is worth {week.points(name)} points in one piece"
            yield problem(cell, message, "split its tests into at least two cells, one of them wholly visible")
        yield from _check_docstrings(cell, problem)
    for cell in week.of_kind(Hints):
        folds = re.findall(r"<details>\s*<summary>(.*?)</summary>", cell.source)
        hints = [fold.partition(":")[0] for fold in folds if fold.startswith("Hint")]
        if hints != ["Hint 1", "Hint 2", "Hint 3"]:
            remedy = "write three <details><summary>Hint N: ...</summary>: idea, pseudocode, nearly code"
            yield problem(cell, f"the folded hints are {hints}", f"{remedy}; after them, symptoms if you like")
        if len(folds) != cell.source.count("</details>"):
            yield problem(cell, "<details> and </details> do not pair up", "close every fold")


def _check_docstrings(cell: Cell, problem: Finding) -> Iterator[Problem]:
    """Public functions and classes at the top of a stub, and methods with arguments, say shapes and errors."""
    for node in parsed(cell.source).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if not ast.get_docstring(node):
            remedy = "say shapes, dtypes, units, errors and the source"
            yield problem(cell, f"{node.name} has no docstring", remedy, line=node.lineno)
        methods = (
            [part for part in node.body if isinstance(part, ast.FunctionDef)] if isinstance(node, ast.ClassDef) else []
        )
        for method in methods:
            if not method.name.startswith("_") and not ast.get_docstring(method):
                message = f"{node.name}.{method.name} has no docstring"
                yield problem(cell, message, "say what it takes and returns", line=method.lineno)


def check_forbids(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.of_kind(Test):
        declared = isinstance(cell.words, Test) and bool(cell.words.forbids)
        if declared != ("checks.forbidden(FORBIDDEN" in cell.source):
            yield problem(
                cell,
                "the header's `forbids` and the test do not agree",
                "name the shortcuts in the header and call checks.forbidden(FORBIDDEN, ...) in the test",
            )


def check_points(week: Week, problem: Finding) -> Iterator[Problem]:
    tests, written = week.of_kind(Test), week.of_kind(Written)
    untested = set(week.exercises) - {cell.name for cell in tests}  # told elsewhere; their points are missing here
    for what, cells, wanted in (
        ("test cells", [] if untested else tests, AUTOGRADED_POINTS),
        ("written questions", written, WRITTEN_POINTS),
    ):
        points = {cell: cell.words.points for cell in cells if isinstance(cell.words, Test | Written)}
        if sum(points.values()) != wanted and not (what == "test cells" and untested):
            listed = ", ".join(f"{cell.id} {one} (line {cell.line})" for cell, one in points.items())
            message = f"the {what} add up to {sum(points.values())} points, not {wanted}"
            remedy = f"change the `points` words: {listed}" if listed else "write one, with the word `points`"
            yield problem(cells[0] if cells else None, message, remedy)


def check_optimizers(week: Week, problem: Finding) -> Iterator[Problem]:
    """The first optimizer of a process imports for seconds: that is for the warm process, once."""
    for cell in week.cells:
        if cell.words.cell_type == "code" and not isinstance(cell.words, Look | Explore):
            names = {name for code in codes(cell.source) for name in code.co_names}
            if "torch.optim" not in week.info.libraries and names & {"optim", "torch.optim"}:
                yield problem(
                    cell,
                    f"{cell.id} makes an optimizer, and each submission would import what that needs, for seconds",
                    'add "torch.optim" to `libraries` in week.toml',
                )


def parsed(source: str) -> ast.Module:
    """The syntax tree of a cell; an empty one where it does not parse, which is told once, by `check_syntax`."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def check_syntax(week: Week, problem: Finding) -> Iterator[Problem]:
    """All code cells are Python; where one is not, nothing else about it can be known."""
    for cell in week.cells:
        if cell.words.cell_type == "code":
            try:
                ast.parse(cell.python)
            except SyntaxError as error:
                yield problem(cell, f"{cell.id} does not parse: {error.msg}", "fix the syntax", line=error.lineno or 1)


def check_titles(week: Week, problem: Finding) -> Iterator[Problem]:
    """What a failed check is called is the same in every run: feedback knows a wrong answer by it."""
    for cell in week.of_kind(Test):
        for line, text in drawn_titles(cell.source):
            message = f"the title of this step holds {text}, which is drawn anew in every run"
            yield problem(cell, message, "say it in words: `a fresh input`", line=line)


def check_pictures(week: Week, problem: Finding) -> Iterator[Problem]:
    """Who cannot see a picture reads, or hears, what it shows."""
    for cell in week.cells:
        if cell.words.cell_type == "markdown":
            for picture in WITHOUT_TEXT.findall(cell.source):
                remedy = "write what it shows: ![Left: ... Right: ...](outcome.png)"
                yield problem(cell, f"a picture without a text for those who cannot see it: {picture}", remedy)


RULES = (
    check_names,
    check_uses,
    check_exercises,
    check_forbids,
    check_points,
    check_optimizers,
    check_titles,
    check_pictures,
)
