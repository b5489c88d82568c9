"""What the tests of `shared.checks` share: cells of a learner, and what a failed check says."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import pytest
import torch

from shared import checks
from shared.checks import CheckFailure

INF, NAN = float("inf"), float("nan")
Check = Callable[[], object]


def vector(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def failed(check: Check) -> CheckFailure:
    with pytest.raises(CheckFailure) as error:
        check()
    return error.value


def fields(check: Check) -> tuple[str, ...]:
    """What was checked, what came, was expected, where, the cause."""
    return tuple(failed(check).as_dict().values())[:5]


def cell(name: str, source: str, **known: object) -> dict[str, Any]:
    """Run a cell of a notebook, as a kernel does: its lines show in tracebacks."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {"checks": checks, **known}
    exec(compile(source, name, "exec"), space)
    return space


LEARNER = cell(
    "<cell of the learner>",
    """
import json

def halve(number):
    return number / 0

def halve_all(numbers):
    return [halve(number) for number in numbers]

def read(text):
    return json.loads(text)

def unwritten(*_):
    raise NotImplementedError

def talkative():
    raise ValueError("first line\\nsecond line\\nthird line")

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute():
    raise Mute

def apply(fn, value):
    return fn(value)
""",
)
halve, read, unwritten = LEARNER["halve"], LEARNER["read"], LEARNER["unwritten"]
