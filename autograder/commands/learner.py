"""What a learner types: start, doctor."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from .common import console

app = typer.Typer()


@app.command()
def start(
    week: Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")] = "",
    every: Annotated[bool, typer.Option("--all", help="every released week")] = False,
) -> None:
    """Copy a released week into work/, where you answer it. Never overwrites a file that is there.

    Example: [bold]workbook start 1[/bold]
    """
    from ..course import find_root, released_weeks, week_name
    from ..learner import start_week

    root = find_root()
    if bool(week) == every:
        raise typer.BadParameter("name a week, or say --all")
    for name in released_weeks(root) if every else [week_name(root, week)]:
        for path, copied in start_week(root, name):
            console.print(f"{path.relative_to(root)}: {'ready' if copied else 'kept as it is'}")


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, and how to mend it.

    Example: [bold]workbook doctor[/bold]
    """
    from ..course import find_root
    from ..doctor import examine

    findings = examine(find_root())
    for finding in findings:
        mark = "[red]✗[/red]" if finding.remedy else "[green]✓[/green]"
        console.print(f"{mark} {finding.what}: {escape(finding.found)}", highlight=False)
        if finding.remedy:
            console.print(f"    {escape(finding.remedy)}", highlight=False)
    if any(finding.remedy for finding in findings):
        sys.exit(1)
