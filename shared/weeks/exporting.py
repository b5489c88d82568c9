"""Write what a notebook defines as the modules of a package: the source as it stands in the cells, and all it needs.

    write_package(Path("study"), {"models": ("The models.", ["fit", "Net"])}, globals())

writes `study/models.py` with `fit` and `Net`, the helpers and constants of the notebook that these use, and imports.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import linecache
import symtable
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

GIVEN = {*dir(builtins), "__file__", "__name__", "__doc__"}
"""Names that every module has."""


@dataclass
class Module:
    """One file in the making."""

    about: str
    imports: set[str] = field(default_factory=set)
    own: dict[str, set[str]] = field(default_factory=dict)
    """Other modules of the package -> the names used from them."""
    parts: list[str] = field(default_factory=list)


def write_package(
    folder: Path,
    modules: Mapping[str, tuple[str, Sequence[str]]],
    names: Mapping[str, Any],
    *,
    first: Mapping[str, str] | None = None,
    last: Mapping[str, str] | None = None,
    copied: Sequence[str] = (),
) -> None:
    """Write modules of functions, classes and constants, with everything of the notebook that these use.

    What a name uses stands before it, in the module that uses it first; modules after that import it from there.

    Parameters
    ----------
    folder : the package; its name is the folder's.
    modules : name of the file without .py -> (what it is, names of what stands in it).
    names : name -> object, the globals of the notebook.
    first, last : module -> code at the beginning and at the end of its file.
    copied : modules of libraries, such as "shared.weeks.study". What is used of them is written out as well, with all it
        needs there, and not imported.

    Raises
    ------
    LookupError : naming what is used and not defined, or whose source is not known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Module] = {}
    where: dict[str, str] = {}

    def place(name: str, module: str, user: str, names: Mapping[str, Any]) -> None:
        """Make a name known in a module; `names` are those of the notebook, or of the library that uses it."""
        if name in where:
            if where[name] != module:
                made[module].own.setdefault(where[name], set()).add(name)
            return
        if name not in names:
            raise LookupError(f"{user} uses {name}, which is not defined; run the cell that defines it")
        home = getattr(names[name], "__module__", None)
        if isinstance(home, str) and home in copied:  # names that stand there for type checkers alone are the notebook's
            names = ChainMap(vars(importlib.import_module(home)), dict(names))
        elif line := import_of(name, names[name]):
            made[module].imports.add(line)
            return
        source = source_of(name, names)
        where.update(dict.fromkeys(bound_by(source) or {name}, module))
        for other in sorted(needed_by(source)):
            place(other, module, name, names)
        made[module].parts.append(source)

    for module, (about, inside) in modules.items():
        made[module] = Module(about)
        for name in inside:
            place(name, module, f"the list of {module}.py", names)
        end = (last or {}).get(module, "").strip()
        for name in sorted(needed_by(end)):
            place(name, module, f"the end of {module}.py", names)
        made[module].parts += [end] if end else []
        text = _text(made[module], folder.name, (first or {}).get(module, ""))
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def _text(module: Module, package: str, first: str) -> str:
    own = [f"from {package}.{other} import {', '.join(sorted(used))}" for other, used in sorted(module.own.items())]
    head = ("from __future__ import annotations", "\n".join(sorted(module.imports)), first.strip(), "\n".join(own))
    top = "\n\n".join([f'"""{module.about}"""', *(part for part in head if part)])
    return "\n\n\n".join([top, *module.parts]) + "\n"


def needed_by(source: str) -> set[str]:
    """The global names that a piece of source uses and does not bind itself, without Python's own."""
    table = symtable.symtable(source, "<cell>", "exec")
    found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        found |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        inner += scope.get_children()
    return found - bound_by(source) - GIVEN


def bound_by(source: str) -> set[str]:
    """The global names that a piece of source binds at its top level."""
    return {name for statement in ast.parse(source).body for name in _bound(statement)}


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def import_of(name: str, value: Any) -> str:
    """The line that imports a library's module, function or class under a name; "" for what is of the notebook."""
    if isinstance(value, ModuleType):
        parent, _, leaf = value.__name__.rpartition(".")
        if parent and leaf == name:
            return f"from {parent} import {leaf}"
        return f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(own, str) or module == "__main__":
        return ""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        public = ".".join(parts[:count])
        try:
            found = getattr(importlib.import_module(public), own, None)
        except ImportError:
            return ""
        if found is value:
            return f"from {public} import {own}" + ("" if own == name else f" as {name}")
    return ""


def source_of(name: str, names: Mapping[str, Any]) -> str:
    """The source of a function, a class or a constant: as it stands in the cell that defined it.

    Cells are text that only the interpreter has; `linecache` keeps it under the file name that the code carries.

    Raises
    ------
    LookupError : where no cell that is known defines the name.
    """
    value = names[name]
    if _is_literal(value):
        return f"{name} = {value!r}"
    for file in dict.fromkeys([*_files_of(value), *_cells()]):
        text = "".join(linecache.getlines(file))
        try:
            statements = ast.parse(text).body
        except SyntaxError:
            continue
        for statement in reversed(statements):
            if name in _bound(statement):
                decorators = getattr(statement, "decorator_list", [])
                begin = min(part.lineno for part in (statement, *decorators))
                return "\n".join(text.splitlines()[begin - 1 : statement.end_lineno])
    raise LookupError(f"the source of {name} is not known; run its cell again")


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, RuntimeError):
        return False


def _files_of(value: Any) -> list[str]:
    """Where the code of a function, or of the methods of a class, stands."""
    plain: Callable[..., Any] = inspect.unwrap(value) if callable(value) else value
    parts = (plain, *(vars(plain).values() if isinstance(plain, type) else ()))
    return [part.__code__.co_filename for part in parts if hasattr(part, "__code__")]


def _cells() -> list[str]:
    """All that was run and is not a file, the latest first."""
    return [file for file in reversed(list(linecache.cache)) if not Path(file).exists()]
