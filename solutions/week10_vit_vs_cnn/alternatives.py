"""Right answers to week 10 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="sorted-by-distance-and-models-outside",
        exercise="budget",
        code='''
def match_budget(candidates, target_params, tolerance=0.1):
    """Sort by distance, look at the first."""
    ranked = sorted((abs(count - target_params), name) for name, count in candidates.items())
    if not ranked or ranked[0][0] > target_params * tolerance:
        raise ValueError("nothing fits")
    return ranked[0][1]


def fair_train(models, data, steps, seeds, batch=48, lr=3e-3, augment=None):
    """Models outside, seeds inside; all indices of a seed drawn by a generator that begins anew."""

    def one_run(make, seed):
        torch.manual_seed(seed)
        model, generator = make(), torch.Generator()
        generator.manual_seed(seed)
        opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
        plan = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=lr, total_steps=steps, pct_start=0.2)
        model.train(True)
        start = time.process_time()
        for _ in range(steps):
            rows = torch.randint(data[0].shape[0], (batch,), generator=generator)
            images = data[0][rows]
            if augment:
                images = augment(images, generator)
            loss = nn.functional.cross_entropy(model(images), data[1][rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
        spent = time.process_time() - start
        model.train(False)
        with torch.inference_mode():
            hits = (model(data[2]).argmax(-1) == data[3]).float().mean()
        return Run(model=model, params=sum(p.numel() for p in model.parameters()), seconds=spent, accuracy=float(hits))

    return {name: [one_run(make, seed) for seed in seeds] for name, make in models.items()}
''',
    ),
    Alternative(
        name="tensor-hook-and-einsum",
        exercise="gradcam",
        code='''
def grad_cam(model, layer, images, targets):
    """The gradient comes by a hook on the tensor; backward reaches the images alone."""
    part = dict(model.named_modules())[layer]
    seen = {}

    def keep(_module, _given, output):
        seen["maps"] = output.detach().clone()
        output.register_hook(lambda gradient: seen.update(gradient=gradient))

    hook = part.register_forward_hook(keep)
    try:
        with evaluating(model), torch.enable_grad():
            pixels = images.clone().requires_grad_(True)
            picked = model(pixels)[torch.arange(len(images)), targets]
            picked.sum().backward(inputs=[pixels])
    finally:
        hook.remove()
    channel = seen["gradient"].mean((-1, -2))
    combined = torch.einsum("bk,bkhw->bhw", channel, seen["maps"].detach()).clamp(min=0)
    large = F.interpolate(combined.unsqueeze(1), size=tuple(images.shape[2:]), mode="bilinear").squeeze(1)
    top = large.flatten(1).max(1).values.view(-1, 1, 1)
    return torch.where(top > 0, large / top.clamp(min=torch.finfo(large.dtype).tiny), torch.zeros_like(large))
''',
    ),
    Alternative(
        name="one-backward-pass-an-image",
        exercise="gradcam",
        code='''
def grad_cam(model, layer, images, targets):
    """Image by image."""
    rows = []
    for image, target in zip(images, targets):
        store = []
        hook = model.get_submodule(layer).register_forward_hook(lambda m, i, o: (store.append(o), o + 0)[1])
        try:
            with evaluating(model), torch.enable_grad():
                z = model(image[None].clone().requires_grad_())[0, target]
                gradient = torch.autograd.grad(z, store[0])[0]
        finally:
            hook.remove()
        maps = (gradient.mean((2, 3))[..., None, None] * store[0]).detach().sum(1, keepdim=True).relu()
        maps = F.interpolate(maps, image.shape[-2:], mode="bilinear")[0, 0]
        rows.append(maps / maps.max() if maps.max() > 0 else maps)
    return torch.stack(rows)
''',
    ),
    Alternative(
        name="dot-grad-and-clamps-in-another-order",
        exercise="attacks",
        code='''
def project(moved, x, eps, lo, hi):
    """Range first, ball afterwards."""
    moved = moved.clamp(lo, hi)
    return torch.minimum(torch.maximum(moved, x - eps), x + eps).clamp(lo, hi)


def slope_of(model, x, y):
    """The gradient through .grad, with parameters switched off meanwhile."""
    wanted = [p.requires_grad for p in model.parameters()]
    leaf = x.detach().clone().requires_grad_(True)
    try:
        for p in model.parameters():
            p.requires_grad_(False)
        with evaluating(model), torch.enable_grad():
            F.cross_entropy(model(leaf), y).backward()
    finally:
        for p, flag in zip(model.parameters(), wanted):
            p.requires_grad_(flag)
    return leaf.grad


def refuse(eps, lo, hi):
    """The two errors."""
    if eps < 0:
        raise ValueError("eps")
    if hi <= lo:
        raise ValueError("range")


def fgsm(model, x, y, eps, lo=0.0, hi=1.0):
    """One step."""
    refuse(eps, lo, hi)
    return project(x + eps * torch.sign(slope_of(model, x, y)), x, eps, lo, hi).detach()


def pgd(model, x, y, eps, step, n_steps, random_start=True, generator=None, lo=0.0, hi=1.0):
    """Projects by two clamps; any place of the ball may be the start."""
    refuse(eps, lo, hi)
    now = x.clone()
    if random_start:
        now = now + eps * (torch.rand(x.shape, generator=generator).to(x) * 2 - 1)
        now = project(now, x, eps, lo, hi)
    for _ in range(n_steps):
        now = project(now + step * slope_of(model, now, y).sign(), x, eps, lo, hi)
    return now.detach()
''',
    ),
    Alternative(
        name="returns-the-best-iterate",
        exercise="attacks",
        code='''
def fgsm(model, x, y, eps, lo=0.0, hi=1.0):
    """The plain step."""
    if eps < 0 or not lo < hi:
        raise ValueError("no such attack")
    with evaluating(model), torch.enable_grad():
        z = x.clone().requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(z), y), z)[0]
    return torch.clamp(x + eps * g.sign(), lo, hi).detach()


def pgd(model, x, y, eps, step, n_steps, random_start=True, generator=None, lo=0.0, hi=1.0):
    """Keeps, for each image, the iterate with the largest loss."""
    if eps < 0 or not lo < hi:
        raise ValueError("no such attack")
    x = x.detach()
    change = torch.zeros_like(x)
    if random_start:
        change = torch.empty(x.shape, dtype=x.dtype).uniform_(-eps, eps, generator=generator).to(x.device)
    change = (x + change).clamp(lo, hi) - x
    best, height = (x + change).clamp(lo, hi), torch.full((len(x),), -torch.inf).to(x)
    with evaluating(model), torch.enable_grad():
        for turn in range(n_steps + 1 if n_steps else 0):
            point = (x + change).clamp(lo, hi).requires_grad_()
            losses = F.cross_entropy(model(point), y, reduction="none")
            higher = losses.detach() > height
            shape = (-1, *[1] * (x.ndim - 1))
            best = torch.where(higher.view(shape), point.detach(), best)
            height = torch.where(higher, losses.detach(), height)
            gradient = torch.autograd.grad(losses.sum(), point)[0]
            change = (change + step * gradient.sign()).clamp(-eps, eps)
            change = (x + change).clamp(lo, hi) - x
    return best.detach()
''',
    ),
    Alternative(
        name="topk-margin-and-lists",
        exercise="cw",
        code='''
def cw_l2(model, x, y, c=1.0, kappa=0.0, steps=100, lr=0.01):
    """The margin through a loop over the other classes; best kept in lists."""
    w = torch.nn.Parameter(torch.atanh((x * 2 - 1) * (1 - 1e-6)).detach())
    adam = torch.optim.Adam([w], lr)
    found = [(math.inf, None)] * len(x)
    with evaluating(model), torch.enable_grad():
        for _ in range(steps + 1):
            now = 0.5 * (torch.tanh(w) + 1)
            z = model(now)
            rows = torch.arange(len(x))
            others = z.clone()
            others[rows, y] = -1e30
            lead = z[rows, y] - others.max(1).values
            away = ((now - x) ** 2).reshape(len(x), -1).sum(-1)
            for k in range(len(x)):
                if lead[k] < 0 and lead[k] <= -kappa and away[k] < found[k][0]:
                    found[k] = (away[k].item(), now[k].detach().clone())
            total = (away + c * torch.maximum(lead, torch.tensor(-kappa).to(lead))).sum()
            w.grad = torch.autograd.grad(total, w)[0]
            adam.step()
    moved = torch.stack([x[k] if best is None else best for k, (_, best) in enumerate(found)])
    return moved.detach(), torch.tensor([best is not None for _, best in found])
''',
    ),
    Alternative(
        name="accumulated-minimum",
        exercise="curve",
        code='''
def robustness_curve(model, x, y, epsilons, attack):
    """Image by image counts, in batches of 50."""
    curve = torch.zeros(len(epsilons))
    with evaluating(model):
        for k, eps in enumerate(epsilons):
            moved = attack(model, x, y, eps)
            hits = 0
            for part, labels in zip(moved.detach().split(50), y.split(50)):
                with torch.inference_mode():
                    hits += int((model(part).argmax(dim=-1) == labels).sum())
            curve[k] = hits / len(y)
    return curve


def masking_alarm(epsilons, one_step, iterated, value_range=1.0, slack=0.02):
    """All pairs."""
    n = range(len(epsilons))
    symptoms = {
        "weaker": any(iterated[k] - one_step[k] > slack for k in n),
        "rises": any(epsilons[i] < epsilons[j] and iterated[j] - iterated[i] > slack for i in n for j in n),
        "survives": any(iterated[k] > slack and epsilons[k] >= value_range for k in n),
    }
    return [word for word, there in symptoms.items() if there]
''',
    ),
    Alternative(
        name="counted-in-a-loop",
        exercise="bias",
        code='''
def shape_bias(pred, shape, texture):
    """Plain counting."""
    triples = [t for t in zip(pred.tolist(), shape.tolist(), texture.tolist()) if t[1] != t[2]]
    if not triples:
        raise ValueError("no conflicts")
    s = sum(p == a for p, a, _ in triples)
    t = sum(p == b for p, _, b in triples)
    return (s / (s + t) if s + t > 0 else float("nan"), (s + t) / len(triples))
''',
    ),
    Alternative(
        name="where-table-and-binomial",
        exercise="errors",
        code='''
def error_taxonomy(pred_a, pred_b, y):
    """One code for each image."""
    code = torch.where(pred_a == y, torch.where(pred_b == y, 0, 2), torch.where(pred_b == y, 1, 4))
    code[(pred_a != y) & (pred_b == pred_a)] = 3
    names = ("both_right", "only_a_wrong", "only_b_wrong", "both_wrong_same", "both_wrong_different")
    return {name: torch.where(code == k)[0] for k, name in enumerate(names)}


def error_consistency(pred_a, pred_b, y):
    """From the two by two table."""
    a, b = pred_a.eq(y), pred_b.eq(y)
    n = len(y)
    both, none = int((a & b).sum()), int((~a & ~b).sum())
    chance = (int(a.sum()) * int(b.sum()) + int((~a).sum()) * int((~b).sum())) / n**2
    if chance == 1:
        return float("nan")
    return ((both + none) / n - chance) / (1 - chance)


def mcnemar_p(pred_a, pred_b, y):
    """The cumulative binomial of SciPy."""
    from scipy.stats import binom

    b, c = int(((pred_a == y) & (pred_b != y)).sum()), int(((pred_a != y) & (pred_b == y)).sum())
    return float(min(1, 2 * binom.cdf(min(b, c), b + c, 0.5))) if b + c else 1.0
''',
    ),
]
