"""Each rule of the strict builder: break one thing of a sound week, and that is what is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.building import lint
from autograder.core.errors import BuildError, Problem
from autograder.week import marks, names
from autograder.week.source import Week, load_week

SETUP = "# %% setup=true\nfrom shared import checks\n"
TITLE = "# %% [markdown]\n# # A tiny week\n\n"
LOOK = '# %% look="double"\nwith checks.look():\n    print(double(4))\n'
ABOUT = '# %% [markdown] about="double"\n# ### Exercise 1. Double\n#\n# Twice a number.\n\n'
STUB = '# %% exercise="double" difficulty=1 minutes=5'
STUB_2 = '# %% exercise="quadruple" difficulty=2 minutes=5 uses="double"'
SOLUTION = "    ### BEGIN SOLUTION\n    return number + number\n    ### END SOLUTION\n"
HINTS = '# %% [markdown] hints="double"'
TEST_1 = '# %% test="double" points=20\nwith checks.step("double of 2"):'
TEST_2 = '# %% test="double" points=20\nwith checks.step("double of 0"):'
FIRST_TEST = f"""{TEST_1}
    checks.equal(double(2), 4, "double(2)", causes={{"this is the number itself": 2}})
"""
HIDDEN = """### BEGIN HIDDEN TESTS
for number in (-3, 10**9):
    with checks.step(f"double of {number}"):
        checks.equal(double(number), number * 2, f"double({number})")
### END HIDDEN TESTS
"""
SECOND_TEST = f"""{TEST_2}
    checks.equal(double(0), 0, "double(0)")
{HIDDEN}"""
WRITTEN = '# %% [markdown] written="why" points=20'
SOLUTION_REMEDY = "balance the ### BEGIN SOLUTION / ### END SOLUTION lines"
HIDDEN_REMEDY = "balance the ### BEGIN HIDDEN TESTS / ### END HIDDEN TESTS lines"
FORBIDS_MESSAGE = "the header's `forbids` and the test do not agree"
FORBIDS_REMEDY = "name the shortcuts in the header and call checks.forbidden(FORBIDDEN, ...) in the test"
HINTS_REMEDY = (
    "write three <details><summary>Hint N: ...</summary>: idea, pseudocode, nearly code; "
    "after them, symptoms if you like"
)

DRAWN = TEST_1.replace("with", "many = checks.fresh_seed()\nwith").replace('"double of 2"', 'f"double, {many} times"')
DRAWN_TITLE = "the title of this step holds f'double, {many} times', which is drawn anew in every run"

Edits = dict[str, str]
Found = tuple[str, str, str]  # a text in the cell (or "" for line 1), the message, the remedy


def edited(root: Path, edits: Edits) -> Week:
    """The tiny week after some edits of its script."""
    folder = root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    return load_week(folder)


def header_line(week: Week, inside: str) -> int:
    """The number of the header of the cell with this text; 1 without a text."""
    if not inside:
        return 1
    return header_above(week, week.script.read_text(encoding="utf-8").partition(inside)[0].count("\n") + 1)


def header_above(week: Week, line: int) -> int:
    """The number of the header of the cell with this line. (`author_mistakes` says which line exactly.)"""
    return max(cell.line for cell in week.cells if cell.line <= line)


def test_a_sound_week_breaks_no_rule(tiny_root: Path) -> None:
    assert lint.check(edited(tiny_root, {})) == []


CASES: dict[str, tuple[Edits, list[Found]]] = {
    # ---- titles
    "a drawn number in the title of a step": (
        {TEST_1: DRAWN},
        [('with checks.step(f"double, {many}', DRAWN_TITLE, "say it in words: `a fresh input`")],
    ),
    # ---- marks
    "solution without end": (
        {"number + number\n    ### END SOLUTION\n": "number + number\n"},
        [(STUB, "BEGIN SOLUTION without END SOLUTION", SOLUTION_REMEDY)],
    ),
    "solution without begin": (
        {"    ### BEGIN SOLUTION\n    return number": "    return number"},
        [(STUB, "END SOLUTION without BEGIN SOLUTION", SOLUTION_REMEDY)],
    ),
    "solution in a solution": (
        {SOLUTION: "    ### BEGIN SOLUTION\n" + SOLUTION},
        [(STUB, "BEGIN SOLUTION inside another BEGIN SOLUTION", SOLUTION_REMEDY)],
    ),
    "hidden tests without end": (
        {'f"double({number})")\n### END HIDDEN TESTS\n': 'f"double({number})")\n'},
        [(TEST_2, "BEGIN HIDDEN TESTS without END HIDDEN TESTS", HIDDEN_REMEDY)],
    ),
    "no solution in an exercise": (
        {SOLUTION: "    return number + number\n"},
        [(STUB, "no solution region", "put the answer between ### BEGIN SOLUTION and ### END SOLUTION")],
    ),
    "no solution in a written question": (
        {"# ### BEGIN SOLUTION\n# Because": "# Because", "20 points.\n# ### END SOLUTION": "20 points."},
        [(WRITTEN, "no solution region", "put the rubric between ### BEGIN SOLUTION and ### END SOLUTION")],
    ),
    "solution in an explore cell": (
        {'print("two and two is", 2 + 2)': '### BEGIN SOLUTION\nprint("two and two is", 2 + 2)\n### END SOLUTION'},
        [("two and two", "SOLUTION marks in a cell of another kind", "move them to a cell of the right kind")],
    ),
    "hidden tests in a look cell": (
        {LOOK: f"{LOOK}### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS\n"},
        [(LOOK, "HIDDEN TESTS marks in a cell of another kind", "move them to a cell of the right kind")],
    ),
    # ---- names
    "a second exercise of the same name": (
        {STUB_2: '# %% exercise="double" difficulty=2 minutes=5\ndef twice(number: int) -> int:\n'
                 '    """Twice."""\n' + SOLUTION + f"\n{STUB_2}"},
        [("def twice", "a second cell named 'double'; the first is at line 12", "rename one")],
    ),
    "a second written question of the same name": (
        {f"{WRITTEN}\n": f'{WRITTEN.replace("20", "5")}\n# Why?\n# ### BEGIN SOLUTION\n# So.\n# ### END SOLUTION\n\n'
                         f'{WRITTEN.replace("20", "15")}\n'},
        [("# **W1.**", "a second cell named 'written-why'; the first is at line 89", "rename one")],
    ),
    "two hints cells": (
        {HINTS: f'{HINTS}\n# <details><summary>Hint 1: a</summary>a</details>\n'
                '# <details><summary>Hint 2: b</summary>b</details>\n'
                f'# <details><summary>Hint 3: c</summary>c</details>\n\n{HINTS}'},
        [("the idea</summary>\n# Add", "a second cell named 'double-hints'; the first is at line 23", "rename one")],
    ),
    "a look cell of an unknown exercise": (
        {LOOK: LOOK + '\n# %% look="triple"\nprint(3)\n'},
        [('look="triple"', "there is no exercise 'triple'", "exercises here: double, quadruple")],
    ),
    "a test of an unknown exercise": (
        {TEST_1: f'# %% test="triple" points=0\nassert checks\n\n{TEST_1}'},
        [('test="triple"', "there is no exercise 'triple'", "exercises here: double, quadruple")],
    ),
    "no set-up cell": (
        {SETUP: ""},
        [("", "0 set-up cells", "write exactly one `# %% setup=true` cell")],
    ),
    "two set-up cells": (
        {SETUP: f"{SETUP}\n# %% setup=true\nfactor = 3\n"},
        [("factor = 3", "a second cell named 'setup'; the first is at line 4", "rename one")],
    ),
    "two set-up cells, the first of them at the top": (
        {TITLE: "# %% setup=true\nfactor = 3\n\n"},
        [(SETUP, "a second cell named 'setup'; the first is at line 1", "rename one")],
    ),
    "an import that no cell uses": (
        {SETUP: f"{SETUP}\nimport math\nimport json as path, re"},
        [
            (SETUP, "'math' is imported, and no cell uses it", "remove it"),
            (SETUP, "'path' is imported, and no cell uses it", "remove it"),
            (SETUP, "'re' is imported, and no cell uses it", "remove it"),
        ],
    ),
    # ---- what an exercise builds on
    "uses an unknown exercise": (
        {'uses="double"': 'uses="double, triple, half"'},
        [('"double, triple', "uses unknown exercises: triple, half", "name exercises of this week")],
    ),
    "uses each other": (
        {STUB: f'{STUB} uses="quadruple"'},
        [(STUB, "the exercises use each other in a circle: double -> quadruple -> double", "break the circle")],
    ),
    "uses itself": (
        {STUB: f'{STUB} uses="double"'},
        [(STUB, "the exercises use each other in a circle: double -> double", "break the circle")],
    ),
    "builds on an exercise in its solution": (
        {' uses="double"': ""},
        [('exercise="quadruple"', "exercise 'quadruple' builds on double without saying so", 'write uses="double"')],
    ),
    "builds on an exercise in its test": (
        {' uses="double"': "", "double(double(number))": "4 * number",
         "checks.equal(quadruple(0), 0,": "checks.equal(quadruple(0), double(0),"},
        [('exercise="quadruple"', "exercise 'quadruple' builds on double without saying so", 'write uses="double"')],
    ),
    "builds on an exercise through a given cell": (
        {' uses="double"': "", "double(double(number))": "helper(number)",
         STUB_2.replace(' uses="double"', ""):
             '# %% given="helper"\ndef helper(number: int) -> int:\n    return double(double(number))\n\n'
             + STUB_2.replace(' uses="double"', "")},
        [('exercise="quadruple"', "exercise 'quadruple' builds on double without saying so", 'write uses="double"')],
    ),
    # ---- the parts of an exercise
    "no about cell": (
        {ABOUT: ""},
        [(STUB, "exercise 'double' has 0 about cells", 'write one `# %% [markdown] about="double"` cell')],
    ),
    "two about cells": (
        {ABOUT: ABOUT + ABOUT.replace("Twice", "Two times")},
        [("# Two times", "a second cell named 'double-about'; the first is at line 7", "rename one")],
    ),
    "no hints cell": (
        {'# %% [markdown] hints="double"\n': "# %% [markdown]\n"},
        [(STUB, "exercise 'double' has 0 hints cells", 'write one `# %% [markdown] hints="double"` cell')],
    ),
    "no look cell": (
        {LOOK: ""},
        [(STUB, "exercise 'double' has 0 look cells", 'write one `# %% look="double"` cell')],
    ),
    "no hidden test": (
        {HIDDEN: ""},
        [(STUB, "exercise 'double' has no hidden test", "add a ### BEGIN HIDDEN TESTS region")],
    ),
    "an empty hidden test": (
        {HIDDEN: "### BEGIN HIDDEN TESTS\n\n# nothing yet\n### END HIDDEN TESTS\n"},
        [(STUB, "exercise 'double' has no hidden test", "add a ### BEGIN HIDDEN TESTS region")],
    ),
    "no test": (
        {FIRST_TEST: "",
         SECOND_TEST: ""},
        [(STUB, "exercise 'double' has no test", 'write a `# %% test="double" points=...` cell')],
    ),
    "many points in one test": (
        {FIRST_TEST: "",
         TEST_2: TEST_2.replace("20", "40")},
        [(STUB, "exercise 'double' is worth 40 points in one piece",
          "split its tests into at least two cells, one of them wholly visible")],
    ),
    "many points in one wholly visible test": (
        {FIRST_TEST: "", TEST_2: TEST_2.replace("20", "40"), HIDDEN: ""},
        [(STUB, "exercise 'double' has no hidden test", "add a ### BEGIN HIDDEN TESTS region")],
    ),
    "many points without a wholly visible test": (
        {FIRST_TEST: f"{FIRST_TEST}### BEGIN HIDDEN TESTS\nchecks.equal(double(5), 10)\n### END HIDDEN TESTS\n"},
        [(STUB, "exercise 'double' is worth 40 points in one piece",
          "split its tests into at least two cells, one of them wholly visible")],
    ),
    "a function without docstring": (
        {'    """Twice the number (an int)."""\n': ""},
        [(STUB, "double has no docstring", "say shapes, dtypes, units, errors and the source")],
    ),
    "a class and a method without docstring": (
        {STUB_2: f'# %% given="k"\nK = 1\n\n{STUB_2}',
         "def quadruple(number: int) -> int:": "class Tool:\n    def __init__(self) -> None:\n        self.k = K\n\n"
                     "    def _own(self) -> None: ...\n\n    def use(self) -> int:\n        return self.k\n\n\n"
                     "def quadruple(number: int) -> int:"},
        [
            (STUB_2, "Tool has no docstring", "say shapes, dtypes, units, errors and the source"),
            (STUB_2, "Tool.use has no docstring", "say what it takes and returns"),
        ],
    ),
    "a stub that does not parse": (
        {"return number + number": "return number +* number"},
        [(STUB, "double does not parse: invalid syntax", "fix the syntax")],
    ),
    "two hints": (
        {"# <details><summary>Hint 3: nearly code</summary>\n# use `+`\n# </details>\n": ""},
        [(HINTS, "the folded hints are ['Hint 1', 'Hint 2']", HINTS_REMEDY)],
    ),
    "hints in another order": (
        {"Hint 1: the idea</summary>\n# Add.": "Hint 2: the idea</summary>\n# Add.",
         "Hint 2: pseudocode</summary>\n# a number": "Hint 1: pseudocode</summary>\n# a number"},
        [(HINTS, "the folded hints are ['Hint 2', 'Hint 1', 'Hint 3']", HINTS_REMEDY)],
    ),
    "an open fold": (
        {"# use `+`\n# </details>\n": "# use `+`\n"},
        [(HINTS, "<details> and </details> do not pair up", "close every fold")],
    ),
    # ---- shortcuts
    "forbids without a check": (
        {TEST_1: TEST_1.replace("points=20", 'points=20 forbids="operator.add"')},
        [("forbids=", FORBIDS_MESSAGE, FORBIDS_REMEDY)],
    ),
    "a check without forbids": (
        {TEST_1: f"{TEST_1}\n    checks.forbidden(FORBIDDEN, double, 2)"},
        [("checks.forbidden", FORBIDS_MESSAGE, FORBIDS_REMEDY)],
    ),
    # ---- points
    "79 points": (
        {TEST_1: TEST_1.replace("20", "19")},
        [(TEST_1.replace("20", "19"), "the test cells add up to 79 points, not 80",
          "change the `points` words: double-test-1 19 (line 34), double-test-2 20 (line 38), "
          "quadruple-test-1 20 (line 74), quadruple-test-2 20 (line 78)")],
    ),
    "21 written points": (
        {WRITTEN: WRITTEN.replace("20", "21")},
        [(WRITTEN.replace("20", "21"), "the written questions add up to 21 points, not 20",
          "change the `points` words: written-why 21 (line 89)")],
    ),
    # ---- what is skipped
    "a test that uses a name of a look cell": (
        {LOOK: LOOK + "shown = 2\n", "checks.equal(double(2), 4,": "checks.equal(double(shown), 4,"},
        [("double(shown)", "uses 'shown', which only a look or explore cell sets", "set it in a graded cell")],
    ),
    "a solution that uses a function of an explore cell": (
        {STUB_2: f"# %% explore=true\ndef add(a: int, b: int) -> int:\n    return a + b\n\n{STUB_2}",
         "double(double(number))": "add(double(number), double(number))"},
        [("BEGIN SOLUTION\n    return add(", "uses 'add', which only a look or explore cell sets",
          "set it in a graded cell")],
    ),
    "a test that uses an import of an explore cell": (
        {STUB_2: f"# %% explore=true\nimport math as maths\n\n{STUB_2}",
         "checks.equal(quadruple(0), 0,": "checks.equal(quadruple(0), maths.floor(0),"},
        [("maths.floor", "uses 'maths', which only a look or explore cell sets", "set it in a graded cell")],
    ),
    # ---- what the warm process imports
    "an optimizer that no library brings": (
        {STUB_2: f'# %% given="maker"\ndef maker(torch: object) -> object:\n    return torch.optim.Adam\n\n\n{STUB_2}'},
        [("torch.optim.Adam",
          "given-maker makes an optimizer, and each submission would import what that needs, for seconds",
          'add "torch.optim" to `libraries` in week.toml')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_broken_thing_gives_exactly_its_problem(tiny_root: Path, case: str) -> None:
    edits, expected = CASES[case]
    week = edited(tiny_root, edits)
    found = [(header_above(week, item.line), item.message, item.remedy) for item in lint.check(week)]
    assert found == [(header_line(week, inside), message, remedy) for inside, message, remedy in expected]


@pytest.mark.parametrize("cell", ["test", "set-up"])
def test_other_code_that_does_not_parse_is_found_too(tiny_root: Path, cell: str) -> None:
    inside = {"test": "checks.equal(double(0), 0,", "set-up": "from shared import checks"}[cell]
    week = edited(tiny_root, {inside: f"1 +* 1\n{inside}"})
    (problem,) = lint.check(week)
    assert "does not parse" in problem.message
    assert week.script.read_text(encoding="utf-8").splitlines()[problem.line - 1].strip() == "1 +* 1"


ALLOWED: dict[str, Edits] = {
    "one test of few points, hidden in part": {
        FIRST_TEST: "",
        TEST_2: TEST_2.replace("20", "8"),
        '# %% test="quadruple" points=20\nwith checks.step("quadruple of 0"):':
            '# %% test="quadruple" points=52\nwith checks.step("quadruple of 0"):',
    },
    "symptoms after the three hints": {
        "# use `+`\n# </details>\n":
            "# use `+`\n# </details>\n# <details><summary>I get a list</summary>\n# x\n# </details>\n",
    },
    "comments that begin like a mark": {
        "# Twice a number.": "# ## Begin here\n#\n# Twice a number.",
        "    return number + number\n": "    # end with the sum\n    return number + number\n",
    },
    "the same answer twice, beside other checks": {
        "    checks.equal(double(0), 0, \"double(0)\")": "    checks.equal(double(0), double(0), \"double(0)\")\n"
        "    checks.equal(double(0), 0, \"double(0)\")",
    },
    "answers compared with each other": {
        "checks.equal(double(0), 0,": "checks.equal(double(0), double(1) - double(1),",
    },
    "an exact fraction": {"checks.equal(double(0), 0,": "checks.equal(double(0.25), 0.5,"},
    "links and paths that learners have": {
        "# Twice a number.": "# Twice a [number](https://x.org/home/ann), `![name](file.png)`, or [here](#there).",
    },
    "a module that may be missing": {
        LOOK: LOOK + "try:\n    import no_such_module\nexcept ImportError:\n    no_such_module = None\n",
    },
    "a function that uses what is defined below": {
        "    return number + number\n": "    return number + number + OFFSET\n",
        '# %% look="double"': '# %% given="offset"\nOFFSET = 0\n\n# %% look="double"',
    },
    "an optimizer that is only shown": {LOOK: LOOK + "import torch.optim\n"},
    "several look cells": {LOOK: f"{LOOK}\n{LOOK}"},
    "uses through another exercise": {
        STUB_2: '# %% [markdown] about="same"\n# ### Same\n\n# %% exercise="same" difficulty=1 minutes=1\n'
                'def same(number: int) -> int:\n    """The number."""\n    ### BEGIN SOLUTION\n    return number\n'
                '    ### END SOLUTION\n\n# %% look="same"\nprint(same)\n\n# %% [markdown] hints="same"\n'
                '# <details><summary>Hint 1</summary></details>\n# <details><summary>Hint 2</summary></details>\n'
                '# <details><summary>Hint 3</summary></details>\n\n# %% test="same" points=0\n'
                f'### BEGIN HIDDEN TESTS\nchecks.that(same(1) == 1, "same")\n### END HIDDEN TESTS\n\n{STUB_2}',
        STUB: f'{STUB} uses="same"',
        "double(double(number))": "same(double(double(number)))",
    },
    "forbids and its check": {
        TEST_1: TEST_1.replace("points=20", 'points=20 forbids="operator.add"')
        + "\n    checks.forbidden(FORBIDDEN, double, 2)",
    },
    "a name that a graded cell sets, too": {
        LOOK: LOOK + "shown = 2\n",
        TEST_1: TEST_1.replace("with", "shown = 2\nwith"),
        "checks.equal(double(2), 4,": "checks.equal(double(shown), 4,",
    },
    "a parameter called like another exercise": {
        ' uses="double"': "",
        "def quadruple(number: int) -> int:": "def quadruple(number: int, double: int = 4) -> int:",
        "return double(double(number))": "return double * number",
    },
    "a local name that another exercise uses in a comprehension": {
        ' uses="double"': "",
        '# %% exercise="double" difficulty=1 minutes=5\n':
            '# %% exercise="double" difficulty=1 minutes=5\nTABLE = [2 * factor for factor in range(3)]\n\n\n',
        "return double(double(number))": "factor = 4\n    return factor * number",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_what_only_looks_like_a_broken_rule_is_allowed(tiny_root: Path, case: str) -> None:
    assert lint.check(edited(tiny_root, ALLOWED[case])) == []


def test_all_problems_come_in_the_order_of_the_file(tiny_root: Path) -> None:
    week = edited(tiny_root, {WRITTEN: WRITTEN.replace("20", "21"), LOOK: "", ' uses="double"': ""})
    problems = lint.check(week)
    assert [item.line for item in problems] == sorted(item.line for item in problems)
    assert [item.message.split()[-1] for item in problems] == ["cells", "so", "20"]


def test_a_problem_reads_as_one_line_that_an_editor_can_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(tmp_path / "week" / "x.py", 7, "no look", "write one")
    assert str(problem) == f"{tmp_path}/week/x.py:7: no look -> write one"
    monkeypatch.chdir(tmp_path)
    assert str(problem) == "week/x.py:7: no look -> write one"
    both = BuildError([problem, problem])
    assert str(both) == f"{problem}\n{problem}"
    assert both.problems == [problem, problem]


def test_regions_are_the_texts_between_the_marks() -> None:
    source = "a\n### BEGIN SOLUTION\nb\n    c\n### END SOLUTION\nd\n    ### BEGIN SOLUTION\n    ### END SOLUTION"
    assert marks.regions(source, "SOLUTION") == ["b\n    c", ""]
    assert marks.regions(source, "HIDDEN TESTS") == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("### BEGIN SOLUTION\nx", "BEGIN SOLUTION without END SOLUTION"),
        ("### END SOLUTION\nx", "END SOLUTION without BEGIN SOLUTION"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION", "BEGIN SOLUTION inside another BEGIN SOLUTION"),
        ("### BEGIN SOLUTION\n### END SOLUTION\n### END SOLUTION", "END SOLUTION without BEGIN SOLUTION"),
    ],
)
def test_unbalanced_marks_are_a_value_error(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        marks.regions(source, "SOLUTION")


def test_which_lines_of_a_test_are_hidden() -> None:
    source = "a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc\n### BEGIN HIDDEN TESTS\nd\n### END HIDDEN TESTS"
    hidden = [line for line in (1, 3, 5, 7) if marks.in_hidden_test(source, line)]
    assert hidden == [3, 7]
    assert not marks.in_hidden_test("a\nb", 2)


def test_reachable_follows_names_through_graded_cells_only(tiny_root: Path) -> None:
    week = edited(
        tiny_root,
        {
            STUB: '# %% given="factor"\nFACTOR = checks and 2\n\n' + STUB,
            "return number + number": "return FACTOR * number",
            LOOK: LOOK + "shown = double(2)\n",
            "checks.equal(quadruple(0), 0,": "checks.equal(quadruple(0), shown * 0,",
        },
    )
    cells = {cell.id: cell for cell in week.cells}
    everything = {"double", "given-factor", "setup"}
    assert names.reachable(week, cells["given-factor"]) == {"given-factor", "setup"}
    assert names.reachable(week, cells["double"]) == everything
    assert names.reachable(week, cells["double-test-1"]) == everything | {"double-test-1"}
    assert names.reachable(week, cells["quadruple-test-2"]) == everything | {"quadruple", "quadruple-test-2"}
    assert names.reachable(week, cells["quadruple-explore-1"]) == {"quadruple-explore-1"}
