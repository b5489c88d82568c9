"""What an instructor types: release, collect, grade, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from .common import CourseOption, WeekArgument, complaints, console

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


@app.command()
def collect(
    source: Annotated[str, typer.Argument(help="a folder, a .zip, one file, or the word exchange", metavar="SOURCE")],
    week: WeekArgument,
    course: CourseOption = None,
) -> None:
    """Bring what was handed in into course/submitted/; the newest attempt counts, all others are kept with their dates.

    Takes a folder for each learner, loose notebooks, downloads of Canvas and Moodle, the bundles of `workbook submit`,
    and nbgrader's exchange. Knows the class from course/roster.csv (id,name,email,learner), if it is there.

    Example: [bold]workbook collect ~/Downloads/submissions.zip week01[/bold]
    """
    from ..collect import EXCHANGE, from_exchange
    from ..collect import collect as collect_from
    from ..course import Course, find_root, week_name
    from ..errors import short
    from ..report import print_collection, progress

    root = find_root()
    where = Course.at(root, course)
    name = week_name(root, week)
    with progress(f"collect {name}", console) as bar:
        if source == EXCHANGE:
            done = from_exchange(where, name, bar.advance)
        else:
            done = collect_from(Path(source).expanduser(), where, name, bar.advance)
    print_collection(done, console)
    console.print(f"to be graded: {short(where.submitted)}/LEARNER/{name}/", highlight=False)
    console.print(f"all attempts: {short(where.folder)}/attempts/LEARNER/{name}/", highlight=False)


@app.command()
def grade(
    week: WeekArgument,
    course: CourseOption = None,
    workers: Annotated[int, typer.Option(min=0, help="submissions at the same time (0: one a core)")] = 0,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="grade without sandboxes, only people you trust")] = False,
    feedback: Annotated[bool, typer.Option(help="write pages for the learners")] = True,
) -> None:
    """Grade every submission of a week, each in a sandbox; fill nbgrader's gradebook, print a table, write a CSV.

    Reads course/submitted/LEARNER/WEEK/*.ipynb. One broken submission never stops the rest.

    Example: [bold]workbook grade week01[/bold]
    """
    from ..course import Course, find_root, week_name
    from ..errors import short
    from ..grade import NO_SANDBOX, grade_week, write_csv
    from ..report import print_class, progress

    root = find_root()
    where = Course.at(root, course)
    name = week_name(root, week)
    if unsafe:
        complaints.print(f"[yellow]{NO_SANDBOX}[/yellow]")
    with progress(f"grade {name}", console) as bar:
        graded_week, outcomes = grade_week(
            root / "solutions" / name,
            where,
            workers=workers,
            unsafe=unsafe,
            feedback=feedback,
            on_phase=bar.restart,
            on_done=bar.advance,
            on_wait=lambda reason: complaints.print(f"[yellow]{escape(reason)}[/yellow]"),
        )
    print_class(graded_week, outcomes, console)
    table = where.folder / f"{name}.csv"
    write_csv(table, graded_week, outcomes)
    console.print(f"grades:              {short(table)}")
    console.print(f"gradebook:           {short(where.gradebook)}")
    console.print(f"autograded notebooks {short(where.autograded)}/LEARNER/{name}/")
    if feedback:
        console.print(f"feedback:            {short(where.feedback)}/LEARNER/{name}/index.html")
        console.print(f"the class:           {short(where.folder)}/{name}.html")


@app.command()
def demo(week: WeekArgument = "1", course: CourseOption = None) -> None:
    """Make a sample class from a real week and grade it.

    The class lies in build/demo/ and is made anew each time.

    Example: [bold]workbook demo[/bold]
    """
    from ..build import build_week, write_week
    from ..course import Course, find_root, open_week
    from ..engine import sandbox
    from ..errors import short
    from ..sample_class import clear, make_class

    root = find_root()
    where = Course.at(root, course or Path("build") / "demo")
    built = build_week(open_week(root, week))
    write_week(built, root)
    clear(where)
    learners = make_class(built, where)
    console.print(f"made a class of {len(learners)} from {built.week.name} in {short(where.submitted)}/")
    if unsafe := sandbox.missing():
        complaints.print(f"[yellow]{escape(unsafe)}; the sample class is ours, so it is graded without[/yellow]")
    grade(built.week.name, where.folder, workers=0, unsafe=bool(unsafe), feedback=True)
    console.print(f"look around:         WORKBOOK_COURSE={short(where.folder)} make desk")
