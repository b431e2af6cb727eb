"""The receiving half of every client: deliveries that the listener has not acknowledged yet.

PUBACKs leave in the order of receipt, as MQTT asks [MQTT-4.6.0-2]: an early `ack` is held until those
before it are given. One handler that hangs must not stop a whole process, though: once half of the
receive window is held back, the held ones leave out of order.
"""

from collections.abc import Callable
from typing import Final

from foa.wire.envelope import Frame

# Mosquitto 2.0.11 sends a whole window again for every PUBACK: to insist on the standard would mean to reconnect
# for ever. What a broker sends beyond our receive maximum is taken, up to so many; then the connection ends.
TOLERATED_OVERSHOOT: Final = 16_384


class Inbound:
    """One delivery (`port.Delivery`); its acknowledgement is void once its connection ended."""

    __slots__ = ("_inbox", "acknowledged", "duplicate", "frame", "packet_id", "subscription_ids")

    def __init__(self, frame: Frame, ids: tuple[int, ...], inbox: "Inbox | None", packet_id: int, dup: bool) -> None:  # noqa: FBT001 - one flag, named at every call
        """`inbox` is None where nothing is to be acknowledged."""
        self.frame = frame
        self.duplicate = dup
        self.subscription_ids = ids
        self.packet_id = packet_id
        self.acknowledged = False
        self._inbox = inbox

    def ack(self) -> None:
        """Tell the broker that the effect is durable."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            inbox.acknowledge(self)


class Inbox:
    """Unacknowledged QoS 1 deliveries of one connection, at most ``receive_maximum`` if the broker obeys."""

    __slots__ = ("_held", "_puback", "_receive_maximum", "_unacknowledged")

    def __init__(self, puback: Callable[[int], object], receive_maximum: int) -> None:
        """Make a new one for each connection; `puback` sends one, for a packet identifier."""
        self._puback = puback
        self._receive_maximum = receive_maximum
        self._unacknowledged: dict[int, Inbound] = {}
        self._held = 0

    def take(self, frame: Frame, ids: tuple[int, ...], packet_id: int | None, *, duplicate: bool) -> Inbound | None:
        """Return `frame` as a delivery; None if the broker exceeded our receive maximum by too much.

        `packet_id` is None for QoS 0, `ids` are the subscription identifiers.
        """
        if packet_id is None:
            return Inbound(frame, ids, None, 0, False)
        if packet_id in self._unacknowledged:  # a repeat; the acknowledgement of the first counts for both
            return Inbound(frame, ids, None, packet_id, duplicate)
        if len(self._unacknowledged) >= self._receive_maximum + TOLERATED_OVERSHOOT:
            return None
        inbound = Inbound(frame, ids, self, packet_id, duplicate)
        self._unacknowledged[packet_id] = inbound
        return inbound

    def acknowledge(self, inbound: Inbound) -> None:
        """Send the PUBACK of `inbound` now or when its turn comes."""
        unacknowledged = self._unacknowledged
        if unacknowledged.get(inbound.packet_id) is not inbound:
            return
        inbound.acknowledged = True
        self._held += 1
        while unacknowledged and (first := next(iter(unacknowledged.values()))).acknowledged:
            self._release(first)
        if self._held * 2 > self._receive_maximum:
            for held in [one for one in unacknowledged.values() if one.acknowledged]:
                self._release(held)

    def close(self) -> None:
        """Void every acknowledgement still to come."""
        self._unacknowledged.clear()

    def _release(self, inbound: Inbound) -> None:
        del self._unacknowledged[inbound.packet_id]
        self._held -= 1
        self._puback(inbound.packet_id)
