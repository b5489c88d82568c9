"""Rules about what a lesson names to read: the hours that it promises, and addresses of the right form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..core.errors import Problem
from ..week.readings import Reading, promised
from ..week.source import Week
from ..week.validation import line_of_key, read_text
from .rules import Finding

PROMISE = re.compile(r"\*\*Time\*\* about [^*\n]*?(?P<hours>\d+(\.\d+)?) of reading")
PARTS = re.compile(r"\*\*Time\*\* about (?P<hours>\d+(\.\d+)?) hours?: (?P<parts>[^*\n]*?)\.(?=\s|$)")
MOST_APART = 0.25
"""Share of the promised minutes by which the listed ones may differ from them."""

ARXIV = "arxiv.org"
ABSTRACT = re.compile(r"/abs/(?P<year>\d\d)(?P<month>0[1-9]|1[0-2])\.(?P<number>\d{4,5})")
SINCE_FIVE_DIGITS = 15
"""Papers of 2015 and later have numbers of five digits, those before (from April 2007) of four."""
PAPERS = frozenset({"paper"})
KINDS = {
    ARXIV: PAPERS,
    "openreview.net": PAPERS,
    "openaccess.thecvf.com": PAPERS,
    "aclanthology.org": PAPERS,
    "proceedings.mlr.press": PAPERS,
    "proceedings.neurips.cc": PAPERS,
    "doi.org": PAPERS,
    "youtube.com": frozenset({"video"}),
    "youtu.be": frozenset({"video"}),
    "vimeo.com": frozenset({"video"}),
    "3blue1brown.com": frozenset({"video", "lesson"}),
    "github.com": frozenset({"code", "docs"}),
    "gitlab.com": frozenset({"code", "docs"}),
    "docs.pytorch.org": frozenset({"docs", "lesson"}),
    "pytorch.org": frozenset({"docs", "lesson"}),
}
"""Host -> what lies there."""
ONLY_AT_HOSTS = frozenset({"video", "code"})
"""Kinds that lie at a host of `KINDS`, and nowhere else."""


def check_promised(week: Week, problem: Finding) -> Iterator[Problem]:
    """The hours of reading in the header are those of the readings that must be read, up to a quarter."""
    must = [reading for reading in week.info.reading if reading.must]
    minutes = promised(must)
    said = False
    for cell in week.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            if found := PROMISE.search(line):
                said = True
                told = f"the header promises {found['hours']} hours of reading"
                if not must:
                    remedy = "list it in week.toml: [[reading]] with must = true"
                    yield problem(cell, f"{told}, and week.toml lists nothing that must be read", remedy, line=number)
                elif abs(minutes - 60 * float(found["hours"])) > MOST_APART * 60 * float(found["hours"]):
                    listed = ", ".join(f"{reading.title} {reading.minutes}" for reading in must)
                    message = f"{told}, what must be read takes {minutes} minutes: more than a quarter apart ({listed})"
                    yield problem(
                        cell, message, "correct `minutes` and `must`, or the hours of the header", line=number
                    )
    if must and not said:
        message = f"{minutes} minutes must be read, and the header promises no reading"
        place = next(place for place, reading in enumerate(week.info.reading) if reading.must)
        yield _at(week, place, "must", message, 'write behind **Time** about N hours: "2 of reading, 4 of coding"')


def check_parts(week: Week, problem: Finding) -> Iterator[Problem]:
    """The hours of the header are the sum of its parts: `12 hours: 4 of reading, 6 of coding, 2 of debugging`."""
    for cell in week.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            if found := PARTS.search(line):
                parts = [float(one) for one in re.findall(r"(\d+(?:\.\d+)?) of ", found["parts"])]
                if sum(parts) != float(found["hours"]):
                    message = f"the parts add up to {sum(parts):g} hours, not to {found['hours']}"
                    yield problem(cell, message, "make them agree", line=number)


def check_addresses(week: Week, problem: Finding) -> Iterator[Problem]:
    """Each reading has an address of its own, of the form that its host has, and its kind is what lies there.

    Whether something lies there `python -m autograder.authoring.addresses` finds out.
    """
    seen: dict[str, int] = {}
    for place, reading in enumerate(week.info.reading):
        if told := _malformed(reading.url):
            yield _at(week, place, "url", *told)
            continue
        address = reading.url.rstrip("/").lower()
        if address in seen:
            message = f"the address of reading {place + 1} is that of reading {seen[address] + 1}"
            yield _at(week, place, "url", message, "make one of them, or give each its own page")
        seen.setdefault(address, place)
        if told := _of_another_kind(reading):
            yield _at(week, place, "kind", *told)


def _malformed(url: str) -> tuple[str, str] | None:
    """Message and remedy for an address of arXiv that is not that of an abstract."""
    parts = urlsplit(url)
    if _host(url) != ARXIV:
        return None
    found = ABSTRACT.fullmatch(parts.path)
    digits = 0 if not found else 5 if int(found["year"]) >= SINCE_FIVE_DIGITS else 4
    if found and len(found["number"]) == digits and parts.netloc == ARXIV and not (parts.query or parts.fragment):
        return None
    return f"{url} is not the page of an abstract at arXiv", "write it as https://arxiv.org/abs/2010.11929"


def _of_another_kind(reading: Reading) -> tuple[str, str] | None:
    """Message and remedy for a kind that does not lie at its host."""
    host = _host(reading.url)
    if host in KINDS and reading.kind not in KINDS[host]:
        known = " or ".join(sorted(KINDS[host]))
        return f"a {reading.kind} at {host}", f"what lies there is {known}"
    if host not in KINDS and reading.kind in ONLY_AT_HOSTS:
        hosts = ", ".join(sorted(name for name, kinds in KINDS.items() if reading.kind in kinds))
        return f"{reading.kind} at {host}", f"it lies at {hosts}; or choose another kind"
    return None


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower().removeprefix("www.")


def _at(week: Week, place: int, key: str, message: str, remedy: str) -> Problem:
    """A problem at a key of one reading."""
    path = week.folder / "week.toml"
    return Problem(path, line_of_key(read_text(path), ("reading", place, key)), message, remedy)


RULES = (check_promised, check_parts, check_addresses)
