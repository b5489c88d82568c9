"""The verify matrix finds what is wrong with tests, misconceptions and alternatives."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.authoring.matrix import Matrix
from autograder.authoring.verify import verify_week
from autograder.core.errors import WorkbookError


def matrix_with(root: Path, file: str, old: str, new: str) -> Matrix:
    """The matrix of the tiny week after one edit of one of its files."""
    path = root / "solutions" / "week01_tiny" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    return verify_week(path.parent, workers=2)


def test_a_sound_week_has_no_misses(tiny_root: Path) -> None:
    matrix = verify_week(tiny_root / "solutions" / "week01_tiny", workers=2)
    assert matrix.misses == []
    rows = {row.name: row for row in matrix.rows}
    assert list(rows) == [
        "reference",
        "stubs",
        "same",
        "small-only",
        "only-double",
        "positive-only",
        "times-two",
        "times-four",
    ]
    assert rows["reference"].points == {"double": 40, "quadruple": 40}
    assert rows["stubs"].points == {"double": 0, "quadruple": 0}
    assert rows["same"].points["quadruple"] is None, "quadruple uses double, so it is not run"
    assert rows["only-double"].points["double"] == 40
    assert [row.name for row in matrix.rows if row.hidden_only] == ["small-only", "positive-only"]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("misconceptions.py", 'says="this is the double"', 'says="twice"', "does not say 'twice'"),
        (
            "misconceptions.py",
            '{"number + number": "number"}',
            '{"number + number": "number * 2"}',
            "does not reject it",
        ),
        ("alternatives.py", '"4 * number"', '"3 * number"', "rejects a right answer"),
        (
            "misconceptions.py",
            '"abs(double(double(number)))"},\n        rejected_by="quadruple-test-2", says="quadruple of -5"',
            '"0 + double(number)"},\n        rejected_by="quadruple-test-1", says="this is the double"',
            "get the same message",
        ),
        ("tiny.py", "-20, ", "-21, ", "reference: quadruple-test-2 rejects"),
        (
            "tiny.py",
            "    return number + number\n",
            "    return (number + number) + 1\n",
            "reference: double-test-1 rejects",
        ),
    ],
)
def test_every_kind_of_miss_is_found(tiny_root: Path, file: str, old: str, new: str, said: str) -> None:
    misses = matrix_with(tiny_root, file, old, new).misses
    assert any(said in str(miss) for miss in misses), misses


def test_a_stub_that_earns_points_is_a_miss(tiny_root: Path) -> None:
    check = 'checks.equal(quadruple(1), 4, "quadruple(1)", causes={"this is the double": 2})'
    old = f'with checks.step("quadruple of 1"):\n    {check}'
    misses = matrix_with(tiny_root, "tiny.py", old, 'checks.that(callable(quadruple), "it can be called")').misses
    (miss,) = misses
    assert "untouched stub of 'quadruple' earns 20 points" in miss.message


def test_a_misconception_that_costs_points_elsewhere_is_a_miss(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    variants = (folder / "misconceptions.py").read_text(encoding="utf-8")
    spoiling = '"abs(double(double(number)))\\n\\nchecks.equal = checks.fail"'
    variants = variants.replace('"abs(double(double(number)))"', spoiling)
    (folder / "misconceptions.py").write_text(variants, encoding="utf-8")
    # put a test of the first exercise behind the second exercise, which spoils the checks
    lesson = (folder / "tiny.py").read_text(encoding="utf-8")
    begin, end = (
        lesson.index('# %% test="double" points=20\nwith checks.step("double of 0")'),
        lesson.index('# %% [markdown] about="quadruple"'),
    )
    moved = lesson[:begin] + lesson[end:] + "\n" + lesson[begin:end]
    (folder / "tiny.py").write_text(moved, encoding="utf-8")
    misses = verify_week(folder, workers=2).misses
    assert any("it costs 20 points in 'double', which does not use it" in miss.message for miss in misses), misses


def test_one_exercise_alone(tiny_root: Path) -> None:
    matrix = verify_week(tiny_root / "solutions" / "week01_tiny", exercise="quadruple", workers=2)
    assert [row.name for row in matrix.rows] == [
        "reference",
        "stubs",
        "only-double",
        "positive-only",
        "times-four",
    ]
    assert matrix.misses == []


def test_an_unknown_exercise_is_an_error(tiny_root: Path) -> None:
    with pytest.raises(WorkbookError, match="no exercise 'triple'"):
        verify_week(tiny_root / "solutions" / "week01_tiny", exercise="triple")
