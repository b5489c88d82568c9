"""Huge pages: memory is gathered into them, and holds what it held."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GATHER = """
import hashlib, os
from autograder.engine.guest import huge_pages


def kib(field):
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


blocks = [os.urandom(1 << 14) for _ in range(2_000)]  # 32 MB
before = hashlib.sha256(b"".join(blocks)).hexdigest(), kib("AnonHugePages:")
huge_pages.gather()
after = hashlib.sha256(b"".join(blocks)).hexdigest(), kib("AnonHugePages:")
if not os.fork():
    os._exit(hashlib.sha256(b"".join(blocks)).hexdigest() != before[0])
print(before[0] == after[0], after[1] - before[1], os.wait()[1])
"""


def collapses() -> bool:
    """Whether this system has MADV_COLLAPSE."""
    if sys.platform != "linux":
        return False
    release = os.uname().release.split("-")[0].split(".")
    return tuple(int(part) for part in release[:2]) >= (6, 1)


@pytest.mark.skipif(not collapses(), reason="needs Linux 6.1")
def test_gathered_memory_holds_the_same_and_is_mostly_huge() -> None:
    command = [sys.executable, "-c", GATHER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    same, kib, child = done.stdout.split()
    assert (same, child) == ("True", "0")
    assert int(kib) > 16_000, "less than half of 32 MB lies in huge pages"


def test_without_proc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    from autograder.engine.guest import huge_pages

    def missing(*arguments: object, **options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(builtins, "open", missing)
    huge_pages.gather()
