"""Times as platforms write them, as naive UTC.

Some name a zone by letters: `2026-03-02 23:59 PST` is not a time in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

TIMESTAMP = "timestamp.txt"
"""Where nbgrader keeps the time of a submission, beside it."""
MAX_STAMP = 1_000
"""A larger timestamp.txt is not a time."""

HOURS: dict[str, float] = {
    "PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CDT": -5, "EST": -5, "EDT": -4, "AKST": -9, "AKDT": -8, "HST": -10,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "SAST": 2,
    "JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10, "AEDT": 11, "ACST": 9.5, "AWST": 8, "NZST": 12, "NZDT": 13,
    "UTC": 0, "GMT": 0, "Z": 0,
}  # fmt: skip
"""Letters that stand for one zone. CST, IST, BST and others stand for several: such a time is none."""

TWO_WAYS = re.compile(r"(?:UTC|GMT) ?[+-](?=[\d:]*[1-9])", re.IGNORECASE)
"""`UTC+3` is east of Greenwich for some, and west of it for others."""


def moment_in(text: str) -> datetime | None:
    """The moment that a text tells, naive UTC; one without a zone is in UTC. None where it tells none for sure."""
    from dateutil.parser import ParserError, parse

    if TWO_WAYS.search(text):
        return None
    try:
        when = parse(text.strip(), tzinfos=_zone)
        return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    except (ParserError, OverflowError, ValueError):
        return None


def handed_in_at(stamp: bytes) -> datetime | None:
    """The time of submission from nbgrader's timestamp.txt, as naive UTC; None when there is none."""
    try:
        return moment_in(stamp.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    if offset is not None and (name is None or offset):
        return timezone(timedelta(seconds=offset))
    if name is None:
        return None
    if name.upper() not in HOURS:
        raise ValueError(f"{name} stands for no zone, or for several")
    return timezone(timedelta(hours=HOURS[name.upper()]))
