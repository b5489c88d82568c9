# %% [markdown]
# # Week 2: vision transformer
#
# ![Left: a photograph cut into patches. Middle: the similarity of fixed positions, one tile for each cell of the grid; each tile is brightest at its own cell. Right: the cost of a model for three patch sizes, nearly all of it in the linear layers.](outcome.png)
#
# *What you will have built by the end of this week. Left: an image becomes a row of patches. Middle: 2-D positions; each small tile shows how similar one cell is to all others, and each is brightest at itself. Right: what the model costs at three patch sizes, and which part of it is quadratic.*
#
# **After this week you can**
#
# - cut images into patches and put them together again, exactly, and say why a strided convolution does the same;
# - give patches a place, learned or fixed, and carry learned positions over to another image size;
# - build a pre-norm encoder block and a whole ViT, load timm's weights, and get timm's logits;
# - count tokens and FLOPs before you run a model, and say which part is quadratic in what;
# - show with one number what a ViT without positions cannot see.
#
# **Time** about 11 hours: 3 of reading, 6 of coding, 2 of debugging. **You need** week 1, or the idea of multi-head attention. Attention itself comes from PyTorch this week, so nothing depends on your answers of week 1.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. One rule holds for all exercises: a function leaves its arguments as they are, unless its docstring says that it changes them. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $C$ | channels of an image |
# | $h, w$ | height and width of an image in pixels | $p$ | side of a patch in pixels |
# | $N$ | number of patches, $hw/p^2$ | $T$ | number of tokens, $N + 1$ with the class token |
# | $D$ | width of the model | $K$ | number of classes |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import math
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import display
from timm.layers import PatchEmbed, resample_abs_pos_embed
from timm.models import vision_transformer as timm_models
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session, unchanged
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# **With a GPU.** `PROFILE=gpu` runs the same cells at larger sizes. What they need, and what came out:
#
# | cells | data set | disk | GPU memory | time | result |
# | --- | --- | --- | --- | --- | --- |
# | "Look: the same photograph", "Profiling corner" | CIFAR-10 | 170 MB to fetch | *not measured yet* | *not measured yet* | *not measured yet* |
# | "Milestone" | none; weights of ViT-Ti/16 by timm | 23 MB to fetch | *not measured yet* | *not measured yet* | *not measured yet* |
# | "can it learn at all?", "Four sentences" | `shapes` and `digits`, no download | none | *not measured yet* | *not measured yet* | *not measured yet* |
#
# This would measure them: `PROFILE=gpu workbook record --keep-nothing week02`. Licenses, and where files go: `docs/datasets.md` of the workbook.

# %% [markdown]
# ## Part 1. An image is a row of patches
#
# A transformer reads a row of vectors. A sentence is one already: each word is looked up in a table. An image is not. It has $32 \times 32$ pixels even when it is tiny, and attention over 1,024 pixels compares a million pairs.
#
# The answer of Dosovitskiy et al. (2021) is to cut. A $32 \times 32$ image cut into squares of side 8 is a row of 16 patches. Each patch holds $3 \cdot 8 \cdot 8 = 192$ numbers, and those numbers *are* its vector.
#
# **Predict.** A patch of side 4 instead of 8: how many patches? How many numbers in each? And how many numbers in all?

# %% explore=true compare=true
for side in (16, 8, 4, 2, 1):
    across = 32 // side
    print(f"p = {side:2d}: {across * across:5,d} patches of {3 * side * side:3d} numbers = {across**2 * 3 * side**2:,}")

# %% [markdown]
# Always 3,072 numbers: cutting neither adds nor loses anything. Only the shape of the table changes, from few long rows to many short ones.

# %% [markdown] about="patchify"
# ### Exercise 1. Cut and reassemble
#
# Everything later rests on one convention for the order, so both directions are exact opposites.
#
# $$(B,\; C,\; g_h\, p,\; g_w\, p) \;\longleftrightarrow\; (B,\; g_h\, g_w,\; C\, p\, p)$$
#
# | order | meaning |
# | --- | --- |
# | patches | row by row, as one reads: the patch in row $i$, column $j$ of the grid is number $i \cdot g_w + j$ |
# | numbers in a patch | first channel, then row, then column: $(C, p, p)$, flattened |
#
# | function | input | output |
# | --- | --- | --- |
# | `patchify(images, p)` | $(B, C, h, w)$ | $(B, N, C p^2)$ |
# | `unpatchify(tokens, p, grid_hw, channels)` | $(B, N, C p^2)$, the grid $(g_h, g_w)$ | $(B, C, g_h p, g_w p)$ |
#
# Images need not be square, and gradients flow through both functions. No Python loop over patches: the number of torch operations must not depend on the number of patches.


# %% exercise="patchify" difficulty=2 minutes=45
def patchify(images: torch.Tensor, p: int) -> torch.Tensor:
    """Cut images into square patches (Dosovitskiy et al. 2021, section 3.1).

    Parameters
    ----------
    images : (B, C, h, w) float; not changed. p : side of a patch in pixels.

    Returns
    -------
    (B, N, C*p*p) of the same dtype, N = (h/p) * (w/p): patches row by row; in a patch first channel, then row, then column.

    Raises
    ------
    ValueError : when p does not divide h and w.
    """
    ### BEGIN SOLUTION
    batch, channels, height, width = images.shape
    if height % p or width % p:
        raise ValueError(f"patches of side {p} do not fit into {height} x {width} pixels")
    cut = images.reshape(batch, channels, height // p, p, width // p, p)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, (height // p) * (width // p), channels * p * p)
    ### END SOLUTION


def unpatchify(tokens: torch.Tensor, p: int, grid_hw: tuple[int, int], channels: int) -> torch.Tensor:
    """Put patches together again; the exact inverse of `patchify`.

    Parameters
    ----------
    tokens : (B, N, C*p*p), as `patchify` gives them; not changed. p : side of a patch in pixels.
    grid_hw : (gh, gw), rows and columns of the grid of patches. channels : C.

    Returns
    -------
    (B, C, gh*p, gw*p) of the same dtype.

    Raises
    ------
    ValueError : when N is not gh*gw.
    """
    ### BEGIN SOLUTION
    rows, columns = grid_hw
    if tokens.shape[1] != rows * columns:
        raise ValueError(f"{tokens.shape[1]} patches do not fill a grid of {rows} x {columns}")
    cut = tokens.reshape(-1, rows, columns, channels, p, p)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, rows * p, columns * p)
    ### END SOLUTION


# %% look="patchify"
# Look: the 24 patches of a photograph in their order, and what comes back.
with checks.look():
    look_photo = datasets.photograph("flower", height=128, width=192).image[None]
    look_patches = patchify(look_photo, 32)
    print("patches:", tuple(look_patches.shape))
    pictures = [piece.reshape(3, 32, 32) for piece in look_patches[0]]
    display(plotting.image_grid(pictures, columns=6, titles=[str(n) for n in range(len(pictures))]))
    back = unpatchify(look_patches, 32, (4, 6), 3)
    print("largest difference after the round trip:", (back - look_photo).abs().max().item())

# %% [markdown] hints="patchify"
# <details><summary>Hint 1: the idea</summary>
#
# A side of length $h$ is a number of patches times a length inside the patch. Split height and width into two dimensions each, bring the two "which patch" dimensions together, and flatten. The way back is the same steps in reverse.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     if h or w is no multiple of p: ValueError
#     split:    (B, C, h, w)            -> (B, C, gh, p, gw, p)
#     reorder:                          -> (B, gh, gw, C, p, p)
#     flatten:                          -> (B, gh*gw, C*p*p)
#
#     back:     (B, gh*gw, C*p*p)       -> (B, gh, gw, C, p, p)
#     reorder:                          -> (B, C, gh, p, gw, p)
#     flatten:                          -> (B, C, gh*p, gw*p)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `reshape` only splits or joins neighboring dimensions; it never changes the order of the numbers. `permute` changes the order: write down the number of each dimension before, in the order you want after. To split: dimensions are B 0, C 1, gh 2, row 3, gw 4, column 5. With einops: `rearrange(x, "b c (gh p) (gw q) -> ...", p=p, q=p)`.
#
# </details>
#
# <details><summary>My patches look like stripes</summary>
#
# A single `view` or `reshape` from the image cuts rows of pixels, not squares. There must be a `permute` between the two reshapes.
#
# </details>

# %% [markdown]
# ### Look: the same photograph at three patch sizes
#
# **Predict.** At which patch side can you still tell what the picture shows, if the patches are put back in another order, from dark to light?

# %% explore=true
photo = datasets.photograph("flower", height=256, width=384).image
fig, axes = plt.subplots(2, 4, figsize=(12.5, 4.6))
axes[0, 0].imshow(photo.permute(1, 2, 0))
axes[0, 0].set_title("the photograph")
worst_round_trip = 0.0
for column, side in enumerate((64, 32, 16), start=1):
    grid = (256 // side, 384 // side)
    pieces = patchify(photo[None], side)
    reassembled = unpatchify(pieces, side, grid, 3)[0]
    worst_round_trip = max(worst_round_trip, (reassembled - photo).abs().max().item())
    by_brightness = pieces.mean(-1).argsort()[..., None].expand_as(pieces)
    axes[0, column].imshow(reassembled.permute(1, 2, 0))
    axes[0, column].hlines([side * k for k in range(1, grid[0])], 0, 384, color="white", linewidth=0.7)
    axes[0, column].vlines([side * k for k in range(1, grid[1])], 0, 256, color="white", linewidth=0.7)
    axes[0, column].set_title(f"p = {side}: {grid[0]} x {grid[1]} = {grid[0] * grid[1]} patches")
    axes[1, column].imshow(unpatchify(pieces.gather(1, by_brightness), side, grid, 3)[0].permute(1, 2, 0))
    axes[1, column].set_title("sorted from dark to light")
axes[1, 0].axis("off")
axes[1, 0].text(0.5, 0.5, "to a ViT without positions,\nthe same pictures", ha="center", va="center", fontsize=12)
for ax in axes.flat:
    ax.set_axis_off()
plt.show()
print(f"cut and reassembled, the largest difference to the photograph is {worst_round_trip}")

# %% explore=true
small = profile.pick(
    cpu=lambda: datasets.shapes(1, seed=4).x[0], gpu=lambda: datasets.cifar10(train=False, limit=1).x[0]
)()
fig, axes = plt.subplots(1, 4, figsize=(12.5, 3.4))
axes[0].imshow(small.permute(1, 2, 0))
axes[0].set_title("32 x 32 pixels")
for ax, side in zip(axes[1:], (4, 8, 16)):
    again = unpatchify(patchify(small[None], side), side, (32 // side, 32 // side), 3)[0]
    assert torch.equal(again, small)
    ax.imshow(again.permute(1, 2, 0), extent=(0, 32, 32, 0))
    ax.hlines(range(side, 32, side), 0, 32, color="white", linewidth=1.2)
    ax.vlines(range(side, 32, side), 0, 32, color="white", linewidth=1.2)
    ax.set_title(f"p = {side}: {(32 // side) ** 2} patches")
for ax in axes:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# **Explain.** The round trip is exact: 0.0, not nearly 0. In the lower row every patch is there, and nothing is in its place. That is what a transformer without positions gets: a *bag* of patches. With large patches you can still guess, because each patch alone shows a lot. Remember this for exercise 8.

# %% [markdown] about="embed"
# ### Exercise 2. Patch embedding
#
# A patch has $C p^2$ numbers, the model wants $D$. One linear layer, the same for every patch, does that (Dosovitskiy et al. 2021, equation 1):
#
# $$z_n = E\, x_n + b, \qquad E \in \mathbb R^{D \times C p^2}$$
#
# A convolution with kernel $p$ **and stride $p$** is the same computation: the kernel meets each patch exactly once. timm writes it that way. Use either.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `img_size` | int or (h, w) | the only size that `forward` accepts |
# | `grid_size` | (gh, gw) | attribute: rows and columns of patches |
# | `forward(images)` | $(B, C, h, w) \to (B, N, D)$ | patches row by row |
# | `load_timm(state)` | `proj.weight` $(D, C, p, p)$, `proj.bias` $(D,)$ | copy the weights of timm's `PatchEmbed` |
#
# `load_timm` is how the tests reach your weights, so you may store them as you like. It copies numbers into the parameters that are there, since an optimizer may hold them already. Every part you build this week has one; in exercise 6 they together load a whole model.


# %% exercise="embed" difficulty=2 minutes=40 uses="patchify"
class PatchEmbedding(nn.Module):
    """Linear embedding of square patches (Dosovitskiy et al. 2021, equation 1).

    Parameters
    ----------
    img_size : int or (h, w) in pixels. patch_size : p. in_chans : C. embed_dim : D.

    Raises
    ------
    ValueError : when p does not divide h and w.
    """

    def __init__(self, img_size: int | tuple[int, int], patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        if height % patch_size or width % patch_size:
            raise ValueError(f"patches of side {patch_size} do not fit into {height} x {width} pixels")
        self.img_size = (height, width)
        self.grid_size = (height // patch_size, width // patch_size)
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)
        ### END SOLUTION

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embed images (B, C, h, w) as tokens (B, N, D); ValueError for images of another height or width."""
        ### BEGIN SOLUTION
        if tuple(images.shape[-2:]) != self.img_size:
            raise ValueError(f"images are {tuple(images.shape[-2:])} pixels, this model takes {self.img_size}")
        return self.proj(images).flatten(2).transpose(1, 2)
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy timm's weights: `proj.weight` (D, C, p, p) and `proj.bias` (D,)."""
        ### BEGIN SOLUTION
        self.load_state_dict(dict(state))
        ### END SOLUTION


# %% look="embed"
# Look: an untrained embedding as pictures. Each panel is one of the D numbers of every patch.
with checks.look():
    torch.manual_seed(0)
    look_image = datasets.photograph("china", height=256, width=384).image[None]
    look_embed = PatchEmbedding((256, 384), 16, 3, 4)
    look_tokens = look_embed(look_image).detach()
    print("grid:", look_embed.grid_size, "tokens:", tuple(look_tokens.shape))
    fig, axes = plt.subplots(1, 5, figsize=(13, 2.3))
    axes[0].imshow(look_image[0].permute(1, 2, 0))
    axes[0].set_title("the photograph")
    for d, ax in enumerate(axes[1:]):
        ax.imshow(look_tokens[0, :, d].reshape(16, 24), cmap="RdBu_r")
        ax.set_title(f"number {d} of each token")
    for ax in axes:
        ax.set_axis_off()
    plt.show()

# %% [markdown] hints="embed"
# <details><summary>Hint 1: the idea</summary>
#
# Two ways, same numbers. Either cut with your `patchify` and apply one `nn.Linear`, or let an `nn.Conv2d` slide over the image in steps of $p$ and turn its $(B, D, g_h, g_w)$ output into a row of tokens.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    (h, w) from img_size, which may be one int
#              if p does not divide both: ValueError
#              grid_size = (h/p, w/p)
#              one layer: C*p*p numbers -> D numbers, with bias
#     forward: if the images have another height or width: ValueError
#              tokens (B, N, D)
#     load:    copy weight and bias; a linear layer wants the weight as (D, C*p*p)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# A convolution with `kernel_size=p, stride=p` gives $(B, D, g_h, g_w)$. `.flatten(2)` joins the last two dimensions, `.transpose(1, 2)` brings the tokens to the front. For a linear layer, flatten timm's weight from dimension 1 on. Copy inside `with torch.no_grad():` by `parameter.copy_(...)`, or use `load_state_dict`.
#
# </details>
#
# <details><summary>My tokens are (B, D, N)</summary>
#
# A convolution gives channels before places. After `.flatten(2)` swap the last two dimensions; a `reshape` to $(B, N, D)$ has the right shape and mixes up the numbers.
#
# </details>

# %% [markdown]
# ### Look: do similar patches get similar tokens?
#
# The embedding below is **not trained**: its weights are random. Still, it is linear, so patches that differ little get tokens that differ little. t-SNE lays tokens with $D = 64$ numbers out on a plane so that neighbors stay neighbors. Every dot is one patch of two photographs, painted in the mean color of its patch.
#
# **Predict.** Will dots of one color lie together, though nobody told t-SNE about colors?

# %% explore=true
from sklearn.manifold import TSNE

torch.manual_seed(0)
photo_size = profile.pick(cpu=(160, 240), gpu=(416, 640))
photo_embed = PatchEmbedding(photo_size, 16, 3, 64)
dots, dot_colors = [], []
for name in ("flower", "china"):
    picture = datasets.photograph(name, height=photo_size[0], width=photo_size[1]).image[None]
    with torch.no_grad():
        dots.append(photo_embed(picture)[0])
    dot_colors.append(patchify(picture, 16)[0].reshape(-1, 3, 256).mean(-1))
dots, dot_colors = torch.cat(dots), torch.cat(dot_colors)
plane = torch.from_numpy(TSNE(perplexity=20, max_iter=500, random_state=0).fit_transform(dots.numpy()))


def color_gap(places: torch.Tensor, k: int = 5) -> float:
    """Mean difference in color between a patch and its k nearest neighbors, with places (n, d)."""
    away = torch.cdist(places, places).fill_diagonal_(math.inf)
    nearest = away.topk(k, largest=False).indices
    return (dot_colors[nearest] - dot_colors[:, None]).norm(dim=-1).mean().item()


random_places = checks.normal(seed=0)(len(dots), 2)
fig, ax = plt.subplots(figsize=(7.5, 4.6))
half = len(dots) // 2
for part, marker, name in ((slice(0, half), "o", "flower"), (slice(half, None), "s", "china")):
    ax.scatter(
        *plane[part].T,
        c=dot_colors[part].clamp(0, 1).numpy(),
        marker=marker,
        s=34,
        edgecolors="0.4",
        linewidths=0.4,
        label=name,
    )
ax.set(
    title="Patches of two photographs, untrained embedding", xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2"
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
agreement = {
    "on the t-SNE plane": color_gap(plane),
    "among the tokens": color_gap(dots),
    "at random": color_gap(random_places),
}
for name, gap in agreement.items():
    print(f"5 nearest neighbors {name}: colors differ by {gap:.3f}")
assert agreement["on the t-SNE plane"] < 0.5 * agreement["at random"]

# %% [markdown]
# **Explain.** Neighbors on the plane differ in color far less than random pairs. An untrained linear map keeps most of what is in a patch; the mean color is its strongest part. Training turns the map so that what *matters* for the task gets the room.

# %% [markdown]
# ## Part 2. Where is each patch?
#
# Attention treats its tokens as a set: shuffle them, and the outputs are shuffled in the same way. So the order that you gave the patches is lost after one layer, unless each token **carries** its place. A ViT adds one vector per place to the token that stands there.

# %% [markdown] about="positions"
# ### Exercise 3. Class token and positions
#
# Two things happen between embedding and encoder (Dosovitskiy et al. 2021, equation 1). A learned **class token** is put in front: it belongs to no patch, collects what the others know, and is read out at the end. Then one learned position per token is added, **also to the class token**:
#
# $$z^0 = [\,x_{\text{class}};\; z_1;\; \dots;\; z_N\,] + E_{\text{pos}}, \qquad E_{\text{pos}} \in \mathbb R^{(N+1) \times D}$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `TokenAndPosition(n_patches, dim).class_token` | $(1, 1, D)$ | `nn.Parameter`, normal with std 0.02 |
# | `.positions` | $(1, N+1, D)$ | `nn.Parameter`, normal with std 0.02 |
# | `forward(tokens)` | $(B, N, D) \to (B, N+1, D)$ | ValueError for another $N$ |
# | `load_timm(state)` | `cls_token` $(1, 1, D)$, `pos_embed` $(1, N+1, D)$ | copy timm's weights |
#
# Positions can also be **fixed**, from sines and cosines of the row and of the column. With $w_k = 10000^{-k/(D/4)}$ for $k = 0, \dots, D/4 - 1$, the vector of cell (row, col) is four blocks of $D/4$ numbers, in this order:
#
# $$[\;\sin(\text{row} \cdot w),\;\; \cos(\text{row} \cdot w),\;\; \sin(\text{col} \cdot w),\;\; \cos(\text{col} \cdot w)\;]$$
#
# `sincos_2d(grid_hw, dim)` returns them as $(N, D)$ float32, cells row by row.


# %% exercise="positions" difficulty=2 minutes=50
class TokenAndPosition(nn.Module):
    """Prepend a learned class token, then add learned positions (Dosovitskiy et al. 2021, equation 1).

    Parameters
    ----------
    n_patches : N. dim : D. The parameters are `class_token` (1, 1, D) and `positions` (1, N+1, D).
    """

    def __init__(self, n_patches: int, dim: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.positions = nn.Parameter(0.02 * torch.randn(1, n_patches + 1, dim))
        ### END SOLUTION

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map patch tokens (B, N, D) to (B, N+1, D), class token first; ValueError for another number of patches."""
        ### BEGIN SOLUTION
        if tokens.shape[1] + 1 != self.positions.shape[1]:
            raise ValueError(f"{tokens.shape[1]} patches, but positions for {self.positions.shape[1] - 1}")
        first = self.class_token.expand(tokens.shape[0], -1, -1)
        return torch.cat([first, tokens], dim=1) + self.positions
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy timm's weights: `cls_token` (1, 1, D) and `pos_embed` (1, N+1, D)."""
        ### BEGIN SOLUTION
        self.load_state_dict({"class_token": state["cls_token"], "positions": state["pos_embed"]})
        ### END SOLUTION


def sincos_2d(grid_hw: tuple[int, int], dim: int) -> torch.Tensor:
    """Fixed 2-D positions: the sines and cosines of Vaswani et al. 2017 for the row, then for the column.

    He et al. 2022 use the same four blocks, with those of the column first.

    Parameters
    ----------
    grid_hw : (gh, gw), rows and columns of the grid. dim : D, divisible by 4.

    Returns
    -------
    (gh*gw, D) float32, cells row by row, the blocks [sin row, cos row, sin column, cos column].

    Raises
    ------
    ValueError : when D is not divisible by 4.
    """
    ### BEGIN SOLUTION
    if dim % 4:
        raise ValueError(f"dim={dim} is not divisible by 4")
    frequencies = 10_000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    numbers = torch.arange(grid_hw[0] * grid_hw[1])
    by_row = (numbers // grid_hw[1])[:, None] * frequencies
    by_column = (numbers % grid_hw[1])[:, None] * frequencies
    return torch.cat([by_row.sin(), by_row.cos(), by_column.sin(), by_column.cos()], dim=1).float()
    ### END SOLUTION


# %% look="positions"
# Look: the fixed positions of a 6 x 8 grid as a table, and the token row with its class token.
with checks.look():
    look_positions = sincos_2d((6, 8), 32)
    fig, ax = plt.subplots(figsize=(7.5, 4))
    plotting.heatmap(
        ax,
        look_positions,
        title="sincos_2d((6, 8), 32)",
        xlabel="number of the vector",
        ylabel="cell, row by row",
        diverging=True,
    )
    plt.show()
    look_row = TokenAndPosition(n_patches=48, dim=32)(look_positions[None])
    print("48 tokens became", look_row.shape[1])

# %% [markdown] hints="positions"
# <details><summary>Hint 1: the idea</summary>
#
# The class token is one parameter for all images; a batch only *shows* it $B$ times. Put it in front, then add the positions to the whole row. For the fixed positions, find row and column of every cell first; then everything is an outer product with the frequencies.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    class_token = parameter (1, 1, D); positions = parameter (1, N+1, D); both normal, std 0.02
#     forward: if the number of patches is not N: ValueError
#              show the class token B times, put it before the tokens, add the positions
#
#     sincos:  if D is no multiple of 4: ValueError
#              w = 10000 to the power of -k / (D/4), for k = 0 ... D/4 - 1
#              row and column number of each cell, row by row, as columns (N, 1)
#              four blocks (N, D/4): sin and cos of row*w, sin and cos of column*w; side by side
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `parameter.expand(B, -1, -1)` shows one row $B$ times without copying; gradients add up in the one parameter. `torch.cat([a, b], dim=1)` joins along the tokens. For cells row by row: cell $n$ lies in row `n // gw` and column `n % gw`; or `torch.meshgrid(rows, columns, indexing="ij")`. `column[:, None] * w` is the outer product.
#
# </details>
#
# <details><summary>Sizes of tensors must match except in dimension 1</summary>
#
# The class token has a batch of 1, the tokens one of $B$. Show it $B$ times with `.expand` before you put it in front.
#
# </details>

# %% [markdown]
# ### Look: what the fixed positions know
#
# **Predict.** Take one cell and compute the cosine similarity of its position with every other one. Where is it largest, and where is it smallest?

# %% explore=true
tile_grid = (6, 8)
fixed = F.normalize(sincos_2d(tile_grid, 128), dim=1)
similarity = (fixed @ fixed.T).reshape(*tile_grid, *tile_grid)
peaks = similarity.flatten(2).argmax(-1).flatten()
fig, axes = plt.subplots(*tile_grid, figsize=(8.6, 5.2))
for ax, tile in zip(axes.flat, similarity.flatten(0, 1)):
    shown = ax.imshow(tile, vmin=similarity.min(), vmax=1)
    ax.set(xticks=[], yticks=[])
fig.colorbar(shown, ax=axes, label="cosine similarity")
fig.suptitle("each tile: one cell compared with all cells of the 6 x 8 grid")
plt.show()
print("tiles that peak at their own cell:", int((peaks == torch.arange(len(peaks))).sum()), "of", len(peaks))
assert torch.equal(peaks, torch.arange(len(peaks)))

# %% [markdown]
# **Explain.** Every tile peaks at its own cell, so the positions are all different. Half of the numbers know only the row, the other half only the column, so the similarity is the mean of two parts: one falls with the distance in rows, the other with the distance in columns. A cell in the same row keeps its half of the similarity however far away it is, and the far corner is least alike. A learned table can take any form; in trained ViTs it ends up looking much like this one (Dosovitskiy et al. 2021, figure 7, center).

# %% [markdown] about="resize"
# ### Exercise 4. Positions for another image size
#
# A model trained at $224 \times 224$ with $p = 16$ has $14 \times 14$ learned positions. Show it $384 \times 384$ pixels, and it needs $24 \times 24$. Everything else in a ViT takes any number of tokens. So: treat the positions as an image with $D$ channels and resize it (Dosovitskiy et al. 2021, section 3.2). Prefix tokens, such as the class token, have no place in the grid and keep theirs.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `pos` | $(1, n_{\text{prefix}} + g_h g_w, D)$ | learned positions |
# | `old_grid`, `new_grid` | (gh, gw) | rows and columns, before and after |
# | result | $(1, n_{\text{prefix}} + g_h' g_w', D)$ | bicubic, without antialiasing; same dtype |


# %% exercise="resize" difficulty=3 minutes=30
def resize_positions(
    pos: torch.Tensor, old_grid: tuple[int, int], new_grid: tuple[int, int], n_prefix: int = 1
) -> torch.Tensor:
    """Resize learned positions to another grid (Dosovitskiy et al. 2021, section 3.2), bicubic as in timm.

    Parameters
    ----------
    pos : (1, n_prefix + gh*gw, D) float; prefix tokens first, then cells row by row. It is not changed.
    old_grid, new_grid : (gh, gw), rows and columns. n_prefix : tokens without a place in the grid.

    Returns
    -------
    (1, n_prefix + new gh * new gw, D), dtype of `pos`; the prefix is unchanged.

    Raises
    ------
    ValueError : when `pos` does not have n_prefix + gh*gw tokens for the old grid.
    """
    ### BEGIN SOLUTION
    if pos.shape[1] != n_prefix + old_grid[0] * old_grid[1]:
        raise ValueError(f"{pos.shape[1]} positions are not {n_prefix} + {old_grid[0]} x {old_grid[1]}")
    prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]
    image = cells.transpose(1, 2).unflatten(2, tuple(old_grid))
    resized = F.interpolate(image, size=tuple(new_grid), mode="bicubic", align_corners=False)
    return torch.cat([prefix, resized.flatten(2).transpose(1, 2)], dim=1)
    ### END SOLUTION


# %% look="resize"
# Look: one number of the positions as an image, before and after.
with checks.look():
    wave = torch.sin(torch.arange(6.0))[:, None] + torch.cos(torch.arange(8.0) / 2)[None]
    look_pos = torch.cat([torch.zeros(1), wave.flatten()])[None, :, None]
    bigger = resize_positions(look_pos, (6, 8), (18, 24))
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    for ax, shown, title in (
        (axes[0], wave, "6 x 8"),
        (axes[1], bigger[0, 1:, 0].reshape(18, 24), "resized to 18 x 24"),
    ):
        plotting.heatmap(ax, shown, title=title, xlabel="column", ylabel="row", diverging=True, vmin=-2, vmax=2)
    plt.show()

# %% [markdown] hints="resize"
# <details><summary>Hint 1: the idea</summary>
#
# Resizing is solved: `F.interpolate` does it for images $(B, C, h, w)$. Your work is to set the prefix aside, make the rest an image with $D$ channels, and undo that afterwards.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     if the number of tokens does not fit the old grid: ValueError
#     prefix, cells = the first n_prefix tokens, the rest
#     cells (1, gh*gw, D) -> (1, D, gh*gw) -> (1, D, gh, gw)
#     resize to the new grid, bicubic
#     back to (1, new gh * new gw, D), and the prefix in front
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# Transpose **before** you unfold the grid: `reshape(1, D, gh, gw)` straight from `(1, gh*gw, D)` mixes cells with channels. `F.interpolate(image, size=(gh, gw), mode="bicubic", align_corners=False)`; leave `antialias` off. The way back: flatten the last two dimensions, transpose, and `torch.cat` along dimension 1.
#
# </details>
#
# <details><summary>The resized positions look scrambled</summary>
#
# Then cells and channels were mixed: the tokens $(1, N, D)$ were reshaped to an image where they must be transposed first.
#
# </details>

# %% [markdown]
# ## Part 3. The encoder
#
# The rest of a ViT is the same block, again and again. Each block has two halves. **Attention** moves information between tokens. The **MLP** works on each token alone. Both add their result to what is there, so each token keeps a straight line from the input to the output: the residual stream.
#
# **Predict.** In which half do most of the weights sit?

# %% [markdown]
# The tests compare with timm, the library that most vision papers use. These two helpers make timm's models with **random weights in every parameter**: freshly made models have biases of 0 and scales of 1, and such a model cannot tell whether you forgot one.


# %% given="timm-models"
def randomize(module: nn.Module, seed: int, std: float = 0.2) -> nn.Module:
    """Draw every parameter anew: normal with this standard deviation, around 1 for the scales of layer norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            center = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(center + std * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def timm_vit(
    img_size: int | tuple[int, int] = 32,
    patch_size: int = 8,
    in_chans: int = 3,
    num_classes: int = 10,
    embed_dim: int = 16,
    depth: int = 2,
    num_heads: int = 2,
    mlp_ratio: float = 4.0,
) -> nn.Module:
    """timm's VisionTransformer; its state dict has the names that `load_timm` gets."""
    model = timm_models.VisionTransformer(
        img_size=img_size,
        patch_size=patch_size,
        in_chans=in_chans,
        num_classes=num_classes,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
    )
    model.patch_size = patch_size
    return model.eval()


# %% [markdown] about="block"
# ### Exercise 5. The encoder block
#
# Pre-norm, with two residual connections (Dosovitskiy et al. 2021, equations 2 and 3):
#
# $$y = x + \operatorname{attention}(\operatorname{LN}_1(x)), \qquad \text{output} = y + \operatorname{MLP}(\operatorname{LN}_2(y))$$
#
# | part | exactly |
# | --- | --- |
# | attention | `nn.MultiheadAttention(dim, num_heads, batch_first=True)`; queries, keys and values are the same normalized tokens |
# | MLP | linear $D \to rD$, **exact** GELU, linear $rD \to D$; $r$ is `mlp_ratio`, the hidden width is `int(dim * mlp_ratio)` |
# | LN | layer norm over $D$, with **eps = 1e-6** (PyTorch's default is 1e-5) |
#
# `load_timm(state)` gets the state dict of one timm block:
#
# | timm's name | shape | in PyTorch's attention |
# | --- | --- | --- |
# | `attn.qkv.weight`, `.bias` | $(3D, D)$, $(3D,)$ | `in_proj_weight`, `in_proj_bias`: the same rows, q, k, v |
# | `attn.proj.weight`, `.bias` | $(D, D)$, $(D,)$ | `out_proj.weight`, `out_proj.bias` |
# | `norm1.*`, `norm2.*` | $(D,)$ | |
# | `mlp.fc1.*`, `mlp.fc2.*` | $(rD, D)$, $(D, rD)$ and biases | |


# %% exercise="block" difficulty=3 minutes=60
class EncoderBlock(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021, equations 2 and 3).

    Parameters
    ----------
    dim : D. num_heads : H, divides D. mlp_ratio : r; the MLP has int(D*r) hidden units.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attention = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        ### END SOLUTION

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (B, T, D) to (B, T, D)."""
        ### BEGIN SOLUTION
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.mlp(self.norm2(tokens))
        ### END SOLUTION

    def load_timm(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy the weights of one timm block; the names are in the table above."""
        ### BEGIN SOLUTION
        theirs = {
            "norm1": "norm1",
            "norm2": "norm2",
            "attention.out_proj": "attn.proj",
            "mlp.0": "mlp.fc1",
            "mlp.2": "mlp.fc2",
        }
        mine = {
            f"{ours}.{kind}": state[f"{name}.{kind}"] for ours, name in theirs.items() for kind in ("weight", "bias")
        }
        mine |= {f"attention.in_proj_{kind}": state[f"attn.qkv.{kind}"] for kind in ("weight", "bias")}
        self.load_state_dict(mine)
        ### END SOLUTION


# %% look="block"
# Look: how far a block moves each token at the start, and where its weights sit.
with checks.look():
    torch.manual_seed(0)
    look_block = EncoderBlock(64, 4)
    sizes = {name: part.numel() for name, part in look_block.named_parameters()}
    look_x = checks.normal(seed=0)(1, 17, 64)
    moved = (look_block(look_x) - look_x).norm(dim=-1) / look_x.norm(dim=-1)
    print(f"a token moves by {moved.mean().item():.0%} of its length; parameters in all: {sum(sizes.values()):,}")
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    ax.barh(list(sizes), list(sizes.values()))
    ax.invert_yaxis()
    ax.set(xlabel="parameters", title="your block, D = 64")
    plt.show()

# %% [markdown] hints="block"
# <details><summary>Hint 1: the idea</summary>
#
# Two sentences of code in `forward`, one for each equation. Note *where* the norm stands: inside, before attention and MLP, and never on the residual path. The loader only renames.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    norm, attention, norm, MLP = linear, GELU, linear
#     forward: n = first norm of the tokens
#              tokens = tokens plus attention(n, n, n)
#              tokens = tokens plus MLP of the second norm of the tokens
#     load:    for each of the 12 tensors: copy timm's into yours
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `nn.MultiheadAttention` returns a pair; take `[0]`. Call it with `batch_first=True` at construction, or the batch is taken for the sequence. `nn.GELU()` is the exact one; `approximate="tanh"` is not. A state dict is a plain dictionary: build one with your own names and give it to `self.load_state_dict`, which also complains about names that are missing.
#
# </details>
#
# <details><summary>My output differs only in the fourth digit</summary>
#
# Then the structure is right. Look at the GELU (tanh approximation?) and at the eps of the layer norms.
#
# </details>

# %% [markdown] about="vit"
# ### Exercise 6. The whole model
#
# Put the parts in a row (Dosovitskiy et al. 2021, equations 1 to 4):
#
# $$\text{images} \to \text{patch embedding} \to \text{class token, positions} \to \text{blocks} \to \operatorname{LN} \to \text{token } 0 \to \text{linear head}$$
#
# | method | result | meaning |
# | --- | --- | --- |
# | `forward_features(images)` | $(B, N+1, D)$ | all tokens **after** the final norm (eps 1e-6) |
# | `forward(images)` | $(B, K)$ | logits, from token 0 of the features |
# | `load_timm(state_dict)` | | hand each part its share of timm's weights |
#
# timm's names begin with the part they belong to: `patch_embed.proj.weight`, `cls_token`, `pos_embed`, `blocks.0.norm1.weight` … `blocks.11.mlp.fc2.bias`, `norm.weight`, `norm.bias`, `head.weight`, `head.bias`. Your parts know how to load their own.


# %% exercise="vit" difficulty=4 minutes=75 uses="embed, positions, block"
class VisionTransformer(nn.Module):
    """A vision transformer for classification (Dosovitskiy et al. 2021, section 3.1).

    Parameters
    ----------
    img_size : int or (h, w) in pixels. patch_size : p. in_chans : C. num_classes : K.
    embed_dim : D. depth : number of blocks. num_heads : H. mlp_ratio : r.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 32,
        patch_size: int = 8,
        in_chans: int = 3,
        num_classes: int = 10,
        embed_dim: int = 64,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        ### BEGIN SOLUTION
        self.patch_embedding = PatchEmbedding(img_size, patch_size, in_chans, embed_dim)
        rows, columns = self.patch_embedding.grid_size
        self.token_and_position = TokenAndPosition(rows * columns, embed_dim)
        self.blocks = nn.ModuleList(EncoderBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.head = nn.Linear(embed_dim, num_classes)
        ### END SOLUTION

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, h, w) to tokens (B, N+1, D) after the final norm."""
        ### BEGIN SOLUTION
        tokens = self.token_and_position(self.patch_embedding(images))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)
        ### END SOLUTION

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, h, w) to logits (B, K), read from the class token."""
        ### BEGIN SOLUTION
        return self.head(self.forward_features(images)[:, 0])
        ### END SOLUTION

    def load_timm(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Copy all weights of a timm VisionTransformer of the same sizes."""

        ### BEGIN SOLUTION
        def share(prefix: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}

        self.patch_embedding.load_timm(share("patch_embed."))
        self.token_and_position.load_timm(state_dict)
        for number, block in enumerate(self.blocks):
            block.load_timm(share(f"blocks.{number}."))
        self.norm.load_state_dict(share("norm."))
        self.head.load_state_dict(share("head."))
        ### END SOLUTION


# %% look="vit"
# Look: the tokens of three pictures on their way out, and the logits of an untrained model.
with checks.look():
    torch.manual_seed(0)
    look_model = VisionTransformer()
    look_pictures = datasets.shapes(3, seed=1).x
    with torch.no_grad():
        look_features, look_logits = look_model.forward_features(look_pictures), look_model(look_pictures)
    print("features:", tuple(look_features.shape), "logits:", tuple(look_logits.shape))
    print(f"parameters: {profiling.parameter_count(look_model):,}")
    print("logits of the first picture:", look_logits[0].numpy().round(2))
    display(plotting.image_grid(look_pictures, titles=["0", "1", "2"]))

# %% [markdown] hints="vit"
# <details><summary>Hint 1: the idea</summary>
#
# Nothing new is computed here. The model owns five parts and calls them in order. Put the blocks into an `nn.ModuleList`: a plain list hides their parameters from the optimizer.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:     patch embedding; class token and positions for gh*gw patches; depth blocks; norm; linear head
#     features: embed, add token and positions, each block in turn, final norm
#     forward:  head of token 0 of the features
#     load:     for each part, the entries whose name starts with its prefix, the prefix cut off;
#               the class token and the positions have no prefix
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `{key.removeprefix(start): value for ... if key.startswith(start)}` picks a share. Use `"blocks.1."` with the final dot, or block 1 also gets the weights of blocks 10 and 11. `features[:, 0]` is the class token of every image. Norm and head are plain PyTorch layers: `load_state_dict` takes `weight` and `bias`.
#
# </details>
#
# <details><summary>Unexpected key(s) in state_dict: "0.norm1.weight"</summary>
#
# The prefix `blocks.1` also begins the names of blocks 10 and 11. Cut off `blocks.1.`, with its last dot.
#
# </details>

# %% [markdown]
# ### Milestone: the real thing
#
# ViT-Tiny at $224 \times 224$: 12 blocks, width 192, 3 heads, 1,000 classes, 5.7 million weights. timm builds it; your class loads its weights. With `PROFILE=gpu` they are the pretrained ones, and the model says what it sees. Offline every one of them is random, which tests your code just as hard.

# %% explore=true
torch.manual_seed(0)
pretrained = profile.pick(cpu=False, gpu=True)
real = timm_models.vit_tiny_patch16_224(pretrained=pretrained).eval()
if not pretrained:
    randomize(real, seed=0, std=0.05)
mine = VisionTransformer(224, 16, 3, 1000, embed_dim=192, depth=12, num_heads=3).eval()
mine.load_timm(real.state_dict())
real_photo = datasets.photograph("flower", height=224, width=224).image[None] * 2 - 1
with torch.inference_mode():
    real_logits, my_logits = real(real_photo), mine(real_photo)
print(f"parameters: {profiling.parameter_count(mine):,} (timm: {profiling.parameter_count(real):,})")
print(
    f"largest logit {real_logits.abs().max():.3f}; yours differ from timm's by at most {(my_logits - real_logits).abs().max():.1e}"
)
if pretrained:
    from timm.data import ImageNetInfo

    for chance, index in zip(*my_logits.softmax(-1)[0].topk(3)):
        print(f"{chance:6.1%}  {ImageNetInfo().index_to_description(int(index))}")

# %% [markdown]
# ## Part 4. What it costs
#
# You know the number of tokens before you run anything, so you know the cost. **Predict.** Halve the side of the patches, from 8 to 4. "Attention is quadratic", so does the model get 16 times as expensive?

# %% [markdown] about="cost"
# ### Exercise 7. Tokens and FLOPs
#
# Count matrix products, with **2 FLOPs** for each multiply-add. $T = N + 1$ is the number of tokens, class token included. Norms, GELU, softmax, biases and additions are small and do not count.
#
# | where | products | FLOPs |
# | --- | --- | --- |
# | patch embedding, $N$ patches | $(N, C p^2) \times (C p^2, D)$ | $2 N C p^2 D$ |
# | attention projections, each block | four times $(T, D) \times (D, D)$ | ? |
# | scores and average, each block | $(T, d) \times (d, T)$ and $(T, T) \times (T, d)$, for $H$ heads | ? |
# | MLP, each block | $(T, D) \times (D, rD)$ and back | ? |
# | head, one token | $(1, D) \times (D, K)$ | $2 D K$ |
#
# | function | result |
# | --- | --- |
# | `token_count(h, w, p)` | $T$, an int; ValueError when $p$ does not divide $h$ and $w$ |
# | `vit_flops(h, w, p, dim, depth, mlp_ratio, channels, classes)` | FLOPs for one image, an int |


# %% exercise="cost" difficulty=3 minutes=35
def token_count(h: int, w: int, p: int) -> int:
    """Number of tokens T of a ViT, the class token included.

    Parameters
    ----------
    h, w : height and width of the image in pixels. p : side of a patch in pixels.

    Raises
    ------
    ValueError : when p does not divide h and w.
    """
    ### BEGIN SOLUTION
    if h % p or w % p:
        raise ValueError(f"patches of side {p} do not fit into {h} x {w} pixels")
    return (h // p) * (w // p) + 1
    ### END SOLUTION


def vit_flops(h: int, w: int, p: int, dim: int, depth: int, mlp_ratio: float, channels: int, classes: int) -> int:
    """FLOPs of the matrix products of a ViT for one image, 2 for each multiply-add.

    Parameters
    ----------
    h, w, p : pixels, as in `token_count`. dim : D. depth : number of blocks.
    mlp_ratio : r, with int(D*r) hidden units. channels : C. classes : K.

    Returns
    -------
    An int, exact for any size. Norms, activations, softmax, biases and additions are not counted.

    Raises
    ------
    ValueError : when p does not divide h and w.
    """
    ### BEGIN SOLUTION
    tokens = token_count(h, w, p)
    hidden = int(dim * mlp_ratio)
    projections = 4 * tokens * dim * dim
    scores_and_average = 2 * tokens * tokens * dim
    mlp = 2 * tokens * dim * hidden
    patches = (tokens - 1) * channels * p * p * dim
    return 2 * (depth * (projections + scores_and_average + mlp) + patches + dim * classes)
    ### END SOLUTION


# %% look="cost"
# Look: your count for ViT-Tiny, Small and Base at 224 x 224, p = 16. timm's tables say 1.26, 4.61 and 17.58 billion
# multiply-adds; yours are FLOPs, twice as many (and a little less, since timm counts more than matrix products).
with checks.look():
    rows = [
        {"model": name, "D": width, "GFLOPs": vit_flops(224, 224, 16, width, 12, 4.0, 3, 1000) / 1e9}
        for name, width in (("Tiny", 192), ("Small", 384), ("Base", 768))
    ]
    print("tokens:", token_count(224, 224, 16))
    print(profiling.table(rows))

# %% [markdown] hints="cost"
# <details><summary>Hint 1: the idea</summary>
#
# Write down each matrix product with its three sizes, multiply the three, sum up. Which tokens take part? All $T$ in the blocks, only the $N$ patches in the embedding, one in the head.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     tokens = patches + 1
#     each block, multiply-adds: four projections           T*D*D each
#                                scores, and the average    T*T*D each, all heads together
#                                two linear layers          T*D*hidden each
#     FLOPs = 2 * (depth * block + patches * C*p*p * D + D*K)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# With $r = 4$ a block has $12 T D^2 + 2 T^2 D$ multiply-adds. The heads do not appear: $H$ heads of width $D/H$. `int(dim * mlp_ratio)` keeps the result an int; use `//` and no `/`.
#
# </details>
#
# <details><summary>My count is off by a little</summary>
#
# Then $N$ and $T$ were mixed up: the embedding works on the patches, the blocks on the patches and the class token, the head on one token.
#
# </details>

# %% [markdown]
# ### Profiling corner: one model, three patch sizes
#
# Width 192, 12 blocks, 3 heads, $32 \times 32$ pixels: ViT-Tiny on images of CIFAR-10's size.

# %% explore=true compare=true
cost_rows = []
for side in (4, 8, 16):
    T = token_count(32, 32, side)
    total = vit_flops(32, 32, side, 192, 12, 4.0, 3, 10)
    quadratic = 12 * 4 * T**2 * 192
    model = VisionTransformer(32, side, 3, 10, embed_dim=192, depth=12, num_heads=3)
    cost_rows.append(
        {
            "patch": side,
            "tokens": T,
            "MFLOPs": f"{total / 1e6:.1f}",
            "of it T² part": f"{quadratic / 1e6:.2f}",
            "share": f"{quadratic / total:.1%}",
            "parameters": profiling.parameter_count(model),
        }
    )
print(profiling.table(cost_rows, title="D = 192, 12 blocks, 32 x 32 pixels"))
costs = {side: vit_flops(32, 32, side, 192, 12, 4.0, 3, 10) for side in (4, 8, 16)}
squares = {side: token_count(32, 32, side) ** 2 for side in (4, 8, 16)}
print(
    f"\nfrom p = 8 to p = 4 the cost grows {costs[4] / costs[8]:.2f} times, the T² part {squares[4] / squares[8]:.1f} times"
)
print(
    f"from p = 16 to p = 8 the cost grows {costs[8] / costs[16]:.2f} times, the T² part {squares[8] / squares[16]:.1f} times"
)

# %% [markdown]
# **Explain.** Halving $p$ makes four times as many patches. All linear layers work on each token, so they grow four times: as $1/p^2$. Only scores and average compare pairs; they grow nearly 16 times, as $1/p^4$ (the class token spoils the round number). But at $p = 4$ that part is 5 % of the bill, so the bill grows 3.96 times. The two parts are equal when $4 T^2 D = 24 T D^2$, that is at $T = 6D = 1{,}152$ tokens. So "smaller patches cost quadratically more" needs the question: quadratic in *what*?
#
# And note the last column: the *largest* patches need the *most* parameters. The projection has $C p^2 D$ weights, and positions are cheap.

# %% explore=true
fig, axes = plt.subplots(1, 2, figsize=(11.5, 3.8))
sides = (16, 8, 4, 2, 1)
for ax, size, title in ((axes[0], (32, 32), "32 x 32 pixels"), (axes[1], (128, 128), "128 x 128 pixels")):
    tokens_of = [token_count(*size, side) for side in sides]
    pairs_part = [12 * 4 * T**2 * 192 / 1e9 for T in tokens_of]
    all_parts = [vit_flops(*size, side, 192, 12, 4.0, 3, 10) / 1e9 for side in sides]
    linear_part = [whole - part for whole, part in zip(all_parts, pairs_part)]
    x = torch.arange(len(sides)).numpy()
    ax.bar(x - 0.2, linear_part, 0.4, label="linear layers, grows as $1/p^2$")
    ax.bar(x + 0.2, pairs_part, 0.4, label="scores and average, $1/p^4$", hatch="//", edgecolor="white")
    ax.set(yscale="log", title=title, ylabel="GFLOPs", xlabel="patch side p (tokens)")
    ax.set_xticks(x, [f"{side}\n({T:,})" for side, T in zip(sides, tokens_of)])
axes[0].legend(loc="upper left")
plt.show()

# %% [markdown]
# The bars cross where $T = 6D$, and at no other place: at $128 \times 128$ pixels that happens between $p = 4$ and $p = 2$.
#
# FLOPs are not seconds. **Predict.** $p = 4$ does 13 times the FLOPs of $p = 16$. Is it 13 times slower?

# %% explore=true
device = profile.device()
batch_size = profile.pick(cpu=64, gpu=512)
width, blocks = profile.pick(cpu=(64, 4), gpu=(192, 12))
pictures = profile.pick(
    cpu=lambda: datasets.shapes(batch_size, seed=0).x, gpu=lambda: datasets.cifar10(train=False, limit=batch_size).x
)().to(device)
rows = []
for side in (16, 8, 4):
    torch.manual_seed(0)
    model = VisionTransformer(32, side, 3, 10, embed_dim=width, depth=blocks, num_heads=width // 32).to(device).eval()
    with torch.inference_mode():
        assert model(pictures).shape == (batch_size, 10)
        took = profiling.latency(model, pictures, warmup=2, runs=profile.pick(cpu=7, gpu=30))
        held = profiling.peak_memory(model, pictures)
    gflops = batch_size * vit_flops(32, 32, side, width, blocks, 4.0, 3, 10) / 1e9
    rows.append(
        {
            "patch": side,
            "tokens": token_count(32, 32, side),
            "GFLOPs": gflops,
            "median ms": took.p50_ms,
            "90 % below": took.p90_ms,
            "images/s": round(1e3 * batch_size / took.p50_ms),
            "GFLOP/s": round(1e3 * gflops / took.p50_ms),
            "peak MiB": held / 2**20,
        }
    )
print(profiling.table(rows, title=f"{batch_size} images at once, D = {width}, {blocks} blocks"))

# %% [markdown]
# ### Photographs: what do smaller patches buy?
#
# They cost nearly four times as much. Are they worth it? The cell below trains your ViT from scratch on real CIFAR-10, where you have it on disk (set `WORKBOOK_DATA`; about three minutes on two cores, and `WORKBOOK_MINUTES` asks for more steps and more images). Three runs, from one seed and with the same batches: patches of 8 and of 4 for **equal steps**, and patches of 8 for as many more steps as make **equal FLOPs**.
#
# **Predict.** Which of the three is right most often? And which two do you have to compare, if your machine is the limit?


# %% explore=true measured="cifar10"
def train_on_photographs(
    train: datasets.LabeledImages,
    test: datasets.LabeledImages,
    side: int,
    steps: int,
    width: int,
    depth: int,
    seed: int,
) -> Callable[[], list[float]]:
    """A model with patches of this side, and its training to be called: accuracy on the test images, ten times."""
    device = profile.device()
    torch.manual_seed(seed)
    model = VisionTransformer(32, side, 3, len(train.classes), width, depth, width // 32, mlp_ratio=2.0).to(device)
    mean, std = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    draw = torch.Generator().manual_seed(seed)
    stops = {round(steps * tenth / 10) for tenth in range(1, 11)}

    def right() -> float:
        with torch.no_grad():
            found = [model(((x - mean) / std).to(device)).argmax(-1).cpu() for x in test.x.split(500)]
        return (torch.cat(found) == test.y).float().mean().item()

    def run() -> list[float]:
        measured = []
        for step in range(1, steps + 1):
            picked = torch.randint(len(train.x), (64,), generator=draw)
            flip = torch.rand(64, 1, 1, 1, generator=draw) < 0.5
            x = torch.where(flip, train.x[picked].flip(-1), train.x[picked])
            optimizer.zero_grad()
            F.cross_entropy(model(((x - mean) / std).to(device)), train.y[picked].to(device)).backward()
            optimizer.step()
            schedule.step()
            if step in stops:
                measured.append(right())
        return measured

    return run


def compare_patches(images: int, tests: int, steps: int, width: int, depth: int, seed: int) -> None:
    """Print and draw accuracy against FLOPs for patches of 8 and 4, at equal steps and at equal FLOPs."""
    train, test = datasets.cifar10(limit=images), datasets.cifar10(train=False, limit=tests)
    flops = {side: vit_flops(32, 32, side, width, depth, 2.0, 3, len(train.classes)) for side in (8, 4)}
    more = round(steps * flops[4] / flops[8])
    names = {"p = 4": (4, steps), "p = 8, equal steps": (8, steps), "p = 8, equal FLOPs": (8, more)}
    runs = [train_on_photographs(train, test, *one, width, depth, seed) for one in names.values()]
    found = dict(zip(names, profile.side_by_side(lambda run: run(), runs)))
    _, ax = plt.subplots(figsize=(6.5, 4))
    rows = []
    for (name, (side, count)), marker in zip(names.items(), "os^"):
        spent = 3 * 64 * count * flops[side]  # a backward pass costs two forward passes
        ax.plot([spent * tenth / 1e13 for tenth in range(1, 11)], found[name], marker=marker, label=name)
        rows.append(
            {"model": name, "steps": f"{count:,}", "TFLOPs of the training": f"{spent / 1e12:,.0f}"}
            | {"right": f"{found[name][-1]:.1%}"}
        )
    print(profiling.table(rows, title=f"CIFAR-10, {images:,} training images, batches of 64, {tests:,} test images"))
    print(f"95 % interval of a share of 0.5 on {tests:,} images: ± {1.96 * (0.25 / tests) ** 0.5:.1%}; one seed")
    ax.set(xlabel="TFLOPs of the training so far", ylabel="test accuracy", title="CIFAR-10: patches of 4 and of 8")
    ax.legend(loc="lower right")
    plt.show()


budget = profile.budget(minutes=3)
if profile.current() is profile.Profile.GPU:
    compare_patches(50_000, 10_000, 20_000, 192, 9, budget.seed)
elif datasets.on_disk("cifar10"):
    compare_patches(budget.scaled(10_000, at_most=50_000), 5_000, budget.scaled(700), 64, 4, budget.seed)
else:
    print(
        "Patches of 4 and 8 on CIFAR-10: not measured in this run. With WORKBOOK_DATA=FOLDER this cell would measure it,"
    )
    print("  with images at FOLDER/cifar10/{train,test}/CLASS/NNNN.jpg")

# %% [markdown]
# **Explain.** Read the last column twice. At equal steps the small patches are ahead, beyond the interval: more tokens see more. But they had four times the FLOPs, and the third row shows what else those buy: with large patches and four times as many steps the model is ahead of both. "Smaller patches are better" and "smaller patches are not worth it" come from one table; which one you say depends on what you hold equal. And none of it is final: one seed, a small model, a short training, in which none of the curves has ended its climb for certain.

# %% [markdown]
# ### What positions are for
#
# Now the question of the shuffled photograph. A model without positions sees a bag of patches. You can measure that with one number: shuffle the patches of the *image*, and look whether the logits move.

# %% [markdown] about="sensitivity"
# ### Exercise 8. How much does the model care about places?
#
# Cut the images into patches, permute the patches (nothing inside a patch changes), put them together, and compare the logits:
#
# $$s = \max_{b,\,k} \bigl|\, f(\text{shuffled images})_{b,k} - f(\text{images})_{b,k} \,\bigr|$$
#
# | name | meaning |
# | --- | --- |
# | `model` | maps images $(B, C, h, w)$ to logits $(B, K)$; its attribute `patch_size` is $p$ |
# | `images` | $(B, C, h, w)$ |
# | `seed` | decides on the permutation, a random one of all patches; nothing else does, and all images of the batch get the same one |
# | result | a float |
#
# The measurement must not disturb the model: it runs without gradients and with every module in eval mode, and afterwards each module is back in the mode it came in. A model may hold modules of both modes, such as a frozen backbone in eval mode under a head that trains, so remember the mode of each. Parameters and their gradients stay as they are, and so does torch's global random state. All this holds, too, when the model raises an error.


# %% exercise="sensitivity" difficulty=2 minutes=25 uses="patchify"
def position_sensitivity(model: nn.Module, images: torch.Tensor, seed: int) -> float:
    """Largest change of a logit when the patches of the images are permuted, and nothing else.

    Parameters
    ----------
    model : maps (B, C, h, w) to logits (B, K), with the attribute `patch_size`. It is measured in eval mode and without
        gradients; every module of it is left in the mode it came in, and all else as it was.
    images : (B, C, h, w); not changed. seed : of the random permutation, the same one for all images.

    Returns
    -------
    The largest absolute difference over all images and classes, a float.
    """
    ### BEGIN SOLUTION
    p = model.patch_size
    patches = patchify(images, p)
    order = torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))
    grid = (images.shape[2] // p, images.shape[3] // p)
    shuffled = unpatchify(patches[:, order], p, grid, images.shape[1])
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return (model(shuffled) - model(images)).abs().max().item()
    finally:
        for module, training in modes:
            module.training = training
    ### END SOLUTION


# %% look="sensitivity"
# Look: ten permutations of four pictures, for timm's model with and without positions.
with checks.look():
    look_vit = randomize(timm_vit(), seed=0)
    look_batch = datasets.shapes(4, seed=3).x
    changes = {"with positions": [position_sensitivity(look_vit, look_batch, seed) for seed in range(10)]}
    with torch.no_grad():
        look_vit.pos_embed.zero_()
    changes["positions set to 0"] = [position_sensitivity(look_vit, look_batch, seed) for seed in range(10)]
    for name, found in changes.items():
        print(f"{name:>18}: largest change of a logit from {min(found):.1e} to {max(found):.1e}")

# %% [markdown] hints="sensitivity"
# <details><summary>Hint 1: the idea</summary>
#
# You have both halves: cutting and reassembling. Between them, put the row of patches into another order. Then it is two calls of the model and one maximum.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     cut the images; N patches
#     order = random permutation of N numbers from the seed
#     shuffled = reassemble the patches in that order
#     note the mode of each module; eval mode; no gradients
#     change = largest absolute difference of the two logits
#     put the modes back, after an error as well; return a float
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.randperm(n, generator=torch.Generator().manual_seed(seed))` does not touch the global random state. `patches[:, order]` reorders dimension 1. The grid is height and width divided by $p$, not the square root of $N$: images need not be square. `module.training` tells the mode and can be set; `model.modules()` gives all modules, the model itself first (`model.train(True)` would switch every one of them). What stands under `finally:` behind a `try:` runs in any case. `.item()` makes a float.
#
# </details>
#
# <details><summary>Index is out of bounds for dimension 0</summary>
#
# The permutation was applied to the batch: `patches[order]`. Patches are dimension 1: `patches[:, order]`.
#
# </details>


# %% [markdown]
# ### Experiment: can it learn at all?
#
# Before you train on thousands of images, overfit **one** batch. A model that cannot learn 32 pictures by heart has a bug: a missing gradient, a wrong shape, a learning rate off by ten. It takes a second, and it finds most mistakes.
#
# The batch has 32 pictures of six shapes. **Predict.** Can a model without positions learn them by heart, too?

# %% explore=true
torch.manual_seed(0)
sample = datasets.shapes(32, seed=0)


def without_positions(model: nn.Module) -> None:
    """Set the positions to 0 and keep them there."""
    (found,) = [p for p in model.parameters() if p.shape == (1, 17, 64)]
    found.requires_grad_(False).zero_()


def overfit(positions: bool, seed: int, steps: int = 60) -> tuple[list[float], list[float], nn.Module]:
    """Losses and accuracies on one batch, after each step, and the model."""
    torch.manual_seed(seed)
    model = VisionTransformer(32, 8, 3, 6, embed_dim=64, depth=2, num_heads=4).to(profile.device())
    if not positions:
        without_positions(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    x, y = ((sample.x - 0.5) / 0.25).to(profile.device()), sample.shape.to(profile.device())
    losses, hits = [], []
    for _ in range(steps):
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        losses.append(loss.item())
        hits.append((logits.argmax(-1) == y).float().mean().item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, hits, model


runs = {"with positions": overfit(True, seed=0), "without positions": overfit(False, seed=0)}
fig = plotting.curves(
    {name: hits for name, (_, hits, _) in runs.items()},
    xlabel="step",
    ylabel="accuracy on the 32 pictures",
    title="Learning one batch by heart",
    levels={"all 32": 1.0},
)
display(fig)
for name, (losses, hits, _) in runs.items():
    first = next((step for step, hit in enumerate(hits) if hit == 1), None)
    print(
        f"{name:>18}: loss {losses[0]:.2f} -> {losses[-1]:.4f}, accuracy {hits[-1]:.0%}, first 100 % before step {first}"
    )
print("\ntarget: 100 % within 60 steps")

# %% explore=true
# The same two models, measured: how far do the logits move when the patches are permuted?
rows = []
for name, (_, _, model) in runs.items():
    model.cpu()
    x = (sample.x - 0.5) / 0.25
    seen: list[torch.Tensor] = []
    listener = model.register_forward_hook(lambda _module, _images, logits, seen=seen: seen.append(logits))
    sensitivity = position_sensitivity(model, x, seed=1)
    listener.remove()
    right = [(logits.argmax(-1) == sample.shape).float().mean().item() for logits in torch.cat(seen).split(len(x))]
    rows.append(
        {
            "model": name,
            "position_sensitivity": f"{sensitivity:.1e}",
            "right, as they are and shuffled (the worse)": f"{min(right):.0%}",
        }
    )
print(profiling.table(rows, title="32 pictures, learned by heart"))

# %% [markdown]
# **Explain.** Both models learn the batch. For the one without positions, every shuffled picture *is* the same picture, down to the rounding error: it learned a bag of patches. The logits of the one with positions move by a million times more. But look at the last column: it, too, names the shuffled pictures. Learning 32 pictures by heart does not need places, a few patches give each away, so this experiment says that the code can learn, and nothing about places.
#
# For that you need a question that only places can answer: **in which quarter of the picture is the shape?** And you need pictures that the model has not seen.
#
# **Predict.** There are four quarters. What accuracy can a bag of patches reach on new pictures?

# %% explore=true
lesson, exam = datasets.shapes(2000, seed=1), datasets.shapes(500, seed=2)


def learn_quadrants(positions: bool, seed: int, steps: int) -> float:
    """Accuracy on 500 new pictures after `steps` batches of 64."""
    device = profile.device()
    torch.manual_seed(seed)
    model = VisionTransformer(32, 8, 3, 4, embed_dim=64, depth=2, num_heads=4, mlp_ratio=2.0).to(device)
    without_positions(model)
    if positions:
        with torch.no_grad():
            (places,) = [p for p in model.parameters() if p.shape == (1, 17, 64)]
            places[0, 1:] = sincos_2d((4, 4), 64).to(device)  # your fixed positions of exercise 3
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        picked = torch.randint(len(lesson.x), (64,), generator=draw)
        x, y = (lesson.x[picked].to(device) - 0.5) / 0.25, lesson.quadrant[picked].to(device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        answers = model((exam.x.to(device) - 0.5) / 0.25).argmax(-1).cpu()
    return (answers == exam.quadrant).float().mean().item()


steps = profile.pick(cpu=200, gpu=600)
for positions, name in ((True, "fixed positions"), (False, "without positions")):
    print(f"{name:>18}: {learn_quadrants(positions, seed=0, steps=steps):.0%} of 500 new pictures right")
print("            chance: 25%")

# %% [markdown]
# **Explain.** Same model, same data, same steps; the only difference is a table of 16 fixed vectors. With it the model reached 87 to 96 % over five seeds; without it 24 to 29 % over three, which is guessing. Neither table was learned here: learned positions that start at 0.02 find the answer too, but after more steps than you want to wait for (80 % and 40 % after 300, two seeds).

# %% [markdown]
# ### Four sentences that you will read
#
# You will read that (a) learned positions beat fixed ones, (b) a ViT needs its class token, (c) patches must come row by row, and (d) 8 to 12 heads are best. Each of them is cheap to try: handwritten digits of scikit-learn, $8 \times 8$ pixels, $p = 2$, so 16 patches; 1,347 digits to learn from, 450 for the test, 100 steps. All rows of a seed see the same batches.
#
# For (a), two things must not change at once: what the table of positions *starts* as, and whether it *learns*. So two starts come twice, learned and frozen. The sines are those of exercise 3 without what all cells have in common, scaled to the size of the random start, 0.5.
#
# **Predict.** Which of the ten rows lose? How far apart are "learned" and "frozen" from the same start?


# %% explore=true
import itertools

from scipy import stats

handwriting = datasets.digits()


class Reader(nn.Module):
    """A ViT for 8 x 8 pixels whose answer is read from the class token, or from the mean of the patch tokens."""

    def __init__(self, start: str, learned: bool, from_mean: bool, heads: int) -> None:
        super().__init__()
        self.vit = VisionTransformer(8, 2, 1, 10, embed_dim=64, depth=2, num_heads=heads, mlp_ratio=2.0)
        self.head, self.from_mean = nn.Linear(64, 10), from_mean
        sines = sincos_2d((4, 4), 64) - sincos_2d((4, 4), 64).mean(0)
        drawn = torch.randn(1, 17, 64)
        tables = {"none": 0 * drawn, "random 0.02": 0.02 * drawn, "random 0.5": 0.5 * drawn}
        tables["sines"] = F.pad(0.5 * sines / sines.std(), (0, 0, 1, 0))[None]  # the class token has no place
        (positions,) = [p for p in self.vit.parameters() if p.shape == (1, 17, 64)]
        with torch.no_grad():
            positions.copy_(tables[start])
        positions.requires_grad_(learned)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.vit.forward_features(images)
        return self.head(tokens[:, 1:].mean(1) if self.from_mean else tokens[:, 0])


def read_digits(model: nn.Module, seed: int, order: torch.Tensor, steps: int = 100) -> float:
    """Train on digits whose 16 patches stand in this order; share of right answers on the test digits."""
    x_train, x_test = (
        unpatchify(patchify(x, 2)[:, order], 2, (4, 4), 1) for x in (handwriting.x_train, handwriting.x_test)
    )
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3, fused=True)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        picked = torch.randint(len(x_train), (32,), generator=draw)
        x, y = x_train[picked].to(profile.device()), handwriting.y_train[picked].to(profile.device())
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        answers = model(x_test.to(profile.device())).argmax(-1).cpu()
    return (answers == handwriting.y_test).float().mean().item()


ROW_BY_ROW = torch.arange(16)
ANOTHER_ORDER = torch.randperm(16, generator=torch.Generator().manual_seed(9))
USUAL = "random 0.5, learned"
VARIANTS = {  # start of the positions, whether they learn, whether the mean is read, heads
    "no positions": ("none", False, False, 4),
    "random 0.02, learned": ("random 0.02", True, False, 4),
    USUAL: ("random 0.5", True, False, 4),
    "random 0.5, frozen": ("random 0.5", False, False, 4),
    "sines, learned": ("sines", True, False, 4),
    "sines, frozen": ("sines", False, False, 4),
    "mean of the patch tokens": ("random 0.5", True, True, 4),
    "patches in another order": ("random 0.5", True, False, 4),
    "1 head": ("random 0.5", True, False, 1),
    "16 heads": ("random 0.5", True, False, 16),
}


def readers(seeds: range) -> list[tuple[str, int, nn.Module]]:
    """An untrained model for each variant and seed."""
    made = []
    for name, seed in itertools.product(VARIANTS, seeds):
        torch.manual_seed(seed)
        made.append((name, seed, Reader(*VARIANTS[name]).to(profile.device())))
    return made


def trained(made: tuple[str, int, nn.Module]) -> float:
    name, seed, model = made
    return read_digits(model, seed, ANOTHER_ORDER if "order" in name else ROW_BY_ROW)


def compared(seeds: range) -> list[dict[str, str]]:
    """Accuracies of each variant in percent, and how they differ from the usual one, with a 95 % interval."""
    models = readers(seeds)
    found = 100 * torch.tensor(profile.side_by_side(trained, models)).reshape(len(VARIANTS), len(seeds))
    rows = []
    for name, shares in zip(VARIANTS, found):
        gaps = shares - found[list(VARIANTS).index(USUAL)]
        half = stats.t.ppf(0.975, len(seeds) - 1) * gaps.std().item() / math.sqrt(len(seeds))
        against = "" if name == USUAL else f"{gaps.mean():+.1f} ± {half:.1f}"
        spread = f"{shares.min():.1f} to {shares.max():.1f}"
        rows.append(
            {"variant": name, "mean": f"{shares.mean():.1f}", "lowest to highest": spread, "difference": against}
        )
    return rows


SEEDS = profile.pick(cpu=range(3), gpu=range(20))
title = f"test accuracy in %, {len(SEEDS)} seeds; difference to '{USUAL}' of the same seed, with a 95 % interval"
print(profiling.table(compared(SEEDS), title=title))

# %% [markdown]
# For (c) no training is needed. Take any model, put the patches into another order, and its positions into the same order:

# %% explore=true compare=true
torch.manual_seed(0)
in_rows = VisionTransformer(8, 2, 1, 10, embed_dim=64, depth=2, num_heads=4).eval()
reordered = copy.deepcopy(in_rows)
(positions,) = [p for p in reordered.parameters() if p.shape == (1, 17, 64)]
with torch.no_grad():
    positions[:, 1:] = positions[:, 1:][:, ANOTHER_ORDER]
    shuffled = unpatchify(patchify(handwriting.x_test, 2)[:, ANOTHER_ORDER], 2, (4, 4), 1)
    by_rows, by_order = in_rows(handwriting.x_test), reordered(shuffled)
print("images differ:", not torch.equal(shuffled, handwriting.x_test))
print("logits within 1e-4 of each other:", torch.allclose(by_rows, by_order, rtol=0, atol=1e-4))

# %% [markdown]
# **Explain.** Three seeds are few. "Patches in another order" came out at +3.5 ± 3.0, an interval without 0, though you have just seen that the order changes nothing. One in twenty such intervals misses, and there are nine in the table. So here is the same table with `SEEDS = range(20)`:
#
# | variant | mean | lowest to highest | difference to the usual one |
# | --- | --- | --- | --- |
# | no positions | 56.2 | 48.7 to 63.8 | -36.6 ± 2.0 |
# | random 0.02, learned | 68.6 | 61.1 to 73.1 | -24.2 ± 2.0 |
# | **random 0.5, learned** (the usual one) | 92.8 | 90.0 to 96.0 | |
# | random 0.5, frozen | 92.6 | 89.6 to 94.2 | -0.2 ± 0.6 |
# | sines, learned | 89.6 | 83.1 to 92.2 | -3.2 ± 1.5 |
# | sines, frozen | 87.4 | 81.6 to 92.7 | -5.4 ± 1.6 |
# | mean of the patch tokens | 92.6 | 86.7 to 95.6 | -0.2 ± 1.3 |
# | patches in another order | 93.3 | 90.9 to 95.1 | +0.5 ± 1.0 |
# | 1 head | 81.8 | 75.6 to 88.2 | -11.0 ± 1.8 |
# | 16 heads | 95.6 | 90.9 to 98.0 | +2.8 ± 1.1 |
#
# - **(a) Learned against fixed: the start decides, not the learning.** A random table that never moves is as good as one that learns. The same learned table started at 0.02 loses 24 points in 100 steps: whoever compares *that* with fixed positions measures the start. Sines lose a few points here, learned or not. What every run needs is *some* positions. In the large: ViT-B/16 reached 61.4 % without positions, 64.2 % with learned 1-D ones and 64.0 % with learned 2-D ones (Dosovitskiy et al. 2021, table 8; 5-shot, ImageNet).
# - **(b) The class token is a convention.** Reading the mean of the patch tokens is as good here. The authors of the ViT saw their first try with the mean fail, and found that it only wanted another learning rate (appendix D.3, figure 9). But a model must be read as it was trained.
# - **(c) Any fixed order will do.** Reordered patches with reordered positions are the same computation, up to the rounding of sums. Learned positions start as random numbers, which are in no order, so training cannot tell either. Row by row is a convention between you and whoever loads your weights. (Sines are another matter: they say that row 1 lies between rows 0 and 2, so they must be laid out as the patches are.)
# - **(d) No number of heads is best everywhere.** One head is clearly too few; 16 heads of width 4 win here. The sentence comes from translation: Vaswani et al. (2017, table 3, rows A) found 8 and 16 heads best of 1, 4, 8, 16 and 32, by less than one BLEU. DeiT takes 3, 6 and 12 heads so that each is 64 wide (Touvron et al. 2021, table 1). All of them cost the same number of FLOPs (week 1), and weeks 9 and 11 measure how many of a trained model's heads it can do without.
#
# All this is one small task and 100 steps. It does not say what is best for photographs; it says that none of the four is a law.

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.9))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.25, 1.1, 1.15))
ax = left.subplots()
ax.imshow(photo.permute(1, 2, 0), extent=(0, 12, 8, 0))
ax.hlines(range(1, 8), 0, 12, color="white", linewidth=1)
ax.vlines(range(1, 12), 0, 8, color="white", linewidth=1)
ax.set_title("an image is a row of 96 patches")
ax.set_axis_off()
tiles = middle.subplots(4, 6)
few = F.normalize(sincos_2d((4, 6), 128), dim=1)
for ax, tile in zip(tiles.flat, (few @ few.T).reshape(24, 4, 6)):
    ax.imshow(tile)
    ax.set(xticks=[], yticks=[])
middle.suptitle("positions: each cell is most like itself", fontsize=12)
ax = right.subplots()
sides = (16, 8, 4)
whole = [costs[side] / 1e6 for side in sides]
pairs = [12 * 4 * squares[side] * 192 / 1e6 for side in sides]
ax.bar([str(side) for side in sides], [a - b for a, b in zip(whole, pairs)], label="linear layers")
ax.bar([str(side) for side in sides], pairs, bottom=[a - b for a, b in zip(whole, pairs)], label="pairs of tokens")
ax.set(xlabel="patch side p", ylabel="MFLOPs", title="cost at 32 x 32 pixels")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## Takeaways
#
# - Cutting an image into patches loses nothing; a strided convolution cuts and projects in one step.
# - The class token and the positions are two small parameters. Without the positions a ViT sees a bag of patches, exactly.
# - Learned positions belong to one grid. To use another image size, resize them like an image; the prefix stays.
# - Pre-norm, exact GELU, eps 1e-6, token 0: each is a detail that costs you the last digits, and only a comparison with large random weights shows it.
# - Learned or fixed positions, class token or mean, this order or that: conventions that hardly cost accuracy. Having positions at all, and starting them large enough to be heard, is what counted.
# - At usual sizes the linear layers are the bill. The cost grows as $1/p^2$ until $T = 6D$ tokens, then as $1/p^4$.
# - Next week you train it, with the tricks that make a ViT work on little data.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="pipeline" points=5 minutes=30
# **W1. How does a ViT process an image? (5 points)** Follow one $32 \times 32$ RGB image through a model with $p = 8$ and $D = 64$ to ten logits. Give the shape after each step and one sentence on what the step is for.
#
# ### BEGIN SOLUTION
# One point each.
# - Patches: (3, 32, 32) to (16, 192); cutting loses nothing, order row by row.
# - Projection: (16, 192) to (16, 64); one linear layer shared by all patches, equal to a convolution with stride p.
# - Class token: (17, 64); belongs to no patch, collects and is read out.
# - Positions: (17, 64); without them the model sees a bag of patches.
# - Encoder and head: blocks keep (17, 64), attention mixes tokens, the MLP works on each; norm, token 0, linear head: (10,).
# ### END SOLUTION

# %% [markdown] written="counting" points=4
# **W2. Counting patches (4 points).** How many patches has a $384 \times 224$ image at $p = 16$, and how many at $p = 14$? What would you do where it does not divide? Name two remedies and what each costs.
#
# ### BEGIN SOLUTION
# 1 point: p = 16: 24 * 14 = 336 patches.
# 1 point: p = 14: 224 / 14 = 16, but 384 / 14 = 27.43, so it does not divide.
# 2 points: two remedies with their price: pad to 392 (28 * 16 = 448 patches, some nearly empty); crop to 378 (27 * 16 = 432, loses 6 pixels); resize (changes the aspect ratio or interpolates pixels). Positions must be resized to the new grid in each case.
# ### END SOLUTION

# %% [markdown] written="places" points=5 minutes=30
# **W3. Places (5 points).** What can a ViT without positions not do, and which numbers of exercise 8 and of the experiment show it? Somebody compares learned positions that start at 0.02 with sines, and writes "fixed positions are better": what is wrong with that, and what besides accuracy would make *you* choose learned or fixed ones? What does a 2-D position say that a 1-D number does not? And may you read a downloaded model by the mean of its patch tokens, because the mean did as well as the class token in your table?
#
# ### BEGIN SOLUTION
# 2 points: logits do not change under permutation of patches: sensitivity at rounding level without positions, far above with them (1 point); the quarter of the picture on new pictures: near chance without, nearly all right with them (1 point). Learning a batch by heart shows nothing.
# 1 point: two things changed at once, the start and the learning (rows "random 0.02" and "random 0.5" of the table); learned: any form, tied to one grid, must be resized; fixed: no parameters, any grid.
# 1 point: 1-D numbers cells row by row and leaves the grid to be learned; 2-D gives row and column; cells one below the other are then related from the start. In Dosovitskiy et al. 2021 (appendix D.4) learned 1-D, 2-D and relative positions differ little; none at all is clearly worse.
# 1 point: no: class token and mean are both trained conventions, equally good when trained for (table; same paper, appendix D.3, with a suitable learning rate), so a loaded model must be read as it was trained.
# ### END SOLUTION

# %% [markdown] written="patch-cost" points=6 minutes=30
# **W4. Cost as a function of $p$ (6 points).** Derive from your count how the linear part and the attention part grow when $p$ shrinks at a fixed image size. At which number of tokens are they equal? What does your table say about $p = 4$ against $p = 8$, and why is the sentence "smaller patches increase the cost quadratically" misleading?
#
# ### BEGIN SOLUTION
# 1 point: N = h w / p^2.
# 1 point: linear part 24 T D^2 for each block: proportional to 1/p^2.
# 1 point: attention part 4 T^2 D for each block: proportional to 1/p^4.
# 1 point: equal at 24 T D^2 = 4 T^2 D, so at T = 6 D (1,152 for D = 192).
# 1 point: table: 3.96 times the cost for half the side, 14.6 times the attention part, whose share is 5.3 %.
# 1 point: misleading because it does not say quadratic in what: in 1/p the whole is quadratic below the crossover (linear layers), in the tokens only the small attention part is.
# ### END SOLUTION
