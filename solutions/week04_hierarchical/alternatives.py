"""Right answers to week 4 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="einops",
        exercise="partition",
        code="""
def window_partition(x, window):
    from einops import rearrange

    wh, ww = pair(window)
    if x.shape[1] % wh or x.shape[2] % ww:
        raise ValueError("the window does not divide the map")
    return rearrange(x, "b (r i) (c j) d -> (b r c) i j d", i=wh, j=ww)


def window_reverse(windows, window, height, width):
    from einops import rearrange

    wh, ww = pair(window)
    if height % wh or width % ww or windows.shape[0] % ((height // wh) * (width // ww)):
        raise ValueError("these windows do not make such maps")
    return rearrange(windows, "(b r c) i j d -> b (r i) (c j) d", r=height // wh, c=width // ww)
""",
    ),
    Alternative(
        name="tensor-unfold-and-movedim",
        exercise="partition",
        code="""
def window_partition(x, window):
    (wh, ww), (_, height, width, channels) = pair(window), x.shape
    if height % wh != 0 or width % ww != 0:
        raise ValueError("not divisible")
    pieces = x.unfold(1, wh, wh).unfold(2, ww, ww)  # (B, rows, columns, C, wh, ww)
    return pieces.movedim(3, -1).flatten(0, 2).contiguous()


def window_reverse(windows, window, height, width):
    wh, ww = pair(window)
    if height % wh or width % ww:
        raise ValueError("not divisible")
    rows, columns = height // wh, width // ww
    if len(windows) % (rows * columns):
        raise ValueError("not whole maps")
    return windows.unflatten(0, (-1, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
""",
    ),
    Alternative(
        name="meshgrid",
        exercise="index",
        code="""
def relative_position_index(wh, ww):
    grid = torch.stack(torch.meshgrid(torch.arange(wh), torch.arange(ww), indexing="ij")).flatten(1)
    offset = grid[:, :, None] - grid[:, None, :]
    return (offset[0] + wh - 1) * (2 * ww - 1) + offset[1] + ww - 1
""",
    ),
    Alternative(
        name="loop-over-pairs",
        exercise="index",
        code="""
def relative_position_index(wh, ww):
    index = torch.empty(wh * ww, wh * ww, dtype=torch.long)
    for i in range(wh * ww):
        for j in range(wh * ww):
            down, right = i // ww - j // ww, i % ww - j % ww
            index[i, j] = (down + wh - 1) * (2 * ww - 1) + right + ww - 1
    return index
""",
    ),
    Alternative(
        name="table-of-numbers",
        exercise="index",
        code="""
def relative_position_index(wh, ww):
    table = torch.arange((2 * wh - 1) * (2 * ww - 1)).reshape(2 * wh - 1, 2 * ww - 1).flip(0, 1)
    views = table.unfold(0, wh, 1).unfold(1, ww, 1)  # (wh, ww, wh, ww), for the last query first
    return views.flip(0, 1).reshape(wh * ww, wh * ww)
""",
    ),
    Alternative(
        name="nine-regions-by-slices",
        exercise="mask",
        code="""
def shifted_window_mask(height, width, window, shift):
    (wh, ww), (down, right) = pair(window), pair(shift)
    if height % wh or width % ww or not 0 <= down < wh or not 0 <= right < ww:
        raise ValueError("window and shift do not fit")
    region, number = torch.zeros(1, height, width, 1), 0
    for rows in (slice(0, -wh), slice(-wh, -down), slice(-down, None)):
        for columns in (slice(0, -ww), slice(-ww, -right), slice(-right, None)):
            region[:, rows, columns] = number
            number += 1
    ids = window_partition(region, (wh, ww)).reshape(-1, wh * ww)
    apart = ids.unsqueeze(1) - ids.unsqueeze(2)
    return apart.masked_fill(apart != 0, -100.0)
""",
    ),
    Alternative(
        name="homes-in-the-image-and-minus-1e9",
        exercise="mask",
        code="""
def shifted_window_mask(height, width, window, shift):
    (wh, ww), (down, right) = pair(window), pair(shift)
    if down >= wh or right >= ww or min(down, right) < 0 or height % wh or width % ww:
        raise ValueError("window and shift do not fit")
    rows = torch.roll((torch.arange(height) - down).div(wh, rounding_mode="floor"), -down)
    columns = torch.roll((torch.arange(width) - right).div(ww, rounding_mode="floor"), -right)
    same_row = (rows.reshape(-1, wh)[:, :, None] == rows.reshape(-1, wh)[:, None, :])
    same_column = (columns.reshape(-1, ww)[:, :, None] == columns.reshape(-1, ww)[:, None, :])
    allowed = same_row[:, None, :, None, :, None] & same_column[None, :, None, :, None, :]
    allowed = allowed.reshape(-1, wh * ww, wh * ww)
    return torch.where(allowed, 0.0, -1e9)
""",
    ),
    Alternative(
        name="cached-mask",
        exercise="mask",
        code="""
import functools


@functools.cache
def _cached_mask(height, width, wh, ww, down, right):
    if down >= wh or right >= ww or down < 0 or right < 0:
        raise ValueError("shift")
    moved = torch.roll(torch.ones(1, height, width, 1), (-down, -right), (1, 2))
    moved[:, height - down :] += 1
    moved[:, :, width - right :] += 2
    ids = window_partition(moved, (wh, ww)).flatten(1)
    lowest = torch.finfo(torch.float32).min
    return torch.where(ids[:, None] == ids[:, :, None], 0.0, lowest)


def shifted_window_mask(height, width, window, shift):
    return _cached_mask(height, width, *pair(window), *pair(shift)).clone()
""",
    ),
    Alternative(
        name="separate-projections-and-einsum",
        exercise="attention",
        code='''
class WindowAttention(nn.Module):
    """Three projections, einsum, and a table with the heads first."""

    def __init__(self, dim, n_heads, window):
        super().__init__()
        if dim % n_heads != 0:
            raise ValueError("heads")
        self.h, (wh, ww) = n_heads, pair(window)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.table = nn.Parameter(torch.empty((2 * wh - 1) * (2 * ww - 1), n_heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.index = relative_position_index(wh, ww)

    def forward(self, x, mask=None):
        q, k, v = (f(x).unflatten(-1, (self.h, -1)) for f in (self.q, self.k, self.v))
        scores = torch.einsum("nihd,njhd->nhij", q * q.shape[-1] ** -0.5, k)
        scores = scores + torch.einsum("ijh->hij", self.table[self.index])
        if mask is not None:
            scores = scores + mask.repeat(len(x) // len(mask), 1, 1).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return self.o(torch.einsum("nhij,njhd->nihd", weights, v).flatten(2)), weights

    def load_timm(self, state):
        with torch.no_grad():
            self.table.copy_(state["relative_position_bias_table"])
            for kind in ("weight", "bias"):
                for part, numbers in zip((self.q, self.k, self.v), state[f"qkv.{kind}"].chunk(3)):
                    getattr(part, kind).copy_(numbers)
                getattr(self.o, kind).copy_(state[f"proj.{kind}"])
''',
    ),
    Alternative(
        name="fused-kernel-and-weights-apart",
        exercise="attention",
        edits={
            "        scores = query @ key.transpose(-2, -1) / math.sqrt(dim // self.n_heads)\n": "        extra = self.bias_table[self.index].permute(2, 0, 1)[None].expand(count, -1, -1, -1)\n        if mask is not None:\n            extra = extra + mask.to(x).repeat(count // len(mask), 1, 1)[:, None]\n        fused = F.scaled_dot_product_attention(query, key, value, attn_mask=extra)\n        scores = query @ key.transpose(-2, -1) / math.sqrt(dim // self.n_heads)\n",
            "self.proj((weights @ value).transpose(1, 2).reshape(count, tokens, dim))": "self.proj(fused.transpose(1, 2).reshape(count, tokens, dim))",
        },
    ),
    Alternative(
        name="boolean-mask-inside",
        exercise="attention",
        edits={
            "scores = (by_image + mask[:, None]).flatten(0, 1)": "scores = by_image.masked_fill((mask != 0)[None, :, None], -math.inf).flatten(0, 1)"
        },
    ),
    Alternative(
        name="masks-kept-by-size",
        exercise="block",
        edits={
            "        self.window, self.shift = pair(window), pair(shift)\n": "        self.window, self.shift = pair(window), pair(shift)\n        self.masks = {}\n",
            "        mask = shifted_window_mask(height, width, self.window, (down, right)).to(x) if down or right else None\n": "        if (height, width) not in self.masks:\n            self.masks[height, width] = shifted_window_mask(height, width, self.window, (down, right))\n        mask = self.masks[height, width].to(x)\n",
        },
    ),
    Alternative(
        name="one-direction-at-a-time",
        exercise="block",
        code='''
class SwinBlock(nn.Module):
    """Rolls row by row and column by column; keeps timm's names."""

    def __init__(self, dim, n_heads, window, shift):
        super().__init__()
        self.size, self.step = pair(window), pair(shift)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, n_heads, window)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        sides = x.shape[1:3]
        steps = [0 if sides[k] <= self.size[k] else self.step[k] for k in (0, 1)]
        y = self.norm1(x)
        for k in (0, 1):
            y = y.roll(-steps[k], dims=1 + k)
        pieces = window_partition(y, self.size)
        mask = None
        if steps != [0, 0]:
            mask = shifted_window_mask(*sides, self.size, tuple(steps)).to(y.dtype)
        out, _ = self.attn(pieces.reshape(len(pieces), -1, x.shape[-1]), mask)
        y = window_reverse(out.reshape(pieces.shape), self.size, *sides)
        for k in (1, 0):
            y = y.roll(steps[k], dims=1 + k)
        x = x + y
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def load_timm(self, state):
        self.attn.load_timm({key[5:]: value for key, value in state.items() if key.startswith("attn.")})
        with torch.no_grad():
            for mine, name in ((self.norm1, "norm1"), (self.norm2, "norm2"), (self.fc1, "mlp.fc1"), (self.fc2, "mlp.fc2")):
                mine.weight.copy_(state[f"{name}.weight"])
                mine.bias.copy_(state[f"{name}.bias"])
''',
    ),
    Alternative(
        name="reshape-and-permute",
        exercise="merging",
        edits={
            "        four = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]\n        return self.reduction(self.norm(torch.cat(four, dim=-1)))": "        batch, height, width, dim = x.shape\n        squares = x.reshape(batch, height // 2, 2, width // 2, 2, dim).permute(0, 1, 3, 4, 2, 5)\n        return self.reduction(self.norm(squares.flatten(3)))"
        },
    ),
    Alternative(
        name="pixel-unshuffle",
        exercise="merging",
        edits={
            "        four = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]\n        return self.reduction(self.norm(torch.cat(four, dim=-1)))": "        pixels = F.pixel_unshuffle(x.permute(0, 3, 1, 2), 2)  # (B, C*4, h/2, w/2), squares row by row\n        four = pixels.unflatten(1, (-1, 4))[:, :, [0, 2, 1, 3]].permute(0, 3, 4, 2, 1)\n        return self.reduction(self.norm(four.flatten(3)))"
        },
    ),
    Alternative(
        name="window-by-window",
        exercise="cost",
        code="""
def attention_cost(h, w, dim, window=None):
    if window is None:
        return 2 * (4 * h * w * dim**2 + 2 * (h * w) ** 2 * dim)
    if h % window != 0 or w % window != 0:
        raise ValueError("window")
    return (h // window) * (w // window) * attention_cost(window, window, dim)
""",
    ),
    Alternative(
        name="table-by-heads",
        exercise="attention",
        edits={
            "self.bias_table = nn.Parameter(0.02 * torch.randn((2 * wh - 1) * (2 * ww - 1), n_heads))": "self.bias_table = nn.Parameter(0.02 * torch.randn(n_heads, (2 * wh - 1) * (2 * ww - 1)))",
            "self.bias_table[self.index].permute(2, 0, 1)": "self.bias_table[:, self.index]",
            'own["bias_table"] = own.pop("relative_position_bias_table")': 'own["bias_table"] = own.pop("relative_position_bias_table").T',
        },
    ),
    Alternative(
        name="scale-kept-as-a-buffer",
        exercise="attention",
        edits={
            "self.proj = nn.Linear(dim, dim)": 'self.proj = nn.Linear(dim, dim)\n        self.register_buffer("scale", torch.tensor((dim // n_heads) ** -0.5, dtype=torch.float64), persistent=False)',
            " / math.sqrt(dim // self.n_heads)": " * self.scale.to(x)",
        },
    ),
]
