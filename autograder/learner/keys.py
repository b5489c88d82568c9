"""Single keys from a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def pressed(tell: Callable[[str], None]) -> Iterator[bool]:
    """Call `tell` with each key, from another thread, while the block runs; "" when the terminal is gone.

    Yields whether there is a terminal to read keys from. Ctrl-C still interrupts.
    """
    if not sys.stdin.isatty():
        yield False
        return
    if sys.platform == "win32":
        Thread(target=_read_windows, args=(tell,), daemon=True).start()
        yield True
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    Thread(target=_read, args=(number, tell), daemon=True).start()
    try:
        yield True
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _read(number: int, tell: Callable[[str], None]) -> None:
    while True:
        try:
            key = os.read(number, 1)
        except OSError:
            key = b""
        tell(key.decode("ascii", "ignore"))
        if not key:
            return


def _read_windows(tell: Callable[[str], None]) -> None:
    import msvcrt

    while True:
        tell(msvcrt.getwch())  # type: ignore[attr-defined]
