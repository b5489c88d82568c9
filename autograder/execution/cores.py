"""A core of its own for each sandbox: what a learner's code keeps busy is then no one else's."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

CLAIM = "workbook-core"
"""How the name begins by which a core is taken."""
_turns = itertools.count()


@contextmanager
def a_core() -> Iterator[int]:
    """The number of a core that no other sandbox of this user's has, in whatever process on this machine.

    A core is taken by a name in the system's abstract socket names, which goes with the process that holds it. Where
    more sandboxes run than there are cores they share, in turn.
    """
    cores = sorted(os.sched_getaffinity(0))
    for core in cores:
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0{CLAIM}-{os.getuid()}-{core}")
            except OSError:  # somebody has it
                continue
            yield core
            return
    yield cores[next(_turns) % len(cores)]
