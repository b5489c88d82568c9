"""A notebook and the judge say the same of the same wrong answers, but for what a week says itself.

In the judge arguments cross to the sandbox as copies. A wrong answer that changes its argument in place is rejected
there by the check that compares the argument, and no longer by every check behind it. The other way round is a fault:
`check` would tell a learner that a test passes, and the grader would take its points.
"""

from __future__ import annotations

from collections.abc import Collection

from ..core.errors import Problem
from ..week.source import Week
from ..week.variants import Places, load_misconceptions
from .proof import Part, Proof


def differences(week: Week, proof: Proof) -> list[Problem]:
    """What the two matrices of a proof say differently; nothing while one is missing or of other content."""
    here, there = proof.parts.get(Part.NOTEBOOK), proof.parts.get(Part.SANDBOX)
    if here is None or there is None or here.digest != there.digest:
        return []
    places, found = Places(week), []
    for item in load_misconceptions(week):
        unknown = _tests(here.left_out, item.name) | _tests(there.left_out, item.name)
        in_notebook = _tests(here.rejecting, item.name) - unknown
        in_judge = _tests(there.rejecting, item.name) - unknown
        if more := in_judge - in_notebook:
            message = f"{_listed(more)} passes it in a notebook and rejects it in the judge"
            remedy = "make the check see in a notebook what it sees there: a learner is told it is right"
            found.append(places.problem(item, message, remedy))
        if more := in_notebook - in_judge - item.not_in_the_judge:
            message = f"{_listed(more)} rejects it in a notebook and passes it in the judge"
            remedy = "compare values there; where it changes an argument in place: only_in_a_notebook=..."
            found.append(places.problem(item, message, remedy))
        if gone := item.not_in_the_judge - (in_notebook - in_judge) - unknown:
            message = f"{_listed(gone)} does not reject it in a notebook alone"
            found.append(places.problem(item, message, "remove it from `only_in_a_notebook`"))
    return found


def _tests(by_name: dict[str, str], name: str) -> frozenset[str]:
    return frozenset(by_name.get(name, "").split())


def _listed(tests: Collection[str]) -> str:
    return ", ".join(sorted(tests))
