"""The check of addresses, against a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from autograder.authoring.addresses import tried, wrong_with
from autograder.week.readings import Reading

PAGES = {
    "/right": '<html><head><meta name="citation_title" content="Attention is all you need" /></head></html>',
    "/other": '<html><head><meta name="citation_title" content="Quantifying Attention Flow" /></head></html>',
    "/plain": "<html><head><title>Anything</title></head></html>",
}
STATUS = {"/shy": 403}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = PAGES.get(self.path)
        self.send_response(200 if page else STATUS.get(self.path, 404))
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def reading(url: str) -> Reading:
    """A reading there; the form of addresses is not what is tested here."""
    return Reading.model_construct(title="Attention Is All You Need", url=url)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("/right", ""),
        ("/plain", ""),
        ("/other", "the page is about 'Quantifying Attention Flow'"),
        ("/gone", "404 Not Found"),
        ("/shy", "403 Forbidden, look yourself"),
    ],
)
def test_what_is_wrong_with_an_address(host: str, page: str, told: str) -> None:
    assert wrong_with(reading(f"{host}{page}")) == told


def test_a_host_that_does_not_answer(host: str) -> None:
    port = int(host.rpartition(":")[2])
    assert wrong_with(reading(f"http://127.0.0.2:{port}/right")).startswith("no answer: ")


def test_all_are_tried(host: str) -> None:
    found = tried([reading(f"{host}{page}") for page in ("/gone", "/right")], pause=0)
    assert [told for _, told in found] == ["404 Not Found", ""]
