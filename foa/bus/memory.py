"""The in-memory bus: the client machines and the broker machine plugged together, with seeded faults.

The simulator and most tests run on it. The machines, and the bytes between them, are those of production;
only the sockets are missing. A link carries bytes as TCP does, in order and without loss, until it ends;
every fault therefore is something that a real network or a real broker does:

* ``drop`` (probability per PUBLISH): one with QoS 0 vanishes; at one with QoS 1 the link breaks, so that it
  is sent again, marked DUP, after the reconnect.
* ``duplicate`` (per QoS 1 PUBLISH): it arrives twice, the second time marked DUP, as after a lost PUBACK.
* ``delay_s`` (range): so many seconds more for each write. Order within a link is kept; links overtake
  each other.
* ``reorder`` (per PUBLISH): it arrives late, and everything but PUBLISHes of its own topic may overtake it.
* ``disconnect`` (per write): the link breaks before it.

With the same seed everything happens again in the same order.
"""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

import msgspec

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import LOSSES, Connection, Forget, Limits, Loss
from foa.bus.mqtt.shell import Shell
from foa.bus.port import Clock, Handle, Listener, Options
from foa.bus.virtual import VirtualClock

__all__ = ["Faults", "Forget", "Loss", "MemoryBus", "MemoryNetwork", "VirtualClock"]

LATENCY_S: Final = 0.0002  # one way
_LATE_FACTOR: Final = 20.0  # a reordered packet takes up to so many latencies longer
_MAX_LATE: Final = 64  # topics remembered as late before those already arrived are forgotten

Way = Literal["both", "up", "down"]
"""Which way a partition cuts a link: ``up`` is towards the broker."""


class Faults(msgspec.Struct, frozen=True):
    """How often what goes wrong: probabilities, and a range of seconds; see the module."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.0, 0.0)
    reorder: float = 0.0
    disconnect: float = 0.0


class Injected(msgspec.Struct):
    """How often what went wrong, so that a test can tell that it tested something."""

    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    disconnected: int = 0


class _Pipe:
    """One direction of a link."""

    __slots__ = ("_arrival", "_deliver", "_held", "_late", "_link", "_network", "_way")

    def __init__(self, network: "MemoryNetwork", link: "_Link", way: Way, deliver: Callable[[bytes], None]) -> None:
        self._network = network
        self._link = link
        self._way = way
        self._deliver = deliver
        self._held: list[Callable[[], None]] = []
        self._arrival = 0.0
        self._late: dict[bytes, float] = {}

    def send(self, data: bytes) -> None:
        """Carry `data`, whole packets, to the other end."""
        network, faults = self._network, self._network.faults
        if self._link.broken:
            return
        if faults.disconnect and network.rng.random() < faults.disconnect:
            network.injected.disconnected += 1
            self._link.sever("the link broke")
        elif faults.drop or faults.duplicate or faults.reorder or self._late:
            for packet in packets.split(data):
                if packet[0] & 0xF0 != packets.PUBLISH:
                    self.post(partial(self._deliver, packet))
                elif not self._carry(packet):
                    return
        else:
            self.post(partial(self._deliver, data))

    def post(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the other end, after everything posted before."""
        network = self._network
        self._arrival = max(self._arrival, network.clock.time() + network.travel())
        network.clock.call_at(self._arrival, partial(self._arrive, callback))

    def heal(self) -> None:
        """Let everything arrive that waited."""
        while self._held and not self._is_cut():
            self._held[0]()
            self._held.pop(0)

    def _arrive(self, callback: Callable[[], None]) -> None:
        """Let something arrive; while the network is partitioned it waits, as TCP's retransmissions do."""
        if self._held or self._is_cut():
            self._held.append(callback)
        else:
            callback()

    def _is_cut(self) -> bool:
        ways = self._network.ways_cut(self._link.client_id)
        return ways is not None and ways in {"both", self._way}

    def _carry(self, packet: bytes) -> bool:
        """Carry one PUBLISH; False if the link broke at it."""
        network, faults, rng = self._network, self._network.faults, self._network.rng
        reliable = packet[0] & 0x06
        if faults.drop and rng.random() < faults.drop:
            network.injected.dropped += 1
            if reliable:
                self._link.sever("the link broke")
            return not reliable
        self._publish(packet)
        if reliable and faults.duplicate and rng.random() < faults.duplicate:
            network.injected.duplicated += 1
            self._publish(packets.marked_duplicate(packet))
        return True

    def _publish(self, packet: bytes) -> None:
        """Deliver `packet` in order, or late; never before an earlier one of its topic."""
        network = self._network
        if not network.faults.reorder and not self._late:
            self.post(partial(self._deliver, packet))
            return
        start, end = packets.topic_span(packet)
        topic, now = packet[start:end], network.clock.time()
        late = network.rng.random() < network.faults.reorder
        network.injected.reordered += late
        if not late and self._late.get(topic, 0.0) <= now:
            self._late.pop(topic, None)
            self.post(partial(self._deliver, packet))
            return
        when = max(self._arrival, now + network.travel()) + late * network.rng.random() * _LATE_FACTOR * LATENCY_S
        when = max(when, self._late.get(topic, 0.0))
        if len(self._late) >= _MAX_LATE:
            self._late = {key: due for key, due in self._late.items() if due > now}
        self._late[topic] = when
        network.clock.call_at(when, partial(self._arrive, partial(self._deliver, packet)))


class _Link:
    """One connection attempt, and the connection if it succeeds. Each end learns of the other's end in order."""

    __slots__ = ("broken", "bus", "client_id", "connection", "down", "network", "up")

    def __init__(self, network: "MemoryNetwork", bus: "MemoryBus") -> None:
        self.network = network
        self.bus: MemoryBus | None = bus
        self.client_id = bus.options.client_id
        self.connection: Connection | None = None
        self.broken = False
        self.up = _Pipe(network, self, "up", self._at_broker)
        self.down = _Pipe(network, self, "down", self._at_client)

    def heal(self) -> None:
        """Let everything arrive that waited."""
        self.up.heal()
        self.down.heal()

    def accept(self) -> None:
        """Answer a dial that arrived at the broker."""
        network = self.network
        if self.bus is None:
            return
        if network.crashed:
            self.broken = True
            self.down.post(partial(self.lost_at_client, "connection refused"))
            return
        self.connection = network.broker.connect(network.clock.time())
        self.connection.peer = self
        self.down.post(self._opened)
        network.flush()

    def sever(self, reason: str) -> None:
        """Break it: what was posted arrives, then both ends learn; nothing written from now on arrives."""
        if not self.broken:
            self.broken = True
            self.down.post(partial(self.lost_at_client, reason))
            self.up.post(self.lost_at_broker)

    def lapse(self) -> None:
        """Have the broker give the client up, as at the end of its keep-alive; the client learns of it later."""
        if not self.broken:
            self.broken = True
            self.lost_at_broker()
            self.down.post(partial(self.lost_at_client, "the broker gave up waiting"))

    def hang_up(self) -> None:
        """Close the client's end."""
        self.bus = None
        if not self.broken:
            self.broken = True
            self.up.post(self.lost_at_broker)

    def lost_at_client(self, reason: str) -> None:
        """Tell the client."""
        bus, self.bus = self.bus, None
        self.network.forget(self)
        if bus is not None:
            bus.link_lost(self, reason)

    def lost_at_broker(self) -> None:
        """Tell the broker."""
        connection, self.connection = self.connection, None
        self.network.forget(self)
        if connection is not None:
            self.network.broker.lost(connection, self.network.clock.time())
            self.network.flush()

    def _opened(self) -> None:
        if self.bus is not None:
            self.bus.link_opened()

    def _at_broker(self, data: bytes) -> None:
        if self.connection is not None:
            self.network.broker.receive(self.connection, data, self.network.clock.time())
            self.network.flush()

    def _at_client(self, data: bytes) -> None:
        if self.bus is not None:
            self.bus.link_received(data)


class MemoryNetwork:
    """One broker and the links to it."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        faults: Faults | None = None,
        limits: Limits | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """`faults` may be replaced at any time, to let a storm end; `limits` and `users` are the broker's."""
        self.clock = clock
        self.rng = rng
        self.faults = faults or Faults()
        self.injected = Injected()
        self.broker = Broker(limits, users=users)
        self.crashed = False
        self._links: dict[int, _Link] = {}
        self._partitioned: dict[str, Way] = {}
        self._timer: Handle | None = None
        self._timer_at = float("inf")

    def attach(self, options: Options, listener: Listener) -> "MemoryBus":
        """Return a new bus for `listener`; it connects by itself, from the next turn on."""
        return MemoryBus(self, options, listener)

    def crash_broker(self, forget: Forget | Loss = "nothing") -> None:
        """Kill the broker: wills are never sent, and it comes back without what it should `forget`."""
        self.crashed = True
        for link in list(self._links.values()):
            link.connection = None
            link.sever("the broker closed the connection")
        self.broker.crash(self.clock.time(), LOSSES[forget] if isinstance(forget, str) else forget, self.rng)

    def restart_broker(self) -> None:
        """Start it again; clients come back in their own time."""
        self.crashed = False
        self._tick()

    def partition(self, client_id: str, way: Way = "both") -> None:
        """Let nothing through between `client_id` and the broker, or nothing one way; neither is told."""
        self._partitioned[client_id] = way

    def lapse(self, client_id: str) -> None:
        """Have the broker take `client_id` for dead now, whose link stands but says nothing."""
        for link in list(self._links.values()):
            if link.client_id == client_id:
                link.lapse()

    def heal(self, client_id: str) -> None:
        """Let everything through again, first what was under way."""
        self._partitioned.pop(client_id, None)
        for link in list(self._links.values()):
            if link.client_id == client_id:
                self.clock.call_at(self.clock.time(), link.heal)

    # For links and buses.

    def dial(self, bus: "MemoryBus") -> _Link:
        """Begin a link."""
        link = _Link(self, bus)
        self._links[id(link)] = link
        link.up.post(link.accept)
        return link

    def forget(self, link: _Link) -> None:
        """Let go of a link when both of its ends did."""
        if link.broken and link.connection is None and link.bus is None:
            self._links.pop(id(link), None)

    def ways_cut(self, client_id: str) -> Way | None:
        """Return which way nothing passes between `client_id` and the broker; None if everything does."""
        return self._partitioned.get(client_id) if self._partitioned else None

    def travel(self) -> float:
        """Return how long the next write takes."""
        low, high = self.faults.delay_s
        return LATENCY_S + (self.rng.uniform(low, high) if high else 0.0)

    def flush(self) -> None:
        """Carry away what the broker wants written, and set its timer."""
        broker = self.broker
        while broker.touched:
            batch = broker.touched[:]
            broker.touched.clear()
            for connection in batch:
                link: _Link = connection.peer
                data = connection.take()
                if data:
                    link.down.send(data)
                if connection.closing:
                    link.sever("the broker closed the connection")
                else:
                    broker.written(connection, self.clock.time())
        when = broker.deadline()
        if when is not None and when < self._timer_at:
            self._arm(when)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self.clock.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        if not self.crashed:
            self.broker.tick(self.clock.time())
            self.flush()


class MemoryBus(Shell):
    """A `port.Bus` without sockets; made by `MemoryNetwork.attach`."""

    def __init__(self, network: MemoryNetwork, options: Options, listener: Listener) -> None:
        """Connect from the next turn on. Raises BusError if `options` cannot be written as a CONNECT."""
        super().__init__(options, listener, network.clock, network.rng)
        self._network = network
        self._link: _Link | None = None
        self._soon(self._start)

    def close(self, *, will: bool = False) -> None:
        """Send what is queued as far as the window allows, say goodbye, and hang up."""
        self._stop(will=will)

    def abort(self) -> None:
        """Drop the link without a word, as a crash or a cut cable would; the bus then reconnects."""
        if self._link is not None:
            self._link.sever("the link broke")

    def link_opened(self) -> None:
        """See `Shell`."""
        self._opened()

    def link_received(self, data: bytes) -> None:
        """See `Shell`."""
        self._arrived(data)

    def link_lost(self, link: _Link, reason: str) -> None:
        """See `Shell`."""
        if link is self._link:
            self._link = None
            self._lost(reason)

    def _start(self) -> None:
        if not self._over:
            super()._start()

    def _dial(self) -> None:
        self._link = self._network.dial(self)

    def _write(self, data: bytes) -> None:
        if self._link is not None:
            self._link.up.send(data)

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.hang_up()

    def _soon(self, callback: Callable[[], None]) -> None:
        self._clock.call_at(self._clock.time(), callback)
