"""The `workbook` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from .errors import WorkbookError

app = typer.Typer(
    name="workbook",
    help="Learn, author and grade the weeks of the workbook.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# a table cut to 80 columns helps nobody who reads a log
console = Console(width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True, soft_wrap=True)

WeekArgument = Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")]
WeeksArgument = Annotated[list[str] | None, typer.Argument(help="weeks (default: all)", metavar="[WEEK]...")]


@app.command()
def new(
    topic: Annotated[str, typer.Argument(help="a topic, or weekNN_topic to choose the number", metavar="TOPIC")],
    title: Annotated[str, typer.Option(help="what the week is called (default: its topic)", show_default=False)] = "",
) -> None:
    """Begin a week: write solutions/weekNN_topic/ with a small worked example to edit. Overwrites nothing.

    Example: [bold]workbook new detection_transformer --title "Detection as set prediction"[/bold]
    """
    from .course import find_root
    from .scaffold import new_week

    root = find_root()
    folder = new_week(root, topic, title)
    for path in sorted(folder.iterdir()):
        console.print(f"{path.relative_to(root)}: written")
    week = folder.name[:6]
    console.print(f"try:  workbook build {week}; workbook verify {week}")
    console.print(f"edit: what the notes say, grep -rn AUTHOR {folder.relative_to(root)}")


@app.command()
def build(
    weeks: WeeksArgument = None,
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail when weeks/ is stale")] = False,
) -> None:
    """Build notebooks from the sources of the weeks.

    Example: [bold]workbook build week01[/bold]
    """
    from .build import build_week, stale, write_week
    from .course import all_weeks, find_root, open_week

    root = find_root()
    complaints_found = []
    for name in weeks or all_weeks(root):
        built = build_week(open_week(root, name))
        if check:
            complaints_found += stale(built, root)
            continue
        changed = write_week(built, root)
        learner = Path("weeks") / built.week.name / f"{built.week.topic}.ipynb"
        console.print(f"{learner}: {'written' if changed else 'unchanged'}, {len(built.week.exercises)} exercises")
    if complaints_found:
        raise WorkbookError("; ".join(complaints_found), "run `make weeks` and commit the result")


@app.command()
def verify(
    weeks: WeeksArgument = None,
    exercise: Annotated[str, typer.Option(help="only the variants of this exercise")] = "",
    thorough: Annotated[bool, typer.Option(help="run long tests even where they cannot reach the change")] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="answers in a sandbox, tests in the judge")] = False,
    workers: Annotated[int, typer.Option(min=0, help="processes (0: one a core)")] = 0,
) -> None:
    """Prove the tests: reference and alternatives pass, stubs and misconceptions fail as they should.

    Prints the matrix, writes it to build/verify/WEEK.json, exits with 1 on any miss.

    Example: [bold]workbook verify week01 --exercise sdpa[/bold]
    """
    from .course import all_weeks, find_root, week_name
    from .report import print_matrix, progress
    from .runner import Mode
    from .verify import verify_week

    root = find_root()
    missed = 0
    for asked in weeks or all_weeks(root):
        name = week_name(root, asked)
        with progress(f"verify {name}", console) as bar:
            matrix = verify_week(
                root / "solutions" / name,
                exercise=exercise,
                thorough=thorough,
                mode=Mode.SANDBOX if sandbox else Mode.NOTEBOOK,
                workers=workers,
                on_start=bar.total,
                on_done=bar.advance_run,
            )
        print_matrix(matrix, console)
        path = root / "build" / "verify" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(matrix.to_json(), encoding="utf-8")
        console.print(f"written to {path.relative_to(root)}")
        missed += len(matrix.misses)
    if missed:
        raise WorkbookError(f"{missed} misses in the matrix", "mend the tests or the variants named above")


@app.command()
def record(
    week: WeekArgument,
    keep_nothing: Annotated[
        bool, typer.Option("--keep-nothing", help="only execute and measure, as for PROFILE=gpu")
    ] = False,
) -> None:
    """Execute the instructor notebook; keep the outputs of its compared cells and its picture beside the source.

    Also writes the executed notebook to build/executed/ and prints how long the slowest cells took.

    Example: [bold]workbook record week01[/bold]
    """
    from .build import build_week, write_week
    from .course import find_root, open_week
    from .outputs import execute, keep, slowest
    from .report import progress

    root = find_root()
    built = build_week(open_week(root, week))
    with progress(f"execute {built.week.name}", console, len(built.instructor.cells)) as bar:
        executed = execute(built, root, bar.advance)
    if not keep_nothing:
        for path in keep(built.week, executed):
            console.print(f"{path.relative_to(root)}: written")
        write_week(built, root)
    console.print(slowest(built.week, executed))


CourseOption = Annotated[
    Path | None,
    typer.Option("--course", help="folder of the class (default: $WORKBOOK_COURSE, else course/)", show_default=False),
]


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
    from .course import Course, find_root, week_name
    from .errors import short
    from .grade import NO_SANDBOX, grade_week, write_csv
    from .report import print_class, progress

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
def release(week: WeekArgument, course: CourseOption = None) -> None:
    """Build a week and put its cells, points and tests into the gradebook of a class.

    Example: [bold]workbook release week01[/bold]
    """
    from .build import build_week, write_week
    from .course import Course, find_root, open_week
    from .errors import short
    from .record import register

    root = find_root()
    where = Course.at(root, course)
    built = build_week(open_week(root, week))
    write_week(built, root)
    register(built, where)
    console.print(f"hand out:  weeks/{built.week.name}/")
    console.print(f"gradebook: {short(where.gradebook)}")


@app.command()
def demo(week: WeekArgument = "1", course: CourseOption = None) -> None:
    """Make a sample class from a real week and grade it.

    The class lies in build/demo/ and is made anew each time.

    Example: [bold]workbook demo[/bold]
    """
    from .build import build_week, write_week
    from .course import Course, find_root, open_week
    from .engine import sandbox
    from .errors import short
    from .sample_class import clear, make_class

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


@app.command()
def start(
    week: Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")] = "",
    every: Annotated[bool, typer.Option("--all", help="every released week")] = False,
) -> None:
    """Copy a released week into work/, where you answer it. Never overwrites a file that is there.

    Example: [bold]workbook start 1[/bold]
    """
    from .course import find_root, released_weeks, week_name
    from .learner import start_week

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
    from .course import find_root
    from .doctor import examine

    findings = examine(find_root())
    for finding in findings:
        mark = "[red]✗[/red]" if finding.remedy else "[green]✓[/green]"
        console.print(f"{mark} {finding.what}: {escape(finding.found)}", highlight=False)
        if finding.remedy:
            console.print(f"    {escape(finding.remedy)}", highlight=False)
    if any(finding.remedy for finding in findings):
        sys.exit(1)


def main() -> None:
    """Run the command; an error that the user can mend is one line on standard error and exit code 1.

    Typer itself ends with 2 for wrong usage and with 130 for Ctrl-C.
    """
    # jsonschema's check of international URLs, which no notebook holds: 1 s to import, more than the rest together
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    try:
        app()
    except WorkbookError as error:
        for line in error.args[0].splitlines():
            complaints.print(f"[red]error:[/red] {escape(line)}", highlight=False)
        sys.exit(1)
    except OSError as error:
        what = escape(f"{error.filename or 'the system'}: {error.strerror or error}")
        complaints.print(f"[red]error:[/red] {what} -> check the path, the rights and the free space", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
