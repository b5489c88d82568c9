"""The first hour, as the README and the bundle's README tell it: their commands run as typed, up to a passing check.

What a learner must know before the first success, and no more (`CONCEPTS`):

1. a terminal in this folder runs `make setup` (a command of `make`, and `.venv` as what comes of it);
2. `make lab` opens JupyterLab in `work/`, where the learner's copy of the notebook is;
3. a cell is run with Shift+Enter;
4. a stub is filled in: `raise NotImplementedError()` becomes code;
5. the notebook is saved;
6. `workbook check WEEK EXERCISE` says ✗ with the reason, or ✓.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from autograder.authoring.bundle import README, bundle_files, learners_readme
from autograder.week.locate import released_weeks
from autograder.week.source import load_week

from .browser import SECONDS
from .chosen import ROOT

WEEK, EXERCISE = "week01_attention", "sdpa"
CONCEPTS = (
    ("a terminal that runs make", {"make setup TORCH_BACKEND=cpu", "TORCH_BACKEND=cpu", ".venv", "make"}),
    ("JupyterLab in work/, with your copy", {"make lab", "work/", WEEK, "attention.ipynb"}),
    ("cells, run with Shift+Enter", {"Shift+Enter"}),
    ("a stub", {"raise NotImplementedError()"}),
    ("saving", {"Ctrl+S", "Cmd+S"}),
    ("the check", {".venv/bin/workbook check 1 sdpa", "%check sdpa", "1", EXERCISE}),
)
LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "work", "course", "__pycache__", "*.egg-info", "tests", "docs", "gradebook.db"
)
HOUR = re.compile(r"^## Your first hour\n(.*?)^## ", re.MULTILINE | re.DOTALL)


def hour(readme: str) -> str:
    """The section about the first hour."""
    found = HOUR.search(readme)
    assert found
    return found[1]


def blocks(text: str, language: str = "bash") -> list[str]:
    """Code blocks, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Terminal:
    """Runs commands in bash in one folder, with the environment of these tests in place of a new one."""

    def __init__(self, folder: Path, **variables: str) -> None:
        environment = folder / ".venv"
        environment.mkdir()
        (environment / "bin").symlink_to(Path(sys.prefix) / "bin")
        (environment / ".ready").touch()  # so that `make setup` finds that nothing is to be done
        self.folder = folder
        self.runtime = tempfile.mkdtemp(prefix="wb-", dir="/tmp")  # short: it holds a socket
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "WORKBOOK", "JUPYTER", "MAKE", "MFLAGS"))
        }
        kept |= {"WORKBOOK_RUNTIME": self.runtime, "WORKBOOK_WARM_SECONDS": "5", "BROWSER": "true", "COLUMNS": "120"}
        self.environment = kept | {"JUPYTER_RUNTIME_DIR": f"{self.runtime}/jupyter"} | variables

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """What it printed, once it has ended."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def lab(self, command: str, path: str) -> dict[str, object]:
        """Run what opens JupyterLab until it answers; what it says about a file in its folder. Then end it."""
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        said = ""
        try:
            while (line := lines.get(timeout=SECONDS)) is not None:
                said += line
                if found := re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*token=(\w+)", said):
                    address = f"{found[1]}/api/contents/{path}?content=0&token={found[2]}"
                    with suppress(URLError), urlopen(address, timeout=SECONDS) as answer:  # it may not listen yet
                        told: dict[str, object] = json.load(answer)
                        return told
            pytest.fail(f"{command} ended: {said}")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(SECONDS)
            reader.join()

    def close(self) -> None:
        shutil.rmtree(self.runtime, ignore_errors=True)


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Terminal]:
    """A fresh copy of the repository."""
    folder = tmp_path / "workbook"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    terminal = Terminal(folder)
    yield terminal
    terminal.close()


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Terminal]:
    """A fresh copy of the archive for learners, whose own modules run."""
    folder = tmp_path / "workbook"
    for name, content in bundle_files(ROOT, [WEEK]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    terminal = Terminal(folder, PYTHONPATH=str(folder), PYTHONSAFEPATH="1")
    yield terminal
    terminal.close()


def write_answer(folder: Path) -> None:
    """Fill in the stub, and save."""
    path = folder / "work" / WEEK / "attention.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    (reference,) = [cell.source for cell in load_week(ROOT / "solutions" / WEEK).cells if cell.id == EXERCISE]
    (stub,) = [cell for cell in notebook["cells"] if cell["id"] == EXERCISE]
    assert "raise NotImplementedError()" in "".join(stub["source"])
    stub["source"] = "\n".join(line for line in reference.splitlines() if "### " not in line)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def first_hour(terminal: Terminal, readme: str) -> int:
    """Do what the section says. Returns how many commands it took to the first passing check."""
    commands = [block.strip() for block in blocks(hour(readme))]
    assert not any("\n" in command for command in commands), "one command a block, so that each can be copied"
    for number, command in enumerate(commands, 1):
        if command == "make lab":
            told = terminal.lab(command, f"{WEEK}/attention.ipynb")
            assert told["writable"], told
            write_answer(terminal.folder)
            continue
        done = terminal.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        if "check" in command:
            assert re.search(rf"✓ +1 {EXERCISE} ", done.stdout), done.stdout
            return number
    pytest.fail("the section holds no check")


def test_the_commands_of_the_readme_lead_to_a_passing_check(clone: Terminal) -> None:
    readme = (clone.folder / "README.md").read_text(encoding="utf-8")
    assert first_hour(clone, readme) == 3
    later = blocks(readme.split("## From then on")[1])[0]
    done = clone.run(f"{later}\nworkbook hint 1 {EXERCISE}")
    assert done.returncode == 0, done.stderr
    assert "Hint 1 of 3" in done.stdout


def test_those_of_the_bundle_do_so_too(bundle: Terminal) -> None:
    readme = (bundle.folder / "README.md").read_text(encoding="utf-8")
    assert first_hour(bundle, readme) == 3


def test_six_ideas_come_before_the_first_success() -> None:
    """Whatever the section names in code or as a key belongs to one of them."""
    text = hour((ROOT / "README.md").read_text(encoding="utf-8")).split("**1. Install, once.**")[1]
    text = text.split("A ✓ means")[0]
    named = set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))
    named |= {block.strip() for block in blocks(text)} | set(re.findall(r"\b(?:Ctrl|Shift|Alt|Cmd)\+\w+", text))
    assert len(CONCEPTS) == 6
    assert named - set().union(*(names for _, names in CONCEPTS)) == set()
    assert [what for what, names in CONCEPTS if not names & named] == []
    for page in (ROOT / "README.md", README):
        steps = re.findall(r"^\*\*(\d)\. ", hour(page.read_text(encoding="utf-8")), re.MULTILINE)
        assert steps == list("123456"), page.name


def test_windows_has_each_command_that_other_systems_have() -> None:
    text = hour(README.read_text(encoding="utf-8"))
    windows = "".join(blocks(text, "powershell")).splitlines()
    assert len(blocks(text, "powershell")) == len(blocks(text)) == 3
    assert all(line.startswith((r".venv\Scripts\ ".strip(), "py -3.12 -m venv ")) for line in windows)
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert r".venv\Scripts\pip install -r requirements.txt" in windows
    assert "appnope" in pinned


def test_a_bundle_of_another_week_names_its_own_exercise() -> None:
    week = released_weeks(ROOT)[1]
    text = learners_readme(ROOT, [week])
    first = next(iter(load_week(ROOT / "solutions" / week).exercises))
    assert f".venv/bin/workbook check 2 {first}\n" in text
    assert f"| 02 | {load_week(ROOT / 'solutions' / week).info.title} |" in text
    assert "$" not in text


def test_setup_without_a_network_says_so_in_one_line(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("python", "uv"):
        (tools / name).symlink_to(Path(sys.prefix) / "bin" / name)
    nowhere = "http://127.0.0.1:9"
    cut_off = {f"{name}_PROXY": nowhere for name in ("HTTP", "HTTPS", "ALL")}
    cut_off |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_DEFAULT_INDEX": nowhere, "UV_FIND_LINKS": ""}
    # these tests may run below a `make` of their own, which tells the next one to speak of folders
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "setup", "TORCH_BACKEND=cpu"],
        cwd=tmp_path,
        env=outside | cut_off,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    (line,) = said
    assert line.startswith("error: packages cannot be downloaded")
    assert "-> connect to a network" in line
    assert (tmp_path / ".venv" / "setup.log").read_text(encoding="utf-8") != ""
    assert not (tmp_path / ".venv" / ".ready").exists()
    # and the choice of a build is remembered for the next try, and for updates
    kept = {key: value for key, value in outside.items() if key != "TORCH_BACKEND"}
    told = subprocess.run(["make", "-pn", "help"], cwd=tmp_path, env=kept, capture_output=True, text=True, check=True)
    assert "UV_TORCH_BACKEND := cpu\n" in told.stdout
