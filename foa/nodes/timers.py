"""The timers of all machines of a node over one timer of its clock: most are called off before they fire.

A process that was stopped finds all its timers due at once, and what the bus has to tell not yet heard: that others
have taken over, first of all. So timers that are far too late wait a moment longer.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from foa.bus.port import Clock, Handle
from foa.core.effects import Key

SLACK: Final = 64
"""Entries called off that may lie in the heap beside as many that count, before it is swept."""

FROZEN_S: Final = 1.5
THAW_S: Final = 0.5
"""Timers later than `FROZEN_S` are those of a process that stood still; they fire `THAW_S` after it goes on."""


class Timers:
    """Wakes machines by name; ``fire`` is called with the key and the timer's name."""

    def __init__(self, clock: Clock, fire: Callable[[Key, str], None]) -> None:
        """Set no timer."""
        self._clock = clock
        self._fire = fire
        self._serial = count()
        self._heap: list[tuple[float, int, Key, str]] = []
        self._set: dict[Key, dict[str, int]] = {}
        self._alive = 0
        self._handle: Handle | None = None
        self._due = 0.0
        self._thawing = False

    def wake(self, key: Key, name: str, at: float) -> None:
        """Fire `name` at `at`, in place of an earlier one of that name."""
        names = self._set.setdefault(key, {})
        if name not in names:
            self._alive += 1
        names[name] = serial = next(self._serial)
        heappush(self._heap, (at, serial, key, name))
        if self._handle is None or at < self._due:
            self._arm()
        elif len(self._heap) > 2 * self._alive + SLACK:
            self._sweep()

    def sleep(self, key: Key, name: str) -> None:
        """Call a timer off."""
        names = self._set.get(key)
        if names is not None and names.pop(name, None) is not None:
            self._alive -= 1

    def calm(self, key: Key) -> None:
        """Call off all timers of a machine."""
        self._alive -= len(self._set.pop(key, ()))

    def close(self) -> None:
        """Call off everything."""
        self._set.clear()
        self._heap.clear()
        self._alive = 0
        self._disarm()

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if self._counts(entry)]
        heapify(self._heap)

    def _counts(self, entry: tuple[float, int, Key, str]) -> bool:
        return self._set.get(entry[2], {}).get(entry[3]) == entry[1]

    def _arm(self) -> None:
        self._disarm()
        while self._heap and not self._counts(self._heap[0]):
            heappop(self._heap)
        if self._heap:
            self._due = self._heap[0][0]
            self._handle = self._clock.call_at(self._due, self._ring)

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        """Fire what is due, in order of time and then of setting."""
        self._handle = None
        now = max(self._clock.time(), self._due)
        if now - self._due > FROZEN_S and not self._thawing:
            self._thawing = True
            self._handle = self._clock.call_at(now + THAW_S, self._ring)
            return
        self._thawing = False
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            if self._counts(entry):
                del self._set[entry[2]][entry[3]]
                self._alive -= 1
                self._fire(entry[2], entry[3])
        if self._handle is None:
            self._arm()
