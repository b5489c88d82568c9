"""A GPU to try code on where there is none: tensors that say they are elsewhere, and refuse what CUDA would refuse.

    with pretended_gpu(monkeypatch) as device:
        model.to(device)(images.to(device))     # computes, on the CPU
        model(images)                           # RuntimeError: two devices

A tensor "on the GPU" holds one on the CPU and passes every operator on to it. Refused are: operators on tensors of both
places (but for scalars, copies, and indices that lie on the CPU), a generator of the CPU for numbers on the GPU, and
NumPy's view of a tensor on the GPU. So the lines that only a GPU runs are run, and what lies in the wrong place is
found; kernels, speed and bfloat16 are not tried. torch's "meta" stands for CUDA: every build knows that device, and
autograd runs on it without a driver.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
"""Their indices, which are the second argument, may lie on the CPU while the tensor is on the GPU."""


class OnGpu(torch.Tensor):
    """A tensor that says it is on DEVICE; `held` is on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGpu:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        made.held = held
        return made

    def __init__(self, held: torch.Tensor) -> None:
        pass

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnGpu({self.held})"

    def __format__(self, spec: str) -> str:
        return format(self.detach().cpu(), spec)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError("can't convert a tensor on the GPU to numpy; use .cpu() first")
        return self.detach().cpu().numpy()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return compute(function, args, kwargs or {})


class PlacedGenerator(torch.Generator):
    """A generator of the CPU that may say it is one of the GPU."""

    of_gpu: ClassVar[dict[int, PlacedGenerator]] = {}
    """Those of the GPU, by the address of what they hold: operators get it in another wrapping."""

    def __new__(cls, device: torch.device | str = "cpu") -> PlacedGenerator:
        made = super().__new__(cls)
        if torch.device(device) == DEVICE:
            cls.of_gpu[made._cdata] = made  # type: ignore[attr-defined]
        return made


class Placing(TorchDispatchMode):
    """Sees operators without a tensor on the GPU, too: those that make one, and copies to it."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operator, on the CPU; its results are where CUDA would have them."""
    free = function in INDEXED and isinstance(args[0], OnGpu)
    compared = (args[0], *args[2:]) if free else (args, kwargs)
    tensors = [value for value in tree_flatten(compared)[0] if isinstance(value, torch.Tensor)]
    there = [value for value in tensors if isinstance(value, OnGpu)]
    here = [value for value in tensors if not isinstance(value, OnGpu) and value.dim() > 0]
    target = kwargs.get("device")
    to_gpu = (torch.device(target) == DEVICE) if target is not None else bool(there)
    if there and here and function not in COPIES:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device, found two: the GPU and cpu")
    generator = kwargs.get("generator")
    if generator is not None and to_gpu != (generator._cdata in PlacedGenerator.of_gpu):
        raise RuntimeError(f"{function}: expected a generator of {'the GPU' if to_gpu else 'the cpu'}, found the other")
    if target is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    given = tree_map(lambda value: value.held if isinstance(value, OnGpu) else value, (args, kwargs))
    results = function(*given[0], **given[1])
    if function is aten.copy_.default:
        return args[0]
    known = {id(value.held): value for value in there}

    def placed(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not to_gpu:
            return value
        return known[id(value)] if id(value) in known else OnGpu(value)

    return tree_map(placed, results)


@contextlib.contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """PROFILE=gpu with a device on which everything is slow and nothing may lie in the wrong place."""
    import torch.optim

    from shared import profiles
    from shared.runtime import profiles as defined

    real, tensor = torch.optim.AdamW, torch.tensor

    def unfused(*args: Any, fused: bool = False, **named: Any) -> Any:
        return real(*args, **named)

    def copied(data: Any, *, device: Any = "cpu", **named: Any) -> torch.Tensor:
        return tensor(data, **named).to(device)  # torch itself leaves the numbers out on this device

    with monkeypatch.context() as patch, Placing():
        patch.setenv("PROFILE", "gpu")
        for module in (profiles, defined):
            patch.setattr(module, "device", lambda: DEVICE)
        patch.setattr(profiles, "side_by_side", lambda work, items: [work(item) for item in items])  # not in threads
        patch.setattr(torch, "Generator", PlacedGenerator)
        patch.setattr(torch, "tensor", copied)
        patch.setattr(torch.optim, "AdamW", unfused)
        patch.setattr(torch, "autocast", lambda *args, **named: contextlib.nullcontext())
        patch.setattr(torch, "inference_mode", torch.no_grad)  # what it makes cannot be wrapped
        yield DEVICE
