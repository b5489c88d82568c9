"""JupyterLab for learners: it opens with the start page, and without what nbgrader has for instructors.

Everything is said to this one server. A learner's own settings of Jupyter are neither read otherwise nor changed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .start_page import NAME

CONFIG = Path(__file__).parent / "lab_config"
"""A folder of configuration as Jupyter reads it: `labconfig/` for pages, `jupyter_server_config.d/` for the server."""
PATHS = "JUPYTER_CONFIG_PATH"


def options(root: Path) -> list[str]:
    """The words after `jupyter lab`."""
    return [f"--ServerApp.root_dir={root / 'work'}", f"--LabApp.default_url=/lab/tree/{NAME}"]


def variables() -> dict[str, str]:
    """What the environment says beyond a learner's own: one more folder of configuration, which comes first."""
    others = [path for path in os.environ.get(PATHS, "").split(os.pathsep) if path and path != str(CONFIG)]
    return {PATHS: os.pathsep.join([str(CONFIG), *others])}


def run(root: Path, more: Sequence[str] = ()) -> None:
    """Serve until Ctrl-C. Ends this program."""
    os.environ.update(variables())
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(argv=[*options(root), *more])
