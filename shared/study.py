"""Reports that cannot lie about their numbers, and pictures of a demo: the names that notebooks import."""

from .weeks.pictures import enlarged, read_tile
from .weeks.study import EXAMPLE, leaves, numbers_in, shows, strangers

__all__ = ["EXAMPLE", "enlarged", "leaves", "numbers_in", "read_tile", "shows", "strangers"]
