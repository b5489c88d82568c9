"""A learner's notebook in editors: tests are folded, a check stands below each stub, pictures lie inside."""

from __future__ import annotations

import base64
import copy
import re
from pathlib import Path

import pytest
from nbgrader.utils import compute_checksum, determine_grade

from autograder.authoring.record import execute
from autograder.building.build import build_week
from autograder.building.rules import WITHOUT_TEXT
from autograder.core.errors import BuildError, WorkbookError
from autograder.week.cells import Check, Exercise, Explore, Test
from autograder.week.locate import all_weeks
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..chosen import ROOT

WEEKS = all_weeks(ROOT)


def kinds_of(built: Notebooks, kind: type) -> list[int]:
    return [place for place, cell in enumerate(built.week.cells) if isinstance(cell.words, kind)]


def test_a_check_stands_right_below_each_stub(tiny: Notebooks) -> None:
    ids = [cell.id for cell in tiny.learner.cells]
    for name in tiny.week.exercises:
        below = tiny.learner.cells[ids.index(name) + 1]
        assert below.id == f"{name}-check"
        assert below.source.splitlines()[-1] == f"%check {name}"
        assert set(below.metadata["tags"]) >= {"skip-execution", "nbval-skip"}
        assert "nbgrader" not in below.metadata, "it is not a part of the assignment"
    assert len(kinds_of(tiny, Check)) == len(kinds_of(tiny, Exercise))


def test_tests_are_folded_and_say_what_they_are_in_their_first_line(tiny: Notebooks) -> None:
    for place, cell in enumerate(tiny.learner.cells):
        folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        assert folded == (place in kinds_of(tiny, Test)) == ("cellView" in cell.metadata)
    firsts = [tiny.learner.cells[place].source.splitlines()[0] for place in kinds_of(tiny, Test)]
    assert firsts[:2] == ["# double, test 1 of 2: 20 points", "# double, test 2 of 2: 20 points"]
    assert not any("jupyter" in cell.metadata for cell in tiny.instructor.cells), "authors and graders read them"


def test_run_all_goes_on_past_what_may_fail_before_an_answer_is_there(tiny: Notebooks) -> None:
    """nbclient, JupyterLab and the kernel itself go by this tag; nothing else of the notebook has it."""
    goes_on = {*kinds_of(tiny, Test), *kinds_of(tiny, Explore), *kinds_of(tiny, Check)}
    for place, cell in enumerate(tiny.learner.cells):
        assert ("raises-exception" in cell.metadata.get("tags", [])) == (place in goes_on)
    for cell in tiny.instructor.cells:
        assert "raises-exception" not in cell.metadata.get("tags", []), "where the reference fails, CI stops"


def test_a_whole_notebook_of_stubs_runs_to_its_end(tiny: Notebooks) -> None:
    from nbclient import NotebookClient

    notebook = copy.deepcopy(tiny.learner)
    NotebookClient(notebook, timeout=60, skip_cells_with_tag="").execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    tests = [notebook.cells[place] for place in kinds_of(tiny, Test)]
    assert [determine_grade(cell)[0] for cell in tests] == [0, 0, 0, 0], "nbgrader gives no point for it"
    assert all("not written yet" in cell.outputs[0]["evalue"] for cell in tests)


def test_nbgraders_checksums_do_not_see_any_of_it(tiny: Notebooks) -> None:
    for cell in tiny.learner.cells:
        if "checksum" in cell.metadata.get("nbgrader", {}):
            bare = copy.deepcopy(cell)
            bare.metadata = {"nbgrader": cell.metadata["nbgrader"]}
            assert compute_checksum(bare) == cell.metadata["nbgrader"]["checksum"]


def test_a_picture_lies_in_the_notebook(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    script = text.replace("# # A tiny week", "# # A tiny week\n#\n# ![Two and two.](outcome.png)")
    (folder / "tiny.py").write_text(script, encoding="utf-8")
    (folder / "outcome.png").write_bytes(b"\x89PNG\r\n\x1a\n picture")
    built = build_week(load_week(folder))
    first = built.learner.cells[0]
    assert "![Two and two.](attachment:outcome.png)" in first.source
    assert set(first.attachments) == {"outcome.png"}
    assert base64.b64decode(first.attachments["outcome.png"]["image/png"]) == b"\x89PNG\r\n\x1a\n picture"


@pytest.mark.parametrize("name", WEEKS)
def test_each_week_shows_its_outcome_with_a_text_and_without_a_file(name: str) -> None:
    learner = build_week(load_week(ROOT / "solutions" / name)).learner
    texts = [cell for cell in learner.cells if cell.cell_type == "markdown"]
    assert not [cell.id for cell in texts if WITHOUT_TEXT.search(cell.source)]
    shown = {target for cell in texts for target in re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", cell.source)}
    assert "attachment:outcome.png" in shown
    assert {target for target in shown if not target.startswith("attachment:")} == set()


@pytest.mark.parametrize("name", WEEKS)
def test_a_set_up_cell_begins_with_what_a_beginner_understands(name: str) -> None:
    """A sentence, imports, and one call for everything else."""
    learner = build_week(load_week(ROOT / "solutions" / name)).learner
    source = next(cell.source for cell in learner.cells if cell.id == "setup")
    assert source.startswith("# Run this cell first.")
    code = [line for line in source.splitlines() if line and not line.startswith("#")]
    assert code[0].startswith(("import ", "from "))
    assert "gc" not in re.findall(r"\w+", source)
    assert code[-1].startswith("session.begin()")


@pytest.mark.parametrize("picture", ["![](outcome.png)", "![ ](https://example.org/a.png)", '<img src="a.png" alt="">'])
def test_a_picture_without_a_text_is_not_built(tiny_root: Path, picture: str) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    (folder / "tiny.py").write_text(text.replace("# # A tiny week", f"# # A tiny week\n# {picture}"), encoding="utf-8")
    with pytest.raises(BuildError, match="a picture without a text") as failed:
        build_week(load_week(folder))
    told = [problem.line for problem in failed.value.problems if "without a text" in problem.message]
    assert told == [1]


DRAWN = """with checks.look():
    import matplotlib.pyplot as plt
    plt.plot([double(1), 4])
    plt.show()
"""


@pytest.mark.parametrize("begun", [True, False])
def test_a_recorded_figure_has_a_text(tiny_root: Path, begun: bool) -> None:
    """`workbook record` executes the notebook; what shows a picture alone is named."""
    folder = tiny_root / "solutions" / "week01_tiny"
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    set_up = "from shared import checks, session\nsession.begin()" if begun else "from shared import checks"
    text = text.replace("from shared import checks", set_up, 1)
    text = text.replace("with checks.look():\n    print(double(4))\n", DRAWN, 1)
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    built = build_week(load_week(folder))
    if begun:
        look = next(cell for cell in execute(built, tiny_root).cells if cell.id == "double-look-1")
        assert "1 line without a name" in look.outputs[0].data["text/html"]
    else:
        with pytest.raises(WorkbookError, match=r"a picture without a text .* in double-look-1"):
            execute(built, tiny_root)
