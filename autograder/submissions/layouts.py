"""How learning platforms, nbgrader and people name submissions: one table, a pattern a line.

To teach `workbook collect` another layout, add a member to `Layout` and a line to `PATTERNS`. A pattern is compared
with a whole path, folders parted by `/`, without folders such as `submitted` or `week01_attention`. Its groups:

person, id      the name, and the platform's number for them (`lasting`: the same in every assignment)
also            another name of the person, such as a login
time            when it was submitted, read by one of `times`; in UTC where the layout says so, else in local time
attempt         a number that grows with each submission
late            not empty where the platform marks it as late
week            the assignment
file            the name that the learner's file had

`TOPIC` in a pattern stands for the week's topic. What follows the person belongs to the learner, who may call it
anything: no pattern may look for a person there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from ..core.errors import WorkbookError


class Layout(StrEnum):
    """Who wrote the part of a path that names the person."""

    CANVAS = "Canvas"
    MOODLE = "Moodle"
    BLACKBOARD = "Blackboard"
    BRIGHTSPACE = "Brightspace"
    GRADESCOPE = "Gradescope"
    ILIAS = "ILIAS"
    GITHUB = "GitHub Classroom"
    NBGRADER = "nbgrader's exchange"
    FOLDER = "a folder"
    LOOSE = "the name of a loose file"
    RECEIPT = "a receipt"
    """The learner, in a bundle: anybody can write one."""

    @property
    def option(self) -> str:
        """How `--layout` calls it."""
        return {"a folder": "folders", "the name of a loose file": "loose"}.get(self.value, self.name.lower())


@dataclass(frozen=True)
class Pattern:
    """One way in which a layout names files.

    Attributes
    ----------
    shows : an example, for the documentation and the tests; its week is `week01_attention`.
    marked : it holds something that nothing but the platform writes, so it also counts file by file. Any other counts
        only where it fits all of a download.
    lasting : the number is the person's in every assignment.
    """

    layout: Layout
    pattern: str
    shows: str
    marked: bool = False
    lasting: bool = True
    times: tuple[str, ...] = ()
    utc: bool = False

    @property
    def flat(self) -> bool:
        """Whether it names files that lie in no folder."""
        return "/" not in self.shows


STAMP = r"(?P<time>\d{4}(?:-\d\d){5})"
MONTH_DAY = r"(?P<time>[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}[ _:]?\d\d [AP]M)"
ATTEMPT = r"_attempt_\d{4}-"
"""The first one is Blackboard's; what follows it belongs to the learner."""
MOODLE_MARK = r"_(?P<id>\d+)_assignsubmission_[a-z]+_?"
PATTERNS = (
    Pattern(Layout.CANVAS, r"(?P<person>[^_/]+)(?P<late>_late)?_(?P<id>\d+)_(?P<attempt>\d+)_(?P<file>[^/]+)",
            "leeann_LATE_12345_67890_attention-1.ipynb"),
    Pattern(Layout.CANVAS, r"(?P<person>[^_/]+)(?P<late>_late)?_(?P<id>\d+)_(?P<file>(?:text|link)\.html)",
            "leeann_12345_text.html"),
    Pattern(Layout.MOODLE, rf"(?P<person>[^/]+?){MOODLE_MARK}/(?:.*/)?(?P<file>[^/]+)",
            "Ann Lee_4711_assignsubmission_file/attention.ipynb", marked=True, lasting=False),
    Pattern(Layout.MOODLE, rf"(?P<person>[^/]+?){MOODLE_MARK}(?P<file>[^/]+)",
            "Participant_4711_assignsubmission_file_attention.ipynb", marked=True, lasting=False),
    Pattern(Layout.BLACKBOARD, rf"(?P<work>(?:(?!{ATTEMPT})[^/])+)_(?P<person>[^_/]+)_attempt_{STAMP}"
            r"(?:_(?P<file>[^/]+)|\.txt)",
            "Week 1_alee_attempt_2026-03-02-12-05-01_attention.ipynb", times=("%Y-%m-%d-%H-%M-%S",)),
    Pattern(Layout.BRIGHTSPACE, rf"(?P<number>\d+-\d+) - (?P<person>[^/]+) - {MONTH_DAY}/(?:.*/)?(?P<file>[^/]+)",
            "397063-2557369 - Ann Lee - Mar 2, 2026 1205 PM/attention.ipynb", marked=True,
            times=("%b %d, %Y %I%M %p",)),
    Pattern(Layout.GRADESCOPE, r"(?:assignment_\d+_export/)?(?P<person>submission_\d+)/(?:.*/)?(?P<file>[^/]+)",
            "assignment_9100_export/submission_333/attention.ipynb"),
    Pattern(Layout.ILIAS, r"(?:Team[ _]\d+/)?(?P<also>[^_/]+_[^/]+)_(?P<person>[^_/]+)_(?P<id>\d+)/"
            r"(?:.*/)?(?:\d{14}_)?(?P<file>[^/]+)",
            "Lee_Ann_alee_6012/attention.ipynb"),
    Pattern(Layout.GITHUB, r"(?P<slug>[^/]+)-submissions/(?P=slug)-(?P<person>[^/]+)/(?:.*/)?(?P<file>[^/]+)",
            "hw1-submissions/hw1-alee/attention.ipynb"),
    Pattern(Layout.GITHUB, r"(?:week\d\d[-_])?TOPIC-(?P<person>[A-Za-z0-9][A-Za-z0-9-]*)/(?:.*/)?(?P<file>[^/]+)",
            "week01-attention-alee/attention.ipynb"),
    Pattern(Layout.NBGRADER, r"(?P<person>[^+/]+)\+(?P<week>[^+/]+)\+(?P<time>[\d :.-]+) UTC(?:\+[^/]*)?/"
            r"(?:.*/)?(?P<file>[^/]+)",
            "alee+week01_attention+2026-03-02 12:05:01.000000 UTC/attention.ipynb", marked=True, utc=True,
            times=("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")),
)  # fmt: skip
"""Every layout that is known, besides plain folders and loose files, which fit anything."""


@dataclass(frozen=True)
class Fit:
    """A path read by a pattern."""

    pattern: Pattern
    found: re.Match[str]

    def group(self, name: str) -> str:
        """What a group matched; "" where it matched nothing, or there is no such group."""
        return self.found.groupdict().get(name) or ""

    @property
    def moment(self) -> datetime | None:
        """When the platform says that it was submitted, naive UTC; None where it does not say."""
        told = re.sub(r"(\d)[_:]?(\d\d [AP]M)$", r"\1\2", self.group("time"))
        told = re.sub(r" (\d)(\d\d [AP]M)$", r" 0\1\2", told)
        for form in self.pattern.times if told else ():
            try:
                moment = datetime.strptime(told, form)
                zone = moment.replace(tzinfo=UTC) if self.pattern.utc else moment.astimezone(UTC)
                return zone.replace(tzinfo=None)
            except (ValueError, OverflowError, OSError):
                continue
        return None


def fits(path: str, topic: str, layouts: frozenset[Layout] = frozenset(Layout)) -> Iterator[Fit]:
    """Every reading of a path by the table, at most one a layout."""
    seen: set[Layout] = set()
    for one in PATTERNS:
        if one.layout in layouts and one.layout not in seen and (found := _compiled(one, topic).fullmatch(path)):
            seen.add(one.layout)
            yield Fit(one, found)


@lru_cache(maxsize=256)
def _compiled(one: Pattern, topic: str) -> re.Pattern[str]:
    words = re.escape(topic).replace("_", "[-_]")
    flags = re.IGNORECASE if one.layout in (Layout.CANVAS, Layout.GITHUB) else 0
    return re.compile(one.pattern.replace("TOPIC", words), flags)


def by_option(option: str) -> Layout:
    """The layout that `--layout` calls so.

    Raises
    ------
    WorkbookError
        for any other word.
    """
    known = {one.option: one for one in Layout if one is not Layout.RECEIPT}
    if option not in known:
        raise WorkbookError(f"there is no layout {option!r}", f"say one of {', '.join(known)}")
    return known[option]
