"""How often, how long, how dear: pace, pauses between tries, and prices, decided without a clock and without dice.

``now`` is in seconds of any steady clock. Called by `foa.adapters.models.chat` and the runner.
"""

from collections import deque
from random import Random
from typing import Final

import msgspec

from foa.adapters.models.endpoint import Endpoint
from foa.adapters.models.reading import Counted
from foa.wire.records import Resources

PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0
WINDOW_S: Final = 60.0
BYTES_PER_TOKEN: Final = 4
MESSAGE_TOKENS: Final = 8
LEAST_TOKENS: Final = 16


class Pace:
    """At most `per_minute` calls begin within any 60 seconds; 0 is no bound. Holds that many times, no more."""

    def __init__(self, per_minute: int) -> None:
        self._begun: deque[float] = deque(maxlen=per_minute or 1)
        self._per_minute = per_minute

    def wait(self, now: float) -> float:
        """Return how long a call has to wait before it may begin: 0 is now."""
        if not self._per_minute or len(self._begun) < self._per_minute:
            return 0.0
        return max(0.0, self._begun[0] + WINDOW_S - now)

    def begin(self, now: float) -> None:
        """Count a call that begins at `now` (which may lie ahead: a place that was waited for)."""
        self._begun.append(now)


def pause(attempt: int, told: float | None, rng: Random) -> float:
    """Return the seconds before try `attempt` + 1: what the server told, or exponential back-off with full jitter.

    Full jitter after Brooker (AWS, 2015): uniform in [0, min(cap, base · 2^attempt)].
    """
    if told is not None:
        return told
    return rng.uniform(0.0, min(MAX_PAUSE_S, PAUSE_S * 2.0 ** min(attempt, 16)))


class Tokens(msgspec.Struct, frozen=True):
    """Tokens in and out; ``estimated`` if the server did not count them."""

    tokens_in: int
    tokens_out: int
    estimated: bool = False

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        return f"{about}{self.tokens_in} + {self.tokens_out} tokens{', estimated' if self.estimated else ''}"


def used(counted: Counted | None, asked_bytes: int, said_bytes: int) -> Tokens:
    """Return what a call used: as counted, else a token for every four bytes of UTF-8."""
    if counted is not None:
        return Tokens(counted.prompt_tokens, counted.completion_tokens)
    return Tokens(-(-asked_bytes // BYTES_PER_TOKEN), -(-said_bytes // BYTES_PER_TOKEN), estimated=True)


class Prices(msgspec.Struct, frozen=True):
    """USD for a call, for a token in and for a token out."""

    call: float = 0.0
    token_in: float = 0.0
    token_out: float = 0.0

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Return what one call costs."""
        return self.call + tokens_in * self.token_in + tokens_out * self.token_out

    def longest(self, budget: float, asked_bytes: int, messages: int, wanted: int) -> int | None:
        """Return how many tokens an answer may have within `budget`; 0 is no bound, None that not even a word fits.

        Held against the worst: no tokenizer over bytes makes more tokens of a text than it has bytes, and each
        message adds a few. ``wanted`` is the most that is asked for anyway, 0 for as long as it gets.
        """
        worst_in = asked_bytes + MESSAGE_TOKENS * messages
        left = budget - self.of(worst_in, 0)
        if left < 0:
            return None
        if self.token_out == 0:
            return wanted
        most = int(min(left / self.token_out, 2**31))
        if most < min(wanted or LEAST_TOKENS, LEAST_TOKENS):
            return None
        return min(most, wanted) if wanted else most


def prices_of(endpoint: Endpoint, declared: Resources) -> Prices:
    """Return the endpoint's own prices per million tokens; where it names none, those on the agent's card."""
    if endpoint.price_in_per_1m or endpoint.price_out_per_1m:
        return Prices(0.0, endpoint.price_in_per_1m / 1e6, endpoint.price_out_per_1m / 1e6)
    return Prices(declared.price_call, declared.price_1k / 1e3, declared.price_1k / 1e3)
