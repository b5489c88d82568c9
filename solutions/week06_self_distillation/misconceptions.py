"""Wrong answers that people really write in week 6, the test that rejects each, and what it says."""

from autograder.variants import Misconception

AREA = "side = (low + (high - low) * torch.rand(batch, generator=generator)).sqrt()"
CENTER = "center = (1 - side)[:, None] * (2 * torch.rand(batch, 2, generator=generator) - 1)"
SAMPLE = 'return F.grid_sample(images, grid, padding_mode="border", align_corners=False)'
RANGES = "for low, high in (scale_global, scale_local):"
LOCALS = "[crop(out_local, *scale_local) for _ in range(n_local)]"
GLOBALS = "global_crops = [crop(out_global, *scale_global) for _ in range(2)]"
TARGETS = "targets = [((logits - center) / t_teacher).softmax(-1).detach() for logits in teacher]"
ANSWERS = "answers = [F.log_softmax(logits / t_student, dim=-1) for logits in student]"
COST = "-(target * answer).sum(-1).mean()"
COPY = "return copy.deepcopy(student).requires_grad_(False)"
STEP = "        mine.lerp_(theirs, 1 - momentum)"
BUFFERS = "    for mine, theirs in zip(teacher.buffers(), student.buffers()):\n        mine.copy_(theirs)"
PARAMETERS = "    for mine, theirs in zip(teacher.parameters(), student.parameters()):\n" + STEP
CENTERED = "center.lerp_(torch.cat(list(teacher_logits)).mean(0), 1 - momentum)"
RISING = "return 1 - (1 - base) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))"
MLP = "self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))"
EMBED = "return F.normalize(self.mlp(x), dim=-1)"
ROWS = "return F.normalize(self.directions, dim=-1)"
DIRECTIONS = "self.directions = nn.Parameter(torch.randn(out_dim, bottleneck_dim))"
LOGITS = "return self.embed(x) @ self.prototypes().T"
ENTROPY = "return -torch.xlogy(p, p).sum(-1)"
TWO = "sample, batch = entropy(probs).mean().item(), entropy(probs.mean(0)).item()"
UNIT = "unit = F.normalize(features, dim=-1)"
STD = '"feature_std": unit.std(0, correction=0).mean().item(),'
RANK = '"effective_rank": entropy(singular / singular.sum()).exp().item(),'
SINGULAR = "singular = torch.linalg.svdvals(unit)"
HEALTHY = 'if report["mutual_information"] >= 0.1 * math.log(k):\n        return "healthy"\n'
WHICH = 'return "uniform" if report["sample_entropy"] > 0.5 * math.log(k) else "one_dimension"'
VIEWS = "return torch.where(mask.bool()[..., None], mask_token, tokens), tokens"
HIDDEN = "hidden = mask.to(student_patches.dtype)"
PATCH_TARGET = "target = ((teacher_patches - center) / t_t).softmax(-1).detach()"
PATCH_COST = "cost = -(target * F.log_softmax(student_patches / t_s, dim=-1)).sum(-1)"
PATCH_MEAN = "return ((cost * hidden).sum(-1)[some] / count[some]).mean()"

MISCONCEPTIONS = [
    # ---- exercise 1: crops
    Misconception(
        name="one-window-for-the-batch",
        exercise="crops",
        edits={
            AREA: "side = (low + (high - low) * torch.rand(1, generator=generator)).sqrt().expand(batch)",
            CENTER: "center = (1 - side)[:, None] * (2 * torch.rand(1, 2, generator=generator) - 1)",
        },
        rejected_by="crops-test-1",
        says="one window was drawn for the whole batch",
        note="Fast, and it runs; but a batch then sees one window, and the loss compares 64 times the same pair of places.",
    ),
    Misconception(
        name="crops-in-the-middle",
        exercise="crops",
        edits={CENTER: "center = torch.zeros(batch, 2)"},
        rejected_by="crops-test-1",
        says="every window is in the middle",
        note="A zoom, not a crop: the views always share their middle.",
    ),
    Misconception(
        name="side-is-the-share",
        exercise="crops",
        edits={AREA: "side = low + (high - low) * torch.rand(batch, generator=generator)"},
        rejected_by="crops-test-1",
        says="the side is the share itself",
        note="The ranges of the paper are shares of the area. A side of one half is a quarter of the area.",
    ),
    Misconception(
        name="ranges-swapped",
        exercise="crops",
        edits={
            "crop(out_global, *scale_global)": "crop(out_global, *scale_local)",
            "crop(out_local, *scale_local)": "crop(out_local, *scale_global)",
        },
        rejected_by="crops-test-1",
        says="scale_global and scale_local changed places",
        note="The teacher would see ears and the student whole cats.",
    ),
    Misconception(
        name="zeros-at-the-border",
        exercise="crops",
        edits={SAMPLE: "return F.grid_sample(images, grid, align_corners=False)"},
        rejected_by="crops-test-1",
        says="zeros from outside the image darken the border",
        note="A dark edge tells the network where the border of the image was: a shortcut.",
    ),
    Misconception(
        name="same-window-twice",
        exercise="crops",
        edits={GLOBALS: "global_crops = [crop(out_global, *scale_global)] * 2"},
        rejected_by="crops-test-1",
        says="the two global crops differ",
        note="[x] * 2 is a list with the same tensor twice. Two equal views teach nothing.",
    ),
    Misconception(
        name="empty-range-accepted",
        exercise="crops",
        edits={"if not 0 < low <= high <= 1:": "if not 0 < low <= 1 or not 0 < high <= 1:"},
        rejected_by="crops-test-1",
        says="the global range (0.5, 0.4)",
        note="Each end alone is a share; together they are no range.",
    ),
    Misconception(
        name="crops-from-the-global-state",
        exercise="crops",
        edits={CENTER: "center = (1 - side)[:, None] * (2 * torch.rand(batch, 2) - 1)"},
        rejected_by="crops-test-2",
        says="came from the global state",
        note="Without generator=... the global random state decides, and a run cannot be repeated.",
    ),
    Misconception(
        name="uniform-side",
        exercise="crops",
        edits={AREA: "side = low**0.5 + (high**0.5 - low**0.5) * torch.rand(batch, generator=generator)"},
        rejected_by="crops-test-2",
        says="the side is uniform, not the area",
        note="Both ends are right, and what lies between them is not: small crops come too often.",
    ),
    Misconception(
        name="windows-stick-out",
        exercise="crops",
        edits={CENTER: "center = 2 * torch.rand(batch, 2, generator=generator) - 1"},
        rejected_by="crops-test-1",
        says="windows stick out of the image",
        note="Room for the center is 1 - side, not 1. With border padding the outside is a smear of edge pixels.",
    ),
    Misconception(
        name="pushed-back-inside",
        exercise="crops",
        edits={
            CENTER: "free = 2 * torch.rand(batch, 2, generator=generator) - 1\n        center = torch.minimum(torch.maximum(free, (side - 1)[:, None]), (1 - side)[:, None])"
        },
        rejected_by="crops-test-2",
        says="pushed back inside",
        note="Clamping puts every window that stuck out exactly at the border, so the middle is seen too rarely.",
    ),
    Misconception(
        name="on-the-diagonal",
        exercise="crops",
        edits={
            CENTER: "center = (1 - side)[:, None] * (2 * torch.rand(batch, 1, generator=generator) - 1).expand(batch, 2)"
        },
        rejected_by="crops-test-2",
        says="all windows lie on the diagonal",
        note="One number for row and column: the other two corners are never seen.",
    ),
    Misconception(
        name="local-crops-alike",
        exercise="crops",
        edits={
            LOCALS: "[crop(out_local, *scale_local)] * n_local",
        },
        rejected_by="crops-test-1",
        says="the local crops differ from each other",
        note="[x] * n is a list with the same tensor n times: n local crops for the price, and the worth, of one.",
    ),
    Misconception(
        name="copied-pixels",
        exercise="crops",
        edits={
            SAMPLE: 'return F.grid_sample(images, grid, mode="nearest", padding_mode="border", align_corners=False)',
        },
        rejected_by="crops-test-1",
        says="pixels were copied, not interpolated",
        note="Nearest neighbors give blocks; the table asks for bilinear.",
    ),
    Misconception(
        name="two-ideas-of-a-corner",
        exercise="crops",
        edits={
            SAMPLE: 'return F.grid_sample(images, grid, padding_mode="border", align_corners=True)',
        },
        rejected_by="crops-test-1",
        says="align_corners differs between affine_grid and grid_sample",
        note="affine_grid and grid_sample must agree on align_corners; otherwise every window is a little smaller than it was drawn.",
    ),
    Misconception(
        name="corners-aligned",
        exercise="crops",
        edits={
            "[batch, channels, out, out], align_corners=False": "[batch, channels, out, out], align_corners=True",
            SAMPLE: 'return F.grid_sample(images, grid, padding_mode="border", align_corners=True)',
        },
        rejected_by="crops-test-1",
        says="align_corners=True: the outermost pixels",
        note="With align_corners=True the window ends in the middle of its outermost pixels, half a pixel early.",
    ),
    Misconception(
        name="local-range-unchecked",
        exercise="crops",
        edits={
            RANGES: "for low, high in (scale_global,):",
        },
        rejected_by="crops-test-1",
        says="the local range (0.5, 0.4)",
        note="Both ranges are arguments, and both can be wrong.",
    ),
    Misconception(
        name="one-area-for-the-batch",
        exercise="crops",
        edits={
            AREA: "side = (low + (high - low) * torch.rand(1, generator=generator)).sqrt().expand(batch)",
        },
        rejected_by="crops-test-2",
        says="one area was drawn for the whole batch",
        note="Each image has its own place, but all are enlarged alike: a batch then compares one scale with another.",
    ),
    Misconception(
        name="smallest-or-largest",
        exercise="crops",
        edits={
            AREA: "side = (low + (high - low) * torch.rand(batch, generator=generator).round()).sqrt()",
        },
        rejected_by="crops-test-2",
        says="the area of global windows is uniform from 0.04 to 1.0",
        note="Mean and range are right, and nothing in between ever comes.",
    ),
    Misconception(
        name="small-windows-top-left",
        exercise="crops",
        edits={
            CENTER: "center = (1 - side)[:, None] * (2 * ((side**2 - low) / max(high - low, 1e-6))[:, None] - 1).expand(batch, 2)",
        },
        rejected_by="crops-test-2",
        says="one random number serves area and place",
        note="Two numbers from one draw are one number: small windows always lie in the same corner.",
    ),
    Misconception(
        name="generator-begins-again",
        exercise="crops",
        edits={
            RANGES: "generator = torch.Generator().manual_seed(generator.initial_seed())\n    for low, high in (scale_global, scale_local):",
        },
        rejected_by="crops-test-2",
        says="the second call with a generator draws anew",
        note="A generator carries on where it stopped. Seeded again in every call, all batches get the same windows.",
    ),
    # ---- exercise 2: the loss
    Misconception(
        name="identical-views-too",
        exercise="loss",
        edits={"        if i != j\n": ""},
        rejected_by="loss-test-1",
        says="pairs of a view with itself were counted as well",
        note="A view agrees with itself without knowing anything. Such pairs only pull the student to the teacher's weights.",
    ),
    Misconception(
        name="only-identical-views",
        exercise="loss",
        edits={"if i != j": "if i == j"},
        rejected_by="loss-test-1",
        says="only pairs of a view with itself",
        note="Then nothing is shared across crops.",
    ),
    Misconception(
        name="sum-over-pairs",
        exercise="loss",
        edits={"return torch.stack(pairs).mean()": "return torch.stack(pairs).sum()"},
        rejected_by="loss-test-1",
        says="the sum over the pairs was not divided",
        note="The loss, and with it the step, would grow with the number of local crops.",
    ),
    Misconception(
        name="center-added",
        exercise="loss",
        edits={"(logits - center) / t_teacher": "(logits + center) / t_teacher"},
        rejected_by="loss-test-1",
        says="the center was added",
        note="Added, the center makes what is frequent more frequent: it drives the collapse that it should prevent.",
    ),
    Misconception(
        name="center-forgotten",
        exercise="loss",
        edits={"(logits - center) / t_teacher": "logits / t_teacher"},
        rejected_by="loss-test-1",
        says="the center was not used",
        note="The argument was accepted and not used; the run collapses to one dimension.",
    ),
    Misconception(
        name="center-on-both",
        exercise="loss",
        edits={ANSWERS: "answers = [F.log_softmax((logits - center) / t_student, dim=-1) for logits in student]"},
        rejected_by="loss-test-1",
        says="subtracted from the student as well",
        note="If both are shifted, the student need not learn to balance its outputs.",
    ),
    Misconception(
        name="center-on-the-student",
        exercise="loss",
        edits={
            "(logits - center) / t_teacher": "logits / t_teacher",
            ANSWERS: "answers = [F.log_softmax((logits - center) / t_student, dim=-1) for logits in student]",
        },
        rejected_by="loss-test-1",
        says="subtracted from the student, not from the teacher",
        note="The center belongs to the targets. On the student's side it pushes the wrong way.",
    ),
    Misconception(
        name="temperatures-swapped",
        exercise="loss",
        edits={
            "(logits - center) / t_teacher": "(logits - center) / t_student",
            "logits / t_student, dim": "logits / t_teacher, dim",
        },
        rejected_by="loss-test-1",
        says="the temperatures changed places",
        note="A teacher softer than its student teaches it to be softer still, down to the uniform answer.",
    ),
    Misconception(
        name="center-after-temperature",
        exercise="loss",
        edits={"((logits - center) / t_teacher)": "(logits / t_teacher - center)"},
        rejected_by="loss-test-1",
        says="after the division by the temperature",
        note="The center is a mean of logits, so it belongs to logits; divided by 0.04 they are 25 times as large.",
    ),
    Misconception(
        name="cross-entropy-turned",
        exercise="loss",
        edits={
            TARGETS: "targets = [F.log_softmax((logits - center) / t_teacher, dim=-1).detach() for logits in teacher]",
            ANSWERS: "answers = [(logits / t_student).softmax(-1) for logits in student]",
        },
        rejected_by="loss-test-1",
        says="changed places in the cross-entropy",
        note="The logarithm belongs to the one who learns. Turned round, the student may answer with the one output that the teacher likes best.",
    ),
    Misconception(
        name="sum-over-images",
        exercise="loss",
        edits={COST: "-(target * answer).sum(-1).sum()"},
        rejected_by="loss-test-1",
        says="the losses of the images were added",
        note="The size of a step would grow with the batch.",
    ),
    Misconception(
        name="softmax-over-the-batch",
        exercise="loss",
        edits={ANSWERS: "answers = [F.log_softmax(logits / t_student, dim=0) for logits in student]"},
        rejected_by="loss-test-1",
        says="the softmax ran over the batch",
        note="dim=0 compares images with each other. With one image every probability is 1 and the loss is 0.",
    ),
    Misconception(
        name="locals-left-out",
        exercise="loss",
        edits={"for j, answer in enumerate(answers)": "for j, answer in enumerate(answers[:2])"},
        rejected_by="loss-test-2",
        says="the local views were left out",
        note="With two views nothing shows; with local crops they are computed and not used.",
    ),
    Misconception(
        name="locals-to-the-teacher",
        exercise="loss",
        edits={"for logits in teacher]": "for logits in [*teacher, *student[2:]]]"},
        rejected_by="loss-test-2",
        says="the local views were targets as well",
        note="From local to global is the lesson: a target must have seen the whole.",
    ),
    Misconception(
        name="one-teacher-view",
        exercise="loss",
        edits={"if i != j": "if i != j and (j < 2 or i == 0)"},
        rejected_by="loss-test-2",
        says="one of the teacher's views only",
        note="Every local view has two global views to agree with.",
    ),
    Misconception(
        name="teacher-gets-gradients",
        exercise="loss",
        edits={".softmax(-1).detach()": ".softmax(-1)"},
        rejected_by="loss-test-2",
        says="the teacher's probabilities are still in the graph",
        note="With gradients on both sides the quickest way to agree is to stop saying anything.",
    ),
    Misconception(
        name="logarithm-of-a-softmax",
        exercise="loss",
        edits={ANSWERS: "answers = [(logits / t_student).softmax(-1).log() for logits in student]"},
        rejected_by="loss-test-3",
        says="use log_softmax",
        note="exp(-1000) is 0 in floating point, and its logarithm minus infinity.",
    ),
    Misconception(
        name="center-divided-in-place",
        exercise="loss",
        edits={
            TARGETS: "over = center.detach().div_(t_teacher)\n    targets = [(logits / t_teacher - over).softmax(-1).detach() for logits in teacher]",
        },
        rejected_by="loss-test-1",
        says="the center after the call",
        note="div_ writes into the caller's center, which shrinks or grows with every step.",
    ),
    Misconception(
        name="divided-by-other-views",
        exercise="loss",
        edits={
            "return torch.stack(pairs).mean()": "return torch.stack(pairs).sum() / (2 * len(student) - 2 if len(student) == 2 else len(student) - 1)",
        },
        rejected_by="loss-test-2",
        says="the sum was divided by V - 1",
        note="Both global views have V - 1 partners: 2 (V - 1) pairs.",
    ),
    Misconception(
        name="views-as-lists",
        exercise="loss",
        edits={
            ANSWERS: "answers = [F.log_softmax(logits / t_student, dim=-1) for logits in student + []]",
        },
        rejected_by="loss-test-3",
        says="can only concatenate tuple",
        note="The signature says Sequence: `chunk` and `split` give tuples.",
    ),
    # ---- exercise 3: the teacher
    Misconception(
        name="teacher-is-the-student",
        exercise="teacher",
        edits={COPY: "return student"},
        rejected_by="teacher-test-1",
        says="the teacher is the student itself",
        note="An assignment copies nothing. Student and teacher always agree.",
    ),
    Misconception(
        name="teacher-in-the-optimizer",
        exercise="teacher",
        edits={COPY: "return copy.deepcopy(student)"},
        rejected_by="teacher-test-1",
        says="an optimizer that is given all parameters would train the teacher",
        note="A copy of trainable parameters is trainable.",
    ),
    Misconception(
        name="student-frozen-instead",
        exercise="teacher",
        edits={COPY: "return copy.deepcopy(student.requires_grad_(False))"},
        rejected_by="teacher-test-1",
        says="requires_grad_ was called on the student",
        note="requires_grad_ changes the module it is called on, before the copy is made.",
    ),
    Misconception(
        name="average-turned-round",
        exercise="teacher",
        edits={STEP: "        mine.lerp_(theirs, momentum)"},
        rejected_by="teacher-test-1",
        says="the teacher jumps to the student",
        note="lerp_ wants the share of the new value. With 0.996 in its place the teacher is the student of one step ago.",
    ),
    Misconception(
        name="teacher-not-in-place",
        exercise="teacher",
        edits={STEP: "        mine = mine.lerp(theirs, 1 - momentum)"},
        rejected_by="teacher-test-1",
        says="the teacher does not move",
        note="The name mine is bound to a new tensor; the parameter stays.",
    ),
    Misconception(
        name="center-not-in-place",
        exercise="teacher",
        edits={CENTERED: "center = center.lerp(torch.cat(list(teacher_logits)).mean(0), 1 - momentum)"},
        rejected_by="teacher-test-2",
        says="the center is as it was",
        note="Inside a function, center = ... binds a local name. The caller's tensor stays 0 for the whole run.",
    ),
    Misconception(
        name="center-turned-round",
        exercise="teacher",
        edits={CENTERED: "center.lerp_(torch.cat(list(teacher_logits)).mean(0), momentum)"},
        rejected_by="teacher-test-2",
        says="momentum and 1 - momentum changed places",
        note="The center would be the mean of one batch, with all its noise.",
    ),
    Misconception(
        name="center-of-probabilities",
        exercise="teacher",
        edits={CENTERED: "center.lerp_(torch.cat(list(teacher_logits)).softmax(-1).mean(0), 1 - momentum)"},
        rejected_by="teacher-test-2",
        says="the mean of probabilities was taken",
        note="It is subtracted from logits, so it must be a mean of logits.",
    ),
    Misconception(
        name="first-view-only",
        exercise="teacher",
        edits={CENTERED: "center.lerp_(teacher_logits[0].mean(0), 1 - momentum)"},
        rejected_by="teacher-test-2",
        says="only the first view was counted",
        note="Both views of every image belong to the mean.",
    ),
    Misconception(
        name="views-added",
        exercise="teacher",
        edits={CENTERED: "center.lerp_(sum(logits.mean(0) for logits in teacher_logits), 1 - momentum)"},
        rejected_by="teacher-test-2",
        says="the means of the views were added",
        note="Twice the mean overshoots: frequent outputs become rare ones.",
    ),
    Misconception(
        name="momentum-falls",
        exercise="teacher",
        edits={RISING: "return base + (1 - base) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))"},
        rejected_by="teacher-test-2",
        says="the momentum falls",
        note="At 1 the teacher stands still. It should do so at the end, not at the start.",
    ),
    Misconception(
        name="momentum-in-a-line",
        exercise="teacher",
        edits={RISING: "return base + (1 - base) * min(1.0, step / total)"},
        rejected_by="teacher-test-3",
        says="along a straight line",
        note="A line and half a cosine agree at the start, in the middle and at the end.",
    ),
    Misconception(
        name="momentum-comes-back",
        exercise="teacher",
        edits={"min(1.0, step / total)": "step / total"},
        rejected_by="teacher-test-3",
        says="the cosine goes on after the last step",
        note="cos is periodic; a run that goes on for a while would wake the teacher up again.",
    ),
    Misconception(
        name="buffers-left-alone",
        exercise="teacher",
        edits={BUFFERS: "    pass"},
        rejected_by="teacher-test-3",
        says="buffers were left alone",
        note="In eval mode the teacher would normalize with a mean of 0 and a variance of 1.",
    ),
    Misconception(
        name="buffers-averaged",
        exercise="teacher",
        edits={
            BUFFERS: "    for mine, theirs in zip(teacher.buffers(), student.buffers()):\n        mine.copy_(momentum * mine + (1 - momentum) * theirs)"
        },
        rejected_by="teacher-test-3",
        says="buffers were averaged like parameters",
        note="Running means are averages already, and the count of batches is a whole number.",
    ),
    Misconception(
        name="teacher-shares-memory",
        exercise="teacher",
        edits={
            COPY: "teacher = copy.deepcopy(student)\n    teacher.load_state_dict(student.state_dict(), assign=True)\n    return teacher.requires_grad_(False)",
        },
        rejected_by="teacher-test-1",
        says="after all numbers of the student have changed",
        note="assign=True puts the student's own tensors into the teacher; each step of the optimizer moves both.",
    ),
    Misconception(
        name="student-in-eval-mode",
        exercise="teacher",
        edits={
            COPY: "return copy.deepcopy(student.eval()).requires_grad_(False)",
        },
        rejected_by="teacher-test-1",
        says="eval() was called on the student",
        note="eval() changes the module that it is called on: the student would train with frozen statistics and without dropout.",
    ),
    Misconception(
        name="student-thawed",
        exercise="teacher",
        edits={
            COPY: "teacher = copy.deepcopy(student.requires_grad_(False))\n    student.requires_grad_(True)\n    return teacher",
        },
        rejected_by="teacher-test-1",
        says="what was frozen in the student was switched on",
        note="Off and on again is not as it was: a part that the caller had frozen now learns.",
    ),
    Misconception(
        name="teacher-drawn-anew",
        exercise="teacher",
        edits={
            COPY: "teacher = copy.deepcopy(student).requires_grad_(False)\n    for part in teacher.modules():\n        if hasattr(part, 'reset_parameters'):\n            part.reset_parameters()\n    return teacher",
        },
        rejected_by="teacher-test-1",
        says="what a new teacher says in eval mode",
        note="A teacher with weights of its own is another network; the student has nothing of its past to follow.",
    ),
    Misconception(
        name="frozen-left-out",
        exercise="teacher",
        edits={
            STEP: "        if theirs.requires_grad:\n            mine.lerp_(theirs, 1 - momentum)",
        },
        rejected_by="teacher-test-3",
        says="a parameter that is frozen in the student was left out",
        note="Frozen or not, the teacher is the average of the student. What was frozen at step 500 may have moved before.",
    ),
    Misconception(
        name="new-parameters",
        exercise="teacher",
        edits={
            PARAMETERS: "    for name, theirs in student.named_parameters():\n        path, _, last = name.rpartition('.')\n        part = teacher.get_submodule(path)\n        setattr(part, last, nn.Parameter(momentum * getattr(part, last) + (1 - momentum) * theirs))",
        },
        rejected_by="teacher-test-3",
        says="new parameters that require gradients were put into the teacher",
        note="An nn.Parameter requires a gradient unless told otherwise, and whoever holds the old tensors never sees the new ones.",
    ),
    Misconception(
        name="buffers-borrowed",
        exercise="teacher",
        edits={
            BUFFERS: "    for mine, theirs in zip(teacher.buffers(), student.buffers()):\n        mine.data = theirs",
        },
        rejected_by="teacher-test-3",
        says="the teacher holds the student's own tensor",
        note="mine.data = theirs gives both the same memory: the teacher's running mean moves whenever the student sees a batch.",
    ),
    Misconception(
        name="buffers-the-other-way",
        exercise="teacher",
        edits={
            BUFFERS: "    for mine, theirs in zip(teacher.buffers(), student.buffers()):\n        theirs.copy_(mine)",
        },
        rejected_by="teacher-test-3",
        says="1.running_mean of the student after the update",
        note="The student's statistics would be overwritten with those of the start.",
    ),
    Misconception(
        name="step-not-divided",
        exercise="teacher",
        edits={
            "min(1.0, step / total)": "min(1.0, step)",
        },
        rejected_by="teacher-test-2",
        says="the step was not divided by the number of steps",
        note="Then the momentum is 1 from the second step on: the teacher never learns.",
    ),
    # ---- exercise 4: the head
    Misconception(
        name="last-layer-free",
        exercise="head",
        edits={ROWS: "return self.directions"},
        rejected_by="head-test-1",
        says="the last layer is not normalized",
        note="Then the network sets its own temperature, by the length of a row.",
    ),
    Misconception(
        name="columns-normalized",
        exercise="head",
        edits={ROWS: "return F.normalize(self.directions, dim=0)"},
        rejected_by="head-test-1",
        says="the columns were normalized",
        note="Each output has a row of the weight matrix.",
    ),
    Misconception(
        name="bottleneck-free",
        exercise="head",
        edits={EMBED: "return self.mlp(x)"},
        rejected_by="head-test-1",
        says="the bottleneck is not normalized",
        note="A long embedding makes all its logits large: sharpness without a temperature.",
    ),
    Misconception(
        name="forward-skips-the-norm",
        exercise="head",
        edits={LOGITS: "return self.mlp(x) @ self.prototypes().T"},
        rejected_by="head-test-1",
        says="forward does not use the normalized embeddings",
        note="embed and prototypes are right, and forward does not use one of them.",
    ),
    Misconception(
        name="normalized-once",
        exercise="head",
        edits={
            DIRECTIONS: "self.directions = nn.Parameter(F.normalize(torch.randn(out_dim, bottleneck_dim), dim=-1))",
            ROWS: "return self.directions",
        },
        rejected_by="head-test-2",
        says="the rows were normalized once, at the start",
        note="The first optimizer step changes their lengths.",
    ),
    Misconception(
        name="gain-is-trained",
        exercise="head",
        edits={
            DIRECTIONS: "self.directions = nn.Parameter(torch.randn(out_dim, bottleneck_dim))\n        self.gain = nn.Parameter(torch.ones(out_dim, 1))",
            ROWS: "return self.gain * F.normalize(self.directions, dim=-1)",
        },
        rejected_by="head-test-2",
        says="the gain is trained; fix it at 1",
        note="Weight normalization has a gain for each row, and trains it unless told otherwise.",
    ),
    Misconception(
        name="no-bend",
        exercise="head",
        edits={"nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear": "nn.Linear(in_dim, hidden_dim), nn.Linear"},
        rejected_by="head-test-2",
        says="no activation between the two linear layers",
        note="Two linear layers in a row are one, with a bottleneck.",
    ),
    Misconception(
        name="batch-norm-in-the-head",
        exercise="head",
        edits={
            EMBED: "y = self.mlp(x)\n        return F.normalize(y - y.mean(tuple(range(y.ndim - 1)), keepdim=True), dim=-1)"
        },
        rejected_by="head-test-1",
        says="depend on the others of its batch",
        note="Subtracting the batch's mean makes an image's answer depend on its neighbors in the batch.",
    ),
    Misconception(
        name="one-layer-more",
        exercise="head",
        edits={
            MLP: "self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))",
        },
        rejected_by="head-test-1",
        says="there is one hidden layer more",
        note="The official head has three linear layers; this exercise asks for linear, GELU, linear.",
    ),
    Misconception(
        name="hidden-width-ignored",
        exercise="head",
        edits={
            MLP: "self.mlp = nn.Sequential(nn.Linear(in_dim, 128), nn.GELU(), nn.Linear(128, bottleneck_dim))",
        },
        rejected_by="head-test-1",
        says="hidden_dim is not the width",
        note="The default is 128; an argument is there to be changed.",
    ),
    Misconception(
        name="prototypes-fixed",
        exercise="head",
        edits={
            DIRECTIONS: "self.register_buffer('directions', torch.randn(out_dim, bottleneck_dim))",
        },
        rejected_by="head-test-1",
        says="the prototypes do not learn",
        note="A buffer is saved with the model, and no optimizer sees it.",
    ),
    Misconception(
        name="sharpened-in-the-head",
        exercise="head",
        edits={
            LOGITS: "return self.embed(x) @ self.prototypes().T / 0.1",
        },
        rejected_by="head-test-1",
        says="the cosines were multiplied by a number",
        note="The temperatures are the loss's: student and teacher have different ones and share the head's build.",
    ),
    Misconception(
        name="prototypes-detached",
        exercise="head",
        edits={
            LOGITS: "return self.embed(x) @ self.prototypes().T.detach()",
        },
        rejected_by="head-test-2",
        says="the prototype of output 0 has moved",
        note="detach() makes a constant of the last layer.",
    ),
    Misconception(
        name="embedding-detached",
        exercise="head",
        edits={
            LOGITS: "return self.embed(x).detach() @ self.prototypes().T",
        },
        rejected_by="head-test-2",
        says="every parameter that learns has moved",
        note="Only the prototypes would learn, and the backbone never.",
    ),
    Misconception(
        name="backbone-detached",
        exercise="head",
        edits={
            EMBED: "return F.normalize(self.mlp(x.detach()), dim=-1)",
        },
        rejected_by="head-test-2",
        says="a gradient flows through the head into the backbone",
        note="The head would learn on top of a random network that stays random.",
    ),
    Misconception(
        name="bias-from-zero",
        exercise="head",
        edits={
            DIRECTIONS: DIRECTIONS + "\n        self.shift = nn.Parameter(torch.zeros(out_dim))",
            LOGITS: "return self.embed(x) @ self.prototypes().T + self.shift",
        },
        rejected_by="head-test-2",
        says="the last layer has a bias, which began at 0",
        note="At the start a bias of 0 shows nowhere. Trained, it makes one output likely for every image.",
    ),
    Misconception(
        name="one-gain-for-all",
        exercise="head",
        edits={
            DIRECTIONS: DIRECTIONS + "\n        self.gain = nn.Parameter(torch.ones(()))",
            ROWS: "return self.gain * F.normalize(self.directions, dim=-1)",
        },
        rejected_by="head-test-2",
        says="the gain is trained",
        note="One learned factor for all rows is a temperature that the network sets itself.",
    ),
    Misconception(
        name="relu-for-gelu",
        exercise="head",
        edits={
            MLP: MLP.replace("GELU", "ReLU"),
        },
        rejected_by="head-test-2",
        says="the activation is a ReLU",
        note="It learns as well, and is another head.",
    ),
    # ---- exercise 5: the report
    Misconception(
        name="zero-times-minus-infinity",
        exercise="report",
        edits={ENTROPY: "return -(p * p.log()).sum(-1)"},
        rejected_by="report-test-1",
        says="0 log 0 came out as not-a-number",
        note="The limit of p log p at 0 is 0; a computer multiplies 0 by minus infinity.",
    ),
    Misconception(
        name="bits",
        exercise="report",
        edits={ENTROPY: "return -torch.xlogy(p, p).sum(-1) / math.log(2)"},
        rejected_by="report-test-1",
        says="the entropies are in bits",
        note="Then log K is 6 for 64 outputs, and no limit of this week fits.",
    ),
    Misconception(
        name="mean-then-entropy-twice",
        exercise="report",
        edits={"entropy(probs).mean().item(), entropy": "entropy(probs.mean(0)).item(), entropy"},
        rejected_by="report-test-1",
        says="the entropy of the mean was taken for both",
        note="The entropy of the mean is never below the mean of the entropies; their gap is the point.",
    ),
    Misconception(
        name="entropies-then-mean-twice",
        exercise="report",
        edits={"entropy(probs.mean(0)).item()": "entropy(probs).mean().item()"},
        rejected_by="report-test-1",
        says="the mean of the entropies was taken for both",
        note="A healthy run and a collapsed one then both have a mutual information of 0.",
    ),
    Misconception(
        name="entropies-added",
        exercise="report",
        edits={"entropy(probs).mean().item(), entropy": "entropy(probs).sum().item(), entropy"},
        rejected_by="report-test-1",
        says="the entropies of the images were added",
        note="The number would grow with the batch.",
    ),
    Misconception(
        name="softmax-again",
        exercise="report",
        edits={
            TWO: "probs = probs.softmax(-1)\n    sample, batch = entropy(probs).mean().item(), entropy(probs.mean(0)).item()"
        },
        rejected_by="report-test-1",
        says="a softmax was applied to what are probabilities already",
        note="A softmax of probabilities is always nearly uniform, so every run looks collapsed.",
    ),
    Misconception(
        name="difference-turned",
        exercise="report",
        edits={'"mutual_information": batch - sample': '"mutual_information": sample - batch'},
        rejected_by="report-test-1",
        says="the sign of the difference is turned",
        note="Mutual information is never negative.",
    ),
    Misconception(
        name="features-as-they-are",
        exercise="report",
        edits={UNIT: "unit = features"},
        rejected_by="report-test-2",
        says="the features were not scaled to length 1",
        note="A network can make its features longer or shorter at will; kNN by cosine does not see that.",
    ),
    Misconception(
        name="std-within-an-image",
        exercise="report",
        edits={STD: '"feature_std": unit.std(1, correction=0).mean().item(),'},
        rejected_by="report-test-2",
        says="within each image",
        note="If all images had the same feature, this number would not notice.",
    ),
    Misconception(
        name="std-with-bessel",
        exercise="report",
        edits={"unit.std(0, correction=0)": "unit.std(0)"},
        rejected_by="report-test-2",
        says="it divides by B - 1",
        note="torch divides by B - 1 unless told otherwise.",
    ),
    Misconception(
        name="rank-without-exp",
        exercise="report",
        edits={RANK: '"effective_rank": entropy(singular / singular.sum()).item(),'},
        rejected_by="report-test-2",
        says="this is the entropy; take its exponential",
        note="The exponential of an entropy counts: r equal shares give r.",
    ),
    Misconception(
        name="squared-singular-values",
        exercise="report",
        edits={SINGULAR: "singular = torch.linalg.svdvals(unit).square()"},
        rejected_by="report-test-2",
        says="the squares of the singular values",
        note="Shares of variance give another effective rank. With equal singular values both agree.",
    ),
    Misconception(
        name="centered-features",
        exercise="report",
        edits={SINGULAR: "singular = torch.linalg.svdvals(unit - unit.mean(0))"},
        rejected_by="report-test-2",
        says="the features were centered first",
        note="Centered, features that all point the same way have no singular values left to divide by.",
    ),
    # ---- exercise 6: the diagnosis
    Misconception(
        name="only-sample-entropy",
        exercise="diagnose",
        edits={
            HEALTHY: 'if 0.1 * math.log(k) < report["sample_entropy"] < 0.9 * math.log(k):\n        return "healthy"\n'
        },
        rejected_by="diagnose-test-1",
        says="the sample entropy alone was asked",
        note="A teacher that is sure about every image may be sure of a different output for each.",
    ),
    Misconception(
        name="only-batch-entropy",
        exercise="diagnose",
        edits={
            HEALTHY: 'if 0.1 * math.log(k) < report["batch_entropy"] < 0.9 * math.log(k):\n        return "healthy"\n',
            WHICH: 'return "uniform" if report["batch_entropy"] > 0.5 * math.log(k) else "one_dimension"',
        },
        rejected_by="diagnose-test-1",
        says="the batch entropy alone was asked",
        note="log K is the batch entropy of the worst case and of the best.",
    ),
    Misconception(
        name="not-collapsed-is-healthy",
        exercise="diagnose",
        edits={HEALTHY: 'if report["mutual_information"] > 0.01:\n        return "healthy"\n'},
        rejected_by="diagnose-test-1",
        says="not collapsed does not mean learning",
        note="Noise alone gives a mutual information above 0.",
    ),
    Misconception(
        name="limits-in-nats",
        exercise="diagnose",
        edits={"0.1 * math.log(k)": "0.416", "0.5 * math.log(k)": "2.08"},
        rejected_by="diagnose-test-1",
        says="the limits are fixed numbers",
        note="With 4 outputs nobody reaches 2.08 nats; with 65,536 a tenth is 1.1.",
    ),
    Misconception(
        name="share-of-batch-entropy",
        exercise="diagnose",
        edits={">= 0.1 * math.log(k)": '>= 0.1 * report["batch_entropy"]'},
        rejected_by="diagnose-test-1",
        says="compared with the batch entropy",
        note="When nearly all images get the same output, a tenth of next to nothing is next to nothing.",
    ),
    Misconception(
        name="above-the-limit",
        exercise="diagnose",
        edits={
            ">= 0.1 * math.log(k)": "> 0.1 * math.log(k)",
        },
        rejected_by="diagnose-test-1",
        says="the limit itself is healthy",
        note='"At least" is >=, "above" is >.',
    ),
    Misconception(
        name="at-least-half-is-uniform",
        exercise="diagnose",
        edits={
            "> 0.5 * math.log(k)": ">= 0.5 * math.log(k)",
        },
        rejected_by="diagnose-test-1",
        says="the limit itself is not uniform",
        note='"Above" is >, "at least" is >=.',
    ),
    Misconception(
        name="mutual-information-taken-out",
        exercise="diagnose",
        edits={
            'report["mutual_information"] >=': 'report.pop("mutual_information") >=',
        },
        rejected_by="diagnose-test-1",
        says="the report after the call",
        note="pop() takes the number out of the caller's dict.",
    ),
    # ---- exercise 7: iBOT
    Misconception(
        name="mask-turned-round",
        exercise="ibot",
        edits={VIEWS: "return torch.where(mask.bool()[..., None], tokens, mask_token), tokens"},
        rejected_by="ibot-test-1",
        says="the other patches were hidden",
        note="1 means hidden, as in week 5.",
    ),
    Misconception(
        name="zeros-for-a-token",
        exercise="ibot",
        edits={VIEWS: "return tokens * ~mask.bool()[..., None], tokens"},
        rejected_by="ibot-test-1",
        says="the hidden tokens became 0",
        note="A learned token says 'hidden'; 0 is a patch like any other.",
    ),
    Misconception(
        name="teacher-masked-too",
        exercise="ibot",
        edits={VIEWS: "student = torch.where(mask.bool()[..., None], mask_token, tokens)\n    return student, student"},
        rejected_by="ibot-test-1",
        says="the teacher must see the patches",
        note="A teacher that cannot see the patch teaches its prejudice about it.",
    ),
    Misconception(
        name="written-into-the-tokens",
        exercise="ibot",
        edits={VIEWS: "student = tokens\n    student[mask.bool()] = mask_token\n    return student, tokens"},
        rejected_by="ibot-test-1",
        says="the mask was written into the tokens themselves",
        note="student = tokens gives the tensor a second name. What is written through one name is seen through the other.",
    ),
    Misconception(
        name="hidden-patches-alike",
        exercise="ibot",
        edits={PATCH_MEAN: "return (cost * hidden).sum() / hidden.sum()"},
        rejected_by="ibot-test-2",
        says="take the mean of each image first",
        note="An image with many hidden patches would count more than one with few.",
    ),
    Misconception(
        name="all-patches",
        exercise="ibot",
        edits={PATCH_MEAN: "return cost.mean()"},
        rejected_by="ibot-test-2",
        says="all patches were counted",
        note="Patches that the student can see are easily copied. They would drown the lesson.",
    ),
    Misconception(
        name="divided-by-all-patches",
        exercise="ibot",
        edits={PATCH_MEAN: "return (cost * hidden).mean()"},
        rejected_by="ibot-test-2",
        says="divided by all patches",
        note="The loss would shrink with the masking ratio.",
    ),
    Misconception(
        name="empty-images-count",
        exercise="ibot",
        edits={PATCH_MEAN: "return ((cost * hidden).sum(-1) / count.clamp(min=1)).mean()"},
        rejected_by="ibot-test-2",
        says="an image without hidden patches counts as 0",
        note="clamp(min=1) avoids the division by 0, and counts images that teach nothing as perfect.",
    ),
    Misconception(
        name="divides-by-nothing",
        exercise="ibot",
        edits={PATCH_MEAN: "return ((cost * hidden).sum(-1) / count).mean()"},
        rejected_by="ibot-test-2",
        says="an image without hidden patches was divided by 0",
        note="0 / 0 is not-a-number, and one of them spoils the mean.",
    ),
    Misconception(
        name="patch-temperatures-swapped",
        exercise="ibot",
        edits={
            "(teacher_patches - center) / t_t": "(teacher_patches - center) / t_s",
            "student_patches / t_s, dim": "student_patches / t_t, dim",
        },
        rejected_by="ibot-test-2",
        says="the temperatures changed places",
        note="The teacher is the sharper one, for patches as for images.",
    ),
    Misconception(
        name="patch-center-forgotten",
        exercise="ibot",
        edits={"(teacher_patches - center) / t_t": "teacher_patches / t_t"},
        rejected_by="ibot-test-2",
        says="the center was not used",
        note="Patches collapse as images do.",
    ),
    Misconception(
        name="small-number-in-the-mask",
        exercise="ibot",
        edits={HIDDEN: "hidden = mask.to(student_patches.dtype) + 1e-6"},
        rejected_by="ibot-test-2",
        says="counts as if all were hidden",
        note="A small number against the division by 0 gives every patch a say, and hides that nothing is hidden.",
    ),
    Misconception(
        name="patch-teacher-gets-gradients",
        exercise="ibot",
        edits={"t_t).softmax(-1).detach()": "t_t).softmax(-1)"},
        rejected_by="ibot-test-3",
        says="the teacher's probabilities are still in the graph",
        note="The stop-gradient is needed for patches as well.",
    ),
    Misconception(
        name="softmax-over-the-patches",
        exercise="ibot",
        edits={
            PATCH_TARGET: "target = ((teacher_patches - center) / t_t).softmax(1).detach()",
            PATCH_COST: "cost = -(target * F.log_softmax(student_patches / t_s, dim=1)).sum(-1)",
        },
        rejected_by="ibot-test-2",
        says="the softmax ran over the patches",
        note="dim=1 of (B, N, K) are the patches: they would compete for each output.",
    ),
    Misconception(
        name="logarithm-of-a-patch-softmax",
        exercise="ibot",
        edits={PATCH_COST: "cost = -(target * (student_patches / t_s).softmax(-1).log()).sum(-1)"},
        rejected_by="ibot-test-3",
        says="use log_softmax",
        note="A probability that rounds to 0 has no logarithm.",
    ),
    Misconception(
        name="token-not-learned",
        exercise="ibot",
        edits={
            VIEWS: "return torch.where(mask.bool()[..., None], mask_token.detach(), tokens), tokens",
        },
        rejected_by="ibot-test-3",
        says="a gradient reaches the mask token",
        note="The mask token is a parameter: detached it stays what it was at the start.",
    ),
    Misconception(
        name="patch-center-in-place",
        exercise="ibot",
        edits={
            PATCH_TARGET: "target = (teacher_patches.detach().sub_(center) / t_t).softmax(-1).detach()",
        },
        rejected_by="ibot-test-3",
        says="the teacher's logits after the call",
        note="detach() shares memory: sub_ writes into the teacher's logits, which the center's update reads next.",
    ),
    # ---- ignored sentences, state that stays, boundaries
    Misconception(
        name="local-range-unchecked-without-local-crops",
        exercise="crops",
        edits={RANGES: "for low, high in (scale_global, scale_local)[: 1 + (n_local > 0)]:"},
        rejected_by="crops-test-2",
        says="the local range (0.5, 0.4) was accepted",
        note="A wrong argument is wrong even where it is not used yet.",
    ),
    Misconception(
        name="seeds-the-global-state",
        exercise="crops",
        edits={
            RANGES: "torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))\n    " + RANGES,
            AREA: AREA.replace("generator=generator", "generator=None"),
            CENTER: CENTER.replace("generator=generator", "generator=None"),
        },
        rejected_by="crops-test-2",
        says="torch's own random state is as it was",
        note="The crops can be repeated, but everything else that draws random numbers now depends on them.",
    ),
    Misconception(
        name="never-the-last-place",
        exercise="crops",
        edits={
            CENTER: CENTER.replace(
                "torch.rand(batch, 2, generator=generator)", "0.7 * torch.rand(batch, 2, generator=generator)"
            )
        },
        rejected_by="crops-test-2",
        says="edge",
        note="The last places must be as likely as the first.",
    ),
    Misconception(
        name="exponentials-of-the-teacher",
        exercise="loss",
        edits={
            TARGETS: "shares = [((logits - center) / t_teacher).exp() for logits in teacher]\n    targets = [(share / share.sum(-1, keepdim=True)).detach() for share in shares]"
        },
        rejected_by="loss-test-3",
        says="the exponential of a teacher's logit is infinite",
        note="At a temperature of 0.04 a logit of 4 is the exponent 100, more than float32 holds.",
    ),
    Misconception(
        name="at-most-ten-views",
        exercise="loss",
        edits={ANSWERS: ANSWERS.replace("in student]", "in student[:10]]")},
        rejected_by="loss-test-3",
        says="V=12",
        note="The number of views is a parameter of the recipe, not of the loss.",
    ),
    Misconception(
        name="clears-the-gradients-of-the-student",
        exercise="teacher",
        edits={COPY: "student.zero_grad()\n    " + COPY},
        rejected_by="teacher-test-1",
        says="which of the student's parameters have the gradient",
        note="Whoever makes a teacher between backward() and step() loses the step.",
    ),
    Misconception(
        name="buffers-of-the-state-dict",
        exercise="teacher",
        edits={
            BUFFERS: "    names = dict(student.named_parameters())\n    for name, theirs in student.state_dict().items():\n        if name not in names:\n            teacher.state_dict()[name].copy_(theirs)"
        },
        rejected_by="teacher-test-3",
        says="a buffer of the teacher that stands in no state dict",
        note="register_buffer(persistent=False) keeps a buffer out of the state dict; buffers() gives all.",
    ),
    Misconception(
        name="teacher-set-to-eval",
        exercise="teacher",
        edits={BUFFERS: BUFFERS + "\n    teacher.eval()"},
        rejected_by="teacher-test-3",
        says="train modes of the teacher",
        note="An update moves numbers; who sets the mode decides about the mode.",
    ),
    Misconception(
        name="new-memory-for-the-center",
        exercise="teacher",
        edits={CENTERED: "center.data = center.data.lerp(torch.cat(list(teacher_logits)).mean(0), 1 - momentum)"},
        rejected_by="teacher-test-3",
        says="the center got new memory",
        note="A center that is a view of something larger would be cut off from it.",
    ),
    Misconception(
        name="length-is-a-constant",
        exercise="head",
        edits={ROWS: "return self.directions / self.directions.norm(dim=-1, keepdim=True).detach()"},
        rejected_by="head-test-2",
        says="the length was taken for a constant",
        note="Then each step also stretches the rows, and their effective learning rate shrinks.",
    ),
    Misconception(
        name="prototypes-kept-in-eval-mode",
        exercise="head",
        edits={
            ROWS: "if self.training or not hasattr(self, 'kept'):\n            self.kept = F.normalize(self.directions, dim=-1)\n        return self.kept"
        },
        rejected_by="head-test-2",
        says="the prototypes of an earlier call were kept",
        note="The teacher moves in every step, in whatever mode it is.",
    ),
    Misconception(
        name="rows-begin-alike",
        exercise="head",
        edits={DIRECTIONS: DIRECTIONS.replace("torch.randn", "torch.ones")},
        rejected_by="head-test-2",
        says="all rows began alike",
        note="Outputs that begin alike get the same gradient, and stay alike for ever.",
    ),
    Misconception(
        name="length-of-at-least-a-tenth",
        exercise="head",
        edits={EMBED: "return F.normalize(self.mlp(x), dim=-1, eps=0.1)"},
        rejected_by="head-test-2",
        says="the lengths of the embeddings",
        note="Short vectors stay short: their logits are no cosines.",
    ),
    Misconception(
        name="clamps-in-place",
        exercise="report",
        edits={TWO: "probs.clamp_(min=1e-7)\n    " + TWO},
        rejected_by="report-test-2",
        says="the probabilities after the call",
        note="The probabilities belong to the caller, who may still need their zeros.",
    ),
    Misconception(
        name="asks-for-a-rank-of-two",
        exercise="diagnose",
        edits={HEALTHY: HEALTHY.replace("math.log(k):", "math.log(k) and report['effective_rank'] > 2:")},
        rejected_by="diagnose-test-1",
        says="the diagnoses (0, 1, 2 for",
        note="The table asks about the mutual information alone.",
    ),
    Misconception(
        name="tidies-the-report",
        exercise="diagnose",
        edits={HEALTHY: "report['mutual_information'] = max(0.0, report['mutual_information'])\n    " + HEALTHY},
        rejected_by="diagnose-test-1",
        says="the report after the call",
        note="A diagnosis reads; the report belongs to the caller.",
    ),
    Misconception(
        name="exponentials-of-the-patch-teacher",
        exercise="ibot",
        edits={
            PATCH_TARGET: "share = ((teacher_patches - center) / t_t).exp()\n    target = (share / share.sum(-1, keepdim=True)).detach()"
        },
        rejected_by="ibot-test-3",
        says="the exponential of a teacher's logit is infinite",
        note="softmax takes the largest logit away first; the bare exponential does not.",
    ),
]
