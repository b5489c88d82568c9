"""The house style, and the figures that recur from week to week: the names that notebooks import."""

from .plots.atlas import attention_atlas, brightest, save_pages
from .plots.attention import attention_over_image, attention_overlay, token_row
from .plots.boxes import draw_boxes
from .plots.heads import dots_by_layer, head_matrices
from .plots.heatmaps import attention_heatmaps, heatmap
from .plots.images import image_grid
from .plots.lines import curves
from .plots.maps import draw_maps, map_gallery
from .plots.style import COLORS, DASHES, use_style

__all__ = [
    "COLORS",
    "DASHES",
    "attention_atlas",
    "attention_heatmaps",
    "attention_over_image",
    "attention_overlay",
    "brightest",
    "curves",
    "dots_by_layer",
    "draw_boxes",
    "draw_maps",
    "head_matrices",
    "heatmap",
    "image_grid",
    "map_gallery",
    "save_pages",
    "token_row",
    "use_style",
]
