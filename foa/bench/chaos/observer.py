"""A session of its own that sees all that passes at the broker, beside the nodes. Called by `storm`."""

import time
from typing import Final

from foa.bench.chaos.witness import Witness
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.errors import WireError
from foa.wire import codec
from foa.wire.topics import Topics

WATCHED: Final = ("task/#", "answer/#", "request/#", "dead/#", "index/+/ask", "reply/+/lookup")
BACKOFF_MAX_S: Final = 0.1
"""It comes back sooner than the nodes, so that it misses nothing they say."""


class Observer:
    """Shows a witness every message."""

    def __init__(self, port: int, topics: Topics, witness: Witness) -> None:
        """`port` is the broker's, on this machine."""
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
                self._witness.ask(topic.node, asker, frame.correlation or b"")
            elif topic.kind == "reply":
                self._witness.told(frame.correlation or b"")
            else:
                message = codec.decode(frame.payload) if frame.payload else None
                self._witness.see(topic, message, time.monotonic())
        except WireError:
            return

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do: the bus comes back."""

    def drained(self) -> None:
        """Nothing is published here."""

    def turned(self) -> None:
        """Nothing is held back."""
