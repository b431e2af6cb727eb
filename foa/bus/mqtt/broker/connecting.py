"""The broker's door: who is let in, how many at once, and how often."""

from collections import Counter
from collections.abc import Mapping

import mqtt5

from foa.bus.mqtt.broker import admission
from foa.bus.mqtt.broker.ports import Access, Identity
from foa.bus.mqtt.broker.rates import Rates
from foa.bus.mqtt.broker.records import Connection, Limits, Stats
from foa.bus.mqtt.broker.sessions import Session

_ConnAck = mqtt5.ConnAckReasonCode


class Door:
    """What the machine asks before it takes a CONNECT."""

    def __init__(
        self,
        limits: Limits,
        stats: Stats,
        access: Access | None,
        users: Mapping[str, str] | None,
        sessions: Mapping[str, Session],
    ) -> None:
        """Without `access` whoever comes is nobody in particular; with `users` it must be one of them."""
        self._limits = limits
        self._stats = stats
        self._access = access
        self._users = users
        self._sessions = sessions
        self._waiting: dict[int, Connection] = {}
        self._inside: Counter[str] = Counter()
        self._churn = Rates(limits.max_connects_per_s, limits.max_connects_burst)
        self._serial = 0

    def opened(self, connection: Connection) -> Connection | None:
        """Take a transport without a CONNECT yet; return the oldest such one if there are too many."""
        self._waiting[id(connection)] = connection
        if len(self._waiting) <= self._limits.max_half_open:
            return None
        self._stats.half_open_dropped += 1
        return self._waiting.pop(next(iter(self._waiting)))

    def spoke(self, connection: Connection) -> None:
        """Take that its CONNECT came, or that it ended."""
        self._waiting.pop(id(connection), None)

    def entered(self, who: Identity) -> None:
        """Count a connection of an account."""
        self._inside[who.account] += 1

    def left(self, who: Identity) -> None:
        """Count its end."""
        self._inside[who.account] -= 1
        if not self._inside[who.account]:
            del self._inside[who.account]

    def refusal(self, packet: mqtt5.ConnectPacket, certified: str, now: float) -> mqtt5.ConnAckReasonCode | None:
        """Return why `packet` is refused; None if it is welcome. Whoever is refused anyway costs no one's allowance."""
        refusal = admission.refusal(packet, self._limits, self._users)
        if refusal is None and self._access is not None:
            refusal = self._access.refusal(packet, certified)
        return refusal or self._excess(packet, self.identity(packet, certified), now)

    def identity(self, packet: mqtt5.ConnectPacket, certified: str) -> Identity:
        """Return whom a CONNECT speaks for; a client without an identifier is given one."""
        account = "" if self._access is None else certified or packet.username or ""
        if packet.client_id:
            return Identity(account, packet.client_id)
        while (name := f"auto-{self._serial}") in self._sessions:
            self._serial += 1
        return Identity(account, name)

    def _excess(self, packet: mqtt5.ConnectPacket, who: Identity, now: float) -> mqtt5.ConnAckReasonCode | None:
        """Return which cap or right of `who` speaks against it."""
        limits, access, will = self._limits, self._access, packet.will
        if will is not None and len(will.payload or b"") > limits.max_will_bytes:
            return _ConnAck.PACKET_TOO_LARGE
        if will is not None and access is not None and not access.may_write(who, will.topic):
            self._stats.denied_wills += 1
            return _ConnAck.NOT_AUTHORIZED
        session = self._sessions.get(who.client_id)
        again = session is not None and session.connection is not None and session.identity == who
        if who.account and not again and self._inside[who.account] >= limits.max_account_connections:
            self._stats.crowded += 1
            return _ConnAck.QUOTA_EXCEEDED
        if not self._churn.allows(who.client_id, now):
            self._stats.churning += 1
            return _ConnAck.CONNECTION_RATE_EXCEEDED
        return None
