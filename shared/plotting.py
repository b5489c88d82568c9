"""The house style, and the figures that recur from week to week.

Every function takes torch tensors (any device, with or without gradients) or arrays. Those that return a
`Figure` do not show it: leave it as the last expression of a cell, and the notebook displays it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .plotting_maps import draw_maps as draw_maps
from .plotting_maps import map_gallery as map_gallery

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Okabe and Ito's colors, safe for color-blind readers; their yellow is left out as too pale on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def use_style() -> None:
    """Set matplotlib's defaults for every figure of a notebook; call it once, in the set-up cell.

    Titles stay right above the axes. To find a place above tick labels at the top, which no figure here has, matplotlib
    would measure all ticks again and again: two thirds of the time of a figure with many axes.
    """
    import matplotlib as mpl
    from cycler import cycler

    mpl.rc("figure", figsize=(7.2, 4.2), dpi=100, titlesize=13)
    mpl.rc("figure.constrained_layout", use=True)
    mpl.rc("font", size=11)
    mpl.rc("axes", titlesize=12, titley=1.0, prop_cycle=cycler(color=COLORS))
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc("lines", linewidth=1.8)
    mpl.rc("legend", frameon=False)
    mpl.rc("image", cmap="viridis")


def heatmap(
    ax: Axes,
    matrix: Any,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    vmin: float | None = None,
    vmax: float | None = None,
    diverging: bool = False,
    annotate: bool = False,
    colorbar: bool = True,
    cmap: str | None = None,
) -> AxesImage:
    """Draw a matrix (rows, columns) on `ax`, row 0 at the top.

    `vmin` and `vmax` are the values of the end colors, by default the least and the greatest entry.
    `diverging` is for values of both signs: red and blue meet at 0, and both ends are equally far from it.
    `annotate` writes each value into its cell. Returns the drawn image, for a colorbar shared by panels.

    Raises:
        ValueError: the matrix does not have 2 dimensions.
    """
    values = _array(matrix, "heatmap needs a matrix (rows, columns)", 2)
    if diverging:
        limits = [limit for limit in (vmin, vmax) if limit is not None] or values[np.isfinite(values)]
        vmax = float(np.abs(limits).max(initial=0.0)) or 1.0
        vmin = -vmax
    square = max(values.shape) <= 4 * min(values.shape)  # square cells of a longer matrix make a thin panel
    colors = cmap or ("RdBu_r" if diverging else "viridis")
    image = ax.imshow(values, cmap=colors, vmin=vmin, vmax=vmax, interpolation="nearest")
    ax.set_aspect("equal" if square else "auto")
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.locator_params(integer=True, nbins=6)
    if annotate:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, alpha = image.cmap(image.norm(value))  # transparent where it is NaN
            color = "white" if alpha and 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"
            ax.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=9, color=color)
    if colorbar:
        _colorbar(image, ax)
    return image


def attention_heatmaps(
    weights: Any,
    *,
    titles: Sequence[str] | None = None,
    suptitle: str | None = None,
    vmax: float | None = 1.0,
) -> Figure:
    """One panel for each head of `weights` (H, Lq, Lk), all in the same colors, from 0 to `vmax`.

    `vmax=None` means the greatest weight of all heads; the titles are "head 0", "head 1", ... by default.

    Raises:
        ValueError: `weights` does not have 3 dimensions, or `titles` not one entry for each head.
    """
    values = _array(weights, "attention_heatmaps needs weights (H, Lq, Lk)", 3)
    heads = len(values)
    titles = _titles(titles or [f"head {head}" for head in range(heads)], heads)
    top = float(values.max()) if vmax is None else vmax
    columns = _even_columns(heads, most=4)
    side = min(9.6 / columns, 3.2)
    figure, axes = _panels(heads, columns, width=side, height=side + 0.5, suptitle=suptitle)
    for head, ax in enumerate(axes):
        xlabel = "key position" if head + columns >= heads else ""
        ylabel = "query position" if head % columns == 0 else ""
        image = heatmap(
            ax,
            values[head],
            title=titles[head],
            xlabel=xlabel,
            ylabel=ylabel,
            vmin=0,
            vmax=top,
            colorbar=False,
        )
    figure.colorbar(image, ax=axes, label="attention weight")
    return figure


def curves(
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
    x: Any = None,
    log_x: bool = False,
) -> Figure:
    """One line for each entry of `series`: name -> values (n,), with a legend beside the axes.

    Values (runs, n), for example of several seeds, become the line of their mean in a band from least to greatest.
    `levels` are dashed horizontal lines, name -> height, for a floor or a target. `x` (n,) holds the
    positions that all series share; 0, 1, 2, ... by default.

    Raises:
        ValueError: a series does not have 1 or 2 dimensions, or not the length of `x`.
    """
    figure, (ax,) = _panels(1, 1, width=8.8, height=4.0)
    for name, values in series.items():
        several = np.ndim(array := _to_numpy(values)) == 2
        rows = _array(array, f"curves needs one dimension, or two, for {name!r}", 2 if several else 1)
        heights = rows.mean(axis=0) if several else rows
        positions = np.arange(len(heights)) if x is None else _array(x, "curves needs x (n,)", 1)
        if len(positions) != len(heights):
            raise ValueError(f"{name!r} has {len(heights)} values for {len(positions)} positions x")
        (line,) = ax.plot(positions, heights, label=name, marker="o" if len(heights) == 1 else None)
        if several:
            ax.fill_between(
                positions, rows.min(axis=0), rows.max(axis=0), color=line.get_color(), alpha=0.18, linewidth=0
            )
    for index, (name, level) in enumerate((levels or {}).items()):
        dashes = _DASHES[index % len(_DASHES)]
        ax.axhline(level, color="0.3", linewidth=1.4, linestyle=dashes, label=f"{name} ({level:.3g})")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.set(xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
    ax.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    return figure


def image_grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    suptitle: str | None = None,
) -> Figure:
    """Images (N, C, H, W), or a list of (C, H, W) of any sizes, in rows of `columns` (at most 6 by default).

    C is 1 (gray) or 3 (RGB). Values are floats in [0, 1]; what lies outside is clipped.

    Raises:
        ValueError: no images, one of another shape or of integers, or not one title for each.
    """
    pictures = [_picture(image, "image_grid") for image in images]
    if not pictures:
        raise ValueError("image_grid needs at least one image")
    titles = _titles(titles or [""] * len(pictures), len(pictures))
    columns = columns or _even_columns(len(pictures), most=6)
    width = min(9.0 / columns, 3.2)
    height = width * max(picture.shape[0] / picture.shape[1] for picture in pictures) + 0.3 * any(titles)
    figure, axes = _panels(len(pictures), columns, width=width, height=height, suptitle=suptitle)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture, vmin=0.0, vmax=1.0, interpolation="nearest")
        ax.set_title(title)
        ax.axis("off")
    return figure


def attention_overlay(
    ax: Axes, image: Any, attention_map: Any, *, title: str, query_cell: tuple[int, int] | None = None
) -> AxesImage:
    """The image (3, H, W), floats in [0, 1], dimmed and tinted by one weight for each patch (gh, gw).

    `query_cell` is the (row, column) of the patch that asks; it is outlined. One unit of either axis is one patch.

    Raises:
        ValueError: an argument has another shape, or `query_cell` lies outside the grid.
    """
    picture, weights = (
        _picture(image, "attention_overlay"),
        _array(attention_map, "attention_overlay needs a map (gh, gw)", 2),
    )
    shown = _patch_units(picture, weights)
    ax.imshow(0.8 * picture.mean(axis=-1), cmap="gray", vmin=0.0, vmax=1.0, **shown)
    tint = ax.imshow(weights, cmap="viridis", vmin=0.0, alpha=0.6, interpolation="nearest", **shown)
    ax.set_title(title)
    ax.set_axis_off()
    _outline_cell(ax, query_cell, weights.shape)
    return tint


def attention_over_image(
    image: Any, attention_map: Any, *, title: str, query_cell: tuple[int, int] | None = None
) -> Figure:
    """Left: an image (3, H, W), floats in [0, 1], and its patches. Right: `attention_overlay` of it.

    Raises:
        ValueError: an argument has another shape, or `query_cell` lies outside the grid.
    """
    picture, weights = (
        _picture(image, "attention_over_image"),
        _array(attention_map, "attention_over_image needs a map (gh, gw)", 2),
    )
    (height, width), (rows, columns) = picture.shape[:2], weights.shape
    panel_height = 4.2 * min(max(height / width, 0.5), 1.5) + 0.6
    figure, axes = _panels(2, 2, width=4.6, height=panel_height, suptitle=title)
    axes[0].imshow(picture, **_patch_units(picture, weights))
    thin = min(0.7, 8 / max(rows, columns))  # a fine grid must not hide the picture
    axes[0].hlines(range(1, rows), 0, columns, color="white", linewidth=thin, alpha=0.6)
    axes[0].vlines(range(1, columns), 0, rows, color="white", linewidth=thin, alpha=0.6)
    axes[0].set_title(f"{rows} x {columns} patches")
    axes[0].set_axis_off()
    _outline_cell(axes[0], query_cell, weights.shape)
    asked = f"attention of patch {query_cell}" if query_cell else "attention"
    tint = attention_overlay(axes[1], image, attention_map, title=asked, query_cell=query_cell)
    _colorbar(tint, axes[1], label="attention weight")
    return figure


def _patch_units(picture: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """How to draw an image (H, W, C) so that one unit of either axis is one patch of the map (gh, gw)."""
    (height, width), (rows, columns) = picture.shape[:2], weights.shape
    return {"extent": (0, columns, rows, 0), "aspect": height / width * columns / rows}


def _outline_cell(ax: Axes, cell: tuple[int, int] | None, grid: tuple[int, ...]) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    if cell is None:
        return
    row, column = cell
    if not (0 <= row < grid[0] and 0 <= column < grid[1]):
        raise ValueError(f"query_cell={cell} lies outside the grid of {grid[0]} x {grid[1]} patches")
    outline = Rectangle((column, row), 1, 1, fill=False, linewidth=2.5, clip_on=False, zorder=3)
    outline.set_path_effects([withStroke(linewidth=6, foreground="white")])
    ax.add_patch(outline)


def token_row(ax: Axes, weights: Any, *, query_index: int, title: str) -> None:
    """Attention of one token over a sequence, `weights` (L,), as bars; the token that asks is marked.

    Raises:
        ValueError: `weights` does not have 1 dimension, or `query_index` is no position in it.
    """
    values = _array(weights, "token_row needs weights (L,)", 1)
    if not 0 <= query_index < len(values):
        raise ValueError(f"query_index={query_index} is no position in a row of {len(values)} weights")
    ax.axvspan(query_index - 0.5, query_index + 0.5, color=COLORS[1], alpha=0.2, linewidth=0)
    ax.bar(np.arange(len(values)), values, color=COLORS[0])
    ax.set(title=title, xlabel="key position", ylabel="attention weight", xlim=(-0.6, len(values) - 0.4))
    ax.locator_params(axis="x", integer=True)
    ax.margins(y=0.25)
    ax.text(query_index, 0.97, "query", transform=ax.get_xaxis_transform(), ha="center", va="top")


def _array(values: Any, need: str, ndim: int) -> np.ndarray:
    array = _to_numpy(values)
    if array.ndim != ndim:
        raise ValueError(f"{need}, got shape {array.shape}")
    return array


def _to_numpy(values: Any) -> np.ndarray:
    if isinstance(values, list | tuple):
        return np.array([_to_numpy(value) for value in values])
    if hasattr(values, "detach"):  # a torch tensor; NumPy has no bfloat16
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    return np.asarray(values)


def _picture(image: Any, caller: str) -> np.ndarray:
    """(C, H, W) as (H, W, 3), clipped to [0, 1]."""
    array = _array(image, f"{caller} needs an image (C, H, W)", 3)
    if array.shape[0] not in (1, 3):
        raise ValueError(f"{caller} needs an image (C, H, W) with 1 or 3 channels, got shape {array.shape}")
    if array.dtype.kind in "iu":
        raise ValueError(f"{caller} needs floats in [0, 1], got {array.dtype}; divide by 255 first")
    rgb = np.broadcast_to(array, (3, *array.shape[1:]))
    return np.clip(rgb.transpose(1, 2, 0).astype(float), 0.0, 1.0)


def _colorbar(image: AxesImage, ax: Axes, label: str = "") -> None:
    """A colorbar exactly as high as its panel."""
    ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0, 0.05, 1)), label=label)


def _titles(titles: Sequence[str], count: int) -> Sequence[str]:
    if len(titles) != count:
        raise ValueError(f"got {len(titles)} titles for {count} panels")
    return titles


def _even_columns(count: int, most: int) -> int:
    """Columns that fill their rows evenly: 6 panels, at most 4 a row, are two rows of 3."""
    rows = -(-count // most)
    return -(-count // rows)


def _panels(
    count: int, columns: int, *, width: float, height: float, suptitle: str | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes of `width` x `height` inches, in rows of `columns`.

    It is closed in pyplot at once and stays usable: pyplot would show it again at the end of a cell.
    """
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    size = (columns * width, rows * height)
    figure, grid = plt.subplots(rows, columns, squeeze=False, figsize=size, layout="compressed")
    plt.close(figure)
    figure.get_layout_engine().set(h_pad=0.08)  # inches, around titles
    if suptitle:
        figure.suptitle(suptitle)
    for unused in grid.flat[count:]:
        unused.remove()
    return figure, list(grid.flat[:count])
