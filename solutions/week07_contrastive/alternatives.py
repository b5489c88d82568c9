"""Right answers to week 7 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="logsumexp",
        exercise="clip",
        code="""
def clip_loss(image_emb, text_emb, logit_scale):
    table = torch.einsum("id,jd->ij", image_emb, text_emb) * logit_scale
    own = table.diagonal()
    rows, columns = table.logsumexp(dim=1) - own, table.logsumexp(dim=0) - own
    return 0.5 * (rows.mean() + columns.mean())
""",
    ),
    Alternative(
        name="log-softmax-and-trace",
        exercise="clip",
        code="""
def clip_loss(image_emb, text_emb, logit_scale):
    image_emb, text_emb = F.normalize(image_emb, dim=-1), F.normalize(text_emb, dim=-1)
    table = logit_scale * (image_emb @ text_emb.t())
    both = torch.log_softmax(table, 0) + torch.log_softmax(table, 1)
    return -both.trace() / (2 * len(table))
""",
    ),
    Alternative(
        name="numpy-logarithm-and-data",
        exercise="scale",
        code='''
class LogitScale(nn.Module):
    """The bound through torch.minimum, copied into the parameter."""

    def __init__(self, initial=1 / 0.07, maximum=100.0):
        super().__init__()
        self.log_scale = nn.Parameter(torch.ones([]) * math.log(initial))
        self.register_buffer("highest", torch.tensor(math.log(maximum)))

    def forward(self):
        return torch.exp(self.log_scale)

    def clamp_(self):
        """The smaller of both."""
        with torch.no_grad():
            self.log_scale.copy_(torch.minimum(self.log_scale, self.highest))
''',
    ),
    Alternative(
        name="bounded-through-exp-and-log",
        exercise="scale",
        code='''
class LogitScale(nn.Module):
    """The bound is kept as a plain number, and the scale itself is compared with it."""

    def __init__(self, initial=1 / 0.07, maximum=100.0):
        super().__init__()
        self.maximum = maximum
        self.log_scale = nn.Parameter(torch.tensor(initial).log())

    def forward(self):
        return self.log_scale.exp()

    def clamp_(self):
        view = self.log_scale.detach()
        view.copy_(view.exp().clamp(max=self.maximum).log())
''',
    ),
    Alternative(
        name="bounded-on-a-detached-view",
        exercise="scale",
        code='''
import numpy as np


class LogitScale(nn.Module):
    """In float64, as NumPy computes."""

    def __init__(self, initial=1 / 0.07, maximum=100.0):
        super().__init__()
        self.maximum = maximum
        self.log_scale = nn.Parameter(torch.tensor(np.log(initial)))

    def forward(self):
        """The scale."""
        return torch.exp(self.log_scale)

    @torch.no_grad()
    def clamp_(self):
        """Back to the bound."""
        self.log_scale.detach().clamp_max_(np.log(self.maximum))
''',
    ),
    Alternative(
        name="table-of-equals",
        exercise="floor",
        code="""
def duplicate_floor(content_ids):
    import numpy as np

    ids = content_ids.numpy()
    return np.log((ids[None] == ids[:, None]).sum(axis=1)).mean()
""",
    ),
    Alternative(
        name="guessing-minus-entropy",
        exercise="floor",
        code="""
def duplicate_floor(content_ids):
    from collections import Counter

    total = len(content_ids)
    counts = Counter(content_ids.tolist()).values()
    return math.log(total) + sum(c / total * math.log(c / total) for c in counts)
""",
    ),
    Alternative(
        name="binary-cross-entropy",
        exercise="siglip",
        code="""
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = image_emb @ text_emb.T * scale + bias
    target = torch.eye(logits.shape[0]).to(logits)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / logits.shape[0]
""",
    ),
    Alternative(
        name="softplus-with-the-diagonal-apart",
        exercise="siglip",
        code="""
def siglip_loss(image_emb, text_emb, scale, bias):
    logits = (image_emb * scale) @ text_emb.T + bias
    yes = logits.diagonal()
    return (F.softplus(logits).sum() - F.softplus(yes).sum() + F.softplus(-yes).sum()) / len(yes)
""",
    ),
    Alternative(
        name="letter-by-letter-and-lists",
        exercise="tokenizer",
        code='''
class CaptionTokenizer:
    """Splits letter by letter; pads lists."""

    def __init__(self, captions):
        words = []
        for caption in captions:
            words += self.split(caption)
        self.words = ["<pad>", "<start>", "<end>", "<unknown>"] + sorted(set(words))

    def split(self, text):
        """The pieces of a text."""
        spaced = "".join(c if c.isalnum() or c == "_" or c.isspace() else f" {c} " for c in text.lower())
        return spaced.split()

    def encode(self, captions, length):
        """Ids and mask."""
        if length <= 1:
            raise ValueError("too short")
        rows, masks = [], []
        for caption in captions:
            row = [1]
            for word in self.split(caption):
                if len(row) < length - 1:
                    row.append(self.words.index(word) if word in self.words[4:] else 3)
            row.append(2)
            masks.append([True] * len(row) + [False] * (length - len(row)))
            rows.append(row + [0] * (length - len(row)))
        return torch.tensor(rows, dtype=torch.long), torch.tensor(masks)

    def decode(self, ids):
        """The words without the three marks."""
        kept = [self.words[int(i)] for i in ids if int(i) not in (0, 1, 2)]
        return " ".join(kept)
''',
    ),
    Alternative(
        name="pools-the-end",
        exercise="text",
        edits={
            "        words = mask[..., None].to(x.dtype)\n        return (self.norm(x) * words).sum(1) / words.sum(1)": "        return self.norm(x)[torch.arange(len(x)), mask.sum(1) - 1]"
        },
    ),
    Alternative(
        name="positions-as-embedding-and-mean-of-the-filled",
        exercise="text",
        code='''
class TextEncoder(nn.Module):
    """Positions from an nn.Embedding; padding is filled with 0 before the mean."""

    def __init__(self, vocab_size, max_length, width, depth, n_heads):
        super().__init__()
        self.max_length = max_length
        self.embed, self.place = nn.Embedding(vocab_size, width), nn.Embedding(max_length, width)
        nn.init.normal_(self.place.weight, std=0.1)
        for k in range(depth):
            self.add_module(f"block{k}", Block(width, n_heads))
        self.depth, self.ln = depth, nn.LayerNorm(width)

    def forward(self, ids, mask):
        """Unpadded rows would do as well."""
        if ids.size(1) > self.max_length:
            raise ValueError("too long")
        x = self.embed(ids) + self.place(torch.arange(ids.size(1), device=ids.device))
        for k in range(self.depth):
            x = getattr(self, f"block{k}")(x, mask)
        return self.ln(x).masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
''',
    ),
    Alternative(
        name="divides-by-the-norm",
        exercise="dual",
        code='''
class DualEncoder(nn.Module):
    """Lengths by hand; zero-proof."""

    def __init__(self, image_tower, text_tower, image_width, text_width, embed_dim):
        super().__init__()
        self.logit_scale = LogitScale()
        self.towers = nn.ModuleDict({"image": image_tower, "text": text_tower})
        self.image_projection = nn.Linear(image_width, embed_dim, bias=False)
        self.text_projection = nn.Linear(text_width, embed_dim, bias=False)

    def encode_image(self, images):
        """Unit rows."""
        raw = self.image_projection(self.towers["image"](images))
        return raw / raw.norm(dim=1, keepdim=True).clamp(min=1e-12)

    def encode_text(self, ids, mask):
        """Unit rows."""
        raw = self.text_projection(self.towers["text"](ids, mask))
        return raw / raw.square().sum(1, keepdim=True).sqrt()

    def forward(self, images, ids, mask):
        """A list is as good as a tuple."""
        return [self.encode_image(images), self.encode_text(ids, mask), self.logit_scale.forward()]
''',
    ),
    Alternative(
        name="class-by-class",
        exercise="zero-shot",
        code="""
def zero_shot_weights(encode_text, class_names, templates):
    if len(templates) == 0:
        raise ValueError("no templates")
    for template in templates:
        if template.count("{}") == 0:
            raise ValueError(f"{template!r} has no placeholder")
    rows = []
    for name in class_names:
        vectors = encode_text([template.replace("{}", name) for template in templates])
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        rows.append(F.normalize(vectors.sum(0), dim=0))
    return torch.stack(rows)


def zero_shot_predict(image_emb, weights, k=1):
    scores = torch.einsum("bd,kd->bk", image_emb, weights)
    return scores.argsort(dim=1, descending=True)[:, :k]
""",
    ),
    Alternative(
        name="template-by-template",
        exercise="zero-shot",
        code="""
def zero_shot_weights(encode_text, class_names, templates):
    if not templates or not all("{}" in template for template in templates):
        raise ValueError("placeholder")
    groups = [F.normalize(encode_text([t.format(*[n] * t.count("{}")) for n in class_names]), dim=1) for t in templates]
    return F.normalize(torch.stack(groups).mean(dim=0), dim=-1)


def zero_shot_predict(image_emb, weights, k=1):
    return torch.topk(image_emb @ weights.t(), k).indices
""",
    ),
]
