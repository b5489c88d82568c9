"""Other answers to an exercise: misconceptions that tests must reject, alternatives they must accept.

A week keeps them in `misconceptions.py` (a list `MISCONCEPTIONS`) and `alternatives.py` (a list
`ALTERNATIVES`). Each is either a few edits of the reference solution or a whole cell of code.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import runpy
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..core.errors import BuildError, Problem, WorkbookError, short
from .cells import Cell, Exercise, Test
from .source import Week
from .validation import read_text


class VariantError(WorkbookError):
    """A variant that is none; `quoting` is the text in it that does not fit."""

    def __init__(self, message: str, next_step: str, *, quoting: str = "") -> None:
        super().__init__(message, next_step)
        self.quoting = quoting


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
        VariantError
            when an edit does not match the reference exactly once, or the variant changes nothing.
        """
        if self.exercise not in week.exercises:
            raise VariantError(f"no exercise {self.exercise!r}", f"one of {', '.join(week.exercises)}")
        if bool(self.code) == bool(self.edits):
            raise VariantError("give either edits or code", "remove one, or write one")
        cell = week.of_kind(Exercise, self.exercise)[0]
        if self.code:
            if self.code.strip() == cell.source.strip():
                raise VariantError("the code is the reference", "write what the answer should be")
            return self.code
        spans = []
        for old, new in self.edits.items():
            if not old or cell.source.count(old) != 1:
                raise VariantError(*_does_not_fit(cell, old), quoting=old)
            spans.append((cell.source.index(old), len(old), new))
        text, after = cell.source, len(cell.source)
        for begin, length, new in sorted(spans, reverse=True):
            if begin + length > after:
                raise VariantError("two edits overlap", "write them as one")
            text, after = text[:begin] + new + text[begin + length :], begin
        if text == cell.source:
            raise VariantError("the edits change nothing", "write what the answer should be")
        return text


def _does_not_fit(cell: Cell, old: str) -> tuple[str, str]:
    """Message and remedy for an edit whose old text does not stand in the reference exactly once."""
    count = cell.source.count(old) if old else 0
    message = f"{old!r} stands {count} times in the reference (line {cell.line})"
    if count:
        return message, "quote a longer piece"
    lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
    near = difflib.get_close_matches(old.strip().partition("\n")[0], lines, 1, 0.5)
    return message, f"copy it from there; did you mean {near[0]!r}?" if near else "copy it from there"


@dataclass(frozen=True, kw_only=True)
class Misconception(Variant):
    """A wrong answer that people really write.

    Attributes
    ----------
    rejected_by : id of the test cell that must reject it.
    says : what the failure message must contain; where the message names a cause, the cause must.
    note : what is behind the mistake, in words for the learner.
    same_cause_as : misconceptions of the exercise that are told the same cause, a name or several: the cause is true
        of both.
    only_in_a_notebook : tests that reject it in a notebook and not in the judge, an id or several: it changes an
        argument in place, and arguments cross to the sandbox as copies, which the next check does not meet.
    """

    rejected_by: str
    says: str
    note: str
    same_cause_as: Collection[str] = ()
    only_in_a_notebook: Collection[str] = ()

    @property
    def shares_with(self) -> frozenset[str]:
        """The names in `same_cause_as`."""
        return _names(self.same_cause_as)

    @property
    def not_in_the_judge(self) -> frozenset[str]:
        """The tests in `only_in_a_notebook`."""
        return _names(self.only_in_a_notebook)


def _names(given: Collection[str]) -> frozenset[str]:
    """One name or several, as an author may write them."""
    return frozenset([given] if isinstance(given, str) else given)


@dataclass(frozen=True, kw_only=True)
class Alternative(Variant):
    """A right answer that looks different from the reference."""


Found = TypeVar("Found", bound=Variant)


@dataclass(frozen=True)
class Variants:
    misconceptions: tuple[Misconception, ...]
    alternatives: tuple[Alternative, ...]


def _load_list(path: Path, name: str, kind: type[Found]) -> list[Found]:
    if not path.is_file():
        raise WorkbookError(f"{short(path)} is missing", f"write it, with a list {name}")
    try:
        found = runpy.run_path(str(path)).get(name)
    except SyntaxError as error:
        raise BuildError([Problem(path, error.lineno or 1, f"does not parse: {error.msg}", "fix the syntax")]) from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)
        fields = ", ".join(one.name for one in dataclasses.fields(kind))
        remedy = f"fix it; a {kind.__name__} has {fields}" if isinstance(error, TypeError) else "fix it"
        raise BuildError([Problem(path, line or 1, f"{type(error).__name__}: {error}", remedy)]) from None
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        message = f"there is no list {name} of {kind.__name__} objects"
        raise BuildError([Problem(path, 1, message, f"write {name} = [{kind.__name__}(...), ...]")])
    return found


def load_misconceptions(week: Week) -> list[Misconception]:
    """The misconceptions of a week, whether they fit its references or not."""
    return _load_list(week.folder / "misconceptions.py", "MISCONCEPTIONS", Misconception)


def load_variants(week: Week) -> Variants:
    """Read both files of a week.

    Raises
    ------
    BuildError
        for doubled names and answers, unknown exercises or tests, edits that do not fit, and code that does not parse.
    """
    misconceptions = load_misconceptions(week)
    alternatives = _load_list(week.folder / "alternatives.py", "ALTERNATIVES", Alternative)
    variants = Variants(tuple(misconceptions), tuple(alternatives))
    if problems := list(_misfits(week, variants)):
        raise BuildError(problems)
    return variants


def _misfits(week: Week, variants: Variants) -> Iterator[Problem]:
    """What is wrong with single variants, and with pairs of them. At most one problem each."""
    places, tests = Places(week), {cell.id: cell.name for cell in week.of_kind(Test)}
    names: set[str] = set()
    answers: dict[tuple[str, str], Variant] = {}
    for variant in (*variants.misconceptions, *variants.alternatives):
        if variant.name in names:
            yield places.problem(variant, "another variant has this name", "rename one")
            continue
        names.add(variant.name)
        try:
            source = variant.source(week)
            ast.parse(source)
        except VariantError as error:
            yield places.problem(variant, error.message, error.next_step, quoting=error.quoting)
            continue
        except SyntaxError as error:
            message = f"its code does not parse: {error.msg} (line {error.lineno} of the cell: {error.text!r})"
            yield places.problem(variant, message, "fix the syntax")
            continue
        other = answers.setdefault((variant.exercise, source), variant)
        if other is not variant:
            yield places.problem(variant, f"this is the same answer as {other.name!r}", "remove or change one")
        elif isinstance(variant, Misconception) and tests.get(variant.rejected_by) != variant.exercise:
            own = ", ".join(test for test, exercise in tests.items() if exercise == variant.exercise)
            message = f"there is no test {variant.rejected_by!r} of {variant.exercise!r}"
            yield places.problem(variant, message, f"name one of: {own}", quoting=variant.rejected_by)
    for item in variants.misconceptions:
        others = {other.name for other in variants.misconceptions if other.exercise == item.exercise} - {item.name}
        for name in sorted(item.shares_with - others):
            message = f"there is no other misconception {name!r} of {item.exercise!r}"
            yield places.problem(item, message, "correct `same_cause_as`", quoting=name)


class Places:
    """Where the variants of a week stand, read from the syntax trees of its two files."""

    def __init__(self, week: Week) -> None:
        self._calls: dict[Path, list[tuple[str, ast.Call]]] = {}
        self._folder = week.folder
        for path in (week.folder / "misconceptions.py", week.folder / "alternatives.py"):
            calls = [node for node in ast.walk(ast.parse(read_text(path))) if isinstance(node, ast.Call)]
            self._calls[path] = [(name, call) for call in calls if (name := _name_of(call))]

    def problem(self, variant: Variant, message: str, remedy: str, *, quoting: str = "") -> Problem:
        """A problem with one variant, at the line that quotes a text, else where the variant begins.

        Of two variants of one name the last is meant. What a loop made is told at line 1.
        """
        path = self._folder / f"{type(variant).__name__.lower()}s.py"
        calls = [call for name, call in self._calls[path] if name == variant.name]
        texts = [node for node in ast.walk(calls[-1]) if isinstance(node, ast.Constant)] if calls else []
        by_text = {node.value: node.lineno for node in texts if isinstance(node.value, str)}
        line = by_text.get(quoting) or by_text.get(variant.name) or 1
        return Problem(path, line, f"{type(variant).__name__.lower()} {variant.name!r}: {message}", remedy)


def _name_of(call: ast.Call) -> str:
    for word in call.keywords:
        if word.arg == "name" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str):
            return word.value.value
    return ""


def coverage(week: Week, variants: Variants) -> list[Problem]:
    """Exercises with fewer than two misconceptions, and `forbids` that no misconception proves."""
    found = []
    for cell in week.of_kind(Exercise):
        count = sum(item.exercise == cell.name for item in variants.misconceptions)
        if count < 2:
            message = f"exercise {cell.name!r} has {count} misconceptions"
            found.append(Problem(cell.path, cell.line, message, "write at least two in misconceptions.py"))
    for cell in week.of_kind(Test):
        if isinstance(cell.words, Test) and cell.words.forbids:
            proofs = [m for m in variants.misconceptions if m.rejected_by == cell.id and "library call" in m.says]
            if not proofs:
                remedy = "write a misconception that takes the shortcut (says='a library call does the work')"
                found.append(Problem(cell.path, cell.line, f"no proof of the forbids of {cell.id!r}", remedy))
    return found
