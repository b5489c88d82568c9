"""Hand a week in: what the grader will see, and a bundle with a receipt."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.files import dated, replace_file
from ..repair.reading import notebook_in, submission_of
from .backend import Bench
from .check import UNWRITTEN, Result, check, whole_run
from .locations import notebook_path
from .tasks import Lesson

RECEIPT_FORMAT = 1


class Kind(StrEnum):
    """Why the grader may judge otherwise than a check did."""

    ALONE = "alone"
    """The exercise passes with the cells that it needs and not in the whole notebook, or the other way round."""
    ON_A_FAILED_ONE = "on a failed one"
    """It builds on an exercise that fails; the grader puts the reference in its place."""
    PATCHED = "patched"
    """A function of a library was replaced; the grader's tests use the original."""
    MODULE = "module"
    """A module was imported from a file that is not submitted."""


@dataclass(frozen=True)
class Difference:
    """A difference, the exercises that it is about (all, where none is named), and the names of what makes it."""

    kind: Kind
    exercises: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preflight:
    """What the grader will see of a notebook.

    Attributes
    ----------
    content : the notebook's bytes, exactly as they are submitted.
    lesson : the notebook as the grader repairs it; its `notes` say what that is.
    results : of the visible tests, with the whole notebook run in order in a new process.
    differences : where the grader may judge otherwise than checks did.
    """

    path: Path
    content: bytes
    lesson: Lesson
    results: dict[str, Result]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class HandedIn:
    """The bundle that was written. `former`: where the bundle from before is now."""

    path: Path
    sha256: str
    created: str
    size: int
    former: Path | None


def preflight(
    root: Path, lesson: Lesson, content: bytes, bench: Bench, checked: Mapping[str, Result] | None = None
) -> Preflight:
    """What the grader will see of a lesson that was read from these bytes.

    Parameters
    ----------
    checked : results of earlier checks that are still true; an exercise that fails now and is not there is checked.
    """
    results, run = whole_run(lesson, bench)
    alone = dict(checked or {})
    failed = [name for name, result in results.items() if not result.passed and result.state != UNWRITTEN]
    unknown = [name for name in failed if name not in alone and not lesson.tasks[name].missing]
    alone |= {result.exercise: result for result in check(lesson, bench, unknown)}
    differences = [
        Difference(Kind.ALONE, (name,))
        for name, result in results.items()
        if name in alone and alone[name].passed != result.passed
    ]
    differences += [Difference(Kind.ON_A_FAILED_ONE, (n,), one.blamed) for n, one in results.items() if one.blamed]
    differences += [Difference(Kind.PATCHED, (), run.patched)] * bool(run.patched)
    differences += [Difference(Kind.MODULE, (), run.modules)] * bool(run.modules)
    path = notebook_path(root, lesson.released.week.name)
    return Preflight(path, content, lesson, results, tuple(differences))


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
    made_from = submission_of(notebook_in(seen.content))
    receipt = {
        "format": RECEIPT_FORMAT,
        "week": week.name,
        "notebook": notebook,
        "sha256": sha256,
        "version": made_from.version,
        "content": made_from.content,
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
