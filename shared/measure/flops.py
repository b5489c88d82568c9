"""Floating-point operations and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def flops(fn: Callable[..., object], *args: object, **kwargs: object) -> int:
    """Count the floating-point operations of one call `fn(*args, **kwargs)`, 2 per multiply-add.

    Counted are matrix products, convolutions and fused attention; element-wise
    work such as softmax, bias and activation is not. The formulas are those of torch's `FlopCounterMode`, whose
    own mode imports the compiler on its first use (about 4 s). They know nothing of the fused kernel that
    `nn.MultiheadAttention` and `nn.TransformerEncoderLayer` take in eval mode without gradients, so that fast
    path is off while counting.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):
        total = 0

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            """Torch asks this of a mode; False saves importing the compiler, which is not used here."""
            return False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            formula = flop_registry.get(func._overloadpacket)
            if formula is None:  # an operator made of others arrives whole in inference mode
                with self:
                    whole = func.decompose(*args, **kwargs)
                if whole is not NotImplemented:
                    return whole
            result = func(*args, **kwargs)
            self.total += formula(*args, **kwargs, out_val=result) if formula else 0
            return result

    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with Counter() as counter:
            fn(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return int(counter.total)


def parameter_count(module: nn.Module, trainable_only: bool = False) -> int:
    """Number of scalars in the module's parameters, shared ones counted once; buffers are not counted."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable_only)
