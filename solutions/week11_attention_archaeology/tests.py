# %% test="runlog" points=4
def life(make: Callable, configs: list) -> dict:
    """A run in a folder of its own: what it wrote, read back by the test itself."""
    import json
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as root:
        told: list = []
        there: list = []

        def tell(number: int, values: dict) -> None:
            told.append((number, dict(values)))
            there.extend(len(file.read_text().splitlines()) for file in Path(root).glob("*/log.jsonl"))

        log = make(root, configs[0], mirror=tell)
        nothing = log.load()
        for step, loss in ((0, 2.0), (1, 0.5), (2, 0.5), (3, 0.75)):
            log.log(step, loss=loss, **({"accuracy": 0.25 * step} if step else {}))
        folder = Path(log.folder)
        lines = (folder / "log.jsonl").read_text().splitlines()
        kept = json.loads((folder / "config.json").read_text())
        loaded, least, most = log.load(), log.best("loss", "min"), log.best("loss")
        least_accuracy = log.best("accuracy", mode="min")
        again = make(root, configs[1])
        again.log(4, loss=3.0)
        return {
            "nothing": nothing, "there": there, "in file": len((folder / "log.jsonl").read_text().splitlines()),
            "seen by the first": len(log.load()),
            "inside": folder.parent == Path(root), "name": folder.name, "kept": kept, "lines": lines, "told": told,
            "loaded": loaded, "again": len(again.load()), "same": Path(again.folder) == folder,
            "least": least, "most": most, "accuracy": least_accuracy,
        }  # fmt: skip


def far_away(make: Callable, config: dict) -> dict:
    """A run whose folder of all runs is missing, and the folder above it as well."""
    import tempfile
    from copy import deepcopy
    from pathlib import Path

    given = deepcopy(config)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "studies" / "runs"
        log = make(root, config)
        log.log(0, loss=1.0)
        lines = (root / Path(log.folder).name / "log.jsonl").read_bytes().splitlines()
        return {"lines": len(lines), "same": given == config}


with checks.step("the name of {'rate': 0.1, 'steps': 5}"):
    # echo -n '{"rate": 0.1, "steps": 5}' | sha256sum
    came = config_hash({"steps": 5, "rate": 0.1})
    checks.that(isinstance(came, str) and len(came) == 12, "the name has 12 characters", came=checks.describe(came))
    checks.equal(came, "2a7c5130b516", "the name", causes={
        "the keys are not sorted": hashlib.sha256(b'{"steps": 5, "rate": 0.1}').hexdigest()[:12],
        "this is the hash of str(config); it is JSON that is hashed": lambda: came in (
            hashlib.sha256(b"{'steps': 5, 'rate': 0.1}").hexdigest()[:12],
            hashlib.sha256(b"{'rate': 0.1, 'steps': 5}").hexdigest()[:12],
        ),
        "this is MD5": hashlib.md5(b'{"rate": 0.1, "steps": 5}').hexdigest()[:12],
        "Python's `hash` is salted anew in each process": lambda: (
            checks.beside(observe.calls_among, ["builtins.hash"], config_hash, [{"steps": 5, "rate": 0.1}]) != []
        ),
    })  # fmt: skip
    checks.equal(config_hash({"rate": 0.1, "steps": 5}), came, "the name of the same settings in another order")

with checks.step("the name of settings that nobody has used before"):
    secret = checks.fresh_seed()
    text = f'{{"batch": [1, 2.5], "model": {{"layers": 2, "width": {secret % 97}}}, "seed": {secret}}}'
    came = config_hash({"seed": secret, "model": {"layers": 2, "width": secret % 97}, "batch": [1, 2.5]})
    checks.equal(came, hashlib.sha256(text.encode()).hexdigest()[:12], "the name")

with checks.step("a folder of all runs that is not there yet, two levels deep"):
    deep = checks.beside(far_away, RunLog, {"rate": 0.1, "model": {"width": 8, "layers": 2}})
    checks.equal(deep["lines"], 1, "the lines of log.jsonl in it")
    checks.equal(deep["same"], True, "whether the configuration is what it was")

with checks.step("a run of four steps, then opened again"):
    config = {"rate": 0.1, "model": {"width": 8, "layers": 2}, "steps": 5}
    other = {"steps": 5, "model": {"layers": 2, "width": 8}, "rate": 0.1}
    seen = checks.beside(life, RunLog, [config, other])
    checks.equal(seen["inside"], True, "whether the folder of the run lies in root")
    wanted, outer = (json.dumps(c, sort_keys=s) for c, s in ((config, True), (dict(sorted(config.items())), False)))
    checks.equal(seen["name"], hashlib.sha256(wanted.encode()).hexdigest()[:12], "its name", causes={
        "the keys of the inner dict are not sorted": hashlib.sha256(outer.encode()).hexdigest()[:12],
    })  # fmt: skip
    checks.equal(seen["kept"], config, "what config.json holds")
    checks.equal(len(seen["lines"]), 4, "the lines of log.jsonl")
    checks.equal(json.loads(seen["lines"][1]), {"step": 1, "loss": 0.5, "accuracy": 0.25}, "the second line")
    checks.equal([line["step"] for line in seen["loaded"]], [0, 1, 2, 3], "the steps that `load` gives")
    checks.equal(seen["nothing"], [], "what `load` gives before anything is logged")
    checks.equal(len(seen["told"]), 4, "how often the mirror was called")
    checks.equal(seen["there"], [1, 2, 3, 4], "the lines of log.jsonl when the mirror is called", causes={
        "the mirror is called before the line is written": [0, 1, 2, 3],
    })  # fmt: skip
    checks.equal(seen["told"][1], (1, {"loss": 0.5, "accuracy": 0.25}), "what it was told at step 1")
    checks.equal(seen["same"], True, "whether the same settings in another order have the same folder", causes={
        "the keys of the inner dict are not sorted": False,
    })  # fmt: skip
    checks.equal(seen["again"], 5, "the lines after the run was opened again and went on", causes={
        "opening the log emptied it": lambda: seen["in file"] == 1,
        "`load` gives only what this object wrote; read the file": lambda: seen["in file"] == 5,
    })  # fmt: skip
    checks.equal(seen["seen by the first"], 5, "the lines that the first object sees after the second one wrote", causes={
        "the lines were read when the log was opened and kept since; another process may write, too": 4,
    })  # fmt: skip

with checks.step("the best line, where the losses are 2, 0.5, 0.5 and 0.75"):
    checks.equal(seen["least"]["step"], 1, "the step with the smallest loss", causes={
        "of equal values the last was taken": 2, "this is the largest": 0,
    })  # fmt: skip
    checks.equal(seen["most"]["step"], 0, "the step with the largest loss")
    checks.equal(seen["accuracy"]["step"], 1, "the step with the smallest accuracy; step 0 has none")


# %% test="runlog" points=4
def cut(make: Callable, written: str) -> dict:
    """A log that ends in the middle of a line is opened, read, continued and read again."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as root:
        folder = Path(make(root, {"a": 1}).folder)
        (folder / "log.jsonl").write_text(written)
        reader = make(root, {"a": 1})
        first = [line["step"] for line in reader.load()]
        reader.log(9, loss=1.0)
        return {"first": first, "second": [line["step"] for line in make(root, {"a": 1}).load()]}


def cut_while_open(make: Callable, written: str) -> list:
    """Somebody reads the log while a line is being written."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as root:
        log = make(root, {"a": 1})
        log.log(0, loss=1.0)
        with (Path(log.folder) / "log.jsonl").open("a") as file:
            file.write(written)
        return [line["step"] for line in log.load()]


def foreign(make: Callable, within: Callable) -> dict:
    """A log with letters beyond ASCII, part of it written by another program in UTF-8, on a machine of another encoding."""
    import tempfile
    from pathlib import Path

    def use() -> dict:
        with tempfile.TemporaryDirectory() as root:
            log = make(root, {"name": "ä"})
            log.log(0, **{"größe": 1.0})
            with (Path(log.folder) / "log.jsonl").open("ab") as file:
                file.write('{"step": 1, "größe": 2.0}\n'.encode())
            return {"steps": [line["step"] for line in log.load()], "best": log.best("größe")["step"]}

    try:
        return within(use)
    except UnicodeError as error:
        return {"error": type(error).__name__}


with checks.step("a metric with letters beyond ASCII, on a machine whose own encoding is ASCII"):
    seen = checks.beside(foreign, RunLog, observe.in_ascii_locale)
    checks.equal(seen.get("error", ""), "", "the error", causes={
        "a file was opened in the machine's own encoding; say encoding=\"utf-8\"": lambda: "error" in seen,
    })  # fmt: skip
    checks.equal((seen["steps"], seen["best"]), ([0, 1], 1), "the steps that can be read, and the best one")

with checks.step("a log whose last line was cut in the middle"):
    seen = checks.beside(cut, RunLog, '{"step": 0, "loss": 2.0}\n{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    checks.equal(seen["first"], [0, 1], "the steps that can be read")
    checks.equal(seen["second"], [0, 1, 9], "the steps after one more line was written", causes={
        "the new line was glued to the one that had been cut, and both are lost": [0, 1],
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("a log that is only the beginning of a line"):
    seen = checks.beside(cut, RunLog, '{"step"')
    checks.equal((seen["first"], seen["second"]), ([], [9]), "the steps before and after one more line was written")

with checks.step("a line that looks whole, but whose end of line is missing"):
    seen = checks.beside(cut, RunLog, '{"step": 0, "loss": 2.0}\n{"step": 1, "loss": 1.5}')
    checks.equal(seen["first"], [0], "the steps that can be read", causes={
        "whatever can be read as JSON was taken; a line is whole when it ends with an end of line": [0, 1],
    })  # fmt: skip
    checks.equal(seen["second"], [0, 9], "the steps after one more line was written", causes={
        "the new line was glued to the one before": lambda: seen["second"][-1:] != [9],
    })  # fmt: skip


def in_turns(make: Callable) -> dict:
    """Two objects write the log of one run in turns, and then another program; a step that stands there twice."""
    import math
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as root:
        first, second = make(root, {"a": 1}), make(root, {"a": 1})
        for log, step, loss in ((first, 0, 1 / 3), (second, 1, 1e-9), (first, 1, math.inf), (second, 2, 0.25)):
            log.log(step, loss=loss)
        with (Path(first.folder) / "log.jsonl").open("ab") as file:  # U+2028 is a letter of a name, and no end of line
            file.write('{"step": 3, "line\u2028separator": 2.0}\n'.encode())
        lines = first.load()
        best = [first.best("loss", mode)["loss"] for mode in ("max", "min")]
        return {"steps": [line["step"] for line in lines], "losses": [line.get("loss") for line in lines], "best": best}


with checks.step("two objects write the log of one run in turns, then another program"):
    seen = checks.beside(in_turns, RunLog)
    checks.equal(seen["steps"], [0, 1, 1, 2, 3], "the steps of all lines", causes={
        "of lines with the same step only one was kept": [0, 1, 2, 3],
    })  # fmt: skip
    checks.equal(seen["losses"], [1 / 3, 1e-9, math.inf, 0.25, None], "the losses, to the last digit")
    checks.equal(seen["best"], [math.inf, 1e-9], "the largest and the smallest loss; infinity is a number", causes={
        "infinity does not count, as if it were NaN": [1 / 3, 1e-9],
    })  # fmt: skip

with checks.step("the log is read while a line is being written"):
    checks.equal(checks.beside(cut_while_open, RunLog, '{"step": 1, "lo'), [0], "the steps")


def odd(make: Callable) -> dict:
    import math
    import tempfile

    def error(fn: Callable, *args: object) -> str:
        try:
            fn(*args)
        except (KeyError, ValueError, TypeError) as found:  # or what is derived from one of them
            kind = next(kind for kind in (KeyError, ValueError, TypeError) if isinstance(found, kind))
            return f"{kind.__name__}: {found}"
        return "no error"

    with tempfile.TemporaryDirectory() as root:
        log = make(root, {"b": [1, 2.5, "x"], "a": None})
        log.log(0, loss=math.nan)
        log.log(1, loss=3.0)
        log.log(2, loss=math.nan, other=1.0, rare=math.nan)
        with tempfile.TemporaryDirectory() as other_root:
            mixed = make(other_root, {})
            for step, gap in ((7, 0.5), (3, 0.0), (5, 0.0), (4, 0.5), (6, 0.25)):
                mixed.log(step, gap=gap)
            order = [line["step"] for line in mixed.load()]
            least, most = mixed.best("gap", "min")["step"], mixed.best("gap", "max")["step"]
        return {
            "order": order, "gaps": [least, most], "tuple": error(make, root, {(1, 2): 3}), "set": error(make, root, {"a": {1}}),
            "least": log.best("loss", "min")["step"], "most": log.best("loss", "max")["step"],
            "mode": error(log.best, "loss", "largest"), "metric": error(log.best, "accuracy"),
            "rare": error(log.best, "rare", "min"),
        }  # fmt: skip


with checks.step("losses that are NaN, 3 and NaN"):
    seen = checks.beside(odd, RunLog)
    checks.equal((seen["least"], seen["most"]), (1, 1), "the steps of the smallest and of the largest loss", causes={
        "NaN is compared like a number; it is neither larger nor smaller": lambda: (seen["least"], seen["most"]) != (1, 1),
    })  # fmt: skip
    checks.equal(seen["order"], [7, 3, 5, 4, 6], "the steps of a log in which 7, 3, 5, 4 and 6 were written")
    checks.equal(seen["gaps"], [3, 7], "the steps of the smallest and of the largest of the values 0.5, 0, 0, 0.5 and 0.25", causes={
        "a value of 0 does not count": lambda: seen["gaps"][0] == 6,
        "of equal values the last was taken": [5, 4],
    })  # fmt: skip
    checks.that(
        seen["tuple"].startswith("TypeError"),
        "a tuple as a key cannot be written as JSON: a TypeError",
        came=seen["tuple"],
    )
    checks.that(
        seen["set"].startswith("TypeError"), "a set as a value cannot be written as JSON: a TypeError", came=seen["set"]
    )
    checks.that(seen["mode"].startswith("ValueError"), "another mode is a ValueError", came=seen["mode"])
    checks.that(
        seen["metric"].startswith("KeyError") and "accuracy" in seen["metric"],
        "a metric that no line has is a KeyError that names it", came=seen["metric"],
    )  # fmt: skip
    checks.that(
        seen["rare"].startswith("KeyError") and "rare" in seen["rare"],
        "a metric that is NaN in all lines is a KeyError that names it", came=seen["rare"],
    )  # fmt: skip

with checks.step("more names"):
    for config in ({}, {"b": {"d": [1, {"y": 2, "x": 1}], "c": 2.0}, "a": "ä"}, {"z": None, "y": True}):
        wanted = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
        checks.equal(config_hash(config), wanted, f"the name of {config}")
    checks.raises(TypeError, config_hash, {"model": {1, 2}}, name="a set in the configuration")
    checks.raises(TypeError, config_hash, {"model": {(1, 2): 3}}, name="a tuple as a key")
### END HIDDEN TESTS


# %% test="ablator" points=5
def ablated(make: Callable, model: nn.Module, images: torch.Tensor, heads: list, means: object = None) -> torch.Tensor:
    with torch.no_grad(), make(model, heads, means):
        return model(images)


def by_weights(model: nn.Module, images: torch.Tensor, heads: list, means: object = None) -> torch.Tensor:
    """The same by a copy of the model: columns of the projection set to 0, and their part for the means in the bias."""
    model = deepcopy(model)
    with torch.no_grad():
        for layer, head in heads:
            attention = model.blocks[layer].attn
            columns = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
            if means is not None:
                attention.proj.bias += attention.proj.weight[:, columns] @ means[layer, head]
            attention.proj.weight[:, columns] = 0
        return model(images)


def by_columns(model: nn.Module, images: torch.Tensor, heads: list, interleaved: bool) -> torch.Tensor:
    """Two mistakes: other columns of the projection, or rows of its output."""
    model = deepcopy(model)
    with torch.no_grad():
        for layer, head in heads:
            attention = model.blocks[layer].attn
            if interleaved:
                attention.proj.weight[:, head :: attention.num_heads] = 0
            else:
                rows = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
                attention.proj.weight[rows], attention.proj.bias[rows] = 0, 0
        return model(images)


model, images = scrambled_vit(0), datasets.field_tiles(4, seed=0).x
for heads in ([(0, 1)], [(1, 0)], [(1, 2)], [(0, 0), (0, 2), (1, 1)]):
    with checks.step(f"zeros for the heads {heads} of a ViT with 2 layers and 3 heads"):
        expected = by_weights(model, images, heads)
        came = checks.beside(ablated, HeadAblator, model, images, heads)
        checks.close(came, expected, "the logits", rtol=1e-4, atol=1e-4, causes={
            "nothing was ablated": logits_of(model, images),
            "the head was taken from the columns h, h + H, h + 2 H, ...; it holds d columns side by side": lambda: (
                by_columns(model, images, heads, interleaved=True)
            ),
            "the projection's output was changed; after it all heads are mixed": lambda: (
                by_columns(model, images, heads, interleaved=False)
            ),
            "all heads of the layer were taken away": by_weights(model, images, [(layer, h) for layer, _ in heads for h in range(3)]),
            "only the last head of the list was taken away": by_weights(model, images, heads[-1:]),
            "only the last layer's heads were taken away": by_weights(model, images, [p for p in heads if p[0] == heads[-1][0]]),
        })  # fmt: skip

with checks.step("zeros for the heads (0, 2) and (1, 0) of a ViT that nobody has seen"):
    secret = checks.fresh_seed()
    unseen, tiles = scrambled_vit(secret), datasets.field_tiles(3, seed=secret).x
    came = checks.beside(ablated, HeadAblator, unseen, tiles, [(0, 2), (1, 0)])
    checks.close(came, by_weights(unseen, tiles, [(0, 2), (1, 0)]), "the logits", rtol=1e-3, atol=1e-4)

with checks.step("heads that do not exist"):
    for layer, head in ((2, 0), (0, 3), (-1, 0), (0, -1)):
        checks.raises(IndexError, HeadAblator, model, [(0, 0), (layer, head)], name=f"head {head} of layer {layer}")


# %% test="ablator" points=4
def visits(make: Callable, model: nn.Module, images: torch.Tensor, state: Callable, prepare: Callable) -> dict:
    """A model in use before, inside and after two blocks, one of which ends with an error; somebody else's hook stays."""
    seen: dict = {"others": 0}

    def other(module: nn.Module, given: tuple) -> None:
        seen["others"] += 1

    prepare(model).blocks[0].attn.proj.register_forward_pre_hook(other)
    with torch.no_grad():
        seen["at first"] = state(model)
        ablator = make(model, [(0, 1), (1, 1)])
        seen["made"] = state(model)
        with ablator:
            seen["inside the block"] = model(images)
            seen["inside"] = state(model)
        seen["after"] = state(model)
        try:
            with ablator:
                raise ArithmeticError
        except ArithmeticError:
            seen["error"] = "ArithmeticError"
        seen["after an error"] = state(model)
        seen["others"] = 0
        seen["again"] = model(images)
    return seen


with checks.step("a model before, inside and after two blocks"):
    secret = checks.fresh_seed()
    model, images = scrambled_vit(secret), datasets.field_tiles(3, seed=secret).x
    plain, gone = logits_of(model, images), deepcopy(model)
    with torch.no_grad():
        for block in gone.blocks:
            block.attn.proj.weight[:, 4:8] = 0  # head 1 of each layer
    seen = checks.beside(visits, HeadAblator, model, images, unchanged.state_of, unchanged.in_use)
    for moment, named in (
        ("made", "the model of an ablator that was only made,"), ("after", "the model of a block that ended,"),
        ("after an error", "the model of a block that ended with an error,"),
    ):  # fmt: skip
        checks.as_found({"before": seen["at first"], "after": seen[moment], "arguments": []}, named)
    same = seen["inside"]["parameters"] == seen["at first"]["parameters"]
    checks.that(same, "inside the block the parameters are what they were", came="others")
    checks.equal(seen.get("error"), "ArithmeticError", "the error that leaves the block")
    checks.close(seen["inside the block"], logits_of(gone, images), "the logits inside the block", rtol=1e-3, atol=1e-4)
    checks.close(seen["again"], plain, "the logits after both blocks", rtol=1e-3, atol=1e-4)
    checks.equal(seen["others"], 1, "how often somebody else's hook ran in one pass")


def gradients_inside(make: Callable, model: nn.Module, images: torch.Tensor) -> dict:
    """What the attention gave, and the gradient of the pixels, if one still flows."""
    kept: list = []
    model.blocks[0].attn.norm.register_forward_hook(lambda module, given, out: kept.append(out.detach()))
    with torch.no_grad(), make(model, [(0, 0)]):
        model(images)
    pixels, flows = images.clone().requires_grad_(), True
    try:
        with make(model, [(0, 0)]):
            model(pixels).sum().backward()
    except RuntimeError:  # something that the gradient needs was overwritten
        flows = False
    return {"slope": pixels.grad if flows else None, "heads": kept[0]}


with checks.step("gradients through an ablated model, and what the attention itself gave"):
    model = scrambled_vit(2)
    kept: list = []
    hook = model.blocks[0].attn.norm.register_forward_hook(lambda module, given, out: kept.append(out.detach()))
    model(images)
    hook.remove()
    seen = checks.beside(gradients_inside, HeadAblator, deepcopy(model), images)
    checks.close(seen["heads"], kept[0], "the output of the attention, which belongs to the model", causes={
        "it was overwritten in place; work on a copy": lambda: float(seen["heads"][..., :4].abs().max()) == 0,
    })  # fmt: skip
    checks.that(seen["slope"] is not None, "a gradient reaches the pixels through the ablated model", came="none")
    gone, pixels = deepcopy(model), images.clone().requires_grad_()
    with torch.no_grad():
        gone.blocks[0].attn.proj.weight[:, :4] = 0
    (wanted,) = torch.autograd.grad(gone(pixels).sum(), pixels)
    checks.close(seen["slope"], wanted, "the gradient of the pixels", rtol=1e-3, atol=1e-4)

# %% test="ablator" points=5
with checks.step("means of the heads of a ViT with 2 layers and 3 heads of width 4"):
    model, images = scrambled_vit(3), datasets.field_tiles(6, seed=2).x
    glued: list = []
    hooks = [
        block.attn.proj.register_forward_hook(lambda module, given, out: glued.append(given[0].detach()))
        for block in model.blocks
    ]
    logits_of(model, images)
    for hook in hooks:
        hook.remove()
    expected = torch.stack([sum(x[i, t] for i in range(6) for t in range(17)) / (6 * 17) for x in glued]).reshape(
        2, 3, 4
    )
    came = head_means(model, images)
    checks.close(came, expected, "the means", causes={
        "the class token alone was averaged": torch.stack([x[:, 0].mean(0) for x in glued]).reshape(2, 3, 4),
        "the class token was left out": torch.stack([x[:, 1:].mean((0, 1)) for x in glued]).reshape(2, 3, 4),
        "the columns were cut as h, h + H, ...; a head holds d columns side by side":
            torch.stack([x.mean((0, 1)) for x in glued]).reshape(2, 4, 3).transpose(1, 2),
        "this is what comes out of the projection": lambda: tuple(came.shape) == (2, 3, 4) and checks.near(
            came.reshape(2, 12),
            torch.stack([block.attn.proj(x).mean((0, 1)) for block, x in zip(model.blocks, glued)]),
        ),
    })  # fmt: skip

with checks.step("the means in the place of the heads (0, 2) and (1, 0)"):
    means = checks.normal(seed=4)(2, 3, 4)

    def with_means(make: Callable, model: nn.Module, images: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), make(model, [(0, 2), (1, 0)], means):
            return torch.cat([model(images[:4]), model(images[4:])])

    def with_other_weights(model: nn.Module, means: torch.Tensor) -> nn.Module:
        """A copy in which the same heads have no columns, and their part for the means stands in the bias."""
        changed = deepcopy(model)
        with torch.no_grad():
            for layer, head in ((0, 2), (1, 0)):
                projection, columns = changed.blocks[layer].attn.proj, slice(4 * head, 4 * head + 4)
                projection.bias += projection.weight[:, columns] @ means[layer, head]
                projection.weight[:, columns] = 0
        return changed

    changed = with_other_weights(model, means)
    came = checks.beside(with_means, HeadAblator, model, images, means)
    silent = deepcopy(changed)
    with torch.no_grad():
        for block, whole in zip(silent.blocks, model.blocks):
            block.attn.proj.bias.copy_(whole.attn.proj.bias)
    checks.close(came, logits_of(changed, images), "the logits", causes={
        "zeros were put there, although means are given": logits_of(silent, images),
        "the mean of the batch at hand was put there, not the means that are given": lambda: checks.near(
            came, checks.beside(with_means, HeadAblator, model, images, means + 1.0)
        ),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("what `head_means` leaves behind on a model in use, and when the images do not fit"):
    checks.as_found(checks.beside(unchanged.asked, head_means, scrambled_vit(3), images))
    seen = checks.beside(unchanged.asked, head_means, scrambled_vit(3), images[..., :24])
    checks.that(seen["raised"] != "", "images that are too narrow for the model are an error", came="no error")
    checks.as_found(seen)


def ablated_none(make: Callable, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), make(model, []):
        return model(images)


def watched(measure: Callable, model: nn.Module, *given: torch.Tensor) -> list:
    """How often somebody else's hook on each projection runs in one pass after the measurement."""
    calls = [0] * len(model.blocks)
    for layer, block in enumerate(model.blocks):

        def count(module: nn.Module, given: tuple, layer: int = layer) -> None:
            calls[layer] += 1

        block.attn.proj.register_forward_pre_hook(count)
    measure(model, *given)
    calls[:] = [0] * len(calls)
    model(given[0])
    return calls


with checks.step("somebody else's hooks on the projections"):
    calls = checks.beside(watched, head_means, scrambled_vit(3), images)
    checks.equal(calls, [1, 1], "how often each of them runs in one pass after `head_means`", causes={
        "all hooks were taken off, not only those that were hung there": [0, 0],
    })  # fmt: skip

with checks.step("no head at all is taken away"):
    checks.close(checks.beside(ablated_none, HeadAblator, model, images), logits_of(model, images), "the logits")


def means_and_modes(measure: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    """A model in train mode with dropout and one norm in eval mode: means, then modes and hooks."""
    model.train()
    model.norm.eval()
    found = measure(model, images)
    modes = [model.training, model.norm.training, model.blocks[0].training]
    return (
        found,
        modes,
        sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules()),
        found.requires_grad,
    )


with checks.step("a model in train mode, with dropout"):
    noisy = scrambled_vit(5)
    noisy.pos_drop = nn.Dropout(0.5)
    came, modes, hooks, tracked = checks.beside(means_and_modes, head_means, deepcopy(noisy), images)
    calm = scrambled_vit(5)
    kept = []
    hooks_on = [b.attn.proj.register_forward_pre_hook(lambda m, given: kept.append(given[0])) for b in calm.blocks]
    logits_of(calm, images)
    wanted = torch.stack([x.mean((0, 1)) for x in kept]).reshape(2, 3, 4)
    checks.close(came, wanted, "the means, as in eval mode", causes={
        "the model ran in train mode, so dropout was active": lambda: not checks.near(came, wanted, rtol=0.01),
    })  # fmt: skip
    checks.equal(modes, [True, False, True], "train mode of the model, of a norm that was in eval mode, of a block")
    checks.equal((hooks, tracked), (0, False), "hooks left behind, and whether the means hold a gradient graph")


def nested(make: Callable, model: nn.Module, images: torch.Tensor) -> tuple:
    """Two blocks at once, the inner one ends first."""
    with torch.no_grad(), make(model, [(0, 0)]):
        with make(model, [(0, 1), (1, 1)]):
            both = model(images)
        one = model(images)
    return both, one


def columns_zero(model: nn.Module, images: torch.Tensor, heads: list) -> torch.Tensor:
    model = deepcopy(model)
    with torch.no_grad():
        for layer, head in heads:
            width = model.blocks[layer].attn.head_dim
            model.blocks[layer].attn.proj.weight[:, head * width : (head + 1) * width] = 0
    return logits_of(model, images)


with checks.step("a head that stands in the list twice"):

    def twice(make: Callable, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), make(model, [(0, 1), (1, 2), (0, 1)]):
            return model(images)

    checks.close(
        checks.beside(twice, HeadAblator, model, images), columns_zero(model, images, [(0, 1), (1, 2)]), "the logits"
    )

with checks.step("two blocks, one inside the other"):
    both, one = checks.beside(nested, HeadAblator, model, images)
    checks.close(both, columns_zero(model, images, [(0, 0), (0, 1), (1, 1)]), "the logits inside both")
    checks.close(one, columns_zero(model, images, [(0, 0)]), "the logits in the outer one alone")


def by_hand(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The means of the heads, from what goes into each projection of a model without dropout."""
    kept = []
    hooks = [b.attn.proj.register_forward_pre_hook(lambda m, given: kept.append(given[0])) for b in model.blocks]
    logits_of(model, images, batch=len(images))
    for hook in hooks:
        hook.remove()
    return torch.stack([x.reshape(-1, b.attn.num_heads, b.attn.head_dim).mean(0) for x, b in zip(kept, model.blocks)])


with checks.step("means of 203 images; of one image in a ViT with one layer; in float64"):
    many = datasets.field_tiles(203, seed=9).x
    for number, model, name in (
        (203, scrambled_vit(7), "of 203 images"), (1, scrambled_vit(8, depth=1), "of one image in one layer"),
        (3, scrambled_vit(7, width=16, depth=3, heads=2).double(), "in float64"),
    ):  # fmt: skip
        some = many[:number].to(model.norm.weight.dtype)
        checks.close(head_means(model, some), by_hand(model, some), f"the means {name}")

with checks.step("means in float64 for a model in float32, and the other way round"):
    for dtype, other in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        model, some = scrambled_vit(9).to(dtype), many[:6].to(dtype)
        means = checks.normal(seed=5)(2, 3, 4).to(other)
        came = checks.beside(with_means, HeadAblator, model, some, means)
        wanted = logits_of(with_other_weights(model, means.to(dtype)), some)
        checks.close(came, wanted, "the logits", rtol=1e-3, atol=1e-4)

with checks.step("the heads of another shape: 3 layers, 2 heads of width 8, in float64, all heads at once"):
    model = scrambled_vit(6, width=16, depth=3, heads=2).double()
    heads, images = [(layer, head) for layer in range(3) for head in range(2)], images.double()

    def gone(make: Callable, model: nn.Module, images: torch.Tensor, heads: list) -> torch.Tensor:
        with torch.no_grad(), make(model, heads):
            return model(images)

    checks.close(
        checks.beside(gone, HeadAblator, model, images, heads),
        columns_zero(model, images, heads),
        "the logits",
        atol=1e-10,
    )
### END HIDDEN TESTS


# %% test="importance" points=5
def observed(measure: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor, *more: object) -> tuple:
    """Effects of a model that is in train mode, and what is left of the modes."""
    model.train()
    effects = measure(model, x, y, *more)
    return effects, effects.requires_grad, model.training and model.blocks[0].training


def planted(seed: int, dead: list, loud: tuple) -> nn.Module:
    """A ViT with 2 layers and 3 heads: some heads reach nothing, one is ten times as loud."""
    model = scrambled_vit(seed)
    with torch.no_grad():
        for layer in range(2):
            for head in range(3):
                columns = model.blocks[layer].attn.proj.weight[:, 4 * head : 4 * head + 4]
                columns *= 0.0 if (layer, head) in dead else 10.0 if (layer, head) == loud else 0.3
    return model


with checks.step("a ViT in which the heads (0, 1) and (1, 2) reach nothing and (1, 0) is loud"):
    model, tiles = planted(0, dead=[(0, 1), (1, 2)], loud=(1, 0)), datasets.field_tiles(48, seed=7)
    x = tiles.x
    y = logits_of(model, x).argmax(1)  # the model's own answers: so each head that it uses can only help
    effects, tracked, training = checks.beside(observed, head_effects, deepcopy(model), x, y)
    checks.shape(effects, (2, 3, 48), "the effects")
    for layer, head in ((0, 1), (1, 2)):
        checks.that(
            float(effects[layer, head].abs().max()) < 1e-6, f"head ({layer}, {head}) reaches nothing, so its effect is 0",
            came=f"up to {float(effects[layer, head].abs().max()):.2e}",
        )  # fmt: skip
    top = int(effects.mean(2).flatten().argmax())
    checks.equal((top // 3, top % 3), (1, 0), "the most important head", causes={
        "the sign is the other way round: importance is the rise of the loss without the head": lambda: (
            int(effects.mean(2).flatten().argmin()) == 3
        ),
    })  # fmt: skip
    checks.equal(tracked, False, "whether the effects hold a gradient graph")
    checks.equal(training, True, "whether the model is in train mode again")

with checks.step("each effect against a copy of the model whose columns are 0"):
    expected = torch.zeros(2, 3, 48)
    whole = logits_of(model, x)
    flips = torch.zeros(2, 3, 48)
    for layer in range(2):
        for head in range(3):
            changed = deepcopy(model)
            with torch.no_grad():
                changed.blocks[layer].attn.proj.weight[:, 4 * head : 4 * head + 4] = 0
            found = logits_of(changed, x)
            expected[layer, head] = F.cross_entropy(found, y, reduction="none") - F.cross_entropy(
                whole, y, reduction="none"
            )
            flips[layer, head] = (whole.argmax(1) == y).float() - (found.argmax(1) == y).float()
    checks.close(effects, expected, "the effects", rtol=1e-3, atol=1e-5, causes={
        "the sign is the other way round: importance is the rise of the loss without the head": -expected,
        "this is the fall of the accuracy; it stays 0 until an answer flips": flips,
        "this is the loss without the head; subtract the loss of the whole model":
            expected + F.cross_entropy(whole, y, reduction="none"),
        "each image got the mean over all images": expected.mean(2, keepdim=True).expand(2, 3, 48),
    })  # fmt: skip

with checks.step("a ViT and tiles that nobody has seen: the effects of the last head"):
    secret = checks.fresh_seed()
    model, tiles = scrambled_vit(secret), datasets.field_tiles(12, seed=secret)
    changed = deepcopy(model)
    with torch.no_grad():
        changed.blocks[1].attn.proj.weight[:, 8:] = 0
    wanted = F.cross_entropy(logits_of(changed, tiles.x), tiles.y, reduction="none")
    wanted -= F.cross_entropy(logits_of(model, tiles.x), tiles.y, reduction="none")
    effects = head_effects(model, tiles.x, tiles.y)
    checks.shape(effects, (2, 3, 12), "the effects")
    checks.close(effects[1, 2], wanted, "the effects", rtol=1e-3, atol=1e-4)

# %% test="importance" points=4
with checks.step("means in the place of the heads"):
    model, tiles = scrambled_vit(4), datasets.field_tiles(30, seed=8)
    means = checks.normal(seed=0)(2, 3, 4)
    expected = torch.zeros(2, 3, 30)
    for layer in range(2):
        for head in range(3):
            changed = deepcopy(model)
            with torch.no_grad():
                projection, columns = changed.blocks[layer].attn.proj, slice(4 * head, 4 * head + 4)
                projection.bias += projection.weight[:, columns] @ means[layer, head]
                projection.weight[:, columns] = 0
            expected[layer, head] = F.cross_entropy(logits_of(changed, tiles.x), tiles.y, reduction="none")
    expected -= F.cross_entropy(logits_of(model, tiles.x), tiles.y, reduction="none")
    checks.close(head_effects(model, tiles.x, tiles.y, means), expected, "the effects", rtol=1e-3, atol=1e-5, causes={
        "the means were not used": lambda: checks.near(
            head_effects(model, tiles.x, tiles.y, means), head_effects(model, tiles.x, tiles.y), rtol=1e-3
        ),
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def in_train_mode(measure: Callable, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return measure(model.train(), x, y)


with checks.step("a ViT with dropout, in train mode"):
    noisy = scrambled_vit(5, width=12, depth=3, heads=2)
    for block in noisy.blocks:
        block.mlp.drop1.p = 0.5
    came = checks.beside(in_train_mode, head_effects, deepcopy(noisy), tiles.x, tiles.y)
    wanted = torch.zeros(3, 2, 30)
    for layer in range(3):
        for head in range(2):
            changed = deepcopy(noisy).eval()
            with torch.no_grad():
                changed.blocks[layer].attn.proj.weight[:, 6 * head : 6 * head + 6] = 0
            wanted[layer, head] = F.cross_entropy(logits_of(changed, tiles.x), tiles.y, reduction="none")
    wanted -= F.cross_entropy(logits_of(noisy.eval(), tiles.x), tiles.y, reduction="none")
    checks.close(came, wanted, "the effects of 3 layers and 2 heads, as in eval mode", rtol=1e-3, atol=1e-5, causes={
        "the model ran in train mode, so dropout adds noise to every effect": lambda: not checks.near(came, wanted, rtol=0.05),
    })  # fmt: skip

with checks.step("what `head_effects` leaves behind on a model in use, and when the images do not fit"):
    checks.as_found(checks.beside(unchanged.asked, head_effects, scrambled_vit(4), tiles.x, tiles.y))
    seen = checks.beside(unchanged.asked, head_effects, scrambled_vit(4), tiles.x[..., :24], tiles.y)
    checks.that(seen["raised"] != "", "images that are too narrow for the model are an error", came="no error")
    checks.as_found(seen)
### END HIDDEN TESTS

# %% test="importance" points=5
with checks.step(
    "3 layers, 2 heads: effects 1 for 30 %, 50 %, 10 % and 20 % of 400 images, -1 for 60 %, and 0.05 for all"
):
    # the mean of n drawn zeros and ones is binomial: bounds from scipy's quantiles with endless resampling
    shares = (
        (0.3, 0.2550, 0.3450), (0.5, 0.4500, 0.5500), (0.1, 0.0725, 0.1300), (0.2, 0.1625, 0.2400), (-0.6, -0.6475, -0.5525),
        (0.05, 0.05, 0.05),
    )  # fmt: skip
    effects = torch.zeros(3, 2, 400)
    for k, (share, _, _) in enumerate(shares):
        effects[k // 2, k % 2, : int(abs(share) * 400)] = 1.0 if share > 0 else -1.0
    effects[2, 1] = 0.05
    ranked = rank_heads(effects, 0, 4000)
    checks.equal(len(ranked), 6, "the number of rows")
    checks.equal(sorted(ranked[0]), ["head", "high", "importance", "layer", "low"], "the names in a row")
    order = [(row["layer"], row["head"]) for row in ranked]
    right = [(0, 1), (0, 0), (1, 1), (1, 0), (2, 1), (2, 0)]
    checks.equal(order, right, "the heads, the most important first", causes={
        "the least important head comes first": right[::-1],
        "the heads stand in the order of the model": sorted(right),
        "a harmful head was taken for an important one: sorted by absolute values": [right[-1], *right[:-1]],
    })  # fmt: skip
    for row in ranked:
        share, low, high = shares[2 * row["layer"] + row["head"]]
        checks.that(
            abs(row["importance"] - share) < 1e-6, f"the importance is {share}", came=f"{row['importance']:.4f}"
        )
        spread = (abs(share) * (1 - abs(share)) / 400) ** 0.5 * (share != 0.05)
        for name, wanted, side in (("low", low, -1), ("high", high, 1)):
            checks.that(
                abs(row[name] - wanted) <= 0.005, f"{name!r} is an end of the 95 % interval",
                came=f"{row[name]:.4f}", expected=f"{wanted:.4f} within 0.005",
                causes={
                    "no interval at all: without replacement each draw is the same 400 images": abs(row[name] - share) < 1e-6,
                    "5 % lie outside on each side: this is the 90 % interval": abs(row[name] - share - side * 1.645 * spread) < 0.003,
                    "this is one standard deviation of a single effect": abs(row[name] - share - side * 20 * spread) < 0.01,
                },
            )  # fmt: skip

with checks.step("one image of 20 has the effect 20, the others none: the interval is as skewed as that"):
    # how often this image is drawn is binomial with p = 1/20: 0 times in 36 %, more than 3 times in 1.6 % of the draws
    skewed = torch.zeros(1, 1, 20)
    skewed[0, 0, 7] = 20.0
    (row,) = rank_heads(skewed, 1, 8000)
    for name, wanted, normal in (("low", 0.0, -0.91), ("high", 3.0, 2.91)):
        checks.that(abs(row[name] - wanted) < 1e-6, f"{name!r} is a percentile of the drawn means", came=f"{row[name]:.3f}",
            expected=f"{wanted:.0f}", causes={
                "this is the mean and 1.96 standard errors; the drawn means are not normal": abs(row[name] - normal) < 0.06,
            })  # fmt: skip

with checks.step("what stands in a row"):
    for row in ranked:
        checks.that(
            all(isinstance(row[name], int) for name in ("layer", "head")), "layer and head are of type int",
            came=", ".join(type(row[name]).__name__ for name in ("layer", "head")),
            causes={"these are NumPy's integers, which JSON cannot write": not any(isinstance(row[name], torch.Tensor) for name in row)},
        )  # fmt: skip
        checks.that(
            all(isinstance(row[name], float) for name in ("importance", "low", "high")), "importance, low and high are of type float",
            came=", ".join(type(row[name]).__name__ for name in ("importance", "low", "high")),
        )  # fmt: skip

with checks.step("the same seed twice"):
    checks.equal(
        [row["low"] for row in rank_heads(effects, 3, 50)], [row["low"] for row in rank_heads(effects, 3, 50)], "low"
    )

with checks.step("other seeds, one resample"):
    plain = checks.normal(seed=9)(3, 2, 40)
    lows = [[row["low"] for row in rank_heads(plain, seed, 30)] for seed in (3, 4)]
    checks.that(lows[0] != lows[1], "another seed draws other images", came="the same intervals")
    checks.that(all(row["low"] == row["high"] for row in rank_heads(plain, 0, 1)), "with one resample both ends are equal",
        came="an interval")  # fmt: skip
    first, other = (split_half(plain, seed, 5)["mean"] for seed in (3, 4))
    checks.that(first != other, "another seed splits the images in another way", came="the same stability")

with checks.step("one split alone"):
    once = split_half(plain, 3, 1)
    checks.that(
        all(isinstance(value, float) for value in once.values()), "mean, low and high are of type float", came=str(once)
    )
    checks.that(
        once["low"] == once["mean"] == once["high"], "with one split mean and both ends are equal", came=str(once)
    )

with checks.step("two images: each half is one of them"):
    halves = torch.tensor([[1.0, 3.0], [2.0, 1.0], [3.0, 2.0], [4.0, 5.0], [5.0, 4.0], [6.0, 6.0]]).reshape(3, 2, 2)
    known = float(spearmanr(*halves.reshape(6, 2).T).statistic)
    came = split_half(halves, 0, 40)
    checks.that(all(abs(came[key] - known) < 1e-6 for key in ("mean", "low", "high")), f"the stability is {known:.4f} in all splits",
        came=str(came), causes={
            "the halves share images; draw them without replacement and disjoint": came["high"] > known + 0.01,
        })  # fmt: skip

with checks.step("an order that every image agrees on, and one that none does"):
    levels = torch.tensor([0.1, 0.4, 0.2, 0.3, 5.0, 0.0])
    agreed = split_half((levels[:, None] + torch.zeros(6, 50)).reshape(2, 3, 50), 0, 20)
    checks.that(
        all(abs(agreed[key] - 1) < 1e-9 for key in ("mean", "low", "high")), "the stability is 1", came=str(agreed)
    )
    noise = split_half(checks.normal(seed=3)(4, 4, 300), 0, 100)
    checks.that(abs(noise["mean"]) < 0.35, "the stability of pure noise is near 0", came=f"{noise['mean']:.3f}")

### BEGIN HIDDEN TESTS
with checks.step("Spearman, not Pearson: one head a thousand times as large"):
    randn = checks.normal(seed=2)
    levels = torch.tensor([1000.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    effects = (levels[:, None] + 3.0 * randn(8, 100)).reshape(2, 4, 100)
    rng, wanted, pearson = np.random.default_rng(5), [], []
    flat = effects.reshape(8, 100).double().numpy()
    for _ in range(400):
        mixed = rng.permutation(100)
        pair = flat[:, mixed[:50]].mean(1), flat[:, mixed[50:]].mean(1)
        wanted.append(spearmanr(*pair).statistic)
        pearson.append(np.corrcoef(*pair)[0, 1])
    came = split_half(effects, 0, 400)
    low, high = np.percentile(wanted, [2.5, 97.5])
    checks.that(abs(came["mean"] - np.mean(wanted)) < 0.06, "the mean over 400 splits, against a loop", came=f"{came['mean']:.3f}",
        expected=f"{np.mean(wanted):.3f} within 0.06",
        causes={"this is Pearson's correlation, which one large head decides": bool(abs(came["mean"] - np.mean(pearson)) < 0.02)},
    )  # fmt: skip
    for name, bound in (("low", low), ("high", high)):
        checks.that(abs(came[name] - bound) < 0.15, f"{name!r} is a percentile over the splits", came=f"{came[name]:.3f}",
            expected=f"{bound:.3f} within 0.15")  # fmt: skip

with checks.step("three images: one of them stays out, so that the halves are equally large"):
    three = torch.tensor([[1.0, 2.0, 9.0], [2.0, 1.0, 1.0], [3.0, 9.0, 2.0], [9.0, 3.0, 3.0]]).reshape(2, 2, 3)
    columns = three.reshape(4, 3).T
    pairs = sorted(float(spearmanr(columns[a], columns[b]).statistic) for a, b in ((0, 1), (0, 2), (1, 2)))
    came = split_half(three, 0, 400)
    checks.that(abs(came["low"] - pairs[0]) < 1e-6 and abs(came["high"] - pairs[-1]) < 1e-6,
        "the ends are the smallest and the largest correlation of two images", came=f"{came['low']:.4f} and {came['high']:.4f}",
        expected=f"{pairs[0]:.4f} and {pairs[-1]:.4f}")  # fmt: skip

with checks.step("an odd number of images, and heads with equal effects"):
    effects = checks.normal(seed=3)(1, 5, 41) + torch.arange(5.0)[:, None]
    came = split_half(effects, 0, 50)
    checks.that(came["mean"] > 0.95, "the stability of a clear order of 5 heads, 41 images", came=f"{came['mean']:.3f}")
    rows = rank_heads(torch.zeros(2, 2, 9), 0, 20)
    checks.equal(
        sorted((row["layer"], row["head"]) for row in rows), [(0, 0), (0, 1), (1, 0), (1, 1)], "the heads of a tie"
    )

with checks.step("effects of another dtype: bfloat16, and float64 where float32 loses digits"):
    # multiples of 1/4 below 64 are exact in bfloat16; their mean over 3 images is not
    quarters = torch.tensor([[1.25, 2.5, 0.5], [0.25, 63.75, 0.75], [-2.0, 1.0, 0.25]]).reshape(3, 1, 3)
    for dtype in (torch.bfloat16, torch.float64):
        rows = rank_heads(quarters.to(dtype), 0, 20)
        checks.equal([row["layer"] for row in rows], [1, 0, 2], f"the layers, {dtype}")
        for row in rows:
            wanted = sum(quarters[row["layer"], 0].tolist()) / 3
            checks.that(abs(row["importance"] - wanted) < 1e-12, f"the importance, {dtype}", came=f"{row['importance']:.15f}",
                expected=f"{wanted:.15f}", causes={
                    "it was averaged in a smaller dtype; the docstring says float64": 1e-12 < abs(row["importance"] - wanted) < 0.01 * abs(wanted),
                })  # fmt: skip
        agreed = split_half((torch.arange(4.0)[:, None] + torch.zeros(4, 6)).reshape(2, 2, 6).to(dtype), 0, 5)
        checks.that(
            abs(agreed["mean"] - 1) < 1e-9,
            f"the stability of an order that all images agree on, {dtype}",
            came=str(agreed),
        )
    close_by = 1e9 + torch.arange(4.0).double()[:, None] + torch.zeros(4, 6).double()  # all alike in float32
    agreed = split_half(close_by.reshape(2, 2, 6), 0, 5)
    checks.that(
        abs(agreed["mean"] - 1) < 1e-9, "the stability of effects that differ in the tenth digit", came=str(agreed), causes={
            "it was averaged in a smaller dtype; the docstring says float64": math.isnan(agreed["mean"]),
        },
    )  # fmt: skip

with checks.step(
    "two of three heads change places where one half holds all of five odd images: in about 1 of 27 splits"
):
    odd = torch.zeros(3, 1, 24)
    odd[1], odd[1, 0, [2, 7, 11, 12, 20]], odd[2] = 1.0, -1.7, 9.0  # 7 - 5 * 1.7 < 0 < 8 - 4 * 1.7
    for seed in range(100):
        came = split_half(odd, seed, 100)
        swapped = round(100 * (1 - came["mean"]) / 0.5)  # Spearman's correlation is then 0.5, else 1
        checks.that(0 <= swapped <= 20, "the correlations are 0.5, rarely, and 1", came=str(came))
        if swapped in (4, 5):  # more than 2.5 % of the splits, and not more than 5 %
            break
    checks.that(swapped in (4, 5) and abs(came["low"] - 0.5) < 1e-9, f"{swapped} of 100 splits give 0.5: that is the percentile 2.5",
        came=f"{came['low']:.3f}", causes={
            "5 % of the splits lie below `low`: this is the 90 % interval": swapped in (4, 5) and came["low"] > 0.9,
        })  # fmt: skip
    checks.that(abs(came["high"] - 1) < 1e-9, "the percentile 97.5 is 1", came=f"{came['high']:.3f}")


def generators_moved(fn: Callable, *given: object) -> list:
    """The global generators that are not as they were after the call."""
    import random

    import numpy as np

    def states() -> dict:
        old = np.random.get_state()  # noqa: NPY002
        return {
            "torch": torch.get_rng_state().tolist(),
            "NumPy": [*old[1].tolist(), old[2]],
            "Python": random.getstate(),
        }

    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    before = states()
    fn(*given)
    return [name for name, state in states().items() if state != before[name]]


with checks.step("the effects that were given are not changed, and no global generator is moved"):
    for fn in (rank_heads, split_half):
        (after,) = checks.beside(observe.arguments_after, fn, odd, 0, 5)
        checks.equal(after, odd, "the effects afterwards")
        checks.equal(checks.beside(generators_moved, fn, odd, 0, 5), [], "the global generators that were moved")
### END HIDDEN TESTS

# %% test="cards" points=4
with checks.step("a class token and 2 x 3 patches of 8 pixels; every token looks everywhere alike"):
    even = torch.full((1, 7, 7), 1 / 7)
    evidence = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.25, 0.0]]])
    card = head_card(even, evidence, 8)
    checks.equal(sorted(card), sorted(CARD), "the names on the card")
    # distances in patches from each of 6 places: rows 0 and 1, columns 0 to 2
    apart = [math.dist((r, c), (q, d)) for r in range(2) for c in range(3) for q in range(2) for d in range(3)]
    for name, wanted, causes in (
        ("distance", 8 * sum(apart) / 36, {
            "the distance is in patches, not in pixels": sum(apart) / 36,
            "the weights of the patches were not rescaled to sum 1": 8 * sum(apart) / 36 * 6 / 7,
        }),
        ("entropy", math.log(7), {"the entropy is in bits": math.log2(7), "the sign is missing": -math.log(7)}),
        ("sparsity", 0.0, {"this is 1 for an even row; sparsity is 0 there": (
            # and 0 for rows of one weight each
            1.0 if abs(head_card(torch.eye(7)[None], evidence, 8)["sparsity"]) < 1e-6 else math.nan
        )}),
        ("class_mass", 1 / 7, {"this is the class token's own row": 6 / 7}),
        ("evidence_mass", 0.75 / 6, {
            "the weights of the patches were not rescaled to sum 1": 0.75 / 7,
            "a patch with any evidence counted as a whole": 2 / 6,
        }),
    ):  # fmt: skip
        checks.that(
            abs(card[name] - wanted) < 1e-5, f"{name!r} is {wanted:.4f}", came=f"{card[name]:.4f}",
            causes={text: abs(card[name] - wrong) < 1e-5 for text, wrong in causes.items()},
        )  # fmt: skip

with checks.step("random rows that nobody has seen"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    parts = torch.randint(1, 161, (3, 7, 6), generator=draw)  # of 1024, so that rows sum to 1 exactly, also in float32
    rows = torch.cat([parts, 1024 - parts.sum(-1, keepdim=True)], dim=-1) / 1024
    shares = torch.rand(3, 2, 3, generator=draw)
    card = head_card(rows, shares, 8)
    checks.that(
        all(isinstance(card[name], float) for name in CARD), "the numbers on the card are floats of Python",
        came=", ".join(type(card[name]).__name__ for name in CARD),
    )  # fmt: skip
    looks = [row for image in rows.double().tolist() for row in image]
    place = [(8 * (j // 3), 8 * (j % 3)) for j in range(6)]
    far = [
        sum(a * math.dist(place[query], place[j]) for j, a in enumerate(row[1:])) / sum(row[1:])
        for image in rows.double().tolist() for query, row in enumerate(image[1:])
    ]  # fmt: skip
    on_evidence = [
        sum(a * e for a, e in zip(image[0][1:], share)) / sum(image[0][1:])
        for image, share in zip(rows.double().tolist(), shares.flatten(1).tolist())
    ]
    for name, wanted in (
        ("distance", sum(far) / 18),
        ("entropy", -sum(a * math.log(a) for row in looks for a in row) / 21),
        ("sparsity", sum((7**0.5 - sum(row) / math.hypot(*row)) / (7**0.5 - 1) for row in looks) / 21),
        ("class_mass", sum(row[0] for k, row in enumerate(looks) if k % 7) / 18),
        ("evidence_mass", sum(on_evidence) / 3),
    ):
        gap = abs(card[name] - wanted)
        checks.that(gap < 1e-9, f"{name!r} of them", came=f"{card[name]:.12f}", expected=f"{wanted:.12f}", causes={
            "it was computed in float32; the docstring says float64": 1e-9 < gap < 1e-5,
        })  # fmt: skip

with checks.step("a head in which every token looks at itself only"):
    card = head_card(0.999 * torch.eye(7)[None] + 0.001 * even, evidence, 8)
    checks.that(card["distance"] < 0.05 and card["sparsity"] > 0.99 and card["entropy"] < 0.02,
        "distance and entropy are near 0, sparsity near 1", came=str({k: round(card[k], 3) for k in CARD[:3]}))  # fmt: skip

with checks.step("a grid that does not fit"):
    checks.raises(ValueError, head_card, even, torch.zeros(1, 2, 2), 8, name="2 x 2 patches for 7 tokens")

# %% test="cards" points=4
with checks.step("2 layers with 3 heads, random rows, a grid of 3 x 2, one image of three without evidence"):
    randn = checks.normal(seed=0)
    attentions = (2.0 * randn(2, 3, 3, 7, 7)).softmax(-1).mul(2**20).ceil() / 2**20
    attentions[..., -1] = 1 - attentions[..., :-1].sum(-1)  # rows sum to 1 exactly, also in float32
    attentions = list(attentions)
    evidence = torch.rand(3, 3, 2, generator=torch.Generator().manual_seed(0))
    evidence[1] = 0.0
    came = specialization_matrix(attentions, evidence, 4)
    checks.shape(came, (6, 5), "the matrix")
    checks.dtype(came, torch.float64, "the matrix")
    expected = torch.zeros(6, 5, dtype=torch.float64)
    place = [(4.0 * (j // 2), 4.0 * (j % 2)) for j in range(6)]
    for k in range(6):
        sums, on_evidence = [0.0] * 4, []
        for image in range(3):
            a = attentions[k // 3][image, k % 3].double()
            for query in range(7):
                row = a[query].tolist()
                sums[1] -= sum(v * math.log(v) for v in row) / 21
                sums[2] += (7**0.5 - sum(row) / math.hypot(*row)) / (7**0.5 - 1) / 21
                if query:
                    far = sum(row[j + 1] * math.dist(place[query - 1], place[j]) for j in range(6)) / sum(row[1:])
                    sums[0] += far / 18
                    sums[3] += row[0] / 18
            if image != 1:
                row = a[0, 1:] / a[0, 1:].sum()
                on_evidence.append(float((row * evidence[image].flatten()).sum()))
        expected[k] = torch.tensor([*sums, sum(on_evidence) / 2], dtype=torch.float64)
    by_head = [0, 3, 1, 4, 2, 5]
    checks.close(came.double(), expected, "the matrix", rtol=1e-9, atol=1e-9, causes={
        "the heads stand head by head; the heads of layer 0 come first": expected[by_head],
        "an image without evidence counted as 0": lambda: checks.near(came[:, 4].double(), expected[:, 4] * 2 / 3, rtol=1e-4),
        "row and column of the grid are swapped": lambda: (
            checks.near(came[:, 1:].double(), expected[:, 1:], rtol=1e-4) and not checks.near(came[:, 0].double(), expected[:, 0])
        ),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("weights of exactly 0, and no evidence anywhere"):
    sharp = 0.5 * torch.eye(7)[[0, 0, 0, 0, 0, 0, 0]][None] + 0.5 * torch.eye(7)[[1, 2, 3, 4, 5, 6, 1]][None]
    card = head_card(sharp, torch.zeros(1, 3, 2), 4)
    checks.that(abs(card["entropy"] - math.log(2)) < 1e-5, "the entropy of two equal weights is ln 2", came=f"{card['entropy']}", causes={
        "0 ln 0 became NaN": math.isnan(card["entropy"]),
    })  # fmt: skip
    checks.that(
        math.isnan(card["evidence_mass"]), "without evidence the mass on it is NaN", came=f"{card['evidence_mass']}"
    )
    checks.that(abs(card["class_mass"] - 0.5) < 1e-6, "the class mass is 0.5", came=f"{card['class_mass']:.4f}")

with checks.step("a thousandth of one patch is evidence as well"):
    faint = torch.zeros(2, 3, 2)
    faint[0, 0, 0], faint[1] = 1e-3, 1.0
    card = head_card(torch.full((2, 7, 7), 1 / 7), faint, 4)
    wanted = (1e-3 / 6 + 1) / 2
    checks.that(abs(card["evidence_mass"] - wanted) < 1e-6, "the mass on the evidence", came=f"{card['evidence_mass']:.6f}",
        expected=f"{wanted:.6f}", causes={"an image with little evidence was left out": abs(card["evidence_mass"] - 1) < 1e-6})  # fmt: skip

with checks.step("two prefix tokens, as in a distilled DeiT"):
    attention = checks.normal(seed=3)(2, 8, 8).softmax(-1)
    evidence = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1))
    card = head_card(attention, evidence, 4, 2)
    checks.that(
        abs(card["class_mass"] - float(attention[:, 2:, :2].sum(-1).mean())) < 1e-5, "class mass: both prefix tokens",
        came=f"{card['class_mass']:.4f}", causes={
            "one of two prefix tokens was counted": abs(card["class_mass"] - float(attention[:, 2:, 0].mean())) < 1e-5,
            "the second prefix token was counted as a query": abs(card["class_mass"] - float(attention[:, 1:, :2].sum(-1).mean())) < 1e-5,
        },
    )  # fmt: skip
    among = attention[:, 2:, 2:].double() / attention[:, 2:, 2:].double().sum(-1, keepdim=True)
    far = torch.tensor([[math.dist(a, b) for b in place] for a in place], dtype=torch.float64)
    wanted = float((among * far).sum(-1).mean())
    checks.that(
        abs(card["distance"] - wanted) < 1e-5, "the distance", came=f"{card['distance']:.4f}", expected=f"{wanted:.4f}"
    )
    wanted = float(-torch.xlogy(attention, attention).sum(-1).mean())
    checks.that(
        abs(card["entropy"] - wanted) < 1e-5,
        "the entropy of all queries",
        came=f"{card['entropy']:.4f}",
        expected=f"{wanted:.4f}",
    )
    row = attention[:, 0, 2:] / attention[:, 0, 2:].sum(-1, keepdim=True)
    wanted = float((row * evidence.flatten(1)).sum(1).mean())
    checks.that(abs(card["evidence_mass"] - wanted) < 1e-5, "the mass on the evidence", came=f"{card['evidence_mass']:.4f}",
        expected=f"{wanted:.4f}")  # fmt: skip

with checks.step("twins among 2 x 3 heads, head 4 nearly equal to head 1"):
    from scipy.spatial.distance import jensenshannon

    # here each of the mistakes below would choose other twins; so would other measures of difference
    randn = checks.normal(seed=35)
    heads = (2.0 * randn(6, 2, 5, 5)).softmax(-1)
    heads[4] = 0.97 * heads[1] + 0.03 * heads[4]
    pairs, roots, classes = (np.full((6, 6), np.inf) for _ in range(3))
    for one in range(6):
        for other in range(6):
            if one != other:
                rows = zip(heads[one].reshape(-1, 5).double().numpy(), heads[other].reshape(-1, 5).double().numpy())
                distances = np.array([jensenshannon(a, b) for a, b in rows])
                pairs[one, other], roots[one, other] = (distances**2).mean(), distances.mean()
                classes[one, other] = (distances[::5] ** 2).mean()
    attentions = [heads[:3].transpose(0, 1).contiguous(), heads[3:].transpose(0, 1).contiguous()]
    came = twins(attentions)
    checks.equal(came, torch.tensor(pairs.argmin(1)), "the twins, against scipy", causes={
        "every head is its own twin": torch.arange(6),
        "the distance was averaged, the root of the divergence": torch.tensor(roots.argmin(1)),
        "only the class token's rows were compared": torch.tensor(classes.argmin(1)),
        "these are the most different heads": torch.tensor(np.where(np.isinf(pairs), -1, pairs).argmax(1)),
    })  # fmt: skip

with checks.step("a matrix of heads with two prefix tokens"):
    came = specialization_matrix([attention[:, None], attention.flip(0)[:, None]], evidence, 4, 2)
    checks.shape(came, (2, 5), "the matrix")
    for k, name in ((0, "distance"), (3, "class_mass")):
        wanted = float((among * far).sum(-1).mean()) if k == 0 else float(attention[:, 2:, :2].double().sum(-1).mean())
        checks.that(abs(float(came[0, k]) - wanted) < 1e-5, f"{name!r} of the first head", came=f"{float(came[0, k]):.4f}",
            expected=f"{wanted:.4f}")  # fmt: skip

with checks.step("twins in bfloat16, 2 x 4 heads"):
    from scipy.special import rel_entr

    rough = (0.3 * checks.normal(seed=28)(2, 3, 4, 6, 6)).softmax(-1).bfloat16()
    eight = rough.double().transpose(1, 2).flatten(0, 1).numpy()
    apart = np.full((8, 8), np.inf)
    for one in range(8):
        for other in set(range(8)) - {one}:
            middle = (eight[one] + eight[other]) / 2
            apart[one, other] = sum(rel_entr(eight[k], middle).sum(-1).mean() for k in (one, other)) / 2
    checks.equal(twins(list(rough)), torch.tensor(apart.argmin(1)), "the twins, against scipy")

with checks.step("a head, and two that differ from it by nearly the same: in the ninth digit of the divergence"):
    base, way = checks.normal(seed=12, dtype=torch.float64)(2, 1, 5, 5).softmax(-1)
    mixed = [base, *(base + 0.1 * part * (way - base) for part in (1 + 1e-9, 1.0))]
    checks.equal(twins([torch.stack(mixed, 1)]), torch.tensor([2, 2, 1]), "the twins", causes={
        "the divergences were compared in float32, where these two are equal": torch.tensor([1, 2, 1]),
    })  # fmt: skip


def after_twins(ask: Callable, attentions: list) -> list:
    """Attentions after somebody was asked for twins."""
    copies = [layer.clone() for layer in attentions]
    ask(copies)
    return copies


with checks.step("what `twins` was given is not changed"):
    for came, was in checks.each(list(rough), checks.beside(after_twins, twins, list(rough))):
        checks.equal(came, was, "a layer afterwards")

with checks.step("three heads that are equal: the lower number wins"):
    checks.equal(twins([torch.full((1, 3, 4, 4), 0.25)]), torch.tensor([1, 0, 0]), "the twins", causes={
        "of equal ones the last was taken": torch.tensor([2, 2, 1]),
    })  # fmt: skip

with checks.step("what `head_card` was given is not changed"):
    given = [
        checks.normal(seed=6)(2, 7, 7).softmax(-1),
        torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(3)),
    ]
    after = checks.beside(observe.arguments_after, head_card, *given, 4)
    checks.equal(len(after), 2, "the number of tensors")
    for came, was, name in zip(after, given, ("the attention", "the evidence"), strict=True):
        checks.equal(came, was, f"{name} afterwards")

with checks.step("rows with exact zeros"):
    attentions = [
        torch.stack([torch.eye(4)[[0, 1, 2, 3]], torch.eye(4)[[1, 0, 3, 2]], torch.eye(4)[[0, 1, 2, 2]]])[None]
    ]
    checks.equal(
        twins(attentions), torch.tensor([2, 2, 0]), "the twins", causes={"0 ln 0 became NaN": torch.tensor([1, 0, 0])}
    )

with checks.step("three rows that differ by a billionth: on one other key, or on ten"):
    # to first order the divergence is proportional to the weight that went elsewhere, however it is spread
    elsewhere = torch.zeros(3, 12, dtype=torch.float64)
    elsewhere[1, 1], elsewhere[2, 1:11] = 0.9e-9, 1e-10
    thin = torch.cat([1 - elsewhere.sum(-1, keepdim=True), elsewhere[:, 1:]], dim=-1)
    checks.equal(twins([thin[None, :, None].expand(1, 3, 12, 12)]), torch.tensor([1, 0, 0]), "the twins", causes={
        "a small number was added to the weights; 0 ln 0 is 0, and needs none": lambda: int(
            twins([thin[None, :, None].expand(1, 3, 12, 12)])[0]
        ) == 2,
    })  # fmt: skip
### END HIDDEN TESTS

# %% test="taxonomy" points=5
ROW = ("base", "condition", "errors", "hits", "lift", "owner", "p", "p_holm", "share")


def corrected_p(taxonomy: Callable) -> bool:
    """Whether p is six times what it should be, on 40 images with a clear effect: haze on all failures of the ViT."""
    fails, haze = (torch.tensor([i < many for i in range(40)]) for many in (12, 20))
    none = torch.zeros(40, dtype=torch.bool)
    rows = taxonomy(fails, none, {"haze": haze, "dusk": none})
    return abs(rows[0]["p"] - 6 * fisher_exact([[12, 0], [8, 20]]).pvalue) < 1e-9


with checks.step("ten images: the ViT is wrong on 0, 1, 2, 3, the CNN on 3, 4; haze on 0, 1, 2, 5, 6; dusk on 0, 5"):
    vit, cnn, haze, dusk = (
        torch.tensor([i in places for i in range(10)]) for places in ((0, 1, 2, 3), (3, 4), (0, 1, 2, 5, 6), (0, 5))
    )
    rows = failure_taxonomy(vit, cnn, {"haze": haze, "dusk": dusk})
    checks.equal(len(rows), 6, "the number of rows")
    checks.equal(tuple(sorted(rows[0])), ROW, "the names in a row")
    checks.equal([(row["owner"], row["condition"]) for row in rows], [
        (owner, condition) for owner in ("vit_only", "cnn_only", "both") for condition in ("haze", "dusk")
    ], "owners and conditions")  # fmt: skip
    for kind, names in ((int, ("errors", "hits")), (float, ("share", "base", "lift", "p", "p_holm"))):
        for name in names:
            odd = [type(row[name]).__name__ for row in rows if not isinstance(row[name], kind)]
            checks.that(not odd, f"{name!r} is of type {kind.__name__} in all rows", came=", ".join(odd), causes={
                "this is a number of NumPy, which JSON cannot write": kind is int and bool({"int64", "int32"} & {*odd}),
                "this is a tensor": "Tensor" in odd,
            })  # fmt: skip
    checks.equal([row["errors"] for row in rows], [3, 3, 1, 1, 1, 1], "the errors of each owner", causes={
        "images on which both are wrong are counted for each model too; every image has one owner": [4, 4, 2, 2, 1, 1],
    })  # fmt: skip
    checks.equal([row["hits"] for row in rows], [3, 1, 0, 0, 0, 0], "the hits")
    first = rows[0]
    checks.that(abs(first["share"] - 1.0) < 1e-9, "the share is 3/3", came=f"{first['share']:.3f}", causes={
        "this is the share of the hazy images on which the owner fails": abs(first["share"] - 0.6) < 1e-9,
        "this is the share of all images": abs(first["share"] - 0.3) < 1e-9,
    })  # fmt: skip
    checks.that(abs(first["base"] - 0.5) < 1e-9, "the base is 5/10", came=f"{first['base']:.3f}", causes={
        "this is the owner's share of all images; the base is the condition's": abs(first["base"] - 0.3) < 1e-9,
        "the base was taken among images without an error": abs(first["base"] - 0.4) < 1e-9,
    })  # fmt: skip
    checks.that(abs(first["lift"] - 2.0) < 1e-9, "the lift is 1 / 0.5", came=f"{first['lift']:.3f}", causes={
        "this is the share itself; divide by the base": abs(first["lift"] - 1.0) < 1e-9,
        "this is the difference": all(abs(row["lift"] - row["share"] + row["base"]) < 1e-9 for row in rows),
    })  # fmt: skip
    # all three errors are among the five hazy ones: C(5, 3) / C(10, 3) = 10 / 120 on each side
    checks.that(abs(first["p"] - 1 / 6) < 1e-9, "p is 2 * 10 / 120", came=f"{first['p']:.4f}", causes={
        "this is the one-sided test": abs(first["p"] - 1 / 12) < 1e-9,
        "this is Holm's corrected value; p is the plain one": lambda: corrected_p(failure_taxonomy),
        "this is the chi-square test": lambda: any(
            abs(first["p"] - chi2_contingency([[3, 0], [2, 5]], correction=corrected).pvalue) < 1e-6 for corrected in (False, True)
        ),
    })  # fmt: skip
    by_owner = []
    for begin in (0, 2, 4):
        small, large = sorted(row["p"] for row in rows[begin : begin + 2])
        pair = {small: min(1.0, 2 * small), large: max(min(1.0, 2 * small), large)}
        by_owner += [pair[row["p"]] for row in rows[begin : begin + 2]]
    checks.that(abs(first["p_holm"] - 1.0) < 1e-9, "p_holm is 6 * 1/6, for six rows", came=f"{first['p_holm']:.4f}", causes={
        "nothing was corrected": abs(first["p_holm"] - 1 / 6) < 1e-9,
        "each owner was corrected by itself; the correction is over all rows": all(
            abs(row["p_holm"] - alone) < 1e-9 for row, alone in zip(rows, by_owner)
        ),
    })  # fmt: skip

with checks.step("80 random images, counted one by one"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    a, b, holds = (torch.rand(80, generator=draw) < share for share in (0.4, 0.3, 0.5))
    images = list(zip(a.tolist(), b.tolist(), holds.tolist()))
    found = failure_taxonomy(a, b, {"some": holds})
    checks.equal(len(found), 3, "the number of rows")
    for row, owner in zip(found, ((True, False), (False, True), (True, True)), strict=True):
        own = [held for vit_is, cnn_is, held in images if (vit_is, cnn_is) == owner]
        c = sum(held for _, _, held in images)
        checks.equal((row["errors"], row["hits"]), (len(own), sum(own)), f"errors and hits of {row['owner']}")
        outside = c - sum(own)
        wanted = fisher_exact([[sum(own), len(own) - sum(own)], [outside, 80 - len(own) - outside]]).pvalue
        checks.that(abs(row["p"] - (wanted if own else 1.0)) < 1e-7, f"p of {row['owner']}", came=f"{row['p']:.5f}")

with checks.step("lists of different lengths"):
    checks.raises(ValueError, failure_taxonomy, vit, cnn[:9], {"haze": haze}, name="10 and 9 images")
    checks.raises(ValueError, failure_taxonomy, vit, cnn, {"haze": haze[:9]}, name="a condition for 9 of 10 images")
    second = {"haze": haze, "dusk": cnn[:1]}
    checks.raises(ValueError, failure_taxonomy, vit, cnn, second, name="a second condition for 1 of 10 images")
    checks.raises(ValueError, failure_taxonomy, vit[:0], cnn[:0], {"haze": haze[:0]}, name="no image at all")


# %% test="taxonomy" points=4
def planted(seed: int) -> tuple:
    """240 images: the ViT fails more often under haze, the CNN under clutter, and nobody where tiles are turned."""
    draw = torch.Generator().manual_seed(seed)
    conditions = {name: torch.rand(240, generator=draw) < 0.4 for name in ("haze", "clutter", "turned")}
    vit = torch.rand(240, generator=draw) < torch.where(conditions["haze"], 0.35, 0.12)
    cnn = torch.rand(240, generator=draw) < torch.where(conditions["clutter"], 0.30, 0.08)
    return vit, cnn, conditions


def holm(plain: list) -> list:
    """Nine p-values, corrected."""
    found, largest = [0.0] * 9, 0.0
    for rank, k in enumerate(sorted(range(9), key=lambda k: plain[k])):
        found[k] = largest = max(largest, min(1.0, (9 - rank) * plain[k]))
    return found


with checks.step("Holm's correction of the p-values of nine rows, by a loop"):
    rows = failure_taxonomy(*planted(6))
    checks.equal(len(rows), 9, "the number of rows")
    plain = [row["p"] for row in rows]
    order, wanted = sorted(range(9), key=lambda k: plain[k]), holm(plain)
    came = torch.tensor([row["p_holm"] for row in rows], dtype=torch.float64)
    p = torch.tensor(plain, dtype=torch.float64)
    hochberg, smallest = [0.0] * 9, 1.0
    for rank, k in reversed(list(enumerate(order))):
        smallest = min(smallest, plain[k] * 9 / (rank + 1))
        hochberg[k] = smallest
    by_owner = [0.0] * 9
    for begin in (0, 3, 6):
        largest = 0.0
        for rank, k in enumerate(sorted(range(begin, begin + 3), key=lambda k: plain[k])):
            by_owner[k] = largest = max(largest, min(1.0, (3 - rank) * plain[k]))
    checks.close(came, torch.tensor(wanted, dtype=torch.float64), "p_holm", causes={
        "nothing was corrected": p,
        "this is Bonferroni's correction": (9 * p).clamp(max=1),
        "this is Benjamini and Hochberg's; it bounds another thing, the share of false alarms":
            torch.tensor(hochberg, dtype=torch.float64),
        "the corrected values must not fall with the rank: keep the largest so far": torch.tensor(
            [min(1.0, (9 - order.index(k)) * plain[k]) for k in range(9)], dtype=torch.float64
        ),
        "each owner was corrected by itself; the correction is over all rows": torch.tensor(by_owner, dtype=torch.float64),
    })  # fmt: skip

with checks.step("who is who: the rows of the planted dependence"):
    best = min(rows, key=lambda row: row["p"])
    checks.that(
        (best["owner"], best["condition"]) in (("vit_only", "haze"), ("cnn_only", "clutter")),
        "the smallest p belongs to a planted pair", came=f"{best['owner']} and {best['condition']}",
    )  # fmt: skip

with checks.step("other images: p and p_holm of all rows, from SciPy's test of the four counts"):
    vit, cnn, conditions = planted(checks.fresh_seed())
    plain = []
    for wrong in (vit & ~cnn, cnn & ~vit, vit & cnn):
        for holds in conditions.values():
            counts = [[int((a & b).sum()) for b in (holds, ~holds)] for a in (wrong, ~wrong)]
            plain.append(float(fisher_exact(counts).pvalue) if wrong.any() else 1.0)
    rows = failure_taxonomy(vit, cnn, conditions)
    for name, expected in (("p", plain), ("p_holm", holm(plain))):
        came = torch.tensor([row[name] for row in rows], dtype=torch.float64)
        checks.close(came, torch.tensor(expected, dtype=torch.float64), name)

# %% test="taxonomy" points=5
with checks.step("each p against the sum of the hypergeometric probabilities that are not larger"):
    from math import comb

    draw = torch.Generator().manual_seed(9)
    conditions = {name: torch.rand(60, generator=draw) < rate for name, rate in (("a", 0.2), ("b", 0.7))}
    vit, cnn = torch.rand(60, generator=draw) < 0.4, torch.rand(60, generator=draw) < 0.3
    owners = {"both": vit & cnn, "cnn_only": cnn & ~vit, "vit_only": vit & ~cnn}
    for row in failure_taxonomy(vit, cnn, conditions):
        wrong = owners[row["owner"]]
        c, e = int(conditions[row["condition"]].sum()), int(wrong.sum())
        k = int((wrong & conditions[row["condition"]]).sum())
        weight = {j: comb(c, j) * comb(60 - c, e - j) for j in range(max(0, e + c - 60), min(c, e) + 1)}
        wanted = sum(v for v in weight.values() if v <= weight[k] * (1 + 1e-7)) / comb(60, e)
        checks.that(abs(row["p"] - wanted) < 1e-7, f"p of {row['owner']} and {row['condition']}", came=f"{row['p']:.6f}",
            expected=f"{wanted:.6f}")  # fmt: skip
        checks.that(abs(row["lift"] - (k / e) / (c / 60)) < 1e-9, "its lift", came=f"{row['lift']:.4f}")

### BEGIN HIDDEN TESTS
with checks.step("no errors of one owner, and a condition that never holds"):
    vit, cnn = torch.tensor([True, True, False, False]), torch.zeros(4, dtype=torch.bool)
    rows = failure_taxonomy(vit, cnn, {"haze": torch.tensor([True, False, True, False]), "never": cnn})
    checks.equal(len(rows), 6, "the number of rows, with those of owners without errors")
    by = {(row["owner"], row["condition"]): row for row in rows}
    empty = by["cnn_only", "haze"]
    checks.that(math.isnan(empty["share"]) and math.isnan(empty["lift"]), "share and lift of no errors are NaN",
        came=f"{empty['share']} and {empty['lift']}")  # fmt: skip
    checks.equal((empty["errors"], empty["hits"], empty["p"]), (0, 0, 1.0), "errors, hits and p of no errors")
    checks.that(
        math.isnan(by["vit_only", "never"]["lift"]),
        "the lift over a base of 0 is NaN",
        came=f"{by['vit_only', 'never']['lift']}",
    )
    checks.equal(by["vit_only", "never"]["p"], 1.0, "p of a condition that never holds")
    checks.equal(by["vit_only", "haze"]["p_holm"], 1.0, "a corrected value is never above 1", causes={
        "the corrected value is a probability; cut it at 1": lambda: by["vit_only", "haze"]["p_holm"] > 1,
    })  # fmt: skip


def after_sorting(sort: Callable, vit: torch.Tensor, cnn: torch.Tensor, haze: torch.Tensor) -> list:
    """Errors and conditions after failures were sorted."""
    given = [values.clone() for values in (vit, cnn, haze)]
    sort(given[0], given[1], {"haze": given[2]})
    return given


with checks.step("errors and conditions are not changed; one image alone is enough"):
    given = [torch.tensor([i in places for i in range(10)]) for places in ((0, 1, 2, 3), (3, 4), (0, 1, 2, 5, 6))]
    for came, was in checks.each(given, checks.beside(after_sorting, failure_taxonomy, *given)):
        checks.equal(came, was, "what was given, afterwards")
    single = failure_taxonomy(*(torch.tensor([value]) for value in (True, False)), {"haze": torch.tensor([True])})
    checks.equal([row["errors"] for row in single], [1, 0, 0], "the errors in one image")

with checks.step("a condition whose name has capitals and a blank at its end"):
    names = [row["condition"] for row in failure_taxonomy(vit, cnn, {"Low Sun ": vit})]
    checks.equal(names, ["Low Sun "] * 3, "the names of the condition")

with checks.step("an owner without errors: its rows count in the correction as well"):
    vit, cnn = torch.arange(40) < 6, torch.arange(40) > 37
    rows = failure_taxonomy(vit, cnn, {"haze": torch.arange(40) < 9, "dusk": torch.arange(40) % 2 == 0})
    wanted = 6 * math.comb(9, 6) / math.comb(40, 6)
    checks.that(abs(rows[0]["p_holm"] - wanted) < 1e-9, "p_holm of six rows, two of them without errors", came=f"{rows[0]['p_holm']:.6f}",
        expected=f"{wanted:.6f}", causes={
            "not all rows of the call were corrected: those without errors count as well": abs(rows[0]["p_holm"] - wanted * 4 / 6) < 1e-9,
        })  # fmt: skip

with checks.step("20 data sets without any dependence, 6 rows each: a corrected p below 0.05 is rare"):
    alarms, plain_alarms = 0, 0
    for seed in range(20):
        draw = torch.Generator().manual_seed(100 + seed)
        conditions = {name: torch.rand(400, generator=draw) < 0.5 for name in ("a", "b")}
        rows = failure_taxonomy(
            torch.rand(400, generator=draw) < 0.3, torch.rand(400, generator=draw) < 0.3, conditions
        )
        alarms += min(row["p_holm"] for row in rows) < 0.05
        plain_alarms += min(row["p"] for row in rows) < 0.05
    checks.that(
        alarms <= 3,
        "at most 3 of 20 tables raise a false alarm",
        came=f"{alarms}; without a correction {plain_alarms} would",
    )

with checks.step("20 data sets in which the ViT fails three times as often under haze"):
    found = 0
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        haze, other = (torch.rand(500, generator=draw) < 0.4 for _ in range(2))
        vit = torch.rand(500, generator=draw) < torch.where(haze, 0.30, 0.10)
        rows = failure_taxonomy(vit, torch.rand(500, generator=draw) < 0.1, {"haze": haze, "other": other})
        (row,) = [row for row in rows if (row["owner"], row["condition"]) == ("vit_only", "haze")]
        found += row["p_holm"] < 0.05 and row["lift"] > 1
    checks.that(found >= 18, "at least 18 of 20 tables find it", came=f"{found}")
### END HIDDEN TESTS


# %% test="report" points=4
def written_by(render: Callable, results: dict, files: list | None = None) -> dict:
    """A report in a folder of its own: its text, or the error; `files` are the figures that exist."""
    import tempfile
    from copy import deepcopy
    from pathlib import Path

    given = deepcopy(results)
    with tempfile.TemporaryDirectory() as folder:
        for file in list(results.get("figures", {}).values()) if files is None else files:
            (Path(folder) / file).write_bytes(b"")
        try:
            result = render(results, folder)
            path = Path(result)
            text, same = path.read_text(encoding="utf-8"), results == given
            inside, kind = path.parent == Path(folder), isinstance(result, Path)
            return {"text": text, "name": path.name, "inside": inside, "same": same, "a path": kind}
        except (KeyError, FileNotFoundError) as error:
            return {"error": f"{type(error).__name__}: {error}", "left": (Path(folder) / "report.md").exists()}


def written_elsewhere(render: Callable, results: dict, within: Callable) -> str:
    """The first line of a report that is written on a machine of another encoding, or the error."""
    import tempfile
    from pathlib import Path

    def write() -> str:
        with tempfile.TemporaryDirectory() as folder:
            for file in ("heads.png", "under_attack.png"):
                (Path(folder) / file).write_bytes(b"")
            return Path(render(results, folder)).read_bytes().decode().splitlines()[0]

    try:
        return within(write)
    except UnicodeError as error:
        return type(error).__name__


def broken_tables(text: str) -> list[str]:
    """The first lines of what begins as a Markdown table and is none."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(line)
        elif rows:
            dashes = len(rows) > 1 and re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", rows[1].strip())
            if not dashes or len({row.count("|") for row in rows}) > 1:
                found.append(" / ".join(rows[:3]))
            rows = []
    return found


with checks.step("the report of EXAMPLE: its parts"):
    seen = checks.beside(written_by, render_report, EXAMPLE)
    checks.that("text" in seen, "a report is written", came=str(seen.get("error")))
    checks.equal(seen["same"], True, "whether the results are what they were")
    text = seen["text"]
    checks.equal(
        (seen["name"], seen["inside"]), ("report.md", True), "the name of the file, and whether it lies in out_dir"
    )
    checks.that(seen["a path"], "the result is a Path", came="something else")
    checks.equal(text.splitlines()[0], f"# {EXAMPLE['title']}", "the first line")
    found = [line[3:].strip() for line in text.splitlines() if line.startswith("## ")]
    checks.equal(found, list(HEADINGS), "the sections")
    inside = dict(zip(found, re.split(r"(?m)^## .*$", text)[1:]))
    for heading in HEADINGS:
        own = EXAMPLE["paragraphs"][heading]
        checks.that(own in inside[heading], f"the author's text of {heading} stands in that section", causes={
            "it stands in another section": own in text,
        })  # fmt: skip
    for name, file in EXAMPLE["figures"].items():
        checks.equal(text.count(f"]({file})"), 1, f"how often the figure {name} is linked")
    for leaf in leaves(EXAMPLE):
        if isinstance(leaf, str):
            checks.that(leaf in text, f"the text {leaf!r} is in the report")
    broken = broken_tables(text)
    checks.that(
        not broken, "every table has a header, a line of dashes and rows of as many cells", came="; ".join(broken)[:200]
    )

with checks.step("a title with letters beyond ASCII, on a machine whose own encoding is ASCII"):
    came = checks.beside(written_elsewhere, render_report, EXAMPLE | {"title": "Größe"}, observe.in_ascii_locale)
    checks.equal(came, "# Größe", "the first line", causes={
        "a file was opened in the machine's own encoding; say encoding=\"utf-8\"": lambda: came.startswith("Unicode"),
    })  # fmt: skip

with checks.step("the report of EXAMPLE: its numbers"):
    tokens = numbers_in(text, EXAMPLE)
    missing = [
        v
        for v in leaves(EXAMPLE)
        if isinstance(v, int | float) and not math.isnan(v) and not any(shows(t, v) for t in tokens)
    ]
    checks.that(not missing, "every number of the results is in the report", came=f"missing: {missing[:5]}", causes={
        "floats need three decimals, or percent with one": any(isinstance(v, float) for v in missing) and len(missing) > 8,
        "small numbers were rounded to 0": bool(missing) and all(0 < abs(v) < 0.0005 for v in missing) and (
            sum(float(t.replace(",", "")) == 0 for t in tokens) > sum(v == 0 for v in leaves(EXAMPLE))
        ),
    })  # fmt: skip
    words = [word.strip("*_`.,;:()[]") for word in text.replace("|", " ").split()]
    checks.that("nan" not in text.lower().split() and words.count("n/a") >= 2, "NaN is written as n/a")
    typed = strangers(text, EXAMPLE)
    checks.that(not typed, "every number of the report is in the results", came=f"typed by hand: {typed[:5]}")
    counted = [line for line in text.splitlines() if re.match(r"\s*\d+[.)]\s", line)]
    checks.that(not counted, "no list is numbered: its numbers are in no result", came="; ".join(counted)[:200])


def redrawn(results: object, draw: torch.Generator) -> object:
    """The same results with other numbers: of three decimals, or whole ones below 1,000."""
    if isinstance(results, dict):
        return {name: redrawn(value, draw) for name, value in results.items()}
    if isinstance(results, list):
        return [redrawn(value, draw) for value in results]
    if isinstance(results, str) or math.isnan(results):
        return results
    number = int(torch.randint(100, 1_000, (), generator=draw))
    return number if isinstance(results, int) else number / 1_000


def numbers_written(render: Callable, results: dict, find: Callable) -> list:
    """The numbers in a report, in order; none where there is no report."""
    tokens = find(written_by(render, results).get("text", ""), results)
    return [float(token.replace(",", "")) for token in tokens]


with checks.step("a report of other results, whose numbers were drawn just now"):
    results = redrawn(EXAMPLE, torch.Generator().manual_seed(checks.fresh_seed()))
    came = checks.beside(numbers_written, render_report, results, numbers_in)
    values = [leaf for leaf in leaves(results) if isinstance(leaf, int | float) and not math.isnan(leaf)]

    def is_one(number: float, value: float) -> bool:
        """A number of the report is this value, maybe in percent."""
        return abs(number - value) < 1e-6 or (isinstance(value, float) and abs(number - 100 * value) < 1e-4)

    missing = [value for value in values if not any(is_one(number, value) for number in came)]
    checks.that(not missing, "every number of the results is in the report", came=f"missing: {missing[:5]}")
    typed = [number for number in came if number not in (95, 255) and not any(is_one(number, v) for v in values)]
    checks.that(not typed, "every number of the report is in the results", came=f"typed by hand: {typed[:5]}")

with checks.step("texts of the author's that were written just now, one of them empty"):

    def sections_of(render: Callable, results: dict) -> list[list[str]]:
        """Heading and content of each section."""
        text = written_by(render, results).get("text", "")
        return [list(part) for part in re.findall(r"(?ms)^## ([^\n]*)\n(.*?)(?=^## |\Z)", text)]

    drawn = torch.randint(
        10**6, (len(HEADINGS),), generator=torch.Generator().manual_seed(checks.fresh_seed())
    ).tolist()
    texts = {heading: f"First of {number}.\n\nLast of {number}." for heading, number in zip(HEADINGS, drawn)}
    texts["Future work"] = ""
    came = checks.beside(sections_of, render_report, EXAMPLE | {"paragraphs": texts})
    checks.equal([heading for heading, _ in came], list(HEADINGS), "the sections")
    for heading, (_, content) in checks.each(HEADINGS, came):
        checks.that(texts[heading] in content, f"the author's text of {heading} stands in that section, in full")

# %% test="report" points=4
with checks.step("the verdict"):

    def with_accuracies(vit: tuple, cnn: tuple) -> dict:
        found = deepcopy(EXAMPLE)
        for name, (value, low, high) in (("vit", vit), ("cnn", cnn)):
            found["accuracy"][name] = {"accuracy": value, "low": low, "high": high}
        return found

    for vit, cnn, wanted in (
        ((0.8713, 0.8377, 0.8989), (0.9371, 0.9112, 0.9557), "cnn"),
        ((0.9371, 0.9112, 0.9557), (0.8713, 0.8377, 0.8989), "vit"),
        ((0.8713, 0.8377, 0.9189), (0.9371, 0.9112, 0.9557), "undecided"),
        ((0.9371, 0.9012, 0.9557), (0.8713, 0.8377, 0.9189), "undecided"),
        ((0.9371, 0.9012, 0.9557), (0.8713, 0.8377, 0.9012), "undecided"),
        ((0.8713, 0.8377, 0.9012), (0.9371, 0.9012, 0.9557), "undecided"),
    ):
        results = with_accuracies(vit, cnn)
        came = verdict(results)
        checks.equal(came, wanted, f"the verdict for intervals {vit[1:]} and {cnn[1:]}", causes={
            "intervals that touch were taken to be apart": lambda: vit[1] == cnn[2] or cnn[1] == vit[2],
            "the larger accuracy decided, although the intervals overlap": "vit" if vit[0] > cnn[0] else "cnn",
        })  # fmt: skip
        text = checks.beside(written_by, render_report, results)["text"]
        said = [key for key, sentence in VERDICTS.items() if sentence in text]
        checks.equal(said, [wanted], "the sentences of VERDICTS in the report", causes={
            "the verdict was typed into the report": ["cnn"],
        })  # fmt: skip
        part = text.partition("## Comparison")[2].partition("## ")[0]
        checks.that(VERDICTS[wanted] in part, "the sentence stands in the section Comparison")

### BEGIN HIDDEN TESTS


def changed_one(path: tuple, value: object) -> dict:
    """EXAMPLE with one number changed."""
    found = deepcopy(EXAMPLE)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


def written_in(render: Callable, results: dict) -> str:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        for file in results["figures"].values():
            (Path(folder) / file).write_bytes(b"")
        return Path(render(results, folder)).read_text(encoding="utf-8")


before = checks.beside(written_in, render_report, EXAMPLE)
for path, value in (
    (("data", "train"), 2953), (("training", "steps"), 347), (("accuracy", "vit", "accuracy"), 0.8529),
    (("accuracy", "cnn", "high"), 0.9783), (("heads", "count"), 144), (("heads", "top", 1, "importance"), 0.2258),
    (("heads", "stability", "low"), 0.2846), (("evidence", "cnn"), 0.6657), (("robustness", 1, "vit"), 0.5934),
    (("failures", 0, "lift"), 2.7195), (("failures", 0, "p_holm"), 0.02917), (("robustness", 1, "eps"), 7.5),
    (("failures", 0, "p"), 3.18e-9), (("architecture", 0, "parameters"), 254093),
):  # fmt: skip
    with checks.step(f"results[{']['.join(map(repr, path))}] becomes {value}, and nothing else changes"):
        after = checks.beside(written_in, render_report, changed_one(path, value))
        old = EXAMPLE
        for key in path:
            old = old[key]
        tokens = [numbers_in(t, EXAMPLE) for t in (before, after)]
        checks.equal(len(tokens[1]), len(tokens[0]), "how many numbers the report has")
        differ = [(a, b) for a, b in zip(*tokens) if a != b]
        checks.that(
            bool(differ),
            "the report changes",
            causes={"this number was typed by hand, or is computed from others": True},
        )
        bad = [pair for pair in differ if not (shows(pair[0], old) and shows(pair[1], value))]
        checks.that(not bad, "only this number changes", came=f"changed: {bad[:4]}")
for path in (("evidence", "vit"), ("heads", "stability", "high"), ("accuracy", "cnn", "low")):
    with checks.step(f"results[{']['.join(map(repr, path))}] becomes NaN"):
        after = checks.beside(written_in, render_report, changed_one(path, math.nan))
        checks.that(not re.search(r"\bnan\b", after.lower()), "NaN is written as n/a, in tables and in sentences")
### END HIDDEN TESTS

# %% test="report" points=4
with checks.step("a figure that is not there"):

    def without_figure(render: Callable, results: dict) -> list:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "heads.png").write_bytes(b"")
            try:
                render(results, folder)
            except FileNotFoundError as error:
                return ["FileNotFoundError", str(error), (Path(folder) / "report.md").exists()]
            return ["no error", "", (Path(folder) / "report.md").exists()]

    kind, words, left = checks.beside(without_figure, render_report, EXAMPLE)
    checks.equal(kind, "FileNotFoundError", "the error")
    checks.that("under_attack.png" in words, "the error names the file", came=words)
    checks.equal(left, False, "whether a report was written all the same")


def without(path: tuple) -> dict:
    """EXAMPLE without one key."""
    found = deepcopy(EXAMPLE)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return found


def refused(render: Callable, results: dict) -> list:
    """The error of a report, and whether a file is left."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        for file in ("heads.png", "under_attack.png"):
            (Path(folder) / file).write_bytes(b"")
        try:
            render(results, folder)
        except KeyError as error:
            return ["KeyError", str(error), (Path(folder) / "report.md").exists()]
        return ["no error", "", (Path(folder) / "report.md").exists()]


for path in (("accuracy",), ("data", "train"), ("failures", 1, "lift"), ("limitations",), ("paragraphs", "Methods")):
    with checks.step(f"results without {' / '.join(map(str, path))}"):
        kind, words, left = checks.beside(refused, render_report, without(path))
        checks.equal(
            kind,
            "KeyError",
            "the error",
            causes={
                "what is missing is hidden: by a default, by a number typed by hand, or because only what is there is written": "no error"
            },
        )
        checks.that(str(path[-1]) in words, "the error names the key", came=words)
        checks.equal(left, False, "whether a report was written all the same", causes={
            "the file was opened before all numbers were there": True,
        })  # fmt: skip

### BEGIN HIDDEN TESTS
for path in (
    ("title",), ("question",), ("training", "run"), ("training", "steps"), ("heads", "stability"), ("heads", "top", 0, "low"),
    ("heads", "count"), ("evidence", "vit"), ("robustness", 0, "eps"), ("accuracy", "cnn", "low"), ("failures",), ("figures",),
    ("insights",), ("data", "classes"), ("failures", 0, "base"), ("failures", 0, "lift"), ("robustness", 1, "vit"),
    ("heads", "top", 0, "importance"), ("failures", 1, "owner"), ("data", "test"), ("heads", "stability", "mean"),
    ("paragraphs",), ("paragraphs", "When to use which"), ("architecture",), ("architecture", 1, "name"), ("architecture", 0, "size"),
):  # fmt: skip
    with checks.step(f"results without {' / '.join(map(str, path))}"):
        kind, words, left = checks.beside(refused, render_report, without(path))
        checks.equal(
            kind,
            "KeyError",
            "the error",
            causes={
                "what is missing is hidden: by a default, by a number typed by hand, or because only what is there is written": "no error"
            },
        )
        checks.that(str(path[-1]) in words, "the error names the key", came=words)
        checks.equal(left, False, "whether a report was written all the same")

with checks.step(
    "a study of another size: six rows of robustness, twelve of failures, seven heads, one figure, other words"
):

    def other_size(render: Callable, results: dict) -> tuple:
        import tempfile
        from copy import deepcopy
        from pathlib import Path

        given = deepcopy(results)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "only one.png").write_bytes(b"")
            text = Path(render(results, Path(folder))).read_text(encoding="utf-8")
        return text, results == given

    chance = {"share": 0.5291, "base": 0.4637, "lift": 1.1409, "p": 0.6128, "p_holm": 0.9182, "hits": 168}
    results = deepcopy(EXAMPLE) | {
        "title": "Another", "figures": {"the only one": "only one.png"},
        "limitations": ["Two clouds.", "Few images: 37 of 4096.", "No night."], "insights": ["Rows are lines.", "Fields are flat.", "Lakes are blue."],
        "robustness": [{"eps": e, "vit": 0.9153 - 0.1 * e, "cnn": 0.8447 - 0.1 * e} for e in (0.25, 1.25, 3.75, 4.25, 5.75, 6.25)],
        "failures": [{**EXAMPLE["failures"][0], "condition": f"condition {c}", "errors": 301 + k} | (chance if c == "c" else {}) for k, c in enumerate("abcdefghijkl")],
    }  # fmt: skip
    results["data"]["classes"] = ["wheat", "lake", "quarry", "village", "bog"]
    results["heads"]["top"] = [
        {
            "layer": 11 - k,
            "head": k,
            "importance": 0.7213 - 0.0527 * k,
            "low": 0.6419 - 0.0527 * k,
            "high": 0.8057 - 0.0527 * k,
        }
        for k in range(7)
    ]
    text, same = checks.beside(other_size, render_report, results)
    checks.equal(same, True, "whether the results are what they were")
    tokens = numbers_in(text, results)
    missing = [
        v
        for v in leaves(results)
        if isinstance(v, int | float) and not math.isnan(v) and not any(shows(t, v) for t in tokens)
    ]
    checks.that(not missing, "every number of the results is in the report", came=f"missing: {missing[:5]}")
    checks.that(
        not strangers(text, results),
        "every number of the report is in the results",
        came=str(strangers(text, results)[:5]),
    )
    for leaf in leaves(results):
        checks.that(not isinstance(leaf, str) or leaf in text, f"the text {leaf!r} is in the report")
### END HIDDEN TESTS


# %% test="page" points=5
def wanted(study: Study, eps: int, tile: torch.Tensor, layer: int, head: int) -> dict:
    """What the page should show for a tile (1, 3, s, s), from the given pieces."""
    answers, pictures = [], [enlarged(tile[0])]
    for model in (study.vit, study.cnn):
        moved = pgd(model, tile, logits_of(model, tile).argmax(1), eps / 255)
        said = logits_of(model, moved).argmax(1)
        heat = (
            head_heat(model, moved, layer, head)
            if model is study.vit
            else grad_cam(model, study.cam_layer, moved, said)[0]
        )
        answers.append(study.classes[said])
        pictures.append(enlarged(moved[0], heat))
    return {"answers": answers, "pictures": [torch.from_numpy(picture) for picture in pictures]}


def visited(visit: Callable, make: Callable, page: Callable, seed: int, steps: list) -> dict:
    """What a visitor of the page sees, and how often the study was loaded."""
    calls: list = []

    def load() -> object:
        calls.append(1)
        return make(seed)

    return {"runs": visit(page, (load,), steps), "loads": len(calls)}


def alike(came: torch.Tensor, picture: torch.Tensor, limit: float = 1.5) -> bool:
    return came.shape == picture.shape and float((came.float() - picture.float()).abs().mean()) < limit


with checks.step("the page is opened, then head 1, layer 1 and tile 4 are chosen, one after the other"):
    study = untrained_study(20)
    seen = checks.beside(visited, apps.visit, untrained_study, page, 20, [{"head": 1}, {"layer": 1}, {"image": 4}])
    for k, (moment, index, layer, head) in enumerate(
        (("as opened", 0, 0, 0), ("with head 1", 0, 0, 1), ("with layer 1", 0, 1, 1), ("with tile 4", 4, 1, 1))
    ):
        run = seen["runs"][min(k, len(seen["runs"]) - 1)]
        checks.that(not run["exceptions"], f"{moment}: no exception", came="; ".join(run["exceptions"])[:300])
        checks.equal(sorted(set(run["keys"]) & {"eps", "head", "image", "layer", "upload"}),
            ["eps", "head", "image", "layer", "upload"], "the keys of the widgets")  # fmt: skip
        checks.equal(
            [run["options"].get(key) for key in ("image", "layer", "head")],
            [6, 2, 2],
            "how many tiles, layers and heads can be chosen",
        )
        checks.equal(run["ranges"].get("eps"), (0, 16, 1), "smallest, largest and step of the slider")
        checks.equal(run["values"].get("eps"), 0, f"{moment}: epsilon, which nobody has changed", causes={
            "the slider gives floats; its limits and its step have to be int": isinstance(run["values"].get("eps"), float),
        })  # fmt: skip
        expected = wanted(study, 0, study.images[index : index + 1], layer, head)
        checks.equal(len(run["images"]), 3, f"{moment}: the number of pictures")
        for picture, came, name in checks.each(expected["pictures"], run["images"], ("tile", "ViT's map", "CNN's map")):
            old = seen["runs"][max(k - 1, 0)]["images"]
            checks.that(alike(came, picture), f"{moment}: the {name} is right", came=checks.describe(came), causes={
                "the pictures stand in another order": any(alike(came, other) for other in expected["pictures"]),
                "it did not change with the widget": k > 0 and any(alike(came, other) for other in old),
                "this is the mean of all heads": lambda: name == "ViT's map" and alike(came, torch.from_numpy(enlarged(
                    study.images[index], as_maps(attention_of(study.vit, study.images[index : index + 1])[layer][0, :, 0].mean(0), (4, 4))
                ))),
                "Grad-CAM was asked for the label, not for what the CNN says": lambda: name == "CNN's map" and alike(
                    came, torch.from_numpy(enlarged(study.images[index], grad_cam(
                        study.cnn, "features", study.images[index : index + 1], study.labels[index : index + 1])[0]))
                ),
            })  # fmt: skip
        checks.equal([value for _, value in run["metrics"]], expected["answers"], f"{moment}: what ViT and CNN say", causes={
            "the CNN's answer stands first": expected["answers"][::-1],
            "these are the labels": [study.classes[study.labels[index]]] * 2,
        })  # fmt: skip
    checks.equal(seen["loads"], 1, "how often the study was loaded in four runs", causes={
        "it is loaded again at every click: use st.cache_resource": lambda: seen["loads"] > 1,
    })  # fmt: skip

with checks.step("another study, made just now: tile 3 in layer 1"):
    secret = checks.fresh_seed()
    study = untrained_study(secret)
    run = checks.beside(visited, apps.visit, untrained_study, page, secret, [{"image": 3, "layer": 1}])["runs"][-1]
    checks.that(not run["exceptions"], "tile 3: no exception", came="; ".join(run["exceptions"])[:300])
    pictures = wanted(study, 0, study.images[3:4], 1, 0)["pictures"]
    for picture, came, name in checks.each(pictures, run["images"], ("tile", "ViT's map", "CNN's map")):
        # Streamlit sends a JPEG, which moves the numbers of some tiles by 1.5; two tiles are more than 10 apart
        checks.that(alike(came, picture, 4.0), f"the {name} is right", came=checks.describe(came))


# %% test="page" points=5
def shown(study: Study, eps: int, tile: torch.Tensor) -> dict:
    """What the page should show in layer 0, head 0, and some wrong answers."""
    answers, pictures, clean = [], [enlarged(tile[0])], []
    for model in (study.vit, study.cnn):
        first = logits_of(model, tile).argmax(1)
        moved = pgd(model, tile, first, eps / 255)
        said = logits_of(model, moved).argmax(1)
        heat = head_heat(model, moved, 0, 0) if model is study.vit else grad_cam(model, study.cam_layer, moved, said)[0]
        clean.append(study.classes[first])
        answers.append(study.classes[said])
        pictures.append(enlarged(moved[0], heat))
    carried = pgd(study.vit, tile, logits_of(study.vit, tile).argmax(1), eps / 255)
    other = logits_of(study.cnn, carried).argmax(1)
    map_of_other = torch.from_numpy(enlarged(carried[0], grad_cam(study.cnn, study.cam_layer, carried, other)[0]))
    pictures = [torch.from_numpy(picture) for picture in pictures]
    return {
        "answers": answers, "pictures": pictures, "clean": clean,
        "carried": ([answers[0], study.classes[other]], [*pictures[:2], map_of_other]),
    }  # fmt: skip


def steps_seen(visit: Callable, make: Callable, page: Callable, seed: int, steps: list) -> list:
    return visit(page, (lambda: make(seed),), steps)


def near(came: list, pictures: list) -> bool:
    return len(came) == 3 and all(
        a.shape == b.shape and float((a.float() - b.float()).abs().mean()) < 1.5 for a, b in zip(came, pictures)
    )


def as_file(picture: np.ndarray, mode: str = "RGB", kind: str = "PNG") -> bytes:
    """A picture as the bytes of a file."""
    import io

    held = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(held, kind)
    return held.getvalue()


with checks.step("epsilon 16, and back to 0"):
    study = untrained_study(20)
    runs = checks.beside(steps_seen, apps.visit, untrained_study, page, 20, [{"eps": 16}, {"eps": 0}])
    for k, eps in enumerate((0, 16, 0)):
        run, expected = runs[min(k, len(runs) - 1)], shown(study, eps, study.images[:1])
        checks.that(not run["exceptions"], f"epsilon {eps}: no exception", came="; ".join(run["exceptions"])[:300])
        said = [value for _, value in run["metrics"]]
        checks.equal(said, expected["answers"], f"epsilon {eps}: the answers", causes={
            "these are the answers on the clean tile": expected["clean"],
            "the CNN was shown the tile that was attacked for the ViT": lambda: (
                said == expected["carried"][0] and near(run["images"], expected["carried"][1])
            ),
            "epsilon is in 255ths: divide by 255": lambda: (
                said == (much := shown(study, 255 * eps, study.images[:1]))["answers"] and near(run["images"], much["pictures"])
            ),
        })  # fmt: skip
        checks.that(near(run["images"], expected["pictures"]), f"epsilon {eps}: the three pictures are right", causes={
            "the maps were made on the clean tile": near(run["images"], shown(study, 0, study.images[:1])["pictures"]),
            "epsilon is in 255ths: divide by 255": lambda: near(run["images"], shown(study, 255 * eps, study.images[:1])["pictures"]),
        })  # fmt: skip

with checks.step("a file that is no image is uploaded, then a real one"):
    other = datasets.field_tiles(1, seed=77).x
    good = as_file((255 * other[0].permute(1, 2, 0).numpy() + 0.5).astype(np.uint8))
    runs = checks.beside(steps_seen, apps.visit, untrained_study, page, 20,
        [{"upload": ("notes.png", b"these are words", "image/png")}, {"upload": ("tile.png", good, "image/png")}])  # fmt: skip
    broken = runs[1]
    checks.that(
        not broken["exceptions"], "no exception for a file that is no image", came="; ".join(broken["exceptions"])[:300]
    )
    checks.that(len(broken["errors"]) == 1, "one st.error for it", came=str(broken["errors"])[:200])
    checks.that(len(broken["errors"][0].split()) > 2, "it says a sentence", came=repr(broken["errors"][0])[:200])
    checks.that(
        near(broken["images"], shown(study, 0, study.images[:1])["pictures"]), "the page goes on with the chosen tile"
    )
    real = runs[min(2, len(runs) - 1)]
    checks.that(
        not real["errors"] and not real["exceptions"],
        "no error for a real image",
        came=str(real["errors"] + real["exceptions"])[:200],
    )
    rounded = torch.from_numpy((255 * other.numpy() + 0.5).astype(np.uint8)).float() / 255
    checks.that(near(real["images"], shown(study, 0, rounded)["pictures"]), "the pictures are those of the uploaded tile", causes={
        "the chosen tile is still shown": near(real["images"], shown(study, 0, study.images[:1])["pictures"]),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("a PNG that was cut in the middle, a JPEG in gray that is no square, and no file again"):
    wide = (np.linspace(0, 255, 90 * 60).reshape(60, 90) % 251).astype(np.uint8)
    runs = checks.beside(steps_seen, apps.visit, untrained_study, page, 20, [
        {"upload": ("cut.png", good[: len(good) // 2], "image/png")},
        {"upload": ("wide.jpg", as_file(wide, "L", "JPEG"), "image/jpeg")},
        {"upload": None, "eps": 16},
    ])  # fmt: skip
    runs += [runs[-1]] * (4 - len(runs))
    checks.that(not runs[1]["exceptions"] and len(runs[1]["errors"]) == 1, "a file that breaks off gives one st.error",
        came=str(runs[1]["exceptions"] + runs[1]["errors"])[:200], causes={
            "only files that are no image at all are caught; a broken one is an OSError": bool(runs[1]["exceptions"]),
        })  # fmt: skip
    checks.that(not runs[2]["exceptions"] and not runs[2]["errors"], "a gray image that is no square can be read",
        came=str(runs[2]["exceptions"] + runs[2]["errors"])[:200])  # fmt: skip
    checks.that(not near(runs[2]["images"], shown(study, 0, study.images[:1])["pictures"]), "it is shown")
    checks.that(
        near(runs[3]["images"], shown(study, 16, study.images[:1])["pictures"]),
        "without a file the chosen tile is back",
    )


def claims_to_be_huge() -> bytes:
    """A PNG of a few bytes whose header says 60,000 x 60,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


with checks.step("a file that claims to be absurdly large"):
    runs = checks.beside(
        steps_seen, apps.visit, untrained_study, page, 20, [{"upload": ("bomb.png", claims_to_be_huge(), "image/png")}]
    )
    checks.that(
        not runs[-1]["exceptions"] and len(runs[-1]["errors"]) == 1,
        "it gives one st.error",
        came=str(runs[-1]["exceptions"] + runs[-1]["errors"])[:200],
    )
    checks.that(
        near(runs[-1]["images"], shown(untrained_study(20), 0, untrained_study(20).images[:1])["pictures"]),
        "the page goes on with the chosen tile",
    )


with checks.step("another study: three layers of two heads, then two layers of four, the last of each, epsilon 8"):
    study = untrained_study(5, 3, 2)

    def offered(visit: Callable, make: Callable, page: Callable, sizes: list) -> list:
        """How many layers and heads can be chosen in studies of some sizes."""
        runs = [visit(page, (lambda size=size: make(5, *size),), [])[0]["options"] for size in sizes]
        return [[options.get(key) for key in ("layer", "head")] for options in runs]

    sizes = [(3, 2), (2, 4)]
    came = checks.beside(offered, apps.visit, untrained_study, page, sizes)
    checks.equal(came, [[3, 2], [2, 4]], "how many layers and heads can be chosen in each")

    def deep(visit: Callable, make: Callable, page: Callable) -> dict:
        calls: list = []

        def load() -> object:
            calls.append(1)
            return make(5, 3, 2)

        runs = visit(page, (load,), [{"layer": 2, "head": 1}, {"eps": 8}, {"image": 5}])
        return {"runs": runs, "loads": len(calls), "wide": visit(page, (lambda: make(5, 2, 4),), [{"head": 3}])}

    seen = checks.beside(deep, apps.visit, untrained_study, page)
    run, moved = (
        seen["runs"][-1],
        pgd(study.vit, study.images[5:], logits_of(study.vit, study.images[5:]).argmax(1), 8 / 255),
    )
    checks.that(not run["exceptions"], "no exception", came="; ".join(run["exceptions"])[:300])
    checks.that(
        not seen["wide"][-1]["exceptions"], "no exception", came="; ".join(seen["wide"][-1]["exceptions"])[:300]
    )
    picture = torch.from_numpy(enlarged(moved[0], head_heat(study.vit, moved, 2, 1)))
    checks.that(
        float((run["images"][1].float() - picture.float()).abs().mean()) < 1.5,
        "the ViT's map is that of layer 2, head 1",
    )
    checks.equal(seen["loads"], 1, "how often the study was loaded in four runs")


def small_study(seed: int) -> Study:
    """A study of four tiles of 24 x 24 pixels, nine patches; two layers of three heads, other names, an earlier layer."""
    torch.manual_seed(seed)
    vit = VisionTransformer(
        img_size=24, patch_size=8, num_classes=6, embed_dim=12, depth=2, num_heads=3, mlp_ratio=2.0
    ).eval()
    for parameter in vit.parameters():
        nn.init.normal_(parameter, std=0.3)
    tiles = datasets.field_tiles(4, seed)
    cnn = small_cnn(seed, (6, 8, 8, 12))
    names = ("moor", "dune", "reef", "fen", "scree", "steppe")
    return Study(vit, cnn, tiles.x[..., 4:28, 4:28].contiguous(), tiles.y, names, "features.5")


def two_visitors(visit: Callable, make: Callable, page: Callable) -> int:
    """How often a study is loaded for two visitors, one after the other."""
    calls: list = []

    def load() -> object:
        calls.append(1)
        return make(20)

    visit(page, (load,), [])
    visit(page, (load,), [], forget=False)
    return len(calls)


with checks.step("two visitors, one after the other"):
    loads = checks.beside(two_visitors, apps.visit, untrained_study, page)
    checks.equal(loads, 1, "how often the study was loaded for both", causes={
        "each visitor loads it anew: session state belongs to one visitor, st.cache_resource to all": 2,
    })  # fmt: skip

with checks.step("a study of four tiles with 24 x 24 pixels and other classes, and an upload"):
    study = small_study(6)
    runs = checks.beside(
        steps_seen,
        apps.visit,
        small_study,
        page,
        6,
        [{"upload": ("tile.png", good, "image/png")}, {"eps": 16}, {"upload": None, "eps": 0, "head": 2, "layer": 1}],
    )
    checks.equal(runs[0]["options"].get("image"), 4, "how many tiles can be chosen")
    checks.that(
        not any(run["exceptions"] for run in runs), "no exception", came=str([run["exceptions"] for run in runs])[:300]
    )
    import io

    expected = shown(study, 0, read_tile(io.BytesIO(good), 24)[None])
    checks.that(
        near(runs[1]["images"], expected["pictures"]), "the upload is resized to the size of the study's images"
    )
    checks.equal([value for _, value in runs[1]["metrics"]], expected["answers"], "what ViT and CNN say of it")
    attacked = shown(study, 16, read_tile(io.BytesIO(good), 24)[None])
    checks.that(near(runs[2]["images"], attacked["pictures"]), "the upload is attacked with epsilon 16", causes={
        "an upload was not attacked": near(runs[2]["images"], expected["pictures"]),
    })  # fmt: skip
    checks.that(
        float(
            (
                runs[3]["images"][1].float()
                - torch.from_numpy(enlarged(study.images[0], head_heat(study.vit, study.images[:1], 1, 2))).float()
            )
            .abs()
            .mean()
        )
        < 1.5,
        "without it: the map of layer 1, head 2",
    )
### END HIDDEN TESTS
