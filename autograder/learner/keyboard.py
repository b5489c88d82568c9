"""Single keys from a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from threading import Thread

REST_SECONDS = 0.05
"""How long the rest of a key that sends several bytes may take to come."""


class Key(StrEnum):
    """Keys that are not letters. ENDED: the terminal is gone."""

    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    OTHER = "other"
    ENDED = ""


SEQUENCES = {
    **dict.fromkeys(("\x1b[A", "\x1bOA"), Key.UP),
    **dict.fromkeys(("\x1b[B", "\x1bOB"), Key.DOWN),
    "\x1b[5~": Key.PAGE_UP,
    "\x1b[6~": Key.PAGE_DOWN,
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), Key.HOME),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), Key.END),
}
"""What terminals send for a key: that of xterm in both of its modes, of the Linux console, of rxvt."""
WINDOWS = {
    "H": Key.UP,
    "P": Key.DOWN,
    "I": Key.PAGE_UP,
    "Q": Key.PAGE_DOWN,
    "G": Key.HOME,
    "O": Key.END,
}
"""The second of two characters there."""


@contextmanager
def pressed(tell: Callable[[str], None]) -> Iterator[bool]:
    """Call `tell` with each letter or `Key`, from another thread, while the block runs.

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
        key = next_key(lambda: _byte(number), lambda: bool(select.select([number], [], [], REST_SECONDS)[0]))
        tell(key)
        if key == Key.ENDED:
            return


def _byte(number: int) -> str:
    try:
        return os.read(number, 1).decode("latin-1")
    except OSError:
        return ""


def next_key(read: Callable[[], str], more: Callable[[], bool]) -> str:
    """One key: a letter, or a `Key`.

    Parameters
    ----------
    read : gives the next byte as a character, "" at the end.
    more : whether another byte is there, or comes at once.
    """
    text = read()
    if not text:
        return Key.ENDED
    if text != "\x1b":
        return text if text.isascii() and text.isprintable() else Key.OTHER
    while not _whole(text) and more() and (byte := read()):
        text += byte
    return SEQUENCES.get(text, Key.OTHER)


def _whole(text: str) -> bool:
    """Whether an escape sequence has come to its end: `ESC [ ... letter`, `ESC O letter`, or `ESC letter`."""
    if len(text) < 2 or text[1:] in ("[", "O"):
        return False
    return text[1] not in "[O" or "@" <= text[-1] <= "~"


def _read_windows(tell: Callable[[str], None]) -> None:
    import msvcrt

    while True:
        key: str = msvcrt.getwch()  # type: ignore[attr-defined]
        if key in ("\x00", "\xe0"):
            key = WINDOWS.get(msvcrt.getwch(), Key.OTHER)  # type: ignore[attr-defined]
        tell(key)
