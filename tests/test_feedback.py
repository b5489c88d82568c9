"""Feedback: what learners are told and what they are not, for every kind of outcome; pages that nothing breaks."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nbformat.notebooknode import NotebookNode

from autograder import markup
from autograder.build import Notebooks, build_week
from autograder.course import Course
from autograder.disclosure import told
from autograder.errors import WorkbookError
from autograder.facts import NEXT, Feedback, facts, hints
from autograder.feedback import TEMPLATES, VERDICTS, render, write_feedback, write_summary
from autograder.leaks import secrets
from autograder.outcomes import Graded
from autograder.rules import in_hidden_test, regions
from autograder.runner import CellRun, Verdict
from autograder.source import Test, load_week
from autograder.texts import clean
from autograder.variants import Misconception, load_variants

from .chosen import ROOT
from .inprocess import judge

PASSED = CellRun(Verdict.PASS, seconds=0.01)
IN_DOUBLE, IN_QUADRUPLE = 6, 5
"""The lines of the hidden checks of double-test-2 and of quadruple-test-2."""
SAID = {
    "check": "double of 7: double(7) not as expected",
    "came": "CAME 13",
    "expected": "EXPECTED 14",
    "where": "WHERE 13 instead of 14",
    "cause": "CAUSE one is missing",
}


def failed(line: int = 2, **parts: str) -> CellRun:
    said = SAID | parts
    message = "\n".join(said.values())
    return CellRun(Verdict.FAIL, message, 0.02, check=said, line=line)


def graded(built: Notebooks, student: str = "ann", **verdicts: CellRun) -> Graded:
    """The outcome of a learner who passes everything but these tests (`double_1` is double-test-1)."""
    found = {cell.id: PASSED for cell in built.week.of_kind(Test)}
    found |= {key.replace("_", "-test-"): run for key, run in verdicts.items()}
    points: dict[str, int] = {}
    for cell in built.week.of_kind(Test):
        assert isinstance(cell.words, Test)
        earned = cell.words.points if found[cell.id].verdict is Verdict.PASS else 0
        points[cell.name] = points.get(cell.name, 0) + earned
    return Graded(student, found, points)


def answered(built: Notebooks, **answers: str) -> NotebookNode:
    """The repaired notebook: the released tests, and these answers."""
    notebook = copy.deepcopy(built.instructor)
    for cell in notebook.cells:
        if cell.id in built.week.exercises:
            cell.source = answers.get(cell.id, f"def {cell.id}(number):\n    return MY_OWN_ANSWER")
    return notebook


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, tmp_path / "course")


def pages(
    built: Notebooks,
    outcome: Graded,
    notebook: NotebookNode | None = None,
    diagnosis: Mapping[str, Sequence[Misconception]] | None = None,
) -> dict[str, str]:
    """The two pages and the JSON, without writing them."""
    known = facts(built, outcome, notebook, diagnosis or {})
    return {
        "index.html": render("index.html", told=known),
        "tiny.html": render("notebook.html", told=known),
        "feedback.json": known.to_json(),
    }


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.closed: list[str] = []
        self.text = ""
        self.feed(str(text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.closed.append(tag)
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


# files


def test_the_files_stand_where_nbgrader_puts_feedback(tiny: Notebooks, course: Course) -> None:
    known = write_feedback(tiny, course, graded(tiny, "Zoë 李"), answered(tiny), {})
    folder = course.folder / "feedback" / "Zoë 李" / "week01_tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["feedback.json", "index.html", "tiny.html"]
    assert (folder / "tiny.html").read_text(encoding="utf-8") == render("notebook.html", told=known)
    assert (folder / "index.html").read_text(encoding="utf-8") == render("index.html", told=known)


def test_the_json_says_the_same_and_can_be_read_back(tiny: Notebooks, course: Course) -> None:
    outcome = graded(tiny, double_1=failed(), quadruple_2=failed(IN_QUADRUPLE))
    item = load_variants(tiny.week).misconceptions[0]
    known = write_feedback(tiny, course, outcome, answered(tiny), {"double": [item]})
    text = (course.feedback / "ann" / "week01_tiny" / "feedback.json").read_text(encoding="utf-8")
    assert Feedback.model_validate_json(text) == known
    raw = json.loads(text)
    assert (raw["kind"], raw["version"], raw["state"]) == ("workbook-feedback", 1, "graded")
    assert raw["points"] == {"earned": 40, "possible": 80, "open": 0}
    assert [test["verdict"] for exercise in raw["exercises"] for test in exercise["tests"]] == [
        "FAIL", "PASS", "PASS", "FAIL",
    ]  # fmt: skip
    assert raw["exercises"][0]["diagnoses"] == [{"name": "same", "note": "One is not two."}]


def test_equal_facts_give_equal_files_and_a_second_run_replaces_them(tiny: Notebooks, course: Course) -> None:
    folder = course.feedback / "ann" / "week01_tiny"
    contents = []
    for outcome in (graded(tiny), graded(tiny, double_1=failed()), graded(tiny)):
        write_feedback(tiny, course, outcome, answered(tiny), {})
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[2] != contents[1]
    assert len(contents[0]) == 3


@pytest.mark.parametrize("name", ["", ".", "..", "../bob", "a/b", "/etc", "a\\b", "a\0b"])
def test_a_name_that_is_no_folder_writes_nothing(tiny: Notebooks, course: Course, name: str) -> None:
    with pytest.raises(WorkbookError, match="is no name of a learner's folder"):
        write_feedback(tiny, course, graded(tiny, name), answered(tiny), {})
    assert not course.folder.exists()


def test_what_nbgrader_needs_to_release_feedback_lies_beside_it(tiny: Notebooks, course: Course) -> None:
    handed_in = course.submitted / "ann" / "week01_tiny"
    handed_in.mkdir(parents=True)
    (handed_in / "timestamp.txt").write_text("2026-03-01 12:00:00 UTC", encoding="utf-8")
    private = course.folder / "private.txt"
    private.write_text("not for learners", encoding="utf-8")
    (handed_in / "submission_secret.txt").symlink_to(private)
    write_feedback(tiny, course, graded(tiny), answered(tiny), {})
    folder = course.feedback / "ann" / "week01_tiny"
    assert (folder / "timestamp.txt").read_text(encoding="utf-8") == "2026-03-01 12:00:00 UTC"
    assert not (folder / "submission_secret.txt").exists()


# what is told


def test_of_a_visible_check_everything_is_told(tiny: Notebooks) -> None:
    shown = pages(tiny, graded(tiny, double_1=failed()), answered(tiny))
    for text in SAID.values():
        assert text in shown["tiny.html"]
        assert text in shown["feedback.json"]
    assert SAID["cause"] in shown["index.html"]


def test_of_a_hidden_check_neither_what_it_expects_nor_where(tiny: Notebooks) -> None:
    shown = pages(tiny, graded(tiny, double_2=failed(IN_DOUBLE)), answered(tiny))
    for page in shown.values():
        assert SAID["expected"] not in page
        assert SAID["where"] not in page
    for text in (SAID["check"], SAID["came"], SAID["cause"]):
        assert text in shown["tiny.html"]
    assert "A hidden test" in shown["tiny.html"]


def test_points_verdicts_and_durations_are_told(tiny: Notebooks) -> None:
    outcome = graded(tiny, double_1=failed(), double_2=failed(), quadruple_2=failed(IN_QUADRUPLE))
    page = Page(pages(tiny, outcome, answered(tiny))["tiny.html"])
    assert "20 of 80 points" in page.text
    assert [bar["aria-label"] for bar in page.all("svg")] == ["0 of 40 points", "20 of 40 points"]
    assert [bar["width"] for bar in page.all("rect")] == ["0.00", "50.00"]
    assert re.findall(r"0\.0\d s", page.text) == ["0.02 s", "0.02 s", "0.01 s", "0.02 s"]
    assert len(re.findall("passed", page.text)) == 1
    assert len(re.findall("failed", page.text)) == 3


def test_the_answer_is_shown_as_it_was_graded(tiny: Notebooks) -> None:
    shown = pages(tiny, graded(tiny), answered(tiny, double="def double(n):\n    return n << 1  # <b>"))
    assert '<span class="nf">double</span>' in shown["tiny.html"]
    assert "# &lt;b&gt;" in shown["tiny.html"]
    assert json.loads(shown["feedback.json"])["exercises"][0]["code"] == "def double(n):\n    return n << 1  # <b>"
    stub = next(cell.source for cell in tiny.learner.cells if cell.id == "double")
    for notebook in (answered(tiny, double=stub + "\n", quadruple="x = 1"), None):
        assert not json.loads(pages(tiny, graded(tiny), notebook)["feedback.json"])["exercises"][0]["code"]


def test_a_misconception_is_named_with_its_note(tiny: Notebooks) -> None:
    items = load_variants(tiny.week).misconceptions
    outcome = graded(tiny, double_1=failed())
    one = Page(pages(tiny, outcome, None, {"double": items[:1]})["tiny.html"]).text
    assert "behaves like a known mistake: same. One is not two." in one
    several = Page(pages(tiny, outcome, None, {"double": items[:2]})["tiny.html"]).text
    assert "one of these known mistakes" in several
    assert "small-only. Large numbers double too." in several


def test_repairs_stand_ins_and_a_missing_sandbox_are_said(tiny: Notebooks) -> None:
    outcome = graded(tiny)
    quiet = pages(tiny, outcome, answered(tiny))
    outcome.notes = ["cell 'double' stood there 2 times"]
    outcome.verdicts["quadruple-test-1"] = replace(outcome.verdicts["quadruple-test-1"], stand_ins=("double",))
    outcome.unsafe = True
    shown = pages(tiny, outcome, answered(tiny))
    text = Page(shown["tiny.html"]).text
    assert text.count("Judged with the reference solution of double") == 1
    for name in ("index.html", "tiny.html"):
        assert "cell 'double' stood there 2 times" in Page(shown[name]).text
        assert "Graded without a sandbox" in Page(shown[name]).text
        assert "Graded without a sandbox" not in quiet[name]
    raw = json.loads(shown["feedback.json"])
    assert (raw["unsafe"], raw["exercises"][1]["tests"][0]["stand_ins"]) == (True, ["double"])


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("the file is no JSON (line 3: expecting value)", "Open tiny.ipynb in Jupyter."),
        ("the file has 60 MiB; at most 50 are read", "Clear the outputs"),
        ("no notebook was handed in", "Hand in one file with the name tiny.ipynb."),
        ("no tiny.ipynb was handed in, but a.ipynb, b.ipynb", "Hand in one file with the name tiny.ipynb."),
    ],
)
def test_a_damaged_submission_is_told_why_and_what_to_do(
    tiny: Notebooks, course: Course, reason: str, step: str
) -> None:
    known = write_feedback(tiny, course, Graded("ann", damaged=reason), None, {})
    assert (known.state, known.points.possible, known.exercises) == ("damaged", 80, ())
    for name in ("index.html", "tiny.html"):
        text = Page((course.feedback / "ann" / "week01_tiny" / name).read_text(encoding="utf-8")).text
        assert reason in text
        assert step in text
    assert Feedback.model_validate_json(known.to_json()) == known


@pytest.mark.parametrize("whole_run", [True, False])
def test_a_failure_of_the_grader_costs_nothing_and_shows_nothing_of_it(tiny: Notebooks, whole_run: bool) -> None:
    broken = CellRun(Verdict.INFRA, 'OSError: /opt/judge/keys.py, line 3, in oracle: "14 != 13"')
    if whole_run:  # as when the process died: no test was judged, and the reason stands in `damaged`
        outcome = graded(tiny, double_1=broken, double_2=broken, quadruple_1=broken, quadruple_2=broken)
        outcome.points, outcome.damaged = {}, f"not graded, the grader failed: {broken.message}"
    else:
        outcome = graded(tiny, double_2=broken, quadruple_1=failed())
    shown = pages(tiny, outcome, answered(tiny))
    for page in shown.values():
        assert "oracle" not in page
        assert "/opt" not in page
    text = Page(shown["tiny.html"]).text
    assert "costs you nothing" in text
    raw = json.loads(shown["feedback.json"])
    assert raw["state"] == "waiting"
    assert raw["points"]["open"] == (80 if whole_run else 20)
    assert raw["points"]["earned"] == (0 if whole_run else 40)
    assert raw["exercises"][0]["advice"] == ""


def test_grades_that_could_not_be_kept_are_no_fault_of_the_learner(tiny: Notebooks) -> None:
    outcome = graded(tiny)
    outcome.damaged = "graded with 80 points, but not recorded: (sqlite3.OperationalError) /srv/gradebook.db is locked"
    shown = pages(tiny, outcome, answered(tiny))
    assert json.loads(shown["feedback.json"])["state"] == "waiting"
    assert not any("sqlite" in page for page in shown.values())


@pytest.mark.parametrize("verdict", [*VERDICTS, "SOMETHING_NEW"])
def test_every_verdict_has_words(tiny: Notebooks, verdict: str) -> None:
    outcome = graded(tiny)
    run = CellRun(Verdict.ERROR, "the reason", 1.5)
    object.__setattr__(run, "verdict", verdict)  # also one that this version of the engine does not have
    outcome.verdicts["double-test-1"] = run
    text = Page(pages(tiny, outcome, answered(tiny))["tiny.html"]).text
    assert VERDICTS.get(verdict, ("", verdict.lower()))[1] in text
    assert ("the reason" in text) == (verdict not in ("PASS", "INFRA"))
    assert "1.50 s" in text


# which hint


@pytest.mark.parametrize(
    ("runs", "number", "what"),
    [
        ({"double_1": failed(check="double of 2: not written yet")}, 1, "unwritten"),
        ({"double_1": CellRun(Verdict.FAIL, "NotImplementedError")}, 1, "unwritten"),
        ({"double_1": failed()}, 2, "visible"),
        ({"double_2": failed(IN_DOUBLE)}, 3, "hidden"),
        ({"double_1": failed(), "double_2": failed(IN_DOUBLE)}, 2, "visible"),
        ({"double_1": failed(), "double_2": failed(check="double of 0: not written yet")}, 2, "visible"),
        ({"double_1": CellRun(Verdict.ERROR, "the answer cell: SyntaxError: invalid syntax")}, 0, "broken"),
        ({"double_1": CellRun(Verdict.MISSING, "no answer cell for 'double' was found")}, 0, "MISSING"),
        ({"double_1": CellRun(Verdict.TIMEOUT, "stopped"), "double_2": failed()}, 2, "TIMEOUT"),
        ({"double_1": CellRun(Verdict.OOM, "MemoryError")}, 2, "OOM"),
        ({"double_1": CellRun(Verdict.CRASH, "the process ended")}, 2, "CRASH"),
        ({"double_1": CellRun(Verdict.INFRA, "the grader failed")}, 0, ""),
        ({}, 0, ""),
    ],
)
def test_the_hint_to_read_next(tiny: Notebooks, runs: dict[str, CellRun], number: int, what: str) -> None:
    known = facts(tiny, graded(tiny, "ann", **runs), None, {})
    exercise = known.exercises[0]
    assert (exercise.hint.number if exercise.hint else 0) == number
    assert exercise.advice == (NEXT[what][1] if what else "")
    if number:
        page = Page(render("notebook.html", told=known)).text
        assert {1: "Hint 1: the idea", 2: "Hint 2: pseudocode", 3: "Hint 3: nearly code"}[number] in page
        assert {1: "Add.", 2: "a number and itself", 3: "use +"}[number] in page


def test_hints_are_rendered_from_the_week() -> None:
    week_2 = build_week(load_week(ROOT / "solutions" / "week02_vision_transformer"))
    assert set(hints(week_2, "patchify")) == {1, 2, 3}  # and not the fold for a symptom
    shown = markup.markdown(hints(week_2, "cost")[3].text)
    assert '<span class="math">12 T D<sup>2</sup> + 2 T<sup>2</sup> D</span>' in shown
    assert "<code>int(dim * mlp_ratio)</code>" in shown
    assert markup.markdown(hints(week_2, "cost")[2].text).startswith("<pre><code>tokens = patches + 1")


def test_markdown_obeys_no_html_and_loads_nothing() -> None:
    text = "<script>x</script> [a](javascript:x) ![b](http://x/y.png) <http://x> $a_{ij} < \\sqrt d \\unknown$ `$HOME`"
    page = Page(markup.markdown(text))
    assert {tag for tag, _ in page.elements} == {"p", "span", "sub", "code"}
    assert page.text.startswith("<script>x</script>")
    assert "a<sub>ij</sub> &lt; √d \\unknown" in markup.markdown(text)


# what a hidden test keeps to itself

SOURCE = """\
with checks.step("visible"):
    checks.equal(f(1), 2, "f(1)")
### BEGIN HIDDEN TESTS
with checks.step("hidden"):
    checks.equal(f(3), 6, "f(3)")
    checks.that(f(4) == 8, "f(4)", came=f"{f(4)}, not {8}")
    for a, b in f(5):
        checks.close(
            a,
            b,
            "f(5)",
        )
    same(f(6), 12)
    checks.close(f(7), 14, "f(7)"); checks.that(True, "x")
### END HIDDEN TESTS
"""
READABLE = {"return number + 1", 'checks.equal(f(1), 2, "f(1)")'}


@pytest.mark.parametrize(
    ("line", "check", "came", "shown"),
    [
        (2, "visible: f(1) not as expected", "3 (int)", "3 (int)"),
        (2, "visible: the check could not use what it got", 'KeyError: 6\nat: checks.equal(f(1), 2, "f(1)")',
         'KeyError: 6\nat: checks.equal(f(1), 2, "f(1)")'),
        # an answer that this one builds on is the reference's: its lines are nobody's to read
        (2, "visible: the code raised an error", "ValueError: 9\nin g, at: return solution", "ValueError: 9"),
        (5, "hidden: f(3) not as expected", "7 (int)", "7 (int)"),
        (8, "hidden: f(5): another shape", "(2, 3)", "(2, 3)"),
        (10, "hidden: f(5) not as expected", "shape (2, 3)", "shape (2, 3)"),
        # the words of the test itself
        (6, "hidden: f(4)", "9, not 8", ""),
        (13, "hidden: f(6) not as expected", "9, not 12", ""),
        (14, "hidden: x", "9, not 14", ""),
        (7, "hidden: anything", "9, not 14", ""),
        (0, "hidden: f(3) not as expected", "9, not 6", ""),
        # errors: all of them where the line is the learner's, else the kind alone
        (5, "hidden: the code raised an error", "ValueError: 9\nin f, at: return number + 1",
         "ValueError: 9\nin f, at: return number + 1"),
        (5, "hidden: the code raised an error", "ValueError: not 6\nin g, at: return 6", "ValueError"),
        (5, "hidden: the code raised an error", "ValueError: not 6", "ValueError"),
        (5, "hidden: not written yet", "NotImplementedError: later", "NotImplementedError: later"),
        (5, "hidden: the check could not use what it got", 'AssertionError: 6 != 7\nat: checks.equal(f(3), 6, "f(3)")',
         "AssertionError"),
        (5, "hidden: the check could not use what it got", "KeyError: 6\nin f, at: return number + 1", "KeyError"),
        (5, "hidden: the check could not use what it got", "TypeError: cannot unpack None\nat: for a, b in f(5):",
         "TypeError: cannot unpack None"),
        (5, "hidden: the check could not use what it got", "no kind of error: 6", ""),
    ],
)  # fmt: skip
def test_of_what_came_only_the_learners_own_is_told(line: int, check: str, came: str, shown: str) -> None:
    run = failed(line, check=check, came=came)
    said = told(SOURCE, run, READABLE)
    assert said.came == shown
    assert said.check == check
    assert bool(said.expected) == bool(said.where) == (line == 2)
    assert said.hidden == (line != 2)


@pytest.mark.parametrize(
    ("line", "message", "shown"),
    [
        (2, "AssertionError: 6 != 7", "AssertionError: 6 != 7"),
        (5, "AssertionError: 6 != 7", "AssertionError"),
        (5, "TypeError: 'NoneType' object is not subscriptable", "TypeError: 'NoneType' object is not subscriptable"),
        (0, "AssertionError: 6 != 7", "AssertionError"),
        (0, "the answer cell: ValueError: 6 != 7", "the answer cell: ValueError: 6 != 7"),
        (5, "no error at all", ""),
    ],
)
def test_an_error_outside_of_a_check_tells_its_kind(line: int, message: str, shown: str) -> None:
    for verdict in (Verdict.ERROR, Verdict.FAIL):
        assert told(SOURCE, CellRun(verdict, message, line=line), READABLE).message == shown


def test_without_hidden_tests_an_unknown_line_hides_nothing() -> None:
    run = CellRun(Verdict.ERROR, "ValueError: 6 != 7")
    assert told("f(1)", run, READABLE).message == run.message


def test_what_ends_a_process_is_told() -> None:
    for verdict in (Verdict.TIMEOUT, Verdict.OOM, Verdict.CRASH, Verdict.MISSING):
        for line in (0, 5):
            run = CellRun(verdict, "the cell ran longer than 30 s and was stopped", line=line)
            assert told(SOURCE, run, READABLE).message == run.message


def squashed(text: str) -> str:
    return re.sub(r"\s+", "", text).replace('"', "'")


def lines_of(source: str, mark: str) -> set[str]:
    """The telling lines between BEGIN and END marks."""
    lines = {line.strip() for region in regions(source, mark) for line in region.splitlines()}
    return {line for line in lines if len(line) >= 20 and not line.startswith("#")}


@pytest.fixture(scope="module")
def attention() -> Notebooks:
    return build_week(load_week(ROOT / "solutions" / "week01_attention"))


def everything_told(built: Notebooks, outcome: Graded, item: Misconception, notebook: NotebookNode) -> str:
    """The text of all pages and of the JSON, free of layout."""
    known = facts(built, outcome, notebook, {item.exercise: [item]})
    shown = [Page(render(name, told=known)).text for name in ("index.html", "notebook.html")]
    return squashed("\n".join([*shown, *strings(json.loads(known.to_json()))]))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [str(value)]


def test_no_misconception_of_week_1_makes_the_pages_tell_tests_or_solutions(attention: Notebooks) -> None:
    week = attention.week
    released = squashed("\n".join(cell.source for cell in attention.learner.cells))
    hidden = {line for cell in week.of_kind(Test) for line in lines_of(cell.source, "HIDDEN TESTS")}
    solved = {line for cell in week.cells if cell.id in week.exercises for line in lines_of(cell.source, "SOLUTION")}
    kept = {line for line in hidden | solved if squashed(line) not in released}
    assert len(kept) > 150
    statements = {text for text in secrets(week) if text not in released}
    sources = {cell.id: cell.source for cell in attention.instructor.cells}
    failures = 0
    for item in load_variants(week).misconceptions:
        # without the training, which takes seconds and fails in a visible check or in one of `checks.that`
        verdicts = judge(attention, {item.exercise: item.source(week)}, item.exercise, {"reverser-test-2"})
        outcome = graded(attention)
        outcome.verdicts |= verdicts
        text = everything_told(attention, outcome, item, answered(attention))
        assert not [line for line in kept if squashed(line) in text]
        assert not [statement for statement in statements if statement in text]
        for test, run in verdicts.items():
            if run.check and in_hidden_test(sources[test], run.line):
                failures += 1
                assert run.check["check"].split(":")[0].replace(" ", "") in text
                for part in ("expected", "where"):
                    assert len(run.check[part]) < 12 or squashed(run.check[part]) not in text
    assert failures > 20


def test_no_line_of_a_hidden_test_of_week_1_tells_anything_when_it_fails(attention: Notebooks) -> None:
    """The worst that could be handed in: at every hidden line, failures that hold its code and what it expects."""
    notebook = answered(attention)
    item = load_variants(attention.week).misconceptions[0]
    released = {line.strip() for cell in attention.learner.cells for line in cell.source.splitlines()}
    count = 0
    for cell in attention.instructor.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            secret = "HIDDEN TESTS" in cell.source and in_hidden_test(cell.source, number)
            if secret and len(line.strip()) >= 20 and line.strip() not in released:
                place = f"KeyError: SECRET\nat: {line.strip()}"
                runs = [
                    failed(number, check="x: the check could not use what it got", came=place, expected="SECRET"),
                    failed(number, check="x: the code raised an error", came=place, where="SECRET"),
                    CellRun(Verdict.ERROR, f"ValueError: SECRET, {line}", line=number),
                ]
                if "checks.that(" in line:
                    runs.append(failed(number, check="x: a sentence", came=f"SECRET, not {line}"))
                for run in runs:
                    outcome = graded(attention)
                    outcome.verdicts[cell.id] = run
                    known = facts(attention, outcome, notebook, {item.exercise: [item]}).to_json()
                    assert "SECRET" not in known
                    assert json.dumps(line.strip(), ensure_ascii=False)[1:-1] not in known
                    count += 1
    assert count > 300


# what comes from a learner

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</pre></details></main><h1>100 of 80 points</h1>",
    "</style><script>alert(1)</script>",
    "<!-- ",
    "]]><![CDATA[",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}{{ told.points }}",
    "javascript:alert(1)",
    "&lt;b&gt; &amp;amp; &#0;",
    "' onmouseover='alert(1)",
    "null \0 byte, bell \a, escape \x1b[31mred\x1b[0m, delete \x7f, c1 \x9b",
    "half a character: \ud83d, and \udc00",
    "turned \u202e around \u2066 and \u200f back",
    "line\u2028and paragraph\u2029ends, \x85 next line",
    "e\u0301\u0327" * 50,
    "\r\n\r\rreturns",
    "`markdown` **bold** [link](javascript:alert(1)) $x_1$",
]


def hostile_outcome(built: Notebooks, text: str) -> tuple[Graded, NotebookNode]:
    """A text of the learner's wherever one can come in."""
    outcome = graded(
        built,
        text,
        double_1=failed(check=text, came=text, expected=text, where=text, cause=text),
        double_2=CellRun(Verdict.ERROR, f"the answer cell: {text}"),
        quadruple_1=CellRun(Verdict.ERROR, f"{text}: {text}", line=1),
        quadruple_2=failed(IN_QUADRUPLE, check=text, came=text, cause=text),
    )
    outcome.notes = [text, f"the file was called {text!r}"]
    return outcome, answered(built, double=text, quadruple=f"x = {text!r}  # {text}")


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "p", "h1",
    "h2", "h3", "a", "ul", "li", "span", "small", "strong", "code", "pre", "details", "summary", "svg", "rect", "bdi",
    "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
WHERE_TO = re.compile(
    r"(#[a-z-]+|(index|tiny)\.html(#[a-z-]+)?|feedback\.json|feedback/[^:/]+/week01_tiny/index\.html)"
)


def check_page(text: str) -> Page:
    """A page is whole, runs nothing, loads nothing, and leads nowhere but to its own files."""
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    void = {"meta", "rect"}
    assert sorted(tag for tag, _ in page.elements if tag not in void) == sorted(
        tag for tag in page.closed if tag not in void
    )
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")]
        if tag == "a":
            assert WHERE_TO.fullmatch(attributes["href"] or "")
        else:
            assert "href" not in attributes
    assert not set(text) & {chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2028)}
    text.encode("utf-8")
    return page


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_stays_a_text(tiny: Notebooks, course: Course, text: str) -> None:
    outcome, notebook = hostile_outcome(tiny, text)
    harmless, plain = hostile_outcome(tiny, "a plain text")
    shown, usual = pages(tiny, outcome, notebook), pages(tiny, harmless, plain)
    for name in ("index.html", "tiny.html"):
        page, other = check_page(shown[name]), check_page(usual[name])
        inside_code = ("span",)
        assert [tag for tag, _ in page.elements if tag not in inside_code] == [
            tag for tag, _ in other.elements if tag not in inside_code
        ]
        assert "100 of 80" not in page.text.partition("feedback for")[0]
    known = Feedback.model_validate_json(shown["feedback.json"])
    assert known == facts(tiny, outcome, notebook, {})
    if text.isascii() and text.isprintable():
        text_of_page = Page(shown["tiny.html"]).text
        assert text_of_page.count(text) >= 10  # shown as it is, also what a template would have obeyed


def test_a_hostile_text_reaches_files_and_the_page_of_the_class(tiny: Notebooks, course: Course) -> None:
    everyone = []
    for number, text in enumerate(HOSTILE):
        outcome, notebook = hostile_outcome(tiny, text)
        outcome.student = "".join(letter for letter in text if letter not in "/\0\\")[:60] or str(number)
        try:
            everyone.append(write_feedback(tiny, course, outcome, notebook, {}))
        except UnicodeEncodeError:  # no file system holds half a character
            assert "\ud83d" in text
    assert len(everyone) == len(HOSTILE) - 1
    check_page(write_summary(tiny, course, everyone).read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["x" * 10**6, "x \n" * 10**6, "<" * 10**6, "'" * 10**6, "((" * 10**5, "\\" * 10**6])
def test_a_megabyte_is_cut(tiny: Notebooks, text: str) -> None:
    outcome, notebook = hostile_outcome(tiny, text)
    shown = pages(tiny, outcome, notebook)
    for name in ("index.html", "tiny.html"):
        check_page(shown[name])
        assert len(shown[name]) < 700_000
        assert "more characters)" in shown[name]


def test_clean_texts_stay_as_they_are() -> None:
    for text in ("", "naïve 注意 🙂 ✗ √d", "two\nlines\tand a tab", "مرحبا שלום"):
        assert clean(text, 100, 5) == text
    for text in (*HOSTILE, "x" * 5000, "a\n" * 5000, "\x1b[31m" * 5000):
        for characters, lines in ((300, 1), (4000, 80)):
            once = clean(text, characters, lines)
            assert clean(once, characters, lines) == once
            assert len(once) <= characters
            assert once.count("\n") < lines
    assert clean("a\x1b[1;31mb\x1b[0m\0\r\nc", 100, 2) == "ab␀\nc"
    assert clean("\ud83d", 100) == "\N{REPLACEMENT CHARACTER}"
    assert clean(None, 100) == "None"


# pages


def all_pages(built: Notebooks, course: Course) -> dict[str, str]:
    """Pages of every kind."""
    outcome = graded(built, "Zoë", double_1=failed(), double_2=failed(IN_DOUBLE))
    outcome.notes, outcome.unsafe = ["a note"], True
    items = load_variants(built.week).misconceptions
    waiting = graded(built, "leo", double_1=CellRun(Verdict.INFRA, "x"), quadruple_1=CellRun(Verdict.TIMEOUT, "y"))
    everyone = [
        write_feedback(built, course, outcome, answered(built), {"double": items[:2]}),
        write_feedback(built, course, waiting, answered(built), {}),
        write_feedback(built, course, graded(built, "mia"), answered(built), {}),
        write_feedback(built, course, Graded("tom", damaged="the file is no JSON"), None, {}),
    ]
    written = [write_summary(built, course, everyone), *sorted(course.feedback.rglob("*.html"))]
    return {str(path.relative_to(course.folder)): path.read_text(encoding="utf-8") for path in written}


def test_pages_stand_alone_and_forbid_everything_else(tiny: Notebooks, course: Course) -> None:
    found = all_pages(tiny, course)
    assert len(found) == 9
    for text in found.values():
        page = check_page(text)
        style = text.partition("<style>")[2].partition("</style>")[0]
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
        assert policy == f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
        assert "url(" not in style
        assert "@import" not in style
        assert "://" not in text


def test_pages_can_be_read_aloud(tiny: Notebooks, course: Course) -> None:
    for text in all_pages(tiny, course).values():
        page = Page(text)
        assert page.all("html") == [{"lang": "en"}]
        assert text.partition("<title>")[2].partition("</title>")[0].strip()
        for landmark in ("header", "main", "footer", "h1"):
            assert len(page.all(landmark)) == 1
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert all(below <= above + 1 for above, below in pairwise(levels))
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        named = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
        assert set(named) <= set(ids)
        for bar in page.all("svg"):
            assert bar["role"] == "img"
            assert bar["aria-label"]


def test_links_lead_to_what_is_there(tiny: Notebooks, course: Course) -> None:
    found = all_pages(tiny, course)
    for place, text in found.items():
        for link in Page(text).all("a"):
            path, _, anchor = str(link["href"]).partition("#")
            target = (course.folder / place).parent / path.replace("%C3%AB", "ë") if path else course.folder / place
            assert target.is_file()
            assert not anchor or f'id="{anchor}"' in target.read_text(encoding="utf-8")


def test_colors_can_be_told_from_their_ground() -> None:
    """WCAG 2.1, contrast of at least 4.5, in the light and in the dark scheme and on paper."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block)) for block in re.findall(r":root {(.*?)}", style, re.S)
    ]

    def luminance(color: str) -> float:
        color = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
        parts = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    pairs = [(ink, ground) for ink in ("ink", "soft", "good") for ground in ("page", "card", "well")]
    pairs += [(kind, f"{kind}-well") for kind in ("good", "bad", "note")]
    pairs += [("ink", "note-well"), ("ink", "bad-well")]
    pairs += [(kind, "well") for kind in ("word", "text", "number", "name")]
    assert len(schemes) == 3
    for scheme in schemes:
        for ink, ground in pairs:
            light, dark = sorted((luminance(scheme[ink]), luminance(scheme[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


# the class


def test_the_class_is_summed_up(tiny: Notebooks, course: Course) -> None:
    items = load_variants(tiny.week).misconceptions
    everyone = [
        write_feedback(tiny, course, graded(tiny, name, double_1=failed()), answered(tiny), {"double": items[:1]})
        for name in ("ann", "bob")
    ]
    everyone.append(write_feedback(tiny, course, graded(tiny, "leo", double_1=failed()), None, {"double": items[:2]}))
    everyone.append(write_feedback(tiny, course, Graded("tom", damaged="the file is no JSON"), None, {}))
    path = write_summary(tiny, course, everyone)
    assert path == course.folder / "week01_tiny.html"
    text = " ".join(Page(path.read_text(encoding="utf-8")).text.split())
    assert "3 of 4 submissions are graded" in text
    assert "Exercise 1. Double 0 with all points, 0 with none" in text
    assert "Exercise 2. Quadruple 3 with all points, 0 with none" in text
    assert "same 2 Exercise 1. Double same or small-only 1" in text
    assert "tom the file is no JSON –" in text


def test_a_class_of_nobody_has_a_page(tiny: Notebooks, course: Course) -> None:
    check_page(write_summary(tiny, course, []).read_text(encoding="utf-8"))
