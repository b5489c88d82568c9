"""A warm process that outlives the command that started it: it forks for everyone who knows its socket.

Run as `python -m autograder.engine.fork_daemon SETTINGS`, with SETTINGS (JSON): "socket", the path to listen at;
"code", to warm up with; "idle_seconds", after which it ends if nobody is connected; "ready", the number of an inherited
socket that gets a line for each library that is imported, then the greeting. Each connection gets the greeting, too,
and may then send pairs of sockets as to any warm process. A process that was forked ends with the socket of the one
who wanted it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys

from .guest.fork_server import fork_for, warm_up


def main() -> None:
    """Warm up, listen, and serve until nobody came for a while."""
    settings = json.loads(sys.argv[1])
    path = settings["socket"]
    ready = socket.socket(fileno=settings["ready"])

    def announce(library: str) -> None:
        ready.sendall(json.dumps({"importing": library}).encode() + b"\n")

    shell, said = warm_up(settings["code"], announce)
    greeting = json.dumps(json.loads(said) | {"pid": os.getpid()}).encode() + b"\n"
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of one that was killed; whoever starts us holds the lock
    listener.bind(path)
    mine = os.stat(path)
    try:
        listener.listen(16)
        ready.sendall(greeting)
        ready.close()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (1, 2):
            os.dup2(nowhere, number)
        _serve(listener, greeting, settings["idle_seconds"], shell)
    finally:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), mine):  # and not that of a successor
                os.unlink(path)


def _serve(listener: socket.socket, greeting: bytes, idle_seconds: float, shell: object) -> None:
    open_connections: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            ready = selector.select(None if open_connections else idle_seconds)
            if not ready:
                return
            for key, _ in ready:
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    with contextlib.suppress(OSError):
                        connection.sendall(greeting)
                    open_connections.add(connection)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                connection = next(one for one in open_connections if one is key.fileobj)
                if not fork_for(connection, "judge", shell, (listener, *(open_connections - {connection}))):
                    selector.unregister(connection)
                    open_connections.discard(connection)
                    connection.close()


if __name__ == "__main__":
    main()
