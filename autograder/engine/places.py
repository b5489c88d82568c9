"""Say now and then what a busy cell is doing, so that whoever waits sees it, and knows the line of an endless loop."""

from __future__ import annotations

import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CODE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
"""Where this package and `shared` lie."""
EVERY_SECONDS = 1.0
MAX_TEXT = 200
"""Characters of a line that are told."""


@contextmanager
def told(tell: Callable[[dict[str, Any]], None], every: float = EVERY_SECONDS) -> Iterator[None]:
    """Call `tell` every so many seconds, in this thread, with the fields of `verdicts.Place`.

    Where a system has no such timer, or this is not the main thread, it is never called.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    begin = time.monotonic()

    def tick(number: int, frame: FrameType | None) -> None:
        tell({"seconds": time.monotonic() - begin} | place(frame))

    before = signal.signal(signal.SIGALRM, tick)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def place(frame: FrameType | None) -> dict[str, Any]:
    """The innermost line that is of no library: its number in its cell, its text, its function; {} where none is."""
    while frame is not None:
        file = frame.f_code.co_filename
        line = frame.f_lineno or 0  # None while an instruction runs that belongs to no line
        text = linecache.getline(file, line).strip()
        if text and not file.startswith((sys.prefix, sys.base_prefix, "<frozen", CODE)):
            name = frame.f_code.co_name
            return {
                "line": line,
                "text": text[:MAX_TEXT],
                "function": "" if name.startswith("<") else name,
            }
        frame = frame.f_back
    return {}
