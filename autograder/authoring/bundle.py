"""The archive that learners get: released weeks and what they need to run; no solution, hidden test or rubric.

Equal files give equal bytes: names are sorted, times and owners are left out.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import Template

import nbformat

from ..building.leaks import find, rubric_lines, secrets, shown
from ..core.errors import WorkbookError, short
from ..core.files import write_bytes
from ..learner.released import open_released
from ..week.locate import all_weeks, open_week

TOP = "workbook"
"""The folder that the archive unpacks to."""
BESIDE = ("pyproject.toml", "requirements.txt", "environment.yml", "LICENSE")
FOLDERS = ("core", "week", "repair", "engine", "execution", "learner")
"""Folders of `autograder` that the learner's verbs need. They import nothing of the others."""
FILES = (
    "__init__.py",
    "py.typed",
    "cli.py",
    "magic.py",
    *(f"commands/{name}.py" for name in ("__init__", "learner", "asking", "common")),
)
"""Beside them: the verbs themselves."""
VERBS = ("help", "setup", "lab", "clean")
"""What a learner makes."""
GRADERS_TOOL = "$(SANDBOX)"
"""What `setup` installs for graders alone."""
README = Path(__file__).parent / "bundle.md"
"""The README of the archive, written for learners. Its `$names` are filled in by `learners_readme`."""
DOCS = (
    *(f"docs/{page}.md" for page in ("prerequisites", "learning", "troubleshooting", "datasets")),
    *("docs/pictures/notebook.png", "docs/pictures/watch.gif"),
)
"""What that README links to."""
ANYWHERE = 25
"""Syntax nodes from which a statement of a solution tells something even in a file that has nothing to do with it."""
SUFFIXES = (".zip", ".tar.gz")


def bundle_files(root: Path, weeks: Sequence[str]) -> dict[str, bytes]:
    """Path in the checkout -> content, of everything that a learner gets for these weeks.

    Raises
    ------
    WorkbookError
        for a week that is not built, or a file that shows a solution, a hidden test or a rubric of any week.
    """
    files: dict[str, bytes] = {}
    for week in weeks:
        if not (root / "weeks" / week).is_dir():
            raise WorkbookError(f"weeks/{week} is not there", f"build it: workbook build {week}")
        files |= _folder(root, root / "weeks" / week)
    files |= _folder(root, root / "shared") | _command(root)
    files |= {name: (root / name).read_bytes() for name in (*BESIDE, *DOCS) if (root / name).is_file()}
    if (root / "Makefile").is_file():
        files["Makefile"] = _makefile((root / "Makefile").read_text(encoding="utf-8")).encode()
    files["README.md"] = learners_readme(root, weeks).encode()
    if told := leaked(root, files):
        raise WorkbookError("; ".join(told[:5]), "say it in other words there, then build and bundle again")
    return dict(sorted(files.items()))


def write_bundle(root: Path, weeks: Sequence[str], path: Path) -> dict[str, bytes]:
    """Write the archive (.zip or .tar.gz) in one step. Returns what is in it."""
    if not path.name.endswith(SUFFIXES):
        raise WorkbookError(f"{path.name} is not a valid archive name", f"end it with {' or '.join(SUFFIXES)}")
    files = bundle_files(root, weeks)
    write_bytes(path, as_zip(files) if path.suffix == ".zip" else as_tar(files))
    return files


def as_zip(files: Mapping[str, bytes]) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(f"{TOP}/{name}", (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = 0o100644 << 16, 3
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    return found.getvalue()


def as_tar(files: Mapping[str, bytes]) -> bytes:
    found = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=found, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return found.getvalue()


def _folder(root: Path, folder: Path) -> dict[str, bytes]:
    """The files of a folder, without what Python, Jupyter and editors leave in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
            found[PurePosixPath(*parts).as_posix()] = path.read_bytes()
    return found


def _command(root: Path) -> dict[str, bytes]:
    """The learner's side of `autograder`: the folders and files that make up the learner's verbs."""
    package = root / "autograder"
    found: dict[str, bytes] = {}
    for folder in FOLDERS:
        found |= _folder(root, package / folder)
    for name in FILES:
        if (package / name).is_file():
            found[f"autograder/{name}"] = (package / name).read_bytes()
    return found


def _makefile(text: str) -> str:
    """The Makefile with the verbs of learners alone; a comment goes with the rule below it."""
    kept: list[str] = []
    text = "".join(line for line in text.strip().splitlines(keepends=True) if line.strip() != f"@{GRADERS_TOOL}")
    for block in re.split(r"\n{2,}", text):
        if re.search(rf"^{GRADERS_TOOL[2:-1]} *:=", block, re.MULTILINE):
            continue
        rule = re.search(r"^([a-z-]+):", block, re.MULTILINE)
        if rule is None or rule[1] in VERBS:
            phony = " ".join(VERBS)
            kept.append(re.sub(r"^\.PHONY:.*", f".PHONY: {phony}", block, flags=re.MULTILINE))
    return "\n\n".join(kept) + "\n"


def learners_readme(root: Path, weeks: Sequence[str]) -> str:
    """The README for learners: the weeks that they have, and commands that name the first of them."""
    lessons = [open_released(root, name).week for name in weeks]
    rows = []
    for lesson in lessons:
        path = f"weeks/{lesson.name}/{lesson.topic}.ipynb"
        facts = (f"{lesson.number:02d}", lesson.info.title, lesson.info.hours, len(lesson.exercises))
        rows.append(f"| {' | '.join(map(str, facts))} | [{path}]({path}) |")
    first = lessons[0]
    text = Template(README.read_text(encoding="utf-8"))
    return text.substitute(
        weeks="\n".join(rows),
        number=first.number,
        exercise=next(iter(first.exercises)),
        week=first.name,
        topic=first.topic,
    )


def leaked(root: Path, files: Mapping[str, bytes]) -> list[str]:
    """Where a file shows a solution, a hidden test or a rubric of any week of the checkout, one line each."""
    if not (root / "solutions").is_dir():
        return []
    texts: dict[str, list[tuple[str, bool]]] = {}
    for name, content in files.items():
        if name.endswith(".ipynb"):
            texts[name] = [
                (cell.source, cell.cell_type == "code") for cell in nbformat.reads(content.decode(), 4).cells
            ]
        elif name.endswith((".py", ".md", ".toml", ".txt", ".yml", "Makefile")):
            texts[name] = [(content.decode(), name.endswith(".py"))]
    faces = {name: [(text, shown(text, is_code)) for text, is_code in found] for name, found in texts.items()}
    told = []
    for week in (open_week(root, name) for name in all_weeks(root)):
        own, anywhere, rubric = secrets(week), secrets(week, ANYWHERE), rubric_lines(week)
        for name, found in faces.items():
            known = own if name.startswith(f"weeks/{week.name}/") else anywhere
            for text, face in found:
                told += [f"{name} shows {what!r} of {short(at.path)}:{at.line}" for at, what in find(known, face)]
                told += [f"{name} shows the rubric {line!r} of {week.name}" for line in rubric if line in text]
    return list(dict.fromkeys(told))
