"""A person at a terminal of some size: what the command draws is what pyte's screen shows."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pexpect
import pyte

from autograder.engine.guest.usage import below

SECONDS = 60


class Terminal:
    """A terminal in which a `workbook` command runs."""

    def __init__(self, folder: Path, *words: str, rows: int = 24, columns: int = 80, **variables: str) -> None:
        sized = ("COLUMNS", "LINES", "NO_COLOR")
        environment = {name: value for name, value in os.environ.items() if name not in sized}
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-m", "autograder.cli", *words],
            cwd=str(folder),
            env=environment | {"TERM": "xterm"} | variables,
            dimensions=(rows, columns),
            timeout=SECONDS,
        )
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen now."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def sees(self, pattern: str) -> str:
        """Wait until this regular expression stands on the screen; returns what it found."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} is not in\n{self.text}"
            self._read(left)
        return found[0]

    def sees_no_more(self, pattern: str) -> None:
        """Wait until it is gone from the screen."""
        deadline = time.monotonic() + SECONDS
        while re.search(pattern, self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} is still in\n{self.text}"
            self._read(left)

    def _read(self, seconds: float) -> None:
        try:
            self._stream.feed(self.child.read_nonblocking(1 << 16, timeout=seconds))
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            raise AssertionError(f"the command ended; the screen was\n{self.text}") from None

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def resize(self, rows: int, columns: int) -> None:
        self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def processes(self) -> list[int]:
        """The command and everything below it."""
        return list(below(self.child.pid))

    def ends(self) -> int:
        """Wait for its end; returns the exit code, or the negative number of the signal. What it drew stays."""
        while True:
            try:
                self._stream.feed(self.child.read_nonblocking(1 << 16, timeout=SECONDS))
            except pexpect.EOF:
                break
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)

    def close(self) -> None:
        self.child.close(force=True)
