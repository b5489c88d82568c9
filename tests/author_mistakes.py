"""Mistakes that authors make, each with where it must be told: one problem, with file, line and remedy.

`python -m tests.author_mistakes` makes each of them in a small week and prints what the author reads.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from autograder.build import build_week, write_week
from autograder.errors import BuildError, Problem, WorkbookError
from autograder.lies import find_lies
from autograder.mutants import load_equivalents, try_mutants
from autograder.source import load_week
from autograder.verify import load_proofs, verify_week

from .conftest import ALTERNATIVES, LESSON, MISCONCEPTIONS, WEEK_TOML

WEEK = "week12_some_topic"
LESSON_FILE = "some_topic.py"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HEADER = "# # A tiny week\n#\n# ![A dot.](outcome.png)\n#\n# **Time** about 1 hour.\n"
GIVEN = '# %% given="start"\nSTART = 0\n\n'
SOUND: dict[str, bytes] = {
    LESSON_FILE: LESSON.replace("# # A tiny week\n", HEADER)
    .replace('# %% [markdown] about="double"', f'{GIVEN}# %% [markdown] about="double"')
    .encode(),
    "week.toml": WEEK_TOML.encode(),
    "misconceptions.py": MISCONCEPTIONS.encode(),
    "alternatives.py": ALTERNATIVES.encode(),
    "outputs.json": b'{\n "quadruple-explore-1": "two and two is 4\\n"\n}\n',
    "outcome.png": PIXEL,
}
"""The files of a small week without mistakes. It needs no torch."""


class Verb(StrEnum):
    """What the author types."""

    BUILD = "build"
    VERIFY = "verify"
    MUTANTS = "verify --mutants"
    LIES = "verify --lies"


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes
    ----------
    verb : the command that must tell it.
    file : where it is made. edits : old text -> new text, each once in the file; or `whole`, the file's content.
    at : a text in the line where it must be told, in the file `told_in`; "" is the first line.
    says : a piece of the message.
    """

    verb: Verb
    at: str
    says: str
    edits: dict[str, str] = field(default_factory=dict)
    file: str = LESSON_FILE
    whole: bytes | None = None
    told_in: str = ""

    def make(self, folder: Path) -> None:
        """Make the mistake in a sound week."""
        path = folder / self.file
        if self.whole is not None:
            path.write_bytes(self.whole)
        text = path.read_text(encoding="utf-8") if self.edits else ""
        for old, new in self.edits.items():
            assert text.count(old) == 1, (text.count(old), old)
            text = text.replace(old, new)
        if self.edits:
            path.write_text(text, encoding="utf-8")

    def place(self, folder: Path) -> tuple[Path, int]:
        """File and line where it must be told."""
        path = folder / (self.told_in or self.file)
        if not self.at:
            return path, 1
        before, found, after = path.read_text(encoding="utf-8", errors="replace").partition(self.at)
        assert found, self.at
        assert self.at not in after, f"twice: {self.at}"
        return path, before.count("\n") + 1


def sound_week(root: Path) -> Path:
    """Write the small week below `root`; return its folder."""
    folder = root / "solutions" / WEEK
    folder.mkdir(parents=True)
    for name, content in SOUND.items():
        (folder / name).write_bytes(content)
    (root / "pyproject.toml").write_text("[project]\nname = 'course'\n", encoding="utf-8")
    return folder


def problems(verb: Verb, folder: Path) -> list[Problem]:
    """What the command finds. An error without a place has line 0."""
    ways: dict[Verb, Callable[[Path], list[Problem]]] = {
        Verb.BUILD: _build,
        Verb.VERIFY: _verify,
        Verb.MUTANTS: _mutants,
        Verb.LIES: lambda folder: find_lies(folder, workers=1).misses,
    }
    try:
        return ways[verb](folder)
    except BuildError as error:
        return error.problems
    except WorkbookError as error:
        return [Problem(folder, 0, error.message, error.next_step)]


def _build(folder: Path) -> list[Problem]:
    write_week(build_week(load_week(folder)), folder.parent.parent)
    return []


def _verify(folder: Path) -> list[Problem]:
    load_proofs(folder)  # what it finds needs no process
    return verify_week(folder, workers=1).misses


def _mutants(folder: Path) -> list[Problem]:
    load_equivalents(load_week(folder))
    return list(try_mutants(folder, workers=1).problems)


LONG_TITLE = "t" * 41
EXERCISE = '# %% exercise="double" difficulty=1 minutes=5'
TEST_1 = '# %% test="double" points=20\nwith checks.step("double of 2"):'
CHECK_1 = 'checks.equal(double(2), 4, "double(2)", causes={"this is the number itself": 2})'
TEST_2 = '# %% test="double" points=20\nwith checks.step("double of 0"):'
CHECK_2 = 'checks.equal(double(0), 0, "double(0)")'
HIDDEN = """### BEGIN HIDDEN TESTS
for number in (-3, 10**9):
    with checks.step(f"double of {number}"):
        checks.equal(double(number), number * 2, f"double({number})")
### END HIDDEN TESTS
"""
RUBRIC = "# ### BEGIN SOLUTION\n# Because a number and itself are two of them: 20 points.\n# ### END SOLUTION\n"
WRITTEN = '# %% [markdown] written="why" points=20'
SETUP = "from shared import checks\n"
EXPLORE = 'print("two and two is", 2 + 2)'
SAME = 'edits={"number + number": "number"}'
SMALL = 'edits={"number + number": "number + number if number < 100 else 0"}'
MISCONCEPTION = "misconceptions.py"
ALTERNATIVE = "alternatives.py"
TOML = "week.toml"
REASON = b'reason = "no test can see the difference"\n'
B, V, M, L = Verb.BUILD, Verb.VERIFY, Verb.MUTANTS, Verb.LIES

HEADERS = {
    "an unquoted word": Mistake(B, "exercise=double", 'value of `exercise`', {'exercise="double"': "exercise=double"}),
    "an unquoted list": Mistake(B, "uses=double", "value of `uses`", {'uses="double"': "uses=double"}),
    "curly quotes": Mistake(B, "look=“", "value of `look`", {'look="double"': "look=“double”"}),
    "a number in words": Mistake(B, "difficulty=one", "value of `difficulty`", {"difficulty=1": "difficulty=one"}),
    "a word without value": Mistake(B, "# %% explore", "'explore' in the cell header has no value",
                                    {"# %% explore=true compare=true": "# %% explore"}),
    "no space behind the mark": Mistake(B, "# %%explore", "would be overlooked", {"# %% explore": "# %%explore"}),
    "no space in the mark": Mistake(B, "#%% explore", "would be overlooked", {"# %% explore": "#%% explore"}),
    "a mark in a string": Mistake(B, "# %% inside", "inside a string",
                                  {EXPLORE: f'{EXPLORE}\nTEXT = """\n# %% inside\n"""'}),
    "an unknown word": Mistake(B, "colour=", "colour: extra", {EXERCISE: f'{EXERCISE} colour="red"'}),
    "a misspelled word": Mistake(B, "dificulty", "dificulty: extra", {"difficulty=1": "dificulty=1"}),
    "a misspelled kind": Mistake(B, "exercize=", "exercize", {'exercise="double"': 'exercize="double"'}),
    "no kind": Mistake(B, "# %%\nwith", "does not say what the cell is", {'# %% look="double"': "# %%"}),
    "two kinds": Mistake(B, 'test="double" look=', "says test, look",
                         {'# %% look="double"': '# %% test="double" look="double" points=3'}),
    "code where text belongs": Mistake(B, '%% hints="double"', "must be markdown",
                                       {'# %% [markdown] hints="double"': '# %% hints="double"'}),
    "no difficulty": Mistake(B, EXERCISE.replace(" difficulty=1", ""), "difficulty: field required",
                             {"difficulty=1 ": ""}),
    "no minutes": Mistake(B, 'exercise="double"', "minutes: field required",
                          {EXERCISE: EXERCISE.replace(" minutes=5", "")}),
    "points as text": Mistake(B, 'points="20"', "points: input should be", {TEST_1: TEST_1.replace("20", '"20"', 1)}),
    "negative points": Mistake(B, "points=-20", "greater than or equal to 0", {TEST_1: TEST_1.replace("20", "-20", 1)}),
    "difficulty 6": Mistake(B, "difficulty=6", "less than or equal to 5", {"difficulty=1": "difficulty=6"}),
    "a name in capitals": Mistake(B, 'written="Why"', "written: string should match", {'written="why"': 'written="Why"'}),
    "text before the first cell": Mistake(B, "", "text before the first cell",
                                          {"# %% [markdown]\n# # A": "import math\n# %% [markdown]\n# # A"}),
}  # fmt: skip

STRUCTURE = {
    "the same exercise twice": Mistake(
        B, EXERCISE, "a second cell named 'double'",
        {GIVEN: GIVEN + EXERCISE.replace("=5", "=6") + '\ndef twice(number: int) -> int:\n    """Twice."""\n'
                "    ### BEGIN SOLUTION\n    return 2 * number\n    ### END SOLUTION\n\n"}),
    "a test of no exercise": Mistake(B, 'test="dubble"', "no exercise 'dubble'",
                                     {TEST_1: f'# %% test="dubble" points=0\nassert checks\n\n{TEST_1}'}),
    "a test before its exercise": Mistake(
        B, 'checks.equal(double(1), 2', "needs 'double', which double defines below",
        {GIVEN: f'{GIVEN}# %% test="double" points=0\nwith checks.step("double of 1"):\n'
                '    checks.equal(double(1), 2, "double(1)")\n\n'}),
    "a test that needs a later exercise": Mistake(
        B, "quadruple(0) + 0", "needs 'quadruple', which quadruple defines below",
        {CHECK_2: 'checks.equal(double(0), quadruple(0) + 0, "double(0)")'}),
    "a solution without end": Mistake(B, "    ### BEGIN SOLUTION\n    return number", "without END SOLUTION",
                                      {"number + number\n    ### END SOLUTION": "number + number"}),
    "a mark with two hashes": Mistake(B, "## BEGIN HIDDEN TESTS\nfor", "not one of the marks",
                                      {"### BEGIN HIDDEN TESTS\nfor": "## BEGIN HIDDEN TESTS\nfor"}),
    "a mark in the singular": Mistake(B, "### BEGIN HIDDEN TEST\n", "not one of the marks",
                                      {"### BEGIN HIDDEN TESTS\nfor": "### BEGIN HIDDEN TEST\nfor"}),
    "a hidden test in a look cell": Mistake(
        B, "### BEGIN HIDDEN TESTS\nx", "HIDDEN TESTS marks in a cell of another kind",
        {"print(double(4))": "print(double(4))\n### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS"}),
    "no solution": Mistake(B, EXERCISE, "no solution region",
                           {"    ### BEGIN SOLUTION\n    return number + number\n    ### END SOLUTION\n":
                            "    return number + number\n"}),
    "a question without rubric": Mistake(B, WRITTEN, "no solution region", {RUBRIC: ""}),
    "no hints": Mistake(B, EXERCISE, "0 hints cells", {'# %% [markdown] hints="double"\n': "# %% [markdown]\n"}),
    "two of three hints": Mistake(B, '[markdown] hints="double"', "folded hints are",
                                  {"# <details><summary>Hint 3: nearly code</summary>\n# use `+`\n# </details>\n": ""}),
    "an open fold": Mistake(B, '[markdown] hints="double"', "do not pair up",
                            {"# use `+`\n# </details>\n": "# use `+`\n"}),
    "no about": Mistake(B, EXERCISE, "0 about cells",
                        {'# %% [markdown] about="double"\n': "# %% [markdown]\n"}),
    "no look": Mistake(B, EXERCISE, "0 look cells", {'# %% look="double"': "# %% explore=true"}),
    "no hidden test": Mistake(B, EXERCISE, "no hidden test", {HIDDEN: ""}),
    "no test": Mistake(B, EXERCISE, "has no test",
                       {f"{TEST_1}\n    {CHECK_1}\n\n": "", f"{TEST_2}\n    {CHECK_2}\n{HIDDEN}": ""}),
    "many points in one test": Mistake(B, EXERCISE, "worth 40 points in one piece",
                                       {f"{TEST_1}\n    {CHECK_1}\n\n": "", TEST_2: TEST_2.replace("20", "40")}),
    "79 points": Mistake(B, "points=19", "add up to 79 points", {TEST_1: TEST_1.replace("20", "19", 1)}),
    "21 written points": Mistake(B, "points=21", "add up to 21 points", {WRITTEN: WRITTEN.replace("20", "21")}),
    "no set-up cell": Mistake(B, "", "0 set-up cells", {"# %% setup=true": '# %% given="imports"'}),
    "no docstring": Mistake(B, "def double", "double has no docstring", {'    """Twice the number (an int)."""\n': ""}),
    "uses an unknown exercise": Mistake(B, 'uses="dubble"', "unknown exercises: dubble", {'uses="double"': 'uses="dubble"'}),
    "uses in a circle": Mistake(B, EXERCISE, "in a circle", {EXERCISE: f'{EXERCISE} uses="quadruple"'}),
    "uses left out": Mistake(B, 'exercise="quadruple"', "builds on double without saying so", {' uses="double"': ""}),
    "forbids without a check": Mistake(B, "forbids=", "do not agree",
                                       {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.add"')}),
    "forbids a module that is not there": Mistake(
        B, "forbids=", "no module 'operatr'",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operatr.add"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"}),
    "hidden code in a hint": Mistake(B, '[markdown] hints="quadruple"', "shows solution or hidden test code",
                                     {"# call `double` on its own result":
                                      "# ```python\n# return double(double(number))\n# ```"}),
    "the rubric in the question": Mistake(
        B, WRITTEN, "rubric line shown",
        {"# **W1.** Why is double twice?\n":
         "# **W1.** Why is double twice? Because a number and itself are two of them: 20 points. So?\n"}),
    "a note that is left": Mistake(B, "AUTHOR:", "a note to the author is left",
                                   {EXPLORE: f"# AUTHOR: another example\n{EXPLORE}"}),
    "a note in week.toml": Mistake(B, "AUTHOR:", "a note to the author is left",
                                   {"hours = 1": "hours = 1  # AUTHOR: how many?"}, TOML),
}  # fmt: skip

CODE = {
    "a syntax error in an answer": Mistake(B, "number +* number", "double does not parse",
                                           {"number + number": "number +* number"}),
    "a syntax error in a test": Mistake(B, "double(0), 0,, ", "double-test-2 does not parse",
                                        {CHECK_2: 'checks.equal(double(0), 0,, "double(0)")'}),
    "a syntax error in a look cell": Mistake(B, "print(double(4)", "double-look-1 does not parse",
                                             {"print(double(4))": "print(double(4)"}),
    "a missing import": Mistake(B, "START = math.floor(0.5)", "'math' is neither imported nor defined; 3 cells use it",
                                {"START = 0": "START = math.floor(0.5)", "number + number\n": "math.prod((2, number))\n",
                                 CHECK_2: 'checks.equal(double(0), math.floor(0), "double(0)")'}),
    "no import of the checks": Mistake(B, "with checks.look():\n    print(double(4))", "'checks' is neither imported",
                                       {SETUP: "import math\n"}),
    "a misspelled name": Mistake(B, "doubel(4)", "'doubel' is neither imported", {"print(double(4))": "print(doubel(4))"}),
    "a module that is not there": Mistake(B, "import einopsy", "no module 'einopsy'", {SETUP: f"{SETUP}import einopsy\n"}),
    "a test that needs an explore cell": Mistake(
        B, "checks.equal(double(SHOWN)", "only a look or explore cell sets",
        {"print(double(4))": "SHOWN = 4\n    print(double(SHOWN))", CHECK_2: 'checks.equal(double(SHOWN), 8, "double(4)")'}),
    "an optimizer that no library brings": Mistake(
        B, 'given="start"', "makes an optimizer", {"START = 0": "def start(torch):\n    return torch.optim.SGD"}),
    "an assert on an answer": Mistake(B, "assert double(2) == 4", "`assert` on what an answer gave",
                                      {CHECK_2: "assert double(2) == 4"}),
    "an assert on a name": Mistake(B, "assert came == 4", "`assert` on what an answer gave",
                                   {CHECK_2: "came = double(2)\n    assert came == 4"}),
    "allclose on an answer": Mistake(B, "torch.allclose(double(x), x + x)", "`allclose` on what an answer gave",
                                     {SETUP: f"{SETUP}import torch\n",
                                      CHECK_2: 'x = torch.ones(2)\n    checks.that(torch.allclose(double(x), x + x), "x")'}),
    "an answer's own allclose": Mistake(B, "double(x).allclose", "`allclose` on what an answer gave",
                                        {SETUP: f"{SETUP}import torch\n",
                                         CHECK_2: 'x = torch.ones(2)\n    checks.that(double(x).allclose(x + x), "x")'}),
    "assert_close on an answer": Mistake(B, "assert_close(came", "`assert_close` on what an answer gave",
                                         {SETUP: f"{SETUP}import torch\n",
                                          CHECK_2: "came = double(torch.ones(2))\n"
                                                   "    torch.testing.assert_close(came, torch.ones(2))"}),
    "answer and expectation swapped": Mistake(B, "checks.equal(0, double(0)", "expects what the answer gave",
                                              {CHECK_2: 'checks.equal(0, double(0), "double(0)")'}),
    "an answer beside itself": Mistake(B, "double(2), double(2)", "compares double(2) with itself",
                                       {CHECK_1: 'checks.equal(double(2), double(2), "double(2)")'}),
    "a fraction to the last bit": Mistake(B, "double(0.1), 0.2", "to the last bit",
                                          {CHECK_2: 'checks.equal(double(0.1), 0.2, "double(0.1)")'}),
    "a drawn number in a title": Mistake(B, "double of {seed}", "which is drawn anew",
                                         {'with checks.step("double of 0"):':
                                          'seed = checks.fresh_seed()\nwith checks.step(f"double of {seed}"):'}),
    "not UTF-8": Mistake(B, "# # A", "not UTF-8", whole=SOUND[LESSON_FILE].replace(b"# # A tiny", b"# # A t\xedny")),
}  # fmt: skip

FILES = {
    "broken TOML": Mistake(B, "hours = \n", "no TOML", {"hours = 1": "hours = "}, TOML),
    "text without quotes": Mistake(B, "title = Doubling", "no TOML", {'"Doubling"': "Doubling"}, TOML),
    "a key twice": Mistake(B, "hours = 2", "no TOML", {"libraries = []": "libraries = []\nhours = 2"}, TOML),
    "an open list": Mistake(B, "libraries = [", "no TOML", {"libraries = []": 'libraries = ["math",'}, TOML),
    "an unknown key": Mistake(B, "colour", "colour: extra", {"hours = 1": 'hours = 1\ncolour = "red"'}, TOML),
    "an unknown key in a table": Mistake(B, "cell_second ", "limits.cell_second: extra",
                                         {"cell_seconds": "cell_second "}, TOML),
    "an unknown table": Mistake(B, "[limit]", "limit: extra", {"[limits]": "[limit]"}, TOML),
    "a misspelled key": Mistake(B, "titel", "titel: extra", {"title": "titel"}, TOML),
    "a missing key": Mistake(B, "", "summary: field required", {'summary = "Learn to double."\n': ""}, TOML),
    "a number as text": Mistake(B, 'hours = "1"', "hours: input should be", {"hours = 1": 'hours = "1"'}, TOML),
    "a limit of 0": Mistake(B, "memory_gib = 0", "greater than 0", {"memory_gib = 1": "memory_gib = 0"}, TOML),
    "a library as text": Mistake(B, "libraries =", "libraries: input should be", {"libraries = []": 'libraries = "math"'}, TOML),
    "a library that is not there": Mistake(B, "libraries =", "`libraries` names 'timmm'",
                                           {"libraries = []": 'libraries = ["math", "timmm"]'}, TOML),
    "a week that comes later": Mistake(B, "prerequisites", "week 13 does not come before",
                                       {"hours = 1": "hours = 1\nprerequisites = [1, 13]"}, TOML),
    "minutes beyond the hours": Mistake(B, "hours =", "take 145 minutes, more than `hours`",
                                        {EXERCISE: EXERCISE.replace("=5", "=120")}, told_in=TOML),
    "another number of hours": Mistake(B, "**Time**", "the header says 3 hours", {"about 1 hour": "about 3 hours"}),
    "a broken picture path": Mistake(B, "out.png", "there is no picture out.png", {"(outcome.png)": "(out.png)"}),
    "a picture from the web": Mistake(B, "https://", "comes from the web", {"(outcome.png)": "(https://x.org/a.png)"}),
    "no outcome picture": Mistake(B, "![A dot.]", "there is no picture", {"(outcome.png)": "(outcome2.png)"}),
    "a large picture": Mistake(B, "", "more than 500,000", file="outcome.png", whole=PIXEL + bytes(500_000)),
    "a picture that is none": Mistake(B, "", "no PNG", file="outcome.png", whole=b"GIF89a"),
    "a link to a private path": Mistake(B, "/home/ann", "on your machine alone",
                                        {"# Twice a number.": "# Twice a [number](/home/ann/number.md)."}),
    "a private path in code": Mistake(B, "/Users/ann", "on your machine alone",
                                      {EXPLORE: f'{EXPLORE}\nFOLDER = "/Users/ann/data"'}),
    "a link to a source": Mistake(B, "misconceptions.py", "learners do not have",
                                  {"# Twice a number.": "# Twice a [number](../../solutions/misconceptions.py)."}),
    "broken JSON": Mistake(B, ' "quadruple-explore-1" "two', "no JSON", {'-1": "two': '-1" "two'}, "outputs.json"),
    "outputs that are a list": Mistake(B, "", "something else", file="outputs.json", whole=b"[]\n"),
}  # fmt: skip

VARIANTS = {
    "an edit that does not match": Mistake(V, '{"numbr', "stands 0 times", {SAME: 'edits={"numbr + number": "number"}'},
                                           MISCONCEPTION),
    "an edit that matches twice": Mistake(V, '{"number"', "stands 4 times", {SAME: 'edits={"number": "other"}'}, MISCONCEPTION),
    "edits that overlap": Mistake(V, 'name="same"', "overlap",
                                  {SAME: 'edits={"number + number": "number", "return number": "return"}'}, MISCONCEPTION),
    "an edit that changes nothing": Mistake(V, 'name="same"', "change nothing",
                                            {SAME: 'edits={"number + number": "number + number"}'}, MISCONCEPTION),
    "neither edits nor code": Mistake(V, 'name="same"', "either edits or code", {f"{SAME}, ": ""}, MISCONCEPTION),
    "a syntax error in a variant": Mistake(V, 'name="same"', "does not parse", {SAME: 'edits={"number + number": "number +"}'},
                                           MISCONCEPTION),
    "a syntax error in the file": Mistake(V, "name=same,", "does not parse", {'name="same"': "name=same,"}, MISCONCEPTION),
    "a syntax error among the alternatives": Mistake(V, 'name="times-two" exercise', "does not parse",
                                                     {'"times-two", ': '"times-two" '}, ALTERNATIVE),
    "an unknown field": Mistake(V, '    Misconception(\n        name="same"', "rejectedby",
                                {'rejected_by="double-test-1"': 'rejectedby="double-test-1"'}, MISCONCEPTION),
    "a missing field": Mistake(V, '    Misconception(\n        name="same"', "note", {', note="One is not two."': ""},
                               MISCONCEPTION),
    "an undefined name": Mistake(V, "OOPS", "NameError", {"MISCONCEPTIONS = [": "OOPS\nMISCONCEPTIONS = ["}, MISCONCEPTION),
    "a list of another name": Mistake(V, "", "no list MISCONCEPTIONS", {"MISCONCEPTIONS = ": "MISTAKES = "}, MISCONCEPTION),
    "two of the same name": Mistake(V, 'edits={"number + number": "number + number if', "has this name",
                                    {'name="small-only", ': 'name="same", '}, MISCONCEPTION),
    "an unknown exercise": Mistake(V, 'name="times-two"', "no exercise 'dubble'",
                                   {'"times-two", exercise="double"': '"times-two", exercise="dubble"'}, ALTERNATIVE),
    "an unknown test": Mistake(V, "double-test-7", "no test 'double-test-7'",
                               {'rejected_by="double-test-1"': 'rejected_by="double-test-7"'}, MISCONCEPTION),
    "two with the same edit": Mistake(V, 'name="small-only"', "the same answer as 'same'", {SMALL: SAME}, MISCONCEPTION),
    "one misconception": Mistake(V, EXERCISE, "has 1 misconceptions", whole=(
        MISCONCEPTIONS[: MISCONCEPTIONS.index("    Misconception(\n        name=\"same\"")]
        + MISCONCEPTIONS[MISCONCEPTIONS.index("    Misconception(\n        name=\"small"):]).encode(),
        file=MISCONCEPTION, told_in=LESSON_FILE),
    "a misconception that passes": Mistake(V, 'rejected_by="double-test-1"', "does not reject it",
                                           {SAME: 'edits={"number + number": "number * 2"}'}, MISCONCEPTION),
    "a misconception rejected elsewhere": Mistake(V, 'name="same"', "double-test-2 does not reject it",
                                                  {'rejected_by="double-test-1"': 'rejected_by="double-test-2"',
                                                   SAME: 'edits={"number + number": "number + number if number != 2 else 5"}'},
                                                  MISCONCEPTION),
    "a message that is another one": Mistake(V, 'says="this is half', "does not say", {
        'says="this is the number itself"': 'says="this is half of it"'}, MISCONCEPTION),
    "the same message twice": Mistake(V, 'name="same"', "get the same message", {
        "MISCONCEPTIONS = [": 'MISCONCEPTIONS = [\n    Misconception(name="once", exercise="double", '
        'edits={"number + number": "1 * number"}, rejected_by="double-test-1", says="the number itself", note="No."),'},
        MISCONCEPTION),
    "a misconception that crashes": Mistake(V, 'name="same"', "ends with ERROR", {SAME: 'code="double = 1 // 0"'},
                                            MISCONCEPTION),
    "an alternative that fails": Mistake(V, 'name="times-four"', "rejects a right answer",
                                         {'"4 * number"': '"5 * number"'}, ALTERNATIVE),
    "a stub that passes its test": Mistake(V, TEST_1, "untouched stub of 'double' earns 20 points",
                                           {CHECK_1: 'checks.that(callable(double), "it can be called")'}),
    "a reference that fails": Mistake(V, "double(2), 5,", "rejects a right answer", {CHECK_1: CHECK_1.replace("4", "5")}),
    "a given cell that raises": Mistake(V, "START = 1 // 0", "given-start of the reference ends with ERROR",
                                        {"START = 0": "START = 1 // 0"}),
    "a name that a module does not have": Mistake(V, "from shared import checks, chekcs", "setup of the reference",
                                                  {SETUP: "from shared import checks, chekcs\n"}),
    "forbids a function that is not there": Mistake(
        V, 'with checks.step("double of 2")', "there is no operator.addd",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.addd"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"}),
    "forbids that nothing proves": Mistake(
        V, "forbids=", "no proof of the forbids",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.add"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"}),
    "a given cell that calls an answer": Mistake(
        V, "FOUR = double(2)", "given-four fails where answers",
        {'# %% [markdown] about="quadruple"': '# %% given="four"\nFOUR = double(2)\n\n# %% [markdown] about="quadruple"',
         "return double(double(number))": "return FOUR and double(double(number))"}),
    "no misconception for the hidden tests": Mistake(
        V, EXERCISE, "passes the visible tests and fails a hidden one",
        {SMALL: 'edits={"number + number": "number + 1"}',
         'rejected_by="double-test-2", says="double of 1000000000"': 'rejected_by="double-test-1", says="double(2)"'},
        MISCONCEPTION, told_in=LESSON_FILE),
}  # fmt: skip

EXPLAINED = {
    "equivalents: broken TOML": Mistake(M, "[[equivalent]", "no TOML", file="equivalents.toml", whole=b"[[equivalent]\n"),
    "equivalents: an unknown key": Mistake(
        M, "chnge", "equivalent.0.chnge: extra", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchnge = "a  =>  b"\n' + REASON),
    "equivalents: a short reason": Mistake(
        M, "reason = ", "reason: string should have at least 20", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\nreason = "it is so"\n'),
    "equivalents: no reason": Mistake(
        M, "[[equivalent]]", "reason: field required", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n'),
    "equivalents: an unknown exercise": Mistake(
        M, "dubble", "no exercise 'dubble'", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "dubble"\nchange = "a  =>  b"\n' + REASON),
    "equivalents: the same change twice": Mistake(
        M, "# again", "explained twice", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n' + REASON
        + b'\n[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"  # again\n' + REASON),
    "equivalents: a change that is gone": Mistake(
        M, "change = ", "no such mutant", file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n' + REASON),
    "lies: broken JSON": Mistake(L, "quadruple-test-1", "no JSON", file="lies.json",
                                 whole=b'[\n "double-test-1"\n "quadruple-test-1"\n]\n'),
    "lies: an unknown test": Mistake(L, "triple-test-1", "no test triple-test-1", file="lies.json",
                                     whole=b'[\n "double-test-1", "quadruple-test-1",\n "triple-test-1"\n]\n'),
}  # fmt: skip

MISTAKES: dict[str, Mistake] = {**HEADERS, **STRUCTURE, **CODE, **FILES, **VARIANTS, **EXPLAINED}


def made() -> Iterator[tuple[str, Mistake, Path, list[Problem]]]:
    """Every mistake in a fresh week, with what is told."""
    for name, mistake in MISTAKES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = sound_week(Path(place))
            mistake.make(folder)
            yield name, mistake, folder, problems(mistake.verb, folder)


def main() -> None:
    """Print the table: the mistake, the command, and what it says, with file and line."""
    wrong = 0
    for name, mistake, folder, found in made():
        fits = [(p.path, p.line) for p in found] == [mistake.place(folder)] and mistake.says in found[0].message
        wrong += not fits
        print(f"{'✓' if fits else '✗'} {name} (workbook {mistake.verb})")
        for problem in found:
            print(f"    {problem.path.name}:{problem.line}: {problem.message}\n      -> {problem.remedy}")
    print(f"{len(MISTAKES)} mistakes, {wrong} told otherwise than expected")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
