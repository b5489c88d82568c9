"""The desk of a graded class, opened as `make desk` opens it, with everything that its pages ask for written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .browser import TOKEN, jupyter, page
from .chosen import ROOT
from .graded_class import WEEK, GradedClass
from .tiny_week import ELSEWHERE

if TYPE_CHECKING:
    from playwright.sync_api import Page

START = "--LabApp.default_url=/formgrader"
GUARD = "--ServerApp.jpserver_extensions={'autograder.desk': True}"


@dataclass
class Desk:
    """A browser at the desk.

    Attributes
    ----------
    asked : paths that pages asked this server for.
    elsewhere : addresses of other machines that they asked for; all of them failed.
    refused : what the browser said about requests and scripts that a policy forbids.
    """

    page: Page
    address: str
    asked: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page of the formgrader, and wait for what it loads."""
        self.page.goto(f"{self.address}formgrader/{path}", wait_until="networkidle")
        return self.page


@contextmanager
def opened(graded: GradedClass, folder: Path, configuration: str = "", *words: str) -> Iterator[Desk]:
    """`make desk` in the checkout of a graded class; `configuration` is added to its nbgrader_config.py."""
    text = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    (graded.root / "nbgrader_config.py").write_text(text + ELSEWHERE + configuration, encoding="utf-8")
    elsewhere: list[str] = []
    words = words or (START, GUARD)
    with jupyter(words, graded.root, folder / "jupyter") as address, page("desk", elsewhere) as one:
        desk = Desk(one, address, elsewhere=elsewhere)
        one.context.on("request", lambda request: desk.asked.append(urlsplit(request.url).path))
        one.context.on(
            "console", lambda said: desk.refused.append(said.text) if "Content Security" in said.text else None
        )
        one.goto(f"{address}formgrader?token={TOKEN}")
        yield desk


def submission_id(graded: GradedClass, learner: str) -> str:
    from nbgrader.api import Gradebook

    with Gradebook(graded.course.db_url) as gradebook:
        return str(gradebook.find_submission_notebook("tiny", WEEK, learner).id)
