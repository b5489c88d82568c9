"""Which of a learner's cells make the answer to an exercise, and where does it run?

The rule is that of a notebook: cells run in the order in which they stand, and what is defined last before the tests
counts. Only where that gives no answer is one fetched: from below the tests, out of a cell of the course that will be
restored, out of the cell of a later answer. A stub that is as the course gave it never hides a definition that the
learner made elsewhere. So an answer earns at least what it earns where all cells run as they stand. Standard library
alone, as `aligning`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .reading import Handed

Names = Callable[[str], frozenset[str]]


@dataclass(frozen=True)
class Answer:
    """The answer to an exercise, gathered from the cells of a submission.

    Attributes
    ----------
    source : what runs.
    cells : numbers of the submitted cells whose text stands in it, in their order.
    place : the one of them at whose place it runs; None for the place that the release gives it.
    elsewhere : numbers of the cells that define what the exercise asks for, besides its own.
    """

    source: str
    cells: tuple[int, ...] = ()
    place: int | None = None
    elsewhere: tuple[int, ...] = ()


@dataclass(frozen=True)
class Exercises:
    """What of a release decides about answers.

    Attributes
    ----------
    sources : cell id -> source as the learner got it, in order.
    defines : exercise cell -> the functions and classes that its stub defines.
    tests : exercise cell -> its first test cell.
    """

    sources: Mapping[str, str]
    defines: Mapping[str, Sequence[str]]
    tests: Mapping[str, str]


@dataclass
class Gathering:
    """The answers of one submission.

    Parameters
    ----------
    found : released cell -> numbers of the submitted cells that are versions of it.
    """

    exercises: Exercises
    cells: Sequence[Handed]
    found: Mapping[str, Sequence[int]]
    names: Names
    taken: set[int] = field(default_factory=set)
    """Own cells that have become an answer."""

    def __post_init__(self) -> None:
        self._ranks = {cell_id: rank for rank, cell_id in enumerate(self.exercises.sources)}
        self._course: dict[int, str] = {n: cell_id for cell_id, numbers in self.found.items() for n in numbers}
        self._before: list[int] = []
        last = -1
        for number in range(len(self.cells)):
            self._before.append(last)
            last = self._ranks.get(self._course.get(number, ""), last)

    def answers(self) -> dict[str, Answer]:
        """Exercise -> its answer, for those of which there is any cell or definition."""
        self._definers = self._all_definers()
        gathered = {}
        for exercise in self.exercises.defines:
            answer = self._answer(exercise)
            if answer is not None:
                gathered[exercise] = answer
        return gathered

    # --- what stands where

    def _source(self, number: int) -> str:
        return self.cells[number]["source"]

    def _worked_on(self, exercise: str) -> list[int]:
        """Its cells that are neither as the course gave them nor empty; code, where any of them is."""
        stub = plain(self.exercises.sources[exercise])
        worked = [n for n in self.found.get(exercise, ()) if plain(self._source(n)) not in ("", stub)]
        return [n for n in worked if self.cells[n]["cell_type"] == "code"] or worked

    def _all_definers(self) -> dict[str, list[int]]:
        """Name that an exercise asks for -> code cells that define it, besides stubs and cells of the course."""
        wanted = {name for need in self.exercises.defines.values() for name in need}
        definers: dict[str, list[int]] = {}
        for number, cell in enumerate(self.cells):
            if cell["cell_type"] != "code":
                continue
            own = self.exercises.sources.get(self._course.get(number, ""))
            if own is not None and plain(own) == plain(cell["source"]):
                continue
            brought = self.names(cell["source"]) & wanted
            if own is not None and self._course[number] not in self.exercises.defines:
                brought -= self.names(own)
            for name in brought:
                definers.setdefault(name, []).append(number)
        return definers

    def _runs_before_tests(self, number: int, exercise: str) -> bool:
        """Whether a cell runs as it stands, and before the tests of an exercise."""
        if number in self.taken:  # by an exercise before this one
            return True
        own, end = self._course.get(number), self._ranks[self.exercises.tests[exercise]]
        if own is None:
            return self._before[number] < end
        return own in self.exercises.defines and self._ranks[own] < end

    # --- an answer

    def _answer(self, exercise: str) -> Answer | None:
        need = set(self.exercises.defines[exercise])
        worked = self._worked_on(exercise)
        chosen = self._versions(exercise, worked, need)
        elsewhere: list[int] = []
        defined = self._defined(chosen)
        own = set(self.found.get(exercise, ()))
        others = [n for n in self._definers_of(need - defined) if n not in own]
        early = [n for n in others if self._runs_before_tests(n, exercise)]
        last = next((n for n in reversed(early) if n not in self._course and n not in self.taken), None)
        if not chosen and last is not None:
            chosen, elsewhere = [last], [last]
            defined = self._defined(chosen)
        if by_others := [n for n in early if n not in chosen and self.names(self._source(n)) & (need - defined)]:
            elsewhere += by_others
            defined |= self._defined(by_others)
        late = [n for n in others if n not in early and self.names(self._source(n)) & (need - defined)]
        if late:
            fetched = max(late, key=lambda n: (n not in self._course, n))
            chosen, elsewhere = [*chosen, fetched], [*elsewhere, fetched]
            defined |= self._defined([fetched])
        if not chosen and not elsewhere:
            return self._as_it_stands(exercise)
        self.taken |= set(chosen) - set(self._course)
        left = "" if worked else without(self.exercises.sources[exercise], need & defined)
        parts = [part for part in (left, *(self._source(n) for n in chosen)) if part.strip()]
        source = joined(parts) or f"# the answer stands in cell {elsewhere[-1] + 1} of the notebook"
        return Answer(source, tuple(chosen), self._place(exercise, chosen), tuple(elsewhere))

    def _as_it_stands(self, exercise: str) -> Answer | None:
        """A stub that nothing was done to, or an emptied one."""
        numbers = self.found.get(exercise, ())
        return Answer(self._source(numbers[-1]), tuple(numbers[-1:])) if numbers else None

    def _definers_of(self, names: set[str]) -> list[int]:
        return sorted({number for name in names for number in self._definers.get(name, ())})

    def _defined(self, numbers: Sequence[int]) -> set[str]:
        return {name for number in numbers for name in self.names(self._source(number))}

    def _versions(self, exercise: str, worked: Sequence[int], need: set[str]) -> list[int]:
        """Of the cells of an exercise, the last whole version before its tests, with the parts split off it."""
        end = self._ranks[self.exercises.tests[exercise]]
        early = [n for n in worked if self._before[n] < end]
        for pool in (early, list(worked)):
            whole = [n for n in pool if need and need <= self.names(self._source(n))]
            if whole:
                return [n for n in pool if n == whole[-1] or n not in whole]
            if pool and need <= self._defined(pool):
                return pool
        return list(worked)

    def _place(self, exercise: str, chosen: Sequence[int]) -> int | None:
        """The last of the cells, if it is a new one between the exercise's place in the release and its tests."""
        if not chosen or self._course.get(chosen[-1], exercise) != exercise:
            return None
        if exercise in (self.cells[chosen[-1]]["id"], self.cells[chosen[-1]]["grade_id"]):
            return None
        stands = self._ranks[exercise] <= self._before[chosen[-1]] < self._ranks[self.exercises.tests[exercise]]
        return chosen[-1] if stands else None


def plain(source: str) -> str:
    """The source of a cell without the blanks that say nothing: at both ends, and behind lines."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def joined(parts: Sequence[str]) -> str:
    """Several cells as one; a magic for a whole cell can only stay on top of it."""
    rest = [part.lstrip().partition("\n")[2] if part.lstrip().startswith("%%") else part for part in parts[1:]]
    return "\n\n".join([*parts[:1], *rest])


def without(stub: str, names: set[str]) -> str:
    """A stub without some of the functions and classes that it defines; "" where no other is left."""
    body = ast.parse(stub).body
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    gone = [node for node in body if isinstance(node, kinds) and node.name in names]
    if not gone:
        return stub
    if not any(isinstance(node, kinds) and node not in gone for node in body):
        return ""
    lines = stub.splitlines()
    for node in reversed(gone):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        del lines[first - 1 : node.end_lineno]
    return "\n".join(lines).strip()
