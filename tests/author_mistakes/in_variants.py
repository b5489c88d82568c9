"""Mistakes in misconceptions and alternatives, and in what a week explains: equivalents.toml, lies.json."""

from __future__ import annotations

from ..tiny_week import MISCONCEPTIONS
from .week import (
    ALTERNATIVE,
    CHECK_1,
    EXERCISE,
    LESSON_FILE,
    MISCONCEPTION,
    REASON,
    SAME,
    SETUP,
    SMALL,
    TEST_1,
    L,
    M,
    Mistake,
    V,
)

VARIANTS = {
    "an edit that does not match": Mistake(
        V, '{"numbr', "stands 0 times", {SAME: 'edits={"numbr + number": "number"}'}, MISCONCEPTION
    ),
    "an edit that matches twice": Mistake(
        V, '{"number"', "stands 4 times", {SAME: 'edits={"number": "other"}'}, MISCONCEPTION
    ),
    "edits that overlap": Mistake(
        V,
        'name="same"',
        "overlap",
        {SAME: 'edits={"number + number": "number", "return number": "return"}'},
        MISCONCEPTION,
    ),
    "an edit that changes nothing": Mistake(
        V, 'name="same"', "change nothing", {SAME: 'edits={"number + number": "number + number"}'}, MISCONCEPTION
    ),
    "neither edits nor code": Mistake(V, 'name="same"', "either edits or code", {f"{SAME}, ": ""}, MISCONCEPTION),
    "a syntax error in a variant": Mistake(
        V, 'name="same"', "does not parse", {SAME: 'edits={"number + number": "number +"}'}, MISCONCEPTION
    ),
    "a syntax error in the file": Mistake(
        V, "name=same,", "does not parse", {'name="same"': "name=same,"}, MISCONCEPTION
    ),
    "a syntax error among the alternatives": Mistake(
        V, 'name="times-two" exercise', "does not parse", {'"times-two", ': '"times-two" '}, ALTERNATIVE
    ),
    "an unknown field": Mistake(
        V,
        '    Misconception(\n        name="same"',
        "rejectedby",
        {'rejected_by="double-test-1"': 'rejectedby="double-test-1"'},
        MISCONCEPTION,
    ),
    "a missing field": Mistake(
        V, '    Misconception(\n        name="same"', "note", {', note="One is not two."': ""}, MISCONCEPTION
    ),
    "an undefined name": Mistake(
        V, "OOPS", "NameError", {"MISCONCEPTIONS = [": "OOPS\nMISCONCEPTIONS = ["}, MISCONCEPTION
    ),
    "a list of another name": Mistake(
        V, "", "no list MISCONCEPTIONS", {"MISCONCEPTIONS = ": "MISTAKES = "}, MISCONCEPTION
    ),
    "two of the same name": Mistake(
        V,
        'edits={"number + number": "number + number if',
        "has this name",
        {'name="small-only", ': 'name="same", '},
        MISCONCEPTION,
    ),
    "an unknown exercise": Mistake(
        V,
        'name="times-two"',
        "no exercise 'dubble'",
        {'"times-two", exercise="double"': '"times-two", exercise="dubble"'},
        ALTERNATIVE,
    ),
    "an unknown test": Mistake(
        V,
        "double-test-7",
        "no test 'double-test-7'",
        {'rejected_by="double-test-1"': 'rejected_by="double-test-7"'},
        MISCONCEPTION,
    ),
    "two with the same edit": Mistake(
        V, 'name="small-only"', "the same answer as 'same'", {SMALL: SAME}, MISCONCEPTION
    ),
    "one misconception": Mistake(
        V,
        EXERCISE,
        "has 1 misconceptions",
        whole=(
            MISCONCEPTIONS[: MISCONCEPTIONS.index('    Misconception(\n        name="same"')]
            + MISCONCEPTIONS[MISCONCEPTIONS.index('    Misconception(\n        name="small') :]
        ).encode(),
        file=MISCONCEPTION,
        told_in=LESSON_FILE,
    ),
    "a misconception that passes": Mistake(
        V,
        'rejected_by="double-test-1"',
        "does not reject it",
        {SAME: 'edits={"number + number": "number * 2"}'},
        MISCONCEPTION,
    ),
    "a misconception rejected elsewhere": Mistake(
        V,
        'name="same"',
        "double-test-2 does not reject it",
        {
            'rejected_by="double-test-1"': 'rejected_by="double-test-2"',
            SAME: 'edits={"number + number": "number + number if number != 2 else 5"}',
        },
        MISCONCEPTION,
    ),
    "a message that is another one": Mistake(
        V,
        'says="this is half',
        "does not say",
        {'says="this is the number itself"': 'says="this is half of it"'},
        MISCONCEPTION,
    ),
    "the same message twice": Mistake(
        V,
        'name="same"',
        "get the same message",
        {
            "MISCONCEPTIONS = [": 'MISCONCEPTIONS = [\n    Misconception(name="once", exercise="double", '
            'edits={"number + number": "1 * number"}, rejected_by="double-test-1", says="number itself", note="x", '
            'same_cause_as="same"),'
        },
        MISCONCEPTION,
    ),
    "a misconception that crashes": Mistake(
        V, 'name="same"', "ends with ERROR", {SAME: 'code="double = 1 // 0"'}, MISCONCEPTION
    ),
    "an alternative that fails": Mistake(
        V, 'name="times-four"', "rejects a right answer", {'"4 * number"': '"5 * number"'}, ALTERNATIVE
    ),
    "a stub that passes its test": Mistake(
        V,
        TEST_1,
        "untouched stub of 'double' earns 20 points",
        {CHECK_1: 'checks.that(callable(double), "it can be called")'},
    ),
    "a reference that fails": Mistake(
        V, "double(2), 5,", "rejects a right answer", {CHECK_1: CHECK_1.replace("4", "5")}
    ),
    "a given cell that raises": Mistake(
        V, "START = 1 // 0", "given-start of the reference ends with ERROR", {"START = 0": "START = 1 // 0"}
    ),
    "a name that a module does not have": Mistake(
        V,
        "from shared import checks, chekcs",
        "setup of the reference",
        {SETUP: "from shared import checks, chekcs\nchekcs.ready()\n"},
    ),
    "forbids a function that is not there": Mistake(
        V,
        'with checks.step("double of 2")',
        "there is no operator.addd",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.addd"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"},
    ),
    "forbids that nothing proves": Mistake(
        V,
        "forbids=",
        "no proof of the forbids",
        {TEST_1: TEST_1.replace("=20", '=20 forbids="operator.add"') + "\n    checks.forbidden(FORBIDDEN, double, 2)"},
    ),
    "a given cell that calls an answer": Mistake(
        V,
        "FOUR = double(2)",
        "given-four of the reference ends with ERROR",
        {
            '# %% [markdown] about="quadruple"': '# %% given="four"\nFOUR = double(2)\n\n'
            '# %% [markdown] about="quadruple"',
            "return double(double(number))": "return FOUR and double(double(number))",
        },
    ),
    "no misconception for the hidden tests": Mistake(
        V,
        EXERCISE,
        "passes the visible tests and fails a hidden one",
        {
            SMALL: 'edits={"number + number": "number + 1"}',
            'rejected_by="double-test-2", says="double of 1000000000"': 'rejected_by="double-test-1", says="double(2)"',
        },
        MISCONCEPTION,
        told_in=LESSON_FILE,
    ),
}

EXPLAINED = {
    "equivalents: broken TOML": Mistake(
        M, "[[equivalent]", "not valid TOML", file="equivalents.toml", whole=b"[[equivalent]\n"
    ),
    "equivalents: an unknown key": Mistake(
        M,
        "chnge",
        "equivalent.0.chnge: extra",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchnge = "a  =>  b"\n' + REASON,
    ),
    "equivalents: a short reason": Mistake(
        M,
        "reason = ",
        "reason: string should have at least 20",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\nreason = "it is so"\n',
    ),
    "equivalents: no reason": Mistake(
        M,
        "[[equivalent]]",
        "reason: field required",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n',
    ),
    "equivalents: an unknown exercise": Mistake(
        M,
        "dubble",
        "no exercise 'dubble'",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "dubble"\nchange = "a  =>  b"\n' + REASON,
    ),
    "equivalents: the same change twice": Mistake(
        M,
        "# again",
        "explained twice",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n'
        + REASON
        + b'\n[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"  # again\n'
        + REASON,
    ),
    "equivalents: a change that is gone": Mistake(
        M,
        "change = ",
        "no such mutant",
        file="equivalents.toml",
        whole=b'[[equivalent]]\nexercise = "double"\nchange = "a  =>  b"\n' + REASON,
    ),
    "lies: broken JSON": Mistake(
        L,
        "quadruple-test-1",
        "not valid JSON",
        file="lies.json",
        whole=b'[\n "double-test-1"\n "quadruple-test-1"\n]\n',
    ),
    "lies: an unknown test": Mistake(
        L,
        "triple-test-1",
        "no test triple-test-1",
        file="lies.json",
        whole=b'[\n "double-test-1", "quadruple-test-1",\n "triple-test-1"\n]\n',
    ),
}
