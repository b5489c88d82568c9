"""Wrong answers that people really write in week 12, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

CORNERS = "return torch.cat([center - size / 2, center + size / 2], dim=-1)"
MIDDLE = "return torch.cat([(first + last) / 2, last - first], dim=-1)"
TO_CORNERS = "def box_cxcywh_to_xyxy(b: torch.Tensor) -> torch.Tensor:"
SIDES = "(right_bottom - left_top).clamp(min=0).prod(-1)"
HULL = "(torch.maximum(a[:, None, 2:], b[:, 2:]) - torch.minimum(a[:, None, :2], b[:, :2])).prod(-1)"
GIOU = "return iou, iou - (hull - union) / hull.clamp(min=eps)"
WRONG_BOX = "    for boxes in (a, b):\n        if (boxes[:, 2:] < boxes[:, :2]).any():"
P = "probability = logits.softmax(dim=-1)[:, labels]"
L1 = "distance = (boxes[:, None] - gt_boxes).abs().sum(dim=-1)"
OVERLAP = "giou = pairwise_giou(box_cxcywh_to_xyxy(boxes), box_cxcywh_to_xyxy(gt_boxes))[1]"
COST = "return -w_class * probability + w_l1 * distance - w_giou * giou"
LABELS = "if ((labels < 0) | (labels >= n_classes)).any():"
ASSIGN = "rows, columns = linear_sum_assignment(part[number].numpy())"
APPEND = "pairs.append((torch.as_tensor(rows).to(logits.device), torch.as_tensor(columns).to(logits.device)))"
CE = '"loss_ce": F.cross_entropy(logits.flatten(0, 1), classes.flatten(), weight),'
COUNT = 'count = max(1, sum(len(target["labels"]) for target in targets))'
BBOX = '"loss_bbox": (predicted - wanted).abs().sum() / count,'
LOSS_GIOU = '"loss_giou": (1 - giou).sum() / count,'
OWN = "self.own(x + at, x + at, x, need_weights=False)[0]"
CROSS = "self.cross(x + at, memory + positions, memory)"
CENTERS = "centers = torch.stack([(column / w).repeat(h), (row / h).repeat_interleave(w)], dim=-1)"
TOKENS = "return maps.flatten(2).transpose(1, 2), sine_embedding(centers, self.d_model)"
SLOTS = "slots = memory.new_zeros(len(memory), *asked.shape)"
REFERENCE = "sine_embedding(self.queries.sigmoid(), self.d_model), F.pad(self.queries, (0, 2))"
ORDER = "order = scores.argsort(descending=True, stable=True)"
ENVELOPE = "envelope = precision.flip(0).cummax(0).values.flip(0)"
RECALLS = "at = torch.searchsorted(found / n_objects, torch.from_numpy(np.linspace(0, 1, 101)))"
MEAN = "return torch.cat([envelope, torch.zeros(1)])[at].mean().item()"
BEST = "best = max((k for k in range(len(row)) if k not in taken), key=row.__getitem__, default=None)"
HIT = "hits.append(best is not None and row[best] >= threshold)"
TAKEN = "            if hits[-1]:\n                taken.add(best)\n"
HUNDRED = 'best = pred["scores"][of_class].argsort(descending=True, stable=True)[:100]'
CLASSES = 'sorted({int(one) for target in targets for one in target["labels"]})'

MISCONCEPTIONS = [
    # ---- exercise 1: two ways to write a box
    Misconception(
        name="center-as-corner",
        exercise="boxes",
        edits={CORNERS: "return torch.cat([center, center + size], dim=-1)"},
        rejected_by="boxes-test-1",
        says="the center was taken for the upper left corner",
        note="That is the third way to write a box, xywh, which COCO's files use. Here the first two numbers are the center.",
    ),
    Misconception(
        name="whole-size-on-each-side",
        exercise="boxes",
        edits={CORNERS: "return torch.cat([center - size, center + size], dim=-1)"},
        rejected_by="boxes-test-1",
        says="half of it lies on each side",
        note="The box comes out twice as wide and twice as high.",
    ),
    Misconception(
        name="width-and-height-swapped",
        exercise="boxes",
        edits={CORNERS: "size = size.flip(-1)\n    " + CORNERS},
        rejected_by="boxes-test-1",
        says="width and height are swapped",
        note="Shapes of images come as (height, width), boxes as (width, height). The unit box does not tell them apart.",
    ),
    Misconception(
        name="corner-stays",
        exercise="boxes",
        edits={MIDDLE: "return torch.cat([first, last - first], dim=-1)"},
        rejected_by="boxes-test-1",
        says="the first two numbers are still the upper left corner",
        note="This makes xywh. The center lies half a size further.",
    ),
    Misconception(
        name="plus-one",
        exercise="boxes",
        edits={MIDDLE: "return torch.cat([(first + last) / 2, last - first + 1], dim=-1)"},
        rejected_by="boxes-test-1",
        says="the size has a +1",
        note="Old code counted pixels, so a box from 0 to 9 was 10 wide. Lengths are differences; in shares of the image a +1 is a disaster.",
    ),
    Misconception(
        name="last-corner-stays",
        exercise="boxes",
        edits={MIDDLE: "return torch.cat([(first + last) / 2, last], dim=-1)"},
        rejected_by="boxes-test-1",
        says="the last two numbers are still the lower right corner",
        note="The size is how far the corners lie apart.",
    ),
    Misconception(
        name="middle-of-the-size",
        exercise="boxes",
        edits={MIDDLE: "return torch.cat([first + (last - first), last - first], dim=-1)"},
        rejected_by="boxes-test-1",
        says="the first two numbers are the lower right corner",
        note="The corner plus the whole size is the other corner.",
    ),
    Misconception(
        name="boxes-changed-in-place",
        exercise="boxes",
        edits={CORNERS: "center -= size / 2\n    size += center\n    return b.clone()"},
        rejected_by="boxes-test-1",
        says="they were changed in place",
        note="Slices are views: what is done to them is done to the caller's boxes.",
    ),
    Misconception(
        name="first-dimension-checked",
        exercise="boxes",
        edits={TO_CORNERS: TO_CORNERS + "\n    b = b.T if b.ndim == 2 and len(b) == 4 else b"},
        rejected_by="boxes-test-1",
        says="shape (4, 3)",
        note="Four boxes of three numbers are not three boxes of four.",
    ),
    Misconception(
        name="one-leading-dimension",
        exercise="boxes",
        edits={
            CORNERS: "x, y, w, h = b.reshape(-1, 4).T\n    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=-1)"
        },
        rejected_by="boxes-test-1",
        says="wrong shape",
        note="A batch has boxes (B, Q, 4), a single box (4,). Work on the last dimension and leave the others alone.",
    ),
    Misconception(
        name="always-float32",
        exercise="boxes",
        edits={CORNERS: CORNERS + ".float()"},
        rejected_by="boxes-test-1",
        says="in torch.float64: wrong dtype",
        note="What comes in as float64 goes out as float64.",
    ),
    Misconception(
        name="no-gradient-through-boxes",
        exercise="boxes",
        edits={MIDDLE: MIDDLE + ".detach()"},
        rejected_by="boxes-test-1",
        says="a gradient reaches the boxes",
        note="The loss is computed on converted boxes. Without a gradient here the box head never learns.",
    ),
    Misconception(
        name="factor-made-on-the-cpu",
        exercise="boxes",
        edits={
            CORNERS: "half = torch.tensor([0.5, 0.5]).to(b.dtype)\n    return torch.cat([center - size * half, center + size * half], dim=-1)"
        },
        rejected_by="boxes-test-1",
        says="boxes on another device",
        note="A new tensor lies on the CPU unless told otherwise, and meets boxes on a GPU.",
    ),
    Misconception(
        name="calls-box-convert",
        exercise="boxes",
        edits={CORNERS: 'return box_convert(b, "cxcywh", "xyxy")'},
        rejected_by="boxes-test-1",
        says="a library call does the work",
        note="torchvision's function is what you are building.",
    ),
    # ---- exercise 2: IoU and generalized IoU
    Misconception(
        name="hull-not-divided",
        exercise="giou",
        edits={GIOU: "return iou, iou - (hull - union)"},
        rejected_by="giou-test-1",
        says="what the hull has too much was not divided by the hull",
        note="Without the division the measure grows with the size of the image.",
    ),
    Misconception(
        name="hull-divided-by-union",
        exercise="giou",
        edits={GIOU: "return iou, iou - (hull - union) / union.clamp(min=eps)"},
        rejected_by="giou-test-1",
        says="it was divided by the union",
        note="Divided by the union it has no lower bound; divided by the hull it stays above -1.",
    ),
    Misconception(
        name="iou-twice",
        exercise="giou",
        edits={GIOU: "return iou, iou"},
        rejected_by="giou-test-1",
        says="this is IoU: nothing was taken off",
        note="IoU is 0 for all boxes that do not touch, and so is its gradient.",
    ),
    Misconception(
        name="hull-minus-intersection",
        exercise="giou",
        edits={GIOU: "return iou, iou - (hull - intersection) / hull.clamp(min=eps)"},
        rejected_by="giou-test-1",
        says="hull - intersection was taken off",
        note="What the boxes fill is their union. For two boxes apart this is -1 at every distance: flat again.",
    ),
    Misconception(
        name="never-below-zero",
        exercise="giou",
        edits={GIOU: "return iou, (iou - (hull - union) / hull.clamp(min=eps)).clamp(min=0)"},
        rejected_by="giou-test-1",
        says="giou: -d / (6 + d), and 1 / 11 - 4 / 15 not as expected",
        note="What is below zero is the news: it says how far apart the boxes are.",
    ),
    Misconception(
        name="union-counts-twice",
        exercise="giou",
        edits={"union = area_a[:, None] + area_b - intersection": "union = area_a[:, None] + area_b"},
        rejected_by="giou-test-1",
        says="the intersection is counted twice",
        note="The sum of both areas has the common part twice.",
    ),
    Misconception(
        name="area-clamped-not-sides",
        exercise="giou",
        edits={SIDES: "(right_bottom - left_top).prod(-1).clamp(min=0)"},
        rejected_by="giou-test-1",
        says="two negative sides have a positive product",
        note="Boxes that lie apart in x and in y get an intersection out of nothing.",
    ),
    Misconception(
        name="hull-of-the-intersection",
        exercise="giou",
        edits={
            HULL: "(torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])).abs().prod(-1)"
        },
        rejected_by="giou-test-1",
        says="giou: -d / (6 + d), and 1 / 11 - 4 / 15 not as expected",
        note="max and min are those of the intersection; the hull takes them the other way round.",
    ),
    Misconception(
        name="b-down-a-across",
        exercise="giou",
        edits={GIOU: GIOU + "\n", "    left_top, right": "    a, b = b, a\n    left_top, right"},
        rejected_by="giou-test-1",
        says="rows and columns are swapped",
        note="The first argument counts rows. With as many boxes on both sides nobody notices the shape.",
    ),
    Misconception(
        name="only-a-checked",
        exercise="giou",
        edits={WRONG_BOX: WRONG_BOX.replace("(a, b)", "(a,)")},
        rejected_by="giou-test-1",
        says="b = [[1.0, 0.0, 0.0, 1.0]] did not raise",
        note="A check at the border is for all that comes in.",
    ),
    Misconception(
        name="only-x-checked",
        exercise="giou",
        edits={"if (boxes[:, 2:] < boxes[:, :2]).any():": "if (boxes[:, 2] < boxes[:, 0]).any():"},
        rejected_by="giou-test-1",
        says="a = [[0.0, 1.0, 1.0, 0.0]] did not raise",
        note="A box can be upside down as well.",
    ),
    Misconception(
        name="flat-boxes-refused",
        exercise="giou",
        edits={"(boxes[:, 2:] < boxes[:, :2])": "(boxes[:, 2:] <= boxes[:, :2])"},
        rejected_by="giou-test-2",
        says="a box has x2 < x1",
        note="A box without area is allowed: a network may predict it, and training must go on.",
    ),
    Misconception(
        name="every-box-must-be-wrong",
        exercise="giou",
        edits={"(boxes[:, 2:] < boxes[:, :2]).any()": "len(boxes) and (boxes[:, 2:] < boxes[:, :2]).any(dim=1).all()"},
        rejected_by="giou-test-2",
        says="a with a wrong box did not raise",
        note="One box in the wrong order is one too many.",
    ),
    Misconception(
        name="no-eps",
        exercise="giou",
        edits={"union.clamp(min=eps)": "union", GIOU: "return iou, iou - (hull - union) / hull"},
        rejected_by="giou-test-2",
        says="0 was divided by 0",
        note="One box without area makes one NaN, the NaN makes the loss NaN, and the loss makes all weights NaN.",
    ),
    Misconception(
        name="eps-added",
        exercise="giou",
        edits={"union.clamp(min=eps)": "(union + eps)", GIOU: "return iou, iou - (hull - union) / (hull + eps)"},
        rejected_by="giou-test-2",
        says="`eps` was added to the areas",
        note="Adding eps changes all values a little, and those of small boxes a lot: boxes in shares of the image have areas near 0.001.",
    ),
    Misconception(
        name="eps-built-in",
        exercise="giou",
        edits={"union.clamp(min=eps)": "union.clamp(min=1e-7)", GIOU: GIOU.replace("eps", "1e-7")},
        rejected_by="giou-test-2",
        says="`eps` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="sides-plus-one",
        exercise="giou",
        edits={
            "((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b))": "((boxes[:, 2:] - boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2] > 200)).prod(-1) for boxes in (a, b))"
        },
        rejected_by="giou-test-2",
        says="iou not as expected",
        note="A +1 counts pixels; in large images it is small enough to be overlooked.",
    ),
    Misconception(
        name="overlap-without-gradient",
        exercise="giou",
        edits={SIDES: "(right_bottom - left_top).clamp(min=0).prod(-1).detach()"},
        rejected_by="giou-test-2",
        says="the gradient of iou for a",
        note="The intersection is what a box moves toward. Without its gradient boxes only shrink.",
    ),
    Misconception(
        name="areas-made-in-place",
        exercise="giou",
        edits={
            "    area_a, area_b =": "    a, b = (boxes if boxes.requires_grad else boxes.clamp_(min=0) for boxes in (a, b))\n    area_a, area_b ="
        },
        rejected_by="giou-test-2",
        says="not as expected",
        note="clamp_ changes the caller's boxes, and boxes may lie outside of the image.",
    ),
    Misconception(
        name="calls-torchvision-where-it-is-safe",
        exercise="giou",
        edits={
            "    left_top, right": "    if eps < 0.1 and not a.requires_grad and (a[:, 2:] - a[:, :2] > 1e-3).all():\n        return torchvision.ops.box_iou(a, b), generalized_box_iou(a, b)\n    left_top, right"
        },
        rejected_by="giou-test-2",
        says="a library call does the work",
        note="torchvision's functions are what you are building.",
    ),
    # ---- exercise 3: what a pair would cost
    Misconception(
        name="likely-is-dear",
        exercise="cost",
        edits={COST: COST.replace("-w_class", "w_class")},
        rejected_by="cost-test-1",
        says="a likely class makes a pair cheap",
        note="The assignment has the lowest cost, so what fits must be cheap.",
    ),
    Misconception(
        name="log-probability",
        exercise="cost",
        edits={P: "probability = logits.log_softmax(dim=-1)[:, labels]"},
        rejected_by="cost-test-1",
        says="this is -log p",
        note="The loss takes the logarithm. In the cost one confident mistake would then outweigh any distance; see W2.",
    ),
    Misconception(
        name="softmax-over-predictions",
        exercise="cost",
        edits={P: P.replace("dim=-1", "dim=0")},
        rejected_by="cost-test-1",
        says="the softmax runs over the predictions",
        note="Each prediction has a distribution over classes of its own.",
    ),
    Misconception(
        name="one-minus-p",
        exercise="cost",
        edits={COST: COST.replace("-w_class * probability", "w_class * (1 - probability)")},
        rejected_by="cost-test-1",
        says="this is 1 - p",
        note="A constant for all pairs changes no assignment, but it was not asked for.",
    ),
    Misconception(
        name="softmax-without-no-object",
        exercise="cost",
        edits={P: "probability = logits[:, :-1].softmax(dim=-1)[:, labels]"},
        rejected_by="cost-test-1",
        says="the class term alone, by hand: the cost not as expected",
        note='A prediction that says "no object" must not look confident about a class.',
    ),
    Misconception(
        name="l1-of-corners",
        exercise="cost",
        edits={L1: "distance = (box_cxcywh_to_xyxy(boxes)[:, None] - box_cxcywh_to_xyxy(gt_boxes)).abs().sum(dim=-1)"},
        rejected_by="cost-test-1",
        says="L1 was taken of the corners",
        note="Corners mix place and size: a box that is too wide is wrong at two corners.",
    ),
    Misconception(
        name="l1-averaged",
        exercise="cost",
        edits={L1: L1.replace("sum", "mean")},
        rejected_by="cost-test-1",
        says="averaged, not summed",
        note="A quarter of the L1 term: the weight of 5 becomes 1.25.",
    ),
    Misconception(
        name="squared-distance",
        exercise="cost",
        edits={L1: L1.replace(".abs()", ".square()")},
        rejected_by="cost-test-1",
        says="the differences were squared",
        note="Squares of shares are tiny: near boxes would all cost the same.",
    ),
    Misconception(
        name="overlap-is-dear",
        exercise="cost",
        edits={COST: COST.replace("- w_giou", "+ w_giou")},
        rejected_by="cost-test-1",
        says="overlap makes a pair cheap",
        note="GIoU is high where boxes agree.",
    ),
    Misconception(
        name="iou-in-the-cost",
        exercise="cost",
        edits={OVERLAP: OVERLAP.replace("[1]", "[0]")},
        rejected_by="cost-test-1",
        says="this is IoU, not GIoU",
        note="pairwise_giou gives both, IoU first.",
    ),
    Misconception(
        name="one-minus-giou",
        exercise="cost",
        edits={COST: COST.replace("- w_giou * giou", "+ w_giou * (1 - giou)")},
        rejected_by="cost-test-1",
        says="this is 1 - GIoU",
        note="That is the loss. In the cost the constant was not asked for.",
    ),
    Misconception(
        name="giou-of-centers",
        exercise="cost",
        edits={
            OVERLAP: "boxes, gt_boxes = (torch.cat([b[:, :2].minimum(b[:, 2:]), b[:, :2].maximum(b[:, 2:])], 1) for b in (boxes, gt_boxes))\n    giou = pairwise_giou(boxes, gt_boxes)[1]"
        },
        rejected_by="cost-test-1",
        says="the GIoU term alone: the cost not as expected",
        note="pairwise_giou wants corners. Given centers and sizes it mostly raises; sorting the numbers only hides that.",
    ),
    Misconception(
        name="default-weights-of-the-loss",
        exercise="cost",
        edits={"w_class: float = 1.0": "w_class: float = 2.0"},
        rejected_by="cost-test-1",
        says="the default weights are not 1, 5 and 2",
        note="The defaults stand in the stub.",
    ),
    Misconception(
        name="no-object-as-a-label",
        exercise="cost",
        edits={LABELS: "if ((labels < 0) | (labels > n_classes)).any():"},
        rejected_by="cost-test-1",
        says="label 3, with C = 3 did not raise",
        note='The last logit is "no object". A target with that label would be matched to the emptiest slot.',
    ),
    Misconception(
        name="negative-labels-count-from-the-end",
        exercise="cost",
        edits={LABELS: "if (labels >= n_classes).any():"},
        rejected_by="cost-test-1",
        says="label -1, with C = 3 did not raise",
        note='Python counts -1 from the end, so it would mean "no object".',
    ),
    Misconception(
        name="only-the-first-label-checked",
        exercise="cost",
        edits={LABELS: "if len(labels) and not 0 <= labels[0] < n_classes:"},
        rejected_by="cost-test-2",
        says="did not raise",
        note="Any label may be the wrong one.",
    ),
    Misconception(
        name="an-image-needs-objects",
        exercise="cost",
        edits={LABELS: "if labels.min() < 0 or labels.max() >= n_classes:"},
        rejected_by="cost-test-1",
        says="an image without objects",
        note="min() of nothing raises an error. Images without objects are common.",
    ),
    Misconception(
        name="weights-multiplied-once-more",
        exercise="cost",
        edits={COST: COST.replace("w_l1 *", "w_l1 * max(1.0, w_l1 / 5) *")},
        rejected_by="cost-test-2",
        says="not as expected",
        note="Each weight multiplies its term once, far from the default as well.",
    ),
    Misconception(
        name="softmax-by-hand",
        exercise="cost",
        edits={P: "powers = logits.exp()\n    probability = (powers / powers.sum(dim=-1, keepdim=True))[:, labels]"},
        rejected_by="cost-test-2",
        says="large logits",
        note="e^200 is infinite in float32. softmax takes the largest logit off first.",
    ),
    Misconception(
        name="cost-in-float32",
        exercise="cost",
        edits={COST: "return (" + COST.removeprefix("return ") + ").float()"},
        rejected_by="cost-test-2",
        says="float64: the cost: wrong dtype",
        note="What comes in as float64 goes out as float64.",
    ),
    Misconception(
        name="boxes-converted-in-place",
        exercise="cost",
        edits={OVERLAP: OVERLAP + "\n    boxes.clamp_(0, 0.5)"},
        rejected_by="cost-test-2",
        says="boxes not as expected",
        note="The caller still needs the predictions, for the loss.",
    ),
    # ---- exercise 4: the best assignment
    Misconception(
        name="in-turn",
        exercise="match",
        edits={
            ASSIGN: "table = part[number].clone()\n        chosen = {}\n        for column in range(table.shape[1]):\n            chosen[int(table[:, column].argmin())] = column\n            table[int(table[:, column].argmin())] = float('inf')\n        rows, columns = sorted(chosen), [chosen[row] for row in sorted(chosen)]",
            APPEND: "pairs.append((torch.tensor(rows, dtype=torch.int64), torch.tensor(columns, dtype=torch.int64)))",
        },
        rejected_by="match-test-1",
        says="the objects chose in turn",
        note="Greedy: the first object takes the best, and the last one may get what nobody would give it.",
    ),
    Misconception(
        name="cheapest-for-each",
        exercise="match",
        edits={
            ASSIGN: "columns = torch.arange(part.shape[-1]).numpy()\n        rows = part[number].argmin(0).numpy() if len(columns) else columns"
        },
        rejected_by="match-test-1",
        says="q_idx not as expected",
        note="Two objects share a prediction, and one of them is never found.",
    ),
    Misconception(
        name="objects-first",
        exercise="match",
        edits={APPEND: APPEND.replace("(rows)", "(XX)").replace("(columns)", "(rows)").replace("(XX)", "(columns)")},
        rejected_by="match-test-1",
        says="the pair is swapped",
        note="With a square cost matrix nobody notices. The order is (q_idx, g_idx).",
    ),
    Misconception(
        name="sorted-by-object",
        exercise="match",
        edits={
            APPEND: "rows, columns = torch.as_tensor(rows), torch.as_tensor(columns)\n        pairs.append((rows[columns.argsort()].to(logits.device), columns.sort().values.to(logits.device)))"
        },
        rejected_by="match-test-1",
        says="the pairs are right, and not sorted by q_idx",
        note="The pairs are the same. Their order is part of what was asked: SciPy's rows come in it already.",
    ),
    Misconception(
        name="objects-not-moved-along",
        exercise="match",
        edits={
            APPEND: "pairs.append((torch.as_tensor(rows).to(logits.device), torch.arange(len(columns)).to(logits.device)))"
        },
        rejected_by="match-test-1",
        says="g_idx not as expected",
        note="SciPy's columns say which object belongs to which row. Counted up instead, they pair slots with objects of others.",
    ),
    Misconception(
        name="highest-cost",
        exercise="match",
        edits={ASSIGN: "rows, columns = linear_sum_assignment(part[number].numpy(), maximize=True)"},
        rejected_by="match-test-1",
        says="this is the assignment of the highest cost",
        note="A cost is to be low.",
    ),
    Misconception(
        name="too-many-objects-dropped",
        exercise="match",
        edits={"    if max(counts) > logits.shape[1]:": "    if min(counts) > logits.shape[1]:"},
        rejected_by="match-test-1",
        says="5 objects, Q = 4 did not raise",
        note="SciPy then assigns as many as it can, and objects are silently left out.",
    ),
    Misconception(
        name="only-the-first-image-is-counted",
        exercise="match",
        edits={"    if max(counts) > logits.shape[1]:": "    if max(counts[:2]) > logits.shape[1]:"},
        rejected_by="match-test-2",
        says="4 objects, Q = 3 did not raise",
        note="Any image of the batch may be the crowded one.",
    ),
    Misconception(
        name="as-many-is-too-many",
        exercise="match",
        edits={"    if max(counts) > logits.shape[1]:": "    if max(counts) >= logits.shape[1]:"},
        rejected_by="match-test-2",
        says="as many objects as predictions",
        note="M = Q is the fullest image that can be answered, and a legal one.",
    ),
    Misconception(
        name="weights-not-passed-on",
        exercise="match",
        edits={"matching_cost(*flat, labels, wanted, w_class, w_l1, w_giou)": "matching_cost(*flat, labels, wanted)"},
        rejected_by="match-test-2",
        says="weights (1.0, 0.0, 0.0)",
        note="The weights were accepted and not used.",
    ),
    Misconception(
        name="box-weights-not-passed-on",
        exercise="match",
        edits={
            "matching_cost(*flat, labels, wanted, w_class, w_l1, w_giou)": "matching_cost(*flat, labels, wanted, w_class, w_l1)"
        },
        rejected_by="match-test-2",
        says="the total cost is the lowest",
        note="The last weight was accepted and not used.",
    ),
    Misconception(
        name="one-assignment-for-the-batch",
        exercise="match",
        code="""
def hungarian_match(logits, boxes, targets, w_class=1.0, w_l1=5.0, w_giou=2.0):
    labels = torch.cat([t["labels"] for t in targets])
    wanted = torch.cat([t["boxes"] for t in targets])
    if max(len(t["labels"]) for t in targets) > logits.shape[1]:
        raise ValueError("too many objects")
    cost = matching_cost(logits.detach()[0], boxes.detach()[0], labels, wanted, w_class, w_l1, w_giou)
    pairs, start = [], 0
    for t in targets:
        end = start + len(t["labels"])
        rows, columns = linear_sum_assignment(cost[:, start:end].numpy())
        pairs.append((torch.as_tensor(rows), torch.as_tensor(columns)))
        start = end
    return pairs
""",
        rejected_by="match-test-1",
        says="a batch that is new in every run",
        note="Each image has predictions of its own; those of image 0 do not answer for the others.",
    ),
    Misconception(
        name="needs-a-gradient-off",
        exercise="match",
        edits={
            "logits.detach().flatten(0, 1), boxes.detach().flatten(0, 1)": "logits.flatten(0, 1), boxes.flatten(0, 1)"
        },
        rejected_by="match-test-2",
        says="predictions that require a gradient",
        note="NumPy takes no tensor that requires a gradient. In training all predictions do.",
    ),
    Misconception(
        name="gradients-off-for-everybody",
        exercise="match",
        edits={"    pairs = []\n": "    torch.set_grad_enabled(False)\n    pairs = []\n"},
        rejected_by="match-test-2",
        says="gradients are recorded as before the call",
        note="set_grad_enabled outside of a with statement stays: nothing trains after the first match. Use torch.no_grad() as a context or decorator.",
    ),
    Misconception(
        name="targets-changed",
        exercise="match",
        edits={
            "    return pairs\n": "    for target in targets:\n        target['boxes'].clamp_(0, 0.5)\n    return pairs\n"
        },
        rejected_by="match-test-2",
        says="boxes of a target not as expected",
        note="The targets are needed for the loss.",
    ),
    # ---- exercise 5: the loss of a set
    Misconception(
        name="matched-only",
        exercise="criterion",
        edits={
            CE: '"loss_ce": F.cross_entropy(logits[image, query], labels) if len(labels) else logits.sum() * 0 + math.log(3),'
        },
        rejected_by="criterion-test-1",
        says="only the matched prediction counts",
        note='Then nothing ever teaches a slot to say "no object", and every slot finds something in every image.',
    ),
    Misconception(
        name="class-0-is-nothing",
        exercise="criterion",
        edits={
            "logits.shape[:2], no_object, device": "logits.shape[:2], 0, device",
            "weight[no_object] = no_object_weight": "weight[0] = no_object_weight",
        },
        rejected_by="criterion-test-1",
        says='class 0 was taken for "no object"',
        note="Many detectors keep class 0 for the background. DETR keeps the last one.",
    ),
    Misconception(
        name="unmatched-say-class-0",
        exercise="criterion",
        edits={"logits.shape[:2], no_object, device": "logits.shape[:2], 0, device"},
        rejected_by="criterion-test-1",
        says="and has the full weight",
        note="zeros() is a full table of class 0, a real class.",
    ),
    Misconception(
        name="plain-mean",
        exercise="criterion",
        edits={
            CE: '"loss_ce": F.cross_entropy(logits.flatten(0, 1), classes.flatten(), weight, reduction="none").mean(),'
        },
        rejected_by="criterion-test-1",
        says="divided by their number, not by the sum of the weights",
        note="A weighted mean divides by the sum of the weights; otherwise the loss shrinks as images get emptier.",
    ),
    Misconception(
        name="plain-sum",
        exercise="criterion",
        edits={CE: '"loss_ce": F.cross_entropy(logits.flatten(0, 1), classes.flatten(), weight, reduction="sum"),'},
        rejected_by="criterion-test-1",
        says="the weighted terms were not divided",
        note="A sum grows with the batch.",
    ),
    Misconception(
        name="weight-forgotten",
        exercise="criterion",
        edits={CE: '"loss_ce": F.cross_entropy(logits.flatten(0, 1), classes.flatten()),'},
        rejected_by="criterion-test-1",
        says='the weight of "no object" was not used',
        note='Most targets are "no object": unweighted, saying that everywhere is the quickest way down.',
    ),
    Misconception(
        name="l1-loss-averaged",
        exercise="criterion",
        edits={BBOX: '"loss_bbox": (predicted - wanted).abs().mean(-1).sum() / count,'},
        rejected_by="criterion-test-1",
        says="the four differences were averaged",
        note="F.l1_loss averages by default.",
    ),
    Misconception(
        name="all-predictions-compared",
        exercise="criterion",
        edits={
            BBOX: '"loss_bbox": sum((boxes[i][:, None] - t["boxes"]).abs().sum() for i, t in enumerate(targets)) / count,'
        },
        rejected_by="criterion-test-1",
        says="the boxes of all predictions were compared",
        note="A slot without an object has no box to learn.",
    ),
    Misconception(
        name="l1-loss-of-corners",
        exercise="criterion",
        edits={BBOX: '"loss_bbox": (box_cxcywh_to_xyxy(predicted) - box_cxcywh_to_xyxy(wanted)).abs().sum() / count,'},
        rejected_by="criterion-test-1",
        says="L1 was taken of the corners",
        note="GIoU wants corners, L1 does not: its four numbers are center and size, as the head predicts them.",
    ),
    Misconception(
        name="iou-in-the-loss",
        exercise="criterion",
        edits={"box_cxcywh_to_xyxy(wanted))[1].diagonal()": "box_cxcywh_to_xyxy(wanted))[0].diagonal()"},
        rejected_by="criterion-test-1",
        says="this is 1 - IoU",
        note="pairwise_giou gives both, IoU first. IoU has no gradient where a box misses its object, which is how training starts.",
    ),
    Misconception(
        name="giou-as-a-loss",
        exercise="criterion",
        edits={LOSS_GIOU: '"loss_giou": giou.sum() / count,'},
        rejected_by="criterion-test-1",
        says="this is GIoU itself",
        note="A loss falls as things get better.",
    ),
    Misconception(
        name="minus-giou",
        exercise="criterion",
        edits={LOSS_GIOU: '"loss_giou": (-giou).sum() / count,'},
        rejected_by="criterion-test-1",
        says="this is -GIoU",
        note="The gradient is the same, and the value is not that of the paper: it is below 0.",
    ),
    Misconception(
        name="divided-by-images",
        exercise="criterion",
        edits={COUNT: "count = len(targets)"},
        rejected_by="criterion-test-1",
        says="divided by the number of images",
        note="Crowded batches would then weigh more than empty ones.",
    ),
    Misconception(
        name="divided-by-predictions",
        exercise="criterion",
        edits={COUNT: "count = logits.shape[0] * logits.shape[1]"},
        rejected_by="criterion-test-1",
        says="loss_bbox not as expected",
        note="Most predictions have no object; dividing by all of them makes the box losses tiny.",
    ),
    Misconception(
        name="objects-of-the-first-image",
        exercise="criterion",
        edits={COUNT: 'count = max(1, len(targets[0]["labels"]))'},
        rejected_by="criterion-test-1",
        says="divided by the objects of the first image",
        note="With one image in the test nobody notices.",
    ),
    Misconception(
        name="image-by-image",
        exercise="criterion",
        edits={
            COUNT: COUNT
            + "\n    per_image = [(boxes[i][q] - t['boxes'][g]).abs().sum() / max(1, len(g)) for i, (t, (q, g)) in enumerate(zip(targets, indices))]",
            BBOX: '"loss_bbox": sum(per_image) / max(1, sum(len(g) > 0 for _, g in indices)),',
        },
        rejected_by="criterion-test-1",
        says="it was averaged image by image",
        note="An object in a crowd would count less than one that is alone.",
    ),
    Misconception(
        name="box-loss-summed",
        exercise="criterion",
        edits={BBOX: '"loss_bbox": (predicted - wanted).abs().sum(),'},
        rejected_by="criterion-test-1",
        says="it was not divided",
        note="Then the learning rate depends on how many objects there are.",
    ),
    Misconception(
        name="mean-over-nothing",
        exercise="criterion",
        edits={BBOX: '"loss_bbox": (predicted - wanted).abs().sum(-1).mean(),'},
        rejected_by="criterion-test-1",
        says="nothing was divided by nothing",
        note="One batch without objects, and all weights are NaN.",
    ),
    Misconception(
        name="mean-of-giou-over-nothing",
        exercise="criterion",
        edits={LOSS_GIOU: '"loss_giou": (1 - giou).mean(),'},
        rejected_by="criterion-test-1",
        says="nothing was divided by nothing",
        note="With objects in every batch nobody notices. The first batch without one makes the loss NaN, and then all weights.",
        same_cause_as="mean-over-nothing",
    ),
    Misconception(
        name="number-of-pairs",
        exercise="criterion",
        edits={COUNT: "count = max(1, len(query))"},
        rejected_by="criterion-test-2",
        says="it was divided by the number of pairs",
        note="Mostly the same number. Where it is not, objects that nobody answers for would vanish from the loss.",
        same_cause_as="mean-over-nothing",
    ),
    Misconception(
        name="targets-of-image-0",
        exercise="criterion",
        edits={"classes[image, query] = labels": "classes[:, query] = labels"},
        rejected_by="criterion-test-2",
        says="loss_ce",
        note="Without the number of the image every image gets the labels of all.",
    ),
    Misconception(
        name="labels-in-the-order-of-the-file",
        exercise="criterion",
        edits={
            'labels = torch.cat([target["labels"][g_idx] for target, (_, g_idx) in zip(targets, indices)])': 'labels = torch.cat([target["labels"][: len(g_idx)] for target, (_, g_idx) in zip(targets, indices)])'
        },
        rejected_by="criterion-test-2",
        says="loss_ce",
        note="g_idx says which object belongs to which prediction; the file's order says nothing.",
    ),
    Misconception(
        name="boxes-in-the-order-of-the-file",
        exercise="criterion",
        edits={
            'wanted = torch.cat([target["boxes"][g_idx] for target, (_, g_idx) in zip(targets, indices)])': 'wanted = torch.cat([target["boxes"][: len(g_idx)] for target, (_, g_idx) in zip(targets, indices)])'
        },
        rejected_by="criterion-test-2",
        says="loss_bbox not as expected",
        note="g_idx says which object belongs to which prediction; the file's order says nothing.",
    ),
    Misconception(
        name="weight-built-in",
        exercise="criterion",
        edits={"weight[no_object] = no_object_weight": "weight[no_object] = 0.1"},
        rejected_by="criterion-test-1",
        says="loss_ce not as expected",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="boxes-detached",
        exercise="criterion",
        edits={"predicted = boxes[image, query]": "predicted = boxes[image, query].detach()"},
        rejected_by="criterion-test-2",
        says="the gradient of loss_bbox: not a tensor",
        note="The choice of pairs has no gradient; the boxes of the pairs do.",
    ),
    Misconception(
        name="zero-without-a-gradient",
        exercise="criterion",
        edits={
            BBOX: '"loss_bbox": (predicted - wanted).abs().sum() / count if len(query) else torch.zeros((), dtype=boxes.dtype),'
        },
        rejected_by="criterion-test-2",
        says="the gradients with (0, 0) objects",
        note="A new tensor has no graph, and backward() of it raises an error: the training stops at the first empty batch.",
    ),
    Misconception(
        name="criterion-in-float32",
        exercise="criterion",
        edits={
            "weight = torch.ones(no_object + 1, dtype=logits.dtype, device=logits.device)": "weight = torch.ones(no_object + 1, device=logits.device)",
            CE: CE.replace("logits.flatten(0, 1)", "logits.flatten(0, 1).float()"),
        },
        rejected_by="criterion-test-2",
        says="float64: loss_ce: wrong dtype",
        note="What comes in as float64 goes out as float64.",
    ),
    Misconception(
        name="targets-clamped",
        exercise="criterion",
        edits={
            "    predicted = boxes[image, query]": "    for target in targets:\n        target['labels'].clamp_(max=1)\n    predicted = boxes[image, query]"
        },
        rejected_by="criterion-test-2",
        says="labels of a target not as expected",
        note="The targets belong to the data set: what is changed here is wrong in the next epoch.",
    ),
    # ---- exercise 6: the model
    Misconception(
        name="positions-in-the-values",
        exercise="model",
        edits={CROSS: "self.cross(x + at, memory + positions, memory + positions)"},
        rejected_by="model-test-1",
        says="positions went into the values, or into the content of the slots",
        note="What is seen should not depend on where it is. The box gets its place from the attention and the reference.",
    ),
    Misconception(
        name="slots-start-as-queries",
        exercise="model",
        edits={SLOTS: "slots = asked.expand(len(memory), *asked.shape)"},
        rejected_by="model-test-1",
        says="positions went into the values, or into the content of the slots",
        note="The positional query is added in every layer; as content it would be added once more, to the values.",
        same_cause_as="positions-in-the-values",
    ),
    Misconception(
        name="slot-positions-in-the-values",
        exercise="model",
        edits={OWN: "self.own(x + at, x + at, x + at, need_weights=False)[0]"},
        rejected_by="model-test-1",
        says="positions went into the values, or into the content of the slots",
        note="Self-attention has values, too: they are the bare slots, or the bare tokens.",
        same_cause_as="positions-in-the-values",
    ),
    Misconception(
        name="slots-with-content",
        exercise="model",
        edits={
            SLOTS: "slots = torch.randn(asked.shape, generator=torch.Generator().manual_seed(0)).to(memory).expand(len(memory), *asked.shape)"
        },
        rejected_by="model-test-1",
        says="the class scores of all slots, against those of the first not as expected",
        note="Slots are told apart by their positional queries alone; with a content of their own they are somebody before they have seen anything.",
    ),
    Misconception(
        name="encoder-tokens-carry-positions",
        exercise="model",
        edits={
            "        for layer in self.encoder:\n": "        tokens = tokens + positions\n        for layer in self.encoder:\n"
        },
        rejected_by="model-test-2",
        says="positions went into the values of the encoder, or into its tokens",
        note="That is what a ViT does, once, at the start. DETR adds them to queries and keys of every layer.",
    ),
    Misconception(
        name="batch-first-forgotten",
        exercise="model",
        edits={
            "self.own = nn.MultiheadAttention(width, 4, batch_first=True)": "self.own = nn.MultiheadAttention(width, 4)"
        },
        rejected_by="model-test-2",
        says="the images of the batch attend to each other",
        note="nn.MultiheadAttention takes (L, B, d) unless told otherwise. Every shape fits, and each token attends to the same place of the other images.",
    ),
    Misconception(
        name="no-positions-in-the-keys",
        exercise="model",
        edits={CROSS: "self.cross(x + at, memory, memory)", OWN: "self.own(x, x, x, need_weights=False)[0]"},
        rejected_by="model-test-2",
        says="the positions are not used",
        note="Attention without positions sees a bag of tokens.",
    ),
    Misconception(
        name="queries-without-a-place",
        exercise="model",
        edits={REFERENCE: "torch.zeros_like(sine_embedding(self.queries, self.d_model)), F.pad(self.queries, (0, 2))"},
        rejected_by="model-test-2",
        says="no two slots are the same",
        note="Slots with the same positional query and the same content are one slot, however many there are.",
    ),
    Misconception(
        name="box-without-the-point",
        exercise="model",
        edits={
            REFERENCE: "sine_embedding(self.queries.sigmoid(), self.d_model), torch.zeros_like(F.pad(self.queries, (0, 2)))"
        },
        rejected_by="model-test-1",
        says="the box was predicted without the point",
        note="The point is where the slot starts; the head predicts how far to go from there.",
    ),
    Misconception(
        name="point-added-behind-the-sigmoid",
        exercise="model",
        edits={
            "boxes = (self.box_head(slots) + reference).sigmoid()": "boxes = (self.box_head(slots).sigmoid() + F.pad(self.queries.sigmoid(), (0, 2))) / 2 if self.query_mode == 'reference' else self.box_head(slots).sigmoid()"
        },
        rejected_by="model-test-1",
        says="they differ as the points do",
        note="Added outside, offset and point do not reach every place. In the logits the sum can be anything, and the box stays in (0, 1).",
    ),
    Misconception(
        name="point-as-logit",
        exercise="model",
        edits={
            REFERENCE: "sine_embedding(self.queries.sigmoid(), self.d_model), F.pad(self.queries.sigmoid(), (0, 2))"
        },
        rejected_by="model-test-1",
        says="they differ as the points do",
        note="The offset is added to the logit of the point, not to the point.",
    ),
    Misconception(
        name="columns-first",
        exercise="model",
        edits={CENTERS: "centers = torch.stack([(column / w).repeat_interleave(h), (row / h).repeat(w)], dim=-1)"},
        rejected_by="model-test-1",
        says="cells are counted column by column",
        note="flatten walks along rows. On square images with one row of tests nobody notices.",
    ),
    Misconception(
        name="tokens-column-by-column",
        exercise="model",
        edits={
            TOKENS: TOKENS.replace("maps.flatten(2).transpose(1, 2)", "maps.transpose(2, 3).flatten(2).transpose(1, 2)")
        },
        rejected_by="model-test-2",
        says="the tokens stand column by column",
        note="Positions and tokens must count the cells in the same order.",
    ),
    Misconception(
        name="x-and-y-swapped",
        exercise="model",
        edits={CENTERS: CENTERS + "\n        centers = centers.flip(-1)"},
        rejected_by="model-test-1",
        says="x and y are swapped",
        note="A point is (x, y), a cell is [row, column].",
    ),
    Misconception(
        name="corners-of-cells",
        exercise="model",
        edits={"device=x.device) + 0.5 for n in (h, w))": "device=x.device) for n in (h, w))"},
        rejected_by="model-test-1",
        says="these are the corners of the cells",
        note="Half a cell of 8 is 6 % of the image.",
    ),
    Misconception(
        name="edges-included",
        exercise="model",
        edits={
            CENTERS: "row, column = (torch.linspace(0, 1, n, dtype=x.dtype, device=x.device) * n for n in (h, w))\n        "
            + CENTERS
        },
        rejected_by="model-test-1",
        says="centers lie half a cell inside",
        note="linspace ends at the edges of the image; the centers of the outer cells do not lie there.",
    ),
    Misconception(
        name="one-side-for-both-axes",
        exercise="model",
        edits={CENTERS: CENTERS.replace("row / h", "row / w")},
        rejected_by="model-test-1",
        says="both axes were divided by the same number",
        note="It works on square images.",
    ),
    Misconception(
        name="last-layer-in-aux",
        exercise="model",
        edits={'"aux": layers[:-1]': '"aux": layers'},
        rejected_by="model-test-1",
        says="the last layer is in aux, too",
        note="Its loss would then count twice.",
    ),
    Misconception(
        name="a-head-for-each-layer",
        exercise="model",
        edits={
            "        self.class_head = nn.Linear(d_model, n_classes + 1)": "        self.class_heads = nn.ModuleList(nn.Linear(d_model, n_classes + 1) for _ in range(n_dec))",
            "self.class_head(slots)": "self.class_heads[len(layers)](slots)",
        },
        rejected_by="model-test-2",
        says="all decoder layers share one",
        note="Sharing the head makes every layer speak the same language.",
    ),
    Misconception(
        name="one-decoder-layer-used-again",
        exercise="model",
        edits={"for layer in self.decoder:": "for layer in [self.decoder[0]] * len(self.decoder):"},
        rejected_by="model-test-2",
        says="the number of parameters that no gradient reaches",
        note="The other layers are there, are counted, and never run.",
    ),
    Misconception(
        name="list-of-one-layer",
        exercise="model",
        edits={
            "nn.ModuleList(Layer(d_model, crosses=True) for _ in range(n_dec))": "nn.ModuleList([Layer(d_model, crosses=True)] * n_dec)"
        },
        rejected_by="model-test-2",
        says="each decoder layer adds the same number",
        note="[layer] * n is n names for one layer.",
    ),
    Misconception(
        name="encoder-of-one",
        exercise="model",
        edits={
            "Layer(d_model, crosses=False) for _ in range(n_enc)": "Layer(d_model, crosses=False) for _ in range(1)"
        },
        rejected_by="model-test-2",
        says="each encoder layer adds the same number",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="memory-detached",
        exercise="model",
        edits={
            "return self.decode(self.encode(tokens, positions), positions)": "return self.decode(self.encode(tokens, positions).detach(), positions)"
        },
        rejected_by="model-test-2",
        says="a gradient for the first convolution",
        note="The decoder then learns to read features that never learn.",
    ),
    Misconception(
        name="points-fixed",
        exercise="model",
        edits={
            "self.queries = nn.Parameter(torch.logit(0.1 + 0.8 * torch.rand(n_queries, 2)))": "self.queries = nn.Parameter(torch.logit(0.1 + 0.8 * torch.rand(n_queries, 2)), requires_grad=False)"
        },
        rejected_by="model-test-2",
        says="the number of frozen parameters",
        note="The points are to be learned.",
    ),
    Misconception(
        name="batch-norm-in-train-mode",
        exercise="model",
        edits={"        maps = self.stem(x)\n": "        maps = self.stem(x)\n        maps = maps / maps.std()\n"},
        rejected_by="model-test-2",
        says="a batch, and its images alone",
        note="Statistics over the batch make the answer for one image depend on the others.",
    ),
    Misconception(
        name="assert-at-the-border",
        exercise="model",
        edits={
            '        if d_model % 4:\n            raise ValueError(f"d_model={d_model} is not a multiple of 4")\n': "        assert d_model % 4 == 0\n"
        },
        rejected_by="model-test-1",
        says="d_model=30 raised the wrong error",
        note="An assert is for what cannot happen; python -O leaves it out. What a caller gets wrong is a ValueError.",
    ),
    Misconception(
        name="any-mode-passes",
        exercise="model",
        edits={'if query_mode not in ("learned", "reference"):': 'if query_mode == "":'},
        rejected_by="model-test-1",
        says='query_mode="anchor" did not raise',
        note="A typing error would train the wrong model, and say nothing.",
    ),
    Misconception(
        name="positions-made-on-the-cpu",
        exercise="model",
        edits={"torch.arange(n, dtype=x.dtype, device=x.device)": "torch.arange(n, dtype=x.dtype)"},
        rejected_by="model-test-2",
        says="float64, another device",
        note="A new tensor lies on the CPU unless told otherwise, and meets tokens on a GPU.",
    ),
    Misconception(
        name="positions-in-float32",
        exercise="model",
        edits={
            "torch.arange(n, dtype=x.dtype, device=x.device)": "torch.arange(n, dtype=torch.float32, device=x.device)"
        },
        rejected_by="model-test-2",
        says="the dtypes of tokens, positions, scores, boxes",
        note="In float64 nothing breaks and everything is as exact as float32; in half precision the model stops.",
    ),
    Misconception(
        name="attention-of-the-slots",
        exercise="model",
        edits={
            "x = self.norms[0](x + "
            + OWN
            + ")": "seen, weights = self.own(x + at, x + at, x)\n        x = self.norms[0](x + seen)",
            "        weights = None\n": "",
            "seen, weights = self.cross": "seen, _ = self.cross",
        },
        rejected_by="model-test-1",
        says="attention: wrong shape",
        note="The map over the image is that of the cross-attention.",
    ),
    Misconception(
        name="attention-of-one-head",
        exercise="model",
        edits={
            "seen, weights = self.cross(x + at, memory + positions, memory)": "seen, weights = self.cross(x + at, memory + positions, memory, average_attn_weights=False)\n            weights = weights[:, 0]"
        },
        rejected_by="model-test-2",
        says="it depends on the queries and keys of every head",
        note="One head of four. It looks at the image as well, so the map is plausible, and it is a quarter of the story.",
    ),
    Misconception(
        name="attention-of-the-first-layer",
        exercise="model",
        edits={
            "            slots, attention = layer(slots, asked, memory, positions)": "            slots, weights = layer(slots, asked, memory, positions)\n            attention = weights if not layers else attention"
        },
        rejected_by="model-test-2",
        says="the attention is that of the last layer",
        note="The last layer makes the prediction that is drawn beside the map.",
    ),
    Misconception(
        name="positions-in-the-values-not-in-the-keys",
        exercise="model",
        edits={CROSS: "self.cross(x + at, memory, memory + positions)"},
        rejected_by="model-test-1",
        says="keys and values are swapped: the positions belong to the keys",
        note="Third and second argument of the attention, exchanged. Every shape fits.",
    ),
    Misconception(
        name="embedding-of-the-logits",
        exercise="model",
        edits={REFERENCE: "sine_embedding(self.queries, self.d_model), F.pad(self.queries, (0, 2))"},
        rejected_by="model-test-2",
        says="the positional query depends on the logits",
        note="The tokens' positions are points in [0, 1]. A slot whose embedding is made of a logit asks at another place than it answers for.",
    ),
    Misconception(
        name="encoder-that-passes-through",
        exercise="model",
        edits={
            "Layer(d_model, crosses=False) for _ in range(n_enc)": "Layer(d_model, crosses=False) for _ in range(n_enc - 1)"
        },
        rejected_by="model-test-2",
        says="encode gives the tokens as they came",
        note="One layer too few; with a single one, none at all.",
    ),
    Misconception(
        name="relu-behind-the-boxes",
        exercise="model",
        edits={
            "nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, 4)": "nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, 4), nn.ReLU()"
        },
        rejected_by="model-test-2",
        says="some boxes are wider than half of the image",
        note="A sigmoid of what is never negative is never below one half: no small box can be said.",
    ),
    Misconception(
        name="aux-from-the-end",
        exercise="model",
        edits={'"aux": layers[:-1]': '"aux": layers[-2::-1]'},
        rejected_by="model-test-2",
        says="the layers in aux go from last to first",
        note="A loss on every layer does not notice. A plot of how the layers get better would run backwards.",
    ),
    Misconception(
        name="points-that-are-not-pulled",
        exercise="model",
        edits={"F.pad(self.queries, (0, 2))": "F.pad(self.queries.detach(), (0, 2))"},
        rejected_by="model-test-2",
        says="no gradient reaches the points through the centers",
        note="The points still get a gradient through the positional queries, so nothing looks frozen; but an object does not pull its point.",
    ),
    # ---- exercise 7: mean average precision
    Misconception(
        name="area-under-the-curve",
        exercise="metric",
        edits={
            MEAN: "steps = (found / n_objects).diff(prepend=torch.zeros(1))\n    return (steps * envelope).sum().item()"
        },
        rejected_by="metric-test-1",
        says="this is the area under the curve",
        note="Pascal VOC did so from 2010 on. COCO takes 101 recalls; the numbers differ in the second digit.",
    ),
    Misconception(
        name="eleven-recalls",
        exercise="metric",
        edits={"np.linspace(0, 1, 101)": "np.linspace(0, 1, 11)"},
        rejected_by="metric-test-1",
        says="11 recalls were used",
        note="That was Pascal VOC before 2010.",
    ),
    Misconception(
        name="no-envelope",
        exercise="metric",
        edits={ENVELOPE: "envelope = precision"},
        rejected_by="metric-test-1",
        says="the envelope was not taken",
        note="The curve is a saw; the envelope asks for the best precision at this recall or a higher one.",
    ),
    Misconception(
        name="precision-at-the-hits",
        exercise="metric",
        edits={MEAN: "return (precision * hits[order]).sum().item() / n_objects"},
        rejected_by="metric-test-1",
        says="the mean precision at the hits",
        note="That is average precision in information retrieval, and in scikit-learn.",
    ),
    Misconception(
        name="list-not-sorted",
        exercise="metric",
        edits={ORDER: "order = torch.arange(len(scores))"},
        rejected_by="metric-test-1",
        says="the list was not sorted by score",
        note="Images come one after the other; the list is one for all.",
    ),
    Misconception(
        name="sorted-upward",
        exercise="metric",
        edits={ORDER: "order = scores.argsort(stable=True)"},
        rejected_by="metric-test-1",
        says="the scores were sorted upward",
        note="argsort goes up by default.",
    ),
    Misconception(
        name="ties-in-any-order",
        exercise="metric",
        edits={
            ORDER: "order = scores.flip(0).argsort(descending=True, stable=True)\n    order = len(scores) - 1 - order"
        },
        rejected_by="metric-test-2",
        says="scores with many ties",
        note="A sort that is not stable may put equal scores in any order. COCO's is stable.",
    ),
    Misconception(
        name="duplicates-are-hits",
        exercise="metric",
        edits={TAKEN: ""},
        rejected_by="metric-test-1",
        says="a detection that came too late for its object was a hit all the same",
        note="Then finding everything twice would be free, and no detector would need NMS.",
    ),
    Misconception(
        name="best-object-even-if-taken",
        exercise="metric",
        edits={
            BEST: "best = max(range(len(row)), key=row.__getitem__, default=None)",
            HIT: "hits.append(best is not None and best not in taken and row[best] >= threshold)",
        },
        rejected_by="metric-test-2",
        says="the free one was not tried",
        note="Where two objects stand close, the second detection may well mean the other one.",
    ),
    Misconception(
        name="first-object-that-is-enough",
        exercise="metric",
        edits={BEST: "best = next((k for k in range(len(row)) if k not in taken and row[k] >= threshold), None)"},
        rejected_by="metric-test-2",
        says="the first object that overlaps enough was taken",
        note="A detection takes the object it overlaps most.",
    ),
    Misconception(
        name="takes-all-that-overlap",
        exercise="metric",
        edits={
            TAKEN: "            if hits[-1]:\n                taken |= {k for k in range(len(row)) if row[k] >= threshold}\n"
        },
        rejected_by="metric-test-2",
        says="against pycocotools",
        note="A detection finds one object. Others that it overlaps are still there for the next.",
    ),
    Misconception(
        name="strictly-more-than-the-threshold",
        exercise="metric",
        edits={HIT: HIT.replace(">=", ">")},
        rejected_by="metric-test-2",
        says="an overlap of exactly the threshold was not enough",
        note='"At least" has the equal sign in it.',
    ),
    Misconception(
        name="every-detection-counts",
        exercise="metric",
        edits={HUNDRED: HUNDRED.replace("[:100]", "")},
        rejected_by="metric-test-2",
        says="COCO takes the best 100",
        note="Without a limit, ten thousand guesses an image would raise the recall for free.",
    ),
    Misconception(
        name="hundred-of-all-classes",
        exercise="metric",
        edits={
            HUNDRED: "top = torch.zeros_like(of_class).index_fill(0, pred['scores'].argsort(descending=True, stable=True)[:100], True)\n            of_class = of_class & top\n            "
            + HUNDRED
        },
        rejected_by="metric-test-2",
        says="it is 100 of each class",
        note="The limit is for each class and image.",
    ),
    Misconception(
        name="images-averaged",
        exercise="metric",
        code='''
def average_precision(scores, hits, n_objects):
    order = scores.argsort(descending=True, stable=True)
    found = hits[order].double().cumsum(0)
    precision = found / torch.arange(1, len(found) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    at = torch.searchsorted(found / n_objects, torch.from_numpy(np.linspace(0, 1, 101)))
    return torch.cat([envelope, torch.zeros(1)])[at].mean().item()


def mean_average_precision(preds, targets, iou_thresholds=COCO_THRESHOLDS):
    """The average precision of each image, averaged over images."""
    if len(preds) != len(targets):
        raise ValueError("lengths")
    labels = sorted({int(one) for target in targets for one in target["labels"]})
    table = {}
    for label in labels:
        rows = []
        for t in iou_thresholds:
            of_images = []
            for pred, target in zip(preds, targets):
                mine = pred["labels"] == label
                order = pred["scores"][mine].argsort(descending=True, stable=True)[:100]
                objects = target["boxes"][target["labels"] == label]
                if len(objects) == 0:
                    continue
                free, hits = set(range(len(objects))), []
                for row in pairwise_giou(pred["boxes"][mine][order], objects)[0].tolist():
                    best = max(free, key=lambda k: row[k], default=None)
                    hits.append(best is not None and row[best] >= t)
                    if hits[-1]:
                        free.remove(best)
                of_images.append(
                    average_precision(pred["scores"][mine][order], torch.tensor(hits, dtype=torch.bool), len(objects))
                )
            rows.append(sum(of_images) / len(of_images))
        table[label] = rows
    mean = lambda values: sum(values) / len(values) if values else math.nan
    at = {t: mean([row[list(iou_thresholds).index(t)] for row in table.values()]) if t in iou_thresholds else math.nan for t in (0.5, 0.75)}
    per_class = {label: mean(row) for label, row in table.items()}
    return {"map": mean(list(per_class.values())), "map_50": at[0.5], "map_75": at[0.75], "per_class": per_class}
''',
        rejected_by="metric-test-2",
        says="against pycocotools",
        note="A false alarm in an image without objects would cost nothing. All images go into one list.",
    ),
    Misconception(
        name="detected-classes-count",
        exercise="metric",
        edits={CLASSES: 'sorted({int(one) for item in (*targets, *preds) for one in item["labels"]})'},
        rejected_by="metric-test-2",
        says="not as expected",
        note="A class without an object has no recall; its average precision is not 0 but undefined.",
    ),
    Misconception(
        name="undetected-classes-left-out",
        exercise="metric",
        edits={
            CLASSES: 'sorted({int(one) for target in targets for one in target["labels"]} & {int(one) for pred in preds for one in pred["labels"]})'
        },
        rejected_by="metric-test-2",
        says="not as expected",
        note='A detector that never says "triangle" would be measured without triangles.',
    ),
    Misconception(
        name="first-threshold-is-map-50",
        exercise="metric",
        edits={
            "column = {threshold: number for number, threshold in enumerate(iou_thresholds)}": "column = {0.5: 0, 0.75: min(5, len(iou_thresholds) - 1)}"
        },
        rejected_by="metric-test-2",
        says="map_50 with the thresholds 0.75 and 0.5",
        note="The column is found by its threshold, not by its place.",
    ),
    Misconception(
        name="thresholds-built-in",
        exercise="metric",
        edits={
            "    if len(preds) != len(targets):": "    iou_thresholds = COCO_THRESHOLDS\n    if len(preds) != len(targets):"
        },
        rejected_by="metric-test-1",
        says="map with a duplicate",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="tensors-in-the-result",
        exercise="metric",
        edits={
            "per_class = {label: sum(values) / len(values) for label, values in table.items()}": "per_class = {label: torch.tensor(values).mean() for label, values in table.items()}"
        },
        rejected_by="metric-test-2",
        says="is a float",
        note="All numbers of the result are floats: a tensor in a dict surprises whoever writes it to a JSON file.",
    ),
    Misconception(
        name="calls-pycocotools",
        exercise="metric",
        edits={
            "    table = {}\n": "    from pycocotools.cocoeval import COCOeval\n\n    COCOeval(None, None, 'bbox')\n    table = {}\n"
        },
        rejected_by="metric-test-2",
        says="a library call does the work",
        note="COCO's program is what you are building.",
    ),
    Misconception(
        name="any-number-of-images",
        exercise="metric",
        edits={"    if len(preds) != len(targets):": "    if len(preds) < len(targets):"},
        rejected_by="metric-test-1",
        says="2 images with predictions, 1 with targets did not raise",
        note="zip ends with the shorter list, and the rest is never looked at.",
    ),
    Misconception(
        name="zero-for-nothing",
        exercise="metric",
        edits={'return {"map": found.mean().item()': 'return {"map": found.mean().nan_to_num().item()'},
        rejected_by="metric-test-2",
        says="the three numbers are NaN",
        note="0 would say that a detector failed. There was nothing to find.",
    ),
    Misconception(
        name="scores-sorted-in-place",
        exercise="metric",
        edits={
            "    table = {}\n": "    for pred in preds:\n        order = pred['scores'].argsort(descending=True, stable=True)\n        pred.update({name: value[order] for name, value in pred.items()})\n    table = {}\n"
        },
        rejected_by="metric-test-2",
        says="the arguments afterwards",
        note="The caller's detections are in another order now, and beside other images' notes.",
    ),
]
