"""Right answers to week 8 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="means-over-dimensions",
        exercise="pool",
        code="""
def pool_tokens(tokens, n_prefix, how, layout="NLC"):
    if layout not in ("NLC", "NHWC", "NCHW") or tokens.dim() != len(layout) or how not in ("cls", "mean", "cls_mean", "none"):
        raise ValueError("no such layout or way")
    if layout == "NLC":
        if how == "none":
            return tokens
        if how != "mean" and n_prefix < 1:
            raise ValueError("no prefix token")
        cls, mean = tokens[:, :1].squeeze(1), tokens.narrow(1, n_prefix, tokens.shape[1] - n_prefix).mean(1)
        return {"cls": cls, "mean": mean, "cls_mean": torch.hstack([cls, mean])}[how]
    if n_prefix != 0 or "cls" in how:
        raise ValueError("a map has no prefix tokens")
    if how == "none":
        return tokens
    return tokens.mean((1, 2)) if layout == "NHWC" else tokens.mean((2, 3))
""",
    ),
    Alternative(
        name="einops-reduce",
        exercise="pool",
        code="""
def pool_tokens(tokens, n_prefix, how, layout="NLC"):
    from einops import rearrange, reduce

    axes = {"NLC": "b n d", "NHWC": "b h w d", "NCHW": "b d h w"}
    if layout not in axes or tokens.ndim != len(axes[layout].split()):
        raise ValueError(layout)
    if how == "none" and not (n_prefix and layout != "NLC"):
        return tokens
    if how not in ("cls", "mean", "cls_mean") or (n_prefix > 0 and layout != "NLC"):
        raise ValueError(how)
    if layout != "NLC":
        tokens = rearrange(tokens, axes[layout] + " -> b (h w) d")
    patches = reduce(tokens[:, n_prefix:], "b n d -> b d", "mean")
    if how == "mean":
        return patches
    if not n_prefix:
        raise ValueError("there is no class token")
    return tokens[:, 0] if how == "cls" else torch.cat((tokens[:, 0], patches), -1)
""",
    ),
    Alternative(
        name="hooks-for-each-call",
        exercise="extractor",
        code="""
class FeatureExtractor:
    def __init__(self, model, layers, pool="none"):
        names = [name for name, _ in model.named_modules()]
        for layer in layers:
            if layer not in names:
                raise KeyError(layer, "perhaps", difflib.get_close_matches(layer, names, 5))
        self.model, self.names, self.pool, self.before = model, list(layers), pool, None

    def __enter__(self):
        self.before = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        return self

    def __exit__(self, kind, error, trace):
        for module, mode in self.before:
            module.training = mode
        self.before = None
        return False

    def __call__(self, images):
        if self.before is None:
            raise RuntimeError("not in a with block")
        found, handles = {}, []

        def hook_for(name):
            def hook(module, inputs, output):
                while isinstance(output, (tuple, list)):
                    output = output[0]
                output = output.clone().detach()
                if output.ndim == 3:
                    output = pool_tokens(output, getattr(self.model, "num_prefix_tokens", 0), self.pool, "NLC")
                elif output.ndim == 4:
                    output = pool_tokens(output, 0, self.pool, getattr(self.model, "output_fmt", "NCHW"))
                found[name] = output
            return hook

        try:
            for name in self.names:
                handles.append(self.model.get_submodule(name).register_forward_hook(hook_for(name)))
            with torch.inference_mode():
                self.model(images)
        finally:
            for handle in handles:
                handle.remove()
        return {name: found[name].clone() for name in self.names}
""",
    ),
    Alternative(
        name="forward-replaced-and-put-back",
        exercise="extractor",
        code="""
class FeatureExtractor:
    def __init__(self, model, layers, pool="none"):
        self.model, self.pool, self.inside = model, pool, False
        known = {name: module for name, module in model.named_modules()}
        missing = [layer for layer in layers if layer not in known]
        if missing:
            raise KeyError("unknown: %s; near: %s" % (missing, [difflib.get_close_matches(m, known) for m in missing]))
        self.parts = {layer: known[layer] for layer in layers}

    def __enter__(self):
        self.modes = {name: module.training for name, module in self.model.named_modules()}
        self.model.train(False)
        self.results, self.inside, self.undo = None, True, []
        for layer, module in self.parts.items():
            original = module.__dict__.get("forward")
            self.undo.append((module, original))
            module.forward = self.wrapped(layer, module.forward)
        return self

    def wrapped(self, layer, forward):
        def run(*args, **kwargs):
            output = forward(*args, **kwargs)
            value = output[0] if isinstance(output, (tuple, list)) else output
            if self.results is not None:
                self.results[layer] = self.pooled(value.detach().clone())
            return output
        return run

    def pooled(self, value):
        if value.ndim == 4:
            return pool_tokens(value, 0, self.pool, getattr(self.model, "output_fmt", "NCHW"))
        if value.ndim == 3:
            return pool_tokens(value, getattr(self.model, "num_prefix_tokens", 0), self.pool)
        return value

    def __call__(self, images):
        if not self.inside:
            raise RuntimeError("open it first")
        self.results = {}
        with torch.no_grad():
            self.model(images)
        results, self.results = self.results, None
        return results

    def __exit__(self, *_):
        for module, original in reversed(self.undo):
            if original is None:
                del module.__dict__["forward"]
            else:
                module.forward = original
        for name, module in self.model.named_modules():
            module.training = self.modes[name]
        self.inside = False
""",
    ),
    Alternative(
        name="exit-stack",
        exercise="extractor",
        code="""
class FeatureExtractor:
    def __init__(self, model, layers, pool="none"):
        from contextlib import ExitStack

        self.stack, self.model, self.pool, self.targets = ExitStack(), model, pool, {}
        for layer in layers:
            try:
                self.targets[layer] = model.get_submodule(layer)
            except AttributeError:
                similar = difflib.get_close_matches(layer, [n for n, _ in model.named_modules()], n=4, cutoff=0.3)
                raise KeyError(f"{layer}: did you mean {similar}?") from None
        self.active = False

    def __enter__(self):
        for module in self.model.modules():
            self.stack.callback(setattr, module, "training", module.training)
        self.model.eval()
        self.active = True
        self.stack.callback(setattr, self, "active", False)
        self.current = {}
        for layer, module in self.targets.items():
            handle = module.register_forward_hook(lambda m, i, o, layer=layer: self.current.__setitem__(layer, self.take(o)))
            self.stack.callback(handle.remove)
        return self

    def take(self, output):
        output = torch.as_tensor(output[0] if type(output) in (tuple, list) else output).detach().clone()
        prefix = getattr(self.model, "num_prefix_tokens", 0)
        if output.dim() == 3:
            return pool_tokens(output, prefix, self.pool, "NLC")
        return pool_tokens(output, 0, self.pool, getattr(self.model, "output_fmt", "NCHW")) if output.dim() == 4 else output

    @torch.no_grad()
    def __call__(self, images):
        if not self.active:
            raise RuntimeError("use `with`")
        self.current = {}
        self.model(images)
        return dict(self.current)

    def __exit__(self, *details):
        self.stack.close()
""",
    ),
    Alternative(
        name="data-loader",
        exercise="dataset",
        code="""
def extract_dataset(extractor, images, batch_size):
    if batch_size < 1:
        raise ValueError("batch_size must be positive")
    numbered = torch.utils.data.TensorDataset(images, torch.arange(len(images)))
    features, index = {}, []
    with extractor as read:
        for batch, numbers in torch.utils.data.DataLoader(numbered, batch_size, shuffle=False, drop_last=False):
            index.append(numbers)
            for layer, value in read(batch).items():
                features.setdefault(layer, []).append(value)
    return {layer: torch.cat(values) for layer, values in features.items()}, torch.cat(index)
""",
    ),
    Alternative(
        name="filled-in-half-precision",
        exercise="dataset",
        code="""
def extract_dataset(extractor, images, batch_size):
    if batch_size <= 0:
        raise ValueError(batch_size)
    n, features = len(images), {}
    with extractor as read:
        for start in range(0, n, batch_size):
            stop = min(start + batch_size, n)
            for layer, value in read(images[start:stop]).items():
                if layer not in features:
                    features[layer] = torch.empty(n, *value.shape[1:], dtype=torch.float16)
                features[layer][start:stop] = value
    return features, torch.arange(n)
""",
    ),
    Alternative(
        name="one-hot-votes",
        exercise="knn",
        code="""
def knn_classify(train_f, train_y, test_f, k, temperature=None, n_classes=None):
    n = train_f.shape[0]
    if k < 1 or k > n:
        raise ValueError("k out of range")
    classes = n_classes or int(train_y.max().item()) + 1
    a = test_f / test_f.norm(dim=1, keepdim=True).clamp_min(1e-12)
    b = train_f / train_f.norm(dim=1, keepdim=True).clamp_min(1e-12)
    value, place = (a @ b.T).sort(dim=1, descending=True)
    value, place = value[:, :k], place[:, :k]
    member = F.one_hot(train_y[place], classes).to(value)
    w = torch.ones_like(value) if temperature is None else torch.softmax(value / temperature, dim=1)
    votes = torch.einsum("mk,mkc->mc", w, member)
    sums = torch.einsum("mk,mkc->mc", value, member)
    best = votes >= votes.amax(1, keepdim=True)
    return torch.where(best, sums, torch.full_like(sums, -float("inf"))).argmax(1)
""",
    ),
    Alternative(
        name="float64-and-sorted-keys",
        exercise="knn",
        code="""
def knn_classify(train_f, train_y, test_f, k, temperature=None, n_classes=None):
    if not (1 <= k <= len(train_y)):
        raise ValueError(f"k={k}")
    similarity = F.cosine_similarity(test_f.double()[:, None], train_f.double()[None], dim=-1)
    near, where = similarity.topk(k)
    labels = train_y[where]
    weights = torch.ones_like(near) if temperature is None else torch.exp(near / temperature)
    classes = torch.arange((n_classes if n_classes is not None else int(train_y.max()) + 1))
    votes = ((labels[..., None] == classes) * weights[..., None]).sum(1)
    sums = ((labels[..., None] == classes) * near[..., None]).sum(1)
    winner = votes.max(1, keepdim=True)[0] == votes
    sums[~winner] = -1e30
    return (sums == sums.max(1, keepdim=True)[0]).int().argmax(1)
""",
    ),
    Alternative(
        name="logistic-regression-cv",
        exercise="probe",
        code="""
def linear_probe(train_f, train_y, c_grid, seed):
    from sklearn.model_selection import cross_val_score

    x, y = train_f.numpy(), train_y.numpy()
    folds = min(3, np.bincount(y)[np.bincount(y) > 0].min())
    if folds < 2:
        raise ValueError("too few images of a class")
    splits = StratifiedKFold(int(folds), shuffle=True, random_state=seed)
    def fresh(c):
        return Pipeline([("scale", StandardScaler()), ("probe", LogisticRegression(C=c, solver="newton-cg", max_iter=500))])
    best = max(c_grid, key=lambda c: cross_val_score(fresh(c), x, y, cv=splits).mean())
    return fresh(best).fit(x, y)


def probe_report(probe, test_f, test_y, seed, resamples=2000):
    right = (probe.predict(test_f.numpy()) == test_y.numpy()).astype(float)
    rng, means = np.random.RandomState(seed), []
    for _ in range(resamples):
        means.append(right[rng.randint(0, len(right), len(right))].mean())
    low, high = np.quantile(means, 0.025), np.quantile(means, 0.975)
    return dict(accuracy=float(right.mean()), low=float(low), high=float(high))
""",
    ),
    Alternative(
        name="one-against-the-rest-and-counts",
        exercise="probe",
        code="""
def linear_probe(train_f, train_y, c_grid, seed):
    from sklearn.model_selection import RepeatedStratifiedKFold
    from sklearn.multiclass import OneVsRestClassifier

    x, y = np.array(train_f, dtype=np.float64), np.array(train_y)
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise ValueError("two images of each class are needed")
    inner = RepeatedStratifiedKFold(n_splits=min(3, counts.min()), n_repeats=2, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression(solver="liblinear")))
    search = GridSearchCV(pipeline, {"onevsrestclassifier__estimator__C": tuple(c_grid)}, cv=inner)
    return search.fit(x, y).best_estimator_


def probe_report(probe, test_f, test_y, seed, resamples=2000):
    right = torch.from_numpy(np.asarray(probe.predict(np.asarray(test_f)))) == torch.as_tensor(test_y)
    m, accuracy = len(right), float(right.double().mean())
    # drawing zeros and ones with replacement is a binomial draw
    counts = np.random.default_rng(seed).binomial(m, accuracy, size=resamples) / m
    return {"accuracy": accuracy, "low": float(np.percentile(counts, 2.5)), "high": float(np.percentile(counts, 97.5))}
""",
    ),
    Alternative(
        name="numpy-choice-by-class",
        exercise="budget",
        code="""
def label_efficiency(train, test, budgets, repeats, seed, fit):
    x, y = train
    groups = {int(c): np.flatnonzero(np.asarray(y) == int(c)) for c in np.unique(np.asarray(y))}
    for b in budgets:
        if b < 1 or any(len(g) < b for g in groups.values()):
            raise ValueError(f"a budget of {b} cannot be met")
    accuracy = {b: [] for b in budgets}
    for rng in np.random.default_rng(seed).spawn(repeats):
        orders = {c: rng.permutation(g) for c, g in groups.items()}
        for b in sorted(budgets):
            chosen = torch.from_numpy(np.sort(np.concatenate([order[:b] for order in orders.values()])))
            model = fit(x[chosen], y[chosen], seed)
            guess = torch.as_tensor(np.asarray(model.predict(test[0])))
            accuracy[b].append((guess == test[1]).float().mean().item())
    return [{"budget": b, "mean": float(np.mean(accuracy[b])), "std": float(np.std(accuracy[b]))} for b in budgets]
""",
    ),
    Alternative(
        name="rank-within-class",
        exercise="budget",
        code="""
def label_efficiency(train, test, budgets, repeats, seed, fit):
    (x, y), (x_test, y_test) = train, test
    n_of = torch.bincount(y)
    if int(n_of[n_of > 0].min()) < max(budgets) or min(budgets) <= 0:
        raise ValueError("not enough images of a class")
    generator = torch.Generator().manual_seed(seed)
    results = {b: torch.zeros(repeats, dtype=torch.float64) for b in budgets}
    for r in range(repeats):
        noise = torch.rand(len(y), generator=generator)
        rank = ((y[:, None] == y[None]) & (noise[None] < noise[:, None])).sum(1)  # place among its class
        for b in budgets:
            keep = rank < b
            right = torch.from_numpy(np.asarray(fit(x[keep], y[keep], seed + r).predict(x_test))) == y_test
            results[b][r] = right.double().mean()
    return [{"budget": b, "mean": results[b].mean().item(), "std": results[b].std(correction=0).item()} for b in budgets]
""",
    ),
    Alternative(
        name="nearest-neighbors-of-scikit-learn",
        exercise="purity",
        code="""
def neighbor_purity(embedding_2d, labels, k):
    x, y = np.asarray(embedding_2d), np.asarray(labels)
    if k < 1 or k >= len(x):
        raise ValueError("k")
    # without an argument, kneighbors leaves each point itself out
    index = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    return float((y[index] == y[:, None]).mean())
""",
    ),
    Alternative(
        name="loop-and-argsort",
        exercise="purity",
        code="""
def neighbor_purity(embedding_2d, labels, k):
    x, y = np.asarray(embedding_2d, dtype=float), np.asarray(labels)
    n = len(x)
    if not 0 < k < n:
        raise ValueError(f"{k} of {n}")
    shares = []
    for i in range(n):
        others = np.delete(np.arange(n), i)
        gap = np.sqrt(((x[others] - x[i]) ** 2).sum(1))
        shares.append(np.mean(y[others[np.argsort(gap)[:k]]] == y[i]))
    return float(np.mean(shares))
""",
    ),
    Alternative(
        name="as-the-hint-says-in-float32",
        exercise="purity",
        code="""
def neighbor_purity(embedding_2d, labels, k):
    x, y = torch.as_tensor(embedding_2d), torch.as_tensor(labels)
    if not 1 <= k < len(x):
        raise ValueError(f"k={k}")
    distance = torch.cdist(x, x)
    distance.fill_diagonal_(float("inf"))
    nearest = distance.topk(k, largest=False).indices
    return (y[nearest] == y[:, None]).float().mean().item()
""",
    ),
    Alternative(
        name="distances-of-unit-vectors",
        exercise="knn",
        code="""
def knn_classify(train_f, train_y, test_f, k, temperature=None, n_classes=None):
    if k < 1 or k > len(train_f):
        raise ValueError(f"k={k}")
    gap, index = torch.cdist(F.normalize(test_f), F.normalize(train_f)).topk(k, largest=False)
    near, labels = 1 - gap.square() / 2, train_y[index]
    weights = torch.ones_like(near) if temperature is None else ((near - near.amax(1, keepdim=True)) / temperature).exp()
    classes = int(train_y.max()) + 1 if n_classes is None else n_classes
    rows = torch.arange(len(test_f))[:, None].expand_as(labels)
    flat = (rows * classes + labels).flatten()
    votes = torch.zeros(len(test_f) * classes).index_add(0, flat, weights.flatten().float()).view(-1, classes)
    sums = torch.zeros(len(test_f) * classes).index_add(0, flat, near.flatten().float()).view(-1, classes)
    sums = sums.where(votes == votes.amax(1, keepdim=True), torch.tensor(-1e9))
    return sums.argmax(1)
""",
    ),
    Alternative(
        name="hooks-by-a-helper-object",
        exercise="extractor",
        code="""
class Note:
    def __init__(self, into, layer, pool):
        self.into, self.layer, self.pool = into, layer, pool

    def __call__(self, module, inputs, output):
        self.into[self.layer] = self.pool(output[0] if isinstance(output, (tuple, list)) else output).detach().clone()


class FeatureExtractor:
    def __init__(self, model, layers, pool="none"):
        self.modules = dict(model.named_modules())
        for layer in layers:
            if layer not in self.modules:
                raise KeyError(f"no {layer!r}; similar: {difflib.get_close_matches(layer, self.modules)}")
        self.model, self.layers, self.how, self.found, self.entered = model, tuple(layers), pool, {}, False

    def pooled(self, value):
        if value.ndim not in (3, 4):
            return value
        if value.ndim == 3:
            return pool_tokens(value, getattr(self.model, "num_prefix_tokens", 0), self.how)
        return pool_tokens(value, 0, self.how, getattr(self.model, "output_fmt", "NCHW"))

    def __enter__(self):
        self.training = {name for name, module in self.modules.items() if module.training}
        self.model.eval()
        self.hooks = [self.modules[layer].register_forward_hook(Note(self.found, layer, self.pooled)) for layer in self.layers]
        self.entered = True
        return self

    def __call__(self, images):
        if not self.entered:
            raise RuntimeError("enter first")
        self.found.clear()
        with torch.no_grad():
            self.model(images)
        return {layer: self.found[layer] for layer in self.layers}

    def __exit__(self, *details):
        self.entered = False
        for hook in self.hooks:
            hook.remove()
        for name, module in self.modules.items():
            module.training = name in self.training
""",
    ),
]
