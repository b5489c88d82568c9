"""Which files of `shared` a week depends on: those that define what its source uses, and all that these import.

The modules that notebooks import, such as `shared.datasets`, are lists of names. A name leads to the file that defines
it, so a new generator of pictures concerns the weeks that use it, and no other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import shared

ALWAYS = ("checks", "session")
"""What every test cell needs, and every set-up cell."""


def helper_files(source: str) -> list[Path]:
    """The files of `shared` that a source in Python depends on, in order; all where it is not Python.

    Of a module that is used in another way than as `module.name`, all names count.
    """
    folder = Path(shared.__file__).parent
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return sorted(folder.rglob("*.py"))
    queue = [folder / "__init__.py"]
    for module, names in (*((name, None) for name in ALWAYS), *_used(tree)):
        queue += _files_of(folder, module, names)
    found: set[Path] = set()
    while queue:
        path = queue.pop()
        if path not in found:
            found.add(path)
            queue += [path.parent / "__init__.py", *_imports(folder, path)]
    return sorted(found)


def _used(tree: ast.Module) -> Iterator[tuple[str, set[str] | None]]:
    """Modules of `shared`, as `datasets` or `data.tiles`, with the names that are used of them; None for all."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="shared", names=aliases):
                for alias in aliases:
                    yield alias.name, _attributes(tree, alias.asname or alias.name)
            case ast.ImportFrom(module=str(module), names=aliases) if module.startswith("shared."):
                yield module.removeprefix("shared."), {alias.name for alias in aliases}
            case ast.Import(names=aliases):
                yield from (
                    (one.name.removeprefix("shared."), None) for one in aliases if one.name.startswith("shared.")
                )


def _attributes(tree: ast.Module, name: str) -> set[str] | None:
    """What is read of a module that is called `name`; None where it is used in another way."""
    uses = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
    found = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    ]
    return set(found) if len(found) == uses else None


def _files_of(folder: Path, module: str, names: Iterable[str] | None) -> list[Path]:
    """The file of a module; of a list of names, the files that define these names."""
    path = _path(folder, module)
    if path is None or path.parent != folder:
        return [path] if path else []
    defined = _imports(folder, path)
    return [file for file, given in defined.items() if names is None or given & set(names)]


@cache
def _imports(folder: Path, path: Path) -> dict[Path, set[str]]:
    """The files of `shared` that a file imports, each with the names that it takes from there."""
    found: dict[Path, set[str]] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].relative_to(folder).parts
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                file = _path(folder, f"{module}.{alias.name}") or _path(folder, module)
                if file:
                    found.setdefault(file, set()).add(alias.name)
    return found


def _path(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
