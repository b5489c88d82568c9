# %% test="masking" points=6
# token i of image b has the value 10 b + i
tokens = torch.tensor([[0.0, 1, 2, 3], [10, 11, 12, 13]])[..., None]
noise = torch.tensor([[0.3, 0.2, 0.4, 0.1], [0.9, 0.8, 0.1, 0.5]])

with checks.step("two images of four tokens, half of them hidden"):
    visible, mask, restore = random_masking(tokens, 0.5, noise)
    checks.shape(visible, (2, 2, 1), "visible", causes={
        "the hidden tokens are still in the row": lambda: visible.shape[1] == 4,
    })  # fmt: skip
    checks.shape(mask, (2, 4), "mask")
    checks.shape(restore, (2, 4), "restore")
    checks.dtype(restore, torch.int64, "restore")
    checks.equal(visible[..., 0], torch.tensor([[3.0, 1], [12, 13]]), "the visible tokens", causes={
        "the tokens with the most noise were kept": torch.tensor([[0.0, 2], [11, 10]]),
        "the tokens with the most noise were kept, the noisiest first": torch.tensor([[2.0, 0], [10, 11]]),
        "the order of the first image was used for all": torch.tensor([[3.0, 1], [13, 11]]),
        "the right tokens, but in the order of the image": torch.tensor([[1.0, 3], [12, 13]]),
        "the first tokens were kept; noise was not read": torch.tensor([[0.0, 1], [10, 11]]),
    })  # fmt: skip
    checks.equal(mask.float(), torch.tensor([[1.0, 0, 1, 0], [1, 1, 0, 0]]), "mask", causes={
        "1 must mean hidden, not visible": torch.tensor([[0.0, 1, 0, 1], [0, 0, 1, 1]]),
        "the mask is in sorted order; bring it back to the order of the image": torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]),
    })  # fmt: skip
    checks.equal(restore, torch.tensor([[2, 1, 3, 0], [3, 2, 0, 1]]), "restore", causes={
        "this is the order itself; restore is its inverse": torch.tensor([[3, 1, 0, 2], [2, 3, 1, 0]]),
    })  # fmt: skip

with checks.step("a sorted row, read at restore, is the image again"):
    randn = checks.normal(seed=0)
    tokens, noise = randn(5, 12, 3), randn(5, 12)
    before = tokens.clone()
    visible, mask, restore = random_masking(tokens, 0.75, noise)
    row = torch.cat([visible, torch.full((5, 9, 3), 99.0)], dim=1)
    home = row.gather(1, restore[..., None].expand(-1, -1, 3))
    wanted = torch.where(mask.bool()[..., None], 99.0, before)
    checks.equal(home, wanted, "the row at restore: visible tokens at home, 99 where one is hidden")
    checks.equal(mask.float().sum(1), torch.full((5,), 9.0), "hidden tokens of each image")
    checks.equal(
        checks.beside(observe.arguments_after, random_masking, tokens, 0.75, noise)[0],
        before,
        "the tokens after the call (an argument must not be changed in place)",
    )

with checks.step("ratios that cannot be"):
    for ratio in (0.0, 1.0, -0.5, 1.5):
        checks.raises(ValueError, random_masking, tokens, ratio, noise, name=f"ratio={ratio}")

with checks.step("numbers that nobody has seen: the tokens hold their own noise"):
    noise = checks.normal(checks.fresh_seed())(3, 8)
    visible, mask, restore = random_masking(noise[..., None], 0.5, noise)
    ranks = (noise[:, :, None] > noise[:, None]).sum(-1)
    checks.equal(visible[..., 0], noise.sort(dim=1).values[:, :4], "the visible tokens, which are their own noise")
    checks.equal(restore, ranks, "restore: how many tokens of the image have less noise")
    checks.equal(mask.float(), (ranks > 3).float(), "mask")

# %% test="masking" points=8
with checks.step("2,000 draws: every patch is hidden equally often (chi-square with 15 degrees of freedom)"):
    noise = torch.rand(2000, 16, generator=torch.Generator().manual_seed(1))
    _, mask, _ = random_masking(torch.zeros(2000, 16, 1), 0.75, noise)
    counts = mask.float().sum(0)
    expected = 2000 * 0.75
    # hidden or not has the variance n q (1 - q); the counts add up to n N q, which takes a degree of freedom
    chi_square = ((counts - expected) ** 2).sum() / (2000 * 0.75 * 0.25) * 15 / 16
    checks.that(
        chi_square.item() < 37.7,  # exceeded by chance once in 1,000
        "no patch is preferred",
        came=f"chi-square {chi_square:.1f}, from {counts.min():.0f} to {counts.max():.0f} times of 2,000",
        expected="below 37.7",
        causes={"all images of the batch have the same mask": lambda: bool((mask == mask[:1]).all())},
    )

with checks.step("the gradient flows into the visible tokens alone"):
    tokens = checks.normal(seed=1)(2, 6, 3).requires_grad_()
    noise = torch.tensor([[5.0, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5]])
    (gradient,) = checks.beside(observe.gradients, random_masking, tokens, 0.5, noise)
    checks.that(gradient is not None, "a gradient flows", came="none")
    reached = (gradient != 0).any(-1).long()
    checks.equal(reached, torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]), "tokens that get a gradient")

### BEGIN HIDDEN TESTS
for seed, (batch, count, width), ratio in (
    (0, (4, 16, 5), 0.5),
    (1, (3, 10, 2), 0.75),
    (2, (1, 49, 1), 0.75),
    (3, (5, 7, 3), 0.6),
    (4, (2, 2, 4), 0.5),
):
    with checks.step(f"against Python's sorted(): {batch} images of {count} tokens, ratio {ratio}"):
        randn = checks.normal(seed, dtype=torch.float64)
        tokens, noise = randn(batch, count, width), randn(batch, count)
        checks.equal(
            checks.beside(observe.arguments_after, random_masking, tokens, ratio, noise)[1],
            noise,
            "the noise after the call",
        )
        visible, mask, restore = random_masking(tokens, ratio, noise)
        kept = int(count * (1 - ratio))
        checks.shape(visible, (batch, kept, width), "visible", causes={
            "the number of hidden tokens was rounded down, not that of visible ones": lambda: (
                visible.shape[1] == count - int(count * ratio) != round(count * (1 - ratio))
            ),
            "the number of visible tokens was rounded, not cut": lambda: (
                visible.shape[1] == round(count * (1 - ratio))
            ),
        })  # fmt: skip
        checks.dtype(visible, torch.float64, "visible")
        for image in range(batch):
            order = sorted(range(count), key=noise[image].tolist().__getitem__)
            places = torch.tensor([order.index(token) for token in range(count)])
            checks.equal(visible[image], tokens[image, order[:kept]], f"the visible tokens of image {image}")
            checks.equal(restore[image], places, f"restore of image {image}")
            checks.equal(mask[image].float(), (places >= kept).float(), f"mask of image {image}")

with checks.step("one token of four visible, and none"):
    tokens, noise = torch.zeros(2, 4, 1), checks.normal(seed=5)(2, 4)
    visible, mask, _ = random_masking(tokens, 0.75, noise)
    checks.shape(visible, (2, 1, 1), "visible")
    checks.raises(ValueError, random_masking, tokens, 0.9, noise, name="ratio=0.9 with 4 tokens (K would be 0)")
    tokens, noise = torch.zeros(2, 10, 1), checks.normal(seed=6)(2, 10)
    checks.raises(
        ValueError, random_masking, tokens, 0.9, noise, name="ratio=0.9 with 10 tokens: int(10 * (1 - 0.9)) is 0"
    )

with checks.step("noise that differs in the sixth decimal only"):
    ranks = torch.stack([torch.randperm(12, generator=torch.Generator().manual_seed(seed)) for seed in range(3)])
    visible, _, restore = random_masking(ranks[..., None].float(), 0.5, 1 + 1e-6 * ranks)
    checks.equal(restore, ranks, "restore", causes={
        "the noise was rounded to a smaller dtype, where these numbers are equal": lambda: not torch.equal(
            restore.sort(1).values, ranks.sort(1).values
        ) or torch.equal(restore, (1 + 1e-6 * ranks).bfloat16().argsort(1).argsort(1)),
    })  # fmt: skip
    checks.equal(visible[..., 0], torch.arange(6.0).expand(3, 6), "the visible tokens, which are their own ranks")
### END HIDDEN TESTS


# %% given="encoder-tests" after="encoder-hints"
# what several tests of the exercise use
def encoded(make: Callable, sizes: tuple, weights: dict, calls: list) -> list:
    """For each of some (images, ratio, noise) the latent, mask and restore of an encoder with these weights."""
    encoder = make(*sizes).eval()
    encoder.load_state_dict(weights)
    with torch.no_grad():
        return [encoder(*call) for call in calls]


def any_vit(sizes: tuple, seed: int) -> nn.Module:
    """timm's ViT with random weights, the class token's as large as the others."""
    torch.manual_seed(seed)
    vit = timm_vit(*sizes).eval()
    nn.init.normal_(vit.cls_token)
    nn.init.normal_(vit.pos_embed, std=0.5)
    return vit


# %% test="encoder" points=6
sizes = (16, 4, 3, 8, 2, 2)  # image, patch, channels, D, depth, heads
images = checks.normal(seed=0)(2, 3, 16, 16)
noise = checks.normal(seed=1)(2, 16)

with checks.step("16 patches, half of them hidden: shapes"):
    weights = any_vit(sizes, seed=0).state_dict()
    [(latent, mask, restore)] = checks.beside(encoded, MAEEncoder, sizes, weights, [(images, 0.5, noise)])
    checks.shape(latent, (2, 9, 8), "the latent", causes={
        "hidden patches are still in the row; take them away": lambda: latent.shape[1] == 17,
        "the class token is missing": lambda: latent.shape[1] == 8,
        "the ratio was not passed on": lambda: latent.shape[1] == 5,
    })  # fmt: skip
    checks.shape(mask, (2, 16), "mask")
    checks.shape(restore, (2, 16), "restore")
    checks.dtype(restore, torch.int64, "restore")

with checks.step("the hidden pixels change, the latent does not: not by one bit"):
    patches = patchify(images, 4)
    changed = unpatchify(torch.where(mask.bool()[..., None], 100.0, patches), 4, 16, 16)
    [one, other] = checks.beside(encoded, MAEEncoder, sizes, weights, [(images, 0.5, noise), (changed, 0.5, noise)])
    checks.equal(other[0], one[0], "the latent with other hidden pixels")

with checks.step("nothing hidden, against timm's ViT with the same weights"):
    vit = any_vit(sizes, seed=1)
    [(latent, mask, restore)] = checks.beside(encoded, MAEEncoder, sizes, vit.state_dict(), [(images, 0.5, None)])
    with torch.no_grad():
        wanted = vit.forward_features(images)
        plain = vit.norm(vit.blocks(torch.cat([vit.cls_token.expand(2, -1, -1), vit.patch_embed(images) + vit.pos_embed[:, 1:]], 1)))  # fmt: skip
    checks.close(latent, wanted, "the latent", causes={
        "the class token is at the end, not in front": wanted.roll(-1, 1),
        "the class token got no position": plain,
        "the final norm is missing": lambda: checks.near(vit.norm(latent).detach(), wanted, atol=1e-4),
    })  # fmt: skip
    checks.equal(mask.float(), torch.zeros(2, 16), "mask")
    checks.equal(restore, torch.arange(16).expand(2, -1), "restore")

with checks.step("the same for images that nobody has seen"):
    images = checks.normal(checks.fresh_seed())(2, 3, 16, 16)
    [(latent, _, _)] = checks.beside(encoded, MAEEncoder, sizes, vit.state_dict(), [(images, 0.5, None)])
    checks.close(latent, vit.forward_features(images).detach(), "the latent")


# %% test="encoder" points=8
def cost(make: Callable, sizes: tuple, images: torch.Tensor, ratio: float, noise: torch.Tensor) -> int:
    """FLOPs of a forward pass."""
    encoder = make(*sizes).eval()
    with torch.no_grad():
        return profiling.flops(encoder, images, ratio, noise)


with checks.step("FLOPs with three of four patches hidden: blocks of K + 1 = 5 tokens"):
    sizes, images, noise = (16, 4, 1, 8, 3, 2), torch.zeros(2, 1, 16, 16), checks.normal(seed=1)(2, 16)
    came = checks.beside(cost, MAEEncoder, sizes, images, 0.75, noise)

    def flops_with(tokens: int, embedded: int) -> int:
        """2 images, 3 blocks of width 8 with MLP ratio 2, patches of 16 numbers."""
        return 2 * (3 * (16 * tokens * 8**2 + 4 * tokens**2 * 8) + 2 * embedded * 16 * 8)

    checks.that(
        # whoever embeds the visible patches alone saves a little; picking tokens by a matrix product costs a little
        flops_with(5, 4) <= came <= 1.2 * flops_with(5, 16),
        "the blocks see the class token and 4 patches",
        came=f"{came:,} FLOPs",
        expected=f"{flops_with(5, 16):,}",
        causes={"the blocks see all 17 tokens": came == flops_with(17, 16)},
    )

with checks.step("the noise decides, and the ratio"):
    images = checks.normal(seed=2)(2, 1, 16, 16)
    calls = [(images, 0.75, noise), (images, 0.5, noise), (images, 0.75, -noise)]
    found = checks.beside(encoded, MAEEncoder, sizes, any_vit(sizes, seed=2).state_dict(), calls)
    for (_, ratio, _), (latent, mask, _) in checks.each(calls, found):
        checks.equal(mask.float().sum(1), torch.full((2,), 16 * ratio), f"patches hidden with ratio {ratio}")
        checks.shape(latent, (2, 17 - int(16 * ratio), 8), f"the latent with ratio {ratio}")
    checks.that(not torch.equal(found[0][1], found[2][1]), "another noise hides other patches", came="the same patches")

### BEGIN HIDDEN TESTS
for seed, sizes, ratio in (
    (0, (16, 4, 1, 8, 2, 2), 0.5),
    (1, (24, 4, 3, 12, 1, 3), 0.75),
    (2, (16, 8, 2, 8, 3, 1), 0.5),
):
    with checks.step(f"against timm's ViT with patch dropout: {sizes[0]} pixels, p = {sizes[1]}, ratio {ratio}"):
        vit = any_vit(sizes, seed)
        vit.patch_drop = timm.layers.PatchDropout(ratio)  # works in train mode, and draws its own noise
        images = checks.normal(seed)(3, sizes[2], sizes[0], sizes[0])
        torch.manual_seed(seed)
        noise = torch.randn(3, vit.patch_embed.num_patches)
        call = (images, ratio, noise)
        [(latent, mask, restore)] = checks.beside(encoded, MAEEncoder, sizes, vit.state_dict(), [call])
        torch.manual_seed(seed)
        kept = int(noise.shape[1] * (1 - ratio))
        with torch.no_grad():
            wanted = vit.train().forward_features(images)
            plain = vit.patch_embed(images)
            order = noise.argsort(1)[:, :kept, None].expand(-1, -1, sizes[3])
            late = (
                torch.cat([vit.cls_token.expand(3, -1, -1), plain.gather(1, order)], 1) + vit.pos_embed[:, : kept + 1]
            )
            late = vit.norm(vit.blocks(late))
        checks.close(latent, wanted, "the latent", causes={
            "positions were added after hiding, so every visible patch has one of the first K": late,
            "the class token stands behind the patches, not in front": lambda: checks.near(latent.roll(1, 1), wanted, atol=1e-4),
            "the order of the tokens differs: least noise first": lambda: (
                checks.near(latent[:, 0], wanted[:, 0], atol=1e-4)
                and checks.near(latent.sort(1).values, wanted.sort(1).values, atol=1e-4)
            ),
        })  # fmt: skip
        checks.equal(restore.argsort(1)[:, :kept], noise.argsort(1)[:, :kept], "the visible patches, read from restore")
        checks.equal(mask.float(), (restore >= kept).float(), "mask")


class Visible(nn.Module):
    """timm's ViT over the visible patches: the oracle of a step of training."""

    def __init__(self, vit: nn.Module, order: torch.Tensor) -> None:
        super().__init__()
        self.vit, self.order = vit, order

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        vit = self.vit
        placed = vit.patch_embed(images) + vit.pos_embed[:, 1:]
        kept = torch.stack([tokens[rows] for tokens, rows in zip(placed, self.order)])
        front = (vit.cls_token + vit.pos_embed[:, :1]).repeat(len(images), 1, 1)
        return vit.norm(vit.blocks(torch.cat([front, kept], 1)))


def trained(
    make: Callable, sizes: tuple, weights: dict, images: torch.Tensor, ratio: float, noise: torch.Tensor
) -> dict:
    """An encoder in train mode: latents before and after a step, the arguments afterwards, the gradient."""
    encoder = make(*sizes).train()
    encoder.load_state_dict(weights)
    return {
        "arguments": observe.arguments_after(encoder, images, ratio, noise),
        "gradient": observe.gradients(encoder, images.clone().requires_grad_(), ratio, noise)[0],
        "latents": observe.after_a_step(encoder, images, ratio, noise, rate=0.02),
        "default": encoder(images, noise=noise)[0].shape[1],
        "modes": [module.training for module in encoder.modules()],
    }


def whole(make: Callable, sizes: tuple, images: torch.Tensor, ratios: Sequence[float]) -> list:
    """The latents of an encoder in train mode that gets no noise."""
    encoder = make(*sizes).train()
    return [encoder(images, ratio)[0] for ratio in ratios]


with checks.step("one step of gradient descent moves every part as it moves timm's ViT"):
    sizes, randn = (16, 4, 2, 8, 2, 2), checks.normal(seed=5)
    images, noise = randn(3, 2, 16, 16), randn(3, 16)
    vit = any_vit(sizes, seed=3)
    seen = checks.beside(trained, MAEEncoder, sizes, vit.state_dict(), images, 0.5, noise)
    theirs = Visible(vit, noise.argsort(1)[:, :8])
    wanted = observe.gradients(theirs, images.clone().requires_grad_())[0]

    def without(*parts: str) -> torch.Tensor:
        """The latent after the step when these parts do not learn."""
        other = copy.deepcopy(theirs)
        for name, parameter in other.vit.named_parameters():
            parameter.requires_grad_(not name.startswith(parts))
        return observe.after_a_step(other, images, rate=0.02)[1]

    causes = {
        "the patch embedding does not learn": lambda: without("patch_embed"),
        # both are added up, so a step of either one moves the sum by the same
        "the class token or its position does not learn": lambda: without("cls_token"),
        "the positions do not learn": lambda: without("pos_embed"),
        "nothing learns: the encoder runs without gradients": lambda: without(""),
    }
    before, after = observe.after_a_step(copy.deepcopy(theirs), images, rate=0.02)
    checks.close(seen["latents"][0], before, "the latent before the step", atol=1e-5)
    checks.close(seen["latents"][1], after, "the latent after the step", atol=1e-5, causes=causes)
    checks.that(seen["gradient"] is not None, "a gradient comes back to the images", came="none")
    checks.close(seen["gradient"], wanted, "the gradient that comes back to the images", atol=1e-5)
    checks.equal(len(seen["arguments"]), 2, "tensors that were given")
    checks.equal(seen["arguments"][0], images, "the images after the call")
    checks.equal(seen["arguments"][1], noise, "the noise after the call")
    checks.equal(seen["default"], 5, "tokens of the latent with the ratio of the signature, 0.75")
    checks.that(all(seen["modes"]), "the encoder stays in train mode", came="parts in eval mode")

with checks.step("in train mode, without noise: nothing is hidden, and the ratio does not matter"):
    ratios = (0.75, 0.0, 1.0)
    for ratio, latent in checks.each(ratios, checks.beside(whole, MAEEncoder, sizes, images, ratios)):
        checks.shape(latent, (3, 17, 8), f"the latent with ratio {ratio}")


def places(make: Callable, sizes: tuple) -> list:
    """Where latent, mask and restore lie when everything lies on the meta device, and their dtypes in float64."""
    meta = make(*sizes).to("meta")
    lie = [str(tensor.device) for tensor in meta(torch.zeros(2, sizes[2], sizes[0], sizes[0], device="meta"))]
    double = make(*sizes).double()
    found = double(torch.zeros(1, sizes[2], sizes[0], sizes[0], dtype=torch.float64))
    return [lie, str(found[0].dtype), str(found[2].dtype)]


with checks.step("images on another device, and images of float64"):
    came = checks.beside(places, MAEEncoder, (16, 4, 1, 8, 1, 2))
    checks.equal(came, [["meta"] * 3, "torch.float64", "torch.int64"], "devices, and dtypes of latent and restore")
### END HIDDEN TESTS


# %% given="bare" after="decoder-hints"
# what both tests of the exercise use
def bare(make: Callable, latent: torch.Tensor, restore: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Predictions of a decoder that changes nothing: no blocks, no norm, its linear layers copy, mask token -1."""
    width = latent.shape[2]
    decoder = make(restore.shape[1], width, width, 0, 1, width)
    decoder.blocks, decoder.norm = nn.Identity(), nn.Identity()
    with torch.no_grad():
        for linear in (decoder.embed, decoder.head):
            linear.weight.copy_(torch.eye(width))
            linear.bias.zero_()
        decoder.mask_token.fill_(-1.0)
        decoder.pos_embed.copy_(positions)
        return decoder(latent, restore)


# %% test="decoder" points=4
# one image of 5 patches; visible are patch 3, then patch 1; the tokens are class 9, then 30 and 10
latent = torch.tensor([[[9.0], [30.0], [10.0]]])
restore = torch.tensor([[2, 1, 4, 0, 3]])

with checks.step("5 patches, patches 3 and 1 visible, no positions"):
    came = checks.beside(bare, MAEDecoder, latent, restore, torch.zeros(1, 6, 1))
    checks.shape(came, (1, 5, 1), "the predictions", causes={
        "the class token's prediction was not left out": lambda: came.shape[1] == 6,
        "only the visible patches were predicted": lambda: came.shape[1] in (2, 3),
    })  # fmt: skip
    checks.close(came[0, :, 0], torch.tensor([-1.0, 10, -1, 30, -1]), "the predictions", causes={
        "the row was not brought back to the order of the image": torch.tensor([30.0, 10, -1, -1, -1]),
        "the row was read at the inverse of restore": torch.tensor([-1.0, 10, 30, -1, -1]),
        "the last token was left out, not the class token": torch.tensor([9.0, -1, 10, -1, 30]),
        "the class token was unshuffled together with the patches": torch.tensor([10.0, 30, -1, 9, -1]),
        "the mask tokens stand before the visible ones": torch.tensor([-1.0, -1, 10, -1, 30]),
        "the mask token was not used; hidden places are 0": torch.tensor([0.0, 10, 0, 30, 0]),
    })  # fmt: skip

with checks.step("the same with positions 100, 101, ..., 105"):
    positions = torch.arange(100.0, 106)[None, :, None]
    came = checks.beside(bare, MAEDecoder, latent, restore, positions)
    checks.close(came[0, :, 0], torch.tensor([100.0, 112, 102, 134, 104]), "the predictions", causes={
        "no positions were added": torch.tensor([-1.0, 10, -1, 30, -1]),
        "patch i got position i; entry 0 is the class token's": torch.tensor([99.0, 111, 101, 133, 103]),
        "positions were added before the row was unshuffled, so they moved with it": torch.tensor([102.0, 112, 104, 131, 103]),
        "hidden places got no position": torch.tensor([-1.0, 112, -1, 134, -1]),
    })  # fmt: skip

with checks.step("numbers that nobody has seen, with patch 4 visible, then patch 2"):
    latent, positions = checks.normal(checks.fresh_seed())(2, 6, 1).split(1)
    came = checks.beside(bare, MAEDecoder, latent[:, :3], torch.tensor([[2, 3, 1, 4, 0]]), positions)
    wanted = positions[:, 1:] - 1
    wanted[:, 4] += latent[:, 1] + 1
    wanted[:, 2] += latent[:, 2] + 1
    checks.close(came, wanted, "the predictions")


# %% test="decoder" points=5
def reach(make: Callable, latent: torch.Tensor, restore: torch.Tensor) -> dict:
    """What the prediction of each patch depends on, in a decoder with a block, and what learns."""
    torch.manual_seed(0)
    decoder = make(restore.shape[1], latent.shape[2], 8, 1, 2, 6)
    latent = latent.clone().requires_grad_()
    out = decoder(latent, restore)
    heard = []
    for i in range(out.shape[1]):
        (gradient,) = torch.autograd.grad(out[:, i].square().sum(), latent, retain_graph=True, allow_unused=True)
        heard.append((torch.zeros_like(latent) if gradient is None else gradient) != 0)
    out.square().sum().backward()
    idle = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
    return {"out": out, "tokens": torch.stack(heard, 1).any(-1), "idle": idle}


with checks.step("a decoder with a block: every patch hears every visible token"):
    randn = checks.normal(seed=0)
    seen = checks.beside(reach, MAEDecoder, randn(2, 4, 5), randn(2, 9).argsort(1))
    checks.shape(seen["out"], (2, 9, 6), "the predictions")
    checks.that(
        bool(seen["tokens"][:, :, 1:].all()),
        "each prediction depends on each visible token",
        came="predictions that do not",
        causes={
            "the latent was cut off from the graph": lambda: not bool(seen["tokens"].any()),
            "the blocks were not called": lambda: "blocks.0.norm1.weight" in seen["idle"],
        },
    )
    checks.equal(seen["idle"], [], "parameters that get no gradient")

with checks.step("hidden places differ by their positions"):
    spread = (seen["out"][:, :, None] - seen["out"][:, None]).abs().amax(-1) + torch.eye(9)
    checks.that(bool((spread > 1e-4).all()), "no two places have the same prediction", came="two alike")

### BEGIN HIDDEN TESTS
for seed, (batch, count, kept, width) in ((0, (4, 16, 8, 3)), (1, (3, 9, 1, 2)), (2, (2, 25, 6, 4)), (3, (1, 4, 4, 1))):
    with checks.step(f"{batch} images of {count} patches, {kept} visible, against a loop"):
        randn = checks.normal(seed)
        latent, order = randn(batch, kept + 1, width), randn(batch, count).argsort(1)
        positions = randn(1, count + 1, width)
        wanted = (positions[:, 1:] - 1.0).repeat(batch, 1, 1)
        for image in range(batch):
            for place in range(kept):
                patch = int(order[image, place])
                wanted[image, patch] = latent[image, place + 1] + positions[0, patch + 1]
        came = checks.beside(bare, MAEDecoder, latent, order.argsort(1), positions)
        checks.close(came, wanted, "the predictions", causes={
            "the way back of the first image was used for all": lambda: (
                checks.near(came[:1], wanted[:1]) and not checks.near(came, wanted)
            ),
        })  # fmt: skip


class Filled(nn.Module):
    """The decoder patch by patch, with the parts of the learner's: the oracle of a step of training."""

    def __init__(self, count: int, dim: int, width: int, depth: int, heads: int, values: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(dim, width), nn.Linear(width, values)
        self.mask_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, count + 1, width))
        self.blocks, self.norm = transformer_blocks(width, depth, heads), nn.LayerNorm(width, eps=1e-6)

    def forward(self, latent: torch.Tensor, restore: torch.Tensor) -> torch.Tensor:
        rows = []
        for tokens, places in zip(self.embed(latent), restore.tolist()):
            known = len(tokens) - 1
            row = [tokens[0], *(tokens[1 + place] if place < known else self.mask_token[0, 0] for place in places)]
            rows.append(torch.stack(row))
        return self.head(self.norm(self.blocks(torch.stack(rows) + self.pos_embed))[:, 1:])


def trained(make: Callable, sizes: tuple, weights: dict, latent: torch.Tensor, restore: torch.Tensor) -> dict:
    """A decoder in train mode: predictions before and after a step, the arguments afterwards, the gradient."""
    decoder = make(*sizes).train()
    decoder.load_state_dict(weights)
    return {
        "arguments": observe.arguments_after(decoder, latent, restore),
        "gradient": observe.gradients(decoder, latent.clone().requires_grad_(), restore)[0],
        "predictions": observe.after_a_step(decoder, latent, restore, rate=0.02),
    }


with checks.step("one step of gradient descent moves every part, against a decoder that is written patch by patch"):
    sizes, randn = (9, 5, 8, 2, 2, 6), checks.normal(seed=7)
    latent, restore = randn(3, 5, 5), randn(3, 9).argsort(1)
    torch.manual_seed(4)
    oracle = Filled(*sizes)
    seen = checks.beside(trained, MAEDecoder, sizes, oracle.state_dict(), latent, restore)

    def without(*parts: str) -> torch.Tensor:
        """The predictions after the step when these parts do not learn."""
        other = copy.deepcopy(oracle)
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(not name.startswith(parts))
        return observe.after_a_step(other, latent, restore, rate=0.02)[1]

    def placeless() -> torch.Tensor:
        """The predictions when the class token gets no position."""
        other = copy.deepcopy(oracle)
        with torch.no_grad():
            other.pos_embed[:, 0] = 0
            return other(latent, restore)

    wanted = observe.gradients(oracle, latent.clone().requires_grad_(), restore)[0]
    before, after = observe.after_a_step(copy.deepcopy(oracle), latent, restore, rate=0.02)
    unheard = seen["gradient"] is not None and not bool(seen["gradient"][:, 0].any())
    checks.close(seen["predictions"][0], before, "the predictions before the step", atol=1e-5, causes={
        "the class token of the latent was left behind": unheard,
        "the class token got no position; entry 0 is its": placeless,
    })  # fmt: skip
    checks.close(seen["predictions"][1], after, "the predictions after the step", atol=1e-5, causes={
        "the mask token does not learn": lambda: without("mask_token"),
        "the positions do not learn": lambda: without("pos_embed"),
        "the first layer does not learn": lambda: without("embed"),
    })  # fmt: skip
    checks.that(seen["gradient"] is not None, "a gradient comes back to the latent", came="none")
    checks.close(seen["gradient"], wanted, "the gradient that comes back to the latent", atol=1e-5)
    checks.equal(len(seen["arguments"]), 2, "tensors that were given")
    checks.equal(seen["arguments"][0], latent, "the latent after the call")
    checks.equal(seen["arguments"][1], restore, "restore after the call")
### END HIDDEN TESTS

# %% test="targets" points=4
# two channels, one patch of 2 x 2 beside another that is flat
images = torch.tensor([[[[0.0, 1, 5, 5], [2, 3, 5, 5]], [[4.0, 5, 5, 5], [6, 7, 5, 5]]]])

with checks.step("raw targets of a 2 x 4 image with two channels, p = 2"):
    came = patch_targets(images, 2, False)
    checks.shape(came, (1, 2, 8), "the targets")
    checks.equal(came, torch.stack([torch.arange(8.0), torch.full((8,), 5.0)])[None], "the targets", causes={
        "the order in a patch is row, column, channel; patchify has channel, row, column": torch.tensor([[[0.0, 4, 1, 5, 2, 6, 3, 7], [5] * 8]]),
        "they were normalized though normalize is False": lambda: came.mean().abs().item() < 1e-3,
    })  # fmt: skip

with checks.step("normalized targets: the first patch has mean 3.5 and variance 42/7 = 6 (or 42/8)"):
    came = patch_targets(images, 2, True)
    centered = torch.arange(8.0) - 3.5
    wanted = centered / math.sqrt(6)
    biased = centered / math.sqrt(42 / 8)
    per_channel = torch.tensor([-1.5, -0.5, 0.5, 1.5]).repeat(2) / math.sqrt(5 / 3)
    first = came[0, 0]
    if checks.near(first, biased):
        wanted = biased  # divided by P: right as well
    checks.close(first, wanted, "the target of the first patch", causes={
        "the mean was subtracted, but nothing was divided": centered,
        "divided by the variance, not by its root": lambda: checks.near(first, centered / 6) or checks.near(first, centered / 5.25),
        "each channel of the patch was normalized alone": lambda: (
            checks.near(first, per_channel) or checks.near(first, per_channel * math.sqrt(4 / 3))
        ),
        "the whole image was normalized, not each patch": lambda: abs(came[0].mean().item()) < 1e-3 and abs(first.mean().item()) > 0.1,
    })  # fmt: skip
    checks.close(came[0, 1], torch.zeros(8), "the target of the flat patch", causes={
        "0 / 0: eps is missing": lambda: not bool(came[0, 1].isfinite().all()),
    })  # fmt: skip

with checks.step("two flat halves and a pattern that nobody has seen"):
    pattern = checks.normal(checks.fresh_seed())(1, 1, 3, 3)
    raw = patch_targets(torch.cat([pattern, pattern + 10], -1), 3, False)
    checks.equal(raw, torch.stack([pattern.flatten(), (pattern + 10).flatten()])[None], "the raw targets")
    normal = patch_targets(pattern, 3, True)[0, 0]
    slope = (normal @ normal / (pattern.flatten() - pattern.mean()).square().sum()).sqrt()
    wanted = (pattern - pattern.mean()).flatten() * slope
    checks.close(normal, wanted, "the normalized target, but for its scale", atol=1e-4)
    checks.that(
        7.9 < float(normal.square().sum()) < 9.1,
        "the squares of a normalized target add up to P - 1 or P",
        came=f"{float(normal.square().sum()):.2f} for P = 9",
    )

# %% test="targets" points=6
with checks.step("the images stay as they are"):
    images = checks.normal(seed=0)(2, 3, 8, 8)
    for normalize in (False, True):
        after = checks.beside(observe.arguments_after, patch_targets, images, 4, normalize)[0]
        checks.equal(after, images, f"the images after the call with normalize={normalize}")

with checks.step("brighter and stronger: normalized targets do not see it"):
    came = patch_targets(3.0 * images + 7.0, 4, True)
    checks.close(came, patch_targets(images, 4, True).detach(), "the targets of 3 x + 7", atol=1e-3)

### BEGIN HIDDEN TESTS
for seed, size, p, eps in ((0, (2, 1, 8, 8), 4, 1e-6), (1, (3, 3, 8, 12), 4, 1e-6), (2, (1, 2, 6, 6), 3, 0.5)):
    with checks.step(f"images {size}, p = {p}, eps = {eps}, against a loop over patches"):
        images = checks.normal(seed, dtype=torch.float64)(*size)
        images[0, :, :p, :p] = 0.3 + 1e-4 * images[0, :, :p, :p]  # nearly flat: eps counts
        rows = [
            image[:, i : i + p, j : j + p].reshape(-1)
            for image in images
            for i in range(0, size[2], p)
            for j in range(0, size[3], p)
        ]
        raw = torch.stack(rows).reshape(size[0], -1, size[1] * p * p)

        def loop(spare: int, root: Callable) -> torch.Tensor:
            """Each patch by itself; the variance divided by P - spare."""
            found = []
            for row in rows:
                mean = sum(row.tolist()) / len(row)
                variance = sum((value - mean) ** 2 for value in row.tolist()) / (len(row) - spare)
                found.append((row - mean) / root(variance))
            return torch.stack(found).reshape(raw.shape)

        def inside(variance: float) -> float:
            return math.sqrt(variance + eps)

        def outside(variance: float) -> float:
            return math.sqrt(variance) + eps

        checks.equal(patch_targets(images, p, False), raw, "the raw targets")
        came = patch_targets(images, p, True, eps) if eps != 1e-6 else patch_targets(images, p, True)  # the default
        wanted = loop(0, inside) if checks.near(came, loop(0, inside), rtol=1e-6, atol=1e-8) else loop(1, inside)
        checks.close(came, wanted, "the normalized targets", rtol=1e-6, atol=1e-8, causes={
            "eps was added outside of the root": lambda: checks.near(came, loop(0, outside)) or checks.near(came, loop(1, outside)),
            "eps was not read": lambda: eps == 0.5 and (checks.near(came, loop(0, lambda v: math.sqrt(v + 1e-6))) or checks.near(came, loop(1, lambda v: math.sqrt(v + 1e-6)))),
        })  # fmt: skip

with checks.step("one patch that is the whole image, and patches of one pixel"):
    for p in (4, 1):
        images = checks.normal(seed=5)(2, 3, 4, 4)
        after = checks.beside(observe.arguments_after, patch_targets, images, p, True)[0]
        checks.equal(after, images, f"the images after the call with p = {p}")
        checks.shape(patch_targets(images, p, True), (2, 16 // p**2, 3 * p * p), f"the targets with p = {p}")

with checks.step("images of float32 give targets of float32"):
    small = checks.normal(seed=4)(1, 2, 4, 6)
    for normalize in (False, True):
        checks.dtype(patch_targets(small, 2, normalize), torch.float32, f"the targets with normalize={normalize}")
### END HIDDEN TESTS

# %% test="loss" points=4
# two patches of two numbers in one image; patch 1 is hidden
target = torch.zeros(1, 2, 2)
pred = torch.tensor([[[1.0, 1.0], [3.0, -5.0]]])
mask = torch.tensor([[0.0, 1.0]])

with checks.step("one of two patches hidden, errors 3 and 5: (9 + 25) / 2"):
    for kind in (mask, mask.bool()):
        loss = mae_loss(pred, target, kind)
        checks.shape(loss, (), "the loss")
        checks.close(loss, torch.tensor(17.0), f"the loss with a {kind.dtype} mask", causes={
            "visible and hidden changed places": torch.tensor(1.0),
            "all patches were counted, not the hidden ones alone": torch.tensor(9.0),
            "the sum was divided by all patches, not by the hidden ones": torch.tensor(8.5),
            "the numbers of a patch were summed, not averaged": torch.tensor(34.0),
            "the error is absolute, not squared": torch.tensor(4.0),
            "a root was taken; the error stays squared": torch.tensor(math.sqrt(17)),
        })  # fmt: skip

with checks.step("nothing hidden"):
    checks.raises(ValueError, mae_loss, pred, target, torch.zeros(1, 2), name="a mask of zeros")

with checks.step("errors that nobody has seen, the middle one of three patches hidden"):
    pred, target = checks.normal(checks.fresh_seed())(2, 1, 3, 4)
    wanted = (pred[0, 1] - target[0, 1]).square().mean()
    checks.close(mae_loss(pred, target, torch.tensor([[0.0, 1.0, 0.0]])), wanted, "the loss")

# %% test="loss" points=6
with checks.step("the gradient: none for what was visible"):
    randn = checks.normal(seed=0)
    pred, target = randn(2, 4, 3).requires_grad_(), randn(2, 4, 3)
    mask = torch.tensor([[0.0, 1, 0, 1], [1, 0, 0, 1]])
    (gradient,) = checks.beside(observe.gradients, mae_loss, pred, target, mask)
    checks.that(gradient is not None, "a gradient flows into the prediction", came="none")
    checks.equal(gradient[mask == 0], torch.zeros(4, 3), "the gradient of visible patches")
    checks.that(bool((gradient[mask == 1] != 0).all()), "hidden patches get one", came="zeros")

### BEGIN HIDDEN TESTS
for seed, (batch, count, width) in ((0, (3, 5, 4)), (1, (4, 16, 12)), (2, (1, 2, 1))):
    with checks.step(f"different numbers of hidden patches in {batch} images of {count}, against a loop"):
        randn = checks.normal(seed, dtype=torch.float64)
        pred, target = randn(batch, count, width), randn(batch, count, width)
        mask = (torch.arange(count) <= torch.arange(batch)[:, None] * 2).double()
        total, hidden, by_image = 0.0, 0, []
        for p_image, t_image, m_image in zip(pred.tolist(), target.tolist(), mask.tolist()):
            errors = [
                sum((a - b) ** 2 for a, b in zip(p_row, t_row)) / width
                for p_row, t_row, m in zip(p_image, t_image, m_image)
                if m
            ]
            total, hidden = total + sum(errors), hidden + len(errors)
            by_image.append(sum(errors) / len(errors))
        wanted = torch.tensor(total / hidden, dtype=torch.float64)
        checks.close(mae_loss(pred, target, mask), wanted, "the loss", rtol=1e-9, atol=1e-12, causes={
            "first a mean for each image, then the mean of those; images with few hidden patches weigh too much": torch.tensor(
                sum(by_image) / batch, dtype=torch.float64
            ),
        })  # fmt: skip

with checks.step("a prediction of float32 and a mask of float64; the arguments after the call"):
    pred, target, mask = checks.normal(seed=3)(2, 4, 3), checks.normal(seed=4)(2, 4, 3), torch.eye(4)[:2].double()
    after = checks.beside(observe.arguments_after, mae_loss, pred, target, mask)
    for name, left, given in zip(("pred", "target", "mask"), after, (pred, target, mask), strict=True):
        checks.equal(left, given, f"{name} after the call")
    checks.dtype(mae_loss(pred, target, mask), torch.float32, "the loss")

with checks.step("one of 392 patches is hidden, in the second of two images, with errors of 300 and -400"):
    mask = torch.zeros(2, 196)
    mask[1, 77] = 1
    pred = checks.normal(seed=7)(2, 196, 2)
    pred[1, 77] = torch.tensor([300.0, -400.0])
    checks.close(mae_loss(pred, torch.zeros_like(pred), mask), torch.tensor(125_000.0), "the loss")
### END HIDDEN TESTS


# %% test="decoder" points=5 after="loss-text-1"
def by_heart(make_encoder: Callable, make_decoder: Callable, images: torch.Tensor, seed: int) -> dict:
    """The loss on hidden patches in each of 60 steps on the same images, and what was learned.

    The same patches are hidden in all images.
    """
    torch.manual_seed(seed)
    encoder, decoder = make_encoder(16, 4, 1, 32, 1, 4), make_decoder(16, 32, 24, 1, 4, 16)
    noise = torch.rand(1, 16).expand(len(images), -1)  # the same patches of all: only the latent tells them apart
    target = patchify(images, 4)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    losses = []
    for _ in range(60):
        latent, mask, restore = encoder(images, 0.5, noise)
        error = (decoder(latent, restore) - target).square().mean(-1)
        loss = error[mask.bool()].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    parts = [dict(part.state_dict()) for part in (encoder, decoder)]
    latent, mask, restore = encoder(images, 0.5, noise)
    return {"losses": losses, "weights": parts, "predictions": decoder(latent, restore), "noise": noise[:1]}


with checks.step("eight digits, half hidden, learned by heart in 60 steps"):
    images = datasets.digits(size=16).x_train[:8]
    learned = checks.beside(by_heart, MAEEncoder, MAEDecoder, images, 0)
    losses = learned["losses"]
    checks.equal(len(losses), 60, "the number of losses")
    print(f"loss on hidden patches: {losses[0]:.2f} at first, {losses[-1]:.2f} after 60 steps")
    checks.that(
        losses[-1] < 0.2,
        "the loss on hidden patches falls below 0.2",
        came=f"{losses[-1]:.2f}",
        causes={"it hardly moved: is something between image and prediction cut off?": losses[-1] > 0.7 * losses[0]},
    )

### BEGIN HIDDEN TESTS
with checks.step("from another start: the predictions are those of the weights, and as good as the losses say"):
    learned = checks.beside(by_heart, MAEEncoder, MAEDecoder, images, 7)
    order = learned["noise"].argsort(1)
    vit = timm_vit(16, 4, 1, 32, 1, 4)
    vit.load_state_dict(learned["weights"][0])
    tokens = (vit.patch_embed(images) + vit.pos_embed[:, 1:])[:, order[0, :8]]
    row = torch.cat([(vit.cls_token + vit.pos_embed[:, :1]).expand(8, -1, -1), tokens], 1)
    latent = vit.norm(vit.blocks(row)).detach()
    state = learned["weights"][1]
    embedded = latent @ state["embed.weight"].T + state["embed.bias"]
    filled = state["mask_token"].repeat(8, 16, 1)
    filled[:, order[0, :8]] = embedded[:, 1:]
    blocks = transformer_blocks(24, 1, 4)
    blocks.load_state_dict({name.removeprefix("blocks."): v for name, v in state.items() if name.startswith("blocks.")})
    through = blocks(torch.cat([embedded[:, :1], filled], 1) + state["pos_embed"]).detach()
    through = F.layer_norm(through, (24,), state["norm.weight"], state["norm.bias"], 1e-6)
    wanted = (through @ state["head.weight"].T + state["head.bias"])[:, 1:]
    checks.close(learned["predictions"], wanted, "the predictions after 60 steps", atol=1e-3)
    error = (wanted - patchify(images, 4)).square().mean(-1)[:, order[0, 8:]].mean().item()
    checks.that(error < 0.2, "the loss on hidden patches, computed again, is below 0.2", came=f"{error:.2f}")
### END HIDDEN TESTS

# %% test="baselines" points=6
# one image of 2 x 3 patches of one pixel: values 1 to 6; visible are patch 0 (value 1) and patch 5 (value 6)
images = torch.arange(1.0, 7).reshape(1, 1, 2, 3)
mask = torch.tensor([[0.0, 1, 1, 1, 1, 0]])

with checks.step("2 x 3 patches of one pixel, the first and the last visible"):
    for kind in (mask, mask.bool()):
        guesses = reconstruction_baselines(images, kind, 1)
        checks.equal(sorted(guesses), ["nearest_visible", "visible_mean"], "the names of the guesses")
        for name, guess in guesses.items():
            checks.shape(guess, (1, 6, 1), name)
        checks.close(guesses["visible_mean"][0, :, 0], torch.full((6,), 3.5), "visible_mean", causes={
            "hidden patches were counted as zeros": torch.full((6,), 7 / 6),
            "the sum of the visible patches was not divided": torch.full((6,), 7.0),
        })  # fmt: skip
        # patch 1 is 1 from patch 0 and sqrt(2) from patch 5; patch 2 is 2 and 1 away; patch 3 is 1 and 2; patch 4 sqrt(2) and 1
        wanted = torch.tensor([1.0, 1, 6, 1, 6, 6])
        checks.close(guesses["nearest_visible"][0, :, 0], wanted, "nearest_visible", causes={
            "distances were measured along the row of patches, or in a grid of other proportions": torch.tensor([1.0, 1, 1, 6, 6, 6]),
            "the farthest visible patch was copied": torch.tensor([6.0, 6, 1, 6, 1, 1]),
            "the nearest patch of all is the hidden one itself": torch.arange(1.0, 7),
        })  # fmt: skip

with checks.step("visible_mean averages numbers of the same place in the patch"):
    images = torch.tensor([[[[0.0, 10, 4, 30], [20, 30, 40, 50]]]])  # two patches of 2 x 2, both visible
    guess = reconstruction_baselines(images, torch.zeros(1, 2), 2)["visible_mean"]
    checks.close(guess[0, 0], torch.tensor([2.0, 20, 30, 40]), "visible_mean", causes={
        "all pixels were averaged to one gray": torch.full((4,), 23.0),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("images of float64, and the arguments after the call"):
    randn = checks.normal(seed=6, dtype=torch.float64)
    images, mask = randn(2, 1, 4, 6), (randn(2, 6) > 0).double()
    mask[:, 2] = 0
    after = checks.beside(observe.arguments_after, reconstruction_baselines, images, mask, 2)
    for name, left, given in zip(("images", "mask"), after, (images, mask), strict=True):
        checks.equal(left, given, f"{name} after the call")
    guesses = reconstruction_baselines(images, mask, 2)
    for name in ("visible_mean", "nearest_visible"):
        checks.dtype(guesses[name], torch.float64, name)

for seed, (channels, height, width, p), kept in ((0, (1, 16, 16, 4), 8), (1, (3, 8, 12, 2), 6), (2, (2, 6, 15, 3), 2)):
    with checks.step(f"three images {channels} x {height} x {width}, p = {p}, {kept} patches visible, against a loop"):
        randn = checks.normal(seed)
        images, rows, columns = randn(3, channels, height, width), height // p, width // p
        mask = (randn(3, rows * columns).argsort(1).argsort(1) >= kept).float()
        guesses = reconstruction_baselines(images, mask, p)
        mean, copies, last, blocks_away = [], [], [], []
        for image, hidden in zip(images, mask.tolist()):
            patch = {
                i: image[:, i // columns * p : i // columns * p + p, i % columns * p : i % columns * p + p].reshape(-1)
                for i in range(rows * columns)
            }
            seen = [i for i in patch if not hidden[i]]
            mean.append(sum(patch[i] for i in seen) / len(seen))
            for i in patch:
                down = {j: abs(i // columns - j // columns) for j in seen}
                across = {j: abs(i % columns - j % columns) for j in seen}
                copies.append(patch[min(seen, key=lambda j: (down[j] ** 2 + across[j] ** 2, j))])
                last.append(patch[min(seen, key=lambda j: (down[j] ** 2 + across[j] ** 2, -j))])
                blocks_away.append(patch[min(seen, key=lambda j: (down[j] + across[j], j))])
        wanted, *others = (
            torch.stack(rows_of).reshape(3, rows * columns, -1) for rows_of in (copies, last, blocks_away)
        )
        checks.close(
            guesses["visible_mean"], torch.stack(mean)[:, None].expand(-1, rows * columns, -1), "visible_mean", causes={
                "the mean was taken over the whole batch": torch.stack(mean).mean(0).expand(3, rows * columns, -1),
            }
        )  # fmt: skip
        checks.close(guesses["nearest_visible"], wanted, "nearest_visible", causes={
            "of patches equally near, the one with the smallest number is asked for": others[0],
            "steps down and across were added; take the straight line": others[1],
        })  # fmt: skip

with checks.step("visible_mean of images of float64, to the ninth digit"):
    randn = checks.normal(seed=6, dtype=torch.float64)
    images, mask = randn(2, 1, 4, 6), (randn(2, 6) > 0).double()
    mask[:, 2] = 0
    guesses = reconstruction_baselines(images, mask, 2)
    rows = [[part for part, hidden in zip(*pair) if not hidden] for pair in zip(patchify(images, 2), mask.tolist())]
    wanted = torch.stack([torch.stack(row).mean(0).expand(6, -1) for row in rows])
    checks.close(guesses["visible_mean"], wanted, "visible_mean", rtol=1e-9, atol=1e-12)
### END HIDDEN TESTS

# %% test="simmim" points=4
with checks.step("a grid of 2 x 4 patches in two units of 2 x 2, the right one hidden"):
    noise = torch.tensor([[0.1, 0.7], [0.8, 0.2]])
    came = simmim_mask((2, 4), 2, 0.5, noise)
    checks.shape(came, (2, 8), "the mask")
    wanted = torch.tensor([[0.0, 0, 1, 1, 0, 0, 1, 1], [1, 1, 0, 0, 1, 1, 0, 0]])
    checks.equal(came.float(), wanted, "the mask", causes={
        "1 must mean hidden": 1 - wanted,
        "repeat gives a b a b; each unit's number must stand for its own patches: a a b b": torch.tensor([[0.0, 1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 1, 0]]),
        "every number was repeated unit * unit times in a row; a unit has two dimensions": lambda: (
            checks.near(came.float(), torch.tensor([[0.0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0, 0]]))
            and checks.near(
                simmim_mask((2, 6), 2, 0.5, torch.tensor([[0.1, 0.9, 0.8]])).float(),
                torch.tensor([[0.0] * 4 + [1.0] * 8]),
            )
        ),
        "all images have the mask of the first": wanted[:1].expand(2, -1),
    })  # fmt: skip

with checks.step("what does not fit"):
    checks.raises(ValueError, simmim_mask, (4, 6), 4, 0.5, torch.rand(1, 2), name="units of 4 in a grid of 4 x 6")
    for ratio in (0.0, 1.0, -0.5, 1.5):
        checks.raises(ValueError, simmim_mask, (4, 4), 2, ratio, torch.rand(1, 4), name=f"ratio={ratio}")
    checks.raises(ValueError, simmim_mask, (4, 4), 2, 0.9, torch.rand(1, 4), name="ratio=0.9 with 4 units")

### BEGIN HIDDEN TESTS
for seed, grid, unit, ratio in (
    (0, (6, 4), 2, 0.5), (1, (4, 8), 1, 0.75), (2, (9, 6), 3, 0.6), (3, (8, 8), 2, 0.6), (4, (4, 6), 2, 0.75),
):  # fmt: skip
    with checks.step(f"grid {grid}, units of {unit}, ratio {ratio}: against a loop over cells"):
        units = (grid[0] // unit) * (grid[1] // unit)
        order = torch.randperm(3 * units, generator=torch.Generator().manual_seed(seed)).reshape(3, units)
        noise = 1 + 1e-6 * order  # different numbers, but nearly equal ones
        wanted = torch.zeros(3, grid[0] * grid[1])
        for image in range(3):
            order = sorted(range(units), key=noise[image].tolist().__getitem__)
            for number in order[int(units * (1 - ratio)) :]:
                for i in range(grid[0]):
                    for j in range(grid[1]):
                        if i // unit * (grid[1] // unit) + j // unit == number:
                            wanted[image, i * grid[1] + j] = 1.0
        came, kept = simmim_mask(grid, unit, ratio, noise).float(), int(units * (1 - ratio))
        checks.equal(came, wanted, "the mask", causes={
            "the number of visible units was rounded, not cut": lambda: (
                (1 - came).sum().item() == 3 * round(units * (1 - ratio)) * unit**2 != 3 * kept * unit**2
            ),
        })  # fmt: skip

with checks.step("ratio 0.9 with ten units: int(10 * (1 - 0.9)) is 0"):
    checks.raises(ValueError, simmim_mask, (2, 5), 1, 0.9, torch.rand(1, 10), name="ratio=0.9 with 10 units")

for grid, unit in (((6, 8), 4), ((8, 6), 4), ((4, 9), 6)):
    with checks.step(f"units of {unit} in a grid of {grid}: the area fits, a side does not"):
        units = grid[0] * grid[1] // unit**2
        checks.raises(ValueError, simmim_mask, grid, unit, 0.5, torch.rand(1, units), name=f"unit {unit} in {grid}")

with checks.step("the dtype of the mask, and the noise after the call"):
    noise = checks.normal(seed=8, dtype=torch.float64)(2, 6)
    left = checks.beside(observe.arguments_after, simmim_mask, (4, 6), 2, 0.5, noise)
    checks.equal(left[0], noise, "the noise after the call")
    checks.dtype(simmim_mask((4, 6), 2, 0.5, noise), torch.float32, "the mask")
### END HIDDEN TESTS


# %% test="simmim" points=4
def predicted(make: Callable, make_encoder: Callable, sizes: tuple, weights: dict, calls: list) -> list:
    """The predictions of a model with these weights for some (images, mask)."""
    model = make(make_encoder(*sizes), 6).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        return [model(*call) for call in calls]


class Covered(nn.Module):
    """A step of a ViT after which hidden tokens (of the last N) are the mask token."""

    def __init__(self, step: nn.Module, token: torch.Tensor, mask: torch.Tensor) -> None:
        super().__init__()
        self.step, self.token, self.hidden = step, token, mask.bool()[..., None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.step(x)
        first = x.shape[1] - self.hidden.shape[1]
        return torch.cat([x[:, :first], torch.where(self.hidden, self.token, x[:, first:])], 1)


sizes = (16, 4, 2, 8, 2, 2)
images = checks.normal(checks.fresh_seed())(3, 2, 16, 16)
mask = (checks.normal(seed=1)(3, 16) > 0).float()
torch.manual_seed(0)
whole, last, token = timm_vit(*sizes), nn.Linear(8, 6), torch.randn(1, 1, 8)
nn.init.normal_(whole.cls_token)
weights = {f"encoder.{name}": value for name, value in whole.state_dict().items()}
weights |= {"mask_token": token, "head.weight": last.weight.detach(), "head.bias": last.bias.detach()}

with checks.step("predictions for every patch, with a float and with a bool mask"):
    calls = [(images, mask), (images, mask.bool())]
    [came, same] = checks.beside(predicted, SimMIM, MAEEncoder, sizes, weights, calls)
    checks.shape(came, (3, 16, 6), "the predictions", causes={
        "the class token's prediction was not left out": lambda: came.shape[1] == 17,
    })  # fmt: skip
    checks.close(same, came, "the predictions with a bool mask")

with checks.step("against timm's ViT with the same weights, its embedded patches exchanged before positions are added"):

    def through_timm(exchange: str, hidden: torch.Tensor) -> torch.Tensor:
        """timm's ViT, with hidden tokens exchanged after its step `exchange`, and the head."""
        vit = copy.deepcopy(whole).eval()
        setattr(vit, exchange, Covered(getattr(vit, exchange), token, hidden))
        with torch.no_grad():
            return last(vit.forward_features(images))

    wanted = through_timm("patch_embed", mask)
    checks.close(came, wanted[:, 1:], "the predictions", causes={
        "the mask token replaced patch and position; add positions after it": through_timm("pos_drop", mask)[:, 1:],
        "visible patches were replaced, not hidden ones": through_timm("patch_embed", 1 - mask)[:, 1:],
        "nothing was replaced: the encoder saw the hidden patches": through_timm("patch_embed", 0 * mask)[:, 1:],
        "the last token's prediction was left out, not the class token's": wanted[:, :-1],
    })  # fmt: skip

with checks.step("hidden pixels change, the predictions do not"):
    changed = unpatchify(torch.where(mask.bool()[..., None], 100.0, patchify(images, 4)), 4, 16, 16)
    [one, other] = checks.beside(predicted, SimMIM, MAEEncoder, sizes, weights, [(images, mask), (changed, mask)])
    checks.equal(other, one, "the predictions with other hidden pixels")


# %% test="simmim" points=4
target = torch.zeros(1, 2, 2)
pred = torch.tensor([[[1.0, 1.0], [3.0, -5.0]]])

with checks.step("one of two patches hidden, errors 3 and 5"):
    for kind in (torch.tensor([[0.0, 1.0]]), torch.tensor([[False, True]])):
        loss = simmim_loss(pred, target, kind)
        checks.shape(loss, (), "the loss")
        checks.close(loss, torch.tensor(4.0), f"the loss with a {kind.dtype} mask", causes={
            "squared errors; SimMIM takes absolute ones": torch.tensor(17.0),
            "divided by hidden patches, not by hidden pixels": torch.tensor(8.0),
            "divided by all pixels": torch.tensor(2.0),
            "all pixels were counted": torch.tensor(2.5),
            "visible and hidden changed places": torch.tensor(1.0),
        })  # fmt: skip

with checks.step("nothing hidden"):
    checks.raises(ValueError, simmim_loss, pred, target, torch.zeros(1, 2), name="a mask of zeros")

### BEGIN HIDDEN TESTS
for seed, (batch, count, width) in ((0, (3, 5, 4)), (1, (2, 9, 12))):
    with checks.step(f"different numbers of hidden patches in {batch} images, against a loop over pixels"):
        randn = checks.normal(seed, dtype=torch.float64)
        pred, target = randn(batch, count, width), randn(batch, count, width)
        mask = (torch.arange(count) <= torch.arange(batch)[:, None] * 2).double()
        total, pixels, by_image = 0.0, 0, []
        for image in range(batch):
            errors = [
                abs(float(pred[image, i, k] - target[image, i, k]))
                for i in range(count)
                for k in range(width)
                if mask[image, i]
            ]
            total, pixels = total + sum(errors), pixels + len(errors)
            by_image.append(sum(errors) / len(errors))
        wanted = torch.tensor(total / pixels, dtype=torch.float64)
        checks.close(simmim_loss(pred, target, mask), wanted, "the loss", rtol=1e-9, atol=1e-12, causes={
            "a mean for each image and then the mean of those": torch.tensor(sum(by_image) / batch, dtype=torch.float64),
        })  # fmt: skip

with checks.step("a prediction of float32 and a mask of float64; the arguments after the call"):
    pred, target, mask = checks.normal(seed=5)(2, 4, 3), checks.normal(seed=6)(2, 4, 3), torch.eye(4)[2:].double()
    after = checks.beside(observe.arguments_after, simmim_loss, pred, target, mask)
    for name, left, given in zip(("pred", "target", "mask"), after, (pred, target, mask), strict=True):
        checks.equal(left, given, f"{name} after the call")
    checks.dtype(simmim_loss(pred, target, mask), torch.float32, "the loss")

with checks.step("one of 392 patches is hidden, in the second of two images, with errors of 300 and -400"):
    mask = torch.zeros(2, 196)
    mask[1, 77] = 1
    pred = checks.normal(seed=7)(2, 196, 2)
    pred[1, 77] = torch.tensor([300.0, -400.0])
    checks.close(simmim_loss(pred, torch.zeros_like(pred), mask), torch.tensor(350.0), "the loss")


with checks.step("the gradient: a sign for each hidden number, none for what was visible"):
    pred, target = checks.normal(seed=10)(2, 3, 4).requires_grad_(), checks.normal(seed=11)(2, 3, 4)
    mask = torch.tensor([[0.0, 1, 0], [1, 0, 1]])
    (gradient,) = checks.beside(observe.gradients, simmim_loss, pred, target, mask)
    checks.that(gradient is not None, "a gradient flows into the prediction", came="none")
    checks.close(gradient, (pred.detach() - target).sign() * mask[..., None] / 12, "the gradient")


class Exchanged(nn.Module):
    """The model from timm's parts: the oracle of a step of training."""

    def __init__(self, sizes: tuple, values: int) -> None:
        super().__init__()
        self.encoder, self.mask_token = timm_vit(*sizes), nn.Parameter(torch.randn(1, 1, sizes[3]))
        self.head = nn.Linear(sizes[3], values)

    def forward(self, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        vit = self.encoder
        embedded = vit.patch_embed(images)
        covered = embedded + mask[..., None] * (self.mask_token - embedded)
        front = vit.cls_token.repeat(len(images), 1, 1)
        return self.head(vit.norm(vit.blocks(torch.cat([front, covered], 1) + vit.pos_embed))[:, 1:])


def trained(
    make: Callable, encoder: Callable, sizes: tuple, weights: dict, images: torch.Tensor, mask: torch.Tensor
) -> dict:
    """The model in train mode: predictions before and after a step, and the arguments and modes afterwards."""
    given = encoder(*sizes)
    model = make(given, 6).train()
    model.load_state_dict(weights)
    return {
        "arguments": observe.arguments_after(model, images, mask),
        "predictions": observe.after_a_step(model, images, mask, rate=0.02),
        "given": model.encoder is given,
        "modes": [module.training for module in model.modules()],
    }


with checks.step("one step of gradient descent moves encoder, mask token and head"):
    sizes, randn = (16, 4, 2, 8, 2, 2), checks.normal(seed=9)
    images, mask = randn(3, 2, 16, 16), (randn(3, 16) > 0).float()
    torch.manual_seed(6)
    oracle = Exchanged(sizes, 6)
    seen = checks.beside(trained, SimMIM, MAEEncoder, sizes, oracle.state_dict(), images, mask)

    def without(*parts: str) -> torch.Tensor:
        """The predictions after the step when these parts do not learn."""
        other = copy.deepcopy(oracle)
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(not name.startswith(parts))
        return observe.after_a_step(other, images, mask, rate=0.02)[1]

    before, after = observe.after_a_step(copy.deepcopy(oracle), images, mask, rate=0.02)
    checks.close(seen["predictions"][0], before, "the predictions before the step", atol=1e-5)
    checks.close(seen["predictions"][1], after, "the predictions after the step", atol=1e-5, causes={
        "the encoder does not learn: only mask token and head do": lambda: without("encoder"),
        "nothing but the head learns: the encoder runs without gradients": lambda: without("encoder", "mask_token"),
        "the mask token does not learn": lambda: without("mask_token"),
    })  # fmt: skip
    checks.equal(len(seen["arguments"]), 2, "tensors that were given")
    checks.equal(seen["arguments"][0], images, "the images after the call")
    checks.equal(seen["arguments"][1], mask, "the mask after the call")
    checks.that(all(seen["modes"]), "the model stays in train mode", came="parts in eval mode")
    checks.equal(seen["given"], True, "whether the encoder that was given is the one that learns")
### END HIDDEN TESTS
