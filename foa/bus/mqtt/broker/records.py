"""Values the broker's modules pass to each other: its caps, its counters, connections and messages."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import mqtt5
import msgspec

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.rates import Allowance
from foa.errors import ConfigError

_MAX_TEMPLATES: Final = 8  # encodings of one message kept at a time


class Limits(msgspec.Struct, frozen=True):
    """Every cap of the broker. Sizes in bytes, times in seconds; what happens at each is told beside it."""

    max_packet_size: int = 1 << 20  # announced; a larger packet ends its connection (0x95)
    receive_maximum: int = 4096  # announced; we acknowledge at once, so nobody can exceed it
    max_in_flight: int = 32_768  # deliveries without PUBACK in one session; the rest waits in its queue
    max_queued: int = 100_000  # in one session; further ones are dropped for it, counted
    max_queued_bytes: int = 64 << 20  # in one session, with what is in flight
    max_held_bytes: int = 1 << 30  # in all sessions together; above it as with a full queue, for whoever is behind
    max_choke_bytes: int = 4 << 20  # unwritten output of one connection; above it QoS 1 waits, QoS 0 is dropped
    max_half_open: int = 1000  # connections without a CONNECT yet; beyond that the oldest of them is closed
    max_account_connections: int = 2000  # of one account, where there are accounts; a further one is refused (0x97)
    max_connects_per_s: float = 0.0  # of one Client ID, 0: as many as it likes; a further one is refused (0x9F)
    max_connects_burst: int = 20  # how many may come at once nevertheless
    max_messages_per_s: float = 0.0  # published by one client, 0: any; it is read more slowly, nothing is dropped
    max_bytes_per_s: float = 0.0  # published by one client, 0: any; as above
    rate_burst_s: float = 2.0  # how many seconds' worth of these may come at once
    max_will_bytes: int = 256 << 10  # a larger one refuses its connection (0x95)
    max_connections: int = 10_000  # a further one is refused (0x9F)
    max_sessions: int = 20_000  # a further one is refused (0x97)
    max_session_expiry_s: int = 7 * 86_400  # announced when a client asks for more
    max_keep_alive_s: int = 600  # announced when a client asks for more
    max_subscriptions: int = 50_000  # in one session; a further one gets 0x97
    max_retained: int = 500_000  # a further topic is delivered but not stored, its publisher told 0x97
    max_retained_bytes: int = 1 << 30
    max_topic_bytes: int = 1024
    max_topic_levels: int = 32
    connect_timeout_s: float = 10.0  # between a connection and its CONNECT
    restart_grace_s: float = 10.0  # after a restart from a store, before the wills of who was connected are published
    match_cache: int = 8192  # topics whose subscribers are remembered; forgotten all at once when full


def changed(words: Sequence[str]) -> Limits:
    """Return the limits with those in `words`, each ``name=number``; ConfigError for what is none."""
    values: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in Limits.__struct_fields__:
            names = ", ".join(Limits.__struct_fields__)
            raise ConfigError(f"--limit {word}: is no NAME=NUMBER with one of the names {names}")
        values[name] = value
    try:
        limits = msgspec.convert(values, Limits, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--limit {' '.join(words)}: {error}; give numbers") from error
    for name, value in values.items():
        if not 0 <= getattr(limits, name) < float("inf"):
            raise ConfigError(f"--limit {name}={value}: give a number of 0 or more")
    return limits


class Keeping(msgspec.Struct, frozen=True):
    """How a broker keeps what is to survive it."""

    offset: float = 0.0  # from the machine's time to the wall clock's, in seconds
    acks_wait: bool = True  # PUBACK and SUBACK are sent once what they confirm is written


class Loss(msgspec.Struct, frozen=True):
    """What a killed broker has forgotten when it is there again.

    What was removed or overwritten before the crash never comes back: a loss `since` a time takes away what came
    after it, it does not restore what was there before.
    """

    sessions: tuple[str, ...] | Literal["all"] = ()  # Client IDs: subscriptions, queue and all
    retained: float = 0.0  # the share of retained topics, chosen by a seeded rng; 1: all
    since: float | None = None  # sessions begun, subscriptions granted, messages arrived after this time


Forget = Literal["nothing", "sessions", "retained", "all"]
LOSSES: Final[dict[Forget, Loss]] = {
    "nothing": Loss(),
    "sessions": Loss(sessions="all"),
    "retained": Loss(retained=1.0),
    "all": Loss(sessions="all", retained=1.0),
}


class Stats(msgspec.Struct):
    """Plain counters since the start; nothing that is dropped goes uncounted."""

    connections: int = 0
    refused: int = 0
    taken_over: int = 0
    timed_out: int = 0
    malformed: int = 0
    denied_writes: int = 0  # publications of those who may not write there
    denied_wills: int = 0
    denied_subscriptions: int = 0
    published: int = 0
    delivered: int = 0
    redelivered: int = 0
    wills: int = 0
    dropped_slow: int = 0  # QoS 0 for a client that does not read
    dropped_offline: int = 0  # QoS 0 for a client that is away
    dropped_full: int = 0  # QoS 1 for a session whose queue is full
    dropped_expired: int = 0
    dropped_too_large: int = 0  # larger than the client takes
    dropped_unshared: int = 0  # of a shared subscription without members
    dropped_ended: int = 0  # undelivered in a session that ended
    retained_refused: int = 0
    sessions_ended: int = 0
    half_open_dropped: int = 0
    crowded: int = 0  # refused: too many connections of its account
    churning: int = 0  # refused: connects too often
    throttled: int = 0  # how often somebody was not read for a while
    overrun: int = 0  # dropped: did not even read answers
    held_bytes: int = 0  # now in queues and in flight
    stored: int = 0  # rows written to the store
    unreadable: int = 0  # rows found in the store that are no use
    store_failing: bool = False  # the last batch could not be written: what changes is in memory only


class Message:
    """One publication inside the broker, and the encodings made of it so far."""

    __slots__ = (
        "_bare",
        "_cut",
        "_raw",
        "_templates",
        "arrived_at",
        "expiry_s",
        "mentions",
        "number",
        "origin",
        "packet",
        "size",
    )

    def __init__(self, packet: mqtt5.PublishPacket, now: float, origin: str, raw: bytes = b"", cut: int = 0) -> None:
        """`origin` is the client that published it; `raw` and `cut` are what `packets.bare_cut` knows, if it does."""
        self.packet = packet
        self._cut = 0 if packet.retain else cut  # a stored message must not hold its payload twice
        self._raw = raw if self._cut else b""
        self._bare: packets.Template | None = None
        self.arrived_at = now
        self.origin = origin
        self.expiry_s = packet.message_expiry_interval
        self.size = len(packet.payload)
        self.number = self.mentions = 0  # the keeper's own
        self._templates: dict[tuple[int, bool, tuple[int, ...], int | None], packets.Template] = {}

    def expired(self, now: float) -> bool:
        """Tell whether its expiry has passed."""
        return self.expiry_s is not None and now - self.arrived_at >= self.expiry_s

    def template(self, qos: int, ids: tuple[int, ...], now: float, *, retain: bool) -> packets.Template:
        """Return the PUBLISH for receivers with these options: encoded once, whoever many they are."""
        if qos and self._cut and not ids:
            if self._bare is None:
                self._bare = packets.forward_bare(self._raw, self._cut)
            return self._bare
        left = None if self.expiry_s is None else max(0, self.expiry_s - int(now - self.arrived_at))
        key = (qos, retain, ids, left)
        template = self._templates.get(key)
        if template is None:
            template = packets.forward(self.packet, qos, retain=retain, expiry_s=left, ids=ids)
            if self.packet.retain:
                return template  # a stored message must not hold its payload twice
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[key] = template
        return template


class Connection:
    """One transport as the machine sees it: what it said about itself, and what is to be written to it."""

    __slots__ = (
        "_max_choke",
        "_touched",
        "allowance",
        "certified",
        "client_id",
        "closing",
        "heard_at",
        "keep_alive_s",
        "max_packet_size",
        "out",
        "out_bytes",
        "paused",
        "peer",
        "reader",
        "rest_until",
        "session",
    )

    def __init__(self, limits: Limits, touched: "list[Connection]", now: float, certified: str = "") -> None:
        """Whenever output begins to wait, the connection puts itself into `touched`."""
        self.certified = certified  # the name in the client's certificate, where the shell checked one
        self.reader = packets.Reader(limits.max_packet_size, [])
        self.client_id: str | None = None
        self.session: Any = None  # the machine's own: the `sessions.Session` that it was accepted for
        self.closing = False
        self.heard_at = now
        self.keep_alive_s = 0.0
        self.rest_until = 0.0  # the shell reads nothing from it before
        self.allowance: Allowance | None = None
        if limits.max_messages_per_s or limits.max_bytes_per_s:
            self.allowance = Allowance(limits.max_messages_per_s, limits.max_bytes_per_s, limits.rate_burst_s, now)
        self.max_packet_size: int | None = None
        self.out: list[bytes] = []
        self.out_bytes = 0
        self.paused = False
        self.peer: Any = None  # the shell's own: its transport
        self._touched = touched
        self._max_choke = limits.max_choke_bytes

    @property
    def choked(self) -> bool:
        """Whether the client reads more slowly than we write."""
        return self.paused or self.out_bytes > self._max_choke

    def send(self, data: bytes) -> None:
        """Queue a packet; after `close` there are none."""
        if self.closing:
            return
        if not self.out:
            self._touched.append(self)
        self.out.append(data)
        self.out_bytes += len(data)

    def send_publish(self, template: packets.Template, packet_id: int, *, duplicate: bool = False) -> None:
        """Queue a QoS 1 PUBLISH without copying its payload."""
        if not self.out:
            self._touched.append(self)
        head = packets.marked_duplicate(template.head) if duplicate else template.head
        self.out += (head, packet_id.to_bytes(2, "big"), template.tail)
        self.out_bytes += template.size

    def close(self) -> None:
        """Close once the output is written."""
        if not self.out and not self.closing:
            self._touched.append(self)
        self.closing = True

    def take(self) -> bytes:
        """Return what is to be written."""
        data = b"".join(self.out)
        self.out.clear()
        self.out_bytes = 0
        return data
