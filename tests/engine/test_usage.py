"""What processes use is counted: pages that are there or put aside, page tables, sockets, mappings, CPU time."""

from __future__ import annotations

import codecs
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autograder.engine.guest import isolation, usage

MIB = 2**20
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


@contextmanager
def child(action: Callable[[], object]) -> Iterator[int]:
    """A process that has done something and waits."""
    ready, said = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            kept = action()
            os.write(said, b"+")
            signal.pause()
            del kept
        finally:
            os._exit(0)
    os.close(said)
    assert os.read(ready, 1) == b"+"
    os.close(ready)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_shared_pages_count_once_only_where_it_matters() -> None:
    block = bytearray(b"x") * (64 * MIB)
    with child(lambda: None) as one, child(lambda: None) as other:
        family = [one, other]
        twice = usage.memory(family, most=2**50)
        assert twice > 2 * len(block)
        assert usage.memory(family, most=0) < twice - len(block)


def test_a_process_that_lets_nobody_look_counts_with_all_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its share of what it shares with others cannot be read then."""
    with child(lambda: bytearray(b"x") * (32 * MIB)) as one, child(lambda: None) as other:
        closed = [f"/proc/{pid}/smaps_rollup" for pid in (one, other)]

        def refuse(path: str, mode: str = "r") -> object:
            if path in closed:
                raise PermissionError(path)
            return Path(path).open(mode)

        monkeypatch.setattr(usage, "open", refuse, raising=False)
        assert usage.memory([one, other]) == usage.memory([one, other], most=2**50) > 32 * MIB


def test_page_tables_count() -> None:
    """16 GiB of addresses that hold nothing, looked at once every 2 MiB: 8192 tables of a page each."""

    def look() -> mmap.mmap:
        block = mmap.mmap(-1, 2**34, flags=PRIVATE, prot=mmap.PROT_READ)
        for place in range(0, 2**34, 2 * MIB):
            block[place]
        return block

    with child(lambda: None) as before, child(look) as after:
        grown = usage.memory([after]) - usage.memory([before])
        assert grown + MIB >= 8192 * 4096
        assert grown < 64 * MIB


def test_what_was_put_aside_counts_and_so_do_huge_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may hold anything, but no line of its own."""
    text = (
        "Name:\tVmRSS: 9 kB\nVmRSS:\t 10 kB\nVmSwap:\t 20 kB\nVmPTE:\t 4 kB\nHugetlbPages:\t 2048 kB\nVmData:\t 99 kB\n"
    )
    (tmp_path / "status").write_text(text, encoding="utf-8")
    monkeypatch.setattr(usage, "open", lambda path, mode="r": (tmp_path / "status").open(mode), raising=False)
    assert usage.memory([1]) == (10 + 20 + 4 + 2048) * 1024


def test_mappings_of_many_processes_count() -> None:
    def cut() -> list[mmap.mmap]:
        return [mmap.mmap(-1, 4096, flags=PRIVATE, prot=(1, 0)[n % 2]) for n in range(2_000)]  # none can be joined

    with child(cut) as one:
        alone = usage.memory([one], most=2**50)
        many = [one] * (usage.MANY + 1)
        assert usage.memory(many, most=2**50) - len(many) * alone >= len(many) * 2_000 * usage.MAPPING_BYTES


def test_sockets_count_as_long_as_anything_is_on_its_way() -> None:
    """An upper bound: twice what each may hold. One that was closed counts until all it sent was read."""

    def in_an_own_network(action: Callable[[], bool]) -> int:
        codecs.lookup("ascii")  # another user may not be allowed to import it
        pid = os.fork()
        if not pid:
            good = False
            try:
                isolation.leave_namespaces()
                good = action()
            finally:
                os._exit(not good)
        return os.waitpid(pid, 0)[1]

    def fill() -> bool:
        before = usage.sockets()
        sender, _receiver = socket.socketpair()
        sender.setblocking(False)
        sent = 0
        try:
            while True:
                sent += sender.send(bytes(4096))
        except BlockingIOError:
            pass
        grown = usage.sockets() - before
        sender.close()
        return before == 0 and grown >= 2 * sent > 0 and usage.sockets() == grown

    assert in_an_own_network(fill) == 0


def test_a_process_is_found_whatever_its_name_and_whoever_began_it() -> None:
    def rename() -> None:
        import ctypes

        ctypes.CDLL(None).prctl(15, b") S 1 (\n) R 7", 0, 0, 0)

    with child(rename) as odd:
        seen = usage.processes()
        assert seen[odd].parent == os.getpid()
        assert odd in usage.below(os.getpid())
        assert usage.below(odd, seen) == [odd]


def test_cpu_time_is_that_of_a_process_and_of_what_it_waited_for() -> None:
    def work() -> None:
        if not os.fork():
            while time.process_time() < 0.3:
                pass
            os._exit(0)
        os.wait()

    with child(work) as one:
        assert 0.25 < usage.processes()[one].cpu_seconds < 5


def test_a_scan_is_repeated_where_a_parent_ended_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, whole = usage.Process(17, 0.0), {5: usage.Process(0, 0.0), 18: usage.Process(5, 0.0)}
    scans = iter([{5: usage.Process(0, 0.0), 18: lost}, {5: usage.Process(0, 0.0), 18: lost}, whole])
    monkeypatch.setattr(usage, "_scan", lambda: next(scans))
    assert usage.below(5) == [5, 18]


def test_seconds_without_a_processor_are_told() -> None:
    """Two that are always busy on one core: each waits while the other runs."""

    def spin(wait: bool) -> Callable[[], None]:
        def on_one_core() -> None:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            if not os.fork():
                while os.getppid() != 1 or wait:
                    pass
            while time.process_time() < 0.3:
                pass

        return on_one_core

    with child(spin(wait=False)) as one:
        found = usage.waited(one)
        for pid in usage.below(one)[1:]:
            os.kill(pid, signal.SIGKILL)
        assert found > 0.05
    assert usage.waited("no process") == 0
