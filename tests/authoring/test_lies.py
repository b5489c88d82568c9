"""Liars are believed exactly where a test asks for no more than somebody without the answer can say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from autograder.authoring.lies import LIARS, OPEN, Lies, find_lies
from autograder.authoring.lying import garbage
from autograder.authoring.lying.garbage import Flavor
from autograder.authoring.lying.knowledge import Inputs, Known, of_notebook
from autograder.authoring.lying.liar import Shape, _shaped, fingerprint
from autograder.cli import app
from autograder.core.errors import WorkbookError
from autograder.engine.guest import wire

HIDDEN = """with checks.step("quadruple of -5"):
    checks.equal(quadruple(-5), -20, "quadruple(-5)")"""
VISIBLE = """with checks.step("double of 2"):
    checks.equal(double(2), 4, "double(2)", causes={"this is the number itself": 2})"""


def lies_with(root: Path, old: str, new: str, exercise: str) -> Lies:
    """What lies earn in one exercise of the tiny week after one edit of its lesson."""
    path = root / "solutions" / "week01_tiny" / "tiny.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    return find_lies(path.parent, exercise=exercise, workers=2)


def by(found: Lies, test: str) -> set[str]:
    """The liars that pass a test."""
    return {name for name, passed in found.earned.items() if test in passed}


def test_values_on_hidden_inputs_earn_a_liar_nothing_and_visible_values_are_written_down(tiny_root: Path) -> None:
    found = find_lies(tiny_root / "solutions" / "week01_tiny", workers=2)
    assert found.problems == ()
    assert set(found.earned) == set(LIARS)
    assert found.open == ("double-test-1", "quadruple-test-1"), "both wholly visible, with inputs that never change"
    assert found.hidden == ("double-test-2", "quadruple-test-2")
    assert found.sum(found.open) == 40
    assert "by-heart" in by(found, "double-test-1")
    assert found.misses[0].message.startswith("double-test-1: 20 points for lies (")
    assert (found.misses[0].path.name, found.misses[0].line) == ("tiny.py", 34)


def test_fresh_inputs_close_a_wholly_visible_cell(tiny_root: Path) -> None:
    more = (
        '\nwith checks.step("double of any number"):\n    n = checks.fresh_seed()\n    checks.equal(double(n), n + n)'
    )
    found = lies_with(tiny_root, VISIBLE, VISIBLE + more, "double")
    assert found.problems == ()
    assert found.open == ()


NOTHING_CHANGED = """def after(fn, numbers):
    fn(numbers[0])
    return numbers

with checks.step("the argument is as before"):
    checks.equal(checks.beside(after, quadruple, [-5, 7, 1234]), [-5, 7, 1234], "the numbers")"""
EMPTY_LOOP = """with checks.step("five numbers"):
    for number, seen in zip((-3, -4, -5), checks.beside(lambda fn, all: [fn(n) for n in all], quadruple, [-3, -4, -5])):
        checks.equal(seen, 4 * number, "quadruple")"""
EMPTY_INSIDE = """with checks.step("two lists"):
    both = checks.beside(lambda fn: ([fn(-31), fn(-32)], [fn(-33)]), quadruple)
    checks.that(all(n % 4 == 0 and n < -100 for numbers in both for n in numbers), "all are multiples of 4")
    checks.equal(len(both), 2, "the number of lists")"""
FIRST_ONLY = """with checks.step("numbers that fall"):
    seen = checks.beside(lambda fn: [fn(-n) for n in range(900, 905)], quadruple)
    checks.that(seen == sorted(seen, reverse=True), "they fall")
    checks.that(len(seen) > 2, "there are enough")"""
ZERO = """with checks.step("nothing above"):
    checks.that(quadruple(-31) <= 0, "at most zero")
    checks.that(quadruple(-31) > -100_000, "not far below")"""
GOOD = """with checks.step("a share"):
    checks.that(checks.beside(lambda fn: 0.9 + fn(-31) / 10_000, quadruple) >= 0.85, "at least 85%")"""
LENGTHS = """with checks.step("five numbers, and as many as asked for"):
    seen = checks.beside(lambda fn, all: [fn(n) for n in all], quadruple, [-3, -4, -5])
    for number, one in zip((-3, -4, -5), seen, strict=True):
        checks.equal(one, 4 * number, "quadruple")"""


@pytest.mark.parametrize(
    ("test", "liar", "fails"),
    [
        (NOTHING_CHANGED, "stub", "emptied"),
        (EMPTY_LOOP, "emptied", "noise"),
        (EMPTY_INSIDE, "hollow", "emptied"),
        (FIRST_ONLY, "trend", "cut"),
        (ZERO, "flat", "boast"),
        (GOOD, "boast", "flat"),
    ],
)
def test_a_hidden_test_that_asks_for_too_little_is_found(tiny_root: Path, test: str, liar: str, fails: str) -> None:
    found = lies_with(tiny_root, HIDDEN, test, "quadruple")
    assert found.problems == ()
    assert liar in by(found, "quadruple-test-2")
    assert fails not in by(found, "quadruple-test-2")


def test_a_loop_that_counts_what_it_gets_is_not_passed(tiny_root: Path) -> None:
    found = lies_with(tiny_root, HIDDEN, LENGTHS, "quadruple")
    assert found.problems == ()
    assert by(found, "quadruple-test-2") == set()


def test_a_reference_that_fails_is_a_problem_and_no_proof(tiny_root: Path) -> None:
    found = lies_with(tiny_root, "return number + number", "return number + number + 1", "double")
    assert any("double-test-1 rejects the reference" in problem.message for problem in found.problems)
    assert found.problems[0] in found.misses


def test_the_list_of_open_cells_is_exact(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    (folder / OPEN).write_text('["double-test-1", "quadruple-test-1"]', encoding="utf-8")
    assert find_lies(folder, workers=2).misses == []
    (folder / OPEN).write_text('["double-test-1", "double-test-2"]', encoding="utf-8")
    first, second = find_lies(folder, workers=2).misses
    assert first.message.startswith("quadruple-test-1: 20 points for lies (")
    assert str(second) == f"{folder / OPEN}:1: double-test-2 is closed -> take it out of the list"
    (folder / OPEN).write_text('{"double-test-1": 1}', encoding="utf-8")
    with pytest.raises(WorkbookError, match=rf"{OPEN}:1: the file holds something else than it should"):
        find_lies(folder, workers=2)


def test_the_command_ends_with_1_where_lies_earn_points(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_root)
    done = CliRunner().invoke(app, ["verify", "1", "--lies", "--exercise", "double"])
    assert done.exit_code == 1
    assert "double-test-1: 20 points for lies" in done.output
    (tiny_root / "solutions" / "week01_tiny" / OPEN).write_text('["double-test-1"]', encoding="utf-8")
    done = CliRunner().invoke(app, ["verify", "1", "--lies", "--exercise", "double"])
    assert done.exit_code == 0, done.output


def test_an_unknown_exercise_is_an_error(tiny_root: Path) -> None:
    with pytest.raises(WorkbookError, match="no exercise 'triple'"):
        find_lies(tiny_root / "solutions" / "week01_tiny", exercise="triple")


# --- what can be known


def notebook() -> Known:
    return of_notebook(
        [(True, "x = [1, 2, 5]\ny = 1 / 8 - 2\nname = 'frozen head'"), (False, "about 0.75 of 4096 (-3)")]
    )


def test_literals_also_computed_ones_and_words_are_known() -> None:
    known = notebook()
    assert all(known.number(n) for n in (1, 2, 5, 8, 0.125, -1.875, 0.75, 4096, -3))
    assert not any(known.number(n) for n in (7, 0.7501, -0.75))
    assert known.word("frozen")
    assert known.word("head.frozen")
    assert known.word("float"), "names of built-in types are known to everybody"
    assert not known.word("thawed")


@pytest.mark.parametrize("row", [[1.0, 2.0, 5.0], [0.75, 0.75, 0.75], [0.0, 1.0, 2.0, 3.0], [5.0, 1.0]])
def test_rows_that_can_be_said(row: list[float]) -> None:
    assert notebook().row(row)
    assert notebook().array(torch.tensor(row))


@pytest.mark.parametrize("row", [[2.0, 1.0, 5.0], [0.7, 0.7, 0.7], [1.0, 2.0, 5.0, 1.0], [5.0, 7.0]])
def test_rows_that_cannot_be_said_though_their_numbers_are_known(row: list[float]) -> None:
    assert not notebook().row(row)
    assert not notebook().array(torch.tensor(row))


def test_inputs_their_rows_and_sizes_can_be_handed_back_but_not_the_learners_own_tensors() -> None:
    randn = torch.Generator().manual_seed(0)
    given, own = (torch.randn(3, 5, generator=randn) for _ in range(2))
    factor = 17
    inputs = Inputs({id(own): 1})
    inputs.add((given, own, lambda x: x * factor + 19, {"mode": "soft"}, torch.nn.Linear(2, 23)))
    known = inputs.known
    assert known.array(given)
    assert known.array(given.reshape(15))
    assert known.array(given[1])
    assert not known.array(own)
    assert not known.array(given + 1)
    assert all(known.number(n) for n in (3, 5, 15, 17, 19, 23))
    assert known.word("soft")
    assert known.word("weight")
    assert not known.word("hard")


# --- what is said instead


@pytest.mark.parametrize("flavor", Flavor)
@pytest.mark.parametrize("number", [3, -7, 0.25, 12.5, -0.5, 1e-3])
def test_another_number_of_the_same_type(number: float, flavor: Flavor) -> None:
    made = garbage.scalar(number, flavor)
    assert type(made) is type(number)
    assert abs(made - number) > 0.05 * abs(number)
    assert garbage.scalar(number, flavor) == made


@pytest.mark.parametrize("flavor", Flavor)
@pytest.mark.parametrize(
    "value",
    [
        torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        torch.arange(6).reshape(2, 3),
        torch.tensor([[True, False], [False, False]]),
        torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).softmax(-1),
        torch.nn.functional.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), dim=-1),
        torch.tensor(2.5, dtype=torch.float64),
        torch.tensor([1 + 2j, 3j]),
    ],
)
def test_another_tensor_of_the_same_kind(value: torch.Tensor, flavor: Flavor) -> None:
    made = garbage.tensor(value, flavor, [])
    assert (made.shape, made.dtype) == (value.shape, value.dtype)
    assert not torch.allclose(made.to(torch.complex128), value.to(torch.complex128), rtol=1e-2, atol=1e-2)
    if value.is_floating_point() and value.ndim == 2:
        for keeps in (
            lambda x: x.sum(-1),
            lambda x: x.square().sum(-1),
        ):  # as rows of a softmax, and unit rows, have it
            if torch.allclose(keeps(value), torch.ones(len(value))):
                torch.testing.assert_close(keeps(made), torch.ones(len(value)))


def test_a_made_up_tensor_keeps_its_graph() -> None:
    leaf = torch.ones(3, requires_grad=True)
    garbage.tensor(leaf * torch.tensor([1.0, 2.0, 4.0]), Flavor.NOISE, []).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [1, 2, 4]


def test_a_boaster_gives_labels_that_were_sent_as_predictions() -> None:
    labels, scores = torch.tensor([2, 0, 1, 1]), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert garbage.tensor(scores, Flavor.BOAST, [labels]).argmax(1).tolist() == labels.tolist()
    assert garbage.tensor(torch.tensor([0, 0, 1, 2]), Flavor.BOAST, [labels]).tolist() == labels.tolist()


def test_containers_are_emptied_hollowed_and_cut() -> None:
    seen = ([1, 2], {"a": torch.ones(3), "b": (4, 5)}, 6)
    assert _shaped(seen, Shape.EMPTIED) == ()
    first, second, third = _shaped(seen, Shape.HOLLOW)
    assert (first, second, third) == ([], {}, 6)
    first, second, third = _shaped(seen, Shape.CUT)
    assert (first, list(second), second["b"], third) == ([1], ["a", "b"], (4, 5), 6)
    assert second["a"].shape == (1,)
    assert _shaped(torch.ones(3, 2), Shape.EMPTIED).shape == (0, 2)


def test_a_fingerprint_tells_inputs_apart_and_objects_of_the_learners_by_their_class() -> None:
    one, same, other = torch.ones(2), torch.ones(2), torch.tensor([1.0, 2.0])
    assert fingerprint({}, "call", one, [3]) == fingerprint({}, "call", same, [3])
    assert len({fingerprint({}, "call", x, n) for x, n in ((one, [3]), (other, [3]), (one, [4]))}) == 3
    assert fingerprint({}, lambda x: x + 1) != fingerprint({}, lambda x: x + 2)
    theirs = {id(one): 1, id(other): 2}
    assert fingerprint(theirs, one) == fingerprint(theirs, other)
    assert fingerprint({}, wire.pack) != fingerprint({}, wire.unpack)
