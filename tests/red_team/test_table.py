"""The documentation lists the attacks that are tested."""

from __future__ import annotations

from .table import FAMILIES, PAGE, page


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.red_team.table"


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [case.name for module in FAMILIES.values() for case in module.CASES]
    assert len(names) == len(set(names)) >= 100
