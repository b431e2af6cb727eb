"""What one load process does, whatever client it drives: publish, receive, ask and be asked.

The three loads are the same for every client: 256-byte payloads that begin with their number, QoS 1, at most
`WINDOW` publications without their PUBACK, every delivery acknowledged. ``client`` in a topic keeps pairs apart.
"""

import statistics
from typing import Final, Protocol

SIZE: Final = 256
WINDOW: Final = 1000  # what the tuned Mosquitto lets be in flight, for everybody
NUMBER: Final = 8  # bytes of a payload that hold its number
_REST: Final = bytes(SIZE - NUMBER)


class Load(Protocol):
    """One connected client that can be given work."""

    async def publish(self, topic: str, messages: int) -> float:
        """Publish that many to `topic`; return the seconds until the last PUBACK."""

    async def receive(self, topic: str, messages: int, ready: "Ready") -> float:
        """Subscribe, say `ready`, and return the seconds from the first to the last of so many that arrive."""

    async def ask(self, topic: str, calls: int) -> list[float]:
        """Make so many calls, one at a time; return the seconds that each took."""

    async def answer(self, topic: str) -> None:
        """Reply to every request from now on."""


class Ready(Protocol):
    """Says that the subscription stands."""

    def __call__(self) -> None:
        """Say so."""


class Count:
    """Counts arrivals of numbered payloads, each once, in order."""

    def __init__(self, messages: int) -> None:
        """Expect so many."""
        self.messages = messages
        self.seen = 0
        self.began = 0.0
        self.ended = 0.0

    def take(self, payload: bytes, now: float) -> bool:
        """Take one; True at the last. A repeat counts for nothing."""
        if int.from_bytes(payload[:NUMBER], "big") != self.seen:
            return False
        if not self.seen:
            self.began = now
        self.seen += 1
        self.ended = now
        return self.seen == self.messages

    @property
    def seconds(self) -> float:
        """How long it took from the first to the last."""
        return self.ended - self.began


def body(number: int) -> bytes:
    """Return the payload of message `number`."""
    return number.to_bytes(NUMBER, "big") + _REST


def requests(topic: str) -> str:
    """Return where requests go."""
    return f"{topic}/request"


def replies(topic: str) -> str:
    """Return where replies go."""
    return f"{topic}/reply"


def median_us(seconds: list[float]) -> float:
    """Return the median in microseconds."""
    return statistics.median(seconds) * 1e6
