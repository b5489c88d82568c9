"""Right answers to week 13 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="point-by-point",
        exercise="points",
        code='''
class NoBox(ValueError):
    """A subclass is a ValueError, too."""


def make_points(h, w, stride):
    """A list of pairs."""
    return torch.tensor([(stride * c + stride / 2, stride * r + stride / 2) for r in range(h) for c in range(w)])


def decode_ltrb(dist, points, stride):
    """Four numbers by name."""
    if dist.size(-1) != 4:
        raise NoBox("four distances")
    left, top, right, bottom = (dist * stride).unbind(-1)
    x, y = points.unbind(-1)
    return torch.stack((x - left, y - top, x + right, y + bottom), dim=-1)
''',
    ),
    Alternative(
        name="cartesian-product-and-signs",
        exercise="points",
        code='''
def make_points(h, w, stride):
    """Rows with columns, turned around."""
    rows = torch.linspace(stride / 2, stride * (h - 0.5), h)
    columns = torch.linspace(stride / 2, stride * (w - 0.5), w)
    return torch.cartesian_prod(rows, columns).flip(-1)


def decode_ltrb(dist, points, stride):
    """The points twice, and distances with signs."""
    if dist.shape[-1:] != (4,):
        raise ValueError(dist.shape)
    sign = dist.new_tensor([-stride, -stride, stride, stride])
    return points.repeat(1, 2) + sign * dist
''',
    ),
    Alternative(
        name="while-something-is-left",
        exercise="nms",
        code='''
def nms(boxes, scores, iou_threshold):
    """Take the best, drop its copies, go on with the rest."""
    if iou_threshold < 0 or iou_threshold > 1:
        raise ValueError("threshold")
    rest = scores.sort(descending=True, stable=True).indices
    keep = []
    while rest.numel():
        best, rest = rest[0], rest[1:]
        keep.append(best)
        overlap = box_iou(boxes[best][None], boxes[rest])[0]
        rest = rest[overlap <= iou_threshold]
    return torch.stack(keep) if keep else rest
''',
    ),
    Alternative(
        name="matrix-until-nothing-changes",
        exercise="nms",
        code='''
def nms(boxes, scores, iou_threshold):
    """A box stays when none that stays, and is better, covers it: repeated until that is so for all."""
    if not (iou_threshold >= 0 and iou_threshold <= 1):
        raise ValueError("threshold")
    order = torch.argsort(-scores)
    x1, y1, x2, y2 = boxes[order].T
    width = (torch.minimum(x2[:, None], x2) - torch.maximum(x1[:, None], x1)).clamp(min=0)
    height = (torch.minimum(y2[:, None], y2) - torch.maximum(y1[:, None], y1)).clamp(min=0)
    area, both = (x2 - x1) * (y2 - y1), width * height
    covers = (both > iou_threshold * (area[:, None] + area - both)).triu(1)
    stays = torch.ones_like(order, dtype=torch.bool)
    while True:
        now = ~(covers & stays[:, None]).any(dim=0)
        if torch.equal(now, stays):
            return order[stays]
        stays = now
''',
    ),
    Alternative(
        name="moved-apart-by-the-extent",
        exercise="batched",
        code='''
def batched_nms(boxes, scores, labels, iou_threshold):
    """One run on boxes that were moved apart, in float64, so that large shifts cost no digits."""
    if len(boxes) == 0:
        return nms(boxes, scores, iou_threshold)
    wide = boxes.double()
    extent = wide.max() - wide.min() + 1
    _, number = torch.unique(labels, return_inverse=True)
    return nms(wide + extent * number[:, None], scores, iou_threshold)
''',
    ),
    Alternative(
        name="a-mask-for-each-class",
        exercise="batched",
        code='''
def batched_nms(boxes, scores, labels, iou_threshold):
    """A flag for each box, then one sorting."""
    nms(torch.zeros(0, 4), torch.zeros(0), iou_threshold)
    keep = torch.zeros(len(scores), dtype=torch.bool)
    for label in set(labels.tolist()):
        mine = torch.where(labels == label)[0]
        keep[mine[nms(boxes[mine], scores[mine], iou_threshold)]] = True
    order = scores.sort(descending=True).indices
    return order[keep[order]]
''',
    ),
    Alternative(
        name="object-by-object",
        exercise="assign",
        code='''
@torch.no_grad()
def task_aligned_assign(cls_prob, boxes, points, gt_labels, gt_boxes, topk, alpha=0.5, beta=6.0):
    """Loops over objects; a point remembers the best IoU so far."""
    if topk <= 0:
        raise ValueError("topk")
    n = cls_prob.shape[0]
    fg = torch.zeros(n, dtype=torch.bool, device=cls_prob.device)
    owner = torch.zeros(n, dtype=torch.long, device=cls_prob.device)
    best_iou = torch.full((n,), -1.0, dtype=cls_prob.dtype, device=cls_prob.device)
    metrics, overlaps = [], []
    for g in range(len(gt_boxes)):
        x1, y1, x2, y2 = gt_boxes[g]
        iou = box_iou(boxes, gt_boxes[g : g + 1])[:, 0]
        x, y = points[:, 0], points[:, 1]
        inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
        m = torch.where(inside, cls_prob[:, gt_labels[g]].pow(alpha) * iou.pow(beta), torch.zeros_like(iou))
        metrics.append(m)
        overlaps.append(iou)
        order = m.argsort(descending=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(n, device=order.device)
        take = (rank < topk) & (m > 0) & (iou > best_iou)
        fg, owner, best_iou = fg | take, torch.where(take, g, owner), torch.where(take, iou, best_iou)
    score = torch.zeros_like(best_iou)
    for g, (m, iou) in enumerate(zip(metrics, overlaps)):
        mine = fg & (owner == g)
        top = torch.where(mine, m, torch.zeros_like(m)).max()
        most = torch.where(mine, iou, torch.zeros_like(iou)).max()
        score = torch.where(mine, m / top * most, score)
    return fg, owner, score
''',
    ),
    Alternative(
        name="kth-largest",
        exercise="assign",
        code='''
def task_aligned_assign(cls_prob, boxes, points, gt_labels, gt_boxes, topk, alpha=0.5, beta=6.0):
    """The k-th largest metric of each object is the bar."""
    assert_at_least_one = topk >= 1
    if not assert_at_least_one:
        raise ValueError(topk)
    p, b = cls_prob.detach(), boxes.detach()
    n, m = p.shape[0], gt_boxes.shape[0]
    if m == 0:
        return p.new_zeros(n, dtype=torch.bool), p.new_zeros(n, dtype=torch.int64), p.new_zeros(n)
    edges = torch.cat([points[:, None] - gt_boxes[None, :, :2], gt_boxes[None, :, 2:] - points[:, None]], -1)
    iou = box_iou(b, gt_boxes)
    metric = (edges.amin(-1) > 0) * p.index_select(1, gt_labels).pow(alpha) * iou.pow(beta)
    bar = metric.sort(dim=0, descending=True).values[min(topk, n) - 1]
    claimed = (metric >= bar) & (metric > 0)
    rivals = iou.masked_fill(~claimed, float("-inf"))
    alone = claimed & (rivals == rivals.amax(dim=1, keepdim=True))
    metric, iou = metric.masked_fill(~alone, 0), iou.masked_fill(~alone, 0)
    targets = metric / metric.amax(0).clamp(min=1e-30) * iou.amax(0)
    return alone.any(1), alone.int().argmax(1), targets.amax(1)
''',
    ),
    Alternative(
        name="flat-and-permuted",
        exercise="detector",
        code='''
class DualHeadDetector(nn.Module):
    """Both heads' maps are permuted, and split in one go."""

    def __init__(self, n_classes, width=32):
        super().__init__()
        self.split = [n_classes, 4]
        self.backbone = make_backbone(width)
        self.many = make_head(n_classes, width)
        self.one = make_head(n_classes, width)

    def forward(self, x):
        maps = self.backbone(x)
        b, _, h, w = maps.shape
        points = make_points(h, w, 8).to(device=maps.device, dtype=maps.dtype)
        result = {}
        for name, seen in (("many", maps), ("one", maps.clone().detach())):
            rows = getattr(self, name)(seen).permute(0, 2, 3, 1).reshape(b, h * w, -1)
            logits, raw = rows.split(self.split, dim=-1)
            result[name] = dict(logits=logits, boxes=decode_ltrb(nn.functional.softplus(raw), points, 8), points=points)
        return result


def detection_loss(out, targets, topk):
    """The targets of all images first, then one sum each."""
    wanted = torch.zeros_like(out["logits"])
    pieces, total = [], 0.0
    with torch.no_grad():
        plans = [
            task_aligned_assign(p.sigmoid(), b, out["points"], t["labels"], t["boxes"], topk)
            for p, b, t in zip(out["logits"], out["boxes"], targets)
        ]
    for k, ((fg, index, score), t) in enumerate(zip(plans, targets)):
        for i in fg.nonzero().flatten().tolist():
            wanted[k, i, t["labels"][index[i]]] = score[i]
            giou = torchvision.ops.generalized_box_iou(out["boxes"][k, i][None], t["boxes"][index[i]][None])[0, 0]
            pieces.append(score[i] * (1 - giou))
        total += float(score.sum())
    logits = out["logits"]
    classes = (logits.clamp(min=0) - logits * wanted + torch.log1p(torch.exp(-logits.abs()))).sum()
    boxes = torch.stack(pieces).sum() if pieces else 0.0
    return (classes + 2.5 * boxes) / max(total, 1.0)
''',
    ),
    Alternative(
        name="binary-cross-entropy-of-probabilities",
        exercise="detector",
        edits={
            'F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")': 'F.binary_cross_entropy(logits.sigmoid(), wanted, reduction="sum")',
            "return (classes + 2.5 * boxes_off) / total.clamp(min=1)": "return classes / total.clamp(min=1) + boxes_off * 2.5 / total.clamp(min=1)",
        },
    ),
    Alternative(
        name="the-new-exporter",
        exercise="export",
        code='''
def _ready(module):
    for part in module.modules():
        if part.training:
            raise ValueError(f"{type(part).__name__} is in training mode")


def export_onnx(module, path, example):
    """torch.export, with an example of two images, since one would be taken for a constant."""
    _ready(module)
    import logging

    logging.disable(logging.WARNING)  # the exporter talks
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (example[:1].expand(2, -1, -1, -1).contiguous(),), str(path), input_names=["images"],
                output_names=["scores", "boxes"], dynamo=True, external_data=False, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    finally:
        logging.disable(logging.NOTSET)


def onnx_parity(path, module, x):
    """All in NumPy's numbers, by name."""
    _ready(module)
    with torch.inference_mode():
        scores, boxes = module(x)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": np.ascontiguousarray(x.numpy())})))
    return {
        "boxes": (torch.from_numpy(found["boxes"]) - boxes).abs().max().item(),
        "scores": (torch.from_numpy(found["scores"]) - scores).abs().max().item(),
    }
''',
    ),
    Alternative(
        name="written-to-memory-first",
        exercise="export",
        edits={
            "torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)": "memory = io.BytesIO()\n        torch.onnx.export(module, (example,), memory, dynamic_axes=free, dynamo=False, opset_version=16, **names)\n        Path(path).write_bytes(memory.getvalue())",
        },
    ),
    Alternative(
        name="sorted-by-hand",
        exercise="sheet",
        code='''
def _percentile(values, q):
    """Between two neighbors of the sorted list."""
    values = sorted(values)
    at = q / 100 * (len(values) - 1)
    low, high = math.floor(at), math.ceil(at)
    return values[low] + (at - low) * (values[high] - values[low])


def perf_sheet(rows, p95_budget_ms, max_map_drop):
    """No NumPy."""
    names = [row["name"] for row in rows]
    if names.count("pytorch") != 1:
        raise ValueError("one reference")
    base = rows[names.index("pytorch")]["map"]
    result = []
    for row in rows:
        times = row["latencies_ms"][row["warmup"] :]
        if len(times) < 1:
            raise ValueError("no samples")
        line = {f"p{q}_ms": _percentile(times, q) for q in (50, 95, 99)}
        line["images_per_s"] = row["batch"] / (math.fsum(times) / len(times)) * 1e3
        line["map_delta_points"] = (row["map"] - base) * 100
        if line["map_delta_points"] < -max_map_drop:
            line["verdict"] = "inaccurate"
        elif line["p95_ms"] > p95_budget_ms:
            line["verdict"] = "slow"
        else:
            line["verdict"] = "pass"
        result.append({"name": row["name"], **line})
    return result
''',
    ),
    Alternative(
        name="with-torch-quantiles",
        exercise="sheet",
        edits={
            "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))": "p50, p95, p99 = torch.tensor(counted, dtype=torch.float64).quantile(torch.tensor([0.5, 0.95, 0.99], dtype=torch.float64)).tolist()",
        },
    ),
    Alternative(
        name="multi-line-configuration-and-tokens",
        exercise="triton",
        code='''
def write_triton_repository(root, model, version, artifact, platform, max_batch_size, inputs, outputs):
    """Protobuf's text in the layout of its own printer: repeated groups instead of lists."""
    if version <= 0:
        raise ValueError("version")
    try:
        file = {"onnxruntime_onnx": "model.onnx", "tensorrt_plan": "model.plan"}[platform]
    except KeyError:
        raise ValueError(platform) from None
    target = Path(root, model, f"{version}", file)
    target.parent.mkdir(exist_ok=True, parents=True)
    target.write_bytes(Path(artifact).read_bytes())
    text = f"name: {json.dumps(model)}\\nplatform: {json.dumps(platform)}\\nmax_batch_size: {max_batch_size}\\n"
    for word, group in (("input", inputs), ("output", outputs)):
        for name, (kind, shape) in group.items():
            dims = list(shape)[1:] if max_batch_size else list(shape)
            sizes = "".join(f"  dims: {size}\\n" for size in dims)
            text += f"{word} {{\\n  name: {json.dumps(name)}\\n  data_type: {kind}\\n{sizes}}}\\n"
    Path(root, model, "config.pbtxt").write_text(text, encoding="utf-8")


def validate_triton_repository(root):
    """Line by line; reads the layout of the lesson and its own."""
    said = []
    for folder in Path(root).glob("*/"):
        config = folder / "config.pbtxt"
        lines = config.read_text(encoding="utf-8").splitlines() if config.exists() else []
        top = {}
        for line in lines:
            match = re.match(r"(name|platform|max_batch_size|input|output)\\b\\s*:?\\s*(.*)", line)
            if match:
                top.setdefault(match[1], match[2].strip().strip('"'))
        if len(top) < 5:
            said.append(f"config: {folder}")
            continue
        if top["name"] != folder.name:
            said.append("name: differs")
        file = {"onnxruntime_onnx": "model.onnx", "tensorrt_plan": "model.plan"}.get(top["platform"])
        if file is None:
            said.append("platform: unknown")
        versions = [p for p in folder.iterdir() if p.is_dir()]
        sound = [p for p in versions if p.name.isdecimal() and p.name == str(int(p.name)) and int(p.name) > 0]
        if not versions or len(sound) < len(versions):
            said.append("version: see folders")
        said += [f"artifact: {p.name}" for p in sound if file and not (p / file).exists()]
        text, batched = "\\n".join(lines), int(top["max_batch_size"]) > 0
        said += [f"data_type: {k}" for k in re.findall(r"data_type: *([^ \\n]+)", text) if k not in DATA_TYPES]
        for group in re.findall(r"dims: *(\\[[^\\]]*\\]|-?[0-9]+)", text):
            for size in map(int, re.findall(r"-?[0-9]+", group)):
                if size == 0 or size < -1 or (batched and size < 0):
                    said.append(f"dims: {size}")
    return said
''',
    ),
]
