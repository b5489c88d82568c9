"""Whether a model is left as it was found: the names that notebooks import."""

from .checks.unchanged import HOOKS, STATISTICS, Change, State, asked, first_change, in_use, state_of

__all__ = ["HOOKS", "STATISTICS", "Change", "State", "asked", "first_change", "in_use", "state_of"]
