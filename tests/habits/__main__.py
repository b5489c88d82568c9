"""`python -m tests.habits [--nbgrader] [NAME ...]` judges the habits in every way and prints the table."""

from __future__ import annotations

import sys
import time

from .judged import EXERCISES, WAYS, judges, notebook_of
from .plain import by_nbgrader
from .table import HABITS

LIKE_THE_GRADER = ("check", "submit", "grade")


def main(names: list[str], nbgrader: bool) -> None:
    """Print a line for each habit: which exercises pass in each way, and whether the ways agree.

    Parameters
    ----------
    nbgrader : the column `plain` is what `nbgrader autograde` gives, in a kernel for each notebook.
    """
    alike = named = 0
    chosen = [habit for habit in HABITS if not names or habit.name in names]
    print(f"passes of {', '.join(EXERCISES)}\n{'habit':26}", *(f"{way:8}" for way in WAYS))
    begin = time.monotonic()
    with judges() as judge:
        notebooks = {habit.name: notebook_of(judge.built, habit) for habit in chosen}
        real = by_nbgrader(judge.built, notebooks) if nbgrader else {}
        for habit in chosen:
            ways = judge.judged(habit)
            ways.passed.update({"plain": real[habit.name]} if nbgrader else {})
            marks = []
            for way in WAYS:
                passed = ways.passed[way]
                mark = "-" if passed is None else "".join("x" if one in passed else "." for one in EXERCISES)
                marks.append(f"{mark:8}")
            differ = ways.differs(LIKE_THE_GRADER if habit.kernel else ("kernel", *LIKE_THE_GRADER))
            alike += not differ
            named += bool(differ) and differ <= ways.named
            kinds = ", ".join(sorted({one.kind for one in ways.seen.differences}))
            verdict = "alike" if not differ else "named" if differ <= ways.named else "DIFFERENT"
            lost = (ways.passed["plain"] or frozenset()) - (ways.passed["grade"] or frozenset())
            less = f"  less than plain nbgrader: {', '.join(sorted(lost))}" if lost else ""
            told = f"  (submit names: {kinds})" if kinds else ""
            print(f"{habit.name:26}", *marks, f"{verdict}{less}{told}", flush=True)
    print(f"{alike} of {len(chosen)} judged alike, {named} more named; {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    words = sys.argv[1:]
    main([word for word in words if word != "--nbgrader"], "--nbgrader" in words)
