"""Figures that can be heard as well as seen: a text alternative for every figure that a notebook shows.

`session.begin()` turns it on. The text is made from what the figure holds: titles, labels, the size and range of maps,
where lines begin and end. JupyterLab gives a picture a text alternative only where it comes as HTML, so it does.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 12
MOST_PARTS = 6
"""Panels, and things in a panel, that are told one by one."""


def describe(figure: Figure) -> str:
    """What a figure shows, in a few sentences: its titles, and each panel with its labels and its values."""
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    title = _words(figure.get_suptitle())
    told = [f"Figure: {title}." if title else "Figure."]
    if len(panels) > 1:
        told.append(f"{len(panels)} panels.")
    for number, ax in enumerate(panels[:MOST_PANELS], 1):
        told.append(_panel(ax, f"Panel {number}" if len(panels) > 1 else "It shows"))
    if len(panels) > MOST_PANELS:
        told.append(f"{len(panels) - MOST_PANELS} more panels of this kind.")
    return " ".join(told)


def _panel(ax: Axes, begin: str) -> str:
    title = _words(ax.get_title())
    parts = [*_maps(ax), *_lines(ax), *_bars(ax), *_points(ax)]
    if len(parts) > MOST_PARTS:
        parts = [*parts[:MOST_PARTS], f"{len(parts) - MOST_PARTS} more"]
    axes = ((_words(ax.get_xlabel()), "across"), (_words(ax.get_ylabel()), "up"))
    parts += [f"{label} {way}" for label, way in axes if label and ax.axison]
    named = f'{begin} "{title}"' if title else begin
    return f"{named}: {'; '.join(parts) or 'no data'}."


def _maps(ax: Axes) -> Iterator[str]:
    for image in ax.get_images():
        values: Any = np.ma.masked_invalid(np.ma.asarray(image.get_array(), dtype=float))
        rows, columns = values.shape[:2]
        if values.ndim == 3:
            yield f"a picture of {rows} x {columns} pixels"
        elif values.count():
            yield f"a map of {rows} x {columns} values, {_range(values)}"


def _lines(ax: Axes) -> Iterator[str]:
    unnamed = 0
    for line in ax.get_lines():
        label, heights = _words(str(line.get_label())), _finite(line.get_ydata(orig=False))
        if label.startswith("_") or not len(heights):
            unnamed += 1
        elif heights.min() == heights.max():
            yield f'line "{label}" at {heights[0]:.3g}'
        else:
            yield f'line "{label}" from {heights[0]:.3g} to {heights[-1]:.3g}, {_range(heights)}'
    if unnamed:
        yield f"{unnamed} {'line' if unnamed == 1 else 'lines'} without a name"


def _bars(ax: Axes) -> Iterator[str]:
    for group in ax.containers:
        sizes = _finite(getattr(group, "datavalues", ()))
        if len(sizes):
            label = _words(str(group.get_label()))
            name = "" if label.startswith("_") else f' "{label}"'
            yield f"{len(sizes)} {'bar' if len(sizes) == 1 else 'bars'}{name}, {_range(sizes)}"


def _points(ax: Axes) -> Iterator[str]:
    for cloud in ax.collections:
        count = len(np.atleast_1d(np.ma.getdata(cloud.get_offsets())))
        label = _words(str(cloud.get_label()))
        if type(cloud).__name__ == "PathCollection" and count:
            name = "" if label.startswith("_") else f' "{label}"'
            yield f"{count} {'point' if count == 1 else 'points'}{name}"


def _range(values: Any) -> str:
    return f"between {values.min():.3g} and {values.max():.3g}"


def _finite(values: Any) -> np.ndarray:
    numbers = np.asarray(values, dtype=float).ravel()
    found: np.ndarray = numbers[np.isfinite(numbers)]
    return found


def _words(text: str) -> str:
    """Text of a figure in one line, without what only draws formulas."""
    return " ".join(text.replace("$", "").split())


def show_with_text(shell: Any) -> None:
    """Have a notebook's kernel give every matplotlib figure its text: in HTML, and in place of a name as plain text.

    A kernel that draws in another way than inline keeps its own.
    """
    from matplotlib.figure import Figure
    from matplotlib_inline import backend_inline  # noqa: F401 - when first imported, it sets how figures are shown

    formatters = shell.display_formatter.formatters
    png = formatters["image/png"]
    if Figure not in png.type_printers:
        return
    draw = png.type_printers[Figure]
    if getattr(draw, "with_text", False):
        return
    drawn: WeakKeyDictionary[Figure, Any] = WeakKeyDictionary()

    def as_html(figure: Figure) -> str | None:
        drawn[figure] = found = draw(figure)
        content = found[0] if isinstance(found, tuple) else found
        if content is None:
            return None
        picture = content if isinstance(content, str) else base64.b64encode(content).decode()
        return f'<img alt="{html.escape(describe(figure))}" src="data:image/png;base64,{picture.strip()}">'

    def as_png(figure: Figure) -> Any:
        """As it was drawn for the HTML a moment ago."""
        return drawn.pop(figure) if figure in drawn else draw(figure)

    as_png.with_text = True  # type: ignore[attr-defined]
    png.for_type(Figure, as_png)
    formatters["text/html"].for_type(Figure, as_html)
    formatters["text/plain"].for_type(Figure, lambda figure, printer, cycle: printer.text(describe(figure)))
