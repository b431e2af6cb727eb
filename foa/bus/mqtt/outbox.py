"""The sending half of the client machine: what waits, what is in flight, and the broker's window between.

Frames leave in the order published. A QoS 1 frame stays here until its PUBACK, over reconnects; its
packet identifier stays the same as long as the broker kept the session.
"""

from collections import deque
from typing import Final

from foa.bus.mqtt import packets
from foa.bus.output import DRAINED, Output, Receipted
from foa.bus.port import Facts, Receipt
from foa.errors import BusError, TooLarge
from foa.wire.envelope import Frame

MAX_PACKET_ID: Final = 65_535
MAX_IN_FLIGHT: Final = 32_768  # leaves half of the identifiers to SUBSCRIBE, whatever window a broker offers
EXPIRED_UNSENT: Final = 0x83
REFUSED_SIZE: Final = packets.PACKET_TOO_LARGE


class PacketIds:
    """Packet identifiers in use by one session; they go round, so that a late PUBACK meets no new frame."""

    def __init__(self) -> None:
        """Start with none in use."""
        self._last = 0
        self._used: set[int] = set()

    def take(self) -> int:
        """Return an identifier that is not in use. The caps on what is in flight see to it that one is free."""
        used, last = self._used, self._last
        while True:
            last = last % MAX_PACKET_ID + 1
            if last not in used:
                used.add(last)
                self._last = last
                return last

    def free(self, packet_id: int) -> None:
        """Take back an identifier."""
        self._used.discard(packet_id)


class Outgoing:
    """One publication on its way; ``packet_id`` is 0 until it is sent."""

    __slots__ = ("frame", "packet_id", "queued_at", "receipt")

    def __init__(self, frame: Frame, receipt: Receipt | None, queued_at: float) -> None:
        """Note when `frame` was handed over: its expiry counts from then."""
        self.frame = frame
        self.receipt = receipt
        self.queued_at = queued_at
        self.packet_id = 0


class Outbox:
    """Publications between `publish` and their settlement, at most ``max_queued`` of them."""

    def __init__(self, output: Output, ids: PacketIds, max_queued: int) -> None:
        """Send through `output` once `up` was called."""
        self._output = output
        self._ids = ids
        self._max = max_queued
        self._waiting: deque[Outgoing] = deque()
        self._inflight: dict[int, Outgoing] = {}
        self._window = 0
        self._limit: int | None = None
        self._open = False
        self._full = False

    @property
    def backlog(self) -> int:
        """How many publications are not settled."""
        return len(self._waiting) + len(self._inflight)

    def publish(self, frame: Frame, receipt: Receipt | None, now: float) -> None:
        """Send `frame` or let it wait. Raises BusError if it never could be sent, or if the queue is full."""
        if len(self._waiting) + len(self._inflight) >= self._max:
            self._full = True
            raise BusError(f"{self._max} frames wait to be sent already (max_queued)")
        entry = Outgoing(frame, receipt, now)
        if self._open and not self._waiting and (not frame.qos or len(self._inflight) < self._window):
            packet_id = self._ids.take() if frame.qos else 0
            try:
                data = self._checked(frame, packet_id)
            except BusError:
                self._ids.free(packet_id)
                raise
            entry.packet_id = packet_id
            self._emit(entry, data)
        else:
            self._checked(frame, 0)
            self._waiting.append(entry)

    def up(self, facts: Facts, now: float) -> None:
        """Begin to send on a new connection: first again what was in flight, then what waits."""
        self._window = min(facts.receive_maximum, MAX_IN_FLIGHT)
        self._limit = facts.maximum_packet_size
        self._open = True
        unsettled, self._inflight = self._inflight, {}
        if facts.session_present:
            for entry in unsettled.values():
                self._send(entry, now, again=True)
        else:  # the broker knows none of them: they are new publications to it
            for entry in unsettled.values():
                self._ids.free(entry.packet_id)
                entry.packet_id = 0
            self._waiting.extendleft(reversed(unsettled.values()))
        self._pump(now)

    def down(self) -> None:
        """Hold everything back: no connection, or its transport is full."""
        self._open = False

    def resume(self, now: float) -> None:
        """Send on after `down` on the same connection."""
        self._open = True
        self._pump(now)

    def settled(self, packet_id: int, code: int, now: float) -> None:
        """Take a PUBACK; one for nothing in flight changes nothing."""
        entry = self._inflight.pop(packet_id, None)
        if entry is None:
            return
        self._settle(entry, code)
        if self._waiting and self._open:
            self._pump(now)
        if self._full:
            self._drain()

    def _checked(self, frame: Frame, packet_id: int) -> bytes:
        data = packets.encode(frame, packet_id, expiry_s=frame.expiry_s)
        if self._limit is not None and len(data) > self._limit:
            raise TooLarge(f"a packet of {len(data)} bytes on {frame.topic!r}, the broker takes {self._limit}")
        return data

    def _pump(self, now: float) -> None:
        while self._waiting and (not self._waiting[0].frame.qos or len(self._inflight) < self._window):
            self._send(self._waiting.popleft(), now)
        if self._full:
            self._drain()

    def _send(self, entry: Outgoing, now: float, *, again: bool = False) -> None:
        """Send `entry`, its expiry less the time it waited; settle it here if it has expired or is too large."""
        frame, expiry = entry.frame, entry.frame.expiry_s
        if expiry is not None:
            expiry -= int(now - entry.queued_at)
            if expiry <= 0:
                self._settle(entry, EXPIRED_UNSENT)
                return
        if frame.qos and not entry.packet_id:
            entry.packet_id = self._ids.take()
        data = packets.encode(frame, entry.packet_id, duplicate=again, expiry_s=expiry)
        if self._limit is not None and len(data) > self._limit:
            self._settle(entry, REFUSED_SIZE)
            return
        self._emit(entry, data)

    def _emit(self, entry: Outgoing, data: bytes) -> None:
        if entry.packet_id:
            self._inflight[entry.packet_id] = entry
        else:
            self._settle(entry, 0)
        self._output.send(data)

    def _settle(self, entry: Outgoing, code: int) -> None:
        if entry.packet_id:
            self._ids.free(entry.packet_id)
        if entry.receipt is not None:
            self._output.tell(Receipted(entry.receipt, code))

    def _drain(self) -> None:
        if self.backlog * 2 < self._max:
            self._full = False
            self._output.tell(DRAINED)
