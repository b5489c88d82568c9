"""What is remembered beside a learner's copies, in `work/.workbook/`: results, hints that were read, the release.

None of it is needed: where it is lost or damaged, checks run again, hints begin again, and a merge is more careful.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.files import replace_file

FORMAT = 1


@dataclass
class Kept:
    """What is remembered about a week.

    Attributes
    ----------
    results : exercise -> a result as plain data, see `check.Result`.
    hints : exercise -> how many hints were read.
    answers : digests of the answers that were there at the last check, see `ownership`.
    """

    path: Path
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, week: str) -> Kept:
        """What is remembered; nothing where the file is missing or damaged."""
        kept = cls(folder(root) / f"{week}.json")
        try:
            said = json.loads(kept.path.read_text(encoding="utf-8"))
            if said["format"] == FORMAT:
                kept.results = {str(name): dict(result) for name, result in said["results"].items()}
                kept.hints = {str(name): int(count) for name, count in said["hints"].items()}
                kept.answers = [str(digest) for digest in said.get("answers", [])]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return kept

    def save(self) -> None:
        """Write it down. Raises `OSError` where that cannot be done."""
        said = {"format": FORMAT, "results": self.results, "hints": self.hints, "answers": self.answers}
        replace_file(self.path, (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def folder(root: Path) -> Path:
    return root / "work" / ".workbook"


def base_path(root: Path, week: str) -> Path:
    """Where the release lies that the learner's copy was made from, or merged with last."""
    return folder(root) / f"{week}.released"
