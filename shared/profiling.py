"""What a piece of code costs: latency, FLOPs, parameters, memory, and which operators take the time.

Every measurement calls the function as it is given. Choose `torch.inference_mode()`, `model.eval()` and the
number of threads outside; they change the numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Latency:
    """Percentiles of the wall time of one call, in milliseconds, over `runs` calls."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


def latency(fn: Callable[..., object], *args: object, warmup: int = 3, runs: int = 20) -> Latency:
    """Time `fn(*args)` on the wall clock, after `warmup` calls that are not counted.

    Where CUDA is in use, each call is timed from an idle device until its kernels have finished.

    Raises:
        ValueError: `runs < 1` or `warmup < 0`.
    """
    _check_counts(warmup, runs)
    for _ in range(warmup):
        fn(*args)
    return _percentiles([_milliseconds(fn, *args) for _ in range(runs)])


def latencies(calls: Mapping[str, Callable[[], object]], *, warmup: int = 1, runs: int = 5) -> dict[str, Latency]:
    """Time several calls in turn, a b c a b c, to compare them: name -> `Latency` of each.

    A machine that is busy, or throttled, for a while then slows all of them, and not the one whose turn it was.
    Counts, warm-up and CUDA as in `latency`; `runs` is per call.

    Raises:
        ValueError: `runs < 1` or `warmup < 0`.
    """
    _check_counts(warmup, runs)
    for call in calls.values():
        for _ in range(warmup):
            call()
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            milliseconds[name].append(_milliseconds(call))
    return {name: _percentiles(times) for name, times in milliseconds.items()}


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


def peak_memory(fn: Callable[..., object], *args: object) -> int:
    """The most bytes that torch held at once during `fn(*args)`, beyond what it held before the call.

    With a CUDA tensor among `args`: `torch.cuda.max_memory_allocated` on that tensor's device. Otherwise: the
    profiler's record of every CPU allocation and release, summed over time. Both see torch's own memory only;
    arguments, weights, NumPy arrays and Python objects do not count.
    """
    import torch

    devices = [arg.device for arg in args if isinstance(arg, torch.Tensor) and arg.is_cuda]
    return _peak_cuda_memory(devices[0], fn, *args) if devices else _peak_cpu_memory(fn, *args)


def operator_times(fn: Callable[..., object], *args: object) -> dict[str, float]:
    """Where the time of one call `fn(*args)` goes: operator -> milliseconds, the longest first.

    Each operator of torch is counted without the operators that it calls, so the times add up. With a CUDA
    tensor among `args` it is time on the device, otherwise on the CPU. Python between the operators is not seen,
    and the profiler slows each operator a little: read the result as shares, and take `latency` for the total.
    """
    import torch
    from torch.autograd.profiler import profile

    on_cuda = any(isinstance(arg, torch.Tensor) and arg.is_cuda for arg in args)
    _quiet_profiler()
    with profile(use_device="cuda" if on_cuda else None) as record:
        fn(*args)
        _synchronize()
    spent: dict[str, float] = {}
    for event in record.key_averages():
        microseconds = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        name = event.key.removeprefix("aten::")
        if microseconds > 0 and event.key.startswith("aten::"):
            spent[name] = spent.get(name, 0.0) + microseconds / 1e3
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent k of `cost = constant * size**k` that fits best: the slope in log-log axes, by least squares.

    Raises:
        ValueError: fewer than two different sizes, not one cost for each, or a number that is not positive.
    """
    import numpy as np

    if len(sizes) != len(costs) or len(set(sizes)) < 2 or min(*sizes, *costs) <= 0:
        raise ValueError(
            f"slope needs two or more different sizes and a cost for each, all positive; "
            f"got sizes {list(sizes)} and costs {list(costs)}"
        )
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def table(rows: Sequence[Mapping[str, object]], *, title: str = "") -> str:
    """Rows as aligned plain text, to print: one line a row, columns in order of first appearance.

    Numbers are right-aligned: integers with thousands separators, others with four significant digits. A
    string is kept as it is, and a value that a row lacks is left blank.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("table needs at least one row")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [columns, *([_text(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    numeric = [all(_is_number(row[name]) for row in rows if name in row) for name in columns]

    def aligned(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    header, *body = texts
    lines = [aligned(header), "  ".join("-" * width for width in widths), *map(aligned, body)]
    return "\n".join([title, *lines] if title else lines)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value: object) -> str:
    if not isinstance(value, Real) or isinstance(value, bool):
        return str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    number = float(value)
    return f"{number:,.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"


def _check_counts(warmup: int, runs: int) -> None:
    if runs < 1 or warmup < 0:
        raise ValueError(f"latency needs runs >= 1 and warmup >= 0, got runs={runs} and warmup={warmup}")


def _milliseconds(fn: Callable[..., object], *args: object) -> float:
    """Wall time of one call, from an idle device until its work is done."""
    _synchronize()
    start = time.perf_counter()
    fn(*args)
    _synchronize()
    return 1e3 * (time.perf_counter() - start)


def _percentiles(milliseconds: Sequence[float]) -> Latency:
    import numpy as np

    p50, p90, p99 = np.percentile(milliseconds, [50, 90, 99]).tolist()
    return Latency(p50, p90, p99, len(milliseconds))


def _quiet_profiler() -> None:
    """The profiler's C++ side reports its own stages on stderr, and a notebook would show them."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def _synchronize() -> None:
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


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

    _quiet_profiler()
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
