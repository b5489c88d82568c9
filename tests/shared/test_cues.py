"""`datasets.cue_images` against its own ground truth."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from shared import datasets
from shared.data.cues import CueMode

MODES: tuple[CueMode, ...] = ("match", "conflict", "shape", "texture")
SAMPLES = {mode: datasets.cue_images(400, 0, mode) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_types_shapes_and_ranges(mode: CueMode) -> None:
    sample = SAMPLES[mode]
    assert (sample.x.shape, sample.x.dtype) == ((400, 1, 32, 32), torch.float32)
    assert sample.x.is_contiguous()
    assert 0 <= sample.x.min() < sample.x.max() <= 1
    for labels, none in ((sample.shape, "texture"), (sample.texture, "shape")):
        assert (labels.shape, labels.dtype) == ((400,), torch.int64)
        assert labels.unique().tolist() == ([-1] if mode == none else [0, 1, 2, 3])
    assert (sample.mask.shape, sample.mask.dtype) == ((400, 32, 32), torch.bool)
    with pytest.raises(FrozenInstanceError):
        sample.x = sample.x  # type: ignore[misc]


def test_same_seed_same_pictures_and_another_seed_others() -> None:
    one, again, other = (datasets.cue_images(20, seed, "conflict") for seed in (5, 5, 6))
    for name in ("x", "shape", "texture", "mask"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.x, other.x)


def test_the_global_random_state_does_not_matter() -> None:
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    one = datasets.cue_images(3, 1, "match").x
    torch.rand(5)
    assert torch.equal(datasets.cue_images(3, 1, "match").x, one)


def test_cues_agree_in_match_and_never_in_conflict() -> None:
    assert torch.equal(SAMPLES["match"].shape, SAMPLES["match"].texture)
    conflict = SAMPLES["conflict"]
    assert (conflict.shape != conflict.texture).all()
    pairs = set(zip(conflict.shape.tolist(), conflict.texture.tolist(), strict=True))
    assert len(pairs) == 12  # every shape with every other texture


def test_modes_differ_in_nothing_but_what_they_say() -> None:
    """The same seed draws the same silhouettes at the same places, on the same background."""
    match, conflict, plain = (SAMPLES[mode] for mode in ("match", "conflict", "shape"))
    for other in (conflict, plain):
        assert torch.equal(other.mask, match.mask)
        outside = ~match.mask & ~_grown(match.mask)
        assert torch.equal(other.x[:, 0][outside], match.x[:, 0][outside])


def _grown(mask: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.max_pool2d(mask.float()[:, None], 7, 1, 3)[:, 0] > 0


@pytest.mark.parametrize("mode", ["match", "conflict", "shape"])
def test_objects_are_lighter_than_their_background_and_lie_in_the_picture(mode: CueMode) -> None:
    sample = SAMPLES[mode]
    border = sample.mask.clone()
    border[:, 1:-1, 1:-1] = False
    assert not border.any()
    inside = sample.mask.sum((1, 2))
    lift = (sample.x[:, 0] * sample.mask).sum((1, 2)) / inside
    lift -= (sample.x[:, 0] * ~sample.mask).sum((1, 2)) / (32 * 32 - inside)
    assert lift.min() > 0.05
    assert abs(lift.mean().item() - 0.18) < 0.02


@pytest.mark.parametrize("contrast", [0.0, 0.2, 0.6])
def test_contrast_is_what_lies_between_dark_and_light_stripes(contrast: float) -> None:
    x = datasets.cue_images(100, 3, "texture", texture_contrast=contrast).x.flatten(1)
    dark, light = x.quantile(0.1, dim=1), x.quantile(0.9, dim=1)
    assert abs((light - dark).mean().item() - (contrast**2 + 0.077**2) ** 0.5) < 0.06  # the grain alone: 0.077


def test_directions_of_the_textures() -> None:
    """Stripes change across themselves: neighbors in one direction differ, in the other they agree."""
    sample = SAMPLES["texture"]
    kinds = datasets.cue_images(400, 0, "match").texture  # the same draw, where it is said
    right = (sample.x[..., 2:] - sample.x[..., :-2]).abs().mean((1, 2, 3))
    down = (sample.x[..., 2:, :] - sample.x[..., :-2, :]).abs().mean((1, 2, 3))
    assert torch.equal(sample.texture, kinds)
    by_kind = {name: (right[kinds == k], down[kinds == k]) for k, name in enumerate(datasets.CUE_TEXTURES)}
    assert (by_kind["horizontal"][1] > 1.5 * by_kind["horizontal"][0]).all()
    assert (by_kind["vertical"][0] > 1.5 * by_kind["vertical"][1]).all()
    for name in ("diagonal", "checks"):
        ratio = by_kind[name][0] / by_kind[name][1]
        assert ((ratio > 0.6) & (ratio < 1.6)).all()
    turned = (sample.x[..., 2:, 2:] - sample.x[..., :-2, :-2]).abs().mean((1, 2, 3))
    back = (sample.x[..., 2:, :-2] - sample.x[..., :-2, 2:]).abs().mean((1, 2, 3))
    of_diagonal = kinds == datasets.CUE_TEXTURES.index("diagonal")
    assert (turned[of_diagonal] > 1.2 * back[of_diagonal]).all()


@pytest.mark.parametrize("size", [16, 32, 48])
def test_other_sizes(size: int) -> None:
    sample = datasets.cue_images(30, 2, "match", size=size)
    assert sample.x.shape == (30, 1, size, size)
    share = sample.mask.float().mean((1, 2))
    assert (share > 0.08).all()
    assert (share < 0.45).all()


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"size": 15}, {"mode": "both"}, {"texture_contrast": -0.1}, {"texture_contrast": 0.7}]
)
def test_wrong_arguments(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cue_images needs"):
        datasets.cue_images(**({"n": 5, "seed": 0, "mode": "match"} | wrong))  # type: ignore[arg-type]
