"""Repair untrusted files: they are read and aligned in a process with limits on memory and time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..week.notebooks import Notebooks
from . import aligning
from .aligning import Alignment
from .confined import Confined
from .repair import Repaired, read_or_say_why, release_of, repaired


class Repairer:
    """Brings files into the shape of one week's release."""

    def __init__(self, built: Notebooks, process: Confined) -> None:
        self._built, self._process = built, process

    def repair_file(self, path: Path) -> Repaired:
        """The file that a learner submitted, as `repair` does with what it holds; another name than asked is noted."""
        out = self.repair(read_or_say_why(path))
        if path.name != f"{self._built.week.topic}.ipynb":
            out.notes.append(f"the file was called {path.name!r}")
        return out

    def repair(self, content: bytes) -> Repaired:
        """The file in the shape of the release.

        Raises
        ------
        DamagedError
            when it is not a notebook, or reading it takes more than the process may have.
        ConfinedError
            when the process could not do its work, through no fault of the file.
        """
        return repaired(self._built, Alignment.of(self._process.ask(content)))


@contextmanager
def repairer(built: Notebooks) -> Iterator[Repairer]:
    """Repairs files as long as the block runs; the process starts at once, and nobody waits for it."""
    with Confined(aligning.align_file, release_of(built).plain()) as process:
        yield Repairer(built, process)
