"""The warm process: it imports once; every job is a fork of it.

    warm process  accepts a connection on a local socket, forks a keeper for it
      keeper      reads one job (cells and limits, JSON), forks the child, watches the clock, kills, answers
        child     runs the cells in IPython and reports each one over a pipe

Run as `python -m autograder.worker`. The first line of standard input is the code to warm up with; when
standard input ends, the warm process ends, and Linux takes keepers and children with it.

This is not a sandbox: a child may read what the user may read. Only grade work you would run yourself.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from typing import Any

MAX_OUTPUT = 20_000
"""Characters kept of what a cell prints, and of an error."""
MAX_RICH = 1_000_000
"""Characters kept of the figures and tables of a cell."""
FILE_BYTES = 256 * 2**20
"""The largest file a cell may write."""


def make_shell() -> Any:
    """An IPython shell without history thread, colors or plots on a screen."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.ast_node_interactivity = "last_expr"
    shell = InteractiveShell.instance(config=config)
    shell.enable_gui = lambda gui=None: None
    return shell


def run_cell(shell: Any, source: str) -> dict[str, Any]:
    """Run one cell. Returns its notebook outputs and its error (None, or name, message and check)."""
    from IPython.utils.capture import capture_output

    frames: list[str] = []
    shell._showtraceback = lambda etype, evalue, stb: frames.extend(stb)
    with capture_output() as captured:
        result = shell.run_cell(source, store_history=False)
    outputs: list[dict[str, Any]] = []
    # warnings and stderr never cost points: nbgrader reads a stderr stream in a test cell as a failure
    if text := (captured.stdout + captured.stderr)[:MAX_OUTPUT]:
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    room = MAX_RICH
    for rich in captured.outputs:
        data = {
            kind: base64.b64encode(part).decode() if isinstance(part, bytes) else part
            for kind, part in rich.data.items()
        }
        room -= sum(len(str(part)) for part in data.values())
        if room < 0:
            break
        outputs.append({"output_type": "display_data", "data": data, "metadata": rich.metadata or {}})
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return {"outputs": outputs, "error": None}
    name = type(error).__name__
    try:
        message = str(error)[:MAX_OUTPUT]
    except Exception:  # an exception class of the learner's, whose message fails
        message = ""
    shown = "\n".join(frames)[-MAX_OUTPUT:].split("\n")
    outputs.append({"output_type": "error", "ename": name, "evalue": message, "traceback": shown})
    check = error.as_dict() if name == "CheckFailure" and hasattr(error, "as_dict") else None
    found = {"name": name, "message": message, "check": check, "line": _line_of_cell(error)}
    return {"outputs": outputs, "error": found}


def _line_of_cell(error: BaseException) -> int:
    """The line of the cell itself, from 1, in which the error came up; 0 when unknown."""
    lines = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>"]
    return lines[0] if lines else 0


def _child(job: dict[str, Any], events: int, shell: Any) -> None:
    """Run the job's cells and report each one. Never returns."""
    os.setsid()
    _die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gib = 2**30
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + int(job["memory_gib"] * gib),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(job["total_seconds"]) + 5,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.closerange(3, events)  # the connection to the grader is the keeper's alone
    os.closerange(events + 1, 4096)
    os.chdir(job["folder"])
    sys.path.insert(0, "")  # as in a notebook: a module that a cell wrote can be imported
    with os.fdopen(events, "w", encoding="utf-8") as pipe:
        for cell in job["cells"]:
            pipe.write(json.dumps({"start": cell["id"]}) + "\n")
            pipe.flush()
            begin = time.perf_counter()
            done = run_cell(shell, cell["source"])
            done |= {"done": cell["id"], "seconds": time.perf_counter() - begin}
            pipe.write(json.dumps(done, default=str) + "\n")
            pipe.flush()
        pipe.write(json.dumps({"end": True}) + "\n")
    os._exit(0)


def _prctl(option: int, value: int) -> None:
    """Linux's prctl; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _die_with_parent(by: signal.Signals) -> None:
    """Get this signal when the parent process ends (PR_SET_PDEATHSIG)."""
    _prctl(1, by)


def _adopt_orphans() -> None:
    """Become the parent of what children of this process leave behind (PR_SET_CHILD_SUBREAPER)."""
    _prctl(36, 1)


def _children() -> list[int]:
    """Processes whose parent is this one."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat", errors="replace") as stat:
            if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


def _kill_what_is_left() -> None:
    """Kill every process below this one; orphans come to us, so a few rounds reach all of them."""
    while left := _children():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _data_bytes() -> int:
    """The private data of this process now, which RLIMIT_DATA counts."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmData"):
                return int(line.split()[1]) * 1024
    return 0


def _lines(events: int, pid: int, deadline: Any) -> Iterator[dict[str, Any]]:
    """Events of the child until it ends; `TimeoutError` when `deadline()` has passed.

    Not until the pipe closes: a process that the child left behind may hold it open.
    """
    ended = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    watched = [events] if ended is None else [events, ended]
    rest = b""
    try:
        while True:
            left = deadline() - time.monotonic()
            ready = select.select(watched, [], [], left)[0] if left > 0 else []
            if not ready:
                raise TimeoutError
            if events not in ready:
                return
            block = os.read(events, 1 << 16)
            if not block:
                return
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)
    finally:
        if ended is not None:
            os.close(ended)


def _sound(event: Any, job: dict[str, Any]) -> bool:
    """Whether an event has the shape of one: a cell may have written to the pipe."""
    if not isinstance(event, dict):
        return False
    if "done" in event:
        error = event.get("error")
        whole = isinstance(event.get("outputs"), list) and isinstance(event.get("seconds"), int | float)
        parts = {"name", "message", "check", "line"}
        return (
            whole
            and _known(event["done"], job)
            and (error is None or (isinstance(error, dict) and parts <= set(error)))
        )
    return "end" in event or ("start" in event and _known(event["start"], job))


def _known(cell_id: Any, job: dict[str, Any]) -> bool:
    return any(cell_id == cell["id"] for cell in job["cells"])


def run_job(job: dict[str, Any], shell: Any) -> dict[str, Any]:
    """Fork, watch, kill. Returns the cells that were run and how the child ended."""
    reading, writing = os.pipe()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workbook-") as folder:
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                _child(job | {"folder": folder}, writing, shell)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)
        os.close(writing)
        cells: dict[str, Any] = {}
        state = {"cell": "", "since": begin}
        ended, why = False, ""

        def deadline() -> float:
            return min(state["since"] + job["cell_seconds"], begin + job["total_seconds"])

        try:
            for event in _lines(reading, pid, deadline):
                if not _sound(event, job):
                    continue
                if "start" in event:
                    state.update(cell=event["start"], since=time.monotonic())
                elif "done" in event:
                    cells[event.pop("done")] = event
                if "end" in event:
                    ended = True
                    break
        except TimeoutError:
            total = time.monotonic() - begin >= job["total_seconds"]
            why = "TIMEOUT: the whole notebook" if total else "TIMEOUT"
        finally:
            os.close(reading)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            _kill_what_is_left()
    if not ended and not why:
        signalled = os.WIFSIGNALED(status)
        code = os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
        why = f"CRASH: {signal.Signals(code).name if signalled else f'exit code {code}'}"
    return {
        "cells": cells,
        "died_in": "" if ended else state["cell"],
        "why": "" if ended else why,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_kib": usage.ru_maxrss,
    }


def _keep(connection: socket.socket, shell: Any) -> None:
    """Serve one job on this connection. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(70))  # runs the `finally` of run_job
    _die_with_parent(signal.SIGTERM)
    _adopt_orphans()
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        job = json.loads(stream.readline())
        stream.write(json.dumps(run_job(job, shell)) + "\n")
    os._exit(0)


def main() -> None:
    """Warm up with the code given as the first line, then serve jobs until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warm = json.loads(sys.stdin.buffer.readline())
    shell = make_shell()
    exec(compile(warm["code"], "<warm-up>", "exec"), {})
    gc.collect()
    gc.freeze()  # a collection in a child would write to every object, and so copy every page
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    with tempfile.TemporaryDirectory(prefix="workbook-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, "jobs"))
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
        answers.write(json.dumps({"socket": listener.getsockname(), "threads": threads}) + "\n")
        answers.close()
        while sys.stdin.buffer not in (ready := select.select([listener, sys.stdin.buffer], [], [])[0]):
            if listener in ready:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    try:
                        listener.close()
                        _keep(connection, shell)
                    except BaseException:
                        traceback.print_exc()
                    finally:
                        os._exit(70)
                connection.close()


if __name__ == "__main__":
    main()
