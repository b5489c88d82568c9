"""Tell: write the pages of learners and class, enter in the ledger what is done, and say it to whoever watches."""

from __future__ import annotations

from contextlib import suppress

from ..core.errors import WorkbookError
from ..execution.executor import Crew
from ..feedback.explain import Explainer
from ..gradebook.ledger import Entry
from ..reporting.class_page import class_of, write_class
from ..week.notebooks import Notebooks
from .submission import Grading, Submission


def announce(submission: Submission, grading: Grading) -> Submission:
    """Say that a submission is graded. Returns it."""
    graded, group = submission.graded, submission.group
    if group and (said := f"the work of {group}") not in graded.remarks:
        graded.remarks.append(said)
    grading.told.graded(graded)
    grading.told.step(submission.student)
    return submission


class Telling:
    """Tells learners, where feedback is wanted: at once where all that pages need is known, the others at the end.

    The pages of the last submission do wait for the end: as long as one learner is not told, a run that was killed is
    taken up again, and writes the page of the class.

    Parameters
    ----------
    crew : runs the misconceptions that are not known. count : of submissions.
    """

    def __init__(self, grading: Grading, built: Notebooks, crew: Crew, count: int) -> None:
        self._grading, self._built, self._left = grading, built, count
        self._explainer = Explainer(built, grading.course, crew, grading.again) if grading.feedback else None
        self._waiting: list[Submission] = []

    def tell(self, submission: Submission) -> None:
        """Write the pages of a learner whose grade is written, if that can be done by now; enter both in the ledger."""
        self._left -= 1
        told = False
        if self._explainer:
            if self._left and self._explainer.can(submission.graded):
                with suppress(Exception):  # tried again at the end, when nothing can be lost any more
                    self._explainer.write(submission.graded)
                    told = True
            if not told:
                self._waiting.append(submission)
        self._enter(submission, told)

    def tell_the_rest(self) -> None:
        """Write the pages that had to wait, and that of the class."""
        if not self._explainer:
            return
        watcher = self._grading.told
        if not all(self._explainer.can(one.graded) for one in self._waiting):
            self._explainer.find_out(watcher.phase, watcher.step)
        watcher.phase("feedback", len(self._waiting))
        told = [one for one in self._waiting if self._write(self._explainer, one)]
        for text in (self._write_class(), self._explainer.left_unknown()):
            if text:
                watcher.warn(text)
        for one in told:
            self._enter(one, told=True)

    def _enter(self, submission: Submission, told: bool) -> None:
        """Note in the ledger what is written. What the grader itself could not do is not noted, and so tried again."""
        graded = submission.graded
        if submission.failed or (submission.run is not None and graded.damaged):
            return
        entry = Entry.of(graded, submission.key, submission.work, submission.key if told else "")
        self._grading.ledger.enter(submission.student, entry)

    def _write(self, explainer: Explainer, submission: Submission) -> bool:
        """Write the pages of a learner. Where that fails it is noted, and the others are told all the same."""
        graded = submission.graded
        try:
            explainer.write(graded)
        except Exception as error:
            graded.error = type(error).__name__
            graded.notes.append(f"no feedback could be written ({error or graded.error})")
            return False
        finally:
            self._grading.told.step(submission.student)
        return True

    def _write_class(self) -> str:
        """Write the page of the class; why it could not be written, or ""."""
        try:
            write_class(self._grading.course, class_of(self._built, self._grading.course))
        except WorkbookError as error:
            return f"the page of the class was not written: {error}"
        return ""
