"""Right answers to week 11 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES = [
    Alternative(
        name="lines-in-memory",
        exercise="runlog",
        code="""
def config_hash(config):
    digest = hashlib.new("sha256")
    digest.update(json.dumps(config, sort_keys=True).encode("utf-8"))
    return digest.digest().hex()[:12]


class RunLog:
    def __init__(self, root, config, mirror=None):
        self.folder = os.path.join(root, config_hash(config))
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "config.json"), "w") as file:
            json.dump(dict(config), file)
        self.path, self.mirror = os.path.join(self.folder, "log.jsonl"), mirror

    def log(self, step, **metrics):
        record = {"step": step} | metrics
        with open(self.path, "ab+") as file:
            size = file.seek(0, 2)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\\n":
                    file.seek(0)
                    text = file.read()
                    file.truncate(text.rfind(b"\\n") + 1)
            file.write(json.dumps(record).encode() + b"\\n")
        if self.mirror is not None:
            self.mirror(step, metrics)

    def load(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\\n")]

    def best(self, metric, mode="max"):
        if mode not in {"min", "max"}:
            raise ValueError(mode)
        best = None
        for line in self.load():
            value = line.get(metric)
            if value is None or value != value:
                continue
            if best is None or (value > best[metric] if mode == "max" else value < best[metric]):
                best = line
        if best is None:
            raise NoSuchMetric(f"no line has {metric}")
        return best


class NoSuchMetric(KeyError):
    pass
""",
    ),
    Alternative(
        name="patched-forward",
        exercise="ablator",
        code="""
def head_means(model, images):
    kept = {}
    training = [(m, m.training) for m in model.modules()]
    handles = [
        block.attn.proj.register_forward_hook(lambda m, i, o, l=l: kept.__setitem__(l, i[0]))
        for l, block in enumerate(model.blocks)
    ]
    try:
        model.eval()
        with torch.inference_mode():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
        for m, mode in training:
            m.training = mode
    rows = []
    for l, block in enumerate(model.blocks):
        x = kept[l].clone()
        rows.append(x.reshape(-1, block.attn.num_heads, x.shape[-1] // block.attn.num_heads).mean(0))
    return torch.stack(rows).clone()


class HeadAblator:
    def __init__(self, model, heads, means=None):
        for layer, head in heads:
            if layer not in range(len(model.blocks)) or head not in range(model.blocks[layer].attn.num_heads):
                raise IndexError((layer, head))
        self.model, self.heads, self.means = model, list(heads), means

    def __enter__(self):
        self.handles = []
        for layer in {l for l, _ in self.heads}:
            attention = self.model.blocks[layer].attn
            width = attention.proj.in_features // attention.num_heads
            keep, fill = torch.ones(attention.proj.in_features), torch.zeros(attention.proj.in_features)
            for l, h in self.heads:
                if l == layer:
                    keep[h * width : (h + 1) * width] = 0
                    if self.means is not None:
                        fill[h * width : (h + 1) * width] = self.means[l, h].to(fill)

            def hook(module, inputs, keep=keep, fill=fill):
                (x,) = inputs
                return x * keep.to(x) + fill.to(x)

            self.handles.append(attention.proj.register_forward_pre_hook(hook))
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()
        return False
""",
    ),
    Alternative(
        name="copied-weights",
        exercise="importance",
        code="""
def head_effects(model, x, y, means=None):
    base = deepcopy(model).eval()
    with torch.no_grad():
        before = F.cross_entropy(logits_of(base, x), y, reduction="none")
        table = []
        for l in range(len(base.blocks)):
            row = []
            for h in range(base.blocks[l].attn.num_heads):
                cut = deepcopy(base)
                attention = cut.blocks[l].attn
                d = attention.head_dim
                if means is not None:
                    attention.proj.bias += attention.proj.weight[:, h * d : h * d + d] @ means[l, h]
                attention.proj.weight[:, h * d : h * d + d] = 0
                row.append(F.cross_entropy(logits_of(cut, x), y, reduction="none") - before)
            table.append(torch.stack(row))
    return torch.stack(table)


def rank_heads(effects, seed, resamples=1000):
    generator = torch.Generator().manual_seed(seed)
    effects = effects.double()
    L, H, n = effects.shape
    picks = torch.randint(n, (resamples, n), generator=generator)
    rows = []
    for l in range(L):
        for h in range(H):
            draws = effects[l, h][picks].mean(1)
            rows.append({
                "layer": l, "head": h, "importance": effects[l, h].mean().item(),
                "low": torch.quantile(draws, 0.025).item(), "high": torch.quantile(draws, 0.975).item(),
            })
    return sorted(rows, key=lambda row: row["importance"], reverse=True)


def split_half(effects, seed, splits=200):
    generator = torch.Generator().manual_seed(seed)
    flat, n = effects.double().reshape(-1, effects.shape[-1]), effects.shape[-1]

    def ranks(values):
        from scipy.stats import rankdata

        return torch.from_numpy(rankdata(values.double().numpy()))

    rho = []
    for _ in range(splits):
        order = torch.randperm(n, generator=generator)
        a, b = (ranks(flat[:, part].mean(1)) for part in (order[: n // 2], order[n // 2 :][: n // 2]))
        rho.append(torch.corrcoef(torch.stack([a, b]))[0, 1])
    rho = torch.stack(rho)
    return {"mean": rho.mean().item(), "low": rho.quantile(0.025).item(), "high": rho.quantile(0.975).item()}
""",
    ),
    Alternative(
        name="numpy-and-cdist",
        exercise="cards",
        code="""
def head_card(attention, evidence, patch, n_prefix=1):
    a, e = attention.double(), evidence.double()
    B, gh, gw = e.shape
    N = a.shape[1]
    if N - n_prefix != gh * gw:
        raise ValueError("the grid does not fit")
    places = torch.cartesian_prod(torch.arange(gh), torch.arange(gw)).double()
    far = torch.cdist(places, places) * patch
    inner = torch.nn.functional.normalize(a[..., n_prefix:], p=1, dim=-1)
    safe = torch.where(a > 0, a, torch.ones_like(a))
    root = math.sqrt(N)
    seen = torch.einsum("bn,bn->b", inner[:, 0], e.flatten(1))[e.amax((1, 2)) > 0]
    return dict(
        distance=float(torch.einsum("bqk,qk->bq", inner[:, n_prefix:], far).mean()),
        entropy=float(-(a * safe.log()).sum(2).mean()),
        sparsity=float(((root - a.sum(2) / a.square().sum(2).sqrt()) / (root - 1)).mean()),
        class_mass=float(1 - a[:, n_prefix:, n_prefix:].sum(2).mean()),
        evidence_mass=float(seen.mean()) if len(seen) else float("nan"),
    )


def specialization_matrix(attentions, evidence, patch, n_prefix=1):
    rows = []
    for layer in attentions:
        for h in range(layer.shape[1]):
            card = head_card(layer[:, h], evidence, patch, n_prefix)
            rows.append(torch.tensor([card[k] for k in CARD], dtype=torch.float64))
    return torch.stack(rows)


def twins(attentions):
    rows = torch.cat(list(attentions), 1).double().permute(1, 0, 2, 3).flatten(1, 2)

    def entropy(p):
        return torch.special.entr(p).sum(-1)

    middle = (rows[:, None] + rows[None]) / 2
    js = (entropy(middle) - (entropy(rows)[:, None] + entropy(rows)[None]) / 2).mean(-1)
    js.fill_diagonal_(float("inf"))
    return js.argmin(1)
""",
    ),
    Alternative(
        name="hypergeometric",
        exercise="taxonomy",
        code="""
def failure_taxonomy(vit_wrong, cnn_wrong, conditions):
    from scipy.stats import hypergeom

    n = len(vit_wrong)
    lengths = {len(cnn_wrong), *(len(c) for c in conditions.values())}
    if n < 1 or lengths != {n}:
        raise ValueError("lengths differ")
    kinds = ["vit_only" if v and not c else "cnn_only" if c and not v else "both" if v else "" for v, c in zip(vit_wrong, cnn_wrong)]
    table = []
    for owner in ("vit_only", "cnn_only", "both"):
        for name, holds in conditions.items():
            mine = [bool(h) for h, kind in zip(holds, kinds) if kind == owner]
            e, k, c = len(mine), sum(mine), sum(bool(h) for h in holds)
            row = dict(owner=owner, condition=name, errors=e, hits=k, share=math.nan, base=c / n, lift=math.nan, p=1.0)
            if e:
                row["share"] = k / e
                if c:
                    row["lift"] = (k * n) / (e * c)
                chance = hypergeom(n, c, e).pmf(np.arange(e + 1))
                row["p"] = float(min(1.0, chance[chance <= chance[k] * (1 + 1e-7)].sum()))
            table.append(row)
    p = np.array([row["p"] for row in table])
    order = p.argsort(kind="stable")
    holm = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    for place, value in zip(order, holm):
        table[place]["p_holm"] = float(value)
    return table
""",
    ),
    Alternative(
        name="jinja-template",
        exercise="report",
        code='''
def verdict(results):
    a = results["accuracy"]
    for one, other in (("vit", "cnn"), ("cnn", "vit")):
        if a[one]["low"] > a[other]["high"]:
            return one
    return "undecided"


def render_report(results, out_dir):
    import jinja2

    for file in results["figures"].values():
        if not os.path.exists(os.path.join(out_dir, file)):
            raise FileNotFoundError(file)

    def number(value):
        if isinstance(value, float):
            return "n/a" if math.isnan(value) else (f"{100 * value:.1f} %" if 0.01 < value < 1 else f"{value:.4g}")
        return str(value)

    template = """# {{ r["title"] }}

## Introduction

{{ r["question"] }}

{{ r["paragraphs"]["Introduction"] }}

## Data

- data: {{ r["data"]["name"] }}, {{ r["data"]["train"] }} and {{ r["data"]["test"] }}
- classes: {% for c in r["data"]["classes"] %}{{ c }}; {% endfor %}

{{ r["paragraphs"]["Data"] }}

## Architecture
{% for a in r["architecture"] %}
- {{ a["model"] }}: {{ a["name"] }} for {{ a["size"] }} pixels, {{ a["parameters"] }} parameters
{% endfor %}
{{ r["paragraphs"]["Architecture"] }}

## Training procedure

- steps: {{ r["training"]["steps"] }} in {{ r["training"]["run"] }}

{{ r["paragraphs"]["Training procedure"] }}

## Methods

{{ r["paragraphs"]["Methods"] }}

## Quantitative results

{{ r["paragraphs"]["Quantitative results"] }}
{% for m in ["vit", "cnn"] %}
- {{ m }}: {{ r["accuracy"][m]["accuracy"] | n }}, 95 % from {{ r["accuracy"][m]["low"] | n }} to {{ r["accuracy"][m]["high"] | n }}
- {{ m }} on the evidence: {{ r["evidence"][m] | n }}
{% endfor %}
Heads: {{ r["heads"]["count"] }}; {% for k in ["mean", "low", "high"] %}{{ k }} {{ r["heads"]["stability"][k] | n }} {% endfor %}
{% for h in r["heads"]["top"] %}
- layer {{ h["layer"] }}, head {{ h["head"] }}: {{ h["importance"] | n }} from {{ h["low"] | n }} to {{ h["high"] | n }}
{% endfor %}
## Qualitative results

{{ r["paragraphs"]["Qualitative results"] }}
{% for name, file in r["figures"].items() %}
![{{ name }}]({{ file }})
{% endfor %}
## Comparison

{{ v }} {{ r["paragraphs"]["Comparison"] }}
{% for row in r["robustness"] %}
- epsilon {{ row["eps"] }}: {{ row["vit"] | n }} and {{ row["cnn"] | n }}
{% endfor %}
## Failure modes

{{ r["paragraphs"]["Failure modes"] }}
{% for f in r["failures"] %}
- {{ f["owner"] }}, {{ f["condition"] }}: {{ f["hits"] }} of {{ f["errors"] }}, {{ f["share"] | n }} over {{ f["base"] | n }}, lift {{ f["lift"] | n }}, p {{ f["p"] | n }}, corrected {{ f["p_holm"] | n }}
{% endfor %}
## When to use which

{{ r["paragraphs"]["When to use which"] }}

## Insights

{{ r["paragraphs"]["Insights"] }}
{% for text in r["insights"] %}
- {{ text }}{% endfor %}

## Limitations

{{ r["paragraphs"]["Limitations"] }}
{% for text in r["limitations"] %}
- {{ text }}{% endfor %}

## Future work

{{ r["paragraphs"]["Future work"] }}
"""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["n"] = number

    class Strict(dict):
        def __missing__(self, key):
            raise KeyError(key)

    def strict(value):
        if isinstance(value, dict):
            return Strict({k: strict(v) for k, v in value.items()})
        return [strict(v) for v in value] if isinstance(value, list) else value

    held = strict(results)
    for key in ("insights", "limitations", "failures", "figures"):
        held[key]
    try:
        text = environment.from_string(template).render(r=held, v=VERDICTS[verdict(results)])
    except jinja2.UndefinedError as error:
        raise KeyError(str(error)) from error
    path = os.path.join(out_dir, "report.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(path)
''',
    ),
    Alternative(
        name="own-cache-and-widgets-on-top",
        exercise="page",
        code="""
_LOADED = {}


def page(load):
    import streamlit as st

    if load not in _LOADED:
        _LOADED[load] = load()
    study = _LOADED[load]
    top = st.columns(4)
    layer = top[0].selectbox("layer of the ViT", list(range(len(study.vit.blocks))), key="layer")
    head = top[1].selectbox("its head", list(range(study.vit.blocks[layer].attn.num_heads)), key="head")
    eps = top[2].slider("strength", min_value=0, max_value=16, value=0, step=1, key="eps")
    number = top[3].selectbox("tile", list(range(study.images.shape[0])), key="image")
    upload = st.file_uploader("your tile", key="upload")
    x = study.images[number : number + 1]
    if upload:
        try:
            x = read_tile(upload, study.images.shape[-1]).unsqueeze(0)
        except Exception as error:
            st.error(f"This file could not be read as an image ({type(error).__name__}).")
    own_vit, own_cnn = (model(x).argmax(1) for model in (study.vit, study.cnn))
    x_vit, x_cnn = pgd(study.vit, x, own_vit, eps / 255), pgd(study.cnn, x, own_cnn, eps / 255)
    says_vit, says_cnn = int(study.vit(x_vit).argmax()), int(study.cnn(x_cnn).argmax())
    cam = grad_cam(study.cnn, study.cam_layer, x_cnn, torch.tensor([says_cnn]))
    pictures = [enlarged(x[0]), enlarged(x_vit[0], head_heat(study.vit, x_vit, layer, head)), enlarged(x_cnn[0], cam[0])]
    st.image([Image.fromarray(picture) for picture in pictures], caption=["tile", "ViT", "CNN"])
    st.metric("ViT", study.classes[says_vit])
    st.metric("CNN", study.classes[says_cnn])
""",
    ),
]
