"""Mistakes in cell headers and in the parts of an exercise."""

from __future__ import annotations

from .week import CHECK_1, CHECK_2, EXERCISE, EXPLORE, GIVEN, HIDDEN, RUBRIC, TEST_1, TEST_2, TOML, WRITTEN, B, Mistake

HEADERS = {
    "an unquoted word": Mistake(B, "exercise=double", "value of `exercise`", {'exercise="double"': "exercise=double"}),
    "an unquoted list": Mistake(B, "uses=double", "value of `uses`", {'uses="double"': "uses=double"}),
    "curly quotes": Mistake(B, "look=“", "value of `look`", {'look="double"': "look=“double”"}),
    "a number in words": Mistake(B, "difficulty=one", "value of `difficulty`", {"difficulty=1": "difficulty=one"}),
    "a word without value": Mistake(
        B,
        "# %% explore",
        "'explore' in the cell header has no value",
        {"# %% explore=true compare=true": "# %% explore"},
    ),
    "no space behind the mark": Mistake(B, "# %%explore", "would be overlooked", {"# %% explore": "# %%explore"}),
    "no space in the mark": Mistake(B, "#%% explore", "would be overlooked", {"# %% explore": "#%% explore"}),
    "a mark in a string": Mistake(
        B, "# %% inside", "inside a string", {EXPLORE: f'{EXPLORE}\nTEXT = """\n# %% inside\n"""'}
    ),
    "an unknown word": Mistake(B, "colour=", "colour: extra", {EXERCISE: f'{EXERCISE} colour="red"'}),
    "a misspelled word": Mistake(B, "dificulty", "dificulty: extra", {"difficulty=1": "dificulty=1"}),
    "a misspelled kind": Mistake(B, "exercize=", "exercize", {'exercise="double"': 'exercize="double"'}),
    "no kind": Mistake(B, "# %%\nwith", "does not say what the cell is", {'# %% look="double"': "# %%"}),
    "two kinds": Mistake(
        B, 'test="double" look=', "says test, look", {'# %% look="double"': '# %% test="double" look="double" points=3'}
    ),
    "code where text belongs": Mistake(
        B, '%% hints="double"', "must be markdown", {'# %% [markdown] hints="double"': '# %% hints="double"'}
    ),
    "no difficulty": Mistake(
        B, EXERCISE.replace(" difficulty=1", ""), "difficulty: field required", {"difficulty=1 ": ""}
    ),
    "no minutes": Mistake(
        B, 'exercise="double"', "minutes: field required", {EXERCISE: EXERCISE.replace(" minutes=5", "")}
    ),
    "points as text": Mistake(B, 'points="20"', "points: input should be", {TEST_1: TEST_1.replace("20", '"20"', 1)}),
    "negative points": Mistake(B, "points=-20", "greater than or equal to 0", {TEST_1: TEST_1.replace("20", "-20", 1)}),
    "difficulty 6": Mistake(B, "difficulty=6", "less than or equal to 5", {"difficulty=1": "difficulty=6"}),
    "a name in capitals": Mistake(
        B, 'written="Why"', "written: string should match", {'written="why"': 'written="Why"'}
    ),
    "text before the first cell": Mistake(
        B, "", "text before the first cell", {"# %% [markdown]\n# # A": "import math\n# %% [markdown]\n# # A"}
    ),
}

STRUCTURE = {
    "the same exercise twice": Mistake(
        B,
        EXERCISE,
        "a second cell named 'double'",
        {
            GIVEN: GIVEN + EXERCISE.replace("=5", "=6") + '\ndef twice(number: int) -> int:\n    """Twice."""\n'
            "    ### BEGIN SOLUTION\n    return 2 * number\n    ### END SOLUTION\n\n"
        },
    ),
    "a test of no exercise": Mistake(
        B, 'test="dubble"', "no exercise 'dubble'", {TEST_1: f'# %% test="dubble" points=0\nassert checks\n\n{TEST_1}'}
    ),
    "a test before its exercise": Mistake(
        B,
        "checks.equal(double(1), 2",
        "needs 'double', which double defines below",
        {
            GIVEN: f'{GIVEN}# %% test="double" points=0\nwith checks.step("double of 1"):\n'
            '    checks.equal(double(1), 2, "double(1)")\n\n'
        },
    ),
    "a test that needs a later exercise": Mistake(
        B,
        "quadruple(0) + 0",
        "needs 'quadruple', which quadruple defines below",
        {CHECK_2: 'checks.equal(double(0), quadruple(0) + 0, "double(0)")'},
    ),
    "a solution without end": Mistake(
        B,
        "    ### BEGIN SOLUTION\n    return number",
        "without END SOLUTION",
        {"number + number\n    ### END SOLUTION": "number + number"},
    ),
    "a mark with two hashes": Mistake(
        B,
        "## BEGIN HIDDEN TESTS\nfor",
        "not one of the marks",
        {"### BEGIN HIDDEN TESTS\nfor": "## BEGIN HIDDEN TESTS\nfor"},
    ),
    "a mark in the singular": Mistake(
        B,
        "### BEGIN HIDDEN TEST\n",
        "not one of the marks",
        {"### BEGIN HIDDEN TESTS\nfor": "### BEGIN HIDDEN TEST\nfor"},
    ),
    "a hidden test in a look cell": Mistake(
        B,
        "### BEGIN HIDDEN TESTS\nx",
        "HIDDEN TESTS marks in a cell of another kind",
        {"print(double(4))": "print(double(4))\n### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS"},
    ),
    "no solution": Mistake(
        B,
        EXERCISE,
        "no solution region",
        {"    ### BEGIN SOLUTION\n    return number + number\n    ### END SOLUTION\n": "    return number + number\n"},
    ),
    "a question without rubric": Mistake(B, WRITTEN, "no solution region", {RUBRIC: ""}),
    "no hints": Mistake(B, EXERCISE, "0 hints cells", {'# %% [markdown] hints="double"\n': "# %% [markdown]\n"}),
    "two of three hints": Mistake(
        B,
        '[markdown] hints="double"',
        "folded hints are",
        {"# <details><summary>Hint 3: nearly code</summary>\n# use `+`\n# </details>\n": ""},
    ),
    "an open fold": Mistake(
        B, '[markdown] hints="double"', "do not pair up", {"# use `+`\n# </details>\n": "# use `+`\n"}
    ),
    "no about": Mistake(B, EXERCISE, "0 about cells", {'# %% [markdown] about="double"\n': "# %% [markdown]\n"}),
    "no look": Mistake(B, EXERCISE, "0 look cells", {'# %% look="double"': "# %% explore=true"}),
    "no hidden test": Mistake(B, EXERCISE, "no hidden test", {HIDDEN: ""}),
    "no test": Mistake(
        B, EXERCISE, "has no test", {f"{TEST_1}\n    {CHECK_1}\n\n": "", f"{TEST_2}\n    {CHECK_2}\n{HIDDEN}": ""}
    ),
    "many points in one test": Mistake(
        B,
        EXERCISE,
        "worth 40 points in one piece",
        {f"{TEST_1}\n    {CHECK_1}\n\n": "", TEST_2: TEST_2.replace("20", "40")},
    ),
    "79 points": Mistake(B, "points=19", "add up to 79 points", {TEST_1: TEST_1.replace("20", "19", 1)}),
    "21 written points": Mistake(B, "points=21", "add up to 21 points", {WRITTEN: WRITTEN.replace("20", "21")}),
    "no set-up cell": Mistake(B, "", "0 set-up cells", {"# %% setup=true": '# %% given="imports"'}),
    "no docstring": Mistake(B, "def double", "double has no docstring", {'    """Twice the number (an int)."""\n': ""}),
    "uses an unknown exercise": Mistake(
        B, 'uses="dubble"', "unknown exercises: dubble", {'uses="double"': 'uses="dubble"'}
    ),
    "uses in a circle": Mistake(B, EXERCISE, "in a circle", {EXERCISE: f'{EXERCISE} uses="quadruple"'}),
    "uses left out": Mistake(B, 'exercise="quadruple"', "builds on double without saying so", {' uses="double"': ""}),
    "forbids without a check": Mistake(
        B, "forbids=", "do not agree", {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.add"')}
    ),
    "forbids a module that is not there": Mistake(
        B,
        "forbids=",
        "no module 'operatr'",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operatr.add"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"},
    ),
    "hidden code in a hint": Mistake(
        B,
        '[markdown] hints="quadruple"',
        "shows solution or hidden test code",
        {"# call `double` on its own result": "# ```python\n# return double(double(number))\n# ```"},
    ),
    "the rubric in the question": Mistake(
        B,
        WRITTEN,
        "rubric line shown",
        {"is double twice?\n": "is double twice? Because a number and itself are two of them: 20 points. So?\n"},
    ),
    "a note that is left": Mistake(
        B, "AUTHOR:", "a note to the author is left", {EXPLORE: f"# AUTHOR: another example\n{EXPLORE}"}
    ),
    "a note in week.toml": Mistake(
        B, "AUTHOR:", "a note to the author is left", {"hours = 1": "hours = 1  # AUTHOR: how many?"}, TOML
    ),
}
