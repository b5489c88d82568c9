"""What a learner does with a released week."""

from __future__ import annotations

import shutil
from pathlib import Path

from .errors import WorkbookError, short


def start_week(root: Path, name: str) -> list[tuple[Path, bool]]:
    """Copy the files of a released week into `work/`; a file that is there is never touched.

    Returns
    -------
    Each file in `work/` and whether it was copied now.

    Raises
    ------
    WorkbookError
        when the week is not released, or `work/` cannot be written.
    """
    source, target = root / "weeks" / name, root / "work" / name
    if not source.is_dir():
        raise WorkbookError(f"{short(source)} is not there", "this week is not released yet, or run `make weeks`")
    done = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(path for path in source.iterdir() if path.is_file()):
            copied = not (target / path.name).exists()
            if copied:
                part = target / f".{path.name}.part"  # an interrupted copy must not pass for an answer
                shutil.copyfile(path, part)
                part.replace(target / path.name)
            done.append((target / path.name, copied))
    except OSError as error:
        raise WorkbookError(
            f"{short(target)} cannot be written: {error.strerror}", "check the rights of the folder"
        ) from None
    return done
