"""What a learner reads in the terminal and in a notebook: results, a week, the scoreboard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shared.checks.failures import LABELS, WIDTH

from ..core.texts import clean
from ..execution.verdicts import Verdict
from ..repair.repair import MAX_BYTES
from ..week.headings import Hint
from ..week.source import Week
from .check import NOT_RUN, UNWRITTEN, Result
from .status import Score
from .submit import Difference, Kind, Preflight

MARKS = {
    Verdict.PASS.value: ("✓", "green"),
    UNWRITTEN: ("·", "bright_black"),
    NOT_RUN: ("·", "yellow"),
}
FAILED = ("✗", "red")
WORDS = {
    UNWRITTEN: "not written yet",
    NOT_RUN: "its cell was not run in this kernel",
    Verdict.TIMEOUT: "too slow",
    Verdict.OOM: "out of memory",
    Verdict.CRASH: "the process ended",
    Verdict.MISSING: "its cell is missing",
    Verdict.INFRA: "could not be checked",
}
LABEL = re.compile(r" *(?:✗ |(?:got|expected|where|likely cause): *)?")
"""What a line of a message begins with."""
MAX_LINES = 60
WIDE, WITH_BARS = 110, 76
"""Columns from which the scoreboard has all that it can show, and from which it has bars."""
BAR, SHORTEST_BAR = 24, 4
"""Columns of the bar of a week: where there is room, and below which none is drawn."""


def mark(result: Result) -> Text:
    return Text(*MARKS.get(result.state, FAILED))


def results_table(results: Sequence[Result], numbers: Mapping[str, int]) -> RenderableType:
    """One line an exercise, and below it what its first failing test says."""
    rows: list[RenderableType] = []
    width = max((len(result.exercise) for result in results), default=0)
    for result in results:
        line = Text.assemble(
            mark(result),
            f" {numbers[result.exercise]:>2} ",
            (result.exercise.ljust(width), "bold"),
            f"  {result.points:>2}/{result.possible} points",
        )
        rows.append(_beside(line, _note(result)))
        if result.message:
            rows.append(Padding(message_block(result), (0, 0, 0, 5), expand=False))
    return Group(*rows)


def _beside(line: Text, note: str) -> RenderableType:
    """A remark behind a line; where it has no room it goes on below itself."""
    if not note:
        return line
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_row(line, Text(note, "bright_black"))
    return grid


def _note(result: Result) -> str:
    where = f"cell {result.number}" if result.number and not result.passed else ""
    hidden = "more is tested when you submit" if result.passed and any(test.hidden for test in result.tests) else ""
    old = "" if result.fresh or result.state in (UNWRITTEN, Verdict.MISSING) else "unchanged"
    return " · ".join(word for word in (WORDS.get(result.state, ""), where, hidden, old) if word)


def message(result: Result, lines: int = MAX_LINES) -> Text:
    """What the first failing test says, and what is wrong below it."""
    failed = result.first_failure
    parts = failed.parts if failed else None
    first, _, rest = clean(f"✗ {parts['check']}" if parts else result.message, 8_000, lines).partition("\n")
    text = Text(first, "red").append(f"\n{rest}" if rest else "", "default")
    for part, label in LABELS.items():
        if parts and (said := clean(parts.get(part, ""), 8_000, lines)):
            likely = part == "cause"
            text.append(f"\n  {label + ':':<{WIDTH}} ", "yellow" if likely else "cyan")
            text.append(said.replace("\n", "\n" + " " * (WIDTH + 3)), "bold yellow" if likely else "default")
    if result.blamed:
        verb = "does" if len(result.blamed) == 1 else "do"
        text.append(f"\nIt builds on {', '.join(result.blamed)}, which {verb} not pass: begin there.", style="yellow")
    return text


def message_block(result: Result) -> RenderableType:
    """The same for a screen: what has no room in a line goes on below the text, not below its label."""
    rows: list[RenderableType] = []
    for line in message(result).split("\n", allow_blank=True):
        label = LABEL.match(line.plain)
        indent = label.end() if label else 0
        if not indent:
            rows.append(line)
            continue
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_row(line[:indent], line[indent:])
        rows.append(grid)
    return Group(*rows)


def bar(done: int, whole: int, width: int) -> Text:
    """Progress as blocks."""
    full = round(width * done / whole) if whole else 0
    return Text.assemble(("█" * full, "green"), ("░" * (width - full), "bright_black"))


def week_line(results: Mapping[str, Result], week: Week, width: int = 120) -> Text:
    """How far a week is, in one line of at most `width` columns; the bar takes what the words leave."""
    points = sum(result.points for result in results.values())
    possible = sum(week.points(name) for name in week.exercises)
    passed, count = sum(result.passed for result in results.values()), len(week.exercises)
    words = f"{passed} of {count} exercises · {points}/{possible} points of the visible tests"
    room = min(BAR, width - len(words) - 2)
    if room < SHORTEST_BAR:
        return Text(words, no_wrap=True, overflow="ellipsis")
    return Text.assemble(bar(passed, count, room), f"  {words}")


def hint_panel(hint: Hint, last: int) -> RenderableType:
    """One hint."""
    from rich.markdown import Markdown  # not at the top: it takes as long to import as a check

    return Group(
        Text(f"Hint {hint.number} of {last}: {hint.title}", style="bold"), Padding(Markdown(hint.text), (0, 2))
    )


def score_table(scores: Sequence[Score], width: int = 120) -> RenderableType:
    """All weeks, a line each of at most `width` columns; what has no room goes, and long titles are cut."""
    wide, bars = width >= WIDE, width >= WITH_BARS
    padding = (0, 1) if wide else (0, 1, 0, 0)
    table = Table(box=None, padding=padding, pad_edge=False, header_style="bright_black", width=None if wide else width)
    table.add_column("week" if wide else "")
    table.add_column("title", no_wrap=True, overflow="ellipsis", ratio=None if wide else 1)
    if bars:
        table.add_column("progress" if wide else "", no_wrap=True)
    headings = ("exercises", "visible points", "written", "minutes left")
    for name in headings if wide else ("done", "points", "written", "min left"):
        table.add_column(name, justify="right", no_wrap=True)
    for score in scores:
        table.add_row(
            f"{score.number:02d}",
            Text(score.title),
            *([bar(score.passed, score.exercises, 12 if wide else 8)] if bars else []),
            f"{score.passed}/{score.exercises}" if score.started else "–",
            f"{score.points}/{score.possible}" if score.started else "–",
            f"{score.answered}/{score.questions}" if score.started else "–",
            f"{score.minutes_left} of {score.minutes}" if wide else f"{score.minutes_left}",
        )
    return table


def preflight_report(seen: Preflight, width: int = 120) -> RenderableType:
    """What the grader will see of a notebook, before it is submitted."""
    lesson, week = seen.lesson, seen.lesson.released.week
    numbers = {name: place for place, name in enumerate(lesson.tasks, 1)}
    rows: list[RenderableType] = [
        Text.assemble(("what the grader will see of ", ""), (f"{week.name}/{seen.path.name}", "bold")),
        Text(f"{len(seen.content) / 1024:.0f} KiB of at most {MAX_BYTES // 2**20} MiB"),
    ]
    rows += [Text(clean(note, 300), style="yellow") for note in lesson.notes]
    rows += [Text(_difference(one), style="yellow") for one in seen.differences]
    rows.append(results_table(list(seen.results.values()), numbers))
    if lesson.unanswered:
        rows.append(Text(f"not answered: {', '.join(lesson.unanswered)} (written questions)", style="yellow"))
    unwritten = [name for name, result in seen.results.items() if result.state == UNWRITTEN]
    if unwritten:
        rows.append(Text(f"not written: {', '.join(unwritten)}", style="yellow"))
    rows.append(week_line(seen.results, week, width))
    return Group(*rows)


DIFFERENCES = {
    Kind.ALONE: "{exercises}: the whole notebook gives another result than a check of it alone; another cell of yours "
    "changes what it uses",
    Kind.ON_A_FAILED_ONE: "{exercises} builds on {names}, which fails; the grader also tries it with a right {names}",
    Kind.PATCHED: "your notebook replaces {names}; the grader's tests use the original",
    Kind.MODULE: "your notebook imports {names} from a file that is not submitted; put its code into a cell",
}


def _difference(one: Difference) -> str:
    names, exercises = ", ".join(one.names), ", ".join(one.exercises)
    return clean(DIFFERENCES[one.kind].format(names=names, exercises=exercises), 300)
