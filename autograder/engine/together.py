"""All cells of a job in one process, as in a notebook, and yet with the verdicts of the judge.

As there, cells of the course run twice: for the learner's cells, and for the tests, which see the course's names and
of the learner's those that answers define. So a variable called `F` or `sum` costs nothing, and neither does a setting
(`state`). No sandbox and no handles: for a learner's own machine, and for the authors' variants.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from . import progress
from .cell_kinds import TEST, TRUSTED
from .guest.shell import run_cell
from .guest.state import Turns
from .outcome import Outcome, outcome_of
from .validate import encoded

CODE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
"""Where this package and `shared` lie."""


DRAWING = "matplotlib"
"""A library that replaces its own functions, as where `%matplotlib inline` chooses how figures are shown."""


class Sends(Protocol):
    """Whoever is told what happens."""

    def send(self, message: bytes) -> None: ...


def run_together(channel: Sends, job: dict[str, Any], shell: Any) -> None:
    """Run a job and send what each cell did; ends with the first failed test where the job says so."""
    two = TwoSides(shell, job["names"])
    for cell in job["cells"]:
        channel.send(encoded({"start": cell["id"]}))
        begin = time.perf_counter()
        with progress.told(lambda place: channel.send(encoded({"at": place}))):
            done = two.run(cell["kind"], cell["source"])
        outcome = _outcome(done, begin)
        channel.send(encoded({"done": cell["id"], "outcome": asdict(outcome)}))
        if job.get("until_failure") and cell["kind"] == TEST and outcome.verdict != "PASS":
            break
    channel.send(encoded({"end": True, "here": two.only_here()}))


def _outcome(done: dict[str, Any], begin: float) -> Outcome:
    return outcome_of(done | {"seconds": time.perf_counter() - begin})


class TwoSides:
    """The learner's side of a process, and the course's: names and settings of their own."""

    def __init__(self, shell: Any, names: Sequence[str]) -> None:
        self._shell, self._names = shell, names
        self._turns = Turns()
        self._course = types.ModuleType("__main__")
        self._folder = os.getcwd()
        self._libraries: dict[types.ModuleType, dict[str, Any]] = {}

    def run(self, kind: str, source: str) -> dict[str, Any]:
        """Run a cell of a kind; returns what `shell.run_cell` does."""
        if kind == TEST:
            with self._turns.test():
                return self._test(source)
        if kind == TRUSTED:
            with self._turns.test():
                mine = run_cell(self._shell, source)
            with self._turns.given(), self._course_side():  # with the same settings as before: the same random numbers
                theirs = run_given(self._shell, source, self._names)
            for item in vars(self._course).values():
                if isinstance(item, types.ModuleType) and not item.__name__.startswith(DRAWING):
                    self._libraries.setdefault(item, dict(vars(item)))
            return theirs if mine["error"] is None else mine
        return run_cell(self._shell, source)

    def only_here(self) -> dict[str, list[str]]:
        """What holds for tests in this process and not in the grader's.

        "patched": functions and classes of the course's libraries that were replaced; "modules": modules that were
        imported from files that are neither Python's, nor the course's, nor written by a cell.
        """
        with self._turns.test():  # another default dtype changes a name of torch's
            patched = [
                f"{library.__name__}.{name}"
                for library, before in self._libraries.items()
                for name, item in before.items()
                if callable(item) and name[0] != "_" and vars(library).get(name) is not item
            ]
        course = (os.path.join(CODE, "autograder"), os.path.join(CODE, "shared"))
        known: tuple[str, ...] = (sys.prefix, sys.base_prefix, *course, self._folder)
        known += tuple(map(os.path.realpath, known))
        files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
        paths = {name: file for name, file in files.items() if isinstance(file, str) and os.path.isabs(file)}
        own = [name for name, path in paths.items() if not path.startswith(known)]
        return {"patched": sorted(patched), "modules": sorted(own)}

    def _test(self, source: str) -> dict[str, Any]:
        answers = {name: self._shell.user_ns[name] for name in self._names if name in self._shell.user_ns}
        with self._course_side() as namespace:
            namespace.update(answers)
            try:
                return run_cell(self._shell, source)
            finally:
                for name in self._names:
                    namespace.pop(name, None)

    @contextmanager
    def _course_side(self) -> Iterator[dict[str, Any]]:
        """What runs meanwhile has the course's names."""
        shell = self._shell
        learner, main = (shell.user_module, shell.user_ns), sys.modules["__main__"]
        shell.user_module, shell.user_ns = shell.prepare_user_module(self._course)
        sys.modules["__main__"] = self._course  # where pickle and dataclasses look for what a cell defines
        if "get_ipython" not in shell.user_ns:
            shell.init_user_ns()
        try:
            yield shell.user_ns
        finally:
            (shell.user_module, shell.user_ns), sys.modules["__main__"] = learner, main


def run_given(shell: Any, source: str, names: Sequence[str]) -> dict[str, Any]:
    """Run a cell of the course where no answer is. It may name what answers define, in annotations.

    Empty classes stand there then, so whether it raises is never the learner's doing.
    """
    namespace = shell.user_ns
    empty = {name: type(name, (), {}) for name in names}
    namespace.update(empty)
    done = run_cell(shell, source)
    for name in empty:
        if namespace.get(name) is empty[name]:
            del namespace[name]
    return done
