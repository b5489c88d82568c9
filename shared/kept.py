"""Results that a second run draws from: the names that notebooks import."""

from .runtime.kept import results, save

__all__ = ["results", "save"]
