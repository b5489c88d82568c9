"""What a verdict depends on besides the week and the answer: the code that judges, Python, and the libraries."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import shared

from .helpers import helper_files

PACKAGE = Path(__file__).parents[1]
JUDGING = ("week", "building", "repair", "execution", "engine")
"""Folders of this package that decide what runs and what becomes of it; the others present it."""
LIBRARIES = (
    *("torch", "torchvision", "numpy", "scipy", "scikit-learn", "timm", "open_clip_torch", "einops"),
    *("matplotlib", "pillow", "streamlit", "ipython", "cloudpickle", "msgpack"),
)
"""What answers and tests compute with, what runs their cells, and what carries values between them."""


@cache
def versions() -> dict[str, str]:
    """Python and each of `LIBRARIES`: its version, "" for one that is not installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


@cache
def environment() -> str:
    """A hash of the code that judges, of all of `shared`, and of `versions`; hexadecimal, 64 digits.

    Two machines with the same hash give the same verdicts, up to what a processor rounds differently.
    """
    return digest([*judging_files(), *sorted(Path(shared.__file__).parent.rglob("*.py"))], str(versions()))


@cache
def environment_of(lesson: str) -> str:
    """As `environment`, for one week: of `shared` only what its lesson, source in Python, depends on counts."""
    return digest([*judging_files(), *helper_files(lesson)], str(versions()))


def judging_files() -> list[Path]:
    """The files of `JUDGING`, in order."""
    return sorted(file for folder in JUDGING for file in (PACKAGE / folder).rglob("*.py"))


def digest(files: Iterable[Path], *words: str) -> str:
    """A hash of some words, and of the names and bytes of some files; hexadecimal, 64 digits."""
    found = hashlib.sha256()
    for word in words:
        found.update(b"\0" + word.encode())
    for file in files:
        found.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
