"""What a learner reads in the terminal and in a notebook: results, a week, the scoreboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from shared.failures import LABELS, WIDTH

from ..facts import Hint
from ..repair import MAX_BYTES
from ..runner import Verdict
from ..source import Week
from ..texts import clean
from .checking import NOT_RUN, UNWRITTEN, Result
from .handing_in import Difference, Kind, Preflight
from .scoreboard import Score

if TYPE_CHECKING:
    from .watching import Session

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
MAX_LINES = 60


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
        if note := _note(result):
            line.append(f"  {note}", style="bright_black")
        rows.append(line)
        if result.message:
            rows.append(Padding(message(result), (0, 0, 0, 5), expand=False))
    return Group(*rows)


def _note(result: Result) -> str:
    where = f"cell {result.number}" if result.number and not result.passed else ""
    hidden = "more is tested when you hand in" if result.passed and any(test.hidden for test in result.tests) else ""
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


def bar(done: int, whole: int, width: int = 24) -> Text:
    """Progress as blocks."""
    full = round(width * done / whole) if whole else 0
    return Text.assemble(("█" * full, "green"), ("░" * (width - full), "bright_black"))


def week_line(results: Mapping[str, Result], week: Week) -> Text:
    """How far a week is."""
    points = sum(result.points for result in results.values())
    possible = sum(week.points(name) for name in week.exercises)
    passed, count = sum(result.passed for result in results.values()), len(week.exercises)
    words = f"  {passed} of {count} exercises · {points}/{possible} points of the visible tests"
    return Text.assemble(bar(passed, count), words)


def hint_panel(hint: Hint, last: int) -> RenderableType:
    """One hint."""
    from rich.markdown import Markdown  # not at the top: it takes as long to import as a check

    return Group(
        Text(f"Hint {hint.number} of {last}: {hint.title}", style="bold"), Padding(Markdown(hint.text), (0, 2))
    )


def score_table(scores: Sequence[Score]) -> RenderableType:
    """All weeks, a line each."""
    table = Table(box=None, pad_edge=False, header_style="bright_black")
    for name in ("week", "title"):
        table.add_column(name, no_wrap=name == "week")
    table.add_column("progress", no_wrap=True)
    for name in ("exercises", "visible points", "written", "minutes left"):
        table.add_column(name, justify="right")
    for score in scores:
        table.add_row(
            f"{score.number:02d}",
            Text(score.title),
            bar(score.passed, score.exercises, 12),
            f"{score.passed}/{score.exercises}" if score.started else "–",
            f"{score.points}/{score.possible}" if score.started else "–",
            f"{score.answered}/{score.questions}" if score.started else "–",
            f"{score.minutes_left} of {score.minutes}",
        )
    return table


def preflight_report(seen: Preflight) -> RenderableType:
    """What the grader will see of a notebook, before it is handed in."""
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
    rows.append(week_line(seen.results, week))
    return Group(*rows)


DIFFERENCES = {
    Kind.ALONE: "{exercises}: the whole notebook gives another result than a check of it alone; another cell of yours "
    "changes what it uses",
    Kind.ON_A_FAILED_ONE: "{exercises} builds on {names}, which fails; the grader also tries it with a right {names}",
    Kind.PATCHED: "your notebook replaces {names}; the grader's tests use the original",
    Kind.MODULE: "your notebook imports {names} from a file that is not handed in; put its code into a cell",
}


def _difference(one: Difference) -> str:
    names, exercises = ", ".join(one.names), ", ".join(one.exercises)
    return clean(DIFFERENCES[one.kind].format(names=names, exercises=exercises), 300)


KEYS = "h hint · l list · r reset {} · q quit"


def watch_screen(session: Session, console: Console, has_keys: bool) -> RenderableType:
    """The screen of `watch`: how far the week is, the exercise that is shown, what can be pressed."""
    week, results = session.released.week, session.shown_results()
    strip = Text()
    for name in week.exercises:
        style = "bold underline" if name == session.current else ""
        waits = name in session.running or name not in results
        strip.append_text(Text("…", "cyan") if waits else mark(results[name])).append(f" {name}  ", style)
    head = [Text(f"week {week.number} · {week.info.title}", "bold"), week_line(results, week), strip]
    foot = Text()
    if session.trouble:
        foot.append(f"{clean(session.trouble, 400)}\n", "yellow")
    if session.said:
        foot.append(f"{clean(session.said, 400)}\n", "cyan")
    if session.asking:
        foot.append(f"put the stub of {session.current} back? Your file is backed up first. y / n", "bold yellow")
    else:
        foot.append(KEYS.format(session.current) if has_keys else "Ctrl-C quits", "bright_black")
    layout = Layout()
    layout.split_column(
        Layout(Group(*head, Rule(style="bright_black")), size=len(head) + 1),
        Layout(_watch_body(session, results)),
        Layout(foot, size=len(foot.wrap(console, console.width))),
    )
    return layout


def _watch_body(session: Session, results: Mapping[str, Result]) -> RenderableType:
    names = list(session.released.week.exercises)
    numbers = {name: place for place, name in enumerate(names, 1)}
    if session.listing:
        return results_table([replace(result, message="") for result in results.values()], numbers)
    result = results.get(session.current)
    rows: list[RenderableType] = []
    if session.all_pass():
        rows.append(Text(f"All visible tests pass. Next: workbook submit {session.released.week.number}", "bold green"))
    elif result is None or session.current in session.running:
        first = "" if session.warm else " (the first check of a while imports the week's libraries)"
        rows.append(Text(f"checking {session.current} …{first}", "cyan"))
        if session.place:
            rows.append(Text(clean(session.place, 300), "bright_black"))
    else:
        where = f" · cell {result.number}" if result.number else ""
        rows.append(Text(f"{result.title} · {result.points}/{result.possible} points{where}", "bold"))
        if result.state == UNWRITTEN:
            rows.append(Text("Not written yet. Fill in the stub and save the notebook; the test runs by itself."))
        elif result.message:
            rows.append(message(result))
    for hint in session.hints:
        rows += [Text(), hint_panel(hint, session.hint_count)]
    return Group(*rows)


def watch_text(session: Session) -> Text:
    """What `watch` prints where there is no terminal: the exercise that is shown, and how far the week is."""
    results = session.shown_results()
    text = week_line(results, session.released.week)
    if session.trouble:
        return text.append(f"\n{clean(session.trouble, 400)}")
    if session.all_pass():
        return text.append(f"\nall visible tests pass; next: workbook submit {session.released.week.number}")
    result = results.get(session.current)
    if result is not None:
        text.append("\n").append_text(mark(result)).append(f" {result.exercise} {WORDS.get(result.state, '')}")
        if result.message:
            text.append("\n").append_text(message(result))
    return text
