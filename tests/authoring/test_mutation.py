"""Single changes of a cell: which there are, and what is left alone."""

from __future__ import annotations

import ast

import pytest

from autograder.authoring.mutation import imported_names, mutants


def changes(source: str, imported: frozenset[str] = frozenset({"torch"})) -> dict[str, set[str]]:
    """By operator, what the changed lines look like."""
    found: dict[str, set[str]] = {}
    for mutant in mutants("one", source, set(imported)):
        found.setdefault(mutant.operator, set()).add(mutant.change.partition("  =>  ")[2])
    return found


@pytest.mark.parametrize(
    ("source", "operator", "expected"),
    [
        ("y = a + b", "arithmetic", {"y = a - b"}),
        ("y = (a) @ b // c", "arithmetic", {"y = (a) @ b / c"}),
        ("y -= a", "arithmetic", {"y += a"}),
        ("y = a < b", "comparison", {"y = a <= b", "y = a >= b"}),
        ("y = a is not None", "comparison", {"y = a is None"}),
        ("y = a <= b < c", "comparison", {"y = a < b < c", "y = a > b < c", "y = a <= b <= c", "y = a <= b >= c"}),
        ("y = a and b and c", "boolean", {"y = a or b and c", "y = a and b or c"}),
        ("y = -a", "boolean", {"y = a"}),
        ("y = not a", "boolean", {"y = a"}),
        ("y = x[-1]", "constant", {"y = x[-2]"}),
        ("y = x[0]", "constant", {"y = x[1]"}),
        ("y = 0.5", "constant", {"y = 1.0"}),
        ("y = 0.0", "constant", {"y = 1.0"}),
        ("y = True", "constant", {"y = False"}),
        ("y = 'mean'", "constant", {"y = 'mean~'"}),
        ("y = f(a, dim=1, keepdim=b)", "dropped keyword", {"y = f(a, keepdim=b)", "y = f(a, dim=1)"}),
        ("y = f(dim=1, keepdim=b)", "dropped keyword", {"y = f(keepdim=b)", "y = f(dim=1)"}),
        ("y = f(dim=1)", "dropped keyword", {"y = f()"}),
        ("y = f(a, b, c)", "swapped arguments", {"y = f(b, a, c)", "y = f(a, c, b)"}),
        ("y = max(a, b)", "swapped arguments", set()),
        ("y = x.transpose(-2, -1)", "swapped arguments", set()),
        ("y = x.detach().mean(0)", "dropped call", {"y = x.mean(0)", "y = x.detach()"}),
        ("y = torch.exp(x)", "dropped call", {"y = (x)"}),
        ("y = torch.optim.SGD(x)", "dropped call", set()),
        ("y = round(x)", "dropped call", {"y = (x)"}),
        ("y = range(n)", "last step", {"y = range(n - 1)"}),
        ("y = range(1, n, 2)", "last step", {"y = range(1, n - 1, 2)"}),
        ("y = x[1:n]", "last step", {"y = x[:n]", "y = x[1:]"}),
        ("y = x.T", "transpose", {"y = x"}),
        ("y = a if b else c", "condition", {"y = a if True else c", "y = a if False else c"}),
        ("y = [a for a in b if a]", "condition", {"y = [a for a in b if True]"}),
        ("if a:\n    b = 1", "condition", {"if True:", "if False:"}),
        ("if a:\n    raise KeyError", "condition", {"if False:"}),
        ("raise ValueError(f'{a}')", "error class", {"raise KeyError(f'{a}')"}),
        ("raise TypeError", "error class", {"raise ValueError"}),
        ("model.train()", "deleted statement", {"pass"}),
        ("x[0] = 1", "deleted statement", {"pass"}),
        ("def f(x):\n    x = x + 1\n    y = x\n    return y", "deleted statement", {"pass"}),
        ("with torch.no_grad():\n    y = 1", "deleted statement", {"if True:"}),
        ("@torch.no_grad()\ndef f(): ...", "deleted statement", {""}),
    ],
)
def test_each_operator(source: str, operator: str, expected: set[str]) -> None:
    assert changes(source).get(operator, set()) == expected


def test_what_no_test_could_notice_is_left_alone() -> None:
    source = '''
def f(x: "Tensor[2]", y: int | 3) -> "Tensor[4]":
    """Five things in 6 words."""
    if y:
        raise ValueError("7 is wrong", 8)
    import os.path as path
    return f"{x + 9}"
'''
    assert set(changes(source)) == {"condition", "error class"}


def test_a_mutant_is_the_cell_with_one_change_and_says_where() -> None:
    source = "# a ± b\ndef f(a, b):\n    total = (a  # the first\n             + b)\n    return total\n"
    (mutant,) = [one for one in mutants("sum", source, set()) if one.operator == "arithmetic"]
    assert mutant.source == source.replace("+ b", "- b")
    assert mutant.line == 4
    assert mutant.change == "+ b)  =>  - b)"
    assert mutant.exercise == "sum"


def test_equal_changes_are_numbered_and_equal_programs_come_once() -> None:
    source = "def f(a):\n    a.zero()\n    a.zero()\n    return a[0:]\n"
    found = mutants("one", source, set())
    deleted = [one.occurrence for one in found if one.operator == "deleted statement"]
    assert deleted == [1, 2]
    programs = [ast.dump(ast.parse(one.source)) for one in found]
    assert len(programs) == len(set(programs))
    assert ast.dump(ast.parse(source)) not in programs


def test_names_that_imports_bind() -> None:
    sources = "import torch.nn.functional as F\nimport os.path", "from torch import nn as layers, optim"
    assert imported_names(*sources) == {"F", "os", "layers", "optim"}
