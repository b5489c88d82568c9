"""Wrong answers that people really write in week 9, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

HOOKS = "handles = [layer.attn_drop.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0])) for layer in layers]"
FUSED_OFF = "        for layer in layers:\n            layer.fused_attn = False\n"
FUSED_BACK = "        for layer, flag in zip(layers, fused):\n            layer.fused_attn = flag\n"
MODES_BACK = "        for module, mode in modes.items():\n            module.training = mode\n"
HOOKS_GONE = "        for handle in handles:\n            handle.remove()\n"
MARKED = "images = images.detach().requires_grad_()  # a new tensor: gives the maps a graph in a frozen model, too"
TRACKED = "        with torch.set_grad_enabled(with_grad):\n            logits = model(images)\n"
REFUSED = 'if not layers or not all(hasattr(layer, "attn_drop") and hasattr(layer, "fused_attn") for layer in layers):'
COLLECTED = "return maps, logits"

LAYER = "layer = (1 - residual) * fuse[head_fusion](weights, dim=1) + residual * identity"
STEP = "result = (layer / layer.sum(dim=-1, keepdim=True)) @ result"
FUSE = 'fuse = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}'
FUSION_CHECK = "if head_fusion not in fuse:"
RANGE = "if not 0 <= residual < 1:"

PLACES = "places = patch * torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(attn)"
APART = "apart = (places[:, None] - places[None]).norm(dim=-1)"
PATCH_ROWS = "weights = attn[:, :, n_prefix:, n_prefix:]"
AGAIN = "    weights = weights / weights.sum(dim=-1, keepdim=True)\n"
AVERAGE = "return (weights * apart).sum(dim=-1).mean(dim=(0, 2))"
FITS = "if rows * columns != attn.shape[-1] - n_prefix:"

ENTROPY = "return torch.special.entr(attn).sum(dim=-1)"
HOYER = "return (root - attn.abs().sum(dim=-1) / attn.norm(dim=-1)) / (root - 1)"
PREFIX = "return attn[..., :n_prefix].sum(dim=-1)"

HEADS = "heads = torch.cat([attn.transpose(0, 1) for attn in attentions])  # (L * H, B, N, N)"
JSD = "return (mixed - (own[:, None] + own[None]) / 2).clamp(min=0)"
GREEDY = "(redundant if any(row[other] < threshold for other in kept) else kept).append(head)"
MEAN_ENTROPY = "return torch.special.entr(heads).sum(dim=-1).mean(dim=(1, 2))"

CLASSES = "classes = torch.as_tensor(target, device=logits.device).expand(len(logits))"
CHOSEN = "chosen = logits.gather(1, classes[:, None]).sum()"
CHOICE = "    with torch.enable_grad():\n        " + CHOSEN + "\n"
HELPFUL = "helpful = (weights.detach() * gradient).clamp(min=0).mean(dim=1)"
UPDATE = "relevance = relevance + helpful @ relevance"
ROW = "return relevance[:, 0, model.num_prefix_tokens :]"
COLLECT = "maps, logits = collect_attention(model, image, with_grad=True)"
LAYERS = "for weights, gradient in zip(maps, gradients):"

ORDER = "order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)"
RANK = "rank = order.argsort(dim=1).reshape(count, rows, columns)  # 0: the most relevant"
COUNT = "chosen = rank < int(fraction * rows * columns + 0.5)"
HIDDEN = "hidden = (~chosen if insert else chosen).repeat_interleave(height, 1).repeat_interleave(width, 2)"
FILLED = "logits = model(images.masked_fill(hidden[:, None], fill))"
SIZES = "height, width = images.shape[-2] // rows, images.shape[-1] // columns"
AREA = "return float(torch.trapezoid(curve.double(), places.double()) / (places[-1] - places[0]))"
BEST = "best = maps.flatten(1).argmax(dim=1, keepdim=True)"
HITS = "return float(mask_grid.flatten(1).gather(1, best).double().mean())"
TOTAL = "total = maps.flatten(1).sum(dim=1)"
MASS = "return (maps * mask_grid).flatten(1).sum(dim=1) / total.clamp(min=torch.finfo(maps.dtype).tiny)"

MISCONCEPTIONS = [
    # ---- exercise 1: collect
    Misconception(
        name="fused-attention-left-on",
        exercise="collect",
        edits={FUSED_OFF: ""},
        rejected_by="collect-test-1",
        says="as where fused attention was still on",
        note="The fused kernel never makes the map, so the dropout module is never called and its hook never runs.",
    ),
    Misconception(
        name="heads-averaged",
        exercise="collect",
        edits={COLLECTED: "return [weights.mean(dim=1) for weights in maps], logits"},
        rejected_by="collect-test-1",
        says="the heads were averaged",
        note="Relevance needs the heads apart, and a head that finds the object drowns in the mean.",
    ),
    Misconception(
        name="hook-on-the-projection",
        exercise="collect",
        edits={
            HOOKS: "handles = [layer.proj.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0].unflatten(2, (layers[0].num_heads, -1)).transpose(1, 2))) for layer in layers]"
        },
        rejected_by="collect-test-1",
        says="this is attention times values",
        same_cause_as="heads-averaged",
        note="What goes into proj are the values that the heads have gathered, not the weights they gathered them with.",
    ),
    Misconception(
        name="last-block-only",
        exercise="collect",
        edits={COLLECTED: "return maps[-1:], logits"},
        rejected_by="collect-test-1",
        says="only the last block's map was kept",
        note="The last map shows how tokens are mixed that have been mixed before. Rollout needs all of them.",
    ),
    Misconception(
        name="blocks-in-reverse",
        exercise="collect",
        edits={COLLECTED: "return maps[::-1], logits"},
        rejected_by="collect-test-1",
        says="the blocks come in reverse order",
        note="With maps in the wrong order everything that is built on them is wrong, and nothing fails.",
    ),
    Misconception(
        name="keys-by-queries",
        exercise="collect",
        edits={COLLECTED: "return [weights.transpose(-2, -1) for weights in maps], logits"},
        rejected_by="collect-test-1",
        says="rows and columns are exchanged",
        same_cause_as="heads-averaged",
        note="Rows are queries: each row sums to 1.",
    ),
    Misconception(
        name="model-stays-in-train-mode",
        exercise="collect",
        edits={"        model.eval()\n": ""},
        rejected_by="collect-test-2",
        says="two calls differ: the model ran in train mode",
        note="Dropout in the first block changes what the second one sees: every call gives another map.",
    ),
    Misconception(
        name="dropout-output-in-train-mode",
        exercise="collect",
        edits={
            "        model.eval()\n": "        model.train(model.training)\n",
            HOOKS: "handles = [layer.attn_drop.register_forward_hook(lambda _, inputs, output: maps.append(output)) for layer in layers]",
        },
        rejected_by="collect-test-2",
        says="two calls differ: the model ran in train mode",
        note="In train mode the output of the dropout has holes and rows that do not sum to 1.",
        same_cause_as="model-stays-in-train-mode",
    ),
    Misconception(
        name="attention-recomputed-from-qkv",
        exercise="collect",
        code="""
def collect_attention(model, images, with_grad=False):
    layers = [getattr(block, "attn", None) for block in getattr(model, "blocks", ())]
    if not layers or not all(hasattr(layer, "qkv") for layer in layers):
        raise ValueError("no attention")
    modes = {module: module.training for module in model.modules()}
    maps = []

    def keep(layer, inputs, qkv):
        batch, tokens, width = qkv.shape
        q, k, _ = qkv.reshape(batch, tokens, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
        maps.append((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1))

    heads = layers[0].num_heads
    handles = [layer.qkv.register_forward_hook(keep) for layer in layers]
    try:
        model.eval()
        with torch.set_grad_enabled(with_grad):
            logits = model(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return maps, logits
""",
        rejected_by="collect-test-2",
        says="map 0 not as expected",
        same_cause_as="heads-averaged",
        note="It is the same for a plain ViT. With normalized queries, rotary positions or biases it is another map; and it is not part of the graph that leads to the logits.",
    ),
    Misconception(
        name="any-model-is-accepted",
        exercise="collect",
        edits={REFUSED: "if layers is None:"},
        rejected_by="collect-test-2",
        says="did not raise",
        note="An empty list of maps fails much later and says nothing of the reason.",
    ),
    Misconception(
        name="fused-attention-left-off",
        exercise="collect",
        edits={FUSED_BACK: ""},
        rejected_by="collect-test-3",
        says="fused attention was left off",
        note="The model is slower from then on and needs more memory, and nobody knows why.",
    ),
    Misconception(
        name="fused-attention-switched-on",
        exercise="collect",
        edits={FUSED_BACK: "        for layer in layers:\n            layer.fused_attn = True\n"},
        rejected_by="collect-test-3",
        says="the last block had it off before",
        note="Put back what was there, not what is usual.",
    ),
    Misconception(
        name="hooks-left-behind",
        exercise="collect",
        edits={HOOKS_GONE: ""},
        rejected_by="collect-test-3",
        says="your hooks were left behind",
        note="Each further call makes the model slower, and old lists go on collecting.",
    ),
    Misconception(
        name="all-hooks-cleared",
        exercise="collect",
        edits={HOOKS_GONE: "        for layer in layers:\n            layer.attn_drop._forward_pre_hooks.clear()\n"},
        rejected_by="collect-test-3",
        says="all hooks were cleared",
        note="Someone else may be listening to the same module.",
    ),
    Misconception(
        name="model-left-in-eval-mode",
        exercise="collect",
        edits={MODES_BACK: ""},
        rejected_by="collect-test-3",
        says="the model was left in eval mode",
        note="The next epoch would train without dropout.",
    ),
    Misconception(
        name="one-mode-for-all",
        exercise="collect",
        edits={MODES_BACK: "        model.train(modes[model])\n"},
        rejected_by="collect-test-3",
        says="restore each module",
        note="train() goes through all parts. What was frozen in eval mode is awake again.",
    ),
    Misconception(
        name="restored-after-success-only",
        exercise="collect",
        edits={"    try:\n": "    if True:\n", "    finally:\n": "    if True:\n"},
        rejected_by="collect-test-3",
        says="use finally",
        note="Errors are when tidiness matters: a wrong image size should not change the model for good.",
    ),
    Misconception(
        name="frozen-model-has-no-graph",
        exercise="collect",
        edits={MARKED: "pass"},
        rejected_by="collect-test-3",
        says="nothing asks for a gradient where the parameters are frozen",
        note="With frozen parameters nothing asks for a gradient, so no graph is built and the maps have no gradient.",
    ),
    Misconception(
        name="callers-images-marked",
        exercise="collect",
        edits={MARKED: "images.requires_grad_()"},
        rejected_by="collect-test-3",
        says="requires_grad was set on the caller's own tensor",
        note="A trailing underscore changes the caller's tensor: from then on everything computed from it builds a graph.",
    ),
    Misconception(
        name="no-grad-wins",
        exercise="collect",
        edits={TRACKED: "        logits = model(images)\n"},
        rejected_by="collect-test-3",
        says="the caller's no_grad had the last word",
        note="Evaluation loops run inside of no_grad. with_grad has to say what it wants, both ways.",
    ),
    Misconception(
        name="asks-for-blocks-only",
        exercise="collect",
        edits={
            'layers = [getattr(block, "attn", None) for block in getattr(model, "blocks", ())]\n': (
                'if not hasattr(model, "blocks"):\n        raise ValueError("no blocks")\n'
                "    layers = [block.attn for block in model.blocks]\n"
            ),
            REFUSED: "if not layers:",
        },
        rejected_by="collect-test-2",
        says="the error for an MLP-Mixer",
        note="An MLP-Mixer and an EfficientNet have blocks, too.",
    ),
    Misconception(
        name="first-block-decides",
        exercise="collect",
        edits={REFUSED: 'if not layers or not hasattr(layers[0], "attn_drop"):'},
        rejected_by="collect-test-2",
        says="the error for a ViT whose last block has no attn_drop",
        note="Look at every block before you change the first one.",
    ),
    Misconception(
        name="asks-for-attn-drop-only",
        exercise="collect",
        edits={REFUSED: 'if not layers or not all(hasattr(layer, "attn_drop") for layer in layers):'},
        rejected_by="collect-test-2",
        says="the error for a ViT whose last block has attn_drop and no fused_attn",
        note="You read and set fused_attn as well. Without it the right answer is the error that was promised.",
    ),
    Misconception(
        name="asks-for-fused-attn-only",
        exercise="collect",
        edits={REFUSED: 'if not layers or not all(hasattr(layer, "fused_attn") for layer in layers):'},
        rejected_by="collect-test-2",
        says="the error for a ViT whose last block has fused_attn and no attn_drop",
        note="The map passes through attn_drop. A block without it has nothing to listen to.",
    ),
    Misconception(
        name="unfreezes",
        exercise="collect",
        edits={MARKED: "images = images.detach()\n            model.requires_grad_(True)"},
        rejected_by="collect-test-3",
        says="frozen parameters were switched on, and stay so",
        note="A frozen backbone would be trained along in the next epoch.",
    ),
    Misconception(
        name="graph-without-asking",
        exercise="collect",
        edits={"torch.set_grad_enabled(with_grad)": "torch.enable_grad()"},
        rejected_by="collect-test-3",
        says="whether the logits and the three maps carry a graph",
        note="A list of such maps keeps the activations of every batch in memory.",
    ),
    Misconception(
        name="maps-to-the-cpu",
        exercise="collect",
        edits={COLLECTED: "return [weights.cpu() for weights in maps], logits"},
        rejected_by="collect-test-3",
        says="model and images on another device than the CPU",
        note="Maps that lie elsewhere than the model cannot be combined with what it computes; move them where you keep them.",
    ),
    Misconception(
        name="logits-from-another-pass",
        exercise="collect",
        edits={
            TRACKED: "        with torch.set_grad_enabled(with_grad):\n            model(images)\n            logits = model(images)\n        del maps[len(layers) :]\n"
        },
        rejected_by="collect-test-3",
        says="the logits do not depend on these maps",
        same_cause_as="heads-averaged",
        note="Equal numbers, but two graphs: the logits do not depend on these maps.",
    ),
    Misconception(
        name="gradients-off-for-all",
        exercise="collect",
        edits={TRACKED: "        torch.set_grad_enabled(with_grad)\n        logits = model(images)\n"},
        rejected_by="collect-test-3",
        says="gradients were switched off for everybody",
        note="Outside of a `with` statement set_grad_enabled holds for the whole program.",
    ),
    # ---- exercise 2: rollout
    Misconception(
        name="no-residual",
        exercise="rollout",
        edits={LAYER: "layer = fuse[head_fusion](weights, dim=1)"},
        rejected_by="rollout-test-1",
        says="there is no residual in it",
        note="A block adds attention to its input. Without the identity every layer forgets the token itself.",
    ),
    Misconception(
        name="identity-added-rows-above-one",
        exercise="rollout",
        edits={LAYER: "layer = fuse[head_fusion](weights, dim=1) + identity", STEP: "result = layer @ result"},
        rejected_by="rollout-test-1",
        says="the rows no longer sum to 1",
        note="W + I has rows that sum to 2: after 12 layers they sum to 4,096.",
    ),
    Misconception(
        name="first-layer-on-the-left",
        exercise="rollout",
        edits={STEP: "result = result @ (layer / layer.sum(dim=-1, keepdim=True))"},
        rejected_by="rollout-test-1",
        says="the product is A_1 A_2",
        note="The last layer acts last, on what the first has made: A_L ... A_1, as with any chain of functions.",
    ),
    Misconception(
        name="residual-always-one-half",
        exercise="rollout",
        edits={LAYER: "layer = 0.5 * fuse[head_fusion](weights, dim=1) + 0.5 * identity"},
        rejected_by="rollout-test-1",
        says="the residual is 0.5 whatever was asked for",
        note="A parameter that has no effect is worse than none.",
    ),
    Misconception(
        name="residual-and-attention-exchanged",
        exercise="rollout",
        edits={LAYER: "layer = residual * fuse[head_fusion](weights, dim=1) + (1 - residual) * identity"},
        rejected_by="rollout-test-1",
        says="r and 1 - r are exchanged",
        note="At r = 0.5 nobody sees it.",
    ),
    Misconception(
        name="residual-once-at-the-end",
        exercise="rollout",
        edits={
            LAYER: "layer = fuse[head_fusion](weights, dim=1)",
            "    return result\n": "    return (1 - residual) * result + residual * identity\n",
        },
        rejected_by="rollout-test-1",
        says="not once at the end",
        note="Each block has its own residual; paths may skip any of the layers.",
    ),
    Misconception(
        name="last-layer-only",
        exercise="rollout",
        edits={STEP: "result = layer / layer.sum(dim=-1, keepdim=True)"},
        rejected_by="rollout-test-1",
        says="this is the last layer alone",
        note="The tokens of the last layer are mixtures already.",
    ),
    Misconception(
        name="rows-transposed",
        exercise="rollout",
        edits={"    return result\n": "    return result.transpose(-2, -1)\n"},
        rejected_by="rollout-test-1",
        says="rows and columns are exchanged",
        note="Row i is output token i. In a column you read who has taken from a token.",
    ),
    Misconception(
        name="max-without-row-sums",
        exercise="rollout",
        edits={STEP: "result = layer @ result"},
        rejected_by="rollout-test-2",
        says="the rows are not divided by their sum",
        note="With the mean the rows sum to 1 by themselves; with max they grow, with min they shrink, layer by layer.",
    ),
    Misconception(
        name="row-sums-before-the-residual",
        exercise="rollout",
        edits={
            LAYER: "fused = fuse[head_fusion](weights, dim=1)\n        layer = (1 - residual) * fused / fused.sum(dim=-1, keepdim=True) + residual * identity"
        },
        rejected_by="rollout-test-2",
        says="before the residual was added",
        note="Then r keeps another share of the token; the definition here divides last.",
        same_cause_as="residual-once-at-the-end",
    ),
    Misconception(
        name="residual-unchecked",
        exercise="rollout",
        edits={RANGE: "if residual is None:"},
        rejected_by="rollout-test-2",
        says="did not raise",
        note="r = 1 gives the identity, r above 1 negative weights.",
    ),
    Misconception(
        name="unknown-fusion-is-mean",
        exercise="rollout",
        edits={
            FUSION_CHECK: "if not head_fusion:",
            "fuse[head_fusion](weights, dim=1)": "fuse.get(head_fusion, torch.mean)(weights, dim=1)",
        },
        rejected_by="rollout-test-2",
        says='head_fusion="median" did not raise',
        note="A typing error should not become another experiment.",
    ),
    Misconception(
        name="batch-averaged",
        exercise="rollout",
        edits={
            LAYER: "layer = ((1 - residual) * fuse[head_fusion](weights, dim=1) + residual * identity).mean(0, keepdim=True).expand(len(weights), -1, -1)"
        },
        rejected_by="rollout-test-2",
        says="images of a batch are mixed",
        note="Each image has its own attention.",
    ),
    Misconception(
        name="float32-identity",
        exercise="rollout",
        edits={
            LAYER: "layer = (1 - residual) * fuse[head_fusion](weights, dim=1).float() + residual * identity.float()",
            "    result = identity\n": "    result = identity.float()\n",
        },
        rejected_by="rollout-test-3",
        says="wrong dtype",
        note="The result has the dtype of the maps: float64 in, float64 out.",
    ),
    Misconception(
        name="three-layers-from-both-sides",
        exercise="rollout",
        edits={
            "    for weights in attentions:\n": "    for number, weights in enumerate(attentions):\n",
            STEP: "layer = layer / layer.sum(dim=-1, keepdim=True)\n        result = layer @ result if number < 2 else result @ layer",
        },
        rejected_by="rollout-test-3",
        says="the rollout not as expected",
        note="With two layers both orders can look right. Test products with three factors.",
    ),
    Misconception(
        name="identity-on-the-cpu",
        exercise="rollout",
        edits={", device=attentions[0].device)": ")"},
        rejected_by="rollout-test-3",
        says="maps on another device than the CPU",
        note="On a GPU the identity must lie where the maps lie.",
    ),
    Misconception(
        name="residual-written-into-the-maps",
        exercise="rollout",
        edits={
            LAYER: (
                "weights.mul_(1 - residual).diagonal(dim1=-2, dim2=-1).add_(residual)\n"
                "        layer = fuse[head_fusion](weights, dim=1)"
            )
        },
        rejected_by="rollout-test-2",
        says="an argument after the call",
        note="The caller's maps are needed for the next method.",
        in_one_mode=("rollout-test-1", "rollout-test-3"),
    ),
    Misconception(
        name="three-layers-at-most",
        exercise="rollout",
        edits={"for weights in attentions": "for weights in attentions[:3]"},
        rejected_by="rollout-test-3",
        says="five layers, against the product of five matrices",
        note="Written for the example: this week's model has three blocks.",
    ),
    # ---- exercise 3: distance
    Misconception(
        name="distance-in-patches",
        exercise="distance",
        edits={PLACES: "places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(attn)"},
        rejected_by="distance-test-1",
        says="this is in patches, not in pixels",
        note="Models with other patch sizes can be compared in pixels only.",
    ),
    Misconception(
        name="distance-squared",
        exercise="distance",
        edits={APART: "apart = (places[:, None] - places[None]).square().sum(dim=-1)"},
        rejected_by="distance-test-1",
        says="these are squared distances",
        note="Squares count far patches more than they deserve, and have no pixels as unit.",
    ),
    Misconception(
        name="distance-summed-over-queries",
        exercise="distance",
        edits={AVERAGE: "return (weights * apart).sum(dim=-1).mean(dim=0).sum(dim=1)"},
        rejected_by="distance-test-1",
        says="this is the sum over queries",
        note="The sum grows with the number of patches.",
    ),
    Misconception(
        name="city-blocks",
        exercise="distance",
        edits={APART: "apart = (places[:, None] - places[None]).abs().sum(dim=-1)"},
        rejected_by="distance-test-1",
        says="Euclid's distance is meant",
        note="In one row of patches both are the same.",
    ),
    Misconception(
        name="columns-first",
        exercise="distance",
        edits={"rows, columns = grid_hw": "columns, rows = grid_hw"},
        rejected_by="distance-test-1",
        says="rows and columns of the grid are exchanged",
        note="On a square grid nobody sees it.",
    ),
    Misconception(
        name="prefix-row-not-renormalized",
        exercise="distance",
        edits={AGAIN: ""},
        rejected_by="distance-test-2",
        says="the rows do not sum to 1 after the prefix is gone",
        note="A head that parks half of its attention in the class token would look half as far.",
    ),
    Misconception(
        name="class-token-at-the-origin",
        exercise="distance",
        edits={
            PLACES: "places = patch * torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(attn)\n    places = torch.cat([places.new_zeros(n_prefix, 2), places])",
            PATCH_ROWS: "weights = attn",
        },
        rejected_by="distance-test-2",
        says="the class token was given the place (0, 0)",
        note="A class token has no place.",
    ),
    Misconception(
        name="class-token-at-the-origin-as-key",
        exercise="distance",
        edits={
            APART: "apart = (places[:, None] - torch.cat([places.new_zeros(n_prefix, 2), places])[None]).norm(dim=-1)",
            PATCH_ROWS: "weights = attn[:, :, n_prefix:]",
        },
        rejected_by="distance-test-2",
        says="the place (0, 0) as a key",
        note="Queries were cut, keys were not: half of the work.",
    ),
    Misconception(
        name="grid-unchecked",
        exercise="distance",
        edits={FITS: "if rows * columns < 1:"},
        rejected_by="distance-test-2",
        says="raised the wrong error",
        note="An error about shapes deep inside does not say that the grid is wrong.",
    ),
    Misconception(
        name="one-prefix-token",
        exercise="distance",
        edits={
            PATCH_ROWS: "weights = attn[:, :, min(n_prefix, 1) :, min(n_prefix, 1) :]\n    extra = n_prefix - min(n_prefix, 1)\n    apart = torch.nn.functional.pad(apart, (extra, 0, extra, 0))"
        },
        rejected_by="distance-test-2",
        says="only one prefix token was left out",
        note="A distilled DeiT has two, a DINOv2 with registers five.",
    ),
    Misconception(
        name="divides-in-place",
        exercise="distance",
        edits={AGAIN: "    weights /= weights.sum(dim=-1, keepdim=True)\n"},
        rejected_by="distance-test-2",
        says="the attention afterwards",
        note="A slice shares memory with what it was cut from: the caller's rows no longer sum to 1.",
    ),
    Misconception(
        name="places-on-the-cpu",
        exercise="distance",
        edits={PLACES: PLACES.replace(".to(attn)", ".to(attn.dtype)")},
        rejected_by="distance-test-2",
        says="attention on another device than the CPU",
        note="On a GPU the distances must lie where the attention lies.",
    ),
    Misconception(
        name="patch-cut-to-a-whole-number",
        exercise="distance",
        edits={"patch * torch.cartesian_prod": "int(patch) * torch.cartesian_prod"},
        rejected_by="distance-test-2",
        says="the side of a patch was cut to a whole number",
        note="Patches need not be whole pixels of the photograph: a picture may have been resized.",
    ),
    # ---- exercise 4: entropy
    Misconception(
        name="entropy-in-bits",
        exercise="entropy",
        edits={ENTROPY: "return torch.special.entr(attn).sum(dim=-1) / np.log(2)"},
        rejected_by="entropy-test-1",
        says="this is in bits",
        note="Bits and nats differ by a factor 0.693: give the unit.",
    ),
    Misconception(
        name="entropy-nan-at-zero",
        exercise="entropy",
        edits={ENTROPY: "return -(attn * attn.log()).sum(dim=-1)"},
        rejected_by="entropy-test-1",
        says="0 ln 0 gave nan",
        note="0 times minus infinity is nan. The limit of w ln w is 0.",
    ),
    Misconception(
        name="entropy-over-queries",
        exercise="entropy",
        edits={ENTROPY: "return torch.special.entr(attn).sum(dim=-2)"},
        rejected_by="entropy-test-1",
        says="the sum runs over queries",
        note="Columns are no distributions. The shape is the same, since maps are square.",
    ),
    Misconception(
        name="entropy-negative",
        exercise="entropy",
        edits={ENTROPY: "return torch.xlogy(attn, attn).sum(dim=-1)"},
        rejected_by="entropy-test-1",
        says="the sign is missing",
        note="Logarithms of probabilities are negative; the entropy is not.",
    ),
    Misconception(
        name="entropy-divided-by-its-maximum",
        exercise="entropy",
        edits={ENTROPY: "return torch.special.entr(attn).sum(dim=-1) / np.log(attn.shape[-1])"},
        rejected_by="entropy-test-1",
        says="divided by its maximum",
        note="A useful number, too, but not nats.",
    ),
    Misconception(
        name="entropy-with-epsilon",
        exercise="entropy",
        edits={ENTROPY: "return -(attn * (attn + 1e-6).log()).sum(dim=-1)"},
        rejected_by="entropy-test-2",
        says="a small number was added inside the logarithm",
        note="It keeps nan away and makes every entropy a little wrong; more so for long rows.",
    ),
    Misconception(
        name="dense-is-sparse",
        exercise="entropy",
        edits={HOYER: "return (attn.abs().sum(dim=-1) / attn.norm(dim=-1) - 1) / (root - 1)"},
        rejected_by="entropy-test-1",
        says="a single key is sparse",
        note="1 minus the sparsity is a measure of spread.",
    ),
    Misconception(
        name="hoyer-without-the-root",
        exercise="entropy",
        edits={"root = attn.shape[-1] ** 0.5": "root = attn.shape[-1]"},
        rejected_by="entropy-test-1",
        says="N was used instead of its square root",
        note="The largest ratio of the two norms is the square root of N.",
    ),
    Misconception(
        name="mass-of-the-prefix-row",
        exercise="entropy",
        edits={PREFIX: "return attn[..., :n_prefix, :].sum(dim=-2)"},
        rejected_by="entropy-test-1",
        says="the column is what looks at it",
        note="Rows are who looks, columns are what is looked at.",
    ),
    Misconception(
        name="mass-of-the-patches",
        exercise="entropy",
        edits={PREFIX: "return attn[..., n_prefix:].sum(dim=-1)"},
        rejected_by="entropy-test-1",
        says="this is the mass of all other tokens",
        note="The two sum to 1.",
    ),
    Misconception(
        name="two-prefix-tokens-at-most",
        exercise="entropy",
        edits={PREFIX: "return attn[..., : min(n_prefix, 2)].sum(dim=-1)"},
        rejected_by="entropy-test-2",
        says="the mass of 5 prefix tokens",
        note="A ViT with four registers has five.",
    ),
    Misconception(
        name="root-of-the-queries",
        exercise="entropy",
        edits={"root = attn.shape[-1] ** 0.5": "root = attn.shape[-2] ** 0.5"},
        rejected_by="entropy-test-2",
        says="N was taken from the queries",
        note="In cross-attention there are more keys than queries, or fewer.",
    ),
    Misconception(
        name="zeros-lifted-in-the-rows",
        exercise="entropy",
        edits={ENTROPY: "return -(attn.clamp_(min=1e-30) * attn.log()).sum(dim=-1)"},
        rejected_by="entropy-test-2",
        says="the attention after attention_entropy",
        note="Against 0 ln 0, and the caller's maps have no zeros any more.",
    ),
    # ---- exercise 5: similarity
    Misconception(
        name="root-of-the-divergence",
        exercise="similarity",
        edits={JSD: "return (mixed - (own[:, None] + own[None]) / 2).clamp(min=0).sqrt()"},
        rejected_by="similarity-test-1",
        says="the square root of the divergence",
        note="SciPy's jensenshannon gives the distance, which is the root. Square it.",
    ),
    Misconception(
        name="divergence-in-bits",
        exercise="similarity",
        edits={JSD: "return (mixed - (own[:, None] + own[None]) / 2).clamp(min=0) / np.log(2)"},
        rejected_by="similarity-test-1",
        says="this is in bits",
        note="In bits the largest value is 1, in nats ln 2.",
    ),
    Misconception(
        name="large-is-similar",
        exercise="similarity",
        edits={JSD: "return np.log(2) - (mixed - (own[:, None] + own[None]) / 2).clamp(min=0)"},
        rejected_by="similarity-test-1",
        says="this is a similarity",
        note="The name misleads: here small means similar.",
    ),
    Misconception(
        name="heads-before-layers",
        exercise="similarity",
        edits={HEADS: "heads = torch.stack(list(attentions)).permute(2, 0, 1, 3, 4).flatten(0, 1)"},
        rejected_by="similarity-test-1",
        says="the heads are numbered h * L + l",
        note="Layers first: head h of layer l has number l * H + h.",
    ),
    Misconception(
        name="logarithm-of-zero",
        exercise="similarity",
        edits={MEAN_ENTROPY: "return -(heads * heads.log()).sum(dim=-1).mean(dim=(1, 2))"},
        rejected_by="similarity-test-1",
        says="0 ln 0 gave nan",
        note="Sharp heads have zeros.",
    ),
    Misconception(
        name="compared-with-removed-heads",
        exercise="similarity",
        edits={GREEDY: "(redundant if any(row[other] < threshold for other in range(head)) else kept).append(head)"},
        rejected_by="similarity-test-1",
        says="compare with kept heads",
        note="If 2 is like 1 and 1 is gone, then nobody is left that does what 2 does.",
    ),
    Misconception(
        name="every-head-like-itself",
        exercise="similarity",
        edits={GREEDY: "(redundant if any(value < threshold for value in row) else kept).append(head)"},
        rejected_by="similarity-test-1",
        says="a head was compared with itself",
        note="The diagonal is 0.",
    ),
    Misconception(
        name="kept-instead-of-redundant",
        exercise="similarity",
        edits={"    return redundant\n": "    return kept\n"},
        rejected_by="similarity-test-1",
        says="these are the heads that are kept",
        note="The function is asked for the others.",
    ),
    Misconception(
        name="mean-map-compared",
        exercise="similarity",
        edits={HEADS: "heads = torch.cat([attn.transpose(0, 1).mean(dim=1, keepdim=True) for attn in attentions])"},
        rejected_by="similarity-test-2",
        says="the maps were averaged over the images",
        note="Heads that do opposite things in two images can have the same mean.",
    ),
    Misconception(
        name="at-the-threshold",
        exercise="similarity",
        edits={GREEDY: GREEDY.replace("<", "<=")},
        rejected_by="similarity-test-2",
        says="a divergence that equals the threshold was taken",
        note="Below is below.",
    ),
    Misconception(
        name="zeros-lifted-in-place",
        exercise="similarity",
        edits={HEADS: "for attn in attentions:\n        attn.clamp_(min=1e-9)\n    " + HEADS},
        rejected_by="similarity-test-2",
        says="an argument after the call",
        note="What a function is given is the caller's.",
    ),
    Misconception(
        name="heads-as-tensors",
        exercise="similarity",
        edits={
            GREEDY: "(redundant if any(row[other] < threshold for other in kept) else kept).append(head)\n    redundant = [torch.tensor(head) for head in redundant]"
        },
        rejected_by="similarity-test-1",
        says="the heads are ints",
        note="A list of tensors prints oddly, and is no index of a dict.",
    ),
    # ---- exercise 6: relevance
    Misconception(
        name="absolute-values",
        exercise="relevance",
        edits={HELPFUL: "helpful = (weights.detach() * gradient).abs().mean(dim=1)"},
        rejected_by="relevance-test-1",
        says="negative products were made positive",
        note="What speaks against the class would count as much as what speaks for it.",
    ),
    Misconception(
        name="relu-after-the-head-mean",
        exercise="relevance",
        edits={HELPFUL: "helpful = (weights.detach() * gradient).mean(dim=1).clamp(min=0)"},
        rejected_by="relevance-test-1",
        says="do it before",
        note="A head that hinders would cancel a head that helps.",
    ),
    Misconception(
        name="head-mean-before-the-product",
        exercise="relevance",
        edits={HELPFUL: "helpful = (weights.detach().mean(dim=1) * gradient.mean(dim=1)).clamp(min=0)"},
        rejected_by="relevance-test-1",
        says="the heads were averaged before attention met gradient",
        note="A mean of products is no product of means.",
    ),
    Misconception(
        name="gradient-without-attention",
        exercise="relevance",
        edits={HELPFUL: "helpful = gradient.clamp(min=0).mean(dim=1)"},
        rejected_by="relevance-test-1",
        says="this is the gradient alone",
        note="The gradient says what more attention would do, also where there is none.",
    ),
    Misconception(
        name="negative-products-kept",
        exercise="relevance",
        edits={HELPFUL: "helpful = (weights.detach() * gradient).mean(dim=1)"},
        rejected_by="relevance-test-1",
        says="negative products are still in it",
        note="Two negatives in two layers would make a positive relevance.",
    ),
    Misconception(
        name="gradient-of-the-loss",
        exercise="relevance",
        edits={CHOSEN: "chosen = F.cross_entropy(logits, classes, reduction='sum')"},
        rejected_by="relevance-test-1",
        says="the gradient is that of the loss",
        note="The loss falls where the logit rises: the sign is reversed, and for a sure model everything is 0.",
    ),
    Misconception(
        name="gradient-of-the-probability",
        exercise="relevance",
        edits={CHOSEN: "chosen = logits.softmax(dim=1).gather(1, classes[:, None]).sum()"},
        rejected_by="relevance-test-1",
        says="the gradient is that of the probability",
        note="The softmax is flat where the model is sure: relevance would vanish on the clearest images.",
    ),
    Misconception(
        name="mean-over-the-batch",
        exercise="relevance",
        edits={CHOSEN: "chosen = logits.gather(1, classes[:, None]).mean()"},
        rejected_by="relevance-test-1",
        says="sum over the batch, no mean",
        note="Every gradient is divided by B. With the identity added in each layer that changes the map, not only its scale.",
    ),
    Misconception(
        name="column-instead-of-row",
        exercise="relevance",
        edits={ROW: "return relevance[:, model.num_prefix_tokens :, 0]"},
        rejected_by="relevance-test-1",
        says="the relevance for class 0 not as expected",
        note="The column says what the patches take from the class token.",
    ),
    Misconception(
        name="class-token-in-the-map",
        exercise="relevance",
        edits={ROW: "return relevance[:, 0]"},
        rejected_by="relevance-test-1",
        says="the class token is still in the map",
        note="As a 4 x 4 picture every cell would be shifted by one.",
    ),
    Misconception(
        name="whole-matrix",
        exercise="relevance",
        edits={ROW: "return relevance[:, :, model.num_prefix_tokens :]"},
        rejected_by="relevance-test-1",
        says="this is the whole matrix",
        note="The classifier reads the class token: its row is the explanation.",
    ),
    Misconception(
        name="one-target-for-all",
        exercise="relevance",
        edits={CLASSES: "classes = torch.as_tensor(target, device=logits.device).reshape(-1)[:1].expand(len(logits))"},
        rejected_by="relevance-test-2",
        says="every image got the first image's target",
        note="A batch may ask about different classes.",
    ),
    Misconception(
        name="predicted-class-whatever-is-asked",
        exercise="relevance",
        edits={CLASSES: "classes = logits.argmax(dim=1)"},
        rejected_by="relevance-test-1",
        says="this explains the class that the model predicts",
        note="Explaining the prediction is one question; the caller may ask why not another class.",
    ),
    Misconception(
        name="normalized-to-one",
        exercise="relevance",
        edits={ROW: "row = relevance[:, 0, model.num_prefix_tokens :]\n    return row / row.sum(dim=1, keepdim=True)"},
        rejected_by="relevance-test-1",
        says="the map was divided by its sum",
        note="A map of zeros becomes nan, and the size, which says whether there is any evidence at all, is lost.",
    ),
    Misconception(
        name="graph-kept",
        exercise="relevance",
        edits={
            "gradients = torch.autograd.grad(chosen, maps)": "gradients = torch.autograd.grad(chosen, maps, create_graph=True)",
            HELPFUL: "helpful = (weights * gradient).clamp(min=0).mean(dim=1)",
        },
        rejected_by="relevance-test-2",
        says="whether the result still has a graph",
        note="A list of such maps keeps the activations of every batch in memory.",
    ),
    Misconception(
        name="two-prefix-tokens-missed",
        exercise="relevance",
        edits={ROW: "return relevance[:, 0, 1:]"},
        rejected_by="relevance-test-3",
        says="only one prefix token was left out",
        note="A distilled DeiT has a class token and a distillation token.",
    ),
    Misconception(
        name="rollout-of-gradients",
        exercise="relevance",
        edits={
            UPDATE: "relevance = (helpful + torch.eye(helpful.shape[-1], dtype=helpful.dtype)) / 2 @ relevance * 2 if len(maps) == 1 else helpful @ relevance + torch.eye(helpful.shape[-1], dtype=helpful.dtype)"
        },
        rejected_by="relevance-test-3",
        says="the relevance not as expected",
        note="R + A R keeps what earlier layers have found. I + A R loses it, and with one block nobody sees the difference.",
    ),
    Misconception(
        name="update-halved",
        exercise="relevance",
        edits={UPDATE: "relevance = 0.5 * relevance + 0.5 * helpful @ relevance"},
        rejected_by="relevance-test-1",
        says="the update was halved, as in rollout",
        note="Rollout's rows have to sum to 1; these need not.",
    ),
    Misconception(
        name="last-layer-first",
        exercise="relevance",
        edits={LAYERS: "for weights, gradient in zip(maps[::-1], gradients[::-1]):"},
        rejected_by="relevance-test-3",
        says="the relevance not as expected",
        note="The rule goes from the first layer to the last, as the model does.",
    ),
    Misconception(
        name="fails-inside-no-grad",
        exercise="relevance",
        edits={CHOICE: "    " + CHOSEN + "\n"},
        rejected_by="relevance-test-3",
        says="the code raised an error",
        note="Under no_grad the choice of the logit is not recorded, although the maps are.",
    ),
    Misconception(
        name="gradients-thrown-away",
        exercise="relevance",
        edits={
            "gradients = torch.autograd.grad(chosen, maps)": "model.zero_grad()\n    gradients = torch.autograd.grad(chosen, maps)"
        },
        rejected_by="relevance-test-3",
        says="as zero_grad() does",
        note="Somebody may be collecting gradients over several batches.",
    ),
    Misconception(
        name="goes-backward",
        exercise="relevance",
        edits={
            "gradients = torch.autograd.grad(chosen, maps)": (
                "for weights in maps:\n        weights.retain_grad()\n    chosen.backward()\n"
                "    gradients = [weights.grad for weights in maps]"
            )
        },
        rejected_by="relevance-test-3",
        says="backward() reaches the parameters",
        note="backward() adds to the gradient of every parameter. torch.autograd.grad, or backward(inputs=maps), does not.",
    ),
    Misconception(
        name="relevance-on-the-cpu",
        exercise="relevance",
        edits={", dtype=logits.dtype, device=logits.device)": ", dtype=logits.dtype)"},
        rejected_by="relevance-test-3",
        says="model and images on another device than the CPU",
        note="On a GPU the identity must lie where the maps lie.",
    ),
    Misconception(
        name="target-on-the-cpu",
        exercise="relevance",
        edits={"torch.as_tensor(target, device=logits.device)": "torch.as_tensor(target)"},
        rejected_by="relevance-test-3",
        says="operators that got tensors of two devices",
        note="On a GPU, gather wants its index where the logits lie.",
    ),
    # ---- exercise 7: deletion
    Misconception(
        name="least-relevant-first",
        exercise="deletion",
        edits={ORDER: "order = maps.flatten(1).argsort(dim=1, stable=True)"},
        rejected_by="deletion-test-1",
        says="the least relevant patches were deleted first",
        note="That is a good curve, too, but another one: the best map then falls last.",
    ),
    Misconception(
        name="first-images-order",
        exercise="deletion",
        edits={RANK: "rank = order[:1].argsort(dim=1).expand(count, -1).reshape(count, rows, columns)"},
        rejected_by="deletion-test-1",
        says="the first image's order was used for all images",
        note="Each image has its own map.",
    ),
    Misconception(
        name="insert-ignored",
        exercise="deletion",
        edits={HIDDEN: "hidden = chosen.repeat_interleave(height, 1).repeat_interleave(width, 2)"},
        rejected_by="deletion-test-1",
        says="insert has no effect",
        note="Insertion begins with an empty picture.",
    ),
    Misconception(
        name="chosen-patches-kept",
        exercise="deletion",
        edits={
            HIDDEN: "hidden = (chosen if insert else ~chosen).repeat_interleave(height, 1).repeat_interleave(width, 2)"
        },
        rejected_by="deletion-test-1",
        says="the only ones left",
        note="Deletion and insertion are exchanged.",
    ),
    Misconception(
        name="fill-ignored",
        exercise="deletion",
        edits={FILLED: "logits = model(images.masked_fill(hidden[:, None], 0.0))"},
        rejected_by="deletion-test-1",
        says="deleted pixels are 0 whatever fill says",
        note="0 is gray for standardized images and black for images in [0, 1].",
    ),
    Misconception(
        name="images-filled-in-place",
        exercise="deletion",
        edits={FILLED: "logits = model(images.masked_fill_(hidden[:, None], fill))"},
        rejected_by="deletion-test-1",
        says="the caller's images not as expected",
        note="What one fraction deleted is missing for all later ones, and for the caller. In deletion from small to large fractions the curve even looks right.",
    ),
    Misconception(
        name="area-as-mean",
        exercise="deletion",
        edits={AREA: "return float(curve.double().mean())"},
        rejected_by="deletion-test-2",
        says="this is the mean of the values",
        note="The ends of a trapezoid sum count half.",
    ),
    Misconception(
        name="fractions-ignored",
        exercise="deletion",
        edits={AREA: "return float(torch.trapezoid(curve.double(), torch.linspace(0, 1, len(curve)).double()))"},
        rejected_by="deletion-test-2",
        says="the fractions are not used",
        note="Curves are often sampled densely where they are steep.",
    ),
    Misconception(
        name="range-not-divided-out",
        exercise="deletion",
        edits={AREA: "return float(torch.trapezoid(curve.double(), places.double()))"},
        rejected_by="deletion-test-2",
        says="not divided by the range of the fractions",
        note="Half a curve would have half the area.",
    ),
    Misconception(
        name="divided-by-the-last-fraction",
        exercise="deletion",
        edits={AREA: "return float(torch.trapezoid(curve.double(), places.double()) / places[-1])"},
        rejected_by="deletion-test-2",
        says="divided by the last fraction",
        note="A curve need not begin at 0.",
    ),
    Misconception(
        name="tie-to-the-last",
        exercise="deletion",
        edits={BEST: "best = maps.shape[1] * maps.shape[2] - 1 - maps.flatten(1).flip(1).argmax(dim=1, keepdim=True)"},
        rejected_by="deletion-test-2",
        says="a tie went to the last index",
        note="A map that is even everywhere must not hit by luck of the mask's place.",
    ),
    Misconception(
        name="any-of-the-tied",
        exercise="deletion",
        edits={
            HITS: "return float(((maps == maps.amax((1, 2), keepdim=True)) & mask_grid).flatten(1).any(1).double().mean())"
        },
        rejected_by="deletion-test-2",
        says="was counted if one of them lies in the mask",
        note="An even map then always hits.",
    ),
    Misconception(
        name="hits-counted",
        exercise="deletion",
        edits={HITS: "return float(mask_grid.flatten(1).gather(1, best).double().sum())"},
        rejected_by="deletion-test-2",
        says="this is the number of hits",
        note="A rate is a share of the images.",
    ),
    Misconception(
        name="minimum-subtracted",
        exercise="deletion",
        edits={
            TOTAL: "maps = maps - maps.amin(dim=(1, 2), keepdim=True)\n    maps = maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9)\n    total = maps.flatten(1).sum(dim=1)"
        },
        rejected_by="deletion-test-2",
        says="the smallest value was subtracted first",
        note="Stretching each map from 0 to 1 is for the eye. It makes every map look sharp and every mass large.",
    ),
    Misconception(
        name="divided-by-the-maximum",
        exercise="deletion",
        edits={TOTAL: "total = maps.flatten(1).amax(dim=1)"},
        rejected_by="deletion-test-2",
        says="divided by their maximum",
        note="A share is a part of the sum.",
    ),
    Misconception(
        name="nothing-divided-by-nothing",
        exercise="deletion",
        edits={MASS: "return (maps * mask_grid).flatten(1).sum(dim=1) / total"},
        rejected_by="deletion-test-2",
        says="a map of zeros has nothing inside",
        note="Relevance can be zero everywhere; one nan makes the mean over the data set nan.",
    ),
    Misconception(
        name="ties-from-the-end",
        exercise="deletion",
        edits={ORDER: "order = maps.flatten(1).argsort(dim=1, stable=True).flip(1)"},
        rejected_by="deletion-test-3",
        says="begin with the first",
        note="Reversing a stable ascending order reverses the ties, too.",
    ),
    Misconception(
        name="ties-together",
        exercise="deletion",
        edits={
            COUNT: "count_of = int(fraction * rows * columns + 0.5)\n        least = maps.flatten(1).sort(1, descending=True).values[:, max(count_of, 1) - 1, None, None]\n        chosen = (maps >= least) & (count_of > 0)"
        },
        rejected_by="deletion-test-3",
        says="patches of equal value were deleted together",
        note="A threshold takes as many patches as are equal; relevance has many zeros.",
    ),
    Misconception(
        name="count-cut-off",
        exercise="deletion",
        edits={COUNT: "chosen = rank < int(fraction * rows * columns)"},
        rejected_by="deletion-test-3",
        says="was cut off, not rounded",
        note="0.29 * 100 is 28.999999999999996 for a computer: int makes 28 of it.",
    ),
    Misconception(
        name="halves-to-even",
        exercise="deletion",
        edits={COUNT: "chosen = rank < round(fraction * rows * columns)"},
        rejected_by="deletion-test-3",
        says="halves were rounded to even numbers",
        note="Python rounds 0.5 to 0 and 2.5 to 2. floor(x + 1/2) gives 1 and 3.",
    ),
    Misconception(
        name="order-for-rank",
        exercise="deletion",
        edits={RANK: "rank = order.reshape(count, rows, columns)"},
        rejected_by="deletion-test-3",
        says="the curve not as expected",
        note="argsort says which patch stands at a place; its argsort says at which place a patch stands.",
    ),
    Misconception(
        name="height-for-width",
        exercise="deletion",
        edits={HIDDEN: HIDDEN.replace("(height, 1)", "(width, 1)").replace("(width, 2)", "(height, 2)")},
        rejected_by="deletion-test-3",
        says="the code raised an error",
        note="On square patches nobody sees it.",
    ),
    Misconception(
        name="curve-with-a-graph",
        exercise="deletion",
        edits={
            "        with torch.no_grad():\n            logits": "        logits",
            "accuracies.append((logits.argmax(1) == labels).float().mean())": (
                "accuracies.append((logits.argmax(1) == labels).float().mean() + 0 * logits.sum())"
            ),
        },
        rejected_by="deletion-test-3",
        says="whether the curve has a graph",
        note="A graph for each fraction is a lot of memory, and nobody needs one.",
    ),
    Misconception(
        name="model-into-eval-mode",
        exercise="deletion",
        edits={
            "    accuracies = []\n": "    accuracies = []\n    if isinstance(model, nn.Module):\n        model.eval()\n"
        },
        rejected_by="deletion-test-3",
        says="the model was left in eval mode",
        note="The mode is the caller's business.",
    ),
    Misconception(
        name="modules-only",
        exercise="deletion",
        edits={
            "    accuracies = []\n": (
                "    accuracies = []\n    modes = {part: part.training for part in model.modules()}\n    model.eval()\n"
            ),
            "    return torch.stack(accuracies)\n": (
                "    for part, mode in modes.items():\n        part.training = mode\n    return torch.stack(accuracies)\n"
            ),
        },
        rejected_by="deletion-test-3",
        says="a model in use, and one that is a plain function: the code raised an error",
        note="Any function of images will do.",
    ),
    Misconception(
        name="small-number-in-the-denominator",
        exercise="deletion",
        edits={MASS: "return (maps * mask_grid).flatten(1).sum(dim=1) / (total + 1e-8)"},
        rejected_by="deletion-test-3",
        says="a small number in the denominator is large beside these values",
        note="Relevance of a deep model may be as small as 1e-10.",
    ),
]
