"""The most memory that a call takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .operators import quiet_profiler

if TYPE_CHECKING:
    import torch


def peak_memory(fn: Callable[..., object], *args: object) -> int:
    """The most bytes that torch held at once during `fn(*args)`, beyond what it held before the call.

    With a CUDA tensor among `args`: `torch.cuda.max_memory_allocated` on that tensor's device. Otherwise: the
    profiler's record of every CPU allocation and release, summed over time. Both see torch's own memory only;
    arguments, weights, NumPy arrays and Python objects do not count.
    """
    import torch

    devices = [arg.device for arg in args if isinstance(arg, torch.Tensor) and arg.is_cuda]
    return _peak_cuda_memory(devices[0], fn, *args) if devices else _peak_cpu_memory(fn, *args)


def _peak_cuda_memory(device: torch.device, fn: Callable[..., object], *args: object) -> int:
    import torch

    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    fn(*args)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _peak_cpu_memory(fn: Callable[..., object], *args: object) -> int:
    from torch.autograd.profiler import profile

    quiet_profiler()
    with profile(profile_memory=True) as record:
        fn(*args)
    changes = [  # (when in ns, bytes taken or given back)
        (event.start_ns(), event.nbytes())
        for event in record.kineto_results.events()
        if event.name() == "[memory]" and event.device_type().name == "CPU"
    ]
    held = peak = 0
    for _, change in sorted(changes, key=lambda change: change[0]):
        held += change
        peak = max(peak, held)
    return peak
