"""Rules about test cells: what a test must not do with an answer, seen from its syntax tree.

`Values` follows which names of a cell hold what an answer gave, and which hold what is drawn anew in every run.
Functions that a test defines are left alone: they run beside the answer, and get it as an argument.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from ..core.errors import Problem
from ..week.cells import Cell, Exercise, Test
from ..week.names import defined
from ..week.source import Week
from .rules import Finding, parsed

COMPARING = {
    "allclose",
    "isclose",
    "assert_close",
    "assert_allclose",
    "assert_array_equal",
    "assert_array_almost_equal",
    "assert_almost_equal",
    "array_equal",
}
"""Comparisons of libraries: most broadcast, and none says what it got and what was expected."""
TRUSTED_COMPARISONS = {"close", "equal"}
DRAWN = {"fresh_seed", "urandom", "time", "time_ns", "perf_counter", "token_hex", "uuid4"}
"""Functions that give something else in every run."""
FROM_GLOBAL_STATE = {"random", "randint", "choice", "uniform", "normal", "randrange", "sample"}
"""Functions of `random` and `numpy.random` that draw from a state that no test sets."""
PASSING = {
    "torch",
    "np",
    "numpy",
    "math",
    "F",
    "abs",
    "sum",
    "max",
    "min",
    "float",
    "int",
    "list",
    "tuple",
    "round",
    "str",
}
"""Functions that hand on what they get, in another form."""
PLAIN = {"shape", "dtype", "ndim", "device"}
"""Attributes that tell nothing of the numbers in a tensor."""
Begins = Callable[[ast.Call], bool]
EXACT = 2**10
"""Fractions with this denominator are exact in every format that a test compares."""


class Values:
    """What the names of a test cell hold: surely, where all that a name is bound to does; perhaps, where any does."""

    def __init__(self, cell: Cell, answers: set[str]) -> None:
        self.answers = answers
        self.nodes = [node for part in parsed(cell.source).body for node in _outside_of_functions(part)]
        self.bound: dict[str, list[ast.expr]] = {}
        for node in self.nodes:
            for target, value in _bindings(node):
                for name in (n.id for n in ast.walk(target) if isinstance(n, ast.Name)):
                    self.bound.setdefault(name, []).append(value)

    @cached_property
    def of_answers(self) -> set[str]:
        """Names that surely hold what an answer gave."""
        return self._spread(self._asks_an_answer, all)

    @cached_property
    def perhaps_of_answers(self) -> set[str]:
        return self._spread(self._asks_an_answer, any)

    @cached_property
    def drawn(self) -> set[str]:
        """Names that surely hold numbers that differ from run to run."""
        return self._spread(_draws, all)

    def from_answer(self, node: ast.AST) -> bool:
        """Whether an expression holds what an answer gave, and no function of the course computed it."""
        return _holds(node, self.of_answers, self._asks_an_answer)

    def may_come_from_answer(self, node: ast.AST) -> bool:
        return _holds(node, self.perhaps_of_answers, self._asks_an_answer)

    def is_drawn(self, node: ast.AST) -> bool:
        """Whether an expression differs from run to run."""
        return _holds(node, self.drawn, _draws)

    def _asks_an_answer(self, call: ast.Call) -> bool:
        return _root(call.func) in self.answers

    def _spread(self, begins: Begins, quantifier: Callable[[Iterable[bool]], bool]) -> set[str]:
        found: set[str] = set()
        while more := {
            name
            for name, values in self.bound.items()
            if name not in found and quantifier(_holds(value, found, begins) for value in values)
        }:
            found |= more
        return found


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets that a node binds, each with what it is bound to."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.comprehension):
        yield node.target, node.iter


def _holds(node: ast.AST, names: set[str], begins: Begins) -> bool:
    """Whether an expression holds a value that `begins` with a call or is in `names` already."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Attribute) and node.attr in PLAIN:
        return False
    if isinstance(node, ast.Call) and not begins(node) and _root(node.func) not in names | PASSING:
        return False  # a function of the course computes something of its own
    if isinstance(node, ast.Call) and begins(node):
        return True
    return any(_holds(part, names, begins) for part in ast.iter_child_nodes(node))


def _draws(call: ast.Call) -> bool:
    """Whether a call gives something else in every run."""
    name, path = _last(call.func), ast.unparse(call.func)
    if name in FROM_GLOBAL_STATE:
        return path.startswith(("random.", "np.random.", "numpy.random."))
    return name in DRAWN


def _outside_of_functions(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    yield node
    for part in ast.iter_child_nodes(node):
        yield from _outside_of_functions(part)


def _root(node: ast.AST) -> str:
    """`model` of `model.blocks[0](x).shape`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.AST) -> str:
    """`allclose` of `torch.allclose`, also of `allclose` alone."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_check(call: ast.Call, names: set[str]) -> bool:
    return _root(call.func) == "checks" and _last(call.func) in names


def _tests(week: Week) -> Iterator[tuple[Cell, Values]]:
    answers = {name for cell in week.of_kind(Exercise) for name in defined(cell.source)}
    imported = {
        name
        for cell in week.of_kind(Exercise)
        for node in ast.walk(parsed(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    }
    for cell in week.of_kind(Test):
        yield cell, Values(cell, answers - imported)


def check_comparisons(week: Week, problem: Finding) -> Iterator[Problem]:
    """An answer is compared by `checks`, with a value of the course's."""
    for cell, values in _tests(week):
        yield from _check_alone(cell, values, problem)
        for node in values.nodes:
            if isinstance(node, ast.Assert) and values.from_answer(node.test):
                message = "`assert` on what an answer gave shows the learner neither what it got nor what was expected"
                remedy = "write checks.close(answer, expected), checks.equal(...) or checks.that(...)"
                yield problem(cell, message, remedy, line=node.lineno)
            elif isinstance(node, ast.Call):
                yield from _check_call(cell, values, node, problem)


def _check_call(cell: Cell, values: Values, call: ast.Call, problem: Finding) -> Iterator[Problem]:
    name = _last(call.func)
    owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    if name in COMPARING and any(values.from_answer(part) for part in (*owner, *call.args)):
        message = f"`{name}` on what an answer gave broadcasts, and a failure shows nothing"
        yield problem(cell, message, "write checks.close(answer, expected)", line=call.lineno)
    if not _is_check(call, TRUSTED_COMPARISONS) or len(call.args) < 2:
        return
    came, expected = call.args[:2]
    if values.from_answer(expected) and not values.may_come_from_answer(came):
        message = f"checks.{name} expects what the answer gave: {ast.unparse(expected)}"
        yield problem(cell, message, "write the answer first, then what is expected of it", line=call.lineno)
    elif name == "equal" and _inexact(expected) and values.from_answer(came):
        message = f"checks.equal compares a computed number with {ast.unparse(expected)} to the last bit"
        yield problem(cell, message, "use checks.close or checks.near, with a tolerance", line=call.lineno)


def _check_alone(cell: Cell, values: Values, problem: Finding) -> Iterator[Problem]:
    """Answers beside each other show that they agree; a cell that checks nothing else proves nothing."""
    checked = [node for node in values.nodes if isinstance(node, ast.Call) and _root(node.func) == "checks"]
    compared = [call for call in checked if _is_check(call, TRUSTED_COMPARISONS) and len(call.args) > 1]
    others = [call for call in checked if call not in compared and not _is_check(call, {"step"})]
    if compared and not others and all(_with_itself(values, *call.args[:2]) for call in compared):
        came, expected = (ast.unparse(part) for part in compared[0].args[:2])
        message = f"this test compares answers with each other alone: {came} with {expected}"
        remedy = "compare with a value worked by hand, or with an independent oracle"
        yield problem(cell, message, remedy, line=compared[0].lineno)


def _with_itself(values: Values, came: ast.AST, expected: ast.AST) -> bool:
    return values.from_answer(came) and values.from_answer(expected)


def _inexact(node: ast.AST) -> bool:
    """Whether an expected value holds a fraction that floats only come close to."""
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, float) and not (part.value * EXACT).is_integer()
        for part in ast.walk(node)
    )


RULES = (check_comparisons,)
