"""Write files so that nobody ever reads half of one."""

from __future__ import annotations

from pathlib import Path


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
