# %% test="pool" points=5
with checks.step("a class token [1, 2] and the patches [3, 9] and [6, 5]"):
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 9.0], [6.0, 5.0]]])
    checks.close(pool_tokens(tokens.clone(), 1, "cls"), torch.tensor([[1.0, 2.0]]), "cls", causes={
        "the last token was taken; the class token is the first": torch.tensor([[6.0, 5.0]]),
    })  # fmt: skip
    checks.close(pool_tokens(tokens.clone(), 1, "mean"), torch.tensor([[4.5, 7.0]]), "mean", causes={
        "the class token is in the mean; only patches belong there": tokens.mean(1),
        "this is the maximum of the patches": torch.tensor([[6.0, 9.0]]),
        "this is the sum of the patches": torch.tensor([[9.0, 14.0]]),
    })  # fmt: skip
    checks.close(pool_tokens(tokens.clone(), 1, "cls_mean"), torch.tensor([[1.0, 2.0, 4.5, 7.0]]), "cls_mean", causes={
        "the mean stands first; the class token comes first": torch.tensor([[4.5, 7.0, 1.0, 2.0]]),
        "the class token is in the mean; only patches belong there": torch.cat([tokens[:, 0], tokens.mean(1)], 1),
        "the two were added; they stand side by side": torch.tensor([[5.5, 9.0]]),
    })  # fmt: skip
    checks.equal(pool_tokens(tokens.clone(), 1, "none"), tokens, "none")

with checks.step("the same three tokens in a model without prefix tokens"):
    checks.close(pool_tokens(tokens.clone(), 0, "mean"), torch.tensor([[10 / 3, 16 / 3]]), "mean", causes={
        "the first token was left out, although n_prefix is 0": torch.tensor([[4.5, 7.0]]),
    })  # fmt: skip
    checks.raises(ValueError, pool_tokens, tokens, 0, "cls", name='"cls" without a prefix token')
    checks.raises(ValueError, pool_tokens, tokens, 0, "cls_mean", name='"cls_mean" without a prefix token')

with checks.step("the tokens given stay as they are"):
    tokens = checks.normal(seed=6)(2, 4, 3)
    for how in ("cls", "mean", "cls_mean"):
        (after,) = checks.beside(observe.arguments_after, pool_tokens, tokens, 1, how)
        checks.equal(after, tokens, f"the tokens after {how!r}")

with checks.step("tokens that are drawn anew each time"):
    tokens = checks.normal(checks.fresh_seed())(2, 7, 3)
    mean = sum(tokens[:, i] for i in range(2, 7)) / 5
    checks.close(pool_tokens(tokens, 2, "cls_mean"), torch.cat([tokens[:, 0], mean], 1), "cls_mean, 2 prefix tokens")

# %% test="pool" points=5
with checks.step("a map of 2 x 2 places with 3 channels, the numbers 0 to 11, channels last"):
    tokens = torch.arange(12.0).reshape(1, 2, 2, 3)
    checks.close(pool_tokens(tokens, 0, "mean", "NHWC"), torch.tensor([[4.5, 5.5, 6.5]]), "mean", causes={
        "the numbers were reshaped to channels first; that mixes channels and places": torch.tensor([[1.5, 5.5, 9.5]]),
        "the map was read as (B, D, h, w)": torch.tensor([[2.5, 8.5]]),
    })  # fmt: skip
    checks.equal(pool_tokens(tokens, 0, "none", "NHWC"), tokens, "none")
    checks.raises(ValueError, pool_tokens, tokens, 0, "cls", "NHWC", name='"cls" of a map')

with checks.step("a map of 2 x 2 places with 3 channels, the numbers 0 to 11, channels first"):
    tokens = torch.arange(12.0).reshape(1, 3, 2, 2)
    checks.close(pool_tokens(tokens, 0, "mean", "NCHW"), torch.tensor([[1.5, 5.5, 9.5]]), "mean", causes={
        "the numbers were reshaped to channels last; that mixes channels and places": torch.tensor([[4.5, 5.5, 6.5]]),
        "the map was read as (B, h, w, D)": torch.tensor([[5.0, 6.0]]),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
for seed, n_prefix, kind in ((0, 2, torch.float32), (1, 5, torch.float64), (2, 1, torch.float32)):
    with checks.step(f"against a loop over tokens, {n_prefix} prefix tokens and 6 patches, {kind}"):
        tokens = checks.normal(seed=seed, dtype=kind)(3, n_prefix + 6, 4)
        cls = torch.stack([image[0] for image in tokens])
        mean = torch.stack([sum(image[i] for i in range(n_prefix, n_prefix + 6)) / 6 for image in tokens])
        checks.close(pool_tokens(tokens.clone(), n_prefix, "mean"), mean, "mean", causes={
            "only one prefix token was left out of the mean": tokens[:, 1:].mean(1),
        })  # fmt: skip
        checks.close(pool_tokens(tokens.clone(), n_prefix, "cls"), cls, "cls", causes={
            "this is the mean of all prefix tokens; cls is the first": tokens[:, :n_prefix].mean(1),
            "this is the last prefix token; cls is the first": tokens[:, n_prefix - 1],
        })  # fmt: skip
        checks.close(pool_tokens(tokens.clone(), n_prefix, "cls_mean"), torch.cat([cls, mean], 1), "cls_mean")

for seed, size in ((3, (2, 4, 4, 4)), (4, (2, 3, 5, 4)), (5, (1, 5, 2, 5))):
    with checks.step(f"against a loop over places, a map of shape {size} in both layouts"):
        tokens = checks.normal(seed=seed)(*size)
        last = torch.stack([sum(place for row in image for place in row) / (size[1] * size[2]) for image in tokens])
        first = torch.stack(
            [torch.stack([sum(channel.flatten()) / channel.numel() for channel in image]) for image in tokens]
        )
        came = pool_tokens(tokens, 0, "mean", "NHWC"), pool_tokens(tokens, 0, "mean", "NCHW")
        guessed = {"the layout was guessed from the shape; it is given": lambda: (
            tuple(came[0].shape) == tuple(came[1].shape) and checks.near(came[0], came[1])
        )}  # fmt: skip
        checks.close(came[0], last, "mean, channels last", causes=guessed)
        checks.close(came[1], first, "mean, channels first", causes=guessed)

with checks.step("what cannot be pooled"):
    tokens = torch.zeros(2, 5, 4)
    checks.raises(ValueError, pool_tokens, tokens, 1, "max", name='how="max"')
    checks.raises(ValueError, pool_tokens, tokens[None], 0, "cls", "NCHW", name='"cls" of a map')
    checks.raises(ValueError, pool_tokens, tokens[None], 0, "cls_mean", "NCHW", name='"cls_mean" of a map')
    for how in ("mean", "none"):
        checks.raises(ValueError, pool_tokens, tokens, 0, how, "NCHW", name=f'{how!r} of three dimensions as "NCHW"')
        checks.raises(ValueError, pool_tokens, tokens[None], 0, how, name=f'{how!r} of four dimensions as "NLC"')
        checks.raises(ValueError, pool_tokens, tokens[None], 0, how, "BHWD", name=f'{how!r} with layout="BHWD"')
        checks.raises(ValueError, pool_tokens, tokens, 0, how, "NCL", name=f'{how!r} with layout="NCL"')
        for layout in ("NHWC", "NCHW"):
            checks.raises(
                ValueError, pool_tokens, tokens[None], 1, how, layout, name=f"{how!r} of a map {layout} with a prefix token"
            )  # fmt: skip

with checks.step("tokens in bfloat16, and a map that stays as it is"):
    tokens = torch.tensor([[[1.0, 3.0], [2.0, 4.0], [6.0, 8.0]]], dtype=torch.bfloat16)
    wanted = torch.tensor([[1.0, 3.0, 4.0, 6.0]], dtype=torch.bfloat16)
    checks.close(pool_tokens(tokens, 1, "cls_mean"), wanted, "cls_mean in bfloat16")
    checks.close(pool_tokens(tokens, 1, "mean"), wanted[:, 2:], "mean in bfloat16")
    for layout in ("NHWC", "NCHW"):
        tokens = checks.normal(seed=6)(2, 3, 2, 5)
        (after,) = checks.beside(observe.arguments_after, pool_tokens, tokens, 0, "mean", layout)
        checks.equal(after, tokens, f"the map afterwards, layout {layout!r}")

with checks.step("tokens on another device"):
    for how in ("cls", "mean", "cls_mean", "none"):
        devices = checks.beside(observe.devices_away, pool_tokens, torch.zeros(2, 4, 3), 1, how)
        checks.equal(devices, ["meta"], f"the device of {how!r}")
### END HIDDEN TESTS


# %% test="extractor" points=4
class Times(nn.Module):
    """Multiplies by a number that could be learned."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


def read(make: Callable, model: nn.Module, layers: list, images: torch.Tensor, pool: str = "none") -> dict:
    with make(model, layers, pool) as extract:
        return extract(images)


def graph(make: Callable, model: nn.Module, layers: list, images: torch.Tensor) -> list:
    return [feature.requires_grad for feature in read(make, model, layers, images).values()]


def error_of(fn: Callable, *args: object) -> tuple[str, str]:
    """The built-in name of the error that a call raises, and its words."""
    try:
        fn(*args)
    except KeyError as error:
        return "KeyError", str(error)
    except Exception as error:
        return type(error).__name__, str(error)
    return "no error", ""


with checks.step("a model of two layers, twice and thrice, on [[1, 2]]"):
    model = nn.Sequential()
    model.add_module("twice", Times(2.0))
    model.add_module("thrice", Times(3.0))
    images = torch.tensor([[1.0, 2.0]])
    found = checks.beside(read, FeatureExtractor, model, ["twice", "thrice"], images)
    checks.equal(sorted(found), ["thrice", "twice"], "the layers in the dict", causes={
        "only the last layer is there: the hook looks up its name when it runs, too late": ["thrice"],
    })  # fmt: skip
    checks.close(found["twice"], torch.tensor([[2.0, 4.0]]), "twice", causes={
        "this is what went into the layer; a feature is what came out": images,
    })  # fmt: skip
    checks.close(found["thrice"], torch.tensor([[6.0, 12.0]]), "thrice", causes={
        "this is what went into the layer; a feature is what came out": torch.tensor([[2.0, 4.0]]),
    })  # fmt: skip
    checks.equal(sorted(checks.beside(read, FeatureExtractor, model, ["thrice"], images)), ["thrice"], "one layer only")

with checks.step("features carry no gradient graph"):
    tracked = checks.beside(graph, FeatureExtractor, model, ["twice", "thrice"], images)
    checks.equal(tracked, [False, False], "requires_grad of the features", causes={
        "the features hold the whole graph of the model in memory: detach them": [True, True],
    })  # fmt: skip

with checks.step("a layer with a typing error: thrise"):
    kind, words = checks.beside(error_of, FeatureExtractor, model, ["twice", "thrise"])
    checks.equal(kind, "KeyError", "the error when the extractor is made")
    checks.that("thrice" in words, "the message names the similar layer 'thrice'", came=words)

with checks.step("factors and images that are drawn anew each time"):
    randn = checks.normal(checks.fresh_seed())
    first, second, images = float(randn(1)), float(randn(1)), randn(3, 2)
    model = nn.Sequential(Times(first), nn.Sequential(Times(second)))
    found = checks.beside(read, FeatureExtractor, model, ["0", "1.0"], images)
    checks.close(found["0"], first * images, "layer 0")
    checks.close(found["1.0"], first * second * images, "layer 1.0")


# %% test="extractor" points=4
class Noisy(nn.Module):
    """Features that depend on the mode: batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(2), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 3:
            raise ArithmeticError("three images are too many")
        return self.drop(self.norm(x))


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def life(make: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    """What can be seen of a model in train mode before, in, between and after two `with` blocks."""
    model.train()
    extractor = make(model, ["drop"])
    seen: dict = {"hooks when made": hooks(model), "training when made": model.training}
    with extractor as extract:
        seen["training in the block"] = any(module.training for module in model.modules())
        seen["first"] = extract(images).get("drop")
    seen["hooks after"], seen["training after"] = hooks(model), [module.training for module in model.modules()]
    with extractor as extract:
        seen["hooks again"] = hooks(model)
        seen["second"] = extract(images).get("drop")
    seen["hooks at the end"] = hooks(model)
    return seen


def broken(make: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    """The same for a block that ends with an error."""
    model.train()
    seen: dict = {"error": "none", "before": "none", "outside": "none"}
    extractor = make(model, ["norm", "drop"])
    try:
        extractor(images)
    except RuntimeError:
        seen["before"] = "RuntimeError"
    try:
        with extractor as extract:
            extract(images[:1].expand(3, 2))
    except ArithmeticError:
        seen["error"] = "ArithmeticError"
    seen["hooks"], seen["training"] = hooks(model), all(module.training for module in model.modules())
    try:
        extractor(images)
    except RuntimeError:
        seen["outside"] = "RuntimeError"
    return seen


with checks.step("a model in train mode, with batch norm and dropout"):
    torch.manual_seed(0)
    images = torch.tensor([[1.0, 2.0], [3.0, 8.0]])
    seen = checks.beside(life, FeatureExtractor, Noisy(), images)
    checks.equal(seen["hooks when made"], 0, "hooks before the block begins")
    checks.equal(seen["training when made"], True, "train mode before the block begins")
    checks.equal(seen["training in the block"], False, "any module in train mode inside the block")
    checks.close(seen["first"], images / (1 + 1e-5) ** 0.5, "the features")
    checks.equal(seen["hooks after"], 0, "hooks after the block", causes={
        "the hooks were never removed": 1,
    })  # fmt: skip
    checks.equal(seen["training after"], [True] * 3, "train mode of the model and of its two parts after the block", causes={
        "the model was left in eval mode": [False] * 3,
    })  # fmt: skip
    checks.that(
        seen["hooks again"] <= 1, "at most one hook on one layer in a second block", came=f"{seen['hooks again']}"
    )
    checks.close(seen["second"], seen["first"], "the features in a second block")
    checks.equal(seen["hooks at the end"], 0, "hooks after the second block")

with checks.step("the model raises an error inside the block"):
    seen = checks.beside(broken, FeatureExtractor, Noisy(), images)
    checks.equal(seen["error"], "ArithmeticError", "the error that leaves the block", causes={
        "the error was swallowed: `__exit__` returned something true": "none",
    })  # fmt: skip
    checks.equal(seen["hooks"], 0, "hooks after the error", causes={
        "hooks are removed only when all went well": 2,
    })  # fmt: skip
    checks.equal(seen["training"], True, "train mode after the error")
    checks.equal(seen["outside"], "RuntimeError", "the error of a call outside of the block")
    checks.equal(seen["before"], "RuntimeError", "the error of a call before the block")

with checks.step("images, mean and variance that are drawn anew each time"):
    randn, model = checks.normal(checks.fresh_seed()), Noisy()
    images, mean, deviation = randn(2, 2), randn(2), 1 + randn(2).abs()
    model.norm.running_mean, model.norm.running_var = mean, deviation**2
    seen = checks.beside(life, FeatureExtractor, model, images)
    wanted = (images - mean) / (deviation**2 + 1e-5).sqrt()
    for number in ("first", "second"):
        checks.close(seen[number], wanted, f"the features of the {number} block")


# %% test="extractor" points=4
def read(make: Callable, model: nn.Module, layers: list, images: torch.Tensor, pool: str = "none") -> dict:
    with make(model, layers, pool) as extract:
        return extract(images)


def intermediates(model: nn.Module, images: torch.Tensor, index: int, layout: str = "NLC") -> torch.Tensor:
    """The output of one block or stage by timm's own method: (B, N, D) with prefix tokens, or (B, D, h, w)."""
    more = {"return_prefix_tokens": True} if layout == "NLC" else {}
    with torch.no_grad():
        (found,) = model.forward_intermediates(images, [index], output_fmt=layout, intermediates_only=True, **more)
    return torch.cat([found[1], found[0]], dim=1) if layout == "NLC" else found


with checks.step("a ViT against timm's forward_features and forward_intermediates"):
    images = checks.normal(seed=1)(2, 3, 32, 32)
    vit = small_model("vit_tiny_patch16_224")
    found = checks.beside(read, FeatureExtractor, vit, ["blocks.1", "blocks.2", "norm"], images)
    with torch.no_grad():
        final = vit.forward_features(images)
        last = intermediates(vit, images, 2)
    checks.close(found["norm"], final, "norm, against forward_features", causes={
        "this is the last block's output, before the final norm": last,
    })  # fmt: skip
    checks.close(found["blocks.1"], intermediates(vit, images, 1), "blocks.1, against forward_intermediates")
    checks.close(found["blocks.2"], last, "blocks.2, against forward_intermediates", causes={
        "this is after the final norm; the block's output is before it": final,
    })  # fmt: skip

with checks.step("the same ViT, pooled"):
    for pool, wanted in (("cls", final[:, 0]), ("mean", final[:, 1:].mean(1))):
        found = checks.beside(read, FeatureExtractor, vit, ["norm"], images, pool)
        checks.close(found["norm"], wanted, f"norm, pool={pool!r}")

### BEGIN HIDDEN TESTS
with checks.step("a distilled DeiT, which has two prefix tokens"):
    deit = small_model("deit_tiny_distilled_patch16_224", seed=2)
    found = checks.beside(read, FeatureExtractor, deit, ["blocks.0", "norm"], images, "cls_mean")
    with torch.no_grad():
        outputs = {"norm": deit.forward_features(images), "blocks.0": intermediates(deit, images, 0)}
    for layer, tokens in outputs.items():
        wanted = torch.cat([tokens[:, 0], tokens[:, 2:].mean(1)], dim=1)
        checks.close(found[layer], wanted, f"{layer}, pool='cls_mean'", causes={
            "one prefix token was assumed; the model says how many it has": torch.cat(
                [tokens[:, 0], tokens[:, 1:].mean(1)], dim=1
            ),
        })  # fmt: skip

with checks.step("the patch embedding of a DeiT: a map, in a model that has prefix tokens"):
    found = checks.beside(read, FeatureExtractor, deit, ["patch_embed.proj"], images, "mean")
    with torch.no_grad():
        wanted = deit.patch_embed.proj(images).mean((2, 3))
    checks.close(found["patch_embed.proj"], wanted, "patch_embed.proj, pool='mean'")

with checks.step("tokens of a model that says nothing of prefix tokens, in float64"):
    linear, tokens = nn.Sequential(nn.Linear(3, 2)).double(), checks.normal(seed=7, dtype=torch.float64)(2, 5, 3)
    found = checks.beside(read, FeatureExtractor, linear, ["0"], tokens, "mean")
    with torch.no_grad():
        outputs = linear(tokens)
    checks.close(found["0"], outputs.mean(1), "layer 0, pool='mean'", causes={
        "one prefix token was assumed; a model that says nothing has none": outputs[:, 1:].mean(1),
    })  # fmt: skip

with checks.step("a Swin, whose maps have their channels last"):
    swin = small_model("swin_tiny_patch4_window7_224", seed=3)
    found = checks.beside(read, FeatureExtractor, swin, ["layers.0", "norm"], images)
    with torch.no_grad():
        final = swin.forward_features(images)
    checks.close(found["norm"], final, "norm, against forward_features")
    stage = intermediates(swin, images, 0, "NCHW")
    checks.close(found["layers.0"], stage.permute(0, 2, 3, 1), "layers.0, against forward_intermediates")
    pooled = checks.beside(read, FeatureExtractor, swin, ["layers.0", "norm"], images, "mean")
    checks.close(pooled["norm"], final.mean((1, 2)), "norm, pool='mean'")
    checks.close(pooled["layers.0"], stage.mean((2, 3)), "layers.0, pool='mean'")

with checks.step("a ResNet, whose maps have their channels first, and whose output has two dimensions"):
    resnet = small_model("resnet18", seed=4)
    found = checks.beside(read, FeatureExtractor, resnet, ["layer2", "fc"], images, "mean")
    checks.close(found["layer2"], intermediates(resnet, images, 2, "NCHW").mean((2, 3)), "layer2, pool='mean'")
    with torch.no_grad():
        checks.close(found["fc"], resnet(images), "fc, which stays as it is")
    for pool, name in (("cls", "cls of a map"), ("max", "pool='max'")):
        checks.raises(ValueError, checks.beside, read, FeatureExtractor, resnet, ["layer2"], images, pool, name=name)

with checks.step("maps of 4 x 4 places with 3 channels, and of 3 x 4 places with 3 channels, channels first"):
    conv = nn.Sequential(nn.Conv2d(2, 3, 1))
    for height in (4, 3):
        images = checks.normal(seed=8)(2, 2, height, 4)
        with torch.no_grad():
            maps = conv(images)
        found = checks.beside(read, FeatureExtractor, conv, ["0"], images, "mean")
        checks.close(found["0"], maps.mean((2, 3)), f"layer 0, {height} x 4 places, pool='mean'", causes={
            "the layout was guessed from the shape; a model that says nothing of it has channels first": maps.mean((1, 2)),
        })  # fmt: skip

with checks.step("the whole model as a layer"):
    found = checks.beside(read, FeatureExtractor, conv, ["", "0"], images)
    checks.close(found[""], maps, "the layer ''")
### END HIDDEN TESTS


# %% test="extractor" points=4
def nested(make: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    """Two extractors on one model; the inner one ends first. Calls of the outer one before and after."""
    with make(model, ["blocks.0"]) as outer:
        first = outer(images)
        with make(model, ["blocks.0", "norm"]) as inner:
            both = inner(images)
        second = outer(2 * images)
    return {
        "first": first["blocks.0"],
        "inner": both["blocks.0"],
        "second": second.get("blocks.0"),
        "keys": sorted(both),
    }


with checks.step("two extractors on one model, the inner one ends first"):
    images = checks.normal(seed=5)(2, 3, 32, 32)
    vit = small_model("vit_tiny_patch16_224", seed=5)
    seen = checks.beside(nested, FeatureExtractor, vit, images)
    with torch.no_grad():
        (wanted,) = vit.forward_intermediates(images, [0], output_fmt="NLC", intermediates_only=True)
        (later,) = vit.forward_intermediates(2 * images, [0], output_fmt="NLC", intermediates_only=True)
    checks.close(seen["inner"][:, 1:], wanted, "the inner extractor")
    checks.that(seen["second"] is not None, "the outer extractor still has its hooks", causes={
        "all hooks of the layer were cleared; remove your own only": True,
    })  # fmt: skip
    checks.close(seen["second"][:, 1:], later, "the outer extractor's second call, with other images")
    checks.close(seen["first"][:, 1:], wanted, "the outer extractor's first result after the second call", causes={
        "every call returns the same dict, so a later call overwrites it": later,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


class Pair(nn.Module):
    """Returns a tuple, as attention layers do."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return 2 * x, x.sum(-1)


class Odd(nn.Module):
    """A layer that returns a tuple, a frozen norm in eval mode, and a head that works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.pair, self.norm, self.act = Pair(), nn.BatchNorm1d(2), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.pair(x)[0]))


def odd(make: Callable, images: torch.Tensor) -> dict:
    model = Odd().train()
    model.norm.eval()
    with make(model, ["pair", "norm"]) as extract:
        found = extract(images)
    return found | {"modes": [model.training, model.act.training, model.norm.training]}


def two_layers(make: Callable, model: nn.Module, images: torch.Tensor) -> list:
    with make(model, ["0", "1"]) as extract:
        return list(extract(images).values())


def switched(make: Callable, images: torch.Tensor) -> tuple[list, list]:
    """A part that changes its mode between the making of the extractor and its block: the modes before and after."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))
    extractor = make(model, ["1"])
    model[1].eval()
    before = [module.training for module in model.modules()]
    with extractor as extract:
        extract(images)
    return before, [module.training for module in model.modules()]


with checks.step("a layer that returns a tuple"):
    images = torch.tensor([[1.0, -2.0], [-3.0, 4.0]])
    seen = checks.beside(odd, FeatureExtractor, images)
    checks.close(seen["pair"], 2 * images, "the feature", causes={
        "this is item 1 of the tuple; the feature is item 0": images.sum(-1),
    })  # fmt: skip

with checks.step("a layer whose output the next layer overwrites"):
    normed = 2 * images / (1 + 1e-5) ** 0.5
    checks.close(seen["norm"], normed, "the feature", causes={
        "the ReLU after the layer worked in place, on the tensor that you kept: copy it": normed.relu(),
    })  # fmt: skip

with checks.step("a model in train mode with one norm in eval mode"):
    checks.equal(seen["modes"], [True, True, False], "training of the model, of a part, and of the norm afterwards", causes={
        "the norm was in eval mode before and was put into train mode: restore each module": [True, True, True],
    })  # fmt: skip

with checks.step("a part that is put into eval mode after the extractor was made, before its block begins"):
    before, modes = checks.beside(switched, FeatureExtractor, images)
    checks.equal(modes, before, "training of the model and of its two parts after the block", causes={
        "these are the modes of when the extractor was made: note them when the block begins": [True, True, True],
    })  # fmt: skip

with checks.step("bn1 of a ResNet"):
    resnet, images = small_model("resnet18", seed=6), checks.normal(seed=6)(2, 3, 32, 32)

    def first_layer(make: Callable, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with make(model, ["bn1"]) as extract:
            return extract(images)["bn1"]

    with torch.no_grad():
        wanted = resnet.bn1(resnet.conv1(images))
    checks.close(checks.beside(first_layer, FeatureExtractor, resnet, images), wanted, "bn1", causes={
        "the ReLU after the layer worked in place, on the tensor that you kept: copy it": wanted.relu(),
    })  # fmt: skip


class Counting(nn.Module):
    """Three layers, and how often they ran together."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.runs = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        with torch.enable_grad():  # some models switch gradients on for themselves
            return self.layers(x)


def runs(make: Callable, images: torch.Tensor) -> tuple[int, list]:
    model = Counting()
    with make(model, ["layers.0", "layers.1", "layers.2"]) as extract:
        found = extract(images)
    return model.runs, [feature.requires_grad for feature in found.values()]


def use(model: nn.Module, make: Callable, images: torch.Tensor) -> None:
    with make(model, ["blocks.1.attn", "norm"], "cls") as extract:
        extract(images)


with checks.step("three layers of one model"):
    count, tracked = checks.beside(runs, FeatureExtractor, torch.ones(4, 2))
    checks.equal(count, 1, "how often the model ran for one call", causes={
        "the model ran once for each layer": 3,
    })  # fmt: skip
    checks.equal(tracked, [False] * 3, "whether features carry a graph where the model itself asks for one")

with checks.step("a ViT that is being trained: partly frozen, with gradients, modes and a hook of its own"):
    for size, error in ((32, ""), (48, "AssertionError")):  # images of another size end the block with an error
        seen = checks.beside(unchanged.asked, use, vit, FeatureExtractor, torch.zeros(1, 3, size, size))
        checks.equal(seen["raised"], error, f"the error that leaves the block for images of {size} x {size}")
        checks.as_found(seen, "the ViT" if not error else "the ViT, after an error,")


with checks.step("model and images on another device"):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    devices = checks.beside(observe.devices_away, two_layers, FeatureExtractor, model, torch.zeros(4, 2))
    checks.equal(devices, ["meta", "meta"], "the devices of the features")


def refusal(make: Callable, model: nn.Module) -> str:
    try:
        make(model, ["norm", "block.1.attn"])
    except KeyError as error:
        return str(error)
    return ""


with checks.step("block.1.attn instead of blocks.1.attn"):
    words = checks.beside(refusal, FeatureExtractor, vit)
    checks.that("blocks.1.attn" in words, "the message names 'blocks.1.attn'", came=words)
### END HIDDEN TESTS


# %% test="dataset" points=4
class Recorder:
    """Works as an extractor: gives two simple features and notes how it is used."""

    def __init__(self, fails_at: int = -1) -> None:
        self.open, self.opened, self.sizes, self.fails_at = False, 0, [], fails_at

    def __enter__(self) -> "Recorder":
        self.open, self.opened = True, self.opened + 1
        return self

    def __exit__(self, *error: object) -> None:
        self.open = False

    def __call__(self, images: torch.Tensor) -> dict:
        if not self.open:
            raise RuntimeError("called outside of its with block")
        self.sizes.append(len(images))
        if len(self.sizes) == self.fails_at:
            raise ArithmeticError("this batch cannot be done")
        return {"sum": images.flatten(1).sum(1), "first": images[:, 0]}


def recorded(fn: Callable, images: torch.Tensor, batch_size: int) -> tuple:
    recorder = Recorder()
    features, index = fn(recorder, images, batch_size)
    return features, index, recorder.sizes, recorder.opened, recorder.open


def stored(features: dict, layer: str, wanted: torch.Tensor, name: str, causes: dict | None = None) -> None:
    """Compare stored features; half precision keeps three digits."""
    came = checks.tensor(features[layer], name)
    half = came.dtype == torch.float16
    if not half:
        checks.dtype(came, torch.float32, f"{name}, if it is not float16,")
    checks.close(came.float(), wanted, name, rtol=1e-2 if half else 1e-4, atol=1e-2 if half else 1e-5, causes=causes)


with checks.step("8 images in batches of 3"):
    images = checks.normal(seed=0)(8, 1, 2, 2)
    features, index, sizes, opened, still_open = checks.beside(recorded, extract_dataset, images, 3)
    checks.equal(sizes, [3, 3, 2], "the sizes of the batches", causes={
        "the last, smaller batch was dropped": [3, 3],
        "all images went in at once": [8],
    })  # fmt: skip
    checks.equal(sorted(features), ["first", "sum"], "the layers")
    wanted = images.flatten(1).sum(1)
    checks.shape(features["sum"], (8,), "the feature 'sum'")
    stored(features, "sum", wanted, "the feature 'sum'", {
        "the rows stand in another order than the images": lambda: (
            checks.near(features["sum"].float().sort()[0], wanted.sort()[0], atol=1e-2)
            and not checks.near(features["sum"].float(), wanted, atol=1e-2)
        ),
    })  # fmt: skip
    stored(features, "first", images[:, 0], "the feature 'first'")
    checks.equal(index, torch.arange(8), "the index", causes={
        "the count starts again in each batch": torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        "this is the number of the batch": torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]),
    })  # fmt: skip
    checks.equal((opened, still_open), (1, False), "how often the extractor was opened, and whether it is still open")

with checks.step("a batch size of 0"):
    checks.raises(ValueError, checks.beside, recorded, extract_dataset, images, 0, name="batch_size=0")

with checks.step("images that are drawn anew each time"):
    images = checks.normal(checks.fresh_seed())(5, 1, 3, 2)
    sums = images.flatten(1).sum(1)
    features, index, *_ = checks.beside(recorded, extract_dataset, images.clone(), 2)
    stored(features, "sum", sums, "the feature 'sum'")
    checks.equal(index, torch.arange(5), "the index")

# %% test="dataset" points=4
with checks.step("a ResNet in train mode, with batch norm: batches of 2 and of 6"):
    images = checks.normal(seed=1)(6, 3, 32, 32)
    resnet = small_model("resnet18", seed=1)
    with torch.no_grad():
        wanted = resnet.forward_features(images).mean((2, 3))
    resnet.train()

    def pooled(fn: Callable, make: Callable, model: nn.Module, images: torch.Tensor, batch_size: int) -> tuple:
        features, index = fn(make(model, ["layer4"], "mean"), images, batch_size)
        return {"layer4": features["layer4"].float()}, index, model.training

    for batch_size in (2, 6):
        features, index, training = checks.beside(
            pooled, extract_dataset, FeatureExtractor, resnet, images, batch_size
        )  # fmt: skip
        checks.close(features["layer4"], wanted, f"features in batches of {batch_size}", rtol=2e-3, atol=1e-4)
        checks.equal(training, True, "train mode afterwards")

### BEGIN HIDDEN TESTS


class Fragile:
    """Works as an extractor, but is not called itself: `with` gives a function. May fail at one batch."""

    def __init__(self, fails_at: int = -1) -> None:
        self.open, self.sizes, self.fails_at, self.given = False, [], fails_at, ""

    def __enter__(self) -> Callable:
        self.open = True
        return self.extract

    def __exit__(self, *error: object) -> None:
        self.open = False

    def extract(self, images: torch.Tensor) -> dict:
        self.given = str(images.dtype)
        self.sizes.append(len(images))
        if len(self.sizes) == self.fails_at:
            raise ArithmeticError("this batch cannot be done")
        return {"sum": images.flatten(1).sum(1), "one number": images.flatten(1).sum(1, keepdim=True)}


def sizes_of(fn: Callable, images: torch.Tensor, batch_size: int) -> tuple:
    recorder = Fragile()
    features, index = fn(recorder, images, batch_size)
    return recorder.sizes, features["sum"].float(), features["one number"].float(), index, images


def after_error(fn: Callable, images: torch.Tensor) -> tuple:
    recorder = Fragile(fails_at=2)
    try:
        fn(recorder, images, 2)
    except ArithmeticError:
        return "ArithmeticError", recorder.open
    return "no error", recorder.open


for count, batch_size, wanted in ((7, 3, [3, 3, 1]), (9, 4, [4, 4, 1]), (7, 1, [1] * 7), (7, 7, [7]), (5, 64, [5]), (1, 2, [1])):  # fmt: skip
    with checks.step(f"{count} images in batches of {batch_size}"):
        images = checks.normal(seed=count)(count, 1, 2, 2)
        sums = images.flatten(1).sum(1)
        sizes, came, single, index, after = checks.beside(sizes_of, extract_dataset, images.clone(), batch_size)
        checks.equal(sizes, wanted, "the sizes of the batches", causes={
            "a last batch of one image was dropped": wanted[:-1],
            "the images were cut into parts of equal size; a batch has batch_size images, only the last one may have fewer": [3, 3, 3],
        })  # fmt: skip
        checks.close(came, sums, "the features", rtol=1e-2, atol=1e-2)
        checks.close(single, sums[:, None], f"features of shape ({count}, 1)", rtol=1e-2, atol=1e-2)
        checks.equal(index, torch.arange(count), "the index")
        checks.equal(after, images, "the images afterwards")


def in_double(fn: Callable, images: torch.Tensor) -> tuple[torch.Tensor, str]:
    extractor = Fragile()
    return fn(extractor, images, 2)[0]["sum"], extractor.given


with checks.step("an extractor that gives float64"):
    images = checks.normal(seed=4, dtype=torch.float64)(3, 1, 2, 2)
    came, given = checks.beside(in_double, extract_dataset, images)
    came, sums = checks.tensor(came, "the features"), images.flatten(1).sum(1)
    checks.equal(given, "torch.float64", "the dtype of the images that the extractor gets")
    half = came.dtype == torch.float16
    if not half:
        checks.dtype(came, torch.float64, "the features, if they are not float16,")
    accuracy = 1e-2 if half else 1e-12
    checks.close(came.double(), sums, "the features", rtol=accuracy, atol=accuracy)

with checks.step("an error in the second batch"):
    kind, still_open = checks.beside(after_error, extract_dataset, checks.normal(seed=3)(6, 1, 2, 2))
    checks.equal(kind, "ArithmeticError", "the error that comes out")
    checks.equal(still_open, False, "whether the extractor is still open", causes={
        "it is closed only when all went well: use `with`": True,
    })  # fmt: skip

with checks.step("a batch size of -2"):
    checks.raises(
        ValueError, checks.beside, sizes_of, extract_dataset, torch.zeros(4, 1, 2, 2), -2, name="batch_size=-2"
    )
### END HIDDEN TESTS

# %% test="knn" points=5
with checks.step(
    "one question, [1, 0], and four training images: [10, 1], [1, 0.5], [20, 20], [-1, 0] with the labels 0 to 3"
):
    # cosines: 0.995, 0.894, 0.707, -1; distances: 9.1, 0.5, 27.6, 2; dot products: 10, 1, 20, -1
    train_f = torch.tensor([[10.0, 1.0], [1.0, 0.5], [20.0, 20.0], [-1.0, 0.0]])
    came = knn_classify(train_f, torch.arange(4), torch.tensor([[1.0, 0.0]]), 1)
    checks.shape(came, (1,), "the labels")
    checks.dtype(came, torch.int64, "the labels")
    checks.equal(came.item(), 0, "the label of the nearest", causes={
        "this is the nearest in distance; here the angle counts": lambda: (
            came.item() == 1 == knn_classify(train_f[:3].flip(0), torch.arange(3), torch.tensor([[1.0, 0.0]]), 1).item()
        ),
        "this is the largest dot product: the training features are not of length 1": 2,
        "this is the farthest: the smallest similarities were taken": 3,
    })  # fmt: skip

with checks.step("cosines 0.99, 0.9 and 0.8 with the labels 0, 1 and 1"):

    def at(*cosines: float) -> torch.Tensor:
        """Vectors of several lengths with these cosines to [1, 0]."""
        c = torch.tensor(cosines)
        return torch.stack([c, (1 - c * c).sqrt()], 1) * torch.arange(1, len(cosines) + 1)[:, None]

    labels, ask = torch.tensor([0, 1, 1]), torch.tensor([[3.0, 0.0]])
    checks.equal(knn_classify(at(0.99, 0.9, 0.8), labels, ask, 1).item(), 0, "k = 1")
    checks.equal(knn_classify(at(0.99, 0.9, 0.8), labels, ask, 3).item(), 1, "k = 3, one vote each", causes={
        "the nearest outvoted the other two: without a temperature each has one vote": 0,
    })  # fmt: skip
    checks.equal(knn_classify(at(0.99, 0.9, 0.8), labels, ask, 2, 0.1).item(), 0, "k = 2, T = 0.1", causes={
        "the nearer neighbor got the smaller weight: it is exp(s / T), without a minus": 1,
    })  # fmt: skip
    # exp(9.9) = 19,930 against exp(9) + exp(8) = 11,084
    checks.equal(knn_classify(at(0.99, 0.9, 0.8), labels, ask, 3, 0.1).item(), 0, "k = 3, T = 0.1", causes={
        "the weights are not exp(s / T): with them the nearest outvotes the other two": 1,
    })  # fmt: skip
    # exp(0.99) = 2.69 against exp(0.9) + exp(0.8) = 4.69
    checks.equal(knn_classify(at(0.99, 0.9, 0.8), labels, ask, 3, 1.0).item(), 1, "k = 3, T = 1", causes={
        "the temperature has no effect": 0,
    })  # fmt: skip

with checks.step("k = 0, and k = 4 with three training images"):
    for k in (0, 4):
        checks.raises(ValueError, knn_classify, at(0.99, 0.9, 0.8), labels, ask, k, name=f"k = {k}")

with checks.step("24 directions with labels and lengths that are drawn anew each time"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    labels, ask = torch.randint(7, (24,), generator=draw), torch.randperm(24, generator=draw)
    around = torch.deg2rad(15.0 * torch.arange(24))
    train_f = torch.stack([around.cos(), around.sin()], 1) * (1 + 9 * torch.rand(24, 1, generator=draw))
    beside_it = around[ask] + 0.07  # 4 degrees from one direction, 11 from the next
    came = knn_classify(train_f, labels, torch.stack([beside_it.cos(), beside_it.sin()], 1), 1)
    checks.equal(came, labels[ask], "the labels of the nearest directions")

# %% test="knn" points=5 forbids="sklearn.neighbors.KNeighborsClassifier, sklearn.neighbors.NearestNeighbors"
with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, knn_classify, torch.eye(3), torch.arange(3), torch.eye(3), 1)


def at(*cosines: float) -> torch.Tensor:
    """Unit vectors with these cosines to [1, 0]."""
    c = torch.tensor(cosines)
    return torch.stack([c, (1 - c * c).sqrt()], 1)


with checks.step(
    "two votes each: label 0 with the cosines 0.6 and 0.5, label 1 with 0.99 and 0.1, label 2 with 0.9 and 0.8"
):
    cosines, labels = (0.6, 0.5, 0.99, 0.1, 0.9, 0.8), torch.tensor([0, 0, 1, 1, 2, 2])
    came = knn_classify(at(*cosines), labels, torch.tensor([[1.0, 0.0]]), 6)
    checks.equal(came.item(), 2, "the label with the largest sum of similarities, 1.7", causes={
        "the tie went to the smaller label; the larger sum of similarities comes first": 0,
        "the tie went to the nearest; the larger sum of similarities comes first": 1,
    })  # fmt: skip

with checks.step("the same vector with the labels 3 and 1"):
    came = knn_classify(at(0.9, 0.9, 0.1, 0.2), torch.tensor([3, 1, 4, 4]), torch.tensor([[1.0, 0.0]]), 2)
    checks.equal(came.item(), 1, "the label", causes={
        "equal votes and equal sums: the smaller label wins": 3,
        "a class without a neighbor won": lambda: came.item() in (0, 2),
    })  # fmt: skip

with checks.step("all neighbors at more than 90 degrees"):
    train_f, train_y = torch.tensor([[-1.0, 0.1], [-1.0, 0.5], [-1.0, 0.2]]), torch.tensor([1, 1, 2])
    checks.equal(knn_classify(train_f, train_y, torch.tensor([[1.0, 0.0]]), 3).item(), 1, "the label by votes, 2 to 1", causes={
        "with negative similarities a sum of similarities is no vote": 2,
    })  # fmt: skip
    checks.equal(
        knn_classify(train_f.double(), train_y, torch.tensor([[1.0, 0.0]]).double(), 1).item(), 1, "k = 1, float64"
    )

with checks.step("the number of torch operators for more questions and for more training images"):

    def operators(n: int, m: int) -> int:
        """For n training images and m questions."""
        train_f, test_f = checks.normal(seed=0)(n, 3), checks.normal(seed=1)(m, 3)
        return checks.beside(observe.operator_count, knn_classify, train_f, torch.arange(n) % 4, test_f, 5)

    few, questions, images = operators(30, 40), operators(30, 90), operators(80, 40)
    for more, what in ((questions, "questions"), (images, "training images")):
        checks.that(
            more - few < 50,  # a loop runs at least one for each of the 50
            f"50 more {what} do not take 50 more operators: no Python loop",
            came=f"{few} operators, then {more}",
            causes={f"a Python loop over the {what}": more - few >= 50},
        )

with checks.step("12 questions, each with three classes that tie, and labels that are drawn anew each time"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    pairs = at(0.6, 0.5, 0.99, 0.1, 0.9, 0.8)  # the third pair has the largest sum
    train_f, train_y, wanted = torch.zeros(12, 6, 24), torch.zeros(12, 6, dtype=torch.int64), []
    for number in range(12):  # each question has a plane of its own
        names, order = torch.randperm(9, generator=draw)[:3], torch.randperm(6, generator=draw)
        train_f[number, :, 2 * number : 2 * number + 2] = pairs[order]
        train_y[number] = names.repeat_interleave(2)[order]
        wanted.append(int(names[2]))
    came = knn_classify(train_f.flatten(0, 1), train_y.flatten(), torch.eye(24)[::2], 6)
    checks.equal(came, torch.tensor(wanted), "the labels of the pairs 0.9, 0.8")

# %% test="knn" points=4
with checks.step("against scikit-learn, 300 training images of 7 classes, 100 questions, k = 5, votes exp(s / 0.07)"):
    randn = checks.normal(seed=0)
    train_f, test_f, train_y = randn(300, 16), randn(100, 16), torch.arange(300) % 7
    theirs = KNeighborsClassifier(5, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
    wanted = torch.from_numpy(theirs.fit(train_f.numpy(), train_y.numpy()).predict(test_f.numpy()))
    checks.equal(knn_classify(train_f, train_y, test_f, 5, 0.07), wanted, "the labels")

### BEGIN HIDDEN TESTS


def labels_by_loop(
    train_f: torch.Tensor, train_y: torch.Tensor, test_f: torch.Tensor, k: int, weight: Callable
) -> list:
    """One question at a time; the best (vote, sum of similarities, -label) wins."""
    found = []
    for question in test_f.double():
        scored = [
            (float(question @ row / row.norm() / question.norm()), int(y)) for row, y in zip(train_f.double(), train_y)
        ]
        nearest = sorted(scored, reverse=True)[:k]
        best = max(
            (sum(weight(s) for s, y in nearest if y == c), sum(s for s, y in nearest if y == c), -c) for _, c in nearest
        )
        found.append(-best[2])
    return found


with checks.step("against scikit-learn, 1 neighbor, where there are no ties"):
    for seed in range(3):
        randn = checks.normal(seed=seed)
        train_f, test_f, train_y = randn(80, 6), randn(60, 6), torch.arange(80) % 5
        theirs = KNeighborsClassifier(1, metric="cosine").fit(train_f.numpy(), train_y.numpy())
        wanted = torch.from_numpy(theirs.predict(test_f.numpy()))
        checks.equal(knn_classify(train_f, train_y, test_f, 1), wanted, f"the labels, seed {seed}")

for k, temperature, seed in ((4, None, 3), (9, None, 4), (9, 0.2, 5), (60, 0.05, 6)):
    with checks.step(f"against a loop, k = {k}, temperature {temperature}"):
        randn = checks.normal(seed=seed)
        train_f, test_f, train_y = randn(60, 5) * (1 + 9 * randn(60, 1).abs()), randn(40, 5), torch.arange(60) % 4
        weigh = (lambda s: 1.0) if temperature is None else (lambda s: np.exp(s / temperature))
        wanted = torch.tensor(labels_by_loop(train_f, train_y, test_f, k, weigh))
        checks.equal(knn_classify(train_f, train_y, test_f, k, temperature), wanted, "the labels")

with checks.step("T = 0.005, where exp(s / T) is beyond float32"):
    randn = checks.normal(seed=7)
    train_f, test_f, train_y = randn(60, 3), randn(40, 3), torch.arange(60) % 6
    wanted = torch.tensor(labels_by_loop(train_f, train_y, test_f, 5, lambda s: np.exp(s / 0.005)))
    overflown = torch.tensor(
        labels_by_loop(train_f, train_y, test_f, 5, lambda s: np.inf if s > 0.443 else np.exp(s / 0.005))
    )
    checks.equal(knn_classify(train_f, train_y, test_f, 5, 0.005), wanted, "the labels", causes={
        "exp(s / T) became infinite, and infinite votes tie: subtract the row's largest similarity first": overflown,
    })  # fmt: skip

with checks.step("T = 0.005, neighbors far from the question: cosines 0.3 for label 0, 0.29 twice for label 1"):
    cosines = torch.tensor([0.3, 0.29, 0.29])
    train_f = torch.stack([cosines, (1 - cosines * cosines).sqrt()], 1)
    came = knn_classify(train_f, torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]]), 3, 0.005)
    checks.equal(came.item(), 0, "the label by votes: 7.4 against 2, divided by any number", causes={
        "all votes became 0, or the temperature had no effect, and two outvoted one": 1,
    })  # fmt: skip


def turned(*similarities: float) -> torch.Tensor:
    """Vectors of length 1 that are so similar to the first axis."""
    angles = torch.tensor(similarities).acos()
    return torch.stack([angles.cos(), angles.sin()], 1)


ask = torch.tensor([[1.0, 0.0]])
with checks.step("one vote each for label 0 with the cosine -0.9 and label 1 with -0.2"):
    came = knn_classify(turned(-0.9, -0.2), torch.tensor([0, 1]), ask, 2)
    checks.equal(came.item(), 1, "the label with the larger sum of similarities, -0.2", causes={
        "negative similarities were counted as 0, and the smaller label won": 0,
    })  # fmt: skip

with checks.step("T = 1: label 0 with the cosine 0.99, label 1 with 0 and -0.1"):
    # exp(0.99) = 2.69 against 1 + exp(-0.1) = 1.90
    came = knn_classify(turned(0.99, 0.0, -0.1), torch.tensor([0, 1, 1]), ask, 3, 1.0)
    checks.equal(came.item(), 0, "the label", causes={
        "each neighbor got one vote; T = 1 is a temperature, only None is none": 1,
    })  # fmt: skip

with checks.step("T = 1,000,000,000: weights that are all but equal, labels 0, 1 and 2 with two neighbors each"):
    came = knn_classify(turned(0.6, 0.5, 0.99, 0.1, 0.9, 0.8), torch.arange(6) // 2, ask, 6, 1e9)
    checks.equal(came.item(), 2, "the label with the largest sum of similarities, 1.7", causes={
        "with a temperature the tie went to the smaller label; the rule for ties is the same": 0,
    })  # fmt: skip

with checks.step("a short vector, 0.00001 long, with the cosine 0.99, and one of length 1 with 0.98"):
    lengths = torch.tensor([[1e-5], [1.0]])
    came = knn_classify(turned(0.99, 0.98) * lengths, torch.arange(2), ask, 1)
    checks.equal(came.item(), 0, "the label of the nearest", causes={
        "a number was added to the lengths, or short ones were lengthened: the short vector came out less similar": 1,
    })  # fmt: skip

with checks.step("the cosines 0.9001 and 0.8999"):
    for labels in (torch.tensor([0, 1]), torch.tensor([1, 0])):
        for order in (torch.tensor([0, 1]), torch.tensor([1, 0])):
            came = knn_classify(turned(0.9001, 0.8999)[order], labels[order], ask, 1)
            checks.equal(came.item(), int(labels[0]), "the label of the nearest")

with checks.step("the features given stay as they are"):
    train_f, test_f, train_y = 3 * checks.normal(seed=8)(9, 4), 3 * checks.normal(seed=9)(5, 4), torch.arange(9) % 3
    after = checks.beside(observe.arguments_after, knn_classify, train_f, train_y, test_f, 3, 0.1)
    for name, before, now in zip(("train_f", "train_y", "test_f"), (train_f, train_y, test_f), after, strict=True):
        checks.equal(now, before, f"{name} afterwards")

with checks.step("labels 2 and 7 only, with and without n_classes"):
    train_f, train_y = torch.eye(4), torch.tensor([7, 2, 7, 2])
    ask = torch.eye(4)[:2] + 0.1
    checks.equal(knn_classify(train_f, train_y, ask, 1), torch.tensor([7, 2]), "the labels")
    checks.equal(
        knn_classify(train_f, train_y, ask, 1, 0.1, 12), torch.tensor([7, 2]), "the labels with n_classes = 12"
    )

### END HIDDEN TESTS


# %% given="probe-tests" after="probe-hints"
# what both tests of the exercise use
def blobs(seed: int, n: int, classes: int, dim: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal clouds around the corners of a simplex."""
    y = torch.arange(n) % classes
    return checks.normal(seed)(n, dim) + spread * torch.eye(classes, dim)[y], y


def predicted(probe: Pipeline, features: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.asarray(probe.predict(np.asarray(features)))).long()


# %% test="probe" points=4
def is_pipeline(probe: object) -> bool:
    return isinstance(probe, Pipeline)


with checks.step("three clouds in 6 dimensions, 90 training and 600 test images, C = 0.1 only"):
    (train_f, train_y), (test_f, test_y) = blobs(0, 90, 3, 6, 3.0), blobs(1, 600, 3, 6, 3.0)
    train_f[:, 0] += 10.0
    test_f[:, 0] += 10.0
    probe = linear_probe(train_f, train_y, (0.1,), 0)
    checks.that(checks.beside(is_pipeline, probe), "the probe is a scikit-learn Pipeline", came=checks.describe(probe))
    came = predicted(probe, test_f)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(train_f.numpy(), train_y.numpy())
    wanted = oracle.score(test_f.numpy(), test_y.numpy())
    unscaled = oracle[-1].score(test_f.numpy(), test_y.numpy())
    accuracy = (came == test_y).double().mean().item()
    checks.that(
        abs(accuracy - wanted) < 0.03,
        "the accuracy is that of scikit-learn's own pipeline, within 0.03",
        came=f"{accuracy:.3f}", expected=f"{wanted:.3f}",
        causes={"the scaler is not part of the pipeline, so `predict` gets features that nobody standardized": (
            abs(accuracy - unscaled) < 0.01
        )},
    )  # fmt: skip

with checks.step("the same images in other units: each feature multiplied by 0.001 to 1,000 and shifted"):
    factor, offset = torch.tensor([1e-3, 1e-2, 1.0, 10.0, 100.0, 1e3]), torch.tensor([5.0, -3, 0, 1, 50, -900])
    train_u, test_u = train_f * factor + offset, test_f * factor + offset
    other = predicted(linear_probe(train_u, train_y, (0.1,), 0), test_u)
    same = (other == came).double().mean().item()

    def unscaled_agrees() -> bool:
        """Whether the labels are those of a logistic regression on the features as they are."""
        plain = LogisticRegression(C=0.1, max_iter=1000).fit(train_u.numpy(), train_y.numpy())
        return bool((torch.from_numpy(plain.predict(test_u.numpy())) == other).double().mean() > 0.97)

    checks.that(
        same > 0.98, "standardized features do not know their units: the same labels again",
        came=f"{same:.0%} of the labels are the same", expected="all of them",
        causes={"the features are not standardized": unscaled_agrees},
    )  # fmt: skip

with checks.step("one class has a single image"):
    checks.raises(ValueError, linear_probe, train_f[:4], train_y[:4], (0.1, 1.0), 0, name="a class with one image")

with checks.step("three clouds far apart, whose labels are drawn anew each time"):
    numbers_of_classes = torch.randperm(10, generator=torch.Generator().manual_seed(checks.fresh_seed()))[:3]
    clouds = [blobs(checks.fresh_seed(), n, 3, 5, 9.0) for n in (60, 90)]
    (train_f, train_y), (test_f, test_y) = clouds
    came = predicted(linear_probe(train_f, numbers_of_classes[train_y], (0.1, 1.0), 0), test_f)
    checks.equal(came, numbers_of_classes[test_y], "the labels of 90 test images")


# %% test="probe" points=4
with checks.step("a constant is added to all features of the test images, and of the test images only"):
    (train_f, train_y), (test_f, test_y) = blobs(2, 90, 3, 3, 4.0), blobs(3, 300, 3, 3, 4.0)
    probe = linear_probe(train_f, train_y, (0.1, 1.0), 0)
    plain = predicted(probe, test_f)
    shifted = predicted(probe, test_f + torch.tensor([30.0, 0.0, 0.0]))
    checks.that(
        (shifted == 0).double().mean().item() > 0.99,
        "test images far out in the direction of class 0 are called class 0",
        came=f"{(shifted == 0).double().mean().item():.0%} of them",
        causes={"the test images are standardized by their own mean, which takes the shift out: a leak": lambda: (
            (shifted == plain).double().mean().item() > 0.9
        )},
    )  # fmt: skip

with checks.step("a test image alone, and among others"):
    alone = torch.cat([predicted(probe, row[None]) for row in test_f[:20]])
    checks.equal(alone, plain[:20], "the labels of 20 images, each asked alone", causes={
        "a label depends on the other images of the call: standardize with the training images only": lambda: (
            not torch.equal(alone, plain[:20])
        ),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def mislabeled(seed: int, n: int, wrong: float) -> tuple[torch.Tensor, torch.Tensor]:
    """100 weak features of two classes; in each class this share of the labels is wrong."""
    y = torch.arange(n) % 2
    x = checks.normal(seed)(n, 100) + 0.2 * (2 * y[:, None] - 1)
    flipped = torch.arange(n) < int(n * wrong)
    return x, torch.where(flipped, 1 - y, y)


def rare(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A quarter belongs to a class that stands well apart."""
    y = (torch.arange(n) % 4 == 0).long()
    x = checks.normal(seed)(n, 6)
    x[:, 0] += 4.0 * y
    return x, y


for what, grid, (train_f, train_y), (test_f, test_y), excuse in (
    ("100 weak features and wrong labels: small C is right", (1e-2, 1e4), mislabeled(4, 150, 0.2), mislabeled(5, 800, 0.0),
     "C was chosen by the images that the probe was fitted on, or is simply the largest"),
    ("a rare class that stands apart: large C is right", (1e-4, 1.0), rare(6, 80), rare(7, 800),
     "the smallest C was taken"),
):  # fmt: skip
    with checks.step(f"{what}, C from {grid}"):
        told = []  # what the pipeline with each C says
        for c in grid:
            oracle = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
            told.append(torch.from_numpy(oracle.fit(train_f.numpy(), train_y.numpy()).predict(test_f.numpy())))
        scores = [(labels == test_y).double().mean().item() for labels in told]
        said = predicted(linear_probe(train_f, train_y, grid, 0), test_f)
        came = (said == test_y).double().mean().item()
        checks.that(
            came > max(scores) - 0.03, "the accuracy on new images is that of the better C, within 0.03",
            came=f"{came:.3f}", expected=f"{max(scores):.3f}",
            causes={excuse: (said == told[int(np.argmin(scores))]).double().mean().item() > 0.98},
        )  # fmt: skip

with checks.step(
    "60 images, 12 of them of a class that overlaps with the other: the labels of scikit-learn's own pipeline"
):
    generator = torch.Generator().manual_seed(21)
    train_y, test_y = (torch.arange(n) % 5 == 0 for n in (60, 800))
    train_f, test_f = (torch.randn(len(y), 4, generator=generator) + 0.8 * y[:, None] for y in (train_y, test_y))
    train_y = train_y.long()
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    plain = torch.from_numpy(plain.fit(train_f.numpy(), train_y.numpy()).predict(test_f.numpy()))
    weighed = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced"))
    weighed = torch.from_numpy(weighed.fit(train_f.numpy(), train_y.numpy()).predict(test_f.numpy()))
    came = predicted(linear_probe(train_f, train_y, (0.1,), 0), test_f)
    same = (came == plain).double().mean().item()
    checks.that(
        same > 0.85, "nearly all labels are the same",  # 92 % are, where a solver such as liblinear shrinks the bias, too
        came=f"{same:.1%} of them", expected="more than 85 %",
        causes={"images of the rare class were given more weight": (came == weighed).double().mean().item() > 0.98},
    )  # fmt: skip

with checks.step("two images of a class are enough for an inner split"):
    train_f, train_y = blobs(8, 6, 3, 4, 20.0)
    came = predicted(linear_probe(train_f, train_y, (0.1, 1.0), 0), train_f)
    checks.equal(came, train_y, "the labels of six training images that lie far apart")


def fitted_rows(fn: Callable, labels: list) -> list:
    """Which images each scaler was fitted on, for features whose first column counts them."""
    y = torch.tensor(labels)
    x = torch.cat([torch.arange(len(labels))[:, None], torch.randn(len(labels), 3) + 3 * y[:, None]], 1)
    rows, fit = [], StandardScaler.fit

    def noting(scaler: StandardScaler, features: object, *rest: object, **more: object) -> StandardScaler:
        rows.append([int(v) for v in np.asarray(features)[:, 0]])
        return fit(scaler, features, *rest, **more)

    StandardScaler.fit = noting
    try:
        fn(x, y, (0.1, 1.0), 0)
    finally:
        StandardScaler.fit = fit
    return rows


with checks.step("the same seed twice"):
    first, second = (checks.beside(fitted_rows, linear_probe, [0] * 30 + [1] * 15 + [2] * 9) for _ in range(2))
    checks.that(first == second, "the inner split is the same", came="other images were split off the second time")
    (train_f, train_y), (test_f, _) = mislabeled(9, 150, 0.2), mislabeled(10, 200, 0.0)
    first, second = (predicted(linear_probe(train_f, train_y, (1e-3, 1e-2, 1.0), 5), test_f) for _ in range(2))
    checks.equal(first, second, "the labels")

with checks.step(
    "30 images with random labels in 100 dimensions: a probe that was fitted on all of them knows them all"
):
    train_f, train_y = checks.normal(11)(30, 100), torch.arange(30) % 2
    came = predicted(linear_probe(train_f, train_y, (1.0, 100.0), 0), train_f)
    checks.equal(came, train_y, "the labels of the training images", causes={
        "part of the images was held back from the last fit": lambda: 3 <= int((came != train_y).sum()) <= 8,
    })  # fmt: skip


def steep(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """60 features whose directions differ 100-fold in size, all of them needed; one label in 20 is wrong."""
    turn, toward = torch.linalg.qr(checks.normal(17)(60, 60))[0], checks.normal(18)(60)
    z = checks.normal(seed)(n, 60)
    y = (z @ toward > 0).long()
    return z * torch.logspace(0, -2, 60) @ turn, torch.where(torch.arange(n) % 20 == 0, 1 - y, y)


with checks.step("60 features of very different size, C = 10,000: a fit that takes some 300 steps"):
    (train_f, train_y), (test_f, _) = steep(19, 300), steep(20, 800)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1e4, solver="newton-cholesky"))
    wanted = oracle.fit(train_f.numpy(), train_y.numpy()).predict(test_f.numpy())
    came = predicted(linear_probe(train_f, train_y, (1e4,), 0), test_f).numpy()
    checks.that(
        (came == wanted).mean() > 0.98, "the labels are those of a fit that came to its end",
        came=f"{(came == wanted).mean():.1%} of the labels are the same", expected="more than 98 %",
    )  # fmt: skip

with checks.step("labels 3, 7 and 8 only, and test features as a tensor"):
    (train_f, train_y), (test_f, test_y) = blobs(12, 60, 3, 4, 9.0), blobs(13, 60, 3, 4, 9.0)
    numbers_of_classes = torch.tensor([3, 7, 8])
    came = linear_probe(train_f, numbers_of_classes[train_y], (0.1, 1.0), 0).predict(test_f)
    checks.equal(
        torch.from_numpy(np.asarray(came)).long(), numbers_of_classes[test_y], "the labels of clouds that lie far apart"
    )

with checks.step("6 seeds and 5 values of C, on labels that have nothing to do with the features"):
    train_f, train_y, test_f = checks.normal(32)(48, 8), torch.arange(48) % 2, checks.normal(15)(60, 8)
    grid = (1e-3, 0.03, 0.1, 1.0, 10.0)
    said = {tuple(predicted(linear_probe(train_f, train_y, grid, s), test_f).tolist()) for s in range(6)}
    checks.that(
        len(said) > 1, "another seed splits other images off, and may choose another C", came="6 times the same labels"
    )


with checks.step("three classes of 30, 15 and 9 images, sorted: the inner split is stratified, and has three folds"):
    labels = [0] * 30 + [1] * 15 + [2] * 9
    fits = checks.beside(fitted_rows, linear_probe, labels)
    sizes = sorted({len(rows) for rows in fits} - {36, 54})
    checks.equal(sizes, [], "sizes of fits other than two of three folds and all of 54 images")
    for rows in fits:
        counts = [sum(labels[row] == label for row in rows) for label in range(3)]
        wanted = [len(rows) * share / 54 for share in (30, 15, 9)]
        checks.that(
            all(abs(count - share) <= 1 for count, share in zip(counts, wanted, strict=True)),
            "each fit of the search sees the classes in their proportions",
            came=f"{counts} of {len(rows)} images", expected=f"about {[round(share) for share in wanted]}",
        )  # fmt: skip

with checks.step("the features given stay as they are"):
    train_f, train_y = blobs(16, 30, 3, 4, 2.0)
    after = checks.beside(observe.arguments_after, linear_probe, train_f, train_y, (0.1, 1.0), 0)
    for name, before, now in zip(("train_f", "train_y"), (train_f, train_y), after, strict=True):
        checks.equal(now, before, f"{name} afterwards")
### END HIDDEN TESTS


# %% test="probe" points=4
class Planted:
    """Predicts what stands in the first feature."""

    def predict(self, features: object) -> np.ndarray:
        return np.asarray(features)[:, 0].astype(np.int64)


def case(m: int, right: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and labels of m images, of which the first `right` are predicted correctly."""
    y = torch.arange(m) % 5
    told = torch.where(torch.arange(m) < right, y, (y + 1) % 5)
    return torch.stack([told.float(), torch.zeros(m)], 1), y


with checks.step("320 of 400 test images are right"):
    report = probe_report(Planted(), *case(400, 320), 0, 4000)
    checks.equal(sorted(report), ["accuracy", "high", "low"], "the names in the report")
    for name, value in report.items():
        checks.that(isinstance(value, float), f"{name!r} is a float", came=checks.describe(value))
    checks.that(abs(report["accuracy"] - 0.8) < 1e-6, "the accuracy is 0.8", came=f"{report['accuracy']:.4f}")
    low, high = (float(binom.ppf(q, 400, 0.8)) / 400 for q in (0.025, 0.975))  # what endless resampling would give
    for name, wanted, ninety, one_sigma, most in (
        ("low", low, float(binom.ppf(0.05, 400, 0.8)) / 400, 0.78, 0.735),
        ("high", high, float(binom.ppf(0.95, 400, 0.8)) / 400, 0.82, 0.865),
    ):
        came = report[name]
        checks.that(
            abs(came - wanted) <= 0.004, f"{name!r} is a bound of the 95 % interval",
            came=f"{came:.4f}", expected=f"{wanted:.4f} within 0.004",
            causes={
                "no interval at all: this is the accuracy, as where each draw is the same 400 images": abs(came - 0.8) < 1e-6,
                "5 % lie outside on each side: this is the 90 % interval": abs(came - ninety) < 0.003,
                "this is one standard deviation, the 68 % interval": abs(came - one_sigma) < 0.003,
                "this is the smallest or the largest of all draws": lambda name=name, most=most: (
                    abs(report[name] - 0.8) > abs(most - 0.8) > abs(probe_report(Planted(), *case(400, 320), 0, 20)[name] - 0.8)
                ),
            },
        )  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("23 of 37 test images are right"):
    report = probe_report(Planted(), *case(37, 23), 0, 50)
    checks.that(
        abs(report["accuracy"] - 23 / 37) < 1e-6,
        "the accuracy is 23/37",
        came=f"{report['accuracy']:.6f}",
        expected="0.621622",
    )

with checks.step("10 of 10 test images are right"):
    report = probe_report(Planted(), *case(10, 10), 0, 500)
    checks.equal(tuple(report[name] for name in ("accuracy", "low", "high")), (1.0, 1.0, 1.0), "accuracy, low, high")

with checks.step("2 of 10 test images are right: few images, an interval that is not symmetric"):
    report = probe_report(Planted(), *case(10, 2), 1, 4000)
    came = report["low"], report["high"]
    checks.that(
        abs(came[0] - 0.0) < 1e-6 and abs(came[1] - 0.5) < 1e-6, "the interval is 0 to 0.5", came=f"{came[0]:.3f} to {came[1]:.3f}",
        causes={
            "this is accuracy ± 1.96 deviations; take percentiles of the draws": abs(came[0] + 0.048) < 0.02 and abs(came[1] - 0.448) < 0.02,
            "the percentiles were reflected at the accuracy; take them as they are": abs(came[0] + 0.1) < 0.01 and abs(came[1] - 0.4) < 0.01,
        },
    )  # fmt: skip

with checks.step("7 of 10 test images are right, resampled once, and 5 times with several seeds"):
    for seed in range(3):
        report = probe_report(Planted(), *case(10, 7), seed, 1)
        checks.equal(report["low"], report["high"], "low and high of a single draw")
    again = [probe_report(Planted(), *case(10, 7), 3, 5) for _ in range(2)]
    checks.equal(again[0], again[1], "the reports for the same seed")
    lows = {probe_report(Planted(), *case(10, 7), seed, 5)["low"] for seed in range(8)}
    checks.that(len(lows) > 1, "another seed draws other images", came="the same interval for 8 seeds")


def generators_after(fn: Callable, *args: object) -> bool:
    """Whether NumPy's and torch's own generators are after a call in the state that they were in before."""
    before = str(np.random.get_state()), torch.get_rng_state().tolist()
    fn(Planted(), *args)
    return (str(np.random.get_state()), torch.get_rng_state().tolist()) == before


with checks.step("NumPy's and torch's own generators after a report"):
    same = checks.beside(generators_after, probe_report, *case(10, 7), 4, 50)
    checks.equal(same, True, "whether they are in the state of before")

with checks.step("a true accuracy of 0.7, 150 test sets of 100 images: how often does the interval contain it?"):
    draws, inside = np.random.default_rng(0), 0
    for trial in range(150):
        report = probe_report(Planted(), *case(100, int(draws.binomial(100, 0.7))), trial, 400)
        inside += report["low"] <= 0.7 <= report["high"]
    checks.that(0.88 <= inside / 150 <= 0.99, "about 95 % of the intervals contain it", came=f"{inside / 150:.0%}")
### END HIDDEN TESTS


# %% test="budget" points=4
class Told:
    """Notes which rows it is fitted on and predicts one label."""

    def __init__(self, rows: list, label: int, log: list) -> None:
        self.rows, self.label, self.log = rows, label, log

    def predict(self, features: object) -> np.ndarray:
        asked = np.asarray(features)
        self.log.append((self.rows, [int(v) for v in asked[:, 0]]))
        return np.full(len(asked), self.label)


def subsets(fn: Callable, labels: list, budgets: list, repeats: int, seed: int) -> tuple[list, list]:
    """Run with features that are row numbers (test rows: 1,000 and up): the (fitted rows, asked rows), and the table."""
    log: list = []
    train = (torch.arange(len(labels))[:, None].float(), torch.tensor(labels))
    test = (torch.arange(1000, 1010)[:, None].float(), torch.arange(10) % 2)

    def fit(features: object, y: object, seed: int) -> Told:
        return Told([float(v) for v in np.asarray(features)[:, 0]], 0, log)

    table = fn(train, test, budgets, repeats, seed, fit)
    return log, table


labels = [0] * 30 + [1] * 12 + [2] * 18
with checks.step("60 training images of three classes (30, 12 and 18), budgets 2, 4 and 12, three repeats"):
    log, table = checks.beside(subsets, label_efficiency, labels, [2, 4, 12], 3, 0)
    checks.equal([row["budget"] for row in table], [2, 4, 12], "the budgets in the table")
    checks.equal(sorted(table[0]), ["budget", "mean", "std"], "the names in a row")
    checks.equal(len(log), 9, "how often a probe was fitted and asked")
    sizes = sorted(len(rows) for rows, _ in log)
    checks.equal(sizes, [6] * 3 + [12] * 3 + [36] * 3, "the sizes of the subsets", causes={
        "the budget was read as labels in all; it is per class": [2] * 3 + [4] * 3 + [12] * 3,
    })  # fmt: skip
    used = {row for rows, _ in log for row in rows}
    checks.that(max(used) < 1000, "no probe was fitted on a test image")
    strange = sorted(used - set(range(60)))
    checks.that(
        not strange, "the features of a subset are those of `train`", came=f"{strange[:3]} among the numbers 0 to 59"
    )
    for rows, asked in log:
        found = [sum(labels[int(row)] == label for row in set(rows)) for label in range(3)]
        checks.equal(found, [len(rows) // 3] * 3, f"different images of each class in a subset of {len(rows)}", causes={
            "the subset is drawn from all images, so classes come as often as they happen to": lambda: (
                sum(found) == len(rows) and len(set(found)) > 1
            ),
            "an image is in the subset more than once": lambda: sum(found) < len(rows),
        })  # fmt: skip
        checks.equal(sorted(asked), list(range(1000, 1010)), "the images that the probe is scored on", causes={
            "the probe is scored on training images": lambda: max(asked) < 1000,
        })  # fmt: skip
    for mean, std in ((row["mean"], row["std"]) for row in table):
        checks.that(
            abs(mean - 0.5) < 1e-9 and abs(std) < 1e-9,
            "a probe that always says 0 is right half of the time",
            came=f"mean {mean}, std {std}",
        )

with checks.step("a budget of 13, where a class has 12 images"):
    checks.raises(ValueError, checks.beside, subsets, label_efficiency, labels, [2, 13], 1, 0, name="a budget of 13")

with checks.step("probes that are right as often as is drawn anew each time"):

    def planted(fn: Callable, right: list) -> list:
        """The table for probes that get the given numbers of 50 test images right, one after the other."""
        results = iter(right)

        class Right:
            def __init__(self, count: int) -> None:
                self.count = count

            def predict(self, features: object) -> np.ndarray:
                return np.where(np.arange(50) < self.count, 1, 0)

        train, test = (torch.zeros(8, 2), torch.arange(8) % 2), (torch.zeros(50, 2), torch.ones(50).long())
        return fn(train, test, [2], len(right), 0, lambda x, y, seed: Right(next(results)))

    right = torch.randint(51, (5,), generator=torch.Generator().manual_seed(checks.fresh_seed())).tolist()
    (row,) = checks.beside(planted, label_efficiency, right)
    for name, wanted in (("mean", np.mean(right) / 50), ("std", np.std(right) / 50)):
        checks.that(
            abs(row[name] - wanted) < 1e-6, f"the {name} for {right} of 50 right",
            came=f"{row[name]:.4f}", expected=f"{wanted:.4f}",
        )  # fmt: skip

# %% test="budget" points=4
with checks.step("subsets within one repeat"):

    def rows_of(fn: Callable, labels: list, budgets: list, repeats: int, seed: int) -> list:
        """The rows of each fit, in order of their number; features are row numbers."""
        log: list = []
        train = (torch.arange(len(labels))[:, None].float(), torch.tensor(labels))

        class Constant:
            def predict(self, features: object) -> np.ndarray:
                return np.zeros(len(np.asarray(features)))

        def fit(features: object, y: object, seed: int) -> Constant:
            rows = [int(v) for v in np.asarray(features)[:, 0]]
            if [labels[row] for row in rows] != [int(v) for v in np.asarray(y)]:
                log.append("labels do not belong to the rows")
            log.append(sorted(rows))
            return Constant()

        fn(train, (torch.zeros(2, 1), torch.zeros(2).long()), budgets, repeats, seed, fit)
        return log

    labels = [0] * 30 + [1] * 12 + [2] * 18
    log = checks.beside(rows_of, label_efficiency, labels, [3, 6, 9], 4, 0)
    checks.that("labels do not belong to the rows" not in log, "features and labels of a subset belong together")
    by_size = {size: [set(rows) for rows in log if len(rows) == 3 * size] for size in (3, 6, 9)}
    for small, large in ((3, 6), (6, 9)):
        inside = sum(any(a <= b for b in by_size[large]) for a in by_size[small])
        checks.equal(inside, 4, f"of 4 subsets with {small} a class, how many lie inside one with {large} (all must)")

### BEGIN HIDDEN TESTS
with checks.step("different repeats and different seeds"):
    different = len({tuple(rows) for rows in log if len(rows) == 9})
    checks.equal(different, 4, "different subsets in 4 repeats", causes={
        "all repeats draw the same subset, so the std shows nothing": 1,
    })  # fmt: skip
    again, other = (checks.beside(rows_of, label_efficiency, labels, [3, 6, 9], 4, seed) for seed in (0, 1))
    checks.equal(again, log, "the subsets for the same seed")
    checks.that(other != log, "another seed draws other subsets")

with checks.step("budgets in another order, and a list of one"):
    log = checks.beside(rows_of, label_efficiency, labels, [9, 3], 2, 5)
    checks.equal(sorted(len(rows) for rows in log), [9, 9, 27, 27], "the sizes of the subsets")
    small, large = ([set(rows) for rows in log if len(rows) == size] for size in (9, 27))
    checks.that(all(any(a <= b for b in large) for a in small), "the subset with 3 a class lies inside that with 9")


def by_size(fn: Callable, budgets: list) -> tuple[list, list, bool]:
    """The table for probes that are right for one test image of 10 for each label; labels are 2, 5 and 9.

    Also how the arguments of `fit` look, and whether the features are still what they were.
    """
    seen: list = []
    labels = torch.tensor([2, 5, 9]).repeat(10)
    train = (torch.arange(30.0, dtype=torch.float64)[:, None].repeat(1, 2), labels)
    test = (torch.arange(10.0, dtype=torch.float64)[:, None], torch.ones(10).long())
    copies = [part.clone() for part in (*train, *test)]

    class Right:
        def __init__(self, count: int) -> None:
            self.count = count

        def predict(self, features: object) -> np.ndarray:
            return np.where(np.asarray(features)[:, 0] < self.count, 1, 0)

    def fit(features: object, y: object, seed: int) -> Right:
        seen.append([list(features.shape), str(features.dtype), str(y.dtype), sorted({int(v) for v in y})])
        return Right(len(y) // 3)

    table = fn(train, test, budgets, 2, 0, fit)
    same = all(torch.equal(a, b) for a, b in zip(copies, (*train, *test)))
    return table, seen, same


with checks.step(
    "budgets 8, 1 and 5 of labels 2, 5 and 9: a probe is right for as many of 10 images as labels a class"
):
    table, seen, same = checks.beside(by_size, label_efficiency, [8, 1, 5])
    checks.equal([row["budget"] for row in table], [8, 1, 5], "the budgets in the table")
    for row, wanted in zip(table, (0.8, 0.1, 0.5), strict=True):
        checks.that(
            abs(row["mean"] - wanted) < 1e-6 and abs(row["std"]) < 1e-6,
            f"the mean for a budget of {row['budget']} is {wanted}, the std 0",
            came=f"{row['mean']:.4f} and {row['std']:.4f}",
        )
    expected = sorted([[3 * b, 2], "torch.float64", "torch.int64", [2, 5, 9]] for b in (1, 1, 5, 5, 8, 8))
    checks.equal(sorted(seen), expected, "shape and dtype of the features, dtype of the labels, and the labels, that `fit` gets", causes={
        "the classes were numbered 0, 1, 2; `fit` gets the labels as they are": lambda: all(s[3] == [0, 1, 2] for s in seen),
    })  # fmt: skip
    checks.equal(same, True, "whether features and labels are as they were")

with checks.step("a training set sorted by class: every image gets its turn"):
    log = checks.beside(rows_of, label_efficiency, [0] * 20 + [1] * 20, [5], 30, 2)
    reached = {row for rows in log for row in rows}
    checks.that(len(reached) > 36, "30 repeats reach nearly all of 40 images", came=f"{len(reached)} images", causes={
        "the first images of a class are always taken": len(reached) == 10,
    })  # fmt: skip

    runs = sum(max(rows) - min(rows) == 4 for rows in log for rows in (rows[:5], rows[5:]))
    checks.that(runs < 10, "images that stand together are not drawn together", came=f"{runs} of 60 draws are 5 in a row", causes={
        "the images of a class were moved along, not shuffled": runs >= 40,
    })  # fmt: skip


class Always:
    """Says one label to everything."""

    def __init__(self, label: int) -> None:
        self.label = label

    def predict(self, images: object) -> np.ndarray:
        return np.full(len(np.asarray(images)), self.label)


def drawn_numbers(fn: Callable, seed: int) -> tuple[list, bool]:
    """The seeds that `fit` gets, and whether NumPy's and torch's own generators are in the state of before."""
    seeds: list = []

    def noting(features: object, y: object, number: int) -> Always:
        seeds.append(number)
        return Always(0)

    before = str(np.random.get_state()), torch.get_rng_state().tolist()
    fn((torch.zeros(8, 1), torch.arange(8) % 2), (torch.zeros(2, 1), torch.zeros(2).long()), [1, 3], 3, seed, noting)
    return seeds, (str(np.random.get_state()), torch.get_rng_state().tolist()) == before


with checks.step("what is drawn besides the subsets"):
    (first, same), (again, _), (other, _) = (checks.beside(drawn_numbers, label_efficiency, seed) for seed in (3, 3, 4))
    checks.that(all(type(number) is int for number in first), "`fit` gets ints as seeds", came=checks.describe(first))
    checks.equal(again, first, "the seeds that `fit` gets for the same seed")
    checks.that(other != first, "with another seed `fit` gets other seeds", came=f"{first} both times")
    checks.equal(same, True, "whether NumPy's and torch's own generators are in the state of before")


def unbalanced(fn: Callable) -> list:
    """The table for a probe that says 4 to everything, on 8 test images of class 4 and 2 of class 6."""

    test_y = torch.tensor([4] * 8 + [6] * 2)
    return fn(
        (torch.zeros(8, 1), 4 + 2 * (torch.arange(8) % 2)),
        (torch.zeros(10, 1), test_y),
        [2],
        1,
        0,
        lambda x, y, seed: Always(4),
    )


with checks.step("8 of 10 test images belong to one class, and the probe names no other"):
    (row,) = checks.beside(unbalanced, label_efficiency)
    checks.that(abs(row["mean"] - 0.8) < 1e-6, "the mean is 0.8", came=f"{row['mean']:.4f}", causes={
        "the accuracy was averaged over classes; it is the share of all test images": abs(row["mean"] - 0.5) < 1e-6,
    })  # fmt: skip

with checks.step("a budget of 0"):
    checks.raises(ValueError, checks.beside, rows_of, label_efficiency, labels, [0, 3], 1, 0, name="a budget of 0")
### END HIDDEN TESTS

# %% test="budget" points=4
with checks.step("probes that are right for 2, 9, 3 and 6 of 10 test images in four repeats"):

    def graded(fn: Callable, right: list) -> list:
        """The table for probes that get the given numbers of test images right, one after the other."""
        results = iter(right)

        class Right:
            def __init__(self, count: int) -> None:
                self.count = count

            def predict(self, features: object) -> np.ndarray:
                return np.where(np.arange(10) < self.count, 1, 0)

        train = (torch.zeros(8, 2), torch.arange(8) % 2)
        return fn(
            train,
            (torch.zeros(10, 2), torch.ones(10).long()),
            [2],
            len(right),
            0,
            lambda x, y, seed: Right(next(results)),
        )

    (row,) = checks.beside(graded, label_efficiency, [2, 9, 3, 6])
    checks.that(abs(row["mean"] - 0.5) < 1e-6, "the mean is 0.5", came=f"{row['mean']:.4f}", causes={
        "this is the last repeat": abs(row["mean"] - 0.6) < 1e-6,
        "this is the best repeat": abs(row["mean"] - 0.9) < 1e-6,
        "this is the median": abs(row["mean"] - 0.45) < 1e-6,
    })  # fmt: skip
    checks.that(abs(row["std"] - 0.273861) < 1e-5, "the std is 0.2739", came=f"{row['std']:.4f}", causes={
        "it was divided by R - 1 = 3; here it is R = 4": abs(row["std"] - 0.316228) < 1e-5,
        "this is the error of the mean, std / sqrt(R)": min(abs(row["std"] - 0.136931), abs(row["std"] - 0.158114)) < 1e-5,
        "this is the variance": min(abs(row["std"] - 0.075), abs(row["std"] - 0.1)) < 1e-5,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def efficiency_of_clouds(fn: Callable, budgets: list) -> list:
    """The table for two normal clouds in 6 dimensions, by scikit-learn's logistic regression."""
    generator = torch.Generator().manual_seed(0)

    def cloud(n: int) -> tuple:
        y = torch.arange(n) % 2
        return torch.randn(n, 6, generator=generator) + 0.5 * (2 * y[:, None] - 1), y

    def fit(x: object, y: object, seed: int) -> object:
        return LogisticRegression(C=0.1).fit(np.asarray(x), np.asarray(y))

    return fn(cloud(1200), cloud(3000), budgets, 4, 1, fit)


with checks.step("two normal clouds whose best possible accuracy is known"):
    table = checks.beside(efficiency_of_clouds, label_efficiency, [2, 500])
    best = float(norm.cdf(0.5 * 6**0.5))  # half the distance of the means, in deviations
    few, many = table[0]["mean"], table[1]["mean"]
    checks.that(
        abs(many - best) < 0.02,
        "with 500 labels a class the accuracy is the best possible, within 0.02",
        came=f"{many:.3f}",
        expected=f"{best:.3f}",
    )
    checks.that(few < many - 0.02, "with 2 labels a class it is lower", came=f"{few:.3f} and {many:.3f}")
    checks.that(
        table[0]["std"] > 2 * table[1]["std"],
        "with 2 labels a class it varies more",
        came=f"{table[0]['std']:.3f} and {table[1]['std']:.3f}",
    )

with checks.step("one repeat"):
    (row,) = checks.beside(graded, label_efficiency, [7])
    checks.that(
        abs(row["mean"] - 0.7) < 1e-6 and row["std"] == 0.0,
        "mean 0.7 and std 0",
        came=f"{row['mean']} and {row['std']}",
    )
### END HIDDEN TESTS

# %% test="purity" points=4
with checks.step("five points in a row at 0, 1, 3.2, 6, 10 with the labels 0, 0, 1, 1, 0; k = 1"):
    places = torch.tensor([[0.0, 0], [1, 0], [3.2, 0], [6, 0], [10, 0]])
    labels = torch.tensor([0, 0, 1, 1, 0])
    # the nearest others are points 1, 0, 1, 2, 3: the labels are equal for points 0, 1 and 3
    came = neighbor_purity(places, labels, 1)
    checks.that(isinstance(came, float), "the purity is a float", came=checks.describe(came))
    checks.that(abs(came - 3 / 5) < 1e-6, "the purity is 3/5", came=f"{came:.4f}", causes={
        "every point found itself": lambda: abs(came - 1.0) < 1e-6 and abs(neighbor_purity(places, labels, 2) - 0.8) < 1e-6,
        "this is the number of points, not their share": abs(came - 3.0) < 1e-6,
    })  # fmt: skip
    # the two nearest others are points (1, 2), (0, 2), (1, 3), (2, 4), (3, 2)
    came = neighbor_purity(places, labels, 2)
    checks.that(abs(came - 0.4) < 1e-6, "the purity for k = 2 is (1/2 + 1/2 + 1/2 + 1/2 + 0) / 5", came=f"{came:.4f}", causes={
        "each neighborhood was decided by majority; purity takes the share": min(abs(came - v) for v in (0.0, 0.8)) < 1e-6,
    })  # fmt: skip

with checks.step("two islands far apart: purity 1 for k = 3, and less for k = 4"):
    places = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1], [50, 0], [50, 1], [51, 0], [51, 1]])
    labels = torch.arange(8) // 4
    for k, wanted in ((3, 1.0), (4, 0.75)):
        came = neighbor_purity(places, labels, k)
        checks.that(abs(came - wanted) < 1e-6, f"the purity for k = {k} is {wanted}", came=f"{came:.4f}", causes={
            "a point is among its own neighbors": k == 4 and abs(came - 1.0) < 1e-6,
        })  # fmt: skip

with checks.step("k = 0 and k = 8 with 8 points"):
    for k in (0, 8):
        checks.raises(ValueError, neighbor_purity, places, labels, k, name=f"k = {k}")

with checks.step("61 points in a row, with gaps and labels that are drawn anew each time; k = 1"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    gaps, labels = 1 + torch.randperm(60, generator=draw), torch.randint(3, (61,), generator=draw)
    row = F.pad(gaps.cumsum(0), (1, 0)).float()
    wide = F.pad(gaps, (1, 1), value=99)  # the nearer neighbor lies across the smaller of the two gaps
    nearest = torch.arange(61) + torch.where(wide[:-1] < wide[1:], -1, 1)
    wanted = (labels[nearest] == labels).double().mean().item()
    came = neighbor_purity(torch.stack([row, 2 * row], 1), labels, 1)
    checks.that(abs(came - wanted) < 1e-6, "the purity", came=f"{came:.4f}", expected=f"{wanted:.4f}")

# %% test="purity" points=4
with checks.step("the same picture, turned, enlarged 1,000 times and moved"):
    randn = checks.normal(seed=0)
    places, labels = randn(120, 2) + 2.0 * torch.eye(2)[torch.arange(120) % 2], torch.arange(120) % 2
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    first = neighbor_purity(places, labels, 7)
    for what, other in (("turned", places @ turn), ("enlarged 1,000 times", 1000 * places), ("moved", places + 500)):
        second = neighbor_purity(other, labels, 7)
        checks.that(
            abs(first - second) < 0.01, f"the picture {what} has the same purity", came=f"{first:.3f} and {second:.3f}"
        )

### BEGIN HIDDEN TESTS
for seed, n, k, classes in ((1, 60, 5, 3), (2, 200, 10, 10), (3, 40, 39, 4)):
    with checks.step(f"against scikit-learn's NearestNeighbors, {n} points, k = {k}, {classes} classes"):
        places, labels = checks.normal(seed)(n, 2), torch.arange(n) % classes
        index = NearestNeighbors(n_neighbors=k).fit(places.numpy()).kneighbors(return_distance=False)
        wanted = (labels[torch.from_numpy(index)] == labels[:, None]).double().mean().item()
        came = neighbor_purity(places, labels, k)
        # float32 keeps seven digits of a mean
        checks.that(abs(came - wanted) < 1e-6, "the purity", came=f"{came:.6f}", expected=f"{wanted:.6f}")

with checks.step("random labels of 5 classes"):
    came = neighbor_purity(
        checks.normal(4)(600, 2), torch.randperm(600, generator=torch.Generator().manual_seed(0)) % 5, 10
    )
    checks.that(abs(came - 0.2) < 0.03, "the purity is about 1/5", came=f"{came:.3f}")

with checks.step("12 pairs of points, each pair in one place, with different labels"):
    places = torch.arange(12.0).repeat(2)[:, None] * torch.tensor([[1.0, 3.0]])
    labels = torch.arange(24) // 12
    came = neighbor_purity(places, labels, 1)
    found_itself = neighbor_purity(places, torch.arange(24), 1) > 0  # 24 labels: only a point itself has its label
    checks.that(came == 0.0, "the purity for k = 1 is 0", came=f"{came:.4f}", causes={
        "the first of k + 1 neighbors was dropped as the point itself; here it may be the other one": found_itself,
        "the other point in the same place was left out as well": came > 0 and not found_itself,
    })  # fmt: skip

with checks.step("a picture that is enlarged 100,000,000 times"):
    places, labels = checks.normal(7)(50, 2), torch.arange(50) % 3
    first, second = (neighbor_purity(size * places, labels, 4) for size in (1.0, 1e8))
    checks.that(abs(first - second) < 0.01, "it has the same purity", came=f"{first:.3f} and {second:.3f}", causes={
        "a point found itself, since its distance to itself was replaced by a number that is too small": second > first + 0.05,
    })  # fmt: skip

with checks.step("k = -1"):
    checks.raises(ValueError, neighbor_purity, places, labels, -1, name="k = -1")

with checks.step("an array, as t-SNE gives it"):
    places, labels = checks.normal(5)(30, 2), torch.arange(30) % 2
    came = neighbor_purity(places.numpy(), labels.numpy(), 3)
    for what, other in (
        ("a tensor", neighbor_purity(places, labels, 3)),
        ("an array and a tensor of labels", neighbor_purity(places.numpy(), labels, 3)),
    ):
        checks.that(abs(came - other) < 1e-6, f"the same purity as for {what}", came=f"{came:.4f} and {other:.4f}")

with checks.step("the places given stay as they are"):
    places, labels = checks.normal(6)(20, 2) + 3, torch.arange(20) % 2
    after = checks.beside(observe.arguments_after, neighbor_purity, places, labels, 3)
    for name, before, now in zip(("the places", "the labels"), (places, labels), after, strict=True):
        checks.equal(now, before, f"{name} afterwards")
### END HIDDEN TESTS
