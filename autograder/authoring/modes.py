"""A notebook and the judge say the same of the same wrong answers, but for what a misconception says itself.

In the judge arguments cross to the sandbox as copies. A wrong answer that changes its argument in place is rejected in
both by the check that compares the argument; the checks behind it meet the change in a notebook alone. What a wrong
answer leaves behind may or may not reach a later check, so a declared difference need not be there in every run. Cells
whose inputs are drawn anew are left out: whether a wrong answer passes them may be luck.
"""

from __future__ import annotations

from collections.abc import Collection

from ..core.errors import Problem
from ..week.cells import Test
from ..week.drawn import drawn_lines
from ..week.source import Week
from ..week.variants import Places, load_misconceptions
from .proof import Part, Proof


def differences(week: Week, proof: Proof) -> list[Problem]:
    """What the two matrices of a proof say differently; nothing while one is missing or of other content."""
    here, there = proof.parts.get(Part.NOTEBOOK), proof.parts.get(Part.SANDBOX)
    if here is None or there is None or here.digest != there.digest:
        return []
    luck = frozenset(cell.id for cell in week.of_kind(Test) if drawn_lines(cell.source))
    places, found = Places(week), []
    for item in load_misconceptions(week):
        unknown = luck | _tests(here.left_out, item.name) | _tests(there.left_out, item.name)
        in_notebook, in_judge = (_tests(part.rejecting, item.name) - unknown for part in (here, there))
        for one, other, where in ((in_notebook, in_judge, "a notebook"), (in_judge, in_notebook, "the judge")):
            if more := one - other - item.not_always:
                message = f"{_listed(more)} rejects it in {where} alone"
                remedy = "compare values that only a right answer gives; if it changes an argument: in_one_mode=..."
                found.append(places.problem(item, message, remedy))
    return found


def _tests(by_name: dict[str, str], name: str) -> frozenset[str]:
    return frozenset(by_name.get(name, "").split())


def _listed(tests: Collection[str]) -> str:
    return ", ".join(sorted(tests))
