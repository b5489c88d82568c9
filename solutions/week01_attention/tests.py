# %% test="sdpa" points=5
randn = checks.normal(seed=0)
query, key, value = randn(2, 3, 4, 8), randn(2, 3, 6, 8), randn(2, 3, 6, 5)  # B=2 H=3 Lq=4 Lk=6 d=8 dv=5

with checks.step("attention of 4 queries over 6 keys"):
    attention = ScaledDotProductAttention(head_dim=8)
    context, weights = attention(query, key, value)
    checks.shape(weights, (2, 3, 4, 6), "weights")
    checks.shape(context, (2, 3, 4, 5), "context")

with checks.step("each row of weights is a distribution over the keys"):
    over_queries = checks.near(weights.sum(-2), torch.ones(2, 3, 6))
    checks.close(
        weights.sum(-1),
        torch.ones(2, 3, 4),
        "the sum over the keys",
        causes={"the softmax ran over the queries (dim=-2); it must run over the keys (dim=-1)": lambda: over_queries},
    )
    checks.that(bool((weights >= 0).all()), "weights are not negative", came=f"a weight of {weights.min():.3g}")

with checks.step("one query, two keys, d = 4, worked by hand"):
    # q.k = 2 ln 3 and 0; divided by sqrt(4) = 2: ln 3 and 0; softmax: 3/4 and 1/4; context: 3/4 * 4 + 1/4 * 8 = 5
    one_query = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    two_keys = torch.tensor([[[[math.log(3), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]])
    context, weights = ScaledDotProductAttention(head_dim=4)(one_query, two_keys, torch.tensor([[[[4.0], [8.0]]]]))
    checks.close(
        weights,
        torch.tensor([[[[0.75, 0.25]]]]),
        "weights",
        causes={
            "the scores were divided by d = 4, not by its square root 2": torch.tensor([[[[0.63397, 0.36603]]]]),
            "the scores were not divided by sqrt(d) = 2": torch.tensor([[[[0.9, 0.1]]]]),
        },
    )
    checks.close(context, torch.tensor([[[[5.0]]]]), "context")

with checks.step("the arguments after the call"):
    for kind in (torch.bool, torch.float32):
        given = (query, key, value, torch.ones(4, 6).tril().to(kind))
        came = checks.beside(observe.arguments_after, attention, *given)
        for name, before, after in zip(["query", "key", "value", "mask"], given, came, strict=True):
            checks.equal(after, before, f"{name} (an argument must not be changed in place)")

with checks.step("random numbers that are new in every run, against torch's scaled_dot_product_attention"):
    randn = checks.normal(checks.fresh_seed())
    new = (randn(2, 3, 4, 16), randn(2, 3, 7, 16), randn(2, 3, 7, 5))
    checks.close(ScaledDotProductAttention(head_dim=16)(*new)[0], F.scaled_dot_product_attention(*new), "context")

for width in (6, 9):
    with checks.step(f"query of width 8 and key of width {width}"):
        checks.raises(ValueError, attention, query, torch.ones(2, 3, 6, width), value, name="a key of another width")

# %% test="sdpa" points=5
randn = checks.normal(seed=1)
query, key, value = randn(2, 3, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 6)
keep = torch.tensor([True, True, True, False, False])  # keys 3 and 4 are hidden from every query

identity = torch.eye(5).expand(2, 3, 5, 5)  # with the identity as values, torch's context is the weights

with checks.step("a mask that hides keys 3 and 4"):
    attention = ScaledDotProductAttention(head_dim=8)
    context, weights = attention(query, key, value, keep)
    unmasked = F.scaled_dot_product_attention(query, key, identity)
    score_zero = F.scaled_dot_product_attention(query, key * keep[:, None], identity)
    checks.close(
        weights[..., 3:],
        torch.zeros(2, 3, 4, 2),
        "the weight of the hidden keys",
        causes={
            "the mask was read the other way round: true means *may be attended*": lambda: bool(
                (weights[..., :3] == 0).all()
            ),
            "the masked scores became 0, and exp(0) = 1 still takes part: they must become very negative": (
                score_zero[..., 3:]
            ),
            "the mask was not used": unmasked[..., 3:],
        },
    )
    checks.close(
        weights.sum(-1),
        torch.ones(2, 3, 4),
        "the sum over the keys",
        causes={"the weights were masked after the softmax: mask the scores before it": (unmasked * keep).sum(-1)},
    )
    checks.close(weights, F.scaled_dot_product_attention(query, key, identity, attn_mask=keep[None]), "weights")
    checks.close(context, F.scaled_dot_product_attention(query, key, value, attn_mask=keep[None]), "context")

### BEGIN HIDDEN TESTS
with checks.step("masks of 0 and 1 mean the same as false and true"):
    for kind in (torch.int64, torch.float32):
        checks.close(attention(query, key, value, keep.to(kind))[1], weights, f"weights with a {kind} mask")

with checks.step("one mask after another, then a call without one"):
    for other in (~keep, keep):
        wanted = F.scaled_dot_product_attention(query, key, value, attn_mask=other[None])
        checks.close(attention(query, key, value, other)[0], wanted, "context")
    checks.close(
        attention(query, key, value)[0],
        F.scaled_dot_product_attention(query, key, value),
        "the context without a mask",
        causes={"the mask of an earlier call was used again": context},
    )

with checks.step("a mask of shape (B, 1, 1, Lk) that differs between the sequences of a batch"):
    ragged = torch.arange(5) < torch.tensor([2, 4])[:, None]
    out, seen = attention(query, key, value, ragged[:, None, None, :])
    for b, n in enumerate((2, 4)):
        alone = F.scaled_dot_product_attention(query[b, :, :, :], key[b, :, :n], value[b, :, :n])
        checks.close(out[b], alone, f"the context of sequence {b}, against the same sequence cut to {n} keys")

with checks.step("a mask of shape (B, H, Lq, Lk)"):
    full = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    full[..., 1] = True
    wanted = F.scaled_dot_product_attention(query, key, value, attn_mask=full)
    checks.close(attention(query, key, value, full)[0], wanted, "context")

with checks.step("changing a hidden key or value"):
    poisoned_key, poisoned_value = key.clone(), value.clone()
    poisoned_key[:, :, 3:] = 1e3 * randn(2, 3, 2, 8)
    poisoned_value[:, :, 3:] = 1e3 * randn(2, 3, 2, 6)
    checks.equal(attention(query, poisoned_key, poisoned_value, keep)[0], context, "context (must be bit-identical)")

with checks.step("allowed scores of -100,000 and -99,999 beside hidden scores of 0"):
    low_query = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    low_key = torch.tensor([-100_000.0, -99_999.0, 0.0, 0.0])[:, None] * torch.eye(4)[0]
    came = ScaledDotProductAttention(4)(low_query, low_key[None, None], torch.eye(4)[None, None], keep[1:])[1]
    checks.close(
        came,
        torch.tensor([[[[1 / (1 + math.e), math.e / (1 + math.e), 0.0, 0.0]]]]),
        "weights",
        causes={
            "the number in the place of hidden scores is not low enough: these allowed scores are lower": lambda: bool(
                came[..., 2:].sum() > 0.99
            ),
            "exp of these scores is 0, and 0 / 0 is nan: subtract the largest score of each row first": lambda: bool(
                came.isnan().any()
            ),
        },
    )

for kind, digits in ((torch.float16, 3), (torch.bfloat16, 2)):
    with checks.step(f"{str(kind).removeprefix('torch.')} with a mask"):
        half = [t.to(kind) for t in (query, key, value)]
        came = attention(*half, keep)[0]
        checks.finite(came, f"context in {kind}")
        checks.dtype(came, kind, "context")
        checks.close(came.float(), context, "context", rtol=0, atol=3 * 10.0**-digits)  # a half has few digits

with checks.step("a query that may attend to no key at all"):
    nobody = torch.ones(4, 5, dtype=torch.bool)
    nobody[1] = False
    came, seen = attention(query, key, value, nobody)
    checks.finite(
        came,
        "context",
        causes={
            "softmax over a row of -inf is nan: fill with a finite number, or guard the row": lambda: bool(
                came[:, :, 1].isnan().all() and not came[:, :, 2:].isnan().any()
            )
        },
    )
    checks.finite(seen, "weights")
    others = [0, 2, 3]
    checks.close(came[:, :, others], F.scaled_dot_product_attention(query, key, value)[:, :, others], "the other rows")
    leaves = [t.clone().requires_grad_() for t in (query, key, value)]
    came = checks.beside(observe.gradients, attention, *leaves, nobody)
    for name, gradient in zip(["query", "key", "value"], came, strict=True):
        checks.that(gradient is not None, f"a gradient of {name} arrives", came="none")
        checks.finite(gradient, f"the gradient of {name}")
### END HIDDEN TESTS

# %% test="sdpa" points=6 forbids="torch.nn.functional.scaled_dot_product_attention, torch.nn.functional.multi_head_attention_forward, torch.nn.MultiheadAttention"
randn = checks.normal(seed=2)
query, key, value = randn(2, 3, 4, 8), randn(2, 3, 6, 8), randn(2, 3, 6, 5)

with checks.step("the computation is yours"):
    attention = ScaledDotProductAttention(head_dim=8)
    checks.forbidden(FORBIDDEN, attention, query, key, value)

with checks.step("against torch's scaled_dot_product_attention"):
    checks.close(attention(query, key, value)[0], F.scaled_dot_product_attention(query, key, value), "context")

### BEGIN HIDDEN TESTS
# 1 / sqrt(d) of these widths is exact in float32 as well: the scale may be a tensor of that dtype
for b, h, lq, lk, d, dv in (
    (1, 1, 1, 1, 4, 4),
    (1, 2, 1, 7, 16, 3),
    (3, 1, 5, 1, 4, 9),
    (2, 5, 9, 11, 64, 48),
):
    randn = checks.normal(seed=lq + 10 * lk, dtype=torch.float64)
    query, key, value = randn(b, h, lq, d), randn(b, h, lk, d), randn(b, h, lk, dv)
    keep = torch.arange(lk) <= torch.arange(lq)[:, None]
    for mask in (None, keep):
        what = f"{'with' if mask is not None else 'without'} mask, B={b} H={h} Lq={lq} Lk={lk} d={d} dv={dv}, float64"
        with checks.step(what):
            attention = ScaledDotProductAttention(head_dim=d)
            oracle = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            checks.close(attention(query, key, value, mask)[0], oracle, "context", rtol=1e-9, atol=1e-10)
            leaves = [t.clone().requires_grad_() for t in (query, key, value)]
            wanted = observe.gradients(F.scaled_dot_product_attention, *leaves, mask)
            came = checks.beside(observe.gradients, attention, *leaves, mask)
            for name, mine, theirs in zip(["query", "key", "value"], came, wanted, strict=True):
                checks.that(mine is not None, f"the gradient of {name} arrives", came="none")
                checks.close(mine, theirs, f"the gradient of {name}", rtol=1e-8, atol=1e-10)

with checks.step("scores of some thousands"):
    query, key, value = randn(2, 3, 4, 16), randn(2, 3, 6, 16), randn(2, 3, 6, 5)
    came = ScaledDotProductAttention(head_dim=16)(3e3 * query, key, value)[0]
    checks.close(
        came,
        F.scaled_dot_product_attention(3e3 * query, key, value),
        "context",
        causes={
            "exp of a large score is infinite: subtract the largest score of each row first": lambda: bool(
                came.isnan().any()
            )
        },
    )

with checks.step("dropout 0.25 while training, with the identity twice as values"):
    randn = checks.normal(seed=5)
    query, key = randn(4, 3, 6, 8), randn(4, 3, 7, 8)
    twice = torch.cat([torch.eye(7), torch.eye(7)], dim=-1).expand(4, 3, 7, 14)
    attention = ScaledDotProductAttention(head_dim=8, dropout=0.25)
    attention.eval()
    undropped = F.scaled_dot_product_attention(query, key, twice)
    checks.close(attention(query, key, twice)[0], undropped, "the context in eval mode")
    attention.train()
    torch.manual_seed(0)
    dropped = attention(query, key, twice)[0]
    kept = dropped != 0
    checks.close(
        dropped,
        torch.where(kept, undropped / 0.75, 0.0),
        "each weight (0 if dropped, weight / (1 - p) if kept)",
        causes={
            "no weight was dropped": undropped,
            "dropout ran on the scores, before the softmax": lambda: (
                bool(kept.all()) and not checks.near(dropped, undropped)
            ),
            "the rows were rescaled to sum 1 after the dropout": lambda: (
                checks.near(dropped.sum(-1), torch.full((4, 3, 6), 2.0)) and not kept.all()
            ),
            "half of the weights were dropped, whatever was asked for": torch.where(kept, undropped / 0.5, 0.0),
        },
    )
    kept, again = kept.split(7, dim=-1)
    checks.equal(kept, again, "a dropped weight is dropped for all entries of its value: what is kept")
    share = kept.float().mean().item()
    checks.that(0.65 < share < 0.85, "about a quarter of the weights is dropped", came=f"{1 - share:.0%} dropped")
    patterns = len(kept.flatten(2).flatten(0, 1).unique(dim=0))
    mixed = (kept.any(-1) & ~kept.all(-1)).float().mean().item()
    checks.that(
        patterns == 12 and mixed > 0.5,
        "each weight is dropped on its own",
        came=f"{patterns} patterns in 12 heads; {mixed:.0%} of the rows lose some, but not all of their weights",
    )


def count_learned(module: nn.Module) -> int:
    return sum(p.requires_grad for p in module.parameters())


with checks.step("nothing in it learns"):
    learned = checks.beside(count_learned, ScaledDotProductAttention(head_dim=8))
    checks.equal(learned, 0, "the number of parameters that learn", causes={"the scale learns; it is 1 / sqrt(d)": 1})

with checks.step("the number of torch operators for 4 and for 16 tokens"):
    attention = ScaledDotProductAttention(head_dim=8)
    counts = []
    for length in (4, 16):
        tokens = checks.normal(seed=7)(1, 2, length, 8)
        counts.append(checks.beside(observe.operator_count, attention, tokens, tokens, tokens))
    checks.that(
        counts[1] < counts[0] + 12,  # a reshape may copy for some shapes only; a loop runs 12 times more
        "vectorized code runs the same operators at any length",
        came=f"{counts[0]} operators for 4 tokens, {counts[1]} for 16",
        causes={"a Python loop over the tokens": lambda: counts[1] >= counts[0] + 12},
    )
### END HIDDEN TESTS

# %% test="masks" points=4
with checks.step("padding_mask for lengths 2, 4, 1 padded to 4"):
    lengths = torch.tensor([2, 4, 1])
    mask = padding_mask(lengths, 4)
    checks.shape(mask, (3, 1, 1, 4), "the mask")
    checks.dtype(mask, torch.bool, "the mask")
    wanted = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    checks.equal(
        mask[:, 0, 0],
        wanted,
        "the mask",
        causes={
            "true stands at the padding; it must stand at the real tokens": ~wanted,
            "one position too many is allowed: position numbers start at 0": torch.tensor(
                [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool
            ),
        },
    )

with checks.step("a length above max_len"):
    for lengths in ([2, 5], [5, 2]):
        checks.raises(ValueError, padding_mask, torch.tensor(lengths), 4, name=f"lengths {lengths} with max_len 4")

### BEGIN HIDDEN TESTS
with checks.step("an empty sequence, or a negative length"):
    for bad in (0, -3):
        for lengths in ([2, bad], [bad, 2]):
            checks.raises(ValueError, padding_mask, torch.tensor(lengths), 4, name=f"the list of lengths {lengths}")

with checks.step("the lengths after the call"):
    lengths = torch.tensor([2, 4, 1])
    (after,) = checks.beside(observe.arguments_after, padding_mask, lengths, 4)
    checks.equal(after, lengths, "lengths (an argument must not be changed in place)")

for max_len in (1, 3, 8):
    with checks.step(f"padding_mask against a loop, max_len={max_len}"):
        lengths = torch.randint(1, max_len + 1, (5,), generator=torch.Generator().manual_seed(max_len))
        looped = torch.tensor([[[[j < int(n) for j in range(max_len)]]] for n in lengths])
        checks.equal(padding_mask(lengths, max_len), looped, f"the mask for lengths {lengths.tolist()}")


def device_elsewhere(mask_of: Callable[..., torch.Tensor], lengths: torch.Tensor) -> str:
    """The device of the mask for lengths on the CPU, where new tensors lie on "meta" unless a device is given."""
    with torch.device("meta"):
        try:
            return mask_of(lengths, 3).device.type
        except NotImplementedError:  # positions that are moved to the CPU: right, but meta holds no numbers to move
            return "cpu"
        except RuntimeError:  # numbers of two devices in one operator
            return "two devices"


with checks.step("the device of the mask"):
    came = checks.beside(device_elsewhere, padding_mask, torch.tensor([1, 3]))
    checks.equal(came, "cpu", "where the mask lies for lengths on the CPU, if new tensors lie elsewhere")
### END HIDDEN TESTS

# %% test="masks" points=4
with checks.step("causal_mask of 4 tokens"):
    mask = causal_mask(4)
    checks.shape(mask, (1, 1, 4, 4), "the mask")
    checks.dtype(mask, torch.bool, "the mask")
    wanted = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.bool)
    checks.equal(
        mask[0, 0],
        wanted,
        "the mask",
        causes={
            "this is the upper triangle: each token sees the future and not the past": wanted.T,
            "the diagonal is missing: a token may attend to itself": wanted & ~torch.eye(4, dtype=torch.bool),
        },
    )

### BEGIN HIDDEN TESTS
for length in (1, 2, 7, 40):
    with checks.step(f"causal_mask against a double loop, length {length}"):
        looped = torch.tensor([[[[j <= i for j in range(length)] for i in range(length)]]])
        checks.equal(causal_mask(length), looped, "the mask")

with checks.step("both masks combine with &"):
    both = padding_mask(torch.tensor([2, 3]), 3) & causal_mask(3)
    checks.equal(
        both[0, 0],
        torch.tensor([[True, False, False], [True, True, False], [True, True, False]]),
        "padding & causal",
    )
### END HIDDEN TESTS

# %% test="mha" points=8 after="given-torch-twin"
torch.manual_seed(0)
randn = checks.normal(checks.fresh_seed())  # tokens that are new in every run
x, memory = randn(2, 6, 16), randn(2, 5, 16)

with checks.step("multi-head attention of 6 tokens, D = 16, H = 4"):
    mha = MultiHeadAttention(d_model=16, n_heads=4)
    output, weights = mha(x)
    checks.shape(output, (2, 6, 16), "output")
    checks.shape(weights, (2, 4, 6, 6), "weights")
    checks.close(weights.sum(-1), torch.ones(2, 4, 6), "the sum over the keys")

with checks.step("queries from one sequence, keys and values from another of 5 tokens"):
    checks.shape(mha(x, memory)[0], (2, 6, 16), "output")
    checks.shape(mha(x, memory)[1], (2, 4, 6, 5), "weights")

with checks.step("projection_weights"):
    projections = mha.projection_weights()
    checks.equal(sorted(projections), ["k", "out", "q", "v"], "its names")
    for name, (weight, bias) in projections.items():
        checks.shape(weight, (16, 16), f"the weight of {name!r}")
        checks.shape(bias, (16,), f"the bias of {name!r}")
        spread = weight.std().item()
        checks.that(spread > 1e-4, f"the weight of {name!r} starts at random numbers", came=f"a spread of {spread:.1e}")

with checks.step("D = 10 cannot be cut into 4 heads"):
    checks.raises((ValueError, AssertionError), MultiHeadAttention, 10, 4, name="d_model=10, n_heads=4")


def tokens_mix() -> bool:
    """Do other tokens reach token 0 although each token may attend only to itself?"""
    changed = x.clone()
    changed[:, 1:] += 1
    itself = torch.eye(6, dtype=torch.bool)
    return not checks.near(mha(x, mask=itself)[0][:, 0], mha(changed, mask=itself)[0][:, 0])


with checks.step("against nn.MultiheadAttention with your weights"):
    theirs, their_weights = twin_answer(torch_twin(projections, 4), x, x, x)
    q_weight, q_bias = projections["q"]
    one_scale = {**projections, "q": (q_weight / 2, q_bias / 2)}  # sqrt(d / D) = sqrt(4 / 16)
    checks.close(
        weights,
        their_weights,
        "weights",
        causes={
            "the scores were divided by sqrt(d_model), not by sqrt(d) of one head": twin_answer(
                torch_twin(one_scale, 4), x, x, x
            )[1],
            "the heads were cut without moving them in front of the tokens: (B, L, H, d), then transpose": tokens_mix,
        },
    )
    identity = {**projections, "out": (torch.eye(16), torch.zeros(16))}
    checks.close(
        output,
        theirs,
        "output",
        causes={
            "the values went through the key projection": twin_answer(
                torch_twin({**projections, "v": projections["k"]}, 4), x, x, x
            )[0],
            "the output projection is missing": twin_answer(torch_twin(identity, 4), x, x, x)[0],
            "the heads were merged without moving the tokens back in front of them": tokens_mix,
        },
    )

# %% test="mha" points=6 forbids="torch.nn.MultiheadAttention, torch.nn.functional.multi_head_attention_forward, torch.nn.functional.scaled_dot_product_attention" after="given-torch-twin"
torch.manual_seed(1)
randn = checks.normal(seed=1)
x = randn(2, 6, 16)
order = torch.tensor([3, 0, 5, 1, 4, 2])

with checks.step("the computation is yours"):
    mha = MultiHeadAttention(d_model=16, n_heads=4)
    checks.forbidden(FORBIDDEN, mha, x)

with checks.step("permutation: f(x[order]) = f(x)[order]"):
    checks.close(mha(x[:, order])[0], mha(x)[0][:, order], "the output for the shuffled tokens")

### BEGIN HIDDEN TESTS
with checks.step("the arguments after the call"):
    given = (x, randn(2, 6, 16), randn(2, 6, 16), torch.ones(6, 6).tril())
    came = checks.beside(observe.arguments_after, mha, *given)
    for what, old, new in zip(("query", "key", "value", "mask"), given, came, strict=True):
        checks.equal(new, old, f"the {what} (mha must not change it in place)")

with checks.step("the value that is left out, with a key that is not the query"):
    memory = randn(2, 6, 16)
    checks.close(
        mha(x, memory)[0],
        mha(x, memory, memory)[0],
        "mha(x, memory) against mha(x, memory, memory)",
        causes={"the value fell back to the query; it must fall back to the key": lambda: mha(x, memory, x)[0]},
    )
    checks.close(mha(x)[0], mha(x, x, x)[0], "mha(x) against mha(x, x, x)")

with checks.step("a value of its own, with the key left out"):
    twin = torch_twin(mha.projection_weights(), 4)
    without_value = twin_answer(twin, x, x, x)[0]
    checks.close(
        mha(x, value=memory)[0],
        twin_answer(twin, x, x, memory)[0],
        "mha(x, value=v)",
        causes={
            "the value was lost, and the query took its place": without_value,
            "the value took the place of the key as well": twin_answer(twin, x, memory, memory)[0],
        },
    )

with checks.step("four projections"):
    found = mha.projection_weights()
    for one, other in (("q", "k"), ("q", "v"), ("k", "v"), ("q", "out"), ("k", "out"), ("v", "out")):
        checks.that(
            not checks.near(found[one][0], found[other][0]), f"{one!r} and {other!r} have weights of their own", came="the same weights",
            causes={"one projection serves two roles, and must learn both": True},
        )  # fmt: skip

for d_model, n_heads, lq, lk in ((8, 1, 4, 4), (8, 8, 5, 2), (24, 6, 1, 7), (48, 4, 10, 9), (9, 3, 4, 5)):
    what = f"D={d_model} H={n_heads} Lq={lq} Lk={lk}, float64"
    with checks.step(f"against nn.MultiheadAttention, {what}"):
        randn = checks.normal(seed=d_model + n_heads, dtype=torch.float64)
        query, key, value = randn(3, lq, d_model), randn(3, lk, d_model), randn(3, lk, d_model)
        layer = MultiHeadAttention(d_model, n_heads).double()
        twin = torch_twin(layer.projection_weights(), n_heads)
        theirs, their_weights = twin_answer(twin, query, key, value)
        output, weights = layer(query, key, value)
        # a scale kept as a float32 tensor is exact to about 1e-8
        checks.close(weights, their_weights, "weights", rtol=1e-6, atol=1e-7)
        checks.close(output, theirs, "output", rtol=1e-6, atol=1e-7)
        leaves = [t.clone().requires_grad_() for t in (query, key, value)]
        wanted = observe.gradients(twin, *leaves)
        came = checks.beside(observe.gradients, layer, *leaves)
        for name, mine, theirs in zip(["query", "key", "value"], came, wanted, strict=True):
            checks.that(mine is not None, f"the gradient of {name} arrives", came="none")
            checks.close(mine, theirs, f"the gradient of {name}", rtol=1e-5, atol=1e-7)
### END HIDDEN TESTS

# %% test="mha" points=6 after="given-torch-twin"
torch.manual_seed(2)
x = checks.normal(seed=3)(2, 6, 16)

with checks.step("a padding mask equals cutting the sequence"):
    mha = MultiHeadAttention(d_model=16, n_heads=4)
    keep = torch.tensor([1, 1, 1, 1, 0, 0], dtype=torch.bool)[None, None, None]
    output, weights = mha(x, mask=keep)
    checks.close(weights[..., 4:], torch.zeros(2, 4, 6, 2), "the weight of hidden keys")
    checks.close(output[:, :4], mha(x[:, :4])[0], "the output at the first 4 tokens")

### BEGIN HIDDEN TESTS
with checks.step("a mask of its own for each head, (1, H, L, L)"):
    per_head = torch.ones(1, 4, 6, 6, dtype=torch.bool)
    per_head[:, 2] = torch.eye(6, dtype=torch.bool)
    weights = mha(x, mask=per_head)[1]
    checks.close(weights[:, 2], torch.eye(6).expand(2, 6, 6), "the weights of head 2, which may see itself only")
    checks.close(weights[:, 1], mha(x)[1][:, 1], "the weights of head 1, which sees all")

randn = checks.normal(seed=4)
query, key, value = randn(3, 7, 16), randn(3, 5, 16), randn(3, 5, 16)
some = torch.rand(3, 4, 7, 5, generator=torch.Generator().manual_seed(0)) < 0.6
some[..., 2] = True
twin = torch_twin(mha.projection_weights(), 4)
for what, mask in (
    ("of each sequence, (B, 1, 1, Lk)", (torch.arange(5) < torch.tensor([4, 2, 5])[:, None])[:, None, None]),
    ("of each sequence and query, (B, 1, Lq, Lk)", some[:, :1]),
    ("of each query, (Lq, Lk)", some[0, 0]),
    ("of 0 and 1, (B, H, Lq, Lk)", some),
):
    with checks.step(f"a mask {what}"):
        output, weights = mha(query, key, value, mask.long() if mask is some else mask)
        theirs, their_weights = twin_answer(twin, query, key, value, mask.expand(3, 4, 7, 5))
        first = (mask[:1] if mask.dim() == 4 else mask).expand(3, 4, 7, 5)
        of_first = twin_answer(twin, query, key, value, first)
        cause = "the mask of the first sequence was used for all of them"
        checks.close(weights, their_weights, "weights", causes={cause: of_first[1]})
        checks.close(output, theirs, "output", causes={cause: of_first[0]})

with checks.step("a call without a mask after calls with one"):
    checks.close(mha(query, key, value)[0], twin_answer(twin, query, key, value)[0], "output")


def moved_by_a_step(layer: nn.Module, tokens: torch.Tensor) -> list[tuple[str, float, float]]:
    """How far one step of gradient descent moves the weight and the bias of each projection."""
    before = {name: [t.detach().clone() for t in pair] for name, pair in layer.projection_weights().items()}
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    optimizer.zero_grad()
    layer(tokens)[0].square().sum().backward()
    optimizer.step()
    after = layer.projection_weights()
    return [
        (name, *((t.detach() - b).abs().max().item() for t, b in zip(after[name], before[name]))) for name in before
    ]


with checks.step("one step of gradient descent"):
    layer = MultiHeadAttention(d_model=16, n_heads=4).double()
    moved = checks.beside(moved_by_a_step, layer, 3 * x.double())
    checks.equal(sorted(name for name, _, _ in moved), ["k", "out", "q", "v"], "the names of the projections")
    for name, weight_moved, bias_moved in moved:
        checks.that(weight_moved > 0, f"the weight of {name!r} learns", came="it did not move")
        # the bias of the keys adds the same number to all scores of a row, so its gradient is 0
        checks.that(bias_moved > 0 or name == "k", f"the bias of {name!r} learns", came="it did not move")

with checks.step("dropout 0.25 while training, with a single key"):
    torch.manual_seed(2)
    layer = MultiHeadAttention(8, 2, dropout=0.25)
    query, single = randn(3, 40, 8), randn(3, 1, 8)
    twin = torch_twin(layer.projection_weights(), 2)
    checks.close(layer.eval()(query, single)[0], twin_answer(twin, query, single, single)[0], "the output in eval mode")
    weight, bias = layer.projection_weights()["v"]
    out_weight, out_bias = layer.projection_weights()["out"]
    heads = F.linear(single, weight, bias).detach().unflatten(-1, (2, 4))  # (3, 1, 2, 4): the value of each head
    dropped = torch.tensor([[a, b] for a in (0, 1 / 0.75) for b in (0, 1 / 0.75)])  # the only weight, in both heads
    possible = F.linear((heads * dropped[:, :, None]).flatten(2), out_weight, out_bias).detach()  # (3, 4, 8)
    came = layer.train()(query, single)[0].detach()
    gap = (came[:, :, None] - possible[:, None]).abs().amax(-1)  # (3, 40, 4)
    checks.that(
        bool((gap.amin(-1) < 1e-4).all()),
        "in each head the weight 1 becomes 0 or 1 / (1 - p), and nothing else is dropped",
        came=f"{(gap.amin(-1) >= 1e-4).sum()} of 120 outputs come from other weights",
        causes={
            "dropout ran on the output as well": lambda: bool(0.1 < (came == 0).float().mean() < 0.4),
            "dropout does not reach the attention weights": checks.near(
                came, twin_answer(twin, query, single, single)[0]
            ),
        },
    )
    share = dropped[gap.argmin(-1)].eq(0).float().mean().item()
    checks.that(0.12 < share < 0.4, "about a quarter of the weights is dropped", came=f"{share:.0%} dropped")
### END HIDDEN TESTS

# %% test="flops" points=8
with checks.step("2 tokens of width 4, one head, counted by hand"):
    # projections: 4 products of 2*4*4 = 32; scores: 2*4*2 = 16; average: 2*2*4 = 16; 160 multiply-adds
    checks.equal(
        attention_flops(2, 4, 1),
        320,
        "attention_flops(2, 4, 1)",
        causes={
            "multiply-adds were counted once; each is 2 FLOPs": 160,
            "the output projection is missing": 256,
            "the projections are missing": 64,
            "only one of the two products with L x L entries was counted": 288,
            "the result must be an int; avoid `/`": 320.0,
        },
    )

### BEGIN HIDDEN TESTS
for length, d_model in ((16, 48), (7, 24), (65, 192), (1, 12)):
    for n_heads in (1, 3, 4):
        with checks.step(f"against torch's FLOP counter, L={length} D={d_model} H={n_heads}"):
            layer = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
            tokens = torch.zeros(1, length, d_model)
            counted = profiling.flops(layer, tokens, tokens, tokens)
            checks.equal(
                attention_flops(length, d_model, n_heads),
                counted,
                "the count",
                causes={
                    "the cost of scores and average was multiplied by the number of heads; each head is only D/H wide": (
                        8 * length * d_model**2 + n_heads * 4 * length**2 * d_model
                    ),
                    "the whole cost was multiplied by the number of heads; each head is only D/H wide": n_heads
                    * counted,
                },
            )
### END HIDDEN TESTS

# %% test="reverse" points=4
seed = checks.fresh_seed()  # other sequences in every run, and another number of them
many = 64 + seed % 32

with checks.step("reverse_batch of any number of sequences, 10 tokens of width 32"):
    x, y = reverse_batch(many, 10, 32, torch.Generator().manual_seed(seed))
    checks.shape(x, (many, 10, 32), "x")
    checks.shape(y, (many, 10, 32), "y")
    checks.dtype(x, torch.float32, "x")
    checks.equal(
        y,
        torch.stack([x[:, 9 - i] for i in range(10)], dim=1),
        "y",
        causes={
            "the batch was reversed (dimension 0), not the tokens (dimension 1)": lambda: x.flip(0),
            "the entries of each token were reversed (dimension 2), not the tokens (dimension 1)": lambda: x.flip(2),
        },
    )
    for dim, name in enumerate(["sequences", "tokens", "entries of a token"]):
        within = x.var(dim).mean().item()
        checks.that(within > 1e-3, f"the {name} are not all alike", came=f"a variance of {within:.2f} among them")
    mean, variance = x.mean().item(), x.var().item()
    two, three = ((x.abs() > far).float().mean().item() for far in (2, 3))
    checks.that(
        abs(mean) < 0.05 and abs(variance - 1) < 0.05 and 0.035 < two < 0.056 and 0.001 < three < 0.005,
        "the entries are standard normal",
        came=f"mean {mean:.3f}, variance {variance:.3f}, {two:.1%} beyond -2 and 2, {three:.2%} beyond -3 and 3",
        expected="mean 0, variance 1, 4.6% beyond -2 and 2, 0.27% beyond -3 and 3",
        causes={
            "torch.rand is uniform on [0, 1), with mean 1/2 and variance 1/12": (
                abs(mean - 0.5) < 0.02 and abs(variance - 1 / 12) < 0.01
            )
        },
    )

with checks.step("the floor for two tokens"):
    checks.that(
        abs(position_free_floor(2, 1.0)) < 1e-9,
        "two tokens can be swapped without positions, so the floor is 0",
        came=f"{position_free_floor(2, 1.0):.4f}",
        expected="0",
        causes={
            "for even lengths the token itself is no candidate": abs(position_free_floor(2, 1.0) - 0.5) < 1e-9,
            "the variance alone is the error of a constant guess; the layer sees the other tokens": (
                abs(position_free_floor(2, 1.0) - 1) < 1e-9
            ),
        },
    )

# %% test="reverse" points=6
with checks.step("the same generator state gives the same batch"):
    first = reverse_batch(2, 5, 3, torch.Generator().manual_seed(7))[0]
    checks.equal(reverse_batch(2, 5, 3, torch.Generator().manual_seed(7))[0], first, "x")

with checks.step("another generator state gives another batch"):
    other = reverse_batch(2, 5, 3, torch.Generator().manual_seed(8))[0]
    checks.that(not checks.near(other, first), "two seeds give two batches", came="the same x for seeds 7 and 8")

### BEGIN HIDDEN TESTS
with checks.step("400 sequences of 4 tokens of width 5: all entries are independent"):
    x, _ = reverse_batch(400, 4, 5, torch.Generator().manual_seed(3))
    checks.shape(x, (400, 4, 5), "x")
    alike = torch.corrcoef(x.flatten(1).T).fill_diagonal_(0).abs().max().item()
    checks.that(alike < 0.3, "no two entries of a sequence are alike", came=f"a correlation of {alike:.2f}", causes={
        "one number was used for two entries": alike > 0.95,
    })  # fmt: skip
    for numbers, of in ((x.mean((1, 2)) * 20**0.5, "sequence"), (x.mean(2).flatten() * 5**0.5, "token")):
        spread = numbers.std().item()
        checks.that(0.8 < spread < 1.2, f"the means of the {of}s vary as chance wants it", came=f"{spread:.2f} times that", causes={
            "each of them was brought to mean 0; drawn numbers stay as they are": spread < 1e-3,
        })  # fmt: skip

with checks.step("only the generator is used"):
    state = torch.random.get_rng_state()
    torch.manual_seed(11)
    one = reverse_batch(2, 5, 3, torch.Generator().manual_seed(7))[0]
    torch.manual_seed(12)
    two = reverse_batch(2, 5, 3, torch.Generator().manual_seed(7))[0]
    torch.random.set_rng_state(state)
    checks.equal(two, one, "x after another global seed")


def two_batches(draw: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    moving = torch.Generator().manual_seed(7)
    return [draw(2, 5, 3, moving)[0] for _ in range(2)]


with checks.step("the generator moves on"):
    batches = checks.beside(two_batches, reverse_batch)
    checks.that(
        not checks.near(*batches),
        "the second call draws new tokens",
        came="the same x twice from one generator",
        expected="a training run that sees a new batch in every step",
    )


def elsewhere(draw: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> tuple[list[str], list[str]]:
    """The devices of x and y for a generator that says it is on another device, "meta"; those it drew numbers on."""
    from torch.overrides import TorchFunctionMode

    class Elsewhere(torch.Generator):
        device = torch.device("meta")  # type: ignore[assignment]

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            if isinstance((kwargs or {}).get("generator"), Elsewhere):
                drawn.append(result.device.type)
            return result

    drawn: list[str] = []
    with Watch():
        results = draw(2, 5, 3, Elsewhere())
    return [t.device.type for t in results], drawn


with checks.step("a generator of another device"):
    devices, drawn = checks.beside(elsewhere, reverse_batch)
    checks.equal(devices, ["meta", "meta"], "the devices of x and y")
    checks.that(
        set(drawn) <= {"meta"}, "the numbers are drawn there: a generator draws on its own device only", came=f"{drawn}"
    )

for length in (2, 6, 10, 3, 5):
    with checks.step(f"the floor for L = {length}, against the best equivariant map of tokens of variance 4"):
        # Tokens that are orthogonal unit vectors stand for independent ones: least squares over what the map at
        # position i can tell apart, its own token and the sum of the others, leaves exactly the floor.
        own = torch.eye(length, dtype=torch.float64)
        seen = torch.stack([own, 1 - own], dim=-1).flatten(0, 1)  # (L * L, 2)
        target = own.flip(0).flatten()[:, None]
        left = target - seen @ torch.linalg.lstsq(seen, target).solution
        exact = 4.0 * left.square().sum().item() / length
        came = position_free_floor(length, 4.0)
        checks.that(isinstance(came, float), "the floor is a float", came=type(came).__name__)
        checks.that(
            abs(came - exact) < 1e-6,
            "the floor (variance 4)",
            came=f"{came:.4f}",
            expected=f"{exact:.4f}",
            causes={
                "for odd lengths the middle token is its own target: there are L candidates, not L - 1": (
                    length % 2 == 1 and abs(came - 4 * (1 - 1 / (length - 1))) < 1e-6
                ),
                "the variance of the tokens is left out": abs(4 * came - exact) < 1e-6,
            },
        )
### END HIDDEN TESTS

# %% test="reverser" points=4
with checks.step("antidiagonal_mass of weights that are known"):
    mirror, uniform = torch.eye(4).flip(-1), torch.full((4, 4), 0.25)
    planted = torch.stack([mirror, torch.eye(4), uniform])[None]  # (1, 3, 4, 4)
    checks.close(
        antidiagonal_mass(planted),
        torch.tensor([[1.0, 0.0, 0.25]]),
        "the mass of a mirror, the identity and uniform weights",
        causes={
            "this is the mass of the main diagonal": torch.tensor([[0.0, 1.0, 0.25]]),
            "this is the sum over the rows, not the mean": torch.tensor([[4.0, 0.0, 1.0]]),
        },
    )
    random = checks.normal(checks.fresh_seed(), dtype=torch.float64)(2, 3, 5, 5).softmax(-1)
    looped = torch.stack([random[:, :, i, 4 - i] for i in range(5)]).mean(0)
    checks.close(antidiagonal_mass(random), looped, "the mass of random weights, 2 sequences and 3 heads, float64")
    (after,) = checks.beside(observe.arguments_after, antidiagonal_mass, random)
    checks.equal(after, random, "weights (an argument must not be changed in place)")

with checks.step("PositionedReverser(length=10, d_model=64, n_heads=4)"):
    torch.manual_seed(0)
    model = PositionedReverser(length=10, d_model=64, n_heads=4)
    output, weights = model(checks.normal(seed=0)(2, 10, 64))
    checks.shape(output, (2, 10, 64), "output")
    checks.shape(weights, (2, 4, 10, 10), "weights")


def positions_at_start(model: nn.Module, *shape: int) -> list[torch.Tensor]:
    """The parameters of this shape that learn."""
    return [p.detach() for p in model.parameters() if p.shape == shape and p.requires_grad]


with checks.step("the positions, a parameter of shape (1, L, D)"):
    found = checks.beside(positions_at_start, PositionedReverser(length=40, d_model=96, n_heads=3), 1, 40, 96)
    checks.that(len(found) == 1, "one of the parameters that learn has this shape", came=f"{len(found)} of them")
    (start,) = found
    mean, spread, beyond = start.mean().item(), start.std().item(), (start.abs() > 2).float().mean().item()
    checks.that(
        abs(mean) < 0.1 and 0.9 < spread < 1.1 and 0.03 < beyond < 0.065 and start.std(1).min().item() > 0.5,
        "they start as independent normal numbers of standard deviation 1.0",
        came=f"mean {mean:.3f}, standard deviation {spread:.3f}, {beyond:.1%} beyond -2 and 2",
        expected="mean 0, standard deviation 1, 4.6% beyond -2 and 2",
        causes={
            "0.02 is drowned by tokens of variance 1": abs(spread - 0.02) < 0.01,
            "all positions start alike": start.std(1).max().item() < 1e-6,
        },
    )
    lengths = start.norm(dim=-1).std().item()
    checks.that(lengths > 0.3, "the lengths of the positions vary, as those of independent normal numbers do", came=f"a standard deviation of {lengths:.2f}", expected="about 0.7")  # fmt: skip

with checks.step("tokens that are all zero: the weights show the positions alone"):
    blank, blank_weights = model(torch.zeros(1, 10, 64))
    from_uniform = (blank_weights - 0.1).abs().max().item()
    checks.that(
        from_uniform > 1e-4,
        "keys differ by their position",
        came=f"weights within {from_uniform:.1e} of 1/10",
        expected="different weights for different keys",
        causes={"the keys carry no position": from_uniform < 1e-5},
    )
    between_rows = (blank_weights - blank_weights[:, :, :1]).abs().max().item()
    checks.that(
        between_rows > 1e-4,
        "queries differ by their position",
        came=f"rows within {between_rows:.1e} of each other",
        expected="different rows for different queries",
        causes={"the queries carry no position": between_rows < 1e-5},
    )

with checks.step("tokens that are all zero: the values carry nothing"):
    checks.close(
        blank,
        blank[:, :1].expand(1, 10, 64),
        "the output at each position, against position 0",
        causes={
            "the positions were added to the values too": lambda: checks.near(model(torch.zeros(1, 10, 64))[0], blank),
            "the same tokens give another output each time: dropout was not asked for": lambda: (
                not checks.near(model(torch.zeros(1, 10, 64))[0], blank)
            ),
        },
    )


def weights_after_exchange(model: nn.Module, x: torch.Tensor, moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights for tokens x, and for x + moved while the positions are smaller by `moved`."""
    (positions,) = [p for p in model.parameters() if p.shape == (1, 10, 64)]
    with torch.no_grad():
        kept = positions.clone()
        before = model(x)[1]
        positions.sub_(moved)
        after = model(x + moved)[1]
        positions.copy_(kept)
    return before, after


with checks.step("queries and keys are the tokens plus the positions"):
    randn = checks.normal(seed=7)
    before, after = checks.beside(weights_after_exchange, model, randn(3, 10, 64), randn(1, 10, 64))
    checks.close(after, before, "the weights, with part of the positions moved into the tokens", rtol=1e-3, atol=1e-4)


def values_and_output(model: nn.Module) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Weights and biases of the value and of the output projection; nothing where the layer is not that of exercise 3."""
    for part in model.modules():
        if hasattr(part, "projection_weights"):
            found = part.projection_weights()
            return {name: tuple(t.detach() for t in found[name]) for name in ("v", "out")}
    return {}


with checks.step("ten tokens that are all alike: wherever a query looks, it reads the same"):
    projections = checks.beside(values_and_output, model)
    token = checks.normal(checks.fresh_seed())(3, 1, 64).expand(3, 10, 64)
    if projections:
        wanted = F.linear(F.linear(token, *projections["v"]), *projections["out"])
        checks.close(
            model(token)[0],
            wanted,
            "the output, against the value and the output projection of the token",
            causes={"the tokens were added to what attention gives": wanted + token},
        )


# %% test="reverser" points=8
def validate(model: nn.Module) -> tuple[float, torch.Tensor]:
    """Mean squared error on 256 new sequences, and the attention weights."""
    x = checks.normal(seed=12345)(256, 10, 64)
    output, weights = model(x)
    return (output - torch.stack([x[:, 9 - i] for i in range(10)], dim=1)).square().mean().item(), weights


with checks.step("before training"):
    torch.manual_seed(1)
    model = PositionedReverser(length=10, d_model=64, n_heads=4)
    untrained, _ = validate(model)
    checks.that(untrained > 0.8, "an untrained layer cannot reverse", came=f"error {untrained:.3f}", expected="> 0.8")


def gradient_growth(train: Callable[..., list[float]], model: nn.Module) -> float:
    """How much larger the gradients are after 8 steps at learning rate 0 than after 1: about 1, or up to 8."""
    size = []
    for steps in (1, 8):
        for p in model.parameters():
            p.grad = None
        train(model, steps=steps, lr=0.0, batch=32, seed=3)
        size.append(sum(p.grad.norm().item() for p in model.parameters() if p.grad is not None))
    return size[1] / size[0] if size[0] else 0.0


def gradients_add_up() -> bool:
    torch.manual_seed(1)
    return checks.beside(gradient_growth, train_reverser, PositionedReverser(10, 64, 4)) > 4


with checks.step("250 steps of training"):
    losses = train_reverser(model, steps=250, lr=3e-3, batch=32, seed=1)
    checks.equal(len(losses), 250, "the number of losses")
    error, weights = validate(model)
    checks.that(
        error < 0.01,
        "the error on new sequences",
        came=f"{error:.4f}, and {losses[-1]:.4f} on the last training batch",
        expected="< 0.01",
        causes={
            "gradients add up from step to step: clear them in each one": gradients_add_up,
            "training saw the same sequences again and again: draw a new batch in each step": losses[-1] < 0.2 * error,
            "this is the floor of a layer without positions, 0.889": abs(error - (1 - 1 / 9)) < 0.02,
        },
    )

### BEGIN HIDDEN TESTS
with checks.step("the attention of the trained layer"):
    mirrored = torch.stack([weights[:, :, i, 9 - i] for i in range(10)], dim=-1).mean((0, 2))
    checks.that(
        bool((mirrored > 0.9).all()),
        "every head looks at the mirror image",
        came=f"anti-diagonal mass {[round(m, 3) for m in mirrored.tolist()]}",
        expected="> 0.9 in each head",
    )


def without_positions(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output with all parameters of shape (1, 10, 64) set to zero for the moment."""
    positions = [p for p in model.parameters() if p.shape == (1, 10, 64)]
    kept = [p.detach().clone() for p in positions]
    with torch.no_grad():
        for p in positions:
            p.zero_()
        output = model(x)[0]
        for p, old in zip(positions, kept):
            p.copy_(old)
    return output


with checks.step("the trained layer with its positions set to zero"):
    x = checks.normal(seed=4)(256, 10, 64)
    blind = checks.beside(without_positions, model, x)
    error = (blind - torch.stack([x[:, 9 - i] for i in range(10)], dim=1)).square().mean().item()
    checks.that(
        error >= 0.85,
        "without positions it fails again",
        came=f"error {error:.3f}",
        expected=">= 0.85",
        causes={"the reversal does not come from attention with positions": error < 0.1},
    )


def slopes(model: nn.Module, x: torch.Tensor) -> tuple[list[float], list[float]]:
    """How fast an output changes with each parameter, along a random direction: by autograd, and by two outputs."""
    model.double()
    directions = [
        torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(4)) for p in model.parameters()
    ]

    def output() -> torch.Tensor:
        result = model(x)[0]
        return (result * torch.arange(result.numel(), dtype=x.dtype).cos().reshape(result.shape)).sum()

    gradients = torch.autograd.grad(output(), list(model.parameters()), allow_unused=True)
    by_autograd = [0.0 if g is None else (g * d).sum().item() for g, d in zip(gradients, directions)]
    by_outputs = []
    with torch.no_grad():
        for p, d in zip(model.parameters(), directions):
            ends = [(p.add_(step * d), output().item())[1] for step in (1e-5, -2e-5)]
            p.add_(1e-5 * d)
            by_outputs.append((ends[0] - ends[1]) / 2e-5)
    return by_autograd, by_outputs


with checks.step("the gradient of every parameter, against finite differences"):
    torch.manual_seed(6)
    small = PositionedReverser(length=5, d_model=8, n_heads=2)
    checks.shape(small(torch.zeros(3, 5, 8))[1], (3, 2, 5, 5), "the weights of two heads")
    came, wanted = checks.beside(slopes, small, checks.normal(seed=8, dtype=torch.float64)(3, 5, 8))
    checks.close(torch.tensor(came), torch.tensor(wanted), "the slopes", rtol=1e-3, atol=1e-4)


def farthest_moved(train: Callable[..., list[float]], model: nn.Module) -> float:
    """How far 2 steps of training move the positions."""
    learned = next(p for p in model.parameters() if p.shape == (1, 10, 64))
    start = learned.detach().clone()
    train(model, steps=2, lr=1e-2, batch=8, seed=1)
    return (learned.detach() - start).abs().max().item()


with checks.step("two more steps"):
    moved = checks.beside(farthest_moved, train_reverser, PositionedReverser(length=10, d_model=64, n_heads=4))
    checks.that(moved > 1e-4, "the positions learn", came=f"they moved by at most {moved:.1e}")

with checks.step("tokens ten times as large"):
    x = 10 * checks.normal(seed=5)(256, 10, 64)
    error = (model(x)[0] - torch.stack([x[:, 9 - i] for i in range(10)], dim=1)).square().mean().item() / 100
    checks.that(
        error > 0.5,
        "they drown the positions",
        came=f"an error of {error:.3f} times their variance",
        expected="> 0.5",
        causes={"the reversal does not come from attention with positions": error < 0.1},
    )


class Mixer(nn.Module):
    """A model of the judge's: every token becomes the same mixture of tokens in all sequences."""

    def __init__(self, size: float = 1.0) -> None:
        super().__init__()
        self.length, self.d_model = 5, 4
        randn = checks.normal(seed=20)
        self.scores, self.lift, self.shift = (
            nn.Parameter(randn(5, 5)),
            nn.Parameter(size * randn(4, 4)),
            nn.Parameter(randn(4)),
        )
        self.seen: list[torch.Tensor] = []
        self.modes: list[bool] = []

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(x.detach().clone())
        self.modes.append(self.training)
        weights = self.scores.softmax(-1)
        return weights @ x @ self.lift + self.shift, weights.expand(len(x), 1, 5, 5)


def training(train: Callable[..., list[float]], size: float = 1.0, **options: float) -> dict:
    """The losses of a training, the batches that the model saw and its modes, the parameters that it ended with, and
    whether torch's own random state is as it was."""
    mixer, state = Mixer(size), torch.get_rng_state()
    losses = train(mixer, **options)
    untouched = torch.equal(torch.get_rng_state(), state)
    found = {"losses": list(losses), "seen": mixer.seen, "after": [p.detach() for p in mixer.parameters()]}
    return found | {"modes": mixer.modes, "untouched": untouched}


def batches(
    draw: Callable[..., tuple[torch.Tensor, torch.Tensor]], batch: int, seed: int, steps: int
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [draw(batch, 5, 4, generator)[0] for _ in range(steps)]


def replay(seen: list[torch.Tensor], lr: float, size: float) -> tuple[list[float], list[float], list[torch.Tensor]]:
    """Adam on these batches: the losses before and after each update, and the parameters at the end."""
    mixer = Mixer(size)
    optimizer = torch.optim.Adam(mixer.parameters(), lr=lr)
    before, after = [], []
    for x in seen:
        loss = (mixer(x)[0] - x.flip(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        before.append(loss.item())
        after.append((mixer(x)[0] - x.flip(1)).square().mean().item())
    return before, after, [p.detach() for p in mixer.parameters()]


def other_rate(after: list[torch.Tensor], seen: list[torch.Tensor], lr: float, size: float) -> bool:
    """Whether Adam at one of the rates of this lesson gives these parameters."""
    return any(
        all(checks.near(mine, theirs) for mine, theirs in zip(after, replay(seen, rate, size)[2], strict=True))
        for rate in (1e-3, 3e-3)
        if rate != lr
    )


for steps, batch, seed, lr, size in ((4, 3, 5, 0.1, 1.0), (4, 6, 8, 0.02, 1.0), (40, 4, 2, 0.1, 8.0)):
    with checks.step(f"{steps} steps of a small model, batch={batch}, lr={lr}, seed={seed}"):
        came = checks.beside(training, train_reverser, size, steps=steps, lr=lr, batch=batch, seed=seed)
        wanted = checks.beside(batches, reverse_batch, batch, seed, steps)
        checks.equal(len(came["seen"]), steps, "how often the model was called")
        checks.equal(came["modes"], [True] * steps, "whether the model, made in train mode, was called in train mode")
        checks.equal(came["untouched"], True, "whether torch's own random state is as it was")
        for step, (x, drawn) in enumerate(zip(came["seen"], wanted, strict=True)):
            checks.equal(x, drawn, f"the batch of step {step}, against reverse_batch with a generator of this seed")
        before, after, parameters = replay(wanted, lr, size)
        checks.close(
            torch.tensor(came["losses"]),
            torch.tensor(before),
            "the loss of every step, before its update",
            causes={
                "these are losses after the update": torch.tensor(after),
                "Adam ran at another learning rate": lambda: other_rate(came["after"], wanted, lr, size),
            },
        )
        for mine, theirs in zip(came["after"], parameters, strict=True):
            checks.close(mine, theirs, "the trained parameters, against Adam on the same batches")

with checks.step("what is not given"):
    left_out = checks.beside(training, train_reverser)
    given = checks.beside(training, train_reverser, steps=500, lr=1e-3, batch=32, seed=0)
    checks.equal(len(left_out["losses"]), 500, "the number of losses")
    for mine, theirs in zip(left_out["seen"] + left_out["after"], given["seen"] + given["after"], strict=True):
        checks.equal(mine, theirs, "a batch or a parameter, against steps=500, lr=1e-3, batch=32, seed=0")

with checks.step("the first loss"):
    x, y = reverse_batch(7, 5, 4, torch.Generator().manual_seed(9))
    first = train_reverser(Mixer(), steps=1, batch=7, seed=9)
    checks.equal(len(first), 1, "the number of losses of one step")
    checks.that(isinstance(first[0], float), "a loss is a float", came=type(first[0]).__name__)
    checks.close(torch.tensor(first), (Mixer()(x)[0] - y).square().mean().detach()[None], "the loss of a known model")
### END HIDDEN TESTS

# %% test="rowmap" points=6
with checks.step("planted weights on a 2 x 3 grid"):
    planted = torch.tensor([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2], [0.0, 0.5, 0.0, 0.25, 0.0, 0.25]])
    weights = torch.full((1, 1, 6, 6), 1 / 6)
    weights[0, 0, 0], weights[0, 0, 4] = planted
    folded = attention_row_to_map(weights, 4, (2, 3))
    checks.shape(folded, (1, 1, 2, 3), "the map")
    checks.close(
        folded[0, 0],
        torch.tensor([[0.0, 0.5, 0.0], [0.25, 0.0, 0.25]]),
        "the map of patch 4",
        causes={
            "this is a column of the weights: who looks at the patch, not where it looks": lambda: (
                weights[0, 0, :, 4] / weights[0, 0, :, 4].sum()
            ).unflatten(0, (2, 3)),
            "the grid was filled column by column": torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.25, 0.25]]),
        },
    )

with checks.step("a grid that does not fit"):
    checks.raises(ValueError, attention_row_to_map, weights, 0, (2, 2), name="a 2 x 2 grid for 6 keys")

### BEGIN HIDDEN TESTS
for n_prefix, grid in ((1, (3, 5)), (5, (4, 2))):
    rows, columns = grid
    length = n_prefix + rows * columns
    with checks.step(f"a {rows} x {columns} grid behind {n_prefix} prefix tokens"):
        weights = checks.normal(seed=length)(2, 3, length, length).softmax(-1)
        for patch in (0, 3, rows * columns - 1):
            folded = attention_row_to_map(weights, patch, grid, n_prefix)
            checks.shape(folded, (2, 3, rows, columns), "the map")
            looped = torch.zeros(2, 3, rows, columns)
            for i in range(rows):
                for j in range(columns):
                    looped[..., i, j] = weights[:, :, n_prefix + patch, n_prefix + i * columns + j]
            share = looped.sum((-2, -1), keepdim=True)

            def of_row(row: int, weights: torch.Tensor = weights) -> torch.Tensor:
                kept = weights[:, :, row, n_prefix:]
                return (kept / kept.sum(-1, keepdim=True)).reshape(2, 3, rows, columns)

            checks.close(
                folded,
                looped / share,
                f"the map of patch {patch}",
                causes={
                    "the map does not sum to 1: rescale it after dropping the prefix": looped,
                    "the query index was taken to count the prefix tokens": of_row(patch),
                },
            )

with checks.step(
    "weights that do not sum to 1, as dropout leaves them, and weights that lie on the prefix nearly alone"
):
    weights = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(6))
    checks.close(
        attention_row_to_map(weights, 4, (2, 3)),
        (weights[:, :, 4] / weights[:, :, 4].sum(-1, keepdim=True)).reshape(2, 3, 2, 3),
        "the map without a prefix",
        causes={"the map does not sum to 1: rescale it, also without a prefix": weights[:, :, 4].reshape(2, 3, 2, 3)},
    )
    weights = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(7))
    weights[..., 1:] *= 1e-4
    row = weights[:, :, 2, 1:]
    wanted = (row / row.sum(-1, keepdim=True)).reshape(2, 3, 3, 2)
    checks.close(attention_row_to_map(weights, 1, (3, 2), 1), wanted, "the map behind a prefix that has nearly all of the weight", causes={
        "the sum was kept from being small, or a number was added to it": lambda: float(attention_row_to_map(weights, 1, (3, 2), 1).sum((2, 3)).max()) < 0.99,
    })  # fmt: skip

with checks.step("the weights after the call"):
    weights = checks.normal(seed=3, dtype=torch.float64)(2, 3, 7, 7).softmax(-1)
    (after,) = checks.beside(observe.arguments_after, attention_row_to_map, weights, 2, (2, 3), 1)
    checks.equal(after, weights, "weights (an argument must not be changed in place)")
    row = weights[:, :, 3, 1:]
    wanted = (row / row.sum(-1, keepdim=True)).reshape(2, 3, 2, 3)
    checks.close(attention_row_to_map(weights, 2, (2, 3), 1), wanted, "the map in float64", rtol=1e-9, atol=1e-12)

with checks.step("a grid that leaves out the prefix"):
    weights = torch.full((1, 1, 7, 7), 1 / 7)
    checks.raises(
        ValueError,
        attention_row_to_map,
        weights,
        0,
        (7, 1),
        1,
        name="7 patches and 1 prefix token for 7 keys",
    )
### END HIDDEN TESTS
