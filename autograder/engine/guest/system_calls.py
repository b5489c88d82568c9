"""Which system calls a learner's process may make: a seccomp filter, for x86-64 and arm64.

What is refused no exercise needs: a kernel's most powerful corners; memory of the kernel's that belongs to no process,
so that nobody could count it; ways to hide from whoever watches; ways to take processors from others.
"""

from __future__ import annotations

from collections.abc import Iterable

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP = 0x02000000
CLONE_VM, CLONE_VFORK, CLONE_THREAD = 0x00000100, 0x00004000, 0x00010000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38

# By number: x86-64, arm64. Where arm64 has only the newer one of two calls, its number stands twice.
FORBIDDEN = {
    # other processes, other views of the system, the kernel's most powerful corners
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
    "kexec_file_load": (320, 294),
    "personality": (135, 92),
    "vmsplice": (278, 75),
    "pidfd_getfd": (438, 438),
    "seccomp": (317, 277),
    "syslog": (103, 116),  # what the host's kernel says
    # memory that belongs to no process
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "epoll_create": (213, 20),  # a file can be watched thousands of times
    "epoll_create1": (291, 20),
    "inotify_init": (253, 26),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "io_setup": (206, 0),  # out of one store for the whole machine
    # processors that belong to others
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
}
CLONE, CLONE3, SOCKET, MMAP = (56, 220), (435, 435), (41, 198), (9, 222)
PRCTL, FCNTL, SETSOCKOPT = (157, 167), (72, 25), (54, 208)
FIRST_UNKNOWN = 453
"""From here on numbers are newer than this table, the same on both machines, and answered as an older kernel does."""
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> column of the numbers above, and how the kernel's audit names it."""
NEW_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP
)
SOCKET_FAMILIES = (1, 2, 10)
"""Unix, IPv4 and IPv6: the last two lead nowhere in an empty network. Others reach into the kernel or the host."""
MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB = 0x01, 0x20, 0x40000
PRCTL_OPTIONS = {
    *(2, 3, 7, 16, 21, 23, 27, 30, 34, 37, 39, 40, 42, 47, 51, 52, 54, 56),  # questions, or fewer rights
    *(15, 29, 38, 41, 0x53564D41),  # names of a thread and of memory, timer slack, no new privileges, no huge pages
}
"""What a process may ask or say about itself. Others make it unreadable or free of whoever watches it, or take memory
of the kernel's or a whole core; new ones are made every year."""
LOCKS = (6, 7, 37, 38)
"""fcntl: locks on parts of a file (F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW), of which a file can have millions."""
FCNTL_REFUSED = (1024, 1026, 1031)
"""fcntl: F_SETLEASE, F_NOTIFY; F_SETPIPE_SZ takes from what all processes of a user have together."""
SOL_SOCKET = 1
SOCKET_OPTIONS_REFUSED = (7, 8, 26, 32, 33, 50, 51, 52)
"""Larger buffers, and programs that the kernel translates and keeps."""
DONE, EPERM, ENOSYS, EAFNOSUPPORT = 0, 1, 38, 97


class IsolationError(Exception):
    """The system does not give what a sandbox needs."""


Step = tuple[int, int, int, int]
"""Classic BPF: code, jump if true, jump if false, operand."""
LOAD, EQUAL, AT_LEAST, ANY_BIT, ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW: Step = (ANSWER, 0, 0, 0x7FFF0000)
KILL: Step = (ANSWER, 0, 0, 0x80000000)
NUMBER, AUDIT, ARGUMENTS = 0, 4, 16
"""Where the filter finds the number of the call, the machine, the first of six arguments of eight bytes."""


def answer(error: int) -> Step:
    """The call is not made, and gives this error; none with `DONE`, as if it had been made."""
    return (ANSWER, 0, 0, 0x00050000 | error)


def argument(number: int) -> Step:
    return (LOAD, 0, 0, ARGUMENTS + 8 * number)


def each(values: Iterable[int], then: Step) -> list[Step]:
    """An answer to each of these values; with any other the program goes on."""
    return [step for value in values for step in ((EQUAL, 0, 1, value), then)]


def system_call_filter(machine: str) -> list[Step]:
    """The seccomp program for this machine.

    Raises
    ------
    IsolationError
        for a machine without a table.
    """
    if machine not in MACHINES:
        raise IsolationError(f"no table of system calls for {machine}")
    column, audit = MACHINES[machine]
    program = [(LOAD, 0, 0, AUDIT), (EQUAL, 1, 0, audit), KILL]  # another machine's numbers: end the process
    program += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, 0x40000000), KILL]  # x32, with numbers of its own
    program += [(AT_LEAST, 0, 1, FIRST_UNKNOWN), answer(ENOSYS)]
    for numbers in FORBIDDEN.values():
        program += [(EQUAL, 0, 1, numbers[column]), answer(EPERM)]
    program += [(EQUAL, 0, 1, CLONE3[column]), answer(ENOSYS)]  # its flags lie in memory; libc falls back to clone
    for numbers, steps in by_arguments().items():
        program += [(EQUAL, 0, len(steps), numbers[column]), *steps]
    return [*program, ALLOW]


def by_arguments() -> dict[tuple[int, int], list[Step]]:
    """Numbers of a call -> steps that answer it by its arguments."""
    return {
        # two processes with one memory could each end before the other is seen; a vfork waits, a thread is not one
        CLONE: [
            *(argument(0), (ANY_BIT, 0, 1, NEW_NAMESPACE), answer(EPERM)),
            *((ANY_BIT, 0, 2, CLONE_VM), (ANY_BIT, 1, 0, CLONE_THREAD | CLONE_VFORK), answer(EPERM), ALLOW),
        ],
        # pages of a shared mapping without a file stay when the process forgets them, and then nobody counts them;
        # those of MAP_HUGETLB are counted with no process
        MMAP: [
            *(argument(3), (ANY_BIT, 3, 0, MAP_HUGETLB)),
            *((ANY_BIT, 0, 1, MAP_ANONYMOUS), (ANY_BIT, 1, 0, MAP_SHARED), ALLOW, answer(EPERM)),
        ],
        SOCKET: [argument(0), *each(SOCKET_FAMILIES, ALLOW), answer(EAFNOSUPPORT)],
        # everything ends with the sandbox anyway, so who asks to end with its parent is not disappointed
        PRCTL: [
            *(argument(0), *each([PR_SET_PDEATHSIG], answer(DONE))),
            *(*each(sorted(PRCTL_OPTIONS), ALLOW), answer(EPERM)),
        ],
        # nobody else can open a learner's files: a lock is as good as there, and databases go on
        FCNTL: [argument(1), *each(LOCKS, answer(DONE)), *each(FCNTL_REFUSED, answer(EPERM)), ALLOW],
        SETSOCKOPT: [
            *(argument(1), (EQUAL, 1, 0, SOL_SOCKET), ALLOW),
            *(argument(2), *each(SOCKET_OPTIONS_REFUSED, answer(EPERM)), ALLOW),
        ],
    }
