"""Choices read off a string of bytes: whoever made the bytes (chance, or a fuzzer led by coverage) made the choices."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Tape:
    """Reads choices from `data`; past its end every choice is the first."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        """Tell whether all was read."""
        return self._at >= len(self._data)

    def number(self, below: int) -> int:
        """Return a number in [0, below)."""
        width = 1 if below <= 1 << 8 else 2 if below <= 1 << 16 else 4
        return int.from_bytes(self.bytes(width), "big") % below

    def choice(self, items: Sequence[T]) -> T:
        """Return one of `items`."""
        return items[self.number(len(items))]

    def chance(self, one_in: int) -> bool:
        """Return True about once in `one_in` times."""
        return self.number(one_in) == one_in - 1

    def bytes(self, most: int) -> bytes:
        """Return the next `most` bytes, or what is left of them."""
        found = self._data[self._at : self._at + most]
        self._at += most
        return found
