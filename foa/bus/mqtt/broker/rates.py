"""How much and how often: a token bucket, and a table of them that cannot grow."""

from typing import Final

MAX_NAMES: Final = 4096


class Bucket:
    """Fills at `per_s` up to `burst`; may be overdrawn, and then tells when it is level again."""

    __slots__ = ("_at", "_burst", "_has", "_per_s")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        """Start full."""
        self._per_s = per_s
        self._burst = burst
        self._has = burst
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Take `amount`; return the time at which the bucket is level again: not after `now` if it still is."""
        self._has = min(self._burst, self._has + (now - self._at) * self._per_s) - amount
        self._at = now
        return now if self._has >= 0 else now - self._has / self._per_s

    def offers(self, amount: float, now: float) -> bool:
        """Take `amount` if it is there; tell whether it was."""
        self._has = min(self._burst, self._has + (now - self._at) * self._per_s)
        self._at = now
        if self._has < amount:
            return False
        self._has -= amount
        return True


class Rates:
    """A bucket for each of at most `MAX_NAMES` names; beyond that the one asked for longest ago is forgotten."""

    def __init__(self, per_s: float, burst: float) -> None:
        """With `per_s` 0 nothing is ever refused."""
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[str, Bucket] = {}

    def allows(self, name: str, now: float) -> bool:
        """Tell whether `name` may act once more."""
        if not self._per_s:
            return True
        bucket = self._buckets.pop(name, None) or Bucket(self._per_s, self._burst, now)
        self._buckets[name] = bucket
        if len(self._buckets) > MAX_NAMES:
            del self._buckets[next(iter(self._buckets))]
        return bucket.offers(1, now)


class Allowance:
    """What one connection may publish per second, in messages and in bytes."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messages_per_s: float, bytes_per_s: float, burst_s: float, now: float) -> None:
        """Start full, with `burst_s` seconds' worth; a rate of 0 is no limit."""
        self._messages = Bucket(messages_per_s, messages_per_s * burst_s, now) if messages_per_s else None
        self._bytes = Bucket(bytes_per_s, bytes_per_s * burst_s, now) if bytes_per_s else None

    def take(self, messages: int, size: int, now: float) -> float:
        """Take what was published; return until when to read no more of it: not after `now` for going on."""
        first = now if self._messages is None else self._messages.take(messages, now)
        return max(first, now if self._bytes is None else self._bytes.take(size, now))
