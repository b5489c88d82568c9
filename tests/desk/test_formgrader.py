"""What the formgrader shows of a learner's notebook runs nothing in the instructor's browser."""

from __future__ import annotations

import re
from pathlib import Path

import nbgrader
import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from traitlets.config import Config, PyFileConfigLoader

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
ATTACKS = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "frame": '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "link": "[here](javascript:alert(1))",
    "shouted-link": "[here]( JavaScript:alert(1))",
    "page-as-link": "[here](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==?alert(1))",
    "link-in-angles": "<javascript:alert(1)>",
    "block": "<div>\n\n<svg onload=alert(1)>\n\n</div>",
}
RUNS = re.compile(
    r"<(script|iframe|svg|img|object|embed)[^>]*(alert|onerror|onload|srcdoc|src=x)|>alert\(1\)<|href=.\s*(javascript|data):",
    re.IGNORECASE,
)


def shown(text: str, config: Config) -> str:
    """The page that the formgrader makes, with this text as markdown, as HTML output and as printed text."""
    outputs = [
        new_output("display_data", data={"text/html": text}),
        new_output("display_data", data={"text/markdown": text}),
        new_output("display_data", data={"image/svg+xml": f"<svg>{text}</svg>"}),
        new_output("stream", text=text),
    ]
    cells = [new_markdown_cell(text), new_code_cell(f"# {text}", outputs=outputs)]
    nbgrader_names = {"assignment": "week01_attention", "notebook": "attention", "student": "ada"}
    resources = {
        "index": 0,
        "total": 1,
        "base_url": "",
        "submission_id": "0",
        "notebook_path": "",
        "nbgrader": nbgrader_names,
    }
    resources |= {
        "assignment_id": "week01_attention",
        "notebook_id": "attention",
        "student": "ada",
        "last_name": "",
        "first_name": "",
    }
    html, _ = HTMLExporter(config=config).from_notebook_node(new_notebook(cells=cells), resources=resources)
    return html.partition("<body")[2]


def formgrader_config(course: Config) -> Config:
    """As nbgrader's server extension completes the configuration."""
    course.HTMLExporter.template_name = "formgrade"
    course.HTMLExporter.extra_template_basedirs = [str(TEMPLATES)]
    return course


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_a_learners_runs(name: str) -> None:
    ours = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    page = shown(ATTACKS[name], formgrader_config(ours))
    assert "alert(1)" in page  # it is shown, as text
    assert not RUNS.search(page)


def test_the_default_would_run_it() -> None:
    """The pattern of these tests can fail: nbgrader's own configuration runs the script."""
    assert RUNS.search(shown(ATTACKS["script"], formgrader_config(Config())))


def test_hints_stay_folded() -> None:
    ours = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    page = shown("<details><summary>Hint 1</summary>\n\nThe *idea*: $a < b$.\n\n</details>", formgrader_config(ours))
    assert "<details><summary>Hint 1</summary>" in page
    assert "<em>idea</em>" in page
