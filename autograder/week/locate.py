"""Where things are: the checkout, its weeks and their sources."""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path

from ..core.errors import WorkbookError
from .source import WEEK_FOLDER, Week, load_week


def find_root(start: Path | None = None) -> Path:
    """The checkout: the nearest folder upwards that holds `solutions/` or `weeks/` beside `pyproject.toml`."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if _is_root(folder):
            return folder
    ours = Path(__file__).resolve().parents[2]  # installed from a checkout, as the README says, it lies in that
    way = f": cd {shlex.quote(str(ours))}" if _is_root(ours) else ""
    raise WorkbookError(f"{here} is not inside the workbook", f"change into the folder you cloned{way}")


def _is_root(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and ((folder / "solutions").is_dir() or (folder / "weeks").is_dir())


def all_weeks(root: Path) -> list[str]:
    """The names of all weeks that have a source, in order."""
    return sorted(p.name for p in (root / "solutions").iterdir() if p.is_dir() and WEEK_FOLDER.match(p.name))


def released_weeks(root: Path) -> list[str]:
    """The names of all weeks that learners have, in order."""
    return sorted(p.name for p in (root / "weeks").glob("week*") if p.is_dir() and WEEK_FOLDER.match(p.name))


def week_name(root: Path, asked: str) -> str:
    """`1`, `01`, `week01` or `week01_attention` -> `week01_attention`.

    Raises `WorkbookError` that suggests the nearest week for an unknown one.
    """
    folder = "solutions" if (root / "solutions").is_dir() else "weeks"
    known = sorted(p.name for p in (root / folder).iterdir() if p.is_dir() and WEEK_FOLDER.match(p.name))
    number = re.fullmatch(r"(?:week)?0*(\d{1,2})", asked.strip().lower())
    for name in known:
        if asked == name or asked == name.split("_", 1)[1] or (number and int(name[4:6]) == int(number[1])):
            return name
    near = difflib.get_close_matches(asked, known, 1, 0.3)
    hint = f"did you mean {near[0]}? " if near else ""
    raise WorkbookError(f"there is no week {asked!r}", f"{hint}weeks here: {', '.join(known) or 'none'}")


def open_week(root: Path, asked: str) -> Week:
    """Load the source of a week by any of its names."""
    return load_week(root / "solutions" / week_name(root, asked))
