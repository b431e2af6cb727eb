"""The SUBSCRIBE and UNSUBSCRIBE packets of the client machine; see `foa.bus.subscriptions`."""

from typing import Final

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.outbox import PacketIds
from foa.bus.output import Output
from foa.bus.port import Subscription
from foa.bus.subscriptions import Request, Subscriptions
from foa.errors import BusError

_RETAINED: Final = (
    mqtt5.RetainHandling.SEND_ALWAYS,
    mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
    mqtt5.RetainHandling.SEND_NEVER,
)


class PacketSubscriptions(Subscriptions):
    """Requests are numbered by packet identifiers, which publications take from too."""

    def __init__(self, output: Output, ids: PacketIds) -> None:
        """Send packets through `output`."""
        super().__init__(output)
        self._ids = ids

    def _number(self) -> int:
        return self._ids.take()

    def _free(self, number: int) -> None:
        self._ids.free(number)

    def _check_one(self, one: Subscription) -> None:
        _filter(one)

    def _ask_broker(self, number: int, request: Request, identifier: int | None) -> None:
        if request.patterns:
            self._output.send(mqtt5.UnsubscribePacket(number, list(request.patterns)).write())
            return
        filters = [_filter(one) for one in request.subscriptions]
        self._output.send(mqtt5.SubscribePacket(number, filters, subscription_id=identifier).write())


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
