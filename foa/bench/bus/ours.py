"""The load on our own client, over the bus port as a node uses it."""

import asyncio
import time

from foa.bench.bus import work
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.wire.envelope import Frame


class OurLoad:
    """See `work.Load`."""

    def __init__(self, name: str, port: int, session_expiry_s: int = 0) -> None:
        """Prepare; `open` connects. A session that outlives its connection is one that a broker's store keeps."""
        options = Options(name, port=port, receive_maximum=work.WINDOW, session_expiry_s=session_expiry_s)
        self.bus = MqttBus(options, self)
        self._left = 0
        self._unsettled = 0
        self._sent = 0
        self._topic = ""
        self._done: asyncio.Future[None] | None = None
        self._count: work.Count | None = None
        self._answers = ""

    async def open(self) -> None:
        """Connect."""
        await self.bus.open(5.0)

    async def publish(self, topic: str, messages: int) -> float:
        """See `work.Load`."""
        self._topic, self._sent, self._left, self._unsettled = topic, 0, messages, messages
        self._done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        for _ in range(min(work.WINDOW, messages)):
            self._next()
        await self._done
        return time.perf_counter() - began

    def _next(self) -> None:
        self._left -= 1
        self.bus.publish(Frame(self._topic, work.body(self._sent)), self._settled)
        self._sent += 1

    def _settled(self, _code: int) -> None:
        self._unsettled -= 1
        if self._left:
            self._next()
        elif not self._unsettled and self._done is not None:
            self._done.set_result(None)

    async def receive(self, topic: str, messages: int, ready: work.Ready) -> float:
        """See `work.Load`."""
        self._done = asyncio.get_running_loop().create_future()
        count = self._count = work.Count(messages)
        self.bus.subscribe([Subscription(topic)], lambda _codes: ready())
        await self._done
        self._count = None
        self.bus.unsubscribe([topic])
        return count.seconds

    async def ask(self, topic: str, calls: int) -> list[float]:
        """See `work.Load`."""
        loop, request = asyncio.get_running_loop(), Frame(work.requests(topic), work.body(0))
        self.bus.subscribe([Subscription(work.replies(topic))])
        taken: list[float] = []
        for _ in range(calls):
            self._done = loop.create_future()
            began = time.perf_counter()
            self.bus.publish(request)
            await self._done
            taken.append(time.perf_counter() - began)
        self.bus.unsubscribe([work.replies(topic)])
        return taken

    async def answer(self, topic: str) -> None:
        """See `work.Load`."""
        granted = asyncio.get_running_loop().create_future()
        self._answers = work.replies(topic)
        self.bus.subscribe([Subscription(work.requests(topic))], granted.set_result)
        await granted

    def delivered(self, delivery: Delivery) -> None:
        """Count, reply, or take for the reply."""
        if self._count is not None:
            if self._count.take(delivery.frame.payload, time.perf_counter()) and self._done is not None:
                self._done.set_result(None)
        elif self._answers:
            self.bus.publish(Frame(self._answers, delivery.frame.payload))
        elif self._done is not None and not self._done.done():
            self._done.set_result(None)
        delivery.ack()

    def connected(self, facts: Facts) -> None:
        """Nothing to do."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do: the bench would time out."""

    def drained(self) -> None:
        """Nothing waits here."""

    def turned(self) -> None:
        """Nothing is held back."""
