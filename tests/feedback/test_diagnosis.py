"""Naming a misconception by what an answer does: signatures, matching, the kept table."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from nbformat.notebooknode import NotebookNode

from autograder.execution.verdicts import CellRun, Verdict
from autograder.feedback import diagnosis
from autograder.feedback.diagnosis import Signature, diagnose, matching, signature, signatures
from autograder.week.notebooks import Notebooks
from autograder.week.source import Week
from autograder.week.variants import Misconception, load_variants
from shared.checks.kinds import Kind

from ..inprocess import judge

PASSED = CellRun(Verdict.PASS)


def failed(check: str = "double of 2: double(2) not as expected", **parts: str) -> CellRun:
    said = {"check": check, "came": "", "expected": "", "where": "", "cause": ""} | parts
    return CellRun(Verdict.FAIL, check, check=said, line=2)


def known_signatures(built: Notebooks, exercises: Sequence[str] = ()) -> dict[str, Signature]:
    """The signatures of all misconceptions of a week, or of those of some exercises."""
    return {
        item.name: signature(built.week, item.exercise, judge(built, {item.exercise: item.source(built.week)}))
        for item in load_variants(built.week).misconceptions
        if not exercises or item.exercise in exercises
    }


def named(built: Notebooks, known: Mapping[str, Signature], exercise: str, code: str) -> list[str]:
    return matching(signature(built.week, exercise, judge(built, {exercise: code}, exercise)), known)


# what an answer does counts, not how it is written


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def double(number):\n    result = number\n    return result", ["same"]),
        ("double = lambda n: n * 1", ["same"]),
        (
            "class Doubler:\n    def __call__(self, n):\n        return abs(n) if n > 0 else n\ndouble = Doubler()",
            ["same"],
        ),
        ("def double(n):\n    return 0 if n > 99 else 2 * n", ["small-only"]),
        ("def double(n):\n    # return number\n    return 2 * n", []),
        ('def double(n):\n    """return number"""\n    return 2 * n', []),
        ("def double(number):\n    return number + 1  # return number", []),
        ("def double(n):\n    raise ZeroDivisionError('same')", []),
        ("def double(n): return n n", []),
    ],
)
def test_behavior_is_matched_whatever_the_text(tiny: Notebooks, code: str, expected: list[str]) -> None:
    assert named(tiny, known_signatures(tiny), "double", code) == expected


@pytest.fixture(scope="module")
def known(attention: Notebooks) -> dict[str, Signature]:
    found = {}
    for item in load_variants(attention.week).misconceptions:
        if item.exercise in ("sdpa", "flops"):
            verdicts = judge(attention, {item.exercise: item.source(attention.week)}, item.exercise)
            found[item.name] = signature(attention.week, item.exercise, verdicts)
    return found


def sdpa(
    *,
    divide: str = "math.sqrt(d)",
    fill: str = "torch.finfo(scores.dtype).min",
    hide: str = "mask.bool().logical_not()",
    before: str = "",
    after: str = "weights = self.drop(weights)",
    loop: bool = False,
    comment: str = "",
) -> str:
    """Attention written with einsum, torch.where and exp: no line of it is the reference's."""
    scores = "torch.einsum('bhqd,bhkd->bhqk', query, key)"
    if loop:
        scores = "torch.cat([query[:, :, i:i + 1] @ key.mT for i in range(query.shape[2])], dim=2)"
    return f"""
class ScaledDotProductAttention(nn.Module):
    def __init__(self, head_dim, dropout=0.0):
        super().__init__()
        self.drop = nn.Dropout(dropout)

    def forward(self, query, key, value, mask=None):
        {comment}
        d = query.size(3)
        if d != key.size(3):
            raise ValueError("widths differ")
        scores = {scores} / {divide}
        if mask is not None:
            scores = torch.where({hide}, torch.full_like(scores, {fill}), scores)
        {before}
        powers = torch.exp(scores - scores.max(-1, keepdim=True).values)
        weights = powers / powers.sum(-1, keepdim=True)
        {after}
        return torch.einsum('bhqk,bhkv->bhqv', weights, value), weights
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sdpa(divide="d"), ["scale-by-d"]),
        (sdpa(divide="1"), ["no-scale"]),
        (sdpa(hide="mask.bool()"), ["mask-inverted"]),
        (sdpa(fill="0.0"), ["fill-with-zero"]),
        (sdpa(fill="-1e9"), ["literal-minus-1e9"]),
        (sdpa(fill="-math.inf"), ["minus-infinity-without-guard"]),
        (sdpa(after="", before="scores = self.drop(scores)"), ["dropout-on-scores"]),
        (sdpa(loop=True), ["loop-over-queries"]),
        (sdpa(), []),
        (sdpa(comment="self.scale = 1.0 / head_dim"), []),
        (sdpa(comment="# masked_fill(mask != 0, -1e9)"), []),
    ],
)
def test_a_rewritten_wrong_answer_of_week_1_is_named(
    attention: Notebooks, known: dict[str, Signature], code: str, expected: list[str]
) -> None:
    assert named(attention, known, "sdpa", code) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("4 * L * D * D + 2 * L * L * D", ["multiply-adds"]),
        ("sum([8 * L * D * D] + [4 * L * L * D] * h)", ["heads-cost-extra"]),
        ("L * D * (8 * D + 4 * L)", []),
        ("L * D * (8 * D + 4 * L) + 1", []),
    ],
)
def test_whole_numbers_are_compared_exactly(
    attention: Notebooks, known: dict[str, Signature], formula: str, expected: list[str]
) -> None:
    assert named(attention, known, "flops", f"def attention_flops(L, D, h):\n    return {formula}") == expected


def test_every_misconception_of_week_1_is_told_from_the_others(known: dict[str, Signature]) -> None:
    for name, own in known.items():
        assert matching(own, known) == [name]


# what is compared


def test_what_passes_is_not_written_or_did_not_end_matches_nothing(tiny: Notebooks) -> None:
    tests = ["double-test-1", "double-test-2"]
    for first in (
        PASSED,
        replace(failed(), kind=Kind.UNWRITTEN),
        CellRun(Verdict.FAIL, "NotImplementedError", kind=Kind.UNWRITTEN),
        *(CellRun(kind, "x") for kind in Verdict if kind not in (Verdict.PASS, Verdict.FAIL)),
    ):
        own = signature(tiny.week, "double", dict(zip(tests, (first, PASSED), strict=True)))
        assert own == {}
        assert matching(own, {"anything": own, "nothing": {}}) == []
    assert signature(tiny.week, "double", {"double-test-1": failed()}) == {}  # a test that was not run


def test_the_other_exercises_do_not_matter(tiny: Notebooks) -> None:
    known = known_signatures(tiny)
    wrong = judge(tiny, {"double": "def double(n):\n    return n"})
    assert wrong["quadruple-test-1"].verdict is Verdict.FAIL
    for other in (PASSED, failed("anything"), CellRun(Verdict.TIMEOUT, "too long")):
        verdicts = wrong | {"quadruple-test-1": other, "quadruple-test-2": other}
        found = diagnose(tiny.week, load_variants(tiny.week).misconceptions, known, verdicts)
        assert [item.name for item in found["double"]] == ["same"]
        assert set(found) == {"double"}


def test_what_the_tests_cannot_tell_apart_is_named_together(tiny: Notebooks) -> None:
    misconceptions = load_variants(tiny.week).misconceptions
    twin = replace(misconceptions[0], name="twin")
    known = known_signatures(tiny)
    known["twin"] = known["same"]
    verdicts = judge(tiny, {"double": "double = int"})
    found = diagnose(tiny.week, [*misconceptions, twin], known, verdicts)
    assert [item.name for item in found["double"]] == ["same", "twin"]


def agree(one: CellRun, other: CellRun, tiny: Notebooks) -> bool:
    own, known = (
        signature(tiny.week, "double", {"double-test-1": run, "double-test-2": PASSED}) for run in (one, other)
    )
    return matching(own, {"known": known}) == ["known"]


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("came", "<object at 0x7f00deadbeef>", "<object at 0x55aa12345678>"),
        ("came", "FileNotFoundError: /tmp/workbook-1x2y/data.csv", "FileNotFoundError: /tmp/workbook-9z/a/data.csv"),
        ("came", r"OSError: C:\Users\ann\x.csv", r"OSError: C:\Users\bob\y.csv"),
        ("came", "stopped after 0.52 s", "stopped after 3 s"),
        ("came", "ValueError: no\nin forward, at: x = x.view(2)", "ValueError: no\nin call, at: return x.view(2)"),
        ("came", "shape (2, 3), float32, from 0.634 to 1.2", "shape (2, 3), float32, from 0.6341 to 1.2"),
        ("came", "[[1.0, -0.0]]", "[[0.9999, 0.0]]"),
        ("where", "at (0, 1): 0.333333 instead of 1; 6 of 6 differ", "at (1, 0): 0.333333 instead of 1; 6 of 6 differ"),
    ],
)  # fmt: skip
def test_what_does_not_lie_in_the_behavior_is_left_out(tiny: Notebooks, part: str, one: str, other: str) -> None:
    assert agree(failed(**{part: one}), failed(**{part: other}), tiny)


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("came", "160 (int)", "161 (int)"),
        ("came", "262144 (int)", "262145 (int)"),
        ("came", "1 (int)", "1.0 (float)"),
        ("came", "[[0.634, 0.366]]", "[[0.640, 0.360]]"),
        ("came", "shape (2, 3), float32", "shape (3, 2), float32"),
        ("came", "RuntimeError: overflow", "RuntimeError: no grad"),
        ("where", "at (0, 6): 0 instead of 6; 8 of 56 differ", "at (0, 0): 0 instead of 6; 8 of 56 differ"),
        ("where", "at (0, 1): True instead of False; 1 of 9 differ", "at (1, 1): True instead of False; 1 of 9 differ"),
        ("cause", "the softmax ran over the queries", ""),
    ],
)  # fmt: skip
def test_what_lies_in_the_behavior_is_compared(tiny: Notebooks, part: str, one: str, other: str) -> None:
    assert not agree(failed(**{part: one}), failed(**{part: other}), tiny)


def test_a_cause_that_was_found_stands_for_the_values(tiny: Notebooks) -> None:
    one = failed(came="25 operators for 4 tokens, 73 for 16", cause="a Python loop over the tokens")
    other = failed(came="31 operators for 4 tokens, 103 for 16", cause="a Python loop over the tokens")
    assert agree(one, other, tiny)
    assert not agree(one, failed("another check", cause="a Python loop over the tokens"), tiny)


FRESH = """many = checks.fresh_seed() % 90 + 10
with checks.step("double of 2"):
    checks.equal(double(2), 4, "double(2)")
with checks.step("double of any number"):
    checks.equal(double(many), many * 2, "double(it)")
"""


@pytest.fixture
def fresh(tiny: Notebooks) -> Notebooks:
    """The tiny week, with inputs that are drawn anew in the first test of `double`."""
    cells = [replace(cell, source=FRESH) if cell.id == "double-test-1" else cell for cell in tiny.week.cells]
    return replace(tiny, week=replace(tiny.week, cells=tuple(cells)))


def on_line(line: int, **parts: str) -> CellRun:
    return replace(failed("double of any number: double(it) not as expected", **parts), line=line)


def same_in(week: Week, one: CellRun, other: CellRun) -> bool:
    own, known = (signature(week, "double", {"double-test-1": run, "double-test-2": PASSED}) for run in (one, other))
    return matching(own, {"known": known}) == ["known"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("17 (int)", "94 (int)"),
        ("17.25 (float)", "-3e-05 (float)"),
        ("[[0.1, 0.2], [3.0, 4.0]] (shape (2, 2), float32)", "[[7.1, 0.5], [1.0, 9.0]] (shape (2, 2), float32)"),
        ("[1, 2] (list)", "[7, 8, 9] (list)"),
        ("[True, False] (list)", "[False, False] (list)"),
        ("shape (2, 3), float32, from -1.2 to 2.3", "shape (2, 3), float32, from 0.1 to 0.2"),
    ],
)
def test_where_inputs_are_drawn_anew_their_numbers_are_left_out(fresh: Notebooks, one: str, other: str) -> None:
    """A learner's run and that of the misconception never see the same inputs there."""
    mine = on_line(5, came=one, expected="1", where="at (0, 1): 1 instead of 2; 3 of 9 entries differ")
    theirs = on_line(5, came=other, expected="2", where="at (2, 2): 5 instead of 4; 7 of 9 entries differ")
    assert same_in(fresh.week, mine, theirs)
    assert not same_in(fresh.week, replace(mine, line=3), replace(theirs, line=3)), "on fixed inputs they are compared"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"came": "17 (int)"}, {"came": "17 (float)"}),
        ({"came": "(5, 32)", "expected": "(5, 32)"}, {"came": "(7, 64)", "expected": "(7, 32)"}),
        ({"came": "shape (2, 3), float32"}, {"came": "shape (2, 3), float64"}),
        ({"came": "nan"}, {"came": "0.5"}),
        ({"cause": "the rows are swapped"}, {"cause": ""}),
    ],
)
def test_what_is_not_a_drawn_number_is_compared_there_too(
    fresh: Notebooks, one: dict[str, str], other: dict[str, str]
) -> None:
    assert not same_in(fresh.week, on_line(5, **one), on_line(5, **other))


def test_a_wrong_answer_that_fails_on_fresh_inputs_first_is_named(fresh: Notebooks) -> None:
    between = "def double(n):\n    return {} if 5 < n < 1000 else n + n"
    code = {name: between.format(value) for name, value in (("four", "4"), ("minus", "-n"), ("float", "float(n)"))}

    def run(answer: str) -> dict[str, CellRun]:
        built = replace(fresh, instructor=with_test(fresh))
        return judge(built, {"double": answer}, "double")

    known = {name: signature(fresh.week, "double", run(answer)) for name, answer in code.items()}
    for value, names in (("3 - n", ["four", "minus"]), ("n / 7", ["float"]), ("'n'", []), ("n + n", [])):
        own = signature(fresh.week, "double", run(between.format(value)))
        assert matching(own, known) == names, "what gives another whole number, no test tells apart"


def test_what_passes_drawn_inputs_by_chance_is_still_known(fresh: Notebooks) -> None:
    drawn, by_hand = on_line(5, came="17 (int)"), replace(failed("double of 0: double(0) not as expected"), line=3)

    def signed(first: CellRun, second: CellRun) -> Signature:
        return signature(fresh.week, "double", {"double-test-1": first, "double-test-2": second})

    known = {"both": signed(drawn, by_hand), "drawn": signed(drawn, PASSED)}
    assert matching(signed(PASSED, by_hand), known) == ["both"]
    assert matching(signed(drawn, by_hand), known) == ["both"]
    assert matching(signed(replace(drawn, line=3), by_hand), known) == [], "on fixed inputs nothing is by chance"
    exact = known | {"second": signed(PASSED, by_hand)}
    assert matching(signed(PASSED, by_hand), exact) == ["second"], "what does the very same goes first"


def with_test(built: Notebooks) -> NotebookNode:
    """The notebook with the tests of the changed week."""
    notebook = copy.deepcopy(built.instructor)
    next(cell for cell in notebook.cells if cell.id == "double-test-1").source = FRESH
    return notebook


def test_a_message_of_a_megabyte_is_compared_at_once(tiny: Notebooks) -> None:
    for text in ("\nat: " * 200_000, "\nin " + "x, at: " * 100_000 + "\n "):
        assert agree(failed(came=text), failed(came=text), tiny)
    for text in ("x" * 10**6, "9" * 10**6, "/a" * 500_000, "1 s " * 250_000, "0x" * 500_000):
        assert agree(failed(came=text), failed(came=text), tiny)


# the table that is kept


Counted = tuple[Callable[[Sequence[Misconception]], dict[str, dict[str, CellRun]]], list[int]]


@pytest.fixture
def counted(tiny: Notebooks) -> Counted:
    """A runner of misconceptions, and how many it was given in each call."""
    calls: list[int] = []

    def run(misconceptions: Sequence[Misconception]) -> dict[str, dict[str, CellRun]]:
        calls.append(len(misconceptions))
        return {item.name: judge(tiny, {item.exercise: item.source(tiny.week)}) for item in misconceptions}

    return run, calls


def test_the_table_is_computed_once(tiny: Notebooks, tmp_path: Path, counted: Counted) -> None:
    run, calls = counted
    items = load_variants(tiny.week).misconceptions
    cache = tmp_path / "new" / "table.json"
    first = signatures(tiny.week, items, run, cache)
    assert signatures(tiny.week, items, run, cache) == first
    assert first.signatures == known_signatures(tiny)
    assert calls == [4]
    assert set(first.signatures) == {"same", "small-only", "only-double", "positive-only"}
    assert [path.name for path in cache.parent.iterdir()] == ["table.json"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"version": 1}', b"null", "half", "key", "type", "version"],
    ids=str,
)
def test_a_damaged_table_is_made_again(tiny: Notebooks, tmp_path: Path, counted: Counted, damage: bytes | str) -> None:
    run, calls = counted
    items = load_variants(tiny.week).misconceptions
    cache = tmp_path / "table.json"
    first = signatures(tiny.week, items, run, cache)
    whole = json.loads(cache.read_text(encoding="utf-8"))
    changed = {
        "key": whole | {"key": "0"},
        "type": whole | {"signatures": {"same": {"double-test-1": 3}}},
        "version": whole | {"version": 0},
    }
    if damage == "half":
        cache.write_bytes(cache.read_bytes()[:300])
    else:
        cache.write_bytes(damage if isinstance(damage, bytes) else json.dumps(changed[damage]).encode())
    assert signatures(tiny.week, items, run, cache) == first
    assert json.loads(cache.read_text(encoding="utf-8")) == whole
    assert calls == [4, 4]


def test_the_table_depends_on_the_week_and_on_the_environment(tiny: Notebooks, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [diagnosis.content_key(tiny.week)]
    for name in ("tiny.py", "misconceptions.py", "week.toml"):
        path = tiny.week.folder / name
        path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        keys.append(diagnosis.content_key(tiny.week))
    monkeypatch.setattr(diagnosis, "environment_of", lambda code: "another one")
    keys.append(diagnosis.content_key(tiny.week))
    (tiny.week.folder / "picture.png").write_bytes(b"a picture")
    assert diagnosis.content_key(tiny.week) == keys[-1]
    assert len(set(keys)) == len(keys)


@pytest.fixture
def spoiled(counted: Counted) -> Callable[[Sequence[Misconception]], dict[str, dict[str, CellRun]]]:
    """A runner that the grader itself fails at for one misconception."""

    def run(misconceptions: Sequence[Misconception]) -> dict[str, dict[str, CellRun]]:
        return counted[0](misconceptions) | {"same": {"double-test-1": CellRun(Verdict.INFRA, "the warm process died")}}

    return run


def test_a_run_that_the_grader_spoiled_is_said_and_not_repeated(
    tiny: Notebooks, tmp_path: Path, counted: Counted, spoiled: Callable[..., dict[str, dict[str, CellRun]]]
) -> None:
    run, calls = counted
    items = load_variants(tiny.week).misconceptions
    cache = tmp_path / "table.json"
    found = signatures(tiny.week, items, spoiled, cache)
    assert found.signatures["same"] == {}
    assert found.signatures["small-only"]
    assert found.failed == {"same": "the warm process died"}
    assert signatures(tiny.week, items, run, cache) == found
    assert calls == [4], "one that could not be run costs nothing the next time"


def test_a_run_that_the_grader_spoiled_is_tried_once_more_where_that_is_asked_for(
    tiny: Notebooks, tmp_path: Path, counted: Counted, spoiled: Callable[..., dict[str, dict[str, CellRun]]]
) -> None:
    run, calls = counted
    items = load_variants(tiny.week).misconceptions
    cache = tmp_path / "table.json"
    signatures(tiny.week, items, spoiled, cache)
    mended = signatures(tiny.week, items, run, cache, again=True)
    assert (mended.signatures, mended.failed) == (known_signatures(tiny), {})
    assert signatures(tiny.week, items, run, cache, again=True) == mended
    assert calls == [4, 1], "only the one that failed"
