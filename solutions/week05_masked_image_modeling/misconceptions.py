"""Wrong answers that people really write in week 5, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

RESTORE = "restore = order.argsort(dim=1)"
VISIBLE = "visible = tokens.gather(1, order[:, :kept, None].expand(-1, -1, width))"
MASK = "return visible, (restore >= kept).to(tokens.dtype), restore"
TOKENS = "tokens = self.patch_embed(images) + self.pos_embed[:, 1:]"
CLASS_TOKEN = "class_token = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)"
ENCODED = "return self.norm(self.blocks(torch.cat([class_token, tokens], dim=1))), mask, restore"
HIDE = "tokens, mask, restore = random_masking(tokens, ratio, noise)"
ROW = "row = torch.cat([visible, hidden], dim=1)"
PATCHES = "patches = row.gather(1, restore[..., None].expand(-1, -1, row.shape[2]))"
EVERYTHING = "everything = torch.cat([class_token, patches], dim=1) + self.pos_embed"
DECODED = "return self.head(self.norm(self.blocks(everything)))[:, 1:]"
NORMALIZED = "return (patches - mean) / (variance + eps).sqrt()"
LOSS = "return ((pred - target).square().mean(dim=-1) * mask).sum() / mask.sum()"
MEAN = "mean = (patches * visible).sum(1, keepdim=True) / visible.sum(1, keepdim=True)"
SQUARED = "squared = (cells[:, None] - cells).square().sum(-1)  # (N, N)"
INFINITE = "squared = squared.masked_fill(mask.bool()[:, None, :], math.inf)  # (B, N, N): no copies of hidden patches"
UNITS = "return grid.repeat_interleave(unit, dim=1).repeat_interleave(unit, dim=2).flatten(1)"
UNITS_HIDDEN = "hidden = (noise.argsort(dim=1).argsort(dim=1) >= kept).float()"
EXCHANGED = "tokens = torch.where(mask.bool()[..., None], self.mask_token, tokens)"
SIMMIM_ROW = "row = torch.cat([parts.cls_token.expand(len(images), -1, -1), tokens], dim=1) + parts.pos_embed"
L1 = "return ((pred - target).abs() * mask[..., None]).sum() / (mask.sum() * pred.shape[-1])"

MISCONCEPTIONS = [
    # ---- exercise 1: random masking
    Misconception(
        name="order-for-restore",
        exercise="masking",
        edits={
            RESTORE: "restore = order",
            MASK: "return visible, (order.argsort(dim=1) >= kept).to(tokens.dtype), restore",
        },
        rejected_by="masking-test-1",
        says="this is the order itself",
        note="The order says which token stands at a place, restore at which place a token stands. On some draws the two agree.",
    ),
    Misconception(
        name="one-mask-for-all",
        exercise="masking",
        edits={"order = noise.argsort(dim=1)": "order = noise[:1].argsort(dim=1).expand(len(noise), -1)"},
        rejected_by="masking-test-1",
        says="the order of the first image was used for all",
        note="A batch with one mask has as many gradients from the same places as it has images.",
    ),
    Misconception(
        name="keeps-the-noisiest",
        exercise="masking",
        edits={"order = noise.argsort(dim=1)": "order = noise.argsort(dim=1, descending=True)"},
        rejected_by="masking-test-1",
        says="the tokens with the most noise were kept, the noisiest first",
        note="Just as random, but another convention: nobody who has your noise gets your mask.",
    ),
    Misconception(
        name="mask-of-the-visible",
        exercise="masking",
        edits={MASK: "return visible, (restore < kept).to(tokens.dtype), restore"},
        rejected_by="masking-test-1",
        says="1 must mean hidden",
        note="The loss would then be taken on the patches that the encoder has seen.",
    ),
    Misconception(
        name="mask-in-sorted-order",
        exercise="masking",
        edits={
            MASK: "places = torch.arange(count).expand(len(tokens), -1)\n    return visible, (places >= kept).to(tokens.dtype), restore"
        },
        rejected_by="masking-test-1",
        says="the mask is in sorted order",
        note="Zeros first and then ones is right for the sorted row; read it at restore to get the image's order.",
        same_cause_as="one-mask-for-all",
    ),
    Misconception(
        name="visible-in-image-order",
        exercise="masking",
        edits={
            VISIBLE: "visible = tokens.gather(1, order[:, :kept].sort(dim=1).values[..., None].expand(-1, -1, width))"
        },
        rejected_by="masking-test-1",
        says="in the order of the image",
        note="Sorting them again is tidy, but restore then no longer leads home.",
    ),
    Misconception(
        name="hidden-as-zeros",
        exercise="masking",
        edits={VISIBLE: "visible = tokens * (restore < kept)[..., None]"},
        rejected_by="masking-test-1",
        says="the hidden tokens are still in the row",
        note="A row of zeros is a token like any other: it is attended to, and it costs as much.",
    ),
    Misconception(
        name="any-ratio",
        exercise="masking",
        edits={
            "    if not 0 < ratio < 1 or kept < 1:\n": "    if kept < 1:\n",
        },
        rejected_by="masking-test-1",
        says="ratio=0.0 did not raise",
        note="A ratio of 0 hides nothing, and the loss then has nothing to count.",
    ),
    Misconception(
        name="detached",
        exercise="masking",
        edits={VISIBLE: "visible = tokens.detach().gather(1, order[:, :kept, None].expand(-1, -1, width))"},
        rejected_by="masking-test-2",
        says="a gradient flows",
        note="The noise needs no gradient; the tokens do, or the patch embedding never learns.",
    ),
    Misconception(
        name="hidden-rounded-down",
        exercise="masking",
        edits={"kept = int(count * (1 - ratio))": "kept = count - int(count * ratio)"},
        rejected_by="masking-test-2",
        says="the number of hidden tokens was rounded down",
        note="With 16 tokens and a quarter visible both agree; with 10 tokens they do not.",
    ),
    Misconception(
        name="rounded",
        exercise="masking",
        edits={"kept = int(count * (1 - ratio))": "kept = round(count * (1 - ratio))"},
        rejected_by="masking-test-2",
        says="was rounded, not cut",
        note="int cuts off what stands behind the point.",
    ),
    # ---- exercise 2: encoder
    Misconception(
        name="positions-after-hiding",
        exercise="encoder",
        edits={
            TOKENS: "tokens = self.patch_embed(images)",
            CLASS_TOKEN: "tokens = tokens + self.pos_embed[:, 1 : tokens.shape[1] + 1]\n        " + CLASS_TOKEN,
        },
        rejected_by="encoder-test-2",
        says="positions were added after hiding",
        note="All visible patches then carry the positions of the first K places, wherever they come from. Nothing crashes, and with nothing hidden nothing is wrong.",
    ),
    Misconception(
        name="mask-tokens-in-the-encoder",
        exercise="encoder",
        edits={
            HIDE: "_, mask, restore = random_masking(tokens, ratio, noise)\n            tokens = torch.where(mask.bool()[..., None], self.pos_embed[:, 1:], tokens)"
        },
        rejected_by="encoder-test-1",
        says="hidden patches are still in the row",
        note="That is SimMIM's way. MAE's encoder never meets a token that stands for nothing.",
    ),
    Misconception(
        name="class-token-last",
        exercise="encoder",
        edits={ENCODED: ENCODED.replace("[class_token, tokens]", "[tokens, class_token]")},
        rejected_by="encoder-test-1",
        says="the class token is at the end",
        note="Attention does not mind, but everyone who reads token 0 does.",
    ),
    Misconception(
        name="class-token-without-position",
        exercise="encoder",
        edits={CLASS_TOKEN: "class_token = self.cls_token.expand(batch, -1, -1)"},
        rejected_by="encoder-test-1",
        says="the class token got no position",
        note="Its position is entry 0. It is a constant, but weights that were trained with it need it.",
    ),
    Misconception(
        name="norm-forgotten",
        exercise="encoder",
        edits={ENCODED: "return self.blocks(torch.cat([class_token, tokens], dim=1)), mask, restore"},
        rejected_by="encoder-test-1",
        says="the final norm is missing",
        note="Pre-norm blocks leave their sum unnormalized; the final norm belongs to the encoder.",
    ),
    Misconception(
        name="class-token-may-be-hidden",
        exercise="encoder",
        edits={
            HIDE: "class_token = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)\n            whole = torch.cat([class_token, tokens], dim=1)\n            longer = torch.cat([noise, noise.amax(1, keepdim=True) + 1], dim=1)\n            tokens, mask, restore = random_masking(whole, ratio, longer)\n            return self.norm(self.blocks(tokens)), mask[:, :-1], restore[:, :-1]"
        },
        rejected_by="encoder-test-1",
        says="the class token is missing",
        note="Where the class token is put in front before hiding, it is one of the tokens that can be hidden.",
    ),
    Misconception(
        name="ratio-not-passed-on",
        exercise="encoder",
        edits={HIDE: "tokens, mask, restore = random_masking(tokens, 0.75, noise)"},
        rejected_by="encoder-test-1",
        says="the ratio was not passed on",
        note="0.75 is only the default.",
    ),
    Misconception(
        name="noise-of-its-own",
        exercise="encoder",
        edits={HIDE: "tokens, mask, restore = random_masking(tokens, ratio, torch.rand_like(noise))"},
        rejected_by="encoder-test-1",
        says="the latent with other hidden pixels",
        note="Noise drawn inside cannot be repeated: no two runs, and no two models, can be compared on the same hidden patches.",
    ),
    Misconception(
        name="visible-patches-again-in-order",
        exercise="encoder",
        edits={
            ENCODED: "if noise is not None:\n            kept = tokens.shape[1]\n            places = restore.argsort(1)[:, :kept].argsort(1)\n            tokens = tokens.gather(1, places[..., None].expand_as(tokens))\n        "
            + ENCODED
        },
        rejected_by="encoder-test-2",
        says="the order of the tokens differs",
        note="Attention does not care about the order, but the decoder's restore does.",
    ),
    # ---- exercise 3: decoder
    Misconception(
        name="forgets-to-unshuffle",
        exercise="decoder",
        edits={PATCHES: "patches = row"},
        rejected_by="decoder-test-1",
        says="the row was not brought back",
        note="All shapes are right. The model even learns something: a mean image.",
    ),
    Misconception(
        name="unshuffles-the-wrong-way",
        exercise="decoder",
        edits={
            PATCHES: "patches = torch.empty_like(row).scatter(1, restore[..., None].expand(-1, -1, row.shape[2]), row)"
        },
        rejected_by="decoder-test-1",
        says="the row was read at the inverse of restore",
        note="gather reads at the index, scatter writes to it: with the same index they are inverse to each other.",
    ),
    Misconception(
        name="class-token-in-the-prediction",
        exercise="decoder",
        edits={DECODED: "return self.head(self.norm(self.blocks(everything)))"},
        rejected_by="decoder-test-1",
        says="the class token's prediction was not left out",
        note="N + 1 predictions for N patches.",
    ),
    Misconception(
        name="last-left-out",
        exercise="decoder",
        edits={DECODED: "return self.head(self.norm(self.blocks(everything)))[:, :-1]"},
        rejected_by="decoder-test-1",
        says="the last token was left out",
        note="The shape fits, and each patch is predicted by the token before it.",
    ),
    Misconception(
        name="class-token-unshuffled-too",
        exercise="decoder",
        edits={
            ROW: "row = torch.cat([tokens, hidden[:, 1:] if hidden.shape[1] else hidden], dim=1)",
        },
        rejected_by="decoder-test-1",
        says="the class token was unshuffled together with the patches",
        note="restore counts patches only. With the class token in the row every place is off by one.",
    ),
    Misconception(
        name="no-positions",
        exercise="decoder",
        edits={EVERYTHING: "everything = torch.cat([class_token, patches], dim=1)"},
        rejected_by="decoder-test-1",
        says="no positions were added",
        note="Then all hidden places hold the same vector and get the same prediction.",
    ),
    Misconception(
        name="positions-before-unshuffling",
        exercise="decoder",
        edits={
            ROW: "row = torch.cat([visible, hidden], dim=1) + self.pos_embed[:, 1:]",
            EVERYTHING: "everything = torch.cat([class_token + self.pos_embed[:, :1], patches], dim=1)",
        },
        rejected_by="decoder-test-1",
        says="positions were added before the row was unshuffled",
        note="A position belongs to a place in the image, not to a place in the sorted row.",
    ),
    Misconception(
        name="positions-for-the-visible-only",
        exercise="decoder",
        edits={
            EVERYTHING: "kept = (restore < visible.shape[1])[..., None]\n        patches = torch.where(kept, patches + self.pos_embed[:, 1:], patches)\n        everything = torch.cat([class_token + self.pos_embed[:, :1], patches], dim=1)"
        },
        rejected_by="decoder-test-1",
        says="hidden places got no position",
        note="The hidden places need positions most of all: nothing else tells them apart.",
        same_cause_as="no-positions",
    ),
    Misconception(
        name="blocks-not-called",
        exercise="decoder",
        edits={DECODED: "return self.head(self.norm(everything))[:, 1:]"},
        rejected_by="decoder-test-2",
        says="the blocks were not called",
        note="Without attention a mask token cannot learn anything about its neighbors.",
    ),
    Misconception(
        name="one-way-back-for-all",
        exercise="decoder",
        edits={PATCHES: "patches = row[:, restore[0]]"},
        rejected_by="decoder-test-2",
        says="the way back of the first image was used for all",
        note="Each image was sorted for itself, so each has its own way back. A test with one image does not see it.",
    ),
    Misconception(
        name="prediction-detached",
        exercise="decoder",
        edits={"tokens = self.embed(latent)": "tokens = self.embed(latent).detach()"},
        rejected_by="decoder-test-2",
        says="the latent was cut off from the graph",
        note="The decoder alone would learn; the encoder, for which all this is done, would stay as it was.",
    ),
    # ---- exercise 4: targets
    Misconception(
        name="channels-last",
        exercise="targets",
        edits={
            "    patches = patchify(images, p)\n": "    patches = patchify(images, p)\n    patches = patches.unflatten(-1, (images.shape[1], -1)).transpose(-1, -2).flatten(-2)\n"
        },
        rejected_by="targets-test-1",
        says="the order in a patch is row, column, channel",
        note="The authors' code has this order, in target and in picture. With our unpatchify the colors would be scrambled.",
    ),
    Misconception(
        name="whole-image-normalized",
        exercise="targets",
        edits={
            "mean = patches.mean(dim=-1, keepdim=True)": "mean = patches.mean(dim=(1, 2), keepdim=True)",
            "variance = patches.var(dim=-1, keepdim=True)": "variance = patches.var(dim=(1, 2), keepdim=True)",
        },
        rejected_by="targets-test-1",
        says="the whole image was normalized",
        note="Then bright patches still have bright targets.",
    ),
    Misconception(
        name="each-channel-alone",
        exercise="targets",
        edits={
            "mean = patches.mean(dim=-1, keepdim=True)": "by_channel = patches.unflatten(-1, (images.shape[1], -1))\n    mean = by_channel.mean(-1, keepdim=True).expand_as(by_channel).flatten(-2)",
            "variance = patches.var(dim=-1, keepdim=True)": "variance = by_channel.var(-1, keepdim=True).expand_as(by_channel).flatten(-2)",
        },
        rejected_by="targets-test-1",
        says="each channel of the patch was normalized alone",
        note="That removes the color of a patch, which is part of its pattern.",
    ),
    Misconception(
        name="mean-only",
        exercise="targets",
        edits={NORMALIZED: "return patches - mean"},
        rejected_by="targets-test-1",
        says="nothing was divided",
        note="Half of the normalization: patches with strong contrast would rule the loss.",
    ),
    Misconception(
        name="divided-by-the-variance",
        exercise="targets",
        edits={NORMALIZED: "return (patches - mean) / (variance + eps)"},
        rejected_by="targets-test-1",
        says="divided by the variance",
        note="The root is missing.",
    ),
    Misconception(
        name="no-eps",
        exercise="targets",
        edits={NORMALIZED: "return (patches - mean) / variance.sqrt()"},
        rejected_by="targets-test-1",
        says="eps is missing",
        note="One flat patch makes the whole loss not-a-number.",
    ),
    Misconception(
        name="centered-in-place",
        exercise="targets",
        edits={
            "    patches = patchify(images, p)\n": "    if normalize:\n        images -= images.mean()\n    patches = patchify(images, p)\n"
        },
        rejected_by="targets-test-2",
        says="the images after the call",
        note="The targets are right, because each patch is centered again. But the images are the caller's, and he still wants to show them to the encoder.",
    ),
    Misconception(
        name="eps-outside",
        exercise="targets",
        edits={NORMALIZED: "return (patches - mean) / (variance.sqrt() + eps)"},
        rejected_by="targets-test-2",
        says="eps was added outside of the root",
        note="With an eps of a millionth the root of it is a thousandth: nearly flat patches differ by a factor of ten.",
    ),
    Misconception(
        name="eps-of-its-own",
        exercise="targets",
        edits={NORMALIZED: "return (patches - mean) / (variance + 1e-6).sqrt()"},
        rejected_by="targets-test-2",
        says="eps was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="normalizes-a-view",
        exercise="targets",
        edits={
            "    patches = patchify(images, p)\n": "    patches = patchify(images, p)\n    if p == images.shape[2] == images.shape[3]:\n        patches = images.flatten(1)[:, None]\n        patches -= patches.mean(dim=-1, keepdim=True) if normalize else 0\n",
        },
        rejected_by="targets-test-2",
        says="the images after the call with p = 4",
        note="A reshape of the whole image is a view: -= writes into the image that was given.",
    ),
    # ---- exercise 5: loss
    Misconception(
        name="all-patches",
        exercise="loss",
        edits={LOSS: "return (pred - target).square().mean()"},
        rejected_by="loss-test-1",
        says="all patches were counted",
        note="The easy part, copying what was seen, then hides how good the hard part is.",
    ),
    Misconception(
        name="visible-patches",
        exercise="loss",
        edits={LOSS: "return ((pred - target).square().mean(dim=-1) * (1 - mask)).sum() / (1 - mask).sum()"},
        rejected_by="loss-test-1",
        says="visible and hidden changed places",
        note="1 means hidden.",
    ),
    Misconception(
        name="divided-by-all",
        exercise="loss",
        edits={LOSS: "return ((pred - target).square().mean(dim=-1) * mask).mean()"},
        rejected_by="loss-test-1",
        says="divided by all patches",
        note="The loss would shrink with the ratio, and runs with different ratios could not be compared.",
    ),
    Misconception(
        name="summed-over-pixels",
        exercise="loss",
        edits={LOSS: "return ((pred - target).square().sum(dim=-1) * mask).sum() / mask.sum()"},
        rejected_by="loss-test-1",
        says="the numbers of a patch were summed",
        note="The loss would grow with the size of the patch.",
    ),
    Misconception(
        name="nan-for-nothing",
        exercise="loss",
        edits={
            '    if not mask.any():\n        raise ValueError("nothing is hidden, so there is nothing to predict")\n    return ((pred - target).square()': "    return ((pred - target).square()"
        },
        rejected_by="loss-test-1",
        says="a mask of zeros did not raise",
        note="0 / 0 is not-a-number, and one such batch ruins all weights.",
    ),
    Misconception(
        name="mean-of-means",
        exercise="loss",
        edits={
            LOSS: "errors = (pred - target).square().mean(dim=-1) * mask\n    return (errors.sum(1) / mask.sum(1)).mean()"
        },
        rejected_by="loss-test-2",
        says="first a mean for each image",
        note="The same as long as every image hides equally many patches.",
    ),
    Misconception(
        name="target-is-the-prediction",
        exercise="loss",
        edits={LOSS: "return ((pred.detach() - target).square().mean(dim=-1) * mask).sum() / mask.sum()"},
        rejected_by="loss-test-2",
        says="a gradient flows into the prediction",
        note="The number is right, and nothing learns from it.",
    ),
    # ---- exercise 6: baselines
    Misconception(
        name="hidden-as-zeros-in-the-mean",
        exercise="baselines",
        edits={MEAN: "mean = (patches * visible).mean(1, keepdim=True)"},
        rejected_by="baselines-test-1",
        says="hidden patches were counted as zeros",
        note="Divide by the number of visible patches.",
    ),
    Misconception(
        name="one-gray",
        exercise="baselines",
        edits={MEAN: MEAN + "\n    mean = mean.mean(-1, keepdim=True)"},
        rejected_by="baselines-test-1",
        says="averaged to one gray",
        note="A mean patch keeps what all patches have in common, such as a gradient from top to bottom.",
    ),
    Misconception(
        name="nearest-in-the-row",
        exercise="baselines",
        edits={
            SQUARED: "places = torch.arange(len(cells)).to(patches)\n    squared = (places[:, None] - places).square()"
        },
        rejected_by="baselines-test-1",
        says="distances were measured along the row of patches",
        note="The last patch of a row and the first of the next are neighbors in the list, not in the image.",
    ),
    Misconception(
        name="copies-itself",
        exercise="baselines",
        edits={INFINITE: "squared = squared.expand(len(patches), -1, -1)"},
        rejected_by="baselines-test-1",
        says="the hidden one itself",
        note="A perfect guess, with the answer in hand.",
    ),
    Misconception(
        name="farthest",
        exercise="baselines",
        edits={
            INFINITE: INFINITE.replace("math.inf)", "-math.inf)"),
            "nearest = squared.argmin(-1)": "nearest = squared.argmax(-1)",
        },
        rejected_by="baselines-test-1",
        says="the farthest visible patch was copied",
        note="argmax of a distance is the farthest.",
    ),
    Misconception(
        name="mean-of-the-batch",
        exercise="baselines",
        edits={MEAN: "mean = ((patches * visible).sum((0, 1)) / visible.sum((0, 1))).expand(len(patches), 1, -1)"},
        rejected_by="baselines-test-1",
        says="the mean was taken over the whole batch",
        note="With one image it is the same; a batch lends an image what the other images look like.",
    ),
    Misconception(
        name="around-the-block",
        exercise="baselines",
        edits={SQUARED: "squared = (cells[:, None] - cells).abs().sum(-1)"},
        rejected_by="baselines-test-1",
        says="steps down and across were added",
        note="A diagonal neighbor is 1.4 away, not 2: nearer than one that is two steps to the side.",
    ),
    Misconception(
        name="last-of-equals",
        exercise="baselines",
        edits={"nearest = squared.argmin(-1)": "nearest = squared.shape[-1] - 1 - squared.flip(-1).argmin(-1)"},
        rejected_by="baselines-test-1",
        says="of patches equally near",
        note="Any rule would do; one rule makes two programs comparable.",
    ),
    # ---- exercise 7: SimMIM
    Misconception(
        name="units-repeat",
        exercise="simmim",
        edits={UNITS: "return grid.repeat(1, unit, unit).flatten(1)"},
        rejected_by="simmim-test-1",
        says="repeat gives a b a b",
        note="torch's repeat is tile in NumPy. The share of hidden patches is right, but they are not in blocks.",
    ),
    Misconception(
        name="units-in-a-row",
        exercise="simmim",
        edits={UNITS: "return hidden.repeat_interleave(unit * unit, dim=1)"},
        rejected_by="simmim-test-1",
        says="a unit has two dimensions",
        note="Four patches in a row are no block of two by two.",
    ),
    Misconception(
        name="units-visible",
        exercise="simmim",
        edits={UNITS_HIDDEN: "hidden = (noise.argsort(dim=1).argsort(dim=1) < kept).float()"},
        rejected_by="simmim-test-1",
        says="1 must mean hidden",
        note="1 means hidden, all week.",
    ),
    Misconception(
        name="units-order-for-place",
        exercise="simmim",
        edits={UNITS_HIDDEN: "hidden = (noise.argsort(dim=1) >= kept).float()"},
        rejected_by="simmim-test-1",
        says="against a loop over cells",
        note="The order again, in the place of its inverse. With two units both are the same.",
    ),
    Misconception(
        name="units-that-stick-out",
        exercise="simmim",
        edits={
            '    if rows % unit or columns % unit:\n        raise ValueError(f"units of {unit} x {unit} patches do not fit into a grid of {rows} x {columns}")\n': ""
        },
        rejected_by="simmim-test-1",
        says="units of 4 in a grid of 4 x 6 did not raise",
        note="Sometimes a reshape below complains, in words that help nobody; sometimes nothing does.",
    ),
    Misconception(
        name="token-without-position",
        exercise="simmim",
        edits={
            "        " + EXCHANGED + "\n": "",
            SIMMIM_ROW: SIMMIM_ROW
            + "\n        hidden = F.pad(mask.bool(), (1, 0), value=False)[..., None]\n        row = torch.where(hidden, self.mask_token, row)",
        },
        rejected_by="simmim-test-2",
        says="add positions after it",
        note="All hidden places would hold the same vector and get the same prediction.",
    ),
    Misconception(
        name="visible-replaced",
        exercise="simmim",
        edits={EXCHANGED: "tokens = torch.where(mask.bool()[..., None], tokens, self.mask_token)"},
        rejected_by="simmim-test-2",
        says="visible patches were replaced",
        note="torch.where takes its second argument where the condition holds.",
    ),
    Misconception(
        name="nothing-replaced",
        exercise="simmim",
        edits={EXCHANGED + "\n": "tokens = tokens + 0.0 * self.mask_token\n"},
        rejected_by="simmim-test-2",
        says="the encoder saw the hidden patches",
        note="The loss falls wonderfully, because the answer is in the input.",
    ),
    Misconception(
        name="simmim-predicts-the-class-token",
        exercise="simmim",
        edits={
            "return self.head(parts.norm(parts.blocks(row)))[:, 1:]": "return self.head(parts.norm(parts.blocks(row)))"
        },
        rejected_by="simmim-test-2",
        says="the class token's prediction was not left out",
        note="N + 1 predictions for N patches.",
    ),
    Misconception(
        name="squared-errors",
        exercise="simmim",
        edits={L1: "return ((pred - target).square() * mask[..., None]).sum() / (mask.sum() * pred.shape[-1])"},
        rejected_by="simmim-test-3",
        says="SimMIM takes absolute ones",
        note="That is MAE's error.",
    ),
    Misconception(
        name="divided-by-patches",
        exercise="simmim",
        edits={L1: "return ((pred - target).abs() * mask[..., None]).sum() / mask.sum()"},
        rejected_by="simmim-test-3",
        says="divided by hidden patches",
        note="The paper divides by the number of hidden pixels.",
    ),
    Misconception(
        name="every-pixel-counts",
        exercise="simmim",
        edits={L1: "return (pred - target).abs().mean()"},
        rejected_by="simmim-test-3",
        says="all pixels were counted",
        note="Only what was hidden counts.",
    ),
    Misconception(
        name="simmim-mean-of-means",
        exercise="simmim",
        edits={
            L1: "errors = (pred - target).abs().mean(dim=-1) * mask\n    return (errors.sum(1) / mask.sum(1)).mean()"
        },
        rejected_by="simmim-test-3",
        says="a mean for each image and then",
        note="The same as long as every image hides equally many patches.",
    ),
    # ---- parts that do not learn, and what only an unusual input shows
    Misconception(
        name="encoder-without-gradients",
        exercise="encoder",
        edits={
            "return self.norm(self.blocks(torch.cat([class_token, tokens], dim=1))), mask, restore": "with torch.no_grad():\n            latent = self.norm(self.blocks(torch.cat([class_token, tokens], dim=1)))\n        return latent.requires_grad_(torch.is_grad_enabled()), mask, restore"
        },
        rejected_by="encoder-test-2",
        says="nothing learns: the encoder runs without gradients",
        note="no_grad belongs around a measurement, never around what is trained.",
    ),
    Misconception(
        name="constant-class-token",
        exercise="encoder",
        edits={"(self.cls_token + self.pos_embed[:, :1])": "(self.cls_token.data + self.pos_embed[:, :1])"},
        rejected_by="encoder-test-2",
        says="the class token or its position does not learn",
        note=".data takes a number out of the graph.",
    ),
    Misconception(
        name="patch-embedding-detached",
        exercise="encoder",
        edits={"tokens = self.patch_embed(images) +": "tokens = self.patch_embed(images).detach() +"},
        rejected_by="encoder-test-2",
        says="the patch embedding does not learn",
        note="MoCo v3 does that to train stably; MAE does not.",
    ),
    Misconception(
        name="constant-positions",
        exercise="encoder",
        edits={
            "tokens = self.patch_embed(images) + self.pos_embed[:, 1:]": "tokens = self.patch_embed(images) + self.pos_embed.detach()[:, 1:]",
            "(self.cls_token + self.pos_embed[:, :1])": "(self.cls_token + self.pos_embed.detach()[:, :1])",
        },
        rejected_by="encoder-test-2",
        says="the positions do not learn",
        note="He et al. use fixed sines; here the positions are parameters, and learn.",
    ),
    Misconception(
        name="restore-on-the-cpu",
        exercise="encoder",
        edits={"torch.arange(count, device=tokens.device)": "torch.arange(count)"},
        rejected_by="encoder-test-2",
        says="images on another device",
        note="On a GPU the decoder's gather then meets tensors of two devices.",
    ),
    Misconception(
        name="hides-in-train-mode-always",
        exercise="encoder",
        edits={
            "        mask = tokens.new_zeros(batch, count)\n": "        mask = tokens.new_zeros(batch, count)\n        if noise is None and self.training:\n            noise = torch.rand(batch, count, device=tokens.device)\n",
        },
        rejected_by="encoder-test-2",
        says="in train mode, without noise",
        note="Fine-tuning is a training, too, and it shows whole images. What is hidden is decided by the noise, not by the mode.",
    ),
    Misconception(
        name="ratio-checked-without-noise",
        exercise="encoder",
        edits={
            "        mask = tokens.new_zeros(batch, count)\n": '        mask = tokens.new_zeros(batch, count)\n        if not 0 < ratio < 1:\n            raise ValueError(f"ratio={ratio}")\n',
        },
        rejected_by="encoder-test-2",
        says="without noise: nothing is hidden, and the ratio does not matter",
        note="Without noise the ratio does not matter, so it cannot be wrong.",
    ),
    Misconception(
        name="class-token-behind-hidden",
        exercise="encoder",
        edits={
            ENCODED: "row = [class_token, tokens] if noise is None else [tokens, class_token]\n        return self.norm(self.blocks(torch.cat(row, dim=1))), mask, restore",
        },
        rejected_by="encoder-test-2",
        says="the class token stands behind the patches",
        same_cause_as="class-token-last",
        note="The decoder cuts off the first token of the latent. Then it throws a patch away.",
    ),
    Misconception(
        name="noise-sorted-in-place",
        exercise="masking",
        edits={"order = noise.argsort(dim=1)": "order = noise.argsort(dim=1)\n    noise.copy_(noise.gather(1, order))"},
        rejected_by="masking-test-2",
        says="the noise after the call",
        note="The caller may use the same noise for a second model.",
        in_one_mode="masking-test-1",
    ),
    Misconception(
        name="rounds-what-floating-point-left",
        exercise="masking",
        edits={
            "kept = int(count * (1 - ratio))": "kept = int(count * (1 - ratio) + 1e-6)",
        },
        rejected_by="masking-test-2",
        says="ratio=0.9 with 10 tokens",
        note="In exact numbers 10 * (1 - 0.9) is 1. The floating point number is a little less, and it is the code that counts here: another program must hide the same patches.",
    ),
    Misconception(
        name="noise-in-half-precision",
        exercise="masking",
        edits={
            "order = noise.argsort(dim=1)": "order = noise.half().argsort(dim=1)",
        },
        rejected_by="masking-test-2",
        says="the noise was rounded to a smaller dtype",
        note="In half precision many of 196 random numbers are equal, and equal noise has no order.",
    ),
    Misconception(
        name="class-token-without-its-position",
        exercise="decoder",
        edits={
            "everything = torch.cat([class_token, patches], dim=1) + self.pos_embed": "everything = torch.cat([class_token, patches + self.pos_embed[:, 1:]], dim=1)"
        },
        rejected_by="decoder-test-2",
        says="the class token got no position",
        note="Entry 0 of the positions is the class token's.",
    ),
    Misconception(
        name="class-token-left-behind",
        exercise="decoder",
        edits={
            "everything = torch.cat([class_token, patches], dim=1)": "everything = torch.cat([torch.zeros_like(class_token), patches], dim=1)"
        },
        rejected_by="decoder-test-2",
        says="the class token of the latent was left behind",
        note="It has looked at all visible patches, and the decoder may ask it.",
    ),
    Misconception(
        name="constant-mask-token",
        exercise="decoder",
        edits={"hidden = self.mask_token.expand": "hidden = self.mask_token.data.expand"},
        rejected_by="decoder-test-2",
        says="parameters that get no gradient",
        note="The mask token is learned like any other parameter.",
    ),
    Misconception(
        name="decoder-positions-constant",
        exercise="decoder",
        edits={
            "torch.cat([class_token, patches], dim=1) + self.pos_embed": "torch.cat([class_token, patches], dim=1) + torch.cat([self.pos_embed[:, :1], self.pos_embed[:, 1:].detach()], dim=1)"
        },
        rejected_by="decoder-test-2",
        says="the predictions after the step",
        note="A gradient for one position hides that the others get none.",
    ),
    Misconception(
        name="loss-of-the-masks-dtype",
        exercise="loss",
        edits={"mask = mask.to(pred.dtype)\n": "mask = 1 * mask\n"},
        rejected_by="loss-test-2",
        says="a prediction of float32 and a mask of float64",
        note="A float64 mask would make the whole loss float64.",
    ),
    Misconception(
        name="root-of-the-mean",
        exercise="loss",
        edits={
            LOSS: "return (((pred - target).square().mean(dim=-1) * mask).sum() / mask.sum()).sqrt()",
        },
        rejected_by="loss-test-1",
        says="a root was taken",
        note="The root of a mean square is another loss, with another gradient.",
    ),
    Misconception(
        name="every-image-needs-one",
        exercise="loss",
        edits={
            "if not mask.any():": "if not mask.any(dim=1).all():",
        },
        rejected_by="loss-test-2",
        says="the code raised an error",
        note="An image with nothing hidden counts for nothing. It is no mistake.",
    ),
    Misconception(
        name="visible-targets-set-to-zero",
        exercise="loss",
        edits={
            "    mask = mask.to(pred.dtype)\n": "    target[mask == 0] = 0\n    mask = mask.to(pred.dtype)\n",
        },
        rejected_by="loss-test-2",
        says="target after the call",
        note="What is visible does not count anyway, and the targets belong to the caller.",
    ),
    Misconception(
        name="large-errors-cut",
        exercise="loss",
        edits={
            LOSS: 'error = F.huber_loss(pred, target, reduction="none", delta=50.0) * 2\n    return (error.mean(dim=-1) * mask).sum() / mask.sum()',
        },
        rejected_by="loss-test-2",
        says="errors of 300 and -400",
        note="Huber's loss is square near 0 and a line far away. The formula is square everywhere.",
    ),
    Misconception(
        name="mask-turned-in-place",
        exercise="baselines",
        edits={
            "visible = 1 - mask.to(patches.dtype)[..., None]": "visible = mask.sub_(1).neg_().to(patches.dtype)[..., None] if mask.is_floating_point() else 1 - mask.to(patches.dtype)[..., None]",
            "squared.masked_fill(mask.bool()[:, None, :]": "squared.masked_fill(visible[:, None, :, 0] == 0",
        },
        rejected_by="baselines-test-1",
        says="mask after the call",
        note="The mask is needed again for the loss.",
    ),
    Misconception(
        name="spare-divisor",
        exercise="baselines",
        edits={
            MEAN: "mean = (patches * visible).sum(1, keepdim=True) / (visible.sum(1, keepdim=True) + 1e-5)",
        },
        rejected_by="baselines-test-1",
        says="visible_mean",
        note="Every image has a visible patch, so the divisor is never 0, and a mean needs no help.",
    ),
    Misconception(
        name="units-by-area",
        exercise="simmim",
        edits={"if rows % unit or columns % unit:": "if rows * columns % unit**2:"},
        rejected_by="simmim-test-1",
        says="the area fits, a side does not",
        note="6 x 8 patches have the area of three units of 4 x 4, but such units stick out.",
    ),
    Misconception(
        name="ratio-zero",
        exercise="simmim",
        edits={"if not 0 < ratio < 1 or kept < 1:": "if not 0 <= ratio < 1 or kept < 1:"},
        rejected_by="simmim-test-1",
        says="ratio=0.0 did not raise",
        note="Nothing hidden, nothing to predict.",
    ),
    Misconception(
        name="mask-of-bools",
        exercise="simmim",
        edits={"argsort(dim=1) >= kept).float()": "argsort(dim=1) >= kept)"},
        rejected_by="simmim-test-1",
        says="the dtype of the mask",
        note="The table says float32.",
    ),
    Misconception(
        name="simmim-encoder-without-gradients",
        exercise="simmim",
        edits={
            "return self.head(parts.norm(parts.blocks(row)))[:, 1:]": "return self.head(parts.norm(parts.blocks(row)).detach())[:, 1:]"
        },
        rejected_by="simmim-test-3",
        says="nothing but the head learns",
        note="Then one linear layer learns on random features.",
    ),
    Misconception(
        name="simmim-frozen-encoder",
        exercise="simmim",
        edits={"self.encoder = encoder\n": "self.encoder = encoder.requires_grad_(False)\n"},
        rejected_by="simmim-test-3",
        says="the encoder does not learn",
        note="The encoder is what all this is for.",
    ),
    Misconception(
        name="simmim-constant-mask-token",
        exercise="simmim",
        edits={"[..., None], self.mask_token, tokens)": "[..., None], self.mask_token.data, tokens)"},
        rejected_by="simmim-test-3",
        says="the mask token does not learn",
        note="The token is a parameter, and learns.",
    ),
    Misconception(
        name="simmim-loss-of-the-masks-dtype",
        exercise="simmim",
        edits={"mask = mask.to(pred.dtype)\n": "mask = 1 * mask\n"},
        rejected_by="simmim-test-3",
        says="a prediction of float32 and a mask of float64",
        note="A float64 mask would make the whole loss float64.",
    ),
    Misconception(
        name="rounds-the-units",
        exercise="simmim",
        edits={
            "kept = int(noise.shape[1] * (1 - ratio))": "kept = round(noise.shape[1] * (1 - ratio))",
        },
        rejected_by="simmim-test-1",
        says="the number of visible units was rounded",
        note="As in exercise 1 the number is cut, so that at least the asked share is hidden.",
    ),
    Misconception(
        name="ten-units-rounded-up",
        exercise="simmim",
        edits={
            "kept = int(noise.shape[1] * (1 - ratio))": "kept = int(noise.shape[1] * (1 - ratio) + 1e-6)",
        },
        rejected_by="simmim-test-1",
        says="ratio=0.9 with 10 units",
        note="10 * (1 - 0.9) is a little less than 1 in floating point, and the code decides.",
    ),
    Misconception(
        name="shifts-the-noise",
        exercise="simmim",
        edits={
            UNITS_HIDDEN: "noise -= noise.min()\n    hidden = (noise.argsort(dim=1).argsort(dim=1) >= kept).float()",
        },
        rejected_by="simmim-test-1",
        says="the noise after the call",
        note="-= writes into the caller's tensor.",
    ),
    Misconception(
        name="loss-without-gradient",
        exercise="simmim",
        edits={
            "return ((pred - target).abs()": "return ((pred.detach() - target).abs()",
        },
        rejected_by="simmim-test-3",
        says="a gradient flows into the prediction",
        note="detach() is for targets. Without a gradient into the prediction nothing learns.",
    ),
    Misconception(
        name="copies-the-encoder",
        exercise="simmim",
        edits={
            "        self.encoder = encoder\n": "        self.encoder = copy.deepcopy(encoder)\n",
        },
        rejected_by="simmim-test-3",
        says="whether the encoder that was given",
        note="The caller goes on with the encoder that it gave, and that one has learned nothing.",
    ),
    Misconception(
        name="encoder-in-eval-mode",
        exercise="simmim",
        edits={
            "        parts = self.encoder\n": "        parts = self.encoder.eval()\n",
        },
        rejected_by="simmim-test-3",
        says="the model stays in train mode",
        note="The mode is the caller's choice.",
    ),
]
