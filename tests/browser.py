"""A real Jupyter server and a real, headless browser for the tests. All waits are for conditions, with a deadline."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .chosen import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 180
"""Within which a condition must come true; a quiet machine needs a few."""
TOKEN = "for-a-test"
SCREENSHOTS = ROOT / "build" / "screenshots"


def browser_path() -> str:
    """The system's browser. Without one the test is skipped, but in CI, which must have it, it fails."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), "")
    if not found:
        reason = f"no browser is installed (one of {', '.join(BROWSERS)}): apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


LEFT_OUT = ("JUPYTER", "WORKBOOK", "MPLBACKEND")
"""Beginnings of variables that a server is not started with; the last is set by `import streamlit`."""


@contextmanager
def jupyter(
    words: Sequence[str], folder: Path, settings: Path, start: Sequence[str] = ("-m", "jupyterlab")
) -> Iterator[str]:
    """A Jupyter server, started as the Makefile does, with settings of its own; gives the address of its root."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)}
    own = {f"JUPYTER_{name}_DIR": str(settings / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    tools = str(Path(sys.executable).parent)
    environment = (
        kept | own | {"PATH": f"{tools}{os.pathsep}{kept.get('PATH', '')}", "IPYTHONDIR": str(settings / "ipython")}
    )
    options = ["--no-browser", "--allow-root", "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}"]
    command = [sys.executable, *start, *options, *words]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()
    log: list[str] = []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield _address(lines, log)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        (settings / "jupyter.log").write_text("".join(log), encoding="utf-8")


def _address(lines: queue.Queue[str | None], log: list[str]) -> str:
    """What the server says when it is ready."""
    while (line := lines.get(timeout=SECONDS)) is not None:
        if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/", line):
            return found[0]
    pytest.fail("Jupyter ended: " + "".join(log)[-3000:])


@contextmanager
def page(name: str, elsewhere: list[str] | None = None) -> Iterator[Page]:
    """A page of a new browser that reaches this machine alone. A failure leaves a picture in build/screenshots/.

    Parameters
    ----------
    elsewhere : gets the addresses of other machines that were asked for; all of them fail.
    """
    from playwright.sync_api import sync_playwright

    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        one = browser.new_page(viewport={"width": 1280, "height": 900})
        one.set_default_timeout(SECONDS * 1000)

        def refuse(route: Route) -> None:
            if elsewhere is not None:
                elsewhere.append(route.request.url)
            route.abort()

        one.context.route(re.compile(r"^(?!http://(localhost|127\.0\.0\.1)|ws:|data:|blob:|file:)"), refuse)
        try:
            yield one
        except BaseException:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            one.screenshot(path=SCREENSHOTS / f"{name}.png")
            raise
        finally:
            browser.close()
