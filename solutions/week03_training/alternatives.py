"""Right answers to week 3 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="two-comprehensions",
        exercise="groups",
        code='''
def parameter_groups(model, weight_decay, no_decay=("pos_embed", "cls_token")):
    """Name -> parameter first, then two groups, the free one first."""
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}

    def is_free(name, p):
        *_, last = name.split(".")
        return p.dim() < 2 or last.endswith("bias") or last in set(no_decay)

    free = [p for n, p in named.items() if is_free(n, p)]
    known = {id(p) for p in free}
    return [
        {"params": free, "weight_decay": 0.0},
        {"params": [p for p in named.values() if id(p) not in known], "weight_decay": weight_decay},
    ]
''',
    ),
    Alternative(
        name="one-group-each",
        exercise="groups",
        code='''
def parameter_groups(model, weight_decay, no_decay=("pos_embed", "cls_token")):
    """A group for every parameter; many, but each is right."""
    groups = []
    for name, p in model.named_parameters():
        if p.requires_grad:
            free = p.ndim <= 1 or name.endswith("bias") or any(name == t or name.endswith("." + t) for t in no_decay)
            groups.append({"params": [p], "weight_decay": 0.0 if free else weight_decay})
    return groups
''',
    ),
    Alternative(
        name="table",
        exercise="schedule",
        code='''
def warmup_cosine(step, total, warmup, base_lr, min_lr=0.0):
    """The whole schedule as a table, and one look into it."""
    if step < 0 or warmup < 0 or warmup >= total:
        raise ValueError("does not fit")
    rising = [base_lr * (s + 1) / warmup for s in range(warmup)]
    angles = np.linspace(0, np.pi, total - warmup + 1)
    falling = min_lr + (base_lr - min_lr) * np.cos(angles / 2) ** 2
    table = rising + falling.tolist()
    return float(table[min(step, total)])
''',
    ),
    Alternative(
        name="numpy-floats",
        exercise="schedule",
        edits={
            "math.cos(math.pi * progress)": "np.cos(np.pi * progress)",
            "return base_lr * (step + 1) / warmup": "return np.float64(base_lr * (step + 1) / warmup)",
        },
    ),
    Alternative(
        name="numpy-norm",
        exercise="clip",
        edits={
            "norm = math.sqrt(sum(g.square().sum().item() for g in gradients))": "norm = np.sqrt(sum(g.double().square().sum().item() for g in gradients))"
        },
    ),
    Alternative(
        name="norm-of-norms-and-foreach",
        exercise="clip",
        code='''
def clip_gradients(params, max_norm):
    """The norm of the norms, and one call for all tensors."""
    if not max_norm > 0:
        raise ValueError("max_norm must be positive")
    grads = [p.grad for p in list(params) if p.grad is not None]
    if len(grads) == 0:
        return 0.0
    total = torch.stack([torch.linalg.vector_norm(g) for g in grads]).norm()
    torch._foreach_mul_(grads, torch.clamp(max_norm / (total + 1e-6), max=1.0))
    return float(total)
''',
    ),
    Alternative(
        name="new-gradients",
        exercise="clip",
        code='''
def clip_gradients(params, max_norm):
    """One flat vector, and new gradient tensors in the place of the old."""
    if max_norm <= 0:
        raise ValueError("max_norm must be positive")
    params = [p for p in params if p.grad is not None]
    flat = torch.cat([p.grad.reshape(-1) for p in params]) if params else torch.zeros(1)
    norm = flat.norm().item()
    for p in params:
        p.grad = p.grad * min(1.0, max_norm / max(norm, 1e-12))
    return norm
''',
    ),
    Alternative(
        name="flipped-partners",
        exercise="mix",
        code='''
def mixup(x, y, num_classes, alpha, generator):
    """timm's way: the partner is the image from the other end of the batch."""
    if alpha == 0:
        return x.clone(), F.one_hot(y, num_classes).type_as(x)
    lam = sample_beta(alpha, generator)
    soft = torch.eye(num_classes, dtype=x.dtype)[y]
    return torch.lerp(x.flip(0), x, lam), torch.lerp(soft.flip(0), soft, lam)


def cutmix(x, y, num_classes, alpha, generator):
    """A mask instead of slices; sides rounded down to even numbers."""
    soft = torch.eye(num_classes, dtype=x.dtype)[y]
    if alpha == 0:
        return x.clone(), soft
    lam = sample_beta(alpha, generator)
    h, w = x.shape[2:]
    cy, cx = int(torch.rand((), generator=generator) * h), int(torch.rand((), generator=generator) * w)
    half_h, half_w = int(h * (1 - lam) ** 0.5) // 2, int(w * (1 - lam) ** 0.5) // 2
    inside_rows = (torch.arange(h) >= cy - half_h) & (torch.arange(h) < cy + half_h)
    inside_columns = (torch.arange(w) >= cx - half_w) & (torch.arange(w) < cx + half_w)
    mask = inside_rows[:, None] & inside_columns[None, :]
    kept = 1 - mask.double().mean().item()
    return torch.where(mask, x.flip(0), x), kept * soft + (1 - kept) * soft.flip(0)
''',
    ),
    Alternative(
        name="another-order-of-draws",
        exercise="mix",
        code='''
def mixup(x, y, num_classes, alpha, generator):
    """Partner first, then lambda from a ratio of gamma draws; labels by scatter_add_."""
    partner = torch.randperm(len(x), generator=generator)
    if alpha > 0:
        seed = int(torch.randint(2**31, (), generator=generator))
        one, two = np.random.default_rng(seed).gamma(alpha, size=2)
        lam = float(one / (one + two))
    else:
        lam = 1.0
    soft = torch.zeros(len(x), num_classes, dtype=x.dtype)
    soft.scatter_add_(1, y[:, None], torch.full((len(x), 1), lam, dtype=x.dtype))
    soft.scatter_add_(1, y[partner][:, None], torch.full((len(x), 1), 1 - lam, dtype=x.dtype))
    return lam * x + (1 - lam) * x.index_select(0, partner), soft


def cutmix(x, y, num_classes, alpha, generator):
    """The center first; the box grows around it."""
    h, w = x.shape[-2:]
    center = torch.randint(h * w, (), generator=generator).item()
    partner = torch.randperm(len(x), generator=generator)
    root = math.sqrt(1 - (sample_beta(alpha, generator) if alpha > 0 else 1))
    y1, y2 = (min(h, max(0, round(center // w + 0.5 + sign * h * root / 2))) for sign in (-1, 1))
    x1, x2 = (min(w, max(0, round(center % w + 0.5 + sign * w * root / 2))) for sign in (-1, 1))
    out = x.clone()
    out[:, :, y1:y2, x1:x2] = x[partner, :, y1:y2, x1:x2]
    area = max(0, y2 - y1) * max(0, x2 - x1) / (h * w)
    onehot = F.one_hot(y, num_classes).to(x)
    return out, onehot * (1 - area) + onehot[partner] * area
''',
    ),
    Alternative(
        name="drawn-in-advance",
        exercise="augment",
        code='''
def rand_augment(image, n_ops, magnitude, generator, operations=OPERATIONS):
    """All numbers first, then the operations; signs from a uniform draw."""
    picks = torch.randint(0, len(operations), (n_ops,), generator=generator).tolist()
    signs = torch.where(torch.rand(n_ops, generator=generator) < 0.5, -1.0, 1.0).tolist()
    result = image.clone()
    for pick, sign in zip(picks, signs):
        result = torch.clip(operations[pick](result, sign * magnitude), 0.0, 1.0)
    return result
''',
    ),
    Alternative(
        name="lerp-and-named-tensors",
        exercise="ema",
        code='''
class ModelEMA:
    """lerp_ over named parameters and buffers."""

    def __init__(self, model, decay, warmup=False):
        self.module = copy.deepcopy(model)
        for p in self.module.parameters():
            p.requires_grad = False
        self.module.eval()
        self.limit = lambda t: min(decay, (1 + t) / (10 + t)) if warmup else decay
        self.t = 0

    @torch.no_grad()
    def update(self, model):
        source = dict(model.named_parameters()) | dict(model.named_buffers())
        for name, average in [*self.module.named_parameters(), *self.module.named_buffers()]:
            if average.dtype.is_floating_point:
                average.lerp_(source[name], 1 - self.limit(self.t))
            else:
                average.copy_(source[name])
        self.t += 1
''',
    ),
    Alternative(
        name="foreach",
        exercise="ema",
        edits={
            "            mine_all = [*self.module.parameters(), *self.module.buffers()]\n            for mine, theirs in zip(mine_all, [*model.parameters(), *model.buffers()]):\n                if mine.is_floating_point():\n                    mine.mul_(decay).add_(theirs, alpha=1 - decay)\n                else:\n                    mine.copy_(theirs)": "            pairs = list(zip([*self.module.parameters(), *self.module.buffers()], [*model.parameters(), *model.buffers()]))\n            real = [(a, b) for a, b in pairs if a.is_floating_point()]\n            torch._foreach_lerp_([a for a, _ in real], [b for _, b in real], 1 - decay)\n            for a, b in pairs:\n                if not a.is_floating_point():\n                    a.copy_(b)"
        },
    ),
    Alternative(
        name="kl-div-with-log-target",
        exercise="distill",
        code='''
def distillation_loss(student, teacher, labels, mode, alpha=0.5, temperature=3.0):
    """torch's own KL, both arguments as logarithms."""
    if mode not in {"soft", "hard"}:
        raise ValueError("unknown mode")
    cls, dist = student if isinstance(student, (tuple, list)) else (student, student)
    with torch.no_grad():
        target = (teacher / temperature).log_softmax(1)
        answer = teacher.argmax(1)
    if mode == "soft":
        part = F.kl_div((dist / temperature).log_softmax(1), target, reduction="batchmean", log_target=True)
        part = part * temperature * temperature
    else:
        part = F.nll_loss(dist.log_softmax(1), answer)
    return torch.lerp(F.cross_entropy(cls, labels), part, alpha)
''',
    ),
    Alternative(
        name="cross-entropy-minus-entropy",
        exercise="distill",
        edits={
            "lesson = temperature**2 * (log_q.exp() * (log_q - log_p)).sum(-1).mean()": "q = log_q.exp()\n        lesson = temperature**2 * (F.cross_entropy(from_teacher / temperature, q) + (q * log_q).sum() / len(q)) + 0 * log_p.sum()"
        },
    ),
    Alternative(
        name="parameter-by-parameter",
        exercise="regime",
        code='''
def set_regime(model, regime):
    """By identity of the head's parameters and modules."""
    if regime == "frozen":
        head_parameters = {id(p) for p in model.head.parameters()}
        head_modules = set(model.head.modules())
    elif regime in ("scratch", "full"):
        head_parameters = {id(p) for p in model.parameters()}
        head_modules = set(model.modules())
    else:
        raise ValueError(regime)
    for p in model.parameters():
        p.requires_grad = id(p) in head_parameters
    for module in model.modules():
        module.training = module in head_modules
''',
    ),
    Alternative(
        name="names-with-a-dot",
        exercise="regime",
        edits={
            '    everything = regime != "frozen"\n    model.train(everything).requires_grad_(everything)\n    model.head.train().requires_grad_(True)': '    for name, parameter in model.named_parameters():\n        parameter.requires_grad_(regime != "frozen" or name.startswith("head."))\n    for name, module in model.named_modules():\n        module.training = regime != "frozen" or name == "head" or name.startswith("head.")'
        },
    ),
]
