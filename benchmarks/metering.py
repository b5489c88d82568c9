"""What a command costs with every process below it: wall seconds, CPU seconds, memory. Linux only.

CPU seconds are those of all processes that somebody waited for. So that this is all of them, orphans are adopted and
buried here: a process that is killed by SIGKILL counts, one that outlives its parent counts. Not counted is a process
whose parent ignores SIGCHLD, since the kernel then throws its times away. `known_load` shows whether the sum is right.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.engine.guest import isolation, system_calls

TICK_SECONDS = 0.25
MEMORY_SECONDS = 2.0
"""How often memory is read: the kernel walks every page for it, some 20 ms for a process with torch."""
ORPHAN_SECONDS = 10.0
"""How long processes may live on after the command that started them."""


@dataclass(frozen=True)
class Cost:
    """What a command took; `peak_mib` is the largest memory seen of all its processes, shared pages counted once."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    status: int
    output: str

    def plain(self) -> dict[str, float]:
        """The figures, for JSON."""
        costs = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_mib": self.peak_mib}
        return {name: round(cost, 3) for name, cost in costs.items()} | {"exit status": self.status}


def adopt_orphans() -> None:
    """From now on processes below this one whose parent ends become children of this one."""
    isolation.prctl(system_calls.PR_SET_CHILD_SUBREAPER, 1)


def buried_cpu() -> float:
    """CPU seconds of all processes below this one that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bury_orphans(spared: Collection[int] = ()) -> None:
    """Wait for every process below this one; what lives longer than ORPHAN_SECONDS is killed. Not those spared."""
    end = time.monotonic() + ORPHAN_SECONDS
    while left := below(os.getpid(), spared)[1:]:
        for pid in left:
            with contextlib.suppress(ChildProcessError):  # not a child of this process yet
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > end:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def measured(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    on_tick: Callable[[], None] = lambda: None,
    read_memory: bool = True,
) -> Cost:
    """Run a command to its end; `on_tick` is called a few times a second meanwhile.

    Reading memory takes a part of a core (see MEMORY_SECONDS); leave it out where the command needs all of them.
    Processes that were started before, a cluster's for example, go on; what they use meanwhile counts.
    """
    others = [child for child, its in parents().items() if its == os.getpid()]
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as log:
        before, begin = buried_cpu() + living_cpu(others), time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        peak, look = 0.0, begin + MEMORY_SECONDS
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TICK_SECONDS)
                break
            on_tick()
            if read_memory and time.perf_counter() > look:
                peak = max(peak, sum(memory(pid, "Pss") for pid in below(process.pid)))
                look = time.perf_counter() + MEMORY_SECONDS
        seconds = time.perf_counter() - begin
        bury_orphans(others)
        log.seek(0)
        return Cost(seconds, buried_cpu() + living_cpu(others) - before, peak, process.returncode, log.read())


def parents() -> dict[int, int]:
    """Every process of the machine, and the one that started or adopted it."""
    found = {}
    for name in (path.name for path in Path("/proc").iterdir() if path.name.isdigit()):
        with contextlib.suppress(OSError):
            found[int(name)] = int(Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return found


def below(pid: int, spared: Collection[int] = ()) -> list[int]:
    """A process and all below it, parents before children; not those spared, nor what is below them."""
    known, found = parents(), [pid]
    for parent in found:
        found += [child for child, its in known.items() if its == parent and child not in spared]
    return found


def memory(pid: int, *kinds: str) -> float:
    """MiB of a process, 0 if it is gone. Kinds are the kernel's: "Rss" is all, "Pss" its fair share of shared pages."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line and line[0].isupper())
        return sum(int(fields[kind].split()[0]) for kind in kinds) / 1024
    return 0.0


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of everything below it that it has waited for."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def living_cpu(pids: Collection[int]) -> float:
    """CPU seconds of living processes, of all below them, and of those below them that have ended."""
    return sum(cpu_of(one) for pid in pids for one in below(pid))


BURN = """
import os, signal, time
def burn(seconds):
    while time.process_time() < seconds: pass
def child(seconds):
    if os.fork() == 0:
        burn(seconds)
        os.kill(os.getpid(), signal.SIGKILL)
child(0.5)                 # killed, and waited for
os.wait()
child(0.5)                 # killed, and nobody waits for it
if os.fork() == 0:         # an orphan that outlives its parent
    child(0.5)
    os._exit(0)
"""


def known_load() -> tuple[float, float]:
    """CPU seconds that are used up in ways that are easily overlooked, and those that are counted."""
    environment = dict(os.environ)
    nothing = measured([sys.executable, "-c", "import os, signal, time"], Path("/"), environment)
    return 1.5, measured([sys.executable, "-c", BURN], Path("/"), environment).cpu_seconds - nothing.cpu_seconds
