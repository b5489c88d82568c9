"""Other answers to an exercise: misconceptions that tests must reject, alternatives they must accept.

A week keeps them in `misconceptions.py` (a list `MISCONCEPTIONS`) and `alternatives.py` (a list
`ALTERNATIVES`). Each is either a few edits of the reference solution or a whole cell of code.
"""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Problem, WorkbookError, short
from .source import Exercise, Test, Week


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Another answer to one exercise.

    Attributes
    ----------
    name : a slug, unique in its week.
    exercise : the exercise it answers.
    edits : old text -> new text; each old text stands exactly once in the reference answer.
    code : the whole cell, instead of `edits`.
    """

    name: str
    exercise: str
    edits: Mapping[str, str] = field(default_factory=dict)
    code: str = ""

    def source(self, week: Week) -> str:
        """The exercise cell with this answer.

        Raises
        ------
        WorkbookError
            when an edit does not match the reference exactly once, or the variant changes nothing.
        """
        where = f"{week.folder.name}: {type(self).__name__.lower()} {self.name!r}"
        if self.exercise not in week.exercises:
            raise WorkbookError(f"{where}: no exercise {self.exercise!r}", f"one of {', '.join(week.exercises)}")
        if bool(self.code) == bool(self.edits):
            raise WorkbookError(f"{where}: give either edits or code", "remove one, or write one")
        reference = week.of_kind(Exercise, self.exercise)[0].source
        if self.code:
            if self.code.strip() == reference.strip():
                raise WorkbookError(f"{where}: the code is the reference", "write what the answer should be")
            return self.code
        spans = []
        for old, new in self.edits.items():
            if reference.count(old) != 1:
                raise WorkbookError(f"{where}: {old!r} stands {reference.count(old)} times", "quote a longer piece")
            spans.append((reference.index(old), len(old), new))
        text, after = reference, len(reference)
        for begin, length, new in sorted(spans, reverse=True):
            if begin + length > after:
                raise WorkbookError(f"{where}: two edits overlap", "write them as one")
            text, after = text[:begin] + new + text[begin + length :], begin
        if text == reference:
            raise WorkbookError(f"{where}: the edits change nothing", "write what the answer should be")
        return text


@dataclass(frozen=True, kw_only=True)
class Misconception(Variant):
    """A wrong answer that people really write.

    Attributes
    ----------
    rejected_by : id of the test cell that must reject it.
    says : what the failure message must contain; where the message names a cause, the cause must.
    note : what is behind the mistake, in words for the learner.
    """

    rejected_by: str
    says: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Alternative(Variant):
    """A right answer that looks different from the reference."""


@dataclass(frozen=True)
class Variants:
    misconceptions: tuple[Misconception, ...]
    alternatives: tuple[Alternative, ...]


def _load_list(path: Path, name: str, kind: type[Variant]) -> list[Any]:
    if not path.is_file():
        raise WorkbookError(f"{short(path)} is missing", f"write it, with a list {name}")
    try:
        found = runpy.run_path(str(path)).get(name)
    except Exception as error:
        raise WorkbookError(f"{short(path)}: {type(error).__name__}: {error}", "mend the file") from None
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        raise WorkbookError(f"{short(path)} has no list {name} of {kind.__name__} objects", "write one")
    return found


def load_variants(week: Week) -> Variants:
    """Read both files of a week.

    Raises
    ------
    WorkbookError
        for doubled names, unknown exercises or tests, and edits that do not fit.
    """
    misconceptions = _load_list(week.folder / "misconceptions.py", "MISCONCEPTIONS", Misconception)
    alternatives = _load_list(week.folder / "alternatives.py", "ALTERNATIVES", Alternative)
    tests = {cell.id: cell.name for cell in week.of_kind(Test)}
    seen: set[str] = set()
    for variant in (*misconceptions, *alternatives):
        if variant.name in seen:
            raise WorkbookError(f"{week.name}: two variants named {variant.name!r}", "rename one")
        seen.add(variant.name)
        variant.source(week)
    for item in misconceptions:
        if tests.get(item.rejected_by) != item.exercise:
            own = ", ".join(test for test, exercise in tests.items() if exercise == item.exercise)
            raise WorkbookError(
                f"{week.name}: misconception {item.name!r} names the test {item.rejected_by!r}",
                f"name one of: {own}",
            )
    return Variants(tuple(misconceptions), tuple(alternatives))


def coverage(week: Week, variants: Variants) -> list[Problem]:
    """Exercises with fewer than two misconceptions, and `forbids` that no misconception proves."""
    found = []
    for cell in week.of_kind(Exercise):
        count = sum(item.exercise == cell.name for item in variants.misconceptions)
        if count < 2:
            message = f"exercise {cell.name!r} has {count} misconceptions"
            found.append(Problem(week.script, cell.line, message, "write at least two in misconceptions.py"))
    for cell in week.of_kind(Test):
        if isinstance(cell.words, Test) and cell.words.forbids:
            proofs = [m for m in variants.misconceptions if m.rejected_by == cell.id and "library call" in m.says]
            if not proofs:
                remedy = "write a misconception that takes the shortcut (says='a library call does the work')"
                found.append(Problem(week.script, cell.line, f"no proof of the forbids of {cell.id!r}", remedy))
    return found
