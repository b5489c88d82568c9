# %% [markdown]
# # Week 14: promptable segmentation
#
# ![Left: one click on a part of a shape, and three masks with the overlap that the model predicts for each. Middle: overlap against the number of clicks, for the model and for the baseline. Right: four frames of a video with the mask that memory carried along.](outcome.png)
#
# *What you will have built by the end of this week. Left: one click can mean two things, so the model answers with three masks. Middle: what more clicks bring, beside a baseline. Right: a mask that was given in the first frame of a video, carried along by memory.*
#
# **After this week you can**
#
# - encode clicks, boxes and masks as tokens, with positions by random Fourier features;
# - build the decoder of SAM, in which prompts look at the image and the image looks back;
# - train with a loss that lets one click mean several things;
# - simulate a user who clicks where the mask is wrong, and measure clicks against overlap;
# - carry a mask through a video with a memory, and show where that fails.
#
# **Time** about 7 hours: 1.5 of reading, 4.5 of coding, 1 of writing. **You need** attention and the ViT (weeks 1 and 2) and cross-attention (week 12). Nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. Two rules hold for all exercises: a function leaves its arguments as they are, and what it computes from tensors has their dtype and lies on their device. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $D$ | width of the model |
# | $H, W$ | rows and columns of the image | $h, w$ | rows and columns of the feature map, $H/4$ and $W/4$ |
# | $K$ | tokens of prompts for an image | $T$ | tokens in general; frames in part 4 |
#
# A place is (x, y) in pixels, x to the right and y down. Pixel (row r, column c) covers the square from (c, r) to (c + 1, r + 1), so its center is (c + 0.5, r + 0.5). A mask is (H, W); the numbers of a model are **logits**, and a pixel belongs to the mask where its logit is above 0.

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from IPython.display import display
from matplotlib.axes import Axes
from scipy.ndimage import distance_transform_edt
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## The problem: which mask do you mean?
#
# A model with fixed classes can segment what its classes name. **SAM**, the Segment Anything Model (Kirillov et al. 2023), has no classes. You point at something, and it gives the mask of what you point at: the task is *promptable* segmentation. That is useful for things that nobody named before, and it raises a question that fixed classes hide. Look at the third picture: you click on the middle of the shape. Do you mean the inner shape, or the whole?
#
# Here are scenes of the kind that we train on. Each shape has a part inside, of another color, and stripes and a ramp of light, so that no single color tells a shape from its surroundings.


# %% given="draw"
ORANGE, BLUE = "#E69F00", "#0072B2"


def draw_mask(ax: Axes, image: torch.Tensor, mask: torch.Tensor | None = None, clicks: Sequence = ()) -> None:
    """An image (3, H, W), the outline of a mask (H, W) bool, and clicks ((x, y), label): + foreground, x background."""
    height, width = image.shape[-2:]
    ax.imshow(image.permute(1, 2, 0).clamp(0, 1), extent=(0, width, height, 0), interpolation="nearest")
    if mask is not None and mask.any():
        wide = F.interpolate(mask[None, None].float(), scale_factor=8, mode="nearest")[0, 0]
        ax.imshow(
            np.ma.masked_equal(mask.numpy(), False), extent=(0, width, height, 0), cmap="Wistia", alpha=0.35,
            interpolation="nearest", vmin=0, vmax=1,
        )  # fmt: skip
        ax.contour(
            (np.arange(8 * width) + 0.5) / 8, (np.arange(8 * height) + 0.5) / 8, wide.numpy(), [0.5], colors=[ORANGE]
        )
    for (x, y), label in clicks:
        ax.plot(x, y, "P" if label else "X", markersize=8, color="white", markeredgecolor="black")
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()


def image_positions(encoding: nn.Module, h: int, w: int) -> torch.Tensor:
    """The encodings (1, D, h, w) of the centers of h x w cells, by a `RandomFourierPE`."""
    row, column = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    places = torch.stack([column, row], dim=-1).reshape(1, -1, 2)
    some = next(encoding.buffers())
    return encoding(places.to(some), (h, w)).transpose(1, 2).unflatten(-1, (h, w))


# %% explore=true
SIZE = 32
TRAIN, TEST = (datasets.part_whole_scenes(n, size=SIZE, seed=seed) for n, seed in ((1200, 0), (120, 1)))
fig, axes = plt.subplots(2, 6, figsize=(10, 3.6))
for ax, image in zip(axes.flat, TRAIN.images):
    draw_mask(ax, image)
fig.suptitle("twelve scenes: where would you click, and what would you mean?")
plt.show()
print(f"{len(TRAIN.images):,} scenes to learn from, {len(TEST.images)} for the test")
print(f"{sum(len(target['masks']) for target in TEST.targets)} masks in the scenes of the test, parts and wholes")

# %% [markdown]
# ## Part 1. Prompts are tokens
#
# SAM has three parts. A heavy **image encoder** runs once for an image. A **prompt encoder** makes tokens of clicks, boxes and masks. A light **mask decoder** combines both, again for each new prompt. So the price of an image is paid once, and each further click is cheap.
#
# **Predict.** A click is two numbers, (x, y). Why not hand these two numbers to a linear layer? Think of a mask whose edge lies one pixel left of the click, or right of it.

# %% [markdown] about="fourier"
# ### Exercise 1. A place as waves
#
# A network that gets x and y as two numbers learns smooth functions of them, and a mask is not smooth. **Random Fourier features** (Tancik et al. 2020) give it waves of many directions and lengths instead: a place is projected on random directions, and the sine and cosine of each projection are taken.
#
# $$u = 2 \cdot \left(\tfrac{x}{W}, \tfrac{y}{H}\right) - 1, \qquad \phi(u) = \left[\sin(2\pi\, u G), \cos(2\pi\, u G)\right], \qquad G_{ij} \sim \mathcal{N}(0, \text{scale}^2)$$
#
# Two places are alike as far as their waves agree. For many waves the mean product of $\phi(u)$ and $\phi(v)$ is a bell: $\phi(u) \cdot \phi(v) / (D/2) \approx e^{-2 \pi^2 \text{scale}^2 \lVert u - v \rVert^2}$.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `coords` | $(\dots, 2)$ float | places (x, y) in pixels |
# | `size` | $(H, W)$ | of the image: rows first |
# | $G$ | $(2, D/2)$ | drawn once, never trained |
# | result | $(\dots, D)$ | sines and cosines, in an order of your choice |


# %% exercise="fourier" difficulty=2 minutes=25
class RandomFourierPE(nn.Module):
    """Positions by random Fourier features (Tancik et al. 2020), as SAM encodes them.

    Parameters
    ----------
    dim : D, even. scale : standard deviation of the entries of G, which are normal.
    seed : of G, by a generator of its own: the global random state stays where it is.

    G is one buffer, no parameter: it does not learn, it is in the `state_dict`, and it moves with the module.

    Raises
    ------
    ValueError : when `dim` is odd.
    """

    def __init__(self, dim: int, scale: float = 1.0, seed: int = 0) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % 2:
            raise ValueError(f"dim={dim} is odd: it is halved into sines and cosines")
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("frequencies", scale * torch.randn(2, dim // 2, generator=generator))
        ### END SOLUTION

    def forward(self, coords: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Places (..., 2), (x, y) in pixels of an image of `size` (H, W), as (..., D) in the dtype of the places."""
        ### BEGIN SOLUTION
        height, width = size
        unit = torch.stack([coords[..., 0] / width, coords[..., 1] / height], dim=-1) * 2 - 1
        angle = 2 * math.pi * unit @ self.frequencies.to(coords.dtype)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)
        ### END SOLUTION


# %% look="fourier"
# Look: how alike is each place of the image to the one at the cross?
with checks.look():
    look_map = image_positions(RandomFourierPE(512, scale=0.5), 24, 36)[0]
    look_alike = (look_map * look_map[:, 8, 25, None, None]).sum(0) / 256
    fig, ax = plt.subplots(figsize=(4.6, 3))
    plotting.heatmap(
        ax, look_alike, title="likeness of places, 512 numbers each", xlabel="column", ylabel="row", colorbar=True
    )
    ax.plot(25, 8, "w+", markersize=10)
    plt.show()

# %% [markdown] hints="fourier"
# <details><summary>Hint 1: the idea</summary>
#
# Both axes run from -1 to 1, whatever the shape of the image, so x is divided by the width and y by the height. The matrix is drawn in `__init__`, once.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     __init__: odd dim: ValueError; a generator with the seed; G = scale * normal numbers (2, dim / 2); keep G as a buffer
#     forward: divide x by W and y by H, times 2, minus 1
#     multiply with G, times 2 pi
#     sines and cosines side by side, along the last dimension
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.randn` takes a `generator`, and `torch.Generator().manual_seed(3)` is one. `self.register_buffer("frequencies", ...)` keeps G. `size` is (H, W) and a place is (x, y): divide by `coords.new_tensor([width, height])`. `G.to(coords.dtype)` lets float64 through.
#
# </details>

# %% [markdown] about="prompts"
# ### Exercise 2. The prompt encoder
#
# Every prompt becomes tokens: its position, plus a learned vector that says **what** it is. There are five kinds: a foreground click (label 1), a background click (label 0), "not a point" (label -1, padding), and the two corners of a box. A mask is no token but a map: it goes, made small by convolutions, onto the image features.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `points` | $(B, N, 2)$ or None | clicks, (x, y) in pixels |
# | `labels` | $(B, N)$ int64 or None | 1, 0, or -1 for padding; with points |
# | `boxes` | $(B, 4)$ or None | (x1, y1, x2, y2) in pixels: one box for each image |
# | `mask` | $(B, 1, H, W)$ or None | logits of an earlier answer |
# | `size` | $(H, W)$ | of the image, multiples of 4 |
# | `sparse` | $(B, K, D)$ | $N$ tokens of clicks, then two of the box: upper left, lower right |
# | `dense` | $(B, D, H/4, W/4)$ | the mask made small; without one, a learned vector at each place |
#
# Padding is needed since images of a batch may have different numbers of clicks. A padding token is one learned vector, wherever its point lies.


# %% exercise="prompts" difficulty=3 minutes=40 uses="fourier"
class PromptEncoder(nn.Module):
    """Clicks, a box and a mask as tokens and a map (Kirillov et al. 2023).

    Parameters
    ----------
    dim : D. Positions are those of `RandomFourierPE(dim)`; all else learns.
    """

    def __init__(self, dim: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.positions = RandomFourierPE(dim)
        self.kinds = nn.Embedding(5, dim)  # not a point, background, foreground, upper left, lower right
        self.of_mask = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2), nn.GELU(), nn.Conv2d(4, 16, 2, stride=2), nn.GELU(), nn.Conv2d(16, dim, 1)
        )
        self.no_mask = nn.Parameter(torch.randn(dim))
        ### END SOLUTION

    def forward(
        self,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
        boxes: torch.Tensor | None,
        mask: torch.Tensor | None,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, K, D) and a map (B, D, H / 4, W / 4): see the table. Without any prompt, B is 1 and K is 0.

        Raises
        ------
        ValueError : when a label is none of -1, 0, 1.
        """
        ### BEGIN SOLUTION
        batch = next((len(one) for one in (points, boxes, mask) if one is not None), 1)
        sparse = [self.no_mask.new_zeros(batch, 0, len(self.no_mask))]
        if points is not None:
            if ((labels < -1) | (labels > 1)).any():
                raise ValueError("a label is 1 (foreground), 0 (background) or -1 (padding)")
            places = self.positions(points, size).where(labels[..., None] >= 0, 0)
            sparse.append(places + self.kinds(labels + 1))
        if boxes is not None:
            sparse.append(self.positions(boxes.unflatten(-1, (2, 2)), size) + self.kinds.weight[3:])
        if mask is None:
            dense = self.no_mask[:, None, None].expand(batch, -1, size[0] // 4, size[1] // 4)
        else:
            dense = self.of_mask(mask)
        return torch.cat(sparse, dim=1), dense
        ### END SOLUTION


# %% look="prompts"
# Look: which tokens are alike? Two clicks at one place, one elsewhere, padding, and a box.
with checks.look():
    torch.manual_seed(0)
    look_points = torch.tensor([[[8.0, 8.0], [8.0, 8.0], [20.0, 12.0], [3.0, 3.0], [9.0, 1.0]]])
    look_tokens, _ = PromptEncoder(64)(
        look_points, torch.tensor([[1, 0, 1, -1, -1]]), torch.tensor([[4.0, 4.0, 24.0, 20.0]]), None, (32, 32)
    )
    look_names = ["+ at (8, 8)", "x at (8, 8)", "+ at (20, 12)", "padding", "padding", "box, first", "box, last"]
    fig, ax = plt.subplots(figsize=(4.8, 4))
    look_unit = F.normalize(look_tokens[0].detach(), dim=-1)
    plotting.heatmap(ax, look_unit @ look_unit.T, title="cosine of tokens", annotate=True)
    ax.set_xticks(range(7), look_names, rotation=45, ha="right")
    ax.set_yticks(range(7), look_names)
    plt.show()

# %% [markdown] hints="prompts"
# <details><summary>Hint 1: the idea</summary>
#
# A token is a sum: where (exercise 1) plus what (a learned vector for each of five kinds). Padding has no where. The two corners of a box are two places of two kinds.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     batch: that of the first prompt that is there, else 1
#     points: a label that is none of -1, 0, 1: ValueError
#             positions, set to zero where the label is -1; plus the vector of the label's kind
#     box: positions of both corners, plus the vectors of the two kinds of corners
#     tokens: points, then corners, along dimension 1; with none of them, (B, 0, D)
#     mask: two convolutions of stride 2, then to D channels; without a mask a learned (D,) at each of the H/4 x W/4 places
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# One `nn.Embedding` with five rows does for all kinds: rows `labels + 1` for points, and its `.weight[3:]` for corners. `places.where(labels[..., None] >= 0, 0)`. `boxes.unflatten(-1, (2, 2))` is (B, 2, 2), two places. `self.no_mask[:, None, None].expand(batch, -1, h, w)`.
#
# </details>

# %% [markdown]
# ## Part 2. A decoder that looks both ways
#
# The decoder of week 12 was one-way: queries looked at the image, and the image stayed as it was. That is enough to say *where* something is. A mask needs more: each place of the image has to know what was asked.
#
# **Predict.** Tokens look at the image and the image stays as it is. Could the model tell two equal shapes apart, of which you clicked one?

# %% [markdown] about="twoway"
# ### Exercise 3. A two-way block
#
# Four steps, each with a residual connection: tokens attend to tokens; tokens attend to the image; an MLP on each token; and at last the image attends to the tokens.
#
# | step | queries | keys | values | changes |
# | --- | --- | --- | --- | --- |
# | 1. self-attention | $q + q_{pe}$ | $q + q_{pe}$ | $q$ | $q$ |
# | 2. token to image | $q + q_{pe}$ | $k + k_{pe}$ | $k$ | $q$ |
# | 3. MLP | | | | $q$ |
# | 4. image to token | $k + k_{pe}$ | $q + q_{pe}$ | $q$ | $k$ |
#
# In each row $q$ and $k$ are those of that moment. Positions are added anew to queries and keys of every attention, and **never to values**: they say where to look, not what is there.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `q`, `q_pe` | $(B, T, D)$ | tokens, and their positions |
# | `k`, `k_pe` | $(B, N, D)$ | places of the image, and their positions |
# | `down` | int | attention between tokens and image works in $D / \text{down}$ channels; self-attention in $D$ |
# | result | $(B, T, D)$, $(B, N, D)$ | new tokens, new image |
#
# Where the norms stand, before or after, is your choice. So that your block has the capacity that we count on: an attention has four weight matrices, for queries, keys, values and the output, and the MLP has one hidden layer of width $4D$.


# %% exercise="twoway" difficulty=4 minutes=50
class Attention(nn.Module):
    """Attention of several heads in `inner` channels: a suggestion. No test asks for it, so you may do without."""

    def __init__(self, dim: int, heads: int, inner: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, inner) for _ in range(3))
        self.out = nn.Linear(inner, dim)
        ### END SOLUTION

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Queries (B, T, D) look at keys (B, N, D) and take from values (B, N, D): (B, T, D)."""
        ### BEGIN SOLUTION
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, q), (self.key, k), (self.value, v))
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        ### END SOLUTION


class TwoWayBlock(nn.Module):
    """Tokens look at tokens and at the image, and the image looks back (Kirillov et al. 2023).

    Parameters
    ----------
    dim : D. heads : of every attention. down : attention between tokens and image has dim / down channels.

    Raises
    ------
    ValueError : when `down` does not divide `dim`, or `heads` does not divide `dim / down`.
    """

    def __init__(self, dim: int, heads: int, down: int = 2) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % down or (dim // down) % heads:
            raise ValueError(f"dim={dim} cannot be divided by down={down} and then by heads={heads}")
        self.own = Attention(dim, heads, dim)
        self.to_image, self.to_tokens = (Attention(dim, heads, dim // down) for _ in range(2))
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        ### END SOLUTION

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, q_pe: torch.Tensor, k_pe: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) and image (B, N, D), with their positions, after the four steps."""
        ### BEGIN SOLUTION
        q = self.norms[0](q + self.own(q + q_pe, q + q_pe, q))
        q = self.norms[1](q + self.to_image(q + q_pe, k + k_pe, k))
        q = self.norms[2](q + self.mlp(q))
        k = self.norms[3](k + self.to_tokens(k + k_pe, q + q_pe, q))
        return q, k
        ### END SOLUTION


# %% look="twoway"
# Look: which inputs does each output depend on? Dark is not at all. Token 0 is a click, the others are places.
with checks.look():
    torch.manual_seed(0)
    look_block, look_randn = TwoWayBlock(16, 2), checks.normal(0)
    look_q, look_k, look_at_q, look_at_k = (look_randn(1, n, 16) for n in (2, 6, 2, 6))

    def look_both(x):
        return torch.cat(look_block(x[:, :2], x[:, 2:], look_at_q, look_at_k), dim=1).square().sum((0, 2))

    look_slopes = torch.autograd.functional.jacobian(look_both, torch.cat([look_q, look_k], dim=1))
    fig, ax = plt.subplots(figsize=(4.4, 3.6))
    look_names = ["token 0", "token 1", *(f"place {n}" for n in range(6))]
    plotting.heatmap(
        ax, look_slopes.norm(dim=-1)[:, 0], title="how far each output depends on each input", colorbar=True
    )
    ax.set_xticks(range(8), look_names, rotation=45, ha="right")
    ax.set_yticks(range(8), look_names)
    ax.set(xlabel="input", ylabel="output")
    plt.show()

# %% [markdown] hints="twoway"
# <details><summary>Hint 1: the idea</summary>
#
# The table is the program: four lines, each of the form "x = norm(x + step(...))". Positions are added in the arguments, and nowhere else.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     an attention: linear layers to `inner` channels for q, k, v; split into heads; scaled dot product; join; linear back
#     __init__: check the divisions; three attentions (inner D, D / down, D / down), an MLP, norms
#     q = norm(q + self-attention(q + q_pe, q + q_pe, q))
#     q = norm(q + token-to-image(q + q_pe, k + k_pe, k))
#     q = norm(q + mlp(q))
#     k = norm(k + image-to-token(k + k_pe, q + q_pe, q))
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `nn.MultiheadAttention` has no inner width, so write the attention: `layer(x).unflatten(-1, (heads, -1)).transpose(1, 2)` is (B, heads, T, inner / heads), `F.scaled_dot_product_attention(q, k, v)` does the rest, `.transpose(1, 2).flatten(2)` joins the heads.
#
# </details>

# %% [markdown] about="decoder"
# ### Exercise 4. The mask decoder
#
# Five learned tokens go in front of the prompts: one for the **predicted IoU**, four for masks. After the two-way blocks, each mask token becomes a small vector by an MLP of its own, its **hypernetwork**; a mask is the product of this vector with the features of each pixel. So a mask costs one dot product for each pixel.
#
# Mask tokens 1 to 3 answer an ambiguous click; token 0 answers where only one mask is wanted. The image features come up from $h \times w$ to $H \times W$ by two transposed convolutions, and get the encoder's finer maps on the way (SAM 2's skips).
#
# | method | gets | gives |
# | --- | --- | --- |
# | `attend` | `image_feats` $(B, D, h, w)$, `image_pe` $(1, D, h, w)$, `sparse` $(B, K, D)$, `dense` $(B, D, h, w)$ | the five tokens $(B, 5, D)$, that of the IoU first, and the image $(B, D, h, w)$ |
# | `upscale` | the image $(B, D, h, w)$, `skips`: $(B, D/4, 2h, 2w)$ and $(B, D/8, 4h, 4w)$ | $(B, D/8, 4h, 4w)$ |
# | `hyper` | the mask tokens $(B, 4, D)$ | $(B, 4, D/8)$, each by an MLP of its own |
# | `score` | the IoU token $(B, D)$ | $(B, 4)$, an IoU for each mask |
# | `forward` | all of the above, and `multimask` | `masks` $(B, 3, H, W)$ or $(B, 1, H, W)$, logits; `iou` $(B, 3)$ or $(B, 1)$ |
#
# `attend` adds `dense` to the image, joins the five tokens with the prompts, and runs the blocks. The positions of the tokens are the tokens themselves as they came in, at every block. `upscale` is: transposed convolution (kernel and stride 2, to $D/4$), plus the first skip, GELU; transposed convolution (kernel and stride 2, to $D/8$), plus the second skip, GELU.


# %% exercise="decoder" difficulty=4 minutes=60 uses="twoway"
class MaskDecoder(nn.Module):
    """Masks and their predicted IoU from image features and prompts (Kirillov et al. 2023; skips as in SAM 2).

    Parameters
    ----------
    dim : D, a multiple of 8. depth : number of `TwoWayBlock`s. heads : of their attention.

    Raises
    ------
    ValueError : when 8 does not divide `dim`.
    """

    def __init__(self, dim: int, depth: int = 2, heads: int = 4) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % 8:
            raise ValueError(f"dim={dim} is not a multiple of 8")
        self.iou_token, self.mask_tokens = nn.Parameter(torch.randn(1, dim)), nn.Parameter(torch.randn(4, dim))
        self.blocks = nn.ModuleList(TwoWayBlock(dim, heads) for _ in range(depth))
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(dim, dim // 4, 2, stride=2), nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2)]
        )
        self.hypers = nn.ModuleList(self._mlp(dim, dim // 8) for _ in range(4))
        self.scores = self._mlp(dim, 4)
        ### END SOLUTION

    ### BEGIN SOLUTION
    @staticmethod
    def _mlp(dim: int, out: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out))

    ### END SOLUTION
    def attend(
        self, image_feats: torch.Tensor, image_pe: torch.Tensor, sparse: torch.Tensor, dense: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The five tokens (B, 5, D) and the image (B, D, h, w) after they have looked at each other."""
        ### BEGIN SOLUTION
        learned = torch.cat([self.iou_token, self.mask_tokens]).expand(len(image_feats), -1, -1)
        tokens = torch.cat([learned, sparse], dim=1)
        positions = image_pe.expand_as(image_feats).flatten(2).transpose(1, 2)
        q, k = tokens, (image_feats + dense).flatten(2).transpose(1, 2)
        for block in self.blocks:
            q, k = block(q, k, tokens, positions)
        return q[:, :5], k.transpose(1, 2).unflatten(-1, image_feats.shape[-2:])
        ### END SOLUTION

    def upscale(self, image: torch.Tensor, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (B, D / 8, 4 h, 4 w) of the pixels."""
        ### BEGIN SOLUTION
        for convolution, skip in zip(self.up, skips):
            image = F.gelu(convolution(image) + skip)
        return image
        ### END SOLUTION

    def hyper(self, mask_tokens: torch.Tensor) -> torch.Tensor:
        """The vectors (B, 4, D / 8) of the masks."""
        ### BEGIN SOLUTION
        return torch.stack([mlp(token) for mlp, token in zip(self.hypers, mask_tokens.unbind(1))], dim=1)
        ### END SOLUTION

    def score(self, iou_token: torch.Tensor) -> torch.Tensor:
        """The predicted IoU (B, 4) of the masks; any real numbers."""
        ### BEGIN SOLUTION
        return self.scores(iou_token)
        ### END SOLUTION

    def forward(
        self,
        image_feats: torch.Tensor,
        image_pe: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        multimask: bool,
        skips: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and predicted IoU of masks 1 to 3 with `multimask`, else of mask 0."""
        ### BEGIN SOLUTION
        tokens, image = self.attend(image_feats, image_pe, sparse, dense)
        masks = torch.einsum("bmc,bchw->bmhw", self.hyper(tokens[:, 1:]), self.upscale(image, skips))
        iou = self.score(tokens[:, 0])
        return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])
        ### END SOLUTION


# %% look="decoder"
# Look: the masks of an untrained decoder, from random features. Three of them, and they differ.
with checks.look():
    torch.manual_seed(0)
    look_randn = checks.normal(0)
    look_masks, look_iou = MaskDecoder(32)(
        look_randn(1, 32, 6, 9), look_randn(1, 32, 6, 9), look_randn(1, 2, 32), look_randn(1, 32, 6, 9), True,
        (look_randn(1, 8, 12, 18), look_randn(1, 4, 24, 36)),
    )  # fmt: skip
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.2))
    for ax, look_mask, look_value in zip(axes, look_masks[0].detach(), look_iou[0].tolist()):
        look_most = look_mask.abs().max()
        ax.imshow(look_mask, cmap="RdBu", vmin=-look_most, vmax=look_most)
        ax.set_title(f"predicted IoU {look_value:.2f}")
        ax.set_axis_off()
    plt.show()

# %% [markdown] hints="decoder"
# <details><summary>Hint 1: the idea</summary>
#
# Each method is one line of the table. `forward` only joins them: attend, then masks from `hyper` and `upscale`, then the IoU from `score`, then the slice that `multimask` asks for.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     attend: tokens = five learned ones for each image of the batch, then the prompts
#             image = (image_feats + dense) as (B, h w, D), row by row; image_pe in the same way
#             q = tokens; for each block: q, image = block(q, image, tokens, image_pe)
#             the first five of q; the image as a map again
#     upscale: for both convolutions: gelu(convolution(image) + skip)
#     hyper: MLP number i on mask token i, for i = 0 .. 3
#     forward: masks[b, m, y, x] = sum over c of hyper[b, m, c] * upscaled[b, c, y, x]
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `.flatten(2).transpose(1, 2)` makes tokens of a map, `.transpose(1, 2).unflatten(-1, (h, w))` a map of tokens. `torch.einsum("bmc,bchw->bmhw", vectors, features)`. `nn.ModuleList` for blocks and MLPs: a plain list hides them from the optimizer. Masks 1 to 3 are `masks[:, 1:]`, mask 0 is `masks[:, :1]`.
#
# </details>

# %% [markdown]
# ## Part 3. Learn from clicks
#
# **Predict.** A click on the part is, half of the time, meant for the whole. A model with one mask is trained with both answers, for the same input. Which mask has the least loss in the mean: that of the part, that of the whole, or neither?

# %% [markdown] about="loss"
# ### Exercise 5. A loss that allows for more than one meaning
#
# SAM answers with three masks and pays only for the best of them. So one of them may become the part and another the whole, and none must be the blurred mean of both.
#
# With $p = \sigma(\text{logit})$, the true mask $g$ and $p_t = p$ where $g = 1$, $1 - p$ where $g = 0$, sums and means over the pixels of a mask:
#
# $$\text{focal} = \operatorname{mean}\left[-(1 - p_t)^2 \log p_t\right], \qquad \text{dice} = 1 - \frac{2 \sum p g + 1}{\sum p + \sum g + 1}$$
#
# $$L = \frac{1}{B} \sum_b \min_m \left(20 \cdot \text{focal}_{bm} + \text{dice}_{bm}\right) + \operatorname{mean}_{b,m}\left(\widehat{\text{IoU}}_{bm} - \text{IoU}_{bm}\right)^2$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `logits` | $(B, M, H, W)$ | any number of masks, of which one has to fit |
# | `iou_pred` | $(B, M)$ | what the model thinks of each |
# | `gt` | $(B, H, W)$ bool | the mask that was meant |
# | result | scalar | gradients go into `logits`, of the best mask of each sample alone, and into `iou_pred` |
#
# The IoU that is measured is that of the pixels whose logit is above 0 with those of `gt`, and 1 where both are empty. It is a target: no gradient flows through it.


# %% exercise="loss" difficulty=3 minutes=35
def ambiguity_loss(
    logits: torch.Tensor, iou_pred: torch.Tensor, gt: torch.Tensor, focal_weight: float = 20.0
) -> torch.Tensor:
    """Focal and dice loss of the best mask of each sample, plus the squared error of the predicted IoU.

    Parameters
    ----------
    logits : (B, M, H, W). iou_pred : (B, M). gt : (B, H, W) bool. focal_weight : of the focal loss.

    Returns
    -------
    A scalar in the dtype of the logits. Finite, also for logits of 1000 or -1000.
    """
    ### BEGIN SOLUTION
    wanted = gt[:, None].to(logits.dtype).expand_as(logits)
    probability = logits.sigmoid()
    nll = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")  # -log p_t
    missed = (probability - wanted).abs()  # 1 - p_t
    focal = (missed.square() * nll).mean(dim=(-2, -1))
    both = (probability * wanted).sum(dim=(-2, -1))
    dice = 1 - (2 * both + 1) / (probability.sum(dim=(-2, -1)) + wanted.sum(dim=(-2, -1)) + 1)
    best = (focal_weight * focal + dice).min(dim=1).values.mean()
    found = logits > 0
    overlap = (found & gt[:, None]).sum(dim=(-2, -1)).to(logits.dtype)
    union = (found | gt[:, None]).sum(dim=(-2, -1)).to(logits.dtype)
    iou = torch.where(union > 0, overlap / union.clamp(min=1), 1.0)
    return best + (iou_pred - iou).square().mean()
    ### END SOLUTION


# %% look="loss"
# Look: the truth is a part or a whole, each half of the time. How dear is a mask that says p in the ring between them?
with checks.look():
    look_whole = torch.zeros(32, 32, dtype=torch.bool)
    look_part = look_whole.clone()
    look_whole[6:26, 6:26], look_part[11:21, 11:21] = True, True
    look_p = torch.linspace(0.02, 0.98, 33)
    look_logits = torch.where(look_part, 6.0, torch.where(look_whole, torch.logit(look_p)[:, None, None], -6.0))
    look_lines = {}
    for look_name, look_meant in (("part", [look_part]), ("whole", [look_whole]), ("either", [look_part, look_whole])):
        look_lines[f"the {look_name} is meant"] = torch.stack([
            torch.stack([ambiguity_loss(one[None, None], torch.ones(1, 1), meant[None]) - (1 - ((one > 0) & meant).sum() / ((one > 0) | meant).sum()).square() for meant in look_meant]).mean()
            for one in look_logits
        ])  # fmt: skip
    display(plotting.curves(
        look_lines, x=look_p, xlabel="probability in the ring between part and whole", ylabel="focal x 20 + dice",
        title="One mask for two meanings: the least loss is between",
    ))  # fmt: skip

# %% [markdown] hints="loss"
# <details><summary>Hint 1: the idea</summary>
#
# First a table (B, M) of losses, one for each mask. Then the least of each row, then the mean of the rows. The order matters: the least of the means would make all samples choose the same mask.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     the truth as numbers, with a dimension for the masks
#     -log p_t from the logits (a library function is numerically safe); 1 - p_t = |p - g|
#     focal (B, M): mean over pixels of (1 - p_t)^2 * -log p_t
#     dice (B, M): 1 - (2 sum p g + 1) / (sum p + sum g + 1)
#     best: min over masks of focal_weight * focal + dice, mean over samples
#     measured IoU (B, M) of logits > 0 with gt; 1 where both are empty
#     best + mean of (iou_pred - measured)^2
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")` is -log p_t; it wants both of one shape, so `wanted.expand_as(logits)`. `.min(dim=1).values` takes the least of each row, and its gradient goes there alone. Comparisons such as `logits > 0` have no gradient, so the measured IoU has none.
#
# </details>

# %% [markdown] about="click"
# ### Exercise 6. A user who clicks where it is wrong
#
# For training and for the study we need a user. The simulated one looks at the present mask, compares it with what was meant, and clicks into the larger error: into what is missing with a foreground click (label 1), or into what is too much with a background click (label 0). People click well inside of a region, so the click goes to the pixel that is farthest from the border of the error.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `pred`, `gt` | $(H, W)$ bool | the present mask, and the one that is meant |
# | `strategy` | str | "center": the pixel that is farthest from the border; "random": any pixel of the error, all equally likely |
# | result | `((x, y), label)` or None | the center of a pixel, so x and y end in .5; None where nothing is wrong |
#
# The error is all pixels that are missing, or all pixels that are too many, whichever are more; where both are as many, what is missing. The distance of a pixel is that to the nearest pixel (center to center) that is not in this error. **The image ends at its border**: the pixels outside count as not in the error, too.


# %% exercise="click" difficulty=3 minutes=35
def next_click(
    pred: torch.Tensor, gt: torch.Tensor, strategy: str = "center", generator: torch.Generator | None = None
) -> tuple[tuple[float, float], int] | None:
    """Where a simulated user clicks next: ((x, y), label), or None where the masks agree.

    Parameters
    ----------
    pred, gt : (H, W) bool. strategy : "center" or "random".
    generator : of "random", which draws one time from it; torch's own where there is none.

    Returns
    -------
    (x, y) : floats, the center of the pixel. label : int, 1 or 0. Among pixels that are as far from the border, any.

    Raises
    ------
    ValueError : for another strategy, or masks of different shape.
    """
    ### BEGIN SOLUTION
    if strategy not in ("center", "random"):
        raise ValueError(f'strategy={strategy!r} is neither "center" nor "random"')
    if pred.shape != gt.shape:
        raise ValueError(f"masks of shape {tuple(pred.shape)} and {tuple(gt.shape)}")
    missing, excess = gt & ~pred, pred & ~gt
    label = int(missing.sum() >= excess.sum())
    error = missing if label else excess
    if not error.any():
        return None
    if strategy == "random":
        places = error.nonzero()
        row, column = places[torch.randint(len(places), (), generator=generator)].tolist()
    else:
        inside = np.pad(error.cpu().numpy(), 1)
        distance = distance_transform_edt(inside)[1:-1, 1:-1]
        row, column = np.unravel_index(distance.argmax(), distance.shape)
    return (float(column) + 0.5, float(row) + 0.5), label
    ### END SOLUTION


# %% look="click"
# Look: a mask that is wrong (orange), what was meant (dashed), and where the next click goes.
with checks.look():
    look_scene = datasets.part_whole_scenes(6, size=48, seed=4)
    fig, axes = plt.subplots(1, 4, figsize=(10, 2.8))
    for look_place, (ax, look_image, look_target) in enumerate(zip(axes, look_scene.images, look_scene.targets)):
        look_whole, look_part = look_target["masks"][:2]
        look_pred, look_gt = (look_part, look_whole) if look_place % 2 else (look_whole, look_part)
        look_click = next_click(look_pred, look_gt)
        draw_mask(ax, look_image, look_pred, [look_click])
        ax.contour(np.arange(48) + 0.5, np.arange(48) + 0.5, look_gt.numpy(), [0.5], colors="white", linestyles="--")
        ax.set_title("too little: +" if look_click[1] else "too much: x")
    plt.show()

# %% [markdown] hints="click"
# <details><summary>Hint 1: the idea</summary>
#
# Two errors, each a mask. Choose the one with more pixels; its kind is the label. Then a distance transform gives each pixel of the error its distance to the nearest pixel outside.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     another strategy, or different shapes: ValueError
#     missing = gt and not pred; excess = pred and not gt
#     missing has as many pixels or more: label 1 and missing, else label 0 and excess
#     no pixel in it: None
#     random: one of its pixels, by the generator
#     center: put a frame of False around the error, distance transform, take the frame off, the place of the maximum
#     x = column + 0.5, y = row + 0.5
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `distance_transform_edt(np.pad(error, 1))[1:-1, 1:-1]`, then `np.unravel_index(distance.argmax(), distance.shape)` is (row, column). `error.nonzero()` is (number of pixels, 2), rows first; `torch.randint(len(places), (), generator=generator)` chooses one.
#
# </details>

# %% [markdown] about="noc"
# ### Exercise 7. The number of clicks
#
# How good is a model that one clicks at? The usual measure is the **number of clicks** (NoC) until the overlap reaches a target, as Sofiiuk et al. (2021) measure it.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `ious` | $(n, C)$ float | overlap of object i after click j + 1 |
# | `target` | float | reached where the overlap is at least that |
# | result | two floats | the mean number of clicks up to the first that reaches the target; the share of objects that never do |
#
# An object that never reaches the target counts as $C$ clicks in the mean.


# %% exercise="noc" difficulty=1 minutes=10
def noc(ious: torch.Tensor, target: float = 0.85) -> tuple[float, float]:
    """Mean number of clicks to the target, and the share of failures, of overlaps (n, C): two Python floats.

    Raises
    ------
    ValueError : when there is no object, or no click.
    """
    ### BEGIN SOLUTION
    if not ious.numel():
        raise ValueError(f"no overlaps in a tensor of shape {tuple(ious.shape)}")
    reached = ious >= target
    failed = ~reached.any(dim=1)
    clicks = torch.where(failed, ious.shape[1], reached.int().argmax(dim=1) + 1)
    return clicks.double().mean().item(), failed.double().mean().item()
    ### END SOLUTION


# %% look="noc"
# Look: three objects, four clicks.
with checks.look():
    look_ious = torch.tensor([[0.90, 0.91, 0.92, 0.93], [0.30, 0.86, 0.70, 0.90], [0.20, 0.40, 0.60, 0.80]])
    look_clicks, look_failed = noc(look_ious)
    display(plotting.curves(
        {f"object {n}": line for n, line in enumerate(look_ious)} | {"target": torch.full((4,), 0.85)}, x=torch.arange(1, 5),
        xlabel="clicks", ylabel="IoU", title=f"mean {look_clicks:.2f} clicks, {look_failed:.0%} fail",
    ))  # fmt: skip

# %% [markdown] hints="noc"
# <details><summary>Hint 1: the idea</summary>
#
# The first True of a row is where `argmax` points, and where there is none, it points at 0, too. So failures are found first.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     nothing in it: ValueError
#     reached = overlap at least the target
#     failed = no True in the row
#     clicks = C where failed, else place of the first True, plus 1
#     means of both
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `reached.int().argmax(dim=1) + 1` counts from one. `torch.where(failed, ious.shape[1], ...)`, then `.double().mean().item()`.
#
# </details>

# %% [markdown]
# ## Part 4. Memory for video
#
# SAM answers for one image. **SAM 2** (Ravi et al. 2024) goes frame by frame through a video and keeps a **memory**: features and masks of a few frames before. Each new frame looks at this memory, so what you clicked in the first frame is found again in the tenth. The memory has a fixed size; a video may be endless.
#
# **Predict.** The memory holds the six latest frames. The object is hidden for eight frames. What does the model know of it when it comes back?

# %% [markdown] about="memory"
# ### Exercise 8. A memory bank, and a mask that is carried along
#
# `MemoryBank` has two lists. **Prompted** frames, those that a user clicked in, have places of their own: they are the only ones that are known to be right. **Recent** frames go first in, first out. `read` gives all as one list of places.
#
# `propagate` carries a mask along without training, by the features alone: each place of the new frame asks which places of the memory look like it (cosine of the features, divided by a temperature), keeps the `top_k` most alike, makes weights of them that sum to 1 by a softmax, and takes the weighted mean of their mask values.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `feats` | $(D, h, w)$ | features of a frame |
# | `mask` | $(h, w)$ | mask values in $[0, 1]$, or bool |
# | `memory` | $(L, D)$ | the features of all places of all frames in the bank |
# | `values` | $(L,)$ | their mask values, in the dtype of the features |
# | `t_offset` | $(L,)$ int64 | how many frames ago: number of the latest frame that was added, minus that of their own |
# | `frames` | $(T, D, h, w)$ | features of a video; frame 0 is prompted with `first_mask` |
# | result | $(T, h, w)$ | mask values of all frames; that of frame 0 is `first_mask` |
#
# The order in `read`: prompted frames before recent ones, each from old to new; the places of a frame row by row.


# %% exercise="memory" difficulty=4 minutes=50
class MemoryBank:
    """The frames that a video model remembers (as Ravi et al. 2024).

    Parameters
    ----------
    n_recent : how many frames without a prompt are kept, the latest ones; may be 0.
    n_prompted : how many prompted frames are kept, the latest ones. One kind never pushes out the other.
    """

    def __init__(self, n_recent: int = 6, n_prompted: int = 2) -> None:
        ### BEGIN SOLUTION
        self.limits = {True: n_prompted, False: n_recent}
        self.kept: dict[bool, list] = {True: [], False: []}
        self.latest = 0
        ### END SOLUTION

    def add(self, frame: int, feats: torch.Tensor, mask: torch.Tensor, prompted: bool) -> None:
        """Remember copies of a frame's features (D, h, w) and mask (h, w); forget what is too much of its kind."""
        ### BEGIN SOLUTION
        entry = frame, feats.flatten(1).T.clone(), mask.flatten().to(feats.dtype, copy=True)
        kept = [*self.kept[bool(prompted)], entry]
        self.kept[bool(prompted)] = kept[max(0, len(kept) - self.limits[bool(prompted)]) :]
        self.latest = frame
        ### END SOLUTION

    def read(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All that is remembered: memory (L, D), values (L,), t_offset (L,).

        Raises
        ------
        ValueError : when nothing is.
        """
        ### BEGIN SOLUTION
        entries = self.kept[True] + self.kept[False]
        if not entries:
            raise ValueError("nothing is remembered yet")
        memory, values = (torch.cat([entry[n] for entry in entries]) for n in (1, 2))
        ago = [
            torch.full((len(feats),), self.latest - frame, dtype=torch.int64, device=feats.device)
            for frame, feats, _ in entries
        ]
        return memory, values, torch.cat(ago)
        ### END SOLUTION


def propagate(
    frames: torch.Tensor,
    first_mask: torch.Tensor,
    n_recent: int = 6,
    n_prompted: int = 2,
    temperature: float = 0.05,
    top_k: int = 8,
) -> torch.Tensor:
    """A mask of the first frame carried through a video, frame by frame, by a `MemoryBank` of these sizes.

    Frame t is answered from the memory of frames 0 to t - 1 and then added to it, with the values that it got.

    Parameters
    ----------
    frames : (T, D, h, w) features. first_mask : (h, w). temperature : cosines are divided by it.
    top_k : memory places that each place of a frame looks at; all, where there are fewer.

    Returns
    -------
    (T, h, w) in the dtype of the frames.
    """
    ### BEGIN SOLUTION
    bank = MemoryBank(n_recent, n_prompted)
    masks = [first_mask.to(frames.dtype)]
    bank.add(0, frames[0], masks[0], prompted=True)
    for t, feats in enumerate(frames[1:], 1):
        memory, values, _ = bank.read()
        asking = F.normalize(feats.flatten(1).T, dim=-1)
        affinity = asking @ F.normalize(memory, dim=-1).T / temperature
        best, places = affinity.topk(min(top_k, len(memory)), dim=-1)
        mask = (best.softmax(dim=-1) * values[places]).sum(dim=-1).unflatten(0, feats.shape[-2:])
        bank.add(t, feats, mask, prompted=False)
        masks.append(mask)
    return torch.stack(masks)
    ### END SOLUTION


# %% look="memory"
# Look: pixel colors as features. The mask of the first frame, carried along until the shapes meet, and after.
with checks.look():
    look_video = datasets.mask_videos(1, size=32, seed=2)
    look_masks = propagate(look_video.frames[0], look_video.masks[0, 0, 0])
    fig, axes = plt.subplots(1, 6, figsize=(11, 2.2))
    for ax, look_t in zip(axes, (0, 2, 4, 6, 8, 11)):
        draw_mask(ax, look_video.frames[0, look_t], look_masks[look_t] > 0.5)
        ax.set_title(f"frame {look_t}")
    plt.show()

# %% [markdown] hints="memory"
# <details><summary>Hint 1: the idea</summary>
#
# Two lists with a quota each. Reading joins them. Carrying a mask along is attention: the new frame asks, the memory has keys (features) and values (mask values); no weight is learned.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     add: copies of the features as (h w, D) and the values as (h w,); append to the list of its kind
#          keep the last n of that list (careful where n is 0); remember the frame's number
#     read: nothing there: ValueError; prompted entries, then recent ones; cat; latest number minus each entry's number
#     propagate: the first frame is added as prompted
#       for each later frame: read; cosines (h w, L) / temperature; top_k of each row; softmax over these
#                             weighted sum of their values; add the frame with this mask, not prompted
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `feats.flatten(1).T` is (h w, D), row by row. `affinity.topk(...)` gives the largest entries and their places; `values[places]` are the mask values there. It refuses more than there are. `list[-0:]` is the whole list: with `n_recent=0` use `list[max(0, len(list) - n):]`, or `collections.deque(maxlen=n)`.
#
# </details>

# %% explore=true
_ = (Path, torchvision, profiling)  # TEMPORARY

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="explain-sam" points=8 minutes=40
# **W1. Explain SAM (8 points).** The cell "A deck" above wrote `sam/deck.html`: six slides with your own figures, and a line of text on each that you are to replace. Write the six slides here, as headings with two or three sentences each: what the task is, why the encoder is heavy and the decoder light, how prompts become tokens, how one click can mean several things, where the data came from, and what SAM cannot do.
#
# ### BEGIN SOLUTION
# 1 point: the task is promptable segmentation: any prompt, a valid mask, no classes.
# 2 points: a heavy encoder runs once for an image, a light decoder for each prompt, so the cost is shared by all clicks; with the own measured times.
# 1 point: clicks and boxes are positions plus learned kinds, masks are added to the image features.
# 2 points: three masks, loss of the best alone, predicted IoU to rank them; what would happen with one mask.
# 1 point: the data engine has three stages (assisted, semi-automatic, automatic) and gave SA-1B: 11 million images, over a billion masks.
# 1 point: limits: fine structures and small parts, no names for what it finds, prompts cost time, the video needs memory.
# ### END SOLUTION

# %% [markdown] written="three-masks" points=4 minutes=15
# **W2. Three (4 points).** Why does SAM answer one click with three masks, and not with one or ten? Use your table of masks after one click.
#
# ### BEGIN SOLUTION
# 2 points: with one mask, the least loss for two meanings is a blur of both (figure of exercise 5); three are enough for whole, part and part of a part.
# 1 point: with the loss of the best alone, masks beyond what the data means are hardly trained, and someone has to choose among them.
# 1 point: own numbers: the best of three against the chosen one, and against a single mask.
# ### END SOLUTION

# %% [markdown] written="both-ways" points=4 minutes=15
# **W3. Both ways (4 points).** Why does the decoder's attention go both ways? What can the model not do if the image never looks at the tokens?
#
# ### BEGIN SOLUTION
# 2 points: a mask is a dot product of one vector with the features of each pixel; features that do not know the prompt are the same for all prompts.
# 1 point: then the vector alone has to tell apart two equal shapes at different places, so it can only use what the features say about position.
# 1 point: own observation, such as the figure of exercise 3 or the two equal shapes of the test scenes.
# ### END SOLUTION

# %% [markdown] written="memory" points=4 minutes=15
# **W4. Memory (4 points).** What does SAM 2 keep in its memory, and why are prompted frames kept apart from recent ones? Use your table of videos.
#
# ### BEGIN SOLUTION
# 2 points: features and masks of a few recent frames, first in, first out, and of prompted frames, which are the only ones known to be right.
# 1 point: without them errors are copied from frame to frame, and what is hidden for longer than the queue is forgotten.
# 1 point: own observation: the rows of the table with and without a prompted frame, or a video where it fails.
# ### END SOLUTION
