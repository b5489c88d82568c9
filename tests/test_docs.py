"""The numbers in docs/grading.md are those of the code; the files that pages name exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from autograder.engine import handles, judge
from autograder.engine.guest import isolation, keeper, shell, skeleton, usage, wire
from autograder.execution import rerun
from autograder.execution.verdicts import Verdict
from autograder.repair import confined, reading, repair

from .chosen import ROOT

PAGE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
MIB = 2**20
LIMITS = {
    "processes": f"{isolation.PROCESSES}",
    "open files": f"{isolation.OPEN_FILES}",
    "addresses of a process": f"those of the warm process, the memory limit, and {isolation.ADDRESS_ROOM // 2**30} GiB",
    "waiting signals and timers": f"{isolation.SIGNALS}",
    "reruns of one grading": f"none begun after {rerun.RERUN_SECONDS} seconds of them",
    "size of a file, of /tmp, of /dev/shm": f"{isolation.FILE_BYTES // MIB} MiB each",
    "printed text kept of a cell": f"{shell.MAX_OUTPUT:,} characters",
    "printed by a cell, or in the calls of a test, before it is stopped": f"{shell.MOST_PRINTED:,} characters",
    "figures and tables shown by a cell before it is stopped": f"{shell.MOST_SHOWN:,}",
    "pictures and tables kept of a cell": f"{shell.MAX_RICH:,} bytes",
    "kept of all that the cells of a submission show": f"{judge.MAX_SHOWN // MIB} MiB",
    "the name of an error": f"{shell.MAX_NAME} characters",
    "values, containers, arrays and objects of one message": (
        f"{skeleton.MAX_VALUES:,}, {skeleton.MAX_CONTAINERS:,}, {wire.MAX_OBJECTS:,}"
    ),
    "sent while one cell is judged": f"{handles.MAX_RECEIVED // MIB} MiB",
    "one message from a sandbox": f"{wire.MAX_MESSAGE // MIB} MiB, of it {wire.MAX_SKELETON // MIB} MiB besides arrays",
    "containers inside each other": f"{wire.MAX_DEPTH}",
    "deaths of a process before the rest is not run": f"{judge.MAX_DEATHS}, time-outs {judge.MAX_TIMEOUTS}",
    "a submitted file": f"{repair.MAX_BYTES // MIB} MiB",
    "its cells, and the characters in them": f"{reading.MAX_CELLS:,} and {reading.MAX_CHARACTERS:,}",
    "containers inside each other in it": f"{reading.MAX_DEPTH}",
    "memory and CPU time to read it": f"{confined.MEMORY_MIB:,} MiB and {confined.CPU_SECONDS} seconds",
}


def rows(heading: str) -> dict[str, str]:
    """The first two columns of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|"))
    return {row[0]: row[1] for row in cells if not row[0].startswith(("---", "what", "verdict"))}


def test_limits_are_those_of_the_code() -> None:
    found = rows("Limits")
    assert {name: found.get(name) for name in LIMITS} == LIMITS
    assert found["locked memory, message queues, real-time rank"] == "none"
    assert set(isolation.NONE_OF) == {"MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"}
    shown_by_a_test = {"time, memory", "locked memory, message queues, real-time rank", "cores of a sandbox"}
    assert set(found) == {*LIMITS, *shown_by_a_test}


def test_what_the_page_says_of_memory_and_reruns_is_that_of_the_code() -> None:
    assert f"none is begun after {rerun.RERUN_SECONDS} seconds" in PAGE
    assert "less than half of its time" in PAGE
    assert rerun.BUSY == 0.5
    assert "above eight processes, 256 bytes for each of their mappings" in PAGE
    assert (usage.MANY, usage.MAPPING_BYTES) == (8, 256)
    assert "looks ten times a second" in PAGE
    assert keeper.WATCH_SECONDS == 0.1


def test_every_verdict_is_explained() -> None:
    named = {name for row in rows("Verdicts") for name in row.split(", ")}
    assert named == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize(
    "page",
    [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"],
    ids=lambda path: path.name,
)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|benchmarks|docs|autograder)/[\w/.-]+|\.github/[\w/.-]+)`", text)
    for name in re.findall(r"`python -m ((?:tests|benchmarks)[\w.]+)", text):
        folder = name.replace(".", "/")
        named.append(f"{folder}/__main__.py" if (ROOT / folder).is_dir() else f"{folder}.py")
    assert [file for file in named if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", ["troubleshooting", "prerequisites"])
def test_code_on_a_page_prints_what_stands_below_it(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```\n.*?^```text\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL)
    assert len(shown) == text.count("```python") > 0
    for code, below in shown:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), {"__name__": page})
        assert printed.getvalue() == below


def test_the_limit_of_a_file_is_that_of_the_code() -> None:
    assert f"files above {repair.MAX_BYTES // MIB} MiB" in (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
