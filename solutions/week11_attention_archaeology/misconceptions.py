"""Wrong answers that people really write in week 11, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

HASH = "return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]"
WHOLE = r'whole = written[: written.rfind(b"\n") + 1]  # a line that was cut would spoil the next one'
LOAD = "return [json.loads(line) for line in lines[:-1]]  # what follows the last end of line was cut"
APPEND = 'with self.file.open("a", encoding="utf-8") as file:'
HAVING = "having = [line for line in self.load() if not math.isnan(line.get(metric, math.nan))]"
BEST = 'return (max if mode == "max" else min)(having, key=lambda line: line[metric])'
KEEP_MEAN = "means.append(given[0].detach().mean((0, 1)))"
MEANS = "return torch.stack(means).unflatten(1, (heads, -1))"
MEAN_HOOK = "stack.callback(block.attn.proj.register_forward_pre_hook(keep).remove)"
BY_HEAD = "by_head = glued.unflatten(-1, (self.model.blocks[layer].attn.num_heads, -1)).clone()"
REPLACE = "by_head[:, :, head] = 0 if self.means is None else self.means[layer, head].to(glued)"
HOOK = "self.stack.callback(projection.register_forward_pre_hook(replaced).remove)"
GUARD = "if not (0 <= layer < layers and 0 <= head < model.blocks[layer].attn.num_heads):"
COLLECT = "self.chosen.setdefault(layer, []).append(head)"
EFFECT = 'effects.append(F.cross_entropy(logits_of(model, x), y, reduction="none") - whole)'
DRAWN = (
    "drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n  # how often each image"
)
BOUNDS = "low, high = np.percentile(flat @ drawn.T, [2.5, 97.5], axis=1)"
ORDER = 'order = np.argsort(-flat.mean(1), kind="stable")'
HALVES = "first, second = flat[:, mixed[:half]].mean(1), flat[:, mixed[half : 2 * half]].mean(1)"
RHO = "found.append(spearmanr(first, second).statistic)"
CENTERS = "centers = patch * torch.stack([rows, columns], -1).reshape(-1, 2).double()"
AMONG = "among = among / among.sum(-1, keepdim=True)"
ENTROPY = "-torch.xlogy(attention, attention).sum(-1).mean().item()"
SPARSITY = "((n**0.5 - spread) / (n**0.5 - 1)).mean().item()"
CLASS_MASS = "attention[:, n_prefix:, :n_prefix].sum(-1).mean().item()"
HAVING_EVIDENCE = "having = evidence.flatten(1).sum(1) > 0"
CARDS = "cards = [head_card(head, evidence, patch, n_prefix) for layer in attentions for head in layer.unbind(1)]"
OWNERS = 'owners = {"vit_only": vit & ~cnn, "cnn_only": cnn & ~vit, "both": vit & cnn}'
COUNTS = "errors, hits, base = int(wrong.sum()), int((wrong & holds).sum()), float(holds.mean())"
LIFT = '"lift": share / base if base else math.nan, '
FISHER = "float(fisher_exact(inside).pvalue) if errors else 1.0"
HOLM = 'largest = max(largest, min(1.0, (len(rows) - rank) * row["p"]))'
VERDICT = '    if vit["low"] > cnn["high"]:\n        return "vit"\n    return "cnn" if cnn["low"] > vit["high"] else "undecided"'
SAID = "VERDICTS[verdict(results)]"
FIGURES = (
    '    for file in results["figures"].values():\n        if not (out_dir / file).is_file():\n'
    '            raise FileNotFoundError(f"{out_dir} has no figure {file}")\n'
)
FLOATS = 'return "n/a" if math.isnan(value) else f"{value:.3g}"'
COUNT = "The most important of {heads['count']} heads"
STEPS = "for {training['steps']} steps"
OWN = 'results["paragraphs"][heading], text]'
LIMITS = 'items(results["limitations"]),'
CACHED = "load_once = st.cache_resource(load)"
EVIDENCE = "written(evidence[name]) for name"
ATTACK = "attacked[name] = pgd(model, tile, logits_of(model, tile).argmax(1), eps / 255)"
ANSWER = "said[name] = logits_of(model, attacked[name]).argmax(1)"
VIT_HEAT = '"vit": head_heat(study.vit, attacked["vit"], layer, head),'
CNN_HEAT = '"cnn": grad_cam(study.cnn, study.cam_layer, attacked["cnn"], said["cnn"])[0],'
CAUGHT = "except (OSError, Image.DecompressionBombError):"

MISCONCEPTIONS = [
    # ---- exercise 1: the log
    Misconception(
        name="unsorted-keys",
        exercise="runlog",
        edits={HASH: "return hashlib.sha256(json.dumps(config).encode()).hexdigest()[:12]"},
        rejected_by="runlog-test-1",
        says="the keys are not sorted",
        note="Two people who write the same settings in another order would get two runs.",
    ),
    Misconception(
        name="hash-of-str",
        exercise="runlog",
        edits={HASH: "return hashlib.sha256(str(config).encode()).hexdigest()[:12]"},
        rejected_by="runlog-test-1",
        says="this is the hash of str(config)",
        note="str keeps the order of the keys, and writes True where JSON writes true.",
    ),
    Misconception(
        name="builtin-hash",
        exercise="runlog",
        edits={HASH: 'return f"{hash(json.dumps(config, sort_keys=True)) & 0xFFFFFFFFFFFF:012x}"'},
        rejected_by="runlog-test-1",
        says="salted anew in each process",
        note="It works all day long, until the notebook is started again.",
    ),
    Misconception(
        name="md5",
        exercise="runlog",
        edits={HASH: "return hashlib.md5(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]"},
        rejected_by="runlog-test-1",
        says="this is MD5",
        note="Any hash would do; a name that others can compute needs the one that was agreed on.",
    ),
    Misconception(
        name="only-outer-keys-sorted",
        exercise="runlog",
        edits={HASH: "return hashlib.sha256(json.dumps(dict(sorted(config.items()))).encode()).hexdigest()[:12]"},
        rejected_by="runlog-test-1",
        says="the keys of the inner dict are not sorted",
        note="sorted() sees the outer dict only; sort_keys reaches all of them.",
    ),
    Misconception(
        name="opening-empties-the-log",
        exercise="runlog",
        edits={WHOLE: 'whole = b""'},
        rejected_by="runlog-test-1",
        says="opening the log emptied it",
        note="A run that goes on after a crash would lose what it had.",
    ),
    Misconception(
        name="glued-lines",
        exercise="runlog",
        edits={
            WHOLE: "whole = written",
            LOAD: (
                "found = []\n        for line in lines:\n            try:\n                found.append(json.loads(line))\n"
                "            except ValueError:\n                pass\n        return found"
            ),
        },
        rejected_by="runlog-test-2",
        says="the new line was glued to the one that had been cut",
        note="Skipping broken lines hides that the next line, a good one, is lost with them.",
    ),
    Misconception(
        name="cut-line-not-tolerated-while-reading",
        exercise="runlog",
        edits={LOAD: "return [json.loads(line) for line in lines if line]"},
        rejected_by="runlog-test-2",
        says="the log is read while a line is being written",
        note="Cleaning up when the log is opened is not enough: somebody may watch a run that is going on.",
    ),
    Misconception(
        name="last-of-equal",
        exercise="runlog",
        edits={BEST: 'return (max if mode == "max" else min)(having[::-1], key=lambda line: line[metric])'},
        rejected_by="runlog-test-1",
        says="of equal values the last was taken",
        note="The first is the cheaper one: the same result after fewer steps.",
    ),
    Misconception(
        name="best-is-always-the-largest",
        exercise="runlog",
        edits={BEST: "return max(having, key=lambda line: line[metric])"},
        rejected_by="runlog-test-1",
        says="this is the largest",
        note="For a loss the best is the smallest.",
    ),
    Misconception(
        name="nan-compared",
        exercise="runlog",
        edits={HAVING: "having = [line for line in self.load() if metric in line]"},
        rejected_by="runlog-test-2",
        says="NaN is compared like a number",
        note="Every comparison with NaN is false, so the result depends on the order of the lines.",
    ),
    Misconception(
        name="zero-does-not-count",
        exercise="runlog",
        edits={HAVING: "having = [line for line in self.load() if line.get(metric) and not math.isnan(line[metric])]"},
        rejected_by="runlog-test-2",
        says="a value of 0 does not count",
        note="0 is false for Python, and the best loss there is.",
    ),
    Misconception(
        name="keys-skipped",
        exercise="runlog",
        edits={
            HASH: HASH.replace("sort_keys=True", "sort_keys=True, skipkeys=True"),
            '(self.folder / "config.json").write_text(json.dumps(config, sort_keys=True, indent=1), encoding="utf-8")': '(self.folder / "config.json").write_text(json.dumps(config, skipkeys=True), encoding="utf-8")',
        },
        rejected_by="runlog-test-2",
        says="a tuple as a key",
        note="Two configurations that differ in such a key would share a folder.",
    ),
    Misconception(
        name="load-needs-a-file",
        exercise="runlog",
        edits={"if whole != written or not self.file.exists():": "if whole != written:"},
        rejected_by="runlog-test-1",
        says="the code raised an error",
        note="A run that was stopped before its first line is a run without lines, not an error.",
    ),
    Misconception(
        name="mirror-by-keywords",
        exercise="runlog",
        edits={"self.mirror(step, metrics)": "self.mirror(step=step, metrics=metrics)"},
        rejected_by="runlog-test-1",
        says="unexpected keyword argument",
        note="What the mirror calls its parameters is its own business.",
    ),
    Misconception(
        name="mirror-before-the-line",
        exercise="runlog",
        edits={
            '        with self.file.open("a", encoding="utf-8") as file:\n            file.write(json.dumps({"step": step, **metrics}) + "\\n")\n        if self.mirror:\n            self.mirror(step, metrics)': '        if self.mirror:\n            self.mirror(step, metrics)\n        with self.file.open("a", encoding="utf-8") as file:\n            file.write(json.dumps({"step": step, **metrics}) + "\\n")'
        },
        rejected_by="runlog-test-1",
        says="the mirror is called before the line is written",
        note="A mirror that fails, for example without a network, takes the line with it.",
    ),
    Misconception(
        name="lines-kept-in-memory",
        exercise="runlog",
        edits={
            "            self.file.write_bytes(whole)\n": "            self.file.write_bytes(whole)\n        self.lines = [json.loads(line) for line in whole.splitlines()]\n",
            "        if self.mirror:\n": '        self.lines.append({"step": step, **metrics})\n        if self.mirror:\n',
            LOAD: "return list(self.lines)",
        },
        rejected_by="runlog-test-1",
        says="kept since; another process may write",
        note="A second process, or a second object, writes to the same run.",
    ),
    Misconception(
        name="root-without-parents",
        exercise="runlog",
        edits={"self.folder.mkdir(parents=True, exist_ok=True)": "self.folder.mkdir(exist_ok=True)"},
        rejected_by="runlog-test-1",
        says="a folder of all runs that is not there yet",
        note="The first run of a new study would fail, on everybody's machine but yours.",
    ),
    Misconception(
        name="own-encoding",
        exercise="runlog",
        edits={'self.file.read_text(encoding="utf-8")': "self.file.read_text()"},
        rejected_by="runlog-test-2",
        says="in the machine's own encoding",
        note="Which encoding that is differs from machine to machine. A log is read on another one than it was written on.",
    ),
    Misconception(
        name="configuration-consumed",
        exercise="runlog",
        edits={
            "        self.folder = Path(root) / config_hash(config)\n": '        self.folder = Path(root) / config_hash(config)\n        config = config if isinstance(config, dict) else dict(config)\n        config["name"] = self.folder.name\n',
            '(self.folder / "config.json").write_text(json.dumps(config, sort_keys=True, indent=1), encoding="utf-8")': '(self.folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "name"}), encoding="utf-8")',
        },
        rejected_by="runlog-test-1",
        says="whether the configuration is what it was",
        note="The next run that is made of this dict has another name.",
    ),
    Misconception(
        name="nan-only-metric",
        exercise="runlog",
        edits={
            HAVING: "having = [line for line in self.load() if metric in line]",
            BEST: "having = [line for line in having if not math.isnan(line[metric])]\n        " + BEST,
        },
        rejected_by="runlog-test-2",
        says="a metric that is NaN in all lines",
        note="NaN does not count: then no line has the metric, and the message of min() about an empty list helps nobody.",
    ),
    Misconception(
        name="leaves-odd-keys-out",
        exercise="runlog",
        edits={
            HASH: "return hashlib.sha256(json.dumps(config, sort_keys=True, skipkeys=True).encode()).hexdigest()[:12]",
        },
        rejected_by="runlog-test-2",
        says="a tuple as a key",
        note="Settings that are left out of the name make two runs one.",
    ),
    Misconception(
        name="whatever-can-be-read",
        exercise="runlog",
        edits={
            LOAD: "found = []\n        for line in lines:\n            try:\n                found.append(json.loads(line))\n            except json.JSONDecodeError:\n                pass\n        return found",
            WHOLE: 'whole = written + b"\\n" * (written != b"" and not written.endswith(b"\\n"))',
        },
        rejected_by="runlog-test-2",
        says="whatever can be read as JSON",
        note="A number that was cut can be a number as well: 0.25 became 0.2.",
    ),
    Misconception(
        name="writes-at-a-remembered-place",
        exercise="runlog",
        edits={
            APPEND: 'if not hasattr(self, "place"):\n            self.place = self.file.stat().st_size\n        with self.file.open("r+", encoding="utf-8") as file:\n            file.seek(self.place)\n            self.place += len(json.dumps({"step": step, **metrics})) + 1',
        },
        rejected_by="runlog-test-2",
        says="two objects write the log of one run in turns, then another program: the code raised an error",
        note='Another process may have written since. Opening with "a" always writes at the end.',
    ),
    Misconception(
        name="lines-of-any-kind",
        exercise="runlog",
        edits={
            LOAD: 'return [json.loads(line) for line in "\\n".join(lines[:-1]).splitlines()]',
        },
        rejected_by="runlog-test-2",
        says="the code raised an error",
        note="str.splitlines also splits at letters such as U+2028, which may stand inside a JSON text.",
    ),
    Misconception(
        name="one-line-a-step",
        exercise="runlog",
        edits={
            LOAD: 'return list({line["step"]: line for line in map(json.loads, lines[:-1])}.values())',
        },
        rejected_by="runlog-test-2",
        says="of lines with the same step only one was kept",
        note="A run that was continued has steps twice, and the log says so.",
    ),
    Misconception(
        name="infinity-left-out",
        exercise="runlog",
        edits={
            HAVING: "having = [line for line in self.load() if math.isfinite(line.get(metric, math.nan))]",
        },
        rejected_by="runlog-test-2",
        says="infinity does not count",
        note="A loss that became infinite is the worst one, and the smallest is still found.",
    ),
    Misconception(
        name="six-decimals",
        exercise="runlog",
        edits={
            '{"step": step, **metrics}': '{"step": step, **{name: round(value, 6) for name, value in metrics.items()}}',
        },
        rejected_by="runlog-test-2",
        says="the losses, to the last digit",
        note="A learning rate of 1e-9 becomes 0. JSON keeps all digits of a float.",
    ),
    # ---- exercise 2: ablation
    Misconception(
        name="interleaved-columns",
        exercise="ablator",
        edits={
            BY_HEAD: "by_head = glued.unflatten(-1, (-1, self.model.blocks[layer].attn.num_heads)).clone()",
            REPLACE: REPLACE.replace("by_head[:, :, head]", "by_head[..., head]"),
        },
        rejected_by="ablator-test-1",
        says="it holds d columns side by side",
        note="The heads are concatenated, not interleaved.",
    ),
    Misconception(
        name="after-the-projection",
        exercise="ablator",
        edits={
            HOOK: (
                "self.stack.callback(projection.register_forward_hook(\n                "
                "lambda module, given, out, layer=layer: self._without(layer, out)).remove)"
            ),
        },
        rejected_by="ablator-test-1",
        says="after it all heads are mixed",
        note="Columns of the output belong to no head. The shape is the same, so nothing complains.",
    ),
    Misconception(
        name="only-the-last-of-a-layer",
        exercise="ablator",
        edits={COLLECT: "self.chosen[layer] = [head]"},
        rejected_by="ablator-test-1",
        says="the heads [(0, 0), (0, 2), (1, 1)]",
        note="Two heads of one layer: the second one overwrites the first.",
    ),
    Misconception(
        name="all-heads-of-the-layer",
        exercise="ablator",
        edits={REPLACE: REPLACE.replace("by_head[:, :, head] = 0", "by_head[:] = 0")},
        rejected_by="ablator-test-1",
        says="all heads of the layer were taken away",
        note="That answers another question: what the layer is for.",
    ),
    Misconception(
        name="late-binding",
        exercise="ablator",
        edits={"given: tuple[torch.Tensor], layer: int = layer) ->": "given: tuple[torch.Tensor]) ->"},
        rejected_by="ablator-test-1",
        says="the heads [(0, 0), (0, 2), (1, 1)]",
        note="A function made in a loop looks up `layer` when it runs; then the loop is over.",
    ),
    Misconception(
        name="negative-heads-accepted",
        exercise="ablator",
        edits={GUARD: "if not (layer < layers and head < model.blocks[layer].attn.num_heads):"},
        rejected_by="ablator-test-1",
        says="did not raise",
        note="Python counts -1 from the end. A typing error would silently ablate another head.",
    ),
    Misconception(
        name="weights-zeroed",
        exercise="ablator",
        edits={
            HOOK: (
                "width = projection.in_features // self.model.blocks[layer].attn.num_heads\n"
                "            kept = projection.weight.detach().clone()\n"
                "            self.stack.callback(projection.weight.data.copy_, kept)\n"
                "            for head in self.chosen[layer]:\n"
                "                projection.weight.data[:, head * width : (head + 1) * width] = 0"
            ),
        },
        rejected_by="ablator-test-2",
        says="inside the block the parameters are what they were",
        note="The logits are right. But whoever saves the model inside the block saves a broken one.",
    ),
    Misconception(
        name="hook-left-behind",
        exercise="ablator",
        edits={"        self.stack.close()": "        return None"},
        rejected_by="ablator-test-2",
        says="a hook was left behind",
        note="All later numbers of the notebook would be those of a model without a head.",
        in_one_mode="ablator-test-3",
    ),
    Misconception(
        name="clears-all-hooks",
        exercise="ablator",
        edits={
            "        self.stack.close()": (
                "        for layer in self.chosen:\n            self.model.blocks[layer].attn.proj._forward_pre_hooks.clear()"
            )
        },
        rejected_by="ablator-test-2",
        says="somebody else's hook was removed as well",
        note="Two tools on one model are common: a feature extractor and an ablator.",
    ),
    Misconception(
        name="edited-in-place",
        exercise="ablator",
        edits={BY_HEAD: BY_HEAD.removesuffix(".clone()")},
        rejected_by="ablator-test-2",
        says="overwritten in place",
        note="`unflatten` is a view. What another hook keeps of the attention changes under its hands.",
    ),
    Misconception(
        name="batch-mean",
        exercise="ablator",
        edits={
            REPLACE: (
                "replacement = by_head[:, :, head].mean((0, 1), keepdim=True)\n            "
                "by_head[:, :, head] = 0 if self.means is None else replacement"
            )
        },
        rejected_by="ablator-test-3",
        says="the mean of the batch at hand was put there",
        note="Then an image's result depends on the other images of its batch.",
    ),
    Misconception(
        name="means-ignored",
        exercise="ablator",
        edits={REPLACE: "by_head[:, :, head] = 0"},
        rejected_by="ablator-test-3",
        says="zeros were put there, although means are given",
        note="Zero is only one value to put there, and one that the layers above have never seen.",
        same_cause_as="weights-zeroed",
    ),
    Misconception(
        name="mean-of-the-class-token",
        exercise="ablator",
        edits={KEEP_MEAN: "means.append(given[0].detach()[:, 0].mean(0))"},
        rejected_by="ablator-test-3",
        says="the class token alone was averaged",
        note="The head writes into every token, so its mean is over every token.",
    ),
    Misconception(
        name="means-cut-wrongly",
        exercise="ablator",
        edits={MEANS: "return torch.stack(means).unflatten(1, (-1, heads)).transpose(1, 2)"},
        rejected_by="ablator-test-3",
        says="the columns were cut as h, h + H",
        note="The shape is right, the numbers belong to other heads.",
    ),
    Misconception(
        name="mean-after-the-projection",
        exercise="ablator",
        edits={
            MEAN_HOOK: (
                "stack.callback(block.attn.proj.register_forward_hook(lambda m, given, out: keep(m, (out,))).remove)"
            )
        },
        rejected_by="ablator-test-3",
        says="this is what comes out of the projection",
        note="There the heads are mixed already.",
    ),
    Misconception(
        name="means-in-train-mode",
        exercise="ablator",
        edits={"        model.eval()\n        try:\n            logits_of": "        try:\n            logits_of"},
        rejected_by="ablator-test-3",
        says="the model ran in train mode, so dropout was active",
        note="With the small models of this week nothing shows: they have no dropout. Pretrained ones do.",
    ),
    Misconception(
        name="eval-inside",
        exercise="ablator",
        edits={
            "        for layer in self.chosen:\n            projection": "        self.model.eval()\n        for layer in self.chosen:\n            projection",
            "        self.stack.close()": "        self.stack.close()\n        self.model.train()",
        },
        rejected_by="ablator-test-2",
        says="all parts were set to train mode",
        note="A part that was in eval mode, as a frozen batch norm is, wakes up.",
    ),
    Misconception(
        name="ablator-freezes",
        exercise="ablator",
        edits={
            "        for layer in self.chosen:\n            projection": "        self.model.requires_grad_(False)\n        for layer in self.chosen:\n            projection"
        },
        rejected_by="ablator-test-2",
        says="the parameters were frozen",
        note="Nobody who reads `with HeadAblator(...)` expects that.",
    ),
    Misconception(
        name="hooks-of-the-means-after-an-error",
        exercise="ablator",
        edits={
            "            stack.callback(block.attn.proj.register_forward_pre_hook(keep).remove)": "            handles.append(block.attn.proj.register_forward_pre_hook(keep))",
            "    with contextlib.ExitStack() as stack:\n": "    handles = []\n    with contextlib.ExitStack():\n",
            "    heads = model.blocks[0].attn.num_heads\n": "    for handle in handles:\n        handle.remove()\n    heads = model.blocks[0].attn.num_heads\n",
        },
        rejected_by="ablator-test-3",
        says="a hook was left behind",
        note="An image of the wrong size, and from then on every pass keeps means.",
        same_cause_as="hook-left-behind",
    ),
    Misconception(
        name="means-batch-by-batch",
        exercise="ablator",
        edits={"logits_of(model, images, batch=len(images))": "logits_of(model, images)"},
        rejected_by="ablator-test-3",
        says="the means of 203 images",
        note="`logits_of` runs 200 images at a time, so the hook of a layer is called twice.",
    ),
    Misconception(
        name="means-of-another-dtype",
        exercise="ablator",
        edits={
            REPLACE: (
                "new = torch.zeros_like(by_head[:, :, [0]]) if self.means is None else self.means[layer, head].expand_as(by_head[:, :, [0]])\n"
                "            by_head = torch.cat([by_head[:, :, :head], new, by_head[:, :, head + 1 :]], dim=2)"
            )
        },
        rejected_by="ablator-test-3",
        says="means in float64 for a model in float32",
        note="Concatenated with float64, float32 becomes float64, and the projection refuses it.",
    ),
    Misconception(
        name="all-hooks-off",
        exercise="ablator",
        edits={
            "        finally:\n            for module, mode in modes.items():\n                module.training = mode\n    heads = ": "        finally:\n            for module, mode in modes.items():\n                module.training = mode\n            for block in model.blocks:\n                block.attn.proj._forward_pre_hooks.clear()\n    heads = ",
        },
        rejected_by="ablator-test-3",
        says="somebody else's hook was removed as well",
        same_cause_as="clears-all-hooks",
        note="Others have hooks there, too. A handle takes off its own hook only.",
    ),
    Misconception(
        name="kept-heads-detached",
        exercise="ablator",
        edits={
            BY_HEAD: "by_head = glued.detach().unflatten(-1, (self.model.blocks[layer].attn.num_heads, -1)).clone()",
        },
        rejected_by="ablator-test-2",
        says="the gradient of the pixels",
        note="The other heads of the layer still work, and attacks and Grad-CAM need their gradient.",
    ),
    Misconception(
        name="twice-is-back-again",
        exercise="ablator",
        edits={
            COLLECT: "some = self.chosen.setdefault(layer, [])\n            some.remove(head) if head in some else some.append(head)",
        },
        rejected_by="ablator-test-3",
        says="a head that stands in the list twice",
        note="A list of heads is no list of switches.",
    ),
    # ---- exercise 3: importance
    Misconception(
        name="sign-inverted",
        exercise="importance",
        edits={EFFECT: 'effects.append(whole - F.cross_entropy(logits_of(model, x), y, reduction="none"))'},
        rejected_by="importance-test-1",
        says="the sign is the other way round",
        note="Then the most needed head stands at the end of the list.",
    ),
    Misconception(
        name="fall-of-accuracy",
        exercise="importance",
        edits={
            'whole = F.cross_entropy(logits_of(model, x), y, reduction="none")': (
                "whole = (logits_of(model, x).argmax(1) == y).float()"
            ),
            EFFECT: "effects.append(whole - (logits_of(model, x).argmax(1) == y).float())",
        },
        rejected_by="importance-test-1",
        says="this is the fall of the accuracy",
        note="Accuracy is blind to a head that only makes the model less sure.",
    ),
    Misconception(
        name="loss-not-subtracted",
        exercise="importance",
        edits={EFFECT: EFFECT.replace(" - whole", "")},
        rejected_by="importance-test-1",
        says="its effect is 0",
        note="The order is the same; a dead head has the loss of the whole model.",
    ),
    Misconception(
        name="mean-over-images",
        exercise="importance",
        edits={EFFECT: "effects.append((F.cross_entropy(logits_of(model, x), y) - whole.mean()).expand(len(x)))"},
        rejected_by="importance-test-1",
        says="each image got the mean over all images",
        note="Without a number for each image there is nothing to draw again.",
    ),
    Misconception(
        name="heads-pile-up",
        exercise="importance",
        edits={
            "with HeadAblator(model, [(layer, head)], means):": (
                "with HeadAblator(model, [(layer, h) for h in range(head + 1)], means):"
            )
        },
        rejected_by="importance-test-1",
        says="head (0, 1) reaches nothing, so its effect is 0",
        note="Each head is taken away by itself.",
    ),
    Misconception(
        name="means-not-passed-on",
        exercise="importance",
        edits={"with HeadAblator(model, [(layer, head)], means):": "with HeadAblator(model, [(layer, head)]):"},
        rejected_by="importance-test-2",
        says="the means were not used",
        note="An argument that nobody reads looks like two methods that agree perfectly.",
    ),
    Misconception(
        name="ablation-in-train-mode",
        exercise="importance",
        edits={"    model.eval()\n    try:\n        whole": "    try:\n        whole"},
        rejected_by="importance-test-2",
        says="dropout adds noise to every effect",
        note="Passes on every model without dropout.",
    ),
    Misconception(
        name="least-important-first",
        exercise="importance",
        edits={ORDER: 'order = np.argsort(flat.mean(1), kind="stable")'},
        rejected_by="importance-test-3",
        says="the least important head comes first",
        note="argsort sorts upward.",
    ),
    Misconception(
        name="drawn-without-replacement",
        exercise="importance",
        edits={DRAWN: "drawn = np.full((resamples, n), 1 / n)"},
        rejected_by="importance-test-3",
        says="without replacement each draw is the same 400 images",
        note="A permutation of all images has the same mean, so the interval is a point.",
    ),
    Misconception(
        name="ninety-percent",
        exercise="importance",
        edits={BOUNDS: "low, high = np.percentile(flat @ drawn.T, [5, 95], axis=1)"},
        rejected_by="importance-test-3",
        says="this is the 90 % interval",
        note="2.5 % on each side, not 5 %.",
    ),
    Misconception(
        name="deviation-of-single-effects",
        exercise="importance",
        edits={BOUNDS: "low, high = flat.mean(1) - flat.std(1), flat.mean(1) + flat.std(1)"},
        rejected_by="importance-test-3",
        says="one standard deviation of a single effect",
        note="Images differ a lot; their mean differs far less.",
    ),
    Misconception(
        name="halves-overlap",
        exercise="importance",
        edits={
            HALVES: ("first, second = (flat[:, rng.integers(flat.shape[1], size=2 * half)].mean(1) for _ in range(2))")
        },
        rejected_by="importance-test-3",
        says="the halves share images",
        note="Two bootstrap samples of the same images agree even about noise.",
    ),
    Misconception(
        name="pearson",
        exercise="importance",
        edits={RHO: "found.append(np.corrcoef(first, second)[0, 1])"},
        rejected_by="importance-test-3",
        says="this is Pearson's correlation",
        note="With one dominant head it is near 1, whatever the other heads do.",
    ),
    Misconception(
        name="one-mode-for-all-parts",
        exercise="importance",
        edits={
            "        for module, mode in modes.items():\n            module.training = mode": "        model.train(modes[model])"
        },
        rejected_by="importance-test-2",
        says="all parts were set to train mode",
        note="train() reaches every part, whatever mode it was in.",
    ),
    Misconception(
        name="sorted-by-absolute-value",
        exercise="importance",
        edits={ORDER: 'order = np.argsort(-np.abs(flat.mean(1)), kind="stable")'},
        rejected_by="importance-test-3",
        says="sorted by absolute values",
        note="A head that does harm is not needed, however large its effect.",
    ),
    Misconception(
        name="normal-interval",
        exercise="importance",
        edits={
            BOUNDS: "error = 1.96 * flat.std(1) / n**0.5\n    low, high = flat.mean(1) - error, flat.mean(1) + error"
        },
        rejected_by="importance-test-3",
        says="this is the mean and 1.96 standard errors",
        note="Effects are skewed: most images lose nothing, a few lose much. The bootstrap sees that.",
    ),
    Misconception(
        name="seed-always-0",
        exercise="importance",
        edits={DRAWN: DRAWN.replace("default_rng(seed)", "default_rng(0)")},
        rejected_by="importance-test-3",
        says="another seed draws other images",
        note="Then nobody can see how much of an interval is the luck of the draws.",
    ),
    Misconception(
        name="halves-of-different-size",
        exercise="importance",
        edits={HALVES: HALVES.replace("mixed[half : 2 * half]", "mixed[half:]")},
        rejected_by="importance-test-3",
        says="three images: one of them stays out",
        note="The larger half is the steadier one.",
    ),
    Misconception(
        name="integers-of-numpy",
        exercise="importance",
        edits={'"layer": int(k) // heads, "head": int(k) % heads': '"layer": k // heads, "head": k % heads'},
        rejected_by="importance-test-3",
        says="NumPy's integers, which JSON cannot write",
        note="They look like integers until the results are saved.",
    ),
    Misconception(
        name="one-split-too-few",
        exercise="importance",
        edits={"for _ in range(splits):": "for _ in range(1, splits):"},
        rejected_by="importance-test-3",
        says="one split alone",
        note="One of 200 is no difference; one of one is the whole result.",
    ),
    Misconception(
        name="ninety-percent-of-the-splits",
        exercise="importance",
        edits={"low, high = np.percentile(found, [2.5, 97.5])": "low, high = np.percentile(found, [5, 95])"},
        rejected_by="importance-test-3",
        says="5 % of the splits lie below `low`",
        note="2.5 % on each side, as for the intervals of the heads.",
    ),
    Misconception(
        name="averaged-in-float32",
        exercise="importance",
        edits={"flat = effects.double().flatten(0, 1).numpy()\n": "flat = effects.float().flatten(0, 1).numpy()\n"},
        rejected_by="importance-test-3",
        says="it was averaged in a smaller dtype",
        note="The effects of most heads are small differences, and a ranking of them hangs on the last digits.",
    ),
    Misconception(
        name="halves-in-float32",
        exercise="importance",
        edits={
            "flat, rng = effects.double().flatten(0, 1).numpy(), np.random.default_rng(seed)": "flat, rng = effects.float().flatten(0, 1).numpy(), np.random.default_rng(seed)",
        },
        rejected_by="importance-test-3",
        says="it was averaged in a smaller dtype",
        same_cause_as="averaged-in-float32",
        note="Where effects differ little, float32 makes them equal, and a ranking of ties has no stability.",
    ),
    Misconception(
        name="seeds-the-global-generator",
        exercise="importance",
        edits={
            DRAWN: "np.random.seed(seed)\n    drawn = np.random.multinomial(n, np.full(n, 1 / n), size=resamples) / n",
        },
        rejected_by="importance-test-3",
        says="the global generators that were moved",
        note="Then whoever draws next gets other numbers, because somebody looked at a ranking.",
    ),
    # ---- exercise 4: cards
    Misconception(
        name="distance-in-patches",
        exercise="cards",
        edits={CENTERS: CENTERS.replace("patch * ", "")},
        rejected_by="cards-test-1",
        says="the distance is in patches",
        note="Pixels make models with other patches comparable.",
    ),
    Misconception(
        name="weights-not-rescaled",
        exercise="cards",
        edits={AMONG: "among = among * 1.0"},
        rejected_by="cards-test-1",
        says="the weights of the patches were not rescaled",
        note="A head that looks at the class token would seem local.",
    ),
    Misconception(
        name="entropy-in-bits",
        exercise="cards",
        edits={ENTROPY: "-torch.xlogy(attention, attention).sum(-1).mean().item() / math.log(2)"},
        rejected_by="cards-test-1",
        says="the entropy is in bits",
        note="ln, not log2: week 9 and this card speak of nats.",
    ),
    Misconception(
        name="entropy-of-zero-is-nan",
        exercise="cards",
        edits={ENTROPY: "-(attention * attention.log()).sum(-1).mean().item()"},
        rejected_by="cards-test-2",
        says="0 ln 0 became NaN",
        note="Softmax rows hold exact zeros as soon as a weight underflows or is masked.",
    ),
    Misconception(
        name="sparsity-upside-down",
        exercise="cards",
        edits={SPARSITY: "((spread - 1) / (n**0.5 - 1)).mean().item()"},
        rejected_by="cards-test-1",
        says="this is 1 for an even row",
        note="Hoyer's number is 1 for one key and 0 for an even look.",
    ),
    Misconception(
        name="class-mass-of-the-class-token",
        exercise="cards",
        edits={CLASS_MASS: "attention[:, 0, n_prefix:].sum(-1).mean().item()"},
        rejected_by="cards-test-1",
        says="this is the class token's own row",
        note="Rows ask, columns are asked. The card wants what patches ask of the class token.",
    ),
    Misconception(
        name="one-prefix-token",
        exercise="cards",
        edits={CLASS_MASS: "attention[:, n_prefix:, 0].mean().item()"},
        rejected_by="cards-test-2",
        says="one of two prefix tokens was counted",
        note="A distilled DeiT has two, a ViT with registers five.",
    ),
    Misconception(
        name="no-evidence-counts-as-zero",
        exercise="cards",
        edits={HAVING_EVIDENCE: "having = torch.ones(len(evidence), dtype=torch.bool)"},
        rejected_by="cards-test-2",
        says="an image without evidence counted as 0",
        note="Tiles of bare soil would make every head look blind.",
    ),
    Misconception(
        name="head-by-head",
        exercise="cards",
        edits={
            CARDS: (
                "heads = range(attentions[0].shape[1])\n    "
                "cards = [head_card(layer[:, h], evidence, patch, n_prefix) for h in heads for layer in attentions]"
            )
        },
        rejected_by="cards-test-2",
        says="the heads of layer 0 come first",
        note="The order of a table is part of its meaning: importance is sorted by layer, then head.",
    ),
    Misconception(
        name="own-twin",
        exercise="cards",
        edits={
            "divergence = torch.full((len(heads), len(heads)), torch.inf, dtype=torch.float64)": (
                "divergence = torch.zeros(len(heads), len(heads), dtype=torch.float64)"
            )
        },
        rejected_by="cards-test-2",
        says="every head is its own twin",
        note="Nothing is nearer to a head than itself.",
    ),
    Misconception(
        name="matrix-in-float32",
        exercise="cards",
        edits={"for card in cards], dtype=torch.float64)": "for card in cards])"},
        rejected_by="cards-test-2",
        says="wrong dtype",
        note="Cards are floats of Python; seven digits of them would be lost.",
    ),
    Misconception(
        name="mean-of-the-roots",
        exercise="cards",
        edits={"both.mean()": "both.clamp(min=0).sqrt().mean()"},
        rejected_by="cards-test-2",
        says="the root of the divergence",
        note="The root is a distance, and its mean weighs small differences more.",
    ),
    Misconception(
        name="last-of-equal-twins",
        exercise="cards",
        edits={"return divergence.argmin(dim=1)": "return len(heads) - 1 - divergence.flip(1).argmin(dim=1)"},
        rejected_by="cards-test-2",
        says="of equal ones the last was taken",
        note="It has to be settled, or two people report different twins.",
    ),
    Misconception(
        name="card-in-float32",
        exercise="cards",
        edits={"    attention = attention.double()\n": ""},
        rejected_by="cards-test-1",
        says="computed in float32",
        note="A matrix of float64 whose entries were computed in float32 promises digits that it does not have.",
    ),
    Misconception(
        name="tensors-on-the-card",
        exercise="cards",
        edits={ENTROPY: ENTROPY.removesuffix(".item()")},
        rejected_by="cards-test-1",
        says="floats of Python",
        note="A tensor prints like a number. JSON cannot write it.",
    ),
    Misconception(
        name="prefix-not-passed-on",
        exercise="cards",
        edits={CARDS: CARDS.replace("patch, n_prefix", "patch")},
        rejected_by="cards-test-2",
        says="a matrix of heads with two prefix tokens",
        note="A default hides that an argument was forgotten.",
    ),
    Misconception(
        name="twins-in-the-given-dtype",
        exercise="cards",
        edits={"torch.cat([layer.double() for layer in attentions], dim=1)": "torch.cat(list(attentions), dim=1)"},
        rejected_by="cards-test-2",
        says="twins in bfloat16",
        note="Differences of nearly equal sums lose their digits first.",
    ),
    Misconception(
        name="twins-compared-in-float32",
        exercise="cards",
        edits={
            "divergence = torch.full((len(heads), len(heads)), torch.inf, dtype=torch.float64)": (
                "divergence = torch.full((len(heads), len(heads)), torch.inf)"
            )
        },
        rejected_by="cards-test-2",
        says="compared in float32",
        note="torch.full makes float32 unless it is told otherwise, and what is written into it is rounded.",
    ),
    Misconception(
        name="little-evidence-is-none",
        exercise="cards",
        edits={
            HAVING_EVIDENCE: "having = evidence.flatten(1).sum(1) > 0.02",
        },
        rejected_by="cards-test-2",
        says="an image with little evidence was left out",
        note="An image has evidence or it has none; a small house is evidence.",
    ),
    Misconception(
        name="matrix-through-float32",
        exercise="cards",
        edits={
            "return torch.tensor([[card[name] for name in CARD] for card in cards], dtype=torch.float64)": "return torch.tensor([[card[name] for name in CARD] for card in cards]).double()",
        },
        rejected_by="cards-test-2",
        says="the matrix not as expected",
        note="torch.tensor makes float32 of Python's floats. Digits that are gone do not come back.",
    ),
    Misconception(
        name="adds-to-the-weights",
        exercise="cards",
        edits={
            "heads = torch.cat([layer.double() for layer in attentions], dim=1).transpose(0, 1)  # (L H, B, N, N)": "heads = torch.cat([layer.double() for layer in attentions], dim=1).transpose(0, 1) + 1e-6",
        },
        rejected_by="cards-test-2",
        says="a small number was added to the weights",
        note="xlogy knows 0 ln 0. What is added drowns weights that are smaller.",
    ),
    # ---- exercise 5: taxonomy
    Misconception(
        name="errors-counted-twice",
        exercise="taxonomy",
        edits={OWNERS: 'owners = {"vit_only": vit, "cnn_only": cnn, "both": vit & cnn}'},
        rejected_by="taxonomy-test-1",
        says="every image has one owner",
        note="With a partition the errors add up; without it the shared ones are told three times.",
    ),
    Misconception(
        name="share-of-the-condition",
        exercise="taxonomy",
        edits={
            "share = hits / errors if errors else math.nan": "share = hits / int(holds.sum()) if errors else math.nan"
        },
        rejected_by="taxonomy-test-1",
        says="this is the share of the hazy images on which the owner fails",
        note="P(error | haze) and P(haze | error) are different questions.",
    ),
    Misconception(
        name="lift-without-base",
        exercise="taxonomy",
        edits={LIFT: '"lift": share, '},
        rejected_by="taxonomy-test-1",
        says="divide by the base",
        note="'80 % of the errors are hazy' is news only if fewer than 80 % of the tiles are.",
    ),
    Misconception(
        name="base-of-the-owner",
        exercise="taxonomy",
        edits={COUNTS: "errors, hits, base = int(wrong.sum()), int((wrong & holds).sum()), float(wrong.mean())"},
        rejected_by="taxonomy-test-1",
        says="the base is the condition's",
        note="The lift compares how often the condition holds among errors and among all images.",
    ),
    Misconception(
        name="one-sided",
        exercise="taxonomy",
        edits={FISHER: 'float(fisher_exact(inside, alternative="greater").pvalue) if errors else 1.0'},
        rejected_by="taxonomy-test-1",
        says="this is the one-sided test",
        note="Whoever would also report that haze helps has to test both sides.",
    ),
    Misconception(
        name="not-corrected",
        exercise="taxonomy",
        edits={HOLM: 'largest = row["p"]'},
        rejected_by="taxonomy-test-1",
        says="nothing was corrected",
        note="With twelve tests at 0.05 a false alarm is nearly even odds.",
    ),
    Misconception(
        name="bonferroni",
        exercise="taxonomy",
        edits={HOLM: 'largest = min(1.0, len(rows) * row["p"])'},
        rejected_by="taxonomy-test-2",
        says="this is Bonferroni's correction",
        note="It is valid, and weaker than Holm's for the same promise.",
    ),
    Misconception(
        name="not-monotone",
        exercise="taxonomy",
        edits={HOLM: 'largest = min(1.0, (len(rows) - rank) * row["p"])'},
        rejected_by="taxonomy-test-2",
        says="keep the largest so far",
        note="A larger p must not end up with a smaller corrected one.",
    ),
    Misconception(
        name="corrected-by-owner",
        exercise="taxonomy",
        edits={
            '    largest = 0.0\n    for rank, row in enumerate(sorted(rows, key=lambda row: row["p"])):\n        '
            + HOLM
            + '\n        row["p_holm"] = largest\n': (
                '    for owner in owners:\n        mine, largest = [row for row in rows if row["owner"] == owner], 0.0\n'
                '        for rank, row in enumerate(sorted(mine, key=lambda row: row["p"])):\n'
                '            largest = max(largest, min(1.0, (len(mine) - rank) * row["p"]))\n'
                '            row["p_holm"] = largest\n'
            )
        },
        rejected_by="taxonomy-test-1",
        says="each owner was corrected by itself",
        note="The reader looks through the whole table, so the whole table has to pay.",
    ),
    Misconception(
        name="above-one",
        exercise="taxonomy",
        edits={HOLM: 'largest = max(largest, (len(rows) - rank) * row["p"])'},
        rejected_by="taxonomy-test-2",
        says="p_holm not as expected",
        note="A corrected p-value is still a probability.",
    ),
    Misconception(
        name="no-errors-divide-by-zero",
        exercise="taxonomy",
        edits={"share = hits / errors if errors else math.nan": "share = hits / max(errors, 1)"},
        rejected_by="taxonomy-test-3",
        says="share and lift of no errors are NaN",
        note="Nothing of nothing is not 0 %: a model without errors would look immune to haze.",
    ),
    Misconception(
        name="rows-without-errors-left-out",
        exercise="taxonomy",
        edits={"(len(rows) - rank)": '(sum(row["errors"] > 0 for row in rows) - rank)'},
        rejected_by="taxonomy-test-3",
        says="not all rows of the call were corrected",
        note="How many tests are made is settled before anybody looks at the errors.",
    ),
    Misconception(
        name="counts-of-numpy",
        exercise="taxonomy",
        edits={COUNTS: "errors, hits, base = wrong.sum(), (wrong & holds).sum(), float(holds.mean())"},
        rejected_by="taxonomy-test-1",
        says="a number of NumPy, which JSON cannot write",
        note="The rows go into the report's results.json; json.dumps refuses int64.",
    ),
    Misconception(
        name="errors-made-disjoint-in-place",
        exercise="taxonomy",
        edits={
            "vit, cnn = np.asarray(vit_wrong, dtype=bool), np.asarray(cnn_wrong, dtype=bool)": (
                "vit, cnn = np.asarray(vit_wrong, dtype=bool), np.asarray(cnn_wrong, dtype=bool)\n    shared = vit & cnn"
            ),
            OWNERS: 'vit &= ~shared\n    cnn &= ~shared\n    owners = {"vit_only": vit, "cnn_only": cnn, "both": shared}',
        },
        rejected_by="taxonomy-test-3",
        says="errors and conditions are not changed",
        note="An array that NumPy makes of a tensor shares its memory: the caller's errors are gone.",
    ),
    Misconception(
        name="first-condition-checked",
        exercise="taxonomy",
        edits={
            "(cnn, *held.values())": "(cnn, *list(held.values())[:1])",
        },
        rejected_by="taxonomy-test-1",
        says="a second condition for 1 of 10 images",
        note="A list of one is repeated for all images without a word.",
    ),
    Misconception(
        name="names-made-neat",
        exercise="taxonomy",
        edits={
            '"condition": condition,': '"condition": condition.strip().lower(),',
        },
        rejected_by="taxonomy-test-3",
        says="the names of the condition",
        note="Who looks rows up by name uses the name that was given.",
    ),
    # ---- exercise 6: the report
    Misconception(
        name="number-of-heads-typed",
        exercise="report",
        edits={COUNT: "The most important of 16 heads"},
        rejected_by="report-test-1",
        says="missing: [18",
        note="True for this ViT, and a lie in the report on the next one.",
    ),
    Misconception(
        name="target-typed",
        exercise="report",
        edits={LIMITS: 'items(results["limitations"]) + "\\n\\nThe target was an accuracy of 0.85.",'},
        rejected_by="report-test-1",
        says="typed by hand: ['0.85']",
        note="A target is a number as well: put it into the results.",
    ),
    Misconception(
        name="two-decimals",
        exercise="report",
        edits={FLOATS: FLOATS.replace(".3g", ".2f")},
        rejected_by="report-test-1",
        says="floats need three decimals",
        note="0.87 and 0.87 may differ by one image in a hundred.",
    ),
    Misconception(
        name="verdict-typed",
        exercise="report",
        edits={SAID: 'VERDICTS["cnn"]'},
        rejected_by="report-test-2",
        says="the verdict was typed into the report",
        note="Words carry results too. They have to follow the numbers.",
    ),
    Misconception(
        name="larger-wins",
        exercise="report",
        edits={VERDICT: '    return "vit" if vit["accuracy"] > cnn["accuracy"] else "cnn"'},
        rejected_by="report-test-2",
        says="the larger accuracy decided",
        note="With 400 images a point of accuracy is four images.",
    ),
    Misconception(
        name="steps-typed",
        exercise="report",
        edits={STEPS: "for {211} steps"},
        rejected_by="report-test-2",
        says="this number was typed by hand",
        note="It passes every visible test, since there it is the right number.",
        same_cause_as="number-of-heads-typed",
    ),
    Misconception(
        name="nan-in-a-sentence",
        exercise="report",
        edits={EVIDENCE: 'f"{evidence[name]:.3f}" for name'},
        rejected_by="report-test-2",
        says="NaN is written as n/a, in tables and in sentences",
        note="Tables go through one function; a sentence with its own format does not.",
    ),
    Misconception(
        name="missing-figure-linked",
        exercise="report",
        edits={FIGURES: ""},
        rejected_by="report-test-3",
        says="the error not as expected",
        note="A broken link is found by the first reader, in front of everybody.",
    ),
    Misconception(
        name="default-for-a-missing-number",
        exercise="report",
        edits={"written(row[name])": 'written(row.get(name, "n/a"))'},
        rejected_by="report-test-3",
        says="what is missing is hidden",
        note="A key that was renamed would turn into n/a in every report from then on.",
        same_cause_as="number-of-heads-typed",
    ),
    Misconception(
        name="written-bit-by-bit",
        exercise="report",
        edits={
            "    data, training, heads = results": (
                '    (out_dir / "report.md").write_text(f"# {results[\'title\']}\\n")\n    data, training, heads = results'
            )
        },
        rejected_by="report-test-3",
        says="the file was opened before all numbers were there",
        note="Half a report looks like a report.",
    ),
    Misconception(
        name="intervals-that-touch",
        exercise="report",
        edits={VERDICT: VERDICT.replace(" > ", " >= ")},
        rejected_by="report-test-2",
        says="intervals that touch were taken to be apart",
        note="Wholly above leaves no common point.",
    ),
    Misconception(
        name="columns-of-the-first-row",
        exercise="report",
        edits={
            "        lines = [names, ": "        names = [name for name in names if name in rows[0]]\n        lines = [names, "
        },
        rejected_by="report-test-3",
        says="what is missing is hidden",
        note="What is missing in the first row is missed in none.",
        same_cause_as="default-for-a-missing-number",
    ),
    Misconception(
        name="numbered-insights",
        exercise="report",
        edits={
            'items(results["insights"]),': '"\\n".join(f"{place}. {text}" for place, text in enumerate(results["insights"], 1)),'
        },
        rejected_by="report-test-1",
        says="no list is numbered",
        note="1, 2, 3 are numbers, and in no result.",
    ),
    Misconception(
        name="only-what-is-significant",
        exercise="report",
        edits={
            'table(results["failures"], (': 'table([row for row in results["failures"] if row["p_holm"] < 0.5 or not row["errors"]], ('
        },
        rejected_by="report-test-3",
        says="every number of the results is in the report",
        note="A table of what was found hides how much was looked for.",
    ),
    Misconception(
        name="p-of-0.000",
        exercise="report",
        edits={FLOATS: FLOATS.replace(".3g", ".3f")},
        rejected_by="report-test-1",
        says="small numbers were rounded to 0",
        note="A p of 0.000 says less than the test found, and no p-value is 0.",
    ),
    Misconception(
        name="report-in-own-encoding",
        exercise="report",
        edits={'"\\n", encoding="utf-8")\n    return path': '"\\n")\n    return path'},
        rejected_by="report-test-1",
        says="in the machine's own encoding",
        note="The report of a colleague in Windows would show other letters, or none.",
        same_cause_as="written-bit-by-bit",
    ),
    Misconception(
        name="table-without-dashes",
        exercise="report",
        edits={'["---"] * len(names), ': ""},
        rejected_by="report-test-1",
        says="every table has a header",
        note="Without the line of dashes Markdown shows one long line of bars.",
    ),
    Misconception(
        name="results-filled-in",
        exercise="report",
        edits={
            'models = [{"model": name} | results["accuracy"][name] for name in ("vit", "cnn")]': (
                'models = [results["accuracy"][name] for name in ("vit", "cnn")]\n'
                '    for name in ("vit", "cnn"):\n        results["accuracy"][name]["model"] = name'
            )
        },
        rejected_by="report-test-1",
        says="whether the results are what they were",
        note="The same results are saved beside the report. They now hold what only the report needs.",
        in_one_mode="report-test-3",
    ),
    Misconception(
        name="four-decimals",
        exercise="report",
        edits={
            FLOATS: 'return "n/a" if math.isnan(value) else f"{value:.4f}"',
        },
        rejected_by="report-test-2",
        says="only this number changes",
        note="A p-value of 3e-9 becomes 0.0000, which claims that chance is impossible.",
    ),
    Misconception(
        name="top-of-the-list",
        exercise="report",
        edits={
            'table(heads["top"], (': 'table(heads["top"][:5], (',
        },
        rejected_by="report-test-3",
        says="every number of the results is in the report",
        note="What is too much for a report is left out of the results, by whoever made them.",
    ),
    Misconception(
        name="sorts-the-failures",
        exercise="report",
        edits={
            'table(results["failures"], (': '(results["failures"].sort(key=lambda row: row["p"]) or "") + table(results["failures"], (',
        },
        rejected_by="report-test-3",
        says="whether the results are what they were",
        note="list.sort works in place: sorted() gives a new list.",
    ),
    Misconception(
        name="path-as-text",
        exercise="report",
        edits={
            "    return path\n": "    return str(path)\n",
        },
        rejected_by="report-test-1",
        says="the result is a Path",
        note="The next line wants to read it: path.read_text().",
    ),
    Misconception(
        name="texts-in-an-appendix",
        exercise="report",
        edits={OWN: 'text]\n    parts += [results["paragraphs"][heading] for heading in HEADINGS]'},
        rejected_by="report-test-1",
        says="it stands in another section",
        note="A reader of the methods wants the methods there, not behind the outlook.",
    ),
    Misconception(
        name="first-paragraph-only",
        exercise="report",
        edits={OWN: OWN.replace("[heading]", '[heading].partition("\\n\\n")[0]')},
        rejected_by="report-test-1",
        says="the author's text of Methods stands in that section",
        note="A text may have several paragraphs. What an author wrote is not the program's to cut.",
    ),
    # ---- exercise 7: the page
    Misconception(
        name="not-cached",
        exercise="page",
        edits={CACHED: "load_once = load"},
        rejected_by="page-test-1",
        says="it is loaded again at every click",
        note="The page runs from the top after each click.",
    ),
    Misconception(
        name="mean-of-heads",
        exercise="page",
        edits={
            VIT_HEAT: (
                '"vit": as_maps(attention_of(study.vit, attacked["vit"])[layer][0, :, 0].mean(0), study.vit.patch_embed.grid_size),'
            )
        },
        rejected_by="page-test-1",
        says="this is the mean of all heads",
        note="The selector is there, and turns nothing.",
    ),
    Misconception(
        name="layer-ignored",
        exercise="page",
        edits={VIT_HEAT: '"vit": head_heat(study.vit, attacked["vit"], 0, head),'},
        rejected_by="page-test-1",
        says="it did not change with the widget",
        note="A widget whose value nobody reads.",
    ),
    Misconception(
        name="cam-of-the-label",
        exercise="page",
        edits={CNN_HEAT: '"cnn": grad_cam(study.cnn, study.cam_layer, attacked["cnn"], study.labels[[index]])[0],'},
        rejected_by="page-test-1",
        says="Grad-CAM was asked for the label",
        note="The visitor wants to know why the CNN says what it says.",
    ),
    Misconception(
        name="answer-on-the-clean-tile",
        exercise="page",
        edits={ANSWER: "said[name] = logits_of(model, tile).argmax(1)"},
        rejected_by="page-test-2",
        says="these are the answers on the clean tile",
        note="The attack is drawn, and its effect is not.",
    ),
    Misconception(
        name="maps-of-the-clean-tile",
        exercise="page",
        edits={
            VIT_HEAT: '"vit": head_heat(study.vit, tile, layer, head),',
            CNN_HEAT: '"cnn": grad_cam(study.cnn, study.cam_layer, tile, logits_of(study.cnn, tile).argmax(1))[0],',
            'enlarged(attacked["vit"][0], heat["vit"])': 'enlarged(tile[0], heat["vit"])',
            'enlarged(attacked["cnn"][0], heat["cnn"])': 'enlarged(tile[0], heat["cnn"])',
        },
        rejected_by="page-test-2",
        says="the maps were made on the clean tile",
        note="Then attention never moves under attack, which would be a fine result if it were true.",
    ),
    Misconception(
        name="epsilon-not-divided",
        exercise="page",
        edits={ATTACK: ATTACK.replace("eps / 255", "eps")},
        rejected_by="page-test-2",
        says="epsilon is in 255ths",
        note="An epsilon of 1 in a range of 1 erases the tile.",
    ),
    Misconception(
        name="one-attack-for-both",
        exercise="page",
        edits={ATTACK: "attacked[name] = pgd(study.vit, tile, logits_of(study.vit, tile).argmax(1), eps / 255)"},
        rejected_by="page-test-2",
        says="the CNN was shown the tile that was attacked for the ViT",
        note="A transferred attack is weaker: the CNN would look robust.",
    ),
    Misconception(
        name="broken-upload-crashes",
        exercise="page",
        edits={CAUGHT: "except ZeroDivisionError:"},
        rejected_by="page-test-2",
        says="no exception for a file that is no image",
        note="Visitors upload anything.",
    ),
    Misconception(
        name="only-unidentified-files",
        exercise="page",
        edits={
            CAUGHT: "except __import__('PIL').UnidentifiedImageError:",
        },
        rejected_by="page-test-2",
        says="a broken one is an OSError",
        note="A picture that was cut off is recognized as one, and fails while its pixels are read.",
    ),
    Misconception(
        name="upload-ignored",
        exercise="page",
        edits={
            "            tile = read_tile(file, tile.shape[-1])[None]": "            read_tile(file, tile.shape[-1])"
        },
        rejected_by="page-test-2",
        says="the chosen tile is still shown",
        note="The file is read, and what was read is dropped.",
    ),
    Misconception(
        name="bombs-not-caught",
        exercise="page",
        edits={CAUGHT: "except OSError:"},
        rejected_by="page-test-2",
        says="a file that claims to be absurdly large",
        note="Pillow refuses it with an error of its own, which is no OSError.",
    ),
    Misconception(
        name="slider-of-floats",
        exercise="page",
        edits={'0, 16, 0, key="eps"': '0.0, 16.0, 0.0, 0.5, key="eps"'},
        rejected_by="page-test-1",
        says="smallest, largest and step of the slider",
        note="Epsilon counts gray levels.",
    ),
    Misconception(
        name="as-many-heads-as-layers",
        exercise="page",
        edits={"range(study.vit.blocks[layer].attn.num_heads)": "range(len(study.vit.blocks))"},
        rejected_by="page-test-2",
        says="three layers of two heads",
        note="True of this ViT, of the next one not.",
    ),
    Misconception(
        name="uploads-of-32-pixels",
        exercise="page",
        edits={"read_tile(file, tile.shape[-1])": "read_tile(file, 32)"},
        rejected_by="page-test-2",
        says="a study of four tiles with 24 x 24 pixels and other classes",
        note="The size is that of the study.",
    ),
    Misconception(
        name="slider-starts-at-1",
        exercise="page",
        edits={'0, 16, 0, key="eps"': '0, 16, 1, key="eps"'},
        rejected_by="page-test-1",
        says="epsilon, which nobody has changed",
        note="The first thing that a visitor sees would be an attacked tile, and nothing says so.",
    ),
    Misconception(
        name="floats-in-steps-of-1",
        exercise="page",
        edits={'0, 16, 0, key="eps"': '0.0, 16.0, 0.0, 1.0, key="eps"'},
        rejected_by="page-test-1",
        says="the slider gives floats",
        note="What a slider returns is of the type of its limits.",
    ),
    Misconception(
        name="a-study-for-each-visitor",
        exercise="page",
        edits={
            CACHED: 'load_once = lambda: st.session_state.setdefault("study", None) or st.session_state.update(study=load()) or st.session_state["study"]  # noqa: E731',
        },
        rejected_by="page-test-2",
        says="each visitor loads it anew",
        note="A hundred visitors then hold a hundred copies of the same weights.",
    ),
    Misconception(
        name="six-tiles",
        exercise="page",
        edits={
            "range(len(study.images))": "range(6)",
        },
        rejected_by="page-test-2",
        says="how many tiles can be chosen",
        note="The next study has another number of tiles.",
    ),
    Misconception(
        name="layer-by-name",
        exercise="page",
        edits={
            CNN_HEAT: '"cnn": grad_cam(study.cnn, "features", attacked["cnn"], said["cnn"])[0],',
        },
        rejected_by="page-test-2",
        says="the upload is resized to the size of the study's images",
        note='The study knows which layer Grad-CAM reads; a ResNet has no layer "features".',
    ),
    Misconception(
        name="classes-by-heart",
        exercise="page",
        edits={
            'middle.metric("ViT says", study.classes[said["vit"]])': 'middle.metric("ViT says", datasets.LAND_USES[said["vit"]])',
        },
        rejected_by="page-test-2",
        says="what ViT and CNN say of it",
        note="Another study has other classes.",
    ),
    Misconception(
        name="an-empty-error",
        exercise="page",
        edits={
            'st.error(f"{file.name} is no image that can be read. You see tile {index} instead.")': 'st.error("")',
        },
        rejected_by="page-test-2",
        says="it says a sentence",
        note="A red box without words helps nobody.",
    ),
    Misconception(
        name="uploads-are-spared",
        exercise="page",
        edits={
            ATTACK: "attacked[name] = pgd(model, tile, logits_of(model, tile).argmax(1), eps / 255 if file is None else 0.0)",
        },
        rejected_by="page-test-2",
        says="an upload was not attacked",
        note="An uploaded tile has no label, and needs none: the attack moves away from the model's own answer.",
    ),
]
