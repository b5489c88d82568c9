"""Wrong answers that people really write in week 8, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

FLAT_NCHW = "tokens = tokens.flatten(2).transpose(1, 2)"
FLAT_NHWC = "tokens = tokens.flatten(1, 2)"
PATCHES = "mean = tokens[:, n_prefix:].mean(dim=1)"
CLS = 'return tokens[:, 0] if how == "cls" else torch.cat([tokens[:, 0], mean], dim=1)'
NO_PREFIX = "if n_prefix == 0:\n"
LAYOUT = 'if {"NLC": 3, "NHWC": 4, "NCHW": 4}.get(layout) != tokens.ndim:\n'
KEEP = "self.seen[layer] = feature.clone()  # a copy: later layers may work in place"
FIRST = "feature = (output[0] if isinstance(output, tuple | list) else output).detach()"
HOOK = "self.handles.append(module.register_forward_hook(partial(self._keep, name)))"
REMOVE = "        for handle in self.handles:\n            handle.remove()\n"
RESTORE = "        for module, mode in self.modes.items():\n            module.training = mode\n"
NEAR = 'near = ", ".join(difflib.get_close_matches(name, modules))\n'
BATCHES = "parts = [extract(batch) for batch in images.split(batch_size)]"
OPEN = "    with extractor as extract:\n        parts = [extract(batch) for batch in images.split(batch_size)]\n"
INDEX = "return features, torch.arange(len(images))"
COSINE = "similarity = F.normalize(test_f, dim=1) @ F.normalize(train_f, dim=1).T"
WEIGHTS = "weights = ((near - near[:, :1]) / temperature).exp()  # divided by the largest, which changes no comparison"
WINNER = "return sums.masked_fill(~tied, -torch.inf).argmax(dim=1)"
PIPELINE = "pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))"
SEARCH = 'search = GridSearchCV(pipeline, {"logisticregression__C": list(c_grid)}, cv=folds)\n'
FITTED = "return search.fit(x, y).best_estimator_"
PERCENTILES = "low, high = np.percentile(right[drawn].mean(axis=1), [2.5, 97.5])"
DRAWN = "drawn = np.random.default_rng(seed).integers(len(right), size=(resamples, len(right)))"
ROWS = "rows = torch.cat([of_class[:budget] for of_class in ranked])"
SCORE = "scores[repeat, column] = np.mean(np.asarray(probe.predict(test_f)) == np.asarray(test_y))"
GENERATOR = "generator = torch.Generator().manual_seed(1000 * seed + repeat)"
SELF = "distance.fill_diagonal_(torch.inf)"
NEAREST = "nearest = distance.topk(k, dim=1, largest=False).indices"
SHARE = "return float((labels[nearest] == labels[:, None]).double().mean())"

MISCONCEPTIONS = [
    # ---- exercise 1: pooling
    Misconception(
        name="class-token-in-the-mean",
        exercise="pool",
        edits={PATCHES: "mean = tokens.mean(dim=1)"},
        rejected_by="pool-test-1",
        says="the class token is in the mean",
        note="With 16 patches it hides: one token in 17 changes the mean only a little.",
    ),
    Misconception(
        name="always-drops-one-token",
        exercise="pool",
        edits={PATCHES: "mean = tokens[:, 1:].mean(dim=1)"},
        rejected_by="pool-test-1",
        says="the first token was left out, although n_prefix is 0",
        note="Swin and convolutional networks have no class token: their first place is a patch.",
    ),
    Misconception(
        name="drops-at-most-one-token",
        exercise="pool",
        edits={PATCHES: "mean = tokens[:, int(n_prefix > 0) :].mean(dim=1)"},
        rejected_by="pool-test-2",
        says="only one prefix token was left out",
        note="A distilled DeiT has two prefix tokens, a ViT with registers five.",
    ),
    Misconception(
        name="last-token-is-cls",
        exercise="pool",
        edits={CLS: 'return tokens[:, -1] if how == "cls" else torch.cat([tokens[:, -1], mean], dim=1)'},
        rejected_by="pool-test-1",
        says="the last token was taken",
        note="Language models read the last token; ViT's class token comes first.",
    ),
    Misconception(
        name="cls-is-the-mean-of-the-prefix",
        exercise="pool",
        edits={
            CLS: 'cls = tokens[:, :n_prefix].mean(dim=1)\n    return cls if how == "cls" else torch.cat([cls, mean], dim=1)'
        },
        rejected_by="pool-test-2",
        says="this is the mean of all prefix tokens",
        note="The distillation token was trained for another head. With one prefix token both are the same.",
    ),
    Misconception(
        name="mean-before-cls",
        exercise="pool",
        edits={CLS: 'return tokens[:, 0] if how == "cls" else torch.cat([mean, tokens[:, 0]], dim=1)'},
        rejected_by="pool-test-1",
        says="the mean stands first",
        note="A probe does not mind, until it is used with features that were stored in the other order.",
    ),
    Misconception(
        name="cls-and-mean-added",
        exercise="pool",
        edits={CLS: 'return tokens[:, 0] if how == "cls" else tokens[:, 0] + mean'},
        rejected_by="pool-test-1",
        says="the two were added",
        note="A sum cannot be taken apart again; a probe can weigh two halves on its own.",
    ),
    Misconception(
        name="max-pooling",
        exercise="pool",
        edits={PATCHES: "mean = tokens[:, n_prefix:].amax(dim=1)"},
        rejected_by="pool-test-1",
        says="this is the maximum of the patches",
        note="A maximum keeps the strongest patch only.",
    ),
    Misconception(
        name="first-patch-as-cls",
        exercise="pool",
        edits={NO_PREFIX: "if n_prefix < 0:\n"},
        rejected_by="pool-test-1",
        says='"cls" without a prefix token did not raise',
        note="Silently it would give the top left corner of the image as the whole.",
    ),
    Misconception(
        name="reshapes-nhwc-to-nchw",
        exercise="pool",
        edits={FLAT_NHWC: "tokens = tokens.reshape(len(tokens), tokens.shape[3], -1).transpose(1, 2)"},
        rejected_by="pool-test-2",
        says="the numbers were reshaped to channels first",
        note="reshape and view never move numbers. The shape is right and every number is somewhere else.",
    ),
    Misconception(
        name="reads-nhwc-as-nchw",
        exercise="pool",
        edits={FLAT_NHWC: FLAT_NCHW},
        rejected_by="pool-test-2",
        says="the map was read as (B, D, h, w)",
        note="Swin's maps have their channels last.",
    ),
    Misconception(
        name="reshapes-nchw-to-nhwc",
        exercise="pool",
        edits={FLAT_NCHW: "tokens = tokens.reshape(len(tokens), -1, tokens.shape[1])"},
        rejected_by="pool-test-2",
        says="the numbers were reshaped to channels last",
        note="Flatten the places, then transpose.",
    ),
    Misconception(
        name="guesses-the-layout",
        exercise="pool",
        edits={
            '    if layout == "NHWC":\n        tokens = tokens.flatten(1, 2)\n    if layout == "NCHW":\n': (
                "    if tokens.ndim == 4 and tokens.shape[1] == tokens.shape[2]:\n"
                "        tokens = tokens.flatten(1, 2)\n    if tokens.ndim == 4:\n"
            )
        },
        rejected_by="pool-test-2",
        says="the layout was guessed from the shape",
        note="It works until D equals the side of the map, or the map is not square.",
    ),
    Misconception(
        name="unknown-how-is-mean",
        exercise="pool",
        edits={
            'if how not in ("cls", "mean", "cls_mean", "none"):\n': "if not how:\n",
            'if how == "mean":': 'if how not in ("cls", "cls_mean"):',
        },
        rejected_by="pool-test-2",
        says='how="max" did not raise',
        note="A typing error in a configuration should not become another experiment.",
    ),
    Misconception(
        name="dimensions-unchecked",
        exercise="pool",
        edits={LAYOUT: 'if layout not in ("NLC", "NHWC", "NCHW"):\n'},
        rejected_by="pool-test-2",
        says='of three dimensions as "NCHW" did not raise',
        note="Three dimensions read as a map give a vector of the wrong length, and no error.",
    ),
    Misconception(
        name="none-before-the-checks",
        exercise="pool",
        edits={
            'if how not in ("cls", "mean", "cls_mean", "none"):': (
                'if how == "none":\n        return tokens\n    if how not in ("cls", "mean", "cls_mean"):'
            ),
            '    if how == "none":\n        return tokens\n    if layout == "NHWC"': '    if layout == "NHWC"',
        },
        rejected_by="pool-test-2",
        says="'none' of three dimensions as \"NCHW\" did not raise",
        note="A wrong layout is an error, whatever is done with the tokens; it would show at the next `how`.",
    ),
    Misconception(
        name="prefix-zeroed-in-place",
        exercise="pool",
        edits={
            PATCHES: (
                "cls = tokens[:, 0].clone()\n    tokens[:, :n_prefix] = 0\n"
                "    mean = tokens.sum(dim=1) / (tokens.shape[1] - n_prefix)"
            ),
            CLS: 'return cls if how == "cls" else torch.cat([cls, mean], dim=1)',
        },
        rejected_by="pool-test-1",
        says="the tokens after 'cls' not as expected",
        note="The class token of the caller is gone: the next layer of the model reads the same memory.",
    ),
    Misconception(
        name="mean-in-float32",
        exercise="pool",
        edits={
            PATCHES: "mean = tokens[:, n_prefix:].mean(dim=1, dtype=torch.promote_types(tokens.dtype, torch.float32))"
        },
        rejected_by="pool-test-2",
        says="wrong dtype",
        note="Accumulating in float32 is good; the result goes back to the dtype of the tokens.",
    ),
    # ---- exercise 2: extractor
    Misconception(
        name="unknown-layout-is-nlc",
        exercise="pool",
        edits={LAYOUT: 'if {"NHWC": 4, "NCHW": 4}.get(layout, 3) != tokens.ndim:\n'},
        rejected_by="pool-test-2",
        says='layout="NCL" did not raise',
        note="A typing error in the layout then pools over whatever dimension stands second.",
    ),
    Misconception(
        name="mean-on-the-cpu",
        exercise="pool",
        edits={PATCHES: "mean = tokens[:, n_prefix:].mean(dim=1).cpu()"},
        rejected_by="pool-test-2",
        says="tokens on another device",
        note="Works on every laptop, and fails or slows down where the model lies on a GPU.",
    ),
    Misconception(
        name="hook-keeps-the-input",
        exercise="extractor",
        edits={FIRST: "feature = inputs[0].detach()"},
        rejected_by="extractor-test-1",
        says="this is what went into the layer",
        note="A forward hook gets (module, inputs, output).",
    ),
    Misconception(
        name="name-bound-too-late",
        exercise="extractor",
        edits={HOOK: "self.handles.append(module.register_forward_hook(lambda m, i, o: self._keep(name, m, i, o)))"},
        rejected_by="extractor-test-1",
        says="only the last layer is there",
        note="All lambdas of a loop share its variables: when they run, name is the last layer. functools.partial binds it at once.",
    ),
    Misconception(
        name="keeps-the-graph",
        exercise="extractor",
        edits={
            FIRST: "feature = output[0] if isinstance(output, tuple | list) else output",
            "with torch.no_grad():\n            self.model(images)": "self.model(images)",
        },
        rejected_by="extractor-test-1",
        says="the features hold the whole graph",
        note="A data set of such features keeps all activations of all batches in memory.",
    ),
    Misconception(
        name="key-error-without-help",
        exercise="extractor",
        edits={NEAR: 'near = ""\n'},
        rejected_by="extractor-test-1",
        says="the message names the similar layer",
        note="A model has hundreds of layer names; the right one is usually a letter away.",
    ),
    Misconception(
        name="value-error-for-a-layer",
        exercise="extractor",
        edits={"raise KeyError(f": "raise ValueError(f"},
        rejected_by="extractor-test-1",
        says="the error when the extractor is made",
        note="A name that is not there is a KeyError, and callers may rely on it.",
    ),
    Misconception(
        name="hooks-never-removed",
        exercise="extractor",
        edits={REMOVE: ""},
        rejected_by="extractor-test-2",
        says="the hooks were never removed",
        note="Each further extractor makes the model slower, and old ones keep on collecting.",
    ),
    Misconception(
        name="hooks-when-made",
        exercise="extractor",
        edits={
            "        self.seen: dict[str, torch.Tensor] = {}\n": (
                "        self.seen: dict[str, torch.Tensor] = {}\n        for name, module in self.layers.items():\n"
                "            self.handles.append(module.register_forward_hook(partial(self._keep, name)))\n"
            ),
            "        for name, module in self.layers.items():\n            " + HOOK + "\n": "",
        },
        rejected_by="extractor-test-2",
        says="hooks before the block begins",
        note="An extractor that is made and never used would leave its hooks behind, and a second block finds none.",
    ),
    Misconception(
        name="stays-in-train-mode",
        exercise="extractor",
        edits={"        self.model.eval()\n": ""},
        rejected_by="extractor-test-2",
        says="any module in train mode inside the block",
        note="Batch norm then mixes the images of a batch, and dropout makes every call different.",
    ),
    Misconception(
        name="left-in-eval-mode",
        exercise="extractor",
        edits={RESTORE: ""},
        rejected_by="extractor-test-2",
        says="the model was left in eval mode",
        note="The next epoch would train without dropout, and nobody would notice.",
    ),
    Misconception(
        name="swallows-the-error",
        exercise="extractor",
        edits={
            "def __exit__(self, *error: object) -> None:": "def __exit__(self, *error: object) -> bool:",
            "        self.handles, self.modes = [], {}\n        ### END SOLUTION": (
                "        self.handles, self.modes = [], {}\n        return True\n        ### END SOLUTION"
            ),
        },
        rejected_by="extractor-test-2",
        says="the error was swallowed",
        note="A true value from __exit__ tells Python that the error is dealt with.",
    ),
    Misconception(
        name="cleans-up-after-success-only",
        exercise="extractor",
        edits={
            REMOVE: "        for handle in self.handles if error[0] is None else []:\n            handle.remove()\n"
        },
        rejected_by="extractor-test-2",
        says="hooks are removed only when all went well",
        note="Errors are when tidiness matters.",
    ),
    Misconception(
        name="works-outside-of-the-block",
        exercise="extractor",
        edits={"if not self.modes:": "if self.model is None:"},
        rejected_by="extractor-test-2",
        says="the error of a call outside of the block",
        note="Without hooks the call gives an empty dict, which fails much later and somewhere else.",
    ),
    Misconception(
        name="one-prefix-token-assumed",
        exercise="extractor",
        edits={'getattr(self.model, "num_prefix_tokens", 0)': "1"},
        rejected_by="extractor-test-3",
        says="one prefix token was assumed",
        note="Ask the model: num_prefix_tokens.",
    ),
    Misconception(
        name="all-maps-channels-first",
        exercise="extractor",
        edits={'getattr(self.model, "output_fmt", "NCHW")': '"NCHW"'},
        rejected_by="extractor-test-3",
        says="norm, pool='mean'",
        note="timm says it in output_fmt: NHWC for Swin.",
    ),
    Misconception(
        name="every-feature-normed",
        exercise="extractor",
        edits={
            "        return self.seen\n": (
                '        final = getattr(self.model, "norm", None)\n        if isinstance(final, nn.LayerNorm) and self.pool == "none":\n'
                '            return {k: v if k == "norm" else final(v).detach() for k, v in self.seen.items()}\n        return self.seen\n'
            )
        },
        rejected_by="extractor-test-3",
        says="blocks.1, against forward_intermediates",
        note="forward_features is after the final norm, a block's output is before it. Both are useful; they are not equal.",
    ),
    Misconception(
        name="norm-is-the-last-block",
        exercise="extractor",
        edits={
            "self.layers = {name: modules[name] for name in layers}": (
                'last = [n for n in modules if n.count(".") == 1 and n.startswith("blocks.")]\n'
                '        self.layers = {n: modules[last[-1] if n == "norm" and last else n] for n in layers}'
            )
        },
        rejected_by="extractor-test-3",
        says="before the final norm",
        note="The last block's output and the model's features differ by one layer norm.",
        same_cause_as="hook-keeps-the-input",
    ),
    Misconception(
        name="clears-all-hooks",
        exercise="extractor",
        edits={REMOVE: "        for module in self.layers.values():\n            module._forward_hooks.clear()\n"},
        rejected_by="extractor-test-4",
        says="all hooks of the layer were cleared",
        note="Someone else may be reading the same layer.",
    ),
    Misconception(
        name="one-dict-for-all-calls",
        exercise="extractor",
        edits={"        self.seen = {}\n        with": "        with"},
        rejected_by="extractor-test-4",
        says="every call returns the same dict",
        note="A list of results then holds the last batch many times.",
    ),
    Misconception(
        name="item-one-of-a-tuple",
        exercise="extractor",
        edits={FIRST: "feature = (output[1] if isinstance(output, tuple | list) else output).detach()"},
        rejected_by="extractor-test-4",
        says="this is item 1 of the tuple",
        note="Of nn.MultiheadAttention that would be the attention weights.",
    ),
    Misconception(
        name="detached-without-copy",
        exercise="extractor",
        edits={KEEP: "self.seen[layer] = feature"},
        rejected_by="extractor-test-4",
        says="the ReLU after the layer worked in place",
        note="detach gives a second name for the same memory. Torchvision's create_feature_extractor has this trap, too.",
    ),
    Misconception(
        name="restores-the-root-mode",
        exercise="extractor",
        edits={RESTORE: "        self.model.train(self.modes[self.model])\n"},
        rejected_by="extractor-test-4",
        says="restore each module",
        note="train() goes through all parts. Batch norms that were frozen on purpose are awake again.",
    ),
    Misconception(
        name="prefix-of-maps",
        exercise="extractor",
        edits={
            'feature = pool_tokens(feature, 0, self.pool, getattr(self.model, "output_fmt", "NCHW"))': (
                'prefix = getattr(self.model, "num_prefix_tokens", 0)\n'
                '            feature = pool_tokens(feature, prefix, self.pool, getattr(self.model, "output_fmt", "NCHW"))'
            )
        },
        rejected_by="extractor-test-3",
        says="the patch embedding of a DeiT",
        note="A model with prefix tokens has layers with maps as well, and these have no prefix.",
    ),
    Misconception(
        name="one-prefix-token-by-default",
        exercise="extractor",
        edits={'getattr(self.model, "num_prefix_tokens", 0)': 'getattr(self.model, "num_prefix_tokens", 1)'},
        rejected_by="extractor-test-3",
        says="a model that says nothing has none",
        note="Not every sequence begins with a class token.",
    ),
    Misconception(
        name="features-as-float32",
        exercise="extractor",
        edits={KEEP: "self.seen[layer] = feature.clone().float()"},
        rejected_by="extractor-test-3",
        says="wrong dtype",
        note="A feature is what the module returned.",
    ),
    Misconception(
        name="runs-once-a-layer",
        exercise="extractor",
        edits={
            "            self.model(images)\n": "            for _ in self.layers:\n                self.model(images)\n"
        },
        rejected_by="extractor-test-4",
        says="the model ran once for each layer",
        note="One forward pass calls all hooks.",
    ),
    Misconception(
        name="freezes-the-model",
        exercise="extractor",
        edits={"        self.model.eval()\n": "        self.model.eval().requires_grad_(False)\n"},
        rejected_by="extractor-test-4",
        says="the parameters were frozen, and stay so",
        note="A frozen backbone is a good idea; here it stays frozen when its training goes on.",
    ),
    Misconception(
        name="gradients-off-after-an-error",
        exercise="extractor",
        edits={
            "        with torch.no_grad():\n            self.model(images)\n": (
                "        before = torch.is_grad_enabled()\n        torch.set_grad_enabled(False)\n"
                "        self.model(images)\n        torch.set_grad_enabled(before)\n"
            )
        },
        rejected_by="extractor-test-4",
        says="gradients were switched off for everybody",
        note="`with torch.no_grad()` ends with an error, too.",
    ),
    # ---- exercise 3: data set
    Misconception(
        name="modes-of-when-it-was-made",
        exercise="extractor",
        edits={
            "        self.modes = {module: module.training for module in self.model.modules()}\n        self.model.eval()\n": "        self.modes = self.before\n        self.model.eval()\n",
            "        self.modes: dict[nn.Module, bool] = {}\n": "        self.modes: dict[nn.Module, bool] = {}\n        self.before = {module: module.training for module in model.modules()}\n",
        },
        rejected_by="extractor-test-4",
        says="these are the modes of when the extractor was made",
        note="Between making it and using it, the owner of the model may have changed a mode.",
    ),
    Misconception(
        name="layout-by-shape",
        exercise="extractor",
        edits={
            'getattr(self.model, "output_fmt", "NCHW")': '"NHWC" if feature.shape[1] == feature.shape[2] else "NCHW"'
        },
        rejected_by="extractor-test-3",
        says="the layout was guessed from the shape",
        note="Square maps are common, and so are maps with as many channels as rows.",
    ),
    Misconception(
        name="unnamed-layer-refused",
        exercise="extractor",
        edits={
            "modules = dict(model.named_modules())": "modules = {name: module for name, module in model.named_modules() if name}"
        },
        rejected_by="extractor-test-3",
        says="the whole model as a layer",
        note='named_modules() gives the model itself, too, under the name "".',
    ),
    Misconception(
        name="unknown-pool-is-none",
        exercise="extractor",
        edits={
            KEEP: "self.seen[layer] = feature.clone()",
            "        if feature.ndim == 3:\n": '        if self.pool not in ("cls", "mean", "cls_mean"):\n            pass\n        elif feature.ndim == 3:\n',
        },
        rejected_by="extractor-test-3",
        says="pool='max' did not raise",
        note="The features then have another shape than was asked for, far from the typing error.",
    ),
    Misconception(
        name="last-batch-dropped",
        exercise="dataset",
        edits={
            BATCHES: "parts = [extract(images[i : i + batch_size]) for i in range(0, len(images) // batch_size * batch_size, batch_size)]"
        },
        rejected_by="dataset-test-1",
        says="the last, smaller batch was dropped",
        note="drop_last is for training.",
    ),
    Misconception(
        name="batch-of-one-skipped",
        exercise="dataset",
        edits={
            BATCHES: "parts = [extract(batch) for batch in images.split(batch_size) if len(batch) > 1 or len(images) == 1 or batch_size == 1]"
        },
        rejected_by="dataset-test-2",
        says="a last batch of one image was dropped",
        note="A habit from batch norm in train mode. In eval mode a batch of one is fine.",
        same_cause_as="last-batch-dropped",
    ),
    Misconception(
        name="shuffled",
        exercise="dataset",
        edits={
            BATCHES: "order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))\n        parts = [extract(batch) for batch in images[order].split(batch_size)]"
        },
        rejected_by="dataset-test-1",
        says="the rows stand in another order",
        note="A shuffling loader is for training, too. Labels no longer fit.",
    ),
    Misconception(
        name="index-within-the-batch",
        exercise="dataset",
        edits={INDEX: "return features, torch.cat([torch.arange(len(b)) for b in images.split(batch_size)])"},
        rejected_by="dataset-test-1",
        says="the count starts again in each batch",
        note="enumerate inside the loop over batches does this.",
    ),
    Misconception(
        name="index-of-the-batch",
        exercise="dataset",
        edits={INDEX: "return features, torch.arange(len(images)) // batch_size"},
        rejected_by="dataset-test-1",
        says="this is the number of the batch",
        note="The index says which image, not which batch.",
    ),
    Misconception(
        name="everything-at-once",
        exercise="dataset",
        edits={BATCHES: "parts = [extract(images)]"},
        rejected_by="dataset-test-1",
        says="all images went in at once",
        note="50,000 images at 224 pixels are 30 GB.",
    ),
    Misconception(
        name="extractor-not-opened",
        exercise="dataset",
        edits={OPEN: "    parts = [extractor(batch) for batch in images.split(batch_size)]\n"},
        rejected_by="dataset-test-1",
        says="the code raised an error",
        note="Hooks are placed when the with block begins.",
    ),
    Misconception(
        name="opened-for-each-batch",
        exercise="dataset",
        edits={
            OPEN: "    parts = []\n    for batch in images.split(batch_size):\n        with extractor as extract:\n            parts.append(extract(batch))\n"
        },
        rejected_by="dataset-test-1",
        says="how often the extractor was opened",
        note="It works, and places and removes all hooks for every batch.",
    ),
    Misconception(
        name="closed-by-hand",
        exercise="dataset",
        edits={
            OPEN: "    extract = extractor.__enter__()\n    parts = [extract(batch) for batch in images.split(batch_size)]\n    extractor.__exit__(None, None, None)\n"
        },
        rejected_by="dataset-test-2",
        says="it is closed only when all went well",
        note="An error in the loop jumps over the last line.",
    ),
    Misconception(
        name="batch-size-unchecked",
        exercise="dataset",
        edits={"if batch_size < 1:": "if batch_size == 0:"},
        rejected_by="dataset-test-2",
        says="batch_size=-2 raised the wrong error",
        note="The message from inside split does not name the argument.",
    ),
    Misconception(
        name="squeezed",
        exercise="dataset",
        edits={"torch.cat([part[layer] for part in parts])": "torch.cat([part[layer] for part in parts]).squeeze()"},
        rejected_by="dataset-test-2",
        says="features of shape (7, 1): wrong shape",
        note="squeeze takes away every dimension of length 1, also one that means something.",
    ),
    Misconception(
        name="stored-as-bfloat16",
        exercise="dataset",
        edits={"torch.cat([part[layer] for part in parts])": "torch.cat([part[layer] for part in parts]).bfloat16()"},
        rejected_by="dataset-test-1",
        says="if it is not float16,: wrong dtype",
        note="bfloat16 keeps two to three digits: neighbors that differ in the third become one.",
    ),
    # ---- exercise 4: neighbors
    Misconception(
        name="extractor-for-what-it-gives",
        exercise="dataset",
        edits={OPEN: "    with extractor:\n        parts = [extractor(batch) for batch in images.split(batch_size)]\n"},
        rejected_by="dataset-test-2",
        says="images in batches of",
        note="`with ... as` exists because the object that one enters and the object that one uses may be two.",
    ),
    Misconception(
        name="parts-of-equal-size",
        exercise="dataset",
        edits={BATCHES: "parts = [extract(batch) for batch in images.chunk(-(-len(images) // batch_size))]"},
        rejected_by="dataset-test-2",
        says="the images were cut into parts of equal size",
        note="torch.chunk gives parts that are as equal as possible; torch.split gives parts of a size.",
    ),
    Misconception(
        name="images-as-float32",
        exercise="dataset",
        edits={BATCHES: "parts = [extract(batch.float()) for batch in images.split(batch_size)]"},
        rejected_by="dataset-test-2",
        says="the dtype of the images that the extractor gets",
        note="Which precision a backbone wants is not the loop's business.",
    ),
    Misconception(
        name="stored-as-float32",
        exercise="dataset",
        edits={"torch.cat([part[layer] for part in parts])": "torch.cat([part[layer].float() for part in parts])"},
        rejected_by="dataset-test-2",
        says="the features, if they are not float16,",
        note="Neither the precision of the model nor the small files of half precision.",
    ),
    Misconception(
        name="euclidean-distance",
        exercise="knn",
        edits={COSINE: "similarity = -torch.cdist(test_f, train_f)"},
        rejected_by="knn-test-1",
        says="this is the nearest in distance",
        note="On unit vectors both orders agree; these are not unit vectors.",
    ),
    Misconception(
        name="training-features-not-normalized",
        exercise="knn",
        edits={COSINE: "similarity = F.normalize(test_f, dim=1) @ train_f.T"},
        rejected_by="knn-test-1",
        says="this is the largest dot product",
        note="Long training vectors become everyone's neighbors.",
    ),
    Misconception(
        name="farthest-neighbors",
        exercise="knn",
        edits={"near, index = similarity.topk(k, dim=1)": "near, index = similarity.topk(k, dim=1, largest=False)"},
        rejected_by="knn-test-1",
        says="this is the farthest",
        note="Similarities are largest where distances are smallest.",
    ),
    Misconception(
        name="nearest-decides",
        exercise="knn",
        edits={WINNER: "return labels[:, 0]"},
        rejected_by="knn-test-1",
        says="the nearest outvoted the other two",
        note="That is k = 1.",
    ),
    Misconception(
        name="similarity-as-weight",
        exercise="knn",
        edits={WEIGHTS: "weights = near / temperature"},
        rejected_by="knn-test-1",
        says="the weights are not exp(s / T)",
        note="s / T only scales all votes; the exponential lets near ones count more.",
    ),
    Misconception(
        name="inverted-sign",
        exercise="knn",
        edits={WEIGHTS: "weights = ((near[:, :1] - near) / temperature).exp()"},
        rejected_by="knn-test-1",
        says="the nearer neighbor got the smaller weight",
        note="exp(-d / T) is for distances.",
    ),
    Misconception(
        name="fixed-temperature",
        exercise="knn",
        edits={WEIGHTS: "weights = ((near - near[:, :1]) / 0.07).exp()"},
        rejected_by="knn-test-1",
        says="the temperature has no effect",
        note="0.07 is the usual value, and an argument here.",
    ),
    Misconception(
        name="k-unchecked",
        exercise="knn",
        edits={"if not 1 <= k <= len(train_f):": "if k > len(train_f):"},
        rejected_by="knn-test-1",
        says="k = 0",
        note="With k = 0 nobody votes.",
    ),
    Misconception(
        name="tie-to-the-smaller-label",
        exercise="knn",
        edits={WINNER: "return votes.argmax(dim=1)"},
        rejected_by="knn-test-2",
        says="the tie went to the smaller label",
        note="scikit-learn does this. With k = 20 and ten classes ties are frequent.",
    ),
    Misconception(
        name="tie-to-the-larger-label",
        exercise="knn",
        edits={
            WINNER: "best = sums.masked_fill(~tied, -torch.inf).flip(1).argmax(dim=1)\n    return n_classes - 1 - best"
        },
        rejected_by="knn-test-2",
        says="the smaller label wins",
        note="Sorting upward and taking the last does this.",
    ),
    Misconception(
        name="loop-over-questions",
        exercise="knn",
        edits={"labels = train_y[index]\n": "labels = torch.stack([train_y[row] for row in index])\n"},
        rejected_by="knn-test-2",
        says="a Python loop over the questions",
        note="Indexing takes the whole matrix of neighbors at once.",
    ),
    Misconception(
        name="asks-scikit-learn",
        exercise="knn",
        edits={
            "    n_classes = int(train_y.max()) + 1 if n_classes is None else n_classes\n": (
                '    if temperature is None:\n        neighbors = KNeighborsClassifier(k, metric="cosine").fit(train_f, train_y)\n'
                "        return torch.as_tensor(neighbors.predict(test_f))\n"
                "    n_classes = int(train_y.max()) + 1 if n_classes is None else n_classes\n"
            )
        },
        rejected_by="knn-test-2",
        says="a library call does the work",
        note="It is the oracle of this exercise, and it breaks ties another way.",
    ),
    Misconception(
        name="exp-overflows",
        exercise="knn",
        edits={WEIGHTS: "weights = (near / temperature).exp()"},
        rejected_by="knn-test-3",
        says="infinite votes tie",
        note="exp(89) is beyond float32. With T = 0.07 it never happens, since s / T is at most 14.3.",
    ),
    Misconception(
        name="labels-counted",
        exercise="knn",
        edits={"int(train_y.max()) + 1 if": "len(train_y.unique()) if"},
        rejected_by="knn-test-3",
        says="labels 2 and 7 only",
        note="Two different labels, but the largest is 7: eight columns are needed.",
    ),
    Misconception(
        name="sum-of-similarities-votes",
        exercise="knn",
        edits={
            "tied = votes == votes.max(dim=1, keepdim=True).values": "tied = votes > 0 if temperature is None else votes == votes.max(dim=1, keepdim=True).values"
        },
        rejected_by="knn-test-2",
        says="a sum of similarities is no vote",
        note="With cosines near 1 it looks the same as votes.",
    ),
    Misconception(
        name="shifted-by-one",
        exercise="knn",
        edits={WEIGHTS: "weights = ((near - 1) / temperature).exp()"},
        rejected_by="knn-test-3",
        says="all votes became 0",
        note="The largest similarity of a row may be far below 1; then exp of the rest underflows.",
    ),
    Misconception(
        name="normalizes-in-place",
        exercise="knn",
        edits={
            COSINE: "test_f /= test_f.norm(dim=1, keepdim=True)\n    similarity = test_f @ F.normalize(train_f, dim=1).T"
        },
        rejected_by="knn-test-3",
        says="test_f afterwards",
        note="`/=` writes into the tensor of the caller.",
    ),
    Misconception(
        name="tie-to-the-nearest",
        exercise="knn",
        edits={WINNER: "return labels.gather(1, tied.gather(1, labels).int().argmax(dim=1, keepdim=True)).squeeze(1)"},
        rejected_by="knn-test-2",
        says="the tie went to the nearest",
        note="A common rule, but not the one that is written down.",
        same_cause_as="nearest-decides",
    ),
    Misconception(
        name="loop-over-training-images",
        exercise="knn",
        edits={COSINE: "similarity = torch.stack([F.cosine_similarity(test_f, row[None]) for row in train_f], dim=1)"},
        rejected_by="knn-test-2",
        says="a Python loop over the training images",
        note="One matrix product gives all similarities.",
    ),
    # ---- exercise 5: probe
    Misconception(
        name="negative-similarities-cut",
        exercise="knn",
        edits={"labels = train_y[index]": "near, labels = near.clamp(min=0), train_y[index]"},
        rejected_by="knn-test-3",
        says="negative similarities were counted as 0",
        note="Neighbors beyond 90 degrees are far, but not all equally far.",
    ),
    Misconception(
        name="half-precision-inside",
        exercise="knn",
        edits={COSINE: COSINE + "\n    similarity = similarity.half().to(similarity.dtype)"},
        rejected_by="knn-test-3",
        says="the cosines 0.9001 and 0.8999",
        note="Good neighbors differ by thousandths; half precision keeps three digits.",
    ),
    Misconception(
        name="lengths-lifted",
        exercise="knn",
        edits={
            COSINE: "similarity = test_f @ train_f.T / (test_f.norm(dim=1, keepdim=True) + 1e-6) / (train_f.norm(dim=1) + 1e-6)"
        },
        rejected_by="knn-test-3",
        says="a number was added to the lengths",
        note="Meant against a division by 0, and felt by every short vector.",
    ),
    Misconception(
        name="temperature-one-is-none",
        exercise="knn",
        edits={"if temperature is not None:": "if temperature is not None and temperature != 1:"},
        rejected_by="knn-test-3",
        says="T = 1 is a temperature",
        note="e^s is not a vote of one.",
    ),
    Misconception(
        name="ties-at-a-temperature",
        exercise="knn",
        edits={WINNER: "if temperature is not None:\n        return votes.argmax(dim=1)\n    " + WINNER},
        rejected_by="knn-test-3",
        says="with a temperature the tie went to the smaller label",
        note="Rare, but then the order of the labels decides.",
    ),
    Misconception(
        name="no-scaler",
        exercise="probe",
        edits={PIPELINE: "pipeline = make_pipeline(LogisticRegression(max_iter=1000))"},
        rejected_by="probe-test-1",
        says="the features are not standardized",
        note="The penalty on the weights then depends on the units of each feature.",
    ),
    Misconception(
        name="returns-the-search",
        exercise="probe",
        edits={FITTED: "return search.fit(x, y)"},
        rejected_by="probe-test-1",
        says="the probe is a scikit-learn Pipeline",
        note="The search works as a classifier, too, but it is not the pipeline that was asked for.",
    ),
    Misconception(
        name="scaler-outside",
        exercise="probe",
        edits={FITTED: "return search.fit(StandardScaler().fit_transform(x), y).best_estimator_"},
        rejected_by="probe-test-1",
        says="the scaler is not part of the pipeline",
        note="predict then gets features that nobody standardized.",
    ),
    Misconception(
        name="split-unchecked",
        exercise="probe",
        edits={"if smallest < 2:": "if smallest < 1:", "min(3, smallest)": "max(2, min(3, smallest))"},
        rejected_by="probe-test-1",
        says="a class with one image",
        note="With one image of a class there is nothing to split.",
    ),
    Misconception(
        name="each-batch-standardized-by-itself",
        exercise="probe",
        edits={
            PIPELINE: (
                "own = FunctionTransformer(lambda x: (np.asarray(x) - np.asarray(x).mean(0)) / (np.asarray(x).std(0) + 1e-9))\n"
                "    pipeline = make_pipeline(own, LogisticRegression(max_iter=1000))"
            )
        },
        rejected_by="probe-test-2",
        says="standardized by their own mean",
        note="The test set tells the probe its own mean. A single image cannot be classified at all.",
    ),
    Misconception(
        name="c-by-training-accuracy",
        exercise="probe",
        edits={
            SEARCH: 'search = GridSearchCV(pipeline, {"logisticregression__C": list(c_grid)}, cv=[(np.arange(len(y)), np.arange(len(y)))])\n'
        },
        rejected_by="probe-test-2",
        says="C was chosen by the images that the probe was fitted on",
        note="On the images that it was fitted on, the weakest penalty always looks best.",
    ),
    Misconception(
        name="smallest-c",
        exercise="probe",
        edits={SEARCH: 'search = GridSearchCV(pipeline, {"logisticregression__C": [min(c_grid)]}, cv=folds)\n'},
        rejected_by="probe-test-2",
        says="the smallest C was taken",
        note="A rare class is then never predicted.",
    ),
    Misconception(
        name="three-folds-always",
        exercise="probe",
        edits={"StratifiedKFold(min(3, smallest), shuffle=True": "StratifiedKFold(3, shuffle=True"},
        rejected_by="probe-test-2",
        says="two images of a class are enough",
        note="Three folds need three images of each class.",
    ),
    Misconception(
        name="ninety-percent-interval",
        exercise="probe",
        edits={"[2.5, 97.5]": "[5, 95]"},
        rejected_by="probe-test-3",
        says="this is the 90 % interval",
        note="95 % inside leaves 2.5 % on each side.",
    ),
    Misconception(
        name="one-sigma-interval",
        exercise="probe",
        edits={
            PERCENTILES: "drawn_means = right[drawn].mean(axis=1)\n    low, high = right.mean() - drawn_means.std(), right.mean() + drawn_means.std()"
        },
        rejected_by="probe-test-3",
        says="the 68 % interval",
        note="One deviation on each side.",
    ),
    Misconception(
        name="drawn-without-replacement",
        exercise="probe",
        edits={
            DRAWN: "drawn = np.stack([np.random.default_rng(seed + i).permutation(len(right)) for i in range(resamples)])"
        },
        rejected_by="probe-test-3",
        says="this is the accuracy, as where each draw is the same 400 images",
        note="A permutation changes no mean.",
    ),
    Misconception(
        name="smallest-and-largest-draw",
        exercise="probe",
        edits={"[2.5, 97.5]": "[0, 100]"},
        rejected_by="probe-test-3",
        says="the smallest or the largest of all draws",
        note="With more resamples this interval grows and grows.",
    ),
    Misconception(
        name="normal-interval",
        exercise="probe",
        edits={
            PERCENTILES: "deviation = right[drawn].mean(axis=1).std()\n    low, high = right.mean() - 1.96 * deviation, right.mean() + 1.96 * deviation"
        },
        rejected_by="probe-test-3",
        says="this is accuracy ± 1.96 deviations",
        note="With few images or an accuracy near 0 or 1 it leaves [0, 1].",
    ),
    Misconception(
        name="not-refitted",
        exercise="probe",
        edits={
            FITTED: (
                "best = search.fit(x, y).best_estimator_\n    keep, _ = next(folds.split(x, y))\n    return best.fit(x[keep], y[keep])"
            )
        },
        rejected_by="probe-test-2",
        says="part of the images was held back from the last fit",
        note="The split is for the choice of C. Labels are rare: the probe that you keep uses all of them.",
    ),
    Misconception(
        name="labels-counted-from-zero",
        exercise="probe",
        edits={"smallest = int(np.unique(y, return_counts=True)[1].min())": "smallest = int(np.bincount(y).min())"},
        rejected_by="probe-test-2",
        says="labels 3, 7 and 8 only",
        note="A label that does not occur is no class with 0 images.",
    ),
    Misconception(
        name="split-seed-fixed",
        exercise="probe",
        edits={"random_state=seed)": "random_state=0)"},
        rejected_by="probe-test-2",
        says="another seed splits other images off",
        note="With one split for all seeds the luck of that split is in every number.",
    ),
    Misconception(
        name="split-without-a-seed",
        exercise="probe",
        edits={", random_state=seed)": ")"},
        rejected_by="probe-test-2",
        says="other images were split off the second time",
        note="Nobody can repeat your number, not even you.",
    ),
    Misconception(
        name="stops-after-a-hundred-steps",
        exercise="probe",
        edits={PIPELINE: "pipeline = make_pipeline(StandardScaler(), LogisticRegression())"},
        rejected_by="probe-test-2",
        says="the labels are those of a fit that came to its end",
        note="scikit-learn warns of it. A fit that stopped early is a third hyperparameter that nobody chose.",
    ),
    Misconception(
        name="split-not-stratified",
        exercise="probe",
        edits={"StratifiedKFold(min(3, smallest)": "__import__('sklearn').model_selection.KFold(min(3, smallest)"},
        rejected_by="probe-test-2",
        says="each fit of the search sees the classes in their proportions",
        note="A rare class may be missing in a fold.",
    ),
    Misconception(
        name="standardizes-in-place",
        exercise="probe",
        edits={
            "x, y = np.asarray(train_f), np.asarray(train_y)\n": (
                "x, y = np.asarray(train_f), np.asarray(train_y)\n    train_f -= 0 * train_f.mean(0) + 1e-3\n"
            )
        },
        rejected_by="probe-test-2",
        says="train_f afterwards",
        note="np.asarray shares the memory of a tensor.",
    ),
    Misconception(
        name="resamples-fixed",
        exercise="probe",
        edits={"size=(resamples, len(right))": "size=(2000, len(right))"},
        rejected_by="probe-test-3",
        says="low and high of a single draw",
        note="An argument that does nothing.",
    ),
    Misconception(
        name="resampling-seed-fixed",
        exercise="probe",
        edits={"np.random.default_rng(seed)": "np.random.default_rng(0)"},
        rejected_by="probe-test-3",
        says="another seed draws other images",
        note="How much an interval depends on its draws shows only with several seeds.",
    ),
    Misconception(
        name="five-folds",
        exercise="probe",
        edits={"min(3, smallest)": "min(5, smallest)"},
        rejected_by="probe-test-2",
        says="sizes of fits other than",
        note="Other folds are another split, and may choose another C.",
    ),
    Misconception(
        name="rare-class-weighs-more",
        exercise="probe",
        edits={PIPELINE: PIPELINE.replace("max_iter=1000", 'max_iter=1000, class_weight="balanced"')},
        rejected_by="probe-test-2",
        says="images of the rare class were given more weight",
        note="That answers another question: how well each class is found, not how often the answer is right.",
    ),
    Misconception(
        name="accuracy-rounded",
        exercise="probe",
        edits={"float(right.mean())": "round(float(right.mean()), 2)"},
        rejected_by="probe-test-3",
        says="the accuracy is 23/37",
        note="Round what you print, not what you return: differences of a thousandth are lost.",
    ),
    Misconception(
        name="accuracy-as-a-tensor",
        exercise="probe",
        edits={"float(right.mean())": "torch.tensor(right.mean())"},
        rejected_by="probe-test-3",
        says="'accuracy' is a float",
        note="A table, a JSON file and a comparison want a number.",
    ),
    Misconception(
        name="fewer-images-drawn",
        exercise="probe",
        edits={
            DRAWN: "drawn = np.random.default_rng(seed).integers(len(right), size=(resamples, min(100, len(right))))"
        },
        rejected_by="probe-test-3",
        says="a bound of the 95 % interval",
        note="The width of the interval is that of a test set of 100 images.",
    ),
    Misconception(
        name="reflected-percentiles",
        exercise="probe",
        edits={PERCENTILES: PERCENTILES + "\n    low, high = 2 * right.mean() - high, 2 * right.mean() - low"},
        rejected_by="probe-test-3",
        says="the percentiles were reflected at the accuracy",
        note="That is the basic bootstrap; it leaves [0, 1].",
    ),
    Misconception(
        name="global-numpy-seed",
        exercise="probe",
        edits={DRAWN: "np.random.seed(seed)\n    drawn = np.random.randint(len(right), size=(resamples, len(right)))"},
        rejected_by="probe-test-3",
        says="generators after a report",
        note="Whoever draws after you draws the same numbers again.",
    ),
    # ---- exercise 6: budget
    Misconception(
        name="budget-of-all-classes-together",
        exercise="budget",
        edits={ROWS: "rows = mixed[:budget]"},
        rejected_by="budget-test-1",
        says="it is per class",
        note="Ten labels are ten a class here, so a hundred for ten digits.",
    ),
    Misconception(
        name="unbalanced-subset",
        exercise="budget",
        edits={ROWS: "rows = mixed[: budget * len(ranked)]"},
        rejected_by="budget-test-1",
        says="classes come as often as they happen to",
        note="With few labels some classes are missing, and the curve measures luck.",
    ),
    Misconception(
        name="with-replacement",
        exercise="budget",
        edits={
            ROWS: "rows = torch.cat([of_class[torch.randint(len(of_class), (budget,), generator=torch.Generator().manual_seed(repeat))] for of_class in ranked])"
        },
        rejected_by="budget-test-1",
        says="an image is in the subset more than once",
        note="The same label bought twice.",
    ),
    Misconception(
        name="scored-on-training-images",
        exercise="budget",
        edits={SCORE: "scores[repeat, column] = np.mean(np.asarray(probe.predict(train_f)) == np.asarray(train_y))"},
        rejected_by="budget-test-1",
        says="the probe is scored on training images",
        note="The subset is among them.",
    ),
    Misconception(
        name="fitted-on-everything",
        exercise="budget",
        edits={
            "(train_f, train_y), (test_f, test_y) = train, test\n": (
                "(train_f, train_y), (test_f, test_y) = train, test\n"
                "    train_f, train_y = torch.cat([train_f, test_f]), torch.cat([train_y, test_y])\n"
            )
        },
        rejected_by="budget-test-1",
        says="no probe was fitted on a test image",
        note="Pooling both sets first and splitting later is how test images get in.",
    ),
    Misconception(
        name="takes-what-there-is",
        exercise="budget",
        edits={"if min(budgets) < 1 or max(budgets) > counts.min():": "if min(budgets) < 1:"},
        rejected_by="budget-test-1",
        says="a budget of 13 did not raise",
        note="A slice beyond the end is silent: one class would have fewer labels than the axis says.",
    ),
    Misconception(
        name="drawn-anew-for-each-budget",
        exercise="budget",
        edits={
            ROWS: "fresh = torch.randperm(len(train_y), generator=generator)\n            rows = torch.cat([fresh[train_y[fresh] == label][:budget] for label in classes])"
        },
        rejected_by="budget-test-2",
        says="how many lie inside one with",
        note="Then a larger budget can be worse by the luck of the draw.",
    ),
    Misconception(
        name="same-subset-in-every-repeat",
        exercise="budget",
        edits={GENERATOR: "generator = torch.Generator().manual_seed(1000 * seed)"},
        rejected_by="budget-test-2",
        says="all repeats draw the same subset",
        note="The std is then that of the solver, which is 0.",
    ),
    Misconception(
        name="first-of-each-class",
        exercise="budget",
        edits={
            "mixed = torch.randperm(len(train_y), generator=generator)\n": ("mixed = torch.arange(len(train_y))\n"),
            "ranked = [mixed[train_y[mixed] == label] for label in classes]": (
                "ranked = [mixed[train_y[mixed] == label][: max(budgets)] for label in classes]\n"
                "        ranked = [part[torch.randperm(len(part), generator=generator)] for part in ranked]"
            ),
        },
        rejected_by="budget-test-2",
        says="the first images of a class are always taken",
        note="Data sets are often sorted, by writer or by day.",
    ),
    Misconception(
        name="budget-zero",
        exercise="budget",
        edits={"if min(budgets) < 1 or max(budgets) > counts.min():": "if max(budgets) > counts.min():"},
        rejected_by="budget-test-2",
        says="a budget of 0",
        note="No labels, no probe.",
    ),
    Misconception(
        name="fits-seed-fixed",
        exercise="budget",
        edits={"train_y[rows], seed + repeat)": "train_y[rows], 0)"},
        rejected_by="budget-test-2",
        says="with another seed `fit` gets other seeds",
        note="The luck of one inner split is then in all repeats, whatever the seed.",
    ),
    Misconception(
        name="fits-seed-drawn",
        exercise="budget",
        edits={"train_y[rows], seed + repeat)": "train_y[rows], int(torch.randint(10**6, ())))"},
        rejected_by="budget-test-2",
        says="the seeds that `fit` gets for the same seed",
        note="Nobody can repeat your curve.",
    ),
    Misconception(
        name="moved-along",
        exercise="budget",
        edits={
            "torch.randperm(len(train_y), generator=generator)": "torch.arange(len(train_y)).roll(1000 * seed + 7 * repeat)"
        },
        rejected_by="budget-test-2",
        says="moved along, not shuffled",
        note="Images that were taken together stand together in many data sets.",
    ),
    Misconception(
        name="classes-renumbered",
        exercise="budget",
        edits={"fit(train_f[rows], train_y[rows], ": "fit(train_f[rows], torch.searchsorted(classes, train_y[rows]), "},
        rejected_by="budget-test-2",
        says="the classes were numbered 0, 1, 2",
        note="The probe then names classes that the test labels do not have.",
    ),
    Misconception(
        name="accuracy-by-class",
        exercise="budget",
        edits={
            SCORE: "told = np.asarray(probe.predict(test_f)) == np.asarray(test_y)\n            scores[repeat, column] = np.mean([told[np.asarray(test_y) == c].mean() for c in test_y.unique()])"
        },
        rejected_by="budget-test-2",
        says="the accuracy was averaged over classes",
        note="The two are equal only where the test set is balanced.",
    ),
    Misconception(
        name="global-seed",
        exercise="budget",
        edits={GENERATOR: "generator = torch.manual_seed(1000 * seed + repeat)"},
        rejected_by="budget-test-2",
        says="own generators are in the state of before",
        note="torch.manual_seed seeds everybody; a Generator of your own seeds only you.",
    ),
    Misconception(
        name="sample-std",
        exercise="budget",
        edits={"scores[:, column].std()": "scores[:, column].std(ddof=1)"},
        rejected_by="budget-test-3",
        says="it was divided by R - 1",
        note="A matter of convention. It is written down, and one repeat has no sample std at all.",
    ),
    Misconception(
        name="standard-error",
        exercise="budget",
        edits={"scores[:, column].std()": "scores[:, column].std() / repeats**0.5"},
        rejected_by="budget-test-3",
        says="this is the error of the mean",
        note="Both are useful; a band must say which it is.",
    ),
    Misconception(
        name="best-repeat",
        exercise="budget",
        edits={"scores[:, column].mean()": "scores[:, column].max()"},
        rejected_by="budget-test-3",
        says="this is the best repeat",
        note="The best of several draws shows luck.",
    ),
    Misconception(
        name="median-of-repeats",
        exercise="budget",
        edits={"scores[:, column].mean()": "np.median(scores[:, column])"},
        rejected_by="budget-test-3",
        says="this is the median",
        note="The table asks for the mean.",
    ),
    Misconception(
        name="table-by-rising-budget",
        exercise="budget",
        edits={
            "for column, budget in enumerate(budgets)\n    ]": "for column, budget in enumerate(sorted(budgets))\n    ]"
        },
        rejected_by="budget-test-2",
        says="the budgets in the table",
        note="The order of `budgets` is the caller's.",
    ),
    Misconception(
        name="labels-from-zero",
        exercise="budget",
        edits={
            "classes, counts = train_y.unique(return_counts=True)": (
                "counts = train_y.bincount()\n    classes = torch.arange(len(counts))"
            )
        },
        rejected_by="budget-test-2",
        says="the code raised an error",
        note="A label that does not occur has no images, and no budget either.",
    ),
    Misconception(
        name="labels-out-of-step",
        exercise="budget",
        edits={
            "probe = fit(train_f[rows], train_y[rows], seed + repeat)": "probe = fit(train_f[rows], train_y[rows].flip(0), seed + repeat)"
        },
        rejected_by="budget-test-2",
        says="features and labels of a subset belong together",
        note="Sorting one of the two and not the other has this effect.",
    ),
    # ---- exercise 7: purity
    Misconception(
        name="own-neighbor",
        exercise="purity",
        edits={SELF: "pass"},
        rejected_by="purity-test-1",
        says="every point found itself",
        note="The nearest point of a set to one of its own points is that point.",
    ),
    Misconception(
        name="majority-of-neighbors",
        exercise="purity",
        edits={SHARE: "return float(((labels[nearest] == labels[:, None]).double().mean(1) > 0.5).double().mean())"},
        rejected_by="purity-test-1",
        says="decided by majority",
        note="That is the accuracy of a classifier, not the purity of a picture.",
    ),
    Misconception(
        name="counts-points",
        exercise="purity",
        edits={SHARE: "return float((labels[nearest] == labels[:, None]).double().sum()) / k"},
        rejected_by="purity-test-1",
        says="this is the number of points",
        note="Divide by n, too.",
    ),
    Misconception(
        name="k-up-to-n",
        exercise="purity",
        edits={"if not 1 <= k < len(places):": "if not 1 <= k <= len(places):"},
        rejected_by="purity-test-1",
        says="k = 8",
        note="There are n - 1 other points.",
    ),
    Misconception(
        name="angles-in-the-picture",
        exercise="purity",
        edits={
            'distance = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")': (
                "unit = F.normalize(places - places.mean(0) * 0, dim=1)\n    distance = torch.cdist(places, places) + 1e3 * (1 - unit @ unit.T)"
            )
        },
        rejected_by="purity-test-1",
        says="the purity",
        note="Cosine is for features. A picture has no origin: near means near on the page.",
    ),
    Misconception(
        name="fixed-radius",
        exercise="purity",
        edits={
            NEAREST: (
                "nearest = distance.topk(k, dim=1, largest=False).indices\n"
                "    if len(places) > 100:\n"
                "        close = (distance < 1.0).double()\n"
                "        same = (labels[:, None] == labels[None, :]).double()\n"
                "        return float(((close * same).sum(1) / close.sum(1).clamp_min(1)).mean())"
            )
        },
        rejected_by="purity-test-2",
        says="the picture enlarged 1,000 times has the same purity",
        note="Distances of a t-SNE picture mean nothing, so no radius does either.",
    ),
    Misconception(
        name="drops-the-first-neighbor",
        exercise="purity",
        edits={SELF: "pass", NEAREST: "nearest = distance.topk(k + 1, dim=1, largest=False).indices[:, 1:]"},
        rejected_by="purity-test-2",
        says="the first of k + 1 neighbors was dropped",
        note="Right as long as no two points coincide.",
    ),
    Misconception(
        name="centered-in-place",
        exercise="purity",
        edits={
            "places, labels = torch.as_tensor(embedding_2d).double(), torch.as_tensor(labels)\n": (
                "places, labels = torch.as_tensor(embedding_2d), torch.as_tensor(labels)\n"
                "    places -= places.mean(0)\n    places = places.double()\n"
            )
        },
        rejected_by="purity-test-2",
        says="the places afterwards",
        note="torch.as_tensor shares the memory of what it is given.",
    ),
    Misconception(
        name="own-distance-a-million",
        exercise="purity",
        edits={SELF: "distance.fill_diagonal_(1e6)"},
        rejected_by="purity-test-2",
        says="replaced by a number that is too small",
        note="Infinity is larger than any distance; a million is not.",
    ),
    Misconception(
        name="twins-left-out",
        exercise="purity",
        edits={SELF: "distance[distance == 0] = torch.inf"},
        rejected_by="purity-test-2",
        says="the other point in the same place was left out as well",
        note="t-SNE puts equal images in one place, and they are each other's nearest.",
    ),
    Misconception(
        name="negative-k",
        exercise="purity",
        edits={
            "if not 1 <= k < len(places):": "if k == 0 or k >= len(places):",
            NEAREST: NEAREST.replace("topk(k", "topk(abs(k)"),
        },
        rejected_by="purity-test-2",
        says="k = -1 did not raise",
        note="A check of one wrong value is no check of a range.",
    ),
    Misconception(
        name="tensors-only",
        exercise="purity",
        edits={
            "places, labels = torch.as_tensor(embedding_2d).double(), torch.as_tensor(labels)": "places = embedding_2d.double()"
        },
        rejected_by="purity-test-2",
        says="an array, as t-SNE gives it",
        note="scikit-learn gives arrays.",
    ),
]
