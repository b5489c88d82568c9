"""Wrong answers that people really write in week 14, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

MISCONCEPTIONS = [
    Misconception(
        name="no-two-pi",
        exercise="fourier",
        edits={"2 * math.pi * unit @": "unit @"},
        rejected_by="fourier-test-1",
        says="the factor of 2 pi is missing",
        note="Without it the waves are six times longer, so places that are far apart look alike.",
    ),
    Misconception(
        name="pi-once",
        exercise="fourier",
        edits={"2 * math.pi * unit @": "math.pi * unit @"},
        rejected_by="fourier-test-1",
        says="the waves are twice as long",
        note="The bell gets twice as wide.",
        same_cause_as="zero-to-one",
    ),
    Misconception(
        name="both-by-width",
        exercise="fourier",
        edits={"coords[..., 1] / height": "coords[..., 1] / width"},
        rejected_by="fourier-test-1",
        says="both axes were divided by W",
        note="A square image hides it. In others a step in y counts less or more than one in x.",
    ),
    Misconception(
        name="height-for-x",
        exercise="fourier",
        edits={"coords[..., 0] / width, coords[..., 1] / height": "coords[..., 0] / height, coords[..., 1] / width"},
        rejected_by="fourier-test-1",
        says="x was divided by H and y by W",
        note="Sizes of images come as (H, W), places as (x, y).",
    ),
    Misconception(
        name="zero-to-one",
        exercise="fourier",
        edits={"dim=-1) * 2 - 1": "dim=-1)"},
        rejected_by="fourier-test-1",
        says="the waves are twice as long",
        note="Half the range: the bell gets twice as wide.",
    ),
    Misconception(
        name="scale-ignored",
        exercise="fourier",
        edits={"scale * torch.randn": "torch.randn"},
        rejected_by="fourier-test-1",
        says="`scale` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="sines-alone",
        exercise="fourier",
        edits={
            "torch.cat([angle.sin(), angle.cos()], dim=-1)": "torch.cat([angle.sin(), angle.sin()], dim=-1) * 2**0.5"
        },
        rejected_by="fourier-test-1",
        says="phi(u) . phi(v) / (D / 2) not as expected",
        note="Sines alone do not depend on the difference of places: where the sine is near its top, small steps are lost.",
    ),
    Misconception(
        name="odd-rounded",
        exercise="fourier",
        edits={"if dim % 2:": "if dim < 1:"},
        rejected_by="fourier-test-1",
        says="dim=7 did not raise",
        note="An odd width would come out one number short.",
    ),
    Misconception(
        name="matrix-learns",
        exercise="fourier",
        edits={
            'self.register_buffer("frequencies", scale * torch.randn(2, dim // 2, generator=generator))': "self.frequencies = nn.Parameter(scale * torch.randn(2, dim // 2, generator=generator))"
        },
        rejected_by="fourier-test-1",
        says="G is a parameter",
        note="A matrix that learns moves all places at each step, and the decoder runs after them.",
    ),
    Misconception(
        name="matrix-not-saved",
        exercise="fourier",
        edits={
            'self.register_buffer("frequencies", scale * torch.randn(2, dim // 2, generator=generator))': "self.frequencies = scale * torch.randn(2, dim // 2, generator=generator)"
        },
        rejected_by="fourier-test-1",
        says="G is an attribute, no buffer",
        note="After loading a checkpoint in another program the positions would be others.",
    ),
    Misconception(
        name="drawn-anew",
        exercise="fourier",
        edits={
            "        height, width = size\n": "        height, width = size\n        self.frequencies = torch.randn_like(self.frequencies) * self.frequencies.std()\n"
        },
        rejected_by="fourier-test-1",
        says="phi(u) . phi(v)",
        note="New waves at each call: two calls for one image cannot be compared.",
    ),
    Misconception(
        name="global-seed",
        exercise="fourier",
        edits={
            "generator = torch.Generator().manual_seed(seed)": "torch.manual_seed(seed)",
            ", generator=generator)": ")",
        },
        rejected_by="fourier-test-1",
        says="the global random state is as before",
        note="Whoever makes an encoder would reset the random numbers of the whole program.",
    ),
    Misconception(
        name="seed-ignored",
        exercise="fourier",
        edits={"manual_seed(seed)": "manual_seed(0)"},
        rejected_by="fourier-test-1",
        says="another seed gives other waves",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="uniform-frequencies",
        exercise="fourier",
        edits={
            "scale * torch.randn(2, dim // 2, generator=generator)": "scale * 3**0.5 * (2 * torch.rand(2, dim // 2, generator=generator) - 1)"
        },
        rejected_by="fourier-test-1",
        says="frequencies are normal: phi(u)",
        note="Uniform frequencies of the same spread give ripples in place of a bell: places far away look alike again.",
    ),
    Misconception(
        name="one-dimension-of-places",
        exercise="fourier",
        edits={
            "        angle = ": "        unit = unit.reshape(len(unit), -1, 2) if unit.ndim > 1 else unit\n        angle = "
        },
        rejected_by="fourier-test-1",
        says="wrong shape",
        note="Places come with any number of leading dimensions.",
    ),
    Misconception(
        name="always-float32",
        exercise="fourier",
        edits={
            "return torch.cat([angle.sin(), angle.cos()], dim=-1)": "return torch.cat([angle.sin(), angle.cos()], dim=-1).float()"
        },
        rejected_by="fourier-test-1",
        says="wrong dtype",
        note="What comes in as float64 goes out as float64.",
    ),
    Misconception(
        name="places-changed",
        exercise="fourier",
        edits={
            "        height, width = size\n": "        height, width = size\n        if not coords.is_meta and coords.numel() == 8:\n            coords /= 1.0000001\n"
        },
        rejected_by="fourier-test-1",
        says="the places that were given",
        note="Whoever asks twice gets another answer the second time.",
    ),
    Misconception(
        name="padding-has-a-place",
        exercise="prompts",
        edits={".where(labels[..., None] >= 0, 0)": ""},
        rejected_by="prompts-test-1",
        says="still has the position of its point",
        note="Where padding lies depends on how a batch was made. What the model reads there is noise.",
    ),
    Misconception(
        name="kind-multiplied",
        exercise="prompts",
        edits={"places + self.kinds(labels + 1)": "places * self.kinds(labels + 1)"},
        rejected_by="prompts-test-1",
        says="the change of the token: the same at both places",
        note="A product mixes what and where: the same label then means another thing at each place.",
    ),
    Misconception(
        name="label-unread",
        exercise="prompts",
        edits={"self.kinds(labels + 1)": "self.kinds(labels.abs() * 0 + 1)"},
        rejected_by="prompts-test-1",
        says="the label changes the token",
        note="A click in the background has to be told from one in the foreground.",
    ),
    Misconception(
        name="background-unplaced",
        exercise="prompts",
        edits={"labels[..., None] >= 0": "labels[..., None] > 0"},
        rejected_by="prompts-test-1",
        says="label 0: squared distance",
        note="Only padding has no place. Background is label 0, padding is -1.",
    ),
    Misconception(
        name="box-as-center",
        exercise="prompts",
        edits={
            "self.positions(boxes.unflatten(-1, (2, 2)), size)": "self.positions(boxes.unflatten(-1, (2, 2)).mean(-2, keepdim=True), size)"
        },
        rejected_by="prompts-test-2",
        says="squared distance of tokens",
        note="The center of a box says nothing about its size.",
    ),
    Misconception(
        name="one-kind-of-corner",
        exercise="prompts",
        edits={"self.kinds.weight[3:]": "self.kinds.weight[3:4]"},
        rejected_by="prompts-test-2",
        says="both corners of a box have the same kind",
        note="Which corner is the upper left one could be guessed at best.",
    ),
    Misconception(
        name="labels-unchecked",
        exercise="prompts",
        edits={"if ((labels < -1) | (labels > 1)).any():": "if (labels > 1).any():"},
        rejected_by="prompts-test-1",
        says="label -2 raised the wrong error",
        note="A label below -1 would take a vector from the end of the table, or none.",
    ),
    Misconception(
        name="only-first-image-checked",
        exercise="prompts",
        edits={"if ((labels < -1) | (labels > 1)).any():": "if ((labels[0] < -1) | (labels[0] > 1)).any():"},
        rejected_by="prompts-test-2",
        says="a batch with a label of 3 did not raise",
        note="A check at the border is for the whole batch.",
    ),
    Misconception(
        name="box-before-clicks",
        exercise="prompts",
        edits={"return torch.cat(sparse, dim=1), dense": "return torch.cat([sparse[0], *sparse[:0:-1]], dim=1), dense"},
        rejected_by="prompts-test-2",
        says="the tokens: clicks, then corners",
        note="Whoever reads the tokens relies on their order.",
    ),
    Misconception(
        name="no-prompt-needs-a-batch",
        exercise="prompts",
        edits={
            "batch = next((len(one) for one in (points, boxes, mask) if one is not None), 1)": "batch = next((len(one) for one in (points, boxes, mask) if one is not None), 0)"
        },
        rejected_by="prompts-test-1",
        says="no prompt: sparse",
        note="Without prompts there is still one image.",
    ),
    Misconception(
        name="zero-map-without-mask",
        exercise="prompts",
        edits={
            "dense = self.no_mask[:, None, None].expand(batch, -1, size[0] // 4, size[1] // 4)": "dense = self.no_mask.new_zeros(batch, len(self.no_mask), size[0] // 4, size[1] // 4)"
        },
        rejected_by="prompts-test-2",
        says="without a mask the map has a gradient",
        note='Zero is a mask too: the model could not tell "no mask yet" from one of zeros.',
    ),
    Misconception(
        name="mask-resized-by-hand",
        exercise="prompts",
        edits={
            "dense = self.of_mask(mask)": "dense = self.of_mask[4](F.interpolate(mask, scale_factor=0.25).expand(-1, 16, -1, -1))"
        },
        rejected_by="prompts-test-2",
        says="the number of parameters that a gradient reaches",
        note="Taking one pixel of sixteen loses edges; convolutions of stride 2 learn what to keep.",
    ),
    Misconception(
        name="mask-of-first-image",
        exercise="prompts",
        edits={"dense = self.of_mask(mask)": "dense = self.of_mask(mask[:1]).expand(batch, -1, -1, -1)"},
        rejected_by="prompts-test-2",
        says="the map differs for another image",
        note="Each image of a batch has a mask of its own.",
    ),
    Misconception(
        name="rows-and-columns-of-the-map",
        exercise="prompts",
        edits={"expand(batch, -1, size[0] // 4, size[1] // 4)": "expand(batch, -1, size[1] // 4, size[0] // 4)"},
        rejected_by="prompts-test-1",
        says="clicks and box: dense",
        note="A square image hides it.",
    ),
    Misconception(
        name="kinds-frozen",
        exercise="prompts",
        edits={"self.kinds = nn.Embedding(5, dim)": "self.kinds = nn.Embedding(5, dim).requires_grad_(False)"},
        rejected_by="prompts-test-2",
        says="does not require grad",
        note="What tells foreground from background has to learn.",
    ),
    Misconception(
        name="positions-in-values",
        exercise="twoway",
        edits={"self.to_image(q + q_pe, k + k_pe, k)": "self.to_image(q + q_pe, k + k_pe, k + k_pe)"},
        rejected_by="twoway-test-1",
        says="positions went into the values",
        note="A token would take along where it looked, in place of what is there.",
    ),
    Misconception(
        name="positions-in-the-tokens",
        exercise="twoway",
        edits={
            "q = self.norms[0](q + self.own(q + q_pe, q + q_pe, q))": "q, q_pe = q + q_pe, 0 * q_pe\n        q = self.norms[0](q + self.own(q, q, q))"
        },
        rejected_by="twoway-test-1",
        says="positions went into the values",
        note="Added once at the input, positions fade from block to block, and are in every value.",
        same_cause_as="positions-in-values",
    ),
    Misconception(
        name="one-way",
        exercise="twoway",
        edits={"k = self.norms[3](k + self.to_tokens(k + k_pe, q + q_pe, q))": "_ = self.to_tokens"},
        rejected_by="twoway-test-1",
        says="the image does not look back",
        note="The features then are the same for every prompt.",
    ),
    Misconception(
        name="self-attention-without-places",
        exercise="twoway",
        edits={"self.own(q + q_pe, q + q_pe, q)": "self.own(q, q, q)"},
        rejected_by="twoway-test-2",
        says="with one shift of all positions",
        note="Tokens of two clicks have to know of each other's places.",
    ),
    Misconception(
        name="self-attention-keys-without-places",
        exercise="twoway",
        edits={"self.own(q + q_pe, q + q_pe, q)": "self.own(q + q_pe, q, q)"},
        rejected_by="twoway-test-2",
        says="positions are in the keys",
        note="Then a token knows where it is itself, and not where the others are.",
    ),
    Misconception(
        name="tokens-ask-without-places",
        exercise="twoway",
        edits={"self.to_image(q + q_pe, k + k_pe, k)": "self.to_image(q, k + k_pe, k)"},
        rejected_by="twoway-test-2",
        says="with another position of the token",
        note="A click has to ask from its place.",
    ),
    Misconception(
        name="places-without-places",
        exercise="twoway",
        edits={"self.to_image(q + q_pe, k + k_pe, k)": "self.to_image(q + q_pe, k, k)"},
        rejected_by="twoway-test-2",
        says="q, with other positions of the places",
        note="Tokens could find what looks right, not what is near the click.",
    ),
    Misconception(
        name="image-asks-without-places",
        exercise="twoway",
        edits={"self.to_tokens(k + k_pe, q + q_pe, q)": "self.to_tokens(k, q + q_pe, q)"},
        rejected_by="twoway-test-2",
        says="k, with other positions of the places",
        note="A place of the image has to know where it is to find the click that is near.",
    ),
    Misconception(
        name="image-finds-without-places",
        exercise="twoway",
        edits={"self.to_tokens(k + k_pe, q + q_pe, q)": "self.to_tokens(k + k_pe, q, q)"},
        rejected_by="twoway-test-2",
        says="positions of the tokens half as large again",
        note="The image could not tell two clicks apart by their places.",
    ),
    Misconception(
        name="image-first",
        exercise="twoway",
        edits={
            "q = self.norms[0](q + self.own(q + q_pe, q + q_pe, q))\n        q = self.norms[1](q + self.to_image(q + q_pe, k + k_pe, k))": "q = self.norms[1](q + self.to_image(q + q_pe, k + k_pe, k))\n        q = self.norms[0](q + self.own(q + q_pe, q + q_pe, q))"
        },
        rejected_by="twoway-test-2",
        says="tokens looked at the image before",
        note="The order is that of the table.",
    ),
    Misconception(
        name="no-mlp",
        exercise="twoway",
        edits={"        q = self.norms[2](q + self.mlp(q))\n": ""},
        rejected_by="twoway-test-2",
        says="the number of weights that q depends on",
        note="The MLP is there and never asked: its weights learn nothing.",
    ),
    Misconception(
        name="mlp-left-out",
        exercise="twoway",
        edits={
            "        q = self.norms[2](q + self.mlp(q))\n": "",
            "        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))\n": "",
        },
        rejected_by="twoway-test-2",
        says="there is no MLP",
        note="Attention mixes tokens; what is made of the mix is the work of the MLP.",
    ),
    Misconception(
        name="down-unread",
        exercise="twoway",
        edits={"Attention(dim, heads, dim // down) for": "Attention(dim, heads, dim) for"},
        rejected_by="twoway-test-2",
        says="`down` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="self-attention-down-too",
        exercise="twoway",
        edits={"self.own = Attention(dim, heads, dim)": "self.own = Attention(dim, heads, dim // down)"},
        rejected_by="twoway-test-2",
        says="self-attention was made smaller, too",
        note="There are few tokens: their attention costs next to nothing and keeps the full width.",
    ),
    Misconception(
        name="narrow-mlp",
        exercise="twoway",
        edits={
            "nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)": "nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)"
        },
        rejected_by="twoway-test-2",
        says="the number of weights in matrices",
        note="The hidden layer is four times as wide as the tokens.",
    ),
    Misconception(
        name="one-head-always",
        exercise="twoway",
        edits={"self.heads = heads": "self.heads = 1"},
        rejected_by="twoway-test-2",
        says="of one head and of two",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="division-unchecked",
        exercise="twoway",
        edits={"if dim % down or (dim // down) % heads:": "if dim % down or dim % heads:"},
        rejected_by="twoway-test-1",
        says="dim=12, heads=4, down=2 did not raise",
        note="Heads share the channels of the smaller attention, too.",
    ),
    Misconception(
        name="mlp-last",
        exercise="twoway",
        edits={
            "        q = self.norms[2](q + self.mlp(q))\n        k = self.norms[3](k + self.to_tokens(k + k_pe, q + q_pe, q))": "        k = self.norms[3](k + self.to_tokens(k + k_pe, q + q_pe, q))\n        q = self.norms[2](q + self.mlp(q))"
        },
        rejected_by="twoway-test-2",
        says="the number of weights that k depends on",
        note="The image looks at tokens that have finished their work.",
    ),
    Misconception(
        name="block-changes-its-tokens",
        exercise="twoway",
        edits={"        k = self.norms[3]": "        k_pe.mul_(1.0001)\n        k = self.norms[3]"},
        rejected_by="twoway-test-2",
        says="an argument afterwards",
        note="The next block would get other positions.",
    ),
    Misconception(
        name="batch-normalized",
        exercise="twoway",
        edits={
            "nn.LayerNorm(dim) for _ in range(4)": "nn.LayerNorm(dim) for _ in range(4)",
            "        return q, k\n": "        return q - q.mean(0, keepdim=True) * 0.1, k\n",
        },
        rejected_by="twoway-test-2",
        says="q of single images",
        note="Images of a batch have nothing to do with each other.",
    ),
    Misconception(
        name="multimask-from-zero",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "return (masks[:, :3], iou[:, :3]) if multimask else (masks[:, :1], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="these are masks 0 to 2",
        note="Mask 0 is trained for prompts that leave no doubt, and masks 1 to 3 for the others.",
    ),
    Misconception(
        name="single-is-first-of-three",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, 1:2], iou[:, 1:2])"
        },
        rejected_by="decoder-test-1",
        says="this is mask 1",
        note="A token that has to serve both has to do two jobs.",
    ),
    Misconception(
        name="single-is-last",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, 3:], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="this is mask 3",
        note="Mask 0 is the first mask token.",
    ),
    Misconception(
        name="softmax-over-masks",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "masks = masks.softmax(1)\n        return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="masks 1 to 3 not as expected",
        note="Whole and part are both right at once: masks are alternatives, no classes.",
    ),
    Misconception(
        name="softmax-over-three",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "masks = torch.cat([masks[:, :1], masks[:, 1:].softmax(1)], dim=1)\n        return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="a softmax runs over the masks",
        note="A pixel of the part belongs to the whole, too: both masks may say yes.",
    ),
    Misconception(
        name="sigmoid-in-the-decoder",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "masks = masks.sigmoid()\n        return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="these are probabilities, not logits",
        note="The loss takes logits; a second sigmoid would leave all values between 0.5 and 0.73.",
    ),
    Misconception(
        name="scores-from-zero",
        exercise="decoder",
        edits={
            "return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])": "return (masks[:, 1:], iou[:, :3]) if multimask else (masks[:, :1], iou[:, :1])"
        },
        rejected_by="decoder-test-1",
        says="these are the scores of masks 0 to 2",
        note="Each mask has a score of its own: slice both in the same way.",
    ),
    Misconception(
        name="iou-of-a-mask-token",
        exercise="decoder",
        edits={"iou = self.score(tokens[:, 0])": "iou = self.score(tokens[:, 1])"},
        rejected_by="decoder-test-1",
        says="the scores of masks 1 to 3 not as expected",
        note="The first of the five tokens is there for the scores alone.",
    ),
    Misconception(
        name="one-hypernetwork",
        exercise="decoder",
        edits={
            "return torch.stack([mlp(token) for mlp, token in zip(self.hypers, mask_tokens.unbind(1))], dim=1)": "return self.hypers[0](mask_tokens)"
        },
        rejected_by="decoder-test-2",
        says="all masks share one hypernetwork",
        note="Each mask has an MLP of its own.",
    ),
    Misconception(
        name="hypernetworks-mixed",
        exercise="decoder",
        edits={
            "zip(self.hypers, mask_tokens.unbind(1))": "zip(self.hypers, (mask_tokens + 0.1 * mask_tokens.mean(1, keepdim=True)).unbind(1))"
        },
        rejected_by="decoder-test-2",
        says="the vectors of the other masks, where token 0",
        note="A mask depends on its own token alone.",
    ),
    Misconception(
        name="nearest-upsampling",
        exercise="decoder",
        edits={
            "image = F.gelu(convolution(image) + skip)": "image = F.gelu(F.interpolate(convolution(image)[..., ::2, ::2], scale_factor=2) + skip)"
        },
        rejected_by="decoder-test-2",
        says="features were copied or interpolated",
        note="Copies of one value have edges of four pixels; only the skips could make them finer.",
    ),
    Misconception(
        name="skips-unread",
        exercise="decoder",
        edits={"image = F.gelu(convolution(image) + skip)": "image = F.gelu(convolution(image))"},
        rejected_by="decoder-test-2",
        says="the first skip",
        note="The maps of 1/4 resolution do not know where an edge runs within four pixels.",
    ),
    Misconception(
        name="skip-after-gelu",
        exercise="decoder",
        edits={"F.gelu(convolution(image) + skip)": "F.gelu(convolution(image)) + skip"},
        rejected_by="decoder-test-2",
        says="where the first skip is -50",
        note="Added behind the GELU, a skip cannot switch a feature off.",
    ),
    Misconception(
        name="no-gelu-at-the-end",
        exercise="decoder",
        edits={
            "            image = F.gelu(convolution(image) + skip)": "            image = convolution(image) + skip\n            image = F.gelu(image) if image.shape[1] > skips[-1].shape[1] else image"
        },
        rejected_by="decoder-test-2",
        says="where the second skip is -50",
        note="GELU stands after both steps.",
    ),
    Misconception(
        name="dense-forgotten",
        exercise="decoder",
        edits={"(image_feats + dense)": "image_feats"},
        rejected_by="decoder-test-2",
        says="changes with dense",
        note="The mask of the round before reaches the decoder by `dense` alone.",
    ),
    Misconception(
        name="positions-from-the-last-block",
        exercise="decoder",
        edits={"q, k = block(q, k, tokens, positions)": "q, k = block(q, k, q, positions)"},
        rejected_by="decoder-test-2",
        says="block 1: the positions of the tokens",
        note="After a block a token has moved on; where it came from is in what came in.",
    ),
    Misconception(
        name="positions-once",
        exercise="decoder",
        edits={
            "            q, k = block(q, k, tokens, positions)": "            q, k = block(q, k, tokens, positions)\n            positions = torch.zeros_like(positions)"
        },
        rejected_by="decoder-test-2",
        says="block 1: the positions of the places",
        note="Positions are added anew in every block.",
    ),
    Misconception(
        name="columns-first",
        exercise="decoder",
        edits={
            "q, k = tokens, (image_feats + dense).flatten(2).transpose(1, 2)": "q, k = tokens, (image_feats + dense).transpose(2, 3).flatten(2).transpose(1, 2)",
            "positions = image_pe.expand_as(image_feats).flatten(2)": "positions = image_pe.expand_as(image_feats).transpose(2, 3).flatten(2)",
        },
        rejected_by="decoder-test-2",
        says="row by row",
        note="Places are counted row by row on the way in, and on the way out.",
    ),
    Misconception(
        name="map-turned",
        exercise="decoder",
        edits={
            "k.transpose(1, 2).unflatten(-1, image_feats.shape[-2:])": "k.transpose(1, 2).unflatten(-1, image_feats.shape[:-3:-1]).transpose(-1, -2)"
        },
        rejected_by="decoder-test-2",
        says="rows and columns of the map are swapped",
        note="A square map has the right shape and the wrong content.",
    ),
    Misconception(
        name="prompts-forgotten",
        exercise="decoder",
        edits={"tokens = torch.cat([learned, sparse], dim=1)": "tokens = torch.cat([learned, 0 * sparse], dim=1)"},
        rejected_by="decoder-test-2",
        says="masks, many changes with sparse",
        note="The five tokens know what is asked from the prompts alone.",
    ),
    Misconception(
        name="prompts-first",
        exercise="decoder",
        edits={"torch.cat([learned, sparse], dim=1)": "torch.cat([sparse, learned], dim=1)", "q[:, :5]": "q[:, -5:]"},
        rejected_by="decoder-test-2",
        says="the prompts",
        note="The learned tokens come first; so their places do not depend on how many prompts there are.",
    ),
    Misconception(
        name="one-block",
        exercise="decoder",
        edits={"for block in self.blocks:": "for block in self.blocks[:1]:"},
        rejected_by="decoder-test-2",
        says="the number of blocks that run",
        note="The other blocks are there and never asked.",
    ),
    Misconception(
        name="always-two-blocks",
        exercise="decoder",
        edits={"for _ in range(depth))": "for _ in range(2))"},
        rejected_by="decoder-test-2",
        says="the number of blocks that run, of depth 3",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="plain-list-of-mlps",
        exercise="decoder",
        edits={
            "self.hypers = nn.ModuleList(mlp(dim // 8) for _ in range(4))": "self.hypers = [mlp(dim // 8) for _ in range(4)]"
        },
        rejected_by="decoder-test-2",
        says="",
        note="A plain list hides its modules: they do not learn, and stay where they are.",
    ),
    Misconception(
        name="width-unchecked",
        exercise="decoder",
        edits={"if dim % 8:": "if dim % 4:"},
        rejected_by="decoder-test-1",
        says="dim=12, heads=2 did not raise",
        note="D / 8 has to be a whole number.",
    ),
    Misconception(
        name="focal-summed",
        exercise="loss",
        edits={
            "focal = (missed.square() * nll).mean(dim=(-2, -1))": "focal = (missed.square() * nll).sum(dim=(-2, -1))"
        },
        rejected_by="loss-test-1",
        says="focal was summed over the pixels",
        note="With sums the focal loss of a large image drowns the dice loss.",
    ),
    Misconception(
        name="cross-entropy",
        exercise="loss",
        edits={"focal = (missed.square() * nll).mean(dim=(-2, -1))": "focal = nll.mean(dim=(-2, -1))"},
        rejected_by="loss-test-1",
        says="this is cross entropy",
        note="Most pixels are easy; without the factor they make most of the loss.",
    ),
    Misconception(
        name="no-square",
        exercise="loss",
        edits={"focal = (missed.square() * nll).mean(dim=(-2, -1))": "focal = (missed * nll).mean(dim=(-2, -1))"},
        rejected_by="loss-test-1",
        says="(1 - p_t) has no square",
        note="gamma is 2.",
    ),
    Misconception(
        name="focus-on-the-easy",
        exercise="loss",
        edits={
            "focal = (missed.square() * nll).mean(dim=(-2, -1))": "focal = ((1 - missed).square() * nll).mean(dim=(-2, -1))"
        },
        rejected_by="loss-test-1",
        says="the factor is p_t^2",
        note="The wrong way round it forgets what is wrong.",
    ),
    Misconception(
        name="dice-without-one",
        exercise="loss",
        edits={
            "dice = 1 - (2 * both + 1) / (probability.sum(dim=(-2, -1)) + wanted.sum(dim=(-2, -1)) + 1)": "dice = 1 - (2 * both) / (probability.sum(dim=(-2, -1)) + wanted.sum(dim=(-2, -1)))"
        },
        rejected_by="loss-test-1",
        says="dice has no + 1",
        note="Empty masks would divide 0 by 0.",
    ),
    Misconception(
        name="dice-without-two",
        exercise="loss",
        edits={
            "dice = 1 - (2 * both + 1) / (probability.sum(dim=(-2, -1)) + wanted.sum(dim=(-2, -1)) + 1)": "dice = 1 - (both + 1) / (probability.sum(dim=(-2, -1)) + wanted.sum(dim=(-2, -1)) + 1)"
        },
        rejected_by="loss-test-1",
        says="dice has no factor 2",
        note="A perfect mask would have a loss near one half.",
    ),
    Misconception(
        name="zero-is-inside",
        exercise="loss",
        edits={"found = logits > 0": "found = logits >= 0"},
        rejected_by="loss-test-1",
        says="a logit of 0 was counted as in the mask",
        note="A pixel belongs to the mask above 0.",
    ),
    Misconception(
        name="focal-not-weighed",
        exercise="loss",
        edits={"focal_weight * focal": "focal"},
        rejected_by="loss-test-1",
        says="the focal loss was not weighed",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="soft-iou",
        exercise="loss",
        edits={
            "found = logits > 0": "found = probability",
            "overlap = (found & gt[:, None])": "overlap = (found * wanted)",
            "union = (found | gt[:, None])": "union = (found + wanted - found * wanted)",
        },
        rejected_by="loss-test-1",
        says="the measured IoU is made of probabilities",
        note="The score is to say how good the mask of pixels is.",
    ),
    Misconception(
        name="min-after-the-mean",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "best = (focal_weight * focal + dice).mean(dim=0).min()"
        },
        rejected_by="loss-test-1",
        says="the least was taken after the mean over the batch",
        note="Then one mask serves for all samples, and the two others never learn.",
    ),
    Misconception(
        name="mean-of-masks",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "best = (focal_weight * focal + dice).mean()"
        },
        rejected_by="loss-test-1",
        says="the mean of the masks was taken",
        note="All masks then become the same blur of part and whole.",
    ),
    Misconception(
        name="batch-summed",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "best = (focal_weight * focal + dice).min(dim=1).values.sum()"
        },
        rejected_by="loss-test-1",
        says="samples were summed",
        note="A batch twice as large would take steps twice as large.",
    ),
    Misconception(
        name="worst-mask",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "best = (focal_weight * focal + dice).max(dim=1).values.mean()"
        },
        rejected_by="loss-test-1",
        says="the worst mask was taken",
        note="That would push all three towards the same.",
    ),
    Misconception(
        name="two-minima",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "best = (focal_weight * focal.min(dim=1).values + dice.min(dim=1).values).mean()"
        },
        rejected_by="loss-test-1",
        says="were taken of different masks",
        note="One mask has to be good in both.",
    ),
    Misconception(
        name="iou-of-the-best-alone",
        exercise="loss",
        edits={
            "return best + (iou_pred - iou).square().mean()": "winner = (focal_weight * focal + dice).argmin(dim=1, keepdim=True)\n    return best + (iou_pred - iou).gather(1, winner).square().mean()"
        },
        rejected_by="loss-test-1",
        says="for the best mask alone",
        note="The scores of the others are what the choice rests on.",
    ),
    Misconception(
        name="iou-summed",
        exercise="loss",
        edits={"(iou_pred - iou).square().mean()": "(iou_pred - iou).square().sum(dim=1).mean()"},
        rejected_by="loss-test-1",
        says="were summed over the masks",
        note="The mean runs over samples and masks.",
    ),
    Misconception(
        name="absolute-iou-error",
        exercise="loss",
        edits={"(iou_pred - iou).square().mean()": "(iou_pred - iou).abs().mean()"},
        rejected_by="loss-test-1",
        says="were not squared",
        note="The squared error was asked for.",
    ),
    Misconception(
        name="log-of-sigmoid",
        exercise="loss",
        edits={
            'nll = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")  # -log p_t': "nll = -torch.log(torch.where(gt[:, None], probability, 1 - probability))"
        },
        rejected_by="loss-test-2",
        says="the logarithm of a probability that is 0",
        note="In floating point the sigmoid of 1000 is 1, and the logarithm of the rest is infinite.",
    ),
    Misconception(
        name="empty-is-a-failure",
        exercise="loss",
        edits={"torch.where(union > 0, overlap / union.clamp(min=1), 1.0)": "overlap / union.clamp(min=1)"},
        rejected_by="loss-test-2",
        says="where nothing is there",
        note="Nothing found where nothing is: that is right, and its IoU is 1.",
    ),
    Misconception(
        name="target-with-gradient",
        exercise="loss",
        edits={
            "iou = torch.where(union > 0, overlap / union.clamp(min=1), 1.0)": "iou = torch.where(union > 0, overlap / union.clamp(min=1), 1.0)\n    soft = (probability * wanted).sum((-2, -1)) / (probability + wanted - probability * wanted).sum((-2, -1))\n    iou = iou + soft - soft.detach()"
        },
        rejected_by="loss-test-2",
        says="is not the best and has no gradient",
        note="The masks would learn to be as good as their score says, in place of the other way round.",
    ),
    Misconception(
        name="scores-detached",
        exercise="loss",
        edits={"(iou_pred - iou).square()": "(iou_pred.detach() - iou).square()"},
        rejected_by="loss-test-2",
        says="there is a gradient for logits and for iou_pred",
        note="A score without a gradient stays where it began.",
    ),
    Misconception(
        name="soft-minimum",
        exercise="loss",
        edits={
            "best = (focal_weight * focal + dice).min(dim=1).values.mean()": "cost = focal_weight * focal + dice\n    best = (cost.min(dim=1).values + 1e-3 * (cost - cost.detach()).sum(dim=1)).mean()"
        },
        rejected_by="loss-test-2",
        says="is not the best and has no gradient",
        note="Even a small gradient for all pulls all three masks together in the end.",
    ),
    Misconception(
        name="logits-changed",
        exercise="loss",
        edits={
            "    return best + (iou_pred": "    logits.mul_(0.5) if not logits.requires_grad and not logits.is_meta else None\n    return best + (iou_pred"
        },
        rejected_by="loss-test-2",
        says="an argument afterwards",
        note="Whoever uses the logits after the loss gets others.",
        only_in_a_notebook=("loss-test-1",),
    ),
    Misconception(
        name="calls-torchvisions-focal-loss",
        exercise="loss",
        edits={
            "focal = (missed.square() * nll).mean(dim=(-2, -1))": 'focal = torchvision.ops.sigmoid_focal_loss(logits, wanted, alpha=-1, gamma=2, reduction="none").mean(dim=(-2, -1))'
        },
        rejected_by="loss-test-2",
        says="a library call does the work",
        note="torchvision's function is what you are building.",
    ),
    Misconception(
        name="row-and-column",
        exercise="click",
        edits={
            "return (float(column) + 0.5, float(row) + 0.5), label": "return (float(row) + 0.5, float(column) + 0.5), label"
        },
        rejected_by="click-test-1",
        says="these are row and column",
        note="A place is (x, y), and x is the column.",
    ),
    Misconception(
        name="corner-of-the-pixel",
        exercise="click",
        edits={"return (float(column) + 0.5, float(row) + 0.5), label": "return (float(column), float(row)), label"},
        rejected_by="click-test-1",
        says="this is the corner of a pixel",
        note="Half a pixel to the upper left: at the edge of a mask that is another pixel.",
    ),
    Misconception(
        name="labels-swapped",
        exercise="click",
        edits={
            "label = int(missing.sum() >= excess.sum())\n    error = missing if label else excess": "label = int(missing.sum() < excess.sum())\n    error = excess if label else missing"
        },
        rejected_by="click-test-1",
        says="the label: something is missing",
        note="What is missing gets a foreground click.",
    ),
    Misconception(
        name="largest-region",
        exercise="click",
        edits={
            "label = int(missing.sum() >= excess.sum())": "from scipy.ndimage import label as regions\n\n    label = int(max(np.bincount(regions(missing.numpy())[0].ravel())[1:], default=0) >= max(np.bincount(regions(excess.numpy())[0].ravel())[1:], default=0))"
        },
        rejected_by="click-test-1",
        says="regions were compared one by one",
        note="The text compares all that is missing with all that is too much.",
    ),
    Misconception(
        name="union-of-errors",
        exercise="click",
        edits={"error = missing if label else excess": "error = missing | excess"},
        rejected_by="click-test-1",
        says="the click is in the error of the other kind",
        note="The click lies in an error of the other kind, and its label is wrong there.",
    ),
    Misconception(
        name="always-a-click",
        exercise="click",
        edits={"    if not error.any():\n        return None\n": ""},
        rejected_by="click-test-1",
        says="nothing is wrong",
        note="Where nothing is wrong the user stops.",
    ),
    Misconception(
        name="border-is-no-border",
        exercise="click",
        edits={
            "inside = np.pad(error.cpu().numpy(), 1)\n        distance = distance_transform_edt(inside)[1:-1, 1:-1]": "distance = distance_transform_edt(error.cpu().numpy())"
        },
        rejected_by="click-test-2",
        says="the border of the image was not counted as a border",
        note="Clicks crowd at the edge of the image, and an error that fills the image has no distance at all.",
    ),
    Misconception(
        name="center-of-gravity",
        exercise="click",
        edits={
            "row, column = np.unravel_index(distance.argmax(), distance.shape)": "row, column = (int(one.mean().round()) for one in np.nonzero(error.cpu().numpy()))"
        },
        rejected_by="click-test-1",
        says="the middle of the square",
        note="The middle of a region may lie at its edge, or outside of it.",
    ),
    Misconception(
        name="center-of-gravity-of-blocks",
        exercise="click",
        edits={
            "row, column = np.unravel_index(distance.argmax(), distance.shape)": "row, column = np.unravel_index(distance.argmax(), distance.shape)\n        rows, columns = np.nonzero(error.cpu().numpy())\n        if len(rows) > 100:\n            row, column = round(float(rows.mean())), round(float(columns.mean()))"
        },
        rejected_by="click-test-2",
        says="this is the center of gravity",
        note="The middle of a ring is not in the ring.",
        same_cause_as="center-of-gravity",
    ),
    Misconception(
        name="city-blocks",
        exercise="click",
        edits={
            "distance_transform_edt(inside)": "__import__('scipy.ndimage').ndimage.distance_transform_cdt(inside, 'taxicab')"
        },
        rejected_by="click-test-1",
        says="in steps along rows and columns",
        note="City blocks are another distance.",
    ),
    Misconception(
        name="ties-to-excess",
        exercise="click",
        edits={"missing.sum() >= excess.sum()": "missing.sum() > excess.sum()"},
        rejected_by="click-test-2",
        says="what is missing goes first",
        note="Which goes first is said in the text.",
    ),
    Misconception(
        name="strategy-unread",
        exercise="click",
        edits={'if strategy == "random":': 'if strategy == "anything":'},
        rejected_by="click-test-2",
        says="each pixel about",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="random-click-by-global-state",
        exercise="click",
        edits={"torch.randint(len(places), (), generator=generator)": "torch.randint(len(places), ())"},
        rejected_by="click-test-2",
        says="the first click of the same generator",
        note="Two runs with the same generator must click alike.",
    ),
    Misconception(
        name="first-of-the-error",
        exercise="click",
        edits={
            "torch.randint(len(places), (), generator=generator)": "torch.randint(min(4, len(places)), (), generator=generator)"
        },
        rejected_by="click-test-2",
        says="each pixel about",
        note="All pixels of the error are equally likely.",
    ),
    Misconception(
        name="random-pixel-of-a-row",
        exercise="click",
        edits={
            "row, column = places[torch.randint(len(places), (), generator=generator)].tolist()": "rows = places[:, 0].unique()\n        row = rows[torch.randint(len(rows), (), generator=generator)]\n        line = places[places[:, 0] == row]\n        row, column = line[torch.randint(len(line), (), generator=generator)].tolist()"
        },
        rejected_by="click-test-2",
        says="each pixel about",
        note="A row first and then a pixel in it prefers short rows.",
    ),
    Misconception(
        name="middle-strategy",
        exercise="click",
        edits={'if strategy not in ("center", "random"):': 'if strategy not in ("center", "random", "middle"):'},
        rejected_by="click-test-1",
        says='strategy="middle" did not raise',
        note='A typing mistake would pass as "center".',
    ),
    Misconception(
        name="shapes-unchecked",
        exercise="click",
        edits={"if pred.shape != gt.shape:": "if pred.ndim != gt.ndim:"},
        rejected_by="click-test-1",
        says="masks of different shape",
        note="The error of torch is about broadcasting, and comes only where it cannot broadcast.",
    ),
    Misconception(
        name="strategy-checked-late",
        exercise="click",
        edits={
            '    if strategy not in ("center", "random"):\n        raise ValueError(f\'strategy={strategy!r} is neither "center" nor "random"\')\n': "",
            "    if not error.any():\n        return None\n": '    if not error.any():\n        return None\n    if strategy not in ("center", "random"):\n        raise ValueError("strategy")\n',
        },
        rejected_by="click-test-2",
        says="equal masks did not raise",
        note="A wrong argument is wrong for every mask.",
    ),
    Misconception(
        name="masks-changed",
        exercise="click",
        edits={"missing, excess = gt & ~pred, pred & ~gt": "missing, excess = gt & ~pred, pred & ~gt\n    pred &= gt"},
        rejected_by="click-test-2",
        says="an argument afterwards",
        note="The model's mask would be repaired by the user.",
    ),
    Misconception(
        name="from-zero",
        exercise="noc",
        edits={"argmax(dim=1) + 1)": "argmax(dim=1))"},
        rejected_by="noc-test-1",
        says="clicks are counted from 0",
        note="The first click is click 1.",
    ),
    Misconception(
        name="failure-is-one-click",
        exercise="noc",
        edits={
            "torch.where(failed, ious.shape[1], reached.int().argmax(dim=1) + 1)": "reached.int().argmax(dim=1) + 1"
        },
        rejected_by="noc-test-1",
        says="was counted as one click",
        note="`argmax` of a row without True points at 0.",
    ),
    Misconception(
        name="failures-left-out",
        exercise="noc",
        edits={"clicks.double().mean()": "clicks[~failed].double().mean()"},
        rejected_by="noc-test-1",
        says="were left out",
        note="A model that fails often would look quick.",
    ),
    Misconception(
        name="failure-is-one-more",
        exercise="noc",
        edits={"torch.where(failed, ious.shape[1],": "torch.where(failed, ious.shape[1] + 1,"},
        rejected_by="noc-test-1",
        says="one click more than there are",
        note="A failure counts as all clicks that there were.",
    ),
    Misconception(
        name="last-below",
        exercise="noc",
        edits={"reached.int().argmax(dim=1) + 1)": "(~reached).sum(dim=1) + 1)"},
        rejected_by="noc-test-1",
        says="the clicks below the target were counted",
        note="A curve may fall again; the first click that reaches the target counts.",
    ),
    Misconception(
        name="above-the-target",
        exercise="noc",
        edits={"ious >= target": "ious > target"},
        rejected_by="noc-test-1",
        says="an overlap of exactly the target reaches it",
        note="At least, not more than.",
    ),
    Misconception(
        name="target-built-in",
        exercise="noc",
        edits={"ious >= target": "ious >= 0.85"},
        rejected_by="noc-test-1",
        says="clicks to 0.5",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="successes",
        exercise="noc",
        edits={"failed.double().mean().item()": "1 - failed.double().mean().item()"},
        rejected_by="noc-test-1",
        says="this is the share of objects that get there",
        note="Asked for is the share that never reaches the target.",
    ),
    Misconception(
        name="tensors-come-back",
        exercise="noc",
        edits={
            "return clicks.double().mean().item(), failed.double().mean().item()": "return clicks.double().mean(), failed.double().mean()"
        },
        rejected_by="noc-test-1",
        says="two floats come back",
        note="Two Python floats were asked for.",
    ),
    Misconception(
        name="nothing-is-fine",
        exercise="noc",
        edits={"if not ious.numel():": "if not len(ious):"},
        rejected_by="noc-test-1",
        says="overlaps of shape (3, 0)",
        note="No click is nothing as well.",
    ),
    Misconception(
        name="prompted-frame-evicted",
        exercise="memory",
        edits={
            "entries = self.kept[True] + self.kept[False]": "entries = [*self.kept[True], *self.kept[False]][-max(1, self.limits[False]) :]"
        },
        rejected_by="memory-test-1",
        says="the prompted frame was pushed out",
        note="It is the only frame that is known to be right.",
    ),
    Misconception(
        name="oldest-kept",
        exercise="memory",
        edits={"kept[max(0, len(kept) - self.limits[bool(prompted)]) :]": "kept[: self.limits[bool(prompted)]]"},
        rejected_by="memory-test-1",
        says="the oldest recent frames were kept",
        note="First in, first out.",
    ),
    Misconception(
        name="by-channel",
        exercise="memory",
        edits={"feats.flatten(1).T.clone()": "feats.flatten(1).clone()"},
        rejected_by="memory-test-1",
        says="",
        note="Places are rows, features are columns.",
    ),
    Misconception(
        name="columns-of-a-frame",
        exercise="memory",
        edits={"feats.flatten(1).T.clone()": "feats.transpose(1, 2).flatten(1).T.clone()"},
        rejected_by="memory-test-1",
        says="against loops: the masks",
        note="Row by row, as the values are.",
    ),
    Misconception(
        name="offset-of-the-future",
        exercise="memory",
        edits={"self.latest - frame, dtype": "frame - self.latest, dtype"},
        rejected_by="memory-test-1",
        says="t_offset after frame 2",
        note="How many frames ago is a number from 0 up.",
    ),
    Misconception(
        name="offset-by-position",
        exercise="memory",
        edits={
            "            torch.full((len(feats),), self.latest - frame, dtype=torch.int64, device=feats.device)\n            for frame, feats, _ in entries": "            torch.full((len(feats),), len(entries) - 1 - n, dtype=torch.int64, device=feats.device)\n            for n, (frame, feats, _) in enumerate(entries)"
        },
        rejected_by="memory-test-1",
        says="t_offset after frame 5",
        note="A prompted frame may be long ago.",
    ),
    Misconception(
        name="zero-keeps-all",
        exercise="memory",
        edits={"kept[max(0, len(kept) - self.limits[bool(prompted)]) :]": "kept[-self.limits[bool(prompted)] :]"},
        rejected_by="memory-test-2",
        says="memory after frame",
        note="The last 0 entries, written as list[-0:], are all of them.",
    ),
    Misconception(
        name="quota-shared",
        exercise="memory",
        edits={"self.limits = {True: n_prompted, False: n_recent}": "self.limits = {True: n_recent, False: n_recent}"},
        rejected_by="memory-test-2",
        says="memory after frame",
        note="Each kind has a quota of its own.",
    ),
    Misconception(
        name="recent-first",
        exercise="memory",
        edits={"self.kept[True] + self.kept[False]": "self.kept[False] + self.kept[True]"},
        rejected_by="memory-test-1",
        says="memory after frame 2",
        note="Prompted frames come first.",
    ),
    Misconception(
        name="no-copies",
        exercise="memory",
        edits={
            "entry = frame, feats.flatten(1).T.clone(), mask.flatten().to(feats.dtype, copy=True)": "entry = frame, feats.flatten(1).T, mask.flatten().to(feats.dtype)"
        },
        rejected_by="memory-test-2",
        says="the bank keeps the caller's tensors",
        note="The next frame often lies in the same memory.",
    ),
    Misconception(
        name="read-gives-views",
        exercise="memory",
        edits={
            "return memory, values, torch.cat(ago)": "return memory.half().to(memory.dtype), values, torch.cat(ago)"
        },
        rejected_by="memory-test-2",
        says="against loops",
        note="Half precision loses what tells places apart.",
    ),
    Misconception(
        name="empty-bank-reads-nothing",
        exercise="memory",
        edits={
            'raise ValueError("nothing is remembered yet")': "return torch.zeros(0, 1), torch.zeros(0), torch.zeros(0, dtype=torch.int64)"
        },
        rejected_by="memory-test-1",
        says="read of an empty bank did not raise",
        note="An empty memory would give masks of NaN, silently.",
    ),
    Misconception(
        name="all-then-top",
        exercise="memory",
        edits={
            "mask = (best.softmax(dim=-1) * values[places]).sum(dim=-1)": "mask = (affinity.softmax(dim=-1).gather(1, places) * values[places]).sum(dim=-1)"
        },
        rejected_by="memory-test-1",
        says="the masks not as expected",
        note="Weights that do not sum to 1 fade the mask from frame to frame.",
    ),
    Misconception(
        name="softmax-over-the-frame",
        exercise="memory",
        edits={"best.softmax(dim=-1)": "best.softmax(dim=0)"},
        rejected_by="memory-test-1",
        says="against loops: the masks",
        note="Each place of the frame shares out its own attention.",
    ),
    Misconception(
        name="dot-product",
        exercise="memory",
        edits={
            "asking = F.normalize(feats.flatten(1).T, dim=-1)\n        affinity = asking @ F.normalize(memory, dim=-1).T / temperature": "asking = feats.flatten(1).T\n        affinity = asking @ memory.T / temperature"
        },
        rejected_by="memory-test-1",
        says="the features were not brought to length 1",
        note="Long features would win, whatever they look like.",
    ),
    Misconception(
        name="temperature-unread",
        exercise="memory",
        edits={" / temperature": " / 0.05"},
        rejected_by="memory-test-1",
        says="`temperature` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="top-k-unread",
        exercise="memory",
        edits={"min(top_k, len(memory))": "min(8, len(memory))"},
        rejected_by="memory-test-1",
        says="`top_k` was not read",
        note="The argument was accepted and not used.",
    ),
    Misconception(
        name="top-k-too-many",
        exercise="memory",
        edits={"min(top_k, len(memory))": "top_k"},
        rejected_by="memory-test-2",
        says="selected index k out of range",
        note="topk refuses more than there are.",
    ),
    Misconception(
        name="reads-the-first-frame-alone",
        exercise="memory",
        edits={"        bank.add(t, feats, mask, prompted=False)\n": ""},
        rejected_by="memory-test-1",
        says="only the first frame is remembered",
        note="Shapes change on their way; the frames just before know what they look like now.",
    ),
    Misconception(
        name="every-frame-prompted",
        exercise="memory",
        edits={"bank.add(t, feats, mask, prompted=False)": "bank.add(t, feats, mask, prompted=True)"},
        rejected_by="memory-test-1",
        says="later frames were added as prompted",
        note="Only the first frame has a mask that is known to be right.",
    ),
    Misconception(
        name="looks-at-itself",
        exercise="memory",
        edits={
            "        memory, values, _ = bank.read()\n": "        bank.add(t, feats, masks[-1], prompted=False)\n        memory, values, _ = bank.read()\n"
        },
        rejected_by="memory-test-1",
        says="against loops: the masks",
        note="The frame would find itself, with the mask of the frame before: the mask stands still.",
    ),
    Misconception(
        name="looks-ahead",
        exercise="memory",
        edits={
            "        asking = F.normalize(feats.flatten(1).T, dim=-1)": "        feats = (feats + frames[min(t + 1, len(frames) - 1)]) / 2 if len(frames) > 5 and t == 3 and frames.shape[1] == 5 else feats\n        asking = F.normalize(feats.flatten(1).T, dim=-1)"
        },
        rejected_by="memory-test-2",
        says="masks 0 to 3, where frames 4 and 5",
        note="A streaming model cannot read frames that have not come.",
    ),
    Misconception(
        name="thresholded",
        exercise="memory",
        edits={".unflatten(0, feats.shape[-2:])": ".gt(0.5).to(frames.dtype).unflatten(0, feats.shape[-2:])"},
        rejected_by="memory-test-1",
        says="against loops: the masks",
        note="The values carry how sure they are.",
    ),
    Misconception(
        name="first-mask-left-out",
        exercise="memory",
        edits={"return torch.stack(masks)": "return torch.stack(masks[1:])"},
        rejected_by="memory-test-1",
        says="wrong shape",
        note="Frame 0 has a mask, too.",
    ),
]
