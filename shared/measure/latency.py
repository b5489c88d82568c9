"""What a piece of code costs: latency, FLOPs, parameters, memory, and which operators take the time.

Every measurement calls the function as it is given. Choose `torch.inference_mode()`, `model.eval()` and the
number of threads outside; they change the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


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


def _check_counts(warmup: int, runs: int) -> None:
    if runs < 1 or warmup < 0:
        raise ValueError(f"latency needs runs >= 1 and warmup >= 0, got runs={runs} and warmup={warmup}")


def _milliseconds(fn: Callable[..., object], *args: object) -> float:
    """Wall time of one call, from an idle device until its work is done."""
    synchronize()
    start = time.perf_counter()
    fn(*args)
    synchronize()
    return 1e3 * (time.perf_counter() - start)


def _percentiles(milliseconds: Sequence[float]) -> Latency:
    import numpy as np

    p50, p90, p99 = np.percentile(milliseconds, [50, 90, 99]).tolist()
    return Latency(p50, p90, p99, len(milliseconds))


def synchronize() -> None:
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
