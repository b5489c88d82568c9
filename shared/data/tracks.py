"""Boxes that move, cross and hide each other, and what a detector would say of them; no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDING_WIDTH = 16
"""Entries of an appearance embedding."""
LEAST_DETECTED = 0.1
"""An object of which less than this share is visible is never detected."""
STARTS_LATE = 0.3
"""Share of the objects that enter within the first third; as many leave within the last third."""


class TruthFrame(TypedDict):
    """The G objects in one frame, in the order of their ids.

    ids : (G,) int64. boxes : (G, 4) float32, xyxy in pixels, the whole object.
    visibility : (G,) float32, the share of the box that no object in front of it covers.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    visibility: NDArray[np.float32]


class DetectionFrame(TypedDict):
    """The D detections of one frame, in an order that says nothing.

    boxes : (D, 4) float32, xyxy in pixels. scores : (D,) float32 in (0, 1).
    embeddings : (D, 16) float32 of length 1. source : (D,) int64, the id of the object, -1 for a false positive.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    source: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrackingSequence:
    """True objects and noisy detections, frame by frame.

    Attributes:
        gt: a `TruthFrame` for each frame.
        det: a `DetectionFrame` for each frame.
        size: width and height of the frames in pixels.
    """

    gt: list[TruthFrame]
    det: list[DetectionFrame]
    size: tuple[int, int]


def tracking_sequence(
    frames: int = 120,
    n_objects: int = 18,
    size: tuple[int, int] = (320, 240),
    drop: float = 0.1,
    false_positives: float = 0.3,
    noise: float = 1.5,
    seed: int = 0,
) -> TrackingSequence:
    """Move `n_objects` boxes through `frames` frames and detect them; the same for the same arguments.

    An object goes almost straight, turns back at the border, and is in front of all objects with a smaller id. Some
    enter late or leave early. Where an object is covered, its detection has a lower score, a less exact box and a less
    exact embedding; with less than a tenth visible there is none.

    Args:
        frames: number of frames, at least 1.
        n_objects: number of objects, at least 0.
        size: width and height of a frame in pixels, at least 64 each.
        drop: share of the detections that are missing at random, 0 to 1.
        false_positives: mean number of detections without an object in a frame, at least 0.
        noise: standard deviation of each edge of a detected box in pixels where the whole object is visible, at least
            0; three times that where next to nothing is.
        seed: of all randomness.

    Returns:
        A `TrackingSequence`.

    Raises:
        ValueError: an argument is not as above.
    """
    import numpy as np

    if frames < 1 or n_objects < 0:
        raise ValueError(f"frames >= 1 and n_objects >= 0 do not hold for {frames} and {n_objects}")
    if min(size) < 64:
        raise ValueError(f"size={size} is less than 64 pixels wide or high")
    if not 0 <= drop <= 1:
        raise ValueError(f"drop={drop} is not between 0 and 1")
    if not (0 <= false_positives < np.inf and 0 <= noise < np.inf):
        raise ValueError(f"false_positives={false_positives} and noise={noise} are not both finite and at least 0")
    # Two streams: how the objects move does not depend on what the detector does.
    moving, detecting = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    boxes = _paths(frames, n_objects, size, moving)
    present = _present(frames, n_objects, moving)
    looks = _unit(moving.standard_normal((n_objects, EMBEDDING_WIDTH)))
    gt = [_truth(boxes[t], present[t]) for t in range(frames)]
    det = [_detections(now, looks, size, drop, false_positives, noise, detecting) for now in gt]
    return TrackingSequence(gt=gt, det=det, size=size)


def _paths(frames: int, n: int, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Where each object is in each frame: (frames, n, 4) xyxy, inside the frame."""
    import numpy as np

    height = rng.uniform(0.14, 0.24, n) * min(size)
    extent = np.stack([height * rng.uniform(0.4, 0.7, n), height], axis=-1)
    room = np.array(size) - extent
    corner = rng.uniform(0, 1, (n, 2)) * room
    angle = rng.uniform(0, 2 * np.pi, n)
    speed = rng.uniform(1.0, 3.0, n)
    start = speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    velocity = start + np.cumsum(rng.normal(0, 0.05, (frames, n, 2)), axis=0)
    velocity[0] = 0
    # A path that leaves the frame is folded back into it, as light is by a mirror.
    free = (corner + np.cumsum(velocity, axis=0)) % (2 * room)
    inside = room - np.abs(room - free)
    return np.concatenate([inside, inside + extent], axis=-1)


def _present(frames: int, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether each object is there in each frame, one stretch for each: (frames, n)."""
    import numpy as np

    third = frames // 3
    first = np.where(rng.random(n) < STARTS_LATE, rng.integers(0, third + 1, n), 0)
    last = np.where(rng.random(n) < STARTS_LATE, frames - 1 - rng.integers(0, third + 1, n), frames - 1)
    frame = np.arange(frames)[:, None]
    return (first <= frame) & (frame <= last)


def _truth(boxes: NDArray[np.float64], present: NDArray[np.bool_]) -> TruthFrame:
    import numpy as np

    ids = np.flatnonzero(present).astype(np.int64)
    # Visibility is that of the boxes that are handed out, which are rounded to float32.
    here = boxes[ids].astype(np.float32)
    visibility = np.array([_visible(box, here[i + 1 :]) for i, box in enumerate(here)], dtype=np.float32)
    return TruthFrame(ids=ids, boxes=here, visibility=visibility)


def _visible(box: NDArray[np.float32], front: NDArray[np.float32]) -> float:
    """The share of `box` (4,) that none of the boxes `front` (F, 4) covers; exact."""
    import numpy as np

    low, high = box[:2].astype(np.float64), box[2:].astype(np.float64)
    cut = np.clip(front.reshape(-1, 2, 2).astype(np.float64), low, high)
    # All edges together divide the box into a grid of cells, each covered wholly or not at all.
    xs = np.unique([low[0], high[0], *cut[..., 0].ravel()])
    ys = np.unique([low[1], high[1], *cut[..., 1].ravel()])
    x, y = (xs[:-1] + xs[1:]) / 2, (ys[:-1] + ys[1:]) / 2
    across = (cut[:, 0, 0, None] < x) & (x < cut[:, 1, 0, None])
    down = (cut[:, 0, 1, None] < y) & (y < cut[:, 1, 1, None])
    covered = (down[:, :, None] & across[:, None, :]).any(axis=0)
    areas = np.diff(ys)[:, None] * np.diff(xs)[None, :]
    return float(areas[~covered].sum() / areas.sum())


def _detections(
    truth: TruthFrame,
    looks: NDArray[np.float64],
    size: tuple[int, int],
    drop: float,
    false_positives: float,
    noise: float,
    rng: np.random.Generator,
) -> DetectionFrame:
    import numpy as np

    seen = (truth["visibility"] >= LEAST_DETECTED) & (rng.random(len(truth["ids"])) >= drop)
    ids, visible = truth["ids"][seen], truth["visibility"][seen].astype(np.float64)
    hidden = (1 - visible)[:, None]
    boxes = truth["boxes"][seen] + noise * (1 + 2 * hidden) * rng.standard_normal((len(ids), 4))
    scores = 0.2 + 0.65 * visible + rng.normal(0, 0.06, len(ids))
    embeddings = looks[ids] + (0.08 + 0.35 * hidden) * rng.standard_normal((len(ids), EMBEDDING_WIDTH))

    extra = int(rng.poisson(false_positives))
    wrong = rng.uniform(0.1, 0.24, (extra, 2)) * min(size)
    corner = rng.uniform(0, 1, (extra, 2)) * (np.array(size) - wrong)
    boxes = np.concatenate([boxes, np.concatenate([corner, corner + wrong], axis=-1)])
    scores = np.concatenate([scores, rng.uniform(0.1, 0.7, extra)])
    embeddings = _unit(np.concatenate([embeddings, rng.standard_normal((extra, EMBEDDING_WIDTH))]))
    source = np.concatenate([ids, np.full(extra, -1, dtype=np.int64)])

    # Noise may swap the edges of a small box.
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=-1)
    order = rng.permutation(len(source))
    return DetectionFrame(
        boxes=boxes[order].astype(np.float32),
        scores=np.clip(scores, 0.01, 0.99)[order].astype(np.float32),
        embeddings=embeddings[order].astype(np.float32),
        source=source[order],
    )


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows with length 1."""
    import numpy as np

    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
