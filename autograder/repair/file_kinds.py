"""What a file is that should have been a notebook. Standard library alone, as `reading`."""

from __future__ import annotations

import ast
import json
import re
import warnings

from .damage import Damage, DamagedError

MAX_PARSED = 100_000
"""Characters of a file that is tried as Python."""
CONFLICT = re.compile(r"^[ \t]*\"?(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)
WEB_PAGE = re.compile(r"<(?:!doctype|html|head|body|meta|script)\b", re.IGNORECASE)
BEGINNINGS = (
    (b"PK\x03\x04", Damage.ZIP, "the file is a zip archive with the ending .ipynb"),
    (b"\xff\xfe", Damage.UTF_16, "the file is text in UTF-16; a notebook is in UTF-8"),
    (b"\xfe\xff", Damage.UTF_16, "the file is text in UTF-16; a notebook is in UTF-8"),
    (b"%PDF", Damage.OTHER, "the file is a PDF, not a notebook"),
)
"""How files of other kinds begin."""


def recognized(content: bytes) -> DamagedError | None:
    """The error that says what a file is which is not JSON; None where that is not known."""
    if not content.strip():
        return DamagedError("the file is empty", Damage.EMPTY)
    for beginning, kind, what in BEGINNINGS:
        if content.startswith(beginning):
            return DamagedError(what, kind)
    text = content.decode("utf-8-sig", "replace")
    if WEB_PAGE.match(_without_comments(text)):
        return DamagedError("the file is a web page (HTML), not a notebook", Damage.WEB_PAGE)
    if mark := CONFLICT.search(text):
        line = text.count("\n", 0, mark.start()) + 1
        return DamagedError(f"git left marks of a conflict in the file (line {line})", Damage.CONFLICT)
    if _is_script(text):
        return DamagedError("the file is a Python script with the ending .ipynb, not a notebook", Damage.SCRIPT)
    return None


def _without_comments(text: str) -> str:
    """The beginning of a page, without blanks and the comments before its first tag."""
    text = text[:10_000].lstrip()
    while text.startswith("<!--") and "-->" in text:
        text = text.partition("-->")[2].lstrip()
    return text


def not_json(content: bytes, error: json.JSONDecodeError) -> DamagedError:
    """The error that says what is wrong with a file that is not JSON."""
    if (known := recognized(content)) is not None:
        return known
    if _breaks_off(error):
        return DamagedError(f"the file breaks off in line {error.lineno}: a part of it is missing", Damage.CUT)
    return DamagedError(f"the file is not valid JSON (line {error.lineno}: {error.msg.lower()})")


def _breaks_off(error: json.JSONDecodeError) -> bool:
    """Whether nothing is wrong but that the file ends: between two things, within a text, or within a word."""
    rest = error.doc[error.pos :].strip()
    in_a_text = rest.startswith('"') and "\n" not in rest
    in_an_escape = re.fullmatch(r"\\?u?[0-9a-fA-F]{0,4}", rest) is not None
    in_a_number = re.fullmatch(r"[.eE][+-]?", rest) is not None
    in_a_word = any(word.startswith(rest) for word in ("true", "false", "null", "-"))
    return in_a_text or in_an_escape or in_a_number or in_a_word


def _is_script(text: str) -> bool:
    if len(text) > MAX_PARSED or text.lstrip()[:1] in ("{", "["):
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text.startswith("#!")
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return any(isinstance(node, kinds) for node in body)
