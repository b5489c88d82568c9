"""When work is due, what being late costs, and which attempt counts then: `course/course.toml`.

    timezone = "America/Los_Angeles"       # an IANA name; times below without an offset are read in it
    attempt = "newest"                     # or "newest in time": a late one counts only where there is no other

    [due]
    week01 = 2026-03-02T23:59:00

    [extensions.ann]                       # a learner's folder
    week01 = 2026-03-05T23:59:00

    [late]
    grace_minutes = 10                     # this much is not late
    percent_a_day = 10                     # of the points that the work earned, for each day that was begun
    most_percent = 50
    days_accepted = 7                      # later work earns nothing

Everything may be left out. A week without a date here is due when nbgrader's gradebook says so.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import WorkbookError, short
from ..week.source import WEEK_FOLDER
from .folder import Course

DAY = timedelta(days=1)


class Attempts(StrEnum):
    """Which of several attempts counts, among those that hold work."""

    NEWEST = "newest"
    NEWEST_IN_TIME = "newest in time"


class LateRule(BaseModel):
    """What being late costs; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    grace_minutes: float = Field(default=0, ge=0)
    percent_a_day: float = Field(default=0, ge=0, le=100)
    most_percent: float = Field(default=100, ge=0, le=100)
    days_accepted: float | None = Field(default=None, ge=0)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    timezone: str = ""
    attempt: Attempts = Attempts.NEWEST
    due: dict[str, datetime] = {}
    extensions: dict[str, dict[str, datetime]] = {}
    late: LateRule | None = None


@dataclass(frozen=True)
class Late:
    """How late work is: after which moment (naive UTC), by how much, and the share of its points that it loses."""

    due: datetime
    by: timedelta
    share: float
    zone: ZoneInfo | None = None

    @property
    def said(self) -> str:
        """One line: `1 day 2 h late, due 2026-03-02 23:59 PST: 20% of its points are taken`."""
        minutes = ceil(self.by / timedelta(minutes=1))
        days, minutes = divmod(minutes, 24 * 60)
        hours, minutes = divmod(minutes, 60)
        parts = [f"{days} day{'s' * (days > 1)}"] * (days > 0) + [f"{hours} h"] * (hours > 0)
        parts += [f"{minutes} min"] * (minutes > 0 and not days)
        cost = f": {100 * self.share:g}% of its points are taken" if self.share else ""
        return f"{' '.join(parts) or '1 min'} late, due {shown(self.due, self.zone)}{cost}"


@dataclass(frozen=True)
class Deadlines:
    """The rules of one week of a class.

    Attributes
    ----------
    due : naive UTC; None where nobody said.
    extensions : learner's folder -> until when, naive UTC.
    rule : what being late costs; None where `course.toml` does not say, and nbgrader's own penalty stands.
    """

    due: datetime | None = None
    extensions: tuple[tuple[str, datetime], ...] = ()
    rule: LateRule | None = None
    attempt: Attempts = Attempts.NEWEST
    zone: ZoneInfo | None = None

    def due_for(self, learner: str) -> datetime | None:
        """When the work of a learner is due; an extension never shortens it."""
        own = dict(self.extensions).get(learner)
        return max(own, self.due) if own and self.due else own or self.due

    def late(self, learner: str, handed_in: datetime | None) -> Late | None:
        """How late work of this moment (naive UTC) is; None in time, and where nobody knows when either was."""
        due = self.due_for(learner)
        rule = self.rule or LateRule()
        if due is None or handed_in is None or handed_in <= due + timedelta(minutes=rule.grace_minutes):
            return None
        by = handed_in - due
        percent = min(rule.percent_a_day * ceil(by / DAY), rule.most_percent)
        closed = rule.days_accepted is not None and by > rule.days_accepted * DAY
        return Late(due, by, 1.0 if closed else percent / 100, self.zone)


def read_deadlines(course: Course, week: str, by_nbgrader: datetime | None = None) -> Deadlines:
    """The rules of a week.

    Parameters
    ----------
    by_nbgrader : the due date in nbgrader's gradebook, naive UTC, for a week without one in `course.toml`.

    Raises
    ------
    WorkbookError
        for a file that breaks a rule, with what and where.
    """
    path = course.folder / "course.toml"
    if not path.is_file():
        return Deadlines(by_nbgrader)
    try:
        told = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkbookError(f"{short(path)} is not valid TOML: {error}", "fix that line") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise WorkbookError(f"{short(path)}: {place}: {first['msg']}", "see docs/teaching.md") from None
    try:
        zone = ZoneInfo(told.timezone) if told.timezone else None
    except (KeyError, ValueError, OSError):
        what = f"{short(path)}: timezone: {told.timezone!r} is not an IANA name"
        raise WorkbookError(what, 'say a region, such as "America/Los_Angeles" or "Europe/Berlin"') from None

    def utc(moment: datetime, where: str) -> datetime:
        if moment.tzinfo is None and zone is None:
            what = f"{short(path)}: {where}: {moment} says no zone"
            raise WorkbookError(what, 'add `timezone = "Europe/Berlin"` (yours), or an offset such as +01:00')
        # where clocks are set back, an hour comes twice: the second one is meant
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=1)
        return aware.astimezone(UTC).replace(tzinfo=None)

    names = {key: _weeks_named(key, path) for own in (told.due, *told.extensions.values()) for key in own}
    due = next((utc(at, f"due.{key}") for key, at in told.due.items() if names[key].fullmatch(week)), by_nbgrader)
    extensions = tuple(
        (learner, utc(at, f"extensions.{learner}.{key}"))
        for learner, own in told.extensions.items()
        for key, at in own.items()
        if names[key].fullmatch(week)
    )
    return Deadlines(due, extensions, told.late, told.attempt, zone)


def _weeks_named(key: str, path: Path) -> re.Pattern[str]:
    """`week01`, `week01_attention` or `1` as a pattern of the whole name."""
    number = re.fullmatch(r"(?:week)?0*(\d{1,2})", key)
    if not number and not WEEK_FOLDER.match(key):
        raise WorkbookError(f"{short(path)}: {key!r} is not a week", "call it week01, or by its whole name")
    return re.compile(rf"week{int(number[1]):02d}_.*" if number else re.escape(key))


def nbgrader_s(course: Course, week: str) -> datetime | None:
    """The due date in nbgrader's gradebook, naive UTC; None where there is none."""
    if not course.gradebook.is_file():
        return None
    from nbgrader.api import MissingEntry

    from .database import open_gradebook

    with open_gradebook(course) as gradebook:
        try:
            found: datetime | None = gradebook.find_assignment(week).duedate
        except MissingEntry:
            return None
        return found


def shown(moment: datetime, zone: ZoneInfo | None) -> str:
    """A moment (naive UTC) as people of the class read it, with its zone."""
    aware = moment.replace(tzinfo=UTC)
    return f"{aware.astimezone(zone) if zone else aware.astimezone():%Y-%m-%d %H:%M %Z}"
