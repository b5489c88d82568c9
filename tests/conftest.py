"""A tiny course for the tests: one week of two exercises that needs no torch and runs in milliseconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

LESSON = '''# %% [markdown]
# # A tiny week

# %% setup=true
from shared import checks

# %% [markdown] about="double"
# ### Exercise 1. Double
#
# Twice a number.

# %% exercise="double" difficulty=1 minutes=5
def double(number: int) -> int:
    """Twice the number (an int)."""
    ### BEGIN SOLUTION
    return number + number
    ### END SOLUTION

# %% look="double"
with checks.look():
    print(double(4))

# %% [markdown] hints="double"
# <details><summary>Hint 1: the idea</summary>
# Add.
# </details>
# <details><summary>Hint 2: pseudocode</summary>
# a number and itself
# </details>
# <details><summary>Hint 3: nearly code</summary>
# use `+`
# </details>

# %% test="double" points=20
with checks.step("double of 2"):
    checks.equal(double(2), 4, "double(2)", causes={"this is the number itself": 2})

# %% test="double" points=20
with checks.step("double of 0"):
    checks.equal(double(0), 0, "double(0)")
### BEGIN HIDDEN TESTS
for number in (-3, 10**9):
    with checks.step(f"double of {number}"):
        checks.equal(double(number), number * 2, f"double({number})")
### END HIDDEN TESTS

# %% [markdown] about="quadruple"
# ### Exercise 2. Quadruple
#
# Four times a number.

# %% exercise="quadruple" difficulty=2 minutes=5 uses="double"
def quadruple(number: int) -> int:
    """Four times the number (an int)."""
    ### BEGIN SOLUTION
    return double(double(number))
    ### END SOLUTION

# %% look="quadruple"
with checks.look():
    print(quadruple(4))

# %% [markdown] hints="quadruple"
# <details><summary>Hint 1: the idea</summary>
# Twice double.
# </details>
# <details><summary>Hint 2: pseudocode</summary>
# double of double
# </details>
# <details><summary>Hint 3: nearly code</summary>
# call `double` on its own result
# </details>

# %% test="quadruple" points=20
with checks.step("quadruple of 1"):
    checks.equal(quadruple(1), 4, "quadruple(1)", causes={"this is the double": 2})

# %% test="quadruple" points=20
with checks.step("quadruple of 0"):
    checks.equal(quadruple(0), 0, "quadruple(0)")
### BEGIN HIDDEN TESTS
with checks.step("quadruple of -5"):
    checks.equal(quadruple(-5), -20, "quadruple(-5)")
### END HIDDEN TESTS

# %% explore=true compare=true
print("two and two is", 2 + 2)

# %% [markdown] written="why" points=20
# **W1.** Why is double twice?
#
# ### BEGIN SOLUTION
# Because a number and itself are two of them: 20 points.
# ### END SOLUTION
'''

WEEK_TOML = """title = "Doubling"
summary = "Learn to double."
hours = 1
libraries = []

[limits]
cell_seconds = 2
total_seconds = 20
memory_gib = 1
"""

MISCONCEPTIONS = """from autograder.week.variants import Misconception

MISCONCEPTIONS = [
    Misconception(
        name="same", exercise="double", edits={"number + number": "number"}, rejected_by="double-test-1",
        says="this is the number itself", note="One is not two.",
    ),
    Misconception(
        name="small-only", exercise="double", edits={"number + number": "number + number if number < 100 else 0"},
        rejected_by="double-test-2", says="double of 1000000000", note="Large numbers double too.",
    ),
    Misconception(
        name="only-double", exercise="quadruple", edits={"double(double(number))": "double(number)"},
        rejected_by="quadruple-test-1", says="this is the double", note="Once is not twice.",
    ),
    Misconception(
        name="positive-only", exercise="quadruple", edits={"double(double(number))": "abs(double(double(number)))"},
        rejected_by="quadruple-test-2", says="quadruple of -5", note="Signs stay.",
    ),
]
"""

ALTERNATIVES = """from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(name="times-two", exercise="double", edits={"number + number": "2 * number"}),
    Alternative(name="times-four", exercise="quadruple", edits={"double(double(number))": "4 * number"}),
]
"""


BACKEND = os.environ.get("MPLBACKEND")


@pytest.fixture(autouse=True)
def matplotlibs_backend() -> None:
    """As when the tests began: `import streamlit` sets it, and each kernel started later would draw no figure."""
    if BACKEND is None:
        os.environ.pop("MPLBACKEND", None)


@pytest.fixture
def tiny_root(tmp_path: Path) -> Path:
    """A checkout with one tiny week, `week01_tiny`, as its author wrote it (nothing built yet)."""
    folder = tmp_path / "checkout" / "solutions" / "week01_tiny"
    folder.mkdir(parents=True)
    (tmp_path / "checkout" / "pyproject.toml").write_text("[project]\nname = 'tiny'\n", encoding="utf-8")
    (folder / "tiny.py").write_text(LESSON, encoding="utf-8")
    (folder / "week.toml").write_text(WEEK_TOML, encoding="utf-8")
    (folder / "misconceptions.py").write_text(MISCONCEPTIONS, encoding="utf-8")
    (folder / "alternatives.py").write_text(ALTERNATIVES, encoding="utf-8")
    return tmp_path / "checkout"


@pytest.fixture
def tiny(tiny_root: Path) -> Notebooks:
    """The tiny week, built."""
    return build_week(load_week(tiny_root / "solutions" / "week01_tiny"))


from .graded_class import class_once, graded  # noqa: E402, F401 - fixtures of several test modules, which need the above


def pytest_report_header() -> list[str]:
    """Which weeks are proven anew in this run, because the proof beside them is of other content."""
    from .chosen import unproven_weeks

    found = unproven_weeks()
    return [f"no proof of their content, so their variants run: {', '.join(found) or 'no week'}"]
