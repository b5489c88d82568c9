"""Markdown of the week's author and code of a learner, as HTML without scripts."""

from __future__ import annotations

import html
import re

from markupsafe import Markup

from .sanitize import sanitize, without_tags

MATH = re.compile(r"\$([^$`\n]+)\$")
SYMBOLS = {
    "cdot": "·", "times": "×", "sqrt": "√", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠",
    "approx": "≈", "pm": "±", "to": "→", "infty": "∞", "sum": "∑", "in": "∈", "top": "ᵀ", "ldots": "…", "dots": "…",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "theta": "θ", "lambda": "λ",
    "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ",
}  # fmt: skip


def markdown(text: str, *, inline: bool = False) -> Markup:
    """Markdown with short formulas. Raw HTML in it is shown, not obeyed; links and pictures are left as text."""
    from markdown_it import MarkdownIt

    formulas = [formula(tex) for tex in MATH.findall(text)]
    held = iter(range(len(formulas)))
    held_text = MATH.sub(lambda match: f"\ue000{next(held)}\ue001", text)  # out of the way of Markdown's own marks
    parser = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])
    shown = parser.renderInline(held_text) if inline else parser.render(held_text)
    return sanitize(re.sub("\ue000(\\d+)\ue001", lambda match: formulas[int(match[1])], shown))


def plain(text: str) -> str:
    """One line of Markdown with short formulas as text alone, for where no HTML can stand."""
    return html.unescape(without_tags(markdown(text, inline=True)))


def formula(tex: str) -> str:
    r"""A short formula as HTML: `$12 T D^2$`, `$g_h$`, `$\sqrt d$`. What it does not know stays as it was typed."""
    text = re.sub(r"\\(?:text|mathrm|operatorname)\{([^{}]*)\}", r"\1", html.escape(tex))
    text = re.sub(r"\\([A-Za-z]+) ?", lambda match: SYMBOLS.get(match[1], match[0]), text)
    text = re.sub(r"√\{(\w)\}", r"√\1", text)
    text = re.sub(r"√\{([^{}]*)\}", r"√(\1)", text)
    for mark, tag in (("_", "sub"), ("^", "sup")):
        text = re.sub(rf"{re.escape(mark)}(?:\{{([^{{}}]*)\}}|(\w|[^\x00-\x7f]))", rf"<{tag}>\1\2</{tag}>", text)
    return f'<span class="math">{text}</span>'


def code(text: str) -> Markup:
    """Python code, every character escaped, with a class around each kind of word."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))
