"""The tiny week with a cell that is measured on a data set, and a measurement of it as it is kept."""

from __future__ import annotations

from autograder.week.measured import Kept, Machine, Measurement, Picture

from .tiny_week import LESSON

CELL = """# %% given="count"
def count(folder) -> int:
    \"\"\"The files of a folder.\"\"\"
    return len(list(folder.iterdir()))

# %% explore=true
other = 1

# %% explore=true measured="photos"
from pathlib import Path
import os

from shared import profiles as profile

budget = profile.budget(minutes=2)
data = Path(os.environ.get("WORKBOOK_DATA", "")) / "photos"
if data.is_dir():
    print(count(data), "files,", budget.scaled(100), "steps, seed", budget.seed)
    print("quadrupled:", quadruple(count(data)))
"""
MEASURED_LESSON = LESSON.replace("# %% explore=true compare=true\n", f"{CELL}\n# %% explore=true compare=true\n")
MEASUREMENT = Measurement(
    date="2026-05-04",
    commit="0123456789abcdef0123456789abcdef01234567",
    command="workbook record week01 --real-data FOLDER --minutes 5",
    minutes=5,
    seed=3,
    machine=Machine(profile="cpu", device="x86_64", cores=2, threads=1, torch="2.9.1"),
    wall_minutes=5.25,
    cpu_minutes=4.5,
    code="0" * 16,
    printed=["7 files, 250 steps, seed 3", "quadrupled: 28"],
    pictures=[Picture(file="measured-photos.png", text="A dot.")],
)
KEPT = Kept(cells={"photos": MEASUREMENT})
