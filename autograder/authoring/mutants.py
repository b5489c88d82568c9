"""Whether the tests of a week notice single changes of its references.

A mutant runs alone, against the tests of its own exercise, the quickest first, until one of them fails. One that
passes them all is *alive*: the tests have a hole, or the change makes no difference. The second is said, with the
reason, in the week's `equivalents.toml`:

    [[equivalent]]
    exercise = "sdpa"
    change = "weights = weights.contiguous()  =>  weights = weights"
    reason = "only the memory layout differs, which no caller sees"

A reason holds only while its mutant exists and is alive.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..building.build import build_week
from ..core.errors import BuildError, Problem, WorkbookError
from ..execution.job import Job, Run
from ..execution.make_job import graded_cells, make_job
from ..execution.pool import Team
from ..execution.verdicts import Verdict
from ..week.cells import Exercise, Given, Setup, Test
from ..week.notebooks import Notebooks
from ..week.source import Limits, Week, load_info, load_week
from ..week.validation import line_of_key, read_text, read_toml
from ..week.variants import load_misconceptions
from .causes import Doubt, Known
from .matrix import cause_of
from .mutation import Mutant, imported_names, mutants

FILE = "equivalents.toml"
LONGEST = 10
"""A test of a mutant may take so many times as long as the slowest test takes with the reference."""
LEAST_SECONDS = 10.0


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """Killed, but only because it took too long."""
    EQUIVALENT = "equivalent"
    """Alive, and the week says why no test can notice it."""
    ALIVE = "alive"


class Equivalent(BaseModel):
    """A mutant that does the same as the reference, and why. `change` and `occurrence` as `Mutant` has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    exercise: str
    change: str
    occurrence: int = Field(default=1, ge=1)
    reason: str = Field(min_length=20)

    @property
    def key(self) -> tuple[str, str, int]:
        return self.exercise, self.change, self.occurrence


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    equivalent: tuple[Equivalent, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A mutant, its fate, the test that killed it, and where it stands in the lesson.

    `cause` is what this test told as the likely cause, "" where it told none; `doubt` why it may be false.
    """

    mutant: Mutant
    fate: Fate
    killed_by: str
    line: int
    cause: str = ""
    doubt: Doubt = Doubt.NONE


@dataclass(frozen=True)
class MutationReport:
    """All mutants of a week, or a sample of them.

    Attributes
    ----------
    all_mutants : how many there are; `tried` may be a sample.
    problems : reasons that no longer hold.
    """

    week: str
    script: str
    tried: tuple[Tried, ...]
    all_mutants: int
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def alive(self) -> list[Tried]:
        return [one for one in self.tried if one.fate is Fate.ALIVE]

    @property
    def doubtful(self) -> list[Tried]:
        """Those that were told a cause that may be false. Some are true: they are not misses."""
        return [one for one in self.tried if one.doubt]

    @property
    def misses(self) -> list[str]:
        return [f"alive: {one.mutant.change}" for one in self.alive] + [str(one) for one in self.problems]

    def counts(self) -> dict[str, Counter[Fate]]:
        """By exercise, in the order of the lesson, how many had which fate."""
        found: dict[str, Counter[Fate]] = {}
        for one in self.tried:
            found.setdefault(one.mutant.exercise, Counter())[one.fate] += 1
        return found

    def summary(self) -> dict[str, Any]:
        """For the proof: how many mutants had which fate, in all and by exercise."""
        by_exercise = {name: {str(fate): count[fate] for fate in Fate} for name, count in self.counts().items()}
        fates = Counter(one.fate for one in self.tried)
        counts = {"mutants": len(self.tried)} | {str(fate): fates[fate] for fate in Fate}
        return {"counts": counts, "exercises": by_exercise}

    def to_json(self) -> str:
        rows = [
            {
                "exercise": one.mutant.exercise,
                "fate": one.fate,
                "killed_by": one.killed_by,
                "operator": one.mutant.operator,
                "line": one.line,
                "change": one.mutant.change,
                "occurrence": one.mutant.occurrence,
                "cause": one.cause,
                "doubt": one.doubt,
            }
            for one in self.tried
        ]
        scores = {name: dict(count) for name, count in self.counts().items()}
        whole = {
            "week": self.week,
            "all": self.all_mutants,
            "exercises": scores,
            "problems": [str(one) for one in self.problems],
        }
        return json.dumps(whole | {"mutants": rows}, indent=1, ensure_ascii=False) + "\n"


def load_equivalents(week: Week) -> tuple[Equivalent, ...]:
    """The mutants that the week explains; none where it has no file.

    Raises
    ------
    BuildError
        for a file that is not valid TOML, an unknown key or exercise, a missing or too short reason, the same mutant
        twice.
    """
    path = week.folder / FILE
    if not path.is_file():
        return ()
    found, text = read_toml(path, _File).equivalent, read_text(path)
    problems, seen = [], set()
    for number, one in enumerate(found):
        if one.exercise not in week.exercises:
            line = line_of_key(text, ("equivalent", number, "exercise"))
            remedy = f"one of {', '.join(week.exercises)}"
            problems.append(Problem(path, line, f"there is no exercise {one.exercise!r}", remedy))
        elif one.key in seen:
            line = line_of_key(text, ("equivalent", number, "change"))
            remedy = "remove one, or say which `occurrence` you mean"
            problems.append(Problem(path, line, f"{one.change!r} is explained twice", remedy))
        seen.add(one.key)
    if problems:
        raise BuildError(problems)
    return found


def _written_lines(source: str) -> set[int]:
    """The lines, from 1, that a learner writes: those between solution marks."""
    found, inside = set(), False
    for number, line in enumerate(source.splitlines(), 1):
        if "BEGIN SOLUTION" in line or "END SOLUTION" in line:
            inside = "BEGIN" in line
        elif inside:
            found.add(number)
    return found


def all_mutants(week: Week, exercise: str = "") -> list[Mutant]:
    """Every mutant of a week, or of one exercise, in the order of the lesson. What the stub gives is left alone."""
    given = (cell.source for kind in (Setup, Given) for cell in week.of_kind(kind))
    imported = imported_names(*given)
    found = []
    for cell in week.of_kind(Exercise):
        if exercise in ("", cell.name):
            written = _written_lines(cell.source)
            found += [mutant for mutant in mutants(cell.name, cell.source, imported) if mutant.line in written]
    return found


def _job(built: Notebooks, name: str, exercise: str, answer: str, seconds: dict[str, float], limits: Limits) -> Job:
    """The answers of the week, one of them changed, and behind them the tests of its exercise, quickest first."""
    week = built.week
    # the quick ones first; those that take about as long in the order of the notebook, the same in every run
    tests = sorted((cell.id for cell in week.of_kind(Test, exercise)), key=lambda test: int(2 * seconds.get(test, 0.0)))
    every = {cell.id for cell in week.of_kind(Test)}
    run = [cell for cell in graded_cells(week) if cell not in every] + tests
    job = make_job(built, name, run, {week.of_kind(Exercise, exercise)[0].id: answer})
    return Job(job.name, job.cells, limits, job.names, until_failure=True)


def _fate(run: Run, tests: Sequence[str]) -> tuple[Fate, str]:
    """The fate of a mutant by what its run did, and the test that killed it."""
    for cell, done in run.cells.items():
        if done.verdict is Verdict.INFRA:
            raise WorkbookError(f"{run.name}: {cell}: {done.message}", "run it again")
        if done.verdict is not Verdict.PASS:
            return (Fate.TIMED_OUT if done.verdict is Verdict.TIMEOUT else Fate.KILLED), cell
    assert set(tests) <= set(run.cells), run.name
    return Fate.ALIVE, ""


def try_mutants(
    folder: Path,
    *,
    exercise: str = "",
    sample: int = 0,
    seed: int = 0,
    workers: int | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_done: Callable[[Run], None] | None = None,
) -> MutationReport:
    """Run the mutants of a week side by side in warm processes.

    Parameters
    ----------
    exercise : only the mutants of this one.
    sample : how many to draw with `seed`, without replacement; 0 takes all. Of a sample, reasons whose mutants were
        not drawn are not judged.
    on_start, on_done : as for `verify.verify_week`.

    Raises
    ------
    WorkbookError
        for an unknown exercise, a mistake in the week's files, or a reference that its own tests reject.
    """
    begin = time.perf_counter()
    with Team(workers, libraries=load_info(folder).libraries, on_done=on_done) as team:
        week = load_week(folder)
        if exercise and exercise not in week.exercises:
            raise WorkbookError(f"{week.name} has no exercise {exercise!r}", f"one of {', '.join(week.exercises)}")
        known = load_equivalents(week)
        places = {one.key: number for number, one in enumerate(known)}
        explained = {one.key: one for one in known if exercise in ("", one.exercise)}
        causes = Known(week, load_misconceptions(week))
        built = build_week(week)
        everything = all_mutants(week, exercise)
        chosen = everything
        if sample and sample < len(everything):
            drawn = sorted(random.Random(seed).sample(range(len(everything)), sample))
            chosen = [everything[place] for place in drawn]
        on_start(len(chosen) + 1)
        team.ready()
        limits = week.info.limits
        (reference,) = team.run([make_job(built, "reference", graded_cells(week), {})])
        for cell, done in reference.cells.items():
            if done.verdict is not Verdict.PASS:
                raise WorkbookError(f"{week.name}: {cell} rejects the reference: {done.message}", "run workbook verify")
        seconds = {cell: done.seconds for cell, done in reference.cells.items()}
        longest = max(LEAST_SECONDS, LONGEST * max(seconds.values()))
        limits = limits.model_copy(update={"cell_seconds": min(limits.cell_seconds, longest)})
        jobs = [
            _job(built, f"{one.exercise}, line {one.line}: {one.change}", one.exercise, one.source, seconds, limits)
            for one in chosen
        ]
        runs = list(team.run(jobs))
    lines = {cell.name: cell.line for cell in week.of_kind(Exercise)}
    tests = {name: [cell.id for cell in week.of_kind(Test, name)] for name in week.exercises}
    tried, judged = [], set()
    told: list[tuple[tuple[str, str, int], str, str]] = []
    for one, run in zip(chosen, runs, strict=True):
        fate, killed_by = _fate(run, tests[one.exercise])
        key = (one.exercise, one.change, one.occurrence)
        if key in explained:
            judged.add(key)
            if fate is Fate.ALIVE:
                fate = Fate.EQUIVALENT
            else:
                told.append((key, f"not equivalent, {killed_by} rejects it: {one.change}", "remove this reason"))
        cause = cause_of(run.cells[killed_by]) if killed_by else ""
        doubt = causes.doubt(one, cause) if cause else Doubt.NONE
        tried.append(Tried(one, fate, killed_by, lines[one.exercise] + one.line, cause, doubt))
    every = {(one.exercise, one.change, one.occurrence) for one in everything}
    gone = "remove this reason, or copy `change` from what --mutants prints"
    told += [(key, f"no such mutant of {key[0]!r}: {key[1]}", gone) for key in explained if key not in every]
    path = week.folder / FILE
    text = read_text(path) if told else ""
    problems = [
        Problem(path, line_of_key(text, ("equivalent", places[key], "change")), message, remedy)
        for key, message, remedy in told
    ]
    script = str(week.script.relative_to(folder.parent.parent))
    return MutationReport(
        week.name, script, tuple(tried), len(everything), tuple(problems), time.perf_counter() - begin
    )
