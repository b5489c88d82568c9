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
# **How to work.** Each exercise gives you a stub, a cell that draws what you have so far, tests you can read, and three folded hints. Run the tests as often as you like. After you hand in, hidden tests check the same ideas on other inputs.
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
import copy
import os
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from timm.utils import AttentionExtract
from torch import nn

from shared import checks, datasets, plotting, profiling
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
plotting.use_style()

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
        img_size=32, patch_size=8, in_chans=1, num_classes=4, embed_dim=48, depth=3, num_heads=4, mlp_ratio=2.0
    )


def train_glyph_vit(seed: int, steps: int = 150, batch: int = 48, rate: float = 2e-3) -> VisionTransformer:
    """Train on 4,000 pictures with AdamW; the model in eval mode."""
    sample = datasets.planted_glyphs(4000, seed=1)
    x, y, model = standardized(sample), sample.y, glyph_vit(seed).train()
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
# The next cell trains the model, once for each of three seeds, which takes most of this notebook's time. `SEEDS=5` in the environment makes it five.

# %% explore=true
seeds = tuple(range(int(os.environ.get("SEEDS", profile.pick(cpu=3, gpu=5)))))
models = {seed: train_glyph_vit(seed) for seed in seeds}
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
# | `maps` | list of $L$ tensors $(B, H, N, N)$ | first block first; no average over heads |
# | `logits` | $(B, \text{classes})$ | of the same pass, in eval mode; what the untouched model gives, up to $10^{-5}$ |
#
# Afterwards, **also after an error**, everything is as it was: each block's `fused_attn` (some may have been off), each module's mode, all hooks but yours. The images ask for no gradient that they did not ask for before.


# %% exercise="collect" difficulty=3 minutes=60
def collect_attention(
    model: nn.Module, images: torch.Tensor, with_grad: bool = False
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Run a timm ViT once in eval mode; keep the attention weights of every block.

    Parameters
    ----------
    model : with `blocks[i].attn.attn_drop` and `blocks[i].attn.fused_attn`; left as it was found, also after an error.
    images : (B, C, H, W), not changed.
    with_grad : keep the graph from the maps to the logits, even under `torch.no_grad()` or with frozen parameters.

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
            ax, weights[0, 0], title=f"block {layer}, head 0", xlabel="key", ylabel="query" if layer == 0 else "", vmin=0
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


# %% test="collect" points=4
def collected(collect: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    maps, logits = collect(model, images)
    return list(maps), logits


def softmax_of_qkv(model: nn.Module, images: torch.Tensor) -> list:
    """Attention computed again from what the qkv layers give: (B, N, 3 H d) -> (B, H, N, N)."""
    given: list = []
    hooks = [block.attn.qkv.register_forward_hook(lambda m, i, out: given.append(out)) for block in model.blocks]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    found = []
    for qkv, block in zip(given, model.blocks):
        batch, tokens, _ = qkv.shape
        q, k, _ = qkv.reshape(batch, tokens, 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        found.append((q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1))
    return found


with checks.step("a ViT of 3 blocks whose queries are all zero, 2 images of 16 patches"):
    model = small_vit(seed=3)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.weight[:24] = 0
            block.attn.qkv.bias[:24] = 0
    images = checks.normal(seed=0)(2, 3, 32, 32)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    checks.equal(len(maps), 3, "the number of maps", causes={
        "nothing went through attn_drop: fused attention was still on": 0,
        "only the last block's map was kept": 1,
    })  # fmt: skip
    for number, weights in enumerate(maps):
        checks.shape(weights, (2, 2, 17, 17), f"map {number}", causes={
            "the heads were averaged; keep them apart": lambda w=weights: w.ndim == 3,
            "this is attention times values, not attention": lambda w=weights: w.shape[-1] in (12, 24),
        })  # fmt: skip
        checks.close(weights, torch.full((2, 2, 17, 17), 1 / 17), f"map {number}, where each row is 17 times 1/17", causes={
            "these are the scores before the softmax": torch.zeros(2, 2, 17, 17),
        })  # fmt: skip

with checks.step("random weights, against the softmax of what the qkv layers give"):
    model = small_vit(seed=4)
    wanted = softmax_of_qkv(model, images)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    for number, (weights, expected) in enumerate(zip(maps, wanted)):
        checks.close(weights, expected, f"map {number}", causes={
            "the blocks come in reverse order": wanted[-1 - number],
            "rows and columns are exchanged": expected.transpose(-2, -1),
        })  # fmt: skip
    with torch.no_grad():
        checks.close(logits, model(images), "the logits")

# %% test="collect" points=4
def collected(collect: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    maps, logits = collect(model, images)
    return list(maps), logits


def by_timm(model: nn.Module, images: torch.Tensor) -> list:
    """timm's own extraction, from a copy whose fused attention is off."""
    model = copy.deepcopy(model).eval()
    for block in model.blocks:
        block.attn.fused_attn = False
    with torch.no_grad():
        return list(AttentionExtract(model, method="hook")(images).values())


def same_as_timm(model: nn.Module, images: torch.Tensor) -> None:
    maps, logits = checks.beside(collected, collect_attention, model, images)
    wanted = by_timm(model, images)
    checks.equal(len(maps), len(wanted), "the number of maps")
    for number, (weights, expected) in enumerate(zip(maps, wanted)):
        checks.close(weights, expected, f"map {number}")
    with torch.no_grad():
        checks.close(logits, copy.deepcopy(model).eval()(images), "the logits in eval mode")


with checks.step("a ViT against timm's AttentionExtract"):
    same_as_timm(small_vit(seed=5), checks.normal(seed=1)(3, 3, 32, 32))

with checks.step("a ViT in train mode with dropout in its attention"):
    model = small_vit(seed=6, attn_drop_rate=0.5, proj_drop_rate=0.3).train()
    images = checks.normal(seed=2)(2, 3, 32, 32)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    for number, (weights, expected) in enumerate(zip(maps, by_timm(model, images))):
        checks.close(weights, expected, f"map {number} in eval mode", causes={
            "the model ran in train mode, with dropout": True,
        })  # fmt: skip

### BEGIN HIDDEN TESTS
for name, seed in (("deit_tiny_distilled_patch16_224", 7), ("vit_small_patch14_reg4_dinov2", 8), ("eva02_tiny_patch14_224", 9)):
    with checks.step(f"{name} against timm's AttentionExtract"):
        same_as_timm(small_vit(name, seed), checks.normal(seed=seed)(2, 3, 32, 32))

with checks.step("normalized queries and keys"):
    same_as_timm(small_vit(seed=10, qk_norm=True), checks.normal(seed=10)(2, 3, 32, 32))

with checks.step("models without blocks[i].attn"):
    images = torch.zeros(1, 3, 32, 32)
    for name in ("swin_tiny_patch4_window7_224", "resnet18"):
        small = {"img_size": 32, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
        model = timm.create_model(name, **(small if name.startswith("swin") else {"channels": (4, 4, 4, 4)}))
        checks.raises(ValueError, checks.beside, collected, collect_attention, model, images, name=name)
### END HIDDEN TESTS


# %% test="collect" points=4
def traces(model: nn.Module) -> dict:
    """What may have been left behind in a model: counts and flags."""
    modules = list(model.modules())
    return {
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules),
        "fused": [block.attn.fused_attn for block in model.blocks],
        "training": [block.training for block in model.blocks] + [model.training],
    }


def life(collect: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    model.train()
    model.blocks[1].eval()
    model.blocks[2].attn.fused_attn = False
    calls: list = []
    model.blocks[0].attn.attn_drop.register_forward_pre_hook(lambda m, i: calls.append(1))
    collect(model, images)
    seen = traces(model)
    try:
        collect(model, images[:, :, :16])  # another size: the model refuses it
    except Exception:
        seen["after an error"] = traces(model)
    return seen


def gradients(collect: Callable, model: nn.Module, images: torch.Tensor, label: int, without: bool) -> list:
    """Gradients of one logit with respect to each map, found outside or inside of no_grad."""
    with torch.set_grad_enabled(not without):
        maps, logits = collect(model, images, True)
    with torch.enable_grad():
        return [g for g in torch.autograd.grad(logits[:, label].sum(), list(maps))] + [images.requires_grad]


def gradients_by_timm_attention(model: nn.Module, images: torch.Tensor, label: int) -> list:
    model, kept = copy.deepcopy(model).requires_grad_(True), []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, i, out: (out.retain_grad(), kept.append(out))[1])
    model(images)[:, label].sum().backward()
    return [weights.grad for weights in kept]


with checks.step("a model with mixed modes, mixed flags and someone else's hook, before and after"):
    images = checks.normal(seed=3)(2, 3, 32, 32)
    model = small_vit(seed=11)
    seen = checks.beside(life, collect_attention, model, images)
    checks.equal(seen["fused"], [True, True, False], "fused_attn of the three blocks afterwards", causes={
        "fused attention was left off": [False, False, False],
        "fused attention was switched on everywhere; the last block had it off before": [True, True, True],
    })  # fmt: skip
    checks.equal(seen["hooks"], 1, "hooks afterwards, one of which is someone else's", causes={
        "all hooks were cleared; remove your own only": 0,
        "your hooks were left behind": lambda: seen["hooks"] > 1,
    })  # fmt: skip
    checks.equal(seen["training"], [True, False, True, True], "training of the three blocks and of the model", causes={
        "the model was left in eval mode": [False] * 4,
        "a block that was in eval mode before was put into train mode: restore each module": [True] * 4,
    })  # fmt: skip

with checks.step("with_grad=True: the gradient of logit 1 with respect to each map"):
    model = small_vit(seed=12)
    *found, asked = checks.beside(gradients, collect_attention, model, images, 1, False)
    for number, (gradient, expected) in enumerate(zip(found, gradients_by_timm_attention(model, images, 1))):
        checks.close(gradient, expected, f"the gradient for map {number}", rtol=1e-3)

### BEGIN HIDDEN TESTS
with checks.step("the model raises an error in the middle"):
    checks.that("after an error" in seen, "the error goes on to the caller", causes={
        "the error was swallowed": True,
    })  # fmt: skip
    after = seen["after an error"]
    checks.equal((after["fused"], after["hooks"], after["training"]), ([True, True, False], 1, [True, False, True, True]), "flags, hooks and modes afterwards", causes={
        "they are restored only when all went well: use finally": True,
    })  # fmt: skip

for frozen, without in ((True, False), (False, True), (True, True)):
    with checks.step(f"with_grad=True, parameters frozen: {frozen}, inside of no_grad: {without}"):
        model = small_vit(seed=13)
        wanted = gradients_by_timm_attention(model, images, 3)
        model.requires_grad_(not frozen)
        *found, asked = checks.beside(gradients, collect_attention, model, images, 3, without)
        for number, (gradient, expected) in enumerate(zip(found, wanted)):
            checks.close(gradient, expected, f"the gradient for map {number}", rtol=1e-3)
        checks.equal(asked, False, "whether the caller's images ask for a gradient now", causes={
            "requires_grad was set on the caller's own tensor": True,
        })  # fmt: skip
### END HIDDEN TESTS

# %% [markdown]
# ### Milestone: the real thing
#
# Four ViTs of timm in their real size, on a photograph. Your maps must be timm's own, bit by bit, and the logits those of the untouched model with its fused attention. With `PROFILE=gpu` the weights are pretrained.

# %% explore=true
photo = datasets.photograph("flower", height=224, width=224).image
for name in ("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_small_patch14_reg4_dinov2", "eva02_tiny_patch14_224"):
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
# A block computes $x + \text{attention}(x)$. Half of what leaves it never went through the attention. So the map of a layer gets a share $r$ of the identity:
#
# $$A_l = \frac{(1 - r)\,\operatorname{fuse}_h(W_l^h) + r\,I}{\text{row sums}}, \qquad \text{rollout} = A_L\, A_{L-1} \cdots A_1$$
#
# The order matters. Row $i$ of the result belongs to output token $i$: the last layer acts last, so it stands on the left. Entry $(i, j)$ is the sum over all paths from input $j$ to output $i$ of the product of the weights along the path.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `attentions` | sequence of $L$ tensors $(B, H, N, N)$ | first layer first |
# | `residual` | float in $[0, 1)$ | $r$; else `ValueError` |
# | `head_fusion` | `"mean"`, `"max"`, `"min"` | over the heads; else `ValueError`. Rows are divided by their sum *after* fusing and adding $r I$ |
# | result | $(B, N, N)$ | rows sum to 1; same dtype |


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
    (B, N, N): row i says how much of each input token is in output token i; rows sum to 1.

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
    fig, axes = plt.subplots(1, 4, figsize=(11.5, 3.1))
    plotting.heatmap(axes[0], look_one, title="layer 1", xlabel="input", ylabel="output", vmin=0, vmax=1, colorbar=False)
    plotting.heatmap(axes[1], look_two, title="layer 2", xlabel="input", ylabel="", vmin=0, vmax=1, colorbar=False)
    for ax, residual in zip(axes[2:], (0.0, 0.5)):
        rolled = attention_rollout([look_one[None, None], look_two[None, None]], residual)
        plotting.heatmap(ax, rolled[0], title=f"rollout, r = {residual}", xlabel="input", ylabel="", vmin=0, vmax=1, annotate=True, colorbar=False)
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


# %% test="rollout" points=5
def two_layers(residual: float, plus: bool = False, left: bool = True) -> torch.Tensor:
    """The product for the two layers below, done right or wrong."""
    eye = torch.eye(3)
    a, b = ((w + eye if plus else (1 - residual) * w + residual * eye) for w in (W1, W2))
    return (b @ a if left else a @ b)[None]


W1 = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
W2 = torch.tensor([[0.0, 0.0, 1.0], [0.3, 0.7, 0.0], [0.0, 1.0, 0.0]])

with checks.step("one layer, one head: rows [0.2, 0.8, 0], [0, 0.5, 0.5], [1, 0, 0], r = 0.5"):
    came = attention_rollout([W1[None, None]])
    wanted = torch.tensor([[[0.6, 0.4, 0.0], [0.0, 0.75, 0.25], [0.5, 0.0, 0.5]]])
    checks.close(came, wanted, "the rollout", causes={
        "there is no residual in it": W1[None],
        "the identity was added, but the rows no longer sum to 1": (W1 + torch.eye(3))[None],
        "rows and columns are exchanged": wanted.transpose(1, 2),
    })  # fmt: skip

with checks.step("two layers, by hand: the last layer of token 0 looks at token 2, which took all of token 0"):
    # r = 0: row 0 of A2 A1 is row 2 of A1, [1, 0, 0]; row 2 is row 1 of A1
    came = attention_rollout([W1[None, None], W2[None, None]], 0.0)
    wanted = torch.tensor([[[1.0, 0.0, 0.0], [0.06, 0.59, 0.35], [0.0, 0.5, 0.5]]])
    checks.close(came, wanted, "the rollout for r = 0", causes={
        "the product is A_1 A_2; the last layer acts last, so it stands on the left": two_layers(0.0, left=False),
        "this is the last layer alone": W2[None],
        "the residual is 0.5 whatever was asked for": two_layers(0.5),
    })  # fmt: skip
    for residual in (0.5, 0.9):
        came = attention_rollout([W1[None, None], W2[None, None]], residual)
        checks.close(came, two_layers(residual), f"the rollout for r = {residual}", causes={
            "the product is A_1 A_2; the last layer acts last, so it stands on the left": two_layers(residual, left=False),
            "there is no residual in it": two_layers(0.0),
            "the identity was added, but the rows no longer sum to 1": two_layers(0.5, plus=True),
            "r and 1 - r are exchanged": two_layers(1 - residual),
            "r belongs into every layer, not once at the end": (1 - residual) * two_layers(0.0) + residual * torch.eye(3),
        })  # fmt: skip

# %% test="rollout" points=5
with checks.step("one layer, two heads: row 0 is [1, 0] in head 0 and [0, 1] in head 1; row 1 is [0.5, 0.5] in both"):
    heads = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]])
    checks.close(attention_rollout([heads], 0.5, "mean"), torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]), "mean")
    # max: row 0 is [1, 1], so 0.5 * [1, 1] + 0.5 * [1, 0] = [1, 0.5], divided by 1.5
    checks.close(attention_rollout([heads], 0.5, "max"), torch.tensor([[[2 / 3, 1 / 3], [0.25, 0.75]]]), "max", causes={
        "the rows are not divided by their sum": torch.tensor([[[1.0, 0.5], [0.25, 0.75]]]),
        "the rows were divided before the residual was added; do it afterwards": torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]),
    })  # fmt: skip
    checks.close(attention_rollout([heads], 0.5, "min"), torch.tensor([[[1.0, 0.0], [0.25, 0.75]]]), "min", causes={
        "the rows are not divided by their sum": torch.tensor([[[0.5, 0.0], [0.25, 0.75]]]),
    })  # fmt: skip

with checks.step("three random layers of four heads, 5 images: rows, images, layers of identities, arguments"):
    layers = [checks.normal(seed=s)(5, 4, 6, 6).softmax(-1) for s in range(3)]
    for fusion in ("mean", "max", "min"):
        came = attention_rollout(layers, 0.3, fusion)
        checks.close(came.sum(-1), torch.ones(5, 6), f"the row sums with {fusion}")
        alone = attention_rollout([layer[2:3] for layer in layers], 0.3, fusion)
        checks.close(came[2:3], alone, f"image 2 alone and in a batch with {fusion}", causes={
            "images of a batch are mixed": True,
        })  # fmt: skip
    still = torch.eye(6).expand(2, 3, 6, 6)
    checks.close(attention_rollout([still] * 4, 0.3), torch.eye(6).expand(2, 6, 6), "the rollout of identities")

    def after(fn: Callable, layers: list) -> list:
        fn(layers, 0.5, "mean")
        return layers

    for before, now in zip(layers, checks.beside(after, attention_rollout, layers)):
        checks.equal(now, before, "an argument after the call")

with checks.step("what is refused"):
    for residual in (1.0, -0.1, 1.5):
        checks.raises(ValueError, attention_rollout, layers, residual, name=f"residual={residual}")
    checks.raises(ValueError, attention_rollout, layers, 0.5, "median", name='head_fusion="median"')

# %% test="rollout" points=6
with checks.step("row 0 of a cycle: each of three layers moves everything by one token, r = 0"):
    cycle = torch.eye(4).roll(1, dims=1).expand(1, 2, 4, 4)
    came = attention_rollout([cycle] * 3, 0.0)
    checks.close(came[0, 0], torch.tensor([0.0, 0.0, 0.0, 1.0]), "row 0", causes={
        "rows and columns are exchanged": torch.tensor([0.0, 1.0, 0.0, 0.0]),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def sum_over_paths(layers: list, residual: float, fusion: str) -> torch.Tensor:
    """Every path input j -> u -> v -> output i through three layers, one number at a time."""
    found = torch.zeros(len(layers[0]), 3, 3, dtype=layers[0].dtype)
    for image in range(len(found)):
        steps = []
        for layer in layers:
            step = [[0.0] * 3 for _ in range(3)]
            for i in range(3):
                for j in range(3):
                    of_heads = [float(weight) for weight in layer[image, :, i, j]]
                    fused = {"mean": sum(of_heads) / len(of_heads), "max": max(of_heads), "min": min(of_heads)}[fusion]
                    step[i][j] = (1 - residual) * fused + residual * (i == j)
            steps.append([[entry / sum(row) for entry in row] for row in step])
        for i in range(3):
            for j in range(3):
                found[image, i, j] = sum(
                    steps[2][i][v] * steps[1][v][u] * steps[0][u][j] for u in range(3) for v in range(3)
                )
    return found


for seed, residual, fusion, kind in (
    (1, 0.5, "mean", torch.float32), (2, 0.2, "max", torch.float32), (3, 0.8, "min", torch.float64), (4, 0.0, "mean", torch.float64),
):  # fmt: skip
    with checks.step(f"against the sum over all paths, 3 layers, 3 tokens, r = {residual}, {fusion}, {kind}"):
        randn = checks.normal(seed=seed, dtype=kind)
        layers = [(2 * randn(2, 3, 3, 3)).softmax(-1) for _ in range(3)]
        tight = {"rtol": 0.0, "atol": 1e-10} if kind == torch.float64 else {}
        checks.close(attention_rollout(layers, residual, fusion), sum_over_paths(layers, residual, fusion), "the rollout", **tight, causes={
            "the product is A_1 ... A_L; the last layer stands on the left": sum_over_paths(layers[::-1], residual, fusion),
            "heads are fused by their mean whatever was asked for": sum_over_paths(layers, residual, "mean"),
            "r = 0.5 whatever was asked for": sum_over_paths(layers, 0.5, fusion),
        })  # fmt: skip

with checks.step("residual 0.9999: nearly the identity"):
    layers = [checks.normal(seed=6)(1, 2, 5, 5).softmax(-1) for _ in range(2)]
    came = attention_rollout(layers, 0.9999)
    checks.close(came, torch.eye(5)[None], "the rollout", atol=1e-3)
### END HIDDEN TESTS
