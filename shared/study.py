"""What a study of two models and its report need beside models and methods: the names that notebooks import."""

from .weeks.study import EXAMPLE, interval, leaves, numbers_in, reported, shows, strangers, write_readme
from .weeks.tiles import as_maps, enlarged, read_tile, share_in_patches, turned

__all__ = [
    "EXAMPLE",
    "as_maps",
    "enlarged",
    "interval",
    "leaves",
    "numbers_in",
    "read_tile",
    "reported",
    "share_in_patches",
    "shows",
    "strangers",
    "turned",
    "write_readme",
]
