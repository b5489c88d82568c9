"""The Markdown of notebooks as HTML for a page without scripts: formulas as MathML, pictures from attachments alone.

HTML in Markdown is shown as text, but for the folds of hints. A text that cannot be rendered is shown as it was typed:
no page fails by what a learner wrote.
"""

from __future__ import annotations

import base64
import binascii
import html
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from jinja2 import pass_context
from markupsafe import Markup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from .sanitize import PICTURES, sanitize

FOLDS = {html.escape(tag): tag for tag in ("<details>", "</details>", "<summary>", "</summary>")}
ATTACHED = "attachment:"
MOST_TEX = 10_000
"""A longer formula is shown as it was typed."""


def rendered(source: str, attached: object = None) -> Markup:
    """Markdown as HTML.

    Parameters
    ----------
    attached : the cell's attachments, in whatever shape they came.
    """
    renderer = PageRenderer(attachments=pictures(attached), exclude_anchor_links=True)
    try:
        return sanitize(MarkdownWithMath(renderer=renderer).render(source))
    except Exception:  # of a parser that was not written for hostile texts, RecursionError among them
        return sanitize(f"<pre>{html.escape(source)}</pre>")


@pass_context
def markdown_filter(context: Mapping[str, Any], source: str) -> Markup:
    """nbconvert's filter `markdown2html`."""
    return rendered(source, context.get("cell", {}).get("attachments"))


def pictures(attached: object) -> dict[str, dict[str, str]]:
    """Name -> one kind of picture -> base64, of all attachments that are one."""
    if not isinstance(attached, Mapping):
        return {}
    found: dict[str, dict[str, str]] = {}
    for name, kinds in attached.items():
        if isinstance(kinds, Mapping):
            usable = {kind: data for kind in PICTURES if (data := picture(kinds.get(kind)))}
            found |= {str(name): dict([item]) for item in list(usable.items())[:1]}
    return found


def picture(data: object) -> str:
    """Base64 without white space, or nothing."""
    if isinstance(data, list):
        data = "".join(line for line in data if isinstance(line, str))
    if not isinstance(data, str):
        return ""
    packed = "".join(data.split())
    try:
        base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return packed


class PageRenderer(IPythonRenderer):
    """nbconvert's Markdown without what needs a script, the network, or trust."""

    def block_code(self, code: str, info: str | None = None) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

        try:
            lexer = get_lexer_by_name(((info or "").split() or [""])[0])
        except ClassNotFound:
            return f"<pre><code>{html.escape(code)}</code></pre>\n"
        return str(highlight(code, lexer, HtmlFormatter()))

    def block_html(self, raw: str) -> str:
        return _folds(raw)

    def inline_html(self, raw: str) -> str:
        return _folds(raw)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith(ATTACHED):
            return html.escape(f"[picture, not loaded: {text or 'without a description'}, {url}]")
        name = url.removeprefix(ATTACHED)
        if name not in self.attachments:
            return html.escape(f"[picture {name!r} is not in the notebook]")
        ((kind, data),) = self.attachments[name].items()
        return f'<img src="data:{kind};base64,{data}" alt="{html.escape(text)}">'

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def _folds(raw: str) -> str:
    shown = html.escape(raw)
    for escaped, tag in FOLDS.items():
        shown = shown.replace(escaped, tag)
    return shown


def mathml(tex: str, display: str) -> str:
    """A formula in TeX, without its dollars, as MathML; one that cannot be read as it was typed."""
    from latex2mathml.converter import convert_to_element

    mark = "$" if display == "inline" else "$$"
    if len(tex) > MOST_TEX:
        return f"<code>{html.escape(mark + tex + mark)}</code>"
    try:
        formula = convert_to_element(tex, display=display)
    except (
        Exception
    ):  # a parser of its own errors, and of IndexError and RecursionError where it did not foresee a text
        return f"<code>{html.escape(mark + tex + mark)}</code>"
    for part in formula.iter():  # its texts are half escaped, so that they would be HTML
        text = html.unescape(part.text or "").replace("\\_", "_")
        part.text = text.removeprefix("\\")  # of a command that it does not know, such as `\arg`: its name
    return ET.tostring(formula, encoding="unicode")
