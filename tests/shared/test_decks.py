"""A deck is one file with a claim on each slide, texts for figures, and a limit of minutes."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from shared import decks


class Tags(HTMLParser):
    """All tags with their attributes, and the text in between."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def some_slides() -> list[decks.Slide]:
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, 1], [1, 0])
    plt.close(figure)
    return [
        decks.Slide("Masks < classes & labels", ["a point", "<b>another</b>"], notes="say it slowly", minutes=2),
        decks.Slide("A line falls", figure=figure, alt='A line from 1 to 0, "straight"', minutes=1.5),
    ]


def test_a_deck_holds_all_that_it_shows(tmp_path: Path) -> None:
    path = decks.write(tmp_path / "talk" / "deck.html", "Explain <SAM>", some_slides())
    page = Tags(path.read_text(encoding="utf-8"))
    assert [one["id"] for one in page.of("section")] == ["s1", "s2"]
    assert page.of("body")[0]["data-minutes"] == "3.5"
    for text in ("Explain <SAM>", "Masks < classes & labels", "<b>another</b>", "say it slowly", "2 / 2"):
        assert text in page.text
    assert not page.of("b"), "texts are texts, no tags"
    (image,) = page.of("img")
    assert image["alt"] == 'A line from 1 to 0, "straight"'
    head, _, data = str(image["src"]).partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 50
    assert not page.of("link")
    assert not any("src" in one for one in page.of("script")), "nothing comes from elsewhere"


def test_limits_of_a_deck(tmp_path: Path) -> None:
    one, figure = decks.Slide("A claim"), some_slides()[1].figure
    wrong = {
        "0": [],
        "13": [one] * 13,
        "minutes": [decks.Slide("A claim", minutes=5.5), decks.Slide("Another", minutes=5)],
        "slide 2 has no title": [one, decks.Slide("  ")],
        "slide 1 has a figure": [decks.Slide("A claim", figure=figure)],
    }
    for words, slides in wrong.items():
        with pytest.raises(ValueError, match=words):
            decks.write(tmp_path / "deck.html", "A talk", slides)
    assert not (tmp_path / "deck.html").exists()
    assert decks.html("A talk", [decks.Slide("A claim", minutes=10 / 12)] * 12).count("<section") == 12
