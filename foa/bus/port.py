"""The bus, as the rest of foa sees it. Nothing above this file knows an MQTT packet.

The contract, held by `tests/bus` for every implementation:

* **A bus belongs to one listener**, given before it connects; therefore a replay of a resumed session
  can never arrive before somebody is there to take it.
* **Calls return at once.** `publish`, `subscribe` and `unsubscribe` queue; the outcome is told later
  through the callback given with the call. Callbacks and listener methods run one at a time, never
  inside the call that caused them, and must not block.
* **At least once.** A QoS 1 frame is kept until the broker acknowledged it, over reconnects, resent with
  DUP; its receipt is the broker's reason code (0 taken, 0x10 taken but nobody subscribes, >= 0x80
  refused). A receipt proves nothing about the receiver: only the application's own reply does. A frame
  whose expiry passes while it waits is dropped with receipt 0x83, one that a new broker finds too large
  with 0x95. The receipt of QoS 0 is 0 once sent.
* **The receiver acknowledges.** A QoS 1 delivery stays the broker's until `Delivery.ack` is called; call
  it once the effect is durable. Unacknowledged deliveries come again after a reconnect, and at most
  ``receive_maximum`` of them are outstanding: that is the back-pressure.
* **Order.** Frames of one publisher on one topic arrive in the order published, but for redeliveries.
* **Reconnects are the bus's own business**: with back-off and jitter, session kept, subscriptions made
  again at every one. The listener hears of it through `connected` and `disconnected`.
* **Bounded.** Above ``max_queued`` waiting frames `publish` raises BusError; `backlog` tells how many
  wait, and `Listener.drained` that it fell below half of that.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from foa.wire.envelope import Frame

Receipt = Callable[[int], None]


class Subscription(msgspec.Struct, frozen=True):
    """One topic filter. ``qos`` is the most the broker may deliver with; ``no_local`` leaves out own frames.

    ``retained``: 0 send retained frames at every subscribe, 1 only if new, 2 never.
    """

    pattern: str
    qos: int = 1
    no_local: bool = False
    retained: int = 0
    identifier: int | None = None


class Facts(msgspec.Struct, frozen=True):
    """What the broker announced in its CONNACK."""

    session_present: bool = False
    receive_maximum: int = 65_535
    maximum_packet_size: int | None = None
    shared_subscriptions: bool = True
    subscription_identifiers: bool = True
    retain_available: bool = True
    keep_alive_s: int = 0


class Delivery(Protocol):
    """A frame that arrived; ``frame.retain`` is true when it is a stored one, sent because we subscribed."""

    frame: Frame
    duplicate: bool
    subscription_ids: tuple[int, ...]

    def ack(self) -> None:
        """Tell the broker that the effect is durable. No effect for QoS 0, twice, or after a reconnect."""


class Listener(Protocol):
    """Who owns a bus; called by it, one call at a time."""

    def connected(self, facts: Facts) -> None:
        """Hear that the session is up (again); subscriptions stand, or the bus is making them again."""

    def delivered(self, delivery: Delivery) -> None:
        """Take a frame that arrived."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Hear that the connection ended. ``final``: the bus will not try again (refused, taken over, closed)."""

    def turned(self) -> None:
        """All that had arrived was told; what is published now leaves in the same write."""

    def drained(self) -> None:
        """Hear that the backlog fell below half of ``max_queued``, after a `publish` was refused above it."""


class Bus(Protocol):
    """One MQTT session."""

    @property
    def backlog(self) -> int:
        """How many frames wait to be sent or acknowledged."""

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        """Queue `frame`. Raises BusError above ``max_queued``, TooLarge if it is larger than the broker takes."""

    def subscribe(
        self, subscriptions: Sequence[Subscription], granted: Callable[[tuple[int, ...]], None] | None = None
    ) -> None:
        """Ask for all `subscriptions`; `granted` gets one reason code each. Kept over reconnects."""

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """Give up `patterns`."""


class Session(Bus, Protocol):
    """A bus that is opened and closed by its owner; what a host runs a node on."""

    async def open(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the deadline is part of the error
        """Connect, and return once the broker said yes; reconnecting is the bus's own business from then on.

        Raises Refused if the broker says no for good, BusError if `timeout` seconds pass without a yes.
        """

    async def close(self, *, will: bool = False) -> None:
        """Wait a moment for what is queued, say goodbye, and hang up; with `will` the broker publishes the will."""

    def abort(self) -> None:
        """Drop the connection without a word, as a crash or a cut cable would; the bus then reconnects."""


class Will(msgspec.Struct, frozen=True):
    """What the broker publishes when this session ends without a goodbye, ``delay_s`` later."""

    frame: Frame
    delay_s: int = 0


class Tls(msgspec.Struct, frozen=True):
    """The PEM files of an encrypted connection: authorities ("": the system's), own certificate and its key."""

    ca: str = ""
    cert: str = ""
    key: str = ""


class Options(msgspec.Struct, frozen=True):
    """How one session connects. Times in seconds, sizes in bytes; see `foa.settings` for the defaults in use.

    ``tls`` None is a plain connection.
    """

    client_id: str
    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    will: Will | None = None
    clean_start: bool = False
    session_expiry_s: int = 3600
    keep_alive_s: int = 10
    receive_maximum: int = 1024
    maximum_packet_size: int = 1 << 20
    max_queued: int = 10_000
    connect_timeout_s: float = 5.0
    backoff_min_s: float = 0.05
    backoff_max_s: float = 2.0
    tls: Tls | None = None

    def __repr__(self) -> str:
        """Show where and as whom, never the password."""
        return f"Options({self.client_id!r}, {self.host!r}, {self.port}, username={self.username!r}, tls={self.tls!r})"


class Handle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Call it off; no effect once it fired."""


class Clock(Protocol):
    """Time as the shells see it: an asyncio loop has this shape, and so has the virtual one of tests."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        """Call `callback` at `when`."""
