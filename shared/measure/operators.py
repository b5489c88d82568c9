"""Which operators take the time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from .latency import synchronize

if TYPE_CHECKING:
    pass


def operator_times(fn: Callable[..., object], *args: object) -> dict[str, float]:
    """Where the time of one call `fn(*args)` goes: operator -> milliseconds, the longest first.

    Each operator of torch is counted without the operators that it calls, so the times add up. With a CUDA
    tensor among `args` it is time on the device, otherwise on the CPU. Python between the operators is not seen,
    and the profiler slows each operator a little: read the result as shares, and take `latency` for the total.
    """
    import torch
    from torch.autograd.profiler import profile

    on_cuda = any(isinstance(arg, torch.Tensor) and arg.is_cuda for arg in args)
    quiet_profiler()
    with profile(use_device="cuda" if on_cuda else None) as record:
        fn(*args)
        synchronize()
    spent: dict[str, float] = {}
    for event in record.key_averages():
        microseconds = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        name = event.key.removeprefix("aten::")
        if microseconds > 0 and event.key.startswith("aten::"):
            spent[name] = spent.get(name, 0.0) + microseconds / 1e3
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def quiet_profiler() -> None:
    """The profiler's C++ side reports its own stages on stderr, and a notebook would show them."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
