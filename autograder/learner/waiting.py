"""The one line that says what a command waits for, with the seconds, while it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from .steps import Step, Tell

PER_SECOND = 8


@contextmanager
def waiting(console: Console, first: str) -> Iterator[Tell]:
    """Show a line with the step that was told last, until the block ends; nothing where there is no terminal.

    It never takes more than one line, and leaves none behind.
    """
    step = Step(first)
    spinner = Spinner("dots")

    def line() -> Spinner:
        words = Text(step.words(time.monotonic()), "cyan", no_wrap=True, overflow="ellipsis")
        words.truncate(max(1, console.width - 2), overflow="ellipsis")
        spinner.update(text=words)
        return spinner

    def tell(new: Step) -> None:
        nonlocal step
        step = new

    with Live(get_renderable=line, console=console, transient=True, refresh_per_second=PER_SECOND):
        yield tell
