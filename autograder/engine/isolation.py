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

FIRST_UID = 200_000
"""Started by root, every learner gets a user id of its own from here on."""
PROCESSES = 64
OPEN_FILES = 256
FILE_BYTES = 256 * 2**20
"""The largest file a learner may write, and the size of each of their two folders in memory."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP, CLONE_NEWTIME = 0x02000000, 0x00000080
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 24, 38, 36


class IsolationError(Exception):
    """The system does not give what a sandbox needs."""


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


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Limits that need no namespace: memory beyond what is in use now, CPU time, size of files, open files, no core."""
    memory = data_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def data_bytes() -> int:
    """The private data of this process now, which RLIMIT_DATA counts; 0 where it cannot be read."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmData"):
                return int(line.split()[1]) * 1024
    return 0


def _drop_capabilities() -> None:
    for number in range(64):
        _libc().prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call("capset", header, struct.pack("=6I", *[0] * 6))


# System calls that no exercise needs, by number: x86-64, arm64. A kernel's newest and most powerful corners.
FORBIDDEN = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "personality": (135, 92),
    "vmsplice": (278, 75),
    "pidfd_getfd": (438, 438),
    "memfd_create": (319, 279),  # memory that belongs to no process, so that nobody counts it
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
}
CLONE, CLONE3, SOCKET, MMAP = (56, 220), (435, 435), (41, 198), (9, 222)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> column of the numbers above, and how the kernel's audit names it."""
NEW_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP
)
SOCKET_FAMILIES = (1, 2, 10)
"""Unix, IPv4 and IPv6: the last two lead nowhere in an empty network. Others reach into the kernel or the host."""
MAP_SHARED, MAP_ANONYMOUS = 0x01, 0x20
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97


def system_call_filter(machine: str) -> list[tuple[int, int, int, int]]:
    """The seccomp program (classic BPF: code, jump if true, jump if false, operand) for this machine.

    Raises
    ------
    IsolationError
        for a machine without a table.
    """
    if machine not in MACHINES:
        raise IsolationError(f"no table of system calls for {machine}")
    column, audit = MACHINES[machine]
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = (answer, 0, 0, 0x7FFF0000), (answer, 0, 0, 0x80000000)

    def refuse(error: int) -> tuple[int, int, int, int]:
        return (answer, 0, 0, 0x00050000 | error)

    program = [(load, 0, 0, 4), (equal, 1, 0, audit), kill]  # another machine's numbers: end the process
    program += [(load, 0, 0, 0), (at_least, 0, 1, 0x40000000), kill]  # x32, with numbers of its own
    for numbers in FORBIDDEN.values():
        program += [(equal, 0, 1, numbers[column]), refuse(EPERM)]
    program += [(equal, 0, 1, CLONE3[column]), refuse(ENOSYS)]  # its flags lie in memory; libc falls back to clone
    program += [(equal, 0, 4, CLONE[column]), (load, 0, 0, 16), (any_bit, 0, 1, NEW_NAMESPACE), refuse(EPERM), allow]
    # pages of a shared mapping without a file stay when the process forgets them, and then nobody counts them
    program += [(equal, 0, 5, MMAP[column]), (load, 0, 0, 40), (any_bit, 0, 2, MAP_ANONYMOUS)]
    program += [(any_bit, 0, 1, MAP_SHARED), refuse(EPERM), allow]
    families = [(equal, len(SOCKET_FAMILIES) - i, 0, family) for i, family in enumerate(SOCKET_FAMILIES)]
    program += [(equal, 0, 2 + len(families), SOCKET[column]), (load, 0, 0, 16), *families, refuse(EAFNOSUPPORT)]
    return [*program, allow]


def _filter_system_calls() -> None:
    program = b"".join(struct.pack("=HBBI", *step) for step in system_call_filter(platform.machine()))
    code = ctypes.create_string_buffer(program, len(program))
    filled = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if _libc().prctl(PR_SET_SECCOMP, 2, filled, 0, 0) != 0:
        raise IsolationError(f"seccomp: {os.strerror(ctypes.get_errno())}")
