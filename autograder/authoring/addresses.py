"""Do the addresses of readings lead to what they should? `python -m autograder.authoring.addresses [WEEK ...]`

Needs the network, so no test and no build runs it on the lessons. Where a page names the paper that it is about, as
those of arXiv do (`<meta name="citation_title">`), the title must be that of the reading.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ..week.locate import all_weeks, find_root, open_week, week_name
from ..week.readings import Reading

SECONDS = 20
"""How long a page may take."""
PAUSE = 1.0
"""Seconds between two pages: arXiv asks programs to be slow."""
MOST_BYTES = 200_000
"""Read of a page: its head is enough."""
AGENT = "Mozilla/5.0 (compatible; checks the reading lists of a course)"
NO_PROGRAMS = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""What hosts answer that want no programs: the page may well be there."""


class _Title(HTMLParser):
    """Finds the title of the paper that a page is about; "" where it names none."""

    found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "meta" and said.get("name") == "citation_title":
            self.found = said.get("content") or ""


def wrong_with(reading: Reading, seconds: float = SECONDS) -> str:
    """What is wrong with the address of a reading; "" where nothing is."""
    try:
        with urlopen(Request(reading.url, headers={"User-Agent": AGENT}), timeout=seconds) as answer:
            page = _Title()
            page.feed(answer.read(MOST_BYTES).decode("utf-8", "replace"))
    except HTTPError as error:
        return f"{error.code} {error.reason}{', look yourself' if error.code in NO_PROGRAMS else ''}"
    except (URLError, TimeoutError, OSError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"
    if page.found and _plain(page.found) != _plain(reading.title):
        return f"the page is about {page.found!r}"
    return ""


def _plain(title: str) -> str:
    """A title without spaces, signs and capitals."""
    return "".join(letter for letter in title.casefold() if letter.isalnum())


def tried(readings: Sequence[Reading], pause: float = PAUSE) -> Iterator[tuple[Reading, str]]:
    """Each reading, and what is wrong with its address."""
    for number, reading in enumerate(readings):
        if number:
            time.sleep(pause)
        yield reading, wrong_with(reading)


def main(asked: Sequence[str]) -> int:
    """Print a line for each reading of some weeks, or of all. Returns 1 where an address is wrong, else 0."""
    root = find_root()
    wrong = 0
    for name in [week_name(root, one) for one in asked] or all_weeks(root):
        print(name)
        for reading, told in tried(open_week(root, name).info.reading):
            wrong += bool(told)
            print(f"  {'✗' if told else '✓'} {reading.url} {reading.title}{f': {told}' if told else ''}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
