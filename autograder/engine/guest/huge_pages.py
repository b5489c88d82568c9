"""Gather the memory of a process into huge pages, so that to fork it is cheap.

A fork copies the page table of all private memory, and its end takes the copy apart again; for a small submission that
is most of what it costs, twice for each process (its keeper, then itself). A page of 2 MiB is one entry of that table
instead of 512. To gather costs as much as a few dozen forks save, so only a process that is forked often does it.
"""

from __future__ import annotations

import contextlib
import ctypes
import re

HUGE = 2 * 2**20
"""Bytes of a huge page, where a page has 4 KiB; a kernel with others refuses, and nothing changes."""
MADV_COLLAPSE = 25  # Linux 6.1
PRIVATE = re.compile(r"^(\w+)-(\w+) rw-p \S+ \S+ 0 *(\[heap\])?$", re.MULTILINE)
"""A line of /proc/self/maps: memory that is written to and belongs to no file."""


def gather() -> None:
    """Move private memory into huge pages, as far as the system does it; what it holds stays the same."""
    with contextlib.suppress(OSError, AttributeError), open("/proc/self/maps", encoding="ascii") as maps:
        madvise = ctypes.CDLL(None).madvise
        for first, last, _ in PRIVATE.findall(maps.read()):
            begin, end = -(-int(first, 16) // HUGE) * HUGE, int(last, 16) // HUGE * HUGE
            if begin < end:
                madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_COLLAPSE)
