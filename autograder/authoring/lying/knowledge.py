"""What somebody without the answer knows: the visible notebook, and the inputs of the call that is being answered.

A value counts as known when it can be said without computing the answer: a number or a word that stands in the
notebook, an input handed back, its shape, a list of one number only. In doubt it is known: a liar is at least as
well informed as a person.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ...engine.guest import wire

MAX_ROW = 4_096
"""Numbers of an array above which it is known only as a whole, by its bytes."""
MAX_DEPTH = 6
"""Containers inside each other that are looked into."""
WORD = re.compile(r"[^\W\d]\w*")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")
FOLDED = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def rounded(number: float) -> float:
    """A number to six digits: what checks tell apart and no more."""
    return float(f"{float(number):.6g}")


def numbers_in(value: Any) -> list[float] | None:
    """All numbers of nested lists, tuples and dicts in order; None where anything else is in them."""
    if type(value) in (int, float):
        return [value]
    if isinstance(value, list | tuple | dict):
        found: list[float] = []
        for item in value.values() if isinstance(value, dict) else value:
            inside = numbers_in(item)
            if inside is None:
                return None
            found += inside
        return found
    return None


@dataclass
class Known:
    """Numbers (rounded), words, rows of numbers (rounded) and arrays (digests) that somebody knows."""

    numbers: set[float] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    rows: set[tuple[float, ...]] = field(default_factory=set)
    arrays: set[bytes] = field(default_factory=set)

    def __or__(self, other: Known) -> Known:
        return Known(
            self.numbers | other.numbers, self.words | other.words, self.rows | other.rows, self.arrays | other.arrays
        )

    def number(self, number: float) -> bool:
        """Whether this one number can be said."""
        return rounded(number) in self.numbers

    def word(self, text: str) -> bool:
        """Whether this text can be said: all its words are known."""
        return text in self.words or all(w in self.words or hasattr(builtins, w) for w in WORD.findall(text))

    def row(self, numbers: list[float]) -> bool:
        """Whether these numbers can be said in this order: two at most, one number only, or a row that was seen."""
        row = tuple(map(rounded, numbers))
        if len(row) <= 2 or len(set(row)) == 1:
            return all(number in self.numbers for number in row)
        return row in self.rows or row == tuple(float(place) for place in range(len(row)))

    def array(self, tensor: Any) -> bool:
        """Whether this tensor can be said."""
        flat = tensor.detach().reshape(-1)
        if not len(flat) or digest_of(tensor) in self.arrays:
            return True
        if flat.is_complex():
            return False
        if len(flat) > 2 and bool((flat == flat[0]).all()):
            return self.number(flat[0].item())
        return len(flat) <= MAX_ROW and self.row(flat.tolist())

    def see_numbers(self, numbers: list[float]) -> None:
        self.numbers |= {rounded(number) for number in numbers[:MAX_ROW]}
        self.rows.add(tuple(map(rounded, numbers)))


def digest_of(tensor: Any) -> bytes:
    """The entries of a tensor in one number, whatever its shape."""
    return hashlib.sha1(str(tensor.dtype).encode() + wire.tensor_bytes(tensor)).digest()


# --- the visible notebook


def of_notebook(sources: Iterable[tuple[bool, str]]) -> Known:
    """What stands in cells, given as (is it code?, source): literals, also computed from literals, and words."""
    known = Known()
    for is_code, source in sources:
        known.words |= set(WORD.findall(source))
        known.numbers |= {rounded(float(text)) for text in NUMBER.findall(source)}
        try:
            tree = ast.parse(source) if is_code else ast.Module([], [])
        except SyntaxError:  # a magic
            continue
        for node in ast.walk(tree):
            value = _constant(node)
            found = None if isinstance(value, bool) else numbers_in(value)
            if found:
                known.see_numbers(found)
    return known


def _constant(node: ast.AST) -> Any:
    """The value of an expression of numbers; None where there is anything else in it."""
    match node:
        case ast.Constant(value=int() | float()):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=inside):
            value = _constant(inside)
            return None if isinstance(value, list) or value is None else -value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            values = [_constant(item) for item in items]
            return None if None in values or not values else values
        case ast.BinOp(left=left, op=op, right=right) if type(op) in FOLDED:
            values = [_constant(left), _constant(right)]
            try:
                return FOLDED[type(op)](*values)
            except (TypeError, ZeroDivisionError):
                return None
    return None


# --- the inputs of a call


class Inputs:
    """Collects what the judge sent along with a call. Objects of the learner's own (`theirs`) are not inputs."""

    def __init__(self, theirs: Mapping[int, Any]) -> None:
        self.known = Known()
        self.theirs = theirs
        self.seen: set[int] = set()

    def add(self, value: Any, depth: int = 0) -> None:
        if id(value) in self.theirs or depth > MAX_DEPTH:
            return
        torch = wire.torch_module()
        if value is None or isinstance(value, bool):
            return
        if isinstance(value, int | float):
            self.known.numbers.add(rounded(value))
        elif isinstance(value, str):
            self.known.words |= {value, *WORD.findall(value)}
        elif torch is not None and isinstance(value, torch.Tensor):
            self._add_tensor(value)
        elif torch is not None and isinstance(value, torch.nn.Module):
            self._add_module(value, depth)
        elif id(value) not in self.seen:
            self.seen.add(id(value))
            for part in _parts(value):
                self.add(part, depth + 1)
            found = numbers_in(value)
            if found:
                self.known.see_numbers(found)

    def _add_tensor(self, tensor: Any) -> None:
        if not wire.is_strided(tensor):
            return
        self.known.numbers |= {float(n) for n in (*tensor.shape, tensor.ndim, tensor.numel())}
        self.known.arrays.add(digest_of(tensor))
        if tensor.ndim > 1 and len(tensor) <= 256:
            self.known.arrays |= {digest_of(row) for row in tensor}
        if tensor.numel() <= MAX_ROW and not tensor.is_complex():
            self.known.see_numbers(tensor.detach().reshape(-1).tolist())

    def _add_module(self, module: Any, depth: int) -> None:
        state = module.state_dict()
        parameters = list(module.parameters())
        self.known.numbers |= {float(n) for n in (len(parameters), len(state), sum(p.numel() for p in parameters))}
        for name, part in (*module.named_modules(), *state.items()):
            self.add(name, depth)
            self.add(type(part).__name__, depth)
        for tensor in state.values():
            self.add(tensor, depth)


def _parts(value: Any) -> Iterator[Any]:
    """What lies in a container, an array, a function or an object."""
    if isinstance(value, dict):
        yield len(value)
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield len(value)
        yield from value
    elif isinstance(value, FunctionType):
        yield from _constants(value.__code__)
        yield from (cell.cell_contents for cell in value.__closure__ or ())
        if value.__module__ == "__main__":  # sent by value, with what it uses
            yield from (value.__globals__[n] for n in value.__code__.co_names if n in value.__globals__)
    elif type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        yield value.tolist()
    elif hasattr(value, "__dict__") and not isinstance(value, type | ModuleType):
        yield type(value).__name__
        yield from vars(value).values()


def _constants(code: CodeType) -> Iterator[Any]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        else:
            yield constant
