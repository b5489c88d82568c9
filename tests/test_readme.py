"""What the README and the pages for learners say is counted, and their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from autograder.authoring.bundle import bundle_files
from autograder.authoring.proof import Part, read_proof
from autograder.week.cells import Exercise, Written
from autograder.week.locate import all_weeks, open_week, released_weeks

from . import weeks_table, wheels
from .chosen import ROOT
from .pictures import MAX_BYTES, PICTURES

README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBERS = {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def dangling(text: str, files: set[str], folder: str = "") -> list[str]:
    """Links that lead nowhere: to a file that is not among these, or to a heading that is not on the page."""
    found = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:")):
            continue
        path = os.path.normpath(Path(folder, target)).replace(os.sep, "/")
        if (target and path not in files) or (not target and anchor not in anchors(text)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    tops = (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "docs",
        "weeks",
        "tests",
        "benchmarks",
        "solutions",
        "autograder",
    )
    files = {path.relative_to(ROOT).as_posix() for top in tops for path in [ROOT / top, *(ROOT / top).rglob("*")]}
    assert dangling(page.read_text(encoding="utf-8"), files, page.parent.relative_to(ROOT).as_posix()) == []


def test_links_of_a_bundle_lead_into_it() -> None:
    files = bundle_files(ROOT, released_weeks(ROOT)[:1])
    found = {name: content.decode() for name, content in files.items() if name.endswith(".md")}
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    pages = ("prerequisites", "learning", "troubleshooting", "datasets")
    assert set(found) == {"README.md", *(f"docs/{page}.md" for page in pages)}
    for name, text in found.items():
        assert dangling(text, set(files), Path(name).parent.as_posix()) == [], name
        named = re.findall(r"`([\w.]+/[\w./-]+)`", text) + re.findall(r"`python -m (\S+)", text)
        made = ("work/", ".venv/", "backups/", "solutions/", "DATA/")  # a learner's own, and what only a clone has
        absent = [path for path in named if not path.startswith(made) and path.rstrip("/") not in {*files, *folders}]
        assert absent == [], name


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "# A\n[a](#a) [b](#b) [c](c.md) ![d](d.png) [e](https://example.org/e)"
    assert dangling(text, {"c.md"}) == ["#b", "d.png"]


def test_the_first_lines_count_the_weeks() -> None:
    said = re.search(r"^(\w+) of (\d+) planned weeks exist", README.split("\n\n")[1].split(". ")[-1])
    assert said
    assert NUMBERS[said[1].lower()] == len(released_weeks(ROOT))
    planned: set[int] = set()
    for first, last in re.findall(r"(?:\| |· )(\d\d)(?:-(\d\d))? ", README.split("| week | title |")[0]):
        planned |= set(range(int(first), int(last or first) + 1))
    assert planned == set(range(1, int(said[2]) + 1))


def test_the_table_of_weeks_is_that_of_the_sources_and_their_proofs() -> None:
    assert weeks_table.replaced(README) == README, "python -m tests.weeks_table"
    rows = re.findall(
        r"^\| (\d\d) \| ([^|]+) \| (\d+) \| 80 \+ 20 \| \d+ \| (\d+) \| (\d+) \| (\d+) \|$", README, re.MULTILINE
    )
    weeks = [open_week(ROOT, name) for name in all_weeks(ROOT)]
    assert [row[:3] for row in rows] == [
        (f"{week.number:02d}", week.info.title, f"{week.info.hours}") for week in weeks
    ]
    assert all(int(mutants) == int(killed) + int(explained) > 100 for *_, mutants, killed, explained in rows)


def test_no_week_has_lies_that_earn_points() -> None:
    """As the sentence below the table says: none are listed as open, and the proofs have counted none."""
    for name in all_weeks(ROOT):
        folder = ROOT / "solutions" / name
        listed = folder / "lies.json"
        assert not listed.is_file() or json.loads(listed.read_text(encoding="utf-8")) == []
        assert read_proof(folder).parts[Part.LIES].counts["points"] == 0


@pytest.mark.parametrize("name", released_weeks(ROOT))
def test_each_exercise_has_what_the_readme_says(name: str) -> None:
    """A cell that draws, tests, and three folded hints."""
    week = open_week(ROOT, name)
    ids = {cell.id for cell in week.cells}
    for exercise in week.exercises:
        assert {f"{exercise}-look-1", f"{exercise}-hints", f"{exercise}-test-1"} <= ids
        (hints,) = [cell.source for cell in week.cells if cell.id == f"{exercise}-hints"]
        assert len(re.findall(r"<summary>Hint \d", hints)) == 3


@pytest.mark.parametrize("name", released_weeks(ROOT))
def test_the_hours_of_a_week_add_up(name: str) -> None:
    """The header's parts are its sum, which week.toml says; exercises and questions fit beside the reading."""
    week = open_week(ROOT, name)
    said = re.compile(r"\*\*Time\*\* about (\d+) hours: (.*)")
    (header,) = [found for cell in week.cells if (found := said.search(cell.source))]
    parts = re.findall(r"([\d.]+) of ([a-z]+)", header[2].split("**You need**")[0])
    assert int(header[1]) == week.info.hours == sum(float(hours) for hours, _ in parts)
    reading = sum(float(hours) for hours, what in parts if what == "reading")
    minutes = sum(c.words.minutes for c in week.cells if isinstance(c.words, Exercise | Written))
    assert minutes / 60 <= week.info.hours - reading


def test_numbers_of_the_troubleshooting_page_stand_in_the_weeks_that_it_names() -> None:
    lessons = {}
    for name in released_weeks(ROOT):
        cells = json.loads((ROOT / "weeks" / name / f"{name[7:]}.ipynb").read_text(encoding="utf-8"))["cells"]
        lessons[name[4:6]] = "\n".join("".join(cell["source"]) for cell in cells)
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (.+) \| (\d\d(?:, \d\d)*) \|$", page, re.MULTILINE)
    told += [(text, week) for text, week in re.findall(r"^\d\. (.+) \(week (\d\d)\)\.$", page, re.MULTILINE)]
    missing = []
    for text, weeks in told:
        for number in re.findall(r"\d+\.\d+|-1e9|(?<![\w.])\d{2,}(?![\w.])", text):
            if not any(number in lessons[week].replace(",", "") for week in weeks.split(", ")):
                missing.append(f"{number}: {text}")
    assert len(told) > 25
    assert missing == []
    symptoms = ("unstable training", "uniform attention", "collapsed features", "out of memory", "too few data")
    assert {slug(name) for name in (*symptoms, "cannot reproduce")} <= anchors(page)


def test_the_platforms_are_those_of_the_pinned_torch() -> None:
    """A newer torch wants `python -m tests.wheels` again; README, bundle and page name the same platforms."""
    page = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    (pin,) = re.findall(r"^torch==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"the table is for torch {pin}" in page
    rows = dict(re.findall(r"^\| ([^|]+?) \| (yes, [\d.]+ GB|no) \|", page, re.MULTILINE))
    assert set(rows) == set(wheels.PLATFORMS)
    assert [name for name, fits in rows.items() if fits == "no"] == ["macOS, Intel", "Windows ARM64"]
    bundled = (ROOT / "autograder" / "authoring" / "bundle.md").read_text(encoding="utf-8")
    size = rows["Linux x86-64, glibc 2.28 or newer"].removeprefix("yes, ")
    assert f"a download of {size}" in README
    assert f"a download of {size}" in bundled


def test_pictures_are_there_and_small() -> None:
    linked = {Path(link).name for page in PAGES for link in re.findall(r"pictures/[\w.]+", page.read_text("utf-8"))}
    files = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert linked == set(files)
    assert {name for name, size in files.items() if size >= MAX_BYTES[Path(name).suffix]} == set()
