"""Right answers to week 12 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="unbind-and-stack",
        exercise="boxes",
        code='''
def box_cxcywh_to_xyxy(b):
    """Four numbers by name."""
    if b.size(-1) != 4:
        raise ValueError("not boxes")
    cx, cy, w, h = b.unbind(-1)
    return torch.stack((cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h), -1)


def box_xyxy_to_cxcywh(b):
    """Four numbers by name."""
    if b.size(-1) != 4:
        raise ValueError("not boxes")
    x1, y1, x2, y2 = b.unbind(-1)
    return torch.stack((x1 + 0.5 * (x2 - x1), y1 + 0.5 * (y2 - y1), x2 - x1, y2 - y1), -1)
''',
    ),
    Alternative(
        name="matrices",
        exercise="boxes",
        code='''
def _times(b, rows):
    if b.shape[-1] != 4:
        raise ValueError(f"{tuple(b.shape)} is not (..., 4)")
    return b @ torch.tensor(rows, dtype=b.dtype, device=b.device)


def box_cxcywh_to_xyxy(b):
    """Both conversions are linear."""
    return _times(b, [[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])


def box_xyxy_to_cxcywh(b):
    """The inverse matrix."""
    return _times(b, [[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])
''',
    ),
    Alternative(
        name="empty-and-fill",
        exercise="boxes",
        code='''
def box_cxcywh_to_xyxy(b):
    """A new tensor, filled number by number."""
    if b.shape[-1] - 4:
        raise ValueError("not boxes")
    out = torch.zeros_like(b)
    for k in range(2):
        out[..., k] = b[..., k] - b[..., k + 2] / 2
        out[..., k + 2] = b[..., k] + b[..., k + 2] / 2
    return out


def box_xyxy_to_cxcywh(b):
    """A copy that is changed; the sizes first."""
    if b.shape[-1] - 4:
        raise ValueError("not boxes")
    out = b.clone()
    out[..., 2:] -= b[..., :2]
    out[..., :2] += out[..., 2:] / 2
    return out
''',
    ),
    Alternative(
        name="box-by-box",
        exercise="giou",
        code='''
def pairwise_giou(a, b, eps=1e-7):
    """Two loops."""
    class WrongBox(ValueError):
        """A subclass is a ValueError, too."""

    if ((a[:, :2] > a[:, 2:]).any()) or ((b[:, :2] > b[:, 2:]).any()):
        raise WrongBox("order of corners")
    iou, giou = [], []
    for p in a:
        for q in b:
            w = (torch.min(p[2], q[2]) - torch.max(p[0], q[0])).clamp(min=0)
            h = (torch.min(p[3], q[3]) - torch.max(p[1], q[1])).clamp(min=0)
            union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - w * h
            hull = (torch.max(p[2], q[2]) - torch.min(p[0], q[0])) * (torch.max(p[3], q[3]) - torch.min(p[1], q[1]))
            iou.append(w * h / union.clamp(min=eps))
            giou.append(iou[-1] - (hull - union) / hull.clamp(min=eps))
    shape = (len(a), len(b))
    empty = a.new_zeros(shape)
    return (torch.stack(iou).view(shape), torch.stack(giou).view(shape)) if iou else (empty, empty.clone())
''',
    ),
    Alternative(
        name="unbind-broadcast",
        exercise="giou",
        code='''
def pairwise_giou(a, b, eps=1e-7):
    """Four columns against four rows."""
    for boxes in (a, b):
        if not ((boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])).all():
            raise ValueError("corners")
    ax1, ay1, ax2, ay2 = a.T.unsqueeze(-1)
    bx1, by1, bx2, by2 = b.T.unsqueeze(-2)
    w = F.relu(torch.min(ax2, bx2) - torch.max(ax1, bx1))
    h = F.relu(torch.min(ay2, by2) - torch.max(ay1, by1))
    both = w * h
    either = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - both
    hull = (torch.max(ax2, bx2) - torch.min(ax1, bx1)) * (torch.max(ay2, by2) - torch.min(ay1, by1))
    least = torch.full_like(hull, eps)
    iou = both / torch.maximum(either, least)
    return iou, iou - (hull - either) / torch.maximum(hull, least)
''',
    ),
    Alternative(
        name="axis-by-axis",
        exercise="giou",
        code='''
def _along(a, b, axis):
    """Lengths of the intersection and of the hull along an axis, (N, M) each."""
    first, last = torch.meshgrid(a[:, axis], b[:, axis], indexing="ij"), torch.meshgrid(a[:, axis + 2], b[:, axis + 2], indexing="ij")
    inside = torch.minimum(*last) - torch.maximum(*first)
    return torch.where(inside > 0, inside, torch.zeros_like(inside)), torch.maximum(*last) - torch.minimum(*first)


def pairwise_giou(a, b, eps=1e-7):
    """Two axes, one after the other."""
    for name, boxes in (("a", a), ("b", b)):
        sides = boxes[:, 2:] - boxes[:, :2]
        if sides.numel() and sides.min() < 0:
            raise ValueError(f"{name} has a box whose corners are in the wrong order")
    (w, hull_w), (h, hull_h) = _along(a, b, 0), _along(a, b, 1)
    area = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (a, b)]
    union = area[0].unsqueeze(1) + area[1].unsqueeze(0) - w * h
    hull = hull_w * hull_h
    iou = w * h / union.clamp_min(eps)
    return iou, iou - 1 * (hull - union) / hull.clamp_min(eps)
''',
    ),
    Alternative(
        name="cdist-and-one-hot",
        exercise="cost",
        code='''
def matching_cost(logits, boxes, labels, gt_boxes, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """Library distances, and a product with one-hot labels."""
    c = logits.size(-1) - 1
    if any(not 0 <= int(label) < c for label in labels):
        raise ValueError("label")
    p = torch.exp(logits - logits.logsumexp(-1, keepdim=True))
    hot = F.one_hot(labels, c + 1).to(p.dtype)
    _, giou = pairwise_giou(box_cxcywh_to_xyxy(boxes), box_cxcywh_to_xyxy(gt_boxes))
    return w_l1 * torch.cdist(boxes, gt_boxes, p=1) - (w_class * (p @ hot.T) + w_giou * giou)
''',
    ),
    Alternative(
        name="pair-by-pair",
        exercise="cost",
        code='''
@torch.no_grad()
def matching_cost(logits, boxes, labels, gt_boxes, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """One column for each object."""
    if labels.numel() and (labels.min() < 0 or labels.max() >= logits.shape[1] - 1):
        raise ValueError("label")
    columns = [
        -w_class * logits.softmax(1)[:, label]
        + w_l1 * (boxes - wanted).abs().sum(1)
        - w_giou * pairwise_giou(box_cxcywh_to_xyxy(boxes), box_cxcywh_to_xyxy(wanted[None]))[1][:, 0]
        for label, wanted in zip(labels, gt_boxes)
    ]
    return torch.stack(columns, dim=1) if columns else logits.new_zeros(len(logits), 0)
''',
    ),
    Alternative(
        name="gather-and-number-by-number",
        exercise="cost",
        code='''
def matching_cost(logits, boxes, labels, gt_boxes, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """gather, and the L1 distance number by number."""
    q, m = len(boxes), len(gt_boxes)
    if not torch.isin(labels, torch.arange(logits.shape[1] - 1)).all():
        raise ValueError("a label that no object has")
    cost = F.softmax(logits, 1).gather(1, labels[None].expand(q, m)) * -w_class
    for k in range(4):
        cost = cost + w_l1 * (boxes[:, k, None] - gt_boxes[:, k]).abs()
    return cost.sub(pairwise_giou(box_cxcywh_to_xyxy(boxes), box_cxcywh_to_xyxy(gt_boxes))[1], alpha=w_giou)
''',
    ),
    Alternative(
        name="one-image-after-another",
        exercise="match",
        code='''
@torch.no_grad()
def hungarian_match(logits, boxes, targets, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """One image after the other."""
    result = []
    for i in range(len(targets)):
        labels, wanted = targets[i]["labels"], targets[i]["boxes"]
        if labels.numel() > logits.size(1):
            raise ValueError("too many")
        cost = matching_cost(logits[i], boxes[i], labels, wanted, w_class=w_class, w_l1=w_l1, w_giou=w_giou)
        rows, cols = linear_sum_assignment(np.asarray(cost))
        result.append((torch.from_numpy(rows), torch.from_numpy(cols)))
    return result
''',
    ),
    Alternative(
        name="transposed-and-sorted",
        exercise="match",
        code='''
def hungarian_match(logits, boxes, targets, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """Objects down, predictions across; sorted afterwards."""
    if any(len(t["labels"]) > logits.shape[1] for t in targets):
        raise ValueError("more objects than predictions")
    result = []
    for one, two, t in zip(logits.detach().double(), boxes.detach().double(), targets):
        cost = matching_cost(one, two, t["labels"], t["boxes"].double(), w_class, w_l1, w_giou)
        objects, slots = linear_sum_assignment(cost.T.tolist()) if len(t["labels"]) else ([], [])
        order = np.argsort(slots)
        result.append(
            (torch.tensor(np.asarray(slots)[order], dtype=torch.long), torch.tensor(np.asarray(objects)[order], dtype=torch.long))
        )
    return result
''',
    ),
    Alternative(
        name="padded-with-zeros",
        exercise="match",
        code='''
def hungarian_match(logits, boxes, targets, w_class=1.0, w_l1=5.0, w_giou=2.0):
    """Square tables: columns of zeros for the predictions that answer for nothing."""
    pairs = []
    with torch.no_grad():
        for number, target in enumerate(targets):
            q, m = logits.shape[1], len(target["boxes"])
            if m > q:
                raise ValueError(f"image {number}: {m} objects, {q} predictions")
            table = np.zeros((q, q))
            table[:, :m] = matching_cost(logits[number], boxes[number], target["labels"], target["boxes"], w_class, w_l1, w_giou)
            _, columns = linear_sum_assignment(table)
            chosen = [(row, int(column)) for row, column in enumerate(columns) if column < m]
            table = torch.tensor(chosen, dtype=torch.int64).reshape(-1, 2)
            pairs.append((table[:, 0], table[:, 1]))
    return pairs
''',
    ),
    Alternative(
        name="weights-by-hand",
        exercise="criterion",
        code='''
def set_criterion(outputs, targets, indices, no_object_weight=0.1):
    """Log-softmax, a gather, and a weighted mean; boxes image by image."""
    log_p = outputs["pred_logits"].log_softmax(-1)
    b, q, k = log_p.shape
    wanted = torch.full((b, q), k - 1, device=log_p.device)
    n = max(sum(t["labels"].numel() for t in targets), 1)
    l1, giou = outputs["pred_boxes"].sum() * 0, outputs["pred_boxes"].sum() * 0
    for i, (target, (slots, objects)) in enumerate(zip(targets, indices)):
        wanted[i, slots] = target["labels"][objects]
        mine, theirs = outputs["pred_boxes"][i, slots], target["boxes"][objects]
        l1 = l1 + torch.linalg.vector_norm(mine - theirs, ord=1, dim=-1).sum()
        table = pairwise_giou(box_cxcywh_to_xyxy(mine), box_cxcywh_to_xyxy(theirs))[1]
        giou = giou + len(slots) - torch.trace(table)
    weight = torch.where(wanted == k - 1, no_object_weight, 1.0).to(log_p.dtype)
    ce = -(weight * log_p.gather(-1, wanted[..., None])[..., 0]).sum() / weight.sum()
    return {"loss_giou": giou / n, "loss_bbox": l1 / n, "loss_ce": ce}
''',
    ),
    Alternative(
        name="l1-loss-and-transpose",
        exercise="criterion",
        edits={
            "F.cross_entropy(logits.flatten(0, 1), classes.flatten(), weight)": "F.cross_entropy(logits.transpose(1, 2), classes, weight=weight)",
            "(predicted - wanted).abs().sum() / count": 'F.l1_loss(predicted, wanted, reduction="sum") / count',
            "(1 - giou).sum() / count": "(len(query) - giou.sum()) / count",
        },
    ),
    Alternative(
        name="nll-and-flat-places",
        exercise="criterion",
        code='''
def set_criterion(outputs, targets, indices, no_object_weight=0.1):
    """Flat places of the matched predictions, and one GIoU for each pair."""
    logits, boxes = outputs["pred_logits"], outputs["pred_boxes"]
    b, q, k = logits.shape
    place = torch.cat([slots + i * q for i, (slots, _) in enumerate(indices)])
    target_of = torch.full((b * q,), k - 1, dtype=torch.int64)
    target_of[place] = torch.cat([t["labels"].index_select(0, g) for t, (_, g) in zip(targets, indices)])
    weight = torch.tensor([1.0] * (k - 1) + [no_object_weight], dtype=logits.dtype)
    loss_ce = F.nll_loss(logits.flatten(0, 1).log_softmax(1), target_of, weight=weight)
    mine = boxes.flatten(0, 1)[place]
    theirs = torch.cat([t["boxes"].index_select(0, g) for t, (_, g) in zip(targets, indices)])
    n = sum(len(t["boxes"]) for t in targets) or 1
    giou = [
        1 - pairwise_giou(box_cxcywh_to_xyxy(one[None]), box_cxcywh_to_xyxy(other[None]))[1].squeeze()
        for one, other in zip(mine, theirs)
    ]
    return {
        "loss_ce": loss_ce,
        "loss_bbox": torch.norm(mine - theirs, p=1) / n,
        "loss_giou": (torch.stack(giou).sum() if giou else mine.sum()) / n,
    }
''',
    ),
    Alternative(
        name="norms-before-and-heads-by-hand",
        exercise="model",
        code='''
class Heads(nn.Module):
    """Attention from four linear layers."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, q, k, v):
        def parts(x):
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q, k, v = parts(self.to_q(q)), parts(self.to_k(k)), parts(self.to_v(v))
        w = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return self.out((w @ v).transpose(1, 2).flatten(2)), w.mean(1)


class Block(nn.Module):
    def __init__(self, d, decodes):
        super().__init__()
        self.attend = nn.ModuleList(Heads(d, 2) for _ in range(2 if decodes else 1))
        self.before = nn.ModuleList(nn.LayerNorm(d) for _ in range(3 if decodes else 2))
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * d, d))


class TinyDETR(nn.Module):
    def __init__(self, n_classes, n_queries=9, d_model=64, n_enc=1, n_dec=2, query_mode="reference"):
        super().__init__()
        if d_model % 4 != 0 or query_mode not in {"learned", "reference"}:
            raise ValueError("cannot build that")
        self.mode, self.width = query_mode, d_model
        self.stem = nn.Sequential(
            nn.Conv2d(3, d_model, 4, 4), nn.BatchNorm2d(d_model), nn.GELU(), nn.Conv2d(d_model, d_model, 3, 1, 1)
        )
        self.enc = nn.ModuleList(Block(d_model, False) for _ in range(n_enc))
        self.dec = nn.ModuleList(Block(d_model, True) for _ in range(n_dec))
        start = torch.randn(n_queries, d_model if query_mode == "learned" else 2)
        self.queries = nn.Parameter(start)
        self.of_point = nn.Linear(d_model, d_model) if query_mode == "reference" else None
        self.final = nn.LayerNorm(d_model)
        self.classes, self.box = nn.Linear(d_model, n_classes + 1), nn.Linear(d_model, 4)

    def features(self, x):
        maps = self.stem(x)
        h, w = maps.shape[2:]
        y, x_ = torch.meshgrid(
            (torch.arange(h).to(maps) + 0.5) / h, (torch.arange(w).to(maps) + 0.5) / w, indexing="ij"
        )
        places = sine_embedding(torch.stack((x_.flatten(), y.flatten()), 1), self.width)
        return maps.permute(0, 2, 3, 1).flatten(1, 2), places

    def encode(self, tokens, positions):
        for block in self.enc:
            y = block.before[0](tokens)
            tokens = tokens + block.attend[0](y + positions, y + positions, y)[0]
            tokens = tokens + block.mlp(block.before[1](tokens))
        return tokens

    def decode(self, memory, positions):
        asked = self.queries if self.mode == "learned" else self.of_point(sine_embedding(self.queries.sigmoid(), self.width))
        content = torch.zeros(len(memory), len(asked), self.width, dtype=memory.dtype, device=memory.device)
        every = []
        for block in self.dec:
            y = block.before[0](content)
            content = content + block.attend[0](y + asked, y + asked, y)[0]
            seen, weights = block.attend[1](block.before[1](content) + asked, memory + positions, memory)
            content = content + seen
            content = content + block.mlp(block.before[2](content))
            y = self.final(content)
            raw = self.box(y)
            if self.mode == "reference":
                raw = torch.cat((raw[..., :2] + self.queries, raw[..., 2:]), -1)
            every.append({"pred_logits": self.classes(y), "pred_boxes": torch.sigmoid(raw)})
        result = dict(every.pop())
        result.update(attention=weights, aux=every)
        return result

    def forward(self, x):
        tokens, positions = self.features(x)
        memory = self.encode(tokens, positions)
        return self.decode(memory, positions)
''',
    ),
    Alternative(
        name="another-stem-and-start",
        exercise="model",
        edits={
            "nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)": "nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)",
            "0.1 + 0.8 * torch.rand(n_queries, 2)": "torch.linspace(0.1, 0.9, n_queries)[:, None] * torch.ones(1, 2)",
            "nn.Parameter(torch.randn(n_queries, d_model))": "nn.Parameter(torch.empty(n_queries, d_model).uniform_(-1, 1))",
        },
    ),
    Alternative(
        name="group-norm-and-a-network-on-the-point",
        exercise="model",
        edits={
            "nn.BatchNorm2d(after)": "nn.GroupNorm(4, after)",
            "        self.class_head = nn.Linear(d_model, n_classes + 1)": "        self.of_point = nn.Sequential(nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, d_model)) if query_mode == 'reference' else None\n        self.class_head = nn.Linear(d_model, n_classes + 1)",
            "asked, reference = sine_embedding(self.queries.sigmoid(), self.d_model), F.pad(self.queries, (0, 2))": "asked, reference = self.of_point(sine_embedding(self.queries.sigmoid(), self.d_model)), F.pad(self.queries, (0, 2))",
            "slots = memory.new_zeros(len(memory), *asked.shape)": "slots = torch.zeros_like(asked).repeat(len(memory), 1, 1)",
        },
    ),
    Alternative(
        name="numpy-throughout",
        exercise="metric",
        code='''
def average_precision(scores, hits, n_objects):
    """NumPy, as in COCO's own program."""
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    tp = np.cumsum(np.asarray(hits, dtype=float)[order])
    precision = tp / np.arange(1, len(tp) + 1)
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    recall = tp / n_objects
    return float(np.mean([precision[recall >= r][0] if (recall >= r).any() else 0.0 for r in np.linspace(0, 1, 101)]))


def mean_average_precision(preds, targets, iou_thresholds=COCO_THRESHOLDS):
    """One class and threshold at a time, all images in one list."""
    if len(preds) != len(targets):
        raise ValueError("lengths")
    labels = sorted(set(torch.cat([t["labels"] for t in targets]).tolist())) if targets else []
    table = np.zeros((len(labels), len(iou_thresholds)))
    for row, label in enumerate(labels):
        for column, t in enumerate(iou_thresholds):
            scores, hits, total = [], [], 0
            for pred, target in zip(preds, targets):
                mine = torch.nonzero(pred["labels"] == label)[:, 0]
                mine = mine[torch.sort(pred["scores"][mine], descending=True, stable=True).indices[:100]]
                objects = target["boxes"][target["labels"] == label]
                total += len(objects)
                iou = pairwise_giou(pred["boxes"][mine].double(), objects.double())[0].clone()
                for k in range(len(mine)):
                    scores.append(float(pred["scores"][mine[k]]))
                    if len(objects) and iou[k].max() >= t:
                        hits.append(True)
                        iou[:, iou[k].argmax()] = -1
                    else:
                        hits.append(False)
            table[row, column] = average_precision(scores, hits, total)
    thresholds = list(iou_thresholds)

    def at(t):
        return float(table[:, thresholds.index(t)].mean()) if t in thresholds and labels else float("nan")

    mean = float(table.mean()) if labels else float("nan")
    return {"map": mean, "map_50": at(0.5), "map_75": at(0.75), "per_class": dict(zip(labels, table.mean(1).tolist()))}
''',
    ),
    Alternative(
        name="all-thresholds-at-once",
        exercise="metric",
        code='''
def average_precision(scores, hits, n_objects):
    """For each recall the best precision among the places that reach it."""
    order = torch.sort(scores, descending=True, stable=True)[1]
    count = torch.cumsum(hits[order].long(), 0)
    if count.numel() == 0:
        return 0.0
    precision, recall = count / torch.arange(1.0, len(count) + 1), count.double() / n_objects
    reached = recall[None] >= torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    return float(torch.where(reached, precision[None], 0.0).amax(1).mean())


def mean_average_precision(preds, targets, iou_thresholds=COCO_THRESHOLDS):
    """A row of hits for each threshold, filled together."""
    if len(preds) != len(targets):
        raise ValueError("not as many predictions as targets")
    least = torch.tensor(list(iou_thresholds), dtype=torch.float64)
    rows = {}
    for label in torch.cat([torch.zeros(0, dtype=torch.int64), *(t["labels"] for t in targets)]).unique().tolist():
        scores, hits, n = [], [], 0
        for pred, target in zip(preds, targets):
            mine = pred["labels"].eq(label).nonzero().flatten()
            mine = mine[pred["scores"][mine].argsort(descending=True, stable=True)][:100]
            theirs = target["boxes"][target["labels"].eq(label)]
            n += len(theirs)
            table = pairwise_giou(pred["boxes"][mine], theirs)[0].double()
            hit, free = torch.zeros(len(least), len(mine), dtype=torch.bool), torch.ones(len(least), len(theirs), dtype=torch.bool)
            for place in range(len(mine) if len(theirs) else 0):
                value, which = torch.where(free, table[place], -1.0).max(1)
                hit[:, place] = value >= least
                free[hit[:, place], which[hit[:, place]]] = False
            scores.append(pred["scores"][mine])
            hits.append(hit)
        every = torch.cat(hits, 1)
        rows[label] = [average_precision(torch.cat(scores), row, n) for row in every]

    def mean(values):
        return sum(values) / len(values) if values else math.nan

    def at(threshold):
        columns = [k for k, t in enumerate(iou_thresholds) if t == threshold]
        return mean([row[columns[0]] for row in rows.values()]) if columns else math.nan

    return {
        "per_class": {label: mean(row) for label, row in rows.items()},
        "map": mean([value for row in rows.values() for value in row]),
        "map_50": at(0.5),
        "map_75": at(0.75),
    }
''',
    ),
    Alternative(
        name="recalls-in-hundredths",
        exercise="metric",
        edits={"torch.from_numpy(np.linspace(0, 1, 101))": "torch.arange(101, dtype=torch.float64) / 100"},
    ),
]
