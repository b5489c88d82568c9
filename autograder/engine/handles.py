"""Learner objects as the judge sees them: handles whose calls cross a socket and bring plain data back.

A `Learner` is the judge's end of one learner process. What it gives for a function, a class or a module is
a `Handle`: it can be called, read and iterated; it cannot be compared, changed or computed with. Tensors
that come back are tensors: results of a call carry a graph, so that `.backward()` in the judge goes on in the
learner's process; parameters and buffers are copies that refuse to be changed.

Everything that handles cannot do raises `TypeError` and names `checks.beside`, which runs a trusted function
next to the learner's objects.
"""

from __future__ import annotations

import builtins
import copy
import io
import operator
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from shared.checks.kinds import Kind

from . import validate
from .guest import wire
from .requests import Writer, check_modes, gradients, refuse

MAX_RECEIVED = 2**30
"""Bytes that a learner's process may send while one cell is judged: the judge may keep all of it until then."""
GIVE_OBJECTS = ("call", "names")
"""Requests whose replies may hold handles, and tensors with a graph."""


class GoneError(BaseException):
    """The learner's process cannot go on. No `Exception`: a test that expects an error must not swallow it.

    `why` is "TIMEOUT", "TAMPERED" or "" (it ended); `detail` says more.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(f"{why} {detail}".strip())
        self.why = why
        self.detail = detail


class StateChangedError(TypeError):
    """A test changed its copy of a tensor of the learner's.

    `asked` says whether the test asked for such a tensor (an attribute, an item, a function for `checks.beside`), or
    called something of the learner's, which chose to return it.
    """

    def __init__(self, asked: bool) -> None:
        super().__init__(str(refuse("changing a parameter or buffer of the learner's")))
        self.asked = asked


class Handle:
    # an object of the learner's, made by `Learner` only; its docstring is that of the object

    __slots__ = ("__weakref__", "_learner", "_name", "_number", "_sent")

    def __init__(self, learner: Learner, number: int, name: str) -> None:
        for slot, value in (("_learner", learner), ("_number", number), ("_name", name), ("_sent", 0)):
            object.__setattr__(self, slot, value)

    def __del__(self) -> None:
        self._learner.released.append((self._number, self._sent))

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self._learner.call(getattr, self, "__doc__")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._learner.call(self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(f"{name} cannot be read through a handle")
        return self._learner.call(getattr, self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise refuse(f"setting {name!r}")

    def __getitem__(self, index: Any) -> Any:
        return self._learner.call(operator.getitem, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise refuse("setting an item")

    def __iter__(self) -> Iterator[Any]:
        """Lazily: an endless iterator of the learner's ends with the time of the test."""
        iterator = self._learner.call(iter, self)
        while True:
            try:
                yield self._learner.call(next, iterator)
            except StopIteration:
                return

    def __next__(self) -> Any:
        return self._learner.call(next, self)

    def __len__(self) -> int:
        return int(self._learner.call(len, self))

    def __contains__(self, item: Any) -> bool:
        return bool(self._learner.call(operator.contains, self, item))

    def __float__(self) -> float:
        return float(self._learner.call(float, self))

    def __int__(self) -> int:
        return int(self._learner.call(int, self))

    def __deepcopy__(self, memo: Any) -> Any:
        return self._learner.call(copy.deepcopy, self)

    def __repr__(self) -> str:
        try:
            return str(self._learner.call(repr, self))[:1_000]
        except Exception:
            return f"<{self._name}>"

    def __bool__(self) -> bool:
        raise refuse("a truth value")

    def __eq__(self, other: object) -> bool:
        raise refuse("a comparison")

    def __ne__(self, other: object) -> bool:
        raise refuse("a comparison")

    def __hash__(self) -> int:
        return object.__hash__(self)  # not the number: a learner could choose it to meet another key, and be compared

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise refuse("a copy")

    def __kind__(self) -> str:
        """The name of the object's class, for `checks`."""
        return str(self._name)

    def __beside__(self, run: Any, fn: Any, objects: Sequence[Any], options: dict[str, Any]) -> Any:
        """What `checks.beside` calls where one of its objects is a handle."""
        return self._learner.call(run, fn, *objects, **options)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise refuse(f"torch's {getattr(function, '__name__', 'function')}")


class Learner:
    """The judge's end of one learner process.

    Parameters
    ----------
    channel : messages to and from it; its `deadline` is the caller's to set.
    """

    def __init__(self, channel: wire.Channel) -> None:
        self.channel = channel
        self.gone: GoneError | None = None
        self.released: list[tuple[int, int]] = []
        self._handles: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
        self._count = 0
        self._random: bytes | None = None
        self._leaves: dict[int, Any] = {}
        self._sent: list[int] = []
        self._state: list[tuple[Any, int, bool, bool]] = []
        self._asked = True
        self._received = 0
        if (greeting := self._exchange(b"", ready=True)) != 0:  # sent before anything of the learner's was read
            raise self.lost("", str(greeting))

    # --- one request and its reply

    def _exchange(self, message: bytes, ready: bool = False, resolve: wire.Resolve | None = None) -> Any:
        if self.gone is not None:
            raise RuntimeError("an object of a process that has ended: make it in this test cell")
        try:
            if not ready:
                self.channel.send(message)
            reply = self.channel.receive()
            self._received += len(reply)
            if self._received > MAX_RECEIVED:
                raise wire.ProtocolError(f"more than {MAX_RECEIVED // 2**20} MiB in one cell")
            return wire.unpack(reply, resolve)
        except TimeoutError:
            raise self.lost("TIMEOUT") from None
        except wire.ProtocolError as error:
            raise self.lost("TAMPERED", str(error)) from None
        except (EOFError, OSError):
            raise self.lost("") from None

    def lost(self, why: str, detail: str = "") -> GoneError:
        """The error that says so; from now on nothing is asked any more."""
        self.gone = GoneError(why, detail)
        self.channel.close()
        return self.gone

    def ask(self, operation: str, arguments: Any) -> Any:
        """Send one request and return its value.

        Raises
        ------
        GoneError
            when the process ended, took too long or broke the rules.
        Exception
            what the learner's code raised, as the built-in class below it, with the learner's own line.
        """
        gave, value = self._reply(operation, arguments)
        if gave:
            return value
        raise self._error(value)

    def _reply(self, operation: str, arguments: Any) -> tuple[bool, Any]:
        """Send one request: whether it gave a value, and the value or the error's fields."""
        self.check_state()
        self._count += 1
        released, self.released = self.released, []
        self._sent = []
        state = {"random": self._random_state(), "gradients": gradients()}
        request = self._request((self._count, operation, arguments, released, state))
        reply = self._exchange(request, resolve=self._resolve if operation in GIVE_OBJECTS else None)
        found = validate.reply_of(reply, self._count)
        if found is None:
            raise self.lost("TAMPERED", "a reply that nobody asked for")
        return found

    def _request(self, request: Any) -> bytes:
        file = io.BytesIO()
        Writer(file, self.number_of, self.leaf).dump(request)
        return file.getvalue()

    def _error(self, fields: Any) -> BaseException:
        texts = validate.error_texts(fields)
        if texts is None:
            raise self.lost("TAMPERED", "an error without words")
        base, name, text = texts["base"], texts["name"], texts["text"]
        kind = getattr(builtins, base, None)
        odd = (UnicodeError, BaseExceptionGroup)  # made of more than words
        if not (isinstance(kind, type) and issubclass(kind, BaseException)) or issubclass(kind, odd):
            kind = ValueError if base.startswith("Unicode") else Exception
        if name != kind.__name__ and name.isidentifier():
            kind = type(name[:100], (kind,), {})
        try:
            error: BaseException = kind(text)
        except TypeError:  # one that wants more than a text
            error = Exception(text)
        # read by shared.checks.failures
        error.learner_line, error.subject = texts["where"], texts["subject"]  # type: ignore[attr-defined]
        error.kind = Kind(texts["kind"])  # type: ignore[attr-defined]
        return error

    # --- what the judge wants

    def run(self, source: str) -> dict[str, Any]:
        """Run a cell of the learner's; returns what `shell.run_cell` gives there, checked."""
        return self._run("run", source)

    def given(self, source: str) -> dict[str, Any]:
        """Run a cell of the course's there: what it sets holds in tests, too."""
        return self._run("given", source)

    def _run(self, operation: str, source: str) -> dict[str, Any]:
        begin, self._received = time.perf_counter(), 0
        gave, done = self._reply(operation, source)
        if not gave or not validate.is_cell_result(done):
            raise self.lost("TAMPERED", "an unknown result of a cell")
        done["seconds"] = time.perf_counter() - begin
        return dict(done)

    def names(self, wanted: Sequence[str]) -> dict[str, Any]:
        """Those of the names that exist there, as plain values or handles; not those whose value cannot be sent."""
        self._asked, self._received = True, 0
        gave, found = self._reply("names", list(wanted))
        if not gave:
            alone = [self.names([name]) for name in wanted] if len(wanted) > 1 else []
            return {name: value for one in alone for name, value in one.items()}
        if not validate.are_names(found, list(wanted)):
            raise self.lost("TAMPERED", "names that nobody asked for")
        return dict(found)

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """`function(*args, **kwargs)` in the learner's process; `function` is a handle or a trusted function."""
        check_modes()
        self._asked = type(function) is not Handle
        return self.ask("call", (function, args, kwargs))

    def end_of_test(self) -> str:
        """After each test cell: its tensors are forgotten on both sides. Returns what was printed there meanwhile.

        Raises `StateChangedError` when the test changed a copy of the learner's state.
        """
        try:
            self.check_state()
        finally:
            self._state.clear()
        self._leaves.clear()
        gave, printed = self._reply("end", None)
        if not gave or not validate.is_printed(printed):
            raise self.lost("TAMPERED", "an unknown end of a test")
        return str(printed)

    # --- values on their way back

    def _resolve(self, parts: list[Any]) -> Any:
        match parts:
            case ["h", number, name, bool()] if _is_number(number) and type(name) is str:
                handle = self._handles.get(number)
                if handle is None:
                    handle = self._handles[number] = Handle(self, number, name[:100])
                object.__setattr__(handle, "_sent", handle._sent + 1)
                return handle
            case ["T", tensor]:
                return tensor
            case ["T", tensor, number] if _is_number(number):
                from .remote_autograd import with_graph

                leaves = [self._leaves[n] for n in self._sent]
                return with_graph(self, tensor, number, list(self._sent), leaves)
            case ["P", tensor, number, bool(wants_gradient)] if _is_number(number):
                from .remote_autograd import state_tensor

                found = state_tensor(self, tensor, number, wants_gradient)
                self._state.append((found, found._version, found.requires_grad, self._asked))
                return found
        raise wire.ProtocolError("an unknown value")

    def check_state(self) -> None:
        """Copies of parameters and buffers are unchanged. Raises `StateChangedError` otherwise."""
        for tensor, version, wants_gradient, asked in self._state:
            if tensor._version != version or tensor.requires_grad != wants_gradient:
                raise StateChangedError(asked)

    def number_of(self, value: Any) -> int | None:
        """The number of a handle; None for anything else. Raises `RuntimeError` for one of another process."""
        if type(value) is not Handle:
            return None
        if value._learner is not self:
            raise RuntimeError("an object of a process that has ended: make it in this test cell")
        return int(value._number)

    def leaf(self, tensor: Any) -> int:
        """A number for a tensor of the judge's that wants a gradient."""
        for number in self._sent:
            if self._leaves[number] is tensor:
                return number
        number = len(self._leaves) + 1
        self._leaves[number] = tensor
        self._sent.append(number)
        return number

    def _random_state(self) -> bytes | None:
        """Torch's random state, when the judge set it since the last request.

        It is never brought back: the learner must not choose the judge's random numbers. One number is drawn after
        each request, so that the same seed set twice is seen as set.
        """
        torch = wire.torch_module()
        if torch is None:
            return None
        state: bytes = torch.get_rng_state().numpy().tobytes()
        changed = state != self._random
        torch.rand(())
        self._random = torch.get_rng_state().numpy().tobytes()
        return state if changed else None


def _is_number(value: Any) -> bool:
    """Whether this can be the number of an object of the learner's."""
    return type(value) is int and 0 < value < 2**63
