"""What a verdict depends on besides the week and the answer: the code that judges, Python, and the libraries."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
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
"""What answers and tests of most weeks compute with, what runs their cells, and what carries values between them."""


@cache
def versions(others: tuple[str, ...] = ()) -> dict[str, str]:
    """Python, each of `LIBRARIES`, and `others`: its version, "" for one that is not installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in (*LIBRARIES, *others):
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
    """As `environment`, for one week: of `shared` only what its lesson, source in Python, depends on counts; of the
    libraries `LIBRARIES` and what the lesson imports."""
    return digest([*judging_files(), *helper_files(lesson)], str(versions(imported_libraries(lesson))))


def imported_libraries(lesson: str) -> tuple[str, ...]:
    """The packages, as they are installed, that a source in Python imports beside `LIBRARIES`; none of no Python.

    A library that only the tests of one week compare with, such as pycocotools, so counts for this week alone.
    """
    try:
        nodes = list(ast.walk(ast.parse(lesson)))
    except SyntaxError:
        return ()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    packages = _packages()
    tops = {name.partition(".")[0] for name in names} - {shared.__name__}  # its files count themselves
    found = {package for top in tops for package in packages.get(top, ())}
    return tuple(sorted(found - {*LIBRARIES}))


@cache
def _packages() -> Mapping[str, Sequence[str]]:
    """Top-level names of modules -> the packages that install them. Reading it takes a while."""
    return packages_distributions()


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
