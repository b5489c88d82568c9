"""Pages are written while the others run; what a killed run did not tell is told by the next one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import ModuleType

import pytest

from autograder.course.folder import Course
from autograder.execution.job import Job, Run, spoiled
from autograder.execution.results import Graded
from autograder.feedback import explain
from autograder.feedback import pages as feedback_pages
from autograder.grading import tell
from autograder.grading.grade import Told, grade_week

from ..gradebook.test_ledger import WRONG, Class, Counting, registered, tiny
from ..grading.test_grade import RIGHT, answered, hand_in
from ..tiny_week import WEEK

__all__ = ["registered", "tiny"]
"""Fixtures."""


def grade(tiny: Class, on_graded: Callable[[Graded], None] = lambda graded: None) -> Counting:
    crew = Counting()
    grade_week(tiny.folder, tiny.course, crew=crew, unsafe=True, tell=Told(graded=on_graded))
    return crew


def pages(course: Course) -> dict[str, bytes]:
    files = [*course.feedback.rglob("*.html"), *course.feedback.rglob("*.json"), *course.folder.glob("*.html")]
    return {str(path.relative_to(course.folder)): path.read_bytes() for path in files}


def learners_with_pages(course: Course) -> list[str]:
    return sorted(path.parts[-3] for path in course.feedback.glob(f"*/{WEEK}/index.html"))


def stopped(*words: object, **options: object) -> None:
    raise KeyboardInterrupt


def misconceptions(crew: Counting) -> list[str]:
    return [job.name for job in crew.jobs if job.name not in ("ann", "bob", "cleo")]


def seen_while_grading(tiny: Class) -> tuple[list[tuple[str, list[str]]], Counting]:
    """Each learner in the order of grading, and whose pages were there by then; and the crew."""
    seen: list[tuple[str, list[str]]] = []
    crew = grade(tiny, lambda graded: seen.append((graded.student, learners_with_pages(tiny.course))))
    return seen, crew


def test_pages_come_with_the_grades_and_those_that_need_misconceptions_at_the_end(tiny: Class) -> None:
    hand_in(tiny.course, "cleo", answered(tiny.built, RIGHT))
    seen, crew = seen_while_grading(tiny)
    order = [student for student, _ in seen]
    assert sorted(order) == ["ann", "bob", "cleo"]
    for number, (_, there) in enumerate(seen, 1):
        assert there == sorted({*order[: min(number, 2)]} - {"bob"}), "bob's needs to be diagnosed, the last one waits"
    assert misconceptions(crew)
    assert learners_with_pages(tiny.course) == ["ann", "bob", "cleo"]


def test_what_misconceptions_do_is_found_out_once_and_then_pages_wait_for_nothing(tiny: Class) -> None:
    grade(tiny)
    for name in ("bob", "cleo"):
        hand_in(tiny.course, name, answered(tiny.built, WRONG | {"quadruple": RIGHT["quadruple"] + "  # again"}))
    (tiny.course.feedback / "bob" / WEEK / "index.html").unlink()
    seen, crew = seen_while_grading(tiny)
    assert misconceptions(crew) == []
    order = [student for student, _ in seen]
    assert order[0] == "ann", "known from the record"
    assert [there for _, there in seen] == [["ann"], sorted({"ann", order[1]}), sorted({"ann", order[1]})]


@pytest.mark.parametrize(
    ("module", "place"),
    [(tell, "write_class"), *((explain, name) for name in ("write_feedback", "diagnose", "signatures"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_killed_while_it_explains_is_taken_up_again(
    tiny: Class, monkeypatch: pytest.MonkeyPatch, module: ModuleType, place: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, place, stopped)
        with pytest.raises(KeyboardInterrupt):
            grade(tiny)
    assert not (tiny.course.folder / f"{WEEK}.html").exists()
    kept = {path.stem for path in (tiny.course.folder / "record" / WEEK / "runs").glob("*.json")}
    crew = grade(tiny)
    assert {"ann", "bob"} - {job.name for job in crew.jobs} == kept, "what was kept, and only that, is not run again"
    assert kept, "it was killed after a submission was judged"
    found = pages(tiny.course)
    assert (tiny.course.folder / f"{WEEK}.html").exists()
    grade_week(tiny.folder, tiny.course, crew=Counting(), unsafe=True, again=True)
    assert pages(tiny.course) == found


@pytest.mark.parametrize("changed", [False, True], ids=["new work", "a changed course"])
def test_a_run_killed_before_the_page_of_the_class_writes_it_later(
    tiny: Class, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    """Also where every page of a learner was written at once."""
    hand_in(tiny.course, "bob", answered(tiny.built, RIGHT))
    if changed:
        grade(tiny)
        (tiny.course.folder / f"{WEEK}.html").unlink()
        tiny.edit("# # A tiny week", "# # A very tiny week")
    with monkeypatch.context() as patch:
        patch.setattr(tell, "write_class", stopped)
        with pytest.raises(KeyboardInterrupt):
            grade(tiny)
    assert not (tiny.course.folder / f"{WEEK}.html").exists()
    assert grade(tiny).jobs == []
    assert (tiny.course.folder / f"{WEEK}.html").exists()


def test_a_page_that_cannot_be_written_stops_no_other_and_comes_with_the_next_run(
    tiny: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = feedback_pages.write_pages

    def full(course: Course, learner: str, told: object) -> None:
        if learner == "ann":
            raise OSError(28, "No space left on device")
        write(course, learner, told)  # type: ignore[arg-type]

    hand_in(tiny.course, "cleo", answered(tiny.built, RIGHT))
    with monkeypatch.context() as patch:
        patch.setattr(feedback_pages, "write_pages", full)
        grade(tiny)
    assert tiny.scores() == {"ann": 80, "bob": 40, "cleo": 80}
    assert "ann" not in learners_with_pages(tiny.course)
    crew = grade(tiny)
    assert crew.jobs == []
    assert learners_with_pages(tiny.course) == ["ann", "bob", "cleo"]


class Failing(Counting):
    """A crew that cannot run one of the misconceptions."""

    def submit(self, job: Job) -> Future[Run]:
        if job.name != "same":
            return super().submit(job)
        self.jobs.append(job)
        future: Future[Run] = Future()
        future.set_result(spoiled(job, "the warm process died"))
        return future


def test_misconceptions_that_cannot_be_run_are_said_each_time_and_run_again_on_demand(tiny: Class) -> None:
    said: list[str] = []

    def grade_again(crew: Counting, again: bool = False) -> Counting:
        hand_in(
            tiny.course, "bob", answered(tiny.built, WRONG | {"quadruple": RIGHT["quadruple"] + f"  # {len(said)}"})
        )
        said.append("")
        grade_week(
            tiny.folder,
            tiny.course,
            crew=crew,
            unsafe=True,
            again=again,
            tell=Told(warn=lambda text: said.append(text)),
        )
        return crew

    assert len(misconceptions(grade_again(Failing()))) == 4
    assert misconceptions(grade_again(Counting())) == []
    assert len([text for text in said if "same" in text and "the warm process died" in text]) == 2
    assert misconceptions(grade_again(Counting(), again=True)) == ["same"]
    assert said[-1] == "", "all of them are known now"


def test_a_class_list_that_cannot_be_read_costs_nobody_a_grade_or_a_page(tiny: Class) -> None:
    (tiny.course.folder / "roster.csv").write_text("learner\nann\nAnn\n", encoding="utf-8")
    warned: list[str] = []
    tell = Told(warn=warned.append)
    grade_week(tiny.folder, tiny.course, crew=Counting(), unsafe=True, tell=tell)
    assert tiny.scores() == {"ann": 80, "bob": 40}
    assert learners_with_pages(tiny.course) == ["ann", "bob"]
    assert not (tiny.course.folder / f"{WEEK}.html").exists()
    (said,) = warned
    assert said.startswith("the page of the class was not written: ")
    assert "roster.csv" in said
