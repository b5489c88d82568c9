"""Situations that instructors meet with what learners submit: real files, made on the spot, and what must come of them.

`python -m tests.situations` makes each of them, collects it, and prints the table with what came.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from autograder.core.errors import WorkbookError
from autograder.course.folder import Course
from autograder.submissions.collect import Collection, collect
from autograder.submissions.entries import Fate
from autograder.submissions.wrapping import Reading

WEEK = "week01_attention"
MONDAY, TUESDAY, FRIDAY = (datetime(2026, 3, day, 12, 5, 1) for day in (2, 3, 6))
W, O, B, U, R = Fate.WORK, Fate.OLDER, Fate.BESIDE, Fate.UNREADABLE, Fate.REFUSED  # noqa: E741 - initials of the fates
Content = bytes | None
"""What a file holds; None: work that no other file holds."""


def notebook(*answers: str, **metadata: object) -> bytes:
    """A notebook of the week with these answers in its first cells."""
    sources = [*answers, *("# your answer", "# your answer")[len(answers) :], "print('done')"]
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    about = {"workbook": {"week": WEEK}} | metadata
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells}).encode()


STARTER = notebook()
SAVED = json.dumps(json.loads(STARTER) | {"metadata": {"kernelspec": {"name": "python3"}}}, indent=1).encode()
"""The starter, opened and saved by Jupyter."""


def bundle(content: bytes, learner: str = "") -> bytes:
    """What `workbook submit` makes, or, without a learner, a plain zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("attention.ipynb", content)
        if learner:
            file.writestr("receipt.json", json.dumps({"format": 1, "week": WEEK, "learner": learner}))
    return out.getvalue()


def tar(content: bytes, name: str = "attention.ipynb") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(content), int(MONDAY.replace(tzinfo=UTC).timestamp())
        file.addfile(info, io.BytesIO(content))
    return out.getvalue()


@dataclass(frozen=True)
class At:
    """A file with a time of its own."""

    moment: datetime
    content: Content = None


@dataclass(frozen=True)
class Situation:
    """What lies in a source, and what must come of it.

    Attributes
    ----------
    files : path -> what it holds.
    counts : learner -> the path whose notebook must be graded; "" for who must be listed with nothing.
    fates : how many entries must have which fate; others none.
    says : texts that a note, a reason or a question must hold.
    packed : the archive that holds all of it; "" for a folder.
    encoding : of the names in the archive, which does not say so; "" for UTF-8 that does.
    reading, groups : what the instructor says.
    before : what was collected earlier, from a folder.
    missing : who on the roster must be told as missing.
    """

    kind: str
    name: str
    files: Mapping[str, Content | At]
    counts: Mapping[str, str]
    fates: Mapping[Fate, int]
    says: tuple[str, ...] = ()
    roster: bytes = b""
    packed: str = ""
    encoding: str = ""
    reading: Reading | None = None
    groups: bool = False
    before: Mapping[str, Content | At] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def held(path: str, content: Content | At) -> bytes:
    """What a file of a situation holds."""
    inner = content.content if isinstance(content, At) else content
    return notebook(f"answer = {path!r}") if inner is None else inner


def make(situation: Situation, files: Mapping[str, Content | At], folder: Path) -> Path:
    """The source of a situation, below this folder."""
    if not situation.packed:
        for path, content in files.items():
            target = folder / "source" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(held(path, content))
            moment = content.moment if isinstance(content, At) else MONDAY
            os.utime(target, (moment.replace(tzinfo=UTC).timestamp(),) * 2)
        return folder / "source"
    source = folder / situation.packed
    if situation.packed.endswith(".zip"):
        with zipfile.ZipFile(source, "w") as archive:
            for path, content in files.items():
                moment = (content.moment if isinstance(content, At) else MONDAY).replace(tzinfo=UTC).astimezone()
                archive.writestr(_Named(path, moment.timetuple()[:6], situation.encoding), held(path, content))
    else:
        with tarfile.open(source, "w:gz") as packed:
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(held(path, content))
                info.mtime = int(
                    (content.moment if isinstance(content, At) else MONDAY).replace(tzinfo=UTC).timestamp()
                )
                packed.addfile(info, io.BytesIO(held(path, content)))
    return source


class _Named(zipfile.ZipInfo):
    """A member whose name is written in an old code page, without the flag of UTF-8."""

    def __init__(self, name: str, moment: tuple[int, ...], encoding: str) -> None:
        super().__init__(name, moment)  # type: ignore[arg-type]
        self._encoding = encoding

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's own
        if not self._encoding:
            return self.filename.encode(), self.flag_bits | 0x800
        return self.filename.encode(self._encoding), self.flag_bits


def run(situation: Situation, folder: Path) -> tuple[Collection | str, dict[str, bytes]]:
    """Collect a situation in an empty folder: what was told (an error's message), and what grading would find."""
    course = Course(folder, folder / "course")
    starter = folder / "weeks" / WEEK / "attention.ipynb"
    starter.parent.mkdir(parents=True)
    starter.write_bytes(STARTER)
    if situation.roster:
        course.folder.mkdir()
        (course.folder / "roster.csv").write_bytes(situation.roster)
    try:
        if situation.before:
            (folder / "before").mkdir()
            plain = Situation("", "", situation.before, {}, {})
            collect(make(plain, situation.before, folder / "before"), course, WEEK)
        said = {"reading": situation.reading, "whole_groups": situation.groups}
        given = {name: value for name, value in said.items() if value}
        done: Collection | str = collect(make(situation, situation.files, folder), course, WEEK, **given)  # type: ignore[arg-type]
    except WorkbookError as error:
        done = str(error)
    there = {path.parent.parent.name: path.read_bytes() for path in course.submitted.glob(f"*/{WEEK}/attention.ipynb")}
    return done, there


def told(done: Collection | str) -> str:
    """Everything that a collection says."""
    if isinstance(done, str):
        return done
    notes = [note for one in done.learners for note in one.notes]
    return "\n".join([*notes, *(one.why for one in done.fates), *(question.whole for question in done.questions)])


def faults(situation: Situation, done: Collection | str, there: Mapping[str, bytes]) -> list[str]:
    """What is not as it must be."""
    everything = {**situation.before, **situation.files}
    wanted = {}
    for who, path in situation.counts.items():
        if path:
            content = held(path, everything[path])
            wanted[who] = UNPACKED.get((situation.name, path), content)
    wrong = [f"{who} has {_name(there[who], everything)}" for who in there if there[who] != wanted.get(who)]
    wrong += [f"{who} has nothing" for who in wanted if who not in there]
    if isinstance(done, str):
        return [*wrong, done] if situation.fates else wrong
    counts = {fate: count for fate, count in done.counts.items() if count}
    if counts != dict(situation.fates):
        wrong.append(", ".join(f"{count} {fate}" for fate, count in sorted(counts.items())))
    if len(done.fates) != len(situation.files):
        wrong.append(f"{len(done.fates)} fates for {len(situation.files)} files")
    listed = {one.learner for one in done.learners}
    wrong += [f"{who} is not listed" for who in situation.counts if who not in listed and who not in there]
    wrong += [f"does not say {text!r}" for text in situation.says if text not in told(done)]
    missing = tuple(person.learner for person in done.missing)
    return wrong if missing == situation.missing else [*wrong, f"missing: {', '.join(missing) or 'nobody'}"]


UNPACKED: dict[tuple[str, str], bytes] = {}
"""Situation and path -> the notebook that a packed file holds."""


def packed_work(situation: str, path: str, kind: str = "zip") -> bytes:
    """A packed file of a situation; the notebook in it is what must be graded."""
    content = notebook(f"packed = {path!r}")
    UNPACKED[situation, path] = content
    return bundle(content) if kind == "zip" else tar(content)


def packed_members(situation: str, path: str, members: Mapping[str, Content]) -> bytes:
    """A zip of a situation with several files; the notebook of the last one is what must be graded."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            UNPACKED[situation, path] = held(name, content)
            file.writestr(name, held(name, content))
    return out.getvalue()


def _name(content: bytes, files: Mapping[str, Content | At]) -> str:
    return next((path for path, one in files.items() if held(path, one) == content), "something else")


def main() -> None:
    """Print the table."""
    from .situation_table import SITUATIONS

    right = Counter[str]()
    for situation in SITUATIONS:
        with tempfile.TemporaryDirectory() as folder:
            wrong = faults(situation, *run(situation, Path(folder)))
        right["right" if not wrong else "wrong"] += 1
        must = ", ".join(f"{who}: {path or 'nothing'}" for who, path in situation.counts.items()) or "nobody"
        print(f"| {situation.kind} | {situation.name} | {must} | {'; '.join(wrong) or 'right'} |")
    print(f"{len(SITUATIONS)} situations: {right['right']} right, {right['wrong']} not")


if __name__ == "__main__":
    from tests.situations import main as as_imported

    as_imported()
