"""Judge: repair submissions, run their cells, and say what came of them; nothing is written into the gradebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from ..execution.blame import NOTE, could_not, reason, tried_alone
from ..execution.executor import Crew
from ..execution.fingerprint import environment_of
from ..execution.job import Job, Run
from ..execution.make_job import graded_cells, make_job, submission_job
from ..execution.rerun import finished
from ..execution.results import Graded, verdicts_of
from ..gradebook.ledger import keys_of_tests, remaining, reusable
from ..repair.confined import ConfinedError
from ..repair.damage import DamagedError
from ..repair.safe_repair import Repairer
from ..week.notebooks import Notebooks
from .submission import Grading, Submission

NOT_GRADED = "not graded, the grader failed"


@dataclass(frozen=True)
class Judging:
    """Judges submissions, in the order in which they are done; last those that could not be judged at first.

    Parameters
    ----------
    repairer : reads their files. crew : runs their cells.
    """

    grading: Grading
    built: Notebooks
    repairer: Repairer
    crew: Crew

    def of_all(self, todo: Sequence[Submission]) -> Iterator[Submission]:
        """What is judged; the same work of a group once, and what came of it for each of its members."""
        together: dict[tuple[str, str], list[Submission]] = {}
        for one in todo:
            together.setdefault((one.group or one.student, one.key), []).append(one)
        members = {found[0].student: found[1:] for found in together.values()}
        for judged in self.each([found[0] for found in together.values()]):
            yield judged
            for member in members[judged.student]:
                yield member.judged_as(judged)

    def each(self, todo: Sequence[Submission]) -> Iterator[Submission]:
        """Repair, run and judge submissions that have nothing to do with each other."""
        running: dict[Future[Run], tuple[Job, Submission]] = {}
        failed: list[Submission] = []
        self.crew.ready()
        for one in todo:
            one = self.prepared(one)
            if one.job is None:  # damaged, or the grader failed
                yield one
            elif one.run is not None:
                yield self.graded(one, one.run, new=False)
            else:
                running[self.crew.submit(one.job)] = one.job, one
        for one, run in finished(self.crew, running):
            one = self.graded(one, run)
            if one.failed and not run.lost:  # what is lost is the machine's doing, also when it ran alone
                failed.append(one)
            else:
                yield one
        for one in failed:  # where several fail it is more likely the machine, or the course
            yield self.tried_alone(one) if len(failed) == 1 else one

    def prepared(self, one: Submission) -> Submission:
        """The submission repaired and as a job, with what is known of its tests; or with why that cannot be."""
        if one.graded.damaged:
            return one
        unsafe = self.grading.unsafe
        try:
            repaired = self.repairer.repair_file(one.path)
        except DamagedError as error:
            return replace(one, graded=Graded(one.student, damaged=str(error), damage=error.kind, unsafe=unsafe))
        except Exception as error:  # whatever it is, it is about this file: the others are graded
            return replace(one, graded=not_graded(one.student, error, unsafe), failed=True)
        job = submission_job(self.built, one.student, repaired)
        keys = keys_of_tests(job, environment_of(self.grading.week.code), unsafe)
        kept = None if self.grading.again else self.grading.ledger.run(one.student)
        known = reusable(kept, keys)
        left = remaining(job, known)
        run = kept.run if kept and left is None else None
        return replace(one, repaired=repaired, job=left or job, keys=keys, verdicts=known, run=run)

    def tried_alone(self, one: Submission) -> Submission:
        """The only submission that could not be judged, run once more, beside the course's own answers."""
        assert one.job is not None
        assert one.repaired is not None
        control = make_job(self.built, "the course's own answers", graded_cells(self.grading.week), {})
        run, own_doing = tried_alone(one.job, control, self.crew)
        one.repaired.notes.extend([NOTE] * own_doing)
        return self.graded(one, run, new=not own_doing)

    def graded(self, one: Submission, run: Run, *, new: bool = True) -> Submission:
        """The submission with what a run says of it.

        A `new` run that can be used again is kept before anything comes of it; where all is run once more, only when
        the grade is written.
        """
        assert one.repaired is not None
        run.cells.update(one.verdicts)
        failed, again = could_not(run), self.grading.again
        if new and not failed and not again:
            self.grading.ledger.keep_run(run, one.keys)
        graded = verdicts_of(self.grading.week, one.repaired, run)
        graded.unsafe, graded.notebook = self.grading.unsafe, one.repaired.notebook
        if failed:
            graded.damaged = f"{NOT_GRADED}: {reason(run)}"
            graded.points = {}
        return replace(one, run=run, graded=graded, failed=failed, to_keep=new and not failed and again)


def not_graded(student: str, error: Exception, unsafe: bool) -> Graded:
    """The outcome of a submission at which the grader itself failed before anything ran."""
    kind = type(error).__name__
    why = str(error) if isinstance(error, ConfinedError) else kind
    return Graded(student, damaged=f"{NOT_GRADED}: {why}", unsafe=unsafe, error=kind)
