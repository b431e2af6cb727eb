"""The load on aiomqtt as its users write it, tuned: TCP_NODELAY, a thousand in flight, many concurrent calls."""

import asyncio
import socket
import time
from typing import Final

import aiomqtt

from foa.bench.bus import work

WORKERS: Final = 50  # concurrent calls of `publish`: of 5 to 300, the best


class TheirLoad:
    """See `work.Load`."""

    def __init__(self, name: str, port: int) -> None:
        """Prepare; `open` connects."""
        self.client = aiomqtt.Client(
            "127.0.0.1",
            port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V5,
            max_inflight_messages=work.WINDOW,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self.client.pending_calls_threshold = 10 * work.WINDOW
        self._done: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect."""
        await self.client.__aenter__()

    async def publish(self, topic: str, messages: int) -> float:
        """See `work.Load`."""
        numbers = iter(range(messages))

        async def worker() -> None:
            for number in numbers:
                await self.client.publish(topic, work.body(number), qos=1)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(WORKERS)))
        return time.perf_counter() - began

    async def receive(self, topic: str, messages: int, ready: work.Ready) -> float:
        """See `work.Load`."""
        count = work.Count(messages)
        await self.client.subscribe(topic, qos=1)
        ready()
        async for message in self.client.messages:
            if count.take(message.payload, time.perf_counter()):
                break
        await self.client.unsubscribe(topic)
        return count.seconds

    async def ask(self, topic: str, calls: int) -> list[float]:
        """See `work.Load`."""
        await self.client.subscribe(work.replies(topic), qos=1)
        replies, taken = self.client.messages, []
        for _ in range(calls):
            began = time.perf_counter()
            self._soon(work.requests(topic), work.body(0))
            await anext(replies)
            taken.append(time.perf_counter() - began)
        await self.client.unsubscribe(work.replies(topic))
        return taken

    async def answer(self, topic: str) -> None:
        """See `work.Load`."""
        await self.client.subscribe(work.requests(topic), qos=1)
        task = asyncio.get_running_loop().create_task(self._answer(work.replies(topic)))
        self._tasks.add(task)

    async def _answer(self, topic: str) -> None:
        async for message in self.client.messages:
            self._soon(topic, message.payload)

    def _soon(self, topic: str, payload: bytes) -> None:
        """Publish without waiting for the PUBACK, which would cost the next message its time."""
        task = asyncio.get_running_loop().create_task(self.client.publish(topic, payload, qos=1))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
