"""Wrong answers that people really write in week 13, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

MISCONCEPTIONS = [
    # ---- exercise 1: points
    Misconception(
        name="corner-of-the-cell",
        exercise="points",
        edits={
            'y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")': 'y, x = torch.meshgrid(torch.arange(h) * 1.0, torch.arange(w) * 1.0, indexing="ij")',
        },
        rejected_by="points-test-1",
        says="half a cell is missing",
        note="Cell 0 covers the pixels 0 to 8, so its middle is at 4. All boxes would be half a stride off.",
    ),
    Misconception(
        name="half-a-pixel",
        exercise="points",
        edits={
            'y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")': 'y, x = torch.meshgrid(torch.arange(h) + 0.5 / stride, torch.arange(w) + 0.5 / stride, indexing="ij")',
        },
        rejected_by="points-test-1",
        says="half a pixel was added",
        note="The half is one of the cell: it is multiplied by the stride as well.",
    ),
    Misconception(
        name="row-before-column",
        exercise="points",
        edits={
            "return stride * torch.stack([x, y], dim=-1).reshape(-1, 2)": "return stride * torch.stack([y, x], dim=-1).reshape(-1, 2)",
        },
        rejected_by="points-test-1",
        says="here it is (row, column)",
        note="Images are indexed by row and column, boxes by x and y. In a square map with symmetric content nobody notices.",
    ),
    Misconception(
        name="column-by-column",
        exercise="points",
        edits={
            'y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")': 'x, y = torch.meshgrid(torch.arange(w) + 0.5, torch.arange(h) + 0.5, indexing="ij")',
        },
        rejected_by="points-test-1",
        says="listed column by column",
        note="Features that are flattened come row by row, so points must as well.",
    ),
    Misconception(
        name="no-stride-in-points",
        exercise="points",
        edits={
            "return stride * torch.stack([x, y], dim=-1).reshape(-1, 2)": "return torch.stack([x, y], dim=-1).reshape(-1, 2)",
        },
        rejected_by="points-test-1",
        says="the stride is missing",
        note="These are places in the feature map. Boxes live in pixels.",
    ),
    Misconception(
        name="no-stride-in-decode",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "return torch.cat([points - dist[..., :2], points + dist[..., 2:]], dim=-1)",
        },
        rejected_by="points-test-1",
        says="not multiplied by the stride",
        note="The network predicts numbers of order 1. In pixels the boxes would be tiny.",
    ),
    Misconception(
        name="all-added",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "return torch.cat([points + stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)",
        },
        rejected_by="points-test-1",
        says="here they were added",
        note="Distances are not negative: left and top go against x and y.",
    ),
    Misconception(
        name="center-and-size",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "size = stride * (dist[..., :2] + dist[..., 2:])\n    return torch.cat([points + stride * (dist[..., 2:] - dist[..., :2]) / 2, size], dim=-1)",
        },
        rejected_by="points-test-1",
        says="this is center and size",
        note="cxcywh was week 12's format for heads. Here a box is xyxy.",
    ),
    Misconception(
        name="values-checked",
        exercise="points",
        edits={
            "if dist.shape[-1] != 4:": "if dist.shape[-1] != 4 or (dist < 0).any():",
        },
        rejected_by="points-test-1",
        says="distances below 0",
        note="A branch on values cannot be exported: the graph has no numbers yet.",
    ),
    Misconception(
        name="distances-changed-in-place",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "dist *= stride\n    return torch.cat([points - dist[..., :2], points + dist[..., 2:]], dim=-1)",
        },
        rejected_by="points-test-1",
        says="it was changed in place",
        note="`*=` writes into the caller's tensor, which a second head may still need.",
    ),
    Misconception(
        name="float32-boxes",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1).float()",
        },
        rejected_by="points-test-1",
        says="wrong dtype",
        note="What comes in as float64 goes out as float64.",
    ),
    Misconception(
        name="cut-off-from-the-gradient",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1).detach()",
        },
        rejected_by="points-test-1",
        says="a gradient reaches the distances",
        note="The loss of the boxes teaches the distances through this function.",
    ),
    Misconception(
        name="points-by-numbers",
        exercise="points",
        edits={
            "return torch.cat([points - stride * dist[..., :2], points + stride * dist[..., 2:]], dim=-1)": "offset = torch.tensor([-1.0, -1.0, 1.0, 1.0]) * stride\n    return points.repeat(1, 2) + (offset * dist).to(dist.dtype)",
        },
        rejected_by="points-test-1",
        says="distances on another device",
        note="A tensor that is made here lies on the CPU, and meets distances on a GPU.",
    ),
    # ---- exercise 2: non-maximum suppression
    Misconception(
        name="ties-suppressed",
        exercise="nms",
        edits={
            "covers = box_iou(boxes, boxes) > iou_threshold": "covers = box_iou(boxes, boxes) >= iou_threshold",
        },
        rejected_by="nms-test-1",
        says="an equal IoU suppresses",
        note="torchvision keeps both. One sign makes a difference where boxes come from a grid.",
    ),
    Misconception(
        name="places-in-the-sorted-list",
        exercise="nms",
        edits={
            "covers = box_iou(boxes, boxes) > iou_threshold": "order = scores.argsort(descending=True)\n    boxes, scores = boxes[order], scores[order]\n    covers = box_iou(boxes, boxes) > iou_threshold",
        },
        rejected_by="nms-test-1",
        says="places in the sorted list",
        note="Who sorts the boxes has to translate the indices back.",
    ),
    Misconception(
        name="chain",
        exercise="nms",
        edits={
            "            alive &= ~covers[index]\n": "",
            "if alive[index]:": "whether = bool(alive[index])\n        alive &= ~covers[index]\n        if whether:",
        },
        rejected_by="nms-test-1",
        says="suppressed C all the same",
        note="Only a box that stays may suppress. A chain of neighbors would vanish but for its best.",
    ),
    Misconception(
        name="worst-first",
        exercise="nms",
        edits={
            "for index in scores.argsort(descending=True).tolist():": "for index in scores.argsort().tolist():",
        },
        rejected_by="nms-test-1",
        says="the worst score came first",
        note="`argsort` sorts upward unless told otherwise.",
    ),
    Misconception(
        name="in-the-order-of-the-boxes",
        exercise="nms",
        edits={
            "return torch.tensor(kept_boxes, dtype": "return torch.tensor(sorted(kept_boxes), dtype",
        },
        rejected_by="nms-test-1",
        says="the best comes first in the result",
        note="A consumer that takes the first ten wants the ten best.",
    ),
    Misconception(
        name="nothing-suppressed",
        exercise="nms",
        edits={
            "            alive &= ~covers[index]\n": "            alive[index] = False\n",
        },
        rejected_by="nms-test-1",
        says="nothing was suppressed",
        note="This sorts the boxes and no more.",
    ),
    Misconception(
        name="touching-suppresses",
        exercise="nms",
        edits={
            "covers = box_iou(boxes, boxes) > iou_threshold": "x1, y1, x2, y2 = boxes.T\n    left, right = torch.maximum(x1[:, None], x1), torch.minimum(x2[:, None], x2)\n    top, bottom = torch.maximum(y1[:, None], y1), torch.minimum(y2[:, None], y2)\n    both = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)\n    covers = both / ((x2 - x1) * (y2 - y1))[:, None] > iou_threshold",
        },
        rejected_by="nms-test-1",
        says="divided by the area of one box",
        note="The intersection was divided by one box's area. IoU divides by the union, so it is the same both ways.",
    ),
    Misconception(
        name="no-check-of-the-threshold",
        exercise="nms",
        edits={
            '    if not 0 <= iou_threshold <= 1:\n        raise ValueError(f"iou_threshold={iou_threshold} is not between 0 and 1")\n': "",
        },
        rejected_by="nms-test-1",
        says="did not raise",
        note="A threshold in percent would switch NMS off, and nobody would notice.",
    ),
    Misconception(
        name="open-interval",
        exercise="nms",
        edits={
            "if not 0 <= iou_threshold <= 1:": "if not 0 < iou_threshold < 1:",
        },
        rejected_by="nms-test-2",
        says="random sets",
        note="0 and 1 are thresholds: everything that overlaps goes, and nothing goes.",
    ),
    Misconception(
        name="scores-below-zero-dropped",
        exercise="nms",
        edits={
            "if alive[index]:": "if alive[index] and scores[index] > 0:",
        },
        rejected_by="nms-test-2",
        says="negative scores",
        note="Scores are whatever ranks boxes. Logits are often negative.",
    ),
    Misconception(
        name="best-score-erased",
        exercise="nms",
        edits={
            "for index in scores.argsort(descending=True).tolist():": "for index in scores.argsort(descending=True).tolist():\n        scores[index] = -torch.inf",
        },
        rejected_by="nms-test-2",
        says="it was changed in place",
        note="Marking what was seen in the caller's scores destroys them.",
    ),
    Misconception(
        name="calls-torchvision",
        exercise="nms",
        edits={
            "    alive = torch.ones": "    return torchvision.ops.nms(boxes, scores, iou_threshold)\n    alive = torch.ones",
        },
        rejected_by="nms-test-2",
        says="a library call does the work",
        note="torchvision's function is what you are building.",
    ),
    # ---- exercise 3: classes
    Misconception(
        name="class-agnostic",
        exercise="batched",
        edits={
            "for label in labels.unique():": "return nms(boxes, scores, iou_threshold)\n    for label in labels.unique():",
        },
        rejected_by="batched-test-1",
        says="classes were not told apart",
        note="A square in front of a circle would make the circle vanish.",
    ),
    Misconception(
        name="class-after-class",
        exercise="batched",
        edits={
            "return found[scores[found].argsort(descending=True)]": "return found",
        },
        rejected_by="batched-test-1",
        says="each class has its order",
        note="Each class is sorted, the list is not: the first ten are then ten of class 0.",
    ),
    Misconception(
        name="places-within-the-class",
        exercise="batched",
        edits={
            "stay.append(of_class[nms(boxes[of_class], scores[of_class], iou_threshold)])": "stay.append(nms(boxes[of_class], scores[of_class], iou_threshold))",
        },
        rejected_by="batched-test-1",
        says="places within a class",
        note="The second class's box 0 is another box than the first class's.",
    ),
    Misconception(
        name="offset-of-a-thousand",
        exercise="batched",
        edits={
            "for label in labels.unique():": "return nms(boxes + 1000.0 * labels[:, None], scores, iou_threshold)\n    for label in labels.unique():",
        },
        rejected_by="batched-test-1",
        says="less than the boxes extend",
        note="Images are larger than 1000 pixels, and then class 0's right side meets class 1's left side.",
    ),
    Misconception(
        name="offset-of-the-largest-coordinate",
        exercise="batched",
        edits={
            "for label in labels.unique():": "if len(boxes):\n        return nms(boxes + boxes.max() * labels[:, None], scores, iou_threshold)\n    for label in labels.unique():",
        },
        rejected_by="batched-test-1",
        says="by the largest coordinate",
        note="With negative coordinates the extent is more than the largest one. torchvision adds 1 to it, and takes boxes in an image for granted.",
    ),
    Misconception(
        name="threshold-checked-where-boxes-are",
        exercise="batched",
        edits={
            "stay = [nms(boxes[:0], scores[:0], iou_threshold)]": "stay = [torch.zeros(0, dtype=torch.int64)]",
        },
        rejected_by="batched-test-1",
        says="no boxes",
        note="Without boxes there is no class, so nobody looks at the threshold.",
    ),
    Misconception(
        name="three-classes",
        exercise="batched",
        edits={
            "for label in labels.unique():": "for label in range(3):",
        },
        rejected_by="batched-test-1",
        says="two classes in the same place: the indices",
        note="Labels are any integers: COCO's go to 90, with gaps.",
    ),
    Misconception(
        name="labels-counted-from-zero",
        exercise="batched",
        edits={
            "for label in labels.unique():": "for label in range(int(labels.max()) + 1 if len(labels) else 0):",
        },
        rejected_by="batched-test-1",
        says="random sets with negative coordinates",
        note="Labels are any integers, also negative ones.",
    ),
    Misconception(
        name="calls-batched-nms",
        exercise="batched",
        edits={
            "for label in labels.unique():": "return torchvision.ops.batched_nms(boxes, scores, labels, iou_threshold)\n    for label in labels.unique():",
        },
        rejected_by="batched-test-1",
        says="a library call does the work",
        note="torchvision's function is what you are building.",
    ),
    # ---- exercise 4: the assignment
    Misconception(
        name="edges-count",
        exercise="assign",
        edits={
            "inside = ((points[:, None] > gt_boxes[:, :2]) & (points[:, None] < gt_boxes[:, 2:])).all(-1)": "inside = ((points[:, None] >= gt_boxes[:, :2]) & (points[:, None] <= gt_boxes[:, 2:])).all(-1)",
        },
        rejected_by="assign-test-1",
        says="points on the edge count as inside",
        note="Strictly inside, so all four distances of the box are positive.",
    ),
    Misconception(
        name="outside-answers",
        exercise="assign",
        edits={
            "inside = ((points[:, None] > gt_boxes[:, :2]) & (points[:, None] < gt_boxes[:, 2:])).all(-1)": "inside = torch.ones(n, m, dtype=torch.bool, device=points.device)",
        },
        rejected_by="assign-test-1",
        says="points outside of the object answer",
        note="From outside the distances of the box would be negative, which the head cannot say.",
    ),
    Misconception(
        name="zero-metric-selected",
        exercise="assign",
        edits={
            " & (metric > 0)": "",
        },
        rejected_by="assign-test-1",
        says="points whose metric is 0 answer",
        note="topk always gives k places, also where the metric is 0. An object that covers one point claimed others.",
    ),
    Misconception(
        name="metric-as-target",
        exercise="assign",
        edits={
            "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1)": "return fg, gt_index, metric.sum(dim=1)",
        },
        rejected_by="assign-test-1",
        says="this is the metric itself",
        note="With beta = 6 the targets vanish: the network would learn to say nothing.",
    ),
    Misconception(
        name="share-alone",
        exercise="assign",
        edits={
            "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1)": "return fg, gt_index, share.sum(dim=1)",
        },
        rejected_by="assign-test-1",
        says="not multiplied by the best IoU",
        note="The best point would be asked for 1, however bad its box.",
    ),
    Misconception(
        name="own-iou",
        exercise="assign",
        edits={
            "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1)": "return fg, gt_index, (share * overlap).sum(dim=1)",
        },
        rejected_by="assign-test-1",
        says="each positive got its own IoU",
        note="The maximum over the object's positives is asked.",
    ),
    Misconception(
        name="hard-targets",
        exercise="assign",
        edits={
            "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1)": "return fg, gt_index, ((metric > 0) * overlap.amax(0)).sum(dim=1)",
        },
        rejected_by="assign-test-1",
        says="every positive got the full score",
        note="Then the eight points of an object all shout alike, and the ranking is lost.",
    ),
    Misconception(
        name="probability-plays-no-part",
        exercise="assign",
        edits={
            "metric = cls_prob[:, gt_labels] ** alpha * overlap**beta * inside": "metric = overlap**beta * inside",
        },
        rejected_by="assign-test-1",
        says="the class probability plays no part",
        note="A point with a good box and the wrong class is no good answer.",
    ),
    Misconception(
        name="first-class-for-all",
        exercise="assign",
        edits={
            "metric = cls_prob[:, gt_labels] ** alpha * overlap**beta * inside": "metric = cls_prob[:, :1] ** alpha * overlap**beta * inside",
        },
        rejected_by="assign-test-1",
        says="the probability of another class",
        note="Each object asks for the probability of its own class.",
    ),
    Misconception(
        name="alpha-beta-swapped",
        exercise="assign",
        edits={
            "metric = cls_prob[:, gt_labels] ** alpha * overlap**beta * inside": "metric = cls_prob[:, gt_labels] ** beta * overlap**alpha * inside",
        },
        rejected_by="assign-test-1",
        says="alpha and beta are swapped",
        note="The exponents weigh: beta = 6 makes the box count most.",
    ),
    Misconception(
        name="first-object-wins",
        exercise="assign",
        edits={
            "gt_index = torch.where(claimed, overlap, -1.0).argmax(dim=1) * fg": "gt_index = claimed.int().argmax(dim=1) * fg",
        },
        rejected_by="assign-test-1",
        says="the first of the objects",
        note="The order of the objects is an accident of the file.",
    ),
    Misconception(
        name="largest-metric-wins",
        exercise="assign",
        edits={
            "gt_index = torch.where(claimed, overlap, -1.0).argmax(dim=1) * fg": "gt_index = torch.where(claimed, metric, -1.0).argmax(dim=1) * fg",
        },
        rejected_by="assign-test-1",
        says="the object of largest metric got the point",
        note="The conflict is settled by IoU alone.",
    ),
    Misconception(
        name="maxima-over-all-points",
        exercise="assign",
        edits={
            "metric, overlap = metric * mine, overlap * mine": "share = metric * mine / metric.amax(0).clamp(min=torch.finfo(metric.dtype).tiny)\n    overlap = overlap * mine",
            "share = metric / metric.amax(0).clamp(min=torch.finfo(metric.dtype).tiny)\n    ": "",
        },
        rejected_by="assign-test-2",
        says="target_score not as expected",
        note="A point that went to another object is no positive of this one any more.",
    ),
    Misconception(
        name="index-left-for-background",
        exercise="assign",
        edits={
            "gt_index = torch.where(claimed, overlap, -1.0).argmax(dim=1) * fg": "gt_index = torch.where(claimed, overlap, overlap - 2).argmax(dim=1)",
        },
        rejected_by="assign-test-2",
        says="gt_index",
        note="0 is asked where nobody answers.",
    ),
    Misconception(
        name="defaults-hard-coded",
        exercise="assign",
        edits={
            "metric = cls_prob[:, gt_labels] ** alpha * overlap**beta * inside": "metric = cls_prob[:, gt_labels] ** 0.5 * overlap**6 * inside",
        },
        rejected_by="assign-test-2",
        says="alpha 1.0, beta 1.0",
        note="The exponents are arguments.",
    ),
    Misconception(
        name="topk-of-eight",
        exercise="assign",
        edits={
            "metric.topk(min(topk, n), dim=0)": "metric.topk(min(8 if topk > 1 else 1, n), dim=0)",
        },
        rejected_by="assign-test-1",
        says="fg",
        note="8 and 1 are what the lesson uses; topk is an argument.",
    ),
    Misconception(
        name="fails-without-objects",
        exercise="assign",
        edits={
            "    if m == 0:\n        nothing = torch.zeros(n, dtype=torch.int64, device=cls_prob.device)\n        return nothing.bool(), nothing, torch.zeros_like(cls_prob[:, 0])\n": "",
        },
        rejected_by="assign-test-1",
        says="no object",
        note="An argmax over no objects is an error. Images without objects are in every data set.",
    ),
    Misconception(
        name="topk-not-checked",
        exercise="assign",
        edits={
            '    if topk < 1:\n        raise ValueError(f"topk={topk}, but an object claims at least one point")\n': "",
        },
        rejected_by="assign-test-1",
        says="did not raise",
        note="topk = 0 would train a detector that finds nothing, without a word.",
    ),
    Misconception(
        name="targets-with-gradient",
        exercise="assign",
        edits={
            "cls_prob, overlap = cls_prob.detach(), box_iou(boxes.detach(), gt_boxes)": "overlap = box_iou(boxes, gt_boxes)",
        },
        rejected_by="assign-test-2",
        says="no gradient flows through target_score",
        note="The network could lower the loss by making its own targets smaller.",
    ),
    Misconception(
        name="targets-in-float32",
        exercise="assign",
        edits={
            "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1)": "return fg, gt_index, (share * overlap.amax(0)).sum(dim=1).float()",
        },
        rejected_by="assign-test-2",
        says="wrong dtype",
        note="The targets have the dtype of the probabilities.",
    ),
    Misconception(
        name="nothing-on-the-cpu",
        exercise="assign",
        edits={
            "nothing = torch.zeros(n, dtype=torch.int64, device=cls_prob.device)": "nothing = torch.zeros(n, dtype=torch.int64)",
        },
        rejected_by="assign-test-2",
        says="another device",
        note="A new tensor lies on the CPU unless told otherwise.",
    ),
    # ---- exercise 5: detector and loss
    Misconception(
        name="features-not-detached",
        exercise="detector",
        edits={
            'return {"many": read(self.many, features), "one": read(self.one, features.detach())}': 'return {"many": read(self.many, features), "one": read(self.one, features)}',
        },
        rejected_by="detector-test-2",
        says="features that are not detached",
        note="The one-to-one loss then pulls at the backbone, too.",
    ),
    Misconception(
        name="both-detached",
        exercise="detector",
        edits={
            'return {"many": read(self.many, features), "one": read(self.one, features.detach())}': 'return {"many": read(self.many, features.detach()), "one": read(self.one, features.detach())}',
        },
        rejected_by="detector-test-2",
        says="many reaches backbone",
        note="Then nobody teaches the backbone.",
    ),
    Misconception(
        name="one-head-twice",
        exercise="detector",
        edits={
            'return {"many": read(self.many, features), "one": read(self.one, features.detach())}': 'return {"many": read(self.many, features), "one": read(self.many, features.detach())}',
        },
        rejected_by="detector-test-1",
        says="one: logits",
        note="Two readings of the same head are one assignment too many.",
    ),
    Misconception(
        name="heads-with-shared-weights",
        exercise="detector",
        edits={
            "self.many, self.one = make_head(n_classes, width), make_head(n_classes, width)": "self.many = make_head(n_classes, width)\n        self.one = self.many",
        },
        rejected_by="detector-test-2",
        says="what each loss teaches",
        note="The two assignments ask different things of the scores, so the heads cannot be one.",
    ),
    Misconception(
        name="relu-distances",
        exercise="detector",
        edits={
            "distances = F.softplus(": "distances = F.relu(",
        },
        rejected_by="detector-test-1",
        says="boxes",
        note="The text asks for softplus: it has a gradient everywhere, and no box collapses for ever.",
    ),
    Misconception(
        name="distances-first",
        exercise="detector",
        edits={
            "F.softplus(numbers[..., self.n_classes :])": "F.softplus(numbers[..., :4])",
            '"logits": numbers[..., : self.n_classes]': '"logits": numbers[..., 4:]',
        },
        rejected_by="detector-test-1",
        says="logits",
        note="The head's scores come first: its bias of -4 lies there.",
    ),
    Misconception(
        name="column-order",
        exercise="detector",
        edits={
            ".flatten(2).transpose(1, 2)": ".transpose(2, 3).flatten(2).transpose(1, 2)",
        },
        rejected_by="detector-test-1",
        says="logits",
        note="Points are listed row by row; features must be flattened the same way.",
    ),
    Misconception(
        name="stride-of-one",
        exercise="detector",
        edits={
            "boxes = decode_ltrb(distances, points, STRIDE)": "boxes = decode_ltrb(distances, points, 1)",
        },
        rejected_by="detector-test-1",
        says="many: boxes",
        note="Distances are in units of the stride.",
    ),
    Misconception(
        name="points-of-a-square",
        exercise="detector",
        edits={
            "make_points(*features.shape[-2:], STRIDE)": "make_points(features.shape[-2], features.shape[-2], STRIDE)",
        },
        rejected_by="detector-test-1",
        says="in ",
        note="Images are not square.",
    ),
    Misconception(
        name="points-in-float32",
        exercise="detector",
        edits={
            "STRIDE).to(features)": "STRIDE).to(features.device)",
        },
        rejected_by="detector-test-2",
        says="the dtypes of the predictions",
        note="Points take dtype and device from the features.",
    ),
    Misconception(
        name="points-on-the-cpu",
        exercise="detector",
        edits={
            "STRIDE).to(features)": "STRIDE).to(features.dtype)",
        },
        rejected_by="detector-test-2",
        says="float64, another device",
        note="Points take dtype and device from the features.",
    ),
    Misconception(
        name="width-ignored",
        exercise="detector",
        edits={
            "self.backbone = make_backbone(width)": "self.backbone = make_backbone()",
            "self.many, self.one = make_head(n_classes, width), make_head(n_classes, width)": "self.many, self.one = make_head(n_classes), make_head(n_classes)",
        },
        rejected_by="detector-test-1",
        says="size mismatch",
        note="The width is an argument.",
    ),
    Misconception(
        name="heads-made-first",
        exercise="detector",
        edits={
            "        self.backbone = make_backbone(width)\n        self.many, self.one = make_head(n_classes, width), make_head(n_classes, width)\n": "        self.many, self.one = make_head(n_classes, width), make_head(n_classes, width)\n        self.backbone = make_backbone(width)\n",
        },
        rejected_by="detector-test-2",
        says="in this order",
        note="The random numbers go to other parts, so a seed no longer names a model.",
    ),
    Misconception(
        name="hard-ones",
        exercise="detector",
        edits={
            "wanted[fg, labels[index[fg]]] = score[fg]": "wanted[fg, labels[index[fg]]] = 1.0",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="Then all eight points of an object are asked for the same score, and the ranking is lost.",
    ),
    Misconception(
        name="bce-on-positives",
        exercise="detector",
        edits={
            'F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")': 'F.binary_cross_entropy_with_logits(logits[fg], wanted[fg], reduction="sum")',
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="Who never learns what background is finds objects everywhere.",
    ),
    Misconception(
        name="divided-by-positives",
        exercise="detector",
        edits={
            "total = total + score.sum()": "total = total + fg.sum()",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="The sum of the target scores divides: a point that answers a little counts a little.",
    ),
    Misconception(
        name="boxes-not-weighted",
        exercise="detector",
        edits={
            "(score[fg] * generalized_box_iou_loss(boxes[fg], gt_boxes[index[fg]])).sum()": "generalized_box_iou_loss(boxes[fg], gt_boxes[index[fg]]).sum()",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="Boxes of the best points count most.",
    ),
    Misconception(
        name="no-weight-of-boxes",
        exercise="detector",
        edits={
            "return (classes + 2.5 * boxes_off)": "return (classes + boxes_off)",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="2.5 balances the two parts.",
    ),
    Misconception(
        name="mean-over-images",
        exercise="detector",
        edits={
            "/ total.clamp(min=1)": "/ total.clamp(min=1) / len(targets)",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="The sum of the target scores grows with the batch already.",
    ),
    Misconception(
        name="each-image-by-itself",
        exercise="detector",
        edits={
            "        total = total + score.sum()\n": "        total = score.sum()\n",
        },
        rejected_by="detector-test-2",
        says="the loss, against loops",
        note="Numerator and denominator both go over the whole batch.",
    ),
    Misconception(
        name="divisor-without-a-floor",
        exercise="detector",
        edits={
            "total.clamp(min=1)": "total.clamp(min=1e-6)",
        },
        rejected_by="detector-test-1",
        says="the loss",
        note="A batch of empty images would explode.",
    ),
    Misconception(
        name="topk-ignored",
        exercise="detector",
        edits={
            "points, labels, gt_boxes, topk": "points, labels, gt_boxes, 8",
        },
        rejected_by="detector-test-2",
        says="the loss not as expected",
        note="topk tells the two heads apart.",
    ),
    Misconception(
        name="loss-without-gradient",
        exercise="detector",
        edits={
            'zip(out["logits"], out["boxes"], targets)': 'zip(out["logits"], out["boxes"].detach(), targets)',
        },
        rejected_by="detector-test-2",
        says="a gradient reaches the boxes",
        note="Only what the targets are made from is detached. The boxes in the loss must learn.",
    ),
    # ---- exercise 6: export and parity
    Misconception(
        name="batch-frozen",
        exercise="export",
        edits={
            "torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)": "torch.onnx.export(module, (example,), str(path), dynamo=False, **names)",
        },
        rejected_by="export-test-1",
        says="a small module",
        note="Without a free axis the batch of the example is the only one that the file takes.",
    ),
    Misconception(
        name="one-axis-frozen-by-one",
        exercise="export",
        edits={
            "torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)": 'torch.onnx.export(module, (example[:1],), str(path), dynamic_axes={"images": {0: "batch"}} if len(example) > 1 else None, dynamo=False, **names)',
        },
        rejected_by="export-test-2",
        says="an example with a batch of 1",
        note="The batch is free whatever the example's is.",
    ),
    Misconception(
        name="other-names",
        exercise="export",
        edits={
            '"output_names": ["scores", "boxes"]': '"output_names": ["score", "box"]',
            'for name in ("images", "scores", "boxes")': 'for name in ("images", "score", "box")',
        },
        rejected_by="export-test-1",
        says="the names of inputs and outputs",
        note="Who serves the file asks for its outputs by name.",
    ),
    Misconception(
        name="outputs-swapped",
        exercise="export",
        edits={
            '"output_names": ["scores", "boxes"]': '"output_names": ["boxes", "scores"]',
        },
        rejected_by="export-test-1",
        says="the names of inputs and outputs",
        note="The exporter gives names by place.",
    ),
    Misconception(
        name="only-the-module-checked",
        exercise="export",
        edits={
            '    if any(part.training for part in module.modules()):\n        raise ValueError("the module is in training mode; call eval() first")\n    names': '    if module.training:\n        raise ValueError("the module is in training mode; call eval() first")\n    names',
        },
        rejected_by="export-test-2",
        says="one part in training mode",
        note="A batch norm in train mode inside of a module in eval mode is exported as such.",
    ),
    Misconception(
        name="switched-to-eval",
        exercise="export",
        edits={
            '    if any(part.training for part in module.modules()):\n        raise ValueError("the module is in training mode; call eval() first")\n    names': "    module.eval()\n    names",
        },
        rejected_by="export-test-1",
        says="export_onnx raised the wrong error",
        note="The exporter would be silent about a mistake of the caller's, and change the caller's module.",
    ),
    Misconception(
        name="checked-after-writing",
        exercise="export",
        edits={
            '    if any(part.training for part in module.modules()):\n        raise ValueError("the module is in training mode; call eval() first")\n    names': "    late = any(part.training for part in module.modules())\n    names",
            "torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)": 'torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)\n    if late:\n        raise ValueError("the module is in training mode; call eval() first")',
        },
        rejected_by="export-test-2",
        says="whether there is a file",
        note="The file is there, is wrong, and somebody ships it.",
    ),
    Misconception(
        name="weights-in-a-second-file",
        exercise="export",
        edits={
            "torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)": 'torch.onnx.export(module, (example,), str(path), dynamic_axes=free, dynamo=False, **names)\n        onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)',
        },
        rejected_by="export-test-1",
        says="a small module",
        note="Who copies the file copies no weights. Large models need it; this one does not.",
    ),
    Misconception(
        name="parity-of-means",
        exercise="export",
        edits={
            "return {name: float(np.abs(value - wanted[name].numpy()).max()) for name, value in zip(wanted, came)}": "return {name: float(np.abs(value - wanted[name].numpy()).mean()) for name, value in zip(wanted, came)}",
        },
        rejected_by="export-test-1",
        says="this is the mean difference",
        note="One wrong box in a thousand is hidden by a mean.",
    ),
    Misconception(
        name="parity-of-the-first-image",
        exercise="export",
        edits={
            "return {name: float(np.abs(value - wanted[name].numpy()).max()) for name, value in zip(wanted, came)}": "return {name: float(np.abs(value[:1] - wanted[name].numpy()[:1]).max()) for name, value in zip(wanted, came)}",
        },
        rejected_by="export-test-2",
        says="only the first image was looked at",
        note="A frozen batch shows from the second image on.",
    ),
    Misconception(
        name="parity-with-a-sign",
        exercise="export",
        edits={
            "return {name: float(np.abs(value - wanted[name].numpy()).max()) for name, value in zip(wanted, came)}": "return {name: float((value - wanted[name].numpy()).max()) for name, value in zip(wanted, came)}",
        },
        rejected_by="export-test-1",
        says="the sign was kept",
        note="A file that says too little would pass.",
    ),
    Misconception(
        name="parity-by-place",
        exercise="export",
        edits={
            ".run(list(wanted), {": ".run(None, {",
        },
        rejected_by="export-test-2",
        says="outputs in another order",
        note="Outputs are found by their names.",
    ),
    Misconception(
        name="parity-in-numpy-numbers",
        exercise="export",
        edits={
            "return {name: float(np.abs(value - wanted[name].numpy()).max()) for name, value in zip(wanted, came)}": "return {name: np.abs(value - wanted[name].numpy()).max() for name, value in zip(wanted, came)}",
        },
        rejected_by="export-test-1",
        says="a float",
        note="NumPy's float32 is no Python float, and JSON does not know it.",
    ),
    # ---- exercise 7: perf sheet
    Misconception(
        name="warm-up-counted",
        exercise="sheet",
        edits={
            '[row["warmup"] :]': "",
        },
        rejected_by="sheet-test-1",
        says="the warm-up was counted",
        note="The first calls fill caches. They happen once, not for one user in twenty.",
    ),
    Misconception(
        name="warm-up-at-the-end",
        exercise="sheet",
        edits={
            '[row["warmup"] :]': '[: len(row["latencies_ms"]) - row["warmup"]]',
        },
        rejected_by="sheet-test-1",
        says="taken off the end",
        note="The first samples are the warm-up.",
    ),
    Misconception(
        name="sorted-and-indexed",
        exercise="sheet",
        edits={
            "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))": "p50, p95, p99 = (float(sorted(counted)[int(q * len(counted))]) for q in (0.5, 0.95, 0.99))",
        },
        rejected_by="sheet-test-1",
        says="the upper of the two middle samples",
        note="With few samples an index is half a sample off.",
    ),
    Misconception(
        name="p95-indexed",
        exercise="sheet",
        edits={
            "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))": "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))\n        p95 = float(sorted(counted)[int(0.95 * len(counted))])",
        },
        rejected_by="sheet-test-1",
        says="as sorted[int(0.95 * n)] gives it",
        note="With few samples an index is half a sample off.",
    ),
    Misconception(
        name="mean-as-p50",
        exercise="sheet",
        edits={
            "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))": "p50, p95, p99 = (float(value) for value in np.percentile(counted, [50, 95, 99]))\n        p50 = float(np.mean(counted))",
        },
        rejected_by="sheet-test-1",
        says="this is the mean",
        note="One slow call moves the mean. The median stays where half of the calls are.",
    ),
    Misconception(
        name="delta-as-a-share",
        exercise="sheet",
        edits={
            'delta = 100 * (row["map"] - reference[0])': 'delta = row["map"] - reference[0]',
        },
        rejected_by="sheet-test-1",
        says="points are hundredths",
        note="AP 0.52 is 52 points.",
    ),
    Misconception(
        name="delta-relative",
        exercise="sheet",
        edits={
            'delta = 100 * (row["map"] - reference[0])': 'delta = 100 * (row["map"] / reference[0] - 1)',
        },
        rejected_by="sheet-test-1",
        says="this is relative to PyTorch",
        note="1 % of 40 points is 0.4 points.",
    ),
    Misconception(
        name="delta-with-the-wrong-sign",
        exercise="sheet",
        edits={
            'delta = 100 * (row["map"] - reference[0])': 'delta = 100 * (reference[0] - row["map"])',
        },
        rejected_by="sheet-test-1",
        says="the sign is wrong",
        note="A drop is negative.",
    ),
    Misconception(
        name="gain-is-inaccurate",
        exercise="sheet",
        edits={
            '"inaccurate" if delta < -max_map_drop': '"inaccurate" if abs(delta) > max_map_drop',
        },
        rejected_by="sheet-test-1",
        says="a gain counts as a loss",
        note="Better than PyTorch is odd, and worth a look, but not too inaccurate.",
    ),
    Misconception(
        name="batch-not-counted",
        exercise="sheet",
        edits={
            '1000 * row["batch"] * len(counted)': "1000 * len(counted)",
        },
        rejected_by="sheet-test-1",
        says="the batch was not counted",
        note="A call with eight images gives eight images.",
    ),
    Misconception(
        name="per-millisecond",
        exercise="sheet",
        edits={
            '1000 * row["batch"] * len(counted)': 'row["batch"] * len(counted)',
        },
        rejected_by="sheet-test-1",
        says="images per millisecond",
        note="The samples are in milliseconds, the rate in seconds.",
    ),
    Misconception(
        name="rate-from-the-median",
        exercise="sheet",
        edits={
            '1000 * row["batch"] * len(counted) / sum(counted)': '1000 * row["batch"] / p50',
        },
        rejected_by="sheet-test-1",
        says="this rests on the median",
        note="Slow calls take time, too. Throughput counts all of it.",
    ),
    Misconception(
        name="mean-of-rates",
        exercise="sheet",
        edits={
            '1000 * row["batch"] * len(counted) / sum(counted)': 'float(np.mean(1000 * row["batch"] / np.array(counted)))',
        },
        rejected_by="sheet-test-1",
        says="mean of the speeds of single calls",
        note="The mean of speeds favors the fast calls.",
    ),
    Misconception(
        name="slow-before-inaccurate",
        exercise="sheet",
        edits={
            '"verdict": "inaccurate" if delta < -max_map_drop else slow,': '"verdict": slow if slow == "slow" else "inaccurate" if delta < -max_map_drop else slow,',
        },
        rejected_by="sheet-test-1",
        says="the verdicts",
        note="A wrong model is not to be made faster.",
    ),
    Misconception(
        name="limits-fail",
        exercise="sheet",
        edits={
            "delta < -max_map_drop": "delta <= -max_map_drop",
            "p95 > p95_budget_ms": "p95 >= p95_budget_ms",
        },
        rejected_by="sheet-test-1",
        says="what lies on a limit passes",
        note="A budget of 60 ms may be used up.",
    ),
    Misconception(
        name="slow-by-p99",
        exercise="sheet",
        edits={
            'slow = "slow" if p95 >': 'slow = "slow" if p99 >',
        },
        rejected_by="sheet-test-1",
        says="told by p95",
        note="The budget is one for p95.",
    ),
    Misconception(
        name="first-row-is-the-reference",
        exercise="sheet",
        edits={
            'delta = 100 * (row["map"] - reference[0])': 'delta = 100 * (row["map"] - rows[0]["map"])',
        },
        rejected_by="sheet-test-1",
        says="map_delta_points",
        note="The reference is told by its name, not by its place.",
    ),
    Misconception(
        name="last-reference-wins",
        exercise="sheet",
        edits={
            "if len(reference) != 1:": "if not reference:",
        },
        rejected_by="sheet-test-1",
        says="did not raise",
        note="Two rows called pytorch are a mistake of somebody's.",
    ),
    Misconception(
        name="empty-rows-skipped",
        exercise="sheet",
        edits={
            "            raise ValueError(f\"{row['name']} has no samples beyond its warm-up\")": "            continue",
        },
        rejected_by="sheet-test-1",
        says="did not raise",
        note="A variant that was not measured would vanish from the sheet.",
    ),
    Misconception(
        name="samples-sorted-in-place",
        exercise="sheet",
        edits={
            'counted = list(row["latencies_ms"])[row["warmup"] :]': 'row["latencies_ms"][:] = row["latencies_ms"][row["warmup"] :]\n        counted = row["latencies_ms"]',
        },
        rejected_by="sheet-test-1",
        says="the rows that were given",
        note="The raw samples are the evidence. Leave them as they are.",
    ),
    # ---- exercise 8: Triton
    Misconception(
        name="batch-in-dims",
        exercise="triton",
        edits={
            "(shape[1:] if max_batch_size > 0 else shape)": "shape",
        },
        rejected_by="triton-test-1",
        says="the batch axis stands in dims",
        note="Triton puts its own batch axis before dims; the model would be asked for one too many.",
    ),
    Misconception(
        name="first-size-always-dropped",
        exercise="triton",
        edits={
            "(shape[1:] if max_batch_size > 0 else shape)": "shape[1:]",
        },
        rejected_by="triton-test-1",
        says="the first size was left out",
        note="With max_batch_size 0 there is no batch axis to be added.",
    ),
    Misconception(
        name="version-with-a-v",
        exercise="triton",
        edits={
            "Path(root) / model / str(version)": 'Path(root) / model / f"v{version}"',
        },
        rejected_by="triton-test-1",
        says="the files",
        note="Triton ignores folders whose names are no numbers.",
    ),
    Misconception(
        name="always-model-onnx",
        exercise="triton",
        edits={
            "shutil.copyfile(artifact, place / ARTIFACTS[platform])": 'shutil.copyfile(artifact, place / "model.onnx")',
        },
        rejected_by="triton-test-1",
        says="the files",
        note="A TensorRT engine is called model.plan.",
    ),
    Misconception(
        name="file-moved",
        exercise="triton",
        edits={
            "shutil.copyfile(artifact, place / ARTIFACTS[platform])": "shutil.move(artifact, place / ARTIFACTS[platform])",
        },
        rejected_by="triton-test-1",
        says="the model's file after it was copied",
        note="Somebody still needs the file that was given.",
    ),
    Misconception(
        name="written-before-checked",
        exercise="triton",
        edits={
            '    if platform not in ARTIFACTS or version < 1:\n        raise ValueError(f"platform {platform!r}, version {version}")\n    place = Path(root) / model / str(version)\n    place.mkdir(parents=True, exist_ok=True)\n': '    place = Path(root) / model / str(version)\n    place.mkdir(parents=True, exist_ok=True)\n    if platform not in ARTIFACTS or version < 1:\n        raise ValueError(f"platform {platform!r}, version {version}")\n',
        },
        rejected_by="triton-test-1",
        says="leaves nothing behind",
        note="Half a model in a repository is found by the server.",
    ),
    Misconception(
        name="version-zero",
        exercise="triton",
        edits={
            "or version < 1:": "or version < 0:",
        },
        rejected_by="triton-test-1",
        says="version 0 raised the wrong error",
        note="Versions begin at 1.",
    ),
    Misconception(
        name="outputs-forgotten",
        exercise="triton",
        edits={
            '(("input", inputs), ("output", outputs))': '(("input", inputs), ("output", inputs))',
        },
        rejected_by="triton-test-1",
        says="the names of output",
        note="Outputs are not inputs.",
    ),
    Misconception(
        name="all-in-float32",
        exercise="triton",
        edits={
            "data_type: {data_type} dims": "data_type: TYPE_FP32 dims",
        },
        rejected_by="triton-test-1",
        says="data_type",
        note="Each tensor has its own data type.",
    ),
    Misconception(
        name="name-not-compared",
        exercise="triton",
        edits={
            '        if name != folder.name:\n            faults.append(f"name: {name!r} in the folder {folder.name!r}")\n': "",
        },
        rejected_by="triton-test-1",
        says="one fault: name",
        note="Triton refuses a model whose name is not its folder's.",
    ),
    Misconception(
        name="any-folder-is-a-version",
        exercise="triton",
        edits={
            'r"[1-9][0-9]*"': 'r"v?[0-9]+"',
        },
        rejected_by="triton-test-1",
        says="one fault: version",
        note="v1 is no number.",
    ),
    Misconception(
        name="leading-zeros",
        exercise="triton",
        edits={
            'r"[1-9][0-9]*"': 'r"[0-9]+"',
        },
        rejected_by="triton-test-1",
        says="a repository: version 0",
        note="0 and 01 are no names of versions.",
    ),
    Misconception(
        name="any-artifact",
        exercise="triton",
        edits={
            "not (place / ARTIFACTS[platform]).is_file()": "not any((place / name).is_file() for name in ARTIFACTS.values())",
        },
        rejected_by="triton-test-1",
        says="one fault: artifact",
        note="model.onnx with the platform tensorrt_plan does not load.",
    ),
    Misconception(
        name="first-version-alone",
        exercise="triton",
        edits={
            "for place in versions:": "for place in sorted(versions)[:1]:",
        },
        rejected_by="triton-test-1",
        says="a repository: ",
        note="Triton may serve several versions.",
    ),
    Misconception(
        name="first-data-type-alone",
        exercise="triton",
        edits={
            "for kind in kinds if kind not in DATA_TYPES]": "for kind in kinds[:1] if kind not in DATA_TYPES]",
        },
        rejected_by="triton-test-1",
        says="data_type",
        note="Every tensor is looked at.",
    ),
    Misconception(
        name="type-by-prefix",
        exercise="triton",
        edits={
            "if kind not in DATA_TYPES]": 'if not kind.startswith("TYPE_")]',
        },
        rejected_by="triton-test-1",
        says="one fault: data_type",
        note="TYPE_FLOAT32 looks right and is none.",
    ),
    Misconception(
        name="negative-sizes-allowed",
        exercise="triton",
        edits={
            'least = 1 if int(found["max_batch_size"][1]) > 0 else -1': "least = -1",
        },
        rejected_by="triton-test-1",
        says="one fault: dims",
        note="With batching a -1 in dims is the batch axis, a second one.",
    ),
    Misconception(
        name="free-sizes-refused",
        exercise="triton",
        edits={
            'least = 1 if int(found["max_batch_size"][1]) > 0 else -1': "least = 1",
        },
        rejected_by="triton-test-1",
        says="max_batch_size 0",
        note="Without batching the batch axis stands in dims, and is free.",
    ),
    Misconception(
        name="goes-on-without-a-name",
        exercise="triton",
        edits={
            "            continue\n        name, platform": '            found = {word: match or re.match(r"(.*)", \'"0"\') for word, match in found.items()}\n        name, platform',
        },
        rejected_by="triton-test-1",
        says="config",
        note="Where the configuration lacks a word, nothing else of this model is checked.",
    ),
]
