"""Where a learner's notebook of a week is: at its usual place, or where they said that it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.files import replace_file
from .state import folder


@dataclass(frozen=True)
class Choice:
    """What the learner said about notebooks of a week, as paths in `work/`.

    Attributes
    ----------
    notebook : the one that is theirs; "" for the usual one.
    refused : those that are not.
    """

    notebook: str = ""
    refused: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path, week: str) -> Choice:
        """What is remembered; nothing where the file is missing or damaged."""
        try:
            said = json.loads(_file(root, week).read_text(encoding="utf-8"))
            return cls(str(said["notebook"]), tuple(map(str, said["refused"])))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def save(self, root: Path, week: str) -> None:
        """Write it down. Raises `OSError` where that cannot be done."""
        replace_file(_file(root, week), f"{json.dumps(asdict(self), ensure_ascii=False)}\n".encode())


def usual_path(root: Path, week: str) -> Path:
    """Where `workbook start` puts the copy of a week's notebook."""
    return root / "work" / week / f"{week.split('_', 1)[1]}.ipynb"


def notebook_path(root: Path, week: str) -> Path:
    """The learner's copy of a week's notebook: the one they chose, as long as it is there, else the usual one."""
    mine = Choice.of(root, week).notebook
    return root / "work" / mine if mine and (root / "work" / mine).is_file() else usual_path(root, week)


def in_work(root: Path, path: Path) -> str:
    """A path as a `Choice` holds it."""
    return path.relative_to(root / "work").as_posix()


def _file(root: Path, week: str) -> Path:
    return folder(root) / f"{week}.notebook"
