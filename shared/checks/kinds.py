"""What kind of failure it was: what programs read where people read a message.

Standard library alone: a learner's process, the judge and the command all use it.
"""

from __future__ import annotations

import sys
from enum import StrEnum

LIBRARIES = (sys.prefix, sys.base_prefix, "<frozen")
"""How the files of Python and of installed libraries begin."""


class Kind(StrEnum):
    """Why a check or a cell failed."""

    OTHER = ""
    """An error without a kind of its own, or a record from before kinds were kept."""
    VALUE = "value"
    """A check describes a value that it was given."""
    WORDS = "words"
    """A check in the words of the test's author."""
    SHORTCUT = "shortcut"
    """A library call does the work of the exercise."""
    UNUSABLE = "unusable"
    """A line of the test could not use the returned value."""
    COUNT = "count"
    """As UNUSABLE: wrong number of values where the test takes them apart."""
    RAISED = "raised"
    """The learner's code raised an error that has no kind below."""
    UNWRITTEN = "unwritten"
    """The stub's own `raise NotImplementedError()`."""
    UNSUPPORTED = "unsupported"
    """A library does not have this operation for this dtype or device."""
    UNDEFINED = "undefined"
    """A name that is not defined; the subject is the name."""
    NO_MODULE = "no module"
    """A module that is not installed; the subject is its name."""
    SYNTAX = "syntax"
    MEMORY = "memory"
    """More memory than there may be; the subject is the number of bytes that were asked for, where it is known."""
    STOPPED = "stopped"
    """The cell was stopped when its time was up."""
    CANCELLED = "cancelled"
    """The run was stopped because nobody wants it any more."""


def kind_of(error: BaseException) -> Kind:
    """The kind of an error, from its class and from where it was raised."""
    try:
        return _kind(error)
    except BaseException:  # an exception class of the learner's, whose attributes raise what they like
        return Kind.OTHER


def _kind(error: BaseException) -> Kind:
    known = getattr(error, "kind", None)
    if isinstance(known, Kind):  # a failed check, or an error that came from another process
        return known
    if isinstance(error, NotImplementedError):
        return _of_the_stub(error)
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        return Kind.MEMORY
    classes = ((NameError, Kind.UNDEFINED), (ModuleNotFoundError, Kind.NO_MODULE), (SyntaxError, Kind.SYNTAX))
    return next((kind for kind_of_error, kind in classes if isinstance(error, kind_of_error)), Kind.OTHER)


def subject_of(error: BaseException) -> str:
    """The name that is not defined or not installed, or the bytes that were asked for; "" where there is none."""
    try:
        return _subject(error)
    except BaseException:  # as in `kind_of`
        return ""


def _subject(error: BaseException) -> str:
    known = getattr(error, "subject", None)
    if isinstance(known, str):
        return known
    if isinstance(error, NameError | ImportError):
        return error.name if isinstance(error.name, str) else ""
    return _bytes_wanted(error) if kind_of(error) is Kind.MEMORY else ""


def unwritten() -> NotImplementedError:
    """The error of a stub, for a helper that found a stub's error in another process or page."""
    error = NotImplementedError()
    error.kind = Kind.UNWRITTEN  # type: ignore[attr-defined]
    return error


def _of_the_stub(error: NotImplementedError) -> Kind:
    """The stub raises it without words; a library does so by an operation, or in a file of its own."""
    from .origins import raised_by_statement

    if not raised_by_statement(error):
        return Kind.UNSUPPORTED
    return Kind.OTHER if error.args else Kind.UNWRITTEN


OF_THE_ALLOCATOR = "DefaultCPUAllocator: "
"""Torch's allocator for the CPU has no error class of its own: it raises a RuntimeError with this in its text."""


def _is_out_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    known = getattr(torch, "OutOfMemoryError", None)
    if isinstance(known, type) and isinstance(error, known):
        return True
    return type(error) is RuntimeError and len(error.args) == 1 and OF_THE_ALLOCATOR in str(error.args[0])


def _bytes_wanted(error: BaseException) -> str:
    """The first whole number behind the allocator's name."""
    _, _, rest = str(error.args[0] if error.args else "").partition(OF_THE_ALLOCATOR)
    return next((word for word in rest.split() if word.isdecimal()), "")
