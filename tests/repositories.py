"""Small git repositories for tests, which no setting of this machine reaches."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


def run_git(root: Path, *words: str) -> str:
    """Run git there; what it prints.

    Raises
    ------
    subprocess.CalledProcessError
        where git fails.
    """
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def repository(root: Path, files: Mapping[str, str | bytes]) -> None:
    """A repository with one commit that holds these files."""
    run_git(root, "init", "-q", "-b", "main")
    for name, value in (("user.name", "A Tester"), ("user.email", "tester@example.org"), ("commit.gpgsign", "false")):
        run_git(root, "config", name, value)
    run_git(root, "config", "core.hooksPath", str(root / ".git" / "hooks"))
    commit(root, files)


def commit(root: Path, files: Mapping[str, str | bytes], message: str = "A step") -> None:
    """Write files and commit them."""
    write(root, files)
    run_git(root, "add", "-A")
    run_git(root, "commit", "-q", "--no-verify", "-m", message)


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
