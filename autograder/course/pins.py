"""Which version of a week a class works with: `course/pins.toml`, and a copy of its source for each pinned week.

    [week01_attention]
    version = 1
    content = "3f9a1c0b7d2e"     # of the released notebook, see `notebooks.content_of`

A class that is pinned is graded with the copy in `course/pinned/WEEK/`, whatever becomes of the checkout meanwhile. A
week that is not named here is the checkout's. `workbook release WEEK --pin` writes both, and takes a newer version.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.errors import WorkbookError, short
from ..core.files import write_text
from ..week.locate import week_name
from ..week.notebooks import Notebooks, content_of
from ..week.source import PINNED, Week, load_week
from .folder import Course

FILE = "pins.toml"
FOLDER = "pinned"


class Pin(BaseModel):
    """The version of a week, and the hash of its released notebook."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: int
    content: str


def read_pins(course: Course) -> dict[str, Pin]:
    """Week -> its pin.

    Raises
    ------
    WorkbookError
        where the file cannot be read.
    """
    path = course.folder / FILE
    if not path.is_file():
        return {}
    try:
        return {
            name: Pin.model_validate(said) for name, said in tomllib.loads(path.read_text(encoding="utf-8")).items()
        }
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError):
        remedy = "write it again: workbook release WEEK --pin"
        raise WorkbookError(f"{short(path)} does not say for each week a version and a content", remedy) from None


def source_of(course: Course, name: str) -> Path:
    """The folder with the source that a class is graded with: its own copy, or that of the checkout.

    Raises
    ------
    WorkbookError
        where the copy is missing, or is another one than the pin says.
    """
    pin = read_pins(course).get(name)
    if pin is None:
        return course.root / "solutions" / name
    folder = course.folder / FOLDER / name
    try:
        kept = Pin.model_validate_json((folder / PINNED).read_bytes())
    except (OSError, ValidationError):
        kept = None
    if kept != pin:
        what = (
            f"{short(folder)} does not hold version {pin.version} of {name}, which {short(course.folder / FILE)} names"
        )
        raise WorkbookError(what, f"put that copy back, or take the checkout's: workbook release {name[:6]} --pin")
    return folder


def open_pinned(course: Course, asked: str) -> Week:
    """The week, by any of its names, that a class is graded with."""
    return load_week(source_of(course, week_name(course.root, asked)))


def newer(course: Course, week: Week) -> str:
    """What to say where a class is pinned to another version than the checkout has; "" elsewhere."""
    source = course.root / "solutions" / week.name
    if not week.pinned or not source.is_dir():
        return ""
    other = load_week(source).info.version
    if other == week.info.version:
        return ""
    return (
        f"this class is pinned to version {week.info.version} of {week.name}; the checkout has version {other} "
        f"-> workbook release {week.name[:6]} --pin takes it"
    )


def pin(course: Course, built: Notebooks) -> Pin:
    """Pin a class to a week as it was built: its source is copied, without what is recorded or proven beside it."""
    week = built.week
    found = Pin(version=week.info.version, content=content_of(built.learner))
    folder = course.folder / FOLDER / week.name
    fresh = folder.with_name(f"{week.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(week.folder, fresh, ignore=shutil.ignore_patterns("__pycache__", "proof.json"))
    write_text(fresh / PINNED, found.model_dump_json() + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    pins = dict(sorted((read_pins(course) | {week.name: found}).items()))
    lines = [f"[{name}]\nversion = {one.version}\ncontent = {json.dumps(one.content)}\n" for name, one in pins.items()]
    write_text(course.folder / FILE, "\n".join(lines))
    return found
