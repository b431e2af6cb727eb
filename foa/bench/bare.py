"""A bare MQTT request and reply between two processes: what the broker and the client alone cost.

``python -m foa.bench.bare PORT`` is the process that replies.
"""

import asyncio
import sys
from itertools import count

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.nodes.federation import end_with_parent
from foa.wire.envelope import Frame

REQUEST = "bench/request"
BODY = b"x" * 256


class Responder:
    """Sends back whatever it is asked."""

    def __init__(self, port: int) -> None:
        """Prepare."""
        self.bus = MqttBus(Options("bench/bare/responder", port=port), self)

    def connected(self, facts: Facts) -> None:
        """Listen."""
        del facts
        self.bus.subscribe([Subscription(REQUEST)])

    def delivered(self, delivery: Delivery) -> None:
        """Reply."""
        frame = delivery.frame
        self.bus.publish(Frame(frame.response_topic or "", frame.payload, correlation=frame.correlation))
        delivery.ack()

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do: the bench ends us."""

    def drained(self) -> None:
        """Nothing waits here."""

    def turned(self) -> None:
        """Nothing is held back."""


class Requester:
    """Asks, and waits for the reply."""

    def __init__(self, port: int) -> None:
        """Prepare."""
        self.bus = MqttBus(Options("bench/bare/requester", port=port), self)
        self.replies = "bench/reply"
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._numbers = count()

    def connected(self, facts: Facts) -> None:
        """Listen for replies."""
        del facts
        self.bus.subscribe([Subscription(self.replies)])

    def delivered(self, delivery: Delivery) -> None:
        """Wake whoever asked."""
        delivery.ack()
        waiting = self._waiting.pop(delivery.frame.correlation or b"", None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do: the bench would time out."""

    def drained(self) -> None:
        """Nothing waits here."""

    def turned(self) -> None:
        """Nothing is held back."""

    async def call(self) -> None:
        """Make one round trip."""
        correlation = str(next(self._numbers)).encode()
        future = self._waiting[correlation] = asyncio.get_running_loop().create_future()
        self.bus.publish(Frame(REQUEST, BODY, response_topic=self.replies, correlation=correlation))
        await future


async def _respond(port: int) -> None:
    responder = Responder(port)
    await responder.bus.open(5.0)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(_respond(int(sys.argv[1])))
