"""What took long is measured once: results in a JSON file beside the notebook, from which a second run draws.

found = kept.results("kept/eurosat.json", {"model": name, "steps": steps}, lambda: study(name, steps))
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

Make = Callable[[], Mapping[str, Any]]
WEIGHTS = ".safetensors"


@overload
def results(path: Path | str, settings: Mapping[str, Any], make: Make) -> dict[str, Any]: ...


@overload
def results(path: Path | str, settings: Mapping[str, Any], make: None) -> dict[str, Any] | None: ...


def results(path: Path | str, settings: Mapping[str, Any], make: Make | None) -> dict[str, Any] | None:
    """What `make()` gives, or what it gave in an earlier run with the same settings; a printed line says which.

    The file holds settings, numbers, date, seconds, machine, and the most memory that torch held on a GPU. Tensors
    among the values, such as maps or the weights of a model, lie beside it in a file that ends in .safetensors. Both
    are written whole or not at all. Delete the file to measure again: nothing else notices that the code has changed.

    Args:
        path: of the JSON file; its folder is made.
        settings: all that the result depends on: names, sizes, steps, seeds.
        make: gives name -> numbers, strings, lists or dicts of them; or a tensor, or a dict of tensors such as a state
            dict, which come back on the CPU. None on a machine that only looks.

    Returns:
        The result as it is read from the files, also the first time. None where `make` is None and nothing is kept.

    Raises:
        TypeError: a value that is neither a tensor nor known to JSON; nothing is replaced then.
    """
    path = Path(path)
    if (found := _read(path, settings)) is not None:
        print(f"{path}: measured on {found['made']['date']} in {_cost(found['made'])}; delete it to measure again")
        return _result(path, found)
    if make is None:
        return None
    with _measured() as made:
        result = dict(make())
    tensors = _tensors(result)
    plain = {name: value for name, value in result.items() if not _is_weights(value)}
    written = {"settings": settings, "made": made, "tensors": sorted(tensors), "digest": "", "result": plain}
    json.dumps(written)
    if tensors:
        from safetensors.torch import save_file

        with _replacing(path.with_suffix(WEIGHTS)) as part:
            save_file(tensors, part)
        written["digest"] = _digest(path.with_suffix(WEIGHTS))
    save(path, written)  # last: with it the result is whole
    print(f"{path}: measured in {_cost(made)} and kept")
    return _result(path, json.loads(json.dumps(written)))


def save(path: Path | str, values: Any) -> Path:
    """Write numbers, strings, lists and dicts as JSON, whole or not at all; the path of the file."""
    path = Path(path)
    text = json.dumps(values, indent=1)
    with _replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return path


def _is_weights(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(hasattr(part, "detach") for part in value.values())
    return hasattr(value, "detach")


def _tensors(result: Mapping[str, Any]) -> dict[str, Any]:
    """All tensors by name; those of a dict as `name/key`."""
    found: dict[str, Any] = {}
    for name, value in result.items():
        if _is_weights(value):
            parts = (
                {f"{name}/{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
            )
            found |= {key: part.detach().cpu().contiguous().clone() for key, part in parts.items()}
    return found


def _result(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(found["result"])
    if found["tensors"]:
        from safetensors.torch import load_file

        tensors = load_file(path.with_suffix(WEIGHTS))
        for name in found["tensors"]:
            whole, inside, key = name.partition("/")
            if inside:
                result.setdefault(whole, {})[key] = tensors[name]
            else:
                result[whole] = tensors[name]
    return result


def _read(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the file holds, if it is whole and of these settings."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same: bool = found["settings"] == json.loads(json.dumps(settings))
        whole = same and (not found["tensors"] or _digest(path.with_suffix(WEIGHTS)) == found["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


@contextlib.contextmanager
def _measured() -> Iterator[dict[str, Any]]:
    """Date, seconds and machine of what runs inside; on a GPU also the most memory that torch held meanwhile."""
    import torch

    there = torch.cuda.is_available()
    made: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat()}
    begin = time.perf_counter()
    if there:
        torch.cuda.reset_peak_memory_stats()
    yield made
    if there:
        torch.cuda.synchronize()
        made["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    made["seconds"] = time.perf_counter() - begin
    made["machine"] = torch.cuda.get_device_name() if there else platform.machine()


def _cost(made: Mapping[str, Any]) -> str:
    memory = f", at most {made['peak_gib']} GiB" if "peak_gib" in made else ""
    return f"{made['seconds']:.0f} s ({made['machine']}{memory})"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` once all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
