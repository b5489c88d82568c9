# %% given="probes" after="fourier-hints"
# what several tests use: modules whose parameters were all moved, so that no part is zero by its start
def spread(module: nn.Module, seed: int = 0, by: float = 0.3) -> nn.Module:
    """The module with a random number added to each of its parameters."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += by * torch.randn(parameter.shape, generator=draw).to(parameter)
    return module


def answers(make: Callable, options: Sequence, calls: Sequence, dtype: torch.dtype = torch.float32) -> list:
    """What one module, made with the options and moved, gives for each of the calls."""
    torch.manual_seed(0)
    module = spread(make(*options)).to(dtype)
    with torch.no_grad():
        return [module(*call) for call in calls]


def moved_away(module: Callable, *args: object) -> list[str]:
    """Devices of what a module gives on the meta device."""
    return observe.devices_away(lambda inner, *rest: inner(*rest), module, *args)


def slopes_reach(make: Callable, options: Sequence, call: Sequence) -> list:
    """For each result of a moved module: the sizes of its parameters, and whether a gradient reaches them."""
    torch.manual_seed(0)
    module = spread(make(*options))
    learn = list(module.parameters())
    found = []
    for output in module(*call):
        weights = torch.arange(output.numel()).reshape(output.shape).cos()
        slopes = [None] * len(learn)
        if output.requires_grad:
            slopes = torch.autograd.grad((weights * output).sum(), learn, allow_unused=True, retain_graph=True)
        found.append([(p.ndim, p.numel(), s is not None and bool(s.abs().max() > 0)) for p, s in zip(learn, slopes)])
    return found


# %% test="fourier" points=8
def bell(u: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """The mean product of features of places (N, 2) and (N, 2) in [-1, 1], for infinitely many waves."""
    return torch.exp(-2 * (math.pi * scale) ** 2 * (u - v).square().sum(-1))


def likeness(encode: Callable, one: torch.Tensor, other: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The products of the features of places (N, 2) and (N, 2) in pixels, over half their number."""
    first, second = encode(one, size), encode(other, size)
    return (first * second).sum(-1) / (first.shape[-1] / 2)


with checks.step("how alike places are, 16384 numbers each; places that are new in every run"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    u = torch.rand(12, 2, generator=draw) * 1.4 - 0.7
    away = torch.tensor([0.17, 0.08]) + torch.rand(12, 2, generator=draw) * torch.tensor([0.06, 0.04])
    pixels = torch.tensor([20.0, 50.0])  # W and H
    encode = RandomFourierPE(16384, scale=0.6)
    came = likeness(encode, (u + 1) / 2 * pixels, (u + away + 1) / 2 * pixels, (50, 20))
    by_width, turned = away * torch.tensor([1, 2.5]), away * torch.tensor([0.4, 2.5])
    checks.close(came, bell(away, 0 * away, 0.6), "phi(u) . phi(v) / (D / 2)", atol=0.035, rtol=0, causes={
        "the factor of 2 pi is missing": torch.exp(-0.36 * away.square().sum(-1) / 2),
        "both axes were divided by W": bell(by_width, 0 * away, 0.6),
        "x was divided by H and y by W: a place is (x, y), a size (H, W)": bell(turned, 0 * away, 0.6),
        "the waves are twice as long: places run from -1 to 1, and the factor is 2 pi": bell(away / 2, 0 * away, 0.6),
        "`scale` was not read": bell(away, 0 * away, 1.0),
    })  # fmt: skip

with checks.step("a place and itself: sines and cosines of the same angles"):
    encode = RandomFourierPE(10, scale=3.0, seed=4)
    places = 30 * checks.normal(checks.fresh_seed())(2, 5, 2)
    checks.shape(encode(places, (7, 9)), (2, 5, 10), "the result")
    checks.close(encode(places, (7, 9)).square().sum(-1), torch.full((2, 5), 5.0), "phi(u) . phi(u), D / 2")

with checks.step("what cannot be halved"):
    for dim in (7, 1):
        checks.raises(ValueError, RandomFourierPE, dim, name=f"dim={dim}")


### BEGIN HIDDEN TESTS
def kept_state(make: Callable, places: torch.Tensor) -> dict:
    """What is kept and what learns; results of two calls, of equal and of other seeds, and of loaded state."""
    before = torch.get_rng_state()
    one = make(16, 0.5, 3)
    untouched = torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    same, other = make(16, 0.5, 3), make(16, 0.5, 4)
    state = {name: value.clone() for name, value in one.state_dict().items()}
    size = (8, 12)
    found = {
        "parameters": len(list(one.parameters())),
        "kept": [list(value.shape) for value in state.values()],
        "untouched": untouched,
        "first": one(places, size),
        "second": one(places, size),
        "same seed": same(places, size),
        "other seed": other(places, size),
    }
    other.load_state_dict(state)
    return found | {"loaded": other(places, size)}


with checks.step("what is kept, and what learns"):
    places = 6 * checks.normal(1)(3, 2)
    seen = checks.beside(kept_state, RandomFourierPE, places)
    checks.equal(seen["parameters"], 0, "the number of parameters", causes={
        "G is a parameter, so training would change it; register it as a buffer": lambda: seen["parameters"] == 1,
    })  # fmt: skip
    checks.equal(seen["kept"], [[2, 8]], "the shapes in the state_dict", causes={
        "G is an attribute, no buffer: it is not saved, and does not move to a GPU": lambda: seen["kept"] == [],
    })  # fmt: skip
    checks.that(seen["untouched"], "the global random state is as before", came="another one")
    for name in ("second", "same seed", "loaded"):
        checks.close(seen[name], seen["first"], f"{name}: the result")
    checks.that(
        not checks.near(seen["other seed"], seen["first"], atol=1e-2), "another seed gives other waves", came="the same"
    )

for seed in (0, 1, 7):
    with checks.step(f"likeness depends on the difference alone, float64, seed {seed}"):
        randn = checks.normal(seed, torch.float64)
        one, other, step = 5 * randn(6, 2), 5 * randn(6, 2), 5 * randn(1, 2)
        encode = RandomFourierPE(14, 0.8, seed)
        came = likeness(encode, one + step, other + step, (30, 11))
        checks.close(
            came, likeness(encode, one, other, (30, 11)), "likeness of places that both moved", rtol=1e-3, atol=1e-3
        )

with checks.step("places that differ in x alone, against the bell: frequencies are normal"):
    along = torch.stack([torch.linspace(0, 0.6, 13), torch.zeros(13)], dim=1)
    pixels = torch.tensor([12.0, 30.0])
    start = torch.tensor([[-0.4, 0.3]]).expand(13, 2)
    for flip in (False, True):
        there = along.flip(1) if flip else along
        encode = RandomFourierPE(8192, scale=0.6, seed=2)
        came = likeness(encode, (start + 1) / 2 * pixels, (start + there + 1) / 2 * pixels, (30, 12))
        checks.close(came, bell(along, 0 * along, 0.6), "phi(u) . phi(v) / (D / 2)", atol=0.06, rtol=0)

with checks.step("places of every shape and dtype"):
    for leading in ((), (0,), (1,), (2, 3), (2, 1, 4)):
        checks.shape(
            RandomFourierPE(6)(checks.normal(0)(*leading, 2), (4, 8)), (*leading, 6), f"of places {(*leading, 2)}"
        )
    checks.dtype(RandomFourierPE(6)(torch.ones(3, 2).double(), (4, 8)), torch.float64, "of float64")

with checks.step("the places afterwards, and places on another device"):
    places = checks.normal(2)(4, 2)
    encode = RandomFourierPE(6)
    (after,) = checks.beside(observe.arguments_after, encode, places, (5, 9))
    checks.equal(after, places, "the places that were given")
    checks.equal(checks.beside(moved_away, encode, places, (5, 9)), ["meta"], "the device of the result")
### END HIDDEN TESTS


# %% given="positions-of" after="prompts-hints"
# what a test uses: the positions that a prompt encoder of width 32 adds
def positions_of(make: Callable, points: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Encodings (B, N, 32) by `make(32)`."""
    return make(32)(points, size)


# %% test="prompts" points=5
with checks.step("two images of 16 x 24 pixels, three clicks and a box each, a mask"):
    places, kinds = 10 * checks.normal(0)(2, 3, 2).abs(), torch.tensor([[1, 0, -1], [0, 0, 1]])
    boxes = torch.tensor([[2.0, 3.0, 9.0, 12.0], [1.0, 1.0, 20.0, 5.0]])
    encoder = PromptEncoder(32)
    for what, given, k in (
        ("clicks and box", (places, kinds, boxes, None), 5),
        ("clicks alone", (places, kinds, None, None), 3),
        ("a box alone", (None, None, boxes, None), 2),
        ("a mask alone", (None, None, None, checks.normal(1)(2, 1, 16, 24)), 0),
    ):
        sparse, dense = encoder(*given, (16, 24))
        checks.shape(sparse, (2, k, 32), f"{what}: sparse")
        checks.shape(dense, (2, 32, 4, 6), f"{what}: dense")
    sparse, dense = encoder(None, None, None, None, (16, 24))
    checks.shape(sparse, (1, 0, 32), "no prompt: sparse")
    checks.shape(dense, (1, 32, 4, 6), "no prompt: dense")

with checks.step("clicks at places that are new in every run: token minus token is position minus position"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    near = torch.rand(1, 4, 2, generator=draw) * torch.tensor([12.0, 8.0])
    for label in (1, 0):
        tokens, _ = PromptEncoder(2048)(near, torch.full((1, 4), label), None, None, (32, 48))
        gaps = (tokens[0, 1:] - tokens[0, :1]).square().sum(-1) / 1024
        unit = near[0] / torch.tensor([48.0, 32.0]) * 2 - 1
        wanted = 2 - 2 * torch.exp(-2 * math.pi**2 * (unit[1:] - unit[:1]).square().sum(-1))
        checks.close(gaps, wanted, f"label {label}: squared distance of tokens, over D / 2", atol=0.25, rtol=0)

with checks.step("a label flipped, at two places"):
    places = torch.tensor([[[3.0, 4.0], [11.0, 6.0]]])
    off, on = checks.beside(answers, PromptEncoder, (32,), [
        (places, torch.full((1, 2), label), None, None, (16, 24)) for label in (0, 1)
    ])  # fmt: skip
    change = on[0] - off[0]
    checks.close(change[:, 1], change[:, 0], "the change of the token: the same at both places")
    checks.that(bool(change.abs().max() > 1e-3), "the label changes the token", came="the same token")

with checks.step("padding"):
    tokens = checks.beside(answers, PromptEncoder, (32,), [
        (place, torch.tensor([[-1, 1]]), None, None, (16, 24)) for place in (places, places.flip(1), 100 * places)
    ])  # fmt: skip
    for other, _ in tokens[1:]:
        checks.close(other[:, 0], tokens[0][0][:, 0], "the token with label -1, wherever its point is", causes={
            "the token of padding still has the position of its point": lambda: checks.near(
                tokens[0][0][:, 0] - tokens[1][0][:, 0], tokens[1][0][:, 1] - tokens[0][0][:, 1], atol=1e-4
            ),
        })  # fmt: skip
    checks.that(
        bool((tokens[0][0][:, 0] - tokens[0][0][:, 1]).abs().max() > 1e-3), "padding is no click", came="the same token"
    )

with checks.step("labels that are none"):
    for label in (2, -2):
        checks.raises(
            ValueError,
            PromptEncoder(8),
            places,
            torch.tensor([[0, label]]),
            None,
            None,
            (16, 24),
            name=f"label {label}",
        )

# %% test="prompts" points=5
with checks.step("boxes that are new in every run: corner minus corner is position minus position"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    first = torch.rand(3, 2, generator=draw) * torch.tensor([5.0, 3.0])
    boxes = torch.cat([first, first + 4 + 12 * torch.rand(3, 2, generator=draw)], dim=1)
    tokens, _ = PromptEncoder(2048)(None, None, boxes, None, (32, 48))
    corners = boxes.unflatten(1, (2, 2)) / torch.tensor([48.0, 32.0]) * 2 - 1
    for corner, name in ((0, "upper left"), (1, "lower right")):
        gaps = (tokens[1:, corner] - tokens[:1, corner]).square().sum(-1) / 1024
        wanted = 2 - 2 * torch.exp(-2 * math.pi**2 * (corners[1:, corner] - corners[:1, corner]).square().sum(-1))
        checks.close(gaps, wanted, f"{name}: squared distance of tokens, over D / 2", atol=0.25, rtol=0)

### BEGIN HIDDEN TESTS
size = (12, 20)
randn = checks.normal(3)
points, labels = randn(2, 3, 2).abs() * 5, torch.tensor([[1, 0, -1], [0, 1, 1]])
boxes, mask = torch.tensor([[2.0, 3.0, 9.0, 11.0], [0.0, 1.0, 19.0, 5.0]]), randn(2, 1, 12, 20)

with checks.step("one token for each kind"):
    alone = torch.full((1, 3, 2), 4.0)
    here = torch.full((1, 4), 4.0)
    seen = checks.beside(answers, PromptEncoder, (32,), [(alone, torch.tensor([[1, 0, -1]]), here, None, size)])[0][0][
        0
    ]
    checks.shape(seen, (5, 32), "foreground, background, padding, and two corners at one place")
    gaps = (seen[:, None] - seen).abs().amax(-1) + torch.eye(5)
    checks.that(bool(gaps.min() > 1e-3), "no two tokens are the same", came=checks.describe(gaps), causes={
        "both corners of a box have the same kind": lambda: bool(gaps[3, 4] < 1e-3),
    })  # fmt: skip

with checks.step("clicks and boxes do not change each other's tokens"):
    calls = [(points, labels, boxes, None, size), (points, labels, None, None, size), (None, None, boxes, mask, size)]
    both, clicks, box = checks.beside(answers, PromptEncoder, (32,), calls)
    checks.close(both[0], torch.cat([clicks[0], box[0]], dim=1), "the tokens: clicks, then corners")

with checks.step("each click has a token of its own, in its order"):
    order = torch.tensor([2, 0, 1])
    calls = [(points, labels, None, None, size), (points[:, order], labels[:, order], None, None, size)]
    one, other = checks.beside(answers, PromptEncoder, (32,), calls)
    checks.close(other[0], one[0][:, order], "the tokens of clicks in another order")

with checks.step("positions are those of exercise 1"):
    calls = [(points, torch.ones_like(labels), None, None, size)]
    tokens = checks.beside(answers, PromptEncoder, (32,), calls)[0][0]
    where = checks.beside(positions_of, RandomFourierPE, points, size)
    checks.close(tokens - tokens[:1, :1], where - where[:1, :1], "tokens, against that of the first click", atol=1e-4)

with checks.step("the map without a mask, and with one"):
    calls = [
        (None, None, boxes, None, size),
        (points, labels, None, None, (8, 4)),
        *((None, None, None, m, size) for m in (mask, -mask)),
    ]
    plain, small, masked, turned = (dense for _, dense in checks.beside(answers, PromptEncoder, (32,), calls))
    checks.close(plain, plain[:1, :, :1, :1].expand(2, 32, 3, 5), "without a mask: the same vector at each place")
    checks.close(small, plain[:1, :, :1, :1].expand(2, 32, 2, 1), "for another size: the same vector")
    for name, one, other in (
        ("another mask", masked, turned),
        ("no mask", masked, plain),
        ("another image", masked[0], masked[1]),
    ):
        checks.that(bool((one - other).abs().max() > 1e-3), f"the map differs for {name}", came="the same map")

with checks.step("a spot in the mask is seen at its place of the map"):
    spots = torch.zeros(15, 1, 12, 20)
    for n in range(15):
        spots[n, 0, 4 * (n // 5) : 4 * (n // 5) + 4, 4 * (n % 5) : 4 * (n % 5) + 4] = 3.0
    dark, lit = (dense for _, dense in checks.beside(answers, PromptEncoder, (32,), [(None, None, None, m, size) for m in (torch.zeros(15, 1, 12, 20), spots)]))  # fmt: skip
    came = (lit - dark).abs().sum(1).flatten(1).argmax(1)
    away = torch.stack([came // 5 - torch.arange(15) // 5, came % 5 - torch.arange(15) % 5]).abs().amax()
    checks.that(
        len(came.unique()) >= 12 and int(away) <= 1,
        "that place of 3 x 5 changes most, or a neighbor",
        came=f"{came.tolist()}",
    )

with checks.step("what learns"):
    reached = checks.beside(slopes_reach, PromptEncoder, (32,), (points, labels, boxes, mask, size))
    kinds = [any(count in (5 * 32, 32) or ndim <= 2 for ndim, count, hit in out if hit) for out in reached[:1]]
    checks.that(all(kinds), "the tokens have a gradient for the vectors of the kinds", came="none")
    checks.that(
        any(hit and ndim == 4 for ndim, _, hit in reached[1]), "the map has a gradient for convolutions", came="none"
    )
    (_, without) = checks.beside(slopes_reach, PromptEncoder, (32,), (points, labels, None, None, size))
    checks.that(any(hit for _, _, hit in without), "without a mask the map has a gradient, too", came="none")
    total = {index for index, one in enumerate(zip(*reached, without)) if any(hit for _, _, hit in one)}
    checks.equal(len(total), len(without), "the number of parameters that a gradient reaches")

with checks.step("float64, and the arguments afterwards"):
    given = (points.double(), labels, boxes.double(), mask.double(), size)
    for name, one in checks.each(
        ("sparse", "dense"), checks.beside(answers, PromptEncoder, (32,), [given], torch.float64)[0]
    ):
        checks.dtype(one, torch.float64, name)
    after = checks.beside(observe.arguments_after, PromptEncoder(8), points, labels, boxes, mask, size)
    for now, name in checks.each((points, labels, boxes, mask), after):
        checks.equal(name, now, "an argument afterwards")

with checks.step("one wrong label among good ones"):
    wrong = labels.clone()
    wrong[1, 2] = 3
    checks.raises(ValueError, PromptEncoder(8), points, wrong, boxes, mask, size, name="a batch with a label of 3")
### END HIDDEN TESTS


# %% given="two-way-probes" after="twoway-hints"
# what several tests use: inputs of a two-way block, of 3 tokens and 5 places
def two_way_inputs(seed: int, tokens: int = 3, places: int = 5, batch: int = 2, dim: int = 16) -> tuple:
    """q, k, q_pe, k_pe."""
    randn = checks.normal(seed)
    return tuple(randn(batch, n, dim) for n in (tokens, places, tokens, places))


def alike(x: torch.Tensor) -> torch.Tensor:
    """All rows of each image like its first one."""
    return x[:, :1].expand_as(x).clone()


def block_answers(make: Callable, calls: Sequence, heads: int = 2, down: int = 2) -> list:
    """What a moved block of width 16 gives for each of the calls."""
    return answers(make, (16, heads, down), calls)


# %% test="twoway" points=5
q, k, q_pe, k_pe = two_way_inputs(checks.fresh_seed())

with checks.step("two images, three tokens, five places; inputs that are new in every run"):
    new_q, new_k = TwoWayBlock(16, 2)(q, k, q_pe, k_pe)
    checks.shape(new_q, (2, 3, 16), "q")
    checks.shape(new_k, (2, 5, 16), "k")

with checks.step("tokens that are all alike, places that are all alike, positions that differ"):
    calls = [
        (alike(q), alike(k), q_pe, k_pe),
        (alike(q), alike(k), 2 * q_pe.flip(1), k_pe),
        (alike(q), alike(k), q_pe, 3 - k_pe),
    ]
    seen = checks.beside(block_answers, TwoWayBlock, calls)
    for (new_q, new_k), what in checks.each(
        seen, ("first", "with other positions of tokens", "with other positions of places")
    ):
        for name, one, first in (("q", new_q, seen[0][0]), ("k", new_k, seen[0][1])):
            checks.close(one, first[:, :1].expand_as(one), f"{name} {what}: all rows are alike", atol=1e-4, causes={
                "positions went into the values, or into the tokens or places themselves": True,
            })  # fmt: skip

with checks.step("tokens and places that differ"):
    new_q, new_k = checks.beside(block_answers, TwoWayBlock, [(q, k, q_pe, k_pe)])[0]
    for name, one in (("q", new_q), ("k", new_k)):
        checks.that(
            bool((one - alike(one))[:, 1:].abs().amax(-1).min() > 1e-3), f"rows of {name} differ", came="equal rows"
        )

with checks.step("each output depends on each input"):
    for place, what in enumerate(("q", "k", "q_pe", "k_pe")):
        other = [q, k, q_pe, k_pe]
        other[place] = other[place] + 0.5 * other[place].flip(1)
        one, two = checks.beside(block_answers, TwoWayBlock, [(q, k, q_pe, k_pe), tuple(other)])
        for name, before, after in (("q", one[0], two[0]), ("k", one[1], two[1])):
            checks.that(bool((before - after).abs().max() > 1e-4), f"{name} changes with {what}", came="it is the same", causes={
                "the image does not look back: k is returned as it came": lambda name=name, before=before: name == "k" and checks.near(before, k),
            })  # fmt: skip

with checks.step("what cannot be divided"):
    for options in ((15, 2, 2), (16, 3, 2), (12, 4, 2)):
        checks.raises(
            ValueError, TwoWayBlock, *options, name=f"dim={options[0]}, heads={options[1]}, down={options[2]}"
        )

# %% test="twoway" points=7
q, k, q_pe, k_pe = two_way_inputs(checks.fresh_seed())

with checks.step("tokens in another order, places in another order; inputs that are new in every run"):
    tokens, places = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 4, 0, 2])
    calls = [(q, k, q_pe, k_pe), (q[:, tokens], k[:, places], q_pe[:, tokens], k_pe[:, places])]
    one, other = checks.beside(block_answers, TwoWayBlock, calls)
    checks.close(
        other[0], one[0][:, tokens], "q moves along with the tokens, and does not mind the order of places", atol=1e-4
    )
    checks.close(
        other[1], one[1][:, places], "k moves along with the places, and does not mind the order of tokens", atol=1e-4
    )
    checks.that(bool((one[0] - q).abs().max() > 1e-2), "q is not what it was", came="the same q")

### BEGIN HIDDEN TESTS
q, k, q_pe, k_pe = two_way_inputs(1)


def differs(name: str, came: list, row: int | None = None) -> None:
    """The first result and the second are not the same, in this row or anywhere."""
    one, other = (result if row is None else result[:, row] for result in came)
    checks.that(bool((one - other).abs().max() > 1e-4), name, came="it is the same")


with checks.step("self-attention: positions in queries and in keys, where all places are alike"):
    # then what tokens take from the image does not depend on where they look
    shift = checks.normal(5)(1, 1, 16)
    calls = [(q, alike(k), alike(q_pe), k_pe), (q, alike(k), alike(q_pe) + shift, k_pe)]
    # a shift of all keys is the same for all of them, so softmax does not see it
    differs(
        "q, with one shift of all positions: they are in the queries",
        [a[0] for a in checks.beside(block_answers, TwoWayBlock, calls)],
    )
    other = q_pe.clone()
    other[:, 2] += shift[:, 0]
    came = checks.beside(block_answers, TwoWayBlock, [(q, alike(k), q_pe, k_pe), (q, alike(k), other, k_pe)])
    differs("token 0, where the position of token 2 is another: positions are in the keys", [a[0] for a in came], 0)

with checks.step("token to image: positions in queries and in keys, where there is one token"):
    one = slice(0, 1)  # its self-attention takes its own value, wherever it looks
    calls = [
        (q[:, one], k, q_pe[:, one], k_pe),
        (q[:, one], k, 2 + q_pe[:, one], k_pe),
        (q[:, one], k, q_pe[:, one], k_pe.flip(1)),
    ]
    first, asked, placed = checks.beside(block_answers, TwoWayBlock, calls)
    differs("q, with another position of the token", [first[0], asked[0]])
    differs("q, with other positions of the places", [first[0], placed[0]])

with checks.step("image to token: positions in queries, where all places are alike"):
    came = checks.beside(block_answers, TwoWayBlock, [(q, alike(k), q_pe, k_pe), (q, alike(k), q_pe, k_pe.flip(1))])
    differs("k, with other positions of the places", [a[1] for a in came])
    checks.close(came[1][0], came[0][0], "q: tokens take the same from places that are alike", atol=1e-4)


def saturated(make: Callable, q: torch.Tensor, k: torch.Tensor, q_pe: torch.Tensor, k_pe: torch.Tensor) -> list:
    """Results for positions of tokens so large that each token attends to one other alone, and for half as large again.

    Without biases the sharp attention of the first stays what it is for the second. Queries of places are k + k_pe,
    which are made small, so that their attention is not sharp.
    """
    torch.manual_seed(0)
    block = make(16, 2, 2)
    with torch.no_grad():
        for p in block.parameters():
            if p.ndim == 1 and not (p == 1).all():
                p.zero_()
        return [block(q, k, size * q_pe, 0.003 * k_pe - k) for size in (300.0, 450.0)]


with checks.step("image to token: positions in keys"):
    came = checks.beside(saturated, TwoWayBlock, q, alike(k), q_pe, k_pe)
    checks.close(came[1][0], came[0][0], "q, for positions whose sharp attention is the same", atol=1e-3)
    differs("k, for positions of the tokens half as large again", [a[1] for a in came])

with checks.step("self-attention comes first: tokens that are alike do not see each other's positions"):
    other = q_pe.clone()
    other[:, 2] += 1.5
    came = checks.beside(block_answers, TwoWayBlock, [(alike(q), k, q_pe, k_pe), (alike(q), k, other, k_pe)])
    checks.close(came[1][0][:, :2], came[0][0][:, :2], "tokens 0 and 1, where the position of token 2 is another", atol=1e-4, causes={
        "tokens looked at the image before they looked at each other": True,
    })  # fmt: skip
    differs("token 2", [a[0] for a in came], 2)

with checks.step("the images of a batch do not see each other"):
    calls = [(q, k, q_pe, k_pe), *((q[b : b + 1], k[b : b + 1], q_pe[b : b + 1], k_pe[b : b + 1]) for b in range(2))]
    whole, *single = checks.beside(block_answers, TwoWayBlock, calls)
    for n, name in enumerate(("q", "k")):
        checks.close(torch.cat([one[n] for one in single]), whole[n], f"{name} of single images", atol=1e-4)

for dim, heads, down in ((16, 2, 2), (24, 3, 4), (12, 2, 1)):
    with checks.step(f"weights and what they are for: dim={dim}, down={down}"):
        given = two_way_inputs(2, dim=dim)
        seen = checks.beside(slopes_reach, TwoWayBlock, (dim, heads, down), given)
        own, cross, mlp = 4 * dim**2, 4 * dim**2 // down, 8 * dim**2
        size = {
            name: sum(count for ndim, count, hit in one if ndim > 1 and (hit or name == "all"))
            for name, one in (("all", seen[0]), ("q", seen[0]), ("k", seen[1]))
        }
        checks.equal(size["all"], own + 2 * cross + mlp, "the number of weights in matrices", causes={
            "`down` was not read: all attention has D channels": lambda: down > 1 and size["all"] == 3 * own + mlp,
            "self-attention was made smaller, too": lambda: down > 1 and size["all"] == 3 * cross + mlp,
            "there is no MLP": lambda: size["all"] == own + 2 * cross,
        })  # fmt: skip
        checks.equal(size["q"], own + cross + mlp, "the number of weights that q depends on: all but those of step 4")
        checks.equal(size["k"], own + 2 * cross + mlp, "the number of weights that k depends on: all")


def with_heads(make: Callable, call: Sequence) -> list:
    """Results of blocks with the same numbers as parameters, and 1, 2 and 4 heads."""
    found = []
    for heads in (1, 2, 4):
        block = make(16, heads, 2)
        with torch.no_grad():
            for place, p in enumerate(block.parameters()):
                p.copy_(torch.arange(p.numel()).reshape(p.shape).add(place).cos() * (0.5 if p.ndim > 1 else 1))
            found.append(block(*call))
    return found


with checks.step("heads"):
    one, two, four = checks.beside(with_heads, TwoWayBlock, (q, k, q_pe, k_pe))
    for n, name in enumerate(("q", "k")):
        differs(f"{name} of one head and of two", [one[n], two[n]])
        differs(f"{name} of two heads and of four", [two[n], four[n]])

with checks.step("float64, the arguments afterwards, another device"):
    for name, one in checks.each(("q", "k"), TwoWayBlock(16, 2).double()(*(x.double() for x in (q, k, q_pe, k_pe)))):
        checks.dtype(one, torch.float64, name)
    after = checks.beside(observe.arguments_after, TwoWayBlock(16, 2), q, k, q_pe, k_pe)
    for was, now in checks.each((q, k, q_pe, k_pe), after):
        checks.equal(now, was, "an argument afterwards")
    checks.equal(checks.beside(moved_away, TwoWayBlock(16, 2), q, k, q_pe, k_pe), ["meta", "meta"], "the devices")
### END HIDDEN TESTS


# %% given="decoder-probes" after="decoder-hints"
# what several tests use: inputs of a decoder of width 32, for maps of 2 x 3 places, and all that its methods give
def decoder_inputs(seed: int, batch: int = 2, prompts: int = 3, h: int = 2, w: int = 3, dim: int = 32) -> dict:
    """Image features, their positions, prompts and skips."""
    randn = checks.normal(seed)
    return {
        "image_feats": randn(batch, dim, h, w),
        "image_pe": randn(1, dim, h, w),
        "sparse": randn(batch, prompts, dim),
        "dense": randn(batch, dim, h, w),
        "skips": (randn(batch, dim // 4, 2 * h, 2 * w), randn(batch, dim // 8, 4 * h, 4 * w)),
    }


def decoded(make: Callable, inputs: Mapping, dtype: torch.dtype = torch.float32, depth: int = 2) -> dict:
    """What the methods of a moved decoder give, one after the other, and masks with and without `multimask`."""
    torch.manual_seed(0)
    decoder = spread(make(inputs["image_feats"].shape[1], depth)).to(dtype)
    asked = [inputs[name] for name in ("image_feats", "image_pe", "sparse", "dense")]
    with torch.no_grad():
        tokens, image = decoder.attend(*asked)
        found = {
            "tokens": tokens, "image": image, "upscaled": decoder.upscale(image, inputs["skips"]),
            "vectors": decoder.hyper(tokens[:, 1:]), "scores": decoder.score(tokens[:, 0]),
        }  # fmt: skip
        for name, multimask in (("many", True), ("one", False)):
            found[f"masks, {name}"], found[f"iou, {name}"] = decoder(*asked, multimask, inputs["skips"])
    return found


# %% test="decoder" points=5
with checks.step("two images, three prompts, maps of 2 x 3 places; inputs that are new in every run"):
    seen = checks.beside(decoded, MaskDecoder, decoder_inputs(checks.fresh_seed()))
    for name, size in (
        ("tokens", (2, 5, 32)),
        ("image", (2, 32, 2, 3)),
        ("upscaled", (2, 4, 8, 12)),
        ("vectors", (2, 4, 4)),
        ("scores", (2, 4)),
        ("masks, many", (2, 3, 8, 12)),
        ("iou, many", (2, 3)),
        ("masks, one", (2, 1, 8, 12)),
        ("iou, one", (2, 1)),
    ):
        checks.shape(seen[name], size, name)

with checks.step("masks are products of vectors and features, pixel by pixel"):
    vectors, features = seen["vectors"], seen["upscaled"]
    wanted = torch.stack(
        [sum(vectors[:, m, c, None, None] * features[:, c] for c in range(4)) for m in range(4)], dim=1
    )
    checks.close(seen["masks, many"], wanted[:, 1:], "masks 1 to 3", atol=1e-3, causes={
        "these are masks 0 to 2; token 0 is for a single mask": wanted[:, :3],
        "a softmax runs over the masks; they are alternatives, no classes": wanted[:, 1:].softmax(1),
        "these are probabilities, not logits": wanted[:, 1:].sigmoid(),
    })  # fmt: skip
    checks.close(seen["masks, one"], wanted[:, :1], "mask 0", atol=1e-3, causes={
        "this is mask 1: the single mask has a token of its own": wanted[:, 1:2],
        "this is mask 3": wanted[:, 3:],
    })  # fmt: skip
    checks.close(seen["iou, many"], seen["scores"][:, 1:], "the scores of masks 1 to 3", atol=1e-4, causes={
        "these are the scores of masks 0 to 2": seen["scores"][:, :3],
    })  # fmt: skip
    checks.close(seen["iou, one"], seen["scores"][:, :1], "the score of mask 0", atol=1e-4)
    gaps = (wanted[:, :, None] - wanted[:, None]).abs().amax((-2, -1)) + torch.eye(4)
    checks.that(bool(gaps.min() > 1e-3), "no two masks are the same", came="equal masks")

with checks.step("what cannot be built"):
    for width, heads in ((12, 2), (36, 3)):
        checks.raises(ValueError, MaskDecoder, width, 2, heads, name=f"dim={width}, heads={heads}")


# %% test="decoder" points=7
def vectors_of(make: Callable, tokens: torch.Tensor) -> tuple[torch.Tensor, list]:
    """The vectors of mask tokens, and those where one token after the other is another."""
    torch.manual_seed(0)
    decoder = spread(make(32))
    with torch.no_grad():
        other = []
        for place in range(4):
            changed = tokens.clone()
            changed[:, place] = changed[:, place].flip(-1) + 1
            other.append(decoder.hyper(changed))
        return decoder.hyper(tokens), other


with checks.step("each mask has a hypernetwork of its own, tokens that are new in every run"):
    tokens = checks.normal(checks.fresh_seed())(2, 1, 32).expand(2, 4, 32).clone()
    vectors, changed = checks.beside(vectors_of, MaskDecoder, tokens)
    checks.shape(vectors, (2, 4, 4), "the vectors")
    gaps = (vectors[:, :, None] - vectors[:, None]).abs().amax((0, -1)) + torch.eye(4)
    checks.that(bool(gaps.min() > 1e-4), "equal tokens give four different vectors", came="equal vectors", causes={
        "all masks share one hypernetwork": True,
    })  # fmt: skip
    for place, other in checks.each(range(4), changed):
        rest = [n for n in range(4) if n != place]
        checks.close(
            other[:, rest], vectors[:, rest], f"the vectors of the other masks, where token {place} is another"
        )
        checks.that(bool((other[:, place] - vectors[:, place]).abs().max() > 1e-4), f"vector {place}", came="the same")


### BEGIN HIDDEN TESTS
def upscaled(make: Callable, image: torch.Tensor, skips: Sequence) -> torch.Tensor:
    """Features of the pixels by a moved decoder."""
    torch.manual_seed(0)
    with torch.no_grad():
        return spread(make(32)).upscale(image, skips)


def touched(place: tuple[int, int], scale: int) -> torch.Tensor:
    """The pixels (8, 12) of a place, whose side is `scale` pixels."""
    found = torch.zeros(8, 12, dtype=torch.bool)
    found[place[0] * scale : (place[0] + 1) * scale, place[1] * scale : (place[1] + 1) * scale] = True
    return found


given = decoder_inputs(4)
image, skips = given["image_feats"], given["skips"]
with checks.step("upscaling is local: the pixels of a place, of the image and of both skips"):
    before = checks.beside(upscaled, MaskDecoder, image, skips)
    for what, place, scale in (
        ("the image", (1, 2), 4),
        ("the first skip", (2, 1), 2),
        ("the second skip", (3, 10), 1),
    ):
        one, two, three = image.clone(), skips[0].clone(), skips[1].clone()
        {4: one, 2: two, 1: three}[scale][:, :, place[0], place[1]] += 2.0
        after = checks.beside(upscaled, MaskDecoder, one, (two, three))
        changed = (after - before).abs().amax((0, 1)) > 1e-4
        checks.equal(changed, touched(place, scale), f"the pixels that change with one place of {what}")
    # one channel is enough for each: skips are added, not joined and mixed at another place
with checks.step("upscaling is learned: the pixels of one place differ without skips"):
    nothing = tuple(torch.zeros_like(skip) for skip in skips)
    block = checks.beside(upscaled, MaskDecoder, image, nothing)[:, :, :4, :4]
    checks.that(bool((block - block[..., :1, :1]).abs().amax((0, 1)).flatten()[1:].min() > 1e-4), "the 16 pixels of a place", came="copies of one", causes={
        "features were copied or interpolated; transposed convolutions learn each of the pixels": True,
    })  # fmt: skip
with checks.step("a skip is added before GELU"):
    far = (torch.full_like(skips[0], -50.0), skips[1])
    came = checks.beside(upscaled, MaskDecoder, image, far)
    other = checks.beside(upscaled, MaskDecoder, -image, far)
    checks.close(came, other, "the features, where the first skip is -50: GELU leaves nothing of the image", atol=1e-3)
    far = (skips[0], torch.full_like(skips[1], -50.0))
    checks.close(
        checks.beside(upscaled, MaskDecoder, image, far),
        torch.zeros(2, 4, 8, 12),
        "the features, where the second skip is -50",
        atol=1e-3,
    )
    far = (skips[0], skips[1] + 50.0)
    lifted, still = (
        checks.beside(upscaled, MaskDecoder, image, far),
        checks.beside(upscaled, MaskDecoder, image, (skips[0], 0 * skips[1] + 50.0)),
    )
    checks.close(lifted - still, skips[1], "what the second skip adds, far above 0", atol=1e-3)

with checks.step("tokens and places: what changes what"):
    base = checks.beside(decoded, MaskDecoder, given)
    order = torch.tensor([2, 0, 1])
    turned = checks.beside(decoded, MaskDecoder, given | {"sparse": given["sparse"][:, order]})
    for name in ("masks, many", "iou, many", "masks, one"):
        checks.close(turned[name], base[name], f"{name}, with the prompts in another order", atol=1e-3)
    for what in ("image_feats", "image_pe", "sparse", "dense"):
        other = checks.beside(decoded, MaskDecoder, given | {what: given[what].flip(1) * 1.5})
        for name in ("masks, many", "iou, many", "masks, one", "iou, one"):
            checks.that(
                bool((other[name] - base[name]).abs().max() > 1e-4), f"{name} changes with {what}", came="the same"
            )
    both = given | {"image_feats": given["image_feats"] + given["dense"], "dense": 0 * given["dense"]}
    checks.close(
        checks.beside(decoded, MaskDecoder, both)["tokens"],
        base["tokens"],
        "tokens, with `dense` added to the image beforehand",
        atol=1e-3,
    )

with checks.step("without prompts, and one image of the batch alone"):
    none = given | {"sparse": given["sparse"][:, :0]}
    checks.shape(checks.beside(decoded, MaskDecoder, none)["masks, one"], (2, 1, 8, 12), "the mask without any prompt")
    single = {name: value[:1] for name, value in given.items() if name != "skips"} | {
        "skips": tuple(skip[:1] for skip in skips)
    }
    alone = checks.beside(decoded, MaskDecoder, single)
    for name in ("masks, many", "iou, one"):
        checks.close(alone[name], base[name][:1], f"{name} of the first image alone", atol=1e-3)


def what_blocks_get(make: Callable, kind: type, inputs: Mapping) -> tuple:
    """q, k, q_pe and k_pe of each block of a decoder with three, in order; what the last gives, and `attend`."""
    torch.manual_seed(0)
    decoder = spread(make(32, 3))
    seen, given = [], []

    def note(module: nn.Module, args: tuple, named: dict, out: tuple) -> None:
        got = dict(zip(("q", "k", "q_pe", "k_pe"), args)) | named
        seen.append([got[name].clone() for name in ("q", "k", "q_pe", "k_pe")])
        given.append(out)

    for module in decoder.modules():
        if isinstance(module, kind):
            module.register_forward_hook(note, with_kwargs=True)
    with torch.no_grad():
        back = decoder.attend(*(inputs[name] for name in ("image_feats", "image_pe", "sparse", "dense")))
    return seen, given[-1] if given else None, back


with checks.step("what the blocks get, and what becomes of what they give"):
    seen, last, back = checks.beside(what_blocks_get, MaskDecoder, TwoWayBlock, given)
    checks.equal(len(seen), 3, "the number of blocks that run, of depth 3")
    tokens, places = seen[0][0], given["image_pe"].flatten(2).transpose(1, 2).expand(2, -1, -1)
    image = (given["image_feats"] + given["dense"]).flatten(2).transpose(1, 2)
    checks.close(seen[0][1], image, "the places that the first block gets: the image with `dense`, row by row")
    checks.close(tokens[:, 5:], given["sparse"], "the tokens after the five learned ones: the prompts")
    for number, (_, _, at_tokens, at_places) in enumerate(seen):
        checks.close(at_tokens, tokens, f"block {number}: the positions of the tokens, the tokens as they came in")
        checks.close(at_places.expand_as(places), places, f"block {number}: the positions of the places")
    for number in (1, 2):
        gap = min((seen[number][n] - seen[number - 1][n]).abs().max().item() for n in (0, 1))
        checks.that(gap > 1e-3, f"block {number} gets what block {number - 1} gave", came="what that one got")
    checks.close(back[0], last[0][:, :5], "the five tokens, against those of the last block")
    checks.close(back[1], last[1].transpose(1, 2).unflatten(-1, (2, 3)), "the image, against that of the last block, row by row", causes={
        "rows and columns of the map are swapped": lambda: checks.near(
            back[1], last[1].transpose(1, 2).unflatten(-1, (3, 2)).transpose(-1, -2)
        ),
    })  # fmt: skip


def order_of_places(make: Callable, inputs: Mapping, places: torch.Tensor) -> tuple:
    """The image after `attend`, and after `attend` with its places in another order."""
    torch.manual_seed(0)
    decoder = spread(make(32))

    def moved(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2)[..., places].unflatten(-1, x.shape[-2:])

    with torch.no_grad():
        _, one = decoder.attend(*(inputs[name] for name in ("image_feats", "image_pe", "sparse", "dense")))
        _, other = decoder.attend(
            *(
                inputs[name] if name == "sparse" else moved(inputs[name])
                for name in ("image_feats", "image_pe", "sparse", "dense")
            )
        )
        return moved(one), other


with checks.step("the map that comes back has its places where they were"):
    one, other = checks.beside(order_of_places, MaskDecoder, given, torch.tensor([4, 0, 5, 2, 1, 3]))
    checks.close(other, one, "the image, with places, positions and `dense` in another order", atol=1e-3)


def weights_in(make: Callable, depth: int, heads: int = 4) -> int:
    """The number of weights in matrices, and in learned tokens."""
    return sum(p.numel() for p in make(32, depth, heads).parameters() if p.ndim > 1)


with checks.step("how many blocks, and what learns"):
    one, two, four = (checks.beside(weights_in, MaskDecoder, depth) for depth in (1, 2, 4))
    checks.equal([two - one, four - two], [16 * 32**2, 32 * 32**2], "what blocks 2, and 3 and 4, add in weights")


def what_learns(make: Callable, inputs: Mapping) -> dict:
    """Which parameters a gradient of masks and scores reaches."""
    torch.manual_seed(0)
    decoder = spread(make(32))
    learn = list(decoder.parameters())
    asked = [inputs[name] for name in ("image_feats", "image_pe", "sparse", "dense")]
    reached: dict = {}
    for name, multimask in (("many", True), ("one", False)):
        masks, iou = decoder(*asked, multimask, inputs["skips"])
        for what, output in (("masks", masks), ("iou", iou)):
            weights = torch.arange(output.numel()).reshape(output.shape).cos()
            slopes = torch.autograd.grad((output * weights).sum(), learn, retain_graph=True, allow_unused=True)
            reached[what, name] = [s is not None and bool(s.abs().max() > 0) for s in slopes]
    return {
        "never": sum(not any(one) for one in zip(*reached.values())),
        "frozen": sum(not p.requires_grad for p in learn),
    }


with checks.step("what learns"):
    seen = checks.beside(what_learns, MaskDecoder, given)
    checks.equal(
        [seen["frozen"], seen["never"]],
        [0, 0],
        "the numbers of frozen parameters, and of those that no gradient reaches",
    )

with checks.step("float64, and the arguments afterwards"):
    wide = {name: value.double() for name, value in given.items() if name != "skips"} | {
        "skips": tuple(skip.double() for skip in skips)
    }
    seen = checks.beside(decoded, MaskDecoder, wide, torch.float64)
    for name in ("masks, many", "iou, one"):
        checks.dtype(seen[name], torch.float64, name)


def after_decoding(make: Callable, inputs: Mapping) -> dict:
    """The inputs after a call."""
    decoder = make(32)
    with torch.no_grad():
        decoder(*(inputs[name] for name in ("image_feats", "image_pe", "sparse", "dense")), True, inputs["skips"])
    return {name: value for name, value in inputs.items() if name != "skips"} | dict(
        zip(("skip 1", "skip 2"), inputs["skips"])
    )


with checks.step("the arguments afterwards"):
    was = {name: value.clone() for name, value in given.items() if name != "skips"} | {
        "skip 1": skips[0].clone(),
        "skip 2": skips[1].clone(),
    }
    now = checks.beside(after_decoding, MaskDecoder, copy.deepcopy(given))
    for name, value in was.items():
        checks.equal(now[name], value, name)
### END HIDDEN TESTS


# %% given="loss-by-hand" after="loss-hints"
# what several tests use: the loss of one mask, pixel by pixel, and the IoU of one mask
def focal_and_dice(logits: torch.Tensor, gt: torch.Tensor) -> tuple[float, float]:
    """Focal and dice loss of one mask (H, W)."""
    focal, both, found, true = 0.0, 0.0, 0.0, 0.0
    for z, g in zip(logits.flatten().tolist(), gt.flatten().tolist()):
        p = 1 / (1 + math.exp(-z))
        p_t = p if g else 1 - p
        focal -= (1 - p_t) ** 2 * math.log(p_t) / logits.numel()
        both, found, true = both + p * g, found + p, true + g
    return focal, 1 - (2 * both + 1) / (found + true + 1)


def measured_iou(logits: torch.Tensor, gt: torch.Tensor) -> float:
    """Overlap of the pixels above 0 with the truth; 1 where both are empty."""
    pairs = list(zip((logits.flatten() > 0).tolist(), gt.flatten().tolist()))
    union = sum(a or b for a, b in pairs)
    return sum(a and b for a, b in pairs) / union if union else 1.0


def loss_by_hand(logits: torch.Tensor, iou_pred: torch.Tensor, gt: torch.Tensor, focal_weight: float = 20.0) -> float:
    """The loss, sample by sample and mask by mask."""
    batch, masks = logits.shape[:2]
    best, error = 0.0, 0.0
    for b in range(batch):
        costs = []
        for m in range(masks):
            focal, dice = focal_and_dice(logits[b, m], gt[b])
            costs.append(focal_weight * focal + dice)
            error += (iou_pred[b, m].item() - measured_iou(logits[b, m], gt[b])) ** 2
        best += min(costs) / batch
    return best + error / (batch * masks)


def loss_inputs(seed: int, batch: int = 2, masks: int = 3, h: int = 4, w: int = 6) -> tuple:
    """Logits, predicted IoU and true masks."""
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, masks, h, w, generator=draw)
    return logits, torch.rand(batch, masks, generator=draw), torch.rand(batch, h, w, generator=draw) < 0.4


# %% test="loss" points=6
def scalar(value: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(value, dtype=dtype)


with checks.step(
    "one mask of four pixels, its IoU as predicted; p = 3/4, 1/4, 1/2, 1/2, of which the first and the third are true"
):
    logits = torch.tensor([[[[math.log(3), -math.log(3), 0.0, 0.0]]]])
    truth = torch.tensor([[[True, False, True, False]]])
    # p_t = 3/4, 3/4, 1/2, 1/2. dice: 1 - (2 x 5/4 + 1) / (2 + 2 + 1). The first pixel alone is above 0: IoU 1/2
    one, two = -math.log(3 / 4), math.log(2)
    focal, dice = (2 * one / 16 + 2 * two / 4) / 4, 1 - 3.5 / 5
    came = ambiguity_loss(logits, torch.full((1, 1), 0.5), truth)
    checks.close(came, scalar(20 * focal + dice), "the loss", causes={
        "focal was summed over the pixels; it is a mean": scalar(80 * focal + dice),
        "this is cross entropy: the factor (1 - p_t)^2 is missing": scalar(20 * (one + two) / 2 + dice),
        "(1 - p_t) has no square": scalar(20 * (one / 4 + two / 2) / 2 + dice),
        "the factor is p_t^2: it should be small where the model is right": scalar(
            20 * (one * 9 / 16 + two / 4) / 2 + dice
        ),
        "dice has no + 1": scalar(20 * focal + 1 - 2.5 / 4),
        "dice has no factor 2": scalar(20 * focal + 1 - 2.25 / 5),
        "a logit of 0 was counted as in the mask; it begins above 0": scalar(20 * focal + dice + 1 / 36),
        "the focal loss was not weighed": scalar(focal + dice),
        "the measured IoU is made of probabilities; it is that of pixels": scalar(20 * focal + dice + (0.5 - 1.25 / 2.75) ** 2),
    })  # fmt: skip

with checks.step("three masks of two samples, whose best masks are different ones"):
    good = torch.tensor([[[True, False, False], [True, True, False]], [[False, False, True], [False, True, True]]])
    right = torch.where(good, 3.0, -3.0)
    logits = torch.stack(
        [torch.stack([right[0], -right[0], 0 * right[0]]), torch.stack([-right[1], 0 * right[1], right[1]])]
    )
    exact = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    each = torch.tensor(
        [[20 * f + d for f, d in (focal_and_dice(mask, good[b]) for mask in logits[b])] for b in range(2)]
    )
    came = ambiguity_loss(logits, exact, good)
    checks.close(came, each.min(1).values.mean(), "the loss, with the IoU as it is", causes={
        "the least was taken after the mean over the batch: all samples chose the same mask": each.mean(0).min(),
        "the mean of the masks was taken; it is the best one": each.mean(),
        "samples were summed": each.min(1).values.sum(),
        "the worst mask was taken": each.max(1).values.mean(),
    })  # fmt: skip

with checks.step("a mask with the least focal loss, and another with the least dice loss"):
    gt = torch.zeros(1, 6, 8, dtype=torch.bool)
    gt[0, 2, 3] = True
    sure = torch.full((6, 8), -5.0)
    spread_out = torch.where(gt[0], 2.0, -2.2)
    logits = torch.stack([sure, spread_out])[None]
    pairs = [focal_and_dice(mask, gt[0]) for mask in logits[0]]
    exact = torch.tensor([[measured_iou(mask, gt[0]) for mask in logits[0]]])
    for weight in (1.0, 20.0, 200.0):
        wanted = min(weight * f + d for f, d in pairs)
        apart = weight * min(f for f, _ in pairs) + min(d for _, d in pairs)
        checks.close(ambiguity_loss(logits, exact, gt, weight), scalar(wanted), f"focal_weight={weight:g}", causes={
            "the least focal loss and the least dice loss were taken of different masks": scalar(apart),
        })  # fmt: skip
    gt = torch.tensor([[[True, True, False, False]]])
    logits = torch.tensor([[[[0.9, 0.9, 0.9, -0.9]], [[-3.0, 5.0, -5.0, -5.0]]]])
    pairs = [focal_and_dice(mask, gt[0]) for mask in logits[0]]
    weights = (0.2, 1.0, 2.0, 5.0)
    exact = torch.tensor([[measured_iou(mask, gt[0]) for mask in logits[0]]])
    for weight in weights:
        checks.close(
            ambiguity_loss(logits, exact, gt, weight),
            scalar(min(weight * f + d for f, d in pairs)),
            f"two masks that are each better in one way, focal_weight={weight:g}",
        )

with checks.step("inputs that are new in every run, against loops"):
    logits, iou_pred, gt = loss_inputs(checks.fresh_seed())
    focal, dice = torch.tensor([[focal_and_dice(mask, gt[b]) for mask in logits[b]] for b in range(2)]).unbind(-1)
    gaps = torch.tensor([[iou_pred[b, m] - measured_iou(logits[b, m], gt[b]) for m in range(3)] for b in range(2)])
    best, winner = (20 * focal + dice).min(1)
    checks.close(ambiguity_loss(logits, iou_pred, gt), best.mean() + gaps.square().mean(), "the loss", causes={
        "the predicted IoU was compared for the best mask alone; all masks count": (
            best.mean() + gaps.gather(1, winner[:, None]).square().mean()
        ),
        "the errors of the predicted IoU were summed over the masks": best.mean() + gaps.square().sum(1).mean(),
        "the errors of the predicted IoU were not squared": best.mean() + gaps.abs().mean(),
        "the least focal loss and the least dice loss were taken of different masks": lambda: (
            checks.near(
                ambiguity_loss(logits, iou_pred, gt),
                (20 * focal.min(1).values + dice.min(1).values).mean() + gaps.square().mean(),
            )
        ),
    })  # fmt: skip

with checks.step("the error of the predicted IoU"):
    change = ambiguity_loss(logits.clone(), iou_pred + 1, gt) - ambiguity_loss(logits.clone(), iou_pred, gt)
    gap = sum(iou_pred[b, m].item() - measured_iou(logits[b, m], gt[b]) for b in range(2) for m in range(3)) / 6
    checks.close(change, scalar(1 + 2 * gap), "what the loss gains when all predictions are 1 higher", atol=1e-4)

# %% test="loss" points=6 forbids="torchvision.ops.sigmoid_focal_loss"
with checks.step("other numbers of masks and another weight, inputs that are new in every run"):
    for masks, weight in ((1, 20.0), (5, 3.0), (3, 0.0)):
        given = loss_inputs(checks.fresh_seed(), batch=3, masks=masks, h=5, w=2)
        wanted = scalar(loss_by_hand(*given, weight))
        checks.close(
            ambiguity_loss(*given, weight),
            wanted,
            f"{masks} masks, focal_weight={weight:g}",
        )

### BEGIN HIDDEN TESTS
for seed in (0, 1, 7):
    with checks.step(f"float64, against loops, seed {seed}"):
        logits, iou_pred, gt = loss_inputs(seed, batch=4)
        given = logits.double(), iou_pred.double(), gt
        wanted = scalar(loss_by_hand(*given), torch.float64)
        checks.close(ambiguity_loss(*given), wanted, "the loss")

with checks.step("empty masks"):
    gt = torch.zeros(2, 3, 4, dtype=torch.bool)
    logits = torch.full((2, 2, 3, 4), -2.0)
    logits[1, 1, 0, 0] = 2.0
    given = logits, torch.tensor([[0.5, 0.25], [1.0, 0.75]]), gt
    wanted = scalar(loss_by_hand(*given))
    checks.close(ambiguity_loss(*given), wanted, "the loss, where nothing is there")

with checks.step("logits of 1000"):
    gt = torch.tensor([[[True, False]]])
    for sign in (1.0, -1.0):
        logits = torch.tensor([[[[1000.0, -1000.0]]]]) * sign
        came = ambiguity_loss(logits, torch.zeros(1, 1), gt)
        checks.finite(came, f"the loss of logits {logits.flatten().tolist()}", causes={
            "the logarithm of a probability that is 0 in floating point; take it from the logits": lambda: True,
        })  # fmt: skip
        # right: IoU 1 against 0 predicted. wrong: each pixel has -log p_t = 1000
        checks.close(
            came, scalar(1.0 if sign > 0 else 20 * 1000 + 1 - 1 / 3), f"the loss of logits {logits.flatten().tolist()}"
        )


def loss_slopes(fn: Callable, logits: torch.Tensor, iou_pred: torch.Tensor, gt: torch.Tensor) -> tuple:
    """The gradients for logits and for the predicted IoU."""
    logits, iou_pred = logits.clone().requires_grad_(), iou_pred.clone().requires_grad_()
    loss = fn(logits, iou_pred, gt)
    return torch.autograd.grad(loss, (logits, iou_pred), allow_unused=True)


def best_masks(logits: torch.Tensor, gt: torch.Tensor) -> list[int]:
    """Which mask of each sample is the best."""
    found = []
    for b in range(len(logits)):
        costs = [20 * f + d for f, d in (focal_and_dice(mask, gt[b]) for mask in logits[b])]
        found.append(costs.index(min(costs)))
    return found


for seed in (0, 1, 7):
    with checks.step(f"gradients, seed {seed}"):
        logits, iou_pred, gt = (x.double() if x.is_floating_point() else x for x in loss_inputs(seed, batch=4))
        for_logits, for_iou = checks.beside(loss_slopes, ambiguity_loss, logits, iou_pred, gt)
        checks.that(
            for_logits is not None and for_iou is not None,
            "there is a gradient for logits and for iou_pred",
            came="none",
        )
        best = best_masks(logits, gt)
        for b, m in itertools.product(range(4), range(3)):
            size = for_logits[b, m].abs().max().item()
            if m == best[b]:
                checks.that(size > 1e-6, f"sample {b}: the best mask, {m}, has a gradient", came=f"{size:.3g}")
            else:
                checks.that(size == 0, f"sample {b}: mask {m} is not the best and has no gradient", came=f"{size:.3g}")  # fmt: skip
        true = torch.tensor(
            [[measured_iou(logits[b, m], gt[b]) for m in range(3)] for b in range(4)], dtype=torch.float64
        )
        checks.close(for_iou, 2 * (iou_pred - true) / 12, "the gradient for iou_pred")
        b, m, step = 1, best[1], 1e-5
        there, back = logits.clone(), logits.clone()
        there[b, m, 2, 3] += step
        back[b, m, 2, 3] -= step
        slope = (loss_by_hand(there, iou_pred, gt) - loss_by_hand(back, iou_pred, gt)) / (2 * step)
        checks.close(
            for_logits[b, m, 2, 3],
            scalar(slope, torch.float64),
            "one entry of the gradient, against a difference",
            rtol=1e-3,
        )

with checks.step("the arguments afterwards, another device, no shortcut"):
    given = loss_inputs(3)
    after = checks.beside(observe.arguments_after, ambiguity_loss, *given)
    for was, now in checks.each(given, after):
        checks.equal(now, was, "an argument afterwards")
    checks.equal(checks.beside(observe.devices_away, ambiguity_loss, *given), ["meta"], "the device of the loss")
    checks.forbidden(FORBIDDEN, ambiguity_loss, *given)
### END HIDDEN TESTS


# %% given="click-by-hand" after="click-hints"
# what several tests use: the error that a click goes into, and how far its pixels are from the border
def error_of(pred: torch.Tensor, gt: torch.Tensor) -> tuple[list[tuple[int, int]], int]:
    """The (row, column) of the pixels of the larger error, and the label of a click there."""
    pairs = [[(bool(p), bool(g)) for p, g in zip(*rows)] for rows in zip(pred, gt)]
    kinds = {
        label: [(r, c) for r, row in enumerate(pairs) for c, pair in enumerate(row) if pair == wrong]
        for label, wrong in ((1, (False, True)), (0, (True, False)))
    }
    label = 1 if len(kinds[1]) >= len(kinds[0]) else 0
    return kinds[label], label


def farthest(error: Sequence[tuple[int, int]], h: int, w: int) -> list[tuple[float, float]]:
    """The centers (x, y) of the pixels of an error that are farthest from all that is not in it, nor in the image."""
    outside = [(r, c) for r in range(-1, h + 1) for c in range(-1, w + 1) if (r, c) not in set(error)]
    distance = {one: min((one[0] - r) ** 2 + (one[1] - c) ** 2 for r, c in outside) for one in error}
    most = max(distance.values())
    return [(c + 0.5, r + 0.5) for (r, c), d in distance.items() if d == most]


def mask_of(*rows: str) -> torch.Tensor:
    """A mask from lines such as '.##.'."""
    return torch.tensor([[letter == "#" for letter in row] for row in rows])


def clicked(came: object) -> tuple[tuple[float, float], int]:
    """The click, after a look at its form."""
    good = isinstance(came, tuple) and len(came) == 2 and isinstance(came[0], tuple) and len(came[0]) == 2
    checks.that(good, "a click is ((x, y), label)", came=checks.describe(came))
    checks.that(all(isinstance(one, float) for one in came[0]), "x and y are floats", came=checks.describe(came))
    checks.that(type(came[1]) is int, "the label is an int", came=checks.describe(came))
    return came


# %% test="click" points=6
with checks.step("a block of 3 x 5 pixels is missing"):
    gt = mask_of("..........", "....#####.", "....#####.", "....#####.", "..........")
    nothing = torch.zeros_like(gt)
    (x, y), label = clicked(next_click(nothing, gt))
    checks.equal(label, 1, "the label: something is missing")
    checks.that(y == 2.5 and x in (5.5, 6.5, 7.5), "the click is in the middle row, a pixel or more from the ends", came=f"({x}, {y})", causes={
        "these are row and column; a place is (x, y)": lambda: x == 2.5 and y in (5.5, 6.5, 7.5),
        "this is the corner of a pixel; its center is half a pixel further": lambda: y == 2 and x in (5, 6, 7),
    })  # fmt: skip

with checks.step("the same block is too much"):
    (x, y), label = clicked(next_click(gt, nothing))
    checks.equal(label, 0, "the label: something is too much")
    checks.that(y == 2.5 and x in (5.5, 6.5, 7.5), "the click is in the middle row", came=f"({x}, {y})")

with checks.step("nothing is wrong"):
    for mask, what in ((gt, "equal masks"), (nothing, "two empty masks")):
        came = next_click(mask, mask.clone())
        checks.that(came is None, f"None for {what}", came=checks.describe(came))

with checks.step("two small errors of one kind, and a larger one of the other"):
    pred = mask_of(".........", ".........", "......###", "......###")
    gt = mask_of("##.....##", "##.....##", ".........", ".........")
    ((x, y), label), wanted = clicked(next_click(pred, gt)), 1
    checks.equal(label, wanted, "the label: 8 pixels are missing, 6 are too many", causes={
        "regions were compared one by one; all that is missing counts as one error": lambda: label == 0,
    })  # fmt: skip

with checks.step("a line of 10 pixels is missing, and a block of 9 pixels is too much"):
    gt = mask_of("##########...", ".............", ".............", ".............", ".............")
    pred = mask_of(".............", ".............", ".........###.", ".........###.", ".........###.")
    (x, y), label = clicked(next_click(pred, gt))
    checks.equal(label, 1, "the label")
    checks.that(y == 0.5 and x < 10, "the click is in the line", came=f"({x}, {y})", causes={
        "the click is in the error of the other kind": lambda: (x, y) == (10.5, 3.5),
    })  # fmt: skip

with checks.step("a square of side 7, and a diamond that is wider and no thicker"):
    row, column = torch.meshgrid(torch.arange(11), torch.arange(24), indexing="ij")
    square = (row >= 2) & (row < 9) & (column >= 14) & (column < 21)
    diamond = (row - 5).abs() + (column - 6).abs() <= 4
    place, _ = clicked(next_click(torch.zeros_like(square), square | diamond))
    checks.equal(place, (17.5, 5.5), "the middle of the square, 4 pixels from its border", causes={
        "distances were counted in steps along rows and columns; they are straight": (6.5, 5.5),
    })  # fmt: skip

with checks.step("smooth masks that are new in every run, against trying all pixels"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    for h, w in ((10, 17), (15, 9), (12, 14)):
        pred, gt = F.avg_pool2d(torch.randn(2, 1, h, w, generator=draw), 5, 1, 2)[:, 0] > -0.02
        if (gt & ~pred).sum() == (pred & ~gt).sum():  # which goes first then is asked elsewhere
            pred[0, 0] = ~pred[0, 0]
        error, wanted = error_of(pred, gt)
        place, label = clicked(next_click(pred, gt))
        checks.equal(label, wanted, "the label")
        best = farthest(error, h, w)
        checks.that(
            place in best, "the click is as far from the border as any", came=f"{place}", expected=f"one of {best}"
        )

with checks.step("what is not allowed"):
    checks.raises(ValueError, next_click, pred, gt, "middle", name='strategy="middle"')
    checks.raises(ValueError, next_click, pred, gt[:, 1:], name="masks of different shape")

# %% test="click" points=6
with checks.step("a block at the border of the image, of a size that is new in every run"):
    wide = int(torch.randint(5, 12, (), generator=torch.Generator().manual_seed(checks.fresh_seed())))
    gt = torch.zeros(9, 20, dtype=torch.bool)
    gt[:5, :wide] = True
    place, label = clicked(next_click(torch.zeros_like(gt), gt))
    best = farthest(*error_of(torch.zeros_like(gt), gt)[:1], 9, 20)
    checks.equal(label, 1, "the label")
    checks.that(place in best, "the click is in the middle of the block", came=f"{place}", expected=f"one of {best}", causes={
        "the border of the image was not counted as a border": lambda: place[1] == 0.5,
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("the masks afterwards"):
    pred, gt = mask_of("##..#", ".....", "###.."), mask_of("#.###", "#..##", "##..#")
    after = checks.beside(observe.arguments_after, next_click, pred, gt)
    for was, now in checks.each((pred, gt), after):
        checks.equal(now, was, "an argument afterwards")

with checks.step("as many pixels are missing as are too many"):
    came = [
        clicked(next_click(*pair))[1]
        for pair in ((mask_of("##..", "...."), mask_of("....", "..##")), (mask_of("...#"), mask_of("#...")))
    ]
    checks.equal(came, [1, 1], "the labels: what is missing goes first")

with checks.step("a ring"):
    row, column = torch.meshgrid(torch.arange(15), torch.arange(17), indexing="ij")
    away = ((row - 7) ** 2 + (column - 8) ** 2).sqrt()
    ring = (away > 3) & (away < 7)
    place, label = clicked(next_click(torch.zeros_like(ring), ring))
    checks.that(place in farthest(error_of(~ring & False, ring)[0], 15, 17), "the click is inside of the ring", came=f"{place}", causes={
        "this is the center of gravity, which lies outside of the ring": lambda: place == (8.5, 7.5),
    })  # fmt: skip

for seed in range(6):
    with checks.step(f"smooth errors, against trying all pixels, seed {seed}"):
        noise = F.avg_pool2d(checks.normal(seed)(2, 1, 14, 19), 5, 1, 2)[:, 0]
        pred, gt = noise > 0.05 * (seed % 3 - 1)
        error, wanted = error_of(pred, gt)
        place, label = clicked(next_click(pred, gt))
        checks.equal(label, wanted, "the label")
        best = farthest(error, 14, 19)
        checks.that(
            place in best, "the click is as far from the border as any", came=f"{place}", expected=f"one of {best}"
        )

with checks.step("the whole image is missing"):
    gt = torch.ones(5, 9, dtype=torch.bool)
    (x, y), label = clicked(next_click(~gt, gt))
    checks.that(y == 2.5 and 2.5 <= x <= 6.5, "the click is in the middle row", came=f"({x}, {y})")

with checks.step("one pixel"):
    for r, c, h, w in ((0, 4, 3, 5), (2, 0, 3, 5), (0, 0, 1, 1)):
        gt = torch.zeros(h, w, dtype=torch.bool)
        gt[r, c] = True
        for strategy in ("center", "random"):
            checks.equal(
                next_click(~gt & False, gt, strategy),
                ((c + 0.5, r + 0.5), 1),
                f"{strategy}: pixel ({r}, {c}) is missing",
            )
            checks.equal(
                next_click(gt, ~gt & False, strategy),
                ((c + 0.5, r + 0.5), 0),
                f"{strategy}: pixel ({r}, {c}) is too much",
            )


def many_clicks(fn: Callable, pred: torch.Tensor, gt: torch.Tensor, runs: int, seed: int) -> tuple:
    """Places and labels of random clicks by one generator, the same once more, and whether the global state stayed."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(seed)
    found = [fn(pred, gt, "random", generator) for _ in range(runs)]
    again = fn(pred, gt, "random", torch.Generator().manual_seed(seed))
    return found, again, torch.equal(before, torch.get_rng_state())


with checks.step("random clicks"):
    pred, gt = mask_of("##..#", ".....", "###.."), mask_of("#.###", "#..##", "##..#")
    error, wanted = error_of(pred, gt)
    found, again, untouched = checks.beside(many_clicks, next_click, pred, gt, 1200, 3)
    checks.equal(len(found), 1200, "the number of clicks")
    checks.equal(clicked(again), clicked(found[0]), "the first click of the same generator")
    checks.that(untouched, "with a generator the global random state is as before", came="another one", causes={
        "a random number came from the global state, not from the generator": True,
    })  # fmt: skip
    places = {(c + 0.5, r + 0.5): 0 for r, c in error}
    for place, label in found:
        checks.that(
            tuple(place) in places and label == wanted,
            "a click in the larger error, with its label",
            came=f"{place}, {label}",
        )
        places[tuple(place)] += 1
    share = 1200 / len(error)
    counts = list(places.values())
    checks.that(
        0.7 * share < min(counts) and max(counts) < 1.3 * share, f"each pixel about {share:.0f} times", came=f"{counts}"
    )


def by_global_state(fn: Callable, pred: torch.Tensor, gt: torch.Tensor) -> list:
    """Random clicks without a generator: after seeds 0, 0 and 1."""
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append([fn(pred, gt, "random") for _ in range(20)])
    return found


with checks.step("random clicks without a generator"):
    same, again, other = checks.beside(by_global_state, next_click, pred, gt)
    checks.equal(again, same, "clicks after the same global seed")
    checks.that(other != same, "another global seed gives other clicks", came="the same")

with checks.step("None and errors for random clicks, too"):
    checks.that(next_click(gt, gt, "random") is None, "None where nothing is wrong", came="a click")
    checks.raises(ValueError, next_click, gt, gt, "", name='strategy="", equal masks')
    checks.raises(ValueError, next_click, gt, gt.T, "random", name="masks (3, 5) and (5, 3)")
### END HIDDEN TESTS


# %% test="noc" points=4
with checks.step("three objects, five clicks"):
    ious = torch.tensor(
        [[0.90, 0.91, 0.92, 0.93, 0.94], [0.30, 0.86, 0.70, 0.80, 0.90], [0.20, 0.40, 0.60, 0.80, 0.84]]
    )
    came = noc(ious)
    checks.that(
        isinstance(came, tuple) and [type(one) for one in came] == [float, float],
        "two floats come back",
        came=checks.describe(came),
    )
    checks.close(torch.tensor(came[0]), torch.tensor((1 + 2 + 5) / 3), "the mean number of clicks", causes={
        "clicks are counted from 0": torch.tensor((0 + 1 + 5) / 3),
        "an object that never gets there was counted as one click": torch.tensor((1 + 2 + 1) / 3),
        "objects that never get there were left out": torch.tensor(1.5),
        "the clicks below the target were counted; the first that reaches it ends the count": torch.tensor((1 + 4 + 5) / 3),
        "a failure was counted as one click more than there are": torch.tensor((1 + 2 + 6) / 3),
    })  # fmt: skip
    checks.close(torch.tensor(came[1]), torch.tensor(1 / 3), "the share of failures", causes={
        "this is the share of objects that get there": torch.tensor(2 / 3),
    })  # fmt: skip

with checks.step("overlaps and targets that are new in every run"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    ious = torch.rand(23, 6, generator=draw)
    for target in (0.5, 0.8, 0.99):
        clicks = [next((j for j, one in enumerate(row, 1) if one >= target), 0) for row in ious.double().tolist()]
        came = noc(ious, target)
        checks.close(torch.tensor(came[0]), torch.tensor(sum(one or 6 for one in clicks) / 23), f"clicks to {target}")
        checks.close(torch.tensor(came[1]), torch.tensor(clicks.count(0) / 23), f"share of failures at {target}")

### BEGIN HIDDEN TESTS
with checks.step("exactly the target, at the first click and at the last"):
    for dtype in (torch.float32, torch.float64):
        came = noc(torch.tensor([[0.5, 0.5], [0.25, 0.5]], dtype=dtype), 0.5)
        checks.equal(came, (1.5, 0.0), "clicks and failures", causes={
            "an overlap of exactly the target reaches it": lambda came=came: came == (2.0, 1.0),
        })  # fmt: skip

with checks.step("one click, one object, all fail"):
    checks.equal(noc(torch.tensor([[0.9], [0.1]])), (1.0, 0.5), "one click")
    checks.equal(noc(torch.tensor([[0.1, 0.2, 0.3]])), (3.0, 1.0), "one object that fails")

with checks.step("the mean of many is not rounded"):
    came = noc((torch.arange(30_000)[:, None] % 3 <= torch.arange(3)).float())
    checks.equal(came, (2.0, 0.0), "clicks 1, 2 and 3, ten thousand times each")

with checks.step("nothing at all"):
    for size in ((0, 4), (3, 0), (0, 0)):
        checks.raises(ValueError, noc, torch.zeros(size), name=f"overlaps of shape {size}")

with checks.step("the overlaps afterwards"):
    (after,) = checks.beside(observe.arguments_after, noc, ious, 0.8)
    checks.equal(after, ious, "the overlaps that were given")
### END HIDDEN TESTS


# %% given="memory-probes" after="memory-hints"
# what several tests use: a trace of frames that are added to a bank, and propagation by loops
def traced(make: Callable, options: Mapping, prompts: Sequence[bool], numbers: Sequence[int] | None = None) -> list:
    """After each frame: the first feature, the value and the offset of each place in the bank; frames are 1 x 2."""
    bank = make(**options)
    found = []
    for n, prompted in enumerate(prompts):
        feats = torch.tensor([[[float(n), n + 0.5]], [[-1.0, -2.0]]])
        bank.add(numbers[n] if numbers else n, feats, torch.tensor([[n / 100, n / 100 + 0.5]]), prompted)
        memory, values, ago = bank.read()
        found.append((memory, values, ago))
    return found


def places_of(frames: Sequence[int]) -> torch.Tensor:
    """The features (L, 2) of the frames of `traced`."""
    return torch.tensor([row for n in frames for row in ([float(n), -1.0], [n + 0.5, -2.0])]).reshape(-1, 2)


def carried_by_loops(
    frames: torch.Tensor,
    first: torch.Tensor,
    n_recent: int = 6,
    n_prompted: int = 2,
    temperature: float = 0.05,
    top_k: int = 8,
    first_is_recent: bool = False,
    lengths: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """`propagate`, place by place, in float64; features get these lengths."""
    steps, _, h, w = frames.shape
    unit = F.normalize(frames.double(), dim=1) * lengths
    masks = [first.double()]
    for t in range(1, steps):
        known = ([0] if n_prompted else []) + [s for s in range(not first_is_recent, t) if s >= t - n_recent]
        keys = [(unit[s, :, r, c], masks[s][r, c]) for s in known for r in range(h) for c in range(w)]
        mask = torch.zeros(h, w, dtype=torch.float64)
        for r, c in itertools.product(range(h), range(w)):
            best = sorted(((unit[t, :, r, c] @ key).item() / temperature, value.item()) for key, value in keys)[-top_k:]
            powers = [math.exp(a - best[-1][0]) for a, _ in best]
            mask[r, c] = sum(p * v for p, (_, v) in zip(powers, best)) / sum(powers)
        masks.append(mask)
    return torch.stack(masks)


# %% test="memory" points=5
with checks.step("20 frames, the first one prompted; a bank for 3 recent and 1 prompted"):
    seen = checks.beside(traced, MemoryBank, {"n_recent": 3, "n_prompted": 1}, [True] + 19 * [False])
    for n, (memory, values, ago) in checks.each(range(20), seen):
        frames = [0, *range(max(1, n - 2), n + 1)]
        if n in (0, 2, 5, 19):
            checks.close(memory, places_of(frames), f"memory after frame {n}", causes={
                "the prompted frame was pushed out by later ones": lambda n=n, memory=memory: n > 3 and bool((memory[:, 0] >= 1).all()),
                "the oldest recent frames were kept, not the latest": lambda n=n, memory=memory: n > 3 and checks.near(memory, places_of([0, 1, 2, 3])),
                "the places stand column by column: one feature after the other": lambda memory=memory: memory.shape[0] == 2 and memory.shape[1] != 2,
            })  # fmt: skip
            checks.close(
                values, torch.tensor([v for f in frames for v in (f / 100, f / 100 + 0.5)]), f"values after frame {n}"
            )
            checks.equal(ago, torch.tensor([n - f for f in frames for _ in range(2)]), f"t_offset after frame {n}")

with checks.step("nothing is remembered"):
    checks.raises(ValueError, MemoryBank().read, name="read of an empty bank")

with checks.step("a video of random features that is new in every run, against loops"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    frames, first = torch.randn(5, 4, 2, 3, generator=draw), torch.rand(2, 3, generator=draw)
    came = propagate(frames, first, temperature=0.3, top_k=4)
    lengths = frames.norm(dim=1, keepdim=True)
    checks.close(came, carried_by_loops(frames, first, temperature=0.3, top_k=4).float(), "the masks", atol=1e-4, causes={
        "`temperature` was not read": carried_by_loops(frames, first, top_k=4).float(),
        "`top_k` was not read": carried_by_loops(frames, first, temperature=0.3).float(),
        "only the first frame is remembered": carried_by_loops(frames, first, 0, temperature=0.3, top_k=4).float(),
        "later frames were added as prompted, and pushed out the first": lambda: checks.near(
            came, carried_by_loops(frames, first, 2, 0, 0.3, 4, first_is_recent=True).float(), atol=1e-4
        ),
        "the features were not brought to length 1: long ones win": lambda: checks.near(
            came, carried_by_loops(frames, first, temperature=0.3, top_k=4, lengths=lengths).float(), atol=1e-4
        ),
    })  # fmt: skip

with checks.step("a mask of ones"):
    came = propagate(frames, torch.ones(2, 3), top_k=2)
    checks.close(came, torch.ones(5, 2, 3), "the masks: weights sum to 1", causes={
        "the softmax ran over all places, and the top_k of its weights do not sum to 1": lambda: bool((came[1:] < 1).any() and (came >= 0).all() and (came <= 1 + 1e-5).all()),
    })  # fmt: skip

# %% test="memory" points=5
with checks.step("features that stand still, a mask that is new in every run"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    still, first = torch.randn(1, 16, 3, 4, generator=draw).expand(6, 16, 3, 4), torch.rand(3, 4, generator=draw)
    came = propagate(still, first, top_k=1)
    checks.close(came, first.expand(6, 3, 4), "the mask of all frames, with top_k=1", atol=1e-4)

### BEGIN HIDDEN TESTS
for options, prompts in (
    ({"n_recent": 3, "n_prompted": 2}, [True, False, True, False, True, False, False, False, True]),
    ({"n_recent": 0, "n_prompted": 1}, [True, False, False, True, False]),
    ({"n_recent": 4, "n_prompted": 1}, [False, False, True, False, False, True, True]),
    ({}, [True, True, True] + 8 * [False]),
    ({"n_recent": 2, "n_prompted": 0}, [False, True, False, False, True]),
):
    with checks.step(
        f"{options or 'the sizes of the signature'}, prompted frames {[n for n, p in enumerate(prompts) if p]}"
    ):
        numbers = [3 * n + 7 for n in range(len(prompts))]
        limits = {"n_recent": 6, "n_prompted": 2} | options
        seen = checks.beside(traced, MemoryBank, options, prompts, numbers)
        for n, (memory, values, ago) in checks.each(range(len(prompts)), seen):
            known = [f for f in range(n + 1) if prompts[f]]
            known = known[len(known) - limits["n_prompted"] :] if len(known) > limits["n_prompted"] else known
            late = [f for f in range(n + 1) if not prompts[f]]
            known = known + (late[len(late) - limits["n_recent"] :] if len(late) > limits["n_recent"] else late)
            checks.close(memory, places_of(known), f"memory after frame {n}")
            checks.close(
                values, torch.tensor([v for f in known for v in (f / 100, f / 100 + 0.5)]), f"values after frame {n}"
            )
            checks.equal(
                ago,
                torch.tensor([3 * (n - f) for f in known for _ in range(2)], dtype=torch.int64),
                f"t_offset after frame {n}, numbers in steps of 3",
            )


def kept_apart(make: Callable, dtype: torch.dtype) -> tuple:
    """What is read after the tensors that were added have changed, after what was read has, and from a second bank."""
    bank, other = make(), make()
    feats, mask = (
        torch.arange(12.0).reshape(2, 2, 3).to(dtype),
        torch.tensor([[True, False, True], [False, True, True]]),
    )
    bank.add(0, feats, mask, True)
    feats += 100
    mask[:] = False
    first = [one.clone() for one in bank.read()]
    for one in bank.read():
        one += 50
    second = [one.clone() for one in bank.read()]
    other.add(4, torch.zeros(2, 1, 1, dtype=dtype), torch.zeros(1, 1), False)
    return first, second, [len(one) for one in other.read()]


for dtype in (torch.float32, torch.float64):
    with checks.step(f"copies, bool masks, {dtype}"):
        first, second, sizes = checks.beside(kept_apart, MemoryBank, dtype)
        wanted = (
            torch.arange(12.0).reshape(2, 6).T.to(dtype).contiguous(),
            torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 1.0]).to(dtype),
            torch.zeros(6, dtype=torch.int64),
        )
        for name, want, one in checks.each(("memory", "values", "t_offset"), wanted, first):
            checks.close(one, want, f"{name}, after the tensors that were added have changed", causes={
                "the bank keeps the caller's tensors, not copies": True,
            })  # fmt: skip
        checks.equal(sizes, [1, 1, 1], "the places of a second bank")

for seed in (0, 1, 7):
    for options in (
        {},
        {"n_recent": 1, "temperature": 0.5, "top_k": 3},
        {"n_recent": 0, "temperature": 1.0, "top_k": 100},
    ):
        with checks.step(f"float64, against loops, seed {seed}, {options or 'defaults'}"):
            randn = checks.normal(seed, torch.float64)
            frames, first = 3 * randn(10, 3, 3, 2), randn(3, 2).sigmoid()
            checks.close(
                propagate(frames, first, **options), carried_by_loops(frames, first, **options), "the masks", atol=1e-6
            )

with checks.step("the future does not change the past"):
    frames, first = checks.normal(2)(6, 5, 2, 3), checks.normal(3)(2, 3) > 0
    came = propagate(frames, first)
    later = frames.clone()
    later[4:] = checks.normal(4)(2, 5, 2, 3)
    other = propagate(later, first)
    checks.close(other[:4], came[:4], "masks 0 to 3, where frames 4 and 5 are others")  # fmt: skip
    checks.that(bool((other[4:] - came[4:]).abs().max() > 1e-3), "masks 4 and 5 change", came="they are the same")
    checks.close(came[0], first.float(), "mask 0")

with checks.step("one frame; features of any length; the arguments afterwards; another device"):
    checks.close(propagate(frames[:1], first), first.float()[None], "the mask of the only frame")
    scaled = frames * torch.rand(6, 1, 2, 3, generator=torch.Generator().manual_seed(0)).add(0.2)
    checks.close(
        propagate(scaled, first), came, "the masks of features of other lengths, in the same directions", atol=1e-4
    )
    after = checks.beside(observe.arguments_after, propagate, frames, first)
    for was, now in checks.each((frames, first), after):
        checks.equal(now, was, "an argument afterwards")
    checks.equal(checks.beside(observe.devices_away, propagate, frames, first), ["meta"], "the device of the masks")
### END HIDDEN TESTS
