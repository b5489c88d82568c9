"""The house style, and the figures that recur from week to week: the names that notebooks import."""

from .plots.attention import attention_over_image, attention_overlay, token_row
from .plots.heatmaps import attention_heatmaps, heatmap
from .plots.images import image_grid
from .plots.lines import curves
from .plots.maps import draw_maps, map_gallery
from .plots.style import COLORS, DASHES, use_style

__all__ = [
    "COLORS",
    "DASHES",
    "attention_heatmaps",
    "attention_over_image",
    "attention_overlay",
    "curves",
    "draw_maps",
    "heatmap",
    "image_grid",
    "map_gallery",
    "token_row",
    "use_style",
]
