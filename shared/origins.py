"""Where a value or an error of a test cell comes from, read off the compiled code: no guess from names or messages."""

from __future__ import annotations

import ast
import dis
import linecache
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType

from .kinds import LIBRARIES


def raised_by_statement(error: BaseException) -> bool:
    """Whether a `raise` outside of libraries made this error, and no operation of a library did."""
    last = _last(error.__traceback__)
    if last is None:
        return True  # made, and not raised yet
    code = last.tb_frame.f_code
    return not code.co_filename.startswith(LIBRARIES) and _operation(code, last.tb_lasti)[0] == "RAISE_VARARGS"


def values_taken_apart(error: BaseException, here: str) -> int | None:
    """How many values a test wanted where taking a result apart (`a, b = f(x)`) failed; None for any other error.

    `here` is the folder of the checks, whose own frames do not count.
    """
    if not isinstance(error, ValueError | TypeError):
        return None
    entries = [one for one in _entries(error.__traceback__) if not _file(one.tb_frame).startswith((*LIBRARIES, here))]
    own = [one for one in entries if _file(one.tb_frame) == _file(entries[0].tb_frame)]
    if not own:
        return None
    name, count = _operation(own[-1].tb_frame.f_code, own[-1].tb_lasti)
    return count if name == "UNPACK_SEQUENCE" and isinstance(count, int) else None


def asked_for_gradient(here: str) -> bool | None:
    """What the running check was given, by the text of its call: True for a gradient, False for a call's result.

    None where the text does not tell. The check is called by the first frame outside of the folder `here`.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _file(frame).startswith(here):
        frame = frame.f_back
    if frame is None:
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(_file(frame))))
    except (SyntaxError, ValueError):
        return None
    line, last, begin, end = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if place == (line, last, begin, end):
                return _is_gradient(node.args[0], tree)
    return None


def _is_gradient(value: ast.expr, tree: ast.Module) -> bool | None:
    if isinstance(value, ast.Subscript):
        return _is_gradient(value.value, tree)
    if isinstance(value, ast.Attribute):
        return True if value.attr == "grad" else None
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr == "grad"
    if isinstance(value, ast.Name):
        found = [one for one in _assigned(value.id, tree) if one.lineno <= value.lineno]
        return _is_gradient(found[-1], tree) if found else None
    return None


def _assigned(name: str, tree: ast.Module) -> Iterator[ast.expr]:
    """The values that are assigned to a name, also by taking one apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name):
            names = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            if name in names:
                yield node.value


def _operation(code: CodeType, place: int) -> tuple[str, object]:
    """The instruction at an offset and its argument."""
    found = (step for step in dis.get_instructions(code) if step.offset == place)
    return next(((step.opname, step.argval) for step in found), ("", None))


def _file(frame: FrameType) -> str:
    return frame.f_code.co_filename


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _last(trace: TracebackType | None) -> TracebackType | None:
    return list(_entries(trace))[-1] if trace else None
