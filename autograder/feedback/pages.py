"""Write feedback: for each learner two pages and a JSON file with the same facts.

    course/feedback/LEARNER/WEEK/index.html      how it went, and what to do next
    course/feedback/LEARNER/WEEK/TOPIC.html      exercise by exercise; nbgrader's name for a notebook's feedback
    course/feedback/LEARNER/WEEK/feedback.json   the same facts, see `facts.Feedback`

A page stands alone: no script, nothing loaded, and a policy that forbids both. Every text is escaped where it is put
in, except what `markup` has made. The same facts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbformat.notebooknode import NotebookNode
from pydantic import ValidationError

from ..core.errors import WorkbookError
from ..core.files import write_text
from ..course.folder import Course
from ..rendering.templates import render
from ..week.notebooks import Notebooks
from ..week.variants import Misconception
from .facts import Feedback, facts

if TYPE_CHECKING:
    from ..execution.results import Graded

FOR_THE_EXCHANGE = ("timestamp.txt", "submission_secret.txt")
"""What `nbgrader release_feedback` wants to find beside the pages."""


def write_feedback(
    built: Notebooks,
    course: Course,
    graded: Graded,
    notebook: NotebookNode | None,
    diagnosis: Mapping[str, Sequence[Misconception]],
) -> Feedback:
    """Write the two pages and the JSON file of one learner, each in one step. Returns the facts in them.

    Parameters
    ----------
    notebook : the repaired notebook that was graded; None for a damaged submission.
    diagnosis : exercise -> the misconceptions that the answer behaves like (`diagnosis.diagnose`).
    """
    told = facts(built, graded, notebook, diagnosis)
    write_pages(course, graded.student, told)
    return told


def write_pages(course: Course, learner: str, told: Feedback) -> None:
    """Write the two pages and the JSON file of one learner; `learner` is the name of their folder."""
    if learner in ("", ".", "..") or set(learner) & set("/\\\0"):
        raise WorkbookError(f"{learner!r} is not a valid folder name for a learner", "rename the folder")
    folder = course.feedback / learner / told.week
    write_text(facts_file(course, learner, told.week), told.to_json())
    write_text(folder / f"{told.topic}.html", render("notebook.html", told=told))
    write_text(folder / "index.html", render("index.html", told=told))
    for name in FOR_THE_EXCHANGE:
        path = course.submitted / learner / told.week / name
        if path.is_file() and not path.is_symlink():
            write_text(folder / name, path.read_text(encoding="utf-8", errors="replace"))


def facts_file(course: Course, student: str, week: str) -> Path:
    """Where the facts of one learner are."""
    return course.feedback / student / week / "feedback.json"


def read_facts(course: Course, week: str) -> dict[str, Feedback]:
    """Learner -> the facts that grading wrote, in alphabetical order; what cannot be read is left out."""
    found = {}
    for path in sorted(course.feedback.glob(f"*/{week}/feedback.json")):
        try:
            found[path.parent.parent.name] = Feedback.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
    return found
