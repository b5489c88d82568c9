"""What a habit is."""

from __future__ import annotations

from dataclasses import dataclass, field

from autograder.learner.submit import Kind

from .notebook import Edit, nothing


@dataclass(frozen=True)
class Habit:
    """A habit.

    Attributes
    ----------
    did : what the learner did, in a few words.
    answers : exercise -> answer, where it is another one than in `answers.RIGHT`; None leaves the stub.
    placed : whether it merges, splits, moves or copies answers: then it earns at least what plain nbgrader gives.
    kernel : why a kernel holds something else than the saved notebook, run from top to bottom, gives; "" mostly.
    passes : exercises whose points a fair grader gives, with spaces between.
    named : kinds of differences that `submit` names.
    """

    name: str
    did: str
    edit: Edit = nothing
    answers: dict[str, str | None] = field(default_factory=dict)
    placed: bool = False
    kernel: str = ""
    passes: str = "sdpa masks"
    named: tuple[Kind, ...] = ()
