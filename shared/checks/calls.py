"""Which library functions run during a call: seen from Python, from torch's dispatcher, and in other threads.

Three watchers look at the same call. Python's profile function sees functions of Python and C in this thread and in
those that are started meanwhile. A torch function mode sees torch's functions that are called from C. Torch's own
trace of operators sees what is computed, in all threads, however it was called: through `torch.ops`, a compiled
graph, a pointer to a C function. Means to get out of their sight are reported as well. All of this runs next to a
learner's code, which can do more than hide: what is reported takes points away and never gives any.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

LIBRARIES = tuple({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "<frozen", str(Path(__file__).parent)})
"""Where code lies that is not a learner's."""
EVASIONS = (
    "sys.setprofile",
    "sys.getprofile",
    "sys._getframe",
    "sys._current_frames",
    "gc.get_objects",
    "gc.get_referrers",
    "os.fork",
    "os.posix_spawn",
    "_posixsubprocess.fork_exec",
    "_thread.start_new_thread",
)
"""What a learner's code calls to switch a watcher off, to find out whether there is one, or to compute elsewhere."""
ELSEWHERE = frozenset({"os.fork", "os.posix_spawn", "_posixsubprocess.fork_exec"})
"""Those that count when a library calls them, too: it does so for the learner."""
KERNELS: Mapping[str, tuple[str, ...]] = {
    "torch.nn.functional.scaled_dot_product_attention": ("_scaled_dot_product_", "scaled_dot_product_attention"),
    "torch.nn.functional.multi_head_attention_forward": ("_native_multi_head_attention",),
    "torch.nn.MultiheadAttention": ("_native_multi_head_attention",),
    "torch.nn.TransformerEncoderLayer": ("_transformer_encoder_layer_fwd",),
}
"""Operators below which a function or class does its work: beginnings of their names, wherever they are called."""


def calls_among(
    names: Sequence[str],
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> list[str]:
    """Which of the named functions or classes (dotted names) run during `fn(*args, **kwargs)`, however imported.

    Functions written in Python, builtin functions and all of torch's are seen; NumPy's ufuncs are not. A library that
    is not imported yet is imported only if `fn` does it: what stays unknown was not called. Behind them come the
    `EVASIONS` that the learner's code used meanwhile.

    Raises
    ------
    ValueError
        for a name that does not exist.
    """
    late = [name for name in names if not _imported(name)]
    targets = [(name, part) for name in names if name not in late for part in _callables(_resolve(name))]
    python = [(name, inspect.unwrap(part)) for name, part in targets if hasattr(inspect.unwrap(part), "__code__")]
    by_id = {id(part): name for name, part in targets}
    evasions = {id(_resolve(name)): name for name in EVASIONS if _exists(name)}
    called: set[str] = set()
    everything: dict[int, Any] = {}  # the values keep what is called alive: no other object gets its number

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            called.update(name for name, part in python if part.__code__ is frame.f_code and _same_closure(part, frame))
        elif event == "c_call" and id(arg) in by_id:
            called.add(by_id[id(arg)])
        elif event == "c_call" and id(arg) in evasions:
            name = evasions[id(arg)]
            if name in ELSEWHERE or not frame.f_code.co_filename.startswith(LIBRARIES):
                called.add(name)
        if late and event in ("call", "c_call"):
            ran = frame.f_code if event == "call" else arg
            everything[id(ran)] = ran

    with _torch_watch(by_id, called), _operators(names, called), _profiled(watch, called):
        fn(*args, **(kwargs or {}))
    for name in filter(_imported, late):
        parts = [inspect.unwrap(part) for part in _callables(_resolve(name))]
        if any(id(getattr(part, "__code__", part)) in everything for part in parts):
            called.add(name)
    return [name for name in (*names, *EVASIONS) if name in called]


@contextlib.contextmanager
def _profiled(watch: Any, called: set[str]) -> Iterator[None]:
    """A profile function for this thread and those that it starts. One that is gone at the end was switched off."""
    before, before_threads = sys.getprofile(), threading.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        left = sys.getprofile()
        sys.setprofile(before)
        threading.setprofile(before_threads)
        if left is not watch:
            called.add("sys.setprofile")


@contextlib.contextmanager
def _operators(names: Sequence[str], called: set[str]) -> Iterator[None]:
    """Torch's trace of operators, of all threads: a named function's own operator where nothing of torch's calls it,
    and the `KERNELS` wherever they run."""
    wanted = {name: name.rpartition(".")[2] for name in names if name.startswith("torch.") and _is_operator(name)}
    if "torch" not in sys.modules or not (wanted or any(name in KERNELS for name in names)):
        yield
        return
    from torch.profiler import ExecutionTraceObserver

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "operators.json")
        observer = ExecutionTraceObserver()
        with _silent():
            observer.register_callback(str(path))
            observer.start()
        try:
            yield
        finally:
            with _silent():
                observer.stop()
                observer.unregister_callback()
            nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
            own = {node["id"]: node["name"].removeprefix("aten::") for node in nodes if node["name"][:6] == "aten::"}
            first = {own[node["id"]] for node in nodes if node["id"] in own and node["ctrl_deps"] not in own}
            called.update(name for name, operator in wanted.items() if operator in first)
            every = tuple(own.values())
            called.update(n for n in names if any(one.startswith(KERNELS.get(n, ())) for one in every))


def _is_operator(name: str) -> bool:
    torch: Any = sys.modules.get("torch")
    if torch is None or isinstance(_resolve(name), type):
        return False
    return hasattr(torch.ops.aten, name.rpartition(".")[2])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """No words on standard error, which plain nbgrader takes for a failure: torch logs that a trace begins and ends."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _exists(name: str) -> bool:
    try:
        _resolve(name)
    except ValueError:  # another system, or another version of Python
        return False
    return True


def _imported(name: str) -> bool:
    """Whether the module of a dotted name is imported; also where there is no such module."""
    parts = name.split(".")
    for cut in range(1, len(parts)):
        path = ".".join(parts[:cut])
        if path not in sys.modules:
            try:
                return importlib.util.find_spec(path) is None
            except ModuleNotFoundError:  # the part before is not a package
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
