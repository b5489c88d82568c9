"""What handles refuse, what `beside` is for, and what happens when a process ends or lies."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from autograder.engine.handles import GoneError
from autograder.execution.warm_process import WarmProcess
from shared import checks, observe

from ...learners import Living, by_value, living
from .net import batch

by_value(__name__)


# what handles cannot do


class Counting(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


REFUSED: dict[str, Callable[[Any], Any]] = {
    "equality": lambda h: h == 1,
    "equality from the other side": lambda h: 1 == h,  # noqa: SIM300
    "inequality": lambda h: h != 1,
    "order": lambda h: h < 1,
    "truth": lambda h: not h,
    "condition": lambda h: 1 if h else 2,
    "assertion": lambda h: h and 1,
    "set": lambda h: setattr(h, "x", 1),
    "delete": lambda h: delattr(h, "x"),
    "set an item": lambda h: operator.setitem(h, 0, 1),
    "add": lambda h: h + 1,
    "tensor plus handle": lambda h: torch.ones(1) + h,
    "matrix product": lambda h: h @ torch.ones(1),
    "negative": lambda h: -h,
    "torch function": lambda h: torch.sum(h),
    "torch module": lambda h: torch.nn.Linear(1, 1)(h),
    "pickle": lambda h: pickle.dumps(h),
    "shallow copy": lambda h: copy.copy(h),
    "subclass": lambda h: type("Sub", (h,), {}),
    "instance of": lambda h: isinstance(1, h),
    "vmap": lambda h: torch.vmap(h)(torch.ones(2, 3)),
    "functional gradient": lambda h: torch.func.grad(lambda x: h(x).sum())(torch.ones(3)),
    "counting": lambda h: under(Counting(), h),
    "counting operations": lambda h: under(FlopCounterMode(display=False), h),
    "autocast": lambda h: under(torch.autocast("cpu"), h),
    "default device": lambda h: under(torch.device("meta"), h),
}


def under(mode: Any, handle: Any) -> Any:
    with mode:
        return handle(torch.ones(3))


@pytest.mark.parametrize("how", REFUSED)
def test_what_handles_cannot_do_is_refused(make: Callable[..., Any], how: str) -> None:
    fn = make("def fn(x): return x * 2", "fn")
    with pytest.raises((TypeError, RuntimeError, AttributeError)):
        REFUSED[how](fn)


def test_a_refusal_names_the_way_out(make: Callable[..., Any]) -> None:
    fn = make("def fn(x): return x * 2", "fn")
    for action in ("equality", "truth", "set", "torch function", "pickle", "autocast"):
        with pytest.raises(TypeError, match=r"cannot be done through a handle: do it in a function for checks\.beside"):
            REFUSED[action](fn)


# beside


def apply(fn: Any, *args: Any) -> Any:
    return fn(*args)


class Recorder:
    def __init__(self, fn: Any) -> None:
        self.seen: list[Any] = []
        self.fn = fn

    def __call__(self, x: Any) -> Any:
        self.seen.append(float(x))
        return self.fn(x)


def test_beside_runs_a_function_of_the_test_next_to_the_learners(make: Callable[..., Any]) -> None:
    fn = make("def fn(x):\n    x += 1\n    return x", "fn")

    def changed(fn: Any, x: Any) -> Any:
        before = x.clone()
        fn(x)
        return torch.equal(before, x), x

    same, after = checks.beside(changed, fn, torch.zeros(2))
    assert same is False
    assert after.tolist() == [1, 1]


def test_beside_finds_handles_inside_containers(make: Callable[..., Any]) -> None:
    fn = make("def fn(x): return x + 1", "fn")
    assert checks.beside(lambda given: given["fns"][0][0](1), {"fns": [(fn,)]}) == 2
    assert checks.beside(apply, fn, 3) == 4
    assert checks.beside(lambda x, own: own(x), 5, own=fn) == 6


def test_beside_takes_classes_and_functions_of_the_test(make: Callable[..., Any]) -> None:
    fn = make("def fn(x): return x + 1", "fn")

    def record(fn: Any, values: Any) -> Any:
        recorder = Recorder(fn)
        return [recorder(value) for value in values], recorder.seen

    assert checks.beside(record, fn, [1, 2]) == ([2, 3], [1.0, 2.0])


def test_hooks_with_closures_work_beside(net: Any) -> None:
    def shapes(net: Any, x: Any) -> Any:
        seen = []
        for module in net.children():
            module.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
        net(x)
        return seen

    assert checks.beside(shapes, net, batch()) == [(5, 4), (5, 4), (5, 4), (5, 2)]


def test_edits_beside_reach_the_learners_object(net: Any) -> None:
    def zero(net: Any) -> None:
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()

    checks.beside(zero, net)
    assert all(not p.detach().any() for p in net.parameters())
    net.eval()
    assert net(batch()).tolist() == [[0.0, 1.0]] * 5


@pytest.mark.parametrize("what", ["object", "handle", "function", "inside a list"])
def test_beside_brings_back_plain_data_alone(make: Callable[..., Any], what: str) -> None:
    fn = make("class Thing: pass\ndef fn(x): return Thing()", "fn")
    result: dict[str, Callable[[Any], Any]] = {
        "object": lambda fn: fn(1),
        "handle": lambda fn: fn,
        "function": lambda fn: lambda: 1,
        "inside a list": lambda fn: [1, {"a": fn(1)}],
    }
    with pytest.raises(TypeError):
        checks.beside(result[what], fn)


def test_beside_brings_tensors_without_a_graph(net: Any) -> None:
    output = checks.beside(lambda net, x: net(x), net, batch())
    assert type(output) is torch.Tensor
    assert not output.requires_grad


def test_the_observations_of_the_helper_package_work(make: Callable[..., Any]) -> None:
    fn = make("import torch\ndef fn(x): return torch.softmax(x @ x.T, -1)", "fn")
    x = batch().requires_grad_()
    (gradient,) = checks.beside(observe.gradients, fn, x)
    (expected,) = observe.gradients(lambda x: torch.softmax(x @ x.T, -1), x)
    assert torch.allclose(gradient, expected, rtol=1e-5)
    assert checks.beside(observe.operator_count, fn, batch()) == observe.operator_count(
        lambda x: torch.softmax(x @ x.T, -1), batch()
    )
    assert checks.beside(observe.calls_among, ["torch.softmax"], fn, [batch()]) == ["torch.softmax"]
    with pytest.raises(checks.CheckFailure, match="a library call does the work"):
        checks.forbidden(["torch.softmax"], fn, batch())
    (after,) = checks.beside(observe.arguments_after, fn, batch())
    assert torch.equal(after, batch())


# the end of a process


def test_a_process_that_ends_is_gone_and_no_test_can_swallow_that(make: Callable[..., Any], one: Living) -> None:
    fn = make("import os\ndef fn(): os._exit(3)", "fn")

    def swallow() -> str:
        try:
            fn()
        except Exception:
            return "swallowed"
        return "nothing"

    with pytest.raises(GoneError) as gone:
        swallow()
    assert gone.value.why == ""
    assert not isinstance(gone.value, Exception)
    assert one.end().code == 3


def test_handles_of_a_process_that_ended_say_so(make: Callable[..., Any], one: Living) -> None:
    fn = make("import os\ndef fn(stop=False):\n    if stop: os._exit(3)", "fn")
    with pytest.raises(GoneError):
        fn(stop=True)
    for use in (fn, lambda: fn.size, lambda: len(fn), lambda: list(fn), lambda: checks.beside(apply, fn)):
        with pytest.raises(RuntimeError, match="an object of a process that has ended: make it in this test cell"):
            use()


def test_a_handle_of_another_process_is_refused(warm: WarmProcess, make: Callable[..., Any]) -> None:
    apply_to = make("def apply_to(fn): return fn()", "apply_to")
    with living(warm, isolate=warm._sandboxed, memory_gib=2) as other:
        other.define("def fn(): return 5")
        stranger = other.learner.names(["fn"])["fn"]
        with pytest.raises(RuntimeError, match="an object of a process that has ended"):
            apply_to(stranger)


FORGED = {
    "a reply to nothing": "wire.pack([10**6, 'gave', 1])",
    "no list": "wire.pack('gave')",
    "bytes": "b'\\xff' * 40",
    "an unknown word": "wire.pack([number, 'won', 1])",
    "an error of numbers": "wire.pack([number, 'raised', {'base': 1, 'name': 2, 'text': 3, 'where': 4}])",
    "an unknown handle": "wire.pack([number, 'gave', 1], lambda p: None)[:4] + b'\\x93'",
    "a number that is true": "wire.pack([True, 'gave', 1])",
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_replies_are_tampering(make: Callable[..., Any], what: str) -> None:
    source = f"""
import gc
from autograder.engine.guest import learner_process, wire
def forge(message, objects, shell):
    number = learner_process._Reader(message, objects).load()[0]
    return {FORGED[what]}
def fn(): learner_process._reply = forge
"""
    fn = make(source, "fn")
    fn()
    with pytest.raises(GoneError) as gone:
        fn()
    assert gone.value.why == "TAMPERED"


@pytest.mark.parametrize("base", ["eval", "print", "__import__", "GoneError", "object", "type", "Warning", "__doc__"])
def test_a_forged_error_is_an_error_and_nothing_else(make: Callable[..., Any], base: str) -> None:
    fields = {"base": base, "name": base, "text": "x", "where": "", "kind": "", "subject": ""}
    source = f"""
from autograder.engine.guest import learner_process, wire
def forge(message, objects, shell):
    return wire.pack([learner_process._Reader(message, objects).load()[0], 'raised', {fields}])
def fn(): learner_process._reply = forge
"""
    fn = make(source, "fn")
    fn()
    with pytest.raises(Exception, match=r"^x$"):
        fn()
