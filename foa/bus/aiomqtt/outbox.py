"""The sending half: what waits here, and what paho has in flight, within the broker's window.

paho keeps a QoS 1 message until its PUBACK and resends it with DUP after a reconnect by itself. What it does
not know is done here: the broker's receive maximum, the time that a frame has waited, and that a frame in
flight is a new publication to a broker that lost the session.
"""

from collections import deque
from typing import Final

from paho.mqtt.client import Client as Paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties

from foa.bus.aiomqtt import properties as convert
from foa.bus.output import DRAINED, Output, Receipted
from foa.bus.port import Facts, Receipt
from foa.errors import BusError, TooLarge
from foa.wire.envelope import Frame

MAX_IN_FLIGHT: Final = 32_768
EXPIRED_UNSENT: Final = 0x83
REFUSED_SIZE: Final = 0x95
WRITE_BUFFER: Final = 1 << 20  # unwritten bytes above which publications wait here: paho's own queue has no bound


class _Outgoing:
    """One publication on its way."""

    __slots__ = ("frame", "properties", "queued_at", "receipt", "size")

    def __init__(self, frame: Frame, receipt: Receipt | None, now: float, limit: int | None) -> None:
        """Raise BusError if MQTT cannot carry `frame`, TooLarge if the broker does not take it."""
        self.frame = frame
        self.receipt = receipt
        self.queued_at = now
        if not 0 <= frame.qos <= 1:
            raise BusError(f"frame on {frame.topic!r} has QoS {frame.qos}, this bus carries 0 and 1")
        try:
            convert.check_topic(frame.topic)
            self.properties: Properties | None = convert.of_frame(frame)
            self.size = convert.size_of(frame, self.properties)
        except convert.PACK_ERRORS as error:
            raise BusError(f"frame on {frame.topic[:200]!r} cannot be encoded: {error}") from error
        if limit is not None and self.size > limit:
            raise TooLarge(f"a packet of {self.size} bytes on {frame.topic!r}, the broker takes {limit}")

    def age(self, now: float) -> None:
        """Take the time that it waited off the expiry it travels with, also inside paho."""
        left = self.left(now)
        if left is not None and self.properties is not None:
            self.properties.MessageExpiryInterval = left

    def left(self, now: float) -> int | None:
        """Return what is left of the expiry in seconds, 0 or less if nothing; None if it does not expire."""
        return None if self.frame.expiry_s is None else self.frame.expiry_s - int(now - self.queued_at)


class Outbox:
    """Publications between `publish` and their settlement, at most ``max_queued`` of them."""

    def __init__(self, output: Output, paho: Paho, max_queued: int) -> None:
        """Hand frames to `paho` once `up` was called, when told to `pump`."""
        self._output = output
        self._paho = paho
        self._max = max_queued
        self._waiting: deque[_Outgoing] = deque()
        self._inflight: dict[int, _Outgoing] = {}
        self._shadowed: set[int] = set()
        self._window = 0
        self._limit: int | None = None
        self._open = False
        self._full = False
        self._unwritten = 0

    @property
    def backlog(self) -> int:
        """How many publications are not settled."""
        return len(self._waiting) + len(self._inflight)

    def publish(self, frame: Frame, receipt: Receipt | None, now: float) -> None:
        """Let `frame` wait for `pump`. Raises BusError if it never could be sent, or if the queue is full."""
        if self.backlog >= self._max:
            self._full = True
            raise BusError(f"{self._max} frames wait to be sent already (max_queued)")
        self._waiting.append(_Outgoing(frame, receipt, now, self._limit))
        self._output.rouse()

    def up(self, facts: Facts, now: float) -> None:
        """Begin on a new connection. paho resends right after this what it has in flight, if we leave it that."""
        self._window = min(facts.receive_maximum, MAX_IN_FLIGHT)
        self._limit = facts.maximum_packet_size
        self._open = True
        self._unwritten = 0
        self._shadowed.clear()
        entries = self._inflight.values()
        if facts.session_present and len(entries) <= self._window and all(self._fits(one, now) for one in entries):
            for entry in entries:
                entry.age(now)
            return
        # New publications to this broker: it lost the session, or would not take them all as they are.
        self._paho.drop_out_messages()
        self._waiting.extendleft(reversed(self._inflight.values()))
        self._inflight.clear()

    def down(self) -> None:
        """Hold everything back: no connection."""
        self._open = False

    def written(self) -> None:
        """Take it that paho has nothing left to write."""
        self._unwritten = 0
        if self._waiting:
            self._output.rouse()

    def pump(self, now: float) -> None:
        """Send what waits, as far as the window and the socket allow."""
        waiting = self._waiting
        while self._open and waiting and self._unwritten < WRITE_BUFFER:
            if waiting[0].frame.qos and len(self._inflight) >= self._window:
                return
            self._send(waiting.popleft(), now)
        if self._full:
            self._drain()

    def settled(self, mid: int, code: int) -> None:
        """Take a PUBACK, or that a QoS 0 packet of this identifier was written."""
        if mid in self._shadowed:
            self._shadowed.discard(mid)
            return
        entry = self._inflight.pop(mid, None)
        if entry is None:
            return
        self._settle(entry, code)
        if self._full:
            self._drain()

    def _fits(self, entry: _Outgoing, now: float) -> bool:
        left = entry.left(now)
        return (left is None or left > 0) and (self._limit is None or entry.size <= self._limit)

    def _send(self, entry: _Outgoing, now: float) -> None:
        """Send `entry`; settle it here if it has expired, is too large, or needs no acknowledgement."""
        if not self._fits(entry, now):
            left = entry.left(now)
            self._settle(entry, EXPIRED_UNSENT if left is not None and left <= 0 else REFUSED_SIZE)
            return
        entry.age(now)
        frame = entry.frame
        # aiomqtt's own `publish` tells neither the packet identifier nor the reason code of the PUBACK.
        while True:
            info = self._paho.publish(frame.topic, frame.payload, frame.qos, frame.retain, entry.properties)
            if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # that identifier is in flight: the next one
                break
        self._unwritten += entry.size
        if frame.qos:
            self._inflight[info.mid] = entry  # also without a socket: paho has it, and sends it once there is one
        elif info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
            self._waiting.appendleft(entry)
            self._open = False
        else:
            if info.mid in self._inflight:
                self._shadowed.add(info.mid)  # paho will report both, by the same number
            self._settle(entry, 0)

    def _settle(self, entry: _Outgoing, code: int) -> None:
        if entry.receipt is not None:
            self._output.tell(Receipted(entry.receipt, code))

    def _drain(self) -> None:
        if self.backlog * 2 < self._max:
            self._full = False
            self._output.tell(DRAINED)
