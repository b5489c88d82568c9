"""Marking written answers: what is shown, in which order, what is written, and what two graders do to each other."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from autograder.building.build import build_week, write_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.course.groups import write_groups
from autograder.gradebook.scores import standings
from autograder.gradebook.store import Recorder
from autograder.grading.rewrite import rewrite
from autograder.marking.answers import answer, own_words, questions
from autograder.marking.marks import ChangedError, Mark, Marks, Place
from autograder.marking.queue import Share, order
from autograder.marking.server import Server
from autograder.marking.start import start
from autograder.week.cells import Test, Written
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..browser import page
from ..tiny_week import LESSON, WEEK, WEEK_TOML, write_tiny_week

QUESTIONS = ("why", "when", "where", "who")
CELLS = tuple(f"written-{name}" for name in QUESTIONS)
LEARNERS = tuple(f"learner{number:02}" for number in range(40))
ATTACK = '<script>document.title = "owned"</script><img src=x onerror="document.title = 1">'


def lesson() -> str:
    """The tiny week with four written questions, each with a rubric."""
    head, _, written = LESSON.partition('# %% [markdown] written="why" points=20')
    assert written
    blocks = [
        f'# %% [markdown] written="{name}" points=5\n# **W{number}.** Why {name} $\\sqrt{{d}}$?\n#\n'
        f"# ### BEGIN SOLUTION\n# The rubric of {name}: **5 points**.\n# ### END SOLUTION\n"
        for number, name in enumerate(QUESTIONS, 1)
    ]
    return head + "\n".join(blocks)


def said(learner: str, cell: str) -> str:
    return f"{learner[-2:]} says about {cell}: $d^2$ and **bold**."


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notebooks]:
    """A class of 40 whose work is recorded; nobody's code has to run for that."""
    root = tmp_path_factory.mktemp("marking") / "checkout"
    folder = write_tiny_week(root, lesson(), WEEK_TOML.replace("hours = 1", "hours = 2"))
    built = build_week(load_week(folder))
    write_week(built, root)
    course = Course.at(root, Path("course"))
    scores = {cell.id: 20.0 for cell in built.week.of_kind(Test)}
    with Recorder(built, course, lambda reason: None) as recorder:
        for number, learner in enumerate(LEARNERS):
            notebook = copy.deepcopy(built.learner)
            for cell in notebook.cells:
                if cell.id in CELLS and not (number == 0 and cell.id == "written-who"):
                    cell.source += "\n\n" + said(learner, cell.id)
            recorder.save(learner, notebook, scores, course.submitted / learner / WEEK / "tiny.ipynb")
    return root, built


@pytest.fixture
def marking(built_once: tuple[Path, Notebooks], tmp_path: Path) -> tuple[Course, Notebooks]:
    import shutil

    root, built = built_once
    shutil.copytree(root, tmp_path / "checkout")
    return Course.at(tmp_path / "checkout", Path("course")), built


def cell_of(source: str, kind: str = "markdown", **more: Any) -> Any:
    import nbformat

    return nbformat.from_dict({"cell_type": kind, "source": source, "metadata": {}, "id": "own", **more})


# what is shown


def test_questions_come_with_text_and_rubric(built_once: tuple[Path, Notebooks]) -> None:
    asked = questions(built_once[1])
    assert [one.cell for one in asked] == list(CELLS)
    assert asked[0].title == "W1. Why why $\\sqrt{d}$?"
    assert asked[1].rubric == "The rubric of when: **5 points**."
    assert "rubric" not in asked[1].text


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ([], []),
        ([cell_of("my answer")], ["my answer"]),
        ([cell_of("my answer", "raw")], ["my answer"]),
        ([cell_of("  \n ")], []),
        ([cell_of("1 + 1", "code")], []),
        ([cell_of("my answer"), cell_of("1 + 1", "code")], ["my answer", "1 + 1"]),
    ],
    ids=["nothing", "below", "raw", "blank", "a trial in code", "words and code"],
)
def test_an_answer_in_a_cell_below_is_an_answer(
    built_once: tuple[Path, Notebooks], cells: list[Any], parts: list[str]
) -> None:
    built = built_once[1]
    asked = questions(built)[0]
    notebook = copy.deepcopy(built.learner)
    at = next(i for i, cell in enumerate(notebook.cells) if cell.id == asked.cell)
    notebook.cells[at + 1 : at + 1] = cells
    handed_out = {cell.id for cell in built.week.cells}
    assert [part.source for part in answer(notebook, handed_out, asked)] == parts
    assert answer(notebook, handed_out, questions(built)[1]) == (), "what stands below one question is not another's"
    notebook.cells[at].source += "\nin place"
    assert [part.source for part in answer(notebook, handed_out, asked)][1:] == [
        one.source for one in cells if one.source.strip()
    ]


def test_an_answer_in_a_cell_below_waits_for_a_person(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    scores = {cell.id: 0.0 for cell in built.week.of_kind(Test)}
    at = next(i for i, cell in enumerate(built.learner.cells) if cell.id == CELLS[0])
    for learner, cells in (("below", [cell_of("my answer")]), ("nothing", []), ("trial", [cell_of("1 + 1", "code")])):
        notebook = copy.deepcopy(built.learner)
        notebook.cells[at + 1 : at + 1] = cells
        with Recorder(built, course, lambda reason: None) as recorder:
            recorder.save(learner, notebook, scores, course.submitted / learner / WEEK / "tiny.ipynb")
    found = standings(course, WEEK)
    assert found["below"].waiting == (CELLS[0],)
    assert found["nothing"].waiting == found["trial"].waiting == ()


def test_the_order_is_of_chance_the_same_for_all_and_parts_make_a_whole(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    whole = start(built, course, "mia", Share(), names=False)
    parts = [start(built, course, "mia", Share(number, 3), names=False) for number in (1, 2, 3)]
    for cell in CELLS:
        names = [item.place.learner for item in whole.queue[cell]]
        assert len(names) == (39 if cell == "written-who" else 40), "who left a question out is not shown"
        assert sorted(names) != names
        mine = [{item.place.learner for item in one.queue[cell] if item.mine} for one in parts]
        assert set.union(*mine) == set(names)
        assert sum(map(len, mine)) == len(names)
        assert max(map(len, mine)) - min(map(len, mine)) <= 1
    assert [item.place.learner for item in whole.queue[CELLS[0]]] != [
        item.place.learner for item in whole.queue[CELLS[1]]
    ]


def test_a_group_s_work_is_marked_once(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    write_groups(course, WEEK, {LEARNERS[1]: "Team A", LEARNERS[2]: "Team A", LEARNERS[3]: "Team B"})
    queue = start(built, course, "mia", Share(), names=False).queue[CELLS[0]]
    assert {item.place.learner for item in queue} == set(LEARNERS) - {LEARNERS[2]}
    Marks(course, WEEK, "mia").write(Place(LEARNERS[1], CELLS[0]), Mark(), Mark(4, "Well said."))
    found = standings(course, WEEK)
    assert found[LEARNERS[2]].scores[CELLS[0]].points == 4
    assert found[LEARNERS[3]].scores[CELLS[0]].waiting


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", ""])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"part|invalid literal"):
        Share.read(text)


def test_a_week_without_questions_and_a_class_without_grades_are_said(
    marking: tuple[Course, Notebooks], tmp_path: Path
) -> None:
    course, built = marking
    with pytest.raises(WorkbookError, match="grade a week first"):
        start(built, Course.at(tmp_path, Path("empty")), "mia", Share(), names=False)
    cells = tuple(cell for cell in built.week.cells if not isinstance(cell.words, Written))
    without = replace(built, week=replace(built.week, cells=cells))
    with pytest.raises(WorkbookError, match="has no written question"):
        start(without, course, "mia", Share(), names=False)
    assert order(WEEK, questions(built)[0], {"ann": ()}, Share()) == ()


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("**W1.** Why?\n\nYOUR ANSWER HERE\n\nBecause.", "Because."),
        ("**W1.** Why?\n\nBecause.", "Because."),
        ("Because.", "Because."),
        ("**W1.** Why not?\n\nBecause.", "**W1.** Why not?\n\nBecause."),
        ("**W1.** Why?  \n", "**W1.** Why?  \n"),
    ],
)
def test_the_question_is_not_read_again_with_every_answer(source: str, shown: str) -> None:
    assert own_words(source, "**W1.** Why?\n\nYOUR ANSWER HERE") == shown


# what is written


def test_a_mark_is_nbgraders_and_can_be_taken_back(marking: tuple[Course, Notebooks]) -> None:
    course, _ = marking
    marks, place = Marks(course, WEEK, "mia"), Place(LEARNERS[1], CELLS[0])
    assert marks.read(CELLS)[place] == Mark(None, "")
    marks.write(place, Mark(), Mark(3.5, "Well **said**."))
    one = standings(course, WEEK)[LEARNERS[1]]
    assert (one.scores[CELLS[0]].points, one.comments) == (3.5, {CELLS[0]: "Well **said**."})
    assert CELLS[0] not in one.waiting
    marks.write(place, Mark(3.5, "Well **said**."), Mark())
    one = standings(course, WEEK)[LEARNERS[1]]
    assert CELLS[0] in one.waiting
    assert one.comments == {}
    lines = [json.loads(line) for line in marks.journal.read_text(encoding="utf-8").splitlines()]
    assert [(line["by"], line["learner"], line["cell"], line["to"]["points"]) for line in lines] == [
        ("mia", LEARNERS[1], CELLS[0], 3.5),
        ("mia", LEARNERS[1], CELLS[0], None),
    ]


@pytest.mark.parametrize("first", [Mark(2, ""), Mark(None, "hm"), Mark(0, "no")], ids=["points", "comment", "both"])
def test_who_comes_second_is_told_and_replaces_nothing(marking: tuple[Course, Notebooks], first: Mark) -> None:
    course, _ = marking
    mia, tom = (Marks(course, WEEK, name) for name in ("mia", "tom"))
    place = Place(LEARNERS[2], CELLS[1])
    mia.write(place, Mark(), first)
    with pytest.raises(ChangedError) as told:
        tom.write(place, Mark(), Mark(5, "Good."))
    assert told.value.mark == first
    assert mia.read(CELLS)[place] == first
    assert "tom" not in mia.journal.read_text(encoding="utf-8")
    tom.write(place, first, Mark(5, "Good."))
    assert mia.read(CELLS)[place] == Mark(5, "Good.")


def test_of_many_at_once_exactly_one_writes(marking: tuple[Course, Notebooks]) -> None:
    course, _ = marking
    place, won, lost = Place(LEARNERS[3], CELLS[2]), [], []
    ready = threading.Barrier(6)

    def give(points: int) -> None:
        marks = Marks(course, WEEK, f"g{points}")
        ready.wait()
        try:
            marks.write(place, Mark(), Mark(float(points), f"from {points}"))
            won.append(points)
        except ChangedError:
            lost.append(points)

    threads = [threading.Thread(target=give, args=(number % 6,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(won), len(lost)) == (1, 5)
    assert Marks(course, WEEK, "").read(CELLS)[place] == Mark(won[0], f"from {won[0]}")


def test_grading_again_keeps_marks_and_comments(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    marks, place = Marks(course, WEEK, "mia"), Place(LEARNERS[4], CELLS[0])
    marks.write(place, Mark(), Mark(4, "Fine."))
    notebook = copy.deepcopy(built.learner)
    with Recorder(built, course, lambda reason: None) as recorder:
        recorder.save(
            LEARNERS[4], notebook, {cell.id: 0.0 for cell in built.week.of_kind(Test)}, course.submitted / "x" / "y"
        )
    assert marks.read(CELLS)[place] == Mark(4, "Fine.")


def test_an_answer_that_the_gradebook_does_not_know_is_said(marking: tuple[Course, Notebooks]) -> None:
    with pytest.raises(LookupError, match="nobody"):
        Marks(marking[0], WEEK, "mia").write(Place("nobody", CELLS[0]), Mark(), Mark(1, ""))


# the server


@contextmanager
def served(
    course: Course, built: Notebooks, grader: str, share: Share | None = None, names: bool = False
) -> Iterator[str]:
    """A grader's server in a thread; gives the address to open."""
    server = Server(start(built, course, grader, share or Share(), names))
    ended: dict[str, Any] = {}
    ready = threading.Event()

    async def answer() -> None:
        ended["event"], ended["loop"] = asyncio.Event(), asyncio.get_running_loop()
        ready.set()
        await server.answer(ended["event"])

    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    ready.wait()
    try:
        yield server.address
    finally:
        ended["loop"].call_soon_threadsafe(ended["event"].set)
        thread.join()


class Visitor:
    """Somebody who asks the server: with the cookie or without."""

    def __init__(self, address: str, enter: bool = True) -> None:
        self.root = address.partition("/enter")[0]
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar())).open
        if enter:
            self.open(address).read()

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, str, Any]:
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(self.root + path, data=data, headers=kind | headers)
        try:
            with self.open(request) as reply:
                return reply.status, reply.read().decode(), reply.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers


def test_without_the_address_of_the_command_nothing_is_answered(marking: tuple[Course, Notebooks]) -> None:
    with served(*marking, "mia") as address:
        stranger = Visitor(address, enter=False)
        for path in ("/", "/question/written-why", "/state", "/mark.js", "/enter?token=guessed", "/enter"):
            assert stranger.ask(path)[0] == 403, path
        assert stranger.ask("/mark", {"key": "x"})[0] == 403
        mia = Visitor(address)
        assert mia.ask("/state")[0] == 200
        assert mia.ask("/state", Host="evil.example")[0] == 404, "a name of another site that leads here"
        assert mia.ask("/mark", {"key": "x"}, **{"Content-Type": "text/plain"})[0] == 415
        assert mia.ask("/question/nothing")[0] == 404


def test_every_answer_carries_the_policy(marking: tuple[Course, Notebooks]) -> None:
    with served(*marking, "mia") as address:
        mia = Visitor(address)
        for path in ("/question/written-why", "/state", "/mark.js", "/mark.css", "/nothing"):
            headers = mia.ask(path)[2]
            if path != "/nothing":
                assert "script-src 'self'" in headers["Content-Security-Policy"], path
                assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "given",
    [
        {"points": 6},
        {"points": -0.5},
        {"points": "4"},
        {"points": True},
        {"points": float("inf")},
        {"points": 1, "comment": 7},
        {"points": 1, "comment": "x" * 20_001},
        {"points": 1, "seen": []},
    ],
)
def test_what_is_no_mark_is_refused_and_changes_nothing(
    marking: tuple[Course, Notebooks], given: dict[str, Any]
) -> None:
    with served(*marking, "mia") as address:
        mia = Visitor(address)
        state = json.loads(mia.ask("/state")[1])
        key = next(iter(state["marks"]))
        code, said, _ = mia.ask("/mark", {"key": key, "seen": {"points": None, "comment": ""}, **given})
        assert code == 400
        assert said.startswith("400: ")
        assert json.loads(mia.ask("/state")[1]) == state


def test_names_are_left_out_unless_they_are_asked_for(marking: tuple[Course, Notebooks]) -> None:
    (marking[0].folder / "roster.csv").write_text(f"learner,name\n{LEARNERS[5]},Zoë Roe\n", encoding="utf-8")
    for names in (False, True):
        with served(*marking, "mia", names=names) as address:
            text = Visitor(address).ask("/question/written-why")[1]
        assert (("Zoë Roe" in text), (LEARNERS[6] in text)) == (names, names)
        assert LEARNERS[5] not in text


def test_what_a_learner_wrote_runs_nothing(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    notebook = copy.deepcopy(built.learner)
    for cell in notebook.cells:
        if cell.id == CELLS[0]:
            cell.source += "\n\n" + ATTACK
    with Recorder(built, course, lambda reason: None) as recorder:
        scores = {cell.id: 0.0 for cell in built.week.of_kind(Test)}
        recorder.save("eve", notebook, scores, course.submitted / "eve" / WEEK / "tiny.ipynb")
    (course.autograded / LEARNERS[7] / WEEK / "tiny.ipynb").write_text("no notebook", encoding="utf-8")
    elsewhere: list[str] = []
    with served(*marking, "mia") as address, page("marking", elsewhere) as one:
        one.goto(address)
        one.goto(address.partition("/enter")[0] + "/question/written-why")
        assert one.locator("article").count() == 40
        assert "One submission is not shown" in one.locator("main").inner_text()
        assert "script" in one.locator("main").inner_text(), "it is shown as the text that it is"
        assert one.title().startswith("W1. Why why √d?")
    assert elsewhere == []


def test_forty_learners_and_four_questions_by_keyboard_and_two_graders(marking: tuple[Course, Notebooks]) -> None:
    """Two graders, each with half of the answers, mark everything with keys alone."""
    course, built = marking
    said: list[str] = []
    with (
        served(course, built, "mia", Share(1, 2)) as first,
        served(course, built, "tom", Share(2, 2)) as second,
        page("marking-two") as mia,
    ):
        tom = mia.context.browser.new_page()
        for one, address in ((mia, first), (tom, second)):
            one.on("console", lambda message: said.append(message.text))
            one.goto(address)
        for one, address in ((mia, first), (tom, second)):
            for cell in CELLS:
                one.goto(f"{address.partition('/enter')[0]}/question/{cell}")
                count = one.locator("article").count()
                assert count in (19, 20)
                for number in range(count):
                    if number == 2:
                        one.keyboard.press("c")
                        one.keyboard.type("See $d^2$ and **bold**.")
                        one.keyboard.press("Escape")
                    one.keyboard.type("f" if number % 2 else "3.5")
                    one.keyboard.press("Enter")
                    one.wait_for_function("n => document.getElementById('progress').value === n", arg=number + 1)
                assert one.locator("article.marked").count() == count
                assert "$" not in one.locator(".preview:visible").inner_text(), "as the learner will see it"
    found = standings(course, WEEK)
    assert all(not standing.waiting for standing in found.values())
    given = [standing.scores[cell].manual for standing in found.values() for cell in CELLS]
    assert sorted(given, key=str) == sorted([3.5] * 80 + [5] * 79 + [None], key=str)
    assert sum(len(standing.comments) for standing in found.values()) == 8
    lines = [json.loads(line) for line in Marks(course, WEEK, "").journal.read_text(encoding="utf-8").splitlines()]
    assert {line["by"] for line in lines} == {"mia", "tom"}
    assert [text for text in said if "Content Security" in text] == []


def test_the_same_answer_by_two_graders_and_undo(marking: tuple[Course, Notebooks]) -> None:
    course, built = marking
    marks = Marks(course, WEEK, "")
    with (
        served(course, built, "ada") as third,
        served(course, built, "ben") as fourth,
        page("marking-same") as ada,
    ):
        ben = ada.context.browser.new_page()
        for one, address in ((ada, third), (ben, fourth)):
            one.goto(address)
            one.locator("article").first.wait_for()
        key = ada.locator("article").first.get_attribute("id")
        queue = start(built, course, "", Share(), names=False).queue[CELLS[0]]
        place = next(item.place for item in queue if item.key == key)
        ours, theirs = (one.locator(f"article[id='{key}']") for one in (ada, ben))
        ours.locator(".points").fill("1")
        ours.locator(".points").press("Enter")
        ours.get_by_text("saved", exact=True).wait_for()
        theirs.locator(".points").fill("2")
        theirs.locator(".points").press("Enter")
        theirs.get_by_text("somebody else gave 1 points").wait_for()
        assert marks.read(CELLS)[place].points == 1
        theirs.locator(".points").press("Enter")
        theirs.get_by_text("saved", exact=True).wait_for()
        assert marks.read(CELLS)[place].points == 2
        ben.keyboard.press("u")
        theirs.get_by_text("undone", exact=True).wait_for()
        assert marks.read(CELLS)[place].points == 1
        theirs.locator(".points").fill("99")
        theirs.locator(".points").press("Enter")
        theirs.get_by_text("points are a number from 0 to 5").wait_for()
        assert marks.read(CELLS)[place].points == 1
        ben.set_viewport_size({"width": 390, "height": 800})
        assert ben.evaluate("document.documentElement.scrollWidth") <= 390


def test_marks_reach_the_learners_page_with_formulas(marking: tuple[Course, Notebooks]) -> None:
    from autograder.execution.results import Graded
    from autograder.execution.verdicts import CellRun, Verdict
    from autograder.feedback.pages import write_feedback

    course, built = marking
    graded = Graded(LEARNERS[8], verdicts={cell.id: CellRun(Verdict.PASS) for cell in built.week.of_kind(Test)})
    graded.points = {"double": 40, "quadruple": 40}
    write_feedback(built, course, graded, built.learner, {})
    for cell in CELLS:
        Marks(course, WEEK, "mia").write(Place(LEARNERS[8], cell), Mark(), Mark(5, f"See $d^2$, **{cell}**. {ATTACK}"))
    rewrite(built, course)
    text = (course.feedback / LEARNERS[8] / WEEK / "index.html").read_text(encoding="utf-8")
    assert "In all: <strong>100</strong> of 100." in text
    assert "<strong>written-why</strong>" in text
    assert "<msup>" in text
    assert "<script" not in text
