"""Library calls that hide: behind other doors of torch, in threads and processes, from a watcher switched off."""

from __future__ import annotations

import _thread
import ctypes
import functools
import gc
import os
import queue
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared import checks, observe
from shared.checks import calls

SDPA = "torch.nn.functional.scaled_dot_product_attention"
ENCODER = "torch.nn.TransformerEncoderLayer"
X = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
attend = F.scaled_dot_product_attention


def attending(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(x, x, x)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # these doors are on their way out, and still open
    TRACED = torch.jit.trace(lambda x: F.scaled_dot_product_attention(x, x, x), (X,))
    GRAPH = torch.fx.symbolic_trace(lambda x: F.scaled_dot_product_attention(x, x, x))
    SCRIPTED = torch.jit.script(attending)


def in_a_thread(x: torch.Tensor) -> None:
    worker = threading.Thread(target=attend, args=(x, x, x))
    worker.start()
    worker.join()


def by_a_waiting_thread(x: torch.Tensor) -> None:
    JOBS.put(lambda: attend(x, x, x))
    DONE.get()


JOBS: queue.Queue[Callable[[], Any]] = queue.Queue()
DONE: queue.Queue[Any] = queue.Queue()


def work() -> None:
    while True:
        DONE.put(JOBS.get()())


threading.Thread(target=work, daemon=True).start()


def by_a_pointer(x: torch.Tensor) -> None:
    call = ctypes.pythonapi.PyObject_CallObject
    call.restype, call.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.py_object]
    call(attend, (x, x, x))


def with_the_profiler_off(x: torch.Tensor) -> None:
    set_profile = ctypes.pythonapi.PyEval_SetProfile
    set_profile.argtypes, set_profile.restype = [ctypes.c_void_p, ctypes.py_object], None
    set_profile(None, None)
    attend(x, x, x)


HIDEOUTS: dict[str, Callable[[torch.Tensor], Any]] = {
    "torch.ops": lambda x: torch.ops.aten.scaled_dot_product_attention(x, x, x),
    "torch.ops, one overload": lambda x: torch.ops.aten.scaled_dot_product_attention.default(x, x, x),
    "torch.ops, the kernel below": lambda x: torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x),
    "torch._C._nn": lambda x: torch._C._nn.scaled_dot_product_attention(x, x, x),
    "jit.trace": lambda x: TRACED(x),
    "jit.script": lambda x: SCRIPTED(x),
    "fx": lambda x: GRAPH(x),
    "vmap": lambda x: torch.vmap(lambda one: attend(one, one, one))(x),
    "a thread": in_a_thread,
    "a thread that was there before": by_a_waiting_thread,
    "getattr": lambda x: getattr(sys.modules["torch.nn.functional"], "scaled_dot_" + "product_attention")(x, x, x),
    "functools": lambda x: functools.lru_cache(functools.partial(attend, x, x))(x),
    "ctypes": by_a_pointer,
    "the profile function switched off in C": with_the_profiler_off,
}


@pytest.mark.parametrize("name", HIDEOUTS)
def test_an_operator_is_seen_wherever_it_is_called(name: str) -> None:
    assert SDPA in observe.calls_among([SDPA], HIDEOUTS[name], [X])


def torch_only_in(fn: Callable[[], Any]) -> list[str]:
    return observe.calls_among(["numpy.einsum"], fn)


def library_in_a_thread() -> None:
    import numpy

    worker = threading.Thread(target=numpy.einsum, args=("i->", [1.0]))
    worker.start()
    worker.join()


def test_a_function_that_is_no_operator_is_seen_in_a_new_thread() -> None:
    assert torch_only_in(library_in_a_thread) == ["numpy.einsum"]


def fork() -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("name", "evade"),
    [
        ("sys.setprofile", lambda: sys.setprofile(None)),
        ("sys.getprofile", lambda: sys.getprofile() and None),
        ("sys._getframe", lambda: sys._getframe().f_back),
        ("sys._current_frames", lambda: sys._current_frames()),
        ("gc.get_objects", lambda: gc.get_objects()[:0]),
        ("gc.get_referrers", lambda: gc.get_referrers([])),
        ("os.fork", fork),
        ("_thread.start_new_thread", lambda: _thread.start_new_thread(len, ([],))),
    ],
)
def test_means_to_get_out_of_sight_are_seen(name: str, evade: Callable[[], Any]) -> None:
    assert torch_only_in(evade) == [name]


def test_a_process_that_a_library_starts_is_seen() -> None:
    import subprocess

    (name,) = torch_only_in(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
    assert name in calls.ELSEWHERE


def test_a_profile_function_that_is_gone_was_switched_off() -> None:
    set_profile = ctypes.pythonapi.PyEval_SetProfile
    set_profile.argtypes, set_profile.restype = [ctypes.c_void_p, ctypes.py_object], None
    assert torch_only_in(lambda: set_profile(None, None)) == ["sys.setprofile"]


def test_libraries_may_do_what_learners_would_do_to_hide() -> None:
    def honest() -> None:
        import collections
        import logging

        collections.namedtuple("Pair", "a b")  # looks at its caller's frame
        logging.getLogger("x").debug("nothing")
        in_a_thread_of_its_own = threading.Thread(target=len, args=([],))  # asks for the profile function
        in_a_thread_of_its_own.start()
        in_a_thread_of_its_own.join()

    assert torch_only_in(honest) == []


def test_operators_below_a_function_are_not_the_function() -> None:
    assert observe.calls_among(["torch.cat", "torch.matmul"], lambda: torch.stack([X, X])) == []
    assert observe.calls_among(["torch.cat"], lambda: torch.ops.aten.cat([X, X])) == ["torch.cat"]
    by_hand = nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1))
    assert observe.calls_among([SDPA, ENCODER], by_hand, [X]) == []


def test_a_layer_that_runs_as_one_operator_is_seen_in_a_graph() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()

    def by_the_waiting_thread() -> None:
        JOBS.put(lambda: layer(X[0]))
        DONE.get()

    with torch.no_grad():
        layer.requires_grad_(False)
        assert ENCODER in observe.calls_among([ENCODER], by_the_waiting_thread)


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    observe.calls_among([SDPA], HIDEOUTS["torch.ops"], [X])
    assert capfd.readouterr().err == ""


def test_threads_started_later_are_watched_no_more() -> None:
    before = threading.getprofile()
    observe.calls_among([SDPA], in_a_thread, [X])
    assert threading.getprofile() is before


def test_the_message_tells_hiding_from_a_shortcut() -> None:
    with pytest.raises(checks.CheckFailure, match="hides from the test") as hidden:
        checks.forbidden([SDPA], lambda: sys.getprofile() and None)
    assert hidden.value.came == "a call of sys.getprofile"
    with pytest.raises(checks.CheckFailure, match="a library call does the work"):
        checks.forbidden([SDPA], lambda: (sys.getprofile(), attend(X, X, X)))
