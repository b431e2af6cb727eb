"""A session of its own that sees all that passes at the broker, beside the nodes. Called by `storm`."""

import time
from pathlib import Path
from typing import Any, Final

from foa.bench.chaos.witness import Witness
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.errors import WireError
from foa.wire import codec
from foa.wire.topics import Topics

WATCHED: Final = ("task/#", "answer/#", "request/#", "dead/#", "index/+/ask", "reply/+/lookup", "own/+", "presence/+/+")
BACKOFF_MAX_S: Final = 0.1
"""It comes back sooner than the nodes, so that it misses nothing they say."""
MAX_LINES: Final = 1_000_000
"""Lines of a trace; what comes after is not written down."""
_TOLD: Final = ("award", "agent", "epoch", "subtask", "code", "status", "reason", "used", "alive", "held")


class Observer:
    """Shows a witness every message, and writes a line of each into a trace."""

    def __init__(self, port: int, topics: Topics, witness: Witness, trace: Path) -> None:
        """`port` is the broker's, on this machine."""
        self._lines = 0
        self._trace = trace.open("w", encoding="utf-8")
        options = Options(
            "chaos/bench/observer", port=port, backoff_max_s=BACKOFF_MAX_S, keep_alive_s=60, session_expiry_s=600
        )
        self.bus = MqttBus(options, self)
        self._topics = topics
        self._witness = witness

    def connected(self, facts: Facts) -> None:
        """Listen to all; what is retained is no news."""
        if self._witness.link == 0 or not facts.session_present:
            self.bus.subscribe([Subscription(self._topics(path), retained=2) for path in WATCHED])
        self._witness.link += 1

    def delivered(self, delivery: Delivery) -> None:
        """Show one message."""
        delivery.ack()
        frame = delivery.frame
        try:
            topic = self._topics.parse(frame.topic)
            if topic.kind == "ask":
                asker = self._topics.parse(frame.response_topic or "").node
                self._witness.ask(topic.node, asker, frame.correlation or b"", time.monotonic())
            elif topic.kind == "reply":
                self._witness.told(frame.correlation or b"")
            else:
                message = codec.decode(frame.payload) if frame.payload else None
                self._witness.see(topic, message, now := time.monotonic())
                self._note(now, frame.topic, message)
        except WireError:
            return

    def _note(self, now: float, topic: str, message: Any) -> None:
        self._lines += 1
        if self._lines <= MAX_LINES:
            told = {name: getattr(message, name) for name in _TOLD if getattr(message, name, None)}
            words = " ".join(f"{name}={getattr(value, 'id', value)}" for name, value in told.items())
            self._trace.write(f"{now:.3f} {type(message).__name__} {topic} {words}\n")

    def note(self, words: str) -> None:
        """Write a line of what was done into the trace."""
        self._trace.write(f"{time.monotonic():.3f} {words}\n")

    async def close(self) -> None:
        """Hang up, and close the trace."""
        await self.bus.close()
        self._trace.close()

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do: the bus comes back."""

    def drained(self) -> None:
        """Nothing is published here."""

    def turned(self) -> None:
        """Nothing is held back."""
