"""Sessions that try out a broker below Response Topics of their own, where every account may write and hear itself."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.nodes.host import Place, options_of, topics_of
from foa.settings import Settings
from foa.wire.envelope import Frame

WAIT_S: Final = 3.0
QUIET_S: Final = 0.5
REFUSED: Final = 0x80
"""From here on a reason code says no."""


class Probe:
    """One session; `Probe.opened` makes it and clears up after it."""

    def __init__(self, settings: Settings, node: str, **changes: Any) -> None:
        """Prepare; nothing happens before `opened`."""
        self.node = node
        self.topics = topics_of(settings)
        self.facts = Facts()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.connecting_s = 0.0
        self.options: Options = msgspec.structs.replace(options_of(settings, Place(node, node, session_s=0)), **changes)
        self._bus = MqttBus(self.options, self)
        self._stored: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, node: str = "", **changes: Any) -> "AsyncIterator[Probe]":
        """Connect; BusError if that is not possible. At the end, whatever the end, nothing of it is left."""
        probe = cls(settings, node or f"doctor-{secrets.token_hex(6)}", **changes)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await probe._bus.open(settings.broker.connect_timeout_s)
        probe.connecting_s = loop.time() - began
        try:
            yield probe
        finally:
            probe.clear()
            await probe._bus.close()

    # What the bus tells its listener.

    def connected(self, facts: Facts) -> None:
        """Keep what the broker announced."""
        self.facts = facts

    def delivered(self, delivery: Delivery) -> None:
        """Keep a frame."""
        delivery.ack()
        self.frames.put_nowait(delivery.frame)

    def disconnected(self, reason: str, *, final: bool) -> None:  # noqa: ARG002 - the port's signature
        """Keep the first reason."""
        if not self.ended.done():
            self.ended.set_result(reason)

    def turned(self) -> None:
        """Nothing: frames are queued as they come."""

    def drained(self) -> None:
        """Nothing: less is queued than may be."""

    # What checks are made of.

    def topic(self, name: str) -> str:
        """Return a topic that this session may write and hear."""
        return self.topics.reply(self.node, name)

    async def subscribe(self, pattern: str) -> int:
        """Return the broker's reason code; TimeoutError without one."""
        granted: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        self._bus.subscribe([Subscription(pattern)], _once(granted))
        async with asyncio.timeout(WAIT_S):
            return (await granted)[0]

    def unsubscribe(self, pattern: str) -> None:
        """Give a filter up."""
        self._bus.unsubscribe([pattern])

    async def publish(self, frames: Sequence[Frame]) -> list[int]:
        """Publish `frames` and return their receipts; TimeoutError if they do not come."""
        loop = asyncio.get_running_loop()
        receipts: list[asyncio.Future[int]] = [loop.create_future() for _ in frames]
        for frame, receipt in zip(frames, receipts, strict=True):
            if frame.retain and frame.payload:
                self._stored.add(frame.topic)
            self._bus.publish(frame, _once(receipt))
        async with asyncio.timeout(WAIT_S + len(frames) / 1000):
            return list(await asyncio.gather(*receipts))

    async def arrived(self, count: int, within_s: float = WAIT_S) -> list[Frame]:
        """Return what arrives, `count` frames at most, as long as they keep coming."""
        found: list[Frame] = []
        try:
            while len(found) < count:
                async with asyncio.timeout(QUIET_S if found else within_s):
                    found.append(await self.frames.get())
        except TimeoutError:
            pass
        return found

    async def echo(self, frame: Frame, pattern: str = "") -> tuple[int, list[Frame]]:
        """Subscribe, publish, and return the reason code of whichever was refused, and what came back."""
        wanted = pattern or frame.topic
        try:
            code = await self.subscribe(wanted)
            if code < REFUSED:
                code = max(await self.publish([frame]))
        except TimeoutError:
            return REFUSED, []
        found = await self.arrived(1) if code < REFUSED else []
        self.unsubscribe(wanted)
        return code, found

    def clear(self) -> None:
        """Take back every retained frame; `close` waits until it is done, and all of them expire besides."""
        stored, self._stored = self._stored, set()
        for topic in stored:
            self._bus.publish(Frame(topic, b"", retain=True))


def _once(future: "asyncio.Future[Any]") -> Callable[[Any], None]:
    """Return a callback that fulfils `future`, or does nothing once it was given up."""
    return lambda value: None if future.done() else future.set_result(value)
