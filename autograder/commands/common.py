"""What the verbs share: where they print, and the arguments that several of them take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# a table cut to 80 columns helps nobody who reads a log
console = Console(width=None if sys.stdout.isatty() else 120)
# whole words on a terminal, and one line in a log
complaints = Console(stderr=True, soft_wrap=not sys.stderr.isatty())

WeekArgument = Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")]
WeeksArgument = Annotated[list[str] | None, typer.Argument(help="weeks (default: all)", metavar="[WEEK]...")]
CourseOption = Annotated[
    Path | None,
    typer.Option("--course", help="folder of the class (default: $WORKBOOK_COURSE, else course/)", show_default=False),
]
