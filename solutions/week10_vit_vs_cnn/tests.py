# %% test="budget" points=4
with checks.step("candidates with 90, 104 and 130 parameters, target 100"):
    chosen = match_budget({"small": 90, "middle": 104, "large": 130}, 100)
    checks.equal(chosen, "middle", "the chosen name", causes={
        "the number came back; the name was asked for": 104,
        "the first one within the tolerance was taken; take the nearest": "small",
        "the largest was taken": "large",
    })  # fmt: skip

with checks.step("the nearest may be smaller than the target: 97 and 104, target 100"):
    checks.equal(match_budget({"below": 97, "above": 104}, 100), "below", "the chosen name", causes={
        "only candidates that are at least as large were looked at": "above",
    })  # fmt: skip

with checks.step("candidates with 80 and 125 parameters, target 100, tolerance 10 %"):
    checks.raises(ValueError, match_budget, {"small": 80, "large": 125}, 100, name="no candidate within 10 %")

### BEGIN HIDDEN TESTS


def tried(*arguments: object) -> str:
    """The chosen name, or "" for a ValueError."""
    try:
        return str(match_budget(*arguments))
    except ValueError:
        return ""


with checks.step("the edge is included: 1,100 parameters, target 1,000, tolerance 10 %"):
    checks.that(
        tried({"edge": 1100, "far": 2000}, 1000) == "edge", "1,100 is 10 % away from 1,000", came="a ValueError"
    )

with checks.step("90 and 111 parameters, target 100: distances are differences, not ratios"):
    checks.equal(match_budget({"above": 111, "below": 90}, 100, 0.12), "below", "the chosen name", causes={
        "ratios were compared: 111 / 100 is nearer to 1 than 100 / 90": "above",
    })  # fmt: skip

with checks.step("the tolerance is a share of the target: 112 parameters, target 100, tolerance 11 %"):
    checks.raises(ValueError, match_budget, {"a": 112}, 100, 0.11, name="112 is 12 % away from 100")
    checks.equal(tried({"a": 112}, 100, 0.12), "a", "the name with a tolerance of 12 %")


def counts_chosen(choose: Callable, drawn: list, targets: list) -> list:
    """The number of parameters of each chosen candidate, -1 for a name that is none."""
    tables = [{f"model {place}": count for place, count in enumerate(counts)} for counts in drawn]
    return [table.get(choose(table, target, 1.0), -1) for table, target in zip(tables, targets)]


with checks.step("30 times 60 random counts, against sorting them"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    drawn = torch.randint(1_000, 9_000, (30, 60), generator=draw).tolist()
    targets = torch.randint(3_000, 7_000, (30,), generator=draw).tolist()
    came = checks.beside(counts_chosen, match_budget, drawn, targets)
    away = [[abs(count - target) for count in counts] for counts, target in zip(drawn, targets)]
    checks.equal(
        [abs(count - target) for count, target in checks.each(came, targets)],
        [sorted(distances)[0] for distances in away],
        "how far the chosen candidates are from the targets",
    )

with checks.step("the edge below the target, and what lies beyond both: 900, 899 and 1,101 parameters"):
    checks.that(tried({"far": 200, "edge": 900}, 1000) == "edge", "900 is 10 % away from 1,000", came="a ValueError")
    for count in (899, 1101):
        checks.raises(
            ValueError, match_budget, {"beyond": count}, 1000, name=f"{count} parameters for a target of 1,000"
        )
### END HIDDEN TESTS


# %% test="budget" points=3
class Recorder(nn.Module):
    """Keeps the number that each image carries; more idle weights need more random numbers when it is made.

    `measured` are the CPU clocks at the end of the last measuring, of whichever model, or at the beginning of the call.
    """

    def __init__(self, idle: int, measured: list) -> None:
        super().__init__()
        self.idle, self.line = nn.Linear(1, idle).requires_grad_(False), nn.Linear(1, 2)
        self.register_buffer("constant", torch.zeros(3))
        self.shown: list = []
        self._measured, self.limit = measured, 0.0
        self.eval()  # whoever trains it sets the mode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        numbers, modes = images.flatten(1)[:, :1], [part.training for part in self.modules()]
        if not self.shown:
            until_the_clocks_move()
        if (
            not any(modes) and self.limit == 0.0
        ):  # the first call of the measuring, which takes as long as what was before
            now = cpu_clocks()
            self.limit = max(clock - end for clock, end in zip(now, self._measured))
            while min(clock - begin for clock, begin in zip(cpu_clocks(), now)) < self.limit:
                pass
        self.shown.append((all(modes), numbers[:, 0].tolist()))
        if not any(modes):
            self._measured[:] = cpu_clocks()
        return self.line(numbers / 50 - 1)


def cpu_clocks() -> list:
    return [time.process_time(), time.thread_time()]


def until_the_clocks_move() -> None:
    """Be busy: clocks of CPU time tick coarsely, and a short training may lie between two ticks."""
    clocks = (time.process_time, time.thread_time, time.perf_counter)
    began = [clock() for clock in clocks]
    while any(clock() == begin for clock, begin in zip(clocks, began)):
        pass


def recorded(train: Callable, idle: list, data: tuple, steps: int, seeds: list, batch: int) -> dict:
    """What every model was shown, what the runs say, and whether the data are what they were."""
    measured: list = []
    makers = {f"{count} idle": (lambda count=count: Recorder(count, measured)) for count in idle}
    given = [part.clone() for part in data]
    while time.process_time() < 0.1:  # a process that has worked before: its clock does not begin with the call
        pass
    measured[:] = began = cpu_clocks()
    began = list(began)
    trained = train(makers, data, steps, seeds, batch=batch)
    longest = max(clock - begin for clock, begin in zip(cpu_clocks(), began))
    found: dict = {}
    for name, runs in trained.items():
        found[name] = []
        for run in runs:
            shown, training = list(run.model.shown), [part.training for part in run.model.modules()]
            run.model.eval()
            with torch.no_grad():
                right = (run.model(data[2]).argmax(1) == data[3]).float().mean().item()
            found[name].append(
                {"seen": [numbers for learning, numbers in shown if learning], "right": right, "training": training}
                | {"asked": [number for learning, numbers in shown if not learning for number in numbers]}
                | {"order": [learning for learning, _ in shown], "params": run.params, "seconds": run.seconds}
                | {"accuracy": run.accuracy, "line": run.model.line.weight.detach(), "limit": run.model.limit}
                | {"wants": [p.requires_grad for p in run.model.parameters()]}
            )
    return found | {"data": all(torch.equal(part, was) for part, was in zip(data, given)), "longest": longest}


with checks.step("two models of different size, 12 steps of 8 images, seeds 4 and 3"):
    numbers = torch.arange(100.0).reshape(100, 1, 1, 1)
    data = (numbers[:80], (numbers[:80, 0, 0, 0] >= 50).long(), numbers[80:], (numbers[80:, 0, 0, 0] >= 90).long())
    found = checks.beside(recorded, fair_train, [2, 30], data, 12, [4, 3], 8)
    checks.equal(sorted(set(found) - {"data", "longest"}), ["2 idle", "30 idle"], "the names in the result")
    small, large = found["2 idle"], found["30 idle"]
    checks.equal([len(small), len(large)], [2, 2], "the number of runs of each model")
    runs = (*small, *large)
    checks.equal([len(run["seen"]) for run in runs], [12] * 4, "batches in train mode", causes={
        "accuracy was measured in train mode, which counts as one more batch": [13] * 4,
        "not every part was in train mode while the model learned; call model.train()": lambda: all(
            not run["seen"] and len(run["asked"]) == 12 * 8 + 20 for run in runs
        ),
    })  # fmt: skip
    checks.equal(sorted({len(one) for run in runs for one in run["seen"]}), [8], "images in a batch", causes={
        "`batch` was not used": [48],
    })  # fmt: skip
    checks.equal(found["data"], True, "whether the data are what they were")

with checks.step("both models get the same images in the same order"):
    for k, seed in enumerate((4, 3)):
        going_on, apart = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        batches = [torch.randint(80, (8,), generator=going_on).float().tolist() for _ in range(24)]
        mixed = torch.randperm(80, generator=apart).float().split(8)
        checks.equal(large[k]["seen"], small[k]["seen"], f"images of the second model, seed {seed}", causes={
            "the generator went on where the first model had stopped; each model needs a fresh one": lambda batches=batches: (
                batches[12:] in (large[k]["seen"], small[k]["seen"])
            ),
            "batches come from torch's own random state, and the models took different amounts of it": lambda batches=batches: (
                batches[:12] not in (large[k]["seen"], small[k]["seen"])
            ),
        })  # fmt: skip
        checks.equal(small[k]["seen"], batches[:12], f"the batches, from a generator with seed {seed}", causes={
            "images were drawn without replacement; torch.randint draws with it": lambda mixed=mixed: (
                small[k]["seen"][:10] == [part.tolist() for part in mixed]
            ),
            "the runs do not stand in the order of `seeds`": lambda k=k, batches=batches: (
                small[1 - k]["seen"] == batches[:12]
            ),
            "every seed gets the same batches": lambda: small[0]["seen"] == small[1]["seen"],
        })  # fmt: skip

with checks.step(
    "images that are 0 give weights no gradient, so these only decay, by 0.05 times the rate of each step"
):
    secret = checks.fresh_seed()
    torch.manual_seed(secret)
    line = nn.Linear(3, 2).double()
    rate = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.8)
    plan, left = (
        torch.optim.lr_scheduler.OneCycleLR(rate, 0.8, total_steps=15, pct_start=0.2, cycle_momentum=False),
        1.0,
    )
    for _ in range(15):
        left *= 1 - 0.05 * rate.param_groups[0]["lr"]
        rate.step()
        plan.step()
    nothing = torch.zeros(9, 3, dtype=torch.float64), torch.arange(9) % 2
    (run,) = fair_train({"line": lambda: nn.Linear(3, 2).double()}, (*nothing, *nothing), 15, [secret], 4, 0.8)["line"]
    probes, weight = checks.normal(secret, dtype=torch.float64)(5, 3), line.weight.detach()
    came = run.model(probes) - run.model(torch.zeros(5, 3, dtype=torch.float64))  # without the bias, which learns
    checks.close(came, left * probes @ weight.T, "what the weights make of 5 inputs after 15 steps with peak 0.8", rtol=1e-6, atol=1e-9, causes={
        "weights did not decay": lambda: checks.near(came, probes @ weight.T, rtol=1e-6, atol=1e-9) and not checks.near(
            run.model(torch.zeros(1, 3, dtype=torch.float64)), line.bias.detach()[None]  # where it learned at all
        ),
    })  # fmt: skip

with checks.step("what a run says"):
    checks.equal([run["params"] for run in runs], [8, 8, 64, 64], "parameters", causes={
        "only parameters that want gradients were counted": [4] * 4,
        "buffers were counted as well, as a state dict holds them": [11, 11, 67, 67],
    })  # fmt: skip
    for run in runs:
        checks.equal(any(run["training"]), False, "whether a part of the returned model is in train mode")
        checks.equal(run["order"], sorted(run["order"], reverse=True), "train mode of all calls: first learning, then measuring", causes={
            "accuracy was measured during the training as well": lambda run=run: False in run["order"][: run["order"].index(True)] or not run["order"][-2],
        })  # fmt: skip
        checks.equal(run["asked"], numbers[80:].flatten().tolist(), "the images on which accuracy is measured, once", causes={
            "accuracy was measured on the training images": numbers[:80].flatten().tolist(),
        })  # fmt: skip
        checks.that(isinstance(run["accuracy"], float), "accuracy is a float", came=checks.describe(run["accuracy"]))
        checks.that(abs(run["accuracy"] - run["right"]) < 1e-6, "accuracy is the share of test images that are right",
            came=f"{run['accuracy']}", expected=f"{run['right']}")  # fmt: skip
        checks.equal(
            run["wants"],
            [False, False, True, True],
            "requires_grad of the parameters, of which the first two were made frozen",
        )
        checks.that(run["seconds"] > 0, "seconds of CPU time are positive", came=f"{run['seconds']}")
    spent = sum(run["seconds"] for run in runs)
    checks.that(
        spent <= found["longest"] + 1e-6,
        "all trainings together take no more CPU time than the whole call",
        came=f"{spent}",
        expected=f"at most {found['longest']}",
    )
    for run in runs:
        checks.that(
            run["seconds"] <= run["limit"] + 1e-6,
            "seconds of the training end before accuracy is measured",
            came=f"{run['seconds']}",
            expected=f"at most {run['limit']}",
            causes={"the time of the measuring was counted, too": run["seconds"] <= found["longest"]},
        )


# %% test="budget" points=3
class Shaky(nn.Module):
    """A line with dropout before it: in train mode every call differs."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.line = nn.Dropout(0.5), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.line(self.drop(images))


def accuracies(train: Callable, data: tuple) -> list:
    return [run.accuracy for run in train({"shaky": Shaky}, data, 40, [5, 6], lr=0.05)["shaky"]]


with checks.step("40 steps on two clouds of points: training works"):
    randn = checks.normal(seed=0)
    y = torch.arange(300) % 2
    x = randn(300, 4) + 2.5 * (y[:, None] * 2 - 1)
    reached = checks.beside(accuracies, fair_train, (x[:200], y[:200], x[200:], y[200:]))
    checks.equal(len(reached), 2, "the number of runs")
    checks.that(min(reached) > 0.95, "test accuracy above 0.95", came=f"{min(reached):.3f}", causes={
        "accuracy was measured with dropout: model.eval() first": lambda: min(reached) > 0.8,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def plain_line() -> nn.Module:
    return nn.Linear(4, 3).double()


def wide_line() -> nn.Module:
    """The same after 50 more random numbers."""
    torch.rand(50)
    return nn.Linear(4, 3).double()


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images + 0.5 * torch.rand(len(images), 4, generator=generator, dtype=torch.float64)


def learned(
    data: tuple, make: Callable, steps: int, seed: int, batch: int = 48, lr: float = 3e-3, augment: Callable | None = None,
    first: Callable = lambda: None, own: bool = False, decay: float = 0.05, warm: float = 0.2, cleared: bool = True, frozen_rate: bool = False,
    added: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Weights (3, 5) of a line after the recipe, with gradients in closed form; the options are mistakes."""
    x, y = data[:2]
    torch.manual_seed(seed)
    first()
    line, draw, other = make(), torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(line.parameters(), lr, weight_decay=decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=warm)
    with torch.no_grad():
        for _ in range(steps):
            picked = torch.randint(len(x), (batch,), generator=draw)
            images = augment(x[picked], other if own else draw) if augment else x[picked]
            error = ((images @ line.weight.T + line.bias).softmax(1) - F.one_hot(y[picked], 3)) / (
                1 if added else batch
            )
            for parameter, slope in ((line.weight, error.T @ images), (line.bias, error.sum(0))):
                parameter.grad = slope if cleared or parameter.grad is None else parameter.grad + slope
            optimizer.step()
            if not frozen_rate:
                plan.step()
    return torch.cat([line.weight, line.bias[:, None]], dim=1).detach()


randn, labels = checks.normal(seed=3, dtype=torch.float64), torch.arange(90) % 3
points = randn(90, 4) + 1.5 * torch.eye(3, 4, dtype=torch.float64)[labels]
data = (points[:60], labels[:60], points[60:], labels[60:])
faint = (1e-7 * data[0], data[1], 1e-7 * data[2], data[3])  # gradients as small as the eps in AdamW's divisor
makers = {"first": plain_line, "wide": wide_line, "last": plain_line}
for title, given, steps, seeds, options in (
    ("30 steps of 7 images, rate 0.02, seeds 6 and 2", data, 30, [6, 2], {"batch": 7, "lr": 0.02}),
    ("25 steps with the defaults, seed 9", data, 25, [9], {}),
    ("20 steps with augmentation, seed 1", data, 20, [1], {"augment": shifted, "lr": 0.05, "batch": 11}),
    ("20 steps of 8 faint images, seed 4", faint, 20, [4], {"batch": 8}),
):
    with checks.step(f"weights of three lines after {title}, against gradients in closed form"):
        found = fair_train(makers, given, steps, seeds, **options)
        for name, make in makers.items():
            checks.equal(len(found[name]), len(seeds), f"the number of runs of {name!r}")
            for k, seed in enumerate(seeds):
                came = found[name][k].model
                came = torch.cat([came.weight, came.bias[:, None]], dim=1)
                known = (given, make, steps, seed)
                checks.close(came, learned(*known, **options), f"the weights of {name!r}, seed {seed}", rtol=1e-6, atol=1e-8, causes={
                    "the models do not start from the same seed: set it before each of them": lambda: name != "first" and any(
                        checks.near(came, learned(*known, first=before, **options), rtol=1e-6, atol=1e-8)
                        for before in (plain_line, lambda: (plain_line(), wide_line()))
                    ),
                    "gradients of earlier batches were not cleared": learned(*known, cleared=False, **options),
                    "the losses of a batch were added; take their mean": learned(*known, added=True, **options),
                    "the schedule was never stepped": learned(*known, frozen_rate=True, **options),
                    "weight decay was left at AdamW's default": learned(*known, decay=0.01, **options),
                    "weights did not decay": learned(*known, decay=0.0, **options),
                    "pct_start was left at its default": learned(*known, warm=0.3, **options),
                    "the rate is fixed, whatever `lr` says": learned(*known, **options | {"lr": 3e-3}),
                    "augment got a generator of its own, not that of the batches": lambda: (
                        checks.near(came, learned(*known, own=True, **options), rtol=1e-6, atol=1e-8)
                    ),
                    "augment got torch's own random state, not the generator of the batches": lambda: options.get("augment") and (
                        checks.near(came, learned(*known, **options | {"augment": lambda images, draw: shifted(images, torch.default_generator)}))
                    ),
                    "augment was never called": learned(*known, **options | {"augment": None}),
                })  # fmt: skip
        right = [(given[2] @ run.model.weight.T + run.model.bias).argmax(1) == given[3] for run in found["last"]]
        accuracies = torch.tensor([run.accuracy for run in found["last"]], dtype=torch.float64)
        checks.close(accuracies, torch.stack(right).double().mean(1), "accuracies", rtol=0.0, atol=1e-6)  # also float32

with checks.step("1,203 test images: all of them count"):
    many, kinds = randn(1203, 4), torch.arange(1203) % 3
    (run,) = fair_train({"line": plain_line}, (*data[:2], many, kinds), 2, [5])["line"]
    right = (many @ run.model.weight.T + run.model.bias).argmax(1) == kinds
    checks.that(
        abs(run.accuracy - right.double().mean().item()) < 1e-6,
        "the accuracy",
        came=f"{run.accuracy}",
        expected=f"{right.double().mean().item()}",
    )
### END HIDDEN TESTS


# %% test="gradcam" points=5
class OneLayer(nn.Module):
    """The images themselves are the maps; a linear head follows, after the mean over places or without it."""

    def __init__(self, weight: torch.Tensor, pooled: bool) -> None:
        super().__init__()
        self.maps, self.pooled = nn.Identity(), pooled
        self.head = nn.Linear(weight.shape[1], len(weight), bias=False)
        with torch.no_grad():
            self.head.weight.copy_(weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maps(images)
        return self.head(maps.mean((2, 3)) if self.pooled else maps.flatten(1))


two_maps = torch.tensor([[[[3.0, 1.0], [0.0, 2.0]], [[1.0, 2.0], [0.0, 1.0]]]])
with checks.step("two maps [[3, 1], [0, 2]] and [[1, 2], [0, 1]], z = mean of the first - mean of the second"):
    model = OneLayer(torch.tensor([[1.0, -1.0], [-1.0, 0.0]]), pooled=True)
    maps = grad_cam(model, "maps", two_maps, torch.tensor([0]))
    checks.shape(maps, (1, 2, 2), "the result")
    checks.close(maps, torch.tensor([[[1.0, 0.0], [0.0, 0.5]]]), "the map", causes={
        "the ReLU is missing": torch.tensor([[[1.0, -0.5], [0.0, 0.5]]]),
        "what speaks against the class was dropped before the sum; negative channels must be able to take something away": torch.tensor(
            [[[1.0, 1 / 3], [0.0, 2 / 3]]]
        ),
        "absolute values instead of a ReLU": torch.tensor([[[1.0, 0.5], [0.0, 0.5]]]),
        "the map was not divided by its maximum": torch.tensor([[[0.5, 0.0], [0.0, 0.25]]]),
        "every channel counted for the class: the weights are missing, or their signs": torch.tensor([[[1.0, 0.75], [0.0, 0.75]]]),
    })  # fmt: skip

with checks.step("the same maps, the class with z = -mean of the first: nothing speaks for it"):
    checks.close(grad_cam(model, "maps", two_maps, torch.tensor([1])), torch.zeros(1, 2, 2), "the map", causes={
        "0 divided by 0: a map of zeros must stay as it is": lambda: bool(
            grad_cam(model, "maps", two_maps, torch.tensor([1])).isnan().any()
        ),
        "the predicted class was explained, not the one that was asked about": torch.tensor([[[1.0, 0.0], [0.0, 0.5]]]),
    })  # fmt: skip

with checks.step("the same maps twice in one batch, asked about either class"):
    maps = grad_cam(model, "maps", two_maps.repeat(2, 1, 1, 1), torch.tensor([1, 0]))
    checks.close(maps, torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.5]]]), "the maps", causes={
        "0 divided by 0: a map of zeros must stay as it is": lambda: bool(maps.isnan().any()),
    })  # fmt: skip

with checks.step("one map, a head that weighs places differently: gradients 4, 0, -2, 2 have mean 1"):
    one_map = torch.tensor([[[[1.0, 2.0], [4.0, 3.0]]]])
    model = OneLayer(torch.tensor([[4.0, 0.0, -2.0, 2.0]]), pooled=False)
    maps = grad_cam(model, "maps", one_map, torch.tensor([0]))
    checks.close(maps, one_map[0] / 4, "the map", causes={
        "each place was weighed by its own gradient; average the gradient over places first": torch.tensor(
            [[[2 / 3, 0.0], [0.0, 1.0]]]
        ),
    })  # fmt: skip

with checks.step(
    "a second map of fours with gradients 1; the first one has 4, 0, -6, -2 with mean -1: it speaks against the class"
):
    maps = torch.cat([one_map, torch.full((1, 1, 2, 2), 4.0)], dim=1)
    model = OneLayer(torch.tensor([[4.0, 0.0, -6.0, -2.0, 1.0, 1.0, 1.0, 1.0]]), pooled=False)
    checks.close(grad_cam(model, "maps", maps, torch.tensor([0])), torch.tensor([[[1.0, 2 / 3], [0.0, 1 / 3]]]), "the map", causes={
        "the largest gradient of a channel was taken; take the mean": torch.tensor([[[0.4, 0.6], [1.0, 0.8]]]),
    })  # fmt: skip

with checks.step("three random images of 4 x 5 places with 6 maps, a mean over places, random heads of 3 classes"):
    randn = checks.normal(checks.fresh_seed())
    maps, weight, asked = randn(3, 6, 4, 5), randn(3, 6), torch.tensor([2, 0, 1])
    wanted = (maps * weight[asked][:, :, None, None]).sum(1).clamp(min=0)
    wanted = wanted / wanted.flatten(1).max(1).values.clamp(min=1e-9)[:, None, None]
    checks.close(grad_cam(OneLayer(weight, pooled=True), "maps", maps, asked), wanted, "the maps", rtol=1e-3, atol=1e-4)


# %% test="gradcam" points=5
class CamNet(nn.Module):
    """Convolution, ReLU, mean over places, linear: here Grad-CAM must be CAM (Zhou et al. 2016) up to a factor."""

    def __init__(self, seed: int, channels: int, kernels: int, classes: int, stride: int) -> None:
        super().__init__()
        randn = checks.normal(seed)
        self.body = nn.Sequential(nn.Conv2d(channels, kernels, 3, stride, padding=1), nn.ReLU())
        self.head = nn.Linear(kernels, classes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(randn(*parameter.shape))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images).mean((2, 3)))


def class_activation(model: CamNet, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """ReLU of the maps weighed by the rows of the head, (B, 1, h, w): no gradient needed."""
    with torch.no_grad():
        return torch.einsum("bkhw,bk->bhw", model.body(images), model.head.weight[targets]).relu()[:, None]


def enlarged(maps: torch.Tensor, size: tuple, **how: object) -> torch.Tensor:
    maps = F.interpolate(maps, size, **(how or {"mode": "bilinear", "align_corners": False}))[:, 0]
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def cam_check(seed: int, batch: int, channels: int, size: tuple, stride: int) -> None:
    model, images = CamNet(seed, channels, 5, 4, stride), checks.normal(seed + 100)(batch, channels, *size)
    targets = torch.arange(batch) % 4
    cam = class_activation(model, images, targets)
    wanted = enlarged(cam, size)
    largest = F.interpolate(cam, size, mode="bilinear")[:, 0]
    checks.close(grad_cam(model, "body", images, targets), wanted, "the maps", causes={
        "all maps were divided by the largest value of the batch; each image has its own": largest / largest.max(),
        "enlarged by repeating values; bilinear was asked for": enlarged(cam, size, mode="nearest"),
        "the map was stretched to the corners; align_corners must be False": enlarged(cam, size, mode="bilinear", align_corners=True),
        "divided by the maximum before enlarging, which lowers the peak": F.interpolate(
            cam / cam.amax((1, 2, 3), keepdim=True).clamp(min=1e-12), size, mode="bilinear"
        )[:, 0],
        "all images were asked about the class of the first": enlarged(class_activation(model, images, targets[:1].expand(batch)), size),
    })  # fmt: skip


with checks.step("against CAM: 3 images of 12 x 12, maps of 6 x 6"):
    cam_check(10, 3, 1, (12, 12), 2)

### BEGIN HIDDEN TESTS
for seed, batch, channels, size, stride in ((1, 1, 3, (8, 8), 1), (2, 5, 3, (10, 14), 2), (3, 4, 1, (16, 12), 3)):
    with checks.step(f"against CAM: {batch} images of {size[0]} x {size[1]} with {channels} channels, stride {stride}"):
        cam_check(seed, batch, channels, size, stride)

with checks.step("float64"):
    model, images = CamNet(4, 1, 5, 4, 2).double(), checks.normal(5, dtype=torch.float64)(2, 1, 8, 8)
    targets = torch.tensor([3, 1])
    wanted = enlarged(class_activation(model, images, targets), (8, 8))
    checks.close(grad_cam(model, "body", images, targets), wanted, "the maps", atol=1e-10)
### END HIDDEN TESTS


# %% test="gradcam" points=4
class Normed(nn.Module):
    """A convolution with batch norm, and a layer inside a layer that has two more: `trunk.maps`."""

    def __init__(self, overwrites: bool = False) -> None:
        super().__init__()
        self.trunk = nn.Sequential()
        self.trunk.add_module("maps", nn.Conv2d(1, 4, 3, padding=1))
        self.relu = nn.ReLU(inplace=overwrites)
        self.trunk.add_module("bend", self.relu)
        self.trunk.add_module("mix", nn.Conv2d(4, 4, 1))
        self.trunk.add_module("still", nn.Identity())
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.norm(self.trunk(images))).mean((2, 3)))


class Broken(nn.Module):
    """A part that fails."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        raise ArithmeticError("this part is broken")


def normed(seed: int, overwrites: bool = False) -> Normed:
    torch.manual_seed(seed)
    model = Normed(overwrites)
    model.train()
    for _ in range(5):
        model(2 + torch.randn(8, 1, 6, 6))  # running statistics unlike those of a later batch
    return model


def explained(
    fn: Callable, model: nn.Module, images: torch.Tensor, targets: torch.Tensor, frozen: bool, grad: bool
) -> tuple:
    """Maps of a model in train mode, whether they want gradients, and whether gradients are on after the call."""
    model.train().requires_grad_(not frozen)
    with torch.set_grad_enabled(grad):
        maps = fn(model, "trunk.maps", images, targets)
        after = torch.is_grad_enabled()
    return maps, maps.requires_grad, after


images, targets = checks.normal(seed=1)(4, 1, 6, 6), torch.tensor([0, 1, 2, 0])
with checks.step("what is left behind on a model in use"):
    checks.as_found(checks.beside(unchanged.asked, grad_cam, normed(0), "trunk.maps", images, targets))
    maps, tracked, _ = checks.beside(explained, grad_cam, normed(0), images, targets, False, True)
    checks.equal(tracked, False, "requires_grad of the result")

### BEGIN HIDDEN TESTS
with checks.step("what is left behind when a part of the model raises an error"):
    broken = normed(0)
    broken.head = Broken()
    seen = checks.beside(unchanged.asked, grad_cam, broken, "trunk.maps", images, targets)
    checks.equal(seen["raised"], "ArithmeticError", "the error that reaches the caller")
    checks.as_found(seen)


def calm_maps(model: Normed) -> torch.Tensor:
    """Grad-CAM from torch's gradient of the part behind the layer, in eval mode."""
    model.eval()
    found = model.trunk.maps(images).detach().requires_grad_()
    logits = model.head(model.norm(model.trunk.mix(found.relu())).relu().mean((2, 3)))
    slope = torch.autograd.grad(logits[torch.arange(4), targets].sum(), found)[0].mean((2, 3), keepdim=True)
    maps = (slope * found.detach()).sum(1).relu()
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


with checks.step("against the gradient of what is behind the layer"):
    checks.close(maps, calm_maps(normed(0)), "the maps of a model in train mode")
    checks.close(
        grad_cam(normed(1).eval(), "trunk.maps", images, targets),
        calm_maps(normed(1)),
        "the maps of a model in eval mode",
    )

with checks.step("an image alone and in a batch, with batch norm in train mode"):
    for row in range(4):
        one = slice(row, row + 1)
        alone, _, _ = checks.beside(explained, grad_cam, normed(0), images[one], targets[one], False, True)
        checks.close(alone[0], maps[row], f"the map of image {row}")

with checks.step("under torch.no_grad()"):
    quiet, _, on = checks.beside(explained, grad_cam, normed(0), images, targets, False, False)
    checks.close(quiet, maps, "the maps")
    checks.equal(on, False, "whether gradients are on after the call, under torch.no_grad()", causes={
        "set_grad_enabled stays in force outside of a with statement; write `with torch.enable_grad():`": True,
    })  # fmt: skip

with checks.step("a model with frozen parameters"):
    frozen, _, _ = checks.beside(explained, grad_cam, normed(0), images, targets, True, True)
    checks.close(frozen, maps, "the maps")

with checks.step("a ReLU behind the layer that overwrites what it is given"):
    after, _, _ = checks.beside(explained, grad_cam, normed(0, overwrites=True), images, targets, False, True)
    checks.close(after, maps, "the maps", causes={
        "what was kept of the layer was overwritten by the ReLU behind it; let the model go on with a copy": lambda: not checks.near(after, maps),
    })  # fmt: skip

with checks.step(
    "a model whose logits are a million times smaller: each map is divided by its largest value, however small"
):
    faint = normed(0).eval()
    with torch.no_grad():
        faint.head.weight *= 1e-6
    checks.close(grad_cam(faint, "trunk.maps", images, targets), calm_maps(normed(0)), "the maps", rtol=1e-3, atol=1e-4, causes={
        "a small number was added to the largest value, or took its place": lambda: float(grad_cam(faint, "trunk.maps", images, targets).amax()) < 0.999,
    })  # fmt: skip
### END HIDDEN TESTS


# %% test="attacks" points=4
def line(weight: Sequence, bias: Sequence = (0.0, 0.0)) -> nn.Linear:
    """A linear model with these rows."""
    model = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weight))
        model.bias.copy_(torch.tensor(bias))
    return model


two = line([[0.1, -0.2], [-0.1, 0.2]])
with checks.step("two pixels (0.5, 0.5), logits z0 = (a - 2b) / 10 and z1 = -z0, true class 1, eps 0.1"):
    x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([1])
    moved = fgsm(two, x, y, 0.1)
    checks.shape(moved, (1, 2), "the result")
    checks.close(moved, torch.tensor([[0.6, 0.4]]), "the attacked pixels", causes={
        "the sign was subtracted: that lowers the loss": torch.tensor([[0.4, 0.6]]),
        "the gradient itself was added; take its sign": (
            x + 0.1 * (two(x).softmax(1) - F.one_hot(y, 2)) @ two.weight
        ).detach(),
        "eps was divided by 255; here it is in units of [0, 1] already": torch.tensor([[0.5 + 0.1 / 255, 0.5 - 0.1 / 255]]),
    })  # fmt: skip

with checks.step("the model is wrong already: the true class 0 is attacked, not the predicted class 1"):
    x, y = torch.tensor([[0.3, 0.7]]), torch.tensor([0])
    checks.close(fgsm(two, x, y, 0.1), torch.tensor([[0.2, 0.8]]), "the attacked pixels", causes={
        "the predicted class was attacked: that repairs what the model gets wrong": torch.tensor([[0.4, 0.6]]),
    })  # fmt: skip

with checks.step("pixels (0.95, 0.02), true class 1, eps 0.1: no pixel leaves [0, 1]"):
    x, y = torch.tensor([[0.95, 0.02]]), torch.tensor([1])
    checks.close(fgsm(two, x, y, 0.1), torch.tensor([[1.0, 0.0]]), "the attacked pixels", causes={
        "the range was forgotten: a pixel below 0 or above 1 is no pixel": torch.tensor([[1.05, -0.08]]),
    })  # fmt: skip

with checks.step("nine random pixels of five images, two random rows of weights"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    x, y = torch.rand(5, 9, generator=draw), torch.tensor([0, 1, 1, 0, 1])
    rows = torch.randn(2, 9, generator=draw)
    uphill = (rows[1 - y] - rows[y]).sign()  # raises the other logit over the true one
    checks.close(fgsm(line(rows.tolist()), x, y, 0.07), (x + 0.07 * uphill).clamp(0, 1), "the attacked pixels")

with checks.step("eps 0 changes nothing, and a negative eps is refused"):
    x, y = torch.tensor([[0.95, 0.02]]), torch.tensor([1])
    checks.equal(fgsm(two, x, y, 0.0), x, "the pixels with eps 0")
    checks.raises(ValueError, fgsm, two, x, y, -0.1, name="eps -0.1")
    checks.raises(ValueError, fgsm, two, x, y, 0.1, 1.0, 0.0, name="lo = 1 above hi = 0")
    checks.raises(ValueError, fgsm, two, x, y, 0.0, 0.5, 0.5, name="lo equal to hi, also with eps 0")


# %% test="attacks" points=4
def linear_model(seed: int, classes: int, pixels: int) -> nn.Linear:
    model = nn.Linear(pixels, classes).double()
    randn = checks.normal(seed, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(randn(classes, pixels))
        model.bias.copy_(randn(classes))
    return model


def direction(model: nn.Linear, x: torch.Tensor, y: torch.Tensor, twice: bool = False) -> torch.Tensor:
    """The sign of the gradient in closed form, (p - onehot) W; `twice`: with a softmax before the cross-entropy."""
    with torch.no_grad():
        p = model(x).softmax(-1)
        onehot = F.one_hot(y, p.shape[-1]).to(p)
        if not twice:
            return ((p - onehot) @ model.weight).sign()
        outer = p.softmax(-1) - onehot
        return ((p * (outer - (p * outer).sum(-1, keepdim=True))) @ model.weight).sign()


def linear_case(seed: int, classes: int, pixels: int, batch: int, eps: float) -> None:
    model = linear_model(seed, classes, pixels)
    x = 0.3 + 0.4 * torch.rand(batch, pixels, generator=torch.Generator().manual_seed(seed)).double()
    y = torch.arange(batch) % classes
    moved = fgsm(model, x, y, eps)
    checks.close(moved, x + eps * direction(model, x, y), "the attacked pixels", atol=1e-10, causes={
        "cross_entropy got probabilities; it takes the softmax itself": x + eps * direction(model, x, y, twice=True),
        "the predicted class was attacked": x + eps * direction(model, x, model(x).argmax(-1)),
        "all images were attacked with the gradient of their mean": lambda: batch > 1 and bool(
            ((moved - x).sign() == (moved - x).sign()[:1]).all()
        ),
    })  # fmt: skip


with checks.step("a linear model with 4 classes, 12 images of 6 pixels, against the closed form"):
    linear_case(0, 4, 6, 12, 0.05)

### BEGIN HIDDEN TESTS
for seed, classes, pixels, batch, eps in ((1, 2, 9, 1, 0.2), (2, 3, 5, 30, 0.01), (3, 7, 20, 8, 0.1)):
    with checks.step(f"a linear model with {classes} classes, {batch} images of {pixels} pixels, eps {eps}"):
        linear_case(seed, classes, pixels, batch, eps)

with checks.step("two classes: no random point of the ball has a larger loss"):
    model, eps = linear_model(5, 2, 8), 0.1
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(4, 8, generator=draw).double(), torch.tensor([0, 1, 0, 1])
    moved = fgsm(model, x, y, eps)
    with torch.no_grad():
        mine = F.cross_entropy(model(moved), y, reduction="none")
        noise = (2 * torch.rand(500, 4, 8, generator=draw).double() - 1) * eps
        losses = torch.stack([F.cross_entropy(model((x + one).clamp(0, 1)), y, reduction="none") for one in noise])
    gap = float((losses.amax(0) - mine).max())
    checks.that(gap <= 1e-9, "FGSM has the largest loss", came=f"a random point is higher by {gap:.3g}")

with checks.step("another range: pixels from -1 to 2"):
    x = torch.tensor([[-0.95, 1.9]], dtype=torch.float64)
    model = linear_model(6, 2, 2)
    moved = fgsm(model, x, torch.tensor([0]), 0.2, -1.0, 2.0)
    wanted = (x + 0.2 * direction(model, x, torch.tensor([0]))).clamp(-1, 2)
    checks.close(moved, wanted, "the attacked pixels", atol=1e-10)


class Noisy(nn.Module):
    """Batch norm and dropout before a linear head: every mode and every neighbor would show."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.norm = nn.Flatten(), nn.BatchNorm1d(5)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(self.flat(images))))


def noisy() -> Noisy:
    torch.manual_seed(0)
    model = Noisy()
    for _ in range(4):
        model(1 + torch.randn(16, 5))
    return model


class Fails(nn.Module):
    """A part that fails."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        raise ArithmeticError("this part is broken")


def attacked_in_train_mode(
    fn: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor, arguments: tuple, quiet: bool
) -> dict:
    """Of a model in train mode: the attacked images, the first two attacked alone, and whether they want gradients."""
    model.train()
    with torch.set_grad_enabled(not quiet):
        moved, alone = fn(model, x, y, *arguments), fn(model, x[:2], y[:2], *arguments)
        on = torch.is_grad_enabled()
    return {"moved": moved, "alone": alone, "tracked": moved.requires_grad, "on": on}


draw = torch.Generator().manual_seed(4)
x, y = torch.rand(6, 5, generator=draw), torch.tensor([0, 1, 2, 2, 1, 0])
with checks.step("fgsm on a model in use"):
    checks.as_found(checks.beside(unchanged.asked, fgsm, noisy(), x, y, 0.1))

with checks.step("fgsm on a model in which a part raises an error"):
    broken = noisy()
    broken.head = Fails()
    seen = checks.beside(unchanged.asked, fgsm, broken, x, y, 0.1)
    checks.equal(seen["raised"], "ArithmeticError", "the error that reaches the caller")
    checks.as_found(seen)

with checks.step("fgsm on a model in train mode, and under torch.no_grad()"):
    calm = noisy().eval()
    with torch.no_grad():
        p = calm(x).softmax(1) - F.one_hot(y, 3)
        wanted = (x + 0.1 * ((p @ calm.head.weight) * calm.norm.weight).sign()).clamp(0, 1)
    for quiet in (False, True):
        found = checks.beside(attacked_in_train_mode, fgsm, noisy(), x, y, (0.1,), quiet)
        checks.equal(found["tracked"], False, "whether the result wants gradients")
        checks.equal(found["on"], not quiet, "whether gradients are on after the call")
        checks.close(found["moved"], wanted, "the attacked images, as in eval mode")
        checks.close(found["alone"], wanted[:2], "the first two images, attacked without the others")

with checks.step("a pixel that the model does not look at: the sign of 0 is 0"):
    model, x = linear_model(8, 3, 4), torch.full((3, 4), 0.4, dtype=torch.float64)
    with torch.no_grad():
        model.weight[:, 2] = 0
    y = torch.tensor([2, 0, 1])
    checks.close(
        fgsm(model, x, y, 0.1), x + 0.1 * direction(model, x, y), "the attacked pixels, the third unchanged", atol=1e-10
    )


def of_leaf(fn: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor, arguments: tuple) -> tuple:
    """Whether the result wants gradients where x does, and whether x got any."""
    leaf = x.clone().requires_grad_()
    moved = fn(model, leaf, y, *arguments)
    return moved.requires_grad, leaf.grad is not None


with checks.step("fgsm on an x that wants gradients"):
    tracked, touched = checks.beside(of_leaf, fgsm, model, x, y, (0.1,))
    checks.equal(tracked, False, "whether the result wants gradients")
    checks.equal(touched, False, "whether x got gradients")
### END HIDDEN TESTS


# %% test="attacks" points=4
def slope(factor: float, lead: float = 4.0) -> nn.Linear:
    """One pixel, two classes; the loss of class 0 rises with the pixel if the factor is positive. Class 0 leads by `lead`
    where the pixel is 0."""
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [factor]]))
        model.bias.copy_(torch.tensor([lead, 0.0]))
    return model


zero = torch.tensor([0])
for steps, wanted in ((1, 0.54), (2, 0.58), (10, 0.6), (3, 0.6)):
    with checks.step(f"one pixel 0.5, eps 0.1, {steps} steps of 0.04"):
        came = pgd(slope(3.0), torch.tensor([[0.5]]), zero, 0.1, 0.04, steps, False)
        checks.close(came, torch.tensor([[wanted]]), "the attacked pixel", causes={
            "the ball was laid around the current point, so it wanders; it belongs to the clean image": torch.tensor(
                [[min(1.0, 0.5 + steps * 0.04)]]
            ),
            "the sign was subtracted": torch.tensor([[max(0.4, 0.5 - steps * 0.04)]]),
            "only one step was taken": torch.tensor([[0.54]]),
        })  # fmt: skip

with checks.step(
    "the model is wrong already: class 1 leads, and the true class 0 is attacked all the same, 2 steps of 0.04"
):
    came = pgd(slope(3.0, lead=0.0), torch.tensor([[0.5]]), zero, 0.1, 0.04, 2, False)
    checks.close(came, torch.tensor([[0.58]]), "the attacked pixel", causes={
        "the predicted class was attacked: that repairs what the model gets wrong": torch.tensor([[0.42]]),
        "the attack stopped where the model was fooled": torch.tensor([[0.5]]),
    })  # fmt: skip

with checks.step("one pixel 0.97: it stays below 1; one pixel 0.01 that is pushed down: it stays above 0"):
    checks.close(
        pgd(slope(3.0), torch.tensor([[0.97]]), zero, 0.1, 0.04, 5, False), torch.tensor([[1.0]]), "the first pixel"
    )
    checks.close(
        pgd(slope(-3.0), torch.tensor([[0.01]]), zero, 0.1, 0.04, 5, False), torch.tensor([[0.0]]), "the second pixel"
    )


with checks.step("six random pixels of four images, a random linear model of two classes, 3 steps of 0.03"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    x, y, rows = torch.rand(4, 6, generator=draw), torch.tensor([1, 0, 0, 1]), torch.randn(2, 6, generator=draw)
    model = nn.Linear(6, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(rows)
    uphill = (rows[1 - y] - rows[y]).sign()
    for eps, reach in ((0.2, 0.09), (0.05, 0.05)):
        came = pgd(model, x, y, eps, 0.03, 3, False)
        checks.close(came, (x + reach * uphill).clamp(0, 1), f"the attacked pixels with eps {eps}")


def started(fn: Callable, x: torch.Tensor, y: torch.Tensor, eps: float, seed: int, elsewhere: int) -> tuple:
    """The random start alone (no steps), from a generator; whether torch's own state is what it was."""
    torch.manual_seed(elsewhere)
    model = nn.Linear(x.shape[1], 2).to(x.dtype)
    state = torch.get_rng_state()
    start = fn(model, x, y, eps, 0.01, 0, generator=torch.Generator().manual_seed(seed))
    return start, torch.equal(state, torch.get_rng_state())


with checks.step("a random start without steps: 200 pixels 0.5, eps 0.1"):
    x, y = torch.full((1, 200), 0.5), torch.tensor([0])
    start, untouched = checks.beside(started, pgd, x, y, 0.1, 7, 0)
    shift = start - x
    checks.that(
        float(shift.abs().max()) <= 0.1 + 1e-6,
        "no pixel moved by more than 0.1",
        came=f"{float(shift.abs().max()):.4f}",
    )
    checks.that(bool((shift > 0.02).any() and (shift < -0.02).any()), "pixels moved up and down", came=f"from {float(shift.min()):.3f} to {float(shift.max()):.3f}", causes={
        "the noise is never negative: torch.rand lies in [0, 1]": lambda: float(shift.min()) >= 0 and float(shift.max()) > 0.02,
        "the attack starts at x itself": lambda: float(shift.abs().max()) == 0.0,
    })  # fmt: skip
    again, _ = checks.beside(started, pgd, x, y, 0.1, 7, 1)
    checks.equal(again, start, "the start from a generator with the same seed", causes={
        "the generator was not used; noise came from torch's own state": lambda: not untouched,
    })  # fmt: skip
    other, _ = checks.beside(started, pgd, x, y, 0.1, 8, 0)
    checks.that(not torch.equal(other, start), "another seed gives another start", came="the same start")


# %% test="attacks" points=4
class Curved(nn.Module):
    """A small network with tanh, random weights."""

    def __init__(self, seed: int, pixels: int) -> None:
        super().__init__()
        randn = checks.normal(seed)
        self.body = nn.Sequential(nn.Linear(pixels, 24), nn.Tanh(), nn.Linear(24, 3))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(2 * randn(*parameter.shape) / parameter.shape[-1] ** 0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body((images.flatten(1) - 0.5) * 6)


class Hill(nn.Module):
    """One pixel: the loss of class 0 has its top at 0.55."""

    def forward(self, pixel: torch.Tensor) -> torch.Tensor:
        height = -200 * (pixel - 0.55) ** 2
        return torch.cat([torch.zeros_like(height), height], dim=1)


with checks.step("a hill with its top at 0.55, from 0.5, eps 0.2, 30 steps of 0.01"):
    came = pgd(Hill(), torch.tensor([[0.5]]), torch.tensor([0]), 0.2, 0.01, 30, False)
    gap = float((came - 0.55).abs().max())
    checks.that(gap <= 0.0101, "the pixel ends within a step of the top", came=f"{float(came.max()):.3f}", expected="0.55", causes={
        "the gradient was computed once, at the start; each step needs its own": lambda: abs(float(came) - 0.7) < 1e-4,
        "the sign was subtracted": lambda: abs(float(came) - 0.3) < 1e-4,
    })  # fmt: skip

### BEGIN HIDDEN TESTS
for seed, shape, eps in ((0, (1, 4, 4), 0.1), (1, (3, 2, 3), 0.05), (2, (9,), 0.2)):
    with checks.step(f"a curved network on 40 images of shape {shape}, eps {eps}: 20 steps against one"):
        draw = torch.Generator().manual_seed(seed)
        x, y = torch.rand(40, *shape, generator=draw), torch.arange(40) % 3
        model = Curved(seed, math.prod(shape))
        single, many = fgsm(model, x, y, eps), pgd(model, x, y, eps, eps / 5, 20, False)
        for name, moved in (("fgsm", single), ("pgd", many)):
            checks.shape(moved, x.shape, f"the result of {name}")
            reach, low, high = float((moved - x).abs().max()), float(moved.min()), float(moved.max())
            checks.that(reach <= eps + 1e-6, f"{name} keeps within eps", came=f"{reach:.4f}", expected=f"{eps}")
            checks.that(low >= 0 and high <= 1, f"{name} keeps within [0, 1]", came=f"from {low:.3f} to {high:.3f}")
        with torch.no_grad():
            clean, one, more = (F.cross_entropy(model(images), y).item() for images in (x, single, many))
        checks.that(one > clean, "FGSM raises the loss", came=f"{one:.4f}", expected=f"more than {clean:.4f}")
        checks.that(
            more >= one - 1e-6,
            "the loss after PGD is at least that after FGSM",
            came=f"{more:.4f}",
            expected=f"{one:.4f} or more",
        )

with checks.step("a random start near the edge of the range"):
    x, y = torch.tensor([[0.0, 1.0, 0.02, 0.99]]).repeat(1, 20), torch.tensor([0])
    start, _ = checks.beside(started, pgd, x, y, 0.3, 3, 0)
    checks.that(float(start.min()) >= 0 and float(start.max()) <= 1, "the start lies in [0, 1]", came=f"from {float(start.min()):.3f} to {float(start.max()):.3f}", causes={
        "the random start is not projected": lambda: float(start.min()) < 0,
    })  # fmt: skip
    x = torch.tensor([0.0, 0.06, 1.0]).repeat_interleave(2000)[None]
    start, _ = checks.beside(started, pgd, x, torch.tensor([0]), 0.2, 5, 0)
    stopped = ((start == 0) | (start == 1)).float().unflatten(1, (3, 2000)).mean(2)[0]
    # half of the noise leads out of the range at 0 and at 1, and 0.14 / 0.4 of it at 0.06; 2,000 pixels vary by 0.04
    checks.close(stopped, torch.tensor([0.5, 0.35, 0.5]), "the shares of pixels 0, 0.06 and 1 that start at an end of the range", rtol=0.0, atol=0.06, causes={
        "the start was drawn in the part of the ball that lies in the range; draw in the whole ball, then project": torch.zeros(3),
        "only corners of the ball are drawn": torch.full((3,), 0.5),
    })  # fmt: skip


def one_generator(fn: Callable, x: torch.Tensor, y: torch.Tensor) -> list:
    """Two random starts from one generator."""
    model, generator = nn.Linear(x.shape[1], 2), torch.Generator().manual_seed(4)
    return [fn(model, x, y, 0.1, 0.01, 0, generator=generator) for _ in range(2)]


with checks.step("two random starts from one generator differ"):
    one, two = checks.beside(one_generator, pgd, torch.full((2, 6), 0.5), torch.tensor([0, 1]))
    checks.that(not torch.equal(one, two), "the second call draws new numbers", came="the same start", causes={
        "the generator was seeded anew, or a copy of it was used": float((one - 0.5).abs().max()) > 0,
    })  # fmt: skip

with checks.step("torch's own random state does not matter when a generator is given"):
    _, untouched = checks.beside(started, pgd, x, y, 0.3, 3, 1)
    checks.that(untouched, "torch's own random state stays as it was", came="it moved on")


with checks.step("the random start of 3 images of 2,000 pixels 0.5, eps 0.1, in float64"):
    x, y = torch.full((3, 2000), 0.5, dtype=torch.float64), torch.tensor([0, 1, 0])
    start, _ = checks.beside(started, pgd, x, y, 0.1, 11, 0)
    checks.dtype(start, torch.float64, "the start")
    spread = (start - x) / 0.1
    edges = float((spread.abs() > 0.999).double().mean())
    # the sorted start of 6,000 pixels against the quantiles of a uniform distribution; 0.05 is 3.9 / sqrt(6000)
    gap = float((spread.flatten().sort().values - (torch.arange(6000) + 0.5).double() / 3000 + 1).abs().max()) / 2
    checks.that(gap < 0.05, "it is uniform in the ball", came=f"a distribution that is {gap:.2f} away", causes={
        "only corners of the ball are drawn": edges > 0.99,
        "normal noise that is cut off: the edges are drawn far too often": 0.1 < edges < 0.9,
        "the attack starts at x itself": bool((spread == 0).all()),
        "each image got one number for all its pixels": bool((spread == spread[:, :1]).all()),
    })  # fmt: skip
    checks.that(
        not torch.equal(spread[0], spread[1]), "each image has its own start", came="the same for the first two"
    )

with checks.step("a random start without a generator comes from torch's own state"):

    def own_state(fn: Callable, x: torch.Tensor, y: torch.Tensor) -> list:
        model, starts = nn.Linear(6, 2), []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            starts.append(fn(model, x, y, 0.1, 0.01, 0))
        return starts

    first, again, other = checks.beside(own_state, pgd, torch.full((2, 6), 0.5), torch.tensor([0, 1]))
    checks.equal(again, first, "the start after the same torch.manual_seed")
    checks.that(not torch.equal(other, first), "another torch.manual_seed gives another start", came="the same start", causes={
        "without a generator there is no random start": lambda: bool((first == 0.5).all()),
        "without a generator the start always comes from one seed of its own": lambda: not (first == 0.5).all(),
    })  # fmt: skip

with checks.step("eps 0, and arguments that make no sense"):
    x, y = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 0])
    model = nn.Linear(5, 2)
    checks.equal(pgd(model, x, y, 0.0, 0.1, 5, True), x, "the images with eps 0")
    checks.raises(ValueError, pgd, model, x, y, -0.1, 0.1, 2, name="eps -0.1")
    checks.raises(ValueError, pgd, model, x, y, 0.1, 0.1, 2, True, None, 0.5, 0.5, name="lo equal to hi")
    checks.raises(ValueError, pgd, model, x, y, 0.0, 0.1, 2, True, None, 1.0, 0.0, name="lo above hi, also with eps 0")
    checks.raises(ValueError, pgd, model, x, y, -0.1, 0.1, 0, False, name="eps -0.1, also without steps")


def steepest(model: Curved, x: torch.Tensor, y: torch.Tensor, eps: float, step: float, n_steps: int) -> torch.Tensor:
    """Projected steps along the sign of the gradient, which comes from the Jacobian of the logits."""
    moved = x
    for _ in range(n_steps):
        with torch.no_grad():
            error = model(moved).softmax(1) - F.one_hot(y, 3)
            bent = torch.tanh(model.body[0]((moved - 0.5) * 6))
            slope = ((error @ model.body[2].weight) * (1 - bent**2)) @ model.body[0].weight
        moved = torch.minimum(torch.maximum(moved + step * slope.sign(), x - eps), x + eps).clamp(0, 1)
    return moved


draw = torch.Generator().manual_seed(12)
x, y, model = torch.rand(5, 6, generator=draw).double(), torch.tensor([0, 1, 2, 0, 1]), Curved(7, 6).double()
for n_steps in (1, 4):
    with checks.step(f"{n_steps} steps of 0.04 on a curved network, eps 0.3, against the gradient by hand"):
        came = pgd(model, x, y, 0.3, 0.04, n_steps, False)
        checks.close(came, steepest(model, x, y, 0.3, 0.04, n_steps), "the attacked images", atol=1e-9)

with checks.step("a random start, then 6 steps of 0.04: the ball belongs to the clean image"):
    x = torch.full((3, 40), 0.5)
    y, model = torch.tensor([0, 1, 0]), nn.Linear(40, 2)
    with torch.no_grad():
        model.weight.copy_(checks.normal(9)(2, 40))
    way = (model.weight[1 - y] - model.weight[y]).detach().sign()
    came = pgd(model, x, y, 0.1, 0.04, 6, generator=torch.Generator().manual_seed(3))
    checks.close(came, x + 0.1 * way, "the attacked images, all of them in the corner that six steps reach", causes={
        "the ball was laid around the random start": lambda: float((came - x).abs().max()) > 0.1001,
        "there was no step after the random start": lambda: float((came - x).abs().min()) < 0.05,
    })  # fmt: skip

with checks.step("pixels from -1 to 2, two classes, 4 steps of 0.03 and of 0.08, eps 0.2, in float64"):
    model = nn.Linear(7, 2).double()
    randn = checks.normal(8, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(randn(2, 7))
    x = (0.5 + randn(5, 7)).clamp(-1, 2)
    y = torch.tensor([0, 1, 1, 0, 1])
    way = (model.weight[1 - y] - model.weight[y]).detach().sign()  # of a linear loss of two classes, everywhere
    for step, reach in ((0.03, 0.12), (0.08, 0.2)):
        came = pgd(model, x, y, 0.2, step, 4, False, None, -1.0, 2.0)
        checks.close(came, (x + reach * way).clamp(-1, 2), f"the attacked pixels after steps of {step}", atol=1e-10)


class OnlyNorm(nn.Module):
    """Batch norm before a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.norm, self.rest = nn.Flatten(), nn.BatchNorm1d(5), nn.Identity()
        self.head = nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.rest(self.norm(self.flat(images))))


class Breaks(nn.Module):
    """A part that fails when it is asked for the third time."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self._asked += 1
        if self._asked == 3:
            raise ArithmeticError("this part is broken")
        return features


def with_norm() -> OnlyNorm:
    torch.manual_seed(0)
    model = OnlyNorm()
    model(1 + torch.randn(16, 5))
    return model


def of_train_mode(fn: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor, quiet: bool) -> dict:
    """Of a model in train mode: the attacked images, the first two attacked alone, and whether they want gradients."""
    model.train()
    with torch.set_grad_enabled(not quiet):
        moved, alone = (fn(model, x[:k], y[:k], 0.1, 0.03, 3, False) for k in (6, 2))
        on = torch.is_grad_enabled()
    return {"moved": moved, "alone": alone, "tracked": moved.requires_grad, "on": on}


x, y = torch.rand(6, 5, generator=torch.Generator().manual_seed(3)), torch.tensor([0, 1, 2, 2, 1, 0])
with checks.step("pgd on a model in use"):
    checks.as_found(checks.beside(unchanged.asked, pgd, with_norm(), x, y, 0.1, 0.03, 5))

with checks.step("pgd on a model in which a part raises an error at the third step"):
    broken = with_norm()
    broken.rest = Breaks()
    seen = checks.beside(unchanged.asked, pgd, broken, x, y, 0.1, 0.03, 5)
    checks.equal(seen["raised"], "ArithmeticError", "the error that reaches the caller")
    checks.as_found(seen)

with checks.step("pgd on a model in train mode, and under torch.no_grad()"):
    calm, wanted = with_norm().eval(), x
    for _ in range(3):
        with torch.no_grad():
            p = calm(wanted).softmax(1) - F.one_hot(y, 3)
            wanted = wanted + 0.03 * ((p @ calm.head.weight) * calm.norm.weight).sign()
            wanted = torch.minimum(torch.maximum(wanted, x - 0.1), x + 0.1).clamp(0, 1)
    for quiet in (False, True):
        found = checks.beside(of_train_mode, pgd, with_norm(), x, y, quiet)
        checks.equal(found["tracked"], False, "whether the result wants gradients")
        checks.equal(found["on"], not quiet, "whether gradients are on after the call")
        checks.close(found["moved"], wanted, "the attacked images, as in eval mode")
        checks.close(found["alone"], wanted[:2], "the first two images, attacked without the others")


def on_another_device(fn: Callable, device: str) -> tuple:
    """The device and the shape of the result for a model and images on a device, with a generator on the CPU."""
    model, x = nn.Linear(4, 3, device=device), torch.full((2, 4), 0.5, device=device)
    y = torch.zeros(2, dtype=torch.int64, device=device)
    moved = fn(model, x, y, 0.1, 0.02, 2, generator=torch.Generator().manual_seed(0))
    return str(moved.device), tuple(moved.shape)


with checks.step("a model and images on another device, the generator on the CPU"):
    checks.equal(checks.beside(on_another_device, pgd, "meta"), ("meta", (2, 4)), "device and shape of the result")


def in_half(fn: Callable, steps: int) -> tuple:
    """The dtype of the result for a model and images in bfloat16, and whether it wants gradients where x does."""
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3).bfloat16(), torch.full((2, 4), 0.5, dtype=torch.bfloat16)
    y = torch.zeros(2, dtype=torch.int64)
    moved = fn(model, x.requires_grad_(), y, 0.25, 0.125, steps, generator=torch.Generator().manual_seed(0))
    return str(moved.dtype), moved.requires_grad


with checks.step("a model and images in bfloat16"):
    for steps in (0, 2):
        checks.equal(checks.beside(in_half, pgd, steps), ("torch.bfloat16", False), f"dtype of the result after {steps} steps, and whether it wants gradients")  # fmt: skip
### END HIDDEN TESTS


# %% test="cw" points=4
def half_space(weight: Sequence, bias: Sequence) -> nn.Linear:
    """A linear model with these rows and biases."""
    model = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weight))
        model.bias.copy_(torch.tensor(bias))
    return model


plane = half_space([[3.0, 4.0], [-3.0, -4.0]], [-3.0, 3.0])
with checks.step("two pixels (0.5, 0.5), margin 6a + 8b - 6 = 1: the border is 1/10 away"):
    x, y = torch.tensor([[0.5, 0.5]]), torch.tensor([0])
    moved, success = cw_l2(plane, x, y, 1.0, 0.0, 200, 0.02)
    checks.shape(moved, (1, 2), "the images")
    checks.shape(success, (1,), "success")
    checks.equal(success, torch.tensor([True]), "success", causes={
        "the image came back as it was: no iterate counted as one that fools the model": lambda: torch.equal(moved, x),
    })  # fmt: skip
    with torch.no_grad():
        checks.that(int(plane(moved).argmax()) == 1, "the model is fooled", came=f"logits {plane(moved)[0].tolist()}")
    length = float((moved - x).norm())
    checks.that(0.0999 <= length <= 0.11, "the change is between 0.1 and 0.11 long", came=f"{length:.4f}", causes={
        "200 steps give the image that 20 steps give: after a success the search goes on, for a nearer image (with the margin cut off at -kappa), and the nearest of all iterates is kept": lambda: torch.equal(
            cw_l2(plane, torch.tensor([[0.5, 0.5]]), y, 1.0, 0.0, 20, 0.02)[0], moved
        ),
    })  # fmt: skip

with checks.step("a border in a random direction, 0.12 away from the middle of four pixels"):
    way = F.normalize(checks.normal(checks.fresh_seed())(4), dim=0)
    apart = half_space(
        [(5 * way).tolist(), (-5 * way).tolist()], [0.6 - 2.5 * float(way.sum()), 2.5 * float(way.sum()) - 0.6]
    )
    middle = torch.full((1, 4), 0.5)
    moved, success = cw_l2(apart, middle, torch.tensor([0]), 1.0, 0.0, 200, 0.02)
    checks.equal(success, torch.tensor([True]), "success")
    length, along = float((moved - middle).norm()), float(-(moved - middle)[0] @ way)
    checks.that(along >= 0.1199 and length <= 0.14, "the image lies beyond the border, and nearly as near as it can",
        came=f"{along:.4f} toward the border, {length:.4f} in all", expected="0.12 or a little more")  # fmt: skip

with checks.step("c = 0.001 is too weak to reach the border: the image comes back as it was"):
    moved, success = cw_l2(plane, x, y, 0.001, 0.0, 60, 0.02)
    checks.equal(success, torch.tensor([False]), "success", causes={
        "success was claimed although the model is not fooled": lambda: bool(success) and int(plane(moved.detach()).argmax()) == 0,
    })  # fmt: skip
    checks.equal(moved, x, "the image", causes={
        "an iterate came back; without success x itself was asked for": lambda: float((moved - x).norm()) > 0,
    })  # fmt: skip


# %% test="cw" points=4
def spread_model(seed: int, classes: int, pixels: int) -> nn.Linear:
    model = nn.Linear(pixels, classes)
    randn = checks.normal(seed)
    with torch.no_grad():
        model.weight.copy_(2 * randn(classes, pixels))
        model.bias.copy_(-model.weight.sum(1) / 2 + 0.3 * randn(classes))  # all logits are near 0 in the middle
    return model


def nearest_borders(model: nn.Linear, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(z_y - z_j) / |w_y - w_j| for the class j that is next in the logits, and for the nearest of all others."""
    with torch.no_grad():
        logits, weight = model(x), model.weight
        gaps = logits.gather(1, y[:, None]) - logits
        away = gaps / (weight[y][:, None] - weight[None]).norm(dim=-1)
        away = away.masked_fill(F.one_hot(y, logits.shape[1]).bool(), math.inf)
        rival = gaps.masked_fill(F.one_hot(y, logits.shape[1]).bool(), math.inf).argmin(1, keepdim=True)
        return away.gather(1, rival)[:, 0], away.scatter(1, rival, math.inf).amin(1)


def border_case(seed: int, classes: int, pixels: int, batch: int) -> None:
    model = spread_model(seed, classes, pixels)
    x = 0.5 + 0.1 * checks.normal(seed + 50)(3000, pixels).clamp(-2, 2)
    with torch.no_grad():
        y = model(x).argmax(1)
    away, others = nearest_borders(model, x, y)
    picked = ((away > 0.08) & (away < 0.25) & (others > 1.5 * away)).nonzero()[
        :batch, 0
    ]  # one border is clearly nearest
    x, y, wanted = x[picked], y[picked], away[picked]
    moved, success = cw_l2(model, x, y, 1.0, 0.0, 300, 0.01)
    came = (moved - x).norm(dim=1)
    checks.equal(success, torch.ones(batch, dtype=torch.bool), "success")
    with torch.no_grad():
        fooled = model(moved).argmax(1) != y
    checks.equal(fooled, torch.ones(batch, dtype=torch.bool), "whether the model is fooled")
    for fewer in (100, 200):
        sooner = (cw_l2(model, x, y, 1.0, 0.0, fewer, 0.01)[0] - x).norm(dim=1)
        grown = float((came - sooner).max())
        checks.that(grown <= 1e-6, f"300 steps find no image that is farther away than that of {fewer} steps: the nearest is kept",
            came=f"farther by {grown:.4f}")  # fmt: skip
    worst = int((came / wanted).argmax())
    checks.that(
        bool((came <= 1.1 * wanted + 1e-4).all()), "every change is within 10 % of the distance to the border",
        came=f"{float(came[worst]):.4f} for image {worst}", expected=f"{float(wanted[worst]):.4f}",
    )  # fmt: skip


with checks.step("a linear model with 3 classes, 6 images of 8 pixels"):
    border_case(0, 3, 8, 6)

### BEGIN HIDDEN TESTS
for seed, classes, pixels, batch in ((1, 2, 16, 1), (2, 5, 12, 10), (3, 4, 20, 7)):
    with checks.step(f"a linear model with {classes} classes, {batch} images of {pixels} pixels"):
        border_case(seed, classes, pixels, batch)


def searched(
    model: nn.Linear, x: torch.Tensor, y: torch.Tensor, c: float = 1.0, kappa: float = 0.0, steps: int = 100, lr: float = 0.01,
    pull: str = "square", looked_at: slice = slice(None),
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The search on a linear model with its gradient in closed form; `pull` and `looked_at` are mistakes."""
    rows, weight, found, away = torch.arange(len(x)), model.weight.detach(), [], []
    w = torch.atanh((2 * x - 1) * (1 - 1e-6))
    adam = torch.optim.Adam([w], lr)
    for _ in range(steps + 1):
        images = (w.tanh() + 1) / 2
        logits = images @ weight.T + model.bias.detach()
        rival = logits.scatter(1, y[:, None], -math.inf).argmax(1)
        margin, change = logits[rows, y] - logits[rows, rival], images - x
        found.append(images)
        away.append(change.square().sum(1).masked_fill((margin >= 0) | (margin > -kappa), math.inf))
        slope = {
            "square": 2 * change, "mean": 2 * change / x.shape[1], "length": F.normalize(change, dim=1),
        }[pull] + c * (weight[y] - weight[rival]) * (margin > -kappa)[:, None]  # fmt: skip
        w.grad = slope * 2 * images * (1 - images)  # the derivative of (tanh w + 1) / 2
        adam.step()
    least, turn = torch.stack(away[looked_at]).min(0)
    return torch.where((least < math.inf)[:, None], torch.stack(found[looked_at])[turn, rows], x), least < math.inf


for options in (
    {}, {"c": 2.5, "kappa": 0.3, "steps": 60, "lr": 0.03}, {"steps": 1, "lr": 0.4, "c": 9.0}, {"steps": 0}, {"c": 0.4, "steps": 40, "lr": 0.05},
):  # fmt: skip
    with checks.step(
        f"six images of 7 pixels, 3 classes, with {options or 'the defaults'}, against the gradient in closed form"
    ):
        model = spread_model(21, 3, 7).double()
        x = 0.5 + 0.1 * checks.normal(71, dtype=torch.float64)(6, 7).clamp(-2, 2)
        with torch.no_grad():
            y = model(x).argmax(1)
        y[-1] = (y[-1] + 1) % 3  # wrong before any attack
        moved, success = cw_l2(model, x, y, **options)
        wanted, reached = searched(model, x, y, **options)
        causes = {
            "the iterate after the last step was never looked at": {"looked_at": slice(None, -1)},
            "the start was never looked at": {"looked_at": slice(1, None)},
            "the length of the change was made small, not its square": {"pull": "length"},
            "the mean over the pixels was made small, not the sum": {"pull": "mean"},
        } if options.get("steps", 100) else {}  # fmt: skip
        checks.equal(success, reached, "success", causes={
            text: (lambda mistake=mistake: all(map(checks.near, (moved, success), searched(model, x, y, **options, **mistake))))
            for text, mistake in causes.items()
        })  # fmt: skip
        checks.close(moved, wanted, "the images", causes={
            text: searched(model, x, y, **options, **mistake)[0] for text, mistake in causes.items()
        })  # fmt: skip

with checks.step("images with black and white pixels can change there, too, against the gradient in closed form"):
    model = spread_model(21, 3, 7).double()
    x = torch.rand(6, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[:, :5] = x[:, :5].round()
    with torch.no_grad():
        y = model(x).argmax(1)
    moved, success = cw_l2(model, x, y, 3.0, 0.0, 80, 0.1)
    wanted, reached = searched(model, x, y, 3.0, 0.0, 80, 0.1)
    checks.equal(success, reached, "success")
    checks.close(moved, wanted, "the images")

with checks.step("each image keeps its own best: near and far images in one batch, and alone"):
    model = spread_model(4, 3, 8).double()
    x = 0.5 + 0.12 * checks.normal(54, dtype=torch.float64)(5, 8).clamp(-2, 2)
    with torch.no_grad():
        y = model(x).argmax(1)
    together, _ = cw_l2(model, x, y, 1.0, 0.0, 120, 0.01)
    for row in range(5):
        alone, _ = cw_l2(model, x[row : row + 1], y[row : row + 1], 1.0, 0.0, 120, 0.01)
        checks.close(together[row : row + 1], alone, f"image {row} in the batch, against image {row} alone")
### END HIDDEN TESTS


# %% test="cw" points=4
class Bent(nn.Module):
    """A small network with tanh and dropout on images (B, 1, 3, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.drop = nn.Flatten(), nn.Dropout(0.5)
        self.body = nn.Sequential(nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(self.drop(self.flat(images)))


def bent_case(fn: Callable, seed: int, c: float, kappa: float, steps: int, lr: float, quiet: bool = False) -> dict:
    """Attack 12 images of which 3 are black or white at places; margins before and after, and what is left behind."""
    torch.manual_seed(seed)
    model = Bent()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    x = torch.rand(12, 1, 3, 3)
    x[:3] = x[:3].round()
    model.eval()
    with torch.no_grad():
        y = model(x).argmax(1)
        y[-1] = (y[-1] + 1) % 3  # this one is wrong before any attack
    model.train()
    with torch.set_grad_enabled(not quiet):
        moved, success = fn(model, x, y, c, kappa, steps, lr)
    model.eval()
    with torch.no_grad():
        logits = model(moved)
    own = F.one_hot(y, 3).bool()
    return {
        "x": x, "moved": moved, "success": success, "margin": logits[own] - logits.masked_fill(own, -math.inf).amax(1),
        "tracked": moved.requires_grad,
    }  # fmt: skip


with checks.step("a bent network, 12 images, 120 steps: what is promised of each image"):
    found = checks.beside(bent_case, cw_l2, 0, 2.0, 0.0, 120, 0.03)
    moved, success = found["moved"], found["success"]
    low, high = float(moved.min()), float(moved.max())
    checks.that(low >= 0 and high <= 1, "all pixels lie in [0, 1]", came=f"from {low:.4f} to {high:.4f}")
    checks.finite(moved, "the images")
    checks.that(
        bool((found["margin"][success] < 0).all()),
        "success means that the model is fooled",
        came=f"margins {[round(m, 3) for m in found['margin'][success].tolist()]}",
    )
    checks.equal(moved[~success], found["x"][~success], "images without success")
    checks.that(int(success.sum()) >= 8, "at least 8 of 12 images fool the model", came=f"{int(success.sum())}")

with checks.step("an image that is wrong before any attack needs no change"):
    away = float((moved[-1] - found["x"][-1]).norm())
    checks.that(
        bool(success[-1]) and away < 1e-4,
        "success with a change of nearly 0",
        came=f"success {bool(success[-1])}, change {away:.6f}",
    )

### BEGIN HIDDEN TESTS


def half_plane(slope: float, lead: float) -> nn.Linear:
    """Two pixels, two classes; class 1 leads by `lead` where the pixels are 0."""
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0.0], [slope, slope]]))
        model.bias.copy_(torch.tensor([0.0, lead]))
    return model


class FailsLater(nn.Module):
    """Flattens images, and fails when it is asked for the third time."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self._asked += 1
        if self._asked == 3:
            raise ArithmeticError("this part is broken")
        return images.flatten(1)


with checks.step("kappa = 1: another class must lead by 1"):
    sure = checks.beside(bent_case, cw_l2, 0, 4.0, 1.0, 200, 0.03)
    margins = sure["margin"][sure["success"]]
    checks.that(len(margins) >= 4, "at least 4 of 12 images reach that lead", came=f"{len(margins)}")
    checks.that(bool((margins <= -1 + 1e-4).all()), "success means a lead of at least kappa", came=f"the smallest lead is {float(-margins.max()):.3f}", causes={
        "kappa was ignored": lambda: torch.equal(
            sure["moved"], checks.beside(bent_case, cw_l2, 0, 4.0, 0.0, 200, 0.03)["moved"]
        ),
    })  # fmt: skip

with checks.step("where the logits are the same for all images: a lead of kappa counts, a tie does not"):
    x, y = torch.tensor([[0.2, 0.7], [0.5, 0.4]]), torch.tensor([0, 0])
    for lead, kappa, wanted in ((1.0, 1.0, True), (1.0, 1.5, False), (0.0, 0.0, False), (0.25, 0.0, True)):
        came, success = cw_l2(half_plane(0.0, lead), x, y, 1.0, kappa, 3, 0.05)
        checks.equal(success, torch.tensor([wanted] * 2), f"success where another class leads by {lead}, kappa {kappa}")
        checks.that(float((came - x).abs().max()) < 1e-5, "the images are those given", came=str(came.tolist()))

with checks.step("what is left behind on a model in use, and when a part of it raises an error"):
    torch.manual_seed(2)
    model, x, y = Bent(), found["x"][:4], torch.tensor([0, 1, 2, 0])
    checks.as_found(checks.beside(unchanged.asked, cw_l2, model, x, y, steps=5))
    broken = Bent()
    broken.flat = FailsLater()
    seen = checks.beside(unchanged.asked, cw_l2, broken, x, y, steps=5)
    checks.equal(seen["raised"], "ArithmeticError", "the error that reaches the caller")
    checks.as_found(seen)
    checks.equal(found["tracked"], False, "whether the result wants gradients")


def of_leaf(fn: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple:
    """Whether the result wants gradients where x does, and whether x got any."""
    leaf = x.clone().requires_grad_()
    moved, _ = fn(model, leaf, y, steps=5)
    return moved.requires_grad, leaf.grad is not None


with checks.step("cw_l2 on an x that wants gradients"):
    tracked, touched = checks.beside(
        of_leaf, cw_l2, half_plane(3.0, -1.0), torch.tensor([[0.2, 0.7]]), torch.tensor([1])
    )
    checks.equal(tracked, False, "whether the result wants gradients")
    checks.equal(touched, False, "whether x got gradients")

with checks.step("cw_l2 under torch.no_grad()"):
    quiet = checks.beside(bent_case, cw_l2, 0, 2.0, 0.0, 120, 0.03, True)
    checks.equal(quiet["moved"], moved, "the images")
### END HIDDEN TESTS


# %% test="curve" points=4
class Threshold(nn.Module):
    """One pixel: class 1 if it is above 0.5. Dropout in front, so that the mode shows."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.9)

    def forward(self, pixel: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - self.drop(pixel), self.drop(pixel) - 0.5], dim=1)


def curve_of(fn: Callable, x: torch.Tensor, y: torch.Tensor, epsilons: list) -> dict:
    """The curve under an attack that moves every pixel by eps toward the wrong side, and what the attack was given."""
    model, given, asked, truth, grad = Threshold(), [], [], [], []

    def toward(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
        given.append(images.detach().clone())
        asked.append(float(eps))
        truth.append(labels.clone())
        grad.append(torch.is_grad_enabled())
        return images + eps * (1 - 2 * labels[:, None])

    curve = fn(model, x, y, epsilons, toward)
    return {"curve": curve, "given": given, "asked": asked, "truth": truth, "grad": grad, "training": model.training}


pixels = torch.tensor([[0.1], [0.35], [0.45], [0.52], [0.7], [0.9], [0.8], [0.2]])
labels = torch.tensor([0, 0, 0, 1, 1, 1, 0, 1])  # the last two are wrong before any attack
with checks.step("eight pixels, two of them wrong from the start, eps 0, 0.03, 0.1, 0.3, 0.5"):
    found = checks.beside(curve_of, robustness_curve, pixels, labels, [0.0, 0.03, 0.1, 0.3, 0.5])
    wanted = torch.tensor([6, 5, 4, 2, 0]) / 8
    checks.shape(found["curve"], (5,), "the curve")
    checks.close(found["curve"], wanted, "the curve", causes={
        "error rates came; accuracies were asked for": 1 - wanted,
        "only images that were right before were counted; all of them are": wanted / 0.75,
        "each attack went on from images that were attacked before; begin with x every time": torch.tensor([6, 5, 4, 0, 0]) / 8,
    })  # fmt: skip
    checks.equal(found["training"], True, "train mode of the model afterwards")
    checks.equal(found["grad"], [True] * 5, "whether gradients are on where the attack is called")

with checks.step("50 random pixels, against counting"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    pixels, labels = torch.rand(50, 1, generator=draw), torch.randint(2, (50,), generator=draw)

    def shifted(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
        return images + eps * (1 - 2 * labels[:, None])

    came = robustness_curve(Threshold(), pixels, labels, [0.0, 0.05, 0.2], shifted)
    checks.shape(came, (3,), "the curve")
    for value, eps in zip(came.tolist(), (0.0, 0.05, 0.2), strict=True):
        right = [p <= 0.5 - eps if k == 0 else p > 0.5 + eps for p, k in zip(pixels[:, 0].tolist(), labels.tolist())]
        checks.that(
            abs(value - sum(right) / 50) < 1e-6,
            f"the accuracy at eps {eps}",
            came=f"{value}",
            expected=f"{sum(right) / 50}",
        )

with checks.step("two clean curves, and one that rises"):
    checks.equal(masking_alarm([0.1, 0.2, 1.0], [0.8, 0.5, 0.3], [0.7, 0.3, 0.0]), [], "no alarm", causes={
        "one step may survive any eps; only the iterated attack must not": ["survives"],
        "the two attacks were mixed up": lambda: (  # where both leave as much, no order of the two is an alarm
            masking_alarm([0.1, 0.2, 1.0], [0.8, 0.5, 0.3], [0.7, 0.3, 0.0]) == ["weaker"]
            and masking_alarm([0.1, 0.2], [0.5, 0.2], [0.5, 0.2]) == []
        ),
    })  # fmt: skip
    checks.equal(masking_alarm([0.1, 0.2, 0.3], [0.9, 0.8, 0.8], [0.4, 0.2, 0.3]), ["rises"], "the alarms", causes={
        "the curve was compared with its first value only": lambda: (
            masking_alarm([0.1, 0.2, 0.3], [0.9, 0.8, 0.95], [0.4, 0.2, 0.6]) == ["rises"]
        ),
    })  # fmt: skip


# %% test="curve" points=4
with checks.step("the two other symptoms, and all of them at once"):
    checks.equal(masking_alarm([0.1, 0.2], [0.5, 0.2], [0.6, 0.1]), ["weaker"], "the alarms")
    checks.equal(masking_alarm([0.5, 1.0], [0.5, 0.4], [0.4, 0.2]), ["survives"], "the alarms")
    checks.equal(masking_alarm([0.1, 1.0], [0.3, 0.3], [0.2, 0.6]), ["weaker", "rises", "survives"], "the alarms", causes={
        "the words stand in another order": lambda: sorted(masking_alarm([0.1, 1.0], [0.3, 0.3], [0.2, 0.6])) == ["rises", "survives", "weaker"],
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("epsilons in another order"):
    checks.equal(masking_alarm([0.3, 0.1, 0.2], [0.3, 0.9, 0.6], [0.2, 0.8, 0.5]), [], "no alarm", causes={
        "the points were not sorted by eps": ["rises"],
    })  # fmt: skip
    checks.equal(masking_alarm([0.3, 0.1, 0.2], [0.9, 0.9, 0.9], [0.6, 0.5, 0.4]), ["rises"], "the alarms")

with checks.step("two values at the same eps: neither ball is larger"):
    checks.equal(masking_alarm([0.2, 0.1, 0.2], [0.9, 0.9, 0.9], [0.3, 0.6, 0.5]), [], "no alarm", causes={
        "a value was compared with another one at the same eps": ["rises"],
    })  # fmt: skip

with checks.step("one step may rise"):
    checks.equal(masking_alarm([0.1, 0.2], [0.3, 0.6], [0.2, 0.1]), [], "no alarm", causes={
        "the alarm looked at the curve of one step; a larger step may well be the worse attack": ["rises"],
    })  # fmt: skip

with checks.step("a rise in small steps: 0.30, 0.315, 0.33, slack 0.02"):
    checks.equal(masking_alarm([0.1, 0.2, 0.3], [0.9, 0.9, 0.9], [0.3, 0.315, 0.33]), ["rises"], "the alarms", causes={
        "only neighbors were compared; the last lies 0.03 above the first": [],
    })  # fmt: skip

with checks.step("differences within the slack are chance"):
    checks.equal(masking_alarm([0.1, 0.2, 1.0], [0.30, 0.30, 0.01], [0.315, 0.33, 0.015], slack=0.05), [], "no alarm", causes={
        "the slack was ignored": ["weaker", "rises", "survives"],
    })  # fmt: skip

with checks.step("exactly as much as the slack, 0.25, is no alarm"):
    checks.equal(masking_alarm([0.5, 1.0], [0.25, 0.25], [0.0, 0.25], slack=0.25), [], "no alarm", causes={
        "exactly the slack counts as more than the slack": lambda: masking_alarm([0.5, 1.0], [0.25, 0.25], [0.0, 0.25], slack=0.25) == ["rises", "survives"],
    })  # fmt: skip
    checks.equal(masking_alarm([0.5], [0.25], [0.5], slack=0.25), [], "no alarm where PGD leaves 0.25 more")

with checks.step("pixels from -1 to 1: their range is 2"):
    checks.equal(masking_alarm([1.0, 1.9], [0.5, 0.5], [0.4, 0.3], value_range=2.0), [], "no alarm below eps 2", causes={
        "the range was taken to be 1": ["survives"],
    })  # fmt: skip
    checks.equal(masking_alarm([1.0, 2.0], [0.5, 0.5], [0.4, 0.3], value_range=2.0), ["survives"], "the alarm at eps 2")

for seed in (0, 1):
    with checks.step(f"30 random pixels, epsilons in falling order, against counting, seed {seed}"):
        draw = torch.Generator().manual_seed(seed)
        pixels, labels = torch.rand(30, 1, generator=draw), torch.randint(2, (30,), generator=draw)
        epsilons = [0.4, 0.2, 0.05, 0.0]
        found = checks.beside(curve_of, robustness_curve, pixels, labels, epsilons)
        shares = [
            ((pixels + eps * (1 - 2 * labels[:, None]) > 0.5).long()[:, 0] == labels).float().mean() for eps in epsilons
        ]
        checks.close(found["curve"], torch.stack(shares), "the curve", causes={
            "the model answered in train mode, with dropout": lambda: not torch.equal(
                found["curve"], checks.beside(curve_of, robustness_curve, pixels, labels, epsilons)["curve"]
            ),
        })  # fmt: skip
        checks.equal(found["asked"], epsilons, "the bounds that the attack was called with")
        checks.equal(len(found["given"]), 4, "how often the attack was called")
        for given, truth in zip(found["given"], found["truth"], strict=True):
            checks.equal(given, pixels, "the images that the attack was given")
            checks.equal(truth, labels, "the classes that the attack was given")


def curve_of_tables(fn: Callable, seen: torch.Tensor, y: torch.Tensor, epsilons: list) -> dict:
    """The curve of a linear model in float64 that sees `seen[k]` at the k-th call; called under torch.no_grad()."""
    model, calls = nn.Linear(1, 2).double(), iter(seen)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0]]))
        model.bias.copy_(torch.tensor([1.5, 0.0]))  # class 1 from pixel 1.5 on

    def attack(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
        return next(calls)

    with torch.no_grad():
        curve = fn(model, seen[0], y, epsilons, attack)
        after = torch.is_grad_enabled()
    return {"curve": curve, "after": after, "dtype": str(curve.dtype)}


with checks.step(
    "an attack that is luckier at some bounds than at others, two of them equal; float64, pixels from -3 to 3"
):
    draw = torch.Generator().manual_seed(3)
    y = torch.randint(2, (40,), generator=draw)
    seen = 6 * torch.rand(5, 40, 1, generator=draw, dtype=torch.float64) - 3
    seen[1] = 3 * (1 - 2 * y[:, None]).double()  # all wrong
    right = [((images > 1.5).long()[:, 0] == y).float().mean() for images in seen]
    found = checks.beside(curve_of_tables, robustness_curve, seen, y, [0.0, 0.5, 0.5, 0.2, 0.0])
    checks.close(found["curve"], torch.stack(right), "the curve", causes={
        "0 was taken for granted after an accuracy of 0": torch.stack(right) * torch.tensor([1.0, 0, 0, 0, 0]),
        "the attacked images were put back into [0, 1]": lambda: checks.near(found["curve"], torch.stack(
            [((images.clamp(0, 1) > 1.5).long()[:, 0] == y).float().mean() for images in seen]
        )),
    })  # fmt: skip
    checks.equal(found["dtype"], "torch.float32", "the dtype of the curve of a model in float64")
    checks.equal(found["after"], False, "whether gradients are on after the call, under torch.no_grad()")


def symptoms(epsilons: list, one_step: list, iterated: list, reach: float, slack: float) -> list[str]:
    """The words that apply, pair by pair."""
    found = set()
    for eps, one, many in zip(epsilons, one_step, iterated):
        if many - one > slack:
            found.add("weaker")
        if eps >= reach and many > slack:
            found.add("survives")
        for other, lower in zip(epsilons, iterated):
            if other < eps and many - lower > slack:
                found.add("rises")
    return [word for word in ("weaker", "rises", "survives") if word in found]


with checks.step("200 pairs of random curves of 1 to 4 points, some at the same eps, against comparing all pairs"):
    draw = torch.Generator().manual_seed(4)

    def eighths(high: int, count: int) -> list:
        return (torch.randint(high + 1, (count,), generator=draw) / 8).tolist()  # so that every difference is exact

    for count in [1, 2, 3, 4] * 50:
        curves = eighths(8, count), eighths(8, count), [value / 2 for value in eighths(4, count)]
        (slack,) = eighths(3, 1)
        came = masking_alarm(*curves, value_range=0.5, slack=slack)
        if came != symptoms(*curves, 0.5, slack):
            checks.equal(came, symptoms(*curves, 0.5, slack), f"the alarms at {curves[0]}, one step {curves[1]}, iterated {curves[2]}, range 0.5, slack {slack}")  # fmt: skip


def asked_by(fn: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor, fails: bool) -> dict:
    """What a curve under an attack that asks the model, or that fails, leaves behind."""

    def attack(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
        if fails:
            raise ArithmeticError("this attack is broken")
        with torch.no_grad():
            return images + eps * model(images).mean()

    return unchanged.asked(fn, model, x, y, [0.0, 0.5], attack)


with checks.step("what is left behind on a model in use, also when the attack raises an error"):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 2))
    x, y = checks.normal(seed=2)(9, 5), torch.arange(9) % 2
    for fails in (False, True):
        seen = checks.beside(asked_by, robustness_curve, model, x, y, fails)
        checks.equal(seen["raised"], "ArithmeticError" if fails else "", "the error that reaches the caller")
        checks.as_found(seen)
### END HIDDEN TESTS

# %% test="bias" points=4
with checks.step("six conflicts: 3 answers by shape, 1 by texture, 2 by neither"):
    shape, texture = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([1, 2, 3, 0, 2, 3])
    bias, decided = shape_bias(torch.tensor([0, 1, 2, 0, 3, 0]), shape, texture)
    checks.that(isinstance(bias, float) and isinstance(decided, float), "bias and share are floats",
        came=f"{checks.describe(bias)} and {checks.describe(decided)}")  # fmt: skip
    checks.close(torch.tensor(bias), torch.tensor(3 / 4), "the bias", causes={
        "answers that are neither were counted in the denominator": torch.tensor(3 / 6),
        "this is the texture bias": torch.tensor(1 / 4),
        "shape over texture; divide by both together": torch.tensor(3.0),
    })  # fmt: skip
    checks.close(torch.tensor(decided), torch.tensor(4 / 6), "the decided share", causes={
        "the number of decided images; divide by that of conflicts": torch.tensor(4.0),
    })  # fmt: skip

with checks.step("the same, and two images whose cues agree: they count nowhere"):
    shape, texture = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]), torch.tensor([1, 2, 3, 0, 2, 3, 2, 3])
    bias, decided = shape_bias(torch.tensor([0, 1, 2, 0, 3, 0, 2, 3]), shape, texture)
    checks.close(torch.tensor(bias), torch.tensor(3 / 4), "the bias", causes={
        "images whose cues agree were counted as shape decisions": torch.tensor(5 / 6),
        "images whose cues agree were counted as both": torch.tensor(5 / 8),
    })  # fmt: skip
    checks.close(torch.tensor(decided), torch.tensor(4 / 6), "the decided share", causes={
        "divided by all images; only conflicts were asked for": torch.tensor(4 / 8),
    })  # fmt: skip

with checks.step("random answers, counted one by one"):
    for _ in range(3):  # one draw could give shares that are easy to guess, such as 1/2 and 2/3
        draw = torch.Generator().manual_seed(checks.fresh_seed())
        pred, shape, texture = (torch.randint(4, (397,), generator=draw) for _ in range(3))
        said = [(p == a, p == b) for p, a, b in zip(pred.tolist(), shape.tolist(), texture.tolist()) if a != b]
        ones, others = (sum(votes) for votes in zip(*said))
        bias, decided = shape_bias(pred, shape, texture)
        checks.that(
            abs(bias - ones / (ones + others)) < 1e-6, "the bias", came=f"{bias}", expected=f"{ones / (ones + others)}"
        )
        checks.that(abs(decided - (ones + others) / len(said)) < 1e-6, "the decided share", came=f"{decided}")

# %% test="bias" points=4
with checks.step("only answers by texture, then only by shape"):
    shape, texture = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    checks.equal(tuple(shape_bias(texture, shape, texture)), (0.0, 1.0), "bias and share")
    checks.equal(tuple(shape_bias(shape, shape, texture)), (1.0, 1.0), "bias and share")

### BEGIN HIDDEN TESTS
with checks.step("the arguments after the call"):
    given = torch.tensor([0, 3, 2, 2]), torch.tensor([0, 1, 2, 3]), torch.tensor([0, 2, 1, 2])
    for name, before, after in zip(
        ("pred", "shape", "texture"), given, checks.beside(observe.arguments_after, shape_bias, *given), strict=True
    ):
        checks.equal(after, before, f"{name} (an argument must not be changed in place)")

with checks.step("no answer is either cue"):
    bias, decided = shape_bias(torch.tensor([3, 3, 3]), shape, texture)
    checks.that(bias != bias, "the bias is nan", came=f"{bias}", causes={
        "0 says that texture won every time; nothing was decided": lambda: bias == 0.0,
        "0.5 says that both won equally often; nothing was decided": lambda: bias == 0.5,
    })  # fmt: skip
    checks.equal(decided, 0.0, "the decided share")

with checks.step("no conflict at all"):
    checks.raises(ValueError, shape_bias, shape, shape, shape, name="shape equal to texture everywhere")
    checks.raises(ValueError, shape_bias, shape[:0], shape[:0], shape[:0], name="no image at all")

for seed in range(3):
    with checks.step(f"200 random answers against a loop, seed {seed}"):
        draw = torch.Generator().manual_seed(seed)
        pred, shape, texture = (torch.randint(5, (200,), generator=draw) for _ in range(3))
        counts = {"shape": 0, "texture": 0, "all": 0}
        for said, one, other in zip(pred.tolist(), shape.tolist(), texture.tolist()):
            if one != other:
                counts["all"] += 1
                counts["shape"] += said == one
                counts["texture"] += said == other
        both = counts["shape"] + counts["texture"]
        bias, decided = shape_bias(pred, shape, texture)
        checks.close(torch.tensor(bias), torch.tensor(counts["shape"] / both), "the bias")
        checks.close(torch.tensor(decided), torch.tensor(both / counts["all"]), "the decided share")
### END HIDDEN TESTS

# %% test="errors" points=3
GROUPS = ["both_right", "only_a_wrong", "only_b_wrong", "both_wrong_same", "both_wrong_different"]
with checks.step("ten images, two of each group"):
    y = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    pred_a = torch.tensor([0, 0, 2, 1, 2, 1, 0, 3, 2, 2])
    pred_b = torch.tensor([0, 1, 3, 1, 3, 1, 2, 0, 2, 3])
    found = error_taxonomy(pred_a, pred_b, y)
    checks.equal(sorted(found), sorted(GROUPS), "the groups")
    wanted = dict(zip(GROUPS, ([0, 5], [1, 6], [2, 7], [3, 8], [4, 9])))
    for name in GROUPS:
        checks.equal(found[name], torch.tensor(wanted[name]), f"the indices of {name}", causes={
            "this is a mask of bools; the indices of its true entries were asked for": lambda name=name: found[name].dtype == torch.bool,
            "A and B were mixed up": torch.tensor(wanted[{"only_a_wrong": "only_b_wrong", "only_b_wrong": "only_a_wrong"}.get(name, name)]),
            "images were counted into 'same' although both are right": lambda name=name: name == "both_wrong_same" and 0 in found[name].tolist(),
        })  # fmt: skip

with checks.step("80 random answers, sorted one by one"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    pred_a, pred_b, y = (torch.randint(3, (80,), generator=draw) for _ in range(3))
    found = error_taxonomy(pred_a, pred_b, y)
    places: dict = {name: [] for name in GROUPS}
    for index, (a, b, true) in enumerate(zip(pred_a.tolist(), pred_b.tolist(), y.tolist())):
        wrong = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3 if a == b else 4}
        places[GROUPS[wrong[a != true, b != true]]].append(index)
    for name in GROUPS:
        checks.equal(found[name], torch.tensor(places[name], dtype=torch.int64), f"the indices of {name}")

# %% test="errors" points=3
GROUPS = ["both_right", "only_a_wrong", "only_b_wrong", "both_wrong_same", "both_wrong_different"]
with checks.step("two perfect models: a group may be empty"):
    y = torch.arange(300) % 7
    found = error_taxonomy(y.clone(), y.clone(), y)
    checks.equal(found["both_right"], torch.arange(300), "both_right of two perfect models")
    for name in GROUPS[1:]:
        checks.shape(found[name], (0,), name)

### BEGIN HIDDEN TESTS
with checks.step("the arguments after the call"):
    given = torch.tensor([0, 1, 2, 2, 0]), torch.tensor([0, 2, 1, 2, 1]), torch.tensor([0, 1, 0, 1, 1])
    for fn, what in (
        (error_taxonomy, "error_taxonomy"),
        (error_consistency, "error_consistency"),
        (mcnemar_p, "mcnemar_p"),
    ):
        for name, before, after in zip(
            ("pred_a", "pred_b", "y"), given, checks.beside(observe.arguments_after, fn, *given), strict=True
        ):
            checks.equal(after, before, f"{name} after {what} (an argument must not be changed in place)")

with checks.step("one image in a group: its indices still have one dimension"):
    found = error_taxonomy(torch.tensor([1, 0]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    checks.equal(found["only_a_wrong"], torch.tensor([0]), "only_a_wrong")
    checks.equal(found["only_b_wrong"], torch.tensor([1]), "only_b_wrong")

for seed, classes in ((0, 2), (1, 4), (2, 10)):
    with checks.step(f"300 random answers with {classes} classes, image by image, seed {seed}"):
        draw = torch.Generator().manual_seed(seed)
        pred_a, pred_b, y = (torch.randint(classes, (300,), generator=draw) for _ in range(3))
        found = error_taxonomy(pred_a, pred_b, y)
        places = sorted(index for name in GROUPS for index in found[name].tolist())
        checks.equal(places, list(range(300)), "all indices, each once")
        both = ((pred_a == y) & (pred_b == y)).tolist()
        checks.equal(found["both_right"].tolist(), [k for k in range(300) if both[k]], "the indices of both_right")
        for name in GROUPS:
            for index in found[name].tolist():
                a, b, true = pred_a[index].item(), pred_b[index].item(), y[index].item()
                both = "both_wrong_same" if a == b else "both_wrong_different"
                belongs = (
                    (both if b != true else "only_a_wrong")
                    if a != true
                    else ("only_b_wrong" if b != true else "both_right")
                )
                checks.equal(name, belongs, f"the group of image {index} (A said {a}, B said {b}, true is {true})")
### END HIDDEN TESTS

# %% test="errors" points=3 forbids="sklearn.metrics.cohen_kappa_score"
y = torch.zeros(8, dtype=torch.int64)
with checks.step("the computation is yours"):
    pred_a, pred_b = torch.tensor([0, 1, 0, 1, 1, 0, 0, 0]), torch.tensor([0, 1, 1, 0, 0, 0, 0, 0])
    checks.forbidden(FORBIDDEN, error_consistency, pred_a, pred_b, y)

with checks.step("eight images: A wrong in 3, B wrong in 2, both wrong in 1"):
    # agree in 5 of 8; by chance 5/8 * 6/8 + 3/8 * 2/8 = 36/64; kappa = (40 - 36) / (64 - 36) = 1/7
    kappa = error_consistency(pred_a, pred_b, y)
    checks.that(isinstance(kappa, float), "the result is a float", came=checks.describe(kappa))
    checks.close(torch.tensor(kappa), torch.tensor(1 / 7), "kappa", causes={
        "this is the observed agreement; take away what chance explains": torch.tensor(5 / 8),
        "not divided by 1 - e": torch.tensor(4 / 64),
        "chance was only that both are right; both wrong agrees, too": torch.tensor((5 / 8 - 30 / 64) / (1 - 30 / 64)),
    })  # fmt: skip

with checks.step("both models right and wrong together, then in turn"):
    half = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    checks.close(torch.tensor(error_consistency(half, half, y)), torch.tensor(1.0), "kappa of a model with itself")
    checks.close(torch.tensor(error_consistency(half, 1 - half, y)), torch.tensor(-1.0), "kappa of opposites")

### BEGIN HIDDEN TESTS
with checks.step("wrong together, but with different answers: being wrong is what counts"):
    kappa = error_consistency(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 2, 3]), torch.zeros(4, dtype=torch.int64))
    checks.close(torch.tensor(kappa), torch.tensor(1.0), "kappa", causes={
        "the answers were compared; compare whether they are right": torch.tensor(0.0),
    })  # fmt: skip

with checks.step("two perfect models, and two that are always wrong"):
    for pred in (y, y + 1):
        kappa = error_consistency(pred, pred, y)
        checks.that(kappa != kappa, "kappa is nan", came=f"{kappa}", causes={
            "with e = 1 there is nothing that chance does not explain": lambda: kappa in (0.0, 1.0),
        })  # fmt: skip


with checks.step("one model always wrong or always right, the other not: kappa is 0, chance explains everything"):
    half, wrong = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0]), torch.ones(8, dtype=torch.int64)
    for a, b in ((half, wrong), (wrong, half), (half, y), (y, half)):
        checks.close(torch.tensor(error_consistency(a, b, y)), torch.tensor(0.0), "kappa", causes={
            "kappa is nan only if e is 1, with both models perfect or both always wrong": lambda a=a, b=b: math.isnan(error_consistency(a, b, y)),
        })  # fmt: skip

with checks.step("20,000 images, each model wrong in two: together in one, then never together"):
    many, here, there = (
        torch.zeros(20_000, dtype=torch.int64),
        torch.zeros(20_000, dtype=torch.int64),
        torch.zeros(20_000, dtype=torch.int64),
    )
    here[[5, 700]] = 1
    for places, wanted in (([5, 900], 0.5), ([6, 900], 0.0)):
        there[:] = 0
        there[places] = 1
        checks.close(torch.tensor(error_consistency(here, there, many)), torch.tensor(wanted), "kappa", atol=2e-4)

with checks.step("wrong in turn more often than together: kappa below 0"):
    # right in 4 of 8 both, together right in 1 and wrong in 1: o = 1/4, e = 1/2
    one, two = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 1, 1, 1, 0, 0, 0, 1])
    checks.close(torch.tensor(error_consistency(one, two, y)), torch.tensor(-0.5), "kappa")


def kappa_of(a: torch.Tensor, b: torch.Tensor, categories: int) -> torch.Tensor:
    """Cohen's kappa of two labelings from counts alone, in whole numbers until the one division."""
    count = [[int(((a == i) & (b == j)).sum()) for j in range(categories)] for i in range(categories)]
    n, same = len(a), sum(count[i][i] for i in range(categories))
    margins = sum(sum(count[i]) * sum(row[i] for row in count) for i in range(categories))
    return torch.tensor((n * same - margins) / (n * n - margins))


for seed in range(4):
    with checks.step(f"250 random answers, kappa from counts in whole numbers, seed {seed}"):
        draw = torch.Generator().manual_seed(seed)
        truth = torch.randint(4, (250,), generator=draw)
        hard = torch.rand(250, generator=draw) < 0.5
        pred_a, pred_b = (
            torch.where(hard & (torch.rand(250, generator=draw) < 0.7), torch.randint(4, (250,), generator=draw), truth)
            for _ in range(2)
        )
        wanted = kappa_of((pred_a == truth).long(), (pred_b == truth).long(), 2)
        checks.close(torch.tensor(error_consistency(pred_a, pred_b, truth)), wanted, "kappa", causes={
            "kappa of the answers, not of being right": kappa_of(pred_a, pred_b, 4),
        })  # fmt: skip
### END HIDDEN TESTS


# %% test="errors" points=3 forbids="scipy.stats.binomtest"
def answers_with(only_a: int, only_b: int, both: int, none: int) -> tuple[torch.Tensor, ...]:
    """Answers of two models of which so many are right alone, together, or not at all; true classes are 0."""
    a = torch.tensor([0] * only_a + [1] * only_b + [0] * both + [1] * none)
    b = torch.tensor([1] * only_a + [0] * only_b + [0] * both + [1] * none)
    return a, b, torch.zeros(len(a), dtype=torch.int64)


with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, mcnemar_p, *answers_with(1, 4, 10, 5))

with checks.step("only A is right in 1 image, only B in 4; both in 10, none in 5"):
    p = mcnemar_p(*answers_with(1, 4, 10, 5))
    checks.that(isinstance(p, float), "the result is a float", came=checks.describe(p))
    # 2 * (1 + 5) / 32
    checks.close(torch.tensor(p), torch.tensor(12 / 32), "p", causes={
        "one side only; the test is two-sided": torch.tensor(6 / 32),
        "all right answers went in; images that both get right say nothing": torch.tensor(1 - math.comb(25, 12) / 2**24),  # 11 of 25
        "all images were the throws of the coin; only those where exactly one is right are": lambda: all(
            checks.near(one, 42 / 2**20, atol=1e-8) for one in (p, mcnemar_p(*answers_with(4, 1, 10, 5)))  # 1 of 20
        ),
        "only the probability of exactly this count; add the more extreme ones": torch.tensor(10 / 32),
    })  # fmt: skip

with checks.step("the order of the models does not matter"):
    checks.close(torch.tensor(mcnemar_p(*answers_with(4, 1, 10, 5))), torch.tensor(12 / 32), "p", causes={
        "the larger count was summed up to; take the smaller": torch.tensor(1.0),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("equally often, and never: no evidence"):
    checks.equal(mcnemar_p(*answers_with(3, 3, 5, 5)), 1.0, "p at 3 against 3", causes={
        "a probability above 1: the middle was counted twice": lambda: mcnemar_p(*answers_with(3, 3, 5, 5)) > 1,
    })  # fmt: skip
    checks.equal(mcnemar_p(*answers_with(0, 0, 5, 5)), 1.0, "p where the models never differ")


with checks.step("images that both get wrong say nothing, also where the answers differ"):
    a, b, truth = answers_with(1, 4, 10, 5)
    b[-3:] = 2
    checks.close(torch.tensor(mcnemar_p(a, b, truth)), torch.tensor(12 / 32), "p", causes={
        "different wrong answers were counted as well": torch.tensor(2 * (1 + 8) / 2**8),
    })  # fmt: skip


def two_sided(k: int, n: int) -> float:
    """The exact p of k heads in n throws of a fair coin, in whole numbers until the one division."""
    tail = sum(math.comb(n, i) for i in range(min(k, n - k) + 1))
    return min(1.0, 2 * tail / 2**n)


for only_a, only_b in ((0, 5), (7, 2), (12, 30), (50, 51), (400, 900)):
    with checks.step(f"{only_a} against {only_b}, in whole numbers"):
        wanted = two_sided(only_a, only_a + only_b)
        checks.close(torch.tensor(mcnemar_p(*answers_with(only_a, only_b, 40, 9))).double(), torch.tensor(wanted).double(), "p", rtol=1e-6, atol=1e-12, causes={
            "this is the approximation by chi-squared; the exact one was asked for": torch.tensor(
                math.erfc(abs(only_a - only_b) / math.sqrt(2 * (only_a + only_b)))
            ).double(),
        })  # fmt: skip
### END HIDDEN TESTS
