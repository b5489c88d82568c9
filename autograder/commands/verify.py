"""The three ways to prove the tests of a week, and the one way to do it: run, show, write down, count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from rich.console import Console

from .common import console

if TYPE_CHECKING:
    from ..authoring.lies import Lies
    from ..authoring.matrix import Matrix
    from ..authoring.mutants import MutationReport
    from ..authoring.proof import Part


class Report(Protocol):
    """What a proof of a week finds."""

    @property
    def misses(self) -> Sequence[object]: ...

    def to_json(self) -> str: ...

    def summary(self) -> dict[str, Any]:
        """The fields of `proof.Found` beside the digest."""


R = TypeVar("R", bound=Report)


@dataclass(frozen=True)
class Method(Generic[R]):
    """One way to prove the tests of a week.

    Attributes
    ----------
    title : what the progress bar says before the week's name.
    suffix : of the file in build/verify/, behind the week's name.
    find : does it, with the week's folder and the callbacks `on_start` and `on_done`.
    show : prints what it found.
    noun, remedy : what the misses are called, and what to do about them.
    part : of the week's proof; None where only some of it is tried, which proves nothing.
    """

    title: str
    suffix: str
    find: Callable[..., R]
    show: Callable[[R, Console], None]
    noun: str
    remedy: str
    part: Part | None


def prove(folder: Path, root: Path, method: Method[Any]) -> int:
    """Do it for one week; print what it found, and write it. Returns the number of misses.

    A whole part without a miss goes into the week's proof; with a miss it goes out of it. What a notebook and the
    judge find differently is told, and counted, as soon as both are there.
    """
    from ..authoring.modes import differences
    from ..authoring.proof import Found, content, keep, read_proof
    from ..core.errors import BuildError
    from ..core.files import write_text
    from ..week.source import load_week

    digest = ""
    if method.part:
        with suppress(BuildError):  # told below, with all that is wrong
            digest = content(load_week(folder), method.part)
    from .tables import print_misses, progress

    with progress(f"{method.title} {folder.name}", console) as bar:
        found = method.find(folder, on_start=bar.total, on_done=bar.advance_run)
    method.show(found, console)
    path = root / "build" / "verify" / f"{folder.name}{method.suffix}.json"
    write_text(path, found.to_json())
    console.print(f"written to {path.relative_to(root)}")
    if method.part:
        sound = Found(digest=digest, **found.summary())
        keep(folder, method.part, None if found.misses else sound)
        different = differences(load_week(folder), read_proof(folder)) if sound.rejecting else []
        print_misses(different, console)
        return len(found.misses) + len(different)
    return len(found.misses)


def matrix_proof(exercise: str, thorough: bool, sandbox: bool, workers: int) -> Method[Matrix]:
    from ..authoring.proof import Part
    from ..authoring.verify import verify_week
    from ..execution.job import Mode
    from .tables import print_matrix

    mode = Mode.SANDBOX if sandbox else Mode.NOTEBOOK
    find = partial(verify_week, exercise=exercise, thorough=thorough, mode=mode, workers=workers)
    part = None if exercise else Part.SANDBOX if sandbox else Part.NOTEBOOK
    remedy = "fix what is named above, file by file"
    return Method("verify", "", find, print_matrix, "misses in the matrix", remedy, part)


def mutants_proof(sample: int, seed: int, exercise: str, workers: int) -> Method[MutationReport]:
    from ..authoring.mutants import try_mutants
    from ..authoring.proof import Part
    from .tables import print_mutants

    find = partial(try_mutants, exercise=exercise, sample=sample, seed=seed, workers=workers)
    remedy = "write a check that fails, or say in equivalents.toml why none can"
    part = None if exercise or sample else Part.MUTANTS
    return Method(
        "mutants of", ".mutants", find, print_mutants, "mutants are neither killed nor explained", remedy, part
    )


def lies_proof(exercise: str, workers: int) -> Method[Lies]:
    from ..authoring.lies import find_lies
    from ..authoring.proof import Part
    from .tables import print_lies

    find = partial(find_lies, exercise=exercise, workers=workers)
    remedy = "compare values on inputs that were never seen, fresh ones if need be"
    return Method("lies", "-lies", find, print_lies, "misses", remedy, None if exercise else Part.LIES)
