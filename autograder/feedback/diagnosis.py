"""Name the misconception that a wrong answer behaves like.

The *signature* of an answer to an exercise is what the exercise's own tests said about it: for every test cell
the verdict and the whole failure, with the values that came out. Tests are seeded, so answers that do the same
get the same signature, however they are written and whatever the other exercises look like. What depends on
the writing or on the machine (lines of code, addresses, paths, times) is taken out of it, and numbers with a
fraction agree up to rounding. Where a step ran on inputs that are drawn anew each time (`drawn`), its numbers say
nothing: there the step, the check and the kind of value are compared.

Every misconception of a week is run through the same engine once; the table of their signatures is kept in a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.checks.kinds import Kind

from ..core.files import write_text
from ..execution.fingerprint import digest, environment_of
from ..execution.verdicts import CellRun, Verdict
from ..week import drawn, variants
from ..week.cells import Test
from ..week.source import Week
from ..week.variants import Misconception

SCHEMA = 3
LONGEST = 20_000
"""Characters of a message that are compared."""

PARTS = ("check", "came", "expected", "where", "cause")
RELATIVE, ABSOLUTE = 1e-3, 1.5e-4
"""How far two printed numbers may lie apart: checks print 4 to 6 digits, the last of them rounded."""

SHAPE = re.compile(r"\((?:\d+,|\d+(?:, \d+)+)?\)")
DRAWN = re.compile(r"\b(?:True|False)\b|[-+]?\b\d+(?:\.\d*)?(?:e[-+]?\d+)?")
LIST = re.compile(r"[\[(](?:[\s,\[\]()]*#)+[\s,\[\]()]*[\])]")
"""Numbers in brackets, however many they are."""
NUMBER = re.compile(r"([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)")
FRACTION = re.compile(r"\d[.e]")
PLACE = re.compile(r"\Aat \([\d, ]*\): (?=(\S+) instead of (\S+?)(?:;|\Z))")
NOISE = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "ADDRESS"),
    (re.compile(r"(?<![\w.)/])(?:[A-Za-z]:)?(?:[/\\][\w.+<>-]+){2,}"), "PATH"),
    (re.compile(r"\b\d+(?:\.\d*)?(?:e[-+]?\d+)? ?(?:ns|us|µs|μs|ms|s|sec|seconds?|minutes?)\b"), "TIME"),
)


class Outcome(BaseModel):
    """What one test cell said, free of what depends on the writing of the answer or on the machine.

    `drawn`: the step that failed ran on inputs that differ in every run, and numbers are left out of it.
    """

    model_config = ConfigDict(frozen=True)
    verdict: str
    check: str = ""
    came: str = ""
    expected: str = ""
    where: str = ""
    cause: str = ""
    drawn: bool = False


Signature = dict[str, Outcome]
"""Test cell id -> what it said, for all tests of one exercise. Empty where there is nothing to compare."""


class Table(BaseModel):
    """The file of a week's signatures.

    Attributes
    ----------
    key : a hash of all that they depend on.
    failed : misconceptions that the grader itself could not run -> why. Their signatures are empty.
    """

    version: int
    key: str
    signatures: dict[str, Signature]
    failed: dict[str, str]


def signature(week: Week, exercise: str, verdicts: Mapping[str, CellRun]) -> Signature:
    """The signature of an answer to one exercise.

    Empty for an answer that passes everything, for one that is not written, and where a test has neither passed
    nor failed: a crash or a time-out says nothing about what the code computes.
    """
    sources = {cell.id: cell.source for cell in week.of_kind(Test, exercise)}
    ran = {test: verdicts.get(test) for test in sources}
    outcomes = {
        test: _outcome(done, sources[test]) for test, done in ran.items() if done and done.verdict in ("PASS", "FAIL")
    }
    failed = any(outcome.verdict == Verdict.FAIL for outcome in outcomes.values())
    written = not any(done and done.kind is Kind.UNWRITTEN for done in ran.values())
    return outcomes if failed and written and len(outcomes) == len(ran) else {}


def _outcome(done: CellRun, source: str) -> Outcome:
    if done.verdict == Verdict.PASS:
        return Outcome(verdict=done.verdict)
    raw = done.check or {"check": done.message}
    said = {name: _normal(split_location(str(raw.get(name, "")))[0]) for name in PARTS}
    is_drawn = done.line in drawn.drawn_lines(source)
    if is_drawn:
        told = {part: _without_draws(said[part], said["expected"]) for part in ("check", "came")}
        said |= told | {"expected": "", "where": ""}
    place = PLACE.match(said["where"])
    if place and any(FRACTION.search(number) for number in place.groups()):
        # among equal gaps the last digit chooses the place; two exact values are a place of their own
        said["where"] = said["where"][place.end() :]
    return Outcome(verdict=done.verdict, drawn=is_drawn, **said)


def split_location(came: str) -> tuple[str, str]:
    """What came, and the line of code that a failed check names after it (`in forward, at: ...`), or ""."""
    words, _, last = came.rpartition("\n")
    for begin, mark in (("at: ", "at: "), ("in ", ", at: ")):
        _, found, line = last.partition(mark)
        if words and found and last.startswith(begin):
            return words, line.strip()
    return came, ""


def _normal(text: str) -> str:
    text = text[:LONGEST]
    for pattern, word in NOISE:
        text = pattern.sub(word, text)
    return text


def _without_draws(came: str, expected: str) -> str:
    """What came, without numbers and truth values; of a shape it stays whether it is the one that was expected."""
    shapes = set(SHAPE.findall(expected))
    told = SHAPE.sub(lambda match: "(the shape)" if match[0] in shapes else "(a shape)", came)
    return LIST.sub("[#]", DRAWN.sub("#", told))


def matching(own: Signature, known: Mapping[str, Signature]) -> list[str]:
    """The names of the misconceptions that nothing in the tests tells from this answer, in the order of `known`.

    On inputs that are drawn anew a wrong answer may pass by chance. Where no misconception does the very same, those
    count that differ in nothing but such a pass.
    """
    same = [name for name, other in known.items() if own and _same(own, other)]
    return same or [name for name, other in known.items() if own and _same(own, other, by_chance=True)]


def _same(one: Signature, other: Signature, by_chance: bool = False) -> bool:
    pairs = [(one[test], other[test]) for test in one if test in other]
    left = [pair for pair in pairs if not (by_chance and _passed_by_chance(*pair))]
    failed = any(own.verdict == Verdict.FAIL for own, _ in left)
    return failed and one.keys() == other.keys() and all(_agree(*pair) for pair in left)


def _passed_by_chance(one: Outcome, other: Outcome) -> bool:
    """Whether one of them failed on drawn inputs, and the other did not."""
    failed = [outcome for outcome in (one, other) if outcome.verdict == Verdict.FAIL]
    return len(failed) == 1 and failed[0].drawn


def _agree(one: Outcome, other: Outcome) -> bool:
    """Whether a test said the same. Where it named a cause, its own probe has compared the values."""
    if (one.verdict, one.cause) != (other.verdict, other.cause) or not _alike(one.check, other.check):
        return False
    values = zip((one.came, one.expected, one.where), (other.came, other.expected, other.where), strict=True)
    return bool(one.cause) or all(_alike(a, b) for a, b in values)


def _alike(one: str, other: str) -> bool:
    """Equal texts, with numbers that are equal or, where one of them has a fraction, close."""
    if one == other:
        return True
    parts, others = NUMBER.split(one), NUMBER.split(other)
    texts_agree = parts[::2] == others[::2]
    return texts_agree and all(_near(a, b) for a, b in zip(parts[1::2], others[1::2], strict=True))


def _near(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (FRACTION.search(one) or FRACTION.search(other)):
        return False
    a, b = float(one), float(other)
    return abs(a - b) <= ABSOLUTE + RELATIVE * max(abs(a), abs(b))


def diagnose(
    week: Week, misconceptions: Sequence[Misconception], known: Mapping[str, Signature], verdicts: Mapping[str, CellRun]
) -> dict[str, tuple[Misconception, ...]]:
    """Exercise -> the misconceptions that the answer behaves like; several where the tests cannot tell them apart."""
    by_name = {item.name: item for item in misconceptions}
    found = {name: matching(signature(week, name, verdicts), known) for name in week.exercises}
    return {exercise: tuple(by_name[name] for name in names) for exercise, names in found.items() if names}


Runner = Callable[[Sequence[Misconception]], Mapping[str, Mapping[str, CellRun]]]
"""Runs each misconception between the reference's answers: its name -> the verdicts of its exercise's tests."""


def signatures(
    week: Week, misconceptions: Sequence[Misconception], run: Runner, cache: Path, *, again: bool = False
) -> Table:
    """The signatures of a week's misconceptions, from the file `cache` where that is up to date.

    A file that is damaged, or was made from other sources or with another torch, is made again. A run that the
    grader itself spoiled has no signature; that is kept as well, with the reason, and tried once more with `again`
    only, so that a fault that stays costs its time once.
    """
    kept = kept_table(week, cache)
    if kept is not None and not (again and kept.failed):
        return kept
    left = [item for item in misconceptions if kept is None or item.name in kept.failed]
    runs = run(left)
    found = {item.name: signature(week, item.exercise, runs[item.name]) for item in left}
    failed = {name: why for name, verdicts in runs.items() if (why := _spoiled(verdicts))}
    known = (kept.signatures if kept else {}) | found
    table = Table(version=SCHEMA, key=content_key(week), signatures=known, failed=failed)
    write_text(cache, table.model_dump_json(indent=1) + "\n")
    return table


def _spoiled(verdicts: Mapping[str, CellRun]) -> str:
    """Why the grader itself could not run it; "" where it could."""
    reasons = [done.message for done in verdicts.values() if done.verdict == Verdict.INFRA]
    return (reasons[0] or "no reason is known") if reasons else ""


def kept_table(week: Week, cache: Path) -> Table | None:
    """What the file `cache` holds; None where it is missing, damaged or out of date."""
    try:
        table = Table.model_validate_json(cache.read_bytes())
    except (OSError, ValidationError):
        return None
    return table if (table.version, table.key) == (SCHEMA, content_key(week)) else None


def content_key(week: Week) -> str:
    """A hash of what signatures depend on: the week, the environment, and how failures are compared."""
    files = [path for path in sorted(week.folder.rglob("*")) if path.suffix in (".py", ".toml")]
    return digest([*files, Path(__file__), Path(variants.__file__), Path(drawn.__file__)], environment_of(week.code))
