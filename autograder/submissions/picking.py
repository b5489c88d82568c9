"""Of everything that one learner submitted for a week: what is kept, and what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..core.texts import clean
from ..course.deadlines import Attempts, Deadlines
from ..course.folder import Course
from ..repair.damage import DamagedError
from .attempts import Attempt, content_of, hand_over, keep, kept
from .contents import Found, Looker, Worth, open_handed_in
from .entries import Entry, Fate
from .file_names import is_topic
from .identify import Claim
from .layouts import Layout
from .people import Class

A_DAY = timedelta(days=1)
UNTOUCHED = "the notebook as the course gave it"


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
    """A file that may count for a learner.

    Attributes
    ----------
    stamp : when nbgrader's exchange took it; None elsewhere.
    group : whose it is, where a group submitted it together; "" otherwise.
    guessed : nothing but the name of a loose file says whose it is, and no class list knows that name.
    """

    number: int
    entry: Entry
    claim: Claim
    stamp: datetime | None = None
    group: str = ""
    guessed: bool = False


@dataclass
class Collected:
    """What became of one learner's work.

    Attributes
    ----------
    file : the best file in the source, which counts unless a note says otherwise; "" where nothing could be collected.
    attempts, new : versions that are kept, and how many of them this collection added.
    handed_in : when what counts was submitted, naive UTC.
    group : the group whose work counts; "" where it is the learner's own; None where nothing of the source counts.
    """

    learner: str
    file: str = ""
    attempts: int = 0
    new: int = 0
    handed_in: datetime | None = None
    group: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    piece: Piece
    found: Found
    attempt: Attempt


def pick(
    course: Course, learner: str, week: str, pieces: Sequence[Piece], look: Looker, group: Class, rules: Deadlines
) -> tuple[Collected, dict[int, Fated]]:
    """Keep every version of one learner's work, and hand the newest over. Never fails.

    Returns
    -------
    What became of it all, and of each piece, by its number.
    """
    picking = _Picking(course, learner, week, group, look, rules)
    try:
        picking.take(pieces)
    except Exception as error:  # whatever it is, it is about this learner: the others are collected
        kind = type(error).__name__
        picking.done.notes.append(f"not collected: the collector failed ({kind})")
        left = [piece for piece in pieces if piece.number not in picking.fates]
        for piece in left:
            picking.say(piece, Fate.UNREADABLE, f"the collector failed ({kind})")
    return picking.done, picking.fates


class _Picking:
    """One learner's work being collected."""

    def __init__(self, course: Course, learner: str, week: str, group: Class, look: Looker, rules: Deadlines) -> None:
        self._rules = rules
        self._course, self._learner, self._week, self._group, self._look = course, learner, week, group, look
        self._topic = week.split("_", 1)[1]
        self.done = Collected(learner)
        self.fates: dict[int, Fated] = {}
        self._worth: dict[str, Worth] = {}
        """Digits of an attempt -> what it is worth."""

    def say(self, piece: Piece, fate: Fate, why: str = "") -> None:
        """Give a piece its fate."""
        self.fates[piece.number] = Fated(piece.entry.shown, fate, self._learner, why)

    def _lose(self, piece: Piece, fate: Fate, why: str) -> None:
        """As `say`, and note it with the learner."""
        self.say(piece, fate, why)
        self.done.notes.append(f"{clean(piece.claim.file, 80)}: {why}")

    def take(self, pieces: Sequence[Piece]) -> None:
        """Open, keep and hand over."""
        opened = self._without_starters(self._chosen(pieces))
        opened = self._without_guesses(self._without_strangers(opened))
        opened = [one for one in opened if self._kept(one)]
        if not opened:
            return
        self._worth |= {one.attempt.digits: one.found.worth for one in opened}
        first = max(opened, key=lambda one: (self._rank(one.attempt), one.piece.number))
        self.done.file = first.piece.entry.shown
        self.done.notes += first.found.notes
        self._note_ties(opened, first)
        if any(one.piece.claim.late for one in opened):
            self.done.notes.append(f"late, says {first.piece.claim.layout}")
        try:
            self.done.notes += hand_over(self._course, self._learner, self._week, self._topic, self._best)
        except OSError as error:
            self.done.notes.append(f"kept, but not handed to grading ({error.strerror or error})")
        versions = kept(self._course, self._learner, self._week)
        best = self._best(versions)
        self.done.attempts, self.done.handed_in = len(versions), best.moment
        if late := self._rules.late(self._learner, best.moment):
            self.done.notes.append(late.said)
        if best.digits == first.attempt.digits:
            self.done.group = first.piece.group
        else:
            self.done.notes.append(f"what was collected before counts, of {best.moment:%Y-%m-%d %H:%M} UTC")
        for one in opened:
            self._conclude(one, counts=one is first and one.attempt.digits == best.digits)

    def _conclude(self, one: _Opened, counts: bool) -> None:
        """The fate of a piece that is kept."""
        worth = one.found.worth
        why = "is not a readable notebook" if worth is Worth.UNREADABLE else ""
        if counts:
            self.say(one.piece, Fate.WORK, why)
        elif worth is Worth.UNREADABLE and self._best_worth > worth:
            self._lose(one.piece, Fate.UNREADABLE, why)
        else:
            self.say(one.piece, Fate.OLDER, UNTOUCHED if worth is Worth.STARTER else why)

    @property
    def _best_worth(self) -> Worth:
        return max(self._worth.values(), default=Worth.UNREADABLE)

    def _best(self, versions: Sequence[Attempt]) -> Attempt:
        """The one that counts: work before the untouched notebook before what cannot be read, then by `_rank`."""
        if len(versions) == 1:
            return versions[0]
        for one in versions:
            if one.digits not in self._worth:
                content = content_of(self._course, self._learner, self._week, one)
                self._worth[one.digits] = self._look.worth(content)
        return max(versions, key=self._rank)

    def _rank(self, one: Attempt) -> tuple[Worth, bool, Attempt]:
        """Of two attempts the one of the higher rank counts: of equal worth the one in time, if that is the rule."""
        asked = self._rules.attempt is Attempts.NEWEST_IN_TIME
        in_time = asked and self._rules.late(self._learner, one.moment) is None
        return self._worth[one.digits], in_time, one

    def _chosen(self, pieces: Sequence[Piece]) -> list[_Opened]:
        """The pieces that are the week's work by their names; all where none is. A receipt decides nothing here.

        Where the week's notebook by its name is untouched, work counts that says inside that it is of this week.
        """
        by_receipt = [piece for piece in pieces if piece.claim.layout is Layout.RECEIPT]
        fitting = [piece for piece in pieces if piece not in by_receipt and self._fits(piece)]
        if not fitting:
            return self._opened(pieces)
        chosen = self._opened([*fitting, *by_receipt])
        others = [piece for piece in pieces if piece not in fitting and piece not in by_receipt]
        if others and not any(one.found.worth is Worth.WORK for one in chosen):
            called_otherwise = [one for one in self._opened(others) if self._is_of_the_week(one)]
            chosen += called_otherwise
            others = [piece for piece in others if piece not in [one.piece for one in called_otherwise]]
        for piece in others:
            if piece.number not in self.fates:
                self.say(piece, Fate.BESIDE, "not the week's notebook, by its name")
        if others:
            names = sorted({piece.claim.file for piece in others})
            self.done.notes.append(f"not collected: {clean(', '.join(names), 120)}")
        return chosen

    def _is_of_the_week(self, one: _Opened) -> bool:
        return one.found.worth is Worth.WORK and one.found.week == self._week

    def _fits(self, piece: Piece) -> bool:
        return piece.entry.is_archive or piece.claim.layout is Layout.LOOSE or is_topic(piece.claim.file, self._topic)

    def _opened(self, pieces: Sequence[Piece]) -> list[_Opened]:
        opened = []
        for piece in pieces:
            try:
                found = open_handed_in(piece.entry, piece.claim, self._week, self._look)
            except DamagedError as error:
                self._lose(piece, Fate.UNREADABLE, str(error))
                continue
            attempt = Attempt.of(found.content, self._moment(piece), piece.claim.serial)
            opened.append(_Opened(piece, found, attempt))
        return opened

    def _moment(self, piece: Piece) -> datetime:
        """When a piece was submitted. A time that is still to come would make it the newest for ever."""
        moment, now = piece.stamp or piece.claim.moment or piece.entry.moment, datetime.now(UTC).replace(tzinfo=None)
        if moment <= now + A_DAY:
            return moment
        self.done.notes.append(f"{clean(piece.claim.file, 80)}: dated {moment:%Y-%m-%d}; now counts instead")
        return now

    def _without_starters(self, opened: list[_Opened]) -> list[_Opened]:
        """Beside work, the notebook as the course gave it is not an attempt."""
        if not any(one.found.worth is Worth.WORK for one in opened):
            return opened
        for one in opened:
            if one.found.worth is Worth.STARTER:
                self.say(one.piece, Fate.BESIDE, UNTOUCHED)
        return [one for one in opened if one.found.worth is not Worth.STARTER]

    def _without_guesses(self, opened: list[_Opened]) -> list[_Opened]:
        """Different works under a name that is only guessed may be two people's: nobody can say whose each is."""
        guessed = [one for one in opened if one.piece.guessed]
        if len({one.attempt.digits for one in guessed}) < 2:
            return opened
        names = sorted({one.piece.entry.name for one in guessed})
        why = f"{clean(' and '.join(names), 120)} hold different works, and nothing but their names says whose: "
        for one in guessed:
            self._lose(one.piece, Fate.REFUSED, f"{why}say --layout loose if one person made them, or name a roster")
        return [one for one in opened if one not in guessed]

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

    def _note_ties(self, opened: Sequence[_Opened], first: _Opened) -> None:
        """Name the one that counts among different files of one time; Canvas numbers files, so its have none."""
        if first.piece.claim.layout is Layout.CANVAS:
            return
        times = (first.found.worth, first.attempt.moment)
        equal = {one.attempt.digits for one in opened if (one.found.worth, one.attempt.moment) == times}
        if len(equal) > 1:
            name = clean(first.piece.claim.file, 80)
            self.done.notes.append(f"{len(equal)} different files of the same time; {name} counts")
