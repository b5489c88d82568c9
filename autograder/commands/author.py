"""What an author of weeks types: new, build, verify, record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import WorkbookError
from .common import WeekArgument, WeeksArgument, console

app = typer.Typer()


@app.command()
def new(
    topic: Annotated[str, typer.Argument(help="a topic, or weekNN_topic to choose the number", metavar="TOPIC")],
    title: Annotated[str, typer.Option(help="what the week is called (default: its topic)", show_default=False)] = "",
) -> None:
    """Begin a week: write solutions/weekNN_topic/ with a small worked example to edit. Overwrites nothing.

    Example: [bold]workbook new detection_transformer --title "Detection as set prediction"[/bold]
    """
    from ..course import find_root
    from ..scaffold import new_week

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
    from ..build import build_week, stale, write_week
    from ..course import all_weeks, find_root, open_week

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
    from ..course import all_weeks, find_root, week_name
    from ..report import print_matrix, progress
    from ..runner import Mode
    from ..verify import verify_week

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
    from ..build import build_week, write_week
    from ..course import find_root, open_week
    from ..outputs import execute, keep, slowest
    from ..report import progress

    root = find_root()
    built = build_week(open_week(root, week))
    with progress(f"execute {built.week.name}", console, len(built.instructor.cells)) as bar:
        executed = execute(built, root, bar.advance)
    if not keep_nothing:
        for path in keep(built.week, executed):
            console.print(f"{path.relative_to(root)}: written")
        write_week(built, root)
    console.print(slowest(built.week, executed))
