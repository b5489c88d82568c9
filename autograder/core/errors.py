"""The errors that people see: one line that says what is wrong and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def short(path: Path) -> str:
    """A path as people read it: relative to where they are, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


class WorkbookError(Exception):
    """Something the user can fix. The command prints it on one line and exits with 1.

    Parameters
    ----------
    message : what is wrong, naming the file and the cell.
    next_step : what to do about it.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(f"{message} -> {next_step}" if next_step else message)
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True)
class Problem:
    """One finding of the strict builder: where it is, what is wrong, how to fix it."""

    path: Path
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{short(self.path)}:{self.line}: {self.message} -> {self.remedy}"


class BuildError(WorkbookError):
    """The source of a week breaks one or more rules; `problems` lists all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
