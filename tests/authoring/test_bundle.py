"""The learner's archive: the same bytes from the same sources, everything to run, nothing that must stay behind."""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import nbformat
import pytest

from autograder.authoring import bundle
from autograder.building.build import write_week
from autograder.building.leaks import TELLING
from autograder.core.errors import WorkbookError
from autograder.week.cells import Exercise, Written
from autograder.week.cells import Test as Graded
from autograder.week.locate import released_weeks
from autograder.week.marks import regions
from autograder.week.notebooks import Notebooks
from autograder.week.source import load_week

from ..building.test_leaks import telling_statements
from ..chosen import ROOT
from ..texts import squashed

WEEKS = released_weeks(ROOT)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The bundle of all released weeks."""
    return bundle.bundle_files(ROOT, WEEKS)


@pytest.fixture(scope="module")
def one() -> dict[str, bytes]:
    """The bundle of the first week."""
    return bundle.bundle_files(ROOT, WEEKS[:1])


def texts(files: dict[str, bytes]) -> dict[str, str]:
    return {name: content.decode() for name, content in files.items() if not name.endswith((".png", ".gif"))}


def trees(files: dict[str, bytes]) -> dict[str, list[ast.Module]]:
    """File -> the syntax trees of its code: a module, or the code cells of a notebook that parse."""
    found: dict[str, list[ast.Module]] = {}
    for name, content in files.items():
        if name.endswith(".py"):
            found[name] = [ast.parse(content)]
        elif name.endswith(".ipynb"):
            codes = [cell.source for cell in nbformat.reads(content.decode(), 4).cells if cell.cell_type == "code"]
            found[name] = [ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE)) for code in codes]
    return found


def test_it_holds_what_a_learner_needs_and_nothing_of_the_others(files: dict[str, bytes]) -> None:
    for week in WEEKS:
        assert f"weeks/{week}/{week.split('_', 1)[1]}.ipynb" in files
    for name in ("README.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.txt", "environment.yml"):
        assert name in files
    assert "autograder/learner/lab_config/labconfig/page_config.json" in files, "what `make lab` leaves out"
    tops = {PurePosixPath(name).parts[0] for name in files if "/" in name}
    assert tops == {"weeks", "shared", "autograder", "docs"}
    assert {name for name in files if name.startswith("docs/")} == set(bundle.DOCS)
    folders = {PurePosixPath(name).parts[1] for name in files if name.startswith("autograder/")}
    assert {name for name in folders if "." not in name} == {*bundle.FOLDERS, "commands"}
    verbs = {PurePosixPath(name).name for name in files if name.startswith("autograder/commands/")}
    assert verbs == {"__init__.py", "learner.py", "asking.py", "common.py"}
    assert not any(part in name for name in files for part in ("__pycache__", "/.", ".pyc", "misconceptions"))


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    queue = [tree]
    while queue:
        node = queue.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            queue += node.orelse
        else:
            queue += ast.iter_child_nodes(node)


def test_each_import_of_this_project_finds_its_module(files: dict[str, bytes]) -> None:
    found = trees({name: content for name, content in files.items() if name.endswith(".py")})
    modules = {name.removesuffix(".py").removesuffix("/__init__") for name in found}
    missing = []
    for name, (tree,) in found.items():
        for node in running(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = PurePosixPath(name).parents[node.level - 1] / (node.module or "").replace(".", "/")
                names = {base.as_posix(), *(f"{base.as_posix()}/{alias.name}" for alias in node.names)}
                if not names & modules:
                    missing.append(f"{name}: {ast.unparse(node)}")
    assert missing == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "solutions").glob("week*")))
def test_no_secret_of_any_week_stands_in_it_as_text_or_as_syntax_tree(files: dict[str, bytes], name: str) -> None:
    """Searched anew, by other means than the bundle itself: equal syntax trees, and text without spaces."""
    week = load_week(ROOT / "solutions" / name)
    trees_of, shown = trees(files), {file: squashed(text) for file, text in texts(files).items()}
    dumps = {
        file: {ast.dump(node) for tree in found for node in ast.walk(tree) if isinstance(node, ast.stmt)}
        for file, found in trees_of.items()
    }
    found = []
    for kind, mark in ((Exercise, "SOLUTION"), (Graded, "HIDDEN TESTS")):
        for cell in week.of_kind(kind):
            for statement in telling_statements(cell, mark):
                long = len(list(ast.walk(statement))) >= max(TELLING.values())
                for file in dumps:
                    if (long or week.name in file) and ast.dump(statement) in dumps[file]:
                        found.append(f"{file}: {ast.unparse(statement)}")
                found += [
                    f"{file}: {ast.unparse(statement)}"
                    for file, text in shown.items()
                    if long and squashed(ast.unparse(statement)) in text
                ]
    for cell in week.of_kind(Written):
        for line in "\n".join(regions(cell.source, "SOLUTION")).splitlines():
            if len(line.strip()) > 20:
                found += [f"{file}: {line}" for file, text in texts(files).items() if line.strip() in text]
    assert found == []
    assert not any(f"### BEGIN {mark}" in t for n, t in texts(files).items() if "weeks/" in n for mark in TELLING)


def test_the_same_sources_give_the_same_bytes(one: dict[str, bytes]) -> None:
    again = bundle.bundle_files(ROOT, WEEKS[:1])
    assert bundle.as_zip(one) == bundle.as_zip(again)
    assert bundle.as_tar(one) == bundle.as_tar(again)
    with zipfile.ZipFile(io.BytesIO(bundle.as_zip(one))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == [f"workbook/{name}" for name in sorted(one)]
    with tarfile.open(fileobj=io.BytesIO(bundle.as_tar(one))) as packed:
        assert {(info.mtime, info.uid, info.uname, info.mode) for info in packed} == {(0, 0, "", 0o644)}


def test_its_readme_is_written_for_learners(one: dict[str, bytes]) -> None:
    text = one["README.md"].decode()
    assert f"| 01 | {load_week(ROOT / 'solutions' / WEEKS[0]).info.title} |" in text
    for word in ("clone", "solutions/", "make demo", "workbook grade", "workbook collect", "instructors"):
        assert word not in text


def test_its_makefile_has_the_verbs_of_learners(files: dict[str, bytes]) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", files["Makefile"].decode(), re.MULTILINE))
    assert verbs == set(bundle.VERBS)
    for word in ("SANDBOX", "bubblewrap", "apt-get"):
        assert word not in files["Makefile"].decode(), "what only graders need"


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_it_unpacks_and_its_command_starts(
    tmp_path: Path, one: dict[str, bytes], suffix: str, request: pytest.FixtureRequest
) -> None:
    if suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(bundle.as_zip(one))) as archive:
            archive.extractall(tmp_path)
    else:
        with tarfile.open(fileobj=io.BytesIO(bundle.as_tar(one))) as packed:
            packed.extractall(tmp_path, filter="data")
    top = tmp_path / "workbook"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "WORKBOOK"))}
    folder = tempfile.mkdtemp(prefix="wb-", dir="/tmp")  # short: it holds a socket
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    environment |= {"WORKBOOK_RUNTIME": folder, "WORKBOOK_WARM_SECONDS": "5"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        # -P and PYTHONPATH: the modules of the archive, not those of the checkout that is installed
        command = [sys.executable, "-P", "-m", "autograder.cli", *words]
        settings = environment | {"PYTHONPATH": str(top), "PYTHONSAFEPATH": "1"}
        return subprocess.run(command, cwd=top, env=settings, capture_output=True, text=True, check=False)

    listed = run("--help")
    assert listed.returncode == 0, listed.stderr
    assert " start " in listed.stdout
    assert " collect " not in listed.stdout
    started = run("start", "1")
    assert started.returncode == 0, started.stderr
    assert (top / "work" / WEEKS[0] / f"{WEEKS[0].split('_', 1)[1]}.ipynb").is_file()
    if suffix == ".zip":  # the whole loop of a learner, with nothing else there; once is enough
        checked = run("check", "1", "masks")
        assert "not written yet" in checked.stdout, checked.stderr
        assert checked.stderr == "", "a warm process was started"
        handed_in = run("submit", "1", "--blank")
        assert handed_in.returncode == 0, handed_in.stderr
        assert (top / "work" / "submissions" / f"{WEEKS[0]}.zip").is_file()
    where = f"import autograder, shared, shared.checks; assert autograder.__file__.startswith({str(top)!r})"
    settings = environment | {"PYTHONPATH": str(top), "PYTHONSAFEPATH": "1"}
    imported = subprocess.run(
        [sys.executable, "-P", "-c", where], cwd=top, env=settings, capture_output=True, text=True, check=False
    )
    assert imported.returncode == 0, imported.stderr


# on a small checkout


@pytest.fixture
def checkout(tiny_root: Path, tiny: Notebooks) -> Path:
    """A checkout with the tiny week, a helper package, and a command of one module."""
    write_week(tiny, tiny_root)
    for name in ("shared", "autograder/commands"):
        (tiny_root / name).mkdir(parents=True)
        (tiny_root / name / "__init__.py").write_text("", encoding="utf-8")
    for name in ("__init__.py", "commands/learner.py", "commands/grade.py", "secret.py"):
        (tiny_root / "autograder" / name).write_text("", encoding="utf-8")
    for name in ("week/source.py", "learner/lab_config/page.json", "grading/grade.py"):
        path = tiny_root / "autograder" / name
        path.parent.mkdir(parents=True)
        path.write_text("", encoding="utf-8")
    return tiny_root


def test_whole_folders_of_the_learners_side_come_along_with_their_data(checkout: Path) -> None:
    found = {name for name in bundle.bundle_files(checkout, ["week01_tiny"]) if name.startswith("autograder/")}
    assert found == {
        "autograder/__init__.py",
        "autograder/commands/__init__.py",
        "autograder/commands/learner.py",
        "autograder/learner/lab_config/page.json",
        "autograder/week/source.py",
    }


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        ("weeks/week01_tiny/tiny.ipynb", "return double(double(number))", "shows 'quadruple: return double("),
        (
            "shared/helper.py",
            "for number in (-3, 10**9):\n    with checks.step(f'double of {number}'):\n"
            "        checks.equal(double(number), number * 2, f'double({number})')\n",
            "shared/helper.py shows 'double-test-2: ",
        ),
        (
            "docs/learning.md",
            "Because a number and itself are two of them: 20 points.",
            "docs/learning.md shows the rubric",
        ),
    ],
)
def test_what_shows_a_secret_is_not_bundled(checkout: Path, where: str, text: str, said: str) -> None:
    path = checkout / where
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, 4)
        notebook.cells[0].source = f"```python\n{text}\n```"
        nbformat.write(notebook, path)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    target = checkout / "build" / "bundle.zip"
    with pytest.raises(WorkbookError, match=re.escape(said)):
        bundle.write_bundle(checkout, ["week01_tiny"], target)
    assert not target.exists()


def test_a_week_that_is_not_built_and_an_odd_name_are_said(checkout: Path) -> None:
    with pytest.raises(WorkbookError, match=r"weeks/week02_other is not there -> build it"):
        bundle.bundle_files(checkout, ["week02_other"])
    with pytest.raises(WorkbookError, match=r"bundle.rar is not a valid archive name -> end it with .zip or .tar.gz"):
        bundle.write_bundle(checkout, ["week01_tiny"], checkout / "bundle.rar")
