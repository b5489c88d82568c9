"""What a lesson calls its exercises and questions, and its folded hints."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from .cells import About, Hints
from .notebooks import Notebooks

FOLD = re.compile(r"<details>\s*<summary>Hint (\d): *(.*?)</summary>(.*?)</details>", re.DOTALL)


class Hint(BaseModel):
    """`text` is Markdown from the week's own notebook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    title: str
    text: str


def title(built: Notebooks, exercise: str) -> str:
    """The heading of an exercise, such as `Exercise 2. Two masks`."""
    heading, _, _ = built.week.of_kind(About, exercise)[0].source.partition("\n")
    return heading.lstrip("# ")


def question(source: str) -> str:
    """What a question is called: its bold words, `**W2. Why divide? (5 points)** Derive`, else a sentence."""
    first = next((line for line in source.splitlines() if line.strip(" #")), "").lstrip("# ").strip()
    first = re.sub(r" *\([^()]*\bpoints?\b[^()]*\)\.?", "", first)
    bold = re.match(r"\*\*(.{7,}?)\*\*", first)
    if bold:
        return bold[1].strip()
    sentence = re.match(r".{7,}?[.?!:](?= |$)", first.replace("**", ""))
    return sentence[0] if sentence else first.replace("**", "")


def hints(built: Notebooks, exercise: str) -> dict[int, Hint]:
    """The folded hints of an exercise, by number."""
    text = "".join(cell.source for cell in built.week.of_kind(Hints, exercise))
    found = [(int(number), title, body.strip("\n")) for number, title, body in FOLD.findall(text)]
    return {number: Hint(number=number, title=title, text=body) for number, title, body in found}
