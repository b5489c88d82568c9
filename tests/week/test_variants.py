"""Misconceptions and alternatives: they fit the reference, name what exists, and are enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.core.errors import BuildError, WorkbookError
from autograder.week.cells import Exercise
from autograder.week.locate import all_weeks
from autograder.week.source import Week, load_week
from autograder.week.variants import Alternative, Misconception, Variants, coverage, load_variants

ROOT = Path(__file__).parents[2]
WEEKS = all_weeks(ROOT)


@pytest.fixture
def week(tiny_root: Path) -> Week:
    return load_week(tiny_root / "solutions" / "week01_tiny")


def refusal(week: Week, variant: Alternative | Misconception) -> str:
    with pytest.raises(WorkbookError) as error:
        variant.source(week)
    assert error.value.next_step
    return str(error.value)


def rewritten(week: Week, file: str, old: str, new: str) -> Week:
    path = week.folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load_week(week.folder)


def test_edits_change_the_reference_where_they_say_and_nowhere_else(week: Week) -> None:
    reference = week.of_kind(Exercise, "double")[0].source
    variant = Alternative(name="x", exercise="double", edits={"number + number": "2 * n", "(number:": "(n:"})
    assert variant.source(week) == reference.replace("number + number", "2 * n").replace("(number:", "(n:")


def test_code_is_the_whole_cell(week: Week) -> None:
    assert Alternative(name="x", exercise="double", code="double = abs").source(week) == "double = abs"


@pytest.mark.parametrize(("old", "count"), [("numbre", 0), ("number", 4), ("### BEGIN", 1)])
def test_an_edit_must_match_exactly_once(week: Week, old: str, count: int) -> None:
    variant = Misconception(name="x", exercise="double", edits={old: "y"}, rejected_by="", says="", note="")
    if count == 1:
        assert "    y SOLUTION" in variant.source(week)
    else:
        said = f"{old!r} stands {count} times in the reference (line 12) -> "
        assert refusal(week, variant).startswith(said + ("quote a longer piece" if count else "copy it from there"))


@pytest.mark.parametrize(
    "edits",
    [{"number + number": "total", "total": "2"}, {"number + number": "number * 2", "number * 2": "2 * number"}],
)
def test_an_edit_must_match_the_reference_not_an_earlier_edit(week: Week, edits: dict[str, str]) -> None:
    assert "stands 0 times" in refusal(week, Alternative(name="x", exercise="double", edits=edits))


def test_edits_must_not_overlap(week: Week) -> None:
    edits = {"number + number": "2 * number", "return number +": "return 2 *"}
    said = "two edits overlap -> write them as one"
    assert refusal(week, Alternative(name="x", exercise="double", edits=edits)) == said


def test_either_edits_or_code(week: Week) -> None:
    said = "give either edits or code -> remove one, or write one"
    assert refusal(week, Alternative(name="x", exercise="double")) == said
    assert refusal(week, Alternative(name="x", exercise="double", edits={"def": "def"}, code="x")) == said


def test_a_variant_that_changes_nothing_is_refused(week: Week) -> None:
    same = {"number + number": "number + number"}
    assert "change nothing" in refusal(week, Alternative(name="x", exercise="double", edits=same))
    reference = week.of_kind(Exercise, "double")[0].source
    assert "is the reference" in refusal(week, Alternative(name="x", exercise="double", code=reference))


def test_an_unknown_exercise(week: Week) -> None:
    said = "no exercise 'triple' -> one of double, quadruple"
    assert refusal(week, Alternative(name="x", exercise="triple", code="x")) == said


def test_a_sound_week_loads(week: Week) -> None:
    variants = load_variants(week)
    assert [m.name for m in variants.misconceptions] == ["same", "small-only", "only-double", "positive-only"]
    assert [a.name for a in variants.alternatives] == ["times-two", "times-four"]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("misconceptions.py", 'name="same"', 'name="small-only"', "9: misconception 'small-only': another variant has"),
        ("alternatives.py", 'name="times-two"', 'name="same"', "4: alternative 'same': another variant has this name"),
        ("alternatives.py", '"4 * number"', '"4"}, code="x"), Alternative(name="y", exercise="double", edits={"": ""',
         "5: alternative 'times-four': give either edits or code"),
        ("alternatives.py", 'exercise="double"', 'exercise="triple"', "4: alternative 'times-two': no exercise "),
        ("misconceptions.py", '{"number + number": "number"}', '{"numbre": "number"}',
         "5: misconception 'same': 'numbre' stands 0 times"),
        ("misconceptions.py", 'rejected_by="double-test-1"', 'rejected_by="double-test-3"',
         "5: misconception 'same': there is no test 'double-test-3' of 'double' -> "
         "name one of: double-test-1, double-test-2"),
        ("misconceptions.py", 'rejected_by="double-test-1"', 'rejected_by="quadruple-test-1"',
         "5: misconception 'same': there is no test 'quadruple-test-1' of 'double' -> name one of: double-test-1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(week: Week, file: str, old: str, new: str, said: str) -> None:
    with pytest.raises(BuildError) as error:
        load_variants(rewritten(week, file, old, new))
    assert str(error.value).startswith(f"{week.folder / file}:{said}")


@pytest.mark.parametrize("file", ["misconceptions.py", "alternatives.py"])
def test_a_missing_file_is_named(week: Week, file: str) -> None:
    (week.folder / file).unlink()
    with pytest.raises(WorkbookError, match=f"{file} is missing -> write it, with a list {file[:-3].upper()}"):
        load_variants(week)


def test_coverage_finds_nothing_in_a_sound_week(week: Week) -> None:
    assert coverage(week, load_variants(week)) == []


def test_coverage_wants_two_misconceptions_an_exercise(week: Week) -> None:
    variants = load_variants(week)
    some = tuple(m for m in variants.misconceptions if m.name != "small-only")
    (problem,) = coverage(week, Variants(some, variants.alternatives))
    assert (problem.path, problem.line) == (week.script, week.of_kind(Exercise, "double")[0].line)
    assert problem.message == "exercise 'double' has 1 misconceptions"
    assert problem.remedy == "write at least two in misconceptions.py"
    none = coverage(week, Variants((), variants.alternatives))
    assert [p.message for p in none] == [f"exercise {name!r} has 0 misconceptions" for name in ("double", "quadruple")]


def test_coverage_wants_a_proof_of_forbids(week: Week) -> None:
    header = '# %% test="double" points=20\nwith checks.step("double of 2"):'
    forbids = header.replace("20\n", '20 forbids="operator.add"\n')
    week = rewritten(week, "tiny.py", header, f"{forbids}\n    checks.forbidden(FORBIDDEN, double, 2)")
    variants = load_variants(week)
    (problem,) = coverage(week, variants)
    assert problem.message == "no proof of the forbids of 'double-test-1'"
    assert "write a misconception that takes the shortcut" in problem.remedy
    assert [c.line for c in week.cells if c.id == "double-test-1"] == [problem.line]

    def with_proof(rejected_by: str, says: str) -> Variants:
        proof = Misconception(name="shortcut", exercise="double", code="x", rejected_by=rejected_by, says=says, note="")
        return Variants((*variants.misconceptions, proof), variants.alternatives)

    assert coverage(week, with_proof("double-test-1", "a library call does the work")) == []
    assert len(coverage(week, with_proof("double-test-2", "a library call does the work"))) == 1
    assert len(coverage(week, with_proof("double-test-1", "not as expected"))) == 1


def test_there_are_weeks() -> None:
    assert WEEKS


@pytest.mark.parametrize("name", WEEKS)
def test_every_week_has_fitting_and_enough_variants(name: str) -> None:
    week = load_week(ROOT / "solutions" / name)
    variants = load_variants(week)
    assert coverage(week, variants) == []
    for exercise in week.exercises:
        assert sum(m.exercise == exercise for m in variants.misconceptions) >= 2, exercise
        assert any(a.exercise == exercise for a in variants.alternatives), exercise
