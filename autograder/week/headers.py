"""Cell headers as typed, such as `# %% exercise="sdpa" difficulty=2`: which word of them cannot be read, and why."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

CELL_MARK = re.compile(r"^# %%(?P<rest>.*)$")
LIKE_A_MARK = re.compile(r"^\s*#\s*%%(?!%)(?P<rest>.*)$")
WORD = re.compile(r"""\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>"[^"]*"\S*|'[^']*'\S*|\S+)""")
READABLE = re.compile(r"""\s*[A-Za-z_]\w*\s*=\s*("[^"]*"|'[^']*'|-?\d+(\.\d+)?|[Tt]rue|[Ff]alse)(?=\s|$)""")
NUMBERS = {"difficulty", "minutes", "points"}
FLAGS = {"setup", "explore", "compare"}


def header_lines(text: str) -> list[int]:
    """The numbers of the lines, from 1, that begin a cell."""
    return [number for number, line in enumerate(text.splitlines(), 1) if CELL_MARK.match(line)]


def unreadable(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, message and remedy of every header that is not written as headers are."""
    quoted = _lines_in_strings(text)
    for number, line in enumerate(text.splitlines(), 1):
        mark = LIKE_A_MARK.match(line)
        if mark is None:
            continue
        if number in quoted:
            if CELL_MARK.match(line):
                yield number, "this `# %%` stands inside a string and would begin a cell", "write it differently there"
        elif not CELL_MARK.match(line) or mark["rest"].lstrip() == mark["rest"] != "":
            yield number, "this header would be overlooked", "begin the line with `# %%`, and put a space behind it"
        elif found := _first_unreadable_word(mark["rest"]):
            yield number, *found


def _first_unreadable_word(rest: str) -> tuple[str, str] | None:
    """Message and remedy for the first word that has no value, or one that is not quoted."""
    rest = re.sub(r"^\s*\[\w+\]", "", rest)
    place = 0
    while rest[place:].strip():
        if fits := READABLE.match(rest, place):
            place = fits.end()
            continue
        if word := WORD.match(rest, place):
            value = word["value"].strip("\"'“”„‘’`,;")
            message = f"the value of `{word['name']}` in the cell header is not readable: {word['value']}"
            if word["name"] in NUMBERS:
                return message, f"write a number: {word['name']}=2"
            if word["name"] in FLAGS:
                return message, f"write {word['name']}=true"
            return message, f'write {word["name"]}="{value}", with straight double quotes'
        bare = rest[place:].split()[0]
        return f"the word {bare!r} in the cell header has no value", 'write words as name="text", name=3 or name=true'
    return None


def _lines_in_strings(text: str) -> set[int]:
    """The lines that begin inside a string; none where the text is not Python."""
    found: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING:
                found.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        return set()
    return found
