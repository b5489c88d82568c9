"""The last line of a set-up cell: `session.begin()`."""

from .runtime.session import begin

__all__ = ["begin"]
