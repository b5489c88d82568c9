"""What a learner reads where pretrained weights cannot be had."""

from __future__ import annotations

import pytest

from shared.weights import fetching_weights


@pytest.mark.parametrize("kind", [OSError, ConnectionError, RuntimeError])
def test_what_a_hub_raises_becomes_one_error_that_says_what_to_run(kind: type[Exception]) -> None:
    error = kind("no route to host")
    with pytest.raises(FileNotFoundError) as caught, fetching_weights("vit_tiny", "timm/vit_tiny"):
        raise error
    assert caught.value.__cause__ is error
    for part in ("weights of vit_tiny", "no route to host", "`hf download timm/vit_tiny`"):
        assert part in str(caught.value)


def test_a_model_with_random_weights_keeps_its_own_errors() -> None:
    with pytest.raises(TypeError, match="unknown keyword"), fetching_weights("vit_tiny", "timm/vit_tiny", asked=False):
        raise TypeError("unknown keyword")
