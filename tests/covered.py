"""Which lines of the program the tests run, in every process that they start: `make coverage`.

    python -m tests.covered                       # all tests
    python -m tests.covered tests/engine/test_judge.py   # some, with any words for pytest

Prints a table by package, and writes pages to build/coverage/html. Lines that run inside bubblewrap alone are not
counted; `engine/guest` is counted where the same code runs without it, when tests run in one process or with
`--unsafe`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage

from shared.profiling import table

from . import coverage_start
from .chosen import ROOT

FOLDER = ROOT / "build" / "coverage"
SOURCES = (ROOT / "autograder", ROOT / "shared")
SETTINGS = """[run]
source =
    {sources}
data_file = {folder}/lines
parallel = true
disable_warnings = no-data-collected, module-not-measured, module-not-imported
"""


@dataclass
class Counted:
    """Statements of a package, and how many of them ran."""

    statements: int = 0
    ran: int = 0

    @property
    def percent(self) -> float:
        return 100 * self.ran / self.statements if self.statements else 100.0


def measure(command: Sequence[str], folder: Path) -> int:
    """Run a command; what it and all Python processes below it ran lies in `folder` afterwards. Its exit status."""
    shutil.rmtree(folder, ignore_errors=True)
    start = folder / "start"
    start.mkdir(parents=True)
    sources = "\n    ".join(map(str, SOURCES))
    (start / "coveragerc").write_text(SETTINGS.format(sources=sources, folder=folder), encoding="utf-8")
    shutil.copy(coverage_start.__file__, start / "sitecustomize.py")
    path = os.pathsep.join(filter(None, (str(start), os.environ.get("PYTHONPATH"))))
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, check=False).returncode


def combined(folder: Path) -> coverage.Coverage:
    """What `measure` left there, of all processes together."""
    found = coverage.Coverage(config_file=str(folder / "start" / "coveragerc"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Data file .* isn't a coverage data file")  # it was killed while it saved
        found.combine()
    return found


def by_package(found: coverage.Coverage) -> dict[str, Counted]:
    """Folder, from the root on -> what ran of its files."""
    packages: dict[str, Counted] = {}
    for path in sorted(file for source in SOURCES for file in source.rglob("*.py")):
        _, statements, _, missing, _ = found.analysis2(str(path))
        package = packages.setdefault(path.parent.relative_to(ROOT).as_posix(), Counted())
        package.statements += len(statements)
        package.ran += len(statements) - len(missing)
    return packages


def main() -> None:
    words = sys.argv[1:] or ["tests"]
    status = measure([sys.executable, "-m", "pytest", *words], FOLDER)
    found = combined(FOLDER)
    packages = by_package(found)
    packages["all"] = Counted(sum(p.statements for p in packages.values()), sum(p.ran for p in packages.values()))
    rows = [
        {"package": name, "statements": one.statements, "ran": one.ran, "%": f"{one.percent:.1f}"}
        for name, one in packages.items()
    ]
    print(table(rows))
    found.html_report(directory=str(FOLDER / "html"))
    print(f"pages: {(FOLDER / 'html' / 'index.html').relative_to(ROOT)}")
    sys.exit(status)


if __name__ == "__main__":
    main()
