"""Checks for test cells: they stop at the first failure and say what a learner needs to know.

A failure says what was checked, what came, what was expected, where the two differ most, and a
likely cause *only when a probe for that cause matches*. Nothing is ever broadcast.

    with checks.step("each row of weights sums to 1"):
        context, weights = attention(query, key, value)
        checks.shape(weights, (2, 3, 4, 6), "weights")
        checks.close(weights.sum(-1), torch.ones(2, 3, 4), "row sums", causes={
            "softmax ran over the queries": softmax_over_queries.sum(-1),
        })

Tests touch a learner's objects only by calling them with plain values, or through `beside`, which
runs a trusted function next to the learner's code and brings plain observations back.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from .comparing import describe as describe
from .comparing import difference, is_tensor, plain
from .comparing import near as near
from .inputs import fresh_seed as fresh_seed
from .inputs import normal as normal
from .unchanged import first_change

if TYPE_CHECKING:
    import torch

Causes = Mapping[str, Any]
"""Likely cause -> the wrong value it would give, or a function that tells whether it is there.

A wrong value counts as a match when the learner's value is close to it and it is not close to the
expected one. A function takes no argument and returns a bool or a wrong value."""

HERE = str(Path(__file__).parent)
SHORTCUT, HIDES = "a library call does the work of this exercise", "the computation hides from the test"
_steps: list[str] = []
_passed: list[str] = []
"""Titles of the steps that passed in the running test cell."""


@dataclass
class CheckFailure(AssertionError):  # noqa: N818 - a failed check is no error of the program
    """One failed check. Plain data; `str()` is what the learner reads.

    Attributes
    ----------
    check : what was checked.
    came : what the learner's code gave.
    expected : what it should have been.
    where : where the two differ most.
    cause : a likely cause whose probe matched, or "".
    """

    check: str
    came: str = ""
    expected: str = ""
    where: str = ""
    cause: str = ""

    def __str__(self) -> str:
        rows = (
            ("came", self.came),
            ("expected", self.expected),
            ("where", self.where),
            ("likely cause", self.cause),
        )
        lines = [f"✗ {self.check}"]
        lines += [f"  {label + ':':<13} {text.replace(chr(10), chr(10) + ' ' * 16)}" for label, text in rows if text]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """The failure as plain strings, for reports."""
        return {
            "check": self.check,
            "came": self.came,
            "expected": self.expected,
            "where": self.where,
            "cause": self.cause,
        }

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message alone, no frames of this module."""
        return str(self).splitlines()

    __hash__ = AssertionError.__hash__


def fail(what: str, **details: str) -> NoReturn:
    """Raise a `CheckFailure` within the current step."""
    title = _steps[-1] if _steps else ""
    _passed.clear()
    raise CheckFailure(f"{title}: {what}" if title else what, **details) from None


@contextmanager
def step(title: str) -> Iterator[None]:
    """One step of a test. An error raised by the learner's code becomes a failure that names their line."""
    _steps.append(title)
    try:
        yield
    except CheckFailure:
        raise
    except Exception as error:
        _fail_with(error)
    else:
        _passed.append(title)
    finally:
        _steps.pop()


def done(*, hidden: bool = False) -> None:
    """The last line of a test cell: say that everything passed.

    Parameters
    ----------
    hidden : whether the cell has hidden tests, which run after the notebook was handed in.
    """
    more = "; hidden tests check more after you hand in" if hidden else ""
    print(f"✓ {len(_passed)} {'check' if len(_passed) == 1 else 'checks'} passed{more}")
    _passed.clear()


def _fail_with(error: Exception, *, from_test: bool = True) -> NoReturn:
    """Turn an error into a failure; `from_test`: its traceback begins in the test cell."""
    came = _words(error)
    learner, test = _lines(error, from_test)
    if isinstance(error, NotImplementedError):
        fail("not written yet", came=came + learner)
    if learner:
        fail("the code raised an error", came=came + learner)
    fail("the check could not use what it got", came=came + test)


def _words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # an exception class of the learner's, whose message fails
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _lines(error: BaseException, from_test: bool = True) -> tuple[str, str]:
    """The deepest line of the learner's code and of the test, as ` in forward, at: ...`; "" where there is none.

    The learner's code is what is neither a library's nor in the cell that the traceback begins in. An error that
    comes from a learner's code in another process brings its line along, as `learner_line`.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((sys.prefix, sys.base_prefix, "<frozen", HERE))
    ]
    test_file = frames[0].filename if frames and from_test else ""
    own = [frame for frame in frames if frame.filename == test_file]
    others = [frame for frame in frames if frame.filename != test_file]
    texts = [
        f"\nin {found[-1].name}, at: {found[-1].line}" if found and found[-1].line else "" for found in (others, own)
    ]
    return getattr(error, "learner_line", texts[0]), texts[1].replace("in <module>, ", "")


def tensor(value: Any, name: str = "the result") -> torch.Tensor:
    """The value, if it is a tensor; a failure that says what it is instead, if not."""
    if is_tensor(value):
        return cast("torch.Tensor", value)
    cause = "a function without `return` gives None" if value is None else ""
    fail(f"{name}: not a tensor", came=describe(value), expected="a torch.Tensor", cause=cause)


def shape(value: Any, expected: Sequence[int], name: str = "the result", *, causes: Causes | None = None) -> None:
    """The value is a tensor of exactly this shape."""
    got = tuple(tensor(value, name).shape)
    if got != tuple(expected):
        fail(
            f"{name}: another shape",
            came=f"{got}",
            expected=f"{tuple(expected)}",
            cause=_cause(value, None, causes),
        )


def dtype(value: Any, expected: torch.dtype, name: str = "the result") -> None:
    """The value is a tensor of exactly this dtype."""
    got = tensor(value, name).dtype
    if got != expected:
        fail(f"{name}: another dtype", came=str(got), expected=str(expected))


def close(
    got: Any,
    expected: torch.Tensor,
    name: str = "the result",
    *,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    causes: Causes | None = None,
) -> None:
    """Same shape, same dtype, and `|got - expected| <= atol + rtol * |expected|` everywhere.

    Not-a-number is never close to anything.
    """
    got = tensor(got, name)
    shape(got, tuple(expected.shape), name, causes=causes)
    dtype(got, expected.dtype, name)
    got, expected = got.detach(), expected.detach()
    where = difference(got, expected, rtol, atol)
    if not where:
        return
    fail(
        f"{name} not as expected",
        came=describe(got),
        expected=describe(expected),
        where=where,
        cause=_cause(got, expected, causes, rtol=rtol, atol=atol),
    )


def equal(got: Any, expected: Any, name: str = "the result", *, causes: Causes | None = None) -> None:
    """Exactly equal: tensors in shape, dtype and every entry; other values in type and value."""
    if is_tensor(expected):
        close(got, expected, name, rtol=0.0, atol=0.0, causes=causes)
    elif type(got) is not type(expected) or got != expected:
        fail(
            f"{name} not as expected",
            came=describe(got),
            expected=describe(expected),
            cause=_cause(got, expected, causes, exact=True),
        )


def each(expected: Iterable[Any], *came: Iterable[Any], name: str = "what came") -> list[tuple[Any, ...]]:
    """What is expected beside what came, entry by entry, to be walked through; both have the same length.

    A loop over `zip` would end with the shorter one, and check nothing where nothing came.
    """
    wanted = list(expected)
    series = [list(islice(one, len(wanted) + 1)) for one in came]  # what a learner's code gives may be endless
    for one in series:
        if len(one) != len(wanted):
            more = f"more than {len(wanted)}" if len(one) > len(wanted) else f"{len(one)}"
            fail(f"{name}: another number of entries", came=more, expected=f"{len(wanted)}")
    return list(zip(wanted, *series, strict=True))


def finite(value: Any, name: str = "the result", *, causes: Causes | None = None) -> None:
    """No infinity and no not-a-number."""
    got = tensor(value, name)
    if not got.isfinite().all():
        bad = int((~got.isfinite()).sum())
        cause = _cause(got, None, causes)
        fail(f"{name} not finite", came=f"{bad} of {got.numel()} entries are nan or inf", cause=cause)


def that(condition: bool, what: str, *, came: str = "", expected: str = "", causes: Causes | None = None) -> None:
    """A condition in words: `checks.that(mse < 0.01, "the reverser learned", came=f"MSE {mse:.3f}")`."""
    if not condition:
        fail(what, came=came, expected=expected, cause=_cause(None, None, causes))


def raises(
    kinds: type[Exception] | tuple[type[Exception], ...],
    fn: Callable[..., Any],
    *args: Any,
    name: str = "the call",
    **kwargs: Any,
) -> None:
    """`fn(*args)` raises one of these built-in exceptions, by a check of its own."""
    wanted = " or ".join(k.__name__ for k in (kinds if isinstance(kinds, tuple) else (kinds,)))
    try:
        fn(*args, **kwargs)
    except NotImplementedError as error:
        _fail_with(error, from_test=False)
    except kinds:
        return
    except Exception as error:
        fail(f"{name} raised another error", came=_words(error), expected=wanted)
    fail(f"{name} was accepted", came="no error", expected=wanted)


def as_found(seen: Mapping[str, Any], name: str = "the model") -> None:
    """A function left a model and its arguments as they were: `seen` is what `unchanged.asked` brought back."""
    if changed := first_change(seen["before"], seen["after"]):
        what = f"{name} afterwards: its {changed.what} are not what they were"
        fail(what, came=changed.came, expected=changed.expected, cause=changed.cause)
    if not all(seen["arguments"]):
        fail("the tensors that were given are not what they were", came=f"as they were: {seen['arguments']}")


def beside(fn: Callable[..., Any], *objects: Any, **options: Any) -> Any:
    """Run the trusted `fn(*objects, **options)` next to the learner's code; bring plain observations back.

    Where one of the objects stands for something in another process, `fn` runs there: what it changes stays there,
    and arguments are copies.

    Returns numbers, strings, None, tensors (detached copies) and tuples, lists and dicts of them.

    Raises
    ------
    TypeError
        when `fn` returns anything else: an observation is data, never an object of the learner's.
    """
    away = _elsewhere((*objects, *options.values()))
    if away is not None:
        return away.__beside__(beside, fn, objects, options)
    return plain(fn(*objects, **options))


def _elsewhere(values: Iterable[Any]) -> Any:
    """The first value, also inside containers, that stands for an object in another process; None without one."""
    for value in values:
        if hasattr(type(value), "__beside__"):
            return value
        inside = value.values() if type(value) is dict else value if type(value) in (tuple, list) else ()
        if (found := _elsewhere(inside)) is not None:
            return found
    return None


def forbidden(names: Sequence[str], fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """`fn(*args)` calls none of these library functions or classes (dotted names)."""
    from . import calls

    called = beside(calls.calls_among, names, fn, args, kwargs)
    hiding = [name for name in called if name in calls.EVASIONS]
    if called:
        fail(
            HIDES if hiding == called else SHORTCUT,
            came=f"a call of {', '.join(called)}",
            expected="the computation built from basic operations",
        )


def _cause(
    got: Any, expected: Any, causes: Causes | None, rtol: float = 1e-4, atol: float = 1e-5, exact: bool = False
) -> str:
    """The first cause whose probe matches. A probe that cannot run does not match."""

    def same(a: Any, b: Any) -> bool:
        return type(a) is type(b) and bool(a == b) if exact else near(a, b, rtol=rtol, atol=atol)

    for text, probe in (causes or {}).items():
        try:
            wrong = probe() if callable(probe) else probe
            if wrong if isinstance(wrong, bool) else same(got, wrong) and not same(expected, wrong):
                return text
        except Exception:  # a probe is a guess; a guess that fails says nothing
            continue
    return ""


@contextmanager
def look() -> Iterator[None]:
    """For look cells: draw what there is; where the code raises, say so in two lines and go on."""
    try:
        yield
    except Exception as error:
        if isinstance(error, NotImplementedError):
            print("Nothing to see yet: this exercise is not written. Fill in the stub and run this cell again.")
            return
        learner, _ = _lines(error)
        print("Nothing to see yet:", _words(error).partition("\n")[0])
        if learner:
            print(" ", learner.strip())
