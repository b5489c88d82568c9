"""A text that is longer than its place on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .keyboard import Key

Line = TypeVar("Line")


@dataclass
class Scroll:
    """Which part of a text is seen.

    Attributes
    ----------
    top : the first line that is seen, from 0.
    length, height : lines of the text, and of its place, when it was drawn last.
    """

    top: int = 0
    length: int = 0
    height: int = 1

    @property
    def above(self) -> int:
        """Lines above those that are seen."""
        return self.top

    @property
    def below(self) -> int:
        """Lines below those that are seen."""
        return max(0, self.length - self.height - self.top)

    def fit(self, lines: Sequence[Line], height: int) -> Sequence[Line]:
        """The lines that are seen, of a text as it is now and a place as it is now."""
        self.length, self.height = len(lines), max(1, height)
        self._go(self.top)
        return lines[self.top : self.top + self.height]

    def press(self, key: str) -> bool:
        """Move by a key; False for one that moves nothing."""
        page = max(1, self.height - 1)
        moves = {Key.UP: -1, Key.DOWN: 1, Key.PAGE_UP: -page, Key.PAGE_DOWN: page, "b": -page, " ": page}
        moves |= {"k": -1, "j": 1, Key.HOME: -self.length, Key.END: self.length}
        if key not in moves:
            return False
        self._go(self.top + moves[key])
        return True

    def _go(self, top: int) -> None:
        self.top = max(0, min(top, self.length - self.height))
