"""`shared.unchanged`: every way of not leaving a model as it was is seen, and told by its cause."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from shared import checks, unchanged


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)))
    model.register_buffer("offset", torch.zeros(1))
    model.get_submodule("2").__dict__["scales"] = torch.ones(2, dtype=torch.bfloat16)
    return model


def quiet(model: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """Asks in eval mode and puts everything back."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        return torch.autograd.grad(model(x.detach().requires_grad_()).sum(), [next(model.parameters())])[0]
    finally:
        for part, mode in modes.items():
            part.training = mode


def in_train_mode(model: nn.Sequential, x: torch.Tensor) -> None:
    model(x)


def left_in_eval_mode(model: nn.Sequential, x: torch.Tensor) -> None:
    model.eval()


def all_in_train_mode(model: nn.Sequential, x: torch.Tensor) -> None:
    model.eval()
    model.train()


def freezes(model: nn.Sequential, x: torch.Tensor) -> None:
    model.requires_grad_(False)


def unfreezes(model: nn.Sequential, x: torch.Tensor) -> None:
    model.requires_grad_(True)


def goes_backward(model: nn.Sequential, x: torch.Tensor) -> None:
    quiet(model, x)
    sum(p.sum() for p in model.parameters()).backward()  # type: ignore[union-attr]


def empties(model: nn.Sequential, x: torch.Tensor) -> None:
    model.zero_grad()


def fills_with_zeros(model: nn.Sequential, x: torch.Tensor) -> None:
    model.zero_grad(set_to_none=False)


def sets_an_attribute(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_submodule("2.1").__dict__["p"] = 0.0


def keeps_its_result(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_submodule("2").__dict__["maps"] = [x.detach()]


def changes_a_tensor_that_is_an_attribute(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_submodule("2").__dict__["scales"][0] = 0


def exchanges_a_part(model: nn.Sequential, x: torch.Tensor) -> None:
    part = nn.Identity().eval()
    model.get_submodule("2").add_module("1", part)


def replaces_a_method(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_submodule("2.1").__dict__["forward"] = torch.tanh


def switches_gradients_off(model: nn.Sequential, x: torch.Tensor) -> None:
    torch.set_grad_enabled(False)


def leaves_a_hook(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_submodule("2.1").register_full_backward_hook(lambda part, given, out: None)


def clears_hooks(model: nn.Sequential, x: torch.Tensor) -> None:
    model._forward_hooks.clear()


def puts_a_part_in(model: nn.Sequential, x: torch.Tensor) -> None:
    model.add_module("more", nn.Identity())


def changes_a_weight(model: nn.Sequential, x: torch.Tensor) -> None:
    next(model.parameters()).data[0, 0] += 1


def changes_a_buffer(model: nn.Sequential, x: torch.Tensor) -> None:
    model.get_buffer("offset")[0] = 2


def changes_its_argument(model: nn.Sequential, x: torch.Tensor) -> None:
    x[0, 0] += 1


def makes_its_argument_want_gradients(model: nn.Sequential, x: torch.Tensor) -> None:
    x.requires_grad_()


CHANGES: dict[Callable[..., None], str] = {
    in_train_mode: "batch norm learned from what it was asked",
    left_in_eval_mode: "the model was left in eval mode",
    all_in_train_mode: "all parts were set to train mode",
    freezes: "the parameters were frozen, and stay so",
    unfreezes: "frozen parameters were switched on",
    goes_backward: "backward() reaches the parameters",
    empties: "as zero_grad() does",
    fills_with_zeros: "as zero_grad() does",
    sets_an_attribute: "an attribute of a part was set",
    keeps_its_result: "an attribute of a part was set",
    changes_a_tensor_that_is_an_attribute: "an attribute of a part was set",
    exchanges_a_part: "a part was exchanged",
    replaces_a_method: "an attribute of a part was set",
    switches_gradients_off: "gradients were switched off for everybody",
    leaves_a_hook: "a hook was left behind",
    clears_hooks: "somebody else's hook was removed",
    puts_a_part_in: "parts of the model were put in",
    changes_a_weight: "its parameters changed",
    changes_a_buffer: "its buffers changed",
    changes_its_argument: "the tensors that were given",
    makes_its_argument_want_gradients: "the tensors that were given",
}


def test_a_function_that_puts_everything_back_passes_and_its_result_comes() -> None:
    seen = checks.beside(unchanged.asked, quiet, network(), torch.ones(5, 3))
    checks.as_found(seen)
    assert (tuple(seen["result"].shape), seen["raised"]) == ((4, 3), "")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_is_seen_and_told(change: Callable[..., None]) -> None:
    with pytest.raises(checks.CheckFailure) as failed:
        checks.as_found(checks.beside(unchanged.asked, change, network(), torch.ones(5, 3)))
    assert CHANGES[change] in str(failed.value)
    assert torch.is_grad_enabled()


def test_what_is_left_after_an_error_is_seen_as_well() -> None:
    def breaks_off(model: nn.Sequential) -> None:
        model.eval()
        raise ArithmeticError

    seen = checks.beside(unchanged.asked, breaks_off, network())
    assert (seen["result"], seen["raised"]) == (None, "ArithmeticError")
    with pytest.raises(checks.CheckFailure, match="left in eval mode"):
        checks.as_found(seen)


def test_an_observation_that_says_nothing_does_not_pass() -> None:
    seen = checks.beside(unchanged.asked, quiet, network(), torch.ones(5, 3))
    with pytest.raises(KeyError):
        checks.as_found(seen | {"after": {}})
