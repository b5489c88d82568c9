"""Learner objects through handles: calls, what is kept alive, random numbers, errors."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from autograder.engine.handles import GoneError, Handle
from autograder.execution.warm_process import WarmProcess
from shared import checks

from ...learners import Living, by_value, living
from .net import batch, held

by_value(__name__)


# calls, attributes, iteration


def test_a_function_is_called_with_plain_values_and_gives_plain_values(make: Callable[..., Any]) -> None:
    fn = make("def fn(a, *rest, scale=1, **more): return {'a': a, 'rest': rest, 'scale': scale, 'more': more}", "fn")
    assert type(fn) is Handle
    given = fn([1, (2.5, None)], "x", b"y", scale=2, z={3})
    assert given == {"a": [1, (2.5, None)], "rest": ("x", b"y"), "scale": 2, "more": {"z": {3}}}


def test_plain_names_arrive_as_values(make: Callable[..., Any], one: Living) -> None:
    one.define("number, text = 5, 'five'")
    assert one.learner.names(["number", "text", "missing"]) == {"number": 5, "text": "five"}


def test_tensors_go_and_come(make: Callable[..., Any]) -> None:
    fn = make("def fn(a, b): return a + b, a.dtype, tuple(a.shape), a.is_contiguous()", "fn")
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.complex64):
        a = torch.arange(6).reshape(2, 3).to(dtype).T
        total, kind, shape, _ = fn(a, a)
        assert (kind, shape) == (dtype, (3, 2))
        assert torch.equal(total, a + a)


def test_an_argument_is_a_copy(make: Callable[..., Any]) -> None:
    fn = make("def fn(x, items):\n    x.zero_()\n    items.append(1)\n    return x", "fn")
    x, items = torch.ones(2), [0]
    assert fn(x, items).tolist() == [0, 0]
    assert x.tolist() == [1, 1]
    assert items == [0]


def test_one_object_is_one_handle(net: Any) -> None:
    assert net.eval() is net
    assert net.train() is net
    assert net.to(torch.float64) is net
    assert net.first is net.first
    assert net.first is not net.last
    assert net.forward is not None


def test_attributes_are_read(make: Callable[..., Any]) -> None:
    thing = make(
        "class Thing:\n    'Words.'\n    size = 3\n    parts = ['a']\n    def method(self): return self.size", "Thing"
    )
    assert (thing.__name__, thing.__doc__, thing.size, thing.parts) == ("Thing", "Words.", 3, ["a"])
    assert thing().method() == 3
    with pytest.raises(AttributeError, match="weight"):
        _ = thing.weight
    assert not hasattr(thing, "weight")
    with pytest.raises(AttributeError, match="cannot be read through a handle"):
        _ = thing.__dict__


def test_items_length_membership_and_numbers(make: Callable[..., Any]) -> None:
    source = """
class Bag:
    def __getitem__(self, index): return ('item', index)
    def __len__(self): return 7
    def __contains__(self, item): return item == 'in'
    def __float__(self): return 0.5
    def __int__(self): return 4
    def __repr__(self): return 'a bag'
bag = Bag()
"""
    bag = make(source, "bag")
    assert (bag[2], bag["x"], len(bag), float(bag), int(bag), repr(bag)) == (
        ("item", 2),
        ("item", "x"),
        7,
        0.5,
        4,
        "a bag",
    )
    assert "in" in bag
    assert "out" not in bag


def test_a_representation_is_bounded_and_never_fails(make: Callable[..., Any]) -> None:
    source = "class Long:\n    def __repr__(self): return 'x' * 10**6\nclass Odd:\n    def __repr__(self): 1 / 0\n"
    assert repr(make(source + "long = Long()", "long")) == "x" * 1000
    assert repr(make(source + "odd = Odd()", "odd")) == "<Odd>"


def test_iteration_is_lazy(make: Callable[..., Any]) -> None:
    fn = make("def fn(n):\n    for i in range(n): yield i, [i]", "fn")
    assert list(fn(3)) == [(0, [0]), (1, [1]), (2, [2])]
    generator = fn(2)
    assert next(generator) == (0, [0])
    assert next(generator) == (1, [1])
    with pytest.raises(StopIteration):
        next(generator)
    assert list(fn(0)) == []


def test_an_endless_iterator_ends_with_the_time_of_the_test(make: Callable[..., Any], one: Living) -> None:
    endless = make("import itertools\nendless = itertools.count()", "endless")
    assert [number for number, _ in zip(endless, range(3), strict=False)] == [0, 1, 2]
    one.learner.channel.deadline = time.monotonic() + 0.3
    with pytest.raises(GoneError, match="TIMEOUT"):
        for _ in endless:
            pass


def test_modules_contain_modules(net: Any) -> None:
    assert [name for name, _ in net.named_children()] == ["first", "norm", "drop", "last"]
    assert len(list(net.modules())) == 5
    assert [child is net.first for child in net.children()] == [True, False, False, False]


def test_a_deep_copy_is_another_object(net: Any) -> None:
    other = copy.deepcopy(net)
    assert other is not net
    assert torch.equal(other.first.weight, net.first.weight)
    other.load_state_dict({name: value + 1 for name, value in other.state_dict().items()})
    assert not torch.equal(other.first.weight, net.first.weight)


def test_a_handle_can_be_given_back(make: Callable[..., Any]) -> None:
    twice = make("def one(x): return x + 1\ndef twice(fn, x): return fn(fn(x))\ndef same(a, b): return a is b", "twice")
    one_more = make("", "one")
    assert twice(one_more, 3) == 5
    assert make("", "same")(one_more, one_more) is True


def test_library_objects_and_functions_of_the_test_can_be_given(make: Callable[..., Any]) -> None:
    fn = make("import torch\ndef fn(layer, f, x): return f(layer(x)), isinstance(layer, torch.nn.Linear)", "fn")
    layer = torch.nn.Linear(3, 2)
    offset = 10
    value, is_layer = fn(layer, lambda y: y + offset, batch())
    assert is_layer is True
    assert torch.allclose(value, layer(batch()) + 10)


# what is kept alive


def test_objects_are_released(make: Callable[..., Any], one: Living) -> None:
    fn = make("class Thing: pass\ndef fn(): return Thing()", "fn")
    before = held(one)
    things = [fn() for _ in range(5)]
    assert held(one) == before + 5
    del things
    assert held(one) == before


def test_results_with_a_graph_are_released(net: Any, one: Living) -> None:
    before = held(one)
    outputs = [net(batch()) for _ in range(5)]
    assert held(one) == before + 5
    del outputs
    one.learner.end_of_test()
    assert held(one) == before


def test_an_object_that_was_released_and_sent_again_lives(make: Callable[..., Any], one: Living) -> None:
    get = make("class Thing:\n    size = 3\nkept = Thing()\ndef get(): return kept", "get")
    for _ in range(3):
        first = get()
        again = get()
        assert first is again
        del first
        assert again.size == 3
        del again
    thing = get()
    assert held(one) == 2
    assert thing.size == 3


# random numbers


def test_the_judges_seed_is_the_learners(make: Callable[..., Any]) -> None:
    draw = make("import torch\ndef draw(): return torch.rand(3)", "draw")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = draw()
    second = draw()
    torch.manual_seed(5)
    again = draw()
    assert first.tolist() == again.tolist() == expected.tolist()
    assert second.tolist() != first.tolist()


def test_the_learner_cannot_set_the_judges_random_numbers(make: Callable[..., Any]) -> None:
    honest = make("def honest(): pass", "honest")
    seeding = make("import torch\ndef seeding():\n    torch.manual_seed(1)\n    torch.rand(9)", "seeding")
    draws = []
    for fn in (honest, seeding):
        torch.manual_seed(7)
        fn()
        draws.append(torch.rand(4).tolist())
    assert draws[0] == draws[1]


def test_every_process_starts_with_the_same_random_numbers(warm: WarmProcess) -> None:
    source = "import random, numpy, torch\n"
    source += "def draw(): return random.random(), float(numpy.random.rand()), torch.rand(2).tolist()"
    draws = []
    for _ in range(2):
        with living(warm, isolate=warm._sandboxed, memory_gib=2) as one:
            one.define(source + "\nfirst = draw()")
            draws.append(one.learner.names(["first"])["first"])
    assert draws[0] == draws[1]


# errors


@pytest.mark.parametrize(
    ("raising", "base", "name", "text"),
    [
        ("ValueError('bad')", ValueError, "ValueError", "bad"),
        ("KeyError('a')", KeyError, "KeyError", "'a'"),
        ("NotImplementedError", NotImplementedError, "NotImplementedError", ""),
        (
            "FileNotFoundError(2, 'No such file', 'x')",
            FileNotFoundError,
            "FileNotFoundError",
            "[Errno 2] No such file: 'x'",
        ),
        ("StopIteration(3)", StopIteration, "StopIteration", "3"),
        ("SystemExit(3)", SystemExit, "SystemExit", "3"),
        ("KeyboardInterrupt", KeyboardInterrupt, "KeyboardInterrupt", ""),
        ("Shape('4 is odd')", ValueError, "Shape", "4 is odd"),
        ("Bare('x')", Exception, "Bare", "x"),
        ("Mute('x')", Exception, "Mute", "x"),
        ("Mute(1, 2)", Exception, "Mute", ""),
        ("Code('x')", KeyError, "Code", "'x'"),
        (
            "UnicodeDecodeError('utf-8', b'x', 0, 1, 'why')",
            ValueError,
            "UnicodeDecodeError",
            "'utf-8' codec can't decode",
        ),
        ("UnicodeError('x')", ValueError, "UnicodeError", "x"),
        ("ExceptionGroup('many', [ValueError(1)])", Exception, "ExceptionGroup", "many (1 sub-exception)"),
        ("torch.cuda.OutOfMemoryError('full')", RuntimeError, "OutOfMemoryError", "full"),
    ],
)
def test_errors_are_the_builtin_class_below_with_their_words(
    make: Callable[..., Any], raising: str, base: type[BaseException], name: str, text: str
) -> None:
    classes = """
import torch
class Shape(ValueError): pass
class Bare(Exception): pass
class Code(KeyError): pass
class Mute(Exception):
    def __str__(self): raise RuntimeError('no words')
"""
    fn = make(f"{classes}\ndef fn(): raise {raising}", "fn")
    with pytest.raises(base) as caught:
        fn()
    assert type(caught.value).__name__ == name
    assert str(caught.value).startswith(text)
    assert f"raise {raising}" in caught.value.learner_line  # type: ignore[attr-defined]


def test_a_failed_check_names_the_learners_own_line(make: Callable[..., Any]) -> None:
    fn = make("def inner(x):\n    return x.reshape(5, 5)\n\ndef fn(x):\n    return inner(x)", "fn")

    def test() -> None:
        with checks.step("it runs"):
            fn(torch.ones(3))

    with pytest.raises(checks.CheckFailure) as failure:
        test()
    assert failure.value.check == "it runs: the code raised an error"
    assert "RuntimeError: shape '[5, 5]' is invalid" in failure.value.came
    assert "in inner, at: return x.reshape(5, 5)" in failure.value.came


def test_a_stub_is_not_written_yet(make: Callable[..., Any]) -> None:
    fn = make("def fn(x):\n    raise NotImplementedError()", "fn")

    def test() -> None:
        with checks.step("it runs"):
            fn(1)

    with pytest.raises(checks.CheckFailure, match="it runs: not written yet"):
        test()


def test_an_expected_error_is_expected(make: Callable[..., Any]) -> None:
    fn = make("class Shape(ValueError): pass\ndef fn(x):\n    if x: raise Shape('odd')", "fn")
    checks.raises(ValueError, fn, 1, name="fn(1)")
    with pytest.raises(checks.CheckFailure, match="did not raise"):
        checks.raises(ValueError, fn, 0, name="fn(0)")


def test_a_result_that_is_too_large_is_an_error(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="more than 8 MiB besides its arrays"):
        make("def fn(): return 'x' * 10**7", "fn")()
    with pytest.raises(ValueError, match="more than 120 MiB of arrays"):
        make("import torch\ndef fn(): return torch.zeros(1).expand(2**25)", "fn")()
