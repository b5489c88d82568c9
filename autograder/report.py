"""Tables and progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from .verify import Matrix, Row


class Bar:
    """A progress bar that shows the last finished item."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def total(self, count: int) -> None:
        self._bar.update(self._task, total=count)

    def advance(self, name: str) -> None:
        self._bar.update(self._task, advance=1, last=escape(name))


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
            said.add_row(escape(row.name), escape(_first_words(row.message)))
    console.print(said)
    for miss in matrix.misses:
        console.print(f"[red]miss[/red] {escape(miss)}", highlight=False)
    console.print(
        f"{len(matrix.rows)} variants, {len(matrix.misses)} misses, {matrix.seconds:.1f} s "
        f"({matrix.cpu_seconds:.1f} s of CPU in the cells' processes)"
    )


def _first_words(message: str) -> str:
    """The cause that a failure names, else what was checked."""
    head, _, cause = message.partition("likely cause:")
    return " ".join(cause.split()) or head.partition("\n")[0].removeprefix("✗ ")
