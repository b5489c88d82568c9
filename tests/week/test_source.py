"""Reading a week: header words, cell ids, points and dependents, `week.toml`, and the errors they give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograder.building.build import build_week
from autograder.core.errors import BuildError, WorkbookError
from autograder.week.cells import About, Cell, Exercise, Explore, Given, Hints, Look, Setup, Text, Words, Written
from autograder.week.cells import Test as Graded
from autograder.week.source import Week, WeekInfo, load_info, load_week, parse

SCRIPT = Path("/checkout/solutions/week07_x/x.py")
WORDS = {
    "setup": "compare, setup",
    "about": "compare, about",
    "exercise": "compare, exercise, difficulty, minutes, uses",
    "test": "compare, test, points, forbids, after",
    "explore": "compare, explore, picture, measured",
    "written": "compare, written, points, minutes",
}
ALL_KINDS = "setup, given, about, exercise, test, hints, look, explore, written"


def cell(header: str) -> Cell:
    """The one cell of a script with this header."""
    (found,) = parse(f"# %% {header}\n# words\n", SCRIPT)
    return found


def said(text: str) -> list[str]:
    """The problems of a script, as people read them."""
    with pytest.raises(BuildError) as error:
        parse(text, SCRIPT)
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("header", "words", "cell_id", "name"),
    [
        ("setup=true", Setup(setup=True), "setup", ""),
        ('given="toy-data"', Given(given="toy-data"), "given-toy-data", "toy-data"),
        ('[markdown] about="sdpa"', About(about="sdpa"), "sdpa-about", "sdpa"),
        (
            'exercise="sdpa" difficulty=2 minutes=40',
            Exercise(exercise="sdpa", difficulty=2, minutes=40),
            "sdpa",
            "sdpa",
        ),
        (
            'exercise="mha" difficulty=5 minutes=1 uses="sdpa, masks,"',
            Exercise(exercise="mha", difficulty=5, minutes=1, uses=("sdpa", "masks")),
            "mha",
            "mha",
        ),
        (
            'test="sdpa" points=8 forbids="torch.nn.Linear, torch.softmax"',
            Graded(test="sdpa", points=8, forbids=("torch.nn.Linear", "torch.softmax")),
            "sdpa-test-1",
            "sdpa",
        ),
        ('[markdown] hints="sdpa"', Hints(hints="sdpa"), "sdpa-hints", "sdpa"),
        ('look="sdpa" compare=true', Look(look="sdpa", compare=True), "sdpa-look-1", "sdpa"),
        ('explore=true picture="outcome"', Explore(explore=True, picture="outcome"), "start-explore-1", ""),
        ('[markdown] written="why" points=5', Written(written="why", points=5, minutes=20), "written-why", "why"),
        ('explore=true measured="cifar10"', Explore(explore=True, measured="cifar10"), "start-explore-1", ""),
        ("[markdown]", Text(), "start-text-1", ""),
    ],
)
def test_every_kind_of_header_is_read(header: str, words: Words, cell_id: str, name: str) -> None:
    found = cell(header)
    assert type(found.words) is type(words)
    assert found.words == words
    assert (found.id, found.name, found.line) == (cell_id, name, 1)


@pytest.mark.parametrize(
    ("header", "kind", "message"),
    [
        ('test="a" points=8 colour="red"', "test", "colour: extra inputs are not permitted"),
        ('test="a" points=8 picture="p"', "test", "picture: extra inputs are not permitted"),
        ('test="a"', "test", "points: field required"),
        ('test="a" points="many"', "test", "points: input should be a valid integer"),
        ('test="a" points="8"', "test", "points: input should be a valid integer"),
        ('test="a" points=true', "test", "points: input should be a valid integer"),
        ('test="a" points=-1', "test", "points: input should be greater than or equal to 0"),
        ('test="a" points=1 forbids=3', "test", "forbids: input should be a valid tuple"),
        ("setup=false", "setup", "setup: input should be true"),
        ('setup="yes"', "setup", "setup: input should be true"),
        ('explore=true picture="Out Come"', "explore", "picture: string should match pattern"),
        ('explore=true compare="yes"', "explore", "compare: input should be a valid boolean"),
        ('exercise="a" difficulty=6 minutes=5', "exercise", "difficulty: input should be less than or equal to 5"),
        ('exercise="a" difficulty=1 minutes=0', "exercise", "minutes: input should be greater than 0"),
        ('exercise="A_b" difficulty=1 minutes=5', "exercise", "exercise: string should match pattern"),
        ('exercise=3 difficulty=1 minutes=5', "exercise", "exercise: input should be a valid string"),
        ('[markdown] written="w" points=0', "written", "points: input should be greater than 0"),
        (f'[markdown] about="{"a" * 41}"', "about", "about: string should have at most 40 characters"),
    ],
)  # fmt: skip
def test_unknown_words_and_wrong_types_are_named_with_file_line_and_the_known_words(
    header: str, kind: str, message: str
) -> None:
    (line,) = said(f"# %% setup=true\nx = 1\n\n# %% {header}\npass\n")
    assert line.startswith(f"{SCRIPT}:4: {kind} cell: {message}")
    assert line.endswith(f" -> the words of a {kind} cell are: {WORDS[kind]}")


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ('exercise=a difficulty=1 minutes=5', 'write exercise="a", with straight double quotes'),
        ('exercise="a" difficulty=one minutes=5', "write a number: difficulty=2"),
        ("explore=yes", "write explore=true"),
        ('exercise="a", difficulty=1', 'not readable: "a", -> write exercise="a", with straight double quotes'),
        ("explore", 'write words as name="text", name=3 or name=true'),
    ],
)  # fmt: skip
def test_a_word_that_cannot_be_read_says_how_it_is_written(header: str, remedy: str) -> None:
    (line,) = said(f"# %% setup=true\nx = 1\n\n# %% {header}\npass\n")
    assert line.startswith(f"{SCRIPT}:4: ")
    assert line.endswith(remedy)


def test_the_problems_of_all_headers_come_at_once() -> None:
    text = '# %% exercise="a" difficulty=9 minutes=0\npass\n\n# %% setup=true\npass\n\n# %% test="a"\npass\n'
    lines = said(text)
    assert [line.split(": ")[0] for line in lines] == [f"{SCRIPT}:1", f"{SCRIPT}:1", f"{SCRIPT}:7"]
    assert "difficulty" in lines[0]
    assert "minutes" in lines[1]
    assert "points" in lines[2]


def test_two_kinds_in_one_header() -> None:
    assert said('# %% setup=true\npass\n\n# %% test="a" look="a" points=3\npass\n') == [
        f"{SCRIPT}:4: the cell header says test, look -> keep one of them"
    ]


@pytest.mark.parametrize("header", ["", "[raw]"])
def test_a_code_cell_must_say_what_it_is(header: str) -> None:
    assert said(f"# %% {header}\npass\n") == [
        f"{SCRIPT}:1: the header of a code cell does not say what the cell is -> name its kind with one of: {ALL_KINDS}"
    ]


@pytest.mark.parametrize("header", ['colour="red"', '[markdown] colour="red"'])
def test_unknown_words_without_a_kind(header: str) -> None:
    assert said(f"# %% {header}\npass\n") == [
        f"{SCRIPT}:1: unknown words in the cell header: colour -> name its kind with one of: {ALL_KINDS}"
    ]


@pytest.mark.parametrize(
    ("header", "message", "remedy"),
    [
        ('about="a"', "about cell must be markdown", '`# %% [markdown] about="..."`'),
        ('hints="a"', "hints cell must be markdown", '`# %% [markdown] hints="..."`'),
        ('written="a" points=5', "written cell must be markdown", '`# %% [markdown] written="..."`'),
        ('[markdown] test="a" points=5', "test cell must be code", "remove [markdown]"),
        ("[markdown] setup=true", "setup cell must be code", "remove [markdown]"),
    ],
)
def test_markdown_and_code_are_not_mixed_up(header: str, message: str, remedy: str) -> None:
    (line,) = said(f"# %% {header}\n# words\n")
    assert line.startswith(f"{SCRIPT}:1: ")
    assert message in line
    assert line.endswith(remedy)


@pytest.mark.parametrize("before", ["import math\n", "# a comment\n", '"""A docstring with # %% in it."""\n'])
def test_text_before_the_first_cell(before: str) -> None:
    assert said(f"{before}# %% setup=true\nx = 1\n") == [
        f"{SCRIPT}:1: text before the first cell -> begin the file with `# %%`"
    ]


def test_a_script_without_cells() -> None:
    assert "text before the first cell" in said("x = 1\n")[0]


def test_blank_lines_before_the_first_cell_are_fine() -> None:
    (found,) = parse("\n\n# %% setup=true\nx = 1\n", SCRIPT)
    assert found.line == 3


def test_a_cell_mark_inside_a_string() -> None:
    text = '# %% setup=true\nx = """\n# %% explore=true\n"""\n'
    assert said(text) == [
        f"{SCRIPT}:3: this `# %%` stands inside a string and would begin a cell -> write it differently there"
    ]


def script(root: Path) -> Path:
    return root / "solutions" / "week01_tiny" / "tiny.py"


def ids(text: str) -> list[str]:
    return [cell.id for cell in parse(text, SCRIPT)]


def test_ids_come_from_names_and_positions(tiny_root: Path) -> None:
    assert ids(script(tiny_root).read_text(encoding="utf-8")) == [
        "start-text-1",
        "setup",
        "double-about",
        "double",
        "double-look-1",
        "double-hints",
        "double-test-1",
        "double-test-2",
        "quadruple-about",
        "quadruple",
        "quadruple-look-1",
        "quadruple-hints",
        "quadruple-test-1",
        "quadruple-test-2",
        "quadruple-explore-1",
        "written-why",
    ]


def test_ids_do_not_depend_on_what_cells_say(tiny_root: Path) -> None:
    text = script(tiny_root).read_text(encoding="utf-8")
    other = text.replace("number", "n").replace("Twice", "Two times").replace("points=20", "points=7")
    assert other != text
    assert ids(other) == ids(text)


def test_a_new_text_cell_shifts_no_other_id(tiny_root: Path) -> None:
    text = script(tiny_root).read_text(encoding="utf-8")
    before = ids(text)
    lines = text.splitlines(keepends=True)
    for number in [i for i, line in enumerate(lines) if line.startswith("# %%")]:
        after = ids("".join([*lines[:number], "# %% [markdown]\n# New.\n\n", *lines[number:]]))
        assert [one for one in after if "-text-" not in one] == [one for one in before if "-text-" not in one]
        assert len(set(after)) == len(before) + 1


def test_a_text_cell_in_one_exercise_leaves_the_text_cells_of_the_next_alone() -> None:
    def lesson(extra: str) -> str:
        return (
            f'# %% [markdown] about="a"\n# A\n{extra}\n# %% [markdown] about="b"\n# B\n\n# %% [markdown]\n# text of b\n'
        )

    assert ids(lesson("")) == ["a-about", "b-about", "b-text-1"]
    assert ids(lesson("\n# %% [markdown]\n# text of a\n")) == ["a-about", "a-text-1", "b-about", "b-text-1"]


def test_lines_point_at_the_headers(tiny_root: Path) -> None:
    text = script(tiny_root).read_text(encoding="utf-8")
    lines = text.splitlines()
    cells = parse(text, SCRIPT)
    assert [c.line for c in cells] == [i for i, line in enumerate(lines, 1) if line.startswith("# %%")]
    assert [c.line for c in cells if c.id == "quadruple"] == [
        lines.index('# %% exercise="quadruple" difficulty=2 minutes=5 uses="double"') + 1
    ]


def week(*uses: tuple[str, str], tests: str = "") -> Week:
    """A week of exercises and what they use."""
    cells = "".join(f'# %% exercise="{name}" difficulty=1 minutes=1 uses="{used}"\npass\n\n' for name, used in uses)
    info = WeekInfo(title="t", summary="s", hours=1)
    return Week(Path("/checkout/solutions/week12_two_words"), info, parse(cells + tests, SCRIPT))


def test_a_week_is_named_after_its_folder() -> None:
    found = week(("a", ""))
    assert (found.name, found.number, found.topic) == ("week12_two_words", 12, "two_words")
    assert found.script == Path("/checkout/solutions/week12_two_words/two_words.py")


def test_points_are_those_of_all_tests_of_an_exercise() -> None:
    tests = '# %% test="a" points=3\npass\n\n# %% test="b" points=10\npass\n\n# %% test="a" points=4\npass\n'
    found = week(("a", ""), ("b", ""), ("c", ""), tests=tests)
    assert [found.points(name) for name in found.exercises] == [7, 10, 0]
    assert [c.id for c in found.of_kind(Graded, "a")] == ["a-test-1", "a-test-2"]
    assert len(found.of_kind(Graded)) == 3


def test_dependents_go_through_other_exercises() -> None:
    found = week(("a", ""), ("b", "a"), ("c", "b"), ("d", "c, a"), ("e", ""))
    assert found.dependents("a") == {"b", "c", "d"}
    assert found.dependents("b") == {"c", "d"}
    assert found.dependents("d") == set()
    assert found.dependents("e") == set()


def test_dependents_of_exercises_that_use_each_other_end() -> None:
    assert week(("a", "b"), ("b", "a")).dependents("a") == {"a", "b"}


def test_a_sound_week_toml(tiny_root: Path) -> None:
    info = load_info(tiny_root / "solutions" / "week01_tiny")
    assert (info.title, info.hours, info.prerequisites, info.libraries) == ("Doubling", 1, (), ())
    assert (info.limits.cell_seconds, info.limits.total_seconds, info.limits.memory_gib) == (2, 20, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Doubling"\n', "", "title: field required"),
        ("hours = 1", "hours = 0", "hours: input should be greater than 0"),
        ("hours = 1", 'hours = "many"', "hours: input should be a valid integer"),
        ("hours = 1", 'hours = "12"', "hours: input should be a valid integer"),
        ("hours = 1", "hours = 1\ncolour = 2", "colour: extra inputs are not permitted"),
        ("libraries = []", 'libraries = "torch"', "libraries: input should be a valid tuple"),
        ("memory_gib = 1", "memory_gib = 0", "limits.memory_gib: input should be greater than 0"),
        ("memory_gib = 1", "gpus = 1", "limits.gpus: extra inputs are not permitted"),
        ("hours = 1", "hours = ", "invalid value"),
    ],
)
def test_a_wrong_week_toml_names_the_key_and_what_is_known(tiny_root: Path, old: str, new: str, message: str) -> None:
    path = tiny_root / "solutions" / "week01_tiny" / "week.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BuildError) as error:
        load_week(path.parent)
    (problem,) = error.value.problems
    assert (problem.path, problem.remedy[:3]) == (path, "the" if message != "invalid value" else "wri")
    assert message in problem.message.lower()


@pytest.mark.parametrize(
    ("file", "next_step"),
    [
        (
            "week.toml",
            "write it with the keys title, summary, hours, version, prerequisites, libraries, reading, "
            "reproduces, limits",
        ),
        ("tiny.py", "every week has a percent script of its topic's name"),
    ],
)
def test_a_missing_file_is_named(tiny_root: Path, file: str, next_step: str) -> None:
    path = tiny_root / "solutions" / "week01_tiny" / file
    path.unlink()
    with pytest.raises(WorkbookError) as error:
        load_week(path.parent)
    assert (error.value.message, error.value.next_step) == (f"{path} is missing", next_step)


@pytest.mark.parametrize("name", ["week1_tiny", "week01", "week01_", "Week01_tiny", "week01_Tiny", "week01-tiny"])
def test_a_folder_that_is_no_week(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkbookError, match="not the name of a week -> call the folder weekNN_topic") as error:
        load_week(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_paths_below_the_current_folder_are_short(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_root)
    (tiny_root / "solutions" / "week01_tiny" / "week.toml").unlink()
    with pytest.raises(WorkbookError, match=r"^solutions/week01_tiny/week\.toml is missing"):
        load_week(tiny_root / "solutions" / "week01_tiny")


# ---- tests in a file of their own

APART = """
# %% test="double" points=8
checks.equal(double(1), 2, "double(1)")

# %% test="double" points=2 after="double-look-1"
checks.equal(double(2), 4, "double(2)")

# %% test="quadruple" points=5
checks.equal(quadruple(1), 4, "quadruple(1)")
"""


def without_tests(root: Path) -> Path:
    """The folder of the tiny week with its tests taken out of the lesson."""
    folder = root / "solutions" / "week01_tiny"
    path = folder / "tiny.py"
    cells = re.split(r"(?m)^(?=# %%)", path.read_text(encoding="utf-8"))
    path.write_text("".join(cell for cell in cells if not cell.startswith("# %% test=")), encoding="utf-8")
    return folder


def test_tests_of_a_file_stand_behind_the_hints_of_their_exercise_or_where_they_say(tiny_root: Path) -> None:
    folder = without_tests(tiny_root)
    (folder / "tests.py").write_text(APART, encoding="utf-8")
    week = load_week(folder)
    ids = [cell.id for cell in week.cells]
    assert ids[ids.index("double-hints") + 1] == "double-test-1"
    assert ids[ids.index("double-look-1") + 1] == "double-test-2"
    assert ids[ids.index("quadruple-hints") + 1] == "quadruple-test-1"
    places = {cell.id: (cell.path.name, cell.line) for cell in week.cells}
    assert places["double-test-2"] == ("tests.py", 5)
    assert places["double"][0] == "tiny.py"
    cells = {cell.id: cell for cell in week.cells}
    assert week.before(cells["double"], cells["double-test-1"])
    assert not week.before(cells["quadruple"], cells["double-test-1"])


def test_moving_the_tests_to_their_file_changes_no_notebook(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    before = build_week(load_week(folder)).learner_text
    text = (folder / "tiny.py").read_text(encoding="utf-8")
    cells = re.split(r"(?m)^(?=# %%)", text)
    tests = [cell for cell in cells if cell.startswith("# %% test=")]
    without_tests(tiny_root)
    (folder / "tests.py").write_text("".join(tests), encoding="utf-8")
    assert build_week(load_week(folder)).learner_text == before


SHARED = """
# %% given="twice" after="setup"
# what several tests use
def twice(x: float) -> float:
    return 2 * x
"""


def test_what_several_tests_use_stands_among_them_once(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    cells = re.split(r"(?m)^(?=# %%)", (folder / "tiny.py").read_text(encoding="utf-8"))
    without_tests(tiny_root)
    tests = "".join(cell for cell in cells if cell.startswith("# %% test="))
    (folder / "tests.py").write_text(SHARED + tests, encoding="utf-8")
    built = build_week(load_week(folder)).learner
    ids = [cell.id for cell in built.cells]
    assert ids[ids.index("setup") + 1] == "given-twice"
    metadata = built.cells[ids.index("given-twice")].metadata
    assert (metadata.nbgrader.locked, metadata.nbgrader.grade) == (True, False)
    assert metadata.jupyter.source_hidden, "folded, as the tests are"


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (APART + '\n# %% given="x"\nx = 1\n', "tests.py:11: a given cell in tests.py without a place -> name the cell"),
        (APART + '\n# %% given="x" after="y"\nx = 1\n', "tests.py:11: there is no cell 'y' to stand behind"),
        (APART + "\n# %% look='double'\nprint(1)\n", "tests.py:11: a look cell in tests.py -> move it to the lesson"),
        (APART.replace("double-look-1", "given-x"), "tests.py:5: there is no cell 'given-x' to stand behind -> "),
        (APART.replace('"quadruple" points', '"other" points'), "tests.py:8: there is no cell 'other-hints' to stand"),
    ],
)
def test_a_cell_that_cannot_be_placed_is_told_with_its_line(tiny_root: Path, tests: str, said: str) -> None:
    folder = without_tests(tiny_root)
    (folder / "tests.py").write_text(tests, encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        load_week(folder)
    assert said in str(caught.value)


def test_a_test_is_in_the_lesson_or_in_the_file_but_not_in_both(tiny_root: Path) -> None:
    folder = tiny_root / "solutions" / "week01_tiny"
    (folder / "tests.py").write_text(APART, encoding="utf-8")
    with pytest.raises(BuildError, match=r"tiny\.py:\d+: a test cell in the lesson, which has a tests\.py -> move it"):
        load_week(folder)
