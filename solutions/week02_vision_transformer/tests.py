# %% test="patchify" points=4
with checks.step("a gray 4 x 4 image with the numbers 0 to 15, p = 2"):
    patches = patchify(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    checks.shape(patches, (1, 4, 4), "the patches")
    checks.close(
        patches[0],
        torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]),
        "the patches",
        causes={
            "the rows of the image were cut into stripes; a patch is a square of pixels": torch.arange(16.0).reshape(
                4, 4
            ),
            "the grid was read column by column; patches are numbered row by row": torch.tensor(
                [[0.0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7], [10, 11, 14, 15]]
            ),
            "each patch is transposed: its rows and columns changed places": torch.tensor(
                [[0.0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 13], [10, 14, 11, 15]]
            ),
        },
    )

with checks.step("two channels, one patch of 2 x 2"):
    patches = patchify(torch.tensor([[[[0.0, 1], [2, 3]], [[10, 11], [12, 13]]]]), 2)
    checks.close(
        patches,
        torch.tensor([[[0.0, 1, 2, 3, 10, 11, 12, 13]]]),
        "the patch",
        causes={
            "the channels stand last, (p, p, C); they must stand first, (C, p, p)": torch.tensor(
                [[[0.0, 10, 1, 11, 2, 12, 3, 13]]]
            ),
        },
    )

with checks.step("pixels that are new in every run: 2 images of 4 x 6 in three channels, p = 2"):
    pixels = checks.normal(checks.fresh_seed())(2, 3, 4, 6)
    patches = patchify(pixels, 2)
    checks.shape(patches, (2, 6, 12), "the patches")
    for i in range(2):
        for j in range(3):
            square = pixels[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(2, 12)
            checks.equal(patches[:, 3 * i + j], square, f"the patch in row {i}, column {j}")

with checks.step("p = 2 does not divide a height of 5"):
    checks.raises(ValueError, patchify, torch.zeros(1, 3, 5, 4), 2, name="a 5 x 4 image")

# %% test="patchify" points=4
randn = checks.normal(seed=0)

with checks.step("a batch of 2 images of 4 x 6 pixels, p = 2"):
    images = randn(2, 3, 4, 6)
    patches = patchify(images, 2)
    checks.shape(patches, (2, 6, 12), "the patches")
    checks.close(patches[:, 0].reshape(2, 3, 2, 2), images[:, :, :2, :2], "patch 0: top left")
    checks.close(patches[:, 5].reshape(2, 3, 2, 2), images[:, :, 2:, 4:], "patch 5: bottom right")
    checks.equal(
        checks.beside(observe.arguments_after, patchify, images, 2)[0],
        images,
        "the images after the call (an argument must not be changed in place)",
    )

with checks.step("the number of torch operators for 4 and for 64 patches"):
    counts = [checks.beside(observe.operator_count, patchify, torch.zeros(1, 3, side, side), 4) for side in (8, 32)]
    checks.that(
        counts[1] < counts[0] + 6,  # a reshape is a view for some shapes and a copy for others; a loop runs 6 rows more
        "vectorized code runs the same operators for any number of patches",
        came=f"{counts[0]} operators for 4 patches, {counts[1]} for 64",
        causes={"a Python loop over rows or patches": lambda: counts[1] >= counts[0] + 6},
    )

### BEGIN HIDDEN TESTS
for batch, channels, height, width, p in ((2, 3, 8, 8, 4), (1, 1, 6, 15, 3), (3, 4, 12, 4, 2), (2, 2, 5, 5, 5)):
    for kind in (torch.float32, torch.float64, torch.bfloat16):
        with checks.step(f"against torch's unfold, {height} x {width} pixels, {channels} channels, p={p}, {kind}"):
            images = checks.normal(seed=p)(batch, channels, height, width).to(kind)
            checks.equal(patchify(images, p), F.unfold(images, p, stride=p).transpose(1, 2), "the patches")

with checks.step("the patches times the weights of a convolution are the convolution"):
    conv = nn.Conv2d(3, 7, 4, stride=4, bias=False)
    images = randn(2, 3, 8, 12)
    with torch.no_grad():
        product = checks.tensor(patchify(images, 4)) @ conv.weight.flatten(1).T
        checks.close(product, conv(images).flatten(2).transpose(1, 2), "the product")

with checks.step("a gradient of 0, 1, 2, ... into the patches, back to the images"):
    given = randn(2, 3, 4, 6).requires_grad_()
    (came,), (wanted,) = (
        checks.beside(observe.gradients, patchify, given, 2),
        observe.gradients(lambda images: F.unfold(images, 2, stride=2).transpose(1, 2), given),
    )
    checks.that(came is not None, "a gradient reaches the images", came="none")
    checks.close(came, wanted, "the gradient into the images")

with checks.step("p = 4 divides a height of 8, but not a width of 10"):
    checks.raises(ValueError, patchify, torch.zeros(1, 3, 8, 10), 4, name="an 8 x 10 image with p = 4")
### END HIDDEN TESTS

# %% test="patchify" points=4
with checks.step("four gray patches of 2 x 2, put into a 2 x 2 grid"):
    tokens = torch.tensor([[[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]])
    image = unpatchify(tokens, 2, (2, 2), 1)
    checks.shape(image, (1, 1, 4, 4), "the image")
    checks.close(
        image,
        torch.arange(16.0).reshape(1, 1, 4, 4),
        "the image",
        causes={
            "the numbers were only reshaped; the patches must be moved to their places": tokens.reshape(1, 1, 4, 4),
            "the grid was filled column by column": lambda: checks.near(
                image[0, 0, :2, 2:], tokens[0, 2].reshape(2, 2)
            ),
        },
    )

with checks.step("4 patches do not fill a 2 x 3 grid"):
    checks.raises(ValueError, unpatchify, tokens, 2, (2, 3), 1, name="a 2 x 3 grid for 4 patches")

with checks.step("the round trip on a square gray image is exact"):
    image = checks.normal(seed=1)(2, 1, 8, 8)
    checks.equal(unpatchify(patchify(image, 2), 2, (4, 4), 1), image, "the image that came back")

### BEGIN HIDDEN TESTS
with checks.step("the number of torch operators that put 4 and 64 patches together"):
    counts = [
        checks.beside(observe.operator_count, unpatchify, torch.zeros(1, n * n, 12), 2, (n, n), 3) for n in (2, 8)
    ]
    checks.that(
        counts[1] < counts[0] + 6,
        "the same operators run for any number of patches",
        came=f"{counts[0]} operators for 4 patches, {counts[1]} for 64",
        causes={"a Python loop over the patches or the rows of the grid": lambda: counts[1] >= counts[0] + 6},
    )

with checks.step("the tokens after the call"):
    given = checks.normal(seed=5, dtype=torch.float64)(2, 6, 12)
    came = checks.beside(observe.arguments_after, unpatchify, given, 2, (2, 3), 3)
    checks.equal(came[0], given, "the tokens (an argument must not be changed in place)")
    checks.dtype(unpatchify(given, 2, (2, 3), 3), torch.float64, "the image")

with checks.step("2 images of 6 patches must not become 3 images of 4"):
    checks.raises(ValueError, unpatchify, torch.zeros(2, 6, 4), 2, (2, 2), 1, name="a 2 x 2 grid for 6 patches")

for batch, channels, rows, columns, p in ((2, 3, 2, 3, 4), (1, 4, 5, 1, 3), (3, 2, 1, 4, 2)):
    with checks.step(f"patches from torch's unfold back into a {rows} x {columns} grid, {channels} channels, p={p}"):
        image = checks.normal(seed=p + rows)(batch, channels, rows * p, columns * p)
        tokens = F.unfold(image, p, stride=p).transpose(1, 2)

        def channels_last(tokens: torch.Tensor = tokens, c: int = channels, q: int = p) -> torch.Tensor:
            mixed = tokens.unflatten(2, (q, q, c)).permute(0, 1, 4, 2, 3).flatten(2)
            return F.fold(mixed.transpose(1, 2), (rows * q, columns * q), q, stride=q)

        def swapped_grid(tokens: torch.Tensor = tokens, q: int = p) -> torch.Tensor:
            moved = tokens.unflatten(1, (columns, rows)).transpose(1, 2).flatten(1, 2)
            return F.fold(moved.transpose(1, 2), (rows * q, columns * q), q, stride=q)

        checks.equal(
            unpatchify(tokens, p, (rows, columns), channels),
            image,
            "the image",
            causes={
                "the numbers of a patch were read as (p, p, C); they stand as (C, p, p)": channels_last,
                "rows and columns of the grid changed places": swapped_grid,
            },
        )

with checks.step("a gradient into the image, back to the tokens"):
    given = checks.normal(seed=6)(2, 6, 12).requires_grad_()
    (came,) = checks.beside(observe.gradients, unpatchify, given, 2, (2, 3), 3)
    (wanted,) = observe.gradients(lambda tokens: F.fold(tokens.transpose(1, 2), (4, 6), 2, stride=2), given)
    checks.that(came is not None, "a gradient reaches the tokens", came="none")
    checks.close(came, wanted, "the gradient into the tokens")
### END HIDDEN TESTS

# %% test="embed" points=4
with checks.step("PatchEmbedding(img_size=(4, 6), patch_size=2, in_chans=3, embed_dim=5)"):
    torch.manual_seed(0)
    embed = PatchEmbedding((4, 6), 2, 3, 5)
    checks.equal(
        tuple(embed.grid_size),
        (2, 3),
        "grid_size",
        causes={"rows and columns changed places: grid_size is (rows, columns)": (3, 2)},
    )
    checks.shape(embed(torch.zeros(2, 3, 4, 6)), (2, 6, 5), "the tokens")

with checks.step("the mean of each patch plus 1, from planted weights"):
    embed.load_timm({"proj.weight": torch.full((5, 3, 2, 2), 1 / 12), "proj.bias": torch.ones(5)})
    constant = torch.arange(6.0).reshape(2, 3)  # patch n is constant n
    image = constant.repeat_interleave(2, 0).repeat_interleave(2, 1).expand(1, 3, 4, 6)
    wanted = (torch.arange(6.0) + 1)[None, :, None].expand(1, 6, 5)
    checks.close(
        embed(image),
        wanted,
        "the tokens",
        causes={
            "the bias is missing": wanted - 1,
            "tokens and dimensions are mixed up: (B, D, N) must be transposed, not reshaped": lambda: wanted.transpose(
                1, 2
            ).reshape(1, 6, 5),
            "the patches are numbered column by column": wanted[:, [0, 3, 1, 4, 2, 5]],
        },
    )

with checks.step("weights and pixels that are new in every run, against a convolution"):
    randn = checks.normal(checks.fresh_seed())
    planted = {"proj.weight": randn(5, 3, 2, 2), "proj.bias": randn(5)}
    embed.load_timm(planted)
    pixels = randn(2, 3, 4, 6)
    maps = F.conv2d(pixels, planted["proj.weight"], planted["proj.bias"], stride=2)  # (2, 5, 2, 3)
    for patch in range(6):
        checks.close(embed(pixels)[:, patch], maps[:, :, patch // 3, patch % 3], f"token {patch}")

with checks.step("images of another size"):
    checks.raises(ValueError, embed, torch.zeros(1, 3, 6, 6), name="a 6 x 6 image for a 4 x 6 model")

with checks.step("an image size that patches do not fill"):
    checks.raises(ValueError, PatchEmbedding, 10, 4, 3, 5, name="img_size=10 with patch_size=4")


# %% given="loaded" after="embed-hints"
# what several tests use
def loaded(module: nn.Module, state: dict[str, torch.Tensor], given: torch.Tensor) -> tuple:
    """What a module gives after loading and after timm's tensors were set to 0; which of both loading left alone."""
    kept, held = {key: value.clone() for key, value in state.items()}, list(module.parameters())
    module.load_timm(state)
    same = list(state) == list(kept) and all(torch.equal(state[key], kept[key]) for key in state)
    filled = [id(p) for p in module.parameters()] == [id(p) for p in held]
    before = module(given).detach().clone()
    for value in state.values():
        value.zero_()
    return before, module(given).detach(), same, filled


# %% test="embed" points=6 forbids="timm.layers.PatchEmbed"
randn = checks.normal(seed=2)

with checks.step("the computation is yours"):
    embed = PatchEmbedding(8, 4, 3, 6)
    checks.forbidden(FORBIDDEN, embed, randn(1, 3, 8, 8))

with checks.step("one int as image size"):
    checks.equal(tuple(embed.grid_size), (2, 2), "grid_size")
    checks.that(
        all(isinstance(n, int) for n in embed.grid_size),
        "grid_size holds whole numbers",
        came=f"{tuple(embed.grid_size)}",
    )
    checks.shape(embed(randn(5, 3, 8, 8)), (5, 4, 6), "the tokens")

### BEGIN HIDDEN TESTS
for img_size, p, channels, width in (((8, 8), 4, 3, 16), ((24, 40), 8, 3, 10), ((6, 4), 2, 1, 7)):
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm's PatchEmbed, {img_size} pixels, {channels} channels, p={p}, {kind}"):
            torch.manual_seed(p)
            theirs = PatchEmbed(img_size, p, channels, width).to(kind)
            mine = PatchEmbedding(img_size, p, channels, width).to(kind)
            mine.load_timm(theirs.state_dict())
            images = checks.normal(seed=p, dtype=kind)(2, channels, *img_size)
            wanted = theirs(images).detach()
            checks.close(
                mine(images),
                wanted,
                "the tokens",
                rtol=10 * tolerance,
                atol=tolerance,
                causes={
                    "an activation after the projection: the embedding is linear": wanted.relu(),
                    "a GELU after the projection: the embedding is linear": F.gelu(wanted),
                },
            )

with checks.step("an image with as many patches, but of another shape"):
    checks.raises(
        ValueError, PatchEmbedding(32, 8, 3, 4), torch.zeros(1, 3, 16, 64), name="16 x 64 for a 32 x 32 model"
    )

with checks.step(
    "images that are nearly of 8 x 12 pixels: only one side is wrong, the sides are swapped, a rest of a patch"
):
    for height, width in ((8, 8), (8, 16), (4, 12), (12, 8), (9, 14), (11, 12)):
        what = f"{height} x {width} for an 8 x 12 model"
        checks.raises(ValueError, PatchEmbedding((8, 12), 4, 3, 4), torch.zeros(1, 3, height, width), name=what)

with checks.step("a width that patches do not fill"):
    checks.raises(ValueError, PatchEmbedding, (8, 10), 4, 3, 4, name="img_size=(8, 10) with patch_size=4")

with checks.step("loading timm's weights"):
    state = {key: value.detach().clone() for key, value in PatchEmbed(8, 4, 3, 6).state_dict().items()}
    images = randn(2, 3, 8, 8)
    before, after, same, filled = checks.beside(loaded, PatchEmbedding(8, 4, 3, 6), state, images)
    checks.that(same, "timm's state dict is as before", came="one with other entries or numbers")
    checks.close(after, before, "the tokens after timm's tensors were set to 0", causes={
        "your parameters are timm's own tensors; copy the values": torch.zeros(2, 4, 6),
    })  # fmt: skip
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")


def gradient_sizes(module: nn.Module, state: dict[str, torch.Tensor], images: torch.Tensor) -> list[float]:
    """The largest gradient of each parameter after loading; 0 for one without."""
    module.load_timm(state)
    loss = module(images).square().sum()
    if loss.requires_grad:
        loss.backward()
    return [0.0 if p.grad is None else p.grad.abs().max().item() for p in module.parameters()]


with checks.step("the projection learns, after loading as well"):
    theirs = PatchEmbed(8, 4, 3, 6)
    sizes = checks.beside(gradient_sizes, PatchEmbedding(8, 4, 3, 6), theirs.state_dict(), images)
    checks.that(
        len(sizes) >= 2 and min(sizes) > 0,
        "weight and bias are parameters that get a gradient",
        came=f"{len(sizes)} parameters, largest gradients {[round(size, 4) for size in sizes]}",
    )
    mine = PatchEmbedding(8, 4, 3, 6)
    mine.load_timm(theirs.state_dict())
    given = images.clone().requires_grad_()
    (came,), (wanted,) = checks.beside(observe.gradients, mine, given), observe.gradients(theirs, given)
    checks.that(came is not None, "a gradient reaches the images", came="none")
    checks.close(came, wanted, "the gradient into the images")

with checks.step("the images after the call"):
    checks.equal(checks.beside(observe.arguments_after, mine, images)[0], images, "the images that were given")
### END HIDDEN TESTS

# %% test="positions" points=4
with checks.step("TokenAndPosition with 3 patches of width 2, planted weights"):
    torch.manual_seed(0)
    layer = TokenAndPosition(n_patches=3, dim=2)
    planted = torch.tensor([10.0, 20, 30, 40])[None, :, None].expand(1, 4, 2)
    layer.load_timm({"cls_token": torch.full((1, 1, 2), 7.0), "pos_embed": planted})
    row = layer(torch.tensor([1.0, 2, 3])[None, :, None].expand(5, 3, 2))
    checks.shape(row, (5, 4, 2), "the tokens")

    def same(*numbers: float) -> torch.Tensor:
        return torch.tensor(numbers)[None, :, None].expand(5, len(numbers), 2)

    checks.close(
        row,
        same(17.0, 21, 32, 43),  # class token 7 + 10, then 1 + 20, 2 + 30, 3 + 40
        "the tokens",
        causes={
            "the class token stands last; it must stand first": same(11.0, 22, 33, 47),
            "the class token got no position, and the patches got those from place 0 on": same(7.0, 11, 22, 33),
            "the class token got no position": same(7.0, 21, 32, 43),
            "the positions were not added": same(7.0, 1, 2, 3),
        },
    )

with checks.step("numbers that are new in every run"):
    randn = checks.normal(checks.fresh_seed())
    planted = {"cls_token": randn(1, 1, 2), "pos_embed": randn(1, 4, 2)}
    layer.load_timm(planted)
    given = randn(3, 3, 2)
    row = layer(given)
    for image in range(3):
        checks.close(row[image, 0], (planted["cls_token"] + planted["pos_embed"][:, :1])[0, 0], "the class token")
        checks.close(row[image, 1:], given[image] + planted["pos_embed"][0, 1:], f"the patches of image {image}")

with checks.step("another number of patches"):
    for count in (4, 2, 1, 0):
        checks.raises(ValueError, layer, torch.zeros(1, count, 2), name=f"{count} patches for a layer of 3")

# %% test="positions" points=3


def parameter_sizes(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(p.shape) for p in module.parameters() if p.requires_grad)


with checks.step("the parameters"):
    torch.manual_seed(0)
    layer = TokenAndPosition(n_patches=6, dim=8)
    checks.equal(
        checks.beside(parameter_sizes, layer),
        [(1, 1, 8), (1, 7, 8)],
        "the shapes of the parameters that are learned",
        causes={
            "the class token is no nn.Parameter, so no optimizer will change it": [(1, 7, 8)],
            "the positions are no nn.Parameter, so no optimizer will change them": [(1, 1, 8)],
            "there are positions for the patches only; the class token has one too": [(1, 1, 8), (1, 6, 8)],
        },
    )


### BEGIN HIDDEN TESTS
def numbers_at_start(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    return module.class_token.detach(), module.positions.detach()


with checks.step("the start: normal with standard deviation 0.02"):
    torch.manual_seed(1)
    token, places = checks.beside(numbers_at_start, TokenAndPosition(n_patches=1, dim=20_000))
    rows, _ = places[0], checks.shape(places, (1, 2, 20_000), "the positions")
    for name, start in (("class token", token.flatten()), ("positions", places.flatten())):
        mean, spread = start.mean().item(), start.std().item()
        beyond = ((start - mean).abs() > 2 * spread).float().mean().item()
        checks.that(
            abs(mean) < 0.002 and 0.018 < spread < 0.022 and 0.035 < beyond < 0.056,
            f"the {name}: mean 0, standard deviation 0.02, 4.6% beyond two of them, as a normal distribution has it",
            came=f"mean {mean:.4f}, standard deviation {spread:.4f}, {beyond:.1%}",
            causes={
                "all of it starts at 0": bool((start == 0).all()),
                "a standard deviation of 1 drowns the patches": 0.9 < spread < 1.1,
            },
        )
    checks.that(not checks.near(rows[0], rows[1]), "every place has its own position", came="the same one for all")


def shared_gradient(module: nn.Module, tokens: torch.Tensor) -> dict[str, torch.Tensor | None]:
    """Gradients of a weighted sum whose weights are 1 in the first image, 2 in the second, ..."""
    module.load_timm({"cls_token": torch.ones(1, 1, 8), "pos_embed": torch.ones(1, 7, 8)})
    module.zero_grad()
    weights = torch.arange(1.0, len(tokens) + 1)[:, None, None]
    (module(tokens) * weights).sum().backward()
    return {"x".join(map(str, p.shape)): p.grad for p in module.parameters()}


with checks.step("loading timm's weights"):
    randn = checks.normal(seed=12)
    state = {"cls_token": randn(1, 1, 8), "pos_embed": randn(1, 7, 8)}
    given = randn(2, 6, 8)
    before, after, same, filled = checks.beside(loaded, TokenAndPosition(n_patches=6, dim=8), state, given)
    checks.that(same, "timm's state dict is as before", came="one with other entries or numbers")
    checks.close(after, before, "the tokens after timm's tensors were set to 0", causes={
        "your parameters are timm's own tensors; copy the values": F.pad(given, (0, 0, 1, 0)),
    })  # fmt: skip
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")
    layer = TokenAndPosition(n_patches=6, dim=8)
    checks.equal(checks.beside(observe.arguments_after, layer, given)[0], given, "the tokens that were given")
    (came,) = checks.beside(observe.gradients, layer, given.clone().requires_grad_())
    checks.that(came is not None, "a gradient reaches the tokens", came="none")
    both = torch.arange(2 * 7 * 8.0).cos().reshape(2, 7, 8)
    checks.close(came, both[:, 1:], "the gradient into the tokens")


with checks.step("one class token for the whole batch: its gradient is the sum over the images, 1 + 2 + 3"):
    came = checks.beside(shared_gradient, TokenAndPosition(n_patches=6, dim=8), torch.zeros(3, 6, 8))
    for name, wanted in (("1x1x8", torch.full((1, 1, 8), 6.0)), ("1x7x8", torch.full((1, 7, 8), 6.0))):
        checks.that(came.get(name) is not None, f"the parameter of shape {name} gets a gradient", came="none")
        checks.close(
            came[name],
            wanted,
            f"the gradient of the parameter of shape {name}",
            causes={"only the first image reaches the parameter": wanted / 6, "the images are averaged": wanted / 3},
        )
### END HIDDEN TESTS

# %% test="positions" points=3
with checks.step("sincos_2d for one row of two cells, width 4"):
    # w has one entry, 1: cell (0, 0) is [sin 0, cos 0, sin 0, cos 0], cell (0, 1) is [sin 0, cos 0, sin 1, cos 1]
    came = sincos_2d((1, 2), 4)
    checks.shape(came, (2, 4), "the positions")
    wanted = torch.tensor([[0.0, 1, 0, 1], [0, 1, 0.84147098, 0.54030231]])
    checks.close(
        came,
        wanted,
        "the positions",
        causes={
            "the column stands before the row": lambda: (
                checks.near(came, wanted[:, [2, 3, 0, 1]])
                and checks.near(sincos_2d((2, 2), 4)[1], wanted[1, [2, 3, 0, 1]])
            ),
            "the order is sin row, sin column, cos row, cos column": wanted[:, [0, 2, 1, 3]],
            "cosine and sine changed places": wanted[:, [1, 0, 3, 2]],
            "the cells are counted from 1; they start at 0": lambda: abs(came[0, 0].item() - 0.84147) < 1e-4,
        },
    )

with checks.step("a width that is not divisible by 4"):
    for dim in (6, 5, 3):
        checks.raises(ValueError, sincos_2d, (2, 2), dim, name=f"dim={dim}")

### BEGIN HIDDEN TESTS
for (rows, columns), dim in (((2, 3), 8), ((3, 2), 12), ((5, 1), 4), ((4, 7), 32), ((1, 1), 8), ((20, 3), 8)):
    with checks.step(f"sincos_2d against a loop over all entries, {rows} x {columns} cells, width {dim}"):

        def looped(exponent: float = 1.0, dim: int = dim, rows: int = rows, columns: int = columns) -> torch.Tensor:
            table = torch.zeros(rows, columns, dim)
            quarter = dim // 4
            for i in range(rows):
                for j in range(columns):
                    for k in range(quarter):
                        w = 10_000 ** (-exponent * k / quarter)
                        table[i, j, k], table[i, j, quarter + k] = math.sin(i * w), math.cos(i * w)
                        table[i, j, 2 * quarter + k], table[i, j, 3 * quarter + k] = math.sin(j * w), math.cos(j * w)
            return table

        checks.close(
            sincos_2d((rows, columns), dim),
            looped().reshape(rows * columns, dim),
            "the positions",
            causes={
                "the cells are numbered column by column": looped().transpose(0, 1).reshape(rows * columns, dim),
                "the exponent is k / (D/4): here it was divided by D/2": looped(0.5).reshape(rows * columns, dim),
                "the exponent is k / (D/4): here it was divided by D": looped(0.25).reshape(rows * columns, dim),
                "sine and cosine alternate; the four blocks must stand side by side": lambda: (
                    looped().reshape(rows * columns, 2, 2, -1).transpose(2, 3).reshape(rows * columns, -1)
                ),
            },
        )
### END HIDDEN TESTS

# %% test="resize" points=6 forbids="timm.layers.resample_abs_pos_embed, timm.layers.resample_abs_pos_embed_nhwc"
randn = checks.normal(seed=5)
pos = randn(1, 1 + 4, 3)

with checks.step("2 x 2 positions and a class token, resized to 4 x 4"):
    came = resize_positions(pos, (2, 2), (4, 4))
    checks.shape(came, (1, 17, 3), "the positions")
    checks.equal(came[:, :1], pos[:, :1], "the position of the class token (it has no place in the grid)")
    checks.forbidden(FORBIDDEN, resize_positions, pos, (2, 2), (4, 4))

with checks.step("positions that are the same everywhere stay the same"):
    everywhere = torch.tensor([1.0, 2, 3]).repeat(1, 5, 1)
    checks.close(
        resize_positions(everywhere, (2, 2), (3, 3)),
        torch.tensor([1.0, 2, 3]).expand(1, 10, 3),
        "the positions",
        causes={
            "cells and channels are mixed up: transpose to (1, D, cells) before unfolding the grid": lambda: bool(
                resize_positions(everywhere, (2, 2), (3, 3))[0, 1:].std(0).max() > 0.01
            )
        },
    )

with checks.step("the same grid again"):
    checks.close(resize_positions(pos, (2, 2), (2, 2)), pos, "the positions")

with checks.step("5 positions do not fit a 2 x 3 grid"):
    checks.raises(ValueError, resize_positions, pos, (2, 3), (4, 4), name="an old grid of 2 x 3")

### BEGIN HIDDEN TESTS
with checks.step("the positions after the call"):
    given = checks.normal(seed=9)(1, 7, 3)
    came = checks.beside(observe.arguments_after, resize_positions, given, (2, 3), (3, 4))
    checks.equal(came[0], given, "pos (an argument must not be changed in place)")

for old, new, prefix in (
    ((3, 5), (6, 4), 1),
    ((4, 4), (7, 7), 0),
    ((6, 2), (3, 5), 2),
    ((8, 8), (3, 3), 5),
    ((2, 8), (4, 4), 1),
    ((11, 3), (15, 2), 1),
):
    what = f"{old} to {new}, {prefix} prefix tokens"
    with checks.step(f"against timm's resample_abs_pos_embed, {what}"):
        pos = checks.normal(seed=old[0])(1, prefix + old[0] * old[1], 6)

        def resampled(mode: str = "bicubic", corners: bool | None = None, antialias: bool = False) -> torch.Tensor:
            return resample_abs_pos_embed(
                pos,
                list(new),
                list(old),
                num_prefix_tokens=prefix,
                interpolation=mode,
                antialias=antialias,
                align_corners=corners,
            )

        def swapped() -> torch.Tensor:
            """Rows and columns of the old grid taken for each other."""
            return resample_abs_pos_embed(pos, list(new), [old[1], old[0]], num_prefix_tokens=prefix, antialias=False)

        checks.close(
            resize_positions(pos, old, new, prefix),
            resampled(),
            "the positions",
            causes={
                "bilinear, not bicubic": lambda: resampled("bilinear"),
                "the nearest cell was copied; bicubic interpolates": lambda: resampled("nearest"),
                "align_corners=True moves the cells; it must be False": lambda: resampled(corners=True),
                "antialiasing is on": lambda: resampled(antialias=True),
                "rows and columns of the old grid changed places": swapped,
            },
        )

with checks.step("float64"):
    pos = checks.normal(seed=9, dtype=torch.float64)(1, 5, 3)
    checks.dtype(resize_positions(pos, (2, 2), (3, 3)), torch.float64, "the positions")

for half in (torch.bfloat16, torch.float16):
    with checks.step(f"{half}"):
        came = resize_positions(pos.to(half), (2, 2), (3, 3))
        wanted = resample_abs_pos_embed(pos.float(), [3, 3], [2, 2], antialias=False)
        checks.dtype(came, half, "the positions")
        checks.close(
            came.float(), wanted, "the positions, but for rounding", atol=0.05, rtol=0.02
        )  # 8 bits of bfloat16


with checks.step("with a prefix, 4 positions do not fit a 2 x 2 grid"):
    checks.raises(ValueError, resize_positions, pos[:, 1:], (2, 2), (3, 3), name="4 positions, 2 x 2, n_prefix=1")

with checks.step("without a prefix, 5 positions do not fit a 2 x 2 grid"):
    checks.raises(ValueError, resize_positions, pos, (2, 2), (3, 3), 0, name="5 positions, 2 x 2, n_prefix=0")
### END HIDDEN TESTS

# %% test="block" points=6
with checks.step("EncoderBlock(dim=16, num_heads=2) on 5 tokens"):
    torch.manual_seed(0)
    block = EncoderBlock(16, 2).eval()
    tokens = checks.normal(seed=3)(3, 5, 16)
    checks.shape(block(tokens), (3, 5, 16), "the tokens")

with checks.step("one token (3, 1), attention switched off, the MLP worked by hand"):
    # LN: (1, -1). fc1 copies both numbers, GELU makes (0.841345, -0.158655), fc2 copies them back
    small = timm_models.Block(2, 1, qkv_bias=True).eval()
    by_hand = {key: torch.zeros_like(value) for key, value in small.state_dict().items()}
    by_hand |= {"norm1.weight": torch.ones(2), "norm2.weight": torch.ones(2)}
    by_hand |= {"mlp.fc1.weight": torch.eye(8)[:, :2], "mlp.fc2.weight": torch.eye(8)[:2]}
    block = EncoderBlock(2, 1).eval()
    block.load_timm(by_hand)
    checks.close(
        block(torch.tensor([[[3.0, 1.0]]])),
        torch.tensor([[[3.841345, 0.841345]]]),
        "the token",
        rtol=0.0,
        atol=2e-5,
        causes={
            "the tanh approximation of GELU; the exact one is asked": torch.tensor([[[3.841192, 0.841192]]]),
            "ReLU instead of GELU": torch.tensor([[[4.0, 1.0]]]),
            "no activation between the two linear layers": torch.tensor([[[4.0, 0.0]]]),
            "the MLP got the tokens without layer norm": torch.tensor([[[5.995950, 1.841345]]]),
            "the residual connection around the MLP is missing": torch.tensor([[[0.841345, -0.158655]]]),
            "the residual connection around attention is missing": torch.zeros(1, 1, 2),
            "post-norm: a layer norm stands on the residual path": torch.tensor([[[1.0, -1.0]]]),
        },
    )

with checks.step("tokens that are new in every run, attention and MLP switched off: each token plus two biases"):
    randn = checks.normal(checks.fresh_seed())
    shift, lift, given = randn(2), randn(2), randn(2, 3, 2)
    block.load_timm(by_hand | {"mlp.fc2.weight": torch.zeros(2, 8), "attn.proj.bias": shift, "mlp.fc2.bias": lift})
    checks.close(block(given), given + shift + lift, "the tokens")

# %% test="block" points=6 forbids="timm.models.vision_transformer.Block, torch.nn.TransformerEncoderLayer"
with checks.step("the computation is yours"):
    block = EncoderBlock(16, 2).eval()
    checks.forbidden(FORBIDDEN, block, torch.zeros(1, 3, 16))

theirs = randomize(timm_models.Block(16, 2, qkv_bias=True), seed=1)
tokens = checks.normal(seed=4)(3, 5, 16)
with torch.no_grad():
    wanted = theirs(tokens)
    between = tokens + theirs.attn(theirs.norm1(tokens))  # what comes out of the first half

with checks.step("against timm's block, D = 16, 2 heads"):
    block.load_timm(theirs.state_dict())

    def wrong(name: str) -> torch.Tensor:
        """What timm's parts give when they are wired the wrong way."""
        with torch.no_grad():
            if name == "unnormed":
                return tokens + theirs.attn(tokens) + theirs.mlp(theirs.norm2(tokens + theirs.attn(tokens)))
            if name == "one norm":
                return between + theirs.mlp(theirs.norm1(between))
            if name == "parallel":
                return between + theirs.mlp(theirs.norm2(tokens))
            return theirs.norm2(between) + theirs.mlp(theirs.norm2(between))

    checks.close(
        block(tokens),
        wanted,
        "the tokens",
        causes={
            "attention got the tokens without layer norm": lambda: wrong("unnormed"),
            "the first norm was used twice; each half has its own": lambda: wrong("one norm"),
            "the MLP got the tokens from before attention": lambda: wrong("parallel"),
            "the second residual starts from the normalized tokens": lambda: wrong("normed residual"),
            "attention mixed the images of the batch: batch_first=True is missing": lambda: (
                not checks.near(block(tokens[:1]), block(tokens)[:1])
            ),
        },
    )

### BEGIN HIDDEN TESTS
with checks.step("tokens as small as 0.001, where the eps of the layer norm shows"):
    theirs = randomize(timm_models.Block(16, 2, qkv_bias=True), seed=6)
    block = EncoderBlock(16, 2).eval()
    block.load_timm(theirs.state_dict())
    tokens = 1e-3 * checks.normal(seed=6)(2, 5, 16)
    other_eps = copy.deepcopy(theirs)
    other_eps.norm1.eps = other_eps.norm2.eps = 1e-5
    second_eps = copy.deepcopy(theirs)
    second_eps.norm2.eps = 1e-5
    with torch.no_grad():
        checks.close(
            block(tokens),
            theirs(tokens),
            "the tokens",
            rtol=1e-5,
            atol=1e-6,
            causes={
                "eps of both norms is 1e-5, the default; it must be 1e-6": lambda: other_eps(tokens),
                "eps of the second norm is 1e-5, the default; it must be 1e-6": lambda: second_eps(tokens),
            },
        )

with checks.step("tokens as small as 0.001 behind an attention of 0, where the eps of the second layer norm shows"):
    theirs = randomize(timm_models.Block(16, 2, qkv_bias=True), seed=8)
    with torch.no_grad():
        theirs.attn.proj.weight.zero_()
        theirs.attn.proj.bias.zero_()
    block = EncoderBlock(16, 2).eval()
    block.load_timm(theirs.state_dict())
    tokens = 1e-3 * checks.normal(seed=8)(2, 5, 16)
    other_eps = copy.deepcopy(theirs)
    other_eps.norm2.eps = 1e-5
    with torch.no_grad():
        checks.close(
            block(tokens),
            theirs(tokens),
            "the tokens",
            causes={"eps of the second norm is 1e-5, the default; it must be 1e-6": lambda: other_eps(tokens)},
        )

for dim, heads, ratio in ((8, 1, 4.0), (24, 4, 2.0), (10, 5, 2.75)):
    for kind, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm's block, D={dim}, {heads} heads, mlp_ratio={ratio}, {kind}"):
            theirs = randomize(timm_models.Block(dim, heads, ratio, qkv_bias=True), seed=dim).to(kind)
            block = EncoderBlock(dim, heads, ratio).to(kind).eval()
            block.load_timm(theirs.state_dict())
            tokens = checks.normal(seed=dim, dtype=kind)(2, 7, dim)
            with torch.no_grad():
                checks.close(block(tokens), theirs(tokens), "the tokens", rtol=tolerance, atol=tolerance)
    given = tokens.clone().requires_grad_()
    (came,), (wanted,) = checks.beside(observe.gradients, block, given), observe.gradients(theirs, given)
    with checks.step(f"the gradient into the tokens, D={dim}"):
        checks.that(came is not None, "a gradient reaches the tokens", came="none")
        checks.close(came, wanted, "the gradient", rtol=1e-6, atol=1e-8)

with checks.step("train mode: nothing is dropped in this block, in none of 300 images"):
    tokens = checks.normal(seed=14, dtype=torch.float64)(300, 3, 10)
    with torch.no_grad():
        checks.close(block.train()(tokens), theirs(tokens), "the tokens in train mode, against timm's in eval mode")
    tokens = tokens[:2]

with checks.step("the argument after the call"):
    checks.equal(checks.beside(observe.arguments_after, block, tokens)[0], tokens, "the tokens that were given")

with checks.step("loading timm's weights"):
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    before, after, same, filled = checks.beside(loaded, block, state, tokens)
    checks.that(same, "timm's state dict is as before", came="one with other entries or numbers")
    checks.close(after, before, "the tokens after timm's tensors were set to 0", causes={
        "your parameters are timm's own tensors; copy the values": tokens,
    })  # fmt: skip
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")


def weakest_gradient(module: nn.Module, state: dict[str, torch.Tensor], tokens: torch.Tensor) -> float:
    """The smallest of the largest gradients of the parameters after loading; 0 where one gets none."""
    module.load_timm(state)
    module.zero_grad()
    (module(tokens) * torch.arange(tokens.numel()).cos().reshape(tokens.shape)).sum().backward()
    return min(0.0 if p.grad is None else p.grad.abs().max().item() for p in module.parameters())


with checks.step("every parameter gets a gradient"):
    torch.manual_seed(1)
    state = randomize(timm_models.Block(16, 2, qkv_bias=True), seed=9).state_dict()
    came = checks.beside(weakest_gradient, EncoderBlock(16, 2), state, checks.normal(seed=7)(2, 5, 16))
    checks.that(came > 0, "no parameter is left out", came="a parameter without any gradient")
### END HIDDEN TESTS

# %% test="vit" points=5
images = checks.normal(checks.fresh_seed())(2, 3, 32, 32)  # new in every run, like the weights below

with checks.step("VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2)"):
    torch.manual_seed(0)
    model = VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2).eval()
    checks.shape(model.forward_features(images), (2, 17, 16), "the features")
    checks.shape(model(images), (2, 10), "the logits")

theirs = randomize(timm_vit(embed_dim=16, depth=2, num_heads=2), seed=checks.fresh_seed())


def variant(name: str) -> torch.Tensor:
    """The logits of timm's model with one thing done wrong."""
    other = copy.deepcopy(theirs)
    with torch.no_grad():
        if name == "no final norm":
            other.norm = nn.Identity()
        if name == "no positions":
            other.pos_embed.zero_()
        if name == "block 0 twice":
            other.blocks[1] = other.blocks[0]
        features = other.forward_features(images)
        pooled = {"mean": features[:, 1:].mean(1), "mean of all": features.mean(1), "last": features[:, -1]}
        return other.head(pooled.get(name, features[:, 0]))


with checks.step("timm's weights give timm's logits"):
    model.load_timm(theirs.state_dict())
    with torch.no_grad():
        checks.close(
            model(images),
            theirs(images),
            "the logits",
            rtol=1e-5,
            atol=1e-5,
            causes={
                "classified from the mean of the patches; read token 0": lambda: variant("mean"),
                "classified from the mean of all tokens; read token 0": lambda: variant("mean of all"),
                "classified from the last token; read token 0": lambda: variant("last"),
                "the final norm is missing": lambda: variant("no final norm"),
                "the positions were not loaded, or not added": lambda: variant("no positions"),
                "all blocks carry the weights of block 0": lambda: variant("block 0 twice"),
            },
        )

# %% test="vit" points=5
images = checks.normal(seed=9)(3, 3, 32, 32)
theirs = randomize(timm_vit(embed_dim=16, depth=2, num_heads=2), seed=3)

with checks.step("the features after the final norm, against timm's"):
    model = VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2).eval()
    model.load_timm(theirs.state_dict())
    with torch.no_grad():
        checks.close(model.forward_features(images), theirs.forward_features(images), "the features", atol=1e-4)

### BEGIN HIDDEN TESTS
for img_size, p, channels, depth, std in (
    (32, 4, 3, 1, 0.2),
    (32, 8, 1, 3, 0.2),
    ((24, 40), 8, 3, 3, 0.2),
    ((24, 40), 8, 1, 1, 0.2),
    (32, 8, 3, 11, 0.1),
):
    with checks.step(f"against timm, {img_size} pixels, p={p}, {channels} channels, {depth} blocks, weights of {std}"):
        sizes = {"img_size": img_size, "patch_size": p, "in_chans": channels, "depth": depth, "num_classes": 7}
        theirs = randomize(timm_vit(**sizes, embed_dim=24, num_heads=3, mlp_ratio=2.0), seed=p + depth, std=std)
        model = VisionTransformer(**sizes, embed_dim=24, num_heads=3, mlp_ratio=2.0).eval()
        model.load_timm(theirs.state_dict())
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        images = checks.normal(seed=depth)(2, channels, height, width)
        with torch.no_grad():
            checks.close(
                model(images),
                theirs(images),
                "the logits",
                rtol=2e-5,
                atol=2e-5,
            )

with checks.step("tokens as small as 0.001 before the final norm, where its eps shows"):
    theirs = randomize(timm_vit(embed_dim=16, depth=1, num_heads=2), seed=12)
    with torch.no_grad():
        for part in (theirs.blocks[0].attn.proj, theirs.blocks[0].mlp.fc2, theirs.patch_embed.proj):
            part.weight.zero_()
            part.bias.zero_()
        theirs.pos_embed.mul_(5e-3)
        theirs.cls_token.mul_(5e-3)
    model = VisionTransformer(embed_dim=16, depth=1, num_heads=2).eval()
    model.load_timm(theirs.state_dict())
    other_eps = copy.deepcopy(theirs)
    other_eps.norm.eps = 1e-5
    images = checks.normal(seed=15)(2, 3, 32, 32)
    with torch.no_grad():
        checks.close(
            model(images),
            theirs(images),
            "the logits",
            causes={"eps of the final norm is 1e-5, the default; it must be 1e-6": lambda: other_eps(images)},
        )

with checks.step("train mode: nothing is dropped, in none of 100 images, and the gradient into the images"):
    sizes = {"img_size": (8, 12), "patch_size": 4, "in_chans": 1, "embed_dim": 8, "num_heads": 2}
    theirs = randomize(timm_vit(**sizes, depth=3), seed=13).double()
    model = VisionTransformer(**sizes, depth=3).double()
    model.load_timm(theirs.state_dict())
    images = checks.normal(seed=16, dtype=torch.float64)(100, 1, 8, 12)
    with torch.no_grad():
        checks.close(model.train()(images), theirs(images), "the logits in train mode, against timm's in eval mode")
        checks.close(model.forward_features(images), theirs.forward_features(images), "the features in train mode")
    given = images[:2].clone().requires_grad_()
    (came,), (wanted,) = checks.beside(observe.gradients, model, given), observe.gradients(theirs, given)
    checks.that(came is not None, "a gradient reaches the images", came="none")
    checks.close(came, wanted, "the gradient into the images", rtol=1e-6, atol=1e-8)
    checks.equal(checks.beside(observe.arguments_after, model, images)[0], images, "the images that were given")

with checks.step("what is not given: 32 pixels, p = 8, 3 channels, 10 classes, D = 64, 2 blocks, 4 heads, r = 4"):
    theirs = randomize(timm_vit(32, 8, 3, 10, 64, 2, 4, 4.0), seed=17, std=0.1)
    model = VisionTransformer().eval()
    model.load_timm(theirs.state_dict())
    images = checks.normal(seed=17)(2, 3, 32, 32)
    with torch.no_grad():
        checks.close(model(images), theirs(images), "the logits", rtol=1e-4, atol=1e-4)

with checks.step("no block at all"):
    theirs = randomize(timm_vit(embed_dim=16, depth=0, num_heads=2), seed=19)
    model = VisionTransformer(embed_dim=16, depth=0, num_heads=2).eval()
    model.load_timm(theirs.state_dict())
    images = checks.normal(seed=19)(2, 3, 32, 32)
    with torch.no_grad():
        checks.close(model(images), theirs(images), "the logits", rtol=1e-5, atol=1e-5)

with checks.step("timm's own start instead of large weights"):
    torch.manual_seed(4)
    theirs = timm_vit(embed_dim=16, depth=2, num_heads=2)
    model = VisionTransformer(embed_dim=16, depth=2, num_heads=2).eval()
    model.load_timm(theirs.state_dict())
    images = checks.normal(seed=4)(2, 3, 32, 32)
    with torch.no_grad():
        checks.close(model(images), theirs(images), "the logits", rtol=1e-5, atol=1e-5)
### END HIDDEN TESTS

# %% test="vit" points=6 forbids="timm.models.vision_transformer.VisionTransformer, timm.models.vision_transformer.Block"
images = checks.normal(seed=10)(2, 3, 32, 32)

with checks.step("the computation is yours"):
    torch.manual_seed(0)
    model = VisionTransformer(embed_dim=16, depth=2, num_heads=2).eval()
    checks.forbidden(FORBIDDEN, model, images)

with checks.step("the number of parameters for D = 16, 2 blocks, 10 classes"):
    # patches 16*(192+1), class token 16, positions 17*16, blocks 2*(12*16^2 + 13*16), norm 2*16, head 10*(16+1)
    wanted = 16 * 193 + 16 + 17 * 16 + 2 * (12 * 16**2 + 13 * 16) + 32 + 170
    came = checks.beside(profiling.parameter_count, model)
    checks.equal(
        came,
        wanted,
        "the number of parameters",
        causes={
            "the blocks are hidden from the model: use nn.ModuleList": wanted - 2 * (12 * 16**2 + 13 * 16),
            "the two blocks are one block used twice": wanted - (12 * 16**2 + 13 * 16),
            "the final norm is missing": wanted - 32,
        },
    )


### BEGIN HIDDEN TESTS
with checks.step("loading timm's weights"):
    theirs = randomize(timm_vit(), seed=18)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    before, after, same, filled = checks.beside(loaded, model, state, images)
    with torch.no_grad():
        checks.close(before, theirs(images), "the logits", rtol=1e-4, atol=1e-4)
    checks.that(same, "timm's state dict is as before", came="one with other entries or numbers")
    checks.close(
        after,
        before,
        "the logits after timm's tensors were set to 0",
        causes={"your parameters are timm's own tensors; copy the values": torch.zeros(2, 10)},
    )
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")


def learns(module: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    """How many parameters there are after loading, and to how many of them no gradient comes."""
    module.zero_grad()
    (module(images) * torch.arange(20.0).cos().reshape(2, 10)).sum().backward()
    found = list(module.parameters())
    return len(found), sum(p.grad is None or not bool(p.grad.any()) for p in found)


with checks.step("after loading, the model can be trained"):
    model.load_timm(randomize(timm_vit(), seed=5).state_dict())
    count, without = checks.beside(learns, model, images)
    checks.that(
        count > 0 and without == 0,
        "every parameter gets a gradient",
        came=f"{without} of {count} parameters without one",
    )

with checks.step("patch_size, which other functions read from the model"):
    checks.equal(VisionTransformer(patch_size=16).patch_size, 16, "the attribute patch_size")

with checks.step("images of another size"):
    checks.raises(ValueError, model, torch.zeros(1, 3, 16, 64), name="16 x 64 for a 32 x 32 model")

with checks.step("an image does not depend on the others of its batch"):
    model.eval()
    checks.close(model(images[:1]), model(images)[:1], "the logits of the first image alone")
### END HIDDEN TESTS

# %% test="cost" points=4
with checks.step("32 x 32 pixels, p = 8"):
    checks.equal(token_count(32, 32, 8), 17, "the number of tokens", causes={"the class token is missing": 16})

with checks.step("p = 16 does not divide a height of 30"):
    checks.raises(ValueError, token_count, 30, 32, 16, name="30 x 32 pixels with p = 16")

with checks.step("4 x 2 pixels, p = 2, D = 2, one block, r = 4, one channel, 5 classes, counted by hand"):
    # T = 3. Multiply-adds: projections 4*3*2*2 = 48, scores and average 2*3*3*2 = 36, MLP 2*3*2*8 = 96,
    # patches 2*4*2 = 16, head 2*5 = 10; together 206
    came = vit_flops(4, 2, 2, 2, 1, 4.0, 1, 5)
    checks.equal(
        came,
        412,
        "vit_flops(4, 2, 2, 2, 1, 4.0, 1, 5)",
        causes={
            "multiply-adds were counted once; each is 2 FLOPs": 206,
            "the class token is missing in the blocks": 276,
            "the class token was embedded like a patch": 428,
            "the head is missing": 392,
            "three channels are counted, whatever `channels` says": 476,
            "the patch embedding is missing": 380,
            "the output projection of attention is missing": 388,
            "only one of the two products with T x T entries was counted": 376,
            "only one of the two linear layers of the MLP was counted": 316,
            "the result must be an int: round the hidden width with int(), and avoid `/`": lambda: isinstance(
                came, float
            ),
        },
    )

with checks.step("sizes that are new in every run, against torch's FLOP counter on timm's model"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    wide, deep, kinds, across = (int(torch.randint(1, 9, (), generator=draw)) for _ in range(4))
    size, sides = {"embed_dim": 4 * wide, "depth": deep, "num_classes": kinds}, (8, 4 * across)
    counted = profiling.flops(timm_vit(sides, 4, 3, **size), torch.zeros(1, 3, *sides))
    checks.equal(
        token_count(*sides, 4), 2 * across + 1, f"the number of tokens of {sides[0]} x {sides[1]} pixels, p = 4"
    )
    came = vit_flops(*sides, 4, 4 * wide, deep, 4.0, 3, kinds)
    checks.equal(came, counted, f"the FLOPs for D = {4 * wide}, {deep} blocks, {kinds} classes")

# %% test="cost" points=6
with checks.step("a model without blocks: patch embedding and head alone"):
    checks.equal(
        vit_flops(32, 32, 8, 64, 0, 4.0, 3, 10),
        2 * (16 * 192 * 64 + 64 * 10),
        "vit_flops with depth 0",
        causes={"the patch embedding and the head were multiplied by the depth": 0},
    )

with checks.step("every block costs the same"):
    one, two, three = (vit_flops(32, 32, 8, 64, depth, 4.0, 3, 10) for depth in (1, 2, 3))
    checks.equal(three - two, two - one, "the cost of the third block, against the second")

### BEGIN HIDDEN TESTS
for (height, width), p, dim, depth, ratio, channels, classes in (
    ((32, 32), 4, 48, 2, 4.0, 3, 10),
    ((32, 32), 8, 48, 3, 4.0, 3, 10),
    ((32, 32), 16, 192, 1, 4.0, 3, 10),
    ((24, 40), 8, 24, 2, 2.0, 1, 7),
    ((16, 8), 8, 20, 1, 2.5, 4, 2),
    ((8, 24), 4, 10, 3, 2.75, 2, 5),
    ((16, 16), 8, 8, 12, 4.0, 3, 10),
):
    what = f"{height} x {width}, p={p}, D={dim}, {depth} blocks, r={ratio}, C={channels}, K={classes}"
    with checks.step(f"against torch's FLOP counter on timm's model, {what}"):
        model = timm_vit((height, width), p, channels, classes, dim, depth, 2, ratio)
        with torch.no_grad():
            counted = profiling.flops(model, torch.zeros(1, channels, height, width))
        checks.equal(
            vit_flops(height, width, p, dim, depth, ratio, channels, classes),
            counted,
            "the count",
            causes={
                "the MLP is counted with ratio 4, whatever mlp_ratio says": (
                    counted + 4 * depth * (height * width // p**2 + 1) * dim * (4 * dim - int(dim * ratio))
                ),
                "the hidden width is an int: int(D*r), before it is multiplied": round(
                    counted + 4 * depth * (height * width // p**2 + 1) * dim * (dim * ratio - int(dim * ratio))
                ),
            },
        )

with checks.step("a count beyond the 53 bits of a float: 8192 x 4096 pixels, p = 4, D = 1001, 24 blocks"):
    tokens = 2048 * 1024 + 1
    block = 4 * tokens * 1001**2 + 2 * tokens**2 * 1001 + 2 * tokens * 1001 * 4004
    wanted = 2 * (24 * block + (tokens - 1) * 5 * 16 * 1001 + 1001 * 1000)
    came = vit_flops(8192, 4096, 4, 1001, 24, 4.0, 5, 1000)
    checks.that(isinstance(came, int), "the count is an int", came=type(came).__name__)
    checks.equal(came, wanted, "the count", causes={
        "a float was made an int: beyond 53 bits it has lost the last digits": lambda: 0 < abs(came - wanted) < wanted // 10**6,
    })  # fmt: skip

with checks.step("p = 8 divides the width 16, but not the height 12"):
    checks.raises(ValueError, token_count, 12, 16, 8, name="12 x 16 with p = 8")

with checks.step("p = 16 divides the height 32, but not the width 40"):
    checks.raises(ValueError, token_count, 32, 40, 16, name="32 x 40 with p = 16")

with checks.step("vit_flops, too, wants patches that fill the image"):
    for size in ((30, 32), (32, 30)):
        checks.raises(ValueError, vit_flops, *size, 8, 16, 1, 4.0, 3, 10, name=f"{size[0]} x {size[1]} with p = 8")
### END HIDDEN TESTS


# %% test="sensitivity" points=4
class Notes(list):
    """A list that stays the same one in a copy of the model, so that it hears of the copy's calls."""

    def __deepcopy__(self, memo: dict) -> "Notes":
        return self


class Recorder(nn.Module):
    """A model that keeps the images it sees; its logits are the numbers of the first patch, first channel."""

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.body = nn.Sequential(nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 2)), nn.LayerNorm(2))
        self.seen, self.modes, self.with_gradients = Notes(), Notes(), Notes()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach().clone())
        self.modes.extend(module.training for module in self.modules())
        self.with_gradients.append(torch.is_grad_enabled())
        return x[:, 0, : self.patch_size, : self.patch_size].flatten(1)


def record(fn, images: torch.Tensor, p: int, seed: int, training: bool = False) -> tuple:
    """The result, all images that the model saw (as one batch), the modes it ran in, and whether it is left in train."""
    recorder = Recorder(p).train(training)
    result = fn(recorder, images.clone(), seed)
    return result, torch.cat(recorder.seen), recorder.modes, recorder.training


def shuffled_among(seen: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Of the images seen, twice as many as given, the half that is not as given."""
    first, second = seen[: len(given)], seen[len(given) :]
    return second if torch.equal(first, given) else first


def pieces(image: torch.Tensor, p: int) -> list[tuple[float, ...]]:
    """The patches of one image, row by row, each as a tuple of numbers."""
    corners = [(i, j) for i in range(0, image.shape[1], p) for j in range(0, image.shape[2], p)]
    return [tuple(image[:, i : i + p, j : j + p].flatten().tolist()) for i, j in corners]


with checks.step("what the model is shown: two 8 x 8 images, p = 4"):
    given = torch.arange(2 * 64.0).reshape(2, 1, 8, 8)
    _, seen, _, _ = checks.beside(record, position_sensitivity, given, 4, 1)
    checks.that(len(seen) == 4, "each image is seen twice, as it is and shuffled", came=f"{len(seen)} images")
    shuffled = shuffled_among(seen, given)
    checks.that(
        all(sorted(pieces(a, 4)) == sorted(pieces(b, 4)) for a, b in checks.each(shuffled, given)),
        "a shuffled image holds the same patches as before",
        came="patches that the image does not have",
        causes={
            "the images of the batch changed places, not the patches": lambda: (
                sorted(pieces(shuffled[0], 4)) == sorted(pieces(given[1], 4))
            ),
            "the pixels inside the patches were permuted, not the patches": lambda: all(
                sorted(a) == sorted(b) for a, b in zip(pieces(shuffled[0], 4), pieces(given[0], 4))
            ),
        },
    )

with checks.step("timm's model with random positions, and with its positions set to 0"):
    images = checks.normal(seed=11)(3, 3, 32, 32)
    theirs = randomize(timm_vit(), seed=7)
    with_positions = position_sensitivity(theirs, images, seed=0)
    checks.that(isinstance(with_positions, float), "the result is a float", came=type(with_positions).__name__)
    checks.that(
        with_positions > 1e-3,
        "with positions the logits change",
        came=f"a change of {with_positions:.1e}",
        expected="more than 0.001",
    )
    with torch.no_grad():
        theirs.pos_embed.zero_()
    without = position_sensitivity(theirs, images, seed=0)
    checks.that(
        0 <= without < 1e-5,
        "without positions a permutation of the patches changes nothing",
        came=f"a change of {without:.1e}",
        expected="from 0 to 0.00001",
    )

### BEGIN HIDDEN TESTS
for height, width, p, sign in ((8, 16, 4, 1), (32, 64, 16, 1), (8, 12, 2, 1), (8, 12, 2, -1)):
    with checks.step(f"patches are moved and nothing else, {height} x {width} pixels, p={p}, sign {sign}"):
        given = sign * checks.normal(seed=width)(2, 3, height, width)
        result, seen, _, _ = checks.beside(record, position_sensitivity, given, p, 3)
        shuffled = shuffled_among(seen, given)
        before, after = [pieces(image, p) for image in given], [pieces(image, p) for image in shuffled]
        checks.that(
            all(sorted(a) == sorted(b) for a, b in checks.each(before, after)),
            "a shuffled image holds the same patches as before",
            came="patches that the image does not have",
        )
        checks.that(before != after, "the patches stand in another order", came="the images as they were")
        places = [[a.index(piece) for piece in b] for a, b in checks.each(before, after)]
        checks.that(
            places[0] == places[1], "all images of the batch get the same permutation", came="two different ones"
        )
        rise = (shuffled - given)[:, 0, :p, :p]
        checks.close(
            torch.tensor(float(result)),
            rise.abs().max(),
            "the result",
            rtol=1e-6,
            atol=0.0,
            causes={
                "this is the mean of the changes, not the largest": rise.abs().mean(),
                "this is the largest rise; a logit that falls has changed as well": rise.max(),
                "this is the largest fall; a logit that rises has changed as well": (-rise).max(),
            },
        )

with checks.step("the model's mode"):
    _, _, modes, left = checks.beside(record, position_sensitivity, given, 2, 3, True)
    checks.that(not any(modes), "the model is measured in eval mode", came="calls in train mode, with dropout on")
    checks.that(left, "a model that came in train mode is left in train mode", came="a model in eval mode")
    _, _, _, left = checks.beside(record, position_sensitivity, given, 2, 3, False)
    checks.that(not left, "a model that came in eval mode is left in eval mode", came="a model in train mode")


with checks.step("the permutation is a function of the seed"):
    big = checks.normal(seed=13)(1, 1, 16, 16)
    orders = [checks.beside(record, position_sensitivity, big, 2, seed)[1] for seed in (1, 1, 2)]
    checks.that(
        torch.equal(orders[0], orders[1]),
        "the same seed gives the same permutation",
        came="two permutations for seed 1",
    )
    checks.that(
        not torch.equal(orders[0], orders[2]),
        "another seed gives another permutation",
        came="the same permutation for seeds 1 and 2",
    )
    orders = [
        [pieces(shuffled_among(seen, images)[0], 2).index(piece) for piece in pieces(images[0], 2)]
        for images in (checks.normal(seed)(1, 1, 8, 8) for seed in (14, 15))
        for _, seen, _, _ in [checks.beside(record, position_sensitivity, images, 2, 5)]
    ]
    checks.equal(orders[0], orders[1], "where the patches of two images go, with the same seed")


def permutations(fn: Callable[..., float], count: int) -> list[tuple[float, ...]]:
    """The order of four patches of one pixel, for each of many seeds."""
    given = torch.arange(4.0).reshape(1, 1, 2, 2)
    return [tuple(shuffled_among(record(fn, given, 1, seed)[1], given).flatten().tolist()) for seed in range(count)]


with checks.step("the orders of four patches with 240 seeds"):
    found = checks.beside(permutations, position_sensitivity, 240)
    checks.that(
        len(set(found)) > 18,  # of 24; that random ones leave out six has a chance of one in 10^21
        "any order of the patches can come",
        came=f"{len(set(found))} different ones",
        expected="nearly all 24",
        causes={"the patches are only rotated, not permuted": lambda: len(set(found)) <= 4},
    )


class Failing(Recorder):
    """A recorder that raises an error at its second call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.seen:
            raise RuntimeError("a model may fail")
        return super().forward(x)


def on_one_image(model: nn.Module, image: torch.Tensor, fn: Callable[..., float]) -> float:
    """The measurement twice, so that a model which fails at its second call fails in one way or another."""
    return max(fn(model, image, 3), fn(model, image, 3))


def measured(fn: Callable[..., float], model: nn.Module, images: torch.Tensor) -> tuple[dict, bool, bool]:
    """What a call leaves of the model and the images; whether it ran without gradients; torch's random state."""
    torch.manual_seed(3)
    state = torch.get_rng_state()
    seen = unchanged.asked(on_one_image, model, images, fn)
    return seen, not any(model.with_gradients), torch.equal(state, torch.get_rng_state())


for model, what in ((Recorder(2), "after the call"), (Failing(2), "after a call that ends in an error of the model")):
    with checks.step(f"the model and the images {what}"):
        seen, quiet, same_state = checks.beside(measured, position_sensitivity, model, given.clone())
        checks.equal(seen["raised"], "RuntimeError" if isinstance(model, Failing) else "", "the error")
        checks.as_found(seen)
        checks.that(quiet, "the model runs without gradients", came="a forward pass with them")
        checks.that(same_state, "torch's global random state is as before", came="another one", causes={
            "torch's own generator was seeded, or drawn from; take a generator of your own": True,
        })  # fmt: skip
### END HIDDEN TESTS
