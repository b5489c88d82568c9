"""Typed samples, the same on every call: what needs no network, and real data sets from disk or a download."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from .shapes import _RGB

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

SCENE_CLASSES = ("circle", "square", "triangle")
"""The classes of `shape_scenes`, in the order of their labels."""
LEAST_VISIBLE = 0.25
"""How much of an object the objects before it leave to be seen, at least."""
TRIES = 60
"""How many places are tried for an object before it is left out."""


class SceneTarget(TypedDict):
    """What is in one picture, M objects from back to front; a dict, as the libraries for detection take it.

    boxes : (M, 4) float32, xyxy in pixels, the whole object, also where another one hides it; clipped to the picture.
    labels : (M,) int64, index into `SCENE_CLASSES`. colors : (M,) int64, index into `COLORS`.
    masks : (M, S, S) bool, the pixels where it is seen. visibility : (M,) float32, the share of its pixels that are.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    colors: torch.Tensor
    masks: torch.Tensor
    visibility: torch.Tensor


@dataclass(frozen=True, eq=False)
class ShapeScenes:
    """Pictures of several colored shapes, with complete ground truth.

    Attributes:
        images: (n, 3, S, S) float32 in [0, 1].
        targets: n `SceneTarget`s.
    """

    images: torch.Tensor
    targets: list[SceneTarget]


def shape_scenes(
    n: int,
    size: int = 64,
    min_objects: int = 1,
    max_objects: int = 4,
    radius: tuple[float, float] = (0.10, 0.22),
    max_iou: float = 0.3,
    seed: int = 0,
) -> ShapeScenes:
    """Draw `n` pictures of circles, squares and triangles on noisy gradients; the same for the same arguments.

    The number of objects, their classes, colors, sizes and places are drawn uniformly. Later objects are in front of
    earlier ones, which stay visible to a quarter at least. An object that finds no place is left out.

    Args:
        n: number of pictures, at least 1.
        size: S, height and width in pixels, at least 16.
        min_objects: objects in a picture, at least 0.
        max_objects: objects in a picture, at most.
        radius: least and most half the side of an object, as a share of the side of the picture.
        max_iou: how much the boxes of two objects of a picture may overlap, as intersection over union, 0 to 1.
        seed: of all randomness.

    Returns:
        A `ShapeScenes`.

    Raises:
        ValueError: an argument is not as above, or `min_objects` objects find no place in a picture.
    """
    import numpy as np
    import torch

    from . import rendering

    if n < 1 or size < 16:
        raise ValueError(f"shape_scenes needs n >= 1 and size >= 16, got n={n} and size={size}")
    if not 0 <= min_objects <= max_objects:
        raise ValueError(f"0 <= min_objects <= max_objects does not hold for {min_objects} and {max_objects}")
    if not 1 <= radius[0] * size <= radius[1] * size <= size / 2:
        raise ValueError(f"radius={radius} is not two shares, the smaller first, from a pixel to half the picture")
    if not 0 <= max_iou <= 1:
        raise ValueError(f"max_iou={max_iou} is not between 0 and 1")
    rng = np.random.default_rng(seed)
    count = rng.integers(min_objects, max_objects + 1, n)
    pictures = rendering.noisy_gradient(n, size, rng)
    placed = _Placed(n, size, max_iou)
    for slot in range(max_objects):
        drawn = _draw(n, size, radius, rng)
        waiting = np.flatnonzero(count > slot)
        for _ in range(TRIES):
            if len(waiting) == 0:
                break
            cover = _cover(drawn, waiting, size, rng)
            fits = placed.add(waiting, cover >= 0.5, drawn.label, drawn.color)
            at = waiting[fits]
            pictures[at] = rendering.paint(pictures[at], cover[fits], drawn.tint[at])
            waiting = waiting[~fits]
        if len(waiting) and slot < min_objects:
            raise ValueError(f"{min_objects} objects of radius {radius} with max_iou={max_iou} find no place")
    return ShapeScenes(images=torch.from_numpy(pictures), targets=[placed.target(index) for index in range(n)])


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One object for each picture, without its place."""

    label: NDArray[np.int64]
    color: NDArray[np.int64]
    radius: NDArray[np.float32]
    angle: NDArray[np.float32]
    tint: NDArray[np.float32]


def _draw(n: int, size: int, radius: tuple[float, float], rng: np.random.Generator) -> _Drawn:
    import numpy as np

    color = rng.integers(len(_RGB), size=n)
    tint = np.clip(np.array(_RGB)[color] * rng.uniform(0.85, 1.1, (n, 1)), 0, 1)
    return _Drawn(
        label=rng.integers(len(SCENE_CLASSES), size=n),
        color=color,
        radius=(size * rng.uniform(*radius, n)).astype(np.float32),
        angle=rng.uniform(-0.2, 0.2, n).astype(np.float32),
        tint=tint.astype(np.float32),
    )


def _cover(drawn: _Drawn, at: NDArray[np.intp], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How much the objects of some pictures cover of each pixel, each at a new place: (len(at), size, size)."""
    import numpy as np

    from . import rendering

    radius = drawn.radius[at]
    center = rng.uniform(radius[:, None], size - radius[:, None], (len(at), 2)).astype(np.float32)
    return rendering.covers(SCENE_CLASSES, drawn.label[at], center, radius, drawn.angle[at], size)


@dataclass(eq=False)
class _Placed:
    """What is placed so far: for each picture a list of objects, from back to front."""

    n: int
    size: int
    max_iou: float
    objects: list[list[dict[str, NDArray[np.generic]]]] = field(init=False)

    def __post_init__(self) -> None:
        self.objects = [[] for _ in range(self.n)]

    def add(
        self,
        at: NDArray[np.intp],
        masks: NDArray[np.bool_],
        label: NDArray[np.int64],
        color: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Put an object into each of the pictures `at` where it fits; whether it does, for each."""
        import numpy as np

        from . import rendering

        boxes = rendering.tight_boxes(masks)
        fits = np.ones(len(at), dtype=bool)
        for row, index in enumerate(at):
            before = self.objects[index]
            seen = [one["mask"] & ~masks[row] for one in before]
            fits[row] = all(
                _iou(boxes[row], one["box"]) <= self.max_iou and left.sum() >= LEAST_VISIBLE * one["pixels"]
                for one, left in zip(before, seen, strict=True)
            )
            if not fits[row]:
                continue
            for one, left in zip(before, seen, strict=True):
                one["mask"] = left
            pixels = masks[row].sum()
            new = {
                "box": boxes[row],
                "mask": masks[row],
                "pixels": pixels,
                "label": label[index],
                "color": color[index],
            }
            before.append(new)
        return fits

    def target(self, index: int) -> SceneTarget:
        import numpy as np
        import torch

        here = self.objects[index]

        def stacked(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> torch.Tensor:
            values = np.array([one[name] for one in here], dtype=dtype)
            return torch.from_numpy(values.reshape(len(here), *shape))

        masks = stacked("mask", (self.size, self.size), np.bool_)
        pixels = stacked("pixels", (), np.float32)
        return SceneTarget(
            boxes=stacked("box", (4,), np.float32),
            labels=stacked("label", (), np.int64),
            colors=stacked("color", (), np.int64),
            masks=masks,
            visibility=masks.sum((1, 2)) / pixels,
        )


def _iou(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Intersection over union of two boxes xyxy."""
    import numpy as np

    width, height = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both = float(width * height)
    areas = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return both / (areas - both)
