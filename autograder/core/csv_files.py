"""CSV files that spreadsheets open without running anything, and learning platforms take."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import write_text

SIGNS = "[=+@\\uFF1D\\uFF0B\\uFF0D\\uFF20-]"
FORMULA = re.compile(
    rf"^(?=[\s\x00-\x1f\"]*{SIGNS})|^(?=[\t\r\n])"
    rf"|(?<=[;|\t\r\n])(?=(?:[^\S\t\r\n]|[\x00-\x08\x0e-\x1f\"])*{SIGNS})"
)
"""Where a spreadsheet may take a formula to begin: at the beginning of a cell, also behind spaces and quotes, also in
full width; and behind what is a separator on another computer, since a German Excel parts this file at semicolons."""


def harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, or parts into one; numbers stay numbers."""
    return FORMULA.sub("'", value) if isinstance(value, str) else value


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file (RFC 4180, UTF-8) in one step; an apostrophe stands before what looks like a formula.

    It begins with a byte order mark: without one Excel takes names for those of another encoding. Canvas and Moodle
    read it with the mark.
    """
    text = io.StringIO(newline="")
    text.write("\N{ZERO WIDTH NO-BREAK SPACE}")
    writer = csv.writer(text)
    writer.writerow([harmless(name) for name in header])
    writer.writerows([harmless(value) for value in row] for row in rows)
    write_text(path, text.getvalue())
