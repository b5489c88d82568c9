"""Week source -> instructor notebook -> learner notebook, through nbgrader's own preprocessors.

`build_week` is a pure function of the source: no clock, no random ids, no database. `write_weeks`
puts the result into `build/source/` (instructor, with solutions) and `weeks/` (learner).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ..core.errors import BuildError
from ..week.cells import About, Cell, Check, Exercise, Explore, Given, Measured, Readings, Setup, Test, Written
from ..week.marks import has_hidden_tests
from ..week.notebooks import SKIPPED_WHEN_GRADING, Notebooks, content_of, to_text
from ..week.presenting import attach_pictures, fold, go_on
from ..week.source import Week
from ..week.validation import read_json
from .colab import repository_of, with_colab
from .leaks import leaks
from .lint import check
from .rules_files import author_notes

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def _box(week: Week, name: str) -> str:
    """The line under an exercise's heading: difficulty, time, points."""
    words = week.exercises[name]
    stars = "●" * words.difficulty + "○" * (5 - words.difficulty)
    return f"> difficulty {stars} · {words.minutes} minutes · {week.points(name)} points"


def _boxed(week: Week, cell: Cell) -> str:
    heading, _, rest = cell.source.partition("\n")
    return f"{heading}\n\n{_box(week, cell.name)}\n{rest}"


def _nbgrader(cell: Cell) -> dict[str, object]:
    """nbgrader's metadata (schema 3) for the cells it has to know."""
    words = cell.words
    base = {"schema_version": 3, "grade_id": cell.id, "task": False}
    if isinstance(words, Exercise):
        return base | {"grade": False, "solution": True, "locked": False}
    if isinstance(words, Test):
        return base | {"grade": True, "solution": False, "locked": True, "points": words.points}
    if isinstance(words, Written):
        return base | {"grade": True, "solution": True, "locked": False, "points": words.points}
    if isinstance(words, Setup | Given | Readings):
        return base | {"grade": False, "solution": False, "locked": True}
    return {}


def _workbook(week: Week, cell: Cell) -> dict[str, object]:
    """Our own metadata: the kind of the cell and the exercise it belongs to."""
    found: dict[str, object] = {"kind": cell.words.key or "text"}
    if cell.name:
        found["name"] = cell.name
    if isinstance(cell.words, Exercise):
        found |= {
            "difficulty": cell.words.difficulty,
            "minutes": cell.words.minutes,
            "uses": list(cell.words.uses),
        }
    if isinstance(cell.words, Written):
        found["minutes"] = cell.words.minutes
    if isinstance(cell.words, Given) and cell.words.after:
        found["folded"] = True  # it belongs to the tests
    return found


def _week_metadata(week: Week) -> dict[str, object]:
    """What a learner's own commands know about the week: their bundle has no `week.toml`."""
    info = week.info
    return {
        "week": week.name,
        "title": info.title,
        "version": info.version,
        "hours": info.hours,
        "libraries": list(info.libraries),
        "limits": info.limits.model_dump(),
        "reading": [reading.model_dump() for reading in info.reading],
    }


def _tags(cell: Cell) -> list[str]:
    tags = []
    if isinstance(cell.words, SKIPPED_WHEN_GRADING):
        tags.append("skip-execution")
    if isinstance(cell.words, Check):
        tags.append("nbval-skip")  # the tests themselves run there
    if cell.words.compare:
        tags.append("nbval-check-output")
    return tags


def _test_title(week: Week, cell: Cell) -> str:
    """The first line of a test: all that is seen of it while it is folded."""
    tests = [test.id for test in week.of_kind(Test, cell.name)]
    which = f"test {tests.index(cell.id) + 1} of {len(tests)}" if len(tests) > 1 else "the test"
    points = cell.words.points if isinstance(cell.words, Test) else 0
    return f"# {cell.name}, {which}: {points} {'point' if points == 1 else 'points'}"


def _cell_source(week: Week, cell: Cell) -> str:
    if isinstance(cell.words, About):
        return _boxed(week, cell)
    if isinstance(cell.words, Test):
        forbidden = "".join(f'    "{name}",\n' for name in cell.words.forbids)
        head = (
            f"# library calls that would make this exercise empty\nFORBIDDEN = (\n{forbidden})\n\n" if forbidden else ""
        )
        hidden = "hidden=True" if has_hidden_tests(cell) else ""
        return f"{_test_title(week, cell)}\n{head}{cell.source.rstrip()}\n\nchecks.done({hidden})"
    return cell.source


def _to_node(week: Week, cell: Cell) -> NotebookNode:
    make = new_code_cell if cell.words.cell_type == "code" else new_markdown_cell
    node = make(_cell_source(week, cell), id=cell.id)
    if graded := _nbgrader(cell):
        node.metadata["nbgrader"] = graded
    node.metadata["workbook"] = _workbook(week, cell)
    if tags := _tags(cell):
        node.metadata["tags"] = tags
    if isinstance(cell.words, Measured):
        node.metadata |= {"editable": False, "deletable": False}
    return node


def instructor_notebook(week: Week) -> NotebookNode:
    """The whole lesson with solutions and hidden tests, nbformat 4.5, without outputs."""
    notebook = new_notebook(cells=[_to_node(week, cell) for cell in week.cells])
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": KERNELSPEC,
            "language_info": {"name": "python"},
            "workbook": _week_metadata(week),
        }
    )
    return notebook


def learner_notebook(instructor: NotebookNode) -> NotebookNode:
    """Clear solutions and hidden tests, lock what must not change, add checksums: nbgrader's own steps."""
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearHiddenTests,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    notebook = nbformat.from_dict(json.loads(json.dumps(instructor)))
    for step in (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests):
        notebook, _ = step().preprocess(notebook, {})
    for cell in notebook.cells:
        if cell.metadata.workbook.kind == "test":
            cell.source = re.sub(r"\n{3,}", "\n\n", cell.source)  # no gap where the hidden tests were
        if cell.metadata.workbook.kind == "test" or "folded" in cell.metadata.workbook:
            fold(cell)
        if cell.metadata.workbook.kind in ("test", "explore", "check"):
            go_on(cell)
    for step in (ComputeChecksums, CheckCellMetadata):
        notebook, _ = step().preprocess(notebook, {})
    nbformat.validate(notebook)
    return notebook


def build_week(week: Week) -> Notebooks:
    """Build both notebooks of a week.

    Raises
    ------
    BuildError
        with every broken rule and every leaked solution.
    """
    if not week.pinned and (problems := check(week)):  # rules may have become stricter since it was pinned
        raise BuildError(problems)
    instructor = instructor_notebook(week)
    learner = learner_notebook(instructor)
    for cell in learner.cells:
        if cell.cell_type == "markdown":
            attach_pictures(cell, week.folder)
    if problems := leaks(week, learner):
        raise BuildError(problems)
    for notebook in (instructor, learner):
        notebook.metadata.workbook["content"] = content_of(learner)
    return Notebooks(week, instructor, learner)


def expected_outputs(week: Week) -> dict[str, str]:
    """The outputs kept beside the source for the cells marked `compare=true`: cell id -> printed text."""
    path = week.folder / "outputs.json"
    if not path.is_file():
        return {}
    return read_json(path, dict[str, str], '{"cell-id": "text"}')


def with_expected_outputs(built: Notebooks) -> NotebookNode:
    """The instructor notebook for nbval: compared cells carry the output that is expected of them."""
    notebook = nbformat.from_dict(json.loads(json.dumps(built.instructor)))
    expected = expected_outputs(built.week)
    for cell in notebook.cells:
        if cell.id in expected:
            cell.outputs = [new_output("stream", name="stdout", text=expected[cell.id])]
            cell.execution_count = 1  # nbval refuses outputs of a cell that was not run
    return notebook


def _released_files(built: Notebooks, root: Path) -> dict[str, bytes]:
    """What `weeks/<name>/` holds: the learner notebook and the pictures beside the source."""
    learner = with_colab(built.learner, built.week, repository_of(root))
    files = {f"{built.week.topic}.ipynb": to_text(learner).encode()}
    return files | {picture.name: picture.read_bytes() for picture in sorted(built.week.folder.glob("*.png"))}


def write_source(built: Notebooks, root: Path) -> None:
    """Write `build/source/...`: the instructor notebook, with the outputs that CI compares, and the pictures."""
    week = built.week
    source = root / "build" / "source" / week.name
    source.mkdir(parents=True, exist_ok=True)
    for name, content in _released_files(built, root).items():
        (source / name).write_bytes(content)
    (source / f"{week.topic}.ipynb").write_text(to_text(with_expected_outputs(built)), encoding="utf-8")


def write_week(built: Notebooks, root: Path) -> bool:
    """Write `build/source/...` and, where it differs, `weeks/...`. True when `weeks/` changed.

    Raises
    ------
    BuildError
        when notes to the author are left: they are not text for learners.
    """
    week = built.week
    if notes := author_notes(week):
        raise BuildError(notes)
    write_source(built, root)
    files = _released_files(built, root)
    target = root / "weeks" / week.name
    target.mkdir(parents=True, exist_ok=True)
    changed = False
    for name, content in files.items():
        if not (target / name).is_file() or (target / name).read_bytes() != content:
            (target / name).write_bytes(content)
            changed = True
    for left_over in {path.name for path in target.iterdir() if path.is_file()} - set(files):
        (target / left_over).unlink()
        changed = True
    return changed


def stale(built: Notebooks, root: Path) -> list[str]:
    """Why the committed files of the week are not what the source builds; empty when they are."""
    week = built.week
    target = root / "weeks" / week.name
    found = []
    for name, content in _released_files(built, root).items():
        path = target / name
        if not path.is_file():
            found.append(f"{path.relative_to(root)} is missing")
        elif path.read_bytes() != content:
            found.append(f"{path.relative_to(root)} is not what {week.folder.relative_to(root)}/ builds")
    left_over = {path.name for path in target.glob("*") if path.is_file()} - set(_released_files(built, root))
    found += [f"{(target / name).relative_to(root)} is left over" for name in sorted(left_over)]
    pictures = {f"{c.words.picture}.png" for c in week.cells if isinstance(c.words, Explore) and c.words.picture}
    found += [
        f"{name} of {week.name} is not recorded: `workbook record`"
        for name in sorted(pictures - set(_released_files(built, root)))
    ]
    compared = {cell.id for cell in week.cells if cell.words.compare}
    if compared != set(expected_outputs(week)):
        found.append(
            f"outputs.json of {week.name} does not hold the compared cells {sorted(compared)}: `workbook record`"
        )
    return found
