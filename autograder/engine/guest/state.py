"""The settings of a process that cells change: torch's defaults, random numbers, warnings, the current folder.

Tests run with the settings that the course's own cells made, whatever a learner's cells set; a learner's next cell
finds its own again. So a test gives the same verdict in one process with the answers, and in a process of its own.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from . import wire


class Setting(NamedTuple):
    """How a setting is read, as a value that can be compared, and how it is set."""

    get: Callable[[], Any]
    put: Callable[[Any], Any]


State = dict[str, Any]
"""Name of a setting -> its value."""


def captured() -> State:
    """What is set now; without the settings of libraries that are not imported."""
    found: State = {}
    for name, setting in _settings().items():
        with suppress(Exception):  # a learner may have replaced what it is read with
            found[name] = setting.get()
    return found


def install(state: State) -> None:
    """Set everything as it was captured."""
    for name, setting in _settings().items():
        with suppress(Exception):  # as above; and a folder may be gone
            if name in state and setting.get() != state[name]:
                setting.put(state[name])


def fresh() -> State:
    """What a new process has, for one that has long been at work: what decides about verdicts, and quiet warnings."""
    found: State = {"random": random.Random(0).getstate(), "warnings": [("ignore", None, Warning, None, 0)]}
    if "numpy" in sys.modules:
        kinds = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
        name, keys, *rest = sys.modules["numpy"].random.RandomState(0).get_state()
        found |= {"numpy errors": kinds, "numpy random": (name, keys.tobytes(), *rest)}
    if (torch := wire.torch_module()) is not None:
        seeded = torch.Generator("cpu").manual_seed(0).get_state().numpy().tobytes()
        found |= {"device": None, "inference": False, "gradients": True, "dtype": torch.float32}
        found |= {"torch random": seeded, "deterministic": (False, False), "anomaly": (False, True)}
        found |= {"autocast": (False, torch.bfloat16), "precision": "highest"}
    return found


class Turns:
    """Whose settings are in place: the course's in its cells and in tests, the learner's in all others.

    Parameters
    ----------
    course : the course's settings where they are not those of now, at least those that differ.
    """

    def __init__(self, course: State | None = None) -> None:
        self._learner = captured()
        self._course = self._learner | (course or {})
        self._is_learner = True

    def course(self) -> None:
        """Before a test: the settings of the course, as its cells left them."""
        if self._is_learner:
            self._learner = captured()
        self._is_learner = False
        install(self._course)

    def learner(self) -> None:
        """Before a cell of the learner's: theirs, as their cells left them."""
        if not self._is_learner:
            install(self._learner)
        self._is_learner = True

    @contextmanager
    def given(self, for_both: bool = True) -> Iterator[None]:
        """Around a cell of the course: what it sets holds from there on, for the learner's cells too if wanted."""
        self.course()
        try:
            yield
        finally:
            before, self._course = self._course, captured()
            if for_both:
                self._learner |= {name: value for name, value in self._course.items() if before.get(name) != value}
            self.learner()

    @contextmanager
    def test(self) -> Iterator[None]:
        """Around a test: nothing that it sets stays."""
        self.course()
        try:
            yield
        finally:
            self.learner()


def _settings() -> dict[str, Setting]:
    """The settings of this process; torch's device comes first, since it changes what making a tensor means."""
    found: dict[str, Setting] = {}
    if (torch := wire.torch_module()) is not None:
        found |= _of_torch(torch)
    if "numpy" in sys.modules:
        found |= _of_numpy(sys.modules["numpy"])
    return found | {
        "random": Setting(random.getstate, random.setstate),
        "warnings": Setting(lambda: list(warnings.filters), _put_filters),
        "folder": Setting(os.getcwd, os.chdir),
        "environment": Setting(lambda: dict(os.environ), _put_environment),
        "recursion": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
        "garbage": Setting(gc.isenabled, lambda wanted: gc.enable() if wanted else gc.disable()),
    }


def _put_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # which also forgets what was decided by the filters before
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


def _put_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def _of_numpy(numpy: Any) -> dict[str, Setting]:
    def random_state() -> tuple[Any, ...]:
        name, keys, *rest = numpy.random.get_state()
        return (name, keys.tobytes(), *rest)

    def put_random(state: tuple[Any, ...]) -> None:
        name, keys, *rest = state
        numpy.random.set_state((name, numpy.frombuffer(keys, dtype=numpy.uint32), *rest))

    return {
        "numpy random": Setting(random_state, put_random),
        "numpy errors": Setting(numpy.geterr, lambda kinds: numpy.seterr(**kinds)),
        "numpy printing": Setting(numpy.get_printoptions, lambda options: numpy.set_printoptions(**options)),
    }


_guards: list[Any] = []
"""Inference mode lasts as long as the object that switched it."""


def _of_torch(torch: Any) -> dict[str, Setting]:
    def device() -> Any:
        context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
        return context.device if context is not None else None

    def put_inference(wanted: bool) -> None:
        _guards.append(torch.inference_mode(wanted))
        _guards[-1].__enter__()

    def put_random(state: bytes) -> None:
        torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    def deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    printing = torch._tensor_str.PRINT_OPTS
    return {
        "device": Setting(device, torch.set_default_device),
        "inference": Setting(torch.is_inference_mode_enabled, put_inference),
        "gradients": Setting(torch.is_grad_enabled, torch._C._set_grad_enabled),
        "dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
        "torch random": Setting(lambda: torch.get_rng_state().numpy().tobytes(), put_random),
        "deterministic": Setting(
            deterministic, lambda wanted: torch.use_deterministic_algorithms(wanted[0], warn_only=wanted[1])
        ),
        "anomaly": Setting(
            lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            lambda wanted: torch.set_anomaly_enabled(*wanted),
        ),
        "autocast": Setting(
            lambda: (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
            lambda wanted: (torch.set_autocast_enabled("cpu", wanted[0]), torch.set_autocast_dtype("cpu", wanted[1])),
        ),
        "precision": Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "threads": Setting(torch.get_num_threads, torch.set_num_threads),
        "torch printing": Setting(lambda: dict(vars(printing)), lambda options: vars(printing).update(options)),
    }
