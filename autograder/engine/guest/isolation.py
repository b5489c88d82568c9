"""Shut a process in: own namespaces, private folders, no capabilities, no dangerous system calls, limits.

Linux only. Two steps, since a process cannot move itself into a new PID namespace: the keeper calls
`leave_namespaces` and forks; the child, process 1 of its namespace, calls `shut_in` before it reads anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
from typing import Any

from . import system_calls
from .system_calls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    PR_CAPBSET_DROP,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECCOMP,
)
from .system_calls import IsolationError as IsolationError

FIRST_UID = 200_000
"""Started by root, every learner gets a user id of its own from here on."""
PROCESSES = 64
OPEN_FILES = 256
FILE_BYTES = 256 * 2**20
"""The largest file a learner may write, and the size of each of their two folders in memory."""
ADDRESS_ROOM = 4 * 2**30
"""How much more than data a process may map: files, stacks, what allocators reserve and do not use."""
NONE_OF = ("MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE")
"""Limits that are 0: locked memory, message queues, a place before all others. A system may grant them to users."""
SIGNALS = 128
"""Signals and timers that wait."""

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    """A C function that returns 0; `IsolationError` names it otherwise."""
    if getattr(_libc(), name)(*arguments) != 0:
        raise IsolationError(f"{name}: {os.strerror(ctypes.get_errno())}")


def prctl(option: int, value: int) -> None:
    """Linux's prctl. Elsewhere nothing happens."""
    with contextlib.suppress(AttributeError):
        _libc().prctl(option, value, 0, 0, 0)


def leave_namespaces() -> None:
    """Move this process, and all that it forks from now on, into namespaces of their own.

    Raises
    ------
    IsolationError
        when the system refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:  # a user of its own: nothing of root's, and nothing of another learner's, belongs to it
        uid = gid = FIRST_UID + os.getpid()
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        except OSError as error:
            raise IsolationError(f"setresuid: {error.strerror}") from None
        prctl(PR_SET_DUMPABLE, 1)  # else the files below /proc/self would belong to root
    _call("unshare", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWCGROUP)
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    except OSError as error:
        raise IsolationError(f"/proc/self: {error.strerror}") from None


def shut_in(memory_bytes: int, cpu_seconds: int) -> None:
    """The rest, in process 1 of the new namespace: folders, limits, capabilities, system calls.

    Raises
    ------
    IsolationError
        when the system refuses any of it.
    """
    limit(memory_bytes, cpu_seconds)  # reads /proc, which is empty from here on
    _limit_what_belongs_to_nobody(memory_bytes)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # when memory runs out, this goes first
    except OSError as error:
        raise IsolationError(f"oom_score_adj: {error.strerror}") from None
    _call("unshare", CLONE_NEWNS)
    _call("mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    flags = MS_NOSUID | MS_NODEV
    below = [path for path in sorted({sys.prefix, sys.base_prefix}) if path.startswith("/tmp/")]
    python = {path: os.open(path, os.O_PATH) for path in below}
    for folder in (b"/tmp", b"/dev/shm"):
        options = b"mode=0700,nr_inodes=4096,size=%d" % FILE_BYTES
        _call("mount", b"tmpfs", folder, b"tmpfs", ctypes.c_ulong(flags), options)
    for path, number in python.items():  # an environment that lies in /tmp is seen there again
        os.makedirs(path)
        source = f"/proc/self/fd/{number}".encode()
        _call("mount", source, path.encode(), None, ctypes.c_ulong(MS_BIND | MS_REC), None)
        os.close(number)
    options = b"mode=0555,nr_inodes=1,size=4096"
    _call("mount", b"tmpfs", b"/proc", b"tmpfs", ctypes.c_ulong(flags | MS_NOEXEC | MS_RDONLY), options)
    os.chdir("/tmp")
    resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
    _drop_capabilities()
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _filter_system_calls()


def limit(memory_bytes: int, cpu_seconds: int, open_files: int = OPEN_FILES) -> None:
    """Limits that need no namespace: memory beyond what is in use now, CPU time, size of files, open files, no core."""
    memory = _size_now("VmData") + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    open_files = open_files if allowed == resource.RLIM_INFINITY else min(open_files, allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_what_belongs_to_nobody(memory_bytes: int) -> None:
    """Limits of what a kernel keeps for processes: addresses, for they cost page tables; signals; and none of some."""
    addresses = _size_now("VmSize") + memory_bytes + ADDRESS_ROOM
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (SIGNALS, SIGNALS))
    for name in NONE_OF:
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (0, 0))


def _size_now(name: str) -> int:
    """A size of this process now, in bytes: `VmData` is what RLIMIT_DATA counts, `VmSize` what RLIMIT_AS counts.

    0 where it cannot be read.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def _drop_capabilities() -> None:
    for number in range(64):
        _libc().prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call("capset", header, struct.pack("=6I", *[0] * 6))


def _filter_system_calls() -> None:
    program = b"".join(struct.pack("=HBBI", *step) for step in system_calls.system_call_filter(platform.machine()))
    code = ctypes.create_string_buffer(program, len(program))
    filled = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if _libc().prctl(PR_SET_SECCOMP, 2, filled, 0, 0) != 0:
        raise IsolationError(f"seccomp: {os.strerror(ctypes.get_errno())}")
