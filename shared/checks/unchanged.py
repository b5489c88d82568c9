"""Whether a function that only asks a model leaves it as it found it: hooks, modes, settings, gradients, parameters.

`asked` runs next to the learner's code, by `checks.beside`, and brings plain values back; `first_change` compares
them where the test runs.

    seen = checks.beside(unchanged.asked, grad_cam, model, "layer", images, targets)
    checks.as_found(seen)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
State = Mapping[str, list[Any]]
"""What can be seen of a model -> a plain value for each of its parts or tensors."""


def in_use(model: Any) -> Any:
    """The model in a state that is easily lost: somebody's hooks and gradients, mixed modes, a frozen parameter.

    Every part has two hooks. The model itself and every second part are in train mode, the others in eval mode; the
    first and every second parameter have gradients, the last one is frozen.
    """
    import torch

    for place, part in enumerate(model.modules()):
        part.training = place % 2 == 0
        part.register_forward_hook(lambda part, given, output: None)
        part.register_forward_pre_hook(lambda part, given: None)
    parameters = list(model.parameters())
    for place, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, place + 1.0) if place % 2 == 0 else None
        parameter.requires_grad_(place < len(parameters) - 1)
    return model


def state_of(model: Any) -> dict[str, list[Any]]:
    """What a function that only asks a model has to leave as it was."""
    import torch

    parts, parameters = list(model.modules()), list(model.parameters())
    return {
        "settings": [_settings(part) for part in parts],
        "hooks": [sum(len(getattr(part, kind)) for kind in HOOKS) for part in parts],
        "train modes": [part.training for part in parts],
        "gradient mode": [torch.is_grad_enabled()],
        "requires_grad": [parameter.requires_grad for parameter in parameters],
        "gradients": [None if p.grad is None else p.grad.double().abs().sum().item() for p in parameters],
        "parameters": [_digest(parameter) for parameter in parameters],
        "buffers": [f"{name} {_digest(buffer)}" for name, buffer in model.named_buffers()],
    }


def _settings(part: Any) -> str:
    """The class of a part and its attributes: plain values such as `fused_attn`, tensors, and of others their names."""
    found = {name: value for name, value in vars(part).items() if not name.startswith("_") and name != "training"}
    return " ".join([type(part).__name__, *sorted(name + _shown(value) for name, value in found.items())])


def _shown(value: Any) -> str:
    """What is compared of an attribute's value, besides that it is there."""
    import torch

    if isinstance(value, bool | int | float | str):
        return f"={value!r}"
    return f"={_digest(value)}" if isinstance(value, torch.Tensor) else ""


def _digest(tensor: Any) -> str:
    import torch

    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # NumPy knows no bfloat16
    return hashlib.sha256(content.numpy().tobytes()).hexdigest()[:12]


def asked(fn: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """`fn(model, *args)` on a model that is `in_use`: what it gives or raises, and the model before and after.

    Returns
    -------
    "result" : what `fn` gave; None where it raised. "raised" : the name of the exception's class, or "".
    "before", "after" : `state_of` the model. "arguments" : whether each tensor among the arguments is what it was.
    """
    import torch

    with torch.enable_grad():  # and leave the caller's mode as it was, whatever `fn` does with it
        return _asked(fn, model, args, kwargs)


def _asked(fn: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    before = state_of(in_use(model))
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
    given = [(tensor.detach().clone(), tensor.requires_grad) for tensor in tensors]
    result, raised = None, ""
    try:
        result = fn(model, *args, **kwargs)
    except Exception as error:
        raised = type(error).__name__
    same = [
        torch.equal(tensor, was) and tensor.requires_grad == wanted and tensor.grad is None
        for tensor, (was, wanted) in zip(tensors, given, strict=True)
    ]
    return {"result": result, "raised": raised, "before": before, "after": state_of(model), "arguments": same}


@dataclass(frozen=True)
class Change:
    """The first thing that is not as it was; `cause` is "" where none is told by the values."""

    what: str
    came: str
    expected: str
    cause: str


def first_change(before: State, after: State) -> Change | None:
    """What is not as it was, in the order of `state_of`; None where everything is."""
    for what, was in before.items():
        now = after[what]
        if now != was:
            return Change(what, _short(now), _short(was), _cause(what, was, now))
    return None


def _short(values: list[Any]) -> str:
    return str(values) if len(values) <= 12 else f"{str(values[:12])[:-1]}, ... ({len(values)} in all)"


def _cause(what: str, was: list[Any], now: list[Any]) -> str:
    if len(now) != len(was):
        return "parts of the model were put in or taken away"
    return _CAUSES.get(what, lambda was, now: "")(was, now)


def _of_hooks(was: list[int], now: list[int]) -> str:
    if all(b >= a for a, b in zip(was, now, strict=True)):
        return "a hook was left behind"
    return "somebody else's hook was removed as well"


def _of_modes(was: list[bool], now: list[bool]) -> str:
    if not any(now):
        return "the model was left in eval mode"
    return "all parts were set to train mode, also those that were in eval mode" if all(now) else ""


def _of_settings(was: list[str], now: list[str]) -> str:
    if any(a.split()[0] != b.split()[0] for a, b in zip(was, now, strict=True)):
        return "a part was exchanged, and stays so"
    return "an attribute of a part was set, and stays so"


def _of_gradient_mode(was: list[bool], now: list[bool]) -> str:
    return "gradients were switched off for everybody, as set_grad_enabled does outside of a with statement"


def _of_wishes(was: list[bool], now: list[bool]) -> str:
    if not any(now):
        return "the parameters were frozen, and stay so"
    return "frozen parameters were switched on, and stay so" if all(now) else ""


def _of_gradients(was: list[float | None], now: list[float | None]) -> str:
    if not any(now):
        return "gradients that were there before were thrown away, as zero_grad() does"
    return "backward() reaches the parameters, too, and adds to their gradients; torch.autograd.grad does not"


def _of_buffers(was: list[str], now: list[str]) -> str:
    changed = [before for before, after in zip(was, now, strict=True) if before != after]
    learned = all(name.partition(" ")[0].endswith(STATISTICS) for name in changed)
    return "a part ran in train mode: batch norm learned from what it was asked" if learned else ""


_CAUSES: dict[str, Callable[[list[Any], list[Any]], str]] = {
    "hooks": _of_hooks,
    "train modes": _of_modes,
    "settings": _of_settings,
    "gradient mode": _of_gradient_mode,
    "requires_grad": _of_wishes,
    "gradients": _of_gradients,
    "buffers": _of_buffers,
}
