"""Attacks on the host and on other learners: each succeeds where answers run without a sandbox, and not in one.

What is attacked belongs to the test: files in its folder, a listener and a process that it started.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from .harness import Attack, Played, honest_ones, play, with_honest
from .lesson import HONEST

VIEW = "a sandbox sees the runtime alone, read-only"
NET = "a network of its own, without a device that is up"
CALLS = "system calls that no exercise needs are refused"
ALONE = "namespaces of its own for processes and IPC"
CHILD = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if not child:
    bad = ATTEMPT
    os._exit(ctypes.get_errno() if bad else 0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if code: raise OSError(code, os.strerror(code))
"""
"""Tries a C function in a child; raises its error."""


CASES = [
    # files
    Attack("read-solutions", "the source of the week, with solutions and hidden tests", VIEW,
        "import os\nassert os.listdir('REPO/solutions')", says="No such file"),
    Attack("read-other-learner", "the answers of another learner", VIEW,
        "assert 'secret of ann' in open('FOLDER/submitted/ann.ipynb').read()", says="No such file"),
    Attack("read-gradebook", "everybody's grades", VIEW,
        "assert open('FOLDER/gradebook.db', 'rb').read(6) == b'SQLite'", says="No such file"),
    Attack("write-gradebook", "points of one's own choice", "only the grader writes, and a sandbox sees no gradebook",
        "import sqlite3\nbook = sqlite3.connect('FOLDER/gradebook.db')\n"
        "book.execute('update grade set points = points + 100')\nbook.commit()", says="unable to open"),
    Attack("read-users", "the names of the users of the machine", VIEW,
        "assert 'root' in open('/etc/passwd').read()", says="No such file|Permission denied"),
    Attack("write-checks", "checks that accept everything, for everybody graded later", VIEW,
        "open(checks.__file__, 'r+').close()", says="Read-only|Permission denied"),
    Attack("write-packages", "a library that acts for the attacker when the grader imports it", VIEW,
        "import msgpack\nopen(msgpack.__file__, 'r+').close()", says="Read-only|Permission denied"),
    Attack("replace-the-folder", "the grader removes what a link in place of the working folder points to",
        "the working folder is a private /tmp that goes with the process",
        "import os\nhere = os.getcwd()\nos.rename(here, here + '-moved')\nos.symlink('FOLDER/solutions', here)",
        off="INFRA INFRA", proof="symbolic link", says="Read-only|busy"),
    Attack("environment", "secrets in the grader's environment variables, which its process still has",
        "few variables are handed down, and a sandbox sees no process above it",
        "import os\npid = os.getpid()\nwhile True:\n"
        "    parts = open(f'/proc/{pid}/environ', 'rb').read().split(b'\\0')\n"
        "    if {part.split(b'=')[0].decode() for part in parts} - {'', *os.environ}: break\n"
        "    pid = int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])", says="No such file"),
    # network
    Attack("tcp", "a connection that carries the hidden tests out", NET,
        "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)", says="Network is unreachable"),
    Attack("udp", "a question to a name server that carries data out", NET,
        "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'hidden.test', ('127.0.0.1', PORT))",
        says="Network is unreachable"),
    Attack("abstract-socket", "a talk with programs of the host that listen without a file", NET,
        "import socket\nsocket.socket(socket.AF_UNIX).connect(chr(0) + 'TOKEN')", says="refused"),
    Attack("netlink", "a talk with the kernel's network configuration", CALLS,
        "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", says="Address family not supported"),
    # processes
    Attack("proc", "command lines, environments and memory of other processes", "/proc is empty",
        "assert b'sleep' in open('/proc/WITNESS/cmdline', 'rb').read()", says="No such file"),
    Attack("kill-another", "the end of another program of the user's", ALONE,
        "import os\nos.kill(VICTIM, 9)", says="No such process"),
    Attack("kill-parent", "the end of what watches the submission", ALONE,
        "import os\nparent = os.getppid()\nif not parent: raise OSError('no parent')\nos.kill(parent, 9)",
        off="INFRA INFRA", proof="keeper", says="no parent"),
    Attack("ptrace", "control over another process", CALLS, CHILD.replace("ATTEMPT", "libc.ptrace(0, 0, 0, 0)"),
        says="not permitted"),
    Attack("unshare", "a user namespace in which it is root", CALLS,
        CHILD.replace("ATTEMPT", "libc.unshare(0x10000000)"), says="not permitted"),
    Attack("clone", "the same through clone", CALLS,
        "import ctypes, os, platform\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "number = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\n"
        "child = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)\nif child == 0: os._exit(0)\n"
        "if child < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\nos.waitpid(child, 0)",
        says="not permitted"),
    Attack("mount", "other files in place of the system's", CALLS, CHILD.replace(
        "ATTEMPT", "(libc.unshare(0x10020000), libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None))[1]"),
        says="not permitted"),
    Attack("new-privileges", "the rights of the owner of a setuid program", "no new privileges, for ever",
        "import ctypes\nif ctypes.CDLL(None).prctl(39, 0, 0, 0, 0): raise OSError('no new privileges')",
        says="no new privileges"),
    Attack("terminal", "a terminal, to type into the instructor's", "five harmless devices are all there are",
        "import os\nos.openpty()", says="stopped:"),
    # what the next learner finds
    Attack("left-in-tmp", "answers left for a friend who is graded later", "a /tmp of its own, which goes with it",
        "open('/tmp/TOKEN', 'w').write('number + number')",
        then="import os\nassert open('/tmp/TOKEN').read()\nos.remove('/tmp/TOKEN')", says="No such file"),
    Attack("left-in-shm", "answers left in shared memory", "a /dev/shm of its own",
        "open('/dev/shm/TOKEN', 'w').write('x')",
        then="import os\nassert open('/dev/shm/TOKEN').read()\nos.remove('/dev/shm/TOKEN')", says="No such file"),
    Attack("left-in-ipc", "answers left in a System V segment", ALONE,
        "import ctypes\nassert ctypes.CDLL(None).shmget(KEY, 4096, 0o1600) >= 0",
        then="import ctypes\nlibc = ctypes.CDLL(None)\nsegment = libc.shmget(KEY, 4096, 0)\n"
        "if segment < 0: raise OSError('no segment')\nlibc.shmctl(segment, 0, None)", says="no segment"),
    Attack("left-in-queue", "answers left in a POSIX message queue", ALONE,
        "import ctypes, os\nassert ctypes.CDLL(None).mq_open(b'/TOKEN', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0",
        then="import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "if libc.mq_open(b'/TOKEN', os.O_RDWR) < 0: raise OSError('no queue')\nlibc.mq_unlink(b'/TOKEN')",
        says="no queue"),
]  # fmt: skip


@dataclass
class Host:
    """What is there to be attacked."""

    folder: Path
    port: int
    token: str
    victim: subprocess.Popen[bytes]
    """To be killed."""
    witness: subprocess.Popen[bytes]
    """To be read about, by attacks that run while others kill."""
    before: dict[str, bytes] = field(default_factory=dict)

    def fill(self, code: str) -> str:
        """Put the real targets into an attack."""
        words = {"FOLDER": self.folder, "PORT": self.port, "TOKEN": self.token}
        words |= {"VICTIM": self.victim.pid, "WITNESS": self.witness.pid}
        words |= {"KEY": int.from_bytes(self.token.encode()[-3:], "big"), "REPO": Path(__file__).parents[2]}
        for word, value in words.items():
            code = code.replace(word, str(value))
        return code

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


def a_host(folder: Path, stack: ExitStack) -> Host:
    for name, text in {"solutions/tiny.py": "number + number", "submitted/ann.ipynb": "secret of ann"}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
    with sqlite3.connect(folder / "gradebook.db") as book:
        book.execute("create table grade (points)")
        book.execute("insert into grade values (0)")
    book.close()
    token = f"red-team-{os.getpid()}-{folder.name}"
    listener, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(f"\0{token}")
    unix.listen()
    victim, witness = (subprocess.Popen(["sleep", "300"]) for _ in range(2))
    for clean_up in (victim.wait, victim.kill, witness.wait, witness.kill, unix.close, listener.close):
        stack.callback(clean_up)
    host = Host(folder, listener.getsockname()[1], token, victim, witness)
    host.before = host.files()
    return host


def attack(host: Host, team: Team, plain: Notebooks) -> dict[str, Played]:
    """A class in which everybody attacks, and a second class of those who look for what the first left."""
    first = {case.name: {"double": host.fill(case.answer(case.code))} for case in CASES}
    second = {case.name: {"double": host.fill(case.answer(case.then))} for case in CASES if case.then}
    return play(team, plain, with_honest(first, HONEST)) | play(team, plain, with_honest(second, HONEST))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    with ExitStack() as stack:
        yield {mode: a_host(tmp_path_factory.mktemp(mode), stack) for mode in ("without", "within")}


@pytest.fixture(scope="module")
def off(targets: dict[str, Host], unsafe: Team, plain: Notebooks) -> dict[str, Played]:
    return attack(targets["without"], unsafe, plain)


@pytest.fixture(scope="module")
def on(targets: dict[str, Host], sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return attack(targets["within"], sandbox, plain)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_attack_succeeds_without_a_sandbox_and_is_stopped_in_one(
    case: Attack, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts("double") == case.off, off[case.name].said
    assert case.proof in off[case.name].said
    assert on[case.name].verdicts("double") == case.on, on[case.name].said
    assert "WON" not in on[case.name].said
    assert re.search(case.says, on[case.name].said)
    assert on[case.name].graded.total == 80


def test_the_host_and_honest_learners_are_untouched(
    targets: dict[str, Host], off: dict[str, Played], on: dict[str, Played]
) -> None:
    without, within = targets["without"], targets["within"]
    assert without.victim.poll() is not None, "it could be killed"
    assert within.victim.poll() is None
    changed = {path for path, content in without.files().items() if content != without.before[path]}
    assert changed == {str(without.folder / "gradebook.db")}, "it could be written"
    assert within.files() == within.before
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))


DAEMON = """
import os, sys
ready, said = os.pipe()
if not os.fork():
    os.setsid()
    if not os.fork():
        os.set_inheritable(said, False)
        for number in (0, 1, 2): os.dup2(os.open('/dev/null', os.O_RDWR), number)
        os.execv('/usr/bin/sleep', ['sleep', 'SECONDS'])
    os._exit(0)
os.close(said)
os.read(ready, 1)
print('the daemon runs')
"""


def sleepers(seconds: str) -> list[int]:
    """Processes of the whole machine that sleep for this long."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_a_daemon_outlives_a_plain_process_and_not_a_sandbox(sandbox: Team, plain: Notebooks) -> None:
    """Two forks and a session of its own: what is left is killed with the namespace."""
    seconds = f"300.{os.getpid()}"
    code = DAEMON.replace("SECONDS", seconds)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
    (survivor,) = sleepers(seconds)
    os.kill(survivor, 9)
    seconds = f"301.{os.getpid()}"
    learner = HONEST | {"double": DAEMON.replace("SECONDS", seconds) + HONEST["double"]}
    played = play(sandbox, plain, {"daemon": learner})["daemon"]
    assert played.graded.total == 80
    assert "the daemon runs" in played.shown
    assert sleepers(seconds) == []
