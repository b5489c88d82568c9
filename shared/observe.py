"""Trusted functions for `checks.beside`: the names that notebooks import."""

from .checks.calls import calls_among
from .checks.observe import (
    after_a_step,
    after_loading,
    arguments_after,
    devices_away,
    gradients,
    in_ascii_locale,
    operator_count,
)

__all__ = [
    "after_a_step",
    "after_loading",
    "arguments_after",
    "calls_among",
    "devices_away",
    "gradients",
    "in_ascii_locale",
    "operator_count",
]
