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
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. One rule holds for all exercises: a function leaves its arguments as they are, unless its docstring says that it changes them. After you hand in, hidden tests check the same ideas on other inputs.
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


# %% test="groups" points=5
class Sample(nn.Module):
    """A model with one of each: a matrix, a bias, a norm, a class token, positions."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.linear = nn.Linear(4, 3)
        self.norm = nn.LayerNorm(3)


def decay_by_name(fn: Callable, model: nn.Module, *rest: object) -> dict:
    """Name of each parameter -> the weight decays of all groups that it is in."""
    names = {id(p): name for name, p in model.named_parameters()}
    found: dict = {name: [] for name in names.values()}
    for group in fn(model, *rest):
        for p in group["params"]:
            found.setdefault(names.get(id(p), "what is no parameter of the model"), []).append(
                float(group["weight_decay"])
            )
    return found


with checks.step("parameter_groups(model, 0.05)"):
    found = checks.beside(decay_by_name, parameter_groups, Sample(), 0.05)
    twice = "it is in more than one group"
    checks.equal(found["linear.weight"], [0.05], "the weight decay of linear.weight", causes={
        "a matrix is the one thing that decays": [0.0],
        "it is in no group, so no optimizer will train it": [],
        twice: lambda: len(found["linear.weight"]) > 1,
    })  # fmt: skip
    for name, why in (
        ("linear.bias", "a bias does not decay"),
        ("norm.weight", "the scale of a norm does not decay: it has one dimension"),
        ("norm.bias", "the shift of a norm does not decay"),
        ("cls_token", "the class token is named in no_decay"),
        ("pos_embed", "positions are named in no_decay"),
    ):
        checks.equal(found[name], [0.0], f"the weight decay of {name}", causes={
            why: [0.05],
            f"{name} is in no group, so no optimizer will train it": [],
            twice: lambda: len(found[name]) > 1,
        })  # fmt: skip
    checks.that(len(found) == 6, "only parameters of the model are in the groups", came=f"{list(found)}")


def kinds_of_params(fn: Callable, model: nn.Module) -> list[str]:
    """The type of "params" in each group."""
    return [type(group["params"]).__name__ for group in fn(model, 0.05)]


with checks.step("the parameters of each group"):
    kinds = checks.beside(kinds_of_params, parameter_groups, Sample())
    checks.that(set(kinds) == {"list"}, 'each "params" is a list', came=", ".join(kinds))


def after_a_step(fn: Callable, model: nn.Module, weight_decay: float) -> dict:
    """Name of each parameter -> its numbers after one step of plain gradient descent at rate 0.5, gradients all 1."""
    optimizer = torch.optim.SGD(fn(model, weight_decay), lr=0.5)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return {name: p.detach() for name, p in model.named_parameters()}


with checks.step("one step of an optimizer, weight decay 0.2, from numbers that are new in every run"):
    filled = Sample()
    randn = checks.normal(checks.fresh_seed())
    with torch.no_grad():
        for p in filled.parameters():
            p.copy_(randn(*p.shape))
    start = {name: p.detach().clone() for name, p in filled.named_parameters()}
    moved = checks.beside(after_a_step, parameter_groups, copy.deepcopy(filled), 0.2)
    checks.equal(sorted(moved), sorted(start), "the names of the parameters")
    for name, old in start.items():
        pull = 0.2 * old if name == "linear.weight" else 0.0
        checks.close(moved[name], old - 0.5 * (1.0 + pull), f"{name} after the step")

with checks.step("linear.weight is frozen"):
    partly = Sample()
    partly.linear.weight.requires_grad_(False)
    found = checks.beside(decay_by_name, parameter_groups, partly, 0.05)
    checks.equal(found["linear.weight"], [], "the weight decay of the frozen parameter", causes={
        "a frozen parameter was not left out": lambda: len(found["linear.weight"]) > 0,
    })  # fmt: skip
    checks.equal(found["linear.bias"], [0.0], "the weight decay of linear.bias")


# %% test="groups" points=5
def decay_by_name(fn: Callable, model: nn.Module, *rest: object) -> dict:
    """Name of each parameter -> the weight decays of all groups that it is in."""
    names = {id(p): name for name, p in model.named_parameters()}
    found: dict = {name: [] for name in names.values()}
    for group in fn(model, *rest):
        for p in group["params"]:
            found.setdefault(names.get(id(p), "what is no parameter of the model"), []).append(
                float(group["weight_decay"])
            )
    return found


def timm_groups(model: nn.Module, weight_decay: float, names: tuple) -> list:
    return param_groups_weight_decay(model, weight_decay, no_weight_decay_list=names)


with checks.step("against timm's param_groups_weight_decay, on a ViT"):
    theirs = decay_by_name(timm_groups, tiny_vit(0), 0.3, ("pos_embed", "cls_token"))
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.3)
    for name, wanted in theirs.items():
        checks.equal(mine[name], wanted, f"the weight decay of {name}")


def trained_tensors(fn: Callable, model: nn.Module) -> int:
    """How many tensors an optimizer has moved after one step."""
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(fn(model, 0.1), lr=1e-3)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return sum(not torch.equal(p, old) for p, old in zip(model.parameters(), before))


with checks.step("the groups as they go into an optimizer"):
    count = len(list(tiny_vit(0).parameters()))
    checks.equal(checks.beside(trained_tensors, parameter_groups, tiny_vit(0)), count, "the number of trained tensors")


### BEGIN HIDDEN TESTS
class Wrapped(nn.Module):
    """A ViT inside another model, with names that look alike, a bias with two dimensions, and a shared matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = tiny_vit(1)
        self.pos_embed_mlp = nn.Linear(4, 4)
        self.rope = nn.Module()
        self.rope.bias = nn.Parameter(torch.zeros(3, 5))
        self.rope.relative_position_bias = nn.Parameter(torch.zeros(7, 2))
        self.layer_scale = nn.Module()
        self.layer_scale.gamma = nn.Parameter(torch.full((4,), 1e-4))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.batch_norm = nn.BatchNorm2d(3)
        self.bias_scorer, self.norm_mixer, self.embed = nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(5, 4)
        self.cls_token, self.old_pos_embed = nn.Linear(4, 4), nn.Parameter(torch.zeros(3, 4))
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight


with checks.step("a ViT inside another model, against timm with full names"):
    full = ("backbone.pos_embed", "backbone.cls_token")
    theirs = decay_by_name(timm_groups, Wrapped(), 0.05, full)
    mine = checks.beside(decay_by_name, parameter_groups, Wrapped(), 0.05)
    for name, why in (
        ("backbone.pos_embed", "only the last part of the name counts: these are the positions of a part"),
        ("backbone.cls_token", "only the last part of the name counts: this is the class token of a part"),
        ("pos_embed_mlp.weight", "pos_embed is a piece of this name, but its last part is weight"),
        ("rope.bias", "a bias with two dimensions is a bias"),
        ("layer_scale.gamma", "a scale that is no norm's has one dimension, too"),
        ("logit_scale", "a single number has no dimension at all, so at most one"),
        ("bias_scorer.weight", "bias is a piece of this name, but it does not end in it"),
        ("norm_mixer.weight", "norm is a piece of this name, but nobody asked for it: a matrix decays"),
        ("embed.weight", "a table of embeddings is a matrix: only the names in no_decay are spared"),
        ("cls_token.weight", "cls_token is the name of a part here; the last part of the name is weight"),
        ("old_pos_embed", "the name ends in pos_embed, but its last part is old_pos_embed"),
        ("first.weight", "a matrix that two layers share is in more than one group, or twice in one"),
    ):
        other = [0.0] if theirs[name] == [0.05] else [0.05]
        checks.equal(mine[name], theirs[name], f"the weight decay of {name}", causes={
            why: other if name != "first.weight" else lambda: len(mine["first.weight"]) > 1,
        })  # fmt: skip
    what = "rope.relative_position_bias"  # timm asks for ".bias" and lets it decay
    checks.equal(mine[what], [0.0], f"the weight decay of {what}", causes={
        "its name ends in bias; the last part need not be bias": [0.05],
    })  # fmt: skip
    differ = [name for name in theirs if mine[name] != theirs[name] and name != what]
    checks.that(not differ, "every other parameter decays as timm says", came=f"other decays for {differ}")

with checks.step("another list of names"):
    theirs = decay_by_name(timm_groups, tiny_vit(0), 0.05, ("cls_token",))
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ("cls_token",))
    checks.equal(mine["pos_embed"], theirs["pos_embed"], "the weight decay of pos_embed, which is not in the list", causes={
        "the names are built in; `no_decay` was not read": lambda: (
            checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ("weight",))["head.weight"] == [0.05]
        ),
    })  # fmt: skip

with checks.step("a list of names that names no parameter"):
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ())
    checks.equal([mine["pos_embed"], mine["cls_token"]], [[0.05], [0.05]], "the weight decays of positions and token")


def grouped(fn: Callable, model: nn.Module) -> dict:
    """What the call leaves of a model: numbers, gradients, modes, flags; and how many groups it gives."""
    return unchanged.asked(lambda asked: len(fn(asked, 0.05)), model)


with checks.step("the model after the call"):
    checks.as_found(checks.beside(grouped, parameter_groups, tiny_vit(0)))

with checks.step("a backbone that is frozen"):
    frozen = tiny_vit(0).requires_grad_(False)
    frozen.head.requires_grad_(True)
    found = checks.beside(decay_by_name, parameter_groups, frozen, 0.05)
    came = sorted(name for name, decays in found.items() if decays)
    checks.equal(came, ["head.bias", "head.weight"], "the parameters in the groups")


def with_old_gradients(fn: Callable, model: nn.Module) -> dict:
    """As `decay_by_name`, for a model that was frozen after a backward pass, so its gradients are still there."""
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    return decay_by_name(fn, model.requires_grad_(False), 0.05)


with checks.step("a model that was frozen after a backward pass"):
    found = checks.beside(with_old_gradients, parameter_groups, tiny_vit(0))
    came = sorted(name for name, decays in found.items() if decays)
    checks.equal(came, [], "the parameters in the groups", causes={
        "a gradient that was left over does not make a frozen parameter learn": lambda: len(came) > 0,
    })  # fmt: skip
### END HIDDEN TESTS

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

# %% test="schedule" points=8
with checks.step("10 steps, 4 of them warm-up, base 0.8, by hand"):
    rates = [warmup_cosine(step, 10, 4, 0.8) for step in range(11)]
    checks.that(isinstance(rates[0], float), "the result is a float", came=type(rates[0]).__name__)
    rates = torch.tensor([float(rate) for rate in rates], dtype=torch.float64)
    checks.close(rates[:4], torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64), "the warm-up", causes={
        "step 0 has the rate 0 and is lost: count this step, (s + 1) / w": torch.tensor(
            [0.0, 0.2, 0.4, 0.6], dtype=torch.float64
        ),
    })  # fmt: skip
    from_zero = torch.tensor([0.4 * (1 + math.cos(math.pi * s / 10)) for s in (4, 7, 10)], dtype=torch.float64)
    checks.close(
        rates[[4, 7, 10]], torch.tensor([0.8, 0.4, 0.0], dtype=torch.float64), "steps 4, 7 and 10", causes={
            "the cosine is measured from step 0; it starts at the end of the warm-up": from_zero,
        },
    )  # fmt: skip

with checks.step("the same with min_lr = 0.2"):
    rates = torch.tensor([float(warmup_cosine(s, 10, 4, 0.8, 0.2)) for s in (3, 7, 10)], dtype=torch.float64)
    checks.close(rates, torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64), "steps 3, 7 and 10", causes={
        "min_lr is a floor under the cosine, not its end: (base - min) was not scaled": torch.tensor(
            [0.8, 0.4, 0.2], dtype=torch.float64
        ),
        "min_lr was added on top of the whole cosine": torch.tensor([0.8, 0.6, 0.2], dtype=torch.float64),
    })  # fmt: skip

with checks.step("what does not fit"):
    checks.raises(ValueError, warmup_cosine, 0, 10, 12, 0.1, name="12 warm-up steps of 10")
    checks.raises(ValueError, warmup_cosine, -1, 10, 2, 0.1, name="step -1")


### BEGIN HIDDEN TESTS
def torch_schedule(total: int, warmup: int, base: float, low: float) -> torch.Tensor:
    """The rates of steps 0 ... total, from torch's own schedulers."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=low)
    if warmup > 1:  # with one step of warm-up, and with none, the first rate is the base rate
        line = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, scheduler], milestones=[warmup])
    rates = []
    for _ in range(total + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)


for total, warmup, base, low in (
    (12, 5, 1.0, 0.0),
    (9, 2, 3e-4, 1e-5),
    (7, 0, 0.5, 0.1),
    (30, 29, 1.0, 0.0),
    (12, 8, 0.1, 0.04),
):
    with checks.step(f"against torch's schedulers, {total} steps, warm-up {warmup}, {base} to {low}"):
        came = torch.tensor([float(warmup_cosine(s, total, warmup, base, low)) for s in range(total + 1)]).double()
        wanted = torch_schedule(total, warmup, base, low)
        straight = torch.cat([wanted[:warmup], torch.linspace(base, low, total - warmup + 1).double()])
        checks.close(came, wanted, "the rates", rtol=1e-5, atol=1e-9, causes={
            "the rate falls along a straight line, not along a cosine": straight,
        })  # fmt: skip

with checks.step("after the last step"):
    rates = [round(float(warmup_cosine(s, 10, 2, 0.8, 0.1)), 6) for s in (10, 11, 14, 18, 100)]
    checks.that(
        max(abs(rate - 0.1) for rate in rates) < 1e-9,
        "the rate stays at min_lr",
        came=f"{rates} at steps 10, 11, 14, 18 and 100",
        causes={
            "the cosine rises again: the progress must stop at 1": lambda: all(
                abs(rate - 0.1 - 0.35 * (1 + math.cos(math.pi * (step - 2) / 8))) < 1e-5
                for rate, step in zip(rates, (10, 11, 14, 18, 100), strict=True)
            )
        },
    )

with checks.step("in the warm-up, along the cosine, and after it, from the defaults"):
    rates = [warmup_cosine(s, 10, 4, 0.8) for s in (0, 5, 10, 14)]
    kinds = [type(rate).__name__ for rate in rates]
    checks.that(all(isinstance(rate, float) for rate in rates), "each rate is a float", came=", ".join(kinds))

with checks.step("the rate never rises after the warm-up"):
    rates = [float(warmup_cosine(s, 50, 10, 1.0, 0.02)) for s in range(9, 60)]
    checks.that(rates == sorted(rates, reverse=True), "each rate is at most the one before", came=f"{rates}")

with checks.step("as many warm-up steps as steps"):
    checks.raises(ValueError, warmup_cosine, 3, 10, 10, 0.1, name="10 warm-up steps of 10")
    checks.raises(ValueError, warmup_cosine, 20, 10, 12, 0.1, name="12 warm-up steps of 10, asked for step 20")

with checks.step("a negative number of warm-up steps"):
    checks.raises(ValueError, warmup_cosine, 3, 10, -1, 0.1, name="warmup=-1")
### END HIDDEN TESTS

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


# %% test="clip" points=6 forbids="torch.nn.utils.clip_grad_norm_, torch.nn.utils.get_total_norm, torch.nn.utils.clip_grads_with_norm_"
def clipped(fn: Callable, gradients: list, max_norm: float, lazy: bool = False) -> tuple:
    """The result of `fn`, the gradients after it, and whether the weights are as before; None: no gradient."""
    params = [nn.Parameter(torch.ones(3) if g is None else torch.ones_like(g)) for g in gradients]
    for p, g in zip(params, gradients):
        p.grad = None if g is None else g.clone()
    result = fn((p for p in params) if lazy else params, max_norm)
    return result, [p.grad for p in params], all(bool((p == 1).all()) for p in params)


with checks.step("gradients (1, 2, 2) and (4), max_norm = 1, by hand"):
    # the lengths are 3 and 4, so all together sqrt(9 + 16) = 5
    given = [torch.tensor([1.0, 2.0, 2.0]), torch.tensor([4.0])]
    norm, after, same_weights = checks.beside(clipped, clip_gradients, given, 1.0)
    checks.that(isinstance(norm, float), "the result is a float", came=type(norm).__name__)
    checks.close(torch.cat(after), torch.tensor([0.2, 0.4, 0.4, 0.8]), "the gradients", causes={
        "each parameter was clipped alone; the norm is that of all together": torch.tensor([1 / 3, 2 / 3, 2 / 3, 1.0]),
        "each number was clipped alone": torch.ones(4),
        "the norms were added; squares are added": torch.tensor([1.0, 2, 2, 4]) / 7,
        "nothing was scaled: change the gradients in place, and make a list of what you walk over twice": (
            torch.tensor([1.0, 2, 2, 4])
        ),
        "they were divided by the norm squared: the root is missing": torch.tensor([1.0, 2, 2, 4]) / 25,
    })  # fmt: skip
    checks.close(torch.tensor(norm), torch.tensor(5.0), "the result", causes={
        "this is the norm after clipping; return the one before": torch.tensor(1.0),
        "the norms were added; squares are added": torch.tensor(7.0),
        "the square root is missing": torch.tensor(25.0),
    })  # fmt: skip
    checks.that(same_weights, "the weights themselves are not touched", came="changed weights")

with checks.step("the same gradients, max_norm = 10"):
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 10.0)
    checks.close(torch.cat(after), torch.tensor([1.0, 2, 2, 4]), "the gradients", causes={
        "a gradient below the limit was made longer": torch.tensor([2.0, 4, 4, 8]),
    })  # fmt: skip

with checks.step("the same gradients, max_norm = 4, a little less than their norm"):
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 4.0)
    checks.close(torch.cat(after), torch.tensor([0.8, 1.6, 1.6, 3.2]), "the gradients", causes={
        "the gradients are as they were, though their norm is above the limit": torch.tensor([1.0, 2, 2, 4]),
    })  # fmt: skip

with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, clipped, clip_gradients, given, 1.0)

with checks.step("a limit of 0"):
    checks.raises(ValueError, clip_gradients, [], 0.0, name="max_norm=0")

### BEGIN HIDDEN TESTS
for seed, scale, limit in ((0, 1.0, 1.0), (1, 0.01, 1.0), (2, 100.0, 2.5), (3, 1.0, 4.0)):
    randn, wide = checks.normal(seed), checks.normal(seed + 10, dtype=torch.float64)
    given = [scale * randn(4, 3), None, scale * randn(7), scale * randn(2, 2, 2), scale * wide(3, 2)]
    with checks.step(f"against torch's clip_grad_norm_, gradients of size {scale}, max_norm={limit}"):
        norm, after, _ = checks.beside(clipped, clip_gradients, given, limit)
        wanted_norm, wanted, _ = clipped(nn.utils.clip_grad_norm_, given, limit)
        checks.close(torch.tensor(norm), wanted_norm.detach().float(), "the result")
        for mine, theirs in zip(after, wanted, strict=True):
            if theirs is not None:
                checks.close(mine, theirs, "a gradient", causes={
                    "each parameter was clipped alone; the norm is that of all together": lambda: checks.near(
                        mine.norm(), torch.tensor(limit)
                    ),
                })  # fmt: skip
        checks.that(after[1] is None, "a parameter without gradient stays without", came="a gradient")

with checks.step("model.parameters(), which can be walked over once"):
    given = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    _, after, _ = checks.beside(clipped, clip_gradients, given, 1.0, True)
    checks.close(torch.cat(after), torch.tensor([0.6, 0.0, 0.8]), "the gradients", causes={
        "the generator was empty in the second loop; make a list first": torch.tensor([3.0, 0.0, 4.0]),
    })  # fmt: skip

with checks.step("no gradient at all"):
    norm, _, _ = checks.beside(clipped, clip_gradients, [None, None], 1.0)
    checks.that(norm == 0.0, "the norm is 0", came=f"{norm}")

with checks.step("gradients that are all 0"):
    norm, after, _ = checks.beside(clipped, clip_gradients, [torch.zeros(2)], 1.0)
    checks.equal(after[0], torch.zeros(2), "the gradients")

with checks.step("gradients in any shape, long and short, far below a limit of 1000"):
    randn = checks.normal(seed=6)
    given = [randn(30), randn(1)[0], randn(2, 3, 4)]
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 1000.0)
    for mine, old in checks.each(given, after):
        checks.equal(old, mine, "a gradient, which is to stay as it is")
    checks.close(torch.tensor(norm), torch.cat([g.flatten() for g in given]).norm(), "the result")


with checks.step("one number that is far larger than the others"):
    given = [torch.tensor([0.0, 0.0, 0.0, 0.0, 100.0]), torch.tensor([1.0, -1.0])]
    _, after, _ = checks.beside(clipped, clip_gradients, given, 1.0)
    wanted = torch.cat(given) / math.sqrt(10_002)
    checks.close(torch.cat(after), wanted, "the gradients", rtol=1e-5, atol=0.0)


def of_a_frozen_one(fn: Callable) -> tuple[float, list]:
    """The result and the gradients (3) and (4) after it, where the second parameter was frozen after its backward."""
    params = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(()))]
    params[0].grad, params[1].grad = torch.tensor([3.0]), torch.tensor(4.0)
    params[1].requires_grad_(False)
    return fn(params, 1.0), [p.grad.reshape(1) for p in params]


with checks.step("gradients (3) and 4, the second one of a single number that was frozen since"):
    norm, after = checks.beside(of_a_frozen_one, clip_gradients)
    checks.close(torch.tensor(norm), torch.tensor(5.0), "the result", causes={
        "a gradient that is there counts, whatever its parameter's requires_grad or shape": torch.tensor(3.0),
    })  # fmt: skip
    checks.close(torch.cat(after), torch.tensor([0.6, 0.8]), "the gradients")


def after_an_error(fn: Callable, max_norm: float) -> torch.Tensor:
    """The gradient after a call with a limit that is not positive."""
    param = nn.Parameter(torch.zeros(2))
    param.grad = torch.tensor([3.0, 4.0])
    try:
        fn([param], max_norm)
    except ValueError:
        return param.grad
    return torch.zeros(0)


with checks.step("a limit that is not positive"):
    checks.raises(ValueError, clip_gradients, [], -1.0, name="max_norm=-1")
    for limit in (0.0, -1.0):
        came = checks.beside(after_an_error, clip_gradients, limit)
        checks.equal(came, torch.tensor([3.0, 4.0]), f"the gradient after the error for max_norm={limit:g}")
### END HIDDEN TESTS

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


# %% test="mix" points=4
def draws(fn: Callable, x: torch.Tensor, y: torch.Tensor, classes: int, alpha: float, seed: int, count: int) -> tuple:
    """Images (count, B, C, h, w) and labels (count, B, K) of many calls with one generator, and x after them."""
    generator = torch.Generator().manual_seed(seed)
    x = x.clone()
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results]), x


# image k is constant and has the value of its class, so each mixture says what it was made of
values = torch.tensor([1.0, 10.0, 100.0, 1000.0])
x = values[:, None, None, None].expand(4, 2, 3, 5).clone()
y = torch.arange(4)

with checks.step("mixup of four constant images with the values 1, 10, 100, 1000"):
    images, soft, x_after = checks.beside(draws, mixup, x, y, 4, 1.0, 0, 20)
    checks.shape(images, (20, 4, 2, 3, 5), "20 draws of images")
    checks.shape(soft, (20, 4, 4), "20 draws of soft labels")
    checks.dtype(soft, torch.float32, "the soft labels")
    checks.close(soft.sum(-1), torch.ones(20, 4), "the sum of each soft label")
    shown = images.mean((2, 3, 4))
    checks.that(
        bool((soft.amax(-1) < 0.999).any()),
        "labels are mixed",
        came="labels of one class each",
        causes={"the images are mixed, but their labels are not": lambda: not checks.near(shown[0], values)},
    )
    told = soft @ values  # the value that the label tells
    own = soft[:, torch.arange(4), y]
    part = (own > 0.01) & (own < 0.95)  # images with a real share of another
    implied = (shown - own * values) / (1 - own).clamp(min=1e-6)  # the partner's value, going by the images
    checks.close(shown, told, "the value of each image, against the one its label tells", causes={
        "the shares of image and partner changed places in one of the two": lambda: checks.near(
            (shown + told)[part], ((soft > 1e-6).float() @ values)[part], rtol=1e-3
        ),
        "images and labels were mixed with different partners": lambda: bool(
            ((implied[part][:, None] / values - 1).abs().amin(1) < 0.01).all()
        ),
    })  # fmt: skip
    checks.equal(x_after, x, "the images after the call (an argument must not be changed in place)")

with checks.step("one lambda for the whole batch"):
    mixed_with_another = own < 0.999
    spread = [
        (row[chosen].max() - row[chosen].min()).item() for row, chosen in zip(own, mixed_with_another) if chosen.any()
    ]
    checks.that(
        max(spread) < 1e-5, "all images of a batch have the same share", came=f"shares that differ by {max(spread):.3f}"
    )

with checks.step("twelve images and a generator that are new in every run"):
    seed = checks.fresh_seed()
    new = checks.normal(seed)(12, 2, 3, 7)
    blended, told_by = mixup(new, torch.arange(12), 12, 5.0, torch.Generator().manual_seed(seed))
    checks.close(blended, torch.einsum("bk,kchw->bchw", told_by, new), "the images, against what their labels tell")
    checks.that(told_by.diagonal().min().item() < 0.999, "labels are mixed", came="labels of one class each")


def partner_of_several(labels: torch.Tensor) -> bool:
    """Whether in a batch two images have the same partner, going by soft labels (count, B, B) of B classes."""
    others = labels * (1 - torch.eye(labels.shape[-1]))
    partners = [row.argmax(-1)[row.amax(-1) > 1e-3].tolist() for row in others]
    return any(len(set(batch)) < len(batch) for batch in partners)


with checks.step("the partners"):
    checks.close(soft.sum(1), torch.ones(20, 4), "what all labels of a batch say of each class, where each stands once", causes={
        "the partners are no permutation: some images are the partner of several, some of none": lambda: (
            partner_of_several(soft)
        ),
    })  # fmt: skip

with checks.step("alpha = 0"):
    images, soft, _ = checks.beside(draws, mixup, x, y, 4, 0.0, 0, 3)
    checks.equal(images, x.expand(3, *x.shape), "the images")
    checks.equal(soft, torch.eye(4).expand(3, 4, 4), "the labels")


# %% test="mix" points=4
def draws(
    fn: Callable,
    x: torch.Tensor,
    y: torch.Tensor,
    classes: int,
    alpha: float,
    seed: int,
    count: int,
    elsewhere: int = 0,
) -> tuple:
    """Images and labels of many calls with one generator; `elsewhere` seeds the global random state."""
    torch.manual_seed(elsewhere)
    generator = torch.Generator().manual_seed(seed)
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results])


with checks.step("mixup with the same seed, and with another"):
    x, y = checks.normal(seed=0)(6, 1, 4, 4), torch.arange(6)
    first, same, again, other = (
        checks.beside(draws, mixup, x, y, 6, 1.0, seed, 3, elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    checks.equal(again[0], first[0], "the images of seed 0, a second time", causes={
        "a random number came from the global state, not from the generator": lambda: torch.equal(same[0], first[0]),
    })  # fmt: skip
    checks.that(not torch.equal(other[0], first[0]), "another seed gives other images", came="the same images")
    checks.that(
        not torch.equal(first[1][0], first[1][1]),
        "the generator moves on: two calls differ",
        came="the same labels twice",
    )


### BEGIN HIDDEN TESTS
def moves_the_global_state(fn: Callable, x: torch.Tensor, classes: int) -> bool:
    """Whether a call seeds or draws from torch's global random state."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fn(x, torch.arange(len(x)) % classes, classes, 1.0, torch.Generator().manual_seed(0))
    return not torch.equal(before, torch.get_rng_state())


with checks.step("torch's global random state, which others may rely on"):
    checks.that(
        not checks.beside(moves_the_global_state, mixup, torch.zeros(4, 1, 2, 2), 4),
        "it is as it was before the call",
        came="another one",
        causes={"the global state was seeded, or drawn from": True},
    )

with checks.step("float64 images with alpha = 0"):
    x = checks.normal(seed=4, dtype=torch.float64)(3, 1, 2, 2)
    images, soft = mixup(x, torch.arange(3), 3, 0.0, torch.Generator().manual_seed(0))
    checks.equal(images, x, "the images")
    checks.equal(soft, torch.eye(3, dtype=torch.float64), "the labels")

for alpha in (1.0, 0.2, 8.0):
    with checks.step(f"400 draws of lambda with alpha = {alpha}"):
        _, soft = checks.beside(draws, mixup, torch.zeros(8, 1, 1, 1), torch.arange(8), 8, alpha, 7, 400)
        share = soft[:, torch.arange(8), torch.arange(8)].amin(1).double()  # of an image that got another as a partner
        wanted = 1 / (4 * (2 * alpha + 1))  # the variance of Beta(alpha, alpha)
        checks.that(
            abs(share.mean().item() - 0.5) < 0.09,
            "the mean of Beta(alpha, alpha) is 0.5",
            came=f"a mean of {share.mean():.3f}",
            causes={"the larger of lambda and 1 - lambda was taken": lambda: share.min().item() > 0.49},
        )
        checks.that(
            0.7 * wanted < share.var().item() < 1.4 * wanted,
            "the variance is that of Beta(alpha, alpha)",
            came=f"{share.var():.4f}",
            expected=f"about {wanted:.4f}",
            causes={"lambda is drawn as with alpha = 1, uniformly": lambda: abs(share.var().item() - 1 / 12) < 0.015},
        )

with checks.step("a batch with the same class twice and more, and without the last two of five classes"):
    x, y = checks.normal(seed=1)(6, 1, 4, 4), torch.tensor([0, 0, 0, 1, 1, 2])
    _, soft = checks.beside(draws, mixup, x, y, 5, 1.0, 0, 30)
    checks.shape(soft, (30, 6, 5), "the soft labels", causes={
        "the number of classes was taken from the labels of the batch": lambda: soft.shape[-1] == 3,
    })  # fmt: skip
    checks.close(soft.sum(-1), torch.ones(30, 6), "the sum of each soft label", causes={
        "the share of a partner of the same class replaced the own one; the two must be added": lambda: (
            soft.sum(-1).min().item() < 0.99
        ),
    })  # fmt: skip

with checks.step("float64 images, against the mixture that the labels tell"):
    x, y = checks.normal(seed=2, dtype=torch.float64)(5, 3, 4, 6), torch.tensor([4, 2, 0, 1, 3])
    images, soft = checks.beside(draws, mixup, x, y, 5, 1.0, 3, 10)
    by_class = x[y.argsort()]
    checks.close(images, torch.einsum("nbk,kchw->nbchw", soft, by_class), "the images", rtol=1e-6, atol=1e-6)

with checks.step("a single call, for images and labels that come back by value"):
    x, y = checks.normal(seed=21)(7, 2, 3, 5), torch.arange(7)
    images, soft = mixup(x, y, 9, 1.0, torch.Generator().manual_seed(2))
    checks.close(images, torch.einsum("bk,kchw->bchw", soft[:, :7], x), "the images, against what their labels tell")
    checks.that(bool((soft.amax(-1) < 0.999).any()), "labels are mixed", came="labels of one class each")
### END HIDDEN TESTS


# %% test="mix" points=4
def draws(fn: Callable, x: torch.Tensor, y: torch.Tensor, classes: int, alpha: float, seed: int, count: int) -> tuple:
    """Images (count, B, C, h, w) and labels (count, B, K) of many calls with one generator, and x after them."""
    generator = torch.Generator().manual_seed(seed)
    x = x.clone()
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results]), x


# every number stands once in the batch, so it says which image and which place it came from
x = torch.arange(4 * 2 * 16 * 12.0).reshape(4, 2, 16, 12)
y = torch.arange(4)
every = 2 * 16 * 12

with checks.step("cutmix of four images of 16 x 12 pixels, 50 draws, alpha = 1000 (so lambda is about 0.5)"):
    images, soft, x_after = checks.beside(draws, cutmix, x, y, 4, 1000.0, 0, 50)
    checks.shape(images, (50, 4, 2, 16, 12), "50 draws of images")
    checks.shape(soft, (50, 4, 4), "50 draws of soft labels")
    checks.equal(x_after, x, "the images after the call (an argument must not be changed in place)")
    checks.equal((images % every).long(), (x % every).long().expand(50, *x.shape), "the place each pixel came from", causes={
        "the box was cut out of the partner at another place than it is pasted in": lambda: bool(
            (images == images.round()).all()
        ),
    })  # fmt: skip
    source = (images // every).long()  # which image each pixel came from
    pasted = source != torch.arange(4)[:, None, None, None]
    checks.that(bool(pasted.any()), "a box of another image is pasted", came="the images as they were")
    kept = 1 - pasted.float().mean((2, 3, 4))
    own = soft[:, torch.arange(4), y]
    checks.close(own, kept, "the label's weight of the image itself, against the share of pixels it kept", causes={
        "the weight is that of the whole box, which was cut off at the border: count the pixels": lambda: (
            bool(((own[own < 0.999] - 0.5).abs() < 0.1).all())
        ),
        "the weights of image and partner changed places": lambda: checks.near(own[kept < 1], 1 - kept[kept < 1]),
    })  # fmt: skip
    counted = F.one_hot(source, 4).float().mean((2, 3, 4))  # the share of pixels from each image
    checks.close(soft, counted, "the soft labels, against the share of pixels from each image")
    others = [row.argmax(-1)[row.amax(-1) > 1e-3].tolist() for row in soft * (1 - torch.eye(4))]  # the partners
    checks.close(soft.sum(1), torch.ones(50, 4), "what all labels of a batch say of each class, where each stands once", causes={
        "the partners are no permutation: some images are the partner of several, some of none": lambda: any(
            len(set(batch)) < len(batch) for batch in others
        ),
    })  # fmt: skip

with checks.step("twelve images and a generator that are new in every run"):
    seed = checks.fresh_seed()
    new = checks.normal(seed)(12, 1, 9, 7)
    pasted_over, told_by = cutmix(new, torch.arange(12), 12, 1000.0, torch.Generator().manual_seed(seed))
    shares = (pasted_over[:, None] == new[None]).float().mean((2, 3, 4))  # of the pixels, from each image
    checks.close(told_by, shares, "the soft labels, against the share of pixels from each image")
    checks.that(shares.diagonal().min().item() < 0.999, "a box is pasted", came="the images as they were")

with checks.step("alpha = 0"):
    images, soft, _ = checks.beside(draws, cutmix, x, y, 4, 0.0, 0, 3)
    checks.equal(images, x.expand(3, *x.shape), "the images")
    checks.equal(soft, torch.eye(4).expand(3, 4, 4), "the labels")


# %% test="mix" points=4
def draws(
    fn: Callable,
    x: torch.Tensor,
    y: torch.Tensor,
    classes: int,
    alpha: float,
    seed: int,
    count: int,
    elsewhere: int = 0,
) -> tuple:
    """Images and labels of many calls with one generator; `elsewhere` seeds the global random state."""
    torch.manual_seed(elsewhere)
    generator = torch.Generator().manual_seed(seed)
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results])


with checks.step("cutmix with the same seed, and with another"):
    x, y = checks.normal(seed=0)(4, 1, 8, 8), torch.arange(4)
    first, same, again, other = (
        checks.beside(draws, cutmix, x, y, 4, 1.0, seed, 3, elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    checks.equal(again[0], first[0], "the images of seed 0, a second time", causes={
        "a random number came from the global state, not from the generator": lambda: torch.equal(same[0], first[0]),
    })  # fmt: skip
    checks.that(not torch.equal(other[0], first[0]), "another seed gives other images", came="the same images")
    checks.that(
        not torch.equal(first[0][0], first[0][1]) or not torch.equal(first[0][0], first[0][2]),
        "the generator moves on: calls differ",
        came="the same images three times",
    )

### BEGIN HIDDEN TESTS
with checks.step("1,200 boxes in images of 40 x 20 pixels, alpha = 1000, so sides of about 0.71"):
    # image k is constant k, so a pixel says where it came from
    x = torch.arange(3.0)[:, None, None, None].expand(3, 1, 40, 20).clone()
    images, soft = checks.beside(draws, cutmix, x, torch.arange(3), 3, 1000.0, 5, 1200)
    pasted = images[:, :, 0].round().long() != torch.arange(3)[:, None, None]
    boxes = pasted.any(1)  # (1200, 40, 20)
    same = [torch.equal(one, box) for draw, box in zip(pasted, boxes) for one in draw if one.any()]
    checks.that(all(same), "all images of a batch get the same box", came="different boxes in one batch")
    drawn = boxes.any((1, 2))
    rows, columns = boxes.any(2), boxes.any(1)
    full = rows[:, :, None] & columns[:, None, :]
    checks.that(torch.equal(full, boxes), "what is pasted is a rectangle", came="another form")
    tall, wide = rows.sum(1).max().item(), columns.sum(1).max().item()
    checks.that(
        27 <= tall <= 30 and 13 <= wide <= 16,
        "the highest box has about 28 rows, the widest about 14 columns",
        came=f"at most {tall} rows and {wide} columns",
        causes={
            "the sides are 1 - lambda of the image, so the area is its square; take the root": lambda: (
                19 <= tall <= 22 and 9 <= wide <= 12
            ),
            "both sides were computed from one side of the image": lambda: (
                abs(tall - wide) <= 1 or (wide == 20 and 27 <= tall <= 30)
            ),
        },
    )
    kept = 1 - boxes[drawn].float().mean((1, 2))
    checks.that(
        kept.max() > 0.6,
        "some boxes stick out and are cut off",
        came=f"every box covers between {1 - kept.max():.0%} and {1 - kept.min():.0%}",
        causes={
            "the box was moved inside; its center must be uniform over the image": lambda: kept.max().item() < 0.56
        },
    )
    often = boxes[drawn].float().mean(0)
    quarters = [part.mean().item() for half in often.split(20) for part in half.split(10, dim=1)]
    checks.that(
        max(quarters) - min(quarters) < 0.2,
        "each quarter of the image is pasted over equally often",
        came="top left and right, bottom left and right: " + ", ".join(f"{part:.0%}" for part in quarters),
        causes={
            "the random point became a corner of the box, not its center": lambda: (
                min(quarters[3] - quarters[1], quarters[3] - quarters[2], quarters[1] - quarters[0]) > 0.05
            ),
            "row and column of the center are not independent": lambda: (
                min(quarters[0], quarters[3]) - max(quarters[1], quarters[2]) > 0.1
            ),
        },
    )
    middles = [
        ((lines.int().argmax(1) + lines.shape[1] - 1 - lines.flip(1).int().argmax(1)) / 2).mean().item()
        for lines in (rows[drawn], columns[drawn])
    ]
    checks.that(
        abs(middles[0] - 19.5) < 2 and abs(middles[1] - 9.5) < 1,
        "the random pixel is the center of the box, so the boxes lie around the middle of the image",
        came=f"middles at row {middles[0]:.1f} and column {middles[1]:.1f} on average",
        expected="row 19.5 and column 9.5",
    )
    checks.that(
        often.min().item() > 0.03,
        "every pixel is pasted over at times, those at the border and in the corners, too",
        came=f"one of them in {often.min():.1%} of the boxes",
    )

with checks.step("200 boxes in images of 20 x 40 pixels, alpha = 1, so lambda is uniform"):
    x = torch.arange(3.0)[:, None, None, None].expand(3, 1, 20, 40).clone()
    images, _ = checks.beside(draws, cutmix, x, torch.arange(3), 3, 1.0, 6, 200)
    boxes = (images[:, :, 0].round().long() != torch.arange(3)[:, None, None]).any(1)
    tall = boxes.any(2).sum(1)
    small, large = (tall <= 8).float().mean().item(), (tall >= 16).float().mean().item()
    checks.that(
        small > 0.15 and 0.03 < large < 0.5,
        "some boxes are low and some are high",
        came=f"{small:.0%} have at most 8 of 20 rows, {large:.0%} at least 16",
    )

with checks.step("a batch without the last of its classes"):
    soft = cutmix(torch.rand(5, 1, 4, 6), torch.tensor([0, 1, 0, 1, 2]), 6, 1.0, torch.Generator().manual_seed(0))[1]
    checks.shape(soft, (5, 6), "the soft labels", causes={
        "the number of classes was taken from the labels of the batch": lambda: soft.shape[-1] == 3,
    })  # fmt: skip

for alpha in (1.0, 0.3):
    with checks.step(f"200 draws on 7 x 9 pixels with repeated classes, alpha = {alpha}"):
        x = torch.arange(5 * 3 * 7 * 9, dtype=torch.float64).reshape(5, 3, 7, 9)
        y = torch.tensor([1, 0, 1, 3, 1])
        images, soft = checks.beside(draws, cutmix, x, y, 4, alpha, 11, 200)
        source = y[(images // (3 * 7 * 9)).long()]
        checks.close(
            soft,
            F.one_hot(source, 4).double().mean((2, 3, 4)),
            "the soft labels, against the share of pixels from each class",
            rtol=0.0,
            atol=1e-6,
        )
### END HIDDEN TESTS

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


# %% test="augment" points=8
def noted(fn: Callable, n_ops: int, magnitude: float, seed: int, count: int, kinds: int = 8) -> torch.Tensor:
    """(count, n_ops, 2): number and strength of each operation that ran, from operations that only take notes."""
    generator = torch.Generator().manual_seed(seed)
    notes: list = []

    def operation(number: int) -> Callable:
        def run(image: torch.Tensor, strength: float) -> torch.Tensor:
            notes[-1].append((number, float(strength)))
            return image

        return run

    table = [operation(number) for number in range(kinds)]
    for _ in range(count):
        notes.append([])
        fn(torch.full((1, 2, 2), 0.5), n_ops, magnitude, generator, table)
    longest = max(len(row) for row in notes)
    return torch.tensor([row + [(-1, 0.0)] * (longest - len(row)) for row in notes])


def chained(fn: Callable, start: float, changes: list) -> float:
    """What becomes of a pixel when the operations add these numbers, one after the other."""
    left = list(changes)

    def add(image: torch.Tensor, strength: float) -> torch.Tensor:
        return image + left.pop(0)

    result = fn(torch.full((1, 2, 2), start), len(changes), 0.5, torch.Generator().manual_seed(0), [add])
    return result.mean().item()


def augmented(fn: Callable, image: torch.Tensor, n_ops: int, magnitude: float, seed: int, count: int) -> tuple:
    """Many results with the real operations, and the image after the calls."""
    generator = torch.Generator().manual_seed(seed)
    image = image.clone()
    return torch.stack([fn(image, n_ops, magnitude, generator) for _ in range(count)]), image


with checks.step("which operations run: 200 images, n_ops = 3, magnitude 0.7"):
    ran = checks.beside(noted, rand_augment, 3, 0.7, 0, 200)
    checks.shape(ran, (200, 3, 2), "the operations that ran (image, n_ops, number and strength)")
    checks.close(ran[..., 1].abs(), torch.full((200, 3), 0.7), "the size of the strengths", causes={
        "the strength is random; only its sign is": lambda: ran[..., 1].abs().std().item() > 0.05,
    })  # fmt: skip
    checks.that(
        0.35 < (ran[..., 1] < 0).float().mean() < 0.65,
        "half of the strengths are negative",
        came=f"{(ran[..., 1] < 0).float().mean():.0%} are",
        causes={
            "the sign is missing: strengths are plus or minus the magnitude": lambda: bool((ran[..., 1] > 0).all()),
        },
    )

with checks.step("operations that add 2.0 and then -0.3 to a pixel of 0.5"):
    came = checks.beside(chained, rand_augment, 0.5, [2.0, -0.3])
    checks.close(torch.tensor(came), torch.tensor(0.7), "the pixel", causes={
        "the image was clipped only at the end; clip after every operation": lambda: (
            abs(came - 1.0) < 1e-4 and abs(checks.beside(chained, rand_augment, 0.5, [2.0, -1.9]) - 0.6) < 1e-4
        ),
        "each operation started from the first image": torch.tensor(0.2),
        "nothing was clipped": torch.tensor(2.2),
    })  # fmt: skip

with checks.step("magnitude 0 with the real operations"):
    image = (checks.normal(seed=0)(3, 8, 8).sigmoid() * 255).round() / 255
    results, _ = checks.beside(augmented, rand_augment, image, 4, 0.0, 0, 20)
    checks.close(results, image.expand(20, 3, 8, 8), "the images")

### BEGIN HIDDEN TESTS
with checks.step("how often each of eight operations runs in 1,600 draws"):
    ran = checks.beside(noted, rand_augment, 2, 0.5, 3, 800)
    checks.shape(ran, (800, 2, 2), "the operations that ran")
    counts = torch.bincount(ran[..., 0].long().flatten(), minlength=8).double()
    chi_square = ((counts - 200) ** 2 / 200).sum().item()
    checks.that(
        chi_square < 40,  # of fair draws, two in a million lie above (7 degrees of freedom)
        "each operation is as likely as the others",
        came=f"counts {counts.long().tolist()}, chi-square {chi_square:.0f}",
        causes={"the last operation never runs": lambda: counts[-1].item() == 0},
    )
    twice = (ran[:, 0, 0] == ran[:, 1, 0]).float().mean().item()
    checks.that(
        0.06 < twice < 0.2,
        "drawn with replacement, the same operation comes twice in one of eight images",
        came=f"in {twice:.1%}",
        causes={
            "the operations were drawn without replacement": lambda: twice == 0,
            "one operation was drawn and applied again and again": lambda: twice == 1,
        },
    )
    signs = (ran[:, 0, 1].sign() == ran[:, 1, 1].sign()).float().mean().item()
    checks.that(
        0.4 < signs < 0.6,
        "each operation has a sign of its own",
        came=f"in {signs:.0%} of the images both have the same",
        causes={"one sign was drawn for all operations of an image": lambda: signs == 1.0},
    )

    positive = [(ran[..., 1][ran[..., 0] == number] > 0).float().mean().item() for number in range(8)]
    checks.that(
        min(positive) > 0.3 and max(positive) < 0.7,
        "each operation gets both signs",
        came="shares of plus: " + ", ".join(f"{share:.0%}" for share in positive),
        causes={
            "operation and sign come from the same random number": lambda: all(
                share in (0.0, 1.0) for share in positive
            )
        },
    )

for magnitude in (0.8, 1.0):
    with checks.step(f"one of the real operations at a time, magnitude {magnitude}"):
        image = checks.normal(seed=2)(3, 6, 9).sigmoid()
        strengths = (-magnitude, magnitude)
        possible = torch.stack([operation(image, one).clamp(0, 1) for operation in OPERATIONS for one in strengths])
        for seed in range(8):
            result = rand_augment(image, 1, magnitude, torch.Generator().manual_seed(seed))
            checks.shape(result, (3, 6, 9), "the result")
            gap = (possible - result).abs().amax((1, 2, 3)).min().item()
            checks.that(gap < 1e-5, "the result is one of the sixteen possible ones", came=f"{gap:.3f} off the nearest")

with checks.step("a table of three operations"):
    ran = checks.beside(noted, rand_augment, 1, 0.5, 0, 60, 3)
    checks.equal(sorted(set(ran[..., 0].flatten().tolist())), [0.0, 1.0, 2.0], "the operations that ran")

with checks.step("the real operations at magnitude 1"):
    image = checks.normal(seed=1)(3, 8, 8).sigmoid()
    results, after = checks.beside(augmented, rand_augment, image, 3, 1.0, 1, 100)
    checks.shape(results, (100, 3, 8, 8), "100 results")
    checks.that(
        bool(results.min() >= 0 and results.max() <= 1),
        "the values stay in [0, 1]",
        came=f"from {results.min():.2f} to {results.max():.2f}",
    )
    checks.equal(after, image, "the image after the calls (an argument must not be changed in place)")
    torch.manual_seed(5)
    again, _ = checks.beside(augmented, rand_augment, image, 3, 1.0, 1, 100)
    checks.equal(again, results, "the results with the same seed, a second time")

with checks.step("no operation at all"):
    results, _ = checks.beside(augmented, rand_augment, image, 0, 1.0, 1, 2)
    checks.equal(results, image.expand(2, 3, 8, 8), "the images with n_ops=0")

with checks.step("twelve operations from a table of eleven"):
    ran = checks.beside(noted, rand_augment, 12, 1.0, 4, 40, 11)
    checks.shape(ran, (40, 12, 2), "the operations that ran")
    checks.equal(ran[..., 0].unique().tolist(), [float(number) for number in range(11)], "the operations that ran")
    checks.equal(ran[..., 1].abs(), torch.ones(40, 12), "the size of the strengths")


def moves_the_global_state(fn: Callable, image: torch.Tensor) -> bool:
    """Whether a call seeds or draws from torch's global random state."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fn(image, 3, 0.5, torch.Generator().manual_seed(0))
    return not torch.equal(before, torch.get_rng_state())


with checks.step("torch's global random state, which others may rely on"):
    checks.that(
        not checks.beside(moves_the_global_state, rand_augment, image),
        "it is as it was before the call",
        came="another one",
        causes={"the global state was seeded, or drawn from": True},
    )

for dtype in (torch.float64, torch.bfloat16):
    with checks.step(f"an image of {dtype}"):
        result = rand_augment(torch.full((1, 2, 2), 0.5, dtype=dtype), 2, 0.5, torch.Generator(), [contrast, identity])
        checks.equal(result, torch.full((1, 2, 2), 0.5, dtype=dtype), "a flat image, whose contrast cannot change")
### END HIDDEN TESTS

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


# %% test="ema" points=5
def followed(make: Callable, values: Sequence[float], decay: float, warmup: bool) -> dict:
    """The average of one weight that starts at values[0] and then takes the others, and what else can be seen."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5))
    nn.init.constant_(model[0].weight, values[0])
    ema = make(model, decay, warmup)
    at_start = ema.module[0].weight.item()
    averages = []
    for value in values[1:]:
        nn.init.constant_(model[0].weight, value)
        ema.update(model)
        averages.append(ema.module[0].weight.item())
    return {
        "averages": averages,
        "at start": at_start,
        "one object": ema.module is model,
        "model after": model[0].weight.item(),
        "modes": (ema.module.training, ema.module[1].training, model.training and model[1].training),
        "gradients": (any(p.requires_grad for p in ema.module.parameters()), model[0].weight.requires_grad),
    }


with checks.step("decay 0.9, a weight that was 0 and is 1 from then on, by hand"):
    seen = checks.beside(followed, ModelEMA, [0.0, 1.0, 1.0, 1.0], 0.9, False)
    checks.close(torch.tensor(seen["at start"]), torch.tensor(0.0), "the average before the first update")
    checks.close(torch.tensor(seen["averages"]), torch.tensor([0.1, 0.19, 0.271]), "the averages", causes={
        "decay and 1 - decay changed places": torch.tensor([0.9, 0.99, 0.999]),
        "the copy is the model itself; make a deep copy": lambda: seen["one object"],
        "the average does not move": torch.tensor([0.0, 0.0, 0.0]),
        "the first update takes the model as it is": torch.tensor([1.0, 1.0, 1.0]),
        "decay grows with the updates though warmup is off": torch.tensor([0.9, 0.981818, 0.995455]),
    })  # fmt: skip
    checks.close(torch.tensor(seen["model after"]), torch.tensor(1.0), "the model's own weight after the updates")

with checks.step("weights that are new in every run, by what the average computes"):
    randn = checks.normal(checks.fresh_seed())
    old, new = nn.Linear(4, 3), nn.Linear(4, 3)
    with torch.no_grad():
        for model in (old, new):
            model.weight.copy_(randn(3, 4))
            model.bias.copy_(randn(3))
        given = randn(6, 4)
        ema = ModelEMA(old, 0.75)
        checks.close(ema.module(given).detach(), old(given), "what the copy computes before an update")
        ema.update(new)
        wanted = 0.75 * old(given) + 0.25 * new(given)  # the layer is linear in its weights
        checks.close(ema.module(given).detach(), wanted, "what the average computes after one update")

with checks.step("modes and gradients"):
    checks.that(not any(seen["modes"][:2]), "the copy is in eval mode", came="train mode")
    checks.that(
        seen["modes"][2], "the model is left in train mode", came="eval mode", causes={
            "eval() was called on the model itself": lambda: not seen["modes"][2]
        },
    )  # fmt: skip
    checks.that(not seen["gradients"][0], "no parameter of the copy requires a gradient", came="one that does")
    checks.that(seen["gradients"][1], "the model's parameters still require gradients", came="one that does not")


# %% test="ema" points=5
def followed(make: Callable, values: Sequence[float], decay: float, warmup: bool) -> list:
    """The average of one weight that starts at values[0] and then takes the others."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, values[0])
    ema = make(model, decay, warmup)
    averages = []
    for value in values[1:]:
        nn.init.constant_(model.weight, value)
        ema.update(model)
        averages.append(ema.module.weight.item())
    return averages


with checks.step("warmup=True, decay 0.2: the decays are 1/10, 2/11, and then 0.2"):
    wanted = torch.tensor([1 - 1 / 10, 1 - 2 / 110, 1 - 0.4 / 110])
    averages = torch.tensor(checks.beside(followed, ModelEMA, [0.0, 1.0, 1.0, 1.0], 0.2, True))
    checks.close(averages, wanted, "the averages of a weight that was 0 and is 1", causes={
        "each update had the whole decay: warmup was not read, or t did not start at 0 for this average": (
            torch.tensor([0.8, 0.96, 0.992])
        ),
        "the updates are counted from 1; the first one is t = 0": torch.tensor([1 - 2 / 11, 1 - 0.4 / 11, 1 - 0.08 / 11]),
        "the larger of the two decays was taken": torch.tensor([0.8, 0.96, 0.99]),
        "the decay grows beyond `decay`": torch.tensor([1 - 1 / 10, 1 - 2 / 110, 1 - 6 / 1320]),
    })  # fmt: skip


### BEGIN HIDDEN TESTS
def trained(make: Callable, decay: float, warmup: bool, steps: int) -> tuple:
    """State of the average after each of some training steps of a model with batch norm, and of the model before."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    randn = checks.normal(4)
    ema = make(model, decay, warmup) if warmup is not None else make(model, decay)
    averages, models = [], [{name: value.clone() for name, value in model.state_dict().items()}]
    for _ in range(steps):
        optimizer.zero_grad()
        model(randn(8, 2, 6, 6)).square().mean().backward()
        optimizer.step()
        ema.update(model)
        averages.append({name: value.clone() for name, value in ema.module.state_dict().items()})
        models.append({name: value.clone() for name, value in model.state_dict().items()})
    return averages, models


with checks.step("a weight that takes 2, -1, 4, 0, 3, against the geometric sum"):
    values = [2.0, -1.0, 4.0, 0.0, 3.0]
    wanted = [0.7**k * values[0] + 0.3 * sum(0.7 ** (k - j) * values[j] for j in range(1, k + 1)) for k in range(1, 5)]
    averages = checks.beside(followed, ModelEMA, values, 0.7, False)
    checks.close(torch.tensor(averages), torch.tensor(wanted), "the averages")

with checks.step("warmup ends where the decay is reached: decay 0.3, a weight that jumps between 0 and 1"):
    values = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    averages = torch.tensor(checks.beside(followed, ModelEMA, values, 0.3, True))

    def average_by(values: Sequence[float], decay_of: Callable) -> torch.Tensor:
        found, average = [], values[0]
        for t, value in enumerate(values[1:]):
            average = decay_of(t) * average + (1 - decay_of(t)) * value
            found.append(average)
        return torch.tensor(found)

    checks.close(averages, average_by(values, lambda t: min(0.3, (1 + t) / (10 + t))), "the averages", causes={
        "the decay grows beyond `decay`": average_by(values, lambda t: (1 + t) / (10 + t)),
    })  # fmt: skip

with checks.step("warmup goes on as long as it gives the smaller decay: decay 0.999, 60 updates"):
    values = checks.normal(seed=8)(61).tolist()
    averages = torch.tensor(checks.beside(followed, ModelEMA, values, 0.999, True))
    checks.close(averages, average_by(values, lambda t: (1 + t) / (10 + t)), "the averages")


with checks.step("five training steps with a batch norm, against timm's ModelEmaV3"):
    averages, models = checks.beside(trained, ModelEMA, 0.8, False, 5)
    theirs, _ = trained(ModelEmaV3, 0.8, None, 5)
    for name, wanted in theirs[-1].items():
        what = f"{name} of the average after 5 updates"
        if wanted.is_floating_point():
            checks.close(averages[-1][name], wanted, what, causes={
                "only parameters are averaged; this buffer has the model's own numbers": models[-1][name],
                "only parameters are averaged; this buffer never changed": models[0][name],
            })  # fmt: skip
        else:
            checks.equal(averages[-1][name], wanted, what, causes={
                "an integer buffer was averaged or left; copy it": lambda: averages[-1][name].item() != wanted.item(),
            })  # fmt: skip


class Odd(nn.Module):
    """A frozen parameter, a buffer that no state dict holds, a matrix that two layers share, buffers of other dtypes."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("window", torch.zeros(4), persistent=False)
        self.register_buffer("level", torch.zeros(()))
        self.register_buffer("sums", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("started", torch.tensor(True))
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.calm, self.norm = nn.Dropout(0.1).eval(), nn.BatchNorm1d(2)


def odd_tensors(make: Callable, values: Sequence[float], decay: float) -> dict:
    """The average of each tensor of such a model that takes these values, and what became of both models."""
    model = Odd()
    names = ("fixed", "window", "first.weight", "level", "sums")
    tensors = {name: attrgetter(name)(model) for name in names}
    for tensor in tensors.values():
        nn.init.constant_(tensor, values[0])
    model.first.weight.grad = torch.full((2, 2), 7.0)
    ema = make(model, decay)
    for value in values[1:]:
        for tensor in tensors.values():
            nn.init.constant_(tensor, value)
        model.started.fill_(False)
        ema.update(model)
    return {
        "averages": {name: attrgetter(name)(ema.module).detach().flatten()[0].item() for name in names},
        "started": ema.module.started.item(),
        "model": [tensor.detach().flatten()[0].item() for tensor in tensors.values()],
        "gradient": model.first.weight.grad,
        "learns": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "copy learns": [p.requires_grad for p in ema.module.parameters()],
        "copy modes": [m.training for m in ema.module.modules()],
    }


with checks.step("a frozen parameter, a buffer with persistent=False, and a matrix that two layers share"):
    seen = checks.beside(odd_tensors, ModelEMA, [1.0, 3.0, -2.0], 0.6)
    wanted = torch.tensor(0.6 * (0.6 * 1.0 + 0.4 * 3.0) + 0.4 * -2.0)
    twice = torch.tensor(0.36 * (0.36 * 1.0 + 0.64 * 3.0) + 0.64 * -2.0)
    for name, what in (
        ("fixed", "the frozen parameter"),
        ("window", "the buffer that a state dict leaves out"),
        ("first.weight", "the shared matrix"),
        ("level", "a floating-point buffer of a single number"),
        ("sums", "a buffer of float64"),
    ):
        checks.close(torch.tensor(seen["averages"][name]), wanted, f"the average of {what}", causes={
            "it never moved": torch.tensor(1.0),
            f"{what} was copied, not averaged": torch.tensor(-2.0),
            "it moved twice in each update": twice,
        })  # fmt: skip
    checks.equal(seen["started"], False, "a buffer of truth values, which is copied")
    checks.equal(seen["model"], [-2.0] * 5, "the model's own tensors")
    checks.that(seen["gradient"] is not None, "a gradient that the model had before is still there", came="none")
    checks.equal(seen["gradient"], torch.full((2, 2), 7.0), "a gradient that the model had before")
    checks.equal(seen["learns"], [False, True, True, True], "what of the model requires a gradient, as before")
    checks.equal(
        seen["modes"], [True, True, True, False, True], "which modules of the model are in train mode, as before"
    )
    checks.equal(seen["copy learns"], [False] * 4, "what of the copy requires a gradient, after the updates")
    checks.equal(seen["copy modes"], [False] * 5, "which modules of the copy are in train mode, after the updates")

for decay, wanted in ((0.0, [1.0, 4.0]), (0.05, [0.95, 0.05 * 0.95 + 0.95 * 4.0])):
    with checks.step(f"decay {decay}, a weight that takes 0, 1, 4"):
        averages = checks.beside(followed, ModelEMA, [0.0, 1.0, 4.0], decay, False)
        checks.close(torch.tensor(averages), torch.tensor(wanted), "the averages", causes={
            "a decay of 0 is a decay: each update takes the model as it is": lambda: decay == 0.0,
        })  # fmt: skip
### END HIDDEN TESTS

# %% [markdown] about="distill"
# ### Exercise 7. Learn from a teacher
#
# A teacher model says more than a label does. Its probabilities tell that this 7 could be a 1, but never a 0. And it can label images that nobody has labeled. Two ways to listen (Touvron et al. 2021, in "Distillation through attention"; the soft one is from Hinton et al. 2015), with $p^{(T)} = \operatorname{softmax}(z / T)$ for logits $z$:
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

# %% test="distill" points=5
# two classes, T = 3. The teacher's softened probabilities are (3/4, 1/4), the student's (1/2, 1/2)
student = torch.zeros(1, 2)
teacher = torch.tensor([[3 * math.log(3), 0.0]])
label = torch.tensor([0])
ce = math.log(2)
kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
swapped = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)


def scalar(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float32)


with checks.step("soft, alpha = 0.25, T = 3, by hand: 3/4 ln 2 + 1/4 * 9 * KL"):
    loss = distillation_loss(student, teacher, label, "soft", 0.25, 3.0)
    checks.shape(loss, (), "the loss")
    entropy = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    checks.close(loss, scalar(0.75 * ce + 0.25 * 9 * kl), "the loss", causes={
        "the factor T² is missing": scalar(0.75 * ce + 0.25 * kl),
        "the factor is T, not T²": scalar(0.75 * ce + 0.25 * 3 * kl),
        "KL(student || teacher) instead of KL(teacher || student)": scalar(0.75 * ce + 0.25 * 9 * swapped),
        "KL was divided by the number of classes as well": scalar(0.75 * ce + 0.25 * 4.5 * kl),
        "alpha and 1 - alpha changed places": scalar(0.25 * ce + 0.75 * 9 * kl),
        "probabilities went in where logarithms of them belong": scalar(0.75 * ce + 0.25 * 9 * (entropy - 0.5)),
    })  # fmt: skip

with checks.step("the same image four times: the loss is a mean over the batch"):
    four = distillation_loss(student.expand(4, 2), teacher.expand(4, 2), label.expand(4), "soft", 0.25, 3.0)
    checks.close(four, scalar(0.75 * ce + 0.25 * 9 * kl), "the loss", causes={
        "KL was summed over the batch": scalar(0.75 * ce + 0.25 * 9 * 4 * kl),
    })  # fmt: skip

with checks.step("hard, alpha = 0.25: the label says class 0, the teacher 1, the student (0.5, 0, 1) itself 2"):
    student, teacher = torch.tensor([[0.5, 0.0, 1.0]]), torch.tensor([[-1.0, 3.0, 0.0]])
    loss = distillation_loss(student, teacher, label, "hard", 0.25, 2.0)
    total = math.log(math.exp(0.5) + 1 + math.exp(1))
    says_0, says_1, says_2 = total - 0.5, total, total - 1.0
    cooled = math.log(math.exp(0.25) + 1 + math.exp(0.5))
    checks.close(loss, scalar(0.75 * says_0 + 0.25 * says_1), "the loss", causes={
        "alpha and 1 - alpha changed places": scalar(0.25 * says_0 + 0.75 * says_1),
        "the teacher's answer was not used, only the label": scalar(says_0),
        "the student's own answer was taken for the teacher's": scalar(0.75 * says_0 + 0.25 * says_2),
        "hard labels need no temperature: the student was divided by T": scalar(0.75 * says_0 + 0.25 * cooled),
        "hard labels need no temperature: the factor T² is too much": scalar(0.75 * says_0 + 0.25 * 4 * says_1),
    })  # fmt: skip

with checks.step("logits that are new in every run, soft, alpha = 1, T = 2"):
    randn = checks.normal(checks.fresh_seed())
    new, told = randn(5, 4), randn(5, 4)
    cooled = [torch.distributions.Categorical(logits=logits / 2) for logits in (told, new)]
    checks.close(
        distillation_loss(new, told, torch.tensor([0, 1, 2, 3, 0]), "soft", 1.0, 2.0),
        4 * torch.distributions.kl_divergence(*cooled).mean(),
        "the loss",
    )

with checks.step("a mode that does not exist"):
    checks.raises(ValueError, distillation_loss, student, teacher, label, "medium", name='mode="medium"')

# %% test="distill" points=5
with checks.step("a pair of heads: the first sees the labels, the second the teacher"):
    says_0, says_1 = torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([[0.0, 20.0, 0.0]])
    label = torch.tensor([0])  # so the class head should say 0, and the distillation head what the teacher says: 1
    for mode in ("soft", "hard"):
        loss = distillation_loss((says_0, says_1), says_1, label, mode, 0.5, 1.0)
        other = distillation_loss((says_1, says_0), says_1, label, mode, 0.5, 1.0)
        checks.that(
            abs(float(loss)) < 1e-4,
            f"two heads that are both right have no loss ({mode})",
            came=f"{float(loss):.3f}",
            causes={
                "the heads changed places": lambda: abs(float(other)) < 1e-4,
                "the mean of the heads was used for both": lambda: 0.5 < float(loss) < 2,
            },
        )

with checks.step("the arguments after the call"):
    randn = checks.normal(seed=0)
    student, teacher = randn(6, 4), randn(6, 4)
    given = (student, teacher, torch.tensor([0, 1, 2, 3, 0, 1]))
    for mode in ("soft", "hard"):
        came = checks.beside(observe.arguments_after, distillation_loss, *given, mode, 0.5, 2.0)
        for what, old, new in zip(("student", "teacher", "labels"), given, came, strict=True):
            checks.equal(new, old, f"{what} (must not be changed in place)")

with checks.step("alpha = 1: the labels do not matter"):
    first, second = (
        distillation_loss(student, teacher, labels, "soft", 1.0, 2.0)
        for labels in (torch.zeros(6, dtype=torch.long), torch.full((6,), 3))
    )
    checks.close(first, torch.tensor(float(second)), "the loss with other labels")


### BEGIN HIDDEN TESTS
def softened(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(cls: torch.Tensor, dist: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mode: str,
            alpha: float, temperature: float) -> float:  # fmt: skip
    """The loss, image by image and class by class."""
    total = 0.0
    for c, d, t, y in zip(cls.tolist(), dist.tolist(), teacher.tolist(), labels.tolist()):
        total += (1 - alpha) * -math.log(softened(c, 1.0)[y])
        if mode == "hard":
            total += alpha * -math.log(softened(d, 1.0)[t.index(max(t))])
        else:
            for p, q in zip(softened(t, temperature), softened(d, temperature)):
                total += alpha * temperature**2 * p * (math.log(p) - math.log(q))
    return total / len(labels)


for seed, (batch, classes), alpha, temperature in (
    (0, (5, 4), 0.5, 3.0),
    (1, (3, 10), 0.1, 1.0),
    (2, (7, 2), 0.9, 5.0),
    (3, (12, 12), 0.5, 0.5),
):
    for mode in ("soft", "hard"):
        with checks.step(
            f"against a loop over images and classes: {mode}, B={batch}, K={classes}, alpha={alpha}, T={temperature}"
        ):
            randn = checks.normal(seed, dtype=torch.float64)
            student, other, teacher = 2 * randn(batch, classes), randn(batch, classes), 2 * randn(batch, classes)
            labels = torch.arange(batch) % classes
            for given, heads in ((student, (student, student)), ((student, other), (student, other))):
                wanted = by_loop(*heads, teacher, labels, mode, alpha, temperature)
                came = distillation_loss(given, teacher, labels, mode, alpha, temperature)
                checks.close(came, torch.tensor(wanted, dtype=torch.float64), "the loss", atol=1e-9, rtol=1e-7)

with checks.step("gradients, against finite differences of the loop"):
    randn = checks.normal(9, dtype=torch.float64)
    student, teacher, labels = randn(3, 4), randn(3, 4), torch.tensor([0, 3, 1])
    for mode in ("soft", "hard"):
        wanted = torch.zeros(3, 4, dtype=torch.float64)
        for index in range(12):
            step = torch.zeros(12, dtype=torch.float64)
            step[index] = 1e-5
            up, down = student + step.reshape(3, 4), student - step.reshape(3, 4)
            change = by_loop(up, up, teacher, labels, mode, 0.4, 2.0) - by_loop(
                down, down, teacher, labels, mode, 0.4, 2.0
            )
            wanted.view(-1)[index] = change / 2e-5
        came, into_teacher = checks.beside(
            observe.gradients, distillation_loss, student.clone().requires_grad_(), teacher.clone().requires_grad_(),
            labels, mode, 0.4, 2.0,
        )  # fmt: skip
        checks.close(came, wanted, f"the gradient into the student ({mode})", atol=1e-7)
        checks.that(
            into_teacher is None or bool((into_teacher == 0).all()),
            f"no gradient flows into the teacher ({mode})",
            came="a gradient",
            causes={"the teacher's logits are still in the graph; detach them": lambda: into_teacher is not None},
        )

with checks.step("gradients of a pair of heads"):
    randn = checks.normal(12, dtype=torch.float64)
    heads, teacher = [randn(4, 3).requires_grad_() for _ in range(2)], randn(4, 3)
    labels = torch.tensor([2, 0, 1, 1])
    softened_teacher = (teacher / 2.0).softmax(-1)
    for mode in ("soft", "hard"):
        loss = distillation_loss(tuple(heads), teacher, labels, mode, 0.3, 2.0)
        into_cls, into_dist = torch.autograd.grad(loss, heads, allow_unused=True)
        checks.that(into_cls is not None and into_dist is not None, f"both heads get a gradient ({mode})", came="none")
        cls, dist = (head.detach() for head in heads)
        checks.close(into_cls, 0.7 * (cls.softmax(-1) - F.one_hot(labels, 3)) / 4, f"into the class head ({mode})")
        wanted = (
            0.3 * 2.0 * ((dist / 2.0).softmax(-1) - softened_teacher) / 4
            if mode == "soft"
            else 0.3 * (dist.softmax(-1) - F.one_hot(teacher.argmax(-1), 3)) / 4
        )
        checks.close(into_dist, wanted, f"into the distillation head ({mode})")

with checks.step("what is not given: alpha = 0.5 and temperature = 3"):
    randn = checks.normal(13, dtype=torch.float64)
    student, teacher, labels = randn(4, 3), randn(4, 3), torch.tensor([2, 0, 1, 1])
    wanted = by_loop(student, student, teacher, labels, "soft", 0.5, 3.0)
    checks.close(distillation_loss(student, teacher, labels, "soft"), torch.tensor(wanted).double(), "the loss")

with checks.step("T = 1000: the loss is the squared difference of centered logits over 2 K"):
    randn = checks.normal(4, dtype=torch.float64)
    student, teacher = randn(6, 5), randn(6, 5)
    gap = (student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))
    came = distillation_loss(student, teacher, torch.zeros(6, dtype=torch.long), "soft", 1.0, 1000.0)
    checks.close(came, gap.square().sum(-1).mean() / 10, "the loss", rtol=0.01)

with checks.step("modes that are nearly one of the two"):
    student, teacher, labels = torch.zeros(2, 3), torch.ones(2, 3), torch.tensor([0, 2])
    for mode in ("Soft", "HARD", "softly", "h", ""):
        checks.raises(ValueError, distillation_loss, student, teacher, labels, mode, name=f"mode={mode!r}")
    for alpha in (0.0, 1.0):
        checks.raises(ValueError, distillation_loss, student, teacher, labels, "mean", alpha, name=f"alpha={alpha}")

with checks.step("logits of 500: no infinity"):
    student, teacher = torch.tensor([[500.0, 0.0, -500.0]]), torch.tensor([[-500.0, 0.0, 500.0]])
    came = distillation_loss(student, teacher, torch.tensor([0]), "soft", 0.5, 1.0)
    checks.close(came, torch.tensor(500.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not bool(came.isfinite()),
    })  # fmt: skip
### END HIDDEN TESTS

# %% [markdown]
# The last test of this exercise is a small training run: a teacher that has seen thirty labels, and a student that hears only the teacher.


# %% test="distill" points=4
def learn(loss_fn: Callable, x: torch.Tensor, told: torch.Tensor, x_test: torch.Tensor, seed: int) -> torch.Tensor:
    """Logits (450, 10) of a tiny ViT after 150 steps; `told`: what the teacher says about x."""
    model = tiny_vit(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=150, pct_start=0.1)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(150):
        picked = torch.randint(len(x), (32,), generator=draw)
        images = x[picked] + 0.1 * torch.randn(32, 1, 8, 8, generator=draw)
        labels = torch.zeros(32, dtype=torch.long)  # nobody knows them; with alpha = 1 they do not matter
        loss = loss_fn(model(images), told[picked], labels, "hard", 1.0, 1.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        return model(x_test)


def by_labels(logits: torch.Tensor, told: torch.Tensor, *rest: object) -> torch.Tensor:
    return F.cross_entropy(logits, told.argmax(-1))


def taught(data: datasets.Digits, seed: int) -> tuple[torch.Tensor, torch.Tensor, nn.Module]:
    """Thirty images, their labels as one-hot vectors, and a small CNN that has learned them."""
    few = few_per_class(data.y_train, 3, seed)
    images, names = data.x_train[few], F.one_hot(data.y_train[few], 10).float()
    cnn = small_cnn(seed)
    optimizer = torch.optim.AdamW(cnn.parameters(), lr=3e-3, weight_decay=0.05)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(150):
        picked = torch.randint(30, (32,), generator=draw)
        noisy = images[picked] + 0.1 * torch.randn(32, 1, 8, 8, generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(cnn(noisy), names[picked]).backward()
        optimizer.step()
    return images, names, cnn.eval().requires_grad_(False)


with checks.step("logits that are new in every run: hard, with alpha = 1, is the loss of the teacher's answers"):
    randn = checks.normal(checks.fresh_seed())
    logits, told = randn(7, 10), randn(7, 10)
    came = distillation_loss(logits, told, torch.zeros(7, dtype=torch.long), "hard", 1.0, 1.0)
    checks.close(came, by_labels(logits, told), "the loss")

with checks.step("distilled on the unlabeled images, against the same model on thirty labels"):
    data = datasets.digits()
    thirty, names, cnn = taught(data, 0)
    told = cnn(data.x_train)
    answers = {
        "the teacher, a small CNN": cnn(data.x_test),
        "a ViT on thirty labels": learn(by_labels, thirty, names, data.x_test, 0),
        "a ViT that hears the teacher": checks.beside(learn, distillation_loss, data.x_train, told, data.x_test, 0),
    }
    right = {name: (logits.argmax(-1) == data.y_test).float().mean().item() for name, logits in answers.items()}
    for name, share in right.items():
        print(f"{name:>28}: {share:.0%} of the test images")
    gain = right["a ViT that hears the teacher"] - right["a ViT on thirty labels"]
    checks.that(
        gain >= 0.08,
        "the student gains at least 8 points over thirty labels",
        came=f"{100 * gain:.1f} points",
        causes={
            "the student learned nothing: does the gradient reach it?": lambda: (
                right["a ViT that hears the teacher"] < 0.25
            ),
        },
    )

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


# %% test="regime" points=8
class Backbone(nn.Module):
    """A model with everything that can drift: batch norm, dropout, a plain parameter, and a head with a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten())
        self.head_norm = nn.LayerNorm(144)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(144, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.head_norm(self.scale * self.stem(x)))


def three_steps(fn: Callable, model: nn.Module, regimes: Sequence[str], size: int) -> dict:
    """What the last of some regimes does to a model, and what three steps of AdamW change in it."""
    given = {name: value.clone() for name, value in model.state_dict().items()}
    for regime in regimes:
        fn(model, regime)
    redrawn = [name for name, value in model.state_dict().items() if not torch.equal(value, given[name])]
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    torch.manual_seed(0)  # for dropout
    randn = checks.normal(0)
    for _ in range(3 if names else 0):
        optimizer.zero_grad()
        F.cross_entropy(model(randn(6, 1, size, size)), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
        optimizer.step()
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    after = torch.cat([value.detach().flatten().float() for value in model.state_dict().values()])
    return {"learn": names, "modes": modes, "changed": changed, "all": list(before), "redrawn": redrawn, "after": after}


with checks.step("frozen: three steps of AdamW on a model with batch norm and dropout"):
    torch.manual_seed(0)
    seen = checks.beside(three_steps, set_regime, Backbone(), ["frozen"], 8)
    checks.that(
        not seen["redrawn"],
        "set_regime changes no number of the model",
        came=f"changed: {', '.join(seen['redrawn'])}",
        causes={
            "the head was drawn anew; the weights are the caller's affair": lambda: all(
                name.startswith("head.") for name in seen["redrawn"]
            )
        },
    )
    drifted = [name for name in seen["changed"] if not name.startswith("head.")]
    checks.that(
        not drifted,
        "backbone parameters and buffers are as before, bit by bit",
        came=f"changed: {', '.join(drifted)}",
        causes={
            "running statistics drift: batch norm is in train mode; put the backbone in eval mode": lambda: all(
                "running" in name or "tracked" in name for name in drifted
            ),
            "head_norm is no part of the head, though its name begins like it": lambda: all(
                name.startswith("head_norm") for name in drifted
            ),
            "parameters of the backbone still learn": lambda: "stem.0.weight" in drifted,
        },
    )
    checks.equal(sorted(n for n in seen["changed"] if n.startswith("head.")), ["head.1.bias", "head.1.weight"],
                 "what changed in the head", causes={"the head is frozen, too; nothing learns": []})  # fmt: skip
    checks.that(
        seen["modes"]["head"] and seen["modes"]["head.0"],
        "the head is in train mode",
        came="eval mode, so its dropout is off",
    )
    still = [name for name, training in seen["modes"].items() if training and name.split(".")[0] != "head"]
    checks.that(
        not still,
        "every module outside of the head is in eval mode",
        came=f"in train mode: {', '.join(map(repr, still))}",
    )

with checks.step("full: the same model"):
    seen = checks.beside(three_steps, set_regime, Backbone(), ["full"], 8)
    checks.equal(seen["changed"], seen["all"], "what three steps change")
    checks.that(all(seen["modes"].values()), "every module is in train mode", came="modules in eval mode")

with checks.step("a regime that does not exist"):
    checks.raises(ValueError, set_regime, Backbone(), "half", name='regime="half"')

### BEGIN HIDDEN TESTS
for regimes in (["frozen", "full"], ["frozen", "scratch"], ["frozen", "frozen", "full"]):
    with checks.step(f"{', then '.join(regimes)}"):
        model = Backbone().eval()
        seen = checks.beside(three_steps, set_regime, model, regimes, 8)
        checks.that(
            not seen["redrawn"],
            "set_regime changes no number of the model",
            came=f"changed: {', '.join(seen['redrawn'])}",
        )
        checks.equal(seen["changed"], seen["all"], "what three steps change", causes={
            "a later call does not undo an earlier one: parameters stay frozen": lambda: (
                "stem.0.weight" not in seen["changed"]
            ),
            "a later call does not undo an earlier one: modules stay in eval mode": lambda: (
                "stem.1.running_mean" not in seen["changed"]
            ),
        })  # fmt: skip
        checks.that(all(seen["modes"].values()), "every module is in train mode", came="modules in eval mode")


def by_hand(model: nn.Module, regime: str) -> None:
    for part in model.modules():
        part.training = regime == "full" or part in set(model.head.modules())
    of_head = {id(p) for p in model.head.parameters()}
    for p in model.parameters():
        p.requires_grad = regime == "full" or id(p) in of_head


for regime in ("frozen", "full"):
    with checks.step(f"{regime}: every number after three steps"):
        torch.manual_seed(5)
        model = Backbone()
        came = checks.beside(three_steps, set_regime, copy.deepcopy(model), [regime], 8)["after"]
        wanted = three_steps(by_hand, model, [regime], 8)["after"]
        checks.close(came, wanted, "parameters and buffers, against a model whose flags were set by hand")

with checks.step("timm's ViT, full and then frozen"):
    seen = checks.beside(three_steps, set_regime, tiny_vit(0, num_classes=3), ["full", "frozen"], 8)
    checks.equal(sorted(seen["changed"]), ["head.bias", "head.weight"], "what three steps change")
    checks.equal(sorted(seen["learn"]), ["head.bias", "head.weight"], "the parameters that require a gradient")
    still = [name for name, training in seen["modes"].items() if training]
    checks.equal(still, ["head"], "the modules in train mode")


class HeadFirst(nn.Module):
    """A model whose head stands first and holds a batch norm, with a part called head inside of another part."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.BatchNorm1d(6, momentum=0.3), nn.Linear(6, 3))
        self.tower = nn.ModuleDict({"head": nn.Linear(4, 6), "norm": nn.GroupNorm(2, 6), "drop": nn.Dropout(0.2)})
        self.tower["batch_norm"] = nn.BatchNorm2d(2)
        nn.init.constant_(self.tower["batch_norm"].running_mean, 3.0)


def set_on(fn: Callable, regime: str) -> dict:
    """Modes and flags after a call on a model in use whose head was frozen, and the state of all else around it."""
    model = unchanged.in_use(HeadFirst())
    model.head.requires_grad_(False)
    before = unchanged.state_of(model)
    fn(model, regime)
    modes = [name for name, part in model.named_modules() if part.training]
    learns = [name for name, p in model.named_parameters() if p.requires_grad]
    return {"modes": modes, "learns": learns, "before": before, "after": unchanged.state_of(model)}


for regime in ("frozen", "scratch", "full"):
    with checks.step(
        f"{regime}, on a model whose head stands first and was frozen, and where another part is called head"
    ):
        seen = checks.beside(set_on, set_regime, regime)
        parts = [name for name, _ in HeadFirst().named_modules()]
        names = [name for name, _ in HeadFirst().named_parameters()]
        of_head = [[name for name in found if (name + ".").startswith("head.")] for found in (parts, names)]
        wanted = of_head if regime == "frozen" else [parts, names]
        checks.equal(sorted(seen["modes"]), sorted(wanted[0]), "the modules in train mode")
        checks.equal(sorted(seen["learns"]), sorted(wanted[1]), "the parameters that require a gradient")
        for what in ("settings", "gradients", "parameters", "buffers", "hooks"):
            checks.equal(seen["after"][what], seen["before"][what], f"the {what} of the model, as before the call")


def after_an_error(fn: Callable, model: nn.Module) -> tuple[list[bool], list[bool]]:
    """`requires_grad` and mode of everything before and after a call with an unknown regime."""
    model.stem.eval().requires_grad_(False)

    def flags() -> list[bool]:
        return [p.requires_grad for p in model.parameters()] + [m.training for m in model.modules()]

    before = flags()
    try:
        fn(model, "half")
    except ValueError:
        return before, flags()
    return before, []


with checks.step("the model after a regime that does not exist"):
    before, after = checks.beside(after_an_error, set_regime, Backbone())
    checks.equal(after, before, "requires_grad and mode of everything, against those before the call")
    checks.equal(len(after), 20, "the number of parameters and modules")

with checks.step("names that are nearly a regime"):
    for regime in ("", "Frozen", "fro", "FULL"):
        checks.raises(ValueError, set_regime, Backbone(), regime, name=f"regime={regime!r}")
### END HIDDEN TESTS

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
# There is one start, as in practice. A seed draws other labels, other weights where they are random, and other batches. The targets, as means over three seeds: **full beats scratch by at least 8 points, and distilled beats scratch by at least 10**. Frozen need not beat scratch. The cell runs one seed; set `SEEDS = 3` and `EVERYTHING = True` for the table below it (half a minute).


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


def all_ways(seed: int, start: nn.Module, everything: bool) -> tuple[dict[str, list[float]], dict[str, nn.Module]]:
    """Accuracy curves of every way to use thirty labels, and the models; with `everything` three ways more."""
    device = profile.device()
    few = few_per_class(handwriting.y_train, 3, seed)
    thirty = labeled_batches(handwriting.x_train[few], handwriting.y_train[few])
    models = {"scratch": tiny_vit(seed + 100), "frozen": copy.deepcopy(start), "full": copy.deepcopy(start)}
    for regime, model in models.items():
        set_regime(model.to(device), regime)
    teacher = small_cnn(seed).to(device)
    rates = {"scratch": 2e-3, "frozen": 1e-2, "full": 1e-3, "small CNN": 3e-3}
    pupils = models | {"small CNN": teacher}
    curves = profile.side_by_side(lambda way: curve_of(pupils[way], thirty, rates[way], seed), rates)
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
            found[way] = curve_of(tiny_vit(seed + 100).to(device), batch, 2e-3, seed, loss)
    return found, models


start = tiny_vit(0).to(profile.device())
start_curve = curve_of(start, labeled_batches(typed_x, typed.y), 2e-3, seed=0, steps=150)
SEEDS = profile.pick(cpu=1, gpu=10)
EVERYTHING = profile.pick(cpu=False, gpu=True)
how_many = "one seed" if SEEDS == 1 else f"mean of {SEEDS} seeds"
runs, trained = zip(*(all_ways(seed, start, EVERYTHING) for seed in range(SEEDS)))
models = trained[0]
by_way = {way: [run[way] for run in runs] for way in runs[0]}
mean = {way: sum(curve[-1] for curve in curves) / len(curves) for way, curves in by_way.items()}
rows = [
    {"way": way, "mean": f"{mean[way]:.1%}", **{f"seed {k}": f"{c[-1]:.1%}" for k, c in enumerate(curves)}}
    for way, curves in by_way.items()
]
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
# - **Full** starts at about half of the digits right, without one label of handwriting, and thirty labels carry it far beyond scratch. **Frozen** can only re-mix what type has taught it; it stops early.
# - **Distilled** never saw a label of yours. It comes out up to 12 points below its teacher, and once level with it: where the teacher's mistakes differ from image to image, a student that must find one rule for 1,347 images cannot follow each of them. On **only the thirty images** the same teacher is no help at all: there it says exactly what the labels say, so the run is scratch again, digit for digit. What counts is the pool.
# - **Hard** beats soft here, as DeiT reports for ImageNet. That is agreement, not proof: one temperature, three seeds, 100 steps.

# %% [markdown]
# ### Look: where does the class token look?
#
# Fine-tuning moved the weights. Did it move the attention? Each picture shows the last block's attention from the class token to the 16 patches, averaged over the heads, before (trained on type) and after (fine-tuned on thirty labels). The **Jensen-Shannon divergence** says how different two distributions are: 0 bits for the same, 1 bit for no overlap.


# %% explore=true
def class_attention(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Attention (B, 4, 4) from the class token to the patches in the last block, averaged over heads, sum 1."""
    caught: list[torch.Tensor] = []
    attention = model.blocks[-1].attn
    listener = attention.qkv.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    with torch.no_grad():
        model.eval()(images.to(profile.device()))
    listener.remove()
    query, key, _ = caught[0].cpu().unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    to_patches = weights[:, :, 0, 1:].mean(1)
    return (to_patches / to_patches.sum(-1, keepdim=True)).unflatten(1, (4, 4))


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
# The same functions train on photographs. With `PROFILE=gpu` the cells below train a ViT from scratch on CIFAR-10 (target: over 75 %), fine-tune a ViT-B that was pre-trained on ImageNet, frozen and in full (target: over 80 % on Food-101), and compare a distilled with a plain tiny model on CIFAR-100. (timm's `deit_tiny_distilled` has two tokens before the patches. In train mode, too, it returns the mean of its two heads, unless you call `set_distilled_training(True)`; then it returns the pair that your `distillation_loss` takes.) With `PROFILE=cpu` they say so and do nothing, unless you have CIFAR-10 on disk and set `WORKBOOK_DATA`: then a small ViT trains on 5,000 photographs for about two minutes.

# %% explore=true
import os


def not_measured(what: str, target: str) -> None:
    print(f"{what}: not measured here (target: {target}).")
    print("  this would: PROFILE=gpu workbook record --keep-nothing week03")


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
    not_measured("CIFAR-10 from scratch", "over 75 %")
    if "WORKBOOK_DATA" in os.environ and (datasets.data_folder() / "cifar10").is_dir():
        last, averaged = photographs(0, 5000, 2000, steps=600, batch=64, width=64, depth=4, mixing=False)
        print(f"5,000 photographs, 600 steps, a small ViT: {last:.1%}, averaged weights {averaged:.1%}")


# %% explore=true
def pretrained(name: str, classes: int) -> nn.Module:
    """A model of timm's with pre-trained weights and a new head."""
    try:
        return timm.create_model(name, pretrained=True, num_classes=classes).to(profile.device())
    except OSError as error:
        raise FileNotFoundError(
            f"the weights of {name} are not in the cache and could not be downloaded ({error}). Run "
            f"`hf download timm/{name}` on a machine with network and copy ~/.cache/huggingface, or set HF_HOME to it."
        ) from error


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


def food(regime: str, steps: int, batch: int = 128) -> float:
    """Fine-tune a ViT-B on Food-101; test accuracy."""
    from torchvision.transforms import v2

    torch.manual_seed(0)
    model = pretrained("vit_base_patch16_224.augreg2_in21k_ft_in1k", 101)
    set_regime(model, regime)
    numbers = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    train = datasets.food101(
        transform=v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.RandAugment(2, 7), *numbers])
    )
    test = datasets.food101(train=False, transform=v2.Compose([v2.Resize(248), v2.CenterCrop(224), *numbers]))
    rate = {"frozen": 1e-3, "full": 3e-5}[regime]
    fit(model, loop_over(train, batch), cross_entropy, steps=steps, base_lr=rate, seed=0)
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in torch.utils.data.DataLoader(test, 256, num_workers=min(16, os.cpu_count() or 1)):
            right += (model(images.to(profile.device())).argmax(-1).cpu() == labels).sum().item()
    return right / len(test)


def small_models(steps: int, batch: int = 128) -> dict[str, float]:
    """Fine-tune two tiny models on CIFAR-100 at 224 pixels, one of them with a distillation token; test accuracies."""
    train, test = datasets.cifar100(), datasets.cifar100(train=False)

    def enlarged(images: torch.Tensor) -> torch.Tensor:
        return F.interpolate((images - 0.5) / 0.25, size=(224, 224), mode="bilinear")

    found = {}
    for name in ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "deit_tiny_distilled_patch16_224.fb_in1k"):
        torch.manual_seed(0)
        model = pretrained(name, 100)
        set_regime(model, "full")
        plain = labeled_batches(train.x, train.y, size=batch, noise=0.0)

        def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return cross_entropy(model, enlarged(x), y)

        fit(model, plain, loss, steps=steps, base_lr=1e-4, seed=0)
        found[name] = accuracy(nn.Sequential(Enlarge(enlarged), model), test.x, test.y)
    return found


class Enlarge(nn.Module):
    """A function as a module."""

    def __init__(self, change: Callable) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(x)


if profile.current() is profile.Profile.GPU:
    for regime, steps in (("frozen", 1500), ("full", 3000)):
        print(f"Food-101, {regime}: {food(regime, steps):.1%}, target over 80 % in full")
    for name, share in small_models(2000).items():
        print(f"CIFAR-100, {name}: {share:.1%}")
else:
    not_measured("Food-101, a ViT-B frozen and in full", "over 80 % in full")
    not_measured("CIFAR-100, a plain and a distilled tiny ViT", "none, a comparison")

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
# ## What to take along
#
# - A recipe is small decisions: matrices decay and the rest does not; the rate warms up, then falls; a long gradient is shortened as a whole.
# - The first steps need a small learning rate. Clipping helps on top of warm-up and does not replace it; look at the norms before you choose a limit.
# - Every augmentation is a claim about the label. CutMix helped with thirty labels and cost points with all of them; a shift of one pixel at 8 x 8 always lost.
# - Soft labels follow the pixels: count what was pasted, not what was planned.
# - Pre-training on something similar, or a teacher on unlabeled images, was worth more than any augmentation here. The teacher helps where it says something that the labels do not.
# - Frozen means parameters **and** buffers. Prove it bit by bit.
# - Look at the start of your baseline before you believe that your method beats it.
# - Next week the blocks themselves change: windows, pyramids, and attention without the square.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="report" points=6 minutes=45
# **W1. Training report (6 points).** For a reader who must choose between scratch, frozen, full and distilled: why does pre-training on type help here, when would it not, and when would you use each? Speak about features, number of labels, the gap between type and handwriting, training time, and give numbers.
#
# ### BEGIN SOLUTION
# One point each.
# - Features: strokes, bends and their places learned on type serve handwriting as well; the start without a label is already about half right.
# - Labels: with thirty, full is far above scratch (own numbers); with all 1,347 scratch reaches over 90 %, and the gain shrinks.
# - Domain gap: type is not handwriting; frozen cannot close the gap (its features stay), full can; with an unrelated source the gain would vanish or turn negative.
# - Time: a frozen step costs about one forward pass instead of three (own table), and its features can be stored; pre-training costs 150 steps once.
# - Choice: scratch with many labels or no related source; frozen with very few labels, little time, a close source; full with a moderate number; distilled with a good teacher and an unlabeled pool.
# - Honest numbers: means and range over seeds, from the table in the text or from an own run with `SEEDS = 3`, not one lucky run.
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
