"""What took long is measured once: results in a JSON file beside the notebook, from which a second run draws.

found = kept.results("kept/eurosat.json", {"model": name, "steps": steps}, lambda: study(name, steps))
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def results(path: Path | str, settings: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What `make()` gives, or what it gave in an earlier run with the same settings; a printed line says which.

    The file holds settings, numbers, date, seconds and machine. Tensors among the values, such as maps or the weights
    of a model, lie beside it in a file that ends in .safetensors. Delete the file to measure again: nothing else
    notices that the code has changed.

    Args:
        path: of the JSON file; its folder is made.
        settings: all that the result depends on: names, sizes, steps, seeds.
        make: gives name -> numbers, strings, lists or dicts of them, or a tensor, which comes back on the CPU.

    Returns:
        The result as it is read from the files, also the first time.
    """
    path = Path(path)
    if (found := _read(path, settings)) is not None:
        when = "on {date} in {seconds:.0f} s ({machine})".format(**found["made"])
        print(f"{path}: measured {when}; delete it to measure again")
        return _result(path, found)
    begin = time.perf_counter()
    made = dict(make())
    seconds = time.perf_counter() - begin
    tensors = {name: value for name, value in made.items() if hasattr(value, "detach")}
    path.parent.mkdir(parents=True, exist_ok=True)
    if tensors:
        from safetensors.torch import save_file

        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        save_file(whole, path.with_suffix(".safetensors"))
    written = {
        "settings": settings,
        "made": {"date": datetime.now(UTC).date().isoformat(), "seconds": seconds, "machine": _machine()},
        "tensors": sorted(tensors),
        "result": {name: value for name, value in made.items() if name not in tensors},
    }
    path.write_text(json.dumps(written, indent=1), encoding="utf-8")  # last: with it the result is whole
    print(f"{path}: measured in {seconds:.0f} s and kept")
    return _result(path, json.loads(json.dumps(written)))


def _machine() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()


def _read(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the file holds, if it is whole and of these settings."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same: bool = found["settings"] == json.loads(json.dumps(settings))
        whole = same and (not found["tensors"] or path.with_suffix(".safetensors").is_file())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def _result(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    if not found["tensors"]:
        return dict(found["result"])
    from safetensors.torch import load_file

    tensors = load_file(path.with_suffix(".safetensors"))
    return {**found["result"], **{name: tensors[name] for name in found["tensors"]}}
