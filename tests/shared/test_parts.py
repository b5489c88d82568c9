"""`datasets.part_whole_scenes` and `datasets.mask_videos`: ground truth against pixels, determinism, every option."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from shared import datasets
from shared.data import mask_videos as videos_module
from shared.data import rendering, scenes, shapes
from shared.data.textures import textures

SCENES = datasets.part_whole_scenes(200, seed=3)
VIDEOS = datasets.mask_videos(40, seed=3)


def test_scenes_have_a_whole_and_a_part_for_each_object() -> None:
    assert (SCENES.images.shape, SCENES.images.dtype) == ((200, 3, 32, 32), torch.float32)
    assert 0 <= SCENES.images.min() <= SCENES.images.max() <= 1
    assert {len(target["masks"]) for target in SCENES.targets} == {2, 4}
    for target in SCENES.targets:
        masks, k = target["masks"], len(target["masks"])
        assert (masks.shape, masks.dtype) == ((k, 32, 32), torch.bool)
        assert target["object_id"].tolist() == [0, 0, 1, 1][:k]
        assert target["level"].tolist() == [1, 0, 1, 0][:k]
        wholes, parts = masks[0::2], masks[1::2]
        assert not (parts & ~wholes).any(), "a part lies inside"
        assert (parts.flatten(1).sum(1) < 0.7 * wholes.flatten(1).sum(1)).all()
        assert masks.flatten(1).sum(1).min() >= 20
        assert wholes.sum(0).max() <= 1, "wholes do not overlap"
    with pytest.raises(FrozenInstanceError):
        SCENES.images = SCENES.images  # type: ignore[misc]


def test_masks_of_scenes_are_what_the_pixels_show() -> None:
    """Inside of its outline a part differs from the rest of its whole, and both from the ground."""
    gaps = {"part": 0, "ground": 0}
    for image, target in zip(SCENES.images, SCENES.targets, strict=True):
        ground = image[:, ~target["masks"].any(0)].mean(1)
        for whole, part in zip(target["masks"][0::2], target["masks"][1::2], strict=True):
            inner, outer = image[:, part].mean(1), image[:, whole & ~part].mean(1)
            gaps["part"] += int((inner - outer).norm() > 0.15)
            gaps["ground"] += int((outer - ground).norm() > 0.15)
    objects = sum(len(target["masks"]) // 2 for target in SCENES.targets)
    assert min(gaps.values()) >= 0.97 * objects


def test_a_shape_is_not_of_one_color() -> None:
    spread = [image[:, part].std(1).max() for image, target in zip(SCENES.images, SCENES.targets, strict=True)
              for part in target["masks"][1::2]]  # fmt: skip
    assert torch.stack(spread).median() > 0.08


def test_options_of_scenes() -> None:
    one = datasets.part_whole_scenes(20, size=48, max_objects=1, seed=1)
    assert one.images.shape == (20, 3, 48, 48)
    assert {len(target["masks"]) for target in one.targets} == {2}
    many = datasets.part_whole_scenes(60, size=64, max_objects=4, seed=1)
    assert max(len(target["masks"]) for target in many.targets) > 4
    for options in ({"n": 0}, {"size": 31}, {"max_objects": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            datasets.part_whole_scenes(**({"n": 2} | options))


def test_same_seed_same_samples_and_no_global_state() -> None:
    np.random.seed(0)  # noqa: NPY002
    one, video = datasets.part_whole_scenes(8, seed=5), datasets.mask_videos(3, seed=5)
    np.random.seed(1)  # noqa: NPY002
    again, video_again = datasets.part_whole_scenes(8, seed=5), datasets.mask_videos(3, seed=5)
    assert torch.equal(one.images, again.images)
    assert all(torch.equal(a["masks"], b["masks"]) for a, b in zip(one.targets, again.targets, strict=True))
    assert torch.equal(video.frames, video_again.frames)
    assert torch.equal(video.masks, video_again.masks)
    assert not torch.equal(one.images, datasets.part_whole_scenes(8, seed=6).images)
    assert not torch.equal(video.frames, datasets.mask_videos(3, seed=6).frames)


def test_videos_have_masks_that_do_not_overlap_and_the_second_is_in_front() -> None:
    n, frames, objects = 40, 12, videos_module.OBJECTS
    assert (VIDEOS.frames.shape, VIDEOS.frames.dtype) == ((n, frames, 3, 32, 32), torch.float32)
    assert 0 <= VIDEOS.frames.min() <= VIDEOS.frames.max() <= 1
    assert (VIDEOS.masks.shape, VIDEOS.masks.dtype) == ((n, frames, objects, 32, 32), torch.bool)
    assert torch.equal(VIDEOS.visible, VIDEOS.masks.flatten(3).any(-1))
    assert VIDEOS.masks.sum(2).max() <= 1
    pixels = VIDEOS.masks.flatten(3).sum(-1).float()
    share = pixels / pixels[:, :1]
    assert (share[..., 1] > 0.75).all(), "what is in front keeps its size"
    assert (share[..., 0].amin(1) < 0.7).float().mean() > 0.7, "ways cross"


def test_shapes_of_videos_move_and_the_ground_stands_still() -> None:
    ever = VIDEOS.masks.any((1, 2))
    for frames, masks, touched in zip(VIDEOS.frames, VIDEOS.masks, ever, strict=True):
        still = frames[:, :, ~torch.nn.functional.max_pool2d(touched[None].float(), 3, 1, 1)[0].bool()]
        assert torch.equal(still, still[:1].expand_as(still))
        assert not (masks[0] & masks[-1]).any(), "the end is elsewhere"


def test_a_video_shows_its_shapes_where_its_masks_are() -> None:
    """The middle color of a shape stays near that of its first frame, as far as it is seen."""
    near = []
    for frames, masks in zip(VIDEOS.frames, VIDEOS.masks, strict=True):
        for m in range(videos_module.OBJECTS):
            first = frames[0][:, masks[0, m]].mean(1)
            near += [
                (f[:, s[m]].mean(1) - first).norm() < 0.15
                for f, s in zip(frames, masks, strict=True)
                if s[m].sum() > 40
            ]
    assert torch.stack(near).float().mean() > 0.97


def test_options_of_videos() -> None:
    video = datasets.mask_videos(2, frames=5, size=24, seed=0)
    assert video.frames.shape == (2, 5, 3, 24, 24)
    for options in ({"n": 0}, {"frames": 1}, {"size": 23}):
        with pytest.raises(ValueError, match=next(iter(options))):
            datasets.mask_videos(**({"n": 2} | options))


def test_both_shapes_of_a_first_frame_are_seen_whole() -> None:
    later = VIDEOS.masks.flatten(3).sum(-1).amax(1)
    assert (VIDEOS.masks[:, 0].flatten(2).sum(-1) > 0.8 * later).all()


def test_covers_of_several_kinds_are_those_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    center, radius = rng.uniform(8, 24, (6, 2)).astype(np.float32), rng.uniform(4, 8, 6).astype(np.float32)
    angle, kind = rng.uniform(-1, 1, 6).astype(np.float32), np.array([2, 0, 1, 1, 2, 0])
    cover = rendering.covers(scenes.SCENE_CLASSES, kind, center, radius, angle, 32)
    for k in range(6):
        one = slice(k, k + 1)
        distance = rendering.signed_distance(scenes.SCENE_CLASSES[kind[k]], center[one], radius[one], angle[one], 32)
        assert np.array_equal(cover[one], rendering.coverage(distance))


def test_a_texture_moves_along_and_is_painted_pixel_by_pixel() -> None:
    surface = textures(np.array([0, 3]), np.random.default_rng(0))
    center, radius = np.array([[10, 12], [9, 8]], dtype=np.float32), np.array([5, 6], dtype=np.float32)
    colors = surface.painted(center, radius, 24)
    assert colors.shape == (2, 3, 24, 24)
    assert np.allclose(
        surface.painted(center + np.float32(3), radius, 24)[:, :, 3:, 3:], colors[:, :, :-3, :-3], atol=1e-5
    )
    assert np.abs(colors.mean((2, 3)) - np.array(shapes._RGB)[[0, 3]]).max() < 0.25
    black, half = np.zeros((2, 3, 24, 24), dtype=np.float32), np.full((2, 24, 24), 0.5, dtype=np.float32)
    assert np.allclose(rendering.paint(black, half, colors), colors / 2)
    assert np.allclose(rendering.paint(black, half, surface.tint)[:, :, 5, 7], surface.tint / 2)
