"""The way of a submission through the grader, measured: where it stays, how often it comes back, what it is called.

    python -m tests.way

One of two learners is followed while a class is graded, in this process. A *stay* is a call that is handed the
submission, in whatever form: its name, its file, its cells, what they did. Counted are calls into a module of
`grading` and calls that a module of `grading` makes into another package; what happens inside that package is its own
business, and errors, texts and lessons (`ELSEWHERE`) know no submission. A *return* is a stay in a module that it was
in before. Generators that go on are not new stay.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType

from autograder.building.build import build_week
from autograder.course.folder import Course
from autograder.execution.job import Job, Mode, Run
from autograder.execution.results import Graded
from autograder.grading.grade import Told, grade_week
from autograder.week.source import load_week

from .chosen import ROOT
from .grading.test_grade import RIGHT, answered, hand_in
from .inprocess import run_here
from .tiny_week import write_tiny_week

LEARNER, OTHER = "followed-by-the-way", "zed"
"""Whose way it is; the name also stands in every answer. And somebody whose work is done after that."""
ELSEWHERE = ("core", "week", "course", "building", "rendering")
DEPTH = 4
"""How far down in records and containers the name is looked for."""


@dataclass(frozen=True)
class Stay:
    """A call: the module, the function, and each parameter that holds the submission, with its type."""

    module: str
    function: str
    held: tuple[tuple[str, str], ...]


@dataclass
class Way:
    """What was seen of a way."""

    calls: list[Stay] = field(default_factory=list)

    @property
    def stays(self) -> list[str]:
        """The modules in order; calls in a row in the same one are one stay."""
        modules = [call.module for call in self.calls]
        return modules[:1] + [now for before, now in pairwise(modules) if now != before]

    @property
    def returns(self) -> int:
        return len(self.stays) - len(set(self.stays))

    @property
    def names(self) -> list[str]:
        """What parameters call it, in order, each change once."""
        names = [name for call in self.calls for name, _ in call.held if name != "self"]
        return names[:1] + [now for before, now in pairwise(names) if now != before]

    @property
    def types(self) -> set[str]:
        return {kind for call in self.calls for _, kind in call.held} - {"str", "bytes", "dict", "list", "tuple"}


def holds(value: object, depth: int = DEPTH) -> bool:
    """Whether a value has to do with the learner's submission; of objects records alone are looked into."""
    if isinstance(value, str | Path):
        return LEARNER in str(value)
    if isinstance(value, bytes):
        return LEARNER.encode() in value
    if depth == 0:
        return False
    inside: Sequence[object] = ()
    if isinstance(value, dict):
        inside = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inside = [*value]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = [getattr(value, one.name) for one in dataclasses.fields(value) if hasattr(value, one.name)]
    return any(holds(one, depth - 1) for one in inside)


def module_of(frame: FrameType | None) -> str:
    """`grading/grade`; "" outside of the program, and in what knows no submission."""
    path = Path(frame.f_code.co_filename) if frame else Path()
    if not path.is_relative_to(ROOT / "autograder"):
        return ""
    name = path.relative_to(ROOT / "autograder").with_suffix("").as_posix()
    return "" if name.startswith(ELSEWHERE) else name


class Follower:
    """Notes calls that are handed the submission, as a profile function."""

    def __init__(self) -> None:
        self.way = Way()
        self._generators: list[FrameType] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        module = module_of(frame) if event == "call" else ""
        if not module or frame.f_code.co_name.startswith("<") or any(frame is one for one in self._generators):
            return
        caller = frame.f_back
        while caller is not None and not module_of(caller):
            caller = caller.f_back
        of_grading = module.startswith("grading/"), module_of(caller).startswith("grading/")
        if not any(of_grading):
            return
        code = frame.f_code
        if code.co_flags & 0x20:  # a generator
            self._generators.append(frame)
        given = [(name, frame.f_locals[name]) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
        held = tuple((name, type(value).__name__) for name, value in given if holds(value))
        if held:
            self.way.calls.append(Stay(module, code.co_name, held))


class OneAfterTheOther:
    """A crew in this process; the other learner's work is done as soon as the first is graded."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Job, Future[Run]]] = []

    def __call__(self, libraries: Sequence[str], mode: Mode) -> OneAfterTheOther:
        return self

    def __enter__(self) -> OneAfterTheOther:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def ready(self) -> None:
        pass

    def submit(self, job: Job) -> Future[Run]:
        future: Future[Run] = Future()
        if job.name == OTHER:
            self._waiting.append((job, future))
        else:
            future.set_result(run_here(job))
        return future

    def go_on(self, graded: Graded) -> None:
        """Run what waits."""
        while self._waiting:
            job, future = self._waiting.pop()
            future.set_result(run_here(job))


def followed(folder: Path) -> Way:
    """Grade a class in an empty folder; the way of one of its submissions."""
    week = write_tiny_week(folder)
    course = Course.at(folder, Path("course"))
    built = build_week(load_week(week))
    hand_in(course, LEARNER, answered(built, {name: f"{code}\n# {LEARNER}" for name, code in RIGHT.items()}))
    hand_in(course, OTHER, answered(built, RIGHT))
    crew, follower, before = OneAfterTheOther(), Follower(), sys.getprofile()
    sys.setprofile(follower)
    try:
        grade_week(week, course, crew=crew, unsafe=True, tell=Told(graded=crew.go_on))
    finally:
        sys.setprofile(before)
    return follower.way


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        way = followed(Path(folder))
    for call in way.calls:
        print(f"{call.module:24} {call.function:20} {', '.join(f'{name}: {kind}' for name, kind in call.held)}")
    print(f"{len(way.stays)} stays in {len(set(way.stays))} modules, {way.returns} returns")
    print(f"{len(way.names) - 1} changes of name; {len(way.types)} types: {', '.join(sorted(way.types))}")


if __name__ == "__main__":
    main()
