"""The filter of system calls, step by step, for both machines: what it allows, refuses and ends."""

from __future__ import annotations

import errno
import socket
import struct
import sys

import pytest

from autograder.engine.guest.system_calls import (
    CLONE3,
    FIRST_UNKNOWN,
    FORBIDDEN,
    PRCTL,
    SOCKET,
    IsolationError,
    system_call_filter,
)

NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}

ALLOWED, KILLED = 0x7FFF0000, 0x80000000


def refused(error: int) -> int:
    return 0x00050000 | error


def answer_of(machine: str, number: int, arguments: tuple[int, ...] = (), audit: int | None = None) -> int:
    """What the filter says to a system call: a small interpreter of classic BPF."""
    audit = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine] if audit is None else audit
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, audit, 0x1234, *padded)
    program = system_call_filter(machine)
    place = accumulator = 0
    for _ in range(len(program)):
        code, if_true, if_false, operand = program[place]
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        match code:
            case 0x20:  # load the word at an offset
                accumulator = struct.unpack_from("<I", data, operand)[0]
                place += 1
            case 0x15:
                place += 1 + (if_true if accumulator == operand else if_false)
            case 0x35:
                place += 1 + (if_true if accumulator >= operand else if_false)
            case 0x45:
                place += 1 + (if_true if accumulator & operand else if_false)
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"an unknown step {code:#x}")
    raise AssertionError("the program has no end")


BOTH = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
HARMLESS = {"x86_64": {"read": 0, "execve": 59, "fork": 57, "exit": 60}, "aarch64": {"read": 63, "execve": 221}}
NUMBERS = {  # from the kernel's own tables
    "x86_64": {
        "ptrace": 101,
        "unshare": 272,
        "mount": 165,
        "bpf": 321,
        "setns": 308,
        "clone": 56,
        "socket": 41,
        "mmap": 9,
        "prctl": 157,
        "fcntl": 72,
        "setsockopt": 54,
        "semget": 64,
        "msgget": 68,
        "mq_open": 240,
        "epoll_create1": 291,
        "inotify_init1": 294,
        "fanotify_init": 300,
        "io_setup": 206,
        "seccomp": 317,
        "syslog": 103,
        "sched_setaffinity": 203,
        "sched_setscheduler": 144,
        "sched_setattr": 314,
        "setpriority": 141,
        "ioprio_set": 251,
    },
    "aarch64": {
        "ptrace": 117,
        "unshare": 97,
        "mount": 40,
        "bpf": 280,
        "setns": 268,
        "clone": 220,
        "socket": 198,
        "mmap": 222,
        "prctl": 167,
        "fcntl": 25,
        "setsockopt": 208,
        "semget": 190,
        "msgget": 186,
        "mq_open": 180,
        "epoll_create1": 20,
        "inotify_init1": 26,
        "fanotify_init": 262,
        "io_setup": 0,
        "seccomp": 277,
        "syslog": 116,
        "sched_setaffinity": 122,
        "sched_setscheduler": 119,
        "sched_setattr": 274,
        "setpriority": 140,
        "ioprio_set": 30,
    },
}


@BOTH
def test_the_filter_allows_what_is_not_listed(machine: str) -> None:
    column = ["x86_64", "aarch64"].index(machine)
    by_arguments = {SOCKET[column], PRCTL[column]}
    listed = {numbers[column] for numbers in (*FORBIDDEN.values(), CLONE3)} | by_arguments
    for number in set(range(FIRST_UNKNOWN)) - listed:
        assert answer_of(machine, number) == ALLOWED, number
    assert {answer_of(machine, number) for number in HARMLESS[machine].values()} == {ALLOWED}


@BOTH
def test_calls_newer_than_the_table_are_answered_as_an_older_kernel_does(machine: str) -> None:
    """fchmodat2 (452) is the last that is known; statmount (457) and mseal (462) came later."""
    assert answer_of(machine, 452) == ALLOWED
    for number in (453, 457, 462, 500, 0x3FFFFFFF):
        assert answer_of(machine, number) == refused(errno.ENOSYS), number


@BOTH
def test_the_filter_refuses_what_is_listed(machine: str) -> None:
    column = ["x86_64", "aarch64"].index(machine)
    for name, numbers in FORBIDDEN.items():
        assert answer_of(machine, numbers[column]) == refused(errno.EPERM), name
    assert set(NUMBERS[machine]) - set(FORBIDDEN) == {"clone", "socket", "mmap", "prctl", "fcntl", "setsockopt"}
    for name in set(NUMBERS[machine]) & set(FORBIDDEN):
        assert answer_of(machine, NUMBERS[machine][name]) == refused(errno.EPERM), name
    assert answer_of(machine, 435) == refused(errno.ENOSYS), "clone3: its flags cannot be read"


@BOTH
def test_the_filter_ends_a_process_that_speaks_for_another_machine(machine: str) -> None:
    i386, arm = 0x40000003, 0x40000028
    for audit in (i386, arm, 0):
        assert answer_of(machine, 0, audit=audit) == KILLED
    assert answer_of(machine, 0x40000000) == KILLED, "x32"
    assert answer_of(machine, 0x40000000 | 101) == KILLED, "ptrace by x32"
    assert answer_of(machine, 0xFFFFFFFF) == KILLED


@BOTH
def test_the_filter_reads_the_flags_of_clone(machine: str) -> None:
    clone = NUMBERS[machine]["clone"]
    thread = 0x3D0F00  # what libc gives for a thread
    assert answer_of(machine, clone, (thread,)) == ALLOWED
    assert answer_of(machine, clone, (17,)) == ALLOWED, "fork"
    for name, flag in NAMESPACES.items():
        assert answer_of(machine, clone, (flag | 17,)) == refused(errno.EPERM), name
    assert answer_of(machine, clone, (17, 0x10000000)) == ALLOWED, "only the first argument holds flags"
    memory, vfork = 0x100, 0x4000
    assert answer_of(machine, clone, (memory | vfork | 17,)) == ALLOWED, "subprocess"
    assert answer_of(machine, clone, (memory | 17,)) == refused(errno.EPERM), "two processes with one memory"


@BOTH
def test_the_filter_reads_the_flags_of_mmap(machine: str) -> None:
    number = NUMBERS[machine]["mmap"]
    shared, private, anonymous, fixed = 0x01, 0x02, 0x20, 0x10
    for flags in (private, private | anonymous, private | anonymous | fixed, shared, shared | fixed):
        assert answer_of(machine, number, (0, 4096, 3, flags, 0xFFFFFFFF)) == ALLOWED, flags
    huge = 0x40000
    for flags in (private | anonymous | huge, shared | huge, private | anonymous | huge | 21 << 26):
        assert answer_of(machine, number, (0, 4096, 3, flags, 0xFFFFFFFF)) == refused(errno.EPERM), flags
    for flags in (shared | anonymous, shared | private | anonymous, shared | anonymous | fixed):
        assert answer_of(machine, number, (0, 4096, 3, flags, 0xFFFFFFFF)) == refused(errno.EPERM), flags


@BOTH
def test_the_filter_reads_the_family_of_a_socket(machine: str) -> None:
    number = NUMBERS[machine]["socket"]
    allowed = {family for family in range(64) if answer_of(machine, number, (family,)) == ALLOWED}
    assert allowed == {1, 2, 10}
    others = {answer_of(machine, number, (family,)) for family in range(64) if family not in allowed}
    assert others == {refused(errno.EAFNOSUPPORT)}


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(IsolationError, match="no table of system calls for riscv64"):
        system_call_filter("riscv64")


@BOTH
def test_the_filter_reads_what_a_process_says_about_itself(machine: str) -> None:
    """By the kernel's own numbers of prctl."""
    number = NUMBERS[machine]["prctl"]
    done = 0x00050000
    assert answer_of(machine, number, (1, 0)) == done, "PR_SET_PDEATHSIG: everything ends with the sandbox anyway"
    allowed = {option for option in range(200) if answer_of(machine, number, (option,)) == ALLOWED}
    names_and_questions = {2, 3, 7, 15, 16, 21, 23, 27, 29, 30, 34, 37, 38, 39, 40, 41, 42, 47, 51, 52, 54, 56}
    assert allowed == names_and_questions
    for name, option in {
        "PR_SET_DUMPABLE": 4,
        "PR_SET_SECCOMP": 22,
        "PR_SET_MM": 35,
        "PR_SET_CHILD_SUBREAPER": 36,
        "PR_SCHED_CORE": 62,
        "PR_SET_MEMORY_MERGE": 67,
        "PR_FUTEX_HASH": 78,
        "PR_SET_PTRACER": 0x59616D61,
    }.items():
        assert answer_of(machine, number, (option,)) == refused(errno.EPERM), name


@BOTH
def test_the_filter_reads_what_is_done_with_a_file(machine: str) -> None:
    number = NUMBERS[machine]["fcntl"]
    done = 0x00050000
    for name, command in {"F_DUPFD": 0, "F_SETFD": 2, "F_SETFL": 4, "F_GETLK": 5, "F_DUPFD_CLOEXEC": 1030}.items():
        assert answer_of(machine, number, (3, command)) == ALLOWED, name
    for name, command in {"F_SETLK": 6, "F_SETLKW": 7, "F_OFD_SETLK": 37, "F_OFD_SETLKW": 38}.items():
        assert answer_of(machine, number, (3, command)) == done, name
    for name, command in {"F_SETLEASE": 1024, "F_NOTIFY": 1026, "F_SETPIPE_SZ": 1031}.items():
        assert answer_of(machine, number, (3, command)) == refused(errno.EPERM), name


@BOTH
def test_the_filter_reads_the_options_of_a_socket(machine: str) -> None:
    number, level = NUMBERS[machine]["setsockopt"], socket.SOL_SOCKET
    if sys.platform == "linux":
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33, 26, 50):
            assert answer_of(machine, number, (3, level, option)) == refused(errno.EPERM), option
        for option in (socket.SO_REUSEADDR, socket.SO_KEEPALIVE, socket.SO_PASSCRED):
            assert answer_of(machine, number, (3, level, option)) == ALLOWED, option
    tcp = 6
    assert answer_of(machine, number, (3, tcp, 7)) == ALLOWED, "another level, where 7 means something else"
