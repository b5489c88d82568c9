# %% [markdown]
# # Week 3: training
#
# ![Left: a learning rate that rises in a straight line and falls along half a cosine. Middle: a digit with a box of another digit pasted in, labeled by its share of pixels. Right: test accuracy of three ways to use 30 labels; fine-tuned and distilled lie far above scratch.](outcome.png)
#
# *What you will have built by the end of this week. Left: the learning rate of one run. Middle: a training image made of two, and its label. Right: three ways to learn ten digits from thirty labels.*
#
# **After this week you can**
#
# - write the optimizer side of a ViT recipe: parameter groups, warm-up and cosine, gradient clipping, a moving average of the weights;
# - mix images and labels so that they keep telling the same story, and test it pixel by pixel;
# - distill a teacher into a student, with soft and with hard labels, and know where the factor $T^2$ comes from;
# - train from scratch, with a frozen backbone, or all of it, and prove which numbers moved;
# - say over several seeds what thirty labels are worth, and what they are worth with help.
#
# **Time** about 12 hours: 3 of reading, 6 of coding, 3 of experiments. **You need** week 2, or the idea of a ViT. The model comes from timm this week, so nothing depends on your answers of weeks 1 and 2.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. One rule holds for all exercises: a function leaves its arguments as they are, unless its docstring says that it changes them. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $K$ | number of classes |
# | $\eta$ | learning rate | $\lambda$ | share of the first image in a mixture |
# | $\theta$ | the weights of a model | $T$ | temperature (this week no tokens are counted) |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import math
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

import matplotlib.pyplot as plt
import numpy as np
import timm
import torch
import torch.nn.functional as F
from IPython.display import display
from timm.models.vision_transformer import VisionTransformer
from timm.optim import param_groups_weight_decay
from timm.utils import ModelEmaV3
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session, unchanged
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## The problem: thirty labels
#
# Here are two data sets of digits, both 8 x 8 pixels. The first is **handwriting**: 1,347 real digits to learn from, 450 to be tested on. The second is **type**: digits of twelve fonts, turned and slanted, drawn by a program. Type is free. You can have as much of it as you like, with labels, and it looks *nearly* like handwriting.
#
# Now the catch. Labels of handwriting cost money, and you have paid for **three per digit, thirty in all**. The other 1,317 training images are there, but nobody has said what they show.

# %% explore=true
handwriting = datasets.digits()
typed = datasets.rendered_digits(24, seed=0)
pixels = handwriting.x_train * handwriting.std + handwriting.mean
display(plotting.image_grid(pixels[:24], columns=12, titles=[str(int(y)) for y in handwriting.y_train[:24]]))
display(plotting.image_grid(typed.x, columns=12, titles=[str(int(y)) for y in typed.y]))
print("above: handwriting   below: type")
print(f"handwriting: {len(handwriting.x_train):,} to learn from, {len(handwriting.x_test)} for the test")

# %% [markdown]
# The model is a small ViT: patches of side 2, so 16 tokens and the class token, width 64, two blocks. You built it last week; here it comes from timm. Beside it stands a small convolutional network. It will be a rival first and a teacher later.


# %% given="models"
def tiny_vit(seed: int, num_classes: int = 10) -> VisionTransformer:
    """A ViT for 8 x 8 pixels in one channel: p = 2, width 64, 2 blocks, 4 heads; the weights depend on `seed` alone."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=8,
        patch_size=2,
        in_chans=1,
        num_classes=num_classes,
        embed_dim=64,
        depth=2,
        num_heads=4,
        mlp_ratio=2.0,
        weight_init="jax",
    )
    nn.init.normal_(model.pos_embed, std=0.5)  # timm starts at 0.02; see "The size of a start" below
    return model


def small_cnn(seed: int) -> nn.Sequential:
    """A convolutional network for 8 x 8 pixels in one channel: two convolutions, each with ReLU and pooling."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def few_per_class(labels: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Indices of `count` random examples of each class."""
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.cat([mixed[labels[mixed] == label][:count] for label in labels.unique()])


# %% explore=true compare=true
for name, model in (("tiny ViT", tiny_vit(0)), ("small CNN", small_cnn(0))):
    image = torch.zeros(1, 1, 8, 8)
    with torch.no_grad():
        cost = profiling.flops(model.eval(), image)
    print(f"{name:>9}: {profiling.parameter_count(model):,} parameters, {cost / 1e6:.2f} MFLOPs an image")

# %% [markdown]
# ## Part 1. A step of the optimizer
#
# A recipe is a list of small decisions. This part makes three of them: which weights are pulled toward zero, how fast to go at which time, and what to do with a step that is much too large.

# %% [markdown] about="groups"
# ### Exercise 1. Which weights decay?
#
# Weight decay shrinks a weight a little in every step. For a matrix that is a sensible prior: of two maps that fit, take the smaller one. For a **bias**, for the **scale of a layer norm**, for a **position** or the **class token** it is not. Nothing overfits through them, and a norm's scale of 1 means "leave it as it is", not 0.
#
# So a recipe gives the optimizer two groups of parameters:
#
# | group | who is in it | `weight_decay` |
# | --- | --- | --- |
# | decay | every other parameter | as given |
# | no decay | parameters with at most one dimension, parameters whose name ends in `bias` (so a `relative_position_bias`, too), parameters whose **last part of the name** is in `no_decay` | 0.0 |
# | left out | frozen parameters (`requires_grad` is false) | |
#
# `backbone.pos_embed` has the last part `pos_embed`. `pos_embed_mlp.weight` has the last part `weight`.


# %% exercise="groups" difficulty=2 minutes=30
def parameter_groups(
    model: nn.Module, weight_decay: float, no_decay: Sequence[str] = ("pos_embed", "cls_token")
) -> list[dict]:
    """Split the trainable parameters into groups for an optimizer, much as timm's `param_groups_weight_decay` does.

    Parameters
    ----------
    model : any module; not changed. weight_decay : for the parameters that decay.
    no_decay : last parts of the names of parameters that never decay.

    Returns
    -------
    A list of dicts with the keys "params" (a list of parameters) and "weight_decay" (a float). Every trainable
    parameter is in exactly one of them, a frozen one in none.
    """
    ### BEGIN SOLUTION
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_free = parameter.ndim <= 1 or name.endswith("bias") or name.split(".")[-1] in no_decay
        (free if is_free else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    ### END SOLUTION


# %% look="groups"
# Look: how many numbers of the tiny ViT decay, and what they are called.
with checks.look():
    look_model = tiny_vit(0)
    look_names = {id(p): name for name, p in look_model.named_parameters()}
    for group in parameter_groups(look_model, 0.05):
        names = [look_names[id(p)] for p in group["params"]]
        size = sum(p.numel() for p in group["params"])
        print(f"weight_decay {group['weight_decay']}: {len(names)} parameters, {size:,} numbers")
        print("   ", ", ".join(name for name in names if "blocks.1" not in name))

# %% [markdown] hints="groups"
# <details><summary>Hint 1: the idea</summary>
#
# One walk over the named parameters, one question for each: is it left out, free, or decayed? The name answers a part of the question, the number of dimensions another.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     two empty lists
#     for name and parameter of the model:
#         frozen: skip
#         at most one dimension, or the name ends in bias,
#             or the last part of the name is in no_decay: second list
#         otherwise: first list
#     two dicts, the second with weight decay 0
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `model.named_parameters()` gives each parameter once, also one that two layers share. `parameter.ndim` counts dimensions. `name.rpartition(".")[2]` is what stands behind the last dot; it works for a name without a dot, too. Do not ask `"pos_embed" in name`: that also finds `pos_embed_mlp.weight`.
#
# </details>


# %% [markdown] about="schedule"
# ### Exercise 2. Warm up, then cool down
#
# Adam divides each step by a running estimate of the gradient's size. In the first steps that estimate rests on a handful of batches, and the tokens of a fresh ViT point anywhere. So the learning rate starts small and rises in a straight line: **warm-up**. Later the model must settle, so the rate falls along half a cosine.
#
# With step $s = 0, 1, 2, \dots$, $w$ warm-up steps and $S$ steps in all:
#
# $$\eta(s) = \begin{cases} \eta_{\max}\, \dfrac{s+1}{w} & s < w \\[2ex] \eta_{\min} + \dfrac{\eta_{\max} - \eta_{\min}}{2} \left(1 + \cos \pi\, \dfrac{s - w}{S - w}\right) & w \le s < S \\[2ex] \eta_{\min} & s \ge S \end{cases}$$
#
# Note $s + 1$: step 0 already learns something. With $w = 0$ there is no warm-up.


# %% exercise="schedule" difficulty=2 minutes=25
def warmup_cosine(step: int, total: int, warmup: int, base_lr: float, min_lr: float = 0.0) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    step : s, counted from 0. total : S, steps in all. warmup : w, 0 <= w < S.
    base_lr : the highest rate. min_lr : the rate at step S and after it.

    Returns
    -------
    The learning rate, a float.

    Raises
    ------
    ValueError : for a negative step, a negative warmup, or warmup >= total.
    """
    ### BEGIN SOLUTION
    if step < 0 or not 0 <= warmup < total:
        raise ValueError(f"step={step} and warmup={warmup} do not fit into total={total}")
    if step < warmup:
        return base_lr * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / (total - warmup))
    return min_lr + (base_lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))
    ### END SOLUTION


# %% look="schedule"
# Look: 100 steps, three lengths of warm-up.
with checks.look():
    look_steps = {f"warm-up {w}": [warmup_cosine(s, 100, w, 1e-3, 1e-5) for s in range(110)] for w in (0, 10, 40)}
    display(plotting.curves(look_steps, xlabel="step", ylabel="learning rate", title="100 steps, then it stays"))
    print("first and last rates:", [(f"{rates[0]:.1e}", f"{rates[-1]:.1e}") for rates in look_steps.values()])

# %% [markdown] hints="schedule"
# <details><summary>Hint 1: the idea</summary>
#
# Three pieces, asked for in the order of time. For the cosine you need a progress that is 0 at the end of the warm-up and 1 at the last step.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     something does not fit: ValueError
#     still in the warm-up: share of the warm-up that is done, counting this step, times the base rate
#     progress = steps since the warm-up / steps after the warm-up, at most 1
#     min + (base - min) * half of (1 + cosine of pi times progress)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `math.cos(math.pi * progress)` runs from 1 to -1. Without `min(1.0, progress)` the cosine rises again after the last step. `0 <= warmup < total` is valid Python.
#
# </details>

# %% [markdown] about="clip"
# ### Exercise 3. Clip the step, keep its direction
#
# Once in a while a batch gives a gradient ten times as long as the others. Clipping shortens it. All gradients together are one long vector $g$; if its length is above the limit $c$, the whole vector is scaled, so that its **direction** stays:
#
# $$\lVert g \rVert = \sqrt{\textstyle\sum_i \lVert g_i \rVert^2}, \qquad g_i \leftarrow g_i \cdot \min\!\left(1,\; \frac{c}{\lVert g \rVert}\right)$$
#
# Here $g_i$ is the gradient of parameter $i$. Clipping each parameter alone would turn the direction.
#
# | name | meaning |
# | --- | --- |
# | `params` | an iterable of parameters, such as `model.parameters()`; some have no gradient (`grad` is None) |
# | `max_norm` | $c > 0$ |
# | result | $\lVert g \rVert$ **before** clipping, a float; 0.0 when there is no gradient |
#
# The parameters hold the scaled gradients afterwards. PyTorch has this as `clip_grad_norm_`; here you write it.


# %% exercise="clip" difficulty=2 minutes=25
def clip_gradients(params: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their common L2 norm is at most `max_norm` (Pascanu et al. 2013).

    Parameters
    ----------
    params : parameters; those without a gradient are skipped. Their `grad` is scaled.
    max_norm : the limit, positive.

    Returns
    -------
    The norm of all gradients before clipping, a float.

    Raises
    ------
    ValueError : when max_norm is not positive; the gradients are then left as they were.
    """
    ### BEGIN SOLUTION
    if max_norm <= 0:
        raise ValueError(f"max_norm={max_norm} is not positive")
    gradients = [p.grad for p in params if p.grad is not None]
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
    if norm > max_norm:
        for g in gradients:
            g.mul_(max_norm / norm)
    return norm
    ### END SOLUTION


# %% look="clip"
# Look: two parameters with one number each. Their gradients are the axes of the plane; the circle is the limit.
with checks.look():
    fig, ax = plt.subplots(figsize=(4.6, 4.4))
    ax.add_patch(plt.Circle((0, 0), 1.0, fill=False, color="0.5", linestyle="--"))
    for x, y in ((3.0, 1.0), (-0.5, 2.0), (0.4, 0.5), (-1.5, -1.2)):
        pair = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
        pair[0].grad, pair[1].grad = torch.tensor([x]), torch.tensor([y])
        length = clip_gradients(pair, 1.0)
        ax.annotate("", (pair[0].grad.item(), pair[1].grad.item()), (0, 0), arrowprops={"arrowstyle": "->", "lw": 2})
        ax.plot([0, x], [0, y], color="0.7", zorder=0)
        ax.text(x, y, f"{length:.2f}")
    ax.set(xlim=(-2.2, 3.6), ylim=(-1.8, 2.5), title="before (gray) and after", aspect="equal")
    ax.set(xlabel="gradient of parameter 1", ylabel="gradient of parameter 2")
    plt.show()

# %% [markdown] hints="clip"
# <details><summary>Hint 1: the idea</summary>
#
# Two passes over the gradients: one to measure, one to scale, and the second only where the measure is too large. Both need the same list.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     the limit is not positive: ValueError
#     list of the gradients that are there
#     norm = square root of the sum of all squares, over all of them
#     if norm is above the limit: scale each gradient by limit / norm, in place
#     return norm
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `model.parameters()` is a generator: after one loop it is empty, so make a list first. `g.square().sum().item()` is a float; the norm of the norms is the norm of all. `g.mul_(factor)` scales a gradient in place; `p.grad = p.grad * factor` puts a scaled one there.
#
# </details>


# %% [markdown]
# ### Look: a hot start, with and without warm-up
#
# Now the three pieces work together. The function below is the whole optimizer side of the recipe, and you will use it for the rest of the week. It takes any source of batches and any loss.


# %% explore=true
def fit(
    model: nn.Module,
    batch: Callable[[torch.Generator], tuple],
    loss: Callable[..., torch.Tensor],
    steps: int,
    base_lr: float,
    seed: int,
    warmup: int | None = None,
    max_norm: float = 1.0,
    after_step: Callable[[int], None] = lambda step: None,
) -> dict[str, list[float]]:
    """Train with AdamW; returns the loss and the gradient norm of each step.

    `batch(generator)` gives the inputs and whatever `loss(model, *inputs)` needs.
    """
    warmup = steps // 10 if warmup is None else warmup
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.05), lr=base_lr, fused=True)
    draw = torch.Generator().manual_seed(seed)
    history: dict[str, list[float]] = {"loss": [], "gradient norm": []}
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, steps, warmup, base_lr)
        value = loss(model, *batch(draw))
        optimizer.zero_grad()
        value.backward()
        history["gradient norm"].append(clip_gradients(model.parameters(), max_norm))
        history["loss"].append(value.item())
        optimizer.step()
        after_step(step)
    return history


def labeled_batches(x: torch.Tensor, y: torch.Tensor, size: int = 32, noise: float = 0.1) -> Callable:
    """Random batches (images with a little noise, labels) of a data set, drawn with replacement."""

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        picked = torch.randint(len(x), (size,), generator=generator)
        images = x[picked] + noise * torch.randn(size, *x.shape[1:], generator=generator)
        return images.to(profile.device()), y[picked].to(profile.device())

    return draw


def cross_entropy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Classification loss; y holds classes (B,) or probabilities (B, K)."""
    return F.cross_entropy(model(x), y)


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of right answers in eval mode; every module is left in the mode it came in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(part.to(profile.device())).argmax(-1).cpu() for part in x.split(512)])
    for module, training in modes:
        module.training = training
    return (answers == y).float().mean().item()


x_test, y_test = handwriting.x_test, handwriting.y_test

# %% [markdown]
# **Predict.** All 1,347 labels, only 60 steps, and a learning rate of 0.01, five times what this model likes. Four runs: with and without warm-up, with and without clipping at 1. Which of the two matters more?


# %% explore=true
def hot_run(setting: tuple[nn.Module, int, float]) -> dict[str, list[float]]:
    model, warmup, limit = setting
    source = labeled_batches(handwriting.x_train, handwriting.y_train)
    run = fit(model, source, cross_entropy, 60, base_lr=1e-2, seed=0, warmup=warmup, max_norm=limit)
    return run | {"accuracy": [accuracy(model, x_test, y_test)]}


settings = [(warmup, limit) for warmup in (0, 15) for limit in (1.0, math.inf)]
started = [(tiny_vit(0).to(profile.device()), *setting) for setting in settings]
hot = dict(zip(settings, profile.side_by_side(hot_run, started)))  # two runs at a time
names = {key: f"warm-up {key[0]}, " + ("clipped" if key[1] == 1 else "not clipped") for key in hot}
fig, axes = plt.subplots(1, 2, figsize=(11.5, 3.6))
for key, run in hot.items():
    smooth = np.convolve(run["loss"], np.ones(5) / 5, mode="valid")
    axes[0].plot(range(4, 60), smooth, label=names[key], linestyle="-" if key[1] == 1 else ":")
    if key[1] == 1:
        axes[1].plot(run["gradient norm"], label=names[key])
axes[0].set(xlabel="step", title="loss, mean of five steps")
axes[1].set(xlabel="step", title="gradient norm before clipping", ylim=(0, None))
axes[1].axhline(1.0, color="0.3", linestyle="--", linewidth=1.4, label="the limit")
for ax in axes:
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9)
plt.show()
rows = [
    {
        "run": names[key],
        "loss, first 15": f"{sum(run['loss'][:15]) / 15:.2f}",
        "loss, last 10": f"{sum(run['loss'][-10:]) / 10:.2f}",
        "norms above 1": f"{sum(n > 1 for n in run['gradient norm'])} of 60",
        "test accuracy": f"{run['accuracy'][0]:.0%}",
    }
    for key, run in hot.items()
]
print(profiling.table(rows, title="60 steps at a learning rate of 0.01, seed 0"))

# %% [markdown]
# **Explain.** Same batches, same highest rate. At step 0 Adam has no history, so every weight moves by the full learning rate, in the direction that one batch says. The first steps look alike all the same: no run has learned much yet. The difference shows later. The cold runs have been pushed to a place from which 60 steps do not bring them as low. Clipping helps on top of warm-up, and hardly without it.
#
# Look at the right picture before you copy a limit from a paper. At this size nearly every gradient is longer than 1, so a limit of 1 is no emergency brake: it gives *every* batch the same say. A factor that is the same in all steps would change nothing, because Adam divides by the size of past gradients; a factor that differs from step to step does. Over three seeds the runs with warm-up and clipping reached 82 to 84 %, with warm-up alone 77 to 78 %, without warm-up 66 to 79 %.

# %% [markdown]
# ### Look: where the norm stands
#
# You will read that pre-norm models train without warm-up and post-norm models do not. The first transformer normalized *after* each sum, $x \leftarrow \text{LN}(x + f(x))$; ViTs normalize *before*, $x \leftarrow x + f(\text{LN}(x))$, so that a straight line leads from the input to the output (week 2). Xiong et al. (2020) argue that post-norm models begin with large gradients near the output, and need warm-up to survive them.
#
# Here both have the same parts and the same start: eight blocks of width 32, all labels, 100 steps, a highest rate of 0.003, no clipping. Only the order in a block and the warm-up differ.
#
# **Predict.** Four runs: pre-norm and post-norm, each with a warm-up of 0 and of 25 steps. Which one fails? Does pre-norm gain nothing from the warm-up?


# %% explore=true
class PostNorm(nn.Module):
    """A block of timm's, its parts in the order of Vaswani et al. (2017, section 3.1): each norm after the sum."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.attn(x))
        return self.norm2(x + self.mlp(x))


def norm_vit(seed: int, blocks: int, post: bool) -> VisionTransformer:
    """As `tiny_vit`, with width 32 and so many blocks; the weights at the start are the same for both orders."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=32, depth=blocks, num_heads=4,
        mlp_ratio=2.0, weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.5)
    if post:
        model.blocks = nn.Sequential(*(PostNorm(block) for block in model.blocks))
        model.norm = nn.Identity()  # the last block has normalized already
    return model


def norm_run(setting: tuple[nn.Module, int, int]) -> tuple[list[float], float]:
    """Losses and test accuracy of a model, a length of warm-up and a seed."""
    model, warmup, seed = setting
    source = labeled_batches(handwriting.x_train, handwriting.y_train)
    run = fit(model, source, cross_entropy, 100, base_lr=3e-3, seed=seed, warmup=warmup, max_norm=math.inf)
    return run["loss"], accuracy(model, handwriting.x_test, handwriting.y_test)


NORMS = {(order, warmup): order == "post-norm" for order in ("pre-norm", "post-norm") for warmup in (0, 25)}
started = [(norm_vit(0, 8, post).to(profile.device()), warmup, 0) for (_, warmup), post in NORMS.items()]
norm_runs = dict(zip(NORMS, profile.side_by_side(norm_run, started)))
fig, ax = plt.subplots(figsize=(7.5, 3.6))
for (order, warmup), (losses, _) in norm_runs.items():
    smooth = np.convolve(losses, np.ones(5) / 5, mode="valid")
    style = {"color": plotting.COLORS[order == "post-norm"], "linestyle": "-" if warmup else ":"}
    ax.plot(range(4, 100), smooth, label=f"{order}, warm-up {warmup}", **style)
ax.axhline(math.log(10), color="0.3", linestyle="--", linewidth=1.2, label="guessing, ln 10")
ax.set(xlabel="step", ylabel="loss, mean of five steps", title="Eight blocks, a rate of 0.003, seed 0", ylim=(0, None))
ax.grid(alpha=0.3)
ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
for (order, warmup), (losses, right) in norm_runs.items():
    print(
        f"{order:>9}, warm-up {warmup:2d}: loss {sum(losses[-10:]) / 10:.2f} in the last ten steps, accuracy {right:.0%}"
    )

# %% [markdown]
# **Explain.** Test accuracy in percent over 20 seeds:
#
# | eight blocks | mean | lowest to highest |
# | --- | --- | --- |
# | pre-norm, warm-up 0 | 70.7 | 61.1 to 88.9 |
# | pre-norm, warm-up 25 | 76.9 | 67.1 to 84.7 |
# | post-norm, warm-up 0 | 30.3 | 10.0 to 65.1 |
# | post-norm, warm-up 25 | 60.7 | 10.0 to 87.8 |
#
# So the sentence is half right here. Without warm-up post-norm is far behind, and some runs end at 10 %, which is guessing. Warm-up gives it back 30 points on average, and still a run fails now and then. But pre-norm gains from warm-up, too; it only does not depend on it. And depth matters: with two blocks, the size of `tiny_vit`, all four came out within six points of each other. The reason that the paper gives cannot be read off our step 0: timm starts the head at 0, so no gradient reaches the blocks there.

# %% [markdown]
# ### The size of a start
#
# One more decision is made before step 0: how large the weights are. timm starts positions at a standard deviation of 0.02. That is the habit of large models and long runs. The embedded patches of a digit are about 1 in size, so positions of 0.02 are a whisper.
#
# **Predict.** All 1,347 labels, 100 steps. Positions of 0.02 against positions of 0.5: how far apart are the curves?

# %% explore=true
starts = {}
for size in (0.02, 0.5):
    model = tiny_vit(0)
    with torch.no_grad():
        model.pos_embed.mul_(size / 0.5)
    seen = []
    fit(
        model.to(profile.device()),
        labeled_batches(handwriting.x_train, handwriting.y_train, noise=0.0),
        cross_entropy,
        steps=100,
        base_lr=2e-3,
        seed=0,
        after_step=lambda step: seen.append(accuracy(model, x_test, y_test)) if step % 25 == 24 else None,
    )
    starts[f"positions of {size}"] = seen
display(
    plotting.curves(
        starts,
        x=[25 * k + 25 for k in range(4)],
        xlabel="step",
        ylabel="test accuracy",
        title="All labels, 100 steps: only the start differs",
    )
)
print("after 100 steps:", ", ".join(f"{name} {values[-1]:.0%}" for name, values in starts.items()))
print("target: at least 90 % with all labels, from scratch")

# %% [markdown]
# **Explain.** A bag of patches tells some digits apart, not all (week 2). With whispered positions the model must first *learn to hear* where a patch is, and 100 steps are mostly spent on that. It is no law about transformers and data; it is a bad start for a short run. So this week's `tiny_vit` starts its positions at 0.5. Remember this when you compare methods: a baseline that was started badly loses for the wrong reason.

# %% [markdown]
# ## Part 2. More images from the same images
#
# A ViT knows nothing about images: not that neighbors belong together, not that a digit moved by a pixel is the same digit. What it cannot assume it must see. Augmentation shows it more images than there are, and *every augmentation is a claim*: the label survives this change.


# %% given="beta"
def sample_beta(alpha: float, generator: torch.Generator) -> float:
    """One number from the distribution Beta(alpha, alpha) on [0, 1], drawn with `generator`; alpha must be positive.

    torch's own Beta takes no generator, so NumPy draws, with a seed that the generator gives.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


# %% explore=true
fig, ax = plt.subplots(figsize=(6.6, 3.2))
for alpha in (0.2, 1.0, 8.0):
    generator = torch.Generator().manual_seed(0)
    drawn = [sample_beta(alpha, generator) for _ in range(2000)]
    ax.hist(drawn, bins=25, range=(0, 1), histtype="step", linewidth=1.8, density=True, label=f"alpha = {alpha}")
ax.set(xlabel="lambda", ylabel="density", title="2,000 draws of Beta(alpha, alpha)")
ax.legend()
plt.show()

# %% [markdown]
# The share $\lambda$ of a mixture comes from this distribution. With a small $\alpha$ most mixtures are nearly one image, with $\alpha = 1$ every share is as likely, with a large $\alpha$ most are half and half.

# %% [markdown] about="mix"
# ### Exercise 4. Mix images, and their labels
#
# **Mixup** (Zhang et al. 2018) lays two images over each other. **CutMix** (Yun et al. 2019) pastes a box of one into the other. Both mix the labels in the same proportion, so that the label stays true.
#
# Every image $x_i$ gets a partner $x_{\pi(i)}$ from the same batch, by a permutation $\pi$ of the batch. Draw it at random, or take the batch in reverse as timm does; the tests accept both. There is **one** $\lambda \sim \text{Beta}(\alpha, \alpha)$ and one box for the whole batch.
#
# | | image | label, with $e_y$ the one-hot vector of $y$ |
# | --- | --- | --- |
# | mixup | $\lambda x_i + (1 - \lambda)\, x_{\pi(i)}$ | $\lambda e_{y_i} + (1-\lambda)\, e_{y_{\pi(i)}}$ |
# | CutMix | $x_i$, but in the box the pixels of $x_{\pi(i)}$ | $\kappa e_{y_i} + (1-\kappa)\, e_{y_{\pi(i)}}$ |
#
# The box has the sides $h\sqrt{1-\lambda}$ and $w\sqrt{1-\lambda}$, rounded as you like, so that its area is $1 - \lambda$ of the image. Its center is a uniformly random pixel of the image; what sticks out is **cut off at the border**. So the box is often smaller than planned, and the label must follow the pixels: $\kappa$ is the share of pixels that are really still from $x_i$.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `x`, `y` | $(B, C, h, w)$, $(B,)$ int64 | images and classes; not changed |
# | `alpha` | | at least 0; with 0 nothing is mixed |
# | `generator` | | the only source of randomness; torch's global random state is left alone |
# | result | $(B, C, h, w)$, $(B, K)$ | images and soft labels, both of the dtype of `x` |


# %% exercise="mix" difficulty=3 minutes=60
def mixup(
    x: torch.Tensor, y: torch.Tensor, num_classes: int, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend each image with a partner from the batch, and their labels alike (Zhang et al. 2018).

    Parameters
    ----------
    x : (B, C, h, w). y : (B,) int64. num_classes : K. alpha : of Beta(alpha, alpha); 0 mixes nothing.
    generator : the only source of randomness.

    Returns
    -------
    (B, C, h, w) and (B, K), both of x's dtype. One lambda for the whole batch.
    """
    ### BEGIN SOLUTION
    share = sample_beta(alpha, generator) if alpha > 0 else 1.0
    partner = torch.randperm(len(x), generator=generator)
    labels = F.one_hot(y, num_classes).to(x.dtype)
    mixed = share * x + (1 - share) * x[partner]
    return mixed, share * labels + (1 - share) * labels[partner]
    ### END SOLUTION


def cutmix(
    x: torch.Tensor, y: torch.Tensor, num_classes: int, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a box of a partner into each image; labels follow the pixels that are kept (Yun et al. 2019).

    Parameters
    ----------
    x : (B, C, h, w). y : (B,) int64. num_classes : K. alpha : of Beta(alpha, alpha); 0 mixes nothing.
    generator : the only source of randomness.

    Returns
    -------
    (B, C, h, w) and (B, K), both of x's dtype. One box for the whole batch, cut off at the border.
    """
    ### BEGIN SOLUTION
    share = sample_beta(alpha, generator) if alpha > 0 else 1.0
    partner = torch.randperm(len(x), generator=generator)
    height, width = x.shape[-2:]
    side = math.sqrt(1 - share)
    row, column = (int(torch.randint(length, (), generator=generator)) for length in (height, width))
    box_height, box_width = round(height * side), round(width * side)
    top, left = row - box_height // 2, column - box_width // 2
    rows = slice(max(0, top), min(height, top + box_height))
    columns = slice(max(0, left), min(width, left + box_width))
    mixed = x.clone()
    mixed[..., rows, columns] = x[partner][..., rows, columns]
    kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    labels = F.one_hot(y, num_classes).to(x.dtype)
    return mixed, kept * labels + (1 - kept) * labels[partner]
    ### END SOLUTION


# %% look="mix"
# Look: six photographs of two kinds, mixed. The numbers are the soft labels.
with checks.look():
    look_photos = torch.stack(
        [
            datasets.photograph(name, height=96, width=96).image.roll(k, 2)
            for k in (0, 24, 48)
            for name in ("flower", "china")
        ]
    )
    look_kinds = torch.tensor([0, 1] * 3)
    for mixer in (mixup, cutmix):
        mixed, soft = mixer(look_photos, look_kinds, 2, 1.0, torch.Generator().manual_seed(3))
        titles = [f"{a:.2f} + {b:.2f}" for a, b in soft.tolist()]
        shares = f"{mixer.__name__}: share of flower + share of temple"
        display(plotting.image_grid(mixed, columns=6, titles=titles, suptitle=shares))

# %% [markdown] hints="mix"
# <details><summary>Hint 1: the idea</summary>
#
# Draw $\lambda$ and the permutation once, then do the same thing to images and one-hot labels. For CutMix, find the first and last row and column of the box **after** it was cut off, and count its pixels.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     share = draw from Beta, or 1 when alpha is 0
#     partner = random permutation of the batch
#     labels = one-hot, as floats of the dtype of x
#     mixup:   the same weighted sum for x and for the labels
#
#     cutmix:  side = square root of (1 - share)
#              a random row and a random column: the center
#              first and last row, first and last column, none outside of the image
#              copy x; in the box put the pixels of the partners
#              kept = 1 - pixels in the box / pixels of the image
#              weighted sum of the labels with kept
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.randperm(len(x), generator=generator)` is a permutation, and `x[partner]` the partners. `F.one_hot(y, K)` gives integers; `.to(x.dtype)` makes them floats. `sample_beta` stands above; it does not take alpha = 0. A random row: `torch.randint(h, (), generator=generator)`. Write into a copy (`x.clone()`), not into `x`, or later partners are already mixed.
#
# </details>
#
# <details><summary>My labels are right on most draws, but not on all</summary>
#
# Then the box was cut off in the others. Compute the share from the rows and columns that you really pasted, not from $\lambda$.
#
# </details>


# %% [markdown]
# ### RandAugment: a few random changes of one strength
#
# Mixing makes new images out of pairs. RandAugment (Cubuk et al. 2020) changes one image: it draws a few operations from a list and applies them one after the other, all with the same magnitude. Two numbers to tune, nothing to learn.
#
# Here are eight operations. Each takes an image with values in [0, 1] and a signed strength from -1 to 1; at 0 each leaves the image as it is.

# %% given="operations"
Operation = Callable[[torch.Tensor, float], torch.Tensor]


def _moved(image: torch.Tensor, matrix: list[list[float]]) -> torch.Tensor:
    """The image (C, h, w) seen through an affine map of its coordinates; what comes from outside is 0."""
    theta = torch.tensor([matrix], dtype=image.dtype, device=image.device)
    grid = F.affine_grid(theta, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, align_corners=False)[0]


def shift(image: torch.Tensor, strength: float) -> torch.Tensor:
    """To the left by up to 30 % of the width."""
    return _moved(image, [[1.0, 0.0, 0.6 * strength], [0.0, 1.0, 0.0]])


def shear(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Slanted by up to 0.3 heights."""
    return _moved(image, [[1.0, 0.3 * strength, 0.0], [0.0, 1.0, 0.0]])


def rotate(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Turned by up to 30 degrees."""
    cos, sin = math.cos(math.pi / 6 * strength), math.sin(math.pi / 6 * strength)
    return _moved(image, [[cos, -sin, 0.0], [sin, cos, 0.0]])


def contrast(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Distances to the mean scaled by up to 1.9 or down to 0.1."""
    mean = image.mean()
    return mean + (1 + 0.9 * strength) * (image - mean)


def brightness(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Brighter or darker by up to 0.5."""
    return image + 0.5 * strength


def posterize(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Fewer shades: 256 at strength 0, 4 at strength 1 or -1."""
    steps = 2 ** (8 - 6 * abs(strength)) - 1
    return (image * steps).round() / steps if strength else image


def solarize(image: torch.Tensor, strength: float) -> torch.Tensor:
    """The brightest pixels turned dark: none at strength 0, all above 0 at strength 1 or -1."""
    return torch.where(image > 1 - abs(strength), 1 - image, image)


def identity(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Nothing."""
    return image


OPERATIONS: tuple[Operation, ...] = (shift, shear, rotate, contrast, brightness, posterize, solarize, identity)

# %% [markdown] about="augment"
# ### Exercise 5. RandAugment
#
# Do this `n_ops` times, one after the other:
#
# 1. draw one of the operations, each equally likely, **with replacement**;
# 2. draw a sign, plus or minus, equally likely;
# 3. apply the operation with the strength sign times `magnitude`;
# 4. clip the result to [0, 1], so that the next operation gets an image again.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `image` | $(C, h, w)$, in [0, 1] | not changed |
# | `n_ops`, `magnitude` | | how many, how strong (0 to 1) |
# | `operations` | | functions of (image, strength); the table above by default |
# | `generator` | | the only source of randomness; torch's global random state is left alone |
# | result | $(C, h, w)$, in [0, 1] | of the dtype of `image` |


# %% exercise="augment" difficulty=2 minutes=25
def rand_augment(
    image: torch.Tensor,
    n_ops: int,
    magnitude: float,
    generator: torch.Generator,
    operations: Sequence[Operation] = OPERATIONS,
) -> torch.Tensor:
    """Apply random operations of one magnitude (Cubuk et al. 2020), each with a random sign.

    Parameters
    ----------
    image : (C, h, w), values in [0, 1]; not changed. n_ops : operations, drawn uniformly with replacement.
    magnitude : from 0 to 1. generator : the only source of randomness.
    operations : functions of (image, signed strength).

    Returns
    -------
    (C, h, w) of image's dtype, values in [0, 1] after every operation.
    """
    ### BEGIN SOLUTION
    for _ in range(n_ops):
        operation = operations[int(torch.randint(len(operations), (), generator=generator))]
        sign = 1 - 2 * int(torch.randint(2, (), generator=generator))
        image = operation(image, sign * magnitude).clamp(0, 1)
    return image
    ### END SOLUTION


# %% look="augment"
# Look: a photograph, two operations each, three magnitudes.
with checks.look():
    look_photo = datasets.photograph("flower", height=96, width=144).image
    look_draw = torch.Generator().manual_seed(0)
    look_rows = [(m, rand_augment(look_photo, 2, m, look_draw)) for m in (0.2, 0.6, 1.0) for _ in range(6)]
    titles = [f"magnitude {m}" for m, _ in look_rows]
    display(plotting.image_grid([picture for _, picture in look_rows], columns=6, titles=titles))

# %% [markdown] hints="augment"
# <details><summary>Hint 1: the idea</summary>
#
# A loop over `n_ops`. In each round two random numbers: which operation, which sign. The image of one round is the input of the next.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     n_ops times:
#         number = random whole number below the number of operations
#         sign = +1 or -1 at random
#         image = that operation of image with sign * magnitude
#         clip to [0, 1]
#     return image
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.randint(n, (), generator=generator).item()` is a number from 0 to n - 1; the upper end is excluded. A sign: draw 0 or 1, times 2, minus 1. `.clamp(0, 1)` returns a new tensor, `.clamp_` would change the image that an operation gave back, and `identity` gives back your argument.
#
# </details>


# %% [markdown]
# ### Experiment: is more always better?
#
# Four ways to train the same model. First with thirty labels and 75 steps, then three of them with all labels and 100 steps. `shift` moves each image by -1, 0 or 1 pixel along each axis.
#
# **Predict.** Put the ways in order, once for thirty labels and once for 1,347.


# %% explore=true
def mixed_batches(x: torch.Tensor, y: torch.Tensor, way: str, size: int = 32) -> Callable:
    """Batches (images, soft labels) of a data set, augmented in one way."""
    black = x.min().item()

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        picked = torch.randint(len(x), (size,), generator=generator)
        images, labels = x[picked], y[picked]
        soft = F.one_hot(labels, 10).float()
        if way == "mixup":
            images, soft = mixup(images, labels, 10, 0.8, generator)
        elif way == "cutmix":
            images, soft = cutmix(images, labels, 10, 1.0, generator)
        elif way == "shift":
            padded = F.pad(images, (1, 1, 1, 1), value=black)
            corners = torch.randint(3, (size, 2), generator=generator).tolist()
            images = torch.stack([padded[k, :, i : i + 8, j : j + 8] for k, (i, j) in enumerate(corners)])
        return images.to(profile.device()), soft.to(profile.device())

    return draw


few = few_per_class(handwriting.y_train, 3, seed=0)
few_x, few_y = handwriting.x_train[few], handwriting.y_train[few]
ways = {"nothing": {"augmentation": "nothing", "1,347 labels": f"{starts['positions of 0.5'][-1]:.0%}"}}
for title, x, y, steps, tried in (
    ("30 labels", few_x, few_y, 75, ("nothing", "mixup", "cutmix", "shift")),
    ("1,347 labels", handwriting.x_train, handwriting.y_train, 100, ("cutmix", "shift")),
):
    models = {way: tiny_vit(0).to(profile.device()) for way in tried}

    def augmented(way: str) -> float:
        fit(models[way], mixed_batches(x, y, way), cross_entropy, steps=steps, base_lr=2e-3, seed=0)
        return accuracy(models[way], x_test, y_test)

    for way, share in zip(tried, profile.side_by_side(augmented, tried)):
        ways.setdefault(way, {"augmentation": way})[title] = f"{share:.0%}"
table = [{name: row.get(name, "") for name in ("augmentation", "30 labels", "1,347 labels")} for row in ways.values()]
print(profiling.table(table, title="test accuracy, one seed"))

# %% explore=true
generator = torch.Generator().manual_seed(4)
fig, axes = plt.subplots(3, 8, figsize=(12.5, 5.2))
for row, way in zip(axes, ("mixup", "cutmix", "shift")):
    images, soft = mixed_batches(few_x, few_y, way)(generator)
    for ax, image, label in zip(row, images.cpu(), soft.cpu()):
        ax.imshow(image[0], cmap="gray")
        told = [f"{k}: {share:.2f}" for k, share in enumerate(label.tolist()) if share > 0]
        ax.set_title("  ".join(told), fontsize=10)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(way)
plt.show()

# %% [markdown]
# **Explain.** With thirty labels CutMix is worth several points: it makes many images out of thirty. With all labels the same CutMix *costs* points in a run this short, because the model now spends its 100 steps on a harder task that it did not need. Shifts lose in both columns. A step of one pixel is an eighth of the image, the test digits are all centered, and positions that the model could have relied on tell it less. An augmentation must keep the label **and** suit the resolution, the number of labels, and the time you have. Steiner et al. (2022) study this trade at the size of ImageNet: augmentation replaces data where there is the compute to make use of it.

# %% [markdown]
# ## Part 3. A steadier copy, and a teacher
#
# Two ways to get more out of a run without more labels: average the weights over time, or listen to another model.

# %% [markdown] about="ema"
# ### Exercise 6. A moving average of the weights
#
# The last weights of a run are one noisy sample. Keep a second copy $\bar\theta$ that follows slowly, and test *that* one:
#
# $$\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta$$
#
# With $d = 0.99$ it remembers about the last 100 steps. At the start there is little to remember: $\bar\theta$ is still full of the first random weights. With `warmup=True` the decay of update number $t = 0, 1, 2, \dots$ is therefore $d_t = \min\bigl(d,\; \tfrac{1 + t}{10 + t}\bigr)$.
#
# | name | meaning |
# | --- | --- |
# | `ModelEMA(model, decay, warmup=False)` | copies the model; the model itself is left as it is |
# | `.module` | the copy: in eval mode, no parameter wants a gradient |
# | `.update(model)` | one step of the average, over all parameters (frozen ones, too) **and** all floating-point buffers; integer buffers are copied |
#
# Buffers are what a model stores and does not learn: running means of a batch norm (floating point), and the number of batches it has seen (integer). Some are left out when a model is saved (`persistent=False`); they are followed like the others. A tensor that two layers share is one tensor, and moves once in an update.


# %% exercise="ema" difficulty=3 minutes=40
class ModelEMA:
    """An exponential moving average of a model's parameters and buffers (Polyak and Juditsky 1992, in spirit).

    Parameters
    ----------
    model : any module; it is copied and not changed. decay : d, in [0, 1).
    warmup : whether update number t = 0, 1, ... uses min(d, (1 + t) / (10 + t)).

    The average is the attribute `module`: a module in eval mode, whose parameters do not require gradients.
    """

    def __init__(self, model: nn.Module, decay: float, warmup: bool = False) -> None:
        ### BEGIN SOLUTION
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        ### END SOLUTION

    def update(self, model: nn.Module) -> None:
        """Move the average toward the model: floating-point tensors by (1 - decay), others are copied.

        All parameters and buffers, each once, whether they are trained, frozen, or left out of the state dict. The
        model is not changed.
        """
        ### BEGIN SOLUTION
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        with torch.no_grad():
            mine_all = [*self.module.parameters(), *self.module.buffers()]
            for mine, theirs in zip(mine_all, [*model.parameters(), *model.buffers()]):
                if mine.is_floating_point():
                    mine.mul_(decay).add_(theirs, alpha=1 - decay)
                else:
                    mine.copy_(theirs)
        ### END SOLUTION


# %% look="ema"
# Look: a weight that jumps about around 1, and its averages.
with checks.look():
    look_model = nn.Linear(1, 1, bias=False)
    look_noise = checks.normal(seed=0)
    nn.init.constant_(look_model.weight, 0.0)
    look_copies = {
        "d = 0.9": ModelEMA(look_model, 0.9),
        "d = 0.98": ModelEMA(look_model, 0.98),
        "d = 0.98, warmup": ModelEMA(look_model, 0.98, warmup=True),
    }
    look_lines: dict[str, list[float]] = {"the weight": [], **{name: [] for name in look_copies}}
    for _ in range(100):
        nn.init.constant_(look_model.weight, 1 + 0.5 * look_noise(1).item())
        look_lines["the weight"].append(look_model.weight.item())
        for name, ema in look_copies.items():
            ema.update(look_model)
            look_lines[name].append(ema.module.weight.item())
    display(plotting.curves(look_lines, xlabel="update", ylabel="value", title="A noisy weight and its averages"))

# %% [markdown] hints="ema"
# <details><summary>Hint 1: the idea</summary>
#
# Two models of the same build, so their tensors come in the same order. Walk over both at once. The average is never trained, so nothing in it needs a gradient.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:   a deep copy of the model; eval mode; no gradients
#             remember decay, warmup, and that no update has been made
#     update: decay of this update: with warmup, the smaller of decay and (1 + t) / (10 + t)
#             count the update
#             for each pair of tensors (average, model), parameters and buffers:
#                 floating point: average = decay * average + (1 - decay) * model, in place
#                 otherwise: copy
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `copy.deepcopy(model)` copies everything. `module.parameters()` and `module.buffers()` give every tensor once, in the same order for a model and its copy; change them in place. (`state_dict()` would miss the buffers with `persistent=False`, and hold a shared tensor twice.) `tensor.lerp_(other, weight)` moves `tensor` toward `other` by the share `weight`; here that share is 1 - decay. `tensor.is_floating_point()` tells the two kinds apart. Work inside `with torch.no_grad():`.
#
# </details>


# %% [markdown] about="distill"
# ### Exercise 7. Learn from a teacher
#
# A teacher model says more than a label does. Its probabilities tell that this 7 could be a 1, but never a 0. And it can label images that nobody has labeled. Two ways to listen (Touvron et al. 2021, section 4; it has no numbered parts, so a list that sends you to "4.3" or "4.4" means its paragraphs, and what came out stands in section 5.2; the soft one is from Hinton et al. 2015), with $p^{(T)} = \operatorname{softmax}(z / T)$ for logits $z$:
#
# $$\text{soft:} \quad (1 - \alpha)\, \text{CE}(z_s, y) + \alpha\, T^2\, \text{KL}\bigl(p_t^{(T)} \,\Vert\, p_s^{(T)}\bigr), \qquad \text{KL}(p \,\Vert\, q) = \sum_k p_k \log \frac{p_k}{q_k}$$
#
# $$\text{hard:} \quad (1 - \alpha)\, \text{CE}(z_s, y) + \alpha\, \text{CE}\bigl(z_s, \operatorname{argmax}_k z_{t,k}\bigr)$$
#
# CE and KL are averaged **over the images of the batch**, not over the classes, and stay finite for logits of any size. Gradients of the softened KL shrink as $1/T^2$; the factor $T^2$ keeps the two terms in proportion, whatever $T$ is.
#
# DeiT's student has two heads: one reads the class token, one a distillation token. Then `student` is a pair of logits: the first learns from the labels, the second from the teacher.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `student` | $(B, K)$, or a pair of them | $z_s$; of a pair, (class head, distillation head) |
# | `teacher` | $(B, K)$ | $z_t$; **no gradient flows into it** |
# | `labels` | $(B,)$ int64 | $y$, from 0 to $K - 1$; with $\alpha = 1$ it does not matter which |
# | `mode` | "soft" or "hard" | ValueError for anything else |
# | `alpha`, `temperature` | | $\alpha$, $T$ (not used by "hard") |
# | result | scalar | |


# %% exercise="distill" difficulty=3 minutes=45
def distillation_loss(
    student: torch.Tensor | tuple[torch.Tensor, torch.Tensor],
    teacher: torch.Tensor,
    labels: torch.Tensor,
    mode: str,
    alpha: float = 0.5,
    temperature: float = 3.0,
) -> torch.Tensor:
    """Learn from labels and from a teacher (Hinton et al. 2015; Touvron et al. 2021).

    Parameters
    ----------
    student : logits (B, K), or a pair (class head, distillation head). teacher : logits (B, K), taken as constants.
    labels : (B,) int64. mode : "soft" or "hard". alpha : weight of the teacher, in [0, 1].
    temperature : T > 0, of the soft mode.

    Returns
    -------
    A scalar, averaged over the batch.

    Raises
    ------
    ValueError : for another mode.
    """
    ### BEGIN SOLUTION
    from_labels, from_teacher = (student, student) if isinstance(student, torch.Tensor) else student
    teacher = teacher.detach()
    if mode == "soft":
        log_p = F.log_softmax(from_teacher / temperature, dim=-1)
        log_q = F.log_softmax(teacher / temperature, dim=-1)
        lesson = temperature**2 * (log_q.exp() * (log_q - log_p)).sum(-1).mean()
    elif mode == "hard":
        lesson = F.cross_entropy(from_teacher, teacher.argmax(-1))
    else:
        raise ValueError(f"mode={mode!r} is neither 'soft' nor 'hard'")
    return (1 - alpha) * F.cross_entropy(from_labels, labels) + alpha * lesson
    ### END SOLUTION


# %% look="distill"
# Look: what a student with two classes should answer. The minimum of each curve is where the loss wants it.
with checks.look():
    look_margin = torch.linspace(-3, 6, 91)
    look_teacher = torch.tensor([[2.0, 0.0]])  # sure of class 0, but not quite

    def look_curve(mode: str, temperature: float) -> torch.Tensor:
        logits = [torch.stack([m, torch.tensor(0.0)])[None] for m in look_margin]
        label = torch.zeros(1, dtype=torch.long)
        return torch.stack([distillation_loss(z, look_teacher, label, mode, 1.0, temperature) for z in logits])

    look_losses = {f"soft, T = {T}": look_curve("soft", T) for T in (1.0, 3.0)} | {"hard": look_curve("hard", 1.0)}
    display(
        plotting.curves(
            look_losses,
            x=look_margin,
            xlabel="the student's logit of class 0 over that of class 1",
            ylabel="loss",
            title="The teacher says 2: soft wants 2, hard wants more",
        )
    )

# %% [markdown] hints="distill"
# <details><summary>Hint 1: the idea</summary>
#
# Three parts: who learns from the labels, who learns from the teacher, and a weighted sum. Begin with a student that is one tensor; a pair only changes which logits go where. Work with logarithms of probabilities: they are exact where probabilities round to 0.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     a = b = student, or a, b = the pair
#     the teacher's logits as constants
#     soft: log-probabilities of b / T and of teacher / T
#           KL = sum over classes of p_teacher * (log p_teacher - log p_student), mean over images
#           lesson = T squared times KL
#     hard: lesson = cross-entropy of b and the teacher's best class
#     otherwise: ValueError
#     (1 - alpha) * cross-entropy of a and the labels + alpha * lesson
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.kl_div(input, target)` computes KL(target || input) and wants `input` as **log**-probabilities: the student goes first. `reduction="batchmean"` divides by the images; the default "mean" divides by the classes as well. `.detach()` cuts a tensor from the graph. A pair is no tensor: `isinstance(student, torch.Tensor)`.
#
# </details>

# %% [markdown]
# The last test of this exercise is a small training run: a teacher that has seen thirty labels, and a student that hears only the teacher.


# %% [markdown]
# ## Part 4. Where do the weights come from?
#
# Three starts, and what may move:
#
# | regime | weights at the start | what learns |
# | --- | --- | --- |
# | scratch | random | everything |
# | frozen | pre-trained | the head alone |
# | full | pre-trained | everything |

# %% [markdown] about="regime"
# ### Exercise 8. What may move
#
# `set_regime` decides what learns; where the weights come from is the caller's affair. So `scratch` and `full` do the same thing to a model.
#
# "Frozen" is easy to get half right. A frozen parameter must not want a gradient. But a batch norm in train mode changes its running means **in the forward pass**, without any gradient, and dropout keeps rolling dice. So the backbone must also be in eval mode, while the head trains.
#
# | regime | `requires_grad` | mode |
# | --- | --- | --- |
# | "scratch", "full" | true everywhere | train mode everywhere |
# | "frozen" | true in `model.head`, false elsewhere | `model.head` in train mode, every other module in eval mode |
#
# The head is the submodule `model.head`, not every name that begins with those letters. A later call undoes an earlier one.


# %% exercise="regime" difficulty=2 minutes=25
def set_regime(model: nn.Module, regime: str) -> None:
    """Set which parameters learn, and the mode of every module. All else in the model stays, gradients included.

    Parameters
    ----------
    model : a module whose classifier is `model.head`. regime : "scratch", "frozen" or "full".

    Raises
    ------
    ValueError : for another regime; the model is then left as it was.
    """
    ### BEGIN SOLUTION
    if regime not in ("scratch", "frozen", "full"):
        raise ValueError(f"regime={regime!r} is none of 'scratch', 'frozen', 'full'")
    everything = regime != "frozen"
    model.train(everything).requires_grad_(everything)
    model.head.train().requires_grad_(True)
    ### END SOLUTION


# %% look="regime"
# Look: how much of the tiny ViT learns in each regime.
with checks.look():
    look_rows = []
    for regime in ("scratch", "frozen", "full"):
        look_model = tiny_vit(0)
        set_regime(look_model, regime)
        look_rows.append(
            {
                "regime": regime,
                "numbers that learn": profiling.parameter_count(look_model, trainable_only=True),
                "of": profiling.parameter_count(look_model),
                "modules in train mode": sum(m.training for m in look_model.modules()),
            }
        )
    print(profiling.table(look_rows))

# %% [markdown] hints="regime"
# <details><summary>Hint 1: the idea</summary>
#
# Set everything first, then make the exception for the head. Both settings, gradient and mode, are handed down by a module to all of its parts.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     an unknown regime: ValueError
#     scratch or full: the whole model wants gradients and is in train mode
#     frozen: the whole model wants none and is in eval mode;
#             then the head alone wants them and is in train mode
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `module.requires_grad_(flag)` sets all parameters of a module, `module.train(flag)` the mode of it and its parts. `model.head` is a module like any other. Do not search for names that start with "head": `head_norm` does, too.
#
# </details>


# %% [markdown]
# ### Milestone: your recipe against the libraries' own
#
# Two copies of the same model, the same batches, 20 steps. One is trained by your four functions, the other by timm's `param_groups_weight_decay`, torch's schedulers, torch's `clip_grad_norm_` and timm's `ModelEmaV3`. If each of your pieces is right, the two models stay together.
#
# **Predict.** How far apart are two weights after 20 steps, at most: 0.1, 0.001, or next to nothing?

# %% explore=true
mine, theirs = tiny_vit(7).double(), tiny_vit(7).double()
my_optimizer = torch.optim.AdamW(parameter_groups(mine, 0.05), lr=2e-3)
their_groups = param_groups_weight_decay(theirs, 0.05, no_weight_decay_list=("pos_embed", "cls_token"))
their_optimizer = torch.optim.AdamW(their_groups, lr=2e-3)
rise = torch.optim.lr_scheduler.LinearLR(their_optimizer, start_factor=1 / 5, total_iters=4)
fall = torch.optim.lr_scheduler.CosineAnnealingLR(their_optimizer, T_max=15)
scheduler = torch.optim.lr_scheduler.SequentialLR(their_optimizer, [rise, fall], milestones=[5])
my_average, their_average = ModelEMA(mine, 0.9), ModelEmaV3(theirs, 0.9)
draw = torch.Generator().manual_seed(0)
apart: dict[str, list[float]] = {"weights": [], "averages": []}
for step in range(20):
    picked = torch.randint(len(handwriting.x_train), (32,), generator=draw)
    x, y = handwriting.x_train[picked].double(), handwriting.y_train[picked]
    for model, optimizer in ((mine, my_optimizer), (theirs, their_optimizer)):
        optimizer.zero_grad()
        cross_entropy(model, x, y).backward()
    for group in my_optimizer.param_groups:
        group["lr"] = warmup_cosine(step, 20, 5, 2e-3)
    clip_gradients(mine.parameters(), 1.0)
    nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    my_optimizer.step()
    their_optimizer.step()
    scheduler.step()
    my_average.update(mine)
    their_average.update(theirs)
    for what, one, other in (("weights", mine, theirs), ("averages", my_average.module, their_average.module)):
        gaps = [(a - b).abs().max().item() for a, b in zip(one.parameters(), other.parameters())]
        apart[what].append(max(gaps))
moved = max((a - b).abs().max().item() for a, b in zip(mine.parameters(), tiny_vit(7).parameters()))
print(f"the weight that moved most moved by {moved:.3f}")
print(f"your model and theirs differ by at most {max(apart['weights']):.0e}")
print(f"your average and theirs differ by at most {max(apart['averages']):.0e}")
assert max(apart["weights"]) < 1e-6 < 1e-3 < moved, "your recipe and the libraries' own part ways"

# %% [markdown]
# **Explain.** In float64 hardly anything is left. What is left comes from the tiny number that torch adds to the norm, so that it never divides by zero. The pieces that you wrote are the pieces that train real models.

# %% [markdown]
# ## The experiment: what are thirty labels worth?
#
# Now everything together. Thirty labels of handwriting, 1,347 unlabeled images, and as much type as you like. The question is which help is worth how much:
#
# | way | starts from | learns from |
# | --- | --- | --- |
# | no label at all | random | 2,500 typed digits, 150 steps |
# | scratch | random | thirty labels, 100 steps |
# | frozen | the typed digits | thirty labels, the head alone |
# | full | the typed digits | thirty labels, everything |
# | small CNN | random | thirty labels |
# | distilled | random | what that CNN says about 1,347 images, hard labels, 100 steps |
#
# **Predict.** Put them in order. Can the distilled student be better than its teacher? And which helps a ViT more: seeing type first, or hearing a CNN?
#
# There is one start, as in practice. A seed draws other labels, other weights where they are random, and other batches. The targets, as means over three seeds: **full beats scratch by at least 8 points, and distilled beats scratch by at least 10**. Frozen need not beat scratch. The table also says what a run costs: its seconds, and the first step from which it stays within two points of its end. The cell runs one seed; set `SEEDS = 3` and `EVERYTHING = True` for the table below it (half a minute).


# %% explore=true
def curve_of(
    model: nn.Module, batch: Callable, base_lr: float, seed: int, loss: Callable = cross_entropy, steps: int = 100
) -> list[float]:
    """Test accuracy after every 25 steps of training."""
    seen: list[float] = []

    def watch(step: int) -> None:
        if step % 25 == 24:
            seen.append(accuracy(model, x_test, y_test))

    fit(model, batch, loss, steps=steps, base_lr=base_lr, seed=seed, after_step=watch)
    return seen


def hearing(teacher: nn.Module, mode: str, temperature: float = 3.0) -> Callable:
    """A loss that hears only the teacher: alpha = 1, no labels."""

    def loss(model: nn.Module, x: torch.Tensor, nobody_knows: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            told = teacher(x)
        return distillation_loss(model(x), told, nobody_knows, mode, 1.0, temperature)

    return loss


typed = datasets.rendered_digits(2500, seed=0)
typed_x = (typed.x - handwriting.mean) / handwriting.std
unlabeled = torch.zeros(len(handwriting.x_train), dtype=torch.long)  # in the place of labels that nobody knows


def all_ways(
    seed: int, start: nn.Module, everything: bool
) -> tuple[dict[str, list[float]], dict[str, nn.Module], dict[str, float]]:
    """Accuracy curves of every way to use thirty labels, the models, and the seconds of each run with its four tests.

    With `everything` there are three ways more. On the CPU, where two runs share the time, seconds of its own thread count.
    """
    import time

    device, clock = profile.device(), profile.pick(cpu=time.thread_time, gpu=time.perf_counter)
    few = few_per_class(handwriting.y_train, 3, seed)
    thirty = labeled_batches(handwriting.x_train[few], handwriting.y_train[few])
    models = {"scratch": tiny_vit(seed + 100), "frozen": copy.deepcopy(start), "full": copy.deepcopy(start)}
    for regime, model in models.items():
        set_regime(model.to(device), regime)
    teacher = small_cnn(seed).to(device)
    rates = {"scratch": 2e-3, "frozen": 1e-2, "full": 1e-3, "small CNN": 3e-3}
    pupils = models | {"small CNN": teacher}
    spent: dict[str, float] = {}

    def timed(way: str, *run: object) -> list[float]:
        began = clock()
        curve = curve_of(*run)
        spent[way] = clock() - began
        return curve

    curves = profile.side_by_side(lambda way: timed(way, pupils[way], thirty, rates[way], seed), rates)
    found = dict(zip(rates, curves))
    teacher.eval()
    pool = labeled_batches(handwriting.x_train, unlabeled)
    same = labeled_batches(handwriting.x_train[few], unlabeled[:30])
    full_labels = labeled_batches(handwriting.x_train, handwriting.y_train)
    others = {
        "distilled": (pool, hearing(teacher, "hard")),
        "distilled, only on the thirty images": (same, hearing(teacher, "hard")),
        "distilled, soft, T = 3": (pool, hearing(teacher, "soft")),
        "scratch, all 1,347 labels": (full_labels, cross_entropy),
    }
    for way, (batch, loss) in others.items():
        if everything or way == "distilled":
            found[way] = timed(way, tiny_vit(seed + 100).to(device), batch, 2e-3, seed, loss)
    return found, models, spent


def settled(curve: Sequence[float]) -> int:
    """The first step, of those that were tested, from which a run is within two points of its end."""
    return 25 * next(k for k, share in enumerate(curve, 1) if share >= curve[-1] - 0.02)


start = tiny_vit(0).to(profile.device())
start_curve = curve_of(start, labeled_batches(typed_x, typed.y), 2e-3, seed=0, steps=150)
SEEDS = profile.pick(cpu=1, gpu=10)
EVERYTHING = profile.pick(cpu=False, gpu=True)
how_many = "one seed" if SEEDS == 1 else f"mean of {SEEDS} seeds"
runs, trained, spent = zip(*(all_ways(seed, start, EVERYTHING) for seed in range(SEEDS)))
models = trained[0]
by_way = {way: [run[way] for run in runs] for way in runs[0]}
mean = {way: sum(curve[-1] for curve in curves) / len(curves) for way, curves in by_way.items()}
rows = [
    {"way": way, "mean": f"{mean[way]:.1%}", **{f"seed {k}": f"{c[-1]:.1%}" for k, c in enumerate(curves)}}
    for way, curves in by_way.items()
]
for row in rows:
    row["seconds a run"] = f"{min(run[row['way']] for run in spent):.1f}"
    row["near its end from step"] = " ".join(str(settled(curve)) for curve in by_way[row["way"]])
print(f"trained on type, tested on handwriting, no label: {start_curve[-1]:.1%}")
print(profiling.table(rows, title="test accuracy on 450 handwritten digits, thirty labels unless said otherwise"))
for way, target in (("full", 8), ("distilled", 10)):
    gain = 100 * (mean[way] - mean["scratch"])
    print(
        f"{way} - scratch, {how_many}: {gain:+.1f} points, target {target}: {'reached' if gain >= target else 'missed'}"
    )

# %% explore=true
shown = ("scratch", "frozen", "full", "small CNN", "distilled")
display(
    plotting.curves(
        {way: by_way[way] for way in shown},
        x=[25 * k + 25 for k in range(4)],
        xlabel="step",
        ylabel="test accuracy",
        title=f"Thirty labels, {how_many}",
        levels={"start of frozen and full": start_curve[-1], "all labels": starts["positions of 0.5"][-1]},
    )
)

# %% [markdown]
# The same cell with `SEEDS = 3` and `EVERYTHING = True`:
#
# | way | mean | seed 0 | seed 1 | seed 2 |
# | --- | --- | --- | --- | --- |
# | scratch | 57.7 % | 54.4 % | 57.8 % | 60.9 % |
# | frozen | 61.4 % | 57.3 % | 67.3 % | 59.6 % |
# | full | 71.0 % | 68.4 % | 73.1 % | 71.3 % |
# | small CNN | 80.4 % | 78.4 % | 82.9 % | 80.0 % |
# | distilled | 74.8 % | 66.9 % | 77.3 % | 80.2 % |
# | distilled, only on the thirty images | 57.7 % | 54.4 % | 57.8 % | 60.9 % |
# | distilled, soft, T = 3 | 66.8 % | 54.4 % | 74.0 % | 72.0 % |
# | scratch, all 1,347 labels | 89.5 % | 86.7 % | 89.8 % | 92.0 % |
#
# Full gains 13.3 points over scratch, distilled 17.1: both targets are reached, in the mean and from each seed.

# %% [markdown]
# **Explain.** Read the picture from the right.
#
# - **All labels** stand far above everything: model and budget are good enough. What is missing is labels.
# - The **CNN** has the same thirty labels as scratch and is over 20 points better. It does not need to learn that neighbors belong together.
# - **Full** starts at about half of the digits right, without one label of handwriting, and thirty labels carry it far beyond scratch. **Frozen** can only re-mix what type has taught it; it stops early. A run of it takes about half as long as one of full: a step costs a third, and the four tests cost both the same.
# - **Distilled** never saw a label of yours. It comes out up to 12 points below its teacher, and once level with it: where the teacher's mistakes differ from image to image, a student that must find one rule for 1,347 images cannot follow each of them. On **only the thirty images** the same teacher is no help at all: there it says exactly what the labels say, so the run is scratch again, digit for digit. What counts is the pool.
# - **Hard** beats soft here, as DeiT reports for ImageNet. That is agreement, not proof: one temperature, three seeds, 100 steps.

# %% [markdown]
# ### Look: where does the class token look?
#
# Fine-tuning moved the weights. Did it move the attention? Each picture shows the last block's attention from the class token to the 16 patches, averaged over the heads, before (trained on type) and after (fine-tuned on thirty labels). The **Jensen-Shannon divergence** says how different two distributions are: 0 bits for the same, 1 bit for no overlap.


# %% explore=true
def class_attention(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Attention (B, rows, columns) from the class token to the patches in the last block, mean of the heads, sum 1."""
    caught: list[torch.Tensor] = []
    attention = model.blocks[-1].attn
    listener = attention.qkv.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    with torch.no_grad():
        model.eval()(images.to(profile.device()))
    listener.remove()
    query, key, _ = caught[0].cpu().unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    to_patches = weights[:, :, 0, 1:].mean(1)
    return (to_patches / to_patches.sum(-1, keepdim=True)).unflatten(1, model.patch_embed.grid_size)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Divergence in bits between distributions (B, n), (B, n)."""
    middle = (p + q) / 2
    return 0.5 * ((p * (p / middle).log2()).sum(-1) + (q * (q / middle).log2()).sum(-1))


before, after = (class_attention(model, x_test) for model in (start, models["full"]))
fig, axes = plt.subplots(2, 8, figsize=(12.5, 3.6))
for column in range(8):
    place = int((y_test == column).nonzero()[0])
    picture = x_test[place] * handwriting.std + handwriting.mean
    for ax, found, name in zip(axes[:, column], (before, after), ("before", "after")):
        plotting.attention_overlay(ax, picture, found[place], title=f"{name}" if column == 0 else "")
plt.show()
moved_by = {
    "start to full": jensen_shannon(before.flatten(1), after.flatten(1)).mean().item(),
    "start to frozen": jensen_shannon(before.flatten(1), class_attention(models["frozen"], x_test).flatten(1))
    .mean()
    .item(),
    "start to scratch": jensen_shannon(before.flatten(1), class_attention(models["scratch"], x_test).flatten(1))
    .mean()
    .item(),
}
for name, bits in moved_by.items():
    print(f"{name:>16}: {bits:.4f} bits on average over {len(x_test)} test images")
assert moved_by["start to full"] > 0 == round(moved_by["start to frozen"], 6)

# %% [markdown]
# **Explain.** Fine-tuning moves the attention a little, and only a little: it re-uses what type has taught. A frozen backbone attends exactly as before, which is a good test of your `set_regime`. A model from scratch looks elsewhere; it is another model.

# %% [markdown]
# ### Profiling corner: what does a step cost?
#
# A training step is a forward pass, a backward pass, and everything around them. In the backward pass each linear layer does two matrix products, one for the gradient of its weights and one for that of its input: so a full step costs about three forward passes.
#
# **Predict.** And a frozen step, where only the head learns?


# %% explore=true compare=true
def one_step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Forward and backward."""
    model.zero_grad()
    cross_entropy(model, images, labels).backward()


count_x, count_y = torch.zeros(32, 1, 8, 8), torch.zeros(32, dtype=torch.long)
counted = {}
for regime in ("full", "frozen"):
    model = tiny_vit(0)
    set_regime(model, regime)
    counted[regime] = profiling.flops(one_step, model, count_x, count_y)
with torch.no_grad():
    counted["forward"] = profiling.flops(tiny_vit(0), count_x)
rows = [
    {
        "what": what,
        "MFLOPs": f"{counted[key] / 1e6:.1f}",
        "forward passes": f"{counted[key] / counted['forward']:.2f}",
    }
    for what, key in (("forward alone", "forward"), ("step, full", "full"), ("step, frozen", "frozen"))
]
print(profiling.table(rows, title="tiny ViT, 32 images"))

# %% [markdown]
# Three, and one: below the head nothing needs a gradient, so autograd does not go there. (It is a little above three: the fused attention keeps no scores and computes them again in the backward pass, which outweighs that nobody asks for the gradient of the images.) FLOPs are not milliseconds:

# %% explore=true
bench_x, bench_y = checks.normal(seed=0)(32, 1, 8, 8), torch.arange(32) % 10
bench_model = tiny_vit(0)
one_step(bench_model, bench_x, bench_y)
bench_optimizer = torch.optim.AdamW(parameter_groups(bench_model, 0.05), lr=0.0)
bench_average = ModelEMA(bench_model, 0.99)
bench_frozen = tiny_vit(0)
set_regime(bench_frozen, "frozen")
bench_draw = torch.Generator().manual_seed(0)
light = bench_x.sigmoid()
pieces = {
    "forward and backward, full": lambda: one_step(bench_model, bench_x, bench_y),
    "forward and backward, frozen": lambda: one_step(bench_frozen, bench_x, bench_y),
    "optimizer step": bench_optimizer.step,
    "clipping": lambda: clip_gradients(bench_model.parameters(), 1.0),
    "moving average": lambda: bench_average.update(bench_model),
    "mixup of the batch": lambda: mixup(bench_x, bench_y, 10, 0.8, bench_draw),
    "cutmix of the batch": lambda: cutmix(bench_x, bench_y, 10, 1.0, bench_draw),
    "RandAugment, image by image": lambda: [rand_augment(image, 2, 0.5, bench_draw) for image in light],
}
rows = []
for what, piece in pieces.items():
    took = profiling.latency(piece, warmup=3, runs=15)
    rows.append({"piece": what, "median ms": took.p50_ms, "90 % below": took.p90_ms})
print(profiling.table(rows, title="one step of the tiny ViT, 32 images, on the CPU"))

# %% [markdown]
# **Explain.** Forward and backward are nearly all of a step. Among the rest, what runs image by image (RandAugment) or parameter by parameter (the optimizer, clipping, the average) takes longer than what treats the batch as one tensor (mixup, CutMix): at this size every operator costs mostly its own start. Libraries run those on whole lists of tensors (`torch._foreach_*`) and the augmentations in other processes. Measure before you believe that one of them is the slow part.

# %% [markdown]
# ### On a GPU: photographs
#
# The same functions train on photographs. With `PROFILE=gpu` the cells below train a ViT from scratch on CIFAR-10 (target: over 75 %), compare scratch, frozen and full on Food-101 (target: over 80 % in full), and let a convolutional network teach a ViT on CIFAR-100. (timm's `VisionTransformerDistilled` has two tokens before the patches. In train mode, too, it returns the mean of its two heads, unless you call `set_distilled_training(True)`; then it returns the pair that your `distillation_loss` takes.) With `PROFILE=cpu` they say so and do nothing, unless you have CIFAR-10 on disk and set `WORKBOOK_DATA`: then a small ViT trains on 5,000 photographs for about two minutes. `WORKBOOK_MINUTES` asks for more steps and more photographs.
#
# Older texts name three things that have moved. Mixed precision is `torch.autocast("cuda")`; `torch.cuda.amp.autocast` says that it is deprecated. Gradient checkpointing, which computes activations twice in place of keeping them, is `model.set_grad_checkpointing()` for a model of timm's, which has no `gradient_checkpointing_enable`. And timm's documentation is at [huggingface.co/docs/timm](https://huggingface.co/docs/timm), not at timm.fast.ai.

# %% explore=true measured="cifar10"
import os


def photographs(
    seed: int, images: int | None, tests: int | None, steps: int, batch: int, width: int, depth: int, mixing: bool
) -> tuple[float, float]:
    """Train a ViT (p = 4) on CIFAR-10 from scratch; test accuracy of the last weights and of their average.

    Images are moved and flipped; `mixing` adds mixup or CutMix, which pays in long runs only.
    """
    device = profile.device()
    train, test = datasets.cifar10(limit=images), datasets.cifar10(train=False, limit=tests)
    mean, std = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    x, y = ((train.x - mean) / std).to(device), train.y.to(device)
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=32, patch_size=4, num_classes=10, embed_dim=width, depth=depth, num_heads=width // 32,
        mlp_ratio=2.0, weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.5)
    model.to(device)
    average = ModelEMA(model, 0.998, warmup=True)

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        picked = torch.randint(len(x), (batch,), generator=generator).to(device)
        row, column = torch.randint(9, (2,), generator=generator).tolist()
        chosen = F.pad(x[picked], (4, 4, 4, 4))[:, :, row : row + 32, column : column + 32]
        flipped = (torch.rand(batch, generator=generator) < 0.5).to(device)
        chosen = torch.where(flipped[:, None, None, None], chosen.flip(-1), chosen)
        if not mixing:
            return chosen, y[picked]
        mixer, alpha = (mixup, 0.8) if torch.rand((), generator=generator) < 0.5 else (cutmix, 1.0)
        return mixer(chosen, y[picked], 10, alpha, generator)

    fit(
        model,
        draw,
        cross_entropy,
        steps=steps,
        base_lr=1e-3,
        seed=seed,
        after_step=lambda step: average.update(model),
    )
    x_new = (test.x - mean) / std
    return accuracy(model, x_new, test.y), accuracy(average.module, x_new, test.y)


if profile.current() is profile.Profile.GPU:
    last, averaged = photographs(0, None, None, steps=20_000, batch=256, width=192, depth=9, mixing=True)
    print(f"CIFAR-10 from scratch: {last:.1%}, averaged weights {averaged:.1%}, target over 75 %")
else:
    profile.not_measured(
        "CIFAR-10 from scratch, 20,000 steps of 256",
        "PROFILE=gpu workbook record --keep-nothing week03",
        target="over 75 %",
    )
    if datasets.on_disk("cifar10"):
        budget = profile.budget(minutes=2)
        images, steps = budget.scaled(5000, at_most=50_000), budget.scaled(600)
        last, averaged = photographs(budget.seed, images, 2000, steps, batch=64, width=64, depth=4, mixing=False)
        print(f"A small ViT, {images:,} photographs, {steps:,} steps of 64 (no target), on 2,000 others:")
        print(f"  right with the last weights {last:.1%}, with their average {averaged:.1%}")

# %% [markdown]
# **Explain.** What was measured is a small ViT that saw each photograph a few times: far above chance, which is 10 %, and far below the target. The target belongs to a model that is wider, deeper and trained for much longer, on a GPU; this run did not try it. The average of the weights was as good as the last weights, no better.


# %% [markdown]
# ### Three ways on large photographs
#
# The experiment with thirty labels, once more with a ViT-B/16 at 224 pixels: **scratch**, **frozen** and **full** on Food-101, five epochs each. Frozen and full start from ImageNet. You get the training loss and the test accuracy of each epoch, the time, and the class token's attention before and after. And you can give it **your own photographs**: set `WORKBOOK_IMAGES` to a folder with one folder for each class, or write its path into the cell.
#
# Below stands a distillation **from a convolutional network on photographs**, with your `distillation_loss`. Its teacher is a ResNet-50, pre-trained on ImageNet and fine-tuned on CIFAR-100. Its students are small ViTs with two heads that see CIFAR-100 at 32 pixels and start from nothing: one hears the labels alone, one also the teacher's best class (hard), one also all that the teacher says (soft). The last cell is *no* distillation of yours: it fine-tunes two published tiny models with labels, one of which was distilled on ImageNet before you got it.
#
# **With a GPU.** `PROFILE=gpu` runs the same cells at larger sizes. What they need, and what came out:
#
# | cells | data set | disk | GPU memory | time | result |
# | --- | --- | --- | --- | --- | --- |
# | CIFAR-10 from scratch (above) | CIFAR-10, 170 MB, downloaded; the publisher states no license | the data | *not measured yet* | *not measured yet* | *not measured yet* (target: over 75 %) |
# | three ways on Food-101 | Food-101, 5 GB and as much again unpacked, downloaded; photographs of people on Foodspotting, for scientific fair use only | 0.35 GB of weights to download, three times that to keep, and the data | *not measured yet* | *not measured yet* | *not measured yet* (target: full over 80 %) |
# | a ResNet teaches a ViT on CIFAR-100 | CIFAR-100, 169 MB, downloaded; the publisher states no license | 0.1 GB of weights, and the data | *not measured yet* | *not measured yet* | *not measured yet* (no target) |
# | two tiny checkpoints, fine-tuned with labels | CIFAR-100 | 0.05 GB of weights, and the data | *not measured yet* | *not measured yet* | *not measured yet* (no target) |
#
# `PROFILE=gpu workbook record --keep-nothing week03` measures all of them. Each run keeps its curves, its time and its memory in `kept/` beside this notebook, and its weights beside them; a second run reads them and draws. A shortage of memory is mended by a smaller `batch`.
#
# <details><summary>The same with Hugging Face's Trainer</summary>
#
# Here every line of the loop is yours. Hugging Face's guide [Image classification](https://huggingface.co/docs/transformers/tasks/image_classification) fine-tunes a ViT on Food-101, too, with a library that owns the loop. When you read it, look for the pieces of this week: which of them does it set for you, and to what?
#
# </details>


# %% explore=true
from shared.weights import fetching_weights


def pretrained(name: str, classes: int) -> nn.Module:
    """A model of timm's with pre-trained weights and a new head."""
    with fetching_weights(name, f"timm/{name}"):
        return timm.create_model(name, pretrained=True, num_classes=classes).to(profile.device())


def loop_over(dataset: torch.utils.data.Dataset, batch: int) -> Callable:
    """Batches from a data set that opens its images one by one, without end."""
    loader = torch.utils.data.DataLoader(
        dataset, batch, shuffle=True, drop_last=True, num_workers=min(16, os.cpu_count() or 1), persistent_workers=True
    )

    def forever() -> Iterable[list[torch.Tensor]]:
        while True:
            yield from loader

    source = iter(forever())

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        return tuple(part.to(profile.device(), non_blocking=True) for part in next(source))

    return draw


class Transformed(torch.utils.data.Dataset):
    """Images in memory, each changed anew whenever it is asked for."""

    def __init__(self, data: datasets.LabeledImages, change: Callable) -> None:
        self.data, self.change = data, change

    def __len__(self) -> int:
        return len(self.data.y)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        return self.change((255 * self.data.x[place]).byte()), int(self.data.y[place])


def photo_sets(folder: str, size: int = 224) -> tuple[torch.utils.data.Dataset, torch.utils.data.Dataset, int]:
    """Photographs to learn from, augmented, and others for the test, and the number of classes; "" is Food-101."""
    from torchvision.transforms import v2

    numbers = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    change = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), v2.RandAugment(2, 7), *numbers])
    plain = v2.Compose([v2.Resize(size * 8 // 7), v2.CenterCrop(size), *numbers])
    if not folder:
        return datasets.food101(transform=change), datasets.food101(train=False, transform=plain), 101
    train, test = (datasets.image_folder(folder, size * 8 // 7, train=which) for which in (True, False))
    return Transformed(train, change), Transformed(test, plain), len(train.classes)


def share_right(model: nn.Module, dataset: torch.utils.data.Dataset) -> float:
    """Test accuracy in eval mode; every module is left in the mode it came in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in torch.utils.data.DataLoader(dataset, 256, num_workers=min(16, os.cpu_count() or 1)):
            right += (model(images.to(profile.device())).argmax(-1).cpu() == labels).sum().item()
    for module, training in modes:
        module.training = training
    return right / len(dataset)


def epochs_of(
    model: nn.Module, batch: Callable, right: Callable[[], float], per_epoch: int, epochs: int, base_lr: float,
    loss: Callable = cross_entropy,
) -> dict[str, list[float]]:  # fmt: skip
    """Train for some epochs of `per_epoch` steps: training loss and seconds of each, test accuracy also before the first.

    The seconds are those of training alone, without the tests.
    """
    import time

    history: dict[str, list[float]] = {"train loss": [], "seconds": [], "test accuracy": [right()]}
    losses: list[torch.Tensor] = []
    progress = iter(profile.track(range(per_epoch * epochs), "training"))
    began = [time.perf_counter()]

    def counted(generator: torch.Generator) -> tuple:
        next(progress)
        return batch(generator)

    def noted(model: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
        value = loss(model, *inputs)
        losses.append(value.detach())
        return value

    def watch(step: int) -> None:
        if (step + 1) % per_epoch == 0:
            history["train loss"].append(torch.stack(losses).mean().item())  # waits for the GPU
            history["seconds"].append(time.perf_counter() - began[0])
            history["test accuracy"].append(right())
            losses.clear()
            began[0] = time.perf_counter()

    fit(model, counted, noted, steps=per_epoch * epochs, base_lr=base_lr, seed=0, after_step=watch)
    return history


def way_on_photographs(way: str, folder: str, epochs: int, batch: int = 128, watched: int = 48) -> dict:
    """Train a ViT-B/16 from scratch, frozen or in full; its curves, its attention before and after, its weights."""
    train, test, classes = photo_sets(folder)
    torch.manual_seed(0)
    name = "vit_base_patch16_224.augreg2_in21k_ft_in1k"
    if way == "scratch":
        model = timm.create_model(name, num_classes=classes).to(profile.device())
    else:
        model = pretrained(name, classes)
    chosen = range(0, len(test), max(1, len(test) // watched))
    pictures = torch.stack([test[place][0] for place in chosen][:watched])
    before = class_attention(model, pictures)
    set_regime(model, way)
    rate = {"scratch": 3e-4, "frozen": 1e-3, "full": 3e-5}[way]
    steps = max(1, len(train) // batch)
    found = epochs_of(model, loop_over(train, batch), lambda: share_right(model, test), steps, epochs, rate)
    maps = {"before": before, "after": class_attention(model, pictures)}
    return found | {"pictures": pictures[:6], "attention": maps, "weights": model.state_dict()}


def draw_curves(runs: dict[str, dict], title: str) -> None:
    """Training loss by epoch, and test accuracy by epoch and by minutes of training, of each run."""
    _, axes = plt.subplots(1, 3, figsize=(13.5, 3.7))
    for (name, run), style in zip(runs.items(), ("-", "--", "-.", ":")):
        epochs = range(len(run["test accuracy"]))
        minutes = np.cumsum([0, *run["seconds"]]) / 60
        axes[0].plot(epochs[1:], run["train loss"], style, marker="o", markersize=4, label=name)
        axes[1].plot(epochs, run["test accuracy"], style, marker="o", markersize=4, label=name)
        axes[2].plot(minutes, run["test accuracy"], style, marker="o", markersize=4, label=name)
    told = (("epoch", "cross-entropy (nats)", "training loss"), ("epoch", "share right", "test accuracy"),
            ("minutes of training", "share right", "accuracy against time"))  # fmt: skip
    for ax, (xlabel, ylabel, what) in zip(axes, told):
        ax.set(xlabel=xlabel, ylabel=ylabel, title=f"{title}: {what}")
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=9)
    plt.show()


def draw_attention(run: dict, title: str) -> None:
    """The class token's attention on six photographs, before and after, and how far it moved on all that were watched."""
    maps = run["attention"]
    _, axes = plt.subplots(2, len(run["pictures"]), figsize=(2.1 * len(run["pictures"]), 4.6), squeeze=False)
    for line, (when, found) in zip(axes, maps.items()):
        for column, ax in enumerate(line):
            picture = (run["pictures"][column] + 1) / 2
            plotting.attention_overlay(ax, picture, found[column], title=f"{title}, {when}" if column == 0 else "")
    plt.show()
    bits = jensen_shannon(maps["before"].flatten(1), maps["after"].flatten(1)).mean().item()
    print(f"{title}: the attention moved by {bits:.3f} bits on average over {len(maps['before'])} test photographs")


def compare_ways(runs: dict[str, dict], title: str) -> None:
    """The table of the report: accuracy, time, and how soon a run came near its end."""
    rows = []
    for name, run in runs.items():
        seen = run["test accuracy"]
        near = next(epoch for epoch, share in enumerate(seen) if share >= seen[-1] - 0.02)
        rows.append(
            {"way": name, "before": f"{seen[0]:.1%}", "after": f"{seen[-1]:.1%}", "epochs": len(seen) - 1,
             "minutes": f"{sum(run['seconds']) / 60:.1f}", "within 2 points of its end from epoch": near}
        )  # fmt: skip
    print(profiling.table(rows, title=f"{title}, test accuracy"))


def three_ways(name: str, folder: str, epochs: int, measure: bool) -> None:
    """Scratch, frozen and full on one set of photographs: measured, or read where that was done before, and drawn."""
    from pathlib import Path

    runs = {}
    files = sum(1 for _ in Path(folder).expanduser().rglob("*")) if folder else 0
    for way in ("scratch", "frozen", "full"):
        settings = {"model": "ViT-B/16", "data": folder or "Food-101", "files": files, "epochs": epochs, "batch": 128}
        compute = (lambda way=way: way_on_photographs(way, folder, epochs)) if measure else None
        if found := kept.results(f"kept/{name}_{way}.json", settings, compute):
            runs[way] = found
    if not runs:
        profile.not_measured(
            f"{folder or 'Food-101'}, a ViT-B from scratch, frozen and in full",
            "PROFILE=gpu workbook record --keep-nothing week03",
            target="over 80 % in full",
        )
        return
    draw_curves(runs, name)
    compare_ways(runs, name)
    for way in ("scratch", "full"):  # with frozen weights attention cannot move
        if way in runs:
            draw_attention(runs[way], way)


from shared import kept

ON_GPU = profile.current() is profile.Profile.GPU
three_ways("food101", "", epochs=5, measure=ON_GPU)
MY_IMAGES = os.environ.get("WORKBOOK_IMAGES", "")  # or write here: your folder, with a folder for each class
if MY_IMAGES:
    three_ways("my_images", MY_IMAGES, epochs=5, measure=ON_GPU)

# %% explore=true
from timm.models.deit import VisionTransformerDistilled


def enlarged(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images at another size, for models that were trained on large ones."""
    return F.interpolate(images, size=(size, size), mode="bilinear")


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A batch of 32 x 32 pixels, moved by up to 4 pixels, half of it flipped."""
    row, column = torch.randint(9, (2,), generator=generator).tolist()
    moved_images = F.pad(images, (4, 4, 4, 4))[:, :, row : row + 32, column : column + 32]
    flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(flipped[:, None, None, None], moved_images.flip(-1), moved_images)


def two_headed(seed: int, classes: int, width: int, depth: int) -> VisionTransformerDistilled:
    """DeiT's student for 32 x 32 pixels: in train mode it gives the pair (class head, distillation head)."""
    torch.manual_seed(seed)
    model = VisionTransformerDistilled(
        img_size=32, patch_size=4, num_classes=classes, embed_dim=width, depth=depth, num_heads=width // 32,
        mlp_ratio=2.0, weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.5)
    model.set_distilled_training(True)
    return model.to(profile.device())


def taught_by_a_cnn(
    name: str, size: int, teacher_epochs: int, epochs: int, width: int, depth: int, batch: int = 128
) -> dict[str, dict]:
    """A CNN of timm's learns CIFAR-100 and teaches small ViTs; curves of the teacher and of each student, all weights."""
    train, test = datasets.cifar100(), datasets.cifar100(train=False)
    mean, std = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    x, y, x_new = ((train.x - mean) / std).to(profile.device()), train.y.to(profile.device()), (test.x - mean) / std
    classes, per_epoch = len(train.classes), max(1, len(x) // batch)

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        picked = torch.randint(len(x), (batch,), generator=generator).to(x.device)
        return moved(x[picked], generator), y[picked]

    def learned(model: nn.Module, loss: Callable, rate: float, count: int, side: int) -> dict:
        right = lambda: accuracy(nn.Sequential(Enlarge(lambda part: enlarged(part, side)), model), x_new, test.y)  # noqa: E731
        return epochs_of(model, draw, right, per_epoch, count, rate, loss)

    torch.manual_seed(0)
    teacher = pretrained(name, classes)
    teach = lambda model, images, labels: cross_entropy(model, enlarged(images, size), labels)  # noqa: E731
    found = {"teacher, " + name.partition(".")[0]: learned(teacher, teach, 3e-4, teacher_epochs, size)}
    weights = {"teacher": teacher.eval().state_dict()}

    def hearing_both(mode: str) -> Callable:
        def loss(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                told = teacher(enlarged(images, size))
            return distillation_loss(model(images), told, labels, mode, alpha=0.5, temperature=3.0)

        return loss

    def by_labels(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return sum(F.cross_entropy(head, labels) for head in model(images)) / 2

    for way, loss in {"labels": by_labels, "hard": hearing_both("hard"), "soft": hearing_both("soft")}.items():
        student = two_headed(0, classes, width, depth)
        found[f"student, {way}"] = learned(student, loss, 1e-3, epochs, 32)
        weights[way] = student.state_dict()
    return {"runs": found} | {f"weights {who}": state for who, state in weights.items()}


def small_models(steps: int, batch: int = 128) -> dict[str, float]:
    """Fine-tune two tiny models with labels on CIFAR-100 at 224 pixels; test accuracies. Nothing is distilled here.

    One of them, DeiT's, was distilled on ImageNet by those who published it, and has a second token for that.
    """
    train, test = datasets.cifar100(), datasets.cifar100(train=False)

    def prepared(images: torch.Tensor) -> torch.Tensor:
        return enlarged((images - 0.5) / 0.25, 224)

    found = {}
    for name in ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"):
        torch.manual_seed(0)
        model = pretrained(name, 100)
        set_regime(model, "full")
        plain = labeled_batches(train.x, train.y, size=batch, noise=0.0)

        def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return cross_entropy(model, prepared(x), y)

        fit(model, plain, loss, steps=steps, base_lr=1e-4, seed=0)
        found[name] = accuracy(nn.Sequential(Enlarge(prepared), model), test.x, test.y)
    return found


class Enlarge(nn.Module):
    """A function as a module."""

    def __init__(self, change: Callable) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(x)


lesson = {"name": "resnet50.a1_in1k", "size": 224, "teacher_epochs": 3, "epochs": 30, "width": 192, "depth": 9}
if taught := kept.results(
    "kept/cifar100_taught_by_a_cnn.json", lesson, (lambda: taught_by_a_cnn(**lesson)) if ON_GPU else None
):
    draw_curves({name: run for name, run in taught["runs"].items() if name.startswith("student")}, "CIFAR-100")
    compare_ways(taught["runs"], "CIFAR-100")
else:
    profile.not_measured(
        "CIFAR-100, a ResNet-50 teaches a small ViT",
        "PROFILE=gpu workbook record --keep-nothing week03",
        target="none, a comparison of labels, hard and soft",
    )
tiny = {"steps": 2000}
if shares := kept.results("kept/cifar100_tiny_models.json", tiny, (lambda: small_models(**tiny)) if ON_GPU else None):
    for name, share in shares.items():
        print(f"CIFAR-100, fine-tuned with labels, {name}: {share:.1%}")
else:
    profile.not_measured(
        "CIFAR-100, two tiny checkpoints fine-tuned with labels",
        "PROFILE=gpu workbook record --keep-nothing week03",
        target="none, a comparison",
    )

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.9))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.05, 0.95, 1.5))
ax = left.subplots()
rates = [warmup_cosine(step, 150, 15, 2e-3) for step in range(151)]
ax.plot(rates)
ax.fill_between(range(16), rates[:16], alpha=0.25)
ax.text(17, 0.0003, "warm-up", fontsize=11)
ax.set(xlabel="step", ylabel="learning rate", title="up in a line, down along a cosine")
ax = middle.subplots()
one = handwriting.x_train[[int((handwriting.y_train == k).nonzero()[0]) for k in (3, 7)]]
mixed, soft = cutmix(one, torch.tensor([3, 7]), 10, 1000.0, torch.Generator().manual_seed(5))
ax.imshow(mixed[0, 0], cmap="gray")
told = [f"{share:.0%} of a {k}" for k, share in enumerate(soft[0].tolist()) if share > 0]
ax.set(xticks=[], yticks=[], title="CutMix: " + ", ".join(told))
ax = right.subplots()
for way in ("scratch", "full", "distilled"):
    curves = np.array(by_way[way])
    steps_shown = range(25, 101, 25)
    (line,) = ax.plot(steps_shown, curves.mean(0), label=way)
    ax.fill_between(steps_shown, curves.min(0), curves.max(0), alpha=0.2, color=line.get_color())
ax.set(xlabel="step", ylabel="test accuracy", title=f"thirty labels, {how_many}")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## Takeaways
#
# - A recipe is small decisions: matrices decay and the rest does not; the rate warms up, then falls; a long gradient is shortened as a whole.
# - The first steps need a small learning rate. Clipping helps on top of warm-up and does not replace it; look at the norms before you choose a limit.
# - Every augmentation is a claim about the label. CutMix helped with thirty labels and cost points with all of them; a shift of one pixel at 8 x 8 always lost.
# - Soft labels follow the pixels: count what was pasted, not what was planned.
# - Pre-training on something similar, or a teacher on unlabeled images, was worth more than any augmentation here. The teacher helps where it says something that the labels do not.
# - Frozen means parameters **and** buffers. Prove it bit for bit.
# - Look at the start of your baseline before you believe that your method beats it.
# - Next week the blocks themselves change: windows, pyramids, and attention without the square.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="report" points=6 minutes=45
# **W1. Training report (6 points).** For a reader who must choose between scratch, frozen, full and distilled. Put the accuracy curves of scratch, frozen and full into one figure. Give a table with their final accuracy, the seconds of a run, and the step from which each stays near its end. Then say why transfer beats scratch here, when it would not, and what you recommend to whom. Speak about features, the number of labels, the gap between type and handwriting, and time. (If a GPU has measured photographs for you, compare.)
#
# ### BEGIN SOLUTION
# One point each.
# - Curves and convergence: one figure of the three ways with its budget; frozen is near its end soonest and stops there, full begins at the same level, takes longer and ends higher, scratch begins at chance and takes longest (seed 0: steps 25, 50 and 75).
# - Final accuracy, honestly: means and range over seeds, from the table in the text or from an own run with `SEEDS = 3`, not one lucky run; full above scratch, frozen between them or level with scratch.
# - Time: seconds of a run, full against frozen; a frozen step costs about one forward pass instead of three (own table), and its features can be stored; pre-training costs 150 steps once, so it pays when it is used more than once or labels are dear.
# - Why transfer helps: strokes, bends and their places learned on type serve handwriting as well; the start without a label is already about half right, and thirty labels cannot teach that.
# - When it does not: with all 1,347 labels scratch reaches over 90 % and the gain shrinks; type is not handwriting, frozen cannot close that gap; with an unrelated source the gain would vanish or turn negative; a badly started baseline makes any transfer look good.
# - Recommendation: scratch with many labels or no related source; frozen with very few labels, little time, a close source; full with a moderate number; distilled with a good teacher and an unlabeled pool.
# ### END SOLUTION

# %% [markdown] written="data-hunger" points=5
# **W2. Why do ViTs need more data than CNNs (5 points)?** Use the two rows "scratch" and "small CNN" and the experiment with the size of the positions.
#
# ### BEGIN SOLUTION
# 1 point: a convolution assumes that neighbors belong together (locality).
# 1 point: and that a pattern means the same everywhere (shared weights, translation equivariance).
# 1 point: a ViT has neither: only the patches and the embedding know about neighborhoods; positions and their relations must be learned.
# 1 point: numbers: CNN against scratch at thirty labels; with all labels the gap nearly closes.
# 1 point: part of the "hunger" is the recipe: with positions of 0.02 the same data give a much worse result in 100 steps, so a comparison needs a fair start.
# ### END SOLUTION

# %% [markdown] written="stability" points=5
# **W3. What keeps a run stable (5 points)?** Which settings of this week mattered most for stability? Support each with one of your curves or numbers, and say why a gradient that is ten times as long in *every* step matters to SGD and hardly to Adam.
#
# ### BEGIN SOLUTION
# 1 point: the learning rate first (0.01 against 0.002).
# 1 point: warm-up: loss of the two hot runs in the first and the last ten steps.
# 1 point: the start (positions of 0.02 or 0.5): curves.
# 1 point: clipping: the table of four runs; it helps with warm-up and does not rescue the cold start; nearly all norms lie above the limit, so here it acts in nearly every step.
# 1 point: Adam divides by the root of the averaged squared gradient, so a common factor on all gradients nearly cancels, while SGD's step is proportional to the gradient. What differs from step to step (a spike, clipping) does not cancel, because the average remembers other steps.
# ### END SOLUTION

# %% [markdown] written="teacher" points=4
# **W4. Why does the teacher help (4 points)?** Why does a CNN's word about unlabeled images help a ViT, and why does it not help on the thirty labeled images alone? Could the student end up better than its teacher?
#
# ### BEGIN SOLUTION
# 1 point: the teacher labels 1,347 images, so the student trains on 45 times as many; most of those labels are right.
# 1 point: the teacher's answers carry its inductive bias (locality) into the student.
# 1 point: on the thirty images the teacher, trained on them, says what the labels say: nothing new (own row).
# 1 point: yes: hard labels with independent mistakes are noisy labels, and a smooth student averages the noise; it cannot correct mistakes that the teacher makes always. Numbers from the own table.
# ### END SOLUTION
