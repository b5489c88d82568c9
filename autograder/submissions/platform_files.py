"""What platforms write beside the work about whose it is: Gradescope's metadata, Blackboard's receipts.

They are read where the platform puts them: at the top of a download, where no learner can put anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..repair.confined import Confined, ConfinedError
from ..repair.damage import DamagedError
from .entries import Entry
from .identify import Claim, Member
from .layouts import Layout

METADATA = "submission_metadata.yml"
GRADESCOPE_WRAPPER = re.compile(r"assignment_\d+_export")
RECEIPT_HEAD = re.compile(r"(?P<head>.+)_attempt_\d{4}(?:-\d\d){5}\.txt")
NAME_LINE = re.compile(r"^Name: (?P<name>.+) \((?P<login>[^()\s]+)\)\s*$", re.MULTILINE)
MAX_RECEIPT = 100_000
MANY = 100
"""More submitters than this are not a group."""


@dataclass(frozen=True)
class Submitted:
    """What Gradescope says of a submission."""

    members: tuple[Member, ...]
    moment: datetime | None


def completed(found: Sequence[Entry], said: Sequence[Claim]) -> list[Claim]:
    """The claims with what the platform's own files say."""
    layouts = {claim.layout for claim in said}
    made = list(said)
    if Layout.GRADESCOPE in layouts:
        told = _metadata(found)
        made = [_by_metadata(claim, told) for claim in made]
    if Layout.BLACKBOARD in layouts:
        logins = _logins([one for one, claim in zip(found, said, strict=True) if claim.layout is Layout.BLACKBOARD])
        made = [_by_receipt(claim, entry, logins) for claim, entry in zip(made, found, strict=True)]
    return made


def _by_metadata(claim: Claim, told: dict[str, Submitted]) -> Claim:
    if claim.layout is not Layout.GRADESCOPE or claim.unclear:
        return claim
    one = told.get(claim.learner)
    if one is None or not one.members:
        return replace(claim, unclear=f"{METADATA} does not say who submitted {claim.learner}")
    first = one.members[0]
    alone = replace(claim, learner=first.name, number=first.number, also=first.also, moment=one.moment)
    return alone if len(one.members) == 1 else replace(alone, members=one.members)


def _metadata(found: Sequence[Entry]) -> dict[str, Submitted]:
    """Folder of a submission -> who submitted it; of the file at the top of Gradescope's export alone."""
    for entry in found:
        around = entry.parts[:-1]
        at_top = not around or (len(around) == 1 and GRADESCOPE_WRAPPER.fullmatch(around[0]))
        if entry.name == METADATA and at_top and not entry.problem:
            try:
                with Confined(read_metadata, cpu_seconds=60) as process:
                    told = process.ask(entry.read())
            except (DamagedError, ConfinedError):
                return {}
            return {name: _submitted(one) for name, one in told.items()}
    return {}


def _submitted(told: dict[str, object]) -> Submitted:
    people, moment = told["people"], str(told["moment"])
    members = [Member(name, number, (email,) if email else ()) for name, number, email in people]  # type: ignore[attr-defined]
    return Submitted(tuple(members), datetime.fromisoformat(moment) if moment else None)


def read_metadata(given: object, content: bytes) -> dict[str, object]:
    """The submitters and times in Gradescope's metadata. A work for `confined`; `given` is nothing.

    Raises
    ------
    DamagedError
        when it is not valid YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        raw = yaml.load(content, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DamagedError(f"{METADATA} is not valid YAML ({type(error).__name__})") from None
    out: dict[str, object] = {}
    for name, about in raw.items() if isinstance(raw, dict) else ():
        if not isinstance(about, dict) or not isinstance(about.get(":submitters"), list):
            continue
        people = []
        for person in about[":submitters"][:MANY]:
            if isinstance(person, dict) and person.get(":name"):
                people.append([_line(person.get(key)) for key in (":name", ":sid", ":email")])
        moment = about.get(":created_at")
        if isinstance(moment, datetime) and moment.tzinfo:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        told = moment.replace(microsecond=0).isoformat() if isinstance(moment, datetime) else ""
        out[_line(name)] = {"people": people, "moment": told}
    return out


def _line(value: object) -> str:
    return " ".join(str("" if value is None else value).split())[:200]


def _logins(found: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """What stands before `_attempt_` -> login and name, by the receipts that Blackboard writes for each attempt."""
    logins: dict[str, tuple[str, str]] = {}
    for entry in found:
        receipt = RECEIPT_HEAD.fullmatch(entry.name) if not entry.problem else None
        if not receipt or "_attempt_" in receipt["head"]:
            continue
        try:
            text = entry.read()[:MAX_RECEIPT].decode("utf-8-sig", "replace")
        except DamagedError:
            continue
        name = NAME_LINE.search(text)
        if name and receipt["head"].endswith(f"_{name['login']}"):
            logins[receipt["head"]] = name["login"], name["name"]
    return logins


def _by_receipt(claim: Claim, entry: Entry, logins: dict[str, tuple[str, str]]) -> Claim:
    """A login may hold an underscore, so a name alone does not say where it begins; the receipt does."""
    known = logins.get(entry.name.partition("_attempt_")[0])
    if claim.layout is not Layout.BLACKBOARD or not known:
        return claim
    return replace(claim, learner=known[0], also=(known[1],))
