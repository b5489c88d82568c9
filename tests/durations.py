"""What a run of the tests cost by week, and what it would cost with every planned week: a plugin of pytest.

Under xdist the reports of all workers come together in the controller, which alone counts.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import pytest

PLANNED, CORES, BUDGET_MINUTES = 42, 2, 30
NAMED = re.compile(r"(?<![a-z0-9])week\d\d(?=[_.])")


class Durations:
    """Seconds of tests by what they belong to.

    Attributes
    ----------
    rest : seconds of all tests that belong to no week.
    """

    def __init__(self, weeks: Sequence[str], chosen: Collection[str]) -> None:
        """`weeks` are the names of all weeks, `chosen` those that get the long checks."""
        self.weeks, self.chosen = weeks, set(chosen)
        self.rest = 0.0
        self._seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._ran: dict[str, set[str]] = defaultdict(set)

    def add(self, nodeid: str, seconds: float, *, ran: bool = True) -> None:
        """Count one phase of a test (set-up, call or tear-down); `ran` is its call."""
        week = self.week_of(nodeid)
        if not week:
            self.rest += seconds
            return
        self._seconds[_kind(nodeid), week] += seconds
        if ran:
            self._ran[_kind(nodeid)].add(week)

    def week_of(self, nodeid: str) -> str:
        """The week that a test has as a parameter, or is named after; "" where it is none, or several."""
        inside = [name for name in self.weeks if name in nodeid]
        found = NAMED.search(nodeid.partition("[")[0].rpartition("/")[2].replace("test_", " "))
        return next((name for name in self.weeks if inside == [name] or (found and name.startswith(found[0]))), "")

    @property
    def by_week(self) -> Mapping[str, float]:
        """Seconds of a week's notebook and of the tests that belong to it."""
        found = dict.fromkeys(self.weeks, 0.0)
        for (_, week), seconds in self._seconds.items():
            found[week] += seconds
        return found

    @property
    def of_every_week(self) -> float:
        """Seconds of the kinds of tests that run not only for the chosen weeks: they grow with the number of weeks."""
        weeks = set(self.weeks)
        grow = {kind for kind, ran in self._ran.items() if ran == weeks or not ran <= self.chosen}
        return sum(seconds for (kind, _), seconds in self._seconds.items() if kind in grow)

    def projection(self, elapsed: float, workers: int) -> float:
        """Minutes on `CORES` cores with every planned week, when a run took `elapsed` seconds of `workers` processes.

        What runs for every week grows with their number; what only the chosen weeks get, and the rest, stay. Waiting
        and collecting grow in proportion.
        """
        now = self.rest + sum(self.by_week.values())
        planned = now + self.of_every_week * (PLANNED / len(self.weeks) - 1)
        return elapsed * workers / CORES * planned / now / 60

    def lines(self, elapsed: float, workers: int) -> list[str]:
        rows = [f"{seconds:9.1f} s  {week}" for week, seconds in self.by_week.items() if seconds]
        minutes = self.projection(elapsed, workers)
        last = f"projection for {PLANNED} weeks: {minutes:.1f} min on {CORES} cores (budget {BUDGET_MINUTES})"
        return [*rows, f"{self.rest:9.1f} s  the rest", last]


def _kind(nodeid: str) -> str:
    """The test without its week: the same for tests that do the same for several weeks."""
    return "notebooks" if ".ipynb" in nodeid else re.sub(r"week\d\d\w*", "W", nodeid.partition("[")[0])


class Reporter:
    """Counts, and with `--durations` prints at the end; it fails nothing."""

    def __init__(self, durations: Durations) -> None:
        self.durations = durations
        self.begin = time.perf_counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.durations.add(report.nodeid, report.duration, ran=report.when == "call" and not report.skipped)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        asked = terminalreporter.config.getoption("durations") is not None
        if not asked or not self.durations.of_every_week:
            return  # a few tests say nothing about all of them
        workers = terminalreporter.config.getoption("numprocesses", None) or 1
        terminalreporter.section("time by week")
        for line in self.durations.lines(time.perf_counter() - self.begin, workers):
            terminalreporter.write_line(line)


def report_durations(config: pytest.Config, weeks: Sequence[str], chosen: Collection[str]) -> None:
    """Count where the reports of all workers come together."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(Durations(weeks, chosen)), "durations by week")
