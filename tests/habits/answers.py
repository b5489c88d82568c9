"""Answers to exercises of week 01, as a learner types them: without docstrings, one of them wrong."""

SDPA_INIT = """class ScaledDotProductAttention(nn.Module):
    def __init__(self, head_dim, dropout=0.0):
        super().__init__()
        self.scale = 1 / math.sqrt(head_dim)
        self.dropout = nn.Dropout(dropout)
"""
SDPA_FORWARD = """
    def forward(self, query, key, value, mask=None):
        if query.shape[-1] != key.shape[-1]:
            raise ValueError("widths differ")
        scores = query @ key.transpose(-2, -1) * self.scale
        if mask is not None:
            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
        weights = self.dropout(scores.softmax(dim=-1))
        return weights @ value, weights
"""
SDPA = SDPA_INIT + SDPA_FORWARD
SDPA_WRONG = SDPA.replace("1 / math.sqrt(head_dim)", "1 / head_dim")
SDPA_PATCHED = (
    SDPA_INIT,
    SDPA_FORWARD.replace("\n    ", "\n").strip() + "\n\nScaledDotProductAttention.forward = forward\n",
)
"""A class and, in another cell, its method."""
PADDING = """def padding_mask(lengths, max_len):
    if (lengths < 1).any() or (lengths > max_len).any():
        raise ValueError("lengths out of range")
    return (torch.arange(max_len, device=lengths.device) < lengths[:, None])[:, None, None, :]
"""
CAUSAL = """def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).tril()[None, None]
"""
CAUSAL_WRONG = CAUSAL.replace("tril()", "triu()")
MASKS = f"{PADDING}\n\n{CAUSAL}"
FLOPS = """def attention_flops(length, d_model, n_heads):
    return 8 * length * d_model**2 + 4 * length**2 * d_model
"""
FLOPS_WRONG = FLOPS.replace("8 *", "4 *")
MHA = """class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, dropout=0.0):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("not divisible")
        self.n_heads = n_heads
        self.q, self.k, self.v, self.out = (nn.Linear(d_model, d_model) for _ in range(4))
        self.attention = ScaledDotProductAttention(d_model // n_heads, dropout)

    def forward(self, query, key=None, value=None, mask=None):
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = (
            layer(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        context, weights = self.attention(q, k, v, mask)
        return self.out(context.transpose(1, 2).flatten(2)), weights

    def projection_weights(self):
        layers = {"q": self.q, "k": self.k, "v": self.v, "out": self.out}
        return {name: (layer.weight, layer.bias) for name, layer in layers.items()}
"""
RIGHT = {"sdpa": SDPA, "masks": MASKS, "flops": FLOPS_WRONG}
"""What stands in a notebook unless a habit says otherwise: one answer is wrong, and `mha` is not begun."""
