"""Tar archives of strangers: each member is a fate of its own, and no archive takes more than it may."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from autograder.repair.damage import DamagedError
from autograder.submissions import tars
from autograder.submissions.entries import Entry, Fate
from autograder.submissions.tars import in_tar

CONTENT = b"an answer"


def info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = len(CONTENT)) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def packed(*members: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT, encoding: str = "utf-8") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind, encoding=encoding) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(CONTENT.ljust(one.size, b"0")) if one.isreg() else None)
    return out.getvalue()


def listed(content: bytes, most: int = 10) -> list[Entry]:
    return in_tar(lambda: content, "x.tar.gz", most)


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_members_are_read_with_their_paths_and_times(pack: Callable[[bytes], bytes]) -> None:
    one = info("./ann/attention.ipynb")
    one.mtime = 1_772_453_101
    (entry,) = listed(pack(packed(one)))
    assert (entry.parts, entry.read(), entry.fate) == (("ann", "attention.ipynb"), CONTENT, Fate.WORK)
    assert f"{entry.moment:%Y-%m-%d %H:%M:%S}" == "2026-03-02 12:05:01"


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (info("a.ipynb", tarfile.SYMTYPE, "/etc/passwd", 0), "a link"),
        (info("a.ipynb", tarfile.LNKTYPE, "bo.ipynb", 0), "a link"),
        (info("a.ipynb", tarfile.FIFOTYPE, size=0), "not a regular file"),
        (info("a.ipynb", tarfile.CHRTYPE, size=0), "not a regular file"),
        (info("../../a.ipynb"), "leads out"),
        (info("/etc/a.ipynb"), "leads out"),
        (info(r"C:\a.ipynb"), "leads out"),
        (info("x/" * 40 + "a.ipynb"), "more than 8 folders"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.name[:12],
)
def test_what_is_no_file_of_its_own_is_refused_and_the_next_is_read(member: tarfile.TarInfo, why: str) -> None:
    odd, bo = listed(packed(member, info("bo.ipynb")))
    assert (odd.fate, why in odd.problem) == (Fate.REFUSED, True)
    assert bo.read() == CONTENT


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MAX_BYTES", 100_000)
    bomb = gzip.compress(packed(info("a.ipynb", size=1_000_000)))
    assert len(bomb) < 10_000
    with pytest.raises(DamagedError, match="unpacks to more than"):
        listed(bomb)


def test_one_that_is_too_large_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MAX_BYTES", 100_000)
    large, small = listed(packed(info("a.ipynb", size=120_000), info("b.ipynb")))
    assert (large.fate, large.problem) == (Fate.UNREADABLE, "unpacks to 0 MiB; at most 0 are read")
    assert small.read() == CONTENT


def test_too_many_files_are_no_bundle() -> None:
    with pytest.raises(DamagedError, match="holds more than 10 files"):
        listed(packed(*(info(f"{number}.ipynb") for number in range(11))))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"\x1f\x8b\x08", gzip.compress(b"no archive at all" * 100)],
    ids=["empty", "words", "a gzip mark", "gzip of words"],
)
def test_what_is_no_archive_says_so(content: bytes) -> None:
    with pytest.raises(DamagedError, match=r"is not a tar archive|cannot be unpacked"):
        listed(content)


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_of_one_that_ends_too_soon_the_beginning_is_read_and_the_rest_told(pack: Callable[[bytes], bytes]) -> None:
    random = random_bytes(4_000)
    whole = pack(packed(info("a.ipynb"), info("b.ipynb", size=4_000)).replace(CONTENT.ljust(4_000, b"0"), random))
    first, second, rest = listed(whole[:-2_500] if pack is gzip.compress else whole[:3_000])
    assert first.read() == CONTENT
    with pytest.raises(DamagedError, match="cannot be unpacked"):
        second.read()
    assert (rest.fate, rest.told) == (Fate.UNREADABLE, False)
    assert "what follows is lost" in rest.problem


def random_bytes(count: int) -> bytes:
    """Bytes that do not pack."""
    return Random(0).randbytes(count)


def _header(name: str, kind: bytes, size: bytes) -> bytes:
    """A header whose field of the size holds these bytes, with the checksum that fits."""
    made = bytearray(info(name, kind).tobuf(tarfile.USTAR_FORMAT))
    made[124:136] = size
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made[:512])


@pytest.mark.parametrize("size", [b"%011o\0" % (2**31), b"\xff" * 11 + b"\x00"], ids=["gigabytes", "backwards"])
@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE], ids=["pax", "long", "file"]
)
def test_a_size_that_lies_ends_the_list_or_the_member(kind: bytes, size: bytes) -> None:
    """A header of two gigabytes would be read at once; one that leads backwards would be read for ever."""
    content = packed(info("a.ipynb"))[:1024] + _header("x", kind, size) + packed(info("b.ipynb"))
    try:
        entries = listed(content)
    except DamagedError:
        return
    for one in entries:
        if not one.problem and one.name == "x":
            with pytest.raises(DamagedError):
                one.read()


def test_a_name_that_is_no_utf_8_is_shown_as_garbled() -> None:
    (entry,) = listed(packed(info("Zoë/attention.ipynb"), kind=tarfile.USTAR_FORMAT, encoding="latin-1"))
    assert entry.parts[0] == r"Zo\xeb"
    assert "garbled" in entry.note


def test_the_archive_of_a_class_may_be_larger_than_a_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tars, "MAX_BYTES", 100_000)
    path = tmp_path / "class.tar.gz"
    path.write_bytes(gzip.compress(packed(*(info(f"{number}.ipynb", size=90_000) for number in range(5)))))
    assert len(in_tar(lambda: path, path.name, 10)) == 5
