"""Jobs in one plain process, for systems without forks: slower to start, and no job is shut off from the one before.

Run as `python -m autograder.engine.no_fork`. Each line of its input is a job (JSON); its output is a line for each
event, as `together.run_together` sends them.
"""

from __future__ import annotations

import json
import os
import sys

from .guest.shell import make_shell, seed_everything
from .guest.state import captured, install
from .together import run_together


class Lines:
    """A channel to one who reads lines."""

    def __init__(self, number: int) -> None:
        self._file = os.fdopen(number, "wb")

    def send(self, message: bytes) -> None:
        self._file.write(message + b"\n")
        self._file.flush()


def main() -> None:
    """Run jobs until the input ends."""
    channel = Lines(os.dup(1))
    os.dup2(2, 1)  # what a library prints past Python must not pass for an event
    shell = make_shell()
    new = captured()
    for line in sys.stdin.buffer:
        shell.reset(new_session=False)
        install(new)  # whatever the job before has set
        seed_everything()
        run_together(channel, json.loads(line), shell)


if __name__ == "__main__":
    main()
