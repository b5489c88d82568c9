"""Results that a second run draws from: the names that notebooks import."""

from .runtime.kept import results

__all__ = ["results"]
