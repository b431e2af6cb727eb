"""What the client machine is subscribed to, and the SUBSCRIBE and UNSUBSCRIBE packets that are unanswered.

`wanted` outlives connections: when the broker has lost the session, everything in it is asked for again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import mqtt5
import msgspec

from foa.bus.mqtt import packets
from foa.bus.mqtt.outbox import PacketIds
from foa.bus.mqtt.output import Granted, Output
from foa.bus.port import Facts, Subscription
from foa.errors import BusError

FILTERS_PER_PACKET: Final = 100
MAX_UNANSWERED: Final = 10_000
MAX_WANTED: Final = 50_000

_RETAINED: Final = (
    mqtt5.RetainHandling.SEND_ALWAYS,
    mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
    mqtt5.RetainHandling.SEND_NEVER,
)

Answered = Callable[[tuple[int, ...]], None]


class _Call:
    """One call of `subscribe`: it may need several packets, and is answered when all of them are."""

    __slots__ = ("codes", "granted", "missing")

    def __init__(self, size: int, granted: Answered) -> None:
        self.codes = [0] * size
        self.missing = size
        self.granted = granted


class _Request:
    """One packet's worth: ``subscriptions`` to make or ``patterns`` to give up; ``at`` is its place in the call."""

    __slots__ = ("at", "call", "patterns", "subscriptions")

    def __init__(
        self, subscriptions: Sequence[Subscription], patterns: Sequence[str], call: _Call | None, at: int
    ) -> None:
        self.subscriptions = subscriptions
        self.patterns = patterns
        self.call = call
        self.at = at


class Subscriptions:
    """The client's side of SUBSCRIBE: wanted filters, and requests until they are answered."""

    def __init__(self, output: Output, ids: PacketIds) -> None:
        """Send through `output` once `up` was called."""
        self.wanted: dict[str, Subscription] = {}
        self._output = output
        self._ids = ids
        self._waiting: list[_Request] = []
        self._unanswered: dict[int, _Request] = {}
        self._facts = Facts()
        self._open = False

    def subscribe(self, subscriptions: Sequence[Subscription], granted: Answered | None) -> None:
        """Ask for `subscriptions`; raises BusError if one cannot be written or there are too many."""
        self._check(subscriptions)
        call = _Call(len(subscriptions), granted) if granted else None
        if call and not subscriptions:
            self._output.tell(Granted(call.granted, ()))
        at = 0
        for chunk in _chunks(subscriptions):
            self._ask(_Request(chunk, (), call, at))
            at += len(chunk)
        self.wanted.update((one.pattern, one) for one in subscriptions)

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """Give up `patterns`."""
        for pattern in patterns:
            self.wanted.pop(pattern, None)
        for start in range(0, len(patterns), FILTERS_PER_PACKET):
            self._ask(_Request((), tuple(patterns[start : start + FILTERS_PER_PACKET]), None, 0))

    def up(self, facts: Facts) -> None:
        """Send what is unanswered, and before it all that stood: a broker may keep a session and forget a part of it.

        Where it says that it kept the session, it sends retained frames only for what is new to it after all.
        """
        self._facts, self._open = facts, True
        again = [*self._unanswered.values(), *self._waiting]
        for packet_id in self._unanswered:
            self._ids.free(packet_id)
        self._unanswered.clear()
        self._waiting.clear()
        asked = {one.pattern for request in again for one in request.subscriptions}
        stood = [one for one in self.wanted.values() if one.pattern not in asked]
        if facts.session_present:
            stood = [msgspec.structs.replace(one, retained=max(one.retained, 1)) for one in stood]
        for chunk in _chunks(stood):
            self._send(_Request(chunk, (), None, 0))
        for request in again:
            self._send(request)

    def down(self) -> None:
        """Let requests wait for the next connection."""
        self._open = False

    def answered(self, packet_id: int, codes: Sequence[int]) -> None:
        """Take a SUBACK or UNSUBACK; one for nothing asked changes nothing."""
        request = self._unanswered.pop(packet_id, None)
        if request is None:
            return
        self._ids.free(packet_id)
        call = request.call
        if call is None:
            return
        call.codes[request.at : request.at + len(request.subscriptions)] = codes
        call.missing -= len(request.subscriptions)
        if call.missing <= 0:
            self._output.tell(Granted(call.granted, tuple(call.codes)))

    def _check(self, subscriptions: Sequence[Subscription]) -> None:
        if len(self.wanted) + len(subscriptions) > MAX_WANTED:
            raise BusError(f"more than {MAX_WANTED} subscriptions in one session")
        for one in subscriptions:
            if not 0 <= one.qos <= 1 or not 0 <= one.retained <= 2:  # noqa: PLR2004 - MQTT's own values
                raise BusError(f"subscription {one.pattern!r}: QoS is 0 or 1, retained is 0, 1 or 2")
            _filter(one)

    def _ask(self, request: _Request) -> None:
        if len(self._waiting) + len(self._unanswered) >= MAX_UNANSWERED:
            raise BusError(f"{MAX_UNANSWERED} subscription requests are unanswered already")
        if self._open:
            self._send(request)
        else:
            self._waiting.append(request)

    def _send(self, request: _Request) -> None:
        packet_id = self._ids.take()
        self._unanswered[packet_id] = request
        if request.patterns:
            self._output.send(mqtt5.UnsubscribePacket(packet_id, list(request.patterns)).write())
            return
        identifier = request.subscriptions[0].identifier if self._facts.subscription_identifiers else None
        filters = [_filter(one) for one in request.subscriptions]
        self._output.send(mqtt5.SubscribePacket(packet_id, filters, subscription_id=identifier).write())


def _chunks(subscriptions: Iterable[Subscription]) -> Iterator[list[Subscription]]:
    """Cut at every change of the identifier (one packet carries one) and at `FILTERS_PER_PACKET`."""
    for _, group in groupby(subscriptions, key=lambda one: one.identifier):
        same = list(group)
        for start in range(0, len(same), FILTERS_PER_PACKET):
            yield same[start : start + FILTERS_PER_PACKET]


def _filter(one: Subscription) -> mqtt5.TopicFilter:
    try:
        topic_filter = mqtt5.TopicFilter(
            one.pattern,
            max_qos=packets.QOS[one.qos],
            no_local=one.no_local,
            retain_as_published=False,  # a set flag then always means "stored", as the port promises
            retain_handling=_RETAINED[one.retained],
        )
        mqtt5.SubscribePacket(1, [topic_filter], subscription_id=one.identifier).write()
    except (ValueError, OverflowError, TypeError) as error:
        raise BusError(f"subscription {one.pattern[:200]!r} cannot be encoded: {error}") from error
    return topic_filter
