"""Trusted functions for `checks.beside`: they run next to a learner's code and report what it does.

Each takes a callable and its arguments and returns plain observations, never a verdict.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any


def operator_count(fn: Callable[..., Any], *args: Any) -> int:
    """How many operators torch dispatches while `fn(*args)` runs.

    The count of vectorized code does not depend on the number of tokens; that of a loop does.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        count = 0

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            """Torch asks this of a mode; False saves importing the compiler (about 4 s), which is not used here."""
            return False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += 1
            return func(*args, **(kwargs or {}))

    with Counter() as counter:
        fn(*args)
    return counter.count


def gradients(fn: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """The gradients of `sum(output * cos(index))` with respect to each tensor argument that requires one.

    The weights `cos(0), cos(1), ...` keep the gradient from being zero by symmetry. `output` is `fn(*args)`,
    or its first item. A tensor argument that the output does not depend on gives None.
    """
    import torch

    leaves = [a.detach().clone().requires_grad_() if _wants_gradient(a) else a for a in args]
    result = fn(*leaves)
    output = result[0] if isinstance(result, tuple | list) else result
    weights = torch.arange(output.numel(), dtype=output.dtype, device=output.device).cos().reshape(output.shape)
    wanted = [a for a in leaves if _wants_gradient(a)]
    if not output.requires_grad:
        return tuple(None for _ in wanted)
    return torch.autograd.grad((output * weights).sum(), wanted, allow_unused=True)


def _wants_gradient(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.requires_grad


def arguments_after(fn: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """The tensor arguments as they are after `fn(*args)`: they should not have changed."""
    import torch

    copies = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in args]
    fn(*copies)
    return tuple(a for a in copies if isinstance(a, torch.Tensor))


def devices_away(fn: Callable[..., Any], *args: Any) -> list[str]:
    """The devices of the tensors that `fn(*args)` gives when its tensors and modules lie on torch's meta device.

    Tensors have no numbers there, and meet no tensor of the CPU: code that makes one on the way fails as it would on
    a GPU. A result that the code copies to the CPU counts as "cpu".
    """
    try:
        return list(_devices(fn(*_away(args))))
    except NotImplementedError:  # what torch says to such a copy
        return ["cpu"]


def _away(value: Any) -> Any:
    import torch

    if isinstance(value, list | tuple):
        return type(value)(_away(item) for item in value)
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).to("meta")
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def _devices(value: Any) -> Iterator[str]:
    import torch

    if isinstance(value, list | tuple):
        for item in value:
            yield from _devices(item)
    elif isinstance(value, torch.Tensor):
        yield str(value.device)


def calls_among(
    names: Sequence[str],
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> list[str]:
    """Which of the named functions or classes (dotted names) run during `fn(*args, **kwargs)`, however imported.

    Functions written in Python, builtin functions and all of torch's are seen; NumPy's ufuncs are not. A library that
    is not imported yet is imported only if `fn` does it: what stays unknown was not called.

    Raises
    ------
    ValueError
        for a name that does not exist.
    """
    late = [name for name in names if not _imported(name)]
    targets = [(name, part) for name in names if name not in late for part in _callables(_resolve(name))]
    python = [(name, inspect.unwrap(part)) for name, part in targets if hasattr(inspect.unwrap(part), "__code__")]
    by_id = {id(part): name for name, part in targets}
    called: set[str] = set()
    everything: dict[int, Any] = {}  # the values keep what is called alive: no other object gets its number

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            called.update(name for name, part in python if part.__code__ is frame.f_code and _same_closure(part, frame))
        elif event == "c_call" and id(arg) in by_id:
            called.add(by_id[id(arg)])
        if late and event in ("call", "c_call"):
            ran = frame.f_code if event == "call" else arg
            everything[id(ran)] = ran

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with _torch_watch(by_id, called):
            fn(*args, **(kwargs or {}))
    finally:
        sys.setprofile(before)
    for name in filter(_imported, late):
        parts = [inspect.unwrap(part) for part in _callables(_resolve(name))]
        if any(id(getattr(part, "__code__", part)) in everything for part in parts):
            called.add(name)
    return [name for name in names if name in called]


def _imported(name: str) -> bool:
    """Whether the module of a dotted name is imported; also where there is no such module."""
    parts = name.split(".")
    for cut in range(1, len(parts)):
        path = ".".join(parts[:cut])
        if path not in sys.modules:
            try:
                return importlib.util.find_spec(path) is None
            except ModuleNotFoundError:  # the part before is no package
                return True
    return True


def _same_closure(function: Any, frame: FrameType) -> bool:
    """Whether a frame runs this very function: decorated functions share their wrapper's code."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return all(frame.f_locals.get(name) is cell.cell_contents for name, cell in cells)


def _torch_watch(by_id: Mapping[int, str], called: set[str]) -> AbstractContextManager[Any]:
    """Torch's own view of the functions that are called, also from C (`map`, `functools.partial`)."""
    if "torch" not in sys.modules:
        return nullcontext()
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if id(func) in by_id:
                called.add(by_id[id(func)])
            return func(*args, **(kwargs or {}))

    return Watch()


def _resolve(name: str) -> Any:
    """`torch.nn.functional.softmax` -> the function."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            target = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        try:
            for part in parts[cut:]:
                target = getattr(target, part)
        except AttributeError:
            break
        return target
    raise ValueError(f"there is no {name}")


def _callables(target: Any) -> Iterator[Any]:
    """The functions that run when a function is called or a class is used."""
    if isinstance(target, type):
        for method in ("__init__", "forward", "__call__"):
            if method in vars(target):
                yield vars(target)[method]
    else:
        yield target
