# %% test="collect" points=4
def collected(collect: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    maps, logits = collect(model, images)
    return list(maps), logits


def softmax_of_qkv(model: nn.Module, images: torch.Tensor) -> list:
    """Attention computed again from what the qkv layers give: (B, N, 3 H d) -> (B, H, N, N)."""
    given: list = []
    hooks = [block.attn.qkv.register_forward_hook(lambda m, i, out: given.append(out)) for block in model.blocks]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    found = []
    for qkv, block in zip(given, model.blocks):
        batch, tokens, _ = qkv.shape
        q, k, _ = qkv.reshape(batch, tokens, 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        found.append((q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1))
    return found


with checks.step("a ViT of 3 blocks, 2 images of 16 patches, against the softmax of what the qkv layers give"):
    images, model = checks.normal(seed=0)(2, 3, 32, 32), small_vit(seed=4)
    wanted = softmax_of_qkv(model, images)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    checks.equal(len(maps), 3, "the number of maps", causes={
        "nothing went through attn_drop, as where fused attention was still on": 0,
        "only the last block's map was kept": lambda: len(maps) == 1 and checks.near(maps[0], wanted[-1]),
    })  # fmt: skip
    for number, (weights, expected) in enumerate(zip(maps, wanted, strict=True)):
        checks.shape(weights, (2, 2, 17, 17), f"map {number}", causes={
            "the heads were averaged; keep them apart": expected.mean(1),
            "this is attention times values, not attention": lambda w=weights: w.shape[-1] in (12, 24),
        })  # fmt: skip
        checks.close(weights, expected, f"map {number}", causes={
            "the blocks come in reverse order": wanted[-1 - number],
            "rows and columns are exchanged": expected.transpose(-2, -1),
        })  # fmt: skip
    with torch.no_grad():
        checks.close(logits, model(images), "the logits")

with checks.step("the same with queries that are all zero"):
    model = small_vit(seed=3)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.weight[:24] = 0
            block.attn.qkv.bias[:24] = 0
    maps, logits = checks.beside(collected, collect_attention, model, images)
    for number in range(3):
        checks.close(maps[number], torch.full((2, 2, 17, 17), 1 / 17), f"map {number}, where each row is 17 times 1/17", causes={
            "these are the scores before the softmax": torch.zeros(2, 2, 17, 17),
        })  # fmt: skip

with checks.step("images that are drawn anew each time, in float64"):
    model, images = small_vit(seed=4).double(), checks.normal(checks.fresh_seed(), dtype=torch.float64)(2, 3, 32, 32)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    for number, (weights, expected) in enumerate(zip(maps, softmax_of_qkv(model, images), strict=True)):
        checks.close(weights, expected, f"map {number}")
    with torch.no_grad():
        checks.close(logits, model(images), "the logits")


# %% test="collect" points=4
def collected(collect: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    maps, logits = collect(model, images)
    return list(maps), logits


def by_timm(model: nn.Module, images: torch.Tensor) -> list:
    """timm's own extraction, from a copy whose fused attention is off."""
    model = copy.deepcopy(model).eval()
    for block in model.blocks:
        block.attn.fused_attn = False
    with torch.no_grad():
        return list(AttentionExtract(model, method="hook")(images).values())


def same_as_timm(model: nn.Module, images: torch.Tensor) -> None:
    maps, logits = checks.beside(collected, collect_attention, model, images)
    wanted = by_timm(model, images)
    checks.equal(len(maps), len(wanted), "the number of maps")
    for number, (weights, expected) in enumerate(zip(maps, wanted, strict=True)):
        checks.close(weights, expected, f"map {number}")
    with torch.no_grad():
        checks.close(logits, copy.deepcopy(model).eval()(images), "the logits in eval mode")


with checks.step("a ViT against timm's AttentionExtract"):
    same_as_timm(small_vit(seed=5), checks.normal(seed=1)(3, 3, 32, 32))

with checks.step("a ViT in train mode with dropout in its attention"):
    model = small_vit(seed=6, attn_drop_rate=0.5, proj_drop_rate=0.3).train()
    images = checks.normal(seed=2)(2, 3, 32, 32)
    maps, logits = checks.beside(collected, collect_attention, model, images)
    again, _ = checks.beside(collected, collect_attention, model, images)
    for number, (weights, expected) in enumerate(zip(maps, by_timm(model, images), strict=True)):
        checks.close(weights, expected, f"map {number} in eval mode", causes={
            "two calls differ: the model ran in train mode, with dropout": lambda n=number: not checks.near(maps[n], again[n]),
        })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("a ViT with normalized queries and keys"):
    same_as_timm(small_vit(seed=10, qk_norm=True), checks.normal(seed=10)(2, 3, 32, 32))

for name, seed in (
    ("deit_tiny_distilled_patch16_224", 7),
    ("vit_small_patch14_reg4_dinov2", 8),
    ("eva02_tiny_patch14_224", 9),
):
    with checks.step(f"{name} against timm's AttentionExtract"):
        same_as_timm(small_vit(name, seed), checks.normal(seed=seed)(2, 3, 32, 32))

with checks.step("a ViT in float64"):
    same_as_timm(small_vit(seed=14).double(), checks.normal(seed=14, dtype=torch.float64)(1, 3, 32, 32))


def asks(model: nn.Module, collect: Callable, images: torch.Tensor) -> None:
    try:
        collect(model, images)
    except ValueError as error:  # or an error of a class of its own that is one
        raise ValueError(str(error)) from error


class Halves(nn.Module):
    """A ViT in which the attention of the last block is another module."""

    def __init__(self, whole: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.whole, self.blocks = whole, whole.blocks
        self.blocks[-1].attn = last

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.whole(images)


with checks.step("models without blocks[i].attn"):
    images = torch.zeros(1, 3, 32, 32)
    for name in ("swin_tiny_patch4_window7_224", "resnet18"):
        small = {"img_size": 32, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
        model = timm.create_model(name, **(small if name.startswith("swin") else {"channels": (4, 4, 4, 4)}))
        checks.raises(ValueError, checks.beside, collected, collect_attention, model, images, name=name)
    unfused, undropped = nn.Identity(), nn.Identity()
    unfused.attn_drop, undropped.fused_attn = nn.Dropout(0.0), True
    for name, model in (
        ("an MLP-Mixer, whose blocks have no attn", MlpMixer(img_size=32, patch_size=8, embed_dim=8, num_blocks=2)),
        ("a ViT whose last block has no attn_drop", Halves(small_vit(seed=15), nn.Identity())),
        ("a ViT whose last block has attn_drop and no fused_attn", Halves(small_vit(seed=15), unfused)),
        ("a ViT whose last block has fused_attn and no attn_drop", Halves(small_vit(seed=15), undropped)),
    ):
        seen = checks.beside(unchanged.asked, asks, model, collect_attention, images)
        checks.equal(seen["raised"], "ValueError", f"the error for {name}")
        checks.as_found(seen, name)
### END HIDDEN TESTS


# %% test="collect" points=4
def traces(model: nn.Module) -> dict:
    """What may have been left behind in a model: counts and flags."""
    modules = list(model.modules())
    return {
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules),
        "fused": [block.attn.fused_attn for block in model.blocks],
        "training": [block.training for block in model.blocks] + [model.training],
    }


def life(collect: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    model.train()
    model.blocks[1].eval()
    model.blocks[2].attn.fused_attn = False
    calls: list = []
    model.blocks[0].attn.attn_drop.register_forward_pre_hook(lambda m, i: calls.append(1))
    collect(model, images)
    seen = traces(model)
    try:
        collect(model, images[:, :, :16])  # another size: the model refuses it
    except Exception:
        seen["after an error"] = traces(model)
    return seen


def gradients(collect: Callable, model: nn.Module, images: torch.Tensor, label: int, without: bool) -> list:
    """Gradients of one logit with respect to each map that it depends on, for maps found outside or inside of no_grad.

    At last whether maps and logits have a graph, and whether the images ask for a gradient.
    """
    with torch.set_grad_enabled(not without):
        maps, logits = collect(model, images, True)
    if not (logits.requires_grad and all(weights.requires_grad for weights in maps)):
        return [False, images.requires_grad]
    with torch.enable_grad():
        found = torch.autograd.grad(logits[:, label].sum(), list(maps), allow_unused=True)
    return [*(gradient for gradient in found if gradient is not None), True, images.requires_grad]


def gradients_by_timm_attention(model: nn.Module, images: torch.Tensor, label: int) -> list:
    model, kept = copy.deepcopy(model).requires_grad_(True), []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, i, out: (out.retain_grad(), kept.append(out))[1])
    with torch.enable_grad():
        model(images)[:, label].sum().backward()
    return [weights.grad for weights in kept]


with checks.step("a model with mixed modes, mixed flags and someone else's hook, before and after"):
    images = checks.normal(seed=3)(2, 3, 32, 32)
    model = small_vit(seed=11)
    seen = checks.beside(life, collect_attention, model, images)
    checks.equal(seen["fused"], [True, True, False], "fused_attn of the three blocks afterwards", causes={
        "fused attention was left off": [False, False, False],
        "fused attention was switched on everywhere; the last block had it off before": [True, True, True],
    })  # fmt: skip
    checks.equal(seen["hooks"], 1, "hooks afterwards, one of which is someone else's", causes={
        "all hooks were cleared; remove your own only": 0,
        "your hooks were left behind": lambda: seen["hooks"] > 1,
    })  # fmt: skip
    checks.equal(seen["training"], [True, False, True, True], "training of the three blocks and of the model", causes={
        "the model was left in eval mode": [False] * 4,
        "a block that was in eval mode before was put into train mode: restore each module": [True] * 4,
    })  # fmt: skip

with checks.step("with_grad=True: the gradient of logit 1 with respect to each map"):
    model = small_vit(seed=12)
    *found, tracked, asked = checks.beside(gradients, collect_attention, model, images, 1, False)
    checks.equal(len(found), 3, "the maps that hang together with the logits", causes={
        "with_grad has no effect: no graph was built": not tracked,
        "the logits do not depend on these maps: they are of another pass, or not what the values were weighted with": bool(
            tracked and not found
        ),
    })  # fmt: skip
    for number, (gradient, expected) in enumerate(
        zip(found, gradients_by_timm_attention(model, images, 1), strict=True)
    ):
        checks.close(gradient, expected, f"the gradient for map {number}", rtol=1e-3)

### BEGIN HIDDEN TESTS
with checks.step("the model raises an error in the middle"):
    checks.that("after an error" in seen, "the error goes on to the caller", came="no error")
    after = seen["after an error"]
    checks.equal((after["fused"], after["hooks"], after["training"]), ([True, True, False], 1, [True, False, True, True]), "flags, hooks and modes afterwards", causes={
        "they are restored only when all went well: use finally": lambda: seen["fused"] == [True, True, False],
    })  # fmt: skip

for frozen, without in ((True, False), (False, True), (True, True)):
    with checks.step(f"with_grad=True, parameters frozen: {frozen}, inside of no_grad: {without}"):
        model = small_vit(seed=13)
        wanted = gradients_by_timm_attention(model, images, 3)
        model.requires_grad_(not frozen)
        *found, tracked, asked = checks.beside(gradients, collect_attention, model, images, 3, without)
        why = (
            "nothing asks for a gradient where the parameters are frozen: let the images ask for one"
            if frozen
            else "the caller's no_grad had the last word: switch gradients on for your own pass"
        )
        checks.equal(len(found), 3, "the maps that hang together with the logits", causes={why: not tracked})
        for number, (gradient, expected) in enumerate(zip(found, wanted, strict=True)):
            checks.close(gradient, expected, f"the gradient for map {number}", rtol=1e-3)
        checks.equal(asked, False, "whether the caller's images ask for a gradient now", causes={
            "requires_grad was set on the caller's own tensor": True,
        })  # fmt: skip

with checks.step(
    "a model in use: hooks, modes, settings, gradients and what asks for them, for 3 images and for a wrong size"
):

    def with_maps(model: nn.Module, collect: Callable, images: torch.Tensor, with_grad: bool) -> None:
        collect(model, images, with_grad)

    for with_grad in (False, True):
        for size, error in ((32, ""), (48, "AssertionError")):
            some = checks.normal(seed=4)(3, 3, size, size)
            seen = checks.beside(unchanged.asked, with_maps, small_vit(seed=16), collect_attention, some, with_grad)
            checks.equal(seen["raised"], error, f"the error for images of {size} x {size}")
            checks.as_found(seen, f"the model, with_grad={with_grad}, images of {size} x {size},")


def graphs(collect: Callable, model: nn.Module, images: torch.Tensor) -> list:
    """Whether logits and maps carry a graph, without `with_grad`."""
    maps, logits = collect(model, images)
    return [tensor.requires_grad for tensor in (logits, *maps)]


with checks.step("without with_grad, for a model whose parameters ask for gradients"):
    asked = checks.beside(graphs, collect_attention, small_vit(seed=17), images)
    checks.equal(asked, [False] * 4, "whether the logits and the three maps carry a graph")


with checks.step("model and images on another device than the CPU"):
    devices = checks.beside(observe.devices_away, collect_attention, small_vit(seed=18), images)
    checks.equal(devices, ["meta"] * 4, "the devices of three maps and of the logits")
### END HIDDEN TESTS


# %% test="rollout" points=5
def two_layers(residual: float, plus: bool = False, left: bool = True) -> torch.Tensor:
    """The product for the two layers below, done right or wrong."""
    eye = torch.eye(3)
    a, b = ((w + eye if plus else (1 - residual) * w + residual * eye) for w in (W1, W2))
    return (b @ a if left else a @ b)[None]


W1 = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
W2 = torch.tensor([[0.0, 0.0, 1.0], [0.3, 0.7, 0.0], [0.0, 1.0, 0.0]])

with checks.step("one layer, one head: rows [0.2, 0.8, 0], [0, 0.5, 0.5], [1, 0, 0], r = 0.5"):
    came = attention_rollout([W1[None, None]])
    wanted = torch.tensor([[[0.6, 0.4, 0.0], [0.0, 0.75, 0.25], [0.5, 0.0, 0.5]]])
    checks.close(came, wanted, "the rollout", causes={
        "there is no residual in it": W1[None],
        "the identity was added, but the rows no longer sum to 1": (W1 + torch.eye(3))[None],
        "rows and columns are exchanged": wanted.transpose(1, 2),
    })  # fmt: skip

with checks.step("two layers, by hand: the last layer of token 0 looks at token 2, which took all of token 0"):
    # r = 0: row 0 of A2 A1 is row 2 of A1, [1, 0, 0]; row 2 is row 1 of A1
    came = attention_rollout([W1[None, None], W2[None, None]], 0.0)
    wanted = torch.tensor([[[1.0, 0.0, 0.0], [0.06, 0.59, 0.35], [0.0, 0.5, 0.5]]])
    checks.close(came, wanted, "the rollout for r = 0", causes={
        "the product is A_1 A_2; the last layer acts last, so it stands on the left": two_layers(0.0, left=False),
        "r and 1 - r are exchanged": torch.eye(3)[None],
        "this is the last layer alone": W2[None],
        "the residual is 0.5 whatever was asked for": two_layers(0.5),
    })  # fmt: skip
    for residual in (0.5, 0.9):
        came = attention_rollout([W1[None, None], W2[None, None]], residual)
        checks.close(came, two_layers(residual), f"the rollout for r = {residual}", causes={
            "the product is A_1 A_2; the last layer acts last, so it stands on the left": two_layers(residual, left=False),
            "there is no residual in it": two_layers(0.0),
            "the identity was added, but the rows no longer sum to 1": two_layers(0.5, plus=True),
            "r and 1 - r are exchanged": two_layers(1 - residual),
            "r belongs into every layer, not once at the end": (1 - residual) * two_layers(0.0) + residual * torch.eye(3),
        })  # fmt: skip

with checks.step("two layers that are drawn anew each time"):
    randn, eye = checks.normal(checks.fresh_seed(), dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    first, second = (randn(2, 1, 4, 4).softmax(-1) for _ in range(2))
    wanted = (0.7 * second[:, 0] + 0.3 * eye) @ (0.7 * first[:, 0] + 0.3 * eye)
    checks.close(attention_rollout([first, second], 0.3), wanted, "the rollout for r = 0.3")

# %% test="rollout" points=5
with checks.step("one layer, two heads: row 0 is [1, 0] in head 0 and [0, 1] in head 1; row 1 is [0.5, 0.5] in both"):
    heads = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]])
    checks.close(attention_rollout([heads.clone()], 0.5, "mean"), torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]), "mean")
    # max: row 0 is [1, 1], so 0.5 * [1, 1] + 0.5 * [1, 0] = [1, 0.5], divided by 1.5
    checks.close(attention_rollout([heads.clone()], 0.5, "max"), torch.tensor([[[2 / 3, 1 / 3], [0.25, 0.75]]]), "max", causes={
        "the rows are not divided by their sum": torch.tensor([[[1.0, 0.5], [0.25, 0.75]]]),
        "the rows were divided before the residual was added; do it afterwards": torch.tensor([[[0.75, 0.25], [0.25, 0.75]]]),
    })  # fmt: skip
    checks.close(attention_rollout([heads.clone()], 0.5, "min"), torch.tensor([[[1.0, 0.0], [0.25, 0.75]]]), "min", causes={
        "the rows are not divided by their sum": torch.tensor([[[0.5, 0.0], [0.25, 0.75]]]),
    })  # fmt: skip

with checks.step("three random layers of four heads, 5 images: rows, images, layers of identities, arguments"):
    layers = [checks.normal(seed=s)(5, 4, 6, 6).softmax(-1) for s in range(3)]

    def after(fn: Callable, layers: list) -> list:
        fn(layers, 0.5, "mean")
        return layers

    for before, now in zip(
        layers, checks.beside(after, attention_rollout, [layer.clone() for layer in layers]), strict=True
    ):
        checks.equal(now, before, "an argument after the call")

    for fusion in ("mean", "max", "min"):
        came = attention_rollout(layers, 0.3, fusion)
        checks.close(came.sum(-1), torch.ones(5, 6), f"the row sums with {fusion}")
        alone = attention_rollout([layer[2:3] for layer in layers], 0.3, fusion)
        checks.close(came[2:3], alone, f"image 2 alone and in a batch with {fusion}", causes={
            "images of a batch are mixed": lambda: checks.near(came[0], came[1]),
        })  # fmt: skip
    still = torch.eye(6).expand(2, 3, 6, 6)
    checks.close(attention_rollout([still] * 4, 0.3), torch.eye(6).expand(2, 6, 6), "the rollout of identities")

with checks.step("what is refused"):
    for residual in (1.0, -0.1, 1.5):
        checks.raises(ValueError, attention_rollout, layers, residual, name=f"residual={residual}")
    checks.raises(ValueError, attention_rollout, layers, 0.5, "median", name='head_fusion="median"')

with checks.step("two heads that are drawn anew each time, 2 tokens, r = 0.5"):
    a, b = torch.rand(2, generator=torch.Generator().manual_seed(checks.fresh_seed()), dtype=torch.float64).tolist()
    heads = torch.tensor([[[[a, 1 - a], [0.5, 0.5]], [[b, 1 - b], [0.5, 0.5]]]], dtype=torch.float64)
    for fusion, fuse in (("mean", lambda *of: sum(of) / 2), ("max", max), ("min", min)):
        left, right = (fuse(x, y) for x, y in ((a, b), (1 - a, 1 - b)))
        row = [(left + 1) / (left + right + 1), right / (left + right + 1)]
        wanted = torch.tensor([[row, [0.25, 0.75]]], dtype=torch.float64)
        checks.close(attention_rollout([heads], 0.5, fusion), wanted, f"the rollout with {fusion}")

# %% test="rollout" points=6
with checks.step("row 0 of a cycle: each of three layers moves everything by one token, r = 0"):
    cycle = torch.eye(5).roll(1, dims=1).expand(1, 2, 5, 5)
    came = attention_rollout([cycle] * 3, 0.0)
    checks.close(came[0, 0], torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0]), "row 0", causes={
        "rows and columns are exchanged": torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def sum_over_paths(layers: list, residual: float, fusion: str) -> torch.Tensor:
    """Every path input j -> u -> v -> output i through three layers, one number at a time."""
    every = range(layers[0].shape[-1])
    found = torch.zeros(len(layers[0]), len(every), len(every), dtype=layers[0].dtype)
    for image in range(len(found)):
        steps = []
        for layer in layers:
            step = [[0.0] * len(every) for _ in every]
            for i in every:
                for j in every:
                    of_heads = [float(weight) for weight in layer[image, :, i, j]]
                    fused = {"mean": sum(of_heads) / len(of_heads), "max": max(of_heads), "min": min(of_heads)}[fusion]
                    step[i][j] = (1 - residual) * fused + residual * (i == j)
            steps.append([[entry / sum(row) for entry in row] for row in step])
        for i in every:
            for j in every:
                found[image, i, j] = sum(steps[2][i][v] * steps[1][v][u] * steps[0][u][j] for u in every for v in every)
    return found


for seed, residual, fusion, kind in (
    (1, 0.5, "mean", torch.float32), (2, 0.2, "max", torch.float32), (3, 0.8, "min", torch.float64), (4, 0.0, "mean", torch.float64),
):  # fmt: skip
    with checks.step(f"against the sum over all paths, 3 layers, 2 heads, 4 tokens, r = {residual}, {fusion}, {kind}"):
        randn = checks.normal(seed=seed, dtype=kind)
        layers = [(2 * randn(5, 2, 4, 4)).softmax(-1) for _ in range(3)]
        tight = {"rtol": 0.0, "atol": 1e-10} if kind == torch.float64 else {}
        checks.close(attention_rollout(layers, residual, fusion), sum_over_paths(layers, residual, fusion), "the rollout", **tight, causes={
            "the product is A_1 ... A_L; the last layer stands on the left": sum_over_paths(layers[::-1], residual, fusion),
            "heads are fused by their mean whatever was asked for": sum_over_paths(layers, residual, "mean"),
            "r = 0.5 whatever was asked for": sum_over_paths(layers, 0.5, fusion),
        })  # fmt: skip

with checks.step("five layers, against the product of five matrices"):
    layers = [(2 * checks.normal(seed=10 + number, dtype=torch.float64)(2, 3, 4, 4)).softmax(-1) for number in range(5)]
    product = torch.eye(4, dtype=torch.float64)
    for layer in layers:
        product = (
            0.7 * (layer[:, 0] + layer[:, 1] + layer[:, 2]) / 3 + 0.3 * torch.eye(4, dtype=torch.float64)
        ) @ product
    checks.close(attention_rollout(layers, 0.3), product, "the rollout", rtol=0.0, atol=1e-10)

with checks.step("residual 0.9999: nearly the identity"):
    layers = [checks.normal(seed=6)(1, 2, 5, 5).softmax(-1) for _ in range(2)]
    came = attention_rollout(layers, 0.9999)
    checks.close(came, torch.eye(5)[None], "the rollout", atol=1e-3)

with checks.step("bfloat16, and maps on another device than the CPU"):
    checks.dtype(attention_rollout([layer.bfloat16() for layer in layers]), torch.bfloat16, "the rollout")
    devices = checks.beside(observe.devices_away, attention_rollout, layers)
    checks.equal(devices, ["meta"], "the device of the rollout")
### END HIDDEN TESTS

# %% test="distance" points=4
with checks.step("three patches in a row, 8 pixels each; patch 0 looks at patches 1 and 2, the others at themselves"):
    attn = torch.eye(3).expand(1, 1, 3, 3).clone()
    attn[0, 0, 0] = torch.tensor([0.0, 0.5, 0.5])
    # patch 0: (8 + 16) / 2 = 12, the others 0: 12 / 3
    came = attention_distance(attn, (1, 3), 8, 0)
    checks.close(came, torch.tensor([4.0]), "the distance", causes={
        "this is in patches, not in pixels": torch.tensor([0.5]),
        "this is the sum over queries, not their mean": torch.tensor([12.0]),
        "these are squared distances": torch.tensor([(64 + 256) / 6]),
    })  # fmt: skip

with checks.step(
    "two heads on a grid of 2 x 3 with patches of 4: head 0 at itself, head 1 from every patch at patch 4"
):
    heads = torch.zeros(2, 2, 6, 6)
    heads[:, 0] = torch.eye(6)
    heads[:, 1, :, 4] = 1.0
    # from the places (0, 0) ... (1, 2) to (1, 1): sqrt 2, 1, sqrt 2, 1, 0, 1 patches
    came = attention_distance(heads, (2, 3), 4, 0)
    checks.close(came, torch.tensor([0.0, 4 * (3 + 2 * 2**0.5) / 6]), "the distances", causes={
        "rows and columns of the grid are exchanged": torch.tensor([0.0, 4 * (4 + 5**0.5 + 2**0.5) / 6]),
        "these are steps down plus steps across; Euclid's distance is meant": torch.tensor([0.0, 4 * 7 / 6]),
        "this is in patches, not in pixels": torch.tensor([0.0, (3 + 2 * 2**0.5) / 6]),
    })  # fmt: skip

with checks.step("even attention over 1 x n patches: the mean of |i - j| is (n * n - 1) / (3 n)"):
    for n in (2, 5, 16):
        came = attention_distance(torch.full((1, 1, n, n), 1 / n), (1, n), 2, 0)
        checks.close(came, torch.tensor([2 * (n * n - 1) / (3 * n)]), f"n = {n}")

with checks.step("one head on a grid of 1 x 4 with patches of 3, drawn anew each time"):
    weights = checks.normal(checks.fresh_seed(), dtype=torch.float64)(1, 1, 4, 4).softmax(-1)
    wanted = sum(3 * abs(i - j) * weights[0, 0, i, j] for i in range(4) for j in range(4)) / 4
    checks.close(attention_distance(weights, (1, 4), 3, 0), wanted[None], "the distance")


# %% test="distance" points=6
def distance_by_loop(attn: torch.Tensor, grid: tuple, patch: float, prefix: int) -> torch.Tensor:
    """One pair of patches at a time."""
    batch, heads, tokens, _ = attn.shape
    total = torch.zeros(heads, dtype=attn.dtype)
    for b in range(batch):
        for h in range(heads):
            for i in range(tokens - prefix):
                row = attn[b, h, prefix + i, prefix:]
                for j in range(tokens - prefix):
                    down, across = i // grid[1] - j // grid[1], i % grid[1] - j % grid[1]
                    total[h] += float(row[j] / row.sum()) * patch * (down**2 + across**2) ** 0.5
    return total / (batch * (tokens - prefix))


with checks.step("a class token that takes half of the attention of each patch"):
    patches = checks.normal(seed=0)(2, 3, 4, 4).softmax(-1)
    attn = torch.zeros(2, 3, 5, 5)
    attn[:, :, 1:, 1:], attn[:, :, 1:, 0], attn[:, :, 0] = 0.5 * patches, 0.5, 0.2
    wanted = distance_by_loop(patches, (2, 2), 8, 0)
    with_token = torch.cdist(
        torch.tensor([[0.0, 0], [0, 0], [0, 8], [8, 0], [8, 8]]),
        torch.tensor([[0.0, 0], [0, 0], [0, 8], [8, 0], [8, 8]]),
    )
    checks.close(attention_distance(attn, (2, 2), 8, 1), wanted, "the distances, as without the class token", causes={
        "the rows do not sum to 1 after the prefix is gone: divide them again": 0.5 * wanted,
        "the class token was given the place (0, 0)": (attn * with_token).sum(-1).mean((0, 2)),
        "the class token was given the place (0, 0) as a key": (attn * with_token)[:, :, 1:].sum(-1).mean((0, 2)),
    })  # fmt: skip

with checks.step("a grid that does not fit"):
    checks.raises(
        ValueError, attention_distance, attn, (2, 3), 8, 1, name="2 x 3 patches and one prefix token for 5 tokens"
    )
    checks.raises(
        ValueError, attention_distance, attn, (2, 2), 8, 0, name="2 x 2 patches and no prefix token for 5 tokens"
    )

### BEGIN HIDDEN TESTS


def one_prefix_token(attn: torch.Tensor, grid: tuple, patch: float, prefix: int) -> torch.Tensor:
    """What comes out where one prefix token is left out, and the others are patches at no distance from anything."""
    count = grid[0] * grid[1]
    places = patch * torch.tensor([divmod(i, grid[1]) for i in range(count)], dtype=attn.dtype)
    apart = F.pad(torch.cdist(places, places), (prefix - 1, 0, prefix - 1, 0))
    weights = attn[:, :, 1:, 1:]
    return (weights / weights.sum(-1, keepdim=True) * apart).sum(-1).mean((0, 2))


for seed, grid, patch, prefix, kind in (
    (1, (3, 2), 16, 1, torch.float32), (2, (2, 4), 4, 2, torch.float64), (4, (2, 3), 2.5, 1, torch.float32), (3, (3, 3), 14, 5, torch.float32),
):  # fmt: skip
    with checks.step(f"against a loop, grid {grid}, patches of {patch}, {prefix} prefix tokens, {kind}"):
        tokens = grid[0] * grid[1] + prefix
        attn = (2 * checks.normal(seed=seed, dtype=kind)(2, 3, tokens, tokens)).softmax(-1)
        tight = {"rtol": 0.0, "atol": 1e-10} if kind == torch.float64 else {}
        checks.close(attention_distance(attn, grid, patch, prefix), distance_by_loop(attn, grid, patch, prefix), "the distances", **tight, causes={
            "rows and columns of the grid are exchanged": distance_by_loop(attn, grid[::-1], patch, prefix),
            "only one prefix token was left out": lambda: one_prefix_token(attn, grid, patch, prefix),
            "the side of a patch was cut to a whole number": distance_by_loop(attn, grid, int(patch), prefix),
        })  # fmt: skip

with checks.step("the attention that was given"):
    (after,) = checks.beside(observe.arguments_after, attention_distance, attn, (3, 3), 14, 5)
    checks.equal(after, attn, "the attention afterwards")

with checks.step("attention on another device than the CPU"):
    devices = checks.beside(observe.devices_away, attention_distance, attn, (3, 3), 14, 5)
    checks.equal(devices, ["meta"], "the device of the distances")
### END HIDDEN TESTS

# %% test="entropy" points=5
with checks.step("rows [1, 0, 0, 0], [0.5, 0.5, 0, 0] and four times 0.25"):
    rows = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0, 0, 0, 1.0]])[None, None]
    ln2 = 0.693147
    came = attention_entropy(rows)
    checks.shape(came, (1, 1, 4), "the entropy")
    checks.close(came, torch.tensor([[[0.0, ln2, 2 * ln2, 0.0]]]), "the entropy", causes={
        "this is in bits; nats use the natural logarithm": torch.tensor([[[0.0, 1.0, 2.0, 0.0]]]),
        "0 ln 0 gave nan; it is 0": lambda: bool(came.isnan().any()),
        "the sign is missing": torch.tensor([[[0.0, -ln2, -2 * ln2, 0.0]]]),
        "this was divided by its maximum ln N": torch.tensor([[[0.0, 0.5, 1.0, 0.0]]]),
        "the sum runs over queries; a row is a distribution over keys": torch.special.entr(rows).sum(-2),
    })  # fmt: skip
    # (2 - 1 / 0.7071) / (2 - 1) = 0.5858
    came = hoyer_sparsity(rows)
    checks.close(came, torch.tensor([[[1.0, 0.585786, 0.0, 1.0]]]), "Hoyer's sparsity", causes={
        "1 and 0 are exchanged: a single key is sparse": torch.tensor([[[0.0, 1 - 0.585786, 1.0, 0.0]]]),
        "N was used instead of its square root": torch.tensor([[[1.0, (4 - 2**0.5) / 3, 2 / 3, 1.0]]]),
    })  # fmt: skip
    checks.close(prefix_mass(rows, 1), torch.tensor([[[1.0, 0.5, 0.25, 0.0]]]), "the mass of one prefix token", causes={
        "this is the row of the prefix token, what it looks at; the column is what looks at it": rows[:, :, 0],
        "this is the mass of all other tokens": torch.tensor([[[0.0, 0.5, 0.75, 1.0]]]),
        "this is the last key": rows[..., -1],
    })  # fmt: skip
    checks.close(prefix_mass(rows, 2), torch.tensor([[[1.0, 1.0, 0.5, 0.0]]]), "the mass of two prefix tokens")
    checks.close(prefix_mass(rows, 0), torch.zeros(1, 1, 4), "the mass of no prefix token")

with checks.step("rows that are drawn anew each time"):
    attn = checks.normal(checks.fresh_seed(), dtype=torch.float64)(2, 1, 3, 3).softmax(-1)
    a, b, c = attn.unbind(-1)
    checks.close(attention_entropy(attn), -(a * a.log() + b * b.log() + c * c.log()), "the entropy")
    length = (a * a + b * b + c * c).sqrt()
    checks.close(hoyer_sparsity(attn), (3**0.5 - 1 / length) / (3**0.5 - 1), "Hoyer's sparsity")
    checks.close(prefix_mass(attn, 2), a + b, "the mass of two prefix tokens")

# %% test="entropy" points=5
with checks.step("even attention over N keys: entropy ln N, sparsity 0"):
    for tokens in (2, 5, 197):
        even = torch.full((1, 1, tokens, tokens), 1 / tokens)
        checks.close(
            attention_entropy(even), torch.full((1, 1, tokens), float(np.log(tokens))), f"the entropy, N = {tokens}"
        )
        checks.close(hoyer_sparsity(even), torch.zeros(1, 1, tokens), f"the sparsity, N = {tokens}", atol=1e-4)

### BEGIN HIDDEN TESTS
from scipy.special import entr


def below_by_a_constant(attn: torch.Tensor) -> bool:
    """Whether each entropy is too small by the same little number: w ln(w + e) is w ln w + e, for each key."""
    gap = (torch.special.entr(attn).sum(-1) - attention_entropy(attn)).flatten()[1:]  # the first row has zeros
    return bool(0 < gap.mean() < 0.01 and gap.std() < 0.1 * gap.mean())


for seed, size in ((0, (2, 3, 5, 5)), (1, (1, 1, 9, 9)), (2, (3, 2, 17, 17))):
    with checks.step(f"against SciPy and a loop over rows, shape {size}, float64"):
        attn = (3 * checks.normal(seed=seed, dtype=torch.float64)(*size)).softmax(-1)
        attn[0, 0, 0] = torch.eye(size[-1], dtype=torch.float64)[1]
        tight = {"rtol": 0.0, "atol": 1e-10}
        entropies = [entr(row.numpy()).sum() for row in attn.flatten(0, 2)]
        checks.close(attention_entropy(attn), torch.tensor(entropies).reshape(size[:3]), "the entropy", **tight, causes={
            "a small number was added inside the logarithm; put 0 where the weight is 0 instead": lambda: below_by_a_constant(attn),
        })  # fmt: skip
        root = size[-1] ** 0.5
        sparse = [(root - sum(abs(row)) / sum(row**2) ** 0.5) / (root - 1) for row in attn.flatten(0, 2).numpy()]
        checks.close(hoyer_sparsity(attn), torch.tensor(sparse).reshape(size[:3]), "the sparsity", **tight)
        for count in (2, 5):
            first = torch.tensor([sum(row[:count]) for row in attn.flatten(0, 2).numpy()]).reshape(size[:3])
            checks.close(prefix_mass(attn, count), first, f"the mass of {count} prefix tokens", **tight)

with checks.step("four queries over nine keys"):
    attn = checks.normal(seed=3, dtype=torch.float64)(1, 2, 4, 9).softmax(-1)
    entropies = [entr(row.numpy()).sum() for row in attn.flatten(0, 2)]
    checks.close(attention_entropy(attn), torch.tensor(entropies).reshape(1, 2, 4), "the entropy")
    sparse = [(3 - sum(row) / sum(row**2) ** 0.5) / (3 - 1) for row in attn.flatten(0, 2).numpy()]
    checks.close(hoyer_sparsity(attn), torch.tensor(sparse).reshape(1, 2, 4), "the sparsity", causes={
        "N was taken from the queries; it is the number of keys": lambda: (2 - 1 / attn.norm(dim=-1)) / (2 - 1),
    })  # fmt: skip

with checks.step("the attention that was given"):
    rows = torch.eye(4).expand(1, 2, 4, 4).clone()
    for name, fn, rest in (
        ("attention_entropy", attention_entropy, ()), ("hoyer_sparsity", hoyer_sparsity, ()), ("prefix_mass", prefix_mass, (2,)),
    ):  # fmt: skip
        (after,) = checks.beside(observe.arguments_after, fn, rows, *rest)
        checks.equal(after, rows, f"the attention after {name}")
### END HIDDEN TESTS

# %% test="similarity" points=4
LN2 = 0.693147
with checks.step("two layers of two heads over 2 tokens: both rows [1, 0]; [0, 1]; [0.5, 0.5]; [1, 0]"):

    def head(first: float) -> torch.Tensor:
        return torch.tensor([[first, 1 - first]] * 2)

    layers = [torch.stack([head(1.0), head(0.0)])[None], torch.stack([head(0.5), head(1.0)])[None]]
    # [1, 0] and [0.5, 0.5]: the entropy of [0.75, 0.25] is 0.562335; minus half of ln 2
    near = 0.562335 - LN2 / 2
    wanted = torch.tensor([[0, LN2, near, 0], [LN2, 0, near, LN2], [near, near, 0, near], [0, LN2, near, 0]])
    came = head_similarity(layers)
    checks.close(came, wanted, "the matrix", causes={
        "this is the distance, the square root of the divergence": wanted.sqrt(),
        "this is in bits; nats use the natural logarithm": wanted / LN2,
        "this is a similarity, large for equal heads; the divergence is 0 for them": LN2 - wanted,
        "the heads are numbered h * L + l": wanted[[0, 2, 1, 3]][:, [0, 2, 1, 3]],
        "0 ln 0 gave nan; it is 0": lambda: bool(came.isnan().any()),
    })  # fmt: skip

with checks.step("redundant heads: 1 is like 0, 2 is like 1 but not like 0, 3 is like 2"):
    chain = torch.tensor([[0.0, 0.1, 0.3, 0.5], [0.1, 0.0, 0.1, 0.3], [0.3, 0.1, 0.0, 0.1], [0.5, 0.3, 0.1, 0.0]])
    came = redundant_heads(chain, 0.2)
    checks.that(all(type(head) is int for head in came), "the heads are ints", came=checks.describe(came))
    checks.equal(list(came), [1, 3], "the redundant heads below 0.2", causes={
        "head 2 was compared with head 1, which is gone already: compare with kept heads": [1, 2, 3],
        "a head was compared with itself": [0, 1, 2, 3],
        "these are the heads that are kept": [0, 2],
    })  # fmt: skip
    checks.equal(list(redundant_heads(chain, 0.05)), [], "the redundant heads below 0.05")
    checks.equal(list(redundant_heads(chain, 0.4)), [1, 2], "the redundant heads below 0.4")

with checks.step("two heads that are drawn anew each time, and heads in a new order"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    a, b = torch.rand(2, generator=draw, dtype=torch.float64).tolist()

    def spread(first: float) -> float:
        return float(-first * np.log(first) - (1 - first) * np.log(1 - first))

    gap = spread((a + b) / 2) - (spread(a) + spread(b)) / 2
    both = torch.tensor([[[a, 1 - a]] * 2, [[b, 1 - b]] * 2], dtype=torch.float64)
    came = head_similarity([both[None]])
    checks.close(came, torch.tensor([[0, gap], [gap, 0]], dtype=torch.float64), "the matrix of two heads")
    group = torch.randint(4, (10,), generator=draw).tolist()  # heads of a group do the same
    matrix = torch.tensor([[0.0 if x == y else 0.5 for y in group] for x in group])
    wanted = [head for head in range(10) if group[head] in group[:head]]
    checks.equal(list(redundant_heads(matrix, 0.1)), wanted, f"the redundant heads of the groups {group}")

# %% test="similarity" points=4
with checks.step("three random layers of two heads: symmetric, 0 on the diagonal, a planted copy"):
    layers = [(2 * checks.normal(seed=s)(3, 2, 5, 5)).softmax(-1) for s in range(3)]
    layers[2][:, 1] = layers[0][:, 1]
    came = head_similarity(layers)
    checks.close(came, came.T.clone(), "the matrix and its transpose")
    checks.close(came.diagonal(), torch.zeros(6), "the diagonal")
    checks.equal(list(redundant_heads(came, 0.01)), [5], "the redundant heads below 0.01")

### BEGIN HIDDEN TESTS
from scipy.spatial.distance import jensenshannon

for seed, size in ((3, (2, 2, 4, 4)), (4, (1, 3, 6, 6))):
    with checks.step(f"against SciPy's jensenshannon squared, two layers of shape {size}"):
        layers = [(2 * checks.normal(seed=seed + s)(*size)).softmax(-1) for s in (0, 10)]
        layers[0][0, 0] = torch.eye(size[-1])
        heads = [attn[:, h].flatten(0, 1).numpy() for attn in layers for h in range(size[1])]
        wanted = torch.tensor([[(jensenshannon(a, b, axis=1) ** 2).mean() for b in heads] for a in heads]).float()
        of_images = [head.reshape(size[0], size[2], size[3]).mean(0) for head in heads]
        of_means = torch.tensor(
            [[(jensenshannon(a, b, axis=1) ** 2).mean() for b in of_images] for a in of_images]
        ).float()
        distances = torch.tensor([[jensenshannon(a, b, axis=1).mean() ** 2 for b in heads] for a in heads]).float()
        checks.close(head_similarity(layers), wanted, "the matrix", causes={
            "the maps were averaged over the images before they were compared; average the divergences": of_means,
            "the square was taken of the mean; average the squares": distances,
        })  # fmt: skip

with checks.step("a divergence that is exactly the threshold is not below it"):
    ties = torch.tensor([[0.0, 0.25, 0.125], [0.25, 0.0, 0.25], [0.125, 0.25, 0.0]])
    checks.equal(list(redundant_heads(ties, 0.25)), [2], "the redundant heads below 0.25", causes={
        "a divergence that equals the threshold was taken for one below it": [1, 2],
    })  # fmt: skip

with checks.step("the maps that were given"):

    def maps_after(fn: Callable, layers: list) -> list:
        fn(layers)
        return layers

    layers = [torch.eye(4).roll(turn, dims=1).expand(2, 3, 4, 4).clone() for turn in (0, 1)]
    for before, now in zip(
        layers, checks.beside(maps_after, head_similarity, [layer.clone() for layer in layers]), strict=True
    ):
        checks.equal(now, before, "an argument after the call")

with checks.step("redundant heads of a random matrix, against the rule said the other way round"):
    for seed in range(4):
        matrix = torch.rand(12, 12, generator=torch.Generator().manual_seed(seed))
        matrix = (matrix + matrix.T) / 2
        left: list = []
        for index in range(12):
            if all(float(matrix[index, other]) >= 0.25 for other in left):
                left.append(index)
        checks.equal(list(redundant_heads(matrix, 0.25)), [i for i in range(12) if i not in left], f"seed {seed}")
### END HIDDEN TESTS


# %% test="relevance" points=5
def one_block(seed: int) -> VisionTransformer:
    """A ViT of one block without norms and without MLP: its logits are linear in the class token's attention."""
    model = VisionTransformer(
        img_size=4, patch_size=2, in_chans=1, num_classes=3, embed_dim=6, depth=1, num_heads=2, mlp_ratio=1.0
    )
    block, generator = model.blocks[0], torch.Generator().manual_seed(seed)
    model.norm, block.norm1, block.norm2 = nn.Identity(), nn.Identity(), nn.Identity()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        block.mlp.fc2.weight.zero_()
        block.mlp.fc2.bias.zero_()
    return model.eval()


def parts(model: VisionTransformer, images: torch.Tensor) -> tuple:
    """Attention (B, H, 5) of the class token, and what each key's value adds to each logit, (B, H, 5, classes)."""
    attn = model.blocks[0].attn
    with torch.no_grad():
        tokens = model._pos_embed(model.patch_embed(images))
        q, k, v = attn.qkv(tokens).reshape(len(images), 5, 3, 2, 3).permute(2, 0, 3, 1, 4)
        weights = (q[:, :, :1] @ k.transpose(-2, -1) / 3**0.5).softmax(-1)[:, :, 0]
        write = attn.proj.weight.reshape(6, 2, 3)  # of each head: (width, head, d)
        adds = torch.einsum("bhjd,whd,cw->bhjc", v, write, model.head.weight)
        return weights, adds, model(images)


with checks.step("one block without norm and MLP: the gradient for key j is what its value adds to the logit"):
    for seed in (9, 6, 3):
        model, images = one_block(seed), checks.normal(seed=seed)(3, 1, 4, 4)
        weights, adds, logits = parts(model, images)
        p = logits.softmax(-1)[:, None, None]
        for label in range(3):
            product = (weights * adds[..., label])[:, :, 1:]
            wanted = product.relu().mean(1)
            pull = (p * adds).sum(-1) - adds[..., label]  # the gradient of the loss
            predicted = torch.stack([add[..., best] for add, best in zip(adds, logits.argmax(-1))])
            came = checks.beside(lambda fn, *rest: fn(*rest), gradient_relevance, model, images, label)
            checks.shape(came, (3, 4), "the relevance", causes={
                "the class token is still in the map; every cell would be shifted by one": lambda: tuple(came.shape) == (3, 5),
                "this is the whole matrix; the row of the class token is asked for": lambda: tuple(came.shape) in ((3, 5, 5), (3, 5, 4)),
            })  # fmt: skip
            checks.close(came, wanted, f"the relevance for class {label}", causes={
                "negative products were made positive; they are cut off at 0": product.abs().mean(1),
                "negative products are cut off after the mean over heads; do it before": product.mean(1).relu(),
                "the heads were averaged before attention met gradient": (weights.mean(1) * adds[..., label].mean(1))[:, 1:].relu(),
                "this is the gradient alone, without the attention": adds[..., label][:, :, 1:].relu().mean(1),
                "this explains the class that the model predicts; the target is given": (weights * predicted)[:, :, 1:].relu().mean(1),
                "the gradient is that of the loss; take the logit's": (weights * pull)[:, :, 1:].relu().mean(1),
                "the gradient is that of the probability; take the logit's": (weights * -pull * p[..., label])[:, :, 1:].relu().mean(1),
                "negative products are still in it": product.mean(1),
                "the gradient was divided by the number of images: sum over the batch, no mean": wanted / 3,
                "the update was halved, as in rollout; here it is R + A R": wanted / 2,
                "the map was divided by its sum; give it as it is": wanted / wanted.sum(1, keepdim=True),
            })  # fmt: skip

with checks.step("images that are drawn anew each time, in float64"):
    model = one_block(9).double()
    images = checks.normal(checks.fresh_seed(), dtype=torch.float64)(3, 1, 4, 4)
    weights, adds, _ = parts(model, images)
    for label in range(3):
        came = checks.beside(lambda fn, *rest: fn(*rest), gradient_relevance, model, images, label)
        checks.close(came, (weights * adds[..., label])[:, :, 1:].relu().mean(1), f"the relevance for class {label}")


# %% test="relevance" points=4
def relevant(fn: Callable, model: nn.Module, images: torch.Tensor, target: object) -> tuple:
    flags = [block.attn.fused_attn for block in model.blocks]
    came = fn(model, images, target)
    return came, came.requires_grad, flags == [block.attn.fused_attn for block in model.blocks]


with checks.step("a ViT of three blocks, 3 images with the targets 0, 3 and 1"):
    model, images = small_vit(seed=20), checks.normal(seed=20)(3, 3, 32, 32)
    came, graph, same = checks.beside(relevant, gradient_relevance, model, images, torch.tensor([0, 3, 1]))
    checks.shape(came, (3, 16), "the relevance")
    checks.equal(graph, False, "whether the result still has a graph")
    checks.equal(same, True, "whether fused_attn is as it was before")
    checks.that(bool((came >= 0).all()), "no relevance is negative", came=checks.describe(came))
    for number, label in enumerate((0, 3, 1)):
        one = images[number : number + 1]
        alone, _, _ = checks.beside(relevant, gradient_relevance, model, one, label)
        first, _, _ = checks.beside(relevant, gradient_relevance, model, one, 0)
        checks.close(came[number : number + 1], alone, f"image {number} in the batch and alone, target {label}", rtol=1e-3, causes={
            "every image got the first image's target": first,
        })  # fmt: skip

with checks.step("two targets for one image"):
    first, _, _ = checks.beside(relevant, gradient_relevance, model, images[:1], 0)
    second, _, _ = checks.beside(relevant, gradient_relevance, model, images[:1], 4)
    gap = (first / first.sum() - second / second.sum()).abs().max().item()
    checks.that(gap > 1e-3, "the maps for two classes differ", came=f"largest difference {gap:.1e}", causes={
        "the target is not used": lambda: checks.near(first, second),
    })  # fmt: skip

with checks.step("a head that gives the same logits for every image"):
    with torch.no_grad():
        model.head.weight.zero_()
    came, _, _ = checks.beside(relevant, gradient_relevance, model, images, 2)
    checks.close(came, torch.zeros(3, 16), "the relevance, where nothing matters", causes={
        "0 / 0 gave nan: the map is not normalized": lambda: bool(came.isnan().any()),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def relevance_by_matrices(model: nn.Module, images: torch.Tensor, label: int) -> torch.Tensor:
    """The rule for three blocks at once, with gradients from a copy of the model that keeps its maps."""
    copied, kept = copy.deepcopy(model).requires_grad_(True), []
    for attn in (block.attn for block in copied.blocks):
        attn.fused_attn = False
        attn.attn_drop.register_forward_hook(lambda module, given, weights: kept.append(weights))
    slopes = torch.autograd.grad(copied(images)[:, label].sum(), kept)
    eye = torch.eye(kept[0].shape[-1], dtype=images.dtype)
    first, second, third = (eye + (w * g).relu().mean(1).detach() for w, g in zip(kept, slopes, strict=True))
    return (third @ second @ first)[:, 0, model.num_prefix_tokens :]


with checks.step("images that are drawn anew each time, in float64, against the rule by matrices"):
    model = small_vit(seed=27).double()
    images = checks.normal(checks.fresh_seed(), dtype=torch.float64)(2, 3, 32, 32)
    for label in (0, 4):
        came, *_ = checks.beside(relevant, gradient_relevance, model, images, label)
        checks.close(came, relevance_by_matrices(model, images, label), f"the relevance for class {label}")
### END HIDDEN TESTS

# %% test="relevance" points=5
with checks.step("a distilled DeiT has two prefix tokens and 16 patches"):
    deit = small_vit("deit_tiny_distilled_patch16_224", seed=21)
    came = checks.beside(lambda fn, *rest: fn(*rest), gradient_relevance, deit, torch.zeros(2, 3, 32, 32), 1)
    checks.shape(came, (2, 16), "the relevance", causes={
        "only one prefix token was left out": lambda: tuple(came.shape) == (2, 17),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def relevance_by_paths(model: nn.Module, images: torch.Tensor, labels: list, prefix: int) -> torch.Tensor:
    """Every path from a patch to the class token through three layers, staying or moving, one image at a time."""
    found = []
    for image, label in zip(images, labels):
        copied, kept = copy.deepcopy(model).requires_grad_(True), []
        for attn in (block.attn for block in copied.blocks):
            attn.fused_attn = False
            attn.attn_drop.register_forward_hook(lambda module, given, weights: kept.append(weights))
        logit = copied(image[None])[0, label]
        steps = []
        for weights, slope in zip(kept, torch.autograd.grad(logit, kept)):
            helpful = (weights * slope)[0]
            positive = sum(torch.where(head > 0, head, 0.0) for head in helpful) / len(helpful)
            steps.append((positive + torch.eye(len(positive), dtype=image.dtype)).detach())
        first, second, third = steps
        found.append(torch.stack([
            sum(third[0, v] * (second[v] * first[:, patch]).sum() for v in range(len(first)))
            for patch in range(prefix, len(first))
        ]))  # fmt: skip
    return torch.stack(found)


for name, seed in (
    ("vit_tiny_patch16_224", 22),
    ("deit_tiny_distilled_patch16_224", 23),
    ("vit_small_patch14_reg4_dinov2", 24),
):
    with checks.step(f"{name}, three blocks: against the sum over all paths"):
        model, images, labels = small_vit(name, seed), checks.normal(seed=seed)(2, 3, 32, 32), [1, 4]
        wanted = relevance_by_paths(model, images, labels, model.num_prefix_tokens)
        came = checks.beside(lambda fn, *rest: fn(*rest), gradient_relevance, model, images, torch.tensor(labels))
        checks.close(came, wanted, "the relevance", rtol=1e-3)


def without_gradients(fn: Callable, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return fn(model.requires_grad_(False), images, 2)


with checks.step("float64, a frozen model, called inside of no_grad"):
    model, images = small_vit(seed=25).double(), checks.normal(seed=25, dtype=torch.float64)(1, 3, 32, 32)
    wanted = relevance_by_paths(model, images, [2], 1)
    came = checks.beside(without_gradients, gradient_relevance, model, images)
    checks.close(came, wanted, "the relevance", rtol=1e-6, atol=1e-10)


def ask(model: nn.Module, fn: Callable, images: torch.Tensor) -> None:
    fn(model, images, 1)


with checks.step("a model in use: hooks, modes, settings, gradients and what asks for them"):
    for size, error in ((32, ""), (48, "AssertionError")):  # the model refuses images of another size
        images = checks.normal(seed=26)(2, 3, size, size)
        seen = checks.beside(unchanged.asked, ask, small_vit(seed=26), gradient_relevance, images)
        checks.equal(seen["raised"], error, f"the error for images of {size} x {size}")
        checks.as_found(seen, "the model" if not error else "the model, after an error,")


with checks.step("model and images on another device than the CPU"):
    devices = checks.beside(observe.devices_away, gradient_relevance, small_vit(seed=28), torch.zeros(2, 3, 32, 32), 1)
    checks.equal(devices, ["meta"], "the device of the relevance")


def mixing(fn: Callable, model: nn.Module, images: torch.Tensor, target: int) -> list:
    """Operators that get tensors of two devices, where the model and its images are on torch's meta device.

    Copies may, and indices of the CPU, as on a GPU; torch itself lets `gather` pass where nothing is computed.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    mixed = []

    class Watch(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # True would import the compiler
            return False

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf) and leaf.ndim]
            free = func.__name__.startswith(("index", "_index", "copy", "_to_copy"))
            if not free and len({tensor.device.type for tensor in tensors}) > 1:
                mixed.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        fn(copy.deepcopy(model).to("meta"), images.to("meta"), target)
    return mixed


with checks.step("a target that is a number, for a model on another device than the CPU"):
    mixed = checks.beside(mixing, gradient_relevance, small_vit(seed=28), torch.zeros(2, 3, 32, 32), 1)
    checks.equal(list(mixed), [], "operators that got tensors of two devices")
### END HIDDEN TESTS


# %% test="deletion" points=4
class TopLeft(nn.Module):
    """Says 1 where the top left 2 x 2 pixels are bright on average, else 0."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images[:, 0, :2, :2].mean((1, 2))
        return torch.stack([0.5 - bright, bright - 0.5], 1)


def call(fn: Callable, *rest: object, **more: object) -> object:
    return fn(*rest, **more)


images, labels = torch.ones(2, 1, 4, 4), torch.tensor([1, 1])
maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]])  # right for image 0, the reverse for image 1
quarters = [0.0, 0.25, 0.5, 0.75, 1.0]

with checks.step("only the top left patch of four matters; image 0's map knows it, image 1's map says the reverse"):
    came = checks.beside(call, deletion_curve, TopLeft(), images.clone(), labels, maps, quarters)
    checks.shape(came, (5,), "the curve")
    checks.close(came, torch.tensor([1.0, 0.5, 0.5, 0.5, 0.0]), "accuracy after deletion", causes={
        "the first image's order was used for all images": torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]),
        "the patches that were to be deleted are the only ones left": lambda: (
            checks.near(came, torch.tensor([0.0, 0.5, 0.5, 0.5, 1.0]))
            and bool((deletion_curve(TopLeft(), images * 0, labels * 0, maps, quarters) == 1).all())  # dark either way
        ),
    })  # fmt: skip


def images_after(fn: Callable, model: nn.Module, *rest: object) -> torch.Tensor:
    fn(model, *rest)
    return rest[0]


with checks.step("the images after the call"):
    after = checks.beside(images_after, deletion_curve, TopLeft(), images.clone(), labels, maps, quarters)
    checks.equal(after, torch.ones(2, 1, 4, 4), "the caller's images")

with checks.step("each image alone, deletion and insertion"):
    for number, wanted in ((0, [1.0, 0.0, 0.0, 0.0, 0.0]), (1, [1.0, 1.0, 1.0, 1.0, 0.0])):
        one = slice(number, number + 1)
        came = checks.beside(call, deletion_curve, TopLeft(), images[one].clone(), labels[one], maps[one], quarters)
        checks.close(came, torch.tensor(wanted), f"image {number} alone", causes={
            "the least relevant patches were deleted first": torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0] if number == 0 else [1.0, 0.0, 0.0, 0.0, 0.0]),
        })  # fmt: skip
        came = checks.beside(
            call, deletion_curve, TopLeft(), images[one].clone(), labels[one], maps[one], quarters, insert=True
        )
        checks.close(came, torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0] if number == 0 else [0.0, 0.0, 0.0, 0.0, 1.0]), f"insertion, image {number}", causes={
            "insert has no effect": torch.tensor(wanted),
        })  # fmt: skip

with checks.step("deleted pixels get the value of fill"):
    came = checks.beside(call, deletion_curve, TopLeft(), images.clone(), labels, maps, quarters, fill=1.0)
    checks.close(came, torch.ones(5), "accuracy where deleted pixels are bright", causes={
        "deleted pixels are 0 whatever fill says": torch.tensor([1.0, 0.5, 0.5, 0.5, 0.0]),
    })  # fmt: skip

with checks.step("20 maps that are drawn anew each time: each image stays right until its top left patch is deleted"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    ranks = torch.stack([torch.randperm(4, generator=draw) for _ in range(20)])  # 0: the most relevant
    bright, ones = torch.ones(20, 1, 4, 4), torch.ones(20, dtype=torch.int64)
    for insert in (False, True):
        deleted = torch.arange(5)[:, None] > ranks[:, 0]  # (fraction, image): whether the top left patch is among the k
        wanted = (deleted if insert else ~deleted).float().mean(1)
        came = checks.beside(
            call, deletion_curve, TopLeft(), bright, ones, (5.0 - ranks).reshape(20, 2, 2), quarters, insert=insert
        )
        checks.close(came, wanted, "insertion" if insert else "deletion")


# %% test="deletion" points=3
def near_number(came: object, wanted: float, what: str, causes: dict | None = None) -> None:
    checks.that(isinstance(came, float), f"{what} is a float", came=checks.describe(came))
    found = {text: wrong if callable(wrong) else abs(came - wrong) < 1e-6 for text, wrong in (causes or {}).items()}
    checks.that(abs(came - wanted) < 1e-6, f"{what} is {wanted:.4f}", came=f"{came:.4f}", causes=found)


with checks.step("areas of curves"):
    near_number(area(torch.tensor([1.0, 0.5, 0.0])), 0.5, "the area of 1, 0.5, 0")
    near_number(area(torch.tensor([1.0, 0.0, 0.0])), 0.25, "the area of 1, 0, 0", {
        "this is the mean of the values; the first and the last count half": 1 / 3,
        "the width of a step is not in it": 0.5,
    })  # fmt: skip
    near_number(area(torch.tensor([1.0, 0.0, 0.0]), [0.0, 0.1, 1.0]), 0.05, "the area of 1, 0, 0 at 0, 0.1, 1", {
        "the fractions are not used": 0.25,
    })  # fmt: skip
    near_number(area(torch.ones(3), [0.0, 0.1, 0.5]), 1.0, "the area of a curve that is always 1, from 0 to 0.5", {
        "the area is not divided by the range of the fractions": 0.5,
    })  # fmt: skip
    near_number(area(torch.ones(2), [0.2, 0.6]), 1.0, "the area of a curve that is always 1, from 0.2 to 0.6", {
        "the area is divided by the last fraction; divide by last minus first": 2 / 3,
    })  # fmt: skip

with checks.step("three maps of 2 x 2, the mask at the bottom right: maximum there, elsewhere, everywhere"):
    maps = torch.tensor([[[1.0, 1.0], [1.0, 3.0]], [[6.0, 2.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]]])
    mask = torch.zeros(3, 2, 2, dtype=torch.bool)
    mask[:, 1, 1] = True
    near_number(pointing_game(maps, mask), 1 / 3, "the hit rate", {
        "a map whose maximum stands in several cells was counted if one of them lies in the mask; only the first one counts": lambda: (
            pointing_game(maps[2:], torch.tensor([[[False, True], [False, False]]])) == 1.0
        ),
        "a tie went to the last index; it goes to the first": 2 / 3,
        "this is the number of hits": 1.0,
    })  # fmt: skip
    came = mass_inside(maps, mask)
    checks.close(came, torch.tensor([0.5, 0.1, 0.25]), "the mass inside", causes={
        "the smallest value was subtracted first, which sharpens every map; compare the maps as they are": torch.tensor([1.0, 0.0, 0.0]),
        "the maps were divided by their maximum, not by their sum": torch.tensor([1.0, 1 / 6, 1.0]),
        "this is the mass outside": torch.tensor([0.5, 0.9, 0.75]),
        "this is not divided by the whole": torch.tensor([3.0, 1.0, 2.0]),
        "a map that is even everywhere gave nan": lambda: bool(came.isnan().any()),
    })  # fmt: skip
    checks.close(mass_inside(torch.zeros(1, 2, 2), mask[:1]), torch.zeros(1), "the mass inside of a map of zeros", causes={
        "0 / 0 gave nan; a map of zeros has nothing inside": lambda: bool(
            mass_inside(torch.zeros(1, 2, 2), mask[:1]).isnan().any()
        ),
    })  # fmt: skip

with checks.step("curve, maps and masks that are drawn anew each time"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    curve, steps = torch.rand(4, generator=draw), (0.05 + torch.rand(3, generator=draw)).tolist()
    places = [0.0, steps[0], steps[0] + steps[1], sum(steps)]
    under = sum(step * float(curve[i] + curve[i + 1]) / 2 for i, step in enumerate(steps))
    came = area(curve, places)
    checks.that(
        abs(came - under / sum(steps)) < 1e-5, "the area", came=f"{came:.5f}", expected=f"{under / sum(steps):.5f}"
    )
    maps = torch.stack(
        [1.0 + torch.randperm(6, generator=draw) for _ in range(31)]
    )  # each holds 1 to 6, their sum is 21
    mask = torch.rand(31, 6, generator=draw) < 0.4
    hits, inside = float(mask[maps == 6].double().mean()), (maps * mask).sum(1) / 21
    near_number(pointing_game(maps.reshape(31, 2, 3), mask.reshape(31, 2, 3)), hits, "the hit rate")
    checks.close(mass_inside(maps.reshape(31, 2, 3), mask.reshape(31, 2, 3)), inside, "the mass inside")


# %% test="deletion" points=3
class Brightest(nn.Module):
    """Logits: the mean of each of four vertical stripes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2)).unflatten(1, (4, -1)).mean(2)


def call(fn: Callable, *rest: object, **more: object) -> object:
    return fn(*rest, **more)


with checks.step("maps of zeros: patches are deleted by index, the left column of a 1 x 4 grid first"):
    images = torch.arange(4.0).flip(0).repeat_interleave(2).expand(3, 1, 6, 8).clone()
    zeros, labels = torch.zeros(3, 1, 4), torch.zeros(3, dtype=torch.int64)
    came = checks.beside(call, deletion_curve, Brightest(), images, labels, zeros, [0.0, 0.25, 1.0], -1.0)
    second = images.roll(2, dims=3), torch.ones(3, dtype=torch.int64)  # here the second column is the brightest

    def all_together() -> bool:
        """Whether deleting one patch of equal values takes the second column, too, and deleting two of them does."""
        curve = checks.beside(call, deletion_curve, Brightest(), *second, zeros, [0.25, 0.5], -1.0)
        return checks.near(curve, torch.zeros(2))

    def from_the_end() -> bool:
        """Whether the second column stays as long as one patch is deleted, and the first one is the last to go."""
        curve = checks.beside(call, deletion_curve, Brightest(), *second, zeros, [0.25, 0.75], -1.0)
        return checks.near(curve, torch.tensor([1.0, 0.0])) and checks.near(came, torch.ones(3))

    checks.close(came, torch.tensor([1.0, 0.0, 1.0]), "the curve", causes={
        "patches of equal value were deleted together; the k first ones are asked for": all_together,
        "equal values were deleted from the last index on; begin with the first": from_the_end,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def curve_by_loop(
    images: torch.Tensor, labels: torch.Tensor, maps: torch.Tensor, fractions: list, fill: float, insert: bool,
    whole: Callable = lambda count: int(count + 0.5),
) -> torch.Tensor:  # fmt: skip
    """One image, one patch at a time; `whole` makes a number of patches of share times patches."""
    n, rows, columns = maps.shape
    high, wide = images.shape[2] // rows, images.shape[3] // columns
    curve = []
    for fraction in fractions:
        right = 0
        for image, label, relevance in zip(images, labels, maps):
            numbered = sorted(range(rows * columns), key=lambda j: (-float(relevance.flatten()[j]), j))
            count = whole(fraction * rows * columns)
            changed = image.clone()
            for j in numbered[count:] if insert else numbered[:count]:
                r, c = divmod(j, columns)
                changed[:, r * high : (r + 1) * high, c * wide : (c + 1) * wide] = fill
            right += int(Brightest()(changed[None]).argmax()) == int(label)
        curve.append(right / n)
    return torch.tensor(curve)


for seed, grid, fill, insert in (
    (0, (3, 4), 0.0, False),
    (1, (2, 8), 0.5, False),
    (2, (3, 4), -0.5, True),
    (3, (6, 4), 0.0, True),
):
    with checks.step(f"against a loop, grid {grid}, fill {fill}, insert={insert}"):
        randn = checks.normal(seed=seed)
        images, labels = randn(40, 2, 6, 8), torch.arange(40) % 4
        maps = (3 * randn(40, *grid)).round()  # many ties
        halves = [(k + 0.5) / (grid[0] * grid[1]) for k in (0, 2, 4)]  # floor(2.5 + 1/2) is 3
        fractions = [0.0, 0.1, 0.3, 0.45, 0.8, 1.0, *halves]
        given = (images, labels, maps, fractions, fill, insert)
        came = checks.beside(call, deletion_curve, Brightest(), *given)
        checks.close(came, curve_by_loop(*given), "the curve", causes={
            "the number of patches was cut off, not rounded": curve_by_loop(*given, whole=int),
            "halves were rounded to even numbers, as round does; here they go up": curve_by_loop(*given, whole=round),
            "the number of patches was rounded up": curve_by_loop(*given, whole=lambda count: -int(-count // 1)),
        })  # fmt: skip


class Learned(nn.Module):
    """Logits from one linear layer behind dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.head = nn.Dropout(0.0), nn.Linear(12, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(images.flatten(1)))


def used(model: nn.Module, fn: Callable, *rest: object) -> bool:
    return fn(model, *rest).requires_grad


def with_function(fn: Callable, *rest: object) -> torch.Tensor:
    """The curve for a model that is a plain function: the class is the number of the brightest of three rows."""
    return fn(lambda images: images.mean((1, 3)), *rest)


with checks.step("a model in use, and one that is a plain function"):
    randn = checks.normal(seed=8)
    given = (randn(5, 2, 3, 2), torch.arange(5) % 3, randn(5, 3, 1))
    seen = checks.beside(unchanged.asked, used, Learned(), deletion_curve, *given, [0.0, 0.5])
    checks.equal(seen["raised"], "", "the error")
    checks.as_found(seen)
    checks.equal(seen["result"], False, "whether the curve has a graph")
    images, labels, maps = given
    came = checks.beside(with_function, deletion_curve, *given, [0.0, 1 / 3], -9.0)
    rows = images.mean((1, 3))
    without = rows.scatter(1, maps.flatten(1).argmax(1, keepdim=True), -9.0)
    wanted = torch.stack([(found.argmax(1) == labels).float().mean() for found in (rows, without)])
    checks.close(came, wanted, "the curve of a function")

with checks.step("2,000 random maps of 16 patches, one of them in the mask: chance"):
    generator = torch.Generator().manual_seed(5)
    maps = torch.rand(2000, 4, 4, generator=generator)
    mask = F.one_hot(torch.randint(16, (2000,), generator=generator), 16).bool().reshape(2000, 4, 4)
    hits, mass = pointing_game(maps, mask), mass_inside(maps, mask).mean().item()
    checks.that(abs(hits - 1 / 16) < 0.025, "the hit rate is about 1/16", came=f"{hits:.4f}")
    checks.that(abs(mass - 1 / 16) < 0.005, "the mass inside is about 1/16", came=f"{mass:.4f}")
    checks.equal(pointing_game(mask.float(), mask), 1.0, "the hit rate of the masks themselves")
    checks.close(mass_inside(mask.float(), mask), torch.ones(2000), "the mass inside of the masks themselves")

with checks.step("masks of several cells"):
    mask = torch.rand(50, 3, 3, generator=generator) < 0.4
    maps = torch.rand(50, 3, 3, generator=generator)
    hits = sum(bool(m.flatten()[v.flatten().tolist().index(v.max())]) for v, m in zip(maps, mask)) / 50
    came = pointing_game(maps, mask)
    checks.that(abs(came - hits) < 1e-6, "the hit rate", came=f"{came:.4f}", expected=f"{hits:.4f}")
    checks.close(
        mass_inside(maps, mask), torch.stack([v[m].sum() / v.sum() for v, m in zip(maps, mask)]), "the mass inside"
    )

with checks.step("maps of very small values: relevance is not normalized"):
    small = torch.tensor([[[1e-15, 3e-15]], [[2e-12, 6e-12]]])
    mask = torch.tensor([[[False, True]], [[True, False]]])
    checks.close(mass_inside(small, mask), torch.tensor([0.75, 0.25]), "the mass inside", causes={
        "a small number in the denominator is large beside these values": lambda: bool(
            (mass_inside(small, mask) < torch.tensor([0.74, 0.24])).any()
        ),
    })  # fmt: skip

with checks.step("maps and masks that were given"):
    given = maps, maps > 0.5
    for name, fn in (("pointing_game", pointing_game), ("mass_inside", mass_inside)):
        after = checks.beside(observe.arguments_after, fn, *given)
        for before, now in zip(given, after, strict=True):
            checks.equal(now, before, f"an argument of {name} after the call")
### END HIDDEN TESTS
