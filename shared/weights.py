"""Pretrained weights: the names that notebooks import."""

from .runtime.weights import fetching_weights

__all__ = ["fetching_weights"]
