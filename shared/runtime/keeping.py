"""Keep what a long training found beside the notebook, so that the next run draws it without training."""

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
from typing import Any

FOLDER = "results"
"""Beside the notebook: Jupyter runs a notebook in the folder that it lies in."""


def kept(
    name: str,
    settings: Mapping[str, Any],
    compute: Callable[[], Mapping[str, Any]] | None,
    *,
    folder: Path | str = FOLDER,
) -> dict[str, Any] | None:
    """What `compute()` gives: from `folder/name.json` if that was made with the same settings, else by running it.

        found = kept("food_full", {"steps": 3000, "seed": 0}, lambda: fine_tune(steps=3000, seed=0))

    Numbers, texts, lists and dicts go into the JSON; a value that is a tensor, or a dict of tensors such as a state
    dict, goes into `folder/name.pt` beside it. Where, when and how long it was computed stands in the JSON, too, and is
    printed in one line. Files are written whole or not at all. To compute anew, delete the JSON.

    Args:
        name: of the files, without an ending.
        settings: all that the result depends on, in values that JSON knows. Other settings are computed anew, and
            replace what was kept.
        compute: called where nothing is kept; None on a machine that only looks.
        folder: where the files lie.

    Returns:
        The result, its tensors on the CPU and its tuples as lists, whether it was read or computed; None where
        nothing is kept and `compute` is None.

    Raises:
        TypeError: a setting or a result that is neither a tensor nor known to JSON.
    """
    path = Path(folder) / f"{name}.json"
    wanted = json.loads(json.dumps(dict(settings)))
    read = _read(path, wanted)
    if read is None:
        if compute is None:
            return None
        with _measured() as measured_now:
            result = compute()
        _write(path, wanted, result, measured_now)
        read = _read(path, wanted)
        assert read is not None
    found, measured = read
    memory = f", {measured['peak_gib']} GiB at most" if "peak_gib" in measured else ""
    print(f"{path}: measured {measured['date']} on {measured['device']}, {measured['seconds']:,.0f} s{memory}")
    return found


def save(name: str, values: Any, *, folder: Path | str = FOLDER) -> Path:
    """Write numbers, texts, lists and dicts to `folder/name.json`, whole or not at all; the path of the file."""
    path = Path(folder) / f"{name}.json"
    text = json.dumps(values, indent=1)
    with _replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return path


def _read(path: Path, settings: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The result and how it was measured; None where nothing that fits is kept."""
    try:
        kept_there = json.loads(path.read_text(encoding="utf-8"))
        if kept_there["settings"] != settings:
            return None
        result, measured, weights = kept_there["result"], kept_there["measured"], kept_there["weights"]
        if weights:
            import torch

            file = path.with_suffix(".pt")
            if _digest(file) != weights:
                return None
            result |= torch.load(file, weights_only=True, map_location="cpu")
        return result, measured
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not written by this module
        return None


def _write(path: Path, settings: Any, result: Mapping[str, Any], measured: dict[str, Any]) -> None:
    tensors = {key: _on_cpu(value) for key, value in result.items() if _holds_tensors(value)}
    plain = {key: value for key, value in result.items() if key not in tensors}
    entry = {
        "settings": settings,
        "measured": measured,
        "weights": "",
        "result": plain,
    }
    json.dumps(entry)  # a value that JSON does not know is told before anything is replaced
    if tensors:
        import torch

        with _replacing(path.with_suffix(".pt")) as part:
            torch.save(tensors, part)
        entry["weights"] = _digest(path.with_suffix(".pt"))
    save(path.stem, entry, folder=path.parent)


def _holds_tensors(value: Any) -> bool:
    import torch

    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(part, torch.Tensor) for part in value.values())
    return isinstance(value, torch.Tensor)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _on_cpu(part) for key, part in value.items()}
    return value.detach().cpu().clone()


@contextlib.contextmanager
def _measured() -> Iterator[dict[str, Any]]:
    """When and where something runs, how long, and the most memory that torch held on the GPU meanwhile, in GiB."""
    import torch

    from .profiles import device

    where = device()
    found: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "torch": torch.__version__}
    began = time.perf_counter()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    yield found
    if where.type == "cuda":
        torch.cuda.synchronize(where)
        found["device"] = torch.cuda.get_device_name(where)
        found["peak_gib"] = round(torch.cuda.max_memory_allocated(where) / 2**30, 2)
    else:
        found["device"] = f"{where.type} ({platform.machine()})"
    found["seconds"] = round(time.perf_counter() - began, 1)


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
