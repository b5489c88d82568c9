"""Read a file that claims to be a notebook, within limits that no honest one meets.

Only the standard library is imported, since this also runs in a process of its own (`confined`), which starts in an
instant. Whatever a file holds, it ends as its cells or as `DamagedError`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from .damage import Damage as Damage
from .damage import DamagedError as DamagedError
from .file_kinds import not_json, recognized

MAX_CELLS = 2_000
MAX_CHARACTERS = 5_000_000
"""Of the texts of all cells together; what cells printed and drew does not count."""
MAX_DEPTH = 60
"""Containers inside each other; a notebook with rich outputs needs about ten."""
MAX_VERSION = 10_000
KINDS = ("code", "markdown", "raw")


class Handed(TypedDict):
    """What grading takes from a submitted cell. `id`, `grade_id`: "" where there is none."""

    cell_type: str
    source: str
    id: str
    grade_id: str
    attachments: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Submission:
    """A notebook that was submitted, without all that grading has no use for.

    Attributes
    ----------
    language : of the kernel that it asks for; "" where it asks for none.
    week : that it says it is of; "" where it says none.
    version, content : of the release that it was made from, as `WeekInfo` and `content_of` have them; 0 and "" where it
        says none.
    """

    cells: list[Handed]
    language: str = ""
    week: str = ""
    version: int = 0
    content: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def notebook_in(content: bytes) -> dict[str, Any]:
    """The notebook of format 4 that a file holds: a mapping whose `cells` are mappings with text as their source.

    Raises
    ------
    DamagedError
        when it holds none, or one beyond the limits above.
    """
    raw = _loaded(content)
    if not isinstance(raw, dict) or "nbformat" not in raw:
        raise DamagedError("the file is JSON, but not a notebook")
    _check_depth(raw)
    version = raw["nbformat"]
    if version != 4 and version in (1, 2, 3):
        raw = _converted(raw)
    elif version != 4 or isinstance(version, bool):
        raise DamagedError("the file is not a notebook (of a format that is known)")
    cells = raw.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise DamagedError("the file is not a notebook (it has no list of cells)")
    raw["cells"] = cells = [cell for cell in cells if cell.get("cell_type") in KINDS]
    if not cells:
        raise DamagedError("the notebook has no cells")
    if len(cells) > MAX_CELLS:
        raise DamagedError(f"the notebook has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    for cell in cells:
        cell["source"] = _joined(cell.get("source", ""))
    characters = sum(len(cell["source"]) for cell in cells)
    if characters > MAX_CHARACTERS:
        raise DamagedError(f"the cells hold {characters:,} characters; at most {MAX_CHARACTERS:,} are read")
    return raw


class Glance(TypedDict):
    """What a look at a file tells: the week that it says it is of ("" for none), and a digest of its cells' texts.

    The digest is "" for what is not a notebook; equal ones have the same cells, whatever was printed and saved beside.
    """

    week: str
    cells: str


def glance(given: object, content: bytes) -> Glance:
    """Look at a file that was submitted. A work for `confined`; `given` is nothing.

    Raises
    ------
    DamagedError
        when the file is not valid JSON.
    """
    raw = _loaded(content)
    if not isinstance(raw, dict):
        return {"week": "", "cells": ""}
    metadata = raw.get("metadata")
    about = metadata.get("workbook") if isinstance(metadata, dict) else None
    week = _text(about.get("week"))[:200] if isinstance(about, dict) else ""
    cells = raw.get("cells")
    if "nbformat" in raw and cells is None:  # notebooks of format 3
        cells = raw.get("worksheets")
    if "nbformat" not in raw or not isinstance(cells, list) or not cells:
        return {"week": week, "cells": ""}
    return {"week": week, "cells": hashlib.sha256("\0".join(map(_digested, cells)).encode()).hexdigest()}


def _digested(cell: object) -> str:
    """The kind and text of a cell without blanks at the ends of lines; of what is not a cell, all of it."""
    if not isinstance(cell, dict) or "source" not in cell:
        return whole_characters(json.dumps(cell))
    source = cell["source"]
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return whole_characters(f"{cell.get('cell_type')}\1{lines}")


def _loaded(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise not_json(content, error) from None
    except RecursionError:
        raise DamagedError(f"the file is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # no UTF-8, or a number with thousands of digits
        if (known := recognized(content)) is not None:
            raise known from None
        raise DamagedError(f"the file is not a notebook ({type(error).__name__}: {str(error)[:100]})") from None


def _check_depth(raw: object) -> None:
    """Refuse deep nesting, level by level: nothing here goes deeper itself."""
    level = [raw]
    for _ in range(MAX_DEPTH):
        inside: list[object] = []
        for one in level:
            inside += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        level = [one for one in inside if isinstance(one, dict | list)]
        if not level:
            return
    raise DamagedError(f"the file is nested deeper than {MAX_DEPTH} levels")


def _converted(raw: dict[str, Any]) -> dict[str, Any]:
    """A notebook of an older format in format 4."""
    import nbformat  # slow to import, and old notebooks are rare

    try:
        found: dict[str, Any] = nbformat.convert(nbformat.from_dict(raw), 4)
    except MemoryError:
        raise
    except Exception as error:  # of a library on data from anywhere: there is no list of what it raises
        raise DamagedError(f"the file is not a notebook ({type(error).__name__}: {str(error)[:100]})") from None
    return found


def _joined(source: object) -> str:
    """The source of a cell, which may be a list of lines."""
    if isinstance(source, list):
        return "".join(map(str, source))
    if not isinstance(source, str):
        raise DamagedError("the file is not a notebook (the source of a cell is not text)")
    return source


def submission_of(notebook: Mapping[str, Any]) -> Submission:
    """What grading needs of a notebook of format 4. What has the wrong type counts as not there."""
    cells: list[Handed] = []
    for cell in notebook["cells"]:
        metadata = cell.get("metadata")
        grading = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        cells.append(
            {
                "cell_type": cell["cell_type"],
                "source": whole_characters(cell["source"]),
                "id": _text(cell.get("id")),
                "grade_id": _text(grading.get("grade_id")) if isinstance(grading, dict) else "",
                "attachments": {} if cell["cell_type"] == "code" else _attachments(cell.get("attachments")),
            }
        )
    metadata = notebook.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    workbook = metadata.get("workbook") if isinstance(metadata, dict) else None
    said = workbook if isinstance(workbook, dict) else {}
    version = said.get("version")
    return Submission(
        cells,
        _text(kernel.get("language"))[:40] if isinstance(kernel, dict) else "",
        _text(said.get("week"))[:200],
        version if type(version) is int and 0 < version < MAX_VERSION else 0,
        _text(said.get("content"))[:12],
    )


def whole_characters(text: str) -> str:
    """The text with `?` for halves of characters, which nobody can write."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(value: object) -> str:
    return whole_characters(value) if isinstance(value, str) else ""


def _attachments(found: object) -> dict[str, dict[str, str]]:
    """Pictures that were pasted into a text: name -> kind -> base64."""
    if not isinstance(found, dict):
        return {}
    return {
        whole_characters(name): {
            whole_characters(kind): data for kind, data in kinds.items() if isinstance(data, str) and data.isascii()
        }
        for name, kinds in found.items()
        if isinstance(kinds, dict)
    }
