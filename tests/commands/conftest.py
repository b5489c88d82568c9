"""A released checkout, and the command in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import cli
from autograder.commands import common

from ..tiny_week import write_tiny_week
from .checkout import Outcome, Released, Workbook


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("released")
    folder = write_tiny_week(root)
    (folder / "outputs.json").write_text('{"quadruple-explore-1": "two and two is 4\\n"}\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "autograder.cli", "release", "1"],
        cwd=root,
        env={key: value for key, value in os.environ.items() if key != "WORKBOOK_COURSE"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Released(root, done.returncode, done.stdout, done.stderr)


@pytest.fixture
def root(released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the released checkout, and the current folder."""
    root = tmp_path / "checkout"
    shutil.copytree(released.root, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def workbook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workbook:
    """Run the command in this process, with the exit code that a shell would get."""
    monkeypatch.delenv("WORKBOOK_COURSE", raising=False)
    monkeypatch.setattr(common.console, "width", 200)

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["workbook", *map(str, words)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = leave.code
        said = capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, said.out, said.err)

    return run
