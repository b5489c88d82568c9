"""A process with limits: what a file can do to it reaches neither the one who asks nor the next file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.repair.confined import Confined, ConfinedError
from autograder.repair.damage import DamagedError

from ..chosen import ROOT
from ..confined_work import obey

ON_LINUX = pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps no limit on memory")


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Confined]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Confined(obey, {"n": 1}, memory_mib=300, cpu_seconds=1) as process:
        yield process


def test_one_process_does_all_honest_work(process: Confined) -> None:
    first = process.ask(b"pid")
    assert first != os.getpid()
    assert process.ask(b"say hello \xc3\xab") == [{"n": 1}, "hello ë"]
    assert process.ask(b"memory 100") == 100 * 2**20
    assert process.ask(b"pid") == first


def test_a_damaged_file_costs_no_process(process: Confined) -> None:
    first = process.ask(b"pid")
    with pytest.raises(DamagedError, match="no notebook: 7"):
        process.ask(b"damaged no notebook: 7")
    assert process.ask(b"pid") == first


ENDS = {
    "memory": (b"memory 400", "reading the file takes more than 300 MiB of memory"),
    "time": (b"spin", "reading the file takes more than 1 seconds"),
    "crash": (b"signal SIGSEGV", "the file ends the process that reads it"),
    "abort": (b"signal SIGABRT", "the file ends the process that reads it"),
    "exception": (b"raise no list of all there is", "the file ends the process that reads it"),
    "length": (b"write", "the file holds more than can be taken from it"),
}


@ON_LINUX
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "used"])
@pytest.mark.parametrize("way", ENDS)
def test_a_file_that_ends_the_process_is_told_so_and_the_next_is_read(process: Confined, way: str, fresh: bool) -> None:
    content, why = ENDS[way]
    if not fresh:
        process.ask(b"pid")
    with pytest.raises(DamagedError) as told:
        process.ask(content)
    assert str(told.value) == why
    assert process.ask(b"say next") == [{"n": 1}, "next"]


def test_who_was_killed_from_outside_is_asked_again(process: Confined, tmp_path: Path) -> None:
    assert process.ask(b"once " + bytes(tmp_path / "mark")) == [{"n": 1}, str(tmp_path / "mark")]


def test_to_be_killed_again_and_again_is_no_fault_of_the_file(process: Confined) -> None:
    with pytest.raises(ConfinedError):
        process.ask(b"signal SIGKILL")
    assert process.ask(b"say next") == [{"n": 1}, "next"]


def test_nothing_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Confined(obey) as process:
        pid = process.ask(b"pid")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
