"""Bring a submitted notebook back into the shape of the released one, without losing an answer.

Answers come from the learner; set-up, given and test cells always come from the course. Which cell is which, `aligning`
finds out; for strangers' work in a process with limits (`safe_repair`).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from . import aligning
from .aligning import Alignment, Names, Release
from .build import SKIPPED_WHEN_GRADING, Notebooks
from .damage import Damage
from .damage import DamagedError as DamagedError
from .reading import Handed, notebook_in, submission_of, whole_characters
from .source import Exercise, Test, Written

MAX_BYTES = 50 * 2**20
"""A larger submission is reported, not read."""


@dataclass
class Repaired:
    """A submission in the shape of the release.

    Attributes
    ----------
    notebook : the released cells in their order, with the learner's answers and their own extra cells.
    run : ids of the code cells that grading executes, in order.
    missing : exercises for which no answer cell was found.
    notes : what was recovered or replaced, for the feedback.
    other_week : the week that the notebook is of, where it is of another one and holds no answer to this one.
    """

    notebook: NotebookNode
    run: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    other_week: str = ""


def read_handed_in(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file that a learner handed in: never through a link, never of a pipe or a device.

    Raises
    ------
    DamagedError
        when it is no plain file, lies in a folder that is a link, or is larger than `most` (by default MAX_BYTES).
    OSError
        when it cannot be read.
    """
    if path.is_symlink() or path.parent.is_symlink() or path.parent.parent.is_symlink():
        raise DamagedError("the file is a link, or lies in one; submit the file itself", Damage.NO_FILE)
    most = MAX_BYTES if most is None else most
    flags = ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")  # some of them are missing on some systems
    with os.fdopen(os.open(path, sum(getattr(os, flag, 0) for flag in flags)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise DamagedError("this is no plain file", Damage.NO_FILE)
        if about.st_size > most:
            size = f"the file has {about.st_size / 2**20:.0f} MiB; at most {most // 2**20} are read"
            raise DamagedError(size, Damage.TOO_LARGE)
        return file.read(most)


def read_notebook(path: Path) -> NotebookNode:
    """Read a submitted file as a notebook of format 4.

    Raises
    ------
    DamagedError
        with a reason in one line, whatever is wrong with the file.
    """
    try:
        return parse_notebook(read_handed_in(path))
    except OSError as error:
        raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None


def parse_notebook(content: bytes) -> NotebookNode:
    """The notebook of format 4 that a file holds. Raises `DamagedError`, as `read_notebook` does."""
    notebook: NotebookNode = nbformat.from_dict(notebook_in(content))
    return notebook


def release_of(built: Notebooks) -> Release:
    """What alignment has to know of a week."""
    names = Names()
    sources = {cell.id: cell.source for cell in built.learner.cells}
    answers = [cell.id for cell in built.week.cells if isinstance(cell.words, Exercise | Written)]
    defines = {cell.id: sorted(names(sources[cell.id])) for cell in built.week.of_kind(Exercise)}
    return Release(sources, defines, answers)


def repair(built: Notebooks, submitted: NotebookNode) -> Repaired:
    """Align a notebook with the release. Never fails: what is not found is missing, and noted."""
    return repaired(built, aligning.aligned(release_of(built), submission_of(submitted)))


def repaired(built: Notebooks, alignment: Alignment) -> Repaired:
    """The release with the answers of a submission."""
    submitted = alignment.submission.cells
    released = {cell.id: cell.source for cell in built.learner.cells}
    out = Repaired(nbformat.from_dict(json.loads(json.dumps(built.instructor))))
    own = {number: cell_id for cell_id, numbers in alignment.found.items() for number in numbers}
    extras = _extras_after(submitted, own)
    absent: list[str] = []
    restored: list[str] = []
    changed: list[str] = []
    assembly = _Assembly(out)
    assembly.add(extras.pop("", []))
    for cell, source in zip(out.notebook.cells, built.week.cells, strict=True):
        copies = [submitted[number] for number in alignment.found.get(cell.id, [])]
        if isinstance(source.words, Exercise | Written):
            cell.source = alignment.answers.get(cell.id, released[cell.id])
            pasted = [copy["attachments"] for copy in copies if copy["attachments"]]
            if pasted and cell.cell_type == "markdown":
                cell.attachments = nbformat.from_dict(pasted[-1])
            if not copies:
                absent.append(source.name)
                if isinstance(source.words, Exercise):
                    out.missing.add(source.name)
            elif len(copies) > 1:
                out.notes.append(f"the answer of {source.name} stands in {len(copies)} cells; {WHICH_COUNTS}")
        elif isinstance(source.words, Test):
            if not copies:
                restored.append(cell.id)
            elif all(aligning.text_of(copy["source"]) != aligning.text_of(released[cell.id]) for copy in copies):
                changed.append(cell.id)
        assembly.cells.append(cell)
        if cell.cell_type == "code" and not isinstance(source.words, SKIPPED_WHEN_GRADING):
            out.run.append(cell.id)
        assembly.add(extras.pop(cell.id, []))
    out.notebook.cells = assembly.cells
    answers = [cell for cell in built.week.cells if isinstance(cell.words, Exercise | Written)]
    if answers and len(absent) == len(answers):
        named = alignment.submission.week
        out.other_week = named if named != built.week.name else ""
        out.notes[:] = [_other_notebook(built, out.other_week)]
    else:
        out.notes += _in_words(absent, restored, changed)
    language = alignment.submission.language.lower()
    if language not in ("", "python"):
        out.notes.append(f"the notebook asked for a kernel of the language {language!r}; Python was used")
    return out


WHICH_COUNTS = "the last whole one that you worked on counts"


def _in_words(absent: list[str], restored: list[str], changed: list[str]) -> Iterator[str]:
    """What is missing, and what the course put in its place, to its learner."""
    if absent:
        yield f"not in your notebook: {', '.join(absent)}; without their cells they earn nothing"
    for tests, what in ((restored, "not in your notebook"), (changed, "changed in your notebook")):
        if tests:
            verb = "was" if len(tests) == 1 else "were"
            yield f"{', '.join(tests)} {verb} {what}; grading uses the course's own tests"


def _other_notebook(built: Notebooks, week: str) -> str:
    """The one note on a notebook that holds nothing of this week."""
    wanted = f"{built.week.topic}.ipynb of {built.week.name}"
    if week:
        return f"this is the notebook of {week}, not of {built.week.name}: submit {wanted}"
    return f"this notebook holds no cell of {built.week.name} that you answer: submit {wanted}"


def clean(notebook: NotebookNode) -> None:
    """Replace metadata that is no mapping, ids that are no text, and halves of characters."""
    if not isinstance(notebook.get("metadata"), dict):
        notebook.metadata = nbformat.from_dict({})
    for cell in notebook.cells:
        if not isinstance(cell.get("metadata"), dict):
            cell.metadata = nbformat.from_dict({})
        cell.source = whole_characters(cell.source)


def text_of(cell: NotebookNode) -> str:
    """The source of a cell without the blanks that say nothing: at both ends, and behind lines."""
    return aligning.text_of(cell.source)


def align(built: Notebooks, submitted: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Released cell id -> the submitted cells that are versions of it, in the order of the submission."""
    found = aligning.align(release_of(built), submission_of(submitted).cells, Names())
    return {cell_id: [submitted.cells[number] for number in numbers] for cell_id, numbers in found.items()}


def extras_after(submitted: NotebookNode, own: dict[int, str]) -> dict[str, list[NotebookNode]]:
    """The learner's own cells, under the id of the released cell that they follow."""
    found: dict[str, list[NotebookNode]] = {}
    after = ""
    for cell in submitted.cells:
        after = own.get(id(cell), after)
        if id(cell) not in own:
            found.setdefault(after, []).append(cell)
    return found


def _extras_after(submitted: list[Handed], own: dict[int, str]) -> dict[str, list[Handed]]:
    """As `extras_after`, by numbers."""
    found: dict[str, list[Handed]] = {}
    after = ""
    for number, cell in enumerate(submitted):
        after = own.get(number, after)
        if number not in own:
            found.setdefault(after, []).append(cell)
    return found


class _Assembly:
    """The cells of a repaired notebook, in their order."""

    def __init__(self, out: Repaired) -> None:
        self.cells: list[NotebookNode] = []
        self._out, self._extras = out, 0

    def add(self, extras: list[Handed]) -> None:
        """Add the learner's own cells with fresh ids and without grading metadata; their code runs."""
        for extra in extras:
            self._extras += 1
            make = {"code": new_code_cell, "markdown": new_markdown_cell}.get(extra["cell_type"], new_raw_cell)
            cell = make(extra["source"], id=f"own-{self._extras}")
            cell.metadata = nbformat.from_dict({"workbook": {"kind": "own"}})
            if cell.cell_type == "code":
                self._out.run.append(cell.id)
            elif extra["attachments"]:
                cell.attachments = nbformat.from_dict(extra["attachments"])
            self.cells.append(cell)
