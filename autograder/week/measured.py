"""What explore cells showed on real data, `solutions/WEEK/measured.json`, and the cell that tells it to learners.

Real data is neither in the repository nor in the tests. `workbook record WEEK --real-data FOLDER` runs the cells whose
header says `measured="cifar10"`, with the cells that they need, and keeps what they showed, when, where and how. The
builder puts it below the cell, so that nobody types the numbers.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from .cells import Cell, Check, Explore, Look, Measured, Setup, Test
from .names import defined, loaded
from .validation import read_json

FILE = "measured.json"


class Machine(BaseModel):
    """Where a cell ran: the profile and its device, and what torch says about itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    profile: str
    device: str
    cores: int
    threads: int
    torch: str


class Picture(BaseModel):
    """A PNG beside the source, and its text for those who cannot see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    text: str


class Measurement(BaseModel):
    """What one cell showed. minutes : the budget that was asked for, None for the cell's own sizes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    date: str
    commit: str
    command: str
    minutes: float | None
    seed: int
    machine: Machine
    wall_minutes: float
    cpu_minutes: float
    code: str
    """`code_digest` of the cells that ran."""
    printed: list[str]
    pictures: list[Picture] = []


class Kept(BaseModel):
    """The file: measurements by the data set that the header of their cell names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["workbook-measured"] = "workbook-measured"
    version: Literal[1] = 1
    cells: dict[str, Measurement] = {}


def read_measured(folder: Path) -> Kept:
    """What is kept of a week; nothing where there is no file. Raises `BuildError` when it holds something else."""
    path = folder / FILE
    return read_json(path, Kept, '{"kind": "workbook-measured", ...}') if path.is_file() else Kept()


def data_of(cell: Cell) -> str:
    """The data set that a cell is measured on; empty for other cells."""
    return (cell.words.measured or "") if isinstance(cell.words, Explore) else ""


def needed(cells: Sequence[Cell], cell: Cell) -> list[Cell]:
    """The set-up cell, the cells whose definitions a cell reaches through the names that it uses, and itself.

    Of two cells that define a name, the later one counts that stands before its use.
    """
    places = {one.id: place for place, one in enumerate(cells)}
    makers: dict[str, list[Cell]] = {}
    for one in cells:
        if one.words.cell_type == "code" and not isinstance(one.words, Look | Check | Test):
            for name in defined(one.python):
                makers.setdefault(name, []).append(one)
    found = {one.id for one in cells if isinstance(one.words, Setup)}
    queue = [cell, *(one for one in cells if one.id in found)]
    while queue:
        current = queue.pop()
        found.add(current.id)
        for name in loaded(current.python) - defined(current.python):
            earlier = [one for one in makers.get(name, []) if places[one.id] < places[current.id]]
            queue += [one for one in earlier[-1:] if one.id not in found]
    return [one for one in cells if one.id in found]


def code_digest(cells: Sequence[Cell]) -> str:
    """Sixteen digits that change with what these cells do: not with comments, docstrings, layout, unused imports."""
    used = {name for cell in cells for name in loaded(cell.python)}
    trees = [_shape(_with_imports(_parsed(cell.python), used)) for cell in cells]
    return hashlib.sha256(repr(trees).encode()).hexdigest()[:16]


def _parsed(source: str) -> ast.Module | str:
    """The tree of a cell; one that is no Python, which the builder tells, stays a text."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return source


def _with_imports(tree: ast.Module | str, used: set[str]) -> ast.Module | str:
    """The tree with those of its imports that these names come from: a set-up cell imports for the whole week."""
    if isinstance(tree, ast.Module):
        for statement in tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                names = [one for one in statement.names if (one.asname or one.name).partition(".")[0] in used]
                statement.names = sorted(names, key=lambda one: one.name)
        tree.body = [node for node in tree.body if getattr(node, "names", True)]
    return tree


def _shape(node: object) -> object:
    """A syntax tree as nested lists, the same in all versions of Python: fields that are empty are left out."""
    if isinstance(node, list):
        return [_shape(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    if isinstance(node, ast.JoinedStr):  # Python 3.12 may put empty texts between its parts
        fields["values"] = [part for part in node.values if not isinstance(part, ast.Constant) or part.value]
    return [type(node).__name__, *([name, _shape(part)] for name, part in fields.items() if part not in (None, []))]


def holds(cells: Sequence[Cell], cell: Cell, kept: Measurement) -> bool:
    """Whether the code that was measured is the code of now."""
    return kept.code == code_digest(needed(cells, cell))


def changed_since(cells: Sequence[Cell], folder: Path) -> list[str]:
    """The data sets whose cells were measured, and have changed since, themselves or what they need."""
    known = read_measured(folder).cells
    measured = [(data, cell) for cell in cells if (data := data_of(cell)) in known]
    return [data for data, cell in measured if not holds(cells, cell, known[data])]


def with_measured(cells: Sequence[Cell], folder: Path) -> tuple[Cell, ...]:
    """The cells, with what is known from real data below each cell that can be measured."""
    if not any(map(data_of, cells)):
        return tuple(cells)
    known, found = read_measured(folder).cells, list[Cell]()
    for cell in cells:
        found.append(cell)
        if data := data_of(cell):
            kept = known.get(data)
            text = told(kept, holds(cells, cell, kept)) if kept else not_measured(data, folder.name[:6])
            found.append(Cell(f"{cell.id}-measured", Measured(), text, cell.line, cell.path))
    return tuple(found)


def not_measured(data: str, week: str) -> str:
    """What stands below a cell of which nothing is kept."""
    command = f"workbook record {week} --real-data FOLDER"
    return f"*Not measured here.* This would measure it, with the images in `FOLDER/{data}`: `{command}`"


def told(kept: Measurement, holds: bool) -> str:
    """What stands below a measured cell: how it was measured, and what it showed."""
    machine = kept.machine
    lines = [
        f"**Measured** on {kept.date} with `{kept.command}` at commit `{kept.commit[:12]}`, seed {kept.seed}: "
        f"{kept.wall_minutes:.1f} minutes, {kept.cpu_minutes:.1f} CPU minutes (profile {machine.profile}, "
        f"{machine.device}, cores: {machine.cores}, threads of torch: {machine.threads}, torch {machine.torch})."
    ]
    if not holds:
        lines += ["", "*The code of the cell above, or code that it calls, has changed since.*"]
    if kept.printed:
        lines += ["", "```text", *kept.printed, "```"]
    for picture in kept.pictures:
        lines += ["", f"![{picture.text}]({picture.file})"]
    return "\n".join(lines)
