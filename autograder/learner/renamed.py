"""A learner's notebook under another name: `attention_final.ipynb`, `Copy of attention.ipynb`, one in another folder.

It is found by its cells, and the learner is asked. Until they said so it is neither used nor replaced by a blank one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..repair.damage import DamagedError
from ..repair.repair import align, read_notebook
from ..week.cells import Exercise, Written
from ..week.locate import released_weeks
from ..week.notebooks import Notebooks
from .locations import Choice, in_work, notebook_path, usual_path

NOT_WORK = ("backups", "submissions")
"""Folders in `work/` whose notebooks are kept, not worked on."""


@dataclass(frozen=True)
class Found:
    """A notebook of a week. `answers`: exercises and written questions that are no longer as the course gave them."""

    path: Path
    answers: int
    saved: float


def elsewhere(root: Path, week: str) -> list[Path]:
    """Notebooks in `work/` that may be one of this week: not the one that is used, not refused, nor any week's own."""
    used, refused = notebook_path(root, week), Choice.of(root, week).refused
    return [path for path in _candidates(root) if path != used and in_work(root, path) not in refused]


def others(root: Path, released: Notebooks) -> list[Found]:
    """Notebooks of a week in `work/` besides the one that is used, but for those that the learner said are not theirs.

    The one with the most answers comes first; of several, the one saved last.
    """
    found = [one for path in elsewhere(root, released.week.name) if (one := _look(path, released))]
    return sorted(found, key=lambda one: (-one.answers, -one.saved, one.path))


def doubtful(root: Path, released: Notebooks) -> list[Found]:
    """Notebooks that may be the learner's in place of the one that would be used: it is missing, or holds no answer."""
    used = notebook_path(root, released.week.name)
    if not used.exists():
        return others(root, released)
    found = [one for one in others(root, released) if one.answers]
    mine = _look(used, released) if found else None
    return found if mine is not None and not mine.answers else []


def decide(root: Path, week: str, mine: Path | None, refused: list[Path]) -> None:
    """Remember which notebook is the learner's (None: the one that is used), and which are not."""
    before = Choice.of(root, week)
    notebook = before.notebook if mine is None else in_work(root, mine)
    more = dict.fromkeys([*before.refused, *(in_work(root, path) for path in refused)])
    Choice(notebook, tuple(one for one in more if one != notebook)).save(root, week)


def refusal(root: Path, week: str, found: list[Found]) -> WorkbookError:
    """What to say where nobody can be asked."""
    usual = usual_path(root, week)
    names = " and ".join(short(one.path) for one in found)
    verb = "is a notebook" if len(found) == 1 else "are notebooks"
    return WorkbookError(
        f"{short(usual)} is not there, but {names} {verb} of this week",
        f"rename yours to {usual.name} in work/{week}/, or type the command in a terminal, which asks",
    )


def saved_later(root: Path, released: Notebooks) -> Found | None:
    """A notebook of the week with answers that was saved after the one that is used, if there is any."""
    used = notebook_path(root, released.week.name)
    with suppress(OSError):
        saved = used.stat().st_mtime
        later = [one for one in others(root, released) if one.answers and one.saved > saved]
        return max(later, key=lambda one: one.saved, default=None)
    return None


def _candidates(root: Path) -> Iterator[Path]:
    """Notebooks in `work/` and its folders that lie where no other week's copy belongs."""
    work = root / "work"
    usual = {usual_path(root, name) for name in released_weeks(root)}
    for path in sorted([*work.glob("*.ipynb"), *work.glob("*/*.ipynb")]):
        if path.name.startswith(".") or path.parent.name.startswith(".") or path.parent.name in NOT_WORK:
            continue
        if path not in usual and path.is_file():
            yield path


def _look(path: Path, released: Notebooks) -> Found | None:
    """What a file holds of a week; None where it is not a notebook of it, or cannot be read."""
    try:
        notebook = read_notebook(path.resolve())
    except DamagedError:
        return None
    cells = align(released, notebook)
    exercises = list(released.week.exercises)
    if 2 * sum(name in cells for name in exercises) < len(exercises):
        return None
    stubs = {cell.id: cell.source.strip() for cell in released.learner.cells}
    wanted = [cell.id for cell in released.week.cells if isinstance(cell.words, Exercise | Written)]
    answers = sum(any(copy.source.strip() != stubs[one] for copy in cells.get(one, ())) for one in wanted)
    return Found(path, answers, path.stat().st_mtime)
