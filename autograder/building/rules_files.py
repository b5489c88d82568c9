"""Rules about what a lesson names outside of itself: modules, pictures, links, earlier weeks, hours, kept outputs."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder

from ..core.errors import BuildError, Problem
from ..week.cells import Cell, Exercise, Explore, Test, Written
from ..week.measured import FILE as MEASURED
from ..week.measured import data_of, read_measured
from ..week.source import Week
from ..week.validation import line_of_key, read_json, read_text
from .rules import Finding, parsed

LARGEST_PICTURE = 500_000
"""Bytes of a picture beside the source: the repository, the bundle and every preview carry it."""
PNG = b"\x89PNG\r\n\x1a\n"
LINK = re.compile(r"(?P<shown>!?)\[[^\]\n]*\]\(<?(?P<target>[^)\s>]+)[^)\n]*\)")
UNSEEN = re.compile(r"`[^`]*`|<!--.*?-->")
"""What Markdown shows as it stands, or not at all: no links in there."""
PRIVATE = re.compile(
    r"(?<![\w./])(/home/\w|/Users/\w|/root/|/mnt/\w|[A-Z]:\\\w|file:/|https?://(localhost|127\.0\.0\.1))[^\s\"')]*"
)
OTHER_WEEK = re.compile(r"^\.\./(?P<week>week\d\d_\w+)/(?P<file>[\w.-]+)(#.*)?$")
TIME = re.compile(r"\*\*Time\*\* about (?P<hours>\d+(\.\d+)?) hour")
NOTE = re.compile(r"\bAUTHOR:")
"""How notes to the author begin; `workbook new` writes them, `workbook build` refuses them."""


def author_notes(week: Week) -> list[Problem]:
    """The notes to the author that are left: one problem a file, with all lines."""
    found = []
    for path in sorted(week.folder.iterdir()):
        if path.suffix in (".py", ".toml", ".json"):
            lines = [n for n, line in enumerate(read_text(path).splitlines(), 1) if NOTE.search(line)]
            if lines:
                message = f"notes to the author are left in lines {', '.join(map(str, lines))}"
                message = message if len(lines) > 1 else "a note to the author is left"
                found.append(Problem(path, lines[0], message, "do what it says, and remove it"))
    return found


@cache
def importable(name: str) -> bool:
    """Whether there is a module of this dotted name. Nothing is imported."""
    root, *parts = name.split(".")
    try:
        spec = importlib.util.find_spec(root)
        for part in parts:
            root = f"{root}.{part}"
            places = spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(root, list(places)) if places else None
    except (ImportError, ValueError):
        return False
    return spec is not None


def check_modules(week: Week, problem: Finding) -> Iterator[Problem]:
    """What cells import, what `libraries` and `forbids` name: each unknown module is told once."""
    told: set[str] = set()
    for cell in week.cells:
        if cell.words.cell_type == "code":
            for name, line in _imported(cell):
                if name not in told and not importable(name):
                    told.add(name)
                    remedy = "correct its spelling, or add its package to pyproject.toml"
                    yield problem(cell, f"there is no module {name!r}", remedy, line=line)
        if isinstance(cell.words, Test):
            for name in cell.words.forbids:
                if not importable(name.partition(".")[0]):
                    message = f"`forbids` names {name!r}, and there is no module {name.partition('.')[0]!r}"
                    yield problem(cell, message, "write the full dotted name, as in torch.nn.functional.softmax")
    path = week.folder / "week.toml"
    for number, name in enumerate(week.info.libraries):
        if not importable(name):
            line = line_of_key(read_text(path), ("libraries", number))
            remedy = "correct its spelling, or add its package to pyproject.toml"
            yield Problem(path, line, f"`libraries` names {name!r}, and there is no such module", remedy)


def _imported(cell: Cell) -> Iterator[tuple[str, int]]:
    """The modules that a cell imports as it runs, and where; what functions or `try` import may be missing."""
    tree = parsed(cell.source)
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Try)
    optional = {inner for node in ast.walk(tree) if isinstance(node, later) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in optional:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def check_pictures(week: Week, problem: Finding) -> Iterator[Problem]:
    """Pictures beside the source are PNGs of a bearable size."""
    for path in sorted(week.folder.glob("*.png")):
        content = path.read_bytes()
        if not content.startswith(PNG):
            yield Problem(path, 1, "this is not a PNG", "save it as PNG, or record it with picture=")
        elif len(content) > LARGEST_PICTURE:
            message = f"{len(content):,} bytes, more than {LARGEST_PICTURE:,}"
            yield Problem(path, 1, message, "draw it smaller, with a lower dpi or fewer colors")


def check_links(week: Week, problem: Finding) -> Iterator[Problem]:
    """Pictures and links lead to what learners have, and no path of the author's machine is in the lesson."""
    recorded = {f"{c.words.picture}.png" for c in week.cells if isinstance(c.words, Explore) and c.words.picture}
    pictures = recorded | {path.name for path in week.folder.glob("*.png")}
    for cell in week.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            if private := PRIVATE.search(line):
                message = f"{private[0]!r} is on your machine alone"
                yield problem(cell, message, "write a path relative to the week, or a public address", line=number)
            elif cell.words.cell_type == "markdown":
                for link in LINK.finditer(UNSEEN.sub("", line)):
                    if told := _broken(week, link["target"], bool(link["shown"]), pictures):
                        yield problem(cell, *told, line=number)


def _broken(week: Week, target: str, is_picture: bool, pictures: set[str]) -> tuple[str, str] | None:
    """Message and remedy for a target that learners cannot open."""
    if re.match(r"^[a-z]+:", target) or target.startswith(("#", "//")):
        remedy = 'record it with picture="..." or put it beside the source'
        return (f"the picture {target} comes from the web; lessons need no network", remedy) if is_picture else None
    if is_picture:
        remedy = 'put the PNG beside the source, or write picture="..." on the explore cell that draws it'
        return None if target in pictures else (f"there is no picture {target}", remedy)
    other = OTHER_WEEK.match(target)
    if other and (week.folder.parent / other["week"]).is_dir():
        return None
    remedy = "link a public address, or the notebook of a week: ../weekNN_topic/topic.ipynb"
    return None if target in pictures else (f"learners do not have {target}", remedy)


def check_hours(week: Week, problem: Finding) -> Iterator[Problem]:
    """The header, week.toml and the minutes of the exercises do not contradict each other."""
    for cell in week.cells:
        for number, line in enumerate(cell.source.splitlines(), 1):
            said = TIME.search(line)
            if said and float(said["hours"]) != week.info.hours:
                message = f"the header says {said['hours']} hours, week.toml says {week.info.hours}"
                yield problem(cell, message, "make them agree", line=number)
    tasks = [cell for cell in week.cells if isinstance(cell.words, Exercise | Written)]
    minutes = {c.id: c.words.minutes for c in tasks if isinstance(c.words, Exercise | Written)}
    if sum(minutes.values()) > 60 * week.info.hours:
        listed = ", ".join(f"{name} {count}" for name, count in minutes.items())
        message = f"the exercises and questions take {sum(minutes.values())} minutes, more than `hours` ({listed})"
        path = week.folder / "week.toml"
        begin = line_of_key(read_text(path), ("hours",))
        yield Problem(path, begin, message, "raise `hours`, which includes reading, or lower the `minutes` words")


def check_earlier_weeks(week: Week, problem: Finding) -> Iterator[Problem]:
    """`prerequisites` are weeks before this one."""
    path = week.folder / "week.toml"
    for place, number in enumerate(week.info.prerequisites):
        if not 0 <= number < week.number:
            begin = line_of_key(read_text(path), ("prerequisites", place))
            yield Problem(path, begin, f"week {number} does not come before week {week.number}", "name earlier weeks")


def check_outputs(week: Week, problem: Finding) -> Iterator[Problem]:
    """`outputs.json` can be read; whether it is up to date is for `workbook build --check`."""
    path = week.folder / "outputs.json"
    if path.is_file():
        try:
            read_json(path, dict[str, str], '{"cell-id": "text"}')
        except BuildError as error:
            yield from error.problems


def check_measured(week: Week, problem: Finding) -> Iterator[Problem]:
    """A measurement is found by its data set: no two cells name the same, and nothing is kept that no cell names."""
    seen: dict[str, Cell] = {}
    for cell in week.cells:
        data = data_of(cell)
        if data and data in seen:
            message = f"a second cell that is measured on {data!r}; the first is at line {seen[data].line}"
            yield problem(cell, message, "draw and print in one of them")
        seen.setdefault(data, cell)
    try:
        known = read_measured(week.folder).cells
    except BuildError as error:
        yield from error.problems
        return
    for data in sorted(set(known) - set(seen)):
        message = f"a measurement on {data!r} is kept, and no cell says so"
        yield Problem(week.folder / MEASURED, 1, message, f'write measured="{data}" into the header, or remove it')


RULES = (check_modules, check_pictures, check_links, check_hours, check_earlier_weeks, check_outputs, check_measured)
