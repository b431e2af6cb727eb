"""The broker about itself: what a subscriber to ``$SYS/broker/...`` is shown, as retained messages made when it asks.

Each value is a number in text, as other brokers have it. Nothing is published by a timer: who wants news asks again.
"""

from collections.abc import Mapping
from typing import Final

import mqtt5

from foa.bus.mqtt.broker.records import Limits, Message, Stats
from foa.bus.mqtt.broker.routing.retained import RetainedStore
from foa.bus.mqtt.broker.sessions import Session

ROOT: Final = "$SYS/broker"
_COUNTED: Final = {
    "messages/received": "published",
    "messages/sent": "delivered",
    "messages/dropped/slow": "dropped_slow",
    "messages/dropped/offline": "dropped_offline",
    "messages/dropped/full": "dropped_full",
    "messages/dropped/expired": "dropped_expired",
    "messages/dropped/denied": "denied_writes",
    "messages/dropped/ended": "dropped_ended",
    "messages/held/bytes": "held_bytes",
    "clients/refused": "refused",
    "clients/throttled": "throttled",
    "store/failing": "store_failing",
}
"""Topic below the root, and the counter in `Stats`."""


def report(
    stats: Stats, sessions: Mapping[str, Session], retained: RetainedStore, lag: int | None, now: float
) -> RetainedStore:
    """Return counters and sizes as retained messages; `lag` is how many changes are not in the store yet."""
    values = {topic: int(getattr(stats, name)) for topic, name in _COUNTED.items()}
    values["clients/connected"] = sum(session.connection is not None for session in sessions.values())
    values["sessions/count"] = len(sessions)
    values["retained messages/count"] = retained.count
    values["retained messages/bytes"] = retained.size
    if lag is not None:
        values["store/lag"] = lag
    store = RetainedStore(Limits())
    for topic, value in values.items():
        packet = mqtt5.PublishPacket(f"{ROOT}/{topic}", str(value).encode(), retain=True)
        store.put(Message(packet, now, ""))
    return store
