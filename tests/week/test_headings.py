"""What a question is called."""

from __future__ import annotations

import pytest

from autograder.week.headings import question


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("**W1.** Why is double twice?", "W1. Why is double twice?"),
        ("**W2. Why $\\sqrt d$? (5 points)** Derive it.", "W2. Why $\\sqrt d$?"),
        ("**W3. The floor (5 points, about 300 words).** Derive it.", "W3. The floor"),
        ("### A heading\n\ntext", "A heading"),
        ("\nSay it well. Then say it again.", "Say it well."),
    ],
)
def test_what_a_question_is_called(source: str, name: str) -> None:
    assert question(source) == name
