"""Which week and which exercise a learner means: by what was typed, by the current folder, by what was saved last."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..core.errors import WorkbookError
from ..week.locate import released_weeks, week_name
from .locations import notebook_path
from .released import open_released
from .tasks import exercise_called, exercise_name


def week_here(root: Path) -> str:
    """The week in whose folder the command was typed; "" elsewhere."""
    here = Path.cwd().resolve()
    for name in released_weeks(root):
        if any(here.is_relative_to((root / place / name).resolve()) for place in ("work", "weeks")):
            return name
    return ""


def saved_last(root: Path) -> str:
    """The week whose copy was saved last; "" where none is begun."""
    begun = [name for name in released_weeks(root) if notebook_path(root, name).exists()]
    return max(begun, key=lambda name: notebook_path(root, name).stat().st_mtime, default="")


def wanted_week(root: Path, asked: str) -> str:
    """The week that was asked for, else that of the current folder, else the one saved last."""
    if asked:
        return week_name(root, asked)
    name = week_here(root) or saved_last(root)
    if not name:
        raise WorkbookError("no week is begun in work/", "workbook start 1")
    return name


def wanted(root: Path, first: str, second: str) -> tuple[str, str]:
    """A week and an exercise of it, or "": of `1 sdpa`, `1`, `sdpa`, or nothing.

    One word alone is an exercise of the week in whose folder it was typed, else a week, else an exercise of the week
    that was saved last. A number alone is a week.

    Raises
    ------
    WorkbookError
        for a word that is none of these; it names the nearest, and the week that has an exercise of this name.
    """
    if second or not first:
        name = wanted_week(root, first)
        return name, exercise_name(open_released(root, name), second) if second else ""
    here = week_here(root)
    if here and (found := _exercise(root, here, first)):
        return here, found
    try:
        return week_name(root, first), ""
    except WorkbookError as error:
        if first.isdigit():
            raise
        unknown = error
    last = here or saved_last(root)
    if last and (found := _exercise(root, last, first)):
        return last, found
    raise _neither(root, last, first) or unknown


def _exercise(root: Path, week: str, asked: str) -> str:
    """The exercise of that name; "" where the week has none."""
    return "" if asked.isdigit() else exercise_called(open_released(root, week), asked)


def _neither(root: Path, last: str, asked: str) -> WorkbookError | None:
    """What to say of a word that is neither a week nor an exercise of the week at hand; None where nothing is near."""
    message = f"{asked!r} is neither a week nor an exercise{f' of {last}' if last else ''}"
    for name in released_weeks(root):
        if found := _exercise(root, name, asked):
            return WorkbookError(message, f"week {int(name[4:6])} has it: add the week, {int(name[4:6])} {found}")
    names = list(open_released(root, last).week.exercises) if last else []
    near = difflib.get_close_matches(asked.lower(), names, 1)
    if not near:
        return None
    return WorkbookError(message, f"did you mean {near[0]}? its exercises: {', '.join(names)}")
