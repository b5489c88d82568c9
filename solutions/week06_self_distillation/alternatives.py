"""Right answers to week 6 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="slices-and-interpolation",
        exercise="crops",
        code='''
def multi_crop(images, n_local, out_global, out_local, scale_global, scale_local, generator):
    """Image by image: whole pixels, a slice, and interpolate."""
    for low, high in (scale_global, scale_local):
        if low <= 0 or high > 1 or low > high:
            raise ValueError("not a range of shares")
    size = images.shape[-1]

    def one(image, out, low, high):
        share = torch.empty(()).uniform_(low, high, generator=generator).item() if high > low else low
        side = max(1, round(size * math.sqrt(share)))
        top, left = (int(torch.randint(size - side + 1, (), generator=generator)) for _ in range(2))
        window = image[None, :, top : top + side, left : left + side]
        return F.interpolate(window, size=(out, out), mode="bilinear", align_corners=False)[0]

    def crops(count, out, scale):
        return [torch.stack([one(image, out, *scale) for image in images]) for _ in range(count)]

    return crops(2, out_global, scale_global), crops(n_local, out_local, scale_local)
''',
    ),
    Alternative(
        name="antialiased-slices",
        exercise="crops",
        code='''
def multi_crop(images, n_local, out_global, out_local, scale_global, scale_local, generator):
    """As torchvision's RandomResizedCrop does it: slices, resized with antialiasing."""
    from torchvision.transforms.v2.functional import resized_crop

    ranges = [scale_global, scale_local]
    if any(not (0 < a and a <= b and b <= 1) for a, b in ranges):
        raise ValueError("not a range of shares")
    views = []
    for out, (low, high) in [(out_global, scale_global)] * 2 + [(out_local, scale_local)] * n_local:
        view = []
        for image in images:
            area, row, column = torch.rand(3, generator=generator).tolist()
            side = round(images.shape[-1] * (low + (high - low) * area) ** 0.5)
            free = images.shape[-1] - side
            view.append(resized_crop(image, round(row * free), round(column * free), side, side, [out, out]))
        views.append(torch.stack(view))
    return views[:2], views[2:]
''',
    ),
    Alternative(
        name="one-grid-for-all",
        exercise="crops",
        code='''
def multi_crop(images, n_local, out_global, out_local, scale_global, scale_local, generator):
    """All numbers first; the grid from linspace; corners instead of centers; reflection at the border."""
    bounds = torch.tensor([scale_global] * 2 + [scale_local] * n_local)
    if (bounds[:, 0] <= 0).any() or (bounds[:, 1] > 1).any() or (bounds[:, 0] > bounds[:, 1]).any():
        raise ValueError("not a range of shares")
    for low, high in (scale_global, scale_local):
        if not 0 < low <= high <= 1:
            raise ValueError("not a range of shares")
    numbers = torch.rand(3, 2 + n_local, len(images), generator=generator)
    side = torch.lerp(bounds[:, :1], bounds[:, 1:], numbers[0]).sqrt()
    corner = numbers[1:] * (1 - side)
    result = []
    for view in range(2 + n_local):
        out = out_global if view < 2 else out_local
        steps = (torch.arange(out) + 0.5) / out
        x, y = (corner[axis, view, :, None] + side[view, :, None] * steps for axis in (0, 1))
        grid = torch.stack([x[:, None, :].expand(-1, out, -1), y[:, :, None].expand(-1, -1, out)], dim=-1)
        grid = (2 * grid - 1).to(images)
        result.append(F.grid_sample(images, grid, padding_mode="reflection", align_corners=False))
    return result[:2], result[2:]
''',
    ),
    Alternative(
        name="soft-targets-for-cross-entropy",
        exercise="loss",
        code='''
def dino_loss(student, teacher, center, t_student, t_teacher):
    """torch's cross-entropy takes probabilities as targets."""
    total, count = 0, 0
    with torch.no_grad():
        soft = [F.softmax((t - center) / t_teacher, dim=1) for t in teacher]
    for i in range(2):
        for j in range(len(student)):
            if j == i:
                continue
            total = total + F.cross_entropy(student[j] / t_student, soft[i])
            count += 1
    return total / count
''',
    ),
    Alternative(
        name="all-views-at-once",
        exercise="loss",
        code='''
def dino_loss(student, teacher, center, t_student, t_teacher):
    """One matrix of all pairs, (2, V), with the diagonal taken out."""
    q = torch.softmax((torch.stack(list(teacher)).detach() - center.detach()) / t_teacher, dim=-1)
    log_p = torch.log_softmax(torch.stack(list(student)) / t_student, dim=-1)
    pairs = -torch.einsum("ibk,jbk->ij", q, log_p) / q.shape[1]
    others = ~torch.eye(2, len(student), dtype=torch.bool)
    return pairs[others].mean()
''',
    ),
    Alternative(
        name="views-with-two-targets",
        exercise="loss",
        code='''
def dino_loss(student, teacher, center, t_student, t_teacher):
    """A local view sees the sum of both targets: as many terms as views."""
    first, second = ((t.detach() - center.detach()).div(t_teacher).softmax(-1) for t in teacher)
    wanted = [second, first] + [first + second] * (len(student) - 2)
    costs = [(w * (s / t_student).log_softmax(-1)).sum(-1) for w, s in zip(wanted, student)]
    return -torch.stack(costs).sum(0).mean() / (2 * (len(student) - 1))
''',
    ),
    Alternative(
        name="multiply-and-add",
        exercise="teacher",
        code='''
def make_teacher(student):
    """Parameter by parameter."""
    teacher = copy.deepcopy(student)
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    return teacher


def update_teacher(teacher, student, momentum):
    """By name, through the state."""
    with torch.no_grad():
        source = dict(student.named_parameters())
        for name, parameter in teacher.named_parameters():
            parameter.mul_(momentum).add_(source[name].detach(), alpha=1 - momentum)
        held = dict(student.named_buffers())
        for name, buffer in teacher.named_buffers():
            buffer.copy_(held[name])


def update_center(center, teacher_logits, momentum):
    """A weighted sum, copied in."""
    with torch.no_grad():
        mean = torch.stack(list(teacher_logits)).flatten(0, 1).mean(dim=0)
        center.copy_(momentum * center + (1 - momentum) * mean)


def momentum_schedule(step, total, base):
    """As a point between base and 1."""
    if step >= total:
        return 1.0
    done = (1 - math.cos(math.pi * step / total)) / 2
    return base + (1 - base) * done
''',
    ),
    Alternative(
        name="foreach-and-data",
        exercise="teacher",
        code='''
def make_teacher(student):
    """Eval-free copy through pickle-like deepcopy, frozen afterwards."""
    teacher = copy.deepcopy(student)
    return teacher.requires_grad_(requires_grad=False)


@torch.no_grad()
def update_teacher(teacher, student, momentum):
    """All parameters in one call."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - momentum)
    for a, b in zip(teacher.buffers(), student.buffers(), strict=True):
        a.data = b.detach().clone()


def update_center(center, teacher_logits, momentum):
    """In place, in two steps; it also hands the center back."""
    views = [view.detach() for view in teacher_logits]
    center *= momentum
    center += (1 - momentum) * torch.cat(views, dim=0).mean(0)
    return center


def momentum_schedule(step, total, base):
    """By a squared sine."""
    return float(base + (1 - base) * math.sin(math.pi / 2 * min(step, total) / total) ** 2)
''',
    ),
    Alternative(
        name="teacher-of-any-mode",
        exercise="teacher",
        code='''
def make_teacher(student):
    """A teacher that stays in eval mode."""
    teacher = copy.deepcopy(student)
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return teacher.eval()


def update_teacher(teacher, student, momentum):
    """Old and new numbers weighted, and copied in; the decorator left out."""
    with torch.no_grad():
        for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
            mine.data = momentum * mine.data + (1 - momentum) * theirs.data
        for mine, theirs in zip(teacher.buffers(), student.buffers(), strict=True):
            mine.data.copy_(theirs.data)


def update_center(center, teacher_logits, momentum):
    """The mean of the means: both views have as many images."""
    first, second = (logits.detach().mean(0) for logits in teacher_logits)
    center.data.mul_(momentum).add_((first + second) / 2 * (1 - momentum))


def momentum_schedule(step, total, base):
    """By NumPy, whose numbers are floats as well."""
    return 1 - (1 - base) * (np.cos(np.pi * min(step / total, 1)) + 1) / 2
''',
    ),
    Alternative(
        name="torch-weight-norm",
        exercise="head",
        code='''
class DINOHead(nn.Module):
    """torch's weight normalization with its gain fixed."""

    def __init__(self, in_dim, out_dim, hidden_dim=128, bottleneck_dim=32):
        super().__init__()
        self.first = nn.Linear(in_dim, hidden_dim)
        self.second = nn.Linear(hidden_dim, bottleneck_dim)
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(bottleneck_dim, out_dim, bias=False))
        self.last.parametrizations.weight.original0.data.fill_(1.0)
        self.last.parametrizations.weight.original0.requires_grad = False

    def embed(self, x):
        """Through the MLP, then to length 1."""
        x = self.second(F.gelu(self.first(x)))
        return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)

    def prototypes(self):
        """The weight as the layer uses it."""
        return self.last.weight

    def forward(self, x):
        """The layer itself."""
        return self.last(self.embed(x))
''',
    ),
    Alternative(
        name="rows-by-hand",
        exercise="head",
        code='''
class DINOHead(nn.Module):
    """A small start, GELU by its tanh form, and rows that are normalized by hand."""

    def __init__(self, in_dim, out_dim, hidden_dim=128, bottleneck_dim=32):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_dim, hidden_dim), nn.GELU(approximate="tanh"), nn.Linear(hidden_dim, bottleneck_dim)
        )
        self.v = nn.Parameter(torch.empty(bottleneck_dim, out_dim))
        nn.init.trunc_normal_(self.v, std=0.02)

    def embed(self, x):
        """Unit embeddings."""
        return F.normalize(self.mlp(x), p=2, dim=-1)

    def prototypes(self):
        """Unit rows."""
        rows = self.v.T
        return rows * rows.square().sum(1, keepdim=True).rsqrt()

    def forward(self, x):
        """Cosines."""
        return F.linear(self.embed(x), self.prototypes())
''',
    ),
    Alternative(
        name="former-weight-norm",
        exercise="head",
        code='''
class DINOHead(nn.Module):
    """The weight normalization of the official code, which computes its weight when the layer is called."""

    def __init__(self, in_dim, out_dim, hidden_dim=128, bottleneck_dim=32):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))
        self.last_layer = nn.utils.weight_norm(nn.Linear(bottleneck_dim, out_dim, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def embed(self, x):
        """Through the MLP, then to length 1."""
        return F.normalize(self.mlp(x), dim=-1, p=2)

    def prototypes(self):
        """The weight of the last call."""
        return self.last_layer.weight

    def forward(self, x):
        """The layer itself."""
        return self.last_layer(self.embed(x))
''',
    ),
    Alternative(
        name="distributions-and-numpy",
        exercise="report",
        code='''
def collapse_report(probs, features):
    """torch.special.entr, and NumPy for the features."""
    probs, features = probs.detach().double(), features.detach().double()
    each = torch.special.entr(probs).sum(dim=1)
    overall = torch.special.entr(probs.mean(dim=0)).sum()
    z = (features / features.norm(dim=1, keepdim=True)).numpy()
    s = np.linalg.svd(z, compute_uv=False)
    s = s[s > 1e-12] / s.sum()
    return dict(
        sample_entropy=float(each.mean()),
        batch_entropy=float(overall),
        mutual_information=float(overall - each.mean()),
        feature_std=float(z.std(axis=0).mean()),
        effective_rank=float(np.exp(-(s * np.log(s)).sum())),
    )
''',
    ),
    Alternative(
        name="kl-to-the-mean",
        exercise="report",
        code='''
def collapse_report(probs, features):
    """Mutual information as the mean KL divergence from the batch's mean."""
    probs = probs.detach()
    mean = probs.mean(0, keepdim=True)
    safe = probs.clamp_min(torch.finfo(probs.dtype).tiny)
    sample = -(probs * safe.log()).sum() / len(probs)
    information = (probs * (safe / mean.clamp_min(torch.finfo(probs.dtype).tiny)).log()).sum() / len(probs)
    unit = features.detach() / torch.linalg.vector_norm(features.detach(), dim=-1, keepdim=True)
    center = unit.mean(0)
    spread = (unit - center).square().mean(0).sqrt().mean()
    shares = torch.linalg.svd(unit, full_matrices=False).S
    shares = (shares / shares.sum()).clamp_min(torch.finfo(unit.dtype).tiny)
    return {
        "effective_rank": math.exp(-float((shares * shares.log()).sum())),
        "feature_std": float(spread),
        "mutual_information": float(information),
        "sample_entropy": float(sample),
        "batch_entropy": float(sample + information),
    }
''',
    ),
    Alternative(
        name="shares-of-log-k",
        exercise="diagnose",
        code='''
def diagnose(report, k):
    """Everything in units of log K, the other way round."""
    information, unsure = (report[key] / math.log(k) for key in ("mutual_information", "sample_entropy"))
    if information < 0.1 and unsure > 0.5:
        return "uniform"
    if information < 0.1:
        return "one_dimension"
    return "healthy"
''',
    ),
    Alternative(
        name="weights-and-einsum",
        exercise="ibot",
        code='''
def masked_views(tokens, mask, mask_token):
    """A blend by 0 and 1."""
    hidden = mask.to(tokens.dtype).unsqueeze(-1)
    return tokens * (1 - hidden) + hidden * mask_token, tokens


def ibot_loss(student_patches, teacher_patches, mask, center, t_s, t_t):
    """One weight for each patch, so that each image's weights sum to 1 over the images that count."""
    m = mask.to(student_patches.dtype)
    if m.sum() == 0:
        raise ValueError("nothing hidden")
    weights = m / m.sum(1, keepdim=True).clamp(min=1.0)
    weights = weights / weights.sum()
    q = torch.softmax((teacher_patches.detach() - center.detach()) / t_t, -1)
    return -torch.einsum("bn,bnk,bnk->", weights, q, torch.log_softmax(student_patches / t_s, -1))
''',
    ),
    Alternative(
        name="image-by-image",
        exercise="ibot",
        code='''
def masked_views(tokens, mask, mask_token):
    """A copy with the token written in."""
    student = tokens.clone()
    student[mask.bool()] = mask_token.to(tokens.dtype)
    return student, tokens.clone()


def ibot_loss(student_patches, teacher_patches, mask, center, t_s, t_t):
    """A loop over images, and torch's cross-entropy with soft targets on the hidden patches."""
    losses = []
    for s, t, m in zip(student_patches, teacher_patches, mask.bool()):
        if m.any():
            with torch.no_grad():
                soft = ((t[m] - center) / t_t).softmax(1)
            losses.append(F.cross_entropy(s[m] / t_s, soft))
    if not losses:
        raise ValueError("nothing hidden")
    return sum(losses) / len(losses)
''',
    ),
]
