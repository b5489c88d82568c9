"""Which weeks get the long checks."""

from __future__ import annotations

import pytest

from autograder.core.errors import WorkbookError
from autograder.week.locate import all_weeks

from .chosen import ROOT, long_weeks


def test_weeks_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_WEEKS", "all")
    assert long_weeks() == all_weeks(ROOT)
    monkeypatch.setenv("WORKBOOK_WEEKS", "week03 1 03")
    assert [name[:6] for name in long_weeks()] == ["week01", "week03"]
    monkeypatch.setenv("WORKBOOK_WEEKS", "99")
    with pytest.raises(WorkbookError, match="99"):
        long_weeks()


def test_without_a_word_it_is_the_first_and_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBOOK_WEEKS", raising=False)
    weeks = all_weeks(ROOT)
    monkeypatch.setattr("tests.chosen.changed_weeks", lambda: {weeks[4], "no_week"})
    assert long_weeks() == [weeks[0], weeks[4]]
