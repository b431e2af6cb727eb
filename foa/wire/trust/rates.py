"""How much one sender may send: a token bucket each. Pure; `now` in seconds."""

from collections import OrderedDict
from typing import Final

MAX_SENDERS: Final = 10_000
"""Senders whose buckets are kept; who was silent for longest is forgotten first, and begins again with a full one."""

UNIT: Final = 16_384
"""Bytes that cost as much as one frame: large frames cost more."""


class Buckets:
    """Buckets of `burst` tokens that fill with `rate` a second; a frame of n bytes costs 1 + n / `UNIT`."""

    def __init__(self, rate: float, burst: int, most: int = MAX_SENDERS) -> None:
        """Keep no bucket yet."""
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, sender: str, size: int, now: float) -> bool:
        """Take a frame of `size` bytes out of the sender's bucket; False, and nothing taken, if it is too empty.

        A frame that costs more than a whole bucket passes when the bucket is full.
        """
        left, since = self._left.pop(sender, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - since) * self._rate)
        cost = min(self._burst, 1.0 + size // UNIT)
        fits = left >= cost
        self._left[sender] = (left - cost if fits else left, max(now, since))
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return fits
