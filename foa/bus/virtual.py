"""Virtual time: a clock that jumps from one timer to the next (`port.Clock`).

The in-memory bus and the simulator run on it. Timers due at the same instant fire in the order in which
they were set, so a run is the same every time.
"""

import heapq
from collections.abc import Callable


class Timer:
    """A `port.Handle`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        """Hold `callback` until it is called or called off."""
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call it off; no effect once it fired."""
        self.callback = None


class VirtualClock:
    """Seconds since `start`, moved on by `step` and the two `run_` methods only."""

    __slots__ = ("_heap", "_now", "_serial")

    def __init__(self, start: float = 0.0) -> None:
        """Begin at `start`."""
        self._now = start
        self._serial = 0
        self._heap: list[tuple[float, int, Timer]] = []

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` at `when`, or at once (but not in this call) if that is past."""
        timer = Timer(callback)
        self._serial += 1
        heapq.heappush(self._heap, (max(when, self._now), self._serial, timer))
        return timer

    def step(self) -> bool:
        """Jump to the next timer and run it; False if there is none."""
        heap = self._heap
        while heap:
            when, _, timer = heapq.heappop(heap)
            callback = timer.callback
            if callback is not None:
                self._now = when
                timer.callback = None
                callback()
                return True
        return False

    def run_until(self, when: float) -> None:
        """Run everything due until `when`, and stand there."""
        while (due := self._next()) is not None and due <= when:
            self.step()
        self._now = max(self._now, when)

    def run_until_idle(self, max_time: float) -> bool:
        """Run until no timer is left (True) or the next one is later than `max_time` (False)."""
        while (due := self._next()) is not None:
            if due > max_time:
                self._now = max(self._now, max_time)
                return False
            self.step()
        return True

    def _next(self) -> float | None:
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None
