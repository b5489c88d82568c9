"""Autograd across the socket: graphs that go on in the learner's process, and copies of the learner's state."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.autograd.function import once_differentiable


class Peer(Protocol):
    """The learner's process, as far as it is asked here: see `handles.Learner`."""

    released: list[tuple[int, int]]

    def ask(self, operation: str, arguments: Any) -> Any: ...

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any: ...


class _Reference:
    """Keeps an object of the learner's process alive as long as the judge may ask for it."""

    def __init__(self, learner: Peer, number: int) -> None:
        self.learner = learner
        self.number = number

    def __del__(self) -> None:
        self.learner.released.append((self.number, 1))


class _Remote(torch.autograd.Function):
    """A result whose graph lies in the learner's process. Its inputs are the judge's tensors that were sent along."""

    @staticmethod
    def forward(ctx: Any, holder: list[Any], reference: _Reference, numbers: list[int], *leaves: Any) -> Any:
        ctx.reference, ctx.numbers = reference, numbers
        return holder.pop()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any) -> Any:
        learner = ctx.reference.learner
        found = learner.ask("backward", (ctx.reference.number, gradient, ctx.numbers))
        return None, None, None, *found, None


def with_graph(learner: Peer, value: Any, number: int, numbers: list[int], leaves: list[Any]) -> Any:
    """A result that requires a gradient.

    Parameters
    ----------
    number : of the tensor in the learner's process.
    numbers, leaves : the judge's tensors that went into the call.
    """
    anchor = torch.empty(0, requires_grad=True)  # parameters of the learner's want a gradient too
    with torch.enable_grad():
        return _Remote.apply([value], _Reference(learner, number), numbers, *leaves, anchor)


class StateTensor(torch.Tensor):
    """A copy of a parameter or buffer of the learner's. Its gradient is read there; changing it is refused."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    learner_reference: _Reference
    learner_number: int

    @property
    def grad(self) -> Any:
        return self.learner_reference.learner.call(getattr, self, "grad")

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            raise TypeError("a gradient cannot be set through a handle: do it in a function for checks.beside")
        self.learner_reference.learner.call(setattr, self, "grad", None)

    @property
    def data(self) -> Any:  # type: ignore[override]
        raise TypeError(".data cannot be used through a handle: use .detach(), or checks.beside to change it")


def state_tensor(learner: Peer, value: Any, number: int, wants_gradient: bool) -> Any:
    """The copy of a tensor that belongs to an object of the learner's."""
    copied = value.as_subclass(StateTensor)
    copied.learner_reference, copied.learner_number = _Reference(learner, number), number
    if wants_gradient and (value.is_floating_point() or value.is_complex()):
        copied.requires_grad_().register_hook(_no_gradient_here)
    return copied


def _no_gradient_here(gradient: Any) -> Any:
    raise TypeError("a gradient in the judge does not reach the learner's parameter: use a function for checks.beside")
