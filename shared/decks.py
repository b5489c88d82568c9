"""A talk as one HTML file: the names that notebooks import."""

from .weeks.decks import MOST_MINUTES, MOST_SLIDES, Slide, html, write

__all__ = ["MOST_MINUTES", "MOST_SLIDES", "Slide", "html", "write"]
