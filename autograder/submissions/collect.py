"""Bring what was submitted into the course, from wherever learners put it.

Bytes are copied, never opened as a notebook for more than a look at its metadata. Every entry of a source has a fate,
which is told by name; whatever is wrong with one stops no other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..core.texts import clean
from ..course.deadlines import nbgrader_s, read_deadlines
from ..course.folder import Course
from ..course.groups import read_groups, write_groups
from ..course.roster import Person
from ..course.timestamps import MAX_STAMP, TIMESTAMP, handed_in_at
from ..repair.damage import DamagedError
from .contents import Looker, name_in_receipt
from .entries import Entry, Fate, stem
from .identify import Claim, claims
from .layouts import Layout
from .people import Assigned, Class
from .picking import Collected as Collected
from .picking import Fated, Piece, pick
from .platform_files import METADATA, completed
from .sources import entries
from .wrapping import Question, Reading

EXCHANGE = "exchange"
"""The source that means nbgrader's own."""
OWN_FILES = (TIMESTAMP, "submission_secret.txt", METADATA, "index.html")
"""What nbgrader's exchange, Gradescope and Brightspace put beside the work."""


@dataclass(frozen=True)
class Collection:
    """Everything that one collection did.

    Attributes
    ----------
    learners : in alphabetical order; also who sent nothing that can be read.
    fates : what became of each entry of the source, in their order.
    missing : people on the roster of whom nothing is there.
    questions : what names leave open; the files that they concern are refused.
    """

    week: str
    learners: tuple[Collected, ...]
    fates: tuple[Fated, ...]
    missing: tuple[Person, ...]
    questions: tuple[Question, ...] = ()

    @property
    def counts(self) -> Counter[Fate]:
        """How many entries had which fate."""
        return Counter(one.fate for one in self.fates)

    @property
    def other_weeks(self) -> int:
        """Files of other weeks that were passed."""
        return sum(1 for one in self.fates if one.week)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Files that could be submissions and belong to nobody, each with the reason."""
        lost = (Fate.REFUSED, Fate.UNREADABLE)
        return tuple(f"{one.file}: {one.why}" for one in self.fates if one.fate in lost and not one.learner)


@dataclass
class _Share:
    """What one learner has in a source: files to be opened, notes, and files that will not be."""

    pieces: list[Piece] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    lost: list[Fated] = field(default_factory=list)

    def told(self, has_work: bool) -> list[str]:
        """A note for each file that is not opened; what is not a notebook is told where there is nothing else."""
        told = [one for one in self.lost if not (has_work and one.fate is Fate.BESIDE)]
        return [f"{one.file.rpartition('/')[2]}: {one.why}" for one in told]


def collect(
    source: Path,
    course: Course,
    week: str,
    on_file: Callable[[str], None] = lambda name: None,
    *,
    exchange: bool = False,
    reading: Reading | None = None,
    whole_groups: bool = False,
    ask: Callable[[Question], Reading | None] = lambda question: None,
) -> Collection:
    """Collect the submissions of a week. Of several attempts the best goes to grading (`picking`), all are kept.

    Parameters
    ----------
    source : a folder, an archive, or one file; `sources.entries` and `identify` say which.
    exchange : nbgrader made the folder: those at its top are learners, and its timestamp.txt tell when they submitted.
    reading : what the instructor says about the names in the source.
    whole_groups : what one member of a group on the roster submits is the whole group's.
    ask : answers what names leave open; None where nobody does.

    Raises
    ------
    WorkbookError
        for a source that is not there, a roster that cannot be read, and a source without any notebook.
    """
    topic = week.split("_", 1)[1]
    found = entries(source)
    group = Class(course)
    said, questions, reading = _read(source, found, topic, group, exchange, reading or Reading(), ask)
    if any(claim.layout is Layout.CANVAS for claim in said):
        found = _downloaded_together(found, said)
    fates = {n: fate for n, pair in enumerate(zip(found, said, strict=True)) if (fate := _beside(*pair, week, group))}
    open_ones = {n: _named(found[n], said[n]) for n in range(len(found)) if n not in fates}
    whose = open_ones | {n: said[n] for n, fate in fates.items() if fate.learner}  # also who sent no notebook
    if not whose:
        raise WorkbookError(f"{short(source)} holds no notebook of {week}", "name the folder or the .zip that does")
    fates |= {n: fate for n, claim in open_ones.items() if (fate := _unmatched(found[n], claim, topic))}
    whose = {n: claim for n, claim in whose.items() if n not in fates or fates[n].learner}
    assigned = _folders(group, whose, week, whole_groups)
    shares = _shares(found, whose, assigned, fates, group, exchange, guessing=reading.layout is None)
    rules = read_deadlines(course, week, nbgrader_s(course, week))
    done = []
    with Looker(_starter(course, week)) as look:
        for learner, share in sorted(shares.items(), key=lambda one: one[0]):
            one, became = pick(course, learner, week, share.pieces, look, group, rules)
            one.notes = [*share.notes, *one.notes, *share.told(bool(one.file))]
            fates |= {n: _together(fates.get(n), fate, assigned[n].folders) for n, fate in became.items()}
            done.append(one)
            on_file(learner)
    _remember_groups(course, week, done)
    there = {one.learner for one in done if one.file}
    group.save([one.learner for one in done if one.file])
    missing = [p for p in group.people if p.learner not in there and not _lies_there(course, p.learner, week)]
    for one in done:
        one.notes += _of_others(one, missing, group)
    return Collection(week, tuple(done), tuple(fates[n] for n in range(len(found))), tuple(missing), questions)


def _shares(
    found: Sequence[Entry],
    whose: dict[int, Claim],
    assigned: dict[int, Assigned],
    fates: dict[int, Fated],
    group: Class,
    exchange: bool,
    guessing: bool,
) -> dict[str, _Share]:
    """Folder of a learner -> what they have in the source. Fates that are known get the names of those folders.

    Parameters
    ----------
    guessing : nobody said that the names of loose files are those of people.
    """
    stamps = _stamps(found) if exchange else {}
    shares: dict[str, _Share] = {}
    for n, one in assigned.items():
        claim, entry = whose[n], found[n]
        if n in fates:
            fates[n] = replace(fates[n], learner=", ".join(one.folders))
        guessed = guessing and claim.layout is Layout.LOOSE and not group.has(claim.learner)
        for folder in one.folders:
            share = shares.setdefault(folder, _Share())
            share.notes |= dict.fromkeys((*one.notes, *filter(None, [entry.note])))
            if one.group:
                share.notes[f"the work of {one.group}"] = None
            if n in fates:
                share.lost.append(fates[n])
            else:
                share.pieces.append(Piece(n, entry, claim, stamps.get(entry.parts[:2]), one.group, guessed))
    return shares


def _read(
    source: Path,
    found: Sequence[Entry],
    topic: str,
    group: Class,
    exchange: bool,
    reading: Reading,
    ask: Callable[[Question], Reading | None],
) -> tuple[list[Claim], tuple[Question, ...], Reading]:
    """What the paths say, what nobody answered, and how the source is read after all answers."""
    name = source.name if source.is_dir() else stem(source.name)
    while True:
        said, questions = claims(found, topic, name, lambda folder: exchange or bool(group.folder_of(folder)), reading)
        answer = ask(questions[0]) if questions else None
        if answer is None or answer == reading:
            return completed(found, said), tuple(questions), reading
        reading = answer


def _starter(course: Course, week: str) -> bytes:
    """The week's notebook as the course gave it; b"" where it is not here."""
    path = course.root / "weeks" / week / f"{week.split('_', 1)[1]}.ipynb"
    return path.read_bytes() if path.is_file() else b""


def _together(before: Fated | None, fate: Fated, members: tuple[str, ...]) -> Fated:
    """The fate of a file that several people have: work where it counts for one of them."""
    better = before if before and before.fate is Fate.WORK else fate
    return replace(better, learner=", ".join(members))


def _remember_groups(course: Course, week: str, done: Sequence[Collected]) -> None:
    """Keep whose work a group's is; who has work of their own since then is in no group."""
    before = read_groups(course, week)
    groups = dict(before)
    for one in done:
        if one.group is not None:
            groups.pop(one.learner, None)
        if one.group:
            groups[one.learner] = one.group
    if groups != before:
        write_groups(course, week, groups)


def _of_others(one: Collected, missing: Sequence[Person], group: Class) -> list[str]:
    """A note where somebody submitted alone, and others of their group nothing."""
    name = group.group_of(one.learner)
    others = [person.learner for person in missing if name and person.group == name]
    if one.group != "" or not others:
        return []
    return [f"of {name}, from which {', '.join(others)} sent nothing: --groups makes it the work of all"]


def _beside(entry: Entry, claim: Claim, week: str, group: Class) -> Fated | None:
    """The fate of an entry that cannot be a submission of the week."""
    if entry.fate is Fate.BESIDE:
        return Fated(entry.shown, Fate.BESIDE, why=entry.problem)
    if claim.week not in ("", week):
        return Fated(entry.shown, Fate.BESIDE, why=f"of {claim.week}", week=claim.week)
    if entry.is_work or entry.fate is Fate.REFUSED:
        return None
    # a platform or a folder names a person; a loose file that is not a notebook names nobody
    # whom the roster does not know
    loose = claim.layout is Layout.LOOSE and not group.has(claim.learner)
    learner = "" if loose or claim.unclear or not entry.told or entry.name in OWN_FILES else claim.learner
    ending = clean(Path(entry.name).suffix, 20) or "no ending"
    return Fated(entry.shown, Fate.BESIDE, learner, f"not a notebook: {ending}")


def _named(entry: Entry, claim: Claim) -> Claim:
    """The claim with a learner's name, if need be from the receipt in a bundle."""
    if claim.learner or claim.unclear or entry.problem or not entry.is_archive:
        return claim
    return replace(claim, learner=name_in_receipt(entry), layout=Layout.RECEIPT)


def _unmatched(entry: Entry, claim: Claim, topic: str) -> Fated | None:
    """The fate of an entry that is not read, or that is nobody's; None for one that is somebody's."""
    if claim.unclear:
        return Fated(entry.shown, Fate.REFUSED, why=clean(claim.unclear, 300))
    if entry.problem:
        return Fated(entry.shown, entry.fate, claim.learner if entry.told else "", entry.problem)
    if not claim.learner:
        why = f"its name does not say whose it is: call it {topic}_NAME.ipynb"
        return Fated(entry.shown, Fate.REFUSED, why=why)
    return None


def _folders(group: Class, whose: dict[int, Claim], week: str, whole_groups: bool) -> dict[int, Assigned]:
    """Number of an entry -> whose it is. What receipts say changes nobody else's folder."""
    found: dict[int, Assigned] = {}
    for by_receipt in (False, True):
        some = {n: claim for n, claim in whose.items() if (claim.layout is Layout.RECEIPT) == by_receipt}
        folders = group.assign(some.values(), week)
        found |= {n: folders[claim] for n, claim in some.items()}
    if whole_groups:
        found = {n: one if whose[n].layout is Layout.RECEIPT else group.whole(one) for n, one in found.items()}
    return found


def _lies_there(course: Course, learner: str, week: str) -> bool:
    return any((course.submitted / learner / week).glob("*.ipynb"))


def _stamps(found: Sequence[Entry]) -> dict[tuple[str, ...], datetime]:
    """Learner and week -> what nbgrader's timestamp.txt says. One further inside is a file of the learner's."""
    stamps: dict[tuple[str, ...], datetime] = {}
    for entry in found:
        if entry.name == TIMESTAMP and len(entry.parts) == 3 and not entry.problem:
            try:
                content = entry.read()
            except DamagedError:
                continue
            if len(content) <= MAX_STAMP and (moment := handed_in_at(content)):
                stamps[entry.parts[:2]] = moment
    return stamps


def _downloaded_together(found: Sequence[Entry], said: Sequence[Claim]) -> list[Entry]:
    """Canvas gives every file the time of the download, to a few seconds: its own numbers tell which is newer."""
    canvas = [claim.layout is Layout.CANVAS for claim in said]
    latest = max(entry.moment for entry, is_one in zip(found, canvas, strict=True) if is_one)
    return [replace(entry, moment=latest) if is_one else entry for entry, is_one in zip(found, canvas, strict=True)]


def from_exchange(
    course: Course, week: str, on_file: Callable[[str], None] = lambda name: None, whole_groups: bool = False
) -> Collection:
    """Collect from nbgrader's exchange, by `nbgrader collect` itself, which takes each learner's last submission.

    Raises
    ------
    WorkbookError
        with what nbgrader says, when there is no exchange or nothing in it.
    """
    with tempfile.TemporaryDirectory(prefix="workbook-exchange-") as folder:
        command = [sys.executable, "-m", "nbgrader", "collect", week, f"--CourseDirectory.submitted_directory={folder}"]
        tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        said = subprocess.run(
            command, cwd=course.root, env=os.environ | {"PATH": tools}, capture_output=True, text=True, check=False
        )
        if said.returncode or not any(Path(folder).iterdir()):
            lines = [line for line in said.stderr.splitlines() if "ERROR" in line or "WARNING" in line] or [""]
            told = clean(lines[-1].rpartition("] ")[2], 200) or "nothing was collected"
            raise WorkbookError(f"nbgrader collect {week}: {told}", "see `c.Exchange.root` in nbgrader_config.py")
        return collect(Path(folder), course, week, on_file, exchange=True, whole_groups=whole_groups)


def local(moment: datetime) -> str:
    """A time as people here read it, from naive UTC."""
    return f"{moment.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}"
