"""What HTML may be in a page, whoever wrote it: an allow-list of elements, attributes, classes and addresses.

nh3 parses as a browser does and writes anew what is allowed, so nothing depends on what an attack looks like. It comes
last, after everything that makes HTML of somebody's text. No element, attribute or class of the list starts a script,
loads anything, or is looked for by a script of a page: there is no `id`, no `data-`, no `style`.
"""

from __future__ import annotations

from functools import cache

import nh3
from markupsafe import Markup

TEXT = {
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "details", "div", "dl", "dt", "em",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s",
    "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "u", "ul", "var",
}  # fmt: skip
MATH = {
    "math", "menclose", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom", "mprescripts",
    "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder",
    "munderover", "none",
}  # fmt: skip
LOST = {"script", "style", "template", "iframe", "object", "noscript", "title", "textarea", "xmp"}
"""Elements whose content is not text for a reader and goes with them."""
OF_MATH = {
    "accent", "accentunder", "align", "columnalign", "columnlines", "depth", "displaystyle", "fence", "form", "height",
    "linethickness", "lspace", "mathvariant", "maxsize", "minsize", "notation", "rowlines", "rowspacing", "rspace",
    "scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width",
}  # fmt: skip
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "a": {"href"},
    "details": {"open"},
    "img": {"src", "alt"},
    "math": {"display", "xmlns"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
} | dict.fromkeys(MATH - {"math"}, OF_MATH)
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
LEADS_TO = ("https://", "mailto:")
"""How an address begins that a reader may be led to. Not http: a Jupyter server of the reader's own would be one."""
WITH_CLASSES = {"code", "div", "pre", "span", "table"}


def sanitize(html: str) -> Markup:
    """What is allowed of a piece of HTML, well formed."""
    return Markup(_cleaner().clean(html))


def without_tags(html: str) -> str:
    """The text of a piece of HTML, with characters such as `<` still written as `&lt;`."""
    return nh3.clean(html, tags=set(), clean_content_tags=LOST)


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=TEXT | MATH,
        clean_content_tags=LOST,
        attributes=ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes={"https", "mailto", "data"},
        url_relative="deny",
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        allowed_classes={name: _classes() for name in WITH_CLASSES},
        generic_attribute_prefixes=set(),
    )


def _kept(element: str, attribute: str, value: str) -> str | None:
    """Only pictures come as data, and only links lead to the web."""
    if attribute == "href" and not value.lower().startswith(LEADS_TO):
        return None
    if attribute == "src" and not value.startswith(tuple(f"data:{kind};base64," for kind in PICTURES)):
        return None
    return value


@cache
def _classes() -> frozenset[str]:
    """Those that color code, and those of our own Markdown and of pandas' tables."""
    from pygments.token import STANDARD_TYPES

    return frozenset(name for name in STANDARD_TYPES.values() if name) | {"highlight", "math", "dataframe"}
