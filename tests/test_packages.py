"""The house: which package may import which, and which folders go where as a whole."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from autograder.authoring import bundle
from autograder.cli import app
from autograder.engine import sandbox
from autograder.execution import fingerprint
from autograder.week.cells import Exercise
from autograder.week.locate import all_weeks
from autograder.week.source import load_week

from .chosen import ROOT

PROGRAM = ROOT / "autograder"
TOP = "the command"
"""`cli.py` and `magic.py`, where a program begins."""
ARROWS = {
    "core": "",
    "rendering": "core",
    "week": "core",
    "engine/guest": "",
    "engine": "engine/guest",
    "repair": "week",
    "course": "core week",
    "building": "core week",
    "execution": "core week repair engine engine/guest",
    "submissions": "core week course repair",
    "gradebook": "core week course repair engine execution",
    "feedback": "core rendering week course repair execution gradebook",
    "reporting": "core rendering week course gradebook submissions feedback",
    "marking": "core rendering week course repair gradebook",
    "similar": "core rendering week course repair gradebook",
    "desk": "core rendering week course",
    "grading": "core week course repair building execution gradebook marking feedback reporting",
    "learner": "core week repair engine engine/guest execution",
    "authoring": "core rendering week course building engine engine/guest execution learner",
    "commands": "core week course building engine execution submissions gradebook reporting marking similar grading "
    "learner authoring",
    TOP: "core learner commands",
}
"""Package -> the packages that it may import. A new arrow is a decision: see docs/decisions/."""


def package_of(module: str) -> str:
    """`autograder.engine.guest.wire` -> `engine/guest`; a module at the top belongs to `TOP`."""
    parts = module.split(".")[1:]
    if parts[:2] == ["engine", "guest"]:
        return "engine/guest"
    return parts[0] if (PROGRAM / parts[0]).is_dir() else TOP


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PROGRAM.rglob("*.py")) if path != PROGRAM / "__init__.py"}


def imported(module: str) -> Iterator[str]:
    """The modules of this program that a module imports anywhere, also inside a function or for its types alone."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module or "") if part)
            for name in (f"{base}.{alias.name}" for alias in node.names):
                if found := next((one for one in (name, base) if one in MODULES), None):
                    yield found
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


IMPORTS = {module: sorted(set(imported(module)) - {module}) for module in MODULES}


def test_packages_import_only_what_the_table_allows() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if package_of(module) != package_of(other) and package_of(other) not in ARROWS[package_of(module)].split()
    ]
    assert wrong == []


def test_each_allowed_arrow_is_used() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for module, others in IMPORTS.items():
        used[package_of(module)] |= {package_of(other) for other in others} - {package_of(module)}
    assert {package: set(allowed.split()) for package, allowed in ARROWS.items()} == {
        package: used[package] for package in ARROWS
    }


def test_the_floors_have_no_circle() -> None:
    order = list(
        TopologicalSorter({package: set(allowed.split()) for package, allowed in ARROWS.items()}).static_order()
    )
    assert order[-1] == TOP


def test_no_modules_import_each_other() -> None:
    """In a circle, that is, and be it for types alone."""
    TopologicalSorter(IMPORTS).prepare()


def test_every_folder_is_a_package_with_a_sentence() -> None:
    folders = {path.parent for path in PROGRAM.rglob("*.py")} - {PROGRAM, PROGRAM / "authoring" / "lying"}
    assert {folder.relative_to(PROGRAM).as_posix() for folder in folders} == set(ARROWS) - {TOP}
    for folder in folders:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder


# folders that go somewhere as a whole


def closure(*starts: str) -> set[str]:
    """Packages that these reach, with themselves."""
    found, queue = set(), list(starts)
    while queue:
        package = queue.pop()
        if package not in found:
            found.add(package)
            queue += ARROWS[package].split()
    return found


def test_a_sandbox_sees_the_guest_and_the_guest_needs_nothing_else() -> None:
    assert closure("engine/guest") == {"engine/guest"}
    seen = {name for name in sandbox.VISIBLE if not name.startswith("engine/guest/")}
    assert seen == {"__init__.py", "engine/__init__.py"}
    for name in seen:
        tree = ast.parse((PROGRAM / name).read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)], name


def test_a_learners_bundle_holds_all_that_the_learners_side_imports() -> None:
    assert closure("learner") == {*bundle.FOLDERS, "engine/guest"}
    held = {module_of(PROGRAM / name) for name in bundle.FILES if name.endswith(".py")}
    for module in held - {"autograder", "autograder.cli"}:
        outside = {other for other in IMPORTS[module] if package_of(other) not in {*bundle.FOLDERS, "engine/guest"}}
        assert outside <= held, module


def test_verdicts_depend_on_all_that_runs_jobs() -> None:
    judging = {"engine/guest", *fingerprint.JUDGING, "core"}
    assert closure("execution", "building") == judging
    assert "core" not in fingerprint.JUDGING, "errors, files and texts decide nothing"


# doors


def rows() -> dict[str, str]:
    """Verb -> the file that docs/maintaining.md names for it."""
    text = (ROOT / "docs" / "maintaining.md").read_text(encoding="utf-8")
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `workbook ")]
    return {verb.strip("`").removeprefix("workbook "): file.strip("`") for verb, file, *_ in found}


VERBS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)
for group in app.registered_groups:
    assert group.typer_instance
    VERBS += [
        command.name or command.callback.__name__
        for command in group.typer_instance.registered_commands
        if command.callback
    ]


def test_every_verb_has_a_door() -> None:
    assert sorted(rows()) == sorted(VERBS)


@pytest.mark.parametrize("verb", sorted(rows()))
def test_the_file_of_a_verb_is_what_its_command_calls(verb: str) -> None:
    """The verb's function in `commands/`, what it calls there, and the file that is imported."""
    target = module_of(ROOT / rows()[verb])
    assert target in MODULES, "the file is not there"
    here = {name for name in MODULES if package_of(name) == "commands"}
    queue = [name for name in here if f"\ndef {verb}(" in MODULES[name].read_text(encoding="utf-8")]
    reached: set[str] = set()
    while queue:
        name = queue.pop()
        reached.add(name)
        queue += [other for other in IMPORTS[name] if other in here - reached]
    assert target in {other for name in reached for other in IMPORTS[name]}


# the helper package

SHARED = ROOT / "shared"
HELPERS = {"checks": "", "data": "", "plots": "", "measure": "", "runtime": "checks plots", "weeks": ""}
"""Folders of `shared`, and which of the others each may import."""
MOST_LINES = 300
"""Lines of a file there."""


def test_the_folders_of_shared_do_not_import_each_other() -> None:
    assert {path.name for path in SHARED.iterdir() if (path / "__init__.py").exists()} == set(HELPERS)
    for path in SHARED.glob("*/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                assert (node.module or "").partition(".")[0] in HELPERS[path.parent.name].split(), path
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                assert not [name for name in names if name.partition(".")[0] in ("shared", "autograder")], path


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.py")), ids=lambda path: path.stem)
def test_what_notebooks_import_is_a_list_of_names(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert names or isinstance(node, ast.ImportFrom), ast.unparse(node)


@pytest.mark.parametrize("path", sorted(SHARED.rglob("*.py")), ids=lambda path: path.relative_to(SHARED).as_posix())
def test_helpers_are_small_and_hold_no_model_and_no_answer(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    tree = ast.parse(text)
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not defined & asked_for()
    bases = {ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases}
    assert not {base for base in bases if base.endswith("Module")}, "a model"
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not {"backward", "zero_grad"} <= called, "a training loop"


@cache
def asked_for() -> set[str]:
    """What the stubs of all weeks define."""
    weeks = [load_week(ROOT / "solutions" / name) for name in all_weeks(ROOT)]
    return {
        node.name
        for week in weeks
        for cell in week.of_kind(Exercise)
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
