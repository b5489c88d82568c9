"""Hints, one more fold each time."""

from __future__ import annotations

from ..core.errors import WorkbookError
from ..week.headings import Hint, hints
from ..week.notebooks import Notebooks
from .state import Kept


def next_hints(released: Notebooks, exercise: str, kept: Kept, *, every: bool = False) -> tuple[list[Hint], int]:
    """The hint that was not read yet, and how many there are. After the last one, and with `every`, all of them.

    What was read is put into `kept`, which is the caller's to save. Raises `WorkbookError` where there is no hint.
    """
    found = hints(released, exercise)
    if not found:
        raise WorkbookError(f"{released.week.name} has no hints for {exercise!r}", "read the text above its stub again")
    numbers = sorted(found)
    read = kept.hints.get(exercise, 0)
    chosen = numbers if every or read >= len(numbers) else [numbers[read]]
    kept.hints[exercise] = len(numbers) if every else min(read + 1, len(numbers))
    return [found[number] for number in chosen], len(numbers)
