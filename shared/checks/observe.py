"""Trusted functions for `checks.beside`: they run next to a learner's code and report what it does.

Each takes a callable and its arguments and returns plain observations, never a verdict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .calls import calls_among as calls_among
from .kinds import Kind, kind_of


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
    except NotImplementedError as error:  # what torch says to such a copy
        if kind_of(error) is Kind.UNWRITTEN:
            raise
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


def in_ascii_locale(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)` as on a machine whose own encoding is ASCII, as Windows' is not UTF-8 either.

    A file that is opened as text without an encoding, by `open` or a `Path`, can then hold nothing else, and who asks
    `locale` is told so.
    """
    import builtins
    import io
    import locale

    opened, encoding_of, preferred = builtins.open, io.text_encoding, locale.getpreferredencoding

    def opened_here(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *more: Any, **named: Any
    ) -> Any:
        return opened(file, mode, buffering, encoding or (None if "b" in mode else "ascii"), *more, **named)

    def encoding_here(encoding: str | None, stacklevel: int = 2) -> str:
        return encoding or "ascii"

    builtins.open, io.text_encoding = opened_here, encoding_here  # type: ignore[assignment]
    locale.getpreferredencoding = lambda do_setlocale=True: "ascii"
    try:
        return fn(*args)
    finally:
        builtins.open, io.text_encoding, locale.getpreferredencoding = opened, encoding_of, preferred


def after_a_step(module: Any, *args: Any, rate: float) -> tuple[Any, Any]:
    """The output of `module(*args)`, and the output after one step of gradient descent on all its parameters.

    The loss is `sum(output * cos(index))`, `output` the result or its first item. What is frozen, detached or missing
    in `parameters()` does not move, and the second output tells.
    """
    import torch

    def output() -> Any:
        result = module(*args)
        return result[0] if isinstance(result, tuple | list) else result

    before = output()
    weights = torch.arange(before.numel(), dtype=before.dtype, device=before.device).cos().reshape(before.shape)
    parameters = list(module.parameters())
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    slopes = torch.autograd.grad((before * weights).sum(), wanted, allow_unused=True) if wanted else ()
    with torch.no_grad():
        for parameter, slope in zip(wanted, slopes, strict=True):
            if slope is not None:
                parameter -= rate * slope
        return before.detach(), output()


def after_loading(module: Any, load: str, state: Mapping[str, Any], *args: Any) -> tuple[Any, Any, list[str], bool]:
    """Whether `module.load(state)` copies into the parameters that are there, and leaves the state as it is.

    Returns
    -------
    The output of `module(*args)` after loading, or its first item; the same after every tensor of the state was set
    to 0; the names whose tensors are no longer in the state, or were changed, right after loading; and whether the
    module has the parameters that it had before, so that an optimizer which holds them still trains it.
    """
    import torch

    given = dict(state)
    before = {name: value.clone() for name, value in given.items()}

    def output() -> Any:
        with torch.no_grad():
            result = module(*args)
        return (result[0] if isinstance(result, tuple | list) else result).clone()

    held = list(module.parameters())
    getattr(module, load)(given)
    filled = [id(parameter) for parameter in module.parameters()] == [id(parameter) for parameter in held]
    lost = [name for name, value in before.items() if name not in given or not torch.equal(given[name], value)]
    first = output()
    for value in state.values():
        value.detach().zero_()
    return first, output(), lost, filled
