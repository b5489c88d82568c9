"""A tiny course for tests and benchmarks: one week of two exercises that needs no torch and runs in milliseconds."""

from __future__ import annotations

from pathlib import Path

WEEK = "week01_tiny"
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

READING = """
[[reading]]
title = "Attention Is All You Need"
authors = "Vaswani et al."
year = 2017
url = "https://arxiv.org/abs/1706.03762"
sections = "section 3.2"
minutes = 30
why = "It doubles the number of heads."
kind = "paper"
must = true
"""
"""What the week may name to read, behind its `WEEK_TOML`; its lesson then is `TIMED`."""
TIME = "about 1 hour: 0.5 of reading, 0.5 of coding"
TIMED = LESSON.replace("# # A tiny week\n", f"# # A tiny week\n#\n# **Time** {TIME}.\n")

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

NBGRADER_CONFIG = Path(__file__).parents[1] / "nbgrader_config.py"
ELSEWHERE = """
from autograder.grading import nbgrader_hooks

nbgrader_hooks.__file__ = str(root / "autograder" / "grading" / "nbgrader_hooks.py")
"""
"""Where the hook of nbgrader_config.py looks for the tiny week."""


def write_tiny_week(root: Path, lesson: str = LESSON, toml: str = WEEK_TOML) -> Path:
    """A checkout with the tiny week as its author wrote it, nothing built; the folder of the week."""
    folder = root / "solutions" / WEEK
    folder.mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'tiny'\n", encoding="utf-8")
    texts = {"tiny.py": lesson, "week.toml": toml, "misconceptions.py": MISCONCEPTIONS, "alternatives.py": ALTERNATIVES}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_nbgrader_config(root: Path) -> None:
    """The project's own nbgrader_config.py, for the checkout of the tiny week."""
    text = NBGRADER_CONFIG.read_text(encoding="utf-8") + ELSEWHERE
    (root / "nbgrader_config.py").write_text(text, encoding="utf-8")
