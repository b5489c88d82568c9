"""Requests of the judge to a learner's process, written as pickles: the one direction in which these cross."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle

from .guest import wire


def refuse(what: str) -> TypeError:
    """The error of what handles cannot do."""
    return TypeError(f"{what} cannot be done through a handle: do it in a function for checks.beside")


def check_modes() -> None:
    """Refuse modes of torch's that would watch the judge, where nothing happens, and not the learner's process."""
    torch = wire.torch_module()
    if torch is None:
        return
    from torch.overrides import _get_current_function_mode_stack
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    if _get_current_function_mode_stack() or _get_current_dispatch_mode_stack() or torch.is_autocast_enabled("cpu"):
        raise refuse("a call under a mode of torch's (counting, autocast, default device)")


def gradients() -> bool:
    """Whether the judge wants gradients now."""
    torch = wire.torch_module()
    return torch is not None and bool(torch.is_grad_enabled())


class Writer(cloudpickle.Pickler):
    """Writes a request: handles by number, tensors as bytes, functions of test cells by value.

    Parameters
    ----------
    number_of : the number of a handle; None for anything else. leaf : a number for a tensor that wants a gradient.
    """

    def __init__(self, file: Any, number_of: Callable[[Any], int | None], leaf: Callable[[Any], int]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._number_of, self._leaf = number_of, leaf

    def persistent_id(self, value: Any) -> Any:
        number = self._number_of(value)
        if number is not None:
            return ("object", number)
        torch = wire.torch_module()
        if torch is None or not isinstance(value, torch.Tensor):
            return None
        number = getattr(value, "learner_number", None)
        if number is not None:
            return ("object", number)
        if value.requires_grad:
            parameter = isinstance(value, torch.nn.Parameter)
            return ("leaf", self._leaf(value), parameter, *_fields(value))
        return None

    def reducer_override(self, value: Any) -> Any:
        torch = wire.torch_module()
        if torch is not None and type(value) is torch.Tensor and wire.is_strided(value):
            return wire.make_tensor, _fields(value)
        return super().reducer_override(value)


def _fields(tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
    return str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), wire.tensor_bytes(tensor)
