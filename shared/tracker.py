"""A mirror for the numbers of a training: the names that notebooks import."""

from .runtime.tracker import TRACKERS, Tracker, open

__all__ = ["TRACKERS", "Tracker", "open"]
