"""The page of data sets knows every loader and every pretrained model, and the weeks that use them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

import pytest

from autograder.week.locate import released_weeks
from shared import datasets

from . import hardware
from .chosen import ROOT

PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
HARDWARE = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
SOURCES = {
    name[4:6]: "".join(path.read_text(encoding="utf-8") for path in lesson_files)
    for name in released_weeks(ROOT)
    for lesson_files in [[ROOT / "solutions" / name / file for file in (f"{name[7:]}.py", "tests.py")]]
}
NO_LOADERS = {"data_folder", "on_disk", "coco_results", "coco_truth", "from_coco"}
LOADERS = {name for name in datasets.__all__ if inspect.isfunction(getattr(datasets, name))} - NO_LOADERS


def rows(heading: str, page: str = PAGE) -> list[list[str]]:
    """The cells of the table under a heading, without its first line."""
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return lines[2:]


def using(pattern: str) -> str:
    """The weeks whose lesson or tests have this, as the page writes them."""
    return ", ".join(week for week, source in SOURCES.items() if re.search(pattern, source, re.IGNORECASE))


def named(table: Iterable[list[str]]) -> dict[str, list[str]]:
    return {name: row for row in table for cell in row for name in re.findall(r"`datasets\.(\w+)`", cell)}


def test_every_loader_has_a_row_with_the_weeks_that_use_it() -> None:
    found = named([*rows("In the box"), *rows("From the network, or from your disk")])
    assert set(found) == LOADERS
    assert {name: row[-1] for name, row in found.items()} == {name: using(rf"\bdatasets\.{name}\b") for name in found}


@pytest.mark.parametrize("row", rows("From the network, or from your disk"), ids=lambda row: row[0])
def test_a_data_set_from_the_network_says_all_that_is_needed(row: list[str]) -> None:
    assert len(row) == 8
    assert all(row)
    assert re.search("DATA|FOLDER", row[6]), "the workbook's folder, or one of your own"
    if "datasets." not in row[1]:
        assert row[-1] == using("|".join(row[0].split(", ")))


def test_pretrained_weights_have_their_size() -> None:
    import open_clip  # type: ignore[import-untyped]
    import timm
    import torch

    for name, size, _ in rows("Pretrained weights"):
        (model, *_) = re.findall(r"`([\w.-]+)`", name)
        with torch.device("meta"):
            is_clip = name.startswith("open_clip")
            made = open_clip.CLIP(**open_clip.get_model_config(model)) if is_clip else timm.create_model(model)
        assert float(size) == round(4 * sum(p.numel() for p in made.parameters()) / 1e6), name


def test_every_pretrained_model_has_a_row_with_the_weeks_that_load_it() -> None:
    table = {re.findall(r"`([\w.-]+)`", name)[0]: weeks.split(", ") for name, _, weeks in rows("Pretrained weights")}
    for model, weeks in table.items():
        assert set(weeks) <= set(using(re.escape(model)).split(", ")), model
    for week, source in SOURCES.items():
        for model in re.findall(r"\"((?:vit|deit|swin|resnet|eva)\w+\.\w+)\"", source):
            known = table.get(model) or table[model.partition(".")[0]]  # a name without a tag is timm's default
            assert week in known, f"week {week} loads {model}"


def test_the_page_of_hardware_names_what_each_week_fetches() -> None:
    sets = rows("From the network, or from your disk")
    weights = rows("Pretrained weights")
    found = rows("With a GPU", HARDWARE)
    assert [row[0] for row in found] == list(SOURCES)
    for week, data_sets, _, to_fetch, *_ in found:
        wanted = {row[0] for row in sets if week in row[-1].split(", ")}
        assert set(data_sets.split(" · ")) == (wanted or {"none"}), week
        size = sum(float(row[1]) for row in weights if week in row[-1].split(", ")) / 1000
        told = 0.0 if to_fetch == "none" else float(to_fetch.removesuffix(" GB"))
        assert abs(told - size) < 0.05, f"week {week}: {size:.2f} GB"


def test_tables_of_gpu_cells_have_the_words_of_the_authors_page() -> None:
    """Every lesson that has such a table, in the same words and with the same columns; no cell of it is empty."""
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    first, head = re.findall(r"^(\*\*With a GPU\.\*\* .+)\n\n(\| .+ \|)$", page, re.MULTILINE)[0]
    found = [week for week, source in SOURCES.items() if "**With a GPU.**" in source]
    assert found
    for week in found:
        text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in SOURCES[week].splitlines())
        assert f"{first}\n\n{head}\n" in text, f"week {week}"
        table = text.split(f"{first}\n\n{head}\n")[1].split("\n\n")[0]
        cells = [line.strip("|").split("|") for line in table.splitlines()[1:]]
        assert cells
        assert all(cell.strip() for row in cells for cell in row)
        assert {len(row) for row in cells} == {head.count("|") - 1}
        assert f"`PROFILE=gpu workbook record --keep-nothing week{week}`" in text


def test_the_figures_of_the_cpu_are_those_that_were_kept() -> None:
    costs = hardware.kept()
    assert list(costs) == released_weeks(ROOT)
    assert hardware.table(costs) in HARDWARE
    assert max(cost.peak_mib for cost in costs.values()) < 4 * 1000**3 / 2**20, "what the page says suffices"
