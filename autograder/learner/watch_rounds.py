"""Rounds of checks in a thread, for `watch`: a new round gives up the one before."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Literal

from ..core.errors import WorkbookError
from .backend import Bench, open_bench
from .check import Cancelled, Result, check
from .fork_client import Lasting
from .steps import Step
from .tasks import Lesson


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
