"""The attacks as a table for the documentation. `python -m tests.red_team.table` writes it."""

from __future__ import annotations

from pathlib import Path

from . import (
    test_again,
    test_cheats,
    test_faults,
    test_files,
    test_hideouts,
    test_host,
    test_intake,
    test_kernel,
    test_pages,
    test_processors,
    test_protocol,
    test_reference,
    test_resources,
    test_sources,
    test_spying,
    test_tensors,
)

PAGE = Path(__file__).parents[2] / "docs" / "red-team.md"
HEAD = """# Red team

Attacks on the grader, each a small submission. A test first shows that it succeeds with its defense off, then that
it gains nothing with the defense on and that other submissions are graded as without it. Forged, broken and dangerous
files, and answers that try to read a reference that stands in for them, are in `tests/red_team/test_damaged.py`.
Of the ways into a page, in the last table, those that nbgrader's own page leaves open are shown to run in it.
This page is written by `python -m tests.red_team.table`.

"""
FAMILIES = {
    "Cheats against values": test_cheats,
    "Spying": test_spying,
    "The reference that stands in": test_reference,
    "Cheats with tensors": test_tensors,
    "Forbidden calls in hiding": test_hideouts,
    "The host and other learners": test_host,
    "Too much of everything, and sudden ends": test_resources,
    "Kernel memory, and hiding from the keeper": test_kernel,
    "Processors of others": test_processors,
    "The protocol": test_protocol,
    "The judge's own health": test_faults,
    "Submitting again": test_again,
    "Files that stall or fill the grader": test_files,
    "Archives and names that a reader chokes on": test_sources,
    "Whose work, and when": test_intake,
    "The instructor's browser": test_pages,
}


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for family, module in FAMILIES.items():
        lines += [f"## {family}\n", f"`tests/red_team/{module.__name__.rpartition('.')[2]}.py`\n"]
        lines += ["| attack | what it would gain | what stops it | verdicts |", "| --- | --- | --- | --- |"]
        lines += [f"| {case.name} | {case.gain} | {case.stop} | {case.on} |" for case in module.CASES]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
