"""The checks themselves; see `shared.checks`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from .compare import describe, difference, is_tensor, near, plain
from .failures import HERE, TOLD, fail, fail_with, lines_of, words_of
from .kinds import Kind, kind_of
from .origins import asked_for_gradient, taken_apart_with
from .unchanged import first_change

if TYPE_CHECKING:
    import torch

Causes = Mapping[str, Any]
"""Likely cause -> the wrong value it would give, or a function that tells whether it is there.

A wrong value counts as a match when the learner's value is close to it and it is not close to the
expected one. A function takes no argument and returns a bool or a wrong value."""

NO_GRADIENT = "no gradient reached it: it takes no part in the result, or is detached from it"
NO_RETURN = "a function without `return` gives None"
SHORTCUT, HIDES = "a library call does the work of this exercise", "the computation hides from the test"


def tensor(value: Any, name: str = "the result") -> torch.Tensor:
    """The value, if it is a tensor; a failure that says what it is instead, if not."""
    if not is_tensor(value):
        cause = _instead_of_a_tensor(value)
        fail(f"{name}: not a tensor", came=describe(value), expected="a torch.Tensor", cause=cause, kind=Kind.VALUE)
    return cast("torch.Tensor", value)


def _instead_of_a_tensor(value: Any) -> str:
    """Why this may have been returned where a tensor was asked for; "" where nothing points to a cause."""
    if isinstance(value, tuple | list) and any(map(is_tensor, value)):
        return f"a {type(value).__name__} of {len(value)} was returned where one tensor was asked for"
    if value is not None:
        return ""
    gradient = asked_for_gradient(HERE)
    if gradient is None:
        return ""
    return NO_GRADIENT if gradient else NO_RETURN


def shape(value: Any, expected: Sequence[int], name: str = "the result", *, causes: Causes | None = None) -> None:
    """The value is a tensor of exactly this shape."""
    got = tuple(tensor(value, name).shape)
    if got != tuple(expected):
        fail(
            f"{name}: wrong shape",
            came=f"{got}",
            expected=f"{tuple(expected)}",
            cause=_taken_apart(value, expected) or _cause(value, None, causes),
            kind=Kind.VALUE,
        )


def _taken_apart(value: torch.Tensor, expected: Sequence[int]) -> str:
    """`first, second = answer(x)` takes one tensor apart, too: what the names got are its rows, and all of them."""
    whole = value._base
    if whole is None or tuple(whole.shape) != tuple(expected):
        return ""
    got = taken_apart_with(HERE)
    rows = [row for row in got if is_tensor(row) and cast("torch.Tensor", row)._base is whole]
    same = len(rows) == len(got) == len(whole) and all(map(_is, rows, whole))
    if not same:
        return ""
    return f"one tensor of shape {tuple(whole.shape)} was returned where {len(whole)} values were asked for"


def _is(one: Any, other: torch.Tensor) -> bool:
    """Whether two tensors are the same entries of the same memory."""
    return (one.data_ptr(), one.shape, one.stride()) == (other.data_ptr(), other.shape, other.stride())


def dtype(value: Any, expected: torch.dtype, name: str = "the result") -> None:
    """The value is a tensor of exactly this dtype."""
    got = tensor(value, name).dtype
    if got != expected:
        fail(f"{name}: wrong dtype", came=str(got), expected=str(expected), kind=Kind.VALUE)


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
        kind=Kind.VALUE,
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
            kind=Kind.VALUE,
        )


def each(expected: Iterable[Any], *came: Iterable[Any], name: str = "the values") -> list[tuple[Any, ...]]:
    """What is expected beside what the answer gave, entry by entry; both have the same length.

    A loop over `zip` would end with the shorter one, and check nothing where the answer gave nothing.
    """
    wanted = list(expected)
    series = [list(islice(one, len(wanted) + 1)) for one in came]  # what a learner's code gives may be endless
    for one in series:
        if len(one) != len(wanted):
            more = f"more than {len(wanted)}" if len(one) > len(wanted) else f"{len(one)}"
            fail(f"{name}: wrong number of entries", came=more, expected=f"{len(wanted)}")
    return list(zip(wanted, *series, strict=True))


def finite(value: Any, name: str = "the result", *, causes: Causes | None = None) -> None:
    """No infinity and no not-a-number."""
    got = tensor(value, name)
    if not got.isfinite().all():
        bad = int((~got.isfinite()).sum())
        cause = _cause(got, None, causes)
        came = f"{bad} of {got.numel()} entries are nan or inf"
        fail(f"{name} not finite", came=came, cause=cause, kind=Kind.VALUE)


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
    except Exception as error:
        if kind_of(error) in TOLD:
            fail_with(error, from_test=False)
        if isinstance(error, kinds):
            return
        fail(f"{name} raised the wrong error", came=words_of(error), expected=wanted, kind=Kind.VALUE, error=error)
    fail(f"{name} did not raise", came="no error", expected=wanted, kind=Kind.VALUE)


def as_found(seen: Mapping[str, Any], name: str = "the model") -> None:
    """A function left a model and its arguments as they were: `seen` is what `unchanged.asked` brought back."""
    if changed := first_change(seen["before"], seen["after"]):
        what = f"{name} afterwards: its {changed.what} changed"
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
            kind=Kind.SHORTCUT,
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
    """For look cells: draw what there is; where the code raises, say so in two lines and go on.

    A figure that was begun and has nothing in it yet is not shown.
    """
    try:
        yield
    except Exception as error:
        close_empty_figures()
        if kind_of(error) is Kind.UNWRITTEN:
            print("Nothing to see yet: this exercise is not written. Fill in the stub and run this cell again.")
            return
        learner, _ = lines_of(error)
        print("Nothing to see yet:", words_of(error).partition("\n")[0])
        if learner:
            print(" ", learner.strip())


def close_empty_figures() -> None:
    """Close the figures whose axes hold no data. Where nothing was drawn, matplotlib is not imported for it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        if not any(ax.has_data() for ax in pyplot.figure(number).axes):
            pyplot.close(number)
