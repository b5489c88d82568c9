"""What an author of weeks types: new, build, verify, record, preview."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..errors import WorkbookError
from .common import WeekArgument, WeeksArgument, complaints, console

if TYPE_CHECKING:
    from ..runner import Mode
    from ..watching import Snapshot

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
    watch: Annotated[
        bool, typer.Option("--watch", help="go on: after each save, what it touches; Ctrl-C ends")
    ] = False,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="instead: single changes of the references, which the tests must notice")
    ] = False,
    sample: Annotated[int, typer.Option(min=0, help="with --mutants: only so many of a week (0: all)")] = 0,
    seed: Annotated[int, typer.Option(help="with --sample: which ones are drawn")] = 0,
    lies: Annotated[bool, typer.Option("--lies", help="what processes that lie to the judge earn, instead")] = False,
) -> None:
    """Prove the tests: reference and alternatives pass, stubs and misconceptions fail as they should.

    Prints the matrix, writes it to build/verify/WEEK.json, exits with 1 on any miss. With --mutants it prints how
    many single changes of the references the tests notice, and where the others stand.

    Example: [bold]workbook verify week01 --exercise sdpa --watch[/bold]
    """
    from ..course import all_weeks, find_root, week_name
    from ..runner import Mode

    root = find_root()
    mode = Mode.SANDBOX if sandbox else Mode.NOTEBOOK
    names = [week_name(root, asked) for asked in weeks or all_weeks(root)]
    if mutants:
        alive = sum(_mutants(root / "solutions" / name, root, exercise, sample, seed, workers) for name in names)
        if alive:
            raise WorkbookError(
                f"{alive} mutants are neither killed nor explained",
                "write a check that fails, or say in equivalents.toml why none can",
            )
        return
    if lies:
        missed = sum(_lies(root / "solutions" / name, root, exercise, workers) for name in names)
        if missed:
            raise WorkbookError(
                f"{missed} misses", "compare values on inputs that were never seen, fresh ones if need be"
            )
        return
    if watch:
        _watch([root / "solutions" / name for name in names], root, exercise, thorough, mode, workers)
        return
    missed = sum(_verify(root / "solutions" / name, root, exercise, thorough, mode, workers) for name in names)
    if missed:
        raise WorkbookError(f"{missed} misses in the matrix", "mend the tests or the variants named above")


def _verify(folder: Path, root: Path, exercise: str, thorough: bool, mode: Mode, workers: int) -> int:
    """Verify one week, print and write its matrix. Returns the number of misses."""
    from ..files import write_text
    from ..report import print_matrix, progress
    from ..verify import verify_week

    with progress(f"verify {folder.name}", console) as bar:
        matrix = verify_week(
            folder,
            exercise=exercise,
            thorough=thorough,
            mode=mode,
            workers=workers,
            on_start=bar.total,
            on_done=bar.advance_run,
        )
    print_matrix(matrix, console)
    path = root / "build" / "verify" / f"{folder.name}.json"
    write_text(path, matrix.to_json())
    console.print(f"written to {path.relative_to(root)}")
    return len(matrix.misses)


def _mutants(folder: Path, root: Path, exercise: str, sample: int, seed: int, workers: int) -> int:
    """Try the mutants of one week, print and write what became of them. Returns the number of misses."""
    from ..files import write_text
    from ..mutants import try_mutants
    from ..report import print_mutants, progress

    with progress(f"mutants of {folder.name}", console) as bar:
        report = try_mutants(
            folder,
            exercise=exercise,
            sample=sample,
            seed=seed,
            workers=workers,
            on_start=bar.total,
            on_done=bar.advance_run,
        )
    print_mutants(report, console)
    path = root / "build" / "verify" / f"{folder.name}.mutants.json"
    write_text(path, report.to_json())
    console.print(f"written to {path.relative_to(root)}")
    return report.misses


def _lies(folder: Path, root: Path, exercise: str, workers: int) -> int:
    """Let liars answer one week; print and write what they earn. Returns the number of misses."""
    from ..files import write_text
    from ..lies import find_lies
    from ..report import print_lies, progress

    with progress(f"lies {folder.name}", console) as bar:
        found = find_lies(folder, exercise=exercise, workers=workers, on_start=bar.total, on_done=bar.advance_run)
    print_lies(found, console)
    path = root / "build" / "verify" / f"{folder.name}-lies.json"
    write_text(path, found.to_json())
    console.print(f"written to {path.relative_to(root)}")
    return len(found.misses)


def _watch(folders: list[Path], root: Path, only: str, thorough: bool, mode: Mode, workers: int) -> None:
    """Verify after each save what it touches. A source that does not hold is said, and waited for."""
    from ..watching import EVERYTHING, changes, saved_weeks, snapshot, touched

    def attempt(folder: Path) -> None:
        try:
            before, now = known.get(folder), snapshot(folder)
            found = touched(before, now)
            if only:
                found = (only,) if {only, EVERYTHING} & set(found) else ()
            known[folder] = now
            if not found:
                console.print(f"{folder.name}: no test depends on what was saved")
            for name in found:
                _verify(folder, root, "" if name == EVERYTHING else name, thorough, mode, workers)
        except WorkbookError as error:
            complaints.print(f"[red]error:[/red] {escape(error.args[0])}", highlight=False)

    known: dict[Path, Snapshot] = {}
    saved_files = changes(folders)
    next(saved_files)  # from now on no save is missed
    for folder in folders:
        if len(folders) == 1:
            attempt(folder)
        else:  # what is there is taken as sound; what is saved from now on is verified
            known[folder] = snapshot(folder)
    console.print("[dim]watching; Ctrl-C ends[/dim]")
    with suppress(KeyboardInterrupt):  # it may also come while a week is verified or a mistake is said
        for saved in saved_weeks(folders, saved_files):
            for folder in saved:
                attempt(folder)


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


@app.command()
def preview(
    week: WeekArgument,
    show: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
) -> None:
    """Write the learner's notebook as one HTML page, with the figures that the reference draws.

    Takes the outputs of `workbook record`, if the source is the same since; else executes the notebook first.

    Example: [bold]workbook preview week01 --open[/bold]
    """
    import webbrowser

    from ..build import build_week, write_week
    from ..course import find_root, open_week
    from ..preview import preview as write_preview
    from ..report import progress

    root = find_root()
    built = build_week(open_week(root, week))
    write_week(built, root)
    with progress(f"preview {built.week.name}", console, len(built.instructor.cells)) as bar:
        path = write_preview(built, root, bar.advance)
    console.print(f"{path.relative_to(root)}: written")
    if show and not webbrowser.open(path.as_uri()):
        raise WorkbookError("no browser could be started", f"open {path} yourself")
