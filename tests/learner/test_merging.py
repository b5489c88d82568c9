"""An update of a week meets a learner's copy: nothing of the learner's is lost, everything of the course arrives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.building.build import build_week
from autograder.learner.merge import Merged, merge
from autograder.repair.repair import repair
from autograder.week.notebooks import Notebooks, to_text
from autograder.week.source import load_week

from ..tiny_week import LESSON
from .conftest import RIGHT, WEEK, built_from, write_source

NEW_STUB = LESSON.replace('"""Twice the number (an int)."""', '"""Twice the number, an int."""')
NEW_TEXT = LESSON.replace("# # A tiny week\n", "# # A tiny week, better told\n")
NEW_TEST = LESSON.replace("checks.equal(double(2), 4,", "checks.equal(double(3), 6,")
NEW_LOOK = LESSON.replace("print(double(4))\n\n# %% [markdown] hints", "print(double(5))\n\n# %% [markdown] hints")
WITH_TRIPLE = LESSON.replace(
    '# %% [markdown] about="quadruple"',
    '''# %% [markdown] about="triple"
# ### Exercise 3. Triple
#
# Three times a number.

# %% exercise="triple" difficulty=1 minutes=5
def triple(number: int) -> int:
    """Three times the number (an int)."""
    ### BEGIN SOLUTION
    return number * 3
    ### END SOLUTION

# %% [markdown] about="quadruple"''',
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Notebooks:
    return built_from(tmp_path_factory.mktemp("old"), LESSON)


@pytest.fixture
def update(tmp_path: Path) -> Callable[[str], Notebooks]:
    """The week as another lesson."""
    return lambda lesson: built_from(tmp_path, lesson)


def begun(release: Notebooks, **answers: str) -> NotebookNode:
    """A learner's copy, with answers and what they showed."""
    copy = nbformat.from_dict(json.loads(release.learner_text))
    for cell in copy.cells:
        if cell.id in answers:
            cell.source = answers[cell.id]
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="mine\n")]
            cell.execution_count = 7
    return copy


def cell_of(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def sources(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def merged_twice(release: Notebooks, mine: NotebookNode, base: NotebookNode | None) -> Merged:
    """The merge, which must be sound, must leave its arguments alone, and must change nothing the second time."""
    before = to_text(mine)
    done = merge(release, mine, base)
    assert to_text(mine) == before
    nbformat.validate(done.notebook)
    again = merge(release, done.notebook, release.learner)
    assert again.changes == ()
    assert to_text(again.notebook) == to_text(done.notebook)
    return done


def test_nothing_new_changes_nothing(old: Notebooks) -> None:
    mine = begun(old, **RIGHT)
    mine.cells.insert(4, new_code_cell("print('mine')", id="abc"))
    for base in (None, old.learner):
        done = merge(old, mine, base)
        assert done.changes == ()
        assert to_text(done.notebook) == to_text(mine)


def test_answers_stay_and_the_course_s_cells_arrive(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    release = update(NEW_TEXT.replace("checks.equal(double(2), 4,", "checks.equal(double(3), 6,"))
    done = merged_twice(release, begun(old, **RIGHT), old.learner)
    assert cell_of(done.notebook, "double").source == RIGHT["double"]
    assert cell_of(done.notebook, "double").outputs[0].text == "mine\n"
    assert cell_of(done.notebook, "double").execution_count == 7
    assert "better told" in cell_of(done.notebook, "start-text-1").source
    assert "double(3), 6" in cell_of(done.notebook, "double-test-1").source
    assert done.changes == ("text cell 1: updated", "test double-test-1: updated")
    assert [cell.id for cell in done.notebook.cells] == [cell.id for cell in release.learner.cells]


def before_checks_and_folds(release: Notebooks) -> NotebookNode:
    """The release as the course gave it before: no check below a stub, tests open and without a title, files beside."""
    former = nbformat.from_dict(json.loads(release.learner_text))
    former.cells = [cell for cell in former.cells if cell.metadata.workbook.kind != "check"]
    for cell in former.cells:
        if cell.metadata.workbook.kind == "test":
            cell.source = cell.source.partition("\n")[2]
            del cell.metadata["jupyter"], cell.metadata["cellView"], cell.metadata["tags"]
        if cell.pop("attachments", None):
            cell.source = cell.source.replace("](attachment:", "](")
    return former


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_checks_folds_and_pictures_arrive_in_an_older_copy(tmp_path: Path, known: bool) -> None:
    (tmp_path / WEEK).mkdir()
    write_source(tmp_path / WEEK, LESSON.replace("# # A tiny week\n", "# # A tiny week\n#\n# ![Two.](outcome.png)\n"))
    release = build_week(load_week(tmp_path / WEEK))
    former = before_checks_and_folds(release)
    mine = nbformat.from_dict(json.loads(to_text(former)))
    cell_of(mine, "double").source = RIGHT["double"]
    cell_of(mine, "written-why").source = "**W1.** Because."
    place = [cell.id for cell in mine.cells].index("double")
    mine.cells.insert(place + 1, new_code_cell("%check double\ndouble(21)", id="abc"))
    done = merged_twice(release, mine, former if known else None)
    ids = [cell.id for cell in done.notebook.cells]
    assert [one for one in ids if one != "abc"] == [cell.id for cell in release.learner.cells]
    assert ids[place : place + 3] == ["double", "abc", "double-check"]
    assert cell_of(done.notebook, "double").source == RIGHT["double"]
    assert cell_of(done.notebook, "written-why").source == "**W1.** Because."
    assert cell_of(done.notebook, "abc").source == "%check double\ndouble(21)"
    for cell in release.learner.cells:
        if cell.metadata.workbook.kind in ("test", "check", "text"):
            assert cell_of(done.notebook, cell.id) == cell
    assert "new: the check of double" in done.changes


def test_a_test_that_a_learner_unfolded_stays_open(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    mine = begun(old)
    opened, folded = cell_of(mine, "double-test-1"), cell_of(mine, "double-test-2")
    del opened.metadata["jupyter"]
    for base in (None, old.learner):
        assert cell_of(merge(update(NEW_TEST), mine, base).notebook, folded.id).metadata["jupyter"]["source_hidden"]
    done = merged_twice(update(NEW_TEST), mine, old.learner)
    assert "double(3), 6" in cell_of(done.notebook, opened.id).source
    assert "jupyter" not in cell_of(done.notebook, opened.id).metadata
    assert merge(old, mine, old.learner).changes == (), "to unfold a test is not a reason for an update"


def test_a_written_answer_and_its_picture_stay(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    mine = begun(old)
    question = cell_of(mine, "written-why")
    question.source = "**W1.** Because. ![it](attachment:it.png)"
    question.attachments = {"it.png": {"image/png": "aGk="}}
    done = merged_twice(update(NEW_TEXT), mine, old.learner)
    assert cell_of(done.notebook, "written-why").source == question.source
    assert cell_of(done.notebook, "written-why").attachments == question.attachments


def test_a_new_stub_arrives_only_where_nothing_was_begun(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    release = update(NEW_STUB)
    untouched = merged_twice(release, begun(old), old.learner)
    assert "Twice the number, an int." in cell_of(untouched.notebook, "double").source
    assert untouched.changes == ("exercise double: a new stub, since you had not begun",)
    worked_on = merged_twice(release, begun(old, double=RIGHT["double"]), old.learner)
    assert cell_of(worked_on.notebook, "double").source == RIGHT["double"]


def test_an_answer_stays_where_nobody_knows_the_former_stub(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    done = merged_twice(update(NEW_STUB), begun(old, double=RIGHT["double"]), None)
    assert cell_of(done.notebook, "double").source == RIGHT["double"]


def test_own_cells_stay_behind_the_cells_they_follow(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    mine = begun(old, **RIGHT)
    place = [cell.id for cell in mine.cells].index("double") + 1
    mine.cells.insert(place, new_code_cell("double(21)", id="scratch", metadata={"tags": ["mine"]}))
    mine.cells.insert(0, new_markdown_cell("my notes", id="notes"))
    mine.cells.append(new_markdown_cell("to do", id="todo"))
    release = update(WITH_TRIPLE)
    done = merged_twice(release, mine, old.learner)
    ids = [cell.id for cell in done.notebook.cells]
    assert (ids[0], ids[-1]) == ("notes", "todo")
    assert ids[ids.index("scratch") - 1] == "double"
    assert cell_of(done.notebook, "scratch").metadata == {"tags": ["mine"]}
    assert ids.index("triple") < ids.index("quadruple-about")
    assert "new: exercise triple" in done.changes


@pytest.mark.parametrize("cell_id", ["start-text-1", "double-look-1", "double-hints", "quadruple-explore-1"])
def test_what_a_learner_changed_in_a_text_or_drawing_stays(
    old: Notebooks, update: Callable[[str], Notebooks], cell_id: str
) -> None:
    mine = begun(old, **{cell_id: "something of mine"})
    done = merged_twice(update(NEW_TEST), mine, old.learner)
    assert cell_of(done.notebook, cell_id).source == "something of mine"


def test_where_both_changed_a_drawing_both_are_there(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    mine = begun(old, **{"double-look-1": "with checks.look():\n    print(double(400))"})
    done = merged_twice(update(NEW_LOOK), mine, old.learner)
    ids = [cell.id for cell in done.notebook.cells]
    place = ids.index("double-look-1")
    assert "double(5)" in done.notebook.cells[place].source
    assert "double(400)" in done.notebook.cells[place + 1].source
    assert done.changes == ("the drawing of double: updated; your version stands below it",)


def test_a_deleted_text_stays_deleted_until_it_is_new(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    mine = begun(old)
    mine.cells = [cell for cell in mine.cells if cell.id not in ("start-text-1", "double-test-1")]
    kept = merged_twice(update(NEW_STUB), mine, old.learner)
    assert "start-text-1" not in [cell.id for cell in kept.notebook.cells]
    assert "double-test-1" in [cell.id for cell in kept.notebook.cells], "a test is needed"
    new = merged_twice(update(NEW_TEXT), mine, old.learner)
    assert "start-text-1" in [cell.id for cell in new.notebook.cells]


def test_a_changed_test_is_the_course_s_again(old: Notebooks) -> None:
    done = merged_twice(old, begun(old, **{"double-test-1": "print('passed')"}), old.learner)
    assert "checks.equal" in cell_of(done.notebook, "double-test-1").source
    assert cell_of(done.notebook, "double-test-1").outputs == [], "they were of another test"
    assert done.changes == ("test double-test-1: the text of the course is back",)


def test_what_the_course_took_back(old: Notebooks, update: Callable[[str], Notebooks]) -> None:
    with_triple = update(WITH_TRIPLE)
    mine = begun(with_triple, triple="def triple(n):\n    return n + n + n")
    done = merged_twice(old, mine, with_triple.learner)
    assert "def triple(n):\n    return n + n + n" in sources(done.notebook), "the answer stays"
    assert "triple-about" not in [cell.id for cell in done.notebook.cells]
    assert "the course took back the exercise 'triple'; your answer stays" in done.changes
    assert "removed by the course: cell 'triple-about'" in done.changes


def test_several_copies_of_an_answer_all_stay_and_the_grader_sees_the_same(
    old: Notebooks, update: Callable[[str], Notebooks]
) -> None:
    mine = begun(old, double="def double(number):\n    return 0")
    copy = nbformat.from_dict(json.loads(json.dumps(cell_of(mine, "double"))))
    copy.source, copy.id = RIGHT["double"], "a-copy"
    mine.cells.insert([cell.id for cell in mine.cells].index("double") + 1, copy)
    release = update(NEW_TEXT)
    before = cell_of(repair(old, nbformat.from_dict(json.loads(to_text(mine)))).notebook, "double").source
    done = merged_twice(release, mine, old.learner)
    assert [source for source in sources(done.notebook) if "def double" in source] == [
        "def double(number):\n    return 0",
        RIGHT["double"],
    ]
    after = cell_of(repair(release, nbformat.from_dict(json.loads(to_text(done.notebook)))).notebook, "double").source
    assert after == before


def strip_like_colab(notebook: NotebookNode) -> NotebookNode:
    """No metadata of ours, ids of its own, nbformat 4.0, outputs with its widgets."""
    for number, cell in enumerate(notebook.cells):
        cell.pop("id", None)
        cell.metadata = nbformat.from_dict({"id": f"Xk3{number}", "colab": {"base_uri": "https://localhost"}})
    notebook.metadata = nbformat.from_dict({"colab": {"provenance": []}, "kernelspec": {"name": "python3"}})
    notebook.nbformat_minor = 0
    return notebook


@pytest.mark.parametrize("base_known", [True, False])
def test_a_notebook_from_colab_gets_its_ids_back_and_keeps_its_answers(
    old: Notebooks, update: Callable[[str], Notebooks], base_known: bool
) -> None:
    mine = begun(old, **RIGHT)
    mine.cells.insert(5, new_code_cell("x = double(1)"))
    place = [cell.get("id") for cell in mine.cells].index("quadruple")
    mine = strip_like_colab(mine)
    done = merged_twice(update(NEW_TEST), mine, old.learner if base_known else None)
    assert cell_of(done.notebook, "quadruple").source == RIGHT["quadruple"]
    assert cell_of(done.notebook, "quadruple").outputs[0].text == "mine\n"
    assert cell_of(done.notebook, "quadruple").metadata.nbgrader.grade_id == "quadruple"
    assert cell_of(done.notebook, "quadruple").metadata.id == f"Xk3{place}", "what Colab knows of it stays"
    assert "x = double(1)" in sources(done.notebook)
    assert "double(3), 6" in cell_of(done.notebook, "double-test-1").source


def test_cells_in_another_order_come_back_into_the_course_s(old: Notebooks) -> None:
    mine = begun(old, **RIGHT)
    moved = mine.cells.pop([cell.id for cell in mine.cells].index("double"))
    mine.cells.append(moved)
    done = merged_twice(old, mine, old.learner)
    assert [cell.id for cell in done.notebook.cells] == [cell.id for cell in old.learner.cells]
    assert done.changes == ("cells of the course are back in their order",)


def test_a_note_that_reads_like_a_new_text_is_kept_beside_it(
    old: Notebooks, update: Callable[[str], Notebooks]
) -> None:
    text = "# Remember\n#\n# one\n#\n# two\n#\n# three"
    release = update(LESSON.replace("# %% setup=true", f"# %% [markdown]\n{text}\n\n# %% setup=true"))
    mine = begun(old)
    mine.cells.insert(2, new_markdown_cell("Remember\n\none\n\ntwo\n\nthree and a half", id="note"))
    done = merged_twice(release, mine, old.learner)
    assert "Remember\n\none\n\ntwo\n\nthree" in sources(done.notebook)
    assert "Remember\n\none\n\ntwo\n\nthree and a half" in sources(done.notebook)


@pytest.mark.parametrize("change", [lambda m: m.update(metadata=7), lambda m: m["cells"][3].update(metadata="x")])
def test_odd_metadata_is_no_obstacle(old: Notebooks, change: Callable[[dict[str, Any]], None]) -> None:
    raw = json.loads(to_text(begun(old, **RIGHT)))
    change(raw)
    mine = nbformat.from_dict(raw)
    done = merge(old, mine, old.learner)
    assert cell_of(done.notebook, "double").source == RIGHT["double"]
