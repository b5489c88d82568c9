"""Where a value or an error of a test cell comes from, read off the compiled code: no guess from names or messages."""

from __future__ import annotations

import ast
import dis
import linecache
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import cast

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
    frame, call, tree = _running_check(here)
    return _is_gradient(call.args[0], tree) if frame and call else None


def taken_apart_with(here: str) -> list[object]:
    """The values that one line of the test took apart (`a, b = f(x)`), if the running check asks about one of them.

    They are in order, that of the check among them; [] where the text of the test does not tell.
    """
    frame, call, tree = _running_check(here)
    if frame is None or call is None or not isinstance(call.args[0], ast.Name):
        return []
    asked = call.args[0]
    found = [one for one in _assignments(asked.id, tree) if one.lineno <= asked.lineno]
    for target in found[-1].targets if found else []:
        for part in ast.walk(target):
            names = [name.id for name in part.elts if isinstance(name, ast.Name)] if isinstance(part, ast.Tuple) else []
            if asked.id in names and len(names) == len(cast("ast.Tuple", part).elts):
                known = frame.f_globals | frame.f_locals
                return [known.get(name) for name in names]
    return []


def _running_check(here: str) -> tuple[FrameType | None, ast.Call | None, ast.Module]:
    """The frame of the test that called the running check, the call in its text, and the whole text.

    The check is called by the first frame outside of the folder `here`; a call has an argument.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _file(frame).startswith(here):
        frame = frame.f_back
    tree = ast.Module([], [])
    if frame is None:
        return None, None, tree
    try:
        tree = ast.parse("".join(linecache.getlines(_file(frame))))
    except (SyntaxError, ValueError):
        return None, None, tree
    line, last, begin, end = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if place == (line, last, begin, end):
                return frame, node, tree
    return frame, None, tree


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
    return (node.value for node in _assignments(name, tree) if not isinstance(node.value, ast.Name))


def _assignments(name: str, tree: ast.Module) -> Iterator[ast.Assign]:
    """Where a name is assigned, also by taking a value apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            if name in names:
                yield node


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
