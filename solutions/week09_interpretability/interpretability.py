# %% [markdown]
# # Week 9: interpretability
#
# ![Left: six pictures, each with a planted glyph outlined, and three kinds of maps below. Middle: accuracy after deleting patches in the order of each map. Right: how much each map changes when the layers of the model are drawn anew.](outcome.png)
#
# *What you will have built by the end of this week. Left: three kinds of maps on pictures where the place that matters is known. Middle: what is left of the accuracy when you delete what a map calls important. Right: how much of a map survives when the model's layers are replaced by random ones.*
#
# **After this week you can**
#
# - read the attention of every block of a timm ViT, fused attention included, without editing the model or leaving a trace in it;
# - follow attention through all layers with rollout, and say what the residual is doing there;
# - measure a head: how far it looks, how sharply, and which other head does the same;
# - weigh attention by the gradient of one class, and explain where that fails;
# - test a heat map before you believe it: planted objects, deletion and insertion curves, random weights.
#
# **Time** about 10 hours: 2 of reading, 5 of coding, 3 of experiments. **You need** week 2 (the parts of a ViT) and week 8 (hooks). All models come from timm, so nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | images in a batch | $L$, $H$ | layers (blocks), heads of each |
# | $N$ | tokens of an image, prefix tokens included | $p$ | prefix tokens: class, distillation, registers |
# | $W_l^h$ | attention of head $h$ in layer $l$: $(N, N)$, rows sum to 1 | $A_l$ | what is propagated through layer $l$ |
# | $r$ | weight of the residual | $g_h, g_w$ | rows and columns of the grid of patches |
#
# **Sources.** Rollout: Abnar and Zuidema (2020), arXiv 2005.00928, section 3. Gradient-weighted relevance: Chefer, Gur and Wolf (ICCV 2021), arXiv 2103.15679, the rule for self-attention; it is simpler than their method of CVPR 2021, arXiv 2012.09838. (Reading lists mix these three up.) Attention distance: Dosovitskiy et al. (2021), section 4.5. Random weights: Adebayo et al. (2018). Deletion and insertion: Petsiuk, Das and Saenko (2018). Pointing game: Zhang et al. (2016).

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import os
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.models.mlp_mixer import MlpMixer
from timm.models.vision_transformer import VisionTransformer
from timm.utils import AttentionExtract
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session, unchanged
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## Part 1. Get the attention out
#
# A heat map over a photograph is easy to believe. The dog is bright, so the model looked at the dog. But nobody knows what the model *should* have looked at, so nobody can be wrong. This week starts the other way round: with pictures where the answer is known.
#
# `datasets.planted_glyphs` draws clutter and puts **one glyph of four** into one of 16 cells. The clutter has as much ink as a glyph, in the same shades. So brightness and contrast do not give the cell away, and no pixel outside of the cell says anything about the class. A map that calls another cell important is wrong, and you can count how often.
#
# With patches of $8 \times 8$ pixels, exactly one of 16 patches is informative. The model is a small ViT.


# %% given="experiment"
def standardized(sample: datasets.PlantedGlyphs) -> torch.Tensor:
    """Pictures as the model wants them: (n, 1, 32, 32), the gray in the middle is 0."""
    return (sample.x - 0.5) / 0.25


def glyph_vit(seed: int) -> VisionTransformer:
    """A ViT for 32 x 32 pixels in one channel: p = 8, so 16 patches and the class token; width 48, 3 blocks, 4 heads."""
    torch.manual_seed(seed)
    return VisionTransformer(
        img_size=32, patch_size=8, in_chans=1, num_classes=4, embed_dim=48, depth=3, num_heads=4, mlp_ratio=2.0,
        attn_drop_rate=0.2,
    )  # fmt: skip


def train_glyph_vit(sample: datasets.PlantedGlyphs, seed: int, steps: int = 150) -> VisionTransformer:
    """Train with AdamW on batches of 48 pictures; the model in eval mode."""
    x, y, model = standardized(sample), sample.y, glyph_vit(seed).train()
    rate, batch = 2e-3, 48
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


# %% explore=true
test = datasets.planted_glyphs(400, seed=2)
x_test = standardized(test)
first_of_class = [int((test.y == label).nonzero()[i]) for i in range(3) for label in range(4)]
plotting.map_gallery(
    test.x[first_of_class], {}, boxes=test.bbox[first_of_class], columns=12,
    title="three times " + ", ".join(datasets.GLYPHS),
)  # fmt: skip

# %% [markdown]
# The next cell trains the model, once for each of two seeds, which takes a fifth of this notebook's time. `SEEDS=5` in the environment makes it five.

# %% explore=true
seeds = tuple(range(int(os.environ.get("SEEDS", profile.pick(cpu=2, gpu=5)))))
train = datasets.planted_glyphs(4000, seed=1)
models = {seed: train_glyph_vit(train, seed) for seed in seeds}
with torch.no_grad():
    said = {seed: model(x_test).argmax(1) for seed, model in models.items()}
for seed in seeds:
    print(f"seed {seed}: test accuracy {(said[seed] == test.y).double().mean():.4f} on {len(test.y)} pictures")

# %% [markdown]
# **Predict.** The model is right on nearly every picture, whatever the seed. Will its attention in the last layer point at the glyph, whatever the seed?
#
# To find out you need the attention itself. timm's models will not show it by themselves. For speed they call `F.scaled_dot_product_attention`, one fused kernel that never writes the $(N, N)$ weights to memory. With `attn.fused_attn = False` the same module takes three plain steps, and the weights pass through the dropout `attn.attn_drop` on their way:
#
# ```python
# attn = (q * self.scale) @ k.transpose(-2, -1)
# attn = attn.softmax(dim=-1)
# attn = self.attn_drop(attn)      # what goes in here is the map
# x = attn @ v
# ```


# %% given="models"
SMALL = {
    "vit_tiny_patch16_224": {"num_heads": 2},
    "deit_tiny_distilled_patch16_224": {"num_heads": 3},  # two prefix tokens
    "vit_small_patch14_reg4_dinov2": {"num_heads": 2},  # class token and four registers, scaled residuals
    "eva02_tiny_patch14_224": {"num_heads": 2},  # rotary positions, another attention class
}
"""Real architectures of timm, made small: images (B, 3, 32, 32), patches of 8, width 24, three blocks."""


def small_vit(name: str = "vit_tiny_patch16_224", seed: int = 0, **changes: object) -> nn.Module:
    """One of `SMALL` in eval mode, with weights large enough that attention is far from even."""
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_classes": 5} | SMALL[name] | changes
    model = timm.create_model(name, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise + float(parameter.ndim == 1 and bool((parameter == 1).all())))  # 1: scale of a norm
    return model.eval()


# %% explore=true compare=true
for name in SMALL:
    model = small_vit(name)
    attn = model.blocks[0].attn
    print(f"{name:>32}: {len(model.blocks)} blocks, {attn.num_heads} heads, p = {model.num_prefix_tokens}, ", end="")
    print(f"{type(attn).__name__} with fused_attn {attn.fused_attn}")

# %% [markdown] about="collect"
# ### Exercise 1. Collect the attention of every block
#
# Every method of this week begins with these maps. You change a stranger's model to get them, so you also put everything back.
#
# $$W_l^h = \operatorname{softmax}\!\left(\frac{Q_l^h {K_l^h}^\top}{\sqrt{d}}\right), \qquad l = 1 \dots L, \quad h = 1 \dots H$$
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `model` | a timm ViT | has `model.blocks[i].attn` with `attn_drop` and `fused_attn` (ViT, DeiT, BEiT, EVA, DINOv2); a Swin or a ResNet does not: `ValueError` |
# | `images` | $(B, C, H, W)$ | |
# | `with_grad` | bool | whether the maps stay connected to the logits, so that `torch.autograd.grad(logits[:, 3].sum(), maps)` works; also for a model whose parameters are frozen, and inside `torch.no_grad()` |
# | `maps` | list of $L$ tensors $(B, H, N, N)$ | first block first; no average over heads; dtype and device of the model |
# | `logits` | $(B, \text{classes})$ | of the same pass, in eval mode; what the untouched model gives, up to $10^{-5}$ |
#
# Without `with_grad` neither maps nor logits carry a graph. Afterwards, **also after an error**, everything is as it was: each block's `fused_attn` (some may have been off), each module's mode, which parameters ask for gradients and the gradients that they have, and all hooks; yours are gone. The images ask for a gradient only if they did before.


# %% exercise="collect" difficulty=3 minutes=60
def collect_attention(
    model: nn.Module, images: torch.Tensor, with_grad: bool = False
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Run a timm ViT once in eval mode; keep the attention weights of every block.

    Parameters
    ----------
    model : with `blocks[i].attn.attn_drop` and `blocks[i].attn.fused_attn`; left as it was found, also after an error.
    images : (B, C, H, W), not changed.
    with_grad : keep the graph from the maps to the logits, even under `torch.no_grad()` or with frozen parameters;
        without it there is no graph.

    Returns
    -------
    (maps, logits): a list of L tensors (B, H, N, N), softmax over the last dimension; and (B, classes).

    Raises
    ------
    ValueError : for a model without such blocks.
    """
    ### BEGIN SOLUTION
    layers = [getattr(block, "attn", None) for block in getattr(model, "blocks", ())]
    if not layers or not all(hasattr(layer, "attn_drop") and hasattr(layer, "fused_attn") for layer in layers):
        raise ValueError(f"{type(model).__name__} has no blocks[i].attn with attn_drop and fused_attn")
    fused = [layer.fused_attn for layer in layers]
    modes = {module: module.training for module in model.modules()}
    maps: list[torch.Tensor] = []
    handles = [layer.attn_drop.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0])) for layer in layers]
    try:
        model.eval()
        for layer in layers:
            layer.fused_attn = False
        if with_grad:
            images = images.detach().requires_grad_()  # a new tensor: gives the maps a graph in a frozen model, too
        with torch.set_grad_enabled(with_grad):
            logits = model(images)
    finally:
        for handle in handles:
            handle.remove()
        for layer, flag in zip(layers, fused):
            layer.fused_attn = flag
        for module, mode in modes.items():
            module.training = mode
    return maps, logits
    ### END SOLUTION


# %% look="collect"
# Look: the maps of a small random ViT, first row of each: what the class token attends to in 16 patches.
with checks.look():
    look_maps, look_logits = collect_attention(small_vit(seed=1), torch.rand(1, 3, 32, 32))
    print(f"{len(look_maps)} maps {tuple(look_maps[0].shape)}, logits {tuple(look_logits.shape)}")
    print(f"row sums from {look_maps[0].sum(-1).min():.6f} to {look_maps[0].sum(-1).max():.6f}")
    fig, axes = plt.subplots(1, len(look_maps), figsize=(11.5, 3.4))
    for layer, (ax, weights) in enumerate(zip(axes, look_maps)):
        plotting.heatmap(
            ax,
            weights[0, 0],
            title=f"block {layer}, head 0",
            xlabel="key",
            ylabel="query" if layer == 0 else "",
            vmin=0,
        )
    plt.show()

# %% [markdown] hints="collect"
# <details><summary>Hint 1: the idea</summary>
#
# Switch the fused kernel off, listen to what goes into `attn_drop`, run the model once. Write down what you are going to change before you change it, and put it back in a `finally`.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     layers = the attn of each block; none, or one without the two attributes: ValueError
#     remember fused_attn of each layer and training of each module
#     for each layer: hook on attn_drop that appends its input to a list
#     try:
#         eval mode; fused_attn off
#         with_grad: images = a copy without history that requires a gradient
#         run the model, gradients switched on or off as with_grad says
#     finally:
#         remove your hooks; put back the flags and the modes
#     return the list and the logits
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `attn_drop.register_forward_pre_hook(f)` calls `f(module, inputs)` with `inputs` a tuple; `inputs[0]` is $(B, H, N, N)$. `torch.set_grad_enabled(with_grad)` is a context manager that also wins over an outer `no_grad`. `images.detach().requires_grad_()` marks a new tensor, not the caller's. A frozen model builds no graph unless something else asks for one: that is what the marked images are for.
#
# </details>
#
# <details><summary>The list stays empty</summary>
#
# The fused kernel ran: `fused_attn` must be off on every block's `attn` *before* the model runs. A flag on the model itself does nothing.
#
# </details>


# %% [markdown]
# ### Milestone: the real thing
#
# Four ViTs of timm in their real size, on a photograph. Your maps must be timm's own, bit for bit, and the logits those of the untouched model with its fused attention. With `PROFILE=gpu` the weights are pretrained.

# %% explore=true
photo = datasets.photograph("flower", height=224, width=224).image
for name in (
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "vit_small_patch14_reg4_dinov2",
    "eva02_tiny_patch14_224",
):
    torch.manual_seed(0)
    options = {} if "patch16" in name else {"img_size": 224}
    model = timm.create_model(name, pretrained=profile.pick(cpu=False, gpu=True), **options).eval()
    mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    batch = ((photo - mean) / std)[None]
    with torch.no_grad():
        fused_logits = model(batch)
    maps, logits = collect_attention(model, batch)
    plain = copy.deepcopy(model)
    for block in plain.blocks:
        block.attn.fused_attn = False
    with torch.no_grad():
        theirs = AttentionExtract(plain, method="hook")(batch).values()
    gap = max((mine - their).abs().max().item() for mine, their in zip(maps, theirs))
    drift = (logits - fused_logits).abs().max().item()
    print(f"{name:>32}: {len(maps)} maps {tuple(maps[0].shape)}, p = {model.num_prefix_tokens}, ", end="")
    print(f"differ from timm's by {gap:g}, logits from the fused ones by {drift:.0e}")
    assert gap == 0
    assert drift < 1e-4

# %% [markdown]
# ### Every layer, every head
#
# Now look. One picture, the row of the class token: which patches does it attend to? All layers and heads of the first model, in the same colors.

# %% explore=true
example = int((test.y == 0).nonzero()[0])
maps, _ = collect_attention(models[0], x_test[example : example + 1])
fig, axes = plt.subplots(3, 5, figsize=(11.5, 7.4))
for layer, weights in enumerate(maps):
    axes[layer, 0].imshow(test.x[example, 0], cmap="gray", vmin=0, vmax=1, extent=(0, 4, 4, 0))
    axes[layer, 0].set(title=f"layer {layer + 1}", xticks=[], yticks=[])
    for head in range(4):
        patches = weights[0, head, 0, 1:].reshape(4, 4)
        image = axes[layer, head + 1].imshow(patches, vmin=0, vmax=1, extent=(0, 4, 4, 0))
        axes[layer, head + 1].set(title=f"head {head + 1}: max {patches.max():.2f}", xticks=[], yticks=[])
    for ax in axes[layer]:
        corner = test.bbox[example, :2] / 8
        ax.add_patch(plt.Rectangle(tuple(corner.tolist()), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2))
fig.colorbar(image, ax=axes, label="attention of the class token", shrink=0.6)
plt.show()

# %% [markdown]
# **Explain.** The outlined cell holds the glyph. Some heads find it, in some layers. Which of these twelve pictures is *the* explanation? A head in the first layer looks at patches; a head in the last layer looks at tokens that have already looked at other tokens. Whatever is bright there need not come from that place.

# %% [markdown] about="rollout"
# ### Exercise 2. Roll attention out through the layers
#
# Attention rollout (Abnar and Zuidema 2020, section 3) asks: if every layer mixed tokens as its attention says, how much of each *input* would end up in each output token?
#
# A block computes $x + \text{attention}(x)$. Part of what leaves it never went through the attention. So the map of a layer gets a share $r$ of the identity:
#
# $$A_l = \frac{(1 - r)\,\operatorname{fuse}_h(W_l^h) + r\,I}{\text{row sums}}, \qquad \text{rollout} = A_L\, A_{L-1} \cdots A_1$$
#
# The order matters. Row $i$ of the result belongs to output token $i$: the last layer acts last, so it stands on the left. Entry $(i, j)$ is the sum over all paths from input $j$ to output $i$ of the product of the weights along the path.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `attentions` | sequence of $L$ tensors $(B, H, N, N)$ | first layer first |
# | `residual` | float in $[0, 1)$ | $r$; else `ValueError` |
# | `head_fusion` | `"mean"`, `"max"`, `"min"` | over the heads; else `ValueError`. Rows are divided by their sum *after* fusing and adding $r I$. (With `"min"` and $r = 0$ a row may become all zeros, which no sum can divide: such maps are not asked for) |
# | result | $(B, N, N)$ | rows sum to 1; same dtype and device |


# %% exercise="rollout" difficulty=3 minutes=45
def attention_rollout(
    attentions: Sequence[torch.Tensor], residual: float = 0.5, head_fusion: str = "mean"
) -> torch.Tensor:
    """Propagate attention through all layers (Abnar and Zuidema 2020, section 3).

    Parameters
    ----------
    attentions : L tensors (B, H, N, N), first layer first; not changed.
    residual : the weight of the identity in each layer, at least 0 and below 1.
    head_fusion : "mean", "max" or "min" over the heads.

    Returns
    -------
    (B, N, N): row i says how much of each input token is in output token i; rows sum to 1. In dtype and on the
    device of the attentions.

    Raises
    ------
    ValueError : for another residual or head_fusion.
    """
    ### BEGIN SOLUTION
    fuse = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
    if not 0 <= residual < 1:
        raise ValueError(f"residual={residual} is not in [0, 1)")
    if head_fusion not in fuse:
        raise ValueError(f"head_fusion={head_fusion!r} is none of {', '.join(fuse)}")
    tokens = attentions[0].shape[-1]
    identity = torch.eye(tokens, dtype=attentions[0].dtype, device=attentions[0].device)
    result = identity
    for weights in attentions:
        layer = (1 - residual) * fuse[head_fusion](weights, dim=1) + residual * identity
        result = (layer / layer.sum(dim=-1, keepdim=True)) @ result
    return result
    ### END SOLUTION


# %% look="rollout"
# Look: layer 1 moves everything one token to the left, layer 2 lets token 0 look at token 3. Row 0 should reach token 4 without residual.
with checks.look():
    look_one = torch.eye(5).roll(1, dims=1)
    look_two = torch.eye(5)
    look_two[0] = torch.tensor([0.0, 0, 0, 1, 0])
    look_layers = [look_one[None, None], look_two[None, None]]
    look_rolled = {residual: attention_rollout(look_layers, residual)[0] for residual in (0.0, 0.5)}
    fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.1))
    plotting.heatmap(
        axes[0], look_one, title="layer 1", xlabel="input", ylabel="output", vmin=0, vmax=1, colorbar=False
    )
    plotting.heatmap(axes[1], look_two, title="layer 2", xlabel="input", ylabel="", vmin=0, vmax=1, colorbar=False)
    for ax, (residual, rolled) in zip(axes[2:], look_rolled.items()):
        plotting.heatmap(
            ax,
            rolled,
            title=f"rollout, r = {residual}",
            xlabel="input",
            ylabel="",
            vmin=0,
            vmax=1,
            annotate=True,
            colorbar=False,
        )
    plt.show()

# %% [markdown] hints="rollout"
# <details><summary>Hint 1: the idea</summary>
#
# One matrix a layer, then a product. Start with the identity and put each layer on the *left* of what you have.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     check residual and head_fusion
#     result = identity
#     for each layer, from the first to the last:
#         layer  = (1 - r) * fused over heads + r * identity      (B, N, N)
#         layer  = layer / its row sums
#         result = layer @ result
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `weights.mean(1)`, `weights.amax(1)`, `weights.amin(1)` fuse $(B, H, N, N)$ to $(B, N, N)$. `torch.eye(N, dtype=..., device=...)` is broadcast over the batch. Row sums: `layer.sum(-1, keepdim=True)`; with the mean they are 1 already, with max and min they are not.
#
# </details>


# %% [markdown]
# **Does the definition hold?** The next cell computes the rollout of the trained model a second way: it writes out every path through three layers for one entry. And it shows what the residual does to the class token's row.

# %% explore=true
maps, _ = collect_attention(models[0], x_test[example : example + 1])
rolled = attention_rollout(maps)[0]
steps = [0.5 * weights[0].mean(0) + 0.5 * torch.eye(17) for weights in maps]
product = torch.linalg.multi_dot(steps[::-1])
target_cell = 1 + int(test.cell[example])
by_paths = sum(steps[2][0, v] * steps[1][v, u] * steps[0][u, target_cell] for u in range(17) for v in range(17))
print(f"largest difference from the matrix product A_3 A_2 A_1: {(rolled - product).abs().max():.1e}")
print(f"entry (class token, glyph): rollout {rolled[0, target_cell]:.6f}, sum over 17 x 17 paths {by_paths:.6f}")
for residual in (0.0, 0.5, 0.9):
    row = attention_rollout(maps, residual)[0, 0]
    print(
        f"r = {residual}: {row[0]:.3f} stays in the class token, glyph's share of the patches {row[target_cell] / row[1:].sum():.3f}"
    )

# %% [markdown]
# **Explain.** With larger $r$ more of the class token stays in the class token: $r$ says how much of a token a layer keeps. The 0.5 of the paper is a convention, not a measurement; how much a real block keeps depends on the lengths of the two vectors that are added, which rollout never sees. It also never sees the values, the MLP, or the class that is predicted.
#
# ## Part 2. What a head does
#
# Twelve heads in this toy, 144 in a ViT-B. You cannot look at all of them, so measure them.

# %% [markdown] about="distance"
# ### Exercise 3. How far does a head look?
#
# A convolution of $3 \times 3$ looks one pixel far. An attention head looks as far as it likes. The **attention distance** of Dosovitskiy et al. (2021, section 4.5) averages, over queries, the distance to what is attended to:
#
# $$\text{distance} = \operatorname{mean}_{b,\, i} \sum_j \tilde W_{ij}\, \lVert c_i - c_j \rVert, \qquad \tilde W_{ij} = \frac{W_{ij}}{\sum_{j'} W_{ij'}}$$
#
# where $i, j, j'$ run over **patches only** and $c_i$ is the center of patch $i$ in pixels. A class token has no place, so it is left out as a query and as a key, and the rows are divided by their new sum.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `attn` | $(B, H, N, N)$ | one layer |
# | `grid_hw` | $(g_h, g_w)$ | patches in row-major order; $g_h g_w = N - p$, else `ValueError` |
# | `patch` | int or float | side of a patch in pixels |
# | `n_prefix` | int | $p$ |
# | result | $(H,)$ | pixels; same dtype and device |


# %% exercise="distance" difficulty=2 minutes=35
def attention_distance(attn: torch.Tensor, grid_hw: tuple[int, int], patch: float, n_prefix: int) -> torch.Tensor:
    """Mean distance in pixels between a patch and the patches it attends to (Dosovitskiy et al. 2021, section 4.5).

    Parameters
    ----------
    attn : (B, H, N, N), rows sum to 1; not changed. grid_hw : rows and columns of patches, row by row behind the prefix tokens.
    patch : side of a patch in pixels. n_prefix : tokens in front that are no patches.

    Returns
    -------
    (H,), the mean over images and patch queries, in dtype and on the device of attn; prefix tokens are left out and
    rows renormalized.

    Raises
    ------
    ValueError : when the grid does not have N - n_prefix patches.
    """
    ### BEGIN SOLUTION
    rows, columns = grid_hw
    if rows * columns != attn.shape[-1] - n_prefix:
        raise ValueError(f"{rows} x {columns} patches and {n_prefix} prefix tokens are not {attn.shape[-1]} tokens")
    places = patch * torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(attn)
    apart = (places[:, None] - places[None]).norm(dim=-1)
    weights = attn[:, :, n_prefix:, n_prefix:]
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return (weights * apart).sum(dim=-1).mean(dim=(0, 2))
    ### END SOLUTION


# %% look="distance"
# Look: three heads on a 4 x 4 grid with patches of 8: each patch looks at itself, at its right neighbor (at itself in the last column), everywhere.
with checks.look():
    look_right = torch.eye(16).roll(1, dims=1)
    look_right[3::4] = torch.eye(16)[3::4]
    look_heads = torch.stack([torch.eye(16), look_right, torch.full((16, 16), 1 / 16)])
    came = attention_distance(look_heads[None], (4, 4), 8, 0)
    fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.4))
    for ax, weights, value, name in zip(axes, look_heads, came, ("itself", "right neighbor", "everywhere")):
        plotting.heatmap(
            ax, weights, title=f"{name}: {value:.2f} px", xlabel="key", ylabel="query", vmin=0, vmax=1, colorbar=False
        )
    plt.show()

# %% [markdown] hints="distance"
# <details><summary>Hint 1: the idea</summary>
#
# A table of distances between all patches, $(n, n)$, does not depend on the attention. Multiply it with the weights, sum over keys, average over images and queries.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     grid and tokens do not fit: ValueError
#     places = (row, column) of each patch, times patch        (n, 2)
#     apart  = length of places[i] - places[j]                 (n, n)
#     weights = patch rows and patch columns of attn           (B, H, n, n)
#     weights = weights / their row sums
#     sum over keys of weights * apart; mean over images and queries
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.cartesian_prod(torch.arange(rows), torch.arange(columns))` lists the cells row by row. `(places[:, None] - places[None]).norm(dim=-1)` are all distances. `attn[:, :, p:, p:]` drops the prefix on both sides. `.mean(dim=(0, 2))` leaves the heads.
#
# </details>

# %% [markdown] about="entropy"
# ### Exercise 4. How sharply does it look?
#
# A row of weights is a distribution over keys. Three numbers describe it:
#
# $$\text{entropy}(w) = -\sum_j w_j \ln w_j, \qquad \text{sparsity}(w) = \frac{\sqrt N - \lVert w \rVert_1 / \lVert w \rVert_2}{\sqrt N - 1}, \qquad \text{prefix mass}(w) = \sum_{j \le p} w_j$$
#
# The entropy is 0 nats for one key and $\ln N$ for all keys alike. Hoyer's sparsity (2004) turns that around: 1 for one key, 0 for all alike. The prefix mass says how much goes to tokens that are no patches; large ViTs park attention there.
#
# | function | result |
# | --- | --- |
# | `attention_entropy(attn)` | $(B, H, N)$, nats; $0 \ln 0 = 0$ |
# | `hoyer_sparsity(attn)` | $(B, H, N)$ in $[0, 1]$ |
# | `prefix_mass(attn, n_prefix)` | $(B, H, N)$ in $[0, 1]$ |
#
# `attn` is $(B, H, N, N)$ and stays as it is. All three work on its last dimension, the keys, whatever the number of queries, and give its dtype.


# %% exercise="entropy" difficulty=2 minutes=25
def attention_entropy(attn: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of each row of attn (B, H, N, N): (B, H, N); 0 ln 0 is 0."""
    ### BEGIN SOLUTION
    return torch.special.entr(attn).sum(dim=-1)
    ### END SOLUTION


def hoyer_sparsity(attn: torch.Tensor) -> torch.Tensor:
    """Sparsity of each row of attn (B, H, N, N), N > 1 (Hoyer 2004): (B, H, N); 1 for a single key, 0 for even rows."""
    ### BEGIN SOLUTION
    root = attn.shape[-1] ** 0.5
    return (root - attn.abs().sum(dim=-1) / attn.norm(dim=-1)) / (root - 1)
    ### END SOLUTION


def prefix_mass(attn: torch.Tensor, n_prefix: int) -> torch.Tensor:
    """How much of each row of attn (B, H, N, N) goes to the first n_prefix keys: (B, H, N)."""
    ### BEGIN SOLUTION
    return attn[..., :n_prefix].sum(dim=-1)
    ### END SOLUTION


# %% look="entropy"
# Look: four rows over 8 keys, with what your functions say about them.
with checks.look():
    look_rows = torch.tensor([[1.0] + [0.0] * 7, [0.5, 0.5] + [0.0] * 6, [0.3] + [0.1] * 7, [1 / 8] * 8])
    look_attn = look_rows[None, None]
    values = [attention_entropy(look_attn)[0, 0], hoyer_sparsity(look_attn)[0, 0], prefix_mass(look_attn, 1)[0, 0]]
    fig, axes = plt.subplots(1, 4, figsize=(11.5, 2.7), sharey=True)
    for ax, row, entropy, sparse, mass in zip(axes, look_rows, *values):
        ax.bar(range(8), row)
        ax.set(
            title=f"entropy {entropy:.2f}, sparsity {sparse:.2f}\nmass of key 0: {mass:.2f}", xlabel="key", ylim=(0, 1)
        )
    axes[0].set_ylabel("attention weight")
    plt.show()

# %% [markdown] hints="entropy"
# <details><summary>Hint 1: the idea</summary>
#
# Each is a sum along the last dimension. The only trap is $0 \ln 0$: a computer says `nan`.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     entropy:  w * ln w, where w = 0 put 0; minus the sum over keys
#     sparsity: root = square root of the number of keys
#               (root - sum of |w| / length of w) / (root - 1)
#     prefix:   sum of the first n_prefix keys
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.special.entr(w)` is $-w \ln w$ with 0 at 0; `torch.xlogy(w, w)` is $w \ln w$ with the same care. `w.norm(dim=-1)` is the length. `attn[..., :n]` cuts the last dimension, also for `n = 0`.
#
# </details>

# %% [markdown]
# ### By hand, and by your functions
#
# Before you measure a model, check the ruler. Every case below can be worked out on paper.

# %% explore=true compare=true
line = torch.full((1, 1, 16, 16), 1 / 16)
away = torch.zeros(1, 1, 4, 4)
away[..., [0, 1, 2, 3], [3, 2, 1, 0]] = 1.0  # on a 2 x 2 grid each patch looks at the opposite corner
two = torch.zeros(1, 1, 17, 17)
two[..., :2] = 0.5
cases = (
    ("distance: each patch at itself", "0", attention_distance(torch.eye(16)[None, None], (4, 4), 8, 0)),
    ("distance: the opposite corner of 2 x 2", "8 sqrt 2 = 11.314", attention_distance(away, (2, 2), 8, 0)),
    ("distance: even over 1 x 16 patches", "8 (256 - 1) / 48 = 42.500", attention_distance(line, (1, 16), 8, 0)),
    ("entropy: one key of 16", "0", attention_entropy(torch.eye(16)[None, None]).mean()),
    ("entropy: two keys of 17", "ln 2 = 0.693", attention_entropy(two).mean()),
    ("entropy: 16 keys alike", "ln 16 = 2.773", attention_entropy(line).mean()),
)
print(
    profiling.table([{"case": case, "by hand": hand, "function": f"{value.item():.3f}"} for case, hand, value in cases])
)

# %% [markdown]
# ### Distance and entropy, layer by layer
#
# **Predict.** In ViTs trained on millions of images, early layers hold heads that look at their neighborhood, and late ones look everywhere (Dosovitskiy et al. 2021, figure 7). What will your model do? Its glyphs fit into one patch.

# %% explore=true
uniform_distance = attention_distance(torch.full((1, 1, 16, 16), 1 / 16), (4, 4), 8, 0).item()
collections = {seed: collect_attention(model, x_test)[0] for seed, model in models.items()}
measures = {
    "attention distance in pixels": (lambda attn: attention_distance(attn, (4, 4), 8, 1), uniform_distance),
    "entropy of patch queries in nats": (
        lambda attn: attention_entropy(attn)[:, :, 1:].mean((0, 2)),
        float(np.log(17)),
    ),
    "entropy of the class token in nats": (lambda attn: attention_entropy(attn)[:, :, 0].mean(0), float(np.log(17))),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 3.7))
for ax, (name, (measure, even)) in zip(axes, measures.items()):
    for seed, maps in collections.items():
        of_layer = torch.stack([measure(attn) for attn in maps])  # (L, H)
        places = np.arange(1, 4) + 0.14 * (seed - (len(seeds) - 1) / 2)
        ax.plot(np.repeat(places, 4), of_layer.flatten(), "o", alpha=0.75, markersize=5, label=f"seed {seed}")
        print(f"seed {seed}, {name}: " + ", ".join(f"layer {i + 1} {row.mean():.2f}" for i, row in enumerate(of_layer)))
    ax.axhline(even, color="0.3", linestyle="--", label="even attention")
    ax.set(title=name, xlabel="layer", xticks=(1, 2, 3))
    ax.margins(y=0.12)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %% [markdown]
# **Explain.** Each dot is a head. The mean distance stays near that of even attention in every layer: no layer of this model is local. It has no reason to be. Neighboring cells of clutter have nothing to say about a glyph. "Early layers look nearby" is a statement about models that were trained on photographs. The atlas below asks two that you can train here, and the one at the end asks pretrained ones.
#
# You will also read that early layers are *more uniform*, and that you should remove a layer norm if yours are. Both cannot be said of a model whose early layers are local: a head that looks at its neighborhood is not even. Here the entropies of both seeds say: the patches of layer 1 are the most even, by little (2.79 nats of at most 2.83; later layers 2.67 to 2.75), and its class token is the sharpest. So ask *whose* attention is meant, and print it. Removing a norm was not tried here, and no paper named at the top of this week advises it.

# %% [markdown]
# ### The atlas: every layer, every head, twelve pictures
#
# One picture is an anecdote. An **atlas** shows them all: a contact sheet for each layer, the heads in rows, the pictures in columns, all maps in the same colors. Beside each head stand its entropy and its mean distance, so that you can check what your eyes say.
#
# Two models go into it. The one you know, whose evidence fits into one patch. And a ViT that learns real digits of $8 \times 8$ pixels with patches of $2 \times 2$: there a stroke crosses patches, so that it may pay to look at a neighbor. Its twin has four **registers**, tokens that belong to no patch and start empty. Darcet et al. (2024) added such tokens to large ViTs, which otherwise turn patches of the background into scratch paper that attracts attention.
#
# "Early layers look local" is a claim, so it gets a rule before the numbers are seen. **Confirmed**: the mean distance of layer 1 is at most 0.9 of that of even attention, and in the last layer this share is higher by at least 0.1. Else **refuted**, for this model.
#
# **Predict.** For which of the three models will it be confirmed?


# %% explore=true
def survey(model: VisionTransformer, x: torch.Tensor, part: int = 100) -> tuple[list, dict[str, torch.Tensor]]:
    """What an atlas needs of a model: for each layer the maps (H, n, gh, gw) of the class token, and numbers (L, H).

    The numbers are means over images and patch queries; `peak` is how many times the mean share the patch gets that is
    attended to most.
    """
    grid, patch, prefix = model.patch_embed.grid_size, model.patch_embed.patch_size[0], model.num_prefix_tokens
    sheets: list[list[torch.Tensor]] = [[] for _ in model.blocks]
    found: dict[str, list[torch.Tensor]] = {
        "distance": [],
        "entropy": [],
        "sparsity": [],
        "prefix mass": [],
        "peak": [],
    }
    for images in x.split(part):
        maps, _ = collect_attention(model, images)
        for sheet, attn in zip(sheets, maps):
            sheet.append(attn[:, :, 0, prefix:].unflatten(-1, grid).transpose(0, 1).cpu())
        received = [attn[:, :, prefix:, prefix:].mean(2) for attn in maps]  # by each patch, (B, H, n)
        of_part = {
            "distance": [attention_distance(attn, grid, patch, prefix) for attn in maps],
            "entropy": [attention_entropy(attn)[:, :, prefix:].mean((0, 2)) for attn in maps],
            "sparsity": [hoyer_sparsity(attn)[:, :, prefix:].mean((0, 2)) for attn in maps],
            "prefix mass": [prefix_mass(attn, prefix)[:, :, prefix:].mean((0, 2)) for attn in maps],
            "peak": [(share.amax(-1) / share.mean(-1)).mean(0) for share in received],
        }
        for name, values in of_part.items():
            found[name].append(len(images) / len(x) * torch.stack(values).cpu())
    return [torch.cat(sheet, 1) for sheet in sheets], {name: torch.stack(parts).sum(0) for name, parts in found.items()}


def even_distance(model: VisionTransformer) -> float:
    """The distance in pixels that even attention to all patches would have."""
    grid, patch = model.patch_embed.grid_size, model.patch_embed.patch_size[0]
    patches = grid[0] * grid[1]
    return attention_distance(torch.full((1, 1, patches, patches), 1 / patches), grid, patch, 0).item()


def progression(name: str, measures: dict[str, torch.Tensor], even: float) -> str:
    """A table of the layers, and whether early layers look local: "confirmed" or "refuted", with the numbers."""
    share = measures["distance"] / even
    rows = [
        {"layer": layer + 1, "distance, px": f"{row.mean() * even:.2f}", "of even": f"{row.mean():.2f}",
         "its heads": f"{row.min():.2f} to {row.max():.2f}"}
        | {key: f"{values[layer].mean():.2f}" for key, values in measures.items() if key != "distance"}
        for layer, row in enumerate(share)
    ]  # fmt: skip
    first, last = share[0].mean().item(), share[-1].mean().item()
    verdict = "confirmed" if first <= 0.9 and last - first >= 0.1 else "refuted"
    said = f"early layers look local: {verdict} (layer 1 at {first:.2f} of even attention, layer {len(share)} at {last:.2f})"
    return profiling.table(rows, title=f"{name}; even attention: {even:.2f} px") + "\n" + said


def digit_vit(registers: int, seed: int = 0) -> VisionTransformer:
    """A ViT for 8 x 8 pixels: p = 2, so 16 patches; width 48, 4 blocks, 4 heads; class token and some registers."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=48, depth=4, num_heads=4, mlp_ratio=2.0,
        reg_tokens=registers, weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.3)
    return model


def train_on_digits(model: VisionTransformer, steps: int = 200) -> VisionTransformer:
    """Train on scikit-learn's digits with AdamW; the model in eval mode."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=4e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(DIGITS.x_train), (48,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(DIGITS.x_train[rows]), DIGITS.y_train[rows]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


DIGITS = datasets.digits()
of_digits = dict(zip((0, 4), profile.side_by_side(train_on_digits, [digit_vit(0), digit_vit(4)])))
ATLAS = {"glyphs": survey(models[0], x_test)}
EVEN = {"glyphs": even_distance(models[0])}
for registers, model in of_digits.items():
    name = f"digits, {registers} registers"
    with torch.no_grad():
        right = (model(DIGITS.x_test).argmax(1) == DIGITS.y_test).double().mean()
    print(f"{name}: test accuracy {right:.3f} on {len(DIGITS.y_test)} digits")
    ATLAS[name], EVEN[name] = survey(model, DIGITS.x_test), even_distance(model)
for name, (_, measures) in ATLAS.items():
    print(progression(name, measures, EVEN[name]))


# %% explore=true
def beside(measures: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What stands beside each head of an atlas."""
    return {"nats": measures["entropy"], "px": measures["distance"]}


sheets, measures = ATLAS["glyphs"]
plotting.attention_atlas(
    test.x[first_of_class], [sheet[:, first_of_class] for sheet in sheets], beside(measures), boxes=test.bbox[first_of_class],
    title="seed 0, glyphs: where the class token looks; the glyph is outlined",
)  # fmt: skip

# %% explore=true
of_each = [int((DIGITS.y_test == label).nonzero()[0]) for label in range(10)] + [10, 11]
gray = DIGITS.x_test[of_each] - DIGITS.x_test.min()
sheets, measures = ATLAS["digits, 4 registers"]
plotting.attention_atlas(
    gray / gray.max(), [sheet[:, of_each] for sheet in sheets], beside(measures),
    title="digits, 4 registers: where the class token looks",
)  # fmt: skip

# %% explore=true
fig, axes = plt.subplots(1, 4, figsize=(14, 3.6))
for number, (name, (_, measures)) in enumerate(ATLAS.items()):
    for ax, (key, what) in zip(axes, (("distance", "distance, share of even"), ("entropy", "entropy, nats"), ("sparsity", "Hoyer sparsity"), ("prefix mass", "mass on prefix tokens"))):  # fmt: skip
        values = measures[key] / EVEN[name] if key == "distance" else measures[key]
        plotting.dots_by_layer(
            ax, values, ylabel=what, label=name, number=number, even=None if number or key != "distance" else 1.0
        )
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
fig.suptitle("patch queries: a dot for each head, a line for their mean")
plt.show()

# %% [markdown]
# **Explain.** Go through one contact sheet row by row, and say for each head what it does before you read the numbers beside it. Then compare.
#
# - The claim is refuted for all three, by the rule that you read first: the mean distance stays near that of even attention from the first layer to the last. On digits single heads do look a little nearer than others. Small models, trained for seconds, learn *what* to look for. Whether that is for want of data or of size, these three cannot say.
# - What does change is how sharply they look. On digits layer 1 looks most evenly, and the layers behind it have less entropy and more of Hoyer's sparsity. Local and sharp are two things.
# - The twin's five prefix tokens are 5 of its 21 keys, and get somewhat less of the attention than 5 / 21: they are keys like others. That says nothing about large models; what registers do there is for the atlas of pretrained models at the end to show.

# %% [markdown] about="similarity"
# ### Exercise 5. Which heads do the same?
#
# Two heads that attend alike on every image are one head paid twice. The **Jensen-Shannon divergence** compares two distributions, here two rows of the same query in the same image:
#
# $$\text{JSD}(u, v) = \text{entropy}\!\left(\tfrac{u + v}{2}\right) - \tfrac12\,\text{entropy}(u) - \tfrac12\,\text{entropy}(v)$$
#
# It is 0 for equal rows and $\ln 2$ for rows with no key in common. The entry for two heads is its mean over all images and queries. (The name *similarity* is the field's; small means similar.)
#
# | function | argument | result |
# | --- | --- | --- |
# | `head_similarity(attentions)` | sequence of $L$ tensors $(B, H, N, N)$ | $(LH, LH)$; head $h$ of layer $l$ has number $lH + h$, both from 0 |
# | `redundant_heads(matrix, threshold)` | $(M, M)$, float | list of ints, ascending: go through the heads in order, and call one redundant if its divergence from a head **that was kept** is below the threshold |


# %% exercise="similarity" difficulty=2 minutes=35
def head_similarity(attentions: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean Jensen-Shannon divergence in nats between all pairs of heads (Lin 1991).

    Parameters
    ----------
    attentions : L tensors (B, H, N, N), with the same B, H and N; not changed.

    Returns
    -------
    (L * H, L * H) in their dtype, symmetric, 0 on the diagonal, at most ln 2; head h of layer l has number l * H + h.
    """

    ### BEGIN SOLUTION
    def mean_entropy(heads: torch.Tensor) -> torch.Tensor:
        """Over images and queries: (M, B, N, N) -> (M,)."""
        return torch.special.entr(heads).sum(dim=-1).mean(dim=(1, 2))

    heads = torch.cat([attn.transpose(0, 1) for attn in attentions])  # (L * H, B, N, N)
    own = mean_entropy(heads)
    mixed = torch.stack([mean_entropy((heads + head) / 2) for head in heads])  # one row at a time: memory
    return (mixed - (own[:, None] + own[None]) / 2).clamp(min=0)
    ### END SOLUTION


def redundant_heads(matrix: torch.Tensor, threshold: float) -> list[int]:
    """Heads whose divergence from an earlier head that was kept is below the threshold; (M, M) -> ascending numbers."""
    ### BEGIN SOLUTION
    kept: list[int] = []
    redundant: list[int] = []
    for head, row in enumerate(matrix.tolist()):
        (redundant if any(row[other] < threshold for other in kept) else kept).append(head)
    return redundant
    ### END SOLUTION


# %% look="similarity"
# Look: two layers of two heads. Heads 0 and 3 are the same, head 1 looks elsewhere, head 2 is even.
with checks.look():
    look_same = torch.eye(4).roll(1, dims=1)
    look_layers = [
        torch.stack([look_same, torch.eye(4)])[None],
        torch.stack([torch.full((4, 4), 0.25), look_same])[None],
    ]
    look_matrix = head_similarity(look_layers)
    fig, ax = plt.subplots(figsize=(4.6, 3.4))
    plotting.heatmap(
        ax,
        look_matrix,
        title="divergence of heads, nats",
        xlabel="head",
        ylabel="head",
        vmin=0,
        vmax=0.7,
        annotate=True,
    )
    plt.show()
    print("redundant below 0.1:", redundant_heads(look_matrix, 0.1))

# %% [markdown] hints="similarity"
# <details><summary>Hint 1: the idea</summary>
#
# Put all heads into one tensor with the head in front. The divergence needs three entropies; two of them belong to single heads and are computed once.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     heads = all layers, head dimension first, one below the other     (LH, B, N, N)
#     own   = mean entropy of each head                                 (LH,)
#     row i of mixed = mean entropies of (heads + heads[i]) / 2         (LH,)
#     mixed - (own[i] + own[j]) / 2
#
#     redundant: kept = [], redundant = []
#     for each head: below the threshold from any kept one? then redundant, else kept
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `attn.transpose(0, 1)` brings the heads to the front, `torch.cat([...])` puts the layers below each other in the right order. `torch.special.entr(x).sum(-1).mean((1, 2))` is the mean entropy of each head. Compare with *kept* heads only: if 1 is like 0 and 2 is like 1 but not like 0, then 1 goes and 2 stays.
#
# </details>

# %% [markdown]
# ### What the twelve heads do
#
# A head can be redundant in two senses. It may *attend* like another one: that is your matrix. Or the model may not *need* it: take it out, and see what happens to the accuracy. The next cell does both, and asks each head of the class token how much of its attention lies on the glyph.


# %% explore=true
def without_heads(model: VisionTransformer, heads: Sequence[tuple[int, int]]) -> VisionTransformer:
    """A copy of the model in which these (layer, head) write nothing: their columns of `proj` are 0."""
    pruned = copy.deepcopy(model)
    with torch.no_grad():
        for layer, head in heads:
            attn = pruned.blocks[layer].attn
            attn.proj.weight[:, head * attn.head_dim : (head + 1) * attn.head_dim] = 0
    return pruned


def accuracy(model: Callable, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def loss(model: Callable, x: torch.Tensor, y: torch.Tensor) -> float:
    """Cross-entropy in nats: it moves long before the accuracy does."""
    with torch.no_grad():
        return F.cross_entropy(model(x), y).item()


maps, model = collections[0], models[0]
matrix = head_similarity(maps)
rows = []
for number in range(12):
    layer, head = divmod(number, 4)
    attn = maps[layer][:, head : head + 1]
    on_patches = attn[:, 0, 0, 1:] / attn[:, 0, 0, 1:].sum(-1, keepdim=True)
    rows.append({
        "head": f"{layer + 1}.{head + 1}",
        "glyph's share": f"{on_patches.gather(1, test.cell[:, None]).mean():.2f}",
        "prefix mass": f"{prefix_mass(attn, 1)[:, 0, 0].mean():.2f}",
        "entropy": f"{attention_entropy(attn)[:, 0, 0].mean():.2f}",
        "distance, px": f"{attention_distance(attn, (4, 4), 8, 1)[0]:.1f}",
        "loss without": f"{loss(without_heads(model, [(layer, head)]), x_test, test.y):.4f}",
    })  # fmt: skip
print(profiling.table(rows, title=f"seed 0: the class token's row of each head (chance for the glyph: {1 / 16:.4f})"))
alike = redundant_heads(matrix, 0.02)
print(f"heads that attend like an earlier one (divergence below 0.02): {[f'{n // 4 + 1}.{n % 4 + 1}' for n in alike]}")
removals = {"nothing": [], "these heads": [divmod(n, 4) for n in alike]}
for layers in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
    removals["layer " + " and ".join(str(i + 1) for i in layers)] = [(i, head) for i in layers for head in range(4)]
print(
    profiling.table(
        [
            {
                "without": name, "heads": len(heads),
                "accuracy": f"{accuracy(without_heads(model, heads), x_test, test.y):.3f}",
                "loss, nats": f"{loss(without_heads(model, heads), x_test, test.y):.4f}",
            }
            for name, heads in removals.items()
        ]
    )
)  # fmt: skip
names = [f"{n // 4 + 1}.{n % 4 + 1}" for n in range(12)]
fig, ax = plt.subplots(figsize=(6, 4.6))
plotting.heatmap(
    ax, matrix, title="divergence of heads, nats (layer.head)", xlabel="", ylabel="", vmin=0, cmap="viridis_r"
)
ax.set_xticks(range(12), names, rotation=90, fontsize=9)
ax.set_yticks(range(12), names, fontsize=9)
plt.show()

# %% [markdown]
# **Explain.** Read the first table row by row: the class token of most heads points at the glyph, some with more than half of their attention. Now read the second. Without any single head the loss does not move, and without all heads of any one layer the accuracy stays where it was. Only when two layers lose their heads does the model begin to fail, most when they are layers 1 and 2. The heads stand in for each other.
#
# So "this head finds the glyph" is true, and "the model needs this head" is another sentence. Two tests, two meanings of *redundant*.
#
# ## Part 3. Ask about one class
#
# Rollout gives the same map whichever class you ask about. It never looks at the classifier. To explain *why this class*, the answer has to depend on the class.

# %% [markdown] about="relevance"
# ### Exercise 6. Relevance, weighed by the gradient
#
# The gradient of a class logit $y_c$ with respect to an attention weight says whether more attention there would help the class. Chefer, Gur and Wolf (ICCV 2021) keep what helps, average the heads, and propagate as rollout does:
#
# $$\bar A_l = \operatorname{mean}_h \Big( \frac{\partial y_c}{\partial W_l^h} \odot W_l^h \Big)^{+}, \qquad R \leftarrow I, \qquad R \leftarrow R + \bar A_l R \quad \text{for } l = 1 \dots L$$
#
# with $x^+ = \max(x, 0)$ entry by entry, **before** the mean over heads. The map is the row of the class token (row 0), without the prefix tokens. It is not normalized.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `model` | a timm ViT with a class token | |
# | `image` | $(B, C, H, W)$ | |
# | `target` | int, or $(B,)$ int64 | the class $c$ for all images or for each |
# | result | $(B, N - p)$ | at least 0, without a graph; image $b$ as if it were alone |
#
# The model is left as it was found, gradients of its parameters included, and it does not matter whether they are frozen, or whether the call stands inside of `torch.no_grad()`.
#
# The gradient is that of the **logit**, not of the loss: a sure model has a loss near 0, and all its gradients vanish. One backward pass serves the batch: $\sum_b y_{c_b}$ has, for image $b$, the gradient of its own logit only.


# %% exercise="relevance" difficulty=4 minutes=60 uses="collect"
def gradient_relevance(model: nn.Module, image: torch.Tensor, target: int | torch.Tensor) -> torch.Tensor:
    """Attention weighed by the gradient of a class, propagated through all layers (Chefer et al., ICCV 2021).

    Parameters
    ----------
    model : a timm ViT with a class token; left as it was found, also its gradients, also after an error. Its
        parameters may be frozen, and the call may stand inside of `torch.no_grad()`.
    image : (B, C, H, W), not changed. target : the class, one for all images or (B,) int64.

    Returns
    -------
    (B, N - p): relevance of each patch for the logit of the class, at least 0; detached, not normalized; in dtype and
    on the device of the logits.
    """
    ### BEGIN SOLUTION
    maps, logits = collect_attention(model, image, with_grad=True)
    classes = torch.as_tensor(target, device=logits.device).expand(len(logits))
    with torch.enable_grad():
        chosen = logits.gather(1, classes[:, None]).sum()
    gradients = torch.autograd.grad(chosen, maps)
    relevance = torch.eye(maps[0].shape[-1], dtype=logits.dtype, device=logits.device)
    for weights, gradient in zip(maps, gradients):
        helpful = (weights.detach() * gradient).clamp(min=0).mean(dim=1)
        relevance = relevance + helpful @ relevance
    return relevance[:, 0, model.num_prefix_tokens :]
    ### END SOLUTION


# %% look="relevance"
# Look: one image, the relevance of 16 patches for each of five classes of a small random ViT. The maps should differ.
with checks.look():
    look_model, look_image = small_vit(seed=2), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    fig, axes = plt.subplots(1, 5, figsize=(11.5, 2.7))
    for label, ax in enumerate(axes):
        came = gradient_relevance(look_model, look_image, label)
        plotting.heatmap(
            ax,
            came.reshape(4, 4),
            title=f"class {label}: sum {came.sum():.2f}",
            xlabel="",
            ylabel="",
            vmin=0,
            colorbar=False,
        )
    plt.show()

# %% [markdown] hints="relevance"
# <details><summary>Hint 1: the idea</summary>
#
# Exercise 1 gives you maps that hang together with the logits. `torch.autograd.grad` of one number with respect to a list of tensors gives a list of gradients of the same shapes. The rest is rollout with $R + \bar A R$ instead of $A R$.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     maps, logits = collect with gradients
#     chosen = sum over images of the logit of its class
#     gradients = of chosen, for each map                    (B, H, N, N) each
#     R = identity
#     for each layer from the first to the last:
#         helpful = mean over heads of the positive part of map * gradient    (B, N, N)
#         R = R + helpful @ R
#     row 0 of R, without the prefix tokens
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.as_tensor(target, device=logits.device).expand(B)` makes $(B,)$ of an int and of a tensor. `logits.gather(1, classes[:, None]).sum()`; `.mean()` would divide every gradient by $B$. `(weights * gradient).clamp(min=0).mean(1)`: clamp first. `R[:, 0, model.num_prefix_tokens:]`. Wrap the choice of logits in `torch.enable_grad()`, so that a caller's `no_grad` does no harm.
#
# </details>


# %% [markdown]
# ### Twenty pictures, three kinds of maps
#
# The next cell makes five kinds of maps for any ViT. Two of them are there to be beaten. *Random* knows nothing. *Contrast*, the standard deviation of the pixels in a patch, knows the picture but not the model. On photographs it makes handsome heat maps.


# %% explore=true
def explanations(
    model: VisionTransformer, x: torch.Tensor, target: torch.Tensor, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Maps (n, gh, gw) of five kinds for images x (n, C, H, W) and their classes (n,)."""
    (rows, columns), prefix = model.patch_embed.grid_size, model.num_prefix_tokens
    found: dict[str, list[torch.Tensor]] = {"attention": [], "rollout": [], "relevance": []}
    for images, classes in zip(x.split(100), target.split(100)):
        maps, _ = collect_attention(model, images)
        found["attention"].append(maps[-1].mean(1)[:, 0, prefix:])
        found["rollout"].append(attention_rollout(maps)[:, 0, prefix:])
        found["relevance"].append(gradient_relevance(model, images, classes))
    result = {name: torch.cat(parts).reshape(-1, rows, columns) for name, parts in found.items()}
    height, width = x.shape[-2] // rows, x.shape[-1] // columns
    cells = x.mean(1).unfold(1, height, height).unfold(2, width, width)  # (n, gh, gw, height, width)
    result["contrast"] = cells.std(dim=(3, 4))
    result["random"] = torch.rand(len(x), rows, columns, generator=torch.Generator().manual_seed(seed)).to(x.device)
    return result


explained = {seed: explanations(model, x_test, said[seed], seed) for seed, model in models.items()}
shown = ("attention", "rollout", "relevance", "contrast")
plotting.map_gallery(
    test.x[:20], {name: explained[0][name][:20] for name in shown}, boxes=test.bbox[:20],
    title="seed 0: attention of the last layer, rollout, relevance, contrast; the glyph is outlined",
)  # fmt: skip

# %% [markdown]
# The three maps of the model point at the outlined cell nearly always. Twenty pictures and a good impression: this is where most reports stop. What is the impression worth?
#
# ## Part 4. Does it explain anything?

# %% [markdown] about="deletion"
# ### Exercise 7. Put a map to the test
#
# **Deletion** (Petsiuk et al. 2018): delete the patches that a map calls most important, and see how fast the accuracy falls. **Insertion** is the reverse: begin with an empty picture, put the most important patches in first, and see how fast it rises. A good map falls fast and rises fast. The area under the curve is one number for each.
#
# Where the true place is known there are two more. The **pointing game** (Zhang et al. 2016): how often does the maximum of the map lie in the mask? **Mass inside**: how much of the map does?
#
# $$k_f = \lfloor f\, g_h g_w + \tfrac12 \rfloor, \qquad \text{hit rate} = \operatorname{mean}_i \big[\arg\max m_i \in \text{mask}_i\big], \qquad \text{mass}_i = \frac{\sum_{j \in \text{mask}_i} m_{ij}}{\sum_j m_{ij}}$$
#
# | function | arguments | result |
# | --- | --- | --- |
# | `deletion_curve` | `model`: images to logits; `images` $(n, C, H, W)$; `labels` $(n,)$; `maps` $(n, g_h, g_w)$; `fractions`: $F$ floats in $[0, 1]$; `fill`: the value of a deleted pixel; `insert` | $(F,)$ float32: accuracy with the $k_f$ most relevant patches deleted (`insert=True`: with **only** these left) |
# | `area` | `curve` $(F,)$; `fractions`, or None: evenly spaced from 0 to 1 | float: trapezoids, divided by last minus first fraction, so that a curve that is always 1 has area 1 |
# | `pointing_game` | `maps`, `mask_grid` $(n, g_h, g_w)$ bool | float |
# | `mass_inside` | the same | $(n,)$; 0 for a map of zeros |
#
# Among equal values the patch with the smaller index (row by row) counts as more relevant. A patch covers $H / g_h \times W / g_w$ pixels.


# %% exercise="deletion" difficulty=3 minutes=55
def deletion_curve(
    model: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    labels: torch.Tensor,
    maps: torch.Tensor,
    fractions: Sequence[float],
    fill: float = 0.0,
    insert: bool = False,
) -> torch.Tensor:
    """Accuracy after deleting the most relevant patches, or with only these inserted (Petsiuk et al. 2018).

    Parameters
    ----------
    model : any function of images (n, C, H, W) that gives logits (n, classes); left as it was found. images : not
        changed. labels : (n,) int64.
    maps : (n, gh, gw), not changed; larger is more relevant; ties go to the smaller index.
    fractions : shares of the patches; floor(share * gh * gw + 1/2) are deleted, or inserted.
    fill : the value of deleted pixels. insert : begin with everything deleted.

    Returns
    -------
    (F,) float32, accuracies without a graph.
    """
    ### BEGIN SOLUTION
    count, rows, columns = maps.shape
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1).reshape(count, rows, columns)  # 0: the most relevant
    height, width = images.shape[-2] // rows, images.shape[-1] // columns
    accuracies = []
    for fraction in fractions:
        chosen = rank < int(fraction * rows * columns + 0.5)
        hidden = (~chosen if insert else chosen).repeat_interleave(height, 1).repeat_interleave(width, 2)
        with torch.no_grad():
            logits = model(images.masked_fill(hidden[:, None], fill))
        accuracies.append((logits.argmax(1) == labels).float().mean())
    return torch.stack(accuracies)
    ### END SOLUTION


def area(curve: torch.Tensor, fractions: Sequence[float] | None = None) -> float:
    """Area under a curve (F,) by trapezoids, as a share of the range of the fractions (evenly spaced by default).

    The curve is on the CPU.
    """
    ### BEGIN SOLUTION
    places = torch.linspace(0, 1, len(curve)) if fractions is None else torch.as_tensor(fractions)
    return float(torch.trapezoid(curve.double(), places.double()) / (places[-1] - places[0]))
    ### END SOLUTION


def pointing_game(maps: torch.Tensor, mask_grid: torch.Tensor) -> float:
    """How often the maximum of a map (n, gh, gw) lies in its mask (n, gh, gw) bool (Zhang et al. 2016).

    Of equal maxima the first one counts, row by row. Neither argument is changed.
    """
    ### BEGIN SOLUTION
    best = maps.flatten(1).argmax(dim=1, keepdim=True)
    return float(mask_grid.flatten(1).gather(1, best).double().mean())
    ### END SOLUTION


def mass_inside(maps: torch.Tensor, mask_grid: torch.Tensor) -> torch.Tensor:
    """The share of each map (n, gh, gw), at least 0 everywhere, inside its mask (n, gh, gw) bool.

    (n,) in the dtype of the maps; 0 for a map of zeros. Neither argument is changed.
    """
    ### BEGIN SOLUTION
    total = maps.flatten(1).sum(dim=1)
    return (maps * mask_grid).flatten(1).sum(dim=1) / total.clamp(min=torch.finfo(maps.dtype).tiny)
    ### END SOLUTION


# %% look="deletion"
# Look: a model that says 1 where the top left patch is bright. Three maps for it: the right one, its reverse, a random one.
with checks.look():

    def look_model(images: torch.Tensor) -> torch.Tensor:
        bright = images[:, 0, :2, :2].mean((1, 2))
        return torch.stack([0.5 - bright, bright - 0.5], 1)

    look_images, look_labels = torch.ones(50, 1, 8, 8), torch.ones(50, dtype=torch.int64)
    look_right = torch.arange(16.0).flip(0).reshape(1, 4, 4).expand(50, 4, 4)
    look_random = torch.rand(50, 4, 4, generator=torch.Generator().manual_seed(0))
    look_fractions = torch.linspace(0, 1, 17).tolist()
    fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.3), sharey=True)
    for ax, insert in zip(axes, (False, True)):
        for name, look_maps in (("right", look_right), ("reverse", -look_right), ("random", look_random)):
            curve = deletion_curve(look_model, look_images, look_labels, look_maps, look_fractions, 0.0, insert)
            ax.plot(look_fractions, curve, label=f"{name}: area {area(curve, look_fractions):.2f}")
        ax.set(
            title="insertion" if insert else "deletion",
            xlabel="share of patches " + ("inserted" if insert else "deleted"),
        )
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=9, columnspacing=1)
    axes[0].set_ylabel("accuracy")
    plt.show()

# %% [markdown] hints="deletion"
# <details><summary>Hint 1: the idea</summary>
#
# Give every patch its rank in its own map. Then "the $k$ most relevant" is a comparison `rank < k` for all images at once, and a patch becomes pixels by repeating it.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     order = indices of each map from large to small, stable    (n, patches)
#     rank  = where each patch stands in that order               (n, gh, gw)
#     for each fraction:
#         chosen = rank < k
#         hidden = chosen, or everything else when inserting
#         repeat hidden to pixels; fill the images there; accuracy of the model
#     area: trapezoids over the fractions, divided by their range
#     pointing game: index of the maximum of each map; is the mask true there?
#     mass: sum of maps * mask over sum of maps
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `maps.flatten(1).argsort(dim=1, descending=True, stable=True)`; the `argsort` of an order is the rank. `mask.repeat_interleave(height, 1).repeat_interleave(width, 2)`. `images.masked_fill(hidden[:, None], fill)` makes a new tensor. `torch.trapezoid(curve, places)`. `mask.flatten(1).gather(1, best)`. Divide by the sum clamped to a tiny number, so that a map of zeros gives 0.
#
# </details>


# %% [markdown]
# ### The experiment
#
# Every kind of map, every seed, four numbers: mass inside the glyph's cell (chance 0.0625), hit rate of the pointing game (chance 0.0625), accuracy after deleting the top 2 of 16 patches, and the area under the deletion curve.
#
# | target | for |
# | --- | --- |
# | hit rate at least 0.85 | rollout, for every seed; relevance, in the mean over seeds |
# | mass inside at least 0.33 | relevance |
# | accuracy after deletion at most 0.45 | rollout, relevance |
# | accuracy after deletion at least 0.85 | random |
#
# **Predict.** Which of the five will win the pointing game? Which the mass?

# %% explore=true
cell_mask = F.one_hot(test.cell, 16).bool().reshape(-1, 4, 4)
fractions = [k / 16 for k in (0, 1, 2, 3, 4, 6, 8, 12, 16)]
half = slice(200)  # pictures for the curves
kinds = ("attention", "rollout", "relevance", "contrast", "random")
scores, curves = {}, {}
for seed, maps_of in explained.items():
    for kind in kinds:
        maps = maps_of[kind]
        to_test = models[seed], x_test[half], test.y[half], maps[half], fractions
        curves[kind, seed] = deletion_curve(*to_test)
        curves[kind, seed, "insertion"] = deletion_curve(*to_test, insert=True)
        scores[kind, seed] = {
            "mass": mass_inside(maps, cell_mask).mean().item(),
            "hits": pointing_game(maps, cell_mask),
            "deleted": curves[kind, seed][2].item(),
            "area": area(curves[kind, seed], fractions),
        }


def spread(values: Sequence[float]) -> str:
    """Each seed's value, for a table."""
    return ", ".join(f"{value:.2f}" for value in values)


print(
    profiling.table(
        [
            {"map": kind} | {
                name: spread([scores[kind, seed][key] for seed in seeds])
                for name, key in (("mass inside", "mass"), ("hit rate", "hits"), ("accuracy, 2 deleted", "deleted"), ("area", "area"))
            }
            for kind in kinds
        ],
        title=f"seeds {seeds}, in this order; accuracy before: {spread([curves['random', seed][0].item() for seed in seeds])}",
    )
)  # fmt: skip
reached = {
    "rollout hits >= 0.85, every seed": min(scores["rollout", s]["hits"] for s in seeds) >= 0.85,
    "relevance hits >= 0.85, mean over seeds": np.mean([scores["relevance", s]["hits"] for s in seeds]) >= 0.85,
    "relevance mass >= 0.33, every seed": min(scores["relevance", s]["mass"] for s in seeds) >= 0.33,
    "accuracy with 2 deleted <= 0.45, rollout and relevance, every seed": max(
        scores[k, s]["deleted"] for k in ("rollout", "relevance") for s in seeds
    ) <= 0.45,
    "accuracy with 2 deleted >= 0.85, random, every seed": min(scores["random", s]["deleted"] for s in seeds) >= 0.85,
}  # fmt: skip
for name, yes in reached.items():
    print("reached" if yes else "MISSED ", name)

# %% explore=true
styles = {"attention": "-", "rollout": "-", "relevance": "-", "contrast": "--", "random": ":"}


def draw_curves(ax: plt.Axes, insertion: bool, legend: bool = True) -> None:
    """Mean over seeds of each kind's curve, in a band from least to greatest."""
    for number, kind in enumerate(kinds):
        of_kind = torch.stack([curves[(kind, seed, "insertion") if insertion else (kind, seed)] for seed in seeds])
        size = np.mean([area(curve, fractions) for curve in of_kind])
        color = "0.3" if kind == "random" else plotting.COLORS[number]
        label = f"{kind}: area {size:.2f}"
        ax.plot(16 * np.array(fractions), of_kind.mean(0), styles[kind], color=color, label=label if legend else kind)
        ax.fill_between(
            16 * np.array(fractions), of_kind.amin(0), of_kind.amax(0), color=color, alpha=0.15, linewidth=0
        )
    ax.axhline(0.25, color="0.6", linewidth=1)
    ax.set(xlabel="patches " + ("inserted" if insertion else "deleted"), ylim=(0.1, 1.03), xticks=range(0, 17, 4))


fig, axes = plt.subplots(1, 2, figsize=(11.5, 4), sharey=True)
for ax, insertion in zip(axes, (False, True)):
    draw_curves(ax, insertion)
    ax.set_title("insertion, most relevant first" if insertion else "deletion, most relevant first")
axes[0].set_ylabel("test accuracy")
axes[0].legend(fontsize=9, loc="upper right")
axes[1].legend(fontsize=9, loc="lower right")
plt.show()

# %% [markdown]
# **Explain.** Read table and curves with three questions.
#
# - *Do the maps find the place?* Attention, rollout and relevance put several times more on the glyph than chance. Contrast and random lie at chance. Rollout has high hits and little mass: it spreads. Relevance concentrates, and misses some pictures. No map is first in every column.
# - *Is the place needed?* Delete one patch in the order of a good map, and the accuracy falls to about that of guessing. Random deletion loses only what it happens to hit, so its curve is nearly straight. Without these two baselines you could not read the others.
# - *How sure can you be?* Two seeds are few. With these two, the plain attention of the last layer looks as good as anything. Over twenty seeds its hit rate goes from 0.73 to 1.00, while rollout never falls below 0.97 (`pytest -s tests/training_seeds/test_week09.py` in the course's repository prints all of it; `SEEDS=4` shows you the first of the bad ones here). A ranking of methods on one model is a ranking for that model.
#
# ### Where relevance misses, and why
#
# A method that misses one picture in eight has a reason. Here is a suspect. The head reads the class token behind a **layer norm**, and a layer norm divides by the length of what it gets. If the class token is full of the glyph already, more attention to the glyph makes it longer, and the norm takes that back: the gradient is near zero, or negative, just where the evidence is.
#
# A suspect can be tested. Keep the model and its logits, and treat the divisor of the final norm as a *constant* in the backward pass. (Ali et al. 2022 propose the same for another relevance method.) Nothing is trained, no answer changes; only the gradient does.


# %% explore=true
class HeldNorm(nn.Module):
    """A layer norm with the same output, whose divisor counts as a constant when gradients are taken."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centered = x - x.mean(dim=-1, keepdim=True)
        divisor = (centered.square().mean(dim=-1, keepdim=True) + self.norm.eps).sqrt().detach()
        return centered / divisor * self.norm.weight + self.norm.bias


def with_held_norm(model: VisionTransformer) -> VisionTransformer:
    """A copy of the model whose final norm is held."""
    held = copy.deepcopy(model)
    held.norm = HeldNorm(held.norm)
    return held


def hits_by_class(maps: torch.Tensor) -> str:
    return ", ".join(
        f"{name} {pointing_game(maps[test.y == label], cell_mask[test.y == label]):.2f}"
        for label, name in enumerate(datasets.GLYPHS)
    )


held_maps = {}
for seed, model in models.items():
    held = with_held_norm(model)
    with torch.no_grad():
        drift = (held(x_test) - model(x_test)).abs().max().item()
    held_maps[seed] = gradient_relevance(held, x_test, said[seed]).reshape(-1, 4, 4)
    for name, maps in (("as it is", explained[seed]["relevance"]), ("norm held", held_maps[seed])):
        left = deletion_curve(model, x_test, test.y, maps, [2 / 16]).item()
        print(f"seed {seed}, {name}: hits {pointing_game(maps, cell_mask):.2f} ({hits_by_class(maps)}), ", end="")
        print(f"mass {mass_inside(maps, cell_mask).mean():.2f}, accuracy with 2 deleted {left:.2f}")
    missed = explained[seed]["relevance"].flatten(1).argmax(1) != test.cell
    without = deletion_curve(model, x_test[missed], test.y[missed], cell_mask[missed].float(), [0, 1 / 16]).tolist()
    print(
        f"        logits differ by {drift:.0e}; the {int(missed.sum())} pictures that relevance misses as it is: ",
        end="",
    )
    print(f"accuracy {without[0]:.2f}, with the glyph deleted {without[1]:.2f}")

# %% [markdown]
# **Explain.** The suspect is convicted. With the divisor held, relevance hits every picture, and its mass rises to about 0.9. The logits are the same to six digits: the model did not change, only its explanation did. Over twenty seeds the hit rate goes from 0.76 to 0.99 as it is, and is 1.00 from every seed with the norm held (the same test prints it).
#
# Take two things from it. A gradient says what a *small change* would do, not what the answer rests on: what is saturated has no gradient. And a map that misses is no proof that the model looked elsewhere. Look at the last number of each seed before you blame the model.
#
# ### Random weights
#
# A last test, and the most revealing one (Adebayo et al. 2018). Replace the trained weights by random ones, from the head down, layer by layer, and make the maps again. A map that explains the *model* has to change. A map that does not change explains something else: the picture, or the architecture.
#
# The number is the rank correlation between the old map and the new one over the 16 patches, averaged over pictures: 1 for the same order, 0 for no relation. Target: below 0.5 when everything is random.
#
# **Predict.** The first step makes only the classifier random, so that the model's answers are guesses. Which maps will notice?


# %% explore=true
def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Spearman's correlation over the patches of two sets of maps (n, gh, gw), mean over images; 0 for a map of zeros."""
    ranks = [maps.flatten(1).argsort(1).argsort(1).double() for maps in (a, b)]
    first, second = (F.normalize(rank - rank.mean(1, keepdim=True), dim=1) for rank in ranks)
    varied = (a.flatten(1).amax(1) > a.flatten(1).amin(1)) & (b.flatten(1).amax(1) > b.flatten(1).amin(1))
    return ((first * second).sum(1) * varied).mean().item()


def randomized(model: VisionTransformer, fresh: VisionTransformer) -> dict[str, VisionTransformer]:
    """Copies of the model in which more and more parts, from the head down, have the weights of a fresh one."""
    parts = ["head", "norm", *(f"blocks.{i}" for i in reversed(range(len(model.blocks))))]
    stages, current = {"trained": model}, model
    for part in parts:
        current = copy.deepcopy(current)
        current.get_submodule(part).load_state_dict(fresh.get_submodule(part).state_dict())
        if part != "norm":  # norm and the last block go together
            stages["head" if part == "head" else f"+ block {int(part[-1]) + 1}"] = current
    return stages | {"everything": fresh}


stages = {seed: randomized(model, glyph_vit(1000 + seed).eval()) for seed, model in models.items()}
surviving = {kind: [] for kind in ("attention", "rollout", "relevance", "contrast")}
for seed in seeds:
    at_stage = [explanations(changed, x_test[:200], said[seed][:200]) for changed in stages[seed].values()]
    for kind, rows in surviving.items():
        rows.append([rank_correlation(explained[seed][kind][:200], maps[kind]) for maps in at_stage])
print(
    profiling.table(
        [
            {"map": kind} | {stage: f"{value:.2f}" for stage, value in zip(stages[0], np.mean(rows, axis=0))}
            for kind, rows in surviving.items()
        ],
        title=f"rank correlation with the map of the trained model, mean over seeds {seeds}",
    )
)  # fmt: skip
for kind in ("attention", "rollout", "relevance"):
    print(f"{kind}, everything random: {spread([row[-1] for row in surviving[kind]])} (target: below 0.5)")
fresh_maps = explanations(stages[0]["everything"], x_test[:10], said[0][:10])
panel = {
    f"{kind}, {what}": maps[kind][:10]
    for kind in ("rollout", "relevance")
    for what, maps in (("trained", explained[0]), ("random", fresh_maps))
}
plotting.map_gallery(
    test.x[:10], panel, boxes=test.bbox[:10], title="seed 0: maps of the trained model and of one with random weights"
)


# %% explore=true
def draw_kept(ax: plt.Axes) -> None:
    for number, (kind, rows) in enumerate(surviving.items()):
        values = np.array(rows)
        ax.plot(
            range(values.shape[1]),
            values.mean(0),
            marker="o",
            linestyle=styles[kind],
            color=plotting.COLORS[number],
            label=kind,
        )
        ax.fill_between(
            range(values.shape[1]), values.min(0), values.max(0), color=plotting.COLORS[number], alpha=0.15, linewidth=0
        )
    ax.set_xticks(range(len(stages[0])), stages[0], rotation=25, ha="right")
    ax.set(ylabel="rank correlation with the trained map", ylim=(-0.25, 1.08))
    ax.grid(alpha=0.3)


fig, ax = plt.subplots(figsize=(7.6, 4.2))
draw_kept(ax)
ax.set(title="what is left of a map when layers become random", xlabel="random so far, from the head down")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
plt.show()

# %% [markdown]
# **Explain.** Follow each line from left to right.
#
# - **Attention and rollout do not notice a random head.** They cannot: no classifier is in their formulas. The model now says other classes, for the same map. So these maps may say *where* the model took from; they never say *why this class*.
# - **Rollout survives random blocks, too.** A fresh block attends nearly evenly, so it adds the same to all patches and leaves the order of the earlier layers. What you see in this rollout is mostly layer 1.
# - **Relevance notices at once.** It asks about a class, and the class is another one now.
# - **Contrast notices nothing, ever.** It does not explain the model. It is a picture of the picture.
#
# In the panel, rollout of a random model is bright everywhere: each map is drawn in its own colors, and an even map has no dark places. That is one more reason to look at numbers.
#
# ### Profiling corner: what a look inside costs
#
# The fused kernel never writes the $(N, N)$ maps. You do.

# %% explore=true
model, batch = models[0], x_test[:100]
relevant_target = said[0][:100]


def forward_only() -> None:
    with torch.no_grad():
        model(batch)


times = profiling.latencies(
    {
        "forward, fused attention": forward_only,
        "collect": lambda: collect_attention(model, batch),
        "collect and rollout": lambda: attention_rollout(collect_attention(model, batch)[0]),
        "relevance": lambda: gradient_relevance(model, batch, relevant_target),
        "deletion curve, 9 points": lambda: deletion_curve(model, batch, test.y[:100], explained[0]["rollout"][:100], fractions),
    },
    warmup=1, runs=profile.pick(cpu=5, gpu=20),
)  # fmt: skip
base = times["forward, fused attention"].p50_ms
print(
    profiling.table(
        [
            {"100 pictures": name, "p50 ms": t.p50_ms, "times forward": round(t.p50_ms / base, 1)}
            for name, t in times.items()
        ]
    )
)
print(
    profiling.table(
        [
            {"model": name, "N": tokens, "maps of one image": f"{layers * heads * tokens**2:,} numbers", "float32": f"{layers * heads * tokens**2 * 4 / 1e6:,.1f} MB"}
            for name, layers, heads, tokens in (("this week's", 3, 4, 17), ("ViT-B/16, 224 px", 12, 12, 197), ("ViT-B/16, 512 px", 12, 12, 1025), ("ViT-B/8, 512 px", 12, 12, 4097))
        ],
        title="memory of the maps",
    )
)  # fmt: skip

# %% [markdown]
# **Explain.** Collecting costs little time and much memory, which grows with $N^2$. For large inputs process one image at a time, keep only the class token's row (rollout can be computed as a vector times matrices, from the last layer down), or use half precision.
#
# ## Photographs
#
# On photographs nobody plants the truth. What remains are the tests that need none: deletion, insertion, random weights. The cell below trains a small ViT on **real CIFAR-10** where you have it on disk (set `WORKBOOK_DATA`; about three minutes of one CPU core, and `WORKBOOK_MINUTES` asks for a longer training) and runs all of them.
#
# | what | needs |
# | --- | --- |
# | data | CIFAR-10 as JPEG files in `WORKBOOK_DATA/cifar10/{train,test}/CLASS/`: 60,000 images of 32 x 32 pixels; with `PROFILE=gpu` torchvision's download is used where there is none |
# | two cores | 10,000 images, 800 steps of 64 |
# | a GPU | 50,000 images, 20,000 steps of 64; memory and time *not measured yet* |
# | kept | `kept/week09/cifar10.json` with the loss of each step, and the weights beside it: a second run trains nothing |
# | result | *not measured yet* on a GPU; `PROFILE=gpu workbook record --keep-nothing week09` would measure it |


# %% explore=true measured="cifar10"
from pathlib import Path

from IPython.display import display

from shared import kept


def photo_vit(seed: int, classes: int, width: int, depth: int) -> VisionTransformer:
    """A ViT for photographs of 32 x 32 pixels: p = 4, so 64 patches and the class token."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=32, patch_size=4, num_classes=classes, embed_dim=width, depth=depth, num_heads=width // 24,
        mlp_ratio=2.0, weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.2)
    return model.eval()


def train_on_photos(model: VisionTransformer, train: datasets.LabeledImages, steps: int, seed: int = 0) -> dict:
    """Train with flips and shifts on images that are standardized already: the weights, and the loss of each step."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in profile.track(range(steps), "training"):
        rows = torch.randint(len(train.x), (64,), generator=generator).to(train.x.device)
        down, across, flip = (int(torch.randint(high, (), generator=generator)) for high in (5, 5, 2))
        images = F.pad(train.x[rows], (2, 2, 2, 2))[:, :, down : down + 32, across : across + 32]
        loss = F.cross_entropy(model(images.flip(-1) if flip else images), train.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return {"loss": losses} | model.eval().state_dict()


def photographs(
    train_images: int,
    steps: int,
    width: int,
    depth: int,
    judged: int,
    seed: int = 0,
    folder: Path = Path("kept/week09"),
) -> tuple[plt.Figure, plt.Figure]:
    """Train on CIFAR-10, or take the weights that were kept; print and draw the tests that need no planted truth."""
    device = profile.device()
    sets = datasets.cifar10(limit=train_images), datasets.cifar10(train=False, limit=2000)
    mean, std = sets[0].x.mean((0, 2, 3), keepdim=True), sets[0].x.std((0, 2, 3), keepdim=True)
    train, held = (datasets.LabeledImages(((s.x - mean) / std).to(device), s.y.to(device), s.classes) for s in sets)
    model = photo_vit(seed, len(train.classes), width, depth).to(device)
    settings = {
        "images": train_images,
        "steps": steps,
        "width": width,
        "depth": depth,
        "batch": 64,
        "rate": 1e-3,
        "seed": seed,
    }
    found = kept.results(folder / "cifar10.json", settings, lambda: train_on_photos(model, train, steps, seed))
    losses = found.pop("loss")
    model.load_state_dict(found)
    print(f"cross entropy of a batch: {losses[0]:.2f} at first, {np.mean(losses[-20:]):.2f} in the last 20 steps")
    with torch.no_grad():
        logits = torch.cat([model(chunk) for chunk in held.x.split(500)])
    print(
        f"CIFAR-10, {train_images:,} training images, {steps:,} steps: test accuracy {(logits.argmax(1) == held.y).double().mean():.3f} on {len(held.y):,}"
    )

    right = (logits.argmax(1) == held.y).nonzero()[:judged, 0]  # what the model gets wrong needs another explanation
    x, y, shown_x = held.x[right], held.y[right], sets[1].x[right.cpu()]
    found = explanations(model, x, y)
    shares = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0]
    deleted = {kind: deletion_curve(model, x, y, maps, shares).cpu() for kind, maps in found.items()}
    inserted = {kind: deletion_curve(model, x, y, maps, shares, insert=True).cpu() for kind, maps in found.items()}
    fresh = photo_vit(1, 10, width, depth).to(device)
    changed = {
        name: explanations(stage, x, y)
        for name, stage in randomized(model, fresh).items()
        if name in ("head", "everything")
    }
    print(profiling.table([
        {
            "map": kind, "deletion area": f"{area(deleted[kind].cpu(), shares):.3f}", "insertion area": f"{area(inserted[kind].cpu(), shares):.3f}",
            "correlation, head random": f"{rank_correlation(maps, changed['head'][kind]):.2f}",
            "correlation, all random": f"{rank_correlation(maps, changed['everything'][kind]):.2f}",
        }
        for kind, maps in found.items() if kind != "random"
    ] + [{"map": "random", "deletion area": f"{area(deleted['random'].cpu(), shares):.3f}", "insertion area": f"{area(inserted['random'].cpu(), shares):.3f}"}],
        title=f"{len(x)} images that the model gets right (small deletion area, large insertion area: good)"))  # fmt: skip

    maps, _ = collect_attention(model, x[:100])
    for layer, attn in enumerate(maps):
        distances = attention_distance(attn, model.patch_embed.grid_size, 4, 1)
        print(
            f"layer {layer + 1}: distance of the heads {spread(distances.tolist())} px, mean {distances.mean():.2f}, entropy {attention_entropy(attn).mean():.2f} nats"
        )
    even = torch.full((1, 1, 64, 64), 1 / 64)
    print(f"even attention: {attention_distance(even, (8, 8), 4, 0).item():.2f} px, {np.log(65):.2f} nats")
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True)
    for ax, curves_of, title in ((axes[0], deleted, "deletion"), (axes[1], inserted, "insertion")):
        for kind, curve in curves_of.items():
            ax.plot(shares, curve, styles[kind], label=kind, color="0.3" if kind == "random" else None)
        ax.set(title=title, xlabel="share of patches")
    axes[0].set_ylabel("accuracy")
    axes[1].legend(loc="lower right")
    plt.show()
    display_maps = {kind: found[kind][:20].cpu() for kind in ("attention", "rollout", "relevance", "contrast")}
    fig = plotting.map_gallery(
        shown_x[:20], display_maps, title="CIFAR-10: attention of the last layer, rollout, relevance, contrast"
    )
    every = torch.stack([attn[0, :, 0, 1:].reshape(-1, 8, 8) for attn in maps]).cpu()  # (L, H, 8, 8), the first image
    names = {f"layer {layer + 1}": rows for layer, rows in enumerate(every)}
    return fig, plotting.map_gallery(
        shown_x[:1].expand(every.shape[1], -1, -1, -1),
        names,
        title="one image: layers by heads",
    )


budget = profile.budget(minutes=3)
figures: tuple[plt.Figure, ...] = ()
if profile.current() is profile.Profile.GPU:
    figures = photographs(50_000, 20_000, 192, 9, 2000)
elif datasets.on_disk("cifar10"):
    images, steps = budget.scaled(10_000, at_most=50_000), budget.scaled(800)
    figures = photographs(images, steps, 72, 4, 200, budget.seed)
else:
    profile.not_measured(
        "Maps on CIFAR-10",
        "this cell with WORKBOOK_DATA=FOLDER and images at FOLDER/cifar10/{train,test}/CLASS/NNNN.jpg",
        target="none, a comparison",
    )
for figure in figures:
    display(figure)

# %% [markdown]
# **Explain.** If you ran it on two cores, look for four things. The model is weak, and a map of a weak model explains a weak model.
#
# - Deletion and insertion both put relevance first and rollout second.
# - **Contrast beats the plain attention of the last layer** in both, and has never seen the model. Next to random maps alone, attention would have looked like an explanation.
# - With a random head, attention, rollout and contrast keep correlation 1.00; relevance falls to about 0. In the gallery you would not have seen it: contrast draws the most convincing objects of all.
# - The mean distance grows a little from the first to the third layer, within half a pixel of even attention. The famous picture of local early layers takes more than 10,000 images.
#
# ### On a GPU: pretrained models
#
# With `PROFILE=gpu` the next cells read four pretrained ViTs on Imagenette, ten classes of ImageNet: a ViT-B/16 and a DeiT-S/16 that were trained with labels, and two DINOv2 ViT-B/14 that were not, one of them with four registers. For each model they print the progression through all layers with the verdict on "early layers look local", draw the measures of all heads, and write an atlas of 24 photographs, a page for each layer, into one PDF beside this notebook. The two with a classifier also go through deletion and insertion.
#
# | what | needs |
# | --- | --- |
# | data | Imagenette, 320 px: 342 MB as an archive; its repository is under the Apache License 2.0, the photographs are ImageNet's |
# | weights | 86, 22, 86 and 86 million numbers in float32 (ViT-B, DeiT-S, twice DINOv2's ViT-B): 1.1 GB on disk in timm's cache |
# | memory of the GPU | one image at a time for attention; deletion runs batches of 50 photographs: *not measured yet* |
# | time | *not measured yet* |
# | kept | `kept/week09/`: a JSON and the maps of each model, and its atlas as PDF. A second run draws from them |
# | targets | the mean distance grows with the layer (Spearman above 0.6); rollout and relevance beat random maps in deletion and insertion |
# | result | *not measured yet*; `PROFILE=gpu workbook record --keep-nothing week09` would measure it |
#
# **Predict.** Which of the four will confirm that early layers look local? And what will registers do to `peak`, the share of the patch that is attended to most?


# %% explore=true
from shared.weights import fetching_weights

IMAGENET_OF_IMAGENETTE = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)
"""ImageNet's class numbers of tench, springer, cassette player, chain saw, church, horn, truck, pump, golf ball, parachute."""


def imagenette(count: int, size: int = 224) -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs (n, 3, size, size) in [0, 1] of the validation set, evenly spread over it, and ImageNet's labels."""
    from torchvision import transforms
    from torchvision.datasets import Imagenette

    root = datasets.data_folder()
    prepare = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()])
    try:
        there = (root / "imagenette2-320").is_dir()
        found = Imagenette(root, split="val", size="320px", download=not there, transform=prepare)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"Imagenette is not in {root} and could not be downloaded ({error}). On a machine with network, fetch "
            f"https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz and unpack it into {root}."
        ) from error
    chosen = [found[int(i)] for i in np.linspace(0, len(found) - 1, count)]
    return torch.stack([image for image, _ in chosen]), torch.tensor(
        [IMAGENET_OF_IMAGENETTE[label] for _, label in chosen]
    )


def pretrained_vit(name: str, pretrained: bool, size: int) -> VisionTransformer:
    """A ViT of timm for images of `size`: positions that were learned for another size are interpolated."""
    with fetching_weights(name, f"timm/{name}", asked=pretrained):
        return timm.create_model(name, pretrained=pretrained, img_size=size).eval().to(profile.device())


def judged(model: VisionTransformer, x: torch.Tensor, y: torch.Tensor, shown: int) -> dict:
    """Accuracy, areas of deletion and insertion for four kinds of maps, and three kinds of maps of `shown` images."""
    grid, prefix = model.patch_embed.grid_size, model.num_prefix_tokens
    found: dict[str, list[torch.Tensor]] = {"attention": [], "rollout": [], "relevance": []}
    right = []
    for image, label in zip(x.split(1), y.split(1)):  # one image at a time: 12 maps of a ViT-B take 22 MB
        maps, logits = collect_attention(model, image)
        right.append((logits.argmax(1) == label).item())
        found["attention"].append(maps[-1].mean(1)[:, 0, prefix:])
        found["rollout"].append(attention_rollout(maps)[:, 0, prefix:])
        found["relevance"].append(gradient_relevance(model, image, logits.argmax(1)))
    maps_of = {kind: torch.cat(parts).reshape(-1, *grid) for kind, parts in found.items()}
    kept_maps = {f"map {kind}": maps[:shown] for kind, maps in maps_of.items()}
    maps_of["random"] = torch.rand(len(x), *grid, generator=torch.Generator().manual_seed(0)).to(x.device)
    shares = np.linspace(0, 1, 11).tolist()

    def judge(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([model(chunk) for chunk in images.split(50)])

    areas = {
        kind: {
            "deletion": area(deletion_curve(judge, x, y, maps, shares).cpu(), shares),
            "insertion": area(deletion_curve(judge, x, y, maps, shares, insert=True).cpu(), shares),
        }
        for kind, maps in maps_of.items()
    }
    return {"accuracy": float(np.mean(right)), "areas": areas} | kept_maps


def read_vit(name: str, photos: torch.Tensor, labels: torch.Tensor, weights: bool, shown: int) -> dict:
    """What this week measures of a ViT of timm; as tensors the maps of the first `shown` photographs."""
    model = pretrained_vit(name, weights, photos.shape[-1])
    mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    x, y = ((photos - mean) / std).to(profile.device()), labels.to(profile.device())
    sheets, measures = survey(model, x, part=1)
    found = {"measures": {key: values.tolist() for key, values in measures.items()}, "even": even_distance(model)}
    found["atlas"] = torch.stack([sheet[:, :shown] for sheet in sheets])  # (L, H, n, gh, gw)
    return found | (judged(model, x, y, shown) if model.num_classes else {})


def draw_vit(name: str, found: dict, photos: torch.Tensor, folder: Path) -> plt.Figure | None:
    """Print and draw what `read_vit` found, write the atlas as PDF; the gallery of the maps, where there is one."""
    measures = {key: torch.tensor(values) for key, values in found["measures"].items()}
    print(progression(name, measures, found["even"]))
    layer = torch.arange(len(measures["distance"]))
    order = rank_correlation(layer[None, :, None], measures["distance"].mean(1)[None, :, None])
    print(f"  correlation of layer and distance: {order:.2f} (target: above 0.6)")
    sheets = found["atlas"]
    shown, top = photos[: sheets.shape[2]], plotting.brightest(list(sheets))
    pages = [
        plotting.attention_atlas(
            shown, [sheet], {unit: values[[number]] for unit, values in beside(measures).items()},
            names=[f"layer {number + 1}"], title=name, top=top,
        )
        for number, sheet in enumerate(sheets)
    ]  # fmt: skip
    print(f"  the atlas, {len(pages)} pages: {plotting.save_pages(folder / f'{name}.pdf', pages)}")
    for number in sorted({0, len(pages) // 2, len(pages) - 1}):
        display(pages[number])
    display(plotting.head_matrices(measures, title=f"{name}: all heads"))
    if "areas" not in found:
        return None
    print(f"  accuracy {found['accuracy']:.3f} on {len(photos)} photographs")
    for kind, areas in found["areas"].items():
        print(f"  {kind:>9}: deletion area {areas['deletion']:.3f}, insertion area {areas['insertion']:.3f}")
    maps = {kind: found[f"map {kind}"] for kind in ("attention", "rollout", "relevance")}
    return plotting.map_gallery(shown[:20], {kind: of_kind[:20] for kind, of_kind in maps.items()}, title=name)


def famous_vits(
    names: Sequence[str], photos: torch.Tensor, labels: torch.Tensor, folder: Path, weights: bool = True, shown: int = 24
) -> list[plt.Figure]:  # fmt: skip
    """Read each model, or what was kept of it; print, draw, and compare their layers; the galleries of maps."""
    galleries = []
    fig, axes = plt.subplots(1, 3, figsize=(13, 4))
    for number, name in enumerate(names):
        settings = {
            "model": name,
            "photographs": len(photos),
            "size": photos.shape[-1],
            "weights": weights,
            "shown": shown,
        }
        found = kept.results(
            folder / f"{name}.json", settings, lambda name=name: read_vit(name, photos, labels, weights, shown)
        )
        galleries.append(draw_vit(name, found, photos, folder))
        for ax, key in zip(axes, ("distance", "prefix mass", "peak")):
            values = torch.tensor(found["measures"][key]) / (found["even"] if key == "distance" else 1)
            plotting.dots_by_layer(
                ax, values, ylabel=f"{key}, share of even" if key == "distance" else key, label=name, number=number
            )
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    display(fig)
    plt.close(fig)
    return [gallery for gallery in galleries if gallery]


FAMOUS = (
    "vit_base_patch16_224.augreg2_in21k_ft_in1k", "deit_small_patch16_224.fb_in1k", "vit_base_patch14_dinov2.lvd142m",
    "vit_base_patch14_reg4_dinov2.lvd142m",
)  # fmt: skip
famous: list = []
if profile.current() is profile.Profile.GPU:
    famous = famous_vits(FAMOUS, *imagenette(200), Path("kept/week09"))
else:
    profile.not_measured(
        "All layers and heads, rollout and relevance of four pretrained ViTs",
        "PROFILE=gpu workbook record --keep-nothing week09",
        target="distance grows with the layer, Spearman above 0.6",
    )
famous[0] if famous else None

# %% explore=true
famous[1] if famous else None

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(14, 4.2))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.45, 1.1, 1.1))
ax = left.subplots()
plotting.draw_maps(
    ax, test.x[:6], {kind: explained[0][kind][:6] for kind in ("attention", "rollout", "relevance")},
    boxes=test.bbox[:6], columns=6, title="does the map find the glyph?",
)  # fmt: skip
ax = middle.subplots()
draw_curves(ax, insertion=False)
ax.set(title="is what it finds needed?", ylabel="test accuracy")
ax.legend(fontsize=8, loc="upper right")
ax = right.subplots()
draw_kept(ax)
ax.set(title="does it depend on the model?", ylabel="correlation with the trained map")
ax.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# ## Takeaways
#
# - Attention is there to be read: switch the fused kernel off, listen at `attn_drop`, put everything back.
# - Row $i$ is what token $i$ takes. The last layer stands on the left. The residual belongs into every layer.
# - Distance, entropy and divergence turn 144 pictures into three plots. A head that points at an object need not be a head that the model needs.
# - Rollout and raw attention do not know the class, nor the classifier: random heads leave them as they are. Relevance knows both, and pays with the troubles of gradients: what is saturated has none.
# - A heat map is a claim. Plant the truth, delete, insert, make weights random. And always show a map that knows nothing.
# - No map won everywhere. Say which test you used, over how many seeds, and where the map failed.
# - Professional tools: Captum and pytorch-grad-cam have these methods and many more; timm's `AttentionExtract` has the maps. After this week you can check them.
# - Next week: a ViT against a convolutional network, and what each of them takes for a cue.
#
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="residuals" points=5
# **W1. The residual (5 points).** Why must rollout contain the residual, and what does $r$ mean? Which value would be right, and why is 0.5 a convention? What happens to the map for $r \to 1$, and for $r = 0$ with many layers? What does rollout leave out, besides?
#
# ### BEGIN SOLUTION
# One point each.
# - A block adds attention to its input; without the identity the token's own content would be lost in each layer, and the paths that skip layers would be missing.
# - r: the share of a token that a layer passes on unchanged; a right value would compare the lengths of both summands (per token, per layer), so one constant is a convention. Own cell: the class token keeps more with larger r.
# - r -> 1: identity, the class token's row says nothing about patches (after normalizing the patches, first order: the sum of the layers' rows).
# - r = 0, many layers: products of positive stochastic matrices tend to equal rows, every output gets the same map.
# - Left out: values and their lengths, output projection, MLP, norms, the class and its classifier (own evidence: correlation 1 after the head became random).
# ### END SOLUTION

# %% [markdown] written="local-layers" points=5
# **W2. Local layers (5 points).** Why are early layers of ViTs that were trained on photographs more local than late ones? Is that true of your model? Use your figure of distance and entropy, and the distance of even attention. What would you have to change in the data so that it becomes true?
#
# ### BEGIN SOLUTION
# 1 point: neighboring patches of photographs are related (edges, textures go on); early tokens hold pixels only, so neighbors are what can be compared; later tokens hold content that can be matched from far away.
# 1 point: also needs positions: a head must know where the neighbors are, learned from data in quantity; small data show less of it.
# 1 point: not in the own model: mean distance near the even one (16.06 px) in all layers, own numbers.
# 1 point: the reason: one patch holds the glyph, neighboring cells of clutter are independent; nothing to gain by looking nearby.
# 1 point: data where evidence spans neighboring patches (glyphs larger than a patch or across its border; photographs); distance alone does not tell local from scattered: read entropy with it.
# ### END SOLUTION

# %% [markdown] written="redundant" points=5
# **W3. Redundant heads (5 points).** You want to remove heads from a model. Give two tests that a head is redundant, what each of them can miss, and what your notebook says about both. In which order would you remove heads, and on which data would you decide?
#
# ### BEGIN SOLUTION
# 1 point: test of behavior: divergence of its attention from a kept head's over many images and queries; misses that values and output projection differ, so equal attention can write different things.
# 1 point: test of need: accuracy (or loss) without it; misses that heads stand in for each other: single removals cost nothing, together they cost much.
# 1 point: own numbers for both: divergence matrix and threshold, accuracy without single heads, without all redundant ones, without a layer.
# 1 point: order: greedy, one at a time, measure again after each; or fine-tune in between.
# 1 point: decided on validation images, not on the test set; loss is more sensitive than accuracy at 1.00; also other data than one class of pictures.
# ### END SOLUTION

# %% [markdown] written="evidence" points=5
# **W4. Which evidence (5 points)?** A colleague shows you an attention map of the last layer and says: "the model looked at the glyph, so that is why it said *frame*." Which of your tests speak for or against this sentence, for attention and for gradient-weighted relevance? Where does relevance fail, and what did you find to be the reason? Name a danger of deletion itself.
#
# ### BEGIN SOLUTION
# 1 point: attention points at the glyph on most pictures (own hit rate, spread over seeds): "looked at" is supported there; deletion shows that the place is needed.
# 1 point: "that is why it said frame": not supported: attention and rollout do not change when the head is random (own correlation 1.00), so they cannot explain the class.
# 1 point: relevance depends on the class and on the head (own correlation after the head is random), highest mass inside; so it is the better evidence for "why this class".
# 1 point: relevance misses pictures of some classes and seeds; with the divisor of the final norm held it does not, with the same logits: behind a layer norm a class token that is full of the glyph gains nothing from more of it, the gradient is near 0 there.
# 1 point: deletion makes pictures that the model never saw (gray patches); the fall may come from that; random maps as a baseline, another fill, or training with deleted patches; and accuracy of one class may survive by default.
# ### END SOLUTION
