"""What this machine has and what it lacks, each with its remedy."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .engine import sandbox

GIB = 2**30
NEEDED_MEMORY_GIB = 4
NEEDED_DISK_GIB = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where nothing needs to be done."""

    what: str
    found: str
    remedy: str = ""


def examine(root: Path) -> list[Finding]:
    """Look at Python, the packages, the sandbox, memory and disk."""
    return [_python(), *_packages(), _sandbox(), _memory(), _disk(root)]


def _python() -> Finding:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", found, "" if fits else "use 3.11, 3.12 or 3.13: make setup PYTHON=python3.12")


def _packages() -> list[Finding]:
    findings = []
    for name in ("torch", "timm", "nbgrader", "jupyterlab"):
        try:
            findings.append(Finding(name, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, "not installed", "run `make setup`"))
    return findings


def _sandbox() -> Finding:
    why = sandbox.missing()
    remedy = "needed only to grade other people's work; without it: workbook grade --unsafe"
    return Finding("sandbox", why or "bubblewrap starts, namespaces can be made", remedy if why else "")


def _memory() -> Finding:
    if not hasattr(os, "sysconf"):
        return Finding("memory", "unknown")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    enough = gib >= NEEDED_MEMORY_GIB
    return Finding(
        "memory", f"{gib:.1f} GiB", "" if enough else f"grading wants {NEEDED_MEMORY_GIB} GiB: use --workers 1"
    )


def _disk(root: Path) -> Finding:
    gib = shutil.disk_usage(root).free / GIB
    return Finding("disk", f"{gib:.1f} GiB free", "" if gib >= NEEDED_DISK_GIB else "make room, or clone elsewhere")
