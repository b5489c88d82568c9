"""Watch a class being graded: how far, how fast, how long still, and what the verdicts are; and a log of it.

The log tells what happened to whom and when. It holds no code, no output and no message of a learner's, so an
instructor can send it to somebody who helps.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..core.texts import for_terminal
from ..execution.fingerprint import environment, versions
from ..execution.results import Graded

COLORS = {"PASS": "green", "FAIL": "red", "INFRA": "yellow"}
"""Of a verdict in the line of counts; the others are magenta."""


class Meter:
    """The screen of a grading run, on a terminal only and gone afterwards, and its log.

    Parameters
    ----------
    title : what is done first.
    log : the file to append to; its folder is made.
    """

    def __init__(self, title: str, console: Console, log: Path) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("[dim]{task.fields[last]}"),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(title, total=None, last="starting", pace="")
        self._live = Live(self, console=console, transient=True, refresh_per_second=8)
        self.verdicts: Counter[str] = Counter()
        self.done = 0
        self._log = log
        self._began = self._began_phase = time.monotonic()
        self._total = self._steps = 0

    def __enter__(self) -> Meter:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with_versions = " ".join(f"{name}={found}" for name, found in versions().items() if found)
        self.note(f"begin  environment={environment()[:12]} {with_versions}")
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()
        counts = " ".join(f"{name}={count}" for name, count in sorted(self.verdicts.items()))
        how = f"stopped by {kind.__name__}" if kind else "end"
        self.note(f"{how}  submissions={self.done} seconds={time.monotonic() - self._began:.1f} {counts}".rstrip())

    def pause(self) -> None:
        """Leave the terminal to somebody else; what is shown comes back with the next phase."""
        self._live.stop()

    def __rich__(self) -> RenderableType:
        counts = Text("  ")
        for name, count in sorted(self.verdicts.items(), key=lambda item: -item[1]):
            counts.append(f"{name} {count}  ", COLORS.get(name, "magenta"))
        return Group(self._bar, counts)

    def note(self, text: str) -> None:
        """Append a line to the log, with the time (UTC)."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{now} {' '.join(text.splitlines())}\n")

    def phase(self, title: str, total: int) -> None:
        """Begin another phase."""
        self._bar.reset(self._task, total=total, description=title, last="", pace="")
        self._total, self._began_phase, self._steps = total, time.monotonic(), 0
        self._live.start()
        self.note(f"phase  {title}: {total}")

    def step(self, name: str) -> None:
        """One step of a phase is done."""
        self._steps += 1
        pace = self._pace()
        self._bar.update(self._task, advance=1, last=for_terminal(name, 80), pace=pace)

    def _pace(self) -> str:
        """Steps a minute and the time that is left, once there is something to judge by."""
        seconds = time.monotonic() - self._began_phase
        if seconds < 1:
            return ""
        left = (self._total - self._steps) * seconds / self._steps
        minutes, rest = divmod(round(left), 60)
        return f"{60 * self._steps / seconds:.0f}/min, {minutes}:{rest:02d} left"

    def graded(self, graded: Graded) -> None:
        """A submission has its verdicts."""
        self.done += 1
        found = Counter(done.verdict.value for done in graded.verdicts.values())
        self.verdicts.update(found or ["not graded"])
        counts = " ".join(f"{name}={count}" for name, count in sorted(found.items()))
        what = "not graded" if graded.damaged else f"points={graded.total}"
        what += f" error={graded.error}" if graded.error else ""
        again = f" rerun={graded.rerun}" if graded.rerun else ""
        self.note(f"graded {graded.student!r} {what} {counts} cpu={graded.cpu_seconds:.2f}s{again}".replace("  ", " "))
