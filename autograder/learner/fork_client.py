"""The warm process of a learner's machine: started by the first check, shared by all later ones.

It holds the week's libraries imported, listens at a socket in a private folder, and ends by itself when nobody was
connected for a while. It runs no check itself: each one is a fork that belongs to the command that wanted it, and ends
with that command. So Ctrl-C, a closed terminal or a crash of the command leave nothing running but the idle process.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..execution.warm_process import WarmProcess, disconnected, greeting_on, last_words, spawn, warm_up_parts
from .steps import Step, Tell, nobody

IDLE_SECONDS = 15 * 60
START_SECONDS = 120
GREETING_SECONDS = 10
LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes."""
PACKAGE = Path(__file__).parents[1]


class NoWarmProcessError(Exception):
    """There is no warm process, and why none can be started."""


def environment_stamp() -> str:
    """Changes with everything besides a notebook that decides about a verdict: Python, torch, our own code, profile."""
    parts = [sys.executable, sys.version, os.environ.get("PROFILE", ""), os.environ.get("WORKBOOK_DATA", "")]
    for name in ("torch", "timm", "numpy"):
        try:
            parts.append(version(name))
        except PackageNotFoundError:
            parts.append("")
    for folder in (PACKAGE / "engine", PACKAGE.parent / "shared"):
        parts += [
            f"{path.name} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in sorted(folder.rglob("*.py"))
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def can_start() -> None:
    """Raises `NoWarmProcessError` on a system that has no forks or no local sockets."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "fork"):
        raise NoWarmProcessError("this system has no forks or no local sockets")


def private_folder() -> Path:
    """Where sockets lie: a folder that nobody but this user can enter.

    Raises
    ------
    NoWarmProcessError
        when somebody else made it, or others may enter it.
    """
    base = os.environ.get("WORKBOOK_RUNTIME") or os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "workbook" if base else Path(tempfile.gettempdir()) / f"workbook-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise NoWarmProcessError(f"{folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise NoWarmProcessError(f"{folder} can be entered by others")
    return folder


class Lasting(WarmProcess):
    """A connection to the warm process for these libraries, which is started where there is none.

    Parameters
    ----------
    idle_seconds : after which it ends; by default $WORKBOOK_WARM_SECONDS, else 15 minutes. 0 wants none at all.
    tell : is told what is imported while the process starts.

    Attributes
    ----------
    pid : of the process, once connected.
    started : whether this object had to start it.
    """

    def __init__(self, libraries: Sequence[str], idle_seconds: float | None = None, tell: Tell = nobody) -> None:
        super().__init__("judge", libraries)
        self._tell = tell
        self._spawned: subprocess.Popen[bytes] | None = None
        self._given_up = False
        if idle_seconds is None:
            idle_seconds = float(os.environ.get("WORKBOOK_WARM_SECONDS") or IDLE_SECONDS)
        self._idle_seconds = idle_seconds
        self._connecting = threading.Lock()
        self._connected = False
        self.pid = 0
        self.started = False

    def start(self) -> None:
        """Connect, unless that is done.

        Raises
        ------
        NoWarmProcessError
            when there is none and it cannot be started.
        """
        with self._connecting:
            if self._connected and not disconnected(self.control):
                return
            can_start()
            if self._idle_seconds <= 0:
                raise NoWarmProcessError("WORKBOOK_WARM_SECONDS is 0")
            parts = warm_up_parts("judge", self._libraries)
            code = "".join(f"announce({name!r})\n{part}" for name, part in parts)
            name = hashlib.sha256(f"{environment_stamp()}\n{code}".encode()).hexdigest()[:16]
            path = private_folder() / f"{name}.socket"
            if len(os.fsencode(path)) > LONGEST_PATH:
                raise NoWarmProcessError(f"{path} is too long for a socket")
            with _locked(path.with_suffix(".lock"), self._tell):
                if not self._connect(path):
                    self._spawn(path, code)
                    self.started = True
                    if not self._connect(path):
                        raise NoWarmProcessError("it ended as soon as it was started")
            self._connected = True

    def _connect(self, path: Path) -> bool:
        self.control.close()
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(GREETING_SECONDS)
        try:
            self.control.connect(str(path))
            greeting = greeting_on(self.control)
        except (OSError, ValueError):
            return False
        if greeting is None:
            return False
        self.control.settimeout(None)
        self.bytes, self.pid = greeting.bytes, greeting.pid
        return True

    def _spawn(self, path: Path, code: str) -> None:
        ours, theirs = socket.socketpair()
        settings = {"socket": str(path), "code": code, "idle_seconds": self._idle_seconds, "ready": theirs.fileno()}
        command = [sys.executable, "-m", "autograder.engine.fork_daemon", json.dumps(settings)]
        with tempfile.TemporaryFile(mode="w+", encoding="utf-8") as output, ours:
            # a folder that is removed, or a disk that is taken out, is none of its business
            self._spawned = process = spawn(command, theirs, output, folder="/")
            if self._given_up:  # after it was set: now `give_up` sees the process, or this sees `give_up`
                process.kill()
            ours.settimeout(START_SECONDS)
            try:
                greeting = greeting_on(ours, lambda name: self._tell(Step(f"importing {name}")))
                if greeting is None:
                    process.kill()
                    process.wait()
                    raise NoWarmProcessError(last_words(output))
                if greeting.threads != 1:
                    raise NoWarmProcessError("a library starts threads as it is imported")
            except BaseException:  # Ctrl-C too: nobody would know of it
                process.kill()
                process.wait()
                raise
        self._spawned = None
        process.returncode = 0  # it outlives this process, and nobody waits for it

    def give_up(self) -> None:
        """Start no process any more, and end one that is being started, from any thread; `start` then raises."""
        self._given_up = True
        if (process := self._spawned) is not None:
            process.kill()

    def close(self) -> None:
        """Nothing: one team's end is not the end of the connection; see `hang_up`."""

    def hang_up(self) -> None:
        """Close the connection. The process stays for the next command."""
        self.control.close()
        self._connected = False


@contextmanager
def _locked(path: Path, tell: Tell) -> Iterator[None]:
    """One command at a time looks for the process and starts it; whoever has to wait is told so."""
    import fcntl

    try:
        file = path.open("w")
    except OSError as error:
        raise NoWarmProcessError(f"{path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tell(Step("waiting for another command that imports the same libraries"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
