"""`datasets.field_tiles` against what it says it drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared import datasets
from shared.data import tiles

DRAWN = datasets.field_tiles(240, seed=0)
BARE = datasets.LAND_USES.index("bare soil")


def test_shapes_types_and_ranges() -> None:
    found = datasets.field_tiles(7, seed=3, size=24)
    assert (found.x.shape, found.x.dtype) == ((7, 3, 24, 24), torch.float32)
    assert (found.y.shape, found.y.dtype) == ((7,), torch.int64)
    assert (found.evidence.shape, found.evidence.dtype) == ((7, 24, 24), torch.bool)
    assert (found.angle.shape, found.angle.dtype) == ((7,), torch.float32)
    assert (found.haze.shape, found.haze.dtype) == ((7,), torch.float32)
    assert (found.clutter.shape, found.clutter.dtype) == ((7,), torch.int64)
    assert 0 <= DRAWN.x.min() < 0.2
    assert 0.8 < DRAWN.x.max() <= 1
    assert DRAWN.angle.min() >= 0
    assert DRAWN.angle.max() < np.pi
    assert 0 <= DRAWN.haze.min() < 0.05
    assert 0.7 < DRAWN.haze.max() <= 0.75
    assert set(DRAWN.clutter.tolist()) == set(range(7))


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    torch.manual_seed(1)
    again, other = datasets.field_tiles(240, seed=0), datasets.field_tiles(240, seed=1)
    for name in ("x", "y", "evidence", "angle", "haze", "clutter"):
        assert torch.equal(getattr(again, name), getattr(DRAWN, name))
        assert not torch.equal(getattr(other, name), getattr(DRAWN, name))


def test_every_class_is_drawn_equally_often() -> None:
    assert DRAWN.y.bincount().tolist() == [40] * 6
    assert sorted(datasets.field_tiles(8, seed=0).y.bincount(minlength=6).tolist()) == [1, 1, 1, 1, 2, 2]


def test_all_but_bare_soil_have_evidence() -> None:
    area = DRAWN.evidence.float().mean((1, 2))
    assert (area[DRAWN.y == BARE] == 0).all()
    assert (area[DRAWN.y != BARE] > 0.01).all()
    assert (area < 0.6).all()


def test_the_evidence_is_where_the_structure_changes_the_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the structure the same tile differs in the evidence and its smooth edges, and nowhere else."""
    covers: list[np.ndarray] = []
    real = tiles.structure

    def nothing(kind: str, angle: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        covers.append(real(kind, angle, size, rng))
        return np.zeros_like(covers[-1])

    monkeypatch.setattr(tiles, "structure", nothing)
    bare = datasets.field_tiles(240, seed=0)
    cover = torch.zeros(DRAWN.evidence.shape)
    for kind, of_kind in enumerate(covers):
        cover[DRAWN.y == kind] = torch.from_numpy(of_kind)
    changed = (bare.x - DRAWN.x).abs().amax(1)
    assert not bare.evidence.any()
    assert torch.equal(bare.haze, DRAWN.haze)
    assert changed[cover == 0].max() < 1e-6
    assert (cover[DRAWN.evidence] >= 0.5).all()
    assert (changed[DRAWN.evidence] > 1e-3).float().mean() > 0.99  # a color may meet that of the soil


def test_haze_takes_the_contrast_and_not_the_evidence() -> None:
    def contrast(tile: int) -> float:
        inside = DRAWN.evidence[tile]
        return float((DRAWN.x[tile][:, inside].mean(1) - DRAWN.x[tile][:, ~inside].mean(1)).abs().max())

    rivers = (DRAWN.y == datasets.LAND_USES.index("river")).nonzero()[:, 0]
    hazy, clear = rivers[DRAWN.haze[rivers] > 0.6], rivers[DRAWN.haze[rivers] < 0.15]
    assert max(map(contrast, hazy.tolist())) < min(map(contrast, clear.tolist()))
    area = DRAWN.evidence[rivers].float().mean((1, 2))
    assert np.corrcoef(area, DRAWN.haze[rivers])[0, 1] ** 2 < 0.15


def test_clutter_covers_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_blobs", lambda n, size, rng: np.ones((n, size, size), np.float32))
    covered = datasets.field_tiles(60, seed=0)
    assert not covered.evidence[covered.clutter > 0].any()
    assert covered.evidence[(covered.clutter == 0) & (covered.y != BARE)].any((1, 2)).all()


def test_rows_follow_their_angle() -> None:
    """The strongest direction of the evidence's gradient is across the rows."""
    rows = (DRAWN.y == datasets.LAND_USES.index("crop rows")) & (DRAWN.clutter < 3)
    for tile in rows.nonzero()[:12, 0].tolist():
        mask = DRAWN.evidence[tile].float().numpy()
        down, right = np.gradient(mask)
        tensor = np.array([[(right * right).sum(), (right * down).sum()], [(right * down).sum(), (down * down).sum()]])
        x, y = np.linalg.eigh(tensor)[1][:, -1]
        across = np.arctan2(y, x) - np.pi / 2  # rows run along the angle, so the gradient is a right angle from it
        assert abs(np.sin(across - DRAWN.angle[tile].item())) < 0.35


@pytest.mark.parametrize(("n", "size"), [(0, 32), (3, 15)])
def test_what_cannot_be_drawn_is_refused(n: int, size: int) -> None:
    with pytest.raises(ValueError, match="field_tiles needs"):
        datasets.field_tiles(n, seed=0, size=size)


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown structure 'lake'"):
        tiles.structure("lake", np.zeros(1, np.float32), 32, np.random.default_rng(0))
