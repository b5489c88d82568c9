# %% [markdown]
# # Week 6: self-distillation
#
# ![Left: a photograph of a temple, two large crops of it, and three small ones. Middle: the paths of three runs in a plane of two entropies; one ends in a corner at 0, one in the opposite corner, one stays well above the diagonal. Right: kNN accuracy of five random networks and of the same networks after self-distillation, one line a seed; four of five rise, one stays.](outcome.png)
#
# *What you will have built by the end of this week. Left: the views of one image. Middle: three runs between their start and their end; on the diagonal the answer no longer depends on the image. Right: what the features of five networks know, before and after.*
#
# **After this week you can**
#
# - cut an image into two large and several small crops, and let a student match a teacher across them;
# - write the loss of DINO with its stop-gradient, its two temperatures and its center, and the loss of iBOT for hidden patches;
# - keep a teacher that no gradient touches: a moving average of its own student;
# - tell a run that learns from one that has collapsed, from two entropies, and name which of two ways it collapsed in;
# - say what features gain over a random network, over seeds, and when the honest answer is "hardly anything".
#
# **Time** about 12 hours: 4 of reading, 5 of coding, 3 of experiments. **You need** week 3 (distillation, moving averages) and week 5 (masking), or the ideas of both. The ViT comes from timm, so nothing depends on your answers of earlier weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you hand in, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $K$ | number of outputs of the head |
# | $V$ | views of an image: 2 global, $V - 2$ local | $\tau_s, \tau_t$ | temperatures of student and teacher |
# | $N$ | patches | $c$ | center, $K$ numbers |
# | $D$ | width of the model | $p, q$ | probabilities of student and teacher |
#
# All entropies are in **nats**: logarithms are natural, and $\log K$ is the entropy of $K$ equal probabilities.

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import display
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## Part 1. Two views, one answer
#
# In week 3 a student learned from a teacher, and the teacher had seen labels. In week 5 a model learned from pixels it could not see. This week there are **no labels, no pixels to predict and no teacher to begin with**. All there is: two crops of one photograph show the same thing, so a model should say the same about both.
#
# Say what? Anything. The head of the model has $K$ outputs that nobody has given a meaning. The student is asked to put the same probabilities on them for one crop as the teacher does for another. If it manages, the outputs must follow from what the crops *share*, and that is the content of the picture.
#
# **Predict.** There is one way to be right about every pair of crops without looking at a single pixel. Which? Keep it in mind: half of this week is about preventing it.
#
# Here is what "two views" means in practice (Caron et al. 2021, who call the method DINO). Two **global** crops show most of the image. Several **local** crops show a small part of it. The teacher gets only the global ones; the student gets all of them. So the student must guess from an ear what the teacher sees in the whole cat.

# %% [markdown] about="crops"
# ### Exercise 1. Multi-crop
#
# A crop is a square window, resized to a fixed number of pixels. For **each image of the batch and each crop** draw a window of its own:
#
# | step | how |
# | --- | --- |
# | area | a share $a$ of the image's area, uniform in the given range |
# | side | $\sqrt{a}$ of the image's side |
# | place | uniform over all places where the window lies wholly inside the image, row and column independently |
# | resize | bilinear, to `out` x `out` pixels, `align_corners=False`; nothing from outside the image may leak in at the border |
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `images` | $(B, C, S, S)$, floating point | square images; not changed |
# | `n_local` | | how many local crops; 0 is allowed |
# | `out_global`, `out_local` | | side of the crops in pixels |
# | `scale_global`, `scale_local` | pairs (low, high) | ranges of the share $a$, $0 < \text{low} \le \text{high} \le 1$; otherwise ValueError |
# | `generator` | | the only source of randomness |
# | result | list of 2, list of `n_local` | global crops $(B, C, \text{out}, \text{out})$, then local ones; dtype of `images` |
#
# Two right ways: `F.affine_grid` with `F.grid_sample` for the whole batch at once, or a loop that slices and resizes. Round to whole pixels if you slice.


# %% exercise="crops" difficulty=3 minutes=60
def multi_crop(
    images: torch.Tensor,
    n_local: int,
    out_global: int,
    out_local: int,
    scale_global: tuple[float, float],
    scale_local: tuple[float, float],
    generator: torch.Generator,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Two global and some local random crops of each image (Caron et al. 2021, section 3.1).

    Parameters
    ----------
    images : (B, C, S, S), floating point; not changed. n_local : number of local crops.
    out_global, out_local : side of the crops in pixels.
    scale_global, scale_local : (low, high), share of the image's area, drawn uniformly for each image and crop.
    generator : the only source of randomness.

    Returns
    -------
    A list of 2 tensors (B, C, out_global, out_global), and one of n_local tensors (B, C, out_local, out_local).

    Raises
    ------
    ValueError : when a range is not 0 < low <= high <= 1.
    """
    ### BEGIN SOLUTION
    for low, high in (scale_global, scale_local):
        if not 0 < low <= high <= 1:
            raise ValueError(f"({low}, {high}) is no range of shares with 0 < low <= high <= 1")

    def crop(out: int, low: float, high: float) -> torch.Tensor:
        batch, channels = images.shape[:2]
        side = (low + (high - low) * torch.rand(batch, generator=generator)).sqrt()
        # affine_grid counts from -1 to 1: a window of this side has room for its center up to 1 - side
        center = (1 - side)[:, None] * (2 * torch.rand(batch, 2, generator=generator) - 1)
        window = torch.zeros(batch, 2, 3)
        window[:, 0, 0] = window[:, 1, 1] = side
        window[:, :, 2] = center
        grid = F.affine_grid(window.to(images), [batch, channels, out, out], align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    global_crops = [crop(out_global, *scale_global) for _ in range(2)]
    return global_crops, [crop(out_local, *scale_local) for _ in range(n_local)]
    ### END SOLUTION


# %% look="crops"
# Look: one photograph, its two global crops, and six local ones. Each row draws anew.
with checks.look():
    look_photo = datasets.photograph("china", height=160, width=160).image[None]
    look_draw = torch.Generator().manual_seed(1)
    look_rows, look_titles = [], []
    for _ in range(2):
        large, small = multi_crop(look_photo, 6, 96, 48, (0.5, 1.0), (0.05, 0.3), look_draw)
        look_rows += [look_photo[0], *(crop[0] for crop in (*large, *small))]
        look_titles += ["image", "global 1", "global 2", *(f"local {k}" for k in range(1, 7))]
    display(plotting.image_grid(look_rows, titles=look_titles, columns=9))

# %% [markdown] hints="crops"
# <details><summary>Hint 1: the idea</summary>
#
# Write one inner function that makes one crop of every image, and call it 2 + `n_local` times. Inside, first a side for each image, then a place that leaves the window inside.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     a range that does not fit: ValueError
#     one crop of each image:
#         area = low + (high - low) * a random number for each image
#         side = square root of the area, as a share of the image's side
#         room = 1 - side
#         two random numbers for each image, times the room: where the window begins
#         sample out x out points in the window
#     two crops with the global numbers, n_local with the local ones
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.affine_grid(theta, [B, C, out, out], align_corners=False)` wants `theta` of shape (B, 2, 3). Coordinates run from -1 to 1, **x first**. `[[s, 0, cx], [0, s, cy]]` is a window of side $s$ (as a share) around $(c_x, c_y)$, and its center may be anywhere from $-(1 - s)$ to $1 - s$. `torch.rand(B, 2, generator=generator)` are numbers in [0, 1). `F.grid_sample(..., padding_mode="border")`: the default pads with zeros, which darkens the edges of an enlarged crop.
#
# </details>


# %% test="crops" points=5
def cropped(fn: Callable, images: torch.Tensor, *rest: object, seed: int = 0, elsewhere: int = 0) -> tuple:
    """Global crops and local crops of one call, and the images after it; `elsewhere` seeds the global state."""
    torch.manual_seed(elsewhere)
    images = images.clone()
    large, small = fn(images, *rest, torch.Generator().manual_seed(seed))
    return list(large), list(small), images


with checks.step("4 images of 2 x 32 x 32, 3 local crops"):
    images = checks.normal(seed=0)(4, 2, 32, 32)
    large, small, after = checks.beside(cropped, multi_crop, images, 3, 16, 8, (0.5, 1.0), (0.1, 0.3))
    checks.equal(len(large), 2, "the number of global crops")
    checks.equal(len(small), 3, "the number of local crops")
    for crop in large:
        checks.shape(crop, (4, 2, 16, 16), "a global crop")
    for crop in small:
        checks.shape(crop, (4, 2, 8, 8), "a local crop")
    checks.dtype(small[0], torch.float32, "a local crop")
    checks.equal(after, images, "the images after the call (an argument must not be changed in place)")
    checks.that(not torch.equal(large[0], large[1]), "the two global crops differ", came="the same window twice")
    checks.that(
        not any(torch.equal(one, other) for k, one in enumerate(small) for other in small[:k]),
        "the local crops differ from each other",
        came="one window, given several times",
    )

with checks.step("no local crops"):
    _, small, _ = checks.beside(cropped, multi_crop, images, 0, 16, 8, (0.5, 1.0), (0.1, 0.3))
    checks.equal(len(small), 0, "the number of local crops")

with checks.step("a white image has only white crops"):
    large, small, _ = checks.beside(cropped, multi_crop, torch.ones(8, 1, 16, 16), 2, 16, 16, (0.3, 1.0), (0.05, 0.2))
    for crop in (*large, *small):
        checks.close(crop, torch.ones(8, 1, 16, 16), "a crop", causes={
            "zeros from outside the image darken the border; grid_sample pads with zeros unless told otherwise": lambda: (
                crop.min().item() < 0.99 and crop[..., 4:12, 4:12].min().item() > 0.99
            ),
        })  # fmt: skip

with checks.step("eight times the same image, crops of a quarter of its area"):
    # each pixel holds its own column and row, so a crop says where it came from
    row, column = torch.meshgrid(torch.arange(64.0) + 0.5, torch.arange(64.0) + 0.5, indexing="ij")
    ramp = torch.stack([column, row]).expand(8, 2, 64, 64)
    large, _, _ = checks.beside(cropped, multi_crop, ramp, 0, 8, 8, (0.25, 0.25), (0.1, 0.1))
    sides = (large[0][:, 0, 4, 5] - large[0][:, 0, 4, 2]) / 3 * 8  # in pixels of the image, from the slope
    checks.close(sides, torch.full((8,), 32.0), "the side of the window in pixels", rtol=0.0, atol=1.01, causes={
        "the side is the share itself; the area is then its square": torch.full((8,), 16.0),
        "scale_global and scale_local changed places": torch.full((8,), 64 * math.sqrt(0.1)),
        "align_corners=True: the outermost pixels of a window became those of the crop": lambda: (
            checks.near(sides, torch.full((8,), 8 / 7 * 31.5), atol=0.3) and sides.std().item() < 0.01
        ),
        "windows stick out of the image: the room for a center is 1 - side": lambda: (  # outside, a border repeats
            (large[0].diff(dim=-1)[:, 0].abs() < 0.01).any().item() and sides.max().item() > 31
        ),
    })  # fmt: skip
    middles = large[0][:, :, 3:5, 3:5].mean((2, 3))
    checks.that(
        middles.std(0).min().item() > 2,
        "each image of the batch has a window of its own",
        came=f"centers {middles.round().tolist()}",
        causes={
            "one window was drawn for the whole batch": lambda: middles.std(0).max().item() < 0.01 and not any(
                checks.near(middles[0], torch.full((2,), place), atol=0.6) for place in (16.0, 32.0, 48.0)  # no draw
            ),
            "every window is in the middle of the image": lambda: checks.near(
                middles, torch.full((8, 2), 32.0), atol=0.6
            ),
        },
    )  # fmt: skip

with checks.step("windows that are the whole image, enlarged: images that nobody has seen, against F.interpolate"):
    images = checks.normal(checks.fresh_seed())(3, 2, 12, 12)
    large, small, _ = checks.beside(cropped, multi_crop, images, 1, 24, 18, (1.0, 1.0), (1.0, 1.0))
    checks.equal(len(small), 1, "the number of local crops")
    for crop, out in ((large[0], 24), (large[1], 24), (small[0], 18)):
        wanted = F.interpolate(images, size=(out, out), mode="bilinear", align_corners=False)
        checks.close(crop, wanted, "a crop", atol=1e-4, causes={
            "pixels were copied, not interpolated": F.interpolate(images, size=(out, out)),
            "resized bicubic, not bilinear": F.interpolate(images, size=(out, out), mode="bicubic"),
        "align_corners differs between affine_grid and grid_sample": lambda: checks.near(
            crop, F.grid_sample(images, F.affine_grid(torch.eye(2, 3)[None].expand(3, 2, 3), [3, 2, out, out], align_corners=False), padding_mode="border", align_corners=True), atol=1e-3
        ),
        })  # fmt: skip

with checks.step("ranges that are none"):
    for bad in ((0.5, 0.4), (0.0, 0.5), (0.5, 1.2), (-0.2, 0.5)):
        checks.raises(ValueError, checks.beside, cropped, multi_crop, images, 1, 16, 8, bad, (0.1, 0.3), name=f"the global range {bad}")  # fmt: skip
        checks.raises(ValueError, checks.beside, cropped, multi_crop, images, 1, 16, 8, (0.5, 1.0), bad, name=f"the local range {bad}")  # fmt: skip


# %% test="crops" points=5
def cropped(fn: Callable, images: torch.Tensor, *rest: object, seed: int = 0, elsewhere: int = 0) -> tuple:
    """Global crops and local crops of one call, and whether the global state is as it was; `elsewhere` seeds it."""
    torch.manual_seed(elsewhere)
    before = torch.get_rng_state()
    large, small = fn(images, *rest, torch.Generator().manual_seed(seed))
    return list(large), list(small), torch.equal(torch.get_rng_state(), before)


with checks.step("the same seed, and another"):
    images = checks.normal(seed=0)(3, 1, 16, 16)
    settings = (2, 8, 6, (0.5, 1.0), (0.1, 0.3))
    first, same, again, other = (
        checks.beside(cropped, multi_crop, images, *settings, seed=seed, elsewhere=elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    for part in (0, 1):
        checks.equal(torch.stack(again[part]), torch.stack(first[part]), "the crops of seed 0, a second time", causes={
            "a random number came from the global state, not from the generator": lambda: torch.equal(
                same[part][0], first[part][0]
            ),
        })  # fmt: skip
    checks.that(not torch.equal(other[0][0], first[0][0]), "another seed gives other crops", came="the same crops")
    checks.equal(first[2], True, "whether torch's own random state is as it was before the call")

### BEGIN HIDDEN TESTS
with checks.step("the same seed, twice: the generator alone decides"):
    images = checks.normal(seed=3)(2, 3, 16, 16)
    one, two = (checks.beside(cropped, multi_crop, images, *settings, seed=5, elsewhere=e) for e in (3, 4))
    checks.equal(torch.stack(one[1]), torch.stack(two[1]), "the local crops")


def windows(fn: Callable, draws: int, wide: tuple, narrow: tuple, seed: int) -> torch.Tensor:
    """(draws, 4, 16, 4): left, top, width, height in pixels, of 2 global and 2 local windows in 16 images of 64 x 64."""
    generator = torch.Generator().manual_seed(seed)
    across = torch.linspace(0.5, 63.5, 64).expand(64, 64)
    ramp = torch.stack([across, across.T]).expand(16, 2, 64, 64)  # each pixel holds its own column and row
    found = []
    for _ in range(draws):
        large, small = fn(ramp, 2, 8, 9, wide, narrow, generator)
        for crop in (*large, *small):
            middle = crop[:, :, 2:-2, 2:-2].mean((2, 3))
            slopes = crop[:, 0, 4, -3] - crop[:, 0, 4, 2], crop[:, 1, -3, 4] - crop[:, 1, 2, 4]
            size = torch.stack(slopes, 1) / (crop.shape[-1] - 5) * crop.shape[-1]
            found.append(torch.cat([middle - size / 2, size], 1))
    return torch.stack(found).unflatten(0, (draws, 4))


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()


def unevenness(numbers: torch.Tensor, low: float, high: float) -> float:
    """The largest gap between the distribution of the numbers and the uniform one from low to high (Kolmogorov)."""
    ranked = ((numbers.flatten() - low) / (high - low)).sort().values
    return (ranked - (torch.arange(len(ranked)) + 0.5) / len(ranked)).abs().max().item()


ranges = {"global": (0.04, 1.0), "local": (0.1, 0.9)}
with checks.step("100 draws of 2 global and 2 local windows in 16 images, shares from 0.04 to 1 and from 0.1 to 0.9"):
    found = checks.beside(windows, multi_crop, 100, *ranges.values(), 7)
    checks.shape(found, (100, 4, 16, 4), "the windows")
    checks.that(
        not torch.equal(found[0], found[1]), "the second call with a generator draws anew", came="the same windows"
    )
    for (kind, (low, high)), part in zip(ranges.items(), found.split(2, dim=1), strict=True):
        left, top, width, height = part.unbind(-1)
        checks.that(
            (width - height).abs().max().item() < 1.01,
            f"every {kind} window is square",
            came=f"sides that differ by up to {(width - height).abs().max():.1f} pixels",
        )
        inside = min(
            left.min().item(), top.min().item(), 64 - (left + width).max().item(), 64 - (top + height).max().item()
        )
        checks.that(
            inside > -0.6,
            f"every {kind} window lies inside the image",
            came=f"one sticks out by {-inside:.1f} pixels",
        )
        area = width * height / 64**2
        checks.that(  # whole pixels make steps of up to 0.02, and 3,200 numbers vary by 0.03
            unevenness(area, low, high) < 0.07,
            f"the area of {kind} windows is uniform from {low} to {high}",
            came=f"from {area.min():.2f} to {area.max():.2f} with the mean {area.mean():.3f}",
            causes={
                "the side is uniform, not the area: draw the area and take its root": lambda: (
                    unevenness(area.sqrt(), low**0.5, high**0.5) < 0.05
                ),
            },
        )
        alike = correlation(area[..., ::2], area[..., 1::2])
        checks.that(
            abs(alike) < 0.15,
            f"each image has a {kind} area of its own",
            came=f"a correlation of {alike:.2f} between images of one batch",
            causes={"one area was drawn for the whole batch": lambda: alike > 0.9},
        )
        alike = correlation(area[:, 0], area[:, 1])
        checks.that(abs(alike) < 0.15, f"the areas of the two {kind} windows are independent", came=f"a correlation of {alike:.2f}")  # fmt: skip
        free = 64 - width
        alike = correlation(area[free > 8], (left / free)[free > 8])
        checks.that(
            abs(alike) < 0.15,
            f"area and place of {kind} windows are independent",
            came=f"a correlation of {alike:.2f}",
            causes={"one random number serves area and place": lambda: abs(alike) > 0.9},
        )

with checks.step("where windows of a quarter of the area lie"):
    found = checks.beside(windows, multi_crop, 60, (0.25, 0.25), (0.25, 0.25), 11)
    checks.shape(found, (60, 4, 16, 4), "the windows")
    left, top = found[..., 0], found[..., 1]
    for name, edge in (("left", left), ("top", top)):
        checks.that(
            edge.min().item() < 1.5 and edge.max().item() > 30.5,
            f"the {name} edge is anywhere from 0 to 32 pixels",
            came=f"from {edge.min():.1f} to {edge.max():.1f}",
        )
        stuck = ((edge < 0.5) | (edge > 31.5)).float().mean().item()
        checks.that(
            stuck < 0.12,
            f"the {name} edge is uniform",
            came=f"{stuck:.0%} of the windows touch the border of the image",
            causes={"the windows were drawn too far out and pushed back inside": lambda: 0.2 < stuck < 0.9},
        )
        checks.that(
            unevenness(edge, 0, 32) < 0.07,
            f"the {name} edge is uniform from 0 to 32 pixels",
            came=f"{((edge > 8) & (edge < 24)).float().mean():.0%} in the middle half",
        )
        alike = correlation(edge[..., ::2], edge[..., 1::2])
        checks.that(abs(alike) < 0.15, f"each image has a {name} edge of its own", came=f"a correlation of {alike:.2f}")
        for one, other in ((0, 1), (0, 2), (1, 2), (2, 3)):
            alike = correlation(edge[:, one], edge[:, other])
            checks.that(abs(alike) < 0.15, f"windows {one} and {other} of an image are independent", came=f"a correlation of {alike:.2f}")  # fmt: skip
    together = correlation(left, top)
    checks.that(
        abs(together) < 0.15,
        "row and column are drawn independently",
        came=f"a correlation of {together:.2f}",
        causes={"one random number serves row and column: all windows lie on the diagonal": lambda: together > 0.9},
    )


def small_windows(fn: Callable, size: int, share: float, draws: int) -> torch.Tensor:
    """(draws, 3, 8, 4): left, top, width, height in pixels, of the windows of 8 images of size x size pixels."""
    axis = torch.arange(float(size)) + 0.5
    ramp = torch.stack([axis.expand(size, size), axis.expand(size, size).T]).expand(8, 2, size, size)
    generator, found = torch.Generator().manual_seed(2), []
    for _ in range(draws):
        large, small = fn(ramp, 1, 40, 40, (share, share), (share, share), generator)
        for crop in (*large, *small):
            middle, wide, high = (
                crop[:, :, 19:21, 19:21].mean((2, 3)),
                crop[:, 0, 20].diff(dim=1),
                crop[:, 1, :, 20].diff(dim=1),
            )
            sides = torch.stack([wide[:, 15:24].mean(1), high[:, 15:24].mean(1)], 1) * 40
            found.append(torch.cat([middle - sides / 2, sides], 1))
    return torch.stack(found).unflatten(0, (draws, 3))


for size, side in ((4, 2), (10, 5), (10, 7)):
    with checks.step(f"windows of {side} x {side} in images of {size} x {size} pixels"):
        found = checks.beside(small_windows, multi_crop, size, (side / size) ** 2, 20)
        checks.shape(found, (20, 3, 8, 4), "the windows")
        checks.close(
            found[..., 2:],
            torch.full((20, 3, 8, 2), float(side)),
            "the sides of the windows in pixels",
            rtol=0.0,
            atol=0.05,
        )
        for name, edge in (("left", found[..., 0]), ("top", found[..., 1])):
            checks.that(
                edge.min().item() < 0.4 and edge.max().item() > size - side - 0.4,
                f"the {name} edge reaches both ends, 0 and {size - side}",
                came=f"from {edge.min():.1f} to {edge.max():.1f}",
            )

with checks.step("a local range that is none, where no local crop is asked for"):
    checks.raises(
        ValueError,
        multi_crop,
        images,
        0,
        16,
        8,
        (0.5, 1.0),
        (0.5, 0.4),
        torch.Generator(),
        name="the local range (0.5, 0.4)",
    )

with checks.step("float64 images"):
    large, small, _ = checks.beside(cropped, multi_crop, torch.ones(2, 1, 16, 16, dtype=torch.float64), *settings)
    for crop, out in zip((*large, *small), (8, 8, 6, 6), strict=True):
        checks.close(crop, torch.ones(2, 1, out, out, dtype=torch.float64), "a crop of a white image")
### END HIDDEN TESTS

# %% [markdown] about="loss"
# ### Exercise 2. The loss of DINO
#
# Student and teacher are two networks with the same architecture. Each gives $K$ logits for a view. A softmax makes them probabilities:
#
# $$q(x) = \operatorname{softmax}\!\left(\frac{g_t(x) - c}{\tau_t}\right), \qquad p(x) = \operatorname{softmax}\!\left(\frac{g_s(x)}{\tau_s}\right)$$
#
# The teacher's temperature is lower ($\tau_t = 0.04$, $\tau_s = 0.1$), so its answer is **sharper** than the student's. A center $c$ is subtracted from the teacher's logits, not from the student's; exercise 3 computes it. The loss is the cross-entropy over **all pairs of different views**, the teacher's one of the two global ones:
#
# $$\mathcal{L} = \frac{1}{2 (V - 1)} \sum_{x \in \{x_1, x_2\}} \; \sum_{\substack{x' \in \text{views} \\ x' \ne x}} H\bigl(q(x),\, p(x')\bigr), \qquad H(q, p) = -\sum_k q_k \log p_k$$
#
# and a mean over the batch. (Caron et al. 2021, equations 1 to 3; there the sum is not divided.) **No gradient flows into the teacher or the center**: for this loss they are constants.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `student` | list of $V$ tensors $(B, K)$ | logits; views 0 and 1 are the global ones |
# | `teacher` | list of 2 tensors $(B, K)$ | logits of the global views, in the same order |
# | `center` | $(K,)$ | |
# | `t_student`, `t_teacher` | | temperatures |
# | result | scalar | |


# %% exercise="loss" difficulty=3 minutes=50
def dino_loss(
    student: Sequence[torch.Tensor],
    teacher: Sequence[torch.Tensor],
    center: torch.Tensor,
    t_student: float,
    t_teacher: float,
) -> torch.Tensor:
    """Cross-entropy of every student's view with every other global view of the teacher (Caron et al. 2021, eq. 3).

    Parameters
    ----------
    student : V tensors (B, K) of logits, the two global views first. teacher : 2 tensors (B, K) of logits.
    center : (K,), subtracted from the teacher's logits. t_student, t_teacher : temperatures.

    Returns
    -------
    A scalar in nats, averaged over pairs and batch. Teacher and center are constants: they get no gradient.
    """
    ### BEGIN SOLUTION
    targets = [((logits - center) / t_teacher).softmax(-1).detach() for logits in teacher]
    answers = [F.log_softmax(logits / t_student, dim=-1) for logits in student]
    pairs = [
        -(target * answer).sum(-1).mean()
        for i, target in enumerate(targets)
        for j, answer in enumerate(answers)
        if i != j
    ]
    return torch.stack(pairs).mean()
    ### END SOLUTION


# %% look="loss"
# Look: two outputs. The teacher's logits are (0.1, 0); what should the student say?
with checks.look():
    look_margin = torch.linspace(-0.2, 0.6, 81)
    look_curves = {}
    for look_name, look_t, look_c in (
        ("teacher at 0.04, no center", 0.04, 0.0),
        ("teacher at 0.1, no center", 0.1, 0.0),
        ("teacher at 0.04, center (0.1, 0)", 0.04, 0.1),
    ):
        look_teacher = [torch.tensor([[0.1, 0.0]])] * 2
        look_center = torch.tensor([look_c, 0.0])
        look_student = [[torch.stack([m, torch.zeros(())])[None]] * 2 for m in look_margin]
        look_curves[look_name] = torch.stack(
            [dino_loss(views, look_teacher, look_center, 0.1, look_t) for views in look_student]
        )
    display(
        plotting.curves(
            look_curves,
            x=look_margin,
            xlabel="the student's logit of output 0 over that of output 1",
            ylabel="loss in nats",
            title="A sharp teacher asks for more than it says",
        )
    )

# %% [markdown] hints="loss"
# <details><summary>Hint 1: the idea</summary>
#
# Two lists first: probabilities of the teacher's two views, log-probabilities of the student's views. Then a double loop over the lists with one `if`, and a mean.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     targets = for both teacher views: softmax of (logits - center) / teacher temperature, as constants
#     answers = for every student view: log-softmax of logits / student temperature
#     for i, target; for j, answer:
#         skip i == j
#         minus the sum over the outputs of target * answer, mean over the batch
#     mean of all of these
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `.softmax(-1)` runs over the outputs, `.softmax(0)` over the batch. `.detach()` makes a constant. `F.log_softmax` is exact where a probability rounds to 0. `torch.stack(list_of_scalars).mean()`. With `enumerate` over both lists the views are numbered alike, so `i != j` says "different views".
#
# </details>

# %% test="loss" points=6
# two outputs, two global views. With the center (1, 0) and t_teacher = 0.5 the teacher says (3/4, 1/4) and (1/2, 1/2);
# with t_student = 1 the student says (1/2, 1/2) and (4/5, 1/5)
teacher = [torch.tensor([[1 + 0.5 * math.log(3), 0.0]]), torch.tensor([[1.0, 0.0]])]
student = [torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(4), 0.0]])]
center = torch.tensor([1.0, 0.0])


def nats(*pairs: tuple) -> torch.Tensor:
    """Mean over pairs of the cross-entropy, for two outputs: each pair is the first probability of target and answer."""
    each = [-(q * math.log(p) + (1 - q) * math.log(1 - p)) for q, p in pairs]
    return torch.tensor(sum(each) / len(each), dtype=torch.float32)


def first_of(margin: float) -> float:
    """The first of two probabilities whose logits differ by this much."""
    return 1 / (1 + math.exp(-margin))


half_log3, log4 = 0.5 * math.log(3), math.log(4)
with checks.step("two views, two outputs, by hand: teacher 1 with student 2, teacher 2 with student 1"):
    loss = dino_loss(student, teacher, center, 1.0, 0.5)
    checks.shape(loss, (), "the loss")
    checks.close(loss, nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)), "the loss", causes={
        "pairs of a view with itself were counted as well": nats((3 / 4, 1 / 2), (3 / 4, 4 / 5), (1 / 2, 1 / 2), (1 / 2, 4 / 5)),
        "only pairs of a view with itself were counted": nats((3 / 4, 1 / 2), (1 / 2, 4 / 5)),
        "the sum over the pairs was not divided by their number": 2 * nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)),
        "the center was added; subtract it": nats((first_of(2 * (2 + half_log3)), 4 / 5), (first_of(4), 1 / 2)),
        "the center was not used": nats((first_of(2 * (1 + half_log3)), 4 / 5), (first_of(2), 1 / 2)),
        "the center was subtracted from the student as well": nats((3 / 4, first_of(log4 - 1)), (1 / 2, first_of(-1))),
        "the center was subtracted from the student, not from the teacher": nats(
            (first_of(2 * (1 + half_log3)), first_of(log4 - 1)), (first_of(2), first_of(-1))
        ),
        "the temperatures changed places: the teacher must be the sharper one": nats(
            (first_of(half_log3), first_of(2 * log4)), (1 / 2, 1 / 2)
        ),
        "the center was subtracted after the division by the temperature": nats(
            (first_of(2 * (1 + half_log3) - 1), 4 / 5), (first_of(1), 1 / 2)
        ),
        "student and teacher changed places in the cross-entropy": nats((4 / 5, 3 / 4), (1 / 2, 1 / 2)),
        "the softmax ran over the batch": lambda: checks.near(float(loss), 0.0) and checks.near(
            float(dino_loss([torch.ones(3, 2)] * 2, [torch.ones(3, 2)] * 2, torch.zeros(2), 1.0, 0.5)), math.log(3)
        ),
    })  # fmt: skip


def handed(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
    """All arguments as they are after a call."""
    student, teacher, center = [s.clone() for s in student], [t.clone() for t in teacher], center.clone()
    fn(student, teacher, center, 0.7, 0.4)
    return [*student, *teacher, center]


with checks.step("student, teacher and center after the call"):
    randn = checks.normal(seed=3)
    given = [randn(3, 4) for _ in range(5)], [randn(3, 4) for _ in range(2)], randn(4)
    after = checks.beside(handed, dino_loss, *given)
    checks.equal(len(after), 8, "the number of views and center")
    names = [*(f"student view {k}" for k in range(5)), "teacher view 0", "teacher view 1", "the center"]
    for name, now, was in zip(names, after, (*given[0], *given[1], given[2]), strict=True):
        checks.equal(now, was, f"{name} after the call (an argument must not be changed in place)")

with checks.step("three images at once: the loss is a mean over the batch"):
    student, teacher = [torch.zeros(3, 2), torch.tensor([[math.log(4), 0.0]] * 3)], [t.expand(3, 2) for t in teacher]
    three = dino_loss(student, teacher, torch.tensor([1.0, 0.0]), 1.0, 0.5)
    checks.close(three, nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)), "the loss", causes={
        "the losses of the images were added; take their mean": 3 * nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)),
    })  # fmt: skip

with checks.step("logits that nobody has seen: 3 images, 2 outputs, against the logistic function"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher, center = [randn(3, 2) for _ in range(2)], [randn(3, 2) for _ in range(2)], randn(2)
    asked = [(first_of(q / 0.5), first_of(p / 0.8)) for t, s in zip(teacher, reversed(student), strict=True)
             for q, p in zip((t - center).diff()[:, 0].neg().tolist(), s.diff()[:, 0].neg().tolist(), strict=True)]  # fmt: skip
    checks.close(dino_loss(student, teacher, center, 0.8, 0.5), nats(*asked), "the loss")

# %% test="loss" points=6
# a teacher that says (1/2, 1/2) about both views, and five views that the student answers differently
views = [0.5, 0.6, 0.7, 0.8, 0.9]  # its first probability
student = [torch.tensor([[math.log(p / (1 - p)), 0.0]]) for p in views]
teacher = [torch.zeros(1, 2), torch.zeros(1, 2)]
cost = [-0.5 * math.log(p * (1 - p)) for p in views]
globals_, locals_ = sum(cost[:2]), sum(cost[2:])


def scalar(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float32)


with checks.step("2 global and 3 local views: 8 pairs, a global view in one of them, a local view in two"):
    loss = dino_loss(student, teacher, torch.zeros(2), 1.0, 1.0)
    as_targets = sum(-(q * math.log(p) + (1 - q) * math.log(1 - p)) for i, q in enumerate(views[2:], 2) for j, p in enumerate(views) if i != j)  # fmt: skip
    checks.close(loss, scalar((globals_ + 2 * locals_) / 8), "the loss", causes={
        "the local views were left out": scalar(globals_ / 2),
        "the global views were left out": scalar(locals_ / 3),
        "a local view was paired with one of the teacher's views only": lambda: (  # with global views alone it is right
            checks.near(loss, scalar((globals_ + locals_) / 5))
            and checks.near(dino_loss(student[:2], [teacher[0], torch.tensor([[2.0, 0.0]])], torch.zeros(2), 1.0, 1.0), scalar(globals_ / 2))
        ),
        "the sum was divided by the number of views, not of pairs": scalar((globals_ + 2 * locals_) / 5),
        "the sum was divided by V - 1; there are 2 (V - 1) pairs": scalar((globals_ + 2 * locals_) / 4),
        "the local views were targets as well; the teacher sees global views only": scalar(
            (globals_ + 2 * locals_ + as_targets) / 20
        ),
    })  # fmt: skip

with checks.step("2 global and 2 local views that nobody has seen, 3 images"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher = [0.1 * randn(3, 2) for _ in range(4)], [torch.zeros(3, 2) for _ in range(2)]
    # a teacher that says (1/2, 1/2): a view costs minus the mean logarithm of its two probabilities
    costs = [-(view / 0.1).log_softmax(-1).mean() for view in student]
    wanted = (costs[0] + costs[1] + 2 * costs[2] + 2 * costs[3]) / 6
    checks.close(dino_loss(student, teacher, torch.zeros(2), 0.1, 0.04), wanted, "the loss")

with checks.step("gradients"):
    randn = checks.normal(seed=0)

    def into(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
        """Gradients of the loss into each student view, each teacher view and the center; None where there is none."""
        leaves = [leaf.clone().requires_grad_() for leaf in (*student, *teacher, center)]
        fn(leaves[: len(student)], leaves[len(student) : -1], leaves[-1], 0.1, 0.04).backward()
        return [leaf.grad for leaf in leaves]

    found = checks.beside(into, dino_loss, [0.1 * randn(4, 5) for _ in range(3)], [0.1 * randn(4, 5) for _ in range(2)], 0.1 * randn(5))  # fmt: skip
    checks.equal(len(found), 6, "the number of gradients")
    for view, gradient in enumerate(found[:3]):
        checks.that(gradient is not None and bool((gradient != 0).any()), f"student view {view} gets a gradient", came="none")  # fmt: skip
    for what, gradient in zip(("the teacher's first view", "its second", "the center"), found[3:], strict=True):
        checks.that(
            gradient is None or bool((gradient == 0).all()),
            f"no gradient flows into {what}",
            came="a gradient",
            causes={"the teacher's probabilities are still in the graph; detach them": lambda: found[3] is not None},
        )

# %% test="loss" points=6
with checks.step("a student's logits and the same logits plus 7"):
    randn = checks.normal(seed=1)
    student, teacher, center = [0.3 * randn(3, 6) for _ in range(4)], [0.3 * randn(3, 6) for _ in range(2)], 0.1 * randn(6)  # fmt: skip
    loss = dino_loss(student, teacher, center, 0.1, 0.04)
    shifted = dino_loss([logits + 7 for logits in student], teacher, center, 0.1, 0.04)
    checks.close(shifted, torch.tensor(float(loss)), "the loss of the shifted logits", rtol=1e-3, atol=1e-4, causes={
        "the student's logits were not normalized over the outputs": lambda: abs(float(shifted) - float(loss)) > 1,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def softened(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(student: list, teacher: list, center: torch.Tensor, t_student: float, t_teacher: float) -> float:
    """The loss, pair by pair, image by image and output by output."""
    total, count = 0.0, 0
    for i, t in enumerate(teacher):
        for j, s in enumerate(student):
            if i == j:
                continue
            for b in range(len(t)):
                target = softened([z - c for z, c in zip(t[b].tolist(), center.tolist())], t_teacher)
                answer = softened(s[b].tolist(), t_student)
                total -= sum(q * math.log(p) for q, p in zip(target, answer))
                count += 1
    return total / count


for seed, (batch, outputs, views), temperatures in (
    (0, (3, 4, 2), (0.1, 0.04)),
    (1, (5, 7, 6), (0.1, 0.07)),
    (2, (1, 2, 3), (1.0, 0.5)),
    (3, (4, 3, 4), (0.05, 0.2)),
    (4, (2, 5, 12), (0.2, 0.1)),
):
    with checks.step(f"against loops, float64: B={batch}, K={outputs}, V={views}, temperatures {temperatures}"):
        randn = checks.normal(seed, dtype=torch.float64)
        student = [0.2 * randn(batch, outputs) for _ in range(views)]
        teacher = [0.2 * randn(batch, outputs) for _ in range(2)]
        center = 0.1 * randn(outputs)
        wanted = torch.tensor(by_loop(student, teacher, center, *temperatures), dtype=torch.float64)
        checks.close(dino_loss(student, teacher, center, *temperatures), wanted, "the loss", rtol=1e-7, atol=1e-10)

with checks.step("gradients into the student, against F.cross_entropy with soft targets"):
    randn = checks.normal(seed=4, dtype=torch.float64)
    student, teacher, center = [0.2 * randn(3, 5) for _ in range(3)], [0.2 * randn(3, 5) for _ in range(2)], 0.1 * randn(5)  # fmt: skip
    leaves = [logits.clone().requires_grad_() for logits in student]
    soft = [F.softmax((logits - center) / 0.04, dim=1) for logits in teacher]
    chosen = [(0, 1), (0, 2), (1, 0), (1, 2)]
    sum(F.cross_entropy(leaves[j] / 0.1, soft[i]) / 4 for i, j in chosen).backward()

    def into_student(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
        leaves = [logits.clone().requires_grad_() for logits in student]
        fn(leaves, teacher, center, 0.1, 0.04).backward()
        return [leaf.grad for leaf in leaves]

    came = checks.beside(into_student, dino_loss, student, teacher, center)
    checks.equal(len(came), 3, "the number of gradients")
    for view, gradient in enumerate(came):
        checks.close(gradient, leaves[view].grad, f"the gradient into student view {view}", atol=1e-9)

with checks.step("logits of 50 and -50: no infinity"):
    far = [torch.tensor([[50.0, -50.0, 0.0]]), torch.tensor([[-50.0, 50.0, 0.0]])]
    came = dino_loss(far, far, torch.zeros(3), 0.1, 0.04)
    near_zero = [torch.zeros(1, 3)] * 2
    checks.close(came, torch.tensor(1000.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not math.isfinite(
            float(dino_loss(far, near_zero, torch.zeros(3), 0.1, 0.04))
        ),
        "the exponential of a teacher's logit is infinite: use softmax": lambda: not math.isfinite(
            float(dino_loss(near_zero, far, torch.zeros(3), 0.1, 0.04))
        ),
    })  # fmt: skip

with checks.step("tuples of views, as `chunk` gives them"):
    randn = checks.normal(seed=6)
    views = (0.2 * randn(6, 4)).chunk(3)
    wanted = by_loop(list(views), list(views[:2]), torch.zeros(4), 0.1, 0.04)
    checks.close(dino_loss(views, views[:2], torch.zeros(4), 0.1, 0.04), torch.tensor(wanted), "the loss")
### END HIDDEN TESTS

# %% [markdown]
# ## Part 2. A teacher out of nothing
#
# In week 3 somebody had to train the teacher. Here the teacher is the **student's own past**: a moving average of its weights. The student chases the teacher, the teacher follows the student, slowly. Caron et al. find that this average is better than the student all through training, so there is something to chase.

# %% [markdown] about="teacher"
# ### Exercise 3. Keep the teacher, and its center
#
# Four small functions. The first makes the teacher, once. The other three run in every step:
#
# $$\theta_t \leftarrow m\, \theta_t + (1 - m)\, \theta_s, \qquad c \leftarrow m_c\, c + (1 - m_c)\, \frac{1}{2B} \sum_{\text{both views, all images}} g_t(x)$$
#
# $$m(s) = 1 - (1 - m_0)\, \tfrac{1}{2} \Bigl(1 + \cos \frac{\pi s}{S}\Bigr) \quad \text{for step } s \le S, \qquad m(s) = 1 \text{ after that}$$
#
# The center is the running mean of the teacher's **logits** (Caron et al. 2021, eq. 4). Subtracting it gives every output the same say, averaged over images. The momentum rises from $m_0$ to 1: the teacher learns early and settles late.
#
# | function | what it does |
# | --- | --- |
# | `make_teacher(student)` | returns a copy with the same weights that no gradient reaches: no parameter of it requires one. The student stays as it is, its gradients and modes too |
# | `update_teacher(teacher, student, momentum)` | moves the teacher's **parameters**, in place; copies the student's **buffers** (running means and counts of a batch norm) |
# | `update_center(center, teacher_logits, momentum)` | moves `center` $(K,)$ in place; `teacher_logits` is the list of two $(B, K)$ that the loss gets |
# | `momentum_schedule(step, total, base)` | returns $m(s)$, a float |
#
# Nothing here is part of a graph. After an update the teacher's parameters are still plain leaves.


# %% exercise="teacher" difficulty=2 minutes=45
def make_teacher(student: nn.Module) -> nn.Module:
    """A copy of the student with the same weights, none of which requires a gradient; the student is not changed."""
    ### BEGIN SOLUTION
    return copy.deepcopy(student).requires_grad_(False)
    ### END SOLUTION


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters toward the student's by (1 - momentum), in place; copy the buffers.

    Parameters
    ----------
    teacher, student : modules with the same architecture. momentum : m, in [0, 1]; 1 leaves the teacher's parameters alone.
    """
    ### BEGIN SOLUTION
    for mine, theirs in zip(teacher.parameters(), student.parameters()):
        mine.lerp_(theirs, 1 - momentum)
    for mine, theirs in zip(teacher.buffers(), student.buffers()):
        mine.copy_(theirs)
    ### END SOLUTION


@torch.no_grad()
def update_center(center: torch.Tensor, teacher_logits: Sequence[torch.Tensor], momentum: float) -> None:
    """Move the center toward the mean of the teacher's logits by (1 - momentum), in place (Caron et al. 2021, eq. 4).

    Parameters
    ----------
    center : (K,), changed in place. teacher_logits : 2 tensors (B, K), one a view. momentum : m_c, in [0, 1].
    """
    ### BEGIN SOLUTION
    center.lerp_(torch.cat(list(teacher_logits)).mean(0), 1 - momentum)
    ### END SOLUTION


def momentum_schedule(step: int, total: int, base: float) -> float:
    """The teacher's momentum: from `base` at step 0 along half a cosine to 1 at step `total`, and 1 after it."""
    ### BEGIN SOLUTION
    return 1 - (1 - base) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
    ### END SOLUTION


# %% look="teacher"
# Look: a student whose weight jumps about around 1, its teacher at two momenta, and the momentum over a run.
with checks.look():
    look_noise = checks.normal(seed=0)
    look_student = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(look_student.weight)
    look_teachers = {"teacher, momentum 0.9": (0.9, make_teacher(look_student)), "teacher, 0.9 rising to 1": (None, make_teacher(look_student))}  # fmt: skip
    look_lines: dict[str, list[float]] = {"student": [], **{name: [] for name in look_teachers}}
    for look_step in range(80):
        nn.init.constant_(look_student.weight, 1 + 0.5 * look_noise(1).item())
        look_lines["student"].append(look_student.weight.item())
        for name, (m, look_teacher) in look_teachers.items():
            update_teacher(look_teacher, look_student, momentum_schedule(look_step, 80, 0.9) if m is None else m)
            look_lines[name].append(look_teacher.weight.item())
    display(
        plotting.curves(look_lines, xlabel="step", ylabel="the one weight", title="The teacher follows, and settles")
    )
    look_center = torch.zeros(2)
    update_center(look_center, [torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 2.0]])], 0.9)
    print(
        "center after one update with logits (1, 0) and (3, 2), momentum 0.9:",
        [round(c, 3) for c in look_center.tolist()],
    )
    print("momentum at steps 0, 40, 80 of 80:", [round(momentum_schedule(s, 80, 0.9), 3) for s in (0, 40, 80)])

# %% [markdown] hints="teacher"
# <details><summary>Hint 1: the idea</summary>
#
# All four are a line or two. Two modules with the same architecture give their parameters in the same order, so one loop walks over both. "In place" means methods that end in an underscore.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     make_teacher: deep copy; no parameter requires a gradient
#     update_teacher: for each pair of parameters: mine = m * mine + (1 - m) * theirs, in place
#                     for each pair of buffers: copy
#     update_center: both views together, mean over all of their images
#                    center = m * center + (1 - m) * that mean, in place
#     momentum_schedule: progress = step / total, at most 1
#                        the share of 1 - base that is still left falls along half a cosine from 1 to 0
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `copy.deepcopy(student).requires_grad_(False)`. `a.lerp_(b, w)` moves `a` toward `b` by the share `w`; here `w` is 1 - momentum. `a.mul_(m).add_(b, alpha=1 - m)` does the same. `.buffers()` walks over buffers; integers cannot be averaged, so copy. `center = ...` would bind a new tensor to a local name, and the caller's center would stay as it was. The decorator `@torch.no_grad()` is there already.
#
# </details>


# %% test="teacher" points=4
def followed(update: Callable, values: Sequence[float], momentum: float) -> list:
    """The teacher's one weight, which starts at values[0], after each update with a student that takes the others."""
    teacher, student = nn.Linear(1, 1, bias=False).requires_grad_(False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(teacher.weight, values[0])
    found = []
    for value in values[1:]:
        nn.init.constant_(student.weight, value)
        update(teacher, student, momentum)
        found.append(teacher.weight.item())
    return found


def trained(seed: int) -> nn.Module:
    """A student that has seen a batch: its batch norm has moved, one bias of it is frozen, one part is in eval mode."""
    torch.manual_seed(seed)
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2))
    student(3 + torch.randn(9, 3))
    student[3].bias.requires_grad_(False)
    student[2].eval()
    student[0].weight.grad = torch.ones(4, 3)
    return student


def as_it_is(module: nn.Module) -> dict:
    """All numbers of a module, the mode of each part, and which parameters require a gradient."""
    return {
        "state": {name: tensor.clone() for name, tensor in module.state_dict().items()},
        "modes": [part.training for part in module.modules()],
        "wants": [p.requires_grad for p in module.parameters()],
        "gradients": [p.grad is not None and bool((p.grad == 1).all()) for p in module.parameters()],
    }


def made(make: Callable, seed: int, x: torch.Tensor) -> dict:
    """What a teacher made of a small student looks like, what a training step does to it, and what it says.

    `outputs` are those of the teacher in eval mode, `later` the same after all numbers of the student were changed.
    """
    student = trained(seed)
    before = as_it_is(student)
    teacher = make(student)
    after = as_it_is(student)
    wants = any(p.requires_grad for p in teacher.parameters())
    loss = (student(x) - teacher(x) + 1).square().sum()
    if loss.requires_grad:
        loss.backward()
    found = {
        "before": before,
        "after": after,
        "itself": teacher is student,
        "shared": any(a is b for a in teacher.parameters() for b in student.parameters()),
        "wants": wants,
        "got": any(p.grad is not None for p in teacher.parameters()),
    }
    with torch.no_grad():
        student = trained(seed)
        teacher = make(student).eval()
        found["outputs"] = teacher(x)
        for tensor in (*student.parameters(), *student.buffers()):
            tensor += 1
        found["later"] = teacher(x)
    return found


with checks.step("make_teacher"):
    seed = checks.fresh_seed()
    x = checks.normal(seed)(5, 3)
    seen = checks.beside(made, make_teacher, seed, x)
    with torch.no_grad():
        outputs = trained(seed).eval()(x)
    checks.close(seen["outputs"], outputs, "what a new teacher says in eval mode, as the student does")
    checks.that(not seen["shared"], "the teacher has tensors of its own", came="the student's own parameters", causes={
        "the teacher is the student itself; make a deep copy": lambda: seen["itself"],
    })  # fmt: skip
    checks.close(seen["later"], outputs, "what the teacher says after all numbers of the student have changed")
    checks.that(not seen["wants"] and not seen["got"], "no gradient reaches the teacher", came="a parameter that requires one", causes={
        "an optimizer that is given all parameters would train the teacher": lambda: seen["wants"],
    })  # fmt: skip
    before, after = seen["before"], seen["after"]
    checks.that(after["wants"] == before["wants"], "the student learns as before", came=f"requires_grad {after['wants']}", expected=f"{before['wants']}", causes={
        "requires_grad_ was called on the student, not on its copy": lambda: not any(after["wants"]),
        "what was frozen in the student was switched on": lambda: all(after["wants"]),
    })  # fmt: skip
    checks.that(after["modes"] == before["modes"], "all parts of the student are in the mode they were in", came=f"train modes {after['modes']}", expected=f"{before['modes']}", causes={
        "eval() was called on the student, not on its copy": lambda: not any(after["modes"]),
    })  # fmt: skip
    checks.equal(
        after["gradients"], before["gradients"], "which of the student's parameters have the gradient that they had"
    )
    for name, tensor in before["state"].items():
        checks.equal(after["state"][name], tensor, f"{name} of the student after the call")

with checks.step("momentum 0.9, a teacher's weight of 0, a student's of 1, by hand"):
    found = torch.tensor(checks.beside(followed, update_teacher, [0.0, 1.0, 1.0, 1.0], 0.9))
    checks.close(found, torch.tensor([0.1, 0.19, 0.271]), "the teacher's weight after 1, 2, 3 updates", causes={
        "momentum and 1 - momentum changed places: the teacher jumps to the student": torch.tensor([0.9, 0.99, 0.999]),
        "the teacher does not move": torch.zeros(3),
        "the teacher takes the student's weight as it is": torch.ones(3),
    })  # fmt: skip

with checks.step("a start, two weights of the student and a momentum that nobody has seen"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    start, one, two = (torch.randn(3, generator=draw)).tolist()
    m = 0.2 + 0.6 * torch.rand((), generator=draw).item()
    found = torch.tensor(checks.beside(followed, update_teacher, [start, one, two], m))
    wanted = [m * start + (1 - m) * one, m * (m * start + (1 - m) * one) + (1 - m) * two]
    checks.close(found, torch.tensor(wanted), "the teacher's weight after 1, 2 updates")


# %% test="teacher" points=4
def centered(update: Callable, start: torch.Tensor, batches: list, momentum: float) -> tuple:
    """The center after each update, the logits of the last one after it, and whether the center is part of a graph."""
    center, found, views = start.clone(), [], []
    for logits in batches:
        views = [view.clone().requires_grad_() for view in logits]
        update(center, views, momentum)
        found.append(center.detach().clone())
    return torch.stack(found), views, center.requires_grad


with checks.step("center (0, 0), momentum 0.75, by hand"):
    # the four logits of output 0 are 4, 0, 8, 4 with the mean 4; those of output 1 are 0, 0, 2, 2 with the mean 1
    logits = [torch.tensor([[4.0, 0.0], [0.0, 0.0]]), torch.tensor([[8.0, 2.0], [4.0, 2.0]])]
    found, after, wants = checks.beside(centered, update_center, torch.zeros(2), [logits], 0.75)
    checks.close(found[0], torch.tensor([1.0, 0.25]), "the center", causes={
        "the center is as it was: change it in place": torch.zeros(2),
        "momentum and 1 - momentum changed places": torch.tensor([3.0, 0.75]),
        "only the first view was counted": torch.tensor([0.5, 0.0]),
        "only the second view was counted": torch.tensor([1.5, 0.5]),
        "the means of the views were added; take the mean over both": torch.tensor([2.0, 0.5]),
        "the sum over the batch was taken, not the mean": torch.tensor([4.0, 1.0]),
        "the mean of probabilities was taken; the center is a mean of logits": lambda: checks.near(
            found[0], 0.25 * torch.cat(logits).softmax(-1).mean(0)
        ),
        "the mean ran over the outputs as well": torch.tensor([0.625, 0.625]),
    })  # fmt: skip
    checks.that(not wants, "the center is no part of a graph", came="a center that requires a gradient")
    checks.equal(len(after), 2, "the number of the teacher's views after the call")
    for now, was in zip(after, logits, strict=True):
        checks.equal(now, was, "the teacher's logits after the call (they must not be changed in place)")

with checks.step("a second update starts from the first"):
    found, _, _ = checks.beside(centered, update_center, torch.zeros(2), [logits, logits], 0.75)
    checks.close(found[1], torch.tensor([1.75, 0.4375]), "the center")

with checks.step("ten centers in float64 that nobody has seen, against the geometric sum"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    start, batches = randn(4), [[randn(3, 4), randn(3, 4)] for _ in range(10)]
    found, _, _ = checks.beside(centered, update_center, start, batches, 0.9)
    wanted = start
    for one, two in batches:
        wanted = 0.9 * wanted + 0.1 * (one.sum(0) + two.sum(0)) / 6
    checks.close(found[-1], wanted, "the center after ten updates", rtol=1e-9, atol=1e-12)

with checks.step("the momentum of 10 steps from 0.9"):
    rates = [momentum_schedule(step, 10, 0.9) for step in (0, 5, 10)]
    checks.that(all(isinstance(m, float) for m in rates), "the momentum is a float", came=f"{rates}")
    checks.close(torch.tensor([float(m) for m in rates]), torch.tensor([0.9, 0.95, 1.0]), "steps 0, 5 and 10", causes={
        "the momentum falls; it rises to 1": torch.tensor([1.0, 0.95, 0.9]),
        "the momentum stays": torch.full((3,), 0.9),
        "the momentum falls from base to 0": torch.tensor([0.9, 0.45, 0.0]),
        "the step was not divided by the number of steps": lambda: checks.near(rates[1], 1.0) and rates[2] == 1.0,
    })  # fmt: skip

# %% test="teacher" points=4
with checks.step("the momentum of 8 steps from 0.996, against the formula"):
    came = torch.tensor([float(momentum_schedule(s, 8, 0.996)) for s in range(9)], dtype=torch.float64)
    angle = torch.arange(9, dtype=torch.float64) / 8 * math.pi
    line = torch.linspace(0.996, 1, 9).double()
    checks.close(1 - came, 0.002 * (1 + angle.cos()), "1 - momentum", rtol=1e-4, atol=1e-7, causes={
        "the momentum rises along a straight line, not along a cosine": 1 - line,
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("after the last step"):
    late = [round(float(momentum_schedule(s, 8, 0.9)), 6) for s in (8, 9, 12, 16)]
    checks.equal(late, [1.0, 1.0, 1.0, 1.0], "the momentum at steps 8, 9, 12 and 16 of 8", causes={
        "the cosine goes on after the last step: the progress must stop at 1": lambda: late[0] == 1.0 and late[2] == 0.95,
    })  # fmt: skip

with checks.step("a student's weight that takes -1, 4, 0, 3, against the geometric sum"):
    values = [2.0, -1.0, 4.0, 0.0, 3.0]

    def moved(update: Callable, values: list, momentum: float) -> tuple:
        """The teacher's one number and the student's after each update."""
        pair = [nn.Embedding(1, 1) for _ in range(2)]
        pair[0].requires_grad_(False)
        nn.init.constant_(pair[0].weight, values[0])
        found: tuple = ([], [])
        for value in values[1:]:
            nn.init.constant_(pair[1].weight, value)
            update(*pair, momentum)
            for numbers, module in zip(found, pair):
                numbers.append(module.weight.item())
        return found

    wanted = [0.7**k * values[0] + 0.3 * sum(0.7 ** (k - j) * values[j] for j in range(1, k + 1)) for k in range(1, 5)]
    came, students = checks.beside(moved, update_teacher, values, 0.7)
    checks.close(torch.tensor(came), torch.tensor(wanted), "the teacher's weights")
    checks.close(torch.tensor(students), torch.tensor(values[1:]), "the student's weights after the updates")


WEIGHTS = ["0.weight", "0.bias", "1.weight", "1.bias"]


def state_of(seed: int, count: int) -> dict:
    """Numbers for a linear map and a batch norm that has counted so many batches."""
    randn = checks.normal(seed)
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "1.running_mean": (4,)}
    spread = {"1.running_var": randn(4).exp(), "1.num_batches_tracked": torch.tensor(count)}
    return {name: randn(*shape) for name, shape in shapes.items()} | spread


def with_buffers(update: Callable, mine: dict, theirs: dict, momentum: float) -> dict:
    """Teacher and student with these states after one update, and the teacher once more after a change of the student."""
    teacher, student = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    teacher.load_state_dict(mine)
    student.load_state_dict(theirs)
    for module, number in ((teacher, 1.0), (student, 2.0)):
        module[0].register_buffer("scale", torch.tensor([number]), persistent=False)  # in no state dict
        module[1].eval()
    teacher.requires_grad_(False)
    student[0].bias.requires_grad_(False)  # frozen, but a parameter
    student[0].eval()
    for parameter in student.parameters():
        parameter.grad = torch.ones_like(parameter)
    held = list(teacher.parameters())
    update(teacher, student, momentum)
    found = {
        "teacher": {name: tensor.clone() for name, tensor in teacher.state_dict().items()},
        "student": {name: tensor.clone() for name, tensor in student.state_dict().items()},
        "same": all(now is was for now, was in zip(teacher.parameters(), held, strict=True)),
        "scale": teacher[0].scale.item(),
        "leaves": all(p.is_leaf and p.grad_fn is None for p in teacher.parameters()),
        "wants": any(p.requires_grad for p in teacher.parameters()),
        "student wants": [p.requires_grad for p in student.parameters()],
        "gradients": [p.grad is not None and bool((p.grad == 1).all()) for p in student.parameters()],
        "modes": [part.training for part in (teacher, *teacher, student, *student)],
    }
    with torch.no_grad():
        for tensor in (*student.parameters(), *student.buffers()):
            tensor += 1
    return found | {"later": teacher.state_dict()}


states = state_of(2, 5), state_of(3, 15)
with checks.step("a batch norm: parameters are averaged, buffers copied"):
    seen = checks.beside(with_buffers, update_teacher, *states, 0.8)
    for name, theirs in states[1].items():
        checks.equal(seen["student"][name], theirs, f"{name} of the student after the update")
    for name, before in states[0].items():
        mine, theirs = seen["teacher"][name], states[1][name]
        if name in WEIGHTS:
            checks.close(mine, 0.8 * before + 0.2 * theirs, f"{name} of the teacher", causes={
                "a parameter that is frozen in the student was left out": lambda: name == "0.bias" and checks.near(mine, before) and not checks.near(
                    seen["teacher"]["1.bias"], states[0]["1.bias"]
                ),
            })  # fmt: skip
        else:
            checks.close(mine, theirs, f"{name} of the teacher", causes={
                "buffers were left alone": before,
                "buffers were averaged like parameters; copy them": (0.8 * before + 0.2 * theirs).to(before.dtype),
            })  # fmt: skip
    for name in states[0]:
        checks.equal(seen["later"][name], seen["teacher"][name], f"{name} of the teacher, after the student moved on", causes={
            "the teacher holds the student's own tensor; copy its numbers": seen["teacher"][name] + 1,
        })  # fmt: skip
    checks.that(not seen["wants"] and seen["leaves"], "the teacher's parameters are plain leaves without gradients", came="a parameter that requires one, or is part of a graph", causes={
        "new parameters that require gradients were put into the teacher": lambda: seen["wants"] and not seen["same"],
    })  # fmt: skip
    checks.that(seen["same"], "the teacher's parameters are changed in place", came="other parameters in their place")
    checks.equal(seen["scale"], 2.0, "a buffer of the teacher that stands in no state dict")
    checks.equal(seen["student wants"], [True, False, True, True], "requires_grad of the student's parameters")
    checks.that(all(seen["gradients"]), "the student's gradients are as they were", came=f"{seen['gradients']}")
    wanted = [True, True, False, True, False, False]
    checks.equal(seen["modes"], wanted, "train modes of the teacher, its two parts, the student, and its two parts")


with checks.step("momentum 1, momentum 0 and momentum 0.996"):
    still, jump = (checks.beside(with_buffers, update_teacher, *states, m) for m in (1.0, 0.0))
    for name in WEIGHTS:
        checks.close(still["teacher"][name], states[0][name], f"{name} of the teacher at momentum 1")
        checks.close(jump["teacher"][name], states[1][name], f"{name} of the teacher at momentum 0")
    slow, _ = checks.beside(moved, update_teacher, [0.0, 1000.0, 1000.0], 0.996)
    checks.close(
        torch.tensor(slow),
        torch.tensor([4.0, 7.984]),
        "a teacher's weight of 0 at momentum 0.996, after two updates with 1,000",
    )


def rows_of_a_table(update: Callable, logits: list, momentum: float) -> torch.Tensor:
    """A table of three centers of which the second was updated."""
    table = torch.arange(18.0).reshape(3, 6)
    update(table[1], logits, momentum)
    return table


with checks.step("a center that is a row of a table, large logits with a mean of their own"):
    randn = checks.normal(checks.fresh_seed())
    logits = [30 + 40 * randn(5, 6), 40 * randn(5, 6)]
    wanted = torch.arange(18.0).reshape(3, 6)
    wanted[1] = 0.4 * wanted[1] + 0.6 * (logits[0].sum(0) + logits[1].sum(0)) / 10
    checks.close(checks.beside(rows_of_a_table, update_center, logits, 0.4), wanted, "the table", rtol=1e-4, atol=1e-4, causes={
        "the center got new memory; change the numbers where they are": torch.arange(18.0).reshape(3, 6),
    })  # fmt: skip
### END HIDDEN TESTS

# %% [markdown] about="head"
# ### Exercise 4. The head, and why its logits are cosines
#
# Between the backbone's feature $x$ and the $K$ logits sits a small network, the **head**. It is used for training only; afterwards it is thrown away and $x$ is the feature.
#
# $$e = \frac{\operatorname{MLP}(x)}{\lVert \operatorname{MLP}(x) \rVert}, \qquad \text{logit}_k = \left\langle e,\; \frac{w_k}{\lVert w_k \rVert} \right\rangle$$
#
# The MLP is linear, GELU, linear, down to a **bottleneck**. Its output is scaled to length 1, and so is every row $w_k$ of the last layer (weight normalization with the gain fixed at 1; Caron et al. 2021, appendix C). So each logit is a cosine between the image's embedding and a **prototype**. Without that, the network could make its answer sharper by making one row longer, and no temperature would hold it back.
#
# | member | input | output |
# | --- | --- | --- |
# | `DINOHead(in_dim, out_dim, hidden_dim=128, bottleneck_dim=32)` | | $K$ is `out_dim` |
# | `embed(x)` | $(\dots, D)$ | $(\dots, \text{bottleneck})$, length 1 |
# | `prototypes()` | | $(K, \text{bottleneck})$, rows of length 1 |
# | `forward(x)` | $(\dots, D)$ | $(\dots, K)$, cosines |
#
# Any number of leading dimensions: the head reads images $(B, D)$ and patches $(B, N, D)$ alike. The prototypes start in random directions. The last layer has no bias; in the MLP you may choose.


# %% exercise="head" difficulty=3 minutes=35
class DINOHead(nn.Module):
    """MLP, unit-length bottleneck, weight-normalized last layer with gain 1 (Caron et al. 2021, appendix C).

    Parameters
    ----------
    in_dim : D. out_dim : K. hidden_dim : width of the MLP's one hidden layer. bottleneck_dim : length of an embedding.
    """

    def __init__(self, in_dim: int, out_dim: int, hidden_dim: int = 128, bottleneck_dim: int = 32) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))
        self.directions = nn.Parameter(torch.randn(out_dim, bottleneck_dim))
        ### END SOLUTION

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Features (..., D) to embeddings (..., bottleneck_dim) of length 1."""
        ### BEGIN SOLUTION
        return F.normalize(self.mlp(x), dim=-1)
        ### END SOLUTION

    def prototypes(self) -> torch.Tensor:
        """The effective weight of the last layer, (K, bottleneck_dim), rows of length 1."""
        ### BEGIN SOLUTION
        return F.normalize(self.directions, dim=-1)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (..., D) to logits (..., K): the cosines between embedding and prototypes."""
        ### BEGIN SOLUTION
        return self.embed(x) @ self.prototypes().T
        ### END SOLUTION


# %% look="head"
# Look: the logits of 64 random features and 64 prototypes, and what the two temperatures make of one row.
with checks.look():
    torch.manual_seed(0)
    look_head = DINOHead(16, 64)
    with torch.no_grad():
        look_logits = look_head(checks.normal(seed=0)(64, 16))
    fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.2))
    axes[0].hist(look_logits.flatten().numpy(), bins=40)
    axes[0].set(title="logits of a fresh head are small cosines", xlabel="logit", ylabel="count", xlim=(-1, 1))
    for look_t in (1.0, 0.1, 0.04):
        axes[1].plot((look_logits[0] / look_t).softmax(-1).sort(descending=True).values, label=f"temperature {look_t}")
    axes[1].set(title="one image: its probabilities, sorted", xlabel="rank of the output", ylabel="probability")
    axes[1].legend()
    plt.show()

# %% [markdown] hints="head"
# <details><summary>Hint 1: the idea</summary>
#
# Two vectors of length 1 have their cosine as dot product. So normalize both sides, and one matrix product gives all logits.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:       MLP: linear to hidden, GELU, linear to bottleneck
#                 one learned row for each output
#     embed:      MLP of x, divided by its length along the last dimension
#     prototypes: the learned rows, each divided by its length
#     forward:    embeddings times the transposed prototypes
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.normalize(x, dim=-1)` divides by the length along the last dimension. Normalize in **every** call, not once in `__init__`: training moves the rows. `nn.utils.parametrizations.weight_norm(nn.Linear(..., bias=False))` works as well; its gain is the parameter `parametrizations.weight.original0`: fill it with 1 and let it require no gradient. `nn.Linear`, `@` and `F.normalize(dim=-1)` all take any leading dimensions.
#
# </details>


# %% test="head" points=4
def learned(head: nn.Module) -> list:
    """The parameters that learn."""
    return [p for p in head.parameters() if p.requires_grad]


with checks.step("8 features of width 6 that nobody has seen, 10 outputs"):
    torch.manual_seed(0)
    head = DINOHead(6, 10, hidden_dim=12, bottleneck_dim=5)
    x = 3 * checks.normal(checks.fresh_seed())(8, 6)
    logits, embedded, rows = head(x), head.embed(x), head.prototypes()
    checks.shape(embedded, (8, 5), "the embeddings")
    checks.shape(rows, (10, 5), "the prototypes")
    checks.shape(logits, (8, 10), "the logits")
    checks.close(rows.norm(dim=-1), torch.ones(10), "the lengths of the prototypes", causes={
        "the columns were normalized; each output is a row": lambda: checks.near(rows.norm(dim=0), torch.ones(5)),
        "the last layer is not normalized": lambda: rows.norm(dim=-1).std().item() > 1e-3,
    })  # fmt: skip
    checks.close(embedded.norm(dim=-1), torch.ones(8), "the lengths of the embeddings", causes={
        "the embeddings were normalized over the batch": lambda: checks.near(embedded.norm(dim=0), torch.ones(5)),
        "the bottleneck is not normalized": lambda: embedded.norm(dim=-1).std().item() > 1e-3,
    })  # fmt: skip
    times = (logits.norm(dim=-1) / (embedded @ rows.T).norm(dim=-1)).detach()
    checks.that(
        logits.abs().max().item() <= 1 + 1e-5,
        "a logit is a cosine",
        came=f"a logit of {logits.abs().max():.2f}",
        causes={
            "forward does not use the normalized embeddings": lambda: times.std().item() > 1e-3 and checks.near(
                F.normalize(logits, dim=-1), F.normalize(embedded @ rows.T, dim=-1)
            ),
            "the cosines were multiplied by a number; the temperatures belong to the loss": lambda: checks.near(
                logits, times[0] * (embedded @ rows.T)
            ),
        },
    )  # fmt: skip
    checks.close(logits, (embedded @ rows.T).detach(), "the logits, against embeddings times prototypes", causes={
        "the last layer has a bias": lambda: (logits - embedded @ rows.T).std(0).max().item() < 1e-5,
    })  # fmt: skip

with checks.step("patches: (2, 3, 6) gives (2, 3, 10)"):
    patches = x[:6].reshape(2, 3, 6)
    checks.close(head(patches), logits[:6].detach().reshape(2, 3, 10), "the logits of the patches", causes={
        "an image's logits depend on the others of its batch": lambda: not checks.near(head(x[:6]), logits[:6]),
    })  # fmt: skip

with checks.step("what learns"):
    found = checks.beside(learned, head)
    weights = sorted(sorted(n for n in p.shape if n > 1) for p in found if sum(n > 1 for n in p.shape) > 1)
    checks.equal(weights, [[5, 10], [5, 12], [6, 12]], "the sides of the matrices that learn (10 prototypes, a linear map to 5 from 12, one to 12 from 6)", causes={
        "there is one hidden layer more": [[5, 10], [5, 12], [6, 12], [12, 12]],
        "hidden_dim is not the width of the hidden layer": lambda: len(weights) == 3 and not any(12 in sides for sides in weights),
        "the prototypes do not learn: make them an nn.Parameter": [[5, 12], [6, 12]],
    })  # fmt: skip


# %% test="head" points=4
def pushed(head: nn.Module, x: torch.Tensor, steps: int) -> dict:
    """Some steps that want the logit of output 0 larger; what has become of prototypes, embeddings and logits.

    `moved`: for each parameter that learns whether it has moved. `gains`: whether one of them is a single number, or
    has one number for each of the four outputs.
    """
    head(x)
    before = head.prototypes().detach().clone()
    parameters = [p for p in head.parameters() if p.requires_grad]
    start = [p.detach().clone() for p in parameters]
    for _ in range(steps):
        head.zero_grad()
        (-head(x)[:, 0].mean()).backward()
        with torch.no_grad():
            for p in head.parameters():
                if p.grad is not None:
                    p -= 0.5 * p.grad
    with torch.no_grad():
        return {
            "before": before,
            "logits": head(x),
            "embedded": head.embed(x),
            "rows": head.prototypes(),
            "moved": [not torch.equal(p, was) for p, was in zip(parameters, start, strict=True)],
            "gains": any(p.numel() in (1, 4) for p in parameters),
        }


with checks.step("20 steps that want logit 0 larger"):
    torch.manual_seed(1)
    seen = checks.beside(pushed, DINOHead(6, 4, hidden_dim=16, bottleneck_dim=5), checks.normal(seed=1)(8, 6), 20)
    checks.that(
        (seen["rows"][0] - seen["before"][0]).abs().max().item() > 1e-3,
        "the prototype of output 0 has moved",
        came="the same prototype",
    )
    checks.that(
        len(seen["moved"]) >= 3 and all(seen["moved"]),
        "every parameter that learns has moved",
        came=f"{sum(seen['moved'])} of {len(seen['moved'])} moved",
    )

### BEGIN HIDDEN TESTS
with checks.step("after training the prototypes still have length 1"):
    lengths = seen["rows"].norm(dim=-1)
    checks.close(lengths, torch.ones(4), "the lengths of the prototypes after training", causes={
        "the gain is trained; fix it at 1": lambda: seen["gains"],
        "the rows were normalized once, at the start; normalize in every call": lambda: not seen["gains"] and (
            lengths[0].item() > 1.01 and checks.near(lengths[1:], torch.ones(3))
        ),
    })  # fmt: skip
    checks.close(seen["logits"], seen["embedded"] @ seen["rows"].T, "the logits after training, against embeddings times prototypes", causes={
        "the last layer has a bias, which began at 0": lambda: seen["gains"] and (
            (seen["logits"] - seen["embedded"] @ seen["rows"].T).std(0).max().item() < 1e-5
        ),
    })  # fmt: skip
    checks.that(seen["logits"].abs().max().item() <= 1 + 1e-5, "a logit is still a cosine", came=f"{seen['logits'].abs().max():.2f}")  # fmt: skip

with checks.step("the images of a batch do not see each other"):
    torch.manual_seed(2)
    head = DINOHead(7, 9)
    weights = sorted(
        sorted(n for n in p.shape if n > 1) for p in checks.beside(learned, head) if sum(n > 1 for n in p.shape) > 1
    )
    checks.equal(weights, [[7, 128], [9, 32], [32, 128]], "the sides of the matrices that learn, without hidden_dim and bottleneck_dim")  # fmt: skip
    x = checks.normal(seed=2)(5, 7)
    checks.shape(head.embed(x), (5, 32), "the embeddings with the default bottleneck")
    alone = torch.cat([head(x[k : k + 1]) for k in range(5)])
    checks.close(head(x), alone.detach(), "the logits of a batch, against the images one by one")

with checks.step("the MLP bends"):
    # without a bend the MLP is affine: then the embeddings of two points and of their middle lie in one plane
    torch.manual_seed(3)
    head = DINOHead(4, 3, hidden_dim=64, bottleneck_dim=8)
    x = 4 * checks.normal(seed=3)(20, 2, 4)
    with torch.no_grad():
        three = torch.stack([head.embed(x[:, 0]), head.embed(x[:, 1]), head.embed(x.mean(1))], dim=1)
    flat = torch.linalg.svdvals(three)[:, -1].max().item()
    checks.that(flat > 1e-3, "two points and their middle do not lie in one plane", came="embeddings in one plane", causes={
        "no activation between the two linear layers: together they are one": lambda: flat < 1e-3,
    })  # fmt: skip

with checks.step("float64"):
    torch.manual_seed(4)
    head = DINOHead(3, 6, 8, 4).double()
    x = checks.normal(seed=4, dtype=torch.float64)(2, 3)
    wanted = F.cosine_similarity(head.embed(x)[:, None], head.prototypes()[None], dim=-1)
    checks.close(head(x), wanted.detach(), "the logits, against torch's cosine_similarity", atol=1e-10, rtol=1e-7)


def gradient_of(head: nn.Module, x: torch.Tensor, sides: tuple) -> dict:
    """The parameter that learns with these two sides, its gradient, and the dimension of the shorter side; {} without one."""
    found = [p for p in head.parameters() if p.requires_grad and sorted(n for n in p.shape if n > 1) == sorted(sides)]
    logits = head(x)
    (logits * torch.arange(logits.numel(), dtype=x.dtype).sin().view_as(logits)).sum().backward()
    if len(found) != 1 or found[0].grad is None:
        return {}
    gradient, parameter = found[0].grad.squeeze(), found[0].detach().squeeze()
    head.zero_grad()
    return {"gradient": gradient, "parameter": parameter, "along": list(parameter.shape).index(min(sides))}


def changed_in_eval_mode(head: nn.Module, x: torch.Tensor) -> dict:
    """A head in eval mode that is asked, then has all its matrices turned round and made small, and is asked again."""
    head.eval()
    head(x), head.prototypes()
    with torch.no_grad():
        for parameter in head.parameters():
            if parameter.requires_grad:
                parameter.copy_(-1e-4 * parameter.flip(0))
        later = {"logits": head(x), "rows": head.prototypes(), "lengths": head.embed(x).norm(dim=-1)}
        head.train()
        return later | {"learning": head(x)}


with checks.step("a head in eval mode whose parameters change, to very small ones"):
    torch.manual_seed(6)
    head, x = DINOHead(3, 6, 8, 4).double(), checks.normal(seed=6, dtype=torch.float64)(5, 3)
    rows = head.prototypes().detach()
    later = checks.beside(changed_in_eval_mode, head, x)
    checks.close(later["lengths"], torch.ones(5, dtype=torch.float64), "the lengths of the embeddings")
    checks.close(later["rows"].norm(dim=-1), torch.ones(6, dtype=torch.float64), "the lengths of the prototypes")
    checks.that(not checks.near(later["rows"], rows), "the prototypes follow the parameters", came="those from before", causes={
        "the prototypes of an earlier call were kept": checks.near(later["rows"], rows),
    })  # fmt: skip
    checks.close(later["logits"], later["learning"], "the logits in eval mode, against those in train mode")

with checks.step("the prototypes of a fresh head differ"):
    torch.manual_seed(7)
    rows = DINOHead(5, 12, 8, 6).prototypes().detach()
    cosines = (rows @ rows.T)[torch.ones(12, 12).triu(1).bool()]
    checks.that(cosines.max().item() < 0.999, "no two prototypes point the same way", came=f"a cosine of {cosines.max():.4f}", causes={
        "all rows began alike; then they get the same gradient, too, and stay alike": cosines.min().item() > 0,
    })  # fmt: skip

with checks.step("the head, made again from its own parameters"):
    torch.manual_seed(5)
    head = DINOHead(7, 9, hidden_dim=11, bottleneck_dim=4).double()
    x = 2 * checks.normal(seed=5, dtype=torch.float64)(6, 7)
    logits, rows = head(x), head.prototypes().detach()
    parameters = [p.squeeze() for p in checks.beside(learned, head)]

    def part(*sides: int) -> torch.Tensor:
        """The parameter with these sides, in this order; a bias that is not there is 0."""
        found = [p for p in parameters if sorted(p.shape) == sorted(sides)]
        if not found and len(sides) == 1:
            return torch.zeros(sides, dtype=torch.float64)
        checks.equal(len(found), 1, f"the number of parameters with the sides {sides}")
        return found[0] if found[0].shape == sides else found[0].T

    first, second, shifts = part(11, 7), part(4, 11), (part(11), part(4))
    extra = [tuple(p.shape) for p in parameters if sorted(p.shape) not in ([7, 11], [4, 11], [4, 9], [11], [4])]
    checks.equal(extra, [], "the shapes of further parameters that learn")

    def bent(x: torch.Tensor, bend: Callable) -> torch.Tensor:
        return F.normalize(bend(x @ first.T + shifts[0]) @ second.T + shifts[1], dim=-1)

    usual = bent(x, F.gelu)
    fast = bent(x, lambda y: F.gelu(y, approximate="tanh"))
    came = head.embed(x)
    checks.close(came, fast if checks.near(came, fast) else usual, "the embeddings, against linear, GELU, linear", causes={
        "the activation is a ReLU; a GELU belongs there": bent(x, F.relu),
        "the activation is a tanh; a GELU belongs there": bent(x, torch.tanh),
        "the activation is a SiLU; a GELU belongs there": bent(x, F.silu),
        "a second activation comes after the last linear map": F.normalize(F.gelu(F.gelu(x @ first.T + shifts[0]) @ second.T + shifts[1]), dim=-1),
    })  # fmt: skip
    leaf = x.clone().requires_grad_()
    weights = torch.arange(54.0, dtype=torch.float64).cos().reshape(6, 9)
    bend = F.gelu if checks.near(came, usual) else lambda y: F.gelu(y, approximate="tanh")
    (bent(leaf, bend) @ rows.T * weights).sum().backward()
    slope = checks.beside(gradient_of, head, x, (9, 4))
    along = (slope["gradient"] * slope["parameter"]).sum(slope["along"]).abs().max() if slope else None
    checks.that(along is not None and float(along) < 1e-9 < float(slope["gradient"].abs().max()), "the gradient into the rows of the last layer turns them and does not stretch them", came=f"a part along the rows of {along}", causes={
        "the length was taken for a constant: its gradient is missing": along is not None and float(along) > 1e-9,
    })  # fmt: skip
    (gradient,) = checks.beside(observe.gradients, head, x.clone().requires_grad_())
    checks.that(gradient is not None, "a gradient flows through the head into the backbone", came="none")
    checks.close(gradient, leaf.grad, "the gradient into the features", rtol=1e-4, atol=1e-6)

with checks.step("four dimensions"):
    grid = x.reshape(1, 3, 2, 7)
    checks.close(head(grid), logits.detach().reshape(1, 3, 2, 9), "the logits of features (1, 3, 2, D)", atol=1e-9)
    checks.close(head.embed(grid), came.detach().reshape(1, 3, 2, 4), "the embeddings of features (1, 3, 2, D)", atol=1e-9)  # fmt: skip
    (after,) = checks.beside(observe.arguments_after, head, x)
    checks.equal(after, x, "the features after the call (an argument must not be changed in place)")
### END HIDDEN TESTS

# %% [markdown]
# ## Part 3. Collapse
#
# Back to the question of Part 1. The answer that is right about every pair of views without looking is a **constant**: the same probabilities for every image. Student and teacher agree, the loss cannot complain, and the features are worth nothing. That is **collapse**, and it comes in two kinds:
#
# | kind | the answer to every image | entropy of the answer |
# | --- | --- | --- |
# | one dimension | output 17, with certainty | 0 |
# | uniform | each output with $1/K$ | $\log K$ |
#
# **Predict.** The loss is a cross-entropy, $H(q, p) = H(q) + \mathrm{KL}(q \Vert p)$. What is its value at each kind of collapse? Could you tell a collapse from the loss curve alone?
#
# You could not. At "uniform" the loss stays at $\log K$, which looks like a run that has not begun. At "one dimension" it falls to 0, which looks like a triumph. You need other numbers.

# %% [markdown] about="report"
# ### Exercise 5. A collapse report
#
# Take the probabilities $q_i$ that the teacher gives to a batch of images, $i = 1 \dots B$, and look at two entropies:
#
# $$\underbrace{\tfrac{1}{B} \sum_i H(q_i)}_{\text{sample entropy}} \qquad \underbrace{H\Bigl(\tfrac{1}{B} \sum_i q_i\Bigr)}_{\text{batch entropy}} \qquad \text{mutual information} = \text{batch entropy} - \text{sample entropy}, \qquad H(q) = -\sum_k q_k \log q_k$$
#
# The first asks how sure the teacher is about one image. The second asks how many outputs it uses over all of them. Their difference is what the output tells about *which* image was shown. It is never negative, and it is 0 for any constant answer.
#
# Two more numbers come from the features $f_i$ of the backbone, scaled to length 1, $z_i = f_i / \lVert f_i \rVert$, as rows of a matrix $Z$:
#
# | number | formula | meaning |
# | --- | --- | --- |
# | feature std | standard deviation of each column of $Z$ over the batch (divide by $B$), mean over columns | 0 when all features point the same way |
# | effective rank | $\exp H(s)$ with $s$ the singular values of $Z$ divided by their sum | how many directions the features use (Roy and Vetterli 2007) |
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `probs` | $(B, K)$ | rows sum to 1; zeros are allowed, $0 \log 0 = 0$ |
# | `features` | $(B, D)$ | no row is zero |
# | result | dict | floats: `sample_entropy`, `batch_entropy`, `mutual_information` in nats, `feature_std`, `effective_rank` |


# %% exercise="report" difficulty=3 minutes=40
def collapse_report(probs: torch.Tensor, features: torch.Tensor) -> dict[str, float]:
    """Five numbers that show whether a run has collapsed.

    Parameters
    ----------
    probs : (B, K), rows sum to 1. features : (B, D), no row zero.

    Returns
    -------
    Floats: "sample_entropy", "batch_entropy", "mutual_information" (nats), "feature_std" (of unit-length features),
    "effective_rank" (of unit-length features; Roy and Vetterli 2007).
    """

    ### BEGIN SOLUTION
    def entropy(p: torch.Tensor) -> torch.Tensor:
        return -torch.xlogy(p, p).sum(-1)

    sample, batch = entropy(probs).mean().item(), entropy(probs.mean(0)).item()
    unit = F.normalize(features, dim=-1)
    singular = torch.linalg.svdvals(unit)
    return {
        "sample_entropy": sample,
        "batch_entropy": batch,
        "mutual_information": batch - sample,
        "feature_std": unit.std(0, correction=0).mean().item(),
        "effective_rank": entropy(singular / singular.sum()).exp().item(),
    }
    ### END SOLUTION


# %% look="report"
# Look: four answers to 12 images with 6 outputs, and their reports.
with checks.look():
    look_answers = {
        "one dimension": F.one_hot(torch.full((12,), 2), 6).float(),
        "uniform": torch.full((12, 6), 1 / 6),
        "sure and balanced": F.one_hot(torch.arange(12) % 6, 6).float(),
        "unsure, but not constant": (2 * checks.normal(seed=0)(12, 6)).softmax(-1),
    }
    fig, axes = plt.subplots(1, 4, figsize=(12.5, 4.0))
    for ax, (name, look_probs) in zip(axes, look_answers.items()):
        found = collapse_report(look_probs, checks.normal(seed=1)(12, 4))
        each, mean, information = (
            round(found[key], 2) + 0.0 for key in ("sample_entropy", "batch_entropy", "mutual_information")
        )
        told = f"{name}\nH of each {each:.2f}, of the mean {mean:.2f}\nmutual information {information:.2f}"
        plotting.heatmap(ax, look_probs, title=told, xlabel="output", ylabel="image" if ax is axes[0] else "", vmin=0, vmax=1, colorbar=ax is axes[-1])  # fmt: skip
        ax.title.set_fontsize(10)
    plt.show()

# %% [markdown] hints="report"
# <details><summary>Hint 1: the idea</summary>
#
# One small function for the entropy along the last dimension serves three of the five numbers. What differs is what goes in: each row, the mean of the rows, or the normalized singular values.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     entropy(p) = minus the sum over the last dimension of p log p, with 0 log 0 = 0
#     sample = mean over the rows of entropy(row)
#     batch  = entropy(mean of the rows)
#     unit   = features with rows of length 1
#     std    = standard deviation down each column of unit, then the mean of them
#     s      = singular values of unit, divided by their sum;  rank = exp(entropy(s))
#     five floats in a dict
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.xlogy(p, p)` is p log p and 0 at 0; `p * p.log()` is not-a-number there. `torch.linalg.svdvals(unit)` gives singular values. `unit.std(0, correction=0)` divides by B. `.item()` makes a float of a tensor with one number.
#
# </details>

# %% test="report" points=6
with checks.step("6 images, 4 outputs: three answers whose entropies are known"):
    features = torch.eye(4)[[0, 1, 2, 3, 0, 1]]
    log4 = math.log(4)
    for name, probs, sample, batch in (
        ("one-hot, always output 2", F.one_hot(torch.full((6,), 2), 4).float(), 0.0, 0.0),
        ("uniform", torch.full((6, 4), 0.25), log4, log4),
        (
            "one-hot, two images for each of outputs 0, 1, 2",
            F.one_hot(torch.arange(6) % 3, 4).float(),
            0.0,
            math.log(3),
        ),
    ):
        report = collapse_report(probs, features)
        wanted = ["batch_entropy", "effective_rank", "feature_std", "mutual_information", "sample_entropy"]
        checks.equal(sorted(report), wanted, "the keys of the report")
        came = [report[key] for key in ("sample_entropy", "batch_entropy", "mutual_information")]
        checks.that(
            all(isinstance(number, float) for number in report.values()), "the numbers are floats", came=f"{report}"
        )
        checks.that(not any(math.isnan(number) for number in came), f"the report on '{name}' is made of numbers", came=f"{came}", causes={
            "0 log 0 came out as not-a-number": lambda: 0 in probs and not any(
                math.isnan(number) for number in collapse_report((probs + 0.1) / 1.4, features).values()
            ),
        })  # fmt: skip
        came, right = torch.tensor(came), torch.tensor([sample, batch, batch - sample])
        checks.close(came, right, f"{name}: sample entropy, batch entropy, mutual information", causes={
            "the entropies are in bits; take the natural logarithm": right / math.log(2),
            "the entropy of the mean was taken for both": torch.tensor([batch, batch, 0.0]),
            "the mean of the entropies was taken for both": torch.tensor([sample, sample, 0.0]),
            "sample and batch entropy changed places": torch.tensor([batch, sample, batch - sample]),
            "the sign of the difference is turned": torch.tensor([sample, batch, sample - batch]),
            "the sign of the entropy is turned": -right,
            "a softmax was applied to what are probabilities already": lambda: name != "uniform" and abs(came[0].item() - float(
                torch.distributions.Categorical(logits=probs).entropy().mean()
            )) < 1e-3,
            "the entropies of the images were added; take their mean": torch.tensor([6 * sample, batch, batch - 6 * sample]),
        })  # fmt: skip

with checks.step("7 answers over 5 outputs that nobody has seen, summed one by one"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    probs = (2 * randn(7, 5)).softmax(-1)
    report = collapse_report(probs, randn(7, 4))
    sample = sum(-p * math.log(p) for row in probs.tolist() for p in row) / 7
    batch = sum(-p * math.log(p) for p in probs.mean(0).tolist())
    came = torch.tensor([report[key] for key in ("sample_entropy", "batch_entropy", "mutual_information")])
    checks.close(
        came, torch.tensor([sample, batch, batch - sample]), "sample entropy, batch entropy, mutual information"
    )

# %% test="report" points=6
with checks.step("12 features in 3 perpendicular directions of 5, of different lengths"):
    probs = torch.full((12, 2), 0.5)
    length = torch.tensor([1.0, 2.0, 0.5, 4.0]).repeat_interleave(3)[:, None]
    features = length * torch.diag(torch.tensor([1.0, 1, -1, 1, 1]))[torch.arange(12) % 3]
    report = collapse_report(probs, features)
    third = math.sqrt(1 / 3 - 1 / 9)  # of a column that is 1, or -1, in a third of the rows
    checks.close(torch.tensor(report["effective_rank"]), torch.tensor(3.0), "the effective rank", causes={
        "this is the entropy; take its exponential": torch.tensor(math.log(3)),
        "this is a rank in bits: exp of an entropy with base 2": torch.tensor(math.exp(math.log2(3))),
        "the singular values were not divided by their sum": lambda: checks.near(
            report["effective_rank"], math.exp(-3 * 2 * math.log(2)), rtol=1e-3
        ),
        "the features were centered first": lambda: abs(report["effective_rank"] - 2) < 1e-3,
    })  # fmt: skip
    checks.close(torch.tensor(report["feature_std"]), torch.tensor(3 * third / 5), "the feature std", causes={
        "the features were not scaled to length 1": features.std(0, correction=0).mean(),
        "the standard deviation runs over the columns, within each image": F.normalize(features, dim=-1).std(1, correction=0).mean(),
        "it divides by B - 1; divide by B": torch.tensor(3 * third / 5 * math.sqrt(12 / 11)),
        "one standard deviation was taken over all numbers": F.normalize(features, dim=-1).std(correction=0),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("all features the same"):
    report = collapse_report(torch.full((8, 2), 0.5), torch.tensor([[3.0, -1.0, 2.0]]).expand(8, 3))
    checks.close(torch.tensor(report["feature_std"]), torch.tensor(0.0), "the feature std", atol=1e-4)
    checks.close(torch.tensor(report["effective_rank"]), torch.tensor(1.0), "the effective rank", atol=1e-2)


def by_numpy(probs: torch.Tensor, features: torch.Tensor) -> dict[str, float]:
    """The report from SciPy's entropy and NumPy's singular values."""
    from scipy.special import entr

    p, f = probs.double().numpy(), features.double().numpy()
    sample, batch = float(entr(p).sum(1).mean()), float(entr(p.mean(0)).sum())
    unit = f / np.sqrt((f**2).sum(1, keepdims=True))
    singular = np.linalg.svd(unit, compute_uv=False)
    return {
        "sample_entropy": sample,
        "batch_entropy": batch,
        "mutual_information": batch - sample,
        "feature_std": float(np.mean(unit.std(0))),
        "effective_rank": float(np.exp(entr(singular / singular.sum()).sum())),
    }


for seed, (batch, outputs, width), sharpness in (
    (0, (16, 8, 5), 1.0),
    (1, (5, 64, 12), 3.0),
    (2, (40, 3, 4), 0.2),
    (3, (9, 16, 9), 30.0),
):
    with checks.step(f"against SciPy and NumPy: B={batch}, K={outputs}, D={width}"):
        randn = checks.normal(seed, dtype=torch.float64)
        probs = (sharpness * randn(batch, outputs)).softmax(-1)
        features = randn(batch, width) * (1 + 3 * torch.rand(batch, 1, generator=torch.Generator().manual_seed(seed)).double()) + 1  # fmt: skip
        came, wanted = collapse_report(probs, features), by_numpy(probs, features)
        unit = features / features.norm(dim=1, keepdim=True)
        shares = torch.linalg.svdvals(unit).square()
        shares = shares / shares.sum()
        by_squares = float((-(shares * shares.log()).sum()).exp())
        for key, value in wanted.items():
            checks.close(torch.tensor(came[key]).double(), torch.tensor(value).double(), key, causes={
                "the squares of the singular values were used": lambda: key == "effective_rank" and checks.near(
                    came[key], by_squares, rtol=1e-3
                ),
            })  # fmt: skip

with checks.step("probabilities and features that are part of a graph"):
    randn = checks.normal(seed=6)
    report = collapse_report(randn(4, 3).requires_grad_().softmax(-1), randn(4, 5).requires_grad_())
    checks.that(
        sum(isinstance(number, float) for number in report.values()) == 5, "the numbers are floats", came=f"{report}"
    )

with checks.step("one image"):
    probs, features = torch.tensor([[0.5, 0.25, 0.25, 0.0]]), torch.tensor([[3.0, 4.0]])
    came, wanted = collapse_report(probs, features), by_numpy(probs, features)
    for key, value in wanted.items():
        checks.close(torch.tensor(came[key]).double(), torch.tensor(value).double(), key)

with checks.step("probabilities and features after the call"):
    randn = checks.normal(seed=7)
    given = (3 * randn(6, 4)).softmax(-1), 2 * randn(6, 3)
    given[0][0] = torch.tensor([0.0, 0.5, 0.5, 0.0])
    after = checks.beside(observe.arguments_after, collapse_report, *given)
    for name, now, was in zip(("probabilities", "features"), after, given, strict=True):
        checks.equal(now, was, f"the {name} after the call (an argument must not be changed in place)")
### END HIDDEN TESTS

# %% [markdown] about="diagnose"
# ### Exercise 6. A diagnosis
#
# Now turn the report into a word. $K$ outputs can carry at most $\log K$ nats, so compare with that, not with a fixed number:
#
# | word | when |
# | --- | --- |
# | `"healthy"` | the mutual information is at least $0.1 \log K$ |
# | `"uniform"` | otherwise, if the sample entropy is above $0.5 \log K$ |
# | `"one_dimension"` | otherwise |
#
# "Healthy" only means that the answers depend on the image. Whether they are any *good* is another question; Part 5 asks it.
#
# | name | meaning |
# | --- | --- |
# | `report` | a dict as in exercise 5 |
# | `k` | $K$, at least 2 |


# %% exercise="diagnose" difficulty=2 minutes=15
def diagnose(report: dict[str, float], k: int) -> str:
    """What a collapse report says: "healthy", "uniform" or "one_dimension".

    Parameters
    ----------
    report : a dict with the keys of `collapse_report`, entropies in nats. k : number of outputs, at least 2.
    """
    ### BEGIN SOLUTION
    if report["mutual_information"] >= 0.1 * math.log(k):
        return "healthy"
    return "uniform" if report["sample_entropy"] > 0.5 * math.log(k) else "one_dimension"
    ### END SOLUTION


# %% look="diagnose"
# Look: the map of all reports with K = 64. Below the diagonal is impossible: the mutual information is never negative.
with checks.look():
    look_steps = torch.linspace(0, math.log(64), 61)
    look_words = {"one_dimension": 0, "uniform": 1, "healthy": 2}
    look_map = np.full((61, 61), np.nan)
    for i, look_batch in enumerate(look_steps.tolist()):
        for j, look_sample in enumerate(look_steps.tolist()):
            if look_sample <= look_batch:
                look_found = {"sample_entropy": look_sample, "batch_entropy": look_batch, "mutual_information": look_batch - look_sample, "feature_std": 0.1, "effective_rank": 5.0}  # fmt: skip
                look_map[i, j] = look_words[diagnose(look_found, 64)]
    fig, ax = plt.subplots(figsize=(5.2, 4.6))
    ax.imshow(look_map, origin="lower", extent=(0, 4.16, 0, 4.16), cmap=plt.matplotlib.colors.ListedColormap([plotting.COLORS[1], plotting.COLORS[4], plotting.COLORS[2]]), vmin=0, vmax=2)  # fmt: skip
    ax.text(0.2, 3.4, "healthy", color="white", fontsize=12)
    ax.annotate("one_dimension", (0.7, 0.85), (1.6, 0.45), arrowprops={"arrowstyle": "-"})
    ax.annotate("uniform", (3.4, 3.5), (2.9, 2.2), arrowprops={"arrowstyle": "-"})
    ax.set(xlabel="sample entropy in nats", ylabel="batch entropy in nats", title="K = 64")
    plt.show()

# %% [markdown] hints="diagnose"
# <details><summary>Hint 1: the idea</summary>
#
# Ask the questions in the order of the table. The first one that is true decides.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     most = log of k
#     mutual information at least a tenth of most: healthy
#     sample entropy above half of most: uniform
#     otherwise: one_dimension
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `math.log(k)` is natural. `>=` for the first question, `>` for the second. The batch entropy alone tells nothing: it is $\log K$ for a uniform answer **and** for a sure and balanced one.
#
# </details>


# %% test="diagnose" points=8
def planted(sample: float, batch: float) -> dict[str, float]:
    return {"sample_entropy": sample, "batch_entropy": batch, "mutual_information": batch - sample,
            "feature_std": 0.1, "effective_rank": 5.0}  # fmt: skip


def word(sample: float, batch: float) -> str:
    return diagnose(planted(sample, batch), 64)


with checks.step("K = 64, log K = 4.16: five reports"):
    for name, sample, batch, wanted in (
        ("always the same output", 0.0, 0.0, "one_dimension"),
        ("always uniform", 4.159, 4.159, "uniform"),
        ("sure and balanced", 0.0, 4.159, "healthy"),
        ("unsure, but it depends on the image", 1.3, 2.9, "healthy"),
        ("nearly uniform, after 300 steps", 4.09, 4.13, "uniform"),
    ):
        checks.equal(word(sample, batch), wanted, f"'{name}' ({sample}, {batch})", causes={
            "the sample entropy alone was asked; low is good if the batch entropy is high": lambda: (
                all(word(s, s) == word(s, 4.159) for s in (0.0, 0.3, 1.0, 3.0)) and word(1.0, 4.159) == "healthy"
            ),
            "the batch entropy alone was asked; it is high for a balanced answer as well": lambda: (
                all(word(0.0, b) == word(b, b) for b in (0.3, 1.0, 3.0, 4.159)) and word(0.0, 0.3) != word(0.0, 4.159)
            ),
            "the mutual information was compared with the batch entropy, not with log K": lambda: (
                [word(0.0, 0.0), word(0.0, 0.05), word(1.0, 1.2)] == ["healthy"] * 3 and word(1.0, 1.05) != "healthy"
            ),
            "not collapsed does not mean learning: the mutual information is 0.04 of 4.16": lambda: (
                word(4.09, 4.13) == "healthy" and word(4.159, 4.159) == "uniform" and word(0.0, 0.0) == "one_dimension"
            ),
        })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("K = 2, K = 4 and K = 65,536: the same shares of log K"):
    for k in (2, 4, 65536):
        most = math.log(k)
        for sample, batch, wanted in (
            (0.02, 0.05, "one_dimension"),
            (0.97, 0.99, "uniform"),
            (0.3, 0.6, "healthy"),
            (0.85, 0.97, "healthy"),
            (0.3, 0.38, "one_dimension"),
            (0.55, 0.63, "uniform"),
            (0.1, 0.19, "one_dimension"),
            (0.1, 0.21, "healthy"),
        ):
            came = diagnose(planted(sample * most, batch * most), k)
            checks.equal(came, wanted, f"K = {k}: sample entropy {sample:.0%}, batch entropy {batch:.0%} of log K", causes={
                "the limits are fixed numbers; they must grow with log K": lambda: (
                    diagnose(planted(sample * math.log(64), batch * math.log(64)), 64) == wanted
                    and diagnose(planted(sample * most, batch * most), 64) == came
                ),
            })  # fmt: skip

# here the logarithms of 26 and 64 round so that every way to write the two limits agrees
with checks.step("exactly at the limits"):
    checks.equal(diagnose(planted(0.0, 0.1 * math.log(26)), 26), "healthy", "a mutual information of 0.1 log K", causes={
        "the table says at least 0.1 log K, so the limit itself is healthy": lambda: diagnose(planted(0.0, 0.101 * math.log(26)), 26) == "healthy",
    })  # fmt: skip
    checks.equal(diagnose(planted(0.5 * math.log(64), 0.5 * math.log(64)), 64), "one_dimension", "a sample entropy of 0.5 log K", causes={
        "the table says above 0.5 log K, so the limit itself is not uniform": lambda: diagnose(planted(0.499 * math.log(64), 0.499 * math.log(64)), 64) == "one_dimension",
    })  # fmt: skip


WORDS = ["healthy", "uniform", "one_dimension"]


def places(fn: Callable, reports: list, k: int) -> list:
    """For each report the place of its word among the three; -1 for another word."""
    found = [fn(dict(report), k) for report in reports]
    return [WORDS.index(word) if word in WORDS else -1 for word in found]


def after(fn: Callable, report: dict, k: int) -> dict:
    report = dict(report)
    fn(report, k)
    return report


with checks.step("all reports in steps of 7 percent of log K, K = 1000"):
    most = math.log(1000)
    shares = [(s, b) for b in range(1, 101, 7) for s in range(1, b + 1, 7)]
    reports = [
        planted(s / 100 * most, b / 100 * most) | {"feature_std": (s % 3) / 10, "effective_rank": 1.0 + b % 4}
        for s, b in shares
    ]
    wanted = [0 if b - s > 10 else 1 if s > 50 else 2 for s, b in shares]  # no difference is 10, no share is 50
    checks.equal(
        checks.beside(places, diagnose, reports, 1000), wanted, f"the diagnoses (0, 1, 2 for {', '.join(WORDS)})"
    )
    reports[0]["mutual_information"] = -1e-7  # as rounding may leave it
    checks.equal(checks.beside(after, diagnose, reports[0], 1000), reports[0], "the report after the call")
### END HIDDEN TESTS

# %% [markdown]
# ### Experiment: take one part away
#
# Everything is there for a run. The data are the handwritten digits of weeks 3 and 5, here at 12 x 12 pixels, without their labels. The network is a tiny ViT with patches of side 4, so 9 tokens. It has **no class token**: the feature of an image is the mean of its patch tokens. (With so few steps a class token has hardly begun to attend to anything.)
#
# One recipe for all four runs: batches of 24, two global crops with 70 to 100 % of the area and a little noise, $K = 64$ outputs, temperatures 0.1 and 0.04. As in the paper's ViT there is **no batch norm**: it is a safeguard of its own, and you want to see the other two at work. There are 45 steps, so teacher and center must be quick: their momenta start at 0.7 and 0.3. (A long run uses 0.996 and 0.9.)


# %% explore=true
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class Recipe:
    """What a run needs to know. The defaults are those of the digits."""

    size: int = 12  # pixels of a global crop
    local_size: int = 8
    patch: int = 4
    width: int = 48
    depth: int = 2
    outputs: int = 64
    steps: int = 60
    batch: int = 24
    learning_rate: float = 2e-3
    momentum: float = 0.9  # of the teacher, at step 0
    center_momentum: float = 0.9
    t_student: float = 0.1
    t_teacher: float = 0.04
    centering: bool = True
    n_local: int = 0
    scale_global: tuple[float, float] = (0.7, 1.0)
    scale_local: tuple[float, float] = (0.3, 0.6)
    noise: float = 0.1  # standard deviation, and largest change of brightness
    batch_norm: bool = True  # between backbone and head
    position_std: float = 0.5  # of the positions at the start; timm's 0.02 is a whisper beside patches of size 1
    ibot: bool = False


class Network(nn.Module):
    """A ViT without class token, whose feature is the mean of its patch tokens, and a head for images and patches."""

    def __init__(self, recipe: Recipe, channels: int) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=recipe.size, patch_size=recipe.patch, in_chans=channels, num_classes=0, class_token=False,
            global_pool="avg", fc_norm=False, embed_dim=recipe.width, depth=recipe.depth, num_heads=max(4, recipe.width // 64), mlp_ratio=2.0,
            dynamic_img_size=True, weight_init="jax",
        )  # fmt: skip
        nn.init.normal_(self.vit.pos_embed, std=recipe.position_std)
        self.norm, self.patch_norm = (
            nn.BatchNorm1d(recipe.width) if recipe.batch_norm else nn.Identity() for _ in range(2)
        )
        self.head = DINOHead(recipe.width, recipe.outputs)
        self.mask_token = nn.Parameter(torch.zeros(recipe.width))

    def patch_tokens(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images (B, C, s, s), also smaller ones, to patch tokens (B, N, D); the patches in `mask` (B, N) are hidden."""
        grid = self.vit.patch_embed(images)  # (B, h, w, D)
        tokens = grid.flatten(1, 2)
        if mask is not None:
            tokens, _ = masked_views(tokens, mask, self.mask_token)
        positions = resample_abs_pos_embed(self.vit.pos_embed, list(grid.shape[1:3]), num_prefix_tokens=0)
        return self.vit.norm(self.vit.blocks(tokens + positions))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, D): what is left when the head has been thrown away."""
        return self.patch_tokens(images).mean(1)

    def image_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, N, D) to logits of the images (B, K)."""
        return self.head(self.norm(tokens.mean(1)))

    def patch_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, N, D) to logits of the patches (B, N, K)."""
        return self.head(self.patch_norm(tokens.flatten(0, 1)).view_as(tokens))


@dataclass
class Run:
    """A finished run: the random network it began with, its teacher, and the numbers of every step."""

    start: Network
    teacher: Network
    history: dict[str, list[float]]


def noisy(views: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Standardized views, each brighter or darker by up to `strength`, with noise of that standard deviation."""
    brightness = 1 + strength * (2 * torch.rand(len(views), 1, 1, 1, generator=generator) - 1)
    return views * brightness.to(views) + strength * torch.randn(views.shape, generator=generator).to(views)


def self_distill(
    images: torch.Tensor,
    recipe: Recipe,
    seed: int,
    disturb: Callable[[torch.Tensor, float, torch.Generator], torch.Tensor] = noisy,
) -> Run:
    """Train a student and its teacher on images (n, C, s, s) without labels, by the loss of DINO (and of iBOT)."""
    device = profile.device()
    torch.manual_seed(seed)
    student = Network(recipe, images.shape[1]).to(device)
    start, teacher = copy.deepcopy(student), make_teacher(student)
    center, patch_center = (torch.zeros(recipe.outputs, device=device) for _ in range(2))
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.learning_rate, weight_decay=0.05, fused=True)
    warm = max(1, recipe.steps // 10)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm))
    draw = torch.Generator().manual_seed(seed)
    names = ("sample_entropy", "batch_entropy", "mutual_information", "effective_rank", "divergence", "loss")
    history: dict[str, list[float]] = {name: [] for name in names}
    for step in profile.track(range(recipe.steps), "self-distillation"):
        picked = images[torch.randint(len(images), (recipe.batch,), generator=draw)].to(device)
        large, small = multi_crop(
            picked, recipe.n_local, recipe.size, recipe.local_size, recipe.scale_global, recipe.scale_local, draw
        )
        large, small = ([disturb(view, recipe.noise, draw) for view in views] for views in (large, small))
        both = torch.cat(large)
        with torch.no_grad():
            teacher_tokens = teacher.patch_tokens(both)
            told = teacher.image_logits(teacher_tokens).chunk(2)
        mask = some_hidden(both, recipe.patch, draw) if recipe.ibot else None
        tokens = student.patch_tokens(both, mask)
        answers = list(student.image_logits(tokens).chunk(2))
        if small:
            answers += student.image_logits(student.patch_tokens(torch.cat(small))).chunk(len(small))
        loss = dino_loss(answers, told, center, recipe.t_student, recipe.t_teacher)
        if mask is not None:
            with torch.no_grad():
                told_patches = teacher.patch_logits(teacher_tokens)
            loss = loss + ibot_loss(
                student.patch_logits(tokens), told_patches, mask, patch_center, recipe.t_student, recipe.t_teacher
            )
            update_center(patch_center, told_patches.flatten(0, 1).chunk(2), recipe.center_momentum)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimizer.step()
        rate.step()

        probs = ((torch.cat(told) - center) / recipe.t_teacher).softmax(-1)
        report = collapse_report(probs, teacher_tokens.mean(1))
        other = F.log_softmax(torch.cat([answers[1], answers[0]]).detach() / recipe.t_student, dim=-1)
        report["divergence"] = F.kl_div(other, probs, reduction="batchmean").item()
        report["loss"] = loss.item()
        for name in names:
            history[name].append(report[name])
        if recipe.centering:
            update_center(center, told, recipe.center_momentum)
        update_teacher(teacher, student, momentum_schedule(step, recipe.steps, recipe.momentum))
    return Run(start, teacher, history)


def some_hidden(views: torch.Tensor, patch: int, generator: torch.Generator) -> torch.Tensor:
    """A mask (B, N): in every other view a random 10 to 50 % of the patches are hidden, and at least one in all."""
    count, patches = len(views), (views.shape[-1] // patch) ** 2
    ratio = torch.empty(count, 1).uniform_(0.1, 0.5, generator=generator)
    mask = torch.rand(count, patches, generator=generator) < ratio
    mask[torch.rand(count, generator=generator) < 0.5] = False
    mask[0, 0] = True
    return mask.to(views.device)


def last_mean(history: dict[str, list[float]], steps: int = 10) -> dict[str, float]:
    """The mean of every number over the last steps."""
    return {name: sum(values[-steps:]) / steps for name, values in history.items()}


digits = datasets.digits(size=12)

# %% explore=true
chance = math.log(64)
bare = Recipe(steps=45, batch_norm=False, momentum=0.7, center_momentum=0.3)
without = {
    "full": bare,
    "no centering": replace(bare, centering=False),
    "no sharpening": replace(bare, t_teacher=1.0),
    "neither": replace(bare, centering=False, t_teacher=1.0),
}
print(f"log K = {chance:.2f} nats; two global crops, {bare.steps} steps of {bare.batch} images")
sample = digits.x_train[:8]
large, small = multi_crop(sample, 2, 12, 8, bare.scale_global, bare.scale_local, torch.Generator().manual_seed(0))
large = [noisy(view, bare.noise, torch.Generator().manual_seed(k)) for k, view in enumerate(large)]
shown = [view * digits.std + digits.mean for view in (sample, *large, *small)]
titles = [name if k == 0 else "" for name in ("image", "global 1", "global 2", "local 1", "local 2") for k in range(8)]
display(plotting.image_grid([image for view in shown for image in view], titles=titles, columns=8))

# %% [markdown]
# Now take away one part at a time, and then both:
#
# | run | what is missing |
# | --- | --- |
# | full | nothing |
# | no centering | the center stays 0 |
# | no sharpening | the teacher's temperature is 1, so it is *softer* than the student |
# | neither | both |
#
# **Predict.** Which of the runs collapse, and to what? What is the KL divergence between teacher and student at each collapse?

# %% explore=true
runs = {name: self_distill(digits.x_train, recipe, seed=0) for name, recipe in without.items()}

# %% explore=true
fig, axes = plt.subplots(1, 3, figsize=(13, 3.9))
for ax, key, title in zip(
    axes,
    ("sample_entropy", "mutual_information", "divergence"),
    ("the teacher's entropy, per image", "mutual information", "KL(teacher || student)"),
):
    for name, run in runs.items():
        ax.plot(run.history[key], label=name, linestyle="--" if name == "neither" else "-")
    ax.set(xlabel="step", ylabel="nats" if ax is axes[0] else "", title=title)
    ax.grid(alpha=0.3)
for ax in axes[:2]:
    ax.axhline(0, color="0.3", linewidth=1)
    ax.axhline(chance, color="0.3", linewidth=1, linestyle=":")
    ax.text(2, chance * 0.985, "log K", va="top", fontsize=9)
axes[2].set_ylim(0, 2.6)
axes[2].legend(loc="upper right")
plt.show()


def table_of(runs: dict[str, Run], outputs: int = 64) -> list[dict[str, str]]:
    """One row a run: the numbers of its last ten steps, and the diagnosis."""
    rows = []
    for name, run in runs.items():
        end = last_mean(run.history)
        rows.append(
            {
                "run": name,
                "H of each": f"{end['sample_entropy']:.2f}",
                "H of the mean": f"{end['batch_entropy']:.2f}",
                "mutual information": f"{abs(end['mutual_information']):.2f}",  # no -0.00
                "KL": f"{end['divergence']:.3f}",
                "loss": f"{end['loss']:.2f}",
                "effective rank": f"{end['effective_rank']:.1f}",
                "diagnosis": diagnose(end, outputs),
            }
        )
    return rows


print(profiling.table(table_of(runs), title="means of the last ten steps, seed 0"))

# %% [markdown]
# One seed is an anecdote. So the two runs that differ by the center alone run again with other weights, other batches and other crops. The targets: the full run is healthy, so it keeps at least a tenth of $\log K$, 0.42 nats; without centering, and without sharpening, at most 0.3 nats are left.

# %% explore=true
seeds = range(profile.pick(cpu=2, gpu=20))
again = {
    name: [runs[name]] + [self_distill(digits.x_train, without[name], seed) for seed in seeds if seed > 0]
    for name in ("full", "no centering")
}
again["no sharpening"] = [runs["no sharpening"]]
ends = {name: [last_mean(run.history) for run in found] for name, found in again.items()}
rows = [
    {
        "run": name,
        "mutual information by seed": ", ".join(f"{abs(end['mutual_information']):.2f}" for end in found[:5]),
        "diagnoses": ", ".join(diagnose(end, 64) for end in found[:5]),
        "target": "at least 0.42" if name == "full" else "at most 0.3",
        "reached": f"{sum((end['mutual_information'] >= 0.1 * chance) if name == 'full' else (end['mutual_information'] <= 0.3) for end in found)} of {len(found)}",
    }
    for name, found in ends.items()
]
print(profiling.table(rows, title="means of the last ten steps, in nats"))

# %% [markdown]
# **Explain.** Read the middle picture first: only the full run keeps a mutual information well above 0. The others end where Part 3 said they might.
#
# - **No centering: one dimension.** Whatever output is ahead by chance gets sharpened, the student learns it, the teacher follows. Soon all images get the same answer. Its loss is the *lowest* of all four runs.
# - **No sharpening: uniform.** A teacher that is softer than its student asks it to be softer still. The entropy lies at $\log K$ from the first steps on.
# - **Neither: uniform as well.** Without the low temperature nothing pushes away from the uniform answer, so there is nothing for the center to hold in check.
# - **KL goes to 0 in every collapse** and does not in the full run: a student that has nothing left to chase has stopped learning. Caron et al. (2021, section 5.3) draw these two curves, entropy and KL, for the same purpose.
#
# Centering and sharpening pull in opposite directions, and the full run lives between them. It is no calm place: in so short a run, and without batch norm, the full curve sinks before it rises, and most seeds end below 1.0 nat. What holds is the *diagnosis*: over twenty fresh seeds it was "one_dimension" without centering every time, and "healthy" for the full run in seventeen. With a batch norm and a calmer teacher the full recipe ends well above 1.0 nat in every seed; Part 5 prints it. Then a run without centering does not fall all the way either, which makes the lesson harder to see.

# %% [markdown] about="ibot"
# ### Exercise 7. iBOT: the same game for hidden patches
#
# DINO asks for one answer per image. iBOT (Zhou et al. 2022, section 3) adds one for each **hidden patch**. It is week 5's game with another target: not the pixels of the patch, but what the *teacher* says about it.
#
# - The **student** gets the patches with some of them replaced by a learned mask token.
# - The **teacher** gets all patches. Were anything hidden from it, it could not know the answer either.
# - Both give $K$ logits for every patch, through the same kind of head and softmax as before.
#
# With $m_{bi} = 1$ where patch $i$ of image $b$ is hidden from the student:
#
# $$\mathcal{L} = \frac{1}{|\mathcal{B}|} \sum_{b \in \mathcal{B}} \frac{\sum_i m_{bi}\, H(q_{bi}, p_{bi})}{\sum_i m_{bi}}, \qquad \mathcal{B} = \text{images with at least one hidden patch}$$
#
# So the mean is taken **per image first**: an image with two hidden patches counts as much as one with ten.
#
# | function | input | output |
# | --- | --- | --- |
# | `masked_views(tokens, mask, mask_token)` | embedded patches $(B, N, D)$, mask $(B, N)$ with 1 or True = hidden, token $(D,)$ | the student's tokens and the teacher's tokens, both $(B, N, D)$; `tokens` is not changed |
# | `ibot_loss(student_patches, teacher_patches, mask, center, t_s, t_t)` | logits $(B, N, K)$ twice, mask $(B, N)$, center $(K,)$, temperatures | scalar; ValueError when nothing is hidden in the whole batch |
#
# Teacher and center are constants here, too.


# %% exercise="ibot" difficulty=3 minutes=45
def masked_views(
    tokens: torch.Tensor, mask: torch.Tensor, mask_token: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What student and teacher see of embedded patches, before positions are added (Zhou et al. 2022, section 3).

    Parameters
    ----------
    tokens : (B, N, D); not changed. mask : (B, N), bool or 0/1, 1 = hidden from the student. mask_token : (D,).

    Returns
    -------
    (B, N, D) for the student, with the mask token in the hidden places, and (B, N, D) for the teacher.
    """
    ### BEGIN SOLUTION
    return torch.where(mask.bool()[..., None], mask_token, tokens), tokens
    ### END SOLUTION


def ibot_loss(
    student_patches: torch.Tensor,
    teacher_patches: torch.Tensor,
    mask: torch.Tensor,
    center: torch.Tensor,
    t_s: float,
    t_t: float,
) -> torch.Tensor:
    """Cross-entropy of student and teacher on hidden patches, mean per image, then over images (Zhou et al. 2022).

    Parameters
    ----------
    student_patches, teacher_patches : (B, N, K) logits. mask : (B, N), bool or 0/1, 1 = hidden from the student.
    center : (K,), subtracted from the teacher's logits. t_s, t_t : temperatures of student and teacher.

    Returns
    -------
    A scalar in nats. Images without a hidden patch do not count. Teacher and center get no gradient.

    Raises
    ------
    ValueError : when no patch of the batch is hidden.
    """
    ### BEGIN SOLUTION
    hidden = mask.to(student_patches.dtype)
    count = hidden.sum(-1)
    if not count.any():
        raise ValueError("no patch is hidden, so there is nothing to learn from")
    target = ((teacher_patches - center) / t_t).softmax(-1).detach()
    cost = -(target * F.log_softmax(student_patches / t_s, dim=-1)).sum(-1)
    some = count > 0
    return ((cost * hidden).sum(-1)[some] / count[some]).mean()
    ### END SOLUTION


# %% look="ibot"
# Look: what each of the two sees, with tokens that are the pixels of their patches and a gray mask token.
with checks.look():
    look_photo = datasets.photograph("flower", height=128, width=128).image
    look_tokens = F.unfold(look_photo[None], 16, stride=16).transpose(1, 2)
    look_mask = torch.rand(1, 64, generator=torch.Generator().manual_seed(2)) < 0.4
    look_views = masked_views(look_tokens, look_mask, torch.full((768,), 0.5))
    look_pictures = [F.fold(view.transpose(1, 2), (128, 128), 16, stride=16)[0] for view in look_views]
    display(plotting.image_grid(look_pictures, titles=["the student sees", "the teacher sees"]))
    look_answer = torch.zeros(1, 64, 2)
    for name, look_logit in (("agrees with the teacher", 0.3), ("says nothing", 0.0), ("says the opposite", -0.3)):
        look_answer[..., 0] = look_logit
        look_teacher = torch.tensor([0.3, 0.0]).expand(1, 64, 2)
        print(
            f"a student that {name}: {ibot_loss(look_answer, look_teacher, look_mask, torch.zeros(2), 0.1, 0.04):.2f} nats"
        )

# %% [markdown] hints="ibot"
# <details><summary>Hint 1: the idea</summary>
#
# The cross-entropy of every patch, $(B, N)$, is quickly written: it is the same as in exercise 2. The mask is a weight on it. Then two means, the inner one with its own divisor for each image.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     masked_views: student = mask token where hidden, the token elsewhere; teacher = tokens
#
#     ibot_loss:
#         hidden = mask as numbers; count = hidden patches of each image
#         all counts 0: ValueError
#         target = softmax of (teacher - center) / t_t over the outputs, as a constant
#         cost = minus the sum over the outputs of target * log-softmax of student / t_s    (B, N)
#         of the images with count > 0: sum of cost * hidden over the patches / count
#         mean over these images
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.where(mask.bool()[..., None], mask_token, tokens)` spreads the token over all hidden places; writing into `tokens[mask]` would hide the patches from the teacher as well. `(cost * hidden).sum(-1)[some] / count[some]` with `some = count > 0` never divides by 0.
#
# </details>

# %% test="ibot" points=4
with checks.step("masked_views of 2 images, 3 patches, width 2"):
    tokens = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    token = torch.tensor([-1.0, -2.0])
    wanted = torch.tensor([[[-1.0, -2], [2, 3], [-1, -2]], [[6, 7], [8, 9], [-1, -2]]])
    other = torch.tensor([[[0.0, 1], [-1, -2], [4, 5]], [[-1, -2], [-1, -2], [10, 11]]])

    def both(fn: Callable, tokens: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> tuple:
        """The two results, and the arguments after the call."""
        tokens, mask, token = tokens.clone(), mask.clone(), token.clone()
        student, teacher = fn(tokens, mask, token)
        return student, teacher, tokens, mask, token

    student, teacher, after, mask_after, token_after = checks.beside(both, masked_views, tokens, mask, token)
    checks.close(student, wanted, "the student's tokens", causes={
        "1 means hidden; the other patches were hidden": other,
        "the hidden tokens became 0; the mask token belongs there": tokens * ~mask[..., None],
        "the mask token was added to the hidden tokens": tokens + mask[..., None] * token,
        "nothing was hidden from the student": tokens,
    })  # fmt: skip
    checks.close(teacher, tokens, "the teacher's tokens", causes={
        "the mask was written into the tokens themselves, so the teacher does not see the patches either": lambda: checks.near(after, wanted),
        "the teacher must see the patches that are hidden from the student": wanted,
        "the teacher sees only what is hidden from the student": other,
    })  # fmt: skip
    checks.equal(after, tokens, "the tokens after the call (an argument must not be changed in place)")
    checks.equal(mask_after, mask, "the mask after the call")
    checks.equal(token_after, token, "the mask token after the call")

with checks.step("a mask of zeros and ones, as float32 and as int64"):
    for kind in (torch.float32, torch.int64):
        checks.close(masked_views(tokens, mask.to(kind), token)[0], wanted, f"the student's tokens, mask {kind}")

with checks.step("7 images of 5 patches that nobody has seen, patch by patch"):
    randn = checks.normal(checks.fresh_seed())
    tokens, mask, token = randn(7, 5, 4), randn(7, 5) > 0, randn(4)
    wanted = torch.stack([token if hidden else patch for image, row in zip(tokens, mask, strict=True) for patch, hidden in zip(image, row, strict=True)])  # fmt: skip
    student, teacher = masked_views(tokens, mask, token)
    checks.close(student, wanted.reshape(7, 5, 4), "the student's tokens")
    checks.close(teacher, tokens, "the teacher's tokens")

# %% test="ibot" points=4
# two outputs, temperatures 1; the teacher says (1/2, 1/2) about every patch, so a student's answer p costs
# -log(p (1 - p)) / 2
answers = torch.tensor([[0.5, 0.6, 0.7, 0.8], [0.9, 0.65, 0.75, 0.85], [0.55, 0.95, 0.5, 0.6]])
student = torch.stack([(answers / (1 - answers)).log(), torch.zeros(3, 4)], dim=-1)
teacher = torch.zeros(3, 4, 2)
mask = torch.tensor([[0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
cost = -0.5 * (answers * (1 - answers)).log()
hidden = mask.bool()
over_patches = -0.25 * student.log_softmax(1).sum(-1)  # what a softmax over the wrong dimension would give

with checks.step("three images with 1, 3 and 0 hidden patches of 4, by hand"):
    loss = ibot_loss(student, teacher, mask, torch.zeros(2), 1.0, 1.0)
    checks.shape(loss, (), "the loss")
    checks.close(loss, (cost[0, 1] + cost[1, :3].mean()) / 2, "the loss", causes={
        "all hidden patches of the batch count alike; take the mean of each image first": cost[hidden].mean(),
        "all patches were counted, not only the hidden ones": cost.mean(),
        "an image without hidden patches counts as 0; leave it out": (cost[0, 1] + cost[1, :3].mean()) / 3,
        "the sum over the hidden patches was divided by all patches": (cost * mask).mean(),
        "the sum over the hidden patches was not divided": (cost[0, 1] + cost[1, :3].sum()) / 2,
        "the patches that are not hidden were counted": ((cost * ~hidden).sum(1) / (~hidden).sum(1)).mean(),
        "an image without hidden patches counts as if all were hidden": (cost[0, 1] + cost[1, :3].mean() + cost[2].mean()) / 3,
        "an image without hidden patches was divided by 0": lambda: math.isnan(float(loss)),
        "the softmax ran over the patches; it belongs over the outputs": lambda: checks.near(
            float(loss), float((over_patches[0, 1] + over_patches[1, :3].mean()) / 2)
        ),
    })  # fmt: skip

with checks.step("the mask as bool"):
    checks.close(ibot_loss(student, teacher, hidden, torch.zeros(2), 1.0, 1.0), (cost[0, 1] + cost[1, :3].mean()) / 2, "the loss")  # fmt: skip

with checks.step("nothing hidden"):
    for kind in (torch.float32, torch.int64, torch.bool):
        checks.raises(ValueError, ibot_loss, student, teacher, torch.zeros(3, 4, dtype=kind), torch.zeros(2), 1.0, 1.0, name=f"a mask of zeros ({kind})")  # fmt: skip

with checks.step("center and temperatures: one patch, the teacher says (3/4, 1/4), the student (4/5, 1/5)"):
    one = ibot_loss(
        torch.tensor([[[0.5 * math.log(4), 0.0]]]),
        torch.tensor([[[2 + 0.25 * math.log(3), 0.0]]]),
        torch.ones(1, 1),
        torch.tensor([2.0, 0.0]),
        0.5,
        0.25,
    )

    def nats(q: float, p: float) -> torch.Tensor:
        return torch.tensor(-(q * math.log(p) + (1 - q) * math.log(1 - p)), dtype=torch.float32)

    def first_of(margin: float) -> float:
        return 1 / (1 + math.exp(-margin))

    checks.close(one, nats(3 / 4, 4 / 5), "the loss", causes={
        "the temperatures changed places": nats(first_of(math.log(3) / 2), first_of(2 * math.log(4))),
        "the center was not used": nats(first_of(8 + math.log(3)), 4 / 5),
        "the center was added; subtract it": nats(first_of(16 + math.log(3)), 4 / 5),
        "the center was subtracted from the student as well": nats(3 / 4, first_of(math.log(4) - 4)),
        "student and teacher changed places in the cross-entropy": nats(4 / 5, 3 / 4),
    })  # fmt: skip

with checks.step("3 images with 2, 1 and 0 hidden patches of 4 that nobody has seen, against the logistic function"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher, center = randn(3, 4, 2), randn(3, 4, 2), randn(2)
    few = torch.tensor([[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    shares = [first_of(-m / 0.5) for m in (teacher - center).diff().flatten().tolist()]  # of the teacher's first output
    asked = [first_of(-m / 0.8) for m in student.diff().flatten().tolist()]
    each = [nats(q, p) for q, p in zip(shares, asked, strict=True)]
    checks.close(
        ibot_loss(student, teacher, few, center, 0.8, 0.5), ((each[0] + each[3]) / 2 + each[6]) / 2, "the loss"
    )


# %% test="ibot" points=4
def into(fn: Callable, student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, center: torch.Tensor) -> list:
    """Gradients of the loss into student, teacher and center; None where there is none."""
    leaves = [leaf.clone().requires_grad_() for leaf in (student, teacher, center)]
    fn(leaves[0], leaves[1], mask, leaves[2], 0.1, 0.04).backward()
    return [leaf.grad for leaf in leaves]


with checks.step("gradients"):
    randn = checks.normal(seed=0)
    mask = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]])
    gradients = checks.beside(into, ibot_loss, 0.2 * randn(2, 5, 6), 0.2 * randn(2, 5, 6), mask, 0.1 * randn(6))
    reached = gradients[0].abs().sum(-1) > 0 if gradients[0] is not None else torch.zeros(2, 5, dtype=torch.bool)
    checks.equal(reached, mask.bool(), "which patches of the student get a gradient: the hidden ones", causes={
        "patches that the student could see get one as well": lambda: bool(reached.all()),
    })  # fmt: skip
    for what, gradient in zip(("the teacher", "the center"), gradients[1:], strict=True):
        checks.that(gradient is None or bool((gradient == 0).all()), f"no gradient flows into {what}", came="a gradient", causes={
            "the teacher's probabilities are still in the graph; detach them": lambda: gradients[1] is not None,
        })  # fmt: skip


def through(fn: Callable, tokens: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> tuple:
    """How often the mask token went in, from its gradient, and the gradient into the tokens."""
    tokens, token = tokens.clone().requires_grad_(), token.clone().requires_grad_()
    student, _ = fn(tokens, mask, token)
    student.sum().backward()
    return token.grad, tokens.grad


with checks.step("the mask token is learned"):
    to_token, to_tokens = checks.beside(through, masked_views, torch.zeros(2, 5, 3), mask, torch.zeros(3))
    checks.that(to_token is not None, "a gradient reaches the mask token", came="none")
    checks.that(to_tokens is not None, "a gradient reaches the patches", came="none")
    checks.close(to_token, torch.full((3,), 3.0), "the gradient into the token, which stands in 3 places")
    checks.close(to_tokens, (1.0 - mask)[..., None].expand(2, 5, 3).contiguous(), "the gradient into the patches")

### BEGIN HIDDEN TESTS


def shares_of(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, center: torch.Tensor, t_s: float, t_t: float
) -> float:
    """The loss, image by image and patch by patch."""
    images = []
    for b in range(len(mask)):
        costs = []
        for i in range(mask.shape[1]):
            if mask[b, i]:
                q = shares_of([z - c for z, c in zip(teacher[b, i].tolist(), center.tolist())], t_t)
                p = shares_of(student[b, i].tolist(), t_s)
                costs.append(-sum(x * math.log(y) for x, y in zip(q, p)))
        if costs:
            images.append(sum(costs) / len(costs))
    return sum(images) / len(images)


for seed, (batch, patches, outputs), temperatures in (
    (0, (4, 9, 5), (0.1, 0.04)),
    (1, (1, 16, 3), (0.1, 0.07)),
    (2, (6, 4, 8), (0.5, 1.0)),
    (3, (3, 2, 7), (0.05, 0.2)),
):
    with checks.step(f"against loops, float64: B={batch}, N={patches}, K={outputs}, temperatures {temperatures}"):
        randn = checks.normal(seed, dtype=torch.float64)
        student, teacher, center = 0.2 * randn(batch, patches, outputs), 0.2 * randn(batch, patches, outputs), 0.1 * randn(outputs)  # fmt: skip
        mask = torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed)) < 0.4
        mask[0] = False
        mask[-1, 0] = True  # one image with nothing hidden, where there is more than one, and one with something
        wanted = torch.tensor(by_loop(student, teacher, mask, center, *temperatures), dtype=torch.float64)
        came = ibot_loss(student, teacher, mask, center, *temperatures)
        checks.close(came, wanted, "the loss", rtol=1e-7, atol=1e-10)

with checks.step("logits of 50 and -50: no infinity"):
    far = torch.tensor([[[50.0, -50.0, 0.0]]])
    came = ibot_loss(far, -far, torch.ones(1, 1), torch.zeros(3), 0.1, 0.04)
    checks.close(came, torch.tensor(1000.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not math.isfinite(
            float(ibot_loss(far, torch.zeros(1, 1, 3), torch.ones(1, 1), torch.zeros(3), 0.1, 0.04))
        ),
        "the exponential of a teacher's logit is infinite: use softmax": lambda: not math.isfinite(
            float(ibot_loss(torch.zeros(1, 1, 3), far, torch.ones(1, 1), torch.zeros(3), 0.1, 0.04))
        ),
    })  # fmt: skip

with checks.step("what the student says about patches it could see does not matter"):
    randn = checks.normal(seed=5)
    student, teacher = 0.2 * randn(2, 6, 4), 0.2 * randn(2, 6, 4)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
    changed = torch.where(mask.bool()[..., None], student, 5 * randn(2, 6, 4))
    first, second = (ibot_loss(s, teacher, mask, torch.zeros(4), 0.1, 0.04) for s in (student, changed))
    checks.close(second, torch.tensor(float(first)), "the loss with other answers there")

with checks.step("gradients into the student, against F.cross_entropy with soft targets; the arguments after the call"):
    randn = checks.normal(seed=6, dtype=torch.float64)
    student, teacher, center = 0.2 * randn(3, 5, 4), 0.2 * randn(3, 5, 4), 0.1 * randn(4)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    leaf = student.clone().requires_grad_()
    soft = ((teacher - center) / 0.04).softmax(-1)
    costs = [F.cross_entropy(leaf[b, mask[b] == 1] / 0.1, soft[b, mask[b] == 1]) for b in (0, 2)]
    (sum(costs) / 2).backward()
    came = checks.beside(into, ibot_loss, student, teacher, mask, center)[0]
    checks.close(came, leaf.grad, "the gradient into the student", atol=1e-9)
    after = checks.beside(observe.arguments_after, ibot_loss, student, teacher, mask, center, 0.1, 0.04)
    names = ("the student's logits", "the teacher's logits", "the mask", "the center")
    for name, now, was in zip(names, after, (student, teacher, mask, center), strict=True):
        checks.equal(now, was, f"{name} after the call (an argument must not be changed in place)")

with checks.step("float64 tokens"):
    student, _ = masked_views(
        torch.zeros(2, 3, 4, dtype=torch.float64), torch.ones(2, 3), torch.ones(4, dtype=torch.float64)
    )
    checks.close(student, torch.ones(2, 3, 4, dtype=torch.float64), "the student's tokens, all hidden")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: a vocabulary of patches
#
# One run with both losses, on the same digits, now with a batch norm before the head and a calmer teacher (momenta of 0.9), which is the recipe of Part 5. Then this question to its **teacher**, on test images it has never seen: hide one patch and let it say which of the 64 outputs that patch would get. Show the patch and ask again. How often is the answer the same?
#
# Zhou et al. call the teacher an *online tokenizer*: it turns patches into words, and the words are made up while it learns. **Predict.** What would a network have to know about digits to guess the word of a hidden patch?

# %% explore=true
tokenizer_run = self_distill(digits.x_train, Recipe(ibot=True), seed=0)
print(profiling.table(table_of({"DINO + iBOT": tokenizer_run}), title="means of the last ten steps"))


def words_of(network: Network, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest output (n, N) for each patch of images: when it is seen, and when it alone is hidden."""
    network.eval()
    patches = (images.shape[-1] // 4) ** 2
    with torch.no_grad():
        seen = network.patch_logits(network.patch_tokens(images))
        middle = seen.mean((0, 1))  # in the place of the running center
        guessed = torch.empty_like(seen)
        for place in range(patches):
            mask = torch.zeros(len(images), patches, dtype=torch.bool, device=images.device)
            mask[:, place] = True
            guessed[:, place] = network.patch_logits(network.patch_tokens(images, mask))[:, place]
    return (seen - middle).argmax(-1).cpu(), (guessed - middle).argmax(-1).cpu()


tokenizer = tokenizer_run.teacher
seen, guessed = words_of(tokenizer, digits.x_test.to(profile.device()))
counts = torch.bincount(seen.flatten(), minlength=64)
by_place = torch.stack([torch.bincount(seen[:, place], minlength=64).max() for place in range(seen.shape[1])])
print(f"words in use on {len(seen)} test images: {(counts > 0).sum()} of 64")
print(f"the word of a hidden patch is guessed in {(seen == guessed).float().mean():.0%} of the cases")
print(f"always the most frequent word: {counts.max() / counts.sum():.0%}; the most frequent one of each place: {by_place.sum() / seen.numel():.0%}")  # fmt: skip
pixels = digits.x_test * digits.std + digits.mean
cut = F.unfold(pixels, 4, stride=4).transpose(1, 2).reshape(-1, 1, 4, 4)  # all patches of all test images
frequent = counts.argsort(descending=True)[:6].tolist()
chosen = [(word, index) for word in frequent for index in (seen.flatten() == word).nonzero()[:: max(1, int(counts[word]) // 12)][:12, 0].tolist()]  # fmt: skip
display(
    plotting.image_grid(
        [cut[index] for _, index in chosen],
        columns=12,
        suptitle="the six most frequent words: twelve patches of each, a row a word",
    )
)

# %% [markdown]
# **Explain.** Each row of the picture is a word that nobody has defined: an empty corner, a stroke at the right edge, ink all over. The words are tied to a place as well, because the positions are part of what the teacher sees. That is why "the most frequent word of each place" is the fair thing to compare with, and it makes the guess look modest: after so few steps the network knows *where* strokes usually are, and hardly more. The large first number alone would have told another story.

# %% [markdown]
# ## Part 5. What do the features gain?
#
# The runs above are healthy: their answers depend on the image. Are their **features** any good? Nothing in this week's losses mentions digits, so the test is this: throw the head away, freeze the network, and see what its features know.
#
# - **kNN-20**: the 20 nearest training images (by cosine) vote on the class, nearer ones with more weight. Uses all 1,347 labels and trains nothing.
# - **Linear probe, 100 labels**: a linear map from standardized features to the classes, fitted by ridge regression on ten labels per digit.
#
# The yardstick is **not zero and not chance, but the same network before the first step**. A random ViT is a random but smooth function of the pixels, and that keeps a good part of what pixels know. (Raw pixels themselves reach 97 to 98 % kNN accuracy here, as the table shows; these digits are an easy world for pixels. No network of this week beats them.)
#
# **Predict.** How many points does DINO gain over the random network? And is the gain larger than the difference between two seeds?


# %% explore=true
def knn_accuracy(
    features: torch.Tensor, labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor, k: int = 20
) -> float:
    """Accuracy of a vote of the k nearest features, weighted by exp(cosine / 0.07)."""
    cosine, nearest = (F.normalize(new, dim=-1) @ F.normalize(features, dim=-1).T).topk(k)
    votes = torch.zeros(len(new), int(labels.max()) + 1).scatter_add_(1, labels[nearest], (cosine / 0.07).exp())
    return (votes.argmax(-1) == new_labels).float().mean().item()


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor, each: int, seed: int
) -> float:
    """Accuracy of ridge regression on one-hot labels, fitted on `each` random examples of each class."""
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    few = torch.cat([mixed[labels[mixed] == label][:each] for label in labels.unique()])
    mean, std = features[few].mean(0), features[few].std(0) + 1e-6
    x, x_new = (features[few] - mean) / std, (new - mean) / std
    y = F.one_hot(labels[few]).float()
    weight = torch.linalg.solve(x.T @ x + 10.0 * torch.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    return ((x_new @ weight + y.mean(0)).argmax(-1) == new_labels).float().mean().item()


def features_of(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Features (n, D) in eval mode, on the CPU."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network.features(part.to(profile.device())).cpu() for part in images.split(500)])


def judged(network: Network, seed: int) -> tuple[float, float]:
    """kNN-20 and probe accuracy of a network's features on the digits."""
    known, new = features_of(network, digits.x_train), features_of(network, digits.x_test)
    return (
        knn_accuracy(known, digits.y_train, new, digits.y_test),
        probe_accuracy(known, digits.y_train, new, digits.y_test, each=10, seed=seed),
    )


EVERYTHING = profile.pick(cpu=False, gpu=True)
arms = {"DINO, mild views": Recipe()}
if EVERYTHING:
    arms["DINO + iBOT, mild views"] = Recipe(ibot=True)
    arms["DINO, strong views"] = Recipe(scale_global=(0.5, 1.0), noise=0.3)
judges = range(40, profile.pick(cpu=45, gpu=60))  # seeds that nobody looked at while the recipe was chosen
scores: dict[str, list[tuple[float, float]]] = {name: [] for name in ("random network", *arms)}
learned: dict[str, list[float]] = {name: [] for name in arms}
for name, recipe in arms.items():
    for seed in judges:
        run = self_distill(digits.x_train, recipe, seed)
        if name == "DINO, mild views":
            scores["random network"].append(judged(run.start, seed))
        scores[name].append(judged(run.teacher, seed))
        learned[name].append(last_mean(run.history)["mutual_information"])


def gains_of(name: str, measure: int) -> np.ndarray:
    """Gains in points over the random network of the same seed."""
    pairs = zip(scores[name], scores["random network"])
    return np.array([100 * (after[measure] - before[measure]) for after, before in pairs])


def told(gains: np.ndarray) -> str:
    """Mean and 95 % interval (Student's t)."""
    half = {5: 2.776, 20: 2.093}[len(gains)] * gains.std(ddof=1) / math.sqrt(len(gains))
    return f"{gains.mean():+.1f} ({gains.mean() - half:+.1f} to {gains.mean() + half:+.1f})"


for measure, title in enumerate(("kNN-20, all labels", "linear probe, 100 labels")):
    rows = []
    for name, found in scores.items():
        row = {"features": name} | {f"seed {k}": f"{one[measure]:.1%}" for k, one in zip(judges[:5], found)}
        gained = "" if name == "random network" else told(gains_of(name, measure))
        rows.append(row | {"seeds": len(found), "gain": gained})
    print(
        profiling.table(rows, title=f"{title}; mean gain in points, and its 95 % interval, seed against same seed")
        + "\n"
    )
flat = [part.flatten(1) for part in (digits.x_train, digits.x_test)]
print(f"raw pixels, kNN-20: {knn_accuracy(flat[0], digits.y_train, flat[1], digits.y_test):.1%}")
for name, found in learned.items():
    print(f"{name}: mutual information of {len(found)} runs between {min(found):.2f} and {max(found):.2f} nats")


# %% explore=true
def draw_gains(ax: plt.Axes, measure: int) -> None:
    """Accuracy of each kind of features: a line for each seed, a bar for the mean."""
    percent = np.array([[100 * one[measure] for one in found] for found in scores.values()])  # (features, seeds)
    for seed, line in zip(judges, percent.T):
        ax.plot(line, "o-", linewidth=1.4, markersize=5, alpha=0.8, label=f"seed {seed}")
    for place, mean in enumerate(percent.mean(1)):
        ax.plot([place - 0.12, place + 0.12], [mean] * 2, color="0.2", linewidth=3.5, zorder=3)
    ax.set_xticks(range(len(scores)), [name.replace(", ", ",\n").replace(" network", "\nnetwork") for name in scores])
    ax.set_xlim(-0.3, len(scores) - 0.7)
    ax.grid(alpha=0.3, axis="y")


fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
for measure, (ax, title) in enumerate(zip(axes, ("kNN-20, all labels", "linear probe, 100 labels"))):
    draw_gains(ax, measure)
    ax.set(title=title, ylabel="accuracy, percent" if measure == 0 else "")
if len(judges) <= 5:
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
plt.show()

# %% [markdown]
# The same cell with `EVERYTHING = True` (half a minute) has two rows more. The gains of kNN-20 over the random network of the same seed, in points:
#
# | features | seed 40 | 41 | 42 | 43 | 44 | mean |
# | --- | --- | --- | --- | --- | --- | --- |
# | DINO, mild views | +3.3 | +1.6 | +3.3 | +0.0 | +1.1 | +1.9 |
# | DINO + iBOT, mild views | +2.7 | +1.1 | -1.1 | -0.4 | +0.2 | +0.5 |
# | DINO, strong views | +0.2 | -4.9 | -5.8 | -4.0 | -2.4 | -3.4 |
#
# **Explain.** Three findings, in the order of how often they are forgotten.
#
# - **Healthy does not mean good.** The strong views (crops from half of the area, much noise) give runs whose mutual information is far above every limit of Part 3, and features that are *worse* neighbors than those of the random network in four of five seeds. What the views destroy, the features must ignore: a crop of half a digit may be a different digit, and fine strokes drown in the noise. A view is a claim about what does not matter.
# - **With mild views the features gain a point or two.** That is about as large as the spread between seeds, and it takes the *pairing* (the same network before and after) to see anything at all. For the probe the interval holds the zero. Read the interval before you say "it works". And ask how a recipe was found: this one was chosen by looking at such scores, so it is judged here on seeds 40 to 44, which nobody had looked at.
# - **The loss for patches adds nothing that this test can see.** For kNN it gains less than DINO alone, and all of it is within the spread of the seeds. Zhou et al. (2022) report gains from real images and long runs, most of all where patches are what counts, in segmentation. Sixty steps on digits can neither confirm nor refute that.
#
# And pixels still win on these digits. Self-distillation earns its place where pixels are a bad distance: on photographs, with time.

# %% [markdown]
# ### A third log: not collapsed, not learning
#
# Not every failure is a collapse. Here the recipe is the full one with four settings that are sensible in a long run: no batch norm before the head, positions that start at 0.02, a momentum of 0.99 and a teacher at temperature 0.07 (the paper's, after its warm-up). In 60 steps they make a run that has hardly begun: nothing has fallen into a trap, and nothing is being learned. Its loss stays close to $\log K$, as in a uniform collapse, and `diagnose` says "uniform" of it: these numbers alone do not tell a run that has not begun from one that has collapsed to the uniform answer. Look at the numbers, and at what kNN says before and after. The full run of Part 3 stands beside it: "healthy", and far worse neighbors than before.

# %% explore=true
stuck = replace(Recipe(), batch_norm=False, position_std=0.02, momentum=0.99, t_teacher=0.07)
both_runs = {"stuck": self_distill(digits.x_train, stuck, seed=0), "full": runs["full"]}
print(profiling.table(table_of(both_runs), title="means of the last ten steps"))
for name, run in both_runs.items():
    before, after = (judged(network, 0)[0] for network in (run.start, run.teacher))
    print(f"{name:>5}: kNN-20 of the random network {before:.1%}, after {len(run.history['loss'])} steps {after:.1%}")

# %% [markdown]
# ### Profiling corner: what a view costs
#
# A local crop of 8 x 8 pixels has 4 patches, a global one of 12 x 12 has 9. A step of self-distillation is a forward and a backward pass of the student over all views, and a forward pass of the teacher over the global ones.
#
# **Predict.** By how many percent do four local crops raise the FLOPs of a step? And its time?


# %% explore=true compare=true
def price(recipe: Recipe, batch: torch.Tensor) -> tuple[Callable[[], None], int]:
    """One step (forward and backward of the student, forward of the teacher) as a function, and its patch tokens."""
    torch.manual_seed(0)
    student = Network(recipe, batch.shape[1])
    teacher = make_teacher(student)
    large, small = multi_crop(
        batch,
        recipe.n_local,
        recipe.size,
        recipe.local_size,
        recipe.scale_global,
        recipe.scale_local,
        torch.Generator(),
    )

    def step() -> None:
        with torch.no_grad():
            told = teacher.image_logits(teacher.patch_tokens(torch.cat(large))).chunk(2)
        answers = list(student.image_logits(student.patch_tokens(torch.cat(large))).chunk(2))
        if small:
            answers += student.image_logits(student.patch_tokens(torch.cat(small))).chunk(len(small))
        dino_loss(answers, told, torch.zeros(recipe.outputs), 0.1, 0.04).backward()

    tokens = 2 * (recipe.size // recipe.patch) ** 2 + recipe.n_local * (recipe.local_size // recipe.patch) ** 2
    return step, tokens


steps_of = {f"2 global, {n} local": price(replace(Recipe(), n_local=n), digits.x_train[:32]) for n in (0, 2, 4)}
costs = {name: profiling.flops(step) for name, (step, _) in steps_of.items()}
rows = [
    {
        "views": name,
        "student's tokens an image": tokens,
        "MFLOPs a step": f"{costs[name] / 1e6:.0f}",
        "against two global": f"{costs[name] / costs['2 global, 0 local']:.2f}",
    }
    for name, (_, tokens) in steps_of.items()
]
print(profiling.table(rows, title="32 images, forward and backward of the student, forward of the teacher"))

# %% explore=true
times = profiling.latencies({name: step for name, (step, _) in steps_of.items()}, warmup=2, runs=8)
print(
    profiling.table(
        [{"views": name, "median ms": took.p50_ms} for name, took in times.items()], title="one step on the CPU"
    )
)
crops = profiling.latency(lambda: multi_crop(digits.x_train[:32], 4, 12, 8, (0.5, 1.0), (0.2, 0.5), torch.Generator()))
print(f"multi_crop itself, 2 global and 4 local crops of 32 images: {crops.p50_ms:.1f} ms")

# %% [markdown]
# **Explain.** Tokens count, not views. Four local crops bring 16 more patch tokens to the student's 18, but none to the teacher, so the step grows by less than their number suggests. In the paper's sizes a local crop of 96 pixels has 36 patches and a global one of 224 has 196: eight local crops cost the student less than two more global ones. The milliseconds tend to grow more than the FLOPs do, since a second forward pass of small tensors pays the start of every operator again.

# %% [markdown]
# ### Milestone: the sizes of the paper
#
# A ViT-S/16 from timm, two global crops of 224 pixels, eight local ones of 96, and **65,536 outputs**: these are the sizes of Caron et al. (2021, section 3.2 and appendix C; their head has one more hidden layer of 2,048). Your four parts, `multi_crop`, `DINOHead`, `make_teacher` and `dino_loss`, take them as they are.
#
# **Predict.** Nothing is trained. What is the loss of the first step, in nats?

# %% explore=true
torch.manual_seed(0)
photos = torch.stack([datasets.photograph(name, height=256, width=256).image for name in ("flower", "china")])
real = VisionTransformer(img_size=224, patch_size=16, embed_dim=384, depth=12, num_heads=6, num_classes=0, dynamic_img_size=True)  # fmt: skip
real_head = DINOHead(384, 65_536, hidden_dim=2048, bottleneck_dim=256)
large, small = multi_crop((photos - 0.45) / 0.22, 8, 224, 96, (0.4, 1.0), (0.05, 0.4), torch.Generator().manual_seed(0))
with torch.inference_mode():
    seen = [real(view) for view in (*large, *small)]
    student_logits = [real_head(feature) for feature in seen]
    teacher_logits = student_logits[:2]  # at the first step the teacher is the student
    first_loss = dino_loss(student_logits, teacher_logits, torch.zeros(65_536), 0.1, 0.04).item()
    center = torch.zeros(65_536)
    update_center(center, teacher_logits, 0.0)  # momentum 0: the mean of this batch
    centered_loss = dino_loss(student_logits, teacher_logits, center, 0.1, 0.04).item()
    embedded = [real_head.embed(feature) for feature in seen[:2]]  # two crops, each of a flower and a temple
    library = [F.cross_entropy(s / 0.1, (t / 0.04).softmax(-1)) for i, t in enumerate(teacher_logits) for j, s in enumerate(student_logits) if i != j]  # fmt: skip
print(
    f"{profiling.parameter_count(real) / 1e6:.1f} M parameters in the ViT, {profiling.parameter_count(real_head) / 1e6:.1f} M in the head"
)
print(f"pairs of views: {len(library)}; the first loss: {first_loss:.3f} nats; log K = {math.log(65_536):.3f}")
print(f"the same with the batch's own center: {centered_loss:.3f} nats")
print(f"torch's cross-entropy with soft targets, no center: {torch.stack(library).mean():.3f}")
same, other = ((embedded[0] * embedded[1].roll(shift, 0)).sum(-1).mean().item() for shift in (0, 1))
print(f"cosine of embeddings, untrained: two crops of one photograph {same:.3f}, crops of two photographs {other:.3f}")
print(f"largest logit: {max(view.abs().max() for view in student_logits):.3f}, a cosine")
assert abs(first_loss - torch.stack(library).mean().item()) < 1e-3

# %% [markdown]
# **Explain.** Around $\log K = 11.09$, and that is worth knowing by heart: the cross-entropy with a uniform answer is $\log K$ whatever the teacher says, so a loss that stays there belongs to a run that has not begun.
#
# Why is the number *below* it, though nothing was learned? Look at the cosines. A random network is a smooth function of the pixels, so two crops of one photograph get embeddings that lie close together, and crops of different photographs do not. The student agrees a little with the teacher from the start. The batch's own center takes away what all images have in common, and most of that bonus with it; four views are few to take a mean of, so treat the third line as a direction, not as a measurement.
#
# The prototypes alone, $65{,}536 \times 256$, are nearly as many numbers as the whole ViT. They are thrown away after training.

# %% [markdown]
# ### Real photographs
#
# Digits are an easy world. The cell below runs the same functions on CIFAR-10 without its labels, and compares kNN-20 with the random network. With `PROFILE=cpu` it does so only if you have CIFAR-10 on disk and set `WORKBOOK_DATA`: a small ViT, 5,000 photographs, a few CPU minutes. With `PROFILE=gpu` it trains a ViT-S on CIFAR-100 (target: kNN-20 at least 20 points above the random network).


# %% explore=true
def not_measured(what: str, target: str) -> None:
    print(f"{what}: not measured here (target: {target}).")
    print("  this would: PROFILE=gpu workbook record --keep-nothing week06")


def colorful(views: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Standardized color views: flipped in half of the cases, brighter or darker, more or less contrast, some gray."""

    def each() -> torch.Tensor:
        return torch.rand(len(views), 1, 1, 1, generator=generator).to(views)

    views = torch.where(each() < 0.5, views.flip(-1), views)
    views = views * (1 + strength * (2 * each() - 1)) + strength * (2 * each() - 1)
    gray = views.mean(1, keepdim=True)
    color = torch.where(each() < 0.2, torch.zeros_like(gray), 1 + strength * (2 * each() - 1))
    return gray + color * (views - gray)


def on_photographs(
    recipe: Recipe, load: Callable, images: int | None, tests: int | None, seed: int
) -> tuple[float, float, dict[str, float]]:
    """kNN-20 of the random network and of the teacher on photographs, and the last numbers of the run."""
    known, new = load(limit=images), load(train=False, limit=tests)
    mean, std = known.x.mean((0, 2, 3), keepdim=True), known.x.std((0, 2, 3), keepdim=True)
    x, x_new = ((part.x - mean) / std for part in (known, new))
    run = self_distill(x.to(profile.device()), recipe, seed, disturb=colorful)
    before, after = (
        knn_accuracy(features_of(network, x), known.y, features_of(network, x_new), new.y)
        for network in (run.start, run.teacher)
    )
    return before, after, last_mean(run.history)


if profile.current() is profile.Profile.GPU:
    recipe = Recipe(
        size=32, local_size=16, patch=4, width=384, depth=12, outputs=4096, steps=39_000, batch=128,
        learning_rate=5e-4, momentum=0.996, n_local=4, scale_global=(0.4, 1.0), scale_local=(0.1, 0.4), noise=0.4,
    )  # fmt: skip
    before, after, end = on_photographs(recipe, datasets.cifar100, None, None, seed=0)
    print(f"CIFAR-100, kNN-20: random network {before:.1%}, DINO {after:.1%}, gain {100 * (after - before):+.1f} points, target +20")  # fmt: skip
    print(f"mutual information {end['mutual_information']:.2f} nats: {diagnose(end, recipe.outputs)}")
else:
    not_measured("CIFAR-100, ViT-S, 100 epochs", "kNN-20 at least 20 points above the random network")
    if "WORKBOOK_DATA" in os.environ and (datasets.data_folder() / "cifar10").is_dir():
        recipe = Recipe(
            size=32, local_size=16, patch=8, width=96, depth=3, outputs=256, steps=1200, batch=64,
            learning_rate=1e-3, momentum=0.95, n_local=2, scale_global=(0.6, 1.0), scale_local=(0.3, 0.5), noise=0.2,
        )  # fmt: skip
        begin = time.process_time()
        before, after, end = on_photographs(recipe, datasets.cifar10, 5000, 2000, seed=0)
        spent = (time.process_time() - begin) / 60
        print(f"CIFAR-10, 5,000 photographs, {recipe.steps} steps, {spent:.1f} CPU minutes, one seed:")
        print(
            f"  kNN-20 on 2,000 others: random network {before:.1%}, DINO {after:.1%}, gain {100 * (after - before):+.1f} points"
        )
        print(f"  mutual information {end['mutual_information']:.2f} nats of {math.log(256):.2f}: {diagnose(end, 256)}")
    else:
        print("CIFAR-10, a small ViT: not measured here (no target).")
        print("  this would: WORKBOOK_DATA=FOLDER workbook record --keep-nothing week06, with FOLDER/cifar10 on disk")

# %% [markdown]
# **Explain.** A crop of a horse is still a horse, and raw pixels say little about it, so photographs are where views can pay. In under four CPU minutes they pay little: about two points over the random network (one seed, so read it as a direction). The paper's models see a thousand times as many images, for hundreds of epochs. Note the yardstick once more: chance is 10 % here, and the random network is at 30 %. Who compares with chance would have reported a triumph.

# %% [markdown]
# ### What emerges: attention that finds objects
#
# The most quoted picture of the paper is not an accuracy. In the last block of a ViT that DINO has trained on ImageNet, the class token's attention draws the outline of the object, each head another part, and nobody has shown it an outline. That takes a real model. With `PROFILE=gpu` the cell below loads two, draws their heads, and counts: mean attention inside the object's mask over mean attention outside, on `shapes` (target: above 1). Offline the same code runs on a random ViT, to show what *nothing has emerged* looks like.


# %% explore=true
def class_attention(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Attention (B, H, gh, gw) from the class token to the patches in the last block of a timm ViT."""
    caught: list[torch.Tensor] = []
    attention = model.blocks[-1].attn
    listener = attention.qkv.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    with torch.inference_mode():
        model.eval()(images)
    listener.remove()
    query, key, _ = caught[0].unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (query[:, :, :1] @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    to_patches = weights[:, :, 0, model.num_prefix_tokens :]
    height, width = (images.shape[-2] // model.patch_embed.patch_size[0], images.shape[-1] // model.patch_embed.patch_size[1])  # fmt: skip
    return to_patches.unflatten(-1, (height, width)).float().cpu()


def inside_over_outside(maps: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, H): mean attention of maps (B, H, gh, gw) inside the objects' masks (B, S, S), over that outside."""
    share = F.adaptive_avg_pool2d(mask[:, None].float(), maps.shape[-2:])
    inside = (maps * share).sum((2, 3)) / share.sum((2, 3))
    return inside / ((maps * (1 - share)).sum((2, 3)) / (1 - share).sum((2, 3)))


def pretrained(name: str, size: int) -> nn.Module:
    """A model of timm's with pretrained weights."""
    import timm

    try:
        return timm.create_model(name, pretrained=True, num_classes=0, img_size=size).to(profile.device())
    except OSError as error:
        raise FileNotFoundError(
            f"the weights of {name} are not in the cache and could not be downloaded ({error}). Run "
            f"`hf download timm/{name}` on a machine with network and copy ~/.cache/huggingface, or set HF_HOME to it."
        ) from error


def show_heads(name: str, model: nn.Module, size: int, pictures: int) -> None:
    """Draw each head's attention on a photograph, and print the best head's ratio on `shapes`."""
    photo = datasets.photograph("flower", height=size, width=size).image
    maps = class_attention(model, ((photo - 0.45) / 0.22)[None].to(profile.device()))[0]
    columns = min(6, len(maps))
    fig, axes = plt.subplots(1, columns, figsize=(2.1 * columns, 2.4))
    for head, ax in enumerate(axes):
        plotting.attention_overlay(ax, photo, maps[head], title=f"head {head}")
    fig.suptitle(name)
    plt.show()
    scene = datasets.shapes(pictures, seed=0)
    enlarged = F.interpolate(scene.x, size=(size, size), mode="bilinear")
    ratio = inside_over_outside(class_attention(model, ((enlarged - 0.45) / 0.22).to(profile.device())), scene.mask)
    print(f"{name}: attention inside the object over outside, mean of {pictures} shapes, by head:", ", ".join(f"{r:.2f}" for r in ratio.mean(0)))  # fmt: skip


if profile.current() is profile.Profile.GPU:
    for name, size in (("vit_base_patch16_224.dino", 448), ("vit_base_patch14_dinov2.lvd142m", 448)):
        show_heads(name, pretrained(name, size), size, pictures=200)
else:
    show_heads("a random ViT-S/16", real, 224, pictures=4)
    not_measured("ViT-B by DINO and DINOv2", "attention inside the object over outside above 1")

# %% [markdown]
# **Explain.** Do not trust the colors here: each map is stretched to its own range, and a random network follows the brightness of the picture. The ratios do not stretch: all of them are close to 1. That is the baseline which an "emerging property" has to beat.

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 4.0))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.15, 1, 1.15))
panels = left.subplots(2, 3)
photo = datasets.photograph("china", height=160, width=160).image[None]
large, small = multi_crop(photo, 3, 96, 48, (0.5, 1.0), (0.05, 0.2), torch.Generator().manual_seed(3))
titles = ("image", "global", "global", "local", "local", "local")
for ax, view, title in zip(panels.flat, (photo, *large, *small), titles):
    ax.imshow(view[0].permute(1, 2, 0).clamp(0, 1).numpy())
    ax.set_title(title, fontsize=11)
    ax.set_axis_off()
ax = middle.subplots()
ax.fill_between([0, chance], [0, chance], color="0.9", linewidth=0)
for name in ("full", "no centering", "no sharpening"):
    run = runs[name].history
    path = [np.convolve(run[key], np.ones(5) / 5, mode="valid") for key in ("sample_entropy", "batch_entropy")]
    ax.plot(*path, linewidth=1.2, alpha=0.7)
    ax.plot(path[0][-1], path[1][-1], "o", color=ax.lines[-1].get_color(), markersize=9, label=name, zorder=4)
ax.set(xlabel="entropy of each answer (nats)", ylabel="entropy of the mean answer", xlim=(-0.1, 4.4), ylim=(-0.1, 4.4))
ax.set_title("three runs, from start to end")
ax.legend(loc="lower right", fontsize=9)
ax = right.subplots()
draw_gains(ax, 0)
ax.set(ylabel="kNN-20 accuracy, percent", title="features, before and after")
plt.show()

# %% [markdown]
# ## What to take along
#
# - Two views of an image, one answer: that is all the supervision there is. The answer's $K$ outputs mean nothing until training gives them a meaning.
# - The constant answer is always a solution. Centering keeps one output from winning, sharpening keeps the answer from fading; each alone ends in the other's trap.
# - Loss and KL fall to their lowest at a collapse. Look at two entropies: the answer to each image, and the mean answer. Their difference is what the output knows about the image.
# - The teacher is an average of the student, gets no gradient, and sees whole images: no small crops, no hidden patches.
# - iBOT plays the same game for hidden patches; the teacher is a tokenizer that is made up on the way.
# - Compare features with the *random network they began as*, seed by seed. Here mild views gained a point or two, strong views lost some, and all of these runs looked healthy.
# - Next week words replace the second view: CLIP matches images with captions.
#
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="without-labels" points=5 minutes=35
# **W1. How can this work without labels (5 points)?** Explain to a reader who knows supervised training how DINO learns, and what its attention shows afterwards. Say what each of these does: student and teacher, moving average, multi-crop, centering and sharpening.
#
# ### BEGIN SOLUTION
# One point each.
# - Student and teacher: the student's probabilities are matched to the teacher's across different views of an image, by cross-entropy, with a stop-gradient on the teacher; outputs have no given meaning.
# - Moving average: the teacher is an average of past students, steadier and (in the paper) better than the student at every time, so it is worth following.
# - Multi-crop: local crops are matched to global ones, so the features must tell from a part what the whole shows; cheap, since small crops have few tokens.
# - Centering and sharpening: without them a constant answer minimizes the loss; centering keeps all outputs in use, sharpening keeps each answer decided.
# - Emergence: the class token's attention in the last block follows object boundaries, heads attend to different parts, without any mask in training; it needs a real model (the random one in the notebook shows nothing of it).
# ### END SOLUTION

# %% [markdown] written="two-collapses" points=5 minutes=30
# **W2. Two ways down (5 points).** Which collapse does centering prevent and which does sharpening prevent? Why is each alone not enough? Use the four runs: entropies, KL, and where each run ends.
#
# ### BEGIN SOLUTION
# 1 point: centering prevents one output from dominating (one dimension): it subtracts what all images have in common.
# 1 point: sharpening (teacher's temperature below the student's) prevents the uniform answer: the target is always more decided than the student.
# 1 point: alone each pushes into the other's trap: centering toward uniform, sharpening toward one dimension.
# 1 point: numbers of the own table: H of each and H of the mean near 0 without centering, both log K = 4.16 without sharpening, mutual information near 0 in both.
# 1 point: KL goes to about 0 in both collapses (student and teacher agree on a constant), so KL or loss alone does not tell; the entropies do. "Neither" also ends uniform: with t = 1 nothing pushes away from it.
# ### END SOLUTION

# %% [markdown] written="three-logs" points=6 minutes=30
# **W3. Three logs (6 points).** Three runs with $K = 256$ ($\log K = 5.55$) report, as means of their last hundred steps:
#
# | run | loss | H of each | H of the mean | KL | kNN-20 |
# | --- | --- | --- | --- | --- | --- |
# | A | 5.53 | 5.52 | 5.53 | 0.01 | 0.41 |
# | B | 0.03 | 0.02 | 0.05 | 0.01 | 0.33 |
# | C | 2.33 | 1.62 | 4.87 | 0.71 | 0.52 |
#
# The random network has a kNN-20 of 0.41. For each run say what has happened, how you know, and what you would change first.
#
# ### BEGIN SOLUTION
# Two points a run: one for the diagnosis with numbers, one for a sensible first change.
# - A: uniform, mutual information 0.01; loss = log K is a run that never left the start or has collapsed to uniform (kNN equals that of the random network, so it has not learned anything and not destroyed anything). Change: lower teacher temperature (sharpening), lower momentum at the start, larger learning rate, batch norm in the head; check that the center is not subtracted twice.
# - B: one dimension, mutual information 0.03, loss near 0 looks best and is worst; kNN below random: the features have lost what pixels knew. Change: is the center updated (in place?) and subtracted from the teacher; sign; softer teacher.
# - C: healthy: mutual information 3.25 of 5.55; KL well above 0; kNN 11 points above the random network. Change nothing; train longer, compare seeds.
# ### END SOLUTION

# %% [markdown] written="three-methods" points=4 minutes=25
# **W4. DINO, MAE, CLIP (4 points).** Compare the three by their training signal, by what they become invariant to, and by how they fail. Which would you take for (a) retrieval of similar photographs, (b) few labels and a model you can fine-tune, (c) a search by words?
#
# ### BEGIN SOLUTION
# 1 point signal: DINO agreement of views with an averaged teacher; MAE pixels of hidden patches; CLIP captions against other captions of the batch.
# 1 point invariance: DINO to crops and color changes (and so blind to what they destroy; see the strong views in the notebook); MAE to next to nothing, it must keep pixels; CLIP to whatever captions do not mention.
# 1 point failure: DINO collapse, and views that destroy what matters; MAE low loss with features that need fine-tuning; CLIP noisy or short captions, needs many pairs and large batches.
# 1 point choice with a reason: (a) DINO (kNN without training), (b) MAE (or DINO) fine-tuned, (c) CLIP.
# ### END SOLUTION
