"""What is known about a class from earlier runs, so that nothing is lost and nothing is done twice.

    course/record/WEEK/outcomes/LEARNER.json   what was recorded: verdicts and points, and the key they belong to
    course/record/WEEK/runs/LEARNER.json       what every cell did when it ran last; written before any grade is

A *key* is a hash of what an outcome depends on: the file that was submitted, the week, and the environment. As
long as it stays the same, the outcome is read, not made. A test has a key of its own, so that a changed test runs
again alone. Files are replaced in one step; one that cannot be read counts as not there. All of it may be deleted:
then everything is graded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.errors import WorkbookError, short
from ..core.files import write_text
from ..course.folder import Course
from ..engine.cell_kinds import TEST
from ..execution.fingerprint import digest, environment_of
from ..execution.job import Code, Job, Run
from ..execution.results import Graded
from ..execution.verdicts import CellRun, Verdict
from ..repair.damage import Damage
from ..week.source import TESTS, Week

SCHEMA = 1
T = TypeVar("T", bound=BaseModel)
REPEATABLE = {Verdict.PASS, Verdict.FAIL, Verdict.ERROR}
"""Verdicts that the code alone decides; the others also depend on what else ran, so they are not kept apart."""

NOT_KEPT = (OSError, ValueError)
"""A full disk, or a name that no file can hold."""


class Entry(BaseModel):
    """What was recorded for one learner.

    Attributes
    ----------
    key : of the outcome. work : hash of what was submitted.
    told : the key for which the pages of the learner were written.
    damaged : why there is nothing to grade; "" otherwise. damage : the kind of that.
    """

    model_config = ConfigDict(frozen=True)
    schema_version: int = SCHEMA
    key: str
    work: str
    told: str = ""
    damaged: str = ""
    verdicts: dict[str, CellRun]
    points: dict[str, int]
    notes: list[str]
    remarks: list[str] = []
    cpu_seconds: float
    peak_mib: float
    unsafe: bool
    damage: Damage = Damage.OTHER

    @classmethod
    def of(cls, graded: Graded, key: str, work: str, told: str) -> Entry:
        """The entry of an outcome. What its test cells printed is left to the run."""
        return cls(
            key=key,
            work=work,
            told=told,
            damaged=graded.damaged,
            verdicts={test: replace(done, outputs=()) for test, done in graded.verdicts.items()},
            points=graded.points,
            notes=graded.notes,
            remarks=graded.remarks,
            cpu_seconds=graded.cpu_seconds,
            peak_mib=graded.peak_mib,
            unsafe=graded.unsafe,
            damage=graded.damage,
        )

    def graded(self, student: str) -> Graded:
        """The outcome, without the notebook."""
        return Graded(
            student,
            dict(self.verdicts),
            dict(self.points),
            self.damaged,
            notes=list(self.notes),
            remarks=list(self.remarks),
            cpu_seconds=self.cpu_seconds,
            peak_mib=self.peak_mib,
            unsafe=self.unsafe,
            damage=self.damage,
        )


class KeptRun(BaseModel):
    """What every cell of one submission did. tests : test cell -> the key under which its verdict holds."""

    model_config = ConfigDict(frozen=True)
    schema_version: int = SCHEMA
    tests: dict[str, str]
    run: Run


class Ledger:
    """The record of a week in a class."""

    def __init__(self, course: Course, week: str) -> None:
        self.folder = course.folder / "record" / week
        self._gradebook = course.gradebook
        self._week = week

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs of the grader out.

        Raises
        ------
        WorkbookError
            when one is at work on this week already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise WorkbookError(
                f"another `workbook grade` is at work on {self._week} in {short(self.folder.parent.parent)}",
                "wait until it is done, or stop it",
            ) from None

    def entry(self, student: str) -> Entry | None:
        """What was recorded for a learner, if it can be read."""
        return _read(self.folder / "outcomes" / f"{student}.json", Entry)

    def outcomes(self) -> dict[str, Entry]:
        """What was recorded for everybody, as far as it can be read, in alphabetical order."""
        names = sorted(path.stem for path in (self.folder / "outcomes").glob("*.json"))
        return {name: entry for name in names if (entry := self.entry(name))}

    def run(self, student: str) -> KeptRun | None:
        """What the cells of a learner's last run did, if it can be read."""
        return _read(self.folder / "runs" / f"{student}.json", KeptRun)

    def keep_run(self, run: Run, tests: Mapping[str, str]) -> None:
        """Keep what a run did, before anything comes of it."""
        kept = KeptRun(tests=dict(tests), run=run)
        with suppress(*NOT_KEPT):  # the record saves time, and without it the work is run again
            write_text(self.folder / "runs" / f"{run.name}.json", kept.model_dump_json() + "\n")

    def enter(self, student: str, entry: Entry) -> None:
        """Keep what was recorded, after it was."""
        with suppress(*NOT_KEPT):
            write_text(self.folder / "outcomes" / f"{student}.json", entry.model_dump_json(indent=1) + "\n")

    def seal(self) -> None:
        """Note the state in which the grader leaves the gradebook."""
        with suppress(OSError):
            write_text(self.folder / ".gradebook", self._state())

    def sealed(self) -> bool:
        """Whether nobody has written to the gradebook since."""
        try:
            return (self.folder / ".gradebook").read_text(encoding="utf-8") == self._state() != ""
        except OSError:
            return False

    def _state(self) -> str:
        try:
            found = self._gradebook.stat()
        except OSError:
            return ""
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        found = kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return found if getattr(found, "schema_version", None) == SCHEMA else None


def week_key(week: Week, unsafe: bool) -> str:
    """A hash of all that the outcomes of a week share: its source, the environment, the sandbox."""
    source = [week.folder / name for name in (f"{week.topic}.py", TESTS, "week.toml", "misconceptions.py")]
    return digest([path for path in source if path.is_file()], environment_of(week.code), _walls(unsafe))


def _walls(unsafe: bool) -> str:
    return "unsafe" if unsafe else "sandbox"


def work_key(*parts: bytes) -> str:
    """A hash of what was submitted."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def outcome_key(week: str, work: str, name: str) -> str:
    """The key of an outcome, from those of the week and of the work; `name` is what the file was called."""
    return hashlib.sha256(f"{week} {work} {name}".encode()).hexdigest()


def keys_of_tests(job: Job, environment: str, unsafe: bool = False) -> dict[str, str]:
    """Test cell -> a hash of what its verdict depends on.

    That is the environment (see `fingerprint.environment_of`), the walls around the learner's process, every cell that
    is not a test, the test itself, and where it stands among them. Since a reference stands in for a failed exercise,
    the tests of the exercises that this one builds on are in it, too, and where those stand.
    """
    others = [_seen(cell) for cell in job.cells if cell.kind != TEST]
    base = json.dumps([environment, _walls(unsafe), job.limits.model_dump(), job.names, others], sort_keys=True)
    places, before = {}, 0
    for cell in job.cells:
        places[cell.id] = before
        before += cell.kind != TEST
    keys = {}
    for cell in job.cells:
        if cell.kind == TEST:
            used = job.uses.get(cell.exercise, ())
            tests = [one for one in job.cells if one is cell or (one.kind == TEST and one.exercise in used)]
            judged = [(places[one.id], _seen(one)) for one in tests]
            stand_ins = [(name, job.reference.get(name, "")) for name in used]
            own = json.dumps([base, cell.id, judged, stand_ins])
            keys[cell.id] = hashlib.sha256(own.encode()).hexdigest()
    return keys


def _seen(cell: Code) -> tuple[str, ...]:
    """What a cell is in a key. Its id too: what a cell showed is kept under it."""
    return cell.id, cell.kind, cell.exercise, cell.source


def reusable(kept: KeptRun | None, keys: Mapping[str, str]) -> dict[str, CellRun]:
    """The verdicts of an earlier run that hold for these test keys.

    All of them where every key is the same. Of a run in which a process died no single verdict holds: what came after
    depends on it.
    """
    if kept and kept.tests == keys:
        return {test: kept.run.cells[test] for test in keys}
    if kept is None or kept.run.deaths or any(kept.run.cells[test].verdict not in REPEATABLE for test in kept.tests):
        return {}
    return {test: kept.run.cells[test] for test, key in keys.items() if kept.tests.get(test) == key}


def remaining(job: Job, known: Mapping[str, CellRun]) -> Job | None:
    """The job without the tests whose verdict is known; None where none is left.

    A test that runs takes those of the exercises it builds on with it: whether they fail decides its stand-ins.
    """
    left = {cell.exercise for cell in job.cells if cell.kind == TEST and cell.id not in known}
    if not left:
        return None
    beneath = {used for exercise in left for used in job.uses.get(exercise, ())}
    kept = [cell for cell in job.cells if cell.kind != TEST or cell.id not in known or cell.exercise in beneath]
    return replace(job, cells=tuple(kept))
