"""Wrong answers that people really write in week 2, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

CUT = "cut = images.reshape(batch, channels, height // p, p, width // p, p)"
REORDER = "return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, (height // p) * (width // p), channels * p * p)"
UNCUT = "cut = tokens.reshape(-1, rows, columns, channels, p, p)"

MISCONCEPTIONS = [
    # ---- exercise 1: patchify and unpatchify
    Misconception(
        name="stripes",
        exercise="patchify",
        edits={REORDER: "return cut.reshape(batch, (height // p) * (width // p), channels * p * p)"},
        rejected_by="patchify-test-1",
        says="cut into stripes",
        note="reshape never changes the order of the numbers, so it cuts rows of pixels and not squares.",
    ),
    Misconception(
        name="channels-last",
        exercise="patchify",
        edits={"cut.permute(0, 2, 4, 1, 3, 5)": "cut.permute(0, 2, 4, 3, 5, 1)"},
        rejected_by="patchify-test-1",
        says="the channels stand last",
        note="(p, p, C) is the order of image files. The weights of a convolution are (C, p, p), and so are timm's.",
    ),
    Misconception(
        name="columns-first",
        exercise="patchify",
        edits={"cut.permute(0, 2, 4, 1, 3, 5)": "cut.permute(0, 4, 2, 1, 3, 5)"},
        rejected_by="patchify-test-1",
        says="read column by column",
        note="Height comes before width, so the row of the grid is the slow index.",
    ),
    Misconception(
        name="transposed-patches",
        exercise="patchify",
        edits={"cut.permute(0, 2, 4, 1, 3, 5)": "cut.permute(0, 2, 4, 1, 5, 3)"},
        rejected_by="patchify-test-1",
        says="each patch is transposed",
        note="Inside a patch, too, rows come before columns.",
    ),
    Misconception(
        name="no-size-check",
        exercise="patchify",
        edits={"if height % p or width % p:": "if False:"},
        rejected_by="patchify-test-1",
        says="a 5 x 4 image",
        note="Say which sizes do not fit; an error from inside reshape does not.",
    ),
    Misconception(
        name="checks-height-only",
        exercise="patchify",
        edits={"if height % p or width % p:": "if height % p:"},
        rejected_by="patchify-test-2",
        says="an 8 x 10 image",
        note="Images need not be square: both sides must be multiples of p.",
    ),
    Misconception(
        name="loop-over-patches",
        exercise="patchify",
        edits={
            REORDER: "pieces = [images[:, :, i : i + p, j : j + p].flatten(1) for i in range(0, height, p) for j in range(0, width, p)]\n    return torch.stack(pieces, dim=1)"
        },
        rejected_by="patchify-test-2",
        says="a Python loop over rows or patches",
        note="At p = 4 and 224 pixels that loop runs 3,136 times for one image.",
    ),
    Misconception(
        name="reassembled-by-reshape",
        exercise="patchify",
        edits={"return cut.permute(0, 3, 1, 4, 2, 5).reshape(": "return cut.reshape("},
        rejected_by="patchify-test-3",
        says="the patches must be moved to their places",
        note="The way back needs the same care as the way there: reshape, permute, reshape.",
    ),
    Misconception(
        name="unpatchify-channels-last",
        exercise="patchify",
        edits={
            UNCUT: "cut = tokens.reshape(-1, rows, columns, p, p, channels)",
            "cut.permute(0, 3, 1, 4, 2, 5)": "cut.permute(0, 5, 1, 3, 2, 4)",
        },
        rejected_by="patchify-test-3",
        says="read as (p, p, C)",
        note="With one channel both orders are the same, so gray images hide this.",
    ),
    Misconception(
        name="unpatchify-swaps-the-grid",
        exercise="patchify",
        edits={
            UNCUT: "cut = tokens.reshape(-1, columns, rows, channels, p, p)",
            "cut.permute(0, 3, 1, 4, 2, 5)": "cut.permute(0, 3, 2, 4, 1, 5)",
        },
        rejected_by="patchify-test-3",
        says="filled column by column",
        note="Patches are numbered row by row, so rows come first.",
    ),
    Misconception(
        name="unpatchify-takes-any-grid",
        exercise="patchify",
        edits={"if tokens.shape[1] != rows * columns:": "if tokens.numel() % (rows * columns * channels * p * p):"},
        rejected_by="patchify-test-3",
        says="a 2 x 2 grid for 6 patches",
        note="reshape(-1, ...) takes what is left over for the batch: images of other sizes come out, and no error.",
    ),
    Misconception(
        name="loop-over-the-grid",
        exercise="patchify",
        edits={
            "return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, rows * p, columns * p)": "lines = [torch.cat([cut[:, i, j] for j in range(columns)], dim=3) for i in range(rows)]\n    return torch.cat(lines, dim=2)"
        },
        rejected_by="patchify-test-3",
        says="a Python loop over the patches or the rows",
        note="Both directions are asked for without a loop.",
    ),
    # ---- exercise 2: patch embedding
    Misconception(
        name="grid-is-width-height",
        exercise="embed",
        edits={
            "self.grid_size = (height // patch_size, width // patch_size)": "self.grid_size = (width // patch_size, height // patch_size)"
        },
        rejected_by="embed-test-1",
        says="grid_size is (rows, columns)",
        note="Images are (height, width) here. Pillow says (width, height).",
    ),
    Misconception(
        name="reshaped-not-transposed",
        exercise="embed",
        edits={
            "self.proj(images).flatten(2).transpose(1, 2)": "self.proj(images).reshape(len(images), -1, self.proj.out_channels)"
        },
        rejected_by="embed-test-1",
        says="must be transposed, not reshaped",
        note="The shape is right, but each token then holds one feature of many patches.",
    ),
    Misconception(
        name="columns-before-rows",
        exercise="embed",
        edits={"self.proj(images).flatten(2)": "self.proj(images).transpose(2, 3).flatten(2)"},
        rejected_by="embed-test-1",
        says="numbered column by column",
        note="Flatten rows and columns as they are: row by row.",
    ),
    Misconception(
        name="bias-forgotten",
        exercise="embed",
        edits={
            "stride=patch_size)": "stride=patch_size, bias=False)",
            "dict(state))": "{'proj.weight': state['proj.weight']}, strict=False)",
        },
        rejected_by="embed-test-1",
        says="the bias is missing",
        note="timm's projection has a bias.",
    ),
    Misconception(
        name="overlapping-patches",
        exercise="embed",
        edits={"kernel_size=patch_size, stride=patch_size": "kernel_size=patch_size"},
        rejected_by="embed-test-1",
        says="the tokens: wrong shape",
        note="Without a stride of p the kernel moves by one pixel, and there is a token for every pixel.",
    ),
    Misconception(
        name="any-size-goes",
        exercise="embed",
        edits={"if tuple(images.shape[-2:]) != self.img_size:": "if False:"},
        rejected_by="embed-test-1",
        says="a 6 x 6 image for a 4 x 6 model did not raise",
        note="The convolution takes any size. The positions that follow do not.",
    ),
    Misconception(
        name="counts-patches-only",
        exercise="embed",
        edits={
            "if tuple(images.shape[-2:]) != self.img_size:": "if images.shape[-2] * images.shape[-1] != self.img_size[0] * self.img_size[1]:"
        },
        rejected_by="embed-test-2",
        says="16 x 64 for a 32 x 32 model",
        note="16 x 64 has as many patches as 32 x 32, and every position would be wrong.",
    ),
    Misconception(
        name="activation-after-projection",
        exercise="embed",
        edits={"self.proj(images).flatten(2)": "F.relu(self.proj(images)).flatten(2)"},
        rejected_by="embed-test-2",
        says="an activation after the projection",
        note="Habit from convolutional networks. The embedding is linear.",
    ),
    Misconception(
        name="wraps-timm",
        exercise="embed",
        edits={
            "self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)": "self.inner = PatchEmbed(self.img_size, patch_size, in_chans, embed_dim)",
            "self.proj(images).flatten(2).transpose(1, 2)": "self.inner(images)",
            "self.load_state_dict(dict(state))": "self.inner.load_state_dict(dict(state))",
        },
        rejected_by="embed-test-2",
        says="a library call does the work",
        note="timm's layer is what you are building.",
    ),
    Misconception(
        name="keeps-timms-projection",
        exercise="embed",
        edits={
            "self.load_state_dict(dict(state))": "self.proj.weight, self.proj.bias = (nn.Parameter(state[f'proj.{name}']) for name in ('weight', 'bias'))"
        },
        rejected_by="embed-test-2",
        says="your parameters are timm's own tensors",
        note="nn.Parameter(tensor) shares the tensor's memory.",
    ),
    Misconception(
        name="frozen-by-the-loader",
        exercise="embed",
        edits={
            "self.load_state_dict(dict(state))": "self.load_state_dict(dict(state))\n        self.requires_grad_(False)"
        },
        rejected_by="embed-test-2",
        says="weight and bias are parameters that get a gradient",
        note="Loaded weights are a start; whether they learn is the caller's affair.",
    ),
    Misconception(
        name="empties-the-state",
        exercise="embed",
        edits={
            "self.load_state_dict(dict(state))": "self.load_state_dict({name: state.pop(name) for name in ('proj.weight', 'proj.bias')})"
        },
        rejected_by="embed-test-2",
        says="timm's state dict is as before",
        note="pop takes the entry away from the caller, who may want to load it twice.",
        in_one_mode="embed-test-1",
    ),
    # ---- exercise 3: class token and positions
    Misconception(
        name="class-token-last",
        exercise="positions",
        edits={"torch.cat([first, tokens], dim=1)": "torch.cat([tokens, first], dim=1)"},
        rejected_by="positions-test-1",
        says="the class token stands last",
        note="The head reads token 0.",
    ),
    Misconception(
        name="class-token-without-place",
        exercise="positions",
        edits={
            "torch.cat([first, tokens], dim=1) + self.positions": "torch.cat([first, tokens + self.positions[:, :-1]], dim=1)"
        },
        rejected_by="positions-test-1",
        says="the patches got those from place 0 on",
        note="Positions are added after the class token is in the row.",
    ),
    Misconception(
        name="patches-only-get-places",
        exercise="positions",
        edits={
            "torch.cat([first, tokens], dim=1) + self.positions": "torch.cat([first, tokens + self.positions[:, 1:]], dim=1)"
        },
        rejected_by="positions-test-1",
        says="the class token got no position",
        note="There are N + 1 positions; the first belongs to the class token.",
    ),
    Misconception(
        name="positions-forgotten",
        exercise="positions",
        edits={"torch.cat([first, tokens], dim=1) + self.positions": "torch.cat([first, tokens], dim=1)"},
        rejected_by="positions-test-1",
        says="the positions were not added",
        note="A parameter that is never used is not an error anywhere, only a bag of patches.",
    ),
    Misconception(
        name="class-token-as-plain-tensor",
        exercise="positions",
        edits={
            "self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))": "self.register_buffer('class_token', 0.02 * torch.randn(1, 1, dim))"
        },
        rejected_by="positions-test-2",
        says="no optimizer will change it",
        note="Only parameters are learned.",
    ),
    Misconception(
        name="positions-start-at-zero",
        exercise="positions",
        edits={"0.02 * torch.randn(1, n_patches + 1, dim)": "torch.zeros(1, n_patches + 1, dim)"},
        rejected_by="positions-test-2",
        says="all of it starts at 0",
        note="All places look alike at the start. It can still learn, but this exercise asks for std 0.02.",
    ),
    Misconception(
        name="positions-start-large",
        exercise="positions",
        edits={"0.02 * torch.randn(1, n_patches + 1, dim)": "torch.randn(1, n_patches + 1, dim)"},
        rejected_by="positions-test-2",
        says="drowns the patches",
        note="Week 1 used 1.0 for tokens of standard deviation 1; embedded patches are smaller, and 0.02 is the habit of ViTs.",
    ),
    Misconception(
        name="detached-for-the-batch",
        exercise="positions",
        edits={
            "first = self.class_token.expand(tokens.shape[0], -1, -1)": "first = self.class_token.detach().repeat(tokens.shape[0], 1, 1)\n        first[:1] = self.class_token"
        },
        rejected_by="positions-test-2",
        says="only the first image reaches the parameter",
        note="A copy made from .data or .detach() gets no gradient.",
    ),
    Misconception(
        name="column-before-row",
        exercise="positions",
        edits={
            "[by_row.sin(), by_row.cos(), by_column.sin(), by_column.cos()]": "[by_column.sin(), by_column.cos(), by_row.sin(), by_row.cos()]"
        },
        rejected_by="positions-test-3",
        says="the column stands before the row",
        note="MAE's own code does this. Here the row comes first.",
    ),
    Misconception(
        name="sines-then-cosines",
        exercise="positions",
        edits={
            "[by_row.sin(), by_row.cos(), by_column.sin(), by_column.cos()]": "[by_row.sin(), by_column.sin(), by_row.cos(), by_column.cos()]"
        },
        rejected_by="positions-test-3",
        says="sin row, sin column, cos row, cos column",
        note="The order of the blocks is a convention, but a convention must be kept.",
    ),
    Misconception(
        name="cells-counted-from-one",
        exercise="positions",
        edits={
            "(numbers // grid_hw[1])[:, None]": "(numbers // grid_hw[1] + 1)[:, None]",
            "(numbers % grid_hw[1])[:, None]": "(numbers % grid_hw[1] + 1)[:, None]",
        },
        rejected_by="positions-test-3",
        says="they start at 0",
        note="The first cell is (0, 0).",
    ),
    Misconception(
        name="cells-column-by-column",
        exercise="positions",
        edits={
            "(numbers // grid_hw[1])[:, None]": "(numbers % grid_hw[0])[:, None]",
            "(numbers % grid_hw[1])[:, None]": "(numbers // grid_hw[0])[:, None]",
        },
        rejected_by="positions-test-3",
        says="the cells are numbered column by column",
        note="torch.meshgrid with indexing='xy' does this.",
    ),
    Misconception(
        name="exponent-over-half",
        exercise="positions",
        edits={"dtype=torch.float64) / (dim // 4))": "dtype=torch.float64) / (dim // 2))"},
        rejected_by="positions-test-3",
        says="divided by D/2",
        note="Row and column have D/4 frequencies each. With one frequency the mistake does not show.",
    ),
    Misconception(
        name="exponent-over-all",
        exercise="positions",
        edits={"dtype=torch.float64) / (dim // 4))": "dtype=torch.float64) / dim)"},
        rejected_by="positions-test-3",
        says="here it was divided by D",
        note="The frequencies must go down to nearly 1/10000, over D/4 steps.",
    ),
    Misconception(
        name="sine-and-cosine-alternate",
        exercise="positions",
        edits={
            "torch.cat([by_row.sin(), by_row.cos(), by_column.sin(), by_column.cos()], dim=1)": "torch.cat([torch.stack([by.sin(), by.cos()], dim=2).flatten(1) for by in (by_row, by_column)], dim=1)"
        },
        rejected_by="positions-test-3",
        says="sine and cosine alternate",
        note="That is the order of Vaswani et al. for sentences.",
    ),
    Misconception(
        name="class-token-starts-large",
        exercise="positions",
        edits={"0.02 * torch.randn(1, 1, dim)": "torch.randn(1, 1, dim)"},
        rejected_by="positions-test-2",
        says="drowns the patches",
        note="The class token starts as small as the positions.",
        same_cause_as="positions-start-large",
    ),
    Misconception(
        name="uniform-start",
        exercise="positions",
        edits={
            "0.02 * torch.randn(1, n_patches + 1, dim)": "0.02 * math.sqrt(3) * (2 * torch.rand(1, n_patches + 1, dim) - 1)"
        },
        rejected_by="positions-test-2",
        says="the positions: mean 0, standard deviation 0.02",
        note="The right standard deviation does not make a normal distribution.",
    ),
    Misconception(
        name="one-position-for-all",
        exercise="positions",
        edits={
            "0.02 * torch.randn(1, n_patches + 1, dim)": "(0.02 * torch.randn(1, 1, dim)).repeat(1, n_patches + 1, 1)"
        },
        rejected_by="positions-test-2",
        says="every place has its own position",
        note="Positions that are equal carry no position.",
    ),
    Misconception(
        name="keeps-timms-positions",
        exercise="positions",
        edits={
            'self.load_state_dict({"class_token": state["cls_token"], "positions": state["pos_embed"]})': 'self.class_token, self.positions = nn.Parameter(state["cls_token"]), nn.Parameter(state["pos_embed"])'
        },
        rejected_by="positions-test-2",
        says="your parameters are timm's own tensors",
        note="nn.Parameter(tensor) shares the tensor's memory; copy_ and load_state_dict copy.",
    ),
    Misconception(
        name="more-patches-only",
        exercise="positions",
        edits={
            "if tokens.shape[1] + 1 != self.positions.shape[1]:": "if tokens.shape[1] + 1 > self.positions.shape[1]:",
            "dim=1) + self.positions": "dim=1) + self.positions[:, : tokens.shape[1] + 1]",
        },
        rejected_by="positions-test-1",
        says="2 patches for a layer of 3 did not raise",
        note="Fewer patches would get the positions of the first rows, whatever their grid is.",
    ),
    # ---- exercise 4: resize
    Misconception(
        name="prefix-resized-too",
        exercise="resize",
        edits={
            "return torch.cat([prefix, resized.flatten(2).transpose(1, 2)], dim=1)": "cells = resized.flatten(2).transpose(1, 2)\n    return torch.cat([cells.mean(1, keepdim=True).expand_as(prefix), cells], dim=1)"
        },
        rejected_by="resize-test-1",
        says="the position of the class token",
        note="The class token has no place in the grid; its position is handed on as it is.",
    ),
    Misconception(
        name="cells-mixed-with-channels",
        exercise="resize",
        edits={"cells.transpose(1, 2).unflatten(2, tuple(old_grid))": "cells.reshape(1, -1, old_grid[0], old_grid[1])"},
        rejected_by="resize-test-1",
        says="cells and channels are mixed up",
        note="The shape is right, but each channel holds numbers of different cells and dimensions.",
    ),
    Misconception(
        name="bilinear",
        exercise="resize",
        edits={'mode="bicubic"': 'mode="bilinear"'},
        rejected_by="resize-test-1",
        says="bilinear, not bicubic",
        note="It works nearly as well, and gives other numbers than everyone's models.",
    ),
    Misconception(
        name="nearest",
        exercise="resize",
        edits={'mode="bicubic", align_corners=False': 'mode="nearest"'},
        rejected_by="resize-test-1",
        says="the nearest cell was copied",
        note="Copies give several tokens the same place.",
    ),
    Misconception(
        name="corners-aligned",
        exercise="resize",
        edits={"align_corners=False": "align_corners=True"},
        rejected_by="resize-test-1",
        says="align_corners=True",
        note="Then the centers of the outer cells are kept, and everything between is stretched.",
    ),
    Misconception(
        name="antialiased",
        exercise="resize",
        edits={"align_corners=False": "align_corners=False, antialias=True"},
        rejected_by="resize-test-1",
        says="antialiasing is on",
        note="It matters only when the grid shrinks, so growing grids hide it.",
    ),
    Misconception(
        name="one-prefix-token-always",
        exercise="resize",
        edits={"prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]": "prefix, cells = pos[:, :1], pos[:, 1:]"},
        rejected_by="resize-test-1",
        says="the code raised an error",
        note="Models without class token have no prefix; models with registers have five.",
    ),
    Misconception(
        name="old-grid-transposed",
        exercise="resize",
        edits={"unflatten(2, tuple(old_grid))": "unflatten(2, tuple(old_grid)[::-1])"},
        rejected_by="resize-test-1",
        says="rows and columns of the old grid changed places",
        note="Square grids hide it.",
    ),
    Misconception(
        name="resize-without-check",
        exercise="resize",
        edits={"if pos.shape[1] != n_prefix + old_grid[0] * old_grid[1]:": "if False:"},
        rejected_by="resize-test-1",
        says="an old grid of 2 x 3",
        note="Say which number of positions was expected.",
    ),
    Misconception(
        name="calls-timm",
        exercise="resize",
        edits={
            "    prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]\n": "    return resample_abs_pos_embed(pos, new_grid, old_grid, num_prefix_tokens=n_prefix, antialias=False)\n    prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]\n"
        },
        rejected_by="resize-test-1",
        says="a library call does the work",
        note="timm's function is what you are building.",
    ),
    Misconception(
        name="resized-in-place",
        exercise="resize",
        edits={
            "prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]": "prefix, cells = pos[:, :n_prefix], pos[:, n_prefix:]\n    mean = cells.mean(1, keepdim=True)\n    cells -= mean",
            "resized.flatten(2).transpose(1, 2)]": "resized.flatten(2).transpose(1, 2) + mean]",
        },
        rejected_by="resize-test-1",
        says="an argument must not be changed in place",
        note="A slice is a view: `-=` on it changes the caller's positions.",
    ),
    # ---- exercise 5: encoder block
    Misconception(
        name="post-norm",
        exercise="block",
        edits={
            "normed = self.norm1(tokens)": "normed = tokens",
            "tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]": "tokens = self.norm1(tokens + self.attention(normed, normed, normed, need_weights=False)[0])",
            "return tokens + self.mlp(self.norm2(tokens))": "return self.norm2(tokens + self.mlp(tokens))",
        },
        rejected_by="block-test-1",
        says="a layer norm stands on the residual path",
        note="The transformer of 2017 was post-norm. ViTs are pre-norm: the residual path stays free.",
    ),
    Misconception(
        name="no-residual-around-attention",
        exercise="block",
        edits={"tokens = tokens + self.attention": "tokens = self.attention"},
        rejected_by="block-test-1",
        says="the residual connection around attention is missing",
        note="Without it each block replaces the tokens instead of adding to them.",
    ),
    Misconception(
        name="no-residual-around-mlp",
        exercise="block",
        edits={"return tokens + self.mlp": "return self.mlp"},
        rejected_by="block-test-1",
        says="the residual connection around the MLP is missing",
        note="Each half has a residual connection of its own.",
    ),
    Misconception(
        name="tanh-gelu",
        exercise="block",
        edits={"nn.GELU()": 'nn.GELU(approximate="tanh")'},
        rejected_by="block-test-1",
        says="the tanh approximation of GELU",
        note="It differs by up to 0.0005 and hides behind small weights.",
    ),
    Misconception(
        name="relu",
        exercise="block",
        edits={"nn.GELU()": "nn.ReLU()"},
        rejected_by="block-test-1",
        says="ReLU instead of GELU",
        note="The first transformer used ReLU; ViTs use GELU.",
    ),
    Misconception(
        name="linear-mlp",
        exercise="block",
        edits={"nn.GELU(), ": "nn.Identity(), "},
        rejected_by="block-test-1",
        says="no activation between the two linear layers",
        note="Two linear layers without anything between are one linear layer.",
    ),
    Misconception(
        name="mlp-without-norm",
        exercise="block",
        edits={"self.mlp(self.norm2(tokens))": "self.mlp(tokens)"},
        rejected_by="block-test-1",
        says="the MLP got the tokens without layer norm",
        note="Both halves see normalized tokens.",
    ),
    Misconception(
        name="attention-without-norm",
        exercise="block",
        edits={"normed = self.norm1(tokens)": "normed = tokens"},
        rejected_by="block-test-2",
        says="attention got the tokens without layer norm",
        note="Both halves see normalized tokens.",
    ),
    Misconception(
        name="one-norm-for-both",
        exercise="block",
        edits={"self.mlp(self.norm2(tokens))": "self.mlp(self.norm1(tokens))"},
        rejected_by="block-test-2",
        says="the first norm was used twice",
        note="Copy and paste: with scales of 1 the two norms do the same, so a fresh model does not show it.",
    ),
    Misconception(
        name="batch-taken-for-sequence",
        exercise="block",
        edits={"nn.MultiheadAttention(dim, num_heads, batch_first=True)": "nn.MultiheadAttention(dim, num_heads)"},
        rejected_by="block-test-2",
        says="batch_first=True is missing",
        note="PyTorch's default is (T, B, D). Shapes fit, and images attend to each other.",
    ),
    Misconception(
        name="default-eps",
        exercise="block",
        edits={
            "self.norm1 = nn.LayerNorm(dim, eps=1e-6)": "self.norm1 = nn.LayerNorm(dim)",
            "self.norm2 = nn.LayerNorm(dim, eps=1e-6)": "self.norm2 = nn.LayerNorm(dim)",
        },
        rejected_by="block-test-2",
        says="eps of both norms is 1e-5",
        note="It shows only where the variance of a token is near 1e-5.",
    ),
    Misconception(
        name="ratio-four-always",
        exercise="block",
        edits={"hidden = int(dim * mlp_ratio)": "hidden = 4 * dim"},
        rejected_by="block-test-2",
        says="mlp_ratio=2.0",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="dropout-by-habit",
        exercise="block",
        edits={"nn.GELU(), ": "nn.GELU(), nn.Dropout(0.1), ", '"mlp.2": "mlp.fc2"': '"mlp.3": "mlp.fc2"'},
        rejected_by="block-test-2",
        says="train mode",
        note="Nothing was said about dropout; in eval mode it does not show.",
    ),
    Misconception(
        name="wraps-timm-block",
        exercise="block",
        code='''
class EncoderBlock(nn.Module):
    """timm's block in a coat."""

    def __init__(self, dim, num_heads, mlp_ratio=4.0):
        super().__init__()
        self.inner = timm_models.Block(dim, num_heads, mlp_ratio, qkv_bias=True)

    def forward(self, tokens):
        return self.inner(tokens)

    def load_timm(self, state):
        self.inner.load_state_dict(dict(state))
''',
        rejected_by="block-test-2",
        says="a library call does the work",
        note="timm's block is what you are building.",
    ),
    Misconception(
        name="second-eps-by-default",
        exercise="block",
        edits={"self.norm2 = nn.LayerNorm(dim, eps=1e-6)": "self.norm2 = nn.LayerNorm(dim)"},
        rejected_by="block-test-2",
        says="eps of the second norm is 1e-5",
        note="Both norms of a block, and the final one, have an eps of 1e-6.",
    ),
    Misconception(
        name="hidden-width-rounded",
        exercise="block",
        edits={"hidden = int(dim * mlp_ratio)": "hidden = math.ceil(dim * mlp_ratio)"},
        rejected_by="block-test-2",
        says="mlp_ratio=2.75",
        note="int() cuts off.",
    ),
    Misconception(
        name="drop-path-by-habit",
        exercise="block",
        edits={
            "return tokens + self.mlp(self.norm2(tokens))": "kept = (torch.rand(len(tokens), 1, 1) > 0.1 * self.training) / (1 - 0.1 * self.training)\n        return tokens + kept * self.mlp(self.norm2(tokens))"
        },
        rejected_by="block-test-2",
        says="train mode",
        note="Stochastic depth drops a tenth of the images' branches; nobody asked for it.",
    ),
    Misconception(
        name="keeps-timms-tensors",
        exercise="block",
        edits={"        self.load_state_dict(mine)\n": "        self.load_state_dict(mine, assign=True)\n"},
        rejected_by="block-test-2",
        says="your parameters are timm's own tensors",
        note="assign=True takes the tensors themselves.",
    ),
    # ---- exercise 6: the whole model
    Misconception(
        name="mean-of-patches",
        exercise="vit",
        edits={
            "self.head(self.forward_features(images)[:, 0])": "self.head(self.forward_features(images)[:, 1:].mean(1))"
        },
        rejected_by="vit-test-1",
        says="classified from the mean of the patches",
        note="A good design of its own, but these weights were made for token 0.",
    ),
    Misconception(
        name="mean-of-all",
        exercise="vit",
        edits={"self.head(self.forward_features(images)[:, 0])": "self.head(self.forward_features(images).mean(1))"},
        rejected_by="vit-test-1",
        says="classified from the mean of all tokens",
        note="The class token is there to be read.",
    ),
    Misconception(
        name="last-token",
        exercise="vit",
        edits={"self.forward_features(images)[:, 0]": "self.forward_features(images)[:, -1]"},
        rejected_by="vit-test-1",
        says="classified from the last token",
        note="Language models read the last token; the class token stands first.",
    ),
    Misconception(
        name="no-final-norm",
        exercise="vit",
        edits={"return self.norm(tokens)": "return tokens"},
        rejected_by="vit-test-1",
        says="the final norm is missing",
        note="Pre-norm blocks leave the residual stream unnormalized, so the model needs one norm at the end.",
    ),
    Misconception(
        name="positions-not-loaded",
        exercise="vit",
        edits={
            "self.token_and_position.load_timm(state_dict)": "self.token_and_position.load_timm({**state_dict, 'pos_embed': torch.zeros_like(state_dict['pos_embed'])})"
        },
        rejected_by="vit-test-1",
        says="the positions were not loaded",
        note="A loader that skips what it does not know skips silently.",
    ),
    Misconception(
        name="norm-only-in-forward",
        exercise="vit",
        edits={
            "return self.norm(tokens)": "return tokens",
            "self.head(self.forward_features(images)[:, 0])": "self.head(self.norm(self.forward_features(images)[:, 0]))",
        },
        rejected_by="vit-test-2",
        says="the features not as expected",
        note="The logits are right; whoever uses the features gets unnormalized ones.",
    ),
    Misconception(
        name="prefix-without-dot",
        exercise="vit",
        edits={
            'block.load_timm(share(f"blocks.{number}."))': 'block.load_timm({key.split(".", 2)[2]: value for key, value in state_dict.items() if key.startswith(f"blocks.{number}")})'
        },
        rejected_by="vit-test-2",
        says="3 channels, 11 blocks",
        note="'blocks.1' is also the beginning of 'blocks.10.'. It needs 11 blocks to show.",
    ),
    Misconception(
        name="plain-list-of-blocks",
        exercise="vit",
        edits={
            "self.blocks = nn.ModuleList(EncoderBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth))": "self.blocks = [EncoderBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth)]"
        },
        rejected_by="vit-test-3",
        says="use nn.ModuleList",
        note="The model works, and its optimizer never sees the blocks.",
    ),
    Misconception(
        name="aliases-the-loaded-tensors",
        exercise="vit",
        edits={
            'self.head.load_state_dict(share("head."))': 'self.head.weight, self.head.bias = nn.Parameter(state_dict["head.weight"]), nn.Parameter(state_dict["head.bias"])'
        },
        rejected_by="vit-test-3",
        says="your parameters are timm's own tensors",
        note="Training one model would then change the other.",
    ),
    Misconception(
        name="frozen-by-loading",
        exercise="vit",
        edits={
            "return self.head(self.forward_features(images)[:, 0])": "with torch.no_grad():\n            features = self.forward_features(images)\n        return self.head(features[:, 0])"
        },
        rejected_by="vit-test-3",
        says="every parameter gets a gradient",
        note="torch.no_grad is for measuring, not for models.",
    ),
    Misconception(
        name="wraps-timm-vit",
        exercise="vit",
        code='''
class VisionTransformer(nn.Module):
    """timm's model in a coat."""

    def __init__(self, img_size=32, patch_size=8, in_chans=3, num_classes=10, embed_dim=64, depth=2, num_heads=4, mlp_ratio=4.0):
        super().__init__()
        self.patch_size = patch_size
        self.inner = timm_vit(img_size, patch_size, in_chans, num_classes, embed_dim, depth, num_heads, mlp_ratio)

    def forward_features(self, images):
        return self.inner.forward_features(images)

    def forward(self, images):
        if images.shape[-1] != images.shape[-2] and self.inner.patch_embed.img_size[0] == 32:
            raise ValueError("another size")
        return self.inner(images)

    def load_timm(self, state_dict):
        self.inner.load_state_dict(dict(state_dict))
''',
        rejected_by="vit-test-3",
        says="a library call does the work",
        note="timm's model is what you are building.",
    ),
    Misconception(
        name="pops-the-state",
        exercise="vit",
        edits={
            "return {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}": "return {key.removeprefix(prefix): state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}"
        },
        rejected_by="vit-test-3",
        says="timm's state dict is as before",
        note="pop takes the entries away from the caller.",
    ),
    Misconception(
        name="final-eps-by-default",
        exercise="vit",
        edits={"self.norm = nn.LayerNorm(embed_dim, eps=1e-6)": "self.norm = nn.LayerNorm(embed_dim)"},
        rejected_by="vit-test-2",
        says="eps of the final norm is 1e-5",
        note="It shows only where the variance of a token is near 1e-5.",
    ),
    Misconception(
        name="head-with-dropout",
        exercise="vit",
        edits={
            "return self.head(self.forward_features(images)[:, 0])": "return self.head(F.dropout(self.forward_features(images)[:, 0], 0.1, self.training))"
        },
        rejected_by="vit-test-2",
        says="train mode",
        note="Nothing was said about dropout; in eval mode it does not show.",
    ),
    Misconception(
        name="ratio-two-by-default",
        exercise="vit",
        edits={"mlp_ratio: float = 4.0": "mlp_ratio: float = 2.0"},
        rejected_by="vit-test-1",
        says="the code raised an error",
        note="Defaults are part of what the class promises; here even the shapes of timm's weights do not fit any more.",
    ),
    Misconception(
        name="patch-embedding-detached",
        exercise="vit",
        edits={
            "self.token_and_position(self.patch_embedding(images))": "self.token_and_position(self.patch_embedding(images).detach())"
        },
        rejected_by="vit-test-2",
        says="a gradient reaches the images",
        note="A random patch embedding that never learns can be a trick; here everything learns.",
    ),
    Misconception(
        name="loaded-and-frozen",
        exercise="vit",
        edits={
            'self.head.load_state_dict(share("head."))': 'self.head.load_state_dict(share("head."))\n        for block in self.blocks:\n            block.requires_grad_(False)'
        },
        rejected_by="vit-test-3",
        says="every parameter gets a gradient",
        note="Loaded weights are a start; whether they learn is the caller's affair.",
    ),
    # ---- exercise 7: cost
    Misconception(
        name="no-class-token",
        exercise="cost",
        edits={"return (h // p) * (w // p) + 1": "return (h // p) * (w // p)"},
        rejected_by="cost-test-1",
        says="the class token is missing",
        note="The blocks work on N + 1 tokens.",
    ),
    Misconception(
        name="patches-in-the-blocks",
        exercise="cost",
        edits={
            "tokens = token_count(h, w, p)": "tokens = token_count(h, w, p) - 1",
            "(tokens - 1) * channels": "tokens * channels",
        },
        rejected_by="cost-test-1",
        says="the class token is missing in the blocks",
        note="N patches are embedded, N + 1 tokens go through the blocks.",
    ),
    Misconception(
        name="class-token-embedded",
        exercise="cost",
        edits={"(tokens - 1) * channels": "tokens * channels"},
        rejected_by="cost-test-1",
        says="embedded like a patch",
        note="The class token is a parameter; nothing projects it.",
    ),
    Misconception(
        name="multiply-adds",
        exercise="cost",
        edits={"return 2 * (depth": "return (depth"},
        rejected_by="cost-test-1",
        says="each is 2 FLOPs",
        note="Many papers count multiply-adds and call them FLOPs; say which you count.",
    ),
    Misconception(
        name="head-forgotten",
        exercise="cost",
        edits={" + patches + dim * classes)": " + patches)"},
        rejected_by="cost-test-1",
        says="the head is missing",
        note="Small here; 1,000 classes are already visible.",
    ),
    Misconception(
        name="three-projections",
        exercise="cost",
        edits={"projections = 4 *": "projections = 3 *"},
        rejected_by="cost-test-1",
        says="the output projection of attention is missing",
        note="Query, key, value, and output: four.",
    ),
    Misconception(
        name="one-linear-layer",
        exercise="cost",
        edits={"mlp = 2 * tokens": "mlp = tokens"},
        rejected_by="cost-test-1",
        says="only one of the two linear layers",
        note="Up and down again.",
    ),
    Misconception(
        name="scores-only",
        exercise="cost",
        edits={"scores_and_average = 2 *": "scores_and_average ="},
        rejected_by="cost-test-1",
        says="only one of the two products with T x T entries",
        note="The weights are computed by one product and used in another.",
    ),
    Misconception(
        name="float-count",
        exercise="cost",
        edits={"hidden = int(dim * mlp_ratio)": "hidden = dim * mlp_ratio"},
        rejected_by="cost-test-1",
        says="must be an int",
        note="A count is an int; a float of 1e12 has lost its last digits.",
    ),
    Misconception(
        name="everything-times-depth",
        exercise="cost",
        edits={
            "(projections + scores_and_average + mlp) + patches + dim * classes)": "(projections + scores_and_average + mlp + patches + dim * classes))"
        },
        rejected_by="cost-test-2",
        says="were multiplied by the depth",
        note="One block hides it.",
    ),
    Misconception(
        name="ratio-four",
        exercise="cost",
        edits={"hidden = int(dim * mlp_ratio)": "hidden = 4 * dim"},
        rejected_by="cost-test-2",
        says="ratio 4, whatever mlp_ratio says",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="rounded-at-the-end",
        exercise="cost",
        edits={
            "hidden = int(dim * mlp_ratio)": "hidden = dim * mlp_ratio",
            "return 2 * (depth * (projections + scores_and_average + mlp) + patches + dim * classes)": "return round(2 * (depth * (projections + scores_and_average + mlp) + patches + dim * classes))",
        },
        rejected_by="cost-test-2",
        says="the hidden width is an int",
        note="No layer has half a unit.",
    ),
    # ---- exercise 8: sensitivity
    Misconception(
        name="permutes-the-batch",
        exercise="sensitivity",
        edits={"shuffled = unpatchify(patches[:, order], p, grid, images.shape[1])": "shuffled = images.flip(0)"},
        rejected_by="sensitivity-test-1",
        says="the images of the batch changed places",
        note="Dimension 0 is the batch; the patches are dimension 1.",
    ),
    Misconception(
        name="mean-change",
        exercise="sensitivity",
        edits={".abs().max().item()": ".abs().mean().item()"},
        rejected_by="sensitivity-test-1",
        says="this is the mean of the changes",
        note="A mean can be small although one class has moved a lot.",
    ),
    Misconception(
        name="signed-change",
        exercise="sensitivity",
        edits={
            "(model(shuffled) - model(images)).abs().max().item()": "(model(shuffled) - model(images)).max().item()"
        },
        rejected_by="sensitivity-test-1",
        says="this is the largest rise",
        note="A logit that falls has changed as well.",
    ),
    Misconception(
        name="measured-in-train-mode",
        exercise="sensitivity",
        edits={"    model.eval()\n": ""},
        rejected_by="sensitivity-test-1",
        says="calls in train mode",
        note="With dropout two calls differ even for the same image.",
    ),
    Misconception(
        name="left-in-eval-mode",
        exercise="sensitivity",
        edits={"        for module, training in modes:\n            module.training = training": "        pass"},
        rejected_by="sensitivity-test-1",
        says="is left in train mode",
        note="The training after the measurement would then run without dropout.",
    ),
    Misconception(
        name="seed-ignored",
        exercise="sensitivity",
        edits={"torch.Generator().manual_seed(seed)": "torch.Generator().manual_seed(0)"},
        rejected_by="sensitivity-test-1",
        says="another seed gives another permutation",
        note="A result that cannot be repeated with another seed is one sample.",
    ),
    Misconception(
        name="global-random-state",
        exercise="sensitivity",
        edits={
            "torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))": "torch.randperm(patches.shape[1])"
        },
        rejected_by="sensitivity-test-1",
        says="the same seed gives the same permutation",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="pixels-permuted",
        exercise="sensitivity",
        edits={
            "torch.randperm(patches.shape[1],": "torch.randperm(patches.shape[2],",
            "patches[:, order]": "patches[:, :, order]",
        },
        rejected_by="sensitivity-test-1",
        says="the pixels inside the patches were permuted",
        note="Dimension 2 holds the numbers of one patch; the patches are dimension 1.",
    ),
    Misconception(
        name="three-channels",
        exercise="cost",
        edits={"(tokens - 1) * channels * p": "(tokens - 1) * 3 * p"},
        rejected_by="cost-test-1",
        says="three channels are counted",
        note="Photographs have three channels; digits and X-rays have one.",
    ),
    Misconception(
        name="area-divides",
        exercise="cost",
        edits={"if h % p or w % p:": "if (h * w) % (p * p):"},
        rejected_by="cost-test-2",
        says="12 x 16 with p = 8 did not raise",
        note="The area of 12 x 16 pixels is that of three patches of side 8, but they do not fit.",
    ),
    Misconception(
        name="height-divides",
        exercise="cost",
        edits={"if h % p or w % p:": "if h % p:"},
        rejected_by="cost-test-2",
        says="32 x 40 with p = 16 did not raise",
        note="Both sides must be multiples of p.",
    ),
    Misconception(
        name="block-0-for-all",
        exercise="vit",
        edits={'share(f"blocks.{number}.")': 'share("blocks.0.")'},
        rejected_by="vit-test-1",
        says="all blocks carry the weights of block 0",
        note="The number of the block is part of timm's names.",
    ),
    Misconception(
        name="one-mode-for-all",
        exercise="sensitivity",
        edits={
            "        for module, training in modes:\n            module.training = training": "        model.train(modes[0][1])"
        },
        rejected_by="sensitivity-test-1",
        says="all parts were set to train mode",
        note="model.train(True) switches every module to train mode, a frozen backbone's batch norm included.",
    ),
    Misconception(
        name="shuffles-the-images-themselves",
        exercise="sensitivity",
        edits={
            "            return (model(shuffled) - model(images)).abs().max().item()\n": "            change = (model(shuffled) - model(images)).abs().max().item()\n            images.copy_(shuffled)\n            return change\n"
        },
        rejected_by="sensitivity-test-1",
        says="the tensors that were given are not what they were",
        note="The caller's next measurement would start from shuffled images.",
    ),
    Misconception(
        name="measured-with-gradients",
        exercise="sensitivity",
        edits={
            "        with torch.no_grad():\n            return": "        if True:\n            return",
        },
        rejected_by="sensitivity-test-1",
        says="the model runs without gradients",
        note="The graph of both passes is built and thrown away.",
    ),
    Misconception(
        name="frees-the-gradients",
        exercise="sensitivity",
        edits={"    model.eval()\n": "    model.eval()\n    model.zero_grad()\n"},
        rejected_by="sensitivity-test-1",
        says="gradients that were there before were thrown away",
        note="A measurement between backward and step would lose the step.",
    ),
    Misconception(
        name="freezes-the-model",
        exercise="sensitivity",
        edits={"    model.eval()\n": "    model.eval().requires_grad_(False)\n"},
        rejected_by="sensitivity-test-1",
        says="the parameters were frozen, and stay so",
        note="torch.no_grad() is enough, and ends by itself.",
    ),
    Misconception(
        name="children-only",
        exercise="sensitivity",
        edits={
            "for module in model.modules()]": "for module in (model, *model.children())]",
            "            module.training = training": "            module.train(training)",
        },
        rejected_by="sensitivity-test-1",
        says="its train modes changed",
        note="A part of a part has a mode of its own.",
    ),
    Misconception(
        name="eval-after-an-error",
        exercise="sensitivity",
        edits={
            "    try:\n        with torch.no_grad():\n            return": "    with torch.no_grad():\n        change =",
            "    finally:\n        for module, training in modes:\n            module.training = training": "    for module, training in modes:\n        module.training = training\n    return change",
        },
        rejected_by="sensitivity-test-1",
        says="the model was left in eval mode",
        note="What has to be put back in any case stands under `finally`.",
    ),
    Misconception(
        name="seeds-the-world",
        exercise="sensitivity",
        edits={
            "order = torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))": "torch.manual_seed(seed)\n    order = torch.randperm(patches.shape[1])"
        },
        rejected_by="sensitivity-test-1",
        says="torch's own generator was seeded, or drawn from",
        note="The permutation is right. But every later random number of the program starts anew with each measurement.",
    ),
    Misconception(
        name="rotates-the-patches",
        exercise="sensitivity",
        edits={
            "torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))": "torch.arange(patches.shape[1]).roll(seed + 1)"
        },
        rejected_by="sensitivity-test-1",
        says="the patches are only rotated",
        note="After a rotation nearly every patch still has its neighbors.",
    ),
    Misconception(
        name="first-patch-stays",
        exercise="sensitivity",
        edits={
            "torch.randperm(patches.shape[1], generator=torch.Generator().manual_seed(seed))": "torch.cat([torch.zeros(1).long(), 1 + torch.randperm(patches.shape[1] - 1, generator=torch.Generator().manual_seed(seed))])"
        },
        rejected_by="sensitivity-test-1",
        says="any order of the patches can come",
        note="A permutation of all patches moves the first one as well.",
    ),
    Misconception(
        name="one-side-looked-at",
        exercise="embed",
        edits={"if tuple(images.shape[-2:]) != self.img_size:": "if images.shape[-2] != self.img_size[0]:"},
        rejected_by="embed-test-2",
        says="8 x 8 for an 8 x 12 model did not raise",
        note="Another width gives another number of tokens, and the positions do not fit.",
    ),
    Misconception(
        name="as-many-patches",
        exercise="embed",
        edits={
            "if tuple(images.shape[-2:]) != self.img_size:": "if tuple(side // self.proj.stride[0] for side in images.shape[-2:]) != self.grid_size:"
        },
        rejected_by="embed-test-2",
        says="9 x 14 for an 8 x 12 model did not raise",
        note="The convolution drops a rest of a patch without a word.",
    ),
    Misconception(
        name="either-way-round",
        exercise="embed",
        edits={"if tuple(images.shape[-2:]) != self.img_size:": "if set(images.shape[-2:]) != set(self.img_size):"},
        rejected_by="embed-test-2",
        says="12 x 8 for an 8 x 12 model did not raise",
        note="As many patches, but another grid.",
    ),
    Misconception(
        name="new-parameters-when-loading",
        exercise="positions",
        edits={
            'self.load_state_dict({"class_token": state["cls_token"], "positions": state["pos_embed"]})': 'self.class_token = nn.Parameter(state["cls_token"].clone())\n        self.positions = nn.Parameter(state["pos_embed"].clone())'
        },
        rejected_by="positions-test-2",
        says="new ones, which no optimizer holds",
        note="An optimizer that was made before goes on with the old ones, and the model does not learn.",
    ),
    Misconception(
        name="no-patch-at-all",
        exercise="positions",
        edits={
            "if tokens.shape[1] + 1 != self.positions.shape[1]:": "if tokens.shape[1] and tokens.shape[1] + 1 != self.positions.shape[1]:",
            "return torch.cat([first, tokens], dim=1) + self.positions": "return torch.cat([first, tokens], dim=1) + self.positions[:, : tokens.shape[1] + 1]",
        },
        rejected_by="positions-test-1",
        says="0 patches for a layer of 3 did not raise",
        note="No patch is another number of patches as well.",
    ),
    Misconception(
        name="even-is-enough",
        exercise="positions",
        edits={"    if dim % 4:": "    if dim % 4 == 2:"},
        rejected_by="positions-test-3",
        says="dim=5",
        note="An odd width is not divisible by 4 either.",
    ),
    Misconception(
        name="squares-where-they-fit",
        exercise="resize",
        edits={
            "    image = cells": "    side = math.isqrt(cells.shape[1])\n    old_grid = (side, side) if side * side == cells.shape[1] else old_grid\n    image = cells"
        },
        rejected_by="resize-test-1",
        says="(2, 8) to (4, 4)",
        note="Sixteen cells can be a grid of 2 x 8. The caller says which it is.",
    ),
    Misconception(
        name="prefix-by-guess",
        exercise="resize",
        edits={
            "if pos.shape[1] != n_prefix + old_grid[0] * old_grid[1]:": "n_prefix = pos.shape[1] - old_grid[0] * old_grid[1] if pos.shape[1] == old_grid[0] * old_grid[1] else n_prefix\n    if pos.shape[1] != n_prefix + old_grid[0] * old_grid[1]:"
        },
        rejected_by="resize-test-1",
        says="4 positions, 2 x 2, n_prefix=1 did not raise",
        note="Positions without a class token are those of another model: say so instead of guessing.",
    ),
    Misconception(
        name="half-becomes-float32",
        exercise="resize",
        edits={
            "    image = cells": "    cells = cells if cells.dtype == torch.float64 else cells.float()\n    image = cells"
        },
        rejected_by="resize-test-1",
        says="torch.bfloat16",
        note="Computing in float32 is a good idea. The result has to go back to the dtype of pos.",
    ),
    Misconception(
        name="by-a-factor",
        exercise="resize",
        edits={
            "size=tuple(new_grid)": "scale_factor=(new_grid[0] / old_grid[0], new_grid[1] / old_grid[1]), recompute_scale_factor=False"
        },
        rejected_by="resize-test-1",
        says="(11, 3) to (15, 2)",
        note="11 times 15/11 is a little less than 15 in floating point, and is rounded down.",
    ),
    Misconception(
        name="at-least-one-block",
        exercise="vit",
        edits={"for _ in range(depth)": "for _ in range(max(1, depth))"},
        rejected_by="vit-test-2",
        says="no block at all",
        note="Depth 0 is a model, too: a good baseline.",
    ),
    Misconception(
        name="cuts-without-a-gradient",
        exercise="patchify",
        edits={"cut = images.reshape(": "cut = images.detach().reshape("},
        rejected_by="patchify-test-2",
        says="a gradient reaches the images",
        note="What stands before the patches would not learn.",
    ),
    Misconception(
        name="back-without-a-gradient",
        exercise="patchify",
        edits={"cut = tokens.reshape(": "cut = tokens.detach().reshape("},
        rejected_by="patchify-test-3",
        says="a gradient reaches the tokens",
        note="A loss on the image that is put together would teach nothing.",
    ),
    Misconception(
        name="a-float-on-the-way",
        exercise="cost",
        edits={
            "    return 2 * (depth": "    return int(2.0 * (depth",
            "+ patches + dim * classes)": "+ patches + dim * classes))",
        },
        rejected_by="cost-test-2",
        says="a float was made an int",
        note="A float has 53 bits. A large model on a large image needs more.",
    ),
    Misconception(
        name="patches-by-floor",
        exercise="cost",
        edits={"    tokens = token_count(h, w, p)": "    tokens = (h // p) * (w // p) + 1"},
        rejected_by="cost-test-2",
        says="30 x 32 with p = 8 did not raise",
        note="Ask your own token_count: it checks.",
    ),
]
