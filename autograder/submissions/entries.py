"""What a source holds: one file of it, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ..core.texts import clean

MAX_DEPTH = 8
LONGEST_NAME = 255
"""What file systems allow; names in archives may be longer, and are cut before anything looks at them."""
RECEIPT = "receipt.json"
"""What `workbook submit` puts beside a notebook."""
NOTEBOOK = ".ipynb"
ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
OTHER_ENDINGS = (".ipynb.json", ".ipynb.txt", ".json", ".txt", "")
"""What browsers and mail programs make of a notebook's ending; such a file is looked into."""
ENDINGS = re.compile(r"(?:\.(?:ipynb|json|txt|zip|tar|gz|tgz))+$", re.IGNORECASE)
SKIPPED = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Fate(StrEnum):
    """What becomes of a file in a source."""

    WORK = "work"
    """It counts: it is what is graded, unless a newer one was collected before."""
    OLDER = "older attempt"
    BESIDE = "beside the point"
    """No submission of the week."""
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    """It could be read, but not safely, or nobody can say whose it is."""


@dataclass(frozen=True)
class Entry:
    """One file of a source.

    Attributes
    ----------
    parts : folders and name, from the top of the source; shown and matched, never used as a path.
    moment : when it was last changed, naive UTC.
    problem : why it is not read; "" where it can be.
    read : gives its bytes; raises `DamagedError` with a reason in one line.
    fate : what becomes of one that is not read.
    told : whether its path can be believed as far as it names a person.
    note : what is odd about its name.
    is_notebook : it holds a notebook, whatever it is called.
    """

    parts: tuple[str, ...]
    moment: datetime
    problem: str
    read: Callable[[], bytes]
    fate: Fate = Fate.WORK
    told: bool = True
    note: str = ""
    is_notebook: bool = False

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def is_work(self) -> bool:
        """Whether it can be a submission, by its name or by what it holds."""
        return self.is_notebook or self.name.lower().endswith((NOTEBOOK, *ARCHIVES))

    @property
    def is_archive(self) -> bool:
        return self.name.lower().endswith(ARCHIVES)

    @property
    def shown(self) -> str:
        return clean("/".join(self.parts), 200)


def named(entry: Entry) -> Entry:
    """The entry with names that are cut to what a name can be; one that is longer, or lies too deep, is refused."""
    parts = tuple(part[:LONGEST_NAME] for part in (*entry.parts[:MAX_DEPTH], entry.name)[: len(entry.parts)])
    if entry.problem or parts == entry.parts:
        return replace(entry, parts=parts)
    why = f"a name longer than {LONGEST_NAME} characters, or more than {MAX_DEPTH} folders inside each other"
    return replace(entry, parts=parts, problem=why, fate=Fate.REFUSED)


def hidden(name: str) -> bool:
    """Whether a system, an editor or an archive program put the file there, and no learner."""
    return (name.startswith(".") and name != "..") or name in SKIPPED


def stem(name: str) -> str:
    """The name of a file without what says which kind it is: `attention.ipynb.txt` -> `attention`."""
    return ENDINGS.sub("", name)


def may_hold_a_notebook(name: str) -> bool:
    """Whether a file that is not called a notebook may be one."""
    return "." not in name or name.lower().endswith(tuple(filter(None, OTHER_ENDINGS)))
