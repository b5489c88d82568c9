"""What heads do, what they are for, and how models break."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from torch import nn
import torch
import torch.nn.functional as F


CARD = ('distance', 'entropy', 'sparsity', 'class_mass', 'evidence_mass')


def attention_of(model: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """The attention of each layer of a timm ViT, (B, H, N, N), as week 9 collects it; the model is left as it was."""
    layers = [block.attn for block in model.blocks]
    fused, kept, hooks = [layer.fused_attn for layer in layers], [], []
    try:
        for layer in layers:
            layer.fused_attn = False  # the fused kernel never makes the matrix
            hooks.append(layer.attn_drop.register_forward_pre_hook(lambda _, given: kept.append(given[0].detach())))
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, was in zip(layers, fused):
            layer.fused_attn = was
    return kept


def rolled_out(attentions: Sequence[torch.Tensor], residual: float = 0.5) -> torch.Tensor:
    """Attention rollout of the class token (Abnar and Zuidema 2020, section 3): (B, N), its rows sum to 1."""
    seen = None
    for attention in reversed(attentions):  # from the last layer down, so that only one row is carried along
        mixed = (1 - residual) * attention.mean(1)
        mixed = mixed + residual * torch.eye(mixed.shape[-1], device=mixed.device)
        seen = mixed[:, 0] if seen is None else torch.einsum("bn,bnm->bm", seen, mixed)
    return seen


def as_maps(rows: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Rows of weights (..., N) as maps (..., gh, gw) that sum to 1: what is no patch is left out."""
    patches = rows[..., -grid[0] * grid[1] :]
    return (patches / patches.sum(-1, keepdim=True)).unflatten(-1, grid)


def share_in_patches(mask: torch.Tensor, patch: int) -> torch.Tensor:
    """The share of each patch that a mask (B, s, s) covers: (B, s / patch, s / patch) float."""
    return F.avg_pool2d(mask[:, None].float(), patch)[:, 0]


def grad_cam(model: nn.Module, layer: str, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2): (B, h, w), at most 1, in the resolution of the layer's map."""
    caught: list[torch.Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _, given, out: caught.append(out))
    try:
        with torch.enable_grad():
            chosen = model(images).gather(1, targets[:, None]).sum()
            (slope,) = torch.autograd.grad(chosen, caught[0])
    finally:
        hook.remove()
    heat = (slope.mean((2, 3), keepdim=True) * caught[0].detach()).sum(1).relu()
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def pgd(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, eps: float, steps: int = 5, stride: float = 0.4
) -> torch.Tensor:
    """Projected gradient ascent on the loss (Madry et al. 2018, section 2.1): pixels at most `eps` away, in [0, 1].

    Each step moves every pixel by `stride * eps`. It starts at the image itself, so that the result depends on nothing
    but the arguments; eps = 0 gives `x`. One step with stride 1 is FGSM (Goodfellow et al. 2015, section 4).
    """
    attacked = x.clone()
    for _ in range(steps if eps > 0 else 0):
        attacked.requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(F.cross_entropy(model(attacked), y, reduction="sum"), attacked)
        moved = attacked.detach() + stride * eps * slope.sign()
        attacked = torch.minimum(torch.maximum(moved, x - eps), x + eps).clamp(0, 1)
    return attacked


def head_means(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Mean output of each head, before the projection, over all images and tokens.

    Parameters
    ----------
    model : a timm ViT. images : (n, 3, s, s), run as one batch, in eval mode; the model is left as it was found, also
        after an error.

    Returns
    -------
    (L, H, d) float, without a gradient graph.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


class HeadAblator:
    """Heads of a timm ViT say nothing, or what they say on average, inside a `with` block.

    Parameters
    ----------
    model : a timm ViT; not touched before the block begins.
    heads : pairs (layer, head), both from 0.
    means : (L, H, d) to put in the place of each head's output; zeros without it.

    Raises
    ------
    IndexError : when made, for a layer or a head that the model does not have, also a negative one.
    """

    def __init__(self, model: nn.Module, heads: Sequence[tuple[int, int]], means: torch.Tensor | None = None) -> None:
        # YOUR CODE HERE
        raise NotImplementedError()

    def __enter__(self) -> "HeadAblator":
        # YOUR CODE HERE
        raise NotImplementedError()

    def _without(self, layer: int, glued: torch.Tensor) -> torch.Tensor:
        """What goes into the projection of a layer, (B, N, H d), with the chosen heads replaced."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def __exit__(self, *error: object) -> None:
        # YOUR CODE HERE
        raise NotImplementedError()


def head_effects(model: nn.Module, x: torch.Tensor, y: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
    """By how much the cross entropy of each image rises without each head.

    Parameters
    ----------
    model : a timm ViT; used in eval mode and left as it was found, also after an error.
    x : (n, 3, s, s), images that the model was not trained on. y : (n,) int64.
    means : (L, H, d), what is put in the place of a head; zeros without it.

    Returns
    -------
    (L, H, n) float, without a gradient graph; positive where the head helps.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def rank_heads(effects: torch.Tensor, seed: int, resamples: int = 1000) -> list[dict[str, float]]:
    """Heads by importance, the greatest first, each with a bootstrap 95 % interval over images.

    Parameters
    ----------
    effects : (L, H, n). seed : of the resampling. resamples : how often n images are drawn, with replacement.

    Returns
    -------
    L * H dicts with "layer" and "head", int; "importance", "low" and "high", float.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def split_half(effects: torch.Tensor, seed: int, splits: int = 200) -> dict[str, float]:
    """Spearman's correlation of the heads' importance in two halves of the images, over random splits.

    Parameters
    ----------
    effects : (L, H, n) with n >= 2. seed : of the splits.

    Returns
    -------
    {"mean", "low", "high"}: mean and the percentiles 2.5 and 97.5 over the splits.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def head_card(attention: torch.Tensor, evidence: torch.Tensor, patch: int, n_prefix: int = 1) -> dict[str, float]:
    """What one head does, in five numbers.

    Parameters
    ----------
    attention : (B, N, N), rows sum to 1; the first `n_prefix` tokens are no patches, the class token is token 0.
    evidence : (B, gh, gw) float, the share of each patch that is evidence; gh * gw = N - n_prefix, row by row.
    patch : side of a patch in pixels.

    Returns
    -------
    A dict with the names of `CARD`.

    Raises
    ------
    ValueError : when gh * gw + n_prefix is not N.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def specialization_matrix(
    attentions: Sequence[torch.Tensor], evidence: torch.Tensor, patch: int, n_prefix: int = 1
) -> torch.Tensor:
    """The cards of all heads: attentions of L layers, each (B, H, N, N), to (L * H, 5) float64 in the order of CARD."""
    # YOUR CODE HERE
    raise NotImplementedError()


def twins(attentions: Sequence[torch.Tensor]) -> torch.Tensor:
    """For each of L * H heads the number of the other head with the smallest mean Jensen-Shannon divergence: int64."""
    # YOUR CODE HERE
    raise NotImplementedError()


def failure_taxonomy(
    vit_wrong: torch.Tensor, cnn_wrong: torch.Tensor, conditions: Mapping[str, torch.Tensor]
) -> list[dict[str, object]]:
    """Who fails under which condition, against the base rate, with corrected p-values.

    Parameters
    ----------
    vit_wrong, cnn_wrong : (n,) bool. conditions : name -> (n,) bool.

    Returns
    -------
    A row for each owner and condition: owners in the order vit_only, cnn_only, both; conditions as given.

    Raises
    ------
    ValueError : when not all of them have the same length n > 0.
    """
    # YOUR CODE HERE
    raise NotImplementedError()
