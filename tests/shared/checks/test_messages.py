"""`shared.checks`: steps, and every word of what a learner reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import checks
from shared.checks import CheckFailure

from ...chosen import ROOT
from .cells import LEARNER, Check, cell, failed, fields, halve, read, unwritten

# ---- the message


def test_the_layout_of_a_message() -> None:
    failure = CheckFailure("a sum", "3\nin f, at: x", "4", "at (0,)", "no carry", "carry the one")
    assert str(failure) == (
        "✗ a sum\n"
        "  got:          3\n"
        "                in f, at: x\n"
        "  expected:     4\n"
        "  where:        at (0,)\n"
        "  likely cause: no carry\n"
        "  next step:    carry the one"
    )


def test_what_is_empty_is_left_out() -> None:
    assert str(CheckFailure("a sum", expected="4")) == "✗ a sum\n  expected:     4"
    assert str(CheckFailure("a sum")) == "✗ a sum"


def test_a_failure_is_plain_data() -> None:
    failure = CheckFailure("a", came="b", expected="c", where="d", cause="e")
    said = {"check": "a", "came": "b", "expected": "c", "where": "d", "cause": "e", "next_step": ""}
    assert failure.as_dict() == said
    assert isinstance(failure, AssertionError)
    assert len({failure, CheckFailure("a")}) == 2


def test_fail_says_the_step_and_hides_what_came_before() -> None:
    def check() -> None:
        with checks.step("outer"):
            try:
                halve(1)
            except ZeroDivisionError:
                checks.fail("wrong", came="x")

    assert fields(check) == ("outer: wrong", "x", "", "", "")
    assert failed(check).__suppress_context__
    assert fields(lambda: checks.fail("wrong")) == ("wrong", "", "", "", "")


def test_ipython_shows_the_message_alone(tmp_path: Path) -> None:
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from traitlets.config import Config\n"
        "shell = InteractiveShell(config=Config({'HistoryManager': {'enabled': False}}))\n"
        "shell.run_cell('from shared import checks\\n"
        'with checks.step("a sum"):\\n    checks.equal(1 + 1, 3, "one and one")\\n\')\n'
        "shell.run_cell('print(1)')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        # IPython warns where another virtual environment is active than the one that it runs in
        env={k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout + run.stderr == (
        "✗ a sum: one and one not as expected\n  got:          2 (int)\n  expected:     3 (int)\n1\n"
    )


# ---- steps


def test_a_step_prefixes_what_fails_inside_and_is_over_after_it() -> None:
    def check() -> None:
        with checks.step("outer"):
            with checks.step("inner"):
                pass
            checks.that(False, "a condition")

    assert failed(check).check == "outer: a condition"
    assert failed(lambda: checks.that(False, "a condition")).check == "a condition"


def test_the_innermost_step_speaks() -> None:
    def check() -> None:
        with checks.step("outer"), checks.step("inner"):
            checks.that(False, "a condition")

    assert failed(check).check == "inner: a condition"


@pytest.mark.parametrize(
    ("call", "came"),
    [
        (lambda: halve(1), "ZeroDivisionError: division by zero\nin halve, at: return number / 0"),
        (lambda: halve("x"),
         "TypeError: unsupported operand type(s) for /: 'str' and 'int'\nin halve, at: return number / 0"),
        (lambda: LEARNER["halve_all"]([1]), "ZeroDivisionError: division by zero\nin halve, at: return number / 0"),
        (lambda: LEARNER["apply"](lambda n: n / 0, 1),
         "ZeroDivisionError: division by zero\nin apply, at: return fn(value)"),
        (lambda: read("x"),
         "JSONDecodeError: Expecting value: line 1 column 1 (char 0)\nin read, at: return json.loads(text)"),
    ],
    ids=["python", "message", "nested", "calls back", "inside a library"],
)  # fmt: skip
def test_an_error_of_the_learner_names_their_line(call: Check, came: str) -> None:
    def check() -> None:
        with checks.step("a call"):
            call()

    failure = failed(check)
    assert fields(check) == ("a call: the code raised an error", came, "", "", "")
    assert failure.__suppress_context__
    assert failed(lambda: checks.that(False, "x")).check == "x", "the step is over"


@pytest.mark.parametrize(
    ("line", "came"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero\nat: 1 / 0"),
        ("halve()", "TypeError: halve() missing 1 required positional argument: 'number'\nat: halve()"),
        ("assert None", "AssertionError\nat: assert None"),
        ("checks.shape(None, 3)", None),
    ],
)
def test_an_error_of_the_test_cell_does_not_blame_the_learner(line: str, came: str | None) -> None:
    failure = failed(lambda: cell("<a test cell>", f"with checks.step('a call'):\n    {line}\n", halve=halve))
    if came is None:
        assert failure.check == "a call: the result: not a tensor"
    else:
        assert (failure.check, failure.came) == ("a call: the check could not use the returned value", came)


def test_a_stub_is_not_written_yet() -> None:
    def check() -> None:
        with checks.step("a call"):
            unwritten()

    assert fields(check) == (
        "a call: not written yet",
        "NotImplementedError\nin unwritten, at: raise NotImplementedError",
        "",
        "",
        "",
    )


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_passes_through_a_step(kind: type[BaseException]) -> None:
    with pytest.raises(kind), checks.step("a call"):
        raise kind
    assert failed(lambda: checks.that(False, "x")).check == "x", "the step is over"


# ---- the end of a test cell


def passed(*titles: str) -> None:
    for title in titles:
        with checks.step(title):
            pass


def test_done_counts_the_steps_of_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    checks.done()
    capsys.readouterr()
    passed("a", "b")
    checks.done()
    passed("c")
    checks.done(hidden=True)
    assert capsys.readouterr().out == (
        "✓ 2 checks passed\n✓ 1 check passed; hidden tests check more after you submit\n"
    )


def outside_of_a_step() -> None:
    checks.that(False, "a condition")


@pytest.mark.parametrize("inside", [True, False])
def test_a_failed_cell_leaves_no_count_behind(inside: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def cell() -> None:
        passed("a", "b")
        if inside:
            with checks.step("c"):
                outside_of_a_step()
        outside_of_a_step()

    checks.done()
    failed(cell)
    capsys.readouterr()
    passed("d")
    checks.done()
    assert capsys.readouterr().out == "✓ 1 check passed\n"


# ---- look


def test_look_is_silent_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        print("a picture")
    assert capsys.readouterr().out == "a picture\n"


def test_look_says_that_a_stub_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        unwritten()
    assert capsys.readouterr().out == (
        "Nothing to see yet: this exercise is not written. Fill in the stub and run this cell again.\n"
    )


def test_look_shows_no_figure_that_has_nothing_in_it() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    pyplot.figure().subplots().plot([1, 2])
    with checks.look():
        pyplot.subplots(1, 2)
        unwritten()
    shown = [number for number in pyplot.get_fignums() if number not in before]
    drawn = [len(ax.lines) for number in shown for ax in pyplot.figure(number).axes]
    for number in shown:
        pyplot.close(number)
    assert drawn == [1]


def test_look_says_error_and_line_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        halve(1)
    assert capsys.readouterr().out == (
        "Nothing to see yet: ZeroDivisionError: division by zero\n  in halve, at: return number / 0\n"
    )


@pytest.mark.parametrize("name", ["talkative", "mute"])
def test_look_never_raises_and_stays_with_two_lines(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with checks.look():
        LEARNER[name]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Nothing to see yet: ")
    assert lines[1].startswith(f"  in {name}, at: ")
