"""Learner modules through handles: their state, forward and backward, as in the same process."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from ...learners import Living, by_value
from .net import batch, held

by_value(__name__)


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
