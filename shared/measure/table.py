"""Figures as a table of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def table(rows: Sequence[Mapping[str, object]], *, title: str = "") -> str:
    """Rows as aligned plain text, to print: one line a row, columns in order of first appearance.

    Numbers are right-aligned: integers with thousands separators, others with four significant digits. A
    string is kept as it is, and a value that a row lacks is left blank.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("table needs at least one row")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [columns, *([_text(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    numeric = [all(_is_number(row[name]) for row in rows if name in row) for name in columns]

    def aligned(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    header, *body = texts
    lines = [aligned(header), "  ".join("-" * width for width in widths), *map(aligned, body)]
    return "\n".join([title, *lines] if title else lines)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value: object) -> str:
    if not isinstance(value, Real) or isinstance(value, bool):
        return str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    number = float(value)
    return f"{number:,.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"
