"""One submission: answer cells run in the learner's process, test cells here, a verdict for every graded cell.

    for each cell, in the order of the notebook
        set-up and given code   runs on both sides
        answers, own cells      run in the learner's process
        tests                   run here; the learner's names are handles

A learner's process that dies is replaced by a new one, in which everything before is run again without the cell
that killed it. At the end the tests that failed in an exercise that builds on a failed one are judged once more, in a
process where the reference answers stand in for the failed ones.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn, Protocol

from . import wire
from .handles import GoneError, Learner
from .late import Late, Moment
from .process import Ending, Started
from .shell import printed, run_cell

MAX_DEATHS = 3
"""A submission whose process died this often is not run any further."""
MAX_TIMEOUTS = 2
MAX_SHOWN = 32 * 2**20
"""Characters kept of what all cells of a submission show and say."""
GRACE_SECONDS = 0.5
"""How much later than the learner's process the judge itself is stopped in a test."""
NOT_RUN = "not run: "
TRUSTED, ANSWER, OWN, TEST = "trusted", "answer", "own", "test"
"""Kinds of cells: from the course; a learner's answer to an exercise; a learner's own; a test."""


class InfraError(Exception):
    """The grader's own fault: nothing is said about the submission."""


@dataclass
class Outcome:
    """What became of one cell: fields of `runner.CellRun`, as plain data."""

    verdict: str
    message: str = ""
    seconds: float = 0.0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    check: dict[str, str] | None = None
    line: int = 0
    stand_ins: list[str] = field(default_factory=list)


class Judge:
    """Judges one job.

    Parameters
    ----------
    job : see `runner.Job.to_plain`.
    start : starts a learner's process.
    shell : where test cells run.
    """

    def __init__(self, job: dict[str, Any], start: Callable[[], Started], shell: Any) -> None:
        self.job = job
        self.limits = job["limits"]
        self.cells: list[dict[str, Any]] = job["cells"]
        self.start = start
        self.shell = shell
        self.begin = self.begun = Moment()
        self.end = self.begin.clock + self.limits["total_seconds"]
        self.late: list[Late] = []
        self.killed = False
        self.outcomes: dict[str, Outcome] = {}
        self.deaths: list[str] = []
        self.died = 0
        self.room = MAX_SHOWN
        self.skip: set[str] = set()
        self.prepared: set[str] = set()
        self.standing_in = False
        self.cpu_seconds, self.peak_kib = 0.0, 0
        self.process: Started | None = None
        self.learner: Learner | None = None

    # --- the flow

    def run(self) -> dict[str, Any]:
        """Judge everything; returns outcomes and costs as plain data."""
        self._pass_over(self.cells, {}, self.outcomes)
        for exercise, group in self._to_stand_in().items():
            self._with_stand_ins(exercise, group)
        self._stop()
        return {
            "cells": {cell_id: asdict(outcome) for cell_id, outcome in self.outcomes.items()},
            "cpu_seconds": self.cpu_seconds + time.process_time(),
            "peak_kib": self.peak_kib,
            "deaths": self.died,
            "late": [asdict(late) for late in self.late],
            "killed": self.killed,
        }

    def _pass_over(self, cells: Sequence[dict[str, Any]], answers: dict[str, str], into: dict[str, Outcome]) -> None:
        """Run cells in order. `answers` replaces the source of answer cells, by exercise."""
        done: list[dict[str, Any]] = []
        for cell in cells:
            if self._stopped():
                into[cell["id"]] = self._not_run()
                continue
            if cell["kind"] == ANSWER and cell["exercise"] in answers:
                cell = cell | {"source": answers[cell["exercise"]]}
            if self.learner is None and not self._revive(done, into):
                into[cell["id"]] = self._not_run()
                continue
            outcome = self._test(cell) if cell["kind"] == TEST else self._cell(cell)
            into[cell["id"]] = self._cut(outcome)
            if cell["kind"] != TEST and cell["id"] not in self.skip:
                done.append(cell)

    def _revive(self, done: Sequence[dict[str, Any]], into: dict[str, Outcome]) -> bool:
        """Start a learner's process and run again what ran before; False when that cannot be done."""
        while not self._stopped():
            self._start()
            for cell in done:
                if cell["id"] in self.skip:
                    continue
                outcome = self._cell(cell)
                if self.learner is None:
                    into[cell["id"]] = outcome
                    break
            else:
                return True
        return False

    def _cut(self, outcome: Outcome) -> Outcome:
        """What an outcome shows, as long as there is room: a notebook may have very many cells."""
        self.room -= len(outcome.message) + sum(len(str(output)) for output in outcome.outputs)
        if self.room < 0:
            outcome.outputs, outcome.message, outcome.check = [], outcome.message[:200], None
        return outcome

    def _stopped(self) -> bool:
        late = time.monotonic() >= self.end
        if late and "TOTAL" not in self.deaths:
            self.deaths.append("TOTAL")
            self._too_late(self.begin)
        return late or len(self.deaths) >= MAX_DEATHS or self.deaths.count("TIMEOUT") >= MAX_TIMEOUTS

    def _not_run(self) -> Outcome:
        last = self.deaths[-1]
        verdict, text = self._said(last, "")
        return _dead(verdict, f"{NOT_RUN}{text}")

    # --- one cell

    def _deadline(self) -> None:
        assert self.process is not None
        self.begun = Moment()
        self.process.channel.deadline = min(time.monotonic() + self.limits["cell_seconds"], self.end)

    def _cell(self, cell: dict[str, Any]) -> Outcome:
        """A cell in the learner's process; one of the course's runs here too, once."""
        if cell["kind"] == TRUSTED and cell["id"] not in self.prepared:
            self.prepared.add(cell["id"])
            done = run_cell(self.shell, cell["source"])
            if done["error"]:
                raise InfraError(f"cell {cell['id']!r} of the course: {done['error']['message']}")
        assert self.learner is not None
        self._deadline()
        try:
            return outcome_of(self.learner.run(cell["source"]))
        except GoneError as gone:
            self.skip.add(cell["id"])
            return self._death(gone)

    def _test(self, cell: dict[str, Any]) -> Outcome:
        """A test cell: here, with the learner's names as handles."""
        learner = self.learner
        assert learner is not None
        self._deadline()
        begin = time.perf_counter()
        namespace = self.shell.user_ns
        for name in self.job["names"]:
            namespace.pop(name, None)
        try:
            with self._alarm(learner):
                namespace.update(learner.names(self.job["names"]))
                done = run_cell(self.shell, cell["source"])
            if learner.gone is not None:
                return self._death(learner.gone)
            if (text := learner.end_of_test()) and not self.standing_in:
                done["outputs"].insert(0, printed(text))
        except GoneError as gone:
            return self._death(gone)
        except TypeError as error:  # the test changed a copy of the learner's state
            raise InfraError(f"test cell {cell['id']!r}: {error}") from None
        return outcome_of(done | {"seconds": time.perf_counter() - begin})

    @contextmanager
    def _alarm(self, learner: Learner) -> Iterator[None]:
        """Stop a test that is busy with what it got, and does not wait for the learner's process."""

        def stop(number: int, frame: Any) -> NoReturn:
            raise learner.lost("TIMEOUT")

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, max(0.0, learner.channel.deadline - time.monotonic()) + GRACE_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    # --- processes

    def _start(self) -> None:
        self.process = self.start()
        self._deadline()
        try:
            self.learner = Learner(self.process.channel)
        except GoneError as gone:
            ending = self.process.end()
            raise InfraError(gone.detail or ending.why or "a sandbox ended while it was started") from None

    def _stop(self, since: float | None = None, *, broken: bool = False) -> Ending:
        """End the learner's process and count what it used, from `since` on apart."""
        if self.process is None:
            return Ending()
        ending = self.process.end(since, broken=broken)
        self.process, self.learner = None, None
        self.cpu_seconds += ending.cpu_seconds
        self.peak_kib = max(self.peak_kib, ending.peak_kib)
        return ending

    def _too_late(self, begun: Moment) -> Ending:
        """End the process, and note what it, and the judge, did with the time since a moment."""
        before = self.cpu_seconds if begun is self.begin else 0.0
        ending, now = self._stop(begun.clock), Moment()
        busy = before + ending.busy + now.cpu_seconds - begun.cpu_seconds
        waited = ending.waited + now.waited - begun.waited
        self.late.append(Late(now.clock - begun.clock, busy, waited))
        return ending

    def _death(self, gone: GoneError) -> Outcome:
        """Why the process went, as an outcome of the cell that it went in."""
        why = gone.why
        if why == "TIMEOUT" and time.monotonic() >= self.end:
            why = "TOTAL"
        if why in ("TIMEOUT", "TOTAL"):
            ending = self._too_late(self.begin if why == "TOTAL" else self.begun)
        else:
            ending = self._stop(self.begun.clock, broken=not why)
        if not why:
            self.killed = self.killed or ending.why == "killed"
            why = {"memory": "OOM", "cpu": "CPU"}.get(ending.why, "CRASH")
            if ending.why.startswith("infra"):
                raise InfraError(ending.why)
        detail = gone.detail or ending.signal or f"exit code {ending.code}"
        self.deaths.append(why)
        self.died += 1
        verdict, text = self._said(why, detail)
        return _dead(verdict, text)

    def _said(self, why: str, detail: str) -> tuple[str, str]:
        """Verdict and message of a death."""
        cell, total = self.limits["cell_seconds"], self.limits["total_seconds"]
        return {
            "TIMEOUT": ("TIMEOUT", f"the cell ran longer than {cell:g} s and was stopped"),
            "TOTAL": ("TIMEOUT", f"the whole notebook ran longer than {total:g} s"),
            "CPU": ("TIMEOUT", "the notebook used more CPU time than it may"),
            "OOM": ("OOM", f"the process needed more than {self.limits['memory_gib']:g} GiB of memory"),
            "TAMPERED": ("TAMPERED", f"the process sent what no answer sends{': ' * bool(detail)}{detail}"),
            "CRASH": ("CRASH", f"the process ended inside this cell{f' ({detail})' if detail else ''}"),
        }[why]

    # --- stand-ins

    def _lost_points(self, exercise: str) -> bool:
        tests = [cell["id"] for cell in self.cells if cell["kind"] == TEST and cell["exercise"] == exercise]
        return any(self.outcomes[test].verdict != "PASS" for test in tests)

    def _to_stand_in(self) -> dict[str, list[str]]:
        """Exercises that lost points and build on others that did -> those others."""
        return {
            exercise: failed
            for exercise, used in self.job["uses"].items()
            if self._lost_points(exercise) and (failed := [name for name in used if self._lost_points(name)])
        }

    def _with_stand_ins(self, exercise: str, failed: list[str]) -> None:
        """Judge the failed tests of an exercise again, with the reference in place of the failed ones it uses.

        Of this run nothing but a PASS is kept: what answers print or return there could hold the reference.
        """
        again = [
            cell
            for cell in self.cells
            if cell["kind"] != TEST or (cell["exercise"] == exercise and self.outcomes[cell["id"]].verdict != "PASS")
        ]
        last = max(place for place, cell in enumerate(again) if cell["kind"] == TEST)
        self._stop()
        self.standing_in = True
        self.deaths = [death for death in self.deaths if death == "TOTAL"]
        second: dict[str, Outcome] = {}
        self._pass_over(again[: last + 1], {name: self.job["reference"][name] for name in failed}, second)
        for cell in again[: last + 1]:
            outcome = second[cell["id"]]
            if cell["kind"] == TEST and not outcome.message.startswith(NOT_RUN):
                if outcome.verdict == "PASS":
                    self.outcomes[cell["id"]] = outcome
                self.outcomes[cell["id"]].stand_ins = failed


def outcome_of(done: dict[str, Any]) -> Outcome:
    """The verdict of a cell that ended: what it showed and, where it failed, why."""
    error = done["error"]
    if not error:
        return Outcome("PASS", "", done["seconds"], done["outputs"])
    verdict, message = "ERROR", f"{error['name']}: {error['message']}"
    check = error["check"]
    if check or error["name"] in ("AssertionError", "NotImplementedError"):
        verdict, message = "FAIL", error["message"] if check else message
    raised = check.get("came", "") if check else message
    if raised.startswith(("MemoryError", "OutOfMemoryError")) or "can't allocate memory" in raised:
        verdict = "OOM"
    return Outcome(verdict, message, done["seconds"], done["outputs"], check, error["line"])


def _dead(verdict: str, text: str) -> Outcome:
    name = "CellTimeoutError" if verdict == "TIMEOUT" else "DeadProcessError"
    output = {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
    return Outcome(verdict, text, 0.0, [output])


def judge(channel: wire.Channel, sandboxes: socket.socket | None, shell: Any) -> NoReturn:
    """Judge one job and say what came out. Never returns.

    Parameters
    ----------
    sandboxes : where learners' processes are started; None runs everything in this process.
    """
    job = json.loads(channel.receive())
    if sandboxes is None:
        run_together(channel, job, shell)
    else:
        try:
            result = Judge(job, lambda: Started(sandboxes, job["learner"]), shell).run()
        except (InfraError, OSError) as error:
            result = {"infra": str(error)}
        channel.send(json.dumps(result).encode())
    os._exit(0)


class Sends(Protocol):
    """Whoever is told what happens."""

    def send(self, message: bytes) -> None: ...


def run_together(channel: Sends, job: dict[str, Any], shell: Any) -> None:
    """All cells in this process, as in a notebook: no sandbox and no handles, for trusted code only."""
    for cell in job["cells"]:
        channel.send(json.dumps({"start": cell["id"]}).encode())
        begin = time.perf_counter()
        done = run_cell(shell, cell["source"]) | {"seconds": time.perf_counter() - begin}
        channel.send(json.dumps({"done": cell["id"], "outcome": asdict(outcome_of(done))}).encode())
    channel.send(json.dumps({"end": True}).encode())
