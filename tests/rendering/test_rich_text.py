"""Markdown of notebooks as HTML: formulas without a script, pictures that may be lost, an allow-list at the end."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest

from autograder.rendering.markup import formula
from autograder.rendering.notebook_view import displayable
from autograder.rendering.rich_text import MOST_TEX, mathml, picture, pictures, rendered
from autograder.rendering.sanitize import sanitize, without_tags

from ..chosen import ROOT
from ..feedback.outcomes import Page

DATA = base64.b64encode(b"a picture").decode()
UNREADABLE = [r"\frac{1", r"\left(", "}" * 5, r"\begin{a}", "{" * 9_000, "x" * (MOST_TEX + 1), r"\ ", "^"]
HARD = ["[" * 50_000, ">" * 5_000, "- " * 3_000, "*_" * 20_000, "$" * 9_999, "\0\x1b[31m", "`" * 9]
NO_NOTEBOOKS: list[object] = [{}, [], None, "x", {"cells": 3}, {"cells": [3, None, {}]}, {"cells": [{"source": 3}]}]
REFERENCE = "before ![my drawing](attachment:drawing.png) after"


def test_an_attached_picture_is_shown() -> None:
    shown = Page(rendered(REFERENCE, {"drawing.png": {"image/png": DATA}}))
    assert shown.all("img") == [{"src": f"data:image/png;base64,{DATA}", "alt": "my drawing"}]


@pytest.mark.parametrize(
    "attached",
    [
        None,
        {},
        [],
        "drawing.png",
        3,
        {"drawing.png": None},
        {"drawing.png": {}},
        {"drawing.png": []},
        {"drawing.png": DATA},
        {"drawing.png": {"image/png": 3}},
        {"drawing.png": {"image/png": None}},
        {"drawing.png": {"image/png": ""}},
        {"drawing.png": {"image/png": "no base64!"}},
        {"drawing.png": {"image/png": "é"}},
        {"drawing.png": {"image/png": f'{DATA}" onerror="alert(1)'}},
        {"drawing.png": {"image/svg+xml": DATA}},
        {"drawing.png": {"text/html": DATA}},
        {"drawing.png": {'image/png" onerror="alert(1)': DATA}},
        {"another.png": {"image/png": DATA}},
    ],
    ids=repr,
)
def test_a_lost_attachment_is_named_and_the_rest_is_shown(attached: object) -> None:
    shown = Page(rendered(REFERENCE, attached))
    assert shown.text.strip() == "before [picture 'drawing.png' is not in the notebook] after"
    assert {tag for tag, _ in shown.elements} == {"p"}


def test_lines_of_base64_are_one() -> None:
    assert picture([f"{DATA[:4]}\n", DATA[4:]]) == DATA
    assert pictures({"a": {"image/jpeg": DATA, "image/png": DATA}}) == {"a": {"image/png": DATA}}


def test_formulas_are_mathml() -> None:
    shown = Page(rendered(r"so $\sqrt{d} < 2$ and $$\text{hit\_rate} = \frac{1}{2}$$"))
    assert [formula["display"] for formula in shown.all("math")] == ["inline", "block"]
    assert {"msqrt", "mfrac", "mn"} <= {tag for tag, _ in shown.elements}
    assert "hit_rate" in shown.text
    assert "<" in shown.text
    assert "$" not in shown.text


@pytest.mark.parametrize("tex", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_formula_that_cannot_be_read_is_no_error(tex: str) -> None:
    shown = sanitize(mathml(tex, "inline"))
    assert Page(shown).text == f"${tex}$" or Page(shown).all("math")


@pytest.mark.parametrize("source", HARD, ids=range(len(HARD)))
def test_no_text_makes_a_page_fail(source: str) -> None:
    assert isinstance(rendered(source), str)


def test_what_is_no_fold_is_text() -> None:
    typed = "a tensor <B, T> or <b>x</b>\n\n<details open onclick=x>\n\n"
    shown = Page(rendered(f"{typed}<details><summary>More</summary>\n\ny\n\n</details>"))
    assert "a tensor <B, T> or <b>x</b>" in shown.text
    assert "<details open onclick=x>" in shown.text
    assert [tag for tag, _ in shown.elements].count("details") == 1


def test_code_is_colored_by_its_language_alone() -> None:
    assert Page(rendered("```python\nreturn 1\n```")).all("span")[1]["class"] == "k"
    for language in ("mermaid", "no-such", 'python"><b>', ""):
        shown = Page(rendered(f"```{language}\n<b>1\n```"))
        assert shown.text.strip() == "<b>1"
        assert {tag for tag, _ in shown.elements} == {"pre", "code"}


@pytest.mark.parametrize(
    "address",
    ["javascript:x", "JavaScript:x", "java\tscript:x", "\x01javascript:x", "data:text/html,x",
     "data:image/png;base64,eA==", "vbscript:x", "//a.example", "/formgrader", "a.html", "?path=x", "#x",
     "http://localhost:8888", "file:///etc", "attachment:x", "blob:x", "https:a", "ftp://a.example"],
)  # fmt: skip
def test_a_link_leads_to_the_web_or_nowhere(address: str) -> None:
    assert "href" not in Page(sanitize(f'<a href="{address}">x</a>')).all("a")[0]
    assert "src" not in Page(sanitize(f'<img src="{address}x">')).all("img")[0] or address.startswith("data:image/png")


def test_what_is_allowed_stays() -> None:
    text = '<a href="https://a.example/b?c#d" rel="noopener noreferrer" target="_blank">x</a>'
    assert Page(sanitize(text)).elements == Page(text).elements
    table = '<table class="dataframe"><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    assert sanitize(table) == table


@pytest.mark.parametrize(
    "name", ["id", "name", "style", "onclick", "data-toggle", "data-link", "title", "srcset", "role"]
)
def test_no_attribute_that_a_script_or_a_policy_would_have_to_think_of(name: str) -> None:
    for tag in ("a", "img", "span", "div", "td", "details", "math", "mi", "table"):
        for _, attributes in Page(sanitize(f"<{tag} {name}='x'>")).elements:
            assert name not in attributes


def test_text_without_tags_stays_escaped() -> None:
    assert without_tags("<b>a &lt; b</b><script>x</script>") == "a &lt; b"


@pytest.mark.parametrize("notebook", NO_NOTEBOOKS, ids=repr)
def test_anything_is_displayable(notebook: object) -> None:
    nbformat.validate(displayable(notebook))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted((ROOT / "weeks").glob("*/*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_lessons_can_be_read(path: Path) -> None:
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            shown = rendered(cell.source)
            assert "<code>$" not in shown, "a formula that could not be read"
            for formula in re.findall(r"<math.*?</math>", shown, re.DOTALL):
                assert "\\" not in formula


@pytest.mark.parametrize(
    ("tex", "shown"), [(r"\sqrt d", "√d"), (r"\sqrt{d}", "√d"), (r"\sqrt{d_k + 1}", "√(d<sub>k</sub> + 1)")]
)
def test_a_short_formula_shows_no_braces_of_a_root(tex: str, shown: str) -> None:
    assert formula(tex) == f'<span class="math">{shown}</span>'
