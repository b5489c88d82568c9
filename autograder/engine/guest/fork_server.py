"""The warm process: it imports once; every learner and every judge is a fork of it.

    warm process   gets two sockets for each process that is wanted, forks a keeper
      keeper       (in a sandbox) enters new namespaces, forks the child, watches it, kills it, says how it ended
        child      talks over the first socket: a learner's process, or a judge

Run as `python -m autograder.engine.guest.fork_server SETTINGS`, with the number of an inherited socket, the code to
warm up with and the role in SETTINGS (JSON). It ends when that socket closes, and everything below it with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import huge_pages, isolation, system_calls, usage, wire
from .keeper import cpu_limit, keep
from .shell import make_shell, run_cell, seed_everything

JUDGE = "autograder.engine.judge"
"""What runs in a judge. A name and no import: a sandbox does not have it."""
JUDGES_FILES = 4096
"""Open files of a judge. A learner with the same user id may have as many descriptors on their way between sockets as
it may open files; who sends more is refused then, and a judge sends some for each sandbox that it starts."""
MANY_FORKS = 24
"""After so many forks there will be many more: see `huge_pages`."""


def _child(
    talk: socket.socket, extra: list[socket.socket], role: str, settings: dict[str, Any], shell: Any
) -> NoReturn:
    """Become a learner's process or a judge. Never returns."""
    try:
        keep_open = {talk.fileno(), *(other.fileno() for other in extra)}
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        for number in range(3, 256):
            if number not in keep_open:
                with contextlib.suppress(OSError):
                    os.close(number)
        os.setsid()
        isolation.prctl(system_calls.PR_SET_PDEATHSIG, signal.SIGKILL)
        memory, cpu = int(settings["memory_gib"] * 2**30), cpu_limit(settings)
        if settings["isolate"]:
            isolation.shut_in(memory, cpu)
            selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc, assignment]  # epoll is refused
        else:
            isolation.limit(memory, cpu, isolation.OPEN_FILES if role == "learner" else JUDGES_FILES)
            os.chdir(settings["folder"])
        sys.path.insert(0, "")  # as in a notebook: a module that a cell wrote can be imported
        seed_everything()
        if role == "learner":
            from .learner_process import serve

            serve(wire.Channel(talk), shell)
        judge = importlib.import_module(JUDGE).judge
        judge(wire.Channel(talk), extra[0] if extra else None, shell)
    except isolation.IsolationError as error:
        wire.Channel(talk).send(wire.pack(str(error)))
    finally:
        os._exit(70)


def _bury() -> None:
    """Wait for the keepers that have ended: the CPU time of a process that nobody waits for is counted nowhere."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


REHEARSAL = ("1", "1 / 0")
"""A first result and a first error import, compile and cache much; what is here before a fork, no child does again."""


def warm_up(code: str, before: Callable[[str], None] | None = None) -> tuple[Any, bytes]:
    """Make a shell, import, rehearse, and freeze what there is; returns the shell and a greeting for who started it.

    `before` is called `announce` in the code, which may call it with the name of what is imported next.
    """
    gc.disable()  # imports let go of nothing, and Python would look for it again and again
    shell = make_shell()
    exec(compile(code, "<warm-up>", "exec"), {"announce": before})
    seed_everything()
    for cell in REHEARSAL:
        run_cell(shell, cell)
    shell.reset(new_session=False)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object, and so copy every page
    gc.enable()
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    return shell, json.dumps({"threads": threads, "bytes": usage.memory([os.getpid()])}).encode() + b"\n"


def fork_for(control: socket.socket, role: str, shell: Any, others: Sequence[socket.socket] = ()) -> bool:
    """Fork a process for the next pair of sockets that comes in; False when there will be no more.

    `others` are sockets of this process that the new one has no use for.
    """
    try:
        byte, numbers, _, _ = socket.recv_fds(control, 1, 8)
    except OSError:
        return False
    _bury()
    if not byte:
        return False
    sockets = [socket.socket(fileno=number) for number in numbers]
    if os.fork() == 0:
        try:
            for other in (control, *others):
                other.close()
            talk, leash, *extra = sockets
            keep(talk, leash, extra, lambda settings: _child(talk, extra, role, settings, shell), role == "learner")
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    for one in sockets:
        one.close()
    return True


def main() -> None:
    """Warm up, say so, then fork for every pair of sockets that comes in."""
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=settings["control"])
    shell, greeting = warm_up(settings["code"])
    control.sendall(greeting)
    for number in itertools.count(1):
        if not fork_for(control, settings["role"], shell):
            break
        if number == MANY_FORKS:
            huge_pages.gather()
    os._exit(0)  # there is nothing to put away, and it takes Python long to forget all it has imported


if __name__ == "__main__":
    main()
