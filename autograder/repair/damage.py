"""Why a file that was submitted cannot be read. Standard library alone, as `reading`."""

from __future__ import annotations

from enum import StrEnum


class Damage(StrEnum):
    """Why a file cannot be read."""

    OTHER = ""
    """Anything else, or a record from before kinds were kept."""
    NOT_THERE = "not there"
    NO_FILE = "no file"
    """A link, a folder, a pipe: not a regular file."""
    TOO_LARGE = "too large"
    EMPTY = "empty"
    ZIP = "zip"
    WEB_PAGE = "web page"
    UTF_16 = "utf-16"
    CONFLICT = "conflict"
    """Marks that git leaves where it could not merge."""
    SCRIPT = "script"
    """Python code, not a notebook."""
    CUT = "cut"
    """A notebook that breaks off."""


class DamagedError(Exception):
    """What was submitted cannot be read; the message says why, in one line, to its learner.

    `kind` is for programs, which never read the message.
    """

    def __init__(self, message: str, kind: Damage = Damage.OTHER) -> None:
        super().__init__(message)
        self.kind = kind
