"""List and read what lies in a tar archive from outside, packed with gzip or not. Nothing is unpacked into files.

Whatever is packed is unpacked into a nameless file first, up to a limit; members are read from there one by one.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..core.texts import clean, readable
from ..repair.damage import DamagedError
from ..repair.repair import MAX_BYTES
from .entries import Entry, Fate, hidden, named

LEADS_OUT = "its path leads out of the archive"
PIECE = 2**20
MAX_UNPACKED = 2**31
"""Of the archive of a class. A bundle may hold no more than two files of the largest size."""
READS_A_FILE = 100
"""A list that takes more reads for each of its files goes round in circles."""


def in_tar(read: Callable[[], Path | bytes], name: str, most: int) -> list[Entry]:
    """The files of a tar archive.

    Raises
    ------
    DamagedError
        when it is not a tar archive, unpacks to too much, or holds more than `most` files.
    """
    content = read()
    limit = MAX_UNPACKED if isinstance(content, Path) else 2 * MAX_BYTES
    source: BinaryIO = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
    try:
        with source:
            file = _Careful(_unpacked(source, name, limit), READS_A_FILE * (most + 10))
        archive = tarfile.open(fileobj=cast(IO[bytes], file), mode="r:", errors="surrogateescape")  # noqa: SIM115
    except DamagedError:
        raise
    except Exception as error:  # of a library on bytes from anywhere: there is no list of what it raises
        raise DamagedError(f"{clean(name, 100)} is not a tar archive ({_said(error)})") from None
    found, lost = _listed(archive, name, most)
    file.left = -1
    entries = [_member(archive, info) for info in found if not info.isdir()]
    return [*entries, _rest(name, lost)] if lost else entries


def _listed(archive: tarfile.TarFile, name: str, most: int) -> tuple[list[tarfile.TarInfo], str]:
    """The members, and why the list goes no further; "" where it ends as it should."""
    found: list[tarfile.TarInfo] = []
    try:
        for info in archive:
            found.append(info)
            if len(found) > most:
                break
    except Exception as error:  # as above
        if not found:
            raise DamagedError(f"{clean(name, 100)} is not a tar archive ({_said(error)})") from None
        return found, _said(error)
    if len(found) > most:
        raise DamagedError(f"{clean(name, 100)} holds more than {most:,} files")
    return found, ""


def _rest(name: str, why: str) -> Entry:
    """What follows in an archive that is damaged further on: nobody's, and told."""
    problem = f"the archive is damaged here, and what follows is lost ({why})"
    return Entry((f"the rest of {name}",), datetime(1980, 1, 1), problem, lambda: b"", Fate.UNREADABLE, told=False)


def _said(error: Exception) -> str:
    return clean(error, 80) or type(error).__name__


def _unpacked(source: BinaryIO, name: str, limit: int) -> IO[bytes]:
    """The archive without gzip around it, in a file without a name; of a damaged one what comes before the damage."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its entries
    size = 0
    try:
        for piece in _plain(source):
            size += len(piece)
            if size > limit:
                raise DamagedError(f"{clean(name, 100)} unpacks to more than {limit // 2**20:,} MiB")
            out.write(piece)
    except zlib.error as error:
        if size < tarfile.BLOCKSIZE:
            raise DamagedError(f"{clean(name, 100)} cannot be unpacked ({clean(error, 80)})") from None
    out.seek(0)
    return out


def _plain(source: BinaryIO) -> Iterator[bytes]:
    """The bytes of an archive, piece by piece, unpacked where they begin as gzip does."""
    packed = source.read(2) == b"\x1f\x8b"
    source.seek(0)
    reader = zlib.decompressobj(wbits=31)
    while given := source.read(PIECE):
        while packed and given:
            yield reader.decompress(given, PIECE)
            given = reader.unconsumed_tail or reader.unused_data
            if reader.eof:  # gzip may be written in several parts, one behind the other
                reader = zlib.decompressobj(wbits=31)
        if not packed:
            yield given


class _Careful(io.RawIOBase):
    """A file that gives no more at once than any header needs, and only so often while the list is read."""

    def __init__(self, file: IO[bytes], reads: int) -> None:
        self._file, self.left = file, reads

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> Any:
        if size < 0 or size > 2 * PIECE or self.left == 0:
            raise DamagedError("its list of files cannot be read")
        self.left -= self.left > 0
        return self._file.read(size)


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Entry:
    def content() -> bytes:
        try:
            file = archive.extractfile(info)
            pieces: list[bytes] = []
            while file and sum(map(len, pieces)) <= MAX_BYTES and (piece := file.read(PIECE)):
                pieces.append(piece)
        except Exception as error:  # of a library on bytes from anywhere: it is this member's alone
            raise DamagedError(f"cannot be unpacked ({clean(error, 80) or type(error).__name__})") from None
        found = b"".join(pieces)
        if len(found) > MAX_BYTES:
            raise DamagedError(f"unpacks to more than {MAX_BYTES // 2**20} MiB")
        if len(found) < info.size:
            raise DamagedError("cannot be unpacked (it ends too soon)")
        return found

    split = [part for part in info.name.replace("\\", "/").split("/") if part not in ("", ".")]
    parts = tuple(map(readable, split)) or ("unnamed",)
    try:
        moment = datetime.fromtimestamp(info.mtime, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        moment = datetime(1980, 1, 1)
    fate, problem = _problem(info, parts)
    note = "its name is garbled (an old encoding)" if list(parts) != (split or ["unnamed"]) else ""
    return named(Entry(parts, moment, problem, content, fate, problem != LEADS_OUT, note))


def _problem(info: tarfile.TarInfo, parts: tuple[str, ...]) -> tuple[Fate, str]:
    """What becomes of a member that is not read, and why; ("work", "") for one that can be."""
    if any(map(hidden, parts)):
        return Fate.BESIDE, "hidden"
    if info.issym() or info.islnk():
        return Fate.REFUSED, "a link; submit the file itself"
    if ".." in parts or info.name.startswith(("/", "\\")) or ":" in parts[0][1:2]:
        return Fate.REFUSED, LEADS_OUT
    if not info.isreg():
        return Fate.REFUSED, "not a regular file"
    if info.size < 0 or info.size > MAX_BYTES:
        return Fate.UNREADABLE, f"unpacks to {info.size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} are read"
    return Fate.WORK, ""
