"""What a notebook may do to who reads it: every way into a page, in nbgrader's own page and in ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

from autograder.desk import guard
from autograder.desk.guard import STARTERS, DeskExporter

from ..browser import page
from ..desk.test_formgrader import formgrader_config
from ..feedback.outcomes import Page
from .pages import CASES, Shown, notebook

RESOURCES = {
    "index": 0,
    "total": 1,
    "base_url": "",
    "submission_id": "0",
    "notebook_path": "n",
    "assignment_id": "week01_attention",
    "notebook_id": "attention",
    "student": '<img src=x onerror="alert(1)">',
    "last_name": '<img src=x onerror="alert(1)">',
    "first_name": "<script>alert(1)</script>",
}
NOT_IN_A_BODY = {"iframe", "object", "embed", "base", "form", "meta", "svg", "frame", "applet", "template"}


def ours() -> DeskExporter:
    return guard._exporter()


def theirs() -> HTMLExporter:
    return HTMLExporter(config=formgrader_config(Config()))


def html_of(exporter: HTMLExporter, raw: dict[str, Any]) -> str:
    text, _ = exporter.from_notebook_node(nbformat.from_dict(raw), resources=dict(RESOURCES))
    return str(text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_in_the_page_runs_or_loads(case: Shown) -> None:
    """Only the template's scripts, attributes and addresses are there, whatever a policy would say to others."""
    guard.nonce.set("a-nonce")
    text = html_of(ours(), case.notebook())
    for tag, attributes in Page(text).elements:
        if tag == "script":
            assert attributes.get("nonce") == "a-nonce"
        assert not attributes.get("src") or re.match(
            r"/formgrader/static/|data:image/png;base64,", attributes["src"] or ""
        )
        assert not attributes.get("href") or re.match(r"/formgrader/|https://a\.example$", attributes["href"] or "")
        assert [v for k, v in attributes.items() if k.startswith("on") and v not in STARTERS] == []
        assert not any(name in attributes for name in ("srcdoc", "formaction", "data-html", "action", "background"))
    assert not NOT_IN_A_BODY & {tag for tag, _ in Page(text.partition("<body")[2]).elements}


def test_one_notebook_with_all_of_them_is_shown_whole() -> None:
    text = Page(html_of(ours(), notebook(CASES))).text
    for words in ("[picture 'x' is not in the notebook]", "[picture, not loaded: x, https://evil.example/x.png]"):
        assert words in text
    assert '<img src=x onerror="fetch(String(/won-html-image/))' in text, "as text"


@pytest.mark.parametrize("case", [case for case in CASES if case.off == "fails"], ids=lambda case: case.name)
def test_the_page_of_nbgrader_fails(case: Shown) -> None:
    with pytest.raises(Exception, match=r"."):
        html_of(theirs(), case.notebook())


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Any, Callable[[str, str], None]]]:
    """A browser's page, and what opens a text in it as if a server on this machine had sent it."""
    with page("red-team-pages") as one:
        bodies: dict[str, str] = {}

        def serve(route: Any) -> None:
            name = route.request.url.rpartition("/page/")[2]
            if name in bodies:
                route.fulfill(body=bodies[name], content_type="text/html; charset=utf-8")
            else:
                route.fulfill(status=404)

        one.context.route("http://localhost:1/**", serve)

        def show(name: str, body: str) -> None:
            bodies[name] = body
            one.goto(f"http://localhost:1/page/{name}", wait_until="commit")

        yield one, show


@pytest.mark.browser
@pytest.mark.parametrize("case", [case for case in CASES if case.off.startswith("runs")], ids=lambda case: case.name)
def test_it_runs_in_the_page_of_nbgrader(case: Shown, opened: tuple[Any, Callable[[str, str], None]]) -> None:
    """With the defense off, in a real browser: so the cases are not empty words."""
    one, show = opened
    with one.context.expect_event("request", lambda request: request.url.endswith(case.address)):
        show(case.name, html_of(theirs(), case.notebook()))
        if case.off.endswith("click"):
            one.locator("#notebook .inner_cell").locator("a, button").first.click()
