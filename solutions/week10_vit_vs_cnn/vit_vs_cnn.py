# %% [markdown]
# # Week 10: ViT against CNN
#
# ![Left: three pictures, each with the attention rollout of a ViT and the Grad-CAM of a CNN beside it. Middle: accuracy against the size of an attack; the curves of ViT and CNN cross. Right: shape bias of both models after training with faint and with strong textures.](outcome.png)
#
# *What you will have built by the end of this week. Left: what a ViT and a CNN look at. Middle: accuracy under the strongest attack you can write; which model is better depends on its size. Right: which cue the models follow, and that the data decides it.*
#
# **After this week you can**
#
# - compare two architectures under one budget: parameters, batches, schedule, seeds;
# - write Grad-CAM, and prove it on a network where the right answer is known;
# - attack a model with FGSM, PGD and the method of Carlini and Wagner, inside the norm ball that you promised;
# - draw robustness curves with intervals, and notice when a curve flatters the model;
# - ask a model whether it follows shape or texture, and say what the answer depends on;
# - tell whether two models make the same errors, or just as many, and name the kinds of pictures that break either;
# - recommend one of them for given conditions, with numbers.
#
# **Time** about 12 hours: 3 of reading, 7 of coding, 2 of experiments. **You need** the ideas of week 3 (a training loop) and week 9 (attention rollout, which is given here). Nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $x$, $y$ | image, its true class | $\varepsilon$ | largest change of a pixel, in units of $[0, 1]$ |
# | $z_k(x)$ | logit of class $k$ | $\delta$ | what an attack adds to $x$ |
# | $\mathcal L$ | cross-entropy | $\kappa$ | confidence that an attack asks for; elsewhere Cohen's kappa |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import display
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session, unchanged
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # both models are small, and seconds on one thread can be compared
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## The contestants
#
# A convolution looks at $3 \times 3$ pixels and does the same everywhere: **locality** and **translation equivariance** are built in. A ViT gets patches and may connect any two of them from its first layer; what is near must be learned. Those are two *inductive biases*. What do they change? Accuracy? What the model looks at? What breaks it?
#
# One can answer such a question with two models from the internet, and many papers did. But those differ in data, augmentation, training length and size, too, and then nobody knows what made the difference. We hold everything equal that can be held equal.
#
# Both models below get pixels of $[0, 1]$ and **normalize inside**. So whoever attacks them counts in pixels, and nobody can forget the units.


# %% given="models"
class Normalize(nn.Module):
    """Pixels of [0, 1] around 0, with a spread of about 1: the first layer of both models."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class Block(nn.Module):
    """A pre-norm transformer block; `attention` gives the weights that `forward` uses."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_before, self.norm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def heads(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Query, key and value, each (B, H, N, d)."""
        return (
            self.project_in(self.norm_before(tokens))
            .unflatten(-1, (3, self.n_heads, -1))
            .permute(2, 0, 3, 1, 4)
            .unbind()
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mixed = F.scaled_dot_product_attention(*self.heads(tokens))
        tokens = tokens + self.project_out(mixed.transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.norm_after(tokens))

    def attention(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attention weights (B, H, N, N) for tokens (B, N, D)."""
        query, key, _ = self.heads(tokens)
        return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)


class TinyViT(nn.Module):
    """A small ViT with a class token: (B, C, s, s) in [0, 1] to logits (B, classes)."""

    def __init__(
        self, classes: int = 4, channels: int = 1, size: int = 32, patch: int = 8, width: int = 64, depth: int = 3,
        normalize: tuple[float, float] = (0.45, 0.15),
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalize = Normalize(*normalize)
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.5 * torch.randn(1, 1 + (size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, n_heads=4) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Images to tokens (B, 1 + N, D); the class token comes first."""
        patches = self.patches(self.normalize(images)).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1) + self.positions

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.embed(images))[:, 0]))


class SmallCNN(nn.Module):
    """Four convolutions with batch norm, then the mean over all places: (B, C, s, s) in [0, 1] to logits (B, classes)."""

    def __init__(
        self, widths: Sequence[int], classes: int = 4, channels: int = 1, normalize: tuple[float, float] = (0.45, 0.15)
    ) -> None:
        super().__init__()

        def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
            layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())

        one, two, three, four = widths
        self.normalize = Normalize(*normalize)
        self.stage1 = nn.Sequential(convolution(channels, one, stride=2), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(convolution(one, two), convolution(two, three))  # s/4 x s/4 places
        self.stage3 = nn.Sequential(nn.MaxPool2d(2), convolution(three, four))
        self.head = nn.Linear(four, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stage3(self.stage2(self.stage1(self.normalize(images))))
        return self.head(maps.mean((2, 3)))


# %% [markdown]
# ### The arena
#
# Geirhos et al. (2019) put the skin of an elephant on the shape of a cat and asked networks what they see. Our pictures are a small, exact version of that: a silhouette, filled with a texture. In training both tell the class: circles are striped horizontally, squares vertically, triangles diagonally, crosses have checks. **Either cue suffices**, and nobody tells the models which one to use. Three further sets take the cues apart.
#
# | set | silhouette | texture | what it asks |
# | --- | --- | --- | --- |
# | `match` | class $k$ | class $k$ | training, and clean accuracy |
# | `conflict` | class $k$ | another class | which cue wins? |
# | `shape` | class $k$ | none | is the silhouette enough? |
# | `texture` | none | class $k$, everywhere | is the texture enough? |

# %% explore=true
train_set = datasets.cue_images(1500, seed=0, mode="match")
test_set = datasets.cue_images(400, seed=1, mode="match")
conflict, shape_only, texture_only = (
    datasets.cue_images(400, seed, mode) for seed, mode in ((2, "conflict"), (3, "shape"), (4, "texture"))
)


def shown_per_class(data: datasets.Cues, labels: torch.Tensor, each: int = 2) -> torch.Tensor:
    """Indices of the first `each` pictures of every class."""
    return torch.cat([(labels == k).nonzero()[:each, 0] for k in range(4)])


sets = {"match": test_set, "conflict": conflict, "shape": shape_only, "texture": texture_only}
rows = [data.x[shown_per_class(data, data.texture if name == "texture" else data.shape)] for name, data in sets.items()]
fig, axes = plt.subplots(4, 1, figsize=(9.6, 5.2))
for ax, name, pictures in zip(axes, sets, rows):
    ax.imshow(torch.cat(list(F.pad(pictures[:, 0], (1, 1, 1, 1), value=1.0)), dim=1), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.text(-4, 17, name, ha="right", va="center", fontsize=12)
fig.suptitle("two pictures of each class: circle, square, triangle, cross", fontsize=12)
plt.show()

# %% [markdown]
# ## Part 1. One budget
#
# **Predict.** Both models will see the same 120 batches. Which one will be better on `match`? Which one on `shape` alone?

# %% [markdown] about="budget"
# ### Exercise 1. A fair comparison
#
# **Why.** A difference between two models says something about their architectures only if nothing else differs.
#
# $$\text{chosen} = \arg\min_{m}\; \lvert P_m - P^{*} \rvert \qquad \text{if } \lvert P_{\text{chosen}} - P^{*} \rvert \le t\, P^{*}$$
#
# Then train. For **each seed and each model**: set torch's seed, make the model, and start a *fresh* generator with the same seed, from which all batches come. So the models see the same images in the same order, however many random numbers their own weights needed.
#
# | function | takes | gives |
# | --- | --- | --- |
# | `match_budget` | name → parameters, $P^*$, tolerance $t$ (edge included) | the name nearest to $P^*$; ValueError if none is within $t\,P^*$ |
# | `fair_train` | name → function that makes a model; $(x, y, x_{\text{test}}, y_{\text{test}})$; steps; seeds | name → a list of `Run`, one a seed |
#
# The recipe is the same for all: AdamW with weight decay 0.05, `OneCycleLR` with peak `lr` and `pct_start=0.2`, one step of each a batch; cross-entropy, its mean over the batch; gradients of one batch only. The model learns in train mode, whatever mode it was made in. A batch is `torch.randint(len(x), (batch,), generator=draw)`; with `augment` the model gets `augment(images, draw)`.


# %% given="run"
@dataclass(frozen=True, eq=False)
class Run:
    """One training: the model in eval mode, its number of parameters (all of them, frozen ones too), seconds of CPU
    time of the training, and test accuracy in [0, 1]."""

    model: nn.Module
    params: int
    seconds: float
    accuracy: float


Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Training images and labels, test images and labels."""


# %% exercise="budget" difficulty=2 minutes=45
def match_budget(candidates: Mapping[str, int], target_params: int, tolerance: float = 0.1) -> str:
    """The candidate whose number of parameters is nearest to the target.

    Parameters
    ----------
    candidates : name -> number of parameters. target_params : what to match. tolerance : as a share of the target.

    Returns
    -------
    A name.

    Raises
    ------
    ValueError : when no candidate is within `tolerance * target_params` of the target, the edge included.
    """
    ### BEGIN SOLUTION
    nearest = min(candidates, key=lambda name: abs(candidates[name] - target_params))
    if abs(candidates[nearest] - target_params) > tolerance * target_params:
        raise ValueError(f"no candidate within {tolerance:.0%} of {target_params} parameters: {dict(candidates)}")
    return nearest
    ### END SOLUTION


def fair_train(
    models: Mapping[str, Callable[[], nn.Module]], data: Data, steps: int, seeds: Sequence[int], batch: int = 48,
    lr: float = 3e-3, augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
) -> dict[str, list[Run]]:  # fmt: skip
    """Train every model from every seed on the same batches in the same order.

    Parameters
    ----------
    models : name -> a function without arguments that makes a fresh model, images to logits.
    data : x (n, ...) and y (n,) int64 to learn from, x_test and y_test to measure on.
    steps : batches for each model. seeds : each one trains every model once. batch : images in a batch.
    lr : the peak of the schedule. augment : called with a batch and the generator of the batches, if given.

    Returns
    -------
    name -> a `Run` for each seed, in the order of `seeds`. Accuracy is measured once, at the end, in eval mode.
    """
    ### BEGIN SOLUTION
    x, y, x_test, y_test = data
    results: dict[str, list[Run]] = {name: [] for name in models}
    for seed in seeds:
        for name, make in models.items():
            torch.manual_seed(seed)
            model = make()
            draw = torch.Generator().manual_seed(seed)  # fresh for each model: all of them get the same batches
            optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.05, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.2)
            began = time.process_time()
            model.train()
            for _ in range(steps):
                picked = torch.randint(len(x), (batch,), generator=draw)
                images = x[picked] if augment is None else augment(x[picked], draw)
                optimizer.zero_grad()
                F.cross_entropy(model(images), y[picked]).backward()
                optimizer.step()
                schedule.step()
            seconds = time.process_time() - began
            model.eval()
            with torch.no_grad():
                right = sum(
                    (model(images).argmax(1) == labels).sum().item()
                    for images, labels in zip(x_test.split(500), y_test.split(500))
                )
            params = sum(parameter.numel() for parameter in model.parameters())
            results[name].append(Run(model, params, seconds, right / len(y_test)))
    return results
    ### END SOLUTION


# %% look="budget"
# Look: four CNNs beside the ViT. The band is what 10 % allow.
with checks.look():
    look_target = profiling.parameter_count(TinyViT())
    look_widths = {
        "narrow": (16, 32, 48, 64),
        "even": (48, 56, 64, 72),
        "rising": (24, 48, 72, 92),
        "wide": (32, 64, 96, 128),
    }
    look_counts = {name: profiling.parameter_count(SmallCNN(widths)) for name, widths in look_widths.items()}
    fig, ax = plt.subplots(figsize=(7.2, 2.6))
    ax.axvspan(0.9 * look_target, 1.1 * look_target, color=plotting.COLORS[0], alpha=0.15)
    ax.axvline(look_target, color=plotting.COLORS[0], label=f"ViT, {look_target:,} parameters")
    ax.barh(list(look_counts), list(look_counts.values()), color=plotting.COLORS[1], height=0.5)
    ax.set(xlabel="parameters", title="CNNs by their widths", xlim=(0, 250_000))
    ax.legend(loc="lower right")
    plt.show()
    print("nearest:", match_budget(look_counts, look_target))

# %% [markdown] hints="budget"
# <details><summary>Hint 1: the idea</summary>
#
# `match_budget`: find the nearest first, ask about the tolerance afterwards. `fair_train`: two loops, seeds outside, models inside. Whatever is random is set anew at the beginning of the inner loop.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     for each seed:
#         for each name, make:
#             torch's seed = seed;  model = make();  draw = new generator with seed
#             optimizer, schedule
#             model in train mode; `steps` times:
#                 draw indices;  images;  augment if given
#                 zero gradients, loss, backward, step of the optimizer, step of the schedule
#             model in eval mode;  share of test images that are right
#             append Run(model, number of parameters, seconds, accuracy) to the list of this name
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `min(candidates, key=lambda name: abs(candidates[name] - target_params))`. `torch.Generator().manual_seed(seed)` inside the inner loop. `time.process_time()` before and after the steps. `sum(p.numel() for p in model.parameters())`. Measure under `torch.no_grad()`, after `model.eval()`.
#
# </details>

# %% [markdown]
# ### Train both
#
# `SEEDS` holds one seed on two cores. `range(5)` trains four more of each (about a minute).

# %% explore=true
SEEDS = profile.pick(cpu=(0,), gpu=range(5))
STEPS = 120
CNNS = {"narrow": (16, 32, 48, 64), "even": (48, 56, 64, 72), "rising": (24, 48, 72, 92), "wide": (32, 64, 96, 128)}
budget = profiling.parameter_count(TinyViT())
widths = CNNS[match_budget({name: profiling.parameter_count(SmallCNN(w)) for name, w in CNNS.items()}, budget)]


def make_cnn() -> SmallCNN:
    """The CNN that matches the ViT, with channels last in memory, which makes convolutions faster."""
    return SmallCNN(widths).to(memory_format=torch.channels_last)


MAKERS = {"ViT": TinyViT, "CNN": make_cnn}
data = (train_set.x, train_set.shape, test_set.x, test_set.shape)


def watched(
    makers: Mapping[str, Callable[[], nn.Module]], steps: int, seeds: Sequence[int]
) -> tuple[dict[str, list[Run]], dict[str, torch.Tensor]]:
    """What `fair_train` gives, and the loss of each batch, name -> (seeds, steps).

    `fair_train` hands out no losses. But a hook can keep the logits of each batch, and the seed tells its labels.
    """
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in makers}
    hooks = []

    def maker(name: str) -> Callable[[], nn.Module]:
        def keep(model: nn.Module, _given: tuple, logits: torch.Tensor) -> None:
            if model.training:
                kept[name].append(logits.detach())

        def make() -> nn.Module:
            model = makers[name]()
            hooks.append(model.register_forward_hook(keep))
            return model

        return make

    found = fair_train({name: maker(name) for name in makers}, data, steps, seeds)
    for hook in hooks:
        hook.remove()
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    labels = [data[1][torch.randint(len(data[1]), (48,), generator=draw)] for draw in draws for _ in range(steps)]
    losses = {name: torch.stack([F.cross_entropy(*pair) for pair in zip(kept[name], labels)]) for name in makers}
    return found, {name: values.reshape(len(seeds), steps) for name, values in losses.items()}


runs, losses = watched(MAKERS, STEPS, SEEDS)
vit, cnn = (runs[name][0].model for name in MAKERS)


@torch.no_grad()
def predicted(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The class of each image, (n,) int64."""
    return torch.cat([model(part).argmax(1) for part in images.split(250)])


def share(pred: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of predictions that are equal to the labels."""
    return (pred == labels).float().mean().item()


table = [
    {
        "model": name, "seed": seed, "parameters": run.params, "CPU s": f"{run.seconds:.1f}", "match": run.accuracy,
        "shape only": share(predicted(run.model, shape_only.x), shape_only.shape),
        "texture only": share(predicted(run.model, texture_only.x), texture_only.texture),
    }
    for name, of_model in runs.items()
    for seed, run in zip(SEEDS, of_model)
]  # fmt: skip
print(profiling.table(table, title=f"{STEPS} steps of 48 images, chance 0.25"))
ratio = runs["CNN"][0].params / runs["ViT"][0].params
print(f"parameters CNN / ViT: {ratio:.3f}; target within 10 %:", "reached" if abs(ratio - 1) <= 0.1 else "NOT reached")
lowest = min(row["match"] for row in table)
print(f"lowest accuracy on match: {lowest:.3f}; target at least 0.95:", "reached" if lowest >= 0.95 else "NOT reached")

# %% [markdown]
# ### Have they converged?
#
# Whoever compares two models that are half trained compares how fast they learn. A loss curve alone does not tell: the schedule brings the learning rate down to 0, so that **every** curve ends flat, wherever it ends. Train half as long, then, and ask what the second half has changed.

# %% explore=true
shorter_runs, shorter_losses = watched(MAKERS, STEPS // 2, SEEDS[:1])
fig, ax = plt.subplots(figsize=(9, 3.6))
rows = []
for name, color in zip(MAKERS, plotting.COLORS):
    for steps, found, of_batches in ((STEPS // 2, shorter_runs, shorter_losses), (STEPS, runs, losses)):
        curve, line = of_batches[name][0], "-" if steps == STEPS else ":"
        smooth = curve.unfold(0, 10, 1).mean(1)
        ax.plot(range(10, steps + 1), smooth, color=color, linestyle=line, label=f"{name}, {steps} steps")
        with torch.no_grad():
            on_test = F.cross_entropy(found[name][0].model(test_set.x), test_set.shape).item()
        rows.append({
            "model": name, "steps": steps, "loss, last 20 steps": curve[-20:].mean().item(),
            "the 20 before": curve[-40:-20].mean().item(), "loss on match": on_test, "match": found[name][0].accuracy,
        })  # fmt: skip
ax.set(
    yscale="log", xlabel="step", ylabel="loss, mean of 10 batches", title="each schedule ends flat, wherever it ends"
)
ax.grid(alpha=0.3)
fig.legend(loc="outside right upper")
plt.show()
print(profiling.table(rows, title="seed 0"))

# %% [markdown]
# **Explain.** Accuracy has converged: the second half changed next to nothing on `match`. The loss has not. Cross-entropy falls on for as long as logits may grow, and with the margins may change all that depends on them, such as the size of an attack that is needed. Part 3 therefore attacks the shorter runs, too.
#
# On `match` nothing separates the two: both solve it. Nor do parameters, they were matched. But a convolution uses each weight at many places, so equal parameters do not mean equal work: the profiling corner counts twice as many FLOPs for the CNN. **A budget is a choice**; say which one you held equal. On `texture` both are perfect. On `shape` the ViT guesses, and the CNN does a little better. They were free to use either cue, and both took the texture. Is that their nature or our doing? Part 4 asks.
#
# ## Part 2. What do they look at?
#
# A ViT shows its attention (week 9). A CNN has none, but it keeps a map for every channel up to the last convolution. Which of these maps spoke for the class?

# %% [markdown] about="gradcam"
# ### Exercise 2. Grad-CAM
#
# **Why.** It explains any network with maps in it, without changing or retraining it (Selvaraju et al. 2017, section 3).
#
# $$\alpha_k = \frac{1}{h w} \sum_{i,j} \frac{\partial z_c}{\partial A_{k,ij}}, \qquad M = \operatorname{ReLU}\Bigl(\sum_k \alpha_k A_k\Bigr)$$
#
# $A_k$ is the map of channel $k$ after a layer, $h \times w$ places; $z_c$ is the logit of the class that is asked about. A channel speaks *for* the class if raising it raises the logit: $\alpha_k > 0$. The ReLU comes **after** the sum: a place may have much of a good channel and even more of a bad one, and must end at 0.
#
# Then the map is brought to the size of the image (bilinear, `align_corners=False`) and divided by its own largest value, image by image. A map that is 0 everywhere stays 0.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `model`, `layer` | | any network; the dotted name of a part whose output is $(B, K, h, w)$ |
# | `images`, `targets` | $(B, C, H, W)$; $(B,)$ int64 | `targets` are the classes $c$ asked about, which need not be those predicted |
# | result | $(B, H, W)$ | from 0 to 1, no gradient |
#
# The model is asked in eval mode and is left as it was found, also when it raises an error: the mode of every part, hooks, gradients that were there before, what wants gradients. `evaluating` takes care of the mode.


# %% given="evaluating"
@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for the whole model inside the block; afterwards every part is in the mode that it had."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


# %% exercise="gradcam" difficulty=3 minutes=50
def grad_cam(model: nn.Module, layer: str, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Where the maps of a layer speak for a class (Selvaraju et al. 2017, equations 1 and 2).

    Parameters
    ----------
    model : images to logits (B, classes); asked in eval mode and left as it was found, also after an error.
    layer : dotted name of a part of the model with output (B, K, h, w). The part after it may be one that overwrites
        what it is given, as nn.ReLU(inplace=True) does.
    images : (B, C, H, W), not changed. targets : (B,) int64, the class asked about in each image.

    Returns
    -------
    (B, H, W) in the dtype of the images, each map with maximum 1, or 0 everywhere. Works under torch.no_grad() and
    with frozen parameters, too.
    """
    ### BEGIN SOLUTION
    kept: list[torch.Tensor] = []

    def keep(_part: nn.Module, _given: tuple, output: torch.Tensor) -> torch.Tensor:
        kept.append(output)
        return output.clone()  # the model goes on with a copy, which the next part may overwrite

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with evaluating(model), torch.enable_grad():
            logits = model(images.detach().requires_grad_())
            score = logits.gather(1, targets[:, None]).sum()  # images do not mix: one backward pass serves all
            (gradient,) = torch.autograd.grad(score, kept[0])
    finally:
        handle.remove()
    alpha = gradient.mean(dim=(2, 3), keepdim=True)
    maps = (alpha * kept[0].detach()).sum(dim=1, keepdim=True).relu()
    maps = F.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    peak = maps.amax(dim=(1, 2), keepdim=True)
    return maps / torch.where(peak > 0, peak, 1.0)
    ### END SOLUTION


# %% look="gradcam"
# Look: one picture, and a network made by hand: channel 0 is the light left half, channel 1 the light right half.
with checks.look():
    look_image = torch.full((1, 1, 16, 16), 0.1)
    look_image[..., 3:7, 2:6] = 1.0
    look_image[..., 9:14, 9:15] = 0.9

    class Halves(nn.Module):
        """Class 0 likes what is light on the left, class 1 what is light on the right."""

        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Identity()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            left = torch.cat([torch.ones(8), torch.zeros(8)])
            maps = self.maps(torch.cat([images * left, images * (1 - left)], dim=1))
            return maps.mean((2, 3))

    fig, axes = plt.subplots(1, 3, figsize=(9, 3))
    axes[0].imshow(look_image[0, 0], cmap="gray", vmin=0, vmax=1)
    axes[0].set(title="picture", xticks=(), yticks=())
    for ax, k in zip(axes[1:], (0, 1)):
        plotting.heatmap(
            ax, grad_cam(Halves(), "maps", look_image, torch.tensor([k]))[0], title=f"class {k}", xlabel="", ylabel="", vmin=0, vmax=1,
        )  # fmt: skip
        ax.set(xticks=(), yticks=())
    plt.show()

# %% [markdown] hints="gradcam"
# <details><summary>Hint 1: the idea</summary>
#
# You need the output of a part in the middle, and the gradient of one number with respect to it. A forward hook gets the output; `torch.autograd.grad` gives the gradient and touches nothing else.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     hook on the part: keep its output, and let the model go on with a copy
#     in eval mode, with gradients on: logits = model(images)
#     score = sum over the batch of logits[b, targets[b]]
#     gradient of score with respect to the kept output        (B, K, h, w)
#     remove the hook
#     alpha = mean of the gradient over places                 (B, K, 1, 1)
#     ReLU of the sum over k of alpha * output                 (B, h, w)
#     bilinear to (H, W); divide by each image's maximum where that is positive
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `part.register_forward_hook(keep)` gives a handle, where `part` is `model.get_submodule(layer)` and `keep(part, given, output)` appends `output` to a list and returns `output.clone()`: what a hook returns takes the place of the output, so an in-place ReLU behind the layer cannot reach what you kept. `handle.remove()` in a `finally`. `with evaluating(model), torch.enable_grad():`. `logits.gather(1, targets[:, None])` picks one logit of each row. With frozen parameters nothing needs a gradient unless the images do: `images.detach().requires_grad_()`. `F.interpolate` wants $(B, 1, h, w)$. `amax(dim=(1, 2), keepdim=True)`.
#
# </details>


# %% [markdown]
# ### Rollout for the ViT
#
# Week 9 built attention rollout: in each layer the mean attention of the heads, half of it replaced by "stay where you are" (the residual connection), multiplied over the layers (Abnar and Zuidema 2020). Here it is again, so that you need no answer of that week. Its row of the class token says how much of each patch arrives there.


# %% given="rollout"
@torch.no_grad()
def rollout(model: TinyViT, images: torch.Tensor) -> torch.Tensor:
    """How much of each patch the class token gets over all layers, (B, g, g), every map with sum 1."""
    tokens = model.embed(images)
    stay = torch.eye(tokens.shape[1], device=tokens.device)
    reach = stay.expand(len(tokens), -1, -1)
    for block in model.blocks:
        reach = (0.5 * block.attention(tokens).mean(1) + 0.5 * stay) @ reach
        tokens = block(tokens)
    of_patches = reach[:, 0, 1:] / reach[:, 0, 1:].sum(1, keepdim=True)
    side = math.isqrt(of_patches.shape[1])
    return of_patches.unflatten(1, (side, side))


def as_picture(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Maps (B, g, g) as (B, size, size), bilinear, each with maximum 1."""
    large = F.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    return large / large.amax((1, 2), keepdim=True)


# %% [markdown]
# **Predict.** The models follow the texture. Where will the bright spots lie: on the outline of the object, or inside?

# %% explore=true
shown = shown_per_class(test_set, test_set.shape, each=13)
pictures = test_set.x[shown]
looks = {
    "ViT rollout": as_picture(rollout(vit, pictures), 32),
    "CNN Grad-CAM": grad_cam(cnn, "stage2", pictures, test_set.shape[shown]),
}
display(
    plotting.map_gallery(pictures, looks, title=f"{len(shown)} pictures: input, ViT rollout, CNN Grad-CAM", columns=13)
)

# %% [markdown]
# Pictures convince too easily. Here we know which pixels carry the class, so count: how much of a map's mass lies on the object, compared with the share of the picture that the object covers? A map that knows nothing has a ratio of 1.

# %% explore=true
all_looks = {
    "ViT rollout": as_picture(rollout(vit, test_set.x), 32),
    "CNN Grad-CAM": torch.cat(
        [grad_cam(cnn, "stage2", *part) for part in zip(test_set.x.split(200), test_set.shape.split(200))]
    ),
    "random": torch.rand(400, 32, 32, generator=torch.Generator().manual_seed(0)),
}
area = test_set.mask.float().mean((1, 2))
rows = []
for name, maps in all_looks.items():
    on_object = (maps * test_set.mask).sum((1, 2)) / maps.sum((1, 2)).clamp(min=1e-12)
    peak = maps.flatten(1).argmax(1)
    rows.append({
        "map": name, "mass on the object": on_object.mean().item(), "area": area.mean().item(),
        "mass / area": (on_object / area).mean().item(),
        "peak on the object": test_set.mask.flatten(1)[torch.arange(400), peak].float().mean().item(),
    })  # fmt: skip
print(profiling.table(rows))

# %% [markdown]
# **Explain.** Both maps find the object, and neither says *why*: a texture inside and an outline around it lie on nearly the same pixels. An explanation that shows **where** does not show **what**. For that you need pictures in which the two disagree; part 4 has them. And mind the resolution: the rollout has $4 \times 4$ values, this Grad-CAM $8 \times 8$, and all that looks smooth is interpolation.
#
# ### Milestone: your Grad-CAM on a real network
#
# A ResNet ends in a mean over places and a linear layer. There Grad-CAM of the last stage must equal CAM (Zhou et al. 2016), which needs no gradient: the maps weighed by a row of the last matrix. Take torchvision's ResNet-18 and a photograph. On this profile its weights are random, which does not matter for an identity; with `PROFILE=gpu` they are trained.

# %% explore=true compare=true
from torchvision.models import ResNet18_Weights, resnet18

torch.manual_seed(0)
resnet = resnet18(weights=profile.pick(cpu=None, gpu=ResNet18_Weights.DEFAULT)).eval()
flower = datasets.photograph("flower", height=160, width=224).image[None]
with torch.no_grad():
    until_maps = nn.Sequential(*list(resnet.children())[:-2])
    last_maps = until_maps(flower)
    top = resnet(flower).argmax(1)
    cam = torch.einsum("bkhw,bk->bhw", last_maps, resnet.fc.weight[top]).relu()[:, None]
    cam = F.interpolate(cam, flower.shape[-2:], mode="bilinear")[:, 0]
    cam = cam / cam.amax((1, 2), keepdim=True)
mine = grad_cam(resnet, "layer4", flower, top)
print(f"ResNet-18, layer4: maps {tuple(last_maps.shape)}, Grad-CAM {tuple(mine.shape)}")
print("equal to CAM within 1e-4:", torch.allclose(mine, cam, atol=1e-4))

# %% [markdown]
# ## Part 3. What breaks them?
#
# Szegedy et al. (2014) found that a change too small to see can change the answer of a network. The question "is this model robust?" is incomplete: robust against *which* changes, how large, found by *whom*? We promise: **no pixel changes by more than $\varepsilon$, and all stay in $[0, 1]$**. The model wins if no such change fools it. We cannot try them all, so an attack only ever gives an **upper bound** of the robust accuracy. A weak attack flatters the model.

# %% [markdown] about="attacks"
# ### Exercise 3. One step, and many
#
# **Why.** Two attacks that every paper on robustness begins with; the second is the least that an evaluation needs.
#
# Within the ball $\lVert \delta \rVert_\infty \le \varepsilon$ a *linear* loss is largest in a corner, so the fast gradient sign method (FGSM; Goodfellow et al. 2015, section 4) jumps into the corner at once. Projected gradient descent (PGD; Madry et al. 2018, section 2.1) takes small steps, asks for the gradient anew at each, and is brought back into the ball when it has left it:
#
# $$x_{\text{FGSM}} = \Pi\bigl(x + \varepsilon \operatorname{sign} \nabla_x \mathcal L(x, y)\bigr), \qquad x_{t+1} = \Pi\bigl(x_t + \alpha \operatorname{sign} \nabla_x \mathcal L(x_t, y)\bigr)$$
#
# $\Pi$ projects onto all images that keep **both** promises: within $\varepsilon$ of the *clean* $x$, and within $[lo, hi]$. The sign is a plus: the loss is to rise.
#
# | name | meaning |
# | --- | --- |
# | `model` | a network that maps images to logits |
# | `x`, `y` | images $(B, \dots)$ in $[lo, hi]$, and their **true** classes. Where the model is wrong, an attack on the predicted class would make it right |
# | `eps` | $\varepsilon \ge 0$, else ValueError; 0 gives $x$ back. `lo >= hi` is a ValueError, too |
# | `step`, `n_steps` | $\alpha$, and how many |
# | `random_start` | begin at $\Pi(x + u)$ with $u$ uniform in $[-\varepsilon, \varepsilon]$, drawn from `generator` (torch's own if None) |
# | result | $(B, \dots)$ of the dtype and on the device of $x$, no gradient |
#
# The model is asked in eval mode and is left as it was found, also when it raises an error: the mode of every part, hooks, gradients that were there before, what wants gradients.


# %% exercise="attacks" difficulty=3 minutes=60
def fgsm(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, lo: float = 0.0, hi: float = 1.0
) -> torch.Tensor:
    """The fast gradient sign method (Goodfellow et al. 2015, section 4).

    Parameters
    ----------
    model : images to logits; asked in eval mode and left as it was found. x : (B, ...) in [lo, hi], not changed.
    y : (B,) int64, true classes. eps : bound of each change.

    Returns
    -------
    (B, ...) in the dtype of x, without gradients, within eps of x and within [lo, hi]. Works under torch.no_grad(), too.

    Raises
    ------
    ValueError : when eps < 0 or lo >= hi.
    """
    ### BEGIN SOLUTION
    return pgd(model, x, y, eps, eps, 1, random_start=False, lo=lo, hi=hi)
    ### END SOLUTION


def pgd(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, step: float, n_steps: int,
    random_start: bool = True, generator: torch.Generator | None = None, lo: float = 0.0, hi: float = 1.0,
) -> torch.Tensor:  # fmt: skip
    """Projected gradient descent in the maximum norm (Madry et al. 2018, section 2.1).

    Parameters
    ----------
    model : images to logits; asked in eval mode and left as it was found. x : (B, ...) in [lo, hi], not changed.
    y : (B,) int64, true classes. eps : bound of each change.
    step : size of each of the `n_steps` steps. random_start : begin at a uniformly random place of the ball, every
        pixel of every image drawn by itself.
    generator : of the random start; it lives on the CPU, wherever x is. None draws from torch's own state.

    Returns
    -------
    (B, ...) in the dtype of x, without gradients, within eps of x and within [lo, hi]; x itself when eps is 0. Works
    under torch.no_grad(), too.

    Raises
    ------
    ValueError : when eps < 0 or lo >= hi.
    """
    ### BEGIN SOLUTION
    if eps < 0 or lo >= hi:
        raise ValueError(f"an attack needs eps >= 0 and lo < hi, got {eps=}, {lo=}, {hi=}")
    clean = x.detach()
    lowest, highest = (clean - eps).clamp(min=lo), (clean + eps).clamp(max=hi)  # both promises in one box
    moved = clean.clone()
    if random_start:
        noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
        moved = (clean + eps * (2 * noise - 1)).clamp(lowest, highest)
    with evaluating(model), torch.enable_grad():
        for _ in range(n_steps):
            moved.requires_grad_()
            loss = F.cross_entropy(model(moved), y, reduction="sum")  # images do not mix
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = (moved.detach() + step * gradient.sign()).clamp(lowest, highest)
    return moved
    ### END SOLUTION


# %% look="attacks"
# Look: a loss with two hills over two pixels, as a map. White: the clean image and its ball. Red: FGSM. Orange: PGD.
with checks.look():

    class Hills(nn.Module):
        """Logits (0, height): the loss of class 0 rises with the height."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            near = torch.tensor([[0.60, 0.42], [0.25, 0.70]])
            height = torch.stack([torch.exp(-((pixels - hill) ** 2).sum(-1) / 0.02) for hill in near]).sum(0)
            return torch.stack([torch.zeros_like(height), 4 * height], dim=-1)

    look_clean, look_class = torch.tensor([[0.45, 0.5]]), torch.tensor([0])
    look_axis = torch.linspace(0, 1, 80)
    look_plane = torch.stack(torch.meshgrid(look_axis, look_axis, indexing="xy"), dim=-1)
    look_loss = F.cross_entropy(Hills()(look_plane).flatten(0, 1), torch.zeros(6400).long(), reduction="none")
    fig, ax = plt.subplots(figsize=(6, 4.8))
    image = ax.imshow(look_loss.reshape(80, 80), origin="lower", extent=(0, 1, 0, 1))
    ax.add_patch(plt.Rectangle((0.25, 0.3), 0.4, 0.4, fill=False, color="white", linewidth=1.5))
    ax.plot(*look_clean[0], "wo", label="clean, and its ball")
    ax.plot(*fgsm(Hills(), look_clean, look_class, 0.2)[0], "s", color="red", label="FGSM")
    look_path = [look_clean[0]] + [pgd(Hills(), look_clean, look_class, 0.2, 0.03, n, False)[0] for n in range(1, 12)]
    ax.plot(*torch.stack(look_path).T, ".-", color=plotting.COLORS[1], label="PGD, step by step")
    fig.colorbar(image, label="loss")
    ax.set(xlabel="pixel 0", ylabel="pixel 1", title="one step overshoots the hill")
    ax.legend(loc="upper right", facecolor="0.2", labelcolor="white", frameon=True, fontsize=9)
    plt.show()

# %% [markdown] hints="attacks"
# <details><summary>Hint 1: the idea</summary>
#
# FGSM is PGD with one step of size $\varepsilon$ from $x$ itself. For the projection note that both promises are bounds of each pixel: between $\max(x - \varepsilon, lo)$ and $\min(x + \varepsilon, hi)$. Compute the two bounds once, from the clean image.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     eps < 0 or lo >= hi: ValueError
#     lowest, highest = the bounds of every pixel, from the clean x
#     moved = x, or x + uniform noise, put between the bounds
#     in eval mode, with gradients on, n_steps times:
#         gradient of the summed cross-entropy with respect to moved
#         moved = moved + step * sign of the gradient, put between the bounds
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `moved.requires_grad_()` before the forward pass, `moved.detach()` after it. `torch.autograd.grad(loss, moved)` returns a tuple and leaves the parameters alone. `F.cross_entropy` takes logits, not probabilities. `tensor.clamp(lowest, highest)` takes tensors as bounds. `torch.rand(x.shape, generator=generator, dtype=x.dtype)`; `2 * u - 1` brings $[0, 1]$ to $[-1, 1]$. `with evaluating(model), torch.enable_grad():`.
#
# </details>


# %% [markdown]
# ### What you cannot see

# %% explore=true
ATTACKED = profile.pick(cpu=150, gpu=400)  # test images that are attacked
EPSILONS = tuple(k / 255 for k in (0, 2, 4, 8, 16))
x_attacked, y_attacked = test_set.x[:ATTACKED], test_set.shape[:ATTACKED]


def pgd10(model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float) -> torch.Tensor:
    """Ten steps of eps / 4 from a random start, the same one for every model; none where there is no room."""
    return pgd(model, x, y, eps, eps / 4, 10 if eps > 0 else 0, generator=torch.Generator().manual_seed(0))


four = shown_per_class(test_set, test_set.shape, each=1)
eight, strong = 8 / 255, 12 / 255
attacked = {
    name: pgd10(model, test_set.x[four], test_set.shape[four], strong) for name, model in (("ViT", vit), ("CNN", cnn))
}
strips = {"clean": test_set.x[four]}
for name, moved in attacked.items():
    strips |= {f"attack on the {name}": moved, f"its change, {name}": 0.5 + (moved - test_set.x[four]) / (2 * strong)}
fig, axes = plt.subplots(1, 5, figsize=(12, 9.4))
for ax, (name, part) in zip(axes, strips.items()):
    ax.imshow(torch.cat(list(F.pad(part[:, 0], (1, 1, 1, 1), value=1.0))), cmap="gray", vmin=0, vmax=1)
    ax.set_title(name)
    ax.set_axis_off()
    if "change" not in name:
        for row, said in enumerate(zip(*(predicted(model, part).tolist() for model in (vit, cnn)))):
            words = "ViT: {}\nCNN: {}".format(*(datasets.CUE_SHAPES[k] for k in said))
            ax.text(1.5, 34 * row + 32, words, color="white", fontsize=9, va="bottom")
fig.suptitle("PGD with eps = 12/255; changes from black (-12/255) to white (+12/255)")
plt.show()


def fine_share(change: torch.Tensor) -> float:
    """Share of the energy of changes (B, 1, s, s) at more than 1/4 cycle a pixel."""
    energy = torch.fft.fft2(change).abs().square().mean((0, 1))
    axis = torch.fft.fftfreq(energy.shape[-1])
    fine = (axis[:, None] ** 2 + axis**2).sqrt() > 1 / 4
    return (energy[fine].sum() / energy.sum()).item()


changes = {f"attack on the {name}": moved - test_set.x[four] for name, moved in attacked.items()}
changes["random signs"] = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)).sign()
print(
    {name: f"{fine_share(change):.0%}" for name, change in changes.items()}, "of the change is finer than four pixels"
)

# %% [markdown]
# **Explain.** An attack is a portrait of the model that it was made for. Against the ViT it paints *other stripes* over the picture, of about the width of those that the model learned: it argues with textures. Against the CNN it is finer grain, down to single pixels; a $3 \times 3$ filter sees nothing larger. Read the answers below the pictures, too: an attack on one model often leaves the other one alone. How well attacks **transfer** is the question of Mahmood et al. (ICCV 2021).
#
# ### Where do the eyes go?
#
# Rollout and Grad-CAM on a clean and on an attacked picture: how far apart are they? The Jensen-Shannon divergence of two distributions $p, q$ over places is $\frac12 \mathrm{KL}(p \,\|\, m) + \frac12 \mathrm{KL}(q \,\|\, m)$ with $m = (p + q) / 2$; it lies between 0 and $\ln 2$ nats.
#
# **Predict.** Where does a model look when it has been fooled: still at the object, or somewhere else?


# %% explore=true
def js_divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of maps (B, ...), each divided by its sum, in nats, (B,)."""
    p, q = (maps.flatten(1).clamp(min=1e-12) for maps in (p, q))
    p, q = (maps / maps.sum(1, keepdim=True) for maps in (p, q))
    middle = (p + q) / 2
    return ((p * (p / middle).log()).sum(1) + (q * (q / middle).log()).sum(1)) / 2


LOOKED = 100  # images whose maps are compared
clean, its_class, mask = test_set.x[:LOOKED], test_set.shape[:LOOKED], test_set.mask[:LOOKED]
signs = (clean + eight * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).sign()).clamp(0, 1)
moved = {name: pgd10(model, clean, its_class, eight) for name, model in (("ViT", vit), ("CNN", cnn))}
MAPS = {  # what explains an answer: images and the classes asked about, which a rollout does not know, to maps
    ("ViT", "rollout"): lambda images, _: as_picture(rollout(vit, images), 32),
    ("CNN", "Grad-CAM of the answer"): lambda images, _: grad_cam(cnn, "stage2", images, predicted(cnn, images)),
    ("CNN", "Grad-CAM of the true class"): lambda images, true: grad_cam(cnn, "stage2", images, true),
}


def focus(maps: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Share of each map's mass on the object, divided by the share of the picture that it covers, (B,)."""
    return (maps * mask).sum((1, 2)) / maps.sum((1, 2)).clamp(min=1e-12) / mask.float().mean((1, 2))


rows, eyes = [], {}
for (name, kind), look in MAPS.items():
    before, after, control = (look(images, its_class) for images in (clean, moved[name], signs))
    eyes[name, kind] = before, after
    fooled = predicted(vit if name == "ViT" else cnn, moved[name]) != its_class
    rows.append({
        "model": name, "map": kind, "fooled": f"{fooled.sum().item()} of {LOOKED}",
        "JS": js_divergence(before, after).mean().item(), "JS, random signs": js_divergence(before, control).mean().item(),
        "mass / area, clean": focus(before, mask).mean().item(), "attacked": focus(after, mask).mean().item(),
    })  # fmt: skip
fig, axes = plt.subplots(2, 1, figsize=(11, 5), height_ratios=(2, 3))
for ax, name in zip(axes, moved):
    maps = {kind: torch.cat([part[:6] for part in pair]) for (of, kind), pair in eyes.items() if of == name}
    images = torch.cat([clean[:6], moved[name][:6]])
    plotting.draw_maps(ax, images, maps, columns=12, title=f"{name}: six pictures, then the same six attacked")
plt.show()
print(profiling.table(rows, title="PGD-10, eps = 8/255; JS: mean divergence from the map of the clean picture, nats"))
apart = js_divergence(*eyes["ViT", "rollout"])
print("divergence of rollouts, target above 0 for each picture:", "reached" if apart.min() > 0 else "NOT reached")


def pgd_where(model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, where: torch.Tensor) -> torch.Tensor:
    """Ten steps of PGD that may change the pixels `where` (B, 1, s, s) only."""
    moved = x
    for _ in range(10):
        moved = torch.where(where, pgd(model, moved, y, eps, eps / 4, 1, False), x).clamp(x - eps, x + eps)
    return moved


rows = []
for name, model in (("ViT", vit), ("CNN", cnn)):
    places = {"the object": mask[:, None], "the background": ~mask[:, None]}
    attacked_there = {at: pgd_where(model, clean, its_class, eight, where) for at, where in places.items()}
    rows.append({"model": name} | {at: share(predicted(model, x), its_class) for at, x in attacked_there.items()})
print(profiling.table(rows, title=f"accuracy where the attack may change one part only, {LOOKED} images, eps = 8/255"))

# %% [markdown]
# **Explain.** Compare each map with its own control, for a rollout is spread by construction and a Grad-CAM is not. Both move many times as far under the attack as under random signs of the same size. But they move in different ways.
#
# - **The ViT is fooled with its eyes on the object**, its rollout says: the mass of the map stays nearly where it was.
# - **The CNN finds its new answer elsewhere.** Grad-CAM of that answer lies on the object no more than a map that knows nothing would (a ratio near 1). Ask for the true class, and the map is on the object more than before.
#
# So far these are hints: a map that goes along with an error need not show its cause. The last table is a test. It lets the attack change the object only, or the background only, which says nothing about the class and has three times as many pixels. The CNN bears its map out: changes of the object hardly fool it, changes of the background do. The ViT does not: its eyes never left the object, and yet changes of the background alone fool it no less often than changes of the object. The rollout had not shown what the answer depends on. From five seeds it is so; `WORKBOOK_WEEKS=all pytest -s tests/training_seeds/test_week10.py -k looks_elsewhere` prints them.
#
# %% [markdown] about="cw"
# ### Exercise 4. The smallest change: Carlini and Wagner
#
# **Why.** FGSM and PGD ask *does a change of this size suffice?* This attack asks *how small a change suffices?*, image by image.
#
# $$\min_w \; \lVert x' - x \rVert_2^2 + c \cdot \max\Bigl(z_y(x') - \max_{j \ne y} z_j(x'),\; -\kappa\Bigr), \qquad x' = \tfrac12 (\tanh w + 1)$$
#
# This is the attack of Carlini and Wagner (2017, sections V and VI-A), untargeted. Three ideas. The **tanh** keeps every pixel in $[0, 1]$ without any clipping, so Adam can run free in $w$. The **margin** $z_y - \max_{j \ne y} z_j$ is positive while the true class leads; the maximum runs over the *other* classes only. And **the best is kept**: Adam wanders around the border, so of all iterates that fool the model, each image keeps its own nearest one.
#
# | name | meaning |
# | --- | --- |
# | `x` $(B, \dots)$ in $[0, 1]$, `y` $(B,)$ | images, true classes |
# | `c`, `kappa` | weight of the margin; confidence that is asked for, $\ge 0$ |
# | `steps`, `lr` | of Adam on $w$, which starts at $\operatorname{atanh}\bigl((2x - 1)(1 - 10^{-6})\bigr)$ |
# | result | images $(B, \dots)$ and `success` $(B,)$ bool |
#
# An iterate counts if its margin is **below 0 and at most $-\kappa$**. Iterates are the start and what each step gives, `steps + 1` in all. Where none counted, the image comes back unchanged and `success` is false. The model is asked in eval mode and is left as it was found, also when it raises an error.


# %% exercise="cw" difficulty=4 minutes=60
def cw_l2(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    c: float = 1.0,
    kappa: float = 0.0,
    steps: int = 100,
    lr: float = 0.01,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The L2 attack of Carlini and Wagner (2017, sections V and VI-A), untargeted, with a fixed c.

    Parameters
    ----------
    model : images to logits; asked in eval mode and left as it was found. x : (B, ...) in [0, 1], not changed.
    y : (B,) int64, true classes. c : weight of the margin. kappa : how far another class must lead.
    steps, lr : of Adam; the start and the iterate after each step are looked at.

    Returns
    -------
    images : (B, ...) in [0, 1] in the dtype of x: of each image the nearest iterate that counted, or x itself.
    success : (B,) bool. Works under torch.no_grad(), too.
    """
    ### BEGIN SOLUTION
    clean = x.detach()
    free = torch.atanh((2 * clean - 1) * (1 - 1e-6)).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=lr)
    best, least = clean.clone(), clean.new_full((len(clean),), math.inf)
    with evaluating(model), torch.enable_grad():
        for turn in range(steps + 1):
            images = (free.tanh() + 1) / 2
            logits = model(images)
            own = F.one_hot(y, logits.shape[1]).bool()
            margin = logits[own] - logits.masked_fill(own, -math.inf).amax(1)
            squared = (images - clean).flatten(1).square().sum(1)
            better = (margin < 0) & (margin <= -kappa) & (squared < least)
            best[better], least[better] = images.detach()[better], squared.detach()[better]
            if turn < steps:
                loss = (squared + c * margin.clamp(min=-kappa)).sum()
                (free.grad,) = torch.autograd.grad(loss, free)
                optimizer.step()
    return best, least < math.inf
    ### END SOLUTION


# %% look="cw"
# Look: a border in the plane of two pixels. Each arrow goes from an image to the nearest one on the other side.
with checks.look():
    look_border = nn.Linear(2, 2)
    with torch.no_grad():
        look_border.weight.copy_(torch.tensor([[6.0, 3.0], [-6.0, -3.0]]))
        look_border.bias.copy_(torch.tensor([-5.4, 5.4]))
    look_x = torch.tensor([[0.75, 0.65], [0.9, 0.4], [0.5, 0.9], [0.2, 0.3], [0.45, 0.45], [0.95, 0.95]])
    look_y = torch.tensor([0, 0, 0, 1, 1, 0])
    look_moved, look_success = cw_l2(look_border, look_x, look_y, steps=150, lr=0.02)
    fig, ax = plt.subplots(figsize=(5.2, 4.6))
    ax.plot([0.4, 0.9], [1.0, 0.0], color="0.3", linestyle="--", label="border")
    for begin, end, label, found in zip(look_x, look_moved, look_y.tolist(), look_success.tolist()):
        ax.plot(*begin, "o", color=plotting.COLORS[label])
        ax.annotate(
            "", end.tolist(), begin.tolist(), arrowprops={"arrowstyle": "->", "color": "0.2" if found else "white"}
        )
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="pixel 0", ylabel="pixel 1", title="straight to the border", aspect="equal")
    ax.legend(loc="lower left")
    plt.show()
    print("fooled:", look_success.tolist())

# %% [markdown] hints="cw"
# <details><summary>Hint 1: the idea</summary>
#
# It is an ordinary training loop, only that the parameter is $w$, one number for each pixel. Beside it runs a bookkeeping of the best: a tensor of images and a tensor of their squared distances, which begin as a copy of $x$ and as infinity.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     w = atanh of x, brought to (-1, 1);  Adam on w
#     best = a copy of x;  least = infinity for each image
#     steps + 1 times:
#         image = (tanh(w) + 1) / 2;  logits;  margin = own logit - largest other logit
#         squared = squared distance of each image
#         where margin < 0 and margin <= -kappa and squared < least: keep image and squared
#         (not in the last turn) loss = sum of squared + c * max(margin, -kappa);  one step of Adam
#     best, and where least is finite
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `own = F.one_hot(y, classes).bool()`; `logits[own]` are the true logits, `logits.masked_fill(own, -math.inf).amax(1)` the best others. `margin.clamp(min=-kappa)`. To leave the parameters' gradients alone: `(w.grad,) = torch.autograd.grad(loss, w)`, then `optimizer.step()`. `best[better] = image.detach()[better]` writes into the rows where `better` is true; begin with `best = x.clone()`, or it writes into the caller's images.
#
# </details>


# %% [markdown]
# **Predict.** For which of the two models does the nearest wrong picture lie closer? Write it down before you run the cell: FGSM, PGD and this attack need not agree.

# %% explore=true
few = profile.pick(cpu=32, gpu=200)
rows, lengths = [], {}
for name, model in (("ViT", vit), ("CNN", cnn)):
    moved, success = cw_l2(model, test_set.x[:few], test_set.shape[:few], c=5.0, steps=80, lr=0.02)
    lengths[name] = (moved - test_set.x[:few]).flatten(1).norm(dim=1)
    largest = (moved - test_set.x[:few]).flatten(1).abs().amax(1)
    rows.append({
        "model": name, "fooled": f"{success.sum().item()} of {few}", "median L2": lengths[name][success].median().item(),
        "least L2": lengths[name][success].min().item(), "median of the largest pixel, /255": 255 * largest[success].median().item(),
    })  # fmt: skip
print(profiling.table(rows, title="Carlini and Wagner, c = 5, 80 steps"))
bound = eight * 32
print(f"for comparison: a change of 8/255 in every pixel has the L2 length {bound:.3f}")

# %% [markdown]
# **Explain.** Every image is fooled, and with less length than a change of 8/255 in every pixel has. But the attack spends it on few pixels: the largest change is far more than 8/255. A ball in the maximum norm and a ball in the L2 norm are different promises, and a model may keep one and break the other. "Robust" without a norm and a number means nothing.
#
# ### One point is no curve
#
# One $\varepsilon$ is one point. Papers have been wrong because they showed one point, or the points of a weak attack.

# %% [markdown] about="curve"
# ### Exercise 5. Robustness curves, and an alarm
#
# **Why.** A curve shows where two models change places; the alarm shows when you should not believe it.
#
# The curve: for every $\varepsilon$ attack the **clean** images anew (with gradients switched on, which an attack needs), and take the share of all images that is still classified right (images that were wrong before any attack count as wrong).
#
# The alarm: a model can hide its gradients (by rounding, by saturation, by noise) instead of being robust. Then attacks by gradient fail, and the curve looks wonderful. Athalye et al. (2018, section 3.1) give symptoms. Three of them can be read from two curves:
#
# | word | when |
# | --- | --- |
# | `"weaker"` | at some $\varepsilon$ the iterated attack leaves **more than `slack` more** accuracy than one step does: more steps must not be worse |
# | `"rises"` | the curve of the iterated attack lies somewhere more than `slack` **above its value at a smaller** $\varepsilon$: a larger ball holds the smaller one |
# | `"survives"` | at some $\varepsilon \ge$ `value_range` the iterated attack leaves more than `slack`: in that ball lies *every* image |
#
# | name | meaning |
# | --- | --- |
# | `attack` | a function `attack(model, x, y, eps)` that gives images like `x` |
# | `robustness_curve(...)` | $(E,)$ float32, accuracies in the order of `epsilons` |
# | `masking_alarm(epsilons, one_step, iterated, value_range, slack)` | list of the words that apply, in the order of the table. `epsilons` may come in any order |


# %% exercise="curve" difficulty=2 minutes=35
def robustness_curve(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, epsilons: Sequence[float],
    attack: Callable[[nn.Module, torch.Tensor, torch.Tensor, float], torch.Tensor],
) -> torch.Tensor:  # fmt: skip
    """Accuracy under an attack for each bound.

    Parameters
    ----------
    model : images to logits; asked in eval mode and left as it was found, also after an error.
    x : (B, ...). y : (B,) int64, true classes. epsilons : E bounds.
    attack : attack(model, x, y, eps) gives the attacked images; it is called once for each bound.

    Returns
    -------
    (E,) float32: for each bound the share of the B images that is right after the attack.
    """
    ### BEGIN SOLUTION
    shares = []
    with evaluating(model):
        for eps in epsilons:
            moved = attack(model, x, y, eps)
            with torch.no_grad():
                shares.append((model(moved).argmax(1) == y).float().mean().item())
    return torch.tensor(shares)
    ### END SOLUTION


def masking_alarm(
    epsilons: Sequence[float],
    one_step: Sequence[float],
    iterated: Sequence[float],
    value_range: float = 1.0,
    slack: float = 0.02,
) -> list[str]:
    """Symptoms of hidden gradients in two curves (Athalye et al. 2018, section 3.1).

    Parameters
    ----------
    epsilons : E bounds in any order, also equal ones. one_step, iterated : E accuracies of either attack.
    value_range : hi - lo of the pixels. slack : differences up to this count as chance.

    Returns
    -------
    Those of "weaker", "rises", "survives" that apply, in this order.
    """
    ### BEGIN SOLUTION
    points = list(zip(epsilons, one_step, iterated))
    alarms = []
    if any(many > one + slack for _, one, many in points):
        alarms.append("weaker")
    if any(eps > other and many > lower + slack for eps, _, many in points for other, _, lower in points):
        alarms.append("rises")
    if any(many > slack for eps, _, many in points if eps >= value_range):
        alarms.append("survives")
    return alarms
    ### END SOLUTION


# %% look="curve"
# Look: a model of one pixel that rounds its input. Its curve looks robust; is it?
with checks.look():

    class Rounding(nn.Module):
        """Class 1 if the pixel, rounded to 1/8, is at least 0.5. Rounding has no gradient, so attacks see a plain."""

        def __init__(self, hidden: bool) -> None:
            super().__init__()
            self.hidden = hidden

        def forward(self, pixel: torch.Tensor) -> torch.Tensor:
            seen = (8 * pixel).round() / 8 if self.hidden else pixel
            return torch.cat([0.49 - seen, seen - 0.49], dim=1) * 10

    look_x = torch.linspace(0.02, 0.98, 49)[:, None]
    look_y = (look_x[:, 0] >= 0.49).long()
    look_eps = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0]
    look_attacks = {
        "one step": lambda m, x, y, eps: fgsm(m, x, y, eps),
        "20 steps": lambda m, x, y, eps: pgd(m, x, y, eps, eps / 5, 20, False),
    }
    look_series, look_alarms = {}, {}
    for kind, hidden in (("honest", False), ("rounding", True)):
        look_found = [
            robustness_curve(Rounding(hidden), look_x, look_y, look_eps, attack) for attack in look_attacks.values()
        ]
        look_series[f"{kind}, 20 steps"] = look_found[1]
        look_alarms[kind] = masking_alarm(look_eps, *(values.tolist() for values in look_found))
    display(plotting.curves(look_series, x=look_eps, xlabel="eps", ylabel="accuracy", title="too good to be true"))
    print(look_alarms)

# %% [markdown] hints="curve"
# <details><summary>Hint 1: the idea</summary>
#
# The curve is a loop over the bounds in which every turn begins with the same clean `x`. The alarm compares lists, point by point, or each point with all points at smaller bounds.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     curve:  for each eps: attack the clean x, ask the model, share of right answers
#     alarm:  triples (eps, one, many)
#             any many > one + slack                                   -> "weaker"
#             any many > (a many at a smaller eps, not an equal) + slack -> "rises"
#             any many > slack with eps >= value_range             -> "survives"
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `zip(epsilons, one_step, iterated)` gives triples; keep them in a list `points`. Two loops over `points` in one `any(...)` compare all pairs. `torch.tensor(list_of_floats)` is float32. The attack needs gradients, so only the counting stands under `torch.no_grad()`.
#
# </details>


# %% [markdown]
# ### The curves
#
# Accuracy on $n$ images is a share, and a share has an interval. Wilson's (1927) never leaves $[0, 1]$ and works at 0 of $n$, where the plain $\pm 1.96\,\sigma$ has width 0. If two intervals do not even touch, the difference is no accident **of the images**. It may still be one of the seed.


# %% given="wilson"
def wilson(right: torch.Tensor, count: int, z: float = 1.96) -> tuple[torch.Tensor, torch.Tensor]:
    """The 95 % interval of a share `right` of `count` images (Wilson 1927): lower and upper ends."""
    center = (right + z * z / (2 * count)) / (1 + z * z / count)
    half = z * ((right * (1 - right) + z * z / (4 * count)) / count).sqrt() / (1 + z * z / count)
    return center - half, center + half


# %% explore=true
ATTACKS = {"FGSM": fgsm, "PGD-10": pgd10}


def curves_of(name: str) -> dict[tuple[str, str], torch.Tensor]:
    """The curves of one architecture, (seeds, eps) for each attack."""
    return {
        (name, attack_name): torch.stack([
            robustness_curve(run.model, x_attacked, y_attacked, EPSILONS, attack) for run in runs[name]
        ])
        for attack_name, attack in ATTACKS.items()
    }  # fmt: skip


found_curves = {key: curve for part in profile.side_by_side(curves_of, runs) for key, curve in part.items()}


def draw_curves(ax: plt.Axes) -> None:
    """The curves of seed 0 with their intervals."""
    places = [255 * eps for eps in EPSILONS]
    for (name, attack_name), values in found_curves.items():
        color, dashed = plotting.COLORS[0 if name == "ViT" else 1], attack_name == "FGSM"
        ax.plot(
            places,
            values[0],
            color=color,
            linestyle=":" if dashed else "-",
            marker="o",
            markersize=4,
            label=f"{name}, {attack_name}",
        )
        if not dashed:
            ax.fill_between(places, *wilson(values[0], ATTACKED), color=color, alpha=0.2, linewidth=0)
    ax.set(xlabel="eps, in 1/255", ylabel="accuracy", ylim=(-0.02, 1.05), xticks=places)
    ax.grid(alpha=0.3)


fig, ax = plt.subplots(figsize=(9, 4.2))
draw_curves(ax)
ax.set_title(f"{ATTACKED} test images, bands: 95 % of PGD-10")
fig.legend(loc="outside right upper")
plt.show()
rows = [
    {"model": name, "attack": attack_name, "seed": seed} | {f"{255 * eps:.0f}/255": f"{value:.3f}" for eps, value in zip(EPSILONS, line)}
    for (name, attack_name), values in found_curves.items() for seed, line in zip(SEEDS, values.tolist())
]  # fmt: skip
print(profiling.table(rows, title="accuracy under attack"))
for name in MAKERS:
    one, many = found_curves[name, "FGSM"], found_curves[name, "PGD-10"]
    worst = (many - one).max().item()
    print(
        f"{name}: PGD-10 minus FGSM at most {worst:+.3f}; target at most +0.02:",
        "reached" if worst <= 0.02 else "NOT reached",
    )
    print(f"{name}: alarms {[masking_alarm(EPSILONS, *pair) for pair in zip(one.tolist(), many.tolist())]}")
for name in MAKERS:
    (right,) = robustness_curve(shorter_runs[name][0].model, x_attacked, y_attacked, [eight], pgd10).tolist()
    print(f"{name}, trained for {STEPS // 2} steps, seed 0: {right:.3f} under PGD-10 at 8/255")
(vit_low, vit_high), (cnn_low, cnn_high) = (wilson(found_curves[name, "PGD-10"][0], ATTACKED) for name in MAKERS)
better = {"ViT": vit_low > cnn_high, "CNN": cnn_low > vit_high}
for name, where in better.items():
    print(
        f"seed 0, intervals of PGD-10 separate, {name} better, at eps:",
        [f"{255 * eps:.0f}/255" for eps, yes in zip(EPSILONS, where) if yes],
    )
separate = any(where.any() for where in better.values())
print("target, at least one eps where they separate:", "reached" if separate else "NOT reached")

# %% [markdown]
# **Explain.** Read three things.
#
# - **The curves cross.** Against small changes the CNN holds longer, against larger ones the ViT. "Which one is more robust?" has no answer without an $\varepsilon$. With one point you could have published either headline. Half the training had already decided who is ahead at 8/255.
# - **FGSM flatters.** At 8/255 it leaves much accuracy standing that ten small steps take away, and to the ViT it does so at 16/255, too.
# - **The alarm is silent.** That does not prove that nothing is hidden; a stronger attack (more steps, restarts, one that is adapted to the model) could lower all curves.
#
# This was one seed. `SEEDS = range(5)` in part 1 gives these tables for five. In all of them the CNN is ahead at 2/255 and 4/255, by 0.01 to 0.12, and the ViT at 8/255, by 0.24 to 0.44; `WORKBOOK_WEEKS=all pytest -s tests/training_seeds/test_week10.py` prints and checks it.
#
# What do papers say? Shao et al. (2021, arXiv 2103.15670) found ViTs more robust than CNNs. Mahmood et al. (ICCV 2021, arXiv 2104.02610, a paper with nearly the same title; lists give it the number of Shao's) found that neither withstands a strong attack made for it, but that attacks hardly transfer between the two kinds. Bai et al. (NeurIPS 2021) gave both the same recipe, and the difference went away. Your two models are one more reason to hold recipes equal before speaking of architectures.
#
# ### Which frequencies break them?
#
# Shao et al. find that ViTs rely less on high-frequency patterns than CNNs. Ask it of yours: allow an attack only low or only high spatial frequencies. After each step the change $\delta$ is filtered by a mask in Fourier space, then put back into the ball. (That second step lets a few other frequencies back in, so the band is nearly pure, not wholly.)

# %% explore=true
FREQUENCY_IMAGES = profile.pick(cpu=80, gpu=400)


def band_mask(size: int, cut: float, low: bool) -> torch.Tensor:
    """Which frequencies of a real FFT pass, (size, size // 2 + 1) bool; `cut` in cycles a pixel."""
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    length = (rows**2 + columns**2).sqrt()
    return length <= cut if low else length > cut


def pgd_in_band(model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, mask: torch.Tensor) -> torch.Tensor:
    """Ten steps of PGD whose change passes a frequency mask after each step."""
    moved = x.clone()
    for _ in range(10):
        change = pgd(model, moved, y, eps, eps / 3, 1, random_start=False) - x
        passed = torch.fft.irfft2(torch.fft.rfft2(change) * mask, s=x.shape[-2:])
        peak = passed.abs().amax((1, 2, 3), keepdim=True).clamp(min=eps)
        moved = (x + passed * (eps / peak)).clamp(0, 1)
    return moved


bands = {"low, up to 1/8": band_mask(32, 1 / 8, low=True), "high, above 1/8": band_mask(32, 1 / 8, low=False)}
x_part, y_part = test_set.x[:FREQUENCY_IMAGES], test_set.shape[:FREQUENCY_IMAGES]
rows = []
for name, model in (("ViT", vit), ("CNN", cnn)):
    row: dict[str, object] = {"model": name}
    for band, mask in bands.items():
        right = torch.tensor(share(predicted(model, pgd_in_band(model, x_part, y_part, eight, mask)), y_part))
        low, high = wilson(right, FREQUENCY_IMAGES)
        row[band] = f"{right:.3f} ({low:.2f} to {high:.2f})"
    rows.append(row)
print(profiling.table(rows, title="accuracy under PGD within a band, eps = 8/255 (cycles a pixel)"))
print(f"the stripes have {1 / 5:.2f} cycles a pixel, so they lie in the high band")

# %% [markdown]
# **Explain.** Low frequencies hardly hurt: what the models learned are stripes of five pixels, and a slow change of brightness does not touch them. High ones hurt both, and the CNN much more, as they do from all five seeds of the test named above. That fits what Shao et al. say. But it answers a question about *this* data set at least as much as about the two architectures. In photographs, where low frequencies carry the class, the answer may differ.
#
# ## Part 4. Which cue, and which errors?
#
# **Predict.** The `conflict` set shows, say, a circle with vertical stripes. What will each model say: circle, or square (whose texture that was)?

# %% [markdown] about="bias"
# ### Exercise 6. Shape bias
#
# **Why.** One number for the question which cue wins (Geirhos et al. 2019).
#
# $$\text{bias} = \frac{\#\{\hat y = \text{shape}\}}{\#\{\hat y = \text{shape}\} + \#\{\hat y = \text{texture}\}}, \qquad \text{decided} = \frac{\#\{\hat y = \text{shape}\} + \#\{\hat y = \text{texture}\}}{\#\text{conflict images}}$$
#
# Only **conflict** images count, those whose shape and texture belong to different classes: where they agree, an answer decides nothing. The answers that are neither shape nor texture are left out of the bias and reported beside it. A bias of 0.9 over a tenth of the images says little.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `pred`, `shape`, `texture` | $(n,)$ int64 each | predicted class, class of the silhouette, class of the texture |
# | result | `(bias, decided)`, floats | `(nan, 0.0)` if no answer is either cue; ValueError without any conflict image |


# %% exercise="bias" difficulty=1 minutes=20
def shape_bias(pred: torch.Tensor, shape: torch.Tensor, texture: torch.Tensor) -> tuple[float, float]:
    """Which of two conflicting cues a model follows (Geirhos et al. 2019).

    Parameters
    ----------
    pred, shape, texture : (n,) int64, classes. Images with shape == texture are left out.

    Returns
    -------
    bias : shape decisions over shape and texture decisions, nan if there is neither.
    decided : share of the conflict images that got one of the two.

    Raises
    ------
    ValueError : when no image is a conflict.
    """
    ### BEGIN SOLUTION
    disagree = shape != texture
    if not disagree.any():
        raise ValueError("no image whose shape and texture differ")
    by_shape = (pred[disagree] == shape[disagree]).sum().item()
    by_texture = (pred[disagree] == texture[disagree]).sum().item()
    decided = by_shape + by_texture
    return by_shape / decided if decided else math.nan, decided / disagree.sum().item()
    ### END SOLUTION


# %% look="bias"
# Look: three invented models on the conflict set: follows shape, follows texture, follows shape with probability 0.7.
with checks.look():
    look_set = datasets.cue_images(300, seed=9, mode="conflict")
    look_coin = torch.rand(300, generator=torch.Generator().manual_seed(0)) < 0.7
    look_models = {
        "always shape": look_set.shape, "always texture": look_set.texture,
        "shape with probability 0.7": torch.where(look_coin, look_set.shape, look_set.texture),
        "always class 0": torch.zeros(300, dtype=torch.int64),
    }  # fmt: skip
    look_found = {name: shape_bias(pred, look_set.shape, look_set.texture) for name, pred in look_models.items()}
    fig, ax = plt.subplots(figsize=(8, 2.6))
    ax.barh(list(look_found), [bias for bias, _ in look_found.values()], color=plotting.COLORS[0], height=0.5)
    for place, (bias, decided) in enumerate(look_found.values()):
        ax.text(
            bias + 0.02, place, f"{bias:.2f}, decided {decided:.2f}", va="center", backgroundcolor="white", fontsize=10,
        )  # fmt: skip
    ax.axvline(0.5, color="0.3", linestyle="--", linewidth=1.4)
    ax.set(xlim=(0, 1.35), xlabel="shape bias", title="a constant answer has a shape bias, too")
    ax.invert_yaxis()
    plt.show()

# %% [markdown] hints="bias"
# <details><summary>Hint 1: the idea</summary>
#
# Throw away the images where both cues say the same. On the rest count two kinds of answers.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     keep = images with shape different from texture; none: ValueError
#     s = how many kept answers equal the shape;  t = how many equal the texture
#     bias = s / (s + t), nan when s + t is 0;  decided = (s + t) / number kept
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `keep = shape != texture`; `(pred[keep] == shape[keep]).sum().item()` is an int. `math.nan`.
#
# </details>

# %% explore=true
answers = {name: predicted(model, conflict.x) for name, model in (("ViT", vit), ("CNN", cnn))}
fig, axes = plt.subplots(2, 6, figsize=(11.5, 4.8))
for k, ax in enumerate(axes.flat):
    ax.imshow(conflict.x[k, 0], cmap="gray", vmin=0, vmax=1)
    shape_name, of_texture = (datasets.CUE_SHAPES[labels[k]] for labels in (conflict.shape, conflict.texture))
    ax.set_xlabel("\n".join(f"{name}: {datasets.CUE_SHAPES[said[k]]}" for name, said in answers.items()), fontsize=9)
    ax.set_title(f"{shape_name},\ntexture of {of_texture}", fontsize=9)
    ax.set(xticks=(), yticks=())
fig.suptitle("above: what it is; below: what the models say", fontsize=12)
plt.show()
rows = [
    {"model": name, "seed": seed}
    | dict(zip(("shape bias", "decided"), shape_bias(predicted(run.model, conflict.x), conflict.shape, conflict.texture)))
    for name, of_model in runs.items() for seed, run in zip(SEEDS, of_model)
]  # fmt: skip
print(profiling.table(rows, title="conflict images, texture contrast 0.4"))

# %% [markdown]
# Texture wins, in both. Geirhos et al. found the same for CNNs trained on ImageNet, while people decide by shape. Is texture bias the nature of these networks?
#
# **Predict.** Make the stripes faint: contrast 0.1 instead of 0.4, in training and in the conflict test alike. Nothing else changes. What will the two models follow now?

# %% explore=true
CONTRASTS = profile.pick(
    cpu=(0.1, 0.4), gpu=(0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
)  # the longer list: some 20 s on two cores


def trained_on(contrast: float, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """Both models, trained on `match` images of this texture contrast; those of part 1 where they fit."""
    if contrast == 0.4:
        return runs
    learn, test = (
        datasets.cue_images(n, seed, "match", texture_contrast=contrast) for n, seed in ((1500, 0), (400, 1))
    )
    return fair_train(MAKERS, (learn.x, learn.shape, test.x, test.shape), STEPS, seeds)


rows, biases = [], {name: [] for name in MAKERS}
for contrast in CONTRASTS:
    clash = datasets.cue_images(400, 2, "conflict", texture_contrast=contrast)
    for name, of_model in trained_on(contrast, SEEDS).items():
        each = [shape_bias(predicted(run.model, clash.x), clash.shape, clash.texture) for run in of_model]
        biases[name].append([bias for bias, _ in each])
        rows += [
            {
                "texture contrast": contrast, "model": name, "seed": seed, "match": run.accuracy, "shape bias": bias, "decided": decided,
                "shape only": share(predicted(run.model, shape_only.x), shape_only.shape),
            }
            for seed, run, (bias, decided) in zip(SEEDS, of_model, each)
        ]  # fmt: skip
print(profiling.table(rows, title="the same models, the same steps, fainter stripes"))
if len(CONTRASTS) > 2:
    display(
        plotting.curves(
            {name: torch.tensor(values).T for name, values in biases.items()}, x=CONTRASTS, levels={"both cues alike": 0.5},
            xlabel="texture contrast in training and test", ylabel="shape bias", title="where the bias crosses 0.5",
        )
    )  # fmt: skip
else:
    profile.not_measured(
        "where the bias crosses 0.5",
        "the longer CONTRASTS in this cell, or, with three seeds: "
        "WORKBOOK_WEEKS=all pytest -s tests/training_seeds/test_week10.py -k contrast",
    )

# %% [markdown]
# **Explain.** The same architectures, the same recipe, and the bias turns round. **A bias belongs to a model *and its data***: training takes the cue that is easiest to find, and goes no further once the loss is small. Where texture is strong, nobody has a reason to learn shapes. Geirhos et al. turned the bias of a ResNet-50 round in just that way, by training it on pictures whose textures had been replaced.
#
# The architecture shows in *where* the bias turns. With the longer list of contrasts you see two curves that fall through 0.5 at different places: the CNN takes up the texture while it is still fainter. Careful with the reason: a convolution of $3 \times 3$ is made for stripes, but our ViT also sees the picture through patches of 8, and a stripe that begins anywhere in a patch must be learned at each of its phases. To separate the two you would vary the patch size.
#
# ### Do they fail together?
#
# Two models with the same accuracy may make the same errors or quite different ones. That matters: an ensemble of models that fail together gains nothing.

# %% [markdown] about="errors"
# ### Exercise 7. An anatomy of errors
#
# **Why.** Accuracy says how many; these three say which, whether together, and whether by chance.
#
# - **Taxonomy.** Every image is in exactly one of five groups: both right; only A wrong; only B wrong; both wrong with the same answer; both wrong with different answers.
# - **Error consistency** (Geirhos et al. 2020): Cohen's kappa of *being right*. Two independent models with accuracies $p_A$ and $p_B$ agree about right and wrong in a share $e = p_A p_B + (1 - p_A)(1 - p_B)$ by chance alone. With the observed share $o$:
#
# $$\kappa = \frac{o - e}{1 - e}$$
#
#   1: they are right and wrong together; 0: as independent models would be; below 0: where one fails the other is right. If $e = 1$ (both perfect, or both always wrong) it is undefined: nan.
# - **McNemar's test** (1947): is A better than B, on the same images? Images that both get right or both wrong say nothing. Of the $n$ others, A is right in $k$. If the models were equally good, $k$ would be like $n$ throws of a coin:
#
# $$p = \min\Bigl(1,\; 2 \sum_{i=0}^{\min(k,\, n-k)} \binom{n}{i} 2^{-n}\Bigr), \qquad p = 1 \text{ if } n = 0$$
#
# | function | result |
# | --- | --- |
# | `error_taxonomy(pred_a, pred_b, y)` | dict with the keys `both_right`, `only_a_wrong`, `only_b_wrong`, `both_wrong_same`, `both_wrong_different`; each an int64 tensor of indices, rising |
# | `error_consistency(pred_a, pred_b, y)` | $\kappa$, a float |
# | `mcnemar_p(pred_a, pred_b, y)` | $p$, a float |
#
# All take three int64 tensors $(n,)$.


# %% exercise="errors" difficulty=3 minutes=45
def error_taxonomy(pred_a: torch.Tensor, pred_b: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """Five groups of images by who is wrong; every index is in exactly one.

    Parameters
    ----------
    pred_a, pred_b, y : (n,) int64: answers of two models, true classes.

    Returns
    -------
    both_right, only_a_wrong, only_b_wrong, both_wrong_same, both_wrong_different: indices, int64, rising.
    """
    ### BEGIN SOLUTION
    a_wrong, b_wrong, same = pred_a != y, pred_b != y, pred_a == pred_b
    groups = {
        "both_right": ~a_wrong & ~b_wrong,
        "only_a_wrong": a_wrong & ~b_wrong,
        "only_b_wrong": ~a_wrong & b_wrong,
        "both_wrong_same": a_wrong & b_wrong & same,
        "both_wrong_different": a_wrong & b_wrong & ~same,
    }
    return {name: group.nonzero()[:, 0] for name, group in groups.items()}
    ### END SOLUTION


def error_consistency(pred_a: torch.Tensor, pred_b: torch.Tensor, y: torch.Tensor) -> float:
    """Cohen's kappa of being right (Geirhos et al. 2020); nan where chance alone explains all agreement."""
    ### BEGIN SOLUTION
    a, b = (pred_a == y).double(), (pred_b == y).double()
    observed = (a == b).double().mean().item()
    p_a, p_b = a.mean().item(), b.mean().item()
    expected = p_a * p_b + (1 - p_a) * (1 - p_b)
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)
    ### END SOLUTION


def mcnemar_p(pred_a: torch.Tensor, pred_b: torch.Tensor, y: torch.Tensor) -> float:
    """The exact two-sided p-value that two models are equally good on these images (McNemar 1947)."""
    ### BEGIN SOLUTION
    a, b = pred_a == y, pred_b == y
    only_a, only_b = (a & ~b).sum().item(), (b & ~a).sum().item()
    total = only_a + only_b
    tail = sum(math.comb(total, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**total)
    ### END SOLUTION


# %% look="errors"
# Look: two invented models with accuracy 0.8 each, that fail together, independently, or never together.
with checks.look():
    look_y = torch.zeros(500, dtype=torch.int64)
    look_wrong = (torch.arange(500) < 100).long()
    look_shuffled = look_wrong[torch.randperm(500, generator=torch.Generator().manual_seed(0))]
    look_pairs = {"together": look_wrong, "independently": look_shuffled, "never together": look_wrong.flip(0)}
    fig, ax = plt.subplots(figsize=(9, 2.4))
    look_left = torch.zeros(3)
    for number, group in enumerate(error_taxonomy(look_wrong, look_wrong, look_y)):
        look_sizes = torch.tensor(
            [len(error_taxonomy(look_wrong, other, look_y)[group]) for other in look_pairs.values()]
        )
        ax.barh(list(look_pairs), look_sizes, left=look_left, color=plotting.COLORS[number], label=group, height=0.6)
        look_left += look_sizes
    ax.set(xlabel="images", title="A and B are right in 80 % each")
    fig.legend(loc="outside right upper", fontsize=9)
    plt.show()
    for name, other in look_pairs.items():
        print(
            f"{name}: kappa {error_consistency(look_wrong, other, look_y):+.3f}, McNemar p {mcnemar_p(look_wrong, other, look_y):.3f}"
        )

# %% [markdown] hints="errors"
# <details><summary>Hint 1: the idea</summary>
#
# All three start from two bool tensors: is A right, is B right. The taxonomy combines them with *and* and *not*. Kappa needs their means and how often they are equal. McNemar needs how often exactly one is true, for each of the two.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     taxonomy: masks from a_wrong, b_wrong and (pred_a == pred_b); indices of each mask
#     kappa:    p_a, p_b = means of being right;  o = share where a equals b
#               e = p_a p_b + (1 - p_a)(1 - p_b);  nan if e is 1;  (o - e) / (1 - e)
#     McNemar:  only_a, only_b = how often only A, only B is right;  n = their sum
#               sum of C(n, i) for i = 0 ... the smaller one;  times 2, divided by 2^n, at most 1
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `mask.nonzero()[:, 0]` are the indices of a mask. `&`, `|`, `~` combine masks; put comparisons in parentheses. `math.comb(n, i)` is exact for whole numbers, and Python divides whole numbers of any size. With `n = 0` the formula gives $\min(1, 2 \cdot 1 / 1) = 1$ by itself.
#
# </details>

# %% [markdown]
# Now your two models, on a set that is hard for both: the stripes of `match`, but with a quarter of the contrast that they were trained with. Both were trained on strong stripes.

# %% explore=true
faint = datasets.cue_images(400, seed=5, mode="match", texture_contrast=0.1)
said_vit, said_cnn = predicted(vit, faint.x), predicted(cnn, faint.x)
groups = error_taxonomy(said_vit, said_cnn, faint.shape)
sizes = {name: len(group) for name, group in groups.items()}
LABELS = {
    "both_right": "both right", "only_b_wrong": "only CNN wrong", "only_a_wrong": "only ViT wrong",
    "both_wrong_same": "both wrong,\nsame answer", "both_wrong_different": "both wrong,\ndifferent answers",
}  # fmt: skip
TINTS = dict(zip(LABELS, plotting.COLORS[2:3] + plotting.COLORS[1:2] + plotting.COLORS[:1] + plotting.COLORS[3:5]))


def mosaic(ax: plt.Axes) -> None:
    """One column where the ViT is right and one where it is wrong, cut by what the CNN says; areas are counts."""
    begin, everything = 0.0, sum(sizes.values())
    for column in (list(LABELS)[:2], list(LABELS)[2:]):
        total = sum(sizes[name] for name in column)
        width, bottom = total / everything, 0.0
        for name in column:
            height = sizes[name] / max(total, 1)
            ax.add_patch(
                plt.Rectangle((begin, bottom), width, height, facecolor=TINTS[name], edgecolor="white", linewidth=2)
            )
            if min(width, height) > 0.15:
                middle = begin + width / 2, bottom + height / 2
                ax.text(*middle, f"{LABELS[name]}\n{sizes[name]}", ha="center", va="center", color="white", fontsize=9)
            bottom += height
        begin += width
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of images: ViT right, then ViT wrong", ylabel="share of the column")
    ax.set_title(f"{everything} faint images, area = count")


fig = plt.figure(figsize=(12, 4.4))
left, right = fig.subfigures(1, 2, width_ratios=(1, 1.3))
mosaic(left.subplots())
for column, (name, title) in zip(right.subplots(2, 5).T, LABELS.items()):
    for ax, k in zip(column, groups[name][:2].tolist()):
        ax.imshow(faint.x[k, 0], cmap="gray", vmin=0.2, vmax=0.8)
        ax.set_xlabel(f"ViT: {datasets.CUE_SHAPES[said_vit[k]]}\nCNN: {datasets.CUE_SHAPES[said_cnn[k]]}", fontsize=8)
    for ax in column:
        ax.set(xticks=(), yticks=())
    column[0].set_title(f"{title} ({sizes[name]})", fontsize=8, color=TINTS[name])
plt.show()
a, b = share(said_vit, faint.shape), share(said_cnn, faint.shape)
print(f"accuracy ViT {a:.3f}, CNN {b:.3f}; groups {sizes}")
print(
    f"agreement expected by chance {a * b + (1 - a) * (1 - b):.3f}, error consistency kappa {error_consistency(said_vit, said_cnn, faint.shape):+.3f}"
)
print(f"McNemar p {mcnemar_p(said_vit, said_cnn, faint.shape):.2g}")
wrong = {
    name: Counter(datasets.CUE_SHAPES[k] for k in said[said != faint.shape].tolist())
    for name, said in (("ViT", said_vit), ("CNN", said_cnn))
}
print("what is said where it is wrong:", {name: dict(count) for name, count in wrong.items()})

# %% [markdown]
# ### Which kinds of pictures?
#
# Five groups of one set say how often, not why. An **error taxonomy** in words needs kinds of pictures: change one thing at a time, and see who fails. Here are eight kinds, each with its own question.
#
# **Predict.** For each kind: will only the ViT fail, only the CNN, both, or neither?


# %% explore=true
def blurred(images: torch.Tensor, width: float) -> torch.Tensor:
    """Images (B, 1, s, s) under a Gaussian of `width` pixels (one standard deviation); the edge repeats."""
    reach = math.ceil(3 * width)
    bell = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * width**2))
    padded, bell = F.pad(images, (reach,) * 4, mode="replicate"), bell / bell.sum()
    return F.conv2d(F.conv2d(padded, bell.reshape(1, 1, 1, -1)), bell.reshape(1, 1, -1, 1))


def shrunk(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images made smaller, to `size` pixels, in the middle of a frame that repeats their edge."""
    gap = images.shape[-1] - size
    small = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return F.pad(small, (gap // 2, gap - gap // 2) * 2, mode="replicate")


x, y = test_set.x, test_set.shape
grain = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
covered = x.clone()
covered[..., 8:24, 8:24] = 0.4
KINDS = {  # images, and the class of their silhouette
    "faint stripes": (faint.x, faint.shape),
    "no stripes": (shape_only.x, shape_only.shape),
    "stripes of\nanother class": (conflict.x, conflict.shape),
    "noise": ((x + 0.2 * grain).clamp(0, 1), y),
    "blur": (blurred(x, 1.0), y),
    "shrunk to 3/4": (shrunk(x, 24), y),
    "a quarter turn": (x.rot90(1, (2, 3)), y),
    "middle covered": (covered, y),
}
GROUPS = {"only ViT wrong": ("only_a_wrong",), "only CNN wrong": ("only_b_wrong",), "both wrong": ("both_wrong_same", "both_wrong_different")}  # fmt: skip


def usual(said: torch.Tensor, labels: torch.Tensor) -> str:
    """What is said most often where it is wrong, and in which share of the errors."""
    count = Counter(datasets.CUE_SHAPES[k] for k in said[said != labels].tolist()).most_common(1)
    return f"{count[0][0]}, {count[0][1] / (said != labels).sum().item():.0%}" if count else ""


rows, of_kind = [], {}
for kind, (images, labels) in KINDS.items():
    said = predicted(vit, images), predicted(cnn, images)
    found = error_taxonomy(*said, labels)
    of_kind[kind] = said, {name: torch.cat([found[part] for part in parts]) for name, parts in GROUPS.items()}
    rows.append(
        {"kind": kind.replace("\n", " "), "both right": len(found["both_right"])}
        | {name: len(group) for name, group in of_kind[kind][1].items()}
        | {f"{name} says": usual(one, labels) for name, one in zip(MAKERS, said)}
    )
fig, axes = plt.subplots(3, len(KINDS), figsize=(13, 5.8))
for column, (kind, (said, members)) in zip(axes.T, of_kind.items()):
    column[0].set_title(kind, fontsize=9)
    for ax, group in zip(column, members.values()):
        ax.set(xticks=(), yticks=())
        if len(group):
            ax.imshow(KINDS[kind][0][group[0], 0], cmap="gray", vmin=0, vmax=1)
            words = "\n".join(f"{name}: {datasets.CUE_SHAPES[one[group[0]]]}" for name, one in zip(MAKERS, said))
            ax.set_xlabel(f"{len(group)} such\n{words}", fontsize=8)
        else:
            ax.set_xlabel("none", fontsize=8)
            ax.set_frame_on(False)
for ax, group in zip(axes[:, 0], GROUPS):
    ax.set_ylabel(group, fontsize=9)
fig.suptitle("the first picture of each kind and group, and what is said of it", fontsize=12)
plt.show()
print(profiling.table(rows, title="400 pictures of each kind; right is the class of the silhouette"))

# %% [markdown]
# **Explain.** Now the errors have names, and the names have reasons.
#
# - **Noise breaks the CNN alone**, and its errors have one name: cross. The texture of crosses is checks, the finest of the four, and grain is finer still. A filter of $3 \times 3$ can hardly tell one from the other; a ViT weighs all of a patch of $8 \times 8$.
# - **Shrinking breaks the ViT alone.** Stripes of another width no longer fit its patches. The CNN's small filters and its mean over places bear it.
# - **A quarter turn and stripes of another class break both, with the same answer**: both read the texture and not the silhouette. For the texture their answers are right.
# - **Blur breaks both, on different pictures**: where one is wrong the other is mostly right. An ensemble could gain here; on the quarter turn it could not.
#
# A kind is worth the name only if it can be told without asking the models. "Pictures that the ViT finds hard" is no kind.
#
# Back to the table before it. A tiny $p$ says: on *these images* the two *trained* networks differ, and it is not the luck of the draw of images. It says nothing about another seed, and nothing about "ViTs" and "CNNs". The unit that would have to be repeated for that is the training. And kappa compares with independence: much of the raw agreement of two good models is mere goodness.
#
# ## Photographs
#
# Everything above happened in a small, clean world. **Real CIFAR-10** is next, where you have it on disk (set `WORKBOOK_DATA`; about six minutes on one core, and `WORKBOOK_MINUTES` asks for longer trainings on more images): the same functions, a ViT with patches of 4 and a CNN matched to it, trained on the same shifted and flipped batches. Then clean accuracy, PGD curves with intervals, error consistency, and a shape question that needs no drawn silhouettes: **shuffle the patches**. Cut the image into squares, put them back in random order. Local texture stays; the global shape is gone. Whoever needs shape must fall.


# %% explore=true measured="cifar10"
def shifted_and_flipped(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to 4 pixels (the edge repeats) and mirror half of them."""
    size = images.shape[-1]
    padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
    rows, columns = (torch.randint(9, (len(images), 1), generator=generator) + torch.arange(size) for _ in range(2))
    mirrored = torch.rand(len(images), 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    which = torch.arange(len(images))[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def patch_shuffled(images: torch.Tensor, side: int, seed: int) -> torch.Tensor:
    """Images (B, C, s, s) cut into squares of `side` pixels that are put back in another random order in each image."""
    cut = F.unfold(images, side, stride=side)  # (B, C * side * side, N)
    order = (
        torch.rand(len(images), 1, cut.shape[2], generator=torch.Generator().manual_seed(seed))
        .argsort(-1)
        .to(images.device)
    )
    return F.fold(cut.gather(2, order.expand_as(cut)), images.shape[-2:], side, stride=side)


def photograph_duel(
    train_images: int, test_images: int, steps: int, attacked_images: int, width: int, seed: int = 0
) -> None:
    """Print the whole comparison on CIFAR-10."""
    learn, test = datasets.cifar10(limit=train_images), datasets.cifar10(train=False, limit=test_images)
    spread = (learn.x.mean().item(), learn.x.std().item())
    device = profile.device()

    def small_vit() -> nn.Module:
        return TinyViT(len(test.classes), 3, 32, 4, width, 4, normalize=spread).to(device)

    target = profiling.parameter_count(small_vit())
    stretched = {str(k): (k, 2 * k, 3 * k, 4 * k) for k in range(8, 200, 2)}
    counts = {name: profiling.parameter_count(SmallCNN(w, len(test.classes), 3)) for name, w in stretched.items()}
    chosen = stretched[match_budget(counts, target, 0.1)]
    makers = {
        "ViT": small_vit,
        "CNN": lambda: SmallCNN(chosen, len(test.classes), 3, spread).to(device, memory_format=torch.channels_last),
    }
    data = tuple(part.to(device) for part in (learn.x, learn.y, test.x, test.y))
    duel = {
        name: of_model[0]
        for name, of_model in fair_train(makers, data, steps, [seed], batch=64, augment=shifted_and_flipped).items()
    }
    x, y = test.x[:attacked_images].to(device), test.y[:attacked_images].to(device)
    rows = []
    for name, run in duel.items():
        row: dict[str, object] = {
            "model": name,
            "parameters": run.params,
            "CPU s": f"{run.seconds:.0f}",
            "clean": f"{run.accuracy:.3f}",
        }
        for side in (16, 8, 4):
            row[f"shuffled {side}"] = f"{share(predicted(run.model, patch_shuffled(data[2], side, 0)), data[3]):.3f}"
        rows.append(row)
    title = f"CIFAR-10, {train_images:,} images to learn from, {steps:,} steps of 64, {test_images:,} test images"
    print(profiling.table(rows, title=title))
    epsilons = tuple(k / 255 for k in (0, 0.5, 1, 2, 4))
    rows = []
    for name, run in duel.items():
        found = {kind: robustness_curve(run.model, x, y, epsilons, attack) for kind, attack in ATTACKS.items()}
        for kind, curve in found.items():
            shown = {
                f"{255 * eps:g}/255": f"{right:.2f} ({low:.2f}-{high:.2f})"
                for eps, right, low, high in zip(epsilons, curve, *wilson(curve, len(y)))
            }
            rows.append({"model": name, "attack": kind} | shown)
        print(f"{name}: alarms", masking_alarm(epsilons, found["FGSM"].tolist(), found["PGD-10"].tolist()))
    print(profiling.table(rows, title=f"accuracy under attack, {len(y)} images, 95 % intervals"))
    said = [predicted(run.model, data[2]) for run in duel.values()]
    sizes = {name: len(group) for name, group in error_taxonomy(*said, data[3]).items()}
    print(f"{sizes}, kappa {error_consistency(*said, data[3]):+.3f}, McNemar p {mcnemar_p(*said, data[3]):.2g}")


if profile.current() is profile.Profile.GPU:
    photograph_duel(50_000, 10_000, 20_000, 1_000, width=192)
elif datasets.on_disk("cifar10"):
    budget = profile.budget(minutes=6)
    images, steps = budget.scaled(10_000, at_most=50_000), budget.scaled(1_400)
    photograph_duel(images, 2_000, steps, 200, 64, budget.seed)
else:
    profile.not_measured(
        "ViT against CNN on CIFAR-10",
        "this cell with WORKBOOK_DATA=FOLDER and images at FOLDER/cifar10/{train,test}/CLASS/NNNN.jpg",
        target="none, a comparison",
    )

# %% [markdown]
# **Explain.** Look for three things, and remember that it is one seed, few images and a short training.
#
# - **Clean accuracy.** With few images and a short training the CNN is clearly ahead. That is what an inductive bias is for: who knows that neighbors belong together need not learn it from the images.
# - **Shuffled patches.** Read them relative to the clean column. In squares of 4 pixels the CNN loses more than half of its accuracy, the ViT about a quarter: so far it has learned little more than a bag of patches. Is the CNN the one that sees shapes, then? Careful. Squares of 4 are just the ViT's own patches, cut along its own grid, and for the CNN every seam is a new edge. That is a confound, and question W2 wants you to find such.
# - **Attacks.** The CNN's lead melts with growing $\varepsilon$; at 1/255 the intervals overlap. And note the scale: a change of 2/255, which the stripes hardly felt, costs both models half of their accuracy or more.
#
# ### On a GPU: large models
#
# With `PROFILE=gpu` the next cell fine-tunes a ViT-S/16 and a ResNet-50, both pre-trained on ImageNet-1k, on Food-101: one recipe, three seeds, random crops and flips. Here "trained to convergence" is a rule and no hope. After each epoch both are asked about 5,000 photographs that were held back from training. At each of two learning rates a model trains until three epochs in a row were no better, and then its best weights count. The curves are drawn, and a line says of each training whether patience or the limit of 40 epochs ended it.
#
# Then come accuracy on all test images, shuffled patches, curves under FGSM and PGD-20 from 0.5 to 8/255, speed and memory, the error taxonomy with photographs and with the dishes that each group is rich in, 50 rows of input, rollout and Grad-CAM, and both maps under attack.
#
# | what | needs |
# | --- | --- |
# | data | Food-101: 101,000 photographs of 101 dishes, 5 GB; fetched into `WORKBOOK_DATA`, or put there. Its authors do not own the photographs, which come from Foodspotting: scientific fair use only |
# | weights | 22 and 26 million numbers from timm (Apache 2.0), 190 MB; six trained models that are kept, 570 MB |
# | memory of the GPU | *not measured yet*; the table prints it |
# | time | *not measured yet*; at most 2 models x 3 seeds x 40 epochs of 70,750 photographs. Opening and cropping them takes CPU cores: eight processes do it |
# | kept | `kept/week10/`: for each training a JSON with curve, times and results, and a file with weights, answers and maps. A second run draws from them, and a run that broke off goes on with the next training |
# | target | none, a comparison |
# | result | *not measured yet*; `PROFILE=gpu workbook record --keep-nothing week10` would measure it |


# %% explore=true
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from torch.utils.data import DataLoader, Dataset, Subset

from shared import kept
from shared.weights import fetching_weights


class Pretrained(nn.Module):
    """A model of timm's behind its own normalization: pixels of [0, 1] to logits."""

    def __init__(self, name: str, classes: int, pretrained: bool) -> None:
        super().__init__()
        import timm

        with fetching_weights(name, f"timm/{name}", asked=pretrained):
            self.body = timm.create_model(name, pretrained=pretrained, num_classes=classes)
        settings = timm.data.resolve_model_data_config(self.body)
        self.normalize = Normalize(settings["mean"], settings["std"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(self.normalize(images))


@torch.no_grad()
def timm_rollout(model: Pretrained, images: torch.Tensor) -> torch.Tensor:
    """Rollout of a ViT of timm's, (B, g, g), every map with sum 1; fused attention is switched off meanwhile."""
    layers: list[torch.Tensor] = []
    parts = [block.attn for block in model.body.blocks]
    fused = [part.fused_attn for part in parts]
    handles = [
        part.attn_drop.register_forward_pre_hook(lambda _drop, given: layers.append(given[0].mean(1))) for part in parts
    ]
    try:
        for part in parts:
            part.fused_attn = False
        model(images)
    finally:
        for part, handle, was in zip(parts, handles, fused):
            handle.remove()
            part.fused_attn = was
    stay = torch.eye(layers[0].shape[-1], device=layers[0].device)
    reach = stay.expand_as(layers[0])
    for weights in layers:
        reach = (0.5 * weights + 0.5 * stay) @ reach
    of_patches = reach[:, 0, model.body.num_prefix_tokens :]
    side = math.isqrt(of_patches.shape[1])
    return (of_patches / of_patches.sum(1, keepdim=True)).unflatten(1, (side, side))


LARGE = {"ViT": "vit_small_patch16_224.augreg_in1k", "CNN": "resnet50.a1_in1k"}
BOUNDS = tuple(k / 255 for k in (0, 0.5, 1, 2, 4, 8))
STRONG_ATTACKS = {
    "FGSM": fgsm,
    "PGD-20": lambda m, x, y, eps: pgd(m, x, y, eps, eps / 8, 20, generator=torch.Generator().manual_seed(0)),
}


@dataclass(frozen=True)
class FineTuning:
    """At each rate until `patience` epochs in a row bring no better validation loss; at most `epochs` in all."""

    epochs: int
    patience: int
    batch: int
    rates: tuple[float, ...] = (1e-4, 1e-5)


def validation_split(augmented: Dataset, plain: Dataset, held: int) -> tuple[Dataset, Dataset]:
    """Of two versions of the same images: all but `held` augmented ones to learn from, and `held` plain ones."""
    order = torch.randperm(len(plain), generator=torch.Generator().manual_seed(0)).tolist()
    return Subset(augmented, order[held:]), Subset(plain, order[:held])


def batches(data: Dataset, size: int, title: str, order: torch.Generator | None = None) -> Iterable:
    """Batches of a data set, shuffled where there is a generator, on which the augmentation depends, too."""
    workers = profile.pick(cpu=0, gpu=8)
    return profile.track(DataLoader(data, size, order is not None, generator=order, num_workers=workers), title)


def loss_of(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a batch, in bfloat16 on a GPU."""
    device = profile.device()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        return F.cross_entropy(model(images.to(device)), labels.to(device))


@torch.no_grad()
def judged(model: nn.Module, data: Dataset, size: int, title: str) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Mean loss, answers (n,) and classes (n,) on all images of a data set, in eval mode."""
    model.eval()
    total, said, true = 0.0, [], []
    for images, labels in batches(data, size, title):
        logits = model(images.to(profile.device())).float().cpu()
        total += F.cross_entropy(logits, labels, reduction="sum").item()
        said.append(logits.argmax(1))
        true.append(labels)
    return total / len(data), torch.cat(said), torch.cat(true)


def finetuned(
    name: str, learn: Dataset, valid: Dataset, classes: int, how: FineTuning, seed: int, pretrained: bool
) -> tuple[Pretrained, dict[str, object]]:
    """The model with the best validation loss, and its curve; the batches depend on the seed, not on the model."""
    torch.manual_seed(seed)
    model = Pretrained(LARGE[name], classes, pretrained).to(profile.device(), memory_format=torch.channels_last)
    order = torch.Generator().manual_seed(seed)
    curve, best, weights = [], math.inf, {}
    for rate in how.rates:
        optimizer, waited = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.05), 0
        while waited < how.patience and len(curve) < how.epochs:
            model.train()
            title, total = f"{name}, seed {seed}, epoch {len(curve) + 1}", 0.0
            for images, labels in batches(learn, how.batch, title, order):
                loss = loss_of(model, images, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
            on_valid, said, true = judged(model, valid, how.batch, "validation")
            curve.append({"rate": rate, "loss": total / len(learn), "validation": on_valid, "right": share(said, true)})
            waited = 0 if on_valid < best else waited + 1
            if on_valid < best:
                best, weights = on_valid, {key: value.clone() for key, value in model.state_dict().items()}
        model.load_state_dict(weights)
    return model.eval(), {"curve": curve, "converged": waited == how.patience}


def photographs_of(data: Dataset, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images of a data set, always the same, and their classes."""
    picked = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count].tolist()
    pairs = [data[k] for k in picked]
    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])


def maps_of(name: str, model: Pretrained, images: torch.Tensor) -> torch.Tensor:
    """Rollout of a ViT, Grad-CAM of the answer of a CNN: (B, s/4, s/4)."""
    if name == "ViT":
        maps = as_picture(timm_rollout(model, images), images.shape[-1])
    else:
        maps = grad_cam(model, "body.layer4", images, predicted(model, images))
    return F.avg_pool2d(maps[:, None], 4)[:, 0]


def contestant(
    name: str, seed: int, data: Sequence[Dataset], classes: int, how: FineTuning, attacked_images: int, pretrained: bool
) -> dict[str, object]:
    """All that is kept of one training: curve, answers, robustness, cost, maps of 50 photographs, weights."""
    began = time.perf_counter()
    model, found = finetuned(name, *data[:2], classes, how, seed, pretrained)
    found |= {"training s": time.perf_counter() - began, "parameters": profiling.parameter_count(model)}
    found["weights"] = {key: value.clone() for key, value in model.state_dict().items()}
    _, found["answers"], found["classes"] = judged(model, data[2], how.batch, f"{name}, test")
    x, y = (part.to(profile.device()) for part in photographs_of(data[2], attacked_images))

    def in_parts(attack: Callable) -> Callable:
        return lambda m, x, y, eps: torch.cat([attack(m, *part, eps) for part in zip(x.split(50), y.split(50))])

    for kind, attack in STRONG_ATTACKS.items():
        found[kind] = robustness_curve(model, x, y, BOUNDS, in_parts(attack)).tolist()
    found["shuffled"] = {side: share(predicted(model, patch_shuffled(x, side, 0)), y) for side in (112, 56, 28)}
    some, true = x[:50], y[:50]
    moved = in_parts(STRONG_ATTACKS["PGD-20"])(model, some, true, 2 / 255)
    found |= {"maps clean": maps_of(name, model, some), "maps attacked": maps_of(name, model, moved)}
    with torch.inference_mode():
        found["images/s"] = 1000 * len(some) / profiling.latency(model, some, warmup=2, runs=5).p50_ms
        found["answer MiB"] = profiling.peak_memory(model, some) / 2**20
    model.train()
    found["step MiB"] = (
        profiling.peak_memory(lambda x: loss_of(model, x, y[: len(x)]).backward(), x[: how.batch]) / 2**20
    )
    return found


def draw_training(found: Mapping[tuple[str, int], Mapping]) -> None:
    """Loss on training and validation images after each epoch, and whether patience or the limit ended it."""
    fig, ax = plt.subplots(figsize=(9, 3.8))
    for (name, seed), one in found.items():
        color, epochs = plotting.COLORS[list(LARGE).index(name)], range(1, len(one["curve"]) + 1)
        for key, line in (("loss", ":"), ("validation", "-")):
            label = f"{name}, {'training' if key == 'loss' else key}" if seed == 0 else None
            ax.plot(epochs, [row[key] for row in one["curve"]], line, color=color, marker=".", label=label)
    ax.set(xlabel="epoch", ylabel="cross-entropy, nats", title="training ends where validation gets no better")
    ax.grid(alpha=0.3)
    fig.legend(loc="outside right upper")
    plt.show()
    for (name, seed), one in found.items():
        why = "patience was over: converged" if one["converged"] else "the limit of epochs was reached: NOT converged"
        print(f"{name}, seed {seed}: {len(one['curve'])} epochs in {one['training s'] / 3600:.2f} h; {why}")


def draw_attacked(found: Mapping[tuple[str, int], Mapping], count: int) -> None:
    """Accuracy under attack for each bound; bands are 95 % intervals of the first seed under the stronger attack."""
    fig, ax = plt.subplots(figsize=(9, 4))
    for (name, seed), one in found.items():
        for kind, line in zip(STRONG_ATTACKS, (":", "-")):
            color, values = plotting.COLORS[list(LARGE).index(name)], torch.tensor(one[kind])
            places, label = [255 * eps for eps in BOUNDS], f"{name}, {kind}" if seed == 0 else None
            ax.plot(places, values, line, color=color, marker="o", markersize=4, label=label)
            if label and line == "-":
                ax.fill_between(places, *wilson(values, count), color=color, alpha=0.2, linewidth=0)
    ax.set(xlabel="eps, in 1/255", ylabel="accuracy", ylim=(-0.02, 1.02), title=f"{count} photographs under attack")
    fig.legend(loc="outside right upper")
    plt.show()


def draw_errors(said: Mapping[str, torch.Tensor], true: torch.Tensor, test: Dataset, names: Sequence[str]) -> None:
    """The taxonomy on photographs: counts, the classes that each group is rich in, and six pictures of each group."""
    found = error_taxonomy(said["ViT"], said["CNN"], true)
    print({name: len(group) for name, group in found.items()}, end="; ")
    print(f"kappa {error_consistency(*said.values(), true):+.3f}, McNemar p {mcnemar_p(*said.values(), true):.2g}")
    _, axes = plt.subplots(len(GROUPS), 6, figsize=(11.5, 7.2))
    for row, (group, parts) in zip(axes, GROUPS.items()):
        members = torch.cat([found[part] for part in parts])
        often = Counter(names[k] for k in true[members].tolist()).most_common(5)
        print(f"{group}, most often:", ", ".join(f"{name} {count}" for name, count in often))
        spread = members[torch.linspace(0, max(len(members) - 1, 0), 6).long()].tolist() if len(members) else []
        for ax in row:
            ax.set_axis_off()
        for ax, k in zip(row, spread):
            ax.imshow(test[k][0].permute(1, 2, 0))
            words = [names[true[k]], *(f"{name}: {names[of[k]]}" for name, of in said.items())]
            ax.set_title("\n".join(words), fontsize=8)
        row[0].text(-0.1, 0.5, group, transform=row[0].transAxes, rotation=90, ha="center", va="center", fontsize=9)
    plt.show()


def draw_eyes(first: Mapping[str, Mapping], x: torch.Tensor) -> None:
    """Side by side what both look at: the photographs, then twelve of them with the maps before and after an attack."""
    kinds = {"ViT": "ViT rollout", "CNN": "CNN Grad-CAM"}
    clean = {kinds[name]: one["maps clean"] for name, one in first.items()}
    display(plotting.map_gallery(x, clean, columns=10, title=f"{len(x)} photographs"))
    some = {
        f"{kinds[name]}, {when}": one[f"maps {when}"][:12]
        for name, one in first.items()
        for when in ("clean", "attacked")
    }
    display(plotting.map_gallery(x[:12], some, columns=6, title="each model under its own attack, PGD-20, eps = 2/255"))
    for name, one in first.items():
        apart = js_divergence(one["maps clean"], one["maps attacked"])
        print(f"{name}: JS divergence of maps, clean to attacked, {apart.mean():.4f} nats on average")


def large_duel(
    data: Sequence[Dataset], names: Sequence[str], how: FineTuning, seeds: Sequence[int], attacked_images: int,
    folder: Path, pretrained: bool = True,
) -> None:  # fmt: skip
    """Train two large models, or take what an earlier run kept in `folder`; print and draw the comparison.

    `data`: images to learn from, for validation, for the test, each a data set of (image in [0, 1], class).
    """
    found = {}
    for seed in seeds:
        for name in LARGE:
            settings = {"model": LARGE[name], "seed": seed, "images": [len(part) for part in data]}
            settings |= {"attacked": attacked_images, "pretrained": pretrained} | asdict(how)
            measure = partial(contestant, name, seed, data, len(names), how, attacked_images, pretrained)
            found[name, seed] = kept.results(folder / f"{name}_{seed}.json", settings, measure)
    draw_training(found)
    rows = []
    for (name, seed), one in found.items():
        row: dict[str, object] = {
            "model": LARGE[name],
            "parameters": one["parameters"],
            "seed": seed,
            "test": f"{share(one['answers'], one['classes']):.3f}",
        }
        row |= {f"shuffled {side}": f"{value:.3f}" for side, value in one["shuffled"].items()}
        row |= {
            f"{kind} {255 * eps:g}": f"{value:.3f}" for kind in STRONG_ATTACKS for eps, value in zip(BOUNDS, one[kind])
        }
        row |= {key: f"{one[key]:,.0f}" for key in ("images/s", "answer MiB", "step MiB")}
        rows.append(row)
    print(
        profiling.table(
            rows, title=f"{attacked_images} images under attack, eps in 1/255; all of the test images clean"
        )
    )
    draw_attacked(found, attacked_images)
    first = {name: found[name, seeds[0]] for name in LARGE}
    draw_errors({name: one["answers"] for name, one in first.items()}, first["ViT"]["classes"], data[2], names)
    draw_eyes(first, photographs_of(data[2], attacked_images)[0][:50])


if profile.current() is profile.Profile.GPU:
    from torchvision import transforms

    varied = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    plain = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()])
    test = datasets.food101(train=False, transform=plain)
    learn, valid = validation_split(
        datasets.food101(transform=transforms.Compose(varied)), datasets.food101(transform=plain), held=5000
    )
    large_duel(
        (learn, valid, test),
        test.classes,
        FineTuning(epochs=40, patience=3, batch=64),
        range(3),
        500,
        Path("kept/week10"),
    )
else:
    profile.not_measured(
        "ViT-S/16 against ResNet-50 on Food-101, three seeds",
        "PROFILE=gpu workbook record --keep-nothing week10",
        target="none, a comparison",
    )

# %% [markdown]
# **Explain.** If you ran it, read the lines on convergence first: a training that the limit of epochs ended supports no sentence about architectures. Then compare the spread of the three seeds with the difference between the models. With 25,250 test images McNemar's $p$ can be tiny for a difference that the next seed turns round. And look at the dishes: those that both get wrong often look alike to you, too.
#
# ### Profiling corner: what a comparison and an attack cost

# %% explore=true compare=true
one = torch.zeros(1, 1, 32, 32)
rows = []
for name, model in (("ViT", TinyViT()), ("CNN", SmallCNN(widths))):
    model.eval()
    with torch.no_grad():
        work = profiling.flops(model, one)
    rows.append(
        {
            "model": name,
            "parameters": profiling.parameter_count(model),
            "MFLOPs an image": work / 1e6,
            "FLOPs a parameter": work / profiling.parameter_count(model),
        }
    )
print(profiling.table(rows))

# %% explore=true
x_part, y_part = test_set.x[:50], test_set.shape[:50]
bench = {}
for name, model in (("ViT", vit), ("CNN", cnn)):
    bench[f"{name}: answer"] = lambda model=model: predicted(model, x_part)
    bench[f"{name}: FGSM"] = lambda model=model: fgsm(model, x_part, y_part, eight)
    bench[f"{name}: PGD, 10 steps"] = lambda model=model: pgd10(model, x_part, y_part, eight)
bench["ViT: rollout"] = lambda: rollout(vit, x_part)
bench["CNN: Grad-CAM"] = lambda: grad_cam(cnn, "stage2", x_part, y_part)
times = profiling.latencies(bench, warmup=1, runs=3)
with torch.no_grad():  # as in use; an attack and Grad-CAM switch gradients on themselves
    held = {what: profiling.peak_memory(call) / 2**20 for what, call in bench.items() if "PGD" not in what}
rows = [{"what": what, "median ms": took.p50_ms} | ({"peak MiB": held[what]} if what in held else {}) for what, took in times.items()]  # fmt: skip
print(profiling.table(rows, title="50 images; memory beyond weights and images"))


def one_step(model: nn.Module) -> None:
    """Forward and backward pass of one batch of 48; the gradients are left in the parameters."""
    F.cross_entropy(model(test_set.x[:48]), test_set.shape[:48]).backward()


rows = []
for name, of_model in runs.items():
    model, attacked_at = of_model[0].model, dict(zip(EPSILONS, found_curves[name, "PGD-10"][0].tolist()))
    fresh = MAKERS[name]().train()
    rows.append({
        "model": name, "match": of_model[0].accuracy, "faint": share(predicted(model, faint.x), faint.shape),
        "PGD-10, 4/255": attacked_at[4 / 255], "8/255": attacked_at[8 / 255], "images/s": 50_000 / times[f"{name}: answer"].p50_ms,
        "answer, MiB": held[f"{name}: answer"], "training step, MiB": profiling.peak_memory(one_step, fresh) / 2**20,
        "training, CPU s": of_model[0].seconds, "weights, MiB": 4 * of_model[0].params / 2**20,
    })  # fmt: skip
print(profiling.table(rows, title="the duel in one table: accuracy, robustness, speed, memory"))

# %% [markdown]
# **Explain.** Equal parameters, unequal work: the CNN uses each of its weights at many places. Had we matched FLOPs instead, the CNN would be smaller. FGSM costs a forward and a backward pass, PGD ten of them: that is why weak attacks are popular. Grad-CAM is cheaper than FGSM, since its backward pass ends at the layer, and rollout needs no backward pass at all. A training step holds several times the memory of an answer, since the backward pass needs what every layer gave. The last table has what a recommendation needs; question W4 asks you for one.

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.8))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.0, 1.25, 1.0))
axes = left.subplots(3, 3, gridspec_kw={"hspace": 0.05, "wspace": 0.05})
for row, k in enumerate((0, 13, 39)):  # circle, square, cross
    parts = (pictures[k, 0], looks["ViT rollout"][k], looks["CNN Grad-CAM"][k])
    for ax, part, title in zip(axes[row], parts, ("input", "ViT rollout", "CNN Grad-CAM")):
        ax.imshow(pictures[k, 0], cmap="gray", vmin=0, vmax=1)
        if part is not parts[0]:
            ax.imshow(part, alpha=0.6, vmin=0, vmax=1)
        ax.set(xticks=(), yticks=(), title=title if row == 0 else "")
ax = middle.subplots()
draw_curves(ax)
ax.set_title("who is more robust?")
ax.legend(fontsize=9)
ax = right.subplots()
for place, name in enumerate(MAKERS):
    shown_bias = [sum(biases[name][CONTRASTS.index(c)]) / len(SEEDS) for c in (0.1, 0.4)]
    bars = ax.bar(
        [k + 0.38 * place for k in range(2)], shown_bias, width=0.36, color=plotting.COLORS[place], label=name
    )
    ax.bar_label(bars, fmt="%.2f", fontsize=9)
ax.axhline(0.5, color="0.3", linestyle="--", linewidth=1.4)
ax.set(
    xticks=[0.19, 1.19],
    xticklabels=["faint texture (0.1)", "strong texture (0.4)"],
    ylim=(0, 1.1),
    ylabel="shape bias",
    title="the data decides",
)
ax.legend(fontsize=9)
plt.show()

# %% [markdown]
# ## Takeaways
#
# - A comparison says something about architectures only if parameters (or FLOPs: choose, and say so), batches, schedule and seeds are equal.
# - Grad-CAM is exact where a mean and a linear layer follow, and a heuristic elsewhere. It shows where, not what.
# - An attack bounds robust accuracy from above. One step is no evaluation; ten are a beginning.
# - Robustness has a norm and a size. Curves may cross; one point can prove either side.
# - A shape bias belongs to a model and its data. Change the strength of a cue, and the bias turns round.
# - Which images, whether together, whether by chance: taxonomy, kappa, McNemar. And a $p$ over images is no $p$ over trainings.
# - An error type has a name that can be told from the picture, a number and a reason. "Hard" is no type.
# - A curve that ends flat has not converged for that. Compare with a training of another length, or stop by a rule, and ask what changes.
# - Next week: all of these in one study of your own.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="robust" points=5 minutes=40
# **W1. Are ViTs more robust, and why? (5 points)** Papers say so, and papers deny it. Give evidence for and against from what you measured and from what you read. Then say *why* the two curves of yours differ, with at least two tables or figures as evidence. End with one sentence that your curves allow, and that names everything it depends on.
#
# ### BEGIN SOLUTION
# 1 point: budget, units and norm: parameters matched within 10 %, same batches, schedule, seed, FLOPs not matched; maximum norm, eps in 1/255 of [0, 1], normalization inside the model.
# 1 point: evidence on both sides from the own curves: the CNN holds longer at small eps, the ViT at larger ones; they cross; FGSM overestimates both.
# 1 point: why they differ, with two of: high frequencies hurt the CNN much more; the part attacked (background against object); where Grad-CAM and rollout go under attack, each against its control of random signs. A map alone is a hint; the attack on a part is a test, which bears out the CNN's map and not the ViT's.
# 1 point: limits: intervals are over images and not over trainings (five-seed table or its command); attacks give upper bounds, a stronger or adaptive one could lower either curve; the silent alarm proves nothing.
# 1 point: a sentence without overclaim ("these two networks, on this data, under PGD-10 ..."); mentions a paper for either side (Shao et al. 2021; Bai et al. 2021).
# ### END SOLUTION

# %% [markdown] written="focus" points=6 minutes=45
# **W2. What does each of them see? (6 points)** Complete the sentence, with evidence for each half: *"ViTs focus on ..., CNNs on ..., because ..."* Which cue, shape or texture, do your models follow, and what does that depend on? What would you have concluded from the explanations of part 2 alone? Then design one experiment that could refute your sentence: it separates global from local features, and has a manipulation of the images, a control, a metric, a prediction for both models, and one confound that could fool you.
#
# ### BEGIN SOLUTION
# 1 point: both halves with own numbers, and the same cue for both where that is so: texture at contrast 0.4 (bias near 0), shape at 0.1, with decided shares (a constant model has a bias, too); the CNN at finer grain (noise, frequencies, parts attacked), the ViT at the scale of its patches (shrunk pictures).
# 1 point: the "because": what is built in. Convolution: locality, weight sharing, hierarchy, the mean over places erases position. ViT: patches, learned positions, connections between all patches from the first layer.
# 1 point: dependence on the data: the cue that is easier to learn wins; architecture moves the contrast at which the bias turns.
# 1 point: rollout and Grad-CAM mark the object in either case: where, not what; they would not have told texture from shape.
# 1 point: the experiment: a manipulation that keeps one kind of feature and destroys the other, a control of equal damage, a metric relative to clean accuracy with intervals and seeds.
# 1 point: a prediction for both models that could turn out wrong, and a confound: new edges at the seams of squares, squares that are the ViT's own patches, a shift of the distribution as such.
# ### END SOLUTION

# %% [markdown] written="error-types" points=4 minutes=30
# **W3. An error taxonomy in words (4 points).** From your counts and pictures: which *kinds* of pictures does only the ViT get wrong, which only the CNN, which both, and with which answer? Give each type a name, a number, an example from your figure and a reason. Would you ensemble the two? What do kappa and McNemar's $p$ add, and what do they not say?
#
# ### BEGIN SOLUTION
# 1 point: at least three types, one of each owner, named by what can be seen in the picture (noise: only the CNN; shrunk: only the ViT; turned stripes, stripes of another class: both), each with its count and its usual wrong answer.
# 1 point: a reason for each that fits the wrong answer: grain is read as checks, so that the CNN says cross; another width of stripes does not fit the patches; both read texture and not silhouette.
# 1 point: both wrong with the same answer is one shared cue, both wrong with different answers is not; an ensemble gains only where one of the two is right (blur, noise), not on the quarter turn.
# 1 point: kappa compares with independence, p with the luck of the draw of images; neither speaks of another seed or of "ViTs" and "CNNs".
# ### END SOLUTION

# %% [markdown] written="recommendation" points=5 minutes=40
# **W4. Which one, when? (5 points)** Write a recommendation to a colleague who has to choose between the two for a product. Say for which conditions you would take the ViT, for which the CNN, and when it does not matter; use accuracy, robustness, speed and memory from your tables. How do the inductive biases of the two change your advice as the training set grows? Name one measurement that is missing, and how it could turn your advice round.
#
# ### BEGIN SOLUTION
# 1 point: conditions that differ, each with a number of the own run: large perturbations or noise (ViT), small ones, other sizes, faint textures (CNN), clean pictures of the training kind (no difference).
# 1 point: cost with numbers: equal parameters, twice the FLOPs for the CNN; time and peak memory of an answer and of a training step as measured, on which machine and threads.
# 1 point: inductive bias and generalization: a bias replaces data, a large gain with few images and less with many, and it limits what can be learned where it is wrong (Dosovitskiy et al. 2021, section 4.3); own CIFAR-10 or large-model run, where there is one.
# 1 point: convergence and fairness: accuracy has converged (half the steps reach it), the loss has not; one seed, one data set; toy results do not carry over to pre-trained models.
# 1 point: a missing measurement that could reverse the advice (own data, latency on the target device, other seeds, a stronger attack, larger models), and how.
# ### END SOLUTION
