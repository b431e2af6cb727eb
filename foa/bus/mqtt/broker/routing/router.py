"""Who gets what: subscriptions, the cache of matches, retained messages, and the fan-out of a publication.

The machine calls it with decoded packets of known sessions. Delivery to overlapping subscriptions of one
session is one copy, with the highest QoS and all identifiers, as MQTT 5 allows (3.3.4).
"""

from typing import Final

import mqtt5

from foa.bus.mqtt.broker import topics
from foa.bus.mqtt.broker.ports import Access
from foa.bus.mqtt.broker.records import Limits, Message, Stats
from foa.bus.mqtt.broker.routing.retained import RetainedStore
from foa.bus.mqtt.broker.routing.sharing import Group
from foa.bus.mqtt.broker.sessions import Grant, Item, Keeper, Session

NOT_AUTHORIZED: Final = 0x87
NO_SUBSCRIBERS: Final = 0x10
NO_SUBSCRIPTION: Final = 0x11
TOPIC_INVALID: Final = 0x90
FILTER_INVALID: Final = 0x8F
QUOTA: Final = 0x97
_NEW_ONLY: Final = mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS
_NEVER: Final = mqtt5.RetainHandling.SEND_NEVER
_MAX_WRITABLE: Final = (
    1024  # topics of which a session knows whether it may write them; forgotten all at once when full
)


class _Target:
    """One session among the receivers of a topic, its overlapping grants made one."""

    __slots__ = ("ids", "no_local", "qos", "retain_as_published", "session")

    def __init__(self, grant: Grant) -> None:
        self.session = grant.session
        self.qos = grant.qos
        self.no_local = grant.no_local
        self.retain_as_published = grant.retain_as_published
        self.ids: tuple[int, ...] = grant.identifiers

    def widen(self, grant: Grant) -> None:
        self.qos = max(self.qos, grant.qos)
        self.no_local = self.no_local and grant.no_local
        self.retain_as_published = self.retain_as_published or grant.retain_as_published
        self.ids += grant.identifiers


_Matched = tuple[tuple[_Target, ...], tuple[Group, ...]]


class Router:
    """Subscriptions of all sessions, and the retained messages."""

    def __init__(self, limits: Limits, stats: Stats, access: Access | None, keeper: Keeper | None) -> None:
        """Start empty. Without `access` everybody may write and hear everything; without `keeper` nothing survives."""
        self.retained = RetainedStore(limits, keeper)
        self._keeper = keeper
        self._access = access
        self._limits = limits
        self._stats = stats
        self._grants: topics.FilterTree[Grant] = topics.FilterTree()
        self._groups: topics.FilterTree[Group] = topics.FilterTree()
        self._cache: dict[str, _Matched] = {}

    def publish(self, message: Message, now: float) -> int:
        """Deliver and store `message`; return the reason code for its PUBACK."""
        packet = message.packet
        matched = self._cache.get(packet.topic)
        if matched is None:
            limits = self._limits
            if not topics.valid_topic(packet.topic, limits.max_topic_bytes, limits.max_topic_levels):
                return TOPIC_INVALID
            matched = self._match(packet.topic)
        self._stats.published += 1
        kept = True
        if packet.retain:
            kept = self.retained.put(message)
            self._stats.retained_refused += not kept
        taken, offered = self._fan_out(message, matched, now)
        if not kept or (offered and not taken):
            return QUOTA  # not stored, or nobody's queue had room: the publisher may try again
        return 0 if offered or packet.retain else NO_SUBSCRIBERS

    def may_write(self, session: Session, topic: str) -> bool:
        """Tell whether `session` may publish on `topic`."""
        access = self._access
        if access is None:
            return True
        known = session.writable.get(topic)
        if known is None:
            if len(session.writable) >= _MAX_WRITABLE:
                session.writable.clear()
            known = session.writable[topic] = access.may_write(session.identity, topic)
        return known

    def forget_matches(self) -> None:
        """Find the hearers of every topic anew: what they may hear has changed."""
        self._cache.clear()

    def subscribe(
        self, session: Session, wanted: mqtt5.TopicFilter, identifier: int | None, now: float
    ) -> tuple[int, Grant | None]:
        """Grant `wanted`; return the reason code for the SUBACK, and the grant if `replay` is due after it."""
        limits, pattern = self._limits, wanted.pattern
        share = topics.shared(pattern) if pattern.startswith(topics.SHARE) else ("", pattern)
        if share is None or not topics.valid_filter(share[1], limits.max_topic_bytes, limits.max_topic_levels):
            return FILTER_INVALID, None
        name, inner = share
        if self._access is not None and not self._access.may_ask(session.identity, inner):
            self._stats.denied_subscriptions += 1
            return NOT_AUTHORIZED, None
        known = pattern in session.grants
        wants_stored = wanted.retain_handling is not _NEVER and not (known and wanted.retain_handling is _NEW_ONLY)
        replayed = wants_stored and not name  # a shared subscription gets no retained messages [MQTT-3.3.1-9]
        if (not known and len(session.grants) >= limits.max_subscriptions) or (replayed and session.full):
            return QUOTA, None
        grant = Grant(session, pattern, min(1, int(wanted.max_qos)), identifier, now)
        grant.no_local, grant.retain_as_published = wanted.no_local, wanted.retain_as_published
        self.enter(grant, name, inner)
        if session.keeper is not None:
            session.keeper.granted(grant)
        return grant.qos, grant if replayed else None

    def replay(self, grant: Grant, now: float, stored: RetainedStore | None = None) -> None:
        """Deliver the retained messages (or those `stored`) that a new grant asks for."""
        session, ids = grant.session, grant.identifiers
        for message in (stored or self.retained).matching(grant.pattern, now):
            if not self._may_hear(session, message.packet.topic):
                continue
            qos = min(int(message.packet.qos), grant.qos)
            session.replay(Item(message, qos, ids, None, retain=True), now)

    def unsubscribe(self, session: Session, pattern: str) -> int:
        """Take `pattern` back; return the reason code for the UNSUBACK."""
        grant = session.grants.pop(pattern, None)
        if grant is None:
            return NO_SUBSCRIPTION
        self._leave(grant)
        return 0

    def away(self, session: Session, now: float) -> None:
        """Give what a disconnected session holds for groups to their other members."""
        for item in session.surrender():
            if item.group is not None:
                item.group.deliver(item.message, now)

    def back(self, session: Session, now: float) -> None:
        """Deliver what waits for groups in which `session`, just connected, is a member."""
        for grant in session.grants.values():
            if grant.group is not None:
                grant.group.flush(now)

    def forget(self, session: Session, now: float) -> None:
        """Take back all subscriptions of a session that ended; its undelivered items are lost, counted."""
        items = session.surrender()
        for grant in session.grants.values():
            self._leave(grant)
        session.grants.clear()
        for item in items:
            if item.group is not None:
                item.group.deliver(item.message, now)
        self._stats.dropped_ended += session.clear()

    def group(self, pattern: str) -> Group | None:
        """Return the group of a shared subscription, whole filter; None if it has no members."""
        share = topics.shared(pattern)
        return None if share is None else self._groups.get(share[1], share[0])

    def _fan_out(self, message: Message, matched: _Matched, now: float) -> tuple[int, int]:
        """Return how many receivers took `message`, and to how many it was offered."""
        packet = message.packet
        targets, groups = matched
        qos, retain, origin = int(packet.qos), packet.retain, message.origin
        taken = offered = 0
        for target in targets:
            if target.no_local and target.session.client_id == origin:
                continue
            offered += 1
            item = Item(message, min(qos, target.qos), target.ids, None, retain=retain and target.retain_as_published)
            taken += target.session.deliver(item, now) or not item.qos
        for group in groups:
            offered += 1
            taken += group.deliver(message, now) or not qos
        return taken, offered

    def _match(self, topic: str) -> _Matched:
        targets: dict[str, _Target] = {}
        for grant in self._grants.match(topic):
            if not self._may_hear(grant.session, topic):
                continue
            target = targets.get(grant.session.client_id)
            if target is None:
                targets[grant.session.client_id] = _Target(grant)
            else:
                target.widen(grant)
        groups = tuple(group for group in self._groups.match(topic) if group.heard(topic))
        matched = (tuple(targets.values()), groups)
        if len(self._cache) >= self._limits.match_cache:
            self._cache.clear()
        self._cache[topic] = matched
        return matched

    def _may_hear(self, session: Session, topic: str) -> bool:
        """Tell whether `session` may be sent what is published on `topic`."""
        return self._access is None or self._access.may_hear(session.identity, topic)

    def enter(self, grant: Grant, name: str, inner: str) -> None:
        """Let `grant`, as granted, take effect; for a shared subscription of group `name` to `inner`."""
        self._cache.clear()
        session = grant.session
        session.grants[grant.pattern] = grant
        if not name:
            self._grants.put(inner, session.client_id, grant)
            return
        group = self._groups.get(inner, name)
        if group is None:
            may_hear = None if self._access is None else self._may_hear
            group = Group(grant.pattern, self._limits, self._stats, may_hear, self._keeper)
            self._groups.put(inner, name, group)
        grant.group = group
        group.join(grant)

    def _leave(self, grant: Grant) -> None:
        self._cache.clear()
        if grant.session.keeper is not None:
            grant.session.keeper.revoked(grant)
        if grant.group is None:
            self._grants.pop(grant.pattern, grant.session.client_id)
            return
        grant.group.leave(grant.session)
        if grant.group.empty:
            _, name, inner = grant.pattern.split("/", 2)
            self._groups.pop(inner, name)
