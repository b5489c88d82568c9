"""`session.begin()`, the last line of a set-up cell: in a notebook, in a plain process, where something is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from shared.runtime import session


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell that counts as the one of a notebook's kernel."""
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    shell.kernel = object()
    monkeypatch.setattr(session, "_shell", lambda: shell)
    yield shell
    shell.history_manager.end_session()


def test_without_a_notebook_around_it_it_sets_the_style_and_no_more() -> None:
    code = "import sys; from shared import session; session.begin(); print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_it_makes_check_known_and_can_be_run_again(kernel: Any) -> None:
    assert "check" not in kernel.magics_manager.magics["line"]
    session.begin()
    session.begin()
    assert "check" in kernel.magics_manager.magics["line"]


def test_without_the_command_check_says_what_is_missing(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in Colab, where somebody uploaded `shared` alone."""
    monkeypatch.setattr(session, "CHECK", "not_installed_here.magic")
    session.begin()
    kernel.run_cell("%check double")
    out = capsys.readouterr().out
    assert "not installed in this Python" in out
    assert "pip install -e ." in out


def test_a_part_of_the_command_that_is_missing_is_named(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session.begin()
    for module in [name for name in sys.modules if name.startswith("autograder.learner")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.setitem(sys.modules, "autograder.learner.kernel_check", None)
    kernel.run_cell("%check double")
    assert re.search(r"this Python has no module '.+' -> in the folder of the workbook: pip", capsys.readouterr().out)


STUB = "def double(number):\n    raise NotImplementedError()"


def test_an_answer_that_is_not_written_is_one_line_and_still_an_error(kernel: Any) -> None:
    session.begin()
    shown: list[list[str]] = []
    kernel._showtraceback = lambda kind, error, lines: shown.append(lines)
    kernel.run_cell(STUB)
    done = kernel.run_cell("double(2)")
    assert isinstance(done.error_in_exec, NotImplementedError), "a run of the whole notebook, and nbgrader, see it"
    assert shown == [["Nothing to see yet: double is not written. Write it, run it, run this cell again."]]


@pytest.mark.parametrize(
    "code", ["raise NotImplementedError('no such mode')", "import torch\ntorch.nn.Module()(1)"], ids=["own", "torch"]
)
def test_another_error_of_this_kind_is_shown_as_it_is(kernel: Any, code: str) -> None:
    """torch raises it as well, for what it cannot do."""
    session.begin()
    shown: list[str] = []
    kernel._showtraceback = lambda kind, error, lines: shown.extend(lines)
    kernel.run_cell(code)
    assert "Nothing to see yet" not in "".join(shown)
    assert "NotImplementedError" in "".join(shown)


def test_names_of_a_cell_that_waits_for_an_answer_are_told_as_such(kernel: Any) -> None:
    """Also where the second cell would have made a name for a third."""
    session.begin()
    shown: list[str] = []
    kernel._showtraceback = lambda kind, error, lines: shown.append("".join(lines))
    kernel.run_cell(STUB, store_history=True)
    for cell in ("table = [double(1)]", "curve = table[0]", "print(curve)"):
        done = kernel.run_cell(cell, store_history=True)
        assert not done.success, "a run of the whole notebook, and nbgrader, see it"
    assert shown[1:] == [
        f"Nothing to see yet: `{name}` comes from a cell above, which waits for an answer. "
        "Write it, and run both cells again."
        for name in ("table", "curve")
    ]


@pytest.mark.parametrize("code", ["print(tabel)", "def f():\n    return tabel\n\nf()"], ids=["cell", "function"])
def test_a_name_that_no_cell_would_have_made_is_shown_as_it_is(kernel: Any, code: str) -> None:
    session.begin()
    shown: list[str] = []
    kernel._showtraceback = lambda kind, error, lines: shown.extend(lines)
    kernel.run_cell(STUB, store_history=True)
    kernel.run_cell("table = [double(1)]", store_history=True)
    shown.clear()
    kernel.run_cell(code, store_history=True)
    assert "Nothing to see yet" not in "".join(shown)
    assert "NameError" in "".join(shown)
