"""Find the notebook in a file that was submitted: the file itself, or the bundle that `workbook submit` makes.

A bundle is a zip archive with `TOPIC.ipynb` and `receipt.json`: `{"format": 1, "week", "notebook", "sha256", "version",
"content", "created", "learner"}`, where version and content are those of the release it was made from. A receipt that
does not fit is noted; the work is taken all the same. Nothing signs a receipt, since the learner would hold the key: it
proves neither who made it nor when.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from ..core.texts import clean
from ..repair.confined import Confined, ConfinedError
from ..repair.damage import DamagedError
from ..repair.reading import glance
from .archives import in_archive
from .entries import NOTEBOOK, RECEIPT, Entry, Fate, may_hold_a_notebook
from .file_names import is_topic
from .identify import Claim
from .layouts import Layout, fits

RECEIPT_FORMAT = 1
MOST_IN_BUNDLE = 100
MAX_RECEIPT = 10_000


class Worth(IntEnum):
    """What a file holds; of several attempts the newest of the highest worth counts."""

    UNREADABLE = 0
    STARTER = 1
    """The notebook as the course gave it, also where it was opened, run and saved."""
    WORK = 2


@dataclass(frozen=True)
class Found:
    """A notebook that was submitted: its bytes, what was noticed, whom a receipt beside it names, the week it names."""

    content: bytes
    notes: tuple[str, ...] = ()
    receipt: str = ""
    worth: Worth = Worth.WORK
    week: str = ""


class Looker:
    """Looks into notebooks of one week, in a process of its own: untrusted JSON may ask for much memory.

    Parameters
    ----------
    starter : the week's notebook as the course gave it; b"" where there is none.
    """

    def __init__(self, starter: bytes = b"") -> None:
        self._process = Confined(glance)
        self._starter, self._digest = starter, ""
        self._seen: tuple[bytes, tuple[str, str]] | None = None

    def __enter__(self) -> Looker:
        self._process.__enter__()
        self._digest = self.look(self._starter)[1] if self._starter else ""
        return self

    def __exit__(self, *error: Any) -> None:
        self._process.__exit__(*error)

    def look(self, content: bytes) -> tuple[str, str]:
        """The week that a file says it is of, and the digest of its cells; "" for what it does not have."""
        if self._seen is None or self._seen[0] is not content:  # the same file is asked about twice in a row
            told = self._process.ask(content)
            self._seen = content, (str(told["week"]), str(told["cells"]))
        return self._seen[1]

    def worth(self, content: bytes) -> Worth:
        """What a file is worth as an attempt. Where the process fails, nothing is said against the file."""
        if content == self._starter:
            return Worth.STARTER
        try:
            cells = self.look(content)[1]
        except DamagedError:
            return Worth.UNREADABLE
        except ConfinedError:
            return Worth.WORK
        if not cells:
            return Worth.UNREADABLE
        return Worth.STARTER if cells == self._digest else Worth.WORK


def open_handed_in(entry: Entry, claim: Claim, week: str, look: Looker) -> Found:
    """The notebook in a file or a bundle.

    Raises
    ------
    DamagedError
        when there is none, or it cannot be read.
    """
    content, notes, receipt = entry.read(), list[str](), ""
    if entry.is_archive:
        content, notes, receipt = _unbundle(content, entry.name, week, look, alone=claim.layout is Layout.LOOSE)
    elif not entry.name.lower().endswith(NOTEBOOK):
        notes.append(f"a notebook that was called {clean(claim.file, 60)}")
    elif not is_topic(claim.file, week.split("_", 1)[1]) and claim.layout not in (Layout.LOOSE, Layout.CANVAS):
        notes.append(f"the file was called {clean(claim.file, 60)}")
    about, named = _about(content, week, look)
    return Found(content, (*notes, *about), receipt, look.worth(content), named)


def _unbundle(content: bytes, name: str, week: str, look: Looker, alone: bool) -> tuple[bytes, list[str], str]:
    """The notebook in a learner's archive, what its receipt says against it, and whom it names.

    Parameters
    ----------
    alone : nothing but its name says that the archive is one learner's.
    """
    topic = week.split("_", 1)[1]
    inside = [one for one in in_archive(lambda: content, name, MOST_IN_BUNDLE) if one.fate is not Fate.BESIDE]
    notebooks = [one for one in map(looked_into, inside) if one.is_notebook or one.name.lower().endswith(NOTEBOOK)]
    if not notebooks:
        raise DamagedError("holds no notebook")
    receipt = next((one for one in inside if one.name == RECEIPT), None)
    if alone and receipt is None and _of_several(notebooks, topic):
        raise DamagedError("holds notebooks of several people, it seems: collect it by itself")
    chosen, notebook = _best_of(notebooks, topic, look)
    notes = [f"holds {len(notebooks)} notebooks; {clean(chosen.shown, 60)} counts"] if len(notebooks) > 1 else []
    if receipt is None:
        return notebook, notes, ""
    told = _receipt(receipt)
    return notebook, notes + _against(told, notebook, week), _learner(told)


def _of_several(notebooks: Sequence[Entry], topic: str) -> bool:
    """Whether the notebooks lie in several folders, or are named as a platform names those of several people."""
    folders = {one.parts[:-1] for one in notebooks if is_topic(one.name, topic)}
    readings = [next(fits(one.name, topic), None) for one in notebooks]
    return len(folders) > 1 or (len(notebooks) > 1 and all(readings))


def _best_of(notebooks: Sequence[Entry], topic: str, look: Looker) -> tuple[Entry, bytes]:
    """The notebook that counts: work first, then one with the week's name, then the newest, as among attempts.

    Raises
    ------
    DamagedError
        when none of them can be read, with what is wrong with the first.
    """
    best: tuple[tuple[object, ...], Entry, bytes] | None = None
    wrong = ""
    for place, one in enumerate(notebooks):
        try:
            if one.problem:
                raise DamagedError(one.problem)
            content = one.read()
        except DamagedError as error:
            wrong = wrong or f"{clean(one.shown, 60)}: {error}"
            continue
        rank = (look.worth(content), is_topic(one.name, topic), one.moment, -place)
        if best is None or rank > best[0]:
            best = rank, one, content
    if best is None:
        raise DamagedError(wrong)
    return best[1], best[2]


def _receipt(entry: Entry) -> dict[str, object]:
    """The receipt that `workbook submit` puts beside a notebook; empty where it is none."""
    try:
        content = entry.read() if not entry.problem else b""
        told = json.loads(content.decode("utf-8")) if len(content) <= MAX_RECEIPT else None
    except (DamagedError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _against(receipt: dict[str, object], notebook: bytes, week: str) -> list[str]:
    """What in a receipt does not fit the notebook; the work is collected all the same."""
    if receipt.get("format") != RECEIPT_FORMAT:
        return ["its receipt cannot be read"]
    notes = []
    if receipt.get("sha256") != hashlib.sha256(notebook).hexdigest():
        notes.append("its receipt is of another notebook: it was changed after `workbook submit`")
    if receipt.get("week") != week:
        notes.append(f"its receipt is of {clean(receipt.get('week'), 40)}")
    return notes


def _about(content: bytes, week: str, look: Looker) -> tuple[list[str], str]:
    """What a look at the notebook tells: broken, or of another week; and that week. It is collected all the same."""
    if not content.strip():
        return ["the file is empty; its learner is told so when it is graded"], ""
    try:
        named, _ = look.look(content)
    except (DamagedError, ConfinedError):
        return ["cannot be read as a notebook; its learner is told so when it is graded"], ""
    return ([] if named in ("", week) else [f"the notebook says that it is {clean(named, 40)}"]), named


def looked_into(entry: Entry) -> Entry:
    """The entry, marked as a notebook where it holds one under another name."""
    if entry.problem or entry.is_work or entry.fate is not Fate.WORK or not may_hold_a_notebook(entry.name):
        return entry
    try:
        content = entry.read()
    except DamagedError:
        return entry
    begins = content[:100].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return replace(entry, is_notebook=begins and b'"nbformat"' in content and b'"cells"' in content)


def name_in_receipt(entry: Entry) -> str:
    """The learner whom the receipt in a bundle names; "" where there is none."""
    try:
        inside = in_archive(entry.read, entry.name, MOST_IN_BUNDLE)
    except DamagedError:
        return ""
    receipt = next((one for one in inside if one.name == RECEIPT and not one.problem), None)
    return _learner(_receipt(receipt)) if receipt else ""


def _learner(receipt: dict[str, object]) -> str:
    return clean(receipt.get("learner") or "", 80)
