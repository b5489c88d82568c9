"""The folder of a class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Course:
    """The folder of a class: what was submitted, what was graded, what learners are told, the gradebook."""

    root: Path
    folder: Path

    @classmethod
    def at(cls, root: Path, folder: Path | None = None) -> Course:
        """The class in `folder`, else in $WORKBOOK_COURSE, else in `course/`."""
        chosen = folder or Path(os.environ.get("WORKBOOK_COURSE") or "course")
        return cls(root, chosen if chosen.is_absolute() else root / chosen)

    @property
    def submitted(self) -> Path:
        return self.folder / "submitted"

    @property
    def autograded(self) -> Path:
        return self.folder / "autograded"

    @property
    def feedback(self) -> Path:
        return self.folder / "feedback"

    @property
    def gradebook(self) -> Path:
        return self.folder / "gradebook.db"

    @property
    def db_url(self) -> str:
        return f"sqlite:///{self.gradebook}"
