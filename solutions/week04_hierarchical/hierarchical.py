# %% [markdown]
# # Week 4: windows
#
# ![Left: a photograph cut into windows, and the windows of the next block, shifted by half. Middle: how far one pixel reaches after one, two and four blocks. Right: FLOPs of the attention term against the side of the map; global attention rises twice as steeply as windows.](outcome.png)
#
# *What you will have built by the end of this week. Left: attention in windows, and the shifted windows of the next block. Middle: what one pixel reaches after one, two and four blocks. Right: the price of comparing tokens, counted, for one global layer and for windows.*
#
# **After this week you can**
#
# - cut a map into windows and put it together again, and shift the windows without mixing opposite edges of the image;
# - give attention a learned bias for each offset, and find the right entry of its table;
# - build a Swin block and a patch merging, load timm's weights, and get the output of timm's whole model;
# - prove with one changed pixel which outputs depend on it, and find a real leak that way;
# - compare ViT, DeiT, Swin and CoAtNet with parameters, FLOPs, latency percentiles and memory that you measured yourself, and say when to take which.
#
# **Time** about 11 hours: 3 of reading, 6 of coding, 2 of debugging. **You need** weeks 1 and 2, or the ideas of multi-head attention and of a pre-norm block. Nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. One rule holds for all exercises: a function or a layer leaves its arguments as they are. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $C$ | channels of a token (the width of the model here) |
# | $h, w$ | height and width of the map, in tokens | $M$ | side of a square window; in general $w_h \times w_w$ |
# | $N_w$ | number of windows in one map | $T$ | tokens in a window, $w_h w_w$ |
# | $H$ | heads | $s$ | shift, in tokens |
#
# Maps are **channels-last** this week, $(B, h, w, C)$, as in timm's Swin. Wherever a window or a shift is asked for, one int means the same for both directions, and a pair means (height, width).

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import itertools
import math
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import timm
import torch
import torch.nn.functional as F
from timm.models import swin_transformer as timm_swin
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # one thread: the tensors are small, and timings on one thread can be compared
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# **With a GPU.** `PROFILE=gpu` runs the same cells at larger sizes. What they need, and what came out:
#
# | cells | data set | disk | GPU memory | time | result |
# | --- | --- | --- | --- | --- | --- |
# | "Milestone" | none; weights of Swin-T by timm | 113 MB to fetch | *not measured yet* | *not measured yet* | *not measured yet* |
# | two stages beside a flat ViT | `shapes`, no download | none | *not measured yet* | *not measured yet* | *not measured yet* |
# | "Experiment", "The comparison matrix" | none; random weights | none | *not measured yet* | *not measured yet* | *not measured yet* |
#
# This would measure them: `PROFILE=gpu workbook record --keep-nothing week04`. Licenses, and where files go: `docs/datasets.md` of the workbook.

# %% given="helpers"
Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """A size as (height, width): `pair(7)` is (7, 7)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def randomize(module: nn.Module, seed: int, std: float = 0.2) -> nn.Module:
    """Draw every parameter anew: normal with this standard deviation, around 1 for the scales of layer norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            center = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(center + std * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def share(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The entries of a state dict whose names start with `prefix`, without it: one part's share of the weights."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


# %% [markdown]
# ## Part 1. Windows, and places inside them
#
# The ViT of week 2 cuts a $224 \times 224$ image into $14 \times 14 = 196$ tokens, and every token looks at every other. For a label that is fine. But to say *where* a thing ends you want small patches. With patches of $4 \times 4$ pixels there are $56 \times 56 = 3{,}136$ tokens, and attention compares nearly ten million pairs, in each head of each block.
#
# The answer of Liu et al. (2021), the Swin transformer: let a token look at its own **window** of $7 \times 7$ tokens only.
#
# **Predict.** Double the side of the image, so that it has 4 times the area. How many times as many pairs does global attention compare? And attention in windows of a fixed size?

# %% explore=true compare=true
print("side of map      tokens   pairs, global   pairs in 7 x 7 windows")
for side in (14, 28, 56, 112):
    tokens = side * side
    print(f"{side:11d} {tokens:11,d} {tokens**2:15,d} {tokens * 49:24,d}")

# %% [markdown]
# Global: 16 times. Windows: 4 times, exactly as many as the area. **Quadratic against linear in the area**, that is the whole reason for windows. The price is plain too: a token no longer sees the rest of the image. Parts 2 and 3 are about getting that sight back.

# %% [markdown] about="partition"
# ### Exercise 1. Cut into windows, and back
#
# $$(B,\; h,\; w,\; C) \;\longleftrightarrow\; (B \cdot N_w,\; w_h,\; w_w,\; C), \qquad N_w = \frac{h}{w_h} \cdot \frac{w}{w_w}$$
#
# The windows become a batch. Attention works on each entry of a batch by itself, so after the cut *nothing else* is needed to keep windows apart.
#
# | order | meaning |
# | --- | --- |
# | in the batch | all windows of image 0, then all of image 1, … |
# | in an image | row by row, as one reads |
# | in a window | rows, then columns, as they stand in the map |
#
# | function | input | output |
# | --- | --- | --- |
# | `window_partition(x, window)` | $(B, h, w, C)$ | $(B N_w, w_h, w_w, C)$ |
# | `window_reverse(windows, window, height, width)` | $(B N_w, w_h, w_w, C)$ | $(B, h, w, C)$ |
#
# Maps and windows need not be square. No Python loop over windows.


# %% exercise="partition" difficulty=2 minutes=40
def window_partition(x: torch.Tensor, window: Size) -> torch.Tensor:
    """Cut maps into windows that do not overlap (Liu et al. 2021, section 3.2).

    Parameters
    ----------
    x : (B, h, w, C), any dtype; not changed. window : side, or (height, width), in tokens.

    Returns
    -------
    (B*Nw, wh, ww, C): all windows of the first map row by row, then those of the next.

    Raises
    ------
    ValueError : when the window does not divide h and w.
    """
    ### BEGIN SOLUTION
    batch, height, width, channels = x.shape
    wh, ww = pair(window)
    if height % wh or width % ww:
        raise ValueError(f"windows of {wh} x {ww} do not fit into a map of {height} x {width}")
    cut = x.reshape(batch, height // wh, wh, width // ww, ww, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, wh, ww, channels)
    ### END SOLUTION


def window_reverse(windows: torch.Tensor, window: Size, height: int, width: int) -> torch.Tensor:
    """Put windows together again; the exact inverse of `window_partition`.

    Parameters
    ----------
    windows : (B*Nw, wh, ww, C), as `window_partition` gives them, any dtype; not changed.
    window : side, or (height, width), in tokens. height, width : h and w of the map, in tokens.

    Returns
    -------
    (B, h, w, C).

    Raises
    ------
    ValueError : when the window does not divide height and width, or the number of windows is no multiple of Nw.
    """
    ### BEGIN SOLUTION
    wh, ww = pair(window)
    rows, columns = height // wh, width // ww
    if height % wh or width % ww or len(windows) % (rows * columns):
        raise ValueError(f"{len(windows)} windows of {wh} x {ww} do not make maps of {height} x {width}")
    grid = windows.reshape(-1, rows, columns, wh, ww, windows.shape[-1])
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])
    ### END SOLUTION


# %% look="partition"
# Look: a photograph of 16 x 24 tokens in windows of 8 x 8, each a picture of its own, and what comes back.
with checks.look():
    look_map = datasets.photograph("flower", height=16, width=24).image.permute(1, 2, 0)[None]
    look_windows = window_partition(look_map, 8)
    print("windows:", tuple(look_windows.shape))
    fig = plt.figure(figsize=(11.5, 3.4))
    left, right = fig.subfigures(1, 2, width_ratios=(1.3, 1))
    ax = left.subplots()
    ax.imshow(look_map[0])
    for edge in (8, 16):
        ax.axvline(edge - 0.5, color="white", linewidth=2)
    ax.axhline(7.5, color="white", linewidth=2)
    ax.set_title("the map and its windows")
    ax.set_axis_off()
    for number, (ax, piece) in enumerate(zip(right.subplots(2, 3).flat, look_windows)):
        ax.imshow(piece)
        ax.set_title(f"window {number}", fontsize=10)
        ax.set_axis_off()
    plt.show()
    back = window_reverse(look_windows, 8, 16, 24)
    print("largest difference after the round trip:", (back - look_map).abs().max().item())

# %% [markdown] hints="partition"
# <details><summary>Hint 1: the idea</summary>
#
# The height is a number of windows times a height inside the window. Split both directions that way, bring the two "which window" dimensions next to the batch, and join those three. The way back is the same steps in reverse.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     if the window does not divide the map: ValueError
#     split:    (B, h, w, C)                      -> (B, rows, wh, columns, ww, C)
#     reorder:                                    -> (B, rows, columns, wh, ww, C)
#     join:                                       -> (B*rows*columns, wh, ww, C)
#
#     back:     (B*rows*columns, wh, ww, C)       -> (B, rows, columns, wh, ww, C)
#     reorder:                                    -> (B, rows, wh, columns, ww, C)
#     join:                                       -> (B, h, w, C)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `reshape` splits or joins neighboring dimensions and never reorders numbers; `permute` reorders. After the split the dimensions are B 0, rows 1, wh 2, columns 3, ww 4, C 5; swap 2 and 3. The same permutation leads back. `-1` stands for the one length that PyTorch can work out, here the batch.
#
# </details>
#
# <details><summary>My windows look like stripes</summary>
#
# Then there is no `permute` between the two reshapes: a window got consecutive rows of the map instead of a rectangle.
#
# </details>

# %% [markdown] about="index"
# ### Exercise 2. Which offset is this?
#
# Inside a window, attention again sees a set: shuffle the tokens, and it cannot tell. ViT adds a position to each token. Swin adds a number to each **score** instead, one for each *offset* between query and key: "the key stands one row above and two columns to the right" (section 3.2, equation 4). In a window of $w_h \times w_w$ tokens there are $(2w_h - 1)(2w_w - 1)$ offsets, and a table holds one learned number for each of them, per head.
#
# Which row of the table belongs to query $i$ and key $j$? Tokens are numbered row by row. With $\Delta_r$ the row of $i$ **minus** the row of $j$, and $\Delta_c$ likewise for columns:
#
# $$\text{index}[i, j] = (\Delta_r + w_h - 1)\,(2 w_w - 1) + (\Delta_c + w_w - 1)$$
#
# First both differences are moved to start at 0. Then they are read as the two digits of one number; the column digit has $2w_w - 1$ values.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `wh`, `ww` | int | height and width of the window |
# | result | $(T, T)$ int64 | from 0 to $(2w_h-1)(2w_w-1) - 1$; rows are queries |


# %% exercise="index" difficulty=3 minutes=35
def relative_position_index(wh: int, ww: int) -> torch.Tensor:
    """For each pair of tokens in a window, the row of the bias table that holds their offset (Liu et al. 2021).

    Parameters
    ----------
    wh, ww : height and width of the window, in tokens.

    Returns
    -------
    (wh*ww, wh*ww) int64: entry (i, j) for the offset of token i minus token j; tokens row by row.
    """
    ### BEGIN SOLUTION
    rows = torch.arange(wh * ww) // ww
    columns = torch.arange(wh * ww) % ww
    row_offset = rows[:, None] - rows[None, :] + wh - 1
    column_offset = columns[:, None] - columns[None, :] + ww - 1
    return row_offset * (2 * ww - 1) + column_offset
    ### END SOLUTION


# %% look="index"
# Look: for three queries of a 3 x 4 window (red square), the row of the table that each key gets.
with checks.look():
    look_index = relative_position_index(3, 4)
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.3))
    for ax, query in zip(axes, (0, 5, 11)):
        ax.imshow(look_index[query].reshape(3, 4), vmin=0, vmax=34, cmap="viridis")
        for key, row in enumerate(look_index[query].tolist()):
            ax.text(key % 4, key // 4, row, ha="center", va="center", color="white" if row < 20 else "black")
        ax.add_patch(plt.Rectangle((query % 4 - 0.5, query // 4 - 0.5), 1, 1, fill=False, color="#D55E00", linewidth=3))
        ax.set(title=f"query {query}", xticks=range(4), yticks=range(3), xlabel="column", ylabel="row")
    plt.show()
    print("the red square always says", look_index.diagonal().unique().tolist())

# %% [markdown] hints="index"
# <details><summary>Hint 1: the idea</summary>
#
# Find the row and the column of every token first. A difference of a column vector and a row vector is a table of all differences at once.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     row, column = of each token 0 ... wh*ww-1, row by row
#     dr = row[i] - row[j]          for all i, j
#     dc = column[i] - column[j]    for all i, j
#     move both so that the smallest is 0
#     index = dr times (number of values of dc) + dc
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# Token $n$ lies in row `n // ww` and column `n % ww`. `a[:, None] - a[None, :]` has query differences along dimension 0. `dc` goes from $-(w_w - 1)$ to $w_w - 1$: that is $2 w_w - 1$ values, and adding $w_w - 1$ makes it start at 0.
#
# </details>
#
# <details><summary>My index has negative numbers, or two offsets share a row</summary>
#
# Negative: both differences must be moved to start at 0. Shared: the row digit counts in steps of $2 w_w - 1$, the number of values of the column digit, not of its largest value.
#
# </details>

# %% [markdown]
# ## Part 2. The shift
#
# With windows alone, the tokens on the two sides of a window's border never meet, however many blocks you stack on a map of one size. Swin's remedy: in every second block, **shift** the grid of windows by half a window. Tokens that were separated by a border are then in the middle of a window.
#
# There is a snag. A shifted grid has more windows, and those along the edges are smaller. Windows of different sizes do not make a batch. The trick (section 3.2, figure 4): do not move the grid, **roll the map**. Tokens that fall off at the top come in again at the bottom. All windows have the same size again, but some now hold tokens that come from opposite edges of the image. A **mask** keeps those apart.
#
# Every cell of the figure below is one token; its color says which shifted window it belongs to. **Predict.** The map is $8 \times 8$, windows are $4 \times 4$, the shift is 2. How many different regions are there in the image, and how many windows after the roll? How many of these need a mask?

# %% explore=true
side, window_side, shift_by = 8, 4, 2
at = torch.arange(side)
owner = (at - shift_by).div(window_side, rounding_mode="floor") + 1  # 0, 0, 1, 1, 1, 1, 2, 2
regions = 3 * owner[:, None] + owner[None, :]
photo = datasets.photograph("china", height=256, width=256).image
rolled_photo = torch.roll(photo, (-64, -64), dims=(1, 2))
fig, axes = plt.subplots(1, 4, figsize=(13, 3.5))
for ax, picture, title, edges in (
    (axes[0], photo, "the image, shifted windows", (2, 6)),
    (axes[1], rolled_photo, "rolled by (-2, -2)", (4,)),
):
    ax.imshow(picture.permute(1, 2, 0), extent=(-0.5, 7.5, 7.5, -0.5))
    ax.set_title(title)
    for edge in edges:
        ax.axhline(edge - 0.5, color="white", linewidth=2)
        ax.axvline(edge - 0.5, color="white", linewidth=2)
for ax, ids, title in (
    (axes[2], regions, "regions in the image"),
    (axes[3], torch.roll(regions, (-2, -2), dims=(0, 1)), "regions after the roll"),
):
    ax.imshow(ids, cmap="tab10", vmax=9)
    for row, column in itertools.product(range(side), repeat=2):
        ax.text(column, row, int(ids[row, column]), ha="center", va="center", color="white", fontsize=9)
    ax.set_title(title)
    for edge in (2, 6) if ids is regions else (4,):
        ax.axhline(edge - 0.5, color="white", linewidth=2)
        ax.axvline(edge - 0.5, color="white", linewidth=2)
for ax in axes:
    ax.set(xticks=range(side), yticks=range(side))
plt.show()
rolled_regions = torch.roll(regions, (-2, -2), dims=(0, 1))
in_windows = [
    rolled_regions[top : top + 4, left : left + 4].unique().numel() for top, left in itertools.product((0, 4), (0, 4))
]
print(
    f"{regions.unique().numel()} regions in the image; {len(in_windows)} windows after the roll, with {in_windows} regions in them"
)

# %% [markdown]
# **Explain.** Nine regions, packed into four windows. The first window is whole and needs no mask. Two windows hold two regions each, and the last one holds four, from the four *corners* of the image. Without a mask the sky on the left would be mixed with the sky on the right, and the ground with the sky.

# %% [markdown] about="mask"
# ### Exercise 3. Who may look at whom after the roll
#
# The mask is **added** to the scores: 0 where two tokens may attend each other, very negative where not. Build it for the windows of the rolled map, in the order of `window_partition`.
#
# Two tokens of one window may attend each other if and only if no direction has *one* of them wrapped around the edge: both rows wrapped or neither, and both columns wrapped or neither. After `torch.roll(x, (-s, -s))` the last $s$ rows and the last $s$ columns are those that wrapped.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `height`, `width` | int | $h$ and $w$ of the map, in tokens |
# | `window`, `shift` | int or pair | in each direction $0 \le \text{shift} < \text{window}$ |
# | result | $(N_w, T, T)$ float32 | 0: allowed; $-100$ or less, down to $-\infty$: forbidden |
#
# Why "very negative" and not 0 and 1? The mask goes into the softmax: $e^{-100} \approx 4 \cdot 10^{-44}$, and $e^{-\infty} = 0$ exactly. A row can never be all forbidden here, since each token may attend itself, so $-\infty$ is safe.


# %% exercise="mask" difficulty=4 minutes=50 uses="partition"
def shifted_window_mask(height: int, width: int, window: Size, shift: Size) -> torch.Tensor:
    """Additive attention mask for the windows of a map rolled by `-shift` (Liu et al. 2021, section 3.2, figure 4).

    Parameters
    ----------
    height, width : of the map, in tokens. window, shift : int or (height, width), in tokens, 0 <= shift < window.

    Returns
    -------
    (Nw, T, T) float32: 0 where two tokens of a window may attend each other, -100 or less (also -inf) elsewhere.

    Raises
    ------
    ValueError : when the window does not divide the map, or a shift is not in 0 ... window - 1.
    """
    ### BEGIN SOLUTION
    (wh, ww), (down, right) = pair(window), pair(shift)
    if not (0 <= down < wh and 0 <= right < ww):
        raise ValueError(f"a shift of {down}, {right} is not smaller than the window of {wh} x {ww}")
    wrapped_rows = (torch.arange(height) >= height - down).long()
    wrapped_columns = (torch.arange(width) >= width - right).long()
    region = 2 * wrapped_rows[:, None] + wrapped_columns[None, :]
    in_window = window_partition(region[None, :, :, None], (wh, ww)).flatten(1)
    apart = in_window[:, :, None] != in_window[:, None, :]
    return torch.zeros(apart.shape).masked_fill(apart, -math.inf)
    ### END SOLUTION


# %% look="mask"
# Look: the masks of the four windows of an 8 x 8 map, window 4, shift 2. Blue: allowed.
with checks.look():
    look_mask = shifted_window_mask(8, 8, 4, 2)
    print("mask:", tuple(look_mask.shape), look_mask.dtype)
    fig, axes = plt.subplots(1, 4, figsize=(13, 3.6))
    for number, ax in enumerate(axes[: len(look_mask)]):
        allowed = (look_mask[number] == 0).float()
        ax.imshow(allowed, cmap="Blues", vmin=0, vmax=1.4)
        ax.set(title=f"window {number}: {allowed.mean():.0%} allowed", xlabel="key", ylabel="query")
    plt.show()

# %% [markdown] hints="mask"
# <details><summary>Hint 1: the idea</summary>
#
# Give every token of the rolled map a number for its region: has its row wrapped or not, has its column wrapped or not. That is a small image. Cut it with your own `window_partition`; tokens of a window with different numbers are kept apart.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     check the shift
#     row_wrapped    = 1 for the last shift rows, else 0           (h,)
#     column_wrapped = 1 for the last shift columns, else 0        (w,)
#     region = one number for each of the 4 combinations           (h, w)
#     cut region into windows                                      (Nw, T)
#     apart  = region of the query differs from that of the key    (Nw, T, T)
#     mask   = very negative where apart, else 0
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.arange(h) >= h - s` marks the last $s$ rows; with $s = 0$ it marks none. `2 * a + b` gives each of the four combinations its own number; `a + b` does not. `window_partition` wants four dimensions: `region[None, :, :, None]`. `ids[:, :, None] != ids[:, None, :]` compares each token with each. `torch.zeros(...).masked_fill(apart, -math.inf)`.
#
# </details>
#
# <details><summary>Two opposite corners may see each other</summary>
#
# Then the two directions were added: a token that wrapped in its row only and one that wrapped in its column only got the same number. Each of the four combinations needs its own.
#
# </details>

# %% [markdown] about="attention"
# ### Exercise 4. Attention in a window
#
# Multi-head attention as in week 1, with two things added to the scores before the softmax: the bias of each offset, and the mask (section 3.2, equation 4):
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}} + \text{bias} + \text{mask}\right), \qquad \text{bias}[\text{head}, i, j] = \text{table}\bigl[\text{index}[i, j],\; \text{head}\bigr]$$
#
# with $d = C / H$. Bias and mask are **not** divided by $\sqrt d$.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `x` | $(B N_w, T, C)$ | windows as a batch, tokens row by row |
# | `mask` | $(N_w, T, T)$ or None | as exercise 3 gives it, 0 or $-100$ and less; one for each window of an image, the same in all images and heads; dtype of `x` |
# | `out` | $(B N_w, T, C)$ | after the output projection; dtype of `x` |
# | `weights` | $(B N_w, H, T, T)$ | rows sum to 1 over the keys |
# | the table | $((2w_h-1)(2w_w-1),\, H)$ | a learned parameter, normal with std 0.02 |
#
# `load_timm(state)` copies timm's weights. Its names: `relative_position_bias_table` (the table), `qkv.weight` $(3C, C)$ and `qkv.bias` (query, key, value one below the other, each head by head), `proj.weight`, `proj.bias`. That is how the tests reach your weights, so you may store them as you like, the table in another shape, too. It copies numbers into the parameters that are there, since an optimizer may hold them already.


# %% exercise="attention" difficulty=3 minutes=60 uses="index"
class WindowAttention(nn.Module):
    """Multi-head attention inside windows, with a learned bias for each offset (Liu et al. 2021, equation 4).

    Parameters
    ----------
    dim : C. n_heads : H. window : side, or (height, width), in tokens.
    There is no dropout: in train mode the layer does the same as in eval mode.

    Raises
    ------
    ValueError : when n_heads does not divide dim.
    """

    def __init__(self, dim: int, n_heads: int, window: Size) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        if dim % n_heads:
            raise ValueError(f"dim={dim} is not divisible by n_heads={n_heads}")
        wh, ww = pair(window)
        self.n_heads = n_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.bias_table = nn.Parameter(0.02 * torch.randn((2 * wh - 1) * (2 * ww - 1), n_heads))
        self.register_buffer("index", relative_position_index(wh, ww), persistent=False)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend in each window: x (B*Nw, T, C), mask (Nw, T, T) to out (B*Nw, T, C), weights (B*Nw, H, T, T)."""
        ### BEGIN SOLUTION
        count, tokens, dim = x.shape
        query, key, value = self.qkv(x).reshape(count, tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / math.sqrt(dim // self.n_heads)
        scores = scores + self.bias_table[self.index].permute(2, 0, 1)
        if mask is not None:
            by_image = scores.unflatten(0, (-1, len(mask)))
            scores = (by_image + mask[:, None]).flatten(0, 1)
        weights = scores.softmax(dim=-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(count, tokens, dim)), weights
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy timm's weights: the table, and weight and bias of `qkv` and `proj`. The state is not changed."""
        ### BEGIN SOLUTION
        own = dict(state)
        own["bias_table"] = own.pop("relative_position_bias_table")
        self.load_state_dict(own)
        ### END SOLUTION


# %% look="attention"
# Look: planted weights that make query and key zero, so that only the bias speaks: prefer the key to the left.
with checks.look():
    torch.manual_seed(0)
    look_layer = WindowAttention(4, 1, (3, 4))
    look_state = {"qkv.weight": torch.zeros(12, 4), "qkv.bias": torch.zeros(12)}
    look_state |= {"proj.weight": torch.eye(4), "proj.bias": torch.zeros(4)}
    look_table = torch.zeros(35, 1)
    look_table[2 * 7 + 3 + 1] = 5.0  # row offset 0, column offset +1: the query stands one to the right of the key
    look_layer.load_timm({**look_state, "relative_position_bias_table": look_table})
    _, look_weights = look_layer(torch.zeros(1, 12, 4))
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.2))
    for ax, query in zip(axes, (1, 4, 11)):
        ax.imshow(look_weights[0, 0, query].detach().reshape(3, 4), vmin=0, vmax=1)
        ax.add_patch(plt.Rectangle((query % 4 - 0.5, query // 4 - 0.5), 1, 1, fill=False, color="#D55E00", linewidth=3))
        ax.set(title=f"weights of query {query}", xticks=range(4), yticks=range(3))
    plt.show()

# %% [markdown] hints="attention"
# <details><summary>Hint 1: the idea</summary>
#
# Write attention as you know it. `table[index]` looks up all pairs at once and has the heads *last*; bring them first and add. For the mask, take the batch of windows apart into images and windows: only then does a mask of $N_w$ windows line up with it.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    check heads; one layer C -> 3C, one layer C -> C
#              table ((2wh-1)(2ww-1), H), a parameter; index (T, T), a buffer
#     forward: q, k, v                             each (B*Nw, H, T, d)
#              scores = q k^T / sqrt(d)            (B*Nw, H, T, T)
#              scores += table[index], heads first        (H, T, T)
#              if there is a mask:
#                  scores as (B, Nw, H, T, T), plus mask as (Nw, 1, T, T), back to (B*Nw, H, T, T)
#              weights = softmax over the keys
#              out = projection of (weights v), heads side by side again
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `qkv(x).reshape(n, T, 3, H, d).permute(2, 0, 3, 1, 4)` unpacks into three. `table[index]` is $(T, T, H)$; `.permute(2, 0, 1)`, not `reshape`. `scores.unflatten(0, (-1, len(mask)))` makes (images, windows, …): images first, because `window_partition` lists all windows of one image before the next. `mask[:, None]` gives every head the same mask. Back with `.flatten(0, 1)`.
#
# </details>
#
# <details><summary>It is right for one image, and wrong for two</summary>
#
# The windows of all images lie in one batch, image by image. Taken apart as (windows, images) the mask meets the wrong windows.
#
# </details>

# %% [markdown]
# ### Look: one query, three fields of view
#
# No training is needed to see what windows do. The layer below has planted weights: query and key are the color of a patch, so a patch looks at patches of its own color. The photograph has $24 \times 24$ patches; the outlined one, on a petal, asks.
#
# **Predict.** There is a second flower at the lower edge. How much weight does it get from global attention, from windows of $8 \times 8$, and after a shift by 4?

# %% explore=true
colors_of = datasets.photograph("flower", height=24, width=24).image.permute(1, 2, 0)[None]
standard = (colors_of - colors_of.mean((0, 1, 2))) / colors_of.std()
asker = (9, 14)


def color_attention(window: int) -> WindowAttention:
    """A layer in which a patch looks at patches of its own color."""
    layer = WindowAttention(3, 1, window)
    sharp = 1.7
    layer.load_timm(
        {
            "qkv.weight": torch.cat([sharp * torch.eye(3), sharp * torch.eye(3), torch.eye(3)]),
            "qkv.bias": torch.zeros(9),
            "proj.weight": torch.eye(3),
            "proj.bias": torch.zeros(3),
            "relative_position_bias_table": torch.zeros((2 * window - 1) ** 2, 1),
        }
    )
    return layer


def field_of_view(window: int, shift: int) -> torch.Tensor:
    """The weights (24, 24) that the asking patch gives to all patches of the map."""
    rolled = torch.roll(standard, (-shift, -shift), dims=(1, 2))
    mask = shifted_window_mask(24, 24, window, shift) if shift else None
    with torch.no_grad():
        _, weights = color_attention(window)(window_partition(rolled, window).flatten(1, 2), mask)
    place = ((asker[0] - shift) % 24, (asker[1] - shift) % 24)
    number = place[0] // window * (24 // window) + place[1] // window
    inside = place[0] % window * window + place[1] % window
    canvas = torch.zeros(len(weights), window, window, 1)
    canvas[number] = weights[number, 0, inside].reshape(window, window, 1)
    return torch.roll(window_reverse(canvas, window, 24, 24), (shift, shift), dims=(1, 2))[0, :, :, 0]


views = {
    "global: one window of 24": field_of_view(24, 0),
    "windows of 8": field_of_view(8, 0),
    "windows of 8, shift 4": field_of_view(8, 4),
}
picture = datasets.photograph("flower", height=240, width=240).image
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.3))
for ax, (name, view), edges in zip(axes, views.items(), ((), (8, 16), (4, 12, 20))):
    plotting.attention_overlay(ax, picture, view, title=name, query_cell=asker)
    for edge in edges:
        ax.axhline(edge, color="white", linewidth=1)
        ax.axvline(edge, color="white", linewidth=1)
plt.show()
for name, view in views.items():
    shift = 4 if "shift" in name else 0
    home = [(torch.arange(24) - shift).div(8, rounding_mode="floor") == (asker[k] - shift) // 8 for k in (0, 1)]
    outside = view[~(home[0][:, None] & home[1][None, :])].sum().item()
    print(
        f"{name:>25}: weights sum to {view.sum():.3f}; {(view > 0).sum().item():3d} patches get weight; outside the window of 8: {outside:.3f}"
    )

# %% [markdown]
# **Explain.** Global attention finds petals of this color everywhere, also on the second flower: two thirds of its weight lie outside the window. In a window the same patch with the same weights sees only its own square; the weight outside is not small, it is exactly 0. The shifted window shows other neighbors. Neither sees both flowers. Two blocks one after the other see more, and you will measure how much.

# %% [markdown]
# ## Part 3. The block, and the pyramid
#
# Two blocks make a pair: one with windows as they are, one with shifted windows (section 3.2, equation 3). Each is the pre-norm block of week 2 with window attention in place of global attention.

# %% [markdown] about="block"
# ### Exercise 5. The Swin block
#
# $$y = x + \operatorname{unroll}\bigl(\operatorname{WMSA}(\operatorname{roll}(\operatorname{LN}(x)))\bigr), \qquad \text{out} = y + \operatorname{MLP}(\operatorname{LN}(y))$$
#
# | step | shape |
# | --- | --- |
# | norm, then roll by $-s$ in both directions | $(B, h, w, C)$ |
# | partition, tokens row by row | $(B N_w, T, C)$ |
# | window attention, with the mask if there is a shift | $(B N_w, T, C)$ |
# | reverse, then roll by $+s$ | $(B, h, w, C)$ |
# | residual; norm, MLP $C \to 4C \to C$ with exact GELU, residual | $(B, h, w, C)$ |
#
# Five details:
#
# - **Only one window in a direction, no shift in that direction.** If the map is as large as the window, one window already sees all of it. The last stage of Swin-T has maps of $7 \times 7$ and windows of 7.
# - The height and the width of the map are known only in `forward`, and may differ from call to call. A mask belongs to one map size.
# - Layer norms have PyTorch's eps, $10^{-5}$. ViT has $10^{-6}$.
# - A map that the window does not divide is a ValueError, also one that is smaller than the window.
# - No dropout and no drop path: in train mode the block does the same as in eval mode.
#
# `load_timm(state)` gets the names of timm's block: `norm1.weight`, `norm1.bias`, `attn.…` (those of exercise 4), `norm2.weight`, `norm2.bias`, `mlp.fc1.weight`, `mlp.fc1.bias`, `mlp.fc2.weight`, `mlp.fc2.bias`. The function `share` of the second cell picks a part's share.


# %% exercise="block" difficulty=4 minutes=70 uses="partition, mask, attention"
class SwinBlock(nn.Module):
    """A Swin transformer block (Liu et al. 2021, section 3.2, equation 3), without dropout and drop path.

    Parameters
    ----------
    dim : C. n_heads : H. window, shift : int or (height, width), in tokens; 0 <= shift < window.
    """

    def __init__(self, dim: int, n_heads: int, window: Size, shift: Size) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.window, self.shift = pair(window), pair(shift)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, n_heads, window)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, h, w, C) of the same dtype; ValueError when the window does not divide the map."""
        ### BEGIN SOLUTION
        _, height, width, _ = x.shape
        down, right = (s if side > w else 0 for side, w, s in zip((height, width), self.window, self.shift))
        mask = shifted_window_mask(height, width, self.window, (down, right)).to(x) if down or right else None
        rolled = torch.roll(self.norm1(x), (-down, -right), dims=(1, 2))
        windows = window_partition(rolled, self.window).flatten(1, 2)
        attended = self.attention(windows, mask)[0].unflatten(1, self.window)
        together = window_reverse(attended, self.window, height, width)
        x = x + torch.roll(together, (down, right), dims=(1, 2))
        return x + self.mlp(self.norm2(x))
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy the weights of timm's `SwinTransformerBlock`. The state is not changed."""
        ### BEGIN SOLUTION
        self.norm1.load_state_dict(share(state, "norm1."))
        self.norm2.load_state_dict(share(state, "norm2."))
        self.attention.load_timm(share(state, "attn."))
        self.mlp[0].load_state_dict(share(state, "mlp.fc1."))
        self.mlp[2].load_state_dict(share(state, "mlp.fc2."))
        ### END SOLUTION


# %% look="block"
# Look: change one token of an 8 x 8 map (red) and see which outputs change. Windows of 4.
with checks.look():
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 4))
    look_x = checks.normal(seed=0)(1, 8, 8, 8)
    for ax, shift, cell in zip(axes, (0, 2, 2), ((2, 5), (2, 5), (0, 7))):
        look_block = SwinBlock(8, 2, 4, shift)
        look_block.load_timm(
            randomize(timm_swin.SwinTransformerBlock(8, (8, 8), 2, window_size=4), seed=1).state_dict()
        )
        look_y = look_x.clone()
        look_y[0, cell[0], cell[1]] += checks.normal(seed=1)(8)
        with torch.no_grad():
            moved = (look_block(look_y) - look_block(look_x)).abs().amax(-1)[0]
        ax.imshow(moved > 1e-6, cmap="Blues", vmin=0, vmax=1.4)
        ax.add_patch(plt.Rectangle((cell[1] - 0.5, cell[0] - 0.5), 1, 1, fill=False, color="#D55E00", linewidth=3))
        for edge in (4,) if shift == 0 else (2, 6):
            ax.axhline(edge - 0.5, color="0.5", linewidth=1)
            ax.axvline(edge - 0.5, color="0.5", linewidth=1)
        ax.set_title(f"shift {shift}: {(moved > 1e-6).sum().item()} tokens change")
        ax.set(xticks=range(8), yticks=range(8))
    plt.show()

# %% [markdown] hints="block"
# <details><summary>Hint 1: the idea</summary>
#
# You have every part. The block calls them in the order of the table, and undoes in the reverse order what it did: roll, partition, attend, reverse the partition, reverse the roll. Roll and mask must use the *same* shift, which is 0 where there is only one window.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     forward: for each direction: shift = the block's shift if the side is larger than the window, else 0
#              mask = shifted_window_mask(height, width, window, shift), or None without shift
#              y = norm1(x), rolled by minus shift
#              windows = partition of y, tokens in one row    (B*Nw, T, C)
#              windows = attention with mask                  (B*Nw, T, C)
#              y = reversed partition, rolled by plus shift   (B, h, w, C)
#              x = x + y
#              x = x + mlp(norm2(x))
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.roll(y, (-down, -right), dims=(1, 2))` rolls rows and columns. `.flatten(1, 2)` makes a window's tokens one row, `.unflatten(1, pair(window))` undoes it. `mask.to(x)` gives the mask the dtype and the device of `x`. Your attention returns a pair; take `[0]`. `share(state, "attn.")` is what your `WindowAttention.load_timm` wants.
#
# </details>
#
# <details><summary>Right without a shift, wrong with it</summary>
#
# Draw the look cell. If a token far away changes, the map was not rolled back, or rolled in the other direction than the mask assumes. If a token at the opposite edge changes, the mask is missing.
#
# </details>


# %% [markdown]
# ### Look: how far does one pixel reach?
#
# **Predict.** A $16 \times 16$ map, windows of 4, shift 2. One block: 16 tokens. Two blocks, the second one shifted? Four?


# %% explore=true compare=true
def stack_reach(shifts: tuple[int, ...], size: tuple[int, int], cell: tuple[int, int]) -> torch.Tensor:
    """Which outputs (h, w) of a stack of Swin blocks depend on one token of the map."""
    x = checks.normal(seed=0)(1, *size, 8)
    y = x.clone()
    y[0, cell[0], cell[1]] += checks.normal(seed=1)(8)
    for number, shift in enumerate(shifts):
        block = SwinBlock(8, 2, 4, shift).eval()
        like = timm_swin.SwinTransformerBlock(8, size, 2, window_size=4)
        block.load_timm(randomize(like, seed=number, std=0.3).state_dict())
        with torch.no_grad():
            x, y = block(x), block(y)
    return (x - y).abs().amax(-1)[0] > 1e-6


reaches = {
    "1 block": stack_reach((0,), (16, 16), (5, 6)),
    "2 blocks, 2nd shifted": stack_reach((0, 2), (16, 16), (5, 6)),
    "4 blocks, every 2nd shifted": stack_reach((0, 2, 0, 2), (16, 16), (5, 6)),
    "4 blocks, none shifted": stack_reach((0, 0, 0, 0), (16, 16), (5, 6)),
}
for name, found in reaches.items():
    print(f"{name:>28}: {found.sum().item():3d} of 256 tokens change")

# %% explore=true
fig, axes = plt.subplots(1, 4, figsize=(13, 3.7))
for ax, (name, found) in zip(axes, reaches.items()):
    ax.imshow(found, cmap="Blues", vmin=0, vmax=1.4)
    ax.add_patch(plt.Rectangle((5.5, 4.5), 1, 1, fill=False, color="#D55E00", linewidth=3))
    for edge in range(4, 16, 4):
        ax.axhline(edge - 0.5, color="0.6", linewidth=0.8)
        ax.axvline(edge - 0.5, color="0.6", linewidth=0.8)
    ax.set_title(f"{name}\n{found.sum().item()} tokens change", fontsize=11)
    ax.set(xticks=(), yticks=())
plt.show()

# %% [markdown]
# **Explain.** Without shifts, depth does not help: 16 tokens after four blocks as after one. With shifts the area grows: 16 tokens, 64, 196 of 256 for this token (the edge of the map stops it at the top and on the left). Every token inside it is reached, every token outside not at all, not even a little. A ViT has all 256 after its first block. Whether that matters is a question of the task, and of the number of blocks.
#
# ### The same test finds a leak in a library
#
# Your block refuses maps that the window does not divide. timm's block pads them with zeros instead, but it rolls *before* it pads. Then the rows that wrapped are no longer the last ones, and the mask guards the wrong rows. The test with one changed pixel shows it at once. (Users reported the same for the second version of Swin: issue 2438 of huggingface/pytorch-image-models.)

# %% explore=true
probe = timm_swin.SwinTransformerBlock(8, (7, 7), 2, window_size=4, shift_size=2)
leaky = randomize(probe, seed=0, std=0.3)
x = checks.normal(seed=0)(1, 7, 7, 8)
y = x.clone()
y[0, 6, 6] += checks.normal(seed=1)(8)
with torch.no_grad():
    leak = (leaky(x) - leaky(y)).abs().amax(-1)[0] > 1e-6
fig, ax = plt.subplots(figsize=(3.6, 3.9))
ax.imshow(leak, cmap="Blues", vmin=0, vmax=1.4)
ax.add_patch(plt.Rectangle((5.5, 5.5), 1, 1, fill=False, color="#D55E00", linewidth=3))
ax.set(title="timm's block on a 7 x 7 map, window 4", xticks=range(7), yticks=range(7))
plt.show()
print(
    f"timm {timm.__version__}: the token in the last corner moves {leak.sum().item()} tokens: {leak.nonzero().tolist()}"
)

# %% [markdown]
# Where four corners are marked, tokens from opposite edges see each other. At the sizes that Swin-T was trained for (56, 28, 14 and 7, windows of 7) nothing is padded and nothing leaks, which is why it can go unnoticed. **A comparison with a reference that has the same flaw never finds it; the question of who depends on whom does.**

# %% [markdown] about="merging"
# ### Exercise 6. Patch merging
#
# Between the stages Swin halves the sides of the map and doubles the channels (section 3.1). Each square of $2 \times 2$ tokens becomes one: put the four side by side, norm, and one linear layer without bias.
#
# $$(B,\, h,\, w,\, C) \to (B,\, h/2,\, w/2,\, 4C) \xrightarrow{\;\text{norm, linear}\;} (B,\, h/2,\, w/2,\, 2C)$$
#
# The order of the four is a convention, and checkpoints depend on it. As (row, column) inside the square: **(0, 0), (1, 0), (0, 1), (1, 1)**. First down, then right. Sides that are odd are padded with zeros at the **end**, before the norm, so a $5 \times 7$ map gives $3 \times 4$. The norm has PyTorch's eps, as in the block.
#
# `load_timm(state)` gets `norm.weight` and `norm.bias` $(4C,)$ and `reduction.weight` $(2C, 4C)$.


# %% exercise="merging" difficulty=2 minutes=30
class PatchMerging(nn.Module):
    """Merge squares of 2 x 2 tokens (Liu et al. 2021, section 3.1).

    Parameters
    ----------
    dim : C of the map that comes in; 2C go out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, C) to (B, ceil(h/2), ceil(w/2), 2C) of the same dtype; x is not changed."""
        ### BEGIN SOLUTION
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        four = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return self.reduction(self.norm(torch.cat(four, dim=-1)))
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy timm's weights: `norm.weight`, `norm.bias`, `reduction.weight`. The state is not changed."""
        ### BEGIN SOLUTION
        self.load_state_dict(dict(state))
        ### END SOLUTION


# %% look="merging"
# Look: the pyramid. A photograph of 64 x 96 tokens, merged three times with random weights; three channels of each map.
with checks.look():
    torch.manual_seed(0)
    look_level = datasets.photograph("china", height=64, width=96).image.permute(1, 2, 0)[None]
    fig, axes = plt.subplots(1, 4, figsize=(13, 2.9))
    for number, ax in enumerate(axes):
        if number:
            with torch.no_grad():
                look_level = PatchMerging(look_level.shape[-1])(look_level)
        shown = look_level[0, :, :, :3]
        ax.imshow((shown - shown.amin()) / (shown.amax() - shown.amin()))
        height, width, channels = look_level.shape[1:]
        ax.set_title(f"{height} x {width} tokens, C = {channels}")
        ax.set_axis_off()
    plt.show()

# %% [markdown] hints="merging"
# <details><summary>Hint 1: the idea</summary>
#
# A slice with step 2 takes every second row. Four slices, one for each place in the square, side by side along the channels.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    norm over 4C; linear 4C -> 2C without bias
#     forward: pad one row of zeros at the end if h is odd, one column if w is odd
#              a = every second row and column from (0, 0); b from (1, 0); c from (0, 1); d from (1, 1)
#              a, b, c, d side by side: (B, h/2, w/2, 4C); norm; linear
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `x[:, 1::2, 0::2]` is the slice for (1, 0). `F.pad` counts dimensions from the last: `(0, 0, 0, right, 0, bottom)` leaves the channels alone. `torch.cat([...], dim=-1)`.
#
# </details>
#
# <details><summary>Right shape, other numbers than timm's</summary>
#
# The order of the four slices: timm goes down first, (0, 0), (1, 0), (0, 1), (1, 1).
#
# </details>

# %% [markdown]
# ### Milestone: the real thing
#
# Swin-T: patches of $4 \times 4$, four stages with 2, 2, 6 and 2 blocks, widths 96, 192, 384, 768, windows of 7. timm builds it. Below, every one of its 12 blocks and 3 mergings is **replaced by yours**, with timm's weights loaded; only the patch embedding, the last norm and the head remain timm's. With `PROFILE=gpu` the weights are the pretrained ones. Offline they are random, which tests your code just as hard.

# %% explore=true
torch.manual_seed(0)
pretrained = profile.pick(cpu=False, gpu=True)
real = timm.create_model("swin_tiny_patch4_window7_224", pretrained=pretrained).eval()
if not pretrained:
    randomize(real, seed=0, std=0.05)
mine = copy.deepcopy(real)
for stage in mine.layers:
    for number, theirs in enumerate(stage.blocks):
        block = SwinBlock(theirs.dim, theirs.attn.num_heads, theirs.window_size, theirs.target_shift_size).eval()
        block.load_timm(theirs.state_dict())
        stage.blocks[number] = block
    if not isinstance(stage.downsample, nn.Identity):
        merging = PatchMerging(stage.downsample.dim).eval()
        merging.load_timm(stage.downsample.state_dict())
        stage.downsample = merging
photo = datasets.photograph("flower", height=224, width=224).image
mean, std = (torch.tensor(real.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
batch = ((photo - mean) / std)[None]
with torch.inference_mode():
    real_logits, my_logits = real(batch), mine(batch)
    features = mine.forward_intermediates(batch, intermediates_only=True)
yours = sum(profiling.parameter_count(stage) for stage in mine.layers)
print(f"your parts hold {yours:,} of {profiling.parameter_count(mine):,} parameters")
print("maps after the stages (C, h, w):", ", ".join(str(tuple(level.shape[1:])) for level in features))
print(
    f"largest logit {real_logits.abs().max():.3f}; yours differ from timm's by at most {(my_logits - real_logits).abs().max():.1e}"
)
assert (my_logits - real_logits).abs().max() < 1e-3
if pretrained:
    from timm.data import ImageNetInfo

    for chance, number in zip(*my_logits.softmax(-1)[0].topk(3)):
        print(f"{chance:6.1%}  {ImageNetInfo().index_to_description(int(number))}")

# %% [markdown]
# Four maps at four scales: that is the *feature pyramid* that detectors and segmenters are built on, and that a plain ViT does not have.
#
# Equal outputs do not prove that your parts can *learn*. The check of week 2 does: overfit one batch. A Swin of two stages, made of your blocks only, has to learn 32 pictures by heart within 40 steps. With `PROFILE=gpu` it also trains on 2,000 pictures, beside a flat ViT of about the same size; on two CPU cores that takes too long to show anything.


# %% explore=true
class TinySwin(nn.Module):
    """Two stages on 32 x 32 pixels: 8 x 8 tokens of width 32, then 4 x 4 of width 64."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 4, stride=4)
        first = (SwinBlock(32, 2, 4, 0), SwinBlock(32, 2, 4, 2))
        second = (SwinBlock(64, 4, 4, 0), SwinBlock(64, 4, 4, 2))  # 4 x 4 tokens: one window, so no shift
        self.stages = nn.Sequential(*first, PatchMerging(32), *second)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.stages(self.embed(images).permute(0, 2, 3, 1))
        return self.head(self.norm(tokens).mean((1, 2)))


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, batch: int) -> list[float]:
    """Accuracy on each batch, before its step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    draw, hits = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        picked = torch.randperm(len(x), generator=draw)[:batch]
        logits = model(x[picked])
        hits.append((logits.argmax(-1) == y[picked]).float().mean().item())
        optimizer.zero_grad()
        F.cross_entropy(logits, y[picked]).backward()
        optimizer.step()
    return hits


device = profile.device()
torch.manual_seed(0)
sample = datasets.shapes(32, seed=0)
hits = train(TinySwin().to(device), ((sample.x - 0.5) / 0.25).to(device), sample.shape.to(device), steps=40, batch=32)
print(f"accuracy on the 32 pictures: {hits[0]:.0%} at first, {hits[-1]:.0%} after 39 steps; target: 100 %")


def against_flat(lesson: datasets.Shapes, exam: datasets.Shapes, steps: int, batch: int) -> dict[str, float]:
    """Train two stages and a flat ViT of about the same size on the shapes of pictures; accuracies on new ones."""
    flat = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "depth": 4, "num_heads": 3, "num_classes": 6}
    found = {}
    for name, model in (("two stages", TinySwin()), ("flat ViT", timm.models.VisionTransformer(**flat))):
        model.to(profile.device())
        x, y = (part.to(profile.device()) for part in ((lesson.x - 0.5) / 0.25, lesson.shape))
        train(model, x, y, steps=steps, batch=batch)
        with torch.inference_mode():
            answers = model(((exam.x - 0.5) / 0.25).to(profile.device())).argmax(-1).cpu()
        found[name] = (answers == exam.shape).float().mean().item()
        size = profiling.parameter_count(model)
        print(f"{name:>12}: {size:,} parameters, {found[name]:.0%} of {len(exam.x)} new pictures (one seed)")
    return found


if profile.current() is profile.Profile.GPU:
    against_flat(datasets.shapes(2000, seed=1), datasets.shapes(500, seed=2), steps=2000, batch=64)

# %% [markdown]
# ## Part 4. An honest comparison
#
# Four families solve the same task. Papers compare them by FLOPs, because FLOPs can be counted with a pencil. You will count, then measure, and see where the two part ways.

# %% [markdown] about="cost"
# ### Exercise 7. What attention costs
#
# Liu et al. (2021, section 3.2, equations 1 and 2) count multiply-adds; with **2 FLOPs** for each the numbers double. The projections cost the same for both kinds. The difference is how many keys a token is compared with: all $hw$, or the $M^2$ of its window.
#
# | part | products | FLOPs |
# | --- | --- | --- |
# | query, key, value, output | four times $(hw, C) \times (C, C)$ | $8\, hw\, C^2$ |
# | scores and average, global | $hw$ tokens with $hw$ keys, twice | ? |
# | scores and average, windows | $hw$ tokens with $M^2$ keys, twice | ? |
#
# | name | meaning |
# | --- | --- |
# | `h`, `w` | sides of the map, in tokens |
# | `dim` | $C$; the number of heads does not matter |
# | `window` | $M$, side of a square window; None for global attention |
# | result | FLOPs for one map, an int; ValueError when the window does not divide the map |


# %% exercise="cost" difficulty=2 minutes=25
def attention_cost(h: int, w: int, dim: int, window: int | None = None) -> int:
    """FLOPs of one attention layer on one map, 2 for each multiply-add (Liu et al. 2021, equations 1 and 2, doubled).

    Parameters
    ----------
    h, w : sides of the map, in tokens. dim : C. window : side M of a square window, or None for global attention.

    Returns
    -------
    An int, exact for any size: the matrix products of projections, scores and average. Bias, mask and softmax are
    not counted.

    Raises
    ------
    ValueError : when the window does not divide h and w.
    """
    ### BEGIN SOLUTION
    tokens = h * w
    if window is not None and (h % window or w % window):
        raise ValueError(f"windows of side {window} do not fit into a map of {h} x {w}")
    keys = tokens if window is None else window * window
    return 8 * tokens * dim * dim + 4 * tokens * keys * dim
    ### END SOLUTION


# %% look="cost"
# Look: your count for the four stages of Swin-T, in windows of 7, and what global attention would cost there.
with checks.look():
    rows = []
    for stage, (side, width) in enumerate(((56, 96), (28, 192), (14, 384), (7, 768)), start=1):
        costs = [attention_cost(side, side, width, window) / 1e6 for window in (None, 7)]
        rows.append(
            {"stage": stage, "map": f"{side} x {side}", "C": width, "global MFLOPs": costs[0], "windows": costs[1]}
        )
    print(profiling.table(rows, title="one attention layer"))

# %% [markdown] hints="cost"
# <details><summary>Hint 1: the idea</summary>
#
# For each token: how many keys? Scores need one product of length $d$ for each pair and head, all heads together $C$ multiply-adds; the average the same again.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     if there is a window and it does not divide both sides: ValueError
#     tokens = height times width
#     keys   = tokens, or window squared
#     FLOPs  = four projections (2 * tokens * C * C each) + two products (2 * tokens * keys * C each)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# Equation 2 of the paper, doubled: $8\,hw\,C^2 + 4\,M^2\,hw\,C$. With `window=None` put $hw$ in place of $M^2$. Only `*` and `+`: the result is an int.
#
# </details>
#
# <details><summary>Windows cost as much as global attention</summary>
#
# Each token is compared with the $M^2$ tokens of its window, not with $M$, and not with all $hw$.
#
# </details>

# %% [markdown]
# ### Experiment: linear in the area, counted and measured
#
# One attention layer, $C = 48$, 3 heads, on maps of 8, 16, 32 and 64 tokens per side; once over the whole map, once in windows of 8. It is **the same layer with the same weights**: only your `window_partition` and `window_reverse` stand around it. On double-logarithmic paper a cost that grows as side$^k$ is a straight line of slope $k$.
#
# **Target.** The slope of the *attention term* (all FLOPs without the $8\,hw\,C^2$ of the projections) is $4.00 \pm 0.05$ for global attention and $2.00 \pm 0.05$ for windows, by torch's counter. **Predict** the slopes of the *measured* time and memory before you run.


# %% explore=true
class PlainAttention(nn.Module):
    """Multi-head attention over all tokens of a row, written out; `fused` leaves it to one kernel of PyTorch."""

    def __init__(self, dim: int, n_heads: int, fused: bool = False) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.n_heads, self.fused = n_heads, fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.fused:
            out = F.scaled_dot_product_attention(query, key, value)
        else:
            out = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1) @ value
        return self.proj(out.transpose(1, 2).flatten(2))


def attend(layer: nn.Module, x: torch.Tensor, window: int | None) -> torch.Tensor:
    """The layer over a whole map (B, h, w, C), or over its windows."""
    height, width = x.shape[1:3]
    size = (height, width) if window is None else (window, window)
    out = layer(window_partition(x, size).flatten(1, 2)).unflatten(1, size)
    return window_reverse(out, size, height, width)


def measure_attention(layer: nn.Module, sides: tuple[int, ...], window: int | None, dim: int) -> list[dict[str, float]]:
    """Counted and measured costs for each side of the map."""
    found = []
    for side in sides:
        x = torch.randn(1, side, side, dim, generator=torch.Generator().manual_seed(0)).to(profile.device())
        with torch.inference_mode():
            counted = profiling.flops(attend, layer, x, window)
            took = profiling.latency(attend, layer, x, window, warmup=1, runs=profile.pick(cpu=3, gpu=50))
            held = profiling.peak_memory(attend, layer, x, window)
        assert counted == attention_cost(side, side, dim, window)
        term = counted - 8 * side * side * dim * dim
        found.append({"term": term, "all": counted, "ms": took.p50_ms, "ms90": took.p90_ms, "MiB": held / 2**20})
    return found


torch.manual_seed(0)
sides = profile.pick(cpu=(8, 16, 32, 64), gpu=(8, 16, 32, 64, 128))
plain = PlainAttention(48, 3).to(profile.device()).eval()
measured = {
    "global": measure_attention(plain, sides, None, 48),
    "windows of 8": measure_attention(plain, sides, 8, 48),
}
rows = []
for number, side in enumerate(sides):
    row = {"side": side, "tokens": side * side}
    for name, found in measured.items():
        short = name.split()[0]
        row |= {
            f"{short}: MFLOPs": found[number]["all"] / 1e6,
            f"{short}: ms p50": found[number]["ms"],
            f"{short}: MiB": found[number]["MiB"],
        }
    rows.append(row)
print(profiling.table(rows, title="one attention layer, C = 48, 3 heads, one map"))
slopes = {name: profiling.slope(sides, [row["term"] for row in found]) for name, found in measured.items()}
print()
for name, found in measured.items():
    rise = {key: profiling.slope(sides[-2:], [row[key] for row in found[-2:]]) for key in ("ms", "MiB")}
    print(
        f"{name:>12}: slope of the attention term {slopes[name]:.2f}; over the last doubling: time {rise['ms']:.1f}, memory {rise['MiB']:.1f}"
    )
assert abs(slopes["global"] - 4) < 0.05
assert abs(slopes["windows of 8"] - 2) < 0.05
growth = {name: found[-1]["ms"] / found[-2]["ms"] for name, found in measured.items()}
faster = "yes" if growth["global"] > growth["windows of 8"] else "no; other work on this machine? run the cell again"
print(
    f"from {sides[-2]} to {sides[-1]} per side the time grows {growth['global']:.1f} times (global) and {growth['windows of 8']:.1f} times (windows)"
)
print(f"global grows faster: {faster}")

# %% explore=true
fig, axes = plt.subplots(1, 3, figsize=(13, 3.9))
for ax, key, label in (
    (axes[0], "term", "FLOPs of the attention term"),
    (axes[1], "ms", "median time in ms"),
    (axes[2], "MiB", "peak memory in MiB"),
):
    for (name, found), marker in zip(measured.items(), "os"):
        ax.loglog(sides, [row[key] for row in found], marker=marker, label=name, base=2)
    ax.set_yscale("log", base=10)
    ax.set_xticks(sides, [str(side) for side in sides])
    ax.set(xlabel="side of the map in tokens", ylabel=label)
axes[0].legend()
plt.show()
x = torch.randn(1, sides[-1], sides[-1], 48).to(profile.device())
fused = PlainAttention(48, 3, fused=True).to(profile.device()).eval()
fused.load_state_dict(plain.state_dict())
with torch.inference_mode():
    gap = (attend(fused, x, None) - attend(plain, x, None)).abs().max().item()
    took = profiling.latency(attend, fused, x, None, warmup=1, runs=3)
    held = profiling.peak_memory(attend, fused, x, None) / 2**20
    same = profiling.flops(attend, fused, x, None) == profiling.flops(attend, plain, x, None)
scores = 3 * sides[-1] ** 4 * 4 / 2**20  # 3 heads, side^2 x side^2 scores, 4 bytes each
print(f"global, side {sides[-1]}: the scores alone are {scores:.0f} MiB, and the softmax needs as much again")
print(
    f"global, side {sides[-1]}, in one fused kernel: {took.p50_ms:.0f} ms, {held:.1f} MiB; same FLOPs: {same}; largest difference {gap:.0e}"
)

# %% [markdown]
# **Explain.** The counted slopes are exact, 4 and 2: a formula knows no machine. The measured times are another matter. On small maps the time hardly depends on the size, since starting an operation costs more than its arithmetic. On large ones the curve of global attention can even rise *more* steeply than the formula says: the scores no longer fit into the caches. Memory follows the scores, with slope 4 against 2.
#
# The last line is a warning against easy conclusions: a *fused* kernel never stores the scores. Global attention keeps its quadratic FLOPs and loses its quadratic memory. Windows are one answer to the price of attention; better kernels are another.

# %% [markdown]
# ### The comparison matrix
#
# Five models of about the same size. **ViT-S** is the architecture of week 2 at width 384. **DeiT-S** is ViT-S trained with another recipe (Touvron et al. 2021); its *distilled* form has one more token and one more head. **Swin-T** you know. **CoAtNet-0** (Dai et al. 2021; here timm's variant `rw`) has convolutions in its first stages and global attention with relative positions in its last ones.
#
# What makes a timing honest?
#
# - **One machine, one thread count, one batch size, eval mode, inference mode.** State them.
# - **Warm up**, then take percentiles, not the mean: one hiccup spoils a mean.
# - **Interleave.** `profiling.latencies` calls the models in turn, A B C A B C. If the machine is busy for a second, all suffer.
# - **Same weights do not matter, same shapes do:** random weights take as long as trained ones.
#
# **Predict.** Which one is the fastest on this machine? Swin-T has the second fewest FLOPs.

# %% explore=true
names = {
    "ViT-S/16": "vit_small_patch16_224",
    "DeiT-S/16": "deit_small_patch16_224",
    "DeiT-S/16 distilled": "deit_small_distilled_patch16_224",
    "Swin-T": "swin_tiny_patch4_window7_224",
    "CoAtNet-0 (rw)": "coatnet_0_rw_224",
}
torch.manual_seed(0)
models = {label: timm.create_model(name).eval().to(profile.device()) for label, name in names.items()}
image_count = profile.pick(cpu=1, gpu=64)
images = torch.randn(image_count, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(profile.device())
with torch.inference_mode():
    counts = {label: profiling.flops(model, images) for label, model in models.items()}
    held = {label: profiling.peak_memory(model, images) for label, model in models.items()}
    times = profiling.latencies(
        {label: (lambda model=model: model(images)) for label, model in models.items()},
        warmup=0,  # counting and the search for the peak have run each model twice
        runs=profile.pick(cpu=5, gpu=50),
    )
matrix = [
    {
        "model": label,
        "parameters, M": profiling.parameter_count(model) / 1e6,
        "GFLOPs": counts[label] / image_count / 1e9,
        "p50 ms": times[label].p50_ms,
        "p90 ms": times[label].p90_ms,
        "images/s": 1e3 * image_count / times[label].p50_ms,
        "GFLOP/s": counts[label] / times[label].p50_ms / 1e6,
        "peak MiB": held[label] / 2**20,
    }
    for label, model in models.items()
]
title = f"224 x 224, batch {image_count}, {torch.get_num_threads()} thread(s), {times['Swin-T'].runs} runs, {profile.describe()}"
print(profiling.table(matrix, title=title))

# %% [markdown]
# Memory is what a forward pass needs on top of weights and images. Read the table in rows first: ViT-S and DeiT-S are **one architecture**; parameters, FLOPs and memory are equal to the last digit, and the gap between their times is the noise of your measurement. Any smaller difference between two other rows means nothing.
#
# Now GFLOP/s: how much of its arithmetic a model gets done in a second. Equal FLOPs are not equal time. **Where does the rest of the time go?**
#
# ### Profiling corner: where the time goes
#
# `profiling.operator_times` adds up the time of each of torch's operators. The cell below sorts them into two kinds. *Products* do the FLOPs: matrix products, convolutions, fused attention. Everything else touches each number once or twice, and most of it is bounded by **memory traffic**: copies, rolls, norms, GELU, additions. Liu et al. (2023, EfficientViT) found reshaping and element-wise functions to be what limits the speed of many vision transformers.

# %% explore=true
PRODUCTS = ("mm", "conv", "attention", "linear", "matmul")
kinds = []
for label in ("ViT-S/16", "Swin-T", "CoAtNet-0 (rw)"):
    with torch.inference_mode():
        spent = profiling.operator_times(models[label], images)
    total = sum(spent.values())
    product_ms = sum(ms for name, ms in spent.items() if any(word in name for word in PRODUCTS))
    others = [name for name in spent if not any(word in name for word in PRODUCTS)][:4]
    kinds.append(
        {
            "model": label,
            "products": f"{product_ms / total:.0%}",
            "everything else": f"{1 - product_ms / total:.0%}",
            "the longest of everything else": ", ".join(f"{name} {spent[name] / total:.0%}" for name in others),
        }
    )
print(profiling.table(kinds, title="share of the time of one forward pass, by operator"))

# %% [markdown]
# **Explain.** Look for the operators that ViT does not have. Rolling the map and cutting it into windows changes *where* numbers stand, so they must be copied. That costs no FLOP and takes time. Norms and GELU work on the largest maps too: Swin's first stage has 3,136 tokens, ViT 197. CoAtNet's first stages run convolutions on large maps, with few FLOPs for each number that they read. The same large maps explain the column of memory.
#
# ### What a larger image costs
#
# FLOPs need no computation: on PyTorch's `meta` device tensors have shapes and no numbers, and the counter does not mind. Each step doubles the side, so it has 4 times the area.

# %% explore=true compare=true
sizes = (224, 448, 896)
resolution = {}
for label in ("ViT-S/16", "Swin-T", "CoAtNet-0 (rw)"):
    resolution[label] = []
    for size in sizes:
        with torch.device("meta"), torch.inference_mode():
            model = timm.create_model(names[label], img_size=size).eval()
            resolution[label].append(profiling.flops(model, torch.empty(1, 3, size, size)) / 1e9)
rows = [
    {"model": label}
    | {f"{size} x {size}": f"{found[k]:.1f}" for k, size in enumerate(sizes)}
    | {f"{a} to {b}": f"x {found[k + 1] / found[k]:.2f}" for k, (a, b) in enumerate(itertools.pairwise(sizes))}
    for label, found in resolution.items()
]
print(profiling.table(rows, title="GFLOPs for one image"))

# %% [markdown]
# Swin: 4.00 times for 4 times the area, twice in a row. **That is what "linear in the area" buys.** ViT: 4.91, then 7.01 times; its attention term grows 16 times, and the larger the image, the larger its share. CoAtNet lies between: its convolutions are linear, its last two stages are not.
#
# ### Recommendations, from the numbers
#
# The next cell writes its sentences from *your* tables. The accuracies are the only numbers of this week that nobody here measured: top-1 on ImageNet-1k at $224 \times 224$ from timm's `results/results-imagenet.csv` (commit 0173a13 of huggingface/pytorch-image-models), for weights trained on ImageNet-1k only. One code base evaluated them all; five recipes trained them. So the column compares *models with their recipes*, not architectures.

# %% explore=true
CITED_TOP1 = {
    "ViT-S/16": 78.846,
    "DeiT-S/16": 79.844,
    "DeiT-S/16 distilled": 81.218,
    "Swin-T": 81.376,
    "CoAtNet-0 (rw)": 82.390,
}
print(
    profiling.table(
        [
            {
                "model": row["model"],
                "top-1 %, cited": CITED_TOP1[row["model"]],
                "p50 ms": row["p50 ms"],
                "GFLOPs": row["GFLOPs"],
                "peak MiB": row["peak MiB"],
            }
            for row in matrix
        ],
        title="accuracy as published by timm; the rest as measured above",
    )
)
fastest = min(matrix, key=lambda row: row["p50 ms"])
leanest = min(matrix, key=lambda row: row["peak MiB"])
twins = [times[label] for label in ("ViT-S/16", "DeiT-S/16")]  # one architecture, so any gap is noise
noise = max(twin.p90_ms for twin in twins) / min(twin.p50_ms for twin in twins) - 1
large = {label: found[-1] for label, found in resolution.items()}
cheapest_large = min(large, key=large.__getitem__)
print(f"\nnoise of the timings, from the slow runs of one of the twins to the median of the other: {noise:.0%}")
print(f"fastest by the median: {fastest['model']}")
for row in matrix:
    if row is not fastest:
        slower = row["p50 ms"] / fastest["p50 ms"] - 1
        verdict = "as fast, within the noise" if slower <= noise else f"{slower:.0%} slower"
        more = row["GFLOPs"] / fastest["GFLOPs"] - 1
        points = CITED_TOP1[row["model"]] - CITED_TOP1[fastest["model"]]
        print(f"{row['model']:>20}: {verdict}, {more:+.0%} FLOPs, {points:+.1f} points of accuracy")
print(f"least memory: {leanest['model']}, {leanest['peak MiB']:.1f} MiB")
print(
    f"at 896 x 896: {cheapest_large} with {large[cheapest_large]:.0f} GFLOPs; ViT-S needs {large['ViT-S/16'] / large[cheapest_large]:.1f} times as many"
)

# %% explore=true
fig, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.2))
for number, row in enumerate(matrix):
    left.scatter(
        row["p50 ms"],
        CITED_TOP1[row["model"]],
        s=12 * row["parameters, M"],
        color=plotting.COLORS[number],
        marker="osD^v"[number],
        label=row["model"],
    )
    left.plot([row["p50 ms"], row["p90 ms"]], [CITED_TOP1[row["model"]]] * 2, color=plotting.COLORS[number])
left.set(
    xlabel=f"ms for {image_count} image(s): median, with a line to the 90th percentile",
    ylabel="top-1 %, cited",
    title="accuracy against measured time",
)
left.margins(0.15)
left.legend(loc="lower right", fontsize=9, markerscale=0.5)
for (label, found), marker, number in zip(resolution.items(), "o^v", (0, 3, 4)):
    right.loglog(sizes, found, marker=marker, label=label, color=plotting.COLORS[number])
right.set_xticks(sizes, [str(size) for size in sizes])
right.minorticks_off()
right.set(xlabel="side of the image in pixels", ylabel="GFLOPs", title="what a larger image costs")
right.legend()
plt.show()

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.1))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.45, 2.05, 1.05))
picture = datasets.photograph("china", height=256, width=256).image.permute(1, 2, 0)
for ax, edges, name in zip(left.subplots(1, 2), ((4,), (2, 6)), ("windows", "shifted windows")):
    ax.imshow(picture, extent=(-0.5, 7.5, 7.5, -0.5))
    for edge in edges:
        ax.axhline(edge - 0.5, color="white", linewidth=2.5)
        ax.axvline(edge - 0.5, color="white", linewidth=2.5)
    ax.set_title(name)
    ax.set_axis_off()
shown = list(reaches.items())[:3]
for ax, (name, found) in zip(middle.subplots(1, 3), shown):
    ax.imshow(found, cmap="Blues", vmin=0, vmax=1.4)
    ax.add_patch(plt.Rectangle((5.5, 4.5), 1, 1, fill=False, color="#D55E00", linewidth=2.5))
    ax.set_title(f"{name.split(',')[0]}: {found.sum().item()} tokens")
    ax.set(xticks=(), yticks=())
ax = right.subplots()
for (name, found), marker in zip(measured.items(), "os"):
    ax.loglog(sides, [row["term"] for row in found], marker=marker, label=f"{name}: slope {slopes[name]:.2f}")
ax.set_xticks(sides, [str(side) for side in sides])
ax.minorticks_off()
ax.set(xlabel="side of the map in tokens", ylabel="FLOPs", title="comparing tokens")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Takeaways
#
# - Windows make attention linear in the area. What they take away is sight across borders; the shift gives it back over several blocks, and you can count exactly how far a pixel reaches.
# - A rolled map puts opposite edges side by side. The mask is not an optimization, it is what makes the trick correct.
# - The bias of an offset is looked up, not computed. Query minus key, row digit times $2 w_w - 1$: conventions that only a non-square window and a loaded checkpoint reveal.
# - A test that changes one input and asks *which outputs move* finds leaks that no comparison of values finds, also in good libraries.
# - Equal FLOPs are not equal time. Copies, norms and small operators cost time and no FLOPs. Measure on the machine that will run it, interleaved, with percentiles, and know your noise.
# - DeiT-S *is* ViT-S. What differs is the training, and that is worth a point of accuracy; distillation is worth more.
# - Next week: learning from images without labels, by hiding most of each one.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="cost-of-attention" points=5 minutes=30
# **W1. FLOPs of attention (5 points).** Derive the FLOPs of one attention layer for $n$ tokens of width $C$, then for windows of $M \times M$. At which $n$ do the pairs cost as much as the projections, globally? How does the *measured* time of your experiment grow from 32 to 64 tokens per side, and why does it not match the formula exactly?
#
# ### BEGIN SOLUTION
# 1 point: four projections, 2 n C^2 each, together 8 n C^2; the number of heads cancels.
# 1 point: scores and average, 2 n^2 C each, together 4 n^2 C, because every token meets n keys.
# 1 point: windows: n tokens with M^2 keys, 4 n M^2 C, linear in n at fixed M.
# 1 point: 4 n^2 C = 8 n C^2 at n = 2C tokens.
# 1 point: quotes own measured ratios; names a reason: fixed cost of starting operators, cutting and copying, caches, softmax and memory traffic that FLOPs leave out, other load.
# ### END SOLUTION

# %% [markdown] written="shift-and-mask" points=5 minutes=30
# **W2. Shift and mask (5 points).** Explain with the figure of the changed outputs how two blocks connect windows. Why is the map rolled, and not the grid of windows moved? What exactly goes wrong without the mask, in which windows, and which of your tests sees it? Why did a comparison with a reference not find the leak on $7 \times 7$ maps in timm?
#
# ### BEGIN SOLUTION
# 1 point: a token mixes with its window in the first block; the shifted windows of the second overlap four of the first, so their contents meet: 16, then 64 tokens.
# 1 point: a moved grid has more windows, of different sizes (9 instead of 4 in the example); rolled, all have one size and make one batch.
# 1 point: without mask tokens from opposite edges attend each other, in the windows of the last row and the last column only.
# 1 point: the test that changes one token and asks which outputs move, at an edge or a corner; a token in the middle shows nothing.
# 1 point: the reference has the same flaw, or padded sizes are not in the comparison; equality with a reference says nothing about whether the reference is right.
# ### END SOLUTION

# %% [markdown] written="window-size" points=4
# **W3. The size of the window (4 points).** Swin-T uses $M = 7$. Say what $M = 14$ would change: FLOPs of the attention term, of the projections, size of the bias table, reach after two blocks. When is a larger window worth it? What happens at $M = h = w$?
#
# ### BEGIN SOLUTION
# 1 point: attention term four times (M^2), projections unchanged.
# 1 point: table (2M - 1)^2 per head: 169 to 729 entries; it is tied to M and must be interpolated for another window.
# 1 point: reach grows with M in each direction, so fewer blocks connect the image; worth it where far context matters, or at larger images, and where the pairs are a small part of the bill.
# 1 point: M = h = w is global attention with relative positions; shift and mask are pointless then.
# ### END SOLUTION

# %% [markdown] written="comparison" points=6 minutes=45
# **W4. When would you take which? (6 points)** One page at most. Complete your comparison matrix with these columns: kind of attention, what one block sees, built-in assumptions about images, cost of a larger image, feature pyramid, distillation token. Then recommend a model for (a) a classifier on a CPU at $224 \times 224$, (b) a detector on $896 \times 896$ images, (c) a classifier where you have little data. Each recommendation cites at least one number of your tables, and says what would change your mind.
#
# ### BEGIN SOLUTION
# 2 points: the columns: ViT and DeiT: global attention, the whole image, hardly any assumption, pairs quadratic in the area, one scale; DeiT distilled: one more token taught by a teacher; Swin: windows and shifts, a window, locality and relative places, linear, four scales; CoAtNet: convolutions, then global attention with relative positions, local, then everything, locality and translation, between linear and quadratic, four or five scales.
# 1 point: (a) argued from the measured p50 and the noise, not from FLOPs alone.
# 1 point: (b) Swin from the table of resolutions (4.00 against 7.01 times) and the pyramid.
# 1 point: (c) argued from assumptions and recipe (distillation, convolutions, or pretrained weights), and aware that the cited accuracies differ in recipe.
# 1 point: limits: one machine, one batch size, few runs, random weights; says what measurement would change the choice.
# ### END SOLUTION
