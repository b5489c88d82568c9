"""Texts from anywhere, made fit to be shown."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"} | {0x7F: "␡"}
"""Control characters -> their pictures."""
REPLACED = (
    *range(0x80, 0xA0),  # more control characters
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # they turn the direction of writing
    *(0x2028, 0x2029, 0xFFFE, 0xFFFF),  # odd line ends, no characters
    *range(0xD800, 0xE000),  # halves of characters
)
CHARACTERS = VISIBLE | dict.fromkeys(REPLACED, "\N{REPLACEMENT CHARACTER}")


def clean(value: object, characters: int, lines: int = 1) -> str:
    """A text that can be shown, at most so many characters and lines long. Cleaning it once more changes nothing."""
    text = str(value)
    kept = text[:characters]  # first of all: a megabyte is not gone through to show a page of it
    kept = ANSI.sub("", kept).replace("\r\n", "\n").translate(CHARACTERS)
    if lines == 1:
        kept = " ".join(kept.split())
    if len(text) > characters:
        kept = f"{kept[: characters - 40].rstrip()} … ({len(text) - characters + 40} more characters)".lstrip()
    rows = kept.split("\n")
    if len(rows) > lines:
        kept = "\n".join([*rows[: lines - 1], f"… ({len(rows) - lines + 1} more lines)"])
    return kept


def for_terminal(value: object, characters: int = 300) -> str:
    """As `clean`, and what Rich would take for its own markup is text: for everything that comes from outside."""
    from rich.markup import escape

    return escape(clean(value, characters))


def readable(name: str) -> str:
    """A file name that is not valid text, with the odd bytes as `\\xNN`: other bytes stay another name."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _text(characters: int, lines: int) -> BeforeValidator:
    return BeforeValidator(partial(clean, characters=characters, lines=lines))


Line = Annotated[str, _text(300, 1)]
"""A field of a model that holds one line; it is cleaned when the model is made."""
Block = Annotated[str, _text(4_000, 80)]
Code = Annotated[str, _text(20_000, 600)]
