"""What a notebook and the judge find of the same wrong answers: differences are told, or declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.authoring.modes import differences
from autograder.authoring.proof import Found, Part, Proof
from autograder.week.source import load_week

FOLDER = Path("solutions", "week01_tiny")
NAME = "same"


def proof(notebook: str, judge: str, left_out: str = "", digest: str = "d") -> Proof:
    """What the two matrices found of one misconception."""
    here = Found(digest="d", counts={}, rejecting={NAME: notebook})
    there = Found(digest=digest, counts={}, rejecting={NAME: judge}, left_out={NAME: left_out})
    return Proof(parts={Part.NOTEBOOK: here, Part.SANDBOX: there})


def declare(root: Path, tests: str) -> None:
    path = root / FOLDER / "misconceptions.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(f'name="{NAME}",') == 1
    path.write_text(text.replace(f'name="{NAME}",', f'name="{NAME}", in_one_mode={tests},'), encoding="utf-8")


def told(root: Path, found: Proof) -> list[str]:
    return [problem.message for problem in differences(load_week(root / FOLDER), found)]


BOTH, FIRST, SECOND = "double-test-1 double-test-2", "double-test-1", "double-test-2"


@pytest.mark.parametrize(
    "found",
    [
        proof(BOTH, BOTH),
        proof(FIRST, FIRST),
        proof(BOTH, FIRST, left_out=SECOND),
        proof(BOTH, FIRST, digest="of other content"),
        Proof(parts={Part.NOTEBOOK: proof(BOTH, FIRST).parts[Part.NOTEBOOK]}),
    ],
    ids=["the same", "one test", "not run for its length", "of other content", "one matrix"],
)
def test_what_is_the_same_or_unknown_is_no_difference(tiny_root: Path, found: Proof) -> None:
    assert told(tiny_root, found) == []


@pytest.mark.parametrize(
    ("found", "where"),
    [(proof(BOTH, FIRST), "a notebook"), (proof(FIRST, BOTH), "the judge")],
    ids=["notebook", "judge"],
)
def test_a_test_that_rejects_in_one_of_them_alone_is_told_until_it_is_declared(
    tiny_root: Path, found: Proof, where: str
) -> None:
    assert told(tiny_root, found) == [f"misconception '{NAME}': double-test-2 rejects it in {where} alone"]
    declare(tiny_root, '"double-test-2"')
    assert told(tiny_root, found) == []
    assert told(tiny_root, proof(BOTH, FIRST, left_out=SECOND)) == []


def test_a_declared_difference_need_not_be_there(tiny_root: Path) -> None:
    declare(tiny_root, '("double-test-2",)')
    assert told(tiny_root, proof(BOTH, BOTH)) == []
    assert told(tiny_root, proof(SECOND, FIRST)) == [
        f"misconception '{NAME}': double-test-1 rejects it in the judge alone"
    ]


def test_a_cell_whose_inputs_are_drawn_anew_is_not_compared(tiny_root: Path) -> None:
    path = tiny_root / FOLDER / "tiny.py"
    text, old = path.read_text(encoding="utf-8"), "for number in (-3, 10**9):"
    assert text.count(old) == 1
    path.write_text(text.replace(old, "for number in (-3, checks.fresh_seed()):"), encoding="utf-8")
    assert told(tiny_root, proof(BOTH, FIRST)) == []
    assert told(tiny_root, proof(SECOND, FIRST)) == [
        f"misconception '{NAME}': double-test-1 rejects it in the judge alone"
    ]
