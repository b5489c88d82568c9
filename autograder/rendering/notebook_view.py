"""A notebook of anybody's as something that a page may show: built anew from plain parts, never cleaned in place.

nbconvert's and nbgrader's templates put ids, tags, counts, sizes and names into a page as they are. So what reaches a
template is a copy that holds nothing but texts of known kinds, checked numbers, and pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import nbformat
from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from nbformat.notebooknode import NotebookNode

from .rich_text import markdown_filter, picture, pictures
from .sanitize import sanitize

TEMPLATES = Path(__file__).parent / "notebook"
FILTERS = {"markdown2html": markdown_filter, "clean_html": sanitize}
CELL_TYPES = ("code", "markdown", "raw")
FLAGS = ("grade", "solution", "task", "locked")
TEXTS = ("text/html", "text/markdown", "text/plain")
DRAWN = ("image/png", "image/jpeg")
NO_NOTEBOOK = "The file is not a notebook."
NOT_SHOWN = "[an output that is neither text nor a picture]"


class SafeExporter(HTMLExporter):
    """nbconvert's HTML of a displayable copy, whatever is configured; templates of ours come first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sanitize_html = True
        self.filters = FILTERS

    def from_file(
        self, file_stream: TextIO, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of a file; nbformat, which would read it, fails on one that has not the shape of a notebook."""
        try:
            found = json.load(file_stream)
        except (ValueError, RecursionError):
            found = {"cells": [{"cell_type": "markdown", "source": NO_NOTEBOOK}]}
        return self.from_notebook_node(found, resources, **options)

    def from_notebook_node(
        self, nb: Mapping[str, Any], resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        return super().from_notebook_node(displayable(nb), resources, **options)

    def _create_environment(self) -> Environment:
        environment = super()._create_environment()
        assert environment.loader is not None
        environment.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), environment.loader])
        return environment


class Displayable(Preprocessor):
    """The displayable copy, for exporters that nbgrader makes."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        return displayable(nb), resources


def displayable(notebook: Mapping[str, Any]) -> NotebookNode:
    """The copy of a notebook that may be shown."""
    cells = _mapping(notebook).get("cells")
    metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    known = [cell for cell in cells if isinstance(cell, Mapping)] if isinstance(cells, list) else []
    return nbformat.v4.new_notebook(metadata=metadata, cells=[_cell(cell, number) for number, cell in enumerate(known)])


def _cell(cell: Mapping[str, Any], number: int) -> NotebookNode:
    kind = cell.get("cell_type") if cell.get("cell_type") in CELL_TYPES else "raw"
    shown = {
        "id": f"cell-{number}",
        "cell_type": kind,
        "source": text(cell.get("source")),
        "metadata": _nbgrader(_mapping(_mapping(cell.get("metadata")).get("nbgrader"))),
    }
    if kind == "code":
        outputs, count = cell.get("outputs"), cell.get("execution_count")
        found = [_output(one) for one in outputs if isinstance(one, Mapping)] if isinstance(outputs, list) else []
        shown |= {"outputs": found, "execution_count": count if type(count) is int else None}
    elif attached := pictures(cell.get("attachments")):
        shown["attachments"] = attached
    return nbformat.from_dict(shown)


def _nbgrader(said: Mapping[str, Any]) -> dict[str, Any]:
    """What nbgrader's templates print or ask of a cell: flags, points, and an id of the kind that courses use."""
    name = said.get("grade_id")
    if not isinstance(name, str) or not name.isascii() or not all(sign.isalnum() or sign in "-_." for sign in name):
        return {}
    points = said.get("points")
    return {
        "nbgrader": {
            "grade_id": name,
            "points": points if isinstance(points, int | float) else 0,
            **{flag: said.get(flag) is True for flag in FLAGS},
        }
    }


def _output(output: Mapping[str, Any]) -> dict[str, Any]:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback")
        traceback = [text(line) for line in lines] if isinstance(lines, list) else []
        said = {"ename": text(output.get("ename")), "evalue": text(output.get("evalue")), "traceback": traceback}
        return {"output_type": "error", **said}
    data = _data(_mapping(output.get("data")))
    return {"output_type": "display_data", "data": data or {"text/plain": NOT_SHOWN}, "metadata": {}}


def _data(given: Mapping[str, Any]) -> dict[str, str]:
    """Texts and pictures; formulas as the Markdown that they are."""
    shown = {kind: text(given[kind]) for kind in TEXTS if kind in given}
    shown |= {kind: data for kind in DRAWN if (data := picture(given.get(kind)))}
    if "text/latex" in given and "text/markdown" not in shown:
        shown["text/markdown"] = text(given["text/latex"])
    if "text/html" in shown:
        shown["text/html"] = sanitize(shown["text/html"])
    return shown


def text(value: object) -> str:
    """What nbformat calls a multi-line string: one, or a list of them; of anything else, nothing."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
