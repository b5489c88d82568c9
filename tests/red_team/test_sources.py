"""Archives, folders and names that a reader chokes on: each costs its own entry, and no other."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.submissions import archives, picking
from autograder.submissions.archives import LISTED
from autograder.submissions.collect import Collection, collect
from autograder.submissions.contents import Found, Looker, open_handed_in
from autograder.submissions.entries import LONGEST_NAME, Entry, Fate
from autograder.submissions.identify import Claim

from ..submissions.test_collect import FRIDAY, WEEK, bundle, handed_in, notebook, put

ANN, ZOE, ODD = notebook("ann"), notebook("zoe"), notebook("odd") + b" " * 2_000
Change = Callable[[bytearray, zipfile.ZipInfo, int], None]
"""Spoils an archive: its bytes, the odd member as it was written, and where its entry in the list begins."""


def member(name: str = "odd/attention.ipynb", method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2026, 3, 2, 12, 5, 0))
    info.compress_type = method
    return info


def packed(info: zipfile.ZipInfo, change: Change | None = None, content: bytes = ODD) -> bytes:
    """A class of three; the second one's member is spoiled."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member("ann/attention.ipynb"), ANN)
        archive.writestr(info, content)
        archive.writestr(member("zoe/attention.ipynb"), ZOE)
        name = info.filename.encode()
    found = bytearray(file.getvalue())
    if change:
        change(found, info, found.rindex(name) - LISTED.size)
    return bytes(found)


def body(found: bytearray, info: zipfile.ZipInfo) -> int:
    """Where the packed bytes of a member begin."""
    return info.header_offset + 30 + len(info.filename.encode())


def flip(place: int) -> Change:
    """Another byte at this place of the packed ones; counted from the end where it is negative."""

    def change(found: bytearray, info: zipfile.ZipInfo, listed: int) -> None:
        found[body(found, info) + place % info.compress_size] ^= 0xFF

    return change


def both(near: int, listed_at: int, value: bytes) -> Change:
    """These bytes into the member's own header, and into its entry in the list."""

    def change(found: bytearray, info: zipfile.ZipInfo, listed: int) -> None:
        for place in (info.header_offset + near, listed + listed_at):
            found[place : place + len(value)] = value

    return change


def in_list(at: int, value: bytes) -> Change:
    def change(found: bytearray, info: zipfile.ZipInfo, listed: int) -> None:
        found[listed + at : listed + at + len(value)] = value

    return change


def at_the_first(found: bytearray, info: zipfile.ZipInfo, listed: int) -> None:
    found[listed + 42 : listed + 46] = bytes(4)


def renamed(name: bytes, flags: int = 0) -> Change:
    """A name of the same length that Python would not write."""

    def change(found: bytearray, info: zipfile.ZipInfo, listed: int) -> None:
        assert len(name) == len(info.filename)
        for place, flag in ((body(found, info) - len(name), 6 - 30), (listed + 46, 8 - 46)):
            found[place : place + len(name)] = name
            found[place + flag + 1] |= flags

    return change


def link(mode: int) -> zipfile.ZipInfo:
    info = member()
    info.external_attr = mode << 16
    return info


@dataclass(frozen=True)
class Case:
    """An archive in which one member is odd. `off`: what a plain reader raises at it, or takes."""

    name: str
    gain: str
    stop: str
    on: str
    content: Callable[[], bytes]
    fate: Fate
    off: type[BaseException] | str
    says: str = ""


LONG = "x" * 60_000
UNPACKED = "its exception, of whatever class, is its own"
NOT_READ = "members are stored or deflated"
OUTSIDE = "paths are texts, and one that leads out is nobody's"
CASES = [
    Case("corrupt-lzma", "to end the run for all", NOT_READ, "unreadable",
         lambda: packed(member(method=zipfile.ZIP_LZMA), flip(20)), Fate.UNREADABLE, lzma.LZMAError, "LZMA"),
    Case("corrupt-bzip2", "to end the run for all", NOT_READ, "unreadable",
         lambda: packed(member(method=zipfile.ZIP_BZIP2), flip(0)), Fate.UNREADABLE, OSError, "bzip2"),
    Case("bzip2-bomb", "a gigabyte from a thousand bytes, at once", NOT_READ, "unreadable",
         lambda: packed(member(method=zipfile.ZIP_BZIP2), content=bytes(45_000_000)), Fate.UNREADABLE, "taken",
         "bzip2"),
    Case("zstandard", "to end the run for all", NOT_READ, "unreadable",
         lambda: packed(member(), both(8, 10, b"\x5d\0")), Fate.UNREADABLE, NotImplementedError, "Zstandard"),
    Case("method-of-nobody", "to end the run for all", NOT_READ, "unreadable",
         lambda: packed(member(), both(8, 10, b"\xfe\xca")), Fate.UNREADABLE, NotImplementedError, "method 51966"),
    Case("corrupt-deflate", "to end the run for all", UNPACKED, "unreadable",
         lambda: packed(member(), flip(0)), Fate.UNREADABLE, zlib.error, "cannot be unpacked (error: "),
    Case("wrong-checksum", "to be read as something else", UNPACKED, "unreadable",
         lambda: packed(member(method=zipfile.ZIP_STORED), flip(0)), Fate.UNREADABLE, zipfile.BadZipFile, "BadZipFile"),
    Case("truncated-member", "to end the run for all", UNPACKED, "unreadable",
         lambda: packed(member(), in_list(20, b"\x10\0\0\0")), Fate.UNREADABLE, zipfile.BadZipFile, "unpacked"),
    Case("another-name-inside", "to be read under two names", UNPACKED, "unreadable",
         lambda: packed(member(), in_list(46, b"bob")), Fate.UNREADABLE, zipfile.BadZipFile, "BadZipFile"),
    Case("password", "to end the run for all", "the flag is looked at first", "unreadable",
         lambda: packed(member(), both(6, 8, b"\1\0")), Fate.UNREADABLE, RuntimeError, "locked with a password"),
    Case("absurd-size", "4 GiB of memory", "the size is looked at, and no more is unpacked", "unreadable",
         lambda: packed(member(), in_list(24, b"\xff\xff\xff\xf0")), Fate.UNREADABLE, "taken", "at most 50 are read"),
    Case("shared-bytes", "one packed file for as many as one likes", "members that share bytes are refused", "refused",
         lambda: packed(member(), at_the_first), Fate.REFUSED, zipfile.BadZipFile, "shares its"),
    Case("path-upwards", "a file outside of the course", OUTSIDE, "refused",
         lambda: packed(member("../../ann/attention.ipynb")), Fate.REFUSED, "taken", "leads out"),
    Case("path-from-the-top", "a file outside of the course", OUTSIDE, "refused",
         lambda: packed(member("/ann/attention.ipynb")), Fate.REFUSED, "taken", "leads out"),
    Case("path-of-windows", "a file outside of the course", OUTSIDE, "refused",
         lambda: packed(member(r"C:\ann\attention.ipynb")), Fate.REFUSED, "taken", "leads out"),
    Case("link", "the host's files", "links are not followed", "refused",
         lambda: packed(link(0o120777), content=b"/etc/passwd"), Fate.REFUSED, "taken", "a link"),
    Case("nul-in-a-name", "to be shown under a name and read under another", "such names are refused", "refused",
         lambda: packed(member("ann/attention.ipynb-.txt"), renamed(b"ann/attention.ipynb\0.txt")),
         Fate.REFUSED, "taken", "a character that no name has"),
    Case("name-that-is-no-utf8", "to end the run for all", "it is read as a name of an old program", "work",
         lambda: packed(member("odd_/attention.ipynb"), renamed(b"odd\xff/attention.ipynb", 8)),
         Fate.WORK, UnicodeDecodeError),
    Case("long-name", "hours of a pattern that looks at it", "names are cut before anything looks at them", "refused",
         lambda: packed(member("_1" * 30_000 + ".ipynb")), Fate.REFUSED, "taken", "longer than 255"),
    Case("deep-path", "a path that no system can have", "more than 8 folders are refused", "refused",
         lambda: packed(member("x/" * 30_000 + "attention.ipynb")), Fate.REFUSED, "taken", "more than 8 folders"),
    Case("terminal-in-a-name", "the instructor's terminal", "names are cleaned before they are shown", "work",
         lambda: packed(member("\x1b]0;owned\x07\u202egpj[bold]/attention.ipynb")), Fate.WORK, "taken"),
    Case("archive-in-an-archive", "to end the run for all", UNPACKED, "unreadable",
         lambda: packed(member("odd/week01_attention.zip"), content=packed(member("week01_attention.zip"))[:-30]),
         Fate.UNREADABLE, "taken", "is not a zip archive"),
    Case("bundle-with-lzma", "to end the run for all", NOT_READ, "unreadable",
         lambda: packed(member("odd/x.zip"), content=_only(member("attention.ipynb", zipfile.ZIP_LZMA))),
         Fate.UNREADABLE, "taken", "LZMA"),
    Case("bundle-of-a-million", "half a gigabyte for the list of an archive", "a list has a bound", "unreadable",
         lambda: packed(member("odd/x.zip"), content=_listing(40_000)), Fate.UNREADABLE, "taken", "its list of files"),
]  # fmt: skip


def _only(info: zipfile.ZipInfo) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, ODD)
    return file.getvalue()


def _listing(count: int) -> bytes:
    """An archive of so many empty files."""
    one = zipfile.ZipInfo("x.ipynb")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(one, b"")
    content = file.getvalue()
    begin, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    listed = content[begin:end] * count
    counts = min(count, 0xFFFF).to_bytes(2, "little") * 2
    return (
        content[:begin]
        + listed
        + content[end : end + 8]
        + counts
        + len(listed).to_bytes(4, "little")
        + content[end + 16 :]
    )


def plain(content: bytes) -> bytes:
    """What a plain reader takes from the second member."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(archive.infolist()[1])


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")


def collected(course: Course, content: bytes) -> Collection:
    return collect(put(course.root / "source" / "class.zip", content), course, WEEK)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_member_is_a_fate_of_its_own(course: Course, case: Case) -> None:
    content = case.content()
    if isinstance(case.off, str):
        assert plain(content)
    else:
        with pytest.raises(case.off):
            plain(content)
    done = collected(course, content)
    there = handed_in(course)
    others = {name: found for name, found in there.items() if name in ("ann", "zoe")}
    shares = case.name == "shared-bytes"
    assert others == ({"zoe": ZOE} if shares else {"ann": ANN, "zoe": ZOE})
    assert len(done.fates) == 3
    spoiled = [one for one in done.fates if one.fate is not Fate.WORK and (not shares or one.file.startswith("odd"))]
    (odd,) = spoiled or [one for one in done.fates if one.learner not in ("ann", "zoe")]
    assert odd.fate is case.fate
    assert case.says in odd.why
    assert (len(there) == 3) == (case.fate is Fate.WORK)
    if odd.fate is Fate.UNREADABLE:
        assert odd.learner in ("odd", "bob")
        assert next(one.notes for one in done.learners if one.learner == odd.learner and not one.file)


def test_it_was_the_exception_that_ended_the_run(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every method allowed, an exception of a class that nobody thought of is still the member's own."""
    monkeypatch.setattr(archives, "METHODS", (0, 8, 12, 14))
    done = collected(course, packed(member(method=zipfile.ZIP_LZMA), flip(20)))
    assert set(handed_in(course)) == {"ann", "zoe"}
    assert "LZMAError" in next(one.why for one in done.fates if one.fate is Fate.UNREADABLE)


def test_a_bomb_of_another_method_would_have_unpacked_at_once() -> None:
    packed_bytes = bz2.compress(bytes(45_000_000))
    assert len(packed_bytes) < 100
    assert len(bz2.BZ2Decompressor().decompress(packed_bytes)) == 45_000_000


def test_long_names_are_looked_at_in_a_part_alone(course: Course) -> None:
    """98 of them were not done after minutes: a quadratic pattern went through each."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(98):
            archive.writestr(member(f"{number:02d}" + "_1" * 30_000 + ".ipynb"), ODD)
        archive.writestr(member("ann/attention.ipynb"), ANN)
    done = collected(course, file.getvalue())
    assert done.counts == {Fate.REFUSED: 98, Fate.WORK: 1}
    assert all(len(one.file) <= LONGEST_NAME for one in done.fates)


def test_two_members_of_one_name_are_two_attempts(course: Course) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member("odd/attention.ipynb"), ODD)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(member("odd/attention.ipynb"), ANN)
    done = collected(course, file.getvalue())
    assert sorted(one.fate for one in done.fates) == [Fate.OLDER, Fate.WORK]
    assert "2 different files of the same time" in done.learners[0].notes[0]


# folders


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no names that are not text")
def test_folders_whose_names_are_no_text_are_told_apart(course: Course) -> None:
    source = course.root / "source"
    for name, content in ((b"Zo\xeb", ODD), (b"Zo\xe9", ZOE), (b"ann", ANN)):
        put(source / os.fsdecode(name) / "attention.ipynb", content)
    done = collect(source, course, WEEK)
    assert handed_in(course) == {"Zo_xeb": ODD, "Zo_xe9": ZOE, "ann": ANN}
    assert [one.file for one in done.fates] == [
        "Zo\\xe9/attention.ipynb",
        "Zo\\xeb/attention.ipynb",
        "ann/attention.ipynb",
    ]


NOT_WORK = {
    "attention.ipynb.json": "not a notebook: .json",
    "attention.ipynb.txt": "not a notebook: .txt",
    "attention.py": "not a notebook: .py",
    "answer.pdf": "not a notebook: .pdf",
    "attention": "not a notebook: no ending",
    "attention.rar": "not a notebook: .rar",
    ".DS_Store": "hidden",
}


def test_every_entry_has_a_fate_and_who_sent_nothing_readable_is_listed(course: Course) -> None:
    source = course.root / "source"
    put(source / "ann" / "attention.ipynb", ANN)
    for number, name in enumerate(NOT_WORK):
        put(source / f"learner {number}" / name, b"something")
    put(source / "roster.txt", b"a list")
    put(source / "empty" / "attention.ipynb", b"")
    put(source / "zoe" / "week02_vision_transformer" / "vision_transformer.ipynb", ZOE)
    put(source / "zoe" / "week01_attention.zip", bundle(ZOE)[:-40], FRIDAY)
    put(source / "/".join("deep" for _ in range(12)) / "attention.ipynb", ODD)
    done = collect(source, course, WEEK)
    found = {one.file: one for one in done.fates}
    assert len(found) == len(done.fates) == len(NOT_WORK) + 6 == sum(done.counts.values())
    for number, (name, why) in enumerate(NOT_WORK.items()):
        one = found[f"learner {number}/{name}"]
        assert (one.fate, one.why) == (Fate.BESIDE, why)
        listed = [line for line in done.learners if line.learner == f"learner {number}"]
        assert [line.notes for line in listed] == ([[f"{name}: {why}"]] if why != "hidden" else [])
    assert found["roster.txt"].learner == ""
    assert found["empty/attention.ipynb"].fate is Fate.WORK
    assert done.other_weeks == 1
    assert {one.learner: one.file for one in done.learners}["zoe"] == ""
    assert [one.fate for one in done.fates if one.file.startswith("deep")] == [Fate.REFUSED]


@pytest.mark.parametrize(
    ("paths", "people"),
    [
        (["week1/ann/attention.ipynb", "week1/bo/attention.ipynb", "cleo.ipynb"], {"ann", "bo", "cleo"}),
        (["class/ann/attention.ipynb", "class/bo/attention.ipynb"], {"ann", "bo"}),
        (["class/leeann_1_2_attention.ipynb", "class/stonebob_3_4_attention.ipynb"], {"leeann", "stonebob"}),
        (["hw/ann/attention.ipynb", "hw/bo/attention.ipynb", "cleo.ipynb"], {"cleo"}),
        (["ann/v1/attention.ipynb", "ann/attention.ipynb", "bo.ipynb"], {"ann", "bo"}),
    ],
)
def test_what_a_folder_around_others_is_is_asked_and_not_guessed(
    course: Course, paths: list[str], people: set[str]
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in paths:
            archive.writestr(member(path), notebook(path))
    done = collected(course, file.getvalue())
    assert set(handed_in(course)) == people
    lost = [one for one in done.fates if one.fate is Fate.REFUSED]
    assert len(lost) == len(paths) - len([one for one in done.fates if one.fate in (Fate.WORK, Fate.OLDER)])
    assert all("collect what lies inside" in one.why for one in lost)


def test_a_failure_of_the_collector_at_one_learner_is_that_one_s(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_handed_in

    def failing(entry: Entry, claim: Claim, week: str, look: Looker) -> Found:
        if claim.learner == "bob":
            raise LookupError("nobody thought of it")
        return opened(entry, claim, week, look)

    monkeypatch.setattr(picking, "open_handed_in", failing)
    source = course.root / "source"
    for name in ("ann", "bob", "zoe"):
        put(source / f"{name}.ipynb", notebook(name))
    done = collect(source, course, WEEK)
    assert set(handed_in(course)) == {"ann", "zoe"}
    (lost,) = [one for one in done.fates if one.fate is Fate.UNREADABLE]
    assert (lost.learner, lost.why) == ("bob", "the collector failed (LookupError)")


def test_where_all_is_refused_it_is_said_of_each(course: Course) -> None:
    put(course.root / "source" / "x.zip", packed(member())[:-40])
    with pytest.raises(WorkbookError, match="is not a zip archive"):
        collect(course.root / "source" / "x.zip", course, WEEK)
    done = collect(course.root / "source", course, WEEK)
    assert done.counts == {Fate.UNREADABLE: 1}
