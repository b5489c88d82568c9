"""Check again whenever the notebook is saved.

keys, saved files, results ─► one queue ─► Session (what is known, what is shown) ─► screen
Session ─► Worker (one thread, one bench): a round of checks, given up when the file is saved again
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from .keyboard import pressed
from .released import open_released
from .start import read_copy
from .state import Kept
from .watch_rounds import Event, Worker
from .watch_screen import watch_screen, watch_text
from .watch_session import Session

DEBOUNCE_MS, STEP_MS = 200, 20
"""How long changes of a file are gathered, and in which steps: an editor writes, renames and touches in one go."""
LOOK_SECONDS = 1.0
"""How often the screen is drawn anyway, for another size of the window and seconds that pass, and the file is looked
at: some file systems tell of no change."""


def watch_week(root: Path, name: str, console: Console, exercise: str = "") -> None:
    """Watch the learner's copy until `q`, Ctrl-C or the end of the terminal; `exercise` is shown first, if it is given.

    Raises
    ------
    WorkbookError
        when there is no copy.
    """
    read_copy(root, name)
    released = open_released(root, name)
    events: queue.Queue[Event] = queue.Queue()
    kept = Kept.of(root, name)
    worker = Worker(released.week.info.libraries, events)
    session = Session(root, released, kept, worker, current=exercise)
    try:
        with _files(session.path, events), pressed(lambda key: events.put(Event("key", key))) as session.has_keys:
            session.handle(Event("saved"))
            if console.is_terminal:
                _on_screen(session, events, console)
            else:
                _line_by_line(session, events, console)
    except KeyboardInterrupt:
        pass
    finally:
        worker.close()


def _on_screen(session: Session, events: queue.Queue[Event], console: Console) -> None:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not session.over:
            live.update(watch_screen(session, console), refresh=True)
            try:
                session.handle(events.get(timeout=LOOK_SECONDS))
            except queue.Empty:
                session.look()


def _line_by_line(session: Session, events: queue.Queue[Event], console: Console) -> None:
    """For a log: what changed, as it comes."""
    shown = ""
    while not session.over:
        text = watch_text(session)
        if text.plain != shown and not session.running:
            console.print(text)
            shown = text.plain
        try:
            session.handle(events.get(timeout=LOOK_SECONDS))
        except queue.Empty:
            session.look()


@contextmanager
def _files(path: Path, events: queue.Queue[Event]) -> Iterator[None]:
    """Tell of every change of one file, also where it is replaced, or the folder is a link."""
    from watchfiles import watch

    real = path.resolve()
    stop = threading.Event()

    def tell() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, RuntimeError):  # the folder is gone; it may come back
                for _ in watch(
                    real.parent,
                    watch_filter=lambda _, changed: Path(changed).name == real.name,
                    debounce=DEBOUNCE_MS,
                    step=STEP_MS,
                    stop_event=stop,
                    recursive=False,
                    raise_interrupt=False,
                ):
                    events.put(Event("saved"))
            events.put(Event("saved"))
            stop.wait(LOOK_SECONDS)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
