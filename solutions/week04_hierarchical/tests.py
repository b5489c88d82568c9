# %% test="partition" points=4
with checks.step("a 4 x 4 map with the numbers 0 to 15, windows of 2 x 2"):
    windows = window_partition(torch.arange(16.0).reshape(1, 4, 4, 1), 2)
    checks.shape(windows, (4, 2, 2, 1), "the windows")
    checks.close(
        windows.reshape(4, 4),
        torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]),
        "the windows, each written as one row",
        causes={
            "stripes: a reshape alone cuts rows of the map; there must be a permute before the last reshape": (
                torch.arange(16.0).reshape(4, 4)
            ),
            "the windows are numbered column by column; they stand row by row": torch.tensor(
                [[0.0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7], [10, 11, 14, 15]]
            ),
            "each window is transposed: its rows and columns changed places": torch.tensor(
                [[0.0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 13], [10, 14, 11, 15]]
            ),
        },
    )

with checks.step("a height of 5 and windows of 2 x 2"):
    checks.raises(ValueError, window_partition, torch.zeros(1, 5, 4, 1), 2, name="a 5 x 4 map")

with checks.step("a map of numbers that nobody has seen, 2 x 6 tokens, windows of 2 x 3"):
    maps = checks.normal(checks.fresh_seed())(1, 2, 6, 1)
    checks.equal(window_partition(maps, (2, 3)), torch.cat([maps[:, :, :3], maps[:, :, 3:]]), "the two windows")


# %% test="partition" points=4
def cut_by_loop(x: torch.Tensor, wh: int, ww: int) -> torch.Tensor:
    """The windows, one after the other: slow, and easy to check by eye."""
    height, width = x.shape[1:3]
    corners = [(top, left) for top in range(0, height, wh) for left in range(0, width, ww)]
    return torch.stack([image[top : top + wh, left : left + ww] for image in x for top, left in corners])


with checks.step("2 maps of 4 x 6 with 3 channels, windows of 2 x 3"):
    maps = checks.normal(seed=0)(2, 4, 6, 3)
    windows = window_partition(maps, (2, 3))
    checks.shape(windows, (8, 2, 3, 3), "the windows")
    wanted = cut_by_loop(maps, 2, 3)
    checks.close(
        windows,
        wanted,
        "the windows",
        causes={
            "window 0 of all maps comes first; all windows of the first map must come first": wanted.unflatten(
                0, (2, 4)
            )
            .transpose(0, 1)
            .flatten(0, 1),
        },
    )
    checks.equal(
        checks.beside(observe.arguments_after, window_partition, maps, (2, 3))[0],
        maps,
        "the maps after the call (an argument must not be changed in place)",
    )

with checks.step("the number of torch operators for 4 and for 64 windows"):
    counts = [
        checks.beside(observe.operator_count, window_partition, torch.zeros(1, side, side, 1), 2) for side in (4, 16)
    ]
    checks.that(
        counts[0] == counts[1],
        "vectorized code runs the same operators for any number of windows",
        came=f"{counts[0]} operators for 4 windows, {counts[1]} for 64",
        causes={"a Python loop over windows or rows": lambda: counts[1] > counts[0] + 3},
    )

### BEGIN HIDDEN TESTS
for batch, height, width, channels, window in ((1, 8, 8, 4, (4, 4)), (3, 6, 15, 2, (2, 5)), (2, 12, 4, 1, (3, 4))):
    for kind in (torch.float32, torch.float64, torch.int64):
        with checks.step(f"against timm, {batch} maps of {height} x {width}, windows of {window}, {kind}"):
            maps = (100 * checks.normal(seed=height)(batch, height, width, channels)).to(kind)
            checks.equal(window_partition(maps, window), timm_swin.window_partition(maps, window), "the windows")

with checks.step("windows of 4 x 4 fit into the height 8, but not into the width 10"):
    checks.raises(ValueError, window_partition, torch.zeros(1, 8, 10, 3), 4, name="an 8 x 10 map")

with checks.step("maps whose numbers do not lie one after the other in memory, and their gradient"):
    maps = checks.normal(seed=1)(3, 2, 6, 4).permute(3, 2, 1, 0)  # (4, 6, 2, 3)
    checks.equal(window_partition(maps, (3, 1)), timm_swin.window_partition(maps, (3, 1)), "the windows")
    theirs = observe.gradients(timm_swin.window_partition, maps.requires_grad_(), (3, 1))[0]
    mine = checks.beside(observe.gradients, window_partition, maps, (3, 1))[0]
    checks.that(mine is not None, "a gradient comes back to the maps", came="none")
    checks.equal(mine, theirs, "the gradient that comes back to the maps")
### END HIDDEN TESTS

# %% test="partition" points=4
with checks.step("four windows of 2 x 2 make one 4 x 4 map"):
    windows = torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]).reshape(4, 2, 2, 1)
    came = window_reverse(windows, 2, 4, 4)
    checks.shape(came, (1, 4, 4, 1), "the map")
    checks.close(
        came.reshape(4, 4),
        torch.arange(16.0).reshape(4, 4),
        "the map",
        causes={
            "the numbers were only reshaped; the windows must be moved to their places": windows.reshape(4, 4),
            "the grid was filled column by column": windows.reshape(2, 2, 2, 2).permute(1, 2, 0, 3).reshape(4, 4),
        },
    )

with checks.step("windows of 3 x 3 cannot make a 4 x 6 map"):
    checks.raises(ValueError, window_reverse, torch.zeros(2, 3, 3, 1), 3, 4, 6, name="a 4 x 6 map of 3 x 3 windows")

### BEGIN HIDDEN TESTS
for batch, height, width, channels, window in ((3, 4, 6, 2, (2, 2)), (1, 8, 4, 3, (4, 2)), (2, 6, 15, 1, (2, 5))):
    with checks.step(f"{batch} maps of {height} x {width} from timm's windows of {window}"):
        maps = checks.normal(seed=width)(batch, height, width, channels)
        windows = timm_swin.window_partition(maps, window)

        def swapped_grid(windows: torch.Tensor = windows, window: tuple[int, int] = window) -> torch.Tensor:
            rows, columns = height // window[0], width // window[1]
            grid = windows.reshape(-1, columns, rows, *window, channels)
            return grid.permute(0, 2, 3, 1, 4, 5).reshape(-1, height, width, channels)

        checks.equal(
            window_reverse(windows, window, height, width),
            maps,
            "the maps",
            causes={
                "rows and columns of the grid changed places": swapped_grid,
            },
        )

with checks.step("6 windows are no whole number of maps of 4 windows"):
    checks.raises(ValueError, window_reverse, torch.zeros(6, 2, 2, 1), 2, 4, 4, name="6 windows for 4 x 4 maps")

with checks.step(
    "windows of 2 x 3 fit into the height 4, but not into the width 5; into the width 6, not the height 3"
):
    for height, width in ((4, 5), (3, 6)):
        checks.raises(
            ValueError,
            window_reverse,
            torch.zeros(12, 2, 3, 1),
            (2, 3),
            height,
            width,
            name=f"a {height} x {width} map of 2 x 3 windows",
        )

with checks.step("windows of whole numbers, as they are after the call"):
    numbers = torch.arange(48).reshape(8, 2, 3, 1)
    grid = window_reverse(numbers, (2, 3), 4, 6)
    checks.equal(grid, timm_swin.window_reverse(numbers, (2, 3), 4, 6), "the maps")
    checks.equal(
        checks.beside(observe.arguments_after, window_reverse, numbers, (2, 3), 4, 6)[0],
        numbers,
        "the windows after the call (an argument must not be changed in place)",
    )

with checks.step("the number of torch operators for 4 and for 64 windows"):
    counts = [
        checks.beside(observe.operator_count, window_reverse, torch.zeros(side * side // 4, 2, 2, 1), 2, side, side)
        for side in (4, 16)
    ]
    checks.equal(
        counts[1],
        counts[0],
        "operators for 64 windows, which should be those for 4",
        causes={"a loop over windows or rows in Python": lambda: counts[1] > counts[0] + 3},
    )
### END HIDDEN TESTS

# %% test="index" points=5
with checks.step("a window of 1 x 3: offsets -2 to 2 along the columns"):
    index = relative_position_index(1, 3)
    wanted = torch.tensor([[2, 1, 0], [3, 2, 1], [4, 3, 2]])
    checks.equal(
        index,
        wanted,
        "the index",
        causes={
            "this is j - i, key minus query; the offset is i - j": wanted.T,
            "the offsets start at -2; add w - 1, so that they start at 0": wanted - 2,
        },
    )

with checks.step("a window of 2 x 4, query 0 in the top left corner"):
    index = relative_position_index(2, 4)
    checks.shape(index, (8, 8), "the index")
    checks.equal(
        index[0],
        torch.tensor([10, 9, 8, 7, 3, 2, 1, 0]),  # (0 + 1) * 7 + 3 for itself, (-1 + 1) * 7 + 3 one row below
        "the row of query 0",
        causes={
            "the row difference was multiplied by 2*wh - 1 = 3; the column digit has 2*ww - 1 = 7 values": torch.tensor(
                [6, 5, 4, 3, 3, 2, 1, 0]
            ),
            "the two differences were only added, so different offsets share a row of the table": torch.tensor(
                [4, 3, 2, 1, 3, 2, 1, 0]
            ),
            "the row difference was multiplied by ww = 4; differences of columns have 2*ww - 1 = 7 values": (
                torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])
            ),
            "the column difference was multiplied; the row difference is the first digit": torch.tensor(
                [10, 7, 4, 1, 9, 6, 3, 0]
            ),
            "the tokens were numbered column by column; they stand row by row": torch.tensor([10, 3, 9, 2, 8, 1, 7, 0]),
        },
    )

with checks.step("one query of a window of any size"):
    seed = checks.fresh_seed()
    wh, ww = 2 + seed % 5, 2 + seed // 5 % 5
    query = seed // 25 % (wh * ww)
    down = [query // ww - key // ww + wh - 1 for key in range(wh * ww)]
    right = [query % ww - key % ww + ww - 1 for key in range(wh * ww)]
    wanted = [a * (2 * ww - 1) + b for a, b in zip(down, right)]
    checks.equal(relative_position_index(wh, ww)[query].tolist(), wanted, f"row {query} of a window of {wh} x {ww}")


# %% test="index" points=5 forbids="timm.models.swin_transformer.get_relative_position_index"
with checks.step("the computation is yours"):
    checks.forbidden(FORBIDDEN, relative_position_index, 2, 2)

with checks.step("every offset has a row of its own, and every token is at offset 0 from itself"):
    index = relative_position_index(3, 5)
    checks.dtype(index, torch.int64, "the index")
    checks.equal(index.unique().tolist(), list(range(5 * 9)), "the rows of the table that are used")
    checks.equal(index.diagonal().unique().tolist(), [22], "the rows on the diagonal")


### BEGIN HIDDEN TESTS
def index_by_loop(wh: int, ww: int) -> torch.Tensor:
    cells = list(itertools.product(range(wh), range(ww)))
    rows = [[(a - c + wh - 1) * (2 * ww - 1) + (b - d + ww - 1) for c, d in cells] for a, b in cells]
    return torch.tensor(rows)


for wh, ww in ((3, 2), (4, 1), (2, 2), (7, 7), (5, 3), (1, 1), (9, 12)):
    with checks.step(f"against a loop over all pairs, and timm, window of {wh} x {ww}"):
        index = relative_position_index(wh, ww)
        big = 2 * max(wh, ww) - 1
        loop = index_by_loop(wh, ww)
        offset = loop // (2 * ww - 1) * big + loop % (2 * ww - 1)
        checks.equal(
            index,
            loop,
            "the index",
            causes={
                "the row difference was multiplied by the longer side's 2*max - 1; it is always 2*ww - 1": offset,
            },
        )
        checks.equal(index, timm_swin.get_relative_position_index(wh, ww), "the index, against timm's")
### END HIDDEN TESTS

# %% test="mask" points=5
with checks.step("a map of 1 x 4, windows of 1 x 2, shifted by one column"):
    # after the roll the columns are 1 2 | 3 0: only the second window holds tokens from both edges
    mask = shifted_window_mask(1, 4, (1, 2), (0, 1))
    checks.shape(mask, (2, 2, 2), "the mask")
    checks.dtype(mask, torch.float32, "the mask")
    allowed = mask == 0
    wanted = torch.tensor([[[True, True], [True, True]], [[True, False], [False, True]]])
    checks.equal(
        allowed,
        wanted,
        "where the mask is 0, that is, who may attend whom",
        causes={
            "all is allowed: the first and the last column of the image see each other": torch.ones(2, 2, 2).bool(),
            "1 stands for allowed and 0 for forbidden; this mask is added, so 0 means allowed": lambda: checks.near(
                mask, wanted.float()
            ),
            "0 and not-0 are swapped: the mask is added, so 0 means allowed": ~wanted,
            "tokens of different windows *before* the roll were kept apart; the shift exists to bring them together": (
                torch.eye(2).bool().expand(2, 2, 2)
            ),
            "the first columns were taken for those that wrapped; after the roll they stand last": wanted.flip(0),
        },
    )
    checks.that(
        mask[1, 0, 1].item() <= -100,
        "a forbidden score gets -100 or less",
        came=f"{mask[1, 0, 1].item():g}",
        causes={
            "the sign: a positive number makes a forbidden score larger": mask[1, 0, 1].item() > 0,
            "so small a number only dampens the score; it must end as weight 0": -100 < mask[1, 0, 1].item() < 0,
        },
    )

with checks.step("a map of 4 x 4, windows of 2 x 2, shifted by one: the four windows"):
    mask = shifted_window_mask(4, 4, 2, 1)
    checks.shape(mask, (4, 4, 4), "the mask")
    checks.equal((mask[0] == 0).sum().item(), 16, "allowed pairs in the first window, which is whole")
    checks.equal((mask[1] == 0).sum().item(), 8, "allowed pairs in the top right window, two columns kept apart")
    checks.equal((mask[2] == 0).sum().item(), 8, "allowed pairs in the bottom left window, two rows kept apart")
    checks.equal(
        (mask[3] == 0).sum().item(),
        4,
        "allowed pairs in the last window, four corners kept apart",
        causes={
            "two regions share a number: a + b is 1 for (0, 1) and for (1, 0)": 6,
            "only one direction is looked at": 8,
        },
    )

with checks.step("two windows in a row, of any width, shifted by any number of columns"):
    seed = checks.fresh_seed()
    side = 3 + seed % 6
    columns = 1 + seed // 6 % (side - 1)
    allowed = shifted_window_mask(1, 2 * side, (1, side), (0, columns)) == 0
    came_around = torch.arange(side) >= side - columns
    checks.equal(
        allowed[0], torch.ones(side, side).bool(), f"who may attend whom in the first of two windows of {side}"
    )
    checks.equal(
        allowed[1], came_around[:, None] == came_around, f"the same in the second, after a shift by {columns} columns"
    )


# %% test="mask" points=5
with checks.step("no shift, no mask"):
    checks.equal(
        shifted_window_mask(4, 6, 2, 0),
        torch.zeros(6, 4, 4),
        "the mask for shift 0",
    )

with checks.step("a shift as large as the window"):
    checks.raises(ValueError, shifted_window_mask, 4, 4, 2, 2, name="shift 2 with window 2")


### BEGIN HIDDEN TESTS
def allowed_by_loop(height: int, width: int, window: tuple[int, int], shift: tuple[int, int]) -> torch.Tensor:
    """Pixel pairs: allowed if and only if both lie in the same shifted window of the image as it is."""
    (wh, ww), (down, right) = window, shift
    found = []
    for top, left in itertools.product(range(0, height, wh), range(0, width, ww)):
        cells = itertools.product(range(top, top + wh), range(left, left + ww))  # places after the roll
        origins = [((row + down) % height, (column + right) % width) for row, column in cells]
        homes = [((row - down) // wh, (column - right) // ww) for row, column in origins]
        found.append([[a == b for b in homes] for a in homes])
    return torch.tensor(found)


for height, width, window, shift in (
    (8, 8, (4, 4), (2, 2)),
    (6, 12, (3, 4), (1, 3)),
    (4, 10, (2, 5), (1, 2)),
    (7, 14, (7, 7), (3, 3)),
    (8, 4, (4, 2), (0, 1)),
    (8, 4, (4, 2), (3, 0)),
):
    with checks.step(f"against a loop over pixel pairs, map {height} x {width}, window {window}, shift {shift}"):
        mask = shifted_window_mask(height, width, window, shift)
        other = tuple((w - s) % w for w, s in zip(window, shift))
        checks.equal(
            mask == 0,
            allowed_by_loop(height, width, window, shift),
            "where the mask is 0",
            causes={
                "the last window - shift rows were taken for wrapped; it is the last shift rows": lambda mask=mask, a=(height, width, window, other): (
                    torch.equal(mask == 0, allowed_by_loop(*a))
                ),
            },
        )
        forbidden = mask[mask != 0]
        checks.that(
            bool((forbidden <= -100).all()), "forbidden scores get -100 or less", came=f"up to {forbidden.max():g}"
        )

with checks.step("against the mask of timm's block, 14 x 21, window 7, shift 3"):
    theirs = timm_swin.SwinTransformerBlock(8, (14, 21), 2, window_size=7, shift_size=3).attn_mask
    checks.equal(shifted_window_mask(14, 21, 7, 3) == 0, theirs == 0, "where the mask is 0")

with checks.step("maps of 4 x 8, 8 x 4 and 4 x 8, one after the other: as many windows, another mask"):
    for height, width in ((4, 8), (8, 4), (4, 8)):
        mask = shifted_window_mask(height, width, (2, 4), (1, 3))
        turned = allowed_by_loop(width, height, (2, 4), (1, 3))
        checks.equal(
            mask == 0,
            allowed_by_loop(height, width, (2, 4), (1, 3)),
            f"where the mask of {height} x {width} is 0",
            causes={"this is the mask of another map with as many windows": turned},
        )

with checks.step("a window that divides the height, but not the width"):
    checks.raises(ValueError, shifted_window_mask, 8, 10, 4, 2, name="an 8 x 10 map with window 4")
### END HIDDEN TESTS

# %% test="mask" points=4
with checks.step("a softmax over the mask alone: equal weights over the allowed keys, 0 elsewhere"):
    mask = shifted_window_mask(4, 4, 2, 1)
    weights = mask.softmax(-1)
    checks.finite(weights, "the weights")
    checks.close(weights[3], torch.eye(4), "the weights in the last window, where each token is alone")
    checks.close(weights[0], torch.full((4, 4), 0.25), "the weights in the first window")

with checks.step("the mask is symmetric, and each token may attend itself"):
    mask = shifted_window_mask(6, 6, 3, 1)
    checks.equal(mask == 0, (mask == 0).transpose(1, 2), "where the mask is 0")
    checks.that(bool((mask.diagonal(dim1=1, dim2=2) == 0).all()), "the diagonal is 0")

### BEGIN HIDDEN TESTS
with checks.step("the share of allowed pairs in a large map, 56 x 56, window 7, shift 3"):
    mask = shifted_window_mask(56, 56, 7, 3)
    checks.shape(mask, (64, 49, 49), "the mask")
    edge = (3**2 + 4**2) / 49  # along one edge: rows of 3 and rows of 4
    wanted = (49 + 14 * edge + edge**2) / 64
    checks.close((mask == 0).double().mean(), torch.tensor(wanted).double(), "the share of allowed pairs")

with checks.step("a negative shift"):
    checks.raises(ValueError, shifted_window_mask, 4, 4, 2, -1, name="shift -1")

for shift in ((3, 2), (4, 1), (3, 3), (3, -1), (-1, 1)):
    with checks.step(f"a window of (4, 2) and a shift of {shift}, wrong in one direction only"):
        checks.raises(ValueError, shifted_window_mask, 8, 8, (4, 2), shift, name=f"shift {shift} with window (4, 2)")

with checks.step("a window that divides the width, but not the height"):
    checks.raises(ValueError, shifted_window_mask, 10, 8, 4, 2, name="a 10 x 8 map with window 4")

with checks.step("without a shift, windows that divide one side only"):
    for height, width in ((8, 10), (10, 8)):
        what = f"a map of {height} x {width} with window 4, shift 0"
        checks.raises(ValueError, shifted_window_mask, height, width, 4, 0, name=what)
### END HIDDEN TESTS

# %% test="attention" points=5
with checks.step("two tokens side by side, query and key zero, so that only the bias speaks"):
    # offsets i - j: -1, 0, 1 have the table entries ln 1, ln 3, ln 7; tokens 10 and 20
    layer = WindowAttention(1, 1, (1, 2))
    planted = {
        "relative_position_bias_table": torch.tensor([[1.0], [3.0], [7.0]]).log(),
        "qkv.weight": torch.tensor([[0.0], [0.0], [1.0]]),
        "qkv.bias": torch.zeros(3),
        "proj.weight": torch.ones(1, 1),
        "proj.bias": torch.zeros(1),
    }
    layer.load_timm(planted)
    tokens = torch.tensor([[[10.0], [20.0]]])
    out, weights = layer(tokens)
    checks.close(
        weights,
        torch.tensor([[[[0.75, 0.25], [0.7, 0.3]]]]),  # 3 : 1 and 7 : 3
        "the weights",
        causes={
            "the bias is not in the scores": torch.full((1, 1, 2, 2), 0.5),
            "the index was read as key minus query": torch.tensor([[[[0.3, 0.7], [0.25, 0.75]]]]),
            "the bias was added after the softmax": 0.5 + torch.tensor([[[[3.0, 1.0], [7.0, 3.0]]]]).log(),
        },
    )
    checks.close(out, torch.tensor([[[12.5], [13.0]]]), "the output")

with checks.step("the same two tokens as two windows; a mask for the second window only"):
    mask = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, -100.0], [-100.0, 0.0]]])
    out, weights = layer(tokens.expand(2, 2, 1), mask)
    wanted = torch.tensor([[[[0.75, 0.25], [0.7, 0.3]]], [[[1.0, 0.0], [0.0, 1.0]]]])
    checks.close(
        weights,
        wanted,
        "the weights",
        causes={
            "the mask is not used": wanted[:1].expand(2, 1, 2, 2),
            "the mask was added after the softmax": wanted[:1] + mask[:, None],
            "after the softmax the weights were set to 0, so rows no longer sum to 1": wanted[:1]
            * (mask[:, None] == 0),
        },
    )
    checks.close(out, torch.tensor([[[12.5], [13.0]], [[10.0], [20.0]]]), "the output")

with checks.step("3 heads do not divide a width of 8"):
    checks.raises(ValueError, WindowAttention, 8, 3, 2, name="WindowAttention(8, 3, 2)")

with checks.step("the same with a bias that nobody has seen"):
    randn = checks.normal(checks.fresh_seed())
    one, two, three = (0.5 + randn(3).abs()).tolist()
    layer.load_timm({**planted, "relative_position_bias_table": torch.tensor([[one], [two], [three]]).log()})
    first, second = one + two, two + three
    wanted = torch.tensor([[two / first, one / first], [three / second, two / second]])
    checks.close(layer(randn(1, 2, 1))[1][0, 0], wanted, "the weights")


# %% test="attention" points=5 forbids="timm.models.swin_transformer.WindowAttention"
def timm_attention(dim: int, heads: int, window: tuple[int, int], seed: int) -> nn.Module:
    """timm's layer with large random weights, the table included."""
    return randomize(timm_swin.WindowAttention(dim, heads, window_size=window), seed, std=0.4)


def timm_weights(layer: nn.Module, x: torch.Tensor, mask: torch.Tensor | None = None, kind: str = "") -> torch.Tensor:
    """The attention weights inside timm's layer; `kind` names a mistake to build in."""
    layer = copy.deepcopy(layer)
    layer.fused_attn = False
    heads, dim, table = layer.num_heads, x.shape[-1], layer.relative_position_bias_table
    if kind == "no scale":
        layer.scale = 1.0
    if kind == "dim":
        layer.scale = dim**-0.5
    if kind == "bias scaled":
        table.data /= math.sqrt(dim / heads)
    if kind == "heads":
        layer._get_rel_pos_bias = lambda: table[layer.relative_position_index].reshape(1, heads, x.shape[1], -1)
    seen: list[torch.Tensor] = []
    layer.attn_drop.register_forward_hook(lambda _module, given, _result: seen.append(given[0].detach()))
    layer(x, mask)
    return seen[0]


theirs = timm_attention(8, 2, (2, 3), seed=1)
tokens = checks.normal(seed=1)(4, 6, 8)

with checks.step("the computation is yours"):
    layer = WindowAttention(8, 2, (2, 3))
    layer.load_timm(copy.deepcopy(theirs.state_dict()))
    checks.forbidden(FORBIDDEN, layer, tokens)

with checks.step("against timm, 4 windows of 2 x 3, C = 8, 2 heads, no mask"):
    out, weights = layer(tokens)
    checks.close(
        weights,
        timm_weights(theirs, tokens),
        "the weights",
        causes={
            "the table was reshaped to (H, T, T); its heads stand last and must be permuted": lambda: timm_weights(
                theirs, tokens, None, "heads"
            ),
            "the scores are not divided by sqrt(d)": lambda: timm_weights(theirs, tokens, None, "no scale"),
            "the scores were divided by sqrt(C) = sqrt(8); a head has width d = 4": lambda: timm_weights(
                theirs, tokens, None, "dim"
            ),
            "the bias was divided by sqrt(d), too; only query times key is": lambda: timm_weights(
                theirs, tokens, None, "bias scaled"
            ),
        },
    )
    checks.close(out, theirs(tokens).detach(), "the output")

### BEGIN HIDDEN TESTS
for dim, heads, window, images, shape in (
    (8, 2, (2, 3), 3, (4, 6)),
    (6, 3, (2, 2), 2, (2, 8)),
    (12, 1, (3, 1), 1, (6, 2)),
):
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm, {images} maps of {shape}, windows of {window}, {heads} heads, masked, {kind}"):
            theirs = timm_attention(dim, heads, window, seed=dim).to(kind)
            layer = WindowAttention(dim, heads, window).to(kind)
            layer.load_timm(theirs.state_dict())
            n_windows = shape[0] * shape[1] // (window[0] * window[1])
            tokens = checks.normal(seed=dim, dtype=kind)(images * n_windows, window[0] * window[1], dim)
            generator = torch.Generator().manual_seed(dim)
            blocked = torch.rand(n_windows, *[window[0] * window[1]] * 2, generator=generator) < 0.4
            mask = torch.zeros(blocked.shape, dtype=kind).masked_fill(
                blocked & ~torch.eye(blocked.shape[-1]).bool(), -100.0
            )
            out, weights = layer(tokens, mask)

            def other_order(
                theirs: nn.Module = theirs, x: torch.Tensor = tokens, mask: torch.Tensor = mask
            ) -> torch.Tensor:
                """The weights when mask n meets the n-th share of the batch."""
                count = len(mask)
                turned = x.unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1)
                return timm_weights(theirs, turned, mask).unflatten(0, (-1, count)).transpose(0, 1).flatten(0, 1)

            checks.close(
                weights,
                timm_weights(theirs, tokens, mask),
                "the weights",
                rtol=10 * tolerance,
                atol=tolerance,
                causes={
                    "the masks met the wrong windows: the batch is image 0 with all its windows, then image 1": (
                        other_order
                    ),
                },
            )
            checks.close(out, theirs(tokens, mask).detach(), "the output", rtol=10 * tolerance, atol=tolerance)
### END HIDDEN TESTS

# %% test="attention" points=4
with checks.step("the rows of weights, with a mask of -inf"):
    torch.manual_seed(0)
    layer = WindowAttention(8, 2, 2)
    tokens = checks.normal(seed=2)(6, 4, 8)
    mask = torch.zeros(3, 4, 4)
    mask[1, 0, 1:] = -math.inf
    mask[2, 1, 2] = -math.inf
    out, weights = layer(tokens, mask)
    checks.shape(out, (6, 4, 8), "the output")
    checks.shape(weights, (6, 2, 4, 4), "the weights")
    checks.finite(out, "the output")
    checks.close(weights.sum(-1), torch.ones(6, 2, 4), "the sums of the rows")
    hidden = (mask != 0)[None, :, None].expand(2, 3, 2, 4, 4).flatten(0, 1)
    turned = (mask != 0)[:, None, None].expand(3, 2, 2, 4, 4).flatten(0, 1)
    checks.equal(
        weights[hidden].abs().max().item(),
        0.0,
        "the largest weight on a forbidden key",
        causes={
            "the masks met the wrong windows: the batch is image 0 with all its windows, then image 1": lambda: (
                weights[turned].abs().max().item() == 0
            ),
        },
    )


### BEGIN HIDDEN TESTS
def like_timm(seed: int) -> tuple[nn.Module, nn.Module]:
    """A learner's layer and timm's with the same weights: C = 8, 2 heads, windows of 2 x 3."""
    theirs = randomize(timm_swin.WindowAttention(8, 2, window_size=(2, 3)), seed=seed)
    mine = WindowAttention(8, 2, (2, 3))
    mine.load_timm(theirs.state_dict())
    return mine, theirs


with checks.step("loading copies the numbers, and leaves the state as it is"):
    mine, theirs = like_timm(seed=5)
    tokens = checks.normal(seed=4)(2, 6, 8)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    first, second, lost, filled = checks.beside(
        observe.after_loading, WindowAttention(8, 2, (2, 3)), "load_timm", state, tokens
    )
    checks.equal(lost, [], "names that loading took out of the state, or changed")
    checks.close(first, theirs(tokens).detach(), "the output after loading")
    checks.close(
        second,
        first,
        "the output after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": torch.zeros_like(first)},
    )
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")


def trainable_numbers(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = like_timm(seed=3)
    tokens = checks.normal(seed=3)(2, 6, 8)
    came = checks.beside(observe.after_a_step, mine, tokens, rate=0.05)
    wanted = observe.after_a_step(theirs, tokens, rate=0.05)

    def frozen(part: str) -> torch.Tensor:
        """The output after the step when a part of the layer is not learned."""
        other = like_timm(seed=3)[1]
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(part not in name)
        return observe.after_a_step(other, tokens, rate=0.05)[1]

    checks.close(came[0], wanted[0], "the output before the step")
    numbers = sum(p.numel() for p in theirs.parameters())
    checks.equal(
        checks.beside(trainable_numbers, mine),
        numbers,
        "numbers in the parameters",
        causes={"the table does not learn: it is no nn.Parameter, or one that is frozen": numbers - 30},
    )
    checks.close(
        came[1],
        wanted[1],
        "the output after the step",
        causes={
            "the scores use a copy, .data or .detach() of the table, so no gradient comes back": lambda: frozen(
                "table"
            ),
            "query, key and value do not learn": lambda: frozen("qkv"),
            "the output projection does not learn": lambda: frozen("proj"),
        },
    )

with checks.step("the gradient that comes back to the tokens"):
    tokens = checks.normal(seed=7)(4, 6, 8).requires_grad_()
    came = checks.beside(observe.gradients, mine, tokens)[0]
    checks.that(came is not None, "a gradient comes back to the tokens", came="none")
    checks.close(came, observe.gradients(theirs, tokens)[0], "the gradient", atol=1e-5)


def table_of(module: nn.Module, size: int) -> list[torch.Tensor]:
    """The entries of each parameter with as many entries as the table, whatever its shape."""
    return [p.detach().flatten() for p in module.parameters() if p.numel() == size]


with checks.step("the start of the table: normal with standard deviation 0.02"):
    tables = checks.beside(table_of, WindowAttention(8, 2, 7), 169 * 2)
    checks.equal(len(tables), 1, "parameters with 169 * 2 entries")
    spread, largest = tables[0].std().item(), tables[0].abs().max().item()
    checks.that(
        0.015 < spread < 0.025,
        "the table is drawn with standard deviation 0.02",
        came=f"standard deviation {spread:.4f}",
        causes={"a standard deviation of 1: the biases drown the scores": 0.8 < spread < 1.2},
    )
    checks.that(
        largest > 0.036,
        "a normal distribution reaches beyond two standard deviations",
        came=f"largest entry {largest:.4f}",
        causes={"a uniform distribution ends at 0.02 * sqrt(3)": spread * math.sqrt(3) * 1.1 > largest},
    )

with checks.step("tokens and mask after the call, with -100 and with -inf in the mask"):
    tokens, mask = checks.normal(seed=14)(4, 6, 8), torch.zeros(2, 6, 6)
    mask[0, 1, 2], mask[1, 3, 4] = -100.0, -math.inf
    came = checks.beside(observe.arguments_after, mine, tokens, mask)
    for what, old, new in checks.each(("the tokens", "the mask"), (tokens, mask), came):
        checks.equal(new, old, f"{what} (an argument must not be changed in place)")

with checks.step("in train mode, and without a mask after a call with one"):
    mine, theirs = like_timm(seed=6)
    tokens = checks.normal(seed=8)(4, 6, 8)
    blocked = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(9)) < 0.4
    mask = torch.zeros(2, 6, 6).masked_fill(blocked & ~torch.eye(6).bool(), -100.0)
    for kind in ("train", "eval"):
        getattr(mine, kind)()
        checks.close(
            mine(tokens, mask)[0], theirs(tokens, mask).detach(), f"the output in {kind} mode", rtol=1e-4, atol=1e-5
        )
        checks.close(
            mine(tokens)[0],
            theirs(tokens).detach(),
            f"the output without a mask, in {kind} mode, after a call with one",
            atol=1e-5,
            causes={"the mask of the call before was used again": lambda: theirs(tokens, mask)},
        )

with checks.step("a head of width 144 and a mask of -100: what is forbidden gets e**-100, not e**(-100 / 12)"):
    torch.manual_seed(2)
    wide = WindowAttention(144, 1, (1, 2))
    weights = wide(torch.zeros(1, 2, 144), torch.tensor([[[0.0, -100.0], [-100.0, 0.0]]]))[1]
    largest = weights.detach()[0, 0][~torch.eye(2).bool()].max().item()
    checks.that(
        largest < 1e-30,
        "no weight on a forbidden key",
        came=f"a weight of {largest:.1e}",
        causes={"the mask was divided by sqrt(d), too; only query times key is": 1e-5 < largest < 1e-2},
    )

with checks.step("tokens, mask and weights of bfloat16"):
    half = mine.to(torch.bfloat16)
    out = half(tokens.to(torch.bfloat16), mask.to(torch.bfloat16))[0]
    checks.dtype(out, torch.bfloat16, "the output")
    checks.close(out.float(), theirs(tokens, mask).detach(), "the output", rtol=0.1, atol=0.1)  # 8 bits: 0.4 % a step

with checks.step("the arguments after the call"):
    after = checks.beside(observe.arguments_after, like_timm(seed=6)[0], tokens, mask)
    checks.equal(after[0], tokens, "the tokens that were given")
    checks.equal(after[1], mask, "the mask that was given")
### END HIDDEN TESTS


# %% test="block" points=5
def timm_block(
    dim: int, heads: int, size: tuple[int, int], window: Size, shift: Size, seed: int, std: float = 0.3
) -> nn.Module:
    """timm's block with large random weights."""
    block = timm_swin.SwinTransformerBlock(dim, size, heads, window_size=window, shift_size=shift)
    return randomize(block, seed, std)


def reach(size: tuple[int, int], window: int, shift: int, cell: tuple[int, int], kind: str = "") -> torch.Tensor:
    """Which tokens (h, w) depend on one token, by the rule itself; `kind` names a mistake."""

    def home(row: int, column: int) -> tuple[int, ...]:
        if kind == "wrap":  # windows of the rolled map, no mask
            return tuple((k - shift) % side // window for k, side in zip((row, column), size))
        if kind == "other way":  # rolled by +shift, with the mask of -shift
            moved = [(k + shift) % side for k, side in zip((row, column), size)]
            return tuple(m // window for m in moved) + tuple(m >= side - shift for m, side in zip(moved, size))
        return tuple((k - shift) // window for k in (row, column))

    found = torch.tensor([[home(r, c) == home(*cell) for c in range(size[1])] for r in range(size[0])])
    if kind == "not back":
        found = torch.roll(found, (-shift, -shift), dims=(0, 1))
        found[cell] = True  # the residual connection
    return found


def changed(
    block: Callable[[torch.Tensor], torch.Tensor], size: tuple[int, int], cell: tuple[int, int]
) -> torch.Tensor:
    """Which output tokens (h, w) move when one input token does."""
    x = checks.normal(seed=5)(1, *size, 8)
    y = x.clone()
    y[0, cell[0], cell[1]] += checks.normal(seed=6)(8)
    return (checks.tensor(block(y)) - checks.tensor(block(x))).detach().abs().amax(-1)[0] > 1e-6


with checks.step("SwinBlock(8, 2, window=4, shift=0) on two maps of 8 x 12"):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, 4, 0).eval()
    checks.shape(block(checks.normal(seed=0)(2, 8, 12, 8)), (2, 8, 12, 8), "the output")


def moves_only(found: torch.Tensor, wanted: torch.Tensor, causes: Mapping[str, torch.Tensor]) -> None:
    """Compare two maps of moved tokens, and say in words where they differ."""

    def listed(cells: torch.Tensor) -> str:
        places = [tuple(cell) for cell in cells.nonzero().tolist()]
        return ", ".join(map(str, places[:4])) + (f" and {len(places) - 4} more" if len(places) > 4 else "")

    too_many, missing = found & ~wanted, wanted & ~found
    rows, columns = wanted.nonzero().unbind(1)
    came = f"{found.sum()} tokens move"
    came += f"; they should not: {listed(too_many)}" if too_many.any() else ""
    came += f"; they should, and do not: {listed(missing)}" if missing.any() else ""
    checks.that(
        torch.equal(found, wanted),
        "the wrong outputs move",
        came=came,
        expected=f"{wanted.sum()} tokens: rows {rows.min()} to {rows.max()}, columns {columns.min()} to {columns.max()}",
        causes={text: torch.equal(found, wrong) for text, wrong in causes.items()},
    )


with checks.step("no shift: one changed token moves its window and nothing else"):
    block.load_timm(timm_block(8, 2, (8, 12), 4, 0, seed=1).state_dict())
    moves_only(changed(block, (8, 12), (5, 9)), reach((8, 12), 4, 0, (5, 9)), {})

for cell, what in (((5, 5), "in the middle"), ((0, 5), "at the upper edge"), ((7, 11), "in the corner")):
    with checks.step(f"shift 2: one changed token {what}, {cell}, moves its shifted window and nothing else"):
        block = SwinBlock(8, 2, 4, 2).eval()
        block.load_timm(timm_block(8, 2, (8, 12), 4, 2, seed=1).state_dict())
        moves_only(
            changed(block, (8, 12), cell),
            reach((8, 12), 4, 2, cell),
            {
                "the map was not rolled back after attention": reach((8, 12), 4, 2, cell, "not back"),
                "without the mask, opposite edges of the image see each other": reach((8, 12), 4, 2, cell, "wrap"),
                "the map was rolled by +shift first; it must be -shift, as the mask assumes": reach(
                    (8, 12), 4, 2, cell, "other way"
                ),
                "the windows are not shifted": reach((8, 12), 4, 0, cell),
            },
        )

with checks.step("shift 2: a changed token anywhere"):
    seed = checks.fresh_seed()
    cell = (seed % 8, seed // 8 % 12)
    moves_only(changed(block, (8, 12), cell), reach((8, 12), 4, 2, cell), {})


# %% test="block" points=5 forbids="timm.models.swin_transformer.SwinTransformerBlock"
with checks.step("the computation is yours"):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, 4, 2).eval()
    checks.forbidden(FORBIDDEN, block, torch.zeros(1, 8, 8, 8))

for shift in (0, 2):
    with checks.step(f"against timm's block, map 8 x 12, window 4, shift {shift}"):
        theirs = timm_swin.SwinTransformerBlock(8, (8, 12), 2, window_size=4, shift_size=shift)
        theirs = randomize(theirs, seed=2, std=0.3)
        block = SwinBlock(8, 2, 4, shift).eval()
        block.load_timm(theirs.state_dict())
        x = checks.normal(seed=2)(2, 8, 12, 8)

        def wrong(name: str, theirs: nn.Module = theirs, x: torch.Tensor = x) -> torch.Tensor:
            """What timm's parts give when they are wired the wrong way."""
            other = copy.deepcopy(theirs)
            if name == "tanh":
                other.mlp.act = nn.GELU(approximate="tanh")
            if name == "relu":
                other.mlp.act = nn.ReLU()
            if name == "eps":
                other.norm1.eps = other.norm2.eps = 1e-6
            if name == "table":
                other.attn.relative_position_bias_table.data.zero_()
            with torch.no_grad():
                if name == "post-norm":
                    y = other.norm1(x + other._attn(x))
                    return other.norm2(y + other.mlp(y))
                if name == "no first residual":
                    y = other._attn(other.norm1(x))
                    return y + other.mlp(other.norm2(y))
                if name == "no second residual":
                    return other.mlp(other.norm2(x + other._attn(other.norm1(x))))
                if name == "unnormed":
                    y = x + other._attn(x)
                    return y + other.mlp(other.norm2(y))
                return other(x)

        with torch.no_grad():
            checks.close(
                block(x),
                theirs(x),
                "the output",
                causes={
                    "post-norm: a layer norm stands on the residual path": lambda: wrong("post-norm"),
                    "the residual connection around attention is missing": lambda: wrong("no first residual"),
                    "the residual connection around the MLP is missing": lambda: wrong("no second residual"),
                    "attention got the tokens without layer norm": lambda: wrong("unnormed"),
                    "the tanh approximation of GELU; the exact one is asked": lambda: wrong("tanh"),
                    "ReLU instead of GELU": lambda: wrong("relu"),
                    "eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: wrong("eps"),
                    "the table of biases was not loaded": lambda: wrong("table"),
                },
            )


### BEGIN HIDDEN TESTS
def half_shift(block: nn.Module) -> nn.Module:
    """The same block, shifted by half a window."""
    side, window = block.input_resolution, block.window_size
    shift = tuple(w // 2 for w in window)
    other = timm_swin.SwinTransformerBlock(block.dim, side, block.attn.num_heads, window_size=window, shift_size=shift)
    other.load_state_dict(block.state_dict())
    return other.to(next(block.parameters()).dtype)


for dim, heads, size, window, shift in (
    (12, 3, (6, 9), (3, 3), (1, 1)),
    (8, 1, (4, 10), (2, 5), (1, 2)),
    (16, 4, (14, 7), (7, 7), (3, 3)),
    (8, 2, (4, 4), (4, 4), (2, 2)),
    (8, 2, (8, 10), (4, 5), (1, 3)),
    (6, 2, (6, 8), (3, 4), (0, 1)),
):
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        with checks.step(f"against timm's block, map {size}, window {window}, shift {shift}, {heads} heads, {kind}"):
            theirs = timm_swin.SwinTransformerBlock(dim, size, heads, window_size=window, shift_size=shift)
            theirs = randomize(theirs, seed=dim, std=0.3).to(kind)
            block = SwinBlock(dim, heads, window, shift).to(kind).eval()
            block.load_timm(theirs.state_dict())
            x = checks.normal(seed=dim, dtype=kind)(2, *size, dim)
            always = timm_swin.SwinTransformerBlock(
                dim, size, heads, window_size=window, shift_size=shift, always_partition=True
            ).to(kind)
            always.load_state_dict(theirs.state_dict())
            with torch.no_grad():
                checks.close(
                    block(x),
                    theirs(x),
                    "the output",
                    rtol=10 * tolerance,
                    atol=tolerance,
                    causes={
                        "the map was shifted in a direction that has only one window": lambda always=always, x=x: (
                            always(x)
                        ),
                        "the shift is half a window; it must be the shift that was given": lambda theirs=theirs, x=x: (
                            half_shift(theirs)(x)
                        ),
                    },
                )

with checks.step("tokens as small as 0.001, where the eps of the layer norm shows"):
    theirs = randomize(timm_swin.SwinTransformerBlock(8, (4, 4), 2, window_size=2, shift_size=1), seed=6)
    block = SwinBlock(8, 2, 2, 1).eval()
    block.load_timm(theirs.state_dict())
    x = 1e-3 * checks.normal(seed=6)(2, 4, 4, 8)
    small_eps = copy.deepcopy(theirs)
    small_eps.norm1.eps = small_eps.norm2.eps = 1e-6
    with torch.no_grad():
        checks.close(
            block(x),
            theirs(x),
            "the output",
            causes={"eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: small_eps(x)},
        )
### END HIDDEN TESTS

# %% test="block" points=4
with checks.step("maps that windows of 4 do not divide"):
    for height, width in ((8, 10), (10, 8), (2, 8)):
        x = torch.zeros(1, height, width, 8)
        checks.raises(ValueError, SwinBlock(8, 2, 4, 0), x, name=f"a map of {height} x {width} with window 4")

with checks.step("two blocks of timm's stage, without and with shift, one after the other"):
    stage = timm_swin.SwinTransformerStage(8, 8, (8, 8), depth=2, downsample=False, num_heads=2, window_size=4)
    stage = randomize(stage, seed=3, std=0.3)
    x = checks.normal(seed=3)(1, 8, 8, 8)
    y = x
    for number, shift in enumerate((0, 2)):
        block = SwinBlock(8, 2, 4, shift).eval()
        block.load_timm(share(stage.state_dict(), f"blocks.{number}."))
        y = checks.tensor(block(y)).detach()
    checks.close(y, stage(x).detach(), "the output of the second block", atol=1e-4)

### BEGIN HIDDEN TESTS
with checks.step("one block, maps of 8 x 8, 4 x 16, 8 x 12, 12 x 8, 8 x 8 and 8 x 12 one after the other"):
    block = SwinBlock(8, 2, 4, 2).eval()
    first = randomize(timm_swin.SwinTransformerBlock(8, (8, 8), 2, window_size=4, shift_size=2), seed=4)
    block.load_timm(first.state_dict())
    before = first
    for size in ((8, 8), (4, 16), (8, 12), (12, 8), (8, 8), (8, 12)):
        theirs = timm_swin.SwinTransformerBlock(8, size, 2, window_size=4, shift_size=2).eval()
        theirs.load_state_dict(first.state_dict())
        x = checks.normal(seed=size[1])(1, *size, 8)
        kept = copy.deepcopy(theirs)
        kept.attn_mask, before = before.attn_mask, theirs
        with torch.no_grad():
            checks.close(
                block(x),
                theirs(x),
                f"the output for {size[0]} x {size[1]}",
                causes={
                    "the mask of the map before was kept; a mask belongs to one map size": lambda kept=kept, x=x: kept(
                        x
                    ),
                },
            )

with checks.step("the map after the call"):
    checks.equal(checks.beside(observe.arguments_after, block, x)[0], x, "the map that was given")


def blocks_alike(seed: int) -> tuple[nn.Module, nn.Module]:
    """A learner's block and timm's with the same weights, windows of 2 shifted by 1, for maps of 4 x 6."""
    theirs = timm_swin.SwinTransformerBlock(8, (4, 6), 2, window_size=2, shift_size=1)
    mine = SwinBlock(8, 2, 2, 1)
    mine.load_timm(randomize(theirs, seed=seed, std=0.3).state_dict())
    return mine, theirs


with checks.step("loading copies the numbers, and leaves the state as it is"):
    theirs = blocks_alike(seed=9)[1]
    x = checks.normal(seed=10)(2, 4, 6, 8)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    came = checks.beside(observe.after_loading, SwinBlock(8, 2, 2, 1), "load_timm", state, x)
    checks.equal(came[2], [], "names that loading took out of the state, or changed")
    checks.close(came[0], theirs(x).detach(), "the output after loading", atol=1e-5)
    checks.close(
        came[1],
        came[0],
        "the output after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": x},
    )
    checks.that(came[3], "loading fills the parameters that are there", came="new ones, which no optimizer holds")

with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = blocks_alike(seed=7)
    x = checks.normal(seed=7)(2, 4, 6, 8)
    came = checks.beside(observe.after_a_step, mine, x, rate=0.01)
    wanted = observe.after_a_step(theirs, x, rate=0.01)

    def frozen(*parts: str) -> torch.Tensor:
        """The output after the step when these parts of the block are not learned."""
        other = blocks_alike(seed=7)[1]
        for name, parameter in other.named_parameters():
            parameter.requires_grad_(not name.startswith(parts))
        return observe.after_a_step(other, x, rate=0.01)[1]

    checks.close(came[0], wanted[0], "the output before the step", atol=1e-5)
    checks.close(
        came[1],
        wanted[1],
        "the output after the step",
        atol=1e-4,
        causes={
            "the attention does not learn": lambda: frozen("attn"),
            "the MLP does not learn": lambda: frozen("mlp"),
            "the layer norms do not learn": lambda: frozen("norm"),
        },
    )

with checks.step("the gradient that comes back to the map, and the output in train mode"):
    mine, theirs = blocks_alike(seed=8)
    x = checks.normal(seed=8)(3, 4, 6, 8).requires_grad_()
    wanted = observe.gradients(theirs, x)[0]
    came = checks.beside(observe.gradients, mine, x)[0]
    checks.that(came is not None, "a gradient comes back to the map", came="none")
    checks.close(came, wanted, "the gradient", atol=1e-4)
    mine.train()
    checks.close(
        mine(x.detach()),
        theirs(x).detach(),
        "the output in train mode, where nothing is dropped either",
        atol=1e-5,
    )

with checks.step("a map and weights of bfloat16"):
    small = SwinBlock(8, 2, 2, 1).to(torch.bfloat16)
    checks.dtype(small(x.detach().to(torch.bfloat16)), torch.bfloat16, "the output")
### END HIDDEN TESTS

# %% test="merging" points=4
with checks.step("a square of 1 2 / 3 4, one channel; the reduction gives twice the second of the four, and the third"):
    # norm of (1, 3, 2, 4): mean 2.5, variance 1.25; (1 - 2.5) / sqrt(1.25) = -1.341641, and so on
    merging = PatchMerging(1)
    pick = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    merging.load_timm({"norm.weight": torch.ones(4), "norm.bias": torch.zeros(4), "reduction.weight": pick})
    square = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    came = merging(square)
    checks.shape(came, (1, 1, 1, 2), "the merged map")
    checks.close(
        came.flatten(),
        torch.tensor([0.894424, -0.447212]),
        "the two channels, made from the tokens at (1, 0) and (0, 1)",
        atol=2e-5,
        causes={
            "the order is (0,0), (0,1), (1,0), (1,1): it trains, but no checkpoint fits; first down, then right": (
                torch.tensor([-0.894424, 0.447212])
            ),
            "there is no layer norm": torch.tensor([6.0, 2.0]),
            "the norm stands after the reduction; it must stand before": torch.tensor([1.0, -1.0]),
            "the four tokens were averaged; they must stand side by side, 4C numbers": torch.zeros(2),
        },
    )

with checks.step("PatchMerging(3) on two maps of 4 x 6"):
    torch.manual_seed(0)
    checks.shape(PatchMerging(3)(torch.zeros(2, 4, 6, 3)), (2, 2, 3, 6), "the merged maps")

with checks.step("the same with numbers that nobody has seen"):
    square = checks.normal(checks.fresh_seed())(1, 2, 2, 1)
    down_first = square[0, :, :, 0].T.flatten()
    wanted = F.layer_norm(down_first, (4,))[1:3] * torch.tensor([2.0, 1.0])
    checks.close(merging(square).flatten(), wanted, "the two channels", atol=2e-5)


# %% test="merging" points=4 forbids="timm.models.swin_transformer.PatchMerging"
with checks.step("the computation is yours"):
    torch.manual_seed(0)
    merging = PatchMerging(3)
    checks.forbidden(FORBIDDEN, merging, torch.zeros(1, 4, 4, 3))


def parameter_shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(p.shape) for p in module.parameters() if p.requires_grad)


with checks.step("the parameters of PatchMerging(3)"):
    checks.equal(
        checks.beside(parameter_shapes, merging),
        [(6, 12), (12,), (12,)],
        "the shapes of the parameters",
        causes={
            "the reduction has no bias in Swin": [(6,), (6, 12), (12,), (12,)],
        },
    )

### BEGIN HIDDEN TESTS
for height, width, dim in ((4, 6, 3), (8, 4, 5), (5, 6, 2), (4, 7, 2), (3, 5, 4)):
    with checks.step(f"against timm, 2 maps of {height} x {width}, C = {dim}"):
        theirs = randomize(timm_swin.PatchMerging(dim), seed=dim)
        merging = PatchMerging(dim).eval()
        merging.load_timm(theirs.state_dict())
        x = checks.normal(seed=height)(2, height, width, dim)

        def other(name: str, theirs: nn.Module = theirs, x: torch.Tensor = x) -> torch.Tensor:
            """Timm's layer after another cut or padding."""
            odd = (x.shape[1] % 2, x.shape[2] % 2)
            if name == "front":
                return theirs(F.pad(x, (0, 0, odd[1], 0, odd[0], 0)))
            if name == "dropped":
                return theirs(x[:, : x.shape[1] - odd[0], : x.shape[2] - odd[1]])
            squares = F.pad(x, (0, 0, 0, odd[1], 0, odd[0])).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
            return theirs.reduction(theirs.norm(squares.permute(0, 1, 3, 5, 4, 2).flatten(3)))

        with torch.no_grad():
            checks.close(
                merging(x),
                theirs(x),
                "the merged maps",
                causes={
                    "the zeros were put in front; they belong to the end": lambda: other("front"),
                    "the channels are interleaved (all four of channel 0 first); a whole token comes first": (
                        lambda: other("interleaved")
                    ),
                    "the odd last row or column was dropped; pad with zeros": lambda: (
                        tuple(theirs(x).shape) != tuple(merging(x).shape) == tuple(other("dropped").shape)
                    ),
                },
            )


def mergings_alike(seed: int, kind: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """A learner's layer and timm's with the same weights, C = 3."""
    theirs = randomize(timm_swin.PatchMerging(3), seed=seed).to(kind)
    mine = PatchMerging(3).to(kind)
    mine.load_timm(theirs.state_dict())
    return mine, theirs


for kind, scale, tolerance in ((torch.float32, 1e-3, 1e-5), (torch.float64, 1.0, 1e-10)):
    with checks.step(f"against timm in train mode, {kind}, numbers near {scale:g}"):
        mine, theirs = mergings_alike(1, kind)
        x = scale * checks.normal(seed=11, dtype=kind)(2, 4, 6, 3)
        small_eps = copy.deepcopy(theirs)
        small_eps.norm.eps = 1e-6
        checks.close(
            mine(x),
            theirs(x).detach(),
            "the merged maps",
            rtol=10 * tolerance,
            atol=tolerance,
            causes={"eps is 1e-6, as in ViT; Swin has PyTorch's 1e-5": lambda: small_eps(x)},
        )
        checks.equal(checks.beside(observe.arguments_after, mine, x)[0], x, "the map that was given")

with checks.step("loading copies the numbers, and leaves the state as it is"):
    theirs = mergings_alike(4)[1]
    x = checks.normal(seed=13)(2, 4, 6, 3)
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    first, second, lost, filled = checks.beside(observe.after_loading, PatchMerging(3), "load_timm", state, x)
    checks.equal(lost, [], "names that loading took out of the state, or changed")
    checks.close(first, theirs(x).detach(), "the merged maps after loading")
    checks.close(
        second,
        first,
        "the merged maps after timm's tensors were set to 0",
        causes={"timm's own tensors are kept, not copies": torch.zeros_like(first)},
    )
    checks.that(filled, "loading fills the parameters that are there", came="new ones, which no optimizer holds")

with checks.step("a map of 5 x 7 after the call, and one of bfloat16"):
    mine, theirs = mergings_alike(5)
    x = checks.normal(seed=15)(2, 5, 7, 3)
    checks.equal(checks.beside(observe.arguments_after, mine, x)[0], x, "the map that was given")
    came, wanted = mine.bfloat16()(x.bfloat16()), theirs.bfloat16()(x.bfloat16()).detach()
    checks.dtype(came, torch.bfloat16, "the merged maps")
    checks.close(came.float(), wanted.float(), "the merged maps, but for rounding", rtol=0.02, atol=0.02)

with checks.step("one step of gradient descent moves every weight as it moves timm's"):
    mine, theirs = mergings_alike(2)
    x = checks.normal(seed=12)(2, 4, 6, 3)
    came = checks.beside(observe.after_a_step, mine, x, rate=0.05)
    wanted = observe.after_a_step(theirs, x, rate=0.05)
    checks.close(came[0], wanted[0], "the merged maps before the step")
    checks.close(came[1], wanted[1], "the merged maps after the step", atol=1e-5)
    x.requires_grad_()
    mine, theirs = mergings_alike(3)
    wanted = observe.gradients(theirs, x)[0]
    came = checks.beside(observe.gradients, mine, x)[0]
    checks.that(came is not None, "a gradient comes back to the map", came="none")
    checks.close(came, wanted, "the gradient of the map", atol=1e-5)

### END HIDDEN TESTS

# %% test="cost" points=4
with checks.step("4 x 4 tokens, C = 3, global: counted by hand"):
    # projections 4 * 16 * 3 * 3 = 576 multiply-adds, scores and average 2 * 16 * 16 * 3 = 1536
    came = attention_cost(4, 4, 3)
    checks.equal(
        came,
        4224,
        "attention_cost(4, 4, 3)",
        causes={
            "multiply-adds were counted once; each is 2 FLOPs": 2112,
            "only one of the two products, scores and average, was counted": 2688,
            "the output projection is missing": 3936,
            "the projections are missing": 3072,
            "the result must be an int; avoid `/`": lambda: isinstance(came, float),
        },
    )

with checks.step("4 x 4 tokens, C = 3, windows of 2 x 2: counted by hand"):
    # projections 576 as before, scores and average 2 * 16 * 4 * 3 = 384
    checks.equal(
        attention_cost(4, 4, 3, 2),
        1920,
        "attention_cost(4, 4, 3, 2)",
        causes={
            "a window of side M has M * M keys, not M": 1536,
            "this is one window; the map has four": 480,
            "the window is not used": 4224,
            "multiply-adds were counted once; each is 2 FLOPs": 960,
        },
    )

with checks.step("a map of any size, global, against torch's FLOP counter on timm's layer"):
    seed = checks.fresh_seed()
    height, width, dim = 2 + seed % 7, 2 + seed // 7 % 7, 1 + seed // 49 % 9
    one_window = timm_swin.WindowAttention(dim, 1, window_size=(height, width))
    with torch.no_grad():
        wanted = profiling.flops(one_window, torch.zeros(1, height * width, dim))
    checks.equal(attention_cost(height, width, dim), wanted, f"attention_cost({height}, {width}, {dim})")


# %% test="cost" points=4
with checks.step("one window as large as the map is global attention"):
    checks.equal(attention_cost(6, 6, 8, 6), attention_cost(6, 6, 8), "attention_cost(6, 6, 8, 6)")

with checks.step("windows of 4 do not divide a height of 6"):
    checks.raises(ValueError, attention_cost, 6, 8, 4, 4, name="a 6 x 8 map with window 4")

### BEGIN HIDDEN TESTS
for height, width, dim, heads, window in ((8, 8, 12, 3, 4), (4, 12, 8, 2, 2), (6, 9, 10, 1, 3), (14, 7, 6, 2, 7)):
    with checks.step(f"against torch's FLOP counter on timm's layer, {height} x {width}, C = {dim}, window {window}"):
        for side, cut in ((None, (height, width)), (window, (window, window))):
            layer = timm_swin.WindowAttention(dim, heads, window_size=cut)
            windows = torch.zeros(height * width // (cut[0] * cut[1]), cut[0] * cut[1], dim)
            with torch.no_grad():
                counted = profiling.flops(layer, windows)
            checks.equal(
                attention_cost(height, width, dim, side),
                counted,
                "FLOPs in windows" if side else "FLOPs of global attention",
                causes={
                    "the map was taken for a square of side h": counted
                    - 8 * height * (width - height) * dim**2
                    - 4 * dim * (height * width * cut[0] * cut[1] - height**2 * (window**2 if side else height**2)),
                },
            )

with checks.step("a count beyond the 53 bits of a float: 4095 x 4097 tokens, C = 1001, global"):
    tokens = 4095 * 4097
    wanted = 8 * tokens * 1001**2 + 4 * tokens**2 * 1001
    came = attention_cost(4095, 4097, 1001)
    checks.that(isinstance(came, int), "the count is an int", came=type(came).__name__)
    checks.equal(came, wanted, "the count", causes={
        "a float was made an int: beyond 53 bits it has lost the last digits": lambda: (
            0 < abs(came - wanted) < wanted // 10**6
        ),
    })  # fmt: skip

for height, width, window in ((8, 10, 4), (10, 8, 4), (6, 6, 12), (4, 12, 12), (12, 4, 12)):
    with checks.step(f"windows of {window} do not divide a map of {height} x {width}"):
        checks.raises(
            ValueError,
            attention_cost,
            height,
            width,
            4,
            window,
            name=f"a map of {height} x {width} with window {window}",
        )
### END HIDDEN TESTS
