# %% test="boxes" points=6 forbids="torchvision.ops.box_convert"
with checks.step("a box of width 4 and height 3 around (3.5, 2)"):
    center, corners = torch.tensor([[3.5, 2.0, 4.0, 3.0]]), torch.tensor([[1.5, 0.5, 5.5, 3.5]])
    checks.close(box_cxcywh_to_xyxy(center.clone()), corners, "the corners", causes={
        "the center was taken for the upper left corner": torch.tensor([[3.5, 2.0, 7.5, 5.0]]),
        "the whole size was taken off and added; half of it lies on each side": torch.tensor([[-0.5, -1.0, 7.5, 5.0]]),
        "width and height are swapped": torch.tensor([[2.0, 0.0, 5.0, 4.0]]),
    })  # fmt: skip
    checks.close(box_xyxy_to_cxcywh(corners.clone()), center, "center and size", causes={
        "the first two numbers are still the upper left corner": torch.tensor([[1.5, 0.5, 4.0, 3.0]]),
        "the size has a +1: that is how pixels were counted, not how lengths are": torch.tensor([[3.5, 2.0, 5.0, 4.0]]),
        "the last two numbers are still the lower right corner": torch.tensor([[3.5, 2.0, 5.5, 3.5]]),
        "the first two numbers are the lower right corner": torch.tensor([[5.5, 3.5, 4.0, 3.0]]),
    })  # fmt: skip

with checks.step("the unit box"):
    came = box_cxcywh_to_xyxy(torch.tensor([[0.5, 0.5, 1.0, 1.0]]))
    checks.close(came, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), "the corners")
    came = box_xyxy_to_cxcywh(torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    checks.close(came, torch.tensor([[0.5, 0.5, 1.0, 1.0]]), "center and size")

with checks.step("what is not a box"):
    for size in ((2, 3), (5,), (4, 3), (0, 8)):
        for fn, name in ((box_cxcywh_to_xyxy, "box_cxcywh_to_xyxy"), (box_xyxy_to_cxcywh, "box_xyxy_to_cxcywh")):
            checks.raises(ValueError, fn, torch.ones(size), name=f"{name} of shape {size}")

### BEGIN HIDDEN TESTS
BOTH = ((box_cxcywh_to_xyxy, "cxcywh", "xyxy"), (box_xyxy_to_cxcywh, "xyxy", "cxcywh"))
for fn, one, other in BOTH:
    for seed in (0, 1, 7):
        for leading in ((), (0,), (1,), (2, 5), (3, 1, 2)):
            with checks.step(f"{one} to {other}, against torchvision's box_convert, shape {(*leading, 4)}"):
                b = checks.normal(seed)(*leading, 4)
                wanted = box_convert(b, one, other)
                checks.close(fn(b), wanted)
    with checks.step(f"{one} to {other} in float64 and float16"):
        for dtype in (torch.float64, torch.float16):
            b = checks.normal(5)(3, 4).to(dtype)
            wanted = box_convert(b, one, other)
            checks.close(fn(b), wanted, f"the result in {dtype}", rtol=1e-3, atol=1e-3)
    with checks.step(f"{one} to {other}: the argument afterwards"):
        b = checks.normal(6)(2, 3, 4)
        (after,) = checks.beside(observe.arguments_after, fn, b)
        checks.equal(after, b, "the boxes that were given", causes={"they were changed in place": lambda: True})
    with checks.step(f"{one} to {other}: the gradient"):
        b = checks.normal(8)(2, 4).requires_grad_()
        (came,) = checks.beside(observe.gradients, fn, b)
        checks.that(came is not None, "a gradient reaches the boxes", came="none")
        (wanted,) = observe.gradients(lambda x, one=one, other=other: box_convert(x, one, other), b)
        checks.close(came, wanted, "the gradient of the boxes")
    with checks.step(f"{one} to {other}: boxes on another device"):
        checks.equal(checks.beside(observe.devices_away, fn, torch.ones(2, 4)), ["meta"], "the device of the result")
    with checks.step(f"{one} to {other}: built from basic operations"):
        checks.forbidden(FORBIDDEN, fn, torch.ones(2, 4))

with checks.step("there and back"):
    b = checks.normal(9, torch.float64)(4, 2, 4)
    checks.close(box_xyxy_to_cxcywh(box_cxcywh_to_xyxy(b)), b, "the boxes after both conversions")
### END HIDDEN TESTS


# %% test="giou" points=5
with checks.step("a box and itself"):
    box = torch.tensor([[1.0, 2.0, 4.0, 3.0]])
    result = pairwise_giou(box, box)
    checks.that(isinstance(result, tuple) and len(result) == 2, "two tensors come back", came=checks.describe(result))
    checks.close(result[0], torch.ones(1, 1), "iou", causes={
        "the intersection is counted twice in the union": lambda: (
            checks.near(result[0], torch.full((1, 1), 0.5))
            and checks.near(
                pairwise_giou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.5, 0.0, 1.5, 3.0]]))[0],
                torch.full((1, 1), 2 / 7),  # 2 of 4 + 3
            )
        ),
    })  # fmt: skip
    checks.close(result[1], torch.ones(1, 1), "giou")

with checks.step(
    "a box of 3 x 2 with its twin, a gap d apart that is new in every run, and with one that overlaps its corner"
):
    d = 0.2 + checks.normal(checks.fresh_seed())(1).abs().clamp(max=3).item()
    iou, giou = pairwise_giou(
        torch.tensor([[0.0, 0.0, 3.0, 2.0]]), torch.tensor([[3 + d, 0.0, 6 + d, 2.0], [2.0, 1.0, 5.0, 3.0]])
    )
    checks.close(iou, torch.tensor([[0.0, 1 / 11]]), "iou: 0, and 1 of 11", causes={
        "rows and columns are swapped": torch.tensor([[0.0], [1 / 11]]),
    })  # fmt: skip
    # of the twin: hull 2 (6 + d), union 12; of the other: hull 15, union 11
    checks.close(giou, torch.tensor([[-d / (6 + d), 1 / 11 - 4 / 15]]), "giou: -d / (6 + d), and 1 / 11 - 4 / 15", causes={
        "what the hull has too much was not divided by the hull": torch.tensor([[-2 * d, 1 / 11 - 4]]),
        "it was divided by the union": torch.tensor([[-d / 6, 1 / 11 - 4 / 11]]),
        "this is IoU: nothing was taken off": torch.tensor([[0.0, 1 / 11]]),
        "hull - intersection was taken off, not hull - union": torch.tensor([[-1.0, 1 / 11 - 14 / 15]]),
    })  # fmt: skip

with checks.step("two unit squares that overlap by a width that is new in every run"):
    s = 0.2 + 0.6 * torch.rand((), generator=torch.Generator().manual_seed(checks.fresh_seed())).item()
    iou, giou = pairwise_giou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[1 - s, 0.0, 2 - s, 1.0]]))
    checks.close(iou, torch.tensor([[s / (2 - s)]]), "iou, s / (2 - s)")
    checks.close(giou, torch.tensor([[s / (2 - s)]]), "giou, the same here: the hull is the union")

with checks.step("two squares of side 2, corner to corner with a gap"):
    iou, giou = pairwise_giou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[3.0, 3.0, 5.0, 5.0]]))
    checks.close(iou, torch.zeros(1, 1), "iou", causes={
        "two negative sides have a positive product: clamp each side at 0, not the area": torch.full((1, 1), 1 / 7),
    })  # fmt: skip
    checks.close(giou, torch.full((1, 1), -17 / 25), "giou: hull 25, union 8")

with checks.step("two boxes with three"):
    a = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]])
    b = torch.tensor([[0.0, 0.0, 2.0, 1.0], [1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    iou, _ = pairwise_giou(a, b)
    checks.close(iou, torch.tensor([[0.5, 0.0, 0.25], [0.5, 0.25, 1.0]]), "iou")

with checks.step("corners in the wrong order"):
    good = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    for bad in ([[1.0, 0.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]):
        checks.raises(ValueError, pairwise_giou, torch.tensor(bad), good, name=f"a = {bad}")
        checks.raises(ValueError, pairwise_giou, good, torch.tensor(bad), name=f"b = {bad}")


# %% test="giou" points=7 forbids="torchvision.ops.generalized_box_iou, torchvision.ops.box_iou"
def some_boxes(seed: int, n: int, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> torch.Tensor:
    """n boxes xyxy at random, also with negative coordinates."""
    randn = checks.normal(seed, dtype)
    first, sides = randn(n, 2), 0.1 + randn(n, 2).abs()
    return scale * torch.cat([first, first + sides], dim=1)


with checks.step("against torchvision, on boxes that are new in every run"):
    seed = checks.fresh_seed()
    a, b = some_boxes(seed, 6), some_boxes(seed + 1, 4)
    iou, giou = pairwise_giou(a.clone(), b.clone())
    checks.close(iou, torchvision.ops.box_iou(a, b), "iou")
    checks.close(giou, generalized_box_iou(a, b), "giou")


### BEGIN HIDDEN TESTS
def by_hand(a: Sequence[float], b: Sequence[float], divisor: Callable[[float], float]) -> tuple[float, float]:
    """IoU and GIoU of two boxes, number by number; `divisor` makes an area one that divides."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    iou = width * height / divisor(union)
    return iou, iou - (hull - union) / divisor(hull)


for seed in (0, 1, 7):
    for n, m in ((5, 3), (1, 7), (6, 1), (0, 4), (4, 0), (0, 0)):
        for dtype, scale in ((torch.float32, 1.0), (torch.float64, 300.0)):
            with checks.step(f"{n} boxes with {m}, {dtype}, coordinates of size {scale:g}, against torchvision"):
                a, b = some_boxes(seed, n, dtype, scale), some_boxes(seed + 50, m, dtype, scale)
                iou, giou = pairwise_giou(a.clone(), b.clone())
                checks.close(iou, torchvision.ops.box_iou(a, b), "iou")
                checks.close(giou, generalized_box_iou(a, b), "giou")

with checks.step("boxes without area"):
    flat = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 3.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    iou, giou = pairwise_giou(flat.clone(), flat.clone())
    for name, came, which in (("iou", iou, 0), ("giou", giou, 1)):
        checks.finite(came, name, causes={"0 was divided by 0": lambda came=came: bool(came.isnan().any())})
        wanted = torch.tensor(
            [[by_hand(one, two, lambda area: max(area, 1e-7))[which] for two in flat.tolist()] for one in flat.tolist()]
        )
        checks.close(came, wanted, name)

with checks.step("boxes of side 1e-4, smaller than eps at its default"):
    tiny = torch.tensor([[0.0, 0.0, 1e-4, 1e-4]], dtype=torch.float64)
    for name, came in zip(("iou", "giou"), pairwise_giou(tiny, tiny)):
        checks.close(came, torch.full((1, 1), 0.1, dtype=torch.float64), f"{name}, 1e-8 / 1e-7", causes={
            "`eps` was added to the areas; it is the least that divides": torch.full((1, 1), 1 / 11, dtype=torch.float64),
        })  # fmt: skip

with checks.step("small boxes with eps = 0.5, far above their areas"):
    small = 0.3 * some_boxes(3, 4, torch.float64)
    for which, (name, came) in enumerate(zip(("iou", "giou"), pairwise_giou(small.clone(), small.clone(), 0.5))):
        wanted, unread, added = (
            torch.tensor([[rule(one, two)[which] for two in small.tolist()] for one in small.tolist()]).double()
            for rule in (
                lambda one, two: by_hand(one, two, lambda area: max(area, 0.5)),
                lambda one, two: by_hand(one, two, lambda area: area),
                lambda one, two: by_hand(one, two, lambda area: area + 0.5),
            )
        )
        checks.close(came, wanted, name, causes={
            "`eps` was not read": unread,
            "`eps` was added to the areas; it is the least that divides": added,
        })  # fmt: skip


def slopes(fn: Callable, which: int, a: torch.Tensor, b: torch.Tensor) -> tuple:
    """Gradients of iou (0) or giou (1), weighted by cosines, for both lists of boxes."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    values = fn(a, b)[which]
    if not values.requires_grad:
        return None, None
    return torch.autograd.grad(
        (values * torch.arange(values.numel()).reshape(values.shape).cos()).sum(), (a, b), allow_unused=True
    )


def theirs(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torchvision.ops.box_iou(a, b), generalized_box_iou(a, b)


with checks.step("the gradients"):
    a, b = some_boxes(11, 3), some_boxes(12, 4)
    for which, name in ((0, "iou"), (1, "giou")):
        for came, wanted, of in zip(
            checks.beside(slopes, pairwise_giou, which, a, b), slopes(theirs, which, a, b), ("a", "b")
        ):
            checks.close(came, wanted, f"the gradient of {name} for {of}")

with checks.step("the gradients across a gap"):
    a, b = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
    for which, name, slope in ((0, "iou", 0.0), (1, "giou", 1 / 4)):
        came, _ = checks.beside(slopes, pairwise_giou, which, a, b)
        checks.close(came[:, 2], torch.tensor([slope]), f"the gradient of {name} for the right edge of the left box")

with checks.step("the arguments afterwards"):
    a, b = some_boxes(13, 3), some_boxes(14, 2)
    after = checks.beside(observe.arguments_after, pairwise_giou, a, b)
    for (was, now), name in zip(checks.each((a, b), after), ("a", "b")):
        checks.equal(now, was, name)

with checks.step("one wrong box among good ones"):
    for seed in (0, 1):
        bad = some_boxes(seed, 5)
        bad[3, [seed, seed + 2]] = bad[3, [seed + 2, seed]]
        checks.raises(ValueError, pairwise_giou, bad, some_boxes(2, 2), name="a with a wrong box")
        checks.raises(ValueError, pairwise_giou, some_boxes(2, 0), bad, name="an empty a, and b with a wrong box")

with checks.step("built from basic operations"):
    checks.forbidden(FORBIDDEN, pairwise_giou, some_boxes(0, 3), some_boxes(1, 2))
### END HIDDEN TESTS


# %% given="cost-by-loops" after="cost-hints"
# what several tests use: the cost of each pair, pair by pair
def cost_by_loops(
    logits: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, gt_boxes: torch.Tensor, weights: Sequence[float]
) -> torch.Tensor:
    """(Q, M) float64, one pair after the other."""
    found = torch.zeros(len(logits), len(labels), dtype=torch.float64)
    for q, m in itertools.product(range(len(logits)), range(len(labels))):
        powers = [math.exp(score) for score in logits[q].tolist()]
        distance = sum(abs(one - other) for one, other in zip(boxes[q].tolist(), gt_boxes[m].tolist()))
        corners = (box_convert(b[None].double(), "cxcywh", "xyxy") for b in (boxes[q], gt_boxes[m]))
        overlap = generalized_box_iou(*corners).item()
        terms = (-powers[int(labels[m])] / sum(powers), distance, -overlap)
        found[q, m] = sum(weight * term for weight, term in zip(weights, terms))
    return found


# %% test="cost" points=6
PAIR = (
    torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375]]).log(),  # classes 0, 1 and "no object"
    torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.3, 0.3, 0.2, 0.2]]),
    torch.tensor([1]),
    torch.tensor([[0.4, 0.7, 0.4, 0.2]]),
)

with checks.step("the class term alone, by hand"):
    checks.close(matching_cost(*copy.deepcopy(PAIR), 1.0, 0.0, 0.0), torch.tensor([[-0.25], [-0.5]]), "the cost", causes={
        "the sign is wrong: a likely class makes a pair cheap": torch.tensor([[0.25], [0.5]]),
        "this is -log p; the cost takes the probability itself": -torch.tensor([[0.25], [0.5]]).log(),
        "the softmax runs over the predictions; it belongs over the classes of each one": torch.tensor([[-1 / 3], [-2 / 3]]),
        "this is 1 - p; the constant was not asked for": torch.tensor([[0.75], [0.5]]),
    })  # fmt: skip

with checks.step("the L1 term alone, by hand"):
    checks.close(matching_cost(*copy.deepcopy(PAIR), 0.0, 1.0, 0.0), torch.tensor([[0.7], [0.7]]), "the cost", causes={
        "L1 was taken of the corners; it belongs to cxcywh": torch.tensor([[0.6], [1.0]]),
        "the four differences were averaged, not summed": torch.tensor([[0.175], [0.175]]),
        "the differences were squared": torch.tensor([[0.13], [0.21]]),
    })  # fmt: skip

with checks.step("the GIoU term alone"):
    corners = [box_convert(boxes, "cxcywh", "xyxy") for boxes in (PAIR[1], PAIR[3])]
    checks.close(matching_cost(*copy.deepcopy(PAIR), 0.0, 0.0, 1.0), -generalized_box_iou(*corners), "the cost", causes={
        "the sign is wrong: overlap makes a pair cheap": generalized_box_iou(*corners),
        "this is IoU, not GIoU": -torchvision.ops.box_iou(*corners),
        "this is 1 - GIoU; the constant was not asked for": 1 - generalized_box_iou(*corners),
    })  # fmt: skip

with checks.step("predictions and objects that are new in every run, with the default weights"):
    pair = made_up(checks.fresh_seed(), 5, 3)
    wanted = cost_by_loops(*pair, (1.0, 5.0, 2.0)).float()
    checks.close(matching_cost(*pair), wanted, "the cost", causes={
        "the default weights are not 1, 5 and 2": lambda: bool(checks.near(matching_cost(*pair, 1.0, 5.0, 2.0), wanted)),
    })  # fmt: skip

with checks.step("an image without objects"):
    logits, boxes, labels, gt_boxes = made_up(1, 4, 0)
    checks.shape(matching_cost(logits, boxes, labels, gt_boxes), (4, 0), "the cost")

with checks.step("labels that no object has"):
    logits, boxes, _, gt_boxes = made_up(1, 4, 1)
    for label in (-1, 3, 4):
        checks.raises(
            ValueError, matching_cost, logits, boxes, torch.tensor([label]), gt_boxes, name=f"label {label}, with C = 3"
        )

# %% test="cost" points=6
with checks.step("each weight alone, on predictions that are new in every run"):
    pair = made_up(checks.fresh_seed(), 4, 4)
    for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        wanted = cost_by_loops(*pair, weights).float()
        checks.close(matching_cost(*pair, *weights), wanted, f"the cost with weights {weights}")

### BEGIN HIDDEN TESTS
for seed in (0, 1, 7):
    for q, m, n_classes in ((6, 2, 3), (1, 1, 5), (3, 5, 1), (7, 0, 2)):
        for weights in ((3.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 7.0), (0.3, 11.0, 4.0)):
            with checks.step(f"{q} predictions, {m} objects of {n_classes} classes, weights {weights}"):
                pair = made_up(seed, q, m, n_classes)
                wanted = cost_by_loops(*pair, weights).float()
                checks.close(matching_cost(*pair, *weights), wanted, "the cost")

with checks.step("weights by name, in another order"):
    pair = made_up(2, 4, 3)
    wanted = cost_by_loops(*pair, (3.0, 0.5, 0.25)).float()
    checks.close(matching_cost(*pair, w_giou=0.25, w_class=3.0, w_l1=0.5), wanted, "the cost")

with checks.step("one weight by name, the others at their defaults"):
    pair = made_up(3, 4, 3)
    for name, weights in (("w_class", (9.0, 5.0, 2.0)), ("w_l1", (1.0, 9.0, 2.0)), ("w_giou", (1.0, 5.0, 9.0))):
        wanted = cost_by_loops(*pair, weights).float()
        checks.close(matching_cost(*pair, **{name: 9.0}), wanted, f"the cost with {name}=9")

with checks.step("float64"):
    pair = made_up(4, 4, 3, dtype=torch.float64)
    wanted = cost_by_loops(*pair, (1.0, 5.0, 2.0))
    checks.close(matching_cost(*pair), wanted, "the cost", rtol=1e-9, atol=1e-9)

with checks.step("large logits"):
    _, boxes, _, gt_boxes = made_up(5, 4, 3)
    sharp = (torch.tensor([[200.0, 0.0, 0.0, 0.0]] * 4), boxes, torch.tensor([0, 1, 2]), gt_boxes)
    wanted = cost_by_loops(*sharp, (1.0, 5.0, 2.0)).float()
    came = matching_cost(*sharp)
    checks.finite(came, "the cost")
    checks.close(came, wanted, "the cost")

with checks.step("the arguments afterwards"):
    pair = made_up(6, 4, 3)
    after = checks.beside(observe.arguments_after, matching_cost, *pair)
    for (was, now), name in zip(checks.each(pair, after), ("logits", "boxes", "labels", "gt_boxes")):
        checks.equal(now, was, name)

with checks.step("one wrong label among good ones"):
    logits, boxes, labels, gt_boxes = made_up(7, 4, 3)
    for place, label in ((0, 3), (2, -1), (1, 100)):
        wrong = labels.clone()
        wrong[place] = label
        checks.raises(ValueError, matching_cost, logits, boxes, wrong, gt_boxes, name=f"label {label}, with C = 3")
### END HIDDEN TESTS


# %% given="best-by-trying" after="match-hints"
# what both tests of the exercise use
def best_total(cost: torch.Tensor) -> float:
    """The lowest total cost of all one-to-one assignments, by trying them all."""
    q, m = cost.shape
    return min(
        sum(cost[row, column].item() for column, row in enumerate(rows)) for rows in itertools.permutations(range(q), m)
    )


def check_assignment(
    came: object, logits: torch.Tensor, boxes: torch.Tensor, targets: Sequence[Mapping], weights: Sequence[float]
) -> None:
    """A pair for each image, each object once, predictions sorted and none twice, and the lowest total cost."""
    checks.that(
        isinstance(came, list) and len(came) == len(targets), "a pair for each image", came=checks.describe(came)
    )
    for number, (target, pair) in enumerate(zip(targets, came)):
        m = len(target["labels"])
        checks.that(isinstance(pair, tuple) and len(pair) == 2, f"image {number}: a pair", came=checks.describe(pair))
        q_idx, g_idx = pair
        for index, name in ((q_idx, "q_idx"), (g_idx, "g_idx")):
            checks.shape(index, (m,), f"image {number}: {name}")
            checks.dtype(index, torch.int64, f"image {number}: {name}")
        cost = cost_by_loops(logits[number], boxes[number], target["labels"], target["boxes"], weights)
        best = best_total(cost)

        def swapped(q_idx: torch.Tensor = q_idx, g_idx: torch.Tensor = g_idx, cost: torch.Tensor = cost) -> bool:
            """Whether the indices are the best assignment once they are exchanged."""
            once_each = sorted(q_idx.tolist()) == list(range(cost.shape[1]))
            return once_each and abs(cost[g_idx, q_idx].sum().item() - best_total(cost)) <= 1e-4

        checks.equal(sorted(g_idx.tolist()), list(range(m)), f"image {number}: the objects in g_idx", causes={
            "the pair is swapped: predictions come first": swapped,
        })  # fmt: skip
        used = q_idx.tolist()
        cheapest = sorted(cost.argmin(0).tolist()) if m else []
        checks.that(
            used == sorted(used) and all(0 <= q < logits.shape[1] for q in used),
            f"image {number}: q_idx is sorted, and counts predictions",
            came=f"{used}",
        )
        checks.that(len(set(used)) == m, f"image {number}: no prediction answers for two objects", came=f"{used}", causes={
            "each object took its cheapest prediction, whoever else had taken it": used == cheapest,
        })  # fmt: skip
        total = cost[q_idx, g_idx].sum().item()
        checks.that(
            abs(total - best) <= 1e-4,
            f"image {number}: the total cost is the lowest of all assignments",
            came=f"{total:.4f}",
            expected=f"{best:.4f}",
        )


# %% test="match" points=4
def planted(probabilities: Sequence[Sequence[float]], labels: Sequence[int]) -> tuple:
    """One image whose predictions have these probabilities, and boxes that are all the same."""
    table = torch.tensor(probabilities)
    same = torch.tensor([0.5, 0.5, 0.2, 0.2])
    targets = [{"labels": torch.tensor(labels), "boxes": same.repeat(len(labels), 1)}]
    return table.log()[None], same.repeat(1, len(table), 1), targets


with checks.step("two objects that both like prediction 0 best"):
    logits, boxes, targets = planted([[0.6, 0.39, 0.01], [0.01, 0.02, 0.97], [0.55, 0.05, 0.40]], [0, 1])
    came = hungarian_match(logits, boxes, targets, 1.0, 0.0, 0.0)
    checks.that(isinstance(came, list) and len(came) == 1, "a list with one pair", came=checks.describe(came))
    checks.equal(came[0][0], torch.tensor([0, 2]), "q_idx", causes={
        "the pair is swapped: predictions come first": lambda: [one.tolist() for one in came[0]] == [[1, 0], [0, 2]],
        "the pairs are right, and not sorted by q_idx": lambda: [one.tolist() for one in came[0]] == [[2, 0], [0, 1]],
        "this is the assignment of the highest cost": lambda: [one.tolist() for one in came[0]] == [[1, 2], [0, 1]],
    })  # fmt: skip
    checks.equal(came[0][1], torch.tensor([1, 0]), "g_idx", causes={
        # with the predictions moved on by one, the first object takes number 1 and leaves number 0 to the second
        "the objects chose in turn: the first took the best, the second what was left": lambda: (
            hungarian_match(logits.roll(1, 1), boxes, targets, 1.0, 0.0, 0.0)[0][1].tolist() == [1, 0]
        ),
    })  # fmt: skip

with checks.step("three predictions, one object"):
    logits, boxes, targets = planted([[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.7, 0.1, 0.2]], [0])
    ((q_idx, g_idx),) = hungarian_match(logits, boxes, targets)
    checks.equal(q_idx, torch.tensor([2]), "q_idx")
    checks.equal(g_idx, torch.tensor([0]), "g_idx")

with checks.step("a batch that is new in every run, against all permutations"):
    outputs, targets, _ = made_up_batch(checks.fresh_seed(), 5, (3, 0, 2, 4, 3))
    came = hungarian_match(outputs["pred_logits"].clone(), outputs["pred_boxes"].clone(), copy.deepcopy(targets))
    check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, (1.0, 5.0, 2.0))

with checks.step("more objects than predictions"):
    outputs, targets, _ = made_up_batch(1, 4, (1, 2))
    many = [targets[0], {"labels": torch.zeros(5, dtype=torch.int64), "boxes": made_up(0, 5, 1)[1]}]
    checks.raises(
        ValueError, hungarian_match, outputs["pred_logits"], outputs["pred_boxes"], many, name="5 objects, Q = 4"
    )

# %% test="match" points=6
with checks.step("as many objects as predictions, new in every run"):
    outputs, targets, _ = made_up_batch(checks.fresh_seed(), 4, (4, 4))
    came = hungarian_match(outputs["pred_logits"].clone(), outputs["pred_boxes"].clone(), copy.deepcopy(targets))
    check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, (1.0, 5.0, 2.0))


### BEGIN HIDDEN TESTS
def after_matching(fn: Callable, logits: torch.Tensor, boxes: torch.Tensor, targets: list) -> tuple:
    """The arguments after a call with predictions that require a gradient; what needs a gradient in the result."""
    logits, boxes = logits.clone().requires_grad_(), boxes.clone().requires_grad_()
    with torch.enable_grad():  # and leave the mode as it was, whatever `fn` does with it
        found = fn(logits, boxes, targets)
        enabled = torch.is_grad_enabled()
    needs = [index.requires_grad for pair in found for index in pair]
    return logits, boxes, targets, needs, enabled


for seed in (0, 1, 7):
    for q, counts in ((6, (3, 1, 2)), (4, (4,)), (5, (0, 0)), (3, (0, 3, 1, 2)), (1, (1, 0))):
        with checks.step(f"{q} predictions, {counts} objects, against all permutations"):
            outputs, targets, _ = made_up_batch(seed, q, counts)
            came = hungarian_match(*copy.deepcopy((outputs["pred_logits"], outputs["pred_boxes"], targets)))
            check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, (1.0, 5.0, 2.0))

for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (20.0, 1.0, 1.0)):
    with checks.step(f"weights {weights}"):
        outputs, targets, _ = made_up_batch(11, 6, (3, 3))
        came = hungarian_match(*copy.deepcopy((outputs["pred_logits"], outputs["pred_boxes"], targets)), *weights)
        check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, weights)

for name in ("w_class", "w_l1", "w_giou"):
    with checks.step(f"{name} = 40 by name, the others at their defaults"):
        outputs, targets, _ = made_up_batch(12, 6, (3, 3))
        came = hungarian_match(*copy.deepcopy((outputs["pred_logits"], outputs["pred_boxes"], targets)), **{name: 40.0})
        weights = tuple(({"w_class": 1.0, "w_l1": 5.0, "w_giou": 2.0} | {name: 40.0}).values())
        check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, weights)

with checks.step("float64"):
    outputs, targets, _ = made_up_batch(13, 5, (2, 3), torch.float64)
    came = hungarian_match(*copy.deepcopy((outputs["pred_logits"], outputs["pred_boxes"], targets)))
    check_assignment(came, outputs["pred_logits"], outputs["pred_boxes"], targets, (1.0, 5.0, 2.0))

with checks.step("predictions that require a gradient, and the arguments afterwards"):
    outputs, targets, _ = made_up_batch(14, 5, (2, 0, 3))
    logits, boxes, left, needs, enabled = checks.beside(
        after_matching, hungarian_match, outputs["pred_logits"], outputs["pred_boxes"], copy.deepcopy(targets)
    )
    checks.equal(logits, outputs["pred_logits"], "the logits that were given")
    checks.equal(boxes, outputs["pred_boxes"], "the boxes that were given")
    for was, now in checks.each(targets, left):
        checks.equal(sorted(now), sorted(was), "the keys of a target")
        for name in was:
            checks.equal(now[name], was[name], f"{name} of a target")
    checks.equal(needs, [False] * 6, "whether the indices require a gradient")
    checks.that(enabled, "gradients are recorded as before the call", came="they are switched off for everybody")

with checks.step("the last image has more objects than there are predictions"):
    outputs, targets, _ = made_up_batch(15, 3, (1, 2, 3))
    many = [*targets[:2], {"labels": torch.zeros(4, dtype=torch.int64), "boxes": made_up(0, 4, 1)[1]}]
    checks.raises(
        ValueError, hungarian_match, outputs["pred_logits"], outputs["pred_boxes"], many, name="4 objects, Q = 3"
    )
### END HIDDEN TESTS


# %% test="criterion" points=6
EVEN = torch.tensor([[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.25, 0.5, 0.25]]]).log()  # classes 0, 1, "no object"
THREE = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 1.0, 1.0], [0.3, 0.6, 0.2, 0.4]]])
ONE = (
    [{"labels": torch.tensor([1]), "boxes": torch.tensor([[0.4, 0.6, 0.2, 0.2]])}],
    [(torch.tensor([2]), torch.tensor([0]))],
)

with checks.step("three predictions, one object of class 1 for prediction 2; by hand"):
    losses = set_criterion({"pred_logits": EVEN, "pred_boxes": THREE}, *ONE, 0.5)
    checks.that(isinstance(losses, dict), "a dict comes back", came=checks.describe(losses))
    checks.equal(sorted(losses), ["loss_bbox", "loss_ce", "loss_giou"], "the keys")
    # targets: "no object", "no object", class 1; weights 0.5, 0.5, 1
    terms = -torch.tensor([0.25, 0.75, 0.5]).log()
    weighted = torch.tensor([0.5, 0.5, 1.0])
    checks.close(losses["loss_ce"], (weighted * terms).sum() / 2, "loss_ce", causes={
        "the weighted terms were divided by their number, not by the sum of the weights": (weighted * terms).mean(),
        "the weighted terms were not divided": (weighted * terms).sum(),
        "the weight of \"no object\" was not used": terms.mean(),
        "only the matched prediction counts; the others have a target, too": terms[2],
        "class 0 was taken for \"no object\"": (
            -torch.tensor([0.5, 0.125, 0.5]).log() * torch.tensor([0.5, 0.5, 1.0])
        ).sum() / 2,
        "class 0 was taken for \"no object\", and has the full weight": -torch.tensor([0.5, 0.125, 0.5]).log().mean(),
    })  # fmt: skip
    checks.close(losses["loss_bbox"], torch.tensor(0.3), "loss_bbox", causes={
        "the four differences were averaged": torch.tensor(0.075),
        "L1 was taken of the corners; it belongs to cxcywh": torch.tensor(0.4),
        "the boxes of all predictions were compared, not only those of the pairs": (
            (THREE[0] - ONE[0][0]["boxes"]).abs().sum()
        ),
    })  # fmt: skip
    # intersection 0.02, union 0.1, hull 0.12: GIoU is 1/5 - 1/6
    checks.close(losses["loss_giou"], torch.tensor(29 / 30), "loss_giou, 1 - GIoU; GIoU is 1/30", causes={
        "this is GIoU itself, which grows as the boxes get better": torch.tensor(1 / 30),
        "this is -GIoU; the loss is 1 - GIoU": torch.tensor(-1 / 30),
        "this is 1 - IoU": torch.tensor(4 / 5),
    })  # fmt: skip

with checks.step("two images with four objects and three, boxes that are new in every run"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    gaps = 0.01 + 0.2 * torch.rand(7, generator=draw)
    wanted = torch.full((7, 4), 0.5)
    boxes = torch.full((2, 5, 4), 0.1)
    indices = [
        (torch.tensor([0, 1, 3, 4]), torch.tensor([0, 1, 2, 3])),
        (torch.tensor([0, 2, 3]), torch.tensor([0, 1, 2])),
    ]
    boxes[0, indices[0][0]], boxes[1, indices[1][0]] = (wanted + F.pad(gaps[:, None], (0, 3))).split((4, 3))
    targets = [
        {"labels": torch.tensor([0, 1, 1, 0]), "boxes": wanted[:4]}, {"labels": torch.tensor([1, 0, 0]), "boxes": wanted[4:]}
    ]  # fmt: skip
    losses = set_criterion({"pred_logits": torch.zeros(2, 5, 3), "pred_boxes": boxes}, targets, indices)
    checks.close(losses["loss_bbox"], gaps.sum() / 7, "loss_bbox", causes={
        "it was divided by the number of images, not of objects": gaps.sum() / 2,
        "it was averaged image by image": (gaps[:4].mean() + gaps[4:].mean()) / 2,
        "it was divided by the objects of the first image; those of the whole batch count": gaps.sum() / 4,
        "it was not divided": gaps.sum(),
    })  # fmt: skip
    overlap = (0.5 - gaps) / (0.5 + gaps)  # of two equal boxes, one moved sideways; the hull is the union
    checks.close(losses["loss_giou"], (1 - overlap).mean(), "loss_giou")
    checks.close(losses["loss_ce"], torch.tensor(math.log(3)), "loss_ce of logits that are all equal")

with checks.step("a batch without objects"):
    nothing = [{"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}] * 2
    no_pairs = [(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))] * 2
    losses = set_criterion({"pred_logits": torch.zeros(2, 5, 3), "pred_boxes": boxes}, nothing, no_pairs)
    checks.close(losses["loss_ce"], torch.tensor(math.log(3)), "loss_ce")
    for name in ("loss_bbox", "loss_giou"):
        checks.close(losses[name], torch.tensor(0.0), name, causes={
            "nothing was divided by nothing, as a mean over no boxes does": lambda name=name: bool(losses[name].isnan()),
        })  # fmt: skip

# %% test="criterion" points=10
with checks.step("equal weights on predictions that are new in every run: loss_ce is plain cross-entropy"):
    outputs, targets, indices = made_up_batch(checks.fresh_seed(), 6, (2, 3))
    classes = torch.full((2, 6), 3)
    for number, (q_idx, g_idx) in enumerate(indices):
        for q, g in zip(q_idx.tolist(), g_idx.tolist()):
            classes[number, q] = targets[number]["labels"][g]
    losses = set_criterion(outputs, targets, indices, no_object_weight=1.0)
    checks.close(losses["loss_ce"], F.cross_entropy(outputs["pred_logits"].flatten(0, 1), classes.flatten()), "loss_ce")


### BEGIN HIDDEN TESTS
def by_loops(outputs: Mapping, targets: Sequence[Mapping], indices: Sequence, weight: float = 0.1) -> dict:
    """The three losses, one prediction after the other, from operations that have gradients."""
    logits, boxes = outputs["pred_logits"], outputs["pred_boxes"]
    no_object = logits.shape[-1] - 1
    ce, weights = logits.sum() * 0, 0.0
    l1, giou = boxes.sum() * 0, boxes.sum() * 0
    for number, (target, (q_idx, g_idx)) in enumerate(zip(targets, indices)):
        of = dict(zip(q_idx.tolist(), g_idx.tolist()))
        for q in range(logits.shape[1]):
            label = int(target["labels"][of[q]]) if q in of else no_object
            share = 1.0 if q in of else weight
            ce = ce + share * (logits[number, q].logsumexp(0) - logits[number, q, label])
            weights += share
            if q in of:
                pair = boxes[number, q][None], target["boxes"][of[q]][None]
                l1 = l1 + (pair[0] - pair[1]).abs().sum()
                giou = giou + 1 - generalized_box_iou(*(box_convert(b, "cxcywh", "xyxy") for b in pair)).sum()
    count = max(1, sum(len(target["labels"]) for target in targets))
    return {"loss_ce": ce / weights, "loss_bbox": l1 / count, "loss_giou": giou / count}


NAMES = ("loss_ce", "loss_bbox", "loss_giou")
for seed in (0, 1, 7):
    for q, counts in ((5, (2, 0, 3)), (4, (4, 1)), (6, (1,)), (3, (0, 0, 1)), (7, (1, 5, 2))):
        for weight in (0.1, 0.4, 3.0):
            with checks.step(f"{q} predictions, {counts} objects, weight {weight}, against a loop"):
                outputs, targets, indices = made_up_batch(seed, q, counts)
                wanted, came = (
                    by_loops(outputs, targets, indices, weight),
                    set_criterion(outputs, targets, indices, weight),
                )
                for name in NAMES:
                    checks.close(came[name], wanted[name], name)

with checks.step('the default weight of "no object"'):
    outputs, targets, indices = made_up_batch(21, 6, (2, 1))
    checks.close(
        set_criterion(outputs, targets, indices)["loss_ce"], by_loops(outputs, targets, indices)["loss_ce"], "loss_ce"
    )

with checks.step('weight 0: "no object" is not asked for'):
    outputs, targets, indices = made_up_batch(22, 6, (2, 1))
    wanted = by_loops(outputs, targets, indices, 0.0)["loss_ce"]
    checks.close(set_criterion(outputs, targets, indices, 0.0)["loss_ce"], wanted, "loss_ce")

with checks.step("an assignment that leaves objects out"):
    outputs, targets, indices = made_up_batch(23, 6, (5, 4))
    partly = [(q_idx[:n], g_idx[:n]) for (q_idx, g_idx), n in zip(indices, (2, 1))]
    wanted, came = by_loops(outputs, targets, partly), set_criterion(outputs, targets, partly)
    checks.close(came["loss_ce"], wanted["loss_ce"], "loss_ce")
    for name in ("loss_bbox", "loss_giou"):
        checks.close(came[name], wanted[name], name, causes={
            "it was divided by the number of pairs; the number of objects in the batch is asked": 9 / 3 * wanted[name],
        })  # fmt: skip

with checks.step("objects and predictions in another order"):
    outputs, targets, indices = made_up_batch(24, 6, (3, 4))
    before = set_criterion(outputs, copy.deepcopy(targets), indices)
    places = torch.tensor([4, 2, 0, 5, 1, 3])  # prediction k becomes number places[k]
    mixed = {name: torch.zeros_like(value).index_copy(1, places, value) for name, value in outputs.items()}
    turned = [{name: value.flip(0) for name, value in target.items()} for target in targets]
    moved = [(places[q_idx], len(g_idx) - 1 - g_idx) for q_idx, g_idx in indices]
    after = set_criterion(mixed, copy.deepcopy(turned), moved)
    for name in NAMES:
        checks.close(after[name], before[name], f"{name}, against the first order")


def slopes(fn: Callable, logits: torch.Tensor, boxes: torch.Tensor, targets: list, indices: list) -> dict:
    """The gradients of each loss for logits and boxes; None where there is none."""
    logits, boxes = logits.clone().requires_grad_(), boxes.clone().requires_grad_()
    losses = fn({"pred_logits": logits, "pred_boxes": boxes}, targets, indices)
    found = {}
    for name, of in (("loss_ce", logits), ("loss_bbox", boxes), ("loss_giou", boxes)):
        found[name] = (
            torch.autograd.grad(losses[name], of, retain_graph=True, allow_unused=True)[0]
            if losses[name].requires_grad
            else None
        )
    return found


for counts in ((2, 0, 3), (0, 0)):
    with checks.step(f"the gradients with {counts} objects"):
        outputs, targets, indices = made_up_batch(25, 5, counts)
        given = (outputs["pred_logits"], outputs["pred_boxes"], targets, indices)
        came, wanted = checks.beside(slopes, set_criterion, *copy.deepcopy(given)), slopes(by_loops, *given)
        for name in NAMES:
            if name == "loss_giou" and came[name] is None and not any(counts):
                continue  # of no pair at all, a `pairwise_giou` from loops gives a number without a graph
            checks.close(came[name], wanted[name], f"the gradient of {name}")

with checks.step("float64"):
    outputs, targets, indices = made_up_batch(26, 5, (2, 3), torch.float64)
    wanted, came = by_loops(outputs, targets, indices), set_criterion(outputs, targets, indices)
    for name in NAMES:
        checks.close(came[name], wanted[name], name, rtol=1e-9, atol=1e-9)


def after_asking(fn: Callable, outputs: dict, targets: list, indices: list) -> tuple:
    """The arguments after a call."""
    fn(outputs, targets, indices)
    return outputs, targets, [index for pair in indices for index in pair]


with checks.step("outputs with more keys, and the arguments afterwards"):
    outputs, targets, indices = made_up_batch(27, 5, (2, 1))
    more = outputs | {"attention": torch.full((2, 5, 9), math.nan), "aux": []}
    wanted = by_loops(outputs, targets, indices)
    came = set_criterion(more, copy.deepcopy(targets), indices)
    for name in NAMES:
        checks.close(came[name], wanted[name], name)
    left, left_targets, left_indices = checks.beside(
        after_asking, set_criterion, *copy.deepcopy((outputs, targets, indices))
    )
    checks.equal(sorted(left), sorted(outputs), "the keys of the outputs")
    for name in outputs:
        checks.equal(left[name], outputs[name], name)
    for was, now in checks.each(targets, left_targets):
        for name in was:
            checks.equal(now[name], was[name], f"{name} of a target")
    for was, now in checks.each([index for pair in indices for index in pair], left_indices):
        checks.equal(now, was, "an index")
### END HIDDEN TESTS


# %% given="model-probes" after="model-hints"
# what both tests of the exercise use
def made(make: Callable, seed: int, **options: object) -> nn.Module:
    """A model in eval mode whose weights depend on the seed alone; 5 classes and 11 queries unless told otherwise."""
    torch.manual_seed(seed)
    return make(**({"n_classes": 5, "n_queries": 11, "d_model": 32} | options)).eval()


def spread(model: nn.Module, queries: torch.Tensor) -> nn.Module:
    """The model with these numbers in its parameter `queries`."""
    with torch.no_grad():
        model.queries.copy_(queries)
    return model


def decoded(
    make: Callable, options: dict, queries: torch.Tensor, memory: torch.Tensor, positions: torch.Tensor
) -> dict:
    """What a model with these queries makes of a memory."""
    with torch.no_grad():
        return spread(made(make, 0, **options), queries).decode(memory, positions)


def of_images(make: Callable, options: dict, x: torch.Tensor) -> dict:
    """Tokens, positions and predictions of images."""
    model = made(make, 1, **options)
    with torch.no_grad():
        tokens, positions = model.features(x)
        return {"tokens": tokens, "positions": positions, "queries": model.queries} | model(x)


def centers_of(h: int, w: int) -> torch.Tensor:
    """The centers (h * w, 2) of the cells of an image, row by row."""
    return torch.tensor([[(c + 0.5) / w, (r + 0.5) / h] for r in range(h) for c in range(w)])


# %% test="model" points=5
with checks.step("two images of 16 x 24 pixels: keys and shapes"):
    for mode in ("reference", "learned"):
        seen = checks.beside(of_images, TinyDETR, {"query_mode": mode, "n_dec": 3}, checks.normal(0)(2, 3, 16, 24))
        for name, size in (
            ("tokens", (2, 24, 32)),
            ("positions", (24, 32)),
            ("queries", (11, 2 if mode == "reference" else 32)),
            ("pred_logits", (2, 11, 6)),
            ("pred_boxes", (2, 11, 4)),
            ("attention", (2, 11, 24)),
        ):
            checks.that(
                torch.is_tensor(seen.get(name)), f"{mode}: there is a tensor {name}", came=f"the keys {sorted(seen)}"
            )
            checks.shape(seen[name], size, f"{mode}: {name}")
        checks.equal([sorted(layer) for layer in seen["aux"]], [["pred_boxes", "pred_logits"]] * 2, f"{mode}: the keys in aux", causes={
            "the last layer is in aux, too; it is the result itself": lambda: (
                len(seen["aux"]) == 3 and checks.near(seen["aux"][-1]["pred_logits"], seen["pred_logits"])
            ),
        })  # fmt: skip
        inside = (seen["pred_boxes"] > 0).all() and (seen["pred_boxes"] < 1).all()
        checks.that(
            bool(inside), f"{mode}: all numbers of boxes lie in (0, 1)", came=checks.describe(seen["pred_boxes"])
        )
        checks.close(seen["attention"].sum(-1), torch.ones(2, 11), f"{mode}: the sum of each slot's attention")

with checks.step("the positions of 4 x 6 cells"):
    seen = checks.beside(of_images, TinyDETR, {}, checks.normal(1)(1, 3, 16, 24))
    wanted = sine_embedding(centers_of(4, 6), 32)
    checks.close(seen["positions"], wanted, "positions", causes={
        "cells are counted column by column; tokens stand row by row": sine_embedding(
            torch.tensor([[(c + 0.5) / 6, (r + 0.5) / 4] for c in range(6) for r in range(4)]), 32
        ),
        "x and y are swapped": sine_embedding(centers_of(4, 6).flip(1), 32),
        "these are the corners of the cells; add half a cell": sine_embedding(
            centers_of(4, 6) - torch.tensor([0.5 / 6, 0.5 / 4]), 32
        ),
        "the positions run from 0 to 1 inclusive; centers lie half a cell inside": sine_embedding(
            torch.tensor([[c / 5, r / 3] for r in range(4) for c in range(6)]), 32
        ),
        "both axes were divided by the same number": sine_embedding(
            torch.tensor([[(c + 0.5) / 6, (r + 0.5) / 6] for r in range(4) for c in range(6)]), 32
        ),
    })  # fmt: skip

with checks.step("a memory whose tokens are all alike, reference points that are new in every run"):
    # values carry no position, and content starts at zero: slots can differ by nothing but their points
    points = checks.normal(checks.fresh_seed())(11, 2)
    memory = checks.normal(2)(1, 1, 32).expand(2, 8, 32)
    places = sine_embedding(centers_of(2, 4), 32)
    seen = checks.beside(decoded, TinyDETR, {}, points, memory, places)
    elsewhere = checks.beside(
        decoded, TinyDETR, {}, points.flip(0) + 1, memory, sine_embedding(centers_of(4, 2) / 2, 32)
    )
    logits, centers = seen["pred_logits"], torch.logit(seen["pred_boxes"][..., :2].double())

    def same_at_one_point() -> bool:
        """Whether slots are alike where their points are: then nothing but the points made them differ."""
        alike = checks.beside(decoded, TinyDETR, {}, points[:1].expand(11, 2).clone(), memory, places)["pred_logits"]
        return checks.near(alike, alike[:, :1].expand(2, 11, 6), atol=1e-4)

    checks.close(logits, logits[:, :1].expand(2, 11, 6), "the class scores of all slots, against those of the first", atol=1e-4, causes={
        "positions went into the values, or into the content of the slots": same_at_one_point,
    })  # fmt: skip
    checks.close(elsewhere["pred_logits"], logits, "the class scores with other points and other positions of the tokens", atol=1e-4, causes={
        # keys that are all alike are attended to alike
        "keys and values are swapped: the positions belong to the keys": lambda: checks.near(
            seen["attention"], torch.full((2, 11, 8), 1 / 8)
        ),
    })  # fmt: skip
    checks.close(
        (centers - centers[:, :1]).float(),
        (points - points[:1]).expand(2, 11, 2),
        "the logits of the centers, against those of the first slot: they differ as the points do",
        rtol=1e-3,
        atol=1e-3,
        causes={
            "the box was predicted without the point": lambda: bool((centers - centers[:, :1]).abs().max() < 1e-3),
        },
    )

with checks.step("what cannot be built"):
    for width in (30, 33, 2):
        checks.raises(ValueError, TinyDETR, 3, d_model=width, name=f"d_model={width}")
    checks.raises(ValueError, TinyDETR, 3, query_mode="anchor", name='query_mode="anchor"')

# %% test="model" points=7
with checks.step("learned queries that are new in every run, a memory whose tokens are all alike"):
    queries = checks.normal(checks.fresh_seed())(11, 32)
    memory = checks.normal(3)(1, 1, 32).expand(1, 8, 32)
    places = sine_embedding(centers_of(2, 4), 32)
    seen = checks.beside(decoded, TinyDETR, {"query_mode": "learned"}, queries, memory, places)
    for name in ("pred_logits", "pred_boxes"):
        first = seen[name][:, :1].expand_as(seen[name])
        checks.close(seen[name], first, f"{name} of all slots, against those of the first", atol=1e-4)
    other = checks.beside(decoded, TinyDETR, {"query_mode": "learned"}, queries, checks.normal(4)(1, 8, 32), places)[
        "pred_logits"
    ]
    checks.that(
        bool((other - other[:, :1]).abs().amax(-1)[:, 1:].min() > 1e-4),
        "where the tokens differ, every slot sees something else",
        came="slots with the same class scores",
    )


### BEGIN HIDDEN TESTS
def moved(make: Callable, options: dict, places: torch.Tensor, tokens: torch.Tensor, positions: torch.Tensor) -> dict:
    """Memory and predictions for tokens, for the same in another order, and for tokens without their positions."""
    model = made(make, 2, **options)
    with torch.no_grad():
        memory = model.encode(tokens, positions)
        return {
            "memory": memory,
            "memory, moved": model.encode(tokens[:, places], positions[places]),
            "memory, elsewhere": model.encode(tokens, positions[places]),
            "memory of equal tokens": model.encode(tokens[:, :1].expand_as(tokens), positions),
            "memory of one image": model.encode(tokens[:1, :1].expand_as(tokens[:1]), positions),
            "memory at one place": model.encode(
                tokens[:1, :1].expand_as(tokens[:1]), positions[:1].expand_as(positions)
            ),
            "memory of equal tokens, moved": model.encode(tokens[:, :1].expand_as(tokens), positions[places]),
            "memory of equal tokens, elsewhere": model.encode(tokens[:, :1].expand_as(tokens), positions / 2),
            "found": model.decode(memory, positions),
            "found, moved": model.decode(memory[:, places], positions[places]),
            "found, elsewhere": model.decode(memory, positions[places]),
        }


def with_queries_moved(make: Callable, options: dict, places: torch.Tensor, x: torch.Tensor) -> tuple:
    """Predictions, and those of the same model with its queries in another order."""
    model = made(make, 3, **options)
    with torch.no_grad():
        before = model(x)
        return before, spread(model, model.queries[places].clone())(x)


for mode in ("reference", "learned"):
    places = torch.tensor([5, 2, 0, 7, 1, 3, 6, 4])
    options = {"query_mode": mode, "n_enc": 1 if mode == "reference" else 2}
    with checks.step(f"{mode}: tokens and positions in another order"):
        tokens = checks.normal(5)(2, 8, 32)
        seen = checks.beside(moved, TinyDETR, options, places, tokens, sine_embedding(centers_of(2, 4), 32))
        checks.close(seen["memory, moved"], seen["memory"][:, places], "the memory moves along", atol=1e-4)
        for name in ("pred_logits", "pred_boxes"):
            checks.close(seen["found, moved"][name], seen["found"][name], f"{name} stays", atol=1e-4)
        checks.close(
            seen["found, moved"]["attention"],
            seen["found"]["attention"][..., places],
            "the attention moves along",
            atol=1e-4,
        )
    with checks.step(f"{mode}: tokens that stay while the positions move"):
        for name, one, other in (
            ("the memory", seen["memory"], seen["memory, elsewhere"]),
            ("pred_logits", seen["found"]["pred_logits"], seen["found, elsewhere"]["pred_logits"]),
            ("attention", seen["found"]["attention"], seen["found, elsewhere"]["attention"]),
        ):
            checks.that(bool((one - other).abs().max() > 1e-4), f"{name} changes", came="it is the same", causes={
                "encode gives the tokens as they came": name == "the memory" and checks.near(seen["memory"], tokens),
                "the positions are not used: they belong to queries and keys": True,
            })  # fmt: skip
    with checks.step(f"{mode}: tokens that are all alike"):
        memory, alike = seen["memory of equal tokens"], {
            what: checks.near(seen[what], seen[what][:, :1].expand(1, 8, 32), atol=1e-3)
            for what in ("memory of one image", "memory at one place")
        }  # fmt: skip
        checks.close(memory, memory[:, :1].expand_as(memory), "the memory of all tokens, against that of the first", atol=1e-4, causes={
            "positions went into the values of the encoder, or into its tokens": (
                alike["memory at one place"] and not alike["memory of one image"]
            ),
            "the images of the batch attend to each other": alike["memory of one image"],
        })  # fmt: skip
        other = seen["memory of equal tokens, elsewhere"]
        checks.close(other, memory, "the memory of tokens that are all alike, with other positions", atol=1e-4, causes={
            # keys that are all alike are attended to alike, so the order of the values does not matter
            "keys and values are swapped in the encoder: the positions belong to the keys": checks.near(
                seen["memory of equal tokens, moved"], memory, atol=1e-4
            ),
        })  # fmt: skip
    with checks.step(f"{mode}: queries in another order"):
        order = torch.tensor([10, 3, 0, 7, 1, 9, 6, 4, 2, 8, 5])
        before, after = checks.beside(with_queries_moved, TinyDETR, options, order, checks.normal(6)(2, 3, 16, 24))
        for name in ("pred_logits", "pred_boxes", "attention"):
            checks.close(after[name], before[name][:, order], f"{name}: slots move along with their queries", atol=1e-4)
        gaps = (before["pred_logits"][:, 1:] - before["pred_logits"][:, :-1]).abs().amax(-1)
        checks.that(bool(gaps.min() > 1e-5), "no two slots are the same", came="slots with the same class scores")


def far_out(make: Callable, points: torch.Tensor, memory: torch.Tensor, positions: torch.Tensor) -> dict:
    """Predictions with these points, of a model whose parameters were all moved a little."""
    model = spread(made(make, 10), points)
    draw = checks.normal(11)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.2 * draw(*p.shape) if p is not model.queries else 0
        return model.decode(memory, positions)


with checks.step("points whose logits differ and that are nearly the same place, the lower right corner"):
    points = checks.normal(12)(11, 2)
    points[:2] = torch.tensor([[12.3, 14.1], [15.7, 12.9]])
    seen = checks.beside(far_out, TinyDETR, points, checks.normal(13)(4, 8, 32), sine_embedding(centers_of(2, 4), 32))
    for name in ("pred_logits", "attention"):
        checks.close(seen[name][:, 0], seen[name][:, 1], f"{name} of both slots", rtol=1e-3, atol=1e-3, causes={
            "the positional query depends on the logits; it is to be made of the point, their sigmoid": True,
        })  # fmt: skip
    sizes = seen["pred_boxes"][..., 2:]
    checks.that(
        bool(sizes.min() < 0.5 < sizes.max()),
        "some boxes are wider than half of the image, and some are not, where the parameters are moved",
        came=f"sizes from {sizes.min():.3f} to {sizes.max():.3f}",
    )


def one_by_one(make: Callable, options: dict, x: torch.Tensor) -> tuple:
    """Predictions for a batch in eval mode, and for its images alone."""
    model = made(make, 4, **options)
    with torch.no_grad():
        return model(x), [model(image[None]) for image in x]


with checks.step("a batch, and its images alone"):
    together, alone = checks.beside(one_by_one, TinyDETR, {}, checks.normal(7)(3, 3, 24, 16))
    for name in ("pred_logits", "pred_boxes"):
        checks.close(together[name], torch.cat([one[name] for one in alone]), name, atol=1e-4)


def spots(make: Callable, h: int, w: int) -> list[int]:
    """The token that changes most when a cell of the image lights up, for each cell."""
    model = made(make, 5)
    dark = torch.zeros(1, 3, 4 * h, 4 * w)
    found = []
    with torch.no_grad():
        still = model.features(dark)[0]
        for row, column in itertools.product(range(h), range(w)):
            lit = dark.clone()
            lit[..., 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0.05
            found.append(int((model.features(lit)[0] - still).abs().sum(-1).argmax()))
    return found


with checks.step("which token sees which cell, 3 rows and 5 columns"):
    came = checks.beside(spots, TinyDETR, 3, 5)
    rows, columns = torch.tensor(came) // 5, torch.tensor(came) % 5
    true_rows, true_columns = (torch.arange(15) // 5, torch.arange(15) % 5)
    near = (len(came) == 15) and ((rows - true_rows).abs() <= 1) & ((columns - true_columns).abs() <= 1)
    turned = len(came) == 15 and ((torch.tensor(came) % 3 - true_rows).abs() <= 1) & (
        (torch.tensor(came) // 3 - true_columns).abs() <= 1
    )
    checks.that(
        bool(torch.as_tensor(near).all()),
        "the token of a cell, or of a neighbor, changes most",
        came=f"{came}",
        causes={
            "the tokens stand column by column": lambda: bool(torch.as_tensor(turned).all()),
        },
    )


def counts(make: Callable, options: dict) -> dict:
    """Numbers of parameters, and of class heads; what a loss on the last scores reaches."""
    model = made(make, 6, **options)
    out = model(checks.normal(0)(2, 3, 16, 16))
    scores = torch.arange(out["pred_logits"].numel()).reshape(out["pred_logits"].shape).cos()
    learn = [p for p in model.parameters() if p.requires_grad]
    by_scores = torch.autograd.grad((out["pred_logits"] * scores).sum(), learn, retain_graph=True, allow_unused=True)
    reached = {id(p): slope is not None and bool(slope.abs().max() > 0) for p, slope in zip(learn, by_scores)}
    everything = (out["pred_logits"] * scores).sum() + (out["pred_boxes"] * scores[..., :4]).sum()
    by_all = torch.autograd.grad(everything, learn, retain_graph=True, allow_unused=True)
    looks = out["attention"]
    weighted = (looks * torch.arange(looks.numel()).reshape(looks.shape).cos()).sum()
    by_looks = torch.autograd.grad(weighted, learn, allow_unused=True) if looks.requires_grad else ()
    heads = [p for p in model.parameters() if p.ndim == 2 and len(p) == options["n_classes"] + 1]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "heads": len(heads),
        "queries": reached.get(id(model.queries), False),
        "stem": [reached.get(id(p), False) for p in model.parameters() if p.ndim == 4 and p.shape[1] == 3],
        "left out": sum(slope is None for slope in by_all),
        "frozen": sum(not p.requires_grad for p in model.parameters()),
        "aux": len(out["aux"]),
        "attention rests on": sum(slope is not None for slope in by_looks),
    }


for mode in ("reference", "learned"):
    with checks.step(f"{mode}: what learns"):
        seen = checks.beside(counts, TinyDETR, {"n_classes": 9, "query_mode": mode, "n_enc": 2, "n_dec": 3})
        checks.equal(seen["frozen"], 0, "the number of frozen parameters")
        checks.equal(seen["heads"], 1, "the number of linear layers with C + 1 outputs: all decoder layers share one")
        checks.that(seen["queries"], "the class scores have a gradient for the queries", came="none")
        checks.that(
            any(seen["stem"]), "the class scores have a gradient for the first convolution", came=f"{seen['stem']}"
        )
        checks.equal(seen["left out"], 0, "the number of parameters that no gradient reaches")

with checks.step("how many layers there are"):
    plain = {"n_classes": 9, "n_enc": 1, "n_dec": 1}
    size = {
        key: checks.beside(counts, TinyDETR, plain | dict(zip(("n_enc", "n_dec"), key)))
        for key in ((1, 1), (2, 1), (3, 1), (1, 2), (1, 3))
    }
    number = {key: seen["parameters"] for key, seen in size.items()}
    checks.that(
        number[3, 1] - number[2, 1] == number[2, 1] - number[1, 1] > 3000,
        "each encoder layer adds the same number of parameters, over 3,000 at d = 32",
        came=f"{number[2, 1] - number[1, 1]} and {number[3, 1] - number[2, 1]}",
    )
    checks.that(
        number[1, 3] - number[1, 2] == number[1, 2] - number[1, 1] > number[2, 1] - number[1, 1],
        "each decoder layer adds the same number, more than one of the encoder",
        came=f"{number[1, 2] - number[1, 1]} and {number[1, 3] - number[1, 2]}",
    )
    rests = [size[1, n]["attention rests on"] for n in (1, 2, 3)]  # all 0 where the weights have no gradient
    checks.that(
        rests == [0, 0, 0] or rests[0] < rests[1] < rests[2],
        "the attention is that of the last layer, so it rests on the parameters of all layers before",
        came=f"it rests on {rests} parameters with 1, 2 and 3 decoder layers",
    )
    checks.equal([size[1, n]["aux"] for n in (1, 2, 3)], [0, 1, 2], "the entries of aux with 1, 2 and 3 decoder layers")


def with_one_query_elsewhere(make: Callable, options: dict, memory: torch.Tensor, places: torch.Tensor) -> tuple:
    """What three decoder layers make of a memory, and the same with the last query elsewhere."""
    model = made(make, 14, n_dec=3, **options)
    with torch.no_grad():
        before = model.decode(memory, places)
        queries = model.queries.clone()
        queries[-1] += 2
        return before, spread(model, queries).decode(memory, places)


for mode in ("reference", "learned"):
    with checks.step(f"{mode}: the last of eleven queries elsewhere, and the other slots in aux"):
        memory, places = checks.normal(15)(2, 8, 32), sine_embedding(centers_of(2, 4), 32)
        before, after = checks.beside(with_one_query_elsewhere, TinyDETR, {"query_mode": mode}, memory, places)
        first, second = (
            [(one["pred_logits"] - other["pred_logits"])[:, :-1].abs().max() for one, other in zip(before["aux"], after["aux"])]
        )  # fmt: skip
        # content starts at zero: the first layer's self-attention brings nothing of another slot
        checks.that(
            float(first) <= 1e-4, "aux[0] is what the first layer says: it knows nothing yet of the last query",
            came=f"class scores that differ by {float(first):.3g}", causes={
                "the layers in aux go from last to first": lambda: float(second) <= 1e-4,
            },
        )  # fmt: skip
        checks.that(
            float(second) > 1e-5, "aux[1] is what the second layer says: by then the slots have seen each other",
            came="the same class scores",
        )  # fmt: skip


def slope_of_centers(make: Callable, points: torch.Tensor, memory: torch.Tensor, places: torch.Tensor) -> tuple:
    """Centers, and the gradient of their sum for the points."""
    model = spread(made(make, 16), points)
    centers = model.decode(memory, places)["pred_boxes"][..., :2]
    (slope,) = torch.autograd.grad(centers.sum(), model.queries, allow_unused=True)
    return centers.detach(), torch.zeros_like(points) if slope is None else slope


with checks.step("a memory whose tokens are all alike: how the centers move with the points"):
    memory = checks.normal(17)(1, 1, 32).expand(2, 8, 32)
    centers, slope = checks.beside(
        slope_of_centers, TinyDETR, checks.normal(18)(11, 2), memory, sine_embedding(centers_of(2, 4), 32)
    )
    # attention to equal tokens brings the same whatever the query, so the centers depend on the points directly alone
    checks.close(slope, (centers * (1 - centers)).sum(0), "the gradient of the centers for the points: c (1 - c)", atol=1e-3, causes={
        "no gradient reaches the points through the centers": lambda: bool(slope.abs().max() < 1e-3),
    })  # fmt: skip


def rows_behind_the_attention(make: Callable, queries: torch.Tensor, memory: torch.Tensor, places: torch.Tensor) -> int:
    """How many rows of matrices the attention of a single decoder layer depends on; -1 where it has no gradient."""
    model = spread(made(make, 12, query_mode="learned", n_dec=1), queries)
    looks = model.decode(memory, places)["attention"]
    if not looks.requires_grad:
        return -1
    matrices = [p for p in model.parameters() if p.ndim == 2 and p is not model.queries]
    weighted = (looks * torch.arange(looks.numel()).reshape(looks.shape).cos()).sum()
    slopes = [slope for slope in torch.autograd.grad(weighted, matrices, allow_unused=True) if slope is not None]
    largest = max((slope.abs().max() for slope in slopes), default=torch.tensor(0.0))
    return sum(int((slope.abs().amax(1) > 1e-4 * largest).sum()) for slope in slopes)


with checks.step("the attention is the mean over the heads"):
    given = (checks.normal(14)(11, 32), checks.normal(15)(2, 8, 32), sine_embedding(centers_of(2, 4), 32))
    rows = checks.beside(rows_behind_the_attention, TinyDETR, *given)
    checks.that(
        rows == -1 or rows >= 48,
        "it depends on the queries and keys of every head: at d = 32 on 32 rows of matrices for each of the two",
        came=f"it depends on {rows} rows",
    )


def as_given_and_default(make: Callable) -> list:
    """Sizes of the model as it is made without options: queries, and the shapes of its predictions."""
    model = make(4).eval()
    out = model(torch.zeros(1, 3, 32, 32))
    return [
        list(model.queries.shape),
        list(out["pred_logits"].shape),
        model.features(torch.zeros(1, 3, 8, 8))[0].shape[-1],
        len(out["aux"]),
    ]


with checks.step("the defaults"):
    checks.equal(checks.beside(as_given_and_default, TinyDETR), [[9, 2], [1, 9, 5], 64, 1], "sizes with TinyDETR(4)")


def doubled(make: Callable, x: torch.Tensor) -> list[str]:
    """The dtypes of what a model in float64 gives."""
    model = made(make, 7).double()
    out = model(x)
    return [str(value.dtype) for value in (*model.features(x), out["pred_logits"], out["pred_boxes"])]


def away(make: Callable, x: torch.Tensor) -> list[str]:
    """The devices of what a model on another device gives."""
    model = made(make, 8)

    def found(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
        out = model(x)
        return [*model.features(x), out["pred_logits"], out["pred_boxes"], out["attention"]]

    return observe.devices_away(found, model, x)


def afterwards(make: Callable, x: torch.Tensor) -> tuple:
    """The images after a call, and whether two calls give the same."""
    model = made(make, 9)
    first, second = model(x), model(x)
    return x, (first["pred_boxes"] - second["pred_boxes"]).abs().max().item()


with checks.step("float64, another device, the images afterwards"):
    x = checks.normal(10, torch.float64)(1, 3, 8, 12)
    checks.equal(
        checks.beside(doubled, TinyDETR, x), ["torch.float64"] * 4, "the dtypes of tokens, positions, scores, boxes"
    )
    checks.equal(checks.beside(away, TinyDETR, x.float()), ["meta"] * 5, "the devices of the results")
    left, change = checks.beside(afterwards, TinyDETR, x.float())
    checks.equal(left, x.float(), "the images that were given")
    checks.equal(change, 0.0, "the difference between two calls in eval mode")
### END HIDDEN TESTS


# %% given="detections-by-hand" after="metric-hints"
# what both tests of the exercise use
def boxes_in_a_row(*lefts: float, side: float = 10.0) -> torch.Tensor:
    """Squares of one side, with these left edges."""
    left = torch.tensor(lefts, dtype=torch.float32)
    return torch.stack([left, 0 * left, left + side, 0 * left + side], dim=1).reshape(-1, 4)


def found(boxes: torch.Tensor, scores: Sequence[float], labels: Sequence[int]) -> dict:
    return {
        "boxes": boxes,
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def there(boxes: torch.Tensor, labels: Sequence[int]) -> dict:
    return {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}


# %% test="metric" points=5
with checks.step("average_precision of hit, miss, hit, hit with 3 objects, by hand"):
    # recall 1/3, 1/3, 2/3, 1; precision 1, 1/2, 2/3, 3/4; envelope 1 at 34 recalls, 3/4 at 67
    came = average_precision(torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([True, False, True, True]), 3)
    checks.that(isinstance(came, float), "the result is a float", came=type(came).__name__)
    checks.close(torch.tensor(came), torch.tensor((34 + 67 * 0.75) / 101), "average precision", causes={
        "this is the area under the curve; the mean at 101 recalls is asked": lambda: (
            checks.near(came, (1 + 0.75 + 0.75) / 3)
            and checks.near(average_precision(torch.ones(1), torch.ones(1, dtype=torch.bool), 7), 1 / 7)  # not 15 / 101
        ),
        "11 recalls were used": torch.tensor((4 + 7 * 0.75) / 11),
        "the envelope was not taken: the highest precision at this recall or a higher one": torch.tensor(
            (34 + 33 * 2 / 3 + 34 * 0.75) / 101
        ),
        "the mean precision at the hits was taken": torch.tensor((1 + 2 / 3 + 0.75) / 3),
        "the scores were sorted upward; the best comes first": torch.tensor((67 + 34 * 0.75) / 101),
    })  # fmt: skip

with checks.step("hit, hit, miss, given in another order"):
    came = average_precision(torch.tensor([0.9, 0.7, 0.8]), torch.tensor([True, False, True]), 2)
    checks.close(torch.tensor(came), torch.tensor(1.0), "average precision", causes={
        "the list was not sorted by score": torch.tensor((51 + 50 * 2 / 3) / 101),
        "the scores were sorted upward; the best comes first": torch.tensor(2 / 3),
    })  # fmt: skip

with checks.step("no detections, and only misses"):
    nothing = average_precision(torch.zeros(0), torch.zeros(0, dtype=torch.bool), 3)
    checks.equal(nothing, 0.0, "average precision of no detections")
    checks.equal(
        average_precision(torch.ones(4), torch.zeros(4, dtype=torch.bool), 3), 0.0, "average precision of misses"
    )

with checks.step("one object, found twice; one that is not there"):
    targets = [there(boxes_in_a_row(0), [0])]
    preds = [found(boxes_in_a_row(0, 0.5, 40), [0.9, 0.8, 0.7], [0, 0, 0])]
    checks.close(torch.tensor(mean_average_precision(preds, targets, (0.5,))["map"]), torch.tensor(1.0), "map")
    preds = [found(boxes_in_a_row(0.5, 40, 0), [0.9, 0.8, 0.7], [0, 0, 0])]
    targets = [there(boxes_in_a_row(0, 80), [0, 0])]  # the second object is missed, and no duplicate can replace it
    checks.close(torch.tensor(mean_average_precision(preds, targets, (0.5,))["map"]), torch.tensor(51 / 101), "map with a duplicate", causes={
        "a detection that came too late for its object was a hit all the same": torch.tensor((51 + 50 * 2 / 3) / 101),
    })  # fmt: skip

with checks.step("hits and misses that are new in every run"):
    lucky = torch.rand(7, generator=torch.Generator().manual_seed(checks.fresh_seed())) < 0.5
    rank, precision = 0, [0.0] * 101
    for place, hit in enumerate(lucky.tolist(), 1):
        rank += hit
        for r in range(101):
            if hit and 7 * r <= 100 * rank:  # recall rank / 7 is at least r / 100
                precision[r] = max(precision[r], rank / place)
    came = average_precision(torch.arange(7, 0, -1).float(), lucky, 7)
    checks.close(
        torch.tensor(came),
        torch.tensor(sum(precision) / 101),
        f"average precision of {lucky.int().tolist()} with 7 objects",
    )

with checks.step("preds and targets of different length"):
    checks.raises(
        ValueError, mean_average_precision, preds * 2, targets, name="2 images with predictions, 1 with targets"
    )

# %% test="metric" points=7 forbids="pycocotools.cocoeval.COCOeval"
with checks.step("perfect detections, scores that are new in every run"):
    scenes = datasets.shape_scenes(6, seed=5).targets
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    exact = [
        {"boxes": scene["boxes"], "labels": scene["labels"], "scores": torch.rand(len(scene["labels"]), generator=draw)}
        for scene in scenes
    ]
    came = mean_average_precision(exact, scenes)
    for name in ("map", "map_50", "map_75"):
        checks.close(torch.tensor(came[name]), torch.tensor(1.0), name)
    checks.equal(sorted(came), ["map", "map_50", "map_75", "per_class"], "the keys")
    checks.equal(sorted(came["per_class"]), [0, 1, 2], "the classes")


### BEGIN HIDDEN TESTS
def noisy(seed: int, images: int, classes: int, tied: bool = False) -> tuple[list, list]:
    """Objects in rows of an image, and detections of them: moved, doubled, missed, of the wrong class, invented."""
    draw = torch.Generator().manual_seed(seed)

    def rand(*size: int) -> torch.Tensor:
        return torch.rand(*size, generator=draw, dtype=torch.float64)

    preds, targets = [], []
    for image in range(images):
        m = 0 if image % 5 == 4 else int(torch.randint(1, 7, (), generator=draw))
        first = 100 * rand(m, 2)
        boxes = torch.cat([first, first + 15 + 30 * rand(m, 2)], dim=1)
        labels = torch.randint(classes, (m,), generator=draw)
        kept = [k for k in range(m) if rand(1) < 0.8]
        doubled = [k for k in kept if rand(1) < 0.4]
        moved = boxes[kept + doubled] + 3 * torch.randn(len(kept + doubled), 4, generator=draw, dtype=torch.float64)
        called = labels[kept + doubled].clone()
        swapped = rand(len(called)) < 0.15
        called[swapped] = (called[swapped] + 1) % classes
        invented = int(torch.randint(0, 4, (), generator=draw))
        start = 100 * rand(invented, 2)
        more = torch.cat([start, start + 10 + 30 * rand(invented, 2)], dim=1)
        scores = rand(len(moved) + invented)
        preds.append({
            "boxes": torch.cat([moved, more]).float(),
            "labels": torch.cat([called, torch.randint(classes, (invented,), generator=draw)]),
            "scores": ((scores * 4).round() / 4 if tied else scores).float(),
        })  # fmt: skip
        targets.append({"boxes": boxes.float(), "labels": labels})
    # where 10 and the number of objects have no common factor, no recall but 1 lies on one of the 101, so rounding
    # does not decide
    for label in range(classes):
        while (n := sum(int((target["labels"] == label).sum()) for target in targets)) and (n % 2 == 0 or n % 5 == 0):
            crowded = max(targets, key=lambda target, label=label: int((target["labels"] == label).sum()))
            kept = torch.arange(len(crowded["labels"])) != (crowded["labels"] == label).nonzero()[-1]
            crowded.update({name: value[kept] for name, value in crowded.items()})
    return preds, targets


def coco_says(preds: list, targets: list, thresholds: Sequence[float] = COCO_THRESHOLDS) -> dict:
    """The numbers of pycocotools for boxes of all sizes."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(items: list, more: Callable) -> list[dict]:
        rows = [
            {"image_id": image, "category_id": int(label), "bbox": [x1, y1, x2 - x1, y2 - y1]} | more(item, place)
            for image, item in enumerate(items)
            for place, (label, (x1, y1, x2, y2)) in enumerate(zip(item["labels"], item["boxes"].double().tolist()))
        ]
        return [row | {"id": number, "area": row["bbox"][2] * row["bbox"][3]} for number, row in enumerate(rows, 1)]

    truth = COCO()
    classes = sorted({int(label) for item in (*preds, *targets) for label in item["labels"]})
    truth.dataset = {
        "images": [{"id": image} for image in range(len(targets))],
        "categories": [{"id": label} for label in classes],
        "annotations": entries(targets, lambda item, place: {"iscrowd": 0}),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(
            truth, truth.loadRes(entries(preds, lambda item, place: {"score": item["scores"][place].item()})), "bbox"
        )
        judge.params.iouThrs = np.array(thresholds)
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes; -1 where a class has no object
    of_class = {label: table[:, :, k].mean().item() for k, label in enumerate(classes) if (table[:, :, k] > -1).all()}
    known = table[:, :, [k for k, label in enumerate(classes) if label in of_class]]
    at = {t: known[list(thresholds).index(t)].mean().item() if t in thresholds else math.nan for t in (0.5, 0.75)}
    return {"map": known.mean().item(), "map_50": at[0.5], "map_75": at[0.75], "per_class": of_class}


def compare(preds: list, targets: list) -> None:
    """The answer and pycocotools, within a thousandth."""
    wanted, came = coco_says(preds, targets), mean_average_precision(*copy.deepcopy((preds, targets)))
    for name in ("map", "map_50", "map_75"):
        checks.that(isinstance(came[name], float), f"{name} is a float", came=type(came[name]).__name__)
        checks.close(torch.tensor(came[name]), torch.tensor(wanted[name]), name, atol=1e-3)
    checks.equal(sorted(came["per_class"]), sorted(wanted["per_class"]), "the classes in per_class")
    for label, value in wanted["per_class"].items():
        one = came["per_class"][label]
        checks.that(isinstance(one, float), f"per_class of {label} is a float", came=type(one).__name__)
        checks.close(torch.tensor(one), torch.tensor(value), f"per_class of {label}", atol=1e-3)


for seed in (0, 1, 7):
    with checks.step(f"40 images, 3 classes, against pycocotools, seed {seed}"):
        preds, targets = noisy(seed, 40, 3)
        compare(preds, targets)

with checks.step("scores with many ties, against pycocotools"):
    preds, targets = noisy(3, 40, 2, tied=True)
    compare(preds, targets)

with checks.step("one image, one class"):
    preds, targets = noisy(6, 1, 1)
    compare(preds, targets)

with checks.step("classes that were detected and are not there, and classes that were not detected"):
    preds, targets = noisy(5, 12, 3)
    for pred in preds:
        pred["labels"] = pred["labels"] + 1  # 0 is never detected, 3 is never there
    compare(preds, targets)

with checks.step("130 detections in an image, and the object is found by the last one"):
    row = found(boxes_in_a_row(*[20.0 * k for k in range(129)], -20.0), torch.linspace(1, 0.1, 130).tolist(), [0] * 130)
    objects = [there(boxes_in_a_row(-20.0, 0.0), [0, 0]), there(boxes_in_a_row(0.0), [0])]
    both = [row, found(boxes_in_a_row(0.0), [0.05], [0])]
    wanted = coco_says(both, objects)["map"]
    checks.close(torch.tensor(mean_average_precision(both, objects)["map"]), torch.tensor(wanted), "map", causes={
        "all detections of an image were taken; COCO takes the best 100": torch.tensor((34 + 67 * 3 / 131) / 101),
    })  # fmt: skip
    two = [{"boxes": row["boxes"], "scores": row["scores"], "labels": torch.tensor([1] * 129 + [0])}]
    came = mean_average_precision(two, [there(boxes_in_a_row(-20.0), [0])])["map"]
    checks.close(torch.tensor(came), torch.tensor(1.0), "map where the 130th detection is the first of its class", causes={
        "100 detections of all classes were taken; it is 100 of each class": torch.tensor(0.0),
    })  # fmt: skip

with checks.step("the 100th detection of an image, and the 101st"):
    for place, wanted in ((100, 0.01), (101, 0.0)):
        row = boxes_in_a_row(*[20.0 * k for k in range(1, place)], 0.0)
        guessed = [found(row, torch.linspace(1, 0.1, place).tolist(), [0] * place)]
        came = mean_average_precision(guessed, [there(boxes_in_a_row(0.0), [0])])["map"]
        checks.close(torch.tensor(came), torch.tensor(wanted), f"map where only number {place} is a hit")

with checks.step("one image with many objects and many ties, against pycocotools"):
    rows = noisy(4, 60, 2, tied=True)
    crowd = [
        [{
            "boxes": torch.cat([item["boxes"] + 300.0 * k for k, item in enumerate(part)]),
            **{name: torch.cat([item[name] for item in part]) for name in part[0] if name != "boxes"},
        }]
        for part in rows
    ]  # fmt: skip
    compare(*crowd)

with checks.step("an overlap that is exactly the threshold"):
    half = [found(torch.tensor([[0.0, 0.0, 2.0, 1.0]]), [0.9], [0])]
    one = [there(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), [0])]
    checks.close(torch.tensor(mean_average_precision(half, one, (0.5,))["map"]), torch.tensor(1.0), "map at 0.5, IoU 0.5", causes={
        "an overlap of exactly the threshold was not enough; it is": torch.tensor(0.0),
    })  # fmt: skip

with checks.step("two detections near the same object, another object free"):
    objects = [there(boxes_in_a_row(0.0, 3.0), [0, 0])]
    near = [found(boxes_in_a_row(-0.4, 0.9), [0.9, 0.8], [0, 0])]  # the first one overlaps the other by less than half
    at_half = mean_average_precision(near, objects, (0.5,))["map"]
    checks.close(torch.tensor(at_half), torch.tensor(1.0), "map at 0.5: the second takes the free object, which overlaps by more than half", causes={
        "the best object was taken already, and the free one was not tried": torch.tensor(51 / 101),
    })  # fmt: skip
    compare(near, objects)

with checks.step("a detection that overlaps two objects, and a second one that overlaps only the first of them"):
    near = [found(boxes_in_a_row(2.9, -3.0), [0.9, 0.8], [0, 0])]
    at_half = mean_average_precision(near, objects, (0.5,))["map"]
    turned = [there(boxes_in_a_row(3.0, 0.0), [0, 0])]
    in_turn = mean_average_precision(near, turned, (0.5,))["map"]
    for value in (at_half, in_turn):
        checks.close(torch.tensor(value), torch.tensor(1.0), "map at 0.5", causes={
            "the first object that overlaps enough was taken, not the one that overlaps most": (
                checks.near(at_half, 51 / 101) and checks.near(in_turn, 1.0)
            ),
        })  # fmt: skip

with checks.step("other thresholds"):
    preds, targets = noisy(8, 20, 2)
    every = mean_average_precision(preds, targets)
    few = mean_average_precision(preds, targets, [0.75, 0.5])
    checks.close(torch.tensor(few["map_50"]), torch.tensor(every["map_50"]), "map_50 with the thresholds 0.75 and 0.5")
    checks.close(torch.tensor(few["map_75"]), torch.tensor(every["map_75"]), "map_75 with the thresholds 0.75 and 0.5")
    checks.close(
        torch.tensor(few["map"]), torch.tensor((every["map_50"] + every["map_75"]) / 2), "map with these two", atol=1e-4
    )
    wanted = coco_says(preds, targets, (0.9, 0.3))
    low = mean_average_precision(preds, targets, (0.9, 0.3))
    checks.that(
        math.isnan(low["map_50"]) and math.isnan(low["map_75"]),
        "map_50 and map_75 are NaN with 0.9 and 0.3",
        came=f"{low}",
    )
    checks.close(torch.tensor(low["map"]), torch.tensor(wanted["map"]), "map with 0.9 and 0.3", atol=1e-3)
    for label, value in wanted["per_class"].items():
        checks.close(torch.tensor(low["per_class"][label]), torch.tensor(value), f"per_class of {label}", atol=1e-3)

with checks.step("nothing at all"):
    for preds in ([], [found(boxes_in_a_row(0.0), [0.5], [0])]):
        came = mean_average_precision(preds, [there(boxes_in_a_row(), [])] * len(preds))
        checks.that(
            all(isinstance(came[name], float) and math.isnan(came[name]) for name in ("map", "map_50", "map_75")),
            "the three numbers are NaN",
            came=f"{came}",
        )
        checks.equal(came["per_class"], {}, "per_class")

with checks.step("objects, and no detection in any image"):
    came = mean_average_precision([found(boxes_in_a_row(), [], [])], [there(boxes_in_a_row(0.0), [2])])
    checks.equal([came["map"], came["map_50"], came["per_class"]], [0.0, 0.0, {2: 0.0}], "map, map_50, per_class")


def after_asking(fn: Callable, preds: list, targets: list) -> tuple:
    """The arguments after a call."""
    fn(preds, targets)
    return preds, targets


with checks.step("the arguments afterwards"):
    preds, targets = noisy(9, 5, 2)
    for was, now in zip(
        (preds, targets), checks.beside(after_asking, mean_average_precision, *copy.deepcopy((preds, targets)))
    ):
        for one, other in checks.each(was, now):
            checks.equal(sorted(other), sorted(one), "the keys of an image")
            for name in one:
                checks.equal(other[name], one[name], f"{name} of an image")

with checks.step("built from basic operations"):
    checks.forbidden(FORBIDDEN, mean_average_precision, *noisy(10, 3, 2))
### END HIDDEN TESTS
