"""How long a learner waits for `workbook check` once the warm process is there.

    python -m benchmarks.check          # week 1
    python -m benchmarks.check 4

The week lies in a bundle without solutions, with the reference as the learner's answers. Every exercise is checked
REPEATS times, each time by a new command, as a learner types it: start of Python, reading, running, printing.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autograder.learner.released import open_released
from autograder.week.cells import Exercise
from autograder.week.locate import open_week

ROOT = Path(__file__).parents[1]
REPEATS = 5


def main() -> None:
    asked = sys.argv[1] if len(sys.argv) > 1 else "1"
    source, released = open_week(ROOT, asked), open_released(ROOT, asked).week
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        root = Path(folder) / "bundle"
        shutil.copytree(ROOT / "weeks" / released.name, root / "weeks" / released.name)
        shutil.copy(ROOT / "pyproject.toml", root)
        environment = os.environ | {"WORKBOOK_RUNTIME": folder, "WORKBOOK_WARM_SECONDS": "30"}

        def workbook(*words: str) -> float:
            begin = time.perf_counter()
            command = [sys.executable, "-m", "autograder.cli", *words]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return time.perf_counter() - begin

        workbook("start", asked)
        path = root / "work" / released.name / f"{released.topic}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        answers = {cell.id: cell.source for cell in source.of_kind(Exercise)}
        for cell in notebook["cells"]:
            cell["source"] = answers.get(cell["id"], cell["source"])
        path.write_text(json.dumps(notebook), encoding="utf-8")
        print(f"{released.name}, {REPEATS} commands each, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"{'the first check of all, with the warm process to start':56} {workbook('check', asked):6.2f} s")
        print(f"{'check of the whole week, nothing changed':56} {workbook('check', asked):6.2f} s")
        for name in released.exercises:
            times = [workbook("check", asked, name) for _ in range(REPEATS)]
            print(f"check {asked} {name:48} {statistics.median(times):6.2f} s   (most {max(times):.2f} s)")


if __name__ == "__main__":
    main()
