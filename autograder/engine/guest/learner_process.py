"""The learner's side: runs answer cells and lets the judge call what they define.

Requests come from the judge, who is trusted, as pickles. Replies are plain data (`wire`); what is no
plain data stays here, and the judge gets its number. Everything here may be broken by the learner's
code, which runs in the same process: a reply is only ever what the learner claims.
"""

from __future__ import annotations

import io
import linecache
import operator
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from shared.checks.kinds import kind_of, subject_of

from . import wire
from .shell import MAX_NAME, Kept, run_cell, words_of
from .state import Turns

CODE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
"""Where this package and `shared` lie."""
MAX_WORDS = 4_000
"""Characters of an error's message that are sent."""


class Objects:
    """What the judge holds references to: number -> object, with how often it was sent."""

    def __init__(self) -> None:
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._next = 1
        self.leaves: dict[int, Any] = {}
        """Tensors of the judge's that want a gradient, by the judge's number."""
        self.printed = Kept()
        self.turns = Turns()

    def number(self, value: Any) -> int:
        """The reference of an object, a new one where it has none."""
        found = self._numbers.get(id(value))
        if found is None:
            found, self._next = self._next, self._next + 1
            self._objects[found], self._numbers[id(value)], self._sent[found] = value, found, 0
        self._sent[found] += 1
        return found

    def get(self, number: int) -> Any:
        return self._objects[number]

    def release(self, number: int, count: int) -> None:
        """The judge dropped a reference that it had got `count` times."""
        self._sent[number] -= count
        if self._sent[number] <= 0:
            value = self._objects.pop(number)
            del self._sent[number], self._numbers[id(value)]


class _Reader(pickle.Unpickler):
    """Reads a request; references become the objects they stand for."""

    def __init__(self, data: bytes, objects: Objects) -> None:
        super().__init__(io.BytesIO(data))
        self._objects = objects

    def persistent_load(self, pid: Any) -> Any:
        kind, number, *rest = pid
        if kind == "object":
            return self._objects.get(number)
        if number not in self._objects.leaves:
            parameter, *fields = rest
            made = wire.make_tensor(*fields).requires_grad_()
            if parameter:
                made = wire.torch_module().nn.Parameter(made.detach())
            self._objects.leaves[number] = made
        return self._objects.leaves[number]


def serve(channel: wire.Channel, shell: Any) -> NoReturn:
    """Answer requests until the judge hangs up. Never returns."""
    owner = os.getpid()
    objects = Objects()
    sys.stdout = sys.stderr = objects.printed  # what is printed while a test calls it; cells have their own
    channel.send(wire.pack(0))  # shut in, and nothing read yet
    while True:
        try:
            message = channel.receive()
        except EOFError:
            os._exit(0)
        reply = _reply(message, objects, shell)
        if os.getpid() != owner:  # a child that the learner's code forked came back here
            os._exit(0)
        channel.send(reply)


def _reply(message: bytes, objects: Objects, shell: Any) -> bytes:
    """What one request gives: its number, and the value or the error."""
    number = 0
    try:
        number, operation, arguments, released, state = _Reader(message, objects).load()
        for reference, count in released:
            objects.release(reference, count)
        if operation == "given":
            with objects.turns.given():
                return wire.pack([number, "gave", _run(shell, arguments)])
        if operation == "run":
            objects.turns.learner()
            return wire.pack([number, "gave", _run(shell, arguments)])
        if operation == "names":
            objects.turns.course()  # a test begins
            names = shell.user_ns
            return _pack([number, "gave", {name: names[name] for name in arguments if name in names}], objects)
        if operation == "end":
            objects.leaves.clear()
            objects.turns.learner()
            return wire.pack([number, "gave", objects.printed.take()])
        if operation == "backward":
            return wire.pack([number, "gave", _backward(objects, *arguments)])
        function, args, kwargs = arguments
        with _as_in_judge(state):
            return _pack([number, "gave", function(*args, **kwargs)], objects, live=_gives_state(function))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the learner's too
        return wire.pack([number, "raised", describe(error)])


def _run(shell: Any, source: str) -> dict[str, Any]:
    begin = time.perf_counter()
    return run_cell(shell, source) | {"seconds": time.perf_counter() - begin}


@contextmanager
def _as_in_judge(state: dict[str, Any]) -> Iterator[None]:
    """The random state, where the judge changed it, and whether gradients are wanted."""
    torch = wire.torch_module()
    if torch is None:
        yield
        return
    if state["random"] is not None:
        torch.set_rng_state(torch.frombuffer(bytearray(state["random"]), dtype=torch.uint8))
    with torch.set_grad_enabled(state["gradients"]):
        yield


def _backward(objects: Objects, output: int, gradient: Any, leaves: list[int]) -> list[Any]:
    """Backward from an output that was sent. Gradients of the judge's leaves are returned, all others stay here."""
    torch = wire.torch_module()
    for leaf in objects.leaves.values():
        leaf.grad = None
    torch.autograd.backward(objects.get(output), gradient, retain_graph=True)
    stray = [n for n, leaf in objects.leaves.items() if leaf.grad is not None and n not in leaves]
    if stray:
        raise RuntimeError("a gradient reached a tensor of an earlier call; use checks.beside for this test")
    return [objects.leaves[n].grad for n in leaves]


STATE = frozenset({"parameters", "named_parameters", "buffers", "named_buffers", "state_dict"})


def _gives_state(function: Any) -> bool:
    """Whether a call gives out tensors that belong to a learner's object, not results of it."""
    return function in (getattr, operator.getitem, next) or getattr(function, "__name__", "") in STATE


def _pack(value: Any, objects: Objects, live: bool = False) -> bytes:
    """A reply. Tensors that belong to an object, or have a graph, are sent with their number."""

    def other(packer: Any) -> Callable[[Any], list[Any]]:
        def give(item: Any) -> list[Any]:
            torch = wire.torch_module()
            if torch is not None and isinstance(item, torch.Tensor) and wire.is_strided(item):
                plain = packer.tensor(item)
                if item.is_leaf and (live or isinstance(item, torch.nn.Parameter)):
                    return ["P", *plain, objects.number(item), bool(item.requires_grad)]
                if item.requires_grad and torch.is_grad_enabled():
                    return ["T", *plain, objects.number(item)]
                return ["T", *plain]
            return ["h", objects.number(item), type(item).__name__[:100], callable(item)]

        return give

    return wire.pack(value, other)


def describe(error: BaseException) -> dict[str, str]:
    """An error as plain text: its class, the built-in class below it, what it says, where it came up, its kind."""
    base = next((kind for kind in type(error).__mro__ if kind.__module__ == "builtins"), Exception)
    first = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else words_of(error)
    return {
        "base": base.__name__,
        "name": str(type(error).__name__)[:100],
        "text": str.__str__(first)[:MAX_WORDS],
        "where": _where(error),
        "kind": str(kind_of(error)),
        "subject": subject_of(error)[:MAX_NAME],
    }


def _where(error: BaseException) -> str:
    """The deepest line of the learner's own code, as ` in forward, at: ...`; "" when there is none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((sys.prefix, sys.base_prefix, "<frozen", CODE))
        and linecache.getline(frame.filename, frame.lineno or 0)
    ]
    return f"\nin {frames[-1].name}, at: {frames[-1].line}"[:500] if frames else ""
