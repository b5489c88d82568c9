"""Which newer Python a piece of code is written for, where the one that runs here cannot read it."""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Token = tokenize.TokenInfo
SKIPPED = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}
PREFIX = re.compile(r"[A-Za-z]*")


@dataclass(frozen=True)
class Newer:
    """What needs a newer Python: `version` as (3, 12), `what` it is, and its `line` from 1."""

    version: tuple[int, int]
    what: str
    line: int

    @property
    def name(self) -> str:
        return ".".join(map(str, self.version))


def newer_syntax(source: str, running: tuple[int, int] = sys.version_info[:2]) -> Newer | None:
    """The first piece of syntax that came after the running Python; None where there is none that is known."""
    lines = [_tokens(line) for line in source.splitlines()]
    found = (
        Newer(version, what, number)
        for number, tokens in enumerate(lines, 1)
        for version, what, is_there in SYNTAX
        if version > running and tokens and is_there(tokens)
    )
    return next(found, None)


def _tokens(line: str) -> list[Token]:
    """The tokens of one line, as far as it can be read alone: syntax that is newer stands in one line."""
    found: list[Token] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            if token.type not in SKIPPED:
                found.append(token)
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass
    return found


def _words(tokens: Sequence[Token]) -> list[str]:
    return [token.string for token in tokens]


def _type_statement(tokens: Sequence[Token]) -> bool:
    """`type Pair = tuple[int, int]`."""
    words = _words(tokens)
    return len(words) > 3 and words[0] == "type" and tokens[1].type == tokenize.NAME and words[2] in ("=", "[")


def _type_parameters(tokens: Sequence[Token]) -> bool:
    """`def first[T](items: list[T]) -> T` and `class Stack[T]`."""
    words = [word for word in _words(tokens) if word != "async"]
    return len(words) > 2 and words[0] in ("def", "class") and words[2] == "["


def _nested_quotes(tokens: Sequence[Token]) -> bool:
    """`f"{row["name"]}"`: before 3.12 the second quote ends the text, within a brace that is open."""
    return any(_is_open(token) and after.start == token.end for token, after in pairwise(tokens))


def _is_open(token: Token) -> bool:
    text = token.string.replace("{{", "").replace("}}", "")
    return token.type == tokenize.STRING and "f" in _prefix(token) and text.count("{") > text.count("}")


def _prefix(token: Token) -> str:
    match = PREFIX.match(token.string)
    return match[0].lower() if match else ""


def _template_text(tokens: Sequence[Token]) -> bool:
    """`t"{name}"`."""
    pairs = pairwise(tokens)
    kinds = (tokenize.STRING, getattr(tokenize, "FSTRING_START", tokenize.STRING))
    return any(
        one.string in ("t", "T", "tr", "rt") and two.type in kinds and one.end == two.start for one, two in pairs
    )


def _bare_except(tokens: Sequence[Token]) -> bool:
    """`except ValueError, TypeError:` without brackets."""
    words = _words(tokens)
    depth = 0
    for word in words[1:]:
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if words[0] == "except" and word == "," and not depth:
            return "as" not in words
    return False


SYNTAX: tuple[tuple[tuple[int, int], str, Callable[[Sequence[Token]], bool]], ...] = (
    ((3, 12), "a `type` statement", _type_statement),
    ((3, 12), "a function or class with type parameters", _type_parameters),
    ((3, 12), "an f-string with its own quotes inside its braces", _nested_quotes),
    ((3, 14), "a t-string", _template_text),
    ((3, 14), "an `except` of several classes without brackets", _bare_except),
)
"""What came with which Python, and how the tokens of its line tell it."""
