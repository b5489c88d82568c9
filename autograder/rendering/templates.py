"""The templates of all pages that are written: one environment, where every text is escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..core.texts import clean
from . import markup
from .rich_text import rendered

TEMPLATES = Path(__file__).parent / "pages"
VERDICTS = {
    "PASS": ("✓", "passed", ""),
    "FAIL": ("✗", "failed", ""),
    "ERROR": ("✗", "error", "The code raised an error."),
    "TIMEOUT": ("✗", "too slow", "The code was stopped when its time was up."),
    "OOM": ("✗", "out of memory", "The code asked for more memory than there is for a submission."),
    "CRASH": ("✗", "crashed", "Python itself ended inside this code."),
    "TAMPERED": ("✗", "tampered", "The code changed what judges it, so it could not be judged."),
    "MISSING": ("✗", "missing", "The answer cell is not in the submitted notebook."),
    "INFRA": ("?", "not judged yet", "The grader itself failed here. This costs you nothing; the test is run again."),
}
"""Verdict -> a mark, a word, and a sentence where no check says more."""


def render(template: str, **values: object) -> str:
    """One page as text."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "style": Markup(style),
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "verdicts": VERDICTS,
        "markdown": markup.markdown,
        "rendered": rendered,
        "plain": markup.plain,
        "code": markup.code,
    }
    environment.filters["shown"] = partial(clean, characters=300)
    return environment
