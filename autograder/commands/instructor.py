"""What an instructor types beside `grade`: release."""

from __future__ import annotations

import typer

from .common import CourseOption, WeekArgument, console

app = typer.Typer()


@app.command()
def release(week: WeekArgument, course: CourseOption = None) -> None:
    """Build a week and put its cells, points and tests into the gradebook of a class.

    Example: [bold]workbook release week01[/bold]
    """
    from ..build import build_week, write_week
    from ..course import Course, find_root, open_week
    from ..errors import short
    from ..record import register

    root = find_root()
    where = Course.at(root, course)
    built = build_week(open_week(root, week))
    write_week(built, root)
    register(built, where)
    console.print(f"hand out:  weeks/{built.week.name}/")
    console.print(f"gradebook: {short(where.gradebook)}")
