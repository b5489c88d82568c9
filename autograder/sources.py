"""List and read what lies in a folder or an archive from outside, without trusting any of it.

Nothing is unpacked: a path in an archive is a text to be looked at, and bytes are read file by file, up to a limit.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .errors import WorkbookError, short
from .repair import MAX_BYTES, DamagedError, read_handed_in
from .texts import clean

MAX_ENTRIES = 20_000
"""More files than this are no class."""
MAX_DEPTH = 8
ENCRYPTED = 0x1
UTF8_NAME = 0x800
RECEIPT = "receipt.json"
"""What `workbook submit` puts beside a notebook."""
LEADS_OUT = "its path leads out of the archive"
SKIPPED = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Entry:
    """One file of a source.

    Attributes
    ----------
    parts : folders and name, from the top of the source; shown and matched, never used as a path.
    moment : when it was last changed, naive UTC.
    problem : why it is not read; "" where it can be.
    read : gives its bytes; raises `DamagedError` with a reason in one line.
    """

    parts: tuple[str, ...]
    moment: datetime
    problem: str
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def shown(self) -> str:
        return clean("/".join(self.parts), 200)


def entries(source: Path) -> list[Entry]:
    """The files of a folder, a zip archive, or one file, in the order of their paths; hidden ones are left out.

    Raises
    ------
    WorkbookError
        when there is no such source, it is no archive, or it holds more files than a class hands in.
    """
    if source.is_dir():
        found = list(_in_folder(source))
    elif source.suffix.lower() == ".zip":
        try:
            found = in_archive(read=lambda: source, name=source.name)
        except DamagedError as error:
            raise WorkbookError(f"{short(source)}: {error}", "download it once more") from None
        if any(entry.parts == (RECEIPT,) for entry in found):  # one learner's bundle, not a class
            found = [_file(source, (source.name,))]
    elif source.is_file():
        found = [_file(source, (source.name,))]
    else:
        raise WorkbookError(f"{short(source)} is not there", "name a folder, a .zip, or `exchange`")
    return sorted(found, key=lambda entry: entry.parts)


def _in_folder(top: Path) -> Iterator[Entry]:
    count = 0
    for folder, folders, files in os.walk(top):
        where = Path(folder)
        parts = where.relative_to(top).parts
        folders[:] = sorted(name for name in folders if not _hidden(name)) if len(parts) < MAX_DEPTH else []
        for name in [*files, *(name for name in folders if (where / name).is_symlink())]:
            if _hidden(name):
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise WorkbookError(
                    f"{short(top)} holds more than {MAX_ENTRIES:,} files", "name the folder of one week"
                )
            yield _file(where / name, (*parts, name))


def _file(path: Path, parts: tuple[str, ...]) -> Entry:
    def read() -> bytes:
        try:
            return read_handed_in(path)
        except OSError as error:
            raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None

    try:
        about = path.lstat()
    except OSError as error:
        return Entry(parts, datetime.fromtimestamp(0, UTC).replace(tzinfo=None), str(error.strerror), read)
    problem = ""
    if stat.S_ISLNK(about.st_mode):
        problem = "a link; hand in the file itself"
    elif not stat.S_ISREG(about.st_mode):
        problem = "no plain file"
    elif about.st_size > MAX_BYTES:
        problem = f"{about.st_size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} are read"
    moment = datetime.fromtimestamp(about.st_mtime, UTC).replace(tzinfo=None)
    return Entry(tuple(_readable(part) for part in parts), moment, problem, read)


def _readable(name: str) -> str:
    """A file name that is no valid text, with the odd bytes replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name in SKIPPED


def in_archive(read: Callable[[], Path | bytes], name: str, most: int = MAX_ENTRIES) -> list[Entry]:
    """The files of a zip archive.

    Parameters
    ----------
    read : gives the archive: its path, or its bytes.

    Raises
    ------
    DamagedError
        when it is no zip archive, or holds more than `most` files.
    """
    content = read()
    try:
        archive = zipfile.ZipFile(content if isinstance(content, Path) else io.BytesIO(content))
        found = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise DamagedError(f"{clean(name, 100)} is no zip archive ({clean(error, 80)})") from None
    if len(found) > most:
        raise DamagedError(f"{clean(name, 100)} holds {len(found):,} files; at most {most:,} are looked at")
    return [_member(archive, info) for info in found if not info.is_dir() and not any(map(_hidden, _parts(info)))]


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Folders and name; both kinds of slashes part them. Old programs write UTF-8 without saying so."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", ".")) or ("unnamed",)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    def content() -> bytes:
        try:
            with archive.open(info) as file:
                found = file.read(MAX_BYTES + 1)  # whatever size the archive claims
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, ValueError) as error:
            raise DamagedError(f"cannot be unpacked ({clean(error, 80) or type(error).__name__})") from None
        if len(found) > MAX_BYTES:
            raise DamagedError(f"unpacks to more than {MAX_BYTES // 2**20} MiB")
        return found

    parts = _parts(info)
    problem = ""
    if stat.S_ISLNK(info.external_attr >> 16):
        problem = "a link; hand in the file itself"
    elif ".." in parts or info.filename.startswith(("/", "\\")) or ":" in parts[0][1:2]:
        problem = LEADS_OUT
    elif info.flag_bits & ENCRYPTED:
        problem = "locked with a password"
    elif info.file_size > MAX_BYTES:
        problem = f"unpacks to {info.file_size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} are read"
    try:
        moment = datetime(*info.date_time).astimezone(UTC).replace(tzinfo=None)  # archives keep local time
    except (ValueError, OverflowError, OSError):
        moment = datetime(1980, 1, 1)
    return Entry(parts, moment, problem, content)
