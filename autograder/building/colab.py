"""The way to Colab in the first cell of a released notebook: a badge, and the cell that makes the course known there.

Both need the address of the course's repository, which is set in one place, as Python's packages do it:

    # pyproject.toml
    [project.urls]
    Repository = "https://github.com/OWNER/NAME"        # or .../tree/BRANCH, where it is not `main`

Without it notebooks say nothing about Colab.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from ..core.errors import WorkbookError
from ..week.source import Week

ADDRESS = re.compile(r"(?P<clone>https://(?P<host>[\w.-]+)/(?P<path>[\w.-]+(?:/[\w.-]+?)+))(?:\.git|/)?")
BRANCH = re.compile(r"/tree/(?P<branch>[\w./-]+?)/?$")
GITHUB = "github.com"
"""The one host whose notebooks Colab opens by their address."""
PACKAGES = {"timm": "timm", "open_clip": "open_clip_torch", "einops": "einops", "streamlit": "streamlit"}
"""Libraries that a week may import and that Colab may lack: the module and its package."""
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"
FOLD = """<details><summary>On Colab</summary>

Run this in a cell of its own before the next one:

    !git clone {options}{clone} workbook
    !pip install -q {packages}
    !pip install -q --no-deps -e workbook
    import sys; sys.path.insert(0, "workbook")

With a GPU, also write `%env PROFILE=gpu` there: the same cells then run at larger sizes.

</details>"""


@dataclass(frozen=True)
class Repository:
    """Where the course lies. clone : the address that git clones. path : behind the host. branch : the released one."""

    clone: str
    host: str
    path: str
    branch: str


def repository_of(root: Path) -> Repository | None:
    """The repository that `pyproject.toml` of a checkout names; None where it names none.

    Raises
    ------
    WorkbookError
        where it names something else than an address that begins with https.
    """
    file = root / "pyproject.toml"
    if not file.is_file():
        return None
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    said = project.get("urls", {}).get("Repository", "")
    if not said:
        return None
    branch = BRANCH.search(said)
    match = ADDRESS.fullmatch(said[: branch.start()] if branch else said)
    if not match:
        raise WorkbookError(
            f"pyproject.toml: Repository = {said!r} is no address of a repository",
            'write [project.urls] Repository = "https://github.com/OWNER/NAME", or leave it out',
        )
    return Repository(match["clone"], match["host"], match["path"], branch["branch"] if branch else "main")


def with_colab(learner: NotebookNode, week: Week, repository: Repository | None) -> NotebookNode:
    """A copy of a learner's notebook whose first cell ends with the way to Colab; the notebook itself without one."""
    if repository is None:
        return learner
    notebook = nbformat.from_dict(learner)
    packages = [package for module, package in PACKAGES.items() if module in week.info.libraries]
    fold = FOLD.format(
        options="" if repository.branch == "main" else f"-b {repository.branch} ",
        clone=repository.clone,
        packages=" ".join(packages),
    )
    if not packages:
        fold = fold.replace("    !pip install -q \n", "")
    parts = [notebook.cells[0].source.rstrip(), fold]
    if repository.host == GITHUB:
        path = f"{repository.path}/blob/{repository.branch}/weeks/{week.name}/{week.topic}.ipynb"
        parts.insert(1, BADGE.format(link=f"https://colab.research.google.com/github/{path}"))
    notebook.cells[0].source = "\n\n".join(parts)
    return notebook
