"""Which weeks get the long checks: week 01 and the weeks that changed.

The variants are run for these, and for every week whose proof (`solutions/WEEK/proof.json`) is not of the content of
now. With WORKBOOK_WEEKS=all it is all weeks, with WORKBOOK_WEEKS="3 week07" these.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from autograder.authoring.proof import Part, holds
from autograder.week.locate import all_weeks, week_name
from autograder.week.source import load_week

ROOT = Path(__file__).resolve().parent.parent
MATRICES = (Part.NOTEBOOK, Part.SANDBOX)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def changed_weeks() -> set[str]:
    """Weeks touched since the main branch of the origin, or, on that branch itself, by the last commit."""
    base = _git("merge-base", "HEAD", "origin/main")
    if not base or base == _git("rev-parse", "HEAD"):
        base = _git("rev-parse", "HEAD~1")
    paths = (
        _git("diff", "--name-only", base, "--", "solutions") if base else _git("ls-files", "solutions")
    ).splitlines()
    return {path.split("/")[1] for path in paths}


def long_weeks() -> list[str]:
    """The weeks for matrices of variants, plain nbgrader runs and training checks over many seeds."""
    weeks = all_weeks(ROOT)
    if asked := os.environ.get("WORKBOOK_WEEKS", "").split():
        return weeks if asked == ["all"] else sorted({week_name(ROOT, one) for one in asked})
    return [name for name in weeks if name == weeks[0] or name in changed_weeks()]


@cache
def unproven_weeks() -> list[str]:
    """The weeks whose variants were not proven, in both modes, for the content of now."""
    weeks = {name: load_week(ROOT / "solutions" / name) for name in all_weeks(ROOT)}
    return [name for name, week in weeks.items() if not all(holds(week, part) for part in MATRICES)]


def weeks_to_prove() -> list[str]:
    """The weeks whose variants are run: those of the long checks, and those without a proof of their content."""
    if os.environ.get("WORKBOOK_WEEKS"):
        return long_weeks()
    return sorted({*long_weeks(), *unproven_weeks()})
