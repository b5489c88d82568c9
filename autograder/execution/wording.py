"""What a failed cell says to its learner, where the error alone does not: what is the case, and the next step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from shared.checks.failures import failure_of
from shared.checks.kinds import Kind

from ..week.cells import Exercise
from ..week.names import defined
from ..week.notebooks import Notebooks
from ..week.source import Limits
from .newer_python import newer_syntax
from .verdicts import CellRun, Verdict


@dataclass(frozen=True)
class Surroundings:
    """What there is to know beside a failed cell.

    Attributes
    ----------
    makers : name -> the exercise whose stub defines it.
    exercise : whose cell or test failed.
    answers : exercise -> its cell as it stands in the learner's notebook.
    limits : of the run; None where it had none, as in a kernel.
    beside : whether a module of this name lies beside the learner's notebook.
    """

    makers: Mapping[str, str]
    exercise: str
    answers: Mapping[str, str]
    limits: Limits | None = None
    beside: Callable[[str], bool] = lambda module: False

    @property
    def answer(self) -> str:
        return self.answers.get(self.exercise, "")


def makers_of(built: Notebooks) -> dict[str, str]:
    """Name -> the exercise whose stub defines it."""
    stubs = {cell.id: cell.source for cell in built.learner.cells}
    found: dict[str, str] = {}
    for cell in built.week.of_kind(Exercise):
        for name in defined(stubs[cell.id]):
            found.setdefault(name, cell.name)
    return found


def worded(done: CellRun, around: Surroundings) -> CellRun:
    """The failure in words for its learner; as it is where its own words say enough."""
    said = _SAYS[done.kind](done, around) if done.kind in _SAYS else None
    if done.verdict in (Verdict.PASS, Verdict.INFRA, Verdict.MISSING):
        return done
    if said is None:
        return replace(done, message=f"the answer cell: {done.message}") if done.in_answer else done
    case, next_step = said
    if done.check is not None:
        parts = {**done.check, "cause": case, "next_step": next_step}
        if done.kind is Kind.MEMORY:
            parts["came"] = parts["came"].partition("\n")[2]  # the allocator's own words help nobody; the line does
    else:
        came = "" if case == done.message else done.message
        parts = {"check": case, "came": came, "next_step": next_step}
    failure = failure_of(parts)
    return replace(done, check=failure.as_dict(), message=str(failure))


Said = tuple[str, str] | None


def _undefined(done: CellRun, around: Surroundings) -> Said:
    name = done.subject
    maker = around.makers.get(name)
    if maker is None or maker not in around.answers:
        return None
    whose = "the answer cell" if maker == around.exercise else "the cell"
    if not around.answers[maker].strip():
        return (
            f"{whose} of {maker} is empty: its stub defines `{name}`",
            f"put the stub of {maker} back (key r in `workbook watch`) and fill it in",
        )
    if name not in defined(around.answers[maker]):
        return (
            f"{whose} of {maker} does not define `{name}`",
            f"keep the name that the stub of {maker} gives: `{name}`",
        )
    if maker == around.exercise:
        return None
    return f"`{name}` is defined in the cell of {maker}, which comes later or fails", f"begin with {maker}"


def _no_module(done: CellRun, around: Surroundings) -> Said:
    module = done.subject.partition(".")[0]
    if around.beside(module):
        return (
            f"`{module}` is a file of your own; only the notebook is graded",
            "copy its code into a cell of the notebook, above the answer, and take the import out",
        )
    return (
        f"there is no module `{module}` where your work is graded",
        "if it is a file of your own, copy its code into a cell of the notebook, above the answer; "
        "if it is a library, do without it: only the course's libraries are there",
    )


def _syntax(done: CellRun, around: Surroundings) -> Said:
    newer = newer_syntax(around.answer) if done.in_answer else None
    if newer is None:
        return None
    running = ".".join(map(str, sys.version_info[:2]))
    return (
        f"line {newer.line} needs Python {newer.name}: {newer.what}; this is Python {running}",
        f"write it as Python {running} reads it",
    )


def _memory(done: CellRun, around: Surroundings) -> Said:
    if around.limits is None:
        return None
    wanted = f", and asked for {int(done.subject) / 2**30:.1f} GiB at once" if done.subject.isdecimal() else ""
    return (
        f"the code needs more memory than this week's limit of {around.limits.memory_gib:g} GiB{wanted}",
        "look for a tensor that is larger than it has to be, or a list that grows without end",
    )


def _stopped(done: CellRun, around: Surroundings) -> Said:
    return done.message, "look for a loop that does not end, or for work that is repeated for every element"


_SAYS: dict[Kind, Callable[[CellRun, Surroundings], Said]] = {
    Kind.UNDEFINED: _undefined,
    Kind.NO_MODULE: _no_module,
    Kind.SYNTAX: _syntax,
    Kind.MEMORY: _memory,
    Kind.STOPPED: _stopped,
}
