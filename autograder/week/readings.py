"""What a week names to read, and the paper that it reproduces: `[[reading]]` and `reproduces` of `week.toml`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["paper", "lesson", "video", "docs", "code"]
Said = Annotated[str, Field(min_length=1, pattern=r"^\S[^\n]*$")]
"""A text of one line."""
HEAD = ("| what | minutes | why |", "| --- | --- | --- |")


class Reading(BaseModel):
    """One thing to read: `[[reading]]`.

    Attributes
    ----------
    url : its own page: of a paper the abstract, of a project its documentation.
    sections : what of it is read; "" for all of it.
    minutes : planned for that.
    why : in one sentence.
    must : whether it is part of the hours of reading that the lesson promises.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: Said
    authors: Said
    year: int = Field(ge=1900, le=2100, strict=True)
    url: str = Field(pattern=r"^https://[^\s/]+\.[^\s/]+(/\S*)?$")
    sections: str = ""
    minutes: int = Field(gt=0, strict=True)
    why: Said
    kind: Kind
    must: bool = Field(strict=True)


def must_first(readings: Iterable[Reading]) -> list[Reading]:
    """The readings with those that must be read in front; each kind stays in its order."""
    return sorted(readings, key=lambda reading: not reading.must)


def promised(readings: Iterable[Reading]) -> int:
    """The minutes of what must be read."""
    return sum(reading.minutes for reading in readings if reading.must)


def as_table(readings: Sequence[Reading], reproduces: str, number: int) -> str:
    """The cell of a lesson, as Markdown: the table of its readings, and what it reproduces."""
    parts = ["## Reading"]
    if readings:
        rows = [f"| {_what(one)} | {one.minutes} | {_in_a_row(one.why)} |" for one in must_first(readings)]
        parts += [_told(readings, number), "\n".join([*HEAD, *rows])]
    if reproduces:
        parts.append(f"**Reproduced this week.** {reproduces}")
    return "\n\n".join(parts)


def _told(readings: Sequence[Reading], number: int) -> str:
    """How long it takes, and where it can be ticked off."""
    must = promised(readings)
    more = sum(reading.minutes for reading in readings) - must
    counted = f"**{must} minutes** for what is in bold" if must else f"{more} minutes, for those who want more"
    counted += f"; the rest, {more} minutes, is for those who want more" if must and more else ""
    boxes = f"`LOG.md`, which `workbook start {number}` writes beside your copy of this notebook"
    return f"{counted}. The same list with boxes to tick stands in {boxes}."


def _what(reading: Reading) -> str:
    """Title as a link, bold where it must be read; authors, year, sections, kind."""
    link = _link(reading)
    words = [f"**{link}**" if reading.must else link, f"{reading.authors} {reading.year}", reading.sections]
    return f"{_in_a_row(', '.join(word for word in words if word))} ({reading.kind})"


def as_boxes(readings: Iterable[Reading]) -> str:
    """A list with boxes to tick, as Markdown, a line for each."""
    return "\n".join(_box(reading) for reading in must_first(readings))


def _box(reading: Reading) -> str:
    where = f", {reading.sections}" if reading.sections else ""
    more = "" if reading.must else ", for those who want more"
    what = f"{_link(reading)}, {reading.authors} {reading.year}{where}"
    return f"- [ ] {what} ({reading.kind}, {reading.minutes} minutes{more})"


def _link(reading: Reading) -> str:
    title = reading.title.replace("[", r"\[").replace("]", r"\]")
    return f"[{title}]({reading.url})"


def _in_a_row(text: str) -> str:
    """A text in a table, where `|` would begin a column."""
    return text.replace("|", r"\|")
