"""The warm process: it imports once; every learner and every judge is a fork of it.

    warm process   gets two sockets for each process that is wanted, forks a keeper
      keeper       (in a sandbox) enters new namespaces, forks the child, watches it, kills it, says how it ended
        child      talks over the first socket: a learner's process, or a judge

Run as `python -m autograder.engine.warm SETTINGS`, with the number of an inherited socket, the code to warm
up with and the role in SETTINGS (JSON). It ends when that socket closes, and everything below it with it.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from . import huge_pages, isolation, wire
from .endings import Why
from .shell import make_shell, run_cell, seed_everything

WATCH_SECONDS = 0.1
"""How often a keeper looks at memory."""
MANY_FORKS = 24
"""After so many forks there will be many more: see `huge_pages`."""


# --- the keeper


def _keep(talk: socket.socket, leash: socket.socket, extra: list[socket.socket], role: str, shell: Any) -> None:
    """Serve one process. Never returns."""
    warm = os.getppid()
    with leash.makefile("r", encoding="utf-8") as stream:
        settings = json.loads(stream.readline())
    try:
        if settings["isolate"]:
            isolation.leave_namespaces()
        isolation.prctl(isolation.PR_SET_CHILD_SUBREAPER, 1)
        pid = os.fork()
    except (isolation.IsolationError, OSError) as error:
        ending = {"why": Why.FAULT, "detail": str(error)}
    else:
        if pid == 0:
            leash.close()
            _child(talk, extra, role, settings, shell)
        talk.close()
        for other in extra:
            other.close()
        ending = _watch(pid, leash, warm, settings, family=role == "learner")
    with contextlib.suppress(OSError):
        leash.sendall(json.dumps(ending).encode())
    os._exit(0)


def _watch(pid: int, leash: socket.socket, warm: int, settings: dict[str, Any], *, family: bool) -> dict[str, Any]:
    """Wait until the child ends, the leash is dropped, the warm process is gone or memory runs out; kill everything.

    `family` says whether memory is counted of the processes below the child, too: to find them, all that can be seen
    are looked at. Returns how the child ended.
    """
    why, detail = Why.NOTHING, ""
    ended = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    watched: list[Any] = [leash] if ended is None else [leash, ended]
    most = settings["memory_gib"] * 2**30
    while True:
        ready = select.select(watched, [], [], WATCH_SECONDS)[0]
        if ready or (ended is None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            break
        if os.getppid() != warm:
            why, detail = Why.FAULT, "the warm process is gone"
            break
        if _memory(below(pid) if family else [pid]) > most + settings["warm_bytes"]:
            why = Why.MEMORY
            break
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    _kill_what_is_left()
    signalled = os.WIFSIGNALED(status)
    if not why and signalled and usage.ru_utime + usage.ru_stime >= _cpu_seconds(settings):
        why = Why.CPU  # process 1 of a namespace does not get SIGXCPU, only the SIGKILL a second later
    return {
        "signal": signal.Signals(os.WTERMSIG(status)).name if signalled else "",
        "code": 0 if signalled else os.WEXITSTATUS(status),
        "why": why,
        "detail": detail,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_kib": usage.ru_maxrss,
    }


def _processes() -> dict[int, int]:
    """All processes that can be seen, with their parents."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat", errors="replace") as stat:
            found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
    return found


def below(pid: int) -> list[int]:
    """A process and all below it."""
    parents = _processes()
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def _memory(family: list[int]) -> int:
    """Bytes in use by some processes; pages that they share count once."""
    resident = sum(_field(f"/proc/{one}/statm", 1) * resource.getpagesize() for one in family)
    if len(family) == 1 or resident < 2**30:
        return resident
    return sum(_share(one) for one in family)


def _field(path: str, number: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError), open(path) as file:
        return int(file.read().split()[number])
    return 0


def _share(pid: int) -> int:
    """The proportional share of a process's memory."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    return 0


def _kill_what_is_left() -> None:
    """Kill every process below this one; orphans come to us, so a few rounds reach all of them."""
    while left := below(os.getpid())[1:]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


# --- the child


def _child(
    talk: socket.socket, extra: list[socket.socket], role: str, settings: dict[str, Any], shell: Any
) -> NoReturn:
    """Become a learner's process or a judge. Never returns."""
    try:
        keep = {talk.fileno(), *(other.fileno() for other in extra)}
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        for number in range(3, 256):
            if number not in keep:
                with contextlib.suppress(OSError):
                    os.close(number)
        os.setsid()
        isolation.prctl(isolation.PR_SET_PDEATHSIG, signal.SIGKILL)
        memory, cpu = int(settings["memory_gib"] * 2**30), _cpu_seconds(settings)
        if settings["isolate"]:
            isolation.shut_in(memory, cpu)
        else:
            isolation.limit(memory, cpu)
            os.chdir(settings["folder"])
        sys.path.insert(0, "")  # as in a notebook: a module that a cell wrote can be imported
        seed_everything()
        if role == "learner":
            from .answers import serve

            serve(wire.Channel(talk), shell)
        from .judge import judge

        judge(wire.Channel(talk), extra[0] if extra else None, shell)
    except isolation.IsolationError as error:
        wire.Channel(talk).send(wire.pack(str(error)))
    finally:
        os._exit(70)


def _cpu_seconds(settings: dict[str, Any]) -> int:
    """CPU time of one process: what a single thread could use, and a little more."""
    return int(settings["total_seconds"]) + 5


def _bury() -> None:
    """Wait for the keepers that have ended: the CPU time of a process that nobody waits for is counted nowhere."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


REHEARSAL = ("1", "1 / 0")
"""A first result and a first error import, compile and cache much; what is here before a fork, no child does again."""


def warm_up(code: str) -> tuple[Any, bytes]:
    """Make a shell, import, rehearse, and freeze what there is; returns the shell and a greeting for who started it."""
    gc.disable()  # imports let go of nothing, and Python would look for it again and again
    shell = make_shell()
    exec(compile(code, "<warm-up>", "exec"), {})
    seed_everything()
    for cell in REHEARSAL:
        run_cell(shell, cell)
    shell.reset(new_session=False)
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object, and so copy every page
    gc.enable()
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    used = _field("/proc/self/statm", 1) * resource.getpagesize()
    return shell, json.dumps({"threads": threads, "bytes": used}).encode() + b"\n"


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
            _keep(sockets[0], sockets[1], sockets[2:], role, shell)
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
