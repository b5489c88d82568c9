# %% [markdown]
# # Week 6: self-distillation
#
# ![Left: a photograph of a temple, two large crops of it, and three small ones. Middle: the paths of three runs in a plane of two entropies; one ends in a corner at 0, one in the opposite corner, one stays well above the diagonal. Right: kNN accuracy of five random networks and of the same networks after self-distillation, one line a seed; four of five rise, one stays.](outcome.png)
#
# *What you will have built by the end of this week. Left: the views of one image. Middle: three runs between their start and their end; on the diagonal the answer no longer depends on the image. Right: what the features of five networks know, before and after.*
#
# **After this week you can**
#
# - cut an image into two large and several small crops, and let a student match a teacher across them;
# - write the loss of DINO with its stop-gradient, its two temperatures and its center, and the loss of iBOT for hidden patches;
# - keep a teacher that no gradient touches: a moving average of its own student;
# - tell a run that learns from one that has collapsed, from two entropies, and name which of two ways it collapsed in;
# - say what features gain over a random network, over seeds, and when the honest answer is "hardly anything".
#
# **Time** about 12 hours: 4 of reading, 5 of coding, 3 of experiments. **You need** week 3 (distillation, moving averages) and week 5 (masking), or the ideas of both. The ViT comes from timm, so nothing depends on your answers of earlier weeks.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. After you submit, hidden tests check the same ideas on other inputs.
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $K$ | number of outputs of the head |
# | $V$ | views of an image: 2 global, $V - 2$ local | $\tau_s, \tau_t$ | temperatures of student and teacher |
# | $N$ | patches | $c$ | center, $K$ numbers |
# | $D$ | width of the model | $p, q$ | probabilities of student and teacher |
#
# All entropies are in **nats**: logarithms are natural, and $\log K$ is the entropy of $K$ equal probabilities.

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import display
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are small: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## Part 1. Two views, one answer
#
# In week 3 a student learned from a teacher, and the teacher had seen labels. In week 5 a model learned from pixels it could not see. This week there are **no labels, no pixels to predict and no teacher to begin with**. All there is: two crops of one photograph show the same thing, so a model should say the same about both.
#
# Say what? Anything. The head of the model has $K$ outputs that nobody has given a meaning. The student is asked to put the same probabilities on them for one crop as the teacher does for another. If it manages, the outputs must follow from what the crops *share*, and that is the content of the picture.
#
# **Predict.** There is one way to be right about every pair of crops without looking at a single pixel. Which? Keep it in mind: half of this week is about preventing it.
#
# Here is what "two views" means in practice (Caron et al. 2021, who call the method DINO). Two **global** crops show most of the image. Several **local** crops show a small part of it. The teacher gets only the global ones; the student gets all of them. So the student must guess from an ear what the teacher sees in the whole cat.

# %% [markdown] about="crops"
# ### Exercise 1. Multi-crop
#
# A crop is a square window, resized to a fixed number of pixels. For **each image of the batch and each crop** draw a window of its own:
#
# | step | how |
# | --- | --- |
# | area | a share $a$ of the image's area, uniform in the given range |
# | side | $\sqrt{a}$ of the image's side |
# | place | uniform over all places where the window lies wholly inside the image, row and column independently |
# | resize | bilinear, to `out` x `out` pixels, `align_corners=False`; nothing from outside the image may leak in at the border |
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `images` | $(B, C, S, S)$, floating point | square images; not changed |
# | `n_local` | | how many local crops; 0 is allowed |
# | `out_global`, `out_local` | | side of the crops in pixels |
# | `scale_global`, `scale_local` | pairs (low, high) | ranges of the share $a$, $0 < \text{low} \le \text{high} \le 1$; otherwise ValueError |
# | `generator` | | the only source of randomness |
# | result | list of 2, list of `n_local` | global crops $(B, C, \text{out}, \text{out})$, then local ones; dtype of `images` |
#
# Two right ways: `F.affine_grid` with `F.grid_sample` for the whole batch at once, or a loop that slices and resizes. Round to whole pixels if you slice.


# %% exercise="crops" difficulty=3 minutes=60
def multi_crop(
    images: torch.Tensor,
    n_local: int,
    out_global: int,
    out_local: int,
    scale_global: tuple[float, float],
    scale_local: tuple[float, float],
    generator: torch.Generator,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Two global and some local random crops of each image (Caron et al. 2021, section 3.1).

    Parameters
    ----------
    images : (B, C, S, S), floating point; not changed. n_local : number of local crops.
    out_global, out_local : side of the crops in pixels.
    scale_global, scale_local : (low, high), share of the image's area, drawn uniformly for each image and crop.
    generator : the only source of randomness.

    Returns
    -------
    A list of 2 tensors (B, C, out_global, out_global), and one of n_local tensors (B, C, out_local, out_local).

    Raises
    ------
    ValueError : when a range is not 0 < low <= high <= 1.
    """
    ### BEGIN SOLUTION
    for low, high in (scale_global, scale_local):
        if not 0 < low <= high <= 1:
            raise ValueError(f"({low}, {high}) is no range of shares with 0 < low <= high <= 1")

    def crop(out: int, low: float, high: float) -> torch.Tensor:
        batch, channels = images.shape[:2]
        side = (low + (high - low) * torch.rand(batch, generator=generator)).sqrt()
        # affine_grid counts from -1 to 1: a window of this side has room for its center up to 1 - side
        center = (1 - side)[:, None] * (2 * torch.rand(batch, 2, generator=generator) - 1)
        window = torch.zeros(batch, 2, 3)
        window[:, 0, 0] = window[:, 1, 1] = side
        window[:, :, 2] = center
        grid = F.affine_grid(window.to(images), [batch, channels, out, out], align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    global_crops = [crop(out_global, *scale_global) for _ in range(2)]
    return global_crops, [crop(out_local, *scale_local) for _ in range(n_local)]
    ### END SOLUTION


# %% look="crops"
# Look: one photograph, its two global crops, and six local ones. Each row draws anew.
with checks.look():
    look_photo = datasets.photograph("china", height=160, width=160).image[None]
    look_draw = torch.Generator().manual_seed(1)
    look_rows, look_titles = [], []
    for _ in range(2):
        large, small = multi_crop(look_photo, 6, 96, 48, (0.5, 1.0), (0.05, 0.3), look_draw)
        look_rows += [look_photo[0], *(crop[0] for crop in (*large, *small))]
        look_titles += ["image", "global 1", "global 2", *(f"local {k}" for k in range(1, 7))]
    display(plotting.image_grid(look_rows, titles=look_titles, columns=9))

# %% [markdown] hints="crops"
# <details><summary>Hint 1: the idea</summary>
#
# Write one inner function that makes one crop of every image, and call it 2 + `n_local` times. Inside, first a side for each image, then a place that leaves the window inside.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     a range that does not fit: ValueError
#     one crop of each image:
#         area = low + (high - low) * a random number for each image
#         side = square root of the area, as a share of the image's side
#         room = 1 - side
#         two random numbers for each image, times the room: where the window begins
#         sample out x out points in the window
#     two crops with the global numbers, n_local with the local ones
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.affine_grid(theta, [B, C, out, out], align_corners=False)` wants `theta` of shape (B, 2, 3). Coordinates run from -1 to 1, **x first**. `[[s, 0, cx], [0, s, cy]]` is a window of side $s$ (as a share) around $(c_x, c_y)$, and its center may be anywhere from $-(1 - s)$ to $1 - s$. `torch.rand(B, 2, generator=generator)` are numbers in [0, 1). `F.grid_sample(..., padding_mode="border")`: the default pads with zeros, which darkens the edges of an enlarged crop.
#
# </details>


# %% [markdown] about="loss"
# ### Exercise 2. The loss of DINO
#
# Student and teacher are two networks with the same architecture. Each gives $K$ logits for a view. A softmax makes them probabilities:
#
# $$q(x) = \operatorname{softmax}\!\left(\frac{g_t(x) - c}{\tau_t}\right), \qquad p(x) = \operatorname{softmax}\!\left(\frac{g_s(x)}{\tau_s}\right)$$
#
# The teacher's temperature is lower ($\tau_t = 0.04$, $\tau_s = 0.1$), so its answer is **sharper** than the student's. A center $c$ is subtracted from the teacher's logits, not from the student's; exercise 3 computes it. The loss is the cross-entropy over **all pairs of different views**, the teacher's one of the two global ones:
#
# $$\mathcal{L} = \frac{1}{2 (V - 1)} \sum_{x \in \{x_1, x_2\}} \; \sum_{\substack{x' \in \text{views} \\ x' \ne x}} H\bigl(q(x),\, p(x')\bigr), \qquad H(q, p) = -\sum_k q_k \log p_k$$
#
# and a mean over the batch. (Caron et al. 2021, equations 1 to 3; there the sum is not divided.) **No gradient flows into the teacher or the center**: for this loss they are constants.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `student` | list of $V$ tensors $(B, K)$ | logits; views 0 and 1 are the global ones |
# | `teacher` | list of 2 tensors $(B, K)$ | logits of the global views, in the same order |
# | `center` | $(K,)$ | |
# | `t_student`, `t_teacher` | | temperatures |
# | result | scalar | |


# %% exercise="loss" difficulty=3 minutes=50
def dino_loss(
    student: Sequence[torch.Tensor],
    teacher: Sequence[torch.Tensor],
    center: torch.Tensor,
    t_student: float,
    t_teacher: float,
) -> torch.Tensor:
    """Cross-entropy of every student's view with every other global view of the teacher (Caron et al. 2021, eq. 3).

    Parameters
    ----------
    student : V tensors (B, K) of logits, the two global views first. teacher : 2 tensors (B, K) of logits.
    center : (K,), subtracted from the teacher's logits. t_student, t_teacher : temperatures.

    Returns
    -------
    A scalar in nats, averaged over pairs and batch. Teacher and center are constants: they get no gradient.
    """
    ### BEGIN SOLUTION
    targets = [((logits - center) / t_teacher).softmax(-1).detach() for logits in teacher]
    answers = [F.log_softmax(logits / t_student, dim=-1) for logits in student]
    pairs = [
        -(target * answer).sum(-1).mean()
        for i, target in enumerate(targets)
        for j, answer in enumerate(answers)
        if i != j
    ]
    return torch.stack(pairs).mean()
    ### END SOLUTION


# %% look="loss"
# Look: two outputs. The teacher's logits are (0.1, 0); what should the student say?
with checks.look():
    look_margin = torch.linspace(-0.2, 0.6, 81)
    look_curves = {}
    for look_name, look_t, look_c in (
        ("teacher at 0.04, no center", 0.04, 0.0),
        ("teacher at 0.1, no center", 0.1, 0.0),
        ("teacher at 0.04, center (0.1, 0)", 0.04, 0.1),
    ):
        look_teacher = [torch.tensor([[0.1, 0.0]])] * 2
        look_center = torch.tensor([look_c, 0.0])
        look_student = [[torch.stack([m, torch.zeros(())])[None]] * 2 for m in look_margin]
        look_curves[look_name] = torch.stack(
            [dino_loss(views, look_teacher, look_center, 0.1, look_t) for views in look_student]
        )
    display(
        plotting.curves(
            look_curves,
            x=look_margin,
            xlabel="the student's logit of output 0 over that of output 1",
            ylabel="loss in nats",
            title="A sharp teacher asks for more than it says",
        )
    )

# %% [markdown] hints="loss"
# <details><summary>Hint 1: the idea</summary>
#
# Two lists first: probabilities of the teacher's two views, log-probabilities of the student's views. Then a double loop over the lists with one `if`, and a mean.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     targets = for both teacher views: softmax of (logits - center) / teacher temperature, as constants
#     answers = for every student view: log-softmax of logits / student temperature
#     for i, target; for j, answer:
#         skip i == j
#         minus the sum over the outputs of target * answer, mean over the batch
#     mean of all of these
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `.softmax(-1)` runs over the outputs, `.softmax(0)` over the batch. `.detach()` makes a constant. `F.log_softmax` is exact where a probability rounds to 0. `torch.stack(list_of_scalars).mean()`. With `enumerate` over both lists the views are numbered alike, so `i != j` says "different views".
#
# </details>

# %% [markdown]
# ## Part 2. A teacher out of nothing
#
# In week 3 somebody had to train the teacher. Here the teacher is the **student's own past**: a moving average of its weights. The student chases the teacher, the teacher follows the student, slowly. Caron et al. find that this average is better than the student all through training, so there is something to chase.

# %% [markdown] about="teacher"
# ### Exercise 3. Keep the teacher, and its center
#
# Four small functions. The first makes the teacher, once. The other three run in every step:
#
# $$\theta_t \leftarrow m\, \theta_t + (1 - m)\, \theta_s, \qquad c \leftarrow m_c\, c + (1 - m_c)\, \frac{1}{2B} \sum_{\text{both views, all images}} g_t(x)$$
#
# $$m(s) = 1 - (1 - m_0)\, \tfrac{1}{2} \Bigl(1 + \cos \frac{\pi s}{S}\Bigr) \quad \text{for step } s \le S, \qquad m(s) = 1 \text{ after that}$$
#
# The center is the running mean of the teacher's **logits** (Caron et al. 2021, eq. 4). Subtracting it gives every output the same say, averaged over images. The momentum rises from $m_0$ to 1: the teacher learns early and settles late.
#
# | function | what it does |
# | --- | --- |
# | `make_teacher(student)` | returns a copy with the same weights that no gradient reaches: no parameter of it requires one. The student stays as it is, its gradients and modes too |
# | `update_teacher(teacher, student, momentum)` | moves the teacher's **parameters**, in place; copies the student's **buffers** (running means and counts of a batch norm) |
# | `update_center(center, teacher_logits, momentum)` | moves `center` $(K,)$ in place; `teacher_logits` is the list of two $(B, K)$ that the loss gets |
# | `momentum_schedule(step, total, base)` | returns $m(s)$, a float |
#
# Nothing here is part of a graph. After an update the teacher's parameters are still plain leaves.


# %% exercise="teacher" difficulty=2 minutes=45
def make_teacher(student: nn.Module) -> nn.Module:
    """A copy of the student with the same weights, none of which requires a gradient; the student is not changed."""
    ### BEGIN SOLUTION
    return copy.deepcopy(student).requires_grad_(False)
    ### END SOLUTION


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters toward the student's by (1 - momentum), in place; copy the buffers.

    Parameters
    ----------
    teacher, student : modules with the same architecture. momentum : m, in [0, 1]; 1 leaves the teacher's parameters alone.
    """
    ### BEGIN SOLUTION
    for mine, theirs in zip(teacher.parameters(), student.parameters()):
        mine.lerp_(theirs, 1 - momentum)
    for mine, theirs in zip(teacher.buffers(), student.buffers()):
        mine.copy_(theirs)
    ### END SOLUTION


@torch.no_grad()
def update_center(center: torch.Tensor, teacher_logits: Sequence[torch.Tensor], momentum: float) -> None:
    """Move the center toward the mean of the teacher's logits by (1 - momentum), in place (Caron et al. 2021, eq. 4).

    Parameters
    ----------
    center : (K,), changed in place. teacher_logits : 2 tensors (B, K), one a view. momentum : m_c, in [0, 1].
    """
    ### BEGIN SOLUTION
    center.lerp_(torch.cat(list(teacher_logits)).mean(0), 1 - momentum)
    ### END SOLUTION


def momentum_schedule(step: int, total: int, base: float) -> float:
    """The teacher's momentum: from `base` at step 0 along half a cosine to 1 at step `total`, and 1 after it."""
    ### BEGIN SOLUTION
    return 1 - (1 - base) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
    ### END SOLUTION


# %% look="teacher"
# Look: a student whose weight jumps about around 1, its teacher at two momenta, and the momentum over a run.
with checks.look():
    look_noise = checks.normal(seed=0)
    look_student = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(look_student.weight)
    look_teachers = {"teacher, momentum 0.9": (0.9, make_teacher(look_student)), "teacher, 0.9 rising to 1": (None, make_teacher(look_student))}  # fmt: skip
    look_lines: dict[str, list[float]] = {"student": [], **{name: [] for name in look_teachers}}
    for look_step in range(80):
        nn.init.constant_(look_student.weight, 1 + 0.5 * look_noise(1).item())
        look_lines["student"].append(look_student.weight.item())
        for name, (m, look_teacher) in look_teachers.items():
            update_teacher(look_teacher, look_student, momentum_schedule(look_step, 80, 0.9) if m is None else m)
            look_lines[name].append(look_teacher.weight.item())
    display(
        plotting.curves(look_lines, xlabel="step", ylabel="the one weight", title="The teacher follows, and settles")
    )
    look_center = torch.zeros(2)
    update_center(look_center, [torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 2.0]])], 0.9)
    print(
        "center after one update with logits (1, 0) and (3, 2), momentum 0.9:",
        [round(c, 3) for c in look_center.tolist()],
    )
    print("momentum at steps 0, 40, 80 of 80:", [round(momentum_schedule(s, 80, 0.9), 3) for s in (0, 40, 80)])

# %% [markdown] hints="teacher"
# <details><summary>Hint 1: the idea</summary>
#
# All four are a line or two. Two modules with the same architecture give their parameters in the same order, so one loop walks over both. "In place" means methods that end in an underscore.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     make_teacher: deep copy; no parameter requires a gradient
#     update_teacher: for each pair of parameters: mine = m * mine + (1 - m) * theirs, in place
#                     for each pair of buffers: copy
#     update_center: both views together, mean over all of their images
#                    center = m * center + (1 - m) * that mean, in place
#     momentum_schedule: progress = step / total, at most 1
#                        the share of 1 - base that is still left falls along half a cosine from 1 to 0
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `copy.deepcopy(student).requires_grad_(False)`. `a.lerp_(b, w)` moves `a` toward `b` by the share `w`; here `w` is 1 - momentum. `a.mul_(m).add_(b, alpha=1 - m)` does the same. `.buffers()` walks over buffers; integers cannot be averaged, so copy. `center = ...` would bind a new tensor to a local name, and the caller's center would stay as it was. The decorator `@torch.no_grad()` is there already.
#
# </details>


# %% [markdown] about="head"
# ### Exercise 4. The head, and why its logits are cosines
#
# Between the backbone's feature $x$ and the $K$ logits sits a small network, the **head**. It is used for training only; afterwards it is thrown away and $x$ is the feature.
#
# $$e = \frac{\operatorname{MLP}(x)}{\lVert \operatorname{MLP}(x) \rVert}, \qquad \text{logit}_k = \left\langle e,\; \frac{w_k}{\lVert w_k \rVert} \right\rangle$$
#
# The MLP is linear, GELU, linear, down to a **bottleneck**. Its output is scaled to length 1, and so is every row $w_k$ of the last layer (weight normalization with the gain fixed at 1; Caron et al. 2021, appendix C). So each logit is a cosine between the image's embedding and a **prototype**. Without that, the network could make its answer sharper by making one row longer, and no temperature would hold it back.
#
# | member | input | output |
# | --- | --- | --- |
# | `DINOHead(in_dim, out_dim, hidden_dim=128, bottleneck_dim=32)` | | $K$ is `out_dim` |
# | `embed(x)` | $(\dots, D)$ | $(\dots, \text{bottleneck})$, length 1 |
# | `prototypes()` | | $(K, \text{bottleneck})$, rows of length 1 |
# | `forward(x)` | $(\dots, D)$ | $(\dots, K)$, cosines |
#
# Any number of leading dimensions: the head reads images $(B, D)$ and patches $(B, N, D)$ alike. The prototypes start in random directions. The last layer has no bias; in the MLP you may choose.


# %% exercise="head" difficulty=3 minutes=35
class DINOHead(nn.Module):
    """MLP, unit-length bottleneck, weight-normalized last layer with gain 1 (Caron et al. 2021, appendix C).

    Parameters
    ----------
    in_dim : D. out_dim : K. hidden_dim : width of the MLP's one hidden layer. bottleneck_dim : length of an embedding.
    """

    def __init__(self, in_dim: int, out_dim: int, hidden_dim: int = 128, bottleneck_dim: int = 32) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))
        self.directions = nn.Parameter(torch.randn(out_dim, bottleneck_dim))
        ### END SOLUTION

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Features (..., D) to embeddings (..., bottleneck_dim) of length 1."""
        ### BEGIN SOLUTION
        return F.normalize(self.mlp(x), dim=-1)
        ### END SOLUTION

    def prototypes(self) -> torch.Tensor:
        """The effective weight of the last layer, (K, bottleneck_dim), rows of length 1."""
        ### BEGIN SOLUTION
        return F.normalize(self.directions, dim=-1)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (..., D) to logits (..., K): the cosines between embedding and prototypes."""
        ### BEGIN SOLUTION
        return self.embed(x) @ self.prototypes().T
        ### END SOLUTION


# %% look="head"
# Look: the logits of 64 random features and 64 prototypes, and what the two temperatures make of one row.
with checks.look():
    torch.manual_seed(0)
    look_head = DINOHead(16, 64)
    with torch.no_grad():
        look_logits = look_head(checks.normal(seed=0)(64, 16))
    fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.2))
    axes[0].hist(look_logits.flatten().numpy(), bins=40)
    axes[0].set(title="logits of a fresh head are small cosines", xlabel="logit", ylabel="count", xlim=(-1, 1))
    for look_t in (1.0, 0.1, 0.04):
        axes[1].plot((look_logits[0] / look_t).softmax(-1).sort(descending=True).values, label=f"temperature {look_t}")
    axes[1].set(title="one image: its probabilities, sorted", xlabel="rank of the output", ylabel="probability")
    axes[1].legend()
    plt.show()

# %% [markdown] hints="head"
# <details><summary>Hint 1: the idea</summary>
#
# Two vectors of length 1 have their cosine as dot product. So normalize both sides, and one matrix product gives all logits.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:       MLP: linear to hidden, GELU, linear to bottleneck
#                 one learned row for each output
#     embed:      MLP of x, divided by its length along the last dimension
#     prototypes: the learned rows, each divided by its length
#     forward:    embeddings times the transposed prototypes
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `F.normalize(x, dim=-1)` divides by the length along the last dimension. Normalize in **every** call, not once in `__init__`: training moves the rows. `nn.utils.parametrizations.weight_norm(nn.Linear(..., bias=False))` works as well; its gain is the parameter `parametrizations.weight.original0`: fill it with 1 and let it require no gradient. `nn.Linear`, `@` and `F.normalize(dim=-1)` all take any leading dimensions.
#
# </details>


# %% [markdown]
# ## Part 3. Collapse
#
# Back to the question of Part 1. The answer that is right about every pair of views without looking is a **constant**: the same probabilities for every image. Student and teacher agree, the loss cannot complain, and the features are worth nothing. That is **collapse**, and it comes in two kinds:
#
# | kind | the answer to every image | entropy of the answer |
# | --- | --- | --- |
# | one dimension | output 17, with certainty | 0 |
# | uniform | each output with $1/K$ | $\log K$ |
#
# **Predict.** The loss is a cross-entropy, $H(q, p) = H(q) + \mathrm{KL}(q \Vert p)$. What is its value at each kind of collapse? Could you tell a collapse from the loss curve alone?
#
# You could not. At "uniform" the loss stays at $\log K$, which looks like a run that has not begun. At "one dimension" it falls to 0, which looks like a triumph. You need other numbers.

# %% [markdown] about="report"
# ### Exercise 5. A collapse report
#
# Take the probabilities $q_i$ that the teacher gives to a batch of images, $i = 1 \dots B$, and look at two entropies:
#
# $$\underbrace{\tfrac{1}{B} \sum_i H(q_i)}_{\text{sample entropy}} \qquad \underbrace{H\Bigl(\tfrac{1}{B} \sum_i q_i\Bigr)}_{\text{batch entropy}} \qquad \text{mutual information} = \text{batch entropy} - \text{sample entropy}, \qquad H(q) = -\sum_k q_k \log q_k$$
#
# The first asks how sure the teacher is about one image. The second asks how many outputs it uses over all of them. Their difference is what the output tells about *which* image was shown. It is never negative, and it is 0 for any constant answer.
#
# Two more numbers come from the features $f_i$ of the backbone, scaled to length 1, $z_i = f_i / \lVert f_i \rVert$, as rows of a matrix $Z$:
#
# | number | formula | meaning |
# | --- | --- | --- |
# | feature std | standard deviation of each column of $Z$ over the batch (divide by $B$), mean over columns | 0 when all features point the same way |
# | effective rank | $\exp H(s)$ with $s$ the singular values of $Z$ divided by their sum | how many directions the features use (Roy and Vetterli 2007) |
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `probs` | $(B, K)$ | rows sum to 1; zeros are allowed, $0 \log 0 = 0$ |
# | `features` | $(B, D)$ | no row is zero |
# | result | dict | floats: `sample_entropy`, `batch_entropy`, `mutual_information` in nats, `feature_std`, `effective_rank` |


# %% exercise="report" difficulty=3 minutes=40
def collapse_report(probs: torch.Tensor, features: torch.Tensor) -> dict[str, float]:
    """Five numbers that show whether a run has collapsed.

    Parameters
    ----------
    probs : (B, K), rows sum to 1. features : (B, D), no row zero.

    Returns
    -------
    Floats: "sample_entropy", "batch_entropy", "mutual_information" (nats), "feature_std" (of unit-length features),
    "effective_rank" (of unit-length features; Roy and Vetterli 2007).
    """

    ### BEGIN SOLUTION
    def entropy(p: torch.Tensor) -> torch.Tensor:
        return -torch.xlogy(p, p).sum(-1)

    sample, batch = entropy(probs).mean().item(), entropy(probs.mean(0)).item()
    unit = F.normalize(features, dim=-1)
    singular = torch.linalg.svdvals(unit)
    return {
        "sample_entropy": sample,
        "batch_entropy": batch,
        "mutual_information": batch - sample,
        "feature_std": unit.std(0, correction=0).mean().item(),
        "effective_rank": entropy(singular / singular.sum()).exp().item(),
    }
    ### END SOLUTION


# %% look="report"
# Look: four answers to 12 images with 6 outputs, and their reports.
with checks.look():
    look_answers = {
        "one dimension": F.one_hot(torch.full((12,), 2), 6).float(),
        "uniform": torch.full((12, 6), 1 / 6),
        "sure and balanced": F.one_hot(torch.arange(12) % 6, 6).float(),
        "unsure, but not constant": (2 * checks.normal(seed=0)(12, 6)).softmax(-1),
    }
    fig, axes = plt.subplots(1, 4, figsize=(12.5, 4.0))
    for ax, (name, look_probs) in zip(axes, look_answers.items()):
        found = collapse_report(look_probs, checks.normal(seed=1)(12, 4))
        each, mean, information = (
            round(found[key], 2) + 0.0 for key in ("sample_entropy", "batch_entropy", "mutual_information")
        )
        told = f"{name}\nH of each {each:.2f}, of the mean {mean:.2f}\nmutual information {information:.2f}"
        plotting.heatmap(ax, look_probs, title=told, xlabel="output", ylabel="image" if ax is axes[0] else "", vmin=0, vmax=1, colorbar=ax is axes[-1])  # fmt: skip
        ax.title.set_fontsize(10)
    plt.show()

# %% [markdown] hints="report"
# <details><summary>Hint 1: the idea</summary>
#
# One small function for the entropy along the last dimension serves three of the five numbers. What differs is what goes in: each row, the mean of the rows, or the normalized singular values.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     entropy(p) = minus the sum over the last dimension of p log p, with 0 log 0 = 0
#     sample = mean over the rows of entropy(row)
#     batch  = entropy(mean of the rows)
#     unit   = features with rows of length 1
#     std    = standard deviation down each column of unit, then the mean of them
#     s      = singular values of unit, divided by their sum;  rank = exp(entropy(s))
#     five floats in a dict
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.xlogy(p, p)` is p log p and 0 at 0; `p * p.log()` is not-a-number there. `torch.linalg.svdvals(unit)` gives singular values. `unit.std(0, correction=0)` divides by B. `.item()` makes a float of a tensor with one number.
#
# </details>

# %% [markdown] about="diagnose"
# ### Exercise 6. A diagnosis
#
# Now turn the report into a word. $K$ outputs can carry at most $\log K$ nats, so compare with that, not with a fixed number:
#
# | word | when |
# | --- | --- |
# | `"healthy"` | the mutual information is at least $0.1 \log K$ |
# | `"uniform"` | otherwise, if the sample entropy is above $0.5 \log K$ |
# | `"one_dimension"` | otherwise |
#
# "Healthy" only means that the answers depend on the image. Whether they are any *good* is another question; Part 5 asks it.
#
# | name | meaning |
# | --- | --- |
# | `report` | a dict as in exercise 5 |
# | `k` | $K$, at least 2 |


# %% exercise="diagnose" difficulty=2 minutes=15
def diagnose(report: dict[str, float], k: int) -> str:
    """What a collapse report says: "healthy", "uniform" or "one_dimension".

    Parameters
    ----------
    report : a dict with the keys of `collapse_report`, entropies in nats. k : number of outputs, at least 2.
    """
    ### BEGIN SOLUTION
    if report["mutual_information"] >= 0.1 * math.log(k):
        return "healthy"
    return "uniform" if report["sample_entropy"] > 0.5 * math.log(k) else "one_dimension"
    ### END SOLUTION


# %% look="diagnose"
# Look: the map of all reports with K = 64. Below the diagonal is impossible: the mutual information is never negative.
with checks.look():
    look_steps = torch.linspace(0, math.log(64), 61)
    look_words = {"one_dimension": 0, "uniform": 1, "healthy": 2}
    look_map = np.full((61, 61), np.nan)
    for i, look_batch in enumerate(look_steps.tolist()):
        for j, look_sample in enumerate(look_steps.tolist()):
            if look_sample <= look_batch:
                look_found = {"sample_entropy": look_sample, "batch_entropy": look_batch, "mutual_information": look_batch - look_sample, "feature_std": 0.1, "effective_rank": 5.0}  # fmt: skip
                look_map[i, j] = look_words[diagnose(look_found, 64)]
    fig, ax = plt.subplots(figsize=(5.2, 4.6))
    ax.imshow(look_map, origin="lower", extent=(0, 4.16, 0, 4.16), cmap=plt.matplotlib.colors.ListedColormap([plotting.COLORS[1], plotting.COLORS[4], plotting.COLORS[2]]), vmin=0, vmax=2)  # fmt: skip
    ax.text(0.2, 3.4, "healthy", color="white", fontsize=12)
    ax.annotate("one_dimension", (0.7, 0.85), (1.6, 0.45), arrowprops={"arrowstyle": "-"})
    ax.annotate("uniform", (3.4, 3.5), (2.9, 2.2), arrowprops={"arrowstyle": "-"})
    ax.set(xlabel="sample entropy in nats", ylabel="batch entropy in nats", title="K = 64")
    plt.show()

# %% [markdown] hints="diagnose"
# <details><summary>Hint 1: the idea</summary>
#
# Ask the questions in the order of the table. The first one that is true decides.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     most = log of k
#     mutual information at least a tenth of most: healthy
#     sample entropy above half of most: uniform
#     otherwise: one_dimension
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `math.log(k)` is natural. `>=` for the first question, `>` for the second. The batch entropy alone tells nothing: it is $\log K$ for a uniform answer **and** for a sure and balanced one.
#
# </details>


# %% [markdown]
# ### Experiment: take one part away
#
# Everything is there for a run. The data are the handwritten digits of weeks 3 and 5, here at 12 x 12 pixels, without their labels. The network is a tiny ViT with patches of side 4, so 9 tokens. It has **no class token**: the feature of an image is the mean of its patch tokens. (With so few steps a class token has hardly begun to attend to anything.)
#
# One recipe for all four runs: batches of 24, two global crops with 70 to 100 % of the area and a little noise, $K = 64$ outputs, temperatures 0.1 and 0.04. As in the paper's ViT there is **no batch norm**: it is a safeguard of its own, and you want to see the other two at work. There are 45 steps, so teacher and center must be quick: their momenta start at 0.7 and 0.3. (A long run uses 0.996 and 0.9.)


# %% explore=true
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class Recipe:
    """What a run needs to know. The defaults are those of the digits."""

    size: int = 12  # pixels of a global crop
    local_size: int = 8
    patch: int = 4
    width: int = 48
    depth: int = 2
    outputs: int = 64
    steps: int = 60
    batch: int = 24
    learning_rate: float = 2e-3
    momentum: float = 0.9  # of the teacher, at step 0
    center_momentum: float = 0.9
    t_student: float = 0.1
    t_teacher: float = 0.04
    centering: bool = True
    n_local: int = 0
    scale_global: tuple[float, float] = (0.7, 1.0)
    scale_local: tuple[float, float] = (0.3, 0.6)
    noise: float = 0.1  # standard deviation, and largest change of brightness
    batch_norm: bool = True  # between backbone and head
    position_std: float = 0.5  # of the positions at the start; timm's 0.02 is a whisper beside patches of size 1
    ibot: bool = False


class Network(nn.Module):
    """A ViT without class token, whose feature is the mean of its patch tokens, and a head for images and patches."""

    def __init__(self, recipe: Recipe, channels: int) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=recipe.size, patch_size=recipe.patch, in_chans=channels, num_classes=0, class_token=False,
            global_pool="avg", fc_norm=False, embed_dim=recipe.width, depth=recipe.depth, num_heads=max(4, recipe.width // 64), mlp_ratio=2.0,
            dynamic_img_size=True, weight_init="jax",
        )  # fmt: skip
        nn.init.normal_(self.vit.pos_embed, std=recipe.position_std)
        self.norm, self.patch_norm = (
            nn.BatchNorm1d(recipe.width) if recipe.batch_norm else nn.Identity() for _ in range(2)
        )
        self.head = DINOHead(recipe.width, recipe.outputs)
        self.mask_token = nn.Parameter(torch.zeros(recipe.width))

    def patch_tokens(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images (B, C, s, s), also smaller ones, to patch tokens (B, N, D); the patches in `mask` (B, N) are hidden."""
        grid = self.vit.patch_embed(images)  # (B, h, w, D)
        tokens = grid.flatten(1, 2)
        if mask is not None:
            tokens, _ = masked_views(tokens, mask, self.mask_token)
        positions = resample_abs_pos_embed(self.vit.pos_embed, list(grid.shape[1:3]), num_prefix_tokens=0)
        return self.vit.norm(self.vit.blocks(tokens + positions))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, D): what is left when the head has been thrown away."""
        return self.patch_tokens(images).mean(1)

    def image_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, N, D) to logits of the images (B, K)."""
        return self.head(self.norm(tokens.mean(1)))

    def patch_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Patch tokens (B, N, D) to logits of the patches (B, N, K)."""
        return self.head(self.patch_norm(tokens.flatten(0, 1)).view_as(tokens))


@dataclass
class Run:
    """A finished run: the random network it began with, its teacher, and the numbers of every step."""

    start: Network
    teacher: Network
    history: dict[str, list[float]]


def noisy(views: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Standardized views, each brighter or darker by up to `strength`, with noise of that standard deviation."""
    brightness = 1 + strength * (2 * torch.rand(len(views), 1, 1, 1, generator=generator) - 1)
    return views * brightness.to(views) + strength * torch.randn(views.shape, generator=generator).to(views)


def self_distill(
    images: torch.Tensor,
    recipe: Recipe,
    seed: int,
    disturb: Callable[[torch.Tensor, float, torch.Generator], torch.Tensor] = noisy,
) -> Run:
    """Train a student and its teacher on images (n, C, s, s) without labels, by the loss of DINO (and of iBOT)."""
    device = profile.device()
    torch.manual_seed(seed)
    student = Network(recipe, images.shape[1]).to(device)
    start, teacher = copy.deepcopy(student), make_teacher(student)
    center, patch_center = (torch.zeros(recipe.outputs, device=device) for _ in range(2))
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.learning_rate, weight_decay=0.05, fused=True)
    warm = max(1, recipe.steps // 10)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm))
    draw = torch.Generator().manual_seed(seed)
    names = ("sample_entropy", "batch_entropy", "mutual_information", "effective_rank", "divergence", "loss")
    history: dict[str, list[float]] = {name: [] for name in names}
    for step in profile.track(range(recipe.steps), "self-distillation"):
        picked = images[torch.randint(len(images), (recipe.batch,), generator=draw)].to(device)
        large, small = multi_crop(
            picked, recipe.n_local, recipe.size, recipe.local_size, recipe.scale_global, recipe.scale_local, draw
        )
        large, small = ([disturb(view, recipe.noise, draw) for view in views] for views in (large, small))
        both = torch.cat(large)
        with torch.no_grad():
            teacher_tokens = teacher.patch_tokens(both)
            told = teacher.image_logits(teacher_tokens).chunk(2)
        mask = some_hidden(both, recipe.patch, draw) if recipe.ibot else None
        tokens = student.patch_tokens(both, mask)
        answers = list(student.image_logits(tokens).chunk(2))
        if small:
            answers += student.image_logits(student.patch_tokens(torch.cat(small))).chunk(len(small))
        loss = dino_loss(answers, told, center, recipe.t_student, recipe.t_teacher)
        if mask is not None:
            with torch.no_grad():
                told_patches = teacher.patch_logits(teacher_tokens)
            loss = loss + ibot_loss(
                student.patch_logits(tokens), told_patches, mask, patch_center, recipe.t_student, recipe.t_teacher
            )
            update_center(patch_center, told_patches.flatten(0, 1).chunk(2), recipe.center_momentum)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimizer.step()
        rate.step()

        probs = ((torch.cat(told) - center) / recipe.t_teacher).softmax(-1)
        report = collapse_report(probs, teacher_tokens.mean(1))
        other = F.log_softmax(torch.cat([answers[1], answers[0]]).detach() / recipe.t_student, dim=-1)
        report["divergence"] = F.kl_div(other, probs, reduction="batchmean").item()
        report["loss"] = loss.item()
        for name in names:
            history[name].append(report[name])
        if recipe.centering:
            update_center(center, told, recipe.center_momentum)
        update_teacher(teacher, student, momentum_schedule(step, recipe.steps, recipe.momentum))
    return Run(start, teacher, history)


def some_hidden(views: torch.Tensor, patch: int, generator: torch.Generator) -> torch.Tensor:
    """A mask (B, N): in every other view a random 10 to 50 % of the patches are hidden, and at least one in all."""
    count, patches = len(views), (views.shape[-1] // patch) ** 2
    ratio = torch.empty(count, 1).uniform_(0.1, 0.5, generator=generator)
    mask = torch.rand(count, patches, generator=generator) < ratio
    mask[torch.rand(count, generator=generator) < 0.5] = False
    mask[0, 0] = True
    return mask.to(views.device)


def last_mean(history: dict[str, list[float]], steps: int = 10) -> dict[str, float]:
    """The mean of every number over the last steps."""
    return {name: sum(values[-steps:]) / steps for name, values in history.items()}


digits = datasets.digits(size=12)

# %% explore=true
chance = math.log(64)
bare = Recipe(steps=45, batch_norm=False, momentum=0.7, center_momentum=0.3)
without = {
    "full": bare,
    "no centering": replace(bare, centering=False),
    "no sharpening": replace(bare, t_teacher=1.0),
    "neither": replace(bare, centering=False, t_teacher=1.0),
}
print(f"log K = {chance:.2f} nats; two global crops, {bare.steps} steps of {bare.batch} images")
sample = digits.x_train[:8]
large, small = multi_crop(sample, 2, 12, 8, bare.scale_global, bare.scale_local, torch.Generator().manual_seed(0))
large = [noisy(view, bare.noise, torch.Generator().manual_seed(k)) for k, view in enumerate(large)]
shown = [view * digits.std + digits.mean for view in (sample, *large, *small)]
titles = [name if k == 0 else "" for name in ("image", "global 1", "global 2", "local 1", "local 2") for k in range(8)]
display(plotting.image_grid([image for view in shown for image in view], titles=titles, columns=8))

# %% [markdown]
# Now take away one part at a time, and then both:
#
# | run | what is missing |
# | --- | --- |
# | full | nothing |
# | no centering | the center stays 0 |
# | no sharpening | the teacher's temperature is 1, so it is *softer* than the student |
# | neither | both |
#
# **Predict.** Which of the runs collapse, and to what? What is the KL divergence between teacher and student at each collapse?

# %% explore=true
runs = {name: self_distill(digits.x_train, recipe, seed=0) for name, recipe in without.items()}

# %% explore=true
fig, axes = plt.subplots(1, 3, figsize=(13, 3.9))
for ax, key, title in zip(
    axes,
    ("sample_entropy", "mutual_information", "divergence"),
    ("the teacher's entropy, per image", "mutual information", "KL(teacher || student)"),
):
    for name, run in runs.items():
        ax.plot(run.history[key], label=name, linestyle="--" if name == "neither" else "-")
    ax.set(xlabel="step", ylabel="nats" if ax is axes[0] else "", title=title)
    ax.grid(alpha=0.3)
for ax in axes[:2]:
    ax.axhline(0, color="0.3", linewidth=1)
    ax.axhline(chance, color="0.3", linewidth=1, linestyle=":")
    ax.text(2, chance * 0.985, "log K", va="top", fontsize=9)
axes[2].set_ylim(0, 2.6)
axes[2].legend(loc="upper right")
plt.show()


def table_of(runs: dict[str, Run], outputs: int = 64) -> list[dict[str, str]]:
    """One row a run: the numbers of its last ten steps, and the diagnosis."""
    rows = []
    for name, run in runs.items():
        end = last_mean(run.history)
        rows.append(
            {
                "run": name,
                "H of each": f"{end['sample_entropy']:.2f}",
                "H of the mean": f"{end['batch_entropy']:.2f}",
                "mutual information": f"{abs(end['mutual_information']):.2f}",  # no -0.00
                "KL": f"{end['divergence']:.3f}",
                "loss": f"{end['loss']:.2f}",
                "effective rank": f"{end['effective_rank']:.1f}",
                "diagnosis": diagnose(end, outputs),
            }
        )
    return rows


print(profiling.table(table_of(runs), title="means of the last ten steps, seed 0"))

# %% [markdown]
# One seed is an anecdote. So the two runs that differ by the center alone run again with other weights, other batches and other crops. The targets: the full run is healthy, so it keeps at least a tenth of $\log K$, 0.42 nats; without centering, and without sharpening, at most 0.3 nats are left.

# %% explore=true
seeds = range(profile.pick(cpu=2, gpu=20))
again = {
    name: [runs[name]] + [self_distill(digits.x_train, without[name], seed) for seed in seeds if seed > 0]
    for name in ("full", "no centering")
}
again["no sharpening"] = [runs["no sharpening"]]
ends = {name: [last_mean(run.history) for run in found] for name, found in again.items()}
rows = [
    {
        "run": name,
        "mutual information by seed": ", ".join(f"{abs(end['mutual_information']):.2f}" for end in found[:5]),
        "diagnoses": ", ".join(diagnose(end, 64) for end in found[:5]),
        "target": "at least 0.42" if name == "full" else "at most 0.3",
        "reached": f"{sum((end['mutual_information'] >= 0.1 * chance) if name == 'full' else (end['mutual_information'] <= 0.3) for end in found)} of {len(found)}",
    }
    for name, found in ends.items()
]
print(profiling.table(rows, title="means of the last ten steps, in nats"))

# %% [markdown]
# **Explain.** Read the middle picture first: only the full run keeps a mutual information well above 0. The others end where Part 3 said they might.
#
# - **No centering: one dimension.** Whatever output is ahead by chance gets sharpened, the student learns it, the teacher follows. Soon all images get the same answer. Its loss is the *lowest* of all four runs.
# - **No sharpening: uniform.** A teacher that is softer than its student asks it to be softer still. The entropy lies at $\log K$ from the first steps on.
# - **Neither: uniform as well.** Without the low temperature nothing pushes away from the uniform answer, so there is nothing for the center to hold in check.
# - **KL goes to 0 in every collapse** and does not in the full run: a student that has nothing left to chase has stopped learning. Caron et al. (2021, section 5.3) draw these two curves, entropy and KL, for the same purpose.
#
# Centering and sharpening pull in opposite directions, and the full run lives between them. It is no calm place: in so short a run, and without batch norm, the full curve sinks before it rises, and most seeds end below 1.0 nat. What holds is the *diagnosis*: over twenty fresh seeds it was "one_dimension" without centering every time, and "healthy" for the full run in seventeen. With a batch norm and a calmer teacher the full recipe ends well above 1.0 nat in every seed; Part 5 prints it. Then a run without centering does not fall all the way either, which makes the lesson harder to see.

# %% [markdown] about="ibot"
# ### Exercise 7. iBOT: the same game for hidden patches
#
# DINO asks for one answer per image. iBOT (Zhou et al. 2022, section 3) adds one for each **hidden patch**. It is week 5's game with another target: not the pixels of the patch, but what the *teacher* says about it.
#
# - The **student** gets the patches with some of them replaced by a learned mask token.
# - The **teacher** gets all patches. Were anything hidden from it, it could not know the answer either.
# - Both give $K$ logits for every patch, through the same kind of head and softmax as before.
#
# With $m_{bi} = 1$ where patch $i$ of image $b$ is hidden from the student:
#
# $$\mathcal{L} = \frac{1}{|\mathcal{B}|} \sum_{b \in \mathcal{B}} \frac{\sum_i m_{bi}\, H(q_{bi}, p_{bi})}{\sum_i m_{bi}}, \qquad \mathcal{B} = \text{images with at least one hidden patch}$$
#
# So the mean is taken **per image first**: an image with two hidden patches counts as much as one with ten.
#
# | function | input | output |
# | --- | --- | --- |
# | `masked_views(tokens, mask, mask_token)` | embedded patches $(B, N, D)$, mask $(B, N)$ with 1 or True = hidden, token $(D,)$ | the student's tokens and the teacher's tokens, both $(B, N, D)$; `tokens` is not changed |
# | `ibot_loss(student_patches, teacher_patches, mask, center, t_s, t_t)` | logits $(B, N, K)$ twice, mask $(B, N)$, center $(K,)$, temperatures | scalar; ValueError when nothing is hidden in the whole batch |
#
# Teacher and center are constants here, too.


# %% exercise="ibot" difficulty=3 minutes=45
def masked_views(
    tokens: torch.Tensor, mask: torch.Tensor, mask_token: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What student and teacher see of embedded patches, before positions are added (Zhou et al. 2022, section 3).

    Parameters
    ----------
    tokens : (B, N, D); not changed. mask : (B, N), bool or 0/1, 1 = hidden from the student. mask_token : (D,).

    Returns
    -------
    (B, N, D) for the student, with the mask token in the hidden places, and (B, N, D) for the teacher.
    """
    ### BEGIN SOLUTION
    return torch.where(mask.bool()[..., None], mask_token, tokens), tokens
    ### END SOLUTION


def ibot_loss(
    student_patches: torch.Tensor,
    teacher_patches: torch.Tensor,
    mask: torch.Tensor,
    center: torch.Tensor,
    t_s: float,
    t_t: float,
) -> torch.Tensor:
    """Cross-entropy of student and teacher on hidden patches, mean per image, then over images (Zhou et al. 2022).

    Parameters
    ----------
    student_patches, teacher_patches : (B, N, K) logits. mask : (B, N), bool or 0/1, 1 = hidden from the student.
    center : (K,), subtracted from the teacher's logits. t_s, t_t : temperatures of student and teacher.

    Returns
    -------
    A scalar in nats. Images without a hidden patch do not count. Teacher and center get no gradient.

    Raises
    ------
    ValueError : when no patch of the batch is hidden.
    """
    ### BEGIN SOLUTION
    hidden = mask.to(student_patches.dtype)
    count = hidden.sum(-1)
    if not count.any():
        raise ValueError("no patch is hidden, so there is nothing to learn from")
    target = ((teacher_patches - center) / t_t).softmax(-1).detach()
    cost = -(target * F.log_softmax(student_patches / t_s, dim=-1)).sum(-1)
    some = count > 0
    return ((cost * hidden).sum(-1)[some] / count[some]).mean()
    ### END SOLUTION


# %% look="ibot"
# Look: what each of the two sees, with tokens that are the pixels of their patches and a gray mask token.
with checks.look():
    look_photo = datasets.photograph("flower", height=128, width=128).image
    look_tokens = F.unfold(look_photo[None], 16, stride=16).transpose(1, 2)
    look_mask = torch.rand(1, 64, generator=torch.Generator().manual_seed(2)) < 0.4
    look_views = masked_views(look_tokens, look_mask, torch.full((768,), 0.5))
    look_pictures = [F.fold(view.transpose(1, 2), (128, 128), 16, stride=16)[0] for view in look_views]
    display(plotting.image_grid(look_pictures, titles=["the student sees", "the teacher sees"]))
    look_answer = torch.zeros(1, 64, 2)
    for name, look_logit in (("agrees with the teacher", 0.3), ("says nothing", 0.0), ("says the opposite", -0.3)):
        look_answer[..., 0] = look_logit
        look_teacher = torch.tensor([0.3, 0.0]).expand(1, 64, 2)
        print(
            f"a student that {name}: {ibot_loss(look_answer, look_teacher, look_mask, torch.zeros(2), 0.1, 0.04):.2f} nats"
        )

# %% [markdown] hints="ibot"
# <details><summary>Hint 1: the idea</summary>
#
# The cross-entropy of every patch, $(B, N)$, is quickly written: it is the same as in exercise 2. The mask is a weight on it. Then two means, the inner one with its own divisor for each image.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     masked_views: student = mask token where hidden, the token elsewhere; teacher = tokens
#
#     ibot_loss:
#         hidden = mask as numbers; count = hidden patches of each image
#         all counts 0: ValueError
#         target = softmax of (teacher - center) / t_t over the outputs, as a constant
#         cost = minus the sum over the outputs of target * log-softmax of student / t_s    (B, N)
#         of the images with count > 0: sum of cost * hidden over the patches / count
#         mean over these images
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.where(mask.bool()[..., None], mask_token, tokens)` spreads the token over all hidden places; writing into `tokens[mask]` would hide the patches from the teacher as well. `(cost * hidden).sum(-1)[some] / count[some]` with `some = count > 0` never divides by 0.
#
# </details>

# %% [markdown]
# ### Look: a vocabulary of patches
#
# One run with both losses, on the same digits, now with a batch norm before the head and a calmer teacher (momenta of 0.9), which is the recipe of Part 5. Then this question to its **teacher**, on test images it has never seen: hide one patch and let it say which of the 64 outputs that patch would get. Show the patch and ask again. How often is the answer the same?
#
# Zhou et al. call the teacher an *online tokenizer*: it turns patches into words, and the words are made up while it learns. **Predict.** What would a network have to know about digits to guess the word of a hidden patch?

# %% explore=true
tokenizer_run = self_distill(digits.x_train, Recipe(ibot=True), seed=0)
print(profiling.table(table_of({"DINO + iBOT": tokenizer_run}), title="means of the last ten steps"))


def words_of(network: Network, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest output (n, N) for each patch of images: when it is seen, and when it alone is hidden."""
    network.eval()
    patches = (images.shape[-1] // 4) ** 2
    with torch.no_grad():
        seen = network.patch_logits(network.patch_tokens(images))
        middle = seen.mean((0, 1))  # in the place of the running center
        guessed = torch.empty_like(seen)
        for place in range(patches):
            mask = torch.zeros(len(images), patches, dtype=torch.bool, device=images.device)
            mask[:, place] = True
            guessed[:, place] = network.patch_logits(network.patch_tokens(images, mask))[:, place]
    return (seen - middle).argmax(-1).cpu(), (guessed - middle).argmax(-1).cpu()


tokenizer = tokenizer_run.teacher
seen, guessed = words_of(tokenizer, digits.x_test.to(profile.device()))
counts = torch.bincount(seen.flatten(), minlength=64)
by_place = torch.stack([torch.bincount(seen[:, place], minlength=64).max() for place in range(seen.shape[1])])
print(f"words in use on {len(seen)} test images: {(counts > 0).sum()} of 64")
print(f"the word of a hidden patch is guessed in {(seen == guessed).float().mean():.0%} of the cases")
print(f"always the most frequent word: {counts.max() / counts.sum():.0%}; the most frequent one of each place: {by_place.sum() / seen.numel():.0%}")  # fmt: skip
pixels = digits.x_test * digits.std + digits.mean
cut = F.unfold(pixels, 4, stride=4).transpose(1, 2).reshape(-1, 1, 4, 4)  # all patches of all test images
frequent = counts.argsort(descending=True)[:6].tolist()
chosen = [(word, index) for word in frequent for index in (seen.flatten() == word).nonzero()[:: max(1, int(counts[word]) // 12)][:12, 0].tolist()]  # fmt: skip
display(
    plotting.image_grid(
        [cut[index] for _, index in chosen],
        columns=12,
        suptitle="the six most frequent words: twelve patches of each, a row a word",
    )
)

# %% [markdown]
# **Explain.** Each row of the picture is a word that nobody has defined: an empty corner, a stroke at the right edge, ink all over. The words are tied to a place as well, because the positions are part of what the teacher sees. That is why "the most frequent word of each place" is the fair thing to compare with, and it makes the guess look modest: after so few steps the network knows *where* strokes usually are, and hardly more. The large first number alone would have told another story.

# %% [markdown]
# ## Part 5. What do the features gain?
#
# The runs above are healthy: their answers depend on the image. Are their **features** any good? Nothing in this week's losses mentions digits, so the test is this: throw the head away, freeze the network, and see what its features know.
#
# - **kNN-20**: the 20 nearest training images (by cosine) vote on the class, nearer ones with more weight. Uses all 1,347 labels and trains nothing.
# - **Linear probe, 100 labels**: a linear map from standardized features to the classes, fitted by ridge regression on ten labels per digit.
#
# The yardstick is **not zero and not chance, but the same network before the first step**. A random ViT is a random but smooth function of the pixels, and that keeps a good part of what pixels know. (Raw pixels themselves reach 97 to 98 % kNN accuracy here, as the table shows; these digits are an easy world for pixels. No network of this week beats them.)
#
# **Predict.** How many points does DINO gain over the random network? And is the gain larger than the difference between two seeds?


# %% explore=true
def knn_accuracy(
    features: torch.Tensor, labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor, k: int = 20
) -> float:
    """Accuracy of a vote of the k nearest features, weighted by exp(cosine / 0.07)."""
    cosine, nearest = (F.normalize(new, dim=-1) @ F.normalize(features, dim=-1).T).topk(k)
    votes = torch.zeros(len(new), int(labels.max()) + 1).scatter_add_(1, labels[nearest], (cosine / 0.07).exp())
    return (votes.argmax(-1) == new_labels).float().mean().item()


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, new: torch.Tensor, new_labels: torch.Tensor, each: int, seed: int
) -> float:
    """Accuracy of ridge regression on one-hot labels, fitted on `each` random examples of each class."""
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    few = torch.cat([mixed[labels[mixed] == label][:each] for label in labels.unique()])
    mean, std = features[few].mean(0), features[few].std(0) + 1e-6
    x, x_new = (features[few] - mean) / std, (new - mean) / std
    y = F.one_hot(labels[few]).float()
    weight = torch.linalg.solve(x.T @ x + 10.0 * torch.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    return ((x_new @ weight + y.mean(0)).argmax(-1) == new_labels).float().mean().item()


def features_of(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Features (n, D) in eval mode, on the CPU."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network.features(part.to(profile.device())).cpu() for part in images.split(500)])


def judged(network: Network, seed: int) -> tuple[float, float]:
    """kNN-20 and probe accuracy of a network's features on the digits."""
    known, new = features_of(network, digits.x_train), features_of(network, digits.x_test)
    return (
        knn_accuracy(known, digits.y_train, new, digits.y_test),
        probe_accuracy(known, digits.y_train, new, digits.y_test, each=10, seed=seed),
    )


EVERYTHING = profile.pick(cpu=False, gpu=True)
arms = {"DINO, mild views": Recipe()}
if EVERYTHING:
    arms["DINO + iBOT, mild views"] = Recipe(ibot=True)
    arms["DINO, strong views"] = Recipe(scale_global=(0.5, 1.0), noise=0.3)
judges = range(40, profile.pick(cpu=45, gpu=60))  # seeds that nobody looked at while the recipe was chosen
scores: dict[str, list[tuple[float, float]]] = {name: [] for name in ("random network", *arms)}
learned: dict[str, list[float]] = {name: [] for name in arms}
for name, recipe in arms.items():
    for seed in judges:
        run = self_distill(digits.x_train, recipe, seed)
        if name == "DINO, mild views":
            scores["random network"].append(judged(run.start, seed))
        scores[name].append(judged(run.teacher, seed))
        learned[name].append(last_mean(run.history)["mutual_information"])


def gains_of(name: str, measure: int) -> np.ndarray:
    """Gains in points over the random network of the same seed."""
    pairs = zip(scores[name], scores["random network"])
    return np.array([100 * (after[measure] - before[measure]) for after, before in pairs])


def told(gains: np.ndarray) -> str:
    """Mean and 95 % interval (Student's t)."""
    half = {5: 2.776, 20: 2.093}[len(gains)] * gains.std(ddof=1) / math.sqrt(len(gains))
    return f"{gains.mean():+.1f} ({gains.mean() - half:+.1f} to {gains.mean() + half:+.1f})"


for measure, title in enumerate(("kNN-20, all labels", "linear probe, 100 labels")):
    rows = []
    for name, found in scores.items():
        row = {"features": name} | {f"seed {k}": f"{one[measure]:.1%}" for k, one in zip(judges[:5], found)}
        gained = "" if name == "random network" else told(gains_of(name, measure))
        rows.append(row | {"seeds": len(found), "gain": gained})
    print(
        profiling.table(rows, title=f"{title}; mean gain in points, and its 95 % interval, seed against same seed")
        + "\n"
    )
flat = [part.flatten(1) for part in (digits.x_train, digits.x_test)]
print(f"raw pixels, kNN-20: {knn_accuracy(flat[0], digits.y_train, flat[1], digits.y_test):.1%}")
for name, found in learned.items():
    print(f"{name}: mutual information of {len(found)} runs between {min(found):.2f} and {max(found):.2f} nats")


# %% explore=true
def draw_gains(ax: plt.Axes, measure: int) -> None:
    """Accuracy of each kind of features: a line for each seed, a bar for the mean."""
    percent = np.array([[100 * one[measure] for one in found] for found in scores.values()])  # (features, seeds)
    for seed, line in zip(judges, percent.T):
        ax.plot(line, "o-", linewidth=1.4, markersize=5, alpha=0.8, label=f"seed {seed}")
    for place, mean in enumerate(percent.mean(1)):
        ax.plot([place - 0.12, place + 0.12], [mean] * 2, color="0.2", linewidth=3.5, zorder=3)
    ax.set_xticks(range(len(scores)), [name.replace(", ", ",\n").replace(" network", "\nnetwork") for name in scores])
    ax.set_xlim(-0.3, len(scores) - 0.7)
    ax.grid(alpha=0.3, axis="y")


fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
for measure, (ax, title) in enumerate(zip(axes, ("kNN-20, all labels", "linear probe, 100 labels"))):
    draw_gains(ax, measure)
    ax.set(title=title, ylabel="accuracy, percent" if measure == 0 else "")
if len(judges) <= 5:
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
plt.show()

# %% [markdown]
# The same cell with `EVERYTHING = True` (half a minute) has two rows more. The gains of kNN-20 over the random network of the same seed, in points:
#
# | features | seed 40 | 41 | 42 | 43 | 44 | mean |
# | --- | --- | --- | --- | --- | --- | --- |
# | DINO, mild views | +3.3 | +1.6 | +3.3 | +0.0 | +1.1 | +1.9 |
# | DINO + iBOT, mild views | +2.7 | +1.1 | -1.1 | -0.4 | +0.2 | +0.5 |
# | DINO, strong views | +0.2 | -4.9 | -5.8 | -4.0 | -2.4 | -3.4 |
#
# **Explain.** Three findings, in the order of how often they are forgotten.
#
# - **Healthy does not mean good.** The strong views (crops from half of the area, much noise) give runs whose mutual information is far above every limit of Part 3, and features that are *worse* neighbors than those of the random network in four of five seeds. What the views destroy, the features must ignore: a crop of half a digit may be a different digit, and fine strokes drown in the noise. A view is a claim about what does not matter.
# - **With mild views the features gain a point or two.** That is about as large as the spread between seeds, and it takes the *pairing* (the same network before and after) to see anything at all. For the probe the interval holds the zero. Read the interval before you say "it works". And ask how a recipe was found: this one was chosen by looking at such scores, so it is judged here on seeds 40 to 44, which nobody had looked at.
# - **The loss for patches adds nothing that this test can see.** For kNN it gains less than DINO alone, and all of it is within the spread of the seeds. Zhou et al. (2022) report gains from real images and long runs, most of all where patches are what counts, in segmentation. Sixty steps on digits can neither confirm nor refute that.
#
# And pixels still win on these digits. Self-distillation earns its place where pixels are a bad distance: on photographs, with time.

# %% [markdown]
# ### A third log: not collapsed, not learning
#
# Not every failure is a collapse. Here the recipe is the full one with four settings that are sensible in a long run: no batch norm before the head, positions that start at 0.02, a momentum of 0.99 and a teacher at temperature 0.07 (the paper's, after its warm-up). In 60 steps they make a run that has hardly begun: nothing has fallen into a trap, and nothing is being learned. Its loss stays close to $\log K$, as in a uniform collapse, and `diagnose` says "uniform" of it: these numbers alone do not tell a run that has not begun from one that has collapsed to the uniform answer. Look at the numbers, and at what kNN says before and after. The full run of Part 3 stands beside it: "healthy", and far worse neighbors than before.

# %% explore=true
stuck = replace(Recipe(), batch_norm=False, position_std=0.02, momentum=0.99, t_teacher=0.07)
both_runs = {"stuck": self_distill(digits.x_train, stuck, seed=0), "full": runs["full"]}
print(profiling.table(table_of(both_runs), title="means of the last ten steps"))
for name, run in both_runs.items():
    before, after = (judged(network, 0)[0] for network in (run.start, run.teacher))
    print(f"{name:>5}: kNN-20 of the random network {before:.1%}, after {len(run.history['loss'])} steps {after:.1%}")

# %% [markdown]
# ### Profiling corner: what a view costs
#
# A local crop of 8 x 8 pixels has 4 patches, a global one of 12 x 12 has 9. A step of self-distillation is a forward and a backward pass of the student over all views, and a forward pass of the teacher over the global ones.
#
# **Predict.** By how many percent do four local crops raise the FLOPs of a step? And its time?


# %% explore=true compare=true
def price(recipe: Recipe, batch: torch.Tensor) -> tuple[Callable[[], None], int]:
    """One step (forward and backward of the student, forward of the teacher) as a function, and its patch tokens."""
    torch.manual_seed(0)
    student = Network(recipe, batch.shape[1])
    teacher = make_teacher(student)
    large, small = multi_crop(
        batch,
        recipe.n_local,
        recipe.size,
        recipe.local_size,
        recipe.scale_global,
        recipe.scale_local,
        torch.Generator(),
    )

    def step() -> None:
        with torch.no_grad():
            told = teacher.image_logits(teacher.patch_tokens(torch.cat(large))).chunk(2)
        answers = list(student.image_logits(student.patch_tokens(torch.cat(large))).chunk(2))
        if small:
            answers += student.image_logits(student.patch_tokens(torch.cat(small))).chunk(len(small))
        dino_loss(answers, told, torch.zeros(recipe.outputs), 0.1, 0.04).backward()

    tokens = 2 * (recipe.size // recipe.patch) ** 2 + recipe.n_local * (recipe.local_size // recipe.patch) ** 2
    return step, tokens


steps_of = {f"2 global, {n} local": price(replace(Recipe(), n_local=n), digits.x_train[:32]) for n in (0, 2, 4)}
costs = {name: profiling.flops(step) for name, (step, _) in steps_of.items()}
rows = [
    {
        "views": name,
        "student's tokens an image": tokens,
        "MFLOPs a step": f"{costs[name] / 1e6:.0f}",
        "against two global": f"{costs[name] / costs['2 global, 0 local']:.2f}",
    }
    for name, (_, tokens) in steps_of.items()
]
print(profiling.table(rows, title="32 images, forward and backward of the student, forward of the teacher"))

# %% explore=true
times = profiling.latencies({name: step for name, (step, _) in steps_of.items()}, warmup=2, runs=8)
print(
    profiling.table(
        [{"views": name, "median ms": took.p50_ms} for name, took in times.items()], title="one step on the CPU"
    )
)
crops = profiling.latency(lambda: multi_crop(digits.x_train[:32], 4, 12, 8, (0.5, 1.0), (0.2, 0.5), torch.Generator()))
print(f"multi_crop itself, 2 global and 4 local crops of 32 images: {crops.p50_ms:.1f} ms")

# %% [markdown]
# **Explain.** Tokens count, not views. Four local crops bring 16 more patch tokens to the student's 18, but none to the teacher, so the step grows by less than their number suggests. In the paper's sizes a local crop of 96 pixels has 36 patches and a global one of 224 has 196: eight local crops cost the student less than two more global ones. The milliseconds tend to grow more than the FLOPs do, since a second forward pass of small tensors pays the start of every operator again.

# %% [markdown]
# ### Milestone: the sizes of the paper
#
# A ViT-S/16 from timm, two global crops of 224 pixels, eight local ones of 96, and **65,536 outputs**: these are the sizes of Caron et al. (2021, section 3.2 and appendix C; their head has one more hidden layer of 2,048). Your four parts, `multi_crop`, `DINOHead`, `make_teacher` and `dino_loss`, take them as they are.
#
# **Predict.** Nothing is trained. What is the loss of the first step, in nats?

# %% explore=true
torch.manual_seed(0)
photos = torch.stack([datasets.photograph(name, height=256, width=256).image for name in ("flower", "china")])
real = VisionTransformer(img_size=224, patch_size=16, embed_dim=384, depth=12, num_heads=6, num_classes=0, dynamic_img_size=True)  # fmt: skip
real_head = DINOHead(384, 65_536, hidden_dim=2048, bottleneck_dim=256)
large, small = multi_crop((photos - 0.45) / 0.22, 8, 224, 96, (0.4, 1.0), (0.05, 0.4), torch.Generator().manual_seed(0))
with torch.inference_mode():
    seen = [real(view) for view in (*large, *small)]
    student_logits = [real_head(feature) for feature in seen]
    teacher_logits = student_logits[:2]  # at the first step the teacher is the student
    first_loss = dino_loss(student_logits, teacher_logits, torch.zeros(65_536), 0.1, 0.04).item()
    center = torch.zeros(65_536)
    update_center(center, teacher_logits, 0.0)  # momentum 0: the mean of this batch
    centered_loss = dino_loss(student_logits, teacher_logits, center, 0.1, 0.04).item()
    embedded = [real_head.embed(feature) for feature in seen[:2]]  # two crops, each of a flower and a temple
    library = [F.cross_entropy(s / 0.1, (t / 0.04).softmax(-1)) for i, t in enumerate(teacher_logits) for j, s in enumerate(student_logits) if i != j]  # fmt: skip
print(
    f"{profiling.parameter_count(real) / 1e6:.1f} M parameters in the ViT, {profiling.parameter_count(real_head) / 1e6:.1f} M in the head"
)
print(f"pairs of views: {len(library)}; the first loss: {first_loss:.3f} nats; log K = {math.log(65_536):.3f}")
print(f"the same with the batch's own center: {centered_loss:.3f} nats")
print(f"torch's cross-entropy with soft targets, no center: {torch.stack(library).mean():.3f}")
same, other = ((embedded[0] * embedded[1].roll(shift, 0)).sum(-1).mean().item() for shift in (0, 1))
print(f"cosine of embeddings, untrained: two crops of one photograph {same:.3f}, crops of two photographs {other:.3f}")
print(f"largest logit: {max(view.abs().max() for view in student_logits):.3f}, a cosine")
assert abs(first_loss - torch.stack(library).mean().item()) < 1e-3

# %% [markdown]
# **Explain.** Around $\log K = 11.09$, and that is worth knowing by heart: the cross-entropy with a uniform answer is $\log K$ whatever the teacher says, so a loss that stays there belongs to a run that has not begun.
#
# Why is the number *below* it, though nothing was learned? Look at the cosines. A random network is a smooth function of the pixels, so two crops of one photograph get embeddings that lie close together, and crops of different photographs do not. The student agrees a little with the teacher from the start. The batch's own center takes away what all images have in common, and most of that bonus with it; four views are few to take a mean of, so treat the third line as a direction, not as a measurement.
#
# The prototypes alone, $65{,}536 \times 256$, are nearly as many numbers as the whole ViT. They are thrown away after training.

# %% [markdown]
# ### Real photographs
#
# Digits are an easy world. The cell below runs the same functions on CIFAR-10 without its labels, and compares kNN-20 with the random network. With `PROFILE=cpu` it does so only if you have CIFAR-10 on disk and set `WORKBOOK_DATA`: a small ViT, 5,000 photographs, about four minutes (`WORKBOOK_MINUTES` asks for more steps and more photographs). With `PROFILE=gpu` it trains a ViT-S on CIFAR-100 (target: kNN-20 at least 20 points above the random network).


# %% explore=true measured="cifar10"
def colorful(views: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Standardized color views: flipped in half of the cases, brighter or darker, more or less contrast, some gray."""

    def each() -> torch.Tensor:
        return torch.rand(len(views), 1, 1, 1, generator=generator).to(views)

    views = torch.where(each() < 0.5, views.flip(-1), views)
    views = views * (1 + strength * (2 * each() - 1)) + strength * (2 * each() - 1)
    gray = views.mean(1, keepdim=True)
    color = torch.where(each() < 0.2, torch.zeros_like(gray), 1 + strength * (2 * each() - 1))
    return gray + color * (views - gray)


def on_photographs(
    recipe: Recipe, load: Callable, images: int | None, tests: int | None, seed: int
) -> tuple[float, float, dict[str, float]]:
    """kNN-20 of the random network and of the teacher on photographs, and the last numbers of the run."""
    known, new = load(limit=images), load(train=False, limit=tests)
    mean, std = known.x.mean((0, 2, 3), keepdim=True), known.x.std((0, 2, 3), keepdim=True)
    x, x_new = ((part.x - mean) / std for part in (known, new))
    run = self_distill(x.to(profile.device()), recipe, seed, disturb=colorful)
    before, after = (
        knn_accuracy(features_of(network, x), known.y, features_of(network, x_new), new.y)
        for network in (run.start, run.teacher)
    )
    return before, after, last_mean(run.history)


if profile.current() is profile.Profile.GPU:
    recipe = Recipe(
        size=32, local_size=16, patch=4, width=384, depth=12, outputs=4096, steps=39_000, batch=128,
        learning_rate=5e-4, momentum=0.996, n_local=4, scale_global=(0.4, 1.0), scale_local=(0.1, 0.4), noise=0.4,
    )  # fmt: skip
    before, after, end = on_photographs(recipe, datasets.cifar100, None, None, seed=0)
    print(f"CIFAR-100, kNN-20: random network {before:.1%}, DINO {after:.1%}, gain {100 * (after - before):+.1f} points, target +20")  # fmt: skip
    print(f"mutual information {end['mutual_information']:.2f} nats: {diagnose(end, recipe.outputs)}")
else:
    profile.not_measured(
        "CIFAR-100, ViT-S, 100 epochs",
        "PROFILE=gpu workbook record --keep-nothing week06",
        target="kNN-20 at least 20 points above the random network",
    )
    if datasets.on_disk("cifar10"):
        budget = profile.budget(minutes=4)
        images = budget.scaled(5000, at_most=50_000)
        recipe = Recipe(
            size=32, local_size=16, patch=8, width=96, depth=3, outputs=256, steps=budget.scaled(1200), batch=64,
            learning_rate=1e-3, momentum=0.95, n_local=2, scale_global=(0.6, 1.0), scale_local=(0.3, 0.5), noise=0.2,
        )  # fmt: skip
        before, after, end = on_photographs(recipe, datasets.cifar10, images, 2000, budget.seed)
        print(f"CIFAR-10, {images:,} photographs without labels, {recipe.steps:,} steps of 64, one seed (no target):")
        print(
            f"  kNN-20 on 2,000 others: random network {before:.1%}, DINO {after:.1%}, gain {100 * (after - before):+.1f} points"
        )
        print(f"  mutual information {end['mutual_information']:.2f} nats of {math.log(256):.2f}: {diagnose(end, 256)}")
    else:
        print("CIFAR-10, a small ViT: not measured in this run. With WORKBOOK_DATA=FOLDER this cell would measure it,")
        print("  with images at FOLDER/cifar10/{train,test}/CLASS/NNNN.jpg")

# %% [markdown]
# **Explain.** A crop of a horse is still a horse, and raw pixels say little about it, so photographs are where views can pay. Note the yardstick once more. Chance is 10 % here, and the random network is far above it before the first step: who compares with chance reports a triumph that was never won. What counts is the gain over the random network. In these few minutes it is small: with one seed and 2,000 photographs to be judged on, a direction at best. The paper's models see all of ImageNet, for hundreds of epochs; the target above was not tried here.

# %% [markdown]
# ### Your own photographs, by DINO and by iBOT
#
# No labels are needed, so any folder of pictures will do. Set `WORKBOOK_IMAGES` to yours, or write its path into the cell. Photographs may lie in it as they are, or in a folder for each class. One in five is held back. On the CPU two small ViTs learn from them at 32 x 32 pixels, one by DINO alone and one by DINO and iBOT, a minute or two each; on a GPU two larger ones at 64 x 64.
#
# What can be asked without a label? Whether a run is healthy: the two entropies, by step. And what it takes for alike: for some of the photographs that were held back you see their **nearest neighbors** among the others, by the features of the random network and by those of the teacher. With classes in your folder there is kNN-20, too. **Predict.** What will the random network look for?
#
# **With a GPU.** `PROFILE=gpu` runs the same cells at larger sizes. What they need, and what came out:
#
# | cells | data set | disk | GPU memory | time | result |
# | --- | --- | --- | --- | --- | --- |
# | DINO, ViT-S on CIFAR-100 (above) | CIFAR-100, 169 MB, downloaded; the publisher states no license | the data | *not measured yet* | *not measured yet* | *not measured yet* (target: kNN-20 at least 20 points above the random network) |
# | DINO and iBOT on your photographs | yours | yours, and 0.1 GB for each run | *not measured yet* | *not measured yet* | yours |
# | heads of two ViT-B (below) | generated shapes, and a photograph of scikit-learn | 0.35 GB of weights each, to download | *not measured yet* | *not measured yet* | *not measured yet* (target: attention inside the object over outside above 1) |
#
# `PROFILE=gpu workbook record --keep-nothing week06` measures the first and the last. Runs on your photographs keep their curves, their time and their memory in `kept/` beside this notebook, and the teacher beside them; a second run reads them and draws.

# %% explore=true
import os
from dataclasses import asdict
from functools import partial

from shared import kept


def learned_from(train: datasets.LabeledImages, test: datasets.LabeledImages, recipe: Recipe, seed: int = 0) -> dict:
    """Self-distillation on photographs: its history, kNN before and after where there are classes, neighbors, the teacher."""
    mean, std = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    x, x_new = ((part.x - mean) / std for part in (train, test))
    run = self_distill(x.to(profile.device()), recipe, seed, disturb=colorful)
    found: dict = {"history": run.history, "knn": {}, "images": [len(x), len(x_new)]}
    for when, network in (("random network", run.start), ("teacher", run.teacher)):
        known, new = features_of(network, x), features_of(network, x_new)
        if len(train.classes) > 1:
            found["knn"][when] = knn_accuracy(known, train.y, new, test.y, min(20, len(known)))
        cosine = F.normalize(new[:4], dim=-1) @ F.normalize(known, dim=-1).T
        nearest = cosine.topk(min(4, len(known))).indices
        found[f"neighbors, {when}"] = torch.stack(
            [torch.cat([one[None], train.x[own]]) for one, own in zip(test.x, nearest)]
        )
    return found | {"weights": run.teacher.state_dict()}


def show_photographs(found: dict, outputs: int, title: str) -> None:
    """Draw both entropies by step and the nearest neighbors; print the diagnosis and kNN."""
    history = found["history"]
    _, ax = plt.subplots(figsize=(6.6, 3.4))
    for key, name in (("batch_entropy", "the mean answer"), ("sample_entropy", "each answer")):
        ax.plot(range(1, len(history[key]) + 1), history[key], label=name)
    ax.axhline(math.log(outputs), color="0.3", linestyle="--", linewidth=1.4, label=f"log {outputs}")
    ax.set(xlabel="step", ylabel="entropy (nats)", title=title, ylim=(0, None))
    ax.legend(fontsize=9)
    plt.show()
    for when in ("random network", "teacher"):
        rows = found[f"neighbors, {when}"]  # (queries, 1 + neighbors, 3, s, s)
        names = ["held back", *(f"nearest {k}" for k in range(1, rows.shape[1]))]
        titles = [name if line == 0 else "" for line in range(len(rows)) for name in names]
        print(f"{title}, neighbors by the {when}:")
        display(plotting.image_grid(rows.flatten(0, 1), columns=rows.shape[1], titles=titles))
    end = last_mean(history)
    print(f"{title}: {found['images'][0]:,} photographs, {len(history['loss'])} steps, mutual information {end['mutual_information']:.2f} nats: {diagnose(end, outputs)}")  # fmt: skip
    for when, share in found["knn"].items():
        print(f"  kNN-20 on {found['images'][1]:,} others, {when}: {share:.1%}")


MY_IMAGES = os.environ.get("WORKBOOK_IMAGES", "")  # or write here: your folder of photographs
if MY_IMAGES:
    mine = profile.pick(
        cpu=Recipe(
            size=32, local_size=16, patch=8, width=96, depth=3, outputs=256, steps=600, batch=32, learning_rate=1e-3,
            momentum=0.95, n_local=2, scale_global=(0.6, 1.0), scale_local=(0.3, 0.5), noise=0.2,
        ),
        gpu=Recipe(
            size=64, local_size=32, patch=8, width=384, depth=8, outputs=2048, steps=10_000, batch=128,
            learning_rate=5e-4, momentum=0.996, n_local=4, scale_global=(0.4, 1.0), scale_local=(0.1, 0.4), noise=0.4,
        ),
    )  # fmt: skip
    my_load = partial(datasets.image_folder, MY_IMAGES, mine.size)
    my_train, my_test = my_load(), my_load(train=False)
    for name, recipe in {"DINO": mine, "DINO + iBOT": replace(mine, ibot=True)}.items():
        version = asdict(recipe) | {"folder": MY_IMAGES, "images": len(my_train.y)}
        key = "ibot_my_images" if recipe.ibot else "dino_my_images"
        seen = kept.results(f"kept/{key}.json", version, lambda recipe=recipe: learned_from(my_train, my_test, recipe))
        show_photographs(seen, recipe.outputs, name)
else:
    print("your own photographs: set WORKBOOK_IMAGES to a folder, or write its path into this cell")

# %% [markdown]
# ### What emerges: attention that finds objects
#
# The most quoted picture of the paper is not an accuracy. In the last block of a ViT that DINO has trained on ImageNet, the class token's attention draws the outline of the object, each head another part, and nobody has shown it an outline. That takes a real model. With `PROFILE=gpu` the cell below loads two, draws their heads, and counts: mean attention inside the object's mask over mean attention outside, on `shapes` (target: above 1). Offline the same code runs on a random ViT, to show what *nothing has emerged* looks like.


# %% explore=true
from shared.weights import fetching_weights


def class_attention(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Attention (B, H, gh, gw) from the class token to the patches in the last block of a timm ViT."""
    caught: list[torch.Tensor] = []
    attention = model.blocks[-1].attn
    listener = attention.qkv.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    with torch.inference_mode():
        model.eval()(images)
    listener.remove()
    query, key, _ = caught[0].unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (query[:, :, :1] @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    to_patches = weights[:, :, 0, model.num_prefix_tokens :]
    height, width = (images.shape[-2] // model.patch_embed.patch_size[0], images.shape[-1] // model.patch_embed.patch_size[1])  # fmt: skip
    return to_patches.unflatten(-1, (height, width)).float().cpu()


def inside_over_outside(maps: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, H): mean attention of maps (B, H, gh, gw) inside the objects' masks (B, S, S), over that outside."""
    share = F.adaptive_avg_pool2d(mask[:, None].float(), maps.shape[-2:])
    inside = (maps * share).sum((2, 3)) / share.sum((2, 3))
    return inside / ((maps * (1 - share)).sum((2, 3)) / (1 - share).sum((2, 3)))


def pretrained(name: str, size: int) -> nn.Module:
    """A model of timm's with pretrained weights."""
    import timm

    with fetching_weights(name, f"timm/{name}"):
        return timm.create_model(name, pretrained=True, num_classes=0, img_size=size).to(profile.device())


def show_heads(name: str, model: nn.Module, size: int, pictures: int) -> None:
    """Draw each head's attention on a photograph, and print the best head's ratio on `shapes`."""
    photo = datasets.photograph("flower", height=size, width=size).image
    maps = class_attention(model, ((photo - 0.45) / 0.22)[None].to(profile.device()))[0]
    columns = min(6, len(maps))
    fig, axes = plt.subplots(1, columns, figsize=(2.1 * columns, 2.4))
    for head, ax in enumerate(axes):
        plotting.attention_overlay(ax, photo, maps[head], title=f"head {head}")
    fig.suptitle(name)
    plt.show()
    scene = datasets.shapes(pictures, seed=0)
    enlarged = F.interpolate(scene.x, size=(size, size), mode="bilinear")
    ratio = inside_over_outside(class_attention(model, ((enlarged - 0.45) / 0.22).to(profile.device())), scene.mask)
    print(f"{name}: attention inside the object over outside, mean of {pictures} shapes, by head:", ", ".join(f"{r:.2f}" for r in ratio.mean(0)))  # fmt: skip


if profile.current() is profile.Profile.GPU:
    for name, size in (("vit_base_patch16_224.dino", 448), ("vit_base_patch14_dinov2.lvd142m", 448)):
        show_heads(name, pretrained(name, size), size, pictures=200)
else:
    show_heads("a random ViT-S/16", real, 224, pictures=4)
    profile.not_measured(
        "ViT-B by DINO and DINOv2",
        "PROFILE=gpu workbook record --keep-nothing week06",
        target="attention inside the object over outside above 1",
    )

# %% [markdown]
# **Explain.** Do not trust the colors here: each map is stretched to its own range, and a random network follows the brightness of the picture. The ratios do not stretch: all of them are close to 1. That is the baseline which an "emerging property" has to beat.

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13.5, 4.0))
left, middle, right = fig.subfigures(1, 3, width_ratios=(1.15, 1, 1.15))
panels = left.subplots(2, 3)
photo = datasets.photograph("china", height=160, width=160).image[None]
large, small = multi_crop(photo, 3, 96, 48, (0.5, 1.0), (0.05, 0.2), torch.Generator().manual_seed(3))
titles = ("image", "global", "global", "local", "local", "local")
for ax, view, title in zip(panels.flat, (photo, *large, *small), titles):
    ax.imshow(view[0].permute(1, 2, 0).clamp(0, 1).numpy())
    ax.set_title(title, fontsize=11)
    ax.set_axis_off()
ax = middle.subplots()
ax.fill_between([0, chance], [0, chance], color="0.9", linewidth=0)
for name in ("full", "no centering", "no sharpening"):
    run = runs[name].history
    path = [np.convolve(run[key], np.ones(5) / 5, mode="valid") for key in ("sample_entropy", "batch_entropy")]
    ax.plot(*path, linewidth=1.2, alpha=0.7)
    ax.plot(path[0][-1], path[1][-1], "o", color=ax.lines[-1].get_color(), markersize=9, label=name, zorder=4)
ax.set(xlabel="entropy of each answer (nats)", ylabel="entropy of the mean answer", xlim=(-0.1, 4.4), ylim=(-0.1, 4.4))
ax.set_title("three runs, from start to end")
ax.legend(loc="lower right", fontsize=9)
ax = right.subplots()
draw_gains(ax, 0)
ax.set(ylabel="kNN-20 accuracy, percent", title="features, before and after")
plt.show()

# %% [markdown]
# ## Takeaways
#
# - Two views of an image, one answer: that is all the supervision there is. The answer's $K$ outputs mean nothing until training gives them a meaning.
# - The constant answer is always a solution. Centering keeps one output from winning, sharpening keeps the answer from fading; each alone ends in the other's trap.
# - Loss and KL fall to their lowest at a collapse. Look at two entropies: the answer to each image, and the mean answer. Their difference is what the output knows about the image.
# - The teacher is an average of the student, gets no gradient, and sees whole images: no small crops, no hidden patches.
# - iBOT plays the same game for hidden patches; the teacher is a tokenizer that is made up on the way.
# - Compare features with the *random network they began as*, seed by seed. Here mild views gained a point or two, strong views lost some, and all of these runs looked healthy.
# - Next week words replace the second view: CLIP matches images with captions.
#
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures and tables of *your* notebook.

# %% [markdown] written="without-labels" points=5 minutes=35
# **W1. How can this work without labels (5 points)?** Explain to a reader who knows supervised training how DINO learns, and what its attention shows afterwards. Say what each of these does: student and teacher, moving average, multi-crop, centering and sharpening.
#
# ### BEGIN SOLUTION
# One point each.
# - Student and teacher: the student's probabilities are matched to the teacher's across different views of an image, by cross-entropy, with a stop-gradient on the teacher; outputs have no given meaning.
# - Moving average: the teacher is an average of past students, steadier and (in the paper) better than the student at every time, so it is worth following.
# - Multi-crop: local crops are matched to global ones, so the features must tell from a part what the whole shows; cheap, since small crops have few tokens.
# - Centering and sharpening: without them a constant answer minimizes the loss; centering keeps all outputs in use, sharpening keeps each answer decided.
# - Emergence: the class token's attention in the last block follows object boundaries, heads attend to different parts, without any mask in training; it needs a real model (the random one in the notebook shows nothing of it).
# ### END SOLUTION

# %% [markdown] written="two-collapses" points=5 minutes=30
# **W2. Two ways down (5 points).** Which collapse does centering prevent and which does sharpening prevent? Why is each alone not enough? Use the four runs: entropies, KL, and where each run ends.
#
# ### BEGIN SOLUTION
# 1 point: centering prevents one output from dominating (one dimension): it subtracts what all images have in common.
# 1 point: sharpening (teacher's temperature below the student's) prevents the uniform answer: the target is always more decided than the student.
# 1 point: alone each pushes into the other's trap: centering toward uniform, sharpening toward one dimension.
# 1 point: numbers of the own table: H of each and H of the mean near 0 without centering, both log K = 4.16 without sharpening, mutual information near 0 in both.
# 1 point: KL goes to about 0 in both collapses (student and teacher agree on a constant), so KL or loss alone does not tell; the entropies do. "Neither" also ends uniform: with t = 1 nothing pushes away from it.
# ### END SOLUTION

# %% [markdown] written="three-logs" points=6 minutes=30
# **W3. Three logs (6 points).** Three runs with $K = 256$ ($\log K = 5.55$) report, as means of their last hundred steps:
#
# | run | loss | H of each | H of the mean | KL | kNN-20 |
# | --- | --- | --- | --- | --- | --- |
# | A | 5.53 | 5.52 | 5.53 | 0.01 | 0.41 |
# | B | 0.03 | 0.02 | 0.05 | 0.01 | 0.33 |
# | C | 2.33 | 1.62 | 4.87 | 0.71 | 0.52 |
#
# The random network has a kNN-20 of 0.41. For each run say what has happened, how you know, and what you would change first.
#
# ### BEGIN SOLUTION
# Two points a run: one for the diagnosis with numbers, one for a sensible first change.
# - A: uniform, mutual information 0.01; loss = log K is a run that never left the start or has collapsed to uniform (kNN equals that of the random network, so it has not learned anything and not destroyed anything). Change: lower teacher temperature (sharpening), lower momentum at the start, larger learning rate, batch norm in the head; check that the center is not subtracted twice.
# - B: one dimension, mutual information 0.03, loss near 0 looks best and is worst; kNN below random: the features have lost what pixels knew. Change: is the center updated (in place?) and subtracted from the teacher; sign; softer teacher.
# - C: healthy: mutual information 3.25 of 5.55; KL well above 0; kNN 11 points above the random network. Change nothing; train longer, compare seeds.
# ### END SOLUTION

# %% [markdown] written="three-methods" points=4 minutes=25
# **W4. DINO, MAE, CLIP (4 points).** Compare the three by their training signal, by what they become invariant to, and by how they fail. Which would you take for (a) retrieval of similar photographs, (b) few labels and a model you can fine-tune, (c) a search by words?
#
# ### BEGIN SOLUTION
# 1 point signal: DINO agreement of views with an averaged teacher; MAE pixels of hidden patches; CLIP captions against other captions of the batch.
# 1 point invariance: DINO to crops and color changes (and so blind to what they destroy; see the strong views in the notebook); MAE to next to nothing, it must keep pixels; CLIP to whatever captions do not mention.
# 1 point failure: DINO collapse, and views that destroy what matters; MAE low loss with features that need fine-tuning; CLIP noisy or short captions, needs many pairs and large batches.
# 1 point choice with a reason: (a) DINO (kNN without training), (b) MAE (or DINO) fine-tuned, (c) CLIP.
# ### END SOLUTION
