"""Which lines of a test cell work on inputs that are drawn anew in every run."""

from __future__ import annotations

import pytest

from autograder.week.drawn import drawn_lines, drawn_titles

CELL = """\
x = torch.ones(3)
seed = checks.fresh_seed()
randn = checks.normal(seed)
with checks.step("fixed"):
    checks.equal(f(1), 2)
    out = f(x)
    checks.close(out, x)
with checks.step("fresh"):
    checks.shape(f(x), (3,))
    out = f(randn(3))
    checks.close(
        out,
        x,
    )
with checks.step("fixed again"):
    out = f(x)
    checks.close(out, x)
"""


def test_a_line_is_drawn_while_a_name_on_it_is() -> None:
    assert drawn_lines(CELL) == {2, 3, 10, 11, 12, 13, 14}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("a = checks.fresh_seed() % 7\nf(a)\na = 1\nf(a)", {1, 2}),
        ("a, b = checks.fresh_seed(), 1\nf(b)\nf(a)", {1, 3}),
        ("a, b = g(checks.fresh_seed())\nf(b)", {1, 2}),
        ("def make():\n    return checks.fresh_seed()\nf(1)\nf(make())", {4}),
        ("s = checks.fresh_seed()\nfor name, n in zip(names, [s, s + 1]):\n    f(name)\n    f(n)", {1, 2, 4}),
        ("s = checks.fresh_seed()\nfor n, v in enumerate(make(s)):\n    f(n)\n    f(v)", {1, 2, 4}),
        ("s = checks.fresh_seed()\nfor name, n in (('a', 1), ('b', s)):\n    f(name)\n    f(n)", {1, 2, 4}),
        ("s = checks.fresh_seed()\nfor n in (1, 2):\n    f(n)", {1}),
        ("for n in (1, 2):\n    f(x)\n    x = checks.fresh_seed()", {2, 3}),
        ("s = checks.fresh_seed()\nif ready:\n    s = 1\nf(s)", {1, 4}),
        ("box.size = checks.fresh_seed()\nf(box)", {1, 2}),
        ("total = 0\ntotal += checks.fresh_seed()\nf(total)", {2, 3}),
        ("f(s := checks.fresh_seed())\nf(s)", {1, 2}),
        ("seed = checks.known_seed()\nf(seed)", set()),
    ],
)
def test_how_what_is_drawn_flows(source: str, lines: set[int]) -> None:
    assert drawn_lines(source) == lines


def test_a_title_with_a_drawn_number_is_found() -> None:
    cell = "many = checks.fresh_seed() % 9\n{}with checks.step(f'of {{many}} rows'):\n    checks.equal(f(many), many)\n"
    assert drawn_titles(cell.format("")) == ((2, "f'of {many} rows'"),)
    assert drawn_titles(cell.format("many = 5\n")) == ()
    assert drawn_titles("for many in (1, 2):\n    with checks.step(f'of {many} rows'):\n        f(many)") == ()
