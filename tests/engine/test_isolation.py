"""What code inside a sandbox can reach: nothing but itself. Without the means for sandboxes these tests fail."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.engine import sandbox
from autograder.engine.guest import isolation
from autograder.engine.guest.endings import Why
from autograder.engine.guest.system_calls import CLONE, CLONE3, FORBIDDEN, MACHINES
from autograder.engine.handles import GoneError
from autograder.execution.warm_process import WarmProcess

from ..chosen import ROOT
from ..learners import Living, by_value, living, warmed_up
from ..processes import wait_until
from .test_system_calls import NAMESPACES

by_value(__name__)
SECRET = "WORKBOOK_TEST_SECRET"
MIB = 2**20

OURS = sorted({Path(path).parts[2] for path in (sys.prefix, sys.base_prefix) if path.startswith("/tmp/")})
"""What of this Python is seen in a learner's /tmp: nothing, unless it lies there."""


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    assert sandbox.missing() == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "host")
        with warmed_up(sandboxed=True) as warm:
            yield warm


@pytest.fixture(scope="module")
def inside(warm: WarmProcess) -> Iterator[Callable[..., Any]]:
    """Runs a function inside one sandbox."""
    with living(warm, isolate=True) as one:
        yield one.call


@pytest.fixture
def fresh(warm: WarmProcess) -> Iterator[Living]:
    """A sandbox of the test's own."""
    with living(warm, isolate=True) as one:
        yield one


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def warm_pid(warm: WarmProcess) -> int:
    """The warm process itself, below bubblewrap, which is two processes where an ordinary user starts it."""
    assert warm._process is not None
    (pid,) = children(warm._process.pid)
    while Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"bwrap"):
        (pid,) = children(pid)
    return pid


def learners(warm: WarmProcess) -> list[int]:
    """The learners' processes, by the host's numbers."""
    return [learner for keeper in children(warm_pid(warm)) for learner in children(keeper)]


def error_of(action: Callable[..., Any], *arguments: Any) -> str:
    """The name of the system error that an action ends in; "" when it succeeds."""
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return ""


# processes


def test_a_learner_is_the_first_process_of_a_namespace_and_sees_no_other(inside: Callable[..., Any]) -> None:
    def look() -> Any:
        others = [number for number in range(2, 2**15) if error_of(os.kill, number, 0) != "ESRCH"]
        return os.getpid(), os.getppid(), others, error_of(os.kill, -1, 0), os.listdir("/proc")

    assert inside(look) == (1, 0, [], "ESRCH", [])


def test_a_learner_cannot_signal_what_the_host_runs(inside: Callable[..., Any]) -> None:
    host = os.getpid()
    assert inside(error_of, os.kill, host, 0) == "ESRCH"


def test_a_learner_is_not_root_and_has_no_groups(inside: Callable[..., Any]) -> None:
    real, effective, saved = inside(os.getresuid)
    assert real == effective == saved != 0
    assert 0 not in inside(os.getresgid)
    if os.getuid() == 0:
        assert inside(os.getgroups) == []
        assert real >= isolation.FIRST_UID


def test_two_learners_at_the_same_time_share_nothing(warm: WarmProcess) -> None:
    def leave(text: str) -> None:
        for folder in ("/tmp", "/dev/shm"):
            with open(f"{folder}/{text}", "w") as file:
                file.write(text)

    def listen() -> None:
        import builtins

        builtins.kept = socket.socket(socket.AF_UNIX)  # type: ignore[attr-defined]
        builtins.kept.bind("\0workbook")  # type: ignore[attr-defined]
        builtins.kept.listen()  # type: ignore[attr-defined]

    def look() -> Any:
        with socket.socket(socket.AF_UNIX) as client:
            answer = error_of(lambda: client.connect("\0workbook"))
        return sorted(os.listdir("/tmp")), os.listdir("/dev/shm"), answer, hasattr(__builtins__, "kept")

    with living(warm, isolate=True) as one, living(warm, isolate=True) as other:
        one.learner.call(leave, "one")
        one.learner.call(listen)
        assert one.learner.call(look)[:3] == (sorted([*OURS, "one"]), ["one"], "")
        assert other.learner.call(look) == (OURS, [], "ECONNREFUSED", False)
        if os.getuid() == 0:
            assert one.learner.call(os.getuid) != other.learner.call(os.getuid)


def test_learners_have_namespaces_of_their_own(warm: WarmProcess) -> None:
    """Seen from outside: every kind differs from the host's and from the other learner's."""
    with living(warm, isolate=True) as one, living(warm, isolate=True) as other:
        running = learners(warm)
        assert one.learner.call(os.getpid) == other.learner.call(os.getpid) == 1
        for kind in ("user", "pid", "mnt", "ipc", "net", "uts", "cgroup"):
            found = {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in (*running, "self")}
            assert len(found) == len(running) + 1 >= 3, kind


def test_no_descriptor_but_the_judges_is_open(inside: Callable[..., Any]) -> None:
    def look() -> Any:
        is_open = [number for number in range(1024) if error_of(os.fstat, number) == ""]
        null = os.stat("/dev/null").st_rdev
        return len(is_open), [os.fstat(number).st_rdev == null for number in (0, 1, 2)]

    assert inside(look) == (4, [True, True, True])


# capabilities and system calls


def test_a_learner_has_no_capability_and_can_get_none(inside: Callable[..., Any]) -> None:
    def look() -> Any:
        libc = ctypes.CDLL(None, use_errno=True)
        header, data = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
        assert libc.capget(header, data) == 0
        bounding = [number for number in range(41) if libc.prctl(23, number, 0, 0, 0) != 0]
        ambient = [number for number in range(41) if libc.prctl(47, 1, number, 0, 0) > 0]
        return data.raw, bounding, ambient, libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0)

    no_new_privileges, filtered = 1, 2
    assert inside(look) == (b"\0" * 24, [], [], no_new_privileges, filtered)


def call(number: int, *arguments: int) -> str:
    """The name of the error of a system call; "" when it succeeds."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(value) for value in (*arguments, *[0] * (6 - len(arguments)))]
    if libc.syscall(ctypes.c_long(number), *words) >= 0:
        return ""
    return errno.errorcode[ctypes.get_errno()]


def test_every_system_call_of_the_list_is_refused(inside: Callable[..., Any]) -> None:
    column, _ = MACHINES[platform.machine()]
    numbers = {name: numbers[column] for name, numbers in FORBIDDEN.items()}
    found = inside(lambda: {name: call(number) for name, number in numbers.items()})
    assert found == dict.fromkeys(FORBIDDEN, "EPERM")


def test_new_namespaces_are_refused(inside: Callable[..., Any]) -> None:
    column, _ = MACHINES[platform.machine()]
    unshare, clone, sigchld = FORBIDDEN["unshare"][column], CLONE[column], 17

    def look() -> Any:
        both = {name: (call(unshare, flag), call(clone, flag | sigchld)) for name, flag in NAMESPACES.items()}
        return both, call(CLONE3[column], 0, 0)

    assert inside(look) == (dict.fromkeys(NAMESPACES, ("EPERM", "EPERM")), "ENOSYS")


def test_only_harmless_kinds_of_sockets_exist(inside: Callable[..., Any]) -> None:
    def look() -> Any:
        found = []
        for family in range(46):
            try:
                socket.socket(family, socket.SOCK_DGRAM).close()
            except OSError as error:
                found.append((family, errno.errorcode[error.errno or 0]))
        return dict(found)

    answers = inside(look)
    assert set(range(46)) - set(answers) <= {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
    assert set(answers.values()) == {"EAFNOSUPPORT"}


# network


def test_there_is_no_network_and_no_way_to_a_socket_of_the_host(inside: Callable[..., Any]) -> None:
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as local:
        name = f"\0workbook-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        port = local.getsockname()[1]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)  # the host itself can

        def look() -> Any:
            ways = ((socket.AF_UNIX, name), (socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET, ("8.8.8.8", 53)))
            found = []
            for family, address in ways:
                with socket.socket(family) as client:
                    found.append(error_of(client.connect, address))
            return found

        assert inside(look) == ["ECONNREFUSED", "ENETUNREACH", "ENETUNREACH"]


# files


def test_nothing_can_be_written_but_two_private_folders(inside: Callable[..., Any]) -> None:
    def look(folders: list[str]) -> Any:
        return {folder: error_of(open, f"{folder}/written", "w") for folder in folders}

    folders = ["/", "/usr", "/usr/lib", "/etc", "/dev", "/proc", sandbox.CODE, f"{sandbox.CODE}/shared"]
    folders += [str(folder) for folder in sandbox.runtime_folders()]
    found = inside(look, folders)
    assert set(found.values()) <= {"EROFS", "EACCES", "ENOENT"}, found
    assert inside(look, ["/tmp", "/dev/shm"]) == {"/tmp": "", "/dev/shm": ""}


def test_every_file_that_can_be_seen_is_one_of_the_runtime(inside: Callable[..., Any]) -> None:
    """No checkout, no solutions, no tests, no submissions: a walk over the whole tree finds only what is listed."""
    runtime = [str(folder) for folder in sandbox.runtime_folders()]

    def walk() -> list[str]:
        skip = {*runtime, "/usr", "/tmp", "/dev", "/proc", "/dev/shm"}
        found = []
        for folder, folders, files in os.walk("/"):
            found += [os.path.join(folder, name) for name in files]
            found += [path for name in folders if os.path.islink(path := os.path.join(folder, name))]
            folders[:] = [name for name in folders if os.path.join(folder, name) not in skip]
        return found

    seen = set(inside(walk))
    allowed = engine = {f"{sandbox.CODE}/autograder/{name}" for name in sandbox.VISIBLE}
    assert engine <= seen
    others = {path for path in seen - allowed if not path.startswith((f"{sandbox.CODE}/shared/", "/etc/ld.so"))}
    others = {path for path in others if path not in sandbox.SYSTEM}
    others = {path for path in others if not path.startswith(tuple(f"{folder}/" for folder in sandbox.SYSTEM))}
    assert others == set()
    assert not {"judge.py", "handles.py", "sandbox.py"} & {Path(path).name for path in seen}


@pytest.mark.parametrize("name", ["solutions", "tests", "weeks", "course", "autograder", "pyproject.toml", ".git"])
def test_the_checkout_cannot_be_seen(inside: Callable[..., Any], name: str, tmp_path: Path) -> None:
    assert inside(os.path.lexists, str(ROOT / name)) is False
    assert inside(os.path.lexists, str(tmp_path)) is False


@pytest.mark.parametrize("path", ["/home", "/root", "/var", "/run", "/sys", "/etc/passwd", "/etc/hostname", "/boot"])
def test_the_hosts_files_cannot_be_seen(inside: Callable[..., Any], path: str) -> None:
    below = [str(folder) for folder in sandbox.runtime_folders()]
    if not any(folder.startswith(path) for folder in below):
        assert inside(os.path.lexists, path) is False


def test_no_variable_of_the_host_is_left(inside: Callable[..., Any]) -> None:
    names = set(inside(lambda: list(os.environ)))
    assert SECRET not in names
    assert names <= {
        *("HOME", "PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LANG", "MPLBACKEND", "PYTHONHASHSEED", "PWD"),
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LC_CTYPE"),
        *("JE_ARROW_MALLOC_CONF", "GLIBC_TUNABLES"),
    }
    assert inside(os.getcwd) == "/tmp"


def test_folders_are_gone_with_the_process(warm: WarmProcess, tmp_path: Path) -> None:
    name = f"workbook-{os.getpid()}-left"
    for _ in range(2):
        with living(warm, isolate=True) as one:
            assert one.learner.call(os.listdir, "/dev/shm") == []
            assert one.learner.call(os.listdir, "/tmp") == OURS
            one.define(f"for folder in ('/tmp', '/dev/shm'): open(f'{{folder}}/{name}', 'w').close()")
            assert sorted(one.learner.call(os.listdir, "/tmp")) == sorted([*OURS, name])
            assert not Path("/tmp", name).exists()
            assert not Path("/dev/shm", name).exists()


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_folders_have_a_size(fresh: Living, folder: str) -> None:
    def fill() -> Any:
        written = 0
        try:
            for number in range(8):
                with open(f"{folder}/{number}", "wb", buffering=0) as file:
                    for _ in range(16):
                        written += file.write(bytes(4 * MIB))
        except OSError as error:
            return written, errno.errorcode[error.errno or 0]
        return written, ""

    written, why = fresh.learner.call(fill)
    assert why == "ENOSPC"
    assert written <= isolation.FILE_BYTES == 256 * MIB


def test_folders_hold_so_many_files(fresh: Living) -> None:
    def fill() -> Any:
        for number in range(10_000):
            if why := error_of(open, f"/tmp/{number}", "w"):
                return number < 5000, why
        return None

    assert fresh.learner.call(fill) == (True, "ENOSPC")


# limits


def test_a_file_has_a_size(fresh: Living) -> None:
    assert fresh.learner.call(error_of, lambda: open("/tmp/big", "w").truncate(257 * MIB)) == "EFBIG"
    assert fresh.learner.call(error_of, lambda: open("/tmp/large", "w").truncate(255 * MIB)) == ""


def test_open_files_are_counted(fresh: Living) -> None:
    def open_many() -> Any:
        files = []
        try:
            for _ in range(1000):
                files.append(open("/dev/null"))
        except OSError as error:
            return len(files), errno.errorcode[error.errno or 0]
        return len(files), ""

    number, why = fresh.learner.call(open_many)
    assert why == "EMFILE"
    assert number < isolation.OPEN_FILES == 256


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_processes_and_threads_are_counted(fresh: Living, kind: str) -> None:
    def start_many() -> int:
        import threading

        number, stop = 0, threading.Event()
        try:
            for _ in range(500):
                if kind == "threads":
                    threading.Thread(target=stop.wait, daemon=True).start()
                elif not os.fork():
                    stop.wait()
                number += 1
        except (OSError, RuntimeError):
            pass
        stop.set()
        return number

    assert 10 < fresh.learner.call(start_many) < isolation.PROCESSES == 64


def test_a_fork_bomb_ends_with_its_learner_and_others_go_on(warm: WarmProcess) -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    with living(warm, isolate=True) as one, living(warm, isolate=True) as other:
        one.learner.channel.deadline = 0.5 + time.monotonic()
        with pytest.raises(GoneError, match="TIMEOUT"):
            one.learner.run(bomb)
        other.define("x = 1")
        before = len(learners(warm))
        assert one.end().signal == "SIGKILL"
        other.define("x = 2")
        assert len(learners(warm)) == before - 1


def test_one_process_cannot_have_more_memory(warm: WarmProcess) -> None:
    with living(warm, isolate=True, memory_gib=0.1) as one:
        assert one.learner.call(lambda: len(bytearray(80 * MIB))) == 80 * MIB
        with pytest.raises(MemoryError):
            one.learner.call(bytearray, 120 * MIB)
        assert one.learner.call(len, "still there") == 11


GREEDY = {
    "forked processes": """
import os, time
for _ in range(8):
    if not os.fork():
        block = bytearray(60 * 2**20)
        block[::4096] = b"x" * len(block[::4096])
        while True: time.sleep(1)
while True: time.sleep(1)
""",
    "mapped files": """
import mmap, time
files, blocks = [], []
for number in range(8):
    files.append(open(f"/tmp/{number}", "wb+"))
    files[-1].truncate(30 * 2**20)
    blocks.append(mmap.mmap(files[-1].fileno(), 30 * 2**20))
    for place in range(0, 30 * 2**20, 4096): blocks[-1][place] = 1
while True: time.sleep(1)
""",
}


@pytest.mark.parametrize("how", GREEDY)
def test_memory_that_no_limit_of_one_process_sees_is_watched(warm: WarmProcess, how: str) -> None:
    with living(warm, isolate=True, memory_gib=0.1) as one:
        with pytest.raises(GoneError):
            one.learner.run(GREEDY[how])
        ending = one.end()
    assert (ending.why, ending.signal) == ("memory", "SIGKILL")


@pytest.mark.parametrize("how", ["files without a name", "shared segments", "shared mappings"])
def test_memory_that_nobody_could_count_is_refused(fresh: Living, how: str) -> None:
    """Pages without a name in the file system stay when the process forgets them, and belong to no process then."""

    def segment() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.shmget(0, 4096, 0o1600) < 0:
            raise OSError(ctypes.get_errno(), "shmget")

    actions = {
        "files without a name": lambda: os.memfd_create("x"),
        "shared segments": segment,
        "shared mappings": lambda: mmap.mmap(-1, 4096),
    }
    assert fresh.learner.call(error_of, actions[how]) == "EPERM"


def test_no_device_gives_shared_memory(inside: Callable[..., Any]) -> None:
    assert sorted(inside(os.listdir, "/dev")) == ["null", "random", "shm", "urandom"]


def test_private_mappings_and_mapped_files_are_there(fresh: Living) -> None:
    def use() -> Any:
        private = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with open("/tmp/file", "wb+") as file:
            file.truncate(4096)
            shared = mmap.mmap(file.fileno(), 4096)
        private[:2] = shared[:2] = b"ab"
        return private[:3], shared[:3]

    assert fresh.learner.call(use) == (b"ab\0", b"ab\0")


def test_cpu_time_ends_a_process(warm: WarmProcess) -> None:
    """Five seconds above the time of the notebook, in each process; here that is one second."""
    with living(warm, isolate=True, total_seconds=-4) as one:
        assert one.learner.call(lambda: resource.getrlimit(resource.RLIMIT_CPU)) == (1, 2)
        with pytest.raises(GoneError):
            one.learner.run("while True: pass")
        ending = one.end()
    assert (ending.why, ending.signal) == ("cpu", "SIGKILL")
    assert 0.9 < ending.cpu_seconds < 3


def test_limits_cannot_be_raised_and_no_core_is_written(inside: Callable[..., Any]) -> None:
    names = ["DATA", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE", "AS", "SIGPENDING"]
    names += ["MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"]

    def look() -> Any:
        found = []
        for name in names:
            kind = getattr(resource, f"RLIMIT_{name}")
            soft, hard = resource.getrlimit(kind)
            try:
                resource.setrlimit(kind, (soft, hard + 1))
            except (ValueError, OSError):
                found.append(name)
        return found, resource.getrlimit(resource.RLIMIT_CORE)

    assert inside(look) == (names, (0, 0))
    for name in ("MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"):
        assert inside(resource.getrlimit, getattr(resource, f"RLIMIT_{name}")) == (0, 0)


def test_addresses_are_counted_from_what_the_warm_process_maps(fresh: Living) -> None:
    """A GiB of data here, and room for files and stacks; a page table costs a 512th of what can be mapped."""

    def reserve(gib: float) -> str:
        nothing = 0
        return error_of(mmap.mmap, -1, int(gib * 2**30), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, nothing)

    assert fresh.learner.call(reserve, 4) == ""
    assert fresh.learner.call(reserve, 5.5) == "ENOMEM"


def test_asynchronous_code_goes_on_without_epoll(inside: Callable[..., Any]) -> None:
    def use() -> Any:
        import asyncio

        async def talk() -> str:
            one, other = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=one)
            other.send(b"hello\n")
            line = await reader.readline()
            writer.close()
            process = await asyncio.create_subprocess_exec("/bin/echo", "there", stdout=asyncio.subprocess.PIPE)
            return line.decode() + (await process.communicate())[0].decode()

        return asyncio.run(talk())

    assert inside(use) == "hello\nthere\n"


def test_a_database_in_a_file_works_without_locks(inside: Callable[..., Any]) -> None:
    def use() -> Any:
        import sqlite3

        with sqlite3.connect("/tmp/book.db") as book:
            book.execute("create table grade (points)")
            book.execute("insert into grade values (80)")
        return sqlite3.connect("/tmp/book.db").execute("select * from grade").fetchall()

    assert inside(use) == [(80,)]


def test_processes_that_share_their_data_go_on(inside: Callable[..., Any]) -> None:
    """Semaphores, queues and pools of `multiprocessing`, as a DataLoader uses them."""

    def use() -> Any:
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, range(-3, 0))

    assert inside(use) == [3, 2, 1]


# the end


def test_a_process_that_the_system_ends_is_told_from_one_that_ends_itself(warm: WarmProcess) -> None:
    """As when the machine runs out of memory. Nobody inside can send this to process 1."""
    before = set(learners(warm))
    with living(warm, isolate=True) as one:
        assert one.learner.call(error_of, os.kill, 1, 9) == ""
        assert one.learner.call(len, "still there") == 11
        (pid,) = set(learners(warm)) - before
        os.kill(pid, 9)
        with pytest.raises(GoneError):
            one.call(len, "anybody")
        ending = one.end(since=0.0, broken=True)
        assert (ending.why, ending.signal) == ("killed", "SIGKILL")
    with living(warm, isolate=True) as other:
        with pytest.raises(GoneError):
            other.learner.run("import os\nos._exit(9)")
        assert other.end(since=0.0, broken=True).why == ""
    with living(warm, isolate=True) as silent:
        with pytest.raises(GoneError):
            silent.learner.run("import os\nos.closerange(3, 256)\nwhile True: pass")
        assert silent.end(since=0.0, broken=True).why == "", "it broke the connection and went on"


def test_a_learner_ends_with_its_keeper_alone(warm: WarmProcess) -> None:
    """Also one that asked not to: nothing runs on unwatched."""
    before = set(learners(warm))
    with living(warm, isolate=True) as one:
        one.define("import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)")
        (learner,) = set(learners(warm)) - before
        (keeper,) = [pid for pid in children(warm_pid(warm)) if learner in children(pid)]
        os.kill(keeper, 9)
        assert wait_until(lambda: state(learner) in "ZX")
        with pytest.raises(GoneError):
            one.call(len, "anybody")
        ending = one.end()
        assert (ending.why, ending.detail) == (Why.FAULT, "the keeper of a process is gone")


def test_what_a_learner_started_ends_with_it(warm: WarmProcess) -> None:
    before = learners(warm)
    with living(warm, isolate=True) as one:
        one.define(
            "import os, time\nfor _ in range(3):\n    if not os.fork():\n        os.setsid()\n        time.sleep(300)"
        )
        (own,) = set(learners(warm)) - set(before)
        family = [own, *children(own)]
        assert len(family) == 4
        one.end()
    assert [pid for pid in family if state(pid) not in "ZX"] == []


def state(pid: int) -> str:
    """One letter for what a process does; X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_the_first_process_to_go_when_memory_runs_out_is_the_learners(warm: WarmProcess) -> None:
    with living(warm, isolate=True) as one:
        one.define("x = 1")
        scores = {Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in learners(warm)}
        assert scores == {"1000"}
        assert Path(f"/proc/{warm_pid(warm)}/oom_score_adj").read_text().strip() != "1000"


def test_a_warm_process_has_one_thread(warm: WarmProcess) -> None:
    with living(warm, isolate=True):
        for pid in (warm_pid(warm), *children(warm_pid(warm)), *learners(warm)):
            assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


# bubblewrap itself


def test_without_bubblewrap_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert sandbox.missing().startswith("bubblewrap is not installed")


def test_with_a_bubblewrap_that_fails_its_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert "(bwrap: No permissions to create new namespace)" in sandbox.missing()


def test_a_setting_of_the_host_cannot_reach_the_command() -> None:
    words = sandbox.command(["python", "-c", "pass"], {"A": "b"})
    assert {
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--die-with-parent",
        "--clearenv",
        "--remount-ro",
    } <= set(words)
    binds = [words[place + 1] for place, word in enumerate(words) if word in ("--bind", "--ro-bind")]
    assert "--bind" not in words
    for folder in ("solutions", "tests", "weeks"):
        assert not any(Path(ROOT, folder).is_relative_to(bound) for bound in binds), folder
    assert words[-3:] == ["python", "-c", "pass"]
