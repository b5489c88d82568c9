"""Bring a submitted notebook back into the shape of the released one, without losing an answer.

Answers come from the learner; set-up, given and test cells always come from the course. Which cell is which, `aligning`
finds out; for untrusted submissions in a process with limits (`safe_repair`).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from ..week.cells import Cell, Exercise, Given, Setup, Test, Written
from ..week.notebooks import SKIPPED_WHEN_GRADING, Notebooks
from . import aligning
from .aligning import Alignment, Names, Release, functions_and_classes
from .damage import Damage
from .damage import DamagedError as DamagedError
from .gathering import Answer
from .reading import Handed, notebook_in, submission_of, whole_characters

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
    elsewhere : exercise -> numbers, from 0, of the submitted cells that hold its answer besides its own cell.
    numbers : exercise -> the last of the submitted cells that its answer was made of, from 1.
    """

    notebook: NotebookNode
    run: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    other_week: str = ""
    elsewhere: dict[str, tuple[int, ...]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


def read_handed_in(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file that a learner submitted: never through a link, never of a pipe or a device.

    Raises
    ------
    DamagedError
        when it is not a regular file, lies in a folder that is a link, or is larger than `most` (by default MAX_BYTES).
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
            raise DamagedError("this is not a regular file", Damage.NO_FILE)
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
    return parse_notebook(read_or_say_why(path))


def read_or_say_why(path: Path) -> bytes:
    """As `read_handed_in`; a file that cannot be read is damaged, too."""
    try:
        return read_handed_in(path)
    except OSError as error:
        raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None


def parse_notebook(content: bytes) -> NotebookNode:
    """The notebook of format 4 that a file holds. Raises `DamagedError`, as `read_notebook` does."""
    notebook: NotebookNode = nbformat.from_dict(notebook_in(content))
    return notebook


def release_of(built: Notebooks) -> Release:
    """What alignment has to know of a week."""
    week = built.week
    sources = {cell.id: cell.source for cell in built.learner.cells}
    defines = {cell.id: functions_and_classes(sources[cell.id]) for cell in week.of_kind(Exercise)}
    tests = {name: next((test.id for test in week.of_kind(Test, name)), name) for name in week.exercises}
    return Release(sources, defines, tests, [cell.id for cell in week.of_kind(Written)])


def repair(built: Notebooks, submitted: NotebookNode) -> Repaired:
    """Align a notebook with the release. Never fails: what is not found is missing, and noted."""
    return repaired(built, aligning.aligned(release_of(built), submission_of(submitted)))


def repaired(built: Notebooks, alignment: Alignment) -> Repaired:
    """The release with the answers of a submission."""
    submitted, found = alignment.submission.cells, alignment.found
    out = Repaired(nbformat.from_dict(json.loads(json.dumps(built.instructor))))
    absent: list[str] = []
    restored: list[Cell] = []
    changed: list[Cell] = []
    released = {cell.id: cell.source for cell in built.learner.cells}
    assembly = _Assembly(built, out, alignment)
    assembly.add("")
    for cell, source in zip(out.notebook.cells, built.week.cells, strict=True):
        copies = [submitted[number] for number in found.get(cell.id, [])]
        if isinstance(source.words, Exercise):
            answer = alignment.answers.get(source.name)
            if answer is None:
                absent.append(source.name)
                out.missing.add(source.name)
            else:
                _note_answer(out, source.name, len(copies), answer)
        elif isinstance(source.words, Written):
            cell.source = alignment.written.get(cell.id, released[cell.id])
            pasted = [copy["attachments"] for copy in copies if copy["attachments"]]
            if pasted and cell.cell_type == "markdown":
                cell.attachments = nbformat.from_dict(pasted[-1])
            if not copies:
                absent.append(source.name)
            elif len(copies) > 1:
                out.notes.append(_in_several(source.name, len(copies)))
        elif isinstance(source.words, Setup | Given | Test):
            if not copies:
                restored.append(source)
            elif all(aligning.text_of(copy["source"]) != aligning.text_of(released[cell.id]) for copy in copies):
                changed.append(source)
        if not assembly.has_its_place(cell.id):
            assembly.put(cell)
        assembly.add(cell.id)
    out.notebook.cells = assembly.cells
    answers = [cell for cell in built.week.cells if isinstance(cell.words, Exercise | Written)]
    if answers and len(absent) == len(answers):
        named = alignment.submission.week
        out.other_week = named if named != built.week.name else ""
        out.notes[:] = [_other_notebook(built, out.other_week)]
    else:
        out.notes += _in_words(absent, restored, changed)
        made_from = alignment.submission.version
        if made_from and made_from != built.week.info.version and alignment.submission.week == built.week.name:
            out.notes.append(_of_another_version(made_from, built.week.info.version))
    language = alignment.submission.language.lower()
    if language not in ("", "python"):
        out.notes.append(f"the notebook asked for a kernel of the language {language!r}; Python was used")
    return out


WHICH_COUNTS = "the last whole one that you worked on counts"


def _in_words(absent: list[str], restored: list[Cell], changed: list[Cell]) -> Iterator[str]:
    """What is missing, and what the course put in its place, to its learner."""
    if absent:
        yield f"not in your notebook: {', '.join(absent)}; without their cells they earn nothing"
    for cells, what in ((restored, "not in your notebook"), (changed, "changed in your notebook")):
        if cells:
            verb = "was" if len(cells) == 1 else "were"
            kind = "tests" if all(isinstance(cell.words, Test) for cell in cells) else "cells"
            yield f"{', '.join(cell.id for cell in cells)} {verb} {what}; grading uses the course's own {kind}"


def _of_another_version(made_from: int, now: int) -> str:
    which = "an earlier" if made_from < now else "a later"
    return f"made from version {made_from} of the week, {which} one than the version {now} that it is graded with"


def _other_notebook(built: Notebooks, week: str) -> str:
    """The one note on a notebook that holds nothing of this week."""
    wanted = f"{built.week.topic}.ipynb of {built.week.name}"
    if week:
        return f"this is the notebook of {week}, not of {built.week.name}: submit {wanted}"
    return f"this notebook holds no cell of {built.week.name} that you answer: submit {wanted}"


def _note_answer(out: Repaired, exercise: str, copies: int, answer: Answer) -> None:
    if answer.elsewhere:
        out.elsewhere[exercise] = answer.elsewhere
        cells = " and ".join(f"cell {number + 1}" for number in answer.elsewhere)
        out.notes.append(f"the answer to {exercise!r} was found in {cells}")
    elif copies > 1:
        out.notes.append(_in_several(exercise, copies))
    out.numbers[exercise] = max((*answer.cells, *answer.elsewhere)) + 1


def _in_several(name: str, copies: int) -> str:
    return f"the answer of {name} stands in {copies} cells; {WHICH_COUNTS}"


def clean(notebook: NotebookNode) -> None:
    """Replace metadata that is not a mapping, ids that are not text, and halves of characters."""
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


class _Assembly:
    """The cells of a repaired notebook, in their order: the course's as released, the learner's as they stand."""

    def __init__(self, built: Notebooks, out: Repaired, alignment: Alignment) -> None:
        self.cells: list[NotebookNode] = []
        self._out, self._extras = out, 0
        self._kinds = {cell.id: cell.words for cell in built.week.cells}
        self._nodes = {cell.id: cell for cell in out.notebook.cells}
        self._stubs = {name: aligning.text_of(_source(built, name)) for name in built.week.exercises}
        self._submitted = alignment.submission.cells
        self._answers = alignment.answers
        self._places = {one.place: name for name, one in alignment.answers.items() if one.place is not None}
        self._after = self._extras_after(alignment.found)
        for name, answer in alignment.answers.items():
            self._nodes[name].source = answer.source
        for name in set(self._stubs) - set(alignment.answers):
            self._nodes[name].source = _source(built, name)

    def has_its_place(self, cell_id: str) -> bool:
        """Whether an answer runs among the learner's own cells, where it stands, and is put there."""
        return cell_id in self._places.values()

    def put(self, cell: NotebookNode) -> None:
        """Add a cell of the release."""
        self.cells.append(cell)
        if cell.cell_type == "code" and not isinstance(self._kinds[cell.id], SKIPPED_WHEN_GRADING):
            self._out.run.append(cell.id)

    def add(self, after: str) -> None:
        """Add the learner's own cells that follow one of the release, with fresh ids and without grading metadata."""
        for number in self._after.get(after, ()):
            if number in self._places:
                self.put(self._nodes[self._places[number]])
            else:
                self._add_own(self._submitted[number])

    def _add_own(self, extra: Handed) -> None:
        self._extras += 1
        make = {"code": new_code_cell, "markdown": new_markdown_cell}.get(extra["cell_type"], new_raw_cell)
        cell = make(extra["source"], id=f"own-{self._extras}")
        cell.metadata = nbformat.from_dict({"workbook": {"kind": "own"}})
        if cell.cell_type == "code":
            self._out.run.append(cell.id)
        elif extra["attachments"]:
            cell.attachments = nbformat.from_dict(extra["attachments"])
        self.cells.append(cell)

    def _extras_after(self, found: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
        """Numbers of the learner's own cells, and of answers that run among them, by the cell that they follow."""
        own = {number: cell_id for cell_id, numbers in found.items() for number in numbers}
        used = {number: name for name, answer in self._answers.items() for number in answer.cells}
        texts = {aligning.text_of(self._submitted[number]["source"]) for number in used}
        after, followed = "", dict[str, list[int]]()
        for number, cell in enumerate(self._submitted):
            cell_id = own.get(number, "")
            text = aligning.text_of(cell["source"])
            if number in self._places:
                followed.setdefault(after, []).append(number)
            elif number in used and cell_id in ("", used[number]):
                after = used[number]
            elif cell_id in self._stubs and text not in ("", self._stubs[cell_id]) and text not in texts:
                followed.setdefault(after, []).append(number)  # another version of an answer
            elif cell_id:
                after = cell_id
            else:
                followed.setdefault(after, []).append(number)
        return followed


def _source(built: Notebooks, cell_id: str) -> str:
    found: str = next(cell.source for cell in built.learner.cells if cell.id == cell_id)
    return found
