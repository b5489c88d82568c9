"""One attack as a small table row, and a class of learners that runs many of them side by side."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from nbformat.notebooknode import NotebookNode

from autograder.execution.make_job import submission_job
from autograder.execution.pool import Team
from autograder.execution.results import Graded, verdicts_of
from autograder.repair.repair import repair
from autograder.week.notebooks import Notebooks

from .lesson import HONEST


@dataclass(frozen=True)
class Case:
    """An attack.

    Attributes
    ----------
    name : of the attack, and of the learner who tries it.
    gain : what it would gain, in a few words.
    stop : what stops it.
    code : what the learner writes into the answer cell of `exercise`.
    off : the verdicts of the tests of `exercise` with the defense off.
    on : the same with the defense on.
    whole : whether the other exercises keep all their points with the defense on; they never get more.
    proof : what the cells show, or a verdict says, with the defense off.
    says : a pattern for what the verdict says, or what the cell printed, with the defense on.
    """

    name: str
    gain: str
    stop: str
    code: str
    off: str = "PASS PASS"
    on: str = "FAIL FAIL"
    whole: bool = True
    proof: str = ""
    says: str = ""
    exercise: str = "double"


@dataclass(frozen=True)
class Attack(Case):
    """Code that raises where it is stopped. `then`: what the learner tries who is graded next."""

    then: str = ""
    on: str = "PASS PASS"
    proof: str = "WON"

    def answer(self, code: str) -> str:
        """An answer that tries this first and is right."""
        body = "\n".join(f"    {line}" for line in code.strip().splitlines())
        outcome = "except Exception as error: print('stopped:', error)\nelse: print('WON')\n"
        return f"try:\n{body}\n{outcome}{HONEST['double']}"


@dataclass(frozen=True)
class Played:
    """What became of one learner: the grades, and all that may be shown of what their cells printed."""

    graded: Graded
    shown: str

    def verdicts(self, exercise: str) -> str:
        tests = [test for test in self.graded.verdicts if test.startswith(f"{exercise}-test")]
        return " ".join(self.graded.verdicts[test].verdict for test in tests)

    @property
    def said(self) -> str:
        """Verdicts with their messages, and everything shown."""
        lines = [f"{test}: {done.verdict} {done.message}" for test, done in self.graded.verdicts.items()]
        return "\n".join([*lines, self.shown])

    @property
    def plain(self) -> dict[str, tuple[str, str, tuple[str, ...]]]:
        """All that an honest learner must get whatever others do."""
        verdicts = self.graded.verdicts.items()
        return {test: (str(done.verdict), done.message, done.stand_ins) for test, done in verdicts}


def answered(built: Notebooks, answers: Mapping[str, str]) -> NotebookNode:
    """The released notebook with these answers in place of stubs."""
    notebook = copy.deepcopy(built.learner)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return notebook


def play(team: Team, built: Notebooks, learners: Mapping[str, Mapping[str, str]]) -> dict[str, Played]:
    """Grade learners, given by their answers, as `workbook grade` does."""
    repaired = {name: repair(built, answered(built, answers)) for name, answers in learners.items()}
    played = {}
    for run in team.run([submission_job(built, name, fixed) for name, fixed in repaired.items()]):
        outputs = [str(output) for cell in run.cells.values() for output in cell.outputs]
        played[run.name] = Played(verdicts_of(built.week, repaired[run.name], run), "\n".join(outputs))
    return played


def with_honest(cases: Mapping[str, Mapping[str, str]], honest: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """A class of attackers with an honest learner before, between and after them."""
    learners: dict[str, Mapping[str, str]] = {"honest-0": honest}
    for number, (name, answers) in enumerate(cases.items(), 1):
        learners[name] = {**honest, **answers}
        if number % 10 == 0 or number == len(cases):
            learners[f"honest-{number}"] = honest
    return learners


def honest_ones(played: Mapping[str, Played]) -> list[Played]:
    return [one for name, one in played.items() if name.startswith("honest-")]
