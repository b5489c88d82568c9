"""nbgrader's formgrader behind a guard: an extension of the Jupyter server that `make desk` starts.

It answers at nbgrader's own addresses, before nbgrader does, with nbgrader's own handlers, but for these things:

- A page carries a policy under which only scripts of its templates run; all other answers may run and load nothing.
- A learner's notebook comes into a page as a displayable copy (see `rendering.notebook_view`).
- Buttons that would run a learner's code, or write feedback with hidden tests, start `workbook` instead.
- Nothing is loaded from the web.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import html
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyter_server.utils import url_path_join
from nbgrader.server_extensions.formgrader import apihandlers, handlers
from nbgrader.server_extensions.formgrader.base import BaseApiHandler, BaseHandler, check_notebook_dir, check_xsrf
from tornado import web

from ..core.errors import WorkbookError
from ..course.folder import Course
from ..rendering.notebook_view import SafeExporter
from ..week.locate import find_root, week_name

NAME = "autograder.desk"
TEMPLATES = Path(__file__).parent / "templates"
STARTERS = (
    "createAssignmentModal();",
    "createStudentModal();",
    "toggleAllNames()",
    "toggle_name(false);",
    "toggle_name(true);",
)
"""The attributes `onclick` of nbgrader's templates."""
NOTHING = "default-src 'none'; sandbox; frame-ancestors 'self'"
"""The policy of what is not a page: data, and files of a learner's."""
IN_A_SCRIPT = re.compile(r'= "\{\{ ([\w.]+) \}\}";')
"""How nbgrader's templates give a text to a script."""
ELSEWHERE = (
    "Start Jupyter in the folder of the course, with `make desk`: no other folder's configuration is run here.\n"
)
nonce: ContextVar[str] = ContextVar("nonce", default="")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": NAME}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Put our handlers before nbgrader's, which a server loads later: extensions come in alphabetical order."""
    base = server.web_app.settings["base_url"]
    ours = [
        (url_path_join(base, pattern.lstrip("/")), guarded(handler), *rest)
        for pattern, handler, *rest in (*handlers.default_handlers, *apihandlers.default_handlers)
    ]
    server.web_app.add_handlers(".*$", ours)


def guarded(handler: type[web.RequestHandler]) -> type[web.RequestHandler]:
    """The same handler under a policy, or another one in its place; nbgrader's own scripts and styles as they are."""
    if handler in INSTEAD:
        return INSTEAD[handler]
    if not issubclass(handler, BaseHandler):
        return handler
    guard = Data if issubclass(handler, BaseApiHandler) else Page
    return type(f"Guarded{handler.__name__}", (guard, handler), {})


class Page(BaseHandler):
    """Pages of the formgrader."""

    @functools.cached_property
    def nonce(self) -> str:
        return secrets.token_urlsafe()

    @property
    def content_security_policy(self) -> str:
        starters = " ".join(f"'sha256-{_digest(text)}'" for text in STARTERS)
        return (
            f"default-src 'none'; script-src 'nonce-{self.nonce}'; script-src-attr 'unsafe-hashes' {starters}; "
            "style-src 'self' 'unsafe-inline'; img-src data:; font-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        )

    @property
    def exporter(self) -> DeskExporter:
        nonce.set(self.nonce)
        return _exporter()

    def render(self, name: str, **values: Any) -> str:
        nonce.set(self.nonce)
        return _environment().get_template(name).render(**values)


class Data(BaseApiHandler):
    """Answers to scripts. nbgrader sends them as HTML, so they must be harmless as a page too."""

    @property
    def content_security_policy(self) -> str:
        return NOTHING


class Start(Page, handlers.FormgraderHandler):
    """The first page. nbgrader runs the nbgrader_config.py of any folder that a link names; here none does."""

    def get(self) -> Any:
        if self.get_argument("path", ""):
            self.set_status(403)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            return self.finish(ELSEWHERE)
        return super().get()


class Files(Data, handlers.SubmissionFilesHandler):
    """Other files of a learner's: to be saved, not shown."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Content-Disposition", "attachment")


class Button(Data):
    """A button that starts `workbook`, or a command of nbgrader's that is told where our pages are."""

    def command(self, course: Course, week: str) -> list[str]:
        raise NotImplementedError

    @web.authenticated
    @check_xsrf
    @check_notebook_dir
    async def post(self, assignment: str, student: str = "") -> None:
        try:
            root = find_root(Path(self.coursedir.root))
            command = self.command(Course.at(root), week_name(root, assignment))
        except WorkbookError as error:
            self.write(json.dumps({"success": False, "log": "", "error": str(error)}))
            return
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            cwd=root,
            env=os.environ | {"COLUMNS": "100"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode(errors="replace")
        done = process.returncode == 0
        self.finish(json.dumps({"success": done, "log": said, "error": "" if done else f"{' '.join(command)} failed"}))


class Grade(Button):
    """Autograde: everybody of the week whose grade is not known yet, in sandboxes."""

    def command(self, course: Course, week: str) -> list[str]:
        return ["autograder.cli", "grade", week]


class Feedback(Button):
    """Generate Feedback: our pages of the week, which show no hidden test."""

    def command(self, course: Course, week: str) -> list[str]:
        return ["autograder.cli", "feedback", week]


class Release(Button):
    """Release Feedback: our pages, into nbgrader's exchange."""

    def command(self, course: Course, week: str) -> list[str]:
        return ["nbgrader", "release_feedback", week, f"--CourseDirectory.feedback_directory={course.feedback}"]


INSTEAD: dict[type[web.RequestHandler], type[web.RequestHandler]] = {
    handlers.FormgraderHandler: Start,
    handlers.SubmissionFilesHandler: Files,
    apihandlers.AutogradeHandler: Grade,
    apihandlers.GenerateFeedbackHandler: Feedback,
    apihandlers.GenerateAllFeedbackHandler: Feedback,
    apihandlers.ReleaseFeedbackHandler: Release,
    apihandlers.ReleaseAllFeedbackHandler: Release,
}


class DeskExporter(SafeExporter):
    """A learner's notebook in nbgrader's template; what stands beside it, names of people too, is escaped."""

    def from_notebook_node(
        self, nb: Mapping[str, Any], resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        beside = {key: html.escape(one) if isinstance(one, str) else one for key, one in (resources or {}).items()}
        return super().from_notebook_node(nb, beside, **options)

    def _create_environment(self) -> Environment:
        return _marked(super()._create_environment())


class Marked(BaseLoader):
    """Templates whose scripts carry the nonce of the page. What is put into a template later carries none."""

    def __init__(self, templates: BaseLoader) -> None:
        self.templates = templates

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Any]:
        source, path, fresh = self.templates.get_source(environment, template)
        marked = source.replace("<script", '<script nonce="{{ nonce() }}"')
        return IN_A_SCRIPT.sub(r"= {{ \1|tojson }};", marked), path, fresh


def _marked(environment: Environment) -> Environment:
    assert environment.loader is not None
    environment.loader = Marked(environment.loader)
    environment.globals["nonce"] = nonce.get
    return environment


@functools.cache
def _environment() -> Environment:
    theirs = FileSystemLoader(handlers.template_path)
    loaders = [FileSystemLoader(TEMPLATES), theirs, PrefixLoader({"nbgrader": theirs})]
    return _marked(Environment(loader=ChoiceLoader(loaders), autoescape=True))


@functools.cache
def _exporter() -> DeskExporter:
    return DeskExporter(template_name="formgrade", extra_template_basedirs=[handlers.template_path])


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
