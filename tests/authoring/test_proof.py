"""The proof of a week: it holds for its content, and for nothing else; and which helpers a week depends on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.authoring import proof as module
from autograder.authoring.proof import FILE, Found, Part, content, holds, keep, read_proof
from autograder.commands.verify import lies_proof, matrix_proof, mutants_proof, prove
from autograder.execution.helpers import helper_files
from autograder.week.source import Week, load_week

from ..chosen import ROOT
from ..tiny_week import READING

MATRIX = matrix_proof("", False, False, 1)


def folder_of(root: Path) -> Path:
    return root / "solutions" / "week01_tiny"


def week(root: Path) -> Week:
    return load_week(folder_of(root))


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = folder_of(root) / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text, encoding="utf-8")


COUNT: dict[str, Callable[[Path], None]] = {
    "an answer": lambda root: edit(root, "tiny.py", "number + number", "2 * number"),
    "a test": lambda root: edit(root, "tiny.py", "quadruple(0), 0", "quadruple(0), 0.0"),
    "points": lambda root: edit(root, "tiny.py", 'test="quadruple" points=20', 'test="quadruple" points=21'),
    "what builds on what": lambda root: edit(root, "tiny.py", ' uses="double"', ""),
    "limits": lambda root: edit(root, "week.toml", "cell_seconds = 2", "cell_seconds = 3"),
    "libraries": lambda root: edit(root, "week.toml", "libraries = []", 'libraries = ["math"]'),
    "the pin of a library": lambda root: write(root, "requirements.txt", "numpy==9.9\n"),
}
FOR_THE_MATRIX: dict[str, Callable[[Path], None]] = {
    "a misconception": lambda root: edit(root, "misconceptions.py", "Once is not twice.", "Twice."),
    "an alternative": lambda root: edit(root, "alternatives.py", "4 * number", "number * 4"),
}
COUNT_NOT: dict[str, Callable[[Path], None]] = {
    "text": lambda root: edit(root, "tiny.py", "Four times a number.", "A number, four times."),
    "a hint": lambda root: edit(root, "tiny.py", "Twice double.", "Double, twice."),
    "a cell that draws": lambda root: edit(root, "tiny.py", "print(quadruple(4))", "print(quadruple(5))"),
    "a demo": lambda root: edit(root, "tiny.py", "two and two is", "2 + 2 is"),
    "the title": lambda root: edit(root, "week.toml", "Doubling", "To double"),
    "what is to be read": lambda root: edit(root, "week.toml", "memory_gib = 1\n", f"memory_gib = 1\n{READING}"),
    "what is reproduced": lambda root: edit(root, "week.toml", "hours = 1\n", 'hours = 1\nreproduces = "A figure."\n'),
    "the pin of something else": lambda root: write(root, "requirements.txt", "ruff==9.9\n"),
}


@pytest.mark.parametrize("what", [*COUNT, *FOR_THE_MATRIX])
def test_what_verdicts_depend_on_counts(tiny_root: Path, what: str) -> None:
    before = {part: content(week(tiny_root), part) for part in Part}
    (COUNT | FOR_THE_MATRIX)[what](tiny_root)
    changed = {part for part in Part if content(week(tiny_root), part) != before[part]}
    assert changed == ({Part.NOTEBOOK, Part.SANDBOX} if what in FOR_THE_MATRIX else {*Part})


@pytest.mark.parametrize("what", COUNT_NOT)
def test_what_no_verdict_depends_on_does_not_count(tiny_root: Path, what: str) -> None:
    before = {part: content(week(tiny_root), part) for part in Part}
    COUNT_NOT[what](tiny_root)
    assert {part: content(week(tiny_root), part) for part in Part} == before


@pytest.mark.parametrize(("name", "part"), [("equivalents.toml", Part.MUTANTS), ("lies.json", Part.LIES)])
def test_a_list_beside_the_lesson_counts_for_its_part_alone(tiny_root: Path, name: str, part: Part) -> None:
    before = {one: content(week(tiny_root), one) for one in Part}
    write(folder_of(tiny_root), name, "")
    assert {one for one in Part if content(week(tiny_root), one) != before[one]} == {part}


def test_the_code_that_judges_counts(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(week(tiny_root), Part.LIES)
    other = tmp_path / "judge.py"
    other.write_text("", encoding="utf-8")
    monkeypatch.setattr(module, "judging_files", lambda: [other])
    assert content(week(tiny_root), Part.LIES) != before


def test_the_code_that_makes_a_text_does_not_count() -> None:
    assert not [path for path in module.running_files() if path.parent.name == "week" and path.name == "readings.py"]
    assert {"source.py", "build.py", "judge.py"} <= {path.name for path in module.running_files()}


def test_a_part_is_kept_beside_the_others_and_goes_with_a_miss(tiny_root: Path) -> None:
    folder = folder_of(tiny_root)
    assert read_proof(folder).parts == {}
    for part in (Part.LIES, Part.NOTEBOOK):
        assert not holds(week(tiny_root), part)
        keep(folder, part, Found(digest=content(week(tiny_root), part), counts={"variants": 3}))
        assert holds(week(tiny_root), part)
    assert [*json.loads((folder / FILE).read_text(encoding="utf-8"))["parts"]] == ["notebook", "lies"], "in one order"
    keep(folder, Part.NOTEBOOK, None)
    assert [*read_proof(folder).parts] == [Part.LIES]
    write(folder, FILE, "{")
    assert not holds(week(tiny_root), Part.LIES), "a file that cannot be read proves nothing"


def test_verify_writes_what_it_has_proven(tiny_root: Path) -> None:
    folder = folder_of(tiny_root)
    assert prove(folder, tiny_root, MATRIX) == 0
    assert holds(week(tiny_root), Part.NOTEBOOK)
    found = read_proof(folder).parts[Part.NOTEBOOK]
    assert found.counts == {"variants": 6, "misses": 0}
    assert found.exercises == {"double": {"variants": 3}, "quadruple": {"variants": 3}}
    assert prove(folder, tiny_root, mutants_proof(0, 0, "", 1)) == 0
    counts = read_proof(folder).parts[Part.MUTANTS].counts
    assert counts["mutants"] == counts["killed"] + counts["equivalent"] + counts["timed out"] > 0
    edit(tiny_root, "misconceptions.py", 'says="this is the double"', 'says="no such words"')
    assert prove(folder, tiny_root, MATRIX) > 0
    assert [*read_proof(folder).parts] == [Part.MUTANTS], "a miss takes the part away"


def test_a_part_of_a_part_proves_nothing() -> None:
    assert matrix_proof("double", False, False, 1).part is None
    assert mutants_proof(5, 0, "", 1).part is None
    assert mutants_proof(0, 0, "double", 1).part is None
    assert lies_proof("double", 1).part is None
    assert matrix_proof("", False, True, 1).part is Part.SANDBOX


# ---- helpers


def names(source: str) -> set[str]:
    return {path.relative_to(ROOT / "shared").as_posix() for path in helper_files(source)}


def test_a_name_leads_to_the_file_that_defines_it_and_to_what_that_imports() -> None:
    nothing = names("x = 1")
    assert {"__init__.py", "checks/core.py", "checks/failures.py", "runtime/session.py", "plots/style.py"} <= nothing
    assert not {name for name in nothing if name.startswith(("data/", "measure/"))}
    found = names("from shared import datasets\nx = datasets.shapes(3)") - nothing
    assert found == {"data/__init__.py", "data/shapes.py", "data/rendering.py"}
    assert names("from shared import datasets as d\nx = d.field_tiles(1)") - nothing == {
        "data/__init__.py",
        "data/tiles.py",
        "data/rendering.py",
    }
    assert names("from shared.datasets import digits") - nothing == {"data/__init__.py", "data/digits.py"}


def test_a_module_that_is_handed_on_counts_whole() -> None:
    every = {path.relative_to(ROOT / "shared").as_posix() for path in (ROOT / "shared" / "data").glob("*.py")}
    assert every <= names("from shared import datasets\nshow(datasets)")
    assert every <= names("import shared.datasets")
    assert {path.name for path in helper_files("def f(: pass")} >= {"tiles.py", "latency.py"}, "no Python: all"


def test_no_week_depends_on_a_generator_that_it_does_not_use() -> None:
    users = {
        path.parent.name
        for path in ROOT.glob("solutions/week*/*.py")
        if re.search(r"datasets\.(field_tiles|FieldTiles|LAND_USES)", path.read_text(encoding="utf-8"))
    }
    weeks = [load_week(folder) for folder in sorted(ROOT.glob("solutions/week*"))]
    depending = {one.name for one in weeks if ROOT / "shared" / "data" / "tiles.py" in helper_files(one.code)}
    assert 0 < len(depending) < len(weeks)
    assert depending <= users
