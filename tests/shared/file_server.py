"""A small server of one file, for what downloads."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    """Serves one body; knows ranges unless told not to; may break off the first answer."""

    body = BODY
    ranges = True
    break_off_after = 0
    seen: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        asked = self.headers.get("Range") or ""
        server.seen.append(asked)
        begin = int(asked.removeprefix("bytes=").partition("-")[0]) if asked and server.ranges else 0
        rest = server.body[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut, server.break_off_after = server.break_off_after, 0
        self.wfile.write(rest[:cut] if cut else rest)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/file.bin"
