"""The week that is attacked: three exercises whose tests use bare asserts, checks, builtins, imports and `beside`."""

from __future__ import annotations

from pathlib import Path

from autograder.building.build import instructor_notebook, learner_notebook
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

EXERCISE = '''
# %% [markdown] about="NAME"
# ### Exercise NUMBER. NAME
#
# What NAME says.

# %% exercise="NAME" difficulty=1 minutes=5USES
def NAME(ARGUMENT):
    """What NAME says."""
    ### BEGIN SOLUTION
    return REFERENCE
    ### END SOLUTION

# %% look="NAME"
with checks.look():
    print(NAME(4))

# %% [markdown] hints="NAME"
# <details><summary>Hint 1: the idea</summary>
# a
# </details>
# <details><summary>Hint 2: pseudocode</summary>
# b
# </details>
# <details><summary>Hint 3: nearly code</summary>
# c
# </details>
'''
HEAD = """# %% [markdown]
# # A week under attack

# %% setup=true
SETUP
"""
PLAIN_SETUP = """import math
from shared import checks, observe

def total(answer, items):
    return sum(answer(items))"""
DOUBLE = """
# %% test="double" points=10
with checks.step("double of 2"):
    assert double(2) == 4
    assert isinstance(double(3), int)

# %% test="double" points=20
with checks.step("double of 0"):
    checks.equal(double(0), 0, "double(0)")
### BEGIN HIDDEN TESTS
secret_of_the_test = 123456
with checks.step("double of a secret"):
    checks.equal(double(secret_of_the_test), 246912, "double(secret)")
### END HIDDEN TESTS
"""
QUADRUPLE = """
# %% test="quadruple" points=10
with checks.step("quadruple of 1 and 2"):
    assert abs(quadruple(1) - 4) < 1e-9
    assert all(abs(quadruple(number) - 4 * number) < 1e-9 for number in (2, 7))

# %% test="quadruple" points=20
import math
### BEGIN HIDDEN TESTS
with checks.step("quadruple of -5"):
    assert math.isclose(quadruple(-5), -20)
### END HIDDEN TESTS
"""
TWICE = """
# %% test="twice" points=10
with checks.step("a list, two times"):
    found = twice([1, 2])
    assert len(found) == 4
    assert sorted(found) == [1, 1, 2, 2]
    assert list(found) == [1, 2, 1, 2]
    checks.that(checks.beside(total, twice, [1, 2]) == 6, "the sum")

# %% test="twice" points=10
### BEGIN HIDDEN TESTS
checks.forbidden(["math.fsum"], twice, [1, 2])
### END HIDDEN TESTS
"""
HONEST = {
    "double": "def double(number):\n    return number + number",
    "quadruple": "def quadruple(number):\n    return 4 * number",
    "twice": "def twice(items):\n    return items + items",
}
"""Right answers, none of which needs another."""
TENSORS = """
# %% test="scale" points=40
x = torch.linspace(-1, 1, 6).reshape(2, 3)
expected = 3 * x
with checks.step("three times a grid"):
    result = scale(x)
    assert torch.equal(result, expected)
    assert (result == expected).all()
    assert torch.allclose(result, expected)

# %% test="scale" points=40
torch.manual_seed(1)
x = torch.randn(4)
with checks.step("three times random numbers"):
    checks.close(scale(x), 3 * x, "scale(x)")
### BEGIN HIDDEN TESTS
with checks.step("large numbers"):
    x = torch.full((2,), 1e6)
    checks.close(scale(x), 3 * x, "scale(large)")
### END HIDDEN TESTS
"""
WRITTEN = """
# %% [markdown] written="why" points=20
# **W1.** Why?
#
# ### BEGIN SOLUTION
# Because: 20 points.
# ### END SOLUTION
"""
TENSOR_SETUP = "import torch\nfrom shared import checks"
TOML = """title = "Attacked"
summary = "A week under attack."
hours = 1
libraries = [LIBRARIES]

[limits]
cell_seconds = SECONDS
total_seconds = 30
memory_gib = GIB
"""
VARIANTS = "from autograder.week.variants import KIND\n\nNAME = []\n"


def exercise(number: int, name: str, argument: str, reference: str, tests: str, uses: str = "") -> str:
    words = {
        "NUMBER": str(number),
        "ARGUMENT": argument,
        "REFERENCE": reference,
        "USES": f' uses="{uses}"' if uses else "",
        "NAME": name,
    }
    text = EXERCISE
    for word, value in words.items():
        text = text.replace(word, value)
    return text + tests


PLAIN = HEAD.replace("SETUP", PLAIN_SETUP) + "".join(
    [
        exercise(1, "double", "number", "number + number  # the reference of double", DOUBLE),
        exercise(2, "quadruple", "number", "double(double(number))", QUADRUPLE, uses="double"),
        exercise(3, "twice", "items", "[*items, *items]", TWICE),
        WRITTEN,
    ]
)
WITH_TORCH = HEAD.replace("SETUP", TENSOR_SETUP) + exercise(1, "scale", "x", "3 * x", TENSORS) + WRITTEN


def write(folder: Path, lesson: str, libraries: str = "", seconds: float = 2, gib: float = 0.3) -> Notebooks:
    """Write a week with these limits into `folder` and build it."""
    week = folder / "solutions" / "week01_tiny"
    week.mkdir(parents=True)
    toml = TOML.replace("LIBRARIES", libraries).replace("SECONDS", str(seconds)).replace("GIB", str(gib))
    (week / "tiny.py").write_text(lesson, encoding="utf-8")
    (week / "week.toml").write_text(toml, encoding="utf-8")
    for kind in ("Misconception", "Alternative"):
        name = f"{kind.upper()}S"
        text = VARIANTS.replace("KIND", kind).replace("NAME", name)
        (week / f"{name.lower()}.py").write_text(text, encoding="utf-8")
    loaded = load_week(week)
    instructor = instructor_notebook(loaded)
    return Notebooks(loaded, instructor, learner_notebook(instructor))
