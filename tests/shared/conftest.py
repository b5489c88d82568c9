"""What several tests of the helpers need."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from .file_server import Handler, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
