"""The marks in a cell around a solution, a rubric and hidden tests."""

from __future__ import annotations

from .cells import Cell


def regions(source: str, mark: str) -> list[str]:
    """The texts between `BEGIN mark` and `END mark`.

    Raises
    ------
    ValueError
        when the marks are nested, or one of a pair is missing.
    """
    found: list[str] = []
    current: list[str] | None = None
    for line in source.splitlines():
        if f"BEGIN {mark}" in line:
            if current is not None:
                raise ValueError(f"BEGIN {mark} inside another BEGIN {mark}")
            current = []
        elif f"END {mark}" in line:
            if current is None:
                raise ValueError(f"END {mark} without BEGIN {mark}")
            found.append("\n".join(current))
            current = None
        elif current is not None:
            current.append(line)
    if current is not None:
        raise ValueError(f"BEGIN {mark} without END {mark}")
    return found


def has_hidden_tests(cell: Cell) -> bool:
    """Whether the cell has a hidden region with code in it. Unbalanced marks are another rule's affair."""
    try:
        lines = [line for region in regions(cell.source, "HIDDEN TESTS") for line in region.splitlines()]
    except ValueError:
        return True
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def in_hidden_test(source: str, line: int) -> bool:
    """Whether this line of a test cell, counted from 1, stands in a hidden region."""
    marks = [text for text in source.splitlines()[:line] if "HIDDEN TESTS" in text]
    return bool(marks) and "BEGIN" in marks[-1]
