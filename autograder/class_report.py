"""One page over a week or all weeks of a class, for the instructor alone. Needs no network, no script, no file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from . import charts
from .class_facts import ClassFacts
from .course import Course
from .feedback import TEMPLATES, render
from .files import write_text

MOST_MISUNDERSTANDINGS = 12
PAGE = "report.html"


def write_report(course: Course, weeks: Sequence[ClassFacts]) -> Path:
    """Write `course/report.html`, or `course/WEEK_report.html` for one week. Returns its path."""
    name = PAGE if len(weeks) > 1 else f"{weeks[0].week}_{PAGE}"
    path = course.folder / name
    write_text(path, render_report(weeks))
    return path


def render_report(weeks: Sequence[ClassFacts]) -> str:
    """The page as text."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    style += (TEMPLATES / "report.css").read_text(encoding="utf-8") + _orders(weeks)
    return render(
        "report.html",
        weeks=weeks,
        drawn={one.week: _draw(one) for one in weeks},
        course=_over_weeks(weeks) if len(weeks) > 1 else "",
        learners=_everyone(weeks),
        most=MOST_MISUNDERSTANDINGS,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _draw(one: ClassFacts) -> dict[str, Markup]:
    """The charts of a week that there is something to draw for."""
    drawn = {}
    if one.totals:
        drawn["points"] = charts.histogram(f"{one.week}-histogram", one.totals, one.possible)
    judged = [each for each in (*one.exercises, *one.written) if each.judged]
    if judged:
        rows = [(e.title, e.full / e.judged, e.some / e.judged, e.none / e.judged) for e in judged]
        drawn["difficulty"] = charts.difficulty(f"{one.week}-shares", rows)
    return drawn


def _everyone(weeks: Sequence[ClassFacts]) -> list[tuple[str, list[float | None]]]:
    """Every learner with their points in each week."""
    totals = [{line.learner: line.total for line in one.lines} for one in weeks]
    names = sorted({name for found in totals for name in found}, key=str.casefold)
    return [(name, [found.get(name) for found in totals]) for name in names]


def _over_weeks(weeks: Sequence[ClassFacts]) -> Markup:
    return charts.weeks(
        "weeks",
        [(f"{one.week[4:6]} {one.title}", [100 * t / one.possible for t in one.totals]) for one in weeks if one.totals],
    )


def _orders(weeks: Sequence[ClassFacts]) -> str:
    """Rules that sort the tables of learners: a choice above a table puts its rows in order, without a script."""
    rules = []
    for one in weeks:
        columns = len(one.exercises) + len(one.written) + 1
        rules.append(f".columns-{one.week}{{grid-template-columns:minmax(9rem,1fr) repeat({columns},max-content)}}")
        by_points = sorted(range(len(one.lines)), key=lambda i: (one.lines[i].total is None, one.lines[i].total or 0))
        by_help = sorted(range(len(one.lines)), key=lambda i: -len(one.lines[i].reasons))
        for name, order in (("points", by_points), ("help", by_help)):
            for place, row in enumerate(order):
                chosen = f"#{one.week}-learners:has(#{one.week}-by-{name}:checked)"
                rules.append(f"{chosen} tbody tr:nth-child({row + 1}){{order:{place}}}")
    return "\n".join(rules) + "\n"
