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
from dataclasses import asdict, replace
from typing import Any, NoReturn

from .cell_kinds import ANSWER as ANSWER
from .cell_kinds import OWN as OWN
from .cell_kinds import TEST as TEST
from .cell_kinds import TRUSTED as TRUSTED
from .child import Started
from .guest import wire
from .guest.endings import Ending, Why
from .guest.shell import printed, run_cell
from .guest.state import Turns
from .handles import GoneError, Learner, StateChangedError
from .outcome import Outcome, dead, outcome_of
from .time_outs import Late, Moment
from .together import run_given, run_together
from .validate import encoded

MAX_DEATHS = 3
"""A submission whose process died this often is not run any further."""
MAX_TIMEOUTS = 2
MAX_SHOWN = 16 * 2**20
"""Bytes kept of what all cells of a submission show and say, as they are sent and written."""
GRACE_SECONDS = 0.5
"""How much later than the learner's process the judge itself is stopped in a test."""


class InfraError(Exception):
    """The grader's own fault: nothing is said about the submission."""


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
        self.prepared: dict[str, Outcome] = {}
        self.cpu_seconds, self.peak_kib = 0.0, 0
        self.process: Started | None = None
        self.learner: Learner | None = None
        self.turns = Turns()

    # --- the flow

    def run(self) -> dict[str, Any]:
        """Judge everything; returns outcomes and costs as plain data."""
        self._pass_over(self.cells, {}, self.outcomes)
        self._stop()
        costs: dict[str, Any] = {"cpu_seconds": self.cpu_seconds + time.process_time()}
        costs |= {"peak_kib": self.peak_kib, "deaths": self.died}
        costs |= {"late": [asdict(late) for late in self.late], "killed": self.killed}
        if time.monotonic() < self.end:
            self._stand_in()
        return {"cells": {cell_id: asdict(outcome) for cell_id, outcome in self.outcomes.items()}, **costs}

    def _pass_over(self, cells: Sequence[dict[str, Any]], answers: dict[str, str], into: dict[str, Outcome]) -> None:
        """Run cells in order. `answers` replaces the source of answer cells, by exercise."""
        done: list[dict[str, Any]] = []
        for cell in cells:
            if self._stopped():
                self._keep(into, cell, self._not_run())
                continue
            if cell["kind"] == ANSWER and cell["exercise"] in answers:
                cell = cell | {"source": answers[cell["exercise"]]}
            if self.learner is None and not self._revive(done, into):
                self._keep(into, cell, self._not_run())
                continue
            outcome = self._test(cell) if cell["kind"] == TEST else self._cell(cell)
            self._keep(into, cell, outcome)
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

    def _keep(self, into: dict[str, Outcome], cell: dict[str, Any], outcome: Outcome) -> None:
        """Keep an outcome with what it shows, as long as there is room: a notebook may have very many cells.

        Then nothing is shown any more, and of own cells beyond twice the room nothing is said at all.
        """
        self.room -= len(encoded(asdict(outcome)))
        if self.room < 0:
            outcome.outputs, outcome.message, outcome.check = [], outcome.message[:200], None
        if self.room > -MAX_SHOWN or cell["kind"] != OWN:
            into[cell["id"]] = outcome

    def _stopped(self) -> bool:
        late = time.monotonic() >= self.end
        if late and "TOTAL" not in self.deaths:
            self.deaths.append("TOTAL")
            self._too_late(self.begin)
        return late or len(self.deaths) >= MAX_DEATHS or self.deaths.count("TIMEOUT") >= MAX_TIMEOUTS

    def _not_run(self) -> Outcome:
        last = self.deaths[-1]
        verdict, text = self._said(last, "")
        return dead(verdict, f"not run: {text}")

    # --- one cell

    def _deadline(self) -> None:
        assert self.process is not None
        self.begun = Moment()
        self.process.channel.deadline = min(time.monotonic() + self.limits["cell_seconds"], self.end)

    def _cell(self, cell: dict[str, Any]) -> Outcome:
        """A cell in the learner's process; one of the course's runs here too, once, and shows what it showed here."""
        if cell["kind"] == TRUSTED and cell["id"] not in self.prepared:
            self.prepared[cell["id"]] = self._prepare(cell)
        assert self.learner is not None
        self._deadline()
        try:
            with self._alarm(self.learner):
                run = self.learner.given if cell["kind"] == TRUSTED else self.learner.run
                outcome = outcome_of(run(cell["source"]))
        except GoneError as gone:
            self.skip.add(cell["id"])
            return self._death(gone)
        return replace(self.prepared.get(cell["id"], outcome)) if outcome.verdict == "PASS" else outcome

    def _prepare(self, cell: dict[str, Any]) -> Outcome:
        """Run a cell of the course here. It may name what answers define, in annotations: empty classes stand there.

        So whether it raises is never the learner's doing.
        """
        begin = time.perf_counter()
        with self.turns.given():
            done = run_given(self.shell, cell["source"], self.job["names"])
        if done["error"]:
            raise InfraError(f"cell {cell['id']!r} of the course: {done['error']['message']}")
        return outcome_of(done | {"seconds": time.perf_counter() - begin})

    def _test(self, cell: dict[str, Any]) -> Outcome:
        """A test cell: here, with the learner's names as handles."""
        learner = self.learner
        assert learner is not None
        self._deadline()
        begin = time.perf_counter()
        namespace = self.shell.user_ns
        try:
            with self._alarm(learner), self.turns.test():
                namespace.update(learner.names(self.job["names"]))
                done = run_cell(self.shell, cell["source"]) | {"seconds": time.perf_counter() - begin}
                if learner.gone is not None:
                    return self._death(learner.gone)
                if text := learner.end_of_test():
                    done["outputs"].insert(0, printed(text))
        except GoneError as gone:
            return self._death(gone)
        except StateChangedError as error:
            if error.asked:  # the course's own fault: no answer could have passed
                raise InfraError(f"test cell {cell['id']!r}: {error}") from None
            return Outcome("ERROR", f"TypeError: {error}", time.perf_counter() - begin)
        finally:
            for name in self.job["names"]:  # a later cell of the course's must not meet the learner's objects
                namespace.pop(name, None)
        return outcome_of(done)

    @contextmanager
    def _alarm(self, learner: Learner) -> Iterator[None]:
        """Stop what is busy with something that came, and does not wait for the learner's process."""

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
            raise InfraError(gone.detail or ending.detail or "a sandbox ended while it was started") from None

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
            if ending.why is Why.FAULT:
                raise InfraError(ending.detail)
            self.killed = self.killed or ending.why is Why.KILLED
            why = {Why.MEMORY: "OOM", Why.CPU: "CPU"}.get(ending.why, "CRASH")
        detail = gone.detail or ending.signal or f"exit code {ending.code}"
        self.deaths.append(why)
        self.died += 1
        verdict, text = self._said(why, detail)
        return dead(verdict, text)

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

    def _stand_in(self) -> None:
        """Judge again the failed tests of exercises that build on failed ones, with references in place of those.

        The reference is in the learner's process then, which could tell it by anything that may differ: a text, a
        time, a death, how far it comes. So nothing but a PASS is kept, not even the costs, and which tests are judged
        again is said before the first of them is.
        """
        groups, skip = self._to_stand_in(), set(self.skip)
        failed = [cell for cell in self.cells if cell["kind"] == TEST and self.outcomes[cell["id"]].verdict != "PASS"]
        for cell in failed:
            self.outcomes[cell["id"]].stand_ins = groups.get(cell["exercise"], [])
        for exercise, used in groups.items():
            answers = {name: self.job["reference"][name] for name in used}
            tests = [cell["id"] for cell in failed if cell["exercise"] == exercise]
            self.skip = {one["id"] for one in self.cells if one["id"] in skip and one["exercise"] not in answers}
            self.deaths = []
            for test in self._passed_with(answers, tests):
                before = self.outcomes[test]
                self.outcomes[test] = Outcome("PASS", seconds=before.seconds, stand_ins=before.stand_ins)

    def _passed_with(self, answers: dict[str, str], tests: Sequence[str]) -> list[str]:
        """Those of some tests that pass in a new process with these answers."""
        cells = [cell for cell in self.cells if cell["kind"] != TEST or cell["id"] in tests]
        last = max(place for place, cell in enumerate(cells) if cell["kind"] == TEST)
        second: dict[str, Outcome] = {}
        self._pass_over(cells[: last + 1], answers, second)
        self._stop()
        return [test for test in tests if second[test].verdict == "PASS"]


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
        except InfraError as error:
            result = {"fault": str(error)}
        except Exception as error:
            result = {"fault": f"the judge failed ({type(error).__name__}: {error})"}
        channel.send(encoded(result))
    os._exit(0)
