"""Mistakes in the code of a lesson: syntax, names, and what tests do with answers."""

from __future__ import annotations

from .week import CHECK_1, CHECK_2, EXPLORE, LESSON_FILE, SETUP, SOUND, B, Mistake, R

CODE = {
    "a syntax error in an answer": Mistake(
        B, "number +* number", "double does not parse", {"number + number": "number +* number"}
    ),
    "a syntax error in a test": Mistake(
        B, "double(0), 0,, ", "double-test-2 does not parse", {CHECK_2: 'checks.equal(double(0), 0,, "double(0)")'}
    ),
    "a syntax error in a look cell": Mistake(
        B, "print(double(4)", "double-look-1 does not parse", {"print(double(4))": "print(double(4)"}
    ),
    "a missing import": Mistake(
        B,
        "START = math.floor(0.5)",
        "'math' is neither imported nor defined; 3 cells use it",
        {
            "START = 0": "START = math.floor(0.5)",
            "number + number\n": "math.prod((2, number))\n",
            CHECK_2: 'checks.equal(double(0), math.floor(0), "double(0)")',
        },
    ),
    "no import of the checks": Mistake(
        B, "with checks.look():\n    print(double(4))", "'checks' is neither imported", {SETUP: "READY = True\n"}
    ),
    "a misspelled name": Mistake(
        B, "doubel(4)", "'doubel' is neither imported", {"print(double(4))": "print(doubel(4))"}
    ),
    "a module that is not there": Mistake(
        B, "import einopsy", "no module 'einopsy'", {SETUP: f"{SETUP}import einopsy\n"}
    ),
    "a test that needs an explore cell": Mistake(
        B,
        "checks.equal(double(SHOWN)",
        "only a look or explore cell sets",
        {
            "print(double(4))": "SHOWN = 4\n    print(double(SHOWN))",
            CHECK_2: 'checks.equal(double(SHOWN), 8, "double(4)")',
        },
    ),
    "an optimizer that no library brings": Mistake(
        B, 'given="start"', "makes an optimizer", {"START = 0": "def start(torch):\n    return torch.optim.SGD"}
    ),
    "an assert on an answer": Mistake(
        B, "assert double(2) == 4", "`assert` on what an answer gave", {CHECK_2: "assert double(2) == 4"}
    ),
    "an assert on a name": Mistake(
        B, "assert came == 4", "`assert` on what an answer gave", {CHECK_2: "came = double(2)\n    assert came == 4"}
    ),
    "allclose on an answer": Mistake(
        B,
        "torch.allclose(double(x), x + x)",
        "`allclose` on what an answer gave",
        {
            SETUP: f"{SETUP}import torch\n",
            CHECK_2: 'x = torch.ones(2)\n    checks.that(torch.allclose(double(x), x + x), "x")',
        },
    ),
    "an answer's own allclose": Mistake(
        B,
        "double(x).allclose",
        "`allclose` on what an answer gave",
        {
            SETUP: f"{SETUP}import torch\n",
            CHECK_2: 'x = torch.ones(2)\n    checks.that(double(x).allclose(x + x), "x")',
        },
    ),
    "assert_close on an answer": Mistake(
        B,
        "assert_close(came",
        "`assert_close` on what an answer gave",
        {
            SETUP: f"{SETUP}import torch\n",
            CHECK_2: "came = double(torch.ones(2))\n    torch.testing.assert_close(came, torch.ones(2))",
        },
    ),
    "answer and expectation swapped": Mistake(
        B,
        "checks.equal(0, double(0)",
        "expects what the answer gave",
        {CHECK_2: 'checks.equal(0, double(0), "double(0)")'},
    ),
    "an answer beside itself": Mistake(
        B,
        "double(2), double(2)",
        "with each other alone: double(2) with double(2)",
        {CHECK_1: 'checks.equal(double(2), double(2), "double(2)")'},
    ),
    "an answer as what is expected": Mistake(
        B,
        "double(3), expected",
        "with each other alone: double(3) with expected",
        {CHECK_1: 'expected = double(1) + double(2)\n    checks.equal(double(3), expected, "double(3)")'},
    ),
    "a fraction to the last bit": Mistake(
        B, "double(0.1), 0.2", "to the last bit", {CHECK_2: 'checks.equal(double(0.1), 0.2, "double(0.1)")'}
    ),
    "a drawn number in a title": Mistake(
        B,
        "double of {seed}",
        "which is drawn anew",
        {'with checks.step("double of 0"):': 'seed = checks.fresh_seed()\nwith checks.step(f"double of {seed}"):'},
    ),
    "an explore cell that fails": Mistake(
        R, "# %% explore=true", "quadruple-explore-1 fails: ZeroDivisionError", {EXPLORE: "1 // 0"}
    ),
    "a picture that is not drawn": Mistake(
        R, 'picture="four"', "shows no figure", {"# %% explore=true": '# %% explore=true picture="four"'}
    ),
    "not UTF-8": Mistake(B, "# # A", "not UTF-8", whole=SOUND[LESSON_FILE].replace(b"# # A tiny", b"# # A t\xedny")),
}
