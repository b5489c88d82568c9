"""Makes the pictures of README and docs: `python -m tests.pictures`, or with names: notebook watch feedback report.

Real programs are drawn: JupyterLab and the graded pages in the system's Chromium, `workbook watch` in a
pseudo-terminal whose screen a terminal emulator (pyte) keeps and the same browser draws.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pyte
from PIL import Image

from autograder.week.locate import open_week
from autograder.week.variants import load_variants

from .browser import SECONDS, TOKEN, jupyter, page
from .chosen import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = {".png": 200_000, ".gif": 500_000}
WEEK, EXERCISE, NOTEBOOK = "week01_attention", "sdpa", "attention.ipynb"
MISTAKE = "scale-by-d"
"""The misconception of the wrong answer in the recording."""
LEARNER = "wrong-heads-cost-extra"
"""The learner of the sample class whose feedback is shown: one mistake, and the rest is right."""
COLUMNS, ROWS = 80, 17


def save(name: str, frames: Sequence[bytes], seconds: Sequence[float] = ()) -> None:
    """Write screenshots with few colors, as a PNG or, if there are several, as an animated GIF."""
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    reduced = [image.quantize(96, dither=Image.Dither.NONE) for image in images]
    path = PICTURES / name
    PICTURES.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        lasting = [int(1000 * one) for one in seconds]
        reduced[0].save(path, save_all=True, append_images=reduced[1:], duration=lasting, loop=0, optimize=True)
    else:
        reduced[0].save(path, optimize=True)
    size = path.stat().st_size
    assert size < MAX_BYTES[path.suffix], f"{name} has {size:,} bytes"
    print(f"{path.relative_to(ROOT)}: {images[0].width} x {images[0].height}, {size / 1000:.0f} kB")


@contextmanager
def learner() -> Iterator[Path]:
    """A learner's folder in which week 1 is begun."""
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as name:
        folder = Path(name) / "learner"
        shutil.copytree(ROOT / "weeks" / WEEK, folder / "weeks" / WEEK)
        shutil.copy(ROOT / "pyproject.toml", folder)
        environment = os.environ | {"WORKBOOK_RUNTIME": name, "WORKBOOK_WARM_SECONDS": "60"}
        with_it = {"cwd": folder, "env": environment, "check": True, "capture_output": True}
        subprocess.run([sys.executable, "-m", "autograder.cli", "start", "1"], **with_it)  # type: ignore[call-overload]
        yield folder


def notebook() -> None:
    """Exercise 1 in JupyterLab, as `make lab` opens it: the text, and the stub below it."""
    from .in_browser.test_lab import FIND

    with learner() as folder:
        words, start = ["--LabApp.expose_app_in_browser=True"], ("-m", "autograder.cli", "lab")
        with jupyter(words, folder, folder / "jupyter", start) as address, page("notebook") as lab:
            lab.set_viewport_size({"width": 1100, "height": 1000})
            lab.goto(f"{address}lab/tree/{WEEK}/{NOTEBOOK}?token={TOKEN}")
            for cell in (EXERCISE, f"{EXERCISE}-about"):  # the first so that it is drawn, the second to begin with
                lab.wait_for_function(FIND, arg=cell)
                lab.locator(f'[data-released="{cell}"]').evaluate("cell => cell.scrollIntoView({block: 'start'})")
                lab.locator(f'[data-released="{cell}"]').hover()
            lab.locator(f'[data-released="{EXERCISE}-about"] mjx-container').first.wait_for()
            save("notebook.png", [lab.screenshot()])


class Recorder:
    """`workbook watch 1` in a terminal of COLUMNS x ROWS, and the screens that are worth showing."""

    def __init__(self, folder: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.Stream(self.screen)
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "", "WORKBOOK_RUNTIME": str(folder.parent)}
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "autograder.cli", "watch", "1"],
            cwd=str(folder),
            env=environment,
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
        )
        self.kept: list[str] = []
        self.seconds: list[float] = []

    def sees(self, text: str) -> None:
        """Wait until the screen shows this regular expression."""
        deadline = time.monotonic() + SECONDS
        while not re.search(text, "\n".join(self.screen.display)):
            assert time.monotonic() < deadline, "\n".join(self.screen.display)
            try:
                self.stream.feed(self.child.read_nonblocking(1 << 16, timeout=1))
            except pexpect.TIMEOUT:
                continue

    def keep(self, said: str, seconds: float) -> None:
        """Show this screen for so long, with a line below it that says what the learner did."""
        self.kept.append(f"<pre>{as_html(self.screen)}</pre><p>{html.escape(said)}</p>")
        self.seconds.append(seconds)


COLORS = {
    "default": "#d4d4d4", "black": "#7f7f7f", "red": "#f2777a", "green": "#99cc99", "brown": "#ffcc66",
    "blue": "#6699cc", "magenta": "#cc99cc", "cyan": "#66cccc", "white": "#d4d4d4",
}  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><style>
main { background: #1e1e1e; width: max-content; padding-top: 1px; font: 14px/1.35 "DejaVu Sans Mono", monospace; }
pre { margin: 12px 16px; color: #d4d4d4; font: inherit; }
p { margin: 0; padding: 6px 16px; background: #33415c; color: #fff; font-family: "DejaVu Sans", sans-serif; }
</style>"""


def as_html(screen: Any) -> str:
    """A terminal's screen as text with colors."""
    lines = []
    for row in range(screen.lines):
        line = ""
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            color = COLORS.get(cell.fg.removeprefix("bright"), f"#{cell.fg}")
            weight = "bold" if cell.bold else "normal"
            under = "underline" if cell.underscore else "none"
            style = f"color:{color};font-weight:{weight};text-decoration:{under}"
            line += f'<span style="{style}">{html.escape(cell.data)}</span>'
        lines.append(line)
    return "\n".join(lines)


def without_marks(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if "### " not in line)


def watch() -> None:
    """A stub, a wrong answer with its likely cause, a hint, the right answer: each as `watch` shows it."""
    week = open_week(ROOT, WEEK)
    (reference,) = [cell.source for cell in week.cells if cell.id == EXERCISE]
    wrong = next(one for one in load_variants(week).misconceptions if one.name == MISTAKE).source(week)
    with learner() as folder:
        path = folder / "work" / WEEK / NOTEBOOK

        def write(code: str) -> None:
            cells = json.loads(path.read_text(encoding="utf-8"))
            next(cell for cell in cells["cells"] if cell["id"] == EXERCISE)["source"] = code
            path.write_text(json.dumps(cells), encoding="utf-8")

        recorder = Recorder(folder)
        recorder.sees(f"· {EXERCISE}")
        recorder.keep("workbook watch 1", 2.5)
        write(without_marks(wrong))
        recorder.sees(f"✗ {EXERCISE}")
        recorder.keep("a first answer is saved", 6)
        recorder.child.send("h")
        recorder.sees("Hint 1 of 3")
        recorder.keep("the key h", 5)
        write(without_marks(reference))
        recorder.sees(f"✓ {EXERCISE}")
        recorder.keep("a better answer is saved", 4)
        recorder.child.send("q")
        recorder.child.wait()
    with page("watch") as one:
        save("watch.gif", [shot(one, text) for text in recorder.kept], recorder.seconds)


def shot(one: Page, text: str) -> bytes:
    one.set_content(f"{PAGE}<main>{text}</main>")
    return one.locator("main").screenshot()


def graded(name: str, path: Callable[[Path], Path]) -> None:
    """The upper part of a page of the sample class, which is made and graded unless it is there."""
    demo = ROOT / "build" / "demo"
    if not demo.exists():
        subprocess.run([sys.executable, "-m", "autograder.cli", "demo", "1"], cwd=ROOT, check=True, capture_output=True)
    with page(name) as one:
        one.set_viewport_size({"width": 1000, "height": 900})
        one.goto(path(demo).as_uri())
        save(f"{name}.png", [one.screenshot()])


def feedback() -> None:
    """What a learner reads who made one mistake."""
    graded("feedback", lambda demo: demo / "feedback" / LEARNER / WEEK / "index.html")


def report() -> None:
    """The instructor's page about the class."""
    graded("report", lambda demo: demo / f"{WEEK}.html")


MADE = {"notebook": notebook, "watch": watch, "feedback": feedback, "report": report}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or MADE:
        MADE[chosen]()
