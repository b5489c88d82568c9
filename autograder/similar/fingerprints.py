"""Fingerprints of code and of texts: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003).

Every run of `RUN` tokens has a hash; of every `WINDOW` hashes in a row the smallest is kept. So of two sources that
share at least `RUN + WINDOW - 1` tokens in a row at least one fingerprint is the same, whatever stands around them.
"""

from __future__ import annotations

import hashlib
import io
import keyword
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

RUN = 10
WINDOW = 6
LAYOUT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
    tokenize.ENCODING,
}  # fmt: skip
WORD = re.compile(r"\w+")
LONGEST = 200_000
"""Characters of a source that are looked at."""


@dataclass(frozen=True)
class Token:
    """What counts of a token, and the lines on which it stands (from 1)."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Fingerprint:
    """A hash, and the lines of the run that it stands for (from 1)."""

    value: int
    first: int
    last: int


def code_tokens(source: str) -> list[Token]:
    """Tokens of Python code: other names, another layout, other comments and docstrings make no difference.

    Names of attributes and keywords stay, since they say what is computed. Code that cannot be read is taken as words.
    """
    found: list[Token] = []
    starts, after_dot = True, False
    try:
        for one in tokenize.generate_tokens(io.StringIO(source[:LONGEST]).readline):
            if one.type in LAYOUT:
                starts = True
                continue
            lone_text = starts and one.type == tokenize.STRING  # a docstring
            starts = False
            if lone_text:
                continue
            text = one.string
            if one.type == tokenize.NAME and not keyword.iskeyword(text) and not after_dot:
                text = "name"
            elif one.type == tokenize.STRING:
                text = "text"
            after_dot = one.string == "."
            found.append(Token(text, one.start[0], one.end[0]))
    except (tokenize.TokenError, SyntaxError):
        return word_tokens(source)
    return found


def word_tokens(text: str) -> list[Token]:
    """Words of a text, in small letters."""
    return [
        Token(word.lower(), number, number)
        for number, line in enumerate(text[:LONGEST].splitlines(), 1)
        for word in WORD.findall(line)
    ]


def fingerprints(tokens: Sequence[Token]) -> list[Fingerprint]:
    """The winnowed fingerprints of a source, in order; none for fewer than `RUN` tokens."""
    found = hashes(tokens)
    chosen: dict[int, None] = {}
    for start in range(max(1, len(found) - WINDOW + 1) if found else 0):
        window = range(start, min(start + WINDOW, len(found)))
        chosen[min(window, key=lambda at: (found[at], -at))] = None  # of equal ones the last
    return [Fingerprint(found[at], tokens[at].first, tokens[at + RUN - 1].last) for at in sorted(chosen)]


def hashes(tokens: Sequence[Token]) -> list[int]:
    """The hash of every run of `RUN` tokens."""
    texts = [one.text for one in tokens]
    return [_hash(texts[start : start + RUN]) for start in range(len(texts) - RUN + 1)]


def _hash(texts: Sequence[str]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest(), "big")
