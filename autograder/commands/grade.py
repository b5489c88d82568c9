"""Grading on the command line: grade, demo."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .common import CourseOption, WeekArgument, complaints, console

if TYPE_CHECKING:
    from ..gradebook.changes import Change

app = typer.Typer()


@app.command()
def grade(
    week: WeekArgument,
    course: CourseOption = None,
    workers: Annotated[int, typer.Option(min=0, help="submissions at the same time (0: one a core)")] = 0,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="send the work to a Dask cluster: tcp://HOST:8786")
    ] = "",
    unsafe: Annotated[bool, typer.Option("--unsafe", help="grade without sandboxes, only people you trust")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="run everything again, cached results too; ask before scores change")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="write changed scores of unchanged work without asking")] = False,
    feedback: Annotated[bool, typer.Option(help="write pages for the learners")] = True,
) -> None:
    """Grade every submission of a week, each in a sandbox; fill nbgrader's gradebook, print a table, write a CSV.

    Reads course/submitted/LEARNER/WEEK/*.ipynb. One broken submission never stops the rest. What is known is not run
    again: a run that was stopped goes on, and only changed work, or tests that changed, cost time.

    Example: [bold]workbook grade week01[/bold]
    """
    from ..building.build import build_week
    from ..core.errors import short
    from ..core.texts import for_terminal
    from ..course.folder import Course
    from ..course.pins import newer, source_of
    from ..execution.executor import here
    from ..gradebook.grades_csv import write_csv
    from ..gradebook.penalties import settle
    from ..gradebook.scores import standings
    from ..grading.grade import NO_SANDBOX, Told, grade_week
    from ..grading.progress import Meter
    from ..grading.rewrite import rewrite, touched
    from ..week.locate import find_root, week_name
    from .tables import print_class, print_late

    root = find_root()
    where = Course.at(root, course)
    name = week_name(root, week)
    if unsafe:
        complaints.print(f"[yellow]{NO_SANDBOX}[/yellow]")
    crew = here(workers)
    if scheduler:
        from ..execution.dask_executor import on

        crew = on(scheduler)
    log = where.folder / "logs" / f"{name}.log"
    meter = Meter(f"grade {name}", console, log)
    held: list[Change] = []

    def agree(changes: Sequence[Change]) -> bool:
        meter.pause()
        agreed = _agree(changes, yes)
        held.extend([] if agreed else changes)
        return agreed

    def wait(reason: str) -> None:
        complaints.print(f"[yellow]{for_terminal(reason)}[/yellow]")

    try:
        with meter:
            graded_week, outcomes = grade_week(
                source_of(where, name),
                where,
                crew=crew,
                unsafe=unsafe,
                again=again,
                feedback=feedback,
                agree=agree,
                tell=Told(meter.phase, meter.step, meter.graded, wait, wait),
            )
    except KeyboardInterrupt:
        complaints.print(
            f"stopped: what is done is kept ({meter.done} submissions) -> the same command goes on from there",
            highlight=False,
        )
        sys.exit(130)
    if feedback and touched(where, name):  # what people gave earlier is on the new pages as well
        rewrite(build_week(graded_week), where, only_touched=True)
    if said := newer(where, graded_week):
        complaints.print(f"[yellow]note[/yellow] {said}", highlight=False)
    print_class(graded_week, outcomes, console)
    print_late(where, name, console)
    if held:
        complaints.print(
            "[yellow]nothing was written[/yellow]: scores of unchanged work would change, see above -> "
            + (
                f"workbook grade {name} --again --yes runs all once more and writes what comes out"
                if again
                else f"workbook grade {name} --yes writes them; what was run is kept"
            ),
            highlight=False,
        )
        sys.exit(1)
    table = where.folder / f"{name}.csv"
    recorded = standings(where, name) if where.gradebook.is_file() else None
    if recorded:
        settle(where, name, recorded)
    write_csv(table, graded_week, outcomes, recorded)
    console.print(f"grades:              {short(table)}")
    console.print(f"gradebook:           {short(where.gradebook)}")
    console.print(f"autograded notebooks {short(where.autograded)}/LEARNER/{name}/")
    if feedback:
        console.print(f"feedback:            {short(where.feedback)}/LEARNER/{name}/index.html")
        console.print(f"the class:           {short(where.folder)}/{name}.html")
    console.print(f"log:                 {short(log)}")


def _agree(changes: Sequence[Change], yes: bool) -> bool:
    """Show which scores change although the work is the same; ask, where somebody can answer."""
    from .tables import print_changes

    print_changes(changes, console)
    if yes or not sys.stdin.isatty():
        return yes
    return typer.confirm("Write these scores?")


@app.command()
def demo(week: WeekArgument = "1", course: CourseOption = None) -> None:
    """Make a sample class from a real week and grade it.

    The class lies in build/demo/ and is made anew each time.

    Example: [bold]workbook demo[/bold]
    """
    from ..authoring.sample_class import clear, make_class
    from ..building.build import build_week, write_week
    from ..core.errors import short
    from ..course.folder import Course
    from ..engine import sandbox
    from ..week.locate import find_root, open_week

    root = find_root()
    where = Course.at(root, course or Path("build") / "demo")
    built = build_week(open_week(root, week))
    write_week(built, root)
    clear(where)
    learners = make_class(built, where)
    console.print(f"made a class of {len(learners)} from {built.week.name} in {short(where.submitted)}/")
    if unsafe := sandbox.missing():
        complaints.print(f"[yellow]{escape(unsafe)}; the sample class is ours, so it is graded without[/yellow]")
    grade(built.week.name, where.folder, unsafe=bool(unsafe))
    console.print(f"look around:         WORKBOOK_COURSE={short(where.folder)} make desk")
