"""Checks for test cells: they stop at the first failure and say what a learner needs to know.

A failure says what was checked, what it got, what was expected, where the two differ most, and a
likely cause *only when a probe for that cause matches*. Nothing is ever broadcast.

    with checks.step("each row of weights sums to 1"):
        context, weights = attention(query, key, value)
        checks.shape(weights, (2, 3, 4, 6), "weights")
        checks.close(weights.sum(-1), torch.ones(2, 3, 4), "row sums", causes={
            "softmax ran over the queries": softmax_over_queries.sum(-1),
        })

Tests touch a learner's objects only by calling them with plain values, or through `beside`, which
runs a trusted function next to the learner's code and brings plain observations back.
"""

from .compare import describe, near
from .core import (
    NO_GRADIENT,
    NO_RETURN,
    Causes,
    as_found,
    beside,
    close,
    dtype,
    each,
    equal,
    finite,
    forbidden,
    look,
    raises,
    shape,
    tensor,
    that,
)
from .failures import CheckFailure, done, fail, step
from .inputs import fresh_seed, normal

__all__ = [
    "NO_GRADIENT",
    "NO_RETURN",
    "Causes",
    "CheckFailure",
    "as_found",
    "beside",
    "close",
    "describe",
    "done",
    "dtype",
    "each",
    "equal",
    "fail",
    "finite",
    "forbidden",
    "fresh_seed",
    "look",
    "near",
    "normal",
    "raises",
    "shape",
    "step",
    "tensor",
    "that",
]
