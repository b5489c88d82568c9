"""List and read what lies in a folder from outside, or in an archive (`archives`), without trusting any of it.

Every file is listed, also one that will not be read: each has a fate. A path is a text to be looked at, and bytes are
read file by file, up to a limit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.texts import readable
from ..repair.damage import DamagedError
from ..repair.repair import MAX_BYTES, read_handed_in
from .archives import in_archive
from .contents import looked_into
from .entries import ARCHIVES, MAX_DEPTH, RECEIPT, Entry, Fate, hidden, named

MAX_ENTRIES = 20_000
"""More files than this are not a class."""


def entries(source: Path) -> list[Entry]:
    """The files of a folder, an archive, or one file, in the order of their paths; all of them.

    Raises
    ------
    WorkbookError
        when there is no such source, it is not an archive, or it holds more files than a class submits.
    """
    if source.is_dir():
        found = list(_in_folder(source))
    elif source.name.lower().endswith(ARCHIVES):
        try:
            found = in_archive(lambda: source, source.name, MAX_ENTRIES)
        except DamagedError as error:
            raise WorkbookError(f"{short(source)}: {error}", "download it once more") from None
        if _is_bundle(found):
            found = [_file(source, (source.name,))]
    elif source.is_file():
        found = [_file(source, (source.name,))]
    else:
        raise WorkbookError(f"{short(source)} is not there", "name a folder, a .zip, or `exchange`")
    return sorted(map(looked_into, found), key=lambda entry: entry.parts)


def _is_bundle(found: Sequence[Entry]) -> bool:
    """Whether an archive is what `workbook submit` makes, of one learner, and not a class."""
    work = [entry for entry in found if entry.is_work]
    return len(work) == 1 and any(entry.parts == (RECEIPT,) for entry in found)


def _in_folder(top: Path) -> Iterator[Entry]:
    """Everything below a folder; what is hidden or lies too deep is listed as one entry, whatever it holds."""
    count = 0
    for folder, folders, files in os.walk(top):
        where = Path(folder)
        parts = where.relative_to(top).parts
        closed = {name for name in folders if hidden(name) or len(parts) >= MAX_DEPTH or (where / name).is_symlink()}
        folders[:] = sorted(set(folders) - closed)
        for name in (*files, *sorted(closed)):
            count += 1
            if count > MAX_ENTRIES:
                raise WorkbookError(
                    f"{short(top)} holds more than {MAX_ENTRIES:,} files", "name the folder of one week"
                )
            yield named(_file(where / name, (*parts, name)))


def _file(path: Path, parts: tuple[str, ...]) -> Entry:
    def read() -> bytes:
        try:
            return read_handed_in(path)
        except OSError as error:
            raise DamagedError(f"the file cannot be read ({error.strerror or error})") from None

    told = tuple(readable(part) for part in parts)
    try:
        about = path.lstat()
    except OSError as error:
        start = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
        return Entry(told, start, str(error.strerror), read, Fate.UNREADABLE)
    fate, problem = _problem(about, parts)
    moment = datetime.fromtimestamp(about.st_mtime, UTC).replace(tzinfo=None)
    return Entry(told, moment, problem, read, fate)


def _problem(about: os.stat_result, parts: tuple[str, ...]) -> tuple[Fate, str]:
    """What becomes of a file that is not read, and why; ("work", "") for one that can be."""
    if any(map(hidden, parts)):
        return Fate.BESIDE, "hidden"
    if stat.S_ISDIR(about.st_mode):
        return Fate.REFUSED, f"more than {MAX_DEPTH} folders inside each other"
    if stat.S_ISLNK(about.st_mode):
        return Fate.REFUSED, "a link; submit the file itself"
    if not stat.S_ISREG(about.st_mode):
        return Fate.REFUSED, "not a regular file"
    if about.st_size > MAX_BYTES:
        size = f"{about.st_size / 2**20:.0f} MiB"
        return Fate.UNREADABLE, f"{size}; at most {MAX_BYTES // 2**20} are read"
    return Fate.WORK, ""
