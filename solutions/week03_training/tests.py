# %% given="decay-by-name" after="groups-hints"
# what both tests of the exercise use
def decay_by_name(fn: Callable, model: nn.Module, *rest: object) -> dict:
    """Name of each parameter -> the weight decays of all groups that it is in."""
    names = {id(p): name for name, p in model.named_parameters()}
    found: dict = {name: [] for name in names.values()}
    for group in fn(model, *rest):
        for p in group["params"]:
            found.setdefault(names.get(id(p), "what is no parameter of the model"), []).append(
                float(group["weight_decay"])
            )
    return found


# %% test="groups" points=5
class Sample(nn.Module):
    """A model with one of each: a matrix, a bias, a norm, a class token, positions."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.linear = nn.Linear(4, 3)
        self.norm = nn.LayerNorm(3)


with checks.step("parameter_groups(model, 0.05)"):
    found = checks.beside(decay_by_name, parameter_groups, Sample(), 0.05)
    twice = "it is in more than one group"
    checks.equal(found["linear.weight"], [0.05], "the weight decay of linear.weight", causes={
        "a matrix is the one thing that decays": [0.0],
        "it is in no group, so no optimizer will train it": [],
        twice: lambda: len(found["linear.weight"]) > 1,
    })  # fmt: skip
    for name, why in (
        ("linear.bias", "a bias does not decay"),
        ("norm.weight", "the scale of a norm does not decay: it has one dimension"),
        ("norm.bias", "the shift of a norm does not decay"),
        ("cls_token", "the class token is named in no_decay"),
        ("pos_embed", "positions are named in no_decay"),
    ):
        checks.equal(found[name], [0.0], f"the weight decay of {name}", causes={
            why: [0.05],
            f"{name} is in no group, so no optimizer will train it": [],
            twice: lambda: len(found[name]) > 1,
        })  # fmt: skip
    checks.that(len(found) == 6, "only parameters of the model are in the groups", came=f"{list(found)}")


def kinds_of_params(fn: Callable, model: nn.Module) -> list[str]:
    """The type of "params" in each group."""
    return [type(group["params"]).__name__ for group in fn(model, 0.05)]


with checks.step("the parameters of each group"):
    kinds = checks.beside(kinds_of_params, parameter_groups, Sample())
    checks.that(set(kinds) == {"list"}, 'each "params" is a list', came=", ".join(kinds))


def after_a_step(fn: Callable, model: nn.Module, weight_decay: float) -> dict:
    """Name of each parameter -> its numbers after one step of plain gradient descent at rate 0.5, gradients all 1."""
    optimizer = torch.optim.SGD(fn(model, weight_decay), lr=0.5)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return {name: p.detach() for name, p in model.named_parameters()}


with checks.step("one step of an optimizer, weight decay 0.2, from numbers that are new in every run"):
    filled = Sample()
    randn = checks.normal(checks.fresh_seed())
    with torch.no_grad():
        for p in filled.parameters():
            p.copy_(randn(*p.shape))
    start = {name: p.detach().clone() for name, p in filled.named_parameters()}
    moved = checks.beside(after_a_step, parameter_groups, copy.deepcopy(filled), 0.2)
    checks.equal(sorted(moved), sorted(start), "the names of the parameters")
    for name, old in start.items():
        pull = 0.2 * old if name == "linear.weight" else 0.0
        checks.close(moved[name], old - 0.5 * (1.0 + pull), f"{name} after the step")

with checks.step("linear.weight is frozen"):
    partly = Sample()
    partly.linear.weight.requires_grad_(False)
    found = checks.beside(decay_by_name, parameter_groups, partly, 0.05)
    checks.equal(found["linear.weight"], [], "the weight decay of the frozen parameter", causes={
        "a frozen parameter was not left out": lambda: len(found["linear.weight"]) > 0,
    })  # fmt: skip
    checks.equal(found["linear.bias"], [0.0], "the weight decay of linear.bias")


# %% test="groups" points=5
def timm_groups(model: nn.Module, weight_decay: float, names: tuple) -> list:
    return param_groups_weight_decay(model, weight_decay, no_weight_decay_list=names)


with checks.step("against timm's param_groups_weight_decay, on a ViT"):
    theirs = decay_by_name(timm_groups, tiny_vit(0), 0.3, ("pos_embed", "cls_token"))
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.3)
    for name, wanted in theirs.items():
        checks.equal(mine[name], wanted, f"the weight decay of {name}")


def trained_tensors(fn: Callable, model: nn.Module) -> int:
    """How many tensors an optimizer has moved after one step."""
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(fn(model, 0.1), lr=1e-3)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return sum(not torch.equal(p, old) for p, old in zip(model.parameters(), before))


with checks.step("the groups as they go into an optimizer"):
    count = len(list(tiny_vit(0).parameters()))
    checks.equal(checks.beside(trained_tensors, parameter_groups, tiny_vit(0)), count, "the number of trained tensors")


### BEGIN HIDDEN TESTS
class Wrapped(nn.Module):
    """A ViT inside another model, with names that look alike, a bias with two dimensions, and a shared matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = tiny_vit(1)
        self.pos_embed_mlp = nn.Linear(4, 4)
        self.rope = nn.Module()
        self.rope.bias = nn.Parameter(torch.zeros(3, 5))
        self.rope.relative_position_bias = nn.Parameter(torch.zeros(7, 2))
        self.layer_scale = nn.Module()
        self.layer_scale.gamma = nn.Parameter(torch.full((4,), 1e-4))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.batch_norm = nn.BatchNorm2d(3)
        self.bias_scorer, self.norm_mixer, self.embed = nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(5, 4)
        self.cls_token, self.old_pos_embed = nn.Linear(4, 4), nn.Parameter(torch.zeros(3, 4))
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight


with checks.step("a ViT inside another model, against timm with full names"):
    full = ("backbone.pos_embed", "backbone.cls_token")
    theirs = decay_by_name(timm_groups, Wrapped(), 0.05, full)
    mine = checks.beside(decay_by_name, parameter_groups, Wrapped(), 0.05)
    for name, why in (
        ("backbone.pos_embed", "only the last part of the name counts: these are the positions of a part"),
        ("backbone.cls_token", "only the last part of the name counts: this is the class token of a part"),
        ("pos_embed_mlp.weight", "pos_embed is a piece of this name, but its last part is weight"),
        ("rope.bias", "a bias with two dimensions is a bias"),
        ("layer_scale.gamma", "a scale that is no norm's has one dimension, too"),
        ("logit_scale", "a single number has no dimension at all, so at most one"),
        ("bias_scorer.weight", "bias is a piece of this name, but it does not end in it"),
        ("norm_mixer.weight", "norm is a piece of this name, but nobody asked for it: a matrix decays"),
        ("embed.weight", "a table of embeddings is a matrix: only the names in no_decay are spared"),
        ("cls_token.weight", "cls_token is the name of a part here; the last part of the name is weight"),
        ("old_pos_embed", "the name ends in pos_embed, but its last part is old_pos_embed"),
        ("first.weight", "a matrix that two layers share is in more than one group, or twice in one"),
    ):
        other = [0.0] if theirs[name] == [0.05] else [0.05]
        checks.equal(mine[name], theirs[name], f"the weight decay of {name}", causes={
            why: other if name != "first.weight" else lambda: len(mine["first.weight"]) > 1,
        })  # fmt: skip
    what = "rope.relative_position_bias"  # timm asks for ".bias" and lets it decay
    checks.equal(mine[what], [0.0], f"the weight decay of {what}", causes={
        "its name ends in bias; the last part need not be bias": [0.05],
    })  # fmt: skip
    differ = [name for name in theirs if mine[name] != theirs[name] and name != what]
    checks.that(not differ, "every other parameter decays as timm says", came=f"other decays for {differ}")

with checks.step("another list of names"):
    theirs = decay_by_name(timm_groups, tiny_vit(0), 0.05, ("cls_token",))
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ("cls_token",))
    checks.equal(mine["pos_embed"], theirs["pos_embed"], "the weight decay of pos_embed, which is not in the list", causes={
        "the names are built in; `no_decay` was not read": lambda: (
            checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ("weight",))["head.weight"] == [0.05]
        ),
    })  # fmt: skip

with checks.step("a list of names that names no parameter"):
    mine = checks.beside(decay_by_name, parameter_groups, tiny_vit(0), 0.05, ())
    checks.equal([mine["pos_embed"], mine["cls_token"]], [[0.05], [0.05]], "the weight decays of positions and token")


def grouped(fn: Callable, model: nn.Module) -> dict:
    """What the call leaves of a model: numbers, gradients, modes, flags; and how many groups it gives."""
    return unchanged.asked(lambda asked: len(fn(asked, 0.05)), model)


with checks.step("the model after the call"):
    checks.as_found(checks.beside(grouped, parameter_groups, tiny_vit(0)))

with checks.step("a backbone that is frozen"):
    frozen = tiny_vit(0).requires_grad_(False)
    frozen.head.requires_grad_(True)
    found = checks.beside(decay_by_name, parameter_groups, frozen, 0.05)
    came = sorted(name for name, decays in found.items() if decays)
    checks.equal(came, ["head.bias", "head.weight"], "the parameters in the groups")


def with_old_gradients(fn: Callable, model: nn.Module) -> dict:
    """As `decay_by_name`, for a model that was frozen after a backward pass, so its gradients are still there."""
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    return decay_by_name(fn, model.requires_grad_(False), 0.05)


with checks.step("a model that was frozen after a backward pass"):
    found = checks.beside(with_old_gradients, parameter_groups, tiny_vit(0))
    came = sorted(name for name, decays in found.items() if decays)
    checks.equal(came, [], "the parameters in the groups", causes={
        "a gradient that was left over does not make a frozen parameter learn": lambda: len(came) > 0,
    })  # fmt: skip
### END HIDDEN TESTS

# %% test="schedule" points=8
with checks.step("10 steps, 4 of them warm-up, base 0.8, by hand"):
    rates = [warmup_cosine(step, 10, 4, 0.8) for step in range(11)]
    checks.that(isinstance(rates[0], float), "the result is a float", came=type(rates[0]).__name__)
    rates = torch.tensor([float(rate) for rate in rates], dtype=torch.float64)
    checks.close(rates[:4], torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64), "the warm-up", causes={
        "step 0 has the rate 0 and is lost: count this step, (s + 1) / w": torch.tensor(
            [0.0, 0.2, 0.4, 0.6], dtype=torch.float64
        ),
    })  # fmt: skip
    from_zero = torch.tensor([0.4 * (1 + math.cos(math.pi * s / 10)) for s in (4, 7, 10)], dtype=torch.float64)
    checks.close(
        rates[[4, 7, 10]], torch.tensor([0.8, 0.4, 0.0], dtype=torch.float64), "steps 4, 7 and 10", causes={
            "the cosine is measured from step 0; it starts at the end of the warm-up": from_zero,
        },
    )  # fmt: skip

with checks.step("the same with min_lr = 0.2"):
    rates = torch.tensor([float(warmup_cosine(s, 10, 4, 0.8, 0.2)) for s in (3, 7, 10)], dtype=torch.float64)
    checks.close(rates, torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64), "steps 3, 7 and 10", causes={
        "min_lr is a floor under the cosine, not its end: (base - min) was not scaled": torch.tensor(
            [0.8, 0.4, 0.2], dtype=torch.float64
        ),
        "min_lr was added on top of the whole cosine": torch.tensor([0.8, 0.6, 0.2], dtype=torch.float64),
    })  # fmt: skip

with checks.step("what does not fit"):
    checks.raises(ValueError, warmup_cosine, 0, 10, 12, 0.1, name="12 warm-up steps of 10")
    checks.raises(ValueError, warmup_cosine, -1, 10, 2, 0.1, name="step -1")


### BEGIN HIDDEN TESTS
def torch_schedule(total: int, warmup: int, base: float, low: float) -> torch.Tensor:
    """The rates of steps 0 ... total, from torch's own schedulers."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=low)
    if warmup > 1:  # with one step of warm-up, and with none, the first rate is the base rate
        line = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, scheduler], milestones=[warmup])
    rates = []
    for _ in range(total + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)


for total, warmup, base, low in (
    (12, 5, 1.0, 0.0),
    (9, 2, 3e-4, 1e-5),
    (7, 0, 0.5, 0.1),
    (30, 29, 1.0, 0.0),
    (12, 8, 0.1, 0.04),
):
    with checks.step(f"against torch's schedulers, {total} steps, warm-up {warmup}, {base} to {low}"):
        came = torch.tensor([float(warmup_cosine(s, total, warmup, base, low)) for s in range(total + 1)]).double()
        wanted = torch_schedule(total, warmup, base, low)
        straight = torch.cat([wanted[:warmup], torch.linspace(base, low, total - warmup + 1).double()])
        checks.close(came, wanted, "the rates", rtol=1e-5, atol=1e-9, causes={
            "the rate falls along a straight line, not along a cosine": straight,
        })  # fmt: skip

with checks.step("after the last step"):
    rates = [round(float(warmup_cosine(s, 10, 2, 0.8, 0.1)), 6) for s in (10, 11, 14, 18, 100)]
    checks.that(
        max(abs(rate - 0.1) for rate in rates) < 1e-9,
        "the rate stays at min_lr",
        came=f"{rates} at steps 10, 11, 14, 18 and 100",
        causes={
            "the cosine rises again: the progress must stop at 1": lambda: all(
                abs(rate - 0.1 - 0.35 * (1 + math.cos(math.pi * (step - 2) / 8))) < 1e-5
                for rate, step in zip(rates, (10, 11, 14, 18, 100), strict=True)
            )
        },
    )

with checks.step("in the warm-up, along the cosine, and after it, from the defaults"):
    rates = [warmup_cosine(s, 10, 4, 0.8) for s in (0, 5, 10, 14)]
    kinds = [type(rate).__name__ for rate in rates]
    checks.that(all(isinstance(rate, float) for rate in rates), "each rate is a float", came=", ".join(kinds))

with checks.step("the rate never rises after the warm-up"):
    rates = [float(warmup_cosine(s, 50, 10, 1.0, 0.02)) for s in range(9, 60)]
    checks.that(rates == sorted(rates, reverse=True), "each rate is at most the one before", came=f"{rates}")

with checks.step("as many warm-up steps as steps"):
    checks.raises(ValueError, warmup_cosine, 3, 10, 10, 0.1, name="10 warm-up steps of 10")
    checks.raises(ValueError, warmup_cosine, 20, 10, 12, 0.1, name="12 warm-up steps of 10, asked for step 20")

with checks.step("a negative number of warm-up steps"):
    checks.raises(ValueError, warmup_cosine, 3, 10, -1, 0.1, name="warmup=-1")
### END HIDDEN TESTS


# %% test="clip" points=6 forbids="torch.nn.utils.clip_grad_norm_, torch.nn.utils.get_total_norm, torch.nn.utils.clip_grads_with_norm_"
def clipped(fn: Callable, gradients: list, max_norm: float, lazy: bool = False) -> tuple:
    """The result of `fn`, the gradients after it, and whether the weights are as before; None: no gradient."""
    params = [nn.Parameter(torch.ones(3) if g is None else torch.ones_like(g)) for g in gradients]
    for p, g in zip(params, gradients):
        p.grad = None if g is None else g.clone()
    result = fn((p for p in params) if lazy else params, max_norm)
    return result, [p.grad for p in params], all(bool((p == 1).all()) for p in params)


with checks.step("gradients (1, 2, 2) and (4), max_norm = 1, by hand"):
    # the lengths are 3 and 4, so all together sqrt(9 + 16) = 5
    given = [torch.tensor([1.0, 2.0, 2.0]), torch.tensor([4.0])]
    norm, after, same_weights = checks.beside(clipped, clip_gradients, given, 1.0)
    checks.that(isinstance(norm, float), "the result is a float", came=type(norm).__name__)
    checks.close(torch.cat(after), torch.tensor([0.2, 0.4, 0.4, 0.8]), "the gradients", causes={
        "each parameter was clipped alone; the norm is that of all together": torch.tensor([1 / 3, 2 / 3, 2 / 3, 1.0]),
        "each number was clipped alone": torch.ones(4),
        "the norms were added; squares are added": torch.tensor([1.0, 2, 2, 4]) / 7,
        "nothing was scaled: change the gradients in place, and make a list of what you walk over twice": (
            torch.tensor([1.0, 2, 2, 4])
        ),
        "they were divided by the norm squared: the root is missing": torch.tensor([1.0, 2, 2, 4]) / 25,
    })  # fmt: skip
    checks.close(torch.tensor(norm), torch.tensor(5.0), "the result", causes={
        "this is the norm after clipping; return the one before": torch.tensor(1.0),
        "the norms were added; squares are added": torch.tensor(7.0),
        "the square root is missing": torch.tensor(25.0),
    })  # fmt: skip
    checks.that(same_weights, "the weights themselves are not touched", came="changed weights")

with checks.step("the same gradients, max_norm = 10"):
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 10.0)
    checks.close(torch.cat(after), torch.tensor([1.0, 2, 2, 4]), "the gradients", causes={
        "a gradient below the limit was made longer": torch.tensor([2.0, 4, 4, 8]),
    })  # fmt: skip

with checks.step("the same gradients, max_norm = 4, a little less than their norm"):
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 4.0)
    checks.close(torch.cat(after), torch.tensor([0.8, 1.6, 1.6, 3.2]), "the gradients", causes={
        "the gradients are as they were, though their norm is above the limit": torch.tensor([1.0, 2, 2, 4]),
    })  # fmt: skip

with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, clipped, clip_gradients, given, 1.0)

with checks.step("a limit of 0"):
    checks.raises(ValueError, clip_gradients, [], 0.0, name="max_norm=0")

### BEGIN HIDDEN TESTS
for seed, scale, limit in ((0, 1.0, 1.0), (1, 0.01, 1.0), (2, 100.0, 2.5), (3, 1.0, 4.0)):
    randn, wide = checks.normal(seed), checks.normal(seed + 10, dtype=torch.float64)
    given = [scale * randn(4, 3), None, scale * randn(7), scale * randn(2, 2, 2), scale * wide(3, 2)]
    with checks.step(f"against torch's clip_grad_norm_, gradients of size {scale}, max_norm={limit}"):
        norm, after, _ = checks.beside(clipped, clip_gradients, given, limit)
        wanted_norm, wanted, _ = clipped(nn.utils.clip_grad_norm_, given, limit)
        checks.close(torch.tensor(norm), wanted_norm.detach().float(), "the result")
        for mine, theirs in zip(after, wanted, strict=True):
            if theirs is not None:
                checks.close(mine, theirs, "a gradient", causes={
                    "each parameter was clipped alone; the norm is that of all together": lambda: checks.near(
                        mine.norm(), torch.tensor(limit)
                    ),
                })  # fmt: skip
        checks.that(after[1] is None, "a parameter without gradient stays without", came="a gradient")

with checks.step("model.parameters(), which can be walked over once"):
    given = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    _, after, _ = checks.beside(clipped, clip_gradients, given, 1.0, True)
    checks.close(torch.cat(after), torch.tensor([0.6, 0.0, 0.8]), "the gradients", causes={
        "the generator was empty in the second loop; make a list first": torch.tensor([3.0, 0.0, 4.0]),
    })  # fmt: skip

with checks.step("no gradient at all"):
    norm, _, _ = checks.beside(clipped, clip_gradients, [None, None], 1.0)
    checks.that(norm == 0.0, "the norm is 0", came=f"{norm}")

with checks.step("gradients that are all 0"):
    norm, after, _ = checks.beside(clipped, clip_gradients, [torch.zeros(2)], 1.0)
    checks.equal(after[0], torch.zeros(2), "the gradients")

with checks.step("gradients in any shape, long and short, far below a limit of 1000"):
    randn = checks.normal(seed=6)
    given = [randn(30), randn(1)[0], randn(2, 3, 4)]
    norm, after, _ = checks.beside(clipped, clip_gradients, given, 1000.0)
    for mine, old in checks.each(given, after):
        checks.equal(old, mine, "a gradient, which is to stay as it is")
    checks.close(torch.tensor(norm), torch.cat([g.flatten() for g in given]).norm(), "the result")


with checks.step("one number that is far larger than the others"):
    given = [torch.tensor([0.0, 0.0, 0.0, 0.0, 100.0]), torch.tensor([1.0, -1.0])]
    _, after, _ = checks.beside(clipped, clip_gradients, given, 1.0)
    wanted = torch.cat(given) / math.sqrt(10_002)
    checks.close(torch.cat(after), wanted, "the gradients", rtol=1e-5, atol=0.0)


def of_a_frozen_one(fn: Callable) -> tuple[float, list]:
    """The result and the gradients (3) and (4) after it, where the second parameter was frozen after its backward."""
    params = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(()))]
    params[0].grad, params[1].grad = torch.tensor([3.0]), torch.tensor(4.0)
    params[1].requires_grad_(False)
    return fn(params, 1.0), [p.grad.reshape(1) for p in params]


with checks.step("gradients (3) and 4, the second one of a single number that was frozen since"):
    norm, after = checks.beside(of_a_frozen_one, clip_gradients)
    checks.close(torch.tensor(norm), torch.tensor(5.0), "the result", causes={
        "a gradient that is there counts, whatever its parameter's requires_grad or shape": torch.tensor(3.0),
    })  # fmt: skip
    checks.close(torch.cat(after), torch.tensor([0.6, 0.8]), "the gradients")


def after_an_error(fn: Callable, max_norm: float) -> torch.Tensor:
    """The gradient after a call with a limit that is not positive."""
    param = nn.Parameter(torch.zeros(2))
    param.grad = torch.tensor([3.0, 4.0])
    try:
        fn([param], max_norm)
    except ValueError:
        return param.grad
    return torch.zeros(0)


with checks.step("a limit that is not positive"):
    checks.raises(ValueError, clip_gradients, [], -1.0, name="max_norm=-1")
    for limit in (0.0, -1.0):
        came = checks.beside(after_an_error, clip_gradients, limit)
        checks.equal(came, torch.tensor([3.0, 4.0]), f"the gradient after the error for max_norm={limit:g}")
### END HIDDEN TESTS


# %% given="draws" after="mix-hints"
# what several tests of the exercise use
def draws(fn: Callable, x: torch.Tensor, y: torch.Tensor, classes: int, alpha: float, seed: int, count: int) -> tuple:
    """Images (count, B, C, h, w) and labels (count, B, K) of many calls with one generator, and x after them."""
    generator = torch.Generator().manual_seed(seed)
    x = x.clone()
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results]), x


def seeded_draws(
    fn: Callable,
    x: torch.Tensor,
    y: torch.Tensor,
    classes: int,
    alpha: float,
    seed: int,
    count: int,
    elsewhere: int = 0,
) -> tuple:
    """Images and labels of many calls with one generator; `elsewhere` seeds the global random state."""
    torch.manual_seed(elsewhere)
    generator = torch.Generator().manual_seed(seed)
    results = [fn(x, y, classes, alpha, generator) for _ in range(count)]
    return torch.stack([images for images, _ in results]), torch.stack([labels for _, labels in results])


# %% test="mix" points=4
# image k is constant and has the value of its class, so each mixture says what it was made of
values = torch.tensor([1.0, 10.0, 100.0, 1000.0])
x = values[:, None, None, None].expand(4, 2, 3, 5).clone()
y = torch.arange(4)

with checks.step("mixup of four constant images with the values 1, 10, 100, 1000"):
    images, soft, x_after = checks.beside(draws, mixup, x, y, 4, 1.0, 0, 20)
    checks.shape(images, (20, 4, 2, 3, 5), "20 draws of images")
    checks.shape(soft, (20, 4, 4), "20 draws of soft labels")
    checks.dtype(soft, torch.float32, "the soft labels")
    checks.close(soft.sum(-1), torch.ones(20, 4), "the sum of each soft label")
    shown = images.mean((2, 3, 4))
    checks.that(
        bool((soft.amax(-1) < 0.999).any()),
        "labels are mixed",
        came="labels of one class each",
        causes={"the images are mixed, but their labels are not": lambda: not checks.near(shown[0], values)},
    )
    told = soft @ values  # the value that the label tells
    own = soft[:, torch.arange(4), y]
    part = (own > 0.01) & (own < 0.95)  # images with a real share of another
    implied = (shown - own * values) / (1 - own).clamp(min=1e-6)  # the partner's value, going by the images
    checks.close(shown, told, "the value of each image, against the one its label tells", causes={
        "the shares of image and partner changed places in one of the two": lambda: checks.near(
            (shown + told)[part], ((soft > 1e-6).float() @ values)[part], rtol=1e-3
        ),
        "images and labels were mixed with different partners": lambda: bool(
            ((implied[part][:, None] / values - 1).abs().amin(1) < 0.01).all()
        ),
    })  # fmt: skip
    checks.equal(x_after, x, "the images after the call (an argument must not be changed in place)")

with checks.step("one lambda for the whole batch"):
    mixed_with_another = own < 0.999
    spread = [
        (row[chosen].max() - row[chosen].min()).item() for row, chosen in zip(own, mixed_with_another) if chosen.any()
    ]
    checks.that(
        max(spread) < 1e-5, "all images of a batch have the same share", came=f"shares that differ by {max(spread):.3f}"
    )

with checks.step("twelve images and a generator that are new in every run"):
    seed = checks.fresh_seed()
    new = checks.normal(seed)(12, 2, 3, 7)
    blended, told_by = mixup(new, torch.arange(12), 12, 5.0, torch.Generator().manual_seed(seed))
    checks.close(blended, torch.einsum("bk,kchw->bchw", told_by, new), "the images, against what their labels tell")
    checks.that(told_by.diagonal().min().item() < 0.999, "labels are mixed", came="labels of one class each")


def partner_of_several(labels: torch.Tensor) -> bool:
    """Whether in a batch two images have the same partner, going by soft labels (count, B, B) of B classes."""
    others = labels * (1 - torch.eye(labels.shape[-1]))
    partners = [row.argmax(-1)[row.amax(-1) > 1e-3].tolist() for row in others]
    return any(len(set(batch)) < len(batch) for batch in partners)


with checks.step("the partners"):
    checks.close(soft.sum(1), torch.ones(20, 4), "what all labels of a batch say of each class, where each stands once", causes={
        "the partners are no permutation: some images are the partner of several, some of none": lambda: (
            partner_of_several(soft)
        ),
    })  # fmt: skip

with checks.step("alpha = 0"):
    images, soft, _ = checks.beside(draws, mixup, x, y, 4, 0.0, 0, 3)
    checks.equal(images, x.expand(3, *x.shape), "the images")
    checks.equal(soft, torch.eye(4).expand(3, 4, 4), "the labels")


# %% test="mix" points=4
with checks.step("mixup with the same seed, and with another"):
    x, y = checks.normal(seed=0)(6, 1, 4, 4), torch.arange(6)
    first, same, again, other = (
        checks.beside(seeded_draws, mixup, x, y, 6, 1.0, seed, 3, elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    checks.equal(again[0], first[0], "the images of seed 0, a second time", causes={
        "a random number came from the global state, not from the generator": lambda: torch.equal(same[0], first[0]),
    })  # fmt: skip
    checks.that(not torch.equal(other[0], first[0]), "another seed gives other images", came="the same images")
    checks.that(
        not torch.equal(first[1][0], first[1][1]),
        "the generator moves on: two calls differ",
        came="the same labels twice",
    )


### BEGIN HIDDEN TESTS
def moves_the_global_state(fn: Callable, x: torch.Tensor, classes: int) -> bool:
    """Whether a call seeds or seeded_draws from torch's global random state."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fn(x, torch.arange(len(x)) % classes, classes, 1.0, torch.Generator().manual_seed(0))
    return not torch.equal(before, torch.get_rng_state())


with checks.step("torch's global random state, which others may rely on"):
    checks.that(
        not checks.beside(moves_the_global_state, mixup, torch.zeros(4, 1, 2, 2), 4),
        "it is as it was before the call",
        came="another one",
        causes={"the global state was seeded, or drawn from": True},
    )

with checks.step("float64 images with alpha = 0"):
    x = checks.normal(seed=4, dtype=torch.float64)(3, 1, 2, 2)
    images, soft = mixup(x, torch.arange(3), 3, 0.0, torch.Generator().manual_seed(0))
    checks.equal(images, x, "the images")
    checks.equal(soft, torch.eye(3, dtype=torch.float64), "the labels")

for alpha in (1.0, 0.2, 8.0):
    with checks.step(f"400 seeded_draws of lambda with alpha = {alpha}"):
        _, soft = checks.beside(seeded_draws, mixup, torch.zeros(8, 1, 1, 1), torch.arange(8), 8, alpha, 7, 400)
        share = soft[:, torch.arange(8), torch.arange(8)].amin(1).double()  # of an image that got another as a partner
        wanted = 1 / (4 * (2 * alpha + 1))  # the variance of Beta(alpha, alpha)
        checks.that(
            abs(share.mean().item() - 0.5) < 0.09,
            "the mean of Beta(alpha, alpha) is 0.5",
            came=f"a mean of {share.mean():.3f}",
            causes={"the larger of lambda and 1 - lambda was taken": lambda: share.min().item() > 0.49},
        )
        checks.that(
            0.7 * wanted < share.var().item() < 1.4 * wanted,
            "the variance is that of Beta(alpha, alpha)",
            came=f"{share.var():.4f}",
            expected=f"about {wanted:.4f}",
            causes={"lambda is drawn as with alpha = 1, uniformly": lambda: abs(share.var().item() - 1 / 12) < 0.015},
        )

with checks.step("a batch with the same class twice and more, and without the last two of five classes"):
    x, y = checks.normal(seed=1)(6, 1, 4, 4), torch.tensor([0, 0, 0, 1, 1, 2])
    _, soft = checks.beside(seeded_draws, mixup, x, y, 5, 1.0, 0, 30)
    checks.shape(soft, (30, 6, 5), "the soft labels", causes={
        "the number of classes was taken from the labels of the batch": lambda: soft.shape[-1] == 3,
    })  # fmt: skip
    checks.close(soft.sum(-1), torch.ones(30, 6), "the sum of each soft label", causes={
        "the share of a partner of the same class replaced the own one; the two must be added": lambda: (
            soft.sum(-1).min().item() < 0.99
        ),
    })  # fmt: skip

with checks.step("float64 images, against the mixture that the labels tell"):
    x, y = checks.normal(seed=2, dtype=torch.float64)(5, 3, 4, 6), torch.tensor([4, 2, 0, 1, 3])
    images, soft = checks.beside(seeded_draws, mixup, x, y, 5, 1.0, 3, 10)
    by_class = x[y.argsort()]
    checks.close(images, torch.einsum("nbk,kchw->nbchw", soft, by_class), "the images", rtol=1e-6, atol=1e-6)

with checks.step("a single call, for images and labels that come back by value"):
    x, y = checks.normal(seed=21)(7, 2, 3, 5), torch.arange(7)
    images, soft = mixup(x, y, 9, 1.0, torch.Generator().manual_seed(2))
    checks.close(images, torch.einsum("bk,kchw->bchw", soft[:, :7], x), "the images, against what their labels tell")
    checks.that(bool((soft.amax(-1) < 0.999).any()), "labels are mixed", came="labels of one class each")
### END HIDDEN TESTS


# %% test="mix" points=4
# every number stands once in the batch, so it says which image and which place it came from
x = torch.arange(4 * 2 * 16 * 12.0).reshape(4, 2, 16, 12)
y = torch.arange(4)
every = 2 * 16 * 12

with checks.step("cutmix of four images of 16 x 12 pixels, 50 draws, alpha = 1000 (so lambda is about 0.5)"):
    images, soft, x_after = checks.beside(draws, cutmix, x, y, 4, 1000.0, 0, 50)
    checks.shape(images, (50, 4, 2, 16, 12), "50 draws of images")
    checks.shape(soft, (50, 4, 4), "50 draws of soft labels")
    checks.equal(x_after, x, "the images after the call (an argument must not be changed in place)")
    checks.equal((images % every).long(), (x % every).long().expand(50, *x.shape), "the place each pixel came from", causes={
        "the box was cut out of the partner at another place than it is pasted in": lambda: bool(
            (images == images.round()).all()
        ),
    })  # fmt: skip
    source = (images // every).long()  # which image each pixel came from
    pasted = source != torch.arange(4)[:, None, None, None]
    checks.that(bool(pasted.any()), "a box of another image is pasted", came="the images as they were")
    kept = 1 - pasted.float().mean((2, 3, 4))
    own = soft[:, torch.arange(4), y]
    checks.close(own, kept, "the label's weight of the image itself, against the share of pixels it kept", causes={
        "the weight is that of the whole box, which was cut off at the border: count the pixels": lambda: (
            # a box that is cut off leaves more of the image than its whole size would (sides are rounded)
            bool((own < 0.999).any() and ((own[own < 0.999] - 0.5).abs() < 0.1).all() and (own < kept + 0.05).all())
        ),
        "the weights of image and partner changed places": lambda: checks.near(own[kept < 1], 1 - kept[kept < 1]),
    })  # fmt: skip
    counted = F.one_hot(source, 4).float().mean((2, 3, 4))  # the share of pixels from each image
    checks.close(soft, counted, "the soft labels, against the share of pixels from each image")
    others = [row.argmax(-1)[row.amax(-1) > 1e-3].tolist() for row in soft * (1 - torch.eye(4))]  # the partners
    checks.close(soft.sum(1), torch.ones(50, 4), "what all labels of a batch say of each class, where each stands once", causes={
        "the partners are no permutation: some images are the partner of several, some of none": lambda: any(
            len(set(batch)) < len(batch) for batch in others
        ),
    })  # fmt: skip

with checks.step("twelve images and a generator that are new in every run"):
    seed = checks.fresh_seed()
    new = checks.normal(seed)(12, 1, 9, 7)
    pasted_over, told_by = cutmix(new, torch.arange(12), 12, 1000.0, torch.Generator().manual_seed(seed))
    shares = (pasted_over[:, None] == new[None]).float().mean((2, 3, 4))  # of the pixels, from each image
    checks.close(told_by, shares, "the soft labels, against the share of pixels from each image")
    checks.that(shares.diagonal().min().item() < 0.999, "a box is pasted", came="the images as they were")

with checks.step("alpha = 0"):
    images, soft, _ = checks.beside(draws, cutmix, x, y, 4, 0.0, 0, 3)
    checks.equal(images, x.expand(3, *x.shape), "the images")
    checks.equal(soft, torch.eye(4).expand(3, 4, 4), "the labels")


# %% test="mix" points=4
with checks.step("cutmix with the same seed, and with another"):
    x, y = checks.normal(seed=0)(4, 1, 8, 8), torch.arange(4)
    first, same, again, other = (
        checks.beside(seeded_draws, cutmix, x, y, 4, 1.0, seed, 3, elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    checks.equal(again[0], first[0], "the images of seed 0, a second time", causes={
        "a random number came from the global state, not from the generator": lambda: torch.equal(same[0], first[0]),
    })  # fmt: skip
    checks.that(not torch.equal(other[0], first[0]), "another seed gives other images", came="the same images")
    checks.that(
        not torch.equal(first[0][0], first[0][1]) or not torch.equal(first[0][0], first[0][2]),
        "the generator moves on: calls differ",
        came="the same images three times",
    )

### BEGIN HIDDEN TESTS
with checks.step("1,200 boxes in images of 40 x 20 pixels, alpha = 1000, so sides of about 0.71"):
    # image k is constant k, so a pixel says where it came from
    x = torch.arange(3.0)[:, None, None, None].expand(3, 1, 40, 20).clone()
    images, soft = checks.beside(seeded_draws, cutmix, x, torch.arange(3), 3, 1000.0, 5, 1200)
    pasted = images[:, :, 0].round().long() != torch.arange(3)[:, None, None]
    boxes = pasted.any(1)  # (1200, 40, 20)
    same = [torch.equal(one, box) for draw, box in zip(pasted, boxes) for one in draw if one.any()]
    checks.that(all(same), "all images of a batch get the same box", came="different boxes in one batch")
    drawn = boxes.any((1, 2))
    rows, columns = boxes.any(2), boxes.any(1)
    full = rows[:, :, None] & columns[:, None, :]
    checks.that(torch.equal(full, boxes), "what is pasted is a rectangle", came="another form")
    tall, wide = rows.sum(1).max().item(), columns.sum(1).max().item()
    checks.that(
        27 <= tall <= 30 and 13 <= wide <= 16,
        "the highest box has about 28 rows, the widest about 14 columns",
        came=f"at most {tall} rows and {wide} columns",
        causes={
            "the sides are 1 - lambda of the image, so the area is its square; take the root": lambda: (
                19 <= tall <= 22 and 9 <= wide <= 12
            ),
            "both sides were computed from one side of the image": lambda: (
                abs(tall - wide) <= 1 or (wide == 20 and 27 <= tall <= 30)
            ),
        },
    )
    kept = 1 - boxes[drawn].float().mean((1, 2))
    checks.that(
        kept.max() > 0.6,
        "some boxes stick out and are cut off",
        came=f"every box covers between {1 - kept.max():.0%} and {1 - kept.min():.0%}",
        causes={
            "the box was moved inside; its center must be uniform over the image": lambda: kept.max().item() < 0.56
        },
    )
    often = boxes[drawn].float().mean(0)
    quarters = [part.mean().item() for half in often.split(20) for part in half.split(10, dim=1)]
    checks.that(
        max(quarters) - min(quarters) < 0.2,
        "each quarter of the image is pasted over equally often",
        came="top left and right, bottom left and right: " + ", ".join(f"{part:.0%}" for part in quarters),
        causes={
            "the random point became a corner of the box, not its center": lambda: (
                min(quarters[3] - quarters[1], quarters[3] - quarters[2], quarters[1] - quarters[0]) > 0.05
            ),
            "row and column of the center are not independent": lambda: (
                min(quarters[0], quarters[3]) - max(quarters[1], quarters[2]) > 0.1
            ),
        },
    )
    middles = [
        ((lines.int().argmax(1) + lines.shape[1] - 1 - lines.flip(1).int().argmax(1)) / 2).mean().item()
        for lines in (rows[drawn], columns[drawn])
    ]
    checks.that(
        abs(middles[0] - 19.5) < 2 and abs(middles[1] - 9.5) < 1,
        "the random pixel is the center of the box, so the boxes lie around the middle of the image",
        came=f"middles at row {middles[0]:.1f} and column {middles[1]:.1f} on average",
        expected="row 19.5 and column 9.5",
    )
    checks.that(
        often.min().item() > 0.03,
        "every pixel is pasted over at times, those at the border and in the corners, too",
        came=f"one of them in {often.min():.1%} of the boxes",
    )

with checks.step("200 boxes in images of 20 x 40 pixels, alpha = 1, so lambda is uniform"):
    x = torch.arange(3.0)[:, None, None, None].expand(3, 1, 20, 40).clone()
    images, _ = checks.beside(seeded_draws, cutmix, x, torch.arange(3), 3, 1.0, 6, 200)
    boxes = (images[:, :, 0].round().long() != torch.arange(3)[:, None, None]).any(1)
    tall = boxes.any(2).sum(1)
    small, large = (tall <= 8).float().mean().item(), (tall >= 16).float().mean().item()
    checks.that(
        small > 0.15 and 0.03 < large < 0.5,
        "some boxes are low and some are high",
        came=f"{small:.0%} have at most 8 of 20 rows, {large:.0%} at least 16",
    )

with checks.step("a batch without the last of its classes"):
    soft = cutmix(torch.rand(5, 1, 4, 6), torch.tensor([0, 1, 0, 1, 2]), 6, 1.0, torch.Generator().manual_seed(0))[1]
    checks.shape(soft, (5, 6), "the soft labels", causes={
        "the number of classes was taken from the labels of the batch": lambda: soft.shape[-1] == 3,
    })  # fmt: skip

for alpha in (1.0, 0.3):
    with checks.step(f"200 seeded_draws on 7 x 9 pixels with repeated classes, alpha = {alpha}"):
        x = torch.arange(5 * 3 * 7 * 9, dtype=torch.float64).reshape(5, 3, 7, 9)
        y = torch.tensor([1, 0, 1, 3, 1])
        images, soft = checks.beside(seeded_draws, cutmix, x, y, 4, alpha, 11, 200)
        source = y[(images // (3 * 7 * 9)).long()]
        checks.close(
            soft,
            F.one_hot(source, 4).double().mean((2, 3, 4)),
            "the soft labels, against the share of pixels from each class",
            rtol=0.0,
            atol=1e-6,
        )
### END HIDDEN TESTS


# %% test="augment" points=8
def noted(fn: Callable, n_ops: int, magnitude: float, seed: int, count: int, kinds: int = 8) -> torch.Tensor:
    """(count, n_ops, 2): number and strength of each operation that ran, from operations that only take notes."""
    generator = torch.Generator().manual_seed(seed)
    notes: list = []

    def operation(number: int) -> Callable:
        def run(image: torch.Tensor, strength: float) -> torch.Tensor:
            notes[-1].append((number, float(strength)))
            return image

        return run

    table = [operation(number) for number in range(kinds)]
    for _ in range(count):
        notes.append([])
        fn(torch.full((1, 2, 2), 0.5), n_ops, magnitude, generator, table)
    longest = max(len(row) for row in notes)
    return torch.tensor([row + [(-1, 0.0)] * (longest - len(row)) for row in notes])


def chained(fn: Callable, start: float, changes: list) -> float:
    """What becomes of a pixel when the operations add these numbers, one after the other."""
    left = list(changes)

    def add(image: torch.Tensor, strength: float) -> torch.Tensor:
        return image + left.pop(0)

    result = fn(torch.full((1, 2, 2), start), len(changes), 0.5, torch.Generator().manual_seed(0), [add])
    return result.mean().item()


def augmented(fn: Callable, image: torch.Tensor, n_ops: int, magnitude: float, seed: int, count: int) -> tuple:
    """Many results with the real operations, and the image after the calls."""
    generator = torch.Generator().manual_seed(seed)
    image = image.clone()
    return torch.stack([fn(image, n_ops, magnitude, generator) for _ in range(count)]), image


with checks.step("which operations run: 200 images, n_ops = 3, magnitude 0.7"):
    ran = checks.beside(noted, rand_augment, 3, 0.7, 0, 200)
    checks.shape(ran, (200, 3, 2), "the operations that ran (image, n_ops, number and strength)")
    checks.close(ran[..., 1].abs(), torch.full((200, 3), 0.7), "the size of the strengths", causes={
        "the strength is random; only its sign is": lambda: ran[..., 1].abs().std().item() > 0.05,
    })  # fmt: skip
    checks.that(
        0.35 < (ran[..., 1] < 0).float().mean() < 0.65,
        "half of the strengths are negative",
        came=f"{(ran[..., 1] < 0).float().mean():.0%} are",
        causes={
            "the sign is missing: strengths are plus or minus the magnitude": lambda: bool((ran[..., 1] > 0).all()),
        },
    )

with checks.step("operations that add 2.0 and then -0.3 to a pixel of 0.5"):
    came = checks.beside(chained, rand_augment, 0.5, [2.0, -0.3])
    checks.close(torch.tensor(came), torch.tensor(0.7), "the pixel", causes={
        "the image was clipped only at the end; clip after every operation": lambda: (
            abs(came - 1.0) < 1e-4 and abs(checks.beside(chained, rand_augment, 0.5, [2.0, -1.9]) - 0.6) < 1e-4
        ),
        "each operation started from the first image": torch.tensor(0.2),
        "nothing was clipped": torch.tensor(2.2),
    })  # fmt: skip

with checks.step("magnitude 0 with the real operations"):
    image = (checks.normal(seed=0)(3, 8, 8).sigmoid() * 255).round() / 255
    results, _ = checks.beside(augmented, rand_augment, image, 4, 0.0, 0, 20)
    checks.close(results, image.expand(20, 3, 8, 8), "the images")

### BEGIN HIDDEN TESTS
with checks.step("how often each of eight operations runs in 1,600 draws"):
    ran = checks.beside(noted, rand_augment, 2, 0.5, 3, 800)
    checks.shape(ran, (800, 2, 2), "the operations that ran")
    counts = torch.bincount(ran[..., 0].long().flatten(), minlength=8).double()
    chi_square = ((counts - 200) ** 2 / 200).sum().item()
    checks.that(
        chi_square < 40,  # of fair draws, two in a million lie above (7 degrees of freedom)
        "each operation is as likely as the others",
        came=f"counts {counts.long().tolist()}, chi-square {chi_square:.0f}",
        causes={"the last operation never runs": lambda: counts[-1].item() == 0},
    )
    twice = (ran[:, 0, 0] == ran[:, 1, 0]).float().mean().item()
    checks.that(
        0.06 < twice < 0.2,
        "drawn with replacement, the same operation comes twice in one of eight images",
        came=f"in {twice:.1%}",
        causes={
            "the operations were drawn without replacement": lambda: twice == 0,
            "one operation was drawn and applied again and again": lambda: twice == 1,
        },
    )
    signs = (ran[:, 0, 1].sign() == ran[:, 1, 1].sign()).float().mean().item()
    checks.that(
        0.4 < signs < 0.6,
        "each operation has a sign of its own",
        came=f"in {signs:.0%} of the images both have the same",
        causes={"one sign was drawn for all operations of an image": lambda: signs == 1.0},
    )

    positive = [(ran[..., 1][ran[..., 0] == number] > 0).float().mean().item() for number in range(8)]
    checks.that(
        min(positive) > 0.3 and max(positive) < 0.7,
        "each operation gets both signs",
        came="shares of plus: " + ", ".join(f"{share:.0%}" for share in positive),
        causes={
            "operation and sign come from the same random number": lambda: all(
                share in (0.0, 1.0) for share in positive
            )
        },
    )

for magnitude in (0.8, 1.0):
    with checks.step(f"one of the real operations at a time, magnitude {magnitude}"):
        image = checks.normal(seed=2)(3, 6, 9).sigmoid()
        strengths = (-magnitude, magnitude)
        possible = torch.stack([operation(image, one).clamp(0, 1) for operation in OPERATIONS for one in strengths])
        for seed in range(8):
            result = rand_augment(image, 1, magnitude, torch.Generator().manual_seed(seed))
            checks.shape(result, (3, 6, 9), "the result")
            gap = (possible - result).abs().amax((1, 2, 3)).min().item()
            checks.that(gap < 1e-5, "the result is one of the sixteen possible ones", came=f"{gap:.3f} off the nearest")

with checks.step("a table of three operations"):
    ran = checks.beside(noted, rand_augment, 1, 0.5, 0, 60, 3)
    checks.equal(sorted(set(ran[..., 0].flatten().tolist())), [0.0, 1.0, 2.0], "the operations that ran")

with checks.step("the real operations at magnitude 1"):
    image = checks.normal(seed=1)(3, 8, 8).sigmoid()
    results, after = checks.beside(augmented, rand_augment, image, 3, 1.0, 1, 100)
    checks.shape(results, (100, 3, 8, 8), "100 results")
    checks.that(
        bool(results.min() >= 0 and results.max() <= 1),
        "the values stay in [0, 1]",
        came=f"from {results.min():.2f} to {results.max():.2f}",
    )
    checks.equal(after, image, "the image after the calls (an argument must not be changed in place)")
    torch.manual_seed(5)
    again, _ = checks.beside(augmented, rand_augment, image, 3, 1.0, 1, 100)
    checks.equal(again, results, "the results with the same seed, a second time")

with checks.step("no operation at all"):
    results, _ = checks.beside(augmented, rand_augment, image, 0, 1.0, 1, 2)
    checks.equal(results, image.expand(2, 3, 8, 8), "the images with n_ops=0")

with checks.step("twelve operations from a table of eleven"):
    ran = checks.beside(noted, rand_augment, 12, 1.0, 4, 40, 11)
    checks.shape(ran, (40, 12, 2), "the operations that ran")
    checks.equal(ran[..., 0].unique().tolist(), [float(number) for number in range(11)], "the operations that ran")
    checks.equal(ran[..., 1].abs(), torch.ones(40, 12), "the size of the strengths")


def moves_the_global_state(fn: Callable, image: torch.Tensor) -> bool:
    """Whether a call seeds or draws from torch's global random state."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fn(image, 3, 0.5, torch.Generator().manual_seed(0))
    return not torch.equal(before, torch.get_rng_state())


with checks.step("torch's global random state, which others may rely on"):
    checks.that(
        not checks.beside(moves_the_global_state, rand_augment, image),
        "it is as it was before the call",
        came="another one",
        causes={"the global state was seeded, or drawn from": True},
    )

for dtype in (torch.float64, torch.bfloat16):
    with checks.step(f"an image of {dtype}"):
        result = rand_augment(torch.full((1, 2, 2), 0.5, dtype=dtype), 2, 0.5, torch.Generator(), [contrast, identity])
        checks.equal(result, torch.full((1, 2, 2), 0.5, dtype=dtype), "a flat image, whose contrast cannot change")
### END HIDDEN TESTS


# %% test="ema" points=5
def followed(make: Callable, values: Sequence[float], decay: float, warmup: bool) -> dict:
    """The average of one weight that starts at values[0] and then takes the others, and what else can be seen."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5))
    nn.init.constant_(model[0].weight, values[0])
    ema = make(model, decay, warmup)
    at_start = ema.module[0].weight.item()
    averages = []
    for value in values[1:]:
        nn.init.constant_(model[0].weight, value)
        ema.update(model)
        averages.append(ema.module[0].weight.item())
    return {
        "averages": averages,
        "at start": at_start,
        "one object": ema.module is model,
        "model after": model[0].weight.item(),
        "modes": (ema.module.training, ema.module[1].training, model.training and model[1].training),
        "gradients": (any(p.requires_grad for p in ema.module.parameters()), model[0].weight.requires_grad),
    }


with checks.step("decay 0.9, a weight that was 0 and is 1 from then on, by hand"):
    seen = checks.beside(followed, ModelEMA, [0.0, 1.0, 1.0, 1.0], 0.9, False)
    checks.close(torch.tensor(seen["at start"]), torch.tensor(0.0), "the average before the first update")
    checks.close(torch.tensor(seen["averages"]), torch.tensor([0.1, 0.19, 0.271]), "the averages", causes={
        "decay and 1 - decay changed places": torch.tensor([0.9, 0.99, 0.999]),
        "the copy is the model itself; make a deep copy": lambda: seen["one object"],
        "the average does not move": torch.tensor([0.0, 0.0, 0.0]),
        "the first update takes the model as it is": torch.tensor([1.0, 1.0, 1.0]),
        "decay grows with the updates though warmup is off": torch.tensor([0.9, 0.981818, 0.995455]),
    })  # fmt: skip
    checks.close(torch.tensor(seen["model after"]), torch.tensor(1.0), "the model's own weight after the updates")

with checks.step("weights that are new in every run, by what the average computes"):
    randn = checks.normal(checks.fresh_seed())
    old, new = nn.Linear(4, 3), nn.Linear(4, 3)
    with torch.no_grad():
        for model in (old, new):
            model.weight.copy_(randn(3, 4))
            model.bias.copy_(randn(3))
        given = randn(6, 4)
        ema = ModelEMA(old, 0.75)
        checks.close(ema.module(given).detach(), old(given), "what the copy computes before an update")
        ema.update(new)
        wanted = 0.75 * old(given) + 0.25 * new(given)  # the layer is linear in its weights
        checks.close(ema.module(given).detach(), wanted, "what the average computes after one update")

with checks.step("modes and gradients"):
    checks.that(not any(seen["modes"][:2]), "the copy is in eval mode", came="train mode")
    checks.that(
        seen["modes"][2], "the model is left in train mode", came="eval mode", causes={
            "eval() was called on the model itself": lambda: not seen["modes"][2]
        },
    )  # fmt: skip
    checks.that(not seen["gradients"][0], "no parameter of the copy requires a gradient", came="one that does")
    checks.that(seen["gradients"][1], "the model's parameters still require gradients", came="one that does not")


# %% test="ema" points=5
def followed(make: Callable, values: Sequence[float], decay: float, warmup: bool) -> list:
    """The average of one weight that starts at values[0] and then takes the others."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, values[0])
    ema = make(model, decay, warmup)
    averages = []
    for value in values[1:]:
        nn.init.constant_(model.weight, value)
        ema.update(model)
        averages.append(ema.module.weight.item())
    return averages


with checks.step("warmup=True, decay 0.2: the decays are 1/10, 2/11, and then 0.2"):
    wanted = torch.tensor([1 - 1 / 10, 1 - 2 / 110, 1 - 0.4 / 110])
    averages = torch.tensor(checks.beside(followed, ModelEMA, [0.0, 1.0, 1.0, 1.0], 0.2, True))
    checks.close(averages, wanted, "the averages of a weight that was 0 and is 1", causes={
        "each update had the whole decay: warmup was not read, or t did not start at 0 for this average": (
            torch.tensor([0.8, 0.96, 0.992])
        ),
        "the updates are counted from 1; the first one is t = 0": torch.tensor([1 - 2 / 11, 1 - 0.4 / 11, 1 - 0.08 / 11]),
        "the larger of the two decays was taken": torch.tensor([0.8, 0.96, 0.99]),
        "the decay grows beyond `decay`": torch.tensor([1 - 1 / 10, 1 - 2 / 110, 1 - 6 / 1320]),
    })  # fmt: skip


### BEGIN HIDDEN TESTS
def trained(make: Callable, decay: float, warmup: bool, steps: int) -> tuple:
    """State of the average after each of some training steps of a model with batch norm, and of the model before."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    randn = checks.normal(4)
    ema = make(model, decay, warmup) if warmup is not None else make(model, decay)
    averages, models = [], [{name: value.clone() for name, value in model.state_dict().items()}]
    for _ in range(steps):
        optimizer.zero_grad()
        model(randn(8, 2, 6, 6)).square().mean().backward()
        optimizer.step()
        ema.update(model)
        averages.append({name: value.clone() for name, value in ema.module.state_dict().items()})
        models.append({name: value.clone() for name, value in model.state_dict().items()})
    return averages, models


with checks.step("a weight that takes 2, -1, 4, 0, 3, against the geometric sum"):
    values = [2.0, -1.0, 4.0, 0.0, 3.0]
    wanted = [0.7**k * values[0] + 0.3 * sum(0.7 ** (k - j) * values[j] for j in range(1, k + 1)) for k in range(1, 5)]
    averages = checks.beside(followed, ModelEMA, values, 0.7, False)
    checks.close(torch.tensor(averages), torch.tensor(wanted), "the averages")

with checks.step("warmup ends where the decay is reached: decay 0.3, a weight that jumps between 0 and 1"):
    values = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    averages = torch.tensor(checks.beside(followed, ModelEMA, values, 0.3, True))

    def average_by(values: Sequence[float], decay_of: Callable) -> torch.Tensor:
        found, average = [], values[0]
        for t, value in enumerate(values[1:]):
            average = decay_of(t) * average + (1 - decay_of(t)) * value
            found.append(average)
        return torch.tensor(found)

    checks.close(averages, average_by(values, lambda t: min(0.3, (1 + t) / (10 + t))), "the averages", causes={
        "the decay grows beyond `decay`": average_by(values, lambda t: (1 + t) / (10 + t)),
    })  # fmt: skip

with checks.step("warmup goes on as long as it gives the smaller decay: decay 0.999, 60 updates"):
    values = checks.normal(seed=8)(61).tolist()
    averages = torch.tensor(checks.beside(followed, ModelEMA, values, 0.999, True))
    checks.close(averages, average_by(values, lambda t: (1 + t) / (10 + t)), "the averages")


with checks.step("five training steps with a batch norm, against timm's ModelEmaV3"):
    averages, models = checks.beside(trained, ModelEMA, 0.8, False, 5)
    theirs, _ = trained(ModelEmaV3, 0.8, None, 5)
    for name, wanted in theirs[-1].items():
        what = f"{name} of the average after 5 updates"
        if wanted.is_floating_point():
            checks.close(averages[-1][name], wanted, what, causes={
                "only parameters are averaged; this buffer has the model's own numbers": models[-1][name],
                "only parameters are averaged; this buffer never changed": models[0][name],
            })  # fmt: skip
        else:
            checks.equal(averages[-1][name], wanted, what, causes={
                "an integer buffer was averaged or left; copy it": lambda: averages[-1][name].item() != wanted.item(),
            })  # fmt: skip


class Odd(nn.Module):
    """A frozen parameter, a buffer that no state dict holds, a matrix that two layers share, buffers of other dtypes."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.register_buffer("window", torch.zeros(4), persistent=False)
        self.register_buffer("level", torch.zeros(()))
        self.register_buffer("sums", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("started", torch.tensor(True))
        self.first, self.second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.calm, self.norm = nn.Dropout(0.1).eval(), nn.BatchNorm1d(2)


def odd_tensors(make: Callable, values: Sequence[float], decay: float) -> dict:
    """The average of each tensor of such a model that takes these values, and what became of both models."""
    model = Odd()
    names = ("fixed", "window", "first.weight", "level", "sums")
    tensors = {name: attrgetter(name)(model) for name in names}
    for tensor in tensors.values():
        nn.init.constant_(tensor, values[0])
    model.first.weight.grad = torch.full((2, 2), 7.0)
    ema = make(model, decay)
    for value in values[1:]:
        for tensor in tensors.values():
            nn.init.constant_(tensor, value)
        model.started.fill_(False)
        ema.update(model)
    return {
        "averages": {name: attrgetter(name)(ema.module).detach().flatten()[0].item() for name in names},
        "started": ema.module.started.item(),
        "model": [tensor.detach().flatten()[0].item() for tensor in tensors.values()],
        "gradient": model.first.weight.grad,
        "learns": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "copy learns": [p.requires_grad for p in ema.module.parameters()],
        "copy modes": [m.training for m in ema.module.modules()],
    }


with checks.step("a frozen parameter, a buffer with persistent=False, and a matrix that two layers share"):
    seen = checks.beside(odd_tensors, ModelEMA, [1.0, 3.0, -2.0], 0.6)
    wanted = torch.tensor(0.6 * (0.6 * 1.0 + 0.4 * 3.0) + 0.4 * -2.0)
    twice = torch.tensor(0.36 * (0.36 * 1.0 + 0.64 * 3.0) + 0.64 * -2.0)
    for name, what in (
        ("fixed", "the frozen parameter"),
        ("window", "the buffer that a state dict leaves out"),
        ("first.weight", "the shared matrix"),
        ("level", "a floating-point buffer of a single number"),
        ("sums", "a buffer of float64"),
    ):
        checks.close(torch.tensor(seen["averages"][name]), wanted, f"the average of {what}", causes={
            "it never moved": torch.tensor(1.0),
            f"{what} was copied, not averaged": torch.tensor(-2.0),
            "it moved twice in each update": twice,
        })  # fmt: skip
    checks.equal(seen["started"], False, "a buffer of truth values, which is copied")
    checks.equal(seen["model"], [-2.0] * 5, "the model's own tensors")
    checks.that(seen["gradient"] is not None, "a gradient that the model had before is still there", came="none")
    checks.equal(seen["gradient"], torch.full((2, 2), 7.0), "a gradient that the model had before")
    checks.equal(seen["learns"], [False, True, True, True], "what of the model requires a gradient, as before")
    checks.equal(
        seen["modes"], [True, True, True, False, True], "which modules of the model are in train mode, as before"
    )
    checks.equal(seen["copy learns"], [False] * 4, "what of the copy requires a gradient, after the updates")
    checks.equal(seen["copy modes"], [False] * 5, "which modules of the copy are in train mode, after the updates")

for decay, wanted in ((0.0, [1.0, 4.0]), (0.05, [0.95, 0.05 * 0.95 + 0.95 * 4.0])):
    with checks.step(f"decay {decay}, a weight that takes 0, 1, 4"):
        averages = checks.beside(followed, ModelEMA, [0.0, 1.0, 4.0], decay, False)
        checks.close(torch.tensor(averages), torch.tensor(wanted), "the averages", causes={
            "a decay of 0 is a decay: each update takes the model as it is": lambda: decay == 0.0,
        })  # fmt: skip
### END HIDDEN TESTS

# %% test="distill" points=5
# two classes, T = 3. The teacher's softened probabilities are (3/4, 1/4), the student's (1/2, 1/2)
student = torch.zeros(1, 2)
teacher = torch.tensor([[3 * math.log(3), 0.0]])
label = torch.tensor([0])
ce = math.log(2)
kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
swapped = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)


def scalar(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float32)


with checks.step("soft, alpha = 0.25, T = 3, by hand: 3/4 ln 2 + 1/4 * 9 * KL"):
    loss = distillation_loss(student, teacher, label, "soft", 0.25, 3.0)
    checks.shape(loss, (), "the loss")
    entropy = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    checks.close(loss, scalar(0.75 * ce + 0.25 * 9 * kl), "the loss", causes={
        "the factor T² is missing": scalar(0.75 * ce + 0.25 * kl),
        "the factor is T, not T²": scalar(0.75 * ce + 0.25 * 3 * kl),
        "KL(student || teacher) instead of KL(teacher || student)": scalar(0.75 * ce + 0.25 * 9 * swapped),
        "KL was divided by the number of classes as well": scalar(0.75 * ce + 0.25 * 4.5 * kl),
        "alpha and 1 - alpha changed places": scalar(0.25 * ce + 0.75 * 9 * kl),
        "probabilities went in where logarithms of them belong": scalar(0.75 * ce + 0.25 * 9 * (entropy - 0.5)),
    })  # fmt: skip

with checks.step("the same image four times: the loss is a mean over the batch"):
    four = distillation_loss(student.expand(4, 2), teacher.expand(4, 2), label.expand(4), "soft", 0.25, 3.0)
    checks.close(four, scalar(0.75 * ce + 0.25 * 9 * kl), "the loss", causes={
        "KL was summed over the batch": scalar(0.75 * ce + 0.25 * 9 * 4 * kl),
    })  # fmt: skip

with checks.step("hard, alpha = 0.25: the label says class 0, the teacher 1, the student (0.5, 0, 1) itself 2"):
    student, teacher = torch.tensor([[0.5, 0.0, 1.0]]), torch.tensor([[-1.0, 3.0, 0.0]])
    loss = distillation_loss(student, teacher, label, "hard", 0.25, 2.0)
    total = math.log(math.exp(0.5) + 1 + math.exp(1))
    says_0, says_1, says_2 = total - 0.5, total, total - 1.0
    cooled = math.log(math.exp(0.25) + 1 + math.exp(0.5))
    checks.close(loss, scalar(0.75 * says_0 + 0.25 * says_1), "the loss", causes={
        "alpha and 1 - alpha changed places": scalar(0.25 * says_0 + 0.75 * says_1),
        "the teacher's answer was not used, only the label": scalar(says_0),
        "the student's own answer was taken for the teacher's": scalar(0.75 * says_0 + 0.25 * says_2),
        "hard labels need no temperature: the student was divided by T": scalar(0.75 * says_0 + 0.25 * cooled),
        "hard labels need no temperature: the factor T² is too much": scalar(0.75 * says_0 + 0.25 * 4 * says_1),
    })  # fmt: skip

with checks.step("logits that are new in every run, soft, alpha = 1, T = 2"):
    randn = checks.normal(checks.fresh_seed())
    new, told = randn(5, 4), randn(5, 4)
    cooled = [torch.distributions.Categorical(logits=logits / 2) for logits in (told, new)]
    checks.close(
        distillation_loss(new, told, torch.tensor([0, 1, 2, 3, 0]), "soft", 1.0, 2.0),
        4 * torch.distributions.kl_divergence(*cooled).mean(),
        "the loss",
    )

with checks.step("a mode that does not exist"):
    checks.raises(ValueError, distillation_loss, student, teacher, label, "medium", name='mode="medium"')

# %% test="distill" points=5
with checks.step("a pair of heads: the first sees the labels, the second the teacher"):
    says_0, says_1 = torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([[0.0, 20.0, 0.0]])
    label = torch.tensor([0])  # so the class head should say 0, and the distillation head what the teacher says: 1
    for mode in ("soft", "hard"):
        loss = distillation_loss((says_0, says_1), says_1, label, mode, 0.5, 1.0)
        other = distillation_loss((says_1, says_0), says_1, label, mode, 0.5, 1.0)
        checks.that(
            abs(float(loss)) < 1e-4,
            f"two heads that are both right have no loss ({mode})",
            came=f"{float(loss):.3f}",
            causes={
                "the heads changed places": lambda: abs(float(other)) < 1e-4,
                "the mean of the heads was used for both": lambda: 0.5 < float(loss) < 2,
            },
        )

with checks.step("the arguments after the call"):
    randn = checks.normal(seed=0)
    student, teacher = randn(6, 4), randn(6, 4)
    given = (student, teacher, torch.tensor([0, 1, 2, 3, 0, 1]))
    for mode in ("soft", "hard"):
        came = checks.beside(observe.arguments_after, distillation_loss, *given, mode, 0.5, 2.0)
        for what, old, new in zip(("student", "teacher", "labels"), given, came, strict=True):
            checks.equal(new, old, f"{what} (must not be changed in place)")

with checks.step("alpha = 1: the labels do not matter"):
    first, second = (
        distillation_loss(student, teacher, labels, "soft", 1.0, 2.0)
        for labels in (torch.zeros(6, dtype=torch.long), torch.full((6,), 3))
    )
    checks.close(first, torch.tensor(float(second)), "the loss with other labels")


### BEGIN HIDDEN TESTS
def softened(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(cls: torch.Tensor, dist: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mode: str,
            alpha: float, temperature: float) -> float:  # fmt: skip
    """The loss, image by image and class by class."""
    total = 0.0
    for c, d, t, y in zip(cls.tolist(), dist.tolist(), teacher.tolist(), labels.tolist()):
        total += (1 - alpha) * -math.log(softened(c, 1.0)[y])
        if mode == "hard":
            total += alpha * -math.log(softened(d, 1.0)[t.index(max(t))])
        else:
            for p, q in zip(softened(t, temperature), softened(d, temperature)):
                total += alpha * temperature**2 * p * (math.log(p) - math.log(q))
    return total / len(labels)


for seed, (batch, classes), alpha, temperature in (
    (0, (5, 4), 0.5, 3.0),
    (1, (3, 10), 0.1, 1.0),
    (2, (7, 2), 0.9, 5.0),
    (3, (12, 12), 0.5, 0.5),
):
    for mode in ("soft", "hard"):
        with checks.step(
            f"against a loop over images and classes: {mode}, B={batch}, K={classes}, alpha={alpha}, T={temperature}"
        ):
            randn = checks.normal(seed, dtype=torch.float64)
            student, other, teacher = 2 * randn(batch, classes), randn(batch, classes), 2 * randn(batch, classes)
            labels = torch.arange(batch) % classes
            for given, heads in ((student, (student, student)), ((student, other), (student, other))):
                wanted = by_loop(*heads, teacher, labels, mode, alpha, temperature)
                came = distillation_loss(given, teacher, labels, mode, alpha, temperature)
                checks.close(came, torch.tensor(wanted, dtype=torch.float64), "the loss", atol=1e-9, rtol=1e-7)

with checks.step("gradients, against finite differences of the loop"):
    randn = checks.normal(9, dtype=torch.float64)
    student, teacher, labels = randn(3, 4), randn(3, 4), torch.tensor([0, 3, 1])
    for mode in ("soft", "hard"):
        wanted = torch.zeros(3, 4, dtype=torch.float64)
        for index in range(12):
            step = torch.zeros(12, dtype=torch.float64)
            step[index] = 1e-5
            up, down = student + step.reshape(3, 4), student - step.reshape(3, 4)
            change = by_loop(up, up, teacher, labels, mode, 0.4, 2.0) - by_loop(
                down, down, teacher, labels, mode, 0.4, 2.0
            )
            wanted.view(-1)[index] = change / 2e-5
        came, into_teacher = checks.beside(
            observe.gradients, distillation_loss, student.clone().requires_grad_(), teacher.clone().requires_grad_(),
            labels, mode, 0.4, 2.0,
        )  # fmt: skip
        checks.close(came, wanted, f"the gradient into the student ({mode})", atol=1e-7)
        checks.that(
            into_teacher is None or bool((into_teacher == 0).all()),
            f"no gradient flows into the teacher ({mode})",
            came="a gradient",
            causes={"the teacher's logits are still in the graph; detach them": lambda: into_teacher is not None},
        )

with checks.step("gradients of a pair of heads"):
    randn = checks.normal(12, dtype=torch.float64)
    heads, teacher = [randn(4, 3).requires_grad_() for _ in range(2)], randn(4, 3)
    labels = torch.tensor([2, 0, 1, 1])
    softened_teacher = (teacher / 2.0).softmax(-1)
    for mode in ("soft", "hard"):
        loss = distillation_loss(tuple(heads), teacher, labels, mode, 0.3, 2.0)
        into_cls, into_dist = torch.autograd.grad(loss, heads, allow_unused=True)
        checks.that(into_cls is not None and into_dist is not None, f"both heads get a gradient ({mode})", came="none")
        cls, dist = (head.detach() for head in heads)
        checks.close(into_cls, 0.7 * (cls.softmax(-1) - F.one_hot(labels, 3)) / 4, f"into the class head ({mode})")
        wanted = (
            0.3 * 2.0 * ((dist / 2.0).softmax(-1) - softened_teacher) / 4
            if mode == "soft"
            else 0.3 * (dist.softmax(-1) - F.one_hot(teacher.argmax(-1), 3)) / 4
        )
        checks.close(into_dist, wanted, f"into the distillation head ({mode})")

with checks.step("what is not given: alpha = 0.5 and temperature = 3"):
    randn = checks.normal(13, dtype=torch.float64)
    student, teacher, labels = randn(4, 3), randn(4, 3), torch.tensor([2, 0, 1, 1])
    wanted = by_loop(student, student, teacher, labels, "soft", 0.5, 3.0)
    checks.close(distillation_loss(student, teacher, labels, "soft"), torch.tensor(wanted).double(), "the loss")

with checks.step("T = 1000: the loss is the squared difference of centered logits over 2 K"):
    randn = checks.normal(4, dtype=torch.float64)
    student, teacher = randn(6, 5), randn(6, 5)
    gap = (student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))
    came = distillation_loss(student, teacher, torch.zeros(6, dtype=torch.long), "soft", 1.0, 1000.0)
    checks.close(came, gap.square().sum(-1).mean() / 10, "the loss", rtol=0.01)

with checks.step("modes that are nearly one of the two"):
    student, teacher, labels = torch.zeros(2, 3), torch.ones(2, 3), torch.tensor([0, 2])
    for mode in ("Soft", "HARD", "softly", "h", ""):
        checks.raises(ValueError, distillation_loss, student, teacher, labels, mode, name=f"mode={mode!r}")
    for alpha in (0.0, 1.0):
        checks.raises(ValueError, distillation_loss, student, teacher, labels, "mean", alpha, name=f"alpha={alpha}")

with checks.step("logits of 500: no infinity"):
    student, teacher = torch.tensor([[500.0, 0.0, -500.0]]), torch.tensor([[-500.0, 0.0, 500.0]])
    came = distillation_loss(student, teacher, torch.tensor([0]), "soft", 0.5, 1.0)
    checks.close(came, torch.tensor(500.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not bool(came.isfinite()),
    })  # fmt: skip
### END HIDDEN TESTS


# %% test="distill" points=4 after="distill-text-1"
def learn(loss_fn: Callable, x: torch.Tensor, told: torch.Tensor, x_test: torch.Tensor, seed: int) -> torch.Tensor:
    """Logits (450, 10) of a tiny ViT after 150 steps; `told`: what the teacher says about x."""
    model = tiny_vit(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=150, pct_start=0.1)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(150):
        picked = torch.randint(len(x), (32,), generator=draw)
        images = x[picked] + 0.1 * torch.randn(32, 1, 8, 8, generator=draw)
        labels = torch.zeros(32, dtype=torch.long)  # nobody knows them; with alpha = 1 they do not matter
        loss = loss_fn(model(images), told[picked], labels, "hard", 1.0, 1.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        return model(x_test)


def by_labels(logits: torch.Tensor, told: torch.Tensor, *rest: object) -> torch.Tensor:
    return F.cross_entropy(logits, told.argmax(-1))


def taught(data: datasets.Digits, seed: int) -> tuple[torch.Tensor, torch.Tensor, nn.Module]:
    """Thirty images, their labels as one-hot vectors, and a small CNN that has learned them."""
    few = few_per_class(data.y_train, 3, seed)
    images, names = data.x_train[few], F.one_hot(data.y_train[few], 10).float()
    cnn = small_cnn(seed)
    optimizer = torch.optim.AdamW(cnn.parameters(), lr=3e-3, weight_decay=0.05)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(150):
        picked = torch.randint(30, (32,), generator=draw)
        noisy = images[picked] + 0.1 * torch.randn(32, 1, 8, 8, generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(cnn(noisy), names[picked]).backward()
        optimizer.step()
    return images, names, cnn.eval().requires_grad_(False)


with checks.step("logits that are new in every run: hard, with alpha = 1, is the loss of the teacher's answers"):
    randn = checks.normal(checks.fresh_seed())
    logits, told = randn(7, 10), randn(7, 10)
    came = distillation_loss(logits, told, torch.zeros(7, dtype=torch.long), "hard", 1.0, 1.0)
    checks.close(came, by_labels(logits, told), "the loss")

with checks.step("distilled on the unlabeled images, against the same model on thirty labels"):
    data = datasets.digits()
    thirty, names, cnn = taught(data, 0)
    told = cnn(data.x_train)
    answers = {
        "the teacher, a small CNN": cnn(data.x_test),
        "a ViT on thirty labels": learn(by_labels, thirty, names, data.x_test, 0),
        "a ViT that hears the teacher": checks.beside(learn, distillation_loss, data.x_train, told, data.x_test, 0),
    }
    right = {name: (logits.argmax(-1) == data.y_test).float().mean().item() for name, logits in answers.items()}
    for name, share in right.items():
        print(f"{name:>28}: {share:.0%} of the test images")
    gain = right["a ViT that hears the teacher"] - right["a ViT on thirty labels"]
    checks.that(
        gain >= 0.08,
        "the student gains at least 8 points over thirty labels",
        came=f"{100 * gain:.1f} points",
        causes={
            "the student learned nothing: does the gradient reach it?": lambda: (
                right["a ViT that hears the teacher"] < 0.25
            ),
        },
    )


# %% test="regime" points=8
class Backbone(nn.Module):
    """A model with everything that can drift: batch norm, dropout, a plain parameter, and a head with a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten())
        self.head_norm = nn.LayerNorm(144)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(144, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.head_norm(self.scale * self.stem(x)))


def three_steps(fn: Callable, model: nn.Module, regimes: Sequence[str], size: int) -> dict:
    """What the last of some regimes does to a model, and what three steps of AdamW change in it."""
    given = {name: value.clone() for name, value in model.state_dict().items()}
    for regime in regimes:
        fn(model, regime)
    redrawn = [name for name, value in model.state_dict().items() if not torch.equal(value, given[name])]
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    torch.manual_seed(0)  # for dropout
    randn = checks.normal(0)
    for _ in range(3 if names else 0):
        optimizer.zero_grad()
        F.cross_entropy(model(randn(6, 1, size, size)), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
        optimizer.step()
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    after = torch.cat([value.detach().flatten().float() for value in model.state_dict().values()])
    return {"learn": names, "modes": modes, "changed": changed, "all": list(before), "redrawn": redrawn, "after": after}


with checks.step("frozen: three steps of AdamW on a model with batch norm and dropout"):
    torch.manual_seed(0)
    seen = checks.beside(three_steps, set_regime, Backbone(), ["frozen"], 8)
    checks.that(
        not seen["redrawn"],
        "set_regime changes no number of the model",
        came=f"changed: {', '.join(seen['redrawn'])}",
        causes={
            "the head was drawn anew; the weights are the caller's affair": lambda: all(
                name.startswith("head.") for name in seen["redrawn"]
            )
        },
    )
    drifted = [name for name in seen["changed"] if not name.startswith("head.")]
    checks.that(
        not drifted,
        "backbone parameters and buffers are as before, bit by bit",
        came=f"changed: {', '.join(drifted)}",
        causes={
            "running statistics drift: batch norm is in train mode; put the backbone in eval mode": lambda: all(
                "running" in name or "tracked" in name for name in drifted
            ),
            "head_norm is no part of the head, though its name begins like it": lambda: all(
                name.startswith("head_norm") for name in drifted
            ),
            "parameters of the backbone still learn": lambda: "stem.0.weight" in drifted,
        },
    )
    checks.equal(sorted(n for n in seen["changed"] if n.startswith("head.")), ["head.1.bias", "head.1.weight"],
                 "what changed in the head", causes={"the head is frozen, too; nothing learns": []})  # fmt: skip
    checks.that(
        seen["modes"]["head"] and seen["modes"]["head.0"],
        "the head is in train mode",
        came="eval mode, so its dropout is off",
    )
    still = [name for name, training in seen["modes"].items() if training and name.split(".")[0] != "head"]
    checks.that(
        not still,
        "every module outside of the head is in eval mode",
        came=f"in train mode: {', '.join(map(repr, still))}",
    )

with checks.step("full: the same model"):
    seen = checks.beside(three_steps, set_regime, Backbone(), ["full"], 8)
    checks.equal(seen["changed"], seen["all"], "what three steps change")
    checks.that(all(seen["modes"].values()), "every module is in train mode", came="modules in eval mode")

with checks.step("a regime that does not exist"):
    checks.raises(ValueError, set_regime, Backbone(), "half", name='regime="half"')

### BEGIN HIDDEN TESTS
for regimes in (["frozen", "full"], ["frozen", "scratch"], ["frozen", "frozen", "full"]):
    with checks.step(f"{', then '.join(regimes)}"):
        model = Backbone().eval()
        seen = checks.beside(three_steps, set_regime, model, regimes, 8)
        checks.that(
            not seen["redrawn"],
            "set_regime changes no number of the model",
            came=f"changed: {', '.join(seen['redrawn'])}",
        )
        checks.equal(seen["changed"], seen["all"], "what three steps change", causes={
            "a later call does not undo an earlier one: parameters stay frozen": lambda: (
                "stem.0.weight" not in seen["changed"]
            ),
            "a later call does not undo an earlier one: modules stay in eval mode": lambda: (
                "stem.1.running_mean" not in seen["changed"]
            ),
        })  # fmt: skip
        checks.that(all(seen["modes"].values()), "every module is in train mode", came="modules in eval mode")


def by_hand(model: nn.Module, regime: str) -> None:
    for part in model.modules():
        part.training = regime == "full" or part in set(model.head.modules())
    of_head = {id(p) for p in model.head.parameters()}
    for p in model.parameters():
        p.requires_grad = regime == "full" or id(p) in of_head


for regime in ("frozen", "full"):
    with checks.step(f"{regime}: every number after three steps"):
        torch.manual_seed(5)
        model = Backbone()
        came = checks.beside(three_steps, set_regime, copy.deepcopy(model), [regime], 8)["after"]
        wanted = three_steps(by_hand, model, [regime], 8)["after"]
        checks.close(came, wanted, "parameters and buffers, against a model whose flags were set by hand")

with checks.step("timm's ViT, full and then frozen"):
    seen = checks.beside(three_steps, set_regime, tiny_vit(0, num_classes=3), ["full", "frozen"], 8)
    checks.equal(sorted(seen["changed"]), ["head.bias", "head.weight"], "what three steps change")
    checks.equal(sorted(seen["learn"]), ["head.bias", "head.weight"], "the parameters that require a gradient")
    still = [name for name, training in seen["modes"].items() if training]
    checks.equal(still, ["head"], "the modules in train mode")


class HeadFirst(nn.Module):
    """A model whose head stands first and holds a batch norm, with a part called head inside of another part."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.BatchNorm1d(6, momentum=0.3), nn.Linear(6, 3))
        self.tower = nn.ModuleDict({"head": nn.Linear(4, 6), "norm": nn.GroupNorm(2, 6), "drop": nn.Dropout(0.2)})
        self.tower["batch_norm"] = nn.BatchNorm2d(2)
        nn.init.constant_(self.tower["batch_norm"].running_mean, 3.0)


def set_on(fn: Callable, regime: str) -> dict:
    """Modes and flags after a call on a model in use whose head was frozen, and the state of all else around it."""
    model = unchanged.in_use(HeadFirst())
    model.head.requires_grad_(False)
    before = unchanged.state_of(model)
    fn(model, regime)
    modes = [name for name, part in model.named_modules() if part.training]
    learns = [name for name, p in model.named_parameters() if p.requires_grad]
    return {"modes": modes, "learns": learns, "before": before, "after": unchanged.state_of(model)}


for regime in ("frozen", "scratch", "full"):
    with checks.step(
        f"{regime}, on a model whose head stands first and was frozen, and where another part is called head"
    ):
        seen = checks.beside(set_on, set_regime, regime)
        parts = [name for name, _ in HeadFirst().named_modules()]
        names = [name for name, _ in HeadFirst().named_parameters()]
        of_head = [[name for name in found if (name + ".").startswith("head.")] for found in (parts, names)]
        wanted = of_head if regime == "frozen" else [parts, names]
        checks.equal(sorted(seen["modes"]), sorted(wanted[0]), "the modules in train mode")
        checks.equal(sorted(seen["learns"]), sorted(wanted[1]), "the parameters that require a gradient")
        for what in ("settings", "gradients", "parameters", "buffers", "hooks"):
            checks.equal(seen["after"][what], seen["before"][what], f"the {what} of the model, as before the call")


def after_an_error(fn: Callable, model: nn.Module) -> tuple[list[bool], list[bool]]:
    """`requires_grad` and mode of everything before and after a call with an unknown regime."""
    model.stem.eval().requires_grad_(False)

    def flags() -> list[bool]:
        return [p.requires_grad for p in model.parameters()] + [m.training for m in model.modules()]

    before = flags()
    try:
        fn(model, "half")
    except ValueError:
        return before, flags()
    return before, []


with checks.step("the model after a regime that does not exist"):
    before, after = checks.beside(after_an_error, set_regime, Backbone())
    checks.equal(after, before, "requires_grad and mode of everything, against those before the call")
    checks.equal(len(after), 20, "the number of parameters and modules")

with checks.step("names that are nearly a regime"):
    for regime in ("", "Frozen", "fro", "FULL"):
        checks.raises(ValueError, set_regime, Backbone(), regime, name=f"regime={regime!r}")
### END HIDDEN TESTS
