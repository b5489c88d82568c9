"""List and read what lies in a zip archive from outside, or a tar archive (`tars`). Nothing is unpacked into files.

Each member is a fate of its own: whatever is wrong with one is said of that one, and the others are read.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..core.texts import clean
from ..repair.damage import DamagedError
from ..repair.repair import MAX_BYTES
from .entries import Entry, Fate, hidden, named
from .tars import in_tar
from .zip_names import read_name

ENCRYPTED = 0x1
UTF8_NAME = 0x800
LEADS_OUT = "its path leads out of the archive"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members may be packed: what every system packs with, and what unpacks piece by piece. A few bytes packed with
bzip2 or LZMA can only be unpacked into gigabytes at once."""
OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}
MAX_LISTED_BYTES = 1_000
"""Of an archive's list, for each file that it may hold; a path is rarely longer than 200."""
END = struct.Struct("<4s4H2LH")
LISTED = struct.Struct("<4s4B4HL2L5H2L")
"""The end of an archive and an entry of its list (PKWARE's APPNOTE 4.3.16 and 4.3.12)."""


def in_archive(read: Callable[[], Path | bytes], name: str, most: int) -> list[Entry]:
    """The files of a zip or tar archive.

    Parameters
    ----------
    read : gives the archive: its path, or its bytes.

    Raises
    ------
    DamagedError
        when it is not an archive of that kind, or holds more than `most` files.
    """
    if not name.lower().endswith(".zip"):
        return in_tar(read, name, most)
    content = read()
    try:
        file = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
        archive = zipfile.ZipFile(_readable(file, most))
        found = archive.infolist()
    except DamagedError:
        raise
    except Exception as error:  # of a library on bytes from anywhere: there is no list of what it raises
        why = clean(error, 80) or type(error).__name__
        raise DamagedError(f"{clean(name, 100)} is not a zip archive ({why})") from None
    if len(found) > most:
        raise DamagedError(f"{clean(name, 100)} holds {len(found):,} files; at most {most:,} are looked at")
    shared = _overlapping(found)
    return [_member(archive, info, info.header_offset in shared) for info in found if not info.is_dir()]


def _readable(file: BinaryIO, most: int) -> IO[bytes]:
    """The archive, with a list that `zipfile` can read.

    A list is read as a whole, so its length is bounded. A name in it that says it is UTF-8 and is not would end the
    reading of all others: it is read as a name of the old kind.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END.size - 0xFFFF))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < END.size:
        return file  # no archive, says `zipfile`
    listed = END.unpack_from(tail, place)[5]
    begin = size - len(tail) + place - listed
    if listed == 0xFFFFFFFF or begin < 0:  # more than 4 GB
        return file
    if listed > most * MAX_LISTED_BYTES:
        raise DamagedError(f"its list of files has {listed / 2**20:.0f} MiB; that is not a class")
    file.seek(begin)
    content = file.read(listed)
    shift = begin - END.unpack_from(tail, place)[6]
    changes: dict[int, bytes] = {}
    offset = 0
    while offset + LISTED.size <= len(content) and content[offset : offset + 4] == b"PK\1\2":
        fields = LISTED.unpack_from(content, offset)
        flags, lengths = fields[5], fields[12:15]
        told = content[offset + LISTED.size :][: lengths[0]]
        if flags & UTF8_NAME and told.decode("utf-8", "replace").encode() != told:
            without = struct.pack("<H", flags & ~UTF8_NAME)
            changes |= {begin + offset + 8: without, shift + fields[-1] + 6: without}
        offset += LISTED.size + sum(lengths)
    return cast(IO[bytes], _Changed(file, changes)) if changes else file


class _Changed(io.RawIOBase):
    """A file that reads as if these bytes stood at these places."""

    def __init__(self, file: BinaryIO, changes: Mapping[int, bytes]) -> None:
        self._file, self._changes, self._places = file, changes, sorted(changes)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        place = self._file.tell()
        found = bytearray(self._file.read(len(buffer)))
        first = bisect_left(self._places, place - 1)  # a change is of two bytes
        for begin in self._places[first : bisect_left(self._places, place + len(found))]:
            for number, byte in enumerate(self._changes[begin], begin - place):
                if 0 <= number < len(found):
                    found[number] = byte
        buffer[: len(found)] = found
        return len(found)


def _overlapping(found: Sequence[zipfile.ZipInfo]) -> set[int]:
    """Where members begin that share bytes with another: so few bytes unpack to much more than they hold."""
    ordered = sorted(found, key=lambda info: info.header_offset)
    shared: set[int] = set()
    for before, after in pairwise(ordered):
        if (
            before.header_offset + before.compress_size > after.header_offset
            or before.header_offset == after.header_offset
        ):
            shared |= {before.header_offset, after.header_offset}
    return shared


def _parts(info: zipfile.ZipInfo) -> tuple[tuple[str, ...], str]:
    """Folders and name, and what is odd about them; both kinds of slashes part them."""
    name, note = info.filename, ""
    if not info.flag_bits & UTF8_NAME:
        raw = info.orig_filename.encode("cp437")
        name, note = read_name(raw, info.extra)
        name = name.partition("\0")[0]
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", ".")) or ("unnamed",)
    return parts, note


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, overlaps: bool) -> Entry:
    def content() -> bytes:
        try:
            with archive.open(info) as file:
                found = file.read(MAX_BYTES + 1)  # whatever size the archive claims
        except Exception as error:  # of a library on bytes from anywhere: it is this member's alone
            told = clean(error, 80)
            kind = type(error).__name__
            raise DamagedError(f"cannot be unpacked ({f'{kind}: {told}' if told else kind})") from None
        if len(found) > MAX_BYTES:
            raise DamagedError(f"unpacks to more than {MAX_BYTES // 2**20} MiB")
        return found

    parts, note = _parts(info)
    try:
        moment = datetime(*info.date_time).astimezone(UTC).replace(tzinfo=None)  # archives keep local time
    except (ValueError, OverflowError, OSError):
        moment = datetime(1980, 1, 1)
    fate, problem = _problem(info, parts, overlaps)
    return named(Entry(parts, moment, problem, content, fate, problem != LEADS_OUT, note))


def _problem(info: zipfile.ZipInfo, parts: tuple[str, ...], overlaps: bool) -> tuple[Fate, str]:
    """What becomes of a member that is not read, and why; ("work", "") for one that can be."""
    if any(map(hidden, parts)):
        return Fate.BESIDE, "hidden"
    if stat.S_ISLNK(info.external_attr >> 16):
        return Fate.REFUSED, "a link; submit the file itself"
    if ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0][1:2]:
        return Fate.REFUSED, LEADS_OUT
    if "\0" in info.orig_filename:
        return Fate.REFUSED, "its name holds a character that no name has"
    if overlaps:
        return Fate.REFUSED, "it shares its bytes with another file of the archive"
    if info.flag_bits & ENCRYPTED:
        return Fate.UNREADABLE, "locked with a password"
    if info.compress_type not in METHODS:
        method = OTHER_METHODS.get(info.compress_type, f"method {info.compress_type}")
        return Fate.UNREADABLE, f"packed with {method}, which is not read here: pack it as an ordinary zip"
    if info.file_size > MAX_BYTES:
        size = f"{info.file_size / 2**20:.0f} MiB"
        return Fate.UNREADABLE, f"unpacks to {size}; at most {MAX_BYTES // 2**20} are read"
    return Fate.WORK, ""
