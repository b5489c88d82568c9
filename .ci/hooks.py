"""Checks of `.pre-commit-config.yaml` that no tool brings: `python .ci/hooks.py CHECK FILE...`, from the root.

Exit status 1, with a line for each file and what to do about it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_KIB = 600
"""The largest notebook with its pictures has some 420 KiB."""


def large(paths: list[Path]) -> Iterator[str]:
    """Files that every clone would carry for ever."""
    for path in paths:
        kib = path.stat().st_size / 1024
        if kib > MAX_KIB:
            yield f"{path}: {kib:,.0f} KiB, more than {MAX_KIB} -> make it smaller, or let a script make or download it"


def generated(paths: list[Path]) -> Iterator[str]:
    """Files in `weeks/` that no source makes: copies that were worked on, notebooks under another name, outputs."""
    for path in paths:
        if path.parts[0] != "weeks":
            continue
        source = Path("solutions", *path.parts[1:2])
        made = {f"{source.name[7:]}.ipynb", *(picture.name for picture in source.glob("*.png"))}
        if not source.is_dir():
            yield f"{path}: there is no {source} -> begin a week with `workbook new TOPIC`; weeks/ is generated"
        elif path.parts[2:] not in {(name,) for name in made}:
            yield f"{path}: no source makes it -> edit {source}, then run `workbook build`; weeks/ is generated"


CHECKS: dict[str, Callable[[list[Path]], Iterator[str]]] = {"large": large, "generated": generated}


def main() -> None:
    check, *names = sys.argv[1:]
    found = list(CHECKS[check]([Path(name) for name in names]))
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
