"""Feedback: pages that nothing breaks, and the page of the class."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise

import pytest

from autograder.core.texts import clean
from autograder.course.folder import Course
from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.feedback.facts import Feedback, facts
from autograder.feedback.pages import write_feedback
from autograder.rendering.templates import TEMPLATES
from autograder.reporting.class_page import class_of, write_class
from autograder.week.notebooks import Notebooks
from autograder.week.variants import load_variants

from .hostile import HOSTILE, check_page, hostile_outcome
from .outcomes import IN_DOUBLE, Page, answered, failed, graded, pages

# what comes from a learner


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
    check_page(write_class(course, class_of(tiny, course)).read_text(encoding="utf-8"))


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
    write_feedback(built, course, outcome, answered(built), {"double": items[:2]})
    write_feedback(built, course, waiting, answered(built), {})
    write_feedback(built, course, graded(built, "mia"), answered(built), {})
    write_feedback(built, course, Graded("tom", damaged="the file is not valid JSON"), None, {})
    written = [write_class(course, class_of(built, course)), *sorted(course.feedback.rglob("*.html"))]
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
    everyone.append(write_feedback(tiny, course, Graded("tom", damaged="the file is not valid JSON"), None, {}))
    path = write_class(course, class_of(tiny, course))
    assert path == course.folder / "week01_tiny.html"
    text = " ".join(Page(path.read_text(encoding="utf-8")).text.split())
    assert "Exercise 1. Double 2 learners" in text
    assert "same: ann, bob" in text
    assert "Exercise 1. Double 1 learner" in text
    assert "same or small-only: leo" in text
    assert "tom: could not be read: the file is not valid JSON" in text
    assert "ann: not recorded yet: the grader itself failed" in text, "there are facts of her, and no grade"
