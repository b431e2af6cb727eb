"""What the broker keeps for one client over its connections: subscriptions, a queue, deliveries in flight.

The router hands it `Item`s; it sends them within the client's receive maximum, keeps the rest in order,
and sends again after a reconnect what was not acknowledged.
"""

from collections import deque
from typing import Final, Protocol

from foa.bus.mqtt.broker.ports import Identity
from foa.bus.mqtt.broker.records import Connection, Limits, Message, Stats

MAX_PACKET_ID: Final = 65_535
ITEM_OVERHEAD: Final = 256  # what a queued item costs beside its payload, about


class Sharing(Protocol):
    """A shared subscription as its members' sessions know it; see `sharing.Group`."""

    pattern: str

    @property
    def empty(self) -> bool:
        """Whether it has no members."""

    def deliver(self, message: Message, now: float) -> bool:
        """Give `message` to a member."""

    def flush(self, now: float) -> None:
        """Deliver what waits."""

    def leave(self, session: "Session") -> None:
        """Remove a member."""

    def noted(self, item: "Item") -> None:
        """Note that `item` waits for any member."""

    def done(self, item: "Item") -> None:
        """Note that it waits no more."""


class Keeper(Protocol):
    """What notes which changes must survive the broker; see `keeping.ledger.Ledger`."""

    def session(self, session: "Session") -> None:
        """Note that `session` changed."""

    def ended(self, session: "Session") -> None:
        """Note that `session` ended."""

    def granted(self, grant: "Grant") -> None:
        """Note a subscription."""

    def revoked(self, grant: "Grant") -> None:
        """Note its end."""

    def retained(self, topic: str, message: Message | None) -> None:
        """Note what is retained for `topic` now."""

    def delivery(self, client_id: str, item: "Item", packet_id: int) -> None:
        """Note that `item` waits (packet_id 0), or is in flight."""

    def delivered(self, item: "Item") -> None:
        """Note that `item` needs no more delivery."""


class Grant:
    """One subscription as granted."""

    __slots__ = ("granted_at", "group", "identifiers", "no_local", "pattern", "qos", "retain_as_published", "session")

    def __init__(self, session: "Session", pattern: str, qos: int, identifier: int | None, now: float) -> None:
        """`pattern` is the whole filter, with ``$share/group/`` if there is one."""
        self.granted_at = now
        self.session = session
        self.pattern = pattern
        self.qos = qos
        self.no_local = False
        self.retain_as_published = False
        self.identifiers: tuple[int, ...] = () if identifier is None else (identifier,)
        self.group: Sharing | None = None


class Item:
    """One message for one session: how it is to be delivered, and for which group if it is shared."""

    __slots__ = ("group", "ids", "kept", "message", "number", "packet_id", "qos", "retain")

    def __init__(
        self, message: Message, qos: int, ids: tuple[int, ...], group: Sharing | None, *, retain: bool
    ) -> None:
        """`qos` is the lower of publication and subscription."""
        self.message = message
        self.qos = qos
        self.ids = ids
        self.group = group
        self.retain = retain
        self.number = self.packet_id = 0  # the keeper's own, as is `kept`
        self.kept = False


class Session:
    """One client's session. The machine attaches and detaches connections."""

    def __init__(self, identity: Identity, now: float, limits: Limits, stats: Stats) -> None:
        """Start empty and detached; it belongs to `identity` for good."""
        self.keeper: Keeper | None = None  # set where the session is to survive the broker
        self.identity = identity
        self.client_id = identity.client_id
        self.begun_at = now
        self.writable: dict[str, bool] = {}  # the router's own: what this identity may write, as far as it was asked
        self.connection: Connection | None = None
        self.grants: dict[str, Grant] = {}
        self.inflight: dict[int, Item] = {}
        self.queue: deque[Item] = deque()
        self.expiry_s = 0
        self.expires_at: float | None = None
        self.will: Message | None = None
        self.will_delay_s = 0
        self.will_at: float | None = None
        self.watched_at: float | None = None
        self._bytes = 0  # of all items in the queue and in flight
        self._window = 0
        self._last_id = 0
        self._limits = limits
        self._stats = stats

    @property
    def ready(self) -> bool:
        """Whether an item would be sent at once."""
        connection = self.connection
        return connection is not None and not self.queue and len(self.inflight) < self._window and not connection.choked

    @property
    def full(self) -> bool:
        """Whether it takes no more: its own queue is full, or all sessions together hold too much and it is behind."""
        limits = self._limits
        if len(self.queue) >= limits.max_queued or self._bytes >= limits.max_queued_bytes:
            return True
        return self._stats.held_bytes >= limits.max_held_bytes and bool(self.inflight or self.queue)

    def attach(self, connection: Connection, receive_maximum: int, now: float) -> None:
        """Deliver over `connection` from now on: first again what is in flight, marked DUP, then what waits."""
        self.connection = connection
        self._window = min(receive_maximum, self._limits.max_in_flight)
        again, self.inflight = self.inflight, {}
        for packet_id, item in again.items():
            if len(self.inflight) < self._window:
                self._send(item, packet_id, now, duplicate=True)
        # A client that came back with a smaller window: the rest goes first in the queue, under new identifiers.
        for item in reversed([item for packet_id, item in again.items() if packet_id not in self.inflight]):
            if self._too_large(item, now):
                self._done(item)
            else:
                self._put(item, first=True)
        self.pump(now)

    def deliver(self, item: Item, now: float) -> bool:
        """Send `item` or queue it; False if it was dropped (counted)."""
        if not item.qos:
            return self._deliver_unacknowledged(item, now)
        if self.full:
            self._stats.dropped_full += 1
            return False
        self._hold(item)
        if self.ready:
            self._send(item, self._next_id(), now)
        else:
            self._put(item)
        return True

    def replay(self, item: Item, now: float) -> None:
        """Deliver a retained message; above the queue's cap too, for the retained store has its own."""
        if not item.qos and self.ready:
            self._deliver_unacknowledged(item, now)
            return
        self._hold(item)
        if self.ready:
            self._send(item, self._next_id(), now)
        else:
            self._put(item)

    def acknowledged(self, packet_id: int, now: float) -> None:
        """Take a PUBACK; one for nothing in flight changes nothing."""
        item = self.inflight.pop(packet_id, None)
        if item is None:
            return
        self._done(item)
        if self.queue:
            self.pump(now)

    def pump(self, now: float) -> None:
        """Send what waits, as far as the window and the transport allow."""
        connection, queue = self.connection, self.queue
        while queue and connection is not None and len(self.inflight) < self._window and not connection.choked:
            item = queue.popleft()
            if item.message.expired(now):
                self._stats.dropped_expired += 1
                self._done(item)
            elif item.qos:
                self._send(item, self._next_id(), now)
            else:
                self._done(item)
                self._deliver_unacknowledged(item, now)

    def surrender(self) -> list[Item]:
        """Give up and return, in order, everything that belongs to shared subscriptions."""
        shared = [item for item in self.inflight.values() if item.group is not None]
        shared += [item for item in self.queue if item.group is not None]
        if shared:
            for item in shared:
                self._done(item)
            self.inflight = {key: item for key, item in self.inflight.items() if item.group is None}
            self.queue = deque(item for item in self.queue if item.group is None)
        return shared

    def lose(self, since: float) -> None:
        """Forget, while detached, the messages that arrived after `since`."""
        for item in (*self.inflight.values(), *self.queue):
            if item.message.arrived_at > since:
                self._done(item)
        self.inflight = {key: item for key, item in self.inflight.items() if item.message.arrived_at <= since}
        self.queue = deque(item for item in self.queue if item.message.arrived_at <= since)

    def clear(self) -> int:
        """Drop everything; return how much that was."""
        items = [*self.inflight.values(), *self.queue]
        for item in items:
            self._done(item)
        self.inflight.clear()
        self.queue.clear()
        return len(items)

    def restored(self, item: Item, packet_id: int) -> None:
        """Take back, in order, what was in flight as `packet_id` or (0) in the queue before the broker ended."""
        self._hold(item)
        if packet_id:
            self.inflight[packet_id] = item
        else:
            self._put(item)

    def _put(self, item: Item, *, first: bool = False) -> None:
        if first:
            self.queue.appendleft(item)
        else:
            self.queue.append(item)
        if item.qos:
            self._note(item, 0)

    def _hold(self, item: Item) -> None:
        """Take `item` into this session, whether it waits or is in flight."""
        size = item.message.size + ITEM_OVERHEAD
        self._bytes += size
        self._stats.held_bytes += size

    def _note(self, item: Item, packet_id: int) -> None:
        """Note that `item` is to be delivered: if the session does not survive the broker, by others of its group."""
        if self.keeper is not None:
            self.keeper.delivery(self.client_id, item, packet_id)
        elif item.group is not None:
            item.group.noted(item)

    def _done(self, item: Item) -> None:
        """Let `item` leave this session."""
        size = item.message.size + ITEM_OVERHEAD
        self._bytes -= size
        self._stats.held_bytes -= size
        if self.keeper is not None:
            self.keeper.delivered(item)
        elif item.group is not None:
            item.group.done(item)

    def _deliver_unacknowledged(self, item: Item, now: float) -> bool:
        connection = self.connection
        if connection is None:
            self._stats.dropped_offline += 1
            return False
        if connection.choked:
            self._stats.dropped_slow += 1
            return False
        if not self._too_large(item, now):
            connection.send(item.message.template(0, item.ids, now, retain=item.retain).head)
            self._stats.delivered += 1
        return True

    def _send(self, item: Item, packet_id: int, now: float, *, duplicate: bool = False) -> None:
        connection = self.connection
        assert connection is not None
        if connection.max_packet_size is not None and self._too_large(item, now):
            self._done(item)
            return
        self.inflight[packet_id] = item
        if not duplicate:
            self._note(item, packet_id)
        template = item.message.template(1, item.ids, now, retain=item.retain)
        connection.send_publish(template, packet_id, duplicate=duplicate)
        self._stats.delivered += 1
        self._stats.redelivered += duplicate

    def _too_large(self, item: Item, now: float) -> bool:
        """Tell, and count, whether the client takes no packet of that size: it is then as good as delivered."""
        assert self.connection is not None
        limit = self.connection.max_packet_size
        if limit is None or item.message.template(item.qos, item.ids, now, retain=item.retain).size <= limit:
            return False
        self._stats.dropped_too_large += 1
        return True

    def _next_id(self) -> int:
        packet_id = self._last_id
        while True:
            packet_id = packet_id % MAX_PACKET_ID + 1
            if packet_id not in self.inflight:
                self._last_id = packet_id
                return packet_id
