"""Hand a week in: what the grader will see, and a bundle with a receipt."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import WorkbookError, short
from ..files import dated, replace_file
from .bench import Bench
from .checking import Result, whole_run
from .lessons import Lesson
from .places import notebook_path

RECEIPT_FORMAT = 1


@dataclass(frozen=True)
class Preflight:
    """What the grader will see of a notebook.

    Attributes
    ----------
    content : the notebook's bytes, exactly as they are handed in.
    lesson : the notebook as the grader repairs it; its `notes` say what that is.
    results : of the visible tests, with the whole notebook run in order in a new process.
    """

    path: Path
    content: bytes
    lesson: Lesson
    results: dict[str, Result]


@dataclass(frozen=True)
class HandedIn:
    """The bundle that was written. `former`: where the bundle from before is now."""

    path: Path
    sha256: str
    created: str
    size: int
    former: Path | None


def preflight(root: Path, lesson: Lesson, content: bytes, bench: Bench) -> Preflight:
    """What the grader will see of a lesson that was read from these bytes."""
    return Preflight(notebook_path(root, lesson.released.week.name), content, lesson, whole_run(lesson, bench))


def hand_in(root: Path, seen: Preflight, learner: str | None) -> HandedIn:
    """Write `work/submissions/WEEK.zip`: the notebook and `receipt.json`. The bundle from before gets a dated name.

    Parameters
    ----------
    learner : the name that the grader files it under; None leaves that to how it arrives.
    """
    week = seen.lesson.released.week
    notebook = f"{week.topic}.ipynb"
    created = datetime.now(UTC).replace(microsecond=0).isoformat()
    sha256 = hashlib.sha256(seen.content).hexdigest()
    receipt = {
        "format": RECEIPT_FORMAT,
        "week": week.name,
        "notebook": notebook,
        "sha256": sha256,
        "created": created,
        "learner": learner,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(notebook, seen.content)
        bundle.writestr("receipt.json", json.dumps(receipt, ensure_ascii=False, indent=1) + "\n")
    path = root / "work" / "submissions" / f"{week.name}.zip"
    former = None
    try:
        if path.exists():
            former = dated(path, datetime.fromtimestamp(path.stat().st_mtime))
            replace_file(former, path.read_bytes())
        replace_file(path, file.getvalue())
    except OSError as error:
        why = f"{short(path)} cannot be written: {error.strerror}"
        raise WorkbookError(why, "make room and submit again; your notebook is untouched") from None
    return HandedIn(path, sha256, created, len(file.getvalue()), former)
