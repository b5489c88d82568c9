"""A process below a warm process, seen from outside: how it is started, stopped and accounted for."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

from .guest import wire
from .guest.endings import Ending, Why


class Started:
    """A process that was started below a warm process.

    Parameters
    ----------
    control : the socket of the warm process.
    settings : isolate (bool), memory_gib, total_seconds, warm_bytes (what the warm process holds), folder,
        core (the only one that it may use, or None).
    extra : sockets that the process gets besides its own.

    Attributes
    ----------
    channel : messages to and from it.
    """

    def __init__(self, control: socket.socket, settings: dict[str, Any], extra: tuple[socket.socket, ...] = ()) -> None:
        talk, theirs = socket.socketpair()
        self._leash, leash = socket.socketpair()
        with theirs, leash:
            socket.send_fds(control, [b"+"], [theirs.fileno(), leash.fileno(), *(one.fileno() for one in extra)])
        self._leash.sendall(json.dumps(settings).encode() + b"\n")
        self.channel = wire.Channel(talk)
        self._ending: Ending | None = None

    def stop(self) -> None:
        """Have it killed, from another thread than the one that talks to it; `end` then says how it ended."""
        with contextlib.suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)

    def end(self, since: float | None = None, *, broken: bool = False) -> Ending:
        """Kill it, if it still runs, with everything below it, and say how it ended.

        Parameters
        ----------
        since : a moment of `time.monotonic`; the ending then says what was used from there on.
        broken : its connection broke, so it may be ending by itself; a little time is left for that.
        """
        if self._ending is None:
            self.channel.close()
            text = b""
            with self._leash, contextlib.suppress(OSError):
                with contextlib.suppress(OSError):  # it may have said how it ended, and be gone
                    if since is not None:
                        self._leash.sendall(json.dumps({"since": since, "broken": broken}).encode())
                    self._leash.shutdown(socket.SHUT_WR)
                self._leash.settimeout(10)
                while block := self._leash.recv(1 << 16):
                    text += block
            try:
                told = json.loads(text)
                self._ending = Ending(**told | {"why": Why(told["why"])})
            except ValueError:
                self._ending = Ending(why=Why.FAULT, detail="the keeper of a process is gone")
        return self._ending
