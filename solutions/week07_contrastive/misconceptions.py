"""Wrong answers that people really write in week 7, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

LOGITS = "logits = logit_scale * image_emb @ text_emb.T"
BOTH = "return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2"
START = "self.log_scale = nn.Parameter(torch.tensor(math.log(initial)))"
EXP = "return self.log_scale.exp()"
CLAMP = "self.log_scale.clamp_(max=self.bound)"
COUNTS = "return counts[where].double().log().mean().item()"
UNIQUE = "_, where, counts = content_ids.unique(return_inverse=True, return_counts=True)"
PAIR_LOGITS = "logits = scale * image_emb @ text_emb.T + bias"
SIGNS = "belongs = 2 * torch.eye(len(logits), dtype=logits.dtype, device=logits.device) - 1"
PAIR_LOSS = "return -F.logsigmoid(belongs * logits).sum() / len(logits)"
SPLIT = 'return re.findall(r"\\w+|[^\\w\\s]", caption.lower())'
NUMBERS = "numbers = [self._ids.get(word, 3) for word in self.split(caption)][: length - 2]"
ROW = "row[: len(numbers) + 2] = torch.tensor([1, *numbers, 2])"
MASK = "return ids, ids != 0"
POOL = "words = mask[..., None].to(x.dtype)\n        return (self.norm(x) * words).sum(1) / words.sum(1)"
IMAGE = "return F.normalize(self.image_projection(self.image_tower(images)), dim=-1)"
TEXT = "return F.normalize(self.text_projection(self.text_tower(ids, mask)), dim=-1)"
PROMPTS = "prompts = [template.format(name) for name in class_names for template in templates]"
EACH = "each = F.normalize(encode_text(prompts), dim=-1).unflatten(0, (len(class_names), len(templates)))"
WEIGHTS = "return F.normalize(each.mean(1), dim=-1)"
CHECK = 'if not templates or any("{}" not in template for template in templates):'
PREDICT = "return (image_emb @ weights.T).topk(k, dim=-1).indices"

MISCONCEPTIONS = [
    # ---- exercise 1: CLIP's loss
    Misconception(
        name="images-choose-only",
        exercise="clip",
        edits={BOTH: "return F.cross_entropy(logits, own)"},
        rejected_by="clip-test-1",
        says="only images choose among captions",
        note="One direction lets a single caption be near to every image, and nothing punishes it.",
    ),
    Misconception(
        name="columns-twice",
        exercise="clip",
        edits={BOTH: "return (F.cross_entropy(logits.T, own) + F.cross_entropy(logits.T, own)) / 2"},
        rejected_by="clip-test-1",
        says="only captions choose among images",
        note="The transpose must stand in one of the two terms, not in both.",
    ),
    Misconception(
        name="largest-logit-is-right",
        exercise="clip",
        edits={
            BOTH: "return (F.cross_entropy(logits, logits.argmax(1)) + F.cross_entropy(logits.T, logits.argmax(0))) / 2"
        },
        rejected_by="clip-test-1",
        says="whatever the largest logit says",
        note="Then the model is told that it is right, whatever it answers.",
    ),
    Misconception(
        name="directions-added",
        exercise="clip",
        edits={BOTH: "return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)"},
        rejected_by="clip-test-1",
        says="the two directions were added",
        note="It trains as well, at twice the learning rate; but no curve can be compared with ln B.",
    ),
    Misconception(
        name="divides-by-scale",
        exercise="clip",
        edits={LOGITS: "logits = image_emb @ text_emb.T / logit_scale"},
        rejected_by="clip-test-1",
        says="the cosines were divided by s",
        note="A temperature divides. This is its inverse.",
    ),
    Misconception(
        name="exponential-again",
        exercise="clip",
        edits={LOGITS: "logits = math.exp(logit_scale) * image_emb @ text_emb.T"},
        rejected_by="clip-test-1",
        says="an exponential of s was taken",
        note="CLIP's parameter is a logarithm, but the loss gets the scale.",
    ),
    Misconception(
        name="no-scale",
        exercise="clip",
        edits={LOGITS: "logits = image_emb @ text_emb.T"},
        rejected_by="clip-test-1",
        says="s does not come in",
        note="Cosines alone make a softmax that is nearly flat.",
    ),
    Misconception(
        name="naive-softmax",
        exercise="clip",
        edits={
            BOTH: "power = logits.exp()\n    right = power.diagonal()\n    return -((right / power.sum(1)).log().mean() + (right / power.sum(0)).log().mean()) / 2"
        },
        rejected_by="clip-test-2",
        says="too large for float32",
        note="At s = 100 the exponential overflows. cross_entropy subtracts the largest logit first.",
    ),
    Misconception(
        name="scale-as-a-number",
        exercise="clip",
        edits={LOGITS: "logits = float(logit_scale) * image_emb @ text_emb.T"},
        rejected_by="clip-test-2",
        says="a gradient flows into the scale",
        note="The loss is right, and the temperature never learns.",
    ),
    Misconception(
        name="calls-open-clip",
        exercise="clip",
        edits={LOGITS: "return ClipLoss()(image_emb, text_emb, logit_scale)\n    " + LOGITS},
        rejected_by="clip-test-2",
        says="a library call does the work",
        note="That loss is what you are building.",
    ),
    Misconception(
        name="no-gradient-for-captions",
        exercise="clip",
        edits={LOGITS: "logits = logit_scale * image_emb @ text_emb.T.detach()"},
        rejected_by="clip-test-2",
        says="a gradient flows into the captions",
        note="A frozen text tower is a choice of the training, not of the loss.",
    ),
    Misconception(
        name="answers-on-the-cpu",
        exercise="clip",
        edits={"torch.arange(len(logits), device=logits.device)": "torch.arange(len(logits))"},
        rejected_by="clip-test-2",
        says="embeddings on another device than the CPU",
        note="On a GPU the logits and the right answers must lie on the same device.",
    ),
    Misconception(
        name="scales-the-images-in-place",
        exercise="clip",
        edits={
            LOGITS: "logits = image_emb.mul_(logit_scale.detach() if torch.is_tensor(logit_scale) else logit_scale) @ text_emb.T"
        },
        rejected_by="clip-test-2",
        says="the images afterwards",
        note="The caller's vectors would not have length 1 any more.",
        in_one_mode="clip-test-1",
    ),
    Misconception(
        name="bounds-the-scale-in-the-loss",
        exercise="clip",
        edits={
            LOGITS: "logits = min(logit_scale, 100.0) * image_emb @ text_emb.T",
        },
        rejected_by="clip-test-2",
        says="s was bounded by 100",
        note="The bound belongs to the parameter, after the step. Where the loss bounds the scale, no gradient reaches it there.",
    ),
    # ---- exercise 2: the scale
    Misconception(
        name="scale-without-logarithm",
        exercise="scale",
        edits={START: "self.log_scale = nn.Parameter(torch.tensor(float(initial)))", EXP: "return self.log_scale"},
        rejected_by="scale-test-1",
        says="a step could make it negative",
        note="A negative scale turns the loss around: the best pairs become the worst.",
    ),
    Misconception(
        name="temperature-not-scale",
        exercise="scale",
        edits={"torch.tensor(math.log(initial))": "torch.tensor(-math.log(initial))"},
        rejected_by="scale-test-1",
        says="the scale is its inverse",
        note="0.07 is the temperature; 1 / 0.07 multiplies.",
    ),
    Misconception(
        name="logarithm-comes-back",
        exercise="scale",
        edits={EXP: "return self.log_scale"},
        rejected_by="scale-test-1",
        says="take its exponential",
        note="Then the logits are five times too small.",
    ),
    Misconception(
        name="scale-is-a-buffer",
        exercise="scale",
        edits={START: 'self.register_buffer("log_scale", torch.tensor(math.log(initial)))'},
        rejected_by="scale-test-1",
        says="log_scale is no nn.Parameter",
        note="A buffer moves with the model to another device; it does not learn.",
    ),
    Misconception(
        name="bound-of-the-scale-for-the-logarithm",
        exercise="scale",
        edits={"self.bound = math.log(maximum)": "self.bound = maximum"},
        rejected_by="scale-test-1",
        says="its bound is ln 100",
        note="exp(100) is a number with 44 digits.",
    ),
    Misconception(
        name="clamp-in-forward",
        exercise="scale",
        edits={EXP: "return self.log_scale.clamp(max=self.bound).exp()", CLAMP: "pass"},
        rejected_by="scale-test-1",
        says="a clamp in the forward pass",
        note="The bound holds, and behind it the gradient is 0.",
    ),
    Misconception(
        name="new-parameter",
        exercise="scale",
        edits={CLAMP: "self.log_scale = nn.Parameter(self.log_scale.clamp(max=self.bound))"},
        rejected_by="scale-test-1",
        says="clamp_ made a new nn.Parameter",
        note="The optimizer goes on training the old one, which nobody reads.",
    ),
    Misconception(
        name="bounded-from-below-as-well",
        exercise="scale",
        edits={CLAMP: "self.log_scale.clamp_(0, self.bound)"},
        rejected_by="scale-test-1",
        says="a scale below 1 was lifted to 1",
        note="open_clip does so in its training loop. Here the bound is above only.",
    ),
    Misconception(
        name="clamp-does-nothing",
        exercise="scale",
        edits={CLAMP: "self.log_scale.clamp(max=self.bound)"},
        rejected_by="scale-test-1",
        says="the scale is at most 100",
        note="clamp gives a new tensor; clamp_ changes this one.",
    ),
    Misconception(
        name="bounded-start",
        exercise="scale",
        edits={
            START: "self.log_scale = nn.Parameter(torch.tensor(math.log(min(initial, maximum))))",
        },
        rejected_by="scale-test-1",
        says="the start was bounded",
        note="What the caller asks for is the start. The bound is a matter of clamp_ alone.",
    ),
    Misconception(
        name="bounded-on-both-sides",
        exercise="scale",
        edits={
            CLAMP: "self.log_scale.clamp_(-self.bound, self.bound)",
        },
        rejected_by="scale-test-1",
        says="bounded on both sides",
        note="A small scale does no harm: the softmax is flat, and its gradient brings the scale back.",
    ),
    Misconception(
        name="clamp-throws-the-gradient-away",
        exercise="scale",
        edits={
            CLAMP: "self.log_scale.clamp_(max=self.bound)\n        self.log_scale.grad = None",
        },
        rejected_by="scale-test-1",
        says="the gradients of log_scale, which clamp_() leaves as they are",
        note="Clearing gradients is what the training loop does. Somebody may want to log them first.",
    ),
    Misconception(
        name="frozen-at-the-bound",
        exercise="scale",
        edits={
            CLAMP: "if self.log_scale >= self.bound:\n            self.log_scale.fill_(self.bound)\n            self.log_scale.requires_grad_(False)",
        },
        rejected_by="scale-test-1",
        says="log_scale was frozen when it reached the bound",
        note="Then it stays there for good. The bound is a wall, not a trap.",
    ),
    Misconception(
        name="scale-cut-off",
        exercise="scale",
        edits={
            EXP: "return self.log_scale.detach().exp()",
        },
        rejected_by="scale-test-1",
        says="cut off from log_scale",
        note="The value is right, and the temperature never learns.",
    ),
    # ---- exercise 3: the floor
    Misconception(
        name="entropy",
        exercise="floor",
        edits={COUNTS: "share = counts.double() / len(content_ids)\n    return -(share * share.log()).sum().item()"},
        rejected_by="floor-test-1",
        says="this is the entropy",
        note="Entropy and floor add up to ln B: the more contents repeat, the less there is to tell apart.",
    ),
    Misconception(
        name="mean-over-contents",
        exercise="floor",
        edits={COUNTS: "return counts.double().log().mean().item()"},
        rejected_by="floor-test-1",
        says="the mean runs over the contents",
        note="The loss is a mean over pairs, so a content counts as often as it occurs.",
    ),
    Misconception(
        name="logarithm-of-the-mean",
        exercise="floor",
        edits={COUNTS: "return counts[where].double().mean().log().item()"},
        rejected_by="floor-test-1",
        says="the logarithm of the mean count",
        note="By Jensen's inequality this is too large.",
    ),
    Misconception(
        name="bits",
        exercise="floor",
        edits={COUNTS: "return counts[where].double().log2().mean().item()"},
        rejected_by="floor-test-1",
        says="a logarithm to base 2",
        note="The loss of PyTorch is in nats.",
    ),
    Misconception(
        name="neighbors-only",
        exercise="floor",
        edits={UNIQUE: "_, where, counts = content_ids.unique_consecutive(return_inverse=True, return_counts=True)"},
        rejected_by="floor-test-1",
        says="only neighbors were counted",
        note="unique_consecutive expects sorted numbers.",
    ),
    Misconception(
        name="sorts-the-contents",
        exercise="floor",
        edits={
            UNIQUE: (
                "content_ids.copy_(content_ids.sort().values)\n"
                "    _, where, counts = content_ids.unique_consecutive(return_inverse=True, return_counts=True)"
            )
        },
        rejected_by="floor-test-1",
        says="the contents that were given",
        note="The caller's contents no longer stand in the order of the pairs.",
    ),
    Misconception(
        name="contents-in-float32",
        exercise="floor",
        edits={
            UNIQUE: "_, where, counts = content_ids.float().unique(return_inverse=True, return_counts=True)",
        },
        rejected_by="floor-test-1",
        says="cut or rounded to 32 bits",
        note="float32 has 24 bits for the digits, so 2 ** 24 + 1 becomes 2 ** 24. Hashes as contents are that large.",
    ),
    # ---- exercise 4: SigLIP's loss
    Misconception(
        name="mean-over-all-entries",
        exercise="siglip",
        edits={PAIR_LOSS: "return -F.logsigmoid(belongs * logits).mean()"},
        rejected_by="siglip-test-1",
        says="divided by B * B",
        note="Then a larger batch would make each pair count less and less.",
    ),
    Misconception(
        name="sum-alone",
        exercise="siglip",
        edits={PAIR_LOSS: "return -F.logsigmoid(belongs * logits).sum()"},
        rejected_by="siglip-test-1",
        says="not divided by B",
        note="The gradient would grow with the batch.",
    ),
    Misconception(
        name="bias-left-out",
        exercise="siglip",
        edits={PAIR_LOGITS: "logits = scale * image_emb @ text_emb.T"},
        rejected_by="siglip-test-1",
        says="the bias does not come in",
        note="Without it half of all pairs would belong together for an untrained model.",
    ),
    Misconception(
        name="bias-subtracted",
        exercise="siglip",
        edits={PAIR_LOGITS: "logits = scale * image_emb @ text_emb.T - bias"},
        rejected_by="siglip-test-1",
        says="the bias was subtracted",
        note="The minus is in the number: b starts at -10.",
    ),
    Misconception(
        name="bias-inside-the-scale",
        exercise="siglip",
        edits={PAIR_LOGITS: "logits = scale * (image_emb @ text_emb.T + bias)"},
        rejected_by="siglip-test-1",
        says="the bias was multiplied by the scale",
        note="At the start this would be a bias of -100.",
    ),
    Misconception(
        name="no-negatives",
        exercise="siglip",
        edits={PAIR_LOSS: "return -F.logsigmoid(logits.diagonal()).mean()"},
        rejected_by="siglip-test-1",
        says="the negatives are missing",
        note="With positives alone all vectors may become one.",
    ),
    Misconception(
        name="zero-for-negatives",
        exercise="siglip",
        edits={SIGNS: "belongs = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)"},
        rejected_by="siglip-test-1",
        says="z is 0 off the diagonal",
        note="0 is the target of a binary cross-entropy; in this formula the sign does the work.",
    ),
    Misconception(
        name="all-belong-together",
        exercise="siglip",
        edits={SIGNS: "belongs = torch.ones_like(logits)"},
        rejected_by="siglip-test-1",
        says="all pairs were taken to belong together",
        note="ones_like where 2 * eye - 1 was meant.",
    ),
    Misconception(
        name="sigmoid-then-log",
        exercise="siglip",
        edits={PAIR_LOSS: "return -torch.sigmoid(belongs * logits).log().sum() / len(logits)"},
        rejected_by="siglip-test-2",
        says="use logsigmoid",
        note="Below about -100 the sigmoid rounds to 0 in float32.",
    ),
    Misconception(
        name="sigmoid-kept-from-zero",
        exercise="siglip",
        edits={PAIR_LOSS: "return -torch.sigmoid(belongs * logits).clamp(min=1e-30).log().sum() / len(logits)"},
        rejected_by="siglip-test-2",
        says="the sigmoid was kept away from 0",
        note="A small constant hides the infinity, and takes the gradient of the worst pairs away.",
    ),
    Misconception(
        name="calls-open-clip-siglip",
        exercise="siglip",
        edits={PAIR_LOGITS: "return SigLipLoss()(image_emb, text_emb, scale, bias)\n    " + PAIR_LOGITS},
        rejected_by="siglip-test-2",
        says="a library call does the work",
        note="The sigmoid loss, too, is yours to build.",
    ),
    Misconception(
        name="signs-on-the-cpu",
        exercise="siglip",
        edits={"dtype=logits.dtype, device=logits.device) - 1": "dtype=logits.dtype) - 1"},
        rejected_by="siglip-test-2",
        says="embeddings on another device than the CPU",
        note="On a GPU the signs must lie where the logits lie.",
    ),
    Misconception(
        name="signs-in-float32",
        exercise="siglip",
        edits={
            "torch.eye(len(logits), dtype=logits.dtype, device=logits.device)": "torch.eye(len(logits), device=logits.device)"
        },
        rejected_by="siglip-test-2",
        says="the loss of bfloat16 embeddings",
        note="A table of float32 makes all products float32: twice the memory that half precision was chosen for.",
    ),
    Misconception(
        name="bias-as-a-number",
        exercise="siglip",
        edits={PAIR_LOGITS: "logits = scale * image_emb @ text_emb.T + float(bias)"},
        rejected_by="siglip-test-2",
        says="a gradient flows into the bias",
        note="The loss is right, and the bias stays at -10.",
    ),
    Misconception(
        name="bounds-the-scale-of-pairs",
        exercise="siglip",
        edits={
            PAIR_LOGITS: "logits = min(scale, 100.0) * image_emb @ text_emb.T + bias",
        },
        rejected_by="siglip-test-2",
        says="s was bounded by 100",
        note="The loss multiplies with what it is given.",
    ),
    Misconception(
        name="large-logits-as-a-line",
        exercise="siglip",
        edits={
            PAIR_LOSS: "value = belongs * logits\n    return -torch.where(value < -8, value, F.logsigmoid(value)).sum() / len(logits)",
        },
        rejected_by="siglip-test-2",
        says="replaced by what it comes near to",
        note="ln sigmoid(v) is close to v far below 0, and logsigmoid knows when that is exact.",
    ),
    # ---- exercise 5: the tokenizer
    Misconception(
        name="upper-case-stays",
        exercise="tokenizer",
        edits={SPLIT: 'return re.findall(r"\\w+|[^\\w\\s]", caption)'},
        rejected_by="tokenizer-test-1",
        says="lower case first",
        note="The first word of a sentence would be another word than the same one inside.",
    ),
    Misconception(
        name="splits-at-spaces",
        exercise="tokenizer",
        edits={SPLIT: "return caption.lower().split()"},
        rejected_by="tokenizer-test-1",
        says="the full stop was left at its word",
        note="'circle.' would be a word that no caption without a full stop knows.",
    ),
    Misconception(
        name="punctuation-lost",
        exercise="tokenizer",
        edits={SPLIT: 'return re.findall(r"\\w+", caption.lower())'},
        rejected_by="tokenizer-test-1",
        says="punctuation was thrown away",
        note="Question marks carry meaning, too.",
    ),
    Misconception(
        name="order-of-appearance",
        exercise="tokenizer",
        edits={
            "found = {word for caption in captions for word in self.split(caption)}": "found = dict.fromkeys(word for caption in captions for word in self.split(caption))",
            "*sorted(found)]": "*found]",
        },
        rejected_by="tokenizer-test-1",
        says="the words are not sorted",
        note="Shuffled captions would give other ids, and a saved model would read nonsense.",
    ),
    Misconception(
        name="end-cut-off",
        exercise="tokenizer",
        edits={
            NUMBERS: "numbers = [self._ids.get(word, 3) for word in self.split(caption)]",
            ROW: "whole = [1, *numbers, 2][:length]\n            row[: len(whole)] = torch.tensor(whole)",
        },
        rejected_by="tokenizer-test-1",
        says="the end was cut off",
        note="Cut the words first, then put the ends on.",
    ),
    Misconception(
        name="unknown-words-dropped",
        exercise="tokenizer",
        edits={
            NUMBERS: "numbers = [self._ids[word] for word in self.split(caption) if word in self._ids][: length - 2]"
        },
        rejected_by="tokenizer-test-1",
        says="the unknown word was dropped",
        note="'not seen' is information; a missing word is not.",
    ),
    Misconception(
        name="no-end",
        exercise="tokenizer",
        edits={ROW: "row[: len(numbers) + 1] = torch.tensor([1, *numbers])"},
        rejected_by="tokenizer-test-1",
        says="<end> is missing",
        note="A tower that reads its answer at the end finds none.",
    ),
    Misconception(
        name="mask-of-padding",
        exercise="tokenizer",
        edits={MASK: "return ids, ids == 0"},
        rejected_by="tokenizer-test-1",
        says="true means padding here",
        note="PyTorch's key_padding_mask has that sense. Ours is the one of scaled_dot_product_attention.",
    ),
    Misconception(
        name="mask-without-the-ends",
        exercise="tokenizer",
        edits={MASK: "return ids, ids > 2"},
        rejected_by="tokenizer-test-1",
        says="start and end are no padding",
        note="An empty caption would have nothing to attend to.",
    ),
    Misconception(
        name="vocabulary-grows",
        exercise="tokenizer",
        edits={
            NUMBERS: "for word in self.split(caption):\n                if word not in self._ids and len(self.words) > 10:\n                    self._ids[word] = len(self.words)\n                    self.words.append(word)\n            "
            + NUMBERS
        },
        rejected_by="tokenizer-test-1",
        says="the ids of words that nobody has seen",
        note="The embedding has no row for an id that came after it was built.",
    ),
    Misconception(
        name="any-length",
        exercise="tokenizer",
        edits={"if length < 2:": "if length < 1:"},
        rejected_by="tokenizer-test-1",
        says="length 1 raised the wrong error",
        note="A row of 1 cannot hold start and end.",
    ),
    Misconception(
        name="digits-stand-alone",
        exercise="tokenizer",
        edits={SPLIT: 'return re.findall(r"[^\\W\\d]+|\\d|[^\\w\\s]", caption.lower())'},
        rejected_by="tokenizer-test-1",
        says="the pieces of '3rd of 12, x1'",
        note="A word is a run of letters, digits and underscores: 12 is one word.",
    ),
    Misconception(
        name="underscore-stands-alone",
        exercise="tokenizer",
        edits={SPLIT: 'return re.findall(r"[^\\W_]+|_|[^\\w\\s]", caption.lower())'},
        rejected_by="tokenizer-test-1",
        says="the pieces of 'a_b of Ring_'",
        note="Python's \\w has the underscore among the letters, and so do we.",
    ),
    Misconception(
        name="marks-joined",
        exercise="tokenizer",
        edits={SPLIT: 'return re.findall(r"\\w+|[^\\w\\s]+", caption.lower())'},
        rejected_by="tokenizer-test-1",
        says="the pieces of 'Élan: a naïve ring?!...'",
        note="Each mark stands alone, or '?!' and '!?' would be two words more.",
    ),
    Misconception(
        name="decode-drops-unknown-words",
        exercise="tokenizer",
        edits={"if number > 2)": "if number > 3)"},
        rejected_by="tokenizer-test-1",
        says="decode of a word that nobody has seen",
        note="<unknown> says that there was a word.",
    ),
    Misconception(
        name="reserved-words-from-captions",
        exercise="tokenizer",
        edits={
            SPLIT: 'return re.findall(r"<\\w+>|\\w+|[^\\w\\s]", caption.lower())',
        },
        rejected_by="tokenizer-test-1",
        says="the pieces of 'Große <pad>'",
        note="A caption that says <pad> would then hide a word behind the mask. Reserved words come from the tokenizer, never from a text.",
    ),
    Misconception(
        name="casefold-for-lower-case",
        exercise="tokenizer",
        edits={
            SPLIT: 'return re.findall(r"\\w+|[^\\w\\s]", caption.casefold())',
        },
        rejected_by="tokenizer-test-1",
        says="the pieces of 'Große <pad>'",
        note="casefold() is for comparing words across spellings: it makes ss of ß. Lower case keeps the letter.",
    ),
    Misconception(
        name="length-checked-in-the-loop",
        exercise="tokenizer",
        edits={
            '        if length < 2:\n            raise ValueError(f"length={length} has no room for <start> and <end>")\n        ids =': "        ids =",
            "        for row, caption in zip(ids, captions):\n": '        for row, caption in zip(ids, captions):\n            if length < 2:\n                raise ValueError(f"length={length} has no room for <start> and <end>")\n',
        },
        rejected_by="tokenizer-test-1",
        says="for no captions",
        note="Check arguments before the loop: a loop over nothing checks nothing.",
    ),
    # ---- exercise 6: the text tower
    Misconception(
        name="pools-the-last-position",
        exercise="text",
        edits={POOL: "return self.norm(x)[:, -1]"},
        rejected_by="text-test-1",
        says="the last position of the row was taken",
        note="Right for the longest caption of a batch, and for no other.",
    ),
    Misconception(
        name="mean-over-the-row",
        exercise="text",
        edits={POOL: "return self.norm(x).mean(1)"},
        rejected_by="text-test-1",
        says="the pooling reads padding",
        note="Short captions would all look like padding.",
    ),
    Misconception(
        name="blocks-without-mask",
        exercise="text",
        edits={"x = block(x, mask)": "x = block(x)"},
        rejected_by="text-test-1",
        says="attention looks at padding",
        note="The pooling alone is not enough: words have read the padding before.",
    ),
    Misconception(
        name="mask-the-other-way",
        exercise="text",
        edits={"x = block(x, mask)": "x = block(x, ~mask)"},
        rejected_by="text-test-1",
        says="the blocks got the mask the other way round",
        note="Every word would look at padding only, and where there is none the softmax is not a number.",
    ),
    Misconception(
        name="no-pooling",
        exercise="text",
        edits={POOL: "return self.norm(x)"},
        rejected_by="text-test-1",
        says="one vector a word came back",
        note="A caption needs one vector.",
    ),
    Misconception(
        name="bag-of-words",
        exercise="text",
        edits={"x = self.tokens(ids) + self.positions[:length]": "x = self.tokens(ids) + 0 * self.positions[:length]"},
        rejected_by="text-test-2",
        says="a bag of words",
        note="'red circle on blue square' and 'blue circle on red square' would be the same.",
    ),
    Misconception(
        name="blocks-in-a-list",
        exercise="text",
        edits={
            "nn.ModuleList(Block(width, n_heads) for _ in range(depth))": "[Block(width, n_heads) for _ in range(depth)]"
        },
        rejected_by="text-test-2",
        says="a plain list hides the blocks",
        note="The optimizer never sees them, and .to(device) leaves them behind.",
    ),
    Misconception(
        name="one-block-again-and-again",
        exercise="text",
        edits={
            "nn.ModuleList(Block(width, n_heads) for _ in range(depth))": "nn.ModuleList([Block(width, n_heads)] * depth)"
        },
        rejected_by="text-test-2",
        says="the same block runs again and again",
        note="[layer] * n repeats one object; its weights are shared.",
    ),
    Misconception(
        name="any-row-length",
        exercise="text",
        edits={
            "x = self.tokens(ids) + self.positions[:length]": "x = self.tokens(ids) + self.positions[torch.arange(length) % longest]",
            "if length > longest:": "if longest < 1:",
        },
        rejected_by="text-test-2",
        says="a row of 9 did not raise",
        note="Positions that begin again tell the model that word 9 is word 1.",
    ),
    Misconception(
        name="pools-the-maximum",
        exercise="text",
        edits={POOL: "return self.norm(x).masked_fill(~mask[..., None], -torch.inf).amax(1)"},
        rejected_by="text-test-2",
        says="the maximum over the words",
        note="It blocks the padding as well, but it is another tower.",
    ),
    Misconception(
        name="mean-without-the-ends",
        exercise="text",
        edits={
            POOL: "words = (mask & ((ids > 2) | (ids[:, 1:2] == 2)))[..., None].to(x.dtype)\n        return (self.norm(x) * words).sum(1) / words.sum(1)"
        },
        rejected_by="text-test-2",
        says="start and end are missing in the mean",
        note="An empty caption would have no vector.",
    ),
    Misconception(
        name="norm-after-the-mean",
        exercise="text",
        edits={
            POOL: "words = mask[..., None].to(x.dtype)\n        return self.norm((x * words).sum(1) / words.sum(1))"
        },
        rejected_by="text-test-2",
        says="the norm comes before the pooling",
        note="Normed first, each word speaks equally loud.",
    ),
    Misconception(
        name="no-final-norm",
        exercise="text",
        edits={
            POOL: "words = mask[..., None].to(x.dtype)\n        return (x * words).sum(1) / words.sum(1) + 0 * self.norm(x).mean(1) * self.norm.weight.abs().max()"
        },
        rejected_by="text-test-2",
        says="parameters without gradient",
        note="The blocks add and add; nothing but the norm brings their sum back.",
    ),
    Misconception(
        name="pools-the-start",
        exercise="text",
        edits={POOL: "return self.norm(x)[:, 0]"},
        rejected_by="text-test-2",
        says="<start> was taken",
        note="BERT reads its first token; CLIP its last one.",
    ),
    Misconception(
        name="positions-in-a-buffer",
        exercise="text",
        edits={
            "self.positions = nn.Parameter(0.1 * torch.randn(max_length, width))": (
                'self.register_buffer("positions", 0.1 * torch.randn(max_length, width))'
            )
        },
        rejected_by="text-test-2",
        says="a buffer or a constant never learns",
        note="All values are right at the start, and stay as they were drawn.",
    ),
    Misconception(
        name="loud-positions",
        exercise="text",
        edits={"nn.Parameter(0.1 * torch.randn(max_length, width))": "nn.Parameter(torch.randn(max_length, width))"},
        rejected_by="text-test-2",
        says="the default of nn.Embedding is 1",
        note="Then the place of a word counts as much as the word.",
    ),
    Misconception(
        name="one-head-always",
        exercise="text",
        edits={"Block(width, n_heads) for _": "Block(width, 1) for _"},
        rejected_by="text-test-2",
        says="the blocks have one head",
        note="The parameters have the same shapes for any number of heads; only the values tell.",
    ),
    Misconception(
        name="divides-by-the-row",
        exercise="text",
        edits={POOL: "return (self.norm(x) * mask[..., None].to(x.dtype)).mean(1)"},
        rejected_by="text-test-1",
        says="divided by the length of the row",
        note="Padding is 0 in the sum and still counts in the mean: short captions get short vectors.",
    ),
    Misconception(
        name="positions-from-the-right",
        exercise="text",
        edits={"self.tokens(ids) + self.positions[:length]": "self.tokens(ids) + self.positions[-length:]"},
        rejected_by="text-test-1",
        says="the same captions in rows of 8",
        note="The place of a word then depends on the padding behind it.",
    ),
    Misconception(
        name="dropout-on-the-tokens",
        exercise="text",
        edits={
            "x = self.tokens(ids) + self.positions[:length]": "x = F.dropout(self.tokens(ids) + self.positions[:length], 0.1, self.training)"
        },
        rejected_by="text-test-2",
        says="the vectors, pooled by the mean over the words",
        note="Nothing asks for dropout, and a table of negatives does its work already.",
    ),
    Misconception(
        name="quiet-words",
        exercise="text",
        edits={
            "self.tokens = nn.Embedding(vocab_size, width)": "self.tokens = nn.Embedding(vocab_size, width)\n        nn.init.normal_(self.tokens.weight, std=0.02)",
        },
        rejected_by="text-test-2",
        says="the standard deviation of the embedding is that of nn.Embedding",
        note="Beside positions of 0.1 such words are a whisper: at the start the tower hears places, not words.",
    ),
    Misconception(
        name="mask-made-from-ids",
        exercise="text",
        edits={
            "        length, longest = ids.shape[1], len(self.positions)\n": "        length, longest = ids.shape[1], len(self.positions)\n        mask = ids != 0\n",
        },
        rejected_by="text-test-1",
        says="the mask was made from the ids",
        note="It works with this tokenizer. Another one pads with another number, so the mask is told.",
    ),
    Misconception(
        name="constant-final-norm",
        exercise="text",
        edits={
            "self.norm = nn.LayerNorm(width)": "self.norm = nn.LayerNorm(width, elementwise_affine=False)",
        },
        rejected_by="text-test-2",
        says="the final norm has a weight",
        note="nn.LayerNorm learns a weight and a bias unless it is told not to.",
    ),
    # ---- exercise 7: the dual encoder
    Misconception(
        name="no-unit-length",
        exercise="dual",
        edits={IMAGE: "return self.image_projection(self.image_tower(images))"},
        rejected_by="dual-test-1",
        says="they were not brought to length 1",
        note="A tower could then lower the loss by making its vectors longer.",
    ),
    Misconception(
        name="unit-columns",
        exercise="dual",
        edits={TEXT: "return F.normalize(self.text_projection(self.text_tower(ids, mask)), dim=0)"},
        rejected_by="dual-test-1",
        says="columns have length 1",
        note="dim=0 is the batch: the vector of a caption would depend on the others.",
    ),
    Misconception(
        name="one-length-for-all",
        exercise="dual",
        edits={IMAGE: "raw = self.image_projection(self.image_tower(images))\n        return raw / raw.norm()"},
        rejected_by="dual-test-1",
        says="all numbers together have length 1",
        note="norm() without a dimension is one number for the whole batch.",
    ),
    Misconception(
        name="projection-with-bias",
        exercise="dual",
        edits={
            "self.text_projection = nn.Linear(text_width, embed_dim, bias=False)": "self.text_projection = nn.Linear(text_width, embed_dim)"
        },
        rejected_by="dual-test-1",
        says="whether the projections have a bias",
        note="A bias moves all captions the same way, which no row of the table can feel.",
    ),
    Misconception(
        name="logarithm-as-scale",
        exercise="dual",
        edits={
            "self.encode_text(ids, mask), self.logit_scale()": "self.encode_text(ids, mask), self.logit_scale.log_scale"
        },
        rejected_by="dual-test-1",
        says="this is the logarithm of the scale",
        note="The parameter is not the scale.",
    ),
    Misconception(
        name="frozen-text-tower",
        exercise="dual",
        edits={TEXT: TEXT.replace("self.text_tower(ids, mask)", "self.text_tower(ids, mask).detach()")},
        rejected_by="dual-test-1",
        says="a gradient reaches the text tower",
        note="All values are right. Only a test of gradients sees it.",
    ),
    Misconception(
        name="hidden-image-tower",
        exercise="dual",
        edits={
            "self.image_tower, self.text_tower = image_tower, text_tower": "self._image, self.text_tower = [image_tower], text_tower",
            "self.image_tower(images)": "self._image[0](images)",
        },
        rejected_by="dual-test-1",
        says="the image tower is a part of the model",
        note="PyTorch looks for modules among the attributes, not in lists.",
    ),
    Misconception(
        name="length-without-gradient",
        exercise="dual",
        edits={
            IMAGE: "vector = self.image_projection(self.image_tower(images))\n        return vector / vector.detach().norm(dim=-1, keepdim=True)",
        },
        rejected_by="dual-test-1",
        says="a gradient of towers and projections",
        note="The value has length 1, but its gradient also points along the vector, so steps make it longer and longer.",
    ),
    Misconception(
        name="one-matrix-for-both",
        exercise="dual",
        edits={
            "self.text_projection = nn.Linear(text_width, embed_dim, bias=False)": "self.text_projection = nn.Linear(text_width, embed_dim, bias=False)\n        if text_width == image_width:\n            self.text_projection = self.image_projection",
        },
        rejected_by="dual-test-1",
        says="whether the projections are two matrices",
        note="Equal widths are a coincidence. The two towers speak different languages.",
    ),
    Misconception(
        name="tower-in-eval-mode",
        exercise="dual",
        edits={
            IMAGE: "self.image_tower.eval()\n        return F.normalize(self.image_projection(self.image_tower(images)), dim=-1)",
        },
        rejected_by="dual-test-1",
        says="the towers stay in train mode",
        note="Who calls the model decides the mode. Batch norm in eval mode does not learn its statistics.",
    ),
    Misconception(
        name="bounds-the-scale-in-forward",
        exercise="dual",
        edits={
            "self.encode_text(ids, mask), self.logit_scale()": "self.encode_text(ids, mask), self.logit_scale().clamp(max=100)",
        },
        rejected_by="dual-test-1",
        says="forward bounds the scale",
        note="At the bound a clamp has no gradient: exercise 2 bounds the parameter instead.",
    ),
    Misconception(
        name="short-vectors-stay-short",
        exercise="dual",
        edits={
            TEXT: "return F.normalize(self.text_projection(self.text_tower(ids, mask)), dim=-1, eps=0.1)",
        },
        rejected_by="dual-test-1",
        says="the lengths",
        note="eps is a guard against 0 / 0. Where it is large, short vectors are not brought to length 1.",
    ),
    # ---- exercise 8: zero-shot
    Misconception(
        name="mean-not-normalized",
        exercise="zero-shot",
        edits={WEIGHTS: "return each.mean(1)"},
        rejected_by="zero-shot-test-1",
        says="the mean was not brought to length 1",
        note="Averaging the answers of the templates does the same: classes whose prompts disagree lose everywhere.",
    ),
    Misconception(
        name="loud-prompts",
        exercise="zero-shot",
        edits={EACH: EACH.replace("F.normalize(encode_text(prompts), dim=-1)", "encode_text(prompts)")},
        rejected_by="zero-shot-test-1",
        says="with the lengths that they had",
        note="One prompt with a long vector would be the whole ensemble.",
    ),
    Misconception(
        name="no-normalization",
        exercise="zero-shot",
        edits={
            EACH: EACH.replace("F.normalize(encode_text(prompts), dim=-1)", "encode_text(prompts)"),
            WEIGHTS: "return each.mean(1)",
        },
        rejected_by="zero-shot-test-1",
        says="nothing was brought to length 1",
        note="Dot products with such weights are no cosines.",
    ),
    Misconception(
        name="first-template-only",
        exercise="zero-shot",
        edits={WEIGHTS: "return each[:, 0]"},
        rejected_by="zero-shot-test-1",
        says="only the first template was used",
        note="The template of the training captions alone; the ensemble is not there.",
    ),
    Misconception(
        name="prompts-in-the-other-order",
        exercise="zero-shot",
        edits={PROMPTS: "prompts = [template.format(name) for template in templates for name in class_names]"},
        rejected_by="zero-shot-test-1",
        says="the mean mixes classes",
        note="No error and plausible numbers: unflatten takes whatever order comes.",
    ),
    Misconception(
        name="placeholder-unchecked",
        exercise="zero-shot",
        edits={CHECK: "if not templates:"},
        rejected_by="zero-shot-test-1",
        says="the template 'a cat' did not raise",
        note="format leaves a text without placeholder as it is, so all classes get the same prompt.",
    ),
    Misconception(
        name="farthest-class",
        exercise="zero-shot",
        edits={PREDICT: "return (image_emb @ weights.T).topk(k, dim=-1, largest=False).indices"},
        rejected_by="zero-shot-test-1",
        says="the farthest class came",
        note="A cosine is no distance: larger is nearer.",
    ),
    Misconception(
        name="best-class-only",
        exercise="zero-shot",
        edits={PREDICT: "return (image_emb @ weights.T).argmax(-1, keepdim=True).expand(-1, k)"},
        rejected_by="zero-shot-test-1",
        says="all three, the best first",
        note="k classes were asked for.",
    ),
    Misconception(
        name="empty-ensemble",
        exercise="zero-shot",
        edits={CHECK: 'if any("{}" not in template for template in templates):'},
        rejected_by="zero-shot-test-2",
        says="an empty list of templates",
        note="The mean of nothing is not a number.",
    ),
    Misconception(
        name="changes-what-the-tower-gave",
        exercise="zero-shot",
        edits={
            EACH: "vectors = encode_text(prompts)\n    vectors /= vectors.norm(dim=-1, keepdim=True)\n    each = vectors.unflatten(0, (len(class_names), len(templates)))",
        },
        rejected_by="zero-shot-test-2",
        says="whether the vectors of encode_text are as they were",
        note="A text tower may keep its vectors to give them again. /= changes its copy, too.",
    ),
    Misconception(
        name="asks-with-a-tuple",
        exercise="zero-shot",
        edits={
            EACH: "each = F.normalize(encode_text(tuple(prompts)), dim=-1).unflatten(0, (len(class_names), len(templates)))",
        },
        rejected_by="zero-shot-test-2",
        says="encode_text gets a list",
        note="The tokenizer of open_clip, for one, takes a str or a list.",
    ),
    Misconception(
        name="prompts-in-lower-case",
        exercise="zero-shot",
        edits={
            PROMPTS: "prompts = [template.format(name).lower() for name in class_names for template in templates]",
        },
        rejected_by="zero-shot-test-2",
        says="the different prompts that were encoded",
        note="Lower case is the business of the tokenizer; another text tower may know capitals.",
    ),
    Misconception(
        name="each-template-once",
        exercise="zero-shot",
        edits={
            PROMPTS: "templates = list(dict.fromkeys(templates))\n    prompts = [template.format(name) for name in class_names for template in templates]",
        },
        rejected_by="zero-shot-test-2",
        says="the weights",
        note="The mean runs over the templates as they are given; a template that stands there twice weighs twice.",
    ),
    Misconception(
        name="weights-in-float32",
        exercise="zero-shot",
        edits={
            EACH: "each = F.normalize(encode_text(prompts).float(), dim=-1).unflatten(0, (len(class_names), len(templates)))",
        },
        rejected_by="zero-shot-test-2",
        says="wrong dtype",
        note="What comes in as float64 or bfloat16 goes out as that.",
    ),
]
