"""Right answers to week 5 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="topk-and-scatter",
        exercise="masking",
        code='''
def random_masking(tokens, ratio, noise):
    """The K smallest by topk; places written by scatter; a bool mask."""
    batch, count, width = tokens.shape
    kept = int(count * (1 - ratio))
    if ratio <= 0 or ratio >= 1 or kept == 0:
        raise ValueError("this ratio leaves nothing to see or nothing to predict")
    first = torch.topk(noise, kept, dim=1, largest=False, sorted=True).indices
    hidden = torch.ones(batch, count, dtype=torch.bool).scatter(1, first, False)
    others = torch.topk(noise.masked_fill(~hidden, -math.inf), count - kept, dim=1).indices.flip(1)
    order = torch.cat([first, others], dim=1)
    restore = torch.empty_like(order).scatter(1, order, torch.arange(count).expand(batch, -1))
    return torch.take_along_dim(tokens, first[..., None], dim=1), hidden, restore
''',
    ),
    Alternative(
        name="ranks-by-comparison",
        exercise="masking",
        code='''
def random_masking(tokens, ratio, noise):
    """The place of a token is the number of tokens with less noise; boolean indexing, since K is the same for all."""
    batch, count, width = tokens.shape
    kept = int(count * (1 - ratio))
    if not (0 < ratio < 1) or kept < 1:
        raise ValueError(f"bad ratio {ratio}")
    restore = (noise[:, None, :] < noise[:, :, None]).sum(-1)
    mask = (restore >= kept).float()
    chosen = tokens[mask == 0].reshape(batch, kept, width)
    places = restore[mask == 0].reshape(batch, kept)
    rows = torch.arange(batch)[:, None]
    return chosen[rows, places.argsort(1)], mask, restore
''',
    ),
    Alternative(
        name="embeds-only-what-is-visible",
        exercise="encoder",
        code='''
class MAEEncoder(nn.Module):
    """Hides patches of pixels and positions together, so the hidden ones are not even embedded."""

    def __init__(self, img_size, patch_size, in_chans, dim, depth, n_heads):
        super().__init__()
        self.patch_embed = PatchEmbed(img_size, patch_size, in_chans, dim)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(0.5 * torch.randn(1, self.patch_embed.num_patches + 1, dim))
        self.blocks = transformer_blocks(dim, depth, n_heads)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.side = patch_size

    def forward(self, images, ratio=0.75, noise=None):
        """See the exercise."""
        pixels = patchify(images, self.side)
        batch, count, values = pixels.shape
        places = self.pos_embed[:, 1:].expand(batch, -1, -1)
        if noise is None:
            mask, restore = pixels.new_zeros(batch, count), torch.arange(count, device=pixels.device).repeat(batch, 1)
        else:
            both, mask, restore = random_masking(torch.cat([pixels, places], dim=2), ratio, noise)
            pixels, places = both[..., :values], both[..., values:]
        projection = self.patch_embed.proj
        embedded = F.linear(pixels, projection.weight.flatten(1), projection.bias)
        first = self.cls_token.repeat(batch, 1, 1) + self.pos_embed[:, 0:1]
        x = torch.hstack([first, embedded + places])
        for block in self.blocks:
            x = block(x)
        return self.norm(x), mask, restore
''',
    ),
    Alternative(
        name="positions-chosen-by-restore",
        exercise="encoder",
        edits={
            "        tokens = self.patch_embed(images) + self.pos_embed[:, 1:]\n": "        tokens = self.patch_embed(images)\n",
            "            tokens, mask, restore = random_masking(tokens, ratio, noise)\n": "            tokens, mask, restore = random_masking(tokens, ratio, noise)\n            own = restore.argsort(dim=1)[:, : tokens.shape[1]]\n            tokens = tokens + self.pos_embed[0, 1 + own]\n        else:\n            tokens = tokens + self.pos_embed[:, 1:]\n",
        },
    ),
    Alternative(
        name="scattered-into-mask-tokens",
        exercise="decoder",
        edits={
            "        hidden = self.mask_token.expand(batch, count - visible.shape[1], -1)\n        row = torch.cat([visible, hidden], dim=1)\n        patches = row.gather(1, restore[..., None].expand(-1, -1, row.shape[2]))\n": "        own = restore.argsort(dim=1)[:, : visible.shape[1], None].expand(-1, -1, visible.shape[2])\n        patches = self.mask_token.repeat(batch, count, 1).scatter(1, own, visible)\n",
        },
    ),
    Alternative(
        name="biased-variance",
        exercise="targets",
        edits={
            "variance = patches.var(dim=-1, keepdim=True)": "variance = (patches - mean).pow(2).mean(dim=-1, keepdim=True)"
        },
    ),
    Alternative(
        name="layer-norm",
        exercise="targets",
        code='''
def patch_targets(images, p, normalize, eps=1e-6):
    """A layer norm without parameters is just this."""
    patches = patchify(images, p)
    return F.layer_norm(patches, patches.shape[-1:], eps=eps) if normalize else patches
''',
    ),
    Alternative(
        name="boolean-index",
        exercise="loss",
        code='''
def mae_loss(pred, target, mask):
    """Only the hidden rows, then the library's loss."""
    hidden = mask.bool()
    if hidden.sum() == 0:
        raise ValueError("empty mask")
    return F.mse_loss(pred[hidden], target[hidden])
''',
    ),
    Alternative(
        name="einsum-and-cdist",
        exercise="baselines",
        code='''
def reconstruction_baselines(images, mask, p):
    """Distances by cdist, the mean by einsum."""
    patches = patchify(images, p)
    weights = 1.0 - mask.to(patches.dtype)
    weights = weights / weights.sum(1, keepdim=True)
    mean = torch.einsum("bn,bnp->bp", weights, patches)[:, None].repeat(1, patches.shape[1], 1)
    width = images.shape[-1] // p
    number = torch.arange(patches.shape[1])
    cells = torch.stack([number // width, number % width], 1).double()
    far = torch.cdist(cells, cells, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = (far + 1e9 * mask.double()[:, None]).min(-1).indices
    rows = torch.arange(len(patches))[:, None]
    return {"nearest_visible": patches[rows, nearest], "visible_mean": mean}
''',
    ),
    Alternative(
        name="loop-over-images",
        exercise="baselines",
        code='''
def reconstruction_baselines(images, mask, p):
    """One image after the other, one patch after the other."""
    columns = images.shape[3] // p
    means, copies = [], []
    for own, hidden in zip(patchify(images, p), mask.bool()):
        seen = torch.nonzero(~hidden).flatten()
        means.append(own[seen].mean(0).expand_as(own))
        row = []
        for i in range(len(own)):
            gap = (seen // columns - i // columns) ** 2 + (seen % columns - i % columns) ** 2
            row.append(own[seen[int(gap.argmin())]])
        copies.append(torch.stack(row))
    return {"visible_mean": torch.stack(means), "nearest_visible": torch.stack(copies)}
''',
    ),
    Alternative(
        name="kron-and-blending",
        exercise="simmim",
        code='''
def simmim_mask(grid_hw, unit, ratio, noise):
    """Units by threshold, blown up by a Kronecker product; a float mask blends token and embedding."""
    if grid_hw[0] % unit != 0 or grid_hw[1] % unit != 0:
        raise ValueError("units do not fit")
    units = noise.shape[1]
    kept = int(units * (1 - ratio))
    if ratio <= 0 or ratio >= 1 or kept == 0:
        raise ValueError("bad ratio")
    threshold = noise.sort(dim=1).values[:, kept - 1 : kept]
    coarse = (noise > threshold).float().reshape(-1, grid_hw[0] // unit, grid_hw[1] // unit)
    return torch.kron(coarse, torch.ones(1, unit, unit)).reshape(len(noise), -1)


class SimMIM(nn.Module):
    """As the authors write it: a weighted sum."""

    def __init__(self, encoder, patch_values):
        super().__init__()
        self.encoder = encoder
        self.mask_token = nn.Parameter(torch.zeros(1, 1, encoder.pos_embed.shape[2]))
        self.head = nn.Linear(encoder.pos_embed.shape[2], patch_values)

    def forward(self, images, mask):
        """See the exercise."""
        e = self.encoder
        w = mask.float().unsqueeze(-1)
        x = e.patch_embed(images) * (1 - w) + self.mask_token * w + e.pos_embed[:, 1:]
        first = (e.cls_token + e.pos_embed[:, :1]).repeat(len(x), 1, 1)
        x = e.norm(e.blocks(torch.cat((first, x), 1)))
        return self.head(x[:, 1:])


def simmim_loss(pred, target, mask):
    """torch's L1 on the hidden pixels."""
    hidden = mask.bool()
    if not bool(hidden.any()):
        raise ValueError("nothing is hidden")
    return F.l1_loss(pred[hidden], target[hidden])
''',
    ),
    Alternative(
        name="tokens-picked-by-a-matrix-product",
        exercise="masking",
        code='''
def random_masking(tokens, ratio, noise):
    """Without gather, as code for TPUs does it: one row of 0 and one 1 for each visible token."""
    count = tokens.shape[1]
    kept = int(count * (1 - ratio))
    if not 0 < ratio < 1 or kept == 0:
        raise ValueError("nothing would be hidden, or nothing visible")
    order = torch.sort(noise, dim=1).indices
    places = torch.zeros_like(order).scatter(1, order, torch.arange(count).repeat(len(order), 1))
    chosen = F.one_hot(order[:, :kept], count).to(tokens.dtype)
    return torch.bmm(chosen, tokens), places >= kept, places
''',
    ),
]
