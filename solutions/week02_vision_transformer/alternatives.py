"""Right answers to week 2 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="einops",
        exercise="patchify",
        code="""
def patchify(images, p):
    from einops import rearrange

    if images.shape[2] % p or images.shape[3] % p:
        raise ValueError("p does not divide the image")
    return rearrange(images, "b c (gh p) (gw q) -> b (gh gw) (c p q)", p=p, q=p)


def unpatchify(tokens, p, grid_hw, channels):
    from einops import rearrange

    if tokens.shape[1] != grid_hw[0] * grid_hw[1]:
        raise ValueError("the grid does not fit")
    return rearrange(tokens, "b (gh gw) (c p q) -> b c (gh p) (gw q)", gh=grid_hw[0], p=p, q=p, c=channels)
""",
    ),
    Alternative(
        name="fold-and-unfold",
        exercise="patchify",
        code="""
def patchify(images, p):
    if images.shape[2] % p or images.shape[3] % p:
        raise ValueError("p does not divide the image")
    return F.unfold(images, p, stride=p).transpose(1, 2)


def unpatchify(tokens, p, grid_hw, channels):
    if tokens.shape[1] != grid_hw[0] * grid_hw[1]:
        raise ValueError("the grid does not fit")
    return F.fold(tokens.transpose(1, 2), (grid_hw[0] * p, grid_hw[1] * p), p, stride=p)
""",
    ),
    Alternative(
        name="tensor-unfold",
        exercise="patchify",
        edits={
            "    cut = images.reshape(batch, channels, height // p, p, width // p, p)\n    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, (height // p) * (width // p), channels * p * p)": "    pieces = images.unfold(2, p, p).unfold(3, p, p)  # (B, C, gh, gw, p, p)\n    return pieces.permute(0, 2, 3, 1, 4, 5).flatten(1, 2).flatten(2)"
        },
    ),
    Alternative(
        name="views-that-are-not-contiguous",
        exercise="patchify",
        code="""
def patchify(images, p):
    b, c, h, w = images.shape
    if h % p != 0 or w % p != 0:
        raise ValueError("p does not divide the image")
    columns_first = images.reshape(b, c, h // p, p, w // p, p).permute(1, 3, 5, 0, 2, 4).reshape(c * p * p, b, -1)
    return columns_first.permute(1, 2, 0)


def unpatchify(tokens, p, grid_hw, channels):
    gh, gw = grid_hw
    if tokens.shape[1] != gh * gw:
        raise ValueError("the grid does not fit")
    cells = tokens.unflatten(2, (channels, p, p)).unflatten(1, (gh, gw))
    return torch.einsum("bijcpq->bcipjq", cells).reshape(len(tokens), channels, gh * p, gw * p).transpose(0, 1).contiguous().transpose(0, 1)
""",
    ),
    Alternative(
        name="linear-on-patches",
        exercise="embed",
        edits={
            "self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)": "self.p = patch_size\n        self.linear = nn.Linear(in_chans * patch_size**2, embed_dim)",
            "self.proj(images).flatten(2).transpose(1, 2)": "self.linear(patchify(images, self.p))",
            "self.load_state_dict(dict(state))": 'with torch.no_grad():\n            self.linear.weight.copy_(state["proj.weight"].flatten(1))\n            self.linear.bias.copy_(state["proj.bias"])',
        },
    ),
    Alternative(
        name="einops-after-conv",
        exercise="embed",
        edits={
            "self.proj(images).flatten(2).transpose(1, 2)": "torch.einsum('bdhw->bhwd', self.proj(images)).reshape(len(images), -1, self.proj.out_channels)"
        },
    ),
    Alternative(
        name="slice-assignment-and-meshgrid",
        exercise="positions",
        edits={
            "first = self.class_token.expand(tokens.shape[0], -1, -1)\n        return torch.cat([first, tokens], dim=1) + self.positions": "row = tokens.new_empty(tokens.shape[0], tokens.shape[1] + 1, tokens.shape[2])\n        row[:, :1] = self.class_token\n        row[:, 1:] = tokens\n        return row + self.positions",
            "nn.Parameter(0.02 * torch.randn(1, 1, dim))": "nn.Parameter(torch.empty(1, 1, dim).normal_(0.0, 0.02))",
            "nn.Parameter(0.02 * torch.randn(1, n_patches + 1, dim))": "nn.init.trunc_normal_(nn.Parameter(torch.empty(1, n_patches + 1, dim)), std=0.02)",
            "numbers = torch.arange(grid_hw[0] * grid_hw[1])\n": "rows, columns = torch.meshgrid(torch.arange(grid_hw[0]), torch.arange(grid_hw[1]), indexing='ij')\n",
            "by_row = (numbers // grid_hw[1])[:, None] * frequencies": "by_row = torch.outer(rows.flatten().double(), frequencies)",
            "by_column = (numbers % grid_hw[1])[:, None] * frequencies": "by_column = torch.outer(columns.flatten().double(), frequencies)",
        },
    ),
    Alternative(
        name="float32-and-loop",
        exercise="positions",
        edits={
            "10_000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))": "torch.exp(-math.log(10_000) * torch.arange(dim // 4) / (dim / 4))",
            "dim=1).float()": "dim=1)",
        },
    ),
    Alternative(
        name="reshape-and-permute",
        exercise="resize",
        edits={
            "image = cells.transpose(1, 2).unflatten(2, tuple(old_grid))": "image = cells.reshape(1, *old_grid, -1).permute(0, 3, 1, 2)",
            'size=tuple(new_grid), mode="bicubic", align_corners=False)': 'size=tuple(new_grid), mode="bicubic")',
            "resized.flatten(2).transpose(1, 2)": "resized.permute(0, 2, 3, 1).reshape(1, -1, pos.shape[-1])",
        },
    ),
    Alternative(
        name="one-call-per-channel",
        exercise="resize",
        edits={
            'resized = F.interpolate(image, size=tuple(new_grid), mode="bicubic", align_corners=False)': 'resized = torch.cat([F.interpolate(image[:, d : d + 1], size=tuple(new_grid), mode="bicubic", align_corners=False) for d in range(pos.shape[2])], dim=1)'
        },
    ),
    Alternative(
        name="bicubic-by-hand",
        exercise="resize",
        code='''
def resize_positions(pos, old_grid, new_grid, n_prefix=1):
    """Bicubic by two matrices, one for the rows and one for the columns."""
    if pos.shape[1] != n_prefix + old_grid[0] * old_grid[1]:
        raise ValueError("positions and grid do not fit")

    def matrix(old, new):
        table = torch.zeros(new, old, dtype=torch.float64)
        for i in range(new):
            place = (i + 0.5) * old / new - 0.5
            first = math.floor(place)
            for k in range(first - 1, first + 3):
                t = abs(place - k)
                inner, outer = (1.25 * t - 2.25) * t * t + 1, ((-0.75 * t + 3.75) * t - 6) * t + 3
                table[i, min(max(k, 0), old - 1)] += inner if t <= 1 else outer
        return table

    cells = pos[0, n_prefix:].double().reshape(*old_grid, -1)
    rows, columns = matrix(old_grid[0], new_grid[0]), matrix(old_grid[1], new_grid[1])
    resized = torch.einsum("ai,bj,ijd->abd", rows, columns, cells).to(pos.dtype)
    return torch.cat([pos[:, :n_prefix], resized.reshape(1, -1, pos.shape[2])], dim=1)
''',
    ),
    Alternative(
        name="fused-qkv-and-sdpa",
        exercise="block",
        code='''
class EncoderBlock(nn.Module):
    """One layer for q, k and v, and PyTorch's fused attention."""

    def __init__(self, dim, num_heads, mlp_ratio=4.0):
        super().__init__()
        self.heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, int(dim * mlp_ratio)), nn.Linear(int(dim * mlp_ratio), dim)

    def forward(self, tokens):
        batch, length, dim = tokens.shape
        q, k, v = self.qkv(self.norm1(tokens)).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, dim)
        tokens = tokens + self.proj(attended)
        return tokens + self.fc2(F.gelu(self.fc1(self.norm2(tokens))))

    def load_timm(self, state):
        self.load_state_dict({key.replace("attn.", "").replace("mlp.", ""): value for key, value in state.items()})
''',
    ),
    Alternative(
        name="separate-projections",
        exercise="block",
        code='''
class EncoderBlock(nn.Module):
    """Three projections; attention from matrix products."""

    def __init__(self, dim, num_heads, mlp_ratio=4.0):
        super().__init__()
        self.h = num_heads
        self.ln_a, self.ln_b = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, int(dim * mlp_ratio)), nn.Linear(int(dim * mlp_ratio), dim)

    def forward(self, tokens):
        n = self.ln_a(tokens)
        q, k, v = (f(n).unflatten(-1, (self.h, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
        tokens = tokens + self.o((weights @ v).transpose(1, 2).flatten(2))
        return tokens + self.down(nn.functional.gelu(self.up(self.ln_b(tokens))))

    def load_timm(self, state):
        pairs = {"ln_a": "norm1", "ln_b": "norm2", "o": "attn.proj", "up": "mlp.fc1", "down": "mlp.fc2"}
        with torch.no_grad():
            for kind in ("weight", "bias"):
                for ours, theirs in pairs.items():
                    getattr(getattr(self, ours), kind).copy_(state[f"{theirs}.{kind}"])
                for name, part in zip("qkv", state[f"attn.qkv.{kind}"].chunk(3)):
                    getattr(getattr(self, name), kind).copy_(part)
''',
    ),
    Alternative(
        name="sequential-and-one-state-dict",
        exercise="vit",
        edits={
            "self.blocks = nn.ModuleList(EncoderBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth))": "self.blocks = nn.Sequential(*[EncoderBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth)])",
            "tokens = self.token_and_position(self.patch_embedding(images))\n        for block in self.blocks:\n            tokens = block(tokens)\n        return self.norm(tokens)": "return self.norm(self.blocks(self.token_and_position(self.patch_embedding(images))))",
            "return self.head(self.forward_features(images)[:, 0])": "class_token, *_ = self.forward_features(images).unbind(1)\n        return F.linear(class_token, self.head.weight, self.head.bias)",
        },
    ),
    Alternative(
        name="closed-form",
        exercise="cost",
        code="""
def token_count(h, w, p):
    if h % p != 0 or w % p != 0:
        raise ValueError("not divisible")
    return h * w // p**2 + 1


def vit_flops(h, w, p, dim, depth, mlp_ratio, channels, classes):
    t = token_count(h, w, p)
    block = 8 * t * dim**2 + 4 * t**2 * dim + 4 * t * dim * int(dim * mlp_ratio)
    return depth * block + 2 * (t - 1) * channels * p**2 * dim + 2 * dim * classes
""",
    ),
    Alternative(
        name="fractions",
        exercise="cost",
        edits={
            "    return 2 * (depth": "    from fractions import Fraction\n\n    patches = Fraction(h, p) * Fraction(w, p) * channels * p * p * dim\n    return int(2) * int(depth",
        },
    ),
    Alternative(
        name="one-batch-through-fold",
        exercise="sensitivity",
        code="""
def position_sensitivity(model, images, seed):
    p, modes = model.patch_size, {module: module.training for module in model.modules()}
    patches = F.unfold(images, p, stride=p)
    generator = torch.Generator()
    generator.manual_seed(seed)
    order = torch.rand(patches.shape[2], generator=generator).argsort()
    shuffled = F.fold(patches[:, :, order], images.shape[2:], p, stride=p)
    try:
        model.eval()
        with torch.inference_mode():
            before, after = model(torch.cat([images, shuffled])).chunk(2)
    finally:
        for module, mode in modes.items():
            module.train(mode) if not list(module.children()) else setattr(module, "training", mode)
    return (after - before).abs().max().double().numpy()[()]
""",
    ),
    Alternative(
        name="measured-on-a-copy",
        exercise="sensitivity",
        code="""
def position_sensitivity(model, images, seed):
    quiet, p = copy.deepcopy(model).eval(), model.patch_size
    patches = patchify(images, p)
    order = torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))
    moved = unpatchify(patches[:, order], p, tuple(side // p for side in images.shape[2:]), images.shape[1])
    with torch.no_grad():
        return torch.max(torch.abs(quiet(images) - quiet(moved))).item()
""",
    ),
]
