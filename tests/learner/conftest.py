"""A learner's bundle of the tiny week: no solutions, and a folder whose name has all that names may have."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autograder.building.build import build_week, instructor_notebook, learner_notebook, write_week
from autograder.learner.backend import Bench, PlainBench, open_bench
from autograder.learner.released import open_released
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..tiny_week import ALTERNATIVES, LESSON, MISCONCEPTIONS, WEEK_TOML
from ..tiny_week import WEEK as WEEK

ODD = "Übung 1 – 画像 [draft] & more"
"""A folder as people name them."""
RIGHT = {
    "double": "def double(number):\n    return number + number",
    "quadruple": "def quadruple(number):\n    return double(double(number))",
}
SAME = "def double(number):\n    return number"


@pytest.fixture(scope="session", autouse=True)
def runtime() -> Iterator[Path]:
    """A folder for the sockets of warm processes, which are ended with the tests; its path is short."""
    folder = Path(tempfile.mkdtemp(prefix="wb-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_RUNTIME", str(folder))
        patch.setenv("WORKBOOK_WARM_SECONDS", "120")
        patch.delenv("WORKBOOK_COURSE", raising=False)
        yield folder
    for pid in warm_pids(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)


def warm_pids(folder: Path) -> list[int]:
    """The warm processes that listen there."""
    found = []
    for path in (folder / "workbook").glob("*.socket"):
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.connect(str(path))
            found.append(int(json.loads(connection.makefile().readline())["pid"]))
    return found


@pytest.fixture(scope="session")
def author(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The author's checkout of the tiny week, built."""
    root = tmp_path_factory.mktemp("author") / "checkout"
    folder = root / "solutions" / WEEK
    folder.mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'tiny'\n", encoding="utf-8")
    write_source(folder)
    write_week(build_week(load_week(folder)), root)
    return root


def write_source(folder: Path, lesson: str = LESSON) -> None:
    for name, text in (
        ("tiny.py", lesson),
        ("week.toml", WEEK_TOML),
        ("misconceptions.py", MISCONCEPTIONS),
        ("alternatives.py", ALTERNATIVES),
        ("outputs.json", '{"quadruple-explore-1": "two and two is 4\\n"}\n'),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "outcome.png").write_bytes(b"\x89PNG\r\n\x1a\n picture")


def built_from(folder: Path, lesson: str) -> Notebooks:
    """The week of another lesson, which need not keep the rules of points and hints."""
    folder = folder / WEEK
    folder.mkdir(parents=True, exist_ok=True)
    write_source(folder, lesson)
    week = load_week(folder)
    instructor = instructor_notebook(week)
    return Notebooks(week, instructor, learner_notebook(instructor))


@pytest.fixture
def bundle(author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a learner has: weeks/ and what is needed to run them. It is the current folder."""
    root = tmp_path / ODD
    root.mkdir()
    shutil.copytree(author / "weeks", root / "weeks")
    shutil.copy(author / "pyproject.toml", root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def released(author: Path) -> Notebooks:
    """The week as a learner's checkout has it."""
    return open_released(author, "1")


@pytest.fixture(params=["warm", "plain"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Both ways to run cells on a learner's machine."""
    made = open_bench(()) if request.param == "warm" else PlainBench()
    yield made
    made.close()


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Workbook = Callable[..., Outcome]


@pytest.fixture
def workbook(bundle: Path) -> Workbook:
    """Run the command as a learner does, in a process of its own."""

    def run(*words: object, **variables: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "autograder.cli", *map(str, words)],
            cwd=bundle,
            env=os.environ | {"COLUMNS": "160"} | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def copy_of(bundle: Path) -> Path:
    return bundle / "work" / WEEK / "tiny.ipynb"


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def write(path: Path, notebook: dict[str, Any]) -> None:
    """Save as editors do: a new file takes the place of the old one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")
    part.replace(path)


def answer(path: Path, **answers: str) -> None:
    """Type answers into a notebook and save it."""
    notebook = read(path)
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    write(path, notebook)


def source_of(path: Path, cell_id: str) -> str:
    found: str = next(cell["source"] for cell in read(path)["cells"] if cell.get("id") == cell_id)
    return found
