"""Tables and progress on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from .verify import Matrix, Row


@contextmanager
def progress(title: str, console: Console, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """A progress bar that shows the last finished item. Yields the function to call after each item."""
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, last="starting")

        def advance(name: str) -> None:
            bar.update(task, advance=1, last=escape(name))

        yield advance


def _points_cell(row: Row, name: str, possible: int) -> str:
    earned = row.points[name]
    if earned is None:
        return "[dim]·[/dim]"
    color = "green" if earned == possible else ("yellow" if earned else "red")
    mark = "[bold]" if row.exercise == name else ""
    return f"{mark}[{color}]{earned}[/{color}]{'[/bold]' if mark else ''}"


def print_matrix(matrix: Matrix, console: Console) -> None:
    """Variants against exercises, the message each misconception gets, and every miss."""
    table = Table(title=f"{matrix.week}: points by variant and exercise", title_justify="left", expand=False)
    table.add_column("variant", no_wrap=True)
    for name, possible in matrix.possible.items():
        table.add_column(f"{name}\n/{possible}", justify="right")
    table.add_column("the learner reads", max_width=70)
    kind = ""
    for row in matrix.rows:
        if row.kind != kind:
            table.add_section()
            kind = row.kind
        label = escape(row.name) + (" [cyan]h[/cyan]" if row.hidden_only else "")
        label = f"[red]✗[/red] {label}" if row.problems else f"[green]✓[/green] {label}"
        said = row.message.splitlines()
        cause = next((line.partition("likely cause:")[2].strip() for line in said if "likely cause:" in line), "")
        text = escape(cause or (said[0].removeprefix("✗ ") if said else ""))
        table.add_row(label, *(_points_cell(row, n, p) for n, p in matrix.possible.items()), text)
    console.print(table)
    console.print(
        "[bold]bold[/bold] the variant's own exercise · [dim]·[/dim] builds on it, not run · "
        "[cyan]h[/cyan] only a hidden test catches it",
        highlight=False,
    )
    for miss in matrix.misses:
        console.print(f"[red]miss[/red] {escape(miss)}", highlight=False)
    console.print(
        f"{len(matrix.rows)} variants, {len(matrix.misses)} misses, {matrix.seconds:.1f} s "
        f"({matrix.cpu_seconds:.1f} s of CPU in the cells' processes)"
    )
