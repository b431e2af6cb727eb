"""Subscribing through the library: one call of it, in a task, for each request; see `foa.bus.subscriptions`."""

import asyncio
import math
from collections.abc import Callable
from itertools import count

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from foa.bus.output import Output
from foa.bus.port import Subscription
from foa.bus.subscriptions import Request, Subscriptions
from foa.errors import BusError

MAX_IDENTIFIER = 268_435_455
MAX_PATTERN_BYTES = 65_535


class CalledSubscriptions(Subscriptions):
    """Requests are numbered by ourselves; a connection that ends calls its unanswered ones off."""

    def __init__(self, output: Output, client: aiomqtt.Client, sent: Callable[[], None]) -> None:
        """Call `sent` each time that all requests so far were written: what was published after them may follow."""
        super().__init__(output)
        self._client = client
        self._sent = sent
        self._numbers = count(1)
        self._starting = 0
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def starting(self) -> bool:
        """Whether a request was made that is not written yet."""
        return self._starting > 0

    def down(self) -> None:
        """Let requests wait for the next connection."""
        super().down()
        for call in self._calls:
            call.cancel()

    def _number(self) -> int:
        return next(self._numbers)

    def _free(self, number: int) -> None:
        """Numbers are not used again."""

    def _check_one(self, one: Subscription) -> None:
        try:
            size = len(one.pattern.encode())
        except UnicodeEncodeError as error:
            raise BusError(f"subscription {one.pattern[:200]!r} cannot be encoded: {error}") from error
        if not 0 < size <= MAX_PATTERN_BYTES or "\0" in one.pattern:
            raise BusError(f"subscription {one.pattern[:200]!r} cannot be encoded: 1 to 65,535 bytes, none of them 0")
        if one.identifier is not None and not 0 < one.identifier <= MAX_IDENTIFIER:
            raise BusError(f"subscription {one.pattern[:200]!r} cannot be encoded: identifier {one.identifier}")

    def _ask_broker(self, number: int, request: Request, identifier: int | None) -> None:
        loop = asyncio.get_running_loop()
        call = loop.create_task(self._call(number, request, identifier))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        self._starting += 1
        loop.call_soon(self._started)  # in its first step, which comes before this, the task writes the packet

    def _started(self) -> None:
        self._starting -= 1
        if not self._starting:
            self._sent()

    async def _call(self, number: int, request: Request, identifier: int | None) -> None:
        try:
            if request.patterns:
                await self._client.unsubscribe(list(request.patterns), timeout=math.inf)
                self.answered(number, ())
                return
            properties = None
            if identifier is not None:
                properties = Properties(PacketTypes.SUBSCRIBE)
                properties.SubscriptionIdentifier = identifier
            wanted = [(one.pattern, _options(one)) for one in request.subscriptions]
            codes = await self._client.subscribe(wanted, properties=properties, timeout=math.inf)
            self.answered(number, [code if isinstance(code, int) else code.value for code in codes])
        except aiomqtt.MqttError:
            return  # the connection is gone, and the next one asks again
        except ValueError:
            # paho knows a filter by sight that a broker would refuse: ours to say, in the broker's word for it.
            self.answered(number, [0x8F] * len(request.subscriptions))


def _options(one: Subscription) -> SubscribeOptions:
    return SubscribeOptions(
        qos=one.qos,
        noLocal=one.no_local,
        retainAsPublished=False,  # a set flag then always means "stored", as the port promises
        retainHandling=one.retained,
    )
