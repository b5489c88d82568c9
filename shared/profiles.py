"""Which machine a notebook is sized for: the names that notebooks import."""

from .runtime.profiles import SECONDS_WITHOUT_BAR, Profile, current, describe, device, pick, side_by_side, track

__all__ = ["SECONDS_WITHOUT_BAR", "Profile", "current", "describe", "device", "pick", "side_by_side", "track"]
