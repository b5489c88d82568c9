"""The learner's log of a week, `LOG.md` beside their copy: what to read, what was planned, what came of it."""

from __future__ import annotations

from pathlib import Path

from ..core.files import replace_file
from ..week.readings import as_boxes
from ..week.source import Week

NAME = "LOG.md"
PAGE = """# Week {number:02d}: {title}

Your log of this week: no command writes it a second time. Tick a box with `[x]`.
{reading}
## Plan (Monday)

The number that I want to reach, what I will make, and by when:

## Build (Tuesday to Thursday)

Notes, by day:

## Publish (Friday to Sunday)

Links:

## Minimum

- [ ] one figure or result of a paper or a repository reproduced
- [ ] one ablation or micro-benchmark run
- [ ] the demo or service updated, and its perf sheet written

## What sped up

## What broke

## What is next
"""
READING = """
## Reading

{boxes}
"""


def log_page(week: Week) -> str:
    """The log of a week that was just begun, as Markdown."""
    readings = week.info.reading
    reading = READING.format(boxes=as_boxes(readings)) if readings else ""
    return PAGE.format(number=week.number, title=week.info.title, reading=reading)


def write_log(path: Path, week: Week) -> None:
    """Write the log of a week that was just begun. Raises `OSError` when that cannot be done."""
    replace_file(path, log_page(week).encode("utf-8", "replace"))
