"""Run notebook cells in IPython, inside this process, and keep what they show within bounds."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import subprocess
import sys
import traceback
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from typing import Any

from shared.checks.failures import CheckFailure
from shared.checks.kinds import kind_of, subject_of

from . import wire

MAX_OUTPUT = 20_000
"""Characters kept of what a cell prints, and of an error."""
MOST_PRINTED = 20_000_000
"""Characters after which a cell, or a call of a test, is stopped: what prints so much never stops by itself."""
MAX_RICH = 1_000_000
"""Bytes kept of the figures and tables of a cell, as a file holds them."""
MOST_SHOWN = 1_000
"""Figures and tables after which a cell is stopped; all of them are in memory until it ends."""
MAX_NAME = 100
"""Characters kept of the name of an error's class."""
CUT = "\n… the rest was cut"
PARTS = ("check", "came", "expected", "where", "cause", "next_step")
"""What a failed check says."""
SHOWN = ("text/plain", "image/png", "image/jpeg")
"""What is kept of a rich output. HTML, SVG and JavaScript of a learner's would run in the instructor's browser."""
BASE64 = re.compile(r"[A-Za-z0-9+/=\n]*")
"""How a picture is written: a page holds it between quotes."""


class OutputLimitError(BaseException):
    """Code printed or showed without end. Not an `Exception`: a loop that catches those would go on."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}, and was stopped; is there a print in a loop that never ends?")


class Kept(io.TextIOBase):
    """A text stream that keeps the first MAX_OUTPUT characters, so that a flood costs nothing, and then ends it.

    Raises
    ------
    OutputLimitError
        where more than MOST_PRINTED characters are written.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.room = MAX_OUTPUT
        self.most = MOST_PRINTED

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.room > 0:
            self.parts.append(text[: self.room])
            self.room -= len(text)
            if self.room <= 0:
                self.parts.append(CUT)
        self.most -= len(text)
        if self.most < 0:
            raise OutputLimitError(f"this printed more than {MOST_PRINTED:,} characters")
        return len(text)

    def take(self) -> str:
        """What was kept; begins anew."""
        text = "".join(self.parts)
        self.parts, self.room, self.most = [], MAX_OUTPUT, MOST_PRINTED
        return text


def _bounded(publisher: Any) -> None:
    """Have a capturing publisher refuse what comes after MOST_SHOWN outputs, with `OutputLimitError`."""
    publish = publisher.publish

    def publish_some(*args: Any, **kwargs: Any) -> None:
        if len(publisher.outputs) >= MOST_SHOWN:
            raise OutputLimitError(f"this showed more than {MOST_SHOWN:,} figures and tables")
        publish(*args, **kwargs)

    publisher.publish = publish_some


def make_shell() -> Any:
    """An IPython shell without history, its thread, colors or plots on a screen."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.ast_node_interactivity = "last_expr"
    shell = InteractiveShell.instance(config=config)
    shell.enable_gui = lambda gui=None: None
    shell.system = lambda command: _system(shell, command)
    shell._tee = lambda channel: nullcontext()  # it keeps all that is printed, in memory and for nobody, piece by piece
    # a learner's own checks between their code: nothing to check here, and no reason to fail
    shell.extension_manager.loaded.add("autograder.magic")
    shell.register_magic_function(lambda line: None, "line", "check")
    return shell


def _system(shell: Any, command: str) -> None:
    """What `!` does: run a command without a terminal, which a sandbox does not have, and print what it prints."""
    command = shell.var_expand(command, depth=2)
    nothing, pipe, same = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, shell=True, stdin=nothing, stdout=pipe, stderr=same) as process:
        assert process.stdout is not None
        text = io.TextIOWrapper(process.stdout, "utf-8", "replace", newline="")
        try:
            while part := text.read(1 << 16):
                print(part, end="")
        except BaseException:
            process.kill()
            raise
    shell.user_ns["_exit_code"] = process.returncode


def seed_everything() -> None:
    """The same random numbers in every process that runs a job."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if (torch := wire.torch_module()) is not None:
        torch.manual_seed(0)


def run_cell(shell: Any, source: str) -> dict[str, Any]:
    """Run one cell.

    Returns
    -------
    Plain data: "outputs", the notebook outputs; "error", None or what `error_of` gives.
    """
    from IPython.utils.capture import capture_output

    frames: list[str] = []
    shell._showtraceback = lambda etype, evalue, stb: frames.extend(stb)
    kept = Kept()
    with redirect_stdout(kept), redirect_stderr(kept), capture_output(stdout=False, stderr=False) as captured:
        _bounded(shell.display_pub)
        result = shell.run_cell(source, store_history=False)
    # warnings and stderr never cost points: nbgrader reads a stderr stream in a test cell as a failure
    outputs: list[dict[str, Any]] = []
    if text := kept.take():
        outputs.append(printed(text))
    room = MAX_RICH
    for rich in captured.outputs:
        data = {kind: _text(part) for kind, part in rich.data.items() if kind in SHOWN}
        data = {kind: part for kind, part in data.items() if kind == "text/plain" or BASE64.fullmatch(part)}
        room -= 100 + (room if sum(map(len, data.values())) > room else size(data))
        if room < 0:
            break
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return {"outputs": outputs, "error": None}
    found = error_of(error)
    shown = "\n".join(frames)[-MAX_OUTPUT:].split("\n")
    name = str(type(error).__name__)[:MAX_NAME]
    outputs.append({"output_type": "error", "ename": name, "evalue": found["message"], "traceback": shown})
    return {"outputs": outputs, "error": found}


def error_of(error: BaseException) -> dict[str, Any]:
    """An error of a cell as plain data.

    Returns
    -------
    "name", its class or that of the error that made a check fail; "message"; "check", what a failed check says, else
    None; "line" of the cell; "kind" and "subject", see `shared.checks.kinds`.
    """
    found: dict[str, Any] = {
        "name": str(type(error).__name__)[:MAX_NAME],
        "message": words_of(error),
        "check": None,
        "line": line_of_cell(error),
        "kind": str(kind_of(error)),
        "subject": subject_of(error)[:MAX_NAME],
    }
    if isinstance(error, SyntaxError) and not found["line"] and isinstance(error.lineno, int):
        found |= {"message": str(error.msg)[:MAX_OUTPUT], "line": max(0, error.lineno)}
    if type(error) is CheckFailure:
        said = error.as_dict()
        found["check"] = {part: str(said[part])[:MAX_OUTPUT] for part in PARTS}
        found["name"] = str(error.error)[:MAX_NAME]
    return found


def printed(text: str) -> dict[str, Any]:
    """Printed text as a notebook output."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def size(value: Any) -> int:
    """Bytes of plain data in a file: a letter may take one of them, or six."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _text(part: Any) -> str:
    return base64.b64encode(part).decode() if isinstance(part, bytes) else str(part)


def words_of(error: BaseException) -> str:
    """What an error says; "" for an exception class of the learner's whose message fails."""
    try:
        return str(error)[:MAX_OUTPUT]
    except BaseException:
        return ""


def line_of_cell(error: BaseException) -> int:
    """The line of the cell itself, from 1, in which the error came up; 0 when unknown."""
    lines = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>"]
    return lines[0] if lines else 0
