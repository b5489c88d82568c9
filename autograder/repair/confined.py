"""Do something with an untrusted file in a process of its own that may have so much memory and so much time.

The process is started once and asked again and again, so an honest file costs the way there and back. One that takes
more than it may ends the process, and is told so; the next file gets a new one. What comes back is JSON: nothing is
unpickled.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any, BinaryIO

from .damage import Damage, DamagedError

MEMORY_MIB = 1024
"""Address space of the process; a notebook of 50 MiB of pictures needs a third of it."""
CPU_SECONDS = 10
"""For one file; an honest one needs a hundredth of a second."""
WALL_SECONDS = 300
"""A process that used so little of its time that it is still there then is stuck through no fault of the file."""
MAX_REPLY = 256 * 2**20
LENGTH = struct.Struct(">cQ")
"""Before each message: its kind and its length in bytes."""
DONE, DAMAGED, NO_MEMORY = b"+", b"-", b"m"
Work = Callable[[Any, bytes], Any]
"""What is done: a function of plain data and a file, that gives plain data or raises `DamagedError`."""


class ConfinedError(Exception):
    """The process could not do its work, through no fault of the file."""


class _Ended(Exception):  # noqa: N818 - no error of ours: how the process ended is looked at
    """The process ended before it answered. `status`: as `Popen.returncode`; 0 where it was stuck."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Confined:
    """A process with limits that does one kind of work.

    Parameters
    ----------
    work : a function at the top of a module, called with `given` and a file.
    given : plain data that every call gets, as JSON holds it.
    memory_mib, cpu_seconds : the limits; macOS does not keep the one on memory.
    """

    def __init__(
        self, work: Work, given: Any = None, memory_mib: int = MEMORY_MIB, cpu_seconds: int = CPU_SECONDS
    ) -> None:
        named = {"module": work.__module__, "function": work.__qualname__, "given": given}
        self._order = json.dumps(named | {"memory_mib": memory_mib, "cpu_seconds": cpu_seconds}).encode()
        self._limits = f"{memory_mib:,} MiB of memory", f"{cpu_seconds} seconds"
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        """How many files the present process was asked about."""

    def __enter__(self) -> Confined:
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        self._end()

    def ask(self, content: bytes) -> Any:
        """Do the work with a file.

        Raises
        ------
        DamagedError
            that the work raised, or because it took more memory or time than it may.
        ConfinedError
            when the process could not do it, through no fault of the file.
        """
        used = self._process is not None and self._asked > 0
        try:
            return self._once(content)
        except _Ended as ended:
            if ended.status == -signal.SIGXCPU:
                raise self._too_much(self._limits[1]) from None
        except MemoryError:
            if not used:  # otherwise what came before may have left it little
                raise self._too_much(self._limits[0]) from None
        try:
            return self._once(content)
        except MemoryError:
            raise self._too_much(self._limits[0]) from None
        except _Ended as ended:
            if ended.status == -signal.SIGXCPU:
                raise self._too_much(self._limits[1]) from None
            if ended.status in (0, -signal.SIGKILL, -signal.SIGTERM):  # stuck, or ended from outside
                raise ConfinedError("the process that reads files was ended from outside") from None
            raise DamagedError("the file ends the process that reads it") from None

    @staticmethod
    def _too_much(limit: str) -> DamagedError:
        return DamagedError(f"reading the file takes more than {limit}")

    def _once(self, content: bytes) -> Any:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._asked += 1
        try:
            _send(self._process.stdin, DONE, content)
            kind, answer = self._answer()
        except (OSError, EOFError):
            raise _Ended(self._end()) from None
        if kind == NO_MEMORY:
            self._end()
            raise MemoryError
        if kind == DAMAGED:
            said = json.loads(answer)
            raise DamagedError(said["message"], Damage(said["kind"]))
        return json.loads(answer)

    def _answer(self) -> tuple[bytes, bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        stream, until = self._process.stdout, time.monotonic() + WALL_SECONDS
        kind, length = LENGTH.unpack(_exactly(stream, LENGTH.size, until))
        if length > MAX_REPLY:
            self._end()
            raise DamagedError("the file holds more than can be taken from it")
        return kind, _exactly(stream, length, until)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the grader's to handle
        )
        assert self._process.stdin is not None
        self._asked = 0
        _send(self._process.stdin, DONE, self._order)

    def _end(self) -> int:
        """End the process and say how it ended; 0 where it ran until now."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            return process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return 0


def _send(stream: Any, kind: bytes, content: bytes) -> None:
    rest = memoryview(LENGTH.pack(kind, len(content)) + content)
    while rest:
        rest = rest[stream.write(rest) :]


def _exactly(stream: Any, length: int, until: float = float("inf")) -> bytes:
    """So many bytes. Raises `EOFError` when fewer come, and `OSError` when they take too long."""
    found = bytearray()
    while len(found) < length:
        if until < float("inf") and not _ready(stream, until - time.monotonic()):
            raise TimeoutError
        block = stream.read(min(length - len(found), 1 << 20))
        if not block:
            raise EOFError
        found += block
    return bytes(found)


def _ready(stream: Any, seconds: float) -> bool:
    """Whether there is something to read, or the end, within so many seconds."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def main() -> None:
    """What the process does: read an order and then files, and answer each."""
    files, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    order = json.loads(_message(files))
    work = getattr(import_module(order["module"]), order["function"])
    _limit_memory(order["memory_mib"] * 2**20)
    while True:
        try:
            content = _message(files)
        except EOFError:
            return
        _limit_time(order["cpu_seconds"])
        _send(answers, *_answer_to(work, order["given"], content))


def _message(stream: BinaryIO) -> bytes:
    _, length = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return _exactly(stream, length)


def _answer_to(work: Work, given: Any, content: bytes) -> tuple[bytes, bytes]:
    try:
        return DONE, json.dumps(work(given, content), ensure_ascii=False).encode()
    except DamagedError as error:
        said = {"message": str(error), "kind": error.kind}
        return DAMAGED, json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
    except MemoryError:
        return NO_MEMORY, b""


def _limit_memory(most: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_time(seconds: int) -> None:
    """So many CPU seconds from now; the system ends a process that uses more."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
