"""`shared.exporting`: what is written is the notebook's source with all that it needs, and it runs by itself."""

from __future__ import annotations

import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from autograder.week.source import load_week
from autograder.week.variants import load_variants
from shared import exporting

from ..in_browser.test_demo import WEEK, names_of_the_notebook

CELLS = (
    """
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import hypot as length, pi
from pathlib import Path

import numpy as np
import torch.nn.functional as F
import torch

SIZES = [3, 5]
rows = np.zeros(4)  # a variable of the notebook that has the name of a local one below
""",
    """
FACTOR = 3
LOW, HIGH = float("-inf"), SIZES[0] + 10.5
WORD = re.compile("[a-z]+")
twice = functools.partial(lambda factor, value: factor * value, 2)
halved = lambda value: value / 2


def helper(value: float, other: Callable | None = None) -> float:
    \"\"\"A helper beside the answer.\"\"\"
    return clipped(value) * FACTOR + len(WORD.findall("ab cd"))


def clipped(value):
    return max(LOW, min(HIGH, value))


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5


DEFAULT = Settings(0.25)


@functools.cache
def answer(value):
    rows = [helper(value), twice(value), halved(value), DEFAULT.rate, length(3, 4), round(pi, 2)]
    return [float(F.relu(torch.tensor(float(row)))) for row in rows]
""",
    """
class Log(dict):
    folder = Path("runs")

    def add(self, value):
        self[value] = mark(value)
        return self


def mark(value, depth=1):
    return [value, FACTOR] if depth == 0 else mark(value, depth - 1)


def early(value):
    return Log().add(value)


def both(value):
    return early(value), answer(value), np.add(value, 1).item()
""",
)
MODULES = {"one": ("The first.", ["answer"]), "two": ("The second.", ["early", "both"]), "three": ("Logs.", ["Log"])}


def notebook(*cells: str) -> dict[str, Any]:
    """What cells define, each of them a file of its own that nobody can open, as in a kernel."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(cells):
        file = f"<cell {number} of {id(names)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), names)
    return names


def ran(folder: Path, code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_helpers_constants_and_imports_beside_an_answer_come_along(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    names = notebook(*CELLS)
    exporting.write_package(folder, MODULES, names, last={"three": 'if __name__ == "__main__":\n    print(both(2))'})
    here = repr((names["early"](2), names["answer"](2), 3))
    assert ran(folder, "import study.one, study.two, study.three; print(study.two.both(2))") == here
    assert ran(folder, "import runpy; runpy.run_module('study.three', run_name='__main__')") == here
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert all(text.count("def helper(") == (name == "one") for name, text in texts.items()), "written once"
    assert '"""A helper beside the answer."""' in texts["one"], "as it stands in the cell"
    assert "class Log(dict)" in texts["two"], "needed before its own module"
    assert "from study.two import Log" in texts["three"]
    assert not any("np.zeros" in text for text in texts.values()), "a local name needs no global one"


def test_what_is_used_and_defined_nowhere_is_named(tmp_path: Path) -> None:
    names = notebook("def outer(x):\n    return inner(x)\n")
    with pytest.raises(LookupError, match="outer uses inner"):
        exporting.write_package(tmp_path / "study", {"one": ("", ["outer"])}, names)


def test_what_no_cell_defines_is_named(tmp_path: Path) -> None:
    names = notebook("def outer():\n    return held\n") | {"held": object()}
    with pytest.raises(LookupError, match="the source of held"):
        exporting.write_package(tmp_path / "study", {"one": ("", ["outer"])}, names)


def test_the_newest_of_two_versions_of_a_cell_is_written(tmp_path: Path) -> None:
    names = notebook("def f():\n    return LIMIT\nLIMIT = 1\n", "def f():\n    return 10 * LIMIT\n", "LIMIT = 5\n")
    exporting.write_package(tmp_path / "study", {"one": ("", ["f"])}, names)
    assert ran(tmp_path / "study", "import study.one; print(study.one.f())") == "50"


def test_what_is_used_of_a_copied_module_is_written_out_with_all_it_needs(tmp_path: Path) -> None:
    """Its helpers and imports come along, names for type checkers are the notebook's, and nothing imports it."""
    cell = (
        "import numpy as np\nimport torch\nfrom shared.study import enlarged, strangers\n\n\n"
        "def both(tile):\n    return enlarged(tile).shape, strangers('7 and 8', {'a': 8})\n"
    )
    names = notebook(cell)
    copied = ("shared.weeks.study", "shared.weeks.tiles")
    exporting.write_package(tmp_path / "study", {"one": ("", ["both"])}, names, copied=copied)
    text = (tmp_path / "study" / "one.py").read_text(encoding="utf-8")
    assert "shared" not in text
    assert "def numbers_in(" in text, "what strangers needs"
    assert ran(tmp_path / "study", "import torch, study.one; print(study.one.both(torch.rand(3, 32, 32)))") == (
        "((256, 256, 3), ['7'])"
    )
    exporting.write_package(tmp_path / "thin", {"one": ("", ["both"])}, names)
    assert "from shared.weeks.study import strangers" in (tmp_path / "thin" / "one.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("def f(a, b=C):\n    d = a + e\n    return [g for g in d if h(g)]", {"C", "e", "h"}),
        ("class A(B):\n    x: T = y\n\n    def f(self):\n        return self.x, z, __name__", {"B", "T", "y", "z"}),
        ("a, b = f(c)", {"f", "c"}),
        ("def f():\n    import os\n    return os.path, len(sys.argv)", {"sys"}),
        ("@wrap\ndef f():\n    def inner():\n        return f, deep\n    return inner", {"wrap", "deep"}),
        ("total = lambda x: x * rate", {"rate"}),
    ],
)
def test_the_names_that_a_piece_of_source_needs(source: str, needed: set[str]) -> None:
    assert exporting.needed_by(source) == needed


TRY = """
import sys
from importlib import import_module
from streamlit.testing.v1 import AppTest

for package in sys.argv[1:]:
    for module in ("models", "analysis", "experiments", "report"):
        import_module(f"{package}.{module}")
demo = AppTest.from_file("page/app.py", default_timeout=60).run()
assert not demo.exception, demo.exception
print(len(demo.metric))
"""


def test_other_right_answers_of_week_11_run_when_they_are_exported(tmp_path: Path) -> None:
    """They bring helpers, constants and imports of their own."""
    alternatives = load_variants(load_week(WEEK)).alternatives
    for item in alternatives:
        names = names_of_the_notebook({item.exercise: item.code})
        folder = tmp_path / item.exercise
        exporting.write_package(
            folder, names["PACKAGE"], names, first=names["FIRST"], last=names["LAST"], copied=names["COPIED"]
        )
        if item.exercise == "page":
            tiles = names["datasets"].field_tiles(6, seed=0)
            study = names["Study"](names["small_vit"](0), names["small_cnn"](0), tiles.x, tiles.y, ("a", *"bcdef"))
            names["save_study"](study, folder / "checkpoint")
    assert "_LOADED = {}" in (tmp_path / "page" / "app.py").read_text(encoding="utf-8"), "a constant beside the answer"
    packages = [item.exercise for item in alternatives]
    done = subprocess.run(
        [sys.executable, "-c", TRY, *packages], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr[-2000:]


VISIT = """
import torch
from streamlit.testing.v1 import AppTest
from archaeology_large.models import load_study
from pathlib import Path

study = load_study(Path("archaeology_large/checkpoint"))
print(type(study.vit).__name__, type(study.cnn).__name__, tuple(study.images.shape), study.names)
torch.save([model(study.images) for model in (study.vit, study.cnn)], "logits.pt")
demo = AppTest.from_file("archaeology_large/app.py", default_timeout=120).run()
assert not demo.exception, demo.exception
demo.selectbox(key="layer").select_index(5)
demo.slider(key="eps").set_value(4)
demo.run()
assert not demo.exception, demo.exception
print(len(demo.metric), len(demo.selectbox(key="layer").options))
"""


def test_what_was_studied_is_exported_also_where_it_is_a_vit_of_timm_at_224_pixels(tmp_path: Path) -> None:
    """Real classes of timm, made small by their names: other models, layers and normalizations than the notebook's."""
    names = names_of_the_notebook()
    both, classes = ("test_vit.r160_in1k", "test_resnet.r160_in1k"), ("crop", "lake", "town")
    models = [names["build"](name, 3, 224, seed=1) for name in both]
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    study = names["Study"](*models, images, torch.tensor([2, 0]), classes, "layer4", both)
    folder = tmp_path / "archaeology_large"
    results = {"title": "Large", "question": "Why?", "data": {"name": "eurosat"}, "training": {"run": "0123456789ab"}}
    names["export_project"](folder, study, results)
    done = subprocess.run([sys.executable, "-c", VISIT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [f"VisionTransformer ResNet (2, 3, 224, 224) {both}", "2 6"]
    for came, model in zip(torch.load(tmp_path / "logits.pt"), models, strict=True):
        torch.testing.assert_close(came, model(images))
    assert "224 x 224 pixels" in (folder / "README.md").read_text(encoding="utf-8")
    assert "def strangers(" in (folder / "report.py").read_text(encoding="utf-8"), "helpers of the week come along"
    assert "shared.weeks" not in "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
