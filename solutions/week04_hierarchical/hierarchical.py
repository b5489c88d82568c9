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

# %% test="partition" points=4
with checks.step("a 4 x 4 map with the numbers 0 to 15, windows of 2 x 2"):
    windows = window_partition(torch.arange(16.0).reshape(1, 4, 4, 1), 2)
    checks.shape(windows, (4, 2, 2, 1), "the windows")
    checks.close(
        windows.reshape(4, 4),
        torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]),
        "the windows, each written as one row",
        causes={
            "stripes: a reshape alone cuts rows of the map; there must be a permute before the last reshape": (
                torch.arange(16.0).reshape(4, 4)
            ),
            "the windows are numbered column by column; they stand row by row": torch.tensor(
                [[0.0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7], [10, 11, 14, 15]]
            ),
            "each window is transposed: its rows and columns changed places": torch.tensor(
                [[0.0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 13], [10, 14, 11, 15]]
            ),
        },
    )

with checks.step("a height of 5 and windows of 2 x 2"):
    checks.raises(ValueError, window_partition, torch.zeros(1, 5, 4, 1), 2, name="a 5 x 4 map")

with checks.step("a map of numbers that nobody has seen, 2 x 6 tokens, windows of 2 x 3"):
    maps = checks.normal(checks.fresh_seed())(1, 2, 6, 1)
    checks.equal(window_partition(maps, (2, 3)), torch.cat([maps[:, :, :3], maps[:, :, 3:]]), "the two windows")


# %% test="partition" points=4
def cut_by_loop(x: torch.Tensor, wh: int, ww: int) -> torch.Tensor:
    """The windows, one after the other: slow, and easy to check by eye."""
    height, width = x.shape[1:3]
    corners = [(top, left) for top in range(0, height, wh) for left in range(0, width, ww)]
    return torch.stack([image[top : top + wh, left : left + ww] for image in x for top, left in corners])


with checks.step("2 maps of 4 x 6 with 3 channels, windows of 2 x 3"):
    maps = checks.normal(seed=0)(2, 4, 6, 3)
    windows = window_partition(maps, (2, 3))
    checks.shape(windows, (8, 2, 3, 3), "the windows")
    wanted = cut_by_loop(maps, 2, 3)
    checks.close(
        windows,
        wanted,
        "the windows",
        causes={
            "window 0 of all maps comes first; all windows of the first map must come first": wanted.unflatten(
                0, (2, 4)
            )
            .transpose(0, 1)
            .flatten(0, 1),
        },
    )
    checks.equal(
        checks.beside(observe.arguments_after, window_partition, maps, (2, 3))[0],
        maps,
        "the maps after the call (an argument must not be changed in place)",
    )

with checks.step("the number of torch operators for 4 and for 64 windows"):
    counts = [
        checks.beside(observe.operator_count, window_partition, torch.zeros(1, side, side, 1), 2) for side in (4, 16)
    ]
    checks.that(
        counts[0] == counts[1],
        "vectorized code runs the same operators for any number of windows",
        came=f"{counts[0]} operators for 4 windows, {counts[1]} for 64",
        causes={"a Python loop over windows or rows": lambda: counts[1] > counts[0] + 3},
    )

### BEGIN HIDDEN TESTS
for batch, height, width, channels, window in ((1, 8, 8, 4, (4, 4)), (3, 6, 15, 2, (2, 5)), (2, 12, 4, 1, (3, 4))):
    for kind in (torch.float32, torch.float64, torch.int64):
        with checks.step(f"against timm, {batch} maps of {height} x {width}, windows of {window}, {kind}"):
            maps = (100 * checks.normal(seed=height)(batch, height, width, channels)).to(kind)
            checks.equal(window_partition(maps, window), timm_swin.window_partition(maps, window), "the windows")

with checks.step("windows of 4 x 4 fit into the height 8, but not into the width 10"):
    checks.raises(ValueError, window_partition, torch.zeros(1, 8, 10, 3), 4, name="an 8 x 10 map")

with checks.step("maps whose numbers do not lie one after the other in memory, and their gradient"):
    maps = checks.normal(seed=1)(3, 2, 6, 4).permute(3, 2, 1, 0)  # (4, 6, 2, 3)
    checks.equal(window_partition(maps, (3, 1)), timm_swin.window_partition(maps, (3, 1)), "the windows")
    theirs = observe.gradients(timm_swin.window_partition, maps.requires_grad_(), (3, 1))[0]
    mine = checks.beside(observe.gradients, window_partition, maps, (3, 1))[0]
    checks.that(mine is not None, "a gradient comes back to the maps", came="none")
    checks.equal(mine, theirs, "the gradient that comes back to the maps")
### END HIDDEN TESTS

# %% test="partition" points=4
with checks.step("four windows of 2 x 2 make one 4 x 4 map"):
    windows = torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]).reshape(4, 2, 2, 1)
    came = window_reverse(windows, 2, 4, 4)
    checks.shape(came, (1, 4, 4, 1), "the map")
    checks.close(
        came.reshape(4, 4),
        torch.arange(16.0).reshape(4, 4),
        "the map",
        causes={
            "the numbers were only reshaped; the windows must be moved to their places": windows.reshape(4, 4),
            "the grid was filled column by column": windows.reshape(2, 2, 2, 2).permute(1, 2, 0, 3).reshape(4, 4),
        },
    )

with checks.step("windows of 3 x 3 cannot make a 4 x 6 map"):
    checks.raises(ValueError, window_reverse, torch.zeros(2, 3, 3, 1), 3, 4, 6, name="a 4 x 6 map of 3 x 3 windows")

### BEGIN HIDDEN TESTS
for batch, height, width, channels, window in ((3, 4, 6, 2, (2, 2)), (1, 8, 4, 3, (4, 2)), (2, 6, 15, 1, (2, 5))):
    with checks.step(f"{batch} maps of {height} x {width} from timm's windows of {window}"):
        maps = checks.normal(seed=width)(batch, height, width, channels)
        windows = timm_swin.window_partition(maps, window)

        def swapped_grid(windows: torch.Tensor = windows, window: tuple[int, int] = window) -> torch.Tensor:
            rows, columns = height // window[0], width // window[1]
            grid = windows.reshape(-1, columns, rows, *window, channels)
            return grid.permute(0, 2, 3, 1, 4, 5).reshape(-1, height, width, channels)

        checks.equal(
            window_reverse(windows, window, height, width),
            maps,
            "the maps",
            causes={
                "rows and columns of the grid changed places": swapped_grid,
            },
        )

with checks.step("6 windows are no whole number of maps of 4 windows"):
    checks.raises(ValueError, window_reverse, torch.zeros(6, 2, 2, 1), 2, 4, 4, name="6 windows for 4 x 4 maps")

with checks.step(
    "windows of 2 x 3 fit into the height 4, but not into the width 5; into the width 6, not the height 3"
):
    for height, width in ((4, 5), (3, 6)):
        checks.raises(
            ValueError,
            window_reverse,
            torch.zeros(12, 2, 3, 1),
            (2, 3),
            height,
            width,
            name=f"a {height} x {width} map of 2 x 3 windows",
        )

with checks.step("windows of whole numbers, as they are after the call"):
    numbers = torch.arange(48).reshape(8, 2, 3, 1)
    grid = window_reverse(numbers, (2, 3), 4, 6)
    checks.equal(grid, timm_swin.window_reverse(numbers, (2, 3), 4, 6), "the maps")
    checks.equal(
        checks.beside(observe.arguments_after, window_reverse, numbers, (2, 3), 4, 6)[0],
        numbers,
        "the windows after the call (an argument must not be changed in place)",
    )

with checks.step("the number of torch operators for 4 and for 64 windows"):
    counts = [
        checks.beside(observe.operator_count, window_reverse, torch.zeros(side * side // 4, 2, 2, 1), 2, side, side)
        for side in (4, 16)
    ]
    checks.equal(
        counts[1],
        counts[0],
        "operators for 64 windows, which should be those for 4",
        causes={"a loop over windows or rows in Python": lambda: counts[1] > counts[0] + 3},
    )
### END HIDDEN TESTS

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

# %% test="index" points=5
with checks.step("a window of 1 x 3: offsets -2 to 2 along the columns"):
    index = relative_position_index(1, 3)
    wanted = torch.tensor([[2, 1, 0], [3, 2, 1], [4, 3, 2]])
    checks.equal(
        index,
        wanted,
        "the index",
        causes={
            "this is j - i, key minus query; the offset is i - j": wanted.T,
            "the offsets start at -2; add w - 1, so that they start at 0": wanted - 2,
        },
    )

with checks.step("a window of 2 x 4, query 0 in the top left corner"):
    index = relative_position_index(2, 4)
    checks.shape(index, (8, 8), "the index")
    checks.equal(
        index[0],
        torch.tensor([10, 9, 8, 7, 3, 2, 1, 0]),  # (0 + 1) * 7 + 3 for itself, (-1 + 1) * 7 + 3 one row below
        "the row of query 0",
        causes={
            "the row difference was multiplied by 2*wh - 1 = 3; the column digit has 2*ww - 1 = 7 values": torch.tensor(
                [6, 5, 4, 3, 3, 2, 1, 0]
            ),
            "the two differences were only added, so different offsets share a row of the table": torch.tensor(
                [4, 3, 2, 1, 3, 2, 1, 0]
            ),
            "the row difference was multiplied by ww = 4; differences of columns have 2*ww - 1 = 7 values": (
                torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])
            ),
            "the column difference was multiplied; the row difference is the first digit": torch.tensor(
                [10, 7, 4, 1, 9, 6, 3, 0]
            ),
            "the tokens were numbered column by column; they stand row by row": torch.tensor([10, 3, 9, 2, 8, 1, 7, 0]),
        },
    )

with checks.step("one query of a window of any size"):
    seed = checks.fresh_seed()
    wh, ww = 2 + seed % 5, 2 + seed // 5 % 5
    query = seed // 25 % (wh * ww)
    down = [query // ww - key // ww + wh - 1 for key in range(wh * ww)]
    right = [query % ww - key % ww + ww - 1 for key in range(wh * ww)]
    wanted = [a * (2 * ww - 1) + b for a, b in zip(down, right)]
    checks.equal(relative_position_index(wh, ww)[query].tolist(), wanted, f"row {query} of a window of {wh} x {ww}")


# %% test="index" points=5 forbids="timm.models.swin_transformer.get_relative_position_index"
with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, relative_position_index, 2, 2)

with checks.step("every offset has a row of its own, and every token is at offset 0 from itself"):
    index = relative_position_index(3, 5)
    checks.dtype(index, torch.int64, "the index")
    checks.equal(index.unique().tolist(), list(range(5 * 9)), "the rows of the table that are used")
    checks.equal(index.diagonal().unique().tolist(), [22], "the rows on the diagonal")


### BEGIN HIDDEN TESTS
def index_by_loop(wh: int, ww: int) -> torch.Tensor:
    cells = list(itertools.product(range(wh), range(ww)))
    rows = [[(a - c + wh - 1) * (2 * ww - 1) + (b - d + ww - 1) for c, d in cells] for a, b in cells]
    return torch.tensor(rows)


for wh, ww in ((3, 2), (4, 1), (2, 2), (7, 7), (5, 3), (1, 1), (9, 12)):
    with checks.step(f"against a loop over all pairs, and timm, window of {wh} x {ww}"):
        index = relative_position_index(wh, ww)
        big = 2 * max(wh, ww) - 1
        loop = index_by_loop(wh, ww)
        offset = loop // (2 * ww - 1) * big + loop % (2 * ww - 1)
        checks.equal(
            index,
            loop,
            "the index",
            causes={
                "the row difference was multiplied by the longer side's 2*max - 1; it is always 2*ww - 1": offset,
            },
        )
        checks.equal(index, timm_swin.get_relative_position_index(wh, ww), "the index, against timm's")
### END HIDDEN TESTS

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

# %% test="mask" points=5
with checks.step("a map of 1 x 4, windows of 1 x 2, shifted by one column"):
    # after the roll the columns are 1 2 | 3 0: only the second window holds tokens from both edges
    mask = shifted_window_mask(1, 4, (1, 2), (0, 1))
    checks.shape(mask, (2, 2, 2), "the mask")
    checks.dtype(mask, torch.float32, "the mask")
    allowed = mask == 0
    wanted = torch.tensor([[[True, True], [True, True]], [[True, False], [False, True]]])
    checks.equal(
        allowed,
        wanted,
        "where the mask is 0, that is, who may attend whom",
        causes={
            "all is allowed: the first and the last column of the image see each other": torch.ones(2, 2, 2).bool(),
            "1 stands for allowed and 0 for forbidden; this mask is added, so 0 means allowed": lambda: checks.near(
                mask, wanted.float()
            ),
            "0 and not-0 are swapped: the mask is added, so 0 means allowed": ~wanted,
            "tokens of different windows *before* the roll were kept apart; the shift exists to bring them together": (
                torch.eye(2).bool().expand(2, 2, 2)
            ),
            "the first columns were taken for those that wrapped; after the roll they stand last": wanted.flip(0),
        },
    )
    checks.that(
        mask[1, 0, 1].item() <= -100,
        "a forbidden score gets -100 or less",
        came=f"{mask[1, 0, 1].item():g}",
        causes={
            "the sign: a positive number makes a forbidden score larger": mask[1, 0, 1].item() > 0,
            "so small a number only dampens the score; it must end as weight 0": -100 < mask[1, 0, 1].item() < 0,
        },
    )

with checks.step("a map of 4 x 4, windows of 2 x 2, shifted by one: the four windows"):
    mask = shifted_window_mask(4, 4, 2, 1)
    checks.shape(mask, (4, 4, 4), "the mask")
    checks.equal((mask[0] == 0).sum().item(), 16, "allowed pairs in the first window, which is whole")
    checks.equal((mask[1] == 0).sum().item(), 8, "allowed pairs in the top right window, two columns kept apart")
    checks.equal((mask[2] == 0).sum().item(), 8, "allowed pairs in the bottom left window, two rows kept apart")
    checks.equal(
        (mask[3] == 0).sum().item(),
        4,
        "allowed pairs in the last window, four corners kept apart",
        causes={
            "two regions share a number: a + b is 1 for (0, 1) and for (1, 0)": 6,
            "only one direction is looked at": 8,
        },
    )

with checks.step("two windows in a row, of any width, shifted by any number of columns"):
    seed = checks.fresh_seed()
    side = 3 + seed % 6
    columns = 1 + seed // 6 % (side - 1)
    allowed = shifted_window_mask(1, 2 * side, (1, side), (0, columns)) == 0
    came_around = torch.arange(side) >= side - columns
    checks.equal(
        allowed[0], torch.ones(side, side).bool(), f"who may attend whom in the first of two windows of {side}"
    )
    checks.equal(
        allowed[1], came_around[:, None] == came_around, f"the same in the second, after a shift by {columns} columns"
    )


# %% test="mask" points=5
with checks.step("no shift, no mask"):
    checks.equal(
        shifted_window_mask(4, 6, 2, 0),
        torch.zeros(6, 4, 4),
        "the mask for shift 0",
    )

with checks.step("a shift as large as the window"):
    checks.raises(ValueError, shifted_window_mask, 4, 4, 2, 2, name="shift 2 with window 2")


### BEGIN HIDDEN TESTS
def allowed_by_loop(height: int, width: int, window: tuple[int, int], shift: tuple[int, int]) -> torch.Tensor:
    """Pixel pairs: allowed if and only if both lie in the same shifted window of the image as it is."""
    (wh, ww), (down, right) = window, shift
    found = []
    for top, left in itertools.product(range(0, height, wh), range(0, width, ww)):
        cells = itertools.product(range(top, top + wh), range(left, left + ww))  # places after the roll
        origins = [((row + down) % height, (column + right) % width) for row, column in cells]
        homes = [((row - down) // wh, (column - right) // ww) for row, column in origins]
        found.append([[a == b for b in homes] for a in homes])
    return torch.tensor(found)


for height, width, window, shift in (
    (8, 8, (4, 4), (2, 2)),
    (6, 12, (3, 4), (1, 3)),
    (4, 10, (2, 5), (1, 2)),
    (7, 14, (7, 7), (3, 3)),
    (8, 4, (4, 2), (0, 1)),
    (8, 4, (4, 2), (3, 0)),
):
    with checks.step(f"against a loop over pixel pairs, map {height} x {width}, window {window}, shift {shift}"):
        mask = shifted_window_mask(height, width, window, shift)
        other = tuple((w - s) % w for w, s in zip(window, shift))
        checks.equal(
            mask == 0,
            allowed_by_loop(height, width, window, shift),
            "where the mask is 0",
            causes={
                "the last window - shift rows were taken for wrapped; it is the last shift rows": lambda mask=mask, a=(height, width, window, other): (
                    torch.equal(mask == 0, allowed_by_loop(*a))
                ),
            },
        )
        forbidden = mask[mask != 0]
        checks.that(
            bool((forbidden <= -100).all()), "forbidden scores get -100 or less", came=f"up to {forbidden.max():g}"
        )

with checks.step("against the mask of timm's block, 14 x 21, window 7, shift 3"):
    theirs = timm_swin.SwinTransformerBlock(8, (14, 21), 2, window_size=7, shift_size=3).attn_mask
    checks.equal(shifted_window_mask(14, 21, 7, 3) == 0, theirs == 0, "where the mask is 0")

with checks.step("maps of 4 x 8, 8 x 4 and 4 x 8, one after the other: as many windows, another mask"):
    for height, width in ((4, 8), (8, 4), (4, 8)):
        mask = shifted_window_mask(height, width, (2, 4), (1, 3))
        turned = allowed_by_loop(width, height, (2, 4), (1, 3))
        checks.equal(
            mask == 0,
            allowed_by_loop(height, width, (2, 4), (1, 3)),
            f"where the mask of {height} x {width} is 0",
            causes={"this is the mask of another map with as many windows": turned},
        )

with checks.step("a window that divides the height, but not the width"):
    checks.raises(ValueError, shifted_window_mask, 8, 10, 4, 2, name="an 8 x 10 map with window 4")
### END HIDDEN TESTS

# %% test="mask" points=4
with checks.step("a softmax over the mask alone: equal weights over the allowed keys, 0 elsewhere"):
    mask = shifted_window_mask(4, 4, 2, 1)
    weights = mask.softmax(-1)
    checks.finite(weights, "the weights")
    checks.close(weights[3], torch.eye(4), "the weights in the last window, where each token is alone")
    checks.close(weights[0], torch.full((4, 4), 0.25), "the weights in the first window")

with checks.step("the mask is symmetric, and each token may attend itself"):
    mask = shifted_window_mask(6, 6, 3, 1)
    checks.equal(mask == 0, (mask == 0).transpose(1, 2), "where the mask is 0")
    checks.that(bool((mask.diagonal(dim1=1, dim2=2) == 0).all()), "the diagonal is 0")

### BEGIN HIDDEN TESTS
with checks.step("the share of allowed pairs in a large map, 56 x 56, window 7, shift 3"):
    mask = shifted_window_mask(56, 56, 7, 3)
    checks.shape(mask, (64, 49, 49), "the mask")
    edge = (3**2 + 4**2) / 49  # along one edge: rows of 3 and rows of 4
    wanted = (49 + 14 * edge + edge**2) / 64
    checks.close((mask == 0).double().mean(), torch.tensor(wanted).double(), "the share of allowed pairs")

with checks.step("a negative shift"):
    checks.raises(ValueError, shifted_window_mask, 4, 4, 2, -1, name="shift -1")

for shift in ((3, 2), (4, 1), (3, 3), (3, -1), (-1, 1)):
    with checks.step(f"a window of (4, 2) and a shift of {shift}, wrong in one direction only"):
        checks.raises(ValueError, shifted_window_mask, 8, 8, (4, 2), shift, name=f"shift {shift} with window (4, 2)")

with checks.step("a window that divides the width, but not the height"):
    checks.raises(ValueError, shifted_window_mask, 10, 8, 4, 2, name="a 10 x 8 map with window 4")

with checks.step("without a shift, windows that divide one side only"):
    for height, width in ((8, 10), (10, 8)):
        what = f"a map of {height} x {width} with window 4, shift 0"
        checks.raises(ValueError, shifted_window_mask, height, width, 4, 0, name=what)
### END HIDDEN TESTS

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

# %% test="attention" points=5
with checks.step("two tokens side by side, query and key zero, so that only the bias speaks"):
    # offsets i - j: -1, 0, 1 have the table entries ln 1, ln 3, ln 7; tokens 10 and 20
    layer = WindowAttention(1, 1, (1, 2))
    planted = {
        "relative_position_bias_table": torch.tensor([[1.0], [3.0], [7.0]]).log(),
        "qkv.weight": torch.tensor([[0.0], [0.0], [1.0]]),
        "qkv.bias": torch.zeros(3),
        "proj.weight": torch.ones(1, 1),
        "proj.bias": torch.zeros(1),
    }
    layer.load_timm(planted)
    tokens = torch.tensor([[[10.0], [20.0]]])
    out, weights = layer(tokens)
    checks.close(
        weights,
        torch.tensor([[[[0.75, 0.25], [0.7, 0.3]]]]),  # 3 : 1 and 7 : 3
        "the weights",
        causes={
            "the bias is not in the scores": torch.full((1, 1, 2, 2), 0.5),
            "the index was read as key minus query": torch.tensor([[[[0.3, 0.7], [0.25, 0.75]]]]),
            "the bias was added after the softmax": 0.5 + torch.tensor([[[[3.0, 1.0], [7.0, 3.0]]]]).log(),
        },
    )
    checks.close(out, torch.tensor([[[12.5], [13.0]]]), "the output")

with checks.step("the same two tokens as two windows; a mask for the second window only"):
    mask = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, -100.0], [-100.0, 0.0]]])
    out, weights = layer(tokens.expand(2, 2, 1), mask)
    wanted = torch.tensor([[[[0.75, 0.25], [0.7, 0.3]]], [[[1.0, 0.0], [0.0, 1.0]]]])
    checks.close(
        weights,
        wanted,
        "the weights",
        causes={
            "the mask is not used": wanted[:1].expand(2, 1, 2, 2),
            "the mask was added after the softmax": wanted[:1] + mask[:, None],
            "after the softmax the weights were set to 0, so rows no longer sum to 1": wanted[:1]
            * (mask[:, None] == 0),
        },
    )
    checks.close(out, torch.tensor([[[12.5], [13.0]], [[10.0], [20.0]]]), "the output")

with checks.step("3 heads do not divide a width of 8"):
    checks.raises(ValueError, WindowAttention, 8, 3, 2, name="WindowAttention(8, 3, 2)")

with checks.step("the same with a bias that nobody has seen"):
    randn = checks.normal(checks.fresh_seed())
    one, two, three = (0.5 + randn(3).abs()).tolist()
    layer.load_timm({**planted, "relative_position_bias_table": torch.tensor([[one], [two], [three]]).log()})
    first, second = one + two, two + three
    wanted = torch.tensor([[two / first, one / first], [three / second, two / second]])
    checks.close(layer(randn(1, 2, 1))[1][0, 0], wanted, "the weights")


# %% test="attention" points=5 forbids="timm.models.swin_transformer.WindowAttention"
def timm_attention(dim: int, heads: int, window: tuple[int, int], seed: int) -> nn.Module:
    """timm's layer with large random weights, the table included."""
    return randomize(timm_swin.WindowAttention(dim, heads, window_size=window), seed, std=0.4)


def timm_weights(layer: nn.Module, x: torch.Tensor, mask: torch.Tensor | None = None, kind: str = "") -> torch.Tensor:
    """The attention weights inside timm's layer; `kind` names a mistake to build in."""
    layer = copy.deepcopy(layer)
    layer.fused_attn = False
    heads, dim, table = layer.num_heads, x.shape[-1], layer.relative_position_bias_table
    if kind == "no scale":
        layer.scale = 1.0
    if kind == "dim":
        layer.scale = dim**-0.5
    if kind == "bias scaled":
        table.data /= math.sqrt(dim / heads)
    if kind == "heads":
        layer._get_rel_pos_bias = lambda: table[layer.relative_position_index].reshape(1, heads, x.shape[1], -1)
    seen: list[torch.Tensor] = []
    layer.attn_drop.register_forward_hook(lambda _module, given, _result: seen.append(given[0].detach()))
    layer(x, mask)
    return seen[0]


theirs = timm_attention(8, 2, (2, 3), seed=1)
tokens = checks.normal(seed=1)(4, 6, 8)

with checks.step("the computation is yours"):
    layer = WindowAttention(8, 2, (2, 3))
    layer.load_timm(copy.deepcopy(theirs.state_dict()))
    checks.forbidden(FORBIDDEN, layer, tokens)

with checks.step("against timm, 4 windows of 2 x 3, C = 8, 2 heads, no mask"):
    out, weights = layer(tokens)
    checks.close(
        weights,
        timm_weights(theirs, tokens),
        "the weights",
        causes={
            "the table was reshaped to (H, T, T); its heads stand last and must be permuted": lambda: timm_weights(
                theirs, tokens, None, "heads"
            ),
            "the scores are not divided by sqrt(d)": lambda: timm_weights(theirs, tokens, None, "no scale"),
            "the scores were divided by sqrt(C) = sqrt(8); a head has width d = 4": lambda: timm_weights(
                theirs, tokens, None, "dim"
            ),
            "the bias was divided by sqrt(d), too; only query times key is": lambda: timm_weights(
                theirs, tokens, None, "bias scaled"
            ),
        },
    )
    checks.close(out, theirs(tokens).detach(), "the output")

### BEGIN HIDDEN TESTS
for dim, heads, window, images, shape in (
    (8, 2, (2, 3), 3, (4, 6)),
    (6, 3, (2, 2), 2, (2, 8)),
    (12, 1, (3, 1), 1, (6, 2)),
):
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm, {images} maps of {shape}, windows of {window}, {heads} heads, masked, {kind}"):
            theirs = timm_attention(dim, heads, window, seed=dim).to(kind)
            layer = WindowAttention(dim, heads, window).to(kind)
            layer.load_timm(theirs.state_dict())
            n_windows = shape[0] * shape[1] // (window[0] * window[1])
            tokens = checks.normal(seed=dim, dtype=kind)(images * n_windows, window[0] * window[1], dim)
            generator = torch.Generator().manual_seed(dim)
            blocked = torch.rand(n_windows, *[window[0] * window[1]] * 2, generator=generator) < 0.4
            mask = torch.zeros(blocked.shape, dtype=kind).masked_fill(
                blocked & ~torch.eye(blocked.shape[-1]).bool(), -100.0
            )
            out, weights = layer(tokens, mask)

            def other_order(
                theirs: nn.Module = theirs, x: torch.Tensor = tokens, mask: torch.Tensor = mask
            ) -> torch.Tensor:
                """The weights when mask n meets the n-th share of the batch."""
                count = len(mask)
                turned = x.unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1)
                return timm_weights(theirs, turned, mask).unflatten(0, (-1, count)).transpose(0, 1).flatten(0, 1)

            checks.close(
                weights,
                timm_weights(theirs, tokens, mask),
                "the weights",
                rtol=10 * tolerance,
                atol=tolerance,
                causes={
                    "the masks met the wrong windows: the batch is image 0 with all its windows, then image 1": (
                        other_order
                    ),
                },
            )
            checks.close(out, theirs(tokens, mask).detach(), "the output", rtol=10 * tolerance, atol=tolerance)
### END HIDDEN TESTS

# %% test="attention" points=4
with checks.step("the rows of weights, with a mask of -inf"):
    torch.manual_seed(0)
    layer = WindowAttention(8, 2, 2)
    tokens = checks.normal(seed=2)(6, 4, 8)
    mask = torch.zeros(3, 4, 4)
    mask[1, 0, 1:] = -math.inf
    mask[2, 1, 2] = -math.inf
    out, weights = layer(tokens, mask)
    checks.shape(out, (6, 4, 8), "the output")
    checks.shape(weights, (6, 2, 4, 4), "the weights")
    checks.finite(out, "the output")
    checks.close(weights.sum(-1), torch.ones(6, 2, 4), "the sums of the rows")
    hidden = (mask != 0)[None, :, None].expand(2, 3, 2, 4, 4).flatten(0, 1)
    turned = (mask != 0)[:, None, None].expand(3, 2, 2, 4, 4).flatten(0, 1)
    checks.equal(
        weights[hidden].abs().max().item(),
        0.0,
        "the largest weight on a forbidden key",
        causes={
            "the masks met the wrong windows: the batch is image 0 with all its windows, then image 1": lambda: (
                weights[turned].abs().max().item() == 0
            ),
        },
    )


### BEGIN HIDDEN TESTS
def like_timm(seed: int) -> tuple[nn.Module, nn.Module]:
    """A learner's layer and timm's with the same weights: C = 8, 2 heads, windows of 2 x 3."""
    theirs = randomize(timm_swin.WindowAttention(8, 2, window_size=(2, 3)), seed=seed)
    mine = WindowAttention(8, 2, (2, 3))
    mine.load_timm(theirs.state_dict())
    return mine, theirs


with checks.step("loading copies the numbers, and leaves the state as it is"):
    mine, theirs = like_timm(seed=5)
    tokens = checks.normal(seed=4)(2, 6, 8)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    first, second, lost, filled = checks.beside(
        observe.after_loading, WindowAttention(8, 2, (2, 3)), "load_timm", state, tokens
    )
    checks.equal(lost, [], "names that loading took out of the state, or changed")
    checks.close(first, theirs(tokens).detach(), "the output after loading")
    checks.close(
        second,
        first,
        "the output after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": torch.zeros_like(first)},
    )
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")


def trainable_numbers(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = like_timm(seed=3)
    tokens = checks.normal(seed=3)(2, 6, 8)
    came = checks.beside(observe.after_a_step, mine, tokens, rate=0.05)
    wanted = observe.after_a_step(theirs, tokens, rate=0.05)

    def frozen(part: str) -> torch.Tensor:
        """The output after the step when a part of the layer is not learned."""
        other = like_timm(seed=3)[1]
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(part not in name)
        return observe.after_a_step(other, tokens, rate=0.05)[1]

    checks.close(came[0], wanted[0], "the output before the step")
    numbers = sum(p.numel() for p in theirs.parameters())
    checks.equal(
        checks.beside(trainable_numbers, mine),
        numbers,
        "numbers in the parameters",
        causes={"the table does not learn: it is no nn.Parameter, or one that is frozen": numbers - 30},
    )
    checks.close(
        came[1],
        wanted[1],
        "the output after the step",
        causes={
            "the scores use a copy, .data or .detach() of the table, so no gradient comes back": lambda: frozen(
                "table"
            ),
            "query, key and value do not learn": lambda: frozen("qkv"),
            "the output projection does not learn": lambda: frozen("proj"),
        },
    )

with checks.step("the gradient that comes back to the tokens"):
    tokens = checks.normal(seed=7)(4, 6, 8).requires_grad_()
    came = checks.beside(observe.gradients, mine, tokens)[0]
    checks.that(came is not None, "a gradient comes back to the tokens", came="none")
    checks.close(came, observe.gradients(theirs, tokens)[0], "the gradient", atol=1e-5)


def table_of(module: nn.Module, size: int) -> list[torch.Tensor]:
    """The entries of each parameter with as many entries as the table, whatever its shape."""
    return [p.detach().flatten() for p in module.parameters() if p.numel() == size]


with checks.step("the start of the table: normal with standard deviation 0.02"):
    tables = checks.beside(table_of, WindowAttention(8, 2, 7), 169 * 2)
    checks.equal(len(tables), 1, "parameters with 169 * 2 entries")
    spread, largest = tables[0].std().item(), tables[0].abs().max().item()
    checks.that(
        0.015 < spread < 0.025,
        "the table is drawn with standard deviation 0.02",
        came=f"standard deviation {spread:.4f}",
        causes={"a standard deviation of 1: the biases drown the scores": 0.8 < spread < 1.2},
    )
    checks.that(
        largest > 0.036,
        "a normal distribution reaches beyond two standard deviations",
        came=f"largest entry {largest:.4f}",
        causes={"a uniform distribution ends at 0.02 * sqrt(3)": spread * math.sqrt(3) * 1.1 > largest},
    )

with checks.step("tokens and mask after the call, with -100 and with -inf in the mask"):
    tokens, mask = checks.normal(seed=14)(4, 6, 8), torch.zeros(2, 6, 6)
    mask[0, 1, 2], mask[1, 3, 4] = -100.0, -math.inf
    came = checks.beside(observe.arguments_after, mine, tokens, mask)
    for what, old, new in checks.each(("the tokens", "the mask"), (tokens, mask), came):
        checks.equal(new, old, f"{what} (an argument must not be changed in place)")

with checks.step("in train mode, and without a mask after a call with one"):
    mine, theirs = like_timm(seed=6)
    tokens = checks.normal(seed=8)(4, 6, 8)
    blocked = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(9)) < 0.4
    mask = torch.zeros(2, 6, 6).masked_fill(blocked & ~torch.eye(6).bool(), -100.0)
    for kind in ("train", "eval"):
        getattr(mine, kind)()
        checks.close(
            mine(tokens, mask)[0], theirs(tokens, mask).detach(), f"the output in {kind} mode", rtol=1e-4, atol=1e-5
        )
        checks.close(
            mine(tokens)[0],
            theirs(tokens).detach(),
            f"the output without a mask, in {kind} mode, after a call with one",
            atol=1e-5,
            causes={"the mask of the call before was used again": lambda: theirs(tokens, mask)},
        )

with checks.step("a head of width 144 and a mask of -100: what is forbidden gets e**-100, not e**(-100 / 12)"):
    torch.manual_seed(2)
    wide = WindowAttention(144, 1, (1, 2))
    weights = wide(torch.zeros(1, 2, 144), torch.tensor([[[0.0, -100.0], [-100.0, 0.0]]]))[1]
    largest = weights.detach()[0, 0][~torch.eye(2).bool()].max().item()
    checks.that(
        largest < 1e-30,
        "no weight on a forbidden key",
        came=f"a weight of {largest:.1e}",
        causes={"the mask was divided by sqrt(d), too; only query times key is": 1e-5 < largest < 1e-2},
    )

with checks.step("tokens, mask and weights of bfloat16"):
    half = mine.to(torch.bfloat16)
    out = half(tokens.to(torch.bfloat16), mask.to(torch.bfloat16))[0]
    checks.dtype(out, torch.bfloat16, "the output")
    checks.close(out.float(), theirs(tokens, mask).detach(), "the output", rtol=0.1, atol=0.1)  # 8 bits: 0.4 % a step

with checks.step("the arguments after the call"):
    after = checks.beside(observe.arguments_after, like_timm(seed=6)[0], tokens, mask)
    checks.equal(after[0], tokens, "the tokens that were given")
    checks.equal(after[1], mask, "the mask that was given")
### END HIDDEN TESTS

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


# %% test="block" points=5
def timm_block(
    dim: int, heads: int, size: tuple[int, int], window: Size, shift: Size, seed: int, std: float = 0.3
) -> nn.Module:
    """timm's block with large random weights."""
    block = timm_swin.SwinTransformerBlock(dim, size, heads, window_size=window, shift_size=shift)
    return randomize(block, seed, std)


def reach(size: tuple[int, int], window: int, shift: int, cell: tuple[int, int], kind: str = "") -> torch.Tensor:
    """Which tokens (h, w) depend on one token, by the rule itself; `kind` names a mistake."""

    def home(row: int, column: int) -> tuple[int, ...]:
        if kind == "wrap":  # windows of the rolled map, no mask
            return tuple((k - shift) % side // window for k, side in zip((row, column), size))
        if kind == "other way":  # rolled by +shift, with the mask of -shift
            moved = [(k + shift) % side for k, side in zip((row, column), size)]
            return tuple(m // window for m in moved) + tuple(m >= side - shift for m, side in zip(moved, size))
        return tuple((k - shift) // window for k in (row, column))

    found = torch.tensor([[home(r, c) == home(*cell) for c in range(size[1])] for r in range(size[0])])
    if kind == "not back":
        found = torch.roll(found, (-shift, -shift), dims=(0, 1))
        found[cell] = True  # the residual connection
    return found


def changed(
    block: Callable[[torch.Tensor], torch.Tensor], size: tuple[int, int], cell: tuple[int, int]
) -> torch.Tensor:
    """Which output tokens (h, w) move when one input token does."""
    x = checks.normal(seed=5)(1, *size, 8)
    y = x.clone()
    y[0, cell[0], cell[1]] += checks.normal(seed=6)(8)
    return (checks.tensor(block(y)) - checks.tensor(block(x))).detach().abs().amax(-1)[0] > 1e-6


with checks.step("SwinBlock(8, 2, window=4, shift=0) on two maps of 8 x 12"):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, 4, 0).eval()
    checks.shape(block(checks.normal(seed=0)(2, 8, 12, 8)), (2, 8, 12, 8), "the output")


def moves_only(found: torch.Tensor, wanted: torch.Tensor, causes: Mapping[str, torch.Tensor]) -> None:
    """Compare two maps of moved tokens, and say in words where they differ."""

    def listed(cells: torch.Tensor) -> str:
        places = [tuple(cell) for cell in cells.nonzero().tolist()]
        return ", ".join(map(str, places[:4])) + (f" and {len(places) - 4} more" if len(places) > 4 else "")

    too_many, missing = found & ~wanted, wanted & ~found
    rows, columns = wanted.nonzero().unbind(1)
    came = f"{found.sum()} tokens move"
    came += f"; they should not: {listed(too_many)}" if too_many.any() else ""
    came += f"; they should, and do not: {listed(missing)}" if missing.any() else ""
    checks.that(
        torch.equal(found, wanted),
        "the wrong outputs move",
        came=came,
        expected=f"{wanted.sum()} tokens: rows {rows.min()} to {rows.max()}, columns {columns.min()} to {columns.max()}",
        causes={text: torch.equal(found, wrong) for text, wrong in causes.items()},
    )


with checks.step("no shift: one changed token moves its window and nothing else"):
    block.load_timm(timm_block(8, 2, (8, 12), 4, 0, seed=1).state_dict())
    moves_only(changed(block, (8, 12), (5, 9)), reach((8, 12), 4, 0, (5, 9)), {})

for cell, what in (((3, 5), "in the middle"), ((0, 5), "at the upper edge"), ((7, 11), "in the corner")):
    with checks.step(f"shift 2: one changed token {what}, {cell}, moves its shifted window and nothing else"):
        block = SwinBlock(8, 2, 4, 2).eval()
        block.load_timm(timm_block(8, 2, (8, 12), 4, 2, seed=1).state_dict())
        moves_only(
            changed(block, (8, 12), cell),
            reach((8, 12), 4, 2, cell),
            {
                "the map was not rolled back after attention": reach((8, 12), 4, 2, cell, "not back"),
                "without the mask, opposite edges of the image see each other": reach((8, 12), 4, 2, cell, "wrap"),
                "the map was rolled by +shift first; it must be -shift, as the mask assumes": reach(
                    (8, 12), 4, 2, cell, "other way"
                ),
                "the windows are not shifted": reach((8, 12), 4, 0, cell),
            },
        )

with checks.step("shift 2: a changed token anywhere"):
    seed = checks.fresh_seed()
    cell = (seed % 8, seed // 8 % 12)
    moves_only(changed(block, (8, 12), cell), reach((8, 12), 4, 2, cell), {})


# %% test="block" points=5 forbids="timm.models.swin_transformer.SwinTransformerBlock"
with checks.step("the computation is yours"):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, 4, 2).eval()
    checks.forbidden(FORBIDDEN, block, torch.zeros(1, 8, 8, 8))

for shift in (0, 2):
    with checks.step(f"against timm's block, map 8 x 12, window 4, shift {shift}"):
        theirs = timm_swin.SwinTransformerBlock(8, (8, 12), 2, window_size=4, shift_size=shift)
        theirs = randomize(theirs, seed=2, std=0.3)
        block = SwinBlock(8, 2, 4, shift).eval()
        block.load_timm(theirs.state_dict())
        x = checks.normal(seed=2)(2, 8, 12, 8)

        def wrong(name: str, theirs: nn.Module = theirs, x: torch.Tensor = x) -> torch.Tensor:
            """What timm's parts give when they are wired the wrong way."""
            other = copy.deepcopy(theirs)
            if name == "tanh":
                other.mlp.act = nn.GELU(approximate="tanh")
            if name == "relu":
                other.mlp.act = nn.ReLU()
            if name == "eps":
                other.norm1.eps = other.norm2.eps = 1e-6
            if name == "table":
                other.attn.relative_position_bias_table.data.zero_()
            with torch.no_grad():
                if name == "post-norm":
                    y = other.norm1(x + other._attn(x))
                    return other.norm2(y + other.mlp(y))
                if name == "no first residual":
                    y = other._attn(other.norm1(x))
                    return y + other.mlp(other.norm2(y))
                if name == "no second residual":
                    return other.mlp(other.norm2(x + other._attn(other.norm1(x))))
                if name == "unnormed":
                    y = x + other._attn(x)
                    return y + other.mlp(other.norm2(y))
                return other(x)

        with torch.no_grad():
            checks.close(
                block(x),
                theirs(x),
                "the output",
                causes={
                    "post-norm: a layer norm stands on the residual path": lambda: wrong("post-norm"),
                    "the residual connection around attention is missing": lambda: wrong("no first residual"),
                    "the residual connection around the MLP is missing": lambda: wrong("no second residual"),
                    "attention got the tokens without layer norm": lambda: wrong("unnormed"),
                    "the tanh approximation of GELU; the exact one is asked": lambda: wrong("tanh"),
                    "ReLU instead of GELU": lambda: wrong("relu"),
                    "eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: wrong("eps"),
                    "the table of biases was not loaded": lambda: wrong("table"),
                },
            )


### BEGIN HIDDEN TESTS
def half_shift(block: nn.Module) -> nn.Module:
    """The same block, shifted by half a window."""
    side, window = block.input_resolution, block.window_size
    shift = tuple(w // 2 for w in window)
    other = timm_swin.SwinTransformerBlock(block.dim, side, block.attn.num_heads, window_size=window, shift_size=shift)
    other.load_state_dict(block.state_dict())
    return other.to(next(block.parameters()).dtype)


for dim, heads, size, window, shift in (
    (12, 3, (6, 9), (3, 3), (1, 1)),
    (8, 1, (4, 10), (2, 5), (1, 2)),
    (16, 4, (14, 7), (7, 7), (3, 3)),
    (8, 2, (4, 4), (4, 4), (2, 2)),
    (8, 2, (8, 10), (4, 5), (1, 3)),
    (6, 2, (6, 8), (3, 4), (0, 1)),
):
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm's block, map {size}, window {window}, shift {shift}, {heads} heads, {kind}"):
            theirs = timm_swin.SwinTransformerBlock(dim, size, heads, window_size=window, shift_size=shift)
            theirs = randomize(theirs, seed=dim, std=0.3).to(kind)
            block = SwinBlock(dim, heads, window, shift).to(kind).eval()
            block.load_timm(theirs.state_dict())
            x = checks.normal(seed=dim, dtype=kind)(2, *size, dim)
            always = timm_swin.SwinTransformerBlock(
                dim, size, heads, window_size=window, shift_size=shift, always_partition=True
            ).to(kind)
            always.load_state_dict(theirs.state_dict())
            with torch.no_grad():
                checks.close(
                    block(x),
                    theirs(x),
                    "the output",
                    rtol=10 * tolerance,
                    atol=tolerance,
                    causes={
                        "the map was shifted in a direction that has only one window": lambda always=always, x=x: (
                            always(x)
                        ),
                        "the shift is half a window; it must be the shift that was given": lambda theirs=theirs, x=x: (
                            half_shift(theirs)(x)
                        ),
                    },
                )

with checks.step("tokens as small as 0.001, where the eps of the layer norm shows"):
    theirs = randomize(timm_swin.SwinTransformerBlock(8, (4, 4), 2, window_size=2, shift_size=1), seed=6)
    block = SwinBlock(8, 2, 2, 1).eval()
    block.load_timm(theirs.state_dict())
    x = 1e-3 * checks.normal(seed=6)(2, 4, 4, 8)
    small_eps = copy.deepcopy(theirs)
    small_eps.norm1.eps = small_eps.norm2.eps = 1e-6
    with torch.no_grad():
        checks.close(
            block(x),
            theirs(x),
            "the output",
            causes={"eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: small_eps(x)},
        )
### END HIDDEN TESTS

# %% test="block" points=4
with checks.step("maps that windows of 4 do not divide"):
    for height, width in ((8, 10), (10, 8), (2, 8)):
        x = torch.zeros(1, height, width, 8)
        checks.raises(ValueError, SwinBlock(8, 2, 4, 0), x, name=f"a map of {height} x {width} with window 4")

with checks.step("two blocks of timm's stage, without and with shift, one after the other"):
    stage = timm_swin.SwinTransformerStage(8, 8, (8, 8), depth=2, downsample=False, num_heads=2, window_size=4)
    stage = randomize(stage, seed=3, std=0.3)
    x = checks.normal(seed=3)(1, 8, 8, 8)
    y = x
    for number, shift in enumerate((0, 2)):
        block = SwinBlock(8, 2, 4, shift).eval()
        block.load_timm(share(stage.state_dict(), f"blocks.{number}."))
        y = checks.tensor(block(y)).detach()
    checks.close(y, stage(x).detach(), "the output of the second block", atol=1e-4)

### BEGIN HIDDEN TESTS
with checks.step("one block, maps of 8 x 8, 4 x 16, 8 x 12, 12 x 8, 8 x 8 and 8 x 12 one after the other"):
    block = SwinBlock(8, 2, 4, 2).eval()
    first = randomize(timm_swin.SwinTransformerBlock(8, (8, 8), 2, window_size=4, shift_size=2), seed=4)
    block.load_timm(first.state_dict())
    before = first
    for size in ((8, 8), (4, 16), (8, 12), (12, 8), (8, 8), (8, 12)):
        theirs = timm_swin.SwinTransformerBlock(8, size, 2, window_size=4, shift_size=2).eval()
        theirs.load_state_dict(first.state_dict())
        x = checks.normal(seed=size[1])(1, *size, 8)
        kept = copy.deepcopy(theirs)
        kept.attn_mask, before = before.attn_mask, theirs
        with torch.no_grad():
            checks.close(
                block(x),
                theirs(x),
                f"the output for {size[0]} x {size[1]}",
                causes={
                    "the mask of the map before was kept; a mask belongs to one map size": lambda kept=kept, x=x: kept(
                        x
                    ),
                },
            )

with checks.step("the map after the call"):
    checks.equal(checks.beside(observe.arguments_after, block, x)[0], x, "the map that was given")


def blocks_alike(seed: int) -> tuple[nn.Module, nn.Module]:
    """A learner's block and timm's with the same weights, windows of 2 shifted by 1, for maps of 4 x 6."""
    theirs = timm_swin.SwinTransformerBlock(8, (4, 6), 2, window_size=2, shift_size=1)
    mine = SwinBlock(8, 2, 2, 1)
    mine.load_timm(randomize(theirs, seed=seed, std=0.3).state_dict())
    return mine, theirs


with checks.step("loading copies the numbers, and leaves the state as it is"):
    theirs = blocks_alike(seed=9)[1]
    x = checks.normal(seed=10)(2, 4, 6, 8)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    came = checks.beside(observe.after_loading, SwinBlock(8, 2, 2, 1), "load_timm", state, x)
    checks.equal(came[2], [], "names that loading took out of the state, or changed")
    checks.close(came[0], theirs(x).detach(), "the output after loading", atol=1e-5)
    checks.close(
        came[1],
        came[0],
        "the output after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": x},
    )
    checks.that(came[3], "loading fills the parameters that are there", came="new ones, which no optimizer holds")

with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = blocks_alike(seed=7)
    x = checks.normal(seed=7)(2, 4, 6, 8)
    came = checks.beside(observe.after_a_step, mine, x, rate=0.01)
    wanted = observe.after_a_step(theirs, x, rate=0.01)

    def frozen(*parts: str) -> torch.Tensor:
        """The output after the step when these parts of the block are not learned."""
        other = blocks_alike(seed=7)[1]
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(not name.startswith(parts))
        return observe.after_a_step(other, x, rate=0.01)[1]

    checks.close(came[0], wanted[0], "the output before the step", atol=1e-5)
    checks.close(
        came[1],
        wanted[1],
        "the output after the step",
        atol=1e-4,
        causes={
            "the attention does not learn": lambda: frozen("attn"),
            "the MLP does not learn": lambda: frozen("mlp"),
            "the layer norms do not learn": lambda: frozen("norm"),
        },
    )

with checks.step("the gradient that comes back to the map, and the output in train mode"):
    mine, theirs = blocks_alike(seed=8)
    x = checks.normal(seed=8)(3, 4, 6, 8).requires_grad_()
    wanted = observe.gradients(theirs, x)[0]
    came = checks.beside(observe.gradients, mine, x)[0]
    checks.that(came is not None, "a gradient comes back to the map", came="none")
    checks.close(came, wanted, "the gradient", atol=1e-4)
    mine.train()
    checks.close(
        mine(x.detach()),
        theirs(x).detach(),
        "the output in train mode, where nothing is dropped either",
        atol=1e-5,
    )

with checks.step("a map and weights of bfloat16"):
    small = SwinBlock(8, 2, 2, 1).to(torch.bfloat16)
    checks.dtype(small(x.detach().to(torch.bfloat16)), torch.bfloat16, "the output")
### END HIDDEN TESTS

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

# %% test="merging" points=4
with checks.step("a square of 1 2 / 3 4, one channel; the reduction picks the second and the third of the four"):
    # norm of (1, 3, 2, 4): mean 2.5, variance 1.25; (1 - 2.5) / sqrt(1.25) = -1.341641, and so on
    merging = PatchMerging(1)
    pick = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    merging.load_timm({"norm.weight": torch.ones(4), "norm.bias": torch.zeros(4), "reduction.weight": pick})
    square = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    came = merging(square)
    checks.shape(came, (1, 1, 1, 2), "the merged map")
    checks.close(
        came.flatten(),
        torch.tensor([0.447212, -0.447212]),
        "the two channels, made from the tokens at (1, 0) and (0, 1)",
        atol=2e-5,
        causes={
            "the order is (0,0), (0,1), (1,0), (1,1): it trains, but no checkpoint fits; first down, then right": (
                torch.tensor([-0.447212, 0.447212])
            ),
            "there is no layer norm": torch.tensor([3.0, 2.0]),
            "the norm stands after the reduction; it must stand before": torch.tensor([0.99998, -0.99998]),
            "the four tokens were averaged; they must stand side by side, 4C numbers": torch.zeros(2),
        },
    )

with checks.step("PatchMerging(3) on two maps of 4 x 6"):
    torch.manual_seed(0)
    checks.shape(PatchMerging(3)(torch.zeros(2, 4, 6, 3)), (2, 2, 3, 6), "the merged maps")

with checks.step("the same with numbers that nobody has seen"):
    square = checks.normal(checks.fresh_seed())(1, 2, 2, 1)
    down_first = square[0, :, :, 0].T.flatten()
    checks.close(merging(square).flatten(), F.layer_norm(down_first, (4,))[1:3], "the two channels", atol=2e-5)


# %% test="merging" points=4 forbids="timm.models.swin_transformer.PatchMerging"
with checks.step("the computation is yours"):
    torch.manual_seed(0)
    merging = PatchMerging(3)
    checks.forbidden(FORBIDDEN, merging, torch.zeros(1, 4, 4, 3))


def parameter_shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(p.shape) for p in module.parameters() if p.requires_grad)


with checks.step("the parameters of PatchMerging(3)"):
    checks.equal(
        checks.beside(parameter_shapes, merging),
        [(6, 12), (12,), (12,)],
        "the shapes of the parameters",
        causes={
            "the reduction has no bias in Swin": [(6,), (6, 12), (12,), (12,)],
        },
    )

### BEGIN HIDDEN TESTS
for height, width, dim in ((4, 6, 3), (8, 4, 5), (5, 6, 2), (4, 7, 2), (3, 5, 4)):
    with checks.step(f"against timm, 2 maps of {height} x {width}, C = {dim}"):
        theirs = randomize(timm_swin.PatchMerging(dim), seed=dim)
        merging = PatchMerging(dim).eval()
        merging.load_timm(theirs.state_dict())
        x = checks.normal(seed=height)(2, height, width, dim)

        def other(name: str, theirs: nn.Module = theirs, x: torch.Tensor = x) -> torch.Tensor:
            """Timm's layer after another cut or padding."""
            odd = (x.shape[1] % 2, x.shape[2] % 2)
            if name == "front":
                return theirs(F.pad(x, (0, 0, odd[1], 0, odd[0], 0)))
            if name == "dropped":
                return theirs(x[:, : x.shape[1] - odd[0], : x.shape[2] - odd[1]])
            squares = F.pad(x, (0, 0, 0, odd[1], 0, odd[0])).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
            return theirs.reduction(theirs.norm(squares.permute(0, 1, 3, 5, 4, 2).flatten(3)))

        with torch.no_grad():
            checks.close(
                merging(x),
                theirs(x),
                "the merged maps",
                causes={
                    "the zeros were put in front; they belong to the end": lambda: other("front"),
                    "the channels are interleaved (all four of channel 0 first); a whole token comes first": (
                        lambda: other("interleaved")
                    ),
                    "the odd last row or column was dropped; pad with zeros": lambda: (
                        tuple(theirs(x).shape) != tuple(merging(x).shape) == tuple(other("dropped").shape)
                    ),
                },
            )


def mergings_alike(seed: int, kind: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """A learner's layer and timm's with the same weights, C = 3."""
    theirs = randomize(timm_swin.PatchMerging(3), seed=seed).to(kind)
    mine = PatchMerging(3).to(kind)
    mine.load_timm(theirs.state_dict())
    return mine, theirs


for kind, scale, tolerance in ((torch.float32, 1e-3, 1e-5), (torch.float64, 1.0, 1e-10)):
    with checks.step(f"against timm in train mode, {kind}, numbers near {scale:g}"):
        mine, theirs = mergings_alike(1, kind)
        x = scale * checks.normal(seed=11, dtype=kind)(2, 4, 6, 3)
        small_eps = copy.deepcopy(theirs)
        small_eps.norm.eps = 1e-6
        checks.close(
            mine(x),
            theirs(x).detach(),
            "the merged maps",
            rtol=10 * tolerance,
            atol=tolerance,
            causes={"eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: small_eps(x)},
        )
        checks.equal(checks.beside(observe.arguments_after, mine, x)[0], x, "the map that was given")

with checks.step("loading copies the numbers, and leaves the state as it is"):
    theirs = mergings_alike(4)[1]
    x = checks.normal(seed=13)(2, 4, 6, 3)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    first, second, lost, filled = checks.beside(observe.after_loading, PatchMerging(3), "load_timm", state, x)
    checks.equal(lost, [], "names that loading took out of the state, or changed")
    checks.close(first, theirs(x).detach(), "the merged maps after loading")
    checks.close(
        second,
        first,
        "the merged maps after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": torch.zeros_like(first)},
    )
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")

with checks.step("a map of 5 x 7 after the call, and one of bfloat16"):
    mine, theirs = mergings_alike(5)
    x = checks.normal(seed=15)(2, 5, 7, 3)
    checks.equal(checks.beside(observe.arguments_after, mine, x)[0], x, "the map that was given")
    came, wanted = mine.bfloat16()(x.bfloat16()), theirs.bfloat16()(x.bfloat16()).detach()
    checks.dtype(came, torch.bfloat16, "the merged maps")
    checks.close(came.float(), wanted.float(), "the merged maps, but for rounding", rtol=0.02, atol=0.02)

with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = mergings_alike(2)
    x = checks.normal(seed=12)(2, 4, 6, 3)
    came = checks.beside(observe.after_a_step, mine, x, rate=0.05)
    wanted = observe.after_a_step(theirs, x, rate=0.05)
    checks.close(came[0], wanted[0], "the merged maps before the step")
    checks.close(came[1], wanted[1], "the merged maps after the step", atol=1e-5)
    x.requires_grad_()
    mine, theirs = mergings_alike(3)
    wanted = observe.gradients(theirs, x)[0]
    came = checks.beside(observe.gradients, mine, x)[0]
    checks.that(came is not None, "a gradient comes back to the map", came="none")
    checks.close(came, wanted, "the gradient of the map", atol=1e-5)

### END HIDDEN TESTS

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
if profile.current() is profile.Profile.GPU:
    lesson, exam = datasets.shapes(2000, seed=1), datasets.shapes(500, seed=2)
    flat = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "depth": 4, "num_heads": 3, "num_classes": 6}
    for name, model in (("two stages", TinySwin()), ("flat ViT", timm.models.VisionTransformer(**flat))):
        model.to(device)
        train(model, ((lesson.x - 0.5) / 0.25).to(device), lesson.shape.to(device), steps=2000, batch=64)
        with torch.inference_mode():
            right = (model(((exam.x - 0.5) / 0.25).to(device)).argmax(-1).cpu() == exam.shape).float().mean()
        print(
            f"{name:>12}: {profiling.parameter_count(model):,} parameters, {right:.0%} of 500 new pictures (one seed)"
        )

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

# %% test="cost" points=4
with checks.step("4 x 4 tokens, C = 3, global: counted by hand"):
    # projections 4 * 16 * 3 * 3 = 576 multiply-adds, scores and average 2 * 16 * 16 * 3 = 1536
    came = attention_cost(4, 4, 3)
    checks.equal(
        came,
        4224,
        "attention_cost(4, 4, 3)",
        causes={
            "multiply-adds were counted once; each is 2 FLOPs": 2112,
            "only one of the two products, scores and average, was counted": 2688,
            "the output projection is missing": 3936,
            "the projections are missing": 3072,
            "the result must be an int; avoid `/`": lambda: isinstance(came, float),
        },
    )

with checks.step("4 x 4 tokens, C = 3, windows of 2 x 2: counted by hand"):
    # projections 576 as before, scores and average 2 * 16 * 4 * 3 = 384
    checks.equal(
        attention_cost(4, 4, 3, 2),
        1920,
        "attention_cost(4, 4, 3, 2)",
        causes={
            "a window of side M has M * M keys, not M": 1536,
            "this is one window; the map has four": 480,
            "the window is not used": 4224,
            "multiply-adds were counted once; each is 2 FLOPs": 960,
        },
    )

with checks.step("a map of any size, global, against torch's FLOP counter on timm's layer"):
    seed = checks.fresh_seed()
    height, width, dim = 2 + seed % 7, 2 + seed // 7 % 7, 1 + seed // 49 % 9
    one_window = timm_swin.WindowAttention(dim, 1, window_size=(height, width))
    with torch.no_grad():
        wanted = profiling.flops(one_window, torch.zeros(1, height * width, dim))
    checks.equal(attention_cost(height, width, dim), wanted, f"attention_cost({height}, {width}, {dim})")


# %% test="cost" points=4
with checks.step("one window as large as the map is global attention"):
    checks.equal(attention_cost(6, 6, 8, 6), attention_cost(6, 6, 8), "attention_cost(6, 6, 8, 6)")

with checks.step("windows of 4 do not divide a height of 6"):
    checks.raises(ValueError, attention_cost, 6, 8, 4, 4, name="a 6 x 8 map with window 4")

### BEGIN HIDDEN TESTS
for height, width, dim, heads, window in ((8, 8, 12, 3, 4), (4, 12, 8, 2, 2), (6, 9, 10, 1, 3), (14, 7, 6, 2, 7)):
    with checks.step(f"against torch's FLOP counter on timm's layer, {height} x {width}, C = {dim}, window {window}"):
        for side, cut in ((None, (height, width)), (window, (window, window))):
            layer = timm_swin.WindowAttention(dim, heads, window_size=cut)
            windows = torch.zeros(height * width // (cut[0] * cut[1]), cut[0] * cut[1], dim)
            with torch.no_grad():
                counted = profiling.flops(layer, windows)
            checks.equal(
                attention_cost(height, width, dim, side),
                counted,
                "FLOPs in windows" if side else "FLOPs of global attention",
                causes={
                    "the map was taken for a square of side h": counted
                    - 8 * height * (width - height) * dim**2
                    - 4 * dim * (height * width * cut[0] * cut[1] - height**2 * (window**2 if side else height**2)),
                },
            )

with checks.step("a count beyond the 53 bits of a float: 4095 x 4097 tokens, C = 1001, global"):
    tokens = 4095 * 4097
    wanted = 8 * tokens * 1001**2 + 4 * tokens**2 * 1001
    came = attention_cost(4095, 4097, 1001)
    checks.that(isinstance(came, int), "the count is an int", came=type(came).__name__)
    checks.equal(came, wanted, "the count", causes={
        "a float was made an int: beyond 53 bits it has lost the last digits": lambda: (
            0 < abs(came - wanted) < wanted // 10**6
        ),
    })  # fmt: skip

for height, width, window in ((8, 10, 4), (10, 8, 4), (6, 6, 12), (4, 12, 12), (12, 4, 12)):
    with checks.step(f"windows of {window} do not divide a map of {height} x {width}"):
        checks.raises(
            ValueError,
            attention_cost,
            height,
            width,
            4,
            window,
            name=f"a map of {height} x {width} with window {window}",
        )
### END HIDDEN TESTS

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
# ## What to take along
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
