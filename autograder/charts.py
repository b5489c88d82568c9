"""Small charts as SVG for a page: drawn by matplotlib, then freed of everything that a page's policy forbids.

Text stays text, in the font and the color of the page. Blue and orange can be told apart by everybody, on a light and
on a dark ground; no chart says by color alone what it says.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from . import markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GRAY = "#3f8fdc", "#dd7a2f", "#8d97a3"
INK = "#010203"
"""Drawn in this color, shown in the color of the page's text."""
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
WIDTH = 10.5
"""Inches, which are 72 units of an SVG each; the page scales it, so that text is about as large as the page's."""
BINS = 10


def histogram(name: str, totals: Sequence[float], possible: float) -> Markup:
    """How many learners have how many points, in ten steps, with the median."""
    figure, axes = _figure(2.6)
    step = possible / BINS
    counts = [0] * BINS
    for total in totals:
        counts[min(BINS - 1, max(0, int(total / step)))] += 1
    bars = axes.bar([step * (i + 0.5) for i in range(BINS)], counts, width=step * 0.92, color=BLUE)
    axes.bar_label(bars, labels=[str(count) if count else "" for count in counts], color=INK, padding=2)
    middle = median(totals)
    axes.axvline(middle, color=ORANGE, linewidth=2)
    axes.annotate(
        f"median {middle:g}",
        (middle, 1.02),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        color=INK,
    )
    axes.set(xlim=(0, possible), ylim=(0, max(counts) * 1.15), xlabel="points", ylabel="learners")
    axes.set_xticks([step * i for i in range(0, BINS + 1, 2)])
    axes.yaxis.get_major_locator().set_params(integer=True)
    return _svg(figure, name, f"Distribution of points: {len(totals)} learners, median {middle:g} of {possible:g}")


def difficulty(name: str, rows: Sequence[tuple[str, float, float, float]]) -> Markup:
    """For each exercise the shares of a class with all, some and no points (0 to 1), as one bar of three parts."""
    figure, axes = _figure(0.85 + 0.32 * len(rows))
    titles = [_short(title) for title, *_ in rows]
    left = [0.0] * len(rows)
    _, *parts = zip(*rows, strict=True)
    looks = (("all points", BLUE, ""), ("some", GRAY, "///"), ("none", ORANGE, ""))
    for shares, (label, color, hatch) in zip(parts, looks, strict=True):
        widths = [100 * float(share) for share in shares]
        bars = axes.barh(range(len(rows)), widths, left=left, color=color, label=label, height=0.72)
        for bar in bars if hatch else ():
            bar.set(hatch=hatch, edgecolor="#ffffff", linewidth=0)
        labels = [f"{width:.0f} %" if width >= 9 else "" for width in widths]
        axes.bar_label(bars, labels=labels, label_type="center", color="#000000", fontsize=8.5)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(xlim=(0, 100), xlabel="share of the class (%)")
    axes.set_yticks(range(len(rows)), titles)
    axes.invert_yaxis()
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, labelcolor=INK)
    return _svg(figure, name, "Shares of the class with all, some and no points, for each exercise")


def weeks(name: str, totals: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Median and middle half of the class over the weeks, in percent of the points."""
    figure, axes = _figure(2.6)
    for position, (_, shares) in enumerate(totals):
        low, middle, high = _quartiles(shares)
        axes.plot([position, position], [low, high], color=BLUE, linewidth=9, alpha=0.45, solid_capstyle="butt")
        axes.plot([position], [middle], marker="o", color=ORANGE, markersize=7)
        axes.annotate(
            f"{middle:.0f}", (position, middle), xytext=(9, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set(xlim=(-0.5, len(totals) - 0.5), ylim=(0, 104), ylabel="% of the points")
    axes.set_xticks(range(len(totals)), [_short(week) for week, _ in totals])
    return _svg(figure, name, "Median (dot) and middle half (bar) of the class in each week")


def _quartiles(shares: Sequence[float]) -> tuple[float, float, float]:
    if len(shares) < 2:
        return shares[0], shares[0], shares[0]
    low, middle, high = quantiles(shares, n=4, method="inclusive")
    return low, middle, high


def _short(title: str) -> str:
    """A title without marks and formulas, as a label."""
    name = markup.plain(title)
    return name if len(name) <= 44 else f"{name[:43].rstrip()}…"


def _figure(height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRAY)
    axes.tick_params(colors=INK, labelsize=9.5)
    axes.tick_params(color=GRAY)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)
    axes.patch.set_visible(False)
    figure.patch.set_visible(False)
    return figure, axes


def _svg(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an element of a page: no style, no script, no link to the outside; the same bytes every time.

    `name` begins its ids, so that several stand in one page.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    for label_of in figure.findobj(Text):
        label_of.set_parse_math(False)  # whatever stands in a title is text
    text = io.StringIO()
    with rc_context({"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9.5}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(text.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _free_of_style(element)
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif value.startswith(("#", "url(#")):
                element.set(key, value.replace("#", f"#{name}-", 1) if key.endswith("href") or "(" in value else value)
    for key in ("version", "width", "height"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": label}
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return Markup(ET.tostring(root, encoding="unicode"))


def _free_of_style(element: ET.Element) -> None:
    """Put what an element's style says into attributes of their own, and take the color of the page's text."""
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":  # "9.5px 'DejaVu Sans', sans-serif": the page has its own family
            element.set("font-size", value.split()[0])
        elif key:
            element.set(key, value)
    for key in ("fill", "stroke"):
        if element.get(key) == INK:
            element.set(key, "currentColor")
