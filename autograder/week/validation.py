"""What a typed model says about a file or a cell header that does not fit it: one complaint a mistake."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..core.errors import BuildError, Problem

EXTRA, MISSING = "extra_forbidden", "missing"
"""Types of pydantic's errors: a key that the model does not have, and one that it wants."""

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Complaint:
    """One mistake: the keys that lead to it, what is wrong, and the known key it was probably meant to be."""

    place: Place
    message: str
    meant: str = ""


def complaints(error: ValidationError, fields: Sequence[str]) -> Iterator[Complaint]:
    """The mistakes of a value. A misspelled key is one of them, not an unknown and a missing key.

    Parameters
    ----------
    fields : the keys that the innermost table may have; what an unknown one is compared with.
    """
    found = error.errors()
    meant: dict[Place, str] = {}
    for item in found:
        if item["type"] == EXTRA:
            near = difflib.get_close_matches(str(item["loc"][-1]), fields, 1)
            meant[item["loc"]] = near[0] if near else ""
    misspelled = {(*place[:-1], name) for place, name in meant.items() if name}
    for item in found:
        place = item["loc"]
        if item["type"] == MISSING and place in misspelled:
            continue
        where = ".".join(str(part) for part in place)
        yield Complaint(place, f"{where}: {item['msg'].lower()}", meant.get(place, ""))


def read_toml(path: Path, model: type[Model]) -> Model:
    """A TOML file as a typed model.

    Raises
    ------
    BuildError
        with the file, the line and the remedy of every mistake: broken TOML, unknown or missing keys, wrong types.
    """
    text = read_text(path)
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        line = _parsed_lines(text) + 1
        remedy = 'write `key = value`, with texts in "double quotes" and each key once'
        raise BuildError([Problem(path, line, f"this is not valid TOML: {error}", remedy)]) from None
    except ValidationError as error:
        found = []
        for one in complaints(error, _all_keys(model)):
            known = ", ".join(_keys_at(model, one.place))
            remedy = f"the keys here are {known}"
            remedy = f"did you mean {one.meant}? {remedy}" if one.meant else remedy
            found.append(Problem(path, line_of_key(text, one.place), one.message, remedy))
        raise BuildError(found) from None


def read_json(path: Path, kind: type[Kind], example: str) -> Kind:
    """A JSON file as a plain type such as `dict[str, str]`.

    Raises
    ------
    BuildError
        with the file, the line and an example, when it is not valid JSON or something else.
    """
    text, remedy = read_text(path), f"write it like {example}, or let the command write it that made it"
    try:
        return TypeAdapter(kind).validate_python(json.loads(text), strict=True)
    except json.JSONDecodeError as error:
        raise BuildError([Problem(path, error.lineno, f"this is not valid JSON: {error.msg}", remedy)]) from None
    except ValidationError:
        raise BuildError([Problem(path, 1, "the file holds something else than it should", remedy)]) from None


def read_text(path: Path) -> str:
    """The text of a source file. Raises `BuildError` when it is not UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"byte {content[error.start]:#04x} is not UTF-8"
        raise BuildError([Problem(path, line, message, "save the file as UTF-8")]) from None


def _parsed(lines: Sequence[str]) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return None


def _parsed_lines(text: str) -> int:
    """How many whole lines at the beginning are TOML: the broken statement begins behind them.

    (tomllib tells the place of an error in a sentence only.)
    """
    lines = text.splitlines()
    return max(count for count in range(len(lines)) if _parsed(lines[:count]) is not None) if lines else 0


def line_of_key(text: str, place: Place) -> int:
    """The line where a key of a sound TOML text is set, from 1; of a missing key that of its table; else 1."""
    lines = text.splitlines()
    begin = 0
    wanted = place
    while wanted:
        begin = 0
        for count in range(1, len(lines) + 1):
            known = _parsed(lines[:count])
            if known is None:
                continue
            if _has(known, wanted):
                return begin + 1
            begin = count
        wanted = wanted[:-1]
    return 1


def _has(value: Any, place: Place) -> bool:
    for part in place:
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if not inside:
            return False
        value = value[part]
    return True


def _tables(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The tables in a model, by their keys: `limits`, and lists of tables such as `equivalent`."""
    found = {}
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found[name] = kind
    return found


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys of the table in which the last key of `place` stands."""
    for part in place[:-1]:
        model = _tables(model).get(str(part), model)
    return list(model.model_fields)


def _all_keys(model: type[BaseModel]) -> list[str]:
    found = list(model.model_fields)
    for table in _tables(model).values():
        found += _all_keys(table)
    return found
