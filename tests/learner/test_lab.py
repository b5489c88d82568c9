"""What `make lab` starts: a page that says where to begin, and a JupyterLab without nbgrader's buttons."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.learner import lab
from autograder.learner.start import start_week
from autograder.learner.start_page import State, page_path, start_page, write_start_page

from .conftest import RIGHT, WEEK, Workbook, answer, copy_of


def second_week(bundle: Path) -> str:
    """A second released week, a copy of the first."""
    name = WEEK.replace("01", "02")
    shutil.copytree(bundle / "weeks" / WEEK, bundle / "weeks" / name)
    return name


def test_it_says_where_to_begin_and_how_to_check(bundle: Path) -> None:
    start_week(bundle, WEEK)
    page = start_page(bundle)
    assert "Begin with **[week 1: Doubling](week01_tiny/tiny.ipynb)**." in page
    assert "`%check double`" in page
    assert "| [01 Doubling](week01_tiny/tiny.ipynb) | 0 of 2 | 0 of 80 | 0 of 1 |  |" in page
    assert (bundle / "work" / WEEK / "tiny.ipynb").is_file(), "where the link leads"


def test_it_leads_to_the_week_that_was_worked_on(bundle: Path, workbook: Workbook) -> None:
    for name in (WEEK, second_week(bundle)):
        start_week(bundle, name)
    assert "Begin with **[week 1: Doubling]" in start_page(bundle)
    answer(bundle / "work" / WEEK.replace("01", "02") / "tiny.ipynb", double=RIGHT["double"])
    assert "Go on with **[week 2: Doubling](week02_tiny/tiny.ipynb)**." in start_page(bundle)
    assert workbook("check", 2).code == 1
    page = start_page(bundle)
    assert "| [02 Doubling](week02_tiny/tiny.ipynb) | 1 of 2 | 40 of 80 | 0 of 1 | workbook " in page
    assert "| [01 Doubling](week01_tiny/tiny.ipynb) | 0 of 2 | 0 of 80 | 0 of 1 |  |" in page


def test_it_is_written_anew_until_a_learner_changes_it(bundle: Path) -> None:
    start_week(bundle, WEEK)
    path = page_path(bundle)
    assert write_start_page(bundle) is State.WRITTEN
    answer(copy_of(bundle), double=RIGHT["double"])
    assert write_start_page(bundle) is State.WRITTEN
    assert "Go on with" in path.read_text(encoding="utf-8")
    mine = path.read_text(encoding="utf-8") + "\nMy own list.\n"
    path.write_text(mine, encoding="utf-8")
    for _ in range(2):
        assert write_start_page(bundle) is State.CHANGED
        assert path.read_text(encoding="utf-8") == mine
    path.unlink()
    assert write_start_page(bundle) is State.WRITTEN


def test_a_page_of_the_same_name_that_was_there_before_stays(bundle: Path) -> None:
    start_week(bundle, WEEK)
    page_path(bundle).write_text("my notes", encoding="utf-8")
    assert write_start_page(bundle) is State.CHANGED
    assert page_path(bundle).read_text(encoding="utf-8") == "my notes"


def test_without_a_week_it_says_what_to_do(bundle: Path) -> None:
    shutil.rmtree(bundle / "weeks")
    (bundle / "weeks").mkdir()
    with pytest.raises(WorkbookError, match="no week is released"):
        start_page(bundle)


def settings(root: Path, more: dict[str, str]) -> str:
    """What Jupyter's own programs see: server extensions that are on, extensions of pages that are off."""
    code = """
import json
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from jupyterlab_server.config import get_page_config
on = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
print(json.dumps([sorted(name for name in on if on[name]), sorted(get_page_config([])["disabledExtensions"])]))
"""
    own = {f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | own | more, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_only_this_server_is_without_nbgrader(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lab.PATHS, raising=False)
    (bundle / "config" / "labconfig").mkdir(parents=True)
    mine = bundle / "config" / "labconfig" / "page_config.json"
    mine.write_text('{"disabledExtensions": {"of-my-own": true}}', encoding="utf-8")
    assert "nbgrader.server_extensions.formgrader" in settings(bundle, {})
    there = settings(bundle, lab.variables())
    assert "nbgrader.server_extensions" not in there
    assert "jupyterlab" in there
    assert '["@jupyter/nbgrader", "of-my-own"]' in there, "a learner's own choices hold as well"
    assert mine.read_text(encoding="utf-8") == '{"disabledExtensions": {"of-my-own": true}}'


def test_folders_of_configuration_that_were_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lab.PATHS, os.pathsep.join(["/mine", str(lab.CONFIG)]))
    assert lab.variables() == {lab.PATHS: os.pathsep.join([str(lab.CONFIG), "/mine"])}
