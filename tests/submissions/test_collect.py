"""Collecting submissions: every source, several attempts, nothing lost, nothing escapes, nothing stops it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder.core import files
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.repair import repair
from autograder.submissions import archives, sources
from autograder.submissions.attempts import kept
from autograder.submissions.collect import Collection, collect, from_exchange
from autograder.submissions.picking import Collected

WEEK = "week01_attention"
MONDAY, TUESDAY, FRIDAY = (datetime(2026, 3, day, 12, 5, 0) for day in (2, 3, 6))


def notebook(text: str = "an answer", week: str = WEEK) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {"workbook": {"week": week}}, "cells": [text]}).encode()


def stamp(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()


def put(path: Path, content: bytes, moment: datetime = MONDAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (stamp(moment), stamp(moment)))
    return path


def archive(path: Path, members: Mapping[str, bytes], moment: datetime = MONDAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    local = moment.replace(tzinfo=UTC).astimezone()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, local.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)
    return path


def bundle(content: bytes, learner: object = "ann", **changed: object) -> bytes:
    """What `workbook submit` makes."""
    receipt = {
        "format": 1,
        "week": WEEK,
        "notebook": "attention.ipynb",
        "sha256": hashlib.sha256(content).hexdigest(),
        "created": "2026-03-02T12:05:00+00:00",
        "learner": learner,
    }
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as file:
        file.writestr("attention.ipynb", content)
        file.writestr("receipt.json", json.dumps(receipt | changed))
    return inside.getvalue()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def handed_in(course: Course) -> dict[str, bytes]:
    """Learner -> what grading will find."""
    found = course.submitted.glob(f"*/{WEEK}/attention.ipynb")
    return {path.parent.parent.name: path.read_bytes() for path in found}


def by_name(collection: Collection) -> dict[str, Collected]:
    return {one.learner: one for one in collection.learners}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# where submissions come from


@pytest.mark.parametrize(
    "path",
    [
        "ann/attention.ipynb",
        "ann/week01_attention/attention.ipynb",
        "week01_attention/ann/attention.ipynb",
        "submitted/ann/week01_attention/attention.ipynb",
        "ann/Attention (1).ipynb",
        "ann/homework.ipynb",
        "ann.ipynb",
        "attention_ann.ipynb",
        "ann-attention.ipynb",
        "ann_week01_attention.ipynb",
    ],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_a_folder_or_an_archive_of_it(course: Course, source: Path, path: str, zipped: bool) -> None:
    if zipped:
        source = archive(source / "class.zip", {path: notebook()})
    else:
        put(source / path, notebook())
    done = collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook()}
    assert done.learners[0].handed_in == MONDAY
    assert (course.submitted / "ann" / WEEK / "timestamp.txt").read_text() == "2026-03-02 12:05:00 UTC\n"
    assert (done.unmatched, done.missing) == ((), ())


def test_the_folder_that_an_archive_program_wraps_around_names_nobody(course: Course, source: Path) -> None:
    members = {"download/ann/attention.ipynb": notebook("a"), "download/bob/attention.ipynb": notebook("b")}
    collect(archive(source / "class.zip", members), course, WEEK)
    assert handed_in(course) == {"ann": notebook("a"), "bob": notebook("b")}


def test_canvas(course: Course, source: Path) -> None:
    members = {
        "leeann_12345_67890_attention.ipynb": notebook("ann"),
        "stonebob_LATE_12346_67891_attention-1.ipynb": notebook("bob"),
        "zhao_12347_67892_week01_attention.zip": bundle(notebook("zhao"), "zhao"),
    }
    done = by_name(collect(archive(source / "submissions.zip", members), course, WEEK))
    assert handed_in(course) == {"leeann": notebook("ann"), "stonebob": notebook("bob"), "zhao": notebook("zhao")}
    assert {name: one.notes for name, one in done.items()} == {
        "leeann": [],
        "stonebob": ["late, says Canvas"],
        "zhao": [],
    }
    told = json.loads((course.folder / "attempts" / "leeann" / "who.json").read_text(encoding="utf-8"))
    assert told == {"name": "leeann", "canvas": "12345", "moodle": {}}


def test_canvas_numbers_files_where_times_say_nothing(course: Course, source: Path) -> None:
    """Each file in a download has the time of the download, the later one here a little less."""
    path = source / "submissions.zip"
    local = (2026, 3, 2, 12, 0)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("leeann_1_20_attention-1.ipynb", (*local, 0)), notebook("second"))
        file.writestr(zipfile.ZipInfo("leeann_1_9_attention.ipynb", (*local, 4)), notebook("first"))
    (one,) = collect(path, course, WEEK).learners
    assert handed_in(course) == {"leeann": notebook("second")}
    assert (one.attempts, one.file) == (2, "leeann_1_20_attention-1.ipynb")


@pytest.mark.parametrize("between", ["/", "_"], ids=["folders", "flat"])
def test_moodle(course: Course, source: Path, between: str) -> None:
    members = {
        f"Ann Lee_4711_assignsubmission_file{between}attention.ipynb": notebook("ann"),
        f"Zoë Müller_4712_assignsubmission_file{between}week01_attention.zip": bundle(notebook("zoe")),
        "Ann Lee_4711_assignsubmission_onlinetext/onlinetext.html": b"<p>hello</p>",
    }
    collect(archive(source / "moodle.zip", members), course, WEEK)
    assert handed_in(course) == {"Ann Lee": notebook("ann"), "Zoë Müller": notebook("zoe")}
    told = json.loads((course.folder / "attempts" / "Zoë Müller" / "who.json").read_text(encoding="utf-8"))
    assert told["moodle"] == {WEEK: "4712"}


def test_a_name_in_utf_8_that_does_not_say_so(course: Course, source: Path) -> None:
    path = archive(source / "old.zip", {"Zo__/attention.ipynb": notebook()})
    path.write_bytes(path.read_bytes().replace(b"Zo__", "Zoë".encode()))
    collect(path, course, WEEK)
    assert list(handed_in(course)) == ["Zoë"]


def test_a_letter_that_unicode_writes_in_two_ways_is_one_learner(course: Course, source: Path) -> None:
    put(source / "Zoe\u0308" / "attention.ipynb", notebook("older"), MONDAY)
    collect(source, course, WEEK)
    shutil.rmtree(source)
    put(source / "Zo\u00eb" / "attention.ipynb", notebook("newer"), TUESDAY)
    collect(source, course, WEEK)
    assert handed_in(course) == {"Zo\u00eb": notebook("newer")}


def test_bundles_named_by_their_receipts(course: Course, source: Path) -> None:
    put(source / "week01_attention.zip", bundle(notebook("ann"), "ann"))
    put(source / "week01_attention (1).zip", bundle(notebook("bob"), "bob"))
    collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook("ann"), "bob": notebook("bob")}


def test_one_learner_s_bundle_is_a_source_too(course: Course, source: Path) -> None:
    collect(put(source / "week01_attention.zip", bundle(notebook("ann"), "ann")), course, WEEK)
    collect(put(source / "bob.zip", bundle(notebook("bob"), "somebody else")), course, WEEK)
    assert handed_in(course) == {"ann": notebook("ann"), "bob": notebook("bob")}


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"sha256": "0" * 64}, "its receipt is of another notebook: it was changed after `workbook submit`"),
        ({"week": "week02_vision_transformer"}, "its receipt is of week02_vision_transformer"),
        ({"format": 2}, "its receipt cannot be read"),
    ],
)
def test_a_receipt_that_does_not_match_is_said_and_the_work_counts(
    course: Course, source: Path, changed: dict[str, object], note: str
) -> None:
    put(source / "ann" / "week01_attention.zip", bundle(notebook(), **changed))
    (one,) = collect(source, course, WEEK).learners
    assert one.notes == [note]
    assert handed_in(course) == {"ann": notebook()}


@pytest.mark.nbgrader
def test_nbgrader_s_exchange(course: Course, tmp_path: Path) -> None:
    exchange = tmp_path / "exchange"
    for when, text in (("2026-03-02 12:05:00.000000 UTC", "first"), ("2026-03-03 12:05:00.000000 UTC", "second")):
        inbound = exchange / "workbook" / "inbound" / f"ann+{WEEK}+{when}+00"
        put(inbound / "attention.ipynb", notebook(text))
        (inbound / "timestamp.txt").write_text(when, encoding="utf-8")
    exchange.chmod(0o777)
    (tmp_path / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'workbook'\nc.Exchange.root = {str(exchange)!r}\n",
        encoding="utf-8",
    )
    (one,) = from_exchange(course, WEEK).learners
    assert handed_in(course) == {"ann": notebook("second")}
    assert one.handed_in == TUESDAY
    with pytest.raises(WorkbookError, match=r"nbgrader collect week02_other: .*week02_other"):
        from_exchange(course, "week02_other")


# attempts


def test_the_newest_wins_and_the_others_are_kept_with_their_dates(course: Course, source: Path) -> None:
    put(source / "ann" / "attention.ipynb", notebook("old"), TUESDAY)
    put(source / "ann" / "attention (1).ipynb", notebook("new"), FRIDAY)
    put(source / "ann" / "attention-Copy1.ipynb", notebook("oldest"), MONDAY)
    (one,) = collect(source, course, WEEK).learners
    assert (one.attempts, one.new, one.handed_in, one.file) == (3, 3, FRIDAY, "ann/attention (1).ipynb")
    assert handed_in(course) == {"ann": notebook("new")}
    folder = course.folder / "attempts" / "ann" / WEEK
    assert [path.name[:15] for path in sorted(folder.iterdir())] == [
        "20260302T120500",
        "20260303T120500",
        "20260306T120500",
    ]
    assert {path.read_bytes() for path in folder.iterdir()} == {notebook(t) for t in ("old", "new", "oldest")}


def test_to_collect_again_changes_nothing(course: Course, source: Path) -> None:
    put(source / "ann" / "attention.ipynb", notebook("ann"))
    put(source / "bob.ipynb", notebook("bob"))
    collect(source, course, WEEK)
    before = everything(course.folder)
    times = {path: path.stat().st_mtime_ns for path in course.folder.rglob("*.ipynb")}
    again = collect(source, course, WEEK)
    assert [(one.new, one.attempts) for one in again.learners] == [(0, 1), (0, 1)]
    assert everything(course.folder) == before
    assert {path: path.stat().st_mtime_ns for path in course.folder.rglob("*.ipynb")} == times


def test_an_older_attempt_that_comes_later_is_kept_and_does_not_win(course: Course, source: Path) -> None:
    put(source / "ann.ipynb", notebook("new"), FRIDAY)
    collect(source, course, WEEK)
    put(source / "ann.ipynb", notebook("old"), MONDAY)
    (one,) = collect(source, course, WEEK).learners
    assert (one.new, one.attempts, one.handed_in) == (1, 2, FRIDAY)
    assert handed_in(course) == {"ann": notebook("new")}


def test_who_goes_back_to_an_earlier_version_is_believed(course: Course, source: Path) -> None:
    for text, moment in (("a", MONDAY), ("b", TUESDAY), ("a", FRIDAY)):
        put(source / "ann.ipynb", notebook(text), moment)
        collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook("a")}
    assert len(kept(course, "ann", WEEK)) == 3


def test_what_lay_in_submitted_is_kept(course: Course, source: Path) -> None:
    put(course.submitted / "ann" / WEEK / "attention.ipynb", notebook("by hand"), MONDAY)
    put(source / "ann.ipynb", notebook("later"), TUESDAY)
    (one,) = collect(source, course, WEEK).learners
    assert one.notes == ["what lay in submitted/ was kept as an attempt"]
    assert handed_in(course) == {"ann": notebook("later")}
    assert any(path.read_bytes() == notebook("by hand") for path in course.folder.glob("attempts/ann/*/*.ipynb"))


def test_what_the_instructor_mended_later_than_that_stays(course: Course, source: Path) -> None:
    put(source / "ann.ipynb", notebook("handed in"), MONDAY)
    collect(source, course, WEEK)
    put(course.submitted / "ann" / WEEK / "attention.ipynb", notebook("mended"), FRIDAY)
    (course.submitted / "ann" / WEEK / "timestamp.txt").unlink()
    collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook("mended")}


def test_other_weeks_and_other_files_are_passed(course: Course, source: Path) -> None:
    put(source / "ann" / WEEK / "attention.ipynb", notebook())
    put(source / "ann" / WEEK / "scratch.ipynb", notebook("scratch"), FRIDAY)
    put(source / "ann" / WEEK / ".ipynb_checkpoints" / "attention-checkpoint.ipynb", notebook("hidden"), FRIDAY)
    put(source / "ann" / "week02_vision_transformer" / "vision_transformer.ipynb", notebook("02"), FRIDAY)
    done = collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook()}
    assert done.other_weeks == 1
    assert done.learners[0].notes == ["not collected: scratch.ipynb"]


def test_a_notebook_of_another_week_and_a_broken_one_are_collected_and_said(course: Course, source: Path) -> None:
    put(source / "ann.ipynb", notebook(week="week02_vision_transformer"))
    put(source / "bob.ipynb", b'{"cells": [')
    done = by_name(collect(source, course, WEEK))
    assert done["ann"].notes == ["the notebook says that it is week02_vision_transformer"]
    assert done["bob"].notes == ["cannot be read as a notebook; its learner is told so when it is graded"]
    assert set(handed_in(course)) == {"ann", "bob"}


# names


def test_two_learners_of_one_name(course: Course, source: Path) -> None:
    members = {
        "Ann Lee_11_assignsubmission_file/attention.ipynb": notebook("first"),
        "Ann Lee_22_assignsubmission_file/attention.ipynb": notebook("second"),
    }
    path = archive(source / "moodle.zip", members)
    for _ in range(2):
        done = by_name(collect(path, course, WEEK))
        assert handed_in(course) == {"Ann Lee 11": notebook("first"), "Ann Lee 22": notebook("second")}
    assert all(one.attempts == 1 for one in done.values())


def test_two_of_one_name_are_not_taken_for_each_other_in_a_later_week(course: Course, source: Path) -> None:
    """Moodle numbers people anew in each assignment: the name alone cannot tell which of the two it is."""
    for number in (11, 22):
        put(source / f"Ann Lee_{number}_assignsubmission_file" / "attention.ipynb", notebook(str(number)))
    collect(source, course, WEEK)
    later = archive(source / "w2.zip", {"Ann Lee_33_assignsubmission_file/vision_transformer.ipynb": notebook("33")})
    (one,) = collect(later, course, "week02_vision_transformer").learners
    assert one.learner == "Ann Lee 33"
    assert "a roster.csv tells them apart" in one.notes[0]


def test_canvas_knows_people_by_number_across_weeks(course: Course, source: Path) -> None:
    collect(archive(source / "1.zip", {"leeann_7_1_attention.ipynb": notebook("7")}), course, WEEK)
    collect(archive(source / "2.zip", {"leeann_8_2_attention.ipynb": notebook("8")}, TUESDAY), course, WEEK)
    collect(archive(source / "3.zip", {"leeann_7_3_attention.ipynb": notebook("7 again")}, FRIDAY), course, WEEK)
    assert handed_in(course) == {"leeann": notebook("7 again"), "leeann 8": notebook("8")}


def test_names_that_differ_in_capitals_get_folders_that_differ_everywhere(course: Course, source: Path) -> None:
    members = {"Ann/attention.ipynb": notebook("Ann"), "ann/attention.ipynb": notebook("ann")}
    done = by_name(collect(archive(source / "class.zip", members), course, WEEK))
    assert len({name.casefold() for name in done}) == 2
    assert sorted(handed_in(course).values()) == [notebook("Ann"), notebook("ann")]
    assert all("shares this name with somebody else" in one.notes[0] for one in done.values())


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("..", ""),
        ("a\x00b\x1b[31m", "a b [31m"),
        ("CON", "_CON"),
        ("trailing. ", "trailing"),
        ("李雷", "李雷"),
        ("x" * 300, "x" * 80),
        ("=cmd()", "=cmd()"),
    ],
)
def test_a_name_becomes_a_folder_that_any_system_can_have(name: str, folder: str) -> None:
    from autograder.course.roster import folder_name

    assert folder_name(name) == folder


def test_a_loose_file_without_a_name_is_nobody_s(course: Course, source: Path) -> None:
    put(source / "attention.ipynb", notebook())
    put(source / "ann.ipynb", notebook())
    done = collect(source, course, WEEK)
    assert done.unmatched == ("attention.ipynb: its name does not say whose it is: call it attention_NAME.ipynb",)
    assert set(handed_in(course)) == {"ann"}


# the roster


def test_the_roster_names_folders_and_who_is_missing(course: Course, source: Path) -> None:
    put(
        course.folder / "roster.csv",
        '\ufeffid,name,email,learner\n12345,"Lee, Ann",ann@example.org,ann\n9,Bob Stone,bob@example.org,bob\n'
        "10,Cleo Marsh,,\n11,Dan Dee,dan@example.org,dan\n".encode(),
    )
    members = {
        "leeann_12345_1_attention.ipynb": notebook("by number"),
        "marshcleo_99_2_attention.ipynb": notebook("another number, so another person"),
    }
    collect(archive(source / "canvas.zip", members), course, WEEK)
    put(source / "loose" / "dan@example.org.ipynb", notebook("by address"))
    put(source / "loose" / "Cleo Marsh.ipynb", notebook("by name"))
    done = collect(source / "loose", course, WEEK)
    assert handed_in(course) == {
        "ann": notebook("by number"),
        "marshcleo": notebook("another number, so another person"),
        "dan": notebook("by address"),
        "Cleo Marsh": notebook("by name"),
    }
    assert [person.learner for person in done.missing] == ["bob"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,name,learner\n1,Ann,ann\n2,Anna,Ann\n", r"roster.csv:3: the folder 'Ann' is taken by line 2 -> "),
        ("id,name,learner\n1,Ann,../ann\n", r"roster.csv:2: '../ann' is not a valid folder name -> "),
        ("id,email\n1,a@b\n", r"roster.csv has no column `name` or `learner` -> begin it with id,name,email,learner"),
    ],
)
def test_a_roster_that_does_not_hold_is_said_with_its_line(course: Course, source: Path, text: str, said: str) -> None:
    put(course.folder / "roster.csv", text.encode())
    put(source / "ann.ipynb", notebook())
    with pytest.raises(WorkbookError, match=said):
        collect(source, course, WEEK)
    assert handed_in(course) == {}


# what must not escape, fill the memory, or stop the rest


def outside(course: Course) -> list[str]:
    """Everything beside the course and the source."""
    return sorted(path.name for path in course.root.iterdir() if path.name not in ("course", "source"))


@pytest.mark.parametrize(
    "name", ["../../evil/attention.ipynb", "/etc/evil.ipynb", "..\\..\\evil.ipynb", "C:\\evil.ipynb"]
)
def test_a_path_that_leads_out_is_refused_by_name(course: Course, source: Path, name: str) -> None:
    members = {name: notebook("evil"), "ann/attention.ipynb": notebook()}
    done = collect(archive(source / "class.zip", members), course, WEEK)
    assert handed_in(course) == {"ann": notebook()}
    said = [*done.unmatched, *(note for one in done.learners for note in one.notes)]
    assert any("its path leads out of the archive" in line for line in said), said
    assert outside(course) == []


def test_links_are_not_followed(course: Course, source: Path, tmp_path: Path) -> None:
    secret = put(tmp_path / "source" / "secret.txt", b"secret")
    (source / "class").mkdir()
    (source / "class" / "ann.ipynb").symlink_to(secret)
    put(source / "class" / "bob.ipynb", notebook())
    link = zipfile.ZipInfo("cleo/attention.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(source / "links.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
        file.writestr("dan/attention.ipynb", notebook())
    first = by_name(collect(source / "class", course, WEEK))
    second = by_name(collect(source / "links.zip", course, WEEK))
    assert first["ann"].notes == ["ann.ipynb: a link; submit the file itself"]
    assert second["cleo"].notes == ["attention.ipynb: a link; submit the file itself"]
    assert set(handed_in(course)) == {"bob", "dan"}


def test_nothing_is_written_through_a_link_in_submitted(course: Course, source: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "source" / "elsewhere"
    elsewhere.mkdir()
    course.submitted.mkdir(parents=True)
    (course.submitted / "ann").symlink_to(elsewhere)
    put(source / "class" / "ann.ipynb", notebook())
    (one,) = collect(source / "class", course, WEEK).learners
    assert "is a link: nothing was written through it" in one.notes[-1]
    assert list(elsewhere.iterdir()) == []


def test_bombs_and_giants_are_refused_by_name(course: Course, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 100_000)
    monkeypatch.setattr(archives, "MAX_BYTES", 100_000)
    monkeypatch.setattr(repair, "MAX_BYTES", 100_000)
    honest = archive(source / "honest.zip", {"attention.ipynb": b"0" * 10_000_000}).read_bytes()
    lying = honest.replace((10_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    put(source / "class" / "ann.zip", honest)
    put(source / "class" / "bob.zip", lying)
    put(source / "class" / "cleo.ipynb", b"0" * 200_000)
    put(source / "class" / "dan.ipynb", notebook())
    done = by_name(collect(source / "class", course, WEEK))
    assert done["ann"].notes == ["ann.zip: attention.ipynb: unpacks to 10 MiB; at most 0 are read"]
    assert done["bob"].notes[0].startswith("bob.zip: ")
    assert "at most" in done["cleo"].notes[0]
    assert set(handed_in(course)) == {"dan"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no archive at all"])
def test_a_broken_bundle_stops_nobody_else(course: Course, source: Path, content: bytes) -> None:
    put(source / "ann" / "week01_attention.zip", content)
    put(source / "bob.ipynb", notebook())
    done = by_name(collect(source, course, WEEK))
    assert "is not a zip archive" in done["ann"].notes[0]
    assert set(handed_in(course)) == {"bob"}


def test_a_damaged_member_stops_nobody_else(course: Course, source: Path) -> None:
    path = archive(source / "class.zip", {"ann/attention.ipynb": os.urandom(3000), "bob/attention.ipynb": notebook()})
    broken = bytearray(path.read_bytes())
    broken[500] ^= 0xFF
    path.write_bytes(broken)
    done = by_name(collect(path, course, WEEK))
    assert "cannot be unpacked" in done["ann"].notes[0]
    assert set(handed_in(course)) == {"bob"}


def test_a_good_attempt_counts_beside_a_broken_one(course: Course, source: Path) -> None:
    put(source / "ann" / "week01_attention.zip", b"broken", FRIDAY)
    put(source / "ann" / "attention.ipynb", notebook(), MONDAY)
    (one,) = collect(source, course, WEEK).learners
    assert handed_in(course) == {"ann": notebook()}
    assert len(one.notes) == 1


def test_a_full_disk_loses_nothing_that_was_there(
    course: Course, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(source / "ann.ipynb", notebook("old"), MONDAY)
    collect(source, course, WEEK)
    before = everything(course.folder)
    put(source / "ann.ipynb", notebook("new"), FRIDAY)
    put(source / "bob.ipynb", notebook("bob"))

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        done = collect(source, course, WEEK)
    assert [one.notes for one in done.learners] == [
        ["ann.ipynb: not kept (No space left on device)"],
        ["bob.ipynb: not kept (No space left on device)"],
    ]
    assert everything(course.folder) == before
    collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook("new"), "bob": notebook("bob")}


def test_an_interruption_between_the_two_files_is_mended(
    course: Course, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(source / "ann.ipynb", notebook("old"), MONDAY)
    collect(source, course, WEEK)
    put(source / "ann.ipynb", notebook("new"), FRIDAY)
    write = files.write_bytes

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "timestamp.txt":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("autograder.submissions.attempts.write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect(source, course, WEEK)
    collect(source, course, WEEK)
    assert handed_in(course) == {"ann": notebook("new")}
    assert (course.submitted / "ann" / WEEK / "timestamp.txt").read_text() == "2026-03-06 12:05:00 UTC\n"
    assert len(kept(course, "ann", WEEK)) == 2


def test_what_holds_no_notebook_is_an_error_with_a_next_step(course: Course, source: Path) -> None:
    put(source / "notes.txt", b"nothing")
    with pytest.raises(WorkbookError, match=r"holds no notebook of week01_attention -> name the folder"):
        collect(source, course, WEEK)
    with pytest.raises(WorkbookError, match="is not there"):
        collect(source / "nowhere", course, WEEK)
    with pytest.raises(WorkbookError, match=r"is not a zip archive .* -> download it once more"):
        collect(put(source / "x.zip", b"nothing"), course, WEEK)
