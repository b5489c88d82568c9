"""`import shared` and its modules load nothing heavy: a notebook pays only for what it uses."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROBE = """
import sys
import shared, shared.profiles, shared.plotting, shared.profiling, shared.datasets, shared.checks
print(*sorted({"torch", "matplotlib", "sklearn"} & set(sys.modules)))
"""


def test_importing_the_helpers_loads_no_heavy_library() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
