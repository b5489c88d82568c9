"""The keeper of one process: it enters new namespaces, forks the child, watches it, kills it, says how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from . import isolation, system_calls, usage
from .endings import Why

WATCH_SECONDS = 0.1
"""How often a keeper looks at memory."""
DOUBT_SECONDS = 0.01
"""When it looks again before it believes that there is too much: a process that starts another one, as `subprocess`
does, shares all its memory with it for a moment."""
DYING_SECONDS = 2.0
"""How long a process whose connection broke may take to end by itself: that of a dying one breaks a little before."""


def keep(
    talk: socket.socket,
    leash: socket.socket,
    extra: list[socket.socket],
    child: Callable[[dict[str, Any]], NoReturn],
    learner: bool,
) -> None:
    """Serve one process, which `child` runs. Never returns.

    `learner` says whether memory is counted of the processes below the child, too: to find them, all that can be seen
    are looked at.
    """
    warm = os.getppid()
    with leash.makefile("r", encoding="utf-8") as stream:
        settings = json.loads(stream.readline())
    try:
        if settings["isolate"]:
            isolation.leave_namespaces()
        isolation.prctl(system_calls.PR_SET_CHILD_SUBREAPER, 1)
        pid = os.fork()
    except (isolation.IsolationError, OSError) as error:
        ending: dict[str, Any] = {"why": Why.FAULT, "detail": str(error)}
    else:
        if pid == 0:
            leash.close()
            child(settings)
        for other in (talk, *extra):
            other.close()
        ending = _Watch(pid, settings, learner).until_the_end(leash, warm)
    with contextlib.suppress(OSError):
        leash.sendall(json.dumps(ending).encode())
    os._exit(0)


@dataclass
class _Watch:
    """A look at a child now and then, with what each look found: times, CPU seconds, seconds without a processor."""

    pid: int
    settings: dict[str, Any]
    learner: bool
    times: list[float] = field(default_factory=lambda: [0.0])
    busy: list[float] = field(default_factory=lambda: [0.0])
    waited: list[float] = field(default_factory=lambda: [0.0])

    def until_the_end(self, leash: socket.socket, warm: int) -> dict[str, Any]:
        """Wait until the child ends, the leash is dropped, the warm process is gone, memory runs out; then kill all.

        Returns how the child ended: the fields of `endings.Ending`.
        """
        why, detail, doubt = Why.NOTHING, "", False
        ended = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        watched: list[Any] = [leash] if ended is None else [leash, ended]
        while True:
            ready = select.select(watched, [], [], DOUBT_SECONDS if doubt else WATCH_SECONDS)[0]
            if ready or (ended is None and self._is_dead()):
                break
            if os.getppid() != warm:
                why, detail = Why.FAULT, "the warm process is gone"
                break
            too_much = self._look()
            if too_much and doubt:
                why = Why.MEMORY
                break
            doubt = too_much
        asked = _asked(leash) if leash in ready else None
        if asked is not None:
            self._look()
            if asked["broken"] and ended is not None:
                select.select([ended], [], [], DYING_SECONDS)
        by_itself = self._is_dead()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        _, status, used = os.wait4(self.pid, 0)
        _kill_what_is_left()
        ending = self._ending(why, status, used, by_itself=by_itself) | {"detail": detail}
        return ending | (self._since(asked["since"]) if asked is not None else {})

    def _is_dead(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _look(self) -> bool:
        """Note what is used, keep all to their core; whether it is more memory than there may be."""
        seen = usage.processes() if self.learner else {}
        family = usage.below(self.pid, seen)
        if self.settings["core"] is not None:
            _keep_to(self.settings["core"], family)
        self.times.append(time.monotonic())
        self.busy.append(sum(seen[pid].cpu_seconds for pid in family if pid in seen))
        self.waited.append(usage.waited(self.pid))
        most = self.settings["memory_gib"] * 2**30 + self.settings["warm_bytes"]
        if self.learner and self.settings["isolate"]:
            most -= usage.sockets()
        return usage.memory(family, most) > most

    def _since(self, begin: float) -> dict[str, Any]:
        """What was used since a moment of the monotonic clock, as far as the looks tell."""
        place = max(0, bisect_right(self.times, begin) - 1)
        return {"busy": self.busy[-1] - self.busy[place], "waited": self.waited[-1] - self.waited[place]}

    def _ending(self, why: Why, status: int, used: resource.struct_rusage, *, by_itself: bool) -> dict[str, Any]:
        signalled = os.WIFSIGNALED(status)
        cpu_seconds = used.ru_utime + used.ru_stime
        if not why and signalled and cpu_seconds >= cpu_limit(self.settings):
            why = Why.CPU  # process 1 of a namespace does not get SIGXCPU, only the SIGKILL a second later
        elif not why and by_itself and self.settings["isolate"] and os.WTERMSIG(status) == signal.SIGKILL:
            why = Why.KILLED  # nobody inside can send this to process 1, and it was not us: memory ran out
        return {
            "signal": signal.Signals(os.WTERMSIG(status)).name if signalled else "",
            "code": 0 if signalled else os.WEXITSTATUS(status),
            "why": why,
            "cpu_seconds": cpu_seconds,
            "peak_kib": used.ru_maxrss,
        }


def _asked(leash: socket.socket) -> dict[str, Any] | None:
    """What whoever drops the leash wants to know, if anything: see `process.Started.end`."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(leash.recv(256)))
    return None


def cpu_limit(settings: dict[str, Any]) -> int:
    """CPU time of one process: what a single thread could use, and a little more."""
    return int(settings["total_seconds"]) + 5


def _keep_to(core: int, family: list[int]) -> None:
    """Let some processes run on one core alone. What they begin from then on does so, too; none can undo it.

    Not before the first look: a short submission would pay for the move, and has kept nobody from work.
    """
    for pid in family:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):  # it has ended
                    os.sched_setaffinity(int(thread), {core})


def _kill_what_is_left() -> None:
    """Kill every process below this one; orphans come to us, so a few rounds reach all of them."""
    while left := usage.below(os.getpid())[1:]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
