"""What every week must have. Each broken rule is a `Problem` that names file, line and remedy."""

from __future__ import annotations

import ast
import dis
import re
import warnings
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from types import CodeType

from .errors import Problem
from .source import About, Cell, Exercise, Explore, Given, Hints, Look, Setup, Test, Week, Written

AUTOGRADED_POINTS = 80
WRITTEN_POINTS = 20
SPLIT_ABOVE = 8
"""An exercise worth more than this has at least two test cells, one of them wholly visible."""

MARKS = {"SOLUTION": Exercise | Written, "HIDDEN TESTS": Test}
WITHOUT_TEXT = re.compile(r"""!\[\s*\]\([^)]*\)|<img\b(?![^>]*\balt=["'][^"'])[^>]*>""")
Finding = Callable[[Cell | None, str, str], Problem]


def regions(source: str, mark: str) -> list[str]:
    """The texts between `BEGIN mark` and `END mark`.

    Raises
    ------
    ValueError
        when the marks are nested, or one of a pair is missing.
    """
    found: list[str] = []
    current: list[str] | None = None
    for line in source.splitlines():
        if f"BEGIN {mark}" in line:
            if current is not None:
                raise ValueError(f"BEGIN {mark} inside another BEGIN {mark}")
            current = []
        elif f"END {mark}" in line:
            if current is None:
                raise ValueError(f"END {mark} without BEGIN {mark}")
            found.append("\n".join(current))
            current = None
        elif current is not None:
            current.append(line)
    if current is not None:
        raise ValueError(f"BEGIN {mark} without END {mark}")
    return found


def has_hidden_tests(cell: Cell) -> bool:
    """Whether the cell has a hidden region with code in it. Unbalanced marks are another rule's affair."""
    try:
        lines = [line for region in regions(cell.source, "HIDDEN TESTS") for line in region.splitlines()]
    except ValueError:
        return True
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def in_hidden_test(source: str, line: int) -> bool:
    """Whether this line of a test cell, counted from 1, stands in a hidden region."""
    marks = [text for text in source.splitlines()[:line] if "HIDDEN TESTS" in text]
    return bool(marks) and "BEGIN" in marks[-1]


def reachable(week: Week, cell: Cell) -> set[str]:
    """Ids of the graded cells whose definitions a cell can reach through the names it uses."""
    makers: dict[str, list[Cell]] = {}
    for other in week.cells:
        if other.words.cell_type == "code" and not isinstance(other.words, Look | Explore | Test):
            for name in defined(other.source):
                makers.setdefault(name, []).append(other)
    found: set[str] = set()
    queue = [cell]
    while queue:
        current = queue.pop()
        found.add(current.id)
        needed = [maker for name in loaded(current.source) for maker in makers.get(name, [])]
        queue += [maker for maker in needed if maker.id not in found]
    return found


def check_marks(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.cells:
        for mark, kinds in MARKS.items():
            try:
                found = regions(cell.source, mark)
            except ValueError as error:
                yield problem(cell, str(error), f"balance the ### BEGIN {mark} / ### END {mark} lines")
                continue
            belongs = isinstance(cell.words, kinds)
            if found and not belongs:
                yield problem(cell, f"{mark} marks in a cell of another kind", "move them to a cell of the right kind")
            if mark == "SOLUTION" and belongs and not found:
                yield problem(
                    cell,
                    "no solution region",
                    "put the answer between ### BEGIN SOLUTION and ### END SOLUTION",
                )


def check_names(week: Week, problem: Finding) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for cell in week.cells:
        if cell.id in seen:
            yield problem(cell, f"a second cell named {cell.id!r}; the first is at line {seen[cell.id]}", "rename one")
        seen.setdefault(cell.id, cell.line)
        belongs = isinstance(cell.words, About | Hints | Test | Look)
        if belongs and cell.name not in week.exercises:
            known = ", ".join(week.exercises)
            yield problem(cell, f"there is no exercise {cell.name!r}", f"exercises here: {known}")
    if len(week.of_kind(Setup)) != 1:
        yield problem(None, f"{len(week.of_kind(Setup))} set-up cells", "write exactly one `# %% setup=true` cell")


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
        reached = set().union(*(reachable(week, part) for part in (cell, *week.of_kind(Test, name))))
        declared = {name, *(used for used in week.exercises if name in week.dependents(used))}
        if missing := sorted((reached & set(week.exercises)) - declared):
            listed = ", ".join(missing)
            yield problem(cell, f"exercise {name!r} builds on {listed} without saying so", f'write uses="{listed}"')


def check_exercises(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.of_kind(Exercise):
        name = cell.name
        tests = week.of_kind(Test, name)
        for kind, count in ((About, 1), (Hints, 1), (Look, None)):
            found = len(week.of_kind(kind, name))
            if found == 0 or (count and found != count):
                header = f'# %% {"[markdown] " if kind.cell_type == "markdown" else ""}{kind.key}="{name}"'
                yield problem(cell, f"exercise {name!r} has {found} {kind.key} cells", f"write one `{header}` cell")
        if not tests:
            yield problem(cell, f"exercise {name!r} has no test", f'write a `# %% test="{name}" points=...` cell')
        elif not any(has_hidden_tests(test) for test in tests):
            yield problem(cell, f"exercise {name!r} has no hidden test", "add a ### BEGIN HIDDEN TESTS region")
        visible = [test for test in tests if not has_hidden_tests(test)]
        if week.points(name) > SPLIT_ABOVE and (len(tests) < 2 or not visible):
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
    try:
        tree = ast.parse(cell.source)
    except SyntaxError as error:
        yield problem(cell, f"exercise {cell.name!r} does not parse: {error.msg}", "mend the syntax")
        return
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if not ast.get_docstring(node):
            yield problem(cell, f"{node.name} has no docstring", "say shapes, dtypes, units, errors and the source")
        methods = (
            [part for part in node.body if isinstance(part, ast.FunctionDef)] if isinstance(node, ast.ClassDef) else []
        )
        for method in methods:
            if not method.name.startswith("_") and not ast.get_docstring(method):
                yield problem(cell, f"{node.name}.{method.name} has no docstring", "say what it takes and returns")


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
    autograded = sum(week.points(name) for name in week.exercises)
    written = sum(c.words.points for c in week.of_kind(Written) if isinstance(c.words, Written))
    for what, points, wanted in (
        ("test cells", autograded, AUTOGRADED_POINTS),
        ("written questions", written, WRITTEN_POINTS),
    ):
        if points != wanted:
            yield problem(None, f"the {what} add up to {points} points, not {wanted}", "change the `points` words")


def check_explore(week: Week, problem: Finding) -> Iterator[Problem]:
    """What is graded must not need what is skipped: graded cells load no name that only a skipped cell sets."""
    skipped = {name for c in week.cells if isinstance(c.words, Look | Explore) for name in defined(c.source)}
    graded = [c for c in week.cells if c.words.cell_type == "code" and not isinstance(c.words, Look | Explore)]
    available = {name for c in graded for name in defined(c.source)}
    for cell in graded:
        for name in sorted((loaded(cell.source) & skipped) - available):
            yield problem(cell, f"uses {name!r}, which only a look or explore cell sets", "set it in a graded cell")


def check_optimizers(week: Week, problem: Finding) -> Iterator[Problem]:
    """The first optimizer of a process imports for seconds: that is for the warm process, once."""
    for cell in week.cells:
        if cell.words.cell_type == "code" and not isinstance(cell.words, Look | Explore):
            names = {name for code in _codes(cell.source) for name in code.co_names}
            if "torch.optim" not in week.info.libraries and names & {"optim", "torch.optim"}:
                yield problem(
                    cell,
                    f"{cell.id} makes an optimizer, and each submission would import what that needs, for seconds",
                    'add "torch.optim" to `libraries` in week.toml',
                )


def _codes(source: str) -> list[CodeType]:
    """The compiled cell, and the functions, classes and comprehensions in it; empty when it does not compile."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = [compile(source, "<cell>", "exec")]
    except (SyntaxError, ValueError):
        return []
    for code in found:
        found += [part for part in code.co_consts if isinstance(part, CodeType)]
    return found


def _named(code: CodeType, *operations: str) -> set[str]:
    return {str(step.argval) for step in dis.get_instructions(code) if step.opname in operations}


def loaded(source: str) -> set[str]:
    """Names that a cell takes from outside of its functions: globals, not parameters or locals.

    Read off the compiled code, which knows the scopes of every version of Python.
    """
    found: set[str] = set()
    for number, code in enumerate(_codes(source)):
        names = _named(code, "LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
        found |= names - _named(code, "STORE_NAME") if number else names
    return found


def defined(source: str) -> set[str]:
    """Names that a cell defines for the cells after it."""
    codes = _codes(source)
    own = _named(codes[0], "STORE_NAME") if codes else set()
    return own.union(*(_named(code, "STORE_GLOBAL") for code in codes))


def check_syntax(week: Week, problem: Finding) -> Iterator[Problem]:
    for cell in week.cells:
        if isinstance(cell.words, Setup | Given | Test):
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                yield problem(cell, f"{cell.id} does not parse: {error.msg}", "mend the syntax")


def check_pictures(week: Week, problem: Finding) -> Iterator[Problem]:
    """Who cannot see a picture reads, or hears, what it shows."""
    for cell in week.cells:
        if cell.words.cell_type == "markdown":
            for picture in WITHOUT_TEXT.findall(cell.source):
                remedy = "write what it shows: ![Left: ... Right: ...](outcome.png)"
                yield problem(cell, f"a picture without a text for those who cannot see it: {picture}", remedy)


RULES = (
    check_marks,
    check_syntax,
    check_names,
    check_uses,
    check_exercises,
    check_forbids,
    check_points,
    check_explore,
    check_optimizers,
    check_pictures,
)


def check(week: Week) -> list[Problem]:
    """All broken rules of a week, in the order of the file."""

    def problem(cell: Cell | None, message: str, remedy: str) -> Problem:
        return Problem(week.script, cell.line if cell else 1, message, remedy)

    found = [item for rule in RULES for item in rule(week, problem)]
    return sorted(found, key=lambda item: item.line)
