"""Keys as terminals send them."""

from __future__ import annotations

import pytest

from autograder.learner.keyboard import Key, next_key


def typed(text: str) -> list[str]:
    """The keys of what a terminal sends at once."""
    left = list(text)
    keys = []
    while left:
        keys.append(next_key(lambda: left.pop(0) if left else "", lambda: bool(left)))
    return keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("hq", ["h", "q"]),
        ("\x1b[A\x1b[Bq", [Key.UP, Key.DOWN, "q"]),
        ("\x1bOA\x1bOF", [Key.UP, Key.END]),
        ("\x1b[5~\x1b[6~\x1b[1~\x1b[8~", [Key.PAGE_UP, Key.PAGE_DOWN, Key.HOME, Key.END]),
        ("\x1b[1;5Aq", [Key.OTHER, "q"]),
        ("\x1b[24~q", [Key.OTHER, "q"]),
        ("\x1bxq", [Key.OTHER, "q"]),
        ("\x1b", [Key.OTHER]),
        ("\xc3\xbcy", [Key.OTHER, Key.OTHER, "y"]),
        ("\n\t y", [Key.OTHER, Key.OTHER, " ", "y"]),
    ],
)
def test_a_key_of_several_bytes_is_one(text: str, keys: list[str]) -> None:
    assert typed(text) == keys


def test_the_end_of_the_terminal_is_a_key() -> None:
    assert next_key(lambda: "", lambda: False) == Key.ENDED
