"""Right answers to week 1 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="einsum",
        exercise="sdpa",
        edits={
            "scores = (query @ key.transpose(-2, -1)) * self.scale": 'scores = torch.einsum("bhqd,bhkd->bhqk", query, key) * self.scale',
            "return weights @ value, weights": 'return torch.einsum("bhqk,bhkv->bhqv", weights, value), weights',
        },
    ),
    Alternative(
        name="baddbmm",
        exercise="sdpa",
        edits={
            "scores = (query @ key.transpose(-2, -1)) * self.scale": """lead, q, k = query.shape[:-2], query.flatten(0, 1), key.flatten(0, 1)
        start = q.new_zeros(q.shape[0], q.shape[1], k.shape[1])
        scores = torch.baddbmm(start, q, k.transpose(1, 2), alpha=self.scale).unflatten(0, lead)""",
            "scores.softmax(dim=-1)": "F.softmax(scores, dim=-1)",
        },
    ),
    Alternative(
        name="scaled-query-and-guarded-infinity",
        exercise="sdpa",
        edits={
            "scores = (query @ key.transpose(-2, -1)) * self.scale": "scores = (query * self.scale) @ key.transpose(-2, -1)",
            "scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)": """blocked = (mask == 0).expand(scores.shape)
            empty = blocked.all(-1, keepdim=True)
            scores = scores.masked_fill(blocked & ~empty, float("-inf"))""",
        },
    ),
    Alternative(
        name="infinity-then-where",
        exercise="sdpa",
        edits={
            "scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)": 'scores = torch.where(mask == 0, float("-inf"), scores)\n            scores = torch.where((scores == float("-inf")).all(-1, keepdim=True), 0.0, scores)',
        },
    ),
    Alternative(
        name="mask-by-addition-and-clean-weights",
        exercise="sdpa",
        edits={
            "scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)": """bias = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask == 0, torch.finfo(scores.dtype).min / 2)
            scores = scores + bias""",
            "weights = self.dropout(scores.softmax(dim=-1))\n        return weights @ value, weights": "weights = scores.softmax(dim=-1)\n        return self.dropout(weights) @ value, weights",
        },
    ),
    Alternative(
        name="scale-in-a-buffer",
        exercise="sdpa",
        edits={
            "self.scale = 1.0 / math.sqrt(head_dim)": "self.register_buffer('scale', torch.tensor(head_dim).rsqrt())",
        },
    ),
    Alternative(
        name="softmax-by-hand",
        exercise="sdpa",
        edits={
            "scores.softmax(dim=-1)": "self.soft(scores)",
            "        return weights @ value, weights\n": "        return weights @ value, weights\n\n    def soft(self, scores):\n        shifted = (scores - scores.amax(-1, keepdim=True)).exp()\n        return shifted / shifted.sum(-1, keepdim=True)\n",
        },
    ),
    Alternative(
        name="scale-from-the-query",
        exercise="sdpa",
        edits={") * self.scale": ") / query.shape[-1] ** 0.5"},
    ),
    Alternative(
        name="positions-moved-to-the-lengths",
        exercise="masks",
        edits={"torch.arange(max_len, device=lengths.device)": "torch.arange(max_len).to(lengths.device)"},
    ),
    Alternative(
        name="masks-by-comparison",
        exercise="masks",
        edits={
            "return (positions < lengths[:, None])[:, None, None, :]": "return positions.view(1, 1, 1, -1).lt(lengths.view(-1, 1, 1, 1))",
            "return torch.ones(length, length, dtype=torch.bool).tril()[None, None]": "i = torch.arange(length)\n    return (i[None, :] <= i[:, None]).reshape(1, 1, length, length)",
        },
    ),
    Alternative(
        name="fused-projection",
        exercise="mha",
        code='''
class MultiHeadAttention(nn.Module):
    """One linear layer for query, key and value; einops for the heads; nothing from exercise 1."""

    def __init__(self, d_model, n_heads, dropout=0.0):
        super().__init__()
        assert d_model % n_heads == 0, "d_model must be divisible by n_heads"
        self.heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.drop = nn.Dropout(dropout)

    def forward(self, query, key=None, value=None, mask=None):
        from einops import rearrange

        key = query if key is None else key
        value = key if value is None else value
        weights, biases = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
        q, k, v = (
            rearrange(F.linear(x, w, b), "b l (h d) -> b h l d", h=self.heads)
            for x, w, b in zip((query, key, value), weights, biases)
        )
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask.logical_not(), torch.finfo(scores.dtype).min)
        attended = scores.softmax(-1)
        merged = rearrange(self.drop(attended) @ v, "b h l d -> b l (h d)")
        return self.out(merged), attended

    def projection_weights(self):
        pairs = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3))
        return {**dict(zip("qkv", pairs)), "out": (self.out.weight, self.out.bias)}
''',
    ),
    Alternative(
        name="view-and-contiguous",
        exercise="mha",
        edits={
            "merged = context.transpose(1, 2).flatten(2)": "merged = context.permute(0, 2, 1, 3).contiguous().view(query.shape)",
            "tokens.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)": "tokens.view(tokens.shape[0], tokens.shape[1], self.n_heads, -1).permute(0, 2, 1, 3)",
        },
    ),
    Alternative(
        name="xavier-start",
        exercise="mha",
        edits={
            "        self.attention = ScaledDotProductAttention(": "        for layer in (self.to_query, self.to_key, self.to_value, self.to_output):\n            nn.init.xavier_uniform_(layer.weight)\n            nn.init.zeros_(layer.bias)\n        self.attention = ScaledDotProductAttention(",
        },
    ),
    Alternative(
        name="small-start",
        exercise="mha",
        edits={
            "        self.attention = ScaledDotProductAttention(": "        for layer in (self.to_query, self.to_key, self.to_value, self.to_output):\n            nn.init.normal_(layer.weight, std=0.02)\n            nn.init.zeros_(layer.bias)\n        self.attention = ScaledDotProductAttention(",
            "return {name: (layer.weight, layer.bias) for": "return {name: (layer.weight.data, layer.bias.data) for",
        },
    ),
    Alternative(
        name="closed-form",
        exercise="flops",
        code='''
def attention_flops(length, d_model, n_heads):
    """8 L D^2 + 4 L^2 D."""
    return 8 * length * d_model**2 + 4 * length**2 * d_model
''',
    ),
    Alternative(
        name="index-and-fill",
        exercise="reverse",
        edits={
            "x = torch.randn(batch, length, d_model, generator=generator, device=generator.device)\n    return x, x.flip(1)": "x = torch.empty(batch, length, d_model, device=generator.device).normal_(generator=generator)\n    return x, x[:, torch.arange(length - 1, -1, -1)]",
            "return variance * (1 - 1 / candidates)": "return variance - variance / candidates",
        },
    ),
    Alternative(
        name="embedding-and-gather",
        exercise="reverser",
        edits={
            "self.positions = nn.Parameter(torch.randn(1, length, d_model))": "self.register_parameter('places', nn.Parameter(torch.empty(1, length, d_model).normal_(0.0, 1.0)))",
            "placed = x + self.positions\n        return self.attention(placed, placed, x)": "return self.attention(query=x + self.places, key=x + self.places, value=x)",
            "loss = F.mse_loss(model(x)[0], y)": "loss = nn.MSELoss()(model(x)[0], y)",
            "return weights.flip(-1).diagonal(dim1=-2, dim2=-1).mean(-1)": "n = weights.shape[-1]\n    i = torch.arange(n, device=weights.device)\n    return weights[..., i, n - 1 - i].mean(-1)",
        },
    ),
    Alternative(
        name="clears-after-the-step",
        exercise="reverser",
        edits={
            "        optimizer.zero_grad()\n": "",
            "        optimizer.step()\n": "        optimizer.step()\n        model.zero_grad()\n",
            "torch.optim.Adam(model.parameters(), lr=lr)": "torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)",
        },
    ),
    Alternative(
        name="drop-prefix-first",
        exercise="rowmap",
        edits={
            "row = weights[..., n_prefix + query_index, n_prefix:]\n    return (row / row.sum(-1, keepdim=True)).unflatten(-1, (rows, columns))": "patches = weights[:, :, n_prefix:, n_prefix:]\n    patches = patches / patches.sum(-1, keepdim=True)\n    return patches[:, :, query_index].reshape(*weights.shape[:2], rows, columns)",
        },
    ),
]
