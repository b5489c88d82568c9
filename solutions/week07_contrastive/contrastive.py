# %% [markdown]
# # Week 7: images and words
#
# ![Left: pictures of colored shapes and the caption that the model finds for each. Middle: similarities of 15 images and 15 captions, bright on the diagonal. Right: accuracy on 36 names, on seen and on held-out combinations, far above chance.](outcome.png)
#
# *What you will have built by the end of this week. Left: pictures, and what your model says they show. Middle: images against captions; pairs that belong together lie on the diagonal. Right: 36 classes recognized from their names, also those that training never showed.*
#
# **After this week you can**
#
# - write the losses of CLIP and SigLIP, and show that they equal those of open_clip;
# - learn a temperature without letting it run away or get stuck;
# - say how low a contrastive loss can go when captions repeat, and prove it;
# - turn captions into numbers, and encode them so that padding changes nothing;
# - train two towers from scratch and classify with nothing but words, also combinations that were never shown;
# - measure how much a prompt matters, when an ensemble of prompts helps, and which attribute the model gets wrong.
#
# **Time** about 12 hours: 3 of reading, 4.5 of coding, 2 of experiments, 2.5 of writing. **You need** weeks 2 and 3, or the ideas of a transformer block and of a training loop. Nothing depends on your answers of those weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | pairs in a batch | $s$ | scale of the logits, the inverse of the temperature |
# | $D$ | width of the common space | $b$ | bias of the logits (SigLIP) |
# | $L$ | words in a row of the tokenizer | $K$ | classes |
#
# ### CLIP from scratch, in eight pieces
#
# This notebook is also a tutorial. Its pieces, in the order in which you build them:
#
# | piece | exercise | what it is for |
# | --- | --- | --- |
# | the loss | 1 | pulls each image to its caption and away from the others |
# | the temperature | 2 | how hard the loss looks at small differences |
# | the floor | 3 | what the loss can reach |
# | the other loss | 4 | pair by pair, without a softmax |
# | the tokenizer | 5 | words to numbers |
# | the text tower | 6 | numbers to a vector |
# | the dual encoder | 7 | both vectors in one space |
# | zero-shot | 8 | classify with words |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import math
import re
import threading
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import open_clip
import torch
import torch.nn.functional as F
from IPython.display import display
from open_clip.loss import ClipLoss, SigLipLoss
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## The problem: no labels, only captions
#
# The classifiers of weeks 2 to 4 end in a matrix with one row per class. The classes are fixed before training, and somebody must label every image. The web offers something else: images with *sentences* beside them. Nobody chose the classes; a sentence says whatever its writer found worth saying.
#
# Our web is small. A program draws one colored shape per picture and writes a caption: size, color, shape, place. Six shapes and six colors make 36 combinations. **Six combinations never appear in training**, so that we can ask later whether a model that knows *purple* and knows *ring* also knows a *purple ring*.

# %% given="data"
HELD_OUT = frozenset(
    {
        ("circle", "yellow"),
        ("square", "cyan"),
        ("triangle", "red"),
        ("cross", "green"),
        ("star", "blue"),
        ("ring", "purple"),
    }
)
NAMES = tuple(f"{color} {shape}" for shape in datasets.SHAPES for color in datasets.COLORS)  # 36 classes
LENGTH = 10  # words in a row of the tokenizer: eight and the two ends


def name_index(data: datasets.Shapes) -> torch.Tensor:
    """The class of each picture, (n,) int64, as an index into `NAMES`."""
    return data.shape * len(datasets.COLORS) + data.color


def normalized(images: torch.Tensor) -> torch.Tensor:
    """Pixels of [0, 1] around 0, with a spread of about 1."""
    return (images - 0.5) / 0.25


def caption_forms(captions: Sequence[str]) -> list[list[str]]:
    """Four lengths of each caption: as it is, without the size, without the place, without both."""
    sizes = "|".join(datasets.SCALES)
    without_size = [re.sub(f"({sizes}) ", "", caption) for caption in captions]
    both = (list(captions), without_size)
    return [*both, *([caption.partition(" in the ")[0] for caption in form] for form in both)]


# %% explore=true
seen = datasets.shapes(profile.pick(cpu=3000, gpu=30_000), seed=1, exclude=HELD_OUT)  # to learn from
seen_test = datasets.shapes(600, seed=2, exclude=HELD_OUT)
held_test = datasets.shapes(600, seed=3, include=HELD_OUT)
first = [seen.captions[k].replace(" in the ", "\nin the ") for k in range(8)]
display(plotting.image_grid(seen.x[:8], columns=4, titles=first))
print(
    f"{len(seen.x):,} pictures to learn from, {len(set(seen.captions))} different captions, chance on 36 names {1 / 36:.3f}"
)
print("four lengths of one caption:", *(form[0] for form in caption_forms(seen.captions)), sep="\n  ")

# %% [markdown]
# ## Part 1. Pull together, push apart
#
# Take a batch of $B$ images with their captions. One tower turns each image into a vector of length 1, another does so with each caption. The dot products of all images with all captions are a $B \times B$ table of cosines. On its diagonal stand the pairs that belong together.
#
# That table is a classification problem, twice. *Which of these $B$ captions belongs to this image?* And *which of these $B$ images belongs to this caption?* All other entries of a row are wrong answers, called **negatives**, and they come for free.
#
# **Predict.** An untrained model gives all pairs nearly the same cosine. How large is the loss of a batch of 96 pairs then? And with 192 pairs?

# %% explore=true compare=true
for count in (2, 96, 192, 32_768):
    print(f"{count:6,d} pairs: guessing costs ln B = {math.log(count):.3f} nats")

# %% [markdown]
# $\ln B$: the loss of whoever guesses among $B$. It depends on the batch, so two loss curves with different batches cannot be compared. The last line is the batch of the original CLIP, 32,768 pairs (Radford et al. 2021, section 2.5).

# %% [markdown] about="clip"
# ### Exercise 1. CLIP's loss
#
# $$\ell_{ij} = s\, \langle x_i, y_j \rangle, \qquad \mathcal L = \frac{1}{2} \left( \frac{1}{B} \sum_i -\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ij}}} \;+\; \frac{1}{B} \sum_j -\ln \frac{e^{\ell_{jj}}}{\sum_i e^{\ell_{ij}}} \right)$$
#
# The first sum asks each image for its caption (the softmax runs over a row), the second each caption for its image (over a column). This is InfoNCE (van den Oord et al. 2018) in both directions, as CLIP uses it (Radford et al. 2021, section 2.3 and figure 3).
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `image_emb` | $(B, D)$ | $x_i$, unit length |
# | `text_emb` | $(B, D)$ | $y_j$, unit length; row $i$ belongs to image $i$ |
# | `logit_scale` | float or scalar tensor | $s$, as it multiplies: no exponential is taken here |
# | result | scalar | mean of both directions |


# %% exercise="clip" difficulty=2 minutes=35
def clip_loss(image_emb: torch.Tensor, text_emb: torch.Tensor, logit_scale: torch.Tensor | float) -> torch.Tensor:
    """The symmetric contrastive loss of CLIP (Radford et al. 2021, section 2.3).

    Parameters
    ----------
    image_emb : (B, D), rows of unit length. text_emb : (B, D), rows of unit length, row i belonging to image i.
    logit_scale : factor of the cosines, a float or a scalar tensor (gradients flow into it).

    Returns
    -------
    A scalar, in nats, on the device of the embeddings: the mean over the batch and over both directions.
    """
    ### BEGIN SOLUTION
    logits = logit_scale * image_emb @ text_emb.T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    ### END SOLUTION


# %% look="clip"
# Look: 8 pairs. Each image has cosine 0.9 with its caption, and the same smaller cosine with all others.
with checks.look():
    look_scales = torch.logspace(-1, 2, 40)

    def look_pairs(other: float) -> tuple[torch.Tensor, torch.Tensor]:
        table = torch.full((8, 8), other) + (0.9 - other) * torch.eye(8)
        return table, torch.eye(8)  # dot products of the rows are exactly the entries of the table

    look_losses = {
        f"others at {o}": torch.stack([clip_loss(*look_pairs(o), s) for s in look_scales]) for o in (0.0, 0.6, 0.88)
    }
    display(
        plotting.curves(
            look_losses, x=look_scales, log_x=True, levels={"ln 8": math.log(8)},
            xlabel="scale s", ylabel="loss", title="the scale decides how much a small difference counts",
        )
    )  # fmt: skip

# %% [markdown] hints="clip"
# <details><summary>Hint 1: the idea</summary>
#
# One table of logits, two classifications. In the first the rows are the examples and the right class of row $i$ is $i$. In the second the columns are the examples. You know a loss for classifications.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     logits = scale times the table of all dot products        (B, B)
#     right answers = 0, 1, ..., B-1
#     a = cross-entropy of the rows of the table
#     b = cross-entropy of the columns of the table
#     (a + b) / 2
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `image_emb @ text_emb.T` has images as rows. `F.cross_entropy(logits, own)` takes the softmax over the last dimension and the mean over the batch; for the columns give it `logits.T`. `torch.arange(len(logits))` are the right answers.
#
# </details>

# %% [markdown] about="scale"
# ### Exercise 2. A temperature that learns
#
# Cosines lie between $-1$ and $1$. A softmax over 96 such numbers is nearly flat, so they are multiplied by a scale $s = 1 / T$, where $T$ is the temperature. Which scale is right depends on the model, and changes while it learns. So the scale is a parameter like any other, with two precautions (Radford et al. 2021, section 2.5):
#
# $$s = e^{a}, \qquad a = \ln \frac{1}{0.07} \text{ at the start}, \qquad a \le \ln 100$$
#
# - The **logarithm** $a$ is the parameter: whatever a step does to it, $s$ stays positive.
# - After each step of the optimizer the *parameter* is set back to $\ln 100$ if it went beyond. A `min` in the forward pass would bound $s$ as well. But at the bound it has no gradient, and the scale could never come down again.
#
# | name | meaning |
# | --- | --- |
# | `LogitScale(initial, maximum)` | $s$ at the start, and its bound |
# | attribute `log_scale` | $a$, an `nn.Parameter` with one number and no dimension |
# | `forward()` | $s = e^a$, a scalar tensor |
# | `clamp_()` | sets $a$ back to the bound in place if it lies above; changes nothing else |


# %% exercise="scale" difficulty=2 minutes=20
class LogitScale(nn.Module):
    """The learned inverse temperature of a contrastive loss (Radford et al. 2021, section 2.5).

    Parameters
    ----------
    initial : the scale at the start, positive. maximum : the bound that `clamp_` enforces, and nothing but `clamp_`.

    Attributes
    ----------
    log_scale : the logarithm of the scale, a scalar parameter.
    """

    def __init__(self, initial: float = 1 / 0.07, maximum: float = 100.0) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial)))
        self.bound = math.log(maximum)
        ### END SOLUTION

    def forward(self) -> torch.Tensor:
        """The scale, a scalar tensor."""
        ### BEGIN SOLUTION
        return self.log_scale.exp()
        ### END SOLUTION

    @torch.no_grad()
    def clamp_(self) -> None:
        """Set the parameter back to the bound, in place, if it lies above; called after each step of the optimizer."""
        ### BEGIN SOLUTION
        self.log_scale.clamp_(max=self.bound)
        ### END SOLUTION


# %% look="scale"
# Look: 60 steps that push the scale up, then 60 that pull it down. After each of them clamp_() is called.
with checks.look():
    look_scale = LogitScale()
    look_optimizer = torch.optim.SGD(look_scale.parameters(), lr=1.0)
    look_values = []
    for step in range(120):
        look_optimizer.zero_grad()
        (look_scale() * (-0.002 if step < 60 else 0.002)).backward()
        look_optimizer.step()
        look_scale.clamp_()
        look_values.append(look_scale().item())
    look_drawn = plotting.curves(
        {"scale": look_values}, levels={"bound": 100.0}, xlabel="step", ylabel="scale s", title="it must come down again",
    )  # fmt: skip
    display(look_drawn)
    print(f"highest {max(look_values):.4f}, at the end {look_values[-1]:.2f}")

# %% [markdown] hints="scale"
# <details><summary>Hint 1: the idea</summary>
#
# Store the logarithm, return the exponential. Bound what is *stored*, and do it outside of the forward pass, so that the gradient of the exponential is never cut.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    parameter log_scale = ln(initial); remember ln(maximum)
#     forward: exp(log_scale)
#     clamp_:  log_scale = the smaller of log_scale and ln(maximum), in place
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `nn.Parameter(torch.tensor(math.log(initial)))` is a scalar parameter. `tensor.clamp_(max=...)` changes a tensor in place; the decorator `@torch.no_grad()` above the method allows it on a parameter. A new `nn.Parameter` would be another object, and the optimizer would go on training the old one.
#
# </details>


# %% [markdown]
# ### What the loss can reach
#
# **Predict.** A batch has 96 captions, but only 240 different ones exist. Some captions appear twice. The loss asks an image to prefer its own caption to the copy, and the copy is the *same sentence*. How low can the loss go?

# %% [markdown] about="floor"
# ### Exercise 3. The floor of the loss
#
# Say caption $i$ appears $c_i$ times in the batch. All copies have the same vector, so in row $i$ they all have the same logit, and none can get more than an equal share:
#
# $$-\ln \frac{e^{\ell_{ii}}}{\sum_j e^{\ell_{ij}}} \;\ge\; -\ln \frac{e^{\ell_{ii}}}{c_i\, e^{\ell_{ii}}} = \ln c_i$$
#
# If the images of one content share a vector as well, the columns have the same bound. Both are reached when different contents point apart and $s$ is large. So the least loss is
#
# $$\mathcal L_{\min} = \frac{1}{B} \sum_{i=1}^{B} \ln c_i$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `content_ids` | $(B,)$ int64, any numbers | two pairs have the same number if and only if they say the same |
# | result | float | $\mathcal L_{\min}$ in nats |


# %% exercise="floor" difficulty=4 minutes=30
def duplicate_floor(content_ids: torch.Tensor) -> float:
    """The least value of `clip_loss` when pairs with the same content share their vectors.

    Parameters
    ----------
    content_ids : (B,) int64, equal for pairs of the same content.

    Returns
    -------
    The mean over the batch of the logarithm of how often each pair's content occurs, a float, in nats.
    """
    ### BEGIN SOLUTION
    _, where, counts = content_ids.unique(return_inverse=True, return_counts=True)
    return counts[where].double().log().mean().item()
    ### END SOLUTION


# %% look="floor"
# Look: batches drawn at random from few or many contents. The more contents, the lower the floor.
with checks.look():
    look_draw = torch.Generator().manual_seed(0)
    look_kinds = (30, 240, 2000)
    look_sizes = (8, 16, 32, 64, 128, 256)

    def look_floor(kinds: int, size: int) -> float:
        return sum(duplicate_floor(torch.randint(kinds, (size,), generator=look_draw)) for _ in range(20)) / 20

    look_floors = {f"{kinds} contents": [look_floor(kinds, size) for size in look_sizes] for kinds in look_kinds}
    look_floors["guessing: ln B"] = [math.log(size) for size in look_sizes]
    display(
        plotting.curves(
            look_floors, x=look_sizes, log_x=True,
            xlabel="batch size B", ylabel="nats", title="the floor, mean of 20 random batches",
        )
    )  # fmt: skip

# %% [markdown] hints="floor"
# <details><summary>Hint 1: the idea</summary>
#
# For each *pair* of the batch, not for each content: how many pairs of the batch say what it says, itself included?
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     for each pair: count = how many ids equal its own
#     mean of ln(count) over the pairs
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `content_ids[:, None] == content_ids[None, :]` is a $(B, B)$ table of who equals whom; its row sums are the counts. Or `torch.unique(..., return_inverse=True, return_counts=True)`: `counts[inverse]` is the count of each pair. `.item()` makes a float.
#
# </details>

# %% [markdown]
# Note what the proof needs. Copies share their *caption's* vector, and they always do, since they are the same sentence. Their *images* differ, so a model could tell them apart. It does not help: in the column of a caption the copies have the same right to each of these images, and by Jensen's inequality the mean of $-\ln$ of their shares is at least $\ln c$ again.
#
# The bound is not always tight. "A red circle" and "a small red circle in the top left" are different sentences, and one image may fit both. Then the loss stays above this floor.

# %% [markdown] about="siglip"
# ### Exercise 4. SigLIP's loss: one pair at a time
#
# A softmax needs all $B$ logits of a row before it can say anything about one of them. On many GPUs that means sending every vector everywhere. SigLIP (Zhai et al. 2023, section 3) asks a smaller question of every entry of the table alone: *do these two belong together, yes or no?*
#
# $$\mathcal L = -\frac{1}{B} \sum_{i=1}^{B} \sum_{j=1}^{B} \ln \sigma\bigl(z_{ij}\, (s\, \langle x_i, y_j \rangle + b)\bigr), \qquad z_{ij} = \begin{cases} +1 & i = j \\ -1 & i \ne j \end{cases}$$
#
# Of $B^2$ answers only $B$ are yes. Without a bias the model would begin by being wrong about nearly all entries; so $b$ is learned and starts at $-10$, and $s$ starts at 10. The sum is divided by $B$, **not** by $B^2$.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `image_emb`, `text_emb` | $(B, D)$ | unit length |
# | `scale`, `bias` | float or scalar tensor | $s$ (as it multiplies), $b$ |
# | result | scalar | |


# %% exercise="siglip" difficulty=3 minutes=35
def siglip_loss(
    image_emb: torch.Tensor, text_emb: torch.Tensor, scale: torch.Tensor | float, bias: torch.Tensor | float
) -> torch.Tensor:
    """The pairwise sigmoid loss of SigLIP (Zhai et al. 2023, section 3 and algorithm 1).

    Parameters
    ----------
    image_emb : (B, D), rows of unit length. text_emb : (B, D), rows of unit length, row i belonging to image i.
    scale, bias : of the logits, floats or scalar tensors (gradients flow into them).

    Returns
    -------
    A scalar in the dtype and on the device of the embeddings: the sum over all B * B entries, divided by B. Finite
    for logits of any size.
    """
    ### BEGIN SOLUTION
    logits = scale * image_emb @ text_emb.T + bias
    belongs = 2 * torch.eye(len(logits), dtype=logits.dtype, device=logits.device) - 1
    return -F.logsigmoid(belongs * logits).sum() / len(logits)
    ### END SOLUTION


# %% look="siglip"
# Look: the loss of an untrained model (random vectors of width 64, s = 10) for other biases and batches.
with checks.look():
    look_biases = torch.linspace(-14, 2, 33)
    look_randn = checks.normal(seed=0)
    look_curves, look_best = {}, {}
    for size in (16, 96, 512):
        look_x, look_y = F.normalize(look_randn(size, 64), dim=-1), F.normalize(look_randn(size, 64), dim=-1)
        look_curves[f"B = {size}"] = torch.stack([siglip_loss(look_x, look_y, 10.0, b) for b in look_biases])
        look_best[size] = look_biases[look_curves[f"B = {size}"].argmin()].item()
    display(
        plotting.curves(
            look_curves, x=look_biases, log_y=True,
            xlabel="bias b", ylabel="loss", title="before training: the right bias depends on the batch",
        )
    )  # fmt: skip
    print("lowest at", ", ".join(f"b = {b:.1f} for B = {size}" for size, b in look_best.items()))

# %% [markdown] hints="siglip"
# <details><summary>Hint 1: the idea</summary>
#
# The same table of logits as in exercise 1, plus one number. Then a table of signs, and a logarithm of a sigmoid for every entry.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     logits = scale * all dot products + bias             (B, B)
#     signs  = +1 on the diagonal, -1 elsewhere            (B, B)
#     minus the sum of log sigmoid(signs * logits), divided by B
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `2 * torch.eye(B, dtype=logits.dtype, device=logits.device) - 1` are the signs. `F.logsigmoid(v)` is exact for large negative $v$, where `torch.sigmoid(v)` rounds to 0 and its logarithm is minus infinity. `.mean()` would divide by $B^2$.
#
# </details>

# %% [markdown]
# ## Part 2. Words
#
# A text tower eats numbers, so words must become numbers first. CLIP cuts words into pieces with a vocabulary of 49,152 (byte pairs); our world has some twenty words, so one number a word will do. Four ids are reserved:
#
# | id | word | meaning |
# | --- | --- | --- |
# | 0 | `<pad>` | fills a short caption up to the length of the row |
# | 1 | `<start>` | the caption begins |
# | 2 | `<end>` | the caption ends |
# | 3 | `<unknown>` | a word that the vocabulary does not have |
#
# **Predict.** "A red circle." and "a red circle" mean the same. If a tokenizer only splits at spaces, how many of their words get the same number?

# %% [markdown] about="tokenizer"
# ### Exercise 5. A tokenizer
#
# Split a caption into words and punctuation marks, in lower case: *A red circle.* becomes `a`, `red`, `circle`, `.`. A word is a run of letters, digits and underscores; every other character that is no space stands alone. Every caption gets `<start>` in front and `<end>` behind. A caption that is too long is cut, **but its end stays**: the end says "that was all", and some text towers read their answer there.
#
# | name | meaning |
# | --- | --- |
# | `CaptionTokenizer(captions)` | the vocabulary: the four reserved ids, then all words of these captions in alphabetical order |
# | `split(caption)` | its pieces, a list of str |
# | attribute `words` | list of str; `words[id]` is the word |
# | `encode(captions, length)` | `ids` $(B, L)$ int64 and `mask` $(B, L)$ bool, **true where there is no padding** (start and end included) |
# | `decode(ids)` | one row as text: its words joined by spaces, without `<pad>`, `<start>` and `<end>` |


# %% exercise="tokenizer" difficulty=2 minutes=40
class CaptionTokenizer:
    """A word-level tokenizer: lower case, punctuation split off, a vocabulary fixed at construction.

    Parameters
    ----------
    captions : the texts whose words become the vocabulary.

    Attributes
    ----------
    words : list of str, `words[id]` is the word; ids 0 to 3 are <pad>, <start>, <end>, <unknown>, the rest sorted.
    """

    def split(self, caption: str) -> list[str]:
        """The words and punctuation marks of a caption, in lower case, in their order."""
        ### BEGIN SOLUTION
        return re.findall(r"\w+|[^\w\s]", caption.lower())
        ### END SOLUTION

    def __init__(self, captions: Sequence[str]) -> None:
        ### BEGIN SOLUTION
        found = {word for caption in captions for word in self.split(caption)}
        self.words = ["<pad>", "<start>", "<end>", "<unknown>", *sorted(found)]
        self._ids = {word: number for number, word in enumerate(self.words)}
        ### END SOLUTION

    def encode(self, captions: Sequence[str], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Captions as ids (B, length) int64 and a mask (B, length) bool, true where there is no padding.

        Each row is <start>, words, <end>, padding; words that do not fit are dropped, the <end> never.
        ValueError when length < 2.
        """
        ### BEGIN SOLUTION
        if length < 2:
            raise ValueError(f"length={length} has no room for <start> and <end>")
        ids = torch.zeros(len(captions), length, dtype=torch.int64)
        for row, caption in zip(ids, captions):
            numbers = [self._ids.get(word, 3) for word in self.split(caption)][: length - 2]
            row[: len(numbers) + 2] = torch.tensor([1, *numbers, 2])
        return ids, ids != 0
        ### END SOLUTION

    def decode(self, ids: torch.Tensor) -> str:
        """One row of ids (L,) as text: words joined by single spaces, without <pad>, <start> and <end>."""
        ### BEGIN SOLUTION
        return " ".join(self.words[number] for number in ids.tolist() if number > 2)
        ### END SOLUTION


# %% look="tokenizer"
# Look: three captions as rows of ids, one of them too long for the row, one with a word nobody has seen.
with checks.look():
    look_tokenizer = CaptionTokenizer(datasets.shapes(50, seed=0).captions)
    print(len(look_tokenizer.words), "words:", *look_tokenizer.words)
    look_texts = ["a red circle", "a small green star in the top left, they say", "A huge ring!"]
    look_ids, look_mask = look_tokenizer.encode(look_texts, 8)
    for text, ids, mask in zip(look_texts, look_ids, look_mask):
        print(
            f"\n{text}\n  {ids.tolist()}\n  {''.join('#' if here else '.' for here in mask)}   {look_tokenizer.decode(ids)}"
        )

# %% [markdown] hints="tokenizer"
# <details><summary>Hint 1: the idea</summary>
#
# One helper splits a text; building the vocabulary and encoding both use it, so they can never disagree. A dict from word to id makes encoding a look-up with a default.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     split:  lower case; runs of letters, digits and underscores, or single other characters
#     init:   words = four reserved + sorted set of all words; dict word -> id
#     encode: length < 2: ValueError
#             ids = zeros (B, length)
#             each caption: its ids, at most length - 2 of them; 1 in front, 2 behind; write them into the row
#             mask = where ids are not 0
#     decode: words of the ids above 2, joined
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `re.findall(r"\w+|[^\w\s]", text.lower())` splits. `self.ids.get(word, 3)` looks up with a default. `row[:n] = torch.tensor([...])` writes into a row of a tensor. Helpers may be methods of the class.
#
# </details>

# %% [markdown]
# The towers need a transformer block. You built one in week 2; here it is again, with a mask: `mask` $(B, L)$ says which tokens are words, and **nobody looks at the others**.


# %% given="block"
class Block(nn.Module):
    """A pre-norm transformer block, x + attention(norm(x)), then x + mlp(norm(x)).

    Parameters
    ----------
    width : D. n_heads : H, divides D. The MLP is 2 D wide.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, L, D) to (B, L, D); tokens where `mask` (B, L) bool is false are never looked at."""
        query, key, value = self.qkv(self.norm1(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        allowed = None if mask is None else mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + self.proj(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


# %% [markdown] about="text"
# ### Exercise 6. The text tower
#
# $$h^{0}_{l} = E[\text{id}_l] + P_l, \qquad h^{k+1} = \operatorname{Block}(h^{k}, \text{mask}), \qquad y = \operatorname{pool}\bigl(\operatorname{LN}(h^{\text{last}})\bigr)$$
#
# A row has padding because a tensor must be rectangular, for no other reason. So padding must not change the answer. It can get in at two doors: through **attention**, and through the **pooling** that makes one vector of $L$. Pool with the mean over the words (start and end included), or take the token of `<end>`, as CLIP does. Both are right here.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `TextEncoder(vocab_size, max_length, width, depth, n_heads)` | | a token embedding, learned positions, `depth` given `Block`s, a final `nn.LayerNorm` |
# | `forward(ids, mask)` | $(B, L)$ int64, $(B, L)$ bool; $L \le$ `max_length` | $(B, D)$ |
#
# Leave the token embedding as PyTorch draws it, with a standard deviation of 1, and draw the positions with one of about 0.1: at the start the word counts more than its place.


# %% exercise="text" difficulty=3 minutes=40
class TextEncoder(nn.Module):
    """A transformer over words that makes one vector of a caption, whatever its padding.

    Parameters
    ----------
    vocab_size : number of ids. max_length : the longest row. width : D. depth : blocks. n_heads : heads of each.
    """

    def __init__(self, vocab_size: int, max_length: int, width: int, depth: int, n_heads: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Parameter(0.1 * torch.randn(max_length, width))
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        ### END SOLUTION

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ids (B, L) int64 and mask (B, L) bool, true where there is a word, to (B, D); ValueError if L > max_length."""
        ### BEGIN SOLUTION
        length, longest = ids.shape[1], len(self.positions)
        if length > longest:
            raise ValueError(f"rows of {length} ids, but positions for {longest}")
        x = self.tokens(ids) + self.positions[:length]
        for block in self.blocks:
            x = block(x, mask)
        words = mask[..., None].to(x.dtype)
        return (self.norm(x) * words).sum(1) / words.sum(1)
        ### END SOLUTION


# %% look="text"
# Look: how alike an untrained tower finds six captions, padded to 8 and to 12. The two pictures must be equal.
with checks.look():
    torch.manual_seed(0)
    look_texts = [
        "a red circle",
        "a red ring",
        "a blue ring",
        "a ring",
        "a small red circle",
        "a circle in the top left",
    ]
    look_tokenizer = CaptionTokenizer(look_texts)
    look_tower = TextEncoder(len(look_tokenizer.words), 12, 32, 2, 4).eval()
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    for ax, length in zip(axes, (8, 12)):
        with torch.no_grad():
            look_y = F.normalize(look_tower(*look_tokenizer.encode(look_texts, length)), dim=-1)
        plotting.heatmap(
            ax, look_y @ look_y.T, title=f"cosines, rows of {length}", xlabel="caption", ylabel="", vmin=0, vmax=1, annotate=True,
        )  # fmt: skip
    axes[0].set_yticks(range(6), look_texts)
    plt.show()

# %% [markdown] hints="text"
# <details><summary>Hint 1: the idea</summary>
#
# Embed, add positions, go through the blocks, norm, pool. The mask goes to every block and to the pooling. For a mean over words: set the others to 0, sum, and divide by the number of words, not by $L$.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    embedding (vocab_size, D), positions (max_length, D), depth blocks, norm
#     forward: L larger than max_length: ValueError
#              x = embedding of ids + the first L positions      (B, L, D)
#              x through every block, which gets the mask as well
#              x = norm(x)
#              sum of x over the words / number of words         (B, D)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `nn.Embedding`, `nn.Parameter(0.1 * torch.randn(max_length, width))`, and `nn.ModuleList` so that PyTorch finds the blocks' parameters. `mask[..., None]` is $(B, L, 1)$ and multiplies $(B, L, D)$. The token of the end stands at `mask.sum(1) - 1` in each row; pick it with `x[torch.arange(len(x)), place]`.
#
# </details>


# %% [markdown]
# ## Part 3. Two towers
#
# The image tower is given, too. The first layer of a plain ViT sees each patch on its own, and a circle that lies across four patches looks different from one that lies in one. To learn shapes that way takes many steps. A few convolutions before the transformer make it easier (Xiao et al. 2021). CLIP itself was trained with convolutional and with transformer image towers (Radford et al. 2021, section 2.4).
#
# **Predict.** Which attribute will be hardest for the model: color, size, place or shape?


# %% given="image-tower"
class ImageTower(nn.Module):
    """Three convolutions, then one transformer block on 4 x 4 tokens, then their mean: (B, 3, 32, 32) to (B, D)."""

    def __init__(self, width: int, n_heads: int = 4) -> None:
        super().__init__()

        def convolution(before: int, after: int, stride: int) -> nn.Sequential:
            layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())

        self.stem = nn.Sequential(
            convolution(3, 16, stride=2), convolution(16, 32, stride=1), nn.MaxPool2d(2),
            convolution(32, width, stride=1), nn.MaxPool2d(2),
        )  # fmt: skip
        self.positions = nn.Parameter(0.2 * torch.randn(16, width))
        self.block, self.norm = Block(width, n_heads), nn.LayerNorm(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized images (B, 3, 32, 32) to vectors (B, D)."""
        tokens = self.stem(images).flatten(2).transpose(1, 2) + self.positions
        return self.norm(self.block(tokens)).mean(1)


# %% [markdown] about="dual"
# ### Exercise 7. The dual encoder
#
# $$x = \frac{W_I\, f(\text{image})}{\lVert W_I\, f(\text{image}) \rVert}, \qquad y = \frac{W_T\, g(\text{text})}{\lVert W_T\, g(\text{text}) \rVert}$$
#
# The towers $f$ and $g$ may have any widths. Two matrices **without bias** bring them into a common space of width $D$. Then both vectors get length 1, so that a dot product is a cosine: a tower cannot win by making its vectors longer.
#
# | name | meaning |
# | --- | --- |
# | `DualEncoder(image_tower, text_tower, image_width, text_width, embed_dim)` | towers are modules: `image_tower(images)` gives $(B, \text{image\_width})$, `text_tower(ids, mask)` gives $(B, \text{text\_width})$ |
# | attributes `image_projection`, `text_projection` | `nn.Linear` without bias |
# | attribute `logit_scale` | a `LogitScale` (exercise 2) |
# | `encode_image(images)`, `encode_text(ids, mask)` | $(B, D)$, unit length; the towers run in the mode that they are in |
# | `forward(images, ids, mask)` | the triple (image vectors, text vectors, scale) |


# %% exercise="dual" difficulty=2 minutes=25 uses="scale"
class DualEncoder(nn.Module):
    """Two towers, two projections, one space (Radford et al. 2021, figure 3).

    Parameters
    ----------
    image_tower : module, images to (B, image_width). text_tower : module, (ids, mask) to (B, text_width).
    image_width, text_width : what the towers give. embed_dim : D, the width of the common space.

    Attributes
    ----------
    image_projection, text_projection : nn.Linear without bias. logit_scale : LogitScale.
    """

    def __init__(
        self, image_tower: nn.Module, text_tower: nn.Module, image_width: int, text_width: int, embed_dim: int
    ) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.image_tower, self.text_tower = image_tower, text_tower
        self.image_projection = nn.Linear(image_width, embed_dim, bias=False)
        self.text_projection = nn.Linear(text_width, embed_dim, bias=False)
        self.logit_scale = LogitScale()
        ### END SOLUTION

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        """Whatever the image tower takes, to (B, D) with rows of unit length."""
        ### BEGIN SOLUTION
        return F.normalize(self.image_projection(self.image_tower(images)), dim=-1)
        ### END SOLUTION

    def encode_text(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ids (B, L) int64 and mask (B, L) bool to (B, D) with rows of unit length."""
        ### BEGIN SOLUTION
        return F.normalize(self.text_projection(self.text_tower(ids, mask)), dim=-1)
        ### END SOLUTION

    def forward(
        self, images: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image vectors (B, D), text vectors (B, D), and the scale, a scalar tensor."""
        ### BEGIN SOLUTION
        return self.encode_image(images), self.encode_text(ids, mask), self.logit_scale()
        ### END SOLUTION


# %% look="dual"
# Look: cosines of 12 pictures with their captions before any training. They are all alike.
with checks.look():
    torch.manual_seed(0)
    look_data = datasets.shapes(12, seed=5)
    look_tokenizer = CaptionTokenizer(look_data.captions)
    look_model = DualEncoder(
        ImageTower(64), TextEncoder(len(look_tokenizer.words), LENGTH, 64, 1, 4), 64, 64, 64
    ).eval()
    with torch.no_grad():
        look_x, look_y, look_s = look_model(normalized(look_data.x), *look_tokenizer.encode(look_data.captions, LENGTH))
    fig, ax = plt.subplots(figsize=(5.2, 4.4))
    plotting.heatmap(
        ax, look_x @ look_y.T, title="cosines before training", xlabel="caption", ylabel="image", diverging=True
    )
    plt.show()
    print(f"lengths {look_x.norm(dim=1).min():.4f} to {look_x.norm(dim=1).max():.4f}, scale {look_s.item():.4f}")

# %% [markdown] hints="dual"
# <details><summary>Hint 1: the idea</summary>
#
# Tower, projection, length 1; the same for both sides. `forward` calls the two methods that you have just written.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    keep the towers; two linear layers without bias; a LogitScale
#     image:   tower -> projection -> divide each row by its length
#     text:    the same with ids and mask
#     forward: both, and the scale
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.normalize(v, dim=-1)` divides each row by its length. `nn.Linear(a, b, bias=False)`. `self.logit_scale()` calls the module and gives $s$; `self.logit_scale` alone is the module.
#
# </details>


# %% [markdown]
# ### Train it
#
# All pieces are there. The function below is the whole training: AdamW with warm-up and cosine (week 3), clipped gradients, and `clamp_` after each step. Two details are easy to miss: **neither the scale nor the bias decays**, since decay would pull them to 0; and every random choice comes from one generator with a seed.
#
# People do not always say everything. So for each picture of a batch one of its four caption lengths is drawn: with or without the size, with or without the place. We will see below what happens if the captions always say everything.


# %% explore=true
drawing = threading.Lock()  # weights come from torch's one global generator: one model at a time


def new_model(tokenizer: CaptionTokenizer, seed: int) -> DualEncoder:
    """A dual encoder of width 64 with fresh weights, on the device of the profile."""
    with drawing:
        torch.manual_seed(seed)
        text_tower = TextEncoder(len(tokenizer.words), LENGTH, 64, 1, 4)
        model = DualEncoder(ImageTower(64), text_tower, 64, 64, 64)
    return model.to(profile.device(), memory_format=torch.channels_last)


def train(
    data: datasets.Shapes, steps: int, batch: int, seed: int, loss: str = "clip", vary: bool = True, rate: float = 4e-3
) -> tuple[DualEncoder, CaptionTokenizer, dict[str, list[float]]]:
    """Train a dual encoder from scratch; returns it, its tokenizer, and loss, floor, scale and bias of each step.

    `loss` is "clip" or "siglip"; `vary` draws one of the four lengths of each caption, otherwise captions are whole.
    """
    device = profile.device()
    tokenizer = CaptionTokenizer(data.captions)
    model = new_model(tokenizer, seed)
    bias = nn.Parameter(torch.tensor(-10.0, device=device))
    if loss == "siglip":
        model.logit_scale = LogitScale(10.0).to(device)
    free = [model.logit_scale.log_scale, bias]
    rest = [p for p in model.parameters() if p is not free[0]]
    groups = [{"params": rest, "weight_decay": 0.05}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    forms = caption_forms(data.captions) if vary else [list(data.captions)]
    ids, masks = (torch.stack(parts).to(device) for parts in zip(*(tokenizer.encode(form, LENGTH) for form in forms)))
    number = {caption: k for k, caption in enumerate(sorted({caption for form in forms for caption in form}))}
    contents = torch.tensor([[number[caption] for caption in form] for form in forms])
    images = normalized(data.x).to(device, memory_format=torch.channels_last)  # convolutions are faster that way
    draw = torch.Generator().manual_seed(seed)
    history: dict[str, list[float]] = {"loss": [], "floor": [], "scale": [], "bias": []}
    for _ in range(steps):
        picked = torch.randint(len(images), (batch,), generator=draw)
        form = torch.randint(len(forms), (batch,), generator=draw)
        image_emb, text_emb, scale = model(images[picked], ids[form, picked], masks[form, picked])
        value = (
            clip_loss(image_emb, text_emb, scale) if loss == "clip" else siglip_loss(image_emb, text_emb, scale, bias)
        )
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(rest, 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.clamp_()
        history["loss"].append(value.item())
        history["floor"].append(duplicate_floor(contents[form, picked]))
        history["scale"].append(scale.item())
        history["bias"].append(bias.item())
    return model.eval(), tokenizer, history


def image_vectors(model: DualEncoder, data: datasets.Shapes) -> torch.Tensor:
    """Unit vectors (n, D) of all pictures, on the CPU."""
    with torch.no_grad():
        parts = [model.encode_image(normalized(x).to(profile.device())).cpu() for x in data.x.split(300)]
    return torch.cat(parts)


def text_encoder(model: DualEncoder, tokenizer: CaptionTokenizer) -> Callable[[list[str]], torch.Tensor]:
    """A function from texts to unit vectors (n, D), on the CPU."""

    def encode(texts: list[str]) -> torch.Tensor:
        ids, mask = (part.to(profile.device()) for part in tokenizer.encode(texts, LENGTH))
        with torch.no_grad():
            return model.encode_text(ids, mask).cpu()

    return encode


# %% explore=true
from shared import kept

steps, batch = profile.pick(cpu=120, gpu=1500), profile.pick(cpu=96, gpu=512)
model, tokenizer, history = train(seen, steps, batch, seed=0)
print(
    "loss, floor, scale and bias of every step:",
    kept.save("kept/clip_history.json", history | {"batch": batch, "seed": 0}),
)


def smooth(values: Sequence[float], window: int = 10) -> list[float]:
    """Running means."""
    return [sum(values[k : k + window]) / window for k in range(len(values) - window + 1)]


fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8))
left.plot(history["loss"], color=plotting.COLORS[5], alpha=0.4, linewidth=1)
left.plot(range(9, steps), smooth(history["loss"]), color=plotting.COLORS[0], label="loss, mean of 10 steps")
left.plot(range(9, steps), smooth(history["floor"]), color=plotting.COLORS[1], label="floor of these batches")
left.axhline(
    math.log(batch), color="0.3", linestyle="--", linewidth=1.4, label=f"guessing, ln {batch} = {math.log(batch):.2f}"
)
left.set(xlabel="step", ylabel="nats", title="the loss, and what it could reach", ylim=(0, None))
left.legend(fontsize=9)
right.plot(history["scale"], color=plotting.COLORS[2])
right.set(xlabel="step", ylabel="scale s", title="the learned scale, inverse of the temperature")
for ax in (left, right):
    ax.grid(alpha=0.3)
plt.show()
last_loss, last_floor = (sum(history[name][-20:]) / 20 for name in ("loss", "floor"))
print(f"{profiling.parameter_count(model):,} parameters, {steps} steps of {batch} pairs")
print(
    f"last 20 steps: loss {last_loss:.3f}, floor {last_floor:.3f}; scale {history['scale'][0]:.1f} to {history['scale'][-1]:.1f}"
)

# %% [markdown]
# **Explain.** The loss starts at $\ln B$ and falls far below it. It does not come down to the floor of exercise 3. With captions of four lengths that floor is a bound that nothing can reach: of two captions that both fit a picture, "a red circle" and "a red circle in the top left", no model can know which one its writer chose. The scale first falls and then rises: while the model knows little, being sure is expensive.
#
# ### Look: the table, before and after

# %% explore=true
chosen_few = [int((name_index(seen_test) == k).nonzero()[0]) for k in name_index(seen_test).unique().tolist()[::2]][:15]
few = [seen_test.captions[k] for k in chosen_few]
tables = {}
for name, one in (("before", new_model(tokenizer, seed=0).eval()), ("after", model)):
    with torch.no_grad():
        image_emb = one.encode_image(normalized(seen_test.x[chosen_few]).to(profile.device())).cpu()
    tables[name] = image_emb @ text_encoder(one, tokenizer)(few).T
fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.6))
gaps = {}
for ax, (name, table) in zip(axes, tables.items()):
    plotting.heatmap(
        ax, table, title=f"cosines {name} training", xlabel="caption", ylabel="image", diverging=True, vmin=-1, vmax=1
    )
    own = torch.eye(len(table)).bool()
    gaps[name] = (table[own].mean() - table[~own].mean()).item()
plt.show()
for name, gap in gaps.items():
    print(f"{name:>6}: mean of the diagonal minus mean of the others {gap:+.3f}")
print("target for after, at least 0.3:", "reached" if gaps["after"] >= 0.3 else "NOT reached")

# %% [markdown]
# ## Part 4. Classify with words
#
# Here is the trick that made CLIP famous. You want to know which of $K$ things a picture shows. Write each thing as a sentence, encode the $K$ sentences, and take the one that is nearest to the picture. No training, no labels: **zero-shot**. The text tower writes the weights of a linear classifier for you.
#
# Which sentence? "red circle", "a red circle", "a photo of a red circle" are three different vectors. Radford et al. (2021, section 3.1.4, "Prompt engineering and ensembling") take many templates and average the vectors, not the answers: then the ensemble costs nothing when a picture comes. (You will read that prompts are in section 3.3. That one is about robustness to natural distribution shift.)

# %% [markdown] about="zero-shot"
# ### Exercise 8. A classifier made of words
#
# With templates $t_1, \dots, t_M$ and class name $k$:
#
# $$u_{km} = \frac{g(t_m(k))}{\lVert g(t_m(k)) \rVert}, \qquad w_k = \frac{\bar u_k}{\lVert \bar u_k \rVert}, \quad \bar u_k = \frac{1}{M} \sum_m u_{km}$$
#
# **Normalize twice.** Before the average, so that no template speaks louder than the others. After it, because the mean of unit vectors is shorter than 1, and the more the templates of a class disagree the shorter it is. Such a class would get smaller cosines with *every* picture.
#
# | name | meaning |
# | --- | --- |
# | `encode_text` | a function: list of $n$ str to $(n, D)$, rows of **any** length; what it gives is not changed |
# | `class_names` | $K$ names. `templates`: texts with the placeholder `{}`; one without it is a ValueError, and so is no template at all |
# | `zero_shot_weights(...)` | $(K, D)$, rows of unit length |
# | `zero_shot_predict(image_emb, weights, k)` | $(B, D)$ and $(K, D)$ to $(B, k)$ int64: the $k$ best classes, the best first |


# %% exercise="zero-shot" difficulty=3 minutes=40
def zero_shot_weights(
    encode_text: Callable[[list[str]], torch.Tensor], class_names: Sequence[str], templates: Sequence[str]
) -> torch.Tensor:
    """The weights of a zero-shot classifier from an ensemble of prompts (Radford et al. 2021, section 3.1.4).

    Parameters
    ----------
    encode_text : list of n texts to (n, D); the rows need not have unit length, and stay as they are.
    class_names : K names. templates : texts with the placeholder {} for the name.

    Returns
    -------
    (K, D), rows of unit length, in the dtype of what `encode_text` gives.

    Raises
    ------
    ValueError : when there is no template, or one lacks the placeholder.
    """
    ### BEGIN SOLUTION
    if not templates or any("{}" not in template for template in templates):
        raise ValueError(f"every template needs the placeholder {{}}: {list(templates)}")
    prompts = [template.format(name) for name in class_names for template in templates]
    each = F.normalize(encode_text(prompts), dim=-1).unflatten(0, (len(class_names), len(templates)))
    return F.normalize(each.mean(1), dim=-1)
    ### END SOLUTION


def zero_shot_predict(image_emb: torch.Tensor, weights: torch.Tensor, k: int = 1) -> torch.Tensor:
    """The k nearest classes of each image.

    Parameters
    ----------
    image_emb : (B, D), rows of unit length. weights : (K, D), rows of unit length. k : 1 <= k <= K.

    Returns
    -------
    (B, k) int64, indices of classes by falling cosine.
    """
    ### BEGIN SOLUTION
    return (image_emb @ weights.T).topk(k, dim=-1).indices
    ### END SOLUTION


# %% look="zero-shot"
# Look: two classes, three templates, in a plane. Thin: the prompts as they come. Thick: the weights. Circle: length 1.
with checks.look():
    look_plane = {
        "cat": (0.5, -0.3), "a cat": (0.9, 0.8), "my cat": (2.4, -0.4),
        "dog": (-0.3, 0.8), "a dog": (0.4, 1.8), "my dog": (-1.5, 0.5),
    }  # fmt: skip
    look_weights = zero_shot_weights(
        lambda texts: torch.tensor([look_plane[t] for t in texts]), ["cat", "dog"], ["{}", "a {}", "my {}"]
    )
    fig, ax = plt.subplots(figsize=(7.2, 4.4))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.6", linestyle="--"))
    for text, (x, y) in look_plane.items():
        color = plotting.COLORS["dog" in text]
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": color, "alpha": 0.5})
        ax.text(x, y, text, color=color, fontsize=9)
    for (x, y), color in zip(look_weights.tolist(), plotting.COLORS):
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 3})
    ax.set(xlim=(-1.9, 2.9), ylim=(-0.9, 2.1), aspect="equal", title="long prompts must not speak louder")
    plt.show()

# %% [markdown] hints="zero-shot"
# <details><summary>Hint 1: the idea</summary>
#
# One list of all prompts, encoded at once. Then give the $K \cdot M$ rows their two dimensions back and average over the right one. The order in which you write the prompts decides which one that is.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     no templates, or one without {}: ValueError
#     prompts = for each name, for each template: the template with the name in it     K*M
#     vectors = encode, each row to length 1                                           (K*M, D)
#     as (K, M, D), mean over M, each row to length 1                                  (K, D)
#
#     predict: cosines (B, K); indices of the k largest of each row
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `template.format(name)` fills the placeholder; without one it returns the template unchanged, so ask `"{}" in template` first. `vectors.unflatten(0, (K, M))` fits prompts that run over the templates first. `scores.topk(k, dim=-1)` has `.values` and `.indices`.
#
# </details>


# %% [markdown]
# ### The experiment: seen and never seen
#
# Two test sets, 600 pictures each: combinations that training showed, and the six that it never showed. All 36 names compete in both; guessing gets 0.028.
#
# **Predict.** Your model has never seen a purple ring. It has seen purple things and rings. Will it name a purple ring better than by guessing? As well as a red one?
#
# The targets: **at least 0.55 on seen and at least 0.20 on held-out combinations** with an ensemble of templates. One seed runs here. `SEEDS = range(5)` repeats this and the later comparisons with four others (a few minutes).

# %% explore=true
SEEDS = profile.pick(cpu=range(1), gpu=range(5))  # range(5): twelve more trainings, here and below
PLAIN = ("{}", "a {}", "a photo of a {}")
PARTIAL = ("a small {}", "a large {}", "a {} in the top left", "a {} in the bottom right")
WHOLE = tuple(f"a {size} {{}} in the {place}" for size in datasets.SCALES for place in datasets.QUADRANTS)
ENSEMBLES = {"ensemble of 7, short and partial": PLAIN + PARTIAL, "ensemble of 8, whole": WHOLE}


def accuracy(vectors: torch.Tensor, data: datasets.Shapes, weights: torch.Tensor) -> float:
    """Share of pictures whose nearest name is the right one."""
    return (zero_shot_predict(vectors, weights)[:, 0] == name_index(data)).float().mean().item()


def by_templates(model: DualEncoder, tokenizer: CaptionTokenizer, sets: dict, groups: dict) -> dict[str, list[float]]:
    """Accuracy on each test set, for each group of templates."""
    encode = text_encoder(model, tokenizer)
    vectors = {name: image_vectors(model, data) for name, data in sets.items()}
    return {
        group: [
            accuracy(vectors[name], data, zero_shot_weights(encode, NAMES, templates)) for name, data in sets.items()
        ]
        for group, templates in groups.items()
    }


test_sets = {"seen": seen_test, "held out": held_test}
embedded = {name: image_vectors(model, data) for name, data in test_sets.items()}
single = {template: (template,) for template in (*PLAIN, *PARTIAL, *WHOLE)}
runs = {0: (model, tokenizer)} | {seed: train(seen, steps, batch, seed)[:2] for seed in SEEDS if seed > 0}
results = {seed: by_templates(*run, test_sets, single | ENSEMBLES) for seed, run in runs.items()}
rows = [
    {"seed": seed, "templates": group, "seen": f"{found[group][0]:.3f}", "held out": f"{found[group][1]:.3f}"}
    for seed, found in results.items()
    for group in ("a {}", *ENSEMBLES)
]
print(profiling.table(rows, title=f"zero-shot over 36 names (chance {1 / 36:.3f}), InfoNCE, {steps} steps"))
worst = [min(found[group][side] for found in results.values() for group in ENSEMBLES) for side in (0, 1)]
for name, value, target in zip(test_sets, worst, (0.55, 0.20)):
    print(
        f"{name}: worst {value:.3f}, {36 * value:.0f} times chance; target {target}: {'reached' if value >= target else 'NOT reached'}"
    )

# %% [markdown]
# **Explain.** Words that were learned apart work together: the text tower composes *purple* and *ring*, and the image tower finds a picture that fits. But the held-out combinations are clearly worse than the seen ones. No purple ring was ever pulled to its caption, so the model has room to be wrong there.
#
# ### What exactly does it get wrong?
#
# A name has two halves. A wrong answer can have the wrong color, the wrong shape, or both. And perhaps the model simply avoids names that it has never met: each color has one held-out shape, so of the five wrong shapes in a seen picture's color one makes a held-out name. Chance is 20 %.

# %% explore=true
ensemble = zero_shot_weights(text_encoder(model, tokenizer), NAMES, PLAIN + PARTIAL)
held_names = {f"{color} {shape}" for shape, color in HELD_OUT}
kinds = []
shape_tables = {}
for name, data in test_sets.items():
    answer = zero_shot_predict(embedded[name], ensemble)[:, 0]
    color_right = answer % 6 == data.color
    shape_right = answer // 6 == data.shape
    wrong = ~(color_right & shape_right)
    kinds.append(
        {
            "pictures": name,
            "right": f"{(~wrong).float().mean():.1%}",
            "only the shape is wrong": f"{(color_right & ~shape_right).float().mean():.1%}",
            "only the color is wrong": f"{(~color_right & shape_right).float().mean():.1%}",
            "both": f"{(~color_right & ~shape_right).float().mean():.1%}",
        }
    )
    if name == "seen":
        strangers = torch.tensor([NAMES[k] in held_names for k in answer[wrong].tolist()]).float().mean()
    counts = torch.zeros(6, 6).index_put_((data.shape, answer // 6), torch.ones(len(answer)), accumulate=True)
    shape_tables[name] = counts / counts.sum(1, keepdim=True).clamp(min=1)
print(profiling.table(kinds))
print(f"of the wrong answers to seen pictures {strangers:.0%} are held-out names")
fig, axes = plt.subplots(1, 2, figsize=(12.5, 4.6))
for ax, (name, table) in zip(axes, shape_tables.items()):
    plotting.heatmap(
        ax, table, title=f"shapes, {name}", xlabel="answer", ylabel="picture", vmin=0, vmax=1, annotate=True
    )
    ax.set_xticks(range(6), datasets.SHAPES, rotation=30)
    ax.set_yticks(range(6), datasets.SHAPES)
plt.show()

# %% [markdown]
# **Explain.** Color is solved, shape is what is left, and the tables show which shapes are taken for which: look-alikes, at a size of 8 to 17 pixels. In training, two look-alikes had to be told apart in a color only where both were shown in it. If yellow circles never come, no loss ever says how a yellow circle differs from a yellow square; that must carry over from other colors.
#
# ### How much does the prompt matter?
#
# Now the same question with captions as they come from the generator: **whole** ones only, size, color, shape and place in every caption. A second model trains on those, with the same seed and the same pictures.
#
# **Predict.** This model has never seen a caption as short as "a red circle". Which templates will serve it better, the short ones or the whole ones?


# %% explore=true
def train_other(job: tuple[str, int]) -> tuple[DualEncoder, CaptionTokenizer, dict[str, list[float]]]:
    kind, seed = job
    return (
        train(seen, steps, batch, seed, loss="siglip")
        if kind == "siglip"
        else train(seen, steps, batch, seed, vary=False)
    )


jobs = [(kind, seed) for seed in SEEDS for kind in ("whole", "siglip")]
others = dict(zip(jobs, profile.side_by_side(train_other, jobs)))  # two at a time; SigLIP's turn is further below
whole_runs = {seed: others["whole", seed] for seed in SEEDS}
whole_model, whole_tokenizer, whole_history = whole_runs[0]
whole_results = {seed: by_templates(*run[:2], test_sets, single | ENSEMBLES) for seed, run in whole_runs.items()}
trained_on = {"four lengths": results, "whole captions": whole_results}
rows = [
    {"templates": group}
    | {
        f"{name}: {side}": f"{found[0][group][k]:.3f}"
        for name, found in trained_on.items()
        for k, side in enumerate(test_sets)
    }
    for group in (*PLAIN, *PARTIAL, WHOLE[0], *ENSEMBLES)
]
print(profiling.table(rows, title="seed 0, zero-shot over 36 names; columns: captions of the training, test set"))
rows = []
for name, found in trained_on.items():
    for k, side in enumerate(test_sets):
        for seed in SEEDS:
            scores = {group: value[k] for group, value in found[seed].items()}
            alone = [scores[template] for template in WHOLE]
            columns = {
                "a {}": scores["a {}"],
                "a photo of a {}": scores["a photo of a {}"],
                "8 whole: mean": sum(alone) / 8,
                "best": max(alone),
                "ensemble": scores["ensemble of 8, whole"],
            }
            shown = {label: f"{value:.3f}" for label, value in columns.items()}
            rows.append({"captions of the training": name, "test set": side, "seed": seed} | shown)
print()
print(profiling.table(rows, title="what the ensemble of the 8 whole templates gains"))
end_loss, end_floor = (sum(whole_history[key][-20:]) / 20 for key in ("loss", "floor"))
print(f"\nwhole captions, last 20 steps: loss {end_loss:.3f}, floor {end_floor:.3f}")

# %% explore=true
every = [
    f"a {size} {name} in the {place}" for name in NAMES for size in datasets.SCALES for place in datasets.QUADRANTS
]
rows = []
for label, (one, words) in {
    "four lengths": (model, tokenizer),
    "whole captions": (whole_model, whole_tokenizer),
}.items():
    sentences = text_encoder(one, words)(every)
    for name, data in test_sets.items():
        answer = zero_shot_predict(image_vectors(one, data), sentences)[:, 0]
        parts = {
            "shape": answer // 48 == data.shape,
            "color": answer // 8 % 6 == data.color,
            "size": answer // 4 % 2 == data.scale,
            "place": answer % 4 == data.quadrant,
        }
        whole = torch.stack(list(parts.values())).all(0)
        shares = {part: f"{right.float().mean():.3f}" for part, right in parts.items()}
        rows.append(
            {"captions of the training": label, "test set": name, "whole sentence": f"{whole.float().mean():.3f}"}
            | shares
        )
print(
    profiling.table(rows, title=f"one of {len(every)} whole sentences for each picture (chance {1 / len(every):.4f})")
)

# %% [markdown]
# **Explain.** With `SEEDS = range(5)` all five seeds agree about the **seen** pictures in this:
#
# - Who was trained on four lengths understands "a red circle" better than who was trained on whole captions. It is not the pictures: asked for whole sentences, both are about as good (third table). A short prompt is a sentence of a kind that the second model never saw. A prompt is an input like any other, and it has a distribution.
# - "A photo of a" brings two words that the tokenizer has never met, and costs points after four lengths.
#
# The ensemble of the eight whole prompts lies above the *mean* of its members: by four points on average over the seeds after four lengths, by one to two after whole captions, and there not from every seed. The reason: each member claims a size and a place that are wrong for most pictures, and averaging cancels those claims. It does not always beat its *best* member, and on **held-out** pictures the seeds do not agree at all. So an ensemble saves you from choosing a template. It is no free accuracy, and it has to be measured. Radford et al. report 3.5 points for 80 templates on ImageNet, on top of one good template (section 3.1.4); their captions are far more diverse than ours.
#
# ### Two clouds in one space
#
# Images and captions share a space. Do they share a *region* of it?

# %% explore=true
from sklearn.manifold import TSNE

shown = 100
gap_images = embedded["seen"][:shown]
gap_texts = text_encoder(model, tokenizer)(seen_test.captions[:shown])
plane = torch.from_numpy(
    TSNE(perplexity=20, max_iter=300, random_state=0).fit_transform(torch.cat([gap_images, gap_texts]).numpy())
)
tints = [
    ("#d62728", "#2ca02c", "#1f4fd8", "#d4b000", "#8e44ad", "#17becf")[c] for c in seen_test.color[:shown].tolist()
]
fig, ax = plt.subplots(figsize=(8.6, 5.2))
ax.scatter(*plane[:shown].T, c=tints, s=22, marker="o", label="images")
ax.scatter(*plane[shown:].T, c=tints, s=34, marker="x", label="captions")
ax.set(xticks=(), yticks=(), title="t-SNE of 100 pairs, in the color of the object")
ax.legend()
plt.show()
distance = (gap_images.mean(0) - gap_texts.mean(0)).norm().item()
start = new_model(tokenizer, seed=0).eval()
start_texts = text_encoder(start, tokenizer)(seen_test.captions[:shown])
start_distance = (image_vectors(start, seen_test)[:shown].mean(0) - start_texts.mean(0)).norm().item()
paired = (gap_images * gap_texts).sum(1).mean().item()
print(
    f"distance of the two centers: {start_distance:.3f} before training, {distance:.3f} after; mean cosine of a pair {paired:.3f}"
)

# %% [markdown]
# **Explain.** Two random towers point in two directions, so before training images and captions lie in two places: a **modality gap**. Liang et al. (2022) found that trained CLIP models keep it. A *row* of the table does not feel a shift that is common to all captions, only the columns do, so the pull is weak. Here training closes most of the gap, but not all of it: our world is small, and a caption says nearly all that there is to see. In the picture each cross lies among its dots; t-SNE keeps neighbors and not distances, so read the gap from the numbers. Where a gap is left, never compare a cosine of two images with a cosine of an image and a text.
#
# ### SigLIP on the same pairs

# %% explore=true
sig_runs = {seed: others["siglip", seed] for seed in SEEDS}
sig_results = {seed: by_templates(*run[:2], test_sets, ENSEMBLES) for seed, run in sig_runs.items()}
group = "ensemble of 8, whole"
rows = [
    {"loss": name, "seed": seed, "seen": f"{found[seed][group][0]:.3f}", "held out": f"{found[seed][group][1]:.3f}"}
    for name, found in (("InfoNCE", results), ("SigLIP", sig_results))
    for seed in SEEDS
]
print(profiling.table(rows, title=f"the same {steps} steps, ensemble of the 8 whole templates"))
sig_history = sig_runs[0][2]
end_scale, end_bias = sig_history["scale"][-1], sig_history["bias"][-1]
print(f"SigLIP: loss {sig_history['loss'][0]:.2f} to {sum(sig_history['loss'][-20:]) / 20:.2f}")
print(
    f"scale {end_scale:.2f}, bias {end_bias:.2f}: the largest logit that any pair can get is {end_scale + end_bias:.2f}"
)

# %% [markdown]
# **Explain.** Look at the last line. With $s$ near 10 and $b$ near $-10$ even a perfect pair, with cosine 1, gets a logit near 0, and the loss calls that undecided. In so few steps, with the learning rate of all other parameters, the two hardly move. A bias of $-10$ suits batches of thousands (the look cell of exercise 4 shows which bias an untrained model would like at which batch). So this is no verdict on the loss: short runs, a small batch. Duplicates hurt SigLIP in another way, too: of two pairs with the same caption, one entry of the table says yes and the other, with the same vectors, says no.

# %% [markdown]
# ### Milestone: your dual encoder is CLIP
#
# Now put the real thing into your class. A CLIP of open_clip has two towers, two projections and a scale. Take them out, put them into your `DualEncoder`, classify with your `zero_shot_weights`, and compare with open_clip's own functions.


# %% explore=true compare=true
class OpenClipText(nn.Module):
    """The text tower of a CLIP of open_clip; it finds the end of a text by itself and needs no mask."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.clip.encode_text(ids)


def from_open_clip(clip: nn.Module) -> DualEncoder:
    """A dual encoder with the towers, projections and scale of `clip`, which loses its projections."""
    image_matrix, text_matrix = clip.visual.proj.data, clip.text_projection.data
    clip.visual.proj = clip.text_projection = None
    mine = DualEncoder(
        clip.visual, OpenClipText(clip), image_matrix.shape[0], text_matrix.shape[0], image_matrix.shape[1]
    )
    with torch.no_grad():
        mine.image_projection.weight.copy_(image_matrix.T)
        mine.text_projection.weight.copy_(text_matrix.T)
        mine.logit_scale.log_scale.copy_(clip.logit_scale)
    return mine.eval()


vision = {"layers": 2, "width": 64, "head_width": 32, "patch_size": 8, "image_size": 32}
language = {"context_length": 77, "vocab_size": 49_408, "width": 48, "heads": 4, "layers": 2}
torch.manual_seed(0)
theirs = open_clip.CLIP(40, vision, language).eval()
pieces_of = open_clip.get_tokenizer("ViT-B-32")  # the byte-pair vocabulary comes with open_clip
their_texts = pieces_of(list(NAMES[:8]))
their_images = normalized(seen_test.x[:8])
templates = ["a photo of a {}.", "a drawing of a {}."]
with torch.no_grad():
    their_image_emb, their_text_emb, their_scale = theirs(their_images, their_texts)
    their_loss = ClipLoss()(their_image_emb, their_text_emb, their_scale)
    their_weights = open_clip.build_zero_shot_classifier(theirs, pieces_of, NAMES, templates).T
    mine = from_open_clip(theirs)
    image_emb, text_emb, scale = mine(their_images, their_texts, their_texts != 0)
    my_weights = zero_shot_weights(lambda texts: mine.encode_text(pieces_of(texts), None), NAMES, templates)
for what, a, b in (
    ("image vectors", image_emb, their_image_emb),
    ("text vectors", text_emb, their_text_emb),
    ("CLIP's loss", clip_loss(image_emb, text_emb, scale), their_loss),
    (
        "SigLIP's loss",
        siglip_loss(image_emb, text_emb, 10.0, -10.0),
        SigLipLoss()(image_emb, text_emb, 10.0, -10.0),
    ),
    ("zero-shot weights", my_weights, their_weights),
):
    print(
        f"{what:>17}: {tuple(a.shape)!s:>8}, {'equal' if torch.allclose(a, b, atol=1e-5) else 'DIFFERENT'} within 1e-5"
    )

# %% [markdown]
# The weights are random here, since no download is needed for that.
#
# ### Trained weights, real captions, your own pictures
#
# With `PROFILE=gpu` the next cells put **trained** weights into your class: `ViT-B-32`, trained on two billion pairs of LAION, classifies CIFAR-10 and CIFAR-100 with one template and with 80 (those of the CLIP authors for ImageNet, which open_clip brings along). Then your small CLIP learns from real captions. Give it **your own pairs**, too: that needs no GPU. Set `WORKBOOK_PAIRS` to one of these before you start Jupyter, or write its path into the cell:
#
# | what you have | how it looks |
# | --- | --- |
# | a file of JSON lines | `{"image": "cat.jpg", "caption": "a cat on a chair"}`, one pair a line; the image is found from the folder of the file |
# | a folder of images with texts | `cat.jpg` and beside it `cat.txt`, one caption a line |
# | a folder like Flickr8k | `captions.txt` with the columns `image,caption`, the images beside it or in `Images/` |
#
# A line that is wrong is named, with its file and number. Use as many pairs as you can get: a few hundred are enough to see the loss fall, and far too few to find anything among pictures that were held back.
#
# **With a GPU.** `PROFILE=gpu` runs the same cells at larger sizes. What they need, and what came out:
#
# | cells | data set | disk | GPU memory | time | result |
# | --- | --- | --- | --- | --- | --- |
# | zero-shot, ViT-B-32 | CIFAR-10, 170 MB, and CIFAR-100, 169 MB; downloaded; the publisher states no license | 0.6 GB of weights (151 million numbers), downloaded by open_clip, and the data | *not measured yet* | *not measured yet* | *not measured yet* |
# | your CLIP on Flickr8k | Flickr8k, 8,091 photographs, 1.1 GB; put `captions.txt` and `Images/` into `flickr8k/` in the folder of `WORKBOOK_DATA`; the photographs belong to people on Flickr, so read the terms where you get it | the data | *not measured yet* | *not measured yet* | *not measured yet* |
# | your CLIP on your own pairs | yours | your images | *not measured yet* | *not measured yet* | yours |
#
# `PROFILE=gpu workbook record --keep-nothing week07` measures the first two. Every run keeps its curves, its time and its memory in `kept/` beside this notebook, and the weights beside them; a second run reads them and draws.

# %% explore=true
import os

from shared.weights import fetching_weights


def pretrained_clip(name: str, tag: str) -> tuple[DualEncoder, Callable, Callable]:
    """Pre-trained towers in a `DualEncoder`, the image transform and the tokenizer."""
    repository = open_clip.pretrained.get_pretrained_cfg(name, tag)["hf_hub"].rstrip("/")
    with fetching_weights(name, repository):
        clip, _, transform = open_clip.create_model_and_transforms(name, pretrained=tag)
    return from_open_clip(clip).to(profile.device()), transform, open_clip.get_tokenizer(name)


def classify(
    clip: DualEncoder, transform: Callable, pieces_of: Callable, data: datasets.LabeledImages, templates: Sequence[str]
) -> float:
    """Zero-shot accuracy on small images, with one list of templates."""
    from torchvision.transforms.functional import to_pil_image

    device = profile.device()
    names = [name.replace("_", " ") for name in data.classes]
    with torch.inference_mode():
        weights = zero_shot_weights(lambda texts: torch.cat([
            clip.encode_text(pieces_of(part).to(device), None) for part in (texts[k : k + 256] for k in range(0, len(texts), 256))
        ]), names, templates)  # fmt: skip
        right = 0
        for x, y in zip(data.x.split(256), data.y.split(256)):
            images = torch.stack([transform(to_pil_image(image)) for image in x]).to(device)
            right += (zero_shot_predict(clip.encode_image(images), weights)[:, 0].cpu() == y).sum().item()
    return right / len(data.y)


def zero_shot_table(name: str, weights: str) -> dict[str, list[float]]:
    """Accuracy of a pre-trained CLIP on each data set, with one template and with all of the CLIP authors'."""
    clip = pretrained_clip(name, weights)
    groups = (["a photo of a {}."], [template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES])
    loaders = {"CIFAR-10": datasets.cifar10, "CIFAR-100": datasets.cifar100}
    test_sets = {label: load(train=False) for label, load in loaders.items()}
    return {label: [classify(*clip, data, group) for group in groups] for label, data in test_sets.items()}


pretrained_name = {"model": "ViT-B-32", "weights": "laion2b_s34b_b79k"}
shares = kept.results(
    "kept/clip_zero_shot.json",
    pretrained_name,
    (lambda: zero_shot_table(*pretrained_name.values())) if profile.current() is profile.Profile.GPU else None,
)
if shares is None:
    profile.not_measured(
        "ViT-B-32 on CIFAR-10 and CIFAR-100, 1 template and 80", "PROFILE=gpu workbook record --keep-nothing week07"
    )
for label, (one, all_of_them) in (shares or {}).items():
    print(f"{label}, zero-shot: one template {one:.1%}, 80 templates {all_of_them:.1%}")

# %% [markdown]
# The training below is the one above with real captions: any number of them for a picture, of which each step draws one. One picture in ten is held back. The question to it is **retrieval**: among the captions of all pictures that were held back, does it find its own at the first place, or among the first five?


# %% explore=true
def retrieval(
    model: DualEncoder, images: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, count: int = 5
) -> dict[str, float]:
    """The share of images (n, 3, 32, 32) that find the caption of the same row at place 1, and among the first `count`."""
    model.eval()
    with torch.no_grad():
        texts = model.encode_text(ids, mask)
        best = zero_shot_predict(model.encode_image(images), texts, min(count, len(texts))).cpu()
    model.train()
    found = best == torch.arange(len(best))[:, None]
    return {"recall at 1": found[:, 0].float().mean().item(), f"recall at {count}": found.any(1).float().mean().item()}


def train_on_captions(
    images: torch.Tensor, captions: list[list[str]], steps: int, batch: int, width: int, seed: int = 0
) -> dict:
    """Train a dual encoder on images (n, 3, 32, 32) in [0, 1], each with some captions; one in ten is held back.

    Returns the loss and the scale of every step, the retrieval among the images that were held back at some steps, the
    words of the tokenizer, and the weights.
    """
    device, draw, length = profile.device(), torch.Generator().manual_seed(seed), 24
    cut = len(images) - max(1, len(images) // 10)
    if cut < 1:
        raise ValueError(f"{len(images)} pairs are too few: one is held back, and one must be left to learn from")
    tokenizer = CaptionTokenizer([caption for group in captions[:cut] for caption in group])
    torch.manual_seed(seed)
    text_tower = TextEncoder(len(tokenizer.words), length, width, 4, 4)
    model = DualEncoder(ImageTower(width), text_tower, width, width, width).to(device)
    rest = [p for p in model.parameters() if p is not model.logit_scale.log_scale]
    groups = [{"params": rest, "weight_decay": 0.05}, {"params": [model.logit_scale.log_scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.15)
    x = normalized(images).to(device)
    new_ids, new_mask = (part.to(device) for part in tokenizer.encode([group[0] for group in captions[cut:]], length))
    history: dict[str, list] = {"loss": [], "scale": [], "retrieval": []}
    for step in profile.track(range(1, steps + 1), "training on captions"):
        picked = torch.randint(cut, (batch,), generator=draw)
        texts = [captions[k][int(torch.randint(len(captions[k]), (1,), generator=draw))] for k in picked.tolist()]
        ids, mask = (part.to(device) for part in tokenizer.encode(texts, length))
        image_emb, text_emb, scale = model(x[picked.to(device)], ids, mask)
        loss = clip_loss(image_emb, text_emb, scale)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(rest, 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.clamp_()
        history["loss"].append(loss.item())
        history["scale"].append(scale.item())
        if step % max(1, steps // 10) == 0 or step == steps:
            history["retrieval"].append({"step": step} | retrieval(model, x[cut:], new_ids, new_mask))
    return history | {"held back": len(images) - cut, "words": list(tokenizer.words), "weights": model.state_dict()}


def show_training(found: dict, batch: int, title: str) -> None:
    """Draw the loss and the retrieval of a training, and print where it ended."""
    _, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.6))
    left.plot(range(1, len(found["loss"]) + 1), found["loss"], linewidth=1)
    left.axhline(math.log(batch), color="0.3", linestyle="--", linewidth=1.4, label=f"guessing, ln {batch}")
    left.set(xlabel="step", ylabel="nats", title=f"{title}: loss", ylim=(0, None))
    left.legend(fontsize=9)
    at = [row["step"] for row in found["retrieval"]]
    for name in [name for name in found["retrieval"][0] if name != "step"]:
        right.plot(at, [row[name] for row in found["retrieval"]], marker="o", markersize=4, label=name)
    right.axhline(1 / found["held back"], color="0.3", linestyle="--", linewidth=1.4, label="chance at 1")
    right.set(xlabel="step", ylabel="share", ylim=(0, 1.05), title=f"retrieval among {found['held back']} held back")
    right.legend(fontsize=9)
    plt.show()
    last = ", ".join(f"{name} {value:.1%}" for name, value in found["retrieval"][-1].items() if name != "step")
    print(f"{title}, {len(found['loss'])} steps: {last}; chance at 1 {1 / found['held back']:.1%}")


def learned_from(
    name: str, sizes: dict[str, int], load: Callable[[], datasets.CaptionedImages] | None, **version: object
) -> None:
    """Train on the pairs that `load` gives, or read what was kept of such a training; draw it."""

    def compute() -> dict:
        pairs = load()
        return train_on_captions(pairs.x, pairs.captions, **sizes)

    if (found := kept.results(f"kept/{name}.json", sizes | version, compute if load else None)) is None:
        profile.not_measured(f"a small CLIP, {name}", "PROFILE=gpu workbook record --keep-nothing week07")
    else:
        show_training(found, sizes["batch"], name.replace("_", " "))


LARGE_RUN = {"steps": 3000, "batch": 256, "width": 192}
FLICKR = datasets.data_folder() / "flickr8k"
here = profile.current() is profile.Profile.GPU and (FLICKR / "captions.txt").is_file()
learned_from("clip_flickr8k", LARGE_RUN, (lambda: datasets.captioned_images(FLICKR, 32)) if here else None)
MY_PAIRS = os.environ.get("WORKBOOK_PAIRS", "")  # or write here: your folder, or your file of JSON lines
if MY_PAIRS:
    my_pairs = datasets.captioned_images(MY_PAIRS, 32)
    sizes = profile.pick(cpu={"steps": 300, "batch": 32, "width": 64}, gpu=LARGE_RUN)
    counts = {"images": len(my_pairs.files), "captions": sum(len(group) for group in my_pairs.captions)}
    learned_from("clip_my_pairs", sizes, lambda: my_pairs, pairs=MY_PAIRS, **counts)
else:
    print("your own pairs: set WORKBOOK_PAIRS to a folder or a file of JSON lines, or write its path into this cell")

# %% [markdown]
# ### Take it with you: `train_clip.py`
#
# A notebook is a place to learn in, not to train in. This cell writes **your** answers, as they stand in your cells, into one script beside this notebook, with everything they need of it. Its last lines make it a program:
#
#     python train_clip.py --steps 300                          # colored shapes
#     python train_clip.py --pairs my_pairs.jsonl --steps 3000  # your own pairs
#
# It writes the history of the training, the settings and the words to `trained/history.json`, and the weights to `trained/model.pt`. Run the cell again after you have changed an answer.

# %% explore=true
import argparse
from pathlib import Path

from shared import exporting

SCRIPT_END = """
def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small CLIP on images and captions.")
    parser.add_argument("--pairs", help="a file of JSON lines or a folder; colored shapes where it is left out")
    parser.add_argument("--shapes", type=int, default=3000, help="how many colored shapes")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--width", type=int, default=64, help="of both towers; a multiple of 4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="trained", help="folder of history.json and model.pt")
    asked = parser.parse_args()
    if asked.pairs:
        pairs = datasets.captioned_images(asked.pairs, 32)
        images, captions = pairs.x, pairs.captions
    else:
        made = datasets.shapes(asked.shapes, seed=1)
        images, captions = made.x, [list(forms) for forms in zip(*caption_forms(made.captions))]
    found = train_on_captions(images, captions, asked.steps, asked.batch, asked.width, asked.seed)
    weights = found.pop("weights")
    print("wrote", kept.save(f"{asked.out}/history.json", found | {"settings": vars(asked)}))
    torch.save(weights, f"{asked.out}/model.pt")
    print(", ".join(f"{name} {value:.3g}" for name, value in found["retrieval"][-1].items()))


if __name__ == "__main__":
    main()
"""
SCRIPT = {
    "train_clip": ("A small CLIP, trained from scratch: exported from the notebook of week 7.", ["train_on_captions"])
}
exporting.write_package(Path(), SCRIPT, globals(), last={"train_clip": SCRIPT_END})
print("train_clip.py:", len(Path("train_clip.py").read_text(encoding="utf-8").splitlines()), "lines")

# %% [markdown]
# ### Profiling corner: what a batch costs
#
# The towers cost the same for every pair. The table of logits has $B^2$ entries. When does the table become the expensive part?

# %% explore=true compare=true
with torch.no_grad():
    count_model = new_model(tokenizer, seed=0).cpu().eval()
    one_image, (one_ids, one_mask) = torch.zeros(1, 3, 32, 32), tokenizer.encode(["a red circle"], LENGTH)
    per_image = profiling.flops(count_model.encode_image, one_image)
    per_text = profiling.flops(count_model.encode_text, one_ids, one_mask)
rows = []
for size in (96, 1024, 32_768):
    with torch.device("meta"), torch.no_grad():
        table = profiling.flops(lambda size=size: torch.empty(size, 512) @ torch.empty(512, size))
    rows.append(
        {
            "pairs": size,
            "our towers, GFLOPs": f"{size * (per_image + per_text) / 1e9:,.2f}",
            "table at D = 512, GFLOPs": f"{table / 1e9:,.2f}",
            "table in float32": f"{4 * size**2 / 2**20:,.1f} MiB",
        }
    )
print(f"one image {per_image / 1e6:.2f} MFLOPs, one caption {per_text / 1e6:.2f} MFLOPs")
print(profiling.table(rows))

# %% explore=true
bench = {}
bench_randn = checks.normal(seed=0)
for size in (96, 384, 1536):
    x, y = (F.normalize(bench_randn(size, 64), dim=-1) for _ in range(2))
    bench[f"clip_loss, {size} pairs"] = lambda x=x, y=y: clip_loss(x, y, 20.0)
    bench[f"siglip_loss, {size} pairs"] = lambda x=x, y=y: siglip_loss(x, y, 10.0, -10.0)
encode = text_encoder(model, tokenizer)
pictures = normalized(seen_test.x[:96]).to(profile.device())
with torch.no_grad():
    bench["image tower, 96 pictures"] = lambda: model.encode_image(pictures)
    bench["text tower, 96 captions"] = lambda: encode(seen_test.captions[:96])
    bench["weights of 36 names, 8 templates, once"] = lambda: zero_shot_weights(encode, NAMES, WHOLE)
    bench["96 predictions"] = lambda: zero_shot_predict(gap_images[:96], ensemble)
    times = profiling.latencies(bench, warmup=1, runs=5)
print(
    profiling.table(
        [{"what": what, "median ms": took.p50_ms, "90 % below": took.p90_ms} for what, took in times.items()]
    )
)

# %% [markdown]
# **Explain.** At our size the table is nothing. At CLIP's batch of 32,768 it has a billion entries: the table is cut into pieces and spread over the machines, and only the vectors travel. SigLIP's loss is a sum over entries, so the pieces need not meet at all, not even for the sum of a row. And zero-shot is cheap where it matters: the weights are computed once, whatever the number of templates; after that a picture costs one forward pass of its tower and one small product.

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 3.7))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.5, 1.0, 1.0))
told = zero_shot_predict(embedded["held out"], text_encoder(model, tokenizer)(every))[:, 0]
order = [int((name_index(held_test) == k).nonzero()[0]) for k in name_index(held_test).unique().tolist()]
for ax, k in zip(left.subplots(2, 3).flat, order):
    said = every[int(told[k])]
    ax.imshow(held_test.x[k].permute(1, 2, 0))
    right_answer = said == held_test.captions[k]
    ax.set_title(
        said.replace(" in the ", "\nin the "), fontsize=8, color="black" if right_answer else plotting.COLORS[1]
    )
    ax.set_axis_off()
ax = middle.subplots()
plotting.heatmap(
    ax,
    tables["after"],
    title="images against captions",
    xlabel="caption",
    ylabel="image",
    diverging=True,
    vmin=-1,
    vmax=1,
)
ax = right.subplots()
chosen = results[0]["ensemble of 8, whole"]
ax.bar(["seen", "held out"], chosen, color=plotting.COLORS[:2], width=0.6)
for place, value in enumerate(chosen):
    ax.text(place, value + 0.01, f"{value:.2f}", ha="center")
ax.axhline(1 / 36, color="0.3", linestyle="--", linewidth=1.4)
ax.text(1.95, 1 / 36 + 0.02, "chance", ha="right", fontsize=9)
ax.set(xlim=(-0.5, 2), ylim=(0, 1.05), ylabel="accuracy", title="36 names, no label")
plt.show()

# %% [markdown]
# ## Takeaways
#
# - A contrastive loss is a classification among the batch, in both directions. Guessing costs $\ln B$, so losses of different batches cannot be compared.
# - The scale is learned as a logarithm and bounded outside of the forward pass: a clamp inside would kill its gradient.
# - Equal captions in a batch put a floor under the loss: the mean logarithm of their counts. Compute it before you hunt for a bug.
# - Padding has two doors, attention and pooling. Test both by changing what must not matter.
# - Normalize prompts before the average and after it.
# - What captions say in training decides which prompts work later. A prompt is data of a distribution, too.
# - Combinations that were never shown are recognized far above chance and below the seen ones. Composition is real, and it is not free.
# - Next week: what else such features know, and how to ask them.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="objective" points=5 minutes=30
# **W1. The objective and its negatives (5 points).** Explain the contrastive loss to someone who knows classification. What are the classes, what is an example, where do negatives come from? Why two directions? What changes with the size of the batch? What goes wrong when two captions of a batch say the same, and how low can the loss go then?
#
# ### BEGIN SOLUTION
# 1 point: each image is an example whose classes are the captions of the batch; the right class is its own; softmax over scaled cosines.
# 1 point: negatives are the other pairs of the batch, free of labels; more of them make the task harder and finer (hard negatives differ in one attribute).
# 1 point: rows and columns are different questions; with one direction only, one caption (or image) could be nearest to everything.
# 1 point: ln B is the loss of guessing, so losses are comparable only at the same B.
# 1 point: equal captions are false negatives; floor = mean log count, with the numbers of the own curve; says that the four lengths keep the loss above it.
# ### END SOLUTION

# %% [markdown] written="zero-shot" points=5 minutes=30
# **W2. Why does it classify without training on the classes? (5 points)** Explain how names become a classifier. Use your numbers on seen and on held-out combinations to say what was learned and what was not. Why does the prompt matter, why are prompts normalized twice, and what did your ensemble gain with each kind of training caption?
#
# ### BEGIN SOLUTION
# 1 point: the text tower writes the rows of a linear classifier in the common space; cosine decides.
# 1 point: held-out far above 1/36: attributes are composed; below seen: shape errors fall on seen combinations (table of errors).
# 1 point: a prompt is an input from a distribution; short prompts were never captions for the second model; unknown words.
# 1 point: first normalization: no template louder; second: a class whose prompts disagree would have a shorter mean and lose everywhere.
# 1 point: own numbers for both models, mean and best member, and no claim beyond one seed.
# ### END SOLUTION

# %% [markdown] written="sigmoid" points=5 minutes=30
# **W3. Softmax or sigmoid? (5 points)** Compare the two losses: what must be known before one entry of the table can be judged, what has to be sent between machines, which batch sizes work, what duplicates do. Why does SigLIP need a bias and why does it start at $-10$? What does your run say, and what does it not say?
#
# ### BEGIN SOLUTION
# 1 point: softmax needs a whole row and column; sigmoid judges each entry alone.
# 1 point: so the table can be computed in pieces, passing vectors around, without all-gather of everything or a B x B table in one place.
# 1 point: B yes against B^2 - B no: without bias the start is dominated by negatives; -10 makes the prior "no"; it suits large batches (look cell: best bias falls with B).
# 1 point: duplicates: softmax has a floor ln count; sigmoid gets contradictory labels, the same vectors with +1 and -1.
# 1 point: own comparison with its limits: one seed, few steps, batch 96, same learning rate for both.
# ### END SOLUTION

# %% [markdown] written="tutorial" points=5 minutes=60
# **W4. CLIP from scratch (5 points).** Write one page with this title, for a reader who has a laptop and no GPU. Which pieces, in which order, with which checks after each of them? Show your loss curve with its floor, your table before and after, and your accuracies. End with the three mistakes that cost you most time and how to notice each.
#
# ### BEGIN SOLUTION
# 1 point: all pieces in an order that works: loss, scale, tokenizer, towers, dual encoder, training, zero-shot.
# 1 point: a check after each piece (library parity, ln B at the start, padding invariance, unit norms, gradient into both towers).
# 1 point: own curves and table, read correctly: guessing, floor, diagonal against the rest.
# 1 point: own accuracies on seen and held-out with chance beside them, and the role of prompts.
# 1 point: three concrete mistakes with symptoms (for example scale with decay, mask inverted, only one direction, prompts unlike captions).
# ### END SOLUTION
