"""Is this notebook the learner's own? A check runs it as they are, without a sandbox.

Nothing in a notebook says who wrote it, so this asks where the file lies, who owns it, and whether any of its answers
has been here before.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..core.errors import short
from .locations import notebook_path
from .state import Kept
from .tasks import Lesson

ENOUGH = 2
"""Answers that nobody has seen here before, from which the notebook may be somebody else's."""


def doubts(root: Path, lesson: Lesson, kept: Kept) -> str:
    """Why the notebook may be somebody else's; "" where nothing speaks for it."""
    path = notebook_path(root, lesson.released.week.name)
    real, work = Path(os.path.realpath(path)), Path(os.path.realpath(root / "work"))
    if not real.is_relative_to(work):
        return f"{short(path)} leads out of work/, to {real}"
    if hasattr(os, "getuid") and real.stat().st_uid != os.getuid():
        return f"{short(path)} belongs to another user of this computer"
    answers = _answers(lesson)
    if len(answers) >= ENOUGH and not answers & set(kept.answers):
        return f"{short(path)} holds {len(answers)} answers, and none of them has been checked here before"
    return ""


def remember_answers(lesson: Lesson, kept: Kept) -> None:
    """Keep which answers have been here."""
    kept.answers = sorted(_answers(lesson))


def _answers(lesson: Lesson) -> set[str]:
    """Digests of the answers that are written."""
    return {
        hashlib.sha256(cell.source.strip().encode("utf-8", "replace")).hexdigest()[:16]
        for name, task in lesson.tasks.items()
        if task.written and not task.missing
        for cell in task.job.cells
        if cell.id == name
    }
