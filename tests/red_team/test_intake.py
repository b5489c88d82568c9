"""Whose work is it, and when was it handed in: learners who name, date and sign what is not theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder.course.folder import Course
from autograder.submissions.collect import Collection, collect
from autograder.submissions.entries import Fate

from ..submissions.test_collect import FRIDAY, MONDAY, TUESDAY, WEEK, bundle, handed_in, notebook, put

BOB, FORGED, OWN = notebook("bob's own"), notebook("forged"), notebook("mallory's own")
MOODLE = "Bob Stone_4712_assignsubmission_file"
GREEDY = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)")
ANYWHERE = re.compile(r"(?:.*[_/])?(?P<name>[^_/]+)_(?P<number>\d+)_\d+_[^/]+")
Files = Mapping[str, bytes]


def greedy(path: str) -> str:
    """The person whom a reader finds who looks at the whole path for what Moodle writes."""
    found = GREEDY.search(path)
    return found["name"].rpartition("/")[2].rpartition("_")[2] if found else ""


def anywhere(path: str) -> str:
    """The person whom a reader finds who looks for what Canvas writes wherever it stands."""
    return found["name"] if (found := ANYWHERE.fullmatch(path)) else ""


def believing(path: str) -> str:
    """The person of a reader who believes the last folder, or the name of a file."""
    parts = path.rpartition(".")[0].split("/")
    return parts[-2] if len(parts) > 1 else parts[-1]


@dataclass(frozen=True)
class Case:
    """An attack on the work of Bob, whose file is collected at the same time or was before.

    Attributes
    ----------
    files : what lies in the source; Bob's is `BOB`, what would replace it `FORGED`. Of later ones the newest counts.
    naive : whom a careless reader finds in the name of the forged file; it is `bob`.
    bob : the folder and the content that are Bob's afterwards; None where nobody can say which is his.
    before : what was collected from an earlier source.
    """

    name: str
    gain: str
    stop: str
    on: str
    files: Files
    naive: Callable[[str], str] = believing
    bob: str | None = "bob"
    fate: Fate = Fate.REFUSED
    before: Files = field(default_factory=dict)


CASES = [
    Case("moodle-number-in-a-file", "Bob's place: the file's own name holds his Moodle number",
         "a name with two marks of Moodle's is nobody's", "refused",
         {f"{MOODLE}_attention.ipynb": BOB, f"Mal Ory_9_assignsubmission_file_{MOODLE}_attention.ipynb": FORGED},
         greedy, "Bob Stone"),
    Case("moodle-number-in-a-profile", "Bob's place: the name in the profile is written as Moodle's mark of Bob",
         "a folder with two marks of Moodle's is nobody's", "refused",
         {f"{MOODLE}/attention.ipynb": BOB, f"{MOODLE}__9_assignsubmission_file/attention.ipynb": FORGED},
         lambda path: path.partition("_")[0], "Bob Stone"),
    Case("moodle-file-in-a-folder", "Bob's place: a file in one's own folder is named with his number",
         "the platform's folder says whose it is, and nothing below it", "own work",
         {f"{MOODLE}/attention.ipynb": BOB, f"Mal Ory_9_assignsubmission_file/{MOODLE}_attention.ipynb": FORGED},
         greedy, "Bob Stone", Fate.WORK),
    Case("moodle-folder-in-a-folder", "Bob's place: one's own folder holds one named as his",
         "the platform's folder says whose it is, and nothing below it", "own work",
         {f"{MOODLE}/attention.ipynb": BOB, f"Mal Ory_9_assignsubmission_file/{MOODLE}/attention.ipynb": FORGED},
         greedy, "Bob Stone", Fate.WORK),
    Case("moodle-number-twice", "Bob's place: another name with his number",
         "a number that stands for two names is nobody's", "refused",
         {f"{MOODLE}/attention.ipynb": BOB, "Bob_4712_assignsubmission_file/attention.ipynb": FORGED},
         lambda path: greedy(path).lower(), None),
    Case("blackboard-attempt-in-a-file", "Bob's place: the file's own name goes on as Blackboard's name of Bob's",
         "the first mark is Blackboard's", "own work",
         {"W_bob_attempt_2026-03-02-12-05-01_attention.ipynb": BOB,
          "W_mallory_attempt_2026-03-02-12-05-01_W_bob_attempt_2026-03-04-12-05-01_attention.ipynb": FORGED},
         lambda path: path.rpartition("_attempt_")[0].rpartition("_")[2], "bob", Fate.WORK),
    Case("ilias-folder-in-a-folder", "Bob's place: one's own folder holds one named as ILIAS names his",
         "the platform's folder says whose it is, and nothing below it", "own work",
         {"Stone_Bob_bob_7/attention.ipynb": BOB, "Ory_Mal_mallory_8/Stone_Bob_bob_7/attention.ipynb": FORGED},
         lambda path: believing(path).rpartition("_")[0].rpartition("_")[2], "bob", Fate.WORK),
    Case("brightspace-date-in-a-folder", "Bob's place: one's own folder holds one named as Brightspace names his",
         "the platform's folder says whose it is, and nothing below it", "own work",
         {"1-9 - bob - Mar 2, 2026 1205 PM/attention.ipynb": BOB,
          "2-9 - mallory - Mar 3, 2026 1205 PM/1-9 - bob - Mar 4, 2026 1205 PM/attention.ipynb": FORGED},
         lambda path: believing(path).split(" - ")[1], "bob", Fate.WORK),
    Case("gradescope-metadata-in-a-folder", "Bob's place: one's own folder holds a list of whose submissions are",
         "the list counts at the top of the export alone; without it nobody can say", "refused",
         {"submission_1/submission_metadata.yml":
          b"submission_1:\n  :submitters:\n  - :name: bob\n", "submission_1/attention.ipynb": FORGED},
         lambda path: "bob", before={"bob.ipynb": BOB}),
    Case("canvas-numbers-in-a-file", "Bob's place: the file's own name goes on as Canvas's name of Bob's",
         "numbers stand directly behind the first name", "own work",
         {"bob_12_50_attention.ipynb": BOB, "mallory_9_60_bob_12_70_attention.ipynb": FORGED},
         anywhere, "bob", Fate.WORK),
    Case("canvas-name-in-a-folder", "Bob's place: a file in one's own folder is named as Canvas names his",
         "a file in a folder is the folder's", "own work",
         {"bob/attention.ipynb": BOB, "mallory/bob_12_70_attention.ipynb": FORGED},
         anywhere, "bob", Fate.WORK),
    Case("canvas-name-among-loose", "Bob's place: the only file that is named as Canvas names files",
         "a platform names all files of a download, or none", "refused",
         {"bob.ipynb": BOB, "ann.ipynb": OWN, "bob_12_70_attention.ipynb": FORGED}, anywhere),
    Case("canvas-name-in-the-only-folder", "Bob's place: alone in the source, with a file named as Canvas names his",
         "a folder that may be a person's or a download is asked about", "refused",
         {"mallory/bob_12_70_attention.ipynb": FORGED}, anywhere, "bob", before={"bob_12_50_attention.ipynb": BOB}),
    Case("folders-of-others", "Bob's place: alone in the source, with folders named as others are",
         "a folder that may be a person's or hold those of others is asked about", "refused",
         {"mallory/bob/attention.ipynb": FORGED, "mallory/ann/attention.ipynb": OWN},
         before={"bob/attention.ipynb": BOB}),
    Case("folder-in-the-only-folder", "Bob's place: alone in the source, with one folder named as his",
         "a folder that may be a person's or hold those of others is asked about", "refused",
         {"mallory/bob/attention.ipynb": FORGED}, before={"bob/attention.ipynb": BOB}),
    Case("folder-in-a-folder", "Bob's place: a folder named as his inside of one's own",
         "the first folder says whose it is", "own work",
         {"bob/attention.ipynb": BOB, "mallory/bob/attention.ipynb": FORGED}, fate=Fate.WORK),
    Case("receipt", "Bob's place: a bundle whose receipt names him",
         "a receipt names somebody only where nothing else is theirs", "refused",
         {"bob.ipynb": BOB, "week01_attention.zip": bundle(FORGED, "bob")}, lambda path: "bob"),
    Case("receipt-later", "Bob's place: a bundle whose receipt names him, after his was collected",
         "a receipt names somebody only where nothing else is theirs", "refused",
         {"week01_attention.zip": bundle(FORGED, "bob")}, lambda path: "bob", before={"bob.ipynb": BOB}),
    Case("receipt-after-receipt", "Bob's place: a second bundle with a receipt that names him",
         "a receipt names somebody only where nothing else is theirs", "refused",
         {"week01_attention.zip": bundle(FORGED, "bob")}, lambda path: "bob",
         before={"week01_attention (1).zip": bundle(BOB, "bob")}),
    Case("two-receipts", "Bob's place: two bundles whose receipts name him, one of them his",
         "of several that only receipts name, none counts", "refused",
         {"week01_attention.zip": bundle(BOB, "bob"), "week01_attention (1).zip": bundle(FORGED, "bob")},
         lambda path: "bob", None),
    Case("capitals", "Bob's place on a disk that knows no capitals", "names that fold to one get a number each",
         "own work", {"bob.ipynb": BOB, "BOB.ipynb": FORGED}, lambda path: believing(path).casefold(),
         "bob 81b6", Fate.WORK),
    Case("dot-behind-a-name", "Bob's place where the system drops dots at the end", "it gets a number",
         "own work", {"bob/attention.ipynb": FORGED, "bob./attention.ipynb": FORGED},
         lambda path: believing(path).rstrip("."), None, Fate.WORK),
    Case("letters-of-another-alphabet", "to look like Bob in every table", "it is said", "own work",
         {"bob.ipynb": BOB, "b\u043eb.ipynb": FORGED}, lambda path: believing(path).replace("\u043e", "o"),
         fate=Fate.WORK),
    Case("letter-without-width", "to look like Bob in every table", "it becomes a blank", "own work",
         {"bob.ipynb": BOB, "bo\u200bb.ipynb": FORGED}, lambda path: believing(path).replace("\u200b", ""),
         fate=Fate.WORK),
    Case("letters-in-two-ways", "the place of Zoë: a name that Unicode writes in another way",
         "two spellings that look the same are nobody's", "refused",
         {"Zo\u00eb.ipynb": BOB, "Zoe\u0308.ipynb": FORGED}, lambda path: "bob", None),
    Case("blank-behind-a-name", "Bob's place: his name and a blank", "two spellings that look the same are nobody's",
         "refused", {"bob/attention.ipynb": BOB, "bob /attention.ipynb": FORGED},
         lambda path: believing(path).strip(), None),
    Case("folder-of-the-course", "to be graded as the folder `submitted`", "such folders name nobody", "refused",
         {"bob.ipynb": BOB, "submitted/attention.ipynb": FORGED}, lambda path: "bob"),
]  # fmt: skip


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")


def collected(course: Course, tmp_path: Path, files: Files, name: str, when: datetime) -> Collection:
    for path, content in files.items():
        put(tmp_path / name / path, content, when if content == BOB else FRIDAY)
    return collect(tmp_path / name, course, WEEK)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nobody_takes_the_place_of_another(course: Course, tmp_path: Path, case: Case) -> None:
    if case.before:
        collected(course, tmp_path, case.before, "before", MONDAY)
    forged = _forged(case)
    assert case.naive(forged).casefold() in ("bob", "bob stone"), "a careless reader takes it for Bob's"
    done = collected(course, tmp_path, case.files, "source", TUESDAY)
    there = handed_in(course)
    if case.bob is not None:
        assert there[case.bob] == BOB
        assert FORGED not in [content for name, content in there.items() if name == case.bob]
    else:
        assert BOB not in there.values()
    found = {one.file: one for one in done.fates}
    assert len(done.fates) == len(case.files) == sum(done.counts.values())
    assert found[forged].fate is case.fate
    assert (FORGED in there.values()) == (case.fate is Fate.WORK)
    if case.fate is Fate.REFUSED:
        assert found[forged].why
        assert any(forged in line or found[forged].why in line for line in [*done.unmatched, *_notes(done)])


def _forged(case: Case) -> str:
    return next(path for path, content in reversed(list(case.files.items())) if content not in (BOB, OWN))


def _notes(done: Collection) -> list[str]:
    return [note for one in done.learners for note in one.notes]


@pytest.mark.parametrize("case", [case for case in CASES if case.before], ids=lambda case: case.name)
def test_collected_again_it_is_refused_again(course: Course, tmp_path: Path, case: Case) -> None:
    collected(course, tmp_path, case.before, "before", MONDAY)
    first, again = (collected(course, tmp_path, case.files, "source", TUESDAY) for _ in range(2))
    assert first.fates == again.fates
    assert BOB in handed_in(course).values()


def test_a_look_alike_is_said(course: Course, tmp_path: Path) -> None:
    done = collected(course, tmp_path, {"bob.ipynb": BOB, "b\u043eb.ipynb": FORGED}, "source", MONDAY)
    assert "mixes letters of CYRILLIC and LATIN, so it may look like another name" in _notes(done)


def test_who_is_named_by_a_receipt_alone_is_told_as_unproven(course: Course, tmp_path: Path) -> None:
    done = collected(course, tmp_path, {"week01_attention.zip": bundle(BOB, "bob")}, "source", MONDAY)
    assert handed_in(course) == {"bob": BOB}
    assert _notes(done) == ["named by a receipt alone, which proves nothing"]


def test_a_receipt_that_names_another_of_the_class_is_noted(course: Course, tmp_path: Path) -> None:
    for _ in range(2):
        done = collected(course, tmp_path, {"bob.ipynb": BOB, "ann.zip": bundle(OWN, "bob")}, "source", MONDAY)
    assert handed_in(course) == {"ann": OWN, "bob": BOB}
    assert _notes(done) == ["its receipt names 'bob', of this class as well"]


def test_late_is_what_canvas_says(course: Course, tmp_path: Path) -> None:
    files = {"ann_1_50_LATE_2_60_attention.ipynb": OWN, "bob_LATE_12_51_attention.ipynb": BOB}
    done = collected(course, tmp_path, files, "source", MONDAY)
    assert {one.learner: one.notes for one in done.learners} == {"ann": [], "bob": ["late, says Canvas"]}


# time

TIMES = {
    "in Moodle's folder": ("Mal Ory_9_assignsubmission_file/timestamp.txt", "Mal Ory_9_assignsubmission_file/"),
    "in a folder of one's own": ("mallory/timestamp.txt", "mallory/"),
    "in the week's folder": (f"mallory/{WEEK}/timestamp.txt", f"mallory/{WEEK}/"),
}


@pytest.mark.parametrize("where", TIMES)
def test_a_time_that_a_learner_writes_is_no_time(course: Course, tmp_path: Path, where: str) -> None:
    stamp, folder = TIMES[where]
    put(tmp_path / "source" / stamp, b"2020-01-01 00:00:00 UTC\n", MONDAY)
    put(tmp_path / "source" / f"{folder}attention.ipynb", OWN, FRIDAY)
    put(tmp_path / "source" / "bob.ipynb", BOB, MONDAY)
    done = collect(tmp_path / "source", course, WEEK)
    (mallory,) = [one for one in done.learners if one.learner != "bob"]
    assert mallory.handed_in == FRIDAY
    assert {one.file: one.fate for one in done.fates}[stamp] is Fate.BESIDE


def test_the_exchange_s_own_time_is_one_and_a_file_further_inside_is_none(course: Course, tmp_path: Path) -> None:
    put(tmp_path / "source" / "bob" / WEEK / "timestamp.txt", b"2026-03-02 12:05:00 UTC\n", FRIDAY)
    put(tmp_path / "source" / "bob" / WEEK / "attention.ipynb", BOB, FRIDAY)
    put(tmp_path / "source" / "bob" / WEEK / "ann" / "timestamp.txt", b"2020-01-01 00:00:00 UTC\n", FRIDAY)
    put(tmp_path / "source" / "bob" / WEEK / "ann" / "attention.ipynb", OWN, FRIDAY)
    (one,) = collect(tmp_path / "source", course, WEEK, exchange=True).learners
    assert (one.learner, one.handed_in) == ("bob", MONDAY)


def test_a_time_that_is_to_come_wins_for_no_longer_than_until_now(course: Course, tmp_path: Path) -> None:
    put(tmp_path / "source" / "ann.ipynb", FORGED, datetime(2199, 1, 1))
    (one,) = collect(tmp_path / "source", course, WEEK).learners
    assert one.handed_in is not None
    assert one.handed_in <= datetime.now(UTC).replace(tzinfo=None)
    assert one.notes == ["ann.ipynb: dated 2199-01-01; now counts instead"]
    later = datetime.now(UTC).replace(tzinfo=None, microsecond=0).replace(year=one.handed_in.year + 1)
    assert one.handed_in < later


def test_times_inside_a_bundle_say_nothing(course: Course, tmp_path: Path) -> None:
    put(tmp_path / "source" / "ann.zip", bundle(OWN, "ann", created="2020-01-01T00:00:00+00:00"), FRIDAY)
    (one,) = collect(tmp_path / "source", course, WEEK).learners
    assert one.handed_in == FRIDAY


def test_of_two_of_one_time_the_table_names_the_one_that_is_graded(course: Course, tmp_path: Path) -> None:
    files = {f"ann/attention ({n}).ipynb": notebook(f"number {n}") for n in range(6)}
    for path, content in files.items():
        put(tmp_path / "source" / path, content, MONDAY)
    done = collect(tmp_path / "source", course, WEEK)
    (one,) = done.learners
    assert handed_in(course) == {"ann": files[one.file]}
    assert one.notes == [f"6 different files of the same time; {one.file.rpartition('/')[2]} counts"]
    assert [fate.file for fate in done.fates if fate.fate is Fate.WORK] == [one.file]
    assert done.counts == {Fate.WORK: 1, Fate.OLDER: 5}


def test_the_starter_counts_for_no_attempt_beside_work(course: Course, tmp_path: Path) -> None:
    put(course.root / "weeks" / WEEK / "attention.ipynb", notebook("starter"))
    put(tmp_path / "source" / "ann" / "Copy of attention.ipynb", OWN, MONDAY)
    put(tmp_path / "source" / "ann" / "attention.ipynb", notebook("starter"), FRIDAY)
    put(tmp_path / "source" / "bob.ipynb", notebook("starter"), FRIDAY)
    done = collect(tmp_path / "source", course, WEEK)
    assert handed_in(course) == {"ann": OWN, "bob": notebook("starter")}
    assert done.counts == {Fate.WORK: 2, Fate.BESIDE: 1}
