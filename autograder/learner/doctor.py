"""What this machine has and what it lacks, for whom it matters, each with its remedy."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..engine import sandbox

GIB = 2**30
NEEDED_MEMORY_GIB = 4
NEEDED_DISK_GIB = 2
LEARN, GRADE, WRITE = "learn", "grade other people's work", "write weeks"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where nothing needs to be done. `role`: what it is needed for."""

    what: str
    found: str
    remedy: str = ""
    role: str = LEARN


def examine(root: Path) -> list[Finding]:
    """Look at what learning needs, then at what grading and writing need besides."""
    learning = [_python(), *_packages(LEARN, "torch", "timm", "jupyterlab", "ipykernel", "watchfiles"), _memory()]
    learning += [_disk(root), _work(root), _weeks(root), _warm()]
    grading = [*_packages(GRADE, "nbgrader"), _sandbox(), _side_by_side(), _limits()]
    writing = [*_packages(WRITE, "jupytext"), _sources(root)]
    return [*learning, *grading, *writing]


def _python() -> Finding:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", found, "" if fits else "use 3.11, 3.12 or 3.13: make setup PYTHON=python3.12")


def _packages(role: str, *names: str) -> list[Finding]:
    findings = []
    for name in names:
        try:
            findings.append(Finding(name, version(name), role=role))
        except PackageNotFoundError:
            findings.append(Finding(name, "not installed", "run `make setup`", role))
    return findings


def _sandbox() -> Finding:
    why = sandbox.missing()
    remedy = "needed only to grade other people's work; without it: workbook grade --unsafe"
    return Finding("sandbox", why or "bubblewrap starts, namespaces can be made", remedy if why else "", GRADE)


def _side_by_side() -> Finding:
    """Whether as many submissions as there are cores find the memory that each of them may use."""
    from ..week.source import Limits

    each, workers = Limits().memory_gib, os.cpu_count() or 1
    gib = _memory_gib()
    what = f"{workers} submissions at a time may use up to {each * workers:g} GiB"
    if not gib or gib >= each * workers:
        return Finding("at a time", what, role=GRADE)
    fewer = max(1, int(gib // each))
    return Finding("at a time", f"{what}, of {gib:.1f} GiB", f"workbook grade WEEK --workers {fewer}", GRADE)


def _limits() -> Finding:
    """By which means a sandbox is kept from what belongs to others; a lack of some makes grading no less right."""
    means = ["limits of each process", "a keeper that counts the memory of all"]
    means += [f"a core for each sandbox, of {len(os.sched_getaffinity(0))}"] if hasattr(os, "sched_getaffinity") else []
    told = Path("/proc/self/schedstat").is_file()
    means += ["how long it waits for one" if told else "CPU time alone tells who waited for one"]
    return Finding("limits", f"{', '.join(means)}; no control groups", role=GRADE)


def _memory_gib() -> float:
    """The memory of this machine; 0 where it is not told."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB if hasattr(os, "sysconf") else 0


def _memory() -> Finding:
    gib = _memory_gib()
    if not gib:
        return Finding("memory", "unknown")
    enough = gib >= NEEDED_MEMORY_GIB
    return Finding(
        "memory", f"{gib:.1f} GiB", "" if enough else f"{NEEDED_MEMORY_GIB} GiB recommended: close other programs"
    )


def _disk(root: Path) -> Finding:
    gib = shutil.disk_usage(root).free / GIB
    return Finding("disk", f"{gib:.1f} GiB free", "" if gib >= NEEDED_DISK_GIB else "make room, or clone elsewhere")


def _work(root: Path) -> Finding:
    """Whether answers can be saved."""
    work = root / "work"
    place = work if work.exists() else root
    if work.exists() and not work.is_dir():
        return Finding("work/", "is a file", "move it away: your copies of the weeks go into a folder of this name")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("work/", f"cannot be written by {os.environ.get('USER') or 'you'}", f"chmod -R u+rwX {place}")
    begun = len([path for path in work.glob("week*") if path.is_dir()])
    return Finding("work/", f"{begun} begun" if begun else "no week begun: workbook start 1")


def _weeks(root: Path) -> Finding:
    """Whether the released notebooks can be read."""
    from ..core.errors import WorkbookError
    from ..week.locate import released_weeks
    from .released import open_released

    names = released_weeks(root)
    if not names:
        return Finding("weeks/", "no week is released", "get the course's weeks/ folder, or run `make weeks`")
    for name in names:
        try:
            open_released(root, name)
        except WorkbookError as error:
            return Finding("weeks/", error.message, error.next_step)
    return Finding("weeks/", f"{len(names)} released")


def _warm() -> Finding:
    """Whether checks can share a warm process; they work without one."""
    from .fork_client import NoWarmProcessError, can_start, private_folder

    try:
        can_start()
        return Finding("fast checks", f"a warm process can listen in {private_folder()}")
    except NoWarmProcessError as error:
        return Finding("fast checks", f"no: {error}; checks work, but import their libraries each time")


def _sources(root: Path) -> Finding:
    if (root / "solutions").is_dir():
        return Finding("solutions/", "is there", role=WRITE)
    return Finding("solutions/", "not here, as in every learner's bundle", role=WRITE)
