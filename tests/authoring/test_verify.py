"""The verify matrix finds what is wrong with tests, misconceptions and alternatives."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.authoring.matrix import Matrix, Row, shared_causes
from autograder.authoring.verify import verify_week
from autograder.core.errors import WorkbookError
from autograder.week.variants import Misconception


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


# ---- a cause is told of one mistake


def with_edits(root: Path, *edits: tuple[str, str, str], exercise: str = "") -> Matrix:
    """The matrix of the tiny week, or of one exercise, after edits of its files."""
    folder = root / "solutions" / "week01_tiny"
    for file, old, new in edits:
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return verify_week(folder, exercise=exercise, workers=2)


def one_cause(declared: str) -> tuple[tuple[str, str, str], ...]:
    """A probe that cannot tell the double from what is just too small, and both of these mistakes."""
    more = f"""    Misconception(
        name="too-small", exercise="quadruple", edits={{"double(double(number))": "double(number) + 1"}},
        rejected_by="quadruple-test-1", says="this is the double", note="One is not two.", {declared}
    ),
]
"""
    return (
        ("tiny.py", '{"this is the double": 2}', '{"this is the double": lambda: quadruple(1) < 4}'),
        ("misconceptions.py", "    ),\n]\n", f"    ),\n{more}"),
    )


@pytest.mark.parametrize("exercise", ["", "quadruple"])
def test_two_mistakes_that_are_told_one_cause_are_a_miss(tiny_root: Path, exercise: str) -> None:
    (miss,) = with_edits(tiny_root, *one_cause(""), exercise=exercise).misses
    told = "in quadruple-test-1 this and 'only-double' are told the same cause: this is the double"
    assert miss.message == f"misconception 'too-small': {told}"
    assert "same_cause_as='only-double'" in miss.remedy
    lines = (tiny_root / "solutions" / "week01_tiny" / "misconceptions.py").read_text(encoding="utf-8").splitlines()
    assert "says" in lines[miss.line - 1]


@pytest.mark.parametrize("declared", ['"only-double"', '("only-double",)'])
def test_a_cause_that_is_true_of_both_is_said_to_be(tiny_root: Path, declared: str) -> None:
    assert with_edits(tiny_root, *one_cause(f"same_cause_as={declared}")).misses == []


def test_a_cause_told_by_another_test_than_the_one_named_counts_too(tiny_root: Path) -> None:
    """Its own test says the truth about `positive-only`; an earlier one blames it for being the double."""
    matrix = with_edits(
        tiny_root,
        ("tiny.py", 'checks.equal(quadruple(1), 4, "quadruple(1)", causes={"this is the double": 2})',
         'checks.equal(quadruple(-1), -4, "quadruple(-1)", causes={"this is the double": lambda: True})'),
    )  # fmt: skip
    told = [miss.message for miss in matrix.misses if miss.path.name == "misconceptions.py"]
    assert told == [
        "misconception 'positive-only': in quadruple-test-1 this and 'only-double' are told the same cause: "
        "this is the double"
    ]


def test_a_declaration_that_does_not_hold_is_a_miss(tiny_root: Path) -> None:
    old = 'says="this is the double",'
    edit = ("misconceptions.py", old, f'{old} same_cause_as="positive-only",')
    (miss,) = with_edits(tiny_root, edit).misses
    assert "no cause is told for both, this and 'positive-only'" in miss.message


def test_a_declaration_names_another_misconception_of_the_exercise(tiny_root: Path) -> None:
    for name in ("same", "only-double", "nobody"):
        old = 'says="this is the double",'
        path = tiny_root / "solutions" / "week01_tiny" / "misconceptions.py"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, f'{old} same_cause_as="{name}",'), encoding="utf-8")
        with pytest.raises(WorkbookError, match=f"there is no other misconception '{name}' of 'quadruple'"):
            verify_week(path.parent, workers=1)
        path.write_text(text, encoding="utf-8")


def test_a_declared_cause_is_missed_only_where_all_tests_were_run() -> None:
    """A long test behind the one that rejects is left out, and so is what it would have told."""
    first, second = (
        Misconception(
            name=name, exercise="double", rejected_by="double-test-1", says=name, note="x", same_cause_as=same
        )
        for name, same in (("once", ()), ("twice", ("once",)))
    )

    def told(verdicts: dict[str, str]) -> list[str]:
        rows = [
            Row(item.name, "misconception", "double", {}, verdicts, left_out=["double-test-2"])
            for item in (first, second)
        ]
        return [message for _, message, _ in shared_causes(list(zip((first, second), rows, strict=True)))]

    ran = {"double-test-1": "FAIL", "double-test-2": "PASS"}
    assert told(ran) == ["no cause is told for both, this and 'once'"]
    assert told({"double-test-1": "FAIL"}) == []
