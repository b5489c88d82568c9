"""The attacks as a table for the documentation. `python -m tests.red_team.table` writes it."""

from __future__ import annotations

from pathlib import Path

from . import (
    test_cheats,
    test_host,
    test_kernel,
    test_processors,
    test_protocol,
    test_resources,
    test_spying,
    test_tensors,
)

PAGE = Path(__file__).parents[2] / "docs" / "red-team.md"
HEAD = """# Red team

Attacks on the grader, each a small submission. A test first shows that it succeeds with its defense off, then that
it gains nothing with the defense on and that other submissions are graded as without it. Forged, broken and dangerous
files, and answers that try to read a reference that stands in for them, are in `tests/red_team/test_damaged.py`.
This page is written by `python -m tests.red_team.table`.

"""
FAMILIES = {
    "Cheats against values": test_cheats,
    "Spying": test_spying,
    "Cheats with tensors": test_tensors,
    "The host and other learners": test_host,
    "Too much of everything, and sudden ends": test_resources,
    "Kernel memory, and hiding from the keeper": test_kernel,
    "Processors of others": test_processors,
    "The protocol": test_protocol,
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
