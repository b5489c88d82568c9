"""All mistakes. `python -m tests.author_mistakes.table` makes each in a small week and prints what the author reads."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autograder.core.errors import Problem

from .in_code import CODE
from .in_files import FILES
from .in_lesson import HEADERS, STRUCTURE
from .in_readings import READINGS
from .in_variants import EXPLAINED, VARIANTS
from .week import Mistake, problems, sound_week

MISTAKES: dict[str, Mistake] = {**HEADERS, **STRUCTURE, **CODE, **FILES, **READINGS, **VARIANTS, **EXPLAINED}


def made() -> Iterator[tuple[str, Mistake, Path, list[Problem]]]:
    """Every mistake in a fresh week, with what is told."""
    for name, mistake in MISTAKES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = sound_week(Path(place))
            mistake.make(folder)
            yield name, mistake, folder, problems(mistake.verb, folder)


def main() -> None:
    """Print the table: the mistake, the command, and what it says, with file and line."""
    wrong = 0
    for name, mistake, folder, found in made():
        fits = [(p.path, p.line) for p in found] == [mistake.place(folder)] and mistake.says in found[0].message
        wrong += not fits
        print(f"{'✓' if fits else '✗'} {name} (workbook {mistake.verb})")
        for problem in found:
            print(f"    {problem.path.name}:{problem.line}: {problem.message}\n      -> {problem.remedy}")
    print(f"{len(MISTAKES)} mistakes, {wrong} told otherwise than expected")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
