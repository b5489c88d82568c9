"""The proof of a week, `solutions/WEEK/proof.json`: what `workbook verify` found last, and for which content.

Each part has a digest of all that its result depends on: the cells that grading runs, the other answers, the code that
judges and verifies, the helpers that the week uses, and the pinned libraries. While the digest is the same, nothing has
to be run again. Text, pictures and cells that grading skips are not in it.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.files import write_text
from ..execution.fingerprint import LIBRARIES, digest, imported_libraries, judging_files
from ..execution.helpers import helper_files
from ..week.cells import Exercise, Given, Setup, Test
from ..week.source import Week

FILE = "proof.json"
HERE = Path(__file__).parent
LEFT_OUT = ("building", "repair")
TEXTS = ("readings.py",)
"""Modules that make a text of a lesson and nothing else."""
COUNTED = "requirements.txt"
"""The pins count and not what is installed: a machine with another Python, or torch without CUDA, proves the same."""


class Part(StrEnum):
    """What is proven."""

    NOTEBOOK = "notebook"
    """Reference, stubs, misconceptions and alternatives in one process, as in a notebook."""
    SANDBOX = "sandbox"
    """The same with answers in sandboxes and tests in the judge."""
    MUTANTS = "mutants"
    """Single changes of the references."""
    LIES = "lies"
    """Processes that have no answer and lie."""


FILES = {
    Part.NOTEBOOK: ("misconceptions.py", "alternatives.py"),
    Part.SANDBOX: ("misconceptions.py", "alternatives.py"),
    Part.MUTANTS: ("equivalents.toml",),
    Part.LIES: ("lies.json",),
}
"""The files beside the lesson that a part depends on."""
CODE = {
    Part.NOTEBOOK: ("verify.py", "matrix.py"),
    Part.SANDBOX: ("verify.py", "matrix.py"),
    Part.MUTANTS: ("mutants.py", "mutation.py"),
    Part.LIES: ("lies.py", "matrix.py", "lying/garbage.py", "lying/knowledge.py", "lying/liar.py"),
}
"""The modules of this package that find a part."""


class Found(BaseModel):
    """What a part found.

    Attributes
    ----------
    counts : what was tried and how it ended, by the words of the part. exercises : the same by exercise.
    rejecting : of the matrices, misconception -> the tests of its exercise that reject it, with spaces between.
    left_out : the same for tests that were not run for their length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    digest: str
    counts: dict[str, int]
    exercises: dict[str, dict[str, int]] = {}
    rejecting: dict[str, str] = {}
    left_out: dict[str, str] = {}


class Proof(BaseModel):
    """The file. A part that never held, or that was run for some exercises alone, is not there."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["workbook-proof"] = "workbook-proof"
    version: Literal[1] = 1
    parts: dict[Part, Found] = {}


def read_proof(folder: Path) -> Proof:
    """The proof that is kept of a week; an empty one where there is none that can be read."""
    try:
        return Proof.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return Proof()


def holds(week: Week, part: Part) -> bool:
    """Whether a part was proven for the content of now."""
    found = read_proof(week.folder).parts.get(part)
    return found is not None and found.digest == content(week, part)


def keep(folder: Path, part: Part, found: Found | None) -> None:
    """Write down what a part found, or, with None, that it does not hold."""
    parts = {name: one for name, one in read_proof(folder).parts.items() if name is not part}
    parts |= {part: found} if found else {}
    ordered = {name: parts[name] for name in Part if name in parts}
    write_text(folder / FILE, Proof(parts=ordered).model_dump_json(indent=1) + "\n")


def content(week: Week, part: Part) -> str:
    """A hash of what the result of a part depends on; hexadecimal, 64 digits. It is taken before the part is run."""
    graded = [cell for cell in week.cells if isinstance(cell.words, Setup | Given | Exercise | Test)]
    cells = [[cell.id, cell.words.model_dump(mode="json", exclude={"compare"}), cell.source] for cell in graded]
    settings = [week.info.limits.model_dump(), week.info.libraries, cells]
    beside = [path for name in FILES[part] if (path := week.folder / name).is_file()]
    code = [HERE / name for name in CODE[part]]
    files = [*beside, *code, *running_files(), *helper_files(week.code)]
    return digest(files, json.dumps(settings, sort_keys=True), *_pins(week))


def running_files() -> list[Path]:
    """The files that run cells and judge them. Of those that grading depends on, rules for authors, texts, and what
    reads the notebooks of others, have no part in it."""
    found = [path for path in judging_files() if path.parent.name not in LEFT_OUT or path.name == "build.py"]
    return [path for path in found if path.name not in TEXTS]


def _pins(week: Week) -> list[str]:
    """The pinned versions of the libraries that the week's verdicts depend on."""
    path = week.folder.parents[1] / COUNTED
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = {name.lower().replace("_", "-") for name in (*LIBRARIES, *imported_libraries(week.code))}
    return [line for line in lines if re.split(r"[=;\s\[]", line, maxsplit=1)[0].lower().replace("_", "-") in names]
