"""Small contents and comparisons of text that several tests need."""

from __future__ import annotations

import base64
import re

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


def squashed(text: str) -> str:
    """A text without white space, with one kind of quotes: the same for every layout of the same code."""
    return re.sub(r"\s+", "", text).replace('"', "'")
