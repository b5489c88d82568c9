"""The database of nbgrader's gradebook: how it is opened, and shared with other programs."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..core.errors import short
from .folder import Course

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

LOCK_ATTEMPTS = 24
PRIMARY_CODE = 0xFF
"""The bits of an error code of SQLite's that say what happened; the others say how."""
T = TypeVar("T")


def open_gradebook(course: Course) -> Gradebook:
    """The gradebook of a class, created when it is not there; a context manager."""
    from nbgrader import api
    from sqlalchemy.exc import SAWarning

    api.get_alembic_version = _schema_version  # nbgrader starts a program for it, 3 s for every new gradebook
    warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader")  # nbgrader's own queries
    course.folder.mkdir(parents=True, exist_ok=True)
    return api.Gradebook(course.db_url)


def _schema_version() -> str:
    """The version of nbgrader's schema that a new gradebook is marked with, as `alembic heads` prints it."""
    from alembic.script import ScriptDirectory
    from nbgrader.dbutil import ALEMBIC_DIR

    return str(ScriptDirectory(ALEMBIC_DIR).get_current_head())


def patiently(action: Callable[[], T], course: Course, on_wait: Callable[[str], None]) -> T:
    """Do something with the gradebook; where another program holds it, say so and wait up to two minutes.

    SQLite itself waits 5 s each time. Any other database has its own way of waiting.
    """
    from sqlalchemy.exc import OperationalError

    for attempt in range(LOCK_ATTEMPTS):
        try:
            return action()
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY_CODE
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or attempt + 1 == LOCK_ATTEMPTS:
                raise
            on_wait(f"{short(course.gradebook)} is held by another program; waiting for it")
    raise AssertionError("unreachable")
