"""One page about a week or all weeks of a class, for the instructor alone. Needs no network, no script, no file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from markupsafe import Markup

from ..core.files import write_text
from ..course.folder import Course
from ..course.roster import read_roster
from ..feedback.pages import read_facts
from ..gradebook.ledger import Ledger
from ..gradebook.scores import standings
from ..rendering.templates import TEMPLATES, render
from ..week.notebooks import Notebooks
from .class_stats import ClassFacts, class_facts

MOST_MISUNDERSTANDINGS = 12
BINS = 10
PAGE = "report.html"


@dataclass(frozen=True)
class Bin:
    """Learners whose points lie between two numbers; the upper one belongs to the last step alone."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Spread:
    """A class in one week, in percent of its points: the middle half and the median."""

    week: str
    title: str
    low: float
    middle: float
    high: float


def class_of(built: Notebooks, course: Course) -> ClassFacts:
    """What the record says of a week.

    Raises
    ------
    WorkbookError
        where the gradebook or the class list cannot be read.
    """
    week = built.week.name
    recorded = standings(course, week) if course.gradebook.is_file() else {}
    told, ledger = read_facts(course, week), Ledger(course, week)
    entries = {learner: ledger.entry(learner) for learner in {*recorded, *told}}
    remarks = {learner: entry.remarks for learner, entry in entries.items() if entry}
    return class_facts(built, recorded, told, read_roster(course), remarks)


def write_class(course: Course, *weeks: ClassFacts) -> Path:
    """Write `course/WEEK.html` for one week, `course/report.html` for several. Returns its path."""
    path = course.folder / (PAGE if len(weeks) > 1 else f"{weeks[0].week}.html")
    write_text(path, render_class(weeks))
    return path


def render_class(weeks: Sequence[ClassFacts]) -> str:
    """The page as text."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    style += (TEMPLATES / "report.css").read_text(encoding="utf-8") + _orders(weeks)
    return render(
        "report.html",
        weeks=weeks,
        histograms={one.week: histogram(one.totals, one.possible) for one in weeks},
        medians={one.week: median(one.totals) for one in weeks if one.totals},
        spreads=[spread(one) for one in weeks if one.totals] if len(weeks) > 1 else [],
        learners=_everyone(weeks),
        called_in={one.week: {line.learner: line.called for line in one.lines} for one in weeks},
        most=MOST_MISUNDERSTANDINGS,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def histogram(totals: Sequence[float], possible: float) -> list[Bin]:
    """How many learners have how many points, in ten equal steps; full points and more belong to the last one."""
    step = possible / BINS
    counts = [0] * BINS
    for total in totals:
        counts[min(BINS - 1, max(0, int(total / step)))] += 1
    return [Bin(step * i, step * (i + 1), count) for i, count in enumerate(counts)]


def spread(one: ClassFacts) -> Spread:
    """Median and middle half of a week, in percent of its points."""
    shares = [100 * total / one.possible for total in one.totals]
    low, middle, high = quantiles(shares, n=4, method="inclusive") if len(shares) > 1 else shares * 3
    return Spread(one.week, one.title, low, middle, high)


def _everyone(weeks: Sequence[ClassFacts]) -> list[tuple[str, list[float | None]]]:
    """Every learner, as they are called, with their points in each week."""
    totals = [{line.learner: line.total for line in one.lines} for one in weeks]
    called = {line.learner: line.called for one in weeks for line in one.lines}
    return [(called[name], [found.get(name) for found in totals]) for name in sorted(called, key=str.casefold)]


def _orders(weeks: Sequence[ClassFacts]) -> str:
    """Rules that sort the tables of learners: a choice above a table puts its rows in order, without a script."""
    rules = []
    for one in weeks:
        columns = len(one.exercises) + len(one.written) + 1
        rules.append(f".columns-{one.week}{{grid-template-columns:minmax(9rem,1fr) repeat({columns},max-content)}}")
        by_points = sorted(range(len(one.lines)), key=lambda i: (one.lines[i].total is None, one.lines[i].total or 0))
        by_lateness = sorted(range(len(one.lines)), key=lambda i: -one.lines[i].overdue)
        for name, order in (("points", by_points), ("late", by_lateness)):
            for place, row in enumerate(order):
                chosen = f"#{one.week}-learners:has(#{one.week}-by-{name}:checked)"
                rules.append(f"{chosen} tbody tr:nth-child({row + 1}){{order:{place}}}")
    return "\n".join(rules) + "\n"
