"""Right answers to week 14 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="cosines-first-and-interleaved",
        exercise="fourier",
        code='''
class RandomFourierPE(nn.Module):
    """Cosines and sines, one after the other; G has its factors from the start."""

    def __init__(self, dim, scale=1.0, seed=0):
        super().__init__()
        if dim & 1:
            raise ValueError("dim must be even")
        rng = torch.Generator()
        rng.manual_seed(seed)
        self.register_buffer("G", torch.empty(2, dim // 2).normal_(0, scale, generator=rng) * 2 * torch.pi)

    def forward(self, coords, size):
        extent = torch.tensor(size[::-1], dtype=coords.dtype, device=coords.device)
        angle = torch.einsum("...c,cd->...d", 2 * coords / extent - 1, self.G.to(coords))
        return torch.stack((angle.cos(), angle.sin()), dim=-1).flatten(-2)
''',
    ),
    Alternative(
        name="numpy-normals",
        exercise="fourier",
        edits={
            "        generator = torch.Generator().manual_seed(seed)\n": "",
            "scale * torch.randn(2, dim // 2, generator=generator)": "torch.from_numpy(np.random.default_rng(seed).normal(0, scale, (dim // 2, 2))).float().T.contiguous()",
        },
    ),
    Alternative(
        name="five-parameters",
        exercise="prompts",
        code='''
class PromptEncoder(nn.Module):
    """A parameter for each kind, and one convolution of stride 4."""

    def __init__(self, dim):
        super().__init__()
        self.pe = RandomFourierPE(dim)
        self.padding, self.off, self.on, self.first, self.last, self.empty = (
            nn.Parameter(0.1 * torch.randn(dim)) for _ in range(6)
        )
        self.down = nn.Conv2d(1, dim, 4, 4)

    def forward(self, points, labels, boxes, mask, size):
        tokens, b = [], 1
        if points is not None:
            b = points.shape[0]
            if not bool(((labels == -1) | (labels == 0) | (labels == 1)).all()):
                raise ValueError("labels")
            kind = labels.unsqueeze(-1)
            token = self.pe(points, size) + torch.where(kind == 1, self.on, self.off)
            tokens.append(torch.where(kind == -1, self.padding, token))
        if boxes is not None:
            b = boxes.shape[0]
            tokens += [(self.pe(boxes[:, :2], size) + self.first)[:, None], (self.pe(boxes[:, 2:], size) + self.last)[:, None]]
        if mask is not None:
            b = mask.shape[0]
            dense = self.down(mask)
        else:
            dense = self.empty.reshape(1, -1, 1, 1).repeat(b, 1, size[0] // 4, size[1] // 4)
        return torch.cat(tokens, 1) if tokens else self.empty.new_empty(b, 0, self.empty.numel()), dense
''',
    ),
    Alternative(
        name="zero-at-the-start",
        exercise="prompts",
        edits={
            "self.kinds = nn.Embedding(5, dim)": "self.kinds = nn.Embedding(5, dim)\n        nn.init.zeros_(self.kinds.weight)",
            "nn.Parameter(torch.randn(dim))": "nn.Parameter(torch.zeros(dim))",
            "nn.Conv2d(1, 4, 2, stride=2), nn.GELU(), nn.Conv2d(4, 16, 2, stride=2), nn.GELU(), nn.Conv2d(16, dim, 1)": "nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, dim, 3, stride=2, padding=1)",
        },
    ),
    Alternative(
        name="norms-before-and-fused",
        exercise="twoway",
        code='''
class Mix(nn.Module):
    """Attention with one matrix for queries and one for keys and values."""

    def __init__(self, dim, heads, inner):
        super().__init__()
        self.h, self.c = heads, inner
        self.q, self.k, self.v, self.o = nn.Linear(dim, inner, bias=False), nn.Linear(dim, inner), nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, q, k, v):
        def split(x):
            return x.reshape(x.shape[0], x.shape[1], self.h, -1).permute(0, 2, 1, 3)

        q, k, v = split(self.q(q)), split(self.k(k)), split(self.v(v))
        w = torch.softmax(q @ k.mT * (self.c // self.h) ** -0.5, dim=-1)
        return self.o((w @ v).permute(0, 2, 1, 3).reshape(q.shape[0], -1, self.c))


class TwoWayBlock(nn.Module):
    """Norms first."""

    def __init__(self, dim, heads, down=2):
        super().__init__()
        if dim % down != 0 or dim // down % heads != 0:
            raise ValueError("division")
        small = dim // down
        self.parts = nn.ModuleList((Mix(dim, heads, dim), Mix(dim, heads, small), Mix(dim, heads, small)))
        self.n = nn.ModuleList(nn.LayerNorm(dim) for _ in range(6))
        self.up, self.back = nn.Linear(dim, dim * 4), nn.Linear(dim * 4, dim)

    def forward(self, q, k, q_pe, k_pe):
        own, look, back = self.parts
        x = self.n[0](q)
        q = q + own(x + q_pe, x + q_pe, x)
        y = self.n[5](k)
        q = q + look(self.n[1](q) + q_pe, y + k_pe, y)
        q = q + self.back(torch.relu(self.up(self.n[2](q))))
        x = self.n[3](q)
        return q, k + back(self.n[4](k) + k_pe, x + q_pe, x)
''',
    ),
    Alternative(
        name="multihead-attention-for-tokens",
        exercise="twoway",
        edits={
            "self.own = Attention(dim, heads, dim)": "self.own = nn.MultiheadAttention(dim, heads, batch_first=True)",
            "self.own(q + q_pe, q + q_pe, q)": "self.own(q + q_pe, q + q_pe, q, need_weights=False)[0]",
            "nn.GELU()": "nn.ReLU()",
        },
    ),
    Alternative(
        name="embeddings-and-loops",
        exercise="decoder",
        code='''
class MaskDecoder(nn.Module):
    """Embeddings, deeper MLPs, products by matmul."""

    def __init__(self, dim, depth=2, heads=4):
        super().__init__()
        if dim % 8 != 0:
            raise ValueError("8")
        self.learned = nn.Embedding(5, dim)
        self.layers = nn.ModuleList([TwoWayBlock(dim, heads, 2) for _ in range(depth)])
        self.first, self.second = nn.ConvTranspose2d(dim, dim // 4, 2, 2), nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2)
        self.heads = nn.ModuleDict({
            str(n): nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 4 if n == 4 else dim // 8))
            for n in range(5)
        })

    def attend(self, image_feats, image_pe, sparse, dense):
        b, d, h, w = image_feats.shape
        start = torch.cat((self.learned.weight[None].repeat(b, 1, 1), sparse), 1)
        places = (image_feats + dense).reshape(b, d, h * w).permute(0, 2, 1)
        where = image_pe.reshape(1, d, h * w).permute(0, 2, 1).repeat(b, 1, 1)
        now = start
        for layer in self.layers:
            now, places = layer(q=now, k=places, q_pe=start, k_pe=where)
        return now[:, :5], places.permute(0, 2, 1).reshape(b, d, h, w)

    def upscale(self, image, skips):
        half, full = skips
        return F.gelu(self.second(F.gelu(self.first(image) + half)) + full)

    def hyper(self, mask_tokens):
        return torch.cat([self.heads[str(n)](mask_tokens[:, n : n + 1]) for n in range(4)], dim=1)

    def score(self, iou_token):
        return self.heads["4"](iou_token)

    def forward(self, image_feats, image_pe, sparse, dense, multimask, skips):
        tokens, image = self.attend(image_feats, image_pe, sparse, dense)
        pixels = self.upscale(image, skips)
        masks = (self.hyper(tokens[:, 1:]) @ pixels.flatten(2)).reshape(len(pixels), 4, *pixels.shape[-2:])
        wanted = slice(1, 4) if multimask else slice(0, 1)
        return masks[:, wanted], self.score(tokens[:, 0])[:, wanted]
''',
    ),
    Alternative(
        name="by-log-sigmoid",
        exercise="loss",
        code='''
def ambiguity_loss(logits, iou_pred, gt, focal_weight=20.0):
    """Log-sigmoids, flat masks, one column after the other."""
    truth = gt.unsqueeze(1)
    log_pt = torch.where(truth, F.logsigmoid(logits), F.logsigmoid(-logits)).flatten(2)
    p = torch.sigmoid(logits).flatten(2)
    g = truth.flatten(2).to(p)
    focal = -(((1 - log_pt.exp()) ** 2) * log_pt).mean(-1)
    dice = 1 - (2 * (p * g).sum(-1) + 1) / (p.sum(-1) + g.sum(-1) + 1)
    cost = focal_weight * focal + dice
    pick = cost.detach().argmin(1, keepdim=True)
    with torch.no_grad():
        hard = (logits > 0).flatten(2)
        inter, union = (hard & truth.flatten(2)).sum(-1), (hard | truth.flatten(2)).sum(-1)
        iou = (inter + (union == 0)) / (union + (union == 0))
    return cost.gather(1, pick).mean() + F.mse_loss(iou_pred, iou.to(iou_pred))
''',
    ),
    Alternative(
        name="least-by-amin",
        exercise="loss",
        edits={
            "(focal_weight * focal + dice).min(dim=1).values.mean()": "(focal_weight * focal + dice).amin(1).sum() / len(gt)"
        },
    ),
    Alternative(
        name="distances-to-all-outside",
        exercise="click",
        code='''
def next_click(pred, gt, strategy="center", generator=None):
    """Distances by cdist; the last of the farthest."""
    if strategy not in {"center", "random"}:
        raise ValueError("strategy")
    if tuple(pred.shape) != tuple(gt.shape):
        raise ValueError("shapes")
    low, high = torch.logical_and(gt, torch.logical_not(pred)), torch.logical_and(pred, torch.logical_not(gt))
    positive = bool(low.sum() >= high.sum())
    area = F.pad(low if positive else high, (1, 1, 1, 1))
    inner, outer = area.nonzero(), (~area).nonzero()
    if len(inner) == 0:
        return None
    if strategy == "random":
        r, c = inner[int(torch.randint(0, len(inner), (1,), generator=generator))]
    else:
        d = torch.cdist(inner.double(), outer.double()).min(dim=1).values
        r, c = inner[(d == d.max()).nonzero()[-1, 0]]
    return (int(c) - 0.5, int(r) - 0.5), 1 if positive else 0
''',
    ),
    Alternative(
        name="random-by-multinomial",
        exercise="click",
        edits={
            "places[torch.randint(len(places), (), generator=generator)].tolist()": "places[torch.multinomial(torch.ones(len(places)), 1, generator=generator).item()].tolist()",
            "(float(column) + 0.5, float(row) + 0.5), label": "(float(column + 0.5), float(row + 0.5)), label",
        },
    ),
    Alternative(
        name="object-by-object",
        exercise="noc",
        code='''
def noc(ious, target=0.85):
    """A loop."""
    rows = ious.tolist()
    if not rows or not rows[0]:
        raise ValueError("nothing")
    limit = torch.tensor(target, dtype=ious.dtype).item()
    clicks, failures = 0, 0
    for row in rows:
        first = next((n for n, one in enumerate(row, 1) if one >= limit), None)
        clicks += len(row) if first is None else first
        failures += first is None
    return clicks / len(rows), failures / len(rows)
''',
    ),
    Alternative(
        name="by-cumulative-maximum",
        exercise="noc",
        edits={
            "reached.int().argmax(dim=1) + 1": "ious.shape[1] + 1 - reached.int().cummax(dim=1).values.sum(dim=1)",
        },
    ),
    Alternative(
        name="two-deques",
        exercise="memory",
        code='''
from collections import deque


class MemoryBank:
    """Two deques of bounded length."""

    def __init__(self, n_recent=6, n_prompted=2):
        self.recent, self.prompted, self.now = deque(maxlen=n_recent), deque(maxlen=n_prompted), None

    def add(self, frame, feats, mask, prompted):
        rows = feats.detach().permute(1, 2, 0).reshape(-1, feats.shape[0]).clone()
        values = mask.detach().reshape(-1).to(rows, copy=True)
        (self.prompted if prompted else self.recent).append((frame, rows, values))
        self.now = frame

    def read(self):
        kept = list(self.prompted) + list(self.recent)
        if len(kept) == 0:
            raise ValueError("empty")
        ago = [values.new_full(values.shape, self.now - frame).long() for frame, _, values in kept]
        return torch.cat([rows for _, rows, _ in kept]), torch.cat([values for *_, values in kept]), torch.cat(ago)


def propagate(frames, first_mask, n_recent=6, n_prompted=2, temperature=0.05, top_k=8):
    """What is not among the best gets a weight of zero."""
    bank, result = MemoryBank(n_recent, n_prompted), torch.empty_like(frames[:, 0])
    result[0] = first_mask
    bank.add(0, frames[0], first_mask, True)
    for t in range(1, len(frames)):
        keys, values, _ = bank.read()
        ask = frames[t].reshape(len(frames[t]), -1)
        scores = F.cosine_similarity(ask.T[:, None], keys[None], dim=-1) / temperature
        least = torch.sort(scores, dim=1, descending=True).values[:, min(top_k, scores.shape[1]) - 1, None]
        weights = torch.softmax(scores.masked_fill(scores < least, float("-inf")), dim=1)
        result[t] = (weights @ values).reshape(first_mask.shape)
        bank.add(t, frames[t], result[t], False)
    return result
''',
    ),
    Alternative(
        name="detached-and-stacked",
        exercise="memory",
        edits={
            "feats.flatten(1).T.clone()": "feats.detach().clone().flatten(1).transpose(0, 1)",
            "asking @ F.normalize(memory, dim=-1).T / temperature": "(asking / temperature) @ (memory / memory.norm(dim=-1, keepdim=True).clamp(min=1e-12)).T",
        },
    ),
]
