"""Each hook of `.pre-commit-config.yaml` stops a commit with its mistake, and lets a sound one through."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.building.build import build_week, write_week
from autograder.week.source import load_week

from .chosen import ROOT
from .repositories import repository, run_git, write
from .tiny_week import LESSON, WEEK, write_tiny_week

CONFIG = ROOT / ".pre-commit-config.yaml"
HOOKS = re.findall(r"- id: (\S+)", CONFIG.read_text(encoding="utf-8"))
PYPROJECT = "[project]\nname = 'tiny'\n[tool.ruff]\nextend-exclude = ['weeks', 'solutions']\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the hooks and the tiny week, built; all of it is committed."""
    root = tmp_path_factory.mktemp("hooks") / "sound"
    folder = write_tiny_week(root)
    (folder / "outputs.json").write_text('{"quadruple-explore-1": "two and two is 4\\n"}\n', encoding="utf-8")
    write_week(build_week(load_week(folder)), root)
    shutil.copytree(ROOT / ".ci", root / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CONFIG, root)
    repository(root, {"pyproject.toml": PYPROJECT, "code.py": "ANSWER = 42\n", ".gitignore": "__pycache__/\n.home/\n"})
    return root


def hooks(root: Path) -> tuple[set[str], str]:
    """The hooks that fail for what is staged, and what pre-commit says; it can reach no network."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    nowhere = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    environment = {**os.environ, **nowhere, "PATH": path, "PRE_COMMIT_HOME": str(root / ".home"), "COLUMNS": "200"}
    environment.pop("VIRTUAL_ENV", None)
    command = [sys.executable, "-m", "pre_commit", "run", "--color", "never"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    failed = set(re.findall(r"^- hook id: (\S+)$", done.stdout, re.MULTILINE))
    assert bool(failed) == bool(done.returncode), done.stdout + done.stderr
    return failed, done.stdout


def worked_on(root: Path) -> None:
    """A learner's work in the notebook of weeks/."""
    path = root / "weeks" / WEEK / "tiny.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    next(cell for cell in notebook["cells"] if cell["id"] == "double")["source"] = (
        "def double(number): return 2 * number"
    )
    path.write_text(json.dumps(notebook), encoding="utf-8")


def source_alone(root: Path) -> None:
    write(root, {f"solutions/{WEEK}/tiny.py": LESSON.replace("Twice a number.", "Two times a number.")})


def writes(name: str, content: str | bytes) -> Callable[[Path], None]:
    return lambda root: write(root, {name: content})


MISTAKES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a name that is not used": ("ruff", writes("more.py", "import os\n"), "F401"),
    "another layout": ("ruff-format", writes("more.py", "ANSWER  =  42\n"), "ANSWER = 42"),
    "a large file": ("large-files", writes("data.bin", bytes(700 * 1024)), "data.bin: 700 KiB"),
    "an edited notebook": ("build", worked_on, "tiny.ipynb is not what solutions/week01_tiny/ builds"),
    "a source that was not built": ("build", source_alone, "tiny.ipynb is not what solutions/week01_tiny/ builds"),
    "a copy beside the notebook": ("build", writes(f"weeks/{WEEK}/mine.ipynb", "{}"), "mine.ipynb is left over"),
    "what a notebook wrote": ("generated-files", writes(f"weeks/{WEEK}/out/a.json", "{}"), "no source makes it"),
    "a week without a source": ("generated-files", writes("weeks/week02_x/x.ipynb", "{}"), "workbook new TOPIC"),
}
ALSO = {"a copy beside the notebook": {"generated-files"}}
"""What another hook finds as well."""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_stopped_by_its_hook(sound: Path, tmp_path: Path, name: str) -> None:
    hook, make, says = MISTAKES[name]
    root = tmp_path / "clone"
    shutil.copytree(sound, root)
    make(root)
    run_git(root, "add", "-A")
    failed, said = hooks(root)
    assert hook in failed, said
    assert failed <= {hook, *ALSO.get(name, ())}, said
    assert says in said


def test_each_hook_has_a_mistake() -> None:
    assert {hook for hook, _, _ in MISTAKES.values()} == set(HOOKS)


def test_a_sound_commit_passes(sound: Path, tmp_path: Path) -> None:
    root = tmp_path / "clone"
    shutil.copytree(sound, root)
    source_alone(root)
    write_week(build_week(load_week(root / "solutions" / WEEK)), root)
    write(root, {"more.py": "ANSWER = 43\n", "small.bin": bytes(500 * 1024)})
    run_git(root, "add", "-A")
    failed, said = hooks(root)
    assert failed == set(), said
    assert said.count("Passed") == len(HOOKS), said
