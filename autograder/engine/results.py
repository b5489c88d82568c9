"""What a learner's process says became of a cell: believed only in the shape that `shell.run_cell` gives."""

from __future__ import annotations

from typing import Any

from .shell import MAX_OUTPUT, MAX_RICH, SHOWN


def is_cell_result(done: Any) -> bool:
    """Whether this has the shape of what `shell.run_cell` gives, and no more of it than that gives."""
    if not isinstance(done, dict) or not isinstance(done.get("outputs"), list):
        return False
    error = done.get("error")
    sound = all(isinstance(output, dict) and _is_output(output) for output in done["outputs"])
    if not sound or _letters(done["outputs"]) > 4 * MAX_RICH:
        return False
    if error is None:
        return True
    if not isinstance(error, dict) or not isinstance(error.get("line"), int):
        return False
    if not all(isinstance(error.get(key), str) and len(error[key]) <= MAX_OUTPUT for key in ("name", "message")):
        return False
    check = error.get("check")
    return check is None or (
        isinstance(check, dict)
        and all(isinstance(v, str) for pair in check.items() for v in pair)
        and _letters(check) <= 10 * MAX_OUTPUT
    )


def _is_output(output: dict[str, Any]) -> bool:
    match output:
        case {"output_type": "stream", "name": "stdout", "text": str()}:
            return len(output) == 3
        case {"output_type": "display_data", "data": dict(data), "metadata": dict(metadata)}:
            return len(output) == 3 and not metadata and all(k in SHOWN and isinstance(data[k], str) for k in data)
        case {"output_type": "error", "ename": str(), "evalue": str(), "traceback": list(lines)}:
            return len(output) == 4 and all(isinstance(line, str) for line in lines)
    return False


def _letters(value: Any) -> int:
    """The size of plain data."""
    if isinstance(value, dict):
        return sum(len(key) + _letters(item) for key, item in value.items())
    return sum(map(_letters, value)) + len(value) if isinstance(value, list) else len(str(value))
