"""What a process and all below it use: memory, and CPU time. Read from /proc by whoever watches them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
SCANS = 20
"""How often /proc is read again where a process ended meanwhile, and so those below it have no known parent."""
MANY = 8
"""Processes from which their mappings are counted: one process may have 65,530, of some 250 bytes each."""
MAPPING_BYTES = 256
KEPT = ("VmRSS:", "VmSwap:", "VmPTE:", "HugetlbPages:")
"""Lines of /proc/PID/status: what a process holds, whether it is there or put aside, and the tables to find it."""


@dataclass(frozen=True)
class Process:
    """What /proc/PID/stat says: its parent, and CPU seconds, with those of children that it waited for."""

    parent: int
    cpu_seconds: float


def processes() -> dict[int, Process]:
    """All processes that can be seen."""
    found: dict[int, Process] = {}
    for _ in range(SCANS):
        found = _scan()
        if all(one.parent in found or not one.parent for one in found.values()):
            break
    return found


def _scan() -> dict[int, Process]:
    """The newest first: what begins and ends all the time has the least time to end before it is looked at."""
    found = {}
    names = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else []
    for pid in sorted(map(int, names), reverse=True):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/stat", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()  # a name may hold anything, even what looks like fields
            found[pid] = Process(int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def below(pid: int, seen: Mapping[int, Process] | None = None) -> list[int]:
    """A process and all below it, of those `seen` or of all that can be seen."""
    children: dict[int, list[int]] = {}
    for child, one in (processes() if seen is None else seen).items():
        children.setdefault(one.parent, []).append(child)
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def memory(family: Sequence[int], most: float = 0) -> int:
    """Bytes that some processes hold, page tables and what the kernel keeps for them included.

    Pages that they share count once where that decides whether it is more than `most`: the kernel walks every page for
    it. With each process they count where a process cannot be read so closely.
    """
    kept = [_status(pid) for pid in family]
    mappings = sum(map(_mappings, family)) if len(family) > MANY else 0
    total = sum(sum(one.values()) for one in kept) + mappings
    if len(family) == 1 or total <= most:
        return total
    return sum(_share(pid, one) for pid, one in zip(family, kept, strict=True)) + mappings


def _status(pid: int) -> dict[str, int]:
    """The lines of `KEPT`, in bytes. Everybody may read them, even of a process that lets nobody look into it."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as status:
        words = [line.split() for line in status.read().decode(errors="replace").splitlines()]
        return {line[0]: int(line[1]) * 1024 for line in words if line and line[0] in KEPT}
    return {}


def _share(pid: int, kept: Mapping[str, int]) -> int:
    """What of `kept` is this process's alone, and its part of what it shares; all where that cannot be read."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        shares = [int(line.split()[1]) * 1024 for line in file if line.startswith(("Pss:", "SwapPss:"))]
        if shares:
            return sum({**kept, "VmRSS:": sum(shares), "VmSwap:": 0}.values())
    return sum(kept.values())


def _mappings(pid: int) -> int:
    """What the kernel keeps for the mappings of a process, in bytes."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
        return MAPPING_BYTES * file.read().count(b"\n")
    return 0


def sockets() -> int:
    """The most that the sockets of this process's network can hold, in bytes.

    What was sent and not read lies in no process. A socket stays counted as long as any of it is on its way.
    """
    with contextlib.suppress(OSError, ValueError), open("/proc/self/net/sockstat") as file:
        used = int(file.readline().split()[2])
        with socket.socket(socket.AF_UNIX) as one:
            return used * 2 * one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return 0


def waited(pid: int | str = "self") -> float:
    """Seconds that the first thread of a process was ready to run and had no processor; 0 where that is not told."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9
    return 0.0
