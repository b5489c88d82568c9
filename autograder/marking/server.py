"""The web server behind `workbook mark`: it listens on this machine alone, and shows one page for each question.

Who opens the address that the command prints gets a cookie; without it nothing is answered. What learners wrote comes
into a page only through `rich_text`, and every page carries a policy under which nothing but our own script runs.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import math
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from ..core.texts import clean
from ..rendering.markup import code, markdown, plain
from ..rendering.rich_text import rendered
from ..week.notebooks import Notebooks
from .answers import Part, Question
from .marks import ChangedError, Mark, Marks
from .queue import Item, marked, mine

PAGES = Path(__file__).parent / "pages"
HOSTS = r"(localhost|127\.0\.0\.1)"
"""Names by which this machine may be asked; a page of another name could be somebody else's."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LONGEST_COMMENT = 20_000
MAX_BODY = 200_000


@dataclass
class Round:
    """What one grader marks.

    Attributes
    ----------
    queue : question's cell -> its answers in order.
    unreadable : learners whose graded notebook could not be read -> why.
    names : learner -> how they are called, where names are shown; empty when marking blind.
    """

    built: Notebooks
    questions: Sequence[Question]
    queue: Mapping[str, tuple[Item, ...]]
    marks: Marks
    grader: str
    names: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=secrets.token_urlsafe)

    def __post_init__(self) -> None:
        self.items = {item.key: item for items in self.queue.values() for item in items}
        self.asked = {one.cell: one for one in self.questions}

    def state(self) -> dict[str, Any]:
        """Every mark, by the key of its answer, and for each question how many of the grader's answers have one."""
        found = self.marks.read([one.cell for one in self.questions])
        return {
            "marks": {key: asdict(found.get(item.place, Mark())) for key, item in self.items.items()},
            "progress": {cell: [marked(mine(items), found), len(mine(items))] for cell, items in self.queue.items()},
        }


class Base(web.RequestHandler):
    @property
    def round(self) -> Round:
        found: Round = self.settings["round"]
        return found

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        given = self.get_cookie(self.settings["cookie"]) or ""
        if not hmac.compare_digest(given.encode(), self.round.token.encode()):
            raise web.HTTPError(403, reason="Open the address that workbook mark printed")

    def write_error(self, status_code: int, **said: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}\n")


class Enter(Base):
    """The address that the command prints: the token becomes a cookie and leaves the address."""

    def prepare(self) -> None:
        pass

    def get(self) -> None:
        given = self.get_query_argument("token", "")
        if not hmac.compare_digest(given.encode(), self.round.token.encode()):
            raise web.HTTPError(403, reason="Open the address that workbook mark printed")
        self.set_cookie(self.settings["cookie"], self.round.token, httponly=True, samesite="Strict", path="/")
        self.redirect("/")


class First(Base):
    """The first question with answers left to mark, else the first."""

    def get(self) -> None:
        progress = self.round.state()["progress"]
        left = [one.cell for one in self.round.questions if progress[one.cell][0] < progress[one.cell][1]]
        self.redirect(f"/question/{quote((left or [one.cell for one in self.round.questions])[0])}")


class QuestionPage(Base):
    def get(self, cell: str) -> None:
        if cell not in self.round.asked:
            raise web.HTTPError(404, reason="There is no such question")
        asked = self.round.asked[cell]
        items = mine(self.round.queue[cell])
        page = _environment().get_template("mark.html")
        self.finish(
            page.render(
                week=self.round.built.week,
                questions=self.round.questions,
                asked=asked,
                text=rendered(asked.text),
                rubric=rendered(asked.rubric),
                answers=[(item, [_shown(part) for part in item.parts]) for item in items],
                names=self.round.names,
                grader=self.round.grader,
                unreadable=self.round.unreadable,
                state=json.dumps(self.round.state()),
            )
        )


class State(Base):
    def get(self) -> None:
        self.finish(self.round.state())


class Write(Base):
    """One mark: {"key", "seen": {"points", "comment"}, "points", "comment"}."""

    def post(self) -> None:
        asked = _json(self)
        item = self.round.items.get(str(asked.get("key")))
        if item is None:
            raise web.HTTPError(404, reason="There is no such answer")
        seen, new = _mark(_mapping(asked.get("seen"))), _mark(asked)
        possible = self.round.asked[item.place.cell].points
        if new.points is not None and not 0 <= new.points <= possible:
            raise web.HTTPError(400, reason=f"Points are from 0 to {possible:g}")
        if len(new.comment) > LONGEST_COMMENT:
            raise web.HTTPError(400, reason=f"A comment has at most {LONGEST_COMMENT} characters")
        try:
            self.round.marks.write(item.place, seen, new)
        except ChangedError as error:
            self.set_status(409)
            self.finish({"now": asdict(error.mark), **self.round.state()})
            return
        except LookupError:
            raise web.HTTPError(404, reason="The gradebook has no such answer; grade the week again") from None
        self.finish(self.round.state())


class Preview(Base):
    """A comment as the learner will see it."""

    def post(self) -> None:
        self.finish({"html": rendered(str(_json(self).get("comment") or "")[:LONGEST_COMMENT])})


class Files(Base, web.StaticFileHandler):
    """The page's script and style."""


def _json(handler: web.RequestHandler) -> dict[str, Any]:
    """The body, of a request that a page of another site cannot make."""
    if handler.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        raise web.HTTPError(415, reason="JSON is wanted")
    try:
        return _mapping(json.loads(handler.request.body))
    except ValueError:
        raise web.HTTPError(400, reason="This is not valid JSON") from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise web.HTTPError(400, reason="A JSON object is wanted")
    return value


def _mark(given: Mapping[str, Any]) -> Mark:
    points, comment = given.get("points"), given.get("comment", "")
    number = isinstance(points, int | float) and not isinstance(points, bool) and math.isfinite(points)
    if not isinstance(comment, str) or not (points is None or number):
        raise web.HTTPError(400, reason="Points are a number or nothing, a comment is a text")
    return Mark(None if points is None else float(points), comment.strip())


def _shown(part: Part) -> Markup:
    if part.kind == "code":
        return Markup("<pre>{}</pre>").format(code(clean(part.source, LONGEST_COMMENT, 400)))
    return rendered(part.source, part.attachments)


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(PAGES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"markdown": markdown, "plain": plain}
    return environment


ROUTES: list[Any] = [
    (r"/enter", Enter),
    (r"/", First),
    (r"/question/([\w.-]+)", QuestionPage),
    (r"/state", State),
    (r"/mark", Write),
    (r"/preview", Preview),
    (r"/(mark\.(?:js|css))", Files, {"path": str(PAGES)}),
]


class Server:
    """Listens on this machine from the start, and answers while `answer` runs.

    Parameters
    ----------
    port : 0 takes any free one.

    Attributes
    ----------
    address : what a grader opens.

    Raises
    ------
    OSError
        when the port is taken.
    """

    def __init__(self, round_: Round, port: int = 0) -> None:
        (self._socket,) = bind_sockets(port, "127.0.0.1")
        port = self._socket.getsockname()[1]
        cookie = f"workbook-mark-{port}"  # browsers send cookies to every port of a machine
        self._application = web.Application(round=round_, cookie=cookie, log_function=lambda handler: None)
        self._application.add_handlers(HOSTS, ROUTES)
        self.address = f"http://127.0.0.1:{port}/enter?token={quote(round_.token)}"

    async def answer(self, until: asyncio.Event) -> None:
        server = HTTPServer(self._application, max_body_size=MAX_BODY)
        server.add_sockets([self._socket])
        await until.wait()
        server.stop()
        await server.close_all_connections()

    def run(self) -> None:
        """Answer until Ctrl-C or SIGTERM."""

        async def until_told() -> None:
            told = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, told.set)
            await self.answer(told)

        asyncio.run(until_told())
