"""Pretrained weights that a hub of models sends, or that lie in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fetching_weights(name: str, repository: str, *, asked: bool = True) -> Iterator[None]:
    """Around the call that makes a model with pretrained weights: say how to get them where that fails.

    Args:
        name: the model, as timm or open_clip call it.
        repository: where its weights are on Hugging Face, such as `timm/vit_small_patch16_224.augreg_in1k`.
        asked: False where the model gets random weights; errors then stay what they are.

    Raises:
        FileNotFoundError: the weights are not in the cache and could not be downloaded. What the hub raised, of
            whatever kind, is its cause.
    """
    try:
        yield
    except Exception as error:  # timm, open_clip and the clients of their hub raise many kinds
        if not asked:
            raise
        raise FileNotFoundError(
            f"the weights of {name} are not in the cache and could not be downloaded ({error}). Run "
            f"`hf download {repository}` on a machine with network and copy ~/.cache/huggingface, or set HF_HOME to it."
        ) from error
