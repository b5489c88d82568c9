"""Memory that no limit of a process counts, and ways to hide memory from whoever watches.

With the defense off: there is no sandbox, or the limit of memory is raised.
"""

from __future__ import annotations

import re

import pytest

from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from . import lesson
from .harness import Attack, Case, Played, honest_ones, play, with_honest
from .lesson import HONEST
from .test_resources import last

STORE = "a call that makes the kernel keep memory for nobody is refused"
FEW = "a limit of what the kernel keeps for a process"
SEEN = "a process cannot say that it wants to be unreadable, alone or its own master"
WATCHED = "the keeper counts it, from outside"
CALL = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *arguments):
    number = {'x86_64': x86, 'aarch64': arm}[platform.machine()]
    found = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
"""


def said(option: int, value: int, read: str) -> str:
    """Code that says something about the process by prctl, and looks whether it holds."""
    return (
        CALL + f"if libc.prctl({option}, {value}, 0, 0, 0): raise OSError(ctypes.get_errno(), 'not permitted')\n{read}"
    )


STORES = [
    Attack("semaphores", "32,000 sets of semaphores, a gigabyte", STORE,
        CALL + "libc.semctl(call(64, 190, 0, 100, 0o1600), 0, 0)  # nothing stays", says="not permitted"),
    Attack("message-queues", "queues of messages that nobody reads", STORE,
        CALL + "libc.msgctl(call(68, 186, 0, 0o1600), 0, None)", says="not permitted"),
    Attack("posix-queues", "the same by POSIX's queues", STORE,
        CALL + "name = f'/red-team-{os.getpid()}'.encode()\n"
        "if libc.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None) < 0:\n"
        "    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\nlibc.mq_unlink(name)",
        says="not permitted"),
    Attack("epoll", "millions of watched files, out of what a user may have in all programs", STORE,
        "import os, select\npolls, (end, _) = [select.epoll() for _ in range(50)], os.pipe()\n"
        "for poll in polls:\n    for number in range(150, 200):\n        poll.register(os.dup2(end, number))\n"
        "        os.close(number)", says="not permitted"),
    Attack("inotify", "every watch that a user may have in all programs", STORE,
        CALL + "call(294, 26, 0)", says="not permitted"),
    Attack("aio", "the machine's one store of asynchronous operations", STORE,
        CALL + "place = ctypes.c_long(0)\ncall(206, 0, 1000, ctypes.addressof(place))", says="not permitted"),
    Attack("large-pipes", "all pages that a user's pipes may have", STORE,
        "import fcntl, os\nfor _ in range(20): fcntl.fcntl(os.pipe()[0], 1031, 2**20)", says="not permitted"),
    Attack("large-socket-buffers", "more that is sent and not read", STORE,
        "import socket\none, other = socket.socketpair()\none.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)",
        says="not permitted"),
    Attack("socket-programs", "all memory for programs that the kernel translates, which other sandboxes need", STORE,
        CALL + "import socket, struct\nprogram = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 1))\n"
        "filter = struct.pack('@HP', 1, ctypes.addressof(program))\n"
        "socket.socketpair()[0].setsockopt(socket.SOL_SOCKET, 26, filter)", says="not permitted"),
    Attack("record-locks", "millions of locks on one file", "locks are answered as if they were there",
        "import fcntl, os\nfile = open('locked', 'wb')\n"
        "for place in range(0, 2000, 2): fcntl.lockf(file, fcntl.LOCK_EX, 1, place)\nif not os.fork():\n"
        "    try: fcntl.lockf(open('locked', 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)\n"
        "    except OSError: os._exit(1)\n    os._exit(0)\nif not os.wait()[1]: raise OSError('no lock is there')",
        says="no lock is there"),
    Attack("locked-memory", "memory that the machine cannot put aside", FEW,
        CALL + "block = ctypes.create_string_buffer(2**20)\nif libc.mlock(block, 2**20):\n"
        "    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))", says="not permitted|allocate memory"),
    Attack("waiting-signals", "signals that nobody takes", FEW,
        CALL + "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [40])\n"
        "for _ in range(1000):\n    if libc.sigqueue(os.getpid(), 40, 0):\n"
        "        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))", says="temporarily unavailable"),
    Attack("timers", "timers that nobody waits for", FEW,
        CALL + "place = ctypes.c_long(0)\nfor _ in range(1000): call(222, 107, 1, 0, ctypes.addressof(place))",
        says="temporarily unavailable"),
    Attack("addresses", "a page table of gigabytes, for pages of nothing but zeros", FEW,
        "import mmap\nblock = mmap.mmap(-1, 2**36, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)\n"
        "for place in range(0, 2**30, 2**21): block[place]", says="Cannot allocate memory"),
    Attack("hard-links", "names of a file without end", "a link counts as a file in a /tmp of 4096",
        "import os\nopen('one', 'w').close()\nfor n in range(5000): os.link('one', f'link-{n}')",
        says="No space left"),
    # hiding
    Attack("unreadable", "memory that counts as nothing, since nobody may look at it", SEEN,
        said(4, 0, "assert libc.prctl(3, 0, 0, 0, 0) == 0"), says="not permitted"),
    Attack("outlive-the-keeper", "a life that goes on when the keeper is killed", SEEN,
        said(1, 0, "import signal\nfound = ctypes.c_int(9)\nlibc.prctl(2, ctypes.byref(found), 0, 0, 0)\n"
        "if found.value: raise OSError('it still ends with its keeper')"), says="ends with its keeper"),
    Attack("own-orphans", "children that come to it, not to their keeper", SEEN, said(36, 1, ""),
        says="not permitted"),
    Attack("filter-of-its-own", "system calls that are answered by a process of its own", SEEN,
        CALL + "import struct\nprogram = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0x7FFF0000))\n"
        "filled = ctypes.create_string_buffer(struct.pack('@HP', 1, ctypes.addressof(program)))\n"
        "assert not libc.prctl(38, 1, 0, 0, 0)\ncall(157, 167, 22, 2, ctypes.addressof(filled), 0, 0)",
        says="not permitted"),
    Attack("one-memory-for-two", "a memory that goes from process to process faster than anybody looks", SEEN,
        CALL + "child = os.fork()\nif not child:\n"
        "    try: call(56, 220, 0x100 | 17, 1, 0, 0, 0)  # its first step fails: it has no stack\n"
        "    except OSError: os._exit(1)\n    os._exit(0)\n"
        "if os.waitpid(child, 0)[1]: raise OSError('one memory each')", says="one memory each"),
]  # fmt: skip
GROW = "block = bytearray(b'x') * (120 * 2**20)\n"
HIDDEN = [
    Case("unread-messages", "gigabytes that were sent and not read", WATCHED,
        "import os, socket\nkept = []\nfor _ in range(4):\n    if not os.fork():\n        for _ in range(110):\n"
        "            pair = socket.socketpair()\n            kept.append(pair)\n            for one in pair:\n"
        "                one.setblocking(False)\n                try:\n"
        "                    while True: one.send(bytes(2**15))\n                except BlockingIOError: pass\n"
        f"        {last(3).replace(chr(10), chr(10) + ' ' * 8)}\n        os._exit(0)\n" + last(3) + HONEST["double"],
        on="OOM OOM"),
    Case("unreadable-program", "memory of a program that may be run and not read", WATCHED,
        "import os, shutil, sys\nprogram = shutil.copy(os.path.realpath(sys.executable), '/tmp/program')\n"
        f"os.chmod(program, 0o111)\ncode = '''import time\n{GROW}time.sleep(2)'''\n"
        "kept = [os.spawnve(os.P_NOWAIT, program, ['p', '-S', '-c', code], {'PYTHONHOME': sys.base_prefix})\n"
        "        for _ in range(4)]\n" + last(3) + HONEST["double"], on="OOM OOM"),
    Case("a-name-like-fields", "a process whose parent cannot be found, by a name with brackets and lines", WATCHED,
        "import ctypes, os\nctypes.CDLL(None).prctl(15, b') 1\\n(x) S 0', 0, 0, 0)\nfor _ in range(4):\n"
        f"    if not os.fork():\n        {GROW}"
        f"        {last(3).replace(chr(10), chr(10) + ' ' * 8)}\n        os._exit(0)\n" + last(3) + HONEST["double"],
        on="OOM OOM"),
    Case("orphans", "processes without the parent that began them", WATCHED,
        "import os\nfor _ in range(4):\n    if not os.fork():\n        os.setsid()\n        if os.fork(): os._exit(0)\n"
        f"        {GROW}        {last(3).replace(chr(10), chr(10) + ' ' * 8)}\n        os._exit(0)\n"
        + last(3) + HONEST["double"], on="OOM OOM"),
    Case("a-stack-for-a-heap", "memory that grows as a stack does, which a limit on data does not count", WATCHED,
        "import mmap\nblock = mmap.mmap(-1, 500 * 2**20, flags=0x122)\n"
        "for place in range(0, 500 * 2**20, 4096): block[place] = 1\n" + last(0.5) + HONEST["double"], on="OOM OOM"),
]  # fmt: skip
CASES = [*STORES, *HIDDEN]


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return lesson.write(tmp_path_factory.mktemp("generous"), lesson.PLAIN, seconds=20, gib=4)


@pytest.fixture(scope="module")
def off(sandbox: Team, unsafe: Team, generous: Notebooks) -> dict[str, Played]:
    raised = play(sandbox, generous, {case.name: {**HONEST, case.exercise: case.code} for case in HIDDEN})
    free = play(unsafe, generous, {case.name: HONEST | {"double": case.answer(case.code)} for case in STORES})
    return raised | free


@pytest.fixture(scope="module")
def on(sandbox: Team, generous: Notebooks, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    small = lesson.write(tmp_path_factory.mktemp("small"), lesson.PLAIN, seconds=20, gib=0.3)
    stores = {case.name: {"double": case.answer(case.code)} for case in STORES}
    hidden = {case.name: {case.exercise: case.code} for case in HIDDEN}
    return play(sandbox, generous, with_honest(stores, HONEST)) | play(sandbox, small, with_honest(hidden, HONEST))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_nobody_counted_is_refused_or_counted(case: Case, off: dict[str, Played], on: dict[str, Played]) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said
    assert case.proof in off[case.name].said
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said
    assert [on[case.name].verdicts(name) for name in HONEST if name != case.exercise] == ["PASS PASS"] * 2
    assert "WON" not in on[case.name].said
    assert re.search(case.says, on[case.name].said), on[case.name].said


def test_honest_learners_get_what_they_get_alone(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))
