"""Whose folder is it? From what a path says to a learner of the course, always the same one; and who is in a group."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..core.files import write_text
from ..course.folder import Course
from ..course.roster import WHO, Known, Person, attempts_folder, folder_name, read_known, read_roster
from .identify import Claim, Member
from .layouts import Layout

BY_HAND = (Layout.FOLDER, Layout.LOOSE, Layout.RECEIPT)
"""Layouts in which no platform wrote the name: it may be any that a person has."""
LASTING = (Layout.CANVAS, Layout.ILIAS, Layout.GRADESCOPE)
"""Layouts whose number for a person is the same in every assignment."""


@dataclass(frozen=True)
class Assigned:
    """The folders of those whose a file is: none where it names nobody, several for a group. `group`: its name."""

    folders: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, order=True)
class _Named:
    """What tells people apart in one collection."""

    name: str
    layout: str = ""
    number: str = ""
    also: tuple[str, ...] = ()

    @property
    def canvas(self) -> str:
        return self.number if self.layout == Layout.CANVAS else ""

    @property
    def moodle(self) -> str:
        return self.number if self.layout == Layout.MOODLE else ""

    @property
    def lasting(self) -> str:
        return self.number if self.layout in LASTING else ""


class Class:
    """Finds the folder of a learner for what a path says.

    First by the roster (number, folder, login, address, name in either order), then by what earlier collections told,
    then by the name itself. A folder that another person has is never given away: the number or a few digits are added.
    """

    def __init__(self, course: Course) -> None:
        self.course = course
        self.people = read_roster(course)
        self.known = {known.learner: known for known in read_known(course)}
        taken = [*(person.learner for person in self.people), *self.known]
        if course.submitted.is_dir():
            taken += sorted(path.name for path in course.submitted.iterdir() if path.is_dir())
        self._taken = {name.casefold(): name for name in taken}
        self._claimed: Counter[str] = Counter()
        """Learner on the roster -> how many people of a platform, in this source, are called so."""
        self.groups: dict[str, list[str]] = {}
        """Name of a group, as the roster has it -> its members, in the roster's order."""
        for person in self.people:
            if person.group:
                self.groups.setdefault(person.group, []).append(person.learner)

    def folder_of(self, name: str) -> str:
        """The folder of somebody of the class who is called so; "" where nobody is, or several are."""
        found = {person.learner for person in self.people if _is(person, _Named(name))}
        found |= {one.learner for one in self.known.values() if name in (one.name, one.learner)}
        return found.pop() if len(found) == 1 else ""

    def group_of(self, learner: str) -> str:
        """The group of a learner on the roster; "" for none."""
        return next((person.group for person in self.people if person.learner == learner), "")

    def has(self, name: str) -> bool:
        """Whether exactly one person on the roster is called so."""
        return sum(_is(person, _Named(name)) for person in self.people) == 1

    def whole(self, one: Assigned) -> Assigned:
        """The whole group of the one person whose a file is; where they are in none, as it was."""
        group = self.group_of(one.folders[0]) if len(one.folders) == 1 else ""
        return Assigned(tuple(self.groups[group]), one.notes, group) if group else one

    def assign(self, claims: Iterable[Claim], week: str) -> dict[Claim, Assigned]:
        """Claim -> whose it is; for all of one collection."""
        asked = list(claims)
        together = {claim: self._members(claim) for claim in asked if claim.learner}
        persons = {one for claim in together for one in (together[claim] or (_named(claim),))}
        names = Counter(_folded(name) for name in {(one.name, one.layout, one.number) for one in persons})
        self._claimed = Counter(
            match.learner
            for one in persons
            if one.layout
            for match in self.people
            if _is(match, one) or _aka(match, one)
        )
        given = {one: self._assign(one, week, names[_folded((one.name,))] > 1) for one in sorted(persons)}
        out: dict[Claim, Assigned] = {claim: Assigned() for claim in asked}
        for claim, members in together.items():
            found = [given[one] for one in members or (_named(claim),)]
            folders = tuple(dict.fromkeys(folder for folder, _ in found))
            notes = tuple(dict.fromkeys(note for _, some in found for note in some))
            group = (self._group_called(claim.learner) or ", ".join(folders)) if members else ""
            out[claim] = Assigned(folders, notes, group)
        return out

    def _group_called(self, name: str) -> str:
        """The group that a platform's name stands for, `Team A` or Canvas's `teama`; "" where somebody is called so."""
        found = [group for group in self.groups if name == group or (_letters(name) == _letters(group) != "")]
        if len(found) != 1 or any(_is(person, _Named(name)) for person in self.people):
            return ""
        return found[0]

    def _members(self, claim: Claim) -> tuple[_Named, ...]:
        """The people of a group's claim; none for the claim of one person.

        Canvas gives the number of the member who submitted: somebody who merely is called as the group has another.
        """
        if claim.members:
            return tuple(_of_member(one, claim.layout) for one in claim.members)
        if claim.layout is Layout.RECEIPT:
            return ()
        group = self._group_called(claim.learner)
        numbers = {person.id for person in self.people if group and person.group == group} - {""}
        if claim.layout is Layout.CANVAS and numbers and claim.number not in numbers:
            return ()
        return tuple(_Named(learner) for learner in self.groups.get(group, ()))

    def _assign(self, person: _Named, week: str, shared: bool) -> tuple[str, list[str]]:
        """The folder of one person; `shared`: somebody else in this collection has the same name."""
        learner = person.name
        notes = []
        if self.people:
            matches, certain = self._on_the_roster(person)
            if len(matches) == 1 and (certain or not (shared and person.number)):
                return self._remember(matches[0].learner, person, week), []
            notes.append(f"{len(matches)} people on the roster have this name" if matches else "is not on the roster")
        known = [one for one in self.known.values() if _same_number(one, person, week)]
        if not known and not shared:
            known = [one for one in self.known.values() if one.name == learner and not (person.canvas and one.canvas)]
            known = [one for one in known if not _other_number(one, person)]
        if not known and not person.number:
            known = [one for one in self.known.values() if one.name == learner]
        if len(known) == 1:
            if _folded((known[0].name,)) != _folded((learner,)):
                notes.append(f"was called {known[0].name!r} in an earlier collection")
            return self._remember(known[0].learner, person, week), notes
        plain = folder_name(learner) or "unnamed"
        if plain != learner:
            notes.append(f"is called {learner!r} in the source")
        if len(scripts := _scripts(plain)) > 1:
            notes.append(f"mixes letters of {' and '.join(scripts)}, so it may look like another name")
        other = self._taken.get(plain.casefold(), plain)
        by_hand = other == plain and plain not in self.known and plain not in {one.learner for one in self.people}
        if not shared and not known and by_hand:  # nobody's yet, or a folder that the instructor made
            return self._remember(plain, person, week), notes
        number = person.number or hashlib.sha256(learner.encode()).hexdigest()[:4]
        notes.append("shares this name with somebody else, so a number was added; a roster.csv tells them apart")
        return self._remember(f"{plain} {number}", person, week), notes

    def _on_the_roster(self, person: _Named) -> tuple[list[Person], bool]:
        """Who of the roster it is, and whether a number says so: by what the platform calls them, else by other names.

        Another name is one that its owner may have chosen: it counts where no one else in the source is that person.
        """
        matches = [someone for someone in self.people if _is(someone, person)]
        if not matches:
            matches = [one for one in self.people if _aka(one, person) and self._claimed[one.learner] == 1]
        certain = [one for one in matches if person.lasting and person.lasting in (one.id, *one.names)]
        return matches, bool(certain)

    def _remember(self, folder: str, person: _Named, week: str) -> str:
        known = self.known.setdefault(folder, Known(folder, person.name))
        known.canvas = person.canvas or known.canvas
        if person.moodle:
            known.moodle[week] = person.moodle
        elif person.lasting and not person.canvas:
            known.numbers[person.layout] = person.lasting
        self._taken.setdefault(folder.casefold(), folder)
        return folder

    def save(self, learners: Sequence[str]) -> None:
        """Keep what is known of these learners for the next collection."""
        for learner in learners:
            known = self.known.setdefault(learner, Known(learner, learner))
            told: dict[str, object] = {"name": known.name, "canvas": known.canvas}
            told["moodle"] = dict(sorted(known.moodle.items()))
            if known.numbers:
                told["numbers"] = dict(sorted(known.numbers.items()))
            text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
            write_text(attempts_folder(self.course, learner) / WHO, text)


def _named(claim: Claim) -> _Named:
    number = claim.number if claim.layout in (*LASTING, Layout.MOODLE) else ""
    return _Named(claim.learner, "" if claim.layout in BY_HAND else claim.layout.value, number, claim.also)


def _of_member(one: Member, layout: Layout) -> _Named:
    return _Named(one.name, layout.value, one.number, one.also)


def _folded(person: tuple[str, ...]) -> str:
    return folder_name(person[0]).casefold()


def _is(person: Person, named: _Named) -> bool:
    """Whether a line of the roster is the person that a path names."""
    if person.id and named.canvas:
        return person.id == named.canvas
    known = {person.learner, person.id, *person.names} - {""}
    if named.name in known or (named.layout in (Layout.GRADESCOPE, Layout.ILIAS) and named.number in known):
        return True
    address, name = person.email.partition("@")[0], _letters(named.name)
    if person.email and named.name.casefold() in (person.email.casefold(), address.casefold()):
        return True
    return bool(name) and name in _turned(person.name)


def _aka(person: Person, named: _Named) -> bool:
    """Whether one of the other names that a platform has is a line of the roster's.

    Moodle writes a team before a name; what follows it counts where the roster has the person in that team.
    """
    for other in named.also:
        if named.layout == Layout.MOODLE:
            team = named.name[: -len(other)].rstrip(" -")
            if not team or _letters(team) != _letters(person.group):
                continue
        if _is(person, _Named(other)):
            return True
    return False


@lru_cache(maxsize=10_000)
def _turned(name: str) -> frozenset[str]:
    """The letters of a name with its words in any turn: `Lee, Ann` is `leeann` and `annlee`."""
    words = name.replace(",", " ").split()
    return frozenset(_letters("".join(words[i:] + words[:i])) for i in range(len(words)))


@lru_cache(maxsize=10_000)
def _letters(text: str) -> str:
    """Letters and digits alone, small: Canvas writes `Lee, Ann` as `leeann`."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _scripts(text: str) -> list[str]:
    """Of the alphabets whose letters look like each other's, those that a name uses."""
    found = {unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()}
    return sorted(found & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def _same_number(known: Known, person: _Named, week: str) -> bool:
    """Whether a platform's number says that this is somebody from an earlier collection."""
    if person.canvas:
        return person.canvas == known.canvas
    if person.moodle:
        return person.moodle == known.moodle.get(week)
    return bool(person.lasting) and known.numbers.get(person.layout) == person.lasting


def _other_number(known: Known, person: _Named) -> bool:
    """Whether the same platform has another number for somebody of this name: then it is somebody else."""
    return bool(person.lasting) and known.numbers.get(person.layout, person.lasting) != person.lasting
