"""Wrong answers that people really write in week 10, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

NEAREST = "nearest = min(candidates, key=lambda name: abs(candidates[name] - target_params))"
TOO_FAR = "if abs(candidates[nearest] - target_params) > tolerance * target_params:"
EACH_MODEL = "        for name, make in models.items():\n            torch.manual_seed(seed)\n"
FRESH = (
    "            draw = torch.Generator().manual_seed(seed)  # fresh for each model: all of them get the same batches\n"
)
PICKED = "picked = torch.randint(len(x), (batch,), generator=draw)"
KEEP_RUN = "results[name].append(Run(model, params, seconds, right / len(y_test)))"

INSIDE = "with evaluating(model), torch.enable_grad():"
REMOVE = "    finally:\n        handle.remove()\n"
SCORE = "score = logits.gather(1, targets[:, None]).sum()  # images do not mix: one backward pass serves all"
GRADIENT = "(gradient,) = torch.autograd.grad(score, kept[0])"
ALPHA = "alpha = gradient.mean(dim=(2, 3), keepdim=True)"
WEIGHED = "maps = (alpha * kept[0].detach()).sum(dim=1, keepdim=True).relu()"
ENLARGE = 'maps = F.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]'
PEAK = "peak = maps.amax(dim=(1, 2), keepdim=True)"
DIVIDE = "return maps / torch.where(peak > 0, peak, 1.0)"

CHECKED = "if eps < 0 or lo >= hi:"
BOX = "lowest, highest = (clean - eps).clamp(min=lo), (clean + eps).clamp(max=hi)  # both promises in one box"
START = "moved = (clean + eps * (2 * noise - 1)).clamp(lowest, highest)"
NOISE = "noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)"
LOSS = 'loss = F.cross_entropy(model(moved), y, reduction="sum")  # images do not mix'
GRAD = "(gradient,) = torch.autograd.grad(loss, moved)"
MOVE = "moved = (moved.detach() + step * gradient.sign()).clamp(lowest, highest)"

MARGIN = "margin = logits[own] - logits.masked_fill(own, -math.inf).amax(1)"
BETTER = "better = (margin < 0) & (margin <= -kappa) & (squared < least)"
PUSH = "loss = (squared + c * margin.clamp(min=-kappa)).sum()"
STEP = "(free.grad,) = torch.autograd.grad(loss, free)"
BEST = "return best, least < math.inf"

SHARES = "shares.append((model(moved).argmax(1) == y).float().mean().item())"
ATTACK = "moved = attack(model, x, y, eps)"
RISES = "if any(eps > other and many > lower + slack for eps, _, many in points for other, _, lower in points):"
SURVIVES = "if any(many > slack for eps, _, many in points if eps >= value_range):"

DISAGREE = "disagree = shape != texture"
BIAS = "return by_shape / decided if decided else math.nan, decided / disagree.sum().item()"

INDICES = "return {name: group.nonzero()[:, 0] for name, group in groups.items()}"
KAPPA = "return math.nan if expected == 1 else (observed - expected) / (1 - expected)"
RIGHT = "a, b = (pred_a == y).double(), (pred_b == y).double()"
OBSERVED = "observed = (a == b).double().mean().item()"
CHANCE = "expected = p_a * p_b + (1 - p_a) * (1 - p_b)"
ONLY = "only_a, only_b = (a & ~b).sum().item(), (b & ~a).sum().item()"
TAIL = "tail = sum(math.comb(total, k) for k in range(min(only_a, only_b) + 1))"
P_VALUE = "return min(1.0, 2 * tail / 2**total)"

MISCONCEPTIONS = [
    # ---- exercise 1: budget
    Misconception(
        name="first-within-tolerance",
        exercise="budget",
        edits={
            NEAREST: (
                "near = [n for n, count in candidates.items() if abs(count - target_params) <= tolerance * target_params]\n"
                "    nearest = near[0] if near else next(iter(candidates))"
            )
        },
        rejected_by="budget-test-1",
        says="the first one within the tolerance was taken",
        note="With a tolerance of 10 % two models can differ by 20 %. Take the nearest.",
    ),
    Misconception(
        name="at-least-the-target",
        exercise="budget",
        edits={
            NEAREST: (
                "nearest = min(candidates, key=lambda name: candidates[name] - target_params "
                "if candidates[name] >= target_params else float('inf'))"
            )
        },
        rejected_by="budget-test-1",
        says="only candidates that are at least as large were looked at",
        note="A distance has no sign; without abs() it does.",
    ),
    Misconception(
        name="tolerance-unchecked",
        exercise="budget",
        edits={TOO_FAR: "if not candidates:"},
        rejected_by="budget-test-1",
        says="no candidate within 10 % did not raise",
        note="A comparison that is not fair should not start at all.",
    ),
    Misconception(
        name="edge-left-out",
        exercise="budget",
        edits={TOO_FAR: TOO_FAR.replace(") > tol", ") >= tol")},
        rejected_by="budget-test-1",
        says="the edge is included",
        note="Within 10 % includes 10 %.",
    ),
    Misconception(
        name="tolerance-of-the-candidate",
        exercise="budget",
        edits={TOO_FAR: "if abs(candidates[nearest] - target_params) > tolerance * candidates[nearest]:"},
        rejected_by="budget-test-1",
        says="112 is 12 % away from 100 did not raise",
        note="12 of 112 is less than 11 %. The share is one of the target.",
    ),
    Misconception(
        name="one-generator-for-all-models",
        exercise="budget",
        edits={EACH_MODEL: FRESH[4:] + EACH_MODEL, FRESH: ""},
        rejected_by="budget-test-2",
        says="the generator went on where the first model had stopped",
        note="The second model then learns from other images than the first.",
    ),
    Misconception(
        name="batches-from-the-global-state",
        exercise="budget",
        edits={PICKED: "picked = torch.randint(len(x), (batch,))"},
        rejected_by="budget-test-2",
        says="batches come from torch's own random state",
        note="Making a model takes random numbers, and a larger model takes more. A seed set before it does not help.",
    ),
    Misconception(
        name="seed-fixed",
        exercise="budget",
        edits={FRESH: FRESH.replace("manual_seed(seed)", "manual_seed(0)")},
        rejected_by="budget-test-2",
        says="every seed gets the same batches",
        note="Then the spread over seeds shows the weights' luck alone.",
    ),
    Misconception(
        name="best-seed-only",
        exercise="budget",
        edits={
            KEEP_RUN: (
                "run = Run(model, params, seconds, right / len(y_test))\n"
                "            results[name] = [max([*results[name], run], key=lambda one: one.accuracy)]"
            )
        },
        rejected_by="budget-test-2",
        says="the number of runs of each model",
        note="The best of several seeds grows with their number. Keep all runs, and report them all.",
    ),
    Misconception(
        name="measured-on-training-images",
        exercise="budget",
        edits={"in zip(x_test.split(500), y_test.split(500))": "in zip(x.split(500), y.split(500))"},
        rejected_by="budget-test-2",
        says="accuracy was measured on the training images",
        note="Those it has seen before.",
    ),
    Misconception(
        name="measured-in-train-mode",
        exercise="budget",
        edits={"            model.eval()\n": ""},
        rejected_by="budget-test-2",
        says="accuracy was measured in train mode",
        note="Batch norm would use the test batch, and dropout would throw answers away.",
    ),
    Misconception(
        name="seeded-once-for-all-models",
        exercise="budget",
        edits={
            EACH_MODEL: "        torch.manual_seed(seed)\n        for name, make in models.items():\n",
        },
        rejected_by="budget-test-3",
        says="the models do not start from the same seed",
        note="The batches agree, but the second model begins where the first one's random numbers ended.",
    ),
    Misconception(
        name="augmented-from-the-global-state",
        exercise="budget",
        edits={"augment(x[picked], draw)": "augment(x[picked], torch.default_generator)"},
        rejected_by="budget-test-3",
        says="augment got torch's own random state",
        note="Augmentation is part of the batch: it must be the same for all models, too.",
    ),
    Misconception(
        name="ratios-compared",
        exercise="budget",
        edits={NEAREST: "nearest = min(candidates, key=lambda name: abs(math.log(candidates[name] / target_params)))"},
        rejected_by="budget-test-1",
        says="ratios were compared",
        note="The tolerance is a share of the target, so it is the difference that counts.",
    ),
    Misconception(
        name="counts-what-wants-gradients",
        exercise="budget",
        edits={
            "for parameter in model.parameters())": "for parameter in model.parameters() if parameter.requires_grad)"
        },
        rejected_by="budget-test-2",
        says="only parameters that want gradients were counted",
        note="A frozen layer is part of the model, and somebody has to store it.",
    ),
    Misconception(
        name="epochs-without-replacement",
        exercise="budget",
        edits={
            PICKED: "order = torch.randperm(len(x), generator=draw) if _ * batch % len(x) < batch else order\n                at = _ * batch % len(x)\n                picked = order[at : at + batch]"
        },
        rejected_by="budget-test-2",
        says="images were drawn without replacement",
        note="A fine way to train, but not the one that was agreed on: the runs of two people would differ.",
    ),
    Misconception(
        name="runs-in-the-order-of-numbers",
        exercise="budget",
        edits={"    for seed in seeds:\n": "    for seed in sorted(seeds):\n"},
        rejected_by="budget-test-2",
        says="the runs do not stand in the order of `seeds`",
        note="Whoever zips seeds and runs gets pairs that do not belong together.",
    ),
    Misconception(
        name="never-in-train-mode",
        exercise="budget",
        edits={"            model.train()\n": ""},
        rejected_by="budget-test-2",
        says="not every part was in train mode while the model learned",
        note="Dropout would be off, and batch norm would never learn its statistics.",
    ),
    Misconception(
        name="best-accuracy-of-all-steps",
        exercise="budget",
        edits={
            "            began = time.process_time()\n": "            began, best = time.process_time(), 0.0\n",
            "                schedule.step()\n": "                schedule.step()\n                model.eval()\n                with torch.no_grad():\n                    best = max(best, (model(x_test).argmax(1) == y_test).double().mean().item())\n                model.train()\n",
            KEEP_RUN: KEEP_RUN.replace("right / len(y_test)", "best"),
        },
        rejected_by="budget-test-2",
        says="accuracy was measured during the training as well",
        note="The best of many looks at the test set is chosen with the test set.",
    ),
    Misconception(
        name="gradients-pile-up",
        exercise="budget",
        edits={"                optimizer.zero_grad()\n": ""},
        rejected_by="budget-test-3",
        says="gradients of earlier batches were not cleared",
        note="AdamW divides by the size of the gradient, so the loss falls all the same, only in another way.",
    ),
    Misconception(
        name="schedule-never-stepped",
        exercise="budget",
        edits={"                schedule.step()\n": ""},
        rejected_by="budget-test-3",
        says="test accuracy above 0.95",
        note="The rate stays at its first value, a 25th of the peak.",
    ),
    Misconception(
        name="default-decay",
        exercise="budget",
        edits={"lr, weight_decay=0.05, fused=True": "lr, fused=True"},
        rejected_by="budget-test-3",
        says="weight decay was left at AdamW's default",
        note="It is 0.01 there.",
    ),
    Misconception(
        name="adam-without-decay",
        exercise="budget",
        edits={
            "torch.optim.AdamW(model.parameters(), lr, weight_decay=0.05, fused=True)": "torch.optim.Adam(model.parameters(), lr)"
        },
        rejected_by="budget-test-3",
        says="weights did not decay",
        note="The W of AdamW is the decay of the weights.",
    ),
    Misconception(
        name="default-warmup",
        exercise="budget",
        edits={"total_steps=steps, pct_start=0.2": "total_steps=steps"},
        rejected_by="budget-test-3",
        says="pct_start was left at its default",
        note="0.3 there: the peak comes later.",
    ),
    Misconception(
        name="rate-fixed",
        exercise="budget",
        edits={
            "AdamW(model.parameters(), lr, ": "AdamW(model.parameters(), 3e-3, ",
            "OneCycleLR(optimizer, lr, ": "OneCycleLR(optimizer, 3e-3, ",
        },
        rejected_by="budget-test-3",
        says="test accuracy above 0.95",
        note="It passes wherever nobody asks for another rate.",
    ),
    Misconception(
        name="augment-draws-for-itself",
        exercise="budget",
        edits={
            FRESH: FRESH + "            other = torch.Generator().manual_seed(seed)\n",
            "augment(x[picked], draw)": "augment(x[picked], other)",
        },
        rejected_by="budget-test-3",
        says="augment got a generator of its own",
        note="The same for all models, and yet not what was asked for: one generator draws a batch and its augmentation.",
    ),
    Misconception(
        name="seconds-of-the-whole-process",
        exercise="budget",
        edits={"seconds = time.process_time() - began": "seconds = time.process_time()"},
        rejected_by="budget-test-2",
        says="take no more CPU time than the whole call",
        note="A clock of CPU time begins with the process, not with the training. Take a difference.",
    ),
    Misconception(
        name="first-part-of-the-test-set",
        exercise="budget",
        edits={"in zip(x_test.split(500), y_test.split(500))": "in [(x_test[:500], y_test[:500])]"},
        rejected_by="budget-test-3",
        says="1,203 test images",
        note="The rest of the test set counts as wrong, and only large test sets show it.",
    ),
    # ---- exercise 2: gradcam
    Misconception(
        name="no-relu",
        exercise="gradcam",
        edits={WEIGHED: WEIGHED.removesuffix(".relu()")},
        rejected_by="gradcam-test-1",
        says="the ReLU is missing",
        note="Negative places speak for other classes.",
    ),
    Misconception(
        name="relu-before-the-sum",
        exercise="gradcam",
        edits={WEIGHED: "maps = (alpha.relu() * kept[0].detach().relu()).sum(dim=1, keepdim=True)"},
        rejected_by="gradcam-test-1",
        says="what speaks against the class was dropped before the sum",
        note="A place with much evidence against the class would shine all the same.",
    ),
    Misconception(
        name="gradient-maximum",
        exercise="gradcam",
        edits={ALPHA: "alpha = gradient.amax(dim=(2, 3), keepdim=True)"},
        rejected_by="gradcam-test-1",
        says="the largest gradient of a channel was taken",
        note="One place would decide about the sign of the whole channel.",
    ),
    Misconception(
        name="absolute-gradient",
        exercise="gradcam",
        edits={ALPHA: "alpha = gradient.abs().mean(dim=(2, 3), keepdim=True)"},
        rejected_by="gradcam-test-1",
        says="the weights are missing, or their signs",
        note="That measures how much a channel matters, not for which side.",
    ),
    Misconception(
        name="place-by-place",
        exercise="gradcam",
        edits={ALPHA: "alpha = gradient"},
        rejected_by="gradcam-test-1",
        says="each place was weighed by its own gradient",
        note="This is another method (HiResCAM). Grad-CAM gives each channel one weight.",
    ),
    Misconception(
        name="predicted-class",
        exercise="gradcam",
        edits={SCORE: "score = logits.amax(1).sum()"},
        rejected_by="gradcam-test-1",
        says="the predicted class was explained",
        note="The most interesting question is often why the model did not say something else.",
    ),
    Misconception(
        name="zero-over-zero",
        exercise="gradcam",
        edits={DIVIDE: "return maps / peak"},
        rejected_by="gradcam-test-1",
        says="0 divided by 0",
        note="A class that nothing speaks for has a map of zeros. It is an answer, not an error.",
    ),
    Misconception(
        name="maximum-of-the-batch",
        exercise="gradcam",
        edits={PEAK: "peak = maps.max()"},
        rejected_by="gradcam-test-2",
        says="divided by the largest value of the batch",
        note="The map of an image then depends on its neighbors.",
    ),
    Misconception(
        name="enlarged-by-repeating",
        exercise="gradcam",
        edits={ENLARGE: "maps = F.interpolate(maps, images.shape[-2:])[:, 0]"},
        rejected_by="gradcam-test-2",
        says="enlarged by repeating values",
        note="That is what interpolate does when it is not told otherwise.",
    ),
    Misconception(
        name="corners-aligned",
        exercise="gradcam",
        edits={ENLARGE: ENLARGE.replace("False", "True")},
        rejected_by="gradcam-test-2",
        says="the map was stretched to the corners",
        note="Then the map is stretched: its outer values move to the border of the image.",
    ),
    Misconception(
        name="class-of-the-first-image",
        exercise="gradcam",
        edits={SCORE: "score = logits[:, targets[0]].sum()"},
        rejected_by="gradcam-test-2",
        says="all images were asked about the class of the first",
        note="Each image has its own target.",
    ),
    Misconception(
        name="square-images-only",
        exercise="gradcam",
        edits={ENLARGE: ENLARGE.replace("shape[-2:]", "shape[-1]")},
        rejected_by="gradcam-test-2",
        says="wrong shape",
        note="Height and width need not be equal.",
    ),
    Misconception(
        name="hook-stays",
        exercise="gradcam",
        edits={REMOVE: "    finally:\n        pass\n"},
        rejected_by="gradcam-test-3",
        says="a hook was left behind",
        note="It goes on keeping maps at every call, and holds their memory.",
    ),
    Misconception(
        name="backward",
        exercise="gradcam",
        edits={GRADIENT: "kept[0].retain_grad()\n            score.backward()\n            gradient = kept[0].grad"},
        rejected_by="gradcam-test-3",
        says="backward() reaches the parameters",
        note="If a training goes on afterwards, its next step uses them.",
    ),
    Misconception(
        name="explained-in-train-mode",
        exercise="gradcam",
        edits={INSIDE: "with torch.enable_grad():"},
        rejected_by="gradcam-test-3",
        says="batch norm learned from what it was asked",
        note="And the map of an image depends on the rest of its batch.",
    ),
    Misconception(
        name="left-in-eval-mode",
        exercise="gradcam",
        edits={INSIDE: "model.eval()\n        with torch.enable_grad():"},
        rejected_by="gradcam-test-3",
        says="the model was left in eval mode",
        note="A training that goes on would run without dropout.",
    ),
    Misconception(
        name="gradients-off",
        exercise="gradcam",
        edits={INSIDE: "with evaluating(model):"},
        rejected_by="gradcam-test-3",
        says="under torch.no_grad()",
        note="Whoever calls it inside an evaluation loop has switched gradients off.",
    ),
    Misconception(
        name="gradients-emptied",
        exercise="gradcam",
        edits={DIVIDE: "model.zero_grad()\n    return maps / torch.where(peak > 0, peak, 1.0)"},
        rejected_by="gradcam-test-3",
        says="as zero_grad() does",
        note="Somebody may be in the middle of a training step: what was gathered there is gone.",
    ),
    Misconception(
        name="explained-and-frozen",
        exercise="gradcam",
        edits={INSIDE: "model.requires_grad_(False)\n        with evaluating(model), torch.enable_grad():"},
        rejected_by="gradcam-test-3",
        says="the parameters were frozen",
        note="The next training step moves nothing, and does not complain.",
    ),
    Misconception(
        name="hook-stays-after-an-error",
        exercise="gradcam",
        edits={REMOVE: "    except ZeroDivisionError:\n        raise\n    handle.remove()\n"},
        rejected_by="gradcam-test-3",
        says="a hook was left behind",
        note="An error in the middle leaves the function by another door: `finally` stands at both.",
        same_cause_as="hook-stays",
    ),
    Misconception(
        name="map-overwritten",
        exercise="gradcam",
        edits={
            "        return output.clone()  # the model goes on with a copy, which the next part may overwrite\n": "        return output\n"
        },
        rejected_by="gradcam-test-3",
        says="overwritten by the ReLU behind it",
        note="A list keeps the tensor, not its values. Networks of torchvision are full of in-place ReLUs.",
    ),
    Misconception(
        name="small-number-added",
        exercise="gradcam",
        edits={DIVIDE: "return maps / (peak + 1e-8)"},
        rejected_by="gradcam-test-3",
        says="a small number was added to the largest value",
        note="Where logits are small, so are the maps, and 1e-8 is no small number any more.",
    ),
    # ---- exercise 3: attacks
    Misconception(
        name="sign-subtracted",
        exercise="attacks",
        edits={MOVE: MOVE.replace("+ step", "- step")},
        rejected_by="attacks-test-1",
        says="the sign was subtracted",
        note="That is a step of training, on the image: it makes the model surer.",
    ),
    Misconception(
        name="gradient-without-sign",
        exercise="attacks",
        edits={MOVE: MOVE.replace(".sign()", "")},
        rejected_by="attacks-test-1",
        says="the gradient itself was added",
        note="Gradients of a sure model are tiny, and the attack stands still.",
    ),
    Misconception(
        name="eps-over-255",
        exercise="attacks",
        edits={"    clean = x.detach()\n": "    eps, step = eps / 255, step / 255\n    clean = x.detach()\n"},
        rejected_by="attacks-test-1",
        says="eps was divided by 255",
        note="8 means 8 of 255 gray levels. Here pixels lie in [0, 1], and so does eps.",
    ),
    Misconception(
        name="predicted-labels",
        exercise="attacks",
        edits={LOSS: 'loss = F.cross_entropy(model(moved), model(moved).argmax(1), reduction="sum")'},
        rejected_by="attacks-test-1",
        says="the predicted class was attacked",
        note="It avoids label leaking in adversarial training, but in an evaluation it repairs the model's own errors.",
    ),
    Misconception(
        name="range-forgotten",
        exercise="attacks",
        edits={BOX: "lowest, highest = clean - eps, clean + eps"},
        rejected_by="attacks-test-1",
        says="the range was forgotten",
        note="No camera gives such an image.",
    ),
    Misconception(
        name="negative-eps",
        exercise="attacks",
        edits={CHECKED: "if lo >= hi:"},
        rejected_by="attacks-test-1",
        says="eps -0.1 did not raise",
        note="Its ball is empty, and clamp does not complain.",
    ),
    Misconception(
        name="softmax-twice",
        exercise="attacks",
        edits={LOSS: 'loss = F.cross_entropy(model(moved).softmax(-1), y, reduction="sum")'},
        rejected_by="attacks-test-2",
        says="cross_entropy got probabilities",
        note="Nothing breaks, the gradient is merely another one, and nearly 0 where the model is sure.",
    ),
    Misconception(
        name="attacked-in-train-mode",
        exercise="attacks",
        edits={INSIDE: "with torch.enable_grad():"},
        rejected_by="attacks-test-2",
        says="batch norm learned from what it was asked",
        note="The model that you evaluate next is not the one you meant to evaluate.",
    ),
    Misconception(
        name="parameters-get-gradients",
        exercise="attacks",
        edits={GRAD: "loss.backward()\n            gradient = moved.grad"},
        rejected_by="attacks-test-2",
        says="backward() reaches the parameters",
        note="In adversarial training they would be added to those of the real step.",
    ),
    Misconception(
        name="no-gradients-inside-no-grad",
        exercise="attacks",
        edits={INSIDE: "with evaluating(model):"},
        rejected_by="attacks-test-2",
        says="and under torch.no_grad()",
        note="An evaluation loop under torch.no_grad() is just where attacks are called.",
    ),
    Misconception(
        name="ball-around-the-current-point",
        exercise="attacks",
        edits={
            MOVE: (
                "here = moved.detach()\n"
                "            moved = (here + step * gradient.sign()).clamp(here - eps, here + eps).clamp(lo, hi)"
            )
        },
        rejected_by="attacks-test-3",
        says="the ball was laid around the current point",
        note="Each step keeps within eps of the one before. Ten of them do not.",
    ),
    Misconception(
        name="noise-of-one-sign",
        exercise="attacks",
        edits={START: START.replace("(2 * noise - 1)", "noise")},
        rejected_by="attacks-test-3",
        says="the noise is never negative",
        note="Half of the ball in every pixel is never a start.",
    ),
    Misconception(
        name="generator-ignored",
        exercise="attacks",
        edits={NOISE: NOISE.replace("generator=generator, ", "")},
        rejected_by="attacks-test-3",
        says="the generator was not used",
        note="Then two models are attacked from different starts, and no result can be repeated.",
    ),
    Misconception(
        name="start-at-the-image",
        exercise="attacks",
        edits={
            "    if random_start:\n": "    if random_start and n_steps > 0:\n        moved = clean.clone()\n    if random_start and eps > 1:\n"
        },
        rejected_by="attacks-test-3",
        says="the attack starts at x itself",
        note="At the image itself the gradient of a trained model can be nearly 0.",
    ),
    Misconception(
        name="gradient-of-the-start",
        exercise="attacks",
        edits={
            "            moved.requires_grad_()\n": "            begin = clean.clone().requires_grad_()\n",
            LOSS: 'loss = F.cross_entropy(model(begin), y, reduction="sum")',
            GRAD: "(gradient,) = torch.autograd.grad(loss, begin)",
        },
        rejected_by="attacks-test-4",
        says="the gradient was computed once, at the start",
        note="On a linear model it makes no difference. That is why tests need a curved one.",
    ),
    Misconception(
        name="start-not-projected",
        exercise="attacks",
        edits={START: "moved = clean + eps * (2 * noise - 1)"},
        rejected_by="attacks-test-4",
        says="the random start is not projected",
        note="With steps the projection comes later, but the first gradient is taken outside of the range.",
    ),
    Misconception(
        name="fgsm-freezes",
        exercise="attacks",
        edits={INSIDE: "model.requires_grad_(False)\n    with evaluating(model), torch.enable_grad():"},
        rejected_by="attacks-test-2",
        says="the parameters were frozen",
        note="Faster, and the model can never be trained again without somebody noticing why.",
    ),
    Misconception(
        name="attack-empties-gradients",
        exercise="attacks",
        edits={"    return moved\n": "    model.zero_grad()\n    return moved\n"},
        rejected_by="attacks-test-2",
        says="as zero_grad() does",
        note="In adversarial training the attack stands between two backward passes.",
    ),
    Misconception(
        name="zero-eps-before-the-checks",
        exercise="attacks",
        edits={CHECKED: "if eps == 0:\n        return x.clone()\n    if eps < 0 or lo >= hi:"},
        rejected_by="attacks-test-1",
        says="lo equal to hi, also with eps 0 did not raise",
        note="A range that makes no sense is a mistake of the caller, whatever eps is.",
    ),
    Misconception(
        name="corners-only",
        exercise="attacks",
        edits={START: "moved = (clean + eps * (2 * noise - 1).sign()).clamp(lowest, highest)"},
        rejected_by="attacks-test-4",
        says="only corners of the ball are drawn",
        note="FGSM looks at the corners already; what lies inside is never tried.",
    ),
    Misconception(
        name="normal-start",
        exercise="attacks",
        edits={
            NOISE: "noise = (torch.randn(clean.shape, generator=generator, dtype=clean.dtype).clamp(-1, 1) + 1) / 2"
        },
        rejected_by="attacks-test-4",
        says="normal noise that is cut off",
        note="A third of all pixels would begin at the very edge.",
    ),
    Misconception(
        name="one-number-an-image",
        exercise="attacks",
        edits={
            NOISE: "noise = torch.rand(len(clean), *[1] * (clean.ndim - 1), generator=generator, dtype=clean.dtype).expand_as(clean)"
        },
        rejected_by="attacks-test-3",
        says="pixels moved up and down",
        note="That only makes an image lighter or darker.",
    ),
    Misconception(
        name="one-start-for-the-batch",
        exercise="attacks",
        edits={
            NOISE: "noise = torch.rand(clean.shape[1:], generator=generator, dtype=clean.dtype).expand_as(clean).to(clean.device)"
        },
        rejected_by="attacks-test-4",
        says="each image has its own start",
        note="Then an image alone and in a batch starts alike, and all of them share their luck.",
    ),
    Misconception(
        name="own-seed",
        exercise="attacks",
        edits={
            NOISE: "if generator is None:\n            generator = torch.Generator().manual_seed(0)\n        noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)"
        },
        rejected_by="attacks-test-4",
        says="one seed of its own",
        note="Whoever restarts the attack ten times gets ten times the same one.",
    ),
    Misconception(
        name="start-in-float32",
        exercise="attacks",
        edits={
            NOISE: "noise = torch.rand(clean.shape, generator=generator).to(clean.device)",
            START: "moved = (clean + eps * (2 * noise - 1)).clamp(lowest, highest).float()",
        },
        rejected_by="attacks-test-4",
        says="wrong dtype",
        note="A model in float64 then refuses its images.",
    ),
    Misconception(
        name="start-on-the-cpu",
        exercise="attacks",
        edits={NOISE: "noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)"},
        rejected_by="attacks-test-4",
        says="a model and images on another device",
        note="It works until somebody has a GPU.",
    ),
    Misconception(
        name="zero-goes-up",
        exercise="attacks",
        edits={MOVE: MOVE.replace("gradient.sign()", "torch.where(gradient < 0, -1.0, 1.0)")},
        rejected_by="attacks-test-2",
        says="the third unchanged",
        note="Pixels on which nothing depends would change as much as those that decide.",
    ),
    Misconception(
        name="x-not-detached",
        exercise="attacks",
        edits={"    clean = x.detach()\n": "    clean = x\n"},
        rejected_by="attacks-test-2",
        says="fgsm on an x that wants gradients",
        note="What is computed from the result would then reach back through the bounds of the ball into x.",
    ),
    Misconception(
        name="noise-in-float32",
        exercise="attacks",
        edits={NOISE: NOISE.replace(", dtype=clean.dtype", "")},
        rejected_by="attacks-test-4",
        says="in bfloat16",
        note="With float64 images nothing shows: the larger dtype wins. With smaller ones it is that of the noise.",
    ),
    # ---- exercise 4: cw
    Misconception(
        name="black-and-white-at-infinity",
        exercise="cw",
        edits={
            "free = torch.atanh((2 * clean - 1) * (1 - 1e-6)).requires_grad_()": "free = torch.atanh(2 * clean - 1).clamp(-1e4, 1e4).requires_grad_()"
        },
        rejected_by="cw-test-2",
        says="black and white pixels",
        note="The slope of tanh is 0 out there, and such pixels never move.",
    ),
    Misconception(
        name="margin-with-the-true-class",
        exercise="cw",
        edits={MARGIN: "margin = logits[own] - logits.amax(1)"},
        rejected_by="cw-test-1",
        says="the image came back as it was",
        note="While the true class leads, the difference is 0 and so is its gradient.",
    ),
    Misconception(
        name="success-claimed",
        exercise="cw",
        edits={BEST: "return best, torch.ones_like(y, dtype=torch.bool)"},
        rejected_by="cw-test-1",
        says="success was claimed although the model is not fooled",
        note="A flag that is always true tells nothing.",
    ),
    Misconception(
        name="last-iterate-without-success",
        exercise="cw",
        edits={
            BEST: (
                "success = least < math.inf\n"
                "    return torch.where(success.view(-1, *[1] * (x.ndim - 1)), best, images.detach()), success"
            )
        },
        rejected_by="cw-test-1",
        says="without success x itself was asked for",
        note="Averages over such images mix successes with what never worked.",
    ),
    Misconception(
        name="first-success",
        exercise="cw",
        edits={BETTER: "better = (margin < 0) & (margin <= -kappa) & (least == math.inf)"},
        rejected_by="cw-test-1",
        says="200 steps give the image that 20 steps give",
        note="The first iterate on the other side has jumped over the border.",
    ),
    Misconception(
        name="last-success",
        exercise="cw",
        edits={BETTER: "better = (margin < 0) & (margin <= -kappa)"},
        rejected_by="cw-test-2",
        says="the nearest is kept",
        note="Adam swings around the border; where it stops is luck.",
    ),
    Misconception(
        name="attacked-with-dropout",
        exercise="cw",
        edits={INSIDE: "with torch.enable_grad():"},
        rejected_by="cw-test-3",
        says="success means that the model is fooled",
        note="A lucky dropout mask is no success against the model that answers later.",
    ),
    Misconception(
        name="kappa-ignored",
        exercise="cw",
        edits={
            BETTER: "better = (margin < 0) & (squared < least)",
            PUSH: "loss = (squared + c * margin.clamp(min=0.0)).sum()",
        },
        rejected_by="cw-test-3",
        says="kappa was ignored",
        note="Attacks with a lead transfer better to other models; that is what kappa is for.",
    ),
    Misconception(
        name="backward-through-the-model",
        exercise="cw",
        edits={STEP: "optimizer.zero_grad()\n                loss.backward()"},
        rejected_by="cw-test-3",
        says="backward() reaches the parameters",
        note="zero_grad of this optimizer knows w alone.",
    ),
    Misconception(
        name="end-not-looked-at",
        exercise="cw",
        edits={"for turn in range(steps + 1):": "for turn in range(steps):"},
        rejected_by="cw-test-2",
        says="the iterate after the last step was never looked at",
        note="The last step is paid for and thrown away.",
    ),
    Misconception(
        name="start-not-looked-at",
        exercise="cw",
        edits={BETTER: BETTER + " & (turn > 0)"},
        rejected_by="cw-test-2",
        says="the start was never looked at",
        note="An image that is wrong already needs no change, and gets one.",
    ),
    Misconception(
        name="length-not-square",
        exercise="cw",
        edits={PUSH: PUSH.replace("squared +", "squared.clamp(min=1e-24).sqrt() +")},
        rejected_by="cw-test-2",
        says="the length of the change was made small",
        note="Its slope does not vanish at 0, so that another c is needed for the same image.",
    ),
    Misconception(
        name="mean-over-pixels",
        exercise="cw",
        edits={PUSH: PUSH.replace("squared +", "squared / clean[0].numel() +")},
        rejected_by="cw-test-2",
        says="within 10 % of the distance",
        note="Then c means something else for every size of image.",
    ),
    Misconception(
        name="cw-freezes",
        exercise="cw",
        edits={INSIDE: "model.requires_grad_(False)\n    with evaluating(model), torch.enable_grad():"},
        rejected_by="cw-test-3",
        says="the parameters were frozen",
        note="The optimizer knows w alone; there is no need to touch the model.",
    ),
    Misconception(
        name="cw-empties-gradients",
        exercise="cw",
        edits={STEP: "optimizer.zero_grad()\n                loss.backward()\n                model.zero_grad()"},
        rejected_by="cw-test-3",
        says="as zero_grad() does",
        note="What backward() added is gone, and so is what was there before.",
    ),
    Misconception(
        name="tie-counts",
        exercise="cw",
        edits={BETTER: "better = (margin <= -kappa) & (squared < least)"},
        rejected_by="cw-test-3",
        says="success where another class leads by 0.0",
        note="At a tie the model may still say the true class.",
    ),
    # ---- exercise 5: curve
    Misconception(
        name="error-rates",
        exercise="curve",
        edits={SHARES: SHARES.replace("== y", "!= y")},
        rejected_by="curve-test-1",
        says="error rates came",
        note="Some papers plot the success of the attack. Say which.",
    ),
    Misconception(
        name="only-what-was-right",
        exercise="curve",
        edits={
            ATTACK: "moved = attack(model, x, y, eps)\n            right = model(x).argmax(1) == y",
            SHARES: "shares.append((model(moved).argmax(1) == y)[right].float().mean().item())",
        },
        rejected_by="curve-test-1",
        says="only images that were right before were counted",
        note="Then every model begins at 1, and a bad one looks robust.",
    ),
    Misconception(
        name="attacks-add-up",
        exercise="curve",
        edits={ATTACK: "x = moved = attack(model, x, y, eps)"},
        rejected_by="curve-test-1",
        says="each attack went on from images that were attacked before",
        note="The second bound is then that of a sum of two attacks.",
    ),
    Misconception(
        name="compared-with-the-first",
        exercise="curve",
        edits={RISES: "if any(many > min(points)[2] + slack for _, _, many in points):"},
        rejected_by="curve-test-1",
        says="the curve was compared with its first value only",
        note="A curve can fall first and rise later.",
    ),
    Misconception(
        name="attacks-mixed-up",
        exercise="curve",
        edits={
            "if any(many > one + slack for _, one, many in points):": "if any(one > many + slack for _, one, many in points):"
        },
        rejected_by="curve-test-1",
        says="the two attacks were mixed up",
        note="More steps leave less accuracy. That is how it should be, and no alarm.",
    ),
    Misconception(
        name="one-step-must-not-survive",
        exercise="curve",
        edits={SURVIVES: "if any(one > slack for eps, one, _ in points if eps >= value_range):"},
        rejected_by="curve-test-1",
        says="one step may survive any eps",
        note="A single step of size 1 lands in a corner of the cube, and may be right there.",
    ),
    Misconception(
        name="unsorted",
        exercise="curve",
        edits={RISES: "if any(b[2] > a[2] + slack for k, a in enumerate(points) for b in points[k:]):"},
        rejected_by="curve-test-2",
        says="the points were not sorted by eps",
        note="A curve in another order is still the same curve.",
    ),
    Misconception(
        name="neighbors-only",
        exercise="curve",
        edits={
            RISES: "if any(b[2] > a[2] + slack for a, b in zip(sorted(points), sorted(points)[1:]) if a[0] < b[0]):"
        },
        rejected_by="curve-test-2",
        says="only neighbors were compared",
        note="With many bounds close together every rise is small.",
    ),
    Misconception(
        name="no-slack",
        exercise="curve",
        edits={
            "many > one + slack": "many > one",
            "many > lower + slack": "many > lower",
            "many > slack for": "many > 0 for",
        },
        rejected_by="curve-test-2",
        says="the slack was ignored",
        note="On 200 images one image is half a percent.",
    ),
    Misconception(
        name="range-is-one",
        exercise="curve",
        edits={SURVIVES: SURVIVES.replace(">= value_range", ">= 1")},
        rejected_by="curve-test-2",
        says="the range was taken to be 1",
        note="Some models take pixels from -1 to 1.",
    ),
    Misconception(
        name="slack-itself-alarms",
        exercise="curve",
        edits={
            "many > one + slack": "many >= one + slack",
            "many > lower + slack": "many >= lower + slack",
            "many > slack for": "many >= slack for",
        },
        rejected_by="curve-test-2",
        says="exactly the slack counts as more than the slack",
        note="More than is not at least.",
    ),
    Misconception(
        name="one-step-must-not-rise",
        exercise="curve",
        edits={
            RISES: "if any(eps > other and (many > lower + slack or one > less + slack) for eps, one, many in points for other, less, lower in points):"
        },
        rejected_by="curve-test-2",
        says="the alarm looked at the curve of one step",
        note="A single large step can overshoot: its curve may rise without any masking.",
    ),
    Misconception(
        name="equal-bounds-compared",
        exercise="curve",
        edits={RISES: RISES.replace("eps > other", "eps >= other")},
        rejected_by="curve-test-2",
        says="another one at the same eps",
        note="Two runs of an attack at one eps differ by chance; neither ball is larger.",
    ),
    Misconception(
        name="attack-without-gradients",
        exercise="curve",
        edits={"    with evaluating(model):\n": "    with evaluating(model), torch.no_grad():\n"},
        rejected_by="curve-test-1",
        says="whether gradients are on",
        note="An attack that does not switch them on itself then fails.",
    ),
    Misconception(
        name="left-in-eval-mode-by-the-curve",
        exercise="curve",
        edits={"    with evaluating(model):\n": "    model.eval()\n    if True:\n"},
        rejected_by="curve-test-1",
        says="train mode of the model afterwards",
        note="A curve in the middle of a training would end its dropout.",
    ),
    # ---- exercise 6: bias
    Misconception(
        name="over-all-answers",
        exercise="bias",
        edits={BIAS: BIAS.replace("by_shape / decided", "by_shape / disagree.sum().item()")},
        rejected_by="bias-test-1",
        says="answers that are neither were counted",
        note="A model that is confused would look texture-biased.",
    ),
    Misconception(
        name="texture-bias",
        exercise="bias",
        edits={BIAS: BIAS.replace("by_shape / decided", "by_texture / decided")},
        rejected_by="bias-test-1",
        says="this is the texture bias",
        note="1 means shape.",
    ),
    Misconception(
        name="agreeing-images-count",
        exercise="bias",
        edits={DISAGREE: "disagree = torch.ones_like(shape, dtype=torch.bool)"},
        rejected_by="bias-test-1",
        says="images whose cues agree were counted as both",
        note="An answer that fits both cues decides nothing.",
    ),
    Misconception(
        name="decided-of-all-images",
        exercise="bias",
        edits={BIAS: BIAS.replace("disagree.sum().item()", "len(pred)")},
        rejected_by="bias-test-1",
        says="divided by all images",
        note="Only conflict images could have been decided.",
    ),
    Misconception(
        name="zero-when-undecided",
        exercise="bias",
        edits={BIAS: BIAS.replace("math.nan", "0.0")},
        rejected_by="bias-test-2",
        says="0 says that texture won every time",
        note="An undefined number should look undefined.",
    ),
    Misconception(
        name="conflict-unchecked",
        exercise="bias",
        edits={
            "if not disagree.any():": "if len(pred) == 0:",
            BIAS: "return by_shape / decided if decided else math.nan, decided / max(1, disagree.sum().item())",
        },
        rejected_by="bias-test-2",
        says="shape equal to texture everywhere did not raise",
        note="The wrong data set was loaded, and nobody is told.",
    ),
    # ---- exercise 7: errors
    Misconception(
        name="masks-instead-of-indices",
        exercise="errors",
        edits={INDICES: "return groups"},
        rejected_by="errors-test-1",
        says="this is a mask of bools",
        note="Masks are handy, but indices were asked for.",
    ),
    Misconception(
        name="a-and-b-mixed-up",
        exercise="errors",
        edits={"pred_a != y, pred_b != y, pred_a": "pred_b != y, pred_a != y, pred_a"},
        rejected_by="errors-test-1",
        says="A and B were mixed up",
        note="Only A wrong: A is wrong and B is right.",
    ),
    Misconception(
        name="same-includes-right",
        exercise="errors",
        edits={"a_wrong & b_wrong & same": "same"},
        rejected_by="errors-test-1",
        says="images were counted into 'same' although both are right",
        note="The groups must not overlap.",
    ),
    Misconception(
        name="squeezed",
        exercise="errors",
        edits={INDICES: INDICES.replace("[:, 0]", ".squeeze()")},
        rejected_by="errors-test-2",
        says="wrong shape",
        note="squeeze() removes every dimension of size 1, also the one that counts.",
    ),
    Misconception(
        name="observed-agreement",
        exercise="errors",
        edits={KAPPA: "return observed"},
        rejected_by="errors-test-3",
        says="this is the observed agreement",
        note="Two models with 95 % accuracy agree in 90 % of the images even if they have nothing in common.",
    ),
    Misconception(
        name="not-divided",
        exercise="errors",
        edits={KAPPA: "return math.nan if expected == 1 else observed - expected"},
        rejected_by="errors-test-3",
        says="not divided by 1 - e",
        note="Then the best possible value depends on the accuracies.",
    ),
    Misconception(
        name="chance-of-both-right",
        exercise="errors",
        edits={CHANCE: "expected = p_a * p_b"},
        rejected_by="errors-test-3",
        says="chance was only that both are right",
        note="Both wrong is agreement, too.",
    ),
    Misconception(
        name="answers-compared",
        exercise="errors",
        edits={OBSERVED: "observed = (pred_a == pred_b).double().mean().item()"},
        rejected_by="errors-test-3",
        says="the answers were compared",
        note="Error consistency asks about being right. Two wrong answers agree in that.",
    ),
    Misconception(
        name="one-when-undefined",
        exercise="errors",
        edits={KAPPA: KAPPA.replace("math.nan", "1.0")},
        rejected_by="errors-test-3",
        says="with e = 1 there is nothing that chance does not explain",
        note="Two perfect models agree because they are perfect.",
    ),
    Misconception(
        name="kappa-by-library",
        exercise="errors",
        edits={
            KAPPA: (
                "from sklearn.metrics import cohen_kappa_score\n\n"
                "    return math.nan if expected == 1 else float(cohen_kappa_score(a.numpy(), b.numpy()))"
            )
        },
        rejected_by="errors-test-3",
        says="a library call does the work",
        note="One call of a library is no computation.",
    ),
    Misconception(
        name="one-sided",
        exercise="errors",
        edits={P_VALUE: "return min(1.0, tail / 2**total)"},
        rejected_by="errors-test-4",
        says="one side only",
        note="Before you look you do not know which one will be better.",
    ),
    Misconception(
        name="all-right-answers",
        exercise="errors",
        edits={ONLY: "only_a, only_b = a.sum().item(), b.sum().item()"},
        rejected_by="errors-test-4",
        says="all right answers went in",
        note="Images that both get right make the two look alike, however many there are.",
    ),
    Misconception(
        name="all-images-are-throws",
        exercise="errors",
        edits={"total = only_a + only_b": "total = len(y)"},
        rejected_by="errors-test-4",
        says="all images were the throws of the coin",
        note="The coin is thrown only where exactly one is right.",
    ),
    Misconception(
        name="this-count-alone",
        exercise="errors",
        edits={TAIL: "tail = math.comb(total, min(only_a, only_b))"},
        rejected_by="errors-test-4",
        says="only the probability of exactly this count",
        note="A p-value counts what is at least as extreme.",
    ),
    Misconception(
        name="sums-to-the-first-count",
        exercise="errors",
        edits={TAIL: TAIL.replace("min(only_a, only_b)", "only_a")},
        rejected_by="errors-test-4",
        says="the larger count was summed up to",
        note="By the symmetry of the coin both tails are alike; take the smaller count.",
    ),
    Misconception(
        name="above-one",
        exercise="errors",
        edits={P_VALUE: "return 2 * tail / 2**total"},
        rejected_by="errors-test-4",
        says="a probability above 1",
        note="At equal counts both tails hold the middle.",
    ),
    Misconception(
        name="chi-squared",
        exercise="errors",
        edits={
            P_VALUE: (
                "if total > 6:\n        return math.erfc(abs(only_a - only_b) / math.sqrt(2 * total))\n"
                "    return min(1.0, 2 * tail / 2**total)"
            )
        },
        rejected_by="errors-test-4",
        says="this is the approximation by chi-squared",
        note="It needs many discordant images; the sum is exact for any number.",
    ),
    Misconception(
        name="p-by-library",
        exercise="errors",
        edits={
            P_VALUE: (
                "from scipy.stats import binomtest\n\n"
                "    return float(binomtest(only_a, total).pvalue) if total else 1.0"
            )
        },
        rejected_by="errors-test-4",
        says="a library call does the work",
        note="One call of a library is no computation; the sum takes one line.",
    ),
    # ---- ignored sentences, state that stays, boundaries
    Misconception(
        name="losses-added",
        exercise="budget",
        edits={"y[picked]).backward()": "y[picked], reduction='sum').backward()"},
        rejected_by="budget-test-3",
        says="the losses of a batch were added",
        note="AdamW hides it while gradients are large: it divides by their size. The eps in its divisor does not grow with them.",
    ),
    Misconception(
        name="buffers-counted",
        exercise="budget",
        edits={"for parameter in model.parameters())": "for parameter in model.state_dict().values())"},
        rejected_by="budget-test-2",
        says="buffers were counted as well",
        note="A state dict holds buffers, too: the running means of a batch norm are no parameters.",
    ),
    Misconception(
        name="frozen-parts-switched-on",
        exercise="budget",
        edits={"model = make()\n": "model = make().requires_grad_()\n"},
        rejected_by="budget-test-2",
        says="requires_grad of the parameters, of which the first two were made frozen",
        note="What is frozen is part of the design of a model; a comparison must not change it.",
    ),
    Misconception(
        name="seconds-of-the-measuring",
        exercise="budget",
        edits={
            "            seconds = time.process_time() - began\n": "",
            "            params = sum(": "            seconds = time.process_time() - began\n            params = sum(",
        },
        rejected_by="budget-test-2",
        says="the time of the measuring was counted",
        note="Then the seconds depend on the number of test images.",
    ),
    Misconception(
        name="clears-the-hooks-of-the-part",
        exercise="gradcam",
        edits={REMOVE: REMOVE.replace("handle.remove()", "model.get_submodule(layer)._forward_hooks.clear()")},
        rejected_by="gradcam-test-3",
        says="somebody else's hook was removed as well",
        note="The handle removes the one hook that you put there.",
    ),
    Misconception(
        name="gradients-stay-on",
        exercise="gradcam",
        edits={INSIDE: "torch.set_grad_enabled(True)\n        with evaluating(model):"},
        rejected_by="gradcam-test-3",
        says="set_grad_enabled stays in force outside of a with statement",
        note="The caller said no_grad; after your call it must still hold.",
    ),
    Misconception(
        name="outermost-part",
        exercise="gradcam",
        edits={"model.get_submodule(layer)": "getattr(model, layer.split('.')[0])"},
        rejected_by="gradcam-test-3",
        says="the maps of a model in train mode",
        note="A dotted name leads into the part, not only to it.",
    ),
    Misconception(
        name="start-from-the-box",
        exercise="attacks",
        edits={START: "moved = lowest + (highest - lowest) * noise"},
        rejected_by="attacks-test-4",
        says="draw in the whole ball, then project",
        note="Near the edge of the range the two differ: the projection puts many pixels onto it.",
    ),
    Misconception(
        name="generator-seeded-anew",
        exercise="attacks",
        edits={
            NOISE: "generator = generator and torch.Generator().manual_seed(generator.initial_seed())\n        " + NOISE
        },
        rejected_by="attacks-test-4",
        says="the generator was seeded anew",
        note="Several random starts from one generator would all be the same one.",
    ),
    Misconception(
        name="checked-only-with-steps",
        exercise="attacks",
        edits={CHECKED: "if n_steps and (eps < 0 or lo >= hi):"},
        rejected_by="attacks-test-4",
        says="eps -0.1, also without steps did not raise",
        note="Arguments are checked before anything else, whatever the others say.",
    ),
    Misconception(
        name="momentum",
        exercise="attacks",
        edits={
            INSIDE: "speed = 0.0\n    " + INSIDE,
            MOVE: "speed = 0.9 * speed + gradient / gradient.abs().sum()\n            "
            + MOVE.replace("gradient.sign()", "speed.sign()"),
        },
        rejected_by="attacks-test-4",
        says="4 steps of 0.04 on a curved network",
        note="A good attack (Dong et al. 2018), but another one: the formula asks for the gradient of this step alone.",
    ),
    Misconception(
        name="ball-of-the-start",
        exercise="attacks",
        edits={START: START + "\n        lowest, highest = (moved - eps).clamp(min=lo), (moved + eps).clamp(max=hi)"},
        rejected_by="attacks-test-4",
        says="the ball was laid around the random start",
        note="A pixel can then move by 2 eps: the promise is about the clean image.",
    ),
    Misconception(
        name="stops-when-fooled",
        exercise="attacks",
        edits={
            LOSS: "logits = model(moved)\n            if n_steps > 1 and bool((logits.argmax(1) != y).all()):\n                return moved.detach()\n            "
            + LOSS
        },
        rejected_by="attacks-test-3",
        says="the attack stopped where the model was fooled",
        note="The number of steps was given; and a transfer to another model needs the larger loss.",
    ),
    Misconception(
        name="predicted-class-in-pgd",
        exercise="attacks",
        edits={LOSS: LOSS.replace("model(moved), y", "model(moved), model(moved).argmax(1)")},
        rejected_by="attacks-test-3",
        says="the predicted class was attacked: that repairs",
        same_cause_as="predicted-labels",
        note="Where the model is wrong, such an attack makes it right.",
    ),
    Misconception(
        name="no-start-without-generator",
        exercise="attacks",
        edits={"    if random_start:\n": "    if random_start and generator is not None:\n"},
        rejected_by="attacks-test-4",
        says="without a generator there is no random start",
        note="None means that torch's own state is used, not that nothing is drawn.",
    ),
    Misconception(
        name="zero-for-granted",
        exercise="curve",
        edits={
            ATTACK: "if shares and shares[-1] == 0.0:\n                shares.append(0.0)\n                continue\n            "
            + ATTACK
        },
        rejected_by="curve-test-2",
        says="0 was taken for granted after an accuracy of 0",
        note="A larger ball holds the smaller one, but an attack may fail to find what is there. That is what the alarm is for.",
    ),
    Misconception(
        name="clamps-what-the-attack-gives",
        exercise="curve",
        edits={SHARES: SHARES.replace("model(moved)", "model(moved.clamp(0, 1))")},
        rejected_by="curve-test-2",
        says="the attacked images were put back into [0, 1]",
        note="The range belongs to the attack; here nobody has said what it is.",
    ),
    Misconception(
        name="equal-bounds-once",
        exercise="curve",
        edits={"for eps in epsilons:": "for eps in dict.fromkeys(epsilons):"},
        rejected_by="curve-test-2",
        says="the curve: wrong shape",
        note="E bounds give E accuracies, equal ones too: a random start may find something else.",
    ),
    Misconception(
        name="survives-at-the-last-point",
        exercise="curve",
        edits={SURVIVES: "if epsilons[-1] >= value_range and iterated[-1] > slack:"},
        rejected_by="curve-test-2",
        says="range 0.5, slack",
        note="Bounds come in any order, and any point at or above the range tells.",
    ),
    Misconception(
        name="weaker-across-bounds",
        exercise="curve",
        edits={"if any(many > one + slack for _, one, many in points):": "if max(iterated) > max(one_step) + slack:"},
        rejected_by="curve-test-2",
        says="the alarms at [",
        note="Two attacks can be compared at the same bound only.",
    ),
    Misconception(
        name="marks-in-place",
        exercise="bias",
        edits={"    by_shape = (": "    pred[~disagree] = -1\n    by_shape = ("},
        rejected_by="bias-test-2",
        says="pred (an argument must not be changed in place)",
        note="The caller has the predictions for the next question, too.",
    ),
    Misconception(
        name="nan-with-one-that-is-always-wrong",
        exercise="errors",
        edits={KAPPA: KAPPA.replace("expected == 1", "p_a in (0.0, 1.0) or p_b in (0.0, 1.0)")},
        rejected_by="errors-test-3",
        says="kappa is nan only if e is 1",
        note="With one constant model chance explains everything: that is 0. It is undefined only where nothing is left to explain.",
    ),
    Misconception(
        name="nan-near-one",
        exercise="errors",
        edits={KAPPA: KAPPA.replace("expected == 1", "expected > 0.999")},
        rejected_by="errors-test-3",
        says="20,000 images, each model wrong in two",
        note="Good models are just where chance agreement is near 1; kappa is defined there.",
    ),
    Misconception(
        name="kappa-cut-off-at-zero",
        exercise="errors",
        edits={KAPPA: KAPPA.replace("(observed - expected)", "max(0.0, observed - expected)")},
        rejected_by="errors-test-3",
        says="kappa of opposites",
        note="Below 0 the models complement each other, which is what an ensemble needs.",
    ),
    Misconception(
        name="different-answers-are-throws",
        exercise="errors",
        edits={"total = only_a + only_b": "total = int((pred_a != pred_b).sum())"},
        rejected_by="errors-test-4",
        says="different wrong answers were counted as well",
        note="Two wrong answers make neither model better, alike or not.",
    ),
    Misconception(
        name="marks-in-the-labels",
        exercise="errors",
        edits={"    a_wrong, b_wrong, same =": "    y.clamp_(max=1)\n    a_wrong, b_wrong, same ="},
        rejected_by="errors-test-1",
        says="the indices of",
        note="The labels belong to the caller.",
    ),
]
