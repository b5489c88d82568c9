"""Find the notebook in a file that was handed in: the file itself, or the bundle that `workbook submit` makes.

A bundle is a zip archive with `TOPIC.ipynb` and `receipt.json`: `{"format": 1, "week", "notebook", "sha256", "created",
"learner"}`. A receipt that does not fit is noted; the work is taken all the same. Nothing signs a receipt, since the
learner would hold the key: it proves neither who made it nor when.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from .archives import in_archive
from .confined import Confined, ConfinedError
from .entries import RECEIPT, Entry, Fate
from .reading import DamagedError, week_named
from .recognize import Claim, Layout, is_topic
from .texts import clean

RECEIPT_FORMAT = 1
MOST_IN_BUNDLE = 100
MAX_RECEIPT = 10_000


@dataclass(frozen=True)
class Found:
    """A notebook that was handed in: its bytes, what was noticed, and whom a receipt beside it names, if any."""

    content: bytes
    notes: tuple[str, ...] = ()
    receipt: str = ""


def looker() -> Confined:
    """The process that looks into notebooks: a stranger's JSON may ask for much memory."""
    return Confined(week_named)


def open_handed_in(entry: Entry, claim: Claim, week: str, look: Confined) -> Found:
    """The notebook in a file or a bundle.

    Raises
    ------
    DamagedError
        when there is none, or it cannot be read.
    """
    content, notes, receipt = entry.read(), list[str](), ""
    if entry.name.lower().endswith(".zip"):
        content, notes, receipt = _unbundle(content, entry.name, week)
    elif not is_topic(claim.file, week.split("_", 1)[1]) and claim.layout in (Layout.FOLDER, Layout.MOODLE):
        notes.append(f"the file was called {clean(claim.file, 60)}")
    return Found(content, (*notes, *_about(content, week, look)), receipt)


def _unbundle(content: bytes, name: str, week: str) -> tuple[bytes, list[str], str]:
    """The notebook in a learner's bundle, what its receipt says against it, and whom it names."""
    topic = week.split("_", 1)[1]
    inside = [one for one in in_archive(lambda: content, name, MOST_IN_BUNDLE) if one.fate is not Fate.BESIDE]
    notebooks = [one for one in inside if one.name.lower().endswith(".ipynb")]
    fitting = [one for one in notebooks if is_topic(one.name, topic)] or notebooks
    if not fitting:
        raise DamagedError("holds no notebook")
    notes = []
    if len(fitting) > 1:
        notes.append(f"holds {len(fitting)} notebooks; {clean(fitting[0].shown, 60)} counts")
    if fitting[0].problem:
        raise DamagedError(f"{clean(fitting[0].shown, 60)}: {fitting[0].problem}")
    notebook = fitting[0].read()
    receipt = next((one for one in inside if one.name == RECEIPT), None)
    if receipt is None:
        return notebook, notes, ""
    told = _receipt(receipt)
    return notebook, notes + _against(told, notebook, week), _learner(told)


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


def _about(content: bytes, week: str, look: Confined) -> list[str]:
    """What a look at the notebook tells: broken, or of another week. It is collected all the same."""
    try:
        named = look.ask(content)
    except (DamagedError, ConfinedError):
        return ["cannot be read as a notebook; its learner is told so when it is graded"]
    return [] if named in ("", week) else [f"the notebook says that it is {clean(named, 40)}"]


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
