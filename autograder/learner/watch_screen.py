"""The screen of `watch`: how far the week is, the exercise that is shown, what can be pressed.

Head and foot are always whole; what is between them scrolls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.segment import Segment, SegmentLines
from rich.text import Text

from ..core.errors import short
from ..core.texts import clean
from .check import UNWRITTEN, Result
from .views import WORDS, hint_panel, mark, message, message_block, results_table, week_line

if TYPE_CHECKING:
    from .watch_session import Session

KEYS = "c check now · h hint · l list · r reset · q quit"
REMARK = 400
"""Characters of a remark at the foot."""


def watch_screen(session: Session, console: Console) -> RenderableType:
    """The screen as it is now, exactly as large as the window."""
    width, height = console.size
    week, results = session.released.week, session.shown_results()
    title = Text(f"week {week.number} · {week.info.title}", "bold")
    lines = [title, week_line(results, week, width), _strip(session, results, width)]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    head: list[RenderableType] = [*lines, Rule(style="bright_black")]
    above, below = _lines(console, head), _lines(console, _foot(session))
    rows, hint = _body(session, results)
    body, room = _lines(console, rows), height - len(above) - len(below)
    if session.hint_is_new:
        session.scroll.top, session.hint_is_new = len(_lines(console, rows[:hint])), False
    if len(body) > room:
        room -= 1
        shown = list(session.scroll.fit(body, room))
        shown += _lines(console, [_where(session)])
    else:
        shown = list(session.scroll.fit(body, room))
    shown += [[] for _ in range(height - len(above) - len(below) - len(shown))]
    return SegmentLines([*above, *shown, *below][:height], new_lines=True)


def _lines(console: Console, rows: list[RenderableType]) -> list[list[Segment]]:
    """Rows as lines of the window's width; none for no rows."""
    options = console.options.update(height=None)
    return console.render_lines(Group(*rows), options, pad=False) if rows else []


def _strip(session: Session, results: Mapping[str, Result], width: int) -> Text:
    """All exercises in one line: by name, or where these have no room by number, the one that is shown by name too."""

    def strip(by_name: bool) -> Text:
        text = Text()
        for number, name in enumerate(session.released.week.exercises, 1):
            waits = name in session.running or name not in results
            text.append_text(Text("…", "cyan") if waits else mark(results[name]))
            current = name == session.current
            label = name if by_name else f"{number} {name}" if current else f"{number}"
            text.append(" ").append(label, "bold underline" if current else "").append("  ")
        text.rstrip()
        return text

    named = strip(by_name=True)
    return named if named.cell_len <= width else strip(by_name=False)


def _where(session: Session) -> Text:
    """Which lines of the body are seen, and how to see the others."""
    scroll = session.scroll
    seen = f"lines {scroll.top + 1}–{scroll.top + scroll.height} of {scroll.length}"
    keys = " · arrow keys, space and b scroll" if session.has_keys else ""
    return Text(f"{seen}{keys}", "cyan", no_wrap=True, overflow="ellipsis")


def _foot(session: Session) -> list[RenderableType]:
    rows: list[RenderableType] = []
    if session.trouble:
        rows.append(Text(clean(session.trouble, REMARK), "yellow"))
    if session.said:
        rows.append(Text(clean(session.said, REMARK), "cyan"))
    if session.offered:
        rows.append(Text(f"Is {short(session.offered)} your notebook now? y/n", "bold yellow"))
    elif session.asking:
        question = f"Put the stub of {session.current} back (your file is kept, too)? y/n"
        rows.append(Text(question, "bold yellow"))
    else:
        rows.append(Text(KEYS if session.has_keys else "Ctrl-C quits", "bright_black"))
    return rows


def _body(session: Session, results: Mapping[str, Result]) -> tuple[list[RenderableType], int]:
    """The rows about the exercise that is shown, and which of them its last hint begins with."""
    numbers = {name: place for place, name in enumerate(session.released.week.exercises, 1)}
    if session.listing:
        return [results_table([replace(result, message="") for result in results.values()], numbers)], 0
    result = results.get(session.current)
    rows: list[RenderableType] = []
    if session.all_pass() and not session.running:
        rows.append(Text(f"All visible tests pass. Next: workbook submit {session.released.week.number}", "bold green"))
    elif result is None or session.current in session.running:
        rows.append(Text(f"checking {session.current} …", "cyan"))
        if session.step:
            rows.append(Text(session.step.words(time.monotonic()), "cyan"))
    else:
        where = f" · cell {result.number}" if result.number else ""
        rows.append(Text(f"{result.title} · {result.points}/{result.possible} points{where}", "bold"))
        if result.state == UNWRITTEN:
            rows.append(Text("Not written yet. Fill in the stub and save the notebook; the test runs by itself."))
        elif result.message:
            rows.append(message_block(result))
    for hint in session.hints:
        rows += [Text(), hint_panel(hint, session.hint_count)]
    return rows, len(rows) - 1 if session.hints else 0


def watch_text(session: Session) -> Text:
    """What `watch` prints where there is no terminal: the exercise that is shown, and how far the week is."""
    results = session.shown_results()
    text = week_line(results, session.released.week)
    if session.trouble:
        return text.append(f"\n{clean(session.trouble, REMARK)}")
    if session.all_pass():
        return text.append(f"\nall visible tests pass; next: workbook submit {session.released.week.number}")
    result = results.get(session.current)
    if result is not None:
        text.append("\n").append_text(mark(result)).append(f" {result.exercise} {WORDS.get(result.state, '')}")
        if result.message:
            text.append("\n").append_text(message(result))
    return text
