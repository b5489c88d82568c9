"""Which cell of the release is a submitted cell a version of?

Cells are recognized by nbgrader's id, by cell id, by their text, by the names they define, and last by likeness. Which
of a learner's cells then make an answer, `gathering` finds out. What this costs grows with the size of a submission
and with nothing else. Standard library alone, as `reading`: it runs in a process of its own (`confined`).
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .gathering import Answer, Exercises, Gathering, joined, plain
from .reading import Handed, Submission, notebook_in, submission_of

ALIKE = 0.5
"""Share of common lines from which two cells count as versions of each other."""
MAX_PARSED = 100_000
"""Characters of a cell that is parsed for the names it defines; of a longer one the beginnings of lines tell them."""
MAX_PARSED_IN_ALL = 1_000_000
MAGIC = ("%", "!")
"""How lines begin that are IPython's and no Python."""
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
CALLABLE = ast.Lambda | ast.Call | ast.Name | ast.Attribute
"""Expressions whose value may be called."""


@dataclass(frozen=True)
class Release(Exercises):
    """What alignment has to know of a release. `written`: the cells of written answers."""

    written: Sequence[str]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Alignment:
    """How a submission fits a release.

    Attributes
    ----------
    found : released cell -> numbers of the submitted cells that are versions of it, in their order.
    answers : exercise -> its answer, where there is any.
    written : cell of a written answer -> its text.
    """

    submission: Submission
    found: dict[str, list[int]]
    answers: dict[str, Answer]
    written: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Alignment:
        """From what `plain` gave."""
        answers = {name: Answer(**fields) for name, fields in plain["answers"].items()}
        return cls(Submission(**plain["submission"]), plain["found"], answers, plain["written"])


def aligned(release: Release, submission: Submission) -> Alignment:
    """Align a submission. Never fails: what is not found is not in `found`."""
    names = Names()
    found = align(release, submission.cells, names)
    written = {
        cell_id: _written([submission.cells[n]["source"] for n in found[cell_id]], release.sources[cell_id])
        for cell_id in release.written
        if cell_id in found
    }
    return Alignment(submission, found, Gathering(release, submission.cells, found, names).answers(), written)


def align_file(release: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Read a file and align what it holds, from plain data to plain data, for `confined`.

    Raises
    ------
    DamagedError
        when the file is not a notebook.
    """
    return aligned(Release(**release), submission_of(notebook_in(content))).plain()


text_of = plain


class Names:
    """Finds what cells define. So that a megabyte of calls costs no gigabyte, only so much is parsed."""

    def __init__(self) -> None:
        self._left = MAX_PARSED_IN_ALL
        self._known: dict[str, frozenset[str]] = {}

    def __call__(self, source: str) -> frozenset[str]:
        """What a cell defines that can be called; of text that is not parsed, what its lines begin with."""
        if source not in self._known:
            self._known[source] = self._parsed(source)
        return self._known[source]

    def _parsed(self, source: str) -> frozenset[str]:
        if len(source) > min(MAX_PARSED, self._left):
            return _heads(source)
        self._left -= len(source)
        if any(line.startswith(MAGIC) for line in source.splitlines()):
            source = "\n".join("" if line.startswith(MAGIC) else line for line in source.splitlines())
        try:
            with warnings.catch_warnings(action="ignore"):  # a learner's odd escape is not news for the instructor
                return frozenset(_bound(ast.parse(source).body))
        except (SyntaxError, ValueError, MemoryError, RecursionError):  # whatever was typed: it is not parsed to be run
            return _heads(source)


def functions_and_classes(source: str) -> list[str]:
    """Those at the top of a cell of the course."""
    return sorted(node.name for node in ast.parse(source).body if isinstance(node, DEFINITION))


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that statements bind to what may be called: definitions, imports, `f = partial(g)`, `f = lambda: 0`."""
    for node in body:
        value = getattr(node, "value", None)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
            case ast.Assign(targets=targets) if isinstance(value, CALLABLE):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(
                target=ast.Name(id=name), value=ast.Lambda() | ast.Call() | ast.Name() | ast.Attribute()
            ):
                yield name
            case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try():
                yield from _bound([*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())])


def _heads(source: str) -> frozenset[str]:
    heads = [line.split("(")[0].split(":")[0] for line in source.splitlines() if line.startswith(("def ", "class "))]
    return frozenset(head.split()[-1] for head in heads if head.split())


def align(release: Release, cells: Sequence[Handed], names: Names) -> dict[str, list[int]]:
    """Released cell id -> numbers of the submitted cells that are versions of it."""
    texts: dict[str, str] = {}
    for cell_id, source in release.sources.items():
        texts.setdefault(text_of(source), cell_id)
    found: dict[str, list[int]] = {}
    unknown = []
    for number, cell in enumerate(cells):
        told = (cell["grade_id"], cell["id"], texts.get(text_of(cell["source"]), ""))
        known = next((cell_id for cell_id in told if cell_id in release.sources), None)
        if known is None:
            unknown.append(number)
        else:
            found.setdefault(known, []).append(number)
    unknown = _by_names(release, cells, unknown, found, names)
    _by_likeness(release, cells, unknown, found)
    return found


def _by_names(
    release: Release, cells: Sequence[Handed], unknown: Sequence[int], found: dict[str, list[int]], names: Names
) -> list[int]:
    """Retyped answers: the first cell that defines what the stub does. Returns what stays unknown."""
    left = []
    for number in unknown:
        cell = cells[number]
        wanted = {one: need for one, need in release.defines.items() if need and one not in found}
        has = names(cell["source"]) if wanted and cell["cell_type"] != "raw" else frozenset()
        answer = next((one for one, need in wanted.items() if has.issuperset(need)), None)
        if answer is None:
            left.append(number)
        else:
            found[answer] = [number]
    return left


def _by_likeness(
    release: Release, cells: Sequence[Handed], unknown: Sequence[int], found: dict[str, list[int]]
) -> None:
    """Changed cells of the course: the one with the largest share of common lines (Jaccard index)."""
    lines = {cell_id: _lines(source) for cell_id, source in release.sources.items()}
    holders: dict[str, list[str]] = {}
    for cell_id, own in lines.items():
        for line in own:
            holders.setdefault(line, []).append(cell_id)
    for number in unknown:
        own = _lines(cells[number]["source"])
        common = Counter(cell_id for line in own for cell_id in holders.get(line, ()) if cell_id not in found)
        shares = ((count / (len(own) + len(lines[cell_id]) - count), cell_id) for cell_id, count in common.items())
        share, best = max(shares, default=(0.0, ""))
        if share >= ALIKE:
            found[best] = [number]


def _lines(source: str) -> set[str]:
    return {line.strip() for line in source.splitlines() if line.strip()}


def _written(copies: list[str], question: str) -> str:
    """A written answer: what was worked on, each text once."""
    worked_on = dict.fromkeys(source for source in copies if source.strip() != question.strip())
    return joined(list(worked_on)) if worked_on else copies[-1]
