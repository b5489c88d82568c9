"""A failed check: what a learner reads, the kind that programs read, and how an error becomes one."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from .kinds import LIBRARIES, Kind, kind_of, subject_of
from .origins import values_taken_apart

HERE = str(Path(__file__).parents[1])
_steps: list[str] = []
_passed: list[str] = []
"""Titles of the steps that passed in the running test cell."""
LABELS = {
    "came": "got",
    "expected": "expected",
    "where": "where",
    "cause": "likely cause",
    "next_step": "next step",
}
"""What a failed check says below its first line -> how that is headed."""
WIDTH = 13
"""Columns of a heading."""


@dataclass
class CheckFailure(AssertionError):  # noqa: N818 - a failed check is not an error of the program
    """One failed check. Plain data; `str()` is what the learner reads.

    Attributes
    ----------
    check : what was checked.
    came : what the learner's code gave.
    expected : what it should have been.
    where : where the two differ most.
    cause : a likely cause whose probe matched, or "".
    next_step : what to do about it, where that is not plain from the rest.
    kind : what kind of failure it is; programs read this, never the texts.
    error : the class of the error that was raised, or "".
    subject : see `kinds.subject_of`.
    """

    check: str
    came: str = ""
    expected: str = ""
    where: str = ""
    cause: str = ""
    next_step: str = ""
    kind: Kind = Kind.WORDS
    error: str = ""
    subject: str = ""

    def __str__(self) -> str:
        said = self.as_dict()
        lines = [f"✗ {self.check}"]
        for part, label in LABELS.items():
            if text := said[part]:
                lines.append(f"  {label + ':':<{WIDTH}} {text.replace(chr(10), chr(10) + ' ' * (WIDTH + 3))}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """What a learner reads, as plain strings."""
        return {
            "check": self.check,
            "came": self.came,
            "expected": self.expected,
            "where": self.where,
            "cause": self.cause,
            "next_step": self.next_step,
        }

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message alone, no frames of this module."""
        return str(self).splitlines()

    __hash__ = AssertionError.__hash__


def failure_of(said: Mapping[str, str]) -> CheckFailure:
    """The failure that says this, with the parts that `CheckFailure.as_dict` gives; of no kind."""
    check, came, expected, where, cause, next_step = (said.get(part, "") for part in ("check", *LABELS))
    return CheckFailure(check, came, expected, where, cause, next_step, Kind.OTHER)


def fail(
    what: str,
    *,
    came: str = "",
    expected: str = "",
    where: str = "",
    cause: str = "",
    next_step: str = "",
    kind: Kind = Kind.WORDS,
    error: BaseException | None = None,
) -> NoReturn:
    """Raise a `CheckFailure` within the current step; `error` is what the learner's code or the test raised."""
    title = _steps[-1] if _steps else ""
    _passed.clear()
    name, subject = ("", "") if error is None else (type(error).__name__, subject_of(error))
    said = (f"{title}: {what}" if title else what, came, expected, where, cause, next_step)
    raise CheckFailure(*said, kind, name, subject) from None


@contextmanager
def step(title: str) -> Iterator[None]:
    """One step of a test. An error raised by the learner's code becomes a failure that names their line."""
    _steps.append(title)
    try:
        yield
    except CheckFailure:
        raise
    except Exception as error:
        fail_with(error)
    else:
        _passed.append(title)
    finally:
        _steps.pop()


def done(*, hidden: bool = False) -> None:
    """The last line of a test cell: say that everything passed.

    Parameters
    ----------
    hidden : whether the cell has hidden tests, which run after the notebook is submitted.
    """
    more = "; hidden tests check more after you submit" if hidden else ""
    print(f"✓ {len(_passed)} {'check' if len(_passed) == 1 else 'checks'} passed{more}")
    _passed.clear()


TOLD = {
    Kind.UNWRITTEN: ("not written yet", ""),
    Kind.UNSUPPORTED: (
        "the code asks a library for what it cannot do",
        "compute in another dtype (`x.float()`), or with an operation that works on this device",
    ),
    Kind.MEMORY: ("the code needs more memory than there is", "look for a tensor that is larger than it has to be"),
}
"""Kinds of errors that are told in words of their own, whoever raised them: what is the case, and the next step."""


def fail_with(error: Exception, *, from_test: bool = True) -> NoReturn:
    """Turn an error into a failure; `from_test`: its traceback begins in the test cell."""
    came, kind = words_of(error), kind_of(error)
    learner, test = lines_of(error, from_test)
    if kind in TOLD:
        what, next_step = TOLD[kind]
        fail(what, came=came + learner, next_step=next_step, kind=kind, error=error)
    if learner:
        fail("the code raised an error", came=came + learner, kind=kind or Kind.RAISED, error=error)
    if kind is Kind.UNDEFINED and from_test:
        what = f"`{subject_of(error)}` is not defined"
        fail(what, came=came + test, next_step=RUN_THE_CELL, kind=kind, error=error)
    if (wanted := values_taken_apart(error, HERE)) is not None:
        what = f"wrong number of values: the test takes {wanted}"
        fail(what, came=came + test, expected=f"{wanted} values", kind=Kind.COUNT, error=error)
    fail("the check could not use the returned value", came=came + test, kind=Kind.UNUSABLE, error=error)


RUN_THE_CELL = "run the cell that defines it; where that cell is empty, restore its stub"


def words_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # an exception class of the learner's, whose message fails
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def lines_of(error: BaseException, from_test: bool = True) -> tuple[str, str]:
    """The deepest line of the learner's code and of the test, as ` in forward, at: ...`; "" where there is none.

    The learner's code is what is neither a library's nor in the cell that the traceback begins in. An error that
    comes from a learner's code in another process brings its line along, as `learner_line`.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*LIBRARIES, HERE))
    ]
    test_file = frames[0].filename if frames and from_test else ""
    own = [frame for frame in frames if frame.filename == test_file]
    others = [frame for frame in frames if frame.filename != test_file]
    texts = [
        f"\nin {found[-1].name}, at: {found[-1].line}" if found and found[-1].line else "" for found in (others, own)
    ]
    return getattr(error, "learner_line", texts[0]), texts[1].replace("in <module>, ", "")
