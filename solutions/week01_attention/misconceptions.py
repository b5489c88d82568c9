"""Wrong answers that people really write in week 1, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

MISCONCEPTIONS = [
    # ---- exercise 1: scaled dot-product attention
    Misconception(
        name="scale-by-d",
        exercise="sdpa",
        edits={"1.0 / math.sqrt(head_dim)": "1.0 / head_dim"},
        rejected_by="sdpa-test-1",
        says="divided by d = 4, not by its square root",
        note="The variance of a dot product is d, so its standard deviation is sqrt(d). Dividing by d makes the scores too small and the weights nearly uniform.",
    ),
    Misconception(
        name="no-scale",
        exercise="sdpa",
        edits={" * self.scale": ""},
        rejected_by="sdpa-test-1",
        says="not divided by sqrt(d)",
        note="Without the scale, wide heads saturate the softmax and their gradients vanish.",
    ),
    Misconception(
        name="softmax-over-queries",
        exercise="sdpa",
        edits={"scores.softmax(dim=-1)": "scores.softmax(dim=-2)"},
        rejected_by="sdpa-test-1",
        says="softmax ran over the queries",
        note="Each query distributes its attention over the keys, so the softmax runs over the last dimension.",
    ),
    Misconception(
        name="no-width-check",
        exercise="sdpa",
        edits={"if query.shape[-1] != key.shape[-1]:": "if False:"},
        rejected_by="sdpa-test-1",
        says="a key of another width raised the wrong error",
        note="A ValueError with both widths is found in seconds; an error from inside a matrix product is not.",
    ),
    Misconception(
        name="mask-after-softmax",
        exercise="sdpa",
        edits={
            "        if mask is not None:\n            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)\n": "",
            "weights = self.dropout(scores.softmax(dim=-1))": "weights = self.dropout(scores.softmax(dim=-1))\n        if mask is not None:\n            weights = weights * mask",
        },
        rejected_by="sdpa-test-2",
        says="masked after the softmax",
        note="Zeroing weights after the softmax takes attention away without giving it to the allowed keys.",
    ),
    Misconception(
        name="mask-inverted",
        exercise="sdpa",
        edits={"masked_fill(mask == 0,": "masked_fill(mask != 0,"},
        rejected_by="sdpa-test-2",
        says="read the other way round",
        note="In this course (and in scaled_dot_product_attention) true means may be attended; nn.MultiheadAttention uses the opposite.",
    ),
    Misconception(
        name="fill-with-zero",
        exercise="sdpa",
        edits={"torch.finfo(scores.dtype).min": "0.0"},
        rejected_by="sdpa-test-2",
        says="exp(0) = 1 still takes part",
        note="A score of 0 is an ordinary score. Only a very negative one becomes weight 0.",
    ),
    Misconception(
        name="literal-minus-1e9",
        exercise="sdpa",
        edits={"torch.finfo(scores.dtype).min": "-1e9"},
        rejected_by="sdpa-test-2",
        says="float16 with a mask",
        note="float16 ends at -65504. Ask the dtype for its lowest number.",
    ),
    Misconception(
        name="minus-infinity-without-guard",
        exercise="sdpa",
        edits={"torch.finfo(scores.dtype).min": 'float("-inf")'},
        rejected_by="sdpa-test-2",
        says="softmax over a row of -inf is nan",
        note="A query without any allowed key divides 0 by 0. One such row makes the whole loss nan.",
    ),
    Misconception(
        name="tilde-on-numbers",
        exercise="sdpa",
        edits={"masked_fill(mask == 0,": "masked_fill(~mask,"},
        rejected_by="sdpa-test-2",
        says="masks of 0 and 1",
        note="~ flips bits: on an integer mask ~1 is -2, which is not false.",
    ),
    Misconception(
        name="fused-attention",
        exercise="sdpa",
        edits={
            "return weights @ value, weights": "return F.scaled_dot_product_attention(query, key, value, attn_mask=None if mask is None else mask.bool()), weights"
        },
        rejected_by="sdpa-test-3",
        says="a library call does the work",
        note="The library's kernel is the oracle of this exercise. Build the computation once yourself; afterwards use the kernel.",
    ),
    Misconception(
        name="dropout-on-scores",
        exercise="sdpa",
        edits={"self.dropout(scores.softmax(dim=-1))": "self.dropout(scores).softmax(dim=-1)"},
        rejected_by="sdpa-test-3",
        says="dropout ran on the scores",
        note="A score set to 0 is not dropped, only changed. Dropout belongs on the weights.",
    ),
    Misconception(
        name="scales-its-argument",
        exercise="sdpa",
        edits={
            "scores = (query @ key.transpose(-2, -1)) * self.scale": "with torch.no_grad():\n            query *= self.scale\n        scores = query @ key.transpose(-2, -1)"
        },
        rejected_by="sdpa-test-1",
        says="must not be changed in place",
        note="`*=` changes the caller's tensor. The second call then scales twice.",
        in_one_mode="sdpa-test-2",
    ),
    Misconception(
        name="loop-over-queries",
        exercise="sdpa",
        edits={
            "scores = (query @ key.transpose(-2, -1)) * self.scale": "scores = torch.stack([(query[..., i, None, :] * key).sum(-1) for i in range(query.shape[-2])], dim=-2) * self.scale"
        },
        rejected_by="sdpa-test-3",
        says="a Python loop over the tokens",
        note="A loop runs a few operators for every token; one matrix product does all of them at once.",
    ),
    Misconception(
        name="mask-remembered",
        exercise="sdpa",
        edits={
            "        if mask is not None:\n": "        mask = getattr(self, 'mask', None) if mask is None else mask\n        self.mask = mask\n        if mask is not None:\n"
        },
        rejected_by="sdpa-test-2",
        says="the mask of an earlier call was used again",
        note="A module that keeps what belongs to one call answers the next one wrongly.",
    ),
    Misconception(
        name="mask-cached-by-shape",
        exercise="sdpa",
        edits={
            "            scores = scores.masked_fill(mask == 0,": "            self.hidden = getattr(self, 'hidden', {})\n            hidden = self.hidden.setdefault(mask.shape, mask == 0)\n            scores = scores.masked_fill(hidden,"
        },
        rejected_by="sdpa-test-2",
        says="one mask after another",
        note="Two masks of one shape need not be the same mask.",
    ),
    Misconception(
        name="literal-minus-1e4",
        exercise="sdpa",
        edits={"torch.finfo(scores.dtype).min": "-1e4"},
        rejected_by="sdpa-test-2",
        says="the number in the place of hidden scores is not low enough",
        note="-10,000 fits float16, but an allowed score may be lower; then the hidden keys win.",
    ),
    Misconception(
        name="nan-weights-of-an-empty-row",
        exercise="sdpa",
        edits={
            "torch.finfo(scores.dtype).min": 'float("-inf")',
            "return weights @ value, weights": "return weights.nan_to_num() @ value, weights",
        },
        rejected_by="sdpa-test-2",
        says="weights not finite",
        note="The context is finite and the weights are not: whatever reads them, a picture or an entropy, meets nan.",
    ),
    Misconception(
        name="masks-in-place",
        exercise="sdpa",
        edits={
            "            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)": "            if mask.is_floating_point():\n                scores = scores + mask.sub_(1).mul_(-torch.finfo(scores.dtype).min / 2)\n            else:\n                scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)"
        },
        rejected_by="sdpa-test-1",
        says="mask (an argument must not be changed in place)",
        note="The caller's mask is shared by all layers; the next one gets what this one made of it.",
    ),
    Misconception(
        name="naive-softmax",
        exercise="sdpa",
        edits={"scores.softmax(dim=-1)": "scores.exp() / scores.exp().sum(-1, keepdim=True)"},
        rejected_by="sdpa-test-3",
        says="exp of a large score is infinite",
        note="exp(89) does not fit float32. Subtracting the largest score of a row changes nothing but the overflow.",
    ),
    Misconception(
        name="dropout-ignored",
        exercise="sdpa",
        edits={"nn.Dropout(dropout)": "nn.Dropout(0.0)"},
        rejected_by="sdpa-test-3",
        says="no weight was dropped",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="dropout-of-a-half",
        exercise="sdpa",
        edits={"nn.Dropout(dropout)": "nn.Dropout(0.5 if dropout else 0.0)"},
        rejected_by="sdpa-test-3",
        says="half of the weights were dropped",
        note="The probability is the caller's to choose.",
    ),
    Misconception(
        name="dropout-on-the-context",
        exercise="sdpa",
        edits={
            "weights = self.dropout(scores.softmax(dim=-1))\n        return weights @ value, weights": "weights = scores.softmax(dim=-1)\n        return self.dropout(weights @ value), weights"
        },
        rejected_by="sdpa-test-3",
        says="dropped for all entries of its value",
        note="Dropout on the weights takes a whole value away from a query; on the context it takes single numbers away.",
    ),
    Misconception(
        name="dropout-of-whole-heads",
        exercise="sdpa",
        edits={"nn.Dropout(dropout)": "nn.Dropout2d(dropout)"},
        rejected_by="sdpa-test-3",
        says="each weight is dropped on its own",
        note="nn.Dropout2d drops whole channels, here whole heads.",
    ),
    # ---- exercise 2: masks
    Misconception(
        name="padding-inverted",
        exercise="masks",
        edits={"positions < lengths[:, None]": "positions >= lengths[:, None]"},
        rejected_by="masks-test-1",
        says="true stands at the padding",
        note="Many libraries mark the padding. Here true marks what may be attended.",
    ),
    Misconception(
        name="padding-off-by-one",
        exercise="masks",
        edits={"positions < lengths[:, None]": "positions <= lengths[:, None]"},
        rejected_by="masks-test-1",
        says="position numbers start at 0",
        note="A sequence of length n has the positions 0 to n - 1.",
    ),
    Misconception(
        name="empty-sequence-accepted",
        exercise="masks",
        edits={"(lengths < 1).any()": "(lengths < 0).any()"},
        rejected_by="masks-test-1",
        says="[2, 0] did not raise",
        note="A sequence without tokens has no allowed key in any row. Better an error now than nan later.",
    ),
    Misconception(
        name="causal-upper",
        exercise="masks",
        edits={".tril()": ".triu()"},
        rejected_by="masks-test-2",
        says="sees the future and not the past",
        note="Row i is the query. The allowed keys j <= i lie on and below the diagonal.",
    ),
    Misconception(
        name="causal-strict",
        exercise="masks",
        edits={".tril()": ".tril(-1)"},
        rejected_by="masks-test-2",
        says="the diagonal is missing",
        note="Without the diagonal the first token may attend to nothing at all.",
    ),
    Misconception(
        name="only-the-last-length-checked",
        exercise="masks",
        edits={"(lengths < 1).any()": "(lengths[-1:] < 1).any()"},
        rejected_by="masks-test-1",
        says="[0, 2] did not raise",
        note="Any of the lengths may be wrong.",
    ),
    Misconception(
        name="mask-on-the-default-device",
        exercise="masks",
        edits={"torch.arange(max_len, device=lengths.device)": "torch.arange(max_len)"},
        rejected_by="masks-test-1",
        says="where the mask lies",
        note="On a GPU the positions would lie on the CPU, and comparing them with the lengths fails.",
    ),
    Misconception(
        name="lengths-in-place",
        exercise="masks",
        edits={
            "return (positions < lengths[:, None])[:, None, None, :]": "lengths -= 1\n    return (positions <= lengths[:, None])[:, None, None, :]"
        },
        rejected_by="masks-test-1",
        says="lengths (an argument must not be changed in place)",
        note="`-=` changes the caller's lengths.",
    ),
    # ---- exercise 3: multi-head attention
    Misconception(
        name="split-without-transpose",
        exercise="mha",
        edits={
            "tokens.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)": "tokens.reshape(tokens.shape[0], self.n_heads, tokens.shape[1], -1)"
        },
        rejected_by="mha-test-1",
        says="cut without moving them in front",
        note="The shape is right, but each head then holds pieces of different tokens.",
    ),
    Misconception(
        name="merge-without-transpose",
        exercise="mha",
        edits={"context.transpose(1, 2).flatten(2)": "context.reshape(query.shape)"},
        rejected_by="mha-test-1",
        says="merged without moving the tokens back",
        note="Merging must undo the cut exactly: first swap heads and tokens back, then join the last two dimensions.",
    ),
    Misconception(
        name="key-projection-for-values",
        exercise="mha",
        edits={"self.split(self.to_value(value))": "self.split(self.to_key(value))"},
        rejected_by="mha-test-1",
        says="values went through the key projection",
        note="Copy and paste. What a token offers to be found by and what it hands over are different things.",
    ),
    Misconception(
        name="scale-by-d-model",
        exercise="mha",
        edits={"ScaledDotProductAttention(d_model // n_heads, dropout)": "ScaledDotProductAttention(d_model, dropout)"},
        rejected_by="mha-test-1",
        says="sqrt(d_model), not by sqrt(d)",
        note="The dot products run over the d = D/H columns of one head, so sqrt(d) is their scale.",
    ),
    Misconception(
        name="no-output-projection",
        exercise="mha",
        edits={"return self.to_output(merged), weights": "return merged, weights"},
        rejected_by="mha-test-1",
        says="the output projection is missing",
        note="Without it the heads sit side by side and never mix.",
    ),
    Misconception(
        name="value-defaults-to-query",
        exercise="mha",
        edits={
            "value = key if value is None else value": "value = query if value is None else value",
            "key = query if key is None else key\n": "keyed = query if key is None else key\n",
            "self.to_key(key)": "self.to_key(keyed)",
        },
        rejected_by="mha-test-2",
        says="fell back to the query",
        note="In cross-attention the memory gives both keys and values.",
    ),
    Misconception(
        name="mask-not-passed-on",
        exercise="mha",
        edits={"self.attention(q, k, v, mask)": "self.attention(q, k, v)"},
        rejected_by="mha-test-3",
        says="the weight of hidden keys",
        note="The layer takes a mask and forgets it: padding then takes part in every average.",
    ),
    Misconception(
        name="mask-of-head-0-for-all",
        exercise="mha",
        edits={"self.attention(q, k, v, mask)": "self.attention(q, k, v, None if mask is None else mask[:, :1])"},
        rejected_by="mha-test-3",
        says="a mask of its own for each head",
        note="A mask may differ between heads; broadcasting does the rest.",
    ),
    Misconception(
        name="dropout-forgotten",
        exercise="mha",
        edits={
            "ScaledDotProductAttention(d_model // n_heads, dropout)": "ScaledDotProductAttention(d_model // n_heads)"
        },
        rejected_by="mha-test-3",
        says="dropout does not reach the attention weights",
        note="The argument was accepted and never passed on.",
    ),
    Misconception(
        name="wraps-the-library",
        exercise="mha",
        code='''
class MultiHeadAttention(nn.Module):
    """PyTorch's layer in a coat."""

    def __init__(self, d_model, n_heads, dropout=0.0):
        super().__init__()
        self.inner = nn.MultiheadAttention(d_model, n_heads, dropout, batch_first=True)
        nn.init.normal_(self.inner.in_proj_bias)

    def forward(self, query, key=None, value=None, mask=None):
        key = query if key is None else key
        value = key if value is None else value
        return self.inner(query, key, value, attn_mask=self.blocked(query, key, mask), average_attn_weights=False)

    def blocked(self, query, key, mask):
        if mask is None:
            return None
        full = (mask == 0).expand(len(query), self.inner.num_heads, query.shape[1], key.shape[1])
        return full.flatten(0, 1)

    def projection_weights(self):
        weights, biases = self.inner.in_proj_weight.chunk(3), self.inner.in_proj_bias.chunk(3)
        found = dict(zip("qkv", zip(weights, biases)))
        return found | {"out": (self.inner.out_proj.weight, self.inner.out_proj.bias)}
''',
        rejected_by="mha-test-2",
        says="a library call does the work",
        note="The point of this exercise is the bookkeeping inside that layer.",
    ),
    Misconception(
        name="dropout-on-the-output-too",
        exercise="mha",
        edits={
            "        self.n_heads = n_heads\n": "        self.n_heads = n_heads\n        self.drop = nn.Dropout(dropout)\n",
            "return self.to_output(merged), weights": "return self.drop(self.to_output(merged)), weights",
        },
        rejected_by="mha-test-3",
        says="dropout ran on the output as well",
        note="`dropout` is the probability of dropping an attention weight; the block around the layer has a dropout of its own.",
    ),
    Misconception(
        name="value-lost-without-key",
        exercise="mha",
        edits={
            "key = query if key is None else key\n        value = key if value is None else value": "if key is None:\n            key = value = query\n        elif value is None:\n            value = key"
        },
        rejected_by="mha-test-2",
        says="the value was lost",
        note="Each argument has a default of its own; a value may come without a key.",
    ),
    Misconception(
        name="mask-of-the-first-sequence",
        exercise="mha",
        edits={
            "self.attention(q, k, v, mask)": "self.attention(q, k, v, mask if mask is None or mask.dim() < 4 else mask[:1])"
        },
        rejected_by="mha-test-3",
        says="the mask of the first sequence was used for all",
        note="Sequences of a batch have different lengths; each has a padding mask of its own.",
    ),
    Misconception(
        name="keys-do-not-learn",
        exercise="mha",
        edits={"self.split(self.to_key(key))": "self.split(self.to_key(key)).detach()"},
        rejected_by="mha-test-2",
        says="the gradient of key",
        note="A detached part keeps its random start for ever.",
    ),
    Misconception(
        name="output-projection-frozen",
        exercise="mha",
        edits={
            "        self.attention = ScaledDotProductAttention(": "        self.to_output.requires_grad_(False)\n        self.attention = ScaledDotProductAttention("
        },
        rejected_by="mha-test-3",
        says="the weight of 'out' learns",
        note="A projection that does not require a gradient stays as it was drawn.",
    ),
    Misconception(
        name="query-scaled-in-place",
        exercise="mha",
        edits={
            "        key = query if key is None else key\n": "        query = query.mul_(1.0 + 1e-3) if key is not None else query\n        key = query if key is None else key\n"
        },
        rejected_by="mha-test-2",
        says="must not change it in place",
        note="The caller's tokens go on to the next layer, and to the residual connection around this one.",
        in_one_mode=("mha-test-1", "mha-test-3"),
    ),
    # ---- exercise 4: cost
    Misconception(
        name="multiply-adds",
        exercise="flops",
        edits={"return 2 * (projections + scores_and_average)": "return projections + scores_and_average"},
        rejected_by="flops-test-1",
        says="each is 2 FLOPs",
        note="A multiply-add is one multiplication and one addition. Papers differ; say which you count.",
    ),
    Misconception(
        name="three-projections",
        exercise="flops",
        edits={"projections = 4 *": "projections = 3 *"},
        rejected_by="flops-test-1",
        says="the output projection is missing",
        note="Query, key, value, and output: four.",
    ),
    Misconception(
        name="scores-only",
        exercise="flops",
        edits={"scores_and_average = 2 *": "scores_and_average = 1 *"},
        rejected_by="flops-test-1",
        says="only one of the two products",
        note="The weights are computed by one product with L x L entries and used in another.",
    ),
    Misconception(
        name="heads-cost-extra",
        exercise="flops",
        edits={"head_dim = d_model // n_heads": "head_dim = d_model"},
        rejected_by="flops-test-1",
        says="scores and average was multiplied by the number of heads",
        note="Each head has width D/H. More heads are narrower, not more work.",
    ),
    Misconception(
        name="everything-times-heads",
        exercise="flops",
        edits={
            "return 2 * (projections + scores_and_average)": "return 2 * (4 * length * d_model**2 + 2 * length**2 * d_model) * n_heads"
        },
        rejected_by="flops-test-1",
        says="the whole cost was multiplied",
        note="The myth that h heads cost h times as much as one.",
    ),
    # ---- exercise 5: the task and its floor
    Misconception(
        name="flips-the-batch",
        exercise="reverse",
        edits={"x.flip(1)": "x.flip(0)"},
        rejected_by="reverse-test-1",
        says="the batch was reversed",
        note="Dimension 0 is the batch. The sequence runs along dimension 1.",
    ),
    Misconception(
        name="flips-the-entries",
        exercise="reverse",
        edits={"x.flip(1)": "x.flip(2)"},
        rejected_by="reverse-test-1",
        says="the entries of each token were reversed",
        note="Dimension 2 holds the numbers of one token.",
    ),
    Misconception(
        name="uniform-inputs",
        exercise="reverse",
        edits={"torch.randn(": "torch.rand("},
        rejected_by="reverse-test-1",
        says="torch.rand is uniform",
        note="With variance 1/12 a model that learned nothing has an error of 0.083, which looks like success.",
    ),
    Misconception(
        name="floor-is-the-variance",
        exercise="reverse",
        edits={"return variance * (1 - 1 / candidates)": "return variance"},
        rejected_by="reverse-test-1",
        says="the error of a constant guess",
        note="The layer sees the other tokens, and their mean is a better guess than 0.",
    ),
    Misconception(
        name="floor-with-itself",
        exercise="reverse",
        edits={"candidates = length - 1 if length % 2 == 0 else length": "candidates = length"},
        rejected_by="reverse-test-1",
        says="for even lengths the token itself is no candidate",
        note="In an even sequence no token is its own mirror image.",
    ),
    Misconception(
        name="floor-forgets-the-middle",
        exercise="reverse",
        edits={"candidates = length - 1 if length % 2 == 0 else length": "candidates = length - 1"},
        rejected_by="reverse-test-2",
        says="the middle token is its own target",
        note="In an odd sequence the middle token stays where it is.",
    ),
    Misconception(
        name="floor-forgets-the-variance",
        exercise="reverse",
        edits={"return variance * (1 - 1 / candidates)": "return 1 - 1 / candidates"},
        rejected_by="reverse-test-2",
        says="the variance of the tokens is left out",
        note="Errors scale with the variance of the tokens; with variance 1 this hides.",
    ),
    Misconception(
        name="ignores-the-generator",
        exercise="reverse",
        edits={
            "x = torch.randn(batch, length, d_model, generator=generator, device=generator.device)": "torch.manual_seed(generator.initial_seed())\n    x = torch.randn(batch, length, d_model) + 0 * torch.rand(())"
        },
        rejected_by="reverse-test-2",
        says="draws new tokens",
        note="Seeding the global state gives the same batch at every step: the generator itself must advance.",
    ),
    Misconception(
        name="batch-on-the-default-device",
        exercise="reverse",
        edits={", device=generator.device)": ")"},
        rejected_by="reverse-test-2",
        says="the devices of x and y",
        note="A generator of the GPU cannot draw numbers on the CPU.",
    ),
    Misconception(
        name="drawn-here-and-moved",
        exercise="reverse",
        edits={", device=generator.device)": ").to(generator.device)"},
        rejected_by="reverse-test-2",
        says="the numbers are drawn there",
        note="A generator of the GPU draws on the GPU only; PyTorch refuses it for tensors on the CPU.",
    ),
    Misconception(
        name="without-tails",
        exercise="reverse",
        edits={"    return x, x.flip(1)": "    x = x.clamp(-2.5, 2.5)\n    return x, x.flip(1)"},
        rejected_by="reverse-test-1",
        says="the entries are standard normal",
        note="A normal distribution has no end.",
    ),
    Misconception(
        name="uniform-of-variance-1",
        exercise="reverse",
        edits={
            "x = torch.randn(batch, length, d_model, generator=generator, device=generator.device)": "x = math.sqrt(12) * (torch.rand(batch, length, d_model, generator=generator, device=generator.device) - 0.5)"
        },
        rejected_by="reverse-test-1",
        says="the entries are standard normal",
        note="The right mean and variance do not make a normal distribution: these entries never pass 1.74.",
    ),
    Misconception(
        name="one-sequence-for-the-batch",
        exercise="reverse",
        edits={
            "x = torch.randn(batch, length, d_model, generator=generator, device=generator.device)": "x = torch.randn(1, length, d_model, generator=generator, device=generator.device).expand(batch, -1, -1)"
        },
        rejected_by="reverse-test-1",
        says="the sequences are not all alike",
        note="32 copies of one sequence teach no more than one.",
    ),
    # ---- exercise 6: the reverser
    Misconception(
        name="positions-in-values",
        exercise="reverser",
        edits={"self.attention(placed, placed, x)": "self.attention(placed, placed, placed)"},
        rejected_by="reverser-test-1",
        says="added to the values too",
        note="What goes into the values comes out again, and no linear map can take the positions out of it.",
    ),
    Misconception(
        name="timid-start",
        exercise="reverser",
        edits={"torch.randn(1, length, d_model)": "0.02 * torch.randn(1, length, d_model)"},
        rejected_by="reverser-test-1",
        says="0.02 is drowned",
        note="0.02 is a habit from models that add positions to small embeddings. These tokens have standard deviation 1.",
    ),
    Misconception(
        name="mass-on-the-main-diagonal",
        exercise="reverser",
        edits={"weights.flip(-1).diagonal": "weights.diagonal"},
        rejected_by="reverser-test-1",
        says="mass of the main diagonal",
        note="The main diagonal is a copy; the mirror image lies on the other one.",
    ),
    Misconception(
        name="mass-summed",
        exercise="reverser",
        edits={".mean(-1)": ".sum(-1)"},
        rejected_by="reverser-test-1",
        says="sum over the rows, not the mean",
        note="A mean can be read without knowing L.",
    ),
    Misconception(
        name="gradients-add-up",
        exercise="reverser",
        edits={"        optimizer.zero_grad()\n": ""},
        rejected_by="reverser-test-2",
        says="gradients add up",
        note="PyTorch adds new gradients to the old ones until you clear them.",
    ),
    Misconception(
        name="same-batch-every-step",
        exercise="reverser",
        edits={
            "    for _ in range(steps):\n        x, y = reverse_batch(batch, model.length, model.d_model, generator)\n": "    x, y = reverse_batch(batch, model.length, model.d_model, generator)\n    for _ in range(steps):\n"
        },
        rejected_by="reverser-test-2",
        says="training saw the same sequences",
        note="A layer that sees the same 32 sequences 500 times learns them by heart.",
    ),
    Misconception(
        name="positions-in-queries-only",
        exercise="reverser",
        edits={"self.attention(placed, placed, x)": "self.attention(placed, x, x)"},
        rejected_by="reverser-test-1",
        says="the keys carry no position",
        note="A query that knows where it is still cannot find a key that does not.",
    ),
    Misconception(
        name="positions-in-keys-only",
        exercise="reverser",
        edits={"self.attention(placed, placed, x)": "self.attention(x, placed, x)"},
        rejected_by="reverser-test-1",
        says="the queries carry no position",
        note="Every key knows where it is, but no query knows which of them to ask for.",
    ),
    Misconception(
        name="plain-gradient-descent",
        exercise="reverser",
        edits={"torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.SGD(model.parameters(), lr=lr)"},
        rejected_by="reverser-test-2",
        says="250 steps of training: the error on new sequences",
        note="Plain gradient descent at learning rate 0.003 hardly moves in 250 steps; Adam rescales every step.",
    ),
    Misconception(
        name="hard-coded-flip",
        exercise="reverser",
        edits={
            "return self.attention(placed, placed, x)": "_, weights = self.attention(placed, placed, x)\n        self.seen = getattr(self, 'seen', 0) + self.training\n        return (x.flip(1) if self.seen > 100 else x) + 0 * weights.sum(), weights"
        },
        rejected_by="reverser-test-2",
        says="mirror image",
        note="A flip in the code gives the right output, but the attention has learned nothing.",
    ),
    Misconception(
        name="uniform-positions",
        exercise="reverser",
        edits={"torch.randn(1, length, d_model)": "(2 * torch.rand(1, length, d_model) - 1) * math.sqrt(3)"},
        rejected_by="reverser-test-1",
        says="they start as independent normal numbers",
        note="The table asks for a normal distribution, not for any of standard deviation 1.",
    ),
    Misconception(
        name="positions-start-alike",
        exercise="reverser",
        edits={"torch.randn(1, length, d_model)": "torch.randn(1, 1, d_model).repeat(1, length, 1)"},
        rejected_by="reverser-test-1",
        says="all positions start alike",
        note="Positions that are equal carry no position.",
    ),
    Misconception(
        name="positions-in-a-buffer",
        exercise="reverser",
        edits={
            "self.positions = nn.Parameter(torch.randn(1, length, d_model))": "self.register_buffer('positions', torch.randn(1, length, d_model))"
        },
        rejected_by="reverser-test-1",
        says="one of the parameters that learn has this shape",
        note="A buffer is saved with the model and never learns.",
    ),
    Misconception(
        name="positions-scaled",
        exercise="reverser",
        edits={"placed = x + self.positions": "placed = x + 1.5 * self.positions"},
        rejected_by="reverser-test-1",
        says="with part of the positions moved into the tokens",
        note="Queries and keys are x + p.",
    ),
    Misconception(
        name="positions-detached-in-the-keys",
        exercise="reverser",
        edits={"self.attention(placed, placed, x)": "self.attention(placed, placed.detach(), x)"},
        rejected_by="reverser-test-2",
        says="against finite differences",
        note="Then the positions learn from the queries alone.",
    ),
    Misconception(
        name="positions-not-in-the-optimizer",
        exercise="reverser",
        edits={
            "torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.Adam([p for p in model.parameters() if p.shape[0] > 1 or p.dim() < 3], lr=lr)"
        },
        rejected_by="reverser-test-2",
        says="the positions learn",
        note="What the optimizer is not given keeps its start.",
    ),
    Misconception(
        name="loss-after-the-update",
        exercise="reverser",
        edits={
            "losses.append(loss.item())": "losses.append(F.mse_loss(model(x)[0], y).item())",
        },
        rejected_by="reverser-test-2",
        says="how often the model was called",
        note="The loss that the gradient came from is known already; a second pass doubles the cost and flatters the model.",
    ),
    Misconception(
        name="batch-of-32",
        exercise="reverser",
        edits={"reverse_batch(batch,": "reverse_batch(32,"},
        rejected_by="reverser-test-2",
        says="wrong shape",
        note="`batch` is the caller's to choose.",
    ),
    Misconception(
        name="seed-0",
        exercise="reverser",
        edits={".manual_seed(seed)": ".manual_seed(0)"},
        rejected_by="reverser-test-2",
        says="against reverse_batch with a generator of this seed",
        note="A training that ignores its seed gives the same batches whatever is asked for.",
    ),
    Misconception(
        name="rate-of-3e-3",
        exercise="reverser",
        edits={"torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.Adam(model.parameters(), lr=3e-3)"},
        rejected_by="reverser-test-2",
        says="Adam ran at another learning rate",
        note="The rate is the caller's to choose.",
    ),
    Misconception(
        name="decays-its-weights",
        exercise="reverser",
        edits={"torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.AdamW(model.parameters(), lr=lr)"},
        rejected_by="reverser-test-2",
        says="the loss of every step, before its update",
        note="AdamW pulls all weights towards 0 unless it is told not to.",
    ),
    Misconception(
        name="other-defaults",
        exercise="reverser",
        edits={"lr: float = 1e-3, batch": "lr: float = 3e-3, batch"},
        rejected_by="reverser-test-2",
        says="against steps=500, lr=1e-3, batch=32, seed=0",
        note="Defaults are part of what the function promises.",
    ),
    Misconception(
        name="residual-by-habit",
        exercise="reverser",
        edits={
            "return self.attention(placed, placed, x)": "output, weights = self.attention(placed, placed, x)\n        return x + output, weights"
        },
        rejected_by="reverser-test-1",
        says="the tokens were added to what attention gives",
        note="Blocks of later weeks have a residual connection; this layer is attention alone.",
    ),
    # ---- exercise 7: row to map
    Misconception(
        name="column-instead-of-row",
        exercise="rowmap",
        edits={"weights[..., n_prefix + query_index, n_prefix:]": "weights[..., n_prefix:, n_prefix + query_index]"},
        rejected_by="rowmap-test-1",
        says="this is a column of the weights",
        note="Row i says where i looks. Column i says who looks at i.",
    ),
    Misconception(
        name="grid-by-columns",
        exercise="rowmap",
        edits={".unflatten(-1, (rows, columns))": ".unflatten(-1, (columns, rows)).transpose(-2, -1)"},
        rejected_by="rowmap-test-1",
        says="column by column",
        note="Patches are numbered row by row, like the pixels of an image in memory.",
    ),
    Misconception(
        name="index-counts-prefix",
        exercise="rowmap",
        edits={"n_prefix + query_index, n_prefix:": "query_index, n_prefix:"},
        rejected_by="rowmap-test-1",
        says="taken to count the prefix",
        note="Patch 0 sits behind the class token, at row n_prefix.",
    ),
    Misconception(
        name="not-rescaled",
        exercise="rowmap",
        edits={"return (row / row.sum(-1, keepdim=True)).unflatten": "return row.unflatten"},
        rejected_by="rowmap-test-1",
        says="does not sum to 1",
        note="The prefix took a share of the attention. Without rescaling, maps of different layers cannot be compared.",
    ),
    Misconception(
        name="rescales-in-place",
        exercise="rowmap",
        edits={
            "return (row / row.sum(-1, keepdim=True)).unflatten": "row /= row.sum(-1, keepdim=True)\n    return row.unflatten"
        },
        rejected_by="rowmap-test-1",
        says="weights (an argument must not be changed in place)",
        note="A slice is a view: `/=` on it changes the caller's weights.",
    ),
    # ---- ignored sentences, state that stays, boundaries
    Misconception(
        name="scale-that-learns",
        exercise="sdpa",
        edits={
            "self.scale = 1.0 / math.sqrt(head_dim)": "self.scale = nn.Parameter(torch.tensor(1.0 / math.sqrt(head_dim)))"
        },
        rejected_by="sdpa-test-3",
        says="the scale learns",
        note="Some models do learn it, but that is another equation.",
    ),
    Misconception(
        name="rescaled-after-dropout",
        exercise="sdpa",
        edits={
            "        return weights @ value, weights": "        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)\n        return weights @ value, weights"
        },
        rejected_by="sdpa-test-3",
        says="the rows were rescaled to sum 1 after the dropout",
        note="Dropout divides what is kept by 1 - p, which keeps the mean. Rescaling each row takes away the noise that it is for.",
    ),
    Misconception(
        name="causal-window",
        exercise="masks",
        edits={
            "torch.ones(length, length, dtype=torch.bool).tril()": "torch.ones(length, length, dtype=torch.bool).tril().triu(-8)"
        },
        rejected_by="masks-test-2",
        says="causal_mask against a double loop, length 40",
        note="A window is another mask: here all earlier tokens may be attended.",
    ),
    Misconception(
        name="query-and-key-share-a-projection",
        exercise="mha",
        edits={"        self.attention = ": "        self.to_key = self.to_query\n        self.attention = "},
        rejected_by="mha-test-2",
        says="one projection serves two roles",
        note="Then what a token looks for is what it offers, and scores are symmetric.",
    ),
    Misconception(
        name="one-token-attends-to-nobody",
        exercise="flops",
        edits={"2 * n_heads * length * length * head_dim": "2 * n_heads * (length > 1) * length * length * head_dim"},
        rejected_by="flops-test-1",
        says="L=1 D=12",
        note="A single token still has a score, with itself.",
    ),
    Misconception(
        name="sequences-standardized",
        exercise="reverse",
        edits={
            "    return x, x.flip(1)": "    x = (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True)\n    return x, x.flip(1)"
        },
        rejected_by="reverse-test-2",
        says="each of them was brought to mean 0",
        note="Entries with a given mean are not independent: the last one follows from the others, and the floor is lower.",
    ),
    Misconception(
        name="pairs-of-equal-entries",
        exercise="reverse",
        edits={
            "    return x, x.flip(1)": "    x[..., 1::2] = x[..., 0 : 2 * (d_model // 2) : 2]\n    return x, x.flip(1)"
        },
        rejected_by="reverse-test-2",
        says="one number was used for two entries",
        note="Each entry of each token is a draw of its own.",
    ),
    Misconception(
        name="floor-as-a-tensor",
        exercise="reverse",
        edits={"return variance * (1 - 1 / candidates)": "return torch.tensor(variance * (1 - 1 / candidates))"},
        rejected_by="reverse-test-2",
        says="the floor is a float",
        note="A float prints, compares and formats as a number; a tensor brings a dtype along.",
    ),
    Misconception(
        name="clips-the-gradients",
        exercise="reverser",
        edits={
            "        optimizer.step()\n        losses": "        nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n        optimizer.step()\n        losses"
        },
        rejected_by="reverser-test-2",
        says="the loss of every step, before its update",
        note="A useful habit elsewhere; here Adam on the plain gradient was asked for.",
    ),
    Misconception(
        name="biases-left-out",
        exercise="reverser",
        edits={
            "torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.Adam([p for p in model.parameters() if p.ndim > 1], lr=lr)"
        },
        rejected_by="reverser-test-2",
        says="4 steps of a small model",
        note="All parameters of the model are to be trained, vectors too.",
    ),
    Misconception(
        name="seeds-the-global-state",
        exercise="reverser",
        edits={
            "    generator = torch.Generator().manual_seed(seed)\n    optimizer": "    torch.manual_seed(seed)\n    generator = torch.Generator().manual_seed(seed)\n    optimizer"
        },
        rejected_by="reverser-test-2",
        says="torch's own random state is as it was",
        note="The seed is that of the generator: a training must not reset what others draw.",
    ),
    Misconception(
        name="trains-in-eval-mode",
        exercise="reverser",
        edits={"    losses = []\n": "    losses = []\n    model.eval()\n"},
        rejected_by="reverser-test-2",
        says="whether the model, made in train mode, was called in train mode",
        note="With dropout or batch norm in the model that would be another training.",
    ),
    Misconception(
        name="positions-of-one-length",
        exercise="reverser",
        edits={
            "nn.Parameter(torch.randn(1, length, d_model))": "nn.Parameter(F.normalize(torch.randn(1, length, d_model), dim=-1) * math.sqrt(d_model))"
        },
        rejected_by="reverser-test-1",
        says="the lengths of the positions vary",
        note="Independent normal numbers have lengths that vary about sqrt(D).",
    ),
    Misconception(
        name="four-heads-always",
        exercise="reverser",
        edits={
            "MultiHeadAttention(d_model, n_heads)": "MultiHeadAttention(d_model, 4 if d_model % 4 == 0 and n_heads > 1 else n_heads)"
        },
        rejected_by="reverser-test-2",
        says="the weights of two heads",
        note="The number of heads is a parameter.",
    ),
    Misconception(
        name="layer-with-dropout",
        exercise="reverser",
        edits={"MultiHeadAttention(d_model, n_heads)": "MultiHeadAttention(d_model, n_heads, dropout=0.1)"},
        rejected_by="reverser-test-1",
        says="dropout was not asked for",
        note="A layer that is made with its defaults drops nothing.",
    ),
    Misconception(
        name="rescaled-behind-a-prefix-only",
        exercise="rowmap",
        edits={
            "    return (row / row.sum(-1, keepdim=True)).unflatten": "    if n_prefix == 0:\n        return row.unflatten(-1, (rows, columns))\n    return (row / row.sum(-1, keepdim=True)).unflatten"
        },
        rejected_by="rowmap-test-1",
        says="rescale it, also without a prefix",
        note="Dropout and other changes leave rows that do not sum to 1.",
    ),
    Misconception(
        name="sum-kept-from-being-small",
        exercise="rowmap",
        edits={"row.sum(-1, keepdim=True)": "row.sum(-1, keepdim=True).clamp(min=0.1)"},
        rejected_by="rowmap-test-1",
        says="the sum was kept from being small",
        note="A class token can have nearly all of the attention; what is left must be rescaled all the same.",
    ),
]
