"""What a learner's process says: believed only in the shape that its honest side gives.

Types are compared exactly. A subclass of `str` (NumPy has one) or an object of the learner's as a key of a dict can
raise wherever it is looked at; a number can be true, or have thousands of digits.
"""

from __future__ import annotations

import json
from typing import Any

from shared.checks.kinds import Kind

from .guest.shell import BASE64, CUT, MAX_NAME, MAX_OUTPUT, MAX_RICH, PARTS, SHOWN

MAX_CELL = 3 * MAX_RICH
"""Bytes of all that a cell shows and says, as they are kept; an honest process cuts earlier."""
ERROR_TEXTS = {"base", "name", "text", "where", "kind", "subject"}
KINDS = set(map(str, Kind))


def encoded(value: Any) -> bytes:
    """Plain data as JSON. Halves of characters, which no file can hold, become question marks."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def reply_of(reply: Any, number: int) -> tuple[bool, Any] | None:
    """Whether the reply to this request gave a value, and the value or the error's fields; None for anything else."""
    if type(reply) is not list or len(reply) != 3 or type(reply[0]) is not int or reply[0] != number:
        return None
    return (reply[1] == "gave", reply[2]) if _text(reply[1]) and reply[1] in ("gave", "raised") else None


def error_texts(fields: Any) -> dict[str, str] | None:
    """Base class, name, text, place, kind and subject of an error, cut; None where these are not such texts."""
    if not _dict(fields) or fields.keys() != ERROR_TEXTS or not all(map(_text, fields.values())):
        return None
    if fields["kind"] not in KINDS:
        return None
    return {name: text[:MAX_OUTPUT] for name, text in fields.items()}


def is_printed(text: Any) -> bool:
    """Whether this is what `shell.Kept` keeps of printed text."""
    return _text(text) and len(text) <= MAX_OUTPUT + len(CUT)


def are_names(found: Any, wanted: list[str]) -> bool:
    """Whether these are values of names that were asked for, and no others."""
    return _dict(found) and set(found) <= set(wanted)


def is_cell_result(done: Any) -> bool:
    """Whether this has the shape of what `shell.run_cell` gives, and no more of it than that gives."""
    if not _dict(done) or not {"outputs", "error"} <= done.keys() <= {"outputs", "error", "seconds"}:
        return False
    if type(done["outputs"]) is not list or not all(map(_is_output, done["outputs"])):
        return False
    if done["error"] is not None and not _is_error(done["error"]):
        return False
    return len(encoded([done["outputs"], done["error"]])) <= MAX_CELL


def _dict(value: Any) -> bool:
    """Whether this is a dict with plain strings as keys."""
    return type(value) is dict and all(map(_text, value))


def _text(value: Any) -> bool:
    return type(value) is str


def _is_error(error: Any) -> bool:
    if not _dict(error) or error.keys() != {"name", "message", "check", "line", "kind", "subject"}:
        return False
    if not (all(_text(error[part]) for part in ("name", "message", "kind", "subject")) and type(error["line"]) is int):
        return False
    if error["kind"] not in KINDS or len(error["subject"]) > MAX_NAME:
        return False
    check = error["check"]
    sound = len(error["name"]) <= MAX_NAME and len(error["message"]) <= MAX_OUTPUT and 0 <= error["line"] < 2**31
    return sound and (check is None or _is_check(check))


def _is_check(check: Any) -> bool:
    return _dict(check) and check.keys() <= set(PARTS) and all(map(_text, check.values()))


def _is_output(output: Any) -> bool:
    if not _dict(output) or not _text(output.get("output_type")):
        return False
    match output:
        case {"output_type": "stream", "name": name, "text": text, **rest}:
            return not rest and _text(name) and name == "stdout" and _text(text)
        case {"output_type": "display_data", "data": data, "metadata": metadata, **rest}:
            return not rest and type(metadata) is dict and not metadata and _is_shown(data)
        case {"output_type": "error", "ename": name, "evalue": text, "traceback": lines, **rest}:
            return not rest and _text(name) and _text(text) and type(lines) is list and all(map(_text, lines))
    return False


def _is_shown(data: Any) -> bool:
    if not _dict(data) or not data.keys() <= set(SHOWN) or not all(map(_text, data.values())):
        return False
    return all(kind == "text/plain" or BASE64.fullmatch(part) for kind, part in data.items())
