"""Single changes of a reference answer: what a test that proves itself has to notice.

Each operator looks at one node of the syntax tree and replaces a piece of the text, so that the rest of the cell
stays as it was typed. Left alone are docstrings, annotations, the words of an error, and f-strings, whose positions
Python 3.11 does not know.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
"""Operator -> how it is typed, and what is typed in its place."""
COMPARISON: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
"""Comparison -> how it is typed; the other side of its boundary, where it has one, and its opposite."""
COMMUTATIVE = {"max", "min", "maximum", "minimum", "add", "mul", "equal", "isclose", "allclose", "logaddexp", "print"}
"""Calls whose arguments may be swapped."""
FIRST_ARGUMENT = {"abs", "round", "sorted", "reversed", "int", "float", "set"}
"""Built-in functions that may be replaced by what they get."""
TRANSPOSED = {"T", "mT", "H", "mH"}
Span = tuple[int, int, str]
"""Offsets in bytes, and the text in their place."""


@dataclass(frozen=True)
class Mutant:
    """A reference answer with one change.

    Attributes
    ----------
    exercise : the exercise it answers.
    operator : what kind of change it is.
    line : of the change in the cell, from 1.
    change : the lines before and after, as `before  =>  after`.
    occurrence : 1 for the first mutant of the exercise with this change, 2 for the second.
    source : the whole cell.
    """

    exercise: str
    operator: str
    line: int
    change: str
    occurrence: int
    source: str


class _Text:
    """The source of a cell, by the positions of its syntax tree (lines from 1, columns in bytes)."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.bytes = source.encode()
        starts, place = [0], 0
        for line in self.bytes.splitlines(keepends=True):
            place += len(line)
            starts.append(place)
        self._starts = starts

    def begin(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        return self.bytes[self.begin(node) : self.end(node)].decode()

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Span:
        """`old`, which stands between two expressions, replaced."""
        at = self.bytes.index(old.encode(), self.end(left), self.begin(right))
        return at, at + len(old.encode()), new

    def instead(self, node: ast.expr | ast.stmt, new: str) -> Span:
        return self.begin(node), self.end(node), new

    def with_change(self, span: Span) -> tuple[str, str, int]:
        """The whole source with a change; the lines of the change as `before  =>  after`; its line."""
        begin, end, new = span
        first = self.bytes.rfind(b"\n", 0, begin) + 1
        last = self.bytes.find(b"\n", end)
        last = len(self.bytes) if last < 0 else last
        changed = self.bytes[:begin] + new.encode() + self.bytes[end:]
        before = self.bytes[first:last].decode()
        after = self.bytes[first:begin].decode() + new + self.bytes[end:last].decode()
        line = self.bytes.count(b"\n", 0, begin) + 1
        return changed.decode(), f"{' '.join(before.split())}  =>  {' '.join(after.split())}", line


def _arithmetic(node: ast.AST, text: _Text) -> Iterator[Span]:
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield text.between(node.left, node.right, *ARITHMETIC[type(node.op)])
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        old, new = ARITHMETIC[type(node.op)]
        yield text.between(node.target, node.value, f"{old}=", f"{new}=")


def _comparison(node: ast.AST, text: _Text) -> Iterator[Span]:
    if isinstance(node, ast.Compare):
        lefts = (node.left, *node.comparators)
        for left, operator, right in zip(lefts, node.ops, node.comparators, strict=False):
            old, others = COMPARISON[type(operator)]
            for new in others:
                yield text.between(left, right, old, new)


def _boolean(node: ast.AST, text: _Text) -> Iterator[Span]:
    if isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield text.between(left, right, old, new)
    signs = ast.Not | ast.USub | ast.Invert
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, signs) and not _is_int(node.operand):
        yield text.instead(node, text.of(node.operand))


def _condition(node: ast.AST, text: _Text) -> Iterator[Span]:
    """Both ways of a condition; of one that only raises, the way without the error."""
    if isinstance(node, ast.If):
        yield text.instead(node.test, "False")
        if not all(isinstance(statement, ast.Raise) for statement in node.body):
            yield text.instead(node.test, "True")
    if isinstance(node, ast.IfExp):
        yield text.instead(node.test, "True")
        yield text.instead(node.test, "False")
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield text.instead(test, "True")


def _constant(node: ast.AST, text: _Text) -> Iterator[Span]:
    """The next number, a float's double, the other truth value, another word; of `-1` what is one further down."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_int(node.operand):
        yield text.instead(node, str(ast.literal_eval(node) - 1))
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield text.instead(node, str(not value))
    elif isinstance(value, int):
        yield text.instead(node, str(value + 1))
    elif isinstance(value, float):
        yield text.instead(node, repr(value * 2 or 1.0))
    elif isinstance(value, str):
        yield text.instead(node, repr(f"{value}~"))


def _is_int(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _keyword(node: ast.AST, text: _Text) -> Iterator[Span]:
    """A call, or the head of a class, without one of its keywords."""
    if not isinstance(node, ast.Call):
        return
    arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    everything = sorted(arguments, key=text.begin)
    for place, one in enumerate(everything):
        if isinstance(one, ast.keyword) and one.arg:
            if place:
                yield text.end(everything[place - 1]), text.end(one), ""
            elif len(everything) > 1:
                yield text.begin(one), text.begin(everything[1]), ""
            else:
                yield text.begin(one), text.end(one), ""


def _swapped(node: ast.AST, text: _Text) -> Iterator[Span]:
    if isinstance(node, ast.Call) and _called(node) not in COMMUTATIVE:
        for left, right in zip(node.args, node.args[1:], strict=False):
            both = isinstance(left, ast.Constant | ast.UnaryOp) and isinstance(right, ast.Constant | ast.UnaryOp)
            if not both and not isinstance(left, ast.Starred) and not isinstance(right, ast.Starred):
                middle = text.bytes[text.end(left) : text.begin(right)].decode()
                yield text.begin(left), text.end(right), f"{text.of(right)}{middle}{text.of(left)}"


def _called(node: ast.Call) -> str:
    """The last word of what is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _last_step(node: ast.AST, text: _Text) -> Iterator[Span]:
    """One step fewer, and slices without one of their ends."""
    if isinstance(node, ast.Call) and _called(node) == "range" and node.args:
        stop = node.args[min(1, len(node.args) - 1)]
        if not isinstance(stop, ast.Constant):
            yield text.instead(stop, f"{text.of(stop)} - 1")
    if isinstance(node, ast.Slice):
        for end in (node.lower, node.upper, node.step):
            if end is not None:
                yield text.instead(end, "")


def _transposed(node: ast.AST, text: _Text) -> Iterator[Span]:
    if isinstance(node, ast.Attribute) and node.attr in TRANSPOSED:
        yield text.instead(node, text.of(node.value))


def _error(node: ast.AST, text: _Text) -> Iterator[Span]:
    """Another class of error."""
    if isinstance(node, ast.Raise) and node.exc is not None:
        name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(name, ast.Name) and isinstance(getattr(builtins, name.id, None), type):
            yield text.instead(name, "KeyError" if name.id == "ValueError" else "ValueError")


def _statement(node: ast.AST, text: _Text) -> Iterator[Span]:
    """A statement, a decorator or the context of a block left out."""
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield text.instead(node, "pass")
    if isinstance(node, ast.AugAssign | ast.Continue | ast.Break | ast.Delete):
        yield text.instead(node, "pass")
    if isinstance(node, ast.Assign) and not all(isinstance(target, ast.Name) for target in node.targets):
        yield text.instead(node, "pass")
    if isinstance(node, ast.With):
        last = node.items[-1].optional_vars or node.items[-1].context_expr
        if not any(item.optional_vars for item in node.items):
            yield text.begin(node), text.bytes.index(b":", text.end(last)) + 1, "if True:"
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        for decorator in node.decorator_list:
            begin = text.bytes.rindex(b"@", 0, text.begin(decorator))
            yield begin, text.end(decorator), ""


def _reassigned(function: ast.FunctionDef, text: _Text) -> Iterator[Span]:
    """A name that had a value before keeps that value."""
    known = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if names <= known:
                yield text.instead(node, "pass")
            known |= names


def _call(imported: set[str]) -> Callable[[ast.AST, _Text], Iterator[Span]]:
    """A method or a function left out: `x.softmax(-1)` becomes `x`, and `torch.exp(x)` becomes `x`."""

    def found(node: ast.AST, text: _Text) -> Iterator[Span]:
        if not isinstance(node, ast.Call) or _called(node)[:1].isupper():
            return
        function, first = node.func, node.args[0] if node.args else None
        root = function
        while isinstance(root, ast.Attribute):
            root = root.value
        of_module = isinstance(root, ast.Name) and root.id in imported
        builtin = isinstance(function, ast.Name) and function.id in FIRST_ARGUMENT
        if (builtin or (of_module and isinstance(function, ast.Attribute))) and first is not None:
            if not isinstance(first, ast.Starred | ast.Constant | ast.GeneratorExp):
                yield text.instead(node, f"({text.of(first)})")
        elif isinstance(function, ast.Attribute) and not of_module:
            owner = function.value
            if not (isinstance(owner, ast.Name) and owner.id == "self") and "super()" not in text.of(owner):
                yield text.instead(node, text.of(owner))

    return found


OPERATORS: dict[str, Callable[[ast.AST, _Text], Iterator[Span]]] = {
    "arithmetic": _arithmetic,
    "comparison": _comparison,
    "boolean": _boolean,
    "condition": _condition,
    "constant": _constant,
    "dropped keyword": _keyword,
    "swapped arguments": _swapped,
    "last step": _last_step,
    "transpose": _transposed,
    "error class": _error,
    "deleted statement": _statement,
}


def _left_alone(tree: ast.Module) -> set[ast.AST]:
    """Nodes that no test could notice: docstrings, annotations, the words of an error, f-strings, imports."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
            roots.append(node.body[0])
        if isinstance(node, ast.FunctionDef):
            roots.append(node.returns)
        if isinstance(node, ast.arg | ast.AnnAssign):
            roots.append(node.annotation)
        if isinstance(node, ast.Raise):
            roots += [*ast.iter_child_nodes(node)]
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            roots.append(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_int(node.operand):
            roots.append(node.operand)  # changed together with its sign
    return {node for root in roots if root is not None for node in ast.walk(root)}


def imported_names(*sources: str) -> set[str]:
    """The names that imports of these sources bind."""
    found = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def _changes(tree: ast.Module, text: _Text, imported: set[str]) -> Iterator[tuple[str, Span]]:
    """Every change, in the order of the operators."""
    skipped = _left_alone(tree)
    nodes = [node for node in ast.walk(tree) if node not in skipped]
    for name, operator in {**OPERATORS, "dropped call": _call(imported)}.items():
        for node in nodes:
            yield from ((name, span) for span in operator(node, text))
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            yield from (("deleted statement", span) for span in _reassigned(node, text))


def mutants(exercise: str, source: str, imported: set[str]) -> list[Mutant]:
    """Every single change of an answer, in the order of its lines; what compiles to the same code is left out.

    Parameters
    ----------
    source : the cell with the reference answer.
    imported : names of modules and functions that the lesson imports.

    Raises
    ------
    SyntaxError
        when the answer is not valid Python.
    """
    tree, text = ast.parse(source), _Text(source)
    seen = {ast.dump(tree)}
    found: list[Mutant] = []
    for name, span in _changes(tree, text, imported | imported_names(source)):
        changed, change, line = text.with_change(span)
        try:
            dumped = ast.dump(ast.parse(changed))
        except SyntaxError:  # a context that other operators change as a whole
            continue
        if dumped not in seen:
            seen.add(dumped)
            found.append(Mutant(exercise, name, line, change, 1, changed))
    found.sort(key=lambda mutant: mutant.line)
    count: Counter[str] = Counter()
    for place, mutant in enumerate(found):
        count[mutant.change] += 1
        found[place] = replace(mutant, occurrence=count[mutant.change])
    return found
