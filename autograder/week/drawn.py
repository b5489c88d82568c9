"""Which lines of a test cell work on inputs that are drawn anew in every run, as the flow of names tells.

`checks.fresh_seed()` gives a number that nobody knows beforehand. A name is *drawn* while it holds something that was
made from that number, or from another drawn name. What a failed check says on a line that uses one differs from run
to run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache

FRESH = "fresh_seed"
PAIRING = ("zip", "enumerate", "each")
"""Calls that give their arguments entry by entry, in the order of what a loop takes apart."""


@cache
def drawn_lines(source: str) -> frozenset[int]:
    """Lines of a test cell, from 1, on which a failure may hold drawn numbers."""
    return frozenset(_Flow(ast.parse(source)).lines)


@cache
def drawn_titles(source: str) -> tuple[tuple[int, str], ...]:
    """Titles of steps that hold drawn numbers: line and text of each."""
    return tuple(_Flow(ast.parse(source)).titles)


class _Flow:
    """One walk through a test cell: at each statement, which names are drawn."""

    def __init__(self, tree: ast.Module) -> None:
        self.names: set[str] = set()
        self.lines: set[int] = set()
        self.titles: list[tuple[int, str]] = []
        self._walk(tree.body)

    def _walk(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.For(target=target, iter=values, body=body, orelse=after):
                    self._mark(values)
                    for _ in range(2):  # what the body draws is there when it begins again
                        for name, drawn in _taken_apart(target, values, self.names):
                            self._set(name, drawn)
                        self._branch(body, after)
                case ast.While(body=body, orelse=after) | ast.If(body=body, orelse=after):
                    self._mark(statement.test)
                    self._branch(body, after)
                case ast.Try(body=body, orelse=after, handlers=handlers, finalbody=last):
                    self._branch(body, [*after, *(part for one in handlers for part in one.body), *last])
                case ast.With(items=items, body=body):
                    for item in items:
                        self._item(item)
                    self._walk(body)
                case ast.FunctionDef(name=name, body=body) | ast.ClassDef(name=name, body=body):
                    self._set(name, any(_uses(part, self.names) for part in body))
                case _:
                    self._simple(statement)

    def _branch(self, *ways: Sequence[ast.stmt]) -> None:
        """Statements that may run or not: what is drawn before, or in one of them, is drawn after them."""
        before, found = set(self.names), set(self.names)
        for way in ways:
            self.names = set(before)
            self._walk(way)
            found |= self.names
        self.names = found

    def _item(self, item: ast.withitem) -> None:
        call = item.context_expr
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "step":
            for title in call.args:
                if _uses(title, self.names):
                    self.titles.append((title.lineno, ast.unparse(title)))
        if isinstance(item.optional_vars, ast.Name):
            self._set(item.optional_vars.id, _uses(call, self.names))

    def _simple(self, statement: ast.stmt) -> None:
        self._mark(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.NamedExpr):
                self._set(node.target.id, _uses(node.value, self.names))
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    for name, drawn in _taken_apart(target, ast.Tuple([value]), self.names):
                        self._set(name, drawn)
            case ast.AugAssign(target=target, value=value) if _uses(value, self.names):
                self.names |= _roots(target)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._set(name, _uses(value, self.names))

    def _mark(self, node: ast.stmt | ast.expr) -> None:
        if _uses(node, self.names):
            self.lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))

    def _set(self, name: str, drawn: bool) -> None:
        if drawn:
            self.names.add(name)
        else:
            self.names.discard(name)


def _taken_apart(target: ast.expr, values: ast.expr, names: set[str]) -> Iterator[tuple[str, bool]]:
    """Each name that gets entries of some values, and whether they are drawn: of `zip(texts, drawn)` the second is."""
    rows = _rows(values)
    if isinstance(target, ast.Tuple | ast.List) and rows and all(len(row) == len(target.elts) for row in rows):
        for place, part in enumerate(target.elts):
            yield from _taken_apart(part, ast.Tuple([row[place] for row in rows]), names)
        return
    drawn = _uses(values, names)
    if isinstance(target, ast.Tuple | ast.List):
        for name in _roots(target):
            yield name, drawn
    elif isinstance(target, ast.Name):
        yield target.id, drawn
    elif drawn:  # an attribute or an item: what holds it is drawn, too
        for name in _roots(target):
            yield name, True


def _rows(values: ast.expr) -> list[list[ast.expr]]:
    """The entries of values that are written out, each taken apart once more; [] where that cannot be told."""
    if isinstance(values, ast.Call):
        function = values.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        first: list[ast.expr] = [ast.Constant(0)] if name == "enumerate" else []
        return [[*first, *values.args]] if name in PAIRING else []
    if isinstance(values, ast.Tuple | ast.List):
        rows = [row.elts for row in values.elts if isinstance(row, ast.Tuple | ast.List)]
        return rows if len(rows) == len(values.elts) else []
    return []


def _roots(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _uses(node: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id in names and not isinstance(part.ctx, ast.Store))
        or (isinstance(part, ast.Attribute) and part.attr == FRESH)
        for part in ast.walk(node)
    )
