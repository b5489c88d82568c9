"""Learner objects through handles: they behave as in the same process, or they refuse loudly."""

from __future__ import annotations

import copy
import operator
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from autograder.engine import sandbox
from autograder.engine.handles import GoneError, Handle
from autograder.warming import WarmProcess
from shared import checks, observe

from .learners import Living, by_value, living, warmed_up

by_value(__name__)

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = torch.nn.Linear(width, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(4, 2)
        self.scale = torch.nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.arange(2.0))

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.norm(self.first(x))))) * self.scale + self.shift
"""


@pytest.fixture(scope="module", params=[False, True], ids=["unsafe", "sandbox"])
def warm(request: pytest.FixtureRequest) -> Iterator[WarmProcess]:
    if request.param:
        assert sandbox.missing() == ""
    with warmed_up(request.param, ["torch"]) as warm:
        yield warm


@pytest.fixture
def one(warm: WarmProcess) -> Iterator[Living]:
    with living(warm, isolate=warm._sandboxed, memory_gib=2) as one:
        yield one


@pytest.fixture
def make(one: Living) -> Callable[..., Any]:
    """Runs an answer cell and gives the object of the first name it defines."""

    def make(source: str, name: str) -> Any:
        one.define(source)
        return one.learner.names([name])[name]

    return make


@pytest.fixture
def net(make: Callable[..., Any]) -> Any:
    """An instance, made with seed 0."""
    built = make(NET, "Net")
    torch.manual_seed(0)
    return built()


@pytest.fixture
def twin() -> Any:
    """The same module in this process, made with seed 0."""
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    torch.manual_seed(0)
    module: torch.nn.Module = namespace["Net"]()
    return module


def batch(seed: int = 1, rows: int = 5) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def held(one: Living) -> int:
    """How many objects the learner's process keeps for the judge."""

    def count() -> int:
        import gc

        (objects,) = [found for found in gc.get_objects() if type(found).__name__ == "Objects"]
        return len(objects._objects)

    return int(one.learner.call(count))


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


# state


def test_parameters_and_buffers_are_those_of_the_module(net: Any, twin: Any) -> None:
    mine, theirs = dict(net.named_parameters()), dict(twin.named_parameters())
    assert list(mine) == list(theirs)
    for name, value in theirs.items():
        assert torch.equal(mine[name].detach(), value.detach())
        assert mine[name].requires_grad
        assert mine[name].is_leaf
    assert [name for name, _ in net.named_buffers()] == [name for name, _ in twin.named_buffers()]
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in twin.parameters())
    assert not net.shift.requires_grad
    assert net.first.weight.shape == (4, 3)


def test_state_goes_and_comes(net: Any, twin: Any) -> None:
    state = {name: torch.full_like(value, 0.5) for name, value in twin.state_dict().items()}
    net.load_state_dict(state)
    found = net.state_dict()
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert torch.equal(net.first.weight.detach(), state["first.weight"])
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict({})
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin.get_parameter("first.weight"), state["first.weight"])


EDITS: dict[str, Callable[[Any], Any]] = {
    "add_": lambda p: p.add_(1),
    "plus equals": lambda p: operator.iadd(p, 1),
    "item": lambda p: operator.setitem(p, 0, 5.0),
    "fill under no_grad": lambda p: p.fill_(0),
    "detach": lambda p: p.detach().zero_(),
    "view": lambda p: p.view(-1).zero_(),
    "flattened": lambda p: p.flatten()[0].zero_(),
    "out": lambda p: torch.add(p.detach(), 1, out=p.detach()),
    "init": lambda p: torch.nn.init.zeros_(p),
    "clip the norm": lambda p: torch.nn.utils.clip_grad_norm_([p], 0.001),
    "optimizer": lambda p: torch.optim.SGD([p], lr=0.1).step(),
    "optimizer with momentum": lambda p: torch.optim.AdamW([p], lr=0.1).step(),
    "data": lambda p: p.data.zero_(),
    "set data": lambda p: setattr(p, "data", torch.zeros(4, 3)),
    "gradient": lambda p: setattr(p, "grad", torch.zeros(4, 3)),
    "requires_grad_": lambda p: p.requires_grad_(False),
    "requires_grad": lambda p: setattr(p, "requires_grad", False),
}


@pytest.mark.parametrize("how", EDITS)
def test_an_edit_of_a_parameter_is_refused(net: Any, one: Living, how: str) -> None:
    """At the latest by the end of the test cell; the learner's parameter stays as it was."""
    net(batch()).sum().backward()
    before, gradient = net.first.weight.detach().clone(), net.first.weight.grad.clone()

    def edit() -> None:
        with torch.no_grad():
            EDITS[how](net.first.weight)
        one.learner.end_of_test()

    with pytest.raises((TypeError, AttributeError), match=r"handle|beside|no setter"):
        edit()
    one.learner._state.clear()
    assert torch.equal(net.first.weight.detach(), before)
    assert torch.equal(net.first.weight.grad, gradient)


def test_an_edit_of_a_buffer_is_refused(net: Any, one: Living) -> None:
    net.shift.add_(1)
    with pytest.raises(TypeError, match="changing a parameter or buffer"):
        one.learner.end_of_test()


def test_an_edit_is_refused_at_every_later_call_and_at_the_end(net: Any, one: Living) -> None:
    """A test that swallows the refusal is still found out."""
    with torch.no_grad():
        net.first.weight.zero_()
    for _ in range(2):
        with pytest.raises(TypeError, match="changing a parameter or buffer"):
            net(batch())
    with pytest.raises(TypeError, match="changing a parameter or buffer"):
        one.learner.end_of_test()
    one.learner.end_of_test()


def test_computing_with_a_parameter_is_no_edit(net: Any, one: Living) -> None:
    weight = net.first.weight
    total = weight * 2 + weight.detach().clone().add_(1) + weight.clone().detach().zero_()
    assert total.shape == (4, 3)
    one.learner.end_of_test()


def test_a_gradient_in_the_judge_does_not_reach_a_parameter_in_silence(net: Any) -> None:
    with pytest.raises(TypeError, match=r"checks\.beside"):
        (net.first.weight**2).sum().backward()


def test_modes_and_dtypes_change_there(net: Any, twin: Any) -> None:
    assert net.training is True
    net.eval()
    assert (net.training, net.first.training) == (False, False)
    net.double()
    assert net.first.weight.dtype is torch.float64
    x = batch().double()
    twin.eval().double()
    assert torch.allclose(net(x), twin(x), rtol=1e-12)
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


# forward and backward


def pair_of_inputs() -> tuple[Any, Any]:
    return batch().requires_grad_(), batch().requires_grad_()


def test_forward_and_backward_are_those_of_the_same_module_here(net: Any, twin: Any) -> None:
    net.eval(), twin.eval()
    x, y = pair_of_inputs()
    ours, theirs = net(x), twin(y)
    assert torch.allclose(ours, theirs, rtol=1e-6)
    assert ours.requires_grad
    weights = torch.randn(5, 2, generator=torch.Generator().manual_seed(3))
    (ours * weights).pow(2).sum().backward()
    (theirs * weights).pow(2).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, y.grad, rtol=1e-5)
    for name, parameter in twin.named_parameters():
        mine = dict(net.named_parameters())[name]
        assert torch.allclose(mine.grad, parameter.grad, rtol=1e-5, atol=1e-7), name


def test_gradients_add_up_over_two_calls_until_they_are_zeroed(net: Any, twin: Any) -> None:
    net.eval(), twin.eval()
    untouched: Any = net.last.weight.grad
    assert untouched is None
    x, y = pair_of_inputs()
    (net(x).sum() + net(x * 2).sum()).backward()
    (twin(y).sum() + twin(y * 2).sum()).backward()
    assert torch.allclose(x.grad, y.grad, rtol=1e-5)
    net(x).sum().backward()
    twin(y).sum().backward()
    assert torch.allclose(x.grad, y.grad, rtol=1e-5)
    assert torch.allclose(net.last.weight.grad, twin.get_parameter("last.weight").grad, rtol=1e-5)
    net.zero_grad()
    assert net.last.weight.grad is None
    net(x).sum().backward()
    net.last.weight.grad = None
    assert net.last.weight.grad is None


def test_the_processor_is_known_inside_as_outside(one: Living) -> None:
    """Else the same answer is slower and has other last digits than in the learner's notebook."""
    outside = torch.backends.cpu.get_cpu_capability()
    assert one.learner.call(torch.backends.cpu.get_cpu_capability) == outside


def test_a_graph_goes_on_between_two_objects(net: Any, twin: Any, make: Callable[..., Any]) -> None:
    head = make("import torch\ntorch.manual_seed(1)\nhead = torch.nn.Linear(2, 1)", "head")
    torch.manual_seed(1)
    here: Any = torch.nn.Linear(2, 1)
    here.load_state_dict({name: value.detach() for name, value in head.state_dict().items()})
    net.eval(), twin.eval()
    x, y = pair_of_inputs()
    head(net(x).relu()).sum().backward()
    here(twin(y).relu()).sum().backward()
    assert torch.allclose(x.grad, y.grad, rtol=1e-5)
    assert torch.allclose(head.weight.grad, here.weight.grad, rtol=1e-5)
    assert torch.allclose(net.scale.grad, twin.get_parameter("scale").grad, rtol=1e-5)


def test_autograd_grad_and_gradcheck(make: Callable[..., Any]) -> None:
    fn = make("def fn(x, y): return (x**3 * y).sum(-1), x.sin()", "fn")
    wrong = make("import torch\ndef wrong(x): return x.detach() * x", "wrong")
    x = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    y = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(fn(x, y)[0].sum(), x)
    assert torch.allclose(gradient, 3 * x**2 * y)
    assert torch.autograd.gradcheck(fn, (x, y))
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(wrong, (x,))


def test_one_tensor_given_twice_is_one_leaf(make: Callable[..., Any]) -> None:
    fn = make("def fn(a, b): return (a * b).sum()", "fn")
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    fn(x, x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4, 6]


def test_a_tensor_that_is_not_used_gets_no_gradient(make: Callable[..., Any]) -> None:
    fn = make("def fn(a, b): return a * 2", "fn")
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    fn(a, b).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [2, 2]
    assert b.grad is None


def test_without_gradients_there_is_no_graph(net: Any, one: Living) -> None:
    before = held(one)
    with torch.no_grad():
        output = net(batch().requires_grad_())
    assert not output.requires_grad
    assert held(one) == before
    assert net(batch()).requires_grad


def test_a_detached_result_cannot_be_differentiated(make: Callable[..., Any]) -> None:
    fn = make("def fn(x): return (x * 2).detach()", "fn")
    assert not fn(torch.ones(2, requires_grad=True)).requires_grad


def test_a_graph_that_reaches_into_an_earlier_call_is_refused(make: Callable[..., Any]) -> None:
    fn = make("kept = []\ndef fn(x):\n    kept.append(x)\n    return sum(k.sum() for k in kept)", "fn")
    first, second = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    fn(first)
    with pytest.raises(RuntimeError, match=r"an earlier call; use checks\.beside"):
        fn(second).backward()


def test_an_optimizer_of_the_learners_trains(make: Callable[..., Any]) -> None:
    source = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
def step(x, y, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)):
    loss = (model(x) - y).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
    step = make(source, "step")
    x = torch.randn(32, 2, generator=torch.Generator().manual_seed(0))
    losses = [step(x, x.sum(1, keepdim=True)) for _ in range(20)]
    assert losses[-1] < 0.1 * losses[0]


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
    fn = make("def fn(x):\n    raise NotImplementedError('your turn')", "fn")

    def test() -> None:
        with checks.step("it runs"):
            fn(1)

    with pytest.raises(checks.CheckFailure, match="it runs: not written yet"):
        test()


def test_an_expected_error_is_expected(make: Callable[..., Any]) -> None:
    fn = make("class Shape(ValueError): pass\ndef fn(x):\n    if x: raise Shape('odd')", "fn")
    checks.raises(ValueError, fn, 1, name="fn(1)")
    with pytest.raises(checks.CheckFailure, match="was accepted"):
        checks.raises(ValueError, fn, 0, name="fn(0)")


def test_a_result_that_is_too_large_is_an_error(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="more than 8 MiB besides its arrays"):
        make("def fn(): return 'x' * 10**7", "fn")()
    with pytest.raises(ValueError, match="more than 120 MiB of arrays"):
        make("import torch\ndef fn(): return torch.zeros(1).expand(2**25)", "fn")()


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
from autograder.engine import answers, wire
def forge(message, objects, shell):
    number = answers._Reader(message, objects).load()[0]
    return {FORGED[what]}
def fn(): answers._reply = forge
"""
    fn = make(source, "fn")
    fn()
    with pytest.raises(GoneError) as gone:
        fn()
    assert gone.value.why == "TAMPERED"


@pytest.mark.parametrize("base", ["eval", "print", "__import__", "GoneError", "object", "type", "Warning", "__doc__"])
def test_a_forged_error_is_an_error_and_nothing_else(make: Callable[..., Any], base: str) -> None:
    fields = {"base": base, "name": base, "text": "x", "where": ""}
    source = f"""
from autograder.engine import answers, wire
def forge(message, objects, shell):
    return wire.pack([answers._Reader(message, objects).load()[0], 'raised', {fields}])
def fn(): answers._reply = forge
"""
    fn = make(source, "fn")
    fn()
    with pytest.raises(Exception, match=r"^x$"):
        fn()
