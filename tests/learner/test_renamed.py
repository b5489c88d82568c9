"""A notebook under another name is found and asked about, and never replaced by a blank one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.learner.locations import Choice, notebook_path, usual_path
from autograder.learner.released import open_released
from autograder.learner.renamed import decide, doubtful, others, saved_later
from autograder.learner.start import read_copy, start_week
from autograder.learner.status import score

from .conftest import RIGHT, SAME, WEEK, Workbook, answer, copy_of, read, write
from .terminal import Terminal
from .test_editors import colab

NAMES = ("tiny_final.ipynb", "Copy of tiny.ipynb", "tiny (1).ipynb", "../tiny.ipynb", "../my week/done.ipynb")


def renamed(bundle: Path, name: str = NAMES[0]) -> Path:
    """The learner answers the week, then renames their notebook."""
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=SAME)
    path = copy_of(bundle).parent / name
    path.parent.mkdir(exist_ok=True)
    copy_of(bundle).rename(path)
    return path.resolve()


def found(bundle: Path) -> list[Path]:
    return [one.path.resolve() for one in doubtful(bundle, open_released(bundle, "1"))]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_by_its_cells(bundle: Path, name: str) -> None:
    path = renamed(bundle, name)
    assert found(bundle) == [path]
    write(path, colab(read(path)))
    assert found(bundle) == [path], "without ids and metadata, too"


@pytest.mark.parametrize("name", ["backups/tiny.2026.ipynb", "../submissions/tiny.ipynb", "../.hidden/tiny.ipynb"])
def test_what_is_kept_is_no_work(bundle: Path, name: str) -> None:
    renamed(bundle, name)
    assert found(bundle) == []


def test_another_notebook_is_none_of_the_week(bundle: Path) -> None:
    path = renamed(bundle)
    notebook = read(path)
    notebook["cells"] = [{**notebook["cells"][0], "id": "notes", "source": "shopping"}]
    write(path, notebook)
    (path.parent / "broken.ipynb").write_text("{", encoding="utf-8")
    assert found(bundle) == []


@pytest.mark.parametrize("name", NAMES)
def test_without_a_terminal_no_command_replaces_it_or_runs(bundle: Path, workbook: Workbook, name: str) -> None:
    path = renamed(bundle, name)
    before = path.read_bytes()
    for words in (("start", "1"), ("start", "1", "--again"), ("check", "1"), ("watch", "1"), ("submit", "1")):
        code, _, err = workbook(*words)
        assert code == 1, words
        assert f"error: work/{WEEK}/tiny.ipynb is not there, but " in err
        assert f"is a notebook of this week -> rename yours to tiny.ipynb in work/{WEEK}/" in err
    code, _, err = workbook("start", "--all")
    assert (code, "is a notebook of this week" in err) == (0, True), "the other weeks can be begun"
    assert not copy_of(bundle).exists()
    assert path.read_bytes() == before


def test_start_itself_makes_no_blank_one(bundle: Path) -> None:
    renamed(bundle)
    with pytest.raises(WorkbookError, match="is not there, but"):
        start_week(bundle, WEEK)
    assert not copy_of(bundle).exists()


def test_status_shows_it_and_says_who_asks(bundle: Path, workbook: Workbook) -> None:
    path = renamed(bundle)
    answer(path, **RIGHT)
    got = score(bundle, WEEK)
    assert got.started
    assert got.unchecked == ("double", "quadruple"), "of the renamed one"
    assert got.next_step == f"workbook check 1, which asks whether work/{WEEK}/tiny_final.ipynb is your notebook"
    assert "which asks whether" in workbook("status").out


def asked(bundle: Path, *words: str, answers: str) -> Terminal:
    terminal = Terminal(bundle, *words, rows=40, columns=100)
    for count, key in enumerate(answers, 1):
        terminal.sees(rf"(?s)(used from now on\?.*){{{count}}}")
        terminal.press(f"{key}\n")
    return terminal


def test_yes_uses_it_under_its_name_for_all_commands(bundle: Path, workbook: Workbook) -> None:
    path = renamed(bundle)
    terminal = asked(bundle, "check", "1", answers="y")
    terminal.sees(r"tiny_final.ipynb is a notebook of\s+week 1, with 1 answer")
    terminal.sees("✗  1 double +20/40 points")
    terminal.ends()
    assert notebook_path(bundle, WEEK) == path
    assert workbook("check", "1").out.splitlines()[0] == f"work/{WEEK}/tiny_final.ipynb"
    assert f"work/{WEEK}/tiny_final.ipynb: kept as it is" in workbook("start", "1").out
    assert "submitted: " in workbook("submit", "1").out
    assert score(bundle, WEEK).points == 20
    assert not copy_of(bundle).exists()
    path.rename(copy_of(bundle))
    assert notebook_path(bundle, WEEK) == copy_of(bundle), "renamed back, it is found without a question"


def test_an_update_is_merged_into_it(bundle: Path) -> None:
    path = renamed(bundle)
    decide(bundle, WEEK, path, [])
    release = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = read(release)
    notebook["cells"][0]["source"] += "!"
    write(release, notebook)
    begun = start_week(bundle, WEEK, again=True)
    assert (path, "updated") in begun.files
    assert read(path)["cells"][0]["source"].endswith("!")
    assert not copy_of(bundle).exists()


def test_no_makes_a_blank_one_beside_it_and_is_asked_once(bundle: Path) -> None:
    path = renamed(bundle)
    before = path.read_bytes()
    terminal = asked(bundle, "start", "1", answers="n")
    terminal.sees("tiny.ipynb: ready")
    assert terminal.ends() == 0
    assert path.read_bytes() == before
    assert found(bundle) == []
    later = path.with_name("tiny_newer.ipynb")
    path.rename(later)
    assert found(bundle) == [later], "one that was not there is asked about"


def test_of_several_the_one_with_most_answers_is_asked_about_first(bundle: Path) -> None:
    first = renamed(bundle)
    most = first.with_name("most.ipynb")
    most.write_bytes(first.read_bytes())
    answer(most, **RIGHT)
    assert found(bundle) == [most, first]
    asked(bundle, "start", "1", answers="ny").ends()
    assert notebook_path(bundle, WEEK) == first
    assert Choice.of(bundle, WEEK).refused == (f"{WEEK}/most.ipynb",)


def test_a_blank_one_beside_an_answered_one_is_not_taken_for_granted(bundle: Path, workbook: Workbook) -> None:
    path = renamed(bundle)
    copy_of(bundle).write_bytes((bundle / "weeks" / WEEK / "tiny.ipynb").read_bytes())
    assert found(bundle) == [path]
    err = workbook("check", "1").err
    assert f"work/{WEEK}/tiny.ipynb holds no answer, but work/{WEEK}/tiny_final.ipynb is a notebook of week 1" in err
    terminal = asked(bundle, "check", "1", answers="y")
    terminal.sees("✗  1 double +20/40 points")
    terminal.ends()


def test_one_that_was_saved_later_is_named(bundle: Path, workbook: Workbook) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=SAME)
    copy = copy_of(bundle).with_name("tiny-Copy1.ipynb")
    copy.write_bytes(copy_of(bundle).read_bytes())
    os.utime(copy_of(bundle), (1, 1))
    assert found(bundle) == []
    later = saved_later(bundle, open_released(bundle, "1"))
    assert later is not None
    assert later.path == copy
    for words in (("check", "1"), ("submit", "1")):
        assert f"work/{WEEK}/tiny-Copy1.ipynb was saved later, and is not." in workbook(*words).err


def test_renamed_while_watched(bundle: Path) -> None:
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=SAME)
    terminal = Terminal(bundle, "watch", "1")
    terminal.sees("✗ double of 2")
    path = copy_of(bundle).with_name("tiny_final.ipynb")
    copy_of(bundle).rename(path)
    terminal.sees(r"tiny_final.ipynb your notebook\s+now\? y/n")
    terminal.press("xh\x1b[24~c")  # neither yes nor no
    terminal.press("y")
    terminal.sees_no_more("y/n")
    assert Choice.of(bundle, WEEK).refused == ()
    answer(path, double=RIGHT["double"])
    terminal.sees("1 of 2 exercises")
    terminal.press("q")
    assert terminal.ends() == 0
    assert not copy_of(bundle).exists()


def test_a_choice_that_is_damaged_or_leads_nowhere_is_none(bundle: Path) -> None:
    renamed(bundle)
    for text in ("", "[]", '{"notebook": "gone.ipynb", "refused": []}', '{"notebook": 1}'):
        (bundle / "work" / ".workbook" / f"{WEEK}.notebook").write_text(text, encoding="utf-8")
        assert notebook_path(bundle, WEEK) == usual_path(bundle, WEEK)
        with pytest.raises(WorkbookError, match="is not there, but"):
            read_copy(bundle, WEEK)
    assert len(others(bundle, open_released(bundle, "1"))) == 1
