# %% test="points" points=8
with checks.step("the points of 2 rows and 3 columns with stride 8"):
    wanted = torch.tensor([[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [4.0, 12.0], [12.0, 12.0], [20.0, 12.0]])
    checks.close(make_points(2, 3, 8), wanted, "the points", causes={
        "the points lie on the corners of the cells; half a cell is missing": wanted - 4,
        "a point is (x, y); here it is (row, column)": wanted.flip(1),
        "the points are listed column by column": wanted.reshape(2, 3, 2).transpose(0, 1).reshape(6, 2),
        "the stride is missing": wanted / 8,
        "half a pixel was added, not half a cell": wanted - 3.5,
    })  # fmt: skip

with checks.step("a box around (12, 20): 1 left, 2 up, 0.5 right, 0 down, stride 8"):
    came = decode_ltrb(torch.tensor([[[1.0, 2.0, 0.5, 0.0]]]), torch.tensor([[12.0, 20.0]]), 8)
    checks.close(came, torch.tensor([[[4.0, 4.0, 16.0, 20.0]]]), "the box", causes={
        "the distances were not multiplied by the stride": torch.tensor([[[11.0, 18.0, 12.5, 20.0]]]),
        "left and top are taken off; here they were added": torch.tensor([[[20.0, 36.0, 16.0, 20.0]]]),
        "this is center and size; the corners are asked": torch.tensor([[[10.0, 12.0, 12.0, 16.0]]]),
    })  # fmt: skip

with checks.step("distances that are new in every run"):
    randn = checks.normal(checks.fresh_seed())
    dist, points = randn(2, 5, 4).abs(), 10 * randn(5, 2)
    x, y = points.T
    left, top, right, bottom = (4 * dist[..., k] for k in range(4))
    wanted = torch.stack([x - left, y - top, x + right, y + bottom], dim=-1)
    checks.close(decode_ltrb(dist, points, 4), wanted, "the boxes")

with checks.step("what is no list of distances"):
    for size in ((1, 5, 3), (2, 4, 5), (1, 4, 2)):
        checks.raises(ValueError, decode_ltrb, torch.ones(size), torch.ones(size[1], 2), 8, name=f"shape {size}")

### BEGIN HIDDEN TESTS
for h, w, stride in ((3, 5, 8), (5, 2, 16), (1, 7, 4), (6, 1, 1), (9, 4, 32)):
    with checks.step(f"{h} rows, {w} columns, stride {stride}"):
        wanted = [[stride * (c + 0.5), stride * (r + 0.5)] for r in range(h) for c in range(w)]
        checks.close(make_points(h, w, stride), torch.tensor(wanted), "the points")

for seed in (0, 1, 7):
    with checks.step("encode and decode random boxes around each point"):
        randn = checks.normal(seed, torch.float64)
        points, stride = 50 * randn(15, 2), (8, 16, 3)[seed % 3]
        boxes = torch.cat([points - 20 * randn(4, 15, 2).abs(), points + 20 * randn(4, 15, 2).abs()], dim=-1)
        dist = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=-1) / stride
        checks.close(decode_ltrb(dist, points, stride), boxes, "the boxes, in float64")

with checks.step("distances below 0 are decoded as well: only the shape is checked"):
    came = decode_ltrb(torch.tensor([[[-1.0, 0.0, 2.0, -0.5]]]), torch.tensor([[10.0, 10.0]]), 2)
    checks.close(came, torch.tensor([[[12.0, 10.0, 14.0, 9.0]]]), "the box")
with checks.step("float16 stays float16"):
    dist, points = torch.rand(1, 3, 4).half(), torch.arange(6.0).reshape(3, 2).half()
    checks.dtype(decode_ltrb(dist, points, 8), torch.float16, "the boxes")

with checks.step("the arguments afterwards"):
    dist, points = checks.normal(3)(2, 4, 4).abs(), checks.normal(4)(4, 2)
    after = checks.beside(observe.arguments_after, decode_ltrb, dist, points, 8)
    for was, now in checks.each((dist, points), after):
        checks.equal(now, was, "an argument", causes={"it was changed in place": lambda: True})

with checks.step("the gradient"):
    dist, points = torch.rand(2, 3, 4).requires_grad_(), torch.rand(3, 2)
    (came,) = checks.beside(observe.gradients, decode_ltrb, dist, points, 8)
    (wanted,) = observe.gradients(
        lambda d: torch.stack([points[:, 0] - 8 * d[..., 0], points[:, 1] - 8 * d[..., 1], points[:, 0] + 8 * d[..., 2], points[:, 1] + 8 * d[..., 3]], -1), dist
    )  # fmt: skip
    checks.that(came is not None, "a gradient reaches the distances", came="none")
    checks.close(came, wanted, "the gradient of the distances")

with checks.step("distances on another device"):
    seen = checks.beside(observe.devices_away, decode_ltrb, torch.rand(1, 3, 4), torch.rand(3, 2), 8)
    checks.equal(seen, ["meta"], "the device of the result")
### END HIDDEN TESTS


# %% given="candidates" after="nms-hints"
# what the tests of both exercises use
def candidates(seed: int, n: int, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """n boxes in small groups, around `shift`, and scores that all differ."""
    draw = torch.Generator().manual_seed(seed)
    centers = 60 * torch.rand(n // 4 + 1, 2, generator=draw).repeat(4, 1)[:n] + 3 * torch.randn(n, 2, generator=draw)
    half = 6 + 6 * torch.rand(n, 2, generator=draw)
    return torch.cat([centers - half, centers + half], dim=1) + shift, (torch.randperm(n, generator=draw) + 1) / (n + 1)


# %% test="nms" points=5
with checks.step("two near copies and one box far away"):
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [30.0, 30.0, 40.0, 40.0]])
    scores = torch.tensor([0.6, 0.9, 0.95])
    came = nms(boxes, scores, 0.5)
    checks.dtype(came, torch.int64, "the indices")
    checks.equal(came, torch.tensor([2, 1]), "the indices", causes={
        "these are places in the sorted list; the caller's boxes are not sorted": torch.tensor([0, 1]),
        "the worst score came first": torch.tensor([0, 2]),
        "the best comes first in the result": torch.tensor([1, 2]),
        "nothing was suppressed": torch.tensor([2, 1, 0]),
    })  # fmt: skip

with checks.step("a chain: A over B, B over C, A and C apart"):
    chain = torch.tensor([[0.0, 0.0, 10.0, 10.0], [4.0, 0.0, 14.0, 10.0], [8.0, 0.0, 18.0, 10.0]])
    checks.equal(nms(chain, torch.tensor([0.9, 0.8, 0.7]), 0.3), torch.tensor([0, 2]), "the indices", causes={
        "B is suppressed itself, and suppressed C all the same": torch.tensor([0]),
    })  # fmt: skip

with checks.step("an IoU that equals the threshold: 1/2"):
    pair = torch.tensor([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    checks.equal(nms(pair, torch.tensor([0.9, 0.8]), 0.5), torch.tensor([0, 1]), "the indices, the larger box first", causes={
        "an equal IoU suppresses; it must be greater": torch.tensor([0]),
    })  # fmt: skip
    checks.equal(nms(pair, torch.tensor([0.8, 0.9]), 0.5), torch.tensor([1, 0]), "the indices, the smaller box first", causes={
        "the overlap was divided by the area of one box; IoU divides by the union": torch.tensor([1]),
    })  # fmt: skip

with checks.step("no boxes, one box"):
    checks.equal(nms(torch.zeros(0, 4), torch.zeros(0), 0.5), torch.zeros(0, dtype=torch.int64), "the indices of none")
    checks.equal(nms(torch.ones(1, 4), torch.ones(1), 0.5), torch.zeros(1, dtype=torch.int64), "the index of one")

with checks.step("thresholds outside of [0, 1]"):
    for threshold in (-0.1, 1.1):
        checks.raises(ValueError, nms, boxes, scores, threshold, name=f"threshold {threshold}")

with checks.step("boxes that are new in every run, against torchvision"):
    boxes, scores = candidates(checks.fresh_seed(), 24)
    wanted = torchvision.ops.nms(boxes, scores, 0.4)
    checks.equal(nms(boxes, scores, 0.4), wanted, "the indices")

# %% test="nms" points=7 forbids="torchvision.ops.nms, torchvision.ops.batched_nms"
with checks.step("five boxes that are new in every run, against torchvision"):
    boxes, scores = candidates(checks.fresh_seed(), 5)
    wanted = torchvision.ops.nms(boxes, scores, 0.3)
    checks.equal(nms(boxes, scores, 0.3), wanted, "the indices")

### BEGIN HIDDEN TESTS
for seed in range(50):
    n, threshold = (0, 1, 2, 7, 40)[seed % 5], (0.0, 0.2, 0.5, 0.7, 1.0, 0.45)[seed % 6]
    with checks.step("random sets, against torchvision"):
        boxes, scores = candidates(seed, n, shift=(0.0, -200.0)[seed % 2])
        wanted = torchvision.ops.nms(boxes, scores, threshold)
        checks.equal(nms(boxes, scores, threshold), wanted, f"the indices of {n} boxes at threshold {threshold}")

with checks.step("equal IoU at the thresholds 1/4 and 0, and equal boxes at 1"):
    quarter = torch.tensor([[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    apart = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])
    for boxes, threshold in ((quarter, 0.25), (apart, 0.0), (torch.ones(2, 4).cumsum(1), 1.0)):
        checks.equal(
            nms(boxes, torch.tensor([0.2, 0.4]), threshold), torch.tensor([1, 0]), f"the indices at {threshold}"
        )

with checks.step("negative scores, and scores above 1"):
    boxes, scores = candidates(3, 20)
    scores = 40 * scores - 20
    wanted = torchvision.ops.nms(boxes, scores, 0.4)
    checks.equal(nms(boxes, scores, 0.4), wanted, "the indices")

with checks.step("float64"):
    boxes, scores = (value.double() for value in candidates(4, 20))
    wanted = torchvision.ops.nms(boxes, scores, 0.4)
    checks.equal(nms(boxes, scores, 0.4), wanted, "the indices")

with checks.step("the arguments afterwards"):
    boxes, scores = candidates(5, 12)
    for was, now in checks.each((boxes, scores), checks.beside(observe.arguments_after, nms, boxes, scores, 0.5)):
        checks.equal(now, was, "an argument", causes={"it was changed in place": lambda: True})

with checks.step("a wrong threshold where there are no boxes"):
    for threshold in (-1e-3, 1 + 1e-3, 50):
        checks.raises(ValueError, nms, torch.zeros(0, 4), torch.zeros(0), threshold, name=f"threshold {threshold}")

with checks.step("built from basic operations"):
    checks.forbidden(FORBIDDEN, nms, *candidates(6, 12), 0.5)
### END HIDDEN TESTS


# %% test="batched" points=8 forbids="torchvision.ops.nms, torchvision.ops.batched_nms"
with checks.step("two classes in the same place"):
    boxes = torch.tensor(
        [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [2.0, 0.0, 12.0, 10.0], [0.0, 1.0, 10.0, 11.0]]
    )
    scores, labels = torch.tensor([0.6, 0.9, 0.7, 0.8]), torch.tensor([2, 5, 5, 2])
    came = batched_nms(boxes, scores, labels, 0.5)
    checks.dtype(came, torch.int64, "the indices")
    checks.equal(came, torch.tensor([1, 3]), "the indices", causes={
        "classes were not told apart": torch.tensor([1]),
        "each class has its order, the whole has none": torch.tensor([3, 1]),
        "these are places within a class": torch.tensor([1, 0]),
    })  # fmt: skip

with checks.step("boxes and labels that are new in every run, against torchvision"):
    seed = checks.fresh_seed()
    boxes, scores = candidates(seed, 30, shift=40.0)  # none is negative: torchvision's own shift goes wrong there
    labels = torch.randint(3, (30,), generator=torch.Generator().manual_seed(seed))
    wanted = torchvision.ops.batched_nms(boxes, scores, labels, 0.4)
    checks.equal(batched_nms(boxes, scores, labels, 0.4), wanted, "the indices")

with checks.step("no boxes"):
    none = torch.zeros(0, dtype=torch.int64)
    checks.equal(batched_nms(torch.zeros(0, 4), torch.zeros(0), none, 0.5), none, "the indices")

with checks.step("a threshold outside of [0, 1]"):
    for threshold in (-0.5, 1.5):
        checks.raises(ValueError, batched_nms, boxes, scores, labels, threshold, name=f"threshold {threshold}")
        checks.raises(
            ValueError, batched_nms, boxes[:0], scores[:0], none, threshold, name=f"threshold {threshold}, no boxes"
        )

### BEGIN HIDDEN TESTS
with checks.step("built from basic operations"):
    boxes, scores = candidates(6, 12)
    checks.forbidden(FORBIDDEN, batched_nms, boxes, scores, torch.arange(12) % 3, 0.5)

with checks.step("a large image: boxes 1500 pixels apart, of neighboring classes"):
    boxes = torch.tensor([[1000.0, 1000.0, 1100.0, 1100.0], [0.0, 0.0, 100.0, 100.0], [1000.0, 0.0, 1090.0, 100.0]])
    boxes = torch.cat([boxes, boxes[:1] - 1000, boxes[:1] + 1000])
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.tensor([0, 1, 0, 2, 1])
    for shift in (0.0, -1000.0, 3000.0):
        checks.equal(batched_nms(boxes + shift, scores, labels, 0.3), torch.arange(5), "all stay", causes={
            "boxes of two classes met: the shift between classes is less than the boxes extend": lambda: True,
        })  # fmt: skip

with checks.step("all coordinates are negative"):
    boxes = torch.tensor([[-100.0, -100.0, -50.0, -50.0], [-150.0, -150.0, -100.0, -100.0]])
    came = batched_nms(boxes, torch.tensor([0.9, 0.8]), torch.tensor([1, 0]), 0.3)
    checks.equal(came, torch.arange(2), "both stay", causes={
        "classes were moved apart by the largest coordinate, which says nothing here": lambda: True,
    })  # fmt: skip

for seed in range(30):
    n, threshold = (0, 1, 9, 40, 25)[seed % 5], (0.0, 0.3, 0.5, 1.0)[seed % 4]
    with checks.step("random sets with negative coordinates, against a loop over the classes"):
        boxes, scores = candidates(seed, n, shift=(-300.0, 0.0, -30.0)[seed % 3])
        labels = torch.randint(-2, 3, (n,), generator=torch.Generator().manual_seed(seed))
        stay = [k for label in labels.unique() for k in (labels == label).nonzero()[:, 0][
            torchvision.ops.nms(boxes[labels == label], scores[labels == label], threshold)].tolist()]  # fmt: skip
        wanted = torch.tensor(sorted(stay, key=lambda k: -scores[k].item()), dtype=torch.int64)
        checks.equal(
            batched_nms(boxes, scores, labels, threshold), wanted, f"the indices of {n} boxes at threshold {threshold}"
        )

with checks.step("labels far apart, as ids of a data set are"):
    boxes, scores = candidates(7, 24, shift=40.0)
    labels = torch.tensor([1, 90, 4_000_000])[torch.arange(24) % 3]
    wanted = torchvision.ops.batched_nms(boxes.double(), scores.double(), labels, 0.4)
    checks.equal(batched_nms(boxes, scores, labels, 0.4), wanted, "the indices")

with checks.step("the arguments afterwards"):
    boxes, scores = candidates(5, 12)
    labels = torch.arange(12) % 2
    for was, now in checks.each(
        (boxes, scores, labels), checks.beside(observe.arguments_after, batched_nms, boxes, scores, labels, 0.5)
    ):
        checks.equal(now, was, "an argument", causes={"it was changed in place": lambda: True})

### END HIDDEN TESTS


# %% given="assigned-by-loops" after="assign-hints"
# what the tests of the exercise use: the rules, one number after the other
def iou_of(a: Sequence[float], b: Sequence[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def assigned_by_loops(
    cls_prob: torch.Tensor, boxes: torch.Tensor, points: torch.Tensor, gt_labels: torch.Tensor, gt_boxes: torch.Tensor,
    topk: int, alpha: float = 0.5, beta: float = 6.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """fg, gt_index, target_score (float64): for each object in turn."""
    m, n = len(gt_boxes), len(points)
    overlap = [[iou_of(box, gt) for gt in gt_boxes.tolist()] for box in boxes.tolist()]
    metric = [[0.0] * m for _ in range(n)]
    for i, g in itertools.product(range(n), range(m)):
        (x, y), (x1, y1, x2, y2) = points[i].tolist(), gt_boxes[g].tolist()
        if x1 < x < x2 and y1 < y < y2:
            metric[i][g] = cls_prob[i, gt_labels[g]].item() ** alpha * overlap[i][g] ** beta
    claims = [[i for i in sorted(range(n), key=lambda i: -metric[i][g])[:topk] if metric[i][g] > 0] for g in range(m)]
    owner = {}
    for g, i in ((number, point) for number in range(m) for point in claims[number]):
        if i not in owner or overlap[i][g] > overlap[i][owner[i]]:
            owner[i] = g
    fg, index, score = (
        torch.zeros(n, dtype=torch.bool),
        torch.zeros(n, dtype=torch.int64),
        torch.zeros(n, dtype=torch.float64),
    )
    for i, g in owner.items():
        mine = [k for k, other in owner.items() if other == g]
        fg[i], index[i] = True, g
        score[i] = metric[i][g] / max(metric[k][g] for k in mine) * max(overlap[k][g] for k in mine)
    return fg, index, score


def check_assignment(
    came: object, wanted: tuple, dtype: torch.dtype = torch.float32, causes: Mapping | None = None
) -> None:
    """Three tensors: whether, whose, and how much."""
    checks.that(isinstance(came, tuple) and len(came) == 3, "three tensors come back", came=checks.describe(came))
    checks.equal(came[0], wanted[0], "fg", causes=causes)
    checks.equal(came[1], wanted[1], "gt_index", causes=causes)
    checks.close(came[2], wanted[2].to(dtype), "target_score", causes=causes)


# %% test="assign" points=6
LINE = torch.tensor([[2.0, 5.0], [6.0, 5.0], [10.0, 5.0], [14.0, 5.0], [30.0, 5.0]])  # five points in a row
AROUND = torch.cat([LINE - torch.tensor([4.0, 5.0]), LINE + torch.tensor([4.0, 5.0])], dim=1)  # boxes of 8 x 10

with checks.step("one object from x = 3 to x = 10, topk 5: the second point is inside, the third on the edge"):
    gt = torch.tensor([[3.0, 0.0, 10.0, 10.0]])  # IoU with the boxes 1/4, 7/8, 4/11, 0, 0
    p = torch.tensor([[0.9, 0.1], [0.25, 0.5], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    came = task_aligned_assign(p, AROUND, LINE, torch.tensor([0]), gt, 5)
    checks.that(isinstance(came, tuple) and len(came) == 3, "three tensors come back", came=checks.describe(came))
    checks.equal(came[0], torch.tensor([False, True, False, False, False]), "fg", causes={
        "points on the edge count as inside; strictly inside is asked": torch.tensor([False, True, True, False, False]),
        "points outside of the object answer, too": torch.tensor([True, True, True, False, False]),
        "points whose metric is 0 answer, too": torch.ones(5, dtype=torch.bool),
    })  # fmt: skip
    checks.close(came[2], torch.tensor([0.0, 7 / 8, 0.0, 0.0, 0.0]), "target_score", causes={
        "this is the metric itself; the target is the share of the best, times the best IoU": torch.tensor([0.0, 0.5 * (7 / 8) ** 6, 0.0, 0.0, 0.0]),
        "the share of the best was not multiplied by the best IoU": torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]),
    })  # fmt: skip

with checks.step("an object of class 1 that covers three points, topk 2"):
    gt, label = torch.tensor([[1.0, 0.0, 11.5, 10.0]]), torch.tensor([1])
    p = torch.tensor([[0.49, 0.64], [0.36, 0.25], [0.04, 0.04], [0.5, 0.9], [0.5, 0.9]])
    iou = torch.tensor([5 / 13.5, 8 / 10.5, 5.5 / 13])
    share = (0.8 * iou[0] ** 6) / (0.5 * iou[1] ** 6)
    wanted = torch.tensor([share * iou[1], iou[1], 0.0, 0.0, 0.0])
    came = task_aligned_assign(p, AROUND, LINE, label, gt, 2)
    checks.equal(came[0], wanted > 0, "fg", causes={
        "the class probability plays no part": torch.tensor([False, True, True, False, False]),
    })  # fmt: skip
    checks.close(came[2], wanted, "target_score", causes={
        "each positive got its own IoU": torch.tensor([share * iou[0], iou[1], 0.0, 0.0, 0.0]),
        "every positive got the full score": torch.tensor([iou[1], iou[1], 0.0, 0.0, 0.0]),
        "the probability of another class was used": torch.tensor([0.7 / 0.6 * (iou[0] / iou[1]) ** 6 * iou[1], iou[1], 0.0, 0.0, 0.0]),
        "alpha and beta are swapped": assigned_by_loops(p, AROUND, LINE, label, gt, 2, 6.0, 0.5)[2].float(),
    })  # fmt: skip

with checks.step("a point that two objects claim"):
    gt = torch.tensor([[0.0, 0.0, 17.0, 10.0], [2.0, 0.0, 10.0, 10.0]])  # IoU of the second box: 8/17 and 1
    came = task_aligned_assign(torch.full((5, 1), 0.25), AROUND, LINE, torch.tensor([0, 0]), gt, 3)
    wanted = assigned_by_loops(torch.full((5, 1), 0.25), AROUND, LINE, torch.tensor([0, 0]), gt, 3)
    checks.equal(came[1][1], torch.tensor(1), "the object of the second point", causes={
        "the first of the objects that claim a point got it; the one of largest IoU does": torch.tensor(0),
    })  # fmt: skip
    check_assignment(came, wanted)

with checks.step("a point that two objects of different classes claim"):
    gt, labels = torch.tensor([[2.0, 0.0, 10.0, 10.0], [0.0, 0.0, 17.0, 10.0]]), torch.tensor([1, 0])
    p = torch.tensor([[0.9, 1e-6]] * 5)  # IoU of the second box: 1 and 8/17; metric: 0.001 and 0.01
    came = task_aligned_assign(p, AROUND, LINE, labels, gt, 3)
    checks.equal(came[1][1], torch.tensor(0), "the object of the second point", causes={
        "the object of largest metric got the point; the one of largest IoU does": torch.tensor(1),
    })  # fmt: skip
    check_assignment(came, assigned_by_loops(p, AROUND, LINE, labels, gt, 3))

with checks.step("no object"):
    came = task_aligned_assign(torch.rand(5, 2), AROUND, LINE, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), 3)
    check_assignment(came, (torch.zeros(5, dtype=torch.bool), torch.zeros(5, dtype=torch.int64), torch.zeros(5)))

with checks.step("twenty points and two objects that are new in every run, topk 3"):
    inputs = made_up(checks.fresh_seed(), 20, 2)
    check_assignment(task_aligned_assign(*inputs, 3), assigned_by_loops(*inputs, 3))

with checks.step("topk below 1"):
    for topk in (0, -1):
        checks.raises(
            ValueError,
            task_aligned_assign,
            torch.rand(5, 1),
            AROUND,
            LINE,
            torch.tensor([0]),
            gt[:1],
            topk,
            name=f"topk={topk}",
        )

# %% test="assign" points=12
for topk in (8, 1):
    with checks.step(f"points and objects that are new in every run, topk {topk}"):
        inputs = made_up(checks.fresh_seed(), 60, 4)
        came, wanted = task_aligned_assign(*inputs, topk), assigned_by_loops(*inputs, topk)
        check_assignment(came, wanted)
        owners = came[1][came[0]].tolist()
        checks.that(
            topk > 1 or len(set(owners)) == len(owners), "with topk 1 no object has two positives", came=f"{owners}"
        )

### BEGIN HIDDEN TESTS
for seed in (0, 1, 7):
    for n, m, n_classes, topk in (
        (40, 3, 2, 5),
        (25, 6, 4, 3),
        (5, 2, 3, 9),
        (30, 1, 1, 1),
        (12, 0, 2, 4),
        (6, 0, 1, 2),
        (1, 3, 2, 1),
        (80, 9, 3, 10),
    ):
        with checks.step("against loops"):
            inputs = made_up(seed, n, m, n_classes)
            check_assignment(task_aligned_assign(*inputs, topk), assigned_by_loops(*inputs, topk))
    for alpha, beta in ((1.0, 1.0), (0.0, 2.0), (2.0, 0.5)):
        with checks.step(f"alpha {alpha}, beta {beta}"):
            inputs = made_up(seed + 20, 50, 4)
            came = task_aligned_assign(*inputs, 4, alpha=alpha, beta=beta)
            check_assignment(came, assigned_by_loops(*inputs, 4, alpha, beta))
    with checks.step("float64"):
        inputs = made_up(seed + 40, 50, 4, dtype=torch.float64)
        check_assignment(task_aligned_assign(*inputs, 4), assigned_by_loops(*inputs, 4), torch.float64)

with checks.step("objects smaller than a cell, with no point inside"):
    gt = torch.tensor([[3.0, 3.0, 5.0, 4.9], [6.5, 1.0, 9.5, 9.0], [1.0, 0.0, 11.0, 10.0]])
    inputs = (torch.rand(5, 2), AROUND, LINE, torch.tensor([0, 1, 0]), gt)
    check_assignment(task_aligned_assign(*inputs, 3), assigned_by_loops(*inputs, 3))

with checks.step("points exactly on each edge and each corner"):
    gt = torch.tensor([[4.0, 4.0, 12.0, 10.0]])
    points = torch.tensor([[4.0, 6.0], [12.0, 6.0], [6.0, 4.0], [6.0, 10.0], [4.0, 4.0], [12.0, 10.0], [6.0, 6.0]])
    inputs = (torch.full((7, 1), 0.5), torch.cat([points - 3, points + 3], 1), points, torch.tensor([0]), gt)
    check_assignment(task_aligned_assign(*inputs, 7), assigned_by_loops(*inputs, 7))

with checks.step("a predicted box that does not touch the object around its point"):
    away = AROUND.clone()
    away[1] += 100
    gt = torch.tensor([[2.0, 0.0, 10.5, 10.0]])
    inputs = (torch.full((5, 1), 0.5), away, LINE, torch.tensor([0]), gt)
    check_assignment(task_aligned_assign(*inputs, 5), assigned_by_loops(*inputs, 5))

with checks.step("an object that loses its best point to another: its maxima are over the points that it keeps"):
    gt = torch.tensor([[1.0, 0.0, 15.0, 10.0], [2.5, 0.0, 10.0, 10.0]])
    inputs = (torch.tensor([[0.3], [0.9], [0.4], [0.2], [0.5]]), AROUND, LINE, torch.tensor([0, 0]), gt)
    wanted = assigned_by_loops(*inputs, 4)
    check_assignment(task_aligned_assign(*inputs, 4), wanted)

with checks.step("a class that the network is sure it is not"):
    p = torch.tensor([[0.0, 1.0]] * 5)
    inputs = (p, AROUND, LINE, torch.tensor([0]), torch.tensor([[1.0, 0.0, 11.0, 10.0]]))
    check_assignment(task_aligned_assign(*inputs, 3), assigned_by_loops(*inputs, 3))


def scores_with_gradient(assign: Callable, p: torch.Tensor, boxes: torch.Tensor, *rest: object) -> list:
    """Whether the targets carry a gradient where probabilities and boxes do, and these tensors afterwards."""
    p, boxes = p.clone().requires_grad_(), boxes.clone().requires_grad_()
    score = assign(p, boxes, *rest)[2]
    return [score.requires_grad, p, boxes]


with checks.step("no gradient, and the arguments afterwards"):
    inputs = made_up(3, 30, 3)
    carries, p, boxes = checks.beside(scores_with_gradient, task_aligned_assign, *inputs, 4)
    checks.that(not carries, "no gradient flows through target_score", came="it requires a gradient")
    after = checks.beside(observe.arguments_after, task_aligned_assign, *inputs, 4)
    for was, now in checks.each(inputs, after):
        checks.equal(now, was, "an argument", causes={"it was changed in place": lambda: True})

with checks.step("inputs on another device, no object"):
    seen = checks.beside(observe.devices_away, task_aligned_assign, *made_up(4, 30, 0), 4)
    checks.equal(seen, ["meta"] * 3, "the devices of the results")
### END HIDDEN TESTS


# %% given="detector-probes" after="detector-hints"
# what both tests of the exercise use
def predictions_of(make: Callable, seed: int, n_classes: int, width: int, x: torch.Tensor) -> dict:
    """What a new model in eval mode gives, and its weights."""
    torch.manual_seed(seed)
    model = make(n_classes, width).eval()
    with torch.no_grad():
        for part in model.modules():  # statistics that are not 0 and 1, as after a training
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(std=0.1)
        return {"out": model(x), "state": dict(model.state_dict())}


def expected_predictions(state: Mapping, n_classes: int, width: int, x: torch.Tensor) -> dict:
    """The same from the given parts with these weights."""
    found = {}
    parts = {"backbone": make_backbone(width), "many": make_head(n_classes, width), "one": make_head(n_classes, width)}
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        part.load_state_dict(own)
        part.to(x.dtype).eval()
    with torch.no_grad():
        features = parts["backbone"](x)
        h, w = features.shape[-2:]
        points = torch.tensor([[8 * c + 4.0, 8 * r + 4.0] for r in range(h) for c in range(w)], dtype=x.dtype)
        for name in ("many", "one"):
            numbers = parts[name](features).permute(0, 2, 3, 1).reshape(len(x), h * w, n_classes + 4)
            dist = 8 * F.softplus(numbers[..., n_classes:])
            boxes = torch.cat([points - dist[..., :2], points + dist[..., 2:]], dim=-1)
            found[name] = {"logits": numbers[..., :n_classes], "boxes": boxes, "points": points}
    return found


def check_predictions(seen: Mapping, n_classes: int, width: int, x: torch.Tensor) -> None:
    """Both heads say what the given parts say with the same weights."""
    wanted = expected_predictions(seen["state"], n_classes, width, x)
    for head in ("many", "one"):
        for name in ("points", "logits", "boxes"):
            checks.close(seen["out"][head][name], wanted[head][name], f"{head}: {name}")


def made_up_out(
    seed: int, b: int, n: int, n_classes: int, counts: Sequence[int], dtype: torch.dtype = torch.float32
) -> tuple:
    """Predictions of a head for b images, and targets with these numbers of objects."""
    rows = [made_up(100 * seed + k, n, m, n_classes, dtype) for k, m in enumerate(counts)]
    points = rows[0][2]
    half = 4 + 3 * torch.rand(b, n, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    boxes = torch.cat([points - half[..., :2], points + half[..., 2:]], dim=-1)
    out = {"logits": torch.stack([row[0] for row in rows]).logit(eps=1e-3), "boxes": boxes, "points": points}
    return out, [{"labels": row[3], "boxes": row[4]} for row in rows]


def loss_by_loops(out: Mapping, targets: Sequence[Mapping], topk: int) -> torch.Tensor:
    """The loss, one number after the other, in float64."""
    classes = boxes = total = 0.0
    for logits, corners, target in zip(out["logits"].double(), out["boxes"].double(), targets):
        fg, index, score = assigned_by_loops(
            logits.sigmoid(), corners, out["points"], target["labels"], target["boxes"], topk
        )
        for i, c in itertools.product(range(len(logits)), range(logits.shape[1])):
            t = score[i].item() if fg[i] and target["labels"][index[i]] == c else 0.0
            p = 1 / (1 + math.exp(-logits[i, c].item()))
            classes -= t * math.log(p) + (1 - t) * math.log(1 - p)
        for i in fg.nonzero()[:, 0].tolist():
            a, b = corners[i].tolist(), target["boxes"][index[i]].tolist()
            hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
            areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
            union = areas / (1 + iou_of(a, b))
            boxes += score[i].item() * (1 - iou_of(a, b) + (hull - union) / hull)
            total += score[i].item()
    return torch.tensor((classes + 2.5 * boxes) / max(1.0, total), dtype=torch.float64)


# %% test="detector" points=6
with checks.step("shapes for two images of 24 x 40 pixels and 5 classes"):
    seen = checks.beside(predictions_of, DualHeadDetector, 0, 5, 8, checks.normal(0)(2, 3, 24, 40))
    checks.equal(sorted(seen["out"]), ["many", "one"], "the keys")
    for head in ("many", "one"):
        checks.equal(sorted(seen["out"][head]), ["boxes", "logits", "points"], f"the keys of {head}")
        for name, size in (("logits", (2, 15, 5)), ("boxes", (2, 15, 4)), ("points", (15, 2))):
            checks.shape(seen["out"][head][name], size, f"{head}: {name}")

with checks.step("images that are new in every run, against the given parts with the same weights"):
    x = checks.normal(checks.fresh_seed())(2, 3, 16, 24)
    seen = checks.beside(predictions_of, DualHeadDetector, 1, 2, 8, x)
    check_predictions(seen, 2, 8, x)

with checks.step("the loss of predictions that are new in every run, against loops"):
    out, targets = made_up_out(checks.fresh_seed(), 2, 12, 3, (2, 1))
    checks.close(detection_loss(out, targets, 4), loss_by_loops(out, targets, 4).float(), "the loss", rtol=1e-3)

with checks.step("images without objects"):
    out, targets = made_up_out(1, 2, 6, 3, (0, 0))
    wanted = F.softplus(out["logits"]).sum()
    checks.close(detection_loss(out, targets, 4), wanted, "the loss: all scores are asked to be 0", causes={
        "only positives were counted; all points are": torch.zeros(()),
        "the sum was divided by something": wanted / out["logits"].numel(),
    })  # fmt: skip

# %% test="detector" points=6
with checks.step("one image that is new in every run, topk 1, against loops"):
    out, targets = made_up_out(checks.fresh_seed(), 1, 20, 2, (3,))
    checks.close(detection_loss(out, targets, 1), loss_by_loops(out, targets, 1).float(), "the loss", rtol=1e-3)

### BEGIN HIDDEN TESTS
for seed in (0, 1, 7):
    for n, n_classes, counts, topk in (
        (15, 3, (3, 0, 1), 5),
        (9, 1, (2,), 8),
        (30, 4, (4, 6), 1),
        (8, 2, (0,), 3),
        (1, 2, (1, 0), 2),
        (40, 2, (5, 1, 0, 2), 8),
    ):
        with checks.step("the loss, against loops"):
            out, targets = made_up_out(seed, len(counts), n, n_classes, counts)
            wanted = loss_by_loops(out, targets, topk).float()
            checks.close(detection_loss(out, targets, topk), wanted, "the loss", rtol=1e-3)
    for n_classes, width, size in ((1, 16, (16, 16)), (4, 8, (8, 32)), (3, 12, (40, 16))):
        with checks.step("predictions, against the given parts"):
            x = checks.normal(seed)(3, 3, *size)
            seen = checks.beside(predictions_of, DualHeadDetector, seed, n_classes, width, x)
            check_predictions(seen, n_classes, width, x)

with checks.step("float64 in the loss"):
    out, targets = made_up_out(2, 2, 12, 3, (2, 1), torch.float64)
    checks.close(detection_loss(out, targets, 4), loss_by_loops(out, targets, 4), "the loss", rtol=1e-6)


def slopes(make: Callable, loss: Callable, x: torch.Tensor, targets: list) -> dict:
    """For each loss the parts that its gradient reaches, of each part the share of its parameters."""
    torch.manual_seed(3)
    model = make(3, 8).train()
    found = {"frozen": sum(not parameter.requires_grad for parameter in model.parameters())}
    for head, topk in (("many", 8), ("one", 1)):
        model.zero_grad()
        loss(model(x)[head], targets, topk).backward()
        for name in ("backbone", "many", "one"):
            parameters = list(getattr(model, name).parameters())
            reached = [p.grad is not None and bool((p.grad != 0).any()) for p in parameters]
            found[f"{head} reaches {name}"] = sum(reached) / len(reached)
    return found


with checks.step("what each loss teaches"):
    x, targets = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5)), [
        {"labels": torch.tensor([0, 2]), "boxes": torch.tensor([[5.0, 5.0, 30.0, 33.0], [30.0, 20.0, 60.0, 50.0]])},
        {"labels": torch.tensor([1]), "boxes": torch.tensor([[12.0, 20.0, 50.0, 40.0]])},
    ]  # fmt: skip
    seen = checks.beside(slopes, DualHeadDetector, detection_loss, x, targets)
    checks.equal(seen["frozen"], 0, "the number of frozen parameters")
    checks.equal(seen["one reaches backbone"], 0.0, "the share of the backbone that the one-to-one loss reaches", causes={
        "the one-to-one head reads features that are not detached": 1.0,
    })  # fmt: skip
    for pair, share in (
        ("many reaches backbone", 1.0),
        ("many reaches many", 1.0),
        ("many reaches one", 0.0),
        ("one reaches one", 1.0),
        ("one reaches many", 0.0),
    ):
        checks.equal(seen[pair], share, f"the share of parameters with a gradient: {pair}")


def loss_slopes(loss: Callable, out: dict, targets: list, topk: int) -> list:
    """Gradients of a loss for logits and boxes, and all that was given afterwards."""
    out = {name: value.clone().requires_grad_(name != "points") for name, value in out.items()}
    found = torch.autograd.grad(loss(out, targets, topk), (out["logits"], out["boxes"]), allow_unused=True)
    return [*found, [out["logits"], out["boxes"], out["points"]], targets]


def expected_loss(out: dict, targets: list, topk: int) -> torch.Tensor:
    """The loss with the assignment of the loops, so that its gradient is known."""
    classes, off, total = 0.0, 0.0, 0.0
    for logits, boxes, target in zip(out["logits"], out["boxes"], targets):
        plain = logits.detach().double().sigmoid(), boxes.detach().double()
        fg, index, score = assigned_by_loops(*plain, out["points"], target["labels"], target["boxes"], topk)
        wanted = (
            F.one_hot(target["labels"][index], logits.shape[1]) * (score * fg)[:, None]
            if len(target["labels"])
            else torch.zeros_like(logits)
        )
        classes = classes + (F.softplus(logits) - wanted * logits).sum()
        if fg.any():
            off = off + (score[fg] * generalized_box_iou_loss(boxes[fg], target["boxes"][index[fg]])).sum()
        total += score.sum().item()
    return (classes + 2.5 * off) / max(1.0, total)


with checks.step("the gradients of the loss, and what was given afterwards"):
    out, targets = made_up_out(5, 3, 14, 3, (2, 0, 3), torch.float64)
    logits, boxes, left, left_targets = checks.beside(loss_slopes, detection_loss, out, targets, 4)
    wanted = loss_slopes(expected_loss, out, targets, 4)
    for came, name in ((logits, "logits"), (boxes, "boxes")):
        checks.that(came is not None, f"a gradient reaches the {name}", came="none")
    checks.close(logits, wanted[0], "the gradient of the logits")
    checks.close(boxes, wanted[1], "the gradient of the boxes")
    for was, now in checks.each((out["logits"], out["boxes"], out["points"]), left):
        checks.equal(now, was, "a prediction afterwards")
    for was, now in checks.each(targets, left_targets):
        checks.equal(
            (now["labels"].tolist(), now["boxes"].tolist()),
            (was["labels"].tolist(), was["boxes"].tolist()),
            "a target afterwards",
        )


def doubled_and_away(make: Callable, x: torch.Tensor) -> list:
    """Dtypes of a float64 model's predictions, devices of those of a model elsewhere, parts by name, its default width."""
    torch.manual_seed(4)
    model = make(3, 8).eval()
    away = observe.devices_away(
        lambda model, x: list(model(x)["many"].values()) + list(model(x)["one"].values()), model, x.float()
    )
    out = model.double()(x)
    dtypes = [str(value.dtype) for head in out.values() for value in head.values()]
    return [
        dtypes,
        away,
        sorted(name for name, _ in model.named_children()),
        make(3).eval().backbone(torch.zeros(1, 3, 8, 8)).shape[1],
    ]


with checks.step("float64, another device, the parts"):
    dtypes, away, parts, features = checks.beside(
        doubled_and_away, DualHeadDetector, torch.rand(1, 3, 16, 24, dtype=torch.float64)
    )
    checks.equal(dtypes, ["torch.float64"] * 6, "the dtypes of the predictions of a model in float64")
    checks.equal(away, ["meta"] * 6, "the devices of the predictions")
    checks.equal(parts, ["backbone", "many", "one"], "the names of the parts")
    checks.equal(features, 64, "the number of features at the default width")


def first_weights(make: Callable) -> list:
    """Weights of a new model whose random numbers begin at 11, and those of the parts made in the order of the text."""
    torch.manual_seed(11)
    model = make(2, 8)
    torch.manual_seed(11)
    parts = [make_backbone(8), make_head(2, 8), make_head(2, 8)]
    names = ("backbone", "many", "one")
    return [
        all(torch.equal(a, b) for a, b in zip(getattr(model, name).parameters(), part.parameters(), strict=True))
        for name, part in zip(names, parts)
    ]


with checks.step("the parts are made by make_backbone and make_head, in this order"):
    checks.equal(
        checks.beside(first_weights, DualHeadDetector),
        [True] * 3,
        "whether backbone, many and one begin with these weights",
    )


def with_other_heads(make: Callable, loss: Callable, x: torch.Tensor) -> list:
    """A second call with another size of image after the first, and with another batch: the sizes of what comes."""
    torch.manual_seed(6)
    model = make(3, 8).eval()
    with torch.no_grad():
        return [list(model(images)["one"]["boxes"].shape) for images in (x, x[:, :, :, :8], x[:1])]


with checks.step("images of another size afterwards"):
    seen = checks.beside(with_other_heads, DualHeadDetector, detection_loss, torch.rand(2, 3, 16, 24))
    checks.equal(seen, [[2, 6, 4], [2, 2, 4], [1, 6, 4]], "the shapes of boxes of three calls")
### END HIDDEN TESTS


# %% given="export-probes" after="export-hints"
# what both tests of the exercise use
class TinyDetector(nn.Module):
    """Scores (B, 6, 2) and boxes (B, 6, 4) of images (B, 3, 8, 12), with a batch norm that has seen something."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.convolution, self.norm = nn.Conv2d(3, 6, 4, 4), nn.BatchNorm2d(6)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw))
            self.norm.running_mean.copy_(torch.randn(6, generator=draw))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self.norm(self.convolution(x)).flatten(2).transpose(1, 2)
        return numbers[..., :2].sigmoid(), 10 * numbers[..., 2:]


def image_batch(seed: int, size: int) -> torch.Tensor:
    return torch.rand(size, 3, 8, 12, generator=torch.Generator().manual_seed(seed))


def exported(
    export: Callable, module: nn.Module, example: torch.Tensor, batches: Sequence[torch.Tensor], as_text: bool = False
) -> dict:
    """What the file says, alone in a folder of its own, and whether module and example are as they were."""
    before, given = unchanged.state_of(module), example.clone()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        path = Path(folder, "some model.onnx")
        export(module, str(path) if as_text else path, example)
        alone = Path(shutil.copy(path, elsewhere))
        onnx.checker.check_model(onnx.load(alone))
        runtime = session_of(alone)
        runs = [runtime.run(None, {runtime.get_inputs()[0].name: x.numpy()}) for x in batches]
        names = [[one.name for one in ones] for ones in (runtime.get_inputs(), runtime.get_outputs())]
    return {
        "names": names, "runs": [[torch.from_numpy(value) for value in run] for run in runs],
        "as it was": unchanged.state_of(module) == before and torch.equal(example, given),
    }  # fmt: skip


def check_export(seen: Mapping, module: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Names, and the module's own numbers at every batch size."""
    checks.equal(seen["names"], [["images"], ["scores", "boxes"]], "the names of inputs and outputs")
    with torch.no_grad():
        for x, run in checks.each(batches, seen["runs"]):
            for wanted, came, name, atol in checks.each(module(x), run, ("scores", "boxes"), (1e-4, 1e-2)):
                checks.close(came, wanted, f"{name} from the file, batch {len(x)}", rtol=0, atol=atol)


def planted_file(parity: Callable, scores: torch.Tensor, boxes: torch.Tensor, swapped: bool = False) -> str:
    """An ONNX file, made without PyTorch, that gives these numbers for an image (1, 3, 8, 12), times its first pixel."""
    from onnx import TensorProto, helper, numpy_helper

    tensors = {"scores": scores.numpy(), "boxes": boxes.numpy()}
    place = helper.make_node("Constant", [], ["first"], value=numpy_helper.from_array(np.zeros(4, dtype=np.int64)))
    stop = helper.make_node(
        "Constant", [], ["last"], value=numpy_helper.from_array(np.array([2**31, 1, 1, 1], dtype=np.int64))
    )
    cut = helper.make_node("Slice", ["images", "first", "last"], ["pixel"])
    flat = helper.make_node("Squeeze", ["pixel", "axes"], ["factor"])
    axes = helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([3], dtype=np.int64)))
    times = [helper.make_node("Mul", [f"{name} constant", "factor"], [name]) for name in tensors]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape[1:]])
        for name, value in tensors.items()
    ]
    graph = helper.make_graph(
        [place, stop, axes, cut, flat, *times], "planted",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 12])], outputs[::-1] if swapped else outputs,
        [numpy_helper.from_array(value, f"{name} constant") for name, value in tensors.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    import atexit

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    onnx.save(model, Path(folder, "planted.onnx"))
    return str(Path(folder, "planted.onnx"))


class Fixed(nn.Module):
    """Scores and boxes that are these numbers times the first pixel of each image."""

    def __init__(self, scores: torch.Tensor, boxes: torch.Tensor) -> None:
        super().__init__()
        self.scores, self.boxes = nn.Parameter(scores), nn.Parameter(boxes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factor = x[:, 0, 0, 0][:, None, None]
        return self.scores * factor, self.boxes * factor


def check_parity(seed: int, sign: float, swapped: bool, batch: int, as_path: bool = False) -> None:
    """A file and a module that differ by what was planted, and are asked for a batch whose largest pixel is known."""
    randn = checks.normal(seed)
    scores, boxes, off_scores, off_boxes = randn(1, 6, 2), 10 * randn(1, 6, 4), 0.1 * randn(1, 6, 2), randn(1, 6, 4)
    off_scores[0, 0, 0], off_boxes[0, 0, 0] = sign, 8 * sign  # the largest ones
    path = checks.beside(planted_file, onnx_parity, scores + off_scores, boxes + off_boxes, swapped)
    x = 0.1 + randn(batch, 3, 8, 12).abs()
    came = onnx_parity(Path(path) if as_path else path, Fixed(scores, boxes).eval(), x)
    most = x[:, 0, 0, 0].abs().max()
    checks.that(
        isinstance(came, dict) and sorted(came) == ["boxes", "scores"],
        "a dict of scores and boxes",
        came=checks.describe(came),
    )
    for name, off in (("scores", off_scores), ("boxes", off_boxes)):
        checks.that(isinstance(came[name], float), f"{name}: a float", came=type(came[name]).__name__)
        first = off.abs().max() * x[0, 0, 0, 0].abs()
        checks.close(torch.tensor(came[name]), off.abs().max() * most, f"the largest difference of {name}", rtol=1e-3, causes={
            "this is the mean difference": (off * x[:, :1, 0, :1].mean(dim=2, keepdim=True)).abs().mean(),
            "only the first image was looked at": first,
            "the sign was kept: a file that is too low has a difference, too": (off * x[:, 0, 0, 0][:, None, None]).max(),
        })  # fmt: skip


# %% test="export" points=4
with checks.step("a small module, at batch 1, 2 and 7"):
    seed = checks.fresh_seed()
    module, batches = TinyDetector(seed).eval(), [image_batch(seed + size, size) for size in (1, 2, 7)]
    seen = checks.beside(exported, export_onnx, module, image_batch(seed, 2), batches)
    check_export(seen, module, batches)

with checks.step("the parity of a file with a planted error"):
    check_parity(checks.fresh_seed(), -1.0, swapped=False, batch=1)

with checks.step("a module in training mode"):
    checks.raises(
        ValueError, export_onnx, TinyDetector(0).train(), "no folder/no.onnx", image_batch(0, 2), name="export_onnx"
    )

# %% test="export" points=4
with checks.step("the parity of a file with a planted error, for images that are new in every run"):
    check_parity(checks.fresh_seed(), 1.0, swapped=False, batch=3)

### BEGIN HIDDEN TESTS
for seed, size in ((0, 1), (1, 3), (7, 2)):
    with checks.step(f"an example with a batch of {size}"):
        module, batches = TinyDetector(seed).eval(), [image_batch(seed + k, k) for k in (1, 2, 7)]
        seen = checks.beside(exported, export_onnx, module, image_batch(20, size), batches, seed == 1)
        check_export(seen, module, batches)
        checks.that(seen["as it was"], "module and example are as they were", came="something changed")

with checks.step("outputs in another order, a batch of 5, and a Path"):
    for seed in (0, 1, 7):
        check_parity(seed, (-1.0) ** seed, swapped=True, batch=5, as_path=seed == 1)


def half_in_training(fn: Callable, seed: int, first: str) -> list:
    """What happens with a module in eval mode that has one part in training mode; whether there is a file then."""
    module = TinyDetector(seed).eval()
    module.norm.train()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.onnx")
        raised = ""
        try:
            fn(module, path, image_batch(0, 2)) if first == "module" else fn(path, module, image_batch(0, 2))
        except Exception as error:
            raised = "ValueError" if isinstance(error, ValueError) else type(error).__name__
        return [raised, path.exists(), module.training, module.norm.training]


with checks.step("one part in training mode"):
    for fn, first in ((export_onnx, "module"), (onnx_parity, "path")):
        raised, exists, *modes = checks.beside(half_in_training, fn, 3, first)
        checks.equal(raised, "ValueError", "the error")
        checks.equal(exists, False, "whether there is a file afterwards")
        checks.equal(modes, [False, True], "the modes of the module and of its part afterwards")


def parity_beside(parity: Callable, path: str, x: torch.Tensor) -> list:
    """Whether a module and the images are as they were after a parity check, and gradients are still on."""
    module = Fixed(torch.ones(1, 6, 2), torch.ones(1, 6, 4)).eval()
    before, given = unchanged.state_of(module), x.clone()
    parity(path, module, x)
    return [unchanged.state_of(module) == before, torch.equal(x, given), torch.is_grad_enabled()]


with checks.step("the module after a parity check"):
    path = checks.beside(planted_file, onnx_parity, torch.ones(1, 6, 2), torch.ones(1, 6, 4))
    checks.equal(
        checks.beside(parity_beside, onnx_parity, path, image_batch(1, 3)),
        [True] * 3,
        "module, images, and gradient mode as they were",
    )
### END HIDDEN TESTS


# %% test="sheet" points=6
def row_of(name: str, latencies: Sequence[float], warmup: int = 0, batch: int = 1, score: float = 0.5) -> dict:
    return {"name": name, "latencies_ms": list(latencies), "warmup": warmup, "batch": batch, "map": score}


with checks.step("the keys, and a row by hand: 100, 100, 1, 2, 3, 4 ms, of which two are warm-up"):
    sheet = perf_sheet([row_of("pytorch", [100.0, 100.0, 1.0, 2.0, 3.0, 4.0], warmup=2, batch=2)], 10.0, 1.0)
    checks.that(isinstance(sheet, list) and len(sheet) == 1, "a line for each row", came=checks.describe(sheet))
    keys = ["name", "p50_ms", "p95_ms", "p99_ms", "images_per_s", "map_delta_points", "verdict"]
    checks.equal(sorted(sheet[0]), sorted(keys), "the keys")
    checks.close(torch.tensor(sheet[0]["p50_ms"]), torch.tensor(2.5), "p50_ms", causes={
        "the warm-up was counted": torch.tensor(3.5),
        "warm-up was taken off the end": torch.tensor(51.0),
        "this is the upper of the two middle samples; percentiles interpolate": torch.tensor(3.0),
    })  # fmt: skip
    checks.close(torch.tensor(sheet[0]["p95_ms"]), torch.tensor(3.85), "p95_ms", causes={
        "this is a sample itself, as sorted[int(0.95 * n)] gives it; percentiles interpolate": torch.tensor(4.0),
    })  # fmt: skip
    checks.close(torch.tensor(sheet[0]["images_per_s"]), torch.tensor(800.0), "images_per_s: 8 images in 10 ms", causes={
        "the batch was not counted": torch.tensor(400.0),
        "this is the mean of the speeds of single calls": torch.tensor(500 * (1 + 1 / 2 + 1 / 3 + 1 / 4)),
        "this is images per millisecond": torch.tensor(0.8),
    })  # fmt: skip
    checks.equal((sheet[0]["name"], sheet[0]["verdict"]), ("pytorch", "pass"), "name and verdict")

with checks.step("skewed samples that are new in every run"):
    draw = np.random.default_rng(checks.fresh_seed())
    times, extra = (draw.gamma(2, 3.0, 20) ** 2).tolist(), draw.uniform(0.3, 0.7)
    rows = [row_of("a", times, warmup=3, score=extra), row_of("pytorch", times[:9], batch=4, score=0.4)]
    sheet = perf_sheet(copy.deepcopy(rows), 1e9, 1e9)
    for row, line in checks.each(rows, sheet):
        counted = row["latencies_ms"][row["warmup"] :]
        for name, percent in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
            wanted = torch.tensor(float(np.percentile(counted, percent)))
            checks.close(
                torch.tensor(line[name]),
                wanted,
                name,
                causes={"this is the mean": torch.tensor(float(np.mean(counted)))},
            )
        speed = row["batch"] * len(counted) / (sum(counted) / 1000)
        checks.close(torch.tensor(line["images_per_s"]), torch.tensor(speed), "images_per_s", causes={
            "this rests on the median; all of the time counts": torch.tensor(1000 * row["batch"] / float(np.median(counted))),
            "this is the mean of the speeds of single calls": torch.tensor(float(np.mean(1000 * row["batch"] / np.array(counted)))),
        })  # fmt: skip
    checks.close(torch.tensor(sheet[0]["map_delta_points"]), torch.tensor(100 * (extra - 0.4)), "map_delta_points", causes={
        "this is in shares; points are hundredths": torch.tensor(extra - 0.4),
        "this is relative to PyTorch; points are a difference": torch.tensor(100 * (extra - 0.4) / 0.4),
        "the sign is wrong: worse than PyTorch is below 0": torch.tensor(100 * (0.4 - extra)),
    })  # fmt: skip

with checks.step("verdicts"):
    fast, slow = [1.0] * 10, [30.0] * 10
    rows = [
        row_of("pytorch", slow),
        row_of("fast", fast),
        row_of("wrong", fast, score=0.45),
        row_of("both", slow, score=0.4),
    ]
    came = [line["verdict"] for line in perf_sheet(rows, 20.0, 2.0)]
    checks.equal(came, ["slow", "pass", "inaccurate", "inaccurate"], "the verdicts")

with checks.step("no row called pytorch, and two"):
    for names in (("a", "b"), ("pytorch", "pytorch")):
        checks.raises(ValueError, perf_sheet, [row_of(name, fast) for name in names], 20.0, 2.0, name=f"rows {names}")

### BEGIN HIDDEN TESTS
for seed in (0, 1, 7):
    with checks.step("random rows"):
        draw = np.random.default_rng(seed)
        rows = [
            row_of(name, draw.gamma(2, 3.0, n).tolist(), warmup=k, batch=b, score=float(draw.uniform()))
            for name, n, k, b in (("x", 7, 3, 8), ("pytorch", 31, 0, 1), ("y", 100, 20, 2), ("z", 1, 0, 3))
        ]
        reference = rows[1]["map"]
        for row, line in checks.each(rows, perf_sheet(copy.deepcopy(rows), 9.0, 20.0)):
            counted = row["latencies_ms"][row["warmup"] :]
            delta = 100 * (row["map"] - reference)
            for name, percent in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
                checks.close(torch.tensor(line[name]), torch.tensor(float(np.percentile(counted, percent))), name)
            checks.close(
                torch.tensor(line["images_per_s"]),
                torch.tensor(1000 * row["batch"] * len(counted) / sum(counted)),
                "images_per_s",
            )
            checks.close(torch.tensor(line["map_delta_points"]), torch.tensor(delta), "map_delta_points")
            verdict = "inaccurate" if delta < -20 else "slow" if np.percentile(counted, 95) > 9 else "pass"
            checks.equal((line["name"], line["verdict"]), (row["name"], verdict), "name and verdict")

with checks.step("exactly on both limits"):
    rows = [row_of("pytorch", [20.0] * 5, score=0.5), row_of("edge", [20.0] * 5, score=0.25)]
    came = [line["verdict"] for line in perf_sheet(rows, 20.0, 25.0)]
    checks.equal(came, ["pass", "pass"], "the verdicts", causes={
        "what lies on a limit passes": lambda: came != ["pass", "pass"],
    })  # fmt: skip

with checks.step("better than PyTorch by more than may be lost"):
    rows = [row_of("pytorch", fast, score=0.2), row_of("better", fast, score=0.9)]
    checks.equal([line["verdict"] for line in perf_sheet(rows, 20.0, 1.0)], ["pass", "pass"], "the verdicts", causes={
        "a gain counts as a loss": lambda: True,
    })  # fmt: skip

with checks.step("a slow row is told by p95, not by p50 or p99"):
    rows = [row_of("pytorch", [1.0] * 97 + [500.0] * 3), row_of("tail", [1.0] * 90 + [500.0] * 10)]
    checks.equal([line["verdict"] for line in perf_sheet(rows, 20.0, 1.0)], ["pass", "slow"], "the verdicts")

with checks.step("nothing beyond the warm-up"):
    for times, warmup in (([], 0), ([1.0, 2.0], 2), ([1.0, 2.0], 5)):
        rows = [row_of("pytorch", fast), row_of("short", times, warmup=warmup)]
        checks.raises(ValueError, perf_sheet, rows, 20.0, 1.0, name=f"{len(times)} samples, warmup {warmup}")
    checks.raises(ValueError, perf_sheet, [], 20.0, 1.0, name="no rows")


def rows_after(fn: Callable, rows: list) -> list:
    """The rows after a call, and the types of what it gave."""
    sheet = fn(rows, 20.0, 1.0)
    types = sorted(
        {type(value).__name__ for line in sheet for name, value in line.items() if name not in ("name", "verdict")}
    )
    try:
        json.dumps(sheet)
    except TypeError:
        types.append("not for JSON")
    return [rows, types]


with checks.step("the rows afterwards, and plain numbers"):
    rows = [row_of("pytorch", [3.0, 1.0, 2.0], warmup=1)]
    left, types = checks.beside(rows_after, perf_sheet, rows)
    checks.equal(left, [row_of("pytorch", [3.0, 1.0, 2.0], warmup=1)], "the rows that were given")
    checks.that("not for JSON" not in types, "the sheet can be written as JSON", came=f"{types}")
### END HIDDEN TESTS


# %% given="triton-probes" after="triton-hints"
# what the test of the exercise uses
def new_folder(beside: Callable) -> str:
    """A folder that goes with the process."""
    import atexit

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def put_files(beside: Callable, root: str, files: Mapping[str, str]) -> str:
    """Write files below a folder; a name that ends in / is a folder without any."""
    for name, text in files.items():
        path = Path(root, name)
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text, encoding="utf-8")
    return root


def get_files(beside: Callable, root: str) -> dict:
    """All files below a folder, by their names."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(Path(root).rglob("*"))
        if path.is_file()
    }


def config_text(name: str, platform: str, batch: int, inputs: Mapping, outputs: Mapping) -> str:
    """A configuration, with dims as they are given."""
    tensors = [
        [
            f'  {{ name: "{key}" data_type: {kind} dims: [ {", ".join(map(str, dims))} ] }}'
            for key, (kind, dims) in group.items()
        ]
        for group in (inputs, outputs)
    ]
    body = [f"{word} [\n" + ",\n".join(rows) + "\n]" for word, rows in zip(("input", "output"), tensors)]
    return "\n".join([f'name: "{name}"', f'platform: "{platform}"', f"max_batch_size: {batch}", *body]) + "\n"


def parsed(text: str) -> dict:
    """A small parser for protobuf's text: names to values, groups to lists of dicts."""
    strange = re.sub(r'"[^"]*"|[\w.+-]+|[{}\[\]:,;]|\s|#.*', "", text)
    checks.equal(strange, "", "characters that stand in no configuration")
    tokens = re.findall(r'"[^"]*"|[\w.+-]+|[{}\[\]:,]', re.sub(r"#.*", "", text))

    def value() -> object:
        token = tokens.pop(0)
        if token == "{":
            return group("}")
        if token == "[":
            found = []
            while tokens[0] != "]":
                found.append(value())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return found
        return token[1:-1] if token[0] == '"' else int(token) if re.fullmatch(r"-?\d+", token) else token

    def group(end: str) -> dict:
        found: dict = {}
        while tokens and tokens[0] != end:
            name = tokens.pop(0)
            if tokens[0] == ":":
                tokens.pop(0)
            came = value()
            if isinstance(came, list) or name in ("input", "output", "dims"):
                found.setdefault(name, []).extend(came if isinstance(came, list) else [came])
            else:
                found[name] = came
            if tokens and tokens[0] == ",":
                tokens.pop(0)
        if tokens:
            tokens.pop(0)
        return found

    return group("")


def words_in(faults: object) -> list:
    """The words of faults, each once."""
    checks.that(
        isinstance(faults, list) and all(isinstance(one, str) for one in faults),
        "a list of strings",
        came=checks.describe(faults),
    )
    return sorted({one.partition(":")[0] for one in faults})


GOOD = {
    "name": "net", "platform": "onnxruntime_onnx", "batch": 8,
    "inputs": {"images": ("TYPE_FP32", (3, 64, 48))}, "outputs": {"scores": ("TYPE_FP32", (40, 3)), "boxes": ("TYPE_FP16", (40, 4))},
}  # fmt: skip
PLANTED = {
    "name": ({"name": "other"}, {"net/1/model.onnx": ""}),
    "platform": ({"platform": "onnx"}, {"net/1/model.onnx": ""}),
    "version": ({}, {"net/v1/model.onnx": ""}),
    "artifact": ({"platform": "tensorrt_plan"}, {"net/1/model.onnx": ""}),
    "data_type": ({"inputs": {"images": ("TYPE_FLOAT32", (3, 64, 48))}}, {"net/1/model.onnx": ""}),
    "dims": ({"inputs": {"images": ("TYPE_FP32", (-1, 3, 64, 48))}}, {"net/1/model.onnx": ""}),
}


def faults_of(files: Mapping[str, str]) -> list:
    """The words that the validator says of a repository with these files."""
    root = checks.beside(
        put_files, validate_triton_repository, checks.beside(new_folder, validate_triton_repository), dict(files)
    )
    return words_in(validate_triton_repository(root))


def written(
    model: str, version: int, platform: str, batch: int, inputs: Mapping, outputs: Mapping, content: str = "a model"
) -> dict:
    """The files that the writer makes."""
    folder = checks.beside(new_folder, write_triton_repository)
    checks.beside(put_files, write_triton_repository, folder, {"source.bin": content})
    write_triton_repository(
        str(Path(folder, "deep", "root")),
        model,
        version,
        str(Path(folder, "source.bin")),
        platform,
        batch,
        inputs,
        outputs,
    )
    files = checks.beside(get_files, write_triton_repository, folder)
    checks.equal(files.pop("source.bin", None), content, "the model's file after it was copied")
    return files


def check_written(
    files: Mapping, model: str, version: int, platform: str, batch: int, inputs: Mapping, outputs: Mapping, content: str
) -> None:
    """Which files there are, and what the configuration says to an independent parser."""
    artifact = {"onnxruntime_onnx": "model.onnx", "tensorrt_plan": "model.plan"}[platform]
    place = f"deep/root/{model}"
    checks.equal(sorted(files), sorted([f"{place}/config.pbtxt", f"{place}/{version}/{artifact}"]), "the files")
    checks.equal(files[f"{place}/{version}/{artifact}"], content, "the content of the model's file")
    config = parsed(files[f"{place}/config.pbtxt"])
    for name, wanted in (("name", model), ("platform", platform), ("max_batch_size", batch)):
        checks.equal(config.get(name), wanted, name)
    for word, tensors in (("input", inputs), ("output", outputs)):
        rows = config.get(word, [])
        checks.equal([row.get("name") for row in rows], list(tensors), f"the names of {word}")
        for row, (kind, shape) in zip(rows, tensors.values()):
            dims, whole = list(shape[1:] if batch > 0 else shape), list(shape)
            checks.equal(row.get("data_type"), kind, f"{word} {row['name']}: data_type")
            checks.equal(row.get("dims"), dims, f"{word} {row['name']}: dims", causes={
                "the batch axis stands in dims; Triton adds one": whole if batch > 0 else [],
                "the first size was left out; without batching dims are the whole shape": whole[1:] if batch == 0 else [],
            })  # fmt: skip


# %% test="triton" points=8
with checks.step("a repository whose sizes are new in every run"):
    draw = np.random.default_rng(checks.fresh_seed())
    sizes = draw.integers(8, 200, 4).tolist()
    model, version, content = f"net{sizes[0]}", sizes[1], f"weights {sizes}"
    shapes = (
        {"images": ("TYPE_FP32", (-1, 3, sizes[2], sizes[3]))},
        {"scores": ("TYPE_FP16", (-1, 40, 3)), "boxes": ("TYPE_FP32", (-1, 40, 4))},
    )
    asked = (model, version, "onnxruntime_onnx", sizes[0], *shapes)
    check_written(written(*asked, content), *asked, content)

with checks.step("a sound repository has no faults"):
    checks.equal(faults_of({"net/config.pbtxt": config_text(*GOOD.values()), "net/1/model.onnx": ""}), [], "the faults")

for word, (change, files) in PLANTED.items():
    with checks.step(f"a repository with one fault: {word}"):
        checks.equal(
            faults_of({"net/config.pbtxt": config_text(*(GOOD | change).values()), **files}),
            [word],
            "the words of the faults",
        )

with checks.step("a folder without a configuration"):
    checks.equal(faults_of({"net/1/model.onnx": ""}), ["config"], "the words of the faults")

with checks.step("an unknown platform, and version 0"):
    for version, platform in ((1, "onnx"), (0, "tensorrt_plan")):
        checks.raises(
            ValueError,
            write_triton_repository,
            "nowhere",
            "net",
            version,
            "no file",
            platform,
            8,
            *shapes,
            name=f"{platform}, version {version}",
        )

### BEGIN HIDDEN TESTS
for model, version, platform, batch, inputs, outputs in (
    ("detector", 1, "tensorrt_plan", 16, {"x": ("TYPE_FP16", (-1, 3, 32, 40))}, {"y": ("TYPE_INT64", (-1, 7))}),
    (
        "a-b_c",
        12,
        "onnxruntime_onnx",
        0,
        {"x": ("TYPE_UINT8", (1, 3, 32, 40)), "k": ("TYPE_INT32", (1, 2))},
        {"y": ("TYPE_FP32", (-1, 7))},
    ),
    (
        "one",
        3,
        "onnxruntime_onnx",
        1,
        {"x": ("TYPE_BOOL", (-1, 5))},
        {"y": ("TYPE_FP64", (-1, 7)), "z": ("TYPE_INT8", (-1, 2, 9))},
    ),
):
    with checks.step(f"{model}, {platform}, max_batch_size {batch}"):
        asked = (model, version, platform, batch, inputs, outputs)
        check_written(written(*asked, f"content of {model}"), *asked, f"content of {model}")

with checks.step("the same version once more: files are replaced"):
    folder = checks.beside(new_folder, write_triton_repository)
    for content, kind in (("first and longer", "TYPE_FP32"), ("second", "TYPE_FP16")):
        checks.beside(put_files, write_triton_repository, folder, {"source.bin": content})
        tensors = {"x": (kind, (-1, 3, 5))}
        write_triton_repository(
            str(Path(folder, "deep", "root")),
            "net",
            2,
            str(Path(folder, "source.bin")),
            "tensorrt_plan",
            4,
            tensors,
            tensors,
        )
    files = checks.beside(get_files, write_triton_repository, folder)
    files.pop("source.bin")
    check_written(files, "net", 2, "tensorrt_plan", 4, tensors, tensors, "second")

with checks.step("two models in one root, and what the validator says of them"):
    folder = checks.beside(new_folder, write_triton_repository)
    checks.beside(put_files, write_triton_repository, folder, {"source.bin": "abc"})
    for model, version, platform in (
        ("first", 1, "onnxruntime_onnx"),
        ("second", 4, "tensorrt_plan"),
        ("second", 5, "tensorrt_plan"),
    ):
        write_triton_repository(
            str(Path(folder, "root")), model, version, str(Path(folder, "source.bin")), platform, 4, *shapes
        )
    files = checks.beside(get_files, write_triton_repository, folder)
    wanted = [
        "first/1/model.onnx",
        "first/config.pbtxt",
        "second/4/model.plan",
        "second/5/model.plan",
        "second/config.pbtxt",
    ]
    checks.equal(sorted(files), sorted([f"root/{name}" for name in wanted] + ["source.bin"]), "the files")
    checks.equal(words_in(validate_triton_repository(str(Path(folder, "root")))), [], "the faults")

SOUND = config_text(*GOOD.values())
for name, files, words in (
    ("no version folder", {"net/config.pbtxt": SOUND}, ["version"]),
    ("version 0", {"net/config.pbtxt": SOUND, "net/0/model.onnx": ""}, ["version"]),
    ("a leading zero", {"net/config.pbtxt": SOUND, "net/01/model.onnx": ""}, ["version"]),
    ("a version and another folder", {"net/config.pbtxt": SOUND, "net/2/model.onnx": "", "net/old/": ""}, ["version"]),
    ("the second version lacks its file", {"net/config.pbtxt": SOUND, "net/1/model.onnx": "", "net/10/": ""}, ["artifact"]),
    ("a file beside the versions", {"net/config.pbtxt": SOUND, "net/1/model.onnx": "", "net/labels.txt": "a"}, []),
    ("a file beside the models", {"net/config.pbtxt": SOUND, "net/1/model.onnx": "", "README.md": "a"}, []),
    ("an empty configuration", {"net/config.pbtxt": "", "net/1/model.onnx": ""}, ["config"]),
    ("two models, the second without a name", {
        "net/config.pbtxt": SOUND, "net/1/model.onnx": "",
        "pet/config.pbtxt": SOUND.replace('name: "net"\n', "", 1), "pet/v7/model.onnx": ""}, ["config"]),
    ("several faults", {
        "net/config.pbtxt": config_text(*(GOOD | {"name": "pet", "outputs": {"y": ("FP32", (0, 2))}}).values()), "net/1/": ""},
        ["artifact", "data_type", "dims", "name"]),
    ("an unknown platform without a file", {"net/config.pbtxt": config_text(*(GOOD | {"platform": "x"}).values()), "net/1/": ""}, ["platform"]),
    ("an empty root", {}, []),
):  # fmt: skip
    with checks.step(f"a repository: {name}"):
        checks.equal(faults_of(files), words, "the words of the faults")

for word in ("name", "platform", "max_batch_size", "input", "output"):
    with checks.step(f"a configuration without {word}"):
        text = re.sub(rf"^{word} \[.*?^\]\n|^{word}:.*?\n", "", SOUND, flags=re.MULTILINE | re.DOTALL)
        checks.equal(
            faults_of({"net/config.pbtxt": text, "net/1/model.onnx": ""}), ["config"], "the words of the faults"
        )

for kind, batch, dims, words in (
    ("TYPE_INT64", 8, (3, 2), []),
    ("TYPE_STRINGS", 8, (3, 2), ["data_type"]),
    ("type_fp32", 8, (3, 2), ["data_type"]),
    ("TYPE_FP32", 0, (-1, 3), []),
    ("TYPE_FP32", 0, (-2, 3), ["dims"]),
    ("TYPE_FP32", 0, (0, 3), ["dims"]),
    ("TYPE_FP32", 1, (3, -1), ["dims"]),
    ("TYPE_FP32", 1, (1, 3), []),
    ("TYPE_FP32", 2, (3, 0), ["dims"]),
    ("TYPE_BOOL", 2, (7,), []),
    ("TYPE_FP32", 0, (), []),
    ("TYPE_FP32", 8, (), []),
    ("TYPE_FP32", 4, (5, -3), ["dims"]),
):
    for where in ("inputs", "outputs"):
        with checks.step(f"{where}: {kind}, {dims}, max_batch_size {batch}"):
            text = config_text(
                *(GOOD | {"batch": batch, where: {"sound": ("TYPE_FP32", (2, 2)), "other": (kind, dims)}}).values()
            )
            checks.equal(
                faults_of({"net/config.pbtxt": text, "net/1/model.onnx": ""}), words, "the words of the faults"
            )


def nothing_made(write: Callable, version: int, platform: str) -> list:
    """The files and folders below an empty folder after a call that ends in an error."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "source").write_text("x", encoding="utf-8")
        with contextlib.suppress(ValueError):
            write(
                Path(folder, "root"),
                "net",
                version,
                Path(folder, "source"),
                platform,
                8,
                {"x": ("TYPE_FP32", (-1, 3))},
                {"y": ("TYPE_FP32", (-1, 3))},
            )
        return [path.name for path in Path(folder).iterdir()]


with checks.step("a wrong platform or version leaves nothing behind"):
    for version, platform in ((0, "tensorrt_plan"), (-3, "onnxruntime_onnx"), (1, "pytorch_libtorch")):
        checks.equal(
            checks.beside(nothing_made, write_triton_repository, version, platform), ["source"], "what there is"
        )


def shapes_after(write: Callable, inputs: dict, outputs: dict) -> list:
    """The shapes that were given, after a call with lists."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "source").write_text("x", encoding="utf-8")
        write(Path(folder), "net", 1, Path(folder, "source"), "tensorrt_plan", 8, inputs, outputs)
    return [inputs["x"][1], outputs["y"][1]]


with checks.step("the shapes that were given, and paths"):
    seen = checks.beside(
        shapes_after, write_triton_repository, {"x": ("TYPE_FP32", [-1, 3, 5])}, {"y": ("TYPE_FP32", [-1, 7])}
    )
    checks.equal(seen, [[-1, 3, 5], [-1, 7]], "the shapes")
### END HIDDEN TESTS
