# %% test="clip" points=7
with checks.step(
    "three orthogonal pairs, s = ln 6: each row has the logits ln 6, 0 and 0, so the right answer gets 3/4"
):
    loss = clip_loss(torch.eye(3), torch.eye(3), math.log(6))
    checks.shape(loss, (), "the loss")
    checks.close(loss, torch.tensor(math.log(4 / 3)), "the loss", causes={
        "the two directions were added; take their mean": torch.tensor(2 * math.log(4 / 3)),
        "the batch was summed; take its mean": torch.tensor(3 * math.log(4 / 3)),
        "the cosines were divided by s; it multiplies": torch.tensor(math.log(1 + 2 * math.exp(-1 / math.log(6)))),
        "s does not come in": torch.tensor(math.log(1 + 2 * math.exp(-1))),
        "an exponential of s was taken; it comes ready to multiply": torch.tensor(math.log(1 + 2 * math.exp(-6))),
    })  # fmt: skip

with checks.step("two images that are the same, (1, 0), with the captions (1, 0) and (0, 1), s = ln 3"):
    rows, columns = (math.log(4 / 3) + math.log(4)) / 2, math.log(2)
    images, texts = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2)
    checks.close(clip_loss(images, texts, math.log(3)), torch.tensor((rows + columns) / 2), "the loss", causes={
        "only images choose among captions; captions must choose among images, too": torch.tensor(rows),
        "only captions choose among images; images must choose among captions, too": torch.tensor(columns),
        "the right answer of row i is i, whatever the largest logit says": torch.tensor((math.log(4 / 3) + math.log(2)) / 2),
    })  # fmt: skip

with checks.step("five pairs that are all the same vector: who guesses among five pays ln 5"):
    same = torch.tensor([[0.6, 0.8]]).expand(5, 2)
    checks.close(clip_loss(same, same, 20.0), torch.tensor(math.log(5)), "the loss", causes={
        "the batch was summed; take its mean": torch.tensor(5 * math.log(5)),
    })  # fmt: skip

with checks.step("one pair: there is nothing to confuse it with"):
    checks.close(clip_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 14.0), torch.tensor(0.0), "the loss")

with checks.step("4 pairs of width 3 that are drawn anew each time, against open_clip's ClipLoss"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    images, texts, scale = F.normalize(randn(4, 3), dim=-1), F.normalize(randn(4, 3), dim=-1), 1 + float(randn(1).abs())
    checks.close(clip_loss(images, texts, scale), ClipLoss()(images, texts, scale), "the loss")


# %% test="clip" points=7 forbids="open_clip.loss.ClipLoss"
def unit_rows(seed: int, *size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return F.normalize(checks.normal(seed, dtype=dtype)(*size), dim=-1)


with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, clip_loss, unit_rows(0, 3, 4), unit_rows(1, 3, 4), 10.0)

with checks.step("the arguments after the call"):
    given = (unit_rows(7, 4, 3), unit_rows(8, 4, 3), torch.tensor(3.0))
    after = checks.beside(observe.arguments_after, clip_loss, *given)
    for name, before, now in zip(("the images", "the captions", "the scale"), given, after, strict=True):
        checks.equal(now, before, f"{name} afterwards")

with checks.step("against open_clip's ClipLoss, 6 pairs of width 8, s = 10"):
    images, texts = unit_rows(2, 6, 8), unit_rows(3, 6, 8)
    checks.close(clip_loss(images, texts, 10.0), ClipLoss()(images, texts, 10.0), "the loss")

with checks.step("the order of the pairs does not matter"):
    turned = torch.tensor([4, 2, 0, 5, 1, 3])
    before = ClipLoss()(images, texts, 10.0)
    checks.close(clip_loss(images[turned], texts[turned], 10.0), before, "the loss of the same pairs in another order")

### BEGIN HIDDEN TESTS
for seed, (batch, width), scale, kind in (
    (0, (1, 4), 5.0, torch.float32),
    (1, (7, 3), 1 / 0.07, torch.float32),
    (2, (33, 16), 1.0, torch.float64),
    (3, (12, 64), 40.0, torch.float64),
    (4, (5, 6), 250.0, torch.float64),
):
    with checks.step(f"against open_clip's ClipLoss, B={batch}, D={width}, s={scale:.4g}, {kind}"):
        images, texts = unit_rows(seed, batch, width, dtype=kind), unit_rows(seed + 50, batch, width, dtype=kind)
        wanted = ClipLoss()(images, texts, scale)
        checks.close(clip_loss(images, texts, torch.tensor(scale, dtype=kind)), wanted, "the loss", causes={
            "s was bounded by 100; here it only multiplies": ClipLoss()(images, texts, min(scale, 100.0)),
        })  # fmt: skip

with checks.step("s = 100 and vectors that point apart, in float32"):
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    texts = -images
    checks.close(clip_loss(images, texts, 100.0), ClipLoss()(images, texts, 100.0), "the loss", causes={
        "exp(100) is too large for float32; take the logarithm of a softmax in one step": lambda: not bool(
            clip_loss(images, texts, 100.0).isfinite()
        ),
    })  # fmt: skip


def clip_gradients(fn: Callable, *leaves: torch.Tensor) -> tuple:
    """Gradients of the loss with respect to images, captions (before they get length 1) and scale; None where none arrives."""
    images, texts, *rest = leaves = tuple(leaf.detach().clone().requires_grad_() for leaf in leaves)
    loss = fn(F.normalize(images, dim=-1), F.normalize(texts, dim=-1), *rest)
    return torch.autograd.grad(loss, leaves, allow_unused=True)


with checks.step("gradients into images, captions and scale, against those of open_clip's loss"):
    given = (
        unit_rows(5, 5, 6, dtype=torch.float64),
        unit_rows(6, 5, 6, dtype=torch.float64),
        torch.tensor(7.0).double(),
    )
    mine = checks.beside(clip_gradients, clip_loss, *given)
    names, theirs = ("the images", "the captions", "the scale"), clip_gradients(ClipLoss(), *given)
    for name, came, wanted in zip(names, mine, theirs, strict=True):
        checks.that(came is not None, f"a gradient flows into {name}", came="none")
        checks.close(came, wanted, f"the gradient into {name}", atol=1e-9)


with checks.step("embeddings on another device than the CPU"):
    devices = checks.beside(observe.devices_away, clip_loss, unit_rows(9, 3, 4), unit_rows(10, 3, 4), 10.0)
    checks.equal(devices, ["meta"], "the device of the loss")
### END HIDDEN TESTS


# %% test="scale" points=8
def scale_facts(make: Callable, *arguments: float) -> dict:
    """What a fresh scale holds and gives, and what `clamp_` makes of a parameter that is set to 9."""
    module = make(*arguments)
    names = [name for name, _ in module.named_parameters()]
    value = module.log_scale.detach().clone()
    out = module()
    facts = {
        "names": names,
        "log_scale": value.float(),
        "scale": out.detach().clone().float(),
        "shape": tuple(value.shape),
    }
    with torch.no_grad():
        module.log_scale.fill_(9.0)
    module.clamp_()
    facts |= {"clamped": module().item(), "kept": module.log_scale.item()}
    with torch.no_grad():
        module.log_scale.fill_(150.0)
    module.clamp_()
    return facts | {"kept of 150": module.log_scale.item()}


with checks.step("LogitScale(): the start is 1 / 0.07"):
    facts = checks.beside(scale_facts, LogitScale)
    checks.equal(facts["names"], ["log_scale"], "the names of the parameters", causes={
        "log_scale is no nn.Parameter, so no optimizer will change it": [],
    })  # fmt: skip
    checks.equal(facts["shape"], (), "the shape of log_scale")
    checks.close(facts["log_scale"], torch.tensor(math.log(1 / 0.07)), "log_scale", causes={
        "the scale itself is stored: a step could make it negative; store its logarithm": torch.tensor(1 / 0.07),
        "this is ln 0.07, the logarithm of the temperature; the scale is its inverse": torch.tensor(math.log(0.07)),
    })  # fmt: skip
    checks.close(facts["scale"], torch.tensor(1 / 0.07), "the scale", causes={
        "the logarithm came back; take its exponential": torch.tensor(math.log(1 / 0.07)),
    })  # fmt: skip

with checks.step("log_scale is set to 9, then clamp_() is called"):
    checks.that(
        facts["clamped"] <= 100 + 1e-4,
        "the scale is at most 100",
        came=f"{facts['clamped']:.6g}",
        causes={
            "the parameter was bounded by 100, but it is a logarithm: its bound is ln 100": lambda: (
                facts["kept of 150"] == 100.0
            ),
        },
    )
    checks.that(
        facts["clamped"] >= 100 - 1e-3, "the scale stays at the bound", came=f"{facts['clamped']:.6g}", expected="100"
    )

with checks.step("LogitScale(10.0, 20.0)"):
    facts = checks.beside(scale_facts, LogitScale, 10.0, 20.0)
    checks.close(facts["scale"], torch.tensor(10.0), "the scale")
    checks.close(torch.tensor(facts["clamped"]), torch.tensor(20.0), "the scale after log_scale = 9 and clamp_()")


### BEGIN HIDDEN TESTS
def pushed(make: Callable) -> dict:
    """100 steps that push the scale up, each followed by `clamp_`; then 5 that pull it down."""
    module = make()
    parameter = module.log_scale
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    seen, gradients = [], []
    for step in range(105):
        optimizer.zero_grad()
        scale = module()
        if not scale.requires_grad:
            return {"cut off at": step}
        (scale * (-1.0 if step < 100 else 0.01)).backward()
        gradients.append(0.0 if parameter.grad is None else parameter.grad.item())
        optimizer.step()
        module.clamp_()
        seen.append(module().item())
    return {
        "seen": seen,
        "gradients": gradients,
        "same": module.log_scale is parameter,
        "kept": module.log_scale.item(),
    }


with checks.step("100 steps push the scale up, each followed by clamp_()"):
    found = checks.beside(pushed, LogitScale)
    checks.that(
        "cut off at" not in found,
        "the scale has a gradient in every step",
        came=f"none in step {found.get('cut off at')}",
        causes={
            "the result of forward() is cut off from log_scale": lambda: found["cut off at"] == 0,
            "log_scale was frozen when it reached the bound": lambda: found["cut off at"] > 0,
        },
    )
    checks.that(found["same"], "clamp_ keeps the parameter that the optimizer knows", came="another object", causes={
        "clamp_ made a new nn.Parameter; change the old one in place": True,
    })  # fmt: skip
    checks.that(
        max(found["seen"][:100]) <= 100 + 1e-4, "the scale is at most 100", came=f"{max(found['seen'][:100]):.6g}"
    )
    checks.that(found["seen"][99] >= 100 - 1e-3, "the scale is at its bound", came=f"{found['seen'][99]:.6g}")

with checks.step("then 5 steps pull it down"):
    checks.that(
        found["seen"][-1] < 99,
        "the scale comes down again",
        came=f"{found['seen'][-1]:.6g}, gradients {[round(g, 4) for g in found['gradients'][-5:]]}",
        causes={"a clamp in the forward pass: at the bound its gradient is 0": lambda: found["gradients"][-1] == 0.0},
    )


def below(make: Callable) -> tuple[float, list]:
    """The largest change that `clamp_` makes to parameters below the bound, and gradients of 0.5 after it."""
    module, changes, gradients = make(), [], []
    for value in (-9.0, -3.0, 0.0, 2.0, 4.6, 9.0):
        with torch.no_grad():
            module.log_scale.fill_(value)
        module.log_scale.grad = torch.full_like(module.log_scale, 0.5)
        module.clamp_()
        if value < math.log(100):
            changes.append(abs(module.log_scale.item() - torch.tensor(value).item()))
        gradients.append(None if module.log_scale.grad is None else module.log_scale.grad.item())
    return max(changes), gradients


with checks.step("clamp_() at log_scale = -9, -3, 0, 2 and 4.6, below the bound, and at 9"):
    change, gradients = checks.beside(below, LogitScale)
    # there and back through exp and log rounds in the seventh digit
    checks.that(change < 1e-5, "below the bound log_scale stays as it is", came=f"a change of {change:.3g}", causes={
        "a scale below 1 was lifted to 1: there is no bound from below": abs(change - 9) < 1e-5,
        "log_scale was bounded on both sides: there is no bound from below": abs(change - 9 + math.log(100)) < 1e-4,
    })  # fmt: skip
    checks.equal(gradients, [0.5] * 6, "the gradients of log_scale, which clamp_() leaves as they are")

with checks.step("LogitScale(300.0): the start lies above the bound, and stays there until clamp_() is called"):
    facts = checks.beside(scale_facts, LogitScale, 300.0)
    checks.close(facts["scale"], torch.tensor(300.0), "the scale at the start", causes={
        "the start was bounded; only clamp_() bounds": torch.tensor(100.0),
    })  # fmt: skip
    checks.close(torch.tensor(facts["clamped"]), torch.tensor(100.0), "the scale after clamp_()")
### END HIDDEN TESTS

# %% test="floor" points=8
with checks.step("the contents 0, 0, 1, by hand: (ln 2 + ln 2 + ln 1) / 3"):
    came = duplicate_floor(torch.tensor([0, 0, 1]))
    checks.that(isinstance(came, float), "the result is a float", came=checks.describe(came))
    floor = torch.tensor(came).double()
    checks.close(floor, torch.tensor(2 * math.log(2) / 3).double(), "the floor", causes={
        "the mean runs over the contents; it runs over the pairs": torch.tensor(math.log(2) / 2).double(),
        "the logarithm of the mean count; take the mean of the logarithms": torch.tensor(math.log(5 / 3)).double(),
        "the sum over the pairs; take their mean": torch.tensor(2 * math.log(2)).double(),
        "this is the entropy of the contents; the floor is ln B minus it": torch.tensor(math.log(3) - 2 * math.log(2) / 3).double(),
        "a logarithm to base 2; nats need the natural one": torch.tensor(2 / 3).double(),
    })  # fmt: skip

with checks.step("three different contents: nothing repeats, the floor is 0"):
    floor = torch.tensor(duplicate_floor(torch.tensor([4, 9, 2]))).double()
    checks.close(floor, torch.tensor(0.0).double(), "the floor")

with checks.step("five times the same content: who cannot tell five apart pays ln 5"):
    floor = torch.tensor(duplicate_floor(torch.full((5,), 7))).double()
    checks.close(floor, torch.tensor(math.log(5)).double(), "the floor")

### BEGIN HIDDEN TESTS
# 2 ** 32 + 1 is 1 in 32 bits, and 2 ** 24 + 1 is 2 ** 24 in float32
for ids in ([3, 1, 3, 3, 1, 2], [5, 0, 5, 0, 5, 0, 1], [-2, 10**12, -2, 0], [2**32 + 1, 1], [2**24 + 1, 2**24], [8]):
    with checks.step(f"the contents {ids}, against a loop"):
        wanted = sum(math.log(ids.count(one)) for one in ids) / len(ids)
        floor = torch.tensor(duplicate_floor(torch.tensor(ids))).double()
        _, where, runs = torch.tensor(ids).unique_consecutive(return_inverse=True, return_counts=True)
        checks.close(floor, torch.tensor(wanted).double(), "the floor", causes={
            "only neighbors were counted; copies may stand anywhere": runs[where].double().log().mean(),
            "different contents became equal when they were cut or rounded to 32 bits": lambda: (
                min(ids) > 0 and max(ids) > 2**24 and checks.near(floor, torch.tensor(math.log(2)).double())
            ),
        })  # fmt: skip


def trained_floor(ids: torch.Tensor, seed: int) -> float:
    """The loss of open_clip at s = 100 after 300 steps on free vectors, one image and one caption a content."""
    kinds, where = ids.unique(return_inverse=True)
    vectors = checks.normal(seed, dtype=torch.float64)(2, len(kinds), 6).requires_grad_()
    optimizer = torch.optim.Adam([vectors], lr=0.1)
    for _ in range(300):
        images, texts = F.normalize(vectors, dim=-1)
        loss = ClipLoss()(images[where], texts[where], 100.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


for seed, ids in enumerate(([0, 1, 0, 2, 0, 1, 3], [4, 4, 6, 6, 6, 9])):
    with checks.step(f"the contents {ids}, against free vectors that were trained with open_clip's loss"):
        floor = torch.tensor(duplicate_floor(torch.tensor(ids))).double()
        checks.close(floor, torch.tensor(trained_floor(torch.tensor(ids), seed)).double(), "the floor", atol=1e-3)

with checks.step("the contents after the call"):
    ids = torch.tensor([3, 1, 3, 0])
    (after,) = checks.beside(observe.arguments_after, duplicate_floor, ids)
    checks.equal(after, ids, "the contents that were given")
### END HIDDEN TESTS

# %% test="siglip" points=6
with checks.step("two orthogonal pairs, s = ln 6, b = -ln 3: logits ln 2 on the diagonal, -ln 3 beside it"):
    # sigmoid(ln 2) = 2/3 and sigmoid(ln 3) = 3/4: the loss is ln(3/2) + ln(4/3) = ln 2
    loss = siglip_loss(torch.eye(2), torch.eye(2), math.log(6), -math.log(3))
    checks.shape(loss, (), "the loss")
    scaled_bias = math.log(6) * math.log(3)
    checks.close(loss, torch.tensor(math.log(2)), "the loss", causes={
        "divided by B * B; the sum is divided by B": torch.tensor(math.log(2) / 2),
        "not divided by B": torch.tensor(2 * math.log(2)),
        "the bias does not come in": torch.tensor(math.log(7 / 3)),
        "the bias was subtracted; it is added": torch.tensor(math.log(38 / 9)),
        "all pairs were taken to belong together: z is -1 off the diagonal": torch.tensor(math.log(6)),
        "only the diagonal counts: the negatives are missing": torch.tensor(math.log(3 / 2)),
        "z is 0 off the diagonal; it must be -1": torch.tensor(math.log(3)),
        "the signs are the other way round": torch.tensor(math.log(12)),
        "the sign of the loss": torch.tensor(-math.log(2)),
        "the bias was multiplied by the scale, too": torch.tensor(
            math.log(1 + math.exp(scaled_bias - math.log(6))) + math.log(1 + math.exp(-scaled_bias))
        ),
    })  # fmt: skip

with checks.step("one pair with cosine 1, s = 2, b = -1: -ln sigmoid(1)"):
    one = torch.tensor([[0.6, 0.8]])
    checks.close(siglip_loss(one, one, 2.0, -1.0), torch.tensor(math.log(1 + math.exp(-1))), "the loss")

with checks.step("4 pairs of width 3 that are drawn anew each time, against open_clip's SigLipLoss"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    images, texts = F.normalize(randn(4, 3), dim=-1), F.normalize(randn(4, 3), dim=-1)
    scale, bias = 1 + float(randn(1).abs()), float(randn(1))
    checks.close(siglip_loss(images, texts, scale, bias), SigLipLoss()(images, texts, scale, bias), "the loss")


# %% test="siglip" points=6 forbids="open_clip.loss.SigLipLoss"
def unit_rows(seed: int, *size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return F.normalize(checks.normal(seed, dtype=dtype)(*size), dim=-1)


with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, siglip_loss, unit_rows(0, 3, 4), unit_rows(1, 3, 4), 10.0, -10.0)

with checks.step("against open_clip's SigLipLoss, 6 pairs of width 8, s = 10, b = -10"):
    images, texts = unit_rows(2, 6, 8), unit_rows(3, 6, 8)
    checks.close(siglip_loss(images, texts, 10.0, -10.0), SigLipLoss()(images, texts, 10.0, -10.0), "the loss")

### BEGIN HIDDEN TESTS
for seed, (batch, width), scale, bias, kind in (
    (0, (1, 4), 5.0, 1.0, torch.float32),
    (1, (7, 3), 10.0, -10.0, torch.float32),
    (2, (33, 16), 1.0, -3.5, torch.float64),
    (3, (12, 64), 100.0, 0.0, torch.float64),
):
    with checks.step(f"against open_clip's SigLipLoss, B={batch}, D={width}, s={scale:g}, b={bias:g}, {kind}"):
        images, texts = unit_rows(seed, batch, width, dtype=kind), unit_rows(seed + 50, batch, width, dtype=kind)
        came = siglip_loss(images, texts, torch.tensor(scale, dtype=kind), torch.tensor(bias, dtype=kind))
        bound = {"rtol": 1e-9, "atol": 1e-9} if kind is torch.float64 else {}
        wanted = SigLipLoss()(images, texts, scale, bias)
        checks.close(came, wanted, "the loss", **bound, causes={
            "the logarithm of a sigmoid was replaced by what it comes near to; use logsigmoid": lambda: (
                kind is torch.float64 and checks.near(came, wanted)
            ),
        })  # fmt: skip

with checks.step("logits of 1000 and -1000"):
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    for texts, wanted in ((images, 0.0), (-images, 2000.0)):
        came = siglip_loss(images, texts, 1000.0, 0.0)
        checks.close(came, torch.tensor(wanted), "the loss", causes={
            "the logarithm of a sigmoid that rounded to 0, or the exponential of 1000: use logsigmoid": lambda: not bool(
                came.isfinite()
            ),
            "the sigmoid was kept away from 0, and large losses with it: use logsigmoid": lambda: (
                0 < float(came) < 1000 and float(siglip_loss(images, images, 0.0, 1000.0)) < 999
            ),
            "s was bounded by 100; here it only multiplies": lambda: (
                checks.near(came, torch.tensor(200.0)) and float(siglip_loss(images, images, 0.0, 1000.0)) > 999
            ),
        })  # fmt: skip


def siglip_gradients(fn: Callable, *leaves: torch.Tensor) -> tuple:
    """Gradients with respect to images, captions (before they get length 1), scale and bias; None where none arrives."""
    images, texts, *rest = leaves = tuple(leaf.detach().clone().requires_grad_() for leaf in leaves)
    loss = fn(F.normalize(images, dim=-1), F.normalize(texts, dim=-1), *rest)
    return torch.autograd.grad(loss, leaves, allow_unused=True)


with checks.step("gradients into images, captions, scale and bias, against those of open_clip's loss"):
    double = {"dtype": torch.float64}
    given = (
        unit_rows(5, 5, 6, **double),
        unit_rows(6, 5, 6, **double),
        torch.tensor(7.0, **double),
        torch.tensor(-2.0, **double),
    )
    mine = checks.beside(siglip_gradients, siglip_loss, *given)
    names = ("the images", "the captions", "the scale", "the bias")
    for name, came, wanted in zip(names, mine, siglip_gradients(SigLipLoss(), *given), strict=True):
        checks.that(came is not None, f"a gradient flows into {name}", came="none")
        checks.close(came, wanted, f"the gradient into {name}", atol=1e-9)

with checks.step("the arguments after the call"):
    after = checks.beside(observe.arguments_after, siglip_loss, *given)
    for name, before, now in zip(names, given, after, strict=True):
        checks.equal(now, before, f"{name} afterwards")


with checks.step("embeddings on another device than the CPU"):
    devices = checks.beside(observe.devices_away, siglip_loss, unit_rows(9, 3, 4), unit_rows(10, 3, 4), 10.0, -10.0)
    checks.equal(devices, ["meta"], "the device of the loss")

with checks.step("embeddings in half precision"):
    images, texts = unit_rows(11, 3, 4).bfloat16(), unit_rows(12, 3, 4).bfloat16()
    checks.dtype(siglip_loss(images, texts, 10.0, -10.0), torch.bfloat16, "the loss of bfloat16 embeddings")
### END HIDDEN TESTS

# %% test="tokenizer" points=8
given = ["A red circle.", "a blue ring"]
with checks.step("the vocabulary of 'A red circle.' and 'a blue ring'"):
    tokenizer = CaptionTokenizer(given)
    wanted = ["<pad>", "<start>", "<end>", "<unknown>", ".", "a", "blue", "circle", "red", "ring"]
    words = list(tokenizer.words)
    checks.equal(words, wanted, "words", causes={
        "'A' and 'a' became two words: lower case first": lambda: "A" in words,
        "the full stop was left at its word": lambda: "circle." in words,
        "punctuation was thrown away; it is a word of its own": lambda: "." not in words,
        "the words are not sorted": lambda: sorted(words[4:]) == wanted[4:] and words[4:] != wanted[4:],
    })  # fmt: skip

with checks.step("'a red ring' in a row of 7"):
    ids, mask = tokenizer.encode(["a red ring"], 7)
    checks.dtype(ids, torch.int64, "ids")
    checks.equal(ids, torch.tensor([[1, 5, 8, 9, 2, 0, 0]]), "ids", causes={
        "<start> is missing": torch.tensor([[5, 8, 9, 2, 0, 0, 0]]),
        "<end> is missing": torch.tensor([[1, 5, 8, 9, 0, 0, 0]]),
        "padding came first": torch.tensor([[0, 0, 1, 5, 8, 9, 2]]),
        "<end> stands at the end of the row; it stands right behind the last word": torch.tensor([[1, 5, 8, 9, 0, 0, 2]]),
    })  # fmt: skip
    checks.dtype(mask, torch.bool, "mask")
    checks.equal(mask, torch.tensor([[True] * 5 + [False] * 2]), "mask", causes={
        "true means padding here; it must mean a word": torch.tensor([[False] * 5 + [True] * 2]),
        "start and end are no padding": torch.tensor([[False] + [True] * 3 + [False] * 3]),
    })  # fmt: skip

with checks.step("'a green ring': nobody has seen green"):
    ids, _ = tokenizer.encode(["a green ring"], 5)
    checks.equal(ids, torch.tensor([[1, 5, 3, 9, 2]]), "ids", causes={
        "the unknown word was dropped": torch.tensor([[1, 5, 9, 2, 0]]),
    })  # fmt: skip

with checks.step("'a red ring' in a row of 4: one word does not fit"):
    ids, _ = tokenizer.encode(["a red ring"], 4)
    checks.equal(ids, torch.tensor([[1, 5, 8, 2]]), "ids", causes={
        "the end was cut off": torch.tensor([[1, 5, 8, 9]]),
    })  # fmt: skip

with checks.step("decode"):
    checks.equal(str(tokenizer.decode(torch.tensor([1, 5, 8, 7, 4, 2, 0]))), "a red circle .", "the text")

### BEGIN HIDDEN TESTS
with checks.step("captions of shapes: there and back again"):
    captions = datasets.shapes(40, seed=7).captions
    tokenizer = CaptionTokenizer(captions)
    ids, mask = tokenizer.encode(captions, 14)
    checks.shape(ids, (40, 14), "ids")
    checks.equal([str(tokenizer.decode(row)) for row in ids], captions, "the decoded captions")
    checks.equal(mask.sum(1), torch.tensor([len(caption.split()) + 2 for caption in captions]), "words in each row")

with checks.step("every row begins with <start> and has one <end>, however short it is"):
    for length in (2, 3, 5, 9):
        ids, mask = tokenizer.encode([*captions[:6], ""], length)
        checks.shape(ids, (7, length), "ids")
        checks.equal(ids[:, 0], torch.ones(7, dtype=torch.int64), "the first ids")
        checks.equal((ids == 2).sum(1), torch.ones(7, dtype=torch.int64), f"<end> marks in a row of {length}")
        checks.equal(mask, ids != 0, "the mask against the ids")

with checks.step("new words in a caption that is encoded"):
    count = len(list(tokenizer.words))
    first, _ = tokenizer.encode(["a zebra and a giraffe"], 9)
    checks.equal(first[0, [2, 3, 5]], torch.tensor([3, 3, 3]), "the ids of words that nobody has seen")
    checks.equal(len(list(tokenizer.words)), count, "the size of the vocabulary afterwards")

with checks.step("'Red,RED red-ring!' has seven words"):
    tokenizer = CaptionTokenizer(["Red,RED red-ring!"])
    checks.equal(list(tokenizer.words)[4:], ["!", ",", "-", "red", "ring"], "the words")
    ids, _ = tokenizer.encode(["red  RED,\tring"], 7)
    checks.equal(ids, torch.tensor([[1, 7, 7, 5, 8, 2, 0]]), "ids of 'red  RED,\\tring'")

with checks.step("digits, underscores, letters with accents, and several marks in a row"):
    for text, wanted in (
        ("a_b of Ring_", ["a_b", "of", "ring_"]),
        ("3rd of 12, x1", ["3rd", "of", "12", ",", "x1"]),
        ("Élan: a naïve ring?!...", ["élan", ":", "a", "naïve", "ring", "?", "!", ".", ".", "."]),
        ("it's $5\tor\n(6)", ["it", "'", "s", "$", "5", "or", "(", "6", ")"]),
        ("Große <pad>", ["große", "<", "pad", ">"]),
        ("  ", []),
    ):
        checks.equal([str(piece) for piece in tokenizer.split(text)], wanted, f"the pieces of {text!r}")
        checks.equal(list(CaptionTokenizer([text]).words)[4:], sorted(set(wanted)), f"the words of {text!r}")

with checks.step("decode of a word that nobody has seen, and of padding in the middle"):
    text = str(tokenizer.decode(torch.tensor([1, 7, 3, 0, 8, 2, 0])))
    checks.equal(text, "red <unknown> ring", "the text")

with checks.step("a row of 1 has no room for start and end"):
    for length in (1, 0):
        checks.raises(ValueError, tokenizer.encode, ["red"], length, name=f"length {length}")
        checks.raises(ValueError, tokenizer.encode, [], length, name=f"length {length} for no captions")
### END HIDDEN TESTS


# %% test="text" points=5
def beside_padding(make: Callable, still: bool) -> dict:
    """Vectors of two captions: as they are, with more padding, with other ids in the padding, with another word.

    `still` sets the parameters of the given blocks to 0, so that they pass their input on and only the pooling is left.
    """
    torch.manual_seed(0)
    encoder = make(12, 9, 16, 2, 2).eval()
    if still:
        with torch.no_grad():
            for module in encoder.modules():
                if type(module).__name__ == "Block":
                    for parameter in module.parameters():
                        parameter.zero_()
    ids = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    mask = ids != 0
    masks: list = []

    def note(_module: nn.Module, args: tuple, kwargs: dict) -> None:
        masks.append(args[1] if len(args) > 1 else kwargs.get("mask"))

    for module in encoder.modules():
        if type(module).__name__ == "Block":
            module.register_forward_pre_hook(note, with_kwargs=True)
    encoder(ids, mask)
    blind = any(given is None for given in masks)
    turned = any(torch.is_tensor(given) and torch.equal(given, ~mask) for given in masks)
    more, more_mask = F.pad(ids, (0, 4)), F.pad(mask, (0, 4))
    other = torch.where(more_mask, more, 9)
    word = torch.where(more == 5, 8, more)
    with torch.no_grad():
        vectors = {
            "short": encoder(ids, mask),
            "padded": encoder(more, more_mask),
            "other word": encoder(word, more_mask),
        }
        masks.clear()
        vectors["other ids"] = encoder(other, more_mask)
    made = any(torch.is_tensor(given) and torch.equal(given, torch.ones_like(more_mask)) for given in masks)
    return vectors | {"blind": blind, "turned": turned, "made": made}


with checks.step("two captions of 4 and 3 words, in rows of 4"):
    found = checks.beside(beside_padding, TextEncoder, False)
    checks.shape(found["short"], (2, 16), "the result", causes={
        "one vector a word came back; pool them": lambda: found["short"].ndim == 3,
    })  # fmt: skip
    checks.finite(found["short"], "the vectors")

still = checks.beside(beside_padding, TextEncoder, True)
reads_last = checks.near(still["padded"], still["other word"])  # the pooling saw no word at all
reads_padding = not checks.near(still["other ids"], still["padded"], rtol=0, atol=1e-5)
doors = {
    "the blocks got the mask the other way round: true means a word": lambda: found["turned"],
    "attention looks at padding: every block needs the mask": lambda: found["blind"],
    "the mask was made from the ids; it is an argument": lambda: found["made"] and reads_padding,
    "the last position of the row was taken, and that is padding": lambda: reads_padding and reads_last,
    "the pooling reads padding: sum over the words only, divide by their number": lambda: reads_padding,
    "the sum over the words was divided by the length of the row": 0.5 * found["short"],
}
with checks.step("the same captions in rows of 8"):
    checks.close(found["padded"], found["short"], "the vectors", atol=1e-5, causes=doors)

with checks.step("other ids where the mask is false"):
    checks.close(found["other ids"], found["padded"], "the vectors", atol=1e-5, causes=doors)

with checks.step("another word in the first caption"):
    change = (found["other word"] - found["padded"]).abs().amax(1)
    checks.that(float(change[0]) > 1e-3, "the vector of the first caption changes", came=f"by {float(change[0]):.2g}")
    checks.that(float(change[1]) < 1e-5, "the vector of the second stays", came=f"a change of {float(change[1]):.2g}")

with checks.step("captions that are drawn anew each time, in rows of 6 and of 9"):
    torch.manual_seed(5)
    encoder = TextEncoder(50, 9, 16, 1, 2).eval()
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    words = torch.randint(3, 49, (4, 6), generator=draw)
    words[:, 0] = 1
    ids = torch.where(torch.arange(6) < torch.tensor([3, 4, 5, 6])[:, None], words, 0)
    ids = torch.where(torch.arange(6) == torch.tensor([2, 3, 4, 5])[:, None], 2, ids)
    short, row = encoder(ids, ids != 0).detach(), F.pad(ids, (0, 3))
    checks.close(encoder(row, row != 0), short, "the vectors in a longer row", atol=1e-5)
    changed = encoder(torch.where(torch.arange(6) == 1, ids + 1, ids), ids != 0).detach()
    least = float((changed - short).abs().amax(1).min())
    checks.that(least > 1e-4, "another first word changes every vector", came=f"one changes by {least:.2g}")

# %% test="text" points=5
with checks.step("five captions of one batch, and each of them alone"):
    torch.manual_seed(2)
    encoder = TextEncoder(12, 8, 16, 1, 4).eval()
    ids = torch.tensor(
        [[1, 4, 2, 0, 0, 0], [1, 4, 5, 6, 7, 2], [1, 2, 0, 0, 0, 0], [1, 8, 8, 2, 0, 0], [1, 9, 4, 5, 2, 0]]
    )
    together = encoder(ids, ids != 0)
    checks.finite(together, "the vectors")
    for row in range(5):
        alone = encoder(ids[row : row + 1], ids[row : row + 1] != 0)
        checks.close(together[row : row + 1], alone.detach(), f"the vector of caption {row}", atol=1e-5)

### BEGIN HIDDEN TESTS
VOCAB, LONGEST, WIDTH, HEADS = 11, 9, 12, 3
ids = torch.tensor([[1, 5, 9, 2, 0], [1, 9, 5, 7, 2], [1, 5, 2, 0, 0], [1, 2, 0, 0, 0]])
mask = ids != 0


def parts(make: Callable, sizes: tuple, ids: torch.Tensor) -> dict:
    """All parameters of a text tower, drawn anew in float64, and its vectors; which blocks run; gradients; changes."""
    vocab, longest, width, depth, heads = sizes
    torch.manual_seed(4)
    encoder = make(vocab, longest, width, depth, heads)
    blocks = [module for module in encoder.modules() if type(module).__name__ == "Block"]
    hidden = [
        v for v in vars(encoder).values() if type(v) in (list, tuple) and any(isinstance(m, nn.Module) for m in v)
    ]
    inside = {id(p) for block in blocks for p in block.parameters()}
    rest = {name: p for name, p in encoder.named_parameters() if id(p) not in inside}
    places = [p for p in rest.values() if p.numel() == longest * width]
    words = [p for p in rest.values() if p.numel() == vocab * width]
    found = {
        "position std": [p.std().item() for p in places],
        "word std": [p.std().item() for p in words],
        "hidden": len(hidden),
        "blocks": len(blocks),
    }
    if not blocks:
        return found | {"order": []}
    draw = torch.Generator().manual_seed(5)
    encoder.double()
    with torch.no_grad():
        for p in encoder.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=draw, dtype=torch.float64))
    order: list = []
    for block in blocks:
        block.register_forward_pre_hook(lambda module, _: order.append(blocks.index(module)))
    given, mask = ids.clone(), ids != 0
    out = encoder(given, mask)
    uneven = torch.linspace(-1, 2, out.numel()).view_as(out)  # no two entries count the same
    (out * uneven).sum().backward()
    return found | {
        "out": out,
        "order": order,
        "states": [dict(block.state_dict()) for block in blocks],
        "rest": {name: p.detach() for name, p in rest.items()},
        "norms": [
            name for name, m in encoder.named_modules() if isinstance(m, nn.LayerNorm) and id(m.weight) not in inside
        ],
        "idle": [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())],
        "as given": torch.equal(given, ids) and torch.equal(mask, ids != 0),
    }


def vectors_of(found: dict, heads: int = HEADS, final: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens (B, L, D) behind the final norm and before it, computed from the parameters of a tower."""
    (table,) = (p for p in found["rest"].values() if tuple(p.shape) == (VOCAB, WIDTH))
    (places,) = (p for p in found["rest"].values() if p.numel() == LONGEST * WIDTH)
    (norm,) = found["norms"]
    x = table[ids] + places.reshape(LONGEST, WIDTH)[: ids.shape[1]]
    for number in found["order"]:
        block = Block(WIDTH, heads).double()
        block.load_state_dict(found["states"][number])
        with torch.no_grad():
            x = block(x, mask)
    return F.layer_norm(x, (WIDTH,), found["rest"][f"{norm}.weight"], found["rest"].get(f"{norm}.bias")), x


with checks.step("'red circle' and 'circle red'"):
    torch.manual_seed(1)
    encoder = TextEncoder(20, 7, 24, 1, 3)
    turned = torch.tensor([[1, 5, 9, 2, 0], [1, 9, 5, 2, 0]])
    out = encoder(turned, turned != 0).detach()
    gap = float((out[0] - out[1]).abs().max())
    found = checks.beside(parts, TextEncoder, (VOCAB, LONGEST, WIDTH, 1, HEADS), ids)
    places = [name for name, p in found.get("rest", {}).items() if p.numel() % LONGEST == 0]
    checks.that(gap > 1e-4, "the order of words changes the vector", came=f"a change of {gap:.2g}", causes={
        "without positions a caption is a bag of words": lambda: (
            gap < 1e-5 and set(places) <= set(found.get("idle", []))
        ),
    })  # fmt: skip

for depth in (1, 3):
    with checks.step(f"the parts of a tower with {depth} blocks, {VOCAB} ids, {LONGEST} positions and width {WIDTH}"):
        found = checks.beside(parts, TextEncoder, (VOCAB, LONGEST, WIDTH, depth, HEADS), ids)
        checks.equal(len(found["order"]), depth, "how many of its Blocks run", causes={
            "a plain list hides the blocks from PyTorch; use nn.ModuleList": lambda: (
                found["blocks"] == 0 and found["hidden"] > 0
            ),
        })  # fmt: skip
        checks.equal(found["blocks"], depth, "how many different Blocks there are", causes={
            "the same block runs again and again; make `depth` of them": lambda: found["blocks"] == 1 < len(found["order"]),
        })  # fmt: skip
        checks.equal(len(found["norms"]), 1, "nn.LayerNorm modules beside those of the Blocks")
        checks.that(
            found["norms"][0] + ".weight" in found["rest"],
            "the final norm has a weight, as nn.LayerNorm has",
            came="none",
        )
        sizes = [p.numel() for p in found["rest"].values()]
        checks.equal(sizes.count(VOCAB * WIDTH), 1, f"token embeddings ({VOCAB}, {WIDTH}) among the parameters")
        checks.equal(sizes.count(LONGEST * WIDTH), 1, f"positions ({LONGEST}, {WIDTH}) among the parameters", causes={
            "the positions are no parameter: a buffer or a constant never learns": lambda: (
                not any(size % LONGEST == 0 for size in sizes)
            ),
        })  # fmt: skip
        checks.equal(found["idle"], [], "parameters without gradient")
        checks.equal(found["as given"], True, "whether ids and mask are as they were")

    with checks.step(f"the vectors of four captions in train mode, computed from these parts, {depth} blocks"):
        normed, tokens = vectors_of(found)
        words = mask[..., None].double()
        mean = (normed * words).sum(1) / words.sum(1)
        ends = normed[torch.arange(4), mask.sum(1) - 1]  # the token of <end>, the other right way to pool
        one_head, _ = vectors_of(found, heads=1)
        bare = mask & (ids > 2)
        if not checks.near(found["out"], ends, atol=1e-6):
            checks.close(found["out"], mean, "the vectors, pooled by the mean over the words", atol=1e-6, causes={
                "the maximum over the words; take their mean": normed.masked_fill(~mask[..., None], -torch.inf).amax(1),
                "<start> was taken; CLIP takes the token of <end>": normed[:, 0],
                "the mean was taken first; the norm comes before the pooling": F.layer_norm(
                    (tokens * words).sum(1) / words.sum(1), (WIDTH,),
                    found["rest"][found["norms"][0] + ".weight"], found["rest"].get(found["norms"][0] + ".bias"),
                ),
                "the final norm is missing": (tokens * words).sum(1) / words.sum(1),
                "this is the sum over the words": (normed * words).sum(1),
                "start and end are missing in the mean": lambda: checks.near(
                    found["out"][:3], torch.stack([row[here].mean(0) for row, here in zip(normed[:3], bare[:3])])
                ),
                "the blocks have one head, whatever n_heads says": (one_head * words).sum(1) / words.sum(1),
            })  # fmt: skip

with checks.step("embedding and positions at the start"):
    (deviation,) = found["word std"]
    checks.that(
        0.7 < deviation < 1.3, "the standard deviation of the embedding is that of nn.Embedding", came=f"{deviation:.3f}",
        expected="about 1",
    )  # fmt: skip
    (deviation,) = found["position std"]
    checks.that(0.07 < deviation < 0.14, "the standard deviation of the positions is about 0.1", came=f"{deviation:.3f}", causes={
        "the default of nn.Embedding is 1": lambda: 0.7 < deviation < 1.4,
    })  # fmt: skip

with checks.step("all lengths from 2 to 8 give the same vector"):
    torch.manual_seed(3)
    encoder = TextEncoder(12, 8, 16, 2, 2).eval()
    ids = torch.tensor([[1, 2]])
    shortest = encoder(ids, ids != 0)
    for length in range(3, 9):
        longer = F.pad(ids, (0, length - 2))
        checks.close(encoder(longer, longer != 0), shortest.detach(), f"the vector in a row of {length}", atol=1e-5)

with checks.step("a row of 9, with positions for 8"):
    checks.raises(
        ValueError, encoder, torch.ones(1, 9, dtype=torch.int64), torch.ones(1, 9, dtype=torch.bool), name="a row of 9"
    )
### END HIDDEN TESTS


# %% test="dual" points=8
def dual_facts(make: Callable, seed: int) -> dict:
    """What a dual encoder with two small towers gives, and where gradients arrive."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 6)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return (self.table(ids) * mask[..., None]).sum(1)

    torch.manual_seed(seed)
    image_tower, text_tower = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), Words()
    model = make(image_tower, text_tower, 5, 6, 4)
    images = torch.randn(3, 3, 2, 2)
    ids = torch.tensor([[1, 5, 2], [1, 2, 0], [1, 7, 2]])
    image_emb, text_emb, scale = model(images, ids, ids != 0)
    wi, wt = model.image_projection.weight.detach(), model.text_projection.weight.detach()
    raw_image, raw_text = image_tower(images) @ wi.T, text_tower(ids, ids != 0) @ wt.T
    facts = {
        "image": image_emb, "text": text_emb, "scale": scale, "raw image": raw_image, "raw text": raw_text,
        "biases": [m.bias is not None for m in (model.image_projection, model.text_projection)],
        "same as encode": torch.equal(model.encode_image(images), image_emb)
        and torch.equal(model.encode_text(ids, ids != 0), text_emb),
    }  # fmt: skip
    (scale * (image_emb * text_emb * torch.arange(4).cos()).sum()).backward()
    parts = {
        "the image tower": image_tower[1].weight, "the text tower": text_tower.table.weight,
        "image_projection": model.image_projection.weight, "text_projection": model.text_projection.weight,
        "logit_scale": next(model.logit_scale.parameters()),
    }  # fmt: skip
    facts["gradients"] = {name: p.grad is not None and bool(p.grad.any()) for name, p in parts.items()}
    facts["registered"] = {name: any(p is q for q in model.parameters()) for name, p in parts.items()}
    return facts


with checks.step("towers of width 5 and 6, a common space of width 4"):
    facts = checks.beside(dual_facts, DualEncoder, 0)
    checks.equal(facts["biases"], [False, False], "whether the projections have a bias")
    for side in ("image", "text"):
        checks.shape(facts[side], (3, 4), f"the {side} vectors")
        raw = facts[f"raw {side}"]
        checks.close(facts[side], F.normalize(raw, dim=-1), f"the {side} vectors", causes={
            "they were not brought to length 1": raw,
            "columns have length 1; each row is a vector": F.normalize(raw, dim=0),
            "all numbers together have length 1; each row must have": raw / raw.norm(),
            "a softmax is no normalization": raw.softmax(-1),
        })  # fmt: skip

with checks.step("the scale"):
    scale = checks.tensor(facts["scale"], "the scale").float()
    checks.close(scale, torch.tensor(1 / 0.07), "the scale", causes={
        "this is the logarithm of the scale; call logit_scale": torch.tensor(math.log(1 / 0.07)),
    })  # fmt: skip
    checks.that(facts["same as encode"], "forward gives what encode_image and encode_text give", came="other vectors")

with checks.step("a tower, images and weights that are drawn anew each time"):
    torch.manual_seed(checks.fresh_seed())
    tower, images = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), torch.randn(3, 3, 2, 2)
    pair, numbers, shares = nn.Bilinear(4, 4, 6), torch.randn(3, 4), torch.rand(3, 4)  # a tower of two arguments
    model = DualEncoder(tower, pair, 5, 6, 4)
    for side, came, matrix, raw in (
        ("image", model.encode_image(images), model.image_projection.weight, tower(images)),
        ("text", model.encode_text(numbers, shares), model.text_projection.weight, pair(numbers, shares)),
    ):
        checks.shape(matrix, (4, raw.shape[1]), f"the weights of {side}_projection")
        checks.close(came, F.normalize(raw @ matrix.detach().T, dim=-1), f"the {side} vectors")

### BEGIN HIDDEN TESTS
with checks.step("every part learns"):
    for seed in (1, 2):
        facts = checks.beside(dual_facts, DualEncoder, seed)
        for part in ("the image tower", "the text tower", "image_projection", "text_projection", "logit_scale"):
            arrives = facts["gradients"][part]
            checks.that(
                facts["registered"][part], f"{part} is a part of the model", came="its parameters are not found"
            )
            checks.that(arrives, f"a gradient reaches {part}", came="none")


def dual_slopes(make: Callable, seed: int) -> dict:
    """Gradients through the vectors, in float64, and what they are where F.normalize makes the length; tiny vectors."""
    torch.manual_seed(seed)
    towers = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), nn.Bilinear(4, 4, 5)  # of the same width
    model = make(*towers, 5, 5, 4).double().train()
    images, numbers, shares = torch.randn(3, 3, 2, 2).double(), torch.randn(3, 4).double(), torch.rand(3, 4).double()
    matrices = model.image_projection.weight, model.text_projection.weight
    leaves = [p for part in (*towers, *matrices) for p in ([part] if torch.is_tensor(part) else part.parameters())]
    came = model.encode_image(images), model.encode_text(numbers, shares)
    wanted = [
        F.normalize(raw @ matrix.T, dim=-1)
        for raw, matrix in zip((towers[0](images), towers[1](numbers, shares)), matrices)
    ]
    modes = [module.training for module in model.modules()]
    slopes = [
        torch.autograd.grad((pair[0] * pair[1].flip(1).cos()).sum(), leaves, allow_unused=True)
        for pair in (came, wanted)
    ]
    with torch.no_grad():
        model.image_projection.weight.mul_(1e-5)
        model.text_projection.weight.mul_(1e-5)
        lengths = torch.cat([model.encode_image(images), model.encode_text(numbers, shares)]).norm(dim=-1)
    return {
        "came": slopes[0],
        "wanted": slopes[1],
        "two": matrices[0] is not matrices[1],
        "modes": modes,
        "lengths": lengths,
    }


with checks.step(
    "two towers of width 5: matrices, gradients, modes, and vectors that are short before they get length 1"
):
    facts = checks.beside(dual_slopes, DualEncoder, 3)
    checks.equal(facts["two"], True, "whether the projections are two matrices")
    for came, wanted in checks.each(facts["wanted"], facts["came"], name="gradients"):
        checks.that(wanted is not None, "a gradient reaches towers and projections", came="none")
        checks.close(wanted, came, "a gradient of towers and projections", rtol=1e-6, atol=1e-9)
    checks.that(all(facts["modes"]), "the towers stay in train mode", came="parts in eval mode")
    checks.close(facts["lengths"], torch.ones(6, dtype=torch.float64), "the lengths")


def dual_scale(make: Callable) -> list:
    """The scale that `forward` gives when its parameter is 9, and after the `clamp_` of `logit_scale`."""
    model = make(nn.Identity(), nn.Bilinear(4, 4, 4), 4, 4, 4)
    images, numbers = torch.randn(2, 4), torch.randn(2, 4)
    with torch.no_grad():
        model.logit_scale.log_scale.fill_(9.0)
        scales = [model(images, numbers, numbers)[2].item()]
        model.logit_scale.clamp_()
        return [*scales, model(images, numbers, numbers)[2].item()]


with checks.step("log_scale is set to 9; then clamp_() of logit_scale is called, as the training does"):
    above, clamped = checks.beside(dual_scale, DualEncoder)
    checks.close(torch.tensor(above), torch.tensor(9.0).exp(), "the scale before", causes={
        "forward bounds the scale; there its gradient is cut": torch.tensor(100.0),
    })  # fmt: skip
    checks.close(torch.tensor(clamped), torch.tensor(100.0), "the scale after clamp_()")


def inside_open_clip(make: Callable) -> tuple:
    """The vectors of a small CLIP of open_clip's, and those of a dual encoder that holds its towers and projections."""
    vision = {"layers": 1, "width": 16, "head_width": 8, "patch_size": 4, "image_size": 8}
    text = {"context_length": 6, "vocab_size": 20, "width": 12, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    theirs = open_clip.CLIP(8, vision, text).eval()
    images, ids = torch.randn(3, 3, 8, 8), torch.tensor([[1, 5, 19, 0, 0, 0], [1, 4, 7, 2, 19, 0], [1, 19, 0, 0, 0, 0]])
    wanted = theirs.encode_image(images, normalize=True), theirs.encode_text(ids, normalize=True)

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = theirs

        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            return self.clip.encode_text(given[0])

    image_matrix, text_matrix = theirs.visual.proj.data, theirs.text_projection.data
    theirs.visual.proj = theirs.text_projection = None
    mine = make(theirs.visual, Words(), 16, 12, 8).eval()
    mine.image_projection.weight.data.copy_(image_matrix.T)
    mine.text_projection.weight.data.copy_(text_matrix.T)
    return wanted, mine(images, ids, ids != 0)[:2]


with checks.step("the towers and projections of a small CLIP from open_clip"):
    wanted, came = checks.beside(inside_open_clip, DualEncoder)
    for side, mine, theirs in zip(("image", "text"), came, wanted, strict=True):
        checks.close(mine, theirs, f"the {side} vectors")
### END HIDDEN TESTS


# %% test="zero-shot" points=6
def with_planted(fn: Callable, table: dict, names: list, templates: list) -> tuple:
    """The weights for a text tower that looks its vectors up, and what it was asked for."""
    asked: list[str] = []

    def encode(texts: list) -> torch.Tensor:
        asked.extend(texts)
        return torch.tensor([table[str(text)] for text in texts])

    return fn(encode, names, templates), sorted(asked)


plane = {"cat": [3.0, 0.0], "a cat": [0.0, 8.0], "dog": [0.0, -2.0], "a dog": [-0.6, -0.8]}
with checks.step("names cat and dog, templates '{}' and 'a {}', vectors of length 3, 8, 2 and 1"):
    weights, asked = checks.beside(with_planted, zero_shot_weights, plane, ["cat", "dog"], ["{}", "a {}"])
    checks.equal(asked, sorted(plane), "the prompts that were encoded")
    checks.shape(weights, (2, 2), "the weights")
    unit = F.normalize(torch.tensor(list(plane.values())), dim=-1)
    mean = torch.stack([unit[:2].mean(0), unit[2:].mean(0)])
    loud = torch.tensor([[1.5, 4.0], [-0.3, -1.4]])
    checks.close(weights, F.normalize(mean, dim=-1), "the weights", causes={
        "the mean was not brought to length 1": mean,
        "prompts went into the mean with the lengths that they had": F.normalize(loud, dim=-1),
        "nothing was brought to length 1": loud,
        "only the first template was used": unit[[0, 2]],
        "only the last template was used": unit[[1, 3]],
        "the mean mixes classes: the prompts stand in another order than the reshape takes them": F.normalize(
            torch.stack([unit[[0, 2]].mean(0), unit[[1, 3]].mean(0)]), dim=-1
        ),
    })  # fmt: skip

with checks.step("a template without the placeholder"):
    fail_encode = {"a cat": [1.0, 0.0], "cat": [1.0, 0.0]}
    checks.raises(
        ValueError,
        checks.beside,
        with_planted,
        zero_shot_weights,
        fail_encode,
        ["cat"],
        ["a {}", "a cat"],
        name="the template 'a cat'",
    )

with checks.step("three classes in a plane, one image at 10 degrees"):
    angles = torch.tensor([100.0, 20.0, 60.0]).deg2rad()
    classes = torch.stack([angles.cos(), angles.sin()], dim=-1)
    ten = torch.tensor([[math.cos(math.radians(10)), math.sin(math.radians(10))]])
    checks.equal(zero_shot_predict(ten, classes), torch.tensor([[1]]), "the best class", causes={
        "the farthest class came": torch.tensor([[0]]),
    })  # fmt: skip
    checks.equal(zero_shot_predict(ten, classes, 3), torch.tensor([[1, 2, 0]]), "all three, the best first", causes={
        "the order is that of the classes, not of their cosines": torch.tensor([[0, 1, 2]]),
        "the best came last": torch.tensor([[0, 2, 1]]),
    })  # fmt: skip

with checks.step("vectors and classes that are drawn anew each time"):
    randn = checks.normal(checks.fresh_seed())
    vectors = randn(4, 3) + torch.eye(4, 3)
    table = dict(zip(("ox", "an ox", "elk", "an elk"), vectors.tolist(), strict=True))
    weights, _ = checks.beside(with_planted, zero_shot_weights, table, ["ox", "elk"], ["{}", "an {}"])
    each = F.normalize(vectors, dim=-1).unflatten(0, (2, 2))
    checks.close(weights, F.normalize(each.mean(1), dim=-1), "the weights", rtol=1e-3, atol=1e-4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(checks.fresh_seed()))
    angles = (5 + 14 * order).deg2rad()
    came = zero_shot_predict(torch.tensor([[1.0, 0.0]]), torch.stack([angles.cos(), angles.sin()], dim=-1), 4)
    checks.equal(came, order.argsort()[None, :4], "the four classes at the smallest angles, the nearest first")


# %% test="zero-shot" points=6
def hashed_vectors(texts: Sequence[str], width: int) -> torch.Tensor:
    """A vector for each text that depends on its letters alone; lengths from about 0.1 to 100."""
    rows = []
    for text in texts:
        draw = torch.Generator().manual_seed(sum(ord(c) * 31**k for k, c in enumerate(str(text))) % 2**31)
        row = torch.randn(width + 1, generator=draw)
        rows.append(row[:-1] * 10 ** row[-1].clamp(-1, 1.5))
    return torch.stack(rows)


def with_hashed(fn: Callable, names: list, templates: list, width: int) -> torch.Tensor:
    return fn(lambda texts: hashed_vectors(texts, width), names, templates)


def by_loop(names: list, templates: list, width: int) -> torch.Tensor:
    """The weights, class by class and template by template."""
    rows = []
    for name in names:
        total = torch.zeros(width)
        for template in templates:
            vector = hashed_vectors([template.replace("{}", name)], width)[0]
            total = total + vector / vector.norm()
        rows.append(total / total.norm())
    return torch.stack(rows)


some, prompts = ["cat", "dog", "red ring", "tree"], ["{}", "a {}", "a photo of a {}.", "many {}s"]
with checks.step("4 classes, 3 templates, width 5, against a loop"):
    came = checks.beside(with_hashed, zero_shot_weights, some, prompts[:3], 5)
    checks.close(came, by_loop(some, prompts[:3], 5), "the weights")

### BEGIN HIDDEN TESTS
for count, kinds, width in ((1, 1, 3), (1, 4, 6), (3, 4, 4), (2, 3, 8)):
    with checks.step(f"{kinds} classes, {count} templates, width {width}, against a loop"):
        came = checks.beside(with_hashed, zero_shot_weights, some[:kinds], prompts[:count], width)
        checks.close(came, by_loop(some[:kinds], prompts[:count], width), "the weights")


class Hashed:
    """As much of a model as open_clip's function asks for."""

    def encode_text(self, texts: list, normalize: bool = False) -> torch.Tensor:
        vectors = hashed_vectors(texts[0], 7)
        return F.normalize(vectors, dim=-1) if normalize else vectors


class Batch(list):
    """Texts that can be moved to a device, as tokens can."""

    def to(self, device: object) -> list:
        return [self]


with checks.step("against open_clip's build_zero_shot_classifier"):
    theirs = open_clip.build_zero_shot_classifier(Hashed(), Batch, some, prompts[:3])
    came = checks.beside(with_hashed, zero_shot_weights, some, prompts[:3], 7)
    checks.close(came, theirs.T, "the weights")


def with_table(fn: Callable, names: list, templates: list, dtype: torch.dtype) -> dict:
    """The weights for a text tower that keeps its vectors; what it was asked for, and whether they are as they were."""
    wanted = sorted({template.replace("{}", name) for name in names for template in templates})
    vectors = checks.normal(seed=6)(len(wanted), 5).to(dtype)
    vectors[::2] *= 1e-4
    kept, asked, lists = vectors.clone(), [], []

    def encode(texts: list) -> torch.Tensor:
        asked.extend(texts)
        lists.append(isinstance(texts, list))
        places = [wanted.index(str(text)) if str(text) in wanted else 0 for text in texts]
        return vectors if places == [*range(len(wanted))] else vectors[places]

    one = fn(encode, wanted, ["{}"])  # the very tensor of the tower comes back
    return {
        "alone": one,
        "weights": fn(encode, names, templates),
        "asked": sorted(set(asked)),
        "wanted": wanted,
        "lists": all(lists),
        "as given": torch.equal(vectors, kept),
        "vectors": kept,
    }


some_names, some_templates = ["Eiffel Tower", "cat", "cat"], ["{}", " A {} ", "{}"]
for kind in (torch.float64, torch.float32):
    with checks.step(f"names and templates that stand there twice, capitals, short vectors, {kind}"):
        found = checks.beside(with_table, zero_shot_weights, some_names, some_templates, kind)
        checks.equal(found["asked"], found["wanted"], "the different prompts that were encoded")
        checks.that(found["lists"], "encode_text gets a list", came="something else")
        unit = dict(zip(found["wanted"], F.normalize(found["vectors"], dim=-1), strict=True))
        means = [
            torch.stack([unit[template.replace("{}", name)] for template in some_templates]).mean(0)
            for name in some_names
        ]
        checks.close(found["weights"], F.normalize(torch.stack(means), dim=-1), "the weights")
        checks.close(found["alone"], torch.stack(list(unit.values())), "the weights with one template")
        checks.equal(found["as given"], True, "whether the vectors of encode_text are as they were")

with checks.step("no template"):
    checks.raises(
        ValueError, checks.beside, with_hashed, zero_shot_weights, some, [], 5, name="an empty list of templates"
    )

for seed, (images, kinds, k) in enumerate(((9, 5, 1), (4, 12, 5), (1, 3, 3))):
    with checks.step(f"the {k} best of {kinds} classes for {images} images, against a sort"):
        randn = checks.normal(seed)
        image_emb, weights = F.normalize(randn(images, 6), dim=-1), F.normalize(randn(kinds, 6), dim=-1)
        after = checks.beside(observe.arguments_after, zero_shot_predict, image_emb, weights, k)
        for name, before, now in zip(("the image vectors", "the weights"), (image_emb, weights), after, strict=True):
            checks.equal(now, before, f"{name} afterwards")
        wanted = (image_emb @ weights.T).sort(dim=-1, descending=True).indices[:, :k]
        checks.equal(zero_shot_predict(image_emb, weights, k), wanted, "the classes", causes={
            "always one class; k of them were asked for": wanted[:, :1],
        })  # fmt: skip
### END HIDDEN TESTS
