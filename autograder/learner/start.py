"""The learner's copies in `work/`: made once, brought up to date when asked, never overwritten."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from nbformat.notebooknode import NotebookNode

from ..core.errors import WorkbookError, short
from ..core.files import ChangedMeanwhileError, dated, replace_file
from ..repair.damage import Damage, DamagedError
from ..repair.repair import align, parse_notebook, read_handed_in, read_notebook
from ..week.notebooks import Notebooks, to_text
from .locations import notebook_path, usual_path
from .log import NAME as LOG
from .log import write_log
from .merge import Merged, merge
from .released import open_released
from .renamed import elsewhere, others, refusal
from .state import base_path

TRIES = 3
"""How often a change begins anew where an editor saves the file at the same moment."""
WAYS_BACK = {
    Damage.ZIP: "unpack it and put the notebook in it there",
    Damage.WEB_PAGE: "download the notebook itself, not its page",
    Damage.UTF_16: "save it as UTF-8",
    Damage.CONFLICT: "finish the merge: keep one version at each mark",
    Damage.SCRIPT: "paste the answers into the notebook's cells",
    Damage.TOO_LARGE: "clear the outputs of all cells and save it",
}
"""What became of a copy -> how to get it back."""
RELOAD = "if the notebook is open, reload it: File > Reload Notebook from Disk"


@dataclass
class Begun:
    """What starting a week did.

    Attributes
    ----------
    files : each file of the week in `work/` and what became of it.
    changes : what an update brought.
    backups : former files.
    update : an update of the course waits to be merged.
    """

    week: str
    files: list[tuple[Path, str]] = field(default_factory=list)
    changes: tuple[str, ...] = ()
    backups: list[Path] = field(default_factory=list)
    update: bool = False


def read_copy(root: Path, week: str) -> tuple[NotebookNode, bytes]:
    """The learner's copy and the bytes of its file. Raises `WorkbookError` when it is missing or damaged."""
    path = notebook_path(root, week)
    try:
        content = read_handed_in(Path(os.path.realpath(path)))  # its own folder may well be a link
        return parse_notebook(content), content
    except FileNotFoundError:
        if elsewhere(root, week) and (found := others(root, open_released(root, week))):
            raise refusal(root, week, found) from None
        raise WorkbookError(f"{short(path)} is not there", f"`workbook start {int(week[4:6])}` makes it") from None
    except OSError as error:
        raise WorkbookError(f"{short(path)} cannot be read: {error.strerror}", "check its rights") from None
    except DamagedError as error:
        raise WorkbookError(f"{short(path)}: {error}", _ways_back(path, week, error.kind)) from None


def _ways_back(path: Path, week: str, damage: Damage) -> str:
    backups = sorted((path.parent / "backups").glob(f"{path.stem}.*.ipynb"))
    if backups:
        return f"your last backup is {short(backups[-1])}"
    return f"{WAYS_BACK.get(damage, 'save it again')}, or move it away and run `workbook start {int(week[4:6])}`"


def start_week(root: Path, name: str, *, again: bool = False) -> Begun:
    """Copy the files of a released week into `work/`. What is there is never overwritten.

    Parameters
    ----------
    again : merge an updated release into the copy. The former file goes to `backups/` under a dated name.

    Raises
    ------
    WorkbookError
        when the week is not released, `work/` cannot be written, the copy is damaged and `again` was said, or it is
        not there but another notebook of this week is, about which the learner has not decided.
    """
    source, target = root / "weeks" / name, root / "work" / name
    if not source.is_dir():
        raise WorkbookError(f"{short(source)} is not there", "this week is not released yet, or run `make weeks`")
    begun = Begun(name)
    mine = notebook_path(root, name)
    if not mine.exists() and elsewhere(root, name) and (found := others(root, open_released(root, name))):
        raise refusal(root, name, found)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(path for path in source.iterdir() if path.is_file()):
            place = mine if path.name == usual_path(root, name).name else target / path.name
            begun.files.append((place, _place(root, path, place, mine, begun, again)))
        if not (target / LOG).exists():  # it is the learner's from then on
            with contextlib.suppress(WorkbookError):  # a notebook that cannot be read is told where it is opened
                write_log(target / LOG, open_released(root, name).week)
                begun.files.append((target / LOG, "ready"))
    except OSError as error:
        why = f"{error.strerror}{' (nothing was lost)' if mine.exists() else ''}"
        raise WorkbookError(
            f"{short(target)} cannot be written: {why}", "check its rights and the free space"
        ) from None
    return begun


def _place(root: Path, source: Path, target: Path, notebook: Path, begun: Begun, again: bool) -> str:
    """Bring one file of the release to its place; returns what became of it."""
    content = source.read_bytes()
    if not target.exists():
        replace_file(target, content)
        if target == notebook:
            replace_file(base_path(root, begun.week), content)
        return "ready"
    if target == notebook:
        return _update(root, content, target, begun, again)
    former = target.read_bytes()
    if former == content or not again:
        begun.update |= former != content
        return "kept as it is"
    begun.backups.append(_back_up(target, former))
    replace_file(target, content)
    return "updated"


def _update(root: Path, content: bytes, mine: Path, begun: Begun, again: bool) -> str:
    base = base_path(root, begun.week)
    if not again:
        begun.update |= update_waits(root, begun.week)
        return "kept as it is"
    for _ in range(TRIES):
        merged, former = _merged(root, begun.week)
        if not merged.changes:
            if not base.is_file() or base.read_bytes() != content:
                replace_file(base, content)
            return "up to date"
        with contextlib.suppress(ChangedMeanwhileError):
            backup = _back_up(mine, former)
            replace_file(mine, to_text(merged.notebook).encode("utf-8", "replace"), was=former)
            replace_file(base, content)
            begun.changes = merged.changes
            begun.backups.append(backup)
            return "updated"
    raise WorkbookError(f"{short(mine)} is being saved all the time", "close it and try again")


def update_waits(root: Path, week: str) -> bool:
    """Whether `start_week(..., again=True)` would change the learner's notebook. Changes nothing itself."""
    base, release = base_path(root, week), root / "weeks" / week / usual_path(root, week).name
    if base.is_file() and base.read_bytes() == release.read_bytes():
        return False
    try:
        return bool(_merged(root, week)[0].changes)
    except WorkbookError:  # whatever the copy is, it is the learner's
        return False


def _merged(root: Path, week: str) -> tuple[Merged, bytes]:
    """The merged notebook, and the bytes of the copy that it was made from."""
    base = None
    with contextlib.suppress(DamagedError):
        base = read_notebook(base_path(root, week))
    mine, content = read_copy(root, week)
    return merge(open_released(root, week), mine, base), content


def _back_up(path: Path, content: bytes) -> Path:
    backup = dated(path.parent / "backups" / path.name)
    replace_file(backup, content)
    return backup


def reset_exercise(root: Path, released: Notebooks, exercise: str) -> Path:
    """Put the stub of an exercise back into the learner's copy. Returns the backup of the former file.

    Further copies of the answer's cell go; what else is in the notebook stays.
    """
    path = notebook_path(root, released.week.name)
    stub = next(cell for cell in released.learner.cells if cell.id == exercise)
    for _ in range(TRIES):
        notebook, former = read_copy(root, released.week.name)
        copies = align(released, notebook).get(exercise, [])
        if not copies:
            remedy = f"`workbook start {released.week.number} --again` puts it back"
            raise WorkbookError(f"{short(path)} has no cell for {exercise!r}", remedy)
        fresh = json.loads(json.dumps(stub))
        copies[0].update({"source": stub.source, "cell_type": "code", "outputs": [], "execution_count": None})
        copies[0].metadata.update(fresh["metadata"])
        extra = {id(cell) for cell in copies[1:]}
        notebook.cells = [cell for cell in notebook.cells if id(cell) not in extra]
        with contextlib.suppress(ChangedMeanwhileError):
            backup = _back_up(path, former)
            replace_file(path, to_text(notebook).encode("utf-8", "replace"), was=former)
            return backup
    raise WorkbookError(f"{short(path)} is being saved all the time", "try again")
