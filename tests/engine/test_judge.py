"""One submission through the judge: a verdict for every cell, whatever the learner's code does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.engine import sandbox
from autograder.engine.cell_kinds import OWN, TEST, TRUSTED
from autograder.engine.judge import MAX_SHOWN, Judge
from autograder.engine.outcome import Outcome
from autograder.execution.job import Code, Job, Mode, Run
from autograder.execution.make_job import graded_cells, make_job
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks
from autograder.week.source import Limits, load_week

from ..tiny_week import write_tiny_week

DOUBLE = "def double(number):\n    return number + number"
QUADRUPLE = "def quadruple(number):\n    return double(double(number))"
RIGHT = {"double": DOUBLE, "quadruple": QUADRUPLE}
TESTS = ["double-test-1", "double-test-2", "quadruple-test-1", "quadruple-test-2"]
LIMITS = Limits(cell_seconds=1, total_seconds=20, memory_gib=0.2)


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    assert sandbox.missing() == ""
    with Team(1, libraries=(), mode=Mode.SANDBOX) as team:
        yield team


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return build_week(load_week(write_tiny_week(tmp_path_factory.mktemp("checkout"))))


Judged = Callable[..., Run]


@pytest.fixture
def judged(team: Team, week: Notebooks) -> Judged:
    """Judges the tiny week with answers, and with cells of the learner's own before it."""

    def judged(answers: dict[str, str], *own: str, limits: Limits = LIMITS, tests: dict[str, str] | None = None) -> Run:
        ids = [f"own-{number}" for number in range(len(own))]
        sources = RIGHT | answers | dict(zip(ids, own, strict=True))
        job = make_job(week, "ann", (*ids, *graded_cells(week.week)), sources)
        changed = tests or {}
        cells = tuple(replace(cell, source=changed.get(cell.id, cell.source)) for cell in job.cells)
        (run,) = team.run([replace(job, cells=cells, limits=limits)])
        assert list(run.cells) == [cell.id for cell in cells] or set(run.cells) == {cell.id for cell in cells}
        return run

    return judged


def verdicts(run: Run, *ids: str) -> str:
    return " ".join(run.cells[cell_id].verdict for cell_id in ids or TESTS)


def printed(run: Run) -> str:
    return str([cell.outputs for cell in run.cells.values()])


# verdicts


def test_right_answers_pass_every_cell(judged: Judged) -> None:
    run = judged({})
    assert {cell.verdict for cell in run.cells.values()} == {"PASS"}
    assert {cell.message for cell in run.cells.values()} == {""}
    assert run.deaths == 0
    assert run.cpu_seconds > 0
    assert run.peak_mib > 1


def test_a_wrong_answer_fails_with_its_check(judged: Judged) -> None:
    done = judged({"double": "def double(number): return number"}).cells["double-test-1"]
    assert done.verdict == "FAIL"
    assert done.message.startswith("✗ double of 2: double(2) not as expected")
    assert done.check is not None
    assert (done.check["came"], done.check["expected"]) == ("2 (int)", "4 (int)")
    assert done.check["cause"] == "this is the number itself"
    assert done.line == 3, "below the line that says what the test is"


def test_an_error_in_an_answer_is_a_failed_check_with_the_learners_line(judged: Judged) -> None:
    done = judged({"double": "def double(number):\n    return number + missing"}).cells["double-test-1"]
    assert done.verdict == "FAIL"
    assert "NameError: name 'missing' is not defined" in done.message
    assert "in double, at: return number + missing" in done.message


def test_an_answer_cell_that_raises_is_an_error_and_the_others_go_on(judged: Judged) -> None:
    run = judged({"double": "1 / 0", "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run, "double", "quadruple") == "ERROR PASS"
    assert run.cells["double"].message == "ZeroDivisionError: division by zero"
    assert run.cells["double"].line == 1
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert "NameError: name 'double' is not defined" in run.cells["double-test-1"].message


DEADLY = {
    "TIMEOUT": "any(iter(int, 1))",
    "CRASH": "__import__('os')._exit(3)",
    "OOM": "[bytearray(2**27) for _ in range(9)]",
    "TAMPERED": "__import__('os').write(next(n for n in range(3, 9) if is_open(n)), b'x' * 99)",
}
IS_OPEN = """
def is_open(number):
    import os
    try: return bool(os.fstat(number))
    except OSError: return False
"""
SAYS = {
    "TIMEOUT": "the cell ran longer than 1 s and was stopped",
    "CRASH": "the process ended inside this cell (exit code 3)",
    "OOM": "MemoryError",
    "TAMPERED": "the process sent what no answer sends",
}


@pytest.mark.parametrize("verdict", DEADLY)
def test_an_answer_that_ends_the_process_in_a_test_costs_that_test_alone(judged: Judged, verdict: str) -> None:
    """Points earned before stay, and later cells go on in a new process."""
    deadly = f"{IS_OPEN}\ndef double(number):\n    if number == 0: {DEADLY[verdict]}\n    return 2 * number"
    run = judged({"double": deadly, "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run) == f"PASS {verdict} PASS PASS"
    assert SAYS[verdict] in run.cells["double-test-2"].message
    assert run.deaths == (verdict != "OOM")


@pytest.mark.parametrize("verdict", DEADLY)
def test_an_answer_cell_that_ends_the_process_costs_its_exercise_alone(judged: Judged, verdict: str) -> None:
    run = judged({"quadruple": f"{IS_OPEN}\n{DEADLY[verdict]}"})
    assert verdicts(run, "double", "quadruple") == f"PASS {verdict}"
    assert SAYS[verdict] in run.cells["quadruple"].message
    assert verdicts(run) == "PASS PASS FAIL FAIL"


def test_memory_of_many_processes_is_oom(judged: Judged) -> None:
    fill = "block = bytearray(10**8)\n        block[::4096] = b'x' * len(block[::4096])\n        while True: pass"
    source = f"import os\nfor _ in range(4):\n    if not os.fork():\n        {fill}\nwhile True: pass"
    run = judged({"quadruple": source}, limits=LIMITS.model_copy(update={"cell_seconds": 10}))
    assert verdicts(run, "quadruple") == "OOM"
    assert run.cells["quadruple"].message == "the process needed more than 0.2 GiB of memory"


def test_two_timeouts_are_enough(judged: Judged) -> None:
    limits = LIMITS.model_copy(update={"cell_seconds": 0.5})
    run = judged({}, "while True: pass", "while True: pass", "print('third')", limits=limits)
    assert verdicts(run, "own-0", "own-1", "own-2") == "TIMEOUT TIMEOUT TIMEOUT"
    assert verdicts(run) == "TIMEOUT TIMEOUT TIMEOUT TIMEOUT"
    for cell_id in ("own-2", *TESTS):
        assert run.cells[cell_id].message == "not run: the cell ran longer than 0.5 s and was stopped"


def test_three_deaths_are_enough(judged: Judged) -> None:
    leave = "import os\nos._exit(1)"
    run = judged({}, leave, leave, "print('own')", leave)
    assert verdicts(run, "own-0", "own-1", "own-2", "own-3", "double") == "CRASH CRASH PASS CRASH CRASH"
    assert verdicts(run) == "CRASH CRASH CRASH CRASH"
    assert run.cells["double-test-1"].message == "not run: the process ended inside this cell"


def test_the_whole_notebook_has_a_time(judged: Judged) -> None:
    limits = Limits(cell_seconds=10, total_seconds=1.5, memory_gib=0.2)
    run = judged({"quadruple": "while True: pass"}, limits=limits)
    assert verdicts(run, *TESTS[:2], "quadruple", *TESTS[2:]) == "PASS PASS TIMEOUT TIMEOUT TIMEOUT"
    assert run.cells["quadruple"].message == "the whole notebook ran longer than 1.5 s"
    assert run.cells["quadruple-test-1"].message == "not run: the whole notebook ran longer than 1.5 s"


def test_warnings_and_floods_cost_nothing(judged: Judged) -> None:
    loud = (
        "import sys, warnings\ndef double(number):\n    warnings.warn('odd')\n    print('x' * 10**6, file=sys.stderr)\n"
    )
    run = judged({"double": loud + "    return 2 * number"}, "print('y' * 10**6)")
    assert verdicts(run) == "PASS PASS PASS PASS"
    assert len(printed(run)) < 200_000


# magics and commands


def test_commands_and_magics_run_in_the_sandbox_and_cost_nothing(judged: Judged) -> None:
    """Where the answer runs: without a terminal, a network, the course, and anything that lies on the machine."""
    mark = Path(__file__)
    commands = f"!echo seen; ls {mark.parent} {mark}; ls /workbook/autograder\n!cat /etc/passwd; exit 3\n%cd /tmp\n"
    commands += "names = !echo captured\nprint(names, _exit_code)\n%timeit -n1 -r1 1 + 1\n"
    run = judged({"double": commands + DOUBLE + "\n%load_ext autograder.magic\n%check double"}, "%%bash\necho bash")
    assert verdicts(run) == "PASS PASS PASS PASS"
    shown = printed(run)
    assert "seen" in shown
    assert "bash" in shown
    assert "['captured'] 3" in shown
    assert shown.count("No such file or directory") >= 2
    assert "engine" in shown
    assert "judge" not in shown.replace(str(mark), "")
    assert "root:" not in shown


def test_a_command_that_does_not_end_is_a_timeout(judged: Judged) -> None:
    assert verdicts(judged({"double": "!sleep 60"}), "double") == "TIMEOUT"


def test_a_flood_of_a_command_is_cut(judged: Judged) -> None:
    run = judged({"double": f"!yes | head -c 3000000\n{DOUBLE}"})
    assert verdicts(run) == "PASS PASS PASS PASS"
    assert len(printed(run)) < 100_000


def test_a_call_that_prints_without_end_is_stopped_before_its_time(judged: Judged) -> None:
    endless = "def double(number):\n    while number: print('x' * 10_000)\n    return 0"
    run = judged({"double": endless, "quadruple": "def quadruple(number): return 4 * number"})
    assert verdicts(run) == "ERROR ERROR PASS PASS"
    assert "OutputLimitError: this printed more than" in run.cells["double-test-1"].message


# what is kept


def test_what_a_submission_shows_is_bounded_as_a_file_holds_it(judged: Judged) -> None:
    """Each cell shows what it may, in letters of four bytes and in ones that a file writes as six."""
    show = (
        "from IPython.display import display\nfor _ in range(9): display({'text/plain': TEXT}, raw=True)\nprint(TEXT)"
    )
    own = [show.replace("TEXT", text) for text in ("'🎓' * 100_000", "chr(1) * 100_000") for _ in range(15)]
    run = judged({}, *own)
    sizes = [len(json.dumps(cell.outputs, ensure_ascii=False).encode()) for cell in run.cells.values()]
    assert verdicts(run) == "PASS PASS PASS PASS"
    assert max(sizes) < 1_300_000
    assert 10 * 2**20 < sum(sizes) <= MAX_SHOWN


def test_cells_that_nobody_reads_are_left_out_where_there_are_too_many(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, Outcome] = {}
    judge = Judge({"limits": {"total_seconds": 9}, "cells": []}, lambda: pytest.fail("nothing is run"), None)
    for number in range(400):
        cell = {"id": f"own-{number}", "kind": OWN}
        judge._keep(said, cell, Outcome("ERROR", "x" * 200_000, outputs=[{"text": "y" * 100_000}]))
    judge._keep(said, {"id": "test", "kind": TEST}, Outcome("PASS"))
    assert len(json.dumps([asdict(one) for one in said.values()])) < 2 * MAX_SHOWN + 400 * 500
    assert "test" in said
    assert len(said) < 400


def test_an_error_of_any_class_is_an_error_of_the_test(judged: Judged) -> None:
    """Raised by the judge in the learner's name: classes that end a program, or that want more than a text."""
    errors = "import builtins\nkinds = [k for k in vars(builtins).values() if isinstance(k, type) "
    errors += "and issubclass(k, BaseException)]\nmade = iter(range(10**6))\n"
    forge = FORGED.replace("{base!r}", "kinds[next(made) % len(kinds)].__name__").format(operation="call")
    tests = {"double-test-1": "for _ in range(80):\n    try: double(1)\n    except BaseException: pass\ndouble(1)"}
    run = judged({"double": errors + DOUBLE + "\n" + forge}, tests=tests)
    assert verdicts(run, *TESTS[:2]) in ("ERROR FAIL", "ERROR ERROR", "FAIL FAIL")


@pytest.mark.parametrize("kind", ["SyntaxError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration"])
def test_an_odd_error_is_an_error_of_its_test(judged: Judged, kind: str) -> None:
    run = judged({"double": f"def double(number): raise {kind}('\\0🎓')"})
    assert {*verdicts(run, *TESTS[:2]).split()} <= {"FAIL", "ERROR"}
    assert verdicts(run, *TESTS[2:]) == "PASS PASS"


def test_a_cell_of_the_course_shows_what_it_showed_in_the_judge(judged: Judged, week: Notebooks) -> None:
    """What the learner's process says about it is the learner's word."""
    lie = "from autograder.engine.guest import learner_process\nreal = learner_process.run_cell\n"
    lie += "shown = [{'output_type': 'stream', 'name': 'stdout', 'text': 'a lie'}]\n"
    lie += "learner_process.run_cell = lambda *cell: real(*cell) | {'outputs': shown}"
    given = Code("given", "print('from the course')", TRUSTED)
    job = make_job(week, "ann", graded_cells(week.week), RIGHT)
    with Team(1, mode=Mode.SANDBOX) as team:
        (run,) = team.run([replace(job, cells=(Code("own-1", lie, OWN), given, *job.cells))])
    assert "from the course" in str(run.cells["given"].outputs)
    assert "a lie" not in str(run.cells["given"].outputs)
    assert "a lie" in str(run.cells["double"].outputs)


@pytest.mark.parametrize("answer", [DOUBLE, "1 / 0", "double = 5", "class double:\n    __or__ = None"])
def test_a_cell_of_the_course_that_names_an_answer_never_meets_it(judged: Judged, week: Notebooks, answer: str) -> None:
    """What is missing there, or is something odd, would be a fault of the course's, and nothing would be graded."""
    given = Code("given", "def apply(function: double | None, number): return function(number)", TRUSTED)
    job = make_job(week, "ann", graded_cells(week.week), RIGHT | {"double": answer})
    place = 1 + [cell.id for cell in job.cells].index("double-test-2")
    with Team(1, mode=Mode.SANDBOX) as team:
        (run,) = team.run([replace(job, cells=(*job.cells[:place], given, *job.cells[place:]))])
    assert "INFRA" not in verdicts(run, *TESTS, "given")
    assert verdicts(run, *TESTS[2:]) == "PASS PASS"


# cells of the learner's own, and names


def test_cells_of_the_learners_own_run_where_they_stand(judged: Judged) -> None:
    own = "import math\nfactor = 2\nprint('mine')"
    run = judged({"double": "def double(number): return factor * number"}, own)
    assert verdicts(run, "own-0", *TESTS) == "PASS PASS PASS PASS PASS"
    assert "mine" in str(run.cells["own-0"].outputs)


@pytest.mark.parametrize(
    "spoiling",
    [
        "from shared import checks\nchecks.equal = checks.close = lambda *a, **k: None",
        "import builtins\nbuiltins.type = lambda *a: int\nbuiltins.len = lambda x: 0",
        "def _(*a): pass\nget_ipython().set_custom_exc((Exception,), _)",
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])",
        "class Four(int):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
        "    __hash__ = int.__hash__",
    ],
    ids=["checks", "builtins", "exceptions", "input", "class"],
)
def test_nothing_that_a_learner_patches_reaches_the_judge(judged: Judged, spoiling: str) -> None:
    wrong = "def double(number): return Four(7) if 'Four' in globals() else 7"
    run = judged({"double": wrong, "quadruple": "def quadruple(n): return 7"}, spoiling)
    assert "PASS" not in verdicts(run)
    assert "INFRA" not in verdicts(run)


def test_a_name_that_an_answer_deleted_is_missing(judged: Judged) -> None:
    run = judged({"quadruple": "del double\ndef quadruple(n): return 4 * n"})
    assert verdicts(run) == "PASS PASS PASS PASS"
    run = judged({"double": f"{DOUBLE}\ndel double", "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert "NameError: name 'double' is not defined" in run.cells["double-test-1"].message


def test_a_name_of_an_earlier_test_is_not_left_over(judged: Judged) -> None:
    """An answer that takes its own name away does not pass with the handle of an earlier test."""
    fleeting = "def double(number):\n    global double\n    if number == 2: del double\n    return 2 * number"
    run = judged({"double": fleeting, "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run) == "PASS FAIL PASS PASS"


@pytest.mark.parametrize("value", ["4", "'text'", "None", "[1]", "{'a': 1}", "float('nan')"])
def test_an_answer_that_is_no_function_fails(judged: Judged, value: str) -> None:
    run = judged({"double": f"double = {value}", "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert "TypeError" in run.cells["double-test-1"].message


def test_an_answer_that_is_too_large_to_send_costs_its_own_tests_alone(judged: Judged) -> None:
    run = judged({"double": "double = 'x' * 10**7", "quadruple": "def quadruple(n): return 4 * n"})
    assert "INFRA" not in verdicts(run)
    assert verdicts(run, *TESTS[:2]) in ("ERROR ERROR", "FAIL FAIL")


FORGED = """
from autograder.engine.guest import learner_process, wire
before = learner_process._reply
def forge(message, objects, shell):
    number, operation = learner_process._Reader(message, objects).load()[:2]
    if operation == {operation!r}:
        return wire.pack([number, "raised", {{"base": {base!r}, "name": {base!r}, "text": "forged", "where": "",
                                       "kind": "", "subject": ""}}])
    return before(message, objects, shell)
learner_process._reply = forge
"""


@pytest.mark.parametrize("base", ["TypeError", "ValueError", "SystemExit", "KeyboardInterrupt", "OSError"])
@pytest.mark.parametrize("operation", ["names", "run", "call"])
def test_a_forged_error_is_never_the_graders_fault(judged: Judged, operation: str, base: str) -> None:
    """Points would be kept in suspense, and a submission could never be graded."""
    run = judged({"double": DOUBLE + "\n" + FORGED.format(operation=operation, base=base)})
    assert "INFRA" not in verdicts(run)
    assert ("PASS" in verdicts(run, *TESTS[:2])) == (operation == "run")


# faults of the course


@pytest.mark.parametrize("broken", ["1 / 0", "raise SystemExit"])
def test_a_set_up_cell_of_the_course_that_breaks_is_infra(judged: Judged, broken: str) -> None:
    run = judged({}, tests={"setup": broken})
    assert {cell.verdict for cell in run.cells.values()} == {"INFRA"}
    assert "cell 'setup' of the course" in run.cells["double-test-1"].message


def test_a_test_that_edits_a_learners_state_is_infra_with_its_name() -> None:
    answer = "import torch\nlayer = torch.nn.Linear(2, 2)"
    edit = "import torch\nwith torch.no_grad(): layer.weight.zero_()\n"
    swallowed = edit + "try: layer(torch.ones(2))\nexcept TypeError: pass"
    with Team(1, libraries=("torch",), mode=Mode.SANDBOX) as team:
        for test in (edit, swallowed):
            cells = (Code("layer", answer, "answer", "layer"), Code("layer-test-1", test, "test", "layer"))
            (run,) = team.run([Job("ann", cells, Limits(), ("layer",))])
            assert {cell.verdict for cell in run.cells.values()} == {"INFRA"}
            assert "test cell 'layer-test-1': changing a parameter" in run.cells["layer-test-1"].message


# exercises that build on others


WRONG = "def double(number): return number"


def test_a_failed_exercise_costs_nothing_in_one_that_builds_on_it(judged: Judged) -> None:
    run = judged({"double": WRONG})
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert [run.cells[test].stand_ins for test in TESTS] == [(), (), ("double",), ("double",)]


def test_without_a_failed_exercise_nothing_stands_in(judged: Judged) -> None:
    run = judged({"quadruple": "def quadruple(n): return 2 * n"})
    assert verdicts(run) == "PASS PASS FAIL FAIL" or verdicts(run) == "PASS PASS FAIL PASS"
    assert [run.cells[test].stand_ins for test in TESTS] == [(), (), (), ()]


def test_a_wrong_answer_stays_wrong_where_the_reference_stands_in(judged: Judged) -> None:
    run = judged({"double": WRONG, "quadruple": "def quadruple(n): return double(n)"})
    assert verdicts(run) == "FAIL FAIL FAIL FAIL"
    assert run.cells["quadruple-test-1"].stand_ins == ("double",)
    assert "got:          1 (int)" in run.cells["quadruple-test-1"].message, "what their notebook says, too"


def test_tests_that_passed_without_help_are_not_judged_again(judged: Judged) -> None:
    run = judged({"double": WRONG, "quadruple": "def quadruple(n): return 4 * n"})
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert run.cells["quadruple-test-1"].stand_ins == ()


@pytest.mark.parametrize("how", ["1 / 0", "import os\nos._exit(1)", "while True: pass", "del double"])
def test_an_exercise_that_broke_down_is_stood_in_for_too(judged: Judged, how: str) -> None:
    run = judged({"double": f"{WRONG}\n{how}"})
    assert "PASS" not in verdicts(run, *TESTS[:2])
    assert verdicts(run, *TESTS[2:]) == "PASS PASS"


def test_what_learners_cells_print_beside_the_reference_is_thrown_away(judged: Judged) -> None:
    """They could print the reference, which stands where their answer stood."""
    spy = "import inspect\nprint('READ', inspect.getsource(double))\n"
    run = judged({"double": WRONG, "quadruple": spy + QUADRUPLE})
    assert verdicts(run) == "FAIL FAIL PASS PASS"
    assert "READ" in printed(run)
    assert "number + number" not in printed(run)


def test_the_reference_does_not_leave_by_the_message_of_a_test(judged: Judged) -> None:
    spy = "import inspect\ndef quadruple(n): raise ValueError(inspect.getsource(double))"
    run = judged({"double": WRONG, "quadruple": spy})
    messages = str([cell.message for cell in run.cells.values()]) + printed(run)
    assert "number + number" not in messages


def test_an_unwritten_stub_gets_no_stand_in(judged: Judged, week: Notebooks) -> None:
    stubs = {cell.id: cell.source for cell in week.learner.cells if cell.id in RIGHT}
    run = judged({"double": WRONG, "quadruple": stubs["quadruple"]})
    assert verdicts(run) == "FAIL FAIL FAIL FAIL"
    assert run.cells["quadruple-test-1"].stand_ins == ()
    run = judged(stubs)
    assert verdicts(run) == "FAIL FAIL FAIL FAIL"
    assert all("not written yet" in run.cells[test].message for test in TESTS)


def test_after_the_time_is_up_nothing_stands_in(judged: Judged) -> None:
    limits = Limits(cell_seconds=10, total_seconds=1.5, memory_gib=0.2)
    run = judged({"double": f"{WRONG}\nwhile True: pass"}, limits=limits)
    assert verdicts(run) == "TIMEOUT TIMEOUT TIMEOUT TIMEOUT"
    assert run.cells["quadruple-test-1"].stand_ins == ()


def test_judging_twice_gives_the_same(judged: Judged) -> None:
    first, second = (judged({"double": WRONG}, "import random\nprint(random.random())") for _ in range(2))
    for cell_id, cell in first.cells.items():
        assert replace(cell, seconds=0) == replace(second.cells[cell_id], seconds=0)


def test_a_submission_leaves_no_file(judged: Judged, tmp_path: Path) -> None:
    mark = Path("/tmp") / f"workbook-{tmp_path.name}"
    run = judged({}, f"open({str(mark)!r}, 'w').close()")
    assert verdicts(run, "own-0") == "PASS"
    assert not mark.exists()
