"""The page that a learner's JupyterLab opens with: where to begin, how to work, how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.files import replace_file
from ..week.locate import released_weeks
from .locations import notebook_path
from .released import open_released
from .state import folder
from .status import Score, scores

NAME = "start.md"
PAGE = """# Start here

{begin}

## How to work

1. Read from top to bottom. **Shift+Enter** runs the cell you are in; run the cells with code as you come to them.
2. An exercise: write your answer in its cell, in place of `raise NotImplementedError()`, and run it.
3. Run the cell right below it, `%check {exercise}`. It says what is right, what is wrong, and why.
4. Not right yet? Change your answer and run both again. The cell after them draws what you have so far.
5. Stuck? Below are three folded hints: the idea, pseudocode, nearly code.

Save with **Ctrl+S**. *Run > Run All Cells* is fine at any time: it goes on past exercises that are not written.

## What `%check` does

`%check {exercise}` runs the tests of that exercise that you can read. They lie folded below the hints; a click on the
dots shows them. `%check` alone runs those of the whole week. Most exercises have hidden tests as well, which check the
same ideas on other inputs after you submit.

In a terminal (*File > New > Terminal*) `workbook watch` checks each time you save, `workbook status` says how far you
are, and `workbook submit {number}` makes the file that you submit.

## Where you are

| week | exercises | points of visible tests | written questions | next |
| --- | --- | --- | --- | --- |
{rows}

This is what your last `workbook check` or `workbook watch` found, as of the start of JupyterLab. The page is written
anew each time, unless you change it: then it is yours and stays as it is.
"""


class State(StrEnum):
    """What became of the page."""

    WRITTEN = "written"
    CHANGED = "kept as it is, since you changed it"


def page_path(root: Path) -> Path:
    return root / "work" / NAME


def write_start_page(root: Path) -> State:
    """Write `work/start.md`, unless a learner changed it since.

    Raises
    ------
    WorkbookError
        when no week is released, or the page cannot be written.
    """
    path, last = page_path(root), folder(root) / NAME
    content = start_page(root).encode("utf-8", "replace")
    try:
        former = path.read_bytes() if path.exists() else None
        if former is not None and former != (last.read_bytes() if last.exists() else None):
            return State.CHANGED
        replace_file(path, content)
        replace_file(last, content)
    except OSError as error:
        raise WorkbookError(f"{short(path)} cannot be written: {error.strerror}", "check its rights") from None
    return State.WRITTEN


def start_page(root: Path) -> str:
    """The page as Markdown."""
    names, found = released_weeks(root), scores(root)
    if not names:
        raise WorkbookError("no week is released", "get the course's weeks/ folder, or run `make weeks`")
    place = _week_to_open(root, names, found)
    score = found[place]
    exercise = next(iter(open_released(root, names[place]).week.exercises))
    begin = "Go on with" if _has_answers(score) else "Begin with"
    link = _link(root, names[place], f"week {score.number}: {score.title}")
    rows = "\n".join(_row(root, name, one) for name, one in zip(names, found, strict=True))
    return PAGE.format(begin=f"{begin} **{link}**.", exercise=exercise, number=score.number, rows=rows)


def _week_to_open(root: Path, names: Sequence[str], found: Sequence[Score]) -> int:
    """The week with answers that was saved last, while something is left to do in it; else the first with work left."""
    open_ones = [place for place, score in enumerate(found) if score.next_step] or [0]
    begun = [place for place in open_ones if _has_answers(found[place])]
    return max(begun, key=lambda place: notebook_path(root, names[place]).stat().st_mtime) if begun else open_ones[0]


def _has_answers(score: Score) -> bool:
    return bool(score.passed or score.answered or score.unchecked)


def _link(root: Path, name: str, text: str) -> str:
    shown = text.replace("[", "(").replace("]", ")").replace("|", "/")
    return f"[{shown}]({name}/{notebook_path(root, name).name})"


def _row(root: Path, name: str, score: Score) -> str:
    link = _link(root, name, f"{score.number:02d} {score.title}")
    step = "" if not _has_answers(score) else " ".join(score.next_step.replace("|", "/").split()) or "done"
    done = (f"{score.passed} of {score.exercises}", f"{score.points} of {score.possible}")
    return f"| {link} | {done[0]} | {done[1]} | {score.answered} of {score.questions} | {step} |"
