"""`%check` in a kernel: its own objects, untouched; what is missing is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autograder.learner import kernel_check
from autograder.learner.released import open_released
from autograder.learner.start import start_week

from .conftest import RIGHT, SAME, WEEK


@pytest.fixture
def kernel(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell in the folder of the learner's notebook, as JupyterLab starts a kernel."""
    start_week(bundle, WEEK)
    monkeypatch.chdir(bundle / "work" / WEEK)
    monkeypatch.setenv("COLUMNS", "150")
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "autograder.magic")
    yield shell
    shell.history_manager.end_session()


Check = Callable[[str], str]


@pytest.fixture
def check(kernel: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(line: str) -> str:
        capsys.readouterr()
        kernel.run_line_magic("check", line)
        return capsys.readouterr().out

    return run


@pytest.fixture
def cells(bundle: Path) -> dict[str, str]:
    return {cell.id: cell.source for cell in open_released(bundle, "1").learner.cells}


def test_it_says_what_has_to_run_first(kernel: InteractiveShell, check: Check, cells: dict[str, str]) -> None:
    assert "cell 2 (setup) was not run yet: run it first" in check("double")
    kernel.run_cell(cells["setup"])
    assert "its cell was not run in this kernel · cell 4" in check("double")
    kernel.run_cell(cells["double"])
    assert "not written yet" in check("double")


def test_it_tests_the_objects_of_the_kernel(kernel: InteractiveShell, check: Check, cells: dict[str, str]) -> None:
    kernel.run_cell(cells["setup"])
    kernel.run_cell(SAME)
    out = check("double")
    assert "✗  1 double" in out
    assert "likely cause: this is the number itself" in out
    kernel.run_cell(RIGHT["double"])
    assert "✓  1 double" in check("1")
    assert "✓  1 double" in check("1 double")
    whole = check("")
    assert "1 of 2 exercises · 40/80 points" in whole
    assert "its cell was not run in this kernel" in whole
    kernel.run_cell(RIGHT["quadruple"])
    assert "2 of 2 exercises · 80/80 points" in check("")


def test_an_answer_that_raises_is_quoted(kernel: InteractiveShell, check: Check, cells: dict[str, str]) -> None:
    kernel.run_cell(cells["setup"])
    kernel.run_cell("def double(number):\n    return number.size()")
    out = check("double")
    assert "AttributeError: 'int' object has no attribute 'size'" in out
    assert "in double, at: return number.size()" in out


def test_an_emptied_stub_and_a_library_that_cannot_do_it(
    kernel: InteractiveShell, check: Check, cells: dict[str, str]
) -> None:
    kernel.run_cell(cells["setup"])
    kernel.run_cell("def double(number):\n    import operator\n    raise NotImplementedError('not for numbers')")
    out = check("double")
    assert "not written yet" not in out
    assert "NotImplementedError: not for numbers" in out
    kernel.run_cell("del double")
    out = check("double")
    assert "its cell was not run in this kernel" in out
    assert "run the cell of double; where it is empty, restore its stub" in out


def test_who_stops_a_check_is_told_where_it_was(
    kernel: InteractiveShell, check: Check, cells: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = kernel_check._still_running

    def once(*said: Any) -> None:
        tell(*said)
        kernel.user_ns["waiting"] = False

    monkeypatch.setattr(kernel_check, "STILL_SECONDS", 0.05)
    monkeypatch.setattr(kernel_check, "_still_running", once)
    kernel.run_cell(cells["setup"])
    kernel.run_cell("waiting = True\ndef double(number):\n    while waiting: pass\n    raise KeyboardInterrupt")
    out = check("double")
    assert "%check: still running after 0 s in line 3 of double: while waiting: pass; to stop it" in out
    assert "%check: stopped, in line 4 of double: raise KeyboardInterrupt" in out


def test_it_changes_nothing_in_the_kernel(kernel: InteractiveShell, check: Check, cells: dict[str, str]) -> None:
    kernel.run_cell(cells["setup"])
    kernel.run_cell(RIGHT["double"] + "\nnumber = 'mine'")
    before = dict(kernel.user_ns)
    check("double")
    after = dict(kernel.user_ns)
    assert after.keys() == before.keys()
    assert after["number"] == "mine"


def test_random_numbers_are_as_without_it(kernel: InteractiveShell, check: Check, cells: dict[str, str]) -> None:
    """`Run All` runs a check below each stub; what later cells draw must not depend on it."""
    kernel.run_cell(cells["setup"])
    kernel.run_cell("import random\ndef double(number):\n    random.random()\n    return number + number")
    kernel.run_cell("random.seed(1)\nwanted = random.random()\nrandom.seed(1)")
    assert "✓  1 double" in check("double")
    kernel.run_cell("drawn = random.random()")
    assert kernel.user_ns["drawn"] == kernel.user_ns["wanted"]


def test_what_it_cannot_do_is_one_line(
    kernel: InteractiveShell, check: Check, cells: dict[str, str], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "has no exercise 'doubel' -> did you mean double?" in check("doubel")
    assert "that is too much -> %check, %check sdpa or %check 1 sdpa" in check("1 double now")
    monkeypatch.chdir(bundle)
    assert f"which week is this? -> %check WEEK EXERCISE, with one of {WEEK}" in check("double")
    assert "cell 2 (setup)" in check("1 double"), "with the week it works everywhere in the checkout"
    kernel.user_ns["__vsc_ipynb_file__"] = str(bundle / "elsewhere" / "tiny.ipynb")
    assert "cell 2 (setup)" in check("double"), "VS Code says which notebook this is"


def test_away_from_a_checkout_it_uses_the_one_it_came_from(
    kernel: InteractiveShell, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Colab, whose notebooks run in /content."""
    monkeypatch.chdir(tmp_path)
    assert "cell 3 (setup) was not run yet" in check("1 sdpa")


def test_an_answer_that_prints_without_end_is_stopped(
    kernel: InteractiveShell, check: Check, cells: dict[str, str]
) -> None:
    kernel.run_cell(cells["setup"])
    kernel.run_cell("def double(number):\n    while True: print('x' * 10_000)")
    out = check("double")
    assert "OutputLimitError: this printed more than 20,000,000 characters" in out
    assert len(out) < 2_000


def test_away_from_any_week_it_finds_the_week_whose_stub_was_run(
    kernel: InteractiveShell, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Colab, where the cell below a stub says only `%check sdpa`."""
    monkeypatch.chdir(tmp_path)
    assert "which week is this?" in check("sdpa")
    kernel.run_cell("class ScaledDotProductAttention: pass")
    assert "was not run yet: run it first" in check("sdpa")
