"""Cheats against values: each wins points where all cells share a process, and none where tests run in the judge."""

from __future__ import annotations

import re

import pytest

from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from .harness import Case, Played, honest_ones, play, with_honest
from .lesson import HONEST

APART = "tests run in another process; only plain values come back"
WRONG = "\ndef double(number):\n    return number\n"
LIAR = "\ndef double(number):\n    return Liar()\n"
SHELL = "shell = get_ipython()\n"

CASES = [
    # objects that lie about themselves
    Case(
        "lying-eq",
        "a result that equals everything",
        "comparing a handle is refused",
        "class Liar(int):\n    __eq__ = lambda self, other: True\n" + LIAR,
        off="PASS FAIL",
    ),
    Case(
        "lying-class",
        "an object that says it is an int and equals everything",
        "comparing a handle is refused",
        "class Liar:\n    __class__ = property(lambda self: int)\n    __eq__ = lambda self, other: True\n" + LIAR,
        off="PASS FAIL",
    ),
    Case(
        "lying-bool",
        "a comparison whose result is always true",
        "comparing a handle is refused",
        "class Yes:\n    __bool__ = lambda self: True\n    def __len__(self): return 1\n"
        "class Liar(int):\n    __eq__ = lambda self, other: Yes()\n" + LIAR,
        off="PASS FAIL",
    ),
    Case(
        "lying-ne",
        "an int subclass that never differs, and a `type` that agrees",
        "subclasses cross as the plain int",
        "import builtins\nreal = type\n"
        "class Liar(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
        "builtins.type = lambda *a: int if len(a) == 1 and isinstance(a[0], Liar) else real(*a)\n" + LIAR,
        whole=False,
    ),
    Case(
        "lying-float",
        "a float whose difference to anything is 0",
        "subclasses cross as the plain float",
        "class Liar(float):\n    __sub__ = __rsub__ = lambda self, other: 0.0\n"
        "def quadruple(number):\n    return Liar(99)",
        off="PASS FAIL",
        exercise="quadruple",
    ),
    Case(
        "lying-list",
        "a list that shows other items on each reading",
        "subclasses cross as the plain list, read once",
        "class Liar(list):\n    __len__ = lambda self: 4\n    reads = 0\n    def __iter__(self):\n"
        "        self.reads += 1\n        return iter([1, 1, 2, 2] if self.reads == 1 else [1, 2, 1, 2])\n"
        "calls = []\ndef twice(items):\n    calls.append(items)\n    return Liar([3]) if len(calls) == 1 else [6]",
        off="PASS PASS",
        on="FAIL PASS",
        exercise="twice",
    ),
    # what the tests use
    Case(
        "own-checks",
        "`checks` replaced by a name of the learner's",
        APART,
        """
class Anything:
    def __getattr__(self, name): return lambda *a, **k: self
    def __enter__(self): return self
    def __exit__(self, *a): return True
checks = Anything()
"""
        + WRONG,
        off="FAIL FAIL",  # also in one process tests have names of their own
    ),
    Case(
        "patched-checks",
        "`checks.equal` and `fail` that accept everything",
        APART,
        "checks.equal = checks.fail = checks.core.fail = lambda *a, **k: None\n" + WRONG,
        off="FAIL PASS",
    ),
    Case(
        "patched-step",
        "a step that swallows every failure, an AssertionError too",
        APART,
        "import contextlib\n@contextlib.contextmanager\ndef step(title):\n    try: yield\n"
        "    except BaseException: pass\n"
        "checks.step = step\n" + WRONG,
    ),
    Case(
        "patched-failure",
        "a CheckFailure class that cannot be raised inside a step",
        APART,
        "import contextlib\ncontextlib._GeneratorContextManager.__exit__ = lambda *a: True\n" + WRONG,
    ),
    Case(
        "patched-builtins",
        "`abs` and `all` that say what the test wants",
        APART,
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = lambda x: True\n"
        "def quadruple(number):\n    return 1",
        off="PASS FAIL",
        exercise="quadruple",
    ),
    Case(
        "patched-modules",
        "a false `math` for tests that import it",
        APART,
        "import sys, types\nfalse = types.ModuleType('math')\nfalse.isclose = lambda *a, **k: True\n"
        "sys.modules['math'] = false\ndef quadruple(number):\n    return 1",
        off="FAIL PASS",
        whole=False,
        exercise="quadruple",
    ),
    Case(
        "patched-meta-path",
        "an import of the tests' that finds the learner's module",
        APART,
        "import builtins\nreal = builtins.__import__\nclass Agrees:\n    isclose = staticmethod(lambda *a: True)\n"
        "builtins.__import__ = lambda name, *a, **k: Agrees if name == 'math' else real(name, *a, **k)\n"
        "def quadruple(number):\n    return 1",
        off="FAIL PASS",
        exercise="quadruple",
    ),
    Case(
        "printed-verdict",
        "lines that look like passed checks, and a `print` that says so",
        "a verdict is what the judge saw, not what was printed",
        "import builtins\nprint('✓ 2 checks passed')\nbuiltins.print = lambda *a, **k: None\n"
        "checks.done = lambda **k: None\ncheck_failed = None\nchecks.fail = checks.core.fail = lambda *a, **k: None\n"
        + WRONG,
        off="FAIL PASS",
        says="✓ 2 checks passed",
    ),
    # IPython
    Case(
        "ipython-run-cell",
        "a shell that reports success for every cell",
        APART,
        SHELL + "real = shell.run_cell\nshell.run_cell = lambda *a, **k: real('1')\n" + WRONG,
        whole=False,
    ),
    Case(
        "ipython-result",
        "results of cells that forget their error",
        APART,
        "from IPython.core.interactiveshell import ExecutionResult\n"
        "ExecutionResult.error_in_exec = property(lambda s: None, lambda s, e: None)\n" + WRONG,
    ),
    Case(
        "ipython-ast",
        "an AST transformer that takes the asserts out of test cells",
        APART,
        SHELL
        + "import ast\nclass NoAsserts(ast.NodeTransformer):\n    def visit_Assert(self, node): return ast.Pass()\n"
        "shell.ast_transformers.append(NoAsserts())\n" + WRONG,
        off="PASS FAIL",
    ),
    Case(
        "ipython-input",
        "an input transformer that empties test cells",
        APART,
        SHELL + "shell.input_transformers_cleanup.append("
        "lambda lines: ['1\\n'] if 'with checks' in ''.join(lines) else lines)\n" + WRONG,
    ),
    Case(
        "ipython-events",
        "an event before each cell that reads the hidden tests' answers",
        APART,
        SHELL + "import re\nanswers = {}\ndef learn(info):\n"
        "    answers.update(re.findall(r'checks.equal\\(double\\((\\w+)\\), (\\d+)', info.raw_cell))\n"
        "    if 'secret_of_the_test' in answers: answers['123456'] = answers['secret_of_the_test']\n"
        "shell.events.register('pre_run_cell', learn)\n"
        "def double(number):\n    return int(answers.get(str(number), -1))",
        off="FAIL PASS",
    ),
    Case(
        "ipython-exceptions",
        "a custom handler for failed tests that runs them again, with other names",
        APART,
        SHELL + "def again(shell, kind, error, tb, **k):\n    import sys\n"
        "    frame = sys._getframe()\n    while frame:\n        done = frame.f_locals.get('result')\n"
        "        if hasattr(done, 'error_in_exec'): hide(type(done))\n        frame = frame.f_back\n"
        "def hide(kind):\n    kind.error_in_exec = property(lambda s: None, lambda s, e: None)\n"
        "shell.set_custom_exc((Exception,), again)\n" + WRONG,
    ),
    Case(
        "ipython-traceback",
        "a showtraceback that ends the process with a good word",
        APART,
        SHELL + "import gc\ndef hide(*a, **k):\n"
        "    for done in gc.get_objects():\n"
        "        if type(done).__name__ == 'ExecutionResult': done.error_in_exec = None\n"
        "    type(done)\n"
        "shell.showtraceback = shell._showtraceback = hide\n"
        "from IPython.core import interactiveshell as i\ni.ExecutionResult.__setattr__ = lambda s, n, v: "
        "object.__setattr__(s, n, None if n == 'error_in_exec' else v)\n" + WRONG,
    ),
    Case(
        "ipython-magic",
        "a cell magic that the next cells are given to",
        APART,
        SHELL + "shell.register_magic_function(lambda line, cell: None, 'cell', 'nothing')\n"
        "real = shell.transform_cell\n"
        "shell.transform_cell = lambda raw: real('%%nothing\\n' + raw) if 'with checks' in raw else real(raw)\n"
        + WRONG,
    ),
]


@pytest.fixture(scope="module")
def off(together: Team, plain: Notebooks) -> dict[str, Played]:
    return play(together, plain, with_honest({case.name: {case.exercise: case.code} for case in CASES}, HONEST))


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return play(sandbox, plain, with_honest({case.name: {case.exercise: case.code} for case in CASES}, HONEST))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cheat_wins_in_one_process_and_not_against_the_judge(
    case: Case, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said
    others = [name for name in HONEST if name != case.exercise]
    assert [on[case.name].verdicts(name) for name in others] == ["PASS PASS"] * 2 or not case.whole
    assert re.search(case.says, on[case.name].said)


def test_honest_learners_get_what_they_get_without_cheats(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.graded.total == 80
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))
