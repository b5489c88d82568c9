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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.live import Live

from ..build import Notebooks
from ..errors import WorkbookError, short
from ..facts import Hint
from .bench import Bench, open_bench
from .checking import Cancelled, Result, check, known, remember, with_blame
from .copies import RELOAD, read_copy, reset_exercise
from .hinting import next_hints
from .kept import Kept
from .keys import Key, pressed
from .lessons import Lesson, lesson_of
from .places import notebook_path
from .released import open_released
from .renamed import decide, others
from .scrolling import Scroll
from .steps import Step
from .warm import Lasting
from .watch_screen import watch_screen, watch_text

DEBOUNCE_MS, STEP_MS = 200, 20
"""How long changes of a file are gathered, and in which steps: an editor writes, renames and touches in one go."""
LOOK_SECONDS = 1.0
"""How often the screen is drawn anyway, for another size of the window and seconds that pass, and the file is looked
at: some file systems tell of no change."""


@dataclass(frozen=True)
class Event:
    """Something that happened. `key` holds a key, `result` what a round found; `number` is that of the round."""

    kind: Literal["saved", "key", "step", "result", "trouble", "note", "done"]
    key: str = ""
    result: Result | None = None
    step: Step | None = None
    number: int = 0


class Worker:
    """Runs rounds of checks in a thread, one at a time; a new round ends the one before."""

    def __init__(self, libraries: tuple[str, ...], events: queue.Queue[Event]) -> None:
        self._libraries = libraries
        self._events = events
        self._rounds: queue.Queue[tuple[int, Lesson, list[str]] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._round = 0
        self._begun = 0
        self._bench: Bench | None = None
        self._warm = Lasting(libraries, tell=self._tell)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def check(self, lesson: Lesson, names: list[str]) -> int:
        """Begin a round; returns its number."""
        with self._lock:
            self._round += 1
            if self._bench is not None:
                self._bench.cancel()
                self._bench = None
            self._rounds.put((self._round, lesson, names))
            return self._round

    def close(self) -> None:
        """End the round and the thread."""
        with self._lock:
            self._round += 1
            if self._bench is not None:
                self._bench.cancel()
            self._rounds.put(None)
        self._warm.give_up()

    def _work(self) -> None:
        idle: Bench | None = None
        while (work := self._rounds.get()) is not None:
            number, lesson, names = work
            self._begun = number
            try:
                bench, idle = idle or open_bench(self._libraries, self._tell, self._warm), None
            except (WorkbookError, OSError) as error:
                self._events.put(Event("trouble", str(error), number=number))
                continue
            with self._lock:
                current = number == self._round
                self._bench = bench if current else None
            if current:
                self._one_round(number, lesson, names, bench)
            with self._lock:
                harmed = current and self._bench is not bench  # `check` took it away, and cancelled it
                self._bench = None
            if harmed:
                bench.close()
            else:
                idle = bench
        if idle is not None:
            idle.close()

    def _tell(self, step: Step) -> None:
        self._events.put(Event("step", step=step, number=self._begun))

    def _one_round(self, number: int, lesson: Lesson, names: list[str], bench: Bench) -> None:
        if bench.note:
            self._events.put(Event("note", bench.note, number=number))
        try:
            for result in check(lesson, bench, names):
                self._events.put(Event("result", result=result, number=number))
        except Cancelled:
            return
        except (WorkbookError, OSError) as error:
            self._events.put(Event("trouble", str(error), number=number))
        self._events.put(Event("done", number=number))


@dataclass
class Session:
    """What is known and what is shown. `handle` takes what happened; nothing else changes it.

    Attributes
    ----------
    current : the exercise that is shown: the last one that changed and does not pass, else the first that does not.
    running : exercises that are being checked.
    trouble : why the file cannot be used at the moment.
    said : a remark that stays until the next key.
    step : what the round does at the moment.
    marks : exercise -> fingerprint, when a round was begun last.
    number : of that round.
    again : the exercise that is checked once more because a key asked for it.
    asking : whether `r` was pressed, and y or n comes next.
    offered : a notebook under another name, about which y or n comes next.
    hint_is_new : whether the last hint was not drawn yet, so that it is scrolled to.
    seen : what told the file as it was read last from a changed one.
    """

    root: Path
    released: Notebooks
    kept: Kept
    worker: Worker
    has_keys: bool = False
    lesson: Lesson | None = None
    results: dict[str, Result] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    current: str = ""
    trouble: str = ""
    said: str = ""
    asking: bool = False
    offered: Path | None = None
    listing: bool = False
    hints: list[Hint] = field(default_factory=list)
    hint_count: int = 0
    hint_is_new: bool = False
    scroll: Scroll = field(default_factory=Scroll)
    step: Step | None = None
    again: str = ""
    seen: tuple[int, ...] = ()
    marks: dict[str, str] = field(default_factory=dict)
    number: int = 0
    over: bool = False

    @property
    def path(self) -> Path:
        return notebook_path(self.root, self.released.week.name)

    def handle(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Event("saved"):
                self._saved()
            case Event("key"):
                self._key(event.key)
            case Event("note"):
                self.said = event.key
            case _ if event.number != self.number:
                pass  # of a round that was given up
            case Event("step"):
                self.step = event.step
            case Event("result", result=Result() as result):
                self._found(result)
            case Event("trouble"):
                self.trouble, self.marks = event.key, {}  # saving again tries again
            case Event("done"):
                self.running, self.step = [], None

    def look(self) -> None:
        """See whether the file was written without anybody telling of it."""
        if _seen(self.path) != self.seen:
            self._saved()

    def _saved(self, again: str = "") -> None:
        """The file was written: check what changed, and what depends on it; `again` names one to check anyway."""
        self.seen = _seen(self.path)
        try:
            lesson = lesson_of(self.released, read_copy(self.root, self.released.week.name)[0])
        except WorkbookError as error:  # half a file, or none: the next event brings more
            self.trouble = str(error)
            if not self.seen and self.has_keys and (found := others(self.root, self.released)):
                self.trouble, self.offered = f"{short(self.path)} is not there", found[0].path
            return
        self.trouble, self.offered = "", None
        self.lesson = lesson
        results = known(lesson, self.kept)
        for name, task in lesson.tasks.items():
            mine = self.results.get(name)
            if name not in results and mine is not None and mine.fingerprint == task.fingerprint:
                results[name] = replace(mine, number=task.number)
        self.results = results
        marks = {name: task.fingerprint for name, task in lesson.tasks.items()}
        if marks != self.marks or again:  # else only what cells showed has changed, or nothing
            changed = [name for name, seen in marks.items() if self.marks and self.marks.get(name) != seen]
            self.marks, self.said, self.again = marks, "", again
            self.running = [name for name in lesson.tasks if name not in results or name == again]
            self.step = None
            self.number = self.worker.check(lesson, self.running)
            self._choose(changed)

    def _found(self, result: Result) -> None:
        self.results[result.exercise] = result
        remember(self.kept, result)
        self.running = [name for name in self.running if name != result.exercise]
        if result.passed:
            self.said = f"✓ {result.exercise} passes"
        elif result.exercise == self.again:
            self.said = f"{result.exercise} was checked again"
        self._keep()  # at once: the next moment may be that of Ctrl-C, or of a closed terminal
        if result.exercise == self.current:
            self.scroll.top = 0
        self._choose([result.exercise] if not result.passed and result.exercise == self.current else [])

    def _choose(self, changed: list[str]) -> None:
        """Show what was worked on last, and something that is left to do."""
        order = list(self.released.week.exercises)
        left = [name for name in order if not (name in self.results and self.results[name].passed)]
        wanted = [name for name in changed if name in left]
        chosen = wanted[0] if wanted else self.current if self.current in left else (left or order)[0]
        if chosen != self.current:
            self.current, self.hints, self.scroll.top = chosen, [], 0

    def _key(self, key: str) -> None:
        if self.scroll.press(key):
            return
        self.said = ""
        if self.offered is not None:
            self._decide(self.offered, key)
            return
        if self.asking:
            self.asking = False
            if key in ("y", "Y"):
                self._reset()
            else:
                self.said = "nothing was changed"
            return
        match key.lower():
            case "q" | Key.ENDED:
                self.over = True
            case "c":
                self.listing = False
                self._saved(again=self.current)
            case "l":
                self.listing, self.scroll.top = not self.listing, 0
            case "h":
                self._hint()
            case "r":
                self.asking = True

    def _hint(self) -> None:
        self.listing = False
        try:
            shown, self.hint_count = next_hints(self.released, self.current, self.kept)
            self.hints = [*self.hints, *shown] if len(shown) == 1 else shown
            self.hint_is_new = True
            self._keep()
        except WorkbookError as error:
            self.said = str(error)

    def _decide(self, offered: Path, key: str) -> None:
        """A notebook under another name is the learner's, or is not; `q` and the end of the terminal end all."""
        if key.lower() in ("q", Key.ENDED):
            self.over = True
            return
        self.offered = None
        mine = key.lower() == "y"
        try:
            decide(self.root, self.released.week.name, offered if mine else None, [] if mine else [offered])
        except OSError as error:
            self.said = f"that is not kept: {error.strerror}"
            return
        self._saved()

    def _keep(self) -> None:
        try:
            self.kept.save()
        except OSError as error:  # the screen is right all the same
            self.said = f"what was found is not kept: {error.strerror}"

    def _reset(self) -> None:
        try:
            backup = reset_exercise(self.root, self.released, self.current)
        except (WorkbookError, OSError) as error:
            self.said = str(error)
        else:
            self.said = f"the stub of {self.current} is back; your former file: {short(backup)}; {RELOAD}"

    def shown_results(self) -> dict[str, Result]:
        """The results in the order of the notebook, with the names of failed exercises below failed ones."""
        results = with_blame(self.lesson, self.results) if self.lesson else self.results
        return {name: results[name] for name in self.released.week.exercises if name in results}

    def all_pass(self) -> bool:
        return all(name in self.results and self.results[name].passed for name in self.released.week.exercises)


def _seen(path: Path) -> tuple[int, ...]:
    """What tells a file from a changed one, without reading it; empty where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


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
