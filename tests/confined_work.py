"""Kinds of work that files make a process do, for `test_confined`; imported by that process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from autograder.repair.damage import DamagedError


def obey(given: Any, content: bytes) -> Any:
    """Do what a file says, as a reader with a hole would."""
    verb, _, rest = content.decode().partition(" ")
    match verb:
        case "damaged":
            raise DamagedError(rest)
        case "memory":
            return len(bytearray(int(rest) * 2**20))
        case "spin":
            while True:
                pass
        case "signal":
            os.kill(os.getpid(), signal.Signals[rest])
        case "once":  # ends the process the first time, and leaves a mark
            if not Path(rest).exists():
                Path(rest).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise ValueError(rest)
        case "write":
            os.write(1, b"+" + (2**62).to_bytes(8, "big"))
        case "pid":
            return os.getpid()
    return [given, rest]
