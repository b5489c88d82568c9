"""A class in a week, as an instructor wants to know it: what was hard, what was misunderstood, who needs help.

Pure functions of the record: `standings` (points), `by_hand.read_facts` (what the tests said), the roster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from .build import Notebooks
from .by_hand import question
from .facts import Feedback, title
from .roster import Person
from .rules import regions
from .source import Test, Written
from .standings import Standing

LOW = 0.5
"""Share of the judged points below which a learner is said to need help."""
MOST = 0.75
"""Share of a class with full points from which an exercise counts as one that most can do."""
UNWRITTEN = 2
"""Exercises that were not begun from which a learner is said to need help."""
STOPPED = {
    "TIMEOUT": "is too slow",
    "OOM": "takes too much memory",
    "CRASH": "ends Python",
    "TAMPERED": "changed what judges it",
    "MISSING": "has no answer cell",
}


@dataclass(frozen=True)
class Difficulty:
    """An exercise, or a written question, in numbers of learners.

    Attributes
    ----------
    full, some, none : how many have all, some, and no points.
    waiting : how many wait for a person.
    median : of those who are judged; 0 where nobody is.
    """

    name: str
    title: str
    possible: float
    full: int
    some: int
    none: int
    waiting: int
    median: float

    @property
    def judged(self) -> int:
        return self.full + self.some + self.none

    @property
    def share_full(self) -> float:
        return self.full / self.judged if self.judged else 0.0


@dataclass(frozen=True)
class Misunderstanding:
    """A misconception that answers behave like; `names` are several where the tests cannot tell them apart."""

    exercise: str
    names: tuple[str, ...]
    note: str
    learners: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One learner in the table; `reasons` say why they need help, `page` whether there is feedback to link to.

    `late` says how late the work was; "" in time.
    """

    learner: str
    name: str
    points: dict[str, float | None]
    total: float | None
    judged: float
    waiting: tuple[str, ...]
    handed_in: datetime | None
    reasons: tuple[str, ...]
    page: bool
    late: str = ""


@dataclass(frozen=True)
class ClassFacts:
    """A week of a class.

    Attributes
    ----------
    possible : all its points, autograded and written.
    rubrics : written question -> what a full answer says (Markdown), for who grades it.
    """

    week: str
    title: str
    possible: float
    exercises: tuple[Difficulty, ...]
    written: tuple[Difficulty, ...]
    misunderstandings: tuple[Misunderstanding, ...]
    lines: tuple[Line, ...]
    rubrics: dict[str, str]

    @property
    def totals(self) -> list[float]:
        """Points of everybody who is graded."""
        return [line.total for line in self.lines if line.total is not None]

    @property
    def need_help(self) -> list[Line]:
        """Who needs help, with the most reasons first."""
        return sorted(
            (line for line in self.lines if line.reasons), key=lambda line: (-len(line.reasons), line.total or 0)
        )

    @property
    def waiting(self) -> int:
        """Written answers that nobody has judged."""
        return sum(len(line.waiting) for line in self.lines)


def class_facts(
    built: Notebooks,
    recorded: Mapping[str, Standing],
    told: Mapping[str, Feedback],
    roster: Sequence[Person],
) -> ClassFacts:
    """Everything that the report of a week says."""
    week = built.week
    cells = {name: [cell.id for cell in week.of_kind(Test, name)] for name in week.exercises}
    exercises = tuple(_difficulty(name, title(built, name), ids, recorded.values()) for name, ids in cells.items())
    written = tuple(
        _difficulty(cell.id, question(cell.source), [cell.id], recorded.values()) for cell in week.of_kind(Written)
    )
    most_can = {one.name for one in exercises if one.judged and one.share_full >= MOST}
    people = {person.learner: person for person in roster}
    titles = {one.name: one.title for one in exercises}
    lines = []
    for learner in sorted({*recorded, *told, *people}, key=str.casefold):
        standing, facts = recorded.get(learner), told.get(learner)
        points = {name: _sum(standing, ids) for name, ids in cells.items()}
        lines.append(
            Line(
                learner,
                people[learner].name if learner in people else "",
                points | {cell.name: _sum(standing, [cell.name]) for cell in written},
                standing.total if standing else None,
                sum(s.possible for s in standing.scores.values() if not s.waiting) if standing else 0.0,
                tuple(name for name in standing.waiting) if standing else (),
                standing.handed_in if standing else None,
                tuple(_reasons(standing, facts, points, titles, most_can)),
                facts is not None,
                standing.late.said if standing and standing.late else "",
            )
        )
    return ClassFacts(
        week.name,
        week.info.title,
        sum(one.possible for one in (*exercises, *written)),
        exercises,
        written,
        _misunderstandings(told, titles),
        tuple(lines),
        {cell.id: "\n\n".join(regions(cell.source, "SOLUTION")) for cell in week.of_kind(Written)},
    )


def _sum(standing: Standing | None, cells: Sequence[str]) -> float | None:
    """Points of some cells; None where nobody has judged them."""
    if standing is None or all(name not in standing.scores or standing.scores[name].waiting for name in cells):
        return None
    return sum(standing.scores[name].points for name in cells if name in standing.scores)


def _difficulty(name: str, title: str, cells: Sequence[str], recorded: Iterable[Standing]) -> Difficulty:
    earned: list[float] = []
    waiting, possible = 0, 0.0
    for standing in recorded:
        there = [standing.scores[cell] for cell in cells if cell in standing.scores]
        possible = max(possible, sum(score.possible for score in there))
        points = _sum(standing, cells)
        if points is None:
            waiting += bool(there)
        else:
            earned.append(points)
    full = sum(points >= possible for points in earned)
    none = sum(points == 0 for points in earned) if possible else 0
    return Difficulty(
        name, title, possible, full, len(earned) - full - none, none, waiting, median(earned) if earned else 0.0
    )


def _misunderstandings(told: Mapping[str, Feedback], titles: Mapping[str, str]) -> tuple[Misunderstanding, ...]:
    """The commonest first."""
    who: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    notes: dict[tuple[str, tuple[str, ...]], str] = {}
    for learner, facts in told.items():
        for exercise in facts.exercises:
            if exercise.diagnoses:
                key = (exercise.name, tuple(one.name for one in exercise.diagnoses))
                who.setdefault(key, []).append(learner)
                notes[key] = exercise.diagnoses[0].note
    counted = Counter({key: len(learners) for key, learners in who.items()})
    return tuple(
        Misunderstanding(titles.get(key[0], key[0]), key[1], notes[key], tuple(who[key]))
        for key, _ in counted.most_common()
    )


def _reasons(
    standing: Standing | None,
    facts: Feedback | None,
    points: Mapping[str, float | None],
    titles: Mapping[str, str],
    most_can: set[str],
) -> list[str]:
    """Why somebody should talk to this learner; nothing where nobody needs to."""
    if standing is None and facts is None:
        return ["handed in nothing"]
    if facts is not None and facts.damage:
        return [f"could not be graded: {facts.damage.reason}"]
    if standing is None:
        return ["is not recorded yet: the grader itself failed"]
    reasons = []
    judged = sum(score.possible for score in standing.scores.values() if not score.waiting)
    if judged and standing.total < LOW * judged:
        reasons.append(f"has {standing.total:g} of {judged:g} judged points")
    unwritten = [e.title for e in facts.exercises if not e.code] if facts else []
    if len(unwritten) >= UNWRITTEN:
        reasons.append(f"did not begin {len(unwritten)} exercises")
    alone = [
        titles[name] for name in titles if name in most_can and points[name] == 0 and titles[name] not in unwritten
    ]
    reasons += [f"has no points in what most can do: {name}" for name in alone]
    for exercise in facts.exercises if facts else ():
        failed = exercise.first_failure
        if failed and failed.verdict in STOPPED:
            reasons.append(f"{exercise.title}: the answer {STOPPED[failed.verdict]}")
    return reasons
