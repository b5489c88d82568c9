"""Write files so that nobody ever reads half of one."""

from __future__ import annotations

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interrupted run leaves the old one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(text.encode("utf-8", "replace"))  # a learner may print half a character
    part.replace(path)
