"""The guard before nbgrader's formgrader knows all of it: a new version with another address or script is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nbgrader.server_extensions.formgrader import apihandlers, handlers
from nbgrader.server_extensions.formgrader.base import BaseHandler
from tornado import web

from autograder.desk.guard import INSTEAD, NOTHING, STARTERS, Data, Page, _environment, guarded

TEMPLATES = Path(handlers.template_path)
OF_THE_DESK = [path for path in sorted(TEMPLATES.rglob("*")) if path.is_file() and "feedback" not in path.parts]
ALL = [handler for _, handler, *_ in (*handlers.default_handlers, *apihandlers.default_handlers)]
HARMLESS = {
    apihandlers.AssignHandler,
    apihandlers.UnReleaseHandler,
    apihandlers.ReleaseHandler,
    apihandlers.CollectHandler,
    apihandlers.FlagSubmissionHandler,
}
"""Buttons that run nothing of a learner's and touch no page of ours."""


@pytest.mark.parametrize("handler", ALL, ids=lambda handler: f"{handler.__module__[-11:]}.{handler.__name__}")
def test_every_address_has_a_policy(handler: type[web.RequestHandler]) -> None:
    ours = guarded(handler)
    if not issubclass(handler, BaseHandler):
        assert handler is web.StaticFileHandler, "nbgrader's own scripts and styles"
        return
    policy = ours.content_security_policy  # type: ignore[attr-defined]
    assert policy in (Page.content_security_policy, Data.content_security_policy)
    assert NOTHING.startswith("default-src 'none'; sandbox")


def test_every_button_is_known() -> None:
    posting = {handler for handler in ALL if handler.post is not web.RequestHandler.post}
    assert posting == HARMLESS | {handler for handler in INSTEAD if handler in posting}
    assert {handler.__name__ for handler in set(INSTEAD) & posting} == {
        "AutogradeHandler",
        "GenerateAllFeedbackHandler",
        "GenerateFeedbackHandler",
        "ReleaseAllFeedbackHandler",
        "ReleaseFeedbackHandler",
    }


def test_every_script_in_an_attribute_is_known() -> None:
    found = {
        script
        for path in OF_THE_DESK
        for script in re.findall(r'\son\w+="([^"]*)"', path.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert found == set(STARTERS)


def test_texts_reach_scripts_as_javascript() -> None:
    """No name can end the string that it stands in."""
    environment = _environment()
    for path in TEMPLATES.glob("*.tpl"):
        source, *_ = environment.loader.get_source(environment, path.name)  # type: ignore[union-attr]
        assert source.count("<script") == source.count('<script nonce="{{ nonce() }}"')
        for script in re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL):
            assert not re.search(r"[\"']\{\{", script), path.name
    shown = environment.get_template("manage_students_assignments.tpl").render(
        base_url="", student_id="O'Brien \"</script><script>alert(1)</script>"
    )
    assert r'var student_id = "O\u0027Brien \"\u003c/script\u003e\u003cscript\u003ealert(1)' in shown
    assert "<script>alert" not in shown


@pytest.mark.parametrize("path", OF_THE_DESK, ids=lambda path: path.name)
def test_no_template_loads_from_the_web(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//(?!nbgrader\.readthedocs)[^\"]*", text)
