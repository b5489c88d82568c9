"""The `workbook` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .errors import WorkbookError

app = typer.Typer(
    name="workbook",
    help="Learn, author and grade the weeks of the workbook.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
complaints = Console(stderr=True, soft_wrap=True)

WeekArgument = Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")]
WeeksArgument = Annotated[list[str] | None, typer.Argument(help="weeks (default: all)", metavar="[WEEK]...")]


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
    workers: Annotated[int, typer.Option(min=0, help="processes (0: one a core)")] = 0,
) -> None:
    """Prove the tests: reference and alternatives pass, stubs and misconceptions fail as they should.

    Prints the matrix, writes it to build/verify/WEEK.json, exits with 1 on any miss.

    Example: [bold]workbook verify week01 --exercise sdpa[/bold]
    """
    from .course import all_weeks, find_root, week_name
    from .report import print_matrix, progress
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
                workers=workers,
                on_start=bar.total,
                on_done=lambda run, bar=bar: bar.advance(run.name),
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
def record(week: WeekArgument) -> None:
    """Execute the instructor notebook; keep the outputs of its compared cells and its picture beside the source.

    Also writes the executed notebook to build/executed/ and prints how long each cell took.

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
    for path in keep(built.week, executed):
        console.print(f"{path.relative_to(root)}: written")
    write_week(built, root)
    console.print(slowest(built.week, executed))


def main() -> None:
    """Run the command; an error that the user can mend is one line on standard error and exit code 1."""
    try:
        app()
    except WorkbookError as error:
        for line in error.args[0].splitlines():
            complaints.print(f"[red]error:[/red] {line}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        complaints.print("[yellow]stopped[/yellow]")
        sys.exit(130)


if __name__ == "__main__":
    main()
