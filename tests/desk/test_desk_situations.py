"""Every situation at the desk ends as it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from .. import desk_table
from ..desk_situations import SITUATIONS, Situation, came, make

assert desk_table.__doc__  # it fills SITUATIONS


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("desk") / "base").root


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: f"{one.kind}: {one.name}")
def test_a_situation_ends_as_it_must(
    situation: Situation, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert came(situation, base, tmp_path) == situation.expected


def test_the_table_is_large_and_no_situation_stands_twice() -> None:
    names = [(one.kind, one.name) for one in SITUATIONS]
    assert len(names) == len(set(names)) >= 60
