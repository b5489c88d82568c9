"""What an author of weeks types: new, build, verify, record, preview."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..core.errors import BuildError, Problem, WorkbookError
from .common import WeekArgument, WeeksArgument, complaints, console
from .verify import Method, lies_proof, matrix_proof, mutants_proof, prove

if TYPE_CHECKING:
    from ..authoring.watch import Snapshot

app = typer.Typer()


@app.command()
def new(
    topic: Annotated[
        list[str], typer.Argument(help="a topic; to choose the number, weekNN_topic or NN TOPIC", metavar="[NN] TOPIC")
    ],
    title: Annotated[str, typer.Option(help="what the week is called (default: its topic)", show_default=False)] = "",
) -> None:
    """Begin a week: write solutions/weekNN_topic/ with a small worked example to edit. Overwrites nothing.

    Example: [bold]workbook new detection_transformer --title "Detection as set prediction"[/bold]
    """
    from ..authoring.new import new_week
    from ..week.locate import find_root

    root = find_root()
    numbered = len(topic) == 2 and topic[0].isdecimal()
    folder = new_week(root, f"week{topic[0]}_{topic[1]}" if numbered else " ".join(topic), title)
    for path in sorted(folder.iterdir()):
        console.print(f"{path.relative_to(root)}: written")
    week = folder.name[:6]
    console.print(f"try:  workbook verify {week}; workbook preview {week}")
    console.print(f"edit: what the notes say, grep -rn AUTHOR {folder.relative_to(root)}")
    console.print(f"then: workbook build {week}, which refuses notes that are left")


@app.command()
def build(
    weeks: WeeksArgument = None,
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail when weeks/ is stale")] = False,
) -> None:
    """Build notebooks from the sources of the weeks.

    Example: [bold]workbook build week01[/bold]
    """
    from ..building.build import build_week, stale, write_week
    from ..building.rules_files import author_notes
    from ..week.locate import find_root, open_week
    from ..week.measured import changed_since

    root = find_root()
    complaints_found, problems = [], []
    for name in _chosen(root, weeks):
        try:
            built = build_week(open_week(root, name))
            if check:
                complaints_found += stale(built, root)
                problems += author_notes(built.week)
                continue
            changed = write_week(built, root)
        except BuildError as error:  # the other weeks are built all the same
            problems += error.problems
            continue
        learner = Path("weeks") / built.week.name / f"{built.week.topic}.ipynb"
        console.print(f"{learner}: {'written' if changed else 'unchanged'}, {len(built.week.exercises)} exercises")
        for data in changed_since(built.week.cells, built.week.folder):
            again = f"workbook record {name[:6]} --real-data FOLDER"
            console.print(f"  code that was measured on {data} has changed since: {again}")
    if problems:
        raise BuildError(problems)
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
    from ..week.locate import find_root

    root = find_root()
    if mutants + lies + watch > 1:
        raise WorkbookError("--mutants, --lies and --watch do not go together", "say one of them")
    folders = [root / "solutions" / name for name in _chosen(root, weeks)]
    proof: Method[Any]
    if mutants:
        proof = mutants_proof(sample, seed, exercise, workers)
    elif lies:
        proof = lies_proof(exercise, workers)
    else:
        proof = matrix_proof(exercise, thorough, sandbox, workers)
    if watch:
        _watch(folders, root, exercise, thorough, sandbox, workers)
        return
    if missed := sum(prove(folder, root, proof) for folder in folders):
        raise WorkbookError(f"{missed} {proof.noun}", proof.remedy)


def _chosen(root: Path, asked: list[str] | None) -> list[str]:
    """The names of the weeks that were asked for, by default all; folders that are not weeks are told, not skipped."""
    from ..week.locate import all_weeks, week_name

    known = all_weeks(root)
    found = sorted(path for path in (root / "solutions").iterdir() if path.is_dir() and path.name[0] not in "._")
    strays = [path for path in found if path.name not in known and (not asked or path.name in asked)]
    remedy = "call it weekNN_topic, as in week12_detection_transformer"
    problems = [Problem(path, 1, "this folder has not the name of a week", remedy) for path in strays]
    names = [week_name(root, name) for name in asked or known if name not in {path.name for path in strays}]
    for name, before in zip(known[1:], known, strict=False):
        if name[:6] == before[:6] and {name, before} & set(names):
            path = root / "solutions" / name
            problems.append(Problem(path, 1, f"{before} has the same number", "give one of them another number"))
    if problems:
        raise BuildError(problems)
    return names


def _watch(folders: list[Path], root: Path, only: str, thorough: bool, sandbox: bool, workers: int) -> None:
    """Verify after each save what it touches. A source that does not hold is said, and waited for."""
    from ..authoring.watch import EVERYTHING, changes, saved_weeks, snapshot, touched

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
                prove(folder, root, matrix_proof("" if name == EVERYTHING else name, thorough, sandbox, workers))
        except WorkbookError as error:
            for line in error.args[0].splitlines():
                complaints.print(f"[red]error:[/red] {escape(line)}", highlight=False)

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
    real_data: Annotated[
        Path | None,
        typer.Option(help="instead: measure the cells for real data, which lies in this folder", show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="with --real-data: budget of each cell (default: its own)", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="with --real-data: of what the cells draw")] = 0,
) -> None:
    """Execute the instructor notebook; keep the outputs of its compared cells and its picture beside the source.

    Also writes the executed notebook to build/executed/ and prints how long the slowest cells took. With --real-data it
    runs the cells that say measured="..." and what they need, and keeps what they show in measured.json.

    Example: [bold]workbook record week01[/bold]
    """
    from ..authoring.measure import Asked, measure
    from ..authoring.record import execute, keep, slowest
    from ..building.build import build_week, write_source, write_week
    from ..building.rules_files import author_notes
    from ..week.locate import find_root, open_week
    from .tables import progress

    if real_data is None and (minutes is not None or seed):
        raise WorkbookError("--minutes and --seed are for measured cells", "say --real-data FOLDER, too")
    if real_data is not None and keep_nothing:
        raise WorkbookError("--real-data and --keep-nothing do not go together", "say one of them")
    root = find_root()
    built = build_week(open_week(root, week))
    if real_data is not None:
        with progress(f"measure {built.week.name}", console, len(built.instructor.cells)) as bar:
            written = measure(built, root, Asked(real_data, minutes, seed), bar.advance)
    else:
        with progress(f"execute {built.week.name}", console, len(built.instructor.cells)) as bar:
            executed = execute(built, root, bar.advance)
        written = [] if keep_nothing else keep(built.week, executed)
        console.print(slowest(built.week, executed))
    for path in written:
        console.print(f"{path.relative_to(root)}: written")
    if written:
        built = build_week(open_week(root, week))
        write_source(built, root)
        if not author_notes(built.week):
            write_week(built, root)


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

    from ..authoring.preview import preview as write_preview
    from ..building.build import build_week, write_source
    from ..week.locate import find_root, open_week
    from .tables import progress

    root = find_root()
    built = build_week(open_week(root, week))
    write_source(built, root)
    with progress(f"preview {built.week.name}", console, len(built.instructor.cells)) as bar:
        path = write_preview(built, root, bar.advance)
    console.print(f"{path.relative_to(root)}: written")
    if show and not webbrowser.open(path.as_uri()):
        raise WorkbookError("no browser could be started", f"open {path} yourself")
