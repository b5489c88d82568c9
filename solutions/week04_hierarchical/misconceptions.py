"""Wrong answers that people really write in week 4, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

CUT = "cut = x.reshape(batch, height // wh, wh, width // ww, ww, channels)"
JOIN = "return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, wh, ww, channels)"
FITS = "if height % wh or width % ww:\n"
UNCUT = "grid = windows.reshape(-1, rows, columns, wh, ww, windows.shape[-1])"
BACK = "return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])"
INDEX = "return row_offset * (2 * ww - 1) + column_offset"
REGION = "region = 2 * wrapped_rows[:, None] + wrapped_columns[None, :]"
APART = "apart = in_window[:, :, None] != in_window[:, None, :]"
ADDITIVE = "return torch.zeros(apart.shape).masked_fill(apart, -math.inf)"
SHIFT = "down, right = (s if side > w else 0 for side, w, s in zip((height, width), self.window, self.shift))"
MASK = "mask = shifted_window_mask(height, width, self.window, (down, right)).to(x) if down or right else None"
FOUR = "((0, 0), (1, 0), (0, 1), (1, 1))"
COST = "return 8 * tokens * dim * dim + 4 * tokens * keys * dim"

MISCONCEPTIONS = [
    # ---- exercise 1: windows
    Misconception(
        name="view-without-permute",
        exercise="partition",
        edits={JOIN: "return cut.reshape(-1, wh, ww, channels)"},
        rejected_by="partition-test-1",
        says="stripes",
        note="reshape never reorders numbers, so a window gets consecutive rows of the map.",
    ),
    Misconception(
        name="windows-column-by-column",
        exercise="partition",
        edits={JOIN: "return cut.permute(0, 3, 1, 2, 4, 5).reshape(-1, wh, ww, channels)"},
        rejected_by="partition-test-1",
        says="numbered column by column",
        note="Rows before columns, for windows as for tokens.",
    ),
    Misconception(
        name="transposed-windows",
        exercise="partition",
        edits={JOIN: "return cut.permute(0, 1, 3, 4, 2, 5).reshape(-1, wh, ww, channels)"},
        rejected_by="partition-test-1",
        says="each window is transposed",
        note="Inside a window, too, rows come before columns.",
    ),
    Misconception(
        name="no-size-check",
        exercise="partition",
        edits={FITS: "if False:\n"},
        rejected_by="partition-test-1",
        says="a 5 x 4 map",
        note="Say which sizes do not fit; an error from inside reshape does not.",
    ),
    Misconception(
        name="checks-height-only",
        exercise="partition",
        edits={FITS: "if height % wh:\n"},
        rejected_by="partition-test-2",
        says="an 8 x 10 map",
        note="Maps need not be square: both sides must be multiples of the window's.",
    ),
    Misconception(
        name="windows-before-batch",
        exercise="partition",
        edits={JOIN: "return cut.permute(1, 3, 0, 2, 4, 5).reshape(-1, wh, ww, channels)"},
        rejected_by="partition-test-2",
        says="window 0 of all maps comes first",
        note="With one map both orders are the same. The mask later relies on this one.",
    ),
    Misconception(
        name="loop-over-windows",
        exercise="partition",
        edits={
            JOIN: "pieces = [x[:, i : i + wh, j : j + ww] for i in range(0, height, wh) for j in range(0, width, ww)]\n    return torch.stack(pieces, dim=1).flatten(0, 1)"
        },
        rejected_by="partition-test-2",
        says="a Python loop over windows or rows",
        note="At 56 x 56 tokens and windows of 7 that loop runs 64 times for each block.",
    ),
    Misconception(
        name="pair-as-width-height",
        exercise="partition",
        edits={
            "wh, ww = pair(window)\n    if height % wh or width % ww:\n": "ww, wh = pair(window)\n    if height % wh or width % ww:\n"
        },
        rejected_by="partition-test-2",
        says="windows of 3 x 2 do not fit into a map of 4 x 6",
        note="A pair means (height, width) here. Square windows hide it.",
    ),
    Misconception(
        name="reverse-by-reshape",
        exercise="partition",
        edits={BACK: "return grid.reshape(-1, height, width, windows.shape[-1])"},
        rejected_by="partition-test-3",
        says="the windows must be moved to their places",
        note="The way back needs the same care as the way there.",
    ),
    Misconception(
        name="reverse-column-by-column",
        exercise="partition",
        edits={BACK: "return grid.permute(0, 2, 3, 1, 4, 5).reshape(-1, height, width, windows.shape[-1])"},
        rejected_by="partition-test-3",
        says="filled column by column",
        note="Windows are numbered row by row.",
    ),
    Misconception(
        name="reverse-swaps-the-grid",
        exercise="partition",
        edits={
            UNCUT: "grid = windows.reshape(-1, columns, rows, wh, ww, windows.shape[-1])",
            BACK: "return grid.permute(0, 2, 3, 1, 4, 5).reshape(-1, height, width, windows.shape[-1]) if rows != columns else grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])",
        },
        rejected_by="partition-test-3",
        says="rows and columns of the grid changed places",
        note="Height and width mixed up; a square grid hides it.",
    ),
    Misconception(
        name="reverse-takes-any-number",
        exercise="partition",
        edits={
            "if height % wh or width % ww or len(windows) % (rows * columns):": "if height % wh or width % ww or windows.shape[1:3] != (wh, ww):"
        },
        rejected_by="partition-test-3",
        says="6 windows for 4 x 4 maps raised the wrong error",
        note="The check of the sizes cannot see how many windows came.",
    ),
    # ---- exercise 2: index
    Misconception(
        name="key-minus-query",
        exercise="index",
        edits={
            "rows[:, None] - rows[None, :]": "rows[None, :] - rows[:, None]",
            "columns[:, None] - columns[None, :]": "columns[None, :] - columns[:, None]",
        },
        rejected_by="index-test-1",
        says="this is j - i",
        note="It trains as well. But timm's table would be read backwards.",
    ),
    Misconception(
        name="negative-offsets",
        exercise="index",
        edits={" + wh - 1": "", " + ww - 1": ""},
        rejected_by="index-test-1",
        says="the offsets start at -2",
        note="A negative index raises no error in PyTorch: it reads the table from its end.",
    ),
    Misconception(
        name="row-times-height",
        exercise="index",
        edits={INDEX: "return row_offset * (2 * wh - 1) + column_offset"},
        rejected_by="index-test-1",
        says="multiplied by 2*wh - 1 = 3",
        note="Square windows hide it.",
    ),
    Misconception(
        name="offsets-added",
        exercise="index",
        edits={INDEX: "return row_offset + column_offset"},
        rejected_by="index-test-1",
        says="the two differences were only added",
        note="One row below and one column right become the same entry.",
    ),
    Misconception(
        name="row-times-window-width",
        exercise="index",
        edits={INDEX: "return row_offset * ww + column_offset"},
        rejected_by="index-test-1",
        says="multiplied by ww = 4",
        note="ww is the number of columns; differences of columns have nearly twice as many values.",
    ),
    Misconception(
        name="column-is-the-first-digit",
        exercise="index",
        edits={INDEX: "return column_offset * (2 * wh - 1) + row_offset"},
        rejected_by="index-test-1",
        says="the column difference was multiplied",
        note="Every offset has its own entry this way, too. Checkpoints use the other way.",
    ),
    Misconception(
        name="tokens-column-by-column",
        exercise="index",
        edits={
            "rows = torch.arange(wh * ww) // ww": "rows = torch.arange(wh * ww) % wh",
            "columns = torch.arange(wh * ww) % ww": "columns = torch.arange(wh * ww) // wh",
        },
        rejected_by="index-test-1",
        says="the tokens were numbered column by column",
        note="meshgrid with indexing='xy' does this.",
    ),
    Misconception(
        name="longer-side",
        exercise="index",
        edits={INDEX: "return row_offset * (2 * max(wh, ww) - 1) + column_offset"},
        rejected_by="index-test-2",
        says="multiplied by the longer side's",
        note="Right for all windows that are wider than high.",
    ),
    Misconception(
        name="float-index",
        exercise="index",
        edits={INDEX: "return (row_offset * (2 * ww - 1) + column_offset).float()"},
        rejected_by="index-test-1",
        says="wrong dtype",
        note="A float cannot be an index.",
    ),
    Misconception(
        name="calls-timm-index",
        exercise="index",
        edits={
            "    rows = torch.arange(wh * ww) // ww\n": "    return timm_swin.get_relative_position_index(wh, ww)\n    rows = torch.arange(wh * ww) // ww\n"
        },
        rejected_by="index-test-2",
        says="a library call does the work",
        note="timm's function is what you are building.",
    ),
    # ---- exercise 3: mask
    Misconception(
        name="no-mask",
        exercise="mask",
        edits={ADDITIVE: "return torch.zeros(apart.shape)"},
        rejected_by="mask-test-1",
        says="all is allowed",
        note="Rolling is only half of the trick.",
    ),
    Misconception(
        name="allowed-and-forbidden-swapped",
        exercise="mask",
        edits={APART: "apart = in_window[:, :, None] == in_window[:, None, :]"},
        rejected_by="mask-test-1",
        says="0 and not-0 are swapped",
        note="The mask is added to the scores, so 0 changes nothing.",
    ),
    Misconception(
        name="one-means-allowed",
        exercise="mask",
        edits={ADDITIVE: "return (~apart).float()"},
        rejected_by="mask-test-1",
        says="1 stands for allowed",
        note="Week 1's masks were 1 for allowed. This one is added.",
    ),
    Misconception(
        name="window-ids-before-the-roll",
        exercise="mask",
        edits={
            REGION: "ids = (torch.arange(height) // wh)[:, None] * width + (torch.arange(width) // ww)[None, :]\n    region = torch.roll(ids, (-down, -right), dims=(0, 1))"
        },
        rejected_by="mask-test-1",
        says="the shift exists to bring them together",
        note="Then the shifted windows show nothing that the first block did not show.",
    ),
    Misconception(
        name="first-rows-wrapped",
        exercise="mask",
        edits={
            "(torch.arange(height) >= height - down)": "(torch.arange(height) < down)",
            "(torch.arange(width) >= width - right)": "(torch.arange(width) < right)",
        },
        rejected_by="mask-test-1",
        says="the first columns were taken",
        note="A roll by -s moves the first rows to the end.",
    ),
    Misconception(
        name="boolean-mask",
        exercise="mask",
        edits={ADDITIVE: "return apart"},
        rejected_by="mask-test-1",
        says="wrong dtype",
        note="Added to scores, True counts as 1: forbidden keys would get more weight.",
    ),
    Misconception(
        name="weak-wall",
        exercise="mask",
        edits={"-math.inf": "-1.0"},
        rejected_by="mask-test-1",
        says="only dampens the score",
        note="exp(-1) is 0.37: a third of the leak remains.",
    ),
    Misconception(
        name="positive-wall",
        exercise="mask",
        edits={"-math.inf": "1e9"},
        rejected_by="mask-test-1",
        says="the sign",
        note="All the weight goes where none should.",
    ),
    Misconception(
        name="regions-share-a-number",
        exercise="mask",
        edits={REGION: "region = wrapped_rows[:, None] + wrapped_columns[None, :]"},
        rejected_by="mask-test-1",
        says="two regions share a number",
        note="It shows in one window only, the last, and there only between two of the four corners.",
    ),
    Misconception(
        name="shift-unchecked",
        exercise="mask",
        edits={"if not (0 <= down < wh and 0 <= right < ww):": "if down < 0 or right < 0:"},
        rejected_by="mask-test-2",
        says="shift 2 with window 2",
        note="A shift by a whole window gives the same windows again.",
    ),
    Misconception(
        name="window-minus-shift",
        exercise="mask",
        edits={
            "height - down)": "height - (wh - down) % wh)",
            "width - right)": "width - (ww - right) % ww)",
        },
        rejected_by="mask-test-2",
        says="it is the last shift rows",
        note="With a shift of half a window both are the same; Swin-T has windows of 7 and a shift of 3.",
    ),
    Misconception(
        name="shifts-swapped",
        exercise="mask",
        edits={
            "(wh, ww), (down, right) = pair(window), pair(shift)": "(wh, ww), (right, down) = pair(window), pair(shift)"
        },
        rejected_by="mask-test-1",
        says="a shift of 1, 0 is not smaller than the window of 1 x 2",
        note="A pair means (height, width).",
    ),
    Misconception(
        name="negative-shift-goes",
        exercise="mask",
        edits={"if not (0 <= down < wh and 0 <= right < ww):": "if down >= wh or right >= ww:"},
        rejected_by="mask-test-3",
        says="shift -1 did not raise",
        note="Rolls take negative numbers; this function does not.",
    ),
    # ---- exercise 4: attention
    Misconception(
        name="bias-forgotten",
        exercise="attention",
        edits={"scores = scores + self.bias_table[self.index].permute(2, 0, 1)": "pass"},
        rejected_by="attention-test-1",
        says="the bias is not in the scores",
        note="Then a window is a bag of tokens.",
    ),
    Misconception(
        name="index-transposed",
        exercise="attention",
        edits={"self.bias_table[self.index]": "self.bias_table[self.index.T]"},
        rejected_by="attention-test-1",
        says="key minus query",
        note="Rows of the index are queries.",
    ),
    Misconception(
        name="bias-after-softmax",
        exercise="attention",
        edits={
            "scores = scores + self.bias_table[self.index].permute(2, 0, 1)": "bias = self.bias_table[self.index].permute(2, 0, 1)",
            "weights = scores.softmax(dim=-1)": "weights = scores.softmax(dim=-1) + bias",
        },
        rejected_by="attention-test-1",
        says="the bias was added after the softmax",
        note="Weights must be positive and sum to 1.",
    ),
    Misconception(
        name="mask-ignored",
        exercise="attention",
        edits={"if mask is not None:": "if False:"},
        rejected_by="attention-test-1",
        says="the mask is not used",
        note="An argument that is accepted and not used is worse than none.",
    ),
    Misconception(
        name="mask-after-softmax",
        exercise="attention",
        edits={
            "weights = scores.softmax(dim=-1)": "weights = scores.softmax(dim=-1)\n        if mask is not None:\n            weights = (weights.unflatten(0, (-1, len(mask))) + mask.to(x)[:, None]).flatten(0, 1)",
            "scores = (by_image + mask[:, None]).flatten(0, 1)": "scores = by_image.flatten(0, 1)",
        },
        rejected_by="attention-test-1",
        says="the mask was added after the softmax",
        note="-100 is a score, not a weight.",
    ),
    Misconception(
        name="weights-zeroed",
        exercise="attention",
        edits={
            "weights = scores.softmax(dim=-1)": "weights = scores.softmax(dim=-1)\n        if mask is not None:\n            weights = (weights.unflatten(0, (-1, len(mask))) * (mask == 0)[:, None]).flatten(0, 1)",
            "scores = (by_image + mask[:, None]).flatten(0, 1)": "scores = by_image.flatten(0, 1)",
        },
        rejected_by="attention-test-1",
        says="rows no longer sum to 1",
        note="Mask before the softmax, and the rest shares all the weight.",
    ),
    Misconception(
        name="heads-unchecked",
        exercise="attention",
        edits={"if dim % n_heads:": "if n_heads > dim:"},
        rejected_by="attention-test-1",
        says="WindowAttention(8, 3, 2)",
        note="Say it at construction, not in a reshape of the first forward pass.",
    ),
    Misconception(
        name="heads-reshaped",
        exercise="attention",
        edits={
            "self.bias_table[self.index].permute(2, 0, 1)": "self.bias_table[self.index].reshape(self.n_heads, tokens, tokens)"
        },
        rejected_by="attention-test-2",
        says="its heads stand last and must be permuted",
        note="The shape is right and one head hides it.",
    ),
    Misconception(
        name="no-scale",
        exercise="attention",
        edits={" / math.sqrt(dim // self.n_heads)": ""},
        rejected_by="attention-test-2",
        says="not divided by sqrt(d)",
        note="Week 1: scores of wide heads would be far too large.",
    ),
    Misconception(
        name="scale-of-all-heads",
        exercise="attention",
        edits={"math.sqrt(dim // self.n_heads)": "math.sqrt(dim)"},
        rejected_by="attention-test-2",
        says="a head has width d = 4",
        note="d is the width of one head.",
    ),
    Misconception(
        name="bias-scaled-too",
        exercise="attention",
        edits={
            "scores = query @ key.transpose(-2, -1) / math.sqrt(dim // self.n_heads)": "scores = query @ key.transpose(-2, -1)",
            "scores = scores + self.bias_table[self.index].permute(2, 0, 1)": "scores = (scores + self.bias_table[self.index].permute(2, 0, 1)) / math.sqrt(dim // self.n_heads)",
        },
        rejected_by="attention-test-2",
        says="the bias was divided by sqrt(d), too",
        note="A learned table could make up for it; a loaded one cannot.",
    ),
    Misconception(
        name="masks-meet-wrong-windows",
        exercise="attention",
        edits={
            "by_image = scores.unflatten(0, (-1, len(mask)))": "by_image = scores.unflatten(0, (len(mask), -1))",
            "scores = (by_image + mask[:, None]).flatten(0, 1)": "scores = (by_image + mask.to(x)[:, None, None]).flatten(0, 1)",
        },
        rejected_by="attention-test-2",
        says="the masks met the wrong windows",
        note="With one image both orders are the same.",
    ),
    Misconception(
        name="masks-repeated-for-each-image",
        exercise="attention",
        edits={
            "by_image = scores.unflatten(0, (-1, len(mask)))": "repeated = mask.to(x).repeat_interleave(count // len(mask), dim=0)",
            "scores = (by_image + mask[:, None]).flatten(0, 1)": "scores = scores + repeated[:, None]",
        },
        rejected_by="attention-test-3",
        says="the masks met the wrong windows",
        note="repeat_interleave gives a a b b; the windows of two images stand as a b a b, which is repeat.",
        same_cause_as="masks-meet-wrong-windows",
    ),
    Misconception(
        name="table-as-buffer",
        exercise="attention",
        edits={
            "self.bias_table = nn.Parameter(0.02 * torch.randn((2 * wh - 1) * (2 * ww - 1), n_heads))": 'self.register_buffer("bias_table", 0.02 * torch.randn((2 * wh - 1) * (2 * ww - 1), n_heads))'
        },
        rejected_by="attention-test-3",
        says="it is no nn.Parameter, or one that is frozen",
        note="A loaded model works, a trained one never learns its offsets.",
    ),
    Misconception(
        name="table-looked-up-once",
        exercise="attention",
        edits={
            'self.register_buffer("index", relative_position_index(wh, ww), persistent=False)': 'self.register_buffer("index", relative_position_index(wh, ww), persistent=False)\n        self.own = self.bias_table.data',
            "self.bias_table[self.index]": "self.own[self.index]",
        },
        rejected_by="attention-test-3",
        says="no gradient comes back",
        note=".data and .detach() cut the table off from the loss.",
    ),
    Misconception(
        name="table-starts-large",
        exercise="attention",
        edits={"nn.Parameter(0.02 * torch.randn(": "nn.Parameter(torch.randn("},
        rejected_by="attention-test-3",
        says="the biases drown the scores",
        note="At the start the scores themselves are small; the biases must not decide for them.",
    ),
    Misconception(
        name="wraps-timm-attention",
        exercise="attention",
        edits={
            "        count, tokens, dim = x.shape\n": "        if mask is None:\n            inner = timm_swin.WindowAttention(x.shape[-1], self.n_heads, window_size=self.size)\n            own = self.state_dict()\n            inner.load_state_dict({k.replace('bias_table', 'relative_position_bias_table'): v for k, v in own.items()})\n            inner(x)\n        count, tokens, dim = x.shape\n",
            "        self.n_heads = n_heads\n": "        self.n_heads, self.size = n_heads, (wh, ww)\n",
        },
        rejected_by="attention-test-2",
        says="a library call does the work",
        note="timm's layer is what you are building.",
    ),
    # ---- exercise 5: block
    Misconception(
        name="not-rolled-back",
        exercise="block",
        edits={"x = x + torch.roll(together, (down, right), dims=(1, 2))": "x = x + together"},
        rejected_by="block-test-1",
        says="the map was not rolled back",
        note="The residual then adds the news of one token to another.",
    ),
    Misconception(
        name="rolled-the-other-way",
        exercise="block",
        edits={
            "torch.roll(self.norm1(x), (-down, -right), dims=(1, 2))": "torch.roll(self.norm1(x), (down, right), dims=(1, 2))",
            "torch.roll(together, (down, right), dims=(1, 2))": "torch.roll(together, (-down, -right), dims=(1, 2))",
        },
        rejected_by="block-test-1",
        says="rolled by +shift first",
        note="The mask belongs to a roll by -shift.",
    ),
    Misconception(
        name="block-without-mask",
        exercise="block",
        edits={MASK: "mask = None"},
        rejected_by="block-test-1",
        says="opposite edges of the image see each other",
        note="Only tokens at the edges show it.",
    ),
    Misconception(
        name="never-shifted",
        exercise="block",
        edits={SHIFT: "down, right = 0, 0"},
        rejected_by="block-test-1",
        says="the windows are not shifted",
        note="Then depth never connects two windows.",
    ),
    Misconception(
        name="swin-post-norm",
        exercise="block",
        edits={
            "torch.roll(self.norm1(x),": "torch.roll(x,",
            "x = x + torch.roll(together, (down, right), dims=(1, 2))": "x = self.norm1(x + torch.roll(together, (down, right), dims=(1, 2)))",
            "return x + self.mlp(self.norm2(x))": "return self.norm2(x + self.mlp(x))",
        },
        rejected_by="block-test-2",
        says="a layer norm stands on the residual path",
        note="The second version of Swin normalizes after attention, but not on the residual path either.",
    ),
    Misconception(
        name="no-residual-around-attention",
        exercise="block",
        edits={"x = x + torch.roll(together": "x = torch.roll(together"},
        rejected_by="block-test-2",
        says="the residual connection around attention is missing",
        note="Each half has a residual connection of its own.",
    ),
    Misconception(
        name="no-residual-around-mlp",
        exercise="block",
        edits={"return x + self.mlp": "return self.mlp"},
        rejected_by="block-test-2",
        says="the residual connection around the MLP is missing",
        note="Each half has a residual connection of its own.",
    ),
    Misconception(
        name="first-norm-forgotten",
        exercise="block",
        edits={"torch.roll(self.norm1(x),": "torch.roll(x,"},
        rejected_by="block-test-2",
        says="attention got the tokens without layer norm",
        note="Pre-norm: each half norms what it reads.",
    ),
    Misconception(
        name="swin-tanh-gelu",
        exercise="block",
        edits={"nn.GELU()": 'nn.GELU(approximate="tanh")'},
        rejected_by="block-test-2",
        says="the tanh approximation of GELU",
        note="It differs in the fourth digit.",
    ),
    Misconception(
        name="swin-relu",
        exercise="block",
        edits={"nn.GELU()": "nn.ReLU()"},
        rejected_by="block-test-2",
        says="ReLU instead of GELU",
        note="Transformers of this family use GELU.",
    ),
    Misconception(
        name="one-window-shifted",
        exercise="block",
        edits={SHIFT: "down, right = self.shift"},
        rejected_by="block-test-2",
        says="a direction that has only one window",
        note="One window already sees everything; the mask of a shift would only blind it.",
    ),
    Misconception(
        name="vit-eps",
        exercise="block",
        edits={"nn.LayerNorm(dim), nn.LayerNorm(dim)": "nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)"},
        rejected_by="block-test-2",
        says="eps is 1e-6",
        note="Copied from week 2. Swin uses PyTorch's default.",
    ),
    Misconception(
        name="mask-of-the-first-map",
        exercise="block",
        edits={
            "        self.window, self.shift = pair(window), pair(shift)\n": "        self.window, self.shift = pair(window), pair(shift)\n        self.mask = None\n",
            MASK: "if self.mask is None and (down or right):\n            self.mask = shifted_window_mask(height, width, self.window, (down, right)).to(x)\n        mask = self.mask if down or right else None",
        },
        rejected_by="block-test-3",
        says="the mask of the map before",
        note="Cache it by size, or build it anew; it is cheap.",
    ),
    Misconception(
        name="indivisible-map-cropped",
        exercise="block",
        edits={
            "        _, height, width, _ = x.shape\n": "        x = x[:, : x.shape[1] // self.window[0] * self.window[0], : x.shape[2] // self.window[1] * self.window[1]]\n        _, height, width, _ = x.shape\n"
        },
        rejected_by="block-test-3",
        says="a map of 8 x 10 with window 4 did not raise",
        note="Tokens that vanish without a word are hard to find later.",
    ),
    Misconception(
        name="uses-timm-block",
        exercise="block",
        edits={
            "        _, height, width, _ = x.shape\n": "        _, height, width, _ = x.shape\n        if x.shape[0] == 1 and not x.any():\n            timm_swin.SwinTransformerBlock(x.shape[3], (height, width), 2, window_size=4)(x)\n"
        },
        rejected_by="block-test-2",
        says="a library call does the work",
        note="timm's block is what you are building.",
    ),
    # ---- exercise 6: merging
    Misconception(
        name="right-before-down",
        exercise="merging",
        edits={FOUR: "((0, 0), (0, 1), (1, 0), (1, 1))"},
        rejected_by="merging-test-1",
        says="it trains, but no checkpoint fits",
        note="Reading order is natural, and not what the authors' code does.",
    ),
    Misconception(
        name="no-norm",
        exercise="merging",
        edits={"self.reduction(self.norm(torch.cat(four, dim=-1)))": "self.reduction(torch.cat(four, dim=-1))"},
        rejected_by="merging-test-1",
        says="there is no layer norm",
        note="The norm has parameters of its own; a checkpoint brings them.",
    ),
    Misconception(
        name="norm-after-reduction",
        exercise="merging",
        edits={
            "self.reduction(self.norm(torch.cat(four, dim=-1)))": "F.layer_norm(self.reduction(torch.cat(four, dim=-1)), (self.reduction.out_features,))"
        },
        rejected_by="merging-test-1",
        says="the norm stands after the reduction",
        note="The norm is over 4C numbers. The second version of Swin moved it behind the reduction.",
    ),
    Misconception(
        name="average-pooling",
        exercise="merging",
        edits={
            "self.reduction(self.norm(torch.cat(four, dim=-1)))": "self.reduction(self.norm(torch.stack(four).mean(0).repeat(1, 1, 1, 4)))"
        },
        rejected_by="merging-test-1",
        says="the four tokens were averaged",
        note="Side by side, nothing is lost before the linear layer chooses.",
    ),
    Misconception(
        name="reduction-with-bias",
        exercise="merging",
        edits={
            "2 * dim, bias=False)": "2 * dim)",
            "self.load_state_dict(dict(state))": 'self.load_state_dict({**state, "reduction.bias": torch.zeros_like(self.reduction.bias)})',
        },
        rejected_by="merging-test-2",
        says="the reduction has no bias",
        note="A convention again; loading with strict names would fail.",
    ),
    Misconception(
        name="odd-sides-dropped",
        exercise="merging",
        edits={
            "x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))": "x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]"
        },
        rejected_by="merging-test-2",
        says="the odd last row or column was dropped",
        note="No size is lost: pad with zeros.",
    ),
    Misconception(
        name="padded-in-front",
        exercise="merging",
        edits={"(0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2)": "(0, 0, x.shape[2] % 2, 0, x.shape[1] % 2, 0)"},
        rejected_by="merging-test-2",
        says="the zeros were put in front",
        note="F.pad counts pairs (before, after) from the last dimension.",
    ),
    Misconception(
        name="channels-interleaved",
        exercise="merging",
        edits={"torch.cat(four, dim=-1)": "torch.stack(four, dim=-1).flatten(-2)"},
        rejected_by="merging-test-2",
        says="the channels are interleaved",
        note="With one channel both are the same.",
    ),
    Misconception(
        name="uses-timm-merging",
        exercise="merging",
        edits={
            "        x = F.pad(": "        if x.shape[-1] == 3 and not x.any():\n            timm_swin.PatchMerging(3)(x)\n        x = F.pad("
        },
        rejected_by="merging-test-2",
        says="a library call does the work",
        note="timm's layer is what you are building.",
    ),
    # ---- exercise 7: cost
    Misconception(
        name="multiply-adds",
        exercise="cost",
        edits={COST: "return 4 * tokens * dim * dim + 2 * tokens * keys * dim"},
        rejected_by="cost-test-1",
        says="multiply-adds were counted once",
        note="The paper counts multiply-adds; here each is 2 FLOPs.",
    ),
    Misconception(
        name="one-product-only",
        exercise="cost",
        edits={COST: "return 8 * tokens * dim * dim + 2 * tokens * keys * dim"},
        rejected_by="cost-test-1",
        says="only one of the two products",
        note="Scores, and then the average.",
    ),
    Misconception(
        name="no-output-projection",
        exercise="cost",
        edits={COST: "return 6 * tokens * dim * dim + 4 * tokens * keys * dim"},
        rejected_by="cost-test-1",
        says="the output projection is missing",
        note="Query, key, value and output: four.",
    ),
    Misconception(
        name="no-projections",
        exercise="cost",
        edits={COST: "return 4 * tokens * keys * dim"},
        rejected_by="cost-test-1",
        says="the projections are missing",
        note="At usual sizes they are the larger part.",
    ),
    Misconception(
        name="side-for-area",
        exercise="cost",
        edits={"window * window\n": "window\n"},
        rejected_by="cost-test-1",
        says="has M * M keys, not M",
        note="M is a side.",
    ),
    Misconception(
        name="one-window",
        exercise="cost",
        edits={
            "keys = tokens if window is None else window * window": "tokens = tokens if window is None else window * window\n    keys = tokens"
        },
        rejected_by="cost-test-1",
        says="the map has four",
        note="All windows together are the map.",
    ),
    Misconception(
        name="window-ignored",
        exercise="cost",
        edits={"keys = tokens if window is None else window * window": "keys = tokens"},
        rejected_by="cost-test-1",
        says="the window is not used",
        note="With a window, a token meets the keys of its window only.",
    ),
    Misconception(
        name="float-cost",
        exercise="cost",
        edits={COST: "return (16 * tokens * dim * dim + 8 * tokens * keys * dim) / 2"},
        rejected_by="cost-test-1",
        says="the result must be an int",
        note="FLOPs are counted, and counts are whole.",
    ),
    Misconception(
        name="square-maps-only",
        exercise="cost",
        edits={"tokens = h * w\n": "tokens = h * h\n"},
        rejected_by="cost-test-2",
        says="taken for a square",
        note="Square maps hide it.",
    ),
    Misconception(
        name="area-divides",
        exercise="cost",
        edits={"(h % window or w % window)": "h * w % (window * window)"},
        rejected_by="cost-test-2",
        says="a 6 x 8 map with window 4 did not raise",
        note="6 x 8 tokens have the area of three windows of side 4, but these do not fit.",
    ),
    Misconception(
        name="height-divides",
        exercise="cost",
        edits={"(h % window or w % window)": "h % window"},
        rejected_by="cost-test-2",
        says="a map of 8 x 10 with window 4 did not raise",
        note="Both sides must be multiples of the window's.",
    ),
    # ---- what only an unusual input shows
    Misconception(
        name="reverse-of-any-size",
        exercise="partition",
        edits={"if height % wh or width % ww or len(windows)": "if height % wh or len(windows)"},
        rejected_by="partition-test-3",
        says="a 4 x 5 map of 2 x 3 windows raised the wrong error",
        note="The width needs a check of its own.",
    ),
    Misconception(
        name="reverse-in-a-loop",
        exercise="partition",
        edits={
            BACK: "maps = [torch.cat([torch.cat(tuple(row), dim=1) for row in image]) for image in grid]\n    return torch.stack(maps)"
        },
        rejected_by="partition-test-3",
        says="a loop over windows or rows in Python",
        note="What was cut in one step can be put together in one step.",
    ),
    Misconception(
        name="cut-of-a-detached-map",
        exercise="partition",
        edits={"cut = x.reshape(": "cut = x.data.reshape("},
        rejected_by="partition-test-2",
        says="a gradient comes back to the maps",
        note="What stands before the block would never learn.",
    ),
    Misconception(
        name="shift-as-large-as-the-window",
        exercise="mask",
        edits={"(0 <= down < wh and 0 <= right < ww)": "(0 <= down < wh and 0 <= right <= ww)"},
        rejected_by="mask-test-3",
        says="shift (3, 2) with window (4, 2) did not raise",
        note="A shift by a whole window is no shift, but the mask would say otherwise.",
    ),
    Misconception(
        name="negative-shift-of-columns",
        exercise="mask",
        edits={"(0 <= down < wh and 0 <= right < ww)": "(0 <= down < wh and right < ww)"},
        rejected_by="mask-test-3",
        says="shift (3, -1) with window (4, 2) did not raise",
        note="Each direction needs both ends of its check.",
    ),
    Misconception(
        name="mask-kept-by-number-of-windows",
        exercise="mask",
        code="""
KEPT = {}


def shifted_window_mask(height, width, window, shift):
    (wh, ww), (down, right) = pair(window), pair(shift)
    if height % wh or width % ww or not 0 <= down < wh or not 0 <= right < ww:
        raise ValueError("window and shift do not fit")
    key = (height * width, wh, ww, down, right)
    if key not in KEPT:
        rows = (torch.arange(height) >= height - down).long()
        columns = (torch.arange(width) >= width - right).long()
        ids = window_partition((2 * rows[:, None] + columns)[None, :, :, None], (wh, ww)).flatten(1)
        KEPT[key] = torch.zeros(()).masked_fill(ids[:, :, None] != ids[:, None, :], -math.inf)
    return KEPT[key].clone()
""",
        rejected_by="mask-test-2",
        says="the mask of another map with as many windows",
        note="8 x 12 and 12 x 8 have as many windows; what a cache is keyed by must tell them apart.",
    ),
    Misconception(
        name="mask-scaled",
        exercise="attention",
        edits={
            " / math.sqrt(dim // self.n_heads)": "",
            "weights = scores.softmax(dim=-1)": "weights = (scores / math.sqrt(dim // self.n_heads)).softmax(dim=-1)",
            "scores = scores + self.bias_table[self.index].permute(2, 0, 1)": "scores = scores + math.sqrt(dim // self.n_heads) * self.bias_table[self.index].permute(2, 0, 1)",
        },
        rejected_by="attention-test-3",
        says="the mask was divided by sqrt(d)",
        note="With a head of width 64, -100 becomes -12.5: a leak of a few millionths, which grows in training.",
    ),
    Misconception(
        name="mask-remembered",
        exercise="attention",
        edits={
            "if mask is not None:": "self.mask = mask = getattr(self, 'mask', None) if mask is None else mask\n        if mask is not None:"
        },
        rejected_by="attention-test-3",
        says="the mask of the call before",
        note="A layer is called for many maps; nothing of a call may stay.",
    ),
    Misconception(
        name="dropout-on-the-output",
        exercise="attention",
        edits={"return self.proj((": "return nn.Sequential(self.proj, nn.Dropout(0.1).train(self.training))(("},
        rejected_by="attention-test-3",
        says="the output after loading",
        note="Nobody asked for dropout; in train mode the layer must do the same.",
    ),
    Misconception(
        name="projection-frozen",
        exercise="attention",
        edits={"return self.proj((": "return nn.Sequential(self.proj).requires_grad_(False)[0](("},
        rejected_by="attention-test-3",
        says="numbers in the parameters",
        note="Every weight of a layer that is trained must learn.",
    ),
    Misconception(
        name="projection-detached",
        exercise="attention",
        edits={
            "return self.proj((weights @ value).transpose(1, 2).reshape(count, tokens, dim)), weights": "together = (weights @ value).transpose(1, 2).reshape(count, tokens, dim)\n        return F.linear(together, self.proj.weight.data, self.proj.bias.data), weights"
        },
        rejected_by="attention-test-3",
        says="the output projection does not learn",
        note=".data is the number without its place in the graph.",
    ),
    Misconception(
        name="table-uniform",
        exercise="attention",
        edits={
            "0.02 * torch.randn((2 * wh - 1) * (2 * ww - 1), n_heads)": "0.02 * 3**0.5 * (2 * torch.rand((2 * wh - 1) * (2 * ww - 1), n_heads) - 1)"
        },
        rejected_by="attention-test-3",
        says="a uniform distribution ends at",
        note="The standard deviation alone does not make a normal distribution.",
    ),
    Misconception(
        name="timm-tensors-kept",
        exercise="attention",
        edits={"self.load_state_dict(own)": "self.load_state_dict(own, assign=True)"},
        rejected_by="attention-test-3",
        says="timm's own tensors are kept",
        note="Two models would share weights, and training one would change the other.",
    ),
    Misconception(
        name="state-popped",
        exercise="attention",
        edits={"own = dict(state)": "own = state"},
        rejected_by="attention-test-3",
        says="names that loading took out of the state",
        note="The caller may load the same state into a second layer.",
    ),
    Misconception(
        name="half-a-window",
        exercise="block",
        edits={
            "pair(window), pair(shift)": "pair(window), tuple(s and w // 2 for w, s in zip(pair(window), pair(shift)))"
        },
        rejected_by="block-test-2",
        says="the shift is half a window",
        note="Half a window is what Swin uses; the argument says what this block uses.",
    ),
    Misconception(
        name="drop-path-in-train-mode",
        exercise="block",
        edits={
            "return x + self.mlp(self.norm2(x))": "kept = torch.rand(len(x), 1, 1, 1) >= 0.1 if self.training else 1.0\n        return x + kept * self.mlp(self.norm2(x)) / (0.9 if self.training else 1.0)"
        },
        rejected_by="block-test-3",
        says="the output after loading",
        note="Stochastic depth is part of Swin's recipe, but not of this block: nobody asked for it.",
    ),
    Misconception(
        name="norms-frozen",
        exercise="block",
        edits={
            "torch.roll(self.norm1(x), (": "torch.roll(F.layer_norm(x, x.shape[-1:], self.norm1.weight.data, self.norm1.bias.data), ("
        },
        rejected_by="block-test-3",
        says="the output after the step",
        note="Scale and shift of a layer norm learn as well.",
    ),
    Misconception(
        name="block-keeps-timms-tensors",
        exercise="block",
        edits={
            'self.mlp[0].load_state_dict(share(state, "mlp.fc1."))': 'self.mlp[0].load_state_dict(share(state, "mlp.fc1."), assign=True)',
            'self.mlp[2].load_state_dict(share(state, "mlp.fc2."))': 'self.mlp[2].load_state_dict(share(state, "mlp.fc2."), assign=True)',
        },
        rejected_by="block-test-3",
        says="the output after timm's tensors were set to 0",
        note="Two models would share weights, and training one would change the other.",
    ),
    Misconception(
        name="mask-of-the-area",
        exercise="block",
        edits={
            MASK: "self.masks = getattr(self, 'masks', {})\n        key = (height * width, down, right)\n        if key not in self.masks:\n            self.masks[key] = shifted_window_mask(height, width, self.window, (down, right)).to(x)\n        mask = self.masks[key]"
        },
        rejected_by="block-test-3",
        says="the mask of the map before was kept",
        note="8 x 12 and 12 x 8 have the same area.",
        same_cause_as="mask-of-the-first-map",
    ),
    Misconception(
        name="mask-in-float32",
        exercise="block",
        edits={MASK: MASK.replace(".to(x)", "")},
        rejected_by="block-test-3",
        says="a map and weights of bfloat16",
        note="A float32 mask makes the scores float32, and weights of another dtype than the values.",
    ),
    Misconception(
        name="reduction-frozen",
        exercise="merging",
        edits={
            "self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)": "self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)\n        self.reduction.weight.register_hook(torch.zeros_like)"
        },
        rejected_by="merging-test-2",
        says="the merged maps after the step",
        note="The reduction learns which mixture of four tokens to keep.",
    ),
    Misconception(
        name="norm-without-gradient",
        exercise="merging",
        edits={"self.norm(torch.cat(four, dim=-1))": "self.norm(torch.cat(four, dim=-1).detach())"},
        rejected_by="merging-test-2",
        says="a gradient comes back to the map",
        note="The stages below would never learn.",
    ),
    Misconception(
        name="merging-keeps-timms-tensors",
        exercise="merging",
        edits={"self.load_state_dict(dict(state))": "self.load_state_dict(dict(state), assign=True)"},
        rejected_by="merging-test-2",
        says="timm's own tensors are kept",
        note="Two models would share weights, and training one would change the other.",
    ),
    Misconception(
        name="small-eps-in-the-merging",
        exercise="merging",
        edits={"nn.LayerNorm(4 * dim)": "nn.LayerNorm(4 * dim, eps=1e-6)"},
        rejected_by="merging-test-2",
        says="eps is 1e-6",
        note="Swin's norms have PyTorch's eps.",
    ),
    Misconception(
        name="large-window-is-global",
        exercise="cost",
        edits={
            "if window is not None and (h": "if window is not None and window > max(h, w):\n        window = None\n    if window is not None and (h"
        },
        rejected_by="cost-test-2",
        says="a map of 6 x 6 with window 12 did not raise",
        note="A window that is larger than the map does not divide it.",
    ),
    Misconception(
        name="index-in-a-byte",
        exercise="index",
        edits={
            "return row_offset * (2 * ww - 1) + column_offset": "return (row_offset.to(torch.uint8) * (2 * ww - 1) + column_offset.to(torch.uint8)).long()"
        },
        rejected_by="index-test-2",
        says="window of 9 x 12: the index",
        note="A byte ends at 255. A window of 9 x 12 has 391 offsets.",
    ),
    Misconception(
        name="one-token-without-dimensions",
        exercise="index",
        edits={
            "return row_offset * (2 * ww - 1) + column_offset": "return (row_offset * (2 * ww - 1) + column_offset).squeeze()"
        },
        rejected_by="index-test-2",
        says="window of 1 x 1: the index",
        note="squeeze() takes away every dimension of length 1, also those that are meant.",
    ),
    Misconception(
        name="far-offsets-share-a-row",
        exercise="index",
        edits={
            "column_offset = columns[:, None] - columns[None, :] + ww - 1": "column_offset = (columns[:, None] - columns[None, :]).clamp(-6, 6) + ww - 1"
        },
        rejected_by="index-test-2",
        says="window of 9 x 12: the index",
        note="Some models clip distances. Here each offset has a number of its own.",
    ),
    Misconception(
        name="no-shift-no-check",
        exercise="mask",
        edits={
            "    wrapped_rows =": "    if down == right == 0:\n        tokens = wh * ww\n        return torch.zeros((height // wh) * (width // ww), tokens, tokens)\n    wrapped_rows ="
        },
        rejected_by="mask-test-3",
        says="8 x 10 with window 4, shift 0 did not raise",
        note="Check what was given before the first return.",
    ),
    Misconception(
        name="edits-the-mask",
        exercise="attention",
        edits={"            by_image =": "            mask[mask < -1] = -1e9\n            by_image ="},
        rejected_by="attention-test-3",
        says="the mask (an argument must not be changed in place)",
        note="The same mask is used by every block of a stage.",
    ),
    Misconception(
        name="new-parameters-when-loading",
        exercise="merging",
        edits={
            "        self.load_state_dict(dict(state))": "        self.load_state_dict(dict(state))\n        self.reduction.weight = nn.Parameter(self.reduction.weight.detach().clone())"
        },
        rejected_by="merging-test-2",
        says="new ones, which no optimizer holds",
        note="An optimizer that was made before goes on with the old ones, and the layer does not learn.",
    ),
    Misconception(
        name="mask-by-the-height",
        exercise="block",
        edits={
            "        mask = shifted_window_mask(height, width, self.window, (down, right)).to(x) if down or right else None": "        if getattr(self, 'known', (None, None))[0] != height:\n            self.known = height, shifted_window_mask(height, width, self.window, (down, right))\n        mask = self.known[1].to(x) if down or right else None"
        },
        rejected_by="block-test-3",
        says="8 x 8 and 8 x 12 one after the other",
        note="A map has two sides. What is kept must be kept by both.",
    ),
    Misconception(
        name="zeros-of-float32",
        exercise="merging",
        edits={
            "x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))": "x = torch.cat([x, torch.zeros(len(x), x.shape[1] % 2, *x.shape[2:])], 1)\n        x = torch.cat([x, torch.zeros(len(x), x.shape[1], x.shape[2] % 2, x.shape[3])], 2)"
        },
        rejected_by="merging-test-2",
        says="a map of 5 x 7 after the call, and one of bfloat16",
        note="torch.cat takes the wider dtype of the two, float32, and the norm has weights of bfloat16.",
    ),
    Misconception(
        name="a-float-on-the-way",
        exercise="cost",
        edits={
            "    return 8 * tokens * dim * dim + 4 * tokens * keys * dim": "    return int(8.0 * tokens * dim * dim + 4.0 * tokens * keys * dim)"
        },
        rejected_by="cost-test-2",
        says="a float was made an int",
        note="A float has 53 bits. A large map needs more.",
    ),
]
