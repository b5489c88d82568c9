"""A learner's process, and the module of `net` in it and beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from autograder.engine import sandbox
from autograder.execution.warm_process import WarmProcess

from ...learners import Living, living, warmed_up
from .net import NET


@pytest.fixture(scope="package", params=[False, True], ids=["unsafe", "sandbox"])
def warm(request: pytest.FixtureRequest) -> Iterator[WarmProcess]:
    if request.param:
        assert sandbox.missing() == ""
    with warmed_up(request.param, ["torch"]) as warm:
        yield warm


@pytest.fixture
def one(warm: WarmProcess) -> Iterator[Living]:
    with living(warm, isolate=warm._sandboxed, memory_gib=2) as one:
        yield one


@pytest.fixture
def make(one: Living) -> Callable[..., Any]:
    """Runs an answer cell and gives the object of the first name it defines."""

    def make(source: str, name: str) -> Any:
        one.define(source)
        return one.learner.names([name])[name]

    return make


@pytest.fixture
def net(make: Callable[..., Any]) -> Any:
    """An instance, made with seed 0."""
    built = make(NET, "Net")
    torch.manual_seed(0)
    return built()


@pytest.fixture
def twin() -> Any:
    """The same module in this process, made with seed 0."""
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    torch.manual_seed(0)
    module: torch.nn.Module = namespace["Net"]()
    return module
