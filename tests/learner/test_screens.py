"""Screens at 60 and 80 columns as text: no line is longer, and nothing that matters is cut off."""

from __future__ import annotations

import io
import itertools
import queue
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from autograder.commands import asking, learner
from autograder.core.errors import WorkbookError
from autograder.learner import check, doctor
from autograder.learner.check import UNWRITTEN, Result, known
from autograder.learner.released import open_released
from autograder.learner.start import start_week
from autograder.learner.state import Kept
from autograder.learner.status import Score
from autograder.learner.submit import Preflight
from autograder.learner.tasks import open_lesson
from autograder.learner.views import hint_panel, preflight_report, results_table, score_table
from autograder.learner.watch_rounds import Worker
from autograder.learner.watch_screen import KEYS, watch_screen
from autograder.learner.watch_session import Session
from autograder.week.headings import hints

from .conftest import RIGHT, SAME, WEEK, answer, copy_of

ROOT = Path(__file__).parents[2]
REAL = sorted(path.name for path in (ROOT / "weeks").iterdir())
WIDTHS = (60, 80)
SIZES = ((60, 20), (80, 24))
MESSAGE = """one query, two keys, d = 4, worked by hand: weights not as expected
  got:          [[[[0.634, 0.366]]]] (shape (1, 1, 1, 2), float32)
  expected:     [[[[0.75, 0.25]]]] (shape (1, 1, 1, 2), float32)
  where:        at (0, 0, 0, 1): 0.366025 instead of 0.25; 2 of 2 entries differ
  likely cause: the scores were divided by d = 4, not by its square root 2"""


def lines(renderable: RenderableType, width: int, height: int = 24) -> list[str]:
    """What a terminal of this size shows."""
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(renderable, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return fitting(console.file.getvalue(), width)


def fitting(text: str, width: int) -> list[str]:
    """The lines of a text, none of which is wider."""
    found = text.splitlines()
    assert [line for line in found if len(line) > width] == []
    return [line.rstrip() for line in found]


def words(found: list[str]) -> str:
    """The text of a screen, wherever its lines break."""
    return " ".join(" ".join(found).split())


def results(root: Path, week: str) -> dict[str, Result]:
    """An exercise that failed, one that passes, the others not written."""
    released = open_released(root, week)
    found = {}
    kinds = itertools.chain([("FAIL", MESSAGE), ("PASS", "")], itertools.repeat((UNWRITTEN, "")))
    for place, (name, (state, message)) in enumerate(zip(released.week.exercises, kinds, strict=False)):
        number = 8 + 11 * place
        tests = tuple(replace(test, verdict=state) for test in check.tests_of(released, name))
        found[name] = Result(name, f"Exercise of {name}", state, tests, message, number)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("week", REAL)
def test_results(week: str, width: int) -> None:
    found = results(ROOT, week)
    shown = lines(results_table(list(found.values()), {name: n for n, name in enumerate(found, 1)}), width)
    text = words(shown)
    for name in found:
        assert re.search(rf"\b{name}\b +\d+/\d+ points", text), name
    for part in MESSAGE.splitlines():
        assert " ".join(part.split()) in text, "also where a line had to be broken"
    where = next(number for number, line in enumerate(shown) if "where:" in line)
    if width == 60:
        assert shown[where].index("at (0") == re.search(r"\S", shown[where + 1]).start(), "below the text"  # type: ignore[union-attr]
    assert "cell 8" in text
    assert text.count("not written yet · cell") == len(found) - 2
    assert "…" not in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("week", REAL)
def test_hints(week: str, width: int) -> None:
    released = open_released(ROOT, week)
    for exercise in released.week.exercises:
        for hint in hints(released, exercise).values():
            shown = lines(hint_panel(hint, 3), width)
            assert shown[0] == f"Hint {hint.number} of 3: {hint.title}"
            assert "…" not in "".join(shown[1:]).replace("…", "", hint.text.count("…"))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_scoreboard_of_all_weeks(width: int) -> None:
    board = [
        Score(number, open_released(ROOT, week).week.info.title, True, 8, 80, 3, 720, 1260, 8, 80, 3)
        for number, week in enumerate(REAL, 1)
    ]
    shown = lines(score_table(board, width), width)
    assert len(shown) == 1 + len(REAL), "a line a week"
    for number, line in enumerate(shown[1:], 1):
        assert re.search(rf"^{number:02d} +\S.* 8/8 +80/80 +3/3 +1260$", line), line
    assert len(re.findall("█{8}", "\n".join(shown))) == (len(REAL) if width == 80 else 0)
    assert re.search("done +points +written +min left", shown[0])


@pytest.mark.parametrize("width", [110, 120, 200])
def test_a_wide_scoreboard_says_all(width: int) -> None:
    score = Score(1, "Doubling", True, 2, 80, 1, 30, 20, 2, 80, 0)
    heading, line = lines(score_table([score], width), width)
    assert heading.split("  ")[-1] == "minutes left"
    assert re.fullmatch(r"01 +Doubling +█{12} +2/2 +80/80 +0/1 +20 of 30", line)


def session_of(folder: Path, week: str, root: Path = ROOT) -> Session:
    """A session of a week, which keeps what it keeps in a folder of its own."""
    released = open_released(root, week)
    session = Session(root, released, Kept(folder / "kept.json"), Worker((), queue.Queue()), has_keys=True)
    session.results = results(root, week)
    session.current = next(iter(session.results))
    session.worker.close()
    return session


def screen(session: Session, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(watch_screen(session, console), end="")
    assert isinstance(console.file, io.StringIO)
    shown = fitting(console.file.getvalue(), width)
    assert len(shown) == height, "as large as the window"
    return shown


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("week", REAL)
def test_watch_has_head_strip_and_keys_in_one_line_each(tmp_path: Path, week: str, width: int, height: int) -> None:
    session = session_of(tmp_path, week)
    names = list(session.results)
    for session.current in names:
        shown = screen(session, width, height)
        assert shown[0].startswith(f"week {session.released.week.number} · ")
        assert "1 of" in shown[1]
        assert shown[1].endswith("80 points of the visible tests")
        strip = shown[2]
        assert session.current in strip.split()
        marks = [word for word in strip.split() if word in "✓✗·…"]
        assert marks == ["✗", "✓", *["·"] * (len(names) - 2)]
        assert shown[3] == "─" * width
        assert shown[-1] == KEYS
    assert len(KEYS) <= min(WIDTHS)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_all_of_a_long_text_can_be_scrolled_to(tmp_path: Path, width: int, height: int) -> None:
    session = session_of(tmp_path, REAL[0])
    released = session.released
    for key in "hhh":
        session._key(key)
        shown = screen(session, width, height)
        (last,) = (hint for number, hint in hints(released, session.current).items() if number == len(session.hints))
        assert f"Hint {last.number} of 3: {last.title}" in shown, "a new hint is scrolled to"
    whole = screen(session, width, 200)[4:-1]
    session._key("home")
    seen: dict[int, str] = {}
    for _ in whole:
        shown = screen(session, width, height)
        where = re.fullmatch(r"lines (\d+)–(\d+) of (\d+) · arrow keys, space and b scroll", shown[-2])
        assert where is not None
        first, last_seen, length = map(int, where.groups())
        assert len(shown[4:-2]) == last_seen - first + 1
        seen |= dict(enumerate(shown[4:-2], first))
        session._key("down")
    assert sorted(seen) == list(range(1, length + 1))
    assert [seen[number] for number in sorted(seen)] == whole[:length], "line by line, every line"
    assert not any(whole[length:])
    bottom = screen(session, width, height)
    for keys in (("up", "down"), ("k", "j"), ("page up", "page down"), ("b", " "), ("home", "end")):
        session._key(keys[0])
        assert screen(session, width, height) != bottom
        session._key(keys[1])
        assert screen(session, width, height) == bottom


@pytest.mark.parametrize("height", range(3, 9))
def test_a_tiny_window_breaks_nothing(tmp_path: Path, height: int) -> None:
    session = session_of(tmp_path, REAL[0])
    session.said, session.trouble = "said " * 100, "trouble " * 100
    screen(session, 20, height)


class Printed:
    """The learner's commands, called in this process, with a console of fixed width."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
        self._file, self._width = io.StringIO(), width
        console = Console(width=width, file=self._file, force_terminal=True, color_system=None)
        for module, name in ((learner, "console"), (asking, "console"), (asking, "complaints")):
            monkeypatch.setattr(module, name, console)

    def lines(self) -> list[str]:
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|.*\r", "", self._file.getvalue())
        self._file.seek(0)
        self._file.truncate()
        return fitting(text, self._width)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_commands_print(bundle: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    printed = Printed(monkeypatch, width)
    learner.start("1")
    assert f"work/{WEEK}/tiny.ipynb: ready" in printed.lines()
    answer(copy_of(bundle), double=SAME)
    with pytest.raises(SystemExit):
        learner.check("1")
    text = words(printed.lines())
    assert "likely cause: this is the number itself" in text
    assert "0 of 2 exercises · 20/80 points of the visible tests" in text
    assert "next: workbook hint 1 double" in text
    learner.hint("1", "double")
    assert "Hint 1 of 3: the idea" in printed.lines()
    answer(copy_of(bundle), **RIGHT)
    learner.check("1")
    text = words(printed.lines())
    assert "more is tested when you submit" in text
    assert "next: answer the written questions (why), then workbook submit 1" in text
    learner.status()
    text = words(printed.lines())
    assert "2/2 80/80 0/1 20" in text
    assert "week 1: answer the written questions: why" in text
    learner.submit("1")
    text = words(printed.lines())
    assert "2 of 2 exercises" in text
    assert f"submitted: work/submissions/{WEEK}.zip" in text
    assert "next: give this file to your instructor" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_what_doctor_prints(bundle: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    printed = Printed(monkeypatch, width)
    found = doctor.examine(bundle)
    lacking = doctor.Finding("torch", "not installed", "run `make setup` " * 10)
    monkeypatch.setattr(doctor, "examine", lambda root: [lacking, *found])
    with pytest.raises(SystemExit):
        learner.doctor()
    text = words(printed.lines())
    assert text.startswith("to learn ✗ torch: not installed run `make setup`")
    assert text.count("make setup") == 10


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_grader_will_see(bundle: Path, width: int) -> None:
    start_week(bundle, WEEK)
    lesson = open_lesson(bundle, "1")
    lesson = replace(lesson, notes=("cell 'double' stood there 2 times; one that was worked on counts",))
    seen = Preflight(copy_of(bundle), b"", lesson, known(lesson, Kept.of(bundle, WEEK)))
    text = words(lines(preflight_report(seen, width), width))
    assert f"what the grader will see of {WEEK}/tiny.ipynb" in text
    assert "cell 'double' stood there 2 times; one that was worked on counts" in text
    assert "not answered: why (written questions)" in text
    assert "not written: double, quadruple" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_asked_about_is_whole(bundle: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    printed = Printed(monkeypatch, width)
    learner.start("1")
    answer(copy_of(bundle), double=SAME)
    shutil.move(copy_of(bundle), copy_of(bundle).with_name("Copy of tiny.ipynb"))
    printed.lines()
    monkeypatch.setattr(asking, "somebody_answers", lambda: False)
    with pytest.raises(WorkbookError, match=r"Copy of tiny\.ipynb is a notebook of this week"):
        learner.check("1")
    monkeypatch.setattr(asking, "somebody_answers", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, err: True)
    with pytest.raises(SystemExit):
        learner.check("1")
    text = words(printed.lines())
    assert f"work/{WEEK}/tiny.ipynb is not there, but work/{WEEK}/Copy of tiny.ipynb is a notebook of week 1" in text
