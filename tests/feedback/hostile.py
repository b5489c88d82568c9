"""Texts that a learner may hand in to break a page, and what a page may consist of."""

from __future__ import annotations

import re

from nbformat.notebooknode import NotebookNode

from autograder.execution.results import Graded
from autograder.execution.verdicts import CellRun, Verdict
from autograder.week.notebooks import Notebooks

from .outcomes import IN_QUADRUPLE, Page, answered, failed, graded

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
        double_2=CellRun(Verdict.ERROR, text, in_answer=True),
        quadruple_1=CellRun(Verdict.ERROR, f"{text}: {text}", line=1),
        quadruple_2=failed(IN_QUADRUPLE, check=text, came=text, cause=text),
    )
    outcome.notes = [text, f"the file was called {text!r}"]
    return outcome, answered(built, double=text, quadruple=f"x = {text!r}  # {text}")


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "p", "h1",
    "h2", "h3", "a", "ul", "li", "span", "small", "strong", "code", "pre", "details", "summary", "svg", "rect", "bdi",
    "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "fieldset", "legend", "label", "input",
    "mark",
}  # fmt: skip
WHERE_TO = re.compile(
    r"(#[a-z-]+|(index|tiny)\.html(#[a-z-]+)?|feedback\.json|feedback/[^:/]+/week01_tiny/index\.html)"
)


def check_page(text: str) -> Page:
    """A page is whole, runs nothing, loads nothing, and leads nowhere but to its own files."""
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    void = {"meta", "rect", "input"}
    assert all(attributes["type"] == "radio" for tag, attributes in page.elements if tag == "input")
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
