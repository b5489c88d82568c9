# %% [markdown]
# # Week 1: attention
#
# ![Left: without positions a layer spreads its attention evenly over the other tokens. Middle: with positions the weights form the anti-diagonal of a reversal. Right: a patch of a petal looks at other petals.](outcome.png)
#
# *What you will have built by the end of this week. Left: asked to reverse ten tokens, a layer without positions can only average the other nine. Middle: the same layer with positions reads backwards. Right: the same function on the patches of a photograph; the marked patch of a petal finds the other petals.*
#
# **After this week you can**
#
# - compute attention from two matrix products and a softmax, for many heads at once, and prove it against PyTorch;
# - use masks without leaking a single bit from the keys they hide;
# - count the cost of a layer before you run it;
# - say what attention cannot do without positions, and how well the best possible layer does then;
# - read one row of attention weights as a picture, and know what it does not tell you.
#
# **Time** about 12 hours: 4 of reading, 6 of coding, 2 of debugging. **You need** Python, PyTorch tensors and modules, and matrix products; ten questions in `docs/prerequisites.md` of the workbook show whether you know them. No earlier week.
#
# **How to work.** Each exercise gives you a stub, a `%check` cell right below it that runs the visible tests, a cell that draws what you have so far, three folded hints, and the tests themselves, folded as well: a click on the dots shows them. Run `%check` as often as you like. It stops at the first thing that is wrong and says what it saw. One rule holds for all exercises: a function leaves its arguments as they are, unless its docstring says that it changes them. After you submit, hidden tests check the same ideas on other inputs.
#
# **One vocabulary for the whole course**
#
# | letter | meaning | letter | meaning |
# | --- | --- | --- | --- |
# | $B$ | batch | $L$ | number of tokens ($L_q$ queries, $L_k$ keys) |
# | $D$ | width of the model | $H$ | number of heads |
# | $d$ | width of one head, $d = D / H$ | $d_v$ | width of one value |

# %% setup=true
# Run this cell first. It imports what the week uses, and makes random numbers the same each time.
# "No module named ..."? It is missing in this Python: the workbook's README says how to install it.
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import display
from torch import nn

from shared import checks, datasets, observe, plotting, profiling, session
from shared import profiles as profile

torch.manual_seed(0)
torch.set_num_threads(1)  # this week's tensors are tiny: more threads cost more than they give
session.begin()  # the style of figures, and %check

# %% explore=true
print(profile.describe())

# %% [markdown]
# ## Part 1. Looking things up softly
#
# A Python dictionary takes a *query*, finds the one *key* that is equal to it, and returns that key's *value*. If no key is equal, it fails.
#
# Attention is a dictionary that never fails. It compares the query with **every** key, turns the comparisons into weights that sum to 1, and returns the weighted average of **all** values.
#
# Take one query and three keys, each with two numbers:
#
# | | vector | query · key | weight | value |
# | --- | --- | --- | --- | --- |
# | query | (1, 0) | | | |
# | key 1 | (2, 0) | 2 | 0.787 | 10 |
# | key 2 | (0, 2) | 0 | 0.107 | 20 |
# | key 3 | (0, 0) | 0 | 0.107 | 30 |
#
# Key 1 points the same way as the query, so most of the weight goes to it. The answer is $0.787 \cdot 10 + 0.107 \cdot 20 + 0.107 \cdot 30 \approx 13.2$ (before we scale anything).
#
# **Predict.** Make the query ten times longer: (10, 0). What happens to the weights? Write your guess down, then run the next cell.

# %% explore=true compare=true
keys = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
values = torch.tensor([[10.0], [20.0], [30.0]])
for length_of_query in (0.1, 1.0, 10.0):
    toy_query = torch.tensor([length_of_query, 0.0])
    toy_weights = (keys @ toy_query).softmax(dim=0)
    looked_up = (toy_weights @ values).item()
    print(f"query ({length_of_query:4.1f}, 0): weights {toy_weights.numpy().round(3)}, answer {looked_up:.1f}")

# %% [markdown]
# A short query gives nearly the plain average, 19.3. A long one gives a hard choice, 10.0. So the **size of the scores** decides how soft the lookup is. That is why we must keep it under control.
#
# How large are scores? If the $d$ entries of query and key are independent, with mean 0 and variance 1, then each product $q_j k_j$ has variance 1, and their sum has variance $d$. Its standard deviation is $\sqrt d$: at $d = 64$ scores of $\pm 8$ are ordinary. Dividing by $\sqrt d$ brings them back to standard deviation 1, whatever $d$ is.

# %% [markdown] about="sdpa"
# ### Exercise 1. Scaled dot-product attention
#
# Everything else in this course is built on one equation (Vaswani et al. 2017, section 3.2.1, equation 1):
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right), \qquad \text{context} = \text{weights} \cdot V$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `query` | $(B, H, L_q, d)$ | what each position looks for |
# | `key` | $(B, H, L_k, d)$ | what each position offers |
# | `value` | $(B, H, L_k, d_v)$ | what each position hands over |
# | `mask` | broadcastable to $(B, H, L_q, L_k)$ | true or 1: this key **may** be attended |
# | `context` | $(B, H, L_q, d_v)$ | weighted averages of the values |
# | `weights` | $(B, H, L_q, L_k)$ | each row sums to 1 over the **keys** |
#
# The order matters: scale, mask, softmax, dropout, average. Two details decide whether your layer survives real training:
#
# - A masked score must end as weight 0. Multiplying weights by 0 after the softmax leaves rows that no longer sum to 1.
# - A large negative number must fit the dtype. `-1e9` does not fit float16, whose smallest number is -65504.
#
# A row with no allowed key has no right answer, but it must stay finite, and so must its gradient. One `nan` there would spread through the whole batch.
#
# **Two ways to write a product.** `a @ b` multiplies the last two dimensions. `torch.einsum` names all of them: for `a` of $(B, n, k)$ and `b` of $(B, k, m)$, `torch.einsum("bnk, bkm -> bnm", a, b)` is `a @ b`. A letter that is missing behind the arrow is summed over. Where you would otherwise have to think about which dimension is which, and transpose first, einsum reads better. Use either.


# %% exercise="sdpa" difficulty=2 minutes=60
class ScaledDotProductAttention(nn.Module):
    """Attention of queries over keys (Vaswani et al. 2017, section 3.2.1, equation 1).

    Parameters
    ----------
    head_dim : width d of one query and one key; the scores are scaled by 1 / sqrt(d).
    dropout : probability of dropping an attention weight while training, after the softmax.
    """

    def __init__(self, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.scale = 1.0 / math.sqrt(head_dim)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend. No loop over tokens; the arguments are not changed.

        Parameters
        ----------
        query : (B, H, Lq, d) float. key : (B, H, Lk, d) float. value : (B, H, Lk, dv) float.
        mask : bool or 0/1, broadcastable to (B, H, Lq, Lk); true or 1 means *may be attended*.

        Returns
        -------
        context : (B, H, Lq, dv), dtype of the inputs.
        weights : (B, H, Lq, Lk), rows sum to 1 over the keys. A row without any allowed key is finite. Where dropout is
            on, the weights before it or after it, as you like.

        Raises
        ------
        ValueError : when the last dimensions of query and key differ.
        """
        ### BEGIN SOLUTION
        if query.shape[-1] != key.shape[-1]:
            raise ValueError(f"query has width {query.shape[-1]} but key has width {key.shape[-1]}")
        scores = (query @ key.transpose(-2, -1)) * self.scale
        if mask is not None:
            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
        weights = self.dropout(scores.softmax(dim=-1))
        return weights @ value, weights
        ### END SOLUTION


# %% look="sdpa"
# Look: the weights of 5 queries over 7 keys, without and with a mask that hides the last three keys.
with checks.look():
    randn = checks.normal(seed=3)
    look_query, look_key, look_value = randn(1, 1, 5, 16), randn(1, 1, 7, 16), randn(1, 1, 7, 16)
    layer = ScaledDotProductAttention(head_dim=16)
    keep = torch.tensor([True, True, True, True, False, False, False])
    both = [layer(look_query, look_key, look_value)[1], layer(look_query, look_key, look_value, keep)[1]]
    print("sum over the keys, for each query:", both[0][0, 0].sum(-1).detach().numpy().round(3))
    titles = ["no mask", "last three keys masked"]
    display(plotting.attention_heatmaps(torch.cat(both)[:, 0], titles=titles, suptitle="your attention weights"))

# %% [markdown] hints="sdpa"
# <details><summary>Hint 1: the idea</summary>
#
# Two matrix products, with something between them. The first compares every query with every key: for that, the keys must be transposed in their last two dimensions. The second averages the values. `@` treats all leading dimensions as batch, so heads need no loop.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     check that query and key have the same width
#     scores  = query times key transposed, times the scale        (B, H, Lq, Lk)
#     scores  = where the mask is 0: the lowest finite number of this dtype
#     weights = softmax of the scores over the keys, then dropout
#     context = weights times value                                (B, H, Lq, dv)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `key.transpose(-2, -1)` swaps the last two dimensions. `scores.masked_fill(condition, number)` writes `number` wherever `condition` is true; the condition is "mask is 0", and comparing with `==` works for bool, integer and float masks alike. `torch.finfo(dtype).min` is the lowest finite number of a dtype. The softmax needs `dim=-1`. Keep an `nn.Dropout` as a submodule, so that `.eval()` switches it off.
#
# </details>
#
# <details><summary>My rows sum to less than 1, or a row is nan</summary>
#
# Less than 1: the mask was applied after the softmax. Mask the scores. `nan`: a row without any allowed key got `-inf` everywhere; the lowest finite number leaves such a row even, and finite.
#
# </details>

# %% [markdown]
# ### Look: why the scale is there
#
# A distribution over 64 keys can be spread out or sharp. Its **entropy** measures that: $\ln 64 \approx 4.16$ nats when all keys weigh the same, 0 when one key has everything.
#
# **Predict.** Draw queries and keys at random and let $d$ grow from 4 to 1024. What does the entropy do without the scale? And with it?

# %% explore=true
widths = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
entropy: dict[str, list[float]] = {"softmax(q·k)": [], "softmax(q·k / sqrt(d))": []}
slope: dict[str, list[float]] = {name: [] for name in entropy}
for d in widths:
    randn = checks.normal(seed=d)
    raw_scores = randn(256, d) @ randn(64, d).T
    for name, scaled in (("softmax(q·k)", raw_scores), ("softmax(q·k / sqrt(d))", raw_scores / math.sqrt(d))):
        p = scaled.softmax(-1)
        entropy[name].append(-(p * p.clamp_min(1e-30).log()).sum(-1).mean().item())
        slope[name].append((p * (1 - p)).mean().item())  # d softmax_i / d score_i, averaged over the keys

fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
for name in entropy:
    axes[0].plot(widths, entropy[name], marker="o", label=name)
    axes[1].plot(widths, slope[name], marker="o", label=name)
axes[0].axhline(math.log(64), color="gray", linestyle="--", linewidth=1)
axes[0].annotate(
    "all 64 keys equal: ln 64", (widths[-1], math.log(64)), ha="right", va="bottom", fontsize=9, color="gray"
)
axes[0].set(
    xscale="log",
    ylim=(0, 4.6),
    xlabel="width of a head, d",
    ylabel="entropy of a row (nats)",
    title="Sharpness of attention",
)
axes[1].set(
    xscale="log",
    ylim=(0, None),
    xlabel="width of a head, d",
    ylabel="mean slope p (1 - p)",
    title="What is left for the gradient",
)
for ax in axes:
    ax.set_xticks(widths[::2], widths[::2], minor=False)
    ax.minorticks_off()
axes[0].legend(loc="lower left")
plt.show()
spread = max(entropy["softmax(q·k / sqrt(d))"]) / min(entropy["softmax(q·k / sqrt(d))"]) - 1
print(f"scaled: the entropy varies by {spread:.0%} over all widths")
print(f"not scaled: it falls from {entropy['softmax(q·k)'][0]:.2f} to {entropy['softmax(q·k)'][-1]:.2f} nats")

# %% [markdown]
# **Explain.** Without the scale the scores grow with $\sqrt d$, the softmax saturates, and $p(1-p)$, the slope that the gradient has to pass through, goes towards 0. With the scale, entropy and slope hardly depend on $d$: you can change the width of a model without changing how it attends at the start of training.

# %% [markdown]
# ## Part 2. Masks: who may see whom
#
# Two masks cover most of what you will meet. A **padding mask** hides the filler at the end of short sequences. A **causal mask** hides the future. Both answer the same question for each pair: *may this query attend to this key?*

# %% [markdown] about="masks"
# ### Exercise 2. Two masks
#
# Sequences of different lengths share a batch only if the short ones are padded. The model must then behave as if the padding were not there.
#
# | function | input | output |
# | --- | --- | --- |
# | `padding_mask(lengths, max_len)` | `lengths` $(B,)$ int64 | $(B, 1, 1, L)$ bool, true at real tokens |
# | `causal_mask(length)` | an int | $(1, 1, L, L)$ bool, true where key $j \le$ query $i$ |
#
# The dimensions of size 1 let both masks broadcast over heads, and combine with `&`. Both functions follow one convention: **true means may be attended**. (`nn.MultiheadAttention` in PyTorch uses the opposite one. Mixing them up is the classic bug.)


# %% exercise="masks" difficulty=1 minutes=25
def padding_mask(lengths: torch.Tensor, max_len: int) -> torch.Tensor:
    """Mask that allows the first `lengths[b]` positions of each sequence.

    Parameters
    ----------
    lengths : (B,) int64, each from 1 to max_len.
    max_len : L, the padded length.

    Returns
    -------
    (B, 1, 1, L) bool on the device of `lengths`; true means *may be attended*.

    Raises
    ------
    ValueError : when a length is below 1 or above max_len.
    """
    ### BEGIN SOLUTION
    if bool((lengths < 1).any()) or bool((lengths > max_len).any()):
        raise ValueError(f"lengths must lie between 1 and {max_len}, got {lengths.tolist()}")
    positions = torch.arange(max_len, device=lengths.device)
    return (positions < lengths[:, None])[:, None, None, :]
    ### END SOLUTION


def causal_mask(length: int) -> torch.Tensor:
    """Mask that allows each position to attend to itself and to earlier ones.

    Parameters
    ----------
    length : L, the number of tokens.

    Returns
    -------
    (1, 1, L, L) bool; entry [0, 0, i, j] is true when j <= i.
    """
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()[None, None]
    ### END SOLUTION


# %% look="masks"
# Look: both masks, and what `&` makes of them. Yellow: may be attended.
with checks.look():
    pad, causal = padding_mask(torch.tensor([4, 6]), 6), causal_mask(6)
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.4))
    titles = ("padding: sequence 0 has 4 tokens", "causal", "padding & causal, sequence 0")
    for ax, shown, title in zip(axes, (pad[0, 0].expand(6, 6), causal[0, 0], (pad & causal)[0, 0]), titles):
        plotting.heatmap(ax, shown.float(), title=title, xlabel="key position", ylabel="query position", colorbar=False)
    plt.show()

# %% [markdown] hints="masks"
# <details><summary>Hint 1: the idea</summary>
#
# Both masks compare positions. Number the positions 0, 1, 2, …; then a real token is one whose number is below the length, and the past is where the key's number is not above the query's.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     padding: if any length is < 1 or > max_len: ValueError
#              numbers 0 ... max_len-1 as a row, lengths as a column
#              compare by broadcasting: (B, L); then insert the two dimensions of size 1
#     causal:  the lower triangle, diagonal included, of an L x L matrix of true
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.arange(n, device=...)` gives the numbers. `lengths[:, None]` is a column $(B, 1)$; comparing a row with it gives $(B, L)$. Index with `None` to insert dimensions: `m[:, None, None, :]`. `.tril()` keeps the lower triangle, and works on bool tensors.
#
# </details>
#
# <details><summary>The size of tensor a must match the size of tensor b</summary>
#
# Numbers `(L,)` against lengths `(B,)` do not line up: make the lengths a column, `lengths[:, None]`. And a mask of shape $(B, L)$ does not broadcast to $(B, H, L, L)$: two dimensions of size 1 are missing between $B$ and $L$.
#
# </details>

# %% [markdown]
# ## Part 3. Many heads
#
# One softmax gives one set of weights: each token can look for **one** kind of thing. Several heads look for several kinds at the same time. Each head works on its own $d = D/H$ columns, so the total work stays the same.
#
# **Predict.** A layer with 8 heads instead of 1, at the same width $D$: how many more multiplications does it need? You will count them in exercise 4.

# %% [markdown] about="mha"
# ### Exercise 3. Multi-head attention
#
# Project queries, keys and values, cut each projection into $H$ heads of width $d = D/H$, attend in every head, put the heads side by side again, and project once more (Vaswani et al. 2017, section 3.2.2):
#
# $$\text{head}_h = \operatorname{attention}(X W^Q_h,\; X W^K_h,\; X W^V_h), \qquad \text{output} = [\text{head}_1; \dots; \text{head}_H]\, W^O$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `query` | $(B, L_q, D)$ | what attends |
# | `key`, `value` | $(B, L_k, D)$ | what is attended; `key` defaults to `query`, `value` to `key` |
# | `mask` | broadcastable to $(B, H, L_q, L_k)$ | true or 1: may be attended |
# | `output` | $(B, L_q, D)$ | one vector for each query |
# | `weights` | $(B, H, L_q, L_k)$ | the attention of every head |
#
# The trap is the order of dimensions. A row of $D$ numbers splits into $(H, d)$ where it stands: $(B, L, D) \to (B, L, H, d)$. Then the heads must move in front of the tokens: $(B, H, L, d)$. A `reshape` straight to $(B, H, L, d)$ has the right shape and mixes up the tokens.


# %% exercise="mha" difficulty=3 minutes=90 uses="sdpa"
class MultiHeadAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2).

    Parameters
    ----------
    d_model : width D of the tokens. n_heads : number of heads H.
    dropout : probability of dropping an attention weight while training.

    Raises
    ------
    ValueError or AssertionError : when d_model is not divisible by n_heads.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not divisible by n_heads={n_heads}")
        self.n_heads = n_heads
        self.to_query = nn.Linear(d_model, d_model)
        self.to_key = nn.Linear(d_model, d_model)
        self.to_value = nn.Linear(d_model, d_model)
        self.to_output = nn.Linear(d_model, d_model)
        self.attention = ScaledDotProductAttention(d_model // n_heads, dropout)
        ### END SOLUTION

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor | None = None,
        value: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend with every head.

        Parameters
        ----------
        query : (B, Lq, D) float. key : (B, Lk, D), defaults to `query`. value : (B, Lk, D), defaults to `key`.
        mask : bool or 0/1, broadcastable to (B, H, Lq, Lk); true or 1 means *may be attended*.

        Returns
        -------
        output : (B, Lq, D). weights : (B, H, Lq, Lk).
        """
        ### BEGIN SOLUTION
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = (
            self.split(self.to_query(query)),
            self.split(self.to_key(key)),
            self.split(self.to_value(value)),
        )
        context, weights = self.attention(q, k, v, mask)
        merged = context.transpose(1, 2).flatten(2)
        return self.to_output(merged), weights

    def split(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, L, D) -> (B, H, L, d): each head gets its own columns of every token."""
        return tokens.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        ### END SOLUTION

    def projection_weights(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """The four projections as `{"q": (weight, bias), "k": ..., "v": ..., "out": ...}`.

        Each weight is (D, D), laid out as in `nn.Linear` (output features first); each bias is (D,).
        The tests read your weights through this method, so you may store them as you like.
        """
        ### BEGIN SOLUTION
        layers = {"q": self.to_query, "k": self.to_key, "v": self.to_value, "out": self.to_output}
        return {name: (layer.weight, layer.bias) for name, layer in layers.items()}
        ### END SOLUTION


# %% look="mha"
# Look: four heads of an untrained layer read the same 8 tokens. Do they look for the same thing?
with checks.look():
    torch.manual_seed(1)
    look_layer = MultiHeadAttention(d_model=32, n_heads=4)
    _, look_weights = look_layer(3 * checks.normal(seed=4)(1, 8, 32))
    vmax = look_weights.max().item()
    display(plotting.attention_heatmaps(look_weights[0], vmax=vmax, suptitle="four heads, not trained"))

# %% [markdown] hints="mha"
# <details><summary>Hint 1: the idea</summary>
#
# Four `nn.Linear(D, D)` and the module of exercise 1. Everything new is bookkeeping: cutting $D$ into heads before attention, and putting the heads back together after it. Cutting and merging must be exact opposites.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     fill in the defaults: key from query, value from key
#     q, k, v = project query, key, value                   (B, L, D)
#     cut each: (B, L, D) -> (B, L, H, d) -> (B, H, L, d)
#     context, weights = attention(q, k, v, mask)           (B, H, Lq, d)
#     merge: (B, H, Lq, d) -> (B, Lq, H, d) -> (B, Lq, D)
#     return the output projection of it, and the weights
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `x.view(B, L, H, d)` or `x.unflatten(-1, (H, d))` cuts the last dimension. `.transpose(1, 2)` swaps tokens and heads. To merge, swap them back first, then `.flatten(2)` or `.reshape(B, L, D)`. With einops: `rearrange(x, "b l (h d) -> b h l d", h=H)`.
#
# </details>
#
# <details><summary>I get: shape '[2, 6, 4, 4]' is invalid, or view size is not compatible</summary>
#
# Take `L` from the tensor that you cut: with cross-attention, query and key have different lengths. After a transpose use `.reshape` or `.flatten`; `.view` needs memory in order.
#
# </details>

# %% [markdown]
# The tests below compare your layer with PyTorch's. This helper gives PyTorch's layer your weights.


# %% given="torch-twin"
def torch_twin(projections: dict[str, tuple[torch.Tensor, torch.Tensor]], n_heads: int) -> nn.MultiheadAttention:
    """PyTorch's `nn.MultiheadAttention` with these projections, in eval mode, on the same dtype."""
    weight, bias = projections["out"]
    twin = nn.MultiheadAttention(len(bias), n_heads, batch_first=True).to(weight.dtype).eval()
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.cat([projections[name][0] for name in "qkv"]))
        twin.in_proj_bias.copy_(torch.cat([projections[name][1] for name in "qkv"]))
        twin.out_proj.weight.copy_(weight)
        twin.out_proj.bias.copy_(bias)
    return twin


def twin_answer(
    twin: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output (B, Lq, D) and the weights of every head (B, H, Lq, Lk), without gradient.

    `mask` is bool, (B, H, Lq, Lk), and true where a key may be attended; PyTorch's layer wants the opposite.
    """
    hidden = None if mask is None else ~mask.flatten(0, 1)
    with torch.no_grad():
        output, weights = twin(query, key, value, attn_mask=hidden, average_attn_weights=False)
    return output, weights


# %% [markdown]
# ### Milestone: the real thing
#
# The same weights in your layer and in PyTorch's give the same numbers. From here on you may use PyTorch's layer, because you know what is inside.

# %% explore=true
torch.manual_seed(0)
tokens = checks.normal(seed=0)(4, 50, 512)
big = MultiHeadAttention(512, 8)
real_output, real_weights = twin_answer(torch_twin(big.projection_weights(), 8), tokens, tokens, tokens)
with torch.no_grad():
    my_output, my_weights = big(tokens)
print(f"D = 512, 8 heads, 50 tokens: outputs differ by at most {(my_output - real_output).abs().max():.1e}")
print(f"                             weights differ by at most {(my_weights - real_weights).abs().max():.1e}")

# %% [markdown] about="flops"
# ### Exercise 4. What does it cost?
#
# Before you run a layer, you should know what it costs. Count floating-point operations (FLOPs). A product of an $(m, k)$ and a $(k, n)$ matrix has $mkn$ multiply-adds, and each counts as **2** FLOPs.
#
# | step | product | multiply-adds |
# | --- | --- | --- |
# | four projections | $(L, D) \times (D, D)$, four times | $4 L D^2$ |
# | scores, all heads | $H$ times $(L, d) \times (d, L)$ | ? |
# | weighted average, all heads | $H$ times $(L, L) \times (L, d)$ | ? |
#
# Fill in the last two rows, remembering $H d = D$. Softmax, biases and masks are small and do not count.


# %% exercise="flops" difficulty=2 minutes=25
def attention_flops(length: int, d_model: int, n_heads: int) -> int:
    """FLOPs of one self-attention layer on one sequence, the four projections included.

    Parameters
    ----------
    length : number of tokens L. d_model : width D. n_heads : number of heads H; divides D.

    Returns
    -------
    FLOPs as an int, 2 for each multiply-add; softmax, biases and masks not counted.
    """
    ### BEGIN SOLUTION
    head_dim = d_model // n_heads
    projections = 4 * length * d_model * d_model
    scores_and_average = 2 * n_heads * length * length * head_dim
    return 2 * (projections + scores_and_average)
    ### END SOLUTION


# %% look="flops"
# Look: where the cost comes from as the sequence grows (D = 512, 8 heads).
with checks.look():
    lengths_shown = [2**k for k in range(4, 15)]
    total = [attention_flops(n, 512, 8) / 1e9 for n in lengths_shown]
    linear = [8 * n * 512**2 / 1e9 for n in lengths_shown]
    fig, ax = plt.subplots(figsize=(7, 3.8))
    ax.plot(lengths_shown, total, marker="o", label="your count")
    ax.plot(lengths_shown, linear, linestyle="--", label="projections alone, $8 L D^2$")
    ax.axvline(2 * 512, color="gray", linewidth=1)
    ax.annotate("L = 2 D", (2 * 512, min(linear)), xytext=(6, 0), textcoords="offset points", color="gray")
    ax.set(xscale="log", yscale="log", xlabel="tokens L", ylabel="GFLOPs", title="One attention layer, D = 512")
    ax.legend()
    plt.show()

# %% [markdown] hints="flops"
# <details><summary>Hint 1: the idea</summary>
#
# Write down the shapes of every matrix product in your layer, and multiply three numbers for each.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     multiply-adds = four projections: L*D*D each
#                   + scores: for each of H heads, (L, d) times (d, L)
#                   + average: for each of H heads, (L, L) times (L, d)
#     FLOPs = 2 * multiply-adds
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# Scores and average cost $H L^2 d$ multiply-adds each, and $H d = D$. So both together are $2 L^2 D$ multiply-adds, and the number of heads has gone. Return an `int`: no `/`.
#
# </details>
#
# <details><summary>I get half of what is expected, or a float</summary>
#
# Half: each multiply-add counts as 2 FLOPs. A float: somewhere stands `/`; use `//`, or products only.
#
# </details>

# %% [markdown]
# ### Profiling corner
#
# **Predict.** At which length do scores and average together cost as much as the projections? Set the two parts of your count equal and solve for $L$. Then read the table.

# %% explore=true compare=true
rows = []
for length in (16, 64, 256, 1024, 4096):
    flops = attention_flops(length, 512, 8)
    quadratic = flops - 8 * length * 512**2  # what is left without the four projections
    rows.append({"tokens": length, "MFLOPs": round(flops / 1e6), "share of the L² part": f"{quadratic / flops:.1%}"})
print(profiling.table(rows, title="One attention layer, D = 512"))
print("heads 1, 2, 4, 8, 16 at L = 256:", {attention_flops(256, 512, h) for h in (1, 2, 4, 8, 16)})

# %% [markdown]
# At $L = 2D = 1024$ both halves cost the same. Below, attention is mostly four linear layers; "attention is quadratic" is true, and at 64 tokens it is 6 % of the story. And the number of heads does not appear at all: *multi-head costs H times more* is a myth at fixed width.
#
# FLOPs are not seconds. Measure:

# %% explore=true
timed = MultiHeadAttention(profile.pick(cpu=128, gpu=512), 8).to(profile.device()).eval()
rows = []
for length in profile.pick(cpu=(64, 256, 1024), gpu=(64, 512, 4096)):
    batch_of_one = torch.zeros(1, length, profile.pick(cpu=128, gpu=512), device=profile.device())
    with torch.no_grad():
        took = profiling.latency(timed, batch_of_one, warmup=3, runs=10)
        heads = batch_of_one.unflatten(-1, (8, -1)).transpose(1, 2).contiguous()
        fused = profiling.latency(F.scaled_dot_product_attention, heads, heads, heads, warmup=3, runs=10)
    gflops = attention_flops(length, profile.pick(cpu=128, gpu=512), 8) / 1e9
    rows.append(
        {
            "tokens": length,
            "GFLOPs": gflops,
            "your layer, median ms": took.p50_ms,
            "90 % below": took.p90_ms,
            "GFLOP/s": round(gflops / took.p50_ms * 1e3),
            "torch's fused core alone, ms": fused.p50_ms,
        }
    )
print(profiling.table(rows, title="Latency on this machine"))

# %% [markdown]
# ## Part 4. What attention cannot do
#
# Give a layer 10 random tokens and ask for them backwards. Token 0 of the output should be token 9 of the input. Every output is a copy of *one* input, so attention, a soft lookup, should be perfect for it.
#
# **Predict.** How far does the mean squared error fall below 1, the variance of the tokens?

# %% [markdown] about="reverse"
# ### Exercise 5. The task, and the floor under it
#
# A layer without positions is **permutation equivariant**: shuffle the input, and the output is shuffled in the same way. You tested that in exercise 3. So such a layer cannot know which token is first. At output $i$ it sees its own token $x_i$ and the *set* of the others.
#
# The target at $i$ is $x_{L-1-i}$. From where the layer stands, each candidate is equally likely. The best guess under squared error is the mean of the candidates.
#
# - $L$ even: the target is never the token itself. There are $n = L - 1$ candidates.
# - $L$ odd: the middle token is its own target. All $n = L$ tokens are candidates, equally likely.
#
# The mean squared distance between one of $n$ independent numbers and their mean is $\sigma^2 (1 - 1/n)$. That is the **floor**: without positions, no training, width or depth gets below it.
#
# | function | output |
# | --- | --- |
# | `reverse_batch(batch, length, d_model, generator)` | `x` $(B, L, D)$ standard normal, and `y`, the same tokens in reverse order |
# | `position_free_floor(length, variance)` | the floor, a float |


# %% exercise="reverse" difficulty=4 minutes=50
def reverse_batch(
    batch: int, length: int, d_model: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw random token sequences and their reversals.

    Parameters
    ----------
    batch, length, d_model : B, L, D.
    generator : the only source of randomness; the tensors lie on its device.

    Returns
    -------
    x : (B, L, D) float32, independent standard normal entries.
    y : (B, L, D), y[:, i] = x[:, L - 1 - i].
    """
    ### BEGIN SOLUTION
    x = torch.randn(batch, length, d_model, generator=generator, device=generator.device)
    return x, x.flip(1)
    ### END SOLUTION


def position_free_floor(length: int, variance: float) -> float:
    """Least mean squared error of any permutation-equivariant map on the reversal task.

    Parameters
    ----------
    length : number of tokens L >= 2. variance : variance of each entry of the i.i.d. tokens.

    Returns
    -------
    The floor: variance times (1 - 1/n), with n candidates for each target.
    """
    ### BEGIN SOLUTION
    candidates = length - 1 if length % 2 == 0 else length
    return variance * (1 - 1 / candidates)
    ### END SOLUTION


# %% look="reverse"
# Look: one number of each token, before and after, and the floor for every length.
with checks.look():
    x, y = reverse_batch(1, 10, 8, torch.Generator().manual_seed(0))
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), width_ratios=(1, 1, 1.4))
    for ax, shown, title in ((axes[0], x, "x"), (axes[1], y, "y: the same, backwards")):
        plotting.heatmap(ax, shown[0], title=title, xlabel="dimension", ylabel="token", diverging=True, vmin=-3, vmax=3)
    floor_lengths = list(range(2, 21))
    axes[2].plot(floor_lengths, [position_free_floor(n, 1.0) for n in floor_lengths], marker="o")
    axes[2].set(xlabel="length L", ylabel="floor / variance", ylim=(-0.05, 1.05), title="Best error without positions")
    axes[2].set_xticks(floor_lengths[::3])
    plt.show()

# %% [markdown] hints="reverse"
# <details><summary>Hint 1: the idea</summary>
#
# The batch is one call of a random generator and one flip. For the floor, first decide how many candidates there are, then put the number into the formula above. Check yourself with $L = 2$: two tokens can always be swapped, without knowing which is first, so the floor must be 0.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     x = standard normal numbers of shape (B, L, D) from the generator
#     y = x with the token dimension reversed
#
#     n = L - 1 if L is even, else L
#     floor = variance * (1 - 1/n)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `torch.randn(..., generator=g, device=g.device)`: without `generator=` the numbers come from the global state, and the batch cannot be repeated. `tensor.flip(k)` reverses dimension `k`; the dimensions here are batch 0, token 1, entry 2. `torch.rand` is uniform on [0, 1): it has variance 1/12, not 1.
#
# </details>
#
# <details><summary>My floor for ten tokens is 0.9</summary>
#
# That is $1 - 1/10$: the token itself was counted as a candidate. For an even length it is never its own target, so nine are left.
#
# </details>

# %% [markdown] about="reverser"
# ### Exercise 6. A layer that knows where it is
#
# To reverse, query $i$ must find key $L-1-i$. So queries and keys need to know their **position**. The value does not: it only has to be handed over. So we add a learned vector per position to queries and keys, and leave the values alone:
#
# $$q_i = k_i = x_i + p_i, \qquad v_i = x_i, \qquad p_i \sim \mathcal N(0, 1) \text{ at the start, then learned}$$
#
# | name | shape | meaning |
# | --- | --- | --- |
# | positions | $(1, L, D)$ | an `nn.Parameter`, drawn with standard deviation **1.0** |
# | `PositionedReverser(length, d_model, n_heads)(x)` | output $(B, L, D)$, weights $(B, H, L, L)$ | your multi-head layer with positions |
# | `train_reverser(model, ...)` | list of `steps` floats | the loss of every step |
# | `antidiagonal_mass(weights)` | $(B, H)$ | mean over rows $i$ of `weights[..., i, L-1-i]` |
#
# The mass is 1 when every query looks exactly at its mirror image, and $1/L$ when attention is uniform.


# %% exercise="reverser" difficulty=3 minutes=70 uses="sdpa, mha, reverse"
class PositionedReverser(nn.Module):
    """One multi-head attention layer with learned positions in queries and keys, but not in values.

    Parameters
    ----------
    length : number of tokens L. d_model : width D. n_heads : number of heads H.
    """

    def __init__(self, length: int, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.length, self.d_model = length, d_model
        ### BEGIN SOLUTION
        self.positions = nn.Parameter(torch.randn(1, length, d_model))
        self.attention = MultiHeadAttention(d_model, n_heads)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map x (B, L, D) to output (B, L, D) and weights (B, H, L, L)."""
        ### BEGIN SOLUTION
        placed = x + self.positions
        return self.attention(placed, placed, x)
        ### END SOLUTION


def train_reverser(model: nn.Module, steps: int = 500, lr: float = 1e-3, batch: int = 32, seed: int = 0) -> list[float]:
    """Train all parameters of a model on the reversal task with Adam and the mean squared error.

    Every step draws a fresh batch: one call of `reverse_batch`, all of them with one generator.

    Parameters
    ----------
    model : maps (B, L, D) to (output, weights); has the attributes `length` and `d_model`.
    steps : number of optimizer steps. lr : learning rate of Adam. batch : sequences a step.
    seed : of the generator.

    Returns
    -------
    The loss of every step, before its update: `steps` floats.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x, y = reverse_batch(batch, model.length, model.d_model, generator)
        loss = F.mse_loss(model(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


def antidiagonal_mass(weights: torch.Tensor) -> torch.Tensor:
    """How much of the attention lies on the anti-diagonal.

    Parameters
    ----------
    weights : (B, H, L, L), rows sum to 1.

    Returns
    -------
    (B, H): the mean over i of weights[..., i, L - 1 - i].
    """
    ### BEGIN SOLUTION
    return weights.flip(-1).diagonal(dim1=-2, dim2=-1).mean(-1)
    ### END SOLUTION


# %% look="reverser"
# Look: attention before training and after a few steps, and the loss so far.
with checks.look():
    torch.manual_seed(0)
    look_model = PositionedReverser(length=10, d_model=64, n_heads=4)
    look_x = checks.normal(seed=9)(1, 10, 64)
    before = look_model(look_x)[1][0, 0]
    look_losses = train_reverser(look_model, steps=80)
    after = look_model(look_x)[1][0, 0]
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), width_ratios=(1, 1, 1.3))
    for ax, shown, title in (
        (axes[0], before, "head 0, not trained"),
        (axes[1], after, "head 0, after 80 steps"),
    ):
        plotting.heatmap(ax, shown, title=title, xlabel="key position", ylabel="query position", vmin=0, vmax=1)
    axes[2].plot(look_losses)
    axes[2].set(xlabel="step", ylabel="mean squared error", ylim=(0, None), title="Loss of the first 80 steps")
    plt.show()

# %% [markdown] hints="reverser"
# <details><summary>Hint 1: the idea</summary>
#
# Your layer of exercise 3 takes query, key and value separately. Give it the tokens *with* positions as query and key, and the tokens *without* as value. Training is the loop you know: draw, predict, loss, gradient, step.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     init:    positions = parameter, standard normal, (1, L, D); one multi-head layer
#     forward: query = key = x plus positions, value = x
#
#     train:   one generator from the seed, one Adam
#              each step: new batch -> output -> mean squared error to y
#                         clear old gradients, backward, step, note the loss
#
#     mass:    pick weights[..., i, L-1-i] for every i, then the mean over i
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `nn.Parameter(tensor)` registers the positions, so that `model.parameters()` contains them. `F.mse_loss(a, b)` averages over everything. Call `optimizer.zero_grad()` in every step: gradients add up otherwise. For the mass, `.flip(-1)` turns the anti-diagonal into the diagonal, and `.diagonal(dim1=-2, dim2=-1)` picks it.
#
# </details>
#
# <details><summary>My loss stops near 0.12, or near 0.89</summary>
#
# Near 0.89 the layer has no usable positions: are they in query *and* key, with standard deviation 1.0? Near 0.12 the positions are in the values too. The experiment below explains both numbers.
#
# </details>

# %% [markdown]
# ### The experiment: seven layers, one task
#
# Each line below trains one layer for 500 steps on fresh batches of 10 tokens, 64 numbers each. Only the positions differ: none, or drawn with some standard deviation, or fixed sines; added to the tokens (so they reach the values as well), or to queries and keys only. Two lines use uniform inputs (`torch.rand`).
#
# **Predict.** Order the seven errors before you run the cell.

# %% explore=true
L, D, H = profile.pick(cpu=(10, 64, 4), gpu=(64, 512, 8))
STEPS = profile.pick(cpu=500, gpu=2000)


class AddedToTokens(nn.Module):
    """Positions added to the tokens: they reach queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.length, self.d_model = L, D
        self.layer = MultiHeadAttention(D, H)
        self.where = nn.Parameter(torch.zeros(1, L, D).normal_())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x + self.where)


def sines() -> torch.Tensor:
    """The fixed positions of Vaswani et al. 2017, section 3.5: (L, D)."""
    angle = torch.arange(L)[:, None] / 10_000 ** (torch.arange(0, D, 2) / D)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def reverser(std: float | None = None, fixed: torch.Tensor | None = None) -> nn.Module:
    """Your PositionedReverser; its positions rescaled to `std`, or replaced by `fixed` and frozen."""
    model = PositionedReverser(L, D, H)
    (positions,) = [p for p in model.parameters() if p.shape == (1, L, D)]
    with torch.no_grad():
        positions.copy_(fixed[None] if fixed is not None else positions * std)
    positions.requires_grad_(fixed is None)
    return model


def fit(model: nn.Module, draw: str = "normal") -> tuple[list[float], float, torch.Tensor]:
    """Losses, error on 512 new sequences, and the weights (H, L, L) averaged over them."""
    device = profile.device()
    model.to(device)
    generator = torch.Generator(device).manual_seed(0)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def batch(n: int) -> torch.Tensor:
        sample = torch.randn if draw == "normal" else torch.rand
        return sample(n, L, D, generator=generator, device=device)

    history = []
    for _ in range(STEPS):
        tokens = batch(32)
        optimizer.zero_grad()
        error = (model(tokens)[0] - tokens.flip(1)).square().mean()
        error.backward()
        optimizer.step()
        history.append(error.item())
    with torch.no_grad():
        tokens = batch(512)
        out, attended = model(tokens)
        return history, (out - tokens.flip(1)).square().mean().item(), attended.mean(0).cpu()


recipes = {
    "no positions": lambda: reverser(fixed=torch.zeros(L, D)),
    "learned, std 1.0, added to the tokens": AddedToTokens,
    "sines, queries and keys only": lambda: reverser(fixed=sines()),
    "learned, std 0.02, queries and keys only": lambda: reverser(std=0.02),
    "learned, std 1.0, queries and keys only": lambda: reverser(std=1.0),
}
results = {}
for name, make in recipes.items():
    torch.manual_seed(0)
    results[name] = fit(make())
uniform_results = {}
for name in ("no positions", "learned, std 1.0, queries and keys only"):
    torch.manual_seed(0)
    uniform_results[name] = fit(recipes[name](), draw="uniform")

floor = position_free_floor(L, 1.0)
rows = [
    {
        "positions": name,
        "inputs": inputs,
        "error": f"{error:.4f}",
        "floor": f"{position_free_floor(L, variance):.4f}",
        "anti-diagonal": f"{antidiagonal_mass(attended[None]).mean():.2f}",
    }
    for inputs, variance, table in (("normal", 1.0, results), ("uniform", 1 / 12, uniform_results))
    for name, (_, error, attended) in table.items()
]
print(profiling.table(rows, title=f"Reversal of {L} tokens after {STEPS} steps"))
best = results["learned, std 1.0, queries and keys only"]
print(f"\ntarget: error < 0.01, reached {best[1]:.4f}; floor without positions {floor:.3f}")

# %% explore=true
fig = plotting.curves(
    {name: history for name, (history, _, _) in results.items()},
    xlabel="step",
    ylabel="mean squared error",
    title="Reversing 10 random tokens",
    log_y=True,
    levels={"floor without positions": floor},
)
fig

# %% [markdown]
# **Explain.** Four facts, each in the table:
#
# 1. **Without positions the layer stops at the floor**, 0.889 for ten tokens. It did learn. Look at its weights below: every token attends to all the others and not to itself, just the mean of the candidates. More steps would not help.
# 2. **Compare with the floor, not with a feeling.** With uniform inputs the variance is 1/12 = 0.083, so even a layer that learned nothing shows a "small" error. An alarm like *stalls above 0.1* stays silent.
# 3. **Positions in the values come out again.** The layer with positions added to the tokens attends perfectly, and its error still sticks near 0.12. Ten position vectors, minus their mean, span 9 of 64 dimensions. There, no linear output map can tell content from position. The next cell computes what the best one leaves.
# 4. **A start of 0.02 is drowned.** The tokens have standard deviation 1, so scores carry hardly any position at first, and learning starts late.

# %% explore=true
# Fact 3 in closed form. The layer sees z = x + p with x ~ N(0, I) and p one of the L positions. The best affine
# map back to x leaves, in each principal direction of the positions with variance s, the error s / (1 + s).
trained = AddedToTokens()
torch.manual_seed(0)
_, reached, _ = fit(trained)
p = trained.where.detach()[0].cpu().double()
variances = torch.linalg.eigvalsh((p - p.mean(0)).T @ (p - p.mean(0)) / L).clamp_min(0)
print(f"directions with position content: {(variances > 1e-6).sum()} of {D}")
print(f"best affine map leaves {(variances / (1 + variances)).mean():.3f}; the layer reached {reached:.3f}")

# %% explore=true
fig = plotting.attention_heatmaps(
    torch.stack([results["no positions"][2][0], best[2][0]]),
    titles=["no positions", "with positions"],
    suptitle=f"head 0: anti-diagonal mass {antidiagonal_mass(results['no positions'][2][None])[0, 0]:.2f} and "
    f"{antidiagonal_mass(best[2][None])[0, 0]:.2f}",
)
fig

# %% explore=true
fig = plotting.attention_heatmaps(best[2], suptitle="all heads of the trained reverser")
fig

# %% [markdown]
# **When a layer of yours does not learn**, look at three sums first. They cost nothing and find most bugs: rows that do not sum to 1 (softmax over the wrong dimension, mask after softmax), weights that are all equal (no signal in the scores), weights that are all 0 or 1 at the start (no scale).

# %% explore=true
with torch.no_grad():
    fresh = PositionedReverser(10, 64, 4)
    sums_x = checks.normal(seed=2)(8, 10, 64)
    sums_weights = fresh(sums_x)[1]
print(f"sum over keys:    from {sums_weights.sum(-1).min():.6f} to {sums_weights.sum(-1).max():.6f}   (want 1)")
print(
    f"largest weight:   {sums_weights.max(-1).values.mean():.3f} on average           (1/L = 0.1 means no signal, 1 means saturated)"
)
sums_entropy = -(sums_weights * sums_weights.log()).sum(-1).mean()
print(f"entropy of a row: {sums_entropy:.3f} nats of at most {math.log(10):.3f}")

# %% [markdown]
# ## Part 5. From tokens to patches
#
# A sentence is a line of tokens. An image can be one too: cut it into square patches and put them in a row. Attention does not notice the difference. **You** do, when you want to see what it looked at: then the row has to become a picture again.

# %% [markdown] about="rowmap"
# ### Exercise 7. One row as a picture
#
# Take the attention of one patch to all patches, and fold it back into the grid. Some models put extra tokens in front (a class token, registers). They are no patches: drop them, and rescale what is left to sum 1.
#
# | name | shape | meaning |
# | --- | --- | --- |
# | `weights` | $(B, H, L_q, L_k)$ | attention; prefix tokens first, then patches row by row |
# | `query_index` | int | number of the **patch** that attends; prefix tokens do not count |
# | `grid_hw` | (gh, gw) | rows and columns of patches |
# | result | $(B, H, gh, gw)$ | the row of that patch as a map, sum 1 |


# %% exercise="rowmap" difficulty=2 minutes=25
def attention_row_to_map(
    weights: torch.Tensor, query_index: int, grid_hw: tuple[int, int], n_prefix: int = 0
) -> torch.Tensor:
    """The attention of one patch to all patches, as an image.

    Parameters
    ----------
    weights : (B, H, Lq, Lk) with Lq = Lk = n_prefix + gh * gw; prefix tokens come first, then patches row by row.
    query_index : which patch attends, from 0; prefix tokens are not counted.
    grid_hw : (gh, gw), rows and columns of the grid of patches.
    n_prefix : number of tokens before the first patch.

    Returns
    -------
    (B, H, gh, gw), each map rescaled to sum 1.

    Raises
    ------
    ValueError : when gh * gw + n_prefix is not Lk.
    """
    ### BEGIN SOLUTION
    rows, columns = grid_hw
    if rows * columns + n_prefix != weights.shape[-1]:
        raise ValueError(f"{rows} x {columns} patches and {n_prefix} prefix tokens are not {weights.shape[-1]} keys")
    row = weights[..., n_prefix + query_index, n_prefix:]
    return (row / row.sum(-1, keepdim=True)).unflatten(-1, (rows, columns))
    ### END SOLUTION


# %% look="rowmap"
# Look: planted attention that falls off with the distance from patch (row 1, column 4) of a 4 x 6 grid.
with checks.look():
    cells = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij"), dim=-1).reshape(24, 2)
    near_weights = (-torch.cdist(cells, cells)).softmax(-1)[None, None]
    fig, ax = plt.subplots(figsize=(5, 3.2))
    folded = attention_row_to_map(near_weights, 1 * 6 + 4, (4, 6))[0, 0]
    plotting.heatmap(ax, folded, title="should peak at row 1, column 4", xlabel="column", ylabel="row")
    plt.show()

# %% [markdown] hints="rowmap"
# <details><summary>Hint 1: the idea</summary>
#
# Three steps: pick the row of the query, throw away the columns of the prefix, fold the rest into the grid. Row and column numbers both start with the prefix.
#
# </details>
# <details><summary>Hint 2: pseudocode</summary>
#
#     if gh * gw + n_prefix is not the number of keys: ValueError
#     row = weights of query (n_prefix + query_index) to the keys from n_prefix on      (B, H, gh*gw)
#     divide by its sum
#     reshape the last dimension to (gh, gw)
#
# </details>
# <details><summary>Hint 3: nearly code</summary>
#
# `weights[..., i, j:]` picks row `i` and the columns from `j` on. `row.sum(-1, keepdim=True)` keeps a dimension of size 1, so that the division broadcasts as it should. `.unflatten(-1, (gh, gw))` folds row by row.
#
# </details>
#
# <details><summary>My map is shifted, or does not sum to 1</summary>
#
# Shifted: prefix tokens count in rows *and* columns of the weights. Not 1: what went to the prefix was dropped; divide by the sum of what is left.
#
# </details>

# %% [markdown]
# ### Token attention beside patch attention
#
# Now the same function, `ScaledDotProductAttention`, on a photograph. No training: queries, keys and values are the pixels of 16 × 16 patches, standardized so that each of the 768 numbers has mean 0 and variance 1 over the patches.
#
# **Predict.** With that standardization and the scale $1/\sqrt{768}$, what is the standard deviation of the scores?

# %% explore=true
photo = datasets.photograph("flower", height=416, width=640)
P = 16
grid_hw = (416 // P, 640 // P)
squares = [
    photo.image[:, top : top + P, left : left + P].flatten() for top in range(0, 416, P) for left in range(0, 640, P)
]
pixels = torch.stack(squares)[None, None]  # (1, 1, 26*40, 3*16*16)
pixels = (pixels - pixels.mean(2, keepdim=True)) / pixels.std(2, keepdim=True)
score_std = (pixels @ pixels.transpose(-2, -1) / math.sqrt(pixels.shape[-1])).std().item()
chosen = (9, 16)  # row and column of a patch on a petal
patch_maps = {}
with torch.no_grad():
    attention_of_patches = ScaledDotProductAttention(pixels.shape[-1])
    for name, asking in (("as it is", pixels), ("scores brought to std 1", pixels / score_std)):
        _, patch_weights = attention_of_patches(asking, pixels, pixels)
        row_map = attention_row_to_map(patch_weights, chosen[0] * grid_hw[1] + chosen[1], grid_hw)[0, 0]
        patch_maps[name] = row_map
        strongest = row_map.flatten().topk(20).values
        print(
            f"{name}: the largest weight is {strongest[0]:.3f}, the 20 largest of {row_map.numel()} hold {strongest.sum():.0%}"
        )
print(f"standard deviation of the scores: {score_std:.1f}")
fig = plotting.attention_over_image(
    photo.image, patch_maps["scores brought to std 1"], title="where the marked patch looks", query_cell=chosen
)
fig

# %% [markdown]
# The standard deviation is about 19, not 1: neighboring pixels are nearly equal, so the 768 numbers of a patch are far from independent, and $\sqrt d$ is the wrong yardstick. The softmax saturates, and two or three patches get all the attention. With the scores brought back to standard deviation 1 the row becomes a picture you can read. Real models do this with *learned* projections and normalized inputs.

# %% explore=true
fig, ax = plt.subplots(figsize=(8, 2.6))
plotting.token_row(ax, best[2][0][2], query_index=2, title="for comparison, a row of the reverser: where token 2 looks")
plt.show()
print(f"the reverser puts {best[2][0][2].max():.0%} of the row on one token")

# %% explore=true picture="outcome"
fig = plt.figure(figsize=(13, 3.9))
left, middle, right = fig.subplots(1, 3, width_ratios=(1, 1, 1.35))
for ax, shown, title in (
    (left, results["no positions"][2][0], "no positions: the mean of the others"),
    (middle, best[2][0], "with positions: reads backwards"),
):
    plotting.heatmap(ax, shown, title=title, xlabel="key position", ylabel="query position", vmin=0, vmax=1)
plotting.attention_overlay(
    right,
    photo.image,
    patch_maps["scores brought to std 1"],
    title="patches: a petal looks for petals",
    query_cell=chosen,
)
plt.show()

# %% [markdown]
# **Explain.** The token row is a decision: one key out of ten. The patch map is a likeness: bright petals look at bright petals, above all along the lit rim. Note what neither shows. A large weight says where a value was *read*, not that it *mattered*: the values and the output projection come after. And nothing here made neighboring patches attend to each other because they are neighbors. Locality, where you see it, comes from the picture.

# %% [markdown]
# ## Takeaways
#
# - Attention is a soft dictionary: compare, normalize, average. The scale $1/\sqrt d$ keeps the softmax soft at any width.
# - Masks act on scores, with numbers that fit the dtype, and hidden keys must not matter at all.
# - Heads cut the width, not the cost. The cost has one part that grows with $L$ and one that grows with $L^2$; the second rules above $L = 2D$.
# - Without positions a layer is permutation equivariant, and there is a floor that you can compute. Compare a loss with such a floor before you tune anything.
# - Next week the patches get their positions, and the layer becomes a vision transformer.

# %% [markdown]
# ## Written questions
#
# Your instructor reads these. Short and exact beats long. Refer to figures of *your* notebook.

# %% [markdown] written="tokens-and-patches" points=5 minutes=40
# **W1. Token attention and patch attention (5 points, about 300 words).** Compare the two, under five headings: order of a sequence against the grid of an image; a vocabulary against continuous patches; cost as a function of the number of tokens for a text of 300 words and for a 416 × 640 image at patch 16 (give FLOPs from exercise 4 at D = 512); where locality comes from; and what your own map of the flower shows.
#
# ### BEGIN SOLUTION
# One point each.
# - Order: text has one natural order and needs positions for it; patches lie on a 2-D grid, and a row-major order tears vertical neighbors apart.
# - Vocabulary: tokens come from a finite table and are looked up; patches are continuous vectors and need a projection.
# - Cost: L = 300 gives 0.81 GFLOPs, L = 26 * 40 = 1,040 gives 4.40 GFLOPs (8 L D^2 + 4 L^2 D at D = 512); the quadratic part is 23 % and 50 %.
# - Locality: not built in. It can come from the data or from positions; a convolution has it by construction.
# - Map: names what the marked patch attends to, with a number from the notebook (for example the share of the 20 largest weights).
# ### END SOLUTION

# %% [markdown] written="why-scale" points=5
# **W2. Why divide by $\sqrt d$? (5 points)** Derive the variance of a dot product of two random vectors with $d$ entries, say what happens to the softmax and to its gradient without the scale, and point to the figure that shows it.
#
# ### BEGIN SOLUTION
# 2 points: independent entries, mean 0, variance 1: each product has variance 1, the sum has variance d, so the standard deviation is sqrt(d).
# 2 points: large scores saturate the softmax; its slope p (1 - p) goes to 0, so gradients to queries and keys vanish.
# 1 point: the entropy figure: unscaled entropy falls as d grows, scaled entropy stays the same.
# ### END SOLUTION

# %% [markdown] written="floor" points=5
# **W3. The floor (5 points).** Derive the position-free floor for even $L$. Say where you use that the map is permutation equivariant, where that the tokens are independent, and why the mean of the candidates is the best guess.
#
# ### BEGIN SOLUTION
# 1 point: equivariance: output i is a function of token i and of the multiset of all tokens, the same function for every i.
# 1 point: for even L no token is its own mirror image, so the target is one of the other L - 1 tokens.
# 1 point: i.i.d. tokens: given the multiset and x_i, each of them is equally likely to be the target.
# 1 point: under squared error the best guess is the conditional mean, the mean of the L - 1 candidates.
# 1 point: the mean squared deviation of one of n i.i.d. numbers from their mean is variance * (1 - 1/n), n = L - 1.
# ### END SOLUTION

# %% [markdown] written="myths" points=5 minutes=30
# **W4. Four myths (5 points).** For each sentence, name the figure or table of this notebook that speaks against it, and say in one sentence what is true: (a) "Attention is just weighted averaging, so it can do nothing interesting." (b) "More weight means more important." (c) "Attention costs O(n)." (d) "Multi-head attention costs h times more than one head."
#
# ### BEGIN SOLUTION
# (a) 1 point: the trained reverser: the weights depend on the content and positions, so the average becomes an exact lookup.
# (b) 1 point: the layer with positions in its values: perfect anti-diagonal weights and still an error of 0.12; or the note on values and output projection.
# (c) 1 point: the FLOP table: the L^2 part is 50 % at L = 2 D and grows on.
# (d) 2 points: the line with five head counts and one number; each head has width D/h, so h heads of width D/h cost as much as one of width D.
# ### END SOLUTION
