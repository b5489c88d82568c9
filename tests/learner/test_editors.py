"""Notebooks as VS Code and Colab leave them: checked, merged, handed in, and graded for the same points."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.execution.executor import here
from autograder.gradebook.grades_csv import write_csv
from autograder.grading.grade import grade_week
from autograder.learner.start import read_copy, start_week

from .conftest import RIGHT, WEEK, Workbook, answer, copy_of, read, write

OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["mine\n"]}


def vs_code(notebook: dict[str, Any]) -> dict[str, Any]:
    """What VS Code writes: lines as lists, ids of its own where a cell was retyped, no tags, its own language info."""
    for number, cell in enumerate(notebook["cells"]):
        cell["source"] = cell["source"].splitlines(keepends=True)
        cell["metadata"].pop("tags", None)
        if number % 3 == 0:
            cell["id"], cell["metadata"] = f"{number:08x}", {"vscode": {"languageId": "python"}}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [OUTPUT], number
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.12.1", "file_extension": ".py"}
    return notebook


def colab(notebook: dict[str, Any]) -> dict[str, Any]:
    """What Colab exports: format 4.0, no ids, none of our metadata, outputs with its own."""
    for number, cell in enumerate(notebook["cells"]):
        cell.pop("id")
        cell["metadata"] = {"id": f"aB{number}", "colab": {"base_uri": "https://localhost:8080/"}}
        cell["source"] = cell["source"].splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [OUTPUT], None
    notebook["metadata"] = {
        "colab": {"provenance": [], "toc_visible": True},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    notebook["nbformat_minor"] = 0
    return notebook


def by_hand(notebook: dict[str, Any]) -> dict[str, Any]:
    """A learner who cleans up: no test cells, no texts, two answers in one cell, Windows line ends."""
    kept = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "-test-" not in cell["id"]]
    for cell in kept:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    return notebook | {"cells": kept}


EDITORS = {"vs-code": vs_code, "colab": colab, "by-hand": by_hand}


@pytest.mark.parametrize("editor", EDITORS.values(), ids=EDITORS)
def test_the_whole_loop_works_on_it(
    bundle: Path, author: Path, tmp_path: Path, workbook: Workbook, editor: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    workbook("start", "1")
    mine = copy_of(bundle)
    answer(mine, double=RIGHT["double"], quadruple="def quadruple(n):\n    return 4 * n if n else 1")
    write(mine, editor(read(mine)))

    out = workbook("check", "1").out
    assert re.search(r"✓ +1 double +40/40", out)
    assert re.search(r"✗ +2 quadruple +20/40", out)
    assert "quadruple(0) not as expected" in out

    release = bundle / "weeks" / WEEK / "tiny.ipynb"
    updated = read(release)
    updated["cells"][0]["source"] += ", better told"
    write(release, updated)
    out = workbook("start", "1", "--again").out
    assert f"work/{WEEK}/tiny.ipynb: updated" in out
    text = "".join("".join(cell["source"]) for cell in read(mine)["cells"])
    assert "better told" in text, "also a text that was deleted, since it is new"
    assert [cell["id"] for cell in read(mine)["cells"]].count("double") == 1
    assert f"work/{WEEK}/tiny.ipynb: up to date" in workbook("start", "1", "--again").out
    out = workbook("check", "1").out
    assert re.search(r"✓ +1 double +40/40", out)
    assert re.search(r"✗ +2 quadruple +20/40", out)

    write(mine, editor(read(mine)))
    out = workbook("submit", "1").out
    assert re.search(r"✓ +1 double +40/40", out)
    with zipfile.ZipFile(bundle / "work" / "submissions" / f"{WEEK}.zip") as handed_in:
        content = handed_in.read("tiny.ipynb")
    assert content == mine.read_bytes()

    course = Course(author, tmp_path / "course")
    folder = course.submitted / "ada" / WEEK
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_bytes(content)
    week, outcomes = grade_week(author / "solutions" / WEEK, course, crew=here(1), unsafe=True, feedback=False)
    table = tmp_path / "table.csv"
    write_csv(table, week, outcomes)
    with table.open(newline="", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["double"], row["quadruple"], row["damaged"]) == ("40", "20", "")


def test_the_preflight_names_what_the_grader_repairs(bundle: Path, workbook: Workbook) -> None:
    workbook("start", "1")
    mine = copy_of(bundle)
    notebook = read(mine)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "quadruple"]
    for cell in notebook["cells"]:
        if cell["id"] == "double-test-1":
            cell["source"] = "print('passed')"
    write(mine, notebook)
    code, out, _ = workbook("submit", "1", "--dry-run")
    assert code == 0, "unfinished work can be handed in"
    assert "not in your notebook: quadruple; without" in out
    assert "double-test-1 was changed in your notebook; grading uses the course's own tests" in out
    assert "its cell is missing" in out
    assert "not written: double" in out
    assert "not answered: why" in out
    assert re.search(r"\d+ KiB of at most 50 MiB", out)
    assert "nothing was submitted (--dry-run)" in out


def test_what_only_works_in_the_learner_s_own_order_is_seen_before_handing_in(bundle: Path, workbook: Workbook) -> None:
    """A name that an own cell below takes away: each exercise passes alone, the whole notebook does not."""
    workbook("start", "1")
    mine = copy_of(bundle)
    answer(mine, **RIGHT)
    notebook = read(mine)
    place = [cell["id"] for cell in notebook["cells"]].index("double-test-1")
    own: dict[str, Any] = {"cell_type": "code", "id": "own", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].insert(place, own | {"source": "getattr(__builtins__, 'ex' + 'ec')('del double')"})
    write(mine, notebook)
    assert workbook("check", "1", "double").code == 0
    out = workbook("submit", "1", "--dry-run").out
    assert re.search(r"✗ +1 double +0/40", out)


def test_a_file_that_is_too_large_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_week(bundle, WEEK)
    monkeypatch.setattr("autograder.repair.repair.MAX_BYTES", 2**20)
    copy_of(bundle).write_bytes(b" " * (2**20 + 1))
    with pytest.raises(WorkbookError) as error:
        read_copy(bundle, WEEK)
    assert error.value.message == f"work/{WEEK}/tiny.ipynb: the file has 1 MiB; at most 1 are read"
