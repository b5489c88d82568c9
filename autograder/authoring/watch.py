"""What a saved change of a week's source touches, so that only that is verified again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ..week.cells import About, Explore, Hints, Look, Measured, Readings, Text, Written
from ..week.source import load_week
from ..week.variants import load_variants

SHOWN = About | Explore | Hints | Look | Measured | Readings | Text | Written
"""Cells that no test depends on."""
EVERYTHING = "everything"
WAKE_MS = 300
"""Milliseconds after which an empty set tells that nothing was saved."""


@dataclass(frozen=True)
class Snapshot:
    """A week at one moment.

    Attributes
    ----------
    exercises : exercise -> its stub, answer, tests and variants.
    common : what every exercise depends on: set-up, given code, limits and libraries.
    shown : texts and cells that draw.
    """

    exercises: dict[str, str]
    common: str
    shown: str


def snapshot(folder: Path) -> Snapshot:
    """Read a week.

    Raises
    ------
    WorkbookError
        where the source does not hold; the message says what to fix.
    """
    week = load_week(folder)
    variants = load_variants(week)
    parts: dict[str, list[str]] = {name: [] for name in week.exercises}
    for variant in (*variants.misconceptions, *variants.alternatives):
        parts[variant.exercise].append(repr(variant))
    common, shown = [repr((week.info.limits, week.info.libraries))], []
    for cell in week.cells:
        text = f"{cell.words!r}\n{cell.source}"
        if isinstance(cell.words, SHOWN):
            shown.append(text)
        elif cell.name in parts:
            parts[cell.name].append(text)
        else:
            common.append(text)
    return Snapshot({name: "\n".join(found) for name, found in parts.items()}, "\n".join(common), "\n".join(shown))


def touched(before: Snapshot | None, after: Snapshot) -> tuple[str, ...]:
    """The exercises to verify again; `EVERYTHING` alone where the change reaches all, nothing where it reaches none."""
    if before is None or before.common != after.common or list(before.exercises) != list(after.exercises):
        return (EVERYTHING,)
    changed = tuple(name for name, text in after.exercises.items() if before.exercises[name] != text)
    return (EVERYTHING,) if changed and len(changed) == len(after.exercises) > 1 else changed


def saved_weeks(folders: Sequence[Path], changes: Iterable[Set[tuple[object, str]]]) -> Iterator[list[Path]]:
    """The folders of the weeks that each set of changes lies in; `changes` as `watchfiles.watch` gives them."""
    for found in changes:
        paths = [Path(path) for _, path in found if Path(path).suffix in (".py", ".toml")]
        yield [folder for folder in folders if any(path.is_relative_to(folder) for path in paths)]


def changes(folders: Sequence[Path]) -> Iterator[Set[tuple[object, str]]]:
    """Sets of saved files in these folders, until Ctrl-C; empty ones while nothing happens.

    From the first one on nothing is missed, whatever its reader does in between.
    """
    from watchfiles import watch

    yield from watch(*folders, raise_interrupt=False, rust_timeout=WAKE_MS, yield_on_timeout=True)
