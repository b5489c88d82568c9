"""A class in a week, as an instructor wants to know it: what was hard, what was misunderstood, who needs help.

Pure functions of the record: `scores` (points), `feedback.json` (what the tests said), the roster, and the remarks
of grading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from ..course.deadlines import Late
from ..course.roster import Person
from ..feedback.facts import Feedback
from ..gradebook.scores import Score, Standing
from ..week.cells import Test, Written
from ..week.headings import question, title
from ..week.marks import regions
from ..week.notebooks import Notebooks

LOW = 0.5
"""Share of the judged points below which a learner may need help."""
MOST = 0.75
"""Share of the learners who began an exercise, with full points, from which it counts as one that most can do."""
HELPED = 0.2
"""Share of the class that is named as in need of help at most: more than that nobody can talk to in a week."""
UNBEGUN = 2
"""Untouched exercises from which that is said of a learner who needs help."""
STOPPED = {
    "TIMEOUT": "is too slow",
    "OOM": "takes too much memory",
    "CRASH": "ends Python",
    "TAMPERED": "changed what judges it",
    "MISSING": "has no answer cell",
}


@dataclass(frozen=True)
class Difficulty:
    """An exercise, or a written question, in numbers of learners; each of them is counted once.

    Attributes
    ----------
    full, some, none : how many began it and have all, some, and no points.
    unbegun : how many left it as it was handed out.
    waiting : how many wait for a person.
    median : points of those who began it and are judged; 0 where nobody is.
    """

    name: str
    title: str
    possible: float
    full: int
    some: int
    none: int
    unbegun: int
    waiting: int
    median: float

    @property
    def judged(self) -> int:
        """How many began it and have points, be it none."""
        return self.full + self.some + self.none

    @property
    def everybody(self) -> int:
        return self.judged + self.unbegun + self.waiting

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
    """One learner in the table.

    Attributes
    ----------
    missing : why there is no work to grade: none was submitted, or it could not be read; "" otherwise.
    reasons : why somebody should talk to this learner.
    remarks : what in the code is worth a look; it costs no points.
    late : how late the work was; None in time.
    page : whether there is feedback to link to.
    """

    learner: str
    name: str
    points: dict[str, float | None]
    total: float | None
    judged: float
    waiting: tuple[str, ...]
    handed_in: datetime | None
    late: Late | None
    missing: str
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    page: bool

    @property
    def called(self) -> str:
        """The name, where it is known; else the folder."""
        return self.name or self.learner

    @property
    def overdue(self) -> float:
        """Seconds after the due date; 0 in time."""
        return self.late.by.total_seconds() if self.late else 0.0

    @property
    def share(self) -> float:
        """Of the points that are judged, 0 to 1."""
        return self.total / self.judged if self.total is not None and self.judged else 1.0


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
    def by_difficulty(self) -> tuple[Difficulty, ...]:
        """Exercises and questions, the hardest first: the smallest share of full points among who began it."""
        judged = [one for one in (*self.exercises, *self.written) if one.judged]
        return tuple(sorted(judged, key=lambda one: one.share_full))

    @property
    def unjudged(self) -> tuple[Difficulty, ...]:
        """Exercises and questions of which nothing can be said yet: nobody began them, or nobody graded them."""
        return tuple(one for one in (*self.exercises, *self.written) if not one.judged)

    @property
    def low(self) -> list[Line]:
        """Everybody who may need help, with the smallest share of points first."""
        return sorted((line for line in self.lines if line.reasons), key=lambda line: (line.share, -len(line.reasons)))

    @property
    def need_help(self) -> list[Line]:
        """Whom to talk to: the first of `low`, at most `HELPED` of who is graded, rounded up."""
        return self.low[: math.ceil(HELPED * len(self.totals))]

    @property
    def missing(self) -> list[Line]:
        """Who has no work that could be graded."""
        return [line for line in self.lines if line.missing]

    @property
    def late(self) -> list[Line]:
        """Who submitted after the due date, the latest first."""
        return sorted((line for line in self.lines if line.late), key=lambda line: -line.overdue)

    @property
    def remarked(self) -> list[Line]:
        """Whose code is worth a look."""
        return [line for line in self.lines if line.remarks]

    @property
    def waiting(self) -> int:
        """Written answers that nobody has judged."""
        return sum(len(line.waiting) for line in self.lines)


def class_facts(
    built: Notebooks,
    recorded: Mapping[str, Standing],
    told: Mapping[str, Feedback],
    roster: Sequence[Person],
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> ClassFacts:
    """Everything that the page of a week says. `remarks`: learner -> what grading found worth a look."""
    week = built.week
    cells = {name: [cell.id for cell in week.of_kind(Test, name)] for name in week.exercises}
    left = {(learner, one.name) for learner, facts in told.items() for one in facts.exercises if not one.code}
    exercises = tuple(
        _difficulty(name, title(built, name), ids, recorded, {learner for learner, one in left if one == name})
        for name, ids in cells.items()
    )
    written = tuple(
        _difficulty(cell.id, question(cell.source), [cell.id], recorded, _unanswered(recorded, cell.id))
        for cell in week.of_kind(Written)
    )
    most_can = {one.name for one in exercises if one.judged and one.share_full >= MOST}
    people = {person.learner: person for person in roster}
    titles = {one.name: one.title for one in exercises}
    lines = []
    for learner in sorted({*recorded, *told, *people}, key=str.casefold):
        standing, facts = recorded.get(learner), told.get(learner)
        points = {name: _sum(standing, ids) for name, ids in cells.items()}
        begun = {name for name in cells if (learner, name) not in left}
        lines.append(
            Line(
                learner,
                people[learner].name if learner in people else "",
                points | {cell.name: _sum(standing, [cell.name]) for cell in written},
                standing.total if standing else None,
                sum(s.possible for s in standing.scores.values() if not s.waiting) if standing else 0.0,
                tuple(name for name in standing.waiting) if standing else (),
                standing.handed_in if standing else None,
                standing.late if standing else None,
                _missing(standing, facts),
                tuple(_reasons(standing, facts, points, titles, begun, most_can)) if standing else (),
                tuple((remarks or {}).get(learner, ())),
                facts is not None,
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


def _unanswered(recorded: Mapping[str, Standing], cell: str) -> set[str]:
    """Who left a written question as it was handed out: machines give that nothing, and nobody gave it points."""

    def untouched(score: Score | None) -> bool:
        return score is not None and score.auto is not None and score.manual is None and not score.extra

    return {learner for learner, standing in recorded.items() if untouched(standing.scores.get(cell))}


def _difficulty(
    name: str, title: str, cells: Sequence[str], recorded: Mapping[str, Standing], left: set[str]
) -> Difficulty:
    """`left`: learners whose answer is as it was handed out. Where it earned points all the same, they began it."""
    earned: list[float] = []
    waiting, unbegun, possible = 0, 0, 0.0
    for learner, standing in recorded.items():
        there = [standing.scores[cell] for cell in cells if cell in standing.scores]
        possible = max(possible, sum(score.possible for score in there))
        points = _sum(standing, cells)
        if points is None:
            waiting += bool(there)
        elif learner in left and not points:
            unbegun += 1
        else:
            earned.append(points)
    full = sum(points >= possible for points in earned)
    none = sum(points == 0 for points in earned) if possible else 0
    middle = median(earned) if earned else 0.0
    return Difficulty(name, title, possible, full, len(earned) - full - none, none, unbegun, waiting, middle)


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


def _missing(standing: Standing | None, facts: Feedback | None) -> str:
    """Why there is no work to grade; "" where there is."""
    if facts is not None and facts.damage:
        return f"could not be read: {facts.damage.reason}"
    if standing is not None:
        return ""
    return "no submission" if facts is None else "not recorded yet: the grader itself failed"


def _reasons(
    standing: Standing,
    facts: Feedback | None,
    points: Mapping[str, float | None],
    titles: Mapping[str, str],
    begun: set[str],
    most_can: set[str],
) -> list[str]:
    """Why somebody should talk to this learner; nothing where nobody needs to.

    Few points are a reason, and so is an exercise that was begun without success where most had it. Whoever has one of
    these is told about with what was left untouched and what had to be stopped.
    """
    if facts is not None and facts.damage:
        return []
    judged = sum(score.possible for score in standing.scores.values() if not score.waiting)
    low = [f"{standing.total:g} of {judged:g} judged points"] if judged and standing.total < LOW * judged else []
    alone = [titles[name] for name in titles if name in begun & most_can and points[name] == 0]
    reasons = low + [f"scored 0 where most succeed: {name}" for name in alone]
    if not reasons:
        return []
    unbegun = len(titles) - len(begun)
    if unbegun >= UNBEGUN:
        reasons.append(f"left {unbegun} exercises untouched")
    for exercise in facts.exercises if facts else ():
        failed = exercise.first_failure
        if failed and failed.verdict in STOPPED:
            reasons.append(f"{exercise.title}: the answer {STOPPED[failed.verdict]}")
    return reasons
