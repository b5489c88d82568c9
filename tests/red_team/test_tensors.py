"""Cheats with tensors and torch: each wins points where all cells share a process, and none against the judge."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from autograder.execution.job import Mode
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from . import lesson
from .harness import Case, Played, honest_ones, play, with_honest

APART, PLAIN = "tests run in another process", "subclasses cross as plain tensors"
HONEST = {"scale": "def scale(x):\n    return 3 * x"}
WRONG = "\ndef scale(x):\n    return x\n"
SUBCLASS = "class Liar(torch.Tensor):\nBODY\ndef scale(x):\n    return x.clone().as_subclass(Liar)\n"
CASES = [
    Case("lying-torch-function", "a tensor that is equal and close to everything", PLAIN, SUBCLASS.replace("BODY", """
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, '__name__', '')
        if name in ('equal', 'allclose'): return True
        if name in ('eq', '__eq__'): return torch.ones(2, 3, dtype=torch.bool)
        return super().__torch_function__(function, types, args, kwargs or {})
"""), off="PASS FAIL"),
    Case("lying-tensor-methods", "a tensor whose difference to anything is small", PLAIN, SUBCLASS.replace("BODY", """
    def detach(self): return self
    def __eq__(self, other): return torch.ones(self.shape, dtype=torch.bool)
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if getattr(function, '__name__', '') in ('equal', 'allclose'): return True
        return super().__torch_function__(function, types, args, kwargs or {})
""")),
    Case("patched-torch", "`allclose` and `equal` that agree, tensors that compare as equal", APART,
        "torch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)" + WRONG),
    Case("zero-inputs", "random numbers and grids that are 0, for which every answer is right", APART,
        "torch.randn = lambda *n, **k: torch.zeros(n)\ntorch.linspace = lambda a, b, n: torch.zeros(n)\n"
        "torch.full = lambda shape, value: torch.zeros(shape)\ndef scale(x): return x * 0"),
    Case("changed-input", "an input set to 0, from which the expected value is computed later", "arguments are copies",
        "def scale(x):\n    x.zero_()\n    return x.clone()", off="FAIL PASS"),
    Case("name-of-the-expected", "the expected value among the names of the notebook", APART,
        "def scale(x):\n    return expected", off="FAIL FAIL"),  # also in one process tests have names of their own
    Case("random-state", "seeds that are known, and inputs known from before", "random numbers are drawn in the judge",
        "torch.manual_seed(1)\nknown = 3 * torch.randn(4)\ntorch.manual_seed = lambda seed: None\n"
        "import builtins\ntorch.randn = lambda *n: known / 3\ntorch.full = lambda *n: known[:2] / 3\n"
        "def scale(x):\n    return known[:len(x)] if x.dim() == 1 else x", off="FAIL PASS"),
    Case("not-a-number", "comparisons with nan, which are never true", "nan is close to nothing",
        "torch.Tensor.isfinite = lambda x: torch.ones(x.shape, dtype=torch.bool)\n"
        "torch.Tensor.any = lambda *a: False\ntorch.equal = torch.allclose = lambda *a: True\n"
        "torch.Tensor.all = lambda *a: True\ndef scale(x):\n    return x * float('nan')"),
    Case("wrong-dtype", "a result of Python objects that look like numbers", "dtypes are compared, numbers cross",
        "torch.Tensor.dtype = property(lambda x: torch.float32)\n"
        "def scale(x):\n    return (3 * x).double()", off="FAIL PASS", on="TAMPERED TAMPERED"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return lesson.write(tmp_path_factory.mktemp("tensors"), lesson.WITH_TORCH, '"torch"', gib=1)


CLASS = with_honest({case.name: {"scale": case.code} for case in CASES}, HONEST)


def played_with(mode: Mode, tensors: Notebooks) -> Iterator[dict[str, Played]]:
    with Team(2, mode=mode, libraries=("torch",)) as team:
        team.ready()
        yield play(team, tensors, CLASS)


@pytest.fixture(scope="module")
def off(tensors: Notebooks) -> Iterator[dict[str, Played]]:
    yield from played_with(Mode.NOTEBOOK, tensors)


@pytest.fixture(scope="module")
def on(tensors: Notebooks) -> Iterator[dict[str, Played]]:
    yield from played_with(Mode.SANDBOX, tensors)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cheat_with_tensors_wins_in_one_process_and_not_against_the_judge(
    case: Case, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts("scale") == case.off, off[case.name].said
    assert on[case.name].verdicts("scale") == case.on, on[case.name].said
    assert re.search(case.says, on[case.name].said)


def test_honest_learners_get_what_they_get_without_cheats(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))
