"""What a learner is asked before a command goes on; where nobody can answer, what happens instead."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import complaints, console

if TYPE_CHECKING:
    from ..learner.state import Kept
    from ..learner.tasks import Lesson
    from ..week.notebooks import Notebooks


def warn(text: str) -> None:
    """A remark on standard error; the command goes on."""
    from ..core.texts import for_terminal

    complaints.print(f"[yellow]{for_terminal(text, 1_000)}[/yellow]", highlight=False)


def somebody_answers() -> bool:
    return sys.stdin.isatty()


def ask_whose(root: Path, lesson: Lesson, kept: Kept) -> None:
    """Where the notebook may be somebody else's, say so before it runs, and ask. Nobody there: it runs."""
    from ..learner.ownership import doubts

    if why := doubts(root, lesson, kept):
        warn(f"{why}. This runs it as you are, without a sandbox: only do that if it is your own.")
        if somebody_answers():
            typer.confirm("Is it yours?", abort=True, err=True)


def ask_which(root: Path, released: Notebooks) -> None:
    """Where a notebook under another name may be the learner's, ask whether it is, once.

    Nobody there: one that is blank is used, and the other is named; where none is at its place, the command that
    reads it says so.
    """
    from ..core.errors import short
    from ..learner.locations import usual_path
    from ..learner.renamed import Found, decide, doubtful

    week = released.week
    found = doubtful(root, released)
    usual = usual_path(root, week.name)

    def told(one: Found) -> str:
        state = "holds no answer" if usual.exists() else "is not there"
        count = f"{one.answers} answer{'s' * (one.answers != 1)}"
        return f"{short(usual)} {state}, but {short(one.path)} is a notebook of week {week.number}, with {count}."

    if not somebody_answers():
        if found and usual.exists():
            warn(f"{told(found[0])} The one without answers is used; to use the other, rename it to {usual.name}.")
        return
    refused: list[Path] = []
    for one in found:
        warn(told(one))
        if typer.confirm("Is it yours, to be used from now on?", err=True):
            decide(root, week.name, one.path, refused)
            console.print(f"used from now on: {short(one.path)}", highlight=False, markup=False)
            return
        refused.append(one.path)
    if refused:
        decide(root, week.name, None, refused)


def name_later_one(root: Path, released: Notebooks) -> None:
    """Say which notebook of the week was saved after the one that is used: people go on in a copy and forget it."""
    from ..core.errors import short
    from ..learner.locations import notebook_path
    from ..learner.renamed import saved_later

    if later := saved_later(root, released):
        used = notebook_path(root, released.week.name)
        warn(f"{short(used)} is used; {short(later.path)} was saved later, and is not.")


def ask_blank(lesson: Lesson, path: str) -> None:
    """Where nothing is answered, ask whether that is meant. Nobody there: refuse."""
    from ..core.errors import WorkbookError

    if not lesson.is_blank:
        return
    if not somebody_answers():
        raise WorkbookError(f"nothing is answered in {path}", "answer something, or say --blank to submit it as it is")
    warn(f"Nothing is answered in {path}: no exercise and no written question.")
    if not typer.confirm("Submit it all the same?", err=True):
        console.print("nothing was submitted")
        raise typer.Exit
