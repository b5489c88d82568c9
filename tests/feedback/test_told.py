"""Feedback: what learners are told for every kind of outcome, and which hint to read next."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from autograder.building.build import build_week
from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.feedback.facts import NEXT, Feedback, facts
from autograder.feedback.pages import write_feedback
from autograder.rendering import markup
from autograder.rendering.templates import VERDICTS, render
from autograder.repair.damage import Damage
from autograder.week.headings import hints
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week
from autograder.week.variants import load_variants
from shared.checks.kinds import Kind

from ..chosen import ROOT
from .outcomes import IN_DOUBLE, IN_QUADRUPLE, SAID, Page, answered, failed, graded, pages

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
    with pytest.raises(WorkbookError, match="is not a valid folder name for a learner"):
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
    ("damage", "reason", "step"),
    [
        (Damage.OTHER, "the file has 60 MiB, which was handed in", "Open tiny.ipynb in Jupyter."),
        (Damage.TOO_LARGE, "any reason", "Clear the outputs"),
        (Damage.NOT_THERE, "any reason", "Submit one file with the name tiny.ipynb."),
        (Damage.WEB_PAGE, "any reason", "Download the notebook itself, not its page"),
        (Damage.CONFLICT, "any reason", "Finish the merge"),
    ],
)
def test_a_damaged_submission_is_told_why_and_what_to_do(
    tiny: Notebooks, course: Course, damage: Damage, reason: str, step: str
) -> None:
    known = write_feedback(tiny, course, Graded("ann", damaged=reason, damage=damage), None, {})
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
        ({"double_1": failed(kind=Kind.UNWRITTEN)}, 1, "unwritten"),
        ({"double_1": CellRun(Verdict.FAIL, "NotImplementedError", kind=Kind.UNWRITTEN)}, 1, "unwritten"),
        ({"double_1": failed(kind=Kind.UNSUPPORTED, error="NotImplementedError")}, 2, "visible"),
        ({"double_1": failed(check="not written yet")}, 2, "visible"),
        ({"double_1": failed()}, 2, "visible"),
        ({"double_2": failed(IN_DOUBLE)}, 3, "hidden"),
        ({"double_1": failed(), "double_2": failed(IN_DOUBLE)}, 2, "visible"),
        ({"double_1": failed(), "double_2": failed(kind=Kind.UNWRITTEN)}, 2, "visible"),
        ({"double_1": CellRun(Verdict.ERROR, "SyntaxError: invalid syntax", in_answer=True)}, 0, "broken"),
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
