"""Tables and progress on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from ..core.texts import for_terminal
from ..week.cells import Test

if TYPE_CHECKING:
    from ..authoring.lies import Lies
    from ..authoring.matrix import Matrix, Row
    from ..authoring.mutants import MutationReport
    from ..course.folder import Course
    from ..execution.job import Run
    from ..execution.results import Graded
    from ..gradebook.changes import Change
    from ..submissions.collect import Collection
    from ..week.source import Week


LONG = 2_000
"""Characters of what is said of one learner or one file; names and notes may come from outside."""
MOST_LINES = 40
"""Files that are told of, each in a line; of more, how many they are."""


class Bar:
    """A progress bar that shows the last finished item."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def total(self, count: int) -> None:
        self._bar.update(self._task, total=count)

    def restart(self, title: str, count: int) -> None:
        """Begin another phase."""
        self._bar.reset(self._task, total=count, description=title, last="")

    def advance(self, name: str) -> None:
        self._bar.update(self._task, advance=1, last=for_terminal(name))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question as long as the block runs."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def advance_run(self, run: Run) -> None:
        self.advance(run.name)


@contextmanager
def progress(title: str, console: Console, total: int | None = None) -> Iterator[Bar]:
    """Show progress while the block runs; on a terminal only, and gone afterwards."""
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, bar.add_task(title, total=total, last="starting"))


def _points_cell(row: Row, name: str, possible: int) -> str:
    earned = row.points[name]
    if earned is None:
        return "[dim]·[/dim]"
    color = "green" if earned == possible else ("yellow" if earned else "red")
    mark = "[bold]" if row.exercise == name else ""
    return f"{mark}[{color}]{earned}[/{color}]{'[/bold]' if mark else ''}"


def print_matrix(matrix: Matrix, console: Console) -> None:
    """Variants against exercises, then what the learner reads for each misconception, then every miss."""
    table = Table(title=f"{matrix.week}: points by variant and exercise", title_justify="left", pad_edge=False)
    table.add_column("variant", no_wrap=True)
    for name, possible in matrix.possible.items():
        table.add_column(f"{name}\n/{possible}", justify="right")
    kind = ""
    for row in matrix.rows:
        if row.kind != kind:
            table.add_section()
            kind = row.kind
        label = escape(row.name) + (" [cyan]h[/cyan]" if row.hidden_only else "")
        label = f"[red]✗[/red] {label}" if row.problems else f"[green]✓[/green] {label}"
        table.add_row(label, *(_points_cell(row, n, p) for n, p in matrix.possible.items()))
    console.print(table)
    console.print(
        "[bold]bold[/bold] the variant's own exercise · [dim]·[/dim] builds on it, not run · "
        "[cyan]h[/cyan] only a hidden test catches it",
        highlight=False,
    )
    said = Table(title="What the learner reads", title_justify="left", show_header=False, box=None, pad_edge=False)
    said.add_column(no_wrap=True, style="bold")
    said.add_column()
    for row in matrix.rows:
        if row.kind == "misconception":
            said.add_row(escape(row.name), escape(row.cause or _first_line(row.message)))
    console.print(said)
    print_misses(matrix.misses, console)
    console.print(
        f"{len(matrix.rows)} variants, {len(matrix.misses)} misses, {matrix.seconds:.1f} s "
        f"({matrix.cpu_seconds:.1f} s of CPU in the cells' processes)"
    )


def print_misses(misses: Sequence[object], console: Console) -> None:
    """Each on a line of its own, with file and line."""
    for miss in misses:
        console.print(f"[red]miss[/red] {escape(str(miss))}", highlight=False, soft_wrap=True)


def print_mutants(report: MutationReport, console: Console) -> None:
    """By exercise how many mutants had which fate, then every one that no test notices."""
    from ..authoring.mutants import Fate

    table = Table(title=f"{report.week}: single changes of the references", title_justify="left", pad_edge=False)
    table.add_column("exercise")
    for title in (
        "mutants",
        "killed",
        "by time-out",
        "equivalent",
        "alive",
        "killed or explained",
        "told a cause",
        "in doubt",
    ):
        table.add_column(title, justify="right")
    counts = report.counts()
    total = sum(counts.values(), Counter())
    told = Counter(one.mutant.exercise for one in report.tried if one.cause)
    doubts = Counter(one.mutant.exercise for one in report.doubtful)
    told["all"], doubts["all"] = told.total(), doubts.total()
    for name, count in (*counts.items(), ("all", total)):
        if name == "all":
            table.add_section()
        every = sum(count.values())
        alive = count[Fate.ALIVE]
        killed = str(count[Fate.KILLED] + count[Fate.TIMED_OUT])
        fates = (killed, str(count[Fate.TIMED_OUT]), str(count[Fate.EQUIVALENT]), f"[red]{alive}[/red]" * bool(alive))
        score = f"{100 * (every - alive) / max(1, every):.1f} %"
        table.add_row(escape(name), str(every), *fates, score, str(told[name]), str(doubts[name]))
    console.print(table)
    for one in report.alive:
        where = f"{report.script}:{one.line}: {one.mutant.exercise}, {one.mutant.operator}"
        nth = f" (number {one.mutant.occurrence})" if one.mutant.occurrence > 1 else ""
        console.print(f"[red]alive[/red] {escape(where)}{nth}\n      {escape(one.mutant.change)}", highlight=False)
    by_cause = sorted(report.doubtful, key=lambda one: (one.mutant.exercise, one.doubt, one.cause, one.line))
    if by_cause:
        console.print("[bold]causes told[/bold] that may be false of these changes; look whether they are")
    for (_, doubt, cause), ones in groupby(by_cause, key=lambda one: (one.mutant.exercise, one.doubt, one.cause)):
        console.print(f"[yellow]{escape(cause)}[/yellow] ({doubt})", highlight=False, soft_wrap=True)
        for one in ones:
            where = f"{report.script}:{one.line}: {one.mutant.exercise}, told by {one.killed_by}"
            console.print(f"      {escape(where)}\n          {escape(one.mutant.change)}", highlight=False)
    for problem in report.problems:
        console.print(f"[red]miss[/red] {escape(str(problem))}", highlight=False, soft_wrap=True)
    console.print(
        f"{len(report.tried)} of {report.all_mutants} mutants, {len(report.misses)} misses, {report.seconds:.1f} s"
    )


def print_lies(found: Lies, console: Console) -> None:
    """Points by exercise and liar, then the test cells that are open."""
    table = Table(title=f"{found.week}: points that lies earn", title_justify="left", pad_edge=False)
    table.add_column("exercise", no_wrap=True)
    for name in found.earned:
        table.add_column(name, justify="right")
    table.add_column("any", justify="right")
    table.add_column("test cells")
    for name in dict.fromkeys(found.exercises.values()):
        sums = [found.sum(passed, name) for passed in (*found.earned.values(), found.open)]
        cells = [test if test in found.hidden else f"({test})" for test in found.open if found.exercises[test] == name]
        table.add_row(name, *(str(points) if points else "[dim]·[/dim]" for points in sums), ", ".join(cells))
    table.add_section()
    every = [found.sum(passed) for passed in (*found.earned.values(), found.open)]
    table.add_row("all", *map(str, every))
    console.print(table)
    for miss in found.misses:
        console.print(f"[red]miss[/red] {escape(str(miss))}", highlight=False, soft_wrap=True)
    hidden = found.sum(test for test in found.open if test in found.hidden)
    console.print(
        f"{found.sum(found.open)} points for lies, {hidden} of them in cells with hidden tests (others in brackets); "
        f"{len(found.listed)} cells are listed as open, {len(found.misses)} misses"
    )


def _first_line(message: str) -> str:
    """What was checked."""
    return message.partition("\n")[0].removeprefix("✗ ")


LETTERS = {
    "TIMEOUT": "T",
    "CRASH": "C",
    "OOM": "M",
    "ERROR": "E",
    "TAMPERED": "X",
    "MISSING": "?",
    "INFRA": "!",
}
"""How a verdict other than PASS and FAIL is marked beside the points."""


def print_class(week: Week, outcomes: list[Graded], console: Console) -> None:
    """Learners against exercises, the other verdicts as letters, and what was repaired."""
    possible = {name: week.points(name) for name in week.exercises}
    exercise_of = {cell.id: cell.name for cell in week.of_kind(Test)}
    table = Table(title=f"{week.name}: {len(outcomes)} submissions", title_justify="left", pad_edge=False)
    table.add_column("learner", max_width=32, overflow="ellipsis", no_wrap=True)
    for number in range(1, len(possible) + 1):
        table.add_column(str(number), justify="right")
    table.add_column("total", justify="right", style="bold")
    for graded in outcomes:
        if graded.damaged:
            table.add_row(for_terminal(graded.student), *("-" for _ in possible), "[red]-[/red]")
            continue
        points = []
        for name, most in possible.items():
            earned = graded.points[name]
            color = "green" if earned == most else ("yellow" if earned else "red")
            others = {
                LETTERS.get(done.verdict, "") for test, done in graded.verdicts.items() if exercise_of[test] == name
            }
            points.append(f"[{color}]{earned}[/{color}][magenta]{''.join(sorted(others))}[/magenta]")
        table.add_row(for_terminal(graded.student), *points, str(graded.total))
    console.print(table)
    numbered = (f"[bold]{n}[/bold] {name} /{points}" for n, (name, points) in enumerate(possible.items(), 1))
    console.print(" · ".join(numbered), highlight=False)
    console.print(
        " · ".join(f"[magenta]{letter}[/magenta] {name}" for name, letter in LETTERS.items()), highlight=False
    )
    for graded in outcomes:
        for note in [graded.damaged] if graded.damaged else [*graded.notes, *graded.remarks]:
            mark = "[red]not graded[/red]" if graded.damaged else "[cyan]note[/cyan]"
            console.print(f"{mark} {for_terminal(graded.student)}: {for_terminal(note, LONG)}", highlight=False)
    if any(graded.unsafe for graded in outcomes):
        console.print("[yellow]graded without a sandbox[/yellow]: the code could read and write what you can")
    graded_ones = [graded for graded in outcomes if not graded.damaged]
    if graded_ones:
        cpu = median(graded.cpu_seconds for graded in graded_ones)
        peak = max(graded.peak_mib for graded in graded_ones)
        console.print(f"{cpu:.2f} s of CPU a submission (median), at most {peak:.0f} MiB of memory in one")


def print_late(course: Course, week: str, console: Console) -> None:
    """Who was late in a week, by how much, and what that costs."""
    from ..gradebook.scores import standings

    for learner, one in standings(course, week).items() if course.gradebook.is_file() else ():
        if one.late:
            console.print(
                f"[yellow]late[/yellow] {for_terminal(learner)}: {for_terminal(one.late.said)}", highlight=False
            )


def print_changes(changes: Sequence[Change], console: Console) -> None:
    """Which points of unchanged work would change: one line for each learner and exercise."""
    count = len({change.student for change in changes})
    whose = f"the scores of {count} learners" if count > 1 else "the score of one learner"
    console.print(f"[bold]{whose} would change for the same work[/bold]", highlight=False)
    table = Table(pad_edge=False)
    table.add_column("learner", max_width=32, overflow="ellipsis", no_wrap=True)
    table.add_column("exercise")
    table.add_column("was", justify="right")
    table.add_column("would be", justify="right")
    for change in changes:
        color = "green" if change.now > change.was else "red"
        what = f"{change.exercise} (gone: {change.lost})" if change.lost else change.exercise
        table.add_row(for_terminal(change.student), what, f"{change.was:g}", f"[{color}]{change.now:g}[/{color}]")
    console.print(table)


def print_collection(collection: Collection, console: Console) -> None:
    """Who submitted what, what was noticed, which files are unmatched, and who on the roster has no submission."""
    from ..submissions.collect import local
    from ..submissions.entries import Fate

    table = Table(title=f"{collection.week}: collected", title_justify="left", pad_edge=False)
    table.add_column("learner", max_width=32, overflow="fold")
    table.add_column("file", overflow="fold")
    table.add_column("submitted", no_wrap=True)
    table.add_column("attempts", justify="right")
    table.add_column("notes", overflow="fold")
    for one in collection.learners:
        added = f", [green]{one.new} new[/green]" if one.new else ""
        table.add_row(
            for_terminal(one.learner),
            for_terminal(one.file) or "[red]nothing[/red]",
            local(one.handed_in) if one.handed_in else "",
            f"{one.attempts}{added}",
            for_terminal("; ".join(one.notes), LONG),
        )
    console.print(table)
    told = [one for one in collection.fates if one.fate in (Fate.REFUSED, Fate.UNREADABLE, Fate.BESIDE)]
    for lost in told[:MOST_LINES]:
        whose = f" ({for_terminal(lost.learner)})" if lost.learner else ""
        mark = f"[yellow]{lost.fate}[/yellow]" if lost.fate is Fate.BESIDE else f"[red]{lost.fate}[/red]"
        console.print(f"{mark} {for_terminal(lost.file)}{whose}: {for_terminal(lost.why, LONG)}", highlight=False)
    if len(told) > MOST_LINES:
        console.print(f"and {len(told) - MOST_LINES} files more that are not collected", highlight=False)
    for question in collection.questions:
        console.print(f"[yellow]left open[/yellow] {for_terminal(question.whole, LONG)}", highlight=False)
    if collection.missing:
        names = ", ".join(
            f"{person.learner} ({person.name})" if person.name else person.learner for person in collection.missing
        )
        console.print(
            f"[yellow]nothing from[/yellow] {len(collection.missing)} on the roster: {for_terminal(names, LONG)}",
            highlight=False,
        )
    there = [one for one in collection.learners if one.file]
    new, attempts = sum(one.new for one in there), sum(one.attempts for one in there)
    console.print(f"{len(there)} learners, {attempts} attempts kept, {new} of them new", highlight=False)
    counts = " · ".join(f"{count} {fate}" for fate in Fate if (count := collection.counts[fate]))
    console.print(f"{len(collection.fates)} files in the source: {counts}", highlight=False)
