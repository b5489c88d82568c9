"""`shared.study`: the numbers of a text beside those of its results, and tiles as pictures."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared import study


@pytest.mark.parametrize(
    ("token", "value", "shown"),
    [
        ("0.123", 0.12345, True), ("0.12", 0.12345, False), ("12.3", 0.12345, True), ("12", 0.12345, False),
        ("400", 400, True), ("401", 400, False), ("1,500", 1500, True), ("0.000", 0.0001, False), ("0", 0.0, True),
        ("3.2e-9", 3.18e-9, False), ("3.18e-9", 3.18e-9, True), ("0.5", math.nan, False), ("-0.333", -1 / 3, True),
    ],
)  # fmt: skip
def test_a_number_is_shown_exactly_rounded_or_in_percent(token: str, value: float, shown: bool) -> None:
    assert study.shows(token, value) is shown


def test_strangers_are_the_numbers_that_no_result_gave() -> None:
    results = {"n": 400, "rows": [{"share": 0.25}], "said": "Head 2.1 carries 7 things."}
    text = "# Report\n\nOf 400 tiles 25.0 % are hazy, 95 % sure, 17 are not. Head 2.1 carries 7 things. ![a](b3.png)"
    assert study.leaves(results) == [400, 0.25, "Head 2.1 carries 7 things."]
    assert study.numbers_in(text, results) == ["400", "25.0", "95", "17"]
    assert study.strangers(text, results) == ["17"]


def test_the_example_has_a_paragraph_for_every_section() -> None:
    assert len(study.EXAMPLE["paragraphs"]) == 13
    assert all(isinstance(text, str) and text for text in study.EXAMPLE["paragraphs"].values())


@pytest.mark.parametrize(("side", "shown"), [(24, 192), (32, 256), (64, 256), (160, 160), (224, 224)])
def test_small_tiles_are_enlarged_and_large_ones_are_not(side: int, shown: int) -> None:
    tile = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    plain = study.enlarged(tile)
    assert plain.shape == (shown, shown, 3)
    assert plain.dtype == np.uint8
    heat = torch.zeros(4, 4)
    heat[3, 0] = 2.0
    tinted = study.enlarged(tile, heat)
    assert tinted.shape == plain.shape
    cells = tinted.astype(float).mean(-1)[: shown // 4 * 4, : shown // 4 * 4].reshape(4, shown // 4, 4, shown // 4)
    assert np.unravel_index(cells.mean((1, 3)).argmax(), (4, 4)) == (3, 0)


def test_an_upload_becomes_a_square_tile_or_an_error() -> None:
    held = io.BytesIO()
    Image.new("RGBA", (60, 40), (255, 0, 51, 128)).save(held, "PNG")
    tile = study.read_tile(io.BytesIO(held.getvalue()), 20)
    assert tile.shape == (3, 20, 20)
    assert tile[:, 5, 5].tolist() == pytest.approx([1.0, 0.0, 0.2])
    with pytest.raises(OSError, match="cannot identify"):
        study.read_tile(io.BytesIO(b"no picture"), 20)


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = study.interval(18, 20)
    assert (low, high) == pytest.approx(proportion_interval(18, 20), abs=1e-4)
    assert study.interval(0, 10)[0] == pytest.approx(0, abs=1e-12)
    assert study.interval(10, 10)[1] == pytest.approx(1, abs=1e-12)


def proportion_interval(hits: int, n: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(hits, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def test_the_eight_ways_to_turn_a_tile_are_those_of_a_square() -> None:
    tile = torch.arange(9.0).reshape(1, 1, 3, 3)
    ways = {tuple(study.turned(tile, way).flatten().tolist()) for way in range(8)}
    square = [torch.rot90(side, turns, (2, 3)) for side in (tile, tile.flip(3)) for turns in range(4)]
    assert ways == {tuple(one.flatten().tolist()) for one in square}


def test_maps_leave_out_what_is_no_patch_and_sum_to_one() -> None:
    rows = torch.tensor([[0.5, 0.1, 0.2, 0.1, 0.1]])
    assert torch.allclose(study.as_maps(rows, (2, 2)), torch.tensor([[[0.2, 0.4], [0.2, 0.2]]]))
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2, :1] = True
    assert study.share_in_patches(mask, 2).tolist() == [[[0.5, 0.0], [0.0, 0.0]]]


def test_a_project_says_what_it_is_and_where_its_numbers_are(tmp_path: Path) -> None:
    folder, results = (
        tmp_path / "dig",
        {"title": "T", "question": "Q?", "data": {"name": "d"}, "training": {"run": "abc"}},
    )
    for inner in (folder / "report", folder / "runs" / "abc"):
        inner.mkdir(parents=True)
    (folder / "report" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (folder / "runs" / "abc" / "config.json").write_text('{"steps": 3}', encoding="utf-8")
    assert study.reported(folder) == (results, {"steps": 3})
    study.write_readme(folder, results, ("a_vit", "a_cnn"), 224, "domain")
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "a_vit and a_cnn, on d, at 224 x 224 pixels" in text
    assert "`python -m dig.domain`" in text
    assert "`runs/abc/`" in text
