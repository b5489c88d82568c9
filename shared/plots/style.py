"""The house style: set once in a set-up cell."""

from __future__ import annotations

# Okabe and Ito's colors, safe for color-blind readers; their yellow is left out as too pale on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


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
