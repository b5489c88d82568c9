"""Of everything that one learner handed in for a week: what is kept, and what counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .attempts import Attempt, hand_over, keep, kept
from .confined import Confined
from .course import Course
from .entries import Entry, Fate
from .opening import Found, open_handed_in
from .reading import DamagedError
from .recognize import Claim, Layout, is_topic
from .roster import Class
from .texts import clean

A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fated:
    """What became of one entry of a source.

    Attributes
    ----------
    learner : the folder of the person whose it is; "" for nobody's.
    week : another week, where it is of one.
    """

    file: str
    fate: Fate
    learner: str = ""
    why: str = ""
    week: str = ""


@dataclass(frozen=True)
class Piece:
    """A file that may count for a learner. `stamp`: when nbgrader's exchange took it; None elsewhere."""

    number: int
    entry: Entry
    claim: Claim
    stamp: datetime | None = None


@dataclass
class Collected:
    """What became of one learner's work.

    Attributes
    ----------
    file : the file in the source that counts; "" where nothing could be collected.
    attempts, new : versions that are kept, and how many of them this collection added.
    handed_in : when the newest one was handed in, naive UTC.
    """

    learner: str
    file: str = ""
    attempts: int = 0
    new: int = 0
    handed_in: datetime | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    piece: Piece
    found: Found
    attempt: Attempt


def pick(
    course: Course, learner: str, week: str, pieces: Sequence[Piece], look: Confined, group: Class
) -> tuple[Collected, dict[int, Fated]]:
    """Keep every version of one learner's work, and hand the newest over. Never fails.

    Returns
    -------
    What became of it all, and of each piece, by its number.
    """
    picking = _Picking(course, learner, week, group)
    try:
        picking.take(pieces, look)
    except Exception as error:  # whatever it is, it is about this learner: the others are collected
        kind = type(error).__name__
        picking.done.notes.append(f"not collected: the collector failed ({kind})")
        left = [piece for piece in pieces if piece.number not in picking.fates]
        for piece in left:
            picking.say(piece, Fate.UNREADABLE, f"the collector failed ({kind})")
    return picking.done, picking.fates


class _Picking:
    """One learner's work being collected."""

    def __init__(self, course: Course, learner: str, week: str, group: Class) -> None:
        self._course, self._learner, self._week, self._group = course, learner, week, group
        self._topic = week.split("_", 1)[1]
        self.done = Collected(learner)
        self.fates: dict[int, Fated] = {}

    def say(self, piece: Piece, fate: Fate, why: str = "") -> None:
        """Give a piece its fate."""
        self.fates[piece.number] = Fated(piece.entry.shown, fate, self._learner, why)

    def _lose(self, piece: Piece, fate: Fate, why: str) -> None:
        """As `say`, and note it with the learner."""
        self.say(piece, fate, why)
        self.done.notes.append(f"{clean(piece.claim.file, 80)}: {why}")

    def take(self, pieces: Sequence[Piece], look: Confined) -> None:
        """Open, keep and hand over."""
        opened = self._without_starters(self._opened(self._chosen(pieces), look))
        opened = self._without_strangers(opened)
        opened = [one for one in opened if self._kept(one)]
        if not opened:
            return
        newest = max(opened, key=lambda one: (one.attempt, one.piece.number))
        self.done.file = newest.piece.entry.shown
        self.done.notes += newest.found.notes
        self._note_ties(opened, newest)
        if any(one.piece.claim.late for one in opened):
            self.done.notes.append("late, says Canvas")
        try:
            self.done.notes += hand_over(self._course, self._learner, self._week, self._topic)
        except OSError as error:
            self.done.notes.append(f"kept, but not handed to grading ({error.strerror or error})")
        versions = kept(self._course, self._learner, self._week)
        self.done.attempts, self.done.handed_in = len(versions), versions[-1].moment
        for one in opened:
            counts = one is newest and one.attempt.digits == versions[-1].digits
            self.say(one.piece, Fate.WORK if counts else Fate.OLDER)

    def _chosen(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """The pieces that are the week's work by their names; all where none is. A receipt decides nothing here."""
        by_receipt = [piece for piece in pieces if piece.claim.layout is Layout.RECEIPT]
        fitting = [piece for piece in pieces if piece not in by_receipt and self._fits(piece)]
        if not fitting:
            return pieces
        chosen = [*fitting, *by_receipt]
        passed = [piece for piece in pieces if piece not in chosen]
        for piece in passed:
            self.say(piece, Fate.BESIDE, "not the week's notebook, by its name")
        if passed:
            names = sorted({piece.claim.file for piece in passed})
            self.done.notes.append(f"not collected: {clean(', '.join(names), 120)}")
        return chosen

    def _fits(self, piece: Piece) -> bool:
        bundle = piece.entry.name.lower().endswith(".zip")
        return bundle or piece.claim.layout is Layout.LOOSE or is_topic(piece.claim.file, self._topic)

    def _opened(self, pieces: Sequence[Piece], look: Confined) -> list[_Opened]:
        opened = []
        for piece in pieces:
            try:
                found = open_handed_in(piece.entry, piece.claim, self._week, look)
            except DamagedError as error:
                self._lose(piece, Fate.UNREADABLE, str(error))
                continue
            attempt = Attempt.of(found.content, self._moment(piece), piece.claim.serial)
            opened.append(_Opened(piece, found, attempt))
        return opened

    def _moment(self, piece: Piece) -> datetime:
        """When a piece was handed in. A time that is still to come would make it the newest for ever."""
        moment, now = piece.stamp or piece.entry.moment, datetime.now(UTC).replace(tzinfo=None)
        if moment <= now + A_DAY:
            return moment
        self.done.notes.append(f"{clean(piece.claim.file, 80)}: dated {moment:%Y-%m-%d}; now counts instead")
        return now

    def _without_starters(self, opened: list[_Opened]) -> list[_Opened]:
        """Beside work, the notebook as the course gave it is no attempt."""
        release = self._course.root / "weeks" / self._week / f"{self._topic}.ipynb"
        digest = hashlib.sha256(release.read_bytes()).hexdigest()[:12] if release.is_file() else ""
        worked_on = [one for one in opened if one.attempt.digits != digest]
        for one in opened if worked_on else ():
            if one not in worked_on:
                self.say(one.piece, Fate.BESIDE, "the notebook as the course gave it")
        return worked_on or opened

    def _without_strangers(self, opened: list[_Opened]) -> list[_Opened]:
        """Who is named by a receipt alone has their work taken only where nothing else of it is known.

        Anybody can write a receipt, so one never replaces what came under a learner's name, nor does one of two.
        """
        for one in opened:
            other = self._group.folder_of(one.found.receipt) if one.found.receipt else ""
            if other not in ("", self._learner):
                self.done.notes.append(f"its receipt names {one.found.receipt!r}, of this class as well")
        certain = [one for one in opened if one.piece.claim.layout is not Layout.RECEIPT]
        there = {one.digits for one in kept(self._course, self._learner, self._week)}
        there |= {one.attempt.digits for one in certain}
        lies = any((self._course.submitted / self._learner / self._week).glob("*.ipynb"))
        fresh = {one.attempt.digits for one in opened} - there
        if certain or there or lies or len(fresh) > 1:
            refused = [one for one in opened if one not in certain and one.attempt.digits in fresh]
        else:
            refused = []
        for one in refused:
            why = f"only its receipt says that it is {self._learner!r}'s, and so does other work; anybody can write one"
            self._lose(one.piece, Fate.REFUSED, f"{why}: call it {self._topic}_NAME.zip")
        left = [one for one in opened if one not in refused]
        if len(left) > len(certain):
            self.done.notes.append("named by a receipt alone, which proves nothing")
        return left

    def _kept(self, one: _Opened) -> bool:
        attempt = one.attempt
        try:
            new = keep(self._course, self._learner, self._week, one.found.content, attempt.moment, attempt.serial)
        except OSError as error:
            self._lose(one.piece, Fate.UNREADABLE, f"not kept ({error.strerror or error})")
            return False
        self.done.new += new
        return True

    def _note_ties(self, opened: Sequence[_Opened], newest: _Opened) -> None:
        times = {(one.attempt.moment, one.attempt.serial) for one in opened if one.attempt == newest.attempt}
        equal = {one.attempt.digits for one in opened if (one.attempt.moment, one.attempt.serial) in times}
        if len(equal) > 1:
            name = clean(newest.piece.claim.file, 80)
            self.done.notes.append(f"{len(equal)} different files of the same time; {name} counts")
