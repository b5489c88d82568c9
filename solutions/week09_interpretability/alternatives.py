"""Right answers to week 9 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="forward-of-the-dropout-replaced",
        exercise="collect",
        code="""
def collect_attention(model, images, with_grad=False):
    if not hasattr(model, "blocks") or not all(
        hasattr(getattr(b, "attn", None), name) for b in model.blocks for name in ("fused_attn", "attn_drop")
    ):
        raise ValueError("this model keeps its attention elsewhere")
    attns = [block.attn for block in model.blocks]
    before = [(attn, attn.fused_attn, attn.attn_drop) for attn in attns]
    training = [(module, module.training) for module in model.modules()]

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = None

        def forward(self, weights):
            self.seen = weights
            return weights

    try:
        for attn in attns:
            attn.fused_attn, attn.attn_drop = False, Recorder()
        for module, _ in training:
            module.training = False
        if not with_grad:
            with torch.no_grad():
                logits = model(images)
        else:
            with torch.enable_grad():
                logits = model(images.clone().detach().requires_grad_(True))
        maps = [attn.attn_drop.seen for attn in attns]
    finally:
        for attn, fused, drop in before:
            attn.fused_attn, attn.attn_drop = fused, drop
        for module, mode in training:
            module.training = mode
    return maps, logits
""",
    ),
    Alternative(
        name="exit-stack-and-forward-hook",
        exercise="collect",
        code="""
def collect_attention(model, images, with_grad=False):
    from contextlib import ExitStack

    found = {}
    with ExitStack() as undo:
        blocks = list(getattr(model, "blocks", []))
        if len(blocks) == 0:
            raise ValueError(type(model).__name__ + " has no blocks")
        for module in model.modules():
            undo.callback(setattr, module, "training", module.training)
        model.eval()
        for number, block in enumerate(blocks):
            attn = getattr(block, "attn", None)
            if not isinstance(getattr(attn, "attn_drop", None), nn.Dropout) or not hasattr(attn, "fused_attn"):
                raise ValueError("no attn_drop")
            undo.callback(setattr, block.attn, "fused_attn", block.attn.fused_attn)
            block.attn.fused_attn = False
            hook = block.attn.attn_drop.register_forward_hook(lambda m, i, o, number=number: found.__setitem__(number, o))
            undo.callback(hook.remove)
        batch = images
        if with_grad:
            batch = images.detach().clone()
            batch.requires_grad = True
        with torch.enable_grad() if with_grad else torch.no_grad():
            logits = model(batch)
    return [found[number] for number in range(len(blocks))], logits
""",
    ),
    Alternative(
        name="einsum-over-layers",
        exercise="rollout",
        code="""
def attention_rollout(attentions, residual=0.5, head_fusion="mean"):
    if residual < 0 or residual >= 1:
        raise ValueError("residual")
    if head_fusion == "mean":
        layers = [torch.einsum("bhij->bij", a) / a.shape[1] for a in attentions]
    elif head_fusion == "max":
        layers = [a.max(dim=1).values for a in attentions]
    elif head_fusion == "min":
        layers = [a.min(dim=1).values for a in attentions]
    else:
        raise ValueError(head_fusion)
    product = None
    for layer in reversed(layers):
        mixed = layer * (1 - residual)
        mixed.diagonal(dim1=-2, dim2=-1).add_(residual)
        mixed = F.normalize(mixed, p=1, dim=-1)
        product = mixed if product is None else torch.einsum("bij,bjk->bik", product, mixed)
    return product
""",
    ),
    Alternative(
        name="multi-dot-per-image",
        exercise="rollout",
        code="""
def attention_rollout(attentions, residual=0.5, head_fusion="mean"):
    ways = {"mean": lambda a: a.mean(1), "max": lambda a: a.amax(1), "min": lambda a: a.amin(1)}
    if not (0.0 <= residual < 1.0) or head_fusion not in ways:
        raise ValueError("no such rollout")
    stacked = torch.stack([ways[head_fusion](a) for a in attentions])
    stacked = (1 - residual) * stacked + residual * torch.eye(stacked.shape[-1]).to(stacked)
    stacked = stacked / stacked.sum(-1)[..., None]
    flipped = stacked.flip(0)
    if len(flipped) == 1:
        return flipped[0]
    return torch.stack([torch.linalg.multi_dot(list(flipped[:, image])) for image in range(flipped.shape[1])])
""",
    ),
    Alternative(
        name="rows-as-vectors",
        exercise="rollout",
        code="""
def attention_rollout(attentions, residual=0.5, head_fusion="mean"):
    if residual >= 1 or residual < 0:
        raise ValueError("residual must be in [0, 1)")
    if head_fusion not in ("mean", "max", "min"):
        raise ValueError("unknown fusion")
    batch, _, tokens, _ = attentions[0].shape
    rows = torch.eye(tokens).to(attentions[0]).repeat(batch, 1, 1)
    for attn in list(attentions)[::-1]:
        fused = attn.mean(1) if head_fusion == "mean" else getattr(attn, "a" + head_fusion)(1)
        mixed = (1 - residual) * fused + residual * torch.eye(tokens).to(attn)
        rows = torch.bmm(rows, mixed / mixed.sum(2, keepdim=True))
    return rows
""",
    ),
    Alternative(
        name="distances-by-cdist",
        exercise="distance",
        code="""
def attention_distance(attn, grid_hw, patch, n_prefix):
    height, width = grid_hw
    n = attn.size(-1) - n_prefix
    if height * width != n:
        raise ValueError("grid")
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centers = (torch.stack([y, x], -1).reshape(-1, 2).to(attn) + 0.5) * patch
    table = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
    inner = attn[..., n_prefix:, n_prefix:]
    means = torch.einsum("bhij,ij->bhi", inner, table) / inner.sum(-1)
    return means.transpose(0, 1).flatten(1).mean(1)
""",
    ),
    Alternative(
        name="index-arithmetic",
        exercise="distance",
        code="""
def attention_distance(attn, grid_hw, patch, n_prefix):
    if grid_hw[0] * grid_hw[1] + n_prefix != attn.shape[3]:
        raise ValueError(f"{grid_hw} does not fit")
    index = torch.arange(grid_hw[0] * grid_hw[1], device=attn.device)
    down, across = index // grid_hw[1], index % grid_hw[1]
    table = torch.hypot((down[:, None] - down).to(attn.dtype), (across[:, None] - across).to(attn.dtype)) * patch
    kept = F.normalize(attn[:, :, n_prefix:, n_prefix:], p=1, dim=3)
    return torch.mean(torch.sum(kept * table, 3), (0, 2))
""",
    ),
    Alternative(
        name="where-and-norms",
        exercise="entropy",
        code="""
def attention_entropy(attn):
    logs = torch.where(attn > 0, attn, torch.ones_like(attn)).log()
    return -(attn * logs).sum(-1)


def hoyer_sparsity(attn):
    n = attn.size(-1)
    ratio = torch.linalg.vector_norm(attn, 1, -1) / torch.linalg.vector_norm(attn, 2, -1)
    return (n**0.5 - ratio) / (n**0.5 - 1)


def prefix_mass(attn, n_prefix):
    return attn.narrow(-1, 0, n_prefix).sum(-1)
""",
    ),
    Alternative(
        name="xlogy-and-square-roots",
        exercise="entropy",
        code="""
def attention_entropy(attn):
    return torch.xlogy(attn, attn).sum(dim=3).neg()


def hoyer_sparsity(attn):
    root = float(np.sqrt(attn.shape[-1]))
    return (root - attn.sum(3) * attn.square().sum(3).rsqrt()) / (root - 1)


def prefix_mass(attn, n_prefix):
    return attn.cumsum(-1)[..., n_prefix - 1] if n_prefix else torch.zeros_like(attn[..., 0])
""",
    ),
    Alternative(
        name="divergence-by-kl",
        exercise="similarity",
        code="""
def head_similarity(attentions):
    heads = [attn[:, h] for attn in attentions for h in range(attn.shape[1])]

    def kl(p, q):
        return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)

    matrix = torch.zeros(len(heads), len(heads), dtype=heads[0].dtype, device=heads[0].device)
    for i in range(len(heads)):
        for j in range(i):
            middle = 0.5 * (heads[i] + heads[j])
            matrix[i, j] = matrix[j, i] = (0.5 * kl(heads[i], middle) + 0.5 * kl(heads[j], middle)).mean()
    return matrix


def redundant_heads(matrix, threshold):
    alive = torch.ones(len(matrix), dtype=torch.bool)
    for head in range(1, len(matrix)):
        earlier = alive.clone()
        earlier[head:] = False
        if (matrix[head][earlier] < threshold).any():
            alive[head] = False
    return (~alive).nonzero().flatten().tolist()
""",
    ),
    Alternative(
        name="all-pairs-at-once",
        exercise="similarity",
        code="""
def head_similarity(attentions):
    p = torch.stack(list(attentions)).transpose(1, 2).flatten(0, 1)
    middle = (p[:, None] + p[None]) / 2
    h = torch.special.entr(p).sum(-1)
    return (torch.special.entr(middle).sum(-1) - 0.5 * h[:, None] - 0.5 * h[None]).flatten(2).mean(-1)


def redundant_heads(matrix, threshold):
    gone = set()
    for head in range(len(matrix)):
        for other in range(head):
            if other not in gone and float(matrix[head, other]) < threshold:
                gone.add(head)
                break
    return sorted(gone)
""",
    ),
    Alternative(
        name="retain-grad-and-backward",
        exercise="relevance",
        code="""
def gradient_relevance(model, image, target):
    maps, logits = collect_attention(model, image, True)
    for weights in maps:
        weights.retain_grad()
    targets = torch.full((len(image),), target) if isinstance(target, int) else target
    with torch.enable_grad():
        (logits * F.one_hot(targets, logits.shape[1]).to(logits)).sum().backward(inputs=maps)
    tokens = maps[0].shape[-1]
    relevance = torch.eye(tokens).to(logits).expand(len(image), tokens, tokens).clone()
    for weights in maps:
        relevance += torch.relu(weights.detach() * weights.grad).mean(1).bmm(relevance)
    return relevance[:, 0, model.num_prefix_tokens:].detach()
""",
    ),
    Alternative(
        name="row-from-the-last-layer-down",
        exercise="relevance",
        code='''
def gradient_relevance(model, image, target):
    """The row of the class token alone: e_0 (I + A_L) ... (I + A_1), a vector times matrices."""
    maps, logits = collect_attention(model, image, with_grad=True)
    index = torch.as_tensor(target).reshape(-1)
    with torch.enable_grad():
        score = logits[torch.arange(len(logits)), index if len(index) > 1 else index.repeat(len(logits))].sum()
    grads = torch.autograd.grad(score, maps)
    row = torch.zeros_like(maps[0][:, 0, :1].detach())
    row[:, :, 0] = 1
    for attention, grad in list(zip(maps, grads))[::-1]:
        bar = torch.einsum("bhij->bij", (attention * grad).detach().clamp_min(0)) / attention.shape[1]
        row = row + row @ bar
    return row[:, 0, model.num_prefix_tokens:]
''',
    ),
    Alternative(
        name="tensor-hooks-one-image-at-a-time",
        exercise="relevance",
        code="""
def gradient_relevance(model, image, target):
    targets = [target] * len(image) if isinstance(target, int) else target.tolist()
    rows = []
    for one, label in zip(image.split(1), targets):
        maps, logits = collect_attention(model, one, with_grad=True)
        seen = {}
        for number, weights in enumerate(maps):
            weights.register_hook(lambda grad, number=number: seen.__setitem__(number, grad))
        with torch.enable_grad():
            logits[0, label].backward(inputs=maps)
        matrix = torch.eye(maps[0].shape[-1]).to(one)
        for number, weights in enumerate(maps):
            matrix = matrix + (weights.detach()[0] * seen[number][0]).clamp(min=0).mean(0) @ matrix
        rows.append(matrix[0, model.num_prefix_tokens:])
    return torch.stack(rows)
""",
    ),
    Alternative(
        name="loop-over-images",
        exercise="deletion",
        code="""
def deletion_curve(model, images, labels, maps, fractions, fill=0.0, insert=False):
    n, gh, gw = maps.shape
    ph, pw = images.shape[2] // gh, images.shape[3] // gw
    values = maps.reshape(n, -1).tolist()
    orders = [sorted(range(gh * gw), key=lambda j: -row[j]) for row in values]
    result = []
    with torch.no_grad():
        for share in fractions:
            k = int(share * gh * gw + 0.5)
            changed = torch.full_like(images, fill) if insert else images.clone()
            for i, order in enumerate(orders):
                for j in order[:k]:
                    area_of = (slice(j // gw * ph, (j // gw + 1) * ph), slice(j % gw * pw, (j % gw + 1) * pw))
                    changed[i, :, area_of[0], area_of[1]] = images[i, :, area_of[0], area_of[1]] if insert else fill
            result.append(float((model(changed).argmax(-1) == labels).float().mean()))
    return torch.tensor(result)


def area(curve, fractions=None):
    y = curve.tolist()
    x = [i / (len(y) - 1) for i in range(len(y))] if fractions is None else list(fractions)
    return sum((x[i + 1] - x[i]) * (y[i] + y[i + 1]) / 2 for i in range(len(y) - 1)) / (x[-1] - x[0])


def pointing_game(maps, mask_grid):
    hits = [bool(mask.flatten()[int(m.flatten().argmax())]) for m, mask in zip(maps, mask_grid)]
    return sum(hits) / len(hits)


def mass_inside(maps, mask_grid):
    inside = torch.where(mask_grid, maps, torch.zeros_like(maps)).sum((1, 2))
    total = maps.sum((1, 2))
    return torch.where(total > 0, inside / total, torch.zeros_like(total))
""",
    ),
    Alternative(
        name="scatter-and-interpolate",
        exercise="deletion",
        code="""
def deletion_curve(model, images, labels, maps, fractions, fill=0.0, insert=False):
    flat = maps.flatten(1)
    order = torch.sort(flat, dim=1, descending=True, stable=True).indices
    curve = []
    for fraction in fractions:
        k = int(np.floor(fraction * flat.shape[1] + 0.5))
        chosen = torch.zeros_like(flat, dtype=images.dtype).scatter(1, order[:, :k], 1.0).reshape(len(maps), 1, *maps.shape[1:])
        chosen = F.interpolate(chosen, size=images.shape[-2:], mode="nearest")
        keep = chosen if insert else 1 - chosen
        with torch.inference_mode():
            right = model(images * keep + fill * (1 - keep)).argmax(dim=1).eq(labels)
        curve.append(right.float().mean().item())
    return torch.tensor(curve, dtype=torch.float32)


def area(curve, fractions=None):
    x = np.linspace(0, 1, len(curve)) if fractions is None else np.asarray(fractions, dtype=float)
    return float(np.trapezoid(curve.double().numpy(), x) / (x[-1] - x[0]))


def pointing_game(maps, mask_grid):
    n = len(maps)
    return mask_grid.reshape(n, -1)[torch.arange(n), maps.reshape(n, -1).argmax(1)].float().mean().item()


def mass_inside(maps, mask_grid):
    return torch.einsum("nij,nij->n", maps, mask_grid.to(maps)) / (maps.sum((1, 2)) + torch.finfo(maps.dtype).tiny)
""",
    ),
    Alternative(
        name="error-of-its-own-class",
        exercise="collect",
        edits={
            'raise ValueError(f"{type(model).__name__} has no blocks[i].attn with attn_drop and fused_attn")': (
                "raise type('NoAttention', (ValueError,), {})('this model keeps its attention elsewhere')"
            )
        },
    ),
]
