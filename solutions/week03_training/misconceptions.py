"""Wrong answers that people really write in week 3, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

FREE = 'is_free = parameter.ndim <= 1 or name.endswith("bias") or name.split(".")[-1] in no_decay'
MIXUP_START = "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    partner = torch.randperm(len(x), generator=generator)\n    labels"
MIXUP_END = "return mixed, share * labels + (1 - share) * labels[partner]"
CUTMIX_START = "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    partner = torch.randperm(len(x), generator=generator)\n    height"
CUTMIX_END = "return mixed, kept * labels + (1 - kept) * labels[partner]"
EMA_STEP = "mine.mul_(decay).add_(theirs, alpha=1 - decay)"
SOFT = "lesson = temperature**2 * (log_q.exp() * (log_q - log_p)).sum(-1).mean()"
HARD = "lesson = F.cross_entropy(from_teacher, teacher.argmax(-1))"
EVERYTHING = "model.train(everything).requires_grad_(everything)"
HEAD = "    model.head.train().requires_grad_(True)"

MISCONCEPTIONS = [
    # ---- exercise 1: parameter groups
    Misconception(
        name="everything-decays",
        exercise="groups",
        edits={FREE: "is_free = False"},
        rejected_by="groups-test-1",
        says="a bias does not decay",
        note="One group for all is the default of every optimizer. It pulls the scales of the norms to 0.",
    ),
    Misconception(
        name="norms-decay",
        exercise="groups",
        edits={FREE: 'is_free = name.endswith("bias") or name.split(".")[-1] in no_decay'},
        rejected_by="groups-test-1",
        says="the scale of a norm does not decay",
        note="Biases are easy to find by name. The scale of a norm is called weight, like a matrix; its one dimension tells it apart.",
    ),
    Misconception(
        name="tokens-decay",
        exercise="groups",
        edits={FREE: 'is_free = parameter.ndim <= 1 or name.endswith("bias")'},
        rejected_by="groups-test-1",
        says="the class token is named in no_decay",
        note="Class token and positions have three dimensions, so only their names give them away.",
    ),
    Misconception(
        name="frozen-left-in",
        exercise="groups",
        edits={"        if not parameter.requires_grad:\n            continue\n": ""},
        rejected_by="groups-test-1",
        says="a frozen parameter was not left out",
        note="An optimizer skips what has no gradient, but who reads the groups believes that it is trained.",
    ),
    Misconception(
        name="one-dimension-lost",
        exercise="groups",
        edits={
            "(free if is_free else decayed).append(parameter)": "if not is_free:\n            decayed.append(parameter)\n        elif parameter.ndim > 1:\n            free.append(parameter)"
        },
        rejected_by="groups-test-1",
        says="linear.bias is in no group",
        note="What is in no group is never trained, and nothing complains.",
    ),
    Misconception(
        name="free-ones-twice",
        exercise="groups",
        edits={
            "(free if is_free else decayed).append(parameter)": "decayed.append(parameter)\n        if is_free:\n            free.append(parameter)"
        },
        rejected_by="groups-test-1",
        says="it is in more than one group",
        note="Two questions without an else. PyTorch's optimizers refuse a parameter that is in two groups.",
    ),
    Misconception(
        name="full-names-only",
        exercise="groups",
        edits={'name.split(".")[-1] in no_decay': "name in no_decay"},
        rejected_by="groups-test-2",
        says="these are the positions of a part",
        note="Inside another model the positions are called backbone.pos_embed.",
    ),
    Misconception(
        name="pieces-of-names",
        exercise="groups",
        edits={'name.split(".")[-1] in no_decay': "any(token in name for token in no_decay)"},
        rejected_by="groups-test-2",
        says="pos_embed is a piece of this name",
        note="A substring finds pos_embed_mlp.weight as well, which is a matrix.",
    ),
    Misconception(
        name="bias-anywhere",
        exercise="groups",
        edits={'name.endswith("bias")': '"bias" in name'},
        rejected_by="groups-test-2",
        says="bias is a piece of this name",
        note="bias_scorer.weight is a matrix.",
    ),
    Misconception(
        name="built-in-names",
        exercise="groups",
        edits={'name.split(".")[-1] in no_decay': 'name.split(".")[-1] in ("pos_embed", "cls_token")'},
        rejected_by="groups-test-2",
        says="`no_decay` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="walks-over-modules",
        exercise="groups",
        edits={
            "for name, parameter in model.named_parameters():": "for name, parameter in (\n        (f'{prefix}.{key}' if prefix else key, value)\n        for prefix, module in model.named_modules()\n        for key, value in module.named_parameters(recurse=False)\n    ):"
        },
        rejected_by="groups-test-2",
        says="a matrix that two layers share",
        note="Walking over modules meets a shared parameter once for each module. named_parameters gives it once.",
    ),
    Misconception(
        name="bias-as-the-last-part",
        exercise="groups",
        edits={'name.endswith("bias")': 'name.split(".")[-1] == "bias"'},
        rejected_by="groups-test-2",
        says="its name ends in bias",
        note="relative_position_bias is a bias, and has two dimensions.",
    ),
    Misconception(
        name="params-as-a-generator",
        exercise="groups",
        edits={'{"params": free,': '{"params": (p for p in free),'},
        rejected_by="groups-test-1",
        says='each "params" is a list',
        note="A generator is empty after one walk: who counts the parameters leaves none for the optimizer.",
    ),
    Misconception(
        name="numbers-decay",
        exercise="groups",
        edits={"parameter.ndim <= 1": "parameter.ndim == 1"},
        rejected_by="groups-test-2",
        says="no dimension at all",
        note="The logit scale of CLIP is a single number; pulled to 0, it takes all contrast away.",
    ),
    Misconception(
        name="norms-by-their-class",
        exercise="groups",
        edits={
            "    decayed, free = [], []\n": "    decayed, free = [], []\n    norms = {id(p) for m in model.modules() if 'Norm' in type(m).__name__ for p in m.parameters()}\n",
            "parameter.ndim <= 1": "id(parameter) in norms",
        },
        rejected_by="groups-test-2",
        says="a scale that is no norm's",
        note="A layer scale is a vector as well, and no norm.",
    ),
    Misconception(
        name="unfreezes-everything",
        exercise="groups",
        edits={
            "    return [{": "    model.requires_grad_(True)\n    return [{",
        },
        rejected_by="groups-test-2",
        says="frozen parameters were switched on",
        note="What is frozen is the caller's affair.",
    ),
    Misconception(
        name="ends-of-names",
        exercise="groups",
        edits={'name.split(".")[-1] in no_decay': "name.endswith(tuple(no_decay))"},
        rejected_by="groups-test-2",
        says="the name ends in pos_embed, but its last part is old_pos_embed",
        note="The last part of a name is what stands behind the last dot, all of it.",
    ),
    Misconception(
        name="any-part-of-the-name",
        exercise="groups",
        edits={'name.split(".")[-1] in no_decay': 'bool(set(name.split(".")) & set(no_decay))'},
        rejected_by="groups-test-2",
        says="cls_token is the name of a part here",
        note="A part of the model may be called cls_token; the matrix inside of it decays.",
    ),
    Misconception(
        name="norm-in-the-name",
        exercise="groups",
        edits={"is_free = parameter.ndim <= 1": 'is_free = "norm" in name or parameter.ndim <= 1'},
        rejected_by="groups-test-2",
        says="norm is a piece of this name",
        note="A norm is told by what it holds, vectors. Names are for what the table says.",
    ),
    Misconception(
        name="embeddings-spared",
        exercise="groups",
        edits={"is_free = parameter.ndim <= 1": 'is_free = "embed" in name.split(".") or parameter.ndim <= 1'},
        rejected_by="groups-test-2",
        says="a table of embeddings is a matrix",
        note="Some recipes spare embeddings. This one says which names it spares: those in no_decay.",
    ),
    Misconception(
        name="clears-gradients",
        exercise="groups",
        edits={"    return [{": "    model.zero_grad()\n    return [{"},
        rejected_by="groups-test-2",
        says="gradients that were there before were thrown away",
        note="Who sorts parameters has no business with their gradients.",
    ),
    Misconception(
        name="frozen-without-gradient",
        exercise="groups",
        edits={"if not parameter.requires_grad:": "if not parameter.requires_grad and parameter.grad is None:"},
        rejected_by="groups-test-2",
        says="a gradient that was left over does not make a frozen parameter learn",
        note="An optimizer steps along any gradient that it finds, so a frozen parameter must not be in a group.",
    ),
    # ---- exercise 2: schedule
    Misconception(
        name="first-step-lost",
        exercise="schedule",
        edits={"base_lr * (step + 1) / warmup": "base_lr * step / warmup"},
        rejected_by="schedule-test-1",
        says="step 0 has the rate 0 and is lost",
        note="A rate of 0 computes a gradient and throws it away.",
    ),
    Misconception(
        name="cosine-from-step-zero",
        exercise="schedule",
        edits={"(step - warmup) / (total - warmup)": "step / total"},
        rejected_by="schedule-test-1",
        says="the cosine is measured from step 0",
        note="The rate then jumps down where the warm-up ends.",
    ),
    Misconception(
        name="minimum-as-floor",
        exercise="schedule",
        edits={
            "return min_lr + (base_lr - min_lr) * 0.5 *": "return max(min_lr, base_lr * 0.5 *",
            "math.cos(math.pi * progress))": "math.cos(math.pi * progress)))",
        },
        rejected_by="schedule-test-1",
        says="min_lr is a floor under the cosine",
        note="A floor cuts the curve off; the end of the cosine should lie at min_lr.",
    ),
    Misconception(
        name="minimum-on-top",
        exercise="schedule",
        edits={"(base_lr - min_lr) * 0.5": "base_lr * 0.5"},
        rejected_by="schedule-test-1",
        says="min_lr was added on top",
        note="The highest rate would be base_lr + min_lr, with a jump at the end of the warm-up.",
    ),
    Misconception(
        name="any-step-goes",
        exercise="schedule",
        edits={"if step < 0 or not 0 <= warmup < total:": "if not 0 <= warmup < total:"},
        rejected_by="schedule-test-1",
        says="step -1 did not raise",
        note="A negative step is a bug of the caller; the formula gives it a negative rate.",
    ),
    Misconception(
        name="straight-line-down",
        exercise="schedule",
        edits={"0.5 * (1.0 + math.cos(math.pi * progress))": "(1.0 - progress)"},
        rejected_by="schedule-test-1",
        says="straight line, not along a cosine",
        note="A line and a cosine agree at the start, in the middle and at the end.",
    ),
    Misconception(
        name="rises-again",
        exercise="schedule",
        edits={"min(1.0, (step - warmup) / (total - warmup))": "(step - warmup) / (total - warmup)"},
        rejected_by="schedule-test-1",
        says="the cosine rises again",
        note="cos is periodic. A run that goes on for an epoch then climbs back to a high rate.",
    ),
    Misconception(
        name="warmup-may-be-everything",
        exercise="schedule",
        edits={"0 <= warmup < total:": "0 <= warmup <= total:"},
        rejected_by="schedule-test-1",
        says="10 warm-up steps of 10",
        note="Then nothing is left for the cosine, and at step S the formula divides by 0.",
    ),
    Misconception(
        name="warmup-above-the-floor",
        exercise="schedule",
        edits={"return base_lr * (step + 1) / warmup": "return max(min_lr, base_lr * (step + 1) / warmup)"},
        rejected_by="schedule-test-1",
        says="12 steps, warm-up 8, 0.1 to 0.04: the rates",
        note="min_lr is where the cosine ends. The warm-up starts as low as it likes.",
    ),
    Misconception(
        name="a-tensor-after-the-warmup",
        exercise="schedule",
        edits={"math.cos(math.pi * progress)": "torch.tensor(math.pi * progress).cos()"},
        rejected_by="schedule-test-1",
        says="each rate is a float",
        note="An optimizer takes a tensor for a rate as well, and then the log of the run is full of tensors.",
    ),
    Misconception(
        name="done-before-checked",
        exercise="schedule",
        edits={"    if step < 0 or not": "    if step >= total:\n        return min_lr\n    if step < 0 or not"},
        rejected_by="schedule-test-1",
        says="12 warm-up steps of 10, asked for step 20",
        note="Check what was given before the first return.",
    ),
    # ---- exercise 3: clipping
    Misconception(
        name="per-parameter",
        exercise="clip",
        edits={
            "    if norm > max_norm:\n        for g in gradients:\n            g.mul_(max_norm / norm)": "    for g in gradients:\n        g.mul_(min(1.0, max_norm / max(g.norm().item(), 1e-12)))"
        },
        rejected_by="clip-test-1",
        says="each parameter was clipped alone",
        note="That turns the direction of the step: small gradients stay, large ones shrink.",
    ),
    Misconception(
        name="clipped-by-value",
        exercise="clip",
        edits={
            "    if norm > max_norm:\n        for g in gradients:\n            g.mul_(max_norm / norm)": "    for g in gradients:\n        g.clamp_(-max_norm, max_norm)"
        },
        rejected_by="clip-test-1",
        says="each number was clipped alone",
        note="That is clip_grad_value_, another thing.",
    ),
    Misconception(
        name="sum-of-norms",
        exercise="clip",
        edits={
            "math.sqrt(sum(g.square().sum().item() for g in gradients))": "float(sum(g.norm().item() for g in gradients))"
        },
        rejected_by="clip-test-1",
        says="the norms were added",
        note="Lengths of parts add like the sides of a right triangle.",
    ),
    Misconception(
        name="root-forgotten",
        exercise="clip",
        edits={
            "math.sqrt(sum(g.square().sum().item() for g in gradients))": "float(sum(g.square().sum().item() for g in gradients))"
        },
        rejected_by="clip-test-1",
        says="the root is missing",
        note="The sum of squares is the norm squared.",
    ),
    Misconception(
        name="not-in-place",
        exercise="clip",
        edits={"            g.mul_(max_norm / norm)": "            g = g * (max_norm / norm)"},
        rejected_by="clip-test-1",
        says="change the gradients in place",
        note="g is only a name for the tensor; binding the name to a new tensor leaves p.grad as it was.",
    ),
    Misconception(
        name="norm-after",
        exercise="clip",
        edits={"    return norm\n": "    return min(norm, float(max_norm))\n"},
        rejected_by="clip-test-1",
        says="this is the norm after clipping",
        note="The norm before clipping is what you plot; after clipping it is just the limit.",
    ),
    Misconception(
        name="always-scaled",
        exercise="clip",
        edits={"    if norm > max_norm:\n": "    if norm > 0:\n"},
        rejected_by="clip-test-1",
        says="a gradient below the limit was made longer",
        note="That is normalization: near a minimum, where gradients are small, it takes steps that are far too long.",
    ),
    Misconception(
        name="calls-torch",
        exercise="clip",
        edits={
            "    gradients = [p.grad for p in params if p.grad is not None]\n    norm = math.sqrt(sum(g.square().sum().item() for g in gradients))\n    if norm > max_norm:\n        for g in gradients:\n            g.mul_(max_norm / norm)\n    return norm": "    return nn.utils.clip_grad_norm_(params, max_norm).item()"
        },
        rejected_by="clip-test-1",
        says="a library call does the work",
        note="PyTorch's function is what you are building.",
    ),
    Misconception(
        name="generator-used-twice",
        exercise="clip",
        edits={
            "    gradients = [p.grad for p in params if p.grad is not None]\n": "",
            "sum(g.square().sum().item() for g in gradients)": "sum(p.grad.square().sum().item() for p in params if p.grad is not None)",
            "        for g in gradients:\n            g.mul_(max_norm / norm)": "        for p in params:\n            if p.grad is not None:\n                p.grad.mul_(max_norm / norm)",
        },
        rejected_by="clip-test-1",
        says="the generator was empty in the second loop",
        note="model.parameters() can be walked over once. The second loop finds nothing, and nothing is clipped.",
    ),
    Misconception(
        name="every-parameter-has-a-gradient",
        exercise="clip",
        edits={"[p.grad for p in params if p.grad is not None]": "[p.grad for p in params]"},
        rejected_by="clip-test-1",
        says="'NoneType' object has no attribute 'square'",
        note="A frozen parameter, or one that the loss does not reach, has no gradient.",
    ),
    Misconception(
        name="clips-above-twice-the-limit",
        exercise="clip",
        edits={"    if norm > max_norm:\n": "    if norm > 2 * max_norm:\n"},
        rejected_by="clip-test-1",
        says="though their norm is above the limit",
        note="The limit is the limit.",
    ),
    Misconception(
        name="frozen-ones-uncounted",
        exercise="clip",
        edits={"if p.grad is not None]": "if p.grad is not None and p.requires_grad]"},
        rejected_by="clip-test-1",
        says="a gradient that is there counts",
        note="What is skipped is a parameter without a gradient, not one without a wish for it.",
    ),
    Misconception(
        name="the-large-ones-once-more",
        exercise="clip",
        edits={"g.mul_(max_norm / norm)": "g.mul_(max_norm / norm).clamp_(-0.9 * max_norm, 0.9 * max_norm)"},
        rejected_by="clip-test-1",
        says="one number that is far larger than the others",
        note="Clipping single numbers turns the direction, after the scaling as well.",
    ),
    Misconception(
        name="clips-before-it-refuses",
        exercise="clip",
        edits={
            '    if max_norm <= 0:\n        raise ValueError(f"max_norm={max_norm} is not positive")\n': "",
            "    return norm": '    if max_norm <= 0:\n        raise ValueError(f"max_norm={max_norm} is not positive")\n    return norm',
        },
        rejected_by="clip-test-1",
        says="the gradient after the error for max_norm=0",
        note="Check first, then change: an error must not leave half of a change behind.",
    ),
    Misconception(
        name="the-second-half-by-pytorch",
        exercise="clip",
        edits={
            "gradients = [p.grad for p in params if p.grad is not None]": "held = [p for p in params if p.grad is not None]\n    gradients = [p.grad for p in held]",
            "        for g in gradients:\n            g.mul_(max_norm / norm)": "        nn.utils.clip_grads_with_norm_(held, max_norm, torch.tensor(norm))",
        },
        rejected_by="clip-test-1",
        says="a library call does the work of this exercise",
        note="The call that scales is half of the exercise.",
    ),
    # ---- exercise 4: mixup and cutmix
    Misconception(
        name="labels-not-mixed",
        exercise="mix",
        edits={MIXUP_END: "return mixed, labels"},
        rejected_by="mix-test-1",
        says="the images are mixed, but their labels are not",
        note="Then a picture that is mostly a 3 is taught as an 8.",
    ),
    Misconception(
        name="two-permutations",
        exercise="mix",
        edits={
            MIXUP_END: "partner = torch.randperm(len(x), generator=generator)\n    return mixed, share * labels + (1 - share) * labels[partner]"
        },
        rejected_by="mix-test-1",
        says="images and labels were mixed with different partners",
        note="Drawing the permutation again for the labels gives another one.",
    ),
    Misconception(
        name="shares-swapped",
        exercise="mix",
        edits={MIXUP_END: "return mixed, (1 - share) * labels + share * labels[partner]"},
        rejected_by="mix-test-1",
        says="the shares of image and partner changed places",
        note="The loss still falls, on labels that are wrong whenever lambda is not one half.",
    ),
    Misconception(
        name="one-lambda-each",
        exercise="mix",
        edits={
            MIXUP_START: "shares = [sample_beta(alpha, generator) if alpha > 0 else 1.0 for _ in x]\n    share = torch.tensor(shares, dtype=x.dtype)\n    partner = torch.randperm(len(x), generator=generator)\n    labels",
            "mixed = share * x + (1 - share) * x[partner]\n    return mixed, share * labels + (1 - share) * labels[partner]": "wide = share[:, None, None, None]\n    mixed = wide * x + (1 - wide) * x[partner]\n    return mixed, share[:, None] * labels + (1 - share[:, None]) * labels[partner]",
        },
        rejected_by="mix-test-1",
        says="all images of a batch have the same share",
        note="A good idea too (timm calls it elem mode), but here one lambda is asked for.",
    ),
    Misconception(
        name="global-randomness",
        exercise="mix",
        edits={
            MIXUP_START: "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    partner = torch.randperm(len(x))\n    labels"
        },
        rejected_by="mix-test-2",
        says="came from the global state",
        note="Without generator=... the global random state decides, and a run cannot be repeated.",
    ),
    Misconception(
        name="always-more-of-itself",
        exercise="mix",
        edits={
            MIXUP_START: "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    share = max(share, 1 - share)\n    partner = torch.randperm(len(x), generator=generator)\n    labels"
        },
        rejected_by="mix-test-2",
        says="the larger of lambda and 1 - lambda",
        note="Some recipes do this so that the first label always dominates. It is not Beta(alpha, alpha).",
    ),
    Misconception(
        name="uniform-lambda",
        exercise="mix",
        edits={
            MIXUP_START: "share = float(torch.rand((), generator=generator)) if alpha > 0 else 1.0\n    partner = torch.randperm(len(x), generator=generator)\n    labels"
        },
        rejected_by="mix-test-2",
        says="lambda is drawn as with alpha = 1",
        note="Only alpha = 1 is the uniform distribution.",
    ),
    Misconception(
        name="same-class-overwritten",
        exercise="mix",
        edits={
            "    labels = F.one_hot(y, num_classes).to(x.dtype)\n    mixed = share": "    rows = torch.arange(len(x))\n    soft = torch.zeros(len(x), num_classes, dtype=x.dtype)\n    soft[rows, y] = share\n    soft[rows[y[partner] != y], y[partner][y[partner] != y]] = 1 - share\n    mixed = share",
            MIXUP_END: "return mixed, soft",
        },
        rejected_by="mix-test-2",
        says="a partner of the same class",
        note="Where image and partner have the same class, both shares go to that class.",
    ),
    Misconception(
        name="label-from-lambda",
        exercise="mix",
        edits={CUTMIX_END: "return mixed, share * labels + (1 - share) * labels[partner]"},
        rejected_by="mix-test-3",
        says="the weight is that of the whole box",
        note="The box is cut off at the border in most draws, so more of the image is left than lambda says.",
    ),
    Misconception(
        name="label-of-the-box",
        exercise="mix",
        edits={CUTMIX_END: "return mixed, (1 - kept) * labels + kept * labels[partner]"},
        rejected_by="mix-test-3",
        says="the weights of image and partner changed places",
        note="The box belongs to the partner.",
    ),
    Misconception(
        name="pasted-in-place",
        exercise="mix",
        edits={"mixed = x.clone()": "mixed = x"},
        rejected_by="mix-test-3",
        says="an argument must not be changed in place",
        note="x is the caller's batch. He may want it again, for example to show it.",
    ),
    Misconception(
        name="box-from-another-place",
        exercise="mix",
        edits={
            "mixed[..., rows, columns] = x[partner][..., rows, columns]": "mixed[..., rows, columns] = x[partner][..., : rows.stop - rows.start, : columns.stop - columns.start]"
        },
        rejected_by="mix-test-3",
        says="cut out of the partner at another place",
        note="The box is cut out of the partner where it is pasted in.",
    ),
    Misconception(
        name="sides-without-root",
        exercise="mix",
        edits={"side = math.sqrt(1 - share)": "side = 1 - share"},
        rejected_by="mix-test-4",
        says="take the root",
        note="With sides of 1 - lambda the area is (1 - lambda) squared: at one half a quarter of the image.",
    ),
    Misconception(
        name="square-box",
        exercise="mix",
        edits={"round(height * side), round(width * side)": "round(height * side), round(height * side)"},
        rejected_by="mix-test-4",
        says="both sides were computed from one side",
        note="Square images hide this.",
    ),
    Misconception(
        name="box-moved-inside",
        exercise="mix",
        edits={
            "top, left = row - box_height // 2, column - box_width // 2": "top = min(max(0, row - box_height // 2), height - box_height)\n    left = min(max(0, column - box_width // 2), width - box_width)"
        },
        rejected_by="mix-test-4",
        says="the box was moved inside",
        note="Then the middle of the image is pasted over more often than its border.",
    ),
    Misconception(
        name="corner-not-center",
        exercise="mix",
        edits={"top, left = row - box_height // 2, column - box_width // 2": "top, left = row, column"},
        rejected_by="mix-test-4",
        says="became a corner of the box",
        note="The lower right of the images would be pasted over far more often.",
    ),
    Misconception(
        name="partners-with-replacement",
        exercise="mix",
        edits={
            MIXUP_START: "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    partner = torch.randint(len(x), (len(x),), generator=generator)\n    labels"
        },
        rejected_by="mix-test-1",
        says="the partners are no permutation",
        note="Drawn with replacement, a third of the images is nobody's partner.",
    ),
    Misconception(
        name="box-partners-with-replacement",
        exercise="mix",
        edits={
            CUTMIX_START: "share = sample_beta(alpha, generator) if alpha > 0 else 1.0\n    partner = torch.randint(len(x), (len(x),), generator=generator)\n    height"
        },
        rejected_by="mix-test-3",
        says="the partners are no permutation",
        note="A permutation gives every image one partner and makes it one.",
        same_cause_as="partners-with-replacement",
    ),
    Misconception(
        name="classes-of-the-batch",
        exercise="mix",
        edits={MIXUP_START + " = F.one_hot(y, num_classes)": MIXUP_START + " = F.one_hot(y)"},
        rejected_by="mix-test-2",
        says="the number of classes was taken from the labels",
        note="Without num_classes, one_hot takes the largest label of this batch plus 1.",
    ),
    Misconception(
        name="box-classes-of-the-batch",
        exercise="mix",
        edits={
            "(height * width)\n    labels = F.one_hot(y, num_classes)": "(height * width)\n    labels = F.one_hot(y)"
        },
        rejected_by="mix-test-4",
        says="the number of classes was taken from the labels",
        note="A small batch need not hold the last class.",
        same_cause_as="classes-of-the-batch",
    ),
    Misconception(
        name="one-number-for-row-and-column",
        exercise="mix",
        edits={
            "row, column = (int(torch.randint(length, (), generator=generator)) for length in (height, width))": "place = float(torch.rand((), generator=generator))\n    row, column = int(place * height), int(place * width)"
        },
        rejected_by="mix-test-4",
        says="row and column of the center are not independent",
        note="Then the boxes lie along the diagonal.",
    ),
    Misconception(
        name="boxes-of-a-half",
        exercise="mix",
        edits={
            CUTMIX_START: "share = 0.5 if alpha > 0 else 1.0\n    partner = torch.randperm(len(x), generator=generator)\n    height"
        },
        rejected_by="mix-test-4",
        says="some boxes are low and some are high",
        note="alpha decides how much the size of the boxes varies.",
    ),
    Misconception(
        name="box-off-center",
        exercise="mix",
        edits={"row - box_height // 2": "row - box_height // 3"},
        rejected_by="mix-test-4",
        says="the random pixel is the center of the box",
        note="A third of the box above the random row and two thirds below it: the lower edge is pasted over more often.",
    ),
    Misconception(
        name="border-left-out",
        exercise="mix",
        edits={
            "slice(max(0, left), min(width, left + box_width))": "slice(max(1, left), min(width, left + box_width))"
        },
        rejected_by="mix-test-4",
        says="every pixel is pasted over at times",
        note="The first column has the number 0.",
    ),
    Misconception(
        name="seeds-the-world",
        exercise="mix",
        edits={
            MIXUP_START: MIXUP_START.replace(
                "partner = torch.randperm(len(x), generator=generator)",
                "torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))\n    partner = torch.randperm(len(x))",
            )
        },
        rejected_by="mix-test-2",
        says="the global state was seeded, or drawn from",
        note="The result depends on the generator alone, and yet every later torch.randn of the program is another one.",
    ),
    Misconception(
        name="nothing-to-mix-in-float32",
        exercise="mix",
        edits={MIXUP_START: "x = x if alpha else x.float()\n    " + MIXUP_START},
        rejected_by="mix-test-2",
        says="float64 images with alpha = 0: the images: wrong dtype",
        note="The quick way out has to return what the long way would.",
    ),
    # ---- exercise 5: RandAugment
    Misconception(
        name="no-sign",
        exercise="augment",
        edits={"sign * magnitude": "magnitude"},
        rejected_by="augment-test-1",
        says="the sign is missing",
        note="Every shift would go to the left and every rotation one way round.",
    ),
    Misconception(
        name="clipped-at-the-end",
        exercise="augment",
        edits={
            "image = operation(image, sign * magnitude).clamp(0, 1)\n    return image": "image = operation(image, sign * magnitude)\n    return image.clamp(0, 1)"
        },
        rejected_by="augment-test-1",
        says="clipped only at the end",
        note="An operation expects an image, and an image ends at 1.",
    ),
    Misconception(
        name="from-the-first-image",
        exercise="augment",
        edits={
            "image = operation(image, sign * magnitude).clamp(0, 1)\n    return image": "result = operation(image, sign * magnitude).clamp(0, 1)\n    return result if n_ops else image"
        },
        rejected_by="augment-test-1",
        says="each operation started from the first image",
        note="Only the last operation is seen.",
    ),
    Misconception(
        name="never-clipped",
        exercise="augment",
        edits={"operation(image, sign * magnitude).clamp(0, 1)": "operation(image, sign * magnitude)"},
        rejected_by="augment-test-1",
        says="nothing was clipped",
        note="Brightness and contrast leave [0, 1].",
    ),
    Misconception(
        name="random-magnitude",
        exercise="augment",
        edits={"sign * magnitude": "sign * magnitude * float(torch.rand((), generator=generator))"},
        rejected_by="augment-test-1",
        says="the strength is random",
        note="In RandAugment every operation has the same magnitude; that is what leaves two numbers to tune.",
    ),
    Misconception(
        name="without-replacement",
        exercise="augment",
        edits={
            "for _ in range(n_ops):": "for pick in torch.randperm(len(operations), generator=generator)[:n_ops].tolist() if len(operations) >= n_ops else [0] * n_ops:",
            "operations[int(torch.randint(len(operations), (), generator=generator))]": "operations[pick]",
        },
        rejected_by="augment-test-1",
        says="drawn without replacement",
        note="The same operation may come twice.",
    ),
    Misconception(
        name="last-operation-never",
        exercise="augment",
        edits={"torch.randint(len(operations), ()": "torch.randint(max(1, len(operations) - 1), ()"},
        rejected_by="augment-test-1",
        says="the last operation never runs",
        note="The upper end of randint is excluded already.",
    ),
    Misconception(
        name="one-sign-for-all",
        exercise="augment",
        edits={
            "    for _ in range(n_ops):\n": "    sign = 1 - 2 * int(torch.randint(2, (), generator=generator))\n    for _ in range(n_ops):\n",
            "        sign = 1 - 2 * int(torch.randint(2, (), generator=generator))\n": "",
        },
        rejected_by="augment-test-1",
        says="one sign was drawn for all operations",
        note="The sign was drawn before the loop.",
    ),
    Misconception(
        name="sign-tied-to-the-operation",
        exercise="augment",
        edits={
            "        operation = operations[int(torch.randint(len(operations), (), generator=generator))]\n        sign = 1 - 2 * int(torch.randint(2, (), generator=generator))\n": "        number = int(torch.randint(2**31 - 1, (), generator=generator))\n        operation, sign = operations[number % len(operations)], 1 - 2 * (number % 2)\n"
        },
        rejected_by="augment-test-1",
        says="operation and sign come from the same random number",
        note="Every second operation would then always be positive, and the others always negative.",
    ),
    Misconception(
        name="half-the-magnitude",
        exercise="augment",
        edits={
            "operation(image, sign * magnitude)": "operation(image, sign * magnitude * (0.5 if operations is OPERATIONS else 1))"
        },
        rejected_by="augment-test-1",
        says="the result is one of the sixteen possible ones",
        note="The table's operations know their own largest strength; they are not to be tamed again.",
    ),
    Misconception(
        name="never-more-than-the-table",
        exercise="augment",
        edits={"for _ in range(n_ops):": "for _ in range(min(n_ops, max(8, len(operations)))):"},
        rejected_by="augment-test-1",
        says="twelve operations from a table of eleven",
        note="Drawn with replacement, there may be more draws than operations.",
    ),
    Misconception(
        name="seeds-the-world-for-a-sign",
        exercise="augment",
        edits={
            "    for _ in range(n_ops):": "    torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))\n    for _ in range(n_ops):",
            "sign = 1 - 2 * int(torch.randint(2, (), generator=generator))": "sign = 1 - 2 * int(torch.randint(2, ()))",
        },
        rejected_by="augment-test-1",
        says="the global state was seeded, or drawn from",
        note="A seed for all of torch also restarts everybody else's numbers.",
    ),
    Misconception(
        name="always-float32",
        exercise="augment",
        edits={"    return image": "    return image.float()"},
        rejected_by="augment-test-1",
        says="an image of torch.float64",
        note="The dtype is the caller's choice.",
    ),
    # ---- exercise 6: moving average
    Misconception(
        name="decay-swapped",
        exercise="ema",
        edits={EMA_STEP: "mine.mul_(1 - decay).add_(theirs, alpha=decay)"},
        rejected_by="ema-test-1",
        says="decay and 1 - decay changed places",
        note="With d = 0.99 the copy would follow almost at once, and average nothing.",
    ),
    Misconception(
        name="no-copy",
        exercise="ema",
        edits={"copy.deepcopy(model).eval().requires_grad_(False)": "model"},
        rejected_by="ema-test-1",
        says="the copy is the model itself",
        note="Assignment gives a second name to one model.",
    ),
    Misconception(
        name="copy-left-in-train-mode",
        exercise="ema",
        edits={"copy.deepcopy(model).eval().requires_grad_(False)": "copy.deepcopy(model).requires_grad_(False)"},
        rejected_by="ema-test-1",
        says="the copy is in eval mode",
        note="The average is for testing: no dropout, and batch norm by its running means.",
    ),
    Misconception(
        name="copy-wants-gradients",
        exercise="ema",
        edits={"copy.deepcopy(model).eval().requires_grad_(False)": "copy.deepcopy(model).eval()"},
        rejected_by="ema-test-1",
        says="no parameter of the copy requires a gradient",
        note="Nobody trains the average; a graph through it costs memory for nothing.",
    ),
    Misconception(
        name="model-switched-to-eval",
        exercise="ema",
        edits={
            "copy.deepcopy(model).eval().requires_grad_(False)": "copy.deepcopy(model.eval()).requires_grad_(False)"
        },
        rejected_by="ema-test-1",
        says="eval() was called on the model itself",
        note="The training that follows would run without dropout, and nobody would notice.",
    ),
    Misconception(
        name="warmup-ignored",
        exercise="ema",
        edits={
            "min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay": "self.decay"
        },
        rejected_by="ema-test-2",
        says="each update had the whole decay",
        note="With d = 0.99 and 100 steps, more than a third of the average would still be the random start.",
    ),
    Misconception(
        name="counted-from-one",
        exercise="ema",
        edits={
            "        self.updates += 1\n        with": "        with",
            "        decay = min(": "        self.updates += 1\n        decay = min(",
        },
        rejected_by="ema-test-2",
        says="the updates are counted from 1",
        note="The count goes up after it was used.",
    ),
    Misconception(
        name="warmup-without-end",
        exercise="ema",
        edits={"min(self.decay, (1 + self.updates) / (10 + self.updates))": "(1 + self.updates) / (10 + self.updates)"},
        rejected_by="ema-test-2",
        says="the decay grows beyond `decay`",
        note="The decay would go on growing toward 1, until the average stands still.",
    ),
    Misconception(
        name="parameters-only",
        exercise="ema",
        edits={
            "            mine_all = [*self.module.parameters(), *self.module.buffers()]\n": "",
            "zip(mine_all, [*model.parameters(), *model.buffers()])": "zip(self.module.parameters(), model.parameters())",
        },
        rejected_by="ema-test-2",
        says="this buffer never changed",
        note="The averaged weights would run with the batch-norm statistics of the first random weights.",
    ),
    Misconception(
        name="buffers-copied",
        exercise="ema",
        edits={
            "            mine_all = [*self.module.parameters(), *self.module.buffers()]\n": "",
            "zip(mine_all, [*model.parameters(), *model.buffers()])": "zip(self.module.parameters(), model.parameters())",
            "                else:\n                    mine.copy_(theirs)": "            for mine, theirs in zip(self.module.buffers(), model.buffers()):\n                mine.copy_(theirs)",
        },
        rejected_by="ema-test-2",
        says="this buffer has the model's own numbers",
        note="Common practice, too. Here floating-point buffers are averaged, as timm does.",
    ),
    Misconception(
        name="counters-averaged",
        exercise="ema",
        edits={
            "                if mine.is_floating_point():\n                    mine.mul_(decay).add_(theirs, alpha=1 - decay)\n                else:\n                    mine.copy_(theirs)": "                mine.copy_(decay * mine + (1 - decay) * theirs)"
        },
        rejected_by="ema-test-2",
        says="an integer buffer was averaged",
        note="A count of 5 batches becomes 3 when it is averaged and rounded down.",
    ),
    Misconception(
        name="frozen-ones-left-behind",
        exercise="ema",
        edits={
            "                if mine.is_floating_point():": "                if isinstance(theirs, nn.Parameter) and not theirs.requires_grad:\n                    continue\n                if mine.is_floating_point():"
        },
        rejected_by="ema-test-2",
        says="it never moved",
        note="What is frozen now may have moved before, or be set by hand; the average must not keep an old value.",
    ),
    Misconception(
        name="state-dict-only",
        exercise="ema",
        edits={
            "            mine_all = [*self.module.parameters(), *self.module.buffers()]\n": "",
            "zip(mine_all, [*model.parameters(), *model.buffers()])": "zip(self.module.state_dict().values(), model.state_dict().values())",
        },
        rejected_by="ema-test-2",
        says="it never moved",
        note="A state dict holds what is saved: no buffer with persistent=False, and a shared tensor once for each name.",
        same_cause_as="frozen-ones-left-behind",
    ),
    Misconception(
        name="warmup-of-ten-updates",
        exercise="ema",
        edits={" if self.warmup else self.decay": " if self.warmup and self.updates < 10 else self.decay"},
        rejected_by="ema-test-2",
        says="warmup goes on as long as",
        note="The decay rises slowly: to 0.99 it takes 890 updates.",
    ),
    Misconception(
        name="clears-the-gradients",
        exercise="ema",
        edits={
            "        self.updates += 1\n        with": "        self.updates += 1\n        model.zero_grad()\n        with"
        },
        rejected_by="ema-test-2",
        says="a gradient that the model had before is still there",
        note="The model is left as it is, its gradients included.",
    ),
    Misconception(
        name="no-decay-at-all-is-the-default",
        exercise="ema",
        edits={"self.decay = decay": "self.decay = decay or 0.999"},
        rejected_by="ema-test-2",
        says="a decay of 0 is a decay",
        note="`or` takes 0 for nothing. A decay of 0 follows the model at once.",
    ),
    Misconception(
        name="only-float32-floats",
        exercise="ema",
        edits={"if mine.is_floating_point():": "if mine.dtype == torch.float32:"},
        rejected_by="ema-test-2",
        says="a buffer of float64 was copied",
        note="Half precision and float64 are floating point as well.",
    ),
    Misconception(
        name="single-numbers-copied",
        exercise="ema",
        edits={"if mine.is_floating_point():": "if mine.is_floating_point() and mine.ndim > 0:"},
        rejected_by="ema-test-2",
        says="a floating-point buffer of a single number was copied",
        note="The number of batches is a single number and an integer. The dtype decides, not the shape.",
    ),
    Misconception(
        name="once-true-always-true",
        exercise="ema",
        edits={
            "                if mine.is_floating_point():": "                if mine.dtype == torch.bool:\n                    mine.logical_or_(theirs)\n                elif mine.is_floating_point():"
        },
        rejected_by="ema-test-2",
        says="a buffer of truth values, which is copied",
        note="What cannot be averaged takes the model's value.",
    ),
    Misconception(
        name="batch-norm-goes-on",
        exercise="ema",
        edits={
            "        self.decay = decay": "        for part in self.module.modules():\n            part.training = isinstance(part, nn.BatchNorm1d)\n        self.decay = decay"
        },
        rejected_by="ema-test-2",
        says="which modules of the copy are in train mode",
        note="In train mode the copy would use the statistics of its batch, not those that it averages.",
    ),
    # ---- exercise 7: distillation
    Misconception(
        name="factor-missing",
        exercise="distill",
        edits={"lesson = temperature**2 * (": "lesson = ("},
        rejected_by="distill-test-1",
        says="the factor T² is missing",
        note="At T = 3 the teacher's voice is nine times too soft.",
    ),
    Misconception(
        name="kl-swapped",
        exercise="distill",
        edits={SOFT: "lesson = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()"},
        rejected_by="distill-test-1",
        says="KL(student || teacher)",
        note="KL is not symmetric. F.kl_div takes the student first and computes KL(teacher || student).",
    ),
    Misconception(
        name="mean-over-classes",
        exercise="distill",
        edits={SOFT: 'lesson = temperature**2 * F.kl_div(log_p, log_q.exp(), reduction="mean")'},
        rejected_by="distill-test-1",
        says="KL was divided by the number of classes",
        note='reduction="mean" divides by B times K. With 1,000 classes the teacher is a thousand times too soft. "batchmean" is the mathematical KL.',
    ),
    Misconception(
        name="sum-over-batch",
        exercise="distill",
        edits={SOFT: 'lesson = temperature**2 * F.kl_div(log_p, log_q.exp(), reduction="sum")'},
        rejected_by="distill-test-1",
        says="KL was summed over the batch",
        note="The weight of the teacher would grow with the batch.",
    ),
    Misconception(
        name="alpha-swapped",
        exercise="distill",
        edits={
            "(1 - alpha) * F.cross_entropy(from_labels, labels) + alpha * lesson": "alpha * F.cross_entropy(from_labels, labels) + (1 - alpha) * lesson"
        },
        rejected_by="distill-test-1",
        says="alpha and 1 - alpha changed places",
        note="At DeiT's alpha of 0.5 this does not show.",
    ),
    Misconception(
        name="probabilities-for-logarithms",
        exercise="distill",
        edits={SOFT: 'lesson = temperature**2 * F.kl_div(log_p.exp(), log_q.exp(), reduction="batchmean")'},
        rejected_by="distill-test-1",
        says="probabilities went in where logarithms",
        note="F.kl_div wants its first argument as log-probabilities and does not check.",
    ),
    Misconception(
        name="temperature-in-hard-mode",
        exercise="distill",
        edits={HARD: "lesson = F.cross_entropy(from_teacher / temperature, teacher.argmax(-1))"},
        rejected_by="distill-test-1",
        says="the student was divided by T",
        note="Hard labels have no temperature.",
    ),
    Misconception(
        name="hard-uses-the-labels",
        exercise="distill",
        edits={HARD: "lesson = F.cross_entropy(from_teacher, labels)"},
        rejected_by="distill-test-1",
        says="the teacher's answer was not used",
        note="Then the teacher says nothing at all.",
    ),
    Misconception(
        name="hears-itself",
        exercise="distill",
        edits={HARD: "lesson = F.cross_entropy(from_teacher, from_teacher.argmax(-1))"},
        rejected_by="distill-test-1",
        says="the student's own answer",
        note="A student that learns its own answers only grows surer of them.",
    ),
    Misconception(
        name="every-mode-is-hard",
        exercise="distill",
        edits={
            '    elif mode == "hard":\n        ': "    else:\n        ",
            "    else:\n        raise ValueError(f\"mode={mode!r} is neither 'soft' nor 'hard'\")\n": "",
        },
        rejected_by="distill-test-1",
        says='mode="medium" did not raise',
        note="A misspelled mode would train another loss, without a word.",
    ),
    Misconception(
        name="heads-swapped",
        exercise="distill",
        edits={"from_labels, from_teacher = (student, student)": "from_teacher, from_labels = (student, student)"},
        rejected_by="distill-test-2",
        says="the heads changed places",
        note="The class head learns from the labels, the distillation head from the teacher.",
    ),
    Misconception(
        name="heads-averaged",
        exercise="distill",
        edits={
            "(student, student) if isinstance(student, torch.Tensor) else student": "(student, student) if isinstance(student, torch.Tensor) else (sum(student) / 2,) * 2"
        },
        rejected_by="distill-test-2",
        says="the mean of the heads",
        note="DeiT averages the heads when it answers, not when it learns.",
    ),
    Misconception(
        name="teacher-not-detached",
        exercise="distill",
        edits={"    teacher = teacher.detach()\n": ""},
        rejected_by="distill-test-2",
        says="still in the graph",
        note="A teacher that gets gradients learns to agree with its student.",
    ),
    Misconception(
        name="log-of-softmax",
        exercise="distill",
        edits={
            "log_p = F.log_softmax(from_teacher / temperature, dim=-1)": "log_p = F.softmax(from_teacher / temperature, dim=-1).log()"
        },
        rejected_by="distill-test-2",
        says="the logarithm of a probability that rounded to 0",
        note="softmax rounds small probabilities to 0, and the logarithm of 0 is minus infinity.",
    ),
    Misconception(
        name="pair-learns-by-one-head",
        exercise="distill",
        edits={
            "else student\n": "else (student[0].detach(), student[1])\n",
        },
        rejected_by="distill-test-2",
        says="both heads get a gradient",
        note="Both heads learn.",
    ),
    Misconception(
        name="other-defaults",
        exercise="distill",
        edits={"temperature: float = 3.0": "temperature: float = 1.0"},
        rejected_by="distill-test-2",
        says="what is not given",
        note="Defaults are part of what the function promises.",
    ),
    Misconception(
        name="teacher-cooled-in-place",
        exercise="distill",
        edits={
            "log_q = F.log_softmax(teacher / temperature, dim=-1)": "log_q = F.log_softmax(teacher.div_(temperature), dim=-1)"
        },
        rejected_by="distill-test-2",
        says="teacher (must not be changed in place)",
        note="The same logits serve the next epoch; divided again and again, they fade.",
        in_one_mode="distill-test-1",
    ),
    Misconception(
        name="modes-in-any-case",
        exercise="distill",
        edits={"    teacher = teacher.detach()": "    mode = mode.lower()\n    teacher = teacher.detach()"},
        rejected_by="distill-test-2",
        says="mode='Soft' did not raise",
        note="Two words are promised. What is nearly one of them is a typing mistake that should be found.",
    ),
    Misconception(
        name="no-teacher-no-check",
        exercise="distill",
        edits={
            "    teacher = teacher.detach()": "    if alpha == 0:\n        return F.cross_entropy(from_labels, labels)\n    teacher = teacher.detach()"
        },
        rejected_by="distill-test-2",
        says="alpha=0.0 did not raise",
        note="Check what was given before the first return.",
    ),
    Misconception(
        name="never-sharper-than-one",
        exercise="distill",
        edits={
            "    teacher = teacher.detach()": "    temperature = max(temperature, 1.0)\n    teacher = teacher.detach()"
        },
        rejected_by="distill-test-2",
        says="soft, B=12, K=12, alpha=0.5, T=0.5",
        note="T > 0 is all that is asked; below 1 it sharpens.",
    ),
    # ---- exercise 8: regimes
    Misconception(
        name="statistics-drift",
        exercise="regime",
        edits={EVERYTHING: "model.train().requires_grad_(everything)"},
        rejected_by="regime-test-1",
        says="running statistics drift",
        note="No gradient is needed to change a running mean, only a forward pass in train mode.",
    ),
    Misconception(
        name="backbone-learns",
        exercise="regime",
        edits={EVERYTHING: "model.train(everything).requires_grad_(True)"},
        rejected_by="regime-test-1",
        says="parameters of the backbone still learn",
        note="eval() is about dropout and batch norm. It freezes no parameter.",
    ),
    Misconception(
        name="names-that-begin-with-head",
        exercise="regime",
        edits={
            EVERYTHING: 'model.train(everything)\n    for name, parameter in model.named_parameters():\n        parameter.requires_grad_(everything or name.startswith("head"))'
        },
        rejected_by="regime-test-1",
        says="head_norm is no part of the head",
        note="A prefix without its dot finds too much.",
    ),
    Misconception(
        name="head-frozen-too",
        exercise="regime",
        edits={HEAD: "    model.head.train()"},
        rejected_by="regime-test-1",
        says="the head is frozen, too",
        note="Nothing is left that could learn.",
    ),
    Misconception(
        name="head-in-eval-mode",
        exercise="regime",
        edits={HEAD: "    model.head.requires_grad_(True)"},
        rejected_by="regime-test-1",
        says="the head is in train mode",
        note="The head learns, so its dropout must be on.",
    ),
    Misconception(
        name="any-regime",
        exercise="regime",
        edits={'if regime not in ("scratch", "frozen", "full"):': "if False:"},
        rejected_by="regime-test-1",
        says='regime="half" did not raise',
        note="A misspelled regime would train everything, without a word.",
    ),
    Misconception(
        name="never-thawed",
        exercise="regime",
        edits={EVERYTHING: "model.train(everything)\n    if not everything:\n        model.requires_grad_(False)"},
        rejected_by="regime-test-1",
        says="parameters stay frozen",
        note="full after frozen must undo what frozen did.",
    ),
    Misconception(
        name="never-back-in-train-mode",
        exercise="regime",
        edits={EVERYTHING: "model.requires_grad_(everything)\n    if not everything:\n        model.eval()"},
        rejected_by="regime-test-1",
        says="modules stay in eval mode",
        note="full after frozen must undo what frozen did, in both respects.",
    ),
    Misconception(
        name="frozen-draws-a-new-head",
        exercise="regime",
        edits={
            HEAD: HEAD
            + "\n    for module in model.head.modules():\n        if regime == 'frozen' and hasattr(module, 'reset_parameters'):\n            module.reset_parameters()"
        },
        rejected_by="regime-test-1",
        says="the head was drawn anew",
        note="A new head is often a good idea, but it is the caller's to draw.",
    ),
    Misconception(
        name="scratch-draws-new-weights",
        exercise="regime",
        edits={
            HEAD: HEAD
            + "\n    for module in model.modules():\n        if regime == 'scratch' and hasattr(module, 'reset_parameters'):\n            module.reset_parameters()"
        },
        rejected_by="regime-test-1",
        says="frozen, then scratch: set_regime changes no number",
        note="Where the weights come from is the caller's affair.",
    ),
    Misconception(
        name="checks-at-the-end",
        exercise="regime",
        edits={
            '    if regime not in ("scratch", "frozen", "full"):\n        raise ValueError(f"regime={regime!r} is none of \'scratch\', \'frozen\', \'full\'")\n': "",
            HEAD: HEAD + "\n    if regime not in ('scratch', 'frozen', 'full'):\n        raise ValueError(regime)",
        },
        rejected_by="regime-test-1",
        says="against those before the call",
        note="Check first, then change: an error must not leave half of a change behind.",
    ),
    Misconception(
        name="head-as-it-was",
        exercise="regime",
        edits={
            EVERYTHING: "model.train(everything)\n    of_head = {id(p) for p in model.head.parameters()}\n    for p in model.parameters():\n        p.requires_grad = everything or (id(p) in of_head and p.requires_grad)",
            HEAD: "    model.head.train()",
        },
        rejected_by="regime-test-1",
        says="frozen, on a model whose head stands first and was frozen, and where another part is called head: the parameters",
        note="Not to freeze is not the same as to switch on.",
    ),
    Misconception(
        name="every-part-called-head",
        exercise="regime",
        edits={
            HEAD: "    for name, part in model.named_modules():\n        if name.split('.')[-1] == 'head':\n            part.train().requires_grad_(True)"
        },
        rejected_by="regime-test-1",
        says="another part is called head: the modules in train mode",
        note="The classifier is `model.head`. Ask the model for it, not its names.",
    ),
    Misconception(
        name="clears-gradients-of-a-regime",
        exercise="regime",
        edits={EVERYTHING: EVERYTHING + "\n    model.zero_grad()"},
        rejected_by="regime-test-1",
        says="the gradients of the model, as before the call",
        note="Convenient before a new run, and not what the function is asked for.",
    ),
    Misconception(
        name="momentum-zero",
        exercise="regime",
        edits={
            HEAD: HEAD
            + "\n    for part in model.modules():\n        if isinstance(part, nn.BatchNorm2d):\n            part.momentum = 0.1 if everything else 0.0"
        },
        rejected_by="regime-test-1",
        says="the settings of the model, as before the call",
        note="Eval mode stops the running means. A momentum that is set to 0 stays so, or comes back as another one.",
    ),
    Misconception(
        name="regimes-in-any-case",
        exercise="regime",
        edits={'    if regime not in ("scratch"': '    regime = regime.lower()\n    if regime not in ("scratch"'},
        rejected_by="regime-test-1",
        says="regime='Frozen' did not raise",
        note="Three words are promised. What is nearly one of them is a typing mistake that should be found.",
    ),
]
