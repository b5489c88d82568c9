"""Copies in work/: written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from autograder.core.errors import WorkbookError
from autograder.core.files import ChangedMeanwhileError, dated, replace_file
from autograder.learner import start
from autograder.learner.locations import notebook_path
from autograder.learner.released import open_released
from autograder.learner.start import Begun, reset_exercise, start_week, update_waits

from .conftest import RIGHT, WEEK, answer, copy_of, read, source_of, write


def update_release(bundle: Path) -> None:
    """The course changes its first text, and its picture."""
    path = bundle / "weeks" / WEEK / "tiny.ipynb"
    notebook = read(path)
    notebook["cells"][0]["source"] += ", better told"
    write(path, notebook)
    (bundle / "weeks" / WEEK / "outcome.png").write_bytes(b"\x89PNG\r\n\x1a\n another")


@pytest.fixture
def mine(bundle: Path) -> Path:
    """A copy with an answer in it."""
    start_week(bundle, WEEK)
    answer(copy_of(bundle), double=RIGHT["double"])
    return copy_of(bundle)


def states(begun: Begun) -> dict[str, str]:
    return {path.name: state for path, state in begun.files}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_update_is_told_and_merged_when_asked(bundle: Path, mine: Path) -> None:
    assert not start_week(bundle, WEEK).update
    former = mine.read_bytes()
    update_release(bundle)
    begun = start_week(bundle, WEEK)
    assert begun.update
    assert mine.read_bytes() == former
    begun = start_week(bundle, WEEK, again=True)
    assert states(begun) == {"tiny.ipynb": "updated", "outcome.png": "updated"}
    assert begun.changes == ("text cell 1: updated",)
    assert source_of(mine, "double") == RIGHT["double"]
    assert "better told" in source_of(mine, "start-text-1")
    assert (mine.parent / "outcome.png").read_bytes() == b"\x89PNG\r\n\x1a\n another"
    backups = {path.name.split(".")[0]: path for path in begun.backups}
    assert backups["tiny"].read_bytes() == former
    assert backups["outcome"].read_bytes() == b"\x89PNG\r\n\x1a\n picture"
    assert re.fullmatch(r"tiny\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.ipynb", backups["tiny"].name)


def test_again_twice_is_again_once(bundle: Path, mine: Path) -> None:
    update_release(bundle)
    start_week(bundle, WEEK, again=True)
    after, files = mine.read_bytes(), everything(bundle)
    begun = start_week(bundle, WEEK, again=True)
    assert states(begun) == {"tiny.ipynb": "up to date", "outcome.png": "kept as it is"}
    assert (begun.changes, begun.backups, begun.update) == ((), [], False)
    assert mine.read_bytes() == after
    assert everything(bundle) == files
    assert not start_week(bundle, WEEK).update


def test_again_on_what_was_not_begun_begins_it(bundle: Path) -> None:
    files = {"tiny.ipynb": "ready", "outcome.png": "ready", "LOG.md": "ready"}
    assert states(start_week(bundle, WEEK, again=True)) == files


def test_a_copy_from_before_there_were_bases(bundle: Path, mine: Path) -> None:
    for path in (bundle / "work" / ".workbook").iterdir():
        path.unlink()
    assert not update_waits(bundle, WEEK)
    update_release(bundle)
    assert update_waits(bundle, WEEK)
    start_week(bundle, WEEK, again=True)
    assert source_of(mine, "double") == RIGHT["double"]
    assert "better told" in source_of(mine, "start-text-1")


class FullDisk:
    """After so many written files the disk is full, half a file later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        original = os.fsync

        def fsync(number: int) -> None:
            if self.room == 0:
                os.ftruncate(number, 10)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= 1
            original(number)

        monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("room", range(5))
def test_a_full_disk_loses_no_answer(bundle: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    update_release(bundle)
    FullDisk(monkeypatch, room)
    with pytest.raises(WorkbookError) as error:
        start_week(bundle, WEEK, again=True)
    assert "No space left on device (nothing was lost)" in error.value.message
    assert source_of(mine, "double") == RIGHT["double"], "the notebook is whole, old or new"
    assert not [path for path in bundle.rglob("*") if path.name.endswith(".part")]
    monkeypatch.undo()
    monkeypatch.chdir(bundle)
    start_week(bundle, WEEK, again=True)
    assert "better told" in source_of(mine, "start-text-1"), "the next try goes through"
    assert source_of(mine, "double") == RIGHT["double"]


def test_a_full_disk_while_handing_in_keeps_the_bundle_from_before(
    bundle: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograder.learner.submit import Preflight, hand_in
    from autograder.learner.tasks import open_lesson

    seen = Preflight(mine, mine.read_bytes(), open_lesson(bundle, "1"), {})
    first = hand_in(bundle, seen, None).path.read_bytes()
    FullDisk(monkeypatch, 1)
    with pytest.raises(WorkbookError, match="No space left on device") as error:
        hand_in(bundle, seen, None)
    assert error.value.next_step == "make room and submit again; your notebook is untouched"
    assert (bundle / "work" / "submissions" / f"{WEEK}.zip").read_bytes() == first


def test_an_editor_that_saves_during_the_merge_wins(bundle: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update_release(bundle)
    original, saves = replace_file, iter([RIGHT["quadruple"]])

    def replace(path: Path, content: bytes, **options: Any) -> None:
        if "was" in options and (code := next(saves, "")):
            answer(mine, quadruple=code)
        original(path, content, **options)

    monkeypatch.setattr(start, "replace_file", replace)
    start_week(bundle, WEEK, again=True)
    assert source_of(mine, "quadruple") == RIGHT["quadruple"], "what was saved meanwhile is in the merge"
    assert source_of(mine, "double") == RIGHT["double"]
    assert "better told" in source_of(mine, "start-text-1")


def test_a_copy_that_is_a_link_stays_one(bundle: Path, mine: Path) -> None:
    elsewhere = bundle / "elsewhere" / "mine.ipynb"
    elsewhere.parent.mkdir()
    mine.rename(elsewhere)
    mine.symlink_to(elsewhere)
    update_release(bundle)
    start_week(bundle, WEEK, again=True)
    assert mine.is_symlink()
    assert source_of(elsewhere, "double") == RIGHT["double"]
    assert "better told" in source_of(elsewhere, "start-text-1")


def test_resetting_an_exercise_backs_it_up_and_leaves_the_rest(bundle: Path, mine: Path) -> None:
    answer(mine, quadruple=RIGHT["quadruple"])
    former = mine.read_bytes()
    backup = reset_exercise(bundle, open_released(bundle, "1"), "double")
    assert backup.read_bytes() == former
    assert "raise NotImplementedError" in source_of(mine, "double")
    assert source_of(mine, "quadruple") == RIGHT["quadruple"]


def test_replacing_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ü.txt"
    replace_file(path, b"one")
    path.chmod(0o640)
    replace_file(path, b"two", was=b"one")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ChangedMeanwhileError):
        replace_file(path, b"three", was=b"one")
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["ü.txt"]


def test_dated_names_are_free(tmp_path: Path) -> None:
    from datetime import datetime

    when = datetime(2026, 2, 3, 4, 5, 6)
    first = dated(tmp_path / "a.ipynb", when)
    assert first.name == "a.2026-02-03T04-05-06.ipynb"
    first.touch()
    assert dated(tmp_path / "a.ipynb", when).name == "a.2026-02-03T04-05-06-2.ipynb"


def test_where_the_copy_of_a_week_lies(bundle: Path) -> None:
    assert notebook_path(bundle, WEEK) == copy_of(bundle)
