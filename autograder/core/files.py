"""Write files so that nobody ever reads half of one, and a full disk loses none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path


class ChangedMeanwhileError(Exception):
    """Somebody else wrote the file between reading and replacing it."""


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interrupted run leaves the old one; makes its folder."""
    write_bytes(path, text.encode("utf-8", "replace"))  # a learner may print half a character


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`. On a full disk the old file stays, and no part of the new one is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes, *, was: bytes | None = None) -> None:
    """Replace a file of a learner's in one step, once the new content is on the disk; makes its folder.

    A link is followed, rights stay. Whatever goes wrong, the old file stays whole and nothing is left beside it.

    Parameters
    ----------
    was : what was read; None: whatever is there may be replaced.

    Raises
    ------
    ChangedMeanwhileError
        when the file no longer holds `was`.
    OSError
        when it cannot be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            part.chmod(path.stat().st_mode & 0o777)
        if was is not None and path.read_bytes() != was:
            raise ChangedMeanwhileError(f"{path.name} was saved meanwhile")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to a file in one call, so that those of two programs do not mix; makes its folder."""
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    into = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(into, text.encode("utf-8", "replace"))
    finally:
        os.close(into)


def dated(path: Path, when: datetime | None = None) -> Path:
    """A free name beside `path` that says when: `attention.2026-11-25T18-34-22.ipynb`."""
    stamp = (when or datetime.now()).strftime("%Y-%m-%dT%H-%M-%S")
    found, count = path.with_name(f"{path.stem}.{stamp}{path.suffix}"), 1
    while found.exists():
        count += 1
        found = path.with_name(f"{path.stem}.{stamp}-{count}{path.suffix}")
    return found
