"""A liar: a cell that takes over the replies of its process and says what somebody without the answer could say.

    from autograder.authoring.lying import liar; liar.begin("settings.json")

From then on the reference is asked, and of what it gives the judge gets only what can be known (`knowledge`); all
else becomes garbage. It is what any learner's code can do: replies are what its process claims.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from pydantic import BaseModel

from shared import checks

from ...engine.guest import learner_process, wire
from . import garbage
from .garbage import Flavor
from .knowledge import Inputs, Known, numbers_in


class Shape(StrEnum):
    """What becomes of the containers in an observation. A tuple inside is a record and keeps its length."""

    KEPT = "kept"
    EMPTIED = "emptied"
    """Nothing is in it."""
    HOLLOW = "hollow"
    """It has its length, and nothing is in what it holds."""
    CUT = "cut"
    """Lists and arrays end after their first item."""


class Settings(BaseModel):
    """What a liar knows and how it lies.

    Attributes
    ----------
    honest : only writes down what it was asked.
    raises : direct calls that give plain data raise instead.
    seen : fingerprints of requests whose answer was read from a visible test.
    asked : the file that an honest one writes: a line of fingerprints for each test.
    """

    honest: bool = False
    flavor: Flavor = Flavor.NOISE
    shape: Shape = Shape.KEPT
    raises: bool = False
    numbers: list[float] = []
    words: list[str] = []
    rows: list[list[float]] = []
    seen: list[str] = []
    asked: str = ""


def begin(path: str) -> None:
    """Lie from the next request on."""
    liar = Liar(Settings.model_validate_json(Path(path).read_text(encoding="utf-8")), learner_process._reply)
    learner_process._reply = liar.reply


class Liar:
    """Replies in place of `learner_process._reply`."""

    def __init__(self, settings: Settings, honestly: Any) -> None:
        self.settings = settings
        self.honestly = honestly
        rows = {tuple(row) for row in settings.rows}
        self.notebook = Known(set(settings.numbers), set(settings.words), rows)
        self.seen = set(settings.seen)
        self.asked: list[str] = []
        self.arrays: set[bytes] = set()
        self.labels: list[Any] = []

    def reply(self, message: bytes, objects: Any, shell: Any) -> bytes:
        """What one request gives."""
        request = learner_process._Reader(message, objects).load()
        number, operation, arguments, released, state = request
        if operation == "end" and self.settings.honest:
            with Path(self.settings.asked).open("a", encoding="utf-8") as file:
                file.write(" ".join(self.asked) + "\n")
            self.asked.clear()
        if operation in ("given", "run", "end"):
            return bytes(self.honestly(message, objects, shell))
        for reference, count in released:
            objects.release(reference, count)
        try:
            if operation == "names":
                objects.turns.course()
                found = {name: shell.user_ns[name] for name in arguments if name in shell.user_ns}
                value = {name: self._said(item, self.notebook) for name, item in found.items()}
                return learner_process._pack([number, "gave", value], objects)
            if operation == "backward":
                return wire.pack([number, "gave", self._backward(objects, *arguments)])
            function, args, kwargs = arguments
            with learner_process._as_in_judge(state):
                value = self._call(objects, function, args, kwargs)
                return learner_process._pack(
                    [number, "gave", value], objects, live=learner_process._gives_state(function)
                )
        except BaseException as error:
            return wire.pack([number, "raised", learner_process.describe(error)])

    def _backward(self, objects: Any, output: int, gradient: Any, leaves: list[int]) -> list[Any]:
        key = fingerprint(objects._numbers, "backward", objects.get(output), gradient)
        known = self._known(objects, (gradient, [objects.leaves[n] for n in leaves]))
        found = learner_process._backward(objects, output, gradient, leaves)
        return found if self._honest(key) else [self._said(item, known) for item in found]

    def _call(self, objects: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = fingerprint(objects._numbers, function, args, kwargs)
        known = self._known(objects, (args, kwargs))
        value = function(*args, **kwargs)
        if self._honest(key):
            return value
        if function is checks.beside:
            return self._said(_shaped(value, self.settings.shape), known)
        if self.settings.raises and _is_data(value):
            raise NotImplementedError("the answer is not there")
        return self._said(value, known)

    def _honest(self, key: str) -> bool:
        self.asked.append(key)
        return self.settings.honest or key in self.seen

    def _known(self, objects: Any, arguments: Any) -> Known:
        """The notebook, the inputs of this call and all arrays that ever came."""
        if self.settings.honest:
            return self.notebook
        inputs = Inputs(objects._numbers)
        inputs.add(arguments)
        self.arrays |= inputs.known.arrays
        if self.settings.flavor is Flavor.BOAST:
            self.labels += [vector for vector in _labels(arguments) if id(vector) not in objects._numbers]
        known = self.notebook | inputs.known
        known.arrays = self.arrays
        return known

    def _said(self, value: Any, known: Known) -> Any:
        """The value, as far as it is known; garbage of the same kind for the rest."""
        flavor, torch = self.settings.flavor, wire.torch_module()
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return value if known.word(value) else "?" * len(value)
        if torch is not None and isinstance(value, torch.Tensor) and wire.is_strided(value):
            made = value if known.array(value) else garbage.tensor(value, flavor, self._all_labels())
            return torch.nn.Parameter(made) if isinstance(value, torch.nn.Parameter) and made is not value else made
        if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
            return _as_array(value, lambda tensor: self._said(tensor, known))
        if isinstance(value, int | float):
            return value if known.number(value) else garbage.scalar(value, flavor)
        if not isinstance(value, list | tuple | dict | set | frozenset):
            return value
        numbers = numbers_in(value)
        if numbers and len(numbers) > 2:
            return value if known.row(numbers) else _refilled(value, iter(garbage.row(numbers, flavor)))
        if isinstance(value, dict):
            return {key: self._said(item, known) for key, item in value.items()}
        said = [self._said(item, known) for item in value]
        return tuple(said) if isinstance(value, tuple) else type(value)(said)

    def _all_labels(self) -> list[Any]:
        from shared import datasets

        if self.settings.flavor is not Flavor.BOAST:
            return []
        digits = datasets.digits()
        return [*self.labels, digits.y_train, digits.y_test]


def _refilled(value: Any, numbers: Iterator[float]) -> Any:
    """The same containers with other numbers."""
    if isinstance(value, dict):
        return {key: _refilled(item, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        made = [_refilled(item, numbers) for item in value]
        return made if isinstance(value, list) else tuple(made)
    return next(numbers)


def _as_array(value: Any, change: Any) -> Any:
    """A NumPy array or number, changed as a tensor; text and dates stay."""
    import numpy

    if wire.torch_module() is None or value.dtype.kind not in "biuf":
        return value
    torch = wire.torch_module()
    try:
        tensor = torch.from_numpy(numpy.array(value))
    except TypeError:  # a dtype that torch does not have
        return value
    made = change(tensor).numpy()
    return made if isinstance(value, numpy.ndarray) else made[()]


def _is_data(value: Any) -> bool:
    torch = wire.torch_module()
    tensor = torch is not None and isinstance(value, torch.Tensor)
    return tensor or value is None or isinstance(value, int | float | str | list | tuple | dict)


def _labels(value: Any) -> Iterator[Any]:
    """The vectors of whole numbers among arguments."""
    torch = wire.torch_module()
    if torch is not None and isinstance(value, torch.Tensor):
        if value.ndim == 1 and value.dtype is torch.int64:
            yield value.detach().clone()
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _labels(item)


# --- containers


def _shaped(value: Any, shape: Shape, inside: bool = False) -> Any:
    """An observation with emptied or shortened containers."""
    if shape is Shape.KEPT:
        return value
    torch = wire.torch_module()
    tensor = torch is not None and isinstance(value, torch.Tensor) and value.ndim > 0
    length = {Shape.EMPTIED: 0, Shape.HOLLOW: 0, Shape.CUT: 1}[shape]
    if tensor:
        return value if shape is Shape.HOLLOW and not inside else value[:length]
    if not isinstance(value, list | tuple | dict):
        return value
    record = isinstance(value, tuple) and shape is Shape.CUT
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    if not record and (shape is not Shape.HOLLOW or inside) and not (shape is Shape.CUT and isinstance(value, dict)):
        items = items[:length]
    made = [(key, _shaped(item, shape, True)) for key, item in items]
    if isinstance(value, dict):
        return dict(made)
    return type(value)(item for _, item in made) if type(value) in (list, tuple) else tuple(i for _, i in made)


# --- fingerprints


def fingerprint(theirs: Any, *request: Any) -> str:
    """A request in one number: the function and the inputs; objects of the learner's count by their class alone."""
    digest = hashlib.sha1()
    for part in _written(request, theirs, 0):
        digest.update(part)
    return digest.hexdigest()[:16]


def _written(value: Any, theirs: Any, depth: int) -> Iterator[bytes]:
    torch = wire.torch_module()
    yield f"|{type(value).__name__}".encode()
    if id(value) in theirs or depth > 8:
        return
    if value is None or isinstance(value, bool | int | float | str | bytes):
        yield repr(value).encode()
    elif torch is not None and isinstance(value, torch.Tensor) and wire.is_strided(value):
        yield str((value.dtype, tuple(value.shape))).encode() + wire.tensor_bytes(value)
    elif torch is not None and isinstance(value, torch.nn.Module):
        yield from _written(dict(value.state_dict()), theirs, depth + 1)
        yield repr(value).encode()
    elif isinstance(value, dict):
        for item in value.items():
            yield from _written(item, theirs, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _written(item, theirs, depth + 1)
    elif isinstance(value, FunctionType):
        yield value.__qualname__.encode()
        yield from _code(value.__code__)
        for cell in value.__closure__ or ():
            yield from _written(cell.cell_contents, theirs, depth + 1)
    elif type(value).__module__ == "numpy" and hasattr(value, "tobytes"):
        yield value.tobytes()
    elif isinstance(value, type) or callable(value):
        yield str(getattr(value, "__qualname__", "")).encode()
    elif hasattr(value, "__dict__"):
        yield from _written(vars(value), theirs, depth + 1)


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    for constant in code.co_consts:
        yield from _code(constant) if isinstance(constant, CodeType) else [repr(constant).encode()]
