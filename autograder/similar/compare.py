"""Pairs of learners whose answers have rare parts in common.

What the course itself gave is left out: stubs, given cells, hints, the text of questions. So is what many learners
have, since for a short exercise most right answers are alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..week.cells import Exercise, Hints, Written
from ..week.notebooks import Notebooks
from .fingerprints import Fingerprint, Token, code_tokens, fingerprints, hashes, word_tokens

COMMON = 0.1
"""Share of the class from which a part that so many have counts as common, but at least `FEW` learners."""
FEW = 3
SHARED = 4
"""Rare fingerprints that two answers share at least before they are named."""
SHARE = 0.5
"""Part of the rare fingerprints of the shorter answer that they are at least."""
OWN = "own cells"
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
"""Code in Markdown: a block, or a few words."""


@dataclass(frozen=True)
class Answer:
    """What one learner wrote in one cell."""

    learner: str
    cell: str
    source: str
    prose: bool


@dataclass(frozen=True)
class Match:
    """Two answers with much in common.

    Attributes
    ----------
    shared : rare fingerprints of both. share : of those of the shorter answer.
    lines : of each, the lines that they have in common, from 1.
    """

    first: Answer
    second: Answer
    shared: int
    share: float
    lines: tuple[frozenset[int], frozenset[int]]


@dataclass(frozen=True)
class Pair:
    """Two learners, with the answers that are alike; those with most in common first."""

    learners: tuple[str, str]
    matches: tuple[Match, ...]

    @property
    def shared(self) -> int:
        return sum(match.shared for match in self.matches)


def answers_of(built: Notebooks, learner: str, sources: Mapping[str, str]) -> list[Answer]:
    """The answers of a learner, from the sources of their cells by cell id; untouched ones are left out.

    What stands in cells of their own is one answer more.
    """
    handed_out = {cell.id: cell.source for cell in built.learner.cells}
    asked = [cell for cell in built.week.cells if isinstance(cell.words, Exercise | Written)]
    found = [
        Answer(learner, cell.id, sources[cell.id], isinstance(cell.words, Written))
        for cell in asked
        if cell.id in sources and sources[cell.id].strip() != handed_out[cell.id].strip()
    ]
    own = "\n\n".join(source for cell, source in sources.items() if cell not in handed_out)
    return [*found, Answer(learner, OWN, own, False)] if own.strip() else found


def given(built: Notebooks) -> set[int]:
    """Fingerprints of what the course handed out: every cell, as code and as words, and the code in hints."""
    found: set[int] = set()
    for cell in built.learner.cells:
        found |= _values(code_tokens(cell.source)) if cell.cell_type == "code" else _values(word_tokens(cell.source))
    for cell in built.week.of_kind(Hints):
        for block, words in CODE.findall(cell.source):
            found |= _values(code_tokens(block or words))
    return found


def pairs(
    answers: Iterable[Answer], known: set[int], learners: int, group: Mapping[str, str] | None = None
) -> list[Pair]:
    """Who shares what, the most first.

    Parameters
    ----------
    known : fingerprints that the course itself gave.
    learners : size of the class.
    group : learner -> name of their group; who works together is not compared.
    """
    by_cell: dict[str, list[Answer]] = {}
    for one in answers:
        by_cell.setdefault(one.cell, []).append(one)
    found: dict[tuple[str, str], list[Match]] = {}
    limit = max(FEW, COMMON * learners)
    for same_cell in by_cell.values():
        for match in _matches(same_cell, known, limit):
            names = (match.first.learner, match.second.learner)
            if group and group.get(names[0]) and group.get(names[0]) == group.get(names[1]):
                continue
            found.setdefault(names, []).append(match)
    made = [Pair(names, tuple(sorted(some, key=lambda one: -one.shared))) for names, some in found.items()]
    return sorted(made, key=lambda pair: (-pair.shared, pair.learners))


def _matches(answers: Sequence[Answer], known: set[int], limit: float) -> Iterable[Match]:
    rare = {one.learner: _rare(one, known) for one in answers}
    counts = Counter(value for one in rare.values() for value in {each.value for each in one})
    holders: dict[int, list[str]] = {}
    for learner, some in rare.items():
        for value in {each.value for each in some}:
            if 2 <= counts[value] <= limit:
                holders.setdefault(value, []).append(learner)
    shared: dict[tuple[str, str], set[int]] = {}
    for value, names in holders.items():
        for pair in combinations(sorted(names), 2):
            shared.setdefault(pair, set()).add(value)
    by_learner = {one.learner: one for one in answers}
    for (first, second), values in shared.items():
        sizes = [len({one.value for one in rare[name] if counts[one.value] <= limit}) for name in (first, second)]
        share = len(values) / min(sizes)
        if len(values) >= SHARED and share >= SHARE:
            lines = _lines(rare[first], values), _lines(rare[second], values)
            yield Match(by_learner[first], by_learner[second], len(values), share, lines)


def _rare(answer: Answer, known: set[int]) -> list[Fingerprint]:
    tokens: Callable[[str], list[Token]] = word_tokens if answer.prose else code_tokens
    return [one for one in fingerprints(tokens(answer.source)) if one.value not in known]


def _lines(some: Iterable[Fingerprint], values: set[int]) -> frozenset[int]:
    return frozenset(line for one in some if one.value in values for line in range(one.first, one.last + 1))


def _values(tokens: Sequence[Token]) -> set[int]:
    """Of every run, not only the winnowed ones: what is given is left out wherever a window lies."""
    return set(hashes(tokens))
