"""A broker with a store in memory that may be killed at any moment, and what can be seen of a broker."""

from collections.abc import Iterable
from typing import Any

from foa.bus.mqtt.broker.keeping.forms import Ident, Row
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Keeping, Limits


class Drawer:
    """A store in memory: what was written before the broker was killed."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Ident], bytes] = {}

    def write(self, rows: Iterable[Row]) -> None:
        for kind, ident, body in rows:
            if body is None:
                self.rows.pop((kind, ident), None)
            else:
                self.rows[kind, ident] = body

    def take(self, broker: Broker) -> None:
        """Write what `broker` has noted."""
        assert broker.ledger is not None
        self.write(broker.ledger.take())
        broker.ledger.written(done=True)

    def broker(self, now: float = 0.0, offset: float = 0.0, limits: Limits | None = None) -> Broker:
        """Return a broker that begins with what is here."""
        broker = Broker(limits, None, Keeping(offset))
        broker.restore([(kind, ident, body) for (kind, ident), body in self.rows.items()], now)
        return broker

    def kinds(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for kind, _ in self.rows:
            found[kind] = found.get(kind, 0) + 1
        return found


def picture(broker: Broker, now: float) -> dict[str, Any]:
    """Return what a client could find out of sessions that outlive their connections, and of what is retained."""
    lasting = {name: session for name, session in broker.sessions.items() if session.expiry_s}

    def seen(item: Any) -> tuple[Any, ...]:
        return item.message.packet.payload, item.qos, item.retain, item.ids, item.group and item.group.pattern

    return {
        "retained": {one.packet.topic: one.packet.payload for one in broker.router.retained.matching("#", now)},
        "sessions": {
            name: {
                "expires": session.expires_at,
                "grants": {
                    grant.pattern: (grant.qos, grant.identifiers, grant.no_local, grant.retain_as_published)
                    for grant in session.grants.values()
                },
                "in flight": {number: seen(item) for number, item in session.inflight.items()},
                "queue": [seen(item) for item in session.queue if item.qos and not item.message.expired(now)],
            }
            for name, session in sorted(lasting.items())
        },
        "waiting": {
            pattern: sorted(
                item.message.packet.payload for item in group._waiting if not item.message.expired(now)
            )  # any order will do
            for session in lasting.values()
            for pattern in sorted(session.grants)
            if (group := broker.router.group(pattern)) is not None
        },
    }
