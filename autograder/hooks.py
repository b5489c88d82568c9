"""What nbgrader calls: see `nbgrader_config.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import pass_context


def register_week(assignment: str, student: str, notebooks: Sequence[str]) -> None:
    """Before `nbgrader autograde` grades submissions: put the week into the gradebook, if it is not there.

    Also keeps Python's warnings out of the kernels that this process starts: nbgrader gives a test cell no points when
    anything stands on its standard error, and a library's warning is no wrong answer.

    Raises
    ------
    WorkbookError
        for an unknown week, or a gradebook that cannot be written.
    """
    from nbgrader.api import MissingEntry

    from .build import build_week
    from .course import Course, open_week
    from .record import open_gradebook, register

    os.environ["PYTHONWARNINGS"] = "ignore"
    root = Path(__file__).resolve().parent.parent
    course = Course.at(root, Path(os.environ.get("WORKBOOK_COURSE", "course")))
    with open_gradebook(course) as gradebook:
        try:
            if gradebook.find_assignment(assignment).notebooks:
                return
        except MissingEntry:
            pass
    register(build_week(open_week(root, assignment)), course)


@pass_context
def escaped_markdown(context: Any, source: str) -> str:
    """nbconvert's filter `markdown2html` for the formgrader, with HTML in markdown shown as text.

    A learner's markdown would otherwise run scripts in the instructor's Jupyter. The folds of hints stay folds;
    links and images lead to the web, to the page itself or to a file, never to code.
    """
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    attachments = context.get("cell", {}).get("attachments", {})
    html: str = MarkdownWithMath(renderer=IPythonRenderer(escape=True, attachments=attachments)).render(source)
    html = re.sub(r'(href|src)="(?!https?:|mailto:|data:image/(?:png|jpeg);|[^":]*")[^"]*"', r'\1="#"', html)
    return re.sub(r"&lt;(/?(?:details|summary))&gt;", r"<\1>", html)
