# %% [markdown]
# # Week 8: features and probes
#
# ![Left: accuracy of nearest neighbors for each layer of three encoders, below a line for raw pixels. Middle: accuracy of a probe against the number of labels. Right: t-SNE of features of digits, colored by class.](outcome.png)
#
# *What you will have built by the end of this week. Left: which layer knows most, for three encoders, judged by nearest neighbors. Middle: what labels buy on top of each encoder. Right: a map of features, with a number that says how much to believe it.*
#
# **After this week you can**
#
# - read any layer of any timm model with hooks, and leave the model exactly as you found it;
# - turn tokens and maps into one vector an image, with the right tokens in the mean;
# - judge features with nearest neighbors and with a linear probe that cannot peek at the test set;
# - draw a curve of accuracy against labels that compares like with like, and say with an interval how sure you are;
# - put a number on a t-SNE picture, and name what the picture cannot say.
#
# **Time** about 10 hours: 2 of reading, 5 of coding, 3 of experiments. **You need** week 2, and the idea of pre-training from weeks 5 to 7. Models come from timm and a small pre-training is given, so nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | images in a batch | $D$ | width of a token, length of a feature |
# | $N$ | tokens of an image, prefix tokens included | $h, w$ | height and width of a map |
# | $n$ | images in a data set | $m$ | images to be judged |
# | $k$ | neighbors | $T$ | temperature |
# | $C$ | inverse strength of a regularizer | $s$ | cosine similarity |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import difflib
import os
from collections.abc import Callable, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import timm
import torch
import torch.nn.functional as F
from scipy.stats import binom, norm
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session, unchanged
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
from threadpoolctl import threadpool_limits

threadpool_limits(1)  # NumPy and scikit-learn, too: their threads would mostly wait for each other
print(profile.describe())

# %% [markdown]
# ## Part 1. Features out of any model
#
# A trained network is more than its answer. On the way to it, every layer describes the image with numbers. Those numbers are **features**. Take them out, freeze the network, and a classifier with a few thousand weights learns your task from a hundred labels in a second.
#
# timm has more than a thousand models. They do not agree on what comes out of a layer. Here are four famous ones, made narrow and shallow so that everything this week is fast. The weights are random; for a test of *your* code that is as good as any.


# %% given="models"
SMALL = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2},
    "deit_tiny_distilled_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2},
    "swin_tiny_patch4_window7_224": {
        "img_size": 32, "embed_dim": 12, "depths": (1, 2), "num_heads": (2, 4), "window_size": 4,
    },
    "resnet18": {"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)},
}  # fmt: skip
"""Real architectures of timm, made small; all take images (B, 3, 32, 32)."""


def small_model(name: str, seed: int = 0) -> nn.Module:
    """One of `SMALL` in eval mode: matrices, biases and positions drawn anew, so that no token is like another."""
    model = timm.create_model(name, num_classes=5, **SMALL[name])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            center = 1.0 if parameter.ndim == 1 and (parameter == 1).all() else 0.0  # the scale of a norm
            parameter.copy_(center + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


# %% explore=true compare=true
for name in SMALL:
    model = small_model(name)
    with torch.no_grad():
        out = model.forward_features(torch.zeros(2, 3, 32, 32))
    prefix, layout = getattr(model, "num_prefix_tokens", "-"), getattr(model, "output_fmt", "-")
    print(f"{name:>32}: {tuple(out.shape)!s:<15} num_prefix_tokens {prefix}  output_fmt {layout}")

# %% [markdown]
# Three kinds of shape for one thing:
#
# | layout | shape | models | tokens that are not patches |
# | --- | --- | --- | --- |
# | `NLC` | $(B, N, D)$ | ViT, DeiT | `num_prefix_tokens` of them, in front: 1 in ViT, 2 in a distilled DeiT, 5 in a ViT with four registers |
# | `NHWC` | $(B, h, w, D)$ | Swin | none |
# | `NCHW` | $(B, D, h, w)$ | convolutional networks | none |
#
# The names are timm's; its N is the batch, its L the tokens, its C our $D$. **Look at the two maps: no shape tells `NHWC` from `NCHW`.** A map $(2, 16, 16, 16)$ could be either. So the layout must be said, never guessed.

# %% [markdown] about="pool"
# ### Exercise 1. One vector for an image
#
# Neighbors and probes want one vector for each image. There are three usual ways to make one:
#
# $$\text{cls} = t_1, \qquad \text{mean} = \frac{1}{N - p} \sum_{i = p + 1}^{N} t_i, \qquad \text{cls\_mean} = [\,\text{cls};\ \text{mean}\,]$$
#
# where $t_1, \dots, t_N$ are the tokens and $p$ is the number of prefix tokens. The mean is over **patches only**.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `tokens` | $(B, N, D)$, $(B, h, w, D)$ or $(B, D, h, w)$ | tokens or a map |
# | `n_prefix` | int | $p$; a map has none |
# | `how` | `"cls"`, `"mean"`, `"cls_mean"`, `"none"` | `"none"` gives the tokens back as they are |
# | `layout` | `"NLC"`, `"NHWC"`, `"NCHW"` | what the dimensions mean |
# | result | $(B, D)$; $(B, 2D)$ for `cls_mean` | same dtype and device as the tokens |


# %% exercise="pool" difficulty=2 minutes=30
def pool_tokens(tokens: torch.Tensor, n_prefix: int, how: str, layout: str = "NLC") -> torch.Tensor:
    """Make one vector of the tokens, or of the map, of each image.

    Parameters
    ----------
    tokens : (B, N, D) for layout "NLC", (B, h, w, D) for "NHWC", (B, D, h, w) for "NCHW"; not changed.
    n_prefix : how many of the first tokens are no patches (class, distillation, register tokens); 0 for maps.
    how : "cls", the first prefix token; "mean", of the patches; "cls_mean", both side by side in this order; "none".

    Returns
    -------
    (B, D), for "cls_mean" (B, 2 D), in the dtype and on the device of the tokens; for "none" the tokens as they are.

    Raises
    ------
    ValueError : for another `how` or `layout`, a number of dimensions that does not fit the layout, a map with
        prefix tokens, and for "cls" and "cls_mean" without a prefix token.
    """
    ### BEGIN SOLUTION
    if how not in ("cls", "mean", "cls_mean", "none"):
        raise ValueError(f"how={how!r} is none of 'cls', 'mean', 'cls_mean', 'none'")
    if {"NLC": 3, "NHWC": 4, "NCHW": 4}.get(layout) != tokens.ndim:
        raise ValueError(f"tokens of shape {tuple(tokens.shape)} do not have layout {layout!r}")
    if layout != "NLC" and n_prefix:
        raise ValueError(f"a map has no prefix tokens, but n_prefix={n_prefix}")
    if how == "none":
        return tokens
    if layout == "NHWC":
        tokens = tokens.flatten(1, 2)
    if layout == "NCHW":
        tokens = tokens.flatten(2).transpose(1, 2)
    mean = tokens[:, n_prefix:].mean(dim=1)
    if how == "mean":
        return mean
    if n_prefix == 0:
        raise ValueError(f"how={how!r} needs a prefix token, but there is none")
    return tokens[:, 0] if how == "cls" else torch.cat([tokens[:, 0], mean], dim=1)
    ### END SOLUTION


# %% look="pool"
# Look: two prefix tokens and four patches of width 3, and what each way makes of them.
with checks.look():
    look_tokens = torch.tensor([[9.0, 0, 0], [0, 9, 0], [1, 2, 3], [2, 2, 3], [3, 2, 3], [4, 2, 3]])[None]
    looked = {how: pool_tokens(look_tokens, 2, how) for how in ("cls", "mean", "cls_mean")}
    fig, axes = plt.subplots(1, 4, figsize=(11.5, 2.9), width_ratios=(1.3, 1, 1, 2))
    plotting.heatmap(
        axes[0], look_tokens[0], title="tokens: 2 prefix, 4 patches", xlabel="D", ylabel="token",
        vmin=0, vmax=9, annotate=True, colorbar=False,
    )  # fmt: skip
    for ax, (how, vector) in zip(axes[1:], looked.items()):
        plotting.heatmap(ax, vector, title=how, xlabel="D", ylabel="", vmin=0, vmax=9, annotate=True, colorbar=False)
        ax.set_aspect("equal")
        ax.set_yticks([])
    plt.show()

# %% [markdown] hints="pool"
# <details><summary>Hint 1: the idea</summary>
#
# Bring every layout to $(B, \text{tokens}, D)$ first. Then one line serves all of them: leave out the first $p$ tokens, average over the token dimension. What cannot be done is sorted out before.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     unknown how, or a layout that is unknown or has another number of dimensions: ValueError
#     a map with prefix tokens: ValueError
#     "none": the tokens
#     NHWC: join height and width                      (B, h*w, D)
#     NCHW: join height and width, then swap with D    (B, h*w, D)
#     mean  = average of the tokens from n_prefix on   (B, D)
#     "mean": the mean
#     no prefix token: ValueError
#     "cls": the first token; "cls_mean": the first token, then the mean, along the width
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `tokens.flatten(1, 2)` joins two neighboring dimensions, `flatten(2)` all from the third on. `tokens.flatten(2).transpose(1, 2)` moves the channels of a CNN to the end; a `reshape` to the same shape would mix channels and places. `tokens[:, n_prefix:]` is right for 0, 1, 2 and 5. `torch.cat([a, b], dim=1)` puts two $(B, D)$ side by side.
#
# </details>

# %% [markdown] about="extractor"
# ### Exercise 2. A feature extractor for any model
#
# PyTorch can call a function of yours whenever a module has run: a **forward hook**. It gets `(module, inputs, output)`. So you can read any layer by its name, and the model's code need not know.
#
# Hooks are state that you leave in someone else's model. That makes this a question of tidiness, and a context manager is the tool for that:
#
# ```python
# with FeatureExtractor(model, ["blocks.3", "norm"], pool="mean") as extract:
#     features = extract(images)         # {"blocks.3": (B, D), "norm": (B, D)}
# ```
#
# | when | what happens |
# | --- | --- |
# | made | unknown layers are refused, with a `KeyError` that names similar ones (`blocks.3` for `block.3`); the model is not touched |
# | `with ...` begins | the model goes into eval mode, hooks are placed |
# | called | the model runs once; a **new** dict comes back, layer name to features, on the device of the images, without a gradient graph. Outside of a `with` block: `RuntimeError` |
# | `with ...` ends, also by an error | your hooks are gone and no one else's; **every module** has the mode (train or eval) that it had before; an error goes on |
#
# What a feature is: what the module **returned**, as it was at that moment; the first item where a module returns a tuple, as `nn.MultiheadAttention` does. *As it was* matters: ResNet's ReLU works in place and overwrites what the layer before it returned.
#
# With `pool` other than `"none"`, an output with three dimensions is pooled as `NLC` with the model's `num_prefix_tokens`, one with four in the model's `output_fmt`; a model without these attributes has no prefix tokens and maps in `NCHW`. Any other output stays as it is.


# %% exercise="extractor" difficulty=3 minutes=75 uses="pool"
class FeatureExtractor:
    """Reads layers of a model while it runs; a context manager that leaves no trace.

    Parameters
    ----------
    model : any module; `num_prefix_tokens` and `output_fmt` are used where it has them, as timm's models do.
    layers : names as in `model.named_modules()`, where "" is the model itself.
    pool : as `how` of `pool_tokens`.

    Raises
    ------
    KeyError : for a layer that the model does not have; the message names similar layers.
    ValueError : for a `pool` that `pool_tokens` refuses; at the latest when tokens or a map are to be pooled.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str], pool: str = "none") -> None:
        ### BEGIN SOLUTION
        modules = dict(model.named_modules())
        for name in layers:
            if name not in modules:
                near = ", ".join(difflib.get_close_matches(name, modules))
                raise KeyError(f"{type(model).__name__} has no layer {name!r}; similar: {near or 'none'}")
        self.model, self.pool = model, pool
        self.layers = {name: modules[name] for name in layers}
        self.handles: list = []
        self.modes: dict[nn.Module, bool] = {}
        self.seen: dict[str, torch.Tensor] = {}
        ### END SOLUTION

    def __enter__(self) -> "FeatureExtractor":
        ### BEGIN SOLUTION
        self.modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        for name, module in self.layers.items():
            self.handles.append(module.register_forward_hook(partial(self._keep, name)))
        return self
        ### END SOLUTION

    def _keep(self, layer: str, module: nn.Module, inputs: object, output: object) -> None:
        """The hook of one layer: put its feature, pooled, into the dict of the running call."""
        ### BEGIN SOLUTION
        feature = (output[0] if isinstance(output, tuple | list) else output).detach()
        if feature.ndim == 3:
            feature = pool_tokens(feature, getattr(self.model, "num_prefix_tokens", 0), self.pool)
        elif feature.ndim == 4:
            feature = pool_tokens(feature, 0, self.pool, getattr(self.model, "output_fmt", "NCHW"))
        self.seen[layer] = feature.clone()  # a copy: later layers may work in place
        ### END SOLUTION

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the model on images (B, C, H, W): layer -> features, (B, ...) as the layer gives them or pooled.

        Raises
        ------
        RuntimeError : outside of a `with` block.
        """
        ### BEGIN SOLUTION
        if not self.modes:
            raise RuntimeError("a FeatureExtractor works inside its `with` block only")
        self.seen = {}
        with torch.no_grad():
            self.model(images)
        return self.seen
        ### END SOLUTION

    def __exit__(self, *error: object) -> None:
        ### BEGIN SOLUTION
        for handle in self.handles:
            handle.remove()
        for module, mode in self.modes.items():
            module.training = mode
        self.handles, self.modes = [], {}
        ### END SOLUTION


# %% look="extractor"
# Look: the shapes of two layers of each model, as they are and pooled; the hooks left behind (should be 0).
with checks.look():
    look_layers = {"vit": ["blocks.1", "norm"], "deit": ["blocks.1", "norm"], "swin": ["layers.0", "norm"]}
    for name in SMALL:
        model = small_model(name)
        wanted = look_layers.get(name.partition("_")[0], ["bn1", "layer4"])
        for pool in ("none", "mean"):
            with FeatureExtractor(model, wanted, pool) as extract:
                found = extract(torch.zeros(2, 3, 32, 32))
            shapes = ", ".join(f"{layer} {tuple(feature.shape)}" for layer, feature in found.items())
            left = sum(len(module._forward_hooks) for module in model.modules())
            print(f"{name.partition('_')[0]:>8}, pool={pool!r:<7}: {shapes}; hooks left: {left}")

# %% [markdown] hints="extractor"
# <details><summary>Hint 1: the idea</summary>
#
# Four moments, four methods. What you change in `__enter__` you must be able to undo in `__exit__`: so write down each module's mode before `eval()`, and keep the handle of each hook. A hook is a small function that puts its layer's output into a dict under the layer's name.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:   modules = names and modules of the model
#             for each layer: not there? KeyError with close matches
#             remember model, pool, the modules of the layers
#     enter:  remember `training` of every module; model.eval()
#             for each layer: handle = its module.register_forward_hook(function for this name)
#             return self
#     hook:   first item of a tuple; detach; pool; copy; into the dict
#     call:   not entered? RuntimeError
#             a new dict; run the model without gradients; return the dict
#     exit:   remove each handle; give each module its mode; nothing is returned, so that an error goes on
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `difflib.get_close_matches("block.3", names)` finds `blocks.3`. `module.register_forward_hook(f)` returns a handle with `.remove()`. In a loop, `lambda m, i, o: keep(name, o)` would see only the last `name`; `functools.partial(self._keep, name)` keeps each. `{module: module.training for module in model.modules()}` holds all modes; afterwards set `module.training` of each, since `model.train(True)` would also wake what was frozen in eval mode. `output.detach().clone()` is a copy. `getattr(model, "num_prefix_tokens", 0)` has a default.
#
# </details>
#
# <details><summary>All layers give the same features</summary>
#
# Your hook is a `lambda` or function made in a loop, and looks up the name when it runs: then the loop is long over. Bind the name when you make the hook.
#
# </details>


# %% [markdown]
# ### Milestone: the real thing
#
# The four models in their real size, with a name that you may change to any other of timm's. The extractor must give, bit for bit, what the model's own methods give. With `PROFILE=gpu` the weights are the pretrained ones.

# %% explore=true
photo = datasets.photograph("flower", height=224, width=224).image
pretrained = profile.pick(cpu=False, gpu=True)
for name, layers in (
    ("vit_tiny_patch16_224", ["blocks.5", "norm"]),
    ("deit_tiny_distilled_patch16_224", ["blocks.5", "norm"]),
    ("swin_tiny_patch4_window7_224", ["layers.1", "norm"]),
    ("resnet18", ["layer2", "layer4"]),
):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=pretrained)
    mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    batch = ((photo - mean) / std)[None]
    with FeatureExtractor(model, layers) as extract:
        features = extract(batch)
    model.eval()
    with torch.no_grad():
        final = model.forward_features(batch)
        index = 2 if name == "resnet18" else int(layers[0][-1])
        (middle,) = model.forward_intermediates(batch, [index], output_fmt="NCHW", intermediates_only=True)
    mine = features[layers[0]]
    if mine.ndim == 3:  # tokens: leave out the prefix, make a map
        mine = mine[:, model.num_prefix_tokens :].transpose(1, 2).reshape(middle.shape)
    elif getattr(model, "output_fmt", "") == "NHWC":
        mine = mine.permute(0, 3, 1, 2)
    gaps = [(a - b).abs().max().item() for a, b in ((features[layers[1]], final), (mine, middle))]
    print(f"{name:>32}: {layers[1]} differs from forward_features by {gaps[0]:g}, ", end="")
    print(f"{layers[0]} from forward_intermediates by {gaps[1]:g}")
    assert max(gaps) == 0

# %% [markdown]
# Note what you had to know to compare them: `forward_features` is *after* the final norm, `blocks.11` is *before* it. Those are two different features. A paper that says "features of the last layer" should say which.
#
# Hugging Face has the same in other words: `AutoModel.from_pretrained("facebook/dinov2-base")(pixel_values=images).last_hidden_state` is $(B, 1 + N, D)$ after the final norm, and `output_hidden_states=True` gives all blocks before it.

# %% [markdown] about="dataset"
# ### Exercise 3. All images, once
#
# A backbone is expensive, a probe is cheap. So run the backbone **once** over the data set and keep the features. Two things go wrong here in practice: the last, smaller batch gets lost, and rows stop belonging to the images that you take them for.
#
# | name | shape or type | meaning |
# | --- | --- | --- |
# | `extractor` | a `FeatureExtractor`, or anything that works as one: `with extractor as extract`, then `extract(batch)` gives a dict | you open it and close it, once |
# | `images` | $(n, C, H, W)$ | |
# | `batch_size` | int, at least 1 | |
# | `features` | dict: layer to $(n, \dots)$ | **row $i$ belongs to image $i$** |
# | `index` | $(n,)$ int64 | the number of the image of each row: to join rows with labels later, also after you have sorted or filtered them |


# %% exercise="dataset" difficulty=2 minutes=25 uses="extractor"
def extract_dataset(
    extractor: FeatureExtractor, images: torch.Tensor, batch_size: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Extract the features of all images, batch by batch.

    Parameters
    ----------
    extractor : not yet in a `with` block; it is entered here, gets batches of the images as they are, and is left in any
        case.
    images : (n, C, H, W). batch_size : images at a time; the last batch may be smaller.

    Returns
    -------
    (features, index): a dict, layer -> (n, ...), row i for image i, in the dtype that the extractor gives or, to
    save memory, in float16; and the image number of each row, (n,) int64.

    Raises
    ------
    ValueError : when batch_size is below 1.
    """
    ### BEGIN SOLUTION
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} is below 1")
    with extractor as extract:
        parts = [extract(batch) for batch in images.split(batch_size)]
    features = {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
    return features, torch.arange(len(images))
    ### END SOLUTION


# %% look="dataset"
# Look: 7 images in batches of 3. Each row of features should be that of the image alone.
with checks.look():
    look_model, look_images = (
        small_model("resnet18"),
        torch.rand(7, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
    )
    look_features, look_index = extract_dataset(FeatureExtractor(look_model, ["layer4"], "mean"), look_images, 3)
    alone, _ = extract_dataset(FeatureExtractor(look_model, ["layer4"], "mean"), look_images, 1)
    print("features:", tuple(look_features["layer4"].shape), " index:", look_index.tolist())
    print(f"largest difference from batches of one: {(look_features['layer4'] - alone['layer4']).abs().max():.1e}")

# %% [markdown] hints="dataset"
# <details><summary>Hint 1: the idea</summary>
#
# Open the extractor once, around the loop. Collect the dicts of the batches in a list, then join them layer by layer.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     batch size below 1: ValueError
#     with the extractor: for each batch, in order: keep its dict
#     for each layer: one tensor of all batches
#     index = 0 ... n-1
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `images.split(size)` gives all batches, the last one smaller where it must be. `torch.cat([part[layer] for part in parts])` joins. A `with` statement closes the extractor when the model raises an error, too; calling `__enter__` and `__exit__` by hand does not.
#
# </details>


# %% [markdown]
# ## Part 2. Neighbors
#
# Are features any good? The quickest answer needs no training: ask whether images with the same label lie close together. But first we need features worth asking about.
#
# The data are real handwriting: 1,347 digits to learn from, 450 for the test, enlarged to $16 \times 16$. All encoders are **the same ViT** (patches of 4, so 16 tokens and the class token, width 48, two blocks). They differ in what they have seen:
#
# | encoder | images seen | labels seen |
# | --- | --- | --- |
# | random | none | none |
# | supervised | 100 | the same 100: ten of each digit |
# | MAE | all 1,347 | **none** |
#
# MAE (week 5; He et al. 2022) hides half of the patches and learns to fill them in. The given code is short, so read it. Beside them stand the **raw pixels**, 256 numbers an image. Never leave out that row.


# %% given="encoders"
def encoder(seed: int, position_std: float = 0.5) -> VisionTransformer:
    """A ViT for 16 x 16 pixels in one channel: p = 4, width 48, 2 blocks, 4 heads; its weights depend on `seed`."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=16, patch_size=4, in_chans=1, num_classes=10, embed_dim=48, depth=2, num_heads=4, mlp_ratio=2.0,
        weight_init="jax",
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=position_std)
    return model


def few_per_class(labels: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Indices of `count` random examples of each class."""
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.cat([mixed[labels[mixed] == label][:count] for label in labels.unique()])


def optimize(model: nn.Module, loss_of: Callable, count: int, steps: int, rate: float, seed: int) -> nn.Module:
    """AdamW on `loss_of(rows, generator)` for random batches of 64 rows out of `count`; the model, in eval mode."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        loss = loss_of(torch.randint(count, (64,), generator=generator), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def train_supervised(model: VisionTransformer, x: torch.Tensor, y: torch.Tensor, steps: int, seed: int) -> nn.Module:
    """Train the whole model with labels: x (n, 1, 16, 16), y (n,) int64."""
    return optimize(model, lambda rows, _: F.cross_entropy(model(x[rows]), y[rows]), len(x), steps, 1e-3, seed)


class MaskedAutoencoder(nn.Module):
    """Learns to fill in hidden patches (He et al. 2022, section 3); the encoder sees the visible ones only."""

    def __init__(self, encoder: VisionTransformer, width: int = 36, ratio: float = 0.5) -> None:
        super().__init__()
        self.encoder, self.ratio = encoder, ratio
        patches, patch = encoder.patch_embed.num_patches, encoder.patch_embed.patch_size[0]
        self.embed = nn.Linear(encoder.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.5 * torch.randn(1, patches, width))
        self.block, self.norm = Block(width, num_heads=4, mlp_ratio=2.0, qkv_bias=True), nn.LayerNorm(width)
        self.head = nn.Linear(width, patch * patch * encoder.patch_embed.proj.in_channels)

    def loss(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean square of the error in the hidden patches of images (B, C, H, W)."""
        encoder, (patch, _) = self.encoder, self.encoder.patch_embed.patch_size
        target = F.unfold(images, patch, stride=patch).transpose(1, 2)  # (B, N, C*p*p)
        tokens = encoder.patch_embed(images) + encoder.pos_embed[:, 1:]
        batch, count, _ = tokens.shape
        order = torch.rand(batch, count, generator=generator).to(images.device).argsort(dim=1)
        visible = order[:, : int(count * (1 - self.ratio)), None]
        seen = tokens.gather(1, visible.expand(-1, -1, tokens.shape[2]))
        first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(batch, -1, -1)
        latent = encoder.norm(encoder.blocks(torch.cat([first, seen], dim=1)))[:, 1:]
        whole = self.mask_token.expand(batch, count, -1)
        whole = whole.scatter(1, visible.expand(-1, -1, whole.shape[2]), self.embed(latent))
        guess = self.head(self.norm(self.block(whole + self.positions)))
        hidden = torch.ones_like(guess[:, :, 0]).scatter(1, visible[:, :, 0], 0.0)
        return ((guess - target).square().mean(-1) * hidden).sum() / hidden.sum()


def pretrain_mae(model: VisionTransformer, x: torch.Tensor, steps: int, seed: int, ratio: float = 0.5) -> nn.Module:
    """Pre-train an encoder on images x (n, C, H, W) without labels."""
    torch.manual_seed(seed)
    mae = MaskedAutoencoder(model, ratio=ratio).to(x.device)
    optimize(mae, lambda rows, generator: mae.loss(x[rows], generator), len(x), steps, 2e-3, seed)
    return model.eval()


# %% [markdown] about="knn"
# ### Exercise 4. Ask the neighbors
#
# An image gets the label that its $k$ nearest training images agree on. Near is meant in angle, not in length: **cosine similarity**, $s = \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert}$. A vector may be long because the image has strong contrast, and that says nothing about its class.
#
# $$\text{vote}(c) = \sum_{i \,\in\, k \text{ nearest}} w_i \,[y_i = c], \qquad w_i = \begin{cases} 1 & \text{without a temperature} \\ e^{s_i / T} & \text{with temperature } T \end{cases}$$
#
# The weighted form is the usual one for self-supervised features (Wu et al. 2018, section 3.4, with $T = 0.07$).
#
# Two classes may get the same vote. Then the class with the larger **sum of similarities** among the $k$ wins, and if these are equal too, the smaller label. A rule like that has to be written down, or your numbers depend on the order of the training set.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `train_f`, `train_y` | $(n, D)$ float, $(n,)$ int64 | the bank |
# | `test_f` | $(m, D)$ float | what is asked about |
# | `temperature` | float or None | $T$; small ones such as 0.005 must work, where $e^{s/T}$ is beyond float32 |
# | `n_classes` | int or None | None: the largest label plus one. Labels need not all occur |
# | result | $(m,)$ int64 | |
#
# No Python loop over images.


# %% exercise="knn" difficulty=3 minutes=50
def knn_classify(
    train_f: torch.Tensor,
    train_y: torch.Tensor,
    test_f: torch.Tensor,
    k: int,
    temperature: float | None = None,
    n_classes: int | None = None,
) -> torch.Tensor:
    """Classify by the k nearest neighbors in cosine similarity (Wu et al. 2018, section 3.4).

    Parameters
    ----------
    train_f : (n, D) float. train_y : (n,) int64. test_f : (m, D) float. None of them is changed.
    k : neighbors. temperature : None for one vote each, else votes exp(s / temperature).
    n_classes : all labels are below it, so it can be the width of a table of votes; the largest label plus one by default.

    Returns
    -------
    (m,) int64. Ties go to the class with the largest sum of similarities among the k, then to the smaller label.

    Raises
    ------
    ValueError : when k < 1 or k > n.
    """
    ### BEGIN SOLUTION
    if not 1 <= k <= len(train_f):
        raise ValueError(f"k={k} is not between 1 and the {len(train_f)} training images")
    n_classes = int(train_y.max()) + 1 if n_classes is None else n_classes
    similarity = F.normalize(test_f, dim=1) @ F.normalize(train_f, dim=1).T
    near, index = similarity.topk(k, dim=1)
    weights = torch.ones_like(near)
    if temperature is not None:
        weights = ((near - near[:, :1]) / temperature).exp()  # divided by the largest, which changes no comparison
    labels = train_y[index]
    empty = near.new_zeros(len(test_f), n_classes)
    votes = empty.scatter_add(1, labels, weights)
    sums = empty.scatter_add(1, labels, near)
    tied = votes == votes.max(dim=1, keepdim=True).values
    return sums.masked_fill(~tied, -torch.inf).argmax(dim=1)
    ### END SOLUTION


# %% look="knn"
# Look: 12 training points of two classes, and the class that your function gives each place of the plane.
# The regions are sectors, not islands: only the angle counts. A small T gives the nearest point the last word again.
with checks.look():
    look_generator = torch.Generator().manual_seed(1)
    look_y = torch.arange(12) % 2
    look_f = torch.randn(12, 2, generator=look_generator) + torch.tensor([[2.0, 0.5], [0.5, 2.0]])[look_y]
    side = torch.linspace(-2, 5, 90)
    grid = torch.cartesian_prod(side, side)
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.7), sharey=True)
    for ax, (k, temperature) in zip(axes, ((1, None), (5, None), (5, 0.005))):
        told = knn_classify(look_f, look_y, grid, k, temperature).reshape(90, 90)
        ax.pcolormesh(side, side, told.T, cmap="coolwarm", alpha=0.35, vmin=0, vmax=1)
        for label, marker in ((0, "o"), (1, "s")):
            ax.scatter(
                *look_f[look_y == label].T, marker=marker, edgecolor="black", color=("#0072B2", "#D55E00")[label],
                label=f"class {label}",
            )  # fmt: skip
        ax.set(title=f"k = {k}, " + ("one vote each" if temperature is None else f"T = {temperature}"), aspect="equal")
        ax.set_xlabel("feature 0")
    axes[0].set_ylabel("feature 1")
    axes[0].legend(fontsize=9, loc="upper right")
    plt.show()

# %% [markdown] hints="knn"
# <details><summary>Hint 1: the idea</summary>
#
# One matrix product of unit vectors gives all cosines. `topk` finds the neighbors of all rows at once. A vote is a sum into the slot of a label, and `scatter_add` is made for that.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     check k
#     unit vectors; similarity = test times train, transposed      (m, n)
#     near, index = the k largest of each row                      (m, k)
#     labels = train_y at index                                    (m, k)
#     weights = ones, or exp of (near - largest near) / T          (m, k)
#     votes = weights summed by label                              (m, classes)
#     sums  = near summed by label                                 (m, classes)
#     where a class does not have the most votes: its sum = -infinity
#     the class with the largest sum
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.zeros(m, classes).scatter_add(1, labels, weights)` adds each weight to the column that its label names. Dividing all weights of a row by the same number changes no vote, so subtract the row's largest similarity before `exp`: then nothing overflows. `votes == votes.max(1, keepdim=True).values` marks the tied classes; `sums.masked_fill(~tied, -torch.inf).argmax(1)` decides, and `argmax` gives the first of equal entries, which is the smaller label.
#
# </details>

# %% [markdown]
# ### Three encoders and the pixels, asked
#
# Now train the encoders and ask the neighbors at every layer. The first cell trains, for about 600 steps in all. The second uses your extractor. With the environment variable `SEEDS=3` both do it for three seeds.
#
# **Predict.** Which of the four wins at $k = 1$: random, supervised, MAE, or the raw pixels?

# %% explore=true
data = datasets.digits(size=16)
pixels = data.x_train.flatten(1), data.x_test.flatten(1)
seeds = tuple(range(int(os.environ.get("SEEDS", profile.pick(cpu=1, gpu=3)))))
encoders, scratch = {}, {}
for seed in seeds:
    few = few_per_class(data.y_train, 10, seed)
    for steps in (100, 200):  # what training from scratch says about the test images, after a short and a longer run
        trained = train_supervised(encoder(seed), data.x_train[few], data.y_train[few], steps, seed)
        with torch.no_grad():
            right = trained(data.x_test).argmax(1) == data.y_test
        scratch[seed, steps] = right.double().mean().item()
    encoders["random", seed] = encoder(seed).eval()
    encoders["supervised", seed] = trained
    encoders["MAE", seed] = pretrain_mae(encoder(seed), data.x_train, 300, seed)
print(f"{len(encoders)} encoders of {profiling.parameter_count(encoders['MAE', 0]):,} parameters, seeds {seeds}")

# %% explore=true
layers = [*(f"blocks.{i}" for i in range(len(encoders["MAE", 0].blocks))), "norm"]
extracted = {}
for (name, seed), model in encoders.items():
    sets = [
        extract_dataset(FeatureExtractor(model, layers, "cls_mean"), x, 256)[0] for x in (data.x_train, data.x_test)
    ]  # one pass for all layers and both poolings
    for layer in layers:
        width = sets[0][layer].shape[1] // 2
        extracted[name, seed, layer, "cls"] = tuple(part[layer].float()[:, :width] for part in sets)
        extracted[name, seed, layer, "mean"] = tuple(part[layer].float()[:, width:] for part in sets)
features = extracted  # (encoder, seed, layer, pooling) -> training and test features


def neighbor_accuracy(
    train_f: torch.Tensor, train_y: torch.Tensor, test_f: torch.Tensor, test_y: torch.Tensor, k: int, **options: float
) -> float:
    """Test accuracy of k nearest neighbors, a thousand test images at a time."""
    said = torch.cat([knn_classify(train_f, train_y, chunk, k, **options) for chunk in test_f.split(1000)])
    return (said == test_y).double().mean().item()


def neighbors_say(pair: tuple[torch.Tensor, torch.Tensor], k: int) -> float:
    """The same for digits, with all training labels."""
    return neighbor_accuracy(pair[0], data.y_train, pair[1], data.y_test, k)


def spread(values: Sequence[float]) -> str:
    """A mean, and the range where there is more than one value."""
    range_text = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{range_text}"


names = ("random", "supervised", "MAE")
rows = [{"encoder": "raw pixels"} | {f"k = {k}": f"{neighbors_say(pixels, k):.3f}" for k in (1, 5, 20)}]
for name in names:
    found = {k: [neighbors_say(features[name, seed, "norm", "mean"], k) for seed in seeds] for k in (1, 5, 20)}
    rows.append({"encoder": name} | {f"k = {k}": spread(of_k) for k, of_k in found.items()})
print(profiling.table(rows, title=f"accuracy of neighbors, norm, mean of patches, seeds {seeds}"))
by_layer = {
    (name, how): np.array([[neighbors_say(features[name, seed, layer, how], 5) for layer in layers] for seed in seeds])
    for name in names
    for how in ("cls", "mean")
}

# %% explore=true
fig, axes = plt.subplots(1, 2, figsize=(11.5, 3.8), sharey=True)
for ax, how in zip(axes, ("cls", "mean")):
    for name, marker in zip(names, "osD"):
        of_name = by_layer[name, how]
        (line,) = ax.plot(layers, of_name.mean(0), marker=marker, label=name)
        ax.fill_between(layers, of_name.min(0), of_name.max(0), color=line.get_color(), alpha=0.15, linewidth=0)
    ax.axhline(neighbors_say(pixels, 5), color="0.3", linestyle="--", label="raw pixels")
    ax.set(title={"cls": "class token", "mean": "mean of the patches"}[how], xlabel="layer")
    ax.margins(x=0.12)
    ax.grid(alpha=0.3)
axes[0].set(ylabel="accuracy, 5 neighbors", ylim=(0.55, 1.02))
axes[1].legend(loc="lower right")
plt.show()

# %% [markdown]
# **Explain.** Read your table and your figure with four questions.
#
# - *Does pre-training help?* Compare MAE with random. Not one label was used.
# - *Is it as good as labels?* The supervised encoder has seen 100 of them.
# - *Does anything beat the pixels?* No. These digits are centered, scaled and gray: a pixel means the same place in every image, and the distance between pixels is a good measure already. Every encoder here throws some of that away. For photographs see the end.
# - *Which layer, which pooling?* The supervised head reads the class token behind `norm`. MAE's decoder reads the patches; no loss ever reads its class token.
#
# One caution. Test labels drew this figure. It may explain; it must not *choose*. To pick a layer, draw it with a part of the training images.

# %% explore=true
train_f, test_f = features["MAE", 0, "norm", "mean"]
queries = [int((data.y_test == digit).nonzero()[5]) for digit in (1, 3, 5, 8, 9)]
closeness = F.normalize(test_f[queries], dim=1) @ F.normalize(train_f, dim=1).T
sheet = torch.ones(5 * 22, 6 * 20)  # one picture of all images, with room for a line of text above each
fig, ax = plt.subplots(figsize=(8.4, 7.7))
for line, (query, row) in enumerate(zip(queries, closeness)):
    near = row.topk(5)
    images = [data.x_test[query], *data.x_train[near.indices]]
    texts = [f"query: {data.y_test[query]}"]
    texts += [f"{data.y_train[i]} ({s:.3f})" for i, s in zip(near.indices, near.values)]
    for column, (image, text) in enumerate(zip(images, texts)):
        top, left = 22 * line + 5, 20 * column + 2
        sheet[top : top + 16, left : left + 16] = image[0] * data.std + data.mean
        ax.text(left + 8, top - 2.2, text, ha="center", va="center", fontsize=11)
ax.imshow(sheet, cmap="gray", vmin=0, vmax=1)
ax.set_title("five queries, and the nearest training images of each for the MAE encoder: label (cosine)")
ax.set_axis_off()
plt.show()

# %% [markdown]
# Look at the cosines: right and wrong neighbors lie within a few hundredths of each other. With $T = 1$ the weights $e^{s/T}$ of such neighbors are all but equal; with $T = 0.07$ a lead of 0.05 doubles the vote, since $e^{0.05 / 0.07} = 2.04$. That is why the temperature is small.
#
# ## Part 3. A linear layer on top, and what a label buys

# %% [markdown] about="probe"
# ### Exercise 5. A linear probe that cannot peek
#
# A linear probe asks a sharper question: can *one linear layer* read the class off the features? The recipe has three steps, and each of them can leak the test set into the answer:
#
# | step | right | leak |
# | --- | --- | --- |
# | standardize | mean and deviation of the **training** features, used for all that comes later | of all features, or of each batch by itself |
# | choose $C$ | by an inner split of the **training** images, stratified | by the accuracy on the test set |
# | fit | on all training images with that $C$ | |
#
# $C$ is scikit-learn's *inverse* strength of the squared penalty on the weights: small $C$, small weights. Too small, and the probe cannot use the features; too large, and it learns the noise of a hundred labels by heart. Which one you need depends on the encoder and on the number of labels, so a fixed $C$ would favor one of the encoders that you compare.
#
# scikit-learn's `Pipeline` puts scaler and classifier into one object. `fit` and `predict` then cannot get out of step, also inside the inner split.
#
# | function | result |
# | --- | --- |
# | `linear_probe(train_f, train_y, c_grid, seed)` | a fitted `Pipeline` from features to labels |
# | `probe_report(probe, test_f, test_y, seed, resamples)` | `{"accuracy": a, "low": l, "high": u}`, floats: accuracy and its 95 % interval by the percentile **bootstrap**: draw as many test images as there are, with replacement, `resamples` times; 2.5 % of the accuracies lie below `low`, 2.5 % above `high` |
#
# An accuracy of 0.90 on 450 images has an interval of about ±0.03. Differences smaller than that are not worth a sentence.


# %% exercise="probe" difficulty=2 minutes=50
def linear_probe(train_f: torch.Tensor, train_y: torch.Tensor, c_grid: Sequence[float], seed: int) -> Pipeline:
    """Fit logistic regression on standardized features, with C chosen by an inner split of the training images.

    Parameters
    ----------
    train_f : (n, D) float. train_y : (n,) int64. c_grid : values of C to choose from.
    seed : of the inner split, which is stratified: 3 folds, or 2 where the smallest class has 2 images.

    Returns
    -------
    A Pipeline, fitted on all training images with the best C until the solver converges. Its `predict`
    takes (m, D) float, tensor or array, and gives (m,) labels.

    Raises
    ------
    ValueError : when a class has fewer than 2 images, so that nothing can be split.
    """
    ### BEGIN SOLUTION
    x, y = np.asarray(train_f), np.asarray(train_y)
    smallest = int(np.unique(y, return_counts=True)[1].min())
    if smallest < 2:
        raise ValueError("a class has fewer than 2 images: there is nothing to choose C with")
    folds = StratifiedKFold(min(3, smallest), shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"logisticregression__C": list(c_grid)}, cv=folds)
    return search.fit(x, y).best_estimator_
    ### END SOLUTION


def probe_report(
    probe: Pipeline, test_f: torch.Tensor, test_y: torch.Tensor, seed: int, resamples: int = 2000
) -> dict[str, float]:
    """Accuracy on test images, with a bootstrap 95 % interval (Efron and Tibshirani 1993, chapter 13: percentiles).

    Parameters
    ----------
    probe : anything whose `predict` gives an array. test_f : (m, D) float. test_y : (m,) int64.
    seed : of the resampling, which leaves the generators of NumPy and torch alone.
    resamples : how often m images are drawn, with replacement.

    Returns
    -------
    {"accuracy": ..., "low": ..., "high": ...}, floats in [0, 1].
    """
    ### BEGIN SOLUTION
    right = np.asarray(probe.predict(np.asarray(test_f))) == np.asarray(test_y)
    drawn = np.random.default_rng(seed).integers(len(right), size=(resamples, len(right)))
    low, high = np.percentile(right[drawn].mean(axis=1), [2.5, 97.5])
    return {"accuracy": float(right.mean()), "low": float(low), "high": float(high)}
    ### END SOLUTION


# %% look="probe"
# Look: two classes in the plane, one direction 1,000 times as large as the other, and what your probe makes of them.
with checks.look():
    look_generator = torch.Generator().manual_seed(0)
    look_y = torch.arange(80) % 2
    look_f = torch.randn(80, 2, generator=look_generator) + torch.tensor([[-1.0, -1.0], [1.0, 1.0]])[look_y]
    look_f = look_f * torch.tensor([1000.0, 1.0])
    look_probe = linear_probe(look_f[:40], look_y[:40], (0.01, 1.0, 100.0), seed=0)
    print("steps:", [type(step).__name__ for step in look_probe.named_steps.values()])
    look_report = probe_report(look_probe, look_f[40:], look_y[40:], seed=0)
    print({name: round(value, 3) for name, value in look_report.items()}, "on 40 test images")
    across, up = torch.linspace(-4000, 4000, 80), torch.linspace(-5, 5, 80)
    told = look_probe.predict(torch.cartesian_prod(across, up)).reshape(80, 80)
    fig, ax = plt.subplots(figsize=(5.5, 3.6))
    ax.pcolormesh(across, up, told.T, cmap="coolwarm", alpha=0.35, vmin=0, vmax=1)
    for label, marker in ((0, "o"), (1, "s")):
        ax.scatter(
            *look_f[:40][look_y[:40] == label].T, marker=marker, edgecolor="black", color=("#0072B2", "#D55E00")[label],
            label=f"class {label}",
        )  # fmt: skip
    ax.set(title="training images and the probe's two regions", xlabel="feature 0", ylabel="feature 1")
    ax.set_xticks((-4000, -2000, 0, 2000, 4000))
    ax.legend(fontsize=9, loc="lower right")
    plt.show()

# %% [markdown] hints="probe"
# <details><summary>Hint 1: the idea</summary>
#
# Let scikit-learn do the bookkeeping: a search over $C$ of a *whole pipeline* fits the scaler anew in each fold and refits the best on everything. For the report, note for each test image whether it was right; the bootstrap only redraws these zeros and ones.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     linear_probe: fewer than 2 images of a class: ValueError
#                   folds = stratified, shuffled with the seed; at most 3, at most the smallest class
#                   search over C of (scaler, logistic regression), on the training images
#                   the refitted best pipeline
#     probe_report: right = predictions equal labels                   (m,)
#                   draw = resamples x m numbers from 0 ... m-1
#                   accuracies = means of right at draw, by row        (resamples,)
#                   their percentiles 2.5 and 97.5
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), {"logisticregression__C": list(c_grid)}, cv=StratifiedKFold(folds, shuffle=True, random_state=seed))`; after `.fit(x, y)` it holds the refitted pipeline as `.best_estimator_`. `np.asarray(tensor)` makes an array. `np.random.default_rng(seed).integers(m, size=(resamples, m))` draws with replacement; `np.percentile(a, [2.5, 97.5])`.
#
# </details>


# %% [markdown]
# ### The classifier, in one object
#
# Put the extractor in front, and you have a classifier that takes *images*. Only its last layer was ever trained on labels. The backbone is frozen, so its weights must be the same afterwards, bit for bit.

# %% explore=true
from sklearn.svm import SVC

mae, few = encoders["MAE", 0], few_per_class(data.y_train, 10, 0)
frozen = copy.deepcopy(mae.state_dict())


def backbone(images: np.ndarray) -> np.ndarray:
    """Images (n, 1, 16, 16) to features (n, D): a step of a scikit-learn pipeline."""
    found, _ = extract_dataset(FeatureExtractor(mae, ["norm"], "mean"), torch.as_tensor(images), 256)
    return found["norm"].float().numpy()


for head in (LogisticRegression(C=0.1, max_iter=1000), SVC(C=10.0)):
    classifier = make_pipeline(FunctionTransformer(backbone), StandardScaler(), head)
    classifier.fit(data.x_train[few].numpy(), data.y_train[few].numpy())
    report = probe_report(classifier, data.x_test, data.y_test, seed=0)
    print(f"images -> frozen ViT -> scaler -> {type(head).__name__}, 100 labels: ", end="")
    print(f"{report['accuracy']:.3f} (95 % interval {report['low']:.3f} to {report['high']:.3f})")
changed = [name for name, value in mae.state_dict().items() if not torch.equal(value, frozen[name])]
print("weights of the backbone that changed:", changed or "none")
assert not changed

# %% [markdown]
# ### The target: features without labels against training from scratch
#
# Both get **the same 100 labels**. *Scratch* trains all weights of the ViT with them. The *probe* trains one linear layer on MAE features, and MAE has seen all 1,347 images but no label. The common promise is that the probe wins. The target of this week: by 2 points, on the mean of three seeds.
#
# And now the fine print. How long may scratch train? The cell shows 100 steps and 200 steps; MAE's pre-training has 300.

# %% explore=true
C_GRID = (0.01, 0.3)
compared: dict[str, list[float]] = {}
for seed in seeds:
    few = few_per_class(data.y_train, 10, seed)
    labels = data.y_train[few]
    for name, (train_f, test_f) in {
        "probe, raw pixels": pixels,
        "probe, random": features["random", seed, "norm", "mean"],
        "probe, MAE": features["MAE", seed, "norm", "mean"],
    }.items():
        probe = linear_probe(train_f[few], labels, C_GRID, seed)
        compared.setdefault(name, []).append(probe_report(probe, test_f, data.y_test, seed)["accuracy"])
    for steps in (100, 200):
        compared.setdefault(f"scratch, {steps} steps", []).append(scratch[seed, steps])
print(
    profiling.table(
        [
            {"100 labels": name, "mean": f"{np.mean(found):.3f}"}
            | {f"seed {s}": f"{v:.3f}" for s, v in zip(seeds, found)}
            for name, found in compared.items()
        ]
    )
)
for steps in (100, 200):
    gain = np.mean(compared["probe, MAE"]) - np.mean(compared[f"scratch, {steps} steps"])
    verdict = "reached" if gain >= 0.02 else "NOT reached"
    print(f"probe on MAE features against scratch with {steps} steps: {100 * gain:+.1f} points; target +2: {verdict}")
if len(seeds) < 3:
    profile.not_measured(f"three seeds (here: {seeds})", "SEEDS=3 workbook record --keep-nothing week08")

# %% [markdown]
# **Explain.** The same features, the same labels, two verdicts. Against a run from scratch that was stopped after 100 steps, frozen features look like a gift. Give the rival 100 steps more, with not one label more, and look again. So whenever you read "our features beat training from scratch", ask how long scratch was trained, and whether it had converged.
#
# Two more reasons for modesty. One accuracy on 450 images has an interval of about ±0.04 here, so a gain of two points at one seed proves nothing; hence the demand for three seeds. And the *start* matters: `encoder` begins with positions of standard deviation 0.5, as week 3 found to be fair. Set `position_std=0.02`, timm's default, for all encoders, and see which side suffers more.
#
# Fine-tuning *all* weights from MAE's, and not only a linear layer, is the other way to use pre-training. Week 5 does that.

# %% [markdown]
# ### What a label buys
#
# "Our features need few labels" is a claim about a *curve*: accuracy against the number of labels. Two mistakes spoil such curves. One draws the 100 labels anew and not as 10 more on top of the 90, so that the curve jumps with the luck of the draw. The other takes whatever comes, and has three zeros and no seven among the first ten.

# %% [markdown] about="budget"
# ### Exercise 6. A curve of labels
#
# Repeat $r = 0, 1, \dots$: shuffle the images of each class with a generator of this repeat. The subset for a **budget** of $b$ labels a class is the first $b$ of each class. So within one repeat a smaller subset lies inside every larger one, and different repeats draw differently. Fit on the subset, score on **all** test images, and only there.
#
# $$\text{mean}_b = \frac1R \sum_r a_{r,b}, \qquad \text{std}_b = \sqrt{\frac1R \sum_r (a_{r,b} - \text{mean}_b)^2}$$
#
# | name | meaning |
# | --- | --- |
# | `train`, `test` | each a pair: features $(n, D)$ and labels $(n,)$ int64 |
# | `budgets` | labels **per class**, ints, in any order |
# | `repeats`, `seed` | $R$, and where all randomness comes from; torch's and NumPy's own generators are left alone |
# | `fit` | how to fit: `fit(features, labels, seed)` gives an object with `predict(features)`, such as your linear probe. Its `seed` is an int that you make of yours, such as seed + repeat |
# | result | one dict a budget, in the order of `budgets`: `{"budget": b, "mean": ..., "std": ...}`, accuracies in [0, 1] |


# %% exercise="budget" difficulty=3 minutes=45
def label_efficiency(
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    budgets: Sequence[int],
    repeats: int,
    seed: int,
    fit: Callable,
) -> list[dict[str, float]]:
    """Accuracy against labels per class: balanced subsets, nested within a repeat, drawn from `train` only.

    Parameters
    ----------
    train, test : (features (n, D) float, labels (n,) int64); not changed. budgets : labels per class.
    repeats : R, how often all subsets are drawn anew. seed : of everything random, also of what `fit` draws.
    fit : `fit(features (b*K, D), labels (b*K,), seed)` gives an object with `predict(features) -> labels`.

    Returns
    -------
    [{"budget": int, "mean": float, "std": float}, ...] in the order of budgets; std divides by R.

    Raises
    ------
    ValueError : when a class has fewer training images than a budget asks for, or a budget is below 1.
    """
    ### BEGIN SOLUTION
    (train_f, train_y), (test_f, test_y) = train, test
    classes, counts = train_y.unique(return_counts=True)
    if min(budgets) < 1 or max(budgets) > counts.min():
        raise ValueError(f"budgets {list(budgets)} must lie between 1 and {counts.min()}, the smallest class")
    scores = np.empty((repeats, len(budgets)))
    for repeat in range(repeats):
        generator = torch.Generator().manual_seed(1000 * seed + repeat)
        mixed = torch.randperm(len(train_y), generator=generator)
        ranked = [mixed[train_y[mixed] == label] for label in classes]
        for column, budget in enumerate(budgets):
            rows = torch.cat([of_class[:budget] for of_class in ranked])
            probe = fit(train_f[rows], train_y[rows], seed + repeat)
            scores[repeat, column] = np.mean(np.asarray(probe.predict(test_f)) == np.asarray(test_y))
    return [
        {"budget": budget, "mean": float(scores[:, column].mean()), "std": float(scores[:, column].std())}
        for column, budget in enumerate(budgets)
    ]
    ### END SOLUTION


# %% look="budget"
# Look: two overlapping clouds in 10 dimensions. In the long run no classifier does better than the dashed line.
with checks.look():
    look_generator = torch.Generator().manual_seed(0)

    def look_clouds(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(n) % 2
        return torch.randn(n, 10, generator=look_generator) + 0.4 * (2 * y[:, None] - 1), y

    def look_fit(x: torch.Tensor, y: torch.Tensor, seed: int) -> Pipeline:
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(x, y)

    look_budgets = (2, 5, 20, 100, 300)
    look_table = label_efficiency(look_clouds(1000), look_clouds(20_000), look_budgets, 5, 0, look_fit)
    print(profiling.table(look_table))
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    mean, std = ([row[key] for row in look_table] for key in ("mean", "std"))
    ax.errorbar(look_budgets, mean, std, marker="o", capsize=3)
    best = norm.cdf(0.4 * 10**0.5)
    ax.axhline(best, color="0.3", linestyle="--")
    ax.text(2, best + 0.008, f"the best possible, {best:.3f}")
    ax.set(
        xscale="log",
        xlabel="labels per class",
        ylabel="accuracy",
        title="5 repeats, bars of one std",
        ylim=(None, 0.95),
    )
    ax.set_xticks(look_budgets, [str(budget) for budget in look_budgets])
    ax.minorticks_off()
    plt.show()

# %% [markdown] hints="budget"
# <details><summary>Hint 1: the idea</summary>
#
# Shuffle once a repeat, then only cut: the first $b$ of each class for every budget. Nested and balanced follow by themselves.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     classes and how many images each has; a budget that does not fit: ValueError
#     for each repeat:
#         shuffle all training images with a generator of seed and repeat
#         for each class: its images in the shuffled order
#         for each budget:
#             rows = the first b of each class
#             fit on these rows; accuracy of predict on all test images
#     mean and std over repeats, for each budget
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `train_y.unique(return_counts=True)`. A generator that is seeded with a number made of `seed` and `repeat`, such as `1000 * seed + repeat`, gives each repeat its own `torch.randperm`. With `mixed` such a permutation, `mixed[train_y[mixed] == label][:b]` are $b$ random images of a class. Collect scores in an array (repeats, budgets) and use `.mean(axis=0)`, `.std(axis=0)`; NumPy's `std` divides by $R$, torch's by $R - 1$.
#
# </details>


# %% [markdown]
# ### The curve
#
# **Predict.** At which number of labels do random features catch up with MAE's? Do they at all?

# %% explore=true
budgets, curve_rows, curves = (2, 5, 10, 20), [], {}
for name, (train_f, test_f) in {
    "raw pixels": pixels,
    "MAE": features["MAE", 0, "norm", "mean"],
    "random": features["random", 0, "norm", "mean"],
}.items():
    table = label_efficiency(
        (train_f, data.y_train), (test_f, data.y_test), budgets, 3, 0,
        fit=lambda x, y, seed: linear_probe(x, y, C_GRID, seed),
    )  # fmt: skip
    curves[name] = table
    curve_rows.append(
        {"probe on": name} | {f"{row['budget']} a class": f"{row['mean']:.3f} ± {row['std']:.3f}" for row in table}
    )
print(profiling.table(curve_rows, title="accuracy, mean ± std over 3 draws of labels, one encoder each (seed 0)"))


def draw_curves(ax: plt.Axes) -> None:
    for (name, table), marker in zip(curves.items(), "sDo"):
        mean, std = (np.array([row[key] for row in table]) for key in ("mean", "std"))
        (line,) = ax.plot(budgets, mean, marker=marker, label=f"probe, {name}")
        ax.fill_between(budgets, mean - std, mean + std, color=line.get_color(), alpha=0.18, linewidth=0)
    from_scratch = compared["scratch, 200 steps"]
    ax.errorbar(
        [10],
        [np.mean(from_scratch)],
        [[np.mean(from_scratch) - min(from_scratch)], [max(from_scratch) - np.mean(from_scratch)]],
        fmt="^",
        color="black",
        capsize=3,
        label="scratch, one seed" if len(seeds) == 1 else f"scratch, {len(seeds)} seeds",
    )
    ax.set(xscale="log", xlabel="labels per class", ylabel="test accuracy")
    ax.set_xticks(budgets, [str(b) for b in budgets])
    ax.minorticks_off()
    ax.grid(alpha=0.3)


fig, ax = plt.subplots(figsize=(7.2, 4))
draw_curves(ax)
ax.set_title("what a label buys; bands of one std")
ax.legend(fontsize=10)
plt.show()

# %% [markdown]
# **Explain.** With two labels a class MAE's features are far ahead of random ones, which have the same architecture and the same labels. With more labels the gap closes: **pre-training saves labels, it does not add information**. The bands are one std over three draws of labels. Where they overlap, the order of two curves is not a result.

# %% [markdown]
# ## Part 4. A picture, and a number for it
#
# t-SNE (van der Maaten and Hinton 2008) places every image in the plane so that near neighbors stay near. It makes the pictures that everyone shows. It tries hard to keep *neighbors*. It does not try to keep distances between clusters, their sizes, or any meaning of the axes. Judge it by what it promises: do near points belong together?

# %% [markdown] about="purity"
# ### Exercise 7. How pure is a neighborhood?
#
# $$\text{purity} = \frac1n \sum_{i=1}^{n} \frac1k \sum_{j \,\in\, \text{the } k \text{ nearest other points of } i} [y_j = y_i]$$
#
# Near is meant as it looks in the picture: Euclidean distance. A point is **not its own neighbor**, also where another point lies exactly on top of it. With $K$ classes of equal size and labels that have nothing to do with places, purity is about $1/K$.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `embedding_2d` | $(n, 2)$ float, tensor or array | places in the picture |
# | `labels` | $(n,)$ int64 | |
# | `k` | int | neighbors, at least 1 and below $n$ |
# | result | float in [0, 1] | |


# %% exercise="purity" difficulty=2 minutes=20
def neighbor_purity(embedding_2d: torch.Tensor, labels: torch.Tensor, k: int) -> float:
    """Mean share of a point's k nearest other points (Euclidean) that have its label.

    Parameters
    ----------
    embedding_2d : (n, 2) float, tensor or array. labels : (n,) int64, tensor or array. Neither is changed.
    k : neighbors of each point.

    Returns
    -------
    A float in [0, 1].

    Raises
    ------
    ValueError : unless 1 <= k < n.
    """
    ### BEGIN SOLUTION
    places, labels = torch.as_tensor(embedding_2d).double(), torch.as_tensor(labels)
    if not 1 <= k < len(places):
        raise ValueError(f"k={k} is not between 1 and {len(places) - 1}, the number of other points")
    distance = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")
    distance.fill_diagonal_(torch.inf)
    nearest = distance.topk(k, dim=1, largest=False).indices
    return float((labels[nearest] == labels[:, None]).double().mean())
    ### END SOLUTION


# %% look="purity"
# Look: three pictures of 90 points, and how pure they are.
with checks.look():
    look_generator = torch.Generator().manual_seed(0)
    look_y = torch.arange(90) % 3
    look_noise = torch.randn(90, 2, generator=look_generator)
    look_corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]])[look_y]
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.3))
    for ax, (title, spread) in zip(axes, (("three islands", 1.0), ("overlap", 0.4), ("no clusters", 0.0))):
        look_places = spread * look_corners + 0.8 * look_noise
        purity = neighbor_purity(look_places, look_y, 5)
        ax.scatter(*look_places.T, c=look_y, cmap="viridis", s=22)
        ax.set(title=f"{title}: purity {purity:.2f}", xticks=[], yticks=[])
    plt.show()

# %% [markdown] hints="purity"
# <details><summary>Hint 1: the idea</summary>
#
# All distances in one table, the $k$ smallest of each row, and a comparison of labels. Before that, make sure that no point can find itself.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     check k
#     distance = between all pairs                 (n, n)
#     its diagonal = infinity
#     nearest = the k smallest of each row         (n, k)
#     share of labels[nearest] that equal the row's label
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.cdist(x, x)` and `fill_diagonal_(torch.inf)`. Taking $k + 1$ neighbors and dropping the first is *not* the same: where two points coincide, the first may be the other one. `topk(k, largest=False).indices`; `labels[nearest] == labels[:, None]`. The mean over everything is the mean of the shares.
#
# </details>

# %% [markdown]
# ### Four pictures of 200 digits
#
# These are test images, which no encoder has seen. The supervised encoder was trained with 100 labels and the MAE encoder with none. Each is drawn as its loss would have it: the supervised one by its class token, MAE by the mean of its patches.
#
# **Predict.** Which picture will look best: raw pixels, random features, supervised or self-supervised ones? Will the number agree with your eye?


# %% explore=true
def tsne(features: np.ndarray, perplexity: float = 20, steps: int = 500) -> np.ndarray:
    """Places (n, 2) of features (n, D), the same on every call."""
    return TSNE(perplexity=perplexity, init="pca", max_iter=steps, random_state=0).fit_transform(features)


def draw_map(ax: plt.Axes, places: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str) -> None:
    """Points in the colors of at most ten classes; the name of each class stands at one of its points."""
    for label, name in enumerate(names):
        at = places[labels == label]
        ax.scatter(*at.T, s=14, color=plt.get_cmap("tab10")(label))
        central = np.linalg.norm(at[:, None] - at, axis=-1).sum(axis=0).argmin()
        ax.annotate(name, at[central], ha="center", va="center", fontsize=13 if len(name) == 1 else 9, weight="bold",
                    bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.8, "linewidth": 0})  # fmt: skip
    ax.set(title=title, xticks=[], yticks=[])


chosen, digit_names = torch.arange(200), [str(digit) for digit in range(10)]
shown = data.y_test[chosen].numpy()
POOLINGS = {"random": ("mean", "cls"), "supervised": ("cls", "mean"), "MAE": ("mean", "cls")}  # the one drawn first


def prepared(name: str, pooling: str) -> np.ndarray:
    """Standardized features (200, D) of the chosen test images, from `norm` and seed 0."""
    return StandardScaler().fit_transform(features[name, 0, "norm", pooling][1][chosen])


maps, rows = {}, []
for name in ("raw pixels", *POOLINGS):
    shown_as, other = POOLINGS.get(name, ("", ""))
    x = prepared(name, shown_as) if shown_as else pixels[1][chosen].numpy()
    maps[name] = tsne(x)
    in_picture, in_full = (neighbor_purity(v, data.y_test[chosen], 5) for v in (maps[name], x))
    row = {"features": name, "drawn": shown_as, "purity in the picture": in_picture, "in all dimensions": in_full}
    if other:
        row |= {"other": other, "the other's": neighbor_purity(prepared(name, other), data.y_test[chosen], 5)}
    rows.append(row)
print(profiling.table(rows, title="purity of 5 neighbors among 200 test images, seed 0"))
fig, axes = plt.subplots(2, 2, figsize=(9.6, 8.6))
for ax, (name, places), row in zip(axes.flat, maps.items(), rows):
    draw_map(ax, places, shown, digit_names, f"{name}: purity {row['purity in the picture']:.2f}")
plt.show()

# %% [markdown]
# **Explain.** Compare supervised with self-supervised. The supervised encoder was *told* what belongs together, and its loss pulled the classes apart, in the one token that its head reads: islands. MAE's loss never heard of classes; what clusters there are come from what digits look like. Then read the last column. It has the purity of the pooling that was *not* drawn, and it could have told another story: in the mean of its patches the supervised encoder falls behind MAE. So a picture of features needs a line below it that says which token they are.

# %% [markdown]
# Now look at what the picture does *not* say. The same MAE features again, with another perplexity:

# %% explore=true
test_f = StandardScaler().fit_transform(features["MAE", 0, "norm", "mean"][1][chosen])
again = tsne(test_f, perplexity=40)
centers = [np.stack([v[shown == c].mean(0) for c in range(10)]) for v in (maps["MAE"], again)]
apart = [np.linalg.norm(c[:, None] - c[None], axis=-1) for c in centers]
pairs = np.triu_indices(10, 1)
widths = [np.ptp(v, axis=0).max() for v in (maps["MAE"], again)]
ratio = (apart[1][pairs] / widths[1]) / (apart[0][pairs] / widths[0])
print(
    f"perplexity 20 and 40: purity {neighbor_purity(maps['MAE'], data.y_test[chosen], 5):.3f} and {neighbor_purity(again, data.y_test[chosen], 5):.3f}"
)
print(f"width of the picture {widths[0]:.0f} and {widths[1]:.0f}")
print(
    f"distance between two digits' centers in widths of the picture, second over first: from {ratio.min():.2f} to {ratio.max():.2f}"
)

# %% [markdown]
# The purity changes by a few points. Distances between clusters, measured in widths of their picture, change by factors that differ from pair to pair. So "the 3s lie close to the 8s" is a sentence about neighbors that you can check with a number, and "the 3s lie twice as far from the 0s" is a sentence about nothing.
#
# ### Profiling corner: what a feature costs
#
# A backbone runs once over the data; a probe is fitted many times. What dominates, and what does it take to store the features?

# %% explore=true
extractor = FeatureExtractor(mae, ["norm"], "mean")
few = few_per_class(data.y_train, 10, 0)
train_f, test_f = features["MAE", 0, "norm", "mean"]
times = profiling.latencies(
    {
        "extract 1,347 images, batches of 256": lambda: extract_dataset(extractor, data.x_train, 256),
        "extract 32 images, batches of 1": lambda: extract_dataset(extractor, data.x_train[:32], 1),
        "20 neighbors for 450 images": lambda: knn_classify(train_f, data.y_train, test_f, 20),
        "probe, 100 labels, 2 values of C, 3 folds": lambda: linear_probe(train_f[few], data.y_train[few], C_GRID, 0),
    },
    warmup=1, runs=profile.pick(cpu=3, gpu=10),
)  # fmt: skip
print(profiling.table([{"what": name, "p50 ms": t.p50_ms, "p90 ms": t.p90_ms} for name, t in times.items()]))
one_by_one = times["extract 32 images, batches of 1"].p50_ms / 32
in_batches = times["extract 1,347 images, batches of 256"].p50_ms / 1347
print(
    f"an image costs {one_by_one:.2f} ms alone and {in_batches:.2f} ms in a batch: {one_by_one / in_batches:.1f} times as much"
)
tokens = 1 + mae.patch_embed.num_patches
print(
    profiling.table(
        [
            {"stored per image": what, "numbers": count, "bytes": count * size}
            for what, count, size in (
                ("all tokens, float32", tokens * mae.embed_dim, 4),
                ("one vector, float32", mae.embed_dim, 4),
                ("one vector, float16", mae.embed_dim, 2),
                ("the pixels, uint8", 256, 1),
            )
        ]
    )
)
half = train_f.half().float(), test_f.half().float()
same = (
    (knn_classify(half[0], data.y_train, half[1], 20) == knn_classify(train_f, data.y_train, test_f, 20))
    .double()
    .mean()
)
print(f"20 neighbors with features in float16: {same:.1%} of the labels are the same")

# %% [markdown]
# **Explain.** Batches pay, since every operator has a fixed price. Pooling before storing saves a factor as large as the number of tokens, and half precision another 2, for next to no change. What you cannot do with pooled features is change your mind about the pooling.

# %% [markdown]
# ## Photographs
#
# Digits are aligned, centered and gray: pixels do well on them. Photographs are none of that. The cell below runs your functions on **real CIFAR-10**, where you have it on disk (set `WORKBOOK_DATA`; about four minutes on two CPU cores, and `WORKBOOK_MINUTES` asks for a longer pre-training). Four ways to describe an image, none of which has seen a label:
#
# | features | what they are |
# | --- | --- |
# | raw pixels | $16 \times 16$ in color, 768 numbers |
# | random ViT | patches of 4, width 128, four blocks, the weights of the start |
# | random filters | 256 whitened patches of training images as filters of one convolution, then ReLU, averaged in four quadrants (after Coates, Ng and Lee 2011, whose filters are learned without labels, too) |
# | short MAE | the same ViT, after a pre-training of some minutes, three quarters hidden |


# %% explore=true measured="cifar10"
def vit_for_photographs(seed: int) -> VisionTransformer:
    """A ViT for 32 x 32 pixels in color: p = 4, width 128, 4 blocks."""
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=32, patch_size=4, num_classes=10, embed_dim=128, depth=4, num_heads=4, mlp_ratio=2.0, weight_init="jax"
    )
    nn.init.normal_(model.pos_embed, std=0.5)
    return model


class RandomFilters(nn.Module):
    """One convolution with whitened patches of the images as filters, ReLU around the mean, a mean for each quadrant."""

    def __init__(self, images: torch.Tensor, count: int = 256, side: int = 6) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        patches = F.unfold(images[:500], side).transpose(1, 2).flatten(0, 1)
        patches = patches[torch.randperm(len(patches), generator=generator)[:20_000]]
        patches = (patches - patches.mean(1, keepdim=True)) / (patches.std(1, keepdim=True) + 0.05)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        whiten = vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T
        filters = F.normalize(patches[:count] @ whiten, dim=1) @ whiten
        self.register_buffer("filters", (filters - filters.mean(1, keepdim=True)).reshape(count, 3, side, side))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.flat = nn.Flatten()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        response = F.conv2d(images, self.filters)
        return self.flat(self.pool((response - response.mean(1, keepdim=True)).relu()))


def photograph_curves(
    train_images: int, test_images: int, mae_images: int, mae_steps: int, budgets: Sequence[int], seed: int = 0
) -> None:
    """Print accuracy of neighbors and probes on CIFAR-10 for four kinds of features."""
    train, test = (
        datasets.cifar10(limit=max(train_images, mae_images)),
        datasets.cifar10(train=False, limit=test_images),
    )
    mean, std = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    device = profile.device()
    every, x_test = ((images - mean).div(std).to(device) for images in (train.x, test.x))
    x_train, y_train = every[:train_images], train.y[:train_images]
    small = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    models = {
        "raw pixels": (small, "1"),
        "random ViT": (vit_for_photographs(seed), "norm"),
        "short MAE": (pretrain_mae(vit_for_photographs(seed), every[:mae_images], mae_steps, seed, ratio=0.75), "norm"),
        "random filters": (RandomFilters(every), "flat"),
    }
    rows = []
    for name, (model, layer) in models.items():
        read = FeatureExtractor(model.to(device), [layer], "mean")
        train_f, test_f = (extract_dataset(read, x, 250)[0][layer].float().cpu() for x in (x_train, x_test))
        row: dict[str, object] = {"features": name, "D": train_f.shape[1]}
        for k in (1, 5, 20):
            row[f"k = {k}"] = f"{neighbor_accuracy(train_f, y_train, test_f, test.y, k):.3f}"
        table = label_efficiency(
            (train_f, y_train), (test_f, test.y), budgets, 2, seed,
            fit=lambda x, y, seed: linear_probe(x, y, (0.001, 0.01), seed),
        )  # fmt: skip
        row |= {f"{entry['budget']} a class": f"{entry['mean']:.3f} ± {entry['std']:.3f}" for entry in table}
        rows.append(row)
    print(f"MAE: {mae_images:,} images without labels, {mae_steps:,} steps")
    title = f"CIFAR-10: neighbors among {train_images:,} images, then probes; {test_images:,} test images"
    print(profiling.table(rows, title=title))
    print(f"95 % interval of one accuracy of 0.5 on {test_images:,} images: ± {1.96 * (0.25 / test_images) ** 0.5:.3f}")


budget = profile.budget(minutes=4)
if profile.current() is profile.Profile.GPU:
    photograph_curves(50_000, 10_000, 50_000, 20_000, (5, 50, 500))
elif datasets.on_disk("cifar10"):
    mae_images, mae_steps = budget.scaled(10_000, at_most=50_000), budget.scaled(1_000)
    photograph_curves(4_000, 2_000, mae_images, mae_steps, (5, 20, 100), budget.seed)
else:
    profile.not_measured(
        "Probes on CIFAR-10",
        "this cell with WORKBOOK_DATA=FOLDER and images at FOLDER/cifar10/{train,test}/CLASS/NNNN.jpg",
        target="none, a comparison",
    )

# %% [markdown]
# **Explain.** If you ran it on two cores, look for four things. The random filters, which nobody trained, lie far ahead in every column: locality and a mean over places carry a long way. The short MAE is better than the random ViT that it started from. It is about level with raw pixels for a probe, and behind them for neighbors. So a pre-training of a thousand steps that uses the right words has bought next to nothing, and only the rows of the raw pixels and of the random ViT tell you so. What papers call pre-training takes thousands of times as much computing; the next cell reads such encoders.
#
# ### On a GPU: pretrained encoders
#
# With `PROFILE=gpu` the next cell judges three famous encoders on CIFAR-100: DINOv2 (no labels), a ViT-B trained on ImageNet-21k (labels), and CLIP (captions). All are ViT-B; you read all of them with the same class. (DINOv2 is Oquab et al. 2023: section 3 is about its data, section 4 about its loss. A list that names section 4.2 is wrong, there is none.) Beside the numbers it draws t-SNE of ten classes from DINOv2 and from the supervised ViT, side by side. In the end it trains a ViT from scratch with all labels, for the target.
#
# | what | needs |
# | --- | --- |
# | data | CIFAR-100: 60,000 photographs of 32 x 32 pixels in 100 classes, a download of 169 MB; its page asks users to cite Krizhevsky (2009). Fetched into `WORKBOOK_DATA`, or images put at `cifar100/{train,test}/CLASS/` there |
# | weights | 87 million numbers each for DINOv2's ViT-B and the supervised one (timm, Apache 2.0), and open_clip's ViT-B-32: about 1.3 GB in the cache of Hugging Face |
# | memory of the GPU | *not measured yet*. The images of CIFAR-100 take 0.7 GB; batches of 256 pictures of 224 x 224 pixels pass an encoder without gradients |
# | time | *not measured yet* |
# | kept | `kept/week08/`: for each encoder a JSON with its accuracies and a file with its picture; for the ViT from scratch its loss curve and weights. A second run draws from them |
# | target | a probe on DINOv2 features with 10 % of the labels (50 a class) at least 5 points above the ViT from scratch with all of them |
# | result | *not measured yet*; `PROFILE=gpu workbook record --keep-nothing week08` would measure it |
#
# **Predict.** Which of the two pictures will have the purer neighborhoods, that of the encoder with labels or that without? Neither was trained on CIFAR-100.


# %% explore=true
from pathlib import Path

from shared import kept
from shared.weights import fetching_weights


class Prepared(nn.Module):
    """A backbone behind its own size and normalization: takes images in [0, 1] of any size."""

    def __init__(self, backbone: nn.Module, mean: Sequence[float], std: Sequence[float], size: int = 224) -> None:
        super().__init__()
        self.backbone, self.size = backbone, size
        self.num_prefix_tokens = getattr(backbone, "num_prefix_tokens", 0)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = F.interpolate(images, size=(self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        return self.backbone((images - self.mean) / self.std)


FAMOUS = {
    "DINOv2 ViT-B/14, no labels": "vit_base_patch14_dinov2.lvd142m",
    "ViT-B/16, ImageNet-21k labels": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "CLIP ViT-B/32, captions": "ViT-B-32",
}


def pretrained_encoder(name: str, pretrained: bool, size: int) -> tuple[nn.Module, str]:
    """A model and the layer to read; with `pretrained=False` the same architecture with random weights."""
    import open_clip

    where = f"timm/{name}" if name.startswith("vit") else "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    with fetching_weights(name, where, asked=pretrained):
        if name.startswith("vit"):
            model = timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size)
            return Prepared(model, model.pretrained_cfg["mean"], model.pretrained_cfg["std"], size), "backbone.norm"
        clip = open_clip.create_model(name, pretrained="laion2b_s34b_b79k" if pretrained else None)
    return Prepared(clip.visual, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD), "backbone"


def train_from_scratch(
    train: datasets.LabeledImages, steps: int, width: int = 192, depth: int = 9
) -> tuple[nn.Module, list[float]]:
    """A ViT (p = 4) trained on all labels, with flips and moved crops, and the mean loss of every hundred steps.

    The model takes images in [0, 1].
    """
    device = profile.device()
    torch.manual_seed(0)
    model = VisionTransformer(
        img_size=32, patch_size=4, num_classes=len(train.classes), embed_dim=width, depth=depth, num_heads=width // 32,
        mlp_ratio=2.0, weight_init="jax", drop_path_rate=0.1,
    )  # fmt: skip
    nn.init.normal_(model.pos_embed, std=0.5)
    whole = Prepared(model, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 32).to(device)
    x, y = train.x.to(device), train.y.to(device)

    losses: list[torch.Tensor] = []

    def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        row, column = torch.randint(9, (2,), generator=generator).tolist()
        images = F.pad(x[rows.to(device)], (4, 4, 4, 4))[:, :, row : row + 32, column : column + 32]
        if torch.rand((), generator=generator) < 0.5:
            images = images.flip(-1)
        found = F.cross_entropy(whole(images), y[rows.to(device)], label_smoothing=0.1)
        losses.append(found.detach())
        return found

    optimize(whole, loss, len(x), steps, 1e-3, 0)
    return whole, [part.mean().item() for part in torch.stack(losses).split(100)]


def read_encoder(
    name: str,
    train: datasets.LabeledImages,
    test: datasets.LabeledImages,
    budgets: Sequence[int],
    weights: bool,
    size: int,
) -> dict[str, object]:
    """Neighbors with all labels, probes with few, and t-SNE of the test images of the first ten classes."""
    model, layer = pretrained_encoder(name, weights, size)
    device = profile.device()
    read = FeatureExtractor(model.to(device), [layer], "cls")
    train_f, test_f = (extract_dataset(read, part.x.to(device), 256)[0][layer].float().cpu() for part in (train, test))
    neighbors = {k: neighbor_accuracy(train_f, train.y, test_f, test.y, k, temperature=0.07) for k in (1, 5, 20)}
    probes = label_efficiency(
        (train_f, train.y),
        (test_f, test.y),
        budgets,
        1,
        0,
        fit=lambda x, y, seed: linear_probe(x, y, (0.001, 0.01), seed),
    )
    some = test.y < 10
    x = StandardScaler().fit_transform(test_f[some])
    return {
        "neighbors": neighbors, "probes": probes, "purity": neighbor_purity(x, test.y[some], 5),
        "places": torch.from_numpy(tsne(x, min(30, (len(x) - 1) / 3), 1000)),
    }  # fmt: skip


def scratch_result(train: datasets.LabeledImages, test: datasets.LabeledImages, steps: int) -> dict[str, object]:
    """Accuracy of the ViT from scratch, its loss curve, its weights."""
    model, losses = train_from_scratch(train, steps)
    with torch.no_grad():
        said = torch.cat([model(chunk.to(profile.device())).argmax(1).cpu() for chunk in test.x.split(1000)])
    return {"accuracy": (said == test.y).double().mean().item(), "losses": losses, "weights": dict(model.state_dict())}


def famous_encoders(
    train: datasets.LabeledImages, test: datasets.LabeledImages, budgets: Sequence[int], scratch_steps: int, folder: Path,
    weights: bool = True, size: int = 224,
) -> None:  # fmt: skip
    """Print neighbors and probes for pretrained encoders, and a ViT from scratch with all labels; draw two of them.

    What takes long is kept in `folder`.
    """
    images = {"images": [len(train.x), len(test.x)]}
    found = {}
    for label, name in FAMOUS.items():
        settings = images | {"encoder": name, "budgets": list(budgets), "weights": weights, "size": size}
        measure = partial(read_encoder, name, train, test, budgets, weights, size)
        found[label] = kept.results(folder / f"{name}.json", settings, measure)
    rows = [
        {"encoder": label}
        | {f"k = {k}": f"{value:.3f}" for k, value in one["neighbors"].items()}
        | {f"{entry['budget']} a class": f"{entry['mean']:.3f}" for entry in one["probes"]}
        for label, one in found.items()
    ]
    print(profiling.table(rows, title="neighbors (T = 0.07) with all labels, then probes"))
    shown = test.y[test.y < 10]
    _, axes = plt.subplots(1, 2, figsize=(13.5, 6.4))
    for ax, label in zip(axes, list(FAMOUS)[:2]):
        places = found[label]["places"].numpy()
        title = f"{label}: purity {neighbor_purity(places, shown, 5):.2f} here, {found[label]['purity']:.2f} in full"
        draw_map(ax, places, shown.numpy(), test.classes[:10], title)
    plt.show()
    settings = images | {"steps": scratch_steps}
    scratch = kept.results(folder / "scratch.json", settings, partial(scratch_result, train, test, scratch_steps))
    print(
        f"ViT from scratch, all labels: {scratch['accuracy']:.3f}; loss in the first hundred steps and in the last:",
        end="",
    )
    print(f" {scratch['losses'][0]:.2f}, {scratch['losses'][-1]:.2f}")


if profile.current() is profile.Profile.GPU:
    famous_encoders(datasets.cifar100(), datasets.cifar100(train=False), (5, 50, 500), 20_000, Path("kept/week08"))
else:
    profile.not_measured(
        "DINOv2, supervised ViT-B and CLIP on CIFAR-100",
        "PROFILE=gpu workbook record --keep-nothing week08",
        target="DINOv2 with 10 % of the labels 5 points above scratch with all",
    )

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.9))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.1, 1.15, 1))
ax = left.subplots()
for name, marker in zip(names, "osD"):
    ax.plot(layers, by_layer[name, "mean"].mean(0), marker=marker, label=name)
ax.axhline(neighbors_say(pixels, 5), color="0.3", linestyle="--", label="raw pixels")
ax.set(title="which layer knows most?", ylabel="accuracy, 5 neighbors", ylim=(0.55, 1.02))
ax.grid(alpha=0.3)
ax.legend(fontsize=9, loc="lower right")
ax = middle.subplots()
draw_curves(ax)
ax.set_title("what a label buys")
ax.legend(fontsize=9)
ax = right.subplots()
draw_map(
    ax,
    maps["MAE"],
    shown,
    digit_names,
    f"MAE, t-SNE: purity {neighbor_purity(maps['MAE'], data.y_test[chosen], 5):.2f}",
)
plt.show()

# %% [markdown]
# ## Takeaways
#
# - Hooks read any layer of any model. What you change in someone else's model, you undo: your hooks, every module's mode, also after an error. And you copy what you keep.
# - "Features of the last layer" is not a definition. Before or after the norm, which tokens, which pooling: say it.
# - Neighbors need no training and one rule for ties. Cosine, because length is not class.
# - A probe may not learn anything from the test set: not its mean, not its best $C$. A pipeline makes that hard to get wrong, and a shift of the test set shows whether you did.
# - A curve of labels needs balanced, nested subsets, several draws, and a baseline that was trained long enough. The verdict of this week flips with the baseline.
# - Always show the pixels and a random network. Here the pixels won.
# - t-SNE keeps neighbors, not distances. Put the purity beside the picture.
# - Next week: what a model looks at, and how not to fool yourself with a heat map.
#
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="ssl-features" points=6 minutes=40
# **W1. What did self-supervision buy (6 points)?** Name the advantages that MAE's features have over random ones, over training from scratch, and over raw pixels, and where they have none. Use the table of neighbors, the target and the curve. What would you expect to change on photographs, and why?
#
# ### BEGIN SOLUTION
# One point each.
# - Over random features: higher at every number of neighbors and at few labels, own numbers; no label was used.
# - At many labels the gap to random features shrinks (own curve): pre-training saves labels, it does not add information that the pixels lack.
# - Over scratch: with 100 labels the verdict depends on how long scratch trains (own two lines); so the gain is stated with its baseline.
# - Over pixels: none here; the digits are centered and aligned, so that distance of pixels is a good measure already.
# - Photographs: objects move, change size and color, so that pixels are a poor measure in absolute terms; but a short pre-training need not beat them. Own CIFAR-10 table, or a reasoned expectation that names random filters as a baseline.
# - A limit: reconstruction does not ask for classes; small model, one data set, few seeds, range quoted.
# ### END SOLUTION

# %% [markdown] written="layer-and-pooling" points=5
# **W2. Which layer, which pooling (5 points)?** You ship one feature of the MAE encoder and one of the supervised encoder. Choose layer and pooling for each, with evidence from your figure, and explain why the class token serves one better than the other. What is the difference between `norm` and the last block, and can neighbors see it?
#
# ### BEGIN SOLUTION
# 1 point: a choice for each encoder that the own figure supports, with numbers and range over seeds.
# 1 point: supervised: the head reads the class token, so the loss shaped it.
# 1 point: MAE: no loss acts on the class token, the decoder reads patches only; the mean of the patches is shaped directly.
# 1 point: norm = layer norm of the last block's output: removes mean and length of each token, scales each channel; cosine of the pooled vector changes because the norm acts on tokens before the mean.
# 1 point: chosen on training images (or a validation split), not on the test set from which the final number comes; the figure shown uses test labels, so it is evidence, not selection.
# ### END SOLUTION

# %% [markdown] written="inner-choice" points=4
# **W3. Why choose $C$ inside (4 points)?** What is wrong with trying three values of $C$ on the test set and reporting the best? How large can the error be with 450 test images? What does the pipeline protect you from that two separate calls would not? Which leak would your tests still not see?
#
# ### BEGIN SOLUTION
# 1 point: the maximum of several noisy accuracies is biased upward; the test set has become part of the training.
# 1 point: size: one standard deviation is sqrt(a(1-a)/450), 0.014 at 0.9; the best of three independent ones is about 0.85 deviations too high, about one point; less when the candidates agree.
# 1 point: the scaler is fitted in each inner fold on its training part, and used unchanged for validation and test.
# 1 point: a leak before the features: an encoder that was pre-trained on the test images, near duplicates in both sets, choices of layer and pooling made by looking at test accuracy.
# ### END SOLUTION

# %% [markdown] written="walk-through" points=5 minutes=30
# **W4. Two minutes (5 points).** Write the script of a two-minute talk, about 250 words, in which you present the classifier `images -> frozen ViT -> scaler -> probe` to a colleague who does not know this course.
#
# ### BEGIN SOLUTION
# 1 point: the problem: few labels, many images; what is classified, chance level.
# 1 point: the data: where from, how many for training and test, how labels were drawn, that the encoder saw no label.
# 1 point: the features: which encoder, layer, pooling, dimension; frozen, and how that was checked.
# 1 point: the result with its 95 % interval and with at least two baselines (pixels, random, or scratch).
# 1 point: a limit that matters: pixels win on aligned digits, one data set, interval width, baseline dependence; what to do next.
# ### END SOLUTION
