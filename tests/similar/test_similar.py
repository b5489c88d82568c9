"""Similar submissions: what counts as the same, what is left out, and what the page shows."""

from __future__ import annotations

import json
import random

import pytest

from autograder.building.build import build_week
from autograder.similar.compare import OWN, Answer, answers_of, given, pairs
from autograder.similar.fingerprints import RUN, WINDOW, Token, code_tokens, fingerprints, hashes, word_tokens
from autograder.similar.page import page, similar
from autograder.week.locate import open_week
from autograder.week.notebooks import Notebooks

from ..chosen import ROOT
from ..feedback.hostile import HOSTILE, check_page
from ..graded_class import GradedClass

LOOP = '''
def attention_map(queries, keys):
    """One row after the other."""
    rows = []
    for index, query in enumerate(queries):
        scores = [float((query * key).sum()) / len(query) ** 0.5 for key in keys]
        largest = max(scores)
        raised = [math.exp(score - largest) for score in scores]
        total = sum(raised)
        rows.append([value / total for value in raised])
    return torch.tensor(rows, dtype=queries.dtype)
'''
RENAMED = """
def attention_map(q, k):
    out = []  # my own idea
    for i, row in enumerate(q):
        s = [float((row * other).sum()) / len(row) ** 0.5
             for other in k]
        m = max(s)
        e = [math.exp(x - m) for x in s]
        z = sum(e)
        out.append([v / z for v in e])
    return torch.tensor(out, dtype=q.dtype)
"""
MATRIX = """
def attention_map(queries, keys):
    scale = queries.shape[-1] ** -0.5
    scores = torch.einsum("qd,kd->qk", queries, keys).mul(scale)
    return torch.nn.functional.softmax(scores, dim=-1)
"""
CAREFUL = """
def attention_map(queries, keys):
    if queries.ndim != 2 or keys.ndim != 2:
        raise ValueError("two matrices are wanted")
    scores = (queries @ keys.transpose(0, 1)) / math.sqrt(queries.size(1))
    scores = scores - scores.amax(dim=1, keepdim=True)
    weights = scores.exp()
    return weights / weights.sum(dim=1, keepdim=True)
"""
ESSAY = (
    "The scores are sums of as many products as there are dimensions, so that their variance grows with the width, "
    "and a softmax of large scores is almost a maximum whose gradient vanishes. Dividing by the root keeps it at one."
)


def code(learner: str, source: str, cell: str = "sdpa") -> Answer:
    return Answer(learner, cell, source, False)


def names(
    answers: list[Answer], known: set[int] | None = None, learners: int = 40, group: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    return [pair.learners for pair in pairs(answers, known or set(), learners, group)]


@pytest.fixture(scope="module")
def week01() -> Notebooks:
    return build_week(open_week(ROOT, "1"))


def test_other_names_comments_and_layout_make_no_difference() -> None:
    assert [one.text for one in code_tokens(LOOP)] == [one.text for one in code_tokens(RENAMED)]
    assert [one.text for one in code_tokens("x = a.sum()")] != [one.text for one in code_tokens("x = a.mean()")]
    assert [one.text for one in code_tokens("x = 2")] != [one.text for one in code_tokens("x = 3")]


@pytest.mark.parametrize("source", ["def (", "x = '", "if a:\n  b\n c", "\0", "", "é = 'ü'\n" * 3])
def test_code_that_cannot_be_read_is_taken_as_words(source: str) -> None:
    for one in (*code_tokens(source), *word_tokens(source)):
        assert 1 <= one.first <= one.last <= source.count("\n") + 1


@pytest.mark.parametrize("seed", range(20))
def test_a_long_enough_common_run_always_leaves_a_common_fingerprint(seed: int) -> None:
    """The guarantee of winnowing, at the smallest length for which it holds."""
    draw = random.Random(seed)

    def some(count: int) -> list[Token]:
        return [Token(f"t{draw.randrange(10_000)}", 1, 1) for _ in range(count)]

    common = some(RUN + WINDOW - 1)
    values = [
        {one.value for one in fingerprints([*some(draw.randrange(40)), *common, *some(draw.randrange(40))])}
        for _ in range(2)
    ]
    assert values[0] & values[1] & set(hashes(common))


def test_fewer_than_one_window_still_has_a_fingerprint_and_fewer_than_one_run_none() -> None:
    words = word_tokens(" ".join(map(str, range(RUN))))
    assert len(fingerprints(words)) == 1
    assert fingerprints(words[:-1]) == []


def test_a_copy_with_other_names_is_found_and_other_solutions_are_not() -> None:
    answers = [code("ann", LOOP), code("bob", MATRIX), code("cleo", RENAMED), code("dan", CAREFUL)]
    (pair,) = pairs(answers, set(), 40)
    assert pair.learners == ("ann", "cleo")
    (match,) = pair.matches
    assert match.share == 1
    assert {2, 5, 6, 11} <= match.lines[0]
    assert 1 not in match.lines[0]


def test_a_copied_part_is_found_beside_own_work_and_a_small_one_is_not() -> None:
    half = "\n".join(LOOP.splitlines()[:9])
    assert names([code("ann", LOOP), code("bob", f"{half}\n    return None\n")]) == [("ann", "bob")]
    assert names([code("ann", LOOP), code("bob", MATRIX + "\n".join(LOOP.splitlines()[:5]) + CAREFUL * 2)]) == []


def test_essays_are_compared_by_their_words() -> None:
    answers = [
        Answer("ann", "written-why", ESSAY, True),
        Answer("bob", "written-why", ESSAY.upper().replace(",", ";"), True),
        Answer("cleo", "written-why", "Because the variance of a sum of $d$ products is $d$.", True),
    ]
    assert names(answers) == [("ann", "bob")]


@pytest.mark.parametrize(("holders", "learners", "named"), [(3, 10, 3), (4, 10, 0), (4, 40, 6), (5, 40, 0)])
def test_what_more_than_a_tenth_have_names_nobody(holders: int, learners: int, named: int) -> None:
    """Three may always be named."""
    assert len(names([code(f"l{number}", LOOP) for number in range(holders)], learners=learners)) == named


def test_what_the_course_gave_is_left_out(week01: Notebooks) -> None:
    """Every given cell and every hint's code, as two learners' answer."""
    known = given(week01)
    for cell in week01.learner.cells:
        if cell.cell_type == "code":
            assert names([code("ann", cell.source), code("bob", cell.source)], known) == [], cell.id
    hinted = hashes(code_tokens('rearrange(x, "b l (h d) -> b h l d", h=H)'))
    assert hinted
    assert set(hinted) <= known, "of a hint of exercise mha"


def test_groups_are_not_compared_with_themselves() -> None:
    answers = [code("ann", LOOP), code("bob", RENAMED), code("cleo", LOOP)]
    assert names(answers, group={"ann": "g1", "bob": "g1", "cleo": ""}) == [("ann", "cleo"), ("bob", "cleo")]


def test_answers_are_what_learners_wrote(week01: Notebooks) -> None:
    sources = {cell.id: cell.source for cell in week01.learner.cells}
    assert answers_of(week01, "ann", sources) == []
    written = next(cell.id for cell in week01.learner.cells if cell.id.startswith("written"))
    changed = sources | {"sdpa": LOOP, written: ESSAY, "extra": "helper = 1", "sdpa-test-1": "edited"}
    assert [(one.cell, one.prose) for one in answers_of(week01, "ann", changed)] == [
        ("sdpa", False),
        (written, True),
        (OWN, False),
    ]


def test_the_page_marks_common_lines_and_obeys_the_policy(week01: Notebooks) -> None:
    for text in HOSTILE:
        answers = [code(f"ann {text}", f"{LOOP}\n# {text}"), code("bob", f"{RENAMED}\nx = {text!r}")]
        found = pairs(answers, set(), 40)
        shown = page(week01, found, {"bob": f"Bob {text}"}, 40)
        check_page(shown)
        assert "<mark>    rows = []</mark>" in shown


def test_a_class_is_compared_from_the_record(graded: GradedClass) -> None:
    found, unreadable, path = similar(graded.built, graded.course)
    assert found == [], "answers of one line are alike without a reason"
    assert unreadable == {}
    check_page(path.read_text(encoding="utf-8"))
    for learner in ("ann", "bob"):
        notebook = graded.course.autograded / learner / graded.built.week.name / "tiny.ipynb"
        content = json.loads(notebook.read_text(encoding="utf-8"))
        next(cell for cell in content["cells"] if cell["id"] == "quadruple")["source"] = LOOP
        notebook.write_text(json.dumps(content), encoding="utf-8")
    (graded.course.autograded / "dan" / graded.built.week.name / "tiny.ipynb").write_text("[]", encoding="utf-8")
    found, unreadable, _ = similar(graded.built, graded.course)
    assert [pair.learners for pair in found] == [("ann", "bob")]
    assert list(unreadable) == ["dan"]
