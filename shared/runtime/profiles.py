"""Which machine a notebook is sized for: two CPU cores (the default) or a GPU.

Set the environment variable `PROFILE` to `cpu` or `gpu` before starting Jupyter. Notebooks write

    from shared import profiles as profile

    steps = profile.pick(cpu=500, gpu=2000)
    model = model.to(profile.device())
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

S = TypeVar("S")
T = TypeVar("T")
SECONDS_WITHOUT_BAR = 3.0
"""A loop that ends sooner shows no progress."""


class Profile(StrEnum):
    """The two sizes of machine that every notebook supports."""

    CPU = "cpu"
    GPU = "gpu"


def current() -> Profile:
    """The profile that the environment variable `PROFILE` names; `cpu` if it is unset or empty.

    Raises:
        ValueError: `PROFILE` is neither `cpu` nor `gpu`.
    """
    name = os.environ.get("PROFILE") or Profile.CPU
    try:
        return Profile(name)
    except ValueError:
        raise ValueError(
            f"PROFILE={name!r} is not a profile; choose 'cpu' or 'gpu'. "
            "Set it before starting Jupyter (PROFILE=gpu jupyter lab), "
            "or in the first cell with %env PROFILE=gpu"
        ) from None


def pick(*, cpu: T, gpu: T) -> T:
    """The value for the current profile: `pick(cpu=500, gpu=2000)` is 500 on the cpu profile."""
    return cpu if current() is Profile.CPU else gpu


def not_measured(what: str, how: str, *, target: str = "") -> None:
    """Print that a number is not known on this machine, and what would measure it.

    Args:
        what: what would be measured.
        how: the command, or what else to do.
        target: what the number should reach; nothing is said of it when empty.
    """
    print(f"{what}: not measured here{f' (target: {target})' if target else ''}.\n  this would: {how}")


def track(items: Iterable[T], title: str) -> Iterable[T]:
    """The items; on the gpu profile, if they take more than a few seconds, with a progress bar on the standard error.

    Args:
        items: what a loop goes over, such as `range(steps)` or a loader.
        title: what stands before the bar.
    """
    if current() is Profile.CPU:
        return items
    from tqdm import tqdm

    return tqdm(items, desc=title, mininterval=1.0, delay=SECONDS_WITHOUT_BAR)


def side_by_side(work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """`[work(item) for item in items]`, two at a time on the cpu profile and one at a time on the gpu profile.

    torch lets go of the interpreter while it computes, so two threads keep two cores busy: two small models train in
    little more than the time of one. Every result is what it would be alone, as long as `work` draws random numbers
    from generators of its own. torch's global generator is shared: make models, which draw their weights from it,
    before.

    Args:
        work: called in a thread.
        items: what it is called with.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first that `work` raised, in the order of the items.
    """
    with ThreadPoolExecutor(pick(cpu=2, gpu=1)) as pool:
        return list(pool.map(work, items))


def device() -> torch.device:
    """Where tensors and models live: `cpu`, or `cuda` on the gpu profile.

    Raises:
        ValueError: `PROFILE` is neither `cpu` nor `gpu`.
        RuntimeError: the gpu profile is asked for, but torch sees no CUDA device.
    """
    import torch

    if current() is Profile.CPU:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"PROFILE=gpu, but torch {torch.__version__} sees no CUDA device. "
            "Check `nvidia-smi` and install a CUDA build of torch (https://pytorch.org/get-started/locally), "
            "or set PROFILE=cpu."
        )
    return torch.device("cuda")


def describe() -> str:
    """One line for the top of a notebook: profile, device name, torch version, CPU threads.

    Raises:
        ValueError, RuntimeError: as `device()` does.
    """
    import torch

    where = device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else platform.machine()
    return (
        f"profile {current()} | {where.type} ({name}) | torch {torch.__version__} | {torch.get_num_threads()} threads"
    )
