"""Each way in which a notebook is judged, on a part of week 01: which exercises pass?

kernel    every cell run from top to bottom, then `%check`, in one process
check     `workbook check`
submit    what `workbook submit` says
grade     `workbook grade`, in a sandbox
plain     as plain nbgrader: every cell in the order in which it stands, the course's tests among them
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.building.build import instructor_notebook, learner_notebook
from autograder.engine.cell_kinds import OWN
from autograder.execution.job import Code, Job, Mode
from autograder.execution.make_job import submission_job
from autograder.execution.pool import Team
from autograder.execution.results import verdicts_of
from autograder.execution.verdicts import Verdict
from autograder.learner import check
from autograder.learner.backend import WarmBench
from autograder.learner.fork_client import Lasting
from autograder.learner.released import open_released
from autograder.learner.submit import Preflight, hand_in, preflight
from autograder.learner.tasks import Lesson, lesson_of
from autograder.repair.repair import Repaired, parse_notebook, repair
from autograder.week.cells import Explore, Look, Test
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.source import Week, load_week

from .answers import RIGHT
from .kinds import Habit
from .notebook import Notebook, cell_of

ROOT = Path(__file__).resolve().parents[2]
WEEK = "week01_attention"
EXERCISES = ("sdpa", "masks", "mha", "flops")
LATER = ("reverse", "reverser", "rowmap")
"""Exercises that are left out, since they train for seconds."""
WAYS = ("kernel", "check", "submit", "grade", "plain")
IN_KERNEL = """
import json as _json
from pathlib import Path as _Path
from autograder.learner import kernel_check as _in_kernel
from autograder.learner.released import open_released as _open
_released = _open(_Path({root!r}), {week!r})
_said = {{name: _in_kernel.run(get_ipython(), _released, name).state for name in {exercises!r}}}
open({out!r}, "w").write(_json.dumps(_said))
"""


@dataclass(frozen=True)
class Ways:
    """Which exercises pass, in each way; None where that way gave no answer.

    Attributes
    ----------
    named : exercises whose difference is named before the notebook is handed in.
    """

    passed: dict[str, frozenset[str] | None]
    seen: Preflight
    lesson: Lesson
    fixed: Repaired
    named: frozenset[str]

    def differs(self, ways: Collection[str]) -> frozenset[str]:
        """Exercises about which these ways do not agree."""
        found = [passed for way in ways if (passed := self.passed[way]) is not None]
        return frozenset(one for one in EXERCISES if len({one in passed for passed in found}) > 1)


def part_of_the_week() -> Notebooks:
    """Week 01 without its later exercises."""
    week = load_week(ROOT / "solutions" / WEEK)
    cells = [cell for cell in week.cells if not cell.id.startswith(tuple(f"{name}-" for name in LATER))]
    cells = [cell for cell in cells if cell.id not in LATER and not cell.id.startswith("written-")]
    part = Week(week.folder, week.info, tuple(cells))
    instructor = instructor_notebook(part)
    return Notebooks(part, instructor, learner_notebook(instructor))


def notebook_of(built: Notebooks, habit: Habit) -> Notebook:
    """The learner's notebook after the habit."""
    notebook: Notebook = json.loads(json.dumps(built.learner))
    for exercise, answer in (RIGHT | habit.answers).items():
        if answer is not None:
            cell_of(notebook, exercise)["source"] = answer
    habit.edit(notebook)
    return notebook


class Judges:
    """Judges notebooks in every way, with warm processes that are started once."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.built = part_of_the_week()
        self.root = root
        folder = root / "weeks" / WEEK
        folder.mkdir(parents=True)
        (folder / "attention.ipynb").write_text(to_text(self.built.learner), encoding="utf-8")
        (root / "pyproject.toml").touch()
        self.released = open_released(root, WEEK)
        libraries = self.built.week.info.libraries
        warm = Lasting(libraries)
        warm.start()
        self.bench = WarmBench(warm)
        stack.callback(self.bench.close)
        self.grader = stack.enter_context(Team(1, libraries=libraries, mode=Mode.SANDBOX))
        magic = ("autograder.learner.kernel_check", "autograder.learner.released")
        self.notebook = stack.enter_context(Team(1, libraries=(*libraries, *magic)))

    def judged(self, habit: Habit, ways: Collection[str] = WAYS) -> Ways:
        """What each way says of a habit."""
        content = json.dumps(notebook_of(self.built, habit), ensure_ascii=False).encode()
        mine = parse_notebook(content)
        lesson = lesson_of(self.released, copy.deepcopy(mine))
        fixed = repair(self.built, copy.deepcopy(mine))
        results = check.with_blame(
            lesson, {one.exercise: one for one in check.check(lesson, self.bench, list(lesson.tasks))}
        )
        seen = preflight(self.root, lesson, content, self.bench, results)
        passed: dict[str, frozenset[str] | None] = {
            "check": frozenset(name for name, result in results.items() if result.passed),
            "submit": frozenset(name for name, result in seen.results.items() if result.passed),
            "grade": self._graded(fixed),
            "kernel": self._in_kernel(content) if "kernel" in ways else None,
            "plain": self._plain(content) if "plain" in ways else None,
        }
        named = {name for one in seen.differences for name in one.exercises or EXERCISES}
        return Ways(passed, seen, lesson, fixed, frozenset(named))

    def _graded(self, fixed: Repaired) -> frozenset[str]:
        week = self.built.week
        run = self.grader.submit(submission_job(self.built, "learner", fixed)).result()
        graded = verdicts_of(week, fixed, run)
        assert Verdict.INFRA not in {done.verdict for done in graded.verdicts.values()}, graded.verdicts
        return frozenset(name for name in week.exercises if graded.points[name] == week.points(name))

    def _in_kernel(self, content: bytes) -> frozenset[str] | None:
        """All cells but tests and the course's figures, as a kernel runs them; then `%check`.

        None where nothing runs any more.
        """
        notebook = parse_notebook(content)
        kinds = {cell.id: cell.words for cell in self.built.week.cells}
        left_out = {
            cell.source for cell in self.built.learner.cells if isinstance(kinds[cell.id], Test | Look | Explore)
        }
        cells = [
            Code(f"cell-{number}", cell.source, OWN)
            for number, cell in enumerate(notebook.cells)
            if cell.cell_type == "code" and cell.source not in left_out
        ]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said.json"
            said = IN_KERNEL.format(root=str(self.root), week=WEEK, exercises=list(EXERCISES), out=str(out))
            self.notebook.submit(
                Job("kernel", (*cells, Code("check", said, OWN)), self.built.week.info.limits)
            ).result()
            if not out.exists():
                return None
            return frozenset(name for name, state in json.loads(out.read_text()).items() if state == Verdict.PASS)

    def _plain(self, content: bytes) -> frozenset[str]:
        """Locked cells come from the course, as nbgrader's preprocessors bring them; a doubled one counts once."""
        notebook = parse_notebook(content)
        course = {cell.id: cell.source for cell in self.built.instructor.cells}
        words = {cell.id: cell.words for cell in self.built.week.cells}
        cells, told = [], set()
        for number, cell in reversed(list(enumerate(notebook.cells))):
            grading = cell.metadata.get("nbgrader", {})
            name = grading.get("grade_id", "")
            mine = name in told or not name
            told.add(name)
            if cell.cell_type != "code" or "skip-execution" in cell.metadata.get("tags", ()):
                continue
            locked = not mine and (grading.get("locked") or grading.get("grade"))
            test = not mine and isinstance(words.get(name), Test)
            cells.append(Code(name if test else f"cell-{number}", course[name] if locked else cell.source, OWN))
        job = Job("plain", tuple(reversed(cells)), self.built.week.info.limits)
        run = self.notebook.submit(job).result()
        failed = {
            cell.name
            for cell in self.built.week.of_kind(Test)
            if cell.id not in run.cells or run.cells[cell.id].verdict is not Verdict.PASS
        }
        return frozenset(self.built.week.exercises) - failed

    def bundle(self, seen: Preflight) -> Path:
        """Hand it in."""
        return hand_in(self.root, replace(seen, path=self.root / "work" / "attention.ipynb"), None).path


@contextmanager
def judges() -> Iterator[Judges]:
    """Judges in a folder of their own, with a private folder for the warm process."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wb-")))
        before = {name: os.environ.get(name) for name in ("WORKBOOK_RUNTIME", "WORKBOOK_WARM_SECONDS")}
        os.environ |= {"WORKBOOK_RUNTIME": str(folder / "runtime"), "WORKBOOK_WARM_SECONDS": "5"}
        try:
            yield Judges(folder / "checkout", stack)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            with suppress(OSError):
                stack.close()
