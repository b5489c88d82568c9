"""What in a learner's code an instructor may want to look at where library calls are forbidden.

Read as text, never run. A finding costs no points: each of these has honest uses, and who wants to hide can do
without all of them. Only exercises with `forbids` are looked at, and the learner's own cells beside them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..week.cells import Test
from ..week.source import Week

SUSPICIOUS = (
    "sys.setprofile",
    "sys.getprofile",
    "sys.settrace",
    "sys.monitoring",
    "sys._getframe",
    "sys._current_frames",
    "sys.modules",
    "inspect",
    "gc",
    "threading",
    "_thread",
    "concurrent",
    "multiprocessing",
    "subprocess",
    "os.fork",
    "os.system",
    "os.popen",
    "os.posix_spawn",
    "asyncio",
    "ctypes",
    "cffi",
    "torch.ops",
    "torch.jit",
    "torch.fx",
    "torch.compile",
    "torch.export",
    "torch.library",
    "torch.overrides",
    "torch._C",
    "torch.utils.cpp_extension",
    "torch.utils._python_dispatch",
    "importlib",
    "builtins",
    "__import__",
    "eval",
    "exec",
    "compile",
    "globals",
    "shared.observe",
    "shared.checks.calls",
    "shared.checks",
    "autograder",
    "msgpack",
    "get_ipython",
)
"""Modules and names, with everything below them."""
LIBRARIES = frozenset({"torch", "torchvision", "timm", "open_clip", "sklearn", "scipy", "numpy", "sys"})
GIVEN = frozenset({"shared.checks", "shared.observe"})
"""What a lesson's own set-up imports: only changing it is suspicious."""


def suspicious(source: str) -> tuple[str, ...]:
    """Names of `SUSPICIOUS` that some code uses, and "getattr of a computed name", in the order of its lines."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic, or half an answer: nothing that Python would run
        return ()
    found = sorted(_found(tree), key=lambda item: item[0])
    return tuple(dict.fromkeys(name for _, name in found))


def _found(tree: ast.AST) -> Iterator[tuple[int, str]]:
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name) for one in names if (name := _listed(one.name)) and name not in GIVEN)
            case ast.ImportFrom(module=str(module), names=names):
                full = [f"{module}.{one.name}" for one in names]
                yield from ((node.lineno, name) for one in full if (name := _listed(one)) and name not in GIVEN)
            case ast.Call(func=ast.Name("getattr" | "setattr" as name), args=[target, wanted, *_]):
                of_library = _dotted(target, aliases).partition(".")[0] in LIBRARIES
                if of_library and not isinstance(wanted, ast.Constant):
                    yield node.lineno, f"{name} of a computed name"
            case ast.Name() | ast.Attribute():
                name = _listed(_dotted(node, aliases))
                if name and (name not in GIVEN or isinstance(node.ctx, ast.Store)):
                    yield node.lineno, name


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Names that imports bind, with what they stand for; some as set-up cells bind them."""
    found = {"checks": "shared.checks", "observe": "shared.observe", "F": "torch.nn.functional", "nn": "torch.nn"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.asname: one.name for one in node.names if one.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """`t.ops.aten` -> "torch.ops.aten"; "" for what is not a chain of names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def _listed(name: str) -> str:
    """The entry of `SUSPICIOUS` that a dotted name is or lies below; "" where there is none."""
    return next((one for one in SUSPICIOUS if name == one or name.startswith(f"{one}.")), "")


def remarks(week: Week, sources: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """What to tell the instructor about a submission.

    Parameters
    ----------
    sources : the learner's answers, by cell id.
    own : the learner's own code cells, by cell id.
    """
    watched = {cell.name for cell in week.of_kind(Test) if isinstance(cell.words, Test) and cell.words.forbids}
    if not watched:
        return []
    looked_at = {name: source for name, source in sources.items() if name in watched} | dict(own)
    told = ((name, suspicious(source)) for name, source in looked_at.items())
    return [f"cell {name!r} uses {', '.join(found)}: worth a look, no points lost" for name, found in told if found]
